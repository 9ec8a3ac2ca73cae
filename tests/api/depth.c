// SPDX-License-Identifier: BSD-2-Clause
// depth.c - a task may wait at any depth of calls; what is on its stack and in its registers stays.
#include "rounding.h"
#include "support.h"

enum { DEPTH = 300, TASKS = 20 };

static uint64_t descend(int depth, uint64_t value)
{
    volatile uint64_t here[8];
    for (int i = 0; i < 8; i++)
        here[i] = value * 31 + (uint64_t)i;
    uint64_t below = 0;
    if (depth % 50 == 0)
        oa_yield();
    if (depth)
        below = descend(depth - 1, value * 7 + 1);
    else
        CHECK_EQ(oa_sleep(100 * OA_MICROSECOND), 0);
    for (int i = 0; i < 8; i++)
        CHECK(here[i] == value * 31 + (uint64_t)i);
    return below + value;
}

static void dive(void *arg)
{
    uint64_t value = *(uint64_t *)arg, expected = 0, v = value;
    for (int i = 0; i <= DEPTH; i++, v = v * 7 + 1)
        expected += v;
    CHECK(descend(DEPTH, value) == expected);
}

// Floating point goes on over waits, its rounding mode too, which is the task's own.
static void compute(void *arg)
{
    int mode = *(int *)arg % 3;
    volatile double sum = 0, expected = 0;
    CHECK_EQ(rounding(), NEAREST); // how a task begins
    for (int i = 1; i < 100; i++)
        expected += 1.0 / i;
    set_rounding(mode);
    for (int i = 0; i < 20; i++) {
        oa_yield();
        CHECK_EQ(rounding(), mode);
    }
    set_rounding(NEAREST);
    for (int i = 1; i < 100; i++) {
        sum += 1.0 / i;
        oa_yield();
    }
    CHECK(sum == expected);
    set_rounding(mode); // left behind: the next task begins afresh
}

static void many(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    for (uint64_t i = 0; i < TASKS; i++)
        CHECK_EQ(oa_go(dive, oa_val(i), .group = &group, .coord = coord), 0);
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(oa_go(compute, oa_val(i), .group = &group, .coord = coord), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(rounding(), NEAREST);
}

int main(void)
{
    everywhere(many);
    return 0;
}
