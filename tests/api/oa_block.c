// SPDX-License-Identifier: BSD-2-Clause
// oa_block.c - a function that runs on the blocking pool, as the task that calls it.
// ctest: simulate
#include <pthread.h>

#include "api/rounding.h"
#include "api/support.h"

static oa_mutex_t mutex = OA_MUTEX_INIT;
static oa_sem_t sem, let_go;
static atomic_int steps;

static void step(void *arg)
{
    (void)arg;
    atomic_fetch_add(&steps, 1);
}

static pthread_t caller;

// ---- In place ---------------------------------------------------------------------------------

static void same_thread(void *arg)
{
    CHECK(pthread_equal(caller, pthread_self()));
    CHECK(oa_self() == arg);
    step(NULL);
}

static void in_place(void *arg)
{
    (void)arg;
    atomic_store(&steps, 0);
    caller = pthread_self();
    CHECK_EQ(oa_block(same_thread, oa_self()), 0);
    CHECK_EQ(oa_block(NULL, NULL), -EINVAL);
    if (oa_self()) {
        CHECK_EQ(oa_cancel(oa_self()), 0);
        CHECK_EQ(oa_block(same_thread, oa_self()), 0); // no wait
        step(NULL);
    }
}

static void nest(void *arg)
{
    (void)arg;
    caller = pthread_self();
    CHECK_EQ(oa_block(same_thread, oa_self()), 0);
    CHECK_EQ(oa_sleep(1), 0);
    CHECK_EQ(oa_block(same_thread, oa_self()), 0);
}

static void in_places(void *arg)
{
    oa_task_t *task;
    (void)arg;
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(oa_go(in_place, NULL, .block = i, .pinned = !i, .task = &task), 0);
        join(task);
        CHECK_EQ(atomic_load(&steps), 3);
    }
    CHECK_EQ(oa_block(nest, NULL), 0); // within another one
}

// ---- As the task ------------------------------------------------------------------------------

static void as_task(void *arg)
{
    CHECK(oa_self() == arg && oa_task_id(arg) != 0);
    CHECK(strcmp(oa_task_name(arg), "") == 0);
    CHECK(oa_coord() != NULL);
    CHECK_EQ(oa_worker_id(), simulated() ? 0 : -1);
    CHECK(!oa_cancelled());
    CHECK_EQ(oa_wait(oa_coord()), -EDEADLK);
    CHECK_EQ(oa_mutex_lock(&mutex), -EDEADLK); // the task holds it
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    step(NULL);
}

static void wait_for_all(void *arg)
{
    oa_chan_t *ch = arg;
    int64_t value = 0;
    CHECK_EQ(oa_chan_recv(ch, &value), 0);
    CHECK_EQ(value, 5);
    CHECK_EQ(oa_sem_acquire(&sem), 0);
    CHECK_EQ(oa_sem_acquire_until(&sem, SOON), -ETIMEDOUT);
    CHECK_EQ(oa_sem_acquire_until(&sem, PAST), -ETIMEDOUT);
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    CHECK_EQ(oa_sleep(OA_MICROSECOND), 0);
    oa_yield();
    oa_task_t *task;
    CHECK_EQ(oa_go(step, .task = &task), 0);
    join(task);
    oa_group_t group = OA_GROUP_INIT;
    CHECK_EQ(oa_go(step, NULL, .group = &group, .block = 1), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    if (simulated())
        step(NULL); // it is on the worker
    else
        CHECK_EQ(oa_run(step), 0);
    CHECK_EQ(oa_chan_send(ch, &value), 0);
}

static void partner(void *arg)
{
    oa_chan_t *ch = arg;
    int64_t value = 5;
    CHECK_EQ(oa_chan_send(ch, &value), 0);
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    CHECK_EQ(oa_sem_release(&sem), 0);
    CHECK_EQ(oa_sleep(OA_MILLISECOND / 4), 0);
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    CHECK_EQ(oa_chan_recv(ch, &value), 0);
}

static void as_tasks(void *arg)
{
    (void)arg;
    atomic_store(&steps, 0);
    CHECK_EQ(oa_block(NULL, NULL), -EINVAL);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(oa_mutex_lock(&mutex), 0);
        CHECK_EQ(oa_block(as_task, oa_self()), 0);
        CHECK_EQ(oa_mutex_unlock(&mutex), 0);
        oa_sem_init(&sem, 0);
        oa_chan_t *ch = oa_chan_make(8);
        oa_task_t *task;
        CHECK_EQ(oa_go(partner, ch, .task = &task), 0);
        CHECK_EQ(oa_block(wait_for_all, ch), 0);
        CHECK(oa_worker_id() >= 0);
        CHECK_EQ(oa_sleep(1), 0); // a wait of its own again
        join(task);
        CHECK_EQ(oa_chan_free(ch), 0);
    }
    CHECK_EQ(atomic_load(&steps), 20 * 4);
}

// The caller's rounding mode is the function's, and the thread's is as before.
static void round_down(void *arg)
{
    CHECK_EQ(rounding(), *(int *)arg);
    set_rounding(DOWNWARD);
}

static void rounding_modes(void *arg)
{
    int modes[] = {UPWARD, NEAREST};
    (void)arg;
    for (int i = 0; i < 2; i++) {
        set_rounding(modes[i]);
        CHECK_EQ(oa_block(round_down, &modes[i]), 0);
        CHECK_EQ(rounding(), modes[i]);
    }
}

// ---- Cancelled --------------------------------------------------------------------------------

static atomic_int begun;

static void break_waits(void *arg)
{
    (void)arg;
    atomic_fetch_add(&begun, 1);
    CHECK_EQ(oa_sem_acquire(&sem), -ECANCELED);
    CHECK(oa_cancelled());
    CHECK_EQ(oa_sleep(1), -ECANCELED);
    oa_shield(true);
    CHECK_EQ(oa_sem_acquire(&let_go), 0); // it is not interrupted itself
    oa_shield(false);
    step(NULL);
}

static void block_once(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_block(break_waits, NULL), 0);
    CHECK(oa_cancelled());
    CHECK_EQ(oa_block(break_waits, NULL), -ECANCELED);
    CHECK_EQ(oa_sleep(1), -ECANCELED);
    step(NULL);
}

// After it has begun: parked in a wait of its own, or on the way there.
static void cancel_begun(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++) {
        oa_sem_init(&sem, 0);
        oa_sem_init(&let_go, 0);
        atomic_store(&steps, 0);
        atomic_store(&begun, 0);
        uint64_t parked = parks() + (simulated() ? 1 : 2); // the call itself is no wait there
        oa_task_t *task = spawn(block_once, NULL);
        UNTIL(i % 2 ? atomic_load(&begun) == 1 : parks() >= parked);
        CHECK_EQ(oa_cancel(task), 0);
        CHECK_EQ(oa_join_until(task, SOON), -ETIMEDOUT);
        CHECK_EQ(atomic_load(&steps), 0);
        CHECK_EQ(oa_sem_release(&let_go), 0);
        join(task);
        CHECK_EQ(atomic_load(&steps), 2);
    }
}

static void occupy(void *arg)
{
    (void)arg;
    atomic_fetch_add(&begun, 1);
    CHECK_EQ(oa_sem_acquire(&let_go), 0);
}

static void never_called(void *arg)
{
    (void)arg;
    CHECK(false);
}

static void block_cancelled(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_block(never_called, NULL), -ECANCELED);
    step(NULL);
}

static void block_in_order(void *arg)
{
    CHECK_EQ(oa_block(step, NULL), 0);
    (void)arg;
}

// Before a thread has come to it: by handle, by group, by shutdown. The pool's only thread is
// taken.
static void cancel_before(int how)
{
    oa_group_t group = OA_GROUP_INIT;
    oa_task_t *task;
    oa_sem_init(&let_go, 0);
    atomic_store(&steps, 0);
    atomic_store(&begun, 0);
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = 1 + how % 2, .max_blocking = 1), 0);
    CHECK_EQ(oa_go(occupy, NULL, .coord = coord, .block = 1), 0);
    UNTIL(parks() == 1);
    uint64_t before = parks();
    CHECK_EQ(oa_go(block_cancelled, NULL, .coord = coord, .task = &task, .group = &group), 0);
    UNTIL(parks() > before);
    if (how < 2)
        CHECK_EQ(oa_cancel(task), 0);
    else if (how < 4)
        CHECK_EQ(oa_group_cancel(&group), 0);
    join(task); // it does not wait for the pool's thread
    CHECK_EQ(atomic_load(&steps), 1);
    CHECK_EQ(oa_group_wait(&group), 0);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(oa_go(block_in_order, NULL, .coord = coord), 0);
    CHECK_EQ(oa_sem_release(&let_go), 0);
    CHECK_EQ(oa_wait(coord), 0);
    CHECK_EQ(atomic_load(&steps), 6);
}

static void occupy_shut(void *arg)
{
    (void)arg;
    atomic_fetch_add(&begun, 1);
    CHECK_EQ(oa_sem_acquire(&sem), -ECANCELED);
}

static void shut_down(int workers)
{
    oa_sem_init(&sem, 0);
    atomic_store(&steps, 0);
    atomic_store(&begun, 0);
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = workers, .max_blocking = 1), 0);
    CHECK_EQ(oa_go(occupy_shut, NULL, .coord = coord, .block = 1), 0);
    UNTIL(parks() == 1);
    uint64_t before = parks();
    for (int i = 0; i < 3; i++)
        CHECK_EQ(oa_go(block_cancelled, NULL, .coord = coord), 0);
    UNTIL(parks() >= before + 3);
    CHECK_EQ(oa_shutdown(coord, OA_CANCEL), 0);
    CHECK_EQ(oa_wait(coord), 0);
    CHECK_EQ(atomic_load(&steps), 3);
}

// ---- Many -------------------------------------------------------------------------------------

static atomic_int now;

static void inside(void *arg)
{
    (void)arg;
    CHECK(atomic_fetch_add(&now, 1) < 2);
    CHECK_EQ(oa_sleep(10 * OA_MICROSECOND), 0);
    step(NULL);
    atomic_fetch_sub(&now, 1);
}

static void block_inside(void *arg)
{
    CHECK_EQ(oa_block(inside, arg), 0);
}

// They share the pool's threads with blocking tasks.
static void at_most(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    atomic_store(&steps, 0);
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = 2, .max_blocking = 2), 0);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(oa_go(block_inside, NULL, .coord = coord, .group = &group), 0);
        CHECK_EQ(oa_go(inside, NULL, .coord = coord, .group = &group, .block = 1), 0);
    }
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(oa_wait(coord), 0);
    CHECK_EQ(atomic_load(&steps), 200);
}

int main(void)
{
    caller = pthread_self();
    CHECK_EQ(oa_block(same_thread, NULL), 0);
    CHECK_EQ(oa_block(NULL, NULL), -EINVAL);
    if (!simulated()) // in which it is a call like any other
        in_tasks(in_places);
    in_tasks(as_tasks);
    in_tasks(rounding_modes);
    everywhere(cancel_begun);
    if (simulated())
        return 0; // with no pool
    for (int how = 0; how < 4; how++)
        cancel_before(how);
    for (int i = 0; i < 10; i++)
        shut_down(1 + i % 2);
    at_most(NULL);
    in_tasks(at_most);
    return 0;
}
