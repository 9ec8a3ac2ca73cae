// SPDX-License-Identifier: BSD-2-Clause
// coordinators.c - several runtimes side by side: their tasks spawn, join, cancel and talk across.
#include "support.h"

enum { COORDS = 3, ITEMS = 1000 };

static oa_coord_t *coords[COORDS];
static oa_sem_t gate;

static void hold(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_acquire(&gate), 0);
}

static void start_all(void)
{
    oa_sem_init(&gate, 0);
    for (int i = 0; i < COORDS; i++)
        CHECK_EQ(oa_start(&coords[i], hold, .max_workers = 1 + i % 2), 0);
}

static void wait_all(void)
{
    for (int i = 0; i < COORDS; i++)
        CHECK_EQ(oa_sem_release(&gate), 0);
    for (int i = 0; i < COORDS; i++)
        CHECK_EQ(oa_wait(coords[i]), 0);
}

struct pipe {
    oa_chan_t *from, *to;
    oa_coord_t *here;
};

static void pump(void *arg)
{
    const struct pipe *pipe = arg;
    int item;
    CHECK(oa_coord() == pipe->here);
    while (oa_chan_recv(pipe->from, &item) == 0) {
        item++;
        CHECK_EQ(oa_chan_send(pipe->to, &item), 0);
        CHECK(oa_coord() == pipe->here); // a task does not change its coordinator
    }
    CHECK_EQ(oa_chan_close(pipe->to), 0);
}

static void feed(void *arg)
{
    for (int i = 0; i < ITEMS; i++)
        CHECK_EQ(oa_chan_send(arg, &i), 0);
    CHECK_EQ(oa_chan_close(arg), 0);
}

// A pipe line with a stage in each coordinator, read by a plain thread.
static void channels_across(size_t capacity)
{
    oa_chan_t *ch[COORDS + 1];
    for (int i = 0; i <= COORDS; i++)
        ch[i] = oa_chan_make(sizeof(int), .capacity = capacity);
    for (int i = 0; i < COORDS; i++) {
        struct pipe pipe = {ch[i], ch[i + 1], coords[i]};
        CHECK_EQ(oa_go(pump, oa_val(pipe), .coord = coords[i]), 0);
    }
    CHECK_EQ(oa_go(feed, ch[0], .coord = coords[COORDS - 1]), 0);
    for (int i = 0; i < ITEMS; i++) {
        int item = -1;
        CHECK_EQ(oa_chan_recv(ch[COORDS], &item), 0);
        CHECK_EQ(item, i + COORDS);
    }
    CHECK_EQ(oa_chan_recv(ch[COORDS], NULL), -EPIPE);
    for (int i = 0; i <= COORDS; i++)
        CHECK_EQ(oa_chan_free(ch[i]), 0);
}

static void sleep_on(void *arg)
{
    CHECK(oa_coord() == *(oa_coord_t **)arg);
    CHECK_EQ(oa_sleep(OA_FOREVER), -ECANCELED);
}

// A task of one spawns into another, cancels and joins there.
static void tasks_across(void *arg)
{
    (void)arg;
    for (int i = 0; i < COORDS; i++) {
        oa_task_t *task;
        CHECK_EQ(oa_go(sleep_on, &coords[i], .coord = coords[i], .task = &task), 0);
        CHECK(oa_task_id(task) != 0);
        CHECK_EQ(oa_join_until(task, SOON), -ETIMEDOUT);
        CHECK_EQ(oa_cancel(task), 0);
        int error = oa_join(task);
        CHECK_EQ(error, 0);
        CHECK_EQ(oa_join(task), -ESRCH);
    }
}

static oa_mutex_t mutex = OA_MUTEX_INIT;
static long counter;

static void add_locked(void *arg)
{
    (void)arg;
    for (int i = 0; i < ITEMS; i++) {
        CHECK_EQ(oa_mutex_lock(&mutex), 0);
        counter++;
        CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    }
}

// One group and one mutex for tasks of all coordinators and a plain thread.
static void group_across(void)
{
    oa_group_t group = OA_GROUP_INIT;
    counter = 0;
    for (int i = 0; i < 2 * COORDS; i++)
        CHECK_EQ(oa_go(add_locked, .coord = coords[i % COORDS], .group = &group), 0);
    add_locked(NULL);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(counter, (2 * COORDS + 1) * ITEMS);
    CHECK_EQ(oa_group_destroy(&group), 0);
    CHECK_EQ(oa_mutex_destroy(&mutex), 0);
}

int main(void)
{
    start_all();
    channels_across(0);
    channels_across(1);
    channels_across(OA_UNBOUNDED);
    tasks_across(NULL);
    oa_task_t *task;
    CHECK_EQ(oa_go(tasks_across, .coord = coords[0], .task = &task), 0);
    CHECK_EQ(oa_join(task), 0);
    group_across();
    wait_all();
    return 0;
}
