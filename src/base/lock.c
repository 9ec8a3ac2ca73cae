// SPDX-License-Identifier: BSD-2-Clause
// lock.c - the cold path of the spin lock: somebody else holds it.
//
// Owns:    nothing. Callers: oai_lock() only.
#include "base/lock.h"

#include <sched.h>

enum { SPINS_BEFORE_YIELD = 64 };

void oai_lock_pause(unsigned *rounds)
{
    oai_pause();
#ifndef OAI_MODEL
    if (++*rounds % SPINS_BEFORE_YIELD == 0)
        sched_yield(); // the holder may wait for this very CPU
#else
    (void)rounds;
#endif
}

void oai_lock_slow(oai_lock_t *lock)
{
    unsigned rounds = 0;
    do {
        // Look before the exchange: a waiter that only reads leaves the line with the holder.
        while (atomic_load_explicit(&lock->held, memory_order_relaxed) != 0)
            oai_lock_pause(&rounds);
    } while (!oai_trylock(lock));
}
