// SPDX-License-Identifier: BSD-2-Clause
// join_broken_race.c - a join's deadline passes at the moment when the task ends, and another joins
// it before the first has left its call.
//
// The two threads hand each round over by semaphores. They must not spin on sched_yield(): on a
// busy machine that gives a whole turn to everybody else, up to a second each time, and the rounds
// took minutes.
// ctest: timeout=60
#include "stress/support.h"

enum { BURST = 200000 }; // ns behind the task's end that the other tries without a pause

static oa_sem_t given = OA_SEM_INIT(0), done = OA_SEM_INIT(0);
static oa_task_t *shared; // handed over by `given`
static int64_t ends_at;

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
    for (;;) {
        int err;
        CHECK_EQ(oa_sem_acquire(&given), 0);
        if (shared == NULL)
            return;
        while ((err = oa_join_until(shared, 0)) == -EBUSY || err == -ETIMEDOUT)
            if (oa_now() > ends_at + BURST)
                CHECK_EQ(oa_sleep(100 * OA_MICROSECOND), 0);
        CHECK(err == 0 || err == -ESRCH);
        CHECK_EQ(oa_sem_release(&done), 0);
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
        int64_t at = ends_at = oa_after(60 * OA_MICROSECOND);
        CHECK_EQ(oa_go(brief, (void *)(intptr_t)at, .task = &shared, .coord = coord), 0);
        CHECK_EQ(oa_sem_release(&given), 0);
        // The kernel wakes this thread some 50 µs after its deadline.
        int err = oa_join_until(shared, at - (int64_t)random_below(&random, 80) * 1000);
        CHECK(err == 0 || err == -ETIMEDOUT || err == -EBUSY || err == -ESRCH);
        CHECK_EQ(oa_sem_acquire(&done), 0);
    }
    shared = NULL;
    CHECK_EQ(oa_sem_release(&given), 0);
    thread_join(&thread);
    CHECK_EQ(oa_wait(coord), 0);
    return 0;
}
