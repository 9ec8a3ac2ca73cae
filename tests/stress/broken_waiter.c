// SPDX-License-Identifier: BSD-2-Clause
// broken_waiter.c - a waiter whose wait was broken by a cancel and that has not run since is still
// inside its call: free and destroy say -EBUSY until it has left, whoever looked at the waiters.
#include <errno.h>
#include <oasync.h>

#include "check.h"

static oa_chan_t *channel;
static oa_sem_t sem;
static oa_mutex_t mutex;
static oa_group_t group;
static int result;

static void receive(void *arg)
{
    result = oa_chan_recv(channel, arg);
}

static void acquire(void *arg)
{
    (void)arg;
    result = oa_sem_acquire(&sem);
}

static void lock(void *arg)
{
    (void)arg;
    result = oa_mutex_lock_until(&mutex, OA_FOREVER);
}

static void wait_group(void *arg)
{
    (void)arg;
    result = oa_group_wait_until(&group, OA_FOREVER);
}

static void nothing(void *arg)
{
    (void)arg;
}

static uint64_t parks(void)
{
    oa_stats_t stats = OA_STATS_INIT;
    CHECK_EQ(oa_stats(NULL, &stats), 0);
    return stats.parks;
}

// Parks a task in `fn` and cancels it; on one worker it does not run before the caller waits.
static oa_task_t *park_and_cancel(oa_fn *fn)
{
    oa_task_t *task;
    uint64_t before = parks();
    CHECK_EQ(oa_go(fn, .task = &task), 0);
    while (parks() == before)
        oa_yield();
    CHECK_EQ(oa_cancel(task), 0);
    return task;
}

static void join_broken(oa_task_t *task)
{
    CHECK_EQ(oa_join(task), 0);
    CHECK_EQ(result, -ECANCELED);
}

static void of_channel(bool close)
{
    int element = 1;
    channel = oa_chan_make(sizeof element);
    oa_task_t *task = park_and_cancel(receive);
    if (close)
        CHECK_EQ(oa_chan_close(channel), 0);
    else
        CHECK_EQ(oa_chan_put(channel, &element), -EAGAIN);
    CHECK_EQ(oa_chan_free(channel), -EBUSY);
    join_broken(task);
    CHECK_EQ(oa_chan_free(channel), 0);
}

static void of_sem(void)
{
    oa_sem_init(&sem, 0);
    oa_task_t *task = park_and_cancel(acquire);
    CHECK_EQ(oa_sem_release(&sem), 0);
    CHECK_EQ(oa_sem_destroy(&sem), -EBUSY);
    join_broken(task);
    CHECK_EQ(oa_sem_destroy(&sem), 0);
    CHECK_EQ(oa_sem_tryacquire(&sem), 0);
}

static void of_mutex(void)
{
    oa_mutex_init(&mutex);
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    oa_task_t *task = park_and_cancel(lock);
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    CHECK_EQ(oa_mutex_destroy(&mutex), -EBUSY);
    join_broken(task);
    CHECK_EQ(oa_mutex_destroy(&mutex), 0);
}

static void of_group(void)
{
    oa_task_t *last;
    oa_group_init(&group);
    CHECK_EQ(oa_go(nothing, .group = &group, .task = &last, .delay = OA_MINUTE), 0);
    oa_task_t *task = park_and_cancel(wait_group);
    CHECK_EQ(oa_cancel(last), 0); // leaves the group at once
    CHECK_EQ(oa_group_destroy(&group), -EBUSY);
    join_broken(task);
    CHECK_EQ(oa_group_destroy(&group), 0);
    CHECK_EQ(oa_join(last), 0);
}

static void all(void *arg)
{
    (void)arg;
    of_sem();
    of_mutex();
    of_group();
    of_channel(false);
    of_channel(true);
}

int main(void)
{
    CHECK_EQ(oa_run(all, .max_workers = 1), 0);
    return 0;
}
