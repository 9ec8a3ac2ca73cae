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
// A deadline or a cancel has nothing to hand over: it sets CLAIMED and READY in one exchange.
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
// oa_block lends a task: who has claimed its wait runs a function as the task, on the thread that
// hosts it meanwhile. That waits until SAVED is set, after which only the claimer writes the word:
// it may make new numbers, wait after wait, as the task would. In the end it leaves the present
// number behind, claimed, saved and ready, and queues the task.
#include "sched/wait.h"

#include "sched/internal.h"

enum {
    CLAIMED = 1,
    READY = 2,
    SAVED = 4,
    UNBREAKABLE = 8,
    CAUSE_SHIFT = 4, // two bits
    THREAD = 128,    // the waiter is a thread that sleeps on a futex; constant during the wait
    NUMBER_SHIFT = 8,
};
_Static_assert((int)THREAD == (int)OAI_TASK_HOSTED, "taken over from the task's flags");
enum { CAUSE_WOKEN, CAUSE_DEADLINE, CAUSE_CANCELLED };

static _Atomic uint64_t *word_of(oai_wait_t *wait)
{
    return wait->task ? &wait->task->word : &wait->thread_word;
}

static int result_of(uint64_t word)
{
    static const int results[] = {0, -ETIMEDOUT, -ECANCELED};
    return results[(word >> CAUSE_SHIFT) & 3];
}

// Whether a task, running or parked, has been cancelled and is not shielded. Seq_cst: told above.
static inline bool cancelled(oai_task_t *task)
{
    uint32_t flags = atomic_load_explicit(&task->flags, memory_order_seq_cst);
    return OAI_UNLIKELY((flags & (OAI_TASK_CANCELLED | OAI_TASK_SHIELDED)) == OAI_TASK_CANCELLED);
}

static inline bool coord_cancelled(oai_task_t *task)
{
    // Seq_cst: as above.
    return atomic_load_explicit(&oai_task_coord(task)->state, memory_order_seq_cst) ==
           OAI_CANCELLING;
}

bool oai_wait_cancelled(void)
{
    oai_task_t *task = oai_current();
    return task && cancelled(task);
}

bool oai_wait_expired(int64_t deadline)
{
    return deadline != OA_FOREVER && oai_os.now() >= deadline;
}

uintptr_t oai_wait_self(void)
{
    oai_worker_t *worker = oai_self();
    oai_task_t *task = worker ? worker->current : NULL;
    return task ? (uintptr_t)task : oai_self_thread();
}

// ---- The waiter ---------------------------------------------------------------------------------

// In a thread that runs no task as a worker.
static __attribute__((noinline)) int begin_thread(oai_wait_t *wait, oai_worker_t *worker)
{
    oai_task_t *task = worker ? NULL : oai_hosted();
    wait->task = task;
    return task && wait->breakable && cancelled(task) ? -ECANCELED : 0;
}

int oai_wait_begin(oai_wait_t *wait, bool breakable)
{
    oai_worker_t *worker = oai_self();
    oai_task_t *task = worker ? worker->current : NULL;
    wait->task = task;
    wait->breakable = breakable;
    wait->linked = false;
    wait->result = 0;
    if (!task)
        return begin_thread(wait, worker);
    if (breakable && cancelled(task))
        return -ECANCELED;
    return oai_worker_prepare(worker);
}

void oai_wait_arm(oai_wait_t *wait)
{
    oai_task_t *task = wait->task;
    if (!task) {
        wait->word = UNBREAKABLE | THREAD;
        atomic_init(&wait->thread_word, UNBREAKABLE | THREAD);
        return;
    }
    // Relaxed, all but the store of a held task: the shield is the task's own, only the task itself
    // begins a wait, and nobody writes between two waits.
    uint32_t flags = atomic_load_explicit(&task->flags, memory_order_relaxed);
    uint64_t number = (atomic_load_explicit(&task->word, memory_order_relaxed) >> NUMBER_SHIFT) + 1;
    uint64_t word = number << NUMBER_SHIFT;
    if (OAI_UNLIKELY(flags & OAI_TASK_HELD)) { // it has no registers, and is on no thread
        wait->word = word;
        // Seq_cst: as in oai_wait_saved().
        atomic_store_explicit(&task->word, word | SAVED, memory_order_seq_cst);
        return;
    }
    if (!wait->breakable || flags & (OAI_TASK_SHIELDED | OAI_TASK_HOSTED)) {
        bool breakable = wait->breakable && !(flags & OAI_TASK_SHIELDED);
        word |= (breakable ? 0 : UNBREAKABLE) | (flags & OAI_TASK_HOSTED);
    }
    wait->word = word;
    atomic_store_explicit(&task->word, word, memory_order_relaxed);
}

// One attempt of one claimer: `bits` are set if the wait `word` is unclaimed. Returns the word
// before, with CLAIMED in it if somebody was quicker or it is another wait.
static uint64_t claim(_Atomic uint64_t *place, uint64_t word, uint64_t bits)
{
    uint64_t seen = atomic_load_explicit(place, memory_order_relaxed);
    do {
        if ((seen & ~(uint64_t)SAVED) != word)
            return CLAIMED;
        // Acquire: the registers of a task that was saved, for who may then resume it. Release: the
        // past of who sets READY in the same exchange (a deadline, a cancel), to the task.
    } while (!atomic_compare_exchange_weak_explicit(place, &seen, seen | bits, memory_order_acq_rel,
                                                    memory_order_relaxed));
    return seen;
}

// What the wait has come to, of the task that was resumed.
static inline int outcome(oai_task_t *task)
{
    oai_sync_acquire(&task->word);
    // Acquire: pairs with the release of ready: what was handed over is seen.
    int result = result_of(atomic_load_explicit(&task->word, memory_order_acquire));
    // The flag of a task that was being made when its coordinator was cancelled may have been
    // written over: then every later wait must know it, too.
    if (OAI_UNLIKELY(result == -ECANCELED))
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
        (cancelled(task) || OAI_UNLIKELY(coord_cancelled(task))))
        oai_wait_break(task, word, -ECANCELED);
}

// The calling thread, plain or the host of a task, sleeps.
static __attribute__((noinline)) int park_thread(oai_wait_t *wait, int64_t deadline)
{
    oai_task_t *task = wait->task;
    _Atomic uint64_t *place = word_of(wait);
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
        if (!(claim(place, wait->word, bits) & CLAIMED))
            return -ETIMEDOUT;
        deadline = OA_FOREVER; // claimed: it will be ready in a moment
    }
    if (task)
        return outcome(task);
    oai_sync_acquire(place);
    return 0;
}

int oai_wait_park(oai_wait_t *wait, int64_t deadline)
{
    if (OAI_UNLIKELY(wait->word & THREAD))
        return park_thread(wait, deadline);
    oai_worker_t *worker = oai_self();
    oai_task_t *task = wait->task;
    if (OAI_LIKELY(deadline == OA_FOREVER)) {
        oai_worker_leave(worker, OAI_LEAVE_PARK);
    } else {
        oai_timers_t *shard = &worker->coord->shards[worker->id % worker->coord->workers];
        oai_deadline_t timer = {.task = task, .word = wait->word};
        if (oai_timers_insert(shard, &timer, deadline))
            worker->tick = 1; // before another task runs somebody must know of the new expiry
        oai_worker_leave(worker, OAI_LEAVE_PARK);
        oai_timers_remove(shard, &timer);
    }
    return outcome(task);
}

// ---- Whoever lets it go ------------------------------------------------------------------------

bool oai_wait_claim(oai_wait_t *wait)
{
    // The object's lock has ordered everything the claimer reads of the wait.
    uint64_t seen = claim(word_of(wait), wait->word, CLAIMED);
    wait->saved = (seen & SAVED) != 0;
    return !(seen & CLAIMED);
}

void oai_wait_claim_sole(oai_wait_t *wait)
{
    // Acquire: the registers, as in claim(). Who is not found saved here is found so in ready.
    uint64_t seen = atomic_load_explicit(word_of(wait), memory_order_acquire);
    wait->saved = (seen & SAVED) != 0;
}

// Lets a thread go that sleeps on this futex: plain, or the host of a task.
static __attribute__((noinline)) void wake_thread(_Atomic uint32_t *futex)
{
    // Release: pairs with the acquire in park_thread(). The thread may be gone before the wake,
    // which touches nothing.
    atomic_store_explicit(futex, 1, memory_order_release);
    oai_os.futex_wake(futex, 1);
}

// `next`: a task shall run next on this worker, not behind what is ready there.
static inline void ready(oai_wait_t *wait, bool next)
{
    oai_task_t *task = wait->task;
    uint64_t word = wait->word;
    oai_sync_release(word_of(wait));
    if (wait->saved)
        // Claimed and saved: nobody else writes the word any more, a store is enough. Release: what
        // was handed over; the claim has acquired the registers.
        atomic_store_explicit(word_of(wait), word | CLAIMED | SAVED | READY, memory_order_release);
    // Release: what was handed over. Acquire: pairs with SAVED's release, the task's registers.
    // After this the wait is gone, unless SAVED makes it ours to resume.
    else if (!(atomic_fetch_or_explicit(word_of(wait), READY, memory_order_acq_rel) & SAVED))
        return;
    if (OAI_LIKELY(!(word & THREAD)))
        oai_task_ready(task, next);
    else
        wake_thread(task ? &task->futex : &wait->futex);
}

void oai_wait_ready(oai_wait_t *wait)
{
    ready(wait, true);
}

void oai_wait_over(oai_wait_t *wait, oai_task_t *task)
{
    // Relaxed: nobody else writes the word of such a task.
    uint64_t word = atomic_load_explicit(&task->word, memory_order_relaxed);
    wait->task = task;
    wait->word = word >> NUMBER_SHIFT << NUMBER_SHIFT;
    wait->saved = true;
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
        ready(oai_container(link, oai_wait_t, link), next);
}

bool oai_wait_break(oai_task_t *task, uint64_t word, int result)
{
    oai_sync_release(&task->word);
    uint64_t cause = result == -ECANCELED ? CAUSE_CANCELLED : CAUSE_DEADLINE;
    uint64_t seen = claim(&task->word, word, CLAIMED | READY | cause << CAUSE_SHIFT);
    if (seen & CLAIMED)
        return false;
    if (seen & SAVED && word & THREAD)
        wake_thread(&task->futex);
    else if (seen & SAVED)
        oai_task_ready(task, false);
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
    // queue. Seq_cst: the parking task's half of the cancel pair, told above.
    uint64_t word = atomic_fetch_or_explicit(&task->word, SAVED, memory_order_seq_cst);
    if (word & READY)
        oai_task_ready(task, true);
    else
        break_if_cancelled(task, word);
}

// ---- A task that is lent to a thread ------------------------------------------------------------

bool oai_wait_doomed(const oai_wait_t *wait)
{
    return !(wait->word & UNBREAKABLE) && (cancelled(wait->task) || coord_cancelled(wait->task));
}

void oai_wait_lend(oai_wait_t *wait)
{
    unsigned rounds = 0;
    // Acquire: pairs with the release in oai_wait_saved(): its worker has left the task.
    while (!(atomic_load_explicit(word_of(wait), memory_order_acquire) & SAVED))
        oai_lock_pause(&rounds);
    oai_sync_acquire(word_of(wait));
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
    oai_task_ready(task, true);
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
    if (cancelled(task) || coord_cancelled(task))
        oai_wait_break(task, word, -ECANCELED);
}

int oai_wait_outcome(oai_task_t *task)
{
    oai_sync_acquire(&task->word);
    // Acquire: as in oai_wait_park().
    return result_of(atomic_load_explicit(&task->word, memory_order_acquire));
}
