// SPDX-License-Identifier: BSD-2-Clause
// lock.h - a spin lock for sections of a few dozen instructions.
//
// Owns:    one word: 0 free, 1 held.
// Callers: any thread. Never held across a switch or a call into user code, and across a system
//          call only where memory is mapped, given back or allocated for what it guards, or where a
//          cancel wakes a thread: its waiters burn CPU, then yield it. All-zero bytes are a free
//          lock.
#ifndef OAI_BASE_LOCK_H
#define OAI_BASE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"

typedef struct oai_lock {
    _Atomic uint32_t
        held; // written by everybody; release in unlock pairs with acquire in (try)lock
} oai_lock_t;

#define OAI_LOCK_INIT \
    {                 \
        0             \
    }

// Waits until the lock was taken: pauses, then gives the CPU away (the holder may be preempted).
// One round of waiting for a holder; *rounds is 0 at first. For locks that are a bit of a word.
void oai_lock_pause(unsigned *rounds);

void oai_lock_slow(oai_lock_t *lock);

static inline bool oai_trylock(oai_lock_t *lock)
{
    // Acquire: what the last holder wrote is seen (its release is in oai_unlock).
    return atomic_exchange_explicit(&lock->held, 1, memory_order_acquire) == 0;
}

static inline void oai_lock(oai_lock_t *lock)
{
    if (OAI_UNLIKELY(!oai_trylock(lock)))
        oai_lock_slow(lock);
}

static inline void oai_unlock(oai_lock_t *lock)
{
    atomic_store_explicit(&lock->held, 0, memory_order_release); // pairs with oai_trylock
}

#endif
