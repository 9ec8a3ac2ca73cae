// SPDX-License-Identifier: BSD-2-Clause
// wait_late.c - the last task ends just when a wait for the end runs out of time: the wait
// succeeds, or the coordinator is as it was and takes tasks. Nor does a wait that cannot begin, the
// caller being cancelled, end a coordinator that is idle.
#include "stress/support.h"

static void wait_late(void)
{
    uint64_t random = test_seed();
    int late = 0;
    for (int64_t round = test_scale(3000); round > 0; round--) {
        oa_coord_t *coord;
        CHECK_EQ(oa_start(&coord, nothing, .max_workers = 2), 0);
        int err;
        while ((err = oa_wait_until(
                    coord, oa_after((int64_t)random_below(&random, 60) * OA_MICROSECOND))) != 0) {
            CHECK_EQ(err, -ETIMEDOUT);
            CHECK_EQ(oa_go(nothing, .coord = coord), 0);
            late++;
        }
    }
    printf("%d late\n", late);
}

static oa_coord_t *idle;

static void wait_cancelled(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_cancel(oa_self()), 0);
    CHECK_EQ(oa_wait(idle), -ECANCELED);
    CHECK_EQ(oa_go(nothing, .coord = idle), 0);
}

int main(void)
{
    wait_late();
    CHECK_EQ(oa_start(&idle, nothing, .max_workers = 1), 0);
    CHECK_EQ(oa_sleep(5 * OA_MILLISECOND), 0);
    CHECK_EQ(oa_run(wait_cancelled, .max_workers = 1), 0);
    CHECK_EQ(oa_wait(idle), 0);
    return 0;
}
