// SPDX-License-Identifier: BSD-2-Clause
// cancel_last.c - a delayed task that is cancelled from outside was the last one: its coordinator
// ends at once, not when the delay would have been over.
#include <oasync.h>
#include <pthread.h>
#include <stdatomic.h>

#include "check.h"

static oa_coord_t *coord;
static oa_task_t *handle;
static oa_group_t group;
static atomic_int dropped;

static void nothing(void *arg)
{
    (void)arg;
}

static void count(void *arg)
{
    (void)arg;
    atomic_fetch_add(&dropped, 1);
}

static void rest(void)
{
    struct timespec time = {.tv_nsec = 5000000};
    nanosleep(&time, NULL);
}

static void *cancel_handle(void *arg)
{
    rest();
    CHECK_EQ(oa_cancel(handle), 0);
    return arg;
}

static void *cancel_group(void *arg)
{
    rest();
    CHECK_EQ(oa_group_cancel(&group), 0);
    return arg;
}

static void cancel_handle_task(void *arg)
{
    (void)cancel_handle(arg);
}

// `oa_wait` has been called, or is about to be, when the only task is cancelled.
static void wait_for_it(void)
{
    CHECK_EQ(oa_wait_until(coord, oa_after(20 * OA_SECOND)), 0);
    CHECK_EQ(atomic_exchange(&dropped, 0), 1);
}

static void from_thread(void *(*canceller)(void *), int workers)
{
    pthread_t thread;
    group = (oa_group_t)OA_GROUP_INIT;
    bool grouped = canceller == cancel_group;
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = workers), 0);
    CHECK_EQ(oa_go(nothing, .coord = coord, .delay = OA_MINUTE, .drop = count,
                   .task = grouped ? NULL : &handle, .group = grouped ? &group : NULL),
             0);
    CHECK_EQ(pthread_create(&thread, NULL, canceller, NULL), 0);
    wait_for_it();
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void from_other_coordinator(int workers)
{
    oa_coord_t *other;
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = workers), 0);
    CHECK_EQ(oa_go(nothing, .coord = coord, .delay = OA_MINUTE, .drop = count, .task = &handle), 0);
    CHECK_EQ(oa_start(&other, cancel_handle_task, .max_workers = 1), 0);
    wait_for_it();
    CHECK_EQ(oa_wait(other), 0);
}

int main(void)
{
    for (int workers = 1; workers <= 2; workers++) {
        for (int round = 0; round < 10; round++) {
            from_thread(cancel_handle, workers);
            from_thread(cancel_group, workers);
            from_other_coordinator(workers);
        }
    }
    return 0;
}
