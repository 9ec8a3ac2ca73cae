// SPDX-License-Identifier: BSD-2-Clause
// mutex.c - the mutex among tasks and plain threads: exclusion, errors, deadlines, last touch.
// ctest: simulate
#include "support.h"

enum { ADDERS = 8, ROUNDS = 500 };

static oa_mutex_t mutex;
static oa_sem_t ready, gate;
static long counter;

static void add(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        switch (i % 4) {
        case 0: UNTIL(oa_mutex_trylock(&mutex) == 0); break;
        case 1: CHECK_EQ(oa_mutex_lock_until(&mutex, LATE), 0); break;
        default: CHECK_EQ(oa_mutex_lock(&mutex), 0);
        }
        long seen = counter;
        if (i % 16 == 0)
            oa_yield(); // it is held over a wait
        counter = seen + 1;
        CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    }
}

static void excludes(void *arg)
{
    (void)arg;
    struct thread threads[2];
    oa_group_t group = OA_GROUP_INIT;
    oa_mutex_init(&mutex);
    counter = 0;
    for (int i = 0; i < ADDERS; i++)
        CHECK_EQ(oa_go(add, .group = &group, .coord = coord), 0);
    // A task may not block its worker in pthread_join: it is told by the group first.
    oa_sem_init(&ready, 0);
    for (int i = 0; oa_self() == NULL && i < 2; i++)
        thread_start(&threads[i], add, NULL);
    add(NULL);
    CHECK_EQ(oa_group_wait(&group), 0);
    for (int i = 0; oa_self() == NULL && i < 2; i++)
        thread_join(&threads[i]);
    CHECK_EQ(counter, (ADDERS + (oa_self() ? 1 : 3)) * ROUNDS);
    CHECK_EQ(oa_mutex_destroy(&mutex), 0);
}

static void errors(void *arg)
{
    (void)arg;
    oa_mutex_t local = OA_MUTEX_INIT;
    CHECK_EQ(oa_mutex_unlock(&local), -EPERM);
    CHECK_EQ(oa_mutex_lock(&local), 0);
    CHECK_EQ(oa_mutex_lock(&local), -EDEADLK);
    CHECK_EQ(oa_mutex_lock_until(&local, LATE), -EDEADLK);
    CHECK_EQ(oa_mutex_lock_until(&local, PAST), -EDEADLK);
    CHECK_EQ(oa_mutex_trylock(&local), -EBUSY);
    CHECK_EQ(oa_mutex_destroy(&local), -EBUSY);
    CHECK_EQ(oa_mutex_unlock(&local), 0);
    CHECK_EQ(oa_mutex_unlock(&local), -EPERM);
    CHECK_EQ(oa_mutex_destroy(&local), 0);
    CHECK_EQ(oa_mutex_trylock(&local), 0); // destroy only checks
    CHECK_EQ(oa_mutex_unlock(&local), 0);
    CHECK_EQ(oa_mutex_lock_until(&local, PAST), 0); // free: no wait is needed
    CHECK_EQ(oa_mutex_unlock(&local), 0);
    CHECK_EQ(oa_mutex_lock(NULL), -EINVAL);
    CHECK_EQ(oa_mutex_lock_until(NULL, LATE), -EINVAL);
    CHECK_EQ(oa_mutex_trylock(NULL), -EINVAL);
    CHECK_EQ(oa_mutex_unlock(NULL), -EINVAL);
    CHECK_EQ(oa_mutex_destroy(NULL), -EINVAL);
}

static void hold(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    CHECK_EQ(oa_sem_release(&ready), 0);
    CHECK_EQ(oa_sem_acquire(&gate), 0);
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
}

static void wait_for_it(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
}

// Held by another: who is not the holder cannot unlock it, whoever that is.
static void held_by_another(void *arg)
{
    (void)arg;
    oa_mutex_init(&mutex);
    oa_sem_init(&ready, 0);
    oa_sem_init(&gate, 0);
    oa_task_t *holder = spawn(hold, NULL);
    CHECK_EQ(oa_sem_acquire(&ready), 0);
    CHECK_EQ(oa_mutex_unlock(&mutex), -EPERM);
    CHECK_EQ(oa_mutex_trylock(&mutex), -EBUSY);
    CHECK_EQ(oa_mutex_destroy(&mutex), -EBUSY);
    CHECK_EQ(oa_mutex_lock_until(&mutex, PAST), -ETIMEDOUT);
    CHECK_EQ(oa_mutex_lock_until(&mutex, 0), -ETIMEDOUT);
    int64_t soon = SOON;
    CHECK_EQ(oa_mutex_lock_until(&mutex, soon), -ETIMEDOUT);
    CHECK(oa_now() >= soon);
    oa_task_t *waiter = spawn(wait_for_it, NULL);
    CHECK_EQ(oa_sem_release(&gate), 0);
    CHECK_EQ(oa_mutex_lock_until(&mutex, LATE), 0);
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    join(holder);
    join(waiter);
    CHECK_EQ(oa_mutex_destroy(&mutex), 0);
}

struct handed {
    oa_mutex_t mutex;
    bool done;
};

static void finish(void *arg)
{
    struct handed *handed = arg;
    CHECK_EQ(oa_mutex_lock(&handed->mutex), 0);
    handed->done = true;
    CHECK_EQ(oa_mutex_unlock(&handed->mutex), 0);
}

// Who sees under the lock that the other is done may destroy the mutex at once.
static void last_touch(void *arg)
{
    (void)arg;
    for (int i = 0; i < 300; i++) {
        struct handed *handed = calloc(1, sizeof *handed); // all-zero bytes are a free mutex
        CHECK_EQ(oa_go(finish, handed, .coord = coord), 0);
        bool done = false;
        while (!done) {
            CHECK_EQ(oa_mutex_lock(&handed->mutex), 0);
            done = handed->done;
            CHECK_EQ(oa_mutex_unlock(&handed->mutex), 0);
            if (!done)
                oa_yield();
        }
        CHECK_EQ(oa_mutex_destroy(&handed->mutex), 0);
        memset(handed, 0xee, sizeof *handed);
        free(handed);
    }
}

enum { QUEUE = 6, OVERTAKEN = 4 };

static int order[QUEUE];
static int served;

static void take_number(void *arg)
{
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    order[served++] = *(int *)arg;
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
}

// First come, first served: each waits before the next is spawned.
static void in_order(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    oa_mutex_init(&mutex);
    served = 0;
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    for (int i = 0; i < QUEUE; i++) {
        uint64_t before = parks();
        CHECK_EQ(oa_go(take_number, oa_val(i), .group = &group, .coord = coord), 0);
        UNTIL(parks() > before);
    }
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    for (int i = 0; i < QUEUE; i++)
        CHECK_EQ(order[i], i);
    CHECK_EQ(oa_mutex_destroy(&mutex), 0);
}

// A newcomer that always gets there first does so a bounded number of times, whoever waits.
static void overtakes(void *arg)
{
    (void)arg;
    int number = 0, turns = 0;
    oa_mutex_init(&mutex);
    served = 0;
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    uint64_t before = parks();
    oa_task_t *task = spawn(take_number, &number);
    UNTIL(parks() > before);
    for (; served == 0; turns++) {
        CHECK_EQ(oa_mutex_unlock(&mutex), 0);
        CHECK_EQ(oa_mutex_lock(&mutex), 0);
        oa_yield(); // the woken one comes, and finds it held
    }
    CHECK(turns <= OVERTAKEN + 1);
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    join(task);
}

static void overtakes_on_one_worker(void *arg)
{
    coord = oa_coord();
    overtakes(arg);
}

static void take_now(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    served++;
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
}

// A task that does nothing but lock and unlock does not keep the worker to itself for ever, even
// where it would not wait.
static void not_kept_from_it(int64_t deadline)
{
    oa_mutex_init(&mutex);
    served = 0;
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    CHECK_EQ(oa_go(take_now), 0);
    oa_yield(); // it waits
    for (int seen = 0; seen == 0;) {
        CHECK_EQ(oa_mutex_unlock(&mutex), 0);
        int err = oa_mutex_lock_until(&mutex, deadline);
        if (err == 0)
            seen = served;
        else
            CHECK_EQ(oa_mutex_lock(&mutex), 0);
    }
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
}

static void comes_to_it(void *arg)
{
    (void)arg;
    not_kept_from_it(OA_FOREVER);
    not_kept_from_it(0);
}

int main(void)
{
    everywhere(excludes);
    everywhere(errors);
    everywhere(held_by_another);
    everywhere(last_touch);
    everywhere(in_order);
    CHECK_EQ(oa_run(overtakes_on_one_worker, .max_workers = 1), 0);
    CHECK_EQ(oa_run(comes_to_it, .max_workers = 1), 0);
    return 0;
}
