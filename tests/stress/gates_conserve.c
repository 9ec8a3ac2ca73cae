// SPDX-License-Identifier: BSD-2-Clause
// gates_conserve.c - tasks with random gates, delays, cancels, lossy refusals, beside tasks and
// threads that use the same objects by calls: each runs or is dropped once, never too many are in,
// nothing is lost.
// ctest: timeout=60 simulate=5
#include "stress/support.h"

enum { PERMITS = 3, PLACES = 4, LIVE = 64, CALLERS = 4 };

static oa_coord_t *coord;
static oa_sem_t sem;
static oa_mutex_t mutex;
static oa_backpressure_t bp;
static oa_barrier_t barrier;
static oa_latch_t latch;
static _Atomic int64_t runs, drops;
static atomic_int permits_out, places_out, holders;
static int64_t guarded; // by the mutex, and no atomic
static _Atomic int64_t locked;
static atomic_bool stop;
static uint64_t seed;

// Which gates a task has, as bits of its argument.
enum { SEM = 1, MUTEX = 2, BP = 4, BARRIER = 8, LATCH = 16, EARLY = 32 };

static void hold_mutex(bool early)
{
    CHECK_EQ(atomic_fetch_add(&holders, 1), 0);
    guarded++;
    atomic_fetch_add(&locked, 1);
    atomic_fetch_sub(&holders, 1);
    if (early)
        CHECK_EQ(oa_mutex_unlock(&mutex), 0);
}

static void work(void *arg)
{
    uintptr_t bits = *(uintptr_t *)arg;
    if (bits & SEM)
        CHECK(atomic_fetch_add(&permits_out, 1) < PERMITS);
    if (bits & BP)
        CHECK(atomic_fetch_add(&places_out, 1) < PLACES);
    if (bits & MUTEX)
        hold_mutex(bits & EARLY);
    if (bits & EARLY)
        oa_yield();
    if (bits & BP)
        atomic_fetch_sub(&places_out, 1);
    if (bits & SEM)
        atomic_fetch_sub(&permits_out, 1);
    atomic_fetch_add(&runs, 1);
}

static void drop(void *arg)
{
    (void)arg;
    atomic_fetch_add(&drops, 1);
}

// Uses by calls what the tasks have as gates.
static void caller(void *arg)
{
    uint64_t random = seed + (uintptr_t)arg;
    while (!atomic_load(&stop)) {
        int64_t deadline = oa_after((int64_t)random_below(&random, 50) * 1000);
        switch (random_below(&random, 4)) {
        case 0:
            if (oa_mutex_lock_until(&mutex, deadline) == 0)
                hold_mutex(true);
            break;
        case 1:
            if (oa_sem_acquire_until(&sem, deadline) == 0) {
                CHECK(atomic_fetch_add(&permits_out, 1) < PERMITS);
                atomic_fetch_sub(&permits_out, 1);
                CHECK_EQ(oa_sem_release(&sem), 0);
            }
            break;
        case 2: (void)oa_barrier_wait_until(&barrier, deadline); break;
        default: (void)oa_latch_wait_until(&latch, deadline); break;
        }
        oa_yield();
    }
}

static oa_task_t *spawn(uint64_t *random)
{
    oa_task_t *task = NULL;
    uintptr_t bits = random_below(random, 64);
    int64_t delay = random_below(random, 4) ? 0 : (int64_t)random_below(random, 50) * 1000;
    (void)oa_go(work, oa_val(bits), .delay = delay, .drop = drop, .task = &task, .coord = coord,
                .sem = bits & SEM ? &sem : NULL, .acq = bits & MUTEX ? &mutex : NULL,
                .bp = bits & BP ? &bp : NULL, .cb = bits & BARRIER ? &barrier : NULL,
                .latch = bits & LATCH ? &latch : NULL);
    return task;
}

// Spawns, cancels at random, and joins the oldest, for which the others may have to come first.
static void churn(int64_t count)
{
    uint64_t random = seed;
    oa_task_t *live[LIVE] = {NULL};
    for (int64_t i = 0; i < count; i++) {
        oa_task_t **slot = &live[i % LIVE];
        if (*slot) {
            if (random_below(&random, 2) ||
                oa_join_until(*slot, oa_after(100 * OA_MICROSECOND)) != 0) {
                (void)oa_cancel(*slot);
                CHECK_EQ(oa_join(*slot), 0);
            }
        }
        *slot = spawn(&random);
        if (live[random_below(&random, LIVE)] && random_below(&random, 8) == 0)
            (void)oa_cancel(live[random_below(&random, LIVE)]);
    }
    for (int i = 0; i < LIVE; i++)
        if (live[i]) {
            (void)oa_cancel(live[i]);
            CHECK_EQ(oa_join(live[i]), 0);
        }
}

static void drive(void *count)
{
    struct thread threads[2];
    oa_group_t group = OA_GROUP_INIT;
    for (uintptr_t i = 0; i < CALLERS; i++)
        CHECK_EQ(oa_go(caller, (void *)i, .group = &group, .coord = coord), 0);
    for (uintptr_t i = 0; i < 2; i++)
        thread_start(&threads[i], caller, (void *)(CALLERS + i));
    churn(*(int64_t *)count);
    atomic_store(&stop, true);
    thread_join(&threads[0]);
    thread_join(&threads[1]);
    CHECK_EQ(oa_group_wait(&group), 0);
}

static void run(int workers, oa_backpressure_mode_t mode)
{
    int64_t count = test_scale(8000);
    oa_sem_init(&sem, PERMITS);
    oa_mutex_init(&mutex);
    oa_backpressure_init(&bp, PLACES, mode);
    oa_barrier_init(&barrier, 3);
    oa_latch_init(&latch, (int32_t)(count / 2));
    atomic_store(&runs, 0);
    atomic_store(&drops, 0);
    atomic_store(&locked, 0);
    atomic_store(&stop, false);
    guarded = 0;
    seed++;
    beside(&coord, drive, &count, workers);
    CHECK_EQ(atomic_load(&runs) + atomic_load(&drops), count);
    CHECK_EQ(guarded, atomic_load(&locked));
    CHECK_EQ(oa_mutex_destroy(&mutex), 0);
    CHECK_EQ(oa_backpressure_destroy(&bp), 0);
    CHECK_EQ(oa_barrier_destroy(&barrier), 0);
    CHECK_EQ(oa_latch_destroy(&latch), 0);
    CHECK_EQ(oa_sem_destroy(&sem), 0);
    for (int i = 0; i < PERMITS; i++)
        CHECK_EQ(oa_sem_tryacquire(&sem), 0);
    CHECK_EQ(oa_sem_tryacquire(&sem), -EAGAIN);
    printf("ran %lld, dropped %lld\n", (long long)atomic_load(&runs),
           (long long)atomic_load(&drops));
}

int main(void)
{
    seed = test_seed();
    run(1, OA_LOSSLESS);
    run(2, OA_LOSSLESS);
    run(2, OA_LOSSY);
    return 0;
}
