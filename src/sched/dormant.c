// SPDX-License-Identifier: BSD-2-Clause
// dormant.c - a task that runs again and again, and between two runs is nothing: a consumer's.
//
// A consumer has two tasks. `self` never runs: handle, group and cancel of the consumer are its. Of
// `call` each run is one task after the other to the user. While it rests it is in no queue, holds
// no stack, and is counted by nobody, so that it keeps no coordinator alive. Whoever wakes it
// counts it first, under the object's lock, as if it spawned a task; that is refused when the
// coordinator has ended, and then the end of the coordinator is the end of the consumer, too.
//
// A cancel of the consumer is one of `self`: its flag says for good that there shall be no call any
// more. Who cancels sets that first, then the flag of the call that runs; the end of a call clears
// the call's flag first, then looks at that of `self`. So a cancel reaches a call or forbids it.
#include "sched/hot.h"
#include "sched/internal.h"
#include "sched/sched.h"

// One of the two tasks, marked as what it is.
static oai_task_t *make(oai_dormant_t *dormant, const oa_spec_t *spec, uint32_t flags)
{
    oai_task_t *task = oai_task_make(dormant->coord, oai_worker_of(dormant->coord), spec, false);
    if (!task)
        return NULL;
    task->arg = dormant;
    // Relaxed: nobody else has the task.
    atomic_fetch_or_explicit(&task->flags, flags, memory_order_relaxed);
    return task;
}

// Nobody has found the task yet.
static void unmake(oai_task_t *task)
{
    oai_task_disown(task);
    // Relaxed: nobody else has the task.
    atomic_fetch_and_explicit(&task->flags, ~(uint32_t)OAI_TASK_GROUPED, memory_order_relaxed);
    oai_task_finish(task, oai_worker_of(oai_task_coord(task)));
}

static int make_both(oai_dormant_t *dormant, const oa_spec_t *given)
{
    oa_spec_t spec = OA_SPEC_INIT;
    spec.where = given->where;
    spec.name = given->name;
    spec.stack = given->stack;
    spec.block = given->block;
    spec.fn = dormant->calls;
    dormant->call = make(dormant, &spec, OAI_TASK_CALL);
    if (!dormant->call)
        return -ENOMEM;
    dormant->call->group = given->group; // it is no member, but may not wait for the group
    spec.stack = 0;
    spec.block = 0;
    spec.group = given->group;
    spec.task = given->task;
    // With a handle or without: a cancel of the whole coordinator pins it by its ticket.
    dormant->self = make(dormant, &spec, OAI_TASK_CONSUMER | OAI_TASK_NAMED);
    int err = dormant->self ? 0 : -ENOMEM;
    if (!err && given->group && (err = oai_group_enter(given->group, &dormant->self->member)) != 0)
        unmake(dormant->self);
    if (err)
        unmake(dormant->call);
    return err;
}

// The end of what was counted, by whoever was admitted with it.
static void count_end(oa_coord_t *coord)
{
    oai_worker_t *worker = oai_worker_of(coord);
    oai_task_count_end(coord, worker);
    if (!worker)
        oai_coord_leave(coord);
}

int oai_dormant_create(oai_dormant_t *dormant, const oa_spec_t *spec, oa_fn *calls)
{
    oa_coord_t *coord = spec->coord ? spec->coord : oa_coord();
    if (!coord)
        return -EPERM;
    if (spec->stack && (spec->block || !oai_stack_size_ok(spec->stack)))
        return -EINVAL;
    if (!oai_task_admit(coord, oai_worker_of(coord), OAI_ADMIT_NEW))
        return -ESHUTDOWN;
    *dormant = (oai_dormant_t){.coord = coord, .calls = calls, .arg = spec->arg};
    int err = make_both(dormant, spec);
    if (err) {
        count_end(coord);
        return err;
    }
    oai_sync_release(dormant);
    oai_lock(&coord->inject.lock);
    oai_list_append(&coord->dormants, &dormant->link);
    oai_unlock(&coord->inject.lock);
    if (spec->task)
        *spec->task = oai_task_handle(dormant->self);
    return 0;
}

// Until it is queued or discarded, what was counted keeps the coordinator alive.
static bool count_again(oa_coord_t *coord, oai_admit_t what)
{
    oai_worker_t *worker = oai_worker_of(coord);
    bool counted = oai_task_admit(coord, worker, what);
    if (counted && !worker)
        oai_coord_leave(coord);
    return counted;
}

bool oai_dormant_dismiss(oai_dormant_t *dormant)
{
    return count_again(dormant->coord, OAI_ADMIT_END);
}

oai_wait_t *oai_dormant_wake(oai_dormant_t *dormant)
{
    if (!count_again(dormant->coord, OAI_ADMIT_INSIDE))
        return NULL;
    oai_sync_release(dormant->call);
    oai_wait_over(&dormant->wait, dormant->call);
    return &dormant->wait;
}

void oai_dormant_discard(oai_dormant_t *dormant)
{
    oa_coord_t *coord = dormant->coord;
    if (!oai_worker_of(coord))
        oai_coord_enter(coord);
    oai_consumer_end(dormant);
    count_end(coord);
}

bool oai_dormant_ending(const oai_dormant_t *dormant)
{
    // Relaxed, both: who cancels later is too late for the next call, and breaks its waits; or,
    // where this is asked under the object's lock, takes that later.
    return (atomic_load_explicit(&dormant->self->flags, memory_order_relaxed) &
            OAI_TASK_CANCELLED) ||
           atomic_load_explicit(&dormant->coord->state, memory_order_relaxed) == OAI_CANCELLING;
}

void oai_dormant_row(oai_dormant_t *dormant, unsigned most)
{
    oai_task_t *call = dormant->call;
    // Relaxed: the flag is the task's own. A worn call that could not be replaced keeps its number
    // with its name.
    if (OAI_LIKELY(!(atomic_load_explicit(&call->flags, memory_order_relaxed) & OAI_TASK_NAMED)))
        oai_task_number(call, oai_worker_of(dormant->coord), most);
}

// Something was done to the call, or by it, or its coordinator is being cancelled.
static __attribute__((noinline)) bool renew(oai_dormant_t *dormant, oai_task_t *call)
{
    if (oai_own_any(call))
        oai_own_end(call); // may wait
    return oai_task_renew(call) && !oai_dormant_ending(dormant);
}

bool oai_dormant_next(oai_dormant_t *dormant)
{
    oai_task_t *call = dormant->call;
    // Relaxed, both: what is set by others and missed here is left for the next call: a cancel of
    // the consumer, too, which sets a flag of the call last.
    uint32_t flags = atomic_load_explicit(&call->flags, memory_order_relaxed);
    int state = atomic_load_explicit(&dormant->coord->state, memory_order_relaxed);
    bool touched = (flags & OAI_TASK_OF_A_CALL) || state == OAI_CANCELLING;
    if (OAI_UNLIKELY(touched) && !renew(dormant, call))
        return false;
    oai_fpctl_restore();
    call->id++;
    return true;
}

// The call has returned: it is queued again, rests or ends. True: it is not counted any more.
static bool settle(oai_dormant_t *dormant)
{
    switch (oai_consumer_rest(dormant)) {
    case OAI_MORE:
        oai_sync_release(dormant->call);
        oai_task_ready(dormant->call);
        return false;
    case OAI_OVER: oai_consumer_end(dormant); return true;
    default: // it rests: from here on it is whose who wakes it
        return true;
    }
}

void oai_dormant_begin(oai_dormant_t *dormant)
{
    oa_coord_t *coord = dormant->coord;
    if (settle(dormant))
        count_end(coord);
    else if (!oai_worker_of(coord))
        oai_coord_leave(coord);
}

// The generations of the call's task are used up. Without memory for another it goes on as it is.
static __attribute__((noinline)) oai_task_t *replace(oai_task_t *worn, oai_worker_t *worker)
{
    oai_task_t *call = oai_task_succeed(worn, worker);
    if (!call)
        return worn;
    oai_consumer_replace(worn->arg, call);
    oai_task_finish(worn, worker);
    return call;
}

void oai_dormant_returned(oai_task_t *task, oai_worker_t *worker)
{
    oai_dormant_t *dormant = task->arg;
    oa_coord_t *coord = dormant->coord;
    if (OAI_UNLIKELY(!oai_task_renew(task)))
        task = replace(task, worker);
    task->stack = NULL;
    task->fresh.fn = dormant->calls;
    if (settle(dormant))
        oai_task_count_end(coord, worker);
}

// A call that waits for a thread of the pool is dropped by a worker, as soon as any task would be:
// whoever has the thread may wait for the end of this very consumer.
void oai_dormant_cancel(oai_dormant_t *dormant)
{
    oai_task_t *call = dormant->call;
    oai_task_cancel_any(call, NULL);
    // Relaxed: the flag changes under the pool's lock. Who sets it later sees the cancel.
    if ((atomic_load_explicit(&call->flags, memory_order_relaxed) & OAI_TASK_QUEUED) &&
        oai_pool_withdraw(&dormant->coord->pool, call)) {
        oai_sync_release(call);
        oai_task_ready(call);
    }
}

// Takes the next consumer that was not swept yet, pinned by its ticket: it is in the list until its
// end is about to take that. Who holds the ticket may wait for the list's lock.
static oai_dormant_t *sweep_next(oa_coord_t *coord, uint32_t *ticket)
{
    unsigned rounds = 0;
    for (;; oai_lock_pause(&rounds)) {
        oai_lock(&coord->inject.lock);
        oai_link_t *link = coord->dormants.head;
        oai_dormant_t *dormant = link ? oai_container(link, oai_dormant_t, link) : NULL;
        if (dormant && dormant->swept)
            dormant = NULL;
        bool pinned = dormant && oai_task_try_pin(dormant->self, ticket);
        if (pinned) {
            dormant->swept = true;
            oai_list_remove(&coord->dormants, link);
            oai_list_append(&coord->dormants, link);
        }
        oai_unlock(&coord->inject.lock);
        if (pinned || !dormant)
            return dormant;
    }
}

// Those that are made from here on find the coordinator's state when they would rest.
void oai_dormants_cancel(oa_coord_t *coord)
{
    oai_dormant_t *dormant;
    uint32_t ticket;
    while ((dormant = sweep_next(coord, &ticket)) != NULL) {
        oai_sync_acquire(dormant);
        oai_task_cancel_pinned(dormant->self, ticket);
    }
}

void oai_dormant_destroy(oai_dormant_t *dormant)
{
    oa_coord_t *coord = dormant->coord;
    oai_lock(&coord->inject.lock);
    oai_list_remove(&coord->dormants, &dormant->link);
    oai_unlock(&coord->inject.lock);
    oai_task_finish(dormant->call, oai_worker_of(coord));
    oai_task_finish(dormant->self, oai_worker_of(coord));
    oai_sync_acquire(dormant); // who cancelled it has let go of it
}
