// SPDX-License-Identifier: BSD-2-Clause
// together.c - options that meet: blocking and pinned tasks behind gates and delays, chains and
// consumers on the pool, what is a task's own there.
// ctest: simulate
#include "support.h"

static oa_mutex_t resource;
static oa_sem_t permits;
static oa_latch_t latch;
static oa_barrier_t barrier;
static oa_backpressure_t pressure;
static oa_local_t local;
static _Atomic int inside, done;

// Runs behind all gates on a thread that is no worker, with everything of its own.
static void gated(void *arg)
{
    CHECK_EQ(oa_worker_id(), simulated() ? 0 : -1);
    CHECK_EQ(*(int *)arg, 7);
    CHECK_EQ(atomic_fetch_add(&inside, 1), 0);
    CHECK_EQ(oa_mutex_lock(&resource), -EDEADLK);
    CHECK(oa_context()->user_ptr == NULL);
    oa_context()->user_ptr = arg;
    CHECK(oa_local_get(local) == NULL);
    CHECK_EQ(oa_local_set(local, &done), 0);
    memset(oa_temp(1000), 1, 1000);
    CHECK_EQ(oa_sleep(100 * OA_MICROSECOND), 0);
    CHECK(oa_context()->user_ptr == arg);
    CHECK_EQ(atomic_fetch_sub(&inside, 1), 1);
}

static void count_up(void *value)
{
    CHECK(oa_self() != NULL);
    oa_yield();
    (*(_Atomic int *)value)++;
}

static void reset(void)
{
    oa_mutex_init(&resource);
    oa_sem_init(&permits, 2);
    oa_latch_init(&latch, 6);
    oa_barrier_init(&barrier, 3);
    oa_backpressure_init(&pressure, 4, OA_LOSSLESS);
    inside = done = 0;
}

static void every_gate(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    int item = 7;
    reset();
    CHECK_EQ(oa_local_create(&local, count_up), 0);
    for (int i = 0; i < 6; i++)
        CHECK_EQ(oa_go(gated, oa_val(item), .block = i % 2, .pinned = i % 2 == 0,
                       .delay = i % 3 * OA_MICROSECOND, .latch = &latch, .cb = &barrier,
                       .bp = &pressure, .sem = &permits, .acq = &resource, .group = &group,
                       .coord = coord),
                 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(done, 6);
    CHECK_EQ(oa_mutex_destroy(&resource), 0);
    CHECK_EQ(oa_backpressure_destroy(&pressure), 0);
    CHECK_EQ(oa_sem_tryacquire(&permits), 0);
    CHECK_EQ(oa_sem_tryacquire(&permits), 0);
    CHECK_EQ(oa_local_delete(local), 0);
}

// A blocking chain holds its gate from its first function to its last.
static void first(void *arg)
{
    CHECK_EQ(atomic_fetch_add(&inside, 1), 0);
    oa_context()->user_index = *(int *)arg;
}

static void between(void *arg)
{
    (void)arg;
    oa_yield();
}

static void second(void *arg)
{
    CHECK_EQ(oa_context()->user_index, *(int *)arg);
    CHECK_EQ(atomic_fetch_sub(&inside, 1), 1);
    done++;
}

static void chains(void *arg)
{
    static oa_fn *const fns[] = {first, between, second};
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    reset();
    for (int i = 0; i < 20; i++)
        CHECK_EQ(oa_chain(fns, 3, oa_val(i), .block = i % 2, .acq = &resource, .group = &group,
                          .name = "chain", .coord = coord),
                 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(done, 20);
}

// A consumer on the pool: each call is made on a thread that is no worker, one at a time.
static void consumed(void *elem)
{
    CHECK_EQ(oa_worker_id(), simulated() ? 0 : -1);
    CHECK_EQ(atomic_fetch_add(&inside, 1), 0);
    CHECK(oa_context()->user_ptr == &done);
    CHECK_EQ(oa_block(count_up, &done), 0);
    CHECK_EQ(*(int *)elem, done);
    CHECK_EQ(atomic_fetch_sub(&inside, 1), 1);
}

static void consumers(void *arg)
{
    (void)arg;
    reset();
    oa_chan_t *ch = oa_chan_make(sizeof(int), .capacity = 3);
    oa_task_t *task;
    CHECK_EQ(oa_chan_consume(ch, consumed, &done, .block = true, .task = &task, .coord = coord), 0);
    for (int i = 1; i <= 50; i++) {
        CHECK_EQ(oa_chan_send(ch, &i), 0);
        if (i % 7 == 0)
            UNTIL(done == i);
    }
    CHECK_EQ(oa_chan_close(ch), 0);
    CHECK_EQ(oa_join(task), 0);
    CHECK_EQ(done, 50);
    CHECK_EQ(oa_chan_free(ch), 0);
}

// Cancelled at a gate, a blocking task never runs, and gives back what it had.
static void never(void *arg)
{
    (void)arg;
    CHECK(false);
}

static void drop(void *arg)
{
    (*(_Atomic int *)arg)++;
}

static void cancelled(void *arg)
{
    (void)arg;
    reset();
    CHECK_EQ(oa_mutex_lock(&resource), 0);
    oa_task_t *tasks[4];
    for (int i = 0; i < 4; i++)
        CHECK_EQ(oa_go(never, &done, .drop = drop, .block = i % 2, .pinned = i % 2 == 0,
                       .bp = &pressure, .acq = &resource, .task = &tasks[i], .coord = coord),
                 0);
    CHECK_EQ(oa_backpressure_destroy(&pressure), -EBUSY);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(oa_cancel(tasks[i]), 0);
        CHECK_EQ(oa_join(tasks[i]), 0);
    }
    CHECK_EQ(done, 4);
    CHECK_EQ(oa_backpressure_destroy(&pressure), 0);
    CHECK_EQ(oa_mutex_unlock(&resource), 0);
    CHECK_EQ(oa_mutex_destroy(&resource), 0);
}

// A consumer whose call waits for the only thread of the pool, which waits for the consumer's end.
static void only_thread(void *arg)
{
    oa_group_t group = OA_GROUP_INIT;
    int elem = 1;
    oa_chan_t *ch = oa_chan_make(sizeof elem, .capacity = 1);
    oa_task_t *task;
    CHECK_EQ(oa_chan_consume(ch, never, NULL, .block = 1, .task = &task, .group = &group), 0);
    CHECK_EQ(oa_chan_send(ch, &elem), 0);
    join(spawn(nothing, NULL)); // the one worker has had the call before this
    CHECK_EQ(arg ? oa_group_cancel(&group) : oa_cancel(task), 0);
    join(task);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(oa_chan_free(ch), 0);
}

static void cancelled_in_line(void)
{
    for (int i = 0; i < 2; i++) {
        oa_coord_t *own;
        CHECK_EQ(oa_start(&own, nothing, .max_workers = 1, .max_blocking = 1), 0);
        CHECK_EQ(oa_go(only_thread, i ? &done : NULL, .block = 1, .coord = own), 0);
        CHECK_EQ(oa_wait(own), 0);
    }
}

int main(void)
{
    everywhere(every_gate);
    everywhere(chains);
    everywhere(consumers);
    everywhere(cancelled);
    if (!simulated()) // with no pool
        cancelled_in_line();
    return 0;
}
