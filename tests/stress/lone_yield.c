// SPDX-License-Identifier: BSD-2-Clause
// lone_yield.c - a task that yields and has its worker to itself does not keep timers, tasks from
// outside and cancels from having their turn.
#include <oasync.h>
#include <pthread.h>
#include <stdatomic.h>

#include "check.h"

enum { FEW = 20 };

static oa_coord_t *coord;
static atomic_int ran;

static void count(void *arg)
{
    (void)arg;
    atomic_fetch_add(&ran, 1);
}

static void sleeper(void *arg)
{
    CHECK_EQ(oa_sleep(OA_MILLISECOND), 0);
    count(arg);
}

static void *spawn_outside(void *arg)
{
    for (int i = 0; i < FEW; i++)
        CHECK_EQ(oa_go(count, .coord = coord), 0);
    return arg;
}

static void yielder(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_go(count, .delay = OA_MILLISECOND), 0);
    CHECK_EQ(oa_go(sleeper), 0);
    int64_t late = oa_after(10 * OA_SECOND);
    while (atomic_load(&ran) < FEW + 2) {
        oa_yield();
        CHECK(oa_now() < late);
    }
}

int main(void)
{
    for (int workers = 1; workers <= 2; workers++) {
        pthread_t thread;
        atomic_store(&ran, 0);
        CHECK_EQ(oa_start(&coord, yielder, .max_workers = workers), 0);
        CHECK_EQ(pthread_create(&thread, NULL, spawn_outside, NULL), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        CHECK_EQ(oa_wait(coord), 0);
    }
    return 0;
}
