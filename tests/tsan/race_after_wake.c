// SPDX-License-Identifier: BSD-2-Clause
// race_after_wake.c - what a waker writes after it has let a parked task go is not ordered before
// what that task reads.
#include <oasync.h>

#include "check.h"

static oa_sem_t sem = OA_SEM_INIT(0);
static int shared;

static void waiter(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_acquire(&sem), 0);
    printf("%d\n", shared);
}

static void start(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_go(waiter), 0);
    oa_yield(); // it parks
    CHECK_EQ(oa_sem_release(&sem), 0);
    shared = 1;
}

int main(void)
{
    CHECK_EQ(oa_run(start, .max_workers = 1), 0);
    return 0;
}
