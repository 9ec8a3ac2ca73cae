// SPDX-License-Identifier: BSD-2-Clause
// barrier_conserve.c - a barrier under random deadlines and cancels: n return of each round, one of
// them the last; who gives up is of no round.
// ctest: timeout=60 simulate=10
#include "stress/support.h"

enum { SIZE = 3, USERS = 8 };

static oa_coord_t *coord;
static oa_barrier_t barrier;
static _Atomic int64_t returns, lasts;
static atomic_uint left;
static atomic_bool enough;
static uint64_t seed;
static int64_t each;

static void user(void *arg)
{
    uint64_t random = seed + (uintptr_t)arg;
    while (!atomic_load(&enough)) {
        int64_t time = (int64_t)random_below(&random, 60) * 1000;
        int err = oa_barrier_wait_until(&barrier, oa_after(time));
        if (err >= 0) {
            int64_t so_far = atomic_fetch_add(&returns, 1);
            atomic_fetch_add(&lasts, err);
            if (so_far > each)
                atomic_store(&enough, true);
        } else {
            CHECK(err == -ETIMEDOUT || err == -ECANCELED);
        }
        if (err == -ECANCELED) {
            oa_shield(random_below(&random, 2));
            oa_yield();
        }
        dawdle(&random);
    }
    atomic_fetch_sub(&left, 1);
}

// Cancelled before it began.
static void dropped(void *arg)
{
    (void)arg;
    atomic_fetch_sub(&left, 1);
}

static void drive(void *arg)
{
    uint64_t random = seed;
    oa_task_t *tasks[USERS];
    struct thread threads[2];
    (void)arg;
    for (uintptr_t i = 0; i < USERS; i++)
        CHECK_EQ(oa_go(user, (void *)i, .task = &tasks[i], .coord = coord, .drop = dropped), 0);
    for (uintptr_t i = 0; i < 2; i++)
        thread_start(&threads[i], user, (void *)(USERS + i));
    while (atomic_load(&left) != 0) {
        uint64_t n = random_below(&random, looks(20000));
        if (n < USERS)
            (void)oa_cancel(tasks[n]);
        oa_yield();
    }
    for (int i = 0; i < USERS; i++)
        CHECK_EQ(oa_join(tasks[i]), 0);
    thread_join(&threads[0]);
    thread_join(&threads[1]);
}

static void run(int workers)
{
    oa_barrier_init(&barrier, SIZE);
    atomic_store(&left, USERS + 2);
    atomic_store(&enough, false);
    atomic_store(&returns, 0);
    atomic_store(&lasts, 0);
    seed++;
    beside(&coord, drive, NULL, workers);
    CHECK_EQ(oa_barrier_destroy(&barrier), 0);
    CHECK_EQ(atomic_load(&returns), SIZE * atomic_load(&lasts));
    CHECK(atomic_load(&lasts) != 0);
}

int main(void)
{
    seed = test_seed();
    each = test_scale(100000);
    run(1);
    run(2);
    return 0;
}
