// SPDX-License-Identifier: BSD-2-Clause
// last_outside.c - what an outside thread does makes a coordinator's last task end while another
// thread waits for that: the call must not touch the coordinator once it can be gone.
// ctest: timeout=60
#include <errno.h>
#include <oasync.h>
#include <pthread.h>
#include <sched.h>

#include "check.h"

static oa_coord_t *coord;
static oa_sem_t sem;
static oa_mutex_t mutex;
static oa_chan_t *channel;

static void sleep_on(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sleep(OA_FOREVER), -ECANCELED);
}

static void acquire(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_acquire(&sem), 0);
}

static void lock(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
}

static void receive(void *arg)
{
    int element;
    (void)arg;
    CHECK_EQ(oa_chan_recv(channel, &element), 0);
}

static void shut_down(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_shutdown(coord, OA_CANCEL), 0);
}

static void release(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_release(&sem), 0);
}

static void unlock(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
}

static void send(void *arg)
{
    int element = 1;
    (void)arg;
    CHECK_EQ(oa_chan_send(channel, &element), 0);
}

static const struct pair {
    oa_fn *last, *outside;
} pairs[] = {{sleep_on, shut_down}, {acquire, release}, {lock, unlock}, {receive, send}};

static oa_fn *outside;
static pthread_barrier_t begin;

static void *outside_main(void *arg)
{
    if (outside == unlock)
        CHECK_EQ(oa_mutex_lock(&mutex), 0);
    pthread_barrier_wait(&begin); // locked
    pthread_barrier_wait(&begin); // the coordinator is there
    sched_yield();
    outside(arg);
    return NULL;
}

static void by_thread(const struct pair *pair)
{
    pthread_t thread;
    outside = pair->outside;
    CHECK_EQ(pthread_create(&thread, NULL, outside_main, NULL), 0);
    pthread_barrier_wait(&begin);
    CHECK_EQ(oa_start(&coord, pair->last, .max_workers = 2), 0);
    pthread_barrier_wait(&begin);
    CHECK_EQ(oa_wait(coord), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void by_task(const struct pair *pair)
{
    oa_coord_t *other;
    CHECK_EQ(oa_start(&coord, pair->last, .max_workers = 2), 0);
    CHECK_EQ(oa_start(&other, pair->outside, .max_workers = 1), 0);
    CHECK_EQ(oa_wait(coord), 0);
    CHECK_EQ(oa_wait(other), 0);
}

int main(void)
{
    CHECK_EQ(pthread_barrier_init(&begin, NULL, 2), 0);
    channel = oa_chan_make(sizeof(int));
    for (int64_t round = test_scale(300); round > 0; round--) {
        for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
            by_thread(&pairs[i]);
            if (pairs[i].outside != unlock)
                by_task(&pairs[i]);
        }
    }
    CHECK_EQ(oa_chan_free(channel), 0);
    return 0;
}
