// SPDX-License-Identifier: BSD-2-Clause
// made_and_freed.c - two thousand latches, barriers and semaphores, each made, used as call and as
// gate, and freed, under load, again and again: resident memory stays as it was after the first few
// rounds.
// ctest: timeout=60 not=asan,tsan,valgrind,qemu simulate=2
#include "stress/support.h"

enum { OBJECTS = 2000, ROUNDS = 16, WARM = 6 };

struct object {
    oa_latch_t latch;
    oa_barrier_t barrier;
    oa_sem_t sem;
};

static atomic_bool stop;

static void load(void *arg)
{
    while (!atomic_load((atomic_bool *)arg))
        oa_yield();
}

static void gated(void *arg)
{
    struct object *object = arg;
    CHECK(oa_barrier_wait(&object->barrier) >= 0);
}

static void use(void *arg)
{
    struct object *object = malloc(sizeof *object);
    oa_group_t group = OA_GROUP_INIT;
    (void)arg;
    CHECK(object != NULL);
    oa_latch_init(&object->latch, 2);
    oa_barrier_init(&object->barrier, 2);
    oa_sem_init(&object->sem, 0);
    CHECK_EQ(oa_go(gated, object, .latch = &object->latch, .sem = &object->sem, .group = &group),
             0);
    CHECK_EQ(oa_latch_destroy(&object->latch), -EBUSY);
    CHECK_EQ(oa_latch_arrive(&object->latch), 0);
    CHECK_EQ(oa_latch_wait(&object->latch), 0);
    CHECK_EQ(oa_sem_release(&object->sem), 0);
    CHECK(oa_barrier_wait(&object->barrier) >= 0);
    CHECK_EQ(oa_group_wait(&group), 0); // a gate outlives its task
    CHECK_EQ(oa_latch_destroy(&object->latch), 0);
    CHECK_EQ(oa_barrier_destroy(&object->barrier), 0);
    CHECK_EQ(oa_sem_destroy(&object->sem), 0);
    free(object);
}

static void start(void *arg)
{
    long long after_warm = 0;
    (void)arg;
    atomic_store(&stop, false);
    CHECK_EQ(oa_go(load, &stop), 0);
    for (int i = 0; i < ROUNDS; i++) {
        oa_group_t group = OA_GROUP_INIT;
        for (int64_t k = test_scale(OBJECTS); k > 0; k--)
            CHECK_EQ(oa_go(use, .group = &group), 0);
        CHECK_EQ(oa_group_wait(&group), 0);
        if (i < WARM && resident() > after_warm)
            after_warm = resident();
    }
    atomic_store(&stop, true);
    printf("resident: %lld KiB, then %lld\n", after_warm, resident());
    // How many are parked at once depends on who steals what: so much that is no growth.
    CHECK(resident() <= after_warm + after_warm / 4 + 2048 || simulated());
}

int main(void)
{
    CHECK_EQ(oa_run(start, .max_workers = 1), 0);
    CHECK_EQ(oa_run(start, .max_workers = 2), 0);
    return 0;
}
