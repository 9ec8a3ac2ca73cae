// SPDX-License-Identifier: BSD-2-Clause
// latch.c - a latch: it opens, for good, when so many have arrived.
//
// The arrivals to come are a count in one word with a lock bit (word.h). The last arrival publishes
// the count of 0 and unlocks in one store: whoever waits may return on a look at the word, and free
// the latch. An open latch is locked by nobody but a waiter that takes its broken wait back.
#include <errno.h>

#include "oasync/sync.h"
#include "sched/sched.h"
#include "sched/wait.h"
#include "sync/word.h"

typedef struct latch {
    _Atomic uint64_t word; // the arrivals to come; who may write it: word.h
    oai_waiters_t waiters; // under the word's lock
} latch_state_t;

_Static_assert(sizeof(latch_state_t) <= sizeof(oa_latch_t), "fits what is public");

static latch_state_t *state_of(oa_latch_t *latch)
{
    return (latch_state_t *)(void *)latch;
}

void oa_latch_init(oa_latch_t *latch, int32_t n)
{
    *latch = (oa_latch_t)OA_LATCH_INIT(n);
}

// Under the lock, which it releases: one has arrived. `wait`, if it is not NULL, is linked unless
// the latch is open then. 0 or -EINPROGRESS.
static int arrive_locked(latch_state_t *latch, uint64_t word, oai_wait_t *wait)
{
    oai_list_t claimed = {NULL, NULL};
    if (word & OAI_WORD_COUNT)
        word--;
    bool open = (word & OAI_WORD_COUNT) == 0;
    if (open)
        oai_wait_claim_all(&latch->waiters, 0, &claimed);
    else if (wait)
        oai_wait_link(&latch->waiters, wait);
    oai_word_unlock(&latch->word, word, &latch->waiters);
    oai_wait_ready_all(&claimed);
    return open ? 0 : -EINPROGRESS;
}

static inline void arrive(latch_state_t *latch)
{
    uint64_t seen = atomic_load_explicit(&latch->word, memory_order_relaxed);
    while (!(seen & (OAI_WORD_LOCKED | OAI_WORD_WAITERS))) {
        if (seen == 0)
            return;
        // Release: pairs with the acquire of whoever finds the latch open.
        if (atomic_compare_exchange_weak_explicit(&latch->word, &seen, seen - 1,
                                                  memory_order_release, memory_order_relaxed))
            return;
    }
    arrive_locked(latch, oai_word_lock(&latch->word), NULL);
}

int oa_latch_arrive(oa_latch_t *latch)
{
    if (!latch)
        return -EINVAL;
    oai_point(__func__, latch);
    arrive(state_of(latch));
    oai_point(__func__, latch);
    return 0;
}

// Whether it is open and locked by nobody: then it is touched no more by who opened it.
static bool is_open(latch_state_t *latch)
{
    // Acquire: pairs with the release of each arrival.
    return atomic_load_explicit(&latch->word, memory_order_acquire) == 0;
}

static void take_back(latch_state_t *latch, oai_wait_t *wait)
{
    uint64_t word = oai_word_lock(&latch->word);
    oai_wait_unlink(&latch->waiters, wait);
    oai_word_unlock(&latch->word, word, &latch->waiters);
}

static int wait_slow(latch_state_t *latch, int64_t deadline)
{
    oai_wait_t wait;
    int err = oai_wait_begin(&wait, true);
    if (err)
        return err;
    uint64_t word = oai_word_lock(&latch->word);
    bool open = (word & OAI_WORD_COUNT) == 0;
    if (!open && oai_wait_expired(deadline))
        err = -ETIMEDOUT;
    else if (!open)
        oai_wait_link(&latch->waiters, &wait);
    oai_word_unlock(&latch->word, word, &latch->waiters);
    if (open || err)
        return err;
    err = oai_wait_park(&wait, deadline);
    if (err)
        take_back(latch, &wait);
    return err;
}

static inline int wait_until(latch_state_t *latch, int64_t deadline)
{
    if (oai_wait_cancelled())
        return -ECANCELED;
    return is_open(latch) ? 0 : wait_slow(latch, deadline);
}

int oa_latch_wait_until(oa_latch_t *latch, int64_t deadline)
{
    if (!latch)
        return -EINVAL;
    oai_point("oa_latch_wait", latch);
    int err = wait_until(state_of(latch), deadline);
    oai_point("oa_latch_wait", latch);
    return err;
}

int oa_latch_wait(oa_latch_t *latch)
{
    return oa_latch_wait_until(latch, OA_FOREVER);
}

static int enter(void *object, oai_wait_t *wait)
{
    latch_state_t *latch = object;
    return is_open(latch) ? 0 : arrive_locked(latch, oai_word_lock(&latch->word), wait);
}

// Its arrival is for good.
static void withdraw(void *object, oai_wait_t *wait)
{
    take_back(object, wait);
}

const oai_gate_t oai_latch_gate = {"latch", NULL, enter, withdraw, NULL};

int oa_latch_destroy(oa_latch_t *given)
{
    if (!given)
        return -EINVAL;
    oai_point(__func__, given);
    latch_state_t *latch = state_of(given);
    uint64_t word = oai_word_lock(&latch->word);
    bool busy = oai_wait_busy(&latch->waiters);
    oai_word_unlock(&latch->word, word, &latch->waiters);
    return busy ? -EBUSY : 0;
}
