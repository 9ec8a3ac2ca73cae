// SPDX-License-Identifier: BSD-2-Clause
// lock.c - the cold path of the spin lock: somebody else holds it.
//
// Owns:    nothing. Callers: oai_lock() only.
#include "base/lock.h"

#include <sched.h>

// Each round is twice as long as the last (exponential back-off: Anderson, The Performance of Spin
// Lock Alternatives, 1990). A look pulls the line from the holder, who meanwhile may take the lock
// again for its next few calls: two workers on one channel took 69 ns an element with this, and 107
// with a look after each pause.
void oai_lock_pause(unsigned *rounds)
{
#ifdef OAI_MODEL
    (void)rounds;
    oai_pause();
#else
    enum { MOST_DOUBLINGS = 5, ROUNDS_BEFORE_YIELD = 8 };
    unsigned doublings = *rounds < MOST_DOUBLINGS ? *rounds : MOST_DOUBLINGS;
    for (unsigned i = 0; i < 1u << doublings; i++)
        oai_pause();
    if (++*rounds % ROUNDS_BEFORE_YIELD == 0)
        sched_yield(); // the holder may wait for this very CPU
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
