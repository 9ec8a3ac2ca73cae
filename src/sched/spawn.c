// SPDX-License-Identifier: BSD-2-Clause
// spawn.c - oa_go: a spec is checked, becomes a task, and the task is put where it waits.
//
// Whatever goes wrong, the argument is dropped exactly once: by refuse() while there is no task,
// by discarding the task when there is one.
#include <string.h>

#include "sched/internal.h"
#include "sched/sched.h"

int oai_options_read(void *known, size_t known_size, const void *given, size_t least)
{
    size_t size;
    if (!given)
        return -EINVAL;
    memcpy(&size, given, sizeof size);
    if (size < least)
        return -EINVAL;
    for (size_t i = known_size; i < size; i++)
        if (((const unsigned char *)given)[i])
            return -E2BIG;
    memset(known, 0, known_size);
    memcpy(known, given, size < known_size ? size : known_size);
    return 0;
}

// No task was made of the spec.
static int refuse(const oa_spec_t *spec, int err)
{
    if (spec->task)
        *spec->task = NULL;
    if (spec->drop)
        spec->drop(spec->arg);
    return err;
}

// A task that was made and counted, and that nobody can have found yet, is not to be.
static int take_back(oai_task_t *task, oai_worker_t *worker, const oa_spec_t *spec, int err)
{
    if (spec->task)
        *spec->task = NULL;
    oai_task_disown(task);
    oai_task_discard(task, worker);
    return err;
}

static int check(const oa_spec_t *spec)
{
    if ((spec->copy && !spec->arg) || spec->delay < 0)
        return -EINVAL;
    if (spec->stack && !oai_stack_size_ok(spec->stack))
        return -EINVAL;
    return 0;
}

static int delay(oai_task_t *task, oa_coord_t *coord, oai_worker_t *worker, const oa_spec_t *spec)
{
    bool earlier = false;
    // Relaxed: any spread will do.
    unsigned shard = worker
                         ? (unsigned)worker->id
                         : atomic_fetch_add_explicit(&coord->next_shard, 1, memory_order_relaxed) %
                               (unsigned)coord->workers;
    int64_t expiry = oa_after(spec->delay);
    oai_sync_release(task);
    int err = oai_timers_delay(&coord->shards[shard], shard, task, expiry, &earlier);
    if (err == 0 && earlier)
        oai_idle_sooner(&coord->idle, expiry);
    if (err != -ECANCELED)
        return err;
    oai_task_discard(task, worker); // its handle or group was quicker than its delay
    return 0;
}

// Puts a counted task where it waits for its turn.
static int start(oai_task_t *task, oa_coord_t *coord, oai_worker_t *worker, const oa_spec_t *spec)
{
    if (spec->delay)
        return delay(task, coord, worker, spec);
    if (worker)
        return oai_worker_push_new(worker, task) ? 0 : -ENOMEM;
    oai_sync_release(task);
    oai_inject_put(&coord->inject, task);
    oai_idle_published_outside(&coord->idle);
    return 0;
}

bool oai_task_admit(oa_coord_t *coord, oai_worker_t *worker, oai_admit_t what)
{
    if (!worker)
        return oai_coord_admit(coord, what);
    // Relaxed: who spawns in the same instant is cancelled anyway.
    if (OAI_UNLIKELY(atomic_load_explicit(&coord->state, memory_order_relaxed) == OAI_CANCELLING) &&
        what != OAI_ADMIT_END)
        return false;
    uint64_t spawned = atomic_load_explicit(&worker->spawned, memory_order_relaxed);
    // Release: pairs with the acquire in oai_coord_try_end().
    atomic_store_explicit(&worker->spawned, spawned + 1, memory_order_release);
    return true;
}

// A task of a coordinator that has admitted it.
static int go_admitted(const oa_spec_t *spec, oa_coord_t *coord, oai_worker_t *worker)
{
    oai_task_t *task = oai_task_make(coord, worker, spec);
    if (OAI_UNLIKELY(!task)) {
        oai_task_count_end(coord, worker);
        return refuse(spec, -ENOMEM);
    }
    int err = 0;
    if (spec->group && (err = oai_group_enter(spec->group, &task->member)) != 0) {
        // Relaxed: nobody else has the task.
        atomic_fetch_and_explicit(&task->flags, ~(uint32_t)OAI_TASK_GROUPED, memory_order_relaxed);
        return take_back(task, worker, spec, err);
    }
    if (spec->task)
        *spec->task = oai_task_handle(task);
    err = start(task, coord, worker, spec);
    return OAI_LIKELY(err == 0) ? 0 : take_back(task, worker, spec, err);
}

static int go(const oa_spec_t *spec)
{
    oai_worker_t *worker = oai_self();
    oa_coord_t *coord = spec->coord ? spec->coord : worker ? worker->coord : NULL;
    if (!coord)
        return refuse(spec, -EPERM);
    int err = check(spec);
    if (OAI_UNLIKELY(err))
        return refuse(spec, err);
    if (worker && worker->coord != coord)
        worker = NULL; // from outside
    // Who is no worker of the coordinator has entered it then, for the task may be over at any moment.
    if (OAI_UNLIKELY(!oai_task_admit(coord, worker, OAI_ADMIT_NEW)))
        return refuse(spec, -ESHUTDOWN);
    err = go_admitted(spec, coord, worker);
    if (!worker)
        oai_coord_leave(coord);
    return err;
}

int oa_go_spec(const oa_spec_t *spec)
{
    oa_spec_t known;
    if (OAI_UNLIKELY(!spec || spec->size != sizeof known)) {
        int err = oai_options_read(&known, sizeof known, spec, offsetof(oa_spec_t, arg));
        if (err)
            return err;
        spec = &known;
    }
    if (OAI_LIKELY(spec->fn))
        return go(spec);
    if (spec->task)
        *spec->task = NULL;
    return -EINVAL;
}
