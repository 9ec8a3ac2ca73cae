// SPDX-License-Identifier: BSD-2-Clause
// sem.c - the semaphore: its count, its order, its errors, and its last touch.
// ctest: simulate
#include "support.h"

enum { TASKS = 8, ROUNDS = 300, LIMIT = 3 };

static oa_sem_t sem;
static atomic_int inside, most;

static void counts(void *arg)
{
    (void)arg;
    oa_sem_t local = OA_SEM_INIT(2);
    CHECK_EQ(oa_sem_tryacquire(&local), 0);
    CHECK_EQ(oa_sem_acquire(&local), 0);
    CHECK_EQ(oa_sem_tryacquire(&local), -EAGAIN);
    CHECK_EQ(oa_sem_acquire_until(&local, PAST), -ETIMEDOUT);
    CHECK_EQ(oa_sem_acquire_until(&local, 0), -ETIMEDOUT);
    int64_t soon = SOON;
    CHECK_EQ(oa_sem_acquire_until(&local, soon), -ETIMEDOUT);
    CHECK(oa_now() >= soon);
    CHECK_EQ(oa_sem_release(&local), 0);
    CHECK_EQ(oa_sem_release(&local), 0);
    CHECK_EQ(oa_sem_release(&local), 0); // beyond n
    CHECK_EQ(oa_sem_acquire_until(&local, PAST), 0);
    CHECK_EQ(oa_sem_acquire_until(&local, LATE), 0);
    CHECK_EQ(oa_sem_acquire(&local), 0);
    CHECK_EQ(oa_sem_tryacquire(&local), -EAGAIN);
    CHECK_EQ(oa_sem_destroy(&local), 0);
}

static void errors(void *arg)
{
    (void)arg;
    oa_sem_t full = OA_SEM_INIT(INT32_MAX);
    CHECK_EQ(oa_sem_release(&full), -EOVERFLOW);
    CHECK_EQ(oa_sem_acquire(&full), 0);
    CHECK_EQ(oa_sem_release(&full), 0);
    CHECK_EQ(oa_sem_release(&full), -EOVERFLOW);
    CHECK_EQ(oa_sem_destroy(&full), 0);
    oa_sem_init(&full, -1); // no such semaphore: it is over-full, and stays whole
    CHECK_EQ(oa_sem_release(&full), -EOVERFLOW);
    CHECK_EQ(oa_sem_tryacquire(&full), 0);
    CHECK_EQ(oa_sem_release(&full), -EOVERFLOW);
    CHECK_EQ(oa_sem_destroy(&full), 0);
    CHECK_EQ(oa_sem_acquire(NULL), -EINVAL);
    CHECK_EQ(oa_sem_acquire_until(NULL, LATE), -EINVAL);
    CHECK_EQ(oa_sem_tryacquire(NULL), -EINVAL);
    CHECK_EQ(oa_sem_release(NULL), -EINVAL);
    CHECK_EQ(oa_sem_destroy(NULL), -EINVAL);
}

static void enter(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 2)
            CHECK_EQ(oa_sem_acquire(&sem), 0);
        else
            CHECK_EQ(oa_sem_acquire_until(&sem, LATE), 0);
        int now = atomic_fetch_add(&inside, 1) + 1;
        int before = atomic_load(&most);
        while (now > before && !atomic_compare_exchange_weak(&most, &before, now))
            ;
        if (i % 8 == 0)
            oa_yield();
        atomic_fetch_sub(&inside, 1);
        CHECK_EQ(oa_sem_release(&sem), 0);
    }
}

static void limits(void *arg)
{
    (void)arg;
    struct thread thread;
    oa_group_t group = OA_GROUP_INIT;
    oa_sem_init(&sem, LIMIT);
    atomic_store(&most, 0);
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(oa_go(enter, .group = &group, .coord = coord), 0);
    bool outside = oa_self() == NULL;
    if (outside)
        thread_start(&thread, enter, NULL);
    enter(NULL);
    CHECK_EQ(oa_group_wait(&group), 0);
    if (outside)
        thread_join(&thread);
    CHECK(atomic_load(&most) <= LIMIT);
    for (int i = 0; i < LIMIT; i++)
        CHECK_EQ(oa_sem_tryacquire(&sem), 0);
    CHECK_EQ(oa_sem_tryacquire(&sem), -EAGAIN);
}

static int order[TASKS];
static atomic_int arrived;

static void take_number(void *arg)
{
    CHECK_EQ(oa_sem_acquire(&sem), 0);
    order[atomic_fetch_add(&arrived, 1)] = *(int *)arg;
}

// First come, first served: each waits before the next is spawned, each is let go alone.
static void in_order(void *arg)
{
    (void)arg;
    oa_task_t *tasks[TASKS];
    oa_sem_init(&sem, 0);
    atomic_store(&arrived, 0);
    for (int i = 0; i < TASKS; i++) {
        uint64_t before = parks();
        tasks[i] = NULL;
        CHECK_EQ(oa_go(take_number, oa_val(i), .task = &tasks[i], .coord = coord), 0);
        UNTIL(parks() > before);
        UNTIL(oa_sem_destroy(&sem) == -EBUSY); // waited for
    }
    for (int i = 0; i < TASKS; i++) {
        CHECK_EQ(oa_sem_tryacquire(&sem), -EAGAIN);
        CHECK_EQ(oa_sem_release(&sem), 0);
        UNTIL(atomic_load(&arrived) == i + 1);
    }
    for (int i = 0; i < TASKS; i++) {
        join(tasks[i]);
        CHECK_EQ(order[i], i);
    }
    CHECK_EQ(oa_sem_destroy(&sem), 0);
}

static void wait_in_thread(void *arg)
{
    CHECK_EQ(oa_sem_acquire(arg), 0);
}

// A plain thread that waits is waited for too, and let go by anybody.
static void thread_waits(void *arg)
{
    (void)arg;
    struct thread thread;
    oa_sem_t local = OA_SEM_INIT(0);
    thread_start(&thread, wait_in_thread, &local);
    UNTIL(oa_sem_destroy(&local) == -EBUSY);
    CHECK_EQ(oa_sem_release(&local), 0);
    thread_join(&thread);
    CHECK_EQ(oa_sem_destroy(&local), 0);
    CHECK_EQ(oa_sem_tryacquire(&local), -EAGAIN);
}

static void release(void *arg)
{
    CHECK_EQ(oa_sem_release(arg), 0);
}

// Who has acquired may leave the scope of the semaphore at once.
static void last_touch(void *arg)
{
    (void)arg;
    for (int i = 0; i < 300; i++) {
        oa_sem_t *local = calloc(1, sizeof *local); // all-zero bytes are a semaphore of 0
        CHECK_EQ(oa_go(release, local, .coord = coord), 0);
        CHECK_EQ(oa_sem_acquire(local), 0);
        CHECK_EQ(oa_sem_destroy(local), 0);
        memset(local, 0xee, sizeof *local);
        free(local);
    }
}

int main(void)
{
    everywhere(counts);
    everywhere(errors);
    everywhere(limits);
    everywhere(in_order);
    everywhere(thread_waits);
    everywhere(last_touch);
    return 0;
}
