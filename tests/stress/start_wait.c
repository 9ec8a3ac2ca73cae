// SPDX-License-Identifier: BSD-2-Clause
// start_wait.c - oa_start and oa_wait a thousand times: threads and descriptors are as before the
// first, mappings and resident memory as after the second, for the C library keeps some stacks and
// arenas.
// ctest: timeout=60
#include "stress/support.h"

static void pause_a_little(void *arg)
{
    (void)arg;
    int err = oa_sleep(10 * OA_MICROSECOND);
    CHECK(err == 0 || err == -ECANCELED);
}

static void start(void *arg)
{
    oa_task_t *task;
    int tasks = *(int *)arg;
    for (int i = 0; i < tasks; i++) {
        int err = oa_go(pause_a_little, .stack = i % 3 * 100000U, .name = "one of many");
        CHECK(err == 0 || err == -ESHUTDOWN);
        err = oa_go(nothing, .delay = OA_MICROSECOND, .task = &task); // never joined
        CHECK(err == 0 || err == -ESHUTDOWN);
    }
}

static void round_of(int round)
{
    oa_coord_t *coord;
    int tasks = round % 4 * 4;
    CHECK_EQ(oa_start(&coord, start, &tasks, .max_workers = 1 + round % 3), 0);
    if (round % 5 == 0)
        CHECK_EQ(oa_shutdown(coord, OA_CANCEL), 0);
    CHECK_EQ(oa_wait(coord), 0);
}

int main(void)
{
    enum { WARM = 60 }; // each kind of round, as often as the C library needs to settle
    leaves_nothing_behind(round_of, WARM, 4, 512);
    return 0;
}
