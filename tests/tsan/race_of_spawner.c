// SPDX-License-Identifier: BSD-2-Clause
// race_of_spawner.c - what a task writes after it has spawned another is not ordered before that
// one's run.
#include <oasync.h>

#include "check.h"

static int shared;

static void child(void *arg)
{
    *(int *)arg += 1;
}

static void start(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_go(child, &shared), 0);
    shared = 1;
}

int main(void)
{
    CHECK_EQ(oa_run(start, .max_workers = 1), 0);
    printf("%d\n", shared);
    return 0;
}
