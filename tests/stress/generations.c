// SPDX-License-Identifier: BSD-2-Clause
// generations.c - one task after the other in the same memory until its generations are used up: no
// handle is ever given out twice, and the first one stays stale.
// ctest: timeout=60 label=long
#include "stress/support.h"

static void start(void *arg)
{
    enum { ALL = (1 << 23) + 1000 };
    int64_t rounds = test_scale(ALL);
    oa_task_t *first = NULL, *before = NULL;
    (void)arg;
    for (int64_t i = 0; i < rounds; i++) {
        oa_task_t *task;
        CHECK_EQ(oa_go(nothing, .task = &task), 0);
        CHECK(task != first && task != before);
        CHECK_EQ(oa_join(task), 0);
        if (i == 0)
            first = task;
        before = task;
        if (i % 1024 == 0 || i > rounds - 2000) {
            CHECK_EQ(oa_task_id(first), 0);
            CHECK_EQ(oa_join(first), -ESRCH);
            CHECK_EQ(oa_cancel(task), -ESRCH);
        }
    }
}

int main(void)
{
    CHECK_EQ(oa_run(start, .max_workers = 1), 0);
    return 0;
}
