// SPDX-License-Identifier: BSD-2-Clause
// delay_forever.c - a task that is delayed for ever, or longer than the clock counts, keeps no
// other timer from being due, when no worker is awake.
#include "api/support.h"

static atomic_int dropped;

static void drop(void *arg)
{
    (void)arg;
    atomic_fetch_add(&dropped, 1);
}

static void never(void *arg)
{
    (void)arg;
    CHECK(false);
}

static void release(void *sem)
{
    CHECK_EQ(oa_sem_release(sem), 0);
}

static void begins(int workers, int64_t delay)
{
    oa_sem_t began = OA_SEM_INIT(0);
    atomic_store(&dropped, 0);
    CHECK_EQ(oa_start(&coord, release, &began, .max_workers = workers), 0);
    CHECK_EQ(oa_sem_acquire_until(&began, LATE), 0);
    CHECK_EQ(oa_sleep(20 * OA_MILLISECOND),
             0); // by now they sleep; if not, the test is merely easier
    CHECK_EQ(oa_go(never, .delay = delay, .coord = coord, .drop = drop), 0);
    for (int i = 0; i < 4; i++) { // each shard has its turn
        CHECK_EQ(oa_go(release, &began, .delay = OA_MILLISECOND, .coord = coord), 0);
        CHECK_EQ(oa_sem_acquire_until(&began, oa_after(5 * OA_SECOND)), 0);
    }
    CHECK_EQ(oa_shutdown(coord, OA_CANCEL), 0);
    CHECK_EQ(oa_wait(coord), 0);
    CHECK_EQ(atomic_load(&dropped), 1);
}

int main(void)
{
    for (int workers = 1; workers <= 2; workers++) {
        begins(workers, OA_FOREVER);
        begins(workers, OA_FOREVER - oa_now() - 100 * OA_MICROSECOND);
        begins(workers, OA_FOREVER / 2);
    }
    return 0;
}
