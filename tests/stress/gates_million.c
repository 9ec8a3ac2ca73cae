// SPDX-License-Identifier: BSD-2-Clause
// gates_million.c - a million tasks gated by a semaphore of 3: never more than 3 at once, and 200
// bytes each while they wait.
// ctest: timeout=60 simulate=1
#include "stress/support.h"

enum { PERMITS = 3 };

static oa_sem_t sem;
static oa_coord_t *coord;
static atomic_int inside;
static _Atomic int64_t ran;

static void work(void *arg)
{
    (void)arg;
    CHECK(atomic_fetch_add(&inside, 1) < PERMITS);
    if (atomic_fetch_add(&ran, 1) % 1000 == 0)
        oa_yield();
    atomic_fetch_sub(&inside, 1);
}

static void drive(void *arg)
{
    int64_t count = *(int64_t *)arg;
    CHECK_EQ(oa_go(work, .coord = coord), 0);
    while (atomic_load(&ran) == 0)
        oa_yield();
    long long before = resident();
    for (int64_t i = 0; i < count; i++)
        CHECK_EQ(oa_go(work, .sem = &sem, .coord = coord), 0);
    double each = (double)(resident() - before) * 1024 / (double)count;
    printf("%lld tasks held, %.1f bytes each\n", (long long)count, each);
    if (plain_build() && count >= 100000)
        CHECK(each <= 200);
    CHECK_EQ(atomic_load(&ran), 1);
    for (int i = 0; i < PERMITS; i++)
        CHECK_EQ(oa_sem_release(&sem), 0);
}

int main(void)
{
    int64_t count = test_scale(1000000);
    oa_sem_init(&sem, 0);
    beside(&coord, drive, &count, 2);
    CHECK_EQ(atomic_load(&ran), count + 1);
    for (int i = 0; i < PERMITS; i++)
        CHECK_EQ(oa_sem_tryacquire(&sem), 0);
    CHECK_EQ(oa_sem_tryacquire(&sem), -EAGAIN);
    return 0;
}
