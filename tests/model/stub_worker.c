// SPDX-License-Identifier: BSD-2-Clause
// stub_worker.c - see stub_worker.h.
#include "stub_worker.h"

#include "model.h"
#include "stub_coord.h"

bool stub_parks;

static int native[2]; // of each worker: the model thread that is its thread; its own

static struct parked {
    int thread;       // the model thread in which the task is parked
    int registers;    // plain: 1 when stored, else 0
    oai_worker_t *on; // who resumes it
    oa_fn *rest;      // what is left of it, if it is in no thread
} parked[STUB_TASKS];

void stub_worker_reset(void)
{
    stub_parks = false;
    for (int i = 0; i < STUB_TASKS; i++)
        parked[i] = (struct parked){0};
    model_name(&parked, "registers");
}

void stub_parked(oai_task_t *task, oa_fn *rest)
{
    struct parked *p = &parked[stub_index(task)];
    p->rest = rest;
    p->registers = 1;
    task->stack = (oai_stack_t *)(void *)p;
    oai_wait_saved(task);
}

// ---- Looking for work ---------------------------------------------------------------------------

static int64_t no_expiry(void *unused)
{
    (void)unused;
    return INT64_MAX;
}

static oai_task_t *steal(oai_worker_t *worker)
{
    oa_coord_t *coord = worker->coord;
    oai_task_t *task = NULL;
    for (int i = 0; i < coord->workers && !task; i++) {
        if (i == worker->id)
            continue;
        task = oai_runq_steal(&coord->worker[i].queue, &worker->queue);
        if (!task)
            task = oai_runq_take_next(&coord->worker[i].queue);
    }
    return task;
}

static bool work_waits(oai_worker_t *worker)
{
    oa_coord_t *coord = worker->coord;
    if (oai_inject_length(&coord->inject) != 0)
        return true;
    for (int i = 0; i < coord->workers; i++)
        if (oai_runq_length(&coord->worker[i].queue) != 0)
            return true;
    return atomic_load_explicit(&coord->ended, memory_order_acquire);
}

oai_task_t *oai_worker_find(oai_worker_t *worker)
{
    oa_coord_t *coord = worker->coord;
    for (;;) {
        oai_task_t *task = oai_inject_take(&coord->inject, 1);
        if (task)
            oai_idle_published(&coord->idle);
        if (!task)
            task = oai_runq_take_next(&worker->queue);
        if (!task)
            task = oai_runq_pop(&worker->queue);
        bool may_search = task || oai_idle_search(&coord->idle, &worker->sleeper);
        if (!task && may_search && coord->workers > 1)
            task = steal(worker);
        if (task || oai_coord_try_end(coord)) {
            if (worker->sleeper.searching)
                oai_idle_found(&coord->idle, &worker->sleeper);
            return task;
        }
        oai_idle_announce(&coord->idle, &worker->sleeper, false);
        if (!work_waits(worker)) {
            oai_idle_sleep(&coord->idle, &worker->sleeper, INT64_MAX, no_expiry, NULL);
            continue;
        }
        oai_idle_stay(&coord->idle, &worker->sleeper);
        if (!may_search)
            oai_pause(); // what it has seen is left to who searches
    }
}

// ---- Running ------------------------------------------------------------------------------------

static void run(oai_task_t *task, oa_fn *fn)
{
    fn(task->arg);
    oai_worker_t *worker = oai_self();
    task = worker->current;
    worker->current = NULL;
    oai_task_end(task, worker);
}

// False: this loop's stack was dropped for that of the task.
static bool resume(oai_worker_t *worker, oai_task_t *task)
{
    struct parked *p = &parked[stub_index(task)];
    model_assert(p->registers == 1);
    p->registers = 0;
    if (p->rest) {
        run(task, p->rest);
        return true;
    }
    p->on = worker;
    oai_self_set(NULL);
    model_unblock(p->thread);
    return false;
}

static bool dispatch(oai_worker_t *worker, oai_task_t *task)
{
    worker->current = task;
    if (task->stack)
        return resume(worker, task);
    // Relaxed, both: as in worker.c.
    if ((atomic_load_explicit(&task->flags, memory_order_relaxed) & OAI_TASK_CANCELLED) ||
        atomic_load_explicit(&worker->coord->state, memory_order_relaxed) == OAI_CANCELLING) {
        worker->current = NULL;
        oai_task_discard(task, worker);
    } else {
        run(task, task->fresh.fn);
    }
    return true;
}

// Returns true when the coordinator has ended.
static bool loop(void)
{
    for (;;) {
        oai_task_t *task = oai_worker_find(oai_self());
        if (!task)
            return true;
        if (!dispatch(oai_self(), task))
            return false;
    }
}

static void fresh_loop(void *arg)
{
    oai_worker_t *worker = arg;
    oai_self_set(worker);
    if (worker->left) {
        oai_task_t *left = worker->left;
        worker->left = NULL;
        oai_wait_saved(left);
    }
    if (loop())
        model_unblock(native[((oai_worker_t *)oai_self())->id]);
}

void oai_worker_run(oai_worker_t *worker)
{
    if (!stub_parks) {
        loop();
        return;
    }
    native[worker->id] = model_self();
    model_thread("loop", fresh_loop, worker);
    model_block();
}

int oai_worker_prepare_slow(oai_worker_t *worker)
{
    (void)worker;
    return 0;
}

int oai_worker_park(oai_worker_t *worker)
{
    oai_task_t *task = worker->current;
    struct parked *p = &parked[stub_index(task)];
    model_assert(p->registers == 0);
    p->thread = model_self();
    p->registers = 1;
    task->stack = (oai_stack_t *)(void *)p;
    worker->current = NULL;
    worker->left = task;
    oai_self_set(NULL);
    model_thread("loop", fresh_loop, worker);
    model_block();
    oai_self_set(p->on);
    return oai_wait_ended(task);
}
