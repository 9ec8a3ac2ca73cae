// SPDX-License-Identifier: BSD-2-Clause
// ready.c - where a task goes that is ready to run, and who is told.
//
// A worker puts into its own queue, anybody else into the injection queue of the task's
// coordinator. Who does that from outside is a user of the coordinator meanwhile: once it is put
// the task may run, be the last one, and end everything.
#include "sched/internal.h"

static __attribute__((noinline)) int ready_outside(oai_task_t *task, oa_coord_t *coord)
{
    // The task keeps the coordinator alive until it is put; after that it may be over.
    if (oai_sim_of(coord))
        oai_sim_outside(coord);
    oai_coord_enter(coord);
    oai_inject_put(&coord->inject, task);
    oai_idle_published_outside(&coord->idle);
    oai_coord_leave(coord);
    return 0;
}

static __attribute__((noinline)) int ready_last(oai_task_t *task, oai_worker_t *worker)
{
    oai_worker_push_last(worker, task);
    return oai_idle_published(&worker->coord->idle);
}

void oai_task_ready(oai_task_t *task)
{
    oai_worker_t *worker = oai_worker_of(oai_task_coord(task));
    if (worker)
        ready_last(task, worker);
    else
        ready_outside(task, oai_task_coord(task));
}

int oai_task_ready_next(oai_task_t *task)
{
    oai_worker_t *worker = oai_self();
    oa_coord_t *coord = oai_task_coord(task);
    if (OAI_UNLIKELY(!worker || worker->coord != coord))
        return ready_outside(task, coord);
    oai_task_t *displaced = oai_runq_put_next(&worker->queue, task);
    if (displaced)
        return ready_last(displaced, worker);
    return oai_idle_published(&coord->idle);
}

bool oai_worker_push_new(oai_worker_t *worker, oai_task_t *task)
{
    oai_sync_release(task);
    if (OAI_UNLIKELY(!oai_runq_push(&worker->queue, task)))
        return false;
    oai_idle_published(&worker->coord->idle);
    return true;
}
