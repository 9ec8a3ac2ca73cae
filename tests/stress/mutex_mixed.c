// SPDX-License-Identifier: BSD-2-Clause
// mutex_mixed.c - tasks and plain threads on one mutex, with deadlines and cancels: exact counts,
// nobody inside twice.
// ctest: timeout=60 simulate=2
#include "stress/support.h"

enum { TASKS = 8, THREADS = 2 };

static oa_coord_t *coord;
static oa_mutex_t mutex = OA_MUTEX_INIT;
static int64_t counter; // guarded by the mutex, and no atomic
static bool inside;
static _Atomic int64_t expected;
static atomic_uint left;
static uint64_t seed;
static int64_t each;

static int lock(uint64_t *random)
{
    switch (random_below(random, 8)) {
    case 0: return oa_mutex_trylock(&mutex);
    case 1: return oa_mutex_lock_until(&mutex, oa_after((int64_t)random_below(random, 40) * 1000));
    case 2: return oa_mutex_lock_until(&mutex, OA_FOREVER);
    default: return oa_mutex_lock(&mutex);
    }
}

static void user(void *arg)
{
    uint64_t random = seed + (uintptr_t)arg;
    for (int64_t i = 0; i < each; i++) {
        int err = lock(&random);
        if (err != 0) {
            CHECK(err == -EBUSY || err == -ETIMEDOUT || err == -ECANCELED);
            CHECK_EQ(oa_mutex_unlock(&mutex), -EPERM);
            continue;
        }
        CHECK(!inside);
        inside = true;
        counter++;
        if (random_below(&random, 8) == 0)
            oa_yield();
        else
            dawdle(&random);
        CHECK(inside);
        inside = false;
        CHECK_EQ(oa_mutex_unlock(&mutex), 0);
        atomic_fetch_add(&expected, 1);
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
    oa_task_t *tasks[TASKS];
    struct thread threads[THREADS];
    (void)arg;
    for (uintptr_t i = 0; i < TASKS; i++)
        CHECK_EQ(oa_go(user, (void *)i, .task = &tasks[i], .coord = coord, .drop = dropped), 0);
    for (uintptr_t i = 0; i < THREADS; i++)
        thread_start(&threads[i], user, (void *)(TASKS + i));
    while (atomic_load(&left) != 0) {
        uint64_t n = random_below(&random, looks(20000));
        if (n < TASKS / 2)
            (void)oa_cancel(tasks[n]);
        oa_yield();
    }
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(oa_join(tasks[i]), 0);
    for (int i = 0; i < THREADS; i++)
        thread_join(&threads[i]);
}

static void run(int workers)
{
    atomic_store(&left, TASKS + THREADS);
    seed++;
    beside(&coord, drive, NULL, workers);
    CHECK_EQ(oa_mutex_destroy(&mutex), 0);
    CHECK_EQ(counter, atomic_load(&expected));
}

int main(void)
{
    seed = test_seed();
    each = test_scale(40000);
    run(1);
    run(2);
    return 0;
}
