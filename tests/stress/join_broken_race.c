// SPDX-License-Identifier: BSD-2-Clause
// join_broken_race.c - a join's deadline passes at the moment when the task ends, and another joins it before the first has
// left its call.
// ctest: timeout=60
#include "stress/support.h"

static _Atomic(oa_task_t *) shared;
static atomic_bool stop;

static void brief(void *arg)
{
    int64_t until = (int64_t)(intptr_t)arg;
    while (oa_now() < until) {
    }
}

// Joins as soon as the one before has been broken.
static void other(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        oa_task_t *task = atomic_load(&shared);
        if (task != NULL) {
            int err;
            while ((err = oa_join_until(task, 0)) == -EBUSY || err == -ETIMEDOUT)
                sched_yield();
            CHECK(err == 0 || err == -ESRCH);
            atomic_store(&shared, NULL);
        }
        sched_yield();
    }
}

int main(void)
{
    uint64_t random = test_seed();
    struct thread thread;
    oa_coord_t *coord;
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = 1), 0);
    thread_start(&thread, other, NULL);
    for (int64_t round = test_scale(500); round > 0; round--) {
        int64_t at = oa_after(60 * OA_MICROSECOND);
        oa_task_t *task;
        CHECK_EQ(oa_go(brief, (void *)(intptr_t)at, .task = &task, .coord = coord), 0);
        atomic_store(&shared, task);
        // The kernel wakes this thread some 50 µs after its deadline.
        int err = oa_join_until(task, at - (int64_t)random_below(&random, 80) * 1000);
        CHECK(err == 0 || err == -ETIMEDOUT || err == -EBUSY || err == -ESRCH);
        while (atomic_load(&shared) != NULL)
            sched_yield();
    }
    atomic_store(&stop, true);
    thread_join(&thread);
    CHECK_EQ(oa_wait(coord), 0);
    return 0;
}
