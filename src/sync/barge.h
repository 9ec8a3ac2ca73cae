// SPDX-License-Identifier: BSD-2-Clause
// barge.h - how many newcomers may pass those who were let go and are on their way to a lock.
//
// Owns:    the count of newcomers. Callers: mutex.c and rwlock.c.
// Design:  who was let go is ready on the worker of whoever let it go, and runs when that one waits
//          or an idle worker takes it over. Newcomers who waited for it meanwhile would make each
//          lock a wait; newcomers without a bound would keep it from coming at all where a task
//          does nothing but lock and unlock. So they are counted once somebody was let go, and each
//          time that this has lasted too long one of them gives way: it yields, with the lock free,
//          so that whoever is ready on its worker runs first. The lock is never kept free for
//          somebody, nor does each newcomer give way: where the worker of who was let go is busy
//          with something else all would wait for that.
#ifndef OAI_SYNC_BARGE_H
#define OAI_SYNC_BARGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "oasync/time.h"

// How often who was let go may find, when it comes, that a newcomer was quicker; the next time it
// is handed the lock. Waking costs thousands of times what taking a free lock does, so each
// newcomer let through is work done meanwhile.
#ifndef OAI_BARGES
#define OAI_BARGES 4
#endif

// Newcomers, at least, from when one is let go until one of them gives way, and ns from then on
// until the next one does: ten times as long as an idle worker needs to take over who was let go.
// The time is looked at when as many again have come, and at least each time that so many have.
#ifndef OAI_NEWCOMERS
#define OAI_NEWCOMERS 4
#endif
#ifndef OAI_NEWCOMERS_FOR
#define OAI_NEWCOMERS_FOR 1000000
#endif
#define OAI_NEWCOMERS_MOST 64

typedef struct oai_barge {
    uint32_t since; // the first look, or the last giving way, in units of 1,024 ns; 0: neither yet.
                    // Under the lock's own lock, as the next
    uint8_t passed; // newcomers from the last look to the next one
    // 0: nobody is coming; 1: the next newcomer looks at the time; else how many pass before that,
    // and one. Set under the same, counted down by newcomers that hold the lock. Relaxed: it guards
    // nothing. Readers that count at once may lose a count, or set it again when nobody is coming:
    // who looks sees that.
    _Atomic uint8_t left;
    bool readers_were; // rwlock.c's, here for want of room
} oai_barge_t;

static inline void oai_barge_set(oai_barge_t *barge, uint8_t left)
{
    atomic_store_explicit(&barge->left, left, memory_order_relaxed);
}

// Under the lock's own lock: one is let go.
static inline void oai_barge_let_go(oai_barge_t *barge)
{
    if (atomic_load_explicit(&barge->left, memory_order_relaxed) != 0)
        return; // others were, and are on their way
    barge->since = 0;
    barge->passed = OAI_NEWCOMERS;
    oai_barge_set(barge, OAI_NEWCOMERS + 1);
}

// Under the same: one has come, or gives up. `coming`: others have not.
static inline void oai_barge_came(oai_barge_t *barge, bool coming)
{
    if (!coming)
        oai_barge_set(barge, 0);
}

// A newcomer has come in. True: it is to look, by oai_barge_over().
static inline bool oai_barge_looks(oai_barge_t *barge)
{
    uint8_t left = atomic_load_explicit(&barge->left, memory_order_relaxed);
    if (left > 1)
        oai_barge_set(barge, (uint8_t)(left - 1));
    return OAI_UNLIKELY(left == 1);
}

// Under the lock's own lock: whether the newcomer is to give way. `coming`: to anybody.
static inline bool oai_barge_over(oai_barge_t *barge, bool coming)
{
    const uint32_t most = OAI_NEWCOMERS_FOR >> 10;
    uint32_t now = (uint32_t)((uint64_t)oa_now() >> 10) | 1;
    bool over = (barge->since == 0 ? 0 : now - barge->since) >= most;
    if (barge->since == 0 || over)
        barge->since = now;
    oai_barge_set(barge, coming ? (uint8_t)(barge->passed + 1) : 0);
    if (barge->passed < OAI_NEWCOMERS_MOST)
        barge->passed *= 2;
    return coming && over;
}

#endif
