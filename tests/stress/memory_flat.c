// SPDX-License-Identifier: BSD-2-Clause
// memory_flat.c - twenty times a hundred thousand tasks, run and parked: resident memory stays as it was after the first few.
// ctest: timeout=60 not=asan,tsan,valgrind,qemu
#include "stress/support.h"

enum { ROUNDS = 20, WARM = 10 };

static oa_sem_t gate;

static void wait_at_gate(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_acquire(&gate), 0);
    CHECK_EQ(oa_sem_release(&gate), 0);
}

static void round_of(void)
{
    oa_group_t group = OA_GROUP_INIT;
    int64_t count = test_scale(100000);
    oa_sem_init(&gate, 0);
    for (int64_t i = 0; i < count; i++)
        CHECK_EQ(oa_go(i % 50 ? nothing : wait_at_gate, .group = &group, .name = "x"), 0);
    CHECK_EQ(oa_sem_release(&gate), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
}

static void start(void *arg)
{
    long long after_warm = 0;
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        round_of();
        if (i < WARM && resident() > after_warm)
            after_warm = resident();
    }
    printf("resident: %lld KiB, then %lld\n", after_warm, resident());
    // How many are parked at once depends on who steals what: so much that is no growth.
    CHECK(resident() <= after_warm + after_warm / 4 + 2048);
}

int main(void)
{
    CHECK_EQ(oa_run(start, .max_workers = 1), 0);
    CHECK_EQ(oa_run(start, .max_workers = 2), 0);
    return 0;
}
