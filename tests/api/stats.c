// SPDX-License-Identifier: BSD-2-Clause
// stats.c - oa_stats: its figures, its sizes, its refusals.
// ctest: simulate
#include "support.h"

static oa_sem_t gate;

static void pass_gate(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_acquire(&gate), 0);
}

static oa_stats_t read_stats(void)
{
    oa_stats_t stats = OA_STATS_INIT;
    CHECK_EQ(oa_stats(coord, &stats), 0);
    CHECK_EQ(stats.size, sizeof stats);
    return stats;
}

static void figures(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    int own = oa_self() != NULL; // the case itself is a task
    oa_sem_init(&gate, 0);
    UNTIL(read_stats().tasks_alive == (uint64_t)own);
    oa_stats_t before = read_stats();
    CHECK_EQ(before.tasks_spawned - before.tasks_completed, own);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(oa_go(pass_gate, .group = &group, .coord = coord), 0);
    UNTIL(read_stats().parks >= before.parks + 100);
    oa_stats_t during = read_stats();
    CHECK_EQ(during.tasks_alive, 100 + own);
    CHECK_EQ(during.tasks_spawned - before.tasks_spawned, 100);
    CHECK_EQ(during.tasks_completed, before.tasks_completed);
    CHECK(during.dispatches >= before.dispatches + 100);
    CHECK(during.stacks_in_use >= 100);
    CHECK(during.stacks_peak >= during.stacks_in_use);
    CHECK(during.stacks_mapped >= during.stacks_in_use);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(oa_sem_release(&gate), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    UNTIL(read_stats().tasks_alive == (uint64_t)own);
    oa_stats_t after = read_stats();
    CHECK_EQ(after.tasks_completed - before.tasks_completed, 100);
    CHECK(after.dispatches >= before.dispatches + 200);
    CHECK(after.stacks_peak >= during.stacks_peak);
}

// A yield is no wait.
static void yields(void *arg)
{
    oa_task_t *task;
    coord = oa_coord();
    CHECK_EQ(oa_go(nothing, .task = &task), 0);
    uint64_t before = parks();
    for (int i = 0; i < 1000; i++)
        oa_yield();
    CHECK_EQ(parks(), before);
    CHECK_EQ(oa_join(task), 0);
    (void)arg;
}

static void sizes(void *arg)
{
    (void)arg;
    struct {
        oa_stats_t stats;
        uint64_t more[2];
    } out;
    memset(&out, 0xff, sizeof out);
    out.stats.size = sizeof out;
    CHECK_EQ(oa_stats(coord, &out.stats), 0);
    CHECK_EQ(out.more[0] | out.more[1], 0); // what it does not know is zero
    memset(&out, 0xff, sizeof out);
    out.stats.size = offsetof(oa_stats_t, tasks_spawned);
    CHECK_EQ(oa_stats(coord, &out.stats), 0);
    CHECK_EQ(out.stats.size, offsetof(oa_stats_t, tasks_spawned));
    CHECK(out.stats.tasks_alive != UINT64_MAX);
    CHECK(out.stats.tasks_spawned == UINT64_MAX); // beyond its size: not written
    out.stats.size = 0;
    CHECK_EQ(oa_stats(coord, &out.stats), -EINVAL);
    CHECK_EQ(oa_stats(coord, NULL), -EINVAL);
    if (oa_self()) {
        out.stats.size = sizeof(oa_stats_t);
        CHECK_EQ(oa_stats(NULL, &out.stats), 0);
        CHECK(out.stats.tasks_alive >= 1);
    }
}

int main(void)
{
    oa_stats_t stats = OA_STATS_INIT;
    CHECK_EQ(oa_stats(NULL, &stats), -EPERM);
    everywhere(figures);
    everywhere(sizes);
    CHECK_EQ(oa_run(yields, .max_workers = 1), 0);
    return 0;
}
