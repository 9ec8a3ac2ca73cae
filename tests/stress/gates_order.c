// SPDX-License-Identifier: BSD-2-Clause
// gates_order.c - 100,000 tasks on one resource: each is let in once, alone, in the order of their
// oa_go, and none is dispatched before.
// ctest: timeout=60
#include "stress/support.h"

static oa_mutex_t mutex;
static oa_coord_t *coord;
static int64_t next; // guarded by the mutex, and no atomic
static int64_t count;

static void step(void *arg)
{
    CHECK_EQ(next, (intptr_t)arg);
    next++;
    if ((intptr_t)arg % 1000 == 0)
        oa_yield();
    CHECK_EQ(next, (intptr_t)arg + 1);
}

static oa_stats_t stats(void)
{
    oa_stats_t stats = OA_STATS_INIT;
    CHECK_EQ(oa_stats(coord, &stats), 0);
    return stats;
}

static void run(int workers)
{
    next = 0;
    oa_mutex_init(&mutex);
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = workers), 0);
    while (stats().tasks_completed == 0)
        sched_yield();
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    uint64_t before = stats().dispatches;
    for (int64_t i = 0; i < count; i++)
        CHECK_EQ(oa_go(step, (void *)(intptr_t)i, .acq = &mutex, .coord = coord), 0);
    CHECK_EQ(stats().dispatches, before);
    CHECK_EQ(stats().tasks_alive, count);
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    while (stats().tasks_alive != 0)
        CHECK_EQ(oa_sleep(OA_MILLISECOND), 0);
    // One dispatch each, and one more for each that has yielded to somebody.
    CHECK(stats().dispatches - before >= (uint64_t)count);
    CHECK(stats().dispatches - before <= (uint64_t)(count + count / 1000 + 1));
    CHECK_EQ(oa_wait(coord), 0);
    CHECK_EQ(next, count);
    CHECK_EQ(oa_mutex_destroy(&mutex), 0);
}

int main(void)
{
    count = test_scale(100000);
    run(1);
    run(2);
    return 0;
}
