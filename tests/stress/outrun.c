// SPDX-License-Identifier: BSD-2-Clause
// outrun.c - a task that spawns and yields in a loop does not outrun the tasks it spawns.
#include "stress/support.h"

enum { BATCH = 50, MOST = 20000 };

static _Atomic int64_t alive;

static void child(void *arg)
{
    (void)arg;
    atomic_fetch_sub(&alive, 1);
}

static void waiting_child(void *arg)
{
    oa_yield();
    child(arg);
}

static void spawner(void *arg)
{
    int64_t rounds = test_scale(5000);
    for (int64_t i = 0; i < rounds; i++) {
        for (int k = 0; k < BATCH; k++) {
            atomic_fetch_add(&alive, 1);
            CHECK_EQ(oa_go(*(oa_fn **)arg), 0);
        }
        oa_yield();
        CHECK(atomic_load(&alive) < MOST);
    }
}

int main(void)
{
    for (int workers = 1; workers <= 2; workers++) {
        oa_fn *kinds[] = {child, waiting_child};
        CHECK_EQ(oa_run(spawner, &kinds[0], .max_workers = workers), 0);
        CHECK_EQ(oa_run(spawner, &kinds[1], .max_workers = workers), 0);
    }
    return 0;
}
