// SPDX-License-Identifier: BSD-2-Clause
// wait_hot.h - the wait protocol where it is compiled into who waits.
//
// Owns:    the bits of the wait word. What they mean, and why all this is right, wait.c tells.
// Callers: wait.c, and a primitive that is worth it: a call each for begin, arm, claim and ready is
//          a fifth of a channel's round trip.
#ifndef OAI_SCHED_WAIT_HOT_H
#define OAI_SCHED_WAIT_HOT_H

#include "sched/internal.h"
#include "sched/resumed.h"
#include "sched/wait.h"

enum {
    OAI_WORD_CLAIMED = 1,
    OAI_WORD_READY = 2,
    OAI_WORD_SAVED = 4,
    OAI_WORD_UNBREAKABLE = 8,
    OAI_WORD_CAUSE_SHIFT = 4, // two bits
    OAI_WORD_THREAD = 128,    // the waiter is a thread that sleeps on a futex; constant in the wait
    OAI_WORD_NUMBER_SHIFT = 8,
};
_Static_assert((int)OAI_WAIT_CAUSE == 3 << OAI_WORD_CAUSE_SHIFT, "internal.h has it, too");
_Static_assert((int)OAI_WORD_THREAD == (int)OAI_TASK_HOSTED, "taken over from the task's flags");

static inline _Atomic uint64_t *oai_wait_word(oai_wait_t *wait)
{
    return OAI_LIKELY(wait->task != NULL) ? &wait->task->word : &wait->whole->thread_word;
}

// ---- The waiter ---------------------------------------------------------------------------------

// Whether a task, running or parked, has been cancelled and is not shielded. Seq_cst: the look of
// the cancel pair.
static inline bool oai_task_broken(oai_task_t *task)
{
    uint32_t flags = atomic_load_explicit(&task->flags, memory_order_seq_cst);
    return OAI_UNLIKELY((flags & (OAI_TASK_CANCELLED | OAI_TASK_SHIELDED)) == OAI_TASK_CANCELLED);
}

// The virtual thread that calls, on this worker, if it can begin a wait at once: it has a stack to
// go on and, if the wait is breakable, is not cancelled. NULL: oai_wait_begin() or
// oai_wait_prepare() tell what there is.
static inline oai_task_t *oai_wait_quick(oai_worker_t *worker, bool breakable)
{
    oai_task_t *task = worker ? worker->current : NULL;
    if (OAI_UNLIKELY(!task || (breakable && oai_task_broken(task)) || !oai_worker_prepared(worker)))
        return NULL;
    return task;
}

// oai_wait_begin() for such a one; what it does of any.
static inline void oai_wait_begin_quick(oai_wait_t *wait, oai_task_t *task, bool breakable)
{
    wait->task = task;
    wait->breakable = breakable;
    wait->linked = false;
    wait->result = 0;
}

// oai_wait_arm() for a task that runs or is held; the last two are what the wait says itself.
static inline void oai_wait_arm_task(oai_wait_t *wait, oai_task_t *task, bool breakable)
{
    // Relaxed, all but the store of a held task: the shield is the task's own, only the task itself
    // begins a wait, and nobody writes between two waits.
    uint32_t flags = atomic_load_explicit(&task->flags, memory_order_relaxed);
    uint64_t number = atomic_load_explicit(&task->word, memory_order_relaxed);
    uint64_t word = ((number >> OAI_WORD_NUMBER_SHIFT) + 1) << OAI_WORD_NUMBER_SHIFT;
    if (OAI_UNLIKELY(flags & OAI_TASK_HELD)) { // it has no registers, and is on no thread
        wait->word = word;
        // Seq_cst: as in oai_wait_saved().
        atomic_store_explicit(&task->word, word | OAI_WORD_SAVED, memory_order_seq_cst);
        return;
    }
    if (!breakable || flags & (OAI_TASK_SHIELDED | OAI_TASK_HOSTED)) {
        breakable = breakable && !(flags & OAI_TASK_SHIELDED);
        word |= (breakable ? 0 : OAI_WORD_UNBREAKABLE) | (flags & OAI_TASK_HOSTED);
    }
    wait->word = word;
    atomic_store_explicit(&task->word, word, memory_order_relaxed);
}

// ---- Whoever lets it go -------------------------------------------------------------------------

// One attempt of one claimer: `bits` are set if the wait `word` is unclaimed. Returns the word
// before, with CLAIMED in it if somebody was quicker or it is another wait.
static inline uint64_t oai_word_claim(_Atomic uint64_t *place, uint64_t word, uint64_t bits)
{
    uint64_t seen = atomic_load_explicit(place, memory_order_relaxed);
    do {
        if (OAI_UNLIKELY((seen & ~(uint64_t)OAI_WORD_SAVED) != word))
            return OAI_WORD_CLAIMED;
        // Acquire: the registers of a task that was saved, for who may then resume it. Release: the
        // past of who sets READY in the same exchange (a deadline, a cancel), to the task.
    } while (OAI_UNLIKELY(!atomic_compare_exchange_weak_explicit(
        place, &seen, seen | bits, memory_order_acq_rel, memory_order_relaxed)));
    return seen;
}

// oai_wait_claim(); what was left in wait->claimed, 0: it was not claimed.
static inline uint8_t oai_wait_claim_hot(oai_wait_t *wait)
{
    // The object's lock has ordered everything the claimer reads of the wait.
    uint64_t seen = oai_word_claim(oai_wait_word(wait), wait->word, OAI_WORD_CLAIMED);
    if (OAI_UNLIKELY(seen & OAI_WORD_CLAIMED))
        return 0;
    return wait->claimed = (uint8_t)(seen | OAI_WORD_CLAIMED);
}

// oai_wait_claim_sole(); what was left in wait->claimed.
static inline uint8_t oai_wait_claim_sole_hot(oai_wait_t *wait)
{
    // Acquire: the registers, as in oai_word_claim(). Who is not found saved here is found so in
    // ready.
    uint64_t seen = atomic_load_explicit(oai_wait_word(wait), memory_order_acquire);
    return wait->claimed = (uint8_t)(seen | OAI_WORD_CLAIMED);
}

// Any claimed wait is ready. `next`: its task shall run next on this worker, not behind what is
// ready there. Returns 0.
int oai_wait_ready_any(oai_wait_t *wait, bool next);

// oai_wait_ready() of a wait of which `claimed` was left. Returns 0.
static inline int oai_wait_ready_hot(oai_wait_t *wait, uint8_t claimed)
{
    oai_task_t *task = wait->task;
    uint64_t word = wait->word;
    if (OAI_UNLIKELY(!(claimed & OAI_WORD_SAVED) || word & OAI_WORD_THREAD))
        return oai_wait_ready_any(wait, true);
    oai_sync_release(&task->word);
    // Claimed and saved: nobody else writes the word any more, a store is enough. Release: what
    // was handed over; the claim has acquired the registers.
    word |= OAI_WORD_CLAIMED | OAI_WORD_SAVED | OAI_WORD_READY;
    atomic_store_explicit(&task->word, word, memory_order_release);
    return oai_task_ready_next(task);
}

#endif
