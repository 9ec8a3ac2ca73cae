// SPDX-License-Identifier: BSD-2-Clause
// group_nested.c - groups within groups, tasks that add tasks, and cancels of it all from
// everywhere: each task that was accepted has run or was dropped when the wait for its group has
// returned.
// ctest: timeout=60 simulate=50
#include "stress/support.h"

static uint64_t seed;
static _Atomic int64_t open_tasks; // spawned, neither ended nor dropped
static atomic_uint made;
static oa_coord_t *coord;

static void dropped(void *arg)
{
    (void)arg;
    atomic_fetch_sub(&open_tasks, 1);
}

struct node {
    oa_group_t *group;
    uint64_t random;
    int depth;
};

static void node(void *arg);

// Whatever oa_go returns, one of node and dropped is called.
static int add(oa_group_t *group, uint64_t random, int depth)
{
    struct node child = {group, random, depth};
    int64_t delay = random % 8 ? 0 : (int64_t)(random / 8 % 200) * 1000;
    atomic_fetch_add(&open_tasks, 1);
    atomic_fetch_add(&made, 1);
    return oa_go(node, &child, .copy = sizeof child, .drop = dropped, .group = group,
                 .delay = delay, .coord = coord);
}

static void wait_somehow(uint64_t *random)
{
    int err = 0;
    switch (random_below(random, 4)) {
    case 0: oa_yield(); break;
    case 1: err = oa_sleep((int64_t)random_below(random, 100) * 1000); break;
    default: dawdle(random);
    }
    CHECK(err == 0 || err == -ECANCELED);
}

static void subtree(uint64_t *random, int depth)
{
    oa_group_t group = OA_GROUP_INIT;
    for (uint64_t i = random_below(random, 4); i > 0; i--) {
        int err = add(&group, next_random(random), depth);
        CHECK(err == 0 || err == -ECANCELED); // by one of its own tasks
    }
    if (random_below(random, 4) == 0)
        CHECK_EQ(oa_group_cancel(&group), 0);
    int err = oa_group_wait(&group);
    CHECK(err == 0 || err == -ECANCELED);
    CHECK_EQ(oa_group_destroy(&group), 0);
    memset(&group, 0xff, sizeof group);
}

static void node(void *arg)
{
    struct node self = *(struct node *)arg;
    if (self.depth > 0) {
        for (int i = 0; i < 2; i++) {
            int err = add(self.group, next_random(&self.random), self.depth - 1);
            CHECK(err == 0 || err == -ECANCELED);
            wait_somehow(&self.random);
        }
        subtree(&self.random, self.depth - 2);
    }
    if (random_below(&self.random, 64) == 0)
        CHECK_EQ(oa_group_cancel(self.group), 0);
    atomic_fetch_sub(&open_tasks, 1);
}

static void round_of(uint64_t *random)
{
    oa_group_t group = OA_GROUP_INIT;
    for (int i = 0; i < 4; i++) {
        int err = add(&group, next_random(random), 3);
        CHECK(err == 0 || err == -ECANCELED);
    }
    int err = oa_group_wait_until(&group, oa_after((int64_t)random_below(random, 2000) * 1000));
    CHECK(err == 0 || err == -ETIMEDOUT);
    if (err != 0) {
        CHECK_EQ(oa_group_cancel(&group), 0);
        CHECK_EQ(oa_group_wait(&group), 0);
    }
    CHECK_EQ(oa_group_destroy(&group), 0);
    CHECK_EQ(atomic_load(&open_tasks), 0);
}

static void rounds(void *arg)
{
    uint64_t random = seed;
    (void)arg;
    for (int64_t i = test_scale(150); i > 0; i--)
        round_of(&random);
}

int main(void)
{
    seed = test_seed();
    for (int workers = 1; workers <= 2; workers++) {
        beside(&coord, rounds, NULL, workers);
        if (simulated())
            break;
        CHECK_EQ(oa_start(&coord, rounds, .max_workers = workers), 0);
        CHECK_EQ(oa_wait(coord), 0);
    }
    CHECK(atomic_load(&made) != 0);
    return 0;
}
