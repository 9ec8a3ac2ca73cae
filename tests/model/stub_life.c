// SPDX-License-Identifier: BSD-2-Clause
// stub_life.c - see stub_life.h. Everything weak here may be replaced by the shipped file.
#include "stub_life.h"

#include "model.h"
#include "sched/hot.h"
#include "sched/sched.h"

#define REPLACEABLE __attribute__((weak))

_Atomic int stub_ran, stub_drops;
static _Atomic int users, dropped, ids;
static int slots;

void stub_life(int count)
{
    slots = count;
    stub_pool(count);
    atomic_init(&stub_ran, 0);
    atomic_init(&stub_drops, 0);
    atomic_init(&users, 0);
    atomic_init(&dropped, 0);
    atomic_init(&ids, 1);
    atomic_init(&stub_coord.kept, 0);
}

void stub_dropped(void *arg)
{
    (void)arg;
    atomic_fetch_add_explicit(&stub_drops, 1, memory_order_relaxed);
}

// ---- Running ------------------------------------------------------------------------------------

static void begin(oai_task_t *task)
{
    stub_become(task, true);
    oai_worker_t *worker = stub_worker();
    if (atomic_load_explicit(&task->flags, memory_order_relaxed) & OAI_TASK_CANCELLED) {
        worker->current = NULL;
        oai_task_discard(task, worker);
        return;
    }
    task->fresh.fn(task->arg);
    atomic_fetch_add_explicit(&stub_ran, 1, memory_order_relaxed);
    worker->current = NULL;
    // As in worker.c.
    uint32_t flags = atomic_load_explicit(&task->flags, memory_order_relaxed);
    if (stub_has_stacks && (flags & OAI_TASK_MORE_AT_END) == OAI_TASK_NAMED)
        oai_task_end_named(task, worker);
    else
        oai_task_end(task, worker);
}

static void run(void *task)
{
    begin(task);
}

static oai_task_t *make(const oa_spec_t *spec)
{
    oai_task_t *task = oai_task_make(&stub_coord, oai_self(), spec, false);
    model_assert(task != NULL);
    if (spec->group && oai_group_enter(spec->group, &task->member) != 0) {
        atomic_fetch_and_explicit(&task->flags, ~(uint32_t)OAI_TASK_GROUPED, memory_order_relaxed);
        oai_task_discard(task, oai_self());
        return NULL;
    }
    if (spec->task)
        *spec->task = oai_task_handle(task);
    return task;
}

oai_task_t *stub_go(const char *name, const oa_spec_t *spec)
{
    oai_task_t *task = make(spec);
    if (task)
        model_thread(name, run, task);
    return task;
}

// ---- Delayed tasks ------------------------------------------------------------------------------

REPLACEABLE bool oai_timers_undelay(oai_timers_t *shard, oai_task_t *task)
{
    oai_lock(&shard->lock);
    bool delayed =
        (atomic_load_explicit(&task->flags, memory_order_relaxed) & OAI_TASK_DELAYED) != 0;
    if (delayed)
        atomic_fetch_and_explicit(&task->flags, ~(uint32_t)OAI_TASK_DELAYED, memory_order_relaxed);
    oai_unlock(&shard->lock);
    return delayed;
}

// The shard keeps the task until its moment, whoever takes it out.
static void begin_later(void *task)
{
    stub_become(NULL, true);
    if (oai_timers_undelay(stub_coord.shards, task))
        begin(task);
}

oai_task_t *stub_go_delayed(const char *name, const oa_spec_t *spec)
{
    oai_task_t *task = make(spec);
    model_assert(task != NULL);
    atomic_fetch_or_explicit(&task->flags, OAI_TASK_DELAYED, memory_order_relaxed);
    model_thread(name, begin_later, task);
    return task;
}

// ---- The coordinator ----------------------------------------------------------------------------

REPLACEABLE uint64_t oai_coord_ids(uint64_t count)
{
    return (uint64_t)atomic_fetch_add_explicit(&ids, (int)count, memory_order_relaxed);
}

REPLACEABLE void oai_coord_enter(oa_coord_t *coord)
{
    (void)coord;
    atomic_fetch_add_explicit(&users, 1, memory_order_relaxed);
}

REPLACEABLE void oai_coord_leave(oa_coord_t *coord)
{
    (void)coord;
    atomic_fetch_sub_explicit(&users, 1, memory_order_relaxed);
}

REPLACEABLE bool oai_coord_try_end(oa_coord_t *coord)
{
    (void)coord;
    return false;
}

REPLACEABLE void oai_inject_dropped(oai_inject_t *inject)
{
    (void)inject;
    atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
}

REPLACEABLE unsigned oai_stack_class(size_t size)
{
    (void)size;
    return 0;
}

REPLACEABLE int oai_group_enter(oa_group_t *group, oai_link_t *member)
{
    (void)group;
    (void)member;
    return 0;
}

REPLACEABLE void oai_group_leave(oa_group_t *group, oai_link_t *member)
{
    (void)group;
    (void)member;
    model_fail("no group here");
}

// ---- Check --------------------------------------------------------------------------------------

void stub_life_over(void)
{
    model_assert(atomic_load_explicit(&users, memory_order_relaxed) == 0);
    model_assert(atomic_load_explicit(&stub_coord.kept, memory_order_relaxed) == 0);
    model_assert(stub_pool_free() == slots);
    for (int i = STUB_TASKS - slots; i < STUB_TASKS; i++)
        model_assert((atomic_load_explicit(&stub_slot(i)->ticket, memory_order_relaxed) &
                      ((1u << OAI_TICKET_SHIFT) - 1)) == 0);
}

bool oai_pool_withdraw(oai_pool_t *pool, oai_task_t *task)
{
    (void)pool;
    (void)task;
    model_fail("no pool here");
    return false;
}
