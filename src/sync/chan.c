// SPDX-License-Identifier: BSD-2-Clause
// chan.c - channels: rendezvous, bounded, unbounded, sliding.
//
// A short lock guards a queue of elements and two lists of waiters. Receivers wait only while the
// queue is empty and no sender waits; senders wait only while it is full. So an element goes from a
// sender straight to a receiver that waits, and a sender's straight into the place that a receiver
// has made: each transfer is one copy, under the lock, and wakes one waiter at most. A consumer
// that rests takes an element as a receiver does that came last (consumer.c).
#include "oasync/chan.h"

#include <errno.h>
#include <stdbool.h>

#include "base/lock.h"
#include "os/os.h"
#include "sched/sched.h"
#include "sched/wait.h"
#include "sync/channel.h"

oa_chan_t *oa_chan_make_config(const oa_chan_config_t *given)
{
    oa_chan_config_t config;
    if (oai_options_read(&config, sizeof config, given, sizeof given->size))
        return NULL;
    if (config.sliding && (config.capacity == 0 || config.capacity == OA_UNBOUNDED))
        return NULL;
    oa_chan_t *ch = oai_os.alloc(sizeof *ch);
    if (!ch)
        return NULL;
    *ch = (oa_chan_t){.lock = OAI_LOCK_INIT,
                      .sliding = config.sliding != 0,
                      .words = config.capacity != 0 && config.capacity != OA_UNBOUNDED &&
                               config.elem_size == sizeof(oai_word_t)};
    if (oai_fifo_init(&ch->queue, config.elem_size, config.capacity) != 0) {
        oai_os.free(ch);
        return NULL;
    }
    return ch;
}

// Under the lock: the queue takes one more, a sliding one in place of its oldest.
static inline __attribute__((always_inline)) int push(oa_chan_t *ch, const void *elem)
{
    int err = oai_fifo_push(&ch->queue, elem);
    if (OAI_LIKELY(err != -EAGAIN || !ch->sliding))
        return err;
    oai_fifo_pop(&ch->queue, NULL);
    return oai_fifo_push(&ch->queue, elem);
}

// Under the lock: sends if that needs no wait. *wake: who is to be made ready afterwards.
static inline __attribute__((always_inline)) int try_send(oa_chan_t *ch, void *elem,
                                                          oai_wait_t **wake)
{
    if (ch->closed)
        return -EPIPE;
    oai_wait_t *receiver = oai_wait_claim_first(&ch->receivers);
    if (!receiver) {
        if (OAI_UNLIKELY(ch->resting) && (*wake = oai_consumer_offer(ch->resting, elem)) != NULL)
            return 0;
        return push(ch, elem);
    }
    if (receiver->data)
        oai_fifo_copy(receiver->data, elem, ch->queue.elem_size);
    *wake = receiver;
    return 0;
}

// Under the lock: receives if that needs no wait. *wake as above.
static inline __attribute__((always_inline)) int try_recv(oa_chan_t *ch, void *elem,
                                                          oai_wait_t **wake)
{
    if (ch->queue.count) {
        oai_fifo_pop(&ch->queue, elem);
        oai_wait_t *sender = oai_wait_claim_first(&ch->senders);
        if (sender) // there is room: no allocation, for senders wait on bounded channels only
            oai_fifo_push(&ch->queue, sender->data);
        *wake = sender;
        return 0;
    }
    oai_wait_t *sender = oai_wait_claim_first(&ch->senders);
    if (!sender)
        return ch->closed ? -EPIPE : -EAGAIN;
    if (elem)
        oai_fifo_copy(elem, sender->data, ch->queue.elem_size);
    *wake = sender;
    return 0;
}

size_t oai_chan_take_some(oa_chan_t *ch, char *elems, size_t most, oai_list_t *senders)
{
    size_t taken = oai_fifo_pop_some(&ch->queue, elems, most);
    // Those that wait have room now; on a rendezvous it is here.
    oai_wait_t *sender;
    while ((ch->queue.count < ch->queue.capacity || taken < most) &&
           (sender = oai_wait_claim_first(&ch->senders)) != NULL) {
        if (ch->queue.count < ch->queue.capacity)
            oai_fifo_push(&ch->queue, sender->data);
        else
            oai_fifo_copy(elems + taken++ * ch->queue.elem_size, sender->data, ch->queue.elem_size);
        oai_list_append(senders, &sender->link);
    }
    return taken;
}

typedef int try_fn(oa_chan_t *ch, void *elem, oai_wait_t **wake);

// Those that are given a `try` are inlined, so that it is no indirect call and no frame more stands
// between the user and the switch.
#define INLINED static inline __attribute__((always_inline))

// Tries, and unlocks.
INLINED int once_locked(oa_chan_t *ch, void *elem, try_fn *try)
{
    oai_wait_t *wake = NULL;
    int err = try(ch, elem, &wake);
    oai_unlock(&ch->lock);
    if (OAI_UNLIKELY(wake))
        oai_wait_ready(wake);
    return err;
}

INLINED int once(oa_chan_t *ch, void *elem, try_fn *try)
{
    oai_lock(&ch->lock);
    return once_locked(ch, elem, try);
}

// Tries, and waits in `list` while that needs a wait.
INLINED int transfer(oa_chan_t *ch, void *elem, try_fn *try, oai_waiters_t *list, int64_t deadline)
{
    oai_wait_t wait;
    oai_wait_t *wake = NULL;
    int err = oai_wait_begin(&wait, true);
    if (err)
        return err;
    wait.data = elem;
    oai_lock(&ch->lock);
    err = try(ch, elem, &wake);
    bool waits = err == -EAGAIN;
    if (waits && oai_wait_expired(deadline)) {
        waits = false;
        err = -ETIMEDOUT;
    }
    if (waits)
        oai_wait_link(list, &wait);
    oai_unlock(&ch->lock);
    if (wake)
        oai_wait_ready(wake);
    if (!waits)
        return err;
    err = oai_wait_park(&wait, deadline);
    if (err == 0)
        return wait.result; // the channel may be gone
    oai_lock(&ch->lock);
    oai_wait_unlink(list, &wait);
    oai_unlock(&ch->lock);
    return err;
}

static bool sendable(oa_chan_t *ch, const void *elem)
{
    return ch && (elem || ch->queue.elem_size == 0);
}

typedef int go_on_fn(oa_chan_t *ch, void *elem, int64_t deadline);

static __attribute__((noinline)) int send_waiting(oa_chan_t *ch, void *elem, int64_t deadline)
{
    return transfer(ch, elem, try_send, &ch->senders, deadline);
}

static __attribute__((noinline)) int recv_waiting(oa_chan_t *ch, void *elem, int64_t deadline)
{
    return transfer(ch, elem, try_recv, &ch->receivers, deadline);
}

// With a queue most find room there, or an element: no wait is prepared before it is needed.
static __attribute__((noinline)) int send_locked(oa_chan_t *ch, void *elem, int64_t deadline)
{
    int err = once_locked(ch, elem, try_send);
    return err == -EAGAIN ? send_waiting(ch, elem, deadline) : err;
}

static __attribute__((noinline)) int recv_locked(oa_chan_t *ch, void *elem, int64_t deadline)
{
    int err = once_locked(ch, elem, try_recv);
    return err == -EAGAIN ? recv_waiting(ch, elem, deadline) : err;
}

// Without a queue, or with the lock yet to be taken.
INLINED int other(oa_chan_t *ch, void *elem, int64_t deadline, go_on_fn *waiting, go_on_fn *locked)
{
    if (ch->queue.capacity == 0)
        return waiting(ch, elem, deadline);
    if (oai_wait_cancelled())
        return -ECANCELED;
    oai_lock(&ch->lock);
    return locked(ch, elem, deadline);
}

static __attribute__((noinline)) int send_other(oa_chan_t *ch, void *elem, int64_t deadline)
{
    return other(ch, elem, deadline, send_waiting, send_locked);
}

static __attribute__((noinline)) int recv_other(oa_chan_t *ch, void *elem, int64_t deadline)
{
    return other(ch, elem, deadline, recv_waiting, recv_locked);
}

// Most elements are words in a ring, and most transfers find room or an element there and nobody
// who waits. These have a way of their own, with hardly a store before the exchange of the lock,
// which waits until all stores before it are in the cache: a tenth less time for a consumer's
// element. What else there is stands in functions apart, for the same reason. False: the channel is
// another one, the caller is cancelled, or the lock is not free.
static inline bool lock_words(oa_chan_t *ch)
{
    return ch->words && !oai_wait_cancelled() && oai_trylock(&ch->lock);
}

static inline int send_until(oa_chan_t *ch, const void *given, int64_t deadline)
{
    if (OAI_UNLIKELY(!sendable(ch, given)))
        return -EINVAL;
    void *elem = (void *)(uintptr_t)given;
    if (OAI_UNLIKELY(!lock_words(ch)))
        return send_other(ch, elem, deadline);
    if (OAI_UNLIKELY(ch->closed || ch->resting || !oai_list_empty(&ch->receivers.list) ||
                     ch->queue.count == ch->queue.capacity))
        return send_locked(ch, elem, deadline);
    oai_fifo_ring_in(&ch->queue, elem, sizeof(oai_word_t));
    oai_unlock(&ch->lock);
    return 0;
}

static inline int recv_until(oa_chan_t *ch, void *elem, int64_t deadline)
{
    if (OAI_UNLIKELY(!ch))
        return -EINVAL;
    if (OAI_UNLIKELY(!lock_words(ch)))
        return recv_other(ch, elem, deadline);
    if (OAI_UNLIKELY(ch->queue.count == 0 || !oai_list_empty(&ch->senders.list)))
        return recv_locked(ch, elem, deadline);
    oai_fifo_ring_out(&ch->queue, elem, sizeof(oai_word_t));
    oai_unlock(&ch->lock);
    return 0;
}

int oa_chan_send(oa_chan_t *ch, const void *elem)
{
    return send_until(ch, elem, OA_FOREVER);
}

int oa_chan_send_until(oa_chan_t *ch, const void *elem, int64_t deadline)
{
    return send_until(ch, elem, deadline);
}

int oa_chan_recv(oa_chan_t *ch, void *elem)
{
    return recv_until(ch, elem, OA_FOREVER);
}

int oa_chan_recv_until(oa_chan_t *ch, void *elem, int64_t deadline)
{
    return recv_until(ch, elem, deadline);
}

int oa_chan_put(oa_chan_t *ch, const void *elem)
{
    return sendable(ch, elem) ? once(ch, (void *)(uintptr_t)elem, try_send) : -EINVAL;
}

int oa_chan_take(oa_chan_t *ch, void *elem)
{
    return ch ? once(ch, elem, try_recv) : -EINVAL;
}

int oa_chan_close(oa_chan_t *ch)
{
    if (!ch)
        return -EINVAL;
    oai_lock(&ch->lock);
    bool closed = ch->closed;
    ch->closed = true;
    oai_list_t claimed = {NULL, NULL};
    oai_wait_claim_all(&ch->senders, -EPIPE, &claimed);
    oai_wait_claim_all(&ch->receivers, -EPIPE, &claimed);
    oai_dormant_t *ends = ch->resting ? oai_consumer_dismiss(ch->resting) : NULL;
    oai_unlock(&ch->lock);
    oai_wait_ready_all(&claimed);
    if (ends)
        oai_dormant_discard(ends);
    return closed ? -EALREADY : 0;
}

int oa_chan_free(oa_chan_t *ch)
{
    if (!ch)
        return 0;
    oai_lock(&ch->lock);
    bool busy = ch->consumer || oai_wait_busy(&ch->senders) || oai_wait_busy(&ch->receivers);
    oai_unlock(&ch->lock);
    if (busy)
        return -EBUSY;
    oai_fifo_destroy(&ch->queue);
    oai_os.free(ch);
    return 0;
}

size_t oa_chan_len(oa_chan_t *ch)
{
    if (!ch)
        return 0;
    oai_lock(&ch->lock);
    size_t count = ch->queue.count;
    oai_unlock(&ch->lock);
    return count;
}
