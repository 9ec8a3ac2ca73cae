// SPDX-License-Identifier: BSD-2-Clause
// backpressure.c - a limit of how many tasks there are at once that have it as a gate.
//
// How many are in is a count in one word with a lock bit (word.h). Who ends hands its place to the
// first that waits; so nobody waits while there is a place, and nobody overtakes.
#include <errno.h>

#include "base/assert.h"
#include "base/lock.h"
#include "oasync/sync.h"
#include "sched/sched.h"
#include "sched/wait.h"
#include "sync/word.h"

enum { MODE_SHIFT = 32 };

typedef struct backpressure {
    _Atomic uint64_t word; // how many are in; who may write it: word.h
    uint64_t limit;        // how many at most, and the mode above: constant
    oai_waiters_t waiters; // under the word's lock
} backpressure_state_t;

_Static_assert(sizeof(backpressure_state_t) <= sizeof(oa_backpressure_t), "fits what is public");

void oa_backpressure_init(oa_backpressure_t *bp, int32_t max, oa_backpressure_mode_t mode)
{
    *bp = (oa_backpressure_t)OA_BACKPRESSURE_INIT(max, mode);
}

static bool valid(const void *object)
{
    const backpressure_state_t *bp = object;
    uint64_t max = bp->limit & OAI_WORD_COUNT;
    uint64_t mode = bp->limit >> MODE_SHIFT;
    return max >= 1 && max <= INT32_MAX && (mode == OA_LOSSLESS || mode == OA_LOSSY);
}

// Takes a place if there is one.
static bool try_enter(backpressure_state_t *bp)
{
    uint64_t max = bp->limit & OAI_WORD_COUNT;
    uint64_t seen = atomic_load_explicit(&bp->word, memory_order_relaxed);
    unsigned rounds = 0;
    for (;;) {
        if (seen & OAI_WORD_LOCKED) { // for a moment only
            oai_lock_pause(&rounds);
            seen = atomic_load_explicit(&bp->word, memory_order_relaxed);
        } else if ((seen & OAI_WORD_COUNT) >= max) {
            return false;
            // Acquire: pairs with the release of whoever left the place.
        } else if (atomic_compare_exchange_weak_explicit(
                       &bp->word, &seen, seen + 1, memory_order_acquire, memory_order_relaxed)) {
            return true;
        }
    }
}

static int enter(void *object, oai_wait_t *wait)
{
    backpressure_state_t *bp = object;
    if (try_enter(bp))
        return 0;
    if (bp->limit >> MODE_SHIFT == OA_LOSSY)
        return -EAGAIN;
    uint64_t word = oai_word_lock(&bp->word);
    bool in = (word & OAI_WORD_COUNT) < (bp->limit & OAI_WORD_COUNT);
    if (in)
        word++;
    else
        oai_wait_link(&bp->waiters, wait);
    oai_word_unlock(&bp->word, word, &bp->waiters);
    return in ? 0 : -EINPROGRESS;
}

static void withdraw(void *object, oai_wait_t *wait)
{
    backpressure_state_t *bp = object;
    uint64_t word = oai_word_lock(&bp->word);
    oai_wait_unlink(&bp->waiters, wait);
    oai_word_unlock(&bp->word, word, &bp->waiters);
}

static void leave(void *object, struct oai_task *task)
{
    backpressure_state_t *bp = object;
    (void)task;
    uint64_t seen = atomic_load_explicit(&bp->word, memory_order_relaxed);
    while (!(seen & (OAI_WORD_LOCKED | OAI_WORD_WAITERS)))
        // Release: pairs with the acquire of whoever takes the place.
        if (atomic_compare_exchange_weak_explicit(&bp->word, &seen, seen - 1, memory_order_release,
                                                  memory_order_relaxed))
            return;
    uint64_t word = oai_word_lock(&bp->word);
    oai_wait_t *wait = oai_wait_claim_first(&bp->waiters);
    OAI_ASSERT((word & OAI_WORD_COUNT) != 0);
    if (!wait)
        word--;
    oai_word_unlock(&bp->word, word, &bp->waiters);
    if (wait)
        oai_wait_ready(wait);
}

const oai_gate_t oai_backpressure_gate = {"backpressure", valid, enter, withdraw, leave};

int oa_backpressure_destroy(oa_backpressure_t *given)
{
    if (!given)
        return -EINVAL;
    oai_point(__func__, given);
    backpressure_state_t *bp = (backpressure_state_t *)(void *)given;
    uint64_t word = oai_word_lock(&bp->word);
    bool busy = (word & OAI_WORD_COUNT) != 0 || oai_wait_busy(&bp->waiters);
    oai_word_unlock(&bp->word, word, &bp->waiters);
    return busy ? -EBUSY : 0;
}
