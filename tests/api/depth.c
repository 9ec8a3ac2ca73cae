// SPDX-License-Identifier: BSD-2-Clause
// depth.c - a task may wait at any depth of calls; what is on its stack and in its registers stays.
// ctest: simulate
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

// So does each call of a channel's consumer.
static atomic_int calls;

static void leave_rounding(void *elem)
{
    (void)elem;
    CHECK_EQ(rounding(), NEAREST);
    set_rounding(UPWARD);
    calls++;
}

static void consumed(void *arg)
{
    (void)arg;
    oa_chan_t *ch = oa_chan_make(0, .capacity = 4);
    oa_task_t *task;
    calls = 0;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(oa_chan_send(ch, NULL), 0);
    CHECK_EQ(oa_chan_consume(ch, leave_rounding, NULL, .task = &task, .coord = coord), 0);
    CHECK_EQ(oa_chan_close(ch), 0);
    CHECK_EQ(oa_join(task), 0);
    CHECK_EQ(calls, 3);
    CHECK_EQ(oa_chan_free(ch), 0);
}

// What a call's local values are destroyed with is the call's mode, and left to nobody either.
static oa_local_t key;

static void check_and_leave(void *value)
{
    (void)value;
    CHECK_EQ(rounding(), DOWNWARD);
    set_rounding(UPWARD);
}

static void leave_value(void *elem)
{
    CHECK_EQ(rounding(), NEAREST);
    CHECK_EQ(oa_local_set(key, elem), 0);
    set_rounding(DOWNWARD);
    calls++;
}

static void consumed_with_locals(void *arg)
{
    (void)arg;
    oa_chan_t *ch = oa_chan_make(sizeof(int), .capacity = 4);
    oa_task_t *task;
    calls = 0;
    CHECK_EQ(oa_local_create(&key, check_and_leave), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(oa_chan_send(ch, &i), 0);
    CHECK_EQ(oa_chan_consume(ch, leave_value, NULL, .task = &task, .coord = coord), 0);
    CHECK_EQ(oa_chan_close(ch), 0);
    CHECK_EQ(oa_join(task), 0);
    CHECK_EQ(calls, 3);
    CHECK_EQ(oa_chan_free(ch), 0);
    CHECK_EQ(oa_local_delete(key), 0);
}

// A task that is dropped leaves no mode behind either.
static void leave_dropped(void *arg)
{
    (void)arg;
    set_rounding(DOWNWARD);
    calls++;
}

static void dropped(void *arg)
{
    (void)arg;
    oa_task_t *task;
    calls = 0;
    CHECK_EQ(oa_go(nothing, NULL, .drop = leave_dropped, .task = &task, .coord = oa_coord()), 0);
    CHECK_EQ(oa_cancel(task), 0);
    CHECK_EQ(oa_join(task), 0);
    CHECK_EQ(calls, 1);
    CHECK_EQ(rounding(), NEAREST);
}

int main(void)
{
    everywhere(many);
    everywhere(consumed_with_locals);
    everywhere(consumed);
    if (!simulated()) // in which it may begin before it is cancelled
        CHECK_EQ(oa_run(dropped, NULL, .max_workers = 1), 0);
    return 0;
}
