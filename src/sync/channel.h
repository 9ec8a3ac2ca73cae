// SPDX-License-Identifier: BSD-2-Clause
// channel.h - what a channel is to the files that make one up.
//
// Owns:    the struct behind oa_chan_t. Callers: chan.c, consumer.c and select.c.
#ifndef OAI_SYNC_CHANNEL_H
#define OAI_SYNC_CHANNEL_H

#include <stdbool.h>

#include "base/lock.h"
#include "oasync/chan.h"
#include "sched/sched.h"
#include "sched/wait.h"
#include "sync/fifo.h"

typedef struct oai_consumer oai_consumer_t;

struct oa_chan {
    oai_lock_t lock; // guards all below
    bool closed;
    bool sliding; // constant, as the next
    bool words;   // whether elements have 8 bytes, and the queue is bounded
    oai_fifo_t queue;
    oai_waiters_t senders, receivers;
    oai_consumer_t *consumer; // NULL: there is none
    oai_consumer_t *resting;  // the same while it waits for an element, else NULL
};

// Under the lock: sends or receives if that needs no wait. 0, -EAGAIN, -EPIPE, or -ENOMEM where an
// unbounded channel has no memory. *wake, NULL before: who is to be made ready after the unlock.
int oai_chan_try_send(oa_chan_t *ch, const void *elem, oai_wait_t **wake);
int oai_chan_try_recv(oa_chan_t *ch, void *elem, oai_wait_t **wake);

// Under the lock: takes up to `most` elements, one behind the other; appends the waits of those to
// `senders` whose elements got in, to be made ready when the lock is released. Returns how many; 0:
// there are none.
size_t oai_chan_take_some(oa_chan_t *ch, char *elems, size_t most, oai_list_t *senders);

// Under the lock: hands the element to the consumer, which rests; what is to be made ready when the
// lock is released. NULL: it can take nothing any more.
oai_wait_t *oai_consumer_offer(oai_consumer_t *consumer, const void *elem);

// Under the lock, of a channel that was closed: the consumer, which rests, is over. What is to be
// discarded when the lock is released, or NULL: its coordinator has ended, and it with that.
oai_dormant_t *oai_consumer_dismiss(oai_consumer_t *consumer);

#endif
