// SPDX-License-Identifier: BSD-2-Clause
// hogs.c - tasks that yield or wake each other without end do not starve light tasks: each of those
// has its turn within so many dispatches, counted and not timed.
// ctest: timeout=60
#include "stress/support.h"

enum { LIGHT = 1000, TURNS = 10, MOST = 200000 };

static atomic_int left;
static oa_sem_t ping, pong;
static atomic_uint_fast64_t worst;

static uint64_t dispatches(void)
{
    oa_stats_t stats = OA_STATS_INIT;
    CHECK_EQ(oa_stats(NULL, &stats), 0);
    return stats.dispatches;
}

static void hog(void *arg)
{
    (void)arg;
    while (atomic_load(&left) != 0)
        oa_yield();
}

// Two that wake each other, each time as the next to run.
static void player(void *arg)
{
    oa_sem_t *mine = arg ? &ping : &pong;
    oa_sem_t *other = arg ? &pong : &ping;
    while (atomic_load(&left) != 0) {
        CHECK_EQ(oa_sem_release(other), 0);
        CHECK_EQ(oa_sem_acquire(mine), 0);
    }
    CHECK_EQ(oa_sem_release(other), 0);
}

static void light(void *arg)
{
    uint64_t before = *(uint64_t *)arg;
    for (int i = 0; i < TURNS; i++) {
        uint64_t now = dispatches();
        if (now - before > atomic_load(&worst))
            atomic_store(&worst, now - before);
        before = now;
        oa_yield();
    }
    atomic_fetch_sub(&left, 1);
}

static void start(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_go(hog), 0);
    CHECK_EQ(oa_go(hog), 0);
    CHECK_EQ(oa_go(player, &ping), 0);
    CHECK_EQ(oa_go(player, NULL), 0);
    for (int i = 0; i < LIGHT; i++) {
        uint64_t now = dispatches();
        CHECK_EQ(oa_go(light, oa_val(now)), 0);
    }
}

int main(void)
{
    for (int workers = 1; workers <= 2; workers++) {
        atomic_store(&left, LIGHT);
        atomic_store(&worst, 0);
        oa_sem_init(&ping, 0);
        oa_sem_init(&pong, 0);
        CHECK_EQ(oa_run(start, .max_workers = workers), 0);
        printf("%d workers: at most %llu dispatches between two turns\n", workers,
               (unsigned long long)atomic_load(&worst));
        // On one worker every dispatch is counted against the one that waits; with more, other
        // workers go on while the kernel lets one of them stand.
        if (workers == 1)
            CHECK(atomic_load(&worst) < MOST);
    }
    return 0;
}
