// SPDX-License-Identifier: BSD-2-Clause
// race_between_tasks.c - two tasks that never wait write one variable, on one worker. Nothing
// orders them but chance.
#include <oasync.h>

#include "check.h"

static int shared;

static void write_it(void *arg)
{
    shared = (int)(intptr_t)arg;
}

static void start(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_go(write_it, (void *)1), 0);
    CHECK_EQ(oa_go(write_it, (void *)2), 0);
}

int main(void)
{
    CHECK_EQ(oa_run(start, .max_workers = 1), 0);
    printf("%d\n", shared);
    return 0;
}
