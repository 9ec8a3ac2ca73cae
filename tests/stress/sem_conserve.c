// SPDX-License-Identifier: BSD-2-Clause
// sem_conserve.c - permits are conserved under random cancels and deadlines, and never more are out
// than there are.
// ctest: timeout=60 simulate=2
#include "stress/support.h"

enum { PERMITS = 3, USERS = 12 };

static oa_coord_t *coord;
static oa_sem_t sem = OA_SEM_INIT(PERMITS);
static atomic_int out;
static atomic_uint left;
static atomic_uint taken;
static uint64_t seed;
static int64_t each;

static int take(uint64_t *random)
{
    switch (random_below(random, 4)) {
    case 0: return oa_sem_tryacquire(&sem);
    case 1: return oa_sem_acquire(&sem);
    default: return oa_sem_acquire_until(&sem, oa_after((int64_t)random_below(random, 50) * 1000));
    }
}

static void user(void *arg)
{
    uint64_t random = seed + (uintptr_t)arg;
    for (int64_t i = 0; i < each; i++) {
        int err = take(&random);
        if (err == 0) {
            CHECK(atomic_fetch_add(&out, 1) < PERMITS);
            if (random_below(&random, 4) == 0)
                oa_yield();
            atomic_fetch_add(&taken, 1);
            atomic_fetch_sub(&out, 1);
            CHECK_EQ(oa_sem_release(&sem), 0);
        } else {
            CHECK(err == -EAGAIN || err == -ETIMEDOUT || err == -ECANCELED);
        }
        if (err == -ECANCELED) {
            oa_shield(random_below(&random, 2));
            oa_yield();
        }
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
    atomic_store(&left, USERS + 2);
    seed++;
    beside(&coord, drive, NULL, workers);
    CHECK_EQ(oa_sem_destroy(&sem), 0);
    for (int i = 0; i < PERMITS; i++)
        CHECK_EQ(oa_sem_tryacquire(&sem), 0);
    CHECK_EQ(oa_sem_tryacquire(&sem), -EAGAIN);
    for (int i = 0; i < PERMITS; i++)
        CHECK_EQ(oa_sem_release(&sem), 0);
}

int main(void)
{
    seed = test_seed();
    each = test_scale(40000);
    run(1);
    run(2);
    CHECK(atomic_load(&taken) != 0);
    return 0;
}
