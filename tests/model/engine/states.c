// SPDX-License-Identifier: BSD-2-Clause
// states.c - the states that a depth-first search has met: what follows one is explored only once.
//
// Threads that do not touch the same things reach the same state in whatever order they run. A
// search that has explored all executions from a state leaves an execution that comes to it again.
// For this the state is hashed, as it changes; the idea is happens-before caching (Musuvathi and
// Qadeer, Partial-order reduction for context-bounded state exploration, 2007). The hash is the sum
// of its parts:
//   - The past of each thread: a hash of all it observed. What a thread does is determined by what
//     it observed before, so only this counts: which store it read (by the store's mark), and
//     whether that was the newest; answers to choices; the clock; what others gave it (its maker,
//     an unblock, a join, E.sc at a fence); the newest stores, when a pause makes it read those.
//   - Each location: the mark of its newest store, a hash of the modification order, in which each
//     store counts by its writer's past. What a futex wake and seq_cst operations add to it.
//   - What was done to the heap, in order; unblocks not yet received; spins since the last write.
//   - When it is looked up, also: who runs, is ready, paused or has a time-out; the clock; what was
//     used of the limits other than preemptions.
// All else is a function of this. What threads have in registers and on stacks, their views and
// clocks: of their pasts and the marks. Plain memory and its shadow: conflicting accesses are
// ordered by happens-before, else the execution has failed; the pasts hold that order, and it gives
// the last writer of each byte and the accesses that can still race. Death of memory is a plain
// write. So with the same hash (of 64 bits: one search in 10^5 might see two states as one) the
// same executions follow, but for preemptions: an entry holds how many were left.
//
// A state is entered when its executions are about to be explored, which they all are before the
// search comes to it from elsewhere: it cannot come to it from itself, as pasts only grow. When an
// address becomes visible there are new choices, and all is forgotten.
//
// None of this holds if an execution leaves something to the next that setup does not reset and
// that matters. A model of sources with such statics says so (.statics): its executions run to the
// end.
//
// The table forgets, too: a new state takes the place of another, which is explored again if it is
// met again. What it forgets depends on the model alone, so that counts are repeatable.
#include "engine.h"

#include <sys/mman.h>

enum { STATES = 1 << 20, WAYS = 4 };

// Hash above, 8 bits of preemptions left below.
static uint64_t table[STATES] __attribute__((aligned(2 << 20)));
static uint64_t search;

// Once per program. Huge pages, if there are any: each look-up is somewhere else.
void eng_set_up_states(void)
{
    madvise(table, sizeof table, MADV_HUGEPAGE);
}

// Addresses without what differs from process to process.
uint64_t eng_place(uintptr_t addr)
{
    if (addr - (uintptr_t)E.stacks < (uintptr_t)STACK_SIZE * MAX_THREADS)
        return addr - (uintptr_t)E.stacks + (1ul << 60);
    if (addr - (uintptr_t)E.arena < ARENA_SIZE)
        return addr - (uintptr_t)E.arena + (2ul << 60);
    return addr - (uintptr_t)&E;
}

void eng_forget_states(void)
{
    search++;
}

static uint64_t hash(int running)
{
    uint64_t threads = (uint64_t)E.ready << 32 | (uint64_t)E.timed << 16 | E.paused;
    uint64_t spent = (uint64_t)E.weak_failures << 32 | (uint64_t)E.spurious << 16;
    uint64_t stale = E.limits.stale >= 0 ? (uint64_t)E.stale_reads : 0;
    uint64_t key = eng_mix(E.state, threads);
    key = eng_mix(key, spent | (uint64_t)running << 8 | (uint64_t)E.idle);
    key = eng_mix(key, (uint64_t)E.clock);
    return eng_mix(key, search << 32 | stale);
}

// Whether all executions from here have been explored with as many preemptions as are left. If not,
// they will be.
bool eng_state_known(int running)
{
    uint64_t key = hash(running), left = (uint64_t)(E.limits.bound - E.preemptions) & 0xff;
    uint64_t *entry = &table[key % STATES & ~(uint64_t)(WAYS - 1)];
    int place = (int)(key % WAYS);
    for (int i = 0; i < WAYS; i++) {
        if (entry[i] >> 8 != key >> 8)
            continue;
        if ((entry[i] & 0xff) >= left)
            return true;
        place = i;
    }
    entry[place] = (key & ~0xfful) | left;
    return false;
}
