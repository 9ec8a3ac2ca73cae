// SPDX-License-Identifier: BSD-2-Clause
// start_block.c - oa_start and oa_wait a thousand times with blocking and pinned tasks and
// oa_block: threads and descriptors are as before the first, mappings and resident memory as after
// some.
// ctest: timeout=60
#include "stress/support.h"

static void wait_a_little(void *arg)
{
    (void)arg;
    int err = oa_sleep(10 * OA_MICROSECOND);
    CHECK(err == 0 || err == -ECANCELED);
}

static void call(void *arg)
{
    int err = oa_block(wait_a_little, arg);
    CHECK(err == 0 || err == -ECANCELED);
}

static void start(void *arg)
{
    int tasks = *(int *)arg;
    for (int i = 0; i < tasks; i++) {
        int err = oa_go(i % 2 ? wait_a_little : nothing, .block = 1, .delay = i % 3);
        CHECK(err == 0 || err == -ESHUTDOWN);
        err = oa_go(i % 2 ? wait_a_little : nothing, .pinned = i % 4 == 0, .stack = 100000);
        CHECK(err == 0 || err == -ESHUTDOWN);
        err = oa_go(call);
        CHECK(err == 0 || err == -ESHUTDOWN);
    }
}

static void round_of(int round)
{
    oa_coord_t *coord;
    int tasks = round % 4 * 2;
    CHECK_EQ(oa_start(&coord, start, &tasks, .max_workers = 1 + round % 3,
                      .max_blocking = 1 + round % 4),
             0);
    if (round % 5 == 0)
        CHECK_EQ(oa_shutdown(coord, OA_CANCEL), 0);
    CHECK_EQ(oa_wait(coord), 0);
}

int main(void)
{
    enum { WARM = 200 }; // each kind of round, as often as the C library needs to settle
    // The C library keeps stacks of threads, and arenas.
    leaves_nothing_behind(round_of, WARM, 32, 4096);
    return 0;
}
