// SPDX-License-Identifier: BSD-2-Clause
// support.h - what the API tests share: the same case run by a task and by a plain thread.
//
// Nothing here sleeps to let something happen: a test polls what it can see, and whatever it
// asserts holds whether or not the other side has come to its wait.
#pragma once

#include <errno.h>
#include <oasync.h>
#include <stdatomic.h>

#include "check.h"
#include "thread.h"

// A deadline that no test reaches.
#define LATE oa_after(60 * OA_SECOND)

// A deadline that passes while one waits.
#define SOON oa_after(OA_MILLISECOND)

// One that has passed.
#define PAST (oa_now() - 1)

#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        oa_yield();                                                                                \
    } while (!(condition))

// The coordinator of the case that runs.
static oa_coord_t *coord;

static inline void nothing(void *arg)
{
    (void)arg;
}

static inline void simulated_case(void *arg)
{
    oa_fn **fn = arg;
    coord = oa_coord();
    (*fn)(NULL);
}

// Runs the case in a plain thread beside a coordinator of so many workers. In a simulation, where
// what a thread beside it does is not repeatable, as a task.
static inline void beside(oa_fn *fn, int workers)
{
    if (simulated()) {
        CHECK_EQ(oa_run(simulated_case, &fn), 0);
    } else {
        CHECK_EQ(oa_start(&coord, nothing, .max_workers = workers), 0);
        fn(NULL);
        CHECK_EQ(oa_wait(coord), 0);
    }
    coord = NULL;
}

// The same, and then as a task.
static inline void on_workers(oa_fn *fn, int workers)
{
    beside(fn, workers);
    if (simulated())
        return;
    CHECK_EQ(oa_start(&coord, fn, .max_workers = workers), 0);
    CHECK_EQ(oa_wait(coord), 0);
    coord = NULL;
}

// The same, on 1 and 2 workers.
static inline void everywhere(oa_fn *fn)
{
    for (int workers = 1; workers <= (simulated() ? 1 : 2); workers++)
        on_workers(fn, workers);
}

// Runs the case as a task, on 1 and 2 workers. It may set `coord` itself.
static inline void in_tasks(oa_fn *fn)
{
    if (simulated())
        CHECK_EQ(oa_run(fn), 0);
    for (int workers = 1; workers <= 2 && !simulated(); workers++) {
        oa_coord_t *own;
        CHECK_EQ(oa_start(&own, fn, .max_workers = workers), 0);
        CHECK_EQ(oa_wait(own), 0);
    }
    coord = NULL;
}

// Spawns a task into the case's coordinator with a handle.
static inline oa_task_t *spawn(oa_fn *fn, void *arg)
{
    oa_task_t *task = NULL;
    CHECK_EQ(oa_go(fn, arg, .task = &task, .coord = coord), 0);
    CHECK(task != NULL);
    return task;
}

static inline void join(oa_task_t *task)
{
    CHECK_EQ(oa_join(task), 0);
}

// How often tasks of the case's coordinator have waited.
static inline uint64_t parks(void)
{
    oa_stats_t stats = OA_STATS_INIT;
    CHECK_EQ(oa_stats(coord, &stats), 0);
    return stats.parks;
}

// Wakes a task and keeps the worker busy until that has gone on elsewhere; then the last to use it.
struct hog {
    oa_sem_t woken;
    atomic_bool gone;
};

static inline void hog_run(void *arg)
{
    struct hog *hog = arg;
    CHECK_EQ(oa_sem_release(&hog->woken), 0);
    while (!atomic_load(&hog->gone))
        ;
    free(hog);
}

// The calling task goes on on another worker. One task of a coordinator at a time, which has two.
static inline void change_worker(void)
{
    int from = oa_worker_id();
    while (oa_worker_id() == from) {
        struct hog *hog = calloc(1, sizeof *hog);
        CHECK(hog != NULL);
        oa_sem_init(&hog->woken, 0);
        CHECK_EQ(oa_go(hog_run, hog), 0);
        CHECK_EQ(oa_sem_acquire(&hog->woken), 0);
        atomic_store(&hog->gone, true);
    }
}

// Runs the case as the first task on two workers.
static inline void on_two_workers(oa_fn *fn)
{
    CHECK_EQ(oa_run(fn, .max_workers = 2), 0);
}
