// SPDX-License-Identifier: BSD-2-Clause
// clock.c - the clock, deadlines, and sleeping: never early, in tasks and in plain threads.
// ctest: simulate
#include "support.h"

static void deadlines(void)
{
    struct timespec ts;
    int64_t before = oa_now();
    clock_gettime(CLOCK_MONOTONIC, &ts);
    int64_t now = (int64_t)ts.tv_sec * OA_SECOND + ts.tv_nsec;
    CHECK(before <= now);
    CHECK(now <= oa_now());
    before = oa_now();
    int64_t after = oa_after(OA_SECOND);
    CHECK(after >= before + OA_SECOND && after <= oa_now() + OA_SECOND);
    CHECK_EQ(oa_after(OA_FOREVER), OA_FOREVER);
    CHECK_EQ(oa_after(OA_FOREVER - 1), OA_FOREVER);
    CHECK(oa_after(-OA_SECOND) < oa_now());
    CHECK(oa_after(INT64_MIN) < oa_now());
    CHECK(oa_after(0) <= oa_now());
}

static void sleeps(void *arg)
{
    (void)arg;
    int64_t before = oa_now();
    CHECK_EQ(oa_sleep(2 * OA_MILLISECOND), 0);
    CHECK(oa_now() - before >= 2 * OA_MILLISECOND);
    int64_t deadline = oa_after(OA_MILLISECOND);
    CHECK_EQ(oa_sleep_until(deadline), 0);
    CHECK(oa_now() >= deadline);
    CHECK_EQ(oa_sleep(0), 0);
    CHECK_EQ(oa_sleep_until(PAST), 0);
    CHECK_EQ(oa_sleep_until(0), 0);
    CHECK_EQ(oa_sleep_until(INT64_MIN), 0);
    CHECK_EQ(oa_sleep(-1), -EINVAL);
    CHECK_EQ(oa_sleep(INT64_MIN), -EINVAL);
}

static void sleep_for_ever(void *arg)
{
    CHECK_EQ(oa_sleep(*(int64_t *)arg), -ECANCELED);
    CHECK_EQ(oa_sleep_until(OA_FOREVER), -ECANCELED);
}

// A huge duration saturates: it neither overflows nor returns.
static void huge(void *arg)
{
    (void)arg;
    int64_t durations[] = {OA_FOREVER, OA_FOREVER - 1, OA_FOREVER / 2};
    for (int i = 0; i < 3; i++) {
        uint64_t before = parks();
        oa_task_t *task = spawn(sleep_for_ever, &durations[i]);
        UNTIL(parks() > before);
        CHECK_EQ(oa_join_until(task, SOON), -ETIMEDOUT);
        CHECK_EQ(oa_cancel(task), 0);
        join(task);
    }
}

enum { SLEEPERS = 200 };

static struct {
    int64_t deadline;
    atomic_int woken;
} sleepers;

static void sleep_long(void *arg)
{
    int64_t ns = *(int64_t *)arg;
    int64_t before = oa_now();
    CHECK_EQ(oa_sleep(ns), 0);
    CHECK(oa_now() - before >= ns);
    atomic_fetch_add(&sleepers.woken, 1);
}

// Many at once, of lengths from 0 to 20 ms in no order.
static void many(void *arg)
{
    (void)arg;
    atomic_store(&sleepers.woken, 0);
    oa_group_t group = OA_GROUP_INIT;
    for (int i = 0; i < SLEEPERS; i++) {
        int64_t ns = (int64_t)(i * 7919 % 200) * 100 * OA_MICROSECOND;
        CHECK_EQ(oa_go(sleep_long, oa_val(ns), .group = &group, .coord = coord), 0);
    }
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(atomic_load(&sleepers.woken), SLEEPERS);
}

int main(void)
{
    deadlines();
    everywhere(sleeps);
    everywhere(huge);
    everywhere(many);
    return 0;
}
