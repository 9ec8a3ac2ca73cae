// SPDX-License-Identifier: BSD-2-Clause
// block_conserve.c - blocking and pinned tasks and calls of oa_block, with cancels at random
// moments and delays: each task runs or is dropped exactly once, each call calls its function or
// says why not, never more than max_blocking at once.
// ctest: timeout=60 simulate=5
#include "stress/support.h"

enum { MOST = 4, BATCH = 50 };

static atomic_llong spawned, ran, dropped; // tasks
static atomic_llong calls, called, refused;
static atomic_int inside;

static void drop(void *arg)
{
    (void)arg;
    atomic_fetch_add(&dropped, 1);
}

static void work(uint64_t seed)
{
    dawdle(&seed);
    if (seed % 16 == 0)
        oa_sleep(OA_MICROSECOND);
    if (seed % 32 == 1)
        oa_yield();
}

static void blocking(void *arg)
{
    CHECK(atomic_fetch_add(&inside, 1) < MOST || simulated()); // with no pool
    work(*(uint64_t *)arg);
    atomic_fetch_sub(&inside, 1);
    atomic_fetch_add(&ran, 1);
}

static void own_thread(void *arg)
{
    work(*(uint64_t *)arg);
    atomic_fetch_add(&ran, 1);
}

static void in_pool(void *arg)
{
    CHECK(atomic_fetch_add(&inside, 1) < MOST || simulated()); // with no pool
    work(*(uint64_t *)arg);
    atomic_fetch_add(&called, 1);
    atomic_fetch_sub(&inside, 1);
}

static void caller(void *arg)
{
    uint64_t *seed = arg;
    for (int i = 0; i < 4; i++) {
        atomic_fetch_add(&calls, 1);
        int err = oa_block(in_pool, seed);
        CHECK(err == 0 || err == -ECANCELED);
        if (err != 0)
            atomic_fetch_add(&refused, 1);
        *seed = next_random(seed);
        bool shield = *seed % 8 == 0;
        oa_shield(shield);
    }
    atomic_fetch_add(&ran, 1);
}

static void spawn(uint64_t *seed, oa_group_t *group, oa_task_t **task)
{
    uint64_t kind = random_below(seed, 16);
    uint64_t value = next_random(seed);
    int64_t delay = value % 8 ? 0 : (int64_t)(value % 1000) * 100;
    atomic_fetch_add(&spawned, 1);
    CHECK_EQ(oa_go(kind == 0  ? own_thread
                   : kind < 8 ? blocking
                              : caller,
                   oa_val(value), .drop = drop, .delay = delay, .group = group, .task = task,
                   .pinned = kind == 0, .block = kind > 0 && kind < 8),
             0);
}

// One that spawns, hosted or not, cancels some, and joins all.
static void batches(void *arg)
{
    uint64_t seed = *(uint64_t *)arg;
    int64_t count = test_scale(100000) / BATCH / 4 + 1;
    for (int64_t batch = 0; batch < count; batch++) {
        oa_task_t *tasks[BATCH];
        oa_group_t group = OA_GROUP_INIT;
        for (int i = 0; i < BATCH; i++)
            spawn(&seed, &group, &tasks[i]);
        for (uint64_t i = random_below(&seed, BATCH / 2); i > 0; i--) {
            int err = oa_cancel(tasks[random_below(&seed, BATCH)]);
            CHECK(err == 0 || err == -ESRCH);
        }
        if (random_below(&seed, 4) == 0)
            CHECK_EQ(oa_group_cancel(&group), 0);
        for (int i = 0; i < BATCH; i++)
            CHECK_EQ(oa_join(tasks[i]), 0);
        CHECK_EQ(oa_group_wait(&group), 0);
    }
}

static void start(void *arg)
{
    uint64_t seed = *(uint64_t *)arg;
    for (uint64_t i = 0; i < 4; i++) {
        uint64_t own = seed + i;
        CHECK_EQ(oa_go(batches, oa_val(own), .pinned = i == 0), 0);
    }
}

int main(void)
{
    uint64_t seed = test_seed();
    CHECK_EQ(oa_run(start, &seed, .max_workers = 2, .max_blocking = MOST), 0);
    CHECK_EQ(atomic_load(&ran) + atomic_load(&dropped), atomic_load(&spawned));
    CHECK_EQ(atomic_load(&called) + atomic_load(&refused), atomic_load(&calls));
    printf("%lld tasks, %lld dropped; %lld calls, %lld refused\n", atomic_load(&spawned),
           atomic_load(&dropped), atomic_load(&calls), atomic_load(&refused));
    return 0;
}
