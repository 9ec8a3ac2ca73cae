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
#include "sched/wait_hot.h"
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
                      .words = config.capacity != OA_UNBOUNDED &&
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

int oai_chan_try_send(oa_chan_t *ch, const void *elem, oai_wait_t **wake)
{
    return try_send(ch, (void *)(uintptr_t)elem, wake);
}

int oai_chan_try_recv(oa_chan_t *ch, void *elem, oai_wait_t **wake)
{
    return try_recv(ch, elem, wake);
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

// A wait was broken: takes it back.
static __attribute__((noinline)) int take_back(oa_chan_t *ch, oai_waiters_t *list, oai_wait_t *wait,
                                               int err)
{
    oai_lock(&ch->lock);
    oai_wait_unlink(list, wait);
    oai_unlock(&ch->lock);
    return err;
}

// Under the lock, when it was found to need a wait: waits in `list`.
static __attribute__((noinline)) int wait_locked(oa_chan_t *ch, void *elem, oai_waiters_t *list,
                                                 int64_t deadline)
{
    oai_wait_t wait;
    int err = oai_wait_begin(&wait, true);
    if (err == 0 && oai_wait_expired(deadline))
        err = -ETIMEDOUT;
    if (err == 0) {
        wait.data = elem;
        oai_wait_link(list, &wait);
    }
    oai_unlock(&ch->lock);
    if (err)
        return err;
    err = oai_wait_park(&wait, deadline);
    if (err)
        return take_back(ch, list, &wait, err);
    return wait.result; // the channel may be gone
}

// Under the lock: tries, and waits in `list` if it must; NULL: never.
INLINED int transfer(oa_chan_t *ch, void *elem, try_fn *try, oai_waiters_t *list, int64_t deadline)
{
    oai_wait_t *wake = NULL;
    int err = try(ch, elem, &wake);
    if (list && err == -EAGAIN)
        return wait_locked(ch, elem, list, deadline);
    oai_unlock(&ch->lock);
    if (wake)
        oai_wait_ready(wake);
    return err;
}

static __attribute__((noinline)) int send_locked(oa_chan_t *ch, void *elem, int64_t deadline)
{
    return transfer(ch, elem, try_send, &ch->senders, deadline);
}

static __attribute__((noinline)) int recv_locked(oa_chan_t *ch, void *elem, int64_t deadline)
{
    return transfer(ch, elem, try_recv, &ch->receivers, deadline);
}

// With the lock yet to be taken. The stack on which the worker may have to go on is seen to before
// that. If there is none, whoever needs not wait needs none either, and who must is told when his
// wait begins.
static bool lock(oa_chan_t *ch)
{
    if (oai_wait_prepare() == -ECANCELED)
        return false;
    oai_lock(&ch->lock);
    return true;
}

static __attribute__((noinline)) int send_other(oa_chan_t *ch, void *elem, int64_t deadline)
{
    return lock(ch) ? send_locked(ch, elem, deadline) : -ECANCELED;
}

static __attribute__((noinline)) int recv_other(oa_chan_t *ch, void *elem, int64_t deadline)
{
    return lock(ch) ? recv_locked(ch, elem, deadline) : -ECANCELED;
}

static bool sendable(oa_chan_t *ch, const void *elem)
{
    return ch && (elem || ch->queue.elem_size == 0);
}

// ---- Words --------------------------------------------------------------------------------------
//
// Most elements are words. These have a way of their own, with hardly a store before the exchange
// of the lock, which waits until all stores before it are in the cache: a tenth less time for a
// consumer's element. What is seldom stands in functions that are called last, for the same reason.

// The calling virtual thread, which has locked the channel and can wait at once; NULL: it is no
// channel of words, the caller is another or is cancelled, or the lock is not free.
static inline oai_task_t *lock_words(oa_chan_t *ch)
{
    oai_task_t *task = ch->words ? oai_wait_quick(oai_self(), true) : NULL;
    return OAI_LIKELY(task != NULL) && OAI_LIKELY(oai_trylock(&ch->lock)) ? task : NULL;
}

// Under the lock: takes the first of those who wait off the list, if it can be let go; what its
// claim has left, or 0.
static inline uint8_t claim_first(oai_waiters_t *waiters, oai_wait_t **wait)
{
    *wait = oai_container(waiters->list.head, oai_wait_t, link);
    uint8_t claimed = oai_wait_claim_hot(*wait);
    if (OAI_UNLIKELY(!claimed))
        return 0;
    oai_list_pop(&waiters->list);
    (*wait)->linked = false;
    return claimed;
}

// Under the lock: somebody waits for an element, or with one.
static __attribute__((noinline)) int hand_word(oa_chan_t *ch, void *elem, int64_t deadline)
{
    oai_wait_t *receiver;
    uint8_t claimed = claim_first(&ch->receivers, &receiver);
    if (OAI_UNLIKELY(!claimed))
        return send_locked(ch, elem, deadline);
    if (receiver->data)
        memcpy(receiver->data, elem, sizeof(oai_word_t));
    oai_unlock(&ch->lock);
    return oai_wait_ready_hot(receiver, claimed);
}

static __attribute__((noinline)) int fetch_word(oa_chan_t *ch, void *elem, int64_t deadline)
{
    oai_wait_t *sender;
    uint8_t claimed = claim_first(&ch->senders, &sender);
    if (OAI_UNLIKELY(!claimed))
        return recv_locked(ch, elem, deadline);
    if (elem)
        memcpy(elem, sender->data, sizeof(oai_word_t));
    oai_unlock(&ch->lock);
    return oai_wait_ready_hot(sender, claimed);
}

// Under the lock: nobody is there to take the word, or to bring one. One function for both sides,
// which often switch to each other: where the other returns from it is where the CPU expects it.
static OAI_RESUMED int wait_word(oa_chan_t *ch, void *elem, oai_waiters_t *list, oai_task_t *task)
{
    oai_wait_t wait;
    oai_wait_begin_quick(&wait, task, true);
    oai_wait_arm_task(&wait, task, true);
    wait.data = elem;
    oai_wait_link_armed(list, &wait);
    oai_unlock(&ch->lock);
    OAI_LEAVING();
    int err = oai_worker_park(oai_self());
    return OAI_LIKELY(err == 0) ? wait.result : take_back(ch, list, &wait, err);
}

static inline int send_until(oa_chan_t *ch, const void *given, int64_t deadline)
{
    if (OAI_UNLIKELY(!sendable(ch, given)))
        return -EINVAL;
    void *elem = (void *)(uintptr_t)given;
    oai_task_t *task = lock_words(ch);
    if (OAI_UNLIKELY(!task))
        return send_other(ch, elem, deadline);
    if (OAI_UNLIKELY(ch->closed || ch->resting))
        return send_locked(ch, elem, deadline);
    if (!oai_list_empty(&ch->receivers.list))
        return hand_word(ch, elem, deadline);
    if (ch->queue.count == ch->queue.capacity)
        return ch->sliding || deadline != OA_FOREVER ? send_locked(ch, elem, deadline)
                                                     : wait_word(ch, elem, &ch->senders, task);
    oai_fifo_ring_in(&ch->queue, elem, sizeof(oai_word_t));
    oai_unlock(&ch->lock);
    return 0;
}

static inline int recv_until(oa_chan_t *ch, void *elem, int64_t deadline)
{
    if (OAI_UNLIKELY(!ch))
        return -EINVAL;
    oai_task_t *task = lock_words(ch);
    if (OAI_UNLIKELY(!task))
        return recv_other(ch, elem, deadline);
    bool none = ch->queue.count == 0, senders = !oai_list_empty(&ch->senders.list);
    if (none && senders)
        return fetch_word(ch, elem, deadline);
    if (none && !ch->closed && deadline == OA_FOREVER)
        return wait_word(ch, elem, &ch->receivers, task);
    if (OAI_UNLIKELY(none || senders))
        return recv_locked(ch, elem, deadline);
    oai_fifo_ring_out(&ch->queue, elem, sizeof(oai_word_t));
    oai_unlock(&ch->lock);
    return 0;
}

// Under simulation, with a point on either side.
static __attribute__((noinline)) int send_simulated(oa_chan_t *ch, const void *elem,
                                                    int64_t deadline, const char *call)
{
    oai_point(call, ch);
    int err = sendable(ch, elem) ? send_other(ch, (void *)(uintptr_t)elem, deadline) : -EINVAL;
    oai_point(call, ch);
    return err;
}

static __attribute__((noinline)) int recv_simulated(oa_chan_t *ch, void *elem, int64_t deadline,
                                                    const char *call)
{
    oai_point(call, ch);
    int err = ch ? recv_other(ch, elem, deadline) : -EINVAL;
    oai_point(call, ch);
    return err;
}

int oa_chan_send(oa_chan_t *ch, const void *elem)
{
    return oai_simulating() ? send_simulated(ch, elem, OA_FOREVER, __func__)
                            : send_until(ch, elem, OA_FOREVER);
}

int oa_chan_send_until(oa_chan_t *ch, const void *elem, int64_t deadline)
{
    return oai_simulating() ? send_simulated(ch, elem, deadline, "oa_chan_send")
                            : send_until(ch, elem, deadline);
}

int oa_chan_recv(oa_chan_t *ch, void *elem)
{
    return oai_simulating() ? recv_simulated(ch, elem, OA_FOREVER, __func__)
                            : recv_until(ch, elem, OA_FOREVER);
}

int oa_chan_recv_until(oa_chan_t *ch, void *elem, int64_t deadline)
{
    return oai_simulating() ? recv_simulated(ch, elem, deadline, "oa_chan_recv")
                            : recv_until(ch, elem, deadline);
}

int oa_chan_put(oa_chan_t *ch, const void *elem)
{
    if (!sendable(ch, elem))
        return -EINVAL;
    oai_point(__func__, ch);
    oai_lock(&ch->lock);
    int err = transfer(ch, (void *)(uintptr_t)elem, try_send, NULL, 0);
    oai_point(__func__, ch);
    return err;
}

int oa_chan_take(oa_chan_t *ch, void *elem)
{
    if (!ch)
        return -EINVAL;
    oai_point(__func__, ch);
    oai_lock(&ch->lock);
    int err = transfer(ch, elem, try_recv, NULL, 0);
    oai_point(__func__, ch);
    return err;
}

int oa_chan_close(oa_chan_t *ch)
{
    if (!ch)
        return -EINVAL;
    oai_point(__func__, ch);
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
    oai_point(__func__, ch);
    return closed ? -EALREADY : 0;
}

int oa_chan_free(oa_chan_t *ch)
{
    if (!ch)
        return 0;
    oai_point(__func__, ch);
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
    oai_point(__func__, ch);
    oai_lock(&ch->lock);
    size_t count = ch->queue.count;
    oai_unlock(&ch->lock);
    return count;
}
