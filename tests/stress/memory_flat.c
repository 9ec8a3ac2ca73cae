// SPDX-License-Identifier: BSD-2-Clause
// memory_flat.c - sixty waves of two hundred thousand tasks, run and parked: memory stays as it was
// after the first few.
//
// Compared is the peak of each wave, when every task of it is there at once: the waiters parked,
// the others queued, for the other worker is kept busy. So it does not depend on who runs and
// steals what; only some stacks in the workers' caches come and go, half a percent.
// ctest: timeout=120 label=long not=asan,tsan,valgrind,qemu
#include "stress/support.h"

#include <malloc.h>

enum { ROUNDS = 20, WARM = 5, WAVES = 3, QUEUED = 196000, PARKED = 4000 };

static oa_sem_t gate, all_came;
static atomic_long coming;
static atomic_bool held, let_go;

static void wait_at_gate(void *arg)
{
    (void)arg;
    if (atomic_fetch_sub(&coming, 1) == 1)
        CHECK_EQ(oa_sem_release(&all_came), 0);
    CHECK_EQ(oa_sem_acquire(&gate), 0);
    CHECK_EQ(oa_sem_release(&gate), 0);
}

static void hold_worker(void *arg)
{
    (void)arg;
    atomic_store(&held, true);
    while (!atomic_load(&let_go)) {
    }
}

// Returns with the other worker in hold_worker(): nobody but the caller's worker takes tasks.
static void hold_other_worker(oa_group_t *group)
{
    atomic_store(&held, false);
    atomic_store(&let_go, false);
    CHECK_EQ(oa_go(hold_worker, .group = group), 0);
    while (!atomic_load(&held)) {
    }
}

// Anonymous memory in KiB, as the page tables say: VmRSS is off by what each CPU has not told yet.
static long long anonymous(void)
{
    return status_of("/proc/self/smaps_rollup", "Anonymous");
}

static long long peak_of_wave(void)
{
    oa_group_t group = OA_GROUP_INIT;
    oa_sem_init(&gate, 0);
    oa_sem_init(&all_came, 0);
    atomic_store(&coming, PARKED);
    for (int i = 0; i < PARKED; i++)
        CHECK_EQ(oa_go(wait_at_gate, .group = &group, .name = "x"), 0);
    CHECK_EQ(oa_sem_acquire(&all_came), 0);
    if (oa_workers(NULL) > 1)
        hold_other_worker(&group);
    for (int i = 0; i < QUEUED; i++)
        CHECK_EQ(oa_go(nothing, .group = &group, .name = "x"), 0);
    long long peak = anonymous();
    atomic_store(&let_go, true);
    CHECK_EQ(oa_sem_release(&gate), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    return peak;
}

static void start(void *arg)
{
    long long warm = 0, later = 0;
    (void)arg;
    for (int64_t waves = test_scale(WAVES), i = 0; i < ROUNDS * waves; i++) {
        long long peak = peak_of_wave();
        long long *most = i < WARM * waves ? &warm : &later;
        if (peak > *most)
            *most = peak;
    }
    printf("peak: %lld KiB, then %lld\n", warm, later);
    CHECK(later <= warm + warm / 100);
}

int main(void)
{
    if (anonymous() < 0)
        test_skip("no /proc/self/smaps_rollup");
    // Which of its arenas the C library takes for a task depends on which worker spawns.
    mallopt(M_ARENA_MAX, 1);
    CHECK_EQ(oa_run(start, .max_workers = 1), 0);
    CHECK_EQ(oa_run(start, .max_workers = 2), 0);
    return 0;
}
