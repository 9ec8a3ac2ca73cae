// SPDX-License-Identifier: BSD-2-Clause
// chan_consume_rest.c - a consumer at rest costs nothing; one that works takes a few elements
// ahead.
// ctest: simulate
#include "support.h"

static _Atomic int called;

static void count(void *elem)
{
    (void)elem;
    oa_yield();
    called++;
}

static oa_stats_t stats(void)
{
    oa_stats_t stats = OA_STATS_INIT;
    CHECK_EQ(oa_stats(coord, &stats), 0);
    return stats;
}

// No stack but those of the workers' loops, no task, and nothing is dispatched until it is woken.
static void at_rest(int workers)
{
    oa_task_t *task = NULL;
    oa_chan_t *ch = oa_chan_make(sizeof(int), .capacity = 4);
    called = 0;
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = workers), 0);
    CHECK_EQ(oa_chan_consume(ch, count, NULL, .task = &task, .coord = coord), 0);
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < 5; i++)
            CHECK_EQ(oa_chan_send(ch, &i), 0);
        UNTIL(called == 5 * round && stats().tasks_alive == 0);
        oa_stats_t before = stats();
        CHECK(before.stacks_in_use <= (uint64_t)workers);
        for (int i = 0; i < 1000; i++)
            oa_yield();
        CHECK_EQ(stats().dispatches, before.dispatches);
        CHECK_EQ(stats().parks, before.parks);
    }
    CHECK_EQ(oa_chan_close(ch), 0);
    join(task);
    CHECK_EQ(oa_wait(coord), 0);
    CHECK_EQ(oa_chan_free(ch), 0);
}

static void until_cancelled(void *elem)
{
    (void)elem;
    called++;
    CHECK_EQ(oa_sleep(OA_FOREVER), -ECANCELED);
}

// What it has taken is dropped by a cancel: 32 elements, or as many as the channel holds.
static void ahead(void *arg)
{
    static const int capacities[] = {0, 1, 5, 32, 40};
    (void)arg;
    for (int i = 0; i < 5; i++) {
        int capacity = capacities[i], taken = capacity < 32 ? capacity : 32;
        oa_task_t *task = NULL;
        oa_chan_t *ch = oa_chan_make(sizeof(int), .capacity = (size_t)capacity);
        called = 0;
        for (int k = 0; k < capacity; k++)
            CHECK_EQ(oa_chan_put(ch, &k), 0);
        CHECK_EQ(oa_chan_consume(ch, until_cancelled, NULL, .task = &task, .coord = coord), 0);
        if (capacity == 0)
            CHECK_EQ(oa_chan_send(ch, &i), 0);
        UNTIL(called == 1);
        CHECK_EQ(oa_cancel(task), 0);
        join(task);
        CHECK_EQ(called, 1);
        CHECK_EQ(oa_chan_len(ch), capacity - taken);
        CHECK_EQ(oa_chan_free(ch), 0);
    }
}

int main(void)
{
    everywhere(ahead);
    if (simulated())
        return 0; // in which who looks on is a task
    at_rest(1);
    at_rest(2);
    return 0;
}
