// SPDX-License-Identifier: BSD-2-Clause
// word.h - a count, a lock and the word on whether anybody waits, all in one atomic word.
//
// Owns:    the layout of that word; the list of waiters beside it is its owner's.
// Callers: primitives whose wait may return on a lock-free look at the count (semaphore, latch,
//          once, group, backpressure, read-write lock).
// Design:  such a waiter may free the object at once. So whoever lets it go must publish the count
//          and release the lock in one store, which is its last touch. While LOCKED is set nobody
//          but the holder writes the word.
#ifndef OAI_SYNC_WORD_H
#define OAI_SYNC_WORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "sched/wait.h"

#define OAI_WORD_COUNT UINT64_C(0xffffffff)
#define OAI_WORD_LOCKED (UINT64_C(1) << 32)
#define OAI_WORD_WAITERS (UINT64_C(1) << 33)   // the list of waiters is not empty
#define OAI_WORD_CANCELLED (UINT64_C(1) << 34) // a group's

// Locks the word; returns it, without LOCKED.
uint64_t oai_word_lock(_Atomic uint64_t *word);

// Publishes a new value and unlocks. `waiters`: what the WAITERS bit is to tell.
static inline void oai_word_unlock(_Atomic uint64_t *word, uint64_t value,
                                   const oai_waiters_t *waiters)
{
    value &= ~(OAI_WORD_LOCKED | OAI_WORD_WAITERS);
    if (!oai_list_empty(&waiters->list))
        value |= OAI_WORD_WAITERS;
    // Release: pairs with the acquire of the next lock, and of a lock-free look.
    atomic_store_explicit(word, value, memory_order_release);
}

#endif
