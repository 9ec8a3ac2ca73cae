// SPDX-License-Identifier: BSD-2-Clause
// clean_orders.c - everything that is promised to happen before something else does so in the
// sanitizer's eyes: spawn, join, group, semaphore, mutex, channel, a task's own moves, a copied
// argument, the runtime's end.
#include <oasync.h>

#include "check.h"

enum { TASKS = 40 };

static oa_mutex_t mutex = OA_MUTEX_INIT;
static oa_sem_t sem = OA_SEM_INIT(0);
static oa_chan_t *channel;
static int guarded, joined, grouped, released;

static void child(void *arg)
{
    int *place = arg;
    int mine = *place;
    oa_yield();
    *place = mine + 1;
}

static void guard(void *arg)
{
    int copied = *(int *)arg;
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    guarded += copied;
    if (guarded % 3 == 0)
        oa_yield();
    guarded -= copied - 1;
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
}

static void release(void *arg)
{
    (void)arg;
    released = 1;
    CHECK_EQ(oa_sem_release(&sem), 0);
}

static void producer(void *arg)
{
    (void)arg;
    for (int i = 0; i < TASKS; i++) {
        int *element = malloc(sizeof *element);
        *element = i;
        CHECK_EQ(oa_chan_send(channel, &element), 0);
    }
}

static void consume(void)
{
    for (int i = 0; i < TASKS; i++) {
        int *element;
        CHECK_EQ(oa_chan_recv(channel, &element), 0);
        CHECK_EQ(*element, i);
        free(element);
    }
}

static void start(void *arg)
{
    oa_group_t group = OA_GROUP_INIT;
    (void)arg;
    for (int i = 0; i < TASKS; i++) {
        oa_task_t *task;
        CHECK_EQ(oa_go(guard, oa_val(i), .group = &group), 0);
        joined = i;
        CHECK_EQ(oa_go(child, &joined, .task = &task, .delay = i % 2), 0);
        CHECK_EQ(oa_join(task), 0);
        CHECK_EQ(joined, i + 1);
    }
    CHECK_EQ(oa_go(child, &grouped, .group = &group), 0);
    CHECK_EQ(oa_go(release), 0);
    CHECK_EQ(oa_go(producer), 0);
    consume();
    CHECK_EQ(oa_sem_acquire(&sem), 0);
    CHECK_EQ(released, 1);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(guarded, TASKS);
    CHECK_EQ(grouped, 1);
}

int main(void)
{
    channel = oa_chan_make(sizeof(int *));
    for (int workers = 1; workers <= 2; workers++) {
        guarded = grouped = released = 0;
        CHECK_EQ(oa_run(start, .max_workers = workers), 0);
        CHECK_EQ(guarded, TASKS);
    }
    CHECK_EQ(oa_chan_free(channel), 0);
    return 0;
}
