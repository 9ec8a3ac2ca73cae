// SPDX-License-Identifier: BSD-2-Clause
// pinned.c - pinned tasks: each has an OS thread of its own for its life, counted in no maximum.
// ctest: simulate
#define _GNU_SOURCE 1
#include "api/hosted.h"

#include <pthread.h>

enum { MANY = 20 };

static pthread_t threads[MANY];

static void keep_thread(void *arg)
{
    pthread_t *place = arg;
    *place = pthread_self();
    atomic_fetch_add(&steps, 1);
    CHECK_EQ(oa_sem_acquire(&let_go), 0); // all are there at once
    CHECK_EQ(oa_sleep(OA_MICROSECOND), 0);
    oa_yield();
    CHECK(pthread_equal(*place, pthread_self()));
}

static void occupy(void *arg)
{
    (void)arg;
    atomic_fetch_add(&steps, 1);
    CHECK_EQ(oa_sem_acquire(&sem), 0);
}

// A pool of one thread, which is taken.
static void all_at_once(void)
{
    for (int workers = 1; workers <= 2; workers++) {
        oa_sem_init(&sem, 0);
        oa_sem_init(&let_go, 0);
        atomic_store(&steps, 0);
        CHECK_EQ(oa_start(&coord, nothing, .max_workers = workers, .max_blocking = 1), 0);
        CHECK_EQ(oa_go(occupy, NULL, .block = 1, .coord = coord), 0);
        for (int i = 0; i < MANY; i++)
            CHECK_EQ(HOST(keep_thread, &threads[i], .delay = i % 3), 0);
        UNTIL(atomic_load(&steps) == MANY + 1);
        for (int i = 0; i < MANY; i++)
            for (int k = 0; k < i; k++)
                CHECK(!pthread_equal(threads[i], threads[k]));
        for (int i = 0; i < MANY; i++)
            CHECK_EQ(oa_sem_release(&let_go), 0);
        CHECK_EQ(oa_sem_release(&sem), 0);
        CHECK_EQ(oa_wait(coord), 0);
    }
    coord = NULL;
}

static void measure(void *arg)
{
    pthread_attr_t attr;
    size_t size = 0;
    CHECK_EQ(pthread_getattr_np(pthread_self(), &attr), 0);
    CHECK_EQ(pthread_attr_getstacksize(&attr, &size), 0);
    CHECK_EQ(pthread_attr_destroy(&attr), 0);
    CHECK(size >= *(size_t *)arg);
}

static void stack_sizes(void *arg)
{
    static size_t sizes[] = {4096, 256 << 10, 1 << 20, 64 << 20};
    (void)arg;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        oa_task_t *task;
        CHECK_EQ(HOST(measure, &sizes[i], .stack = sizes[i], .task = &task), 0);
        join(task);
    }
}

int main(void)
{
    pinned = true;
    hosted_cases();
    if (simulated())
        return 0; // with no thread of its own for each
    all_at_once();
    everywhere(stack_sizes);
    return 0;
}
