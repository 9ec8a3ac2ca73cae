// SPDX-License-Identifier: BSD-2-Clause
// sleepers.c - many sleeps and delays of random lengths, some cancelled: all end, none early.
// ctest: timeout=60 simulate=1
#include "stress/support.h"

static uint64_t seed;
static _Atomic int64_t slept, dropped_count;

static void sleeper(void *arg)
{
    uint64_t random = *(uint64_t *)arg;
    for (int i = 0; i < 3; i++) {
        int64_t until = oa_after((int64_t)random_below(&random, 30000) * 1000);
        int err = oa_sleep_until(until);
        CHECK(err == 0 || err == -ECANCELED);
        CHECK(err != 0 || oa_now() >= until);
    }
    atomic_fetch_add(&slept, 1);
}

static void delayed(void *arg)
{
    CHECK(oa_now() >= *(int64_t *)arg);
    atomic_fetch_add(&slept, 1);
}

static void dropped(void *arg)
{
    (void)arg;
    atomic_fetch_add(&dropped_count, 1);
}

static void start(void *arg)
{
    uint64_t random = seed;
    for (int64_t i = *(int64_t *)arg; i > 0; i--) {
        uint64_t state = next_random(&random);
        int64_t delay = (int64_t)random_below(&random, 60000) * 1000;
        int64_t at = oa_after(delay);
        oa_task_t *task = NULL;
        CHECK_EQ(oa_go(sleeper, oa_val(state)), 0);
        CHECK_EQ(oa_go(delayed, oa_val(at), .delay = delay + 1, .task = &task, .drop = dropped), 0);
        if (i % 5 == 0)
            (void)oa_cancel(task);
        CHECK_EQ(oa_detach(task), 0);
        if (i % 1000 == 0)
            oa_yield();
    }
}

int main(void)
{
    int64_t count = test_scale(30000);
    seed = test_seed();
    for (int workers = 1; workers <= 2; workers++) {
        atomic_store(&slept, 0);
        atomic_store(&dropped_count, 0);
        CHECK_EQ(oa_run(start, &count, .max_workers = workers), 0);
        CHECK_EQ(atomic_load(&slept) + atomic_load(&dropped_count), 2 * count);
    }
    return 0;
}
