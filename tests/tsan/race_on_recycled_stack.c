// SPDX-License-Identifier: BSD-2-Clause
// race_on_recycled_stack.c - tasks that follow each other on one recycled stack are ordered by that
// no more than others.
#include <oasync.h>

#include "check.h"

enum { TASKS = 50 };

static int shared;

static void parks(void *arg)
{
    CHECK_EQ(oa_sleep(1), 0);
    *(int *)arg += 1;
}

static void start(void *arg)
{
    (void)arg;
    for (int i = 0; i < TASKS; i++) {
        oa_task_t *task; // not joined: the task itself is not recycled
        CHECK_EQ(oa_go(parks, &shared, .task = &task), 0);
        CHECK_EQ(oa_sleep(OA_MILLISECOND), 0); // it ends meanwhile
    }
}

int main(void)
{
    CHECK_EQ(oa_run(start, .max_workers = 1), 0);
    printf("%d\n", shared);
    return 0;
}
