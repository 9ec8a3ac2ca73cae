// SPDX-License-Identifier: BSD-2-Clause
// channel.h - what a channel is to the files that make one up.
//
// Owns:    the struct behind oa_chan_t. Callers: chan.c and consumer.c.
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
    bool sliding; // constant
    oai_fifo_t queue;
    oai_waiters_t senders, receivers;
    oai_consumer_t *consumer; // NULL: there is none
};

// Under the lock: receives if that needs no wait. 0; -EAGAIN, -EPIPE. *wake: who is to be made ready
// when the lock is released, or NULL.
int oai_chan_try_recv(oa_chan_t *ch, void *elem, oai_wait_t **wake);

// Under the lock: hands the element to a consumer that rests; what is to be made ready when the lock is
// released. NULL: it does not rest, or can take nothing any more.
oai_wait_t *oai_consumer_offer(oai_consumer_t *consumer, const void *elem);

// Under the lock, of a channel that was closed: a consumer that rests is over. What is to be discarded
// when the lock is released, or NULL: it finds the channel closed by itself.
oai_dormant_t *oai_consumer_dismiss(oai_consumer_t *consumer);

#endif
