// SPDX-License-Identifier: BSD-2-Clause
// task.c - a task's life but for its running: made, found by its handle, joined, cancelled, freed.
//
// A handle is the task's address and its generation in one word. Slots are type-stable, so a stale
// handle finds some task and sees that the generation is another one. Whatever a handle allows is
// done by a compare-exchange of `state` that has the generation in it, or under the LOCKED bit,
// without which no task that a handle was given out for is freed.
#include <string.h>

#include "sched/internal.h"
#include "sched/sched.h"

// ---- Handles and the lock in the state ----------------------------------------------------------

enum { ADDRESS_SHIFT = OAI_GENERATION_BITS - OAI_TASK_ALIGN_SHIFT };

static oa_task_t *make_handle(oai_task_t *task, uint32_t generation)
{
    return (oa_task_t *)((uintptr_t)task << ADDRESS_SHIFT | (generation & OAI_GENERATION_MASK));
}

static oai_task_t *handle_task(oa_task_t *handle)
{
    uintptr_t aligned = ((uintptr_t)1 << OAI_TASK_ALIGN_SHIFT) - 1;
    return (oai_task_t *)((uintptr_t)handle >> ADDRESS_SHIFT & ~aligned);
}

static bool handle_fits(oa_task_t *handle, uint64_t state)
{
    return (((uintptr_t)handle ^ oai_generation(state)) & OAI_GENERATION_MASK) == 0;
}

static uint64_t next_generation(uint64_t state)
{
    uint32_t generation = oai_generation(state) + 1;
    // Memory given back reads as generation 0, which no handle has.
    if ((generation & OAI_GENERATION_MASK) == 0)
        generation++;
    return (uint64_t)generation << 32;
}

// Locks the task of a handle. False: the handle is stale.
static bool lock_handle(oa_task_t *handle, oai_task_t **task)
{
    if (!handle)
        return false;
    *task = handle_task(handle);
    uint64_t state = atomic_load_explicit(&(*task)->state, memory_order_relaxed);
    unsigned rounds = 0;
    for (;;) {
        if (!handle_fits(handle, state))
            return false;
        if (state & OAI_TASK_LOCKED) {
            oai_lock_pause(&rounds);
            state = atomic_load_explicit(&(*task)->state, memory_order_relaxed);
            // Acquire: pairs with the release of the last holder.
        } else if (atomic_compare_exchange_weak_explicit(
                       &(*task)->state, &state, state | OAI_TASK_LOCKED, memory_order_acquire,
                       memory_order_relaxed)) {
            return true;
        }
    }
}

// Locks a task that cannot be freed meanwhile, by its own end; returns the state.
static uint64_t lock_task(oai_task_t *task)
{
    while (!lock_handle(oai_task_handle(task), &task)) // a detach has changed the generation
        ;
    return atomic_load_explicit(&task->state, memory_order_relaxed);
}

// Unlocks, clearing and setting flags. The holder's last touch. Release: pairs with lock_handle().
// A loop, for a cancel may come between.
static void unlock_task(oai_task_t *task, uint64_t clear, uint64_t set)
{
    uint64_t state = atomic_load_explicit(&task->state, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(
        &task->state, &state, (state & ~(clear | OAI_TASK_LOCKED)) | set, memory_order_release,
        memory_order_relaxed))
        ;
}

// ---- Made and freed ------------------------------------------------------------------------------

// Copies what few tasks need. False: no memory.
static bool make_extra(oai_task_t *task, const oa_spec_t *spec, uint64_t *flags)
{
    task->extra = NULL;
    if (spec->copy && spec->copy <= sizeof task->bytes && !spec->drop && !spec->name) {
        memcpy(task->bytes, spec->arg, spec->copy);
        task->arg = task->bytes;
        *flags |= OAI_TASK_INLINE;
        return true;
    }
    if (!spec->copy && !spec->drop && !spec->name)
        return true;
    if (spec->copy > SIZE_MAX / 2)
        return false;
    oai_extra_t *extra = oai_os.alloc(sizeof *extra + spec->copy);
    if (!extra)
        return false;
    *flags |= OAI_TASK_EXTRA;
    task->extra = extra;
    extra->drop = spec->drop;
    memset(extra->name, 0, sizeof extra->name);
    if (spec->name)
        strncpy(extra->name, spec->name, sizeof extra->name - 1);
    if (spec->copy) {
        memcpy(extra->copy, spec->arg, spec->copy);
        task->arg = extra->copy;
    }
    return true;
}

static uint64_t next_id(oai_worker_t *worker)
{
    enum { AT_ONCE = 4096 };
    if (!worker)
        return oai_coord_ids(1);
    if (worker->id_next == worker->id_end) {
        worker->id_next = oai_coord_ids(AT_ONCE);
        worker->id_end = worker->id_next + AT_ONCE;
    }
    return worker->id_next++;
}

static void free_slot(oai_task_t *task, oai_worker_t *worker)
{
    if (worker)
        oai_task_give(&worker->tasks, task);
    else
        oai_task_pool_give(&oai_task_coord(task)->tasks, task);
}

oai_task_t *oai_task_make(oa_coord_t *coord, oai_worker_t *worker, const oa_spec_t *spec)
{
    oai_task_t *task = worker ? oai_task_take(&worker->tasks) : oai_task_pool_take(&coord->tasks);
    if (!task)
        return NULL;
    uint64_t flags = 0;
    task->arg = spec->arg;
    if (OAI_UNLIKELY(!make_extra(task, spec, &flags))) {
        free_slot(task, worker);
        return NULL;
    }
    if (spec->task)
        flags |= OAI_TASK_JOINABLE | OAI_TASK_NAMED;
    if (spec->group)
        flags |= OAI_TASK_GROUPED;
    if (spec->stack && oai_stack_class(spec->stack) != coord->stack_class)
        flags |= (uint64_t)(oai_stack_class(spec->stack) + 1) << OAI_TASK_CLASS_SHIFT;
    task->fresh.fn = spec->fn;
    task->stack = NULL;
    task->id = next_id(worker);
    task->where = spec->where;
    task->group = spec->group;
    task->joiner = NULL;
    uint64_t state = atomic_load_explicit(&task->state, memory_order_relaxed);
    // Relaxed: a slot that is free is nobody else's, and the queue publishes the task.
    atomic_store_explicit(&task->state, (state & ~(uint64_t)UINT32_MAX) | flags,
                          memory_order_relaxed);
    return task;
}

// Frees a task whose lock, if it was NAMED, is held: its handles are stale from here on.
static void free_task(oai_task_t *task, oai_worker_t *worker)
{
    uint64_t state = atomic_load_explicit(&task->state, memory_order_relaxed);
    if (OAI_UNLIKELY(state & OAI_TASK_EXTRA))
        oai_os.free(task->extra);
    // Release: it unlocks. No loop: a cancel that comes between is of no use to anybody.
    if (state & OAI_TASK_NAMED)
        atomic_store_explicit(&task->state, next_generation(state), memory_order_release);
    free_slot(task, worker);
}

// The worker of the task's coordinator that the caller is, or NULL.
static oai_worker_t *own_worker(const oai_task_t *task)
{
    oai_worker_t *worker = oai_self();
    return worker && worker->coord == oai_task_coord(task) ? worker : NULL;
}

// A joinable task has ended: its joiner is let go, or comes later; either frees it.
static void end_joinable(oai_task_t *task)
{
    oai_wait_t *joiner = task->joiner;
    task->joiner = NULL;
    if (joiner && !oai_wait_claim(joiner))
        joiner = NULL;
    oai_sync_release(task);
    unlock_task(task, 0, OAI_TASK_ENDED);
    if (joiner)
        oai_wait_ready(joiner);
}

void oai_task_count_end(oa_coord_t *coord, oai_worker_t *worker)
{
    if (!worker) {
        oai_inject_dropped(&coord->inject);
        return;
    }
    uint64_t ended = atomic_load_explicit(&worker->ended, memory_order_relaxed);
    // Release: pairs with the acquire in oai_coord_try_end(): who counts this end also counts
    // what the task has spawned.
    atomic_store_explicit(&worker->ended, ended + 1, memory_order_release);
}

void oai_task_end(oai_task_t *task, oai_worker_t *worker)
{
    oa_coord_t *coord = oai_task_coord(task);
    uint64_t state = atomic_load_explicit(&task->state, memory_order_relaxed);
    if (OAI_UNLIKELY(state & OAI_TASK_GROUPED))
        oai_group_leave(task->group, &task->member);
    oai_sync_release(coord);
    if (state & OAI_TASK_NAMED)
        state = lock_task(task);
    if (state & OAI_TASK_JOINABLE)
        end_joinable(task);
    else
        free_task(task, worker);
    oai_task_count_end(coord, worker);
}

void oai_task_discard(oai_task_t *task, oai_worker_t *worker)
{
    oai_sync_acquire(task);
    uint64_t state = atomic_load_explicit(&task->state, memory_order_relaxed);
    if ((state & OAI_TASK_EXTRA) && task->extra->drop)
        task->extra->drop(task->arg);
    oai_task_end(task, worker);
}

void oai_tasks_drop(oai_task_t *chain)
{
    while (chain) {
        oai_task_t *next = chain->next;
        oai_task_discard(chain, own_worker(chain));
        chain = next;
    }
}

// ---- Joined and detached --------------------------------------------------------------------------

// Under the task's lock: what a join finds. 0: it has ended; -EINPROGRESS: it has not.
static int look_at_joinable(oai_task_t *task)
{
    uint64_t state = atomic_load_explicit(&task->state, memory_order_relaxed);
    if (!(state & OAI_TASK_JOINABLE))
        return -ESRCH;
    if (task == oai_current())
        return -EDEADLK;
    if (task->joiner)
        return -EBUSY;
    return state & OAI_TASK_ENDED ? 0 : -EINPROGRESS;
}

// The caller has joined a task that has ended; its lock is held.
static int joined(oai_task_t *task)
{
    oai_sync_acquire(task);
    free_task(task, own_worker(task));
    return 0;
}

static int join(oa_task_t *handle, bool breakable, int64_t deadline)
{
    oai_task_t *task;
    oai_wait_t wait;
    int err = oai_wait_begin(&wait, breakable);
    if (err)
        return err;
    if (!lock_handle(handle, &task))
        return -ESRCH;
    err = look_at_joinable(task);
    if (err == 0)
        return joined(task);
    if (err == -EINPROGRESS && oai_wait_expired(deadline))
        err = -ETIMEDOUT;
    if (err == -EINPROGRESS)
        task->joiner = &wait;
    unlock_task(task, 0, 0);
    if (err != -EINPROGRESS)
        return err;
    err = oai_wait_park(&wait, deadline);
    if (!lock_handle(handle, &task))
        return -ESRCH; // not while the handle is the caller's
    if (err == 0)
        return joined(task);
    if (task->joiner == &wait)
        task->joiner = NULL;
    unlock_task(task, 0, 0);
    return err;
}

int oa_join(oa_task_t *handle)
{
    return join(handle, false, OA_FOREVER);
}

int oa_join_until(oa_task_t *handle, int64_t deadline)
{
    return join(handle, true, deadline);
}

int oa_detach(oa_task_t *handle)
{
    oai_task_t *task;
    if (!lock_handle(handle, &task))
        return -ESRCH;
    uint64_t state = atomic_load_explicit(&task->state, memory_order_relaxed);
    int err = 0;
    if (!(state & OAI_TASK_JOINABLE))
        err = -ESRCH;
    else if (task->joiner)
        err = -EBUSY;
    if (err) {
        unlock_task(task, 0, 0);
        return err;
    }
    if (state & OAI_TASK_ENDED) {
        free_task(task, own_worker(task));
        return 0;
    }
    // The ticket is stale from here on; what the task itself asks for is another one. Release and
    // loop: as in unlock_task().
    uint64_t gone = OAI_TASK_JOINABLE | OAI_TASK_LOCKED;
    while (!atomic_compare_exchange_weak_explicit(
        &task->state, &state, next_generation(state) | (uint32_t)(state & ~gone),
        memory_order_release, memory_order_relaxed))
        ;
    return 0;
}

// ---- Cancelled ----------------------------------------------------------------------------------

static oai_timers_t *shard_of(oai_task_t *task, uint64_t state)
{
    return &oai_task_coord(task)->shards[(uint32_t)state >> OAI_TASK_SHARD_SHIFT];
}

int oa_cancel(oa_task_t *handle)
{
    if (!handle)
        return -ESRCH;
    oai_task_t *task = handle_task(handle);
    uint64_t state = atomic_load_explicit(&task->state, memory_order_relaxed);
    do {
        if (!handle_fits(handle, state) || (state & OAI_TASK_ENDED))
            return -ESRCH;
        // Seq_cst: the canceller's store of the pair told in wait.c.
    } while (!atomic_compare_exchange_weak_explicit(&task->state, &state,
                                                    state | OAI_TASK_CANCELLED,
                                                    memory_order_seq_cst, memory_order_relaxed));
    if ((state & OAI_TASK_DELAYED) &&
        oai_timers_undelay(shard_of(task, state), task, oai_generation(state))) {
        oai_task_discard(task, own_worker(task));
        return 0;
    }
    oai_wait_break_cancelled(task, oai_generation(state));
    return 0;
}

oai_task_t *oai_member_cancel(oai_link_t *member, oai_task_t *chain)
{
    oai_task_t *task = oai_container(member, oai_task_t, member);
    // Seq_cst: as in oa_cancel(). The group's lock keeps the task.
    uint64_t state =
        atomic_fetch_or_explicit(&task->state, OAI_TASK_CANCELLED, memory_order_seq_cst);
    if ((state & OAI_TASK_DELAYED) &&
        oai_timers_undelay(shard_of(task, state), task, oai_generation(state))) {
        task->next = chain;
        return task;
    }
    oai_wait_break_cancelled(task, oai_generation(state));
    return chain;
}

bool oa_cancelled(void)
{
    oai_task_t *task = oai_current();
    return task && ((atomic_load_explicit(&task->state, memory_order_relaxed) &
                     OAI_TASK_CANCELLED) ||
                    atomic_load_explicit(&oai_task_coord(task)->state, memory_order_relaxed) ==
                        OAI_CANCELLING);
}

bool oa_shield(bool on)
{
    oai_task_t *task = oai_current();
    if (!task)
        return false;
    // Relaxed, both: the flag is the task's own; the exchange is for the flags beside it.
    uint64_t state =
        on ? atomic_fetch_or_explicit(&task->state, OAI_TASK_SHIELDED, memory_order_relaxed)
           : atomic_fetch_and_explicit(&task->state, ~(uint64_t)OAI_TASK_SHIELDED,
                                       memory_order_relaxed);
    return (state & OAI_TASK_SHIELDED) != 0;
}

// ---- Looked at ----------------------------------------------------------------------------------

oa_task_t *oa_self(void)
{
    oai_task_t *task = oai_current();
    if (!task)
        return NULL;
    uint64_t state = atomic_load_explicit(&task->state, memory_order_relaxed);
    if (!(state & OAI_TASK_NAMED))
        state = atomic_fetch_or_explicit(&task->state, OAI_TASK_NAMED, memory_order_relaxed);
    return make_handle(task, oai_generation(state));
}

uint64_t oa_task_id(oa_task_t *handle)
{
    oai_task_t *task;
    if (!lock_handle(handle, &task))
        return 0;
    uint64_t id = task->id;
    unlock_task(task, 0, 0);
    return id;
}

const char *oa_task_name(oa_task_t *handle)
{
    oai_task_t *task;
    if (!lock_handle(handle, &task))
        return NULL;
    uint64_t state = atomic_load_explicit(&task->state, memory_order_relaxed);
    const char *name = state & OAI_TASK_EXTRA ? task->extra->name : "";
    unlock_task(task, 0, 0);
    return name;
}

oa_task_t *oai_task_handle(oai_task_t *task)
{
    return make_handle(
        task, oai_generation(atomic_load_explicit(&task->state, memory_order_relaxed)));
}

oa_group_t *oai_task_group(void)
{
    oai_task_t *task = oai_current();
    return task ? task->group : NULL;
}
