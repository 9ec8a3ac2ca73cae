// SPDX-License-Identifier: BSD-2-Clause
// task.c - a task's life but for its running: made, found by its handle, joined, cancelled, freed.
//
// A handle is the task's address and its generation in one word. Slots are type-stable, so a stale
// handle finds some task and sees that the generation is another one. Whatever a handle allows is
// done with the task's ticket locked, which succeeds for its own generation only and pins the task:
// none that a handle was given out for is freed without that lock.
#include <string.h>

#include "sched/hot.h"
#include "sched/internal.h"
#include "sched/sched.h"
#include "sched/wait_hot.h"

// ---- Handles and the ticket's lock --------------------------------------------------------------

#define GENERATION_MASK ((UINT32_C(1) << OAI_GENERATION_BITS) - 1)

static oai_task_t *handle_task(oa_task_t *handle)
{
    uintptr_t aligned = ((uintptr_t)1 << OAI_TASK_ALIGN_SHIFT) - 1;
    return (oai_task_t *)((uintptr_t)handle >> OAI_ADDRESS_SHIFT & ~aligned);
}

static bool handle_fits(oa_task_t *handle, uint32_t ticket)
{
    return ((uintptr_t)handle & GENERATION_MASK) == ticket >> OAI_TICKET_SHIFT;
}

// A look at the ticket. Acquire: pairs with the release of the last holder. Who finds his handle
// stale must have the end of that task behind him: a joiner whose wait was broken is about to leave
// the frame in which the end has tried to claim that wait.
static uint32_t look(oai_task_t *task)
{
    return atomic_load_explicit(&task->ticket, memory_order_acquire);
}

// Takes the lock in a ticket that was seen unlocked; *ticket becomes what it was.
static bool try_lock(oai_task_t *task, uint32_t *ticket)
{
    // Acquire, both: as in look().
    return !(*ticket & OAI_TICKET_LOCKED) &&
           atomic_compare_exchange_weak_explicit(&task->ticket, ticket, *ticket | OAI_TICKET_LOCKED,
                                                 memory_order_acquire, memory_order_acquire);
}

// Another has the lock, or had it a moment ago.
static __attribute__((noinline)) oai_task_t *lock_handle_slow(oa_task_t *handle, uint32_t *ticket)
{
    oai_task_t *task = handle_task(handle);
    unsigned rounds = 0;
    while (handle_fits(handle, *ticket)) {
        if (try_lock(task, ticket))
            return task;
        if (*ticket & OAI_TICKET_LOCKED) {
            oai_lock_pause(&rounds);
            *ticket = look(task);
        }
    }
    return NULL;
}

// Locks the task of a handle; *ticket is what it was. NULL: the handle is stale.
static inline oai_task_t *lock_handle(oa_task_t *handle, uint32_t *ticket)
{
    oai_task_t *task = handle_task(handle);
    if (!handle)
        return NULL;
    *ticket = look(task);
    if (OAI_LIKELY(handle_fits(handle, *ticket) && try_lock(task, ticket)))
        return task;
    return lock_handle_slow(handle, ticket);
}

static __attribute__((noinline)) uint32_t lock_task_slow(oai_task_t *task)
{
    unsigned rounds = 0;
    uint32_t ticket = look(task);
    while (!try_lock(task, &ticket)) {
        oai_lock_pause(&rounds);
        ticket = look(task);
    }
    return ticket;
}

// Locks a task that only its own end frees, by that end; returns the ticket.
static inline uint32_t lock_task(oai_task_t *task)
{
    uint32_t ticket = look(task);
    if (OAI_UNLIKELY(!try_lock(task, &ticket)))
        ticket = lock_task_slow(task);
    oai_sync_acquire(&task->ticket);
    return ticket;
}

// Unlocks and leaves this ticket behind: the holder's last touch.
static void unlock(oai_task_t *task, uint32_t ticket)
{
    // Release: pairs with the acquire in look() and try_lock().
    atomic_store_explicit(&task->ticket, ticket, memory_order_release);
}

// A ticket of the next generation. 0 when there is none: nobody may be given the slot again, for
// his handle could be taken for an old one.
static uint32_t next_ticket(uint32_t ticket)
{
    return ((ticket >> OAI_TICKET_SHIFT) + 1) << OAI_TICKET_SHIFT;
}

// ---- Made and freed -----------------------------------------------------------------------------

// What the options of a spec make of a task. False: no memory.
static __attribute__((noinline)) bool make_options(oai_task_t *task, const oa_spec_t *spec,
                                                   uint32_t *flags)
{
    if (!oai_extra_make(task, spec, flags))
        return false;
    if (spec->group)
        *flags |= OAI_TASK_GROUPED;
    const oa_coord_t *coord = oai_task_coord(task);
    if (spec->stack && (spec->pinned || oai_stack_class(spec->stack) != coord->stack_class))
        *flags |= (oai_stack_class(spec->stack) + 1) << OAI_TASK_CLASS_SHIFT;
    if ((spec->block || spec->pinned) && !oai_sim_of(coord))
        *flags |= OAI_TASK_HOSTED | (spec->pinned ? OAI_TASK_PINNED : 0u);
    if (spec->task)
        *flags |= OAI_TASK_NAMED;
    return true;
}

// The first of `count` new ids, few of them.
static inline uint64_t take_ids(oa_coord_t *coord, oai_worker_t *worker, unsigned count)
{
    enum { AT_ONCE = 4096 };
    if (OAI_UNLIKELY(oai_sim_of(coord) != NULL))
        return oai_sim_ids(coord->sim, count);
    if (!worker)
        return oai_coord_ids(count);
    if (worker->id_end - worker->id_next < count) {
        worker->id_next = oai_coord_ids(AT_ONCE);
        worker->id_end = worker->id_next + AT_ONCE;
    }
    uint64_t first = worker->id_next;
    worker->id_next += count;
    return first;
}

static void free_slot(oai_task_t *task, oai_worker_t *worker)
{
    if (worker)
        oai_task_give(&worker->tasks, task);
    else
        oai_task_pool_give(&oai_task_coord(task)->tasks, task);
}

oai_task_t *oai_task_make(oa_coord_t *coord, oai_worker_t *worker, const oa_spec_t *spec, bool bare)
{
    oai_task_t *task = worker ? oai_task_take(&worker->tasks) : oai_task_pool_take(&coord->tasks);
    if (!task)
        return NULL;
    uint32_t flags = 0;
    task->arg = spec->arg;
    if (OAI_UNLIKELY(!bare && !make_options(task, spec, &flags))) {
        free_slot(task, worker);
        return NULL;
    }
    if (OAI_UNLIKELY(oai_sim_of(coord) != NULL))
        flags |= OAI_TASK_SIMULATED;
    uint64_t id = take_ids(coord, worker, 1);
    oai_task_fill(task, id, spec->fn, spec->where, spec->group, flags);
    if (spec->task)
        oai_task_make_joinable(task);
    return task;
}

// A task with either of these has a block of its own, which begins with the first.
enum { OWNS_BLOCK = OAI_TASK_GATED | OAI_TASK_EXTRA };

// Frees a task. If it was NAMED its ticket is locked; its handles are stale from here on.
static void free_task(oai_task_t *task, oai_worker_t *worker)
{
    uint32_t flags = atomic_load_explicit(&task->flags, memory_order_relaxed);
    if (OAI_UNLIKELY(flags & OWNS_BLOCK))
        oai_os.free(task->extra);
    if (flags & OAI_TASK_NAMED) {
        uint32_t next = next_ticket(atomic_load_explicit(&task->ticket, memory_order_relaxed));
        unlock(task, next);
        if (next == 0)
            return; // lost to the pool until the coordinator ends
    }
    free_slot(task, worker);
}

// The worker of the task's coordinator that the caller is, or NULL.
static oai_worker_t *own_worker(const oai_task_t *task)
{
    return oai_worker_of(oai_task_coord(task));
}

// Counts the tasks that have ended and wait for who joins or detaches them with what they own: when
// their coordinator ends that must be found.
static void keep_ended(oai_task_t *task, int change)
{
    // Relaxed, both: read when no other thread is left.
    if (atomic_load_explicit(&task->flags, memory_order_relaxed) & OWNS_BLOCK)
        atomic_fetch_add_explicit(&oai_task_coord(task)->kept, change, memory_order_relaxed);
}

// The task that nobody has joined or detached, but whose coordinator ends.
void oai_task_abandon(oai_task_t *task, void *ignored)
{
    (void)ignored;
    uint32_t ticket = atomic_load_explicit(&task->ticket, memory_order_relaxed);
    uint32_t flags = atomic_load_explicit(&task->flags, memory_order_relaxed);
    if ((ticket & OAI_TICKET_ENDED) && (flags & OWNS_BLOCK))
        oai_os.free(task->extra);
}

// Whether a joiner that waits is the caller's to let go. One that cannot be broken has no deadline
// (oa_join).
static bool claim_joiner(oai_wait_t *joiner)
{
    if (joiner->breakable)
        return oai_wait_claim(joiner);
    oai_wait_claim_sole(joiner);
    return true;
}

// A joinable task has ended, its ticket is locked. A joiner that waits is let go, and needs nothing
// of the task any more; else the task stays for whoever joins or detaches it.
static void end_joinable(oai_task_t *task, uint32_t ticket, oai_worker_t *worker)
{
    oai_wait_t *joiner = task->joiner;
    task->joiner = NULL;
    oai_sync_release(task);
    if (joiner && claim_joiner(joiner)) {
        free_task(task, worker);
        oai_wait_ready(joiner);
    } else {
        keep_ended(task, 1);
        unlock(task, ticket | OAI_TICKET_ENDED);
    }
}

void oai_task_count_end(oa_coord_t *coord, oai_worker_t *worker)
{
    if (!worker) {
        oai_inject_dropped(&coord->inject);
        oai_coord_try_end(coord); // perhaps all workers sleep
        return;
    }
    oai_worker_count_ended(worker);
}

void oai_task_disown(oai_task_t *task)
{
    // Relaxed: nobody has been told the handle.
    uint32_t ticket = atomic_load_explicit(&task->ticket, memory_order_relaxed);
    unlock(task, ticket & ~(uint32_t)OAI_TICKET_JOINABLE); // who has an old one may look()
}

// The flags are the task's own, but for a cancel, which has the ticket locked or, where it is one
// of the whole consumer, was announced before.
static __attribute__((noinline)) bool forget(oai_task_t *task, uint32_t flags)
{
    uint32_t ticket = flags & OAI_TASK_NAMED ? lock_task(task) : 0;
    uint32_t next = next_ticket(ticket);
    uint32_t over = next ? OAI_TASK_OF_A_CALL : OAI_TASK_OF_A_CALL & ~(uint32_t)OAI_TASK_NAMED;
    // Acquire: pairs with the seq_cst of who cancels: if its flag is cleared here, what it has
    // announced is seen (dormant.c).
    atomic_fetch_and_explicit(&task->flags, ~over, memory_order_acquire);
    if (ticket)
        unlock(task, next ? next : ticket);
    return next != 0;
}

bool oai_task_renew(oai_task_t *task)
{
    // Relaxed: what is set by others and missed here is left for the next call.
    uint32_t flags = atomic_load_explicit(&task->flags, memory_order_relaxed);
    return !(flags & OAI_TASK_OF_A_CALL) || forget(task, flags);
}

void oai_task_number(oai_task_t *task, oai_worker_t *worker, unsigned count)
{
    task->id = take_ids(oai_task_coord(task), worker, count);
}

oai_task_t *oai_task_succeed(oai_task_t *task, oai_worker_t *worker)
{
    const uint32_t kept =
        OAI_TASK_EXTRA | OAI_TASK_CLASS_MASK | OAI_TASK_CALL | OAI_TASK_HOSTED | OAI_TASK_SIMULATED;
    oa_spec_t spec = OA_SPEC_INIT;
    spec.arg = task->arg;
    spec.where = task->where;
    oai_task_t *next = oai_task_make(oai_task_coord(task), worker, &spec, true);
    if (!next)
        return NULL;
    uint32_t ticket = lock_task(task); // somebody may ask for its name
    uint32_t flags = atomic_load_explicit(&task->flags, memory_order_relaxed);
    next->group = task->group;
    next->extra = task->extra;
    // Relaxed, both: nobody else has the one, and the other's are guarded by the ticket.
    atomic_store_explicit(&next->flags, flags & kept, memory_order_relaxed);
    atomic_fetch_and_explicit(&task->flags, ~(uint32_t)OAI_TASK_EXTRA, memory_order_relaxed);
    unlock(task, ticket);
    return next;
}

// Gates first, then the group: who waits for the group finds them left.
static __attribute__((noinline)) void leave_all(oai_task_t *task, uint32_t flags)
{
    if (flags & OAI_TASK_GATED)
        oai_gates_leave(task);
    if (flags & OAI_TASK_GROUPED)
        oai_group_leave(task->group, &task->member);
}

// The rest of the end of a task, whose ticket is locked if it has a handle.
static void end_locked(oai_task_t *task, uint32_t ticket, oai_worker_t *worker)
{
    if (ticket & OAI_TICKET_JOINABLE)
        end_joinable(task, ticket, worker);
    else
        free_task(task, worker);
}

void oai_task_finish(oai_task_t *task, oai_worker_t *worker)
{
    uint32_t flags = atomic_load_explicit(&task->flags, memory_order_relaxed);
    if (OAI_UNLIKELY(flags & (OAI_TASK_GROUPED | OAI_TASK_GATED)))
        leave_all(task, flags);
    oai_sync_release(oai_task_coord(task));
    uint32_t ticket = flags & OAI_TASK_NAMED ? lock_task(task) : 0;
    end_locked(task, ticket, worker);
}

static __attribute__((noinline)) void end_named_locked(oai_task_t *task, uint32_t ticket,
                                                       oai_worker_t *worker)
{
    end_locked(task, ticket, worker);
    oai_worker_count_ended(worker);
}

static __attribute__((noinline)) void end_named(oai_task_t *task, oai_worker_t *worker)
{
    end_named_locked(task, lock_task(task), worker);
}

void oai_task_end_named(oai_task_t *task, oai_worker_t *worker)
{
    oai_sync_release(worker->coord);
    uint32_t ticket = look(task);
    if (OAI_UNLIKELY(!try_lock(task, &ticket))) {
        end_named(task, worker);
        return;
    }
    oai_sync_acquire(&task->ticket);
    uint32_t next = next_ticket(ticket);
    oai_wait_t *joiner = task->joiner;
    if (OAI_UNLIKELY(!joiner || joiner->breakable || next == 0 || worker->tasks.room == 0)) {
        end_named_locked(task, ticket, worker);
        return;
    }
    // What end_joinable() does of it.
    task->joiner = NULL;
    oai_sync_release(task);
    uint8_t claimed = oai_wait_claim_sole_hot(joiner);
    unlock(task, next);
    oai_task_give_room(&worker->tasks, task);
    oai_worker_count_ended(worker);
    oai_wait_ready_hot(joiner, claimed);
}

void oai_task_end(oai_task_t *task, oai_worker_t *worker)
{
    oa_coord_t *coord = oai_task_coord(task);
    // Relaxed: constant.
    if (OAI_UNLIKELY(atomic_load_explicit(&task->flags, memory_order_relaxed) & OAI_TASK_CALL)) {
        oai_dormant_returned(task, worker);
        return;
    }
    oai_task_finish(task, worker);
    oai_task_count_end(coord, worker);
}

void oai_task_discard(oai_task_t *task, oai_worker_t *worker)
{
    oa_coord_t *coord = oai_task_coord(task);
    oai_sync_acquire(task);
    uint32_t flags = atomic_load_explicit(&task->flags, memory_order_relaxed);
    if (OAI_UNLIKELY(flags & OAI_TASK_CONSUMER)) {
        oai_dormant_discard(task->arg);
        return;
    }
    if (!worker) // until the task ends it keeps the coordinator alive, and then this does
        oai_coord_enter(coord);
    if (flags & OAI_TASK_GATED) // before the drop: the user's code holds nothing of the task's
        oai_gates_leave(task);
    if ((flags & OAI_TASK_EXTRA) && oai_extra_of(task, flags)->drop)
        oai_extra_of(task, flags)->drop(task->arg);
    oai_task_end(task, own_worker(task)); // asked again: users' code has run
    if (!worker)
        oai_coord_leave(coord);
}

void oai_tasks_drop(oai_task_t *chain)
{
    while (chain) {
        oai_task_t *next = chain->next;
        oai_task_discard(chain, own_worker(chain));
        chain = next;
    }
}

// ---- Joined and detached ------------------------------------------------------------------------

// Whether the caller would wait for itself: a call of a consumer for that, too.
static bool is_own(const oai_task_t *task)
{
    const oai_task_t *current = oai_current();
    if (!current || current == task)
        return current != NULL;
    // Relaxed: constant.
    return (atomic_load_explicit(&current->flags, memory_order_relaxed) & OAI_TASK_CALL) &&
           ((const oai_dormant_t *)current->arg)->self == task;
}

// What a joiner finds in a locked task. 0: it has ended; -EINPROGRESS: it has not.
static int look_at_joinable(oai_task_t *task, uint32_t ticket)
{
    if (is_own(task))
        return -EDEADLK;
    if (!(ticket & OAI_TICKET_JOINABLE))
        return -ESRCH;
    if (task->joiner)
        return -EBUSY;
    return ticket & OAI_TICKET_ENDED ? 0 : -EINPROGRESS;
}

// A join was broken: the task is its joiner's still, unless it has ended meanwhile and another has
// joined or detached it.
static void withdraw(oa_task_t *handle)
{
    uint32_t ticket;
    oai_task_t *task = lock_handle(handle, &ticket);
    if (task) {
        task->joiner = NULL;
        unlock(task, ticket);
    }
}

// Whom a joiner waits for.
static uintptr_t joined(const void *handle)
{
    return (uintptr_t)handle_task((oa_task_t *)(uintptr_t)handle);
}

// The task is locked and has not ended: waits for that. A worker of its coordinator keeps that
// alive while it waits; others count as its users.
static int join_running(oai_task_t *task, uint32_t ticket, oai_wait_t *wait, int64_t deadline)
{
    oa_coord_t *coord = own_worker(task) ? NULL : oai_task_coord(task);
    oa_task_t *handle = oai_handle_make(task, ticket);
    oai_sync_release(&task->ticket); // what the caller has read of the task
    if (coord)
        oai_coord_enter(coord);
    oai_wait_arm(wait);
    task->joiner = wait;
    unlock(task, ticket);
    oai_waits_for("oa_join", handle, joined, true);
    int err = oai_wait_park(wait, deadline);
    if (err == 0)
        oai_sync_acquire(task);
    else
        withdraw(handle);
    if (coord)
        oai_coord_leave(coord);
    return err;
}

// A task that had ended before it was joined or detached; it is locked.
static void free_ended(oai_task_t *task)
{
    oai_sync_acquire(task);
    keep_ended(task, -1);
    free_task(task, own_worker(task));
}

static int join_any(oa_task_t *handle, bool breakable, int64_t deadline)
{
    uint32_t ticket;
    oai_wait_t wait;
    int err = oai_wait_begin(&wait, breakable);
    if (err)
        return err;
    oai_task_t *task = lock_handle(handle, &ticket);
    if (!task)
        return -ESRCH;
    err = look_at_joinable(task, ticket);
    if (err == -EINPROGRESS && !oai_wait_expired(deadline))
        return join_running(task, ticket, &wait, deadline);
    if (err == 0) {
        free_ended(task);
    } else {
        unlock(task, ticket);
    }
    return err == -EINPROGRESS ? -ETIMEDOUT : err;
}

static __attribute__((noinline)) int join(oa_task_t *handle, bool breakable, int64_t deadline)
{
    oai_point("oa_join", handle);
    int err = join_any(handle, breakable, deadline);
    oai_point("oa_join", handle);
    return err;
}

// What oa_join() mostly is: a virtual thread waits for a task of its coordinator that runs. It
// locks that if it finds it so.
static inline bool lock_running(oa_task_t *handle, oai_task_t *caller, oai_worker_t *worker)
{
    oai_task_t *task = handle_task(handle);
    if (OAI_UNLIKELY(!handle || task == caller || oai_task_coord(task) != worker->coord))
        return false;
    uint32_t ticket = look(task);
    uint32_t kind = ticket & (OAI_TICKET_JOINABLE | OAI_TICKET_ENDED);
    if (OAI_UNLIKELY(!handle_fits(handle, ticket) || kind != OAI_TICKET_JOINABLE ||
                     !try_lock(task, &ticket)))
        return false;
    if (OAI_LIKELY(!task->joiner))
        return true;
    unlock(task, ticket);
    return false;
}

int oa_join(oa_task_t *handle)
{
    oai_worker_t *worker = oai_self();
    oai_task_t *caller = oai_wait_quick(worker, false);
    // Relaxed: constant. The call of a consumer may not wait for that: told in is_own().
    if (OAI_UNLIKELY(!caller || (atomic_load_explicit(&caller->flags, memory_order_relaxed) &
                                 (OAI_TASK_CALL | OAI_TASK_SIMULATED))) ||
        !lock_running(handle, caller, worker))
        return join(handle, false, OA_FOREVER);
    // What join_running() does of it.
    oai_task_t *task = handle_task(handle);
    oai_wait_t wait;
    oai_wait_begin_quick(&wait, caller, false);
    oai_wait_arm_task(&wait, caller, false);
    task->joiner = &wait;
    oai_sync_release(&task->ticket);
    // Relaxed: who holds the lock is alone in writing it.
    uint32_t locked = atomic_load_explicit(&task->ticket, memory_order_relaxed);
    unlock(task, locked & ~(uint32_t)OAI_TICKET_LOCKED);
    int err = oai_worker_park(worker);
    oai_sync_acquire(task);
    return err;
}

int oa_join_until(oa_task_t *handle, int64_t deadline)
{
    return join(handle, true, deadline);
}

static int detach(oa_task_t *handle)
{
    uint32_t ticket;
    oai_task_t *task = lock_handle(handle, &ticket);
    if (!task)
        return -ESRCH;
    if (!(ticket & OAI_TICKET_JOINABLE) || task->joiner) {
        int err = task->joiner ? -EBUSY : -ESRCH;
        unlock(task, ticket);
        return err;
    }
    uint32_t next = next_ticket(ticket);
    oai_sync_release(&task->ticket); // as in join_running()
    if (ticket & OAI_TICKET_ENDED)
        free_ended(task);
    else // this handle is stale from here on; what the task itself asks for is another one
        unlock(task, next ? next : ticket & ~(uint32_t)OAI_TICKET_JOINABLE);
    return 0;
}

int oa_detach(oa_task_t *handle)
{
    oai_point(__func__, handle);
    int err = detach(handle);
    oai_point(__func__, handle);
    return err;
}

// ---- Cancelled ----------------------------------------------------------------------------------

// Cancels a task that is pinned. True: it was delayed, or waited for a thread, and shall never run,
// or is a consumer that rested; it is the caller's now, to be discarded.
static bool cancel(oai_task_t *task)
{
    // Seq_cst: the canceller's store of the pair told in wait.c.
    uint32_t flags =
        atomic_fetch_or_explicit(&task->flags, OAI_TASK_CANCELLED, memory_order_seq_cst);
    if (OAI_UNLIKELY(flags & OAI_TASK_CONSUMER)) {
        bool rested = oai_consumer_cancel(task->arg);
        oai_sync_release(task->arg);
        return rested;
    }
    unsigned index = (flags & OAI_TASK_SHARD_MASK) >> OAI_TASK_SHARD_SHIFT;
    oai_timers_t *shard = &oai_task_coord(task)->shards[index];
    if ((flags & OAI_TASK_DELAYED) && oai_timers_undelay(shard, task))
        return true;
    if ((flags & OAI_TASK_QUEUED) && oai_pool_withdraw(&oai_task_coord(task)->pool, task))
        return true;
    oai_wait_break_cancelled(task);
    return false;
}

int oa_cancel(oa_task_t *handle)
{
    uint32_t ticket;
    oai_point(__func__, handle);
    oai_task_t *task = lock_handle(handle, &ticket);
    if (!task)
        return -ESRCH;
    if (ticket & OAI_TICKET_ENDED) {
        unlock(task, ticket);
        return -ESRCH;
    }
    oai_task_cancel_pinned(task, ticket);
    oai_point(__func__, handle);
    return 0;
}

bool oai_task_try_pin(oai_task_t *task, uint32_t *ticket)
{
    *ticket = look(task);
    return try_lock(task, ticket);
}

void oai_task_cancel_pinned(oai_task_t *task, uint32_t ticket)
{
    bool dropped = cancel(task);
    unlock(task, ticket);
    if (dropped)
        oai_task_discard(task, own_worker(task));
}

oai_task_t *oai_member_cancel(oai_link_t *member, oai_task_t *chain)
{
    oai_task_t *task = oai_container(member, oai_task_t, member);
    if (!cancel(task)) // pinned by the group's lock
        return chain;
    task->next = chain;
    return task;
}

void oai_task_cancel_any(oai_task_t *task, void *ignored)
{
    (void)ignored;
    // Seq_cst: as in cancel(). In a free slot the flag is written over.
    atomic_fetch_or_explicit(&task->flags, OAI_TASK_CANCELLED, memory_order_seq_cst);
    oai_wait_break_cancelled(task);
}

bool oai_task_dropped(oai_task_t *task)
{
    // Relaxed, both: whoever has to be sure waits.
    return (atomic_load_explicit(&task->flags, memory_order_relaxed) & OAI_TASK_CANCELLED) ||
           atomic_load_explicit(&oai_task_coord(task)->state, memory_order_relaxed) ==
               OAI_CANCELLING;
}

bool oa_cancelled(void)
{
    oai_point(__func__, NULL);
    oai_task_t *task = oai_current();
    return task && oai_task_dropped(task);
}

bool oa_shield(bool on)
{
    oai_task_t *task = oai_current();
    if (!task)
        return false;
    // Relaxed, both: the flag is the task's own; the exchange is for the flags beside it.
    uint32_t flags =
        on ? atomic_fetch_or_explicit(&task->flags, OAI_TASK_SHIELDED, memory_order_relaxed)
           : atomic_fetch_and_explicit(&task->flags, ~(uint32_t)OAI_TASK_SHIELDED,
                                       memory_order_relaxed);
    return (flags & OAI_TASK_SHIELDED) != 0;
}

// ---- Looked at ----------------------------------------------------------------------------------

oa_task_t *oa_self(void)
{
    oai_task_t *task = oai_current();
    if (!task)
        return NULL;
    // Relaxed, both: the flag is the task's own.
    if (!(atomic_load_explicit(&task->flags, memory_order_relaxed) & OAI_TASK_NAMED))
        atomic_fetch_or_explicit(&task->flags, OAI_TASK_NAMED, memory_order_relaxed);
    return oai_task_handle(task);
}

uint64_t oa_task_id(oa_task_t *handle)
{
    uint32_t ticket;
    oai_point(__func__, handle);
    oai_task_t *task = lock_handle(handle, &ticket);
    if (!task)
        return 0;
    uint64_t id = task->id;
    unlock(task, ticket);
    return id;
}

const char *oai_task_name(const oai_task_t *task)
{
    uint32_t flags = atomic_load_explicit(&task->flags, memory_order_relaxed);
    return flags & OAI_TASK_EXTRA ? oai_extra_of(task, flags)->name : "";
}

const char *oa_task_name(oa_task_t *handle)
{
    uint32_t ticket;
    oai_point(__func__, handle);
    oai_task_t *task = lock_handle(handle, &ticket);
    if (!task)
        return NULL;
    const char *name = oai_task_name(task);
    unlock(task, ticket);
    return name;
}

oa_group_t *oai_task_group(void)
{
    oai_task_t *task = oai_current();
    return task ? task->group : NULL;
}
