// SPDX-License-Identifier: BSD-2-Clause
// wait.c - the wait protocol: claim, saved, ready (its face is wait.h).
//
// Every task has one wait word: the number of its present wait, and how far that has come.
//
//     CLAIMED      somebody has won the right to let the waiter go; the cause tells who
//     READY        the claimer has handed over what there was; the waiter may go on
//     SAVED        the waiter has parked: its registers are stored, its stack is left
//     UNBREAKABLE  a cancel does not break this wait; constant during the wait
//
// The waiter makes a new number, all else clear, by a plain store: nobody else can know it yet. A
// claim is a compare-exchange on (number, unclaimed): only one can win, and a late one of an
// earlier wait loses, whatever became of the task. Where nobody else could claim, for the wait has
// no deadline and is not breakable, it is left out. READY and SAVED come in any order; whoever sets
// the second of the two queues the task. Before both are set nobody may resume it, after that
// nobody looks at the wait any more. A claimer that finds SAVED set is the only one left to write
// the word.
//
//     claim    compare number, set CLAIMED and cause   the object's lock orders the rest
//     ready    set READY                               release: what was handed over, to the waiter
//                                                      acquire: the waiter's registers
//     saved    set SAVED                               release: the registers; seq_cst: see cancel
//     resumed  read the word                           acquire: what was handed over
//
// A deadline, a cancel or a deadlock has nothing to hand over: it sets CLAIMED and READY in one
// exchange. A deadlock (deadlock.c) breaks what nothing else breaks, but no other thread is there.
//
// Cancel is a Dekker pair: the canceller sets the task's CANCELLED flag (before that, for all tasks
// at once, the coordinator's state), then looks whether the task is parked; the parking task sets
// SAVED, then looks whether it has been cancelled. All are seq_cst: one of the two sees the other.
//
// A task that is held at a gate (gate.c) waits without having run: it is SAVED from the first, and
// whoever held it looks for a cancel when it has unlocked the gate.
//
// A hosted task's thread sleeps on a futex in the task (THREAD): SAVED is set by the thread itself,
// and who would queue the task stores 1 there instead. A plain thread has its own word in the wait
// and sleeps on a futex there. Both claim their own wait when its deadline has passed; a plain
// thread's is broken by nobody.
//
// A select waits for several objects by parts of one wait, which have the same word: who claims one
// of them has claimed them all, and leaves a mark in that one alone. A claimer that meets another
// part later loses, as with any broken wait.
//
// oa_block lends a task: who has claimed its wait runs a function as the task, on the thread that
// hosts it meanwhile. That waits until SAVED is set, after which only the claimer writes the word:
// it may make new numbers, wait after wait, as the task would. In the end it leaves the present
// number behind, claimed, saved and ready, and queues the task.
#include "sched/wait.h"

#include "sched/internal.h"
#include "sched/wait_hot.h"

enum {
    CLAIMED = OAI_WORD_CLAIMED,
    READY = OAI_WORD_READY,
    SAVED = OAI_WORD_SAVED,
    UNBREAKABLE = OAI_WORD_UNBREAKABLE,
    CAUSE_SHIFT = OAI_WORD_CAUSE_SHIFT,
    THREAD = OAI_WORD_THREAD,
    NUMBER_SHIFT = OAI_WORD_NUMBER_SHIFT,
};
enum { CAUSE_WOKEN, CAUSE_DEADLINE, CAUSE_CANCELLED, CAUSE_DEADLOCK };

static int result_of(uint64_t word)
{
    static const int results[] = {0, -ETIMEDOUT, -ECANCELED, -EDEADLK};
    return results[(word & OAI_WAIT_CAUSE) >> CAUSE_SHIFT];
}

static inline bool coord_cancelled(oai_task_t *task)
{
    // Seq_cst: as in oai_task_broken().
    return atomic_load_explicit(&oai_task_coord(task)->state, memory_order_seq_cst) ==
           OAI_CANCELLING;
}

bool oai_wait_expired(int64_t deadline)
{
    return deadline != OA_FOREVER && oai_now() >= deadline;
}

uintptr_t oai_wait_self(void)
{
    oai_worker_t *worker = oai_self();
    oai_task_t *task = worker ? worker->current : NULL;
    return task ? (uintptr_t)task : oai_self_thread();
}

uint32_t oai_wait_random_below(uint32_t bound)
{
    oai_worker_t *worker = oai_self();
    if (OAI_LIKELY(worker != NULL))
        return oai_random_below(&worker->random, bound);
    oai_seat_t *seat = oai_seat_here();
    if (seat->random == 0)
        seat->random = ((uintptr_t)seat ^ (uint64_t)oai_os.now()) | 1;
    return oai_random_below(&seat->random, bound);
}

// ---- The waiter ---------------------------------------------------------------------------------

// In a thread that runs no task as a worker.
static __attribute__((noinline)) int begin_thread(oai_wait_t *wait, oai_worker_t *worker)
{
    oai_task_t *task = worker ? NULL : oai_hosted();
    wait->task = task;
    return task && wait->breakable && oai_task_broken(task) ? -ECANCELED : 0;
}

int oai_wait_begin(oai_wait_t *wait, bool breakable)
{
    oai_worker_t *worker = oai_self();
    oai_task_t *task = worker ? worker->current : NULL;
    oai_wait_begin_quick(wait, task, breakable);
    if (!task)
        return begin_thread(wait, worker);
    if (breakable && oai_task_broken(task))
        return -ECANCELED;
    return oai_worker_prepare(worker);
}

bool oai_wait_cancelled(void)
{
    oai_task_t *task = oai_current();
    return task && oai_task_broken(task);
}

int oai_wait_prepare(void)
{
    oai_task_t *task = oai_current();
    if (!task)
        return 0;
    if (oai_task_broken(task))
        return -ECANCELED;
    oai_worker_t *worker = oai_self();
    return worker ? oai_worker_prepare(worker) : 0;
}

void oai_wait_arm(oai_wait_t *wait)
{
    oai_task_t *task = wait->task;
    if (!task) {
        wait->word = UNBREAKABLE | THREAD;
        wait->whole = wait;
        atomic_init(&wait->thread_word, UNBREAKABLE | THREAD);
        return;
    }
    oai_wait_arm_task(wait, task, wait->breakable);
}

int oai_wait_broken(oai_task_t *task, uint64_t word)
{
    int result = result_of(word);
    // The flag of a task that was being made when its coordinator was cancelled may have been
    // written over: then every later wait must know it, too.
    if (result != -ETIMEDOUT)
        atomic_fetch_or_explicit(&task->flags, OAI_TASK_CANCELLED, memory_order_relaxed);
    return result;
}

// The parking task's look of the cancel pair; its word was `word` before SAVED was set.
static inline void break_if_cancelled(oai_task_t *task, uint64_t word)
{
    // From here on the task may run elsewhere; what is looked at below is type-stable, and a
    // number that has moved on makes the break miss. The state: the sweep of a coordinator that is
    // being cancelled may have missed the flags of a task that was being made.
    if (!(word & (CLAIMED | UNBREAKABLE)) &&
        (oai_task_broken(task) || OAI_UNLIKELY(coord_cancelled(task))))
        oai_wait_break(task, word, -ECANCELED);
}

// The calling thread, plain or the host of a task, sleeps.
static __attribute__((noinline)) int park_thread(oai_wait_t *wait, int64_t deadline)
{
    oai_task_t *task = wait->task;
    _Atomic uint64_t *place = oai_wait_word(wait);
    _Atomic uint32_t *futex = task ? &task->futex : &wait->futex;
    // Relaxed, both: who writes the futex next has seen SAVED; the other is a count.
    atomic_store_explicit(futex, 0, memory_order_relaxed);
    if (task)
        atomic_fetch_add_explicit(&oai_task_coord(task)->pool.parks, 1, memory_order_relaxed);
    // Acquire: pairs with ready's release, for what was handed over. Seq_cst: the parking task's
    // half of the cancel pair, told above. The thread's "registers" are its own affair.
    uint64_t word = atomic_fetch_or_explicit(place, SAVED, memory_order_seq_cst);
    if (task && !(word & READY))
        break_if_cancelled(task, word);
    // Acquire: pairs with the release in wake_thread().
    while (!(word & READY) && atomic_load_explicit(futex, memory_order_acquire) == 0) {
        if (oai_os.futex_wait(futex, 0, deadline) != -ETIMEDOUT)
            continue;
        uint64_t bits = CLAIMED | READY | (uint64_t)CAUSE_DEADLINE << CAUSE_SHIFT;
        if (!(oai_word_claim(place, wait->word, bits) & CLAIMED))
            return -ETIMEDOUT;
        deadline = OA_FOREVER; // claimed: it will be ready in a moment
    }
    if (task)
        return oai_wait_ended(task);
    oai_sync_acquire(place);
    return 0;
}

static __attribute__((noinline)) int park_until(oai_wait_t *wait, oai_worker_t *worker,
                                                int64_t deadline)
{
    oai_timers_t *shard = &worker->coord->shards[worker->id % worker->coord->workers];
    oai_deadline_t timer = {.task = wait->task, .word = wait->word};
    if (oai_timers_insert(shard, &timer, deadline))
        worker->tick = 1; // before another task runs somebody must know of the new expiry
    int err = oai_worker_park(worker);
    oai_timers_remove(shard, &timer);
    return err;
}

int oai_wait_park(oai_wait_t *wait, int64_t deadline)
{
    if (OAI_UNLIKELY(wait->word & THREAD))
        return park_thread(wait, deadline);
    oai_worker_t *worker = oai_self();
    return OAI_LIKELY(deadline == OA_FOREVER) ? oai_worker_park(worker)
                                              : park_until(wait, worker, deadline);
}

// ---- Whoever lets it go ------------------------------------------------------------------------

bool oai_wait_claim(oai_wait_t *wait)
{
    return oai_wait_claim_hot(wait) != 0;
}

void oai_wait_claim_sole(oai_wait_t *wait)
{
    oai_wait_claim_sole_hot(wait);
}

// Lets a thread go that sleeps on this futex: plain, or the host of a task.
static __attribute__((noinline)) void wake_thread(_Atomic uint32_t *futex)
{
    // Release: pairs with the acquire in park_thread(). The thread may be gone before the wake,
    // which touches nothing.
    atomic_store_explicit(futex, 1, memory_order_release);
    oai_os.futex_wake(futex, 1);
}

int oai_wait_ready_any(oai_wait_t *wait, bool next)
{
    oai_task_t *task = wait->task;
    uint64_t word = wait->word;
    oai_sync_release(oai_wait_word(wait));
    if (wait->claimed & SAVED)
        // As in oai_wait_ready_hot().
        atomic_store_explicit(oai_wait_word(wait), word | CLAIMED | SAVED | READY,
                              memory_order_release);
    // Release: what was handed over. Acquire: pairs with SAVED's release, the task's registers.
    // After this the wait is gone, unless SAVED makes it ours to resume. Added: as in
    // oai_wait_saved().
    else if (!(atomic_fetch_add_explicit(oai_wait_word(wait), READY, memory_order_acq_rel) & SAVED))
        return 0;
    if (OAI_UNLIKELY(word & THREAD))
        wake_thread(task ? &task->futex : &wait->whole->futex);
    else if (next)
        oai_task_ready_next(task);
    else
        oai_task_ready(task);
    return 0;
}

void oai_wait_ready(oai_wait_t *wait)
{
    oai_wait_ready_hot(wait, wait->claimed);
}

void oai_wait_over(oai_wait_t *wait, oai_task_t *task)
{
    // Relaxed: nobody else writes the word of such a task.
    uint64_t word = atomic_load_explicit(&task->word, memory_order_relaxed);
    wait->task = task;
    wait->word = word >> NUMBER_SHIFT << NUMBER_SHIFT;
    wait->claimed = CLAIMED | SAVED;
}

void oai_wait_claim_all(oai_waiters_t *waiters, int result, oai_list_t *claimed)
{
    oai_wait_t *wait;
    while ((wait = oai_wait_claim_first(waiters)) != NULL) {
        wait->result = result;
        oai_list_append(claimed, &wait->link);
    }
}

// The first runs next; the others follow in their order.
void oai_wait_ready_all(oai_list_t *claimed)
{
    oai_link_t *link;
    for (bool next = true; (link = oai_list_pop(claimed)) != NULL; next = false)
        oai_wait_ready_any(oai_container(link, oai_wait_t, link), next);
}

bool oai_wait_break(oai_task_t *task, uint64_t word, int result)
{
    oai_sync_release(&task->word);
    uint64_t cause = result == -ETIMEDOUT   ? CAUSE_DEADLINE
                     : result == -ECANCELED ? CAUSE_CANCELLED
                                            : CAUSE_DEADLOCK;
    uint64_t seen = oai_word_claim(&task->word, word, CLAIMED | READY | cause << CAUSE_SHIFT);
    if (seen & CLAIMED)
        return false;
    if (seen & SAVED && word & THREAD)
        wake_thread(&task->futex);
    else if (seen & SAVED)
        oai_task_ready(task);
    return true;
}

void oai_wait_break_cancelled(oai_task_t *task)
{
    // Seq_cst: the canceller's look, told above.
    uint64_t word = atomic_load_explicit(&task->word, memory_order_seq_cst);
    if ((word & (SAVED | CLAIMED | UNBREAKABLE)) == SAVED)
        oai_wait_break(task, word & ~(uint64_t)SAVED, -ECANCELED);
}

void oai_wait_saved(oai_task_t *task)
{
    // Release: the registers, to whoever resumes it. Acquire: pairs with ready's release, for the
    // queue. Seq_cst: the parking task's half of the cancel pair, told above. Added: the bit is
    // clear, and x86 can tell what was there before without a loop.
    uint64_t word = atomic_fetch_add_explicit(&task->word, SAVED, memory_order_seq_cst);
    OAI_ASSERT(!(word & SAVED));
    if (word & READY)
        oai_task_ready_next(task);
    else
        break_if_cancelled(task, word);
}

// ---- A task that is lent to a thread ------------------------------------------------------------

bool oai_wait_doomed(const oai_wait_t *wait)
{
    return !(wait->word & UNBREAKABLE) &&
           (oai_task_broken(wait->task) || coord_cancelled(wait->task));
}

void oai_wait_lend(oai_wait_t *wait)
{
    unsigned rounds = 0;
    // Acquire: pairs with the release in oai_wait_saved(): its worker has left the task.
    while (!(atomic_load_explicit(oai_wait_word(wait), memory_order_acquire) & SAVED))
        oai_lock_pause(&rounds);
    oai_sync_acquire(oai_wait_word(wait));
    // Relaxed: the flag is its thread's own, as the task is.
    atomic_fetch_or_explicit(&wait->task->flags, OAI_TASK_HOSTED, memory_order_relaxed);
}

void oai_wait_give_back(oai_task_t *task)
{
    atomic_fetch_and_explicit(&task->flags, ~(uint32_t)OAI_TASK_HOSTED, memory_order_relaxed);
    // Relaxed: nobody else writes the word, told above.
    uint64_t number = atomic_load_explicit(&task->word, memory_order_relaxed) >> NUMBER_SHIFT;
    uint64_t word = number << NUMBER_SHIFT | CLAIMED | SAVED | READY;
    oai_sync_release(&task->word);
    // Release: what the thread has done, to the task.
    atomic_store_explicit(&task->word, word, memory_order_release);
    oai_task_ready_next(task);
}

// ---- Held at a gate ----------------------------------------------------------------------------

uint64_t oai_wait_next(oai_task_t *task)
{
    // Relaxed: nobody writes between two waits.
    uint64_t word = atomic_load_explicit(&task->word, memory_order_relaxed);
    return ((word >> NUMBER_SHIFT) + 1) << NUMBER_SHIFT;
}

void oai_wait_held(oai_task_t *task, uint64_t word)
{
    // The task may be elsewhere already: as at the end of oai_wait_saved().
    if (oai_task_broken(task) || coord_cancelled(task))
        oai_wait_break(task, word, -ECANCELED);
}

int oai_wait_outcome(oai_task_t *task)
{
    oai_sync_acquire(&task->word);
    // Acquire: as in oai_wait_ended().
    return result_of(atomic_load_explicit(&task->word, memory_order_acquire));
}
