// SPDX-License-Identifier: BSD-2-Clause
// hosted.h - what holds for blocking and for pinned tasks alike, called by the tests of both.
#pragma once

#include "api/support.h"

static bool pinned; // which of the two

// Spawns one into the case's coordinator.
#define HOST(fn, ...)                                                                              \
    oa_go((fn), __VA_ARGS__, .block = !pinned, .pinned = pinned, .coord = coord)

static inline oa_task_t *host(oa_fn *fn, void *arg)
{
    oa_task_t *task = NULL;
    CHECK_EQ(HOST(fn, arg, .task = &task), 0);
    CHECK(task != NULL);
    return task;
}

static oa_sem_t sem;
static oa_mutex_t mutex = OA_MUTEX_INIT;
static oa_chan_t *chan;
static oa_group_t members = OA_GROUP_INIT;
static atomic_int steps;

static void step(void *arg)
{
    (void)arg;
    atomic_fetch_add(&steps, 1);
}

// ---- Who it is --------------------------------------------------------------------------------

static oa_task_t *seen;

static void look(void *arg)
{
    oa_task_t **handle = arg;
    UNTIL(*(oa_task_t *volatile *)handle != NULL);
    seen = oa_self();
    CHECK(seen != NULL && oa_task_id(seen) == oa_task_id(*handle));
    CHECK(strcmp(oa_task_name(seen), "hosted") == 0);
    CHECK(oa_coord() == coord);
    CHECK_EQ(oa_worker_id(), simulated() ? 0 : -1);
    CHECK(oa_workers(NULL) >= 1 && oa_worker_limit(NULL) == oa_workers(coord));
    CHECK(!oa_cancelled());
    CHECK_EQ(oa_join(*handle), -EDEADLK);
    CHECK_EQ(oa_wait(coord), -EDEADLK);
    oa_yield();
    CHECK(oa_self() == seen);
}

static void identity(void *arg)
{
    oa_task_t *task = NULL;
    (void)arg;
    CHECK_EQ(HOST(look, &task, .task = &task, .name = "hosted"), 0);
    join(task);
    CHECK_EQ(oa_task_id(seen), 0);
    CHECK_EQ(oa_join(task), -ESRCH);
    CHECK_EQ(oa_cancel(task), -ESRCH);
    task = host(step, NULL);
    CHECK_EQ(oa_detach(task), 0);
    CHECK_EQ(oa_detach(task), -ESRCH);
}

// ---- It waits ---------------------------------------------------------------------------------

static void serve(void *arg)
{
    int64_t value = 1;
    (void)arg;
    CHECK_EQ(oa_chan_recv(chan, &value), 0);
    CHECK_EQ(value, 42);
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    CHECK_EQ(oa_sem_release(&sem), 0);
    CHECK_EQ(oa_sleep(OA_MILLISECOND / 4), 0);
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    value++;
    CHECK_EQ(oa_chan_send(chan, &value), 0);
}

static void ask(void *arg)
{
    oa_task_t *server = arg;
    int64_t value = 42;
    CHECK_EQ(oa_chan_send(chan, &value), 0);
    CHECK_EQ(oa_sem_acquire(&sem), 0);
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    CHECK_EQ(oa_mutex_lock(&mutex), -EDEADLK);
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    CHECK_EQ(oa_mutex_unlock(&mutex), -EPERM);
    CHECK_EQ(oa_chan_recv(chan, &value), 0);
    CHECK_EQ(value, 43);
    join(server);
    oa_group_t group = OA_GROUP_INIT;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(HOST(step, NULL, .group = &group), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(oa_group_destroy(&group), 0);
    CHECK_EQ(oa_sleep(OA_MICROSECOND), 0);
    CHECK_EQ(oa_sleep_until(PAST), 0);
}

static void waits(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++) {
        oa_sem_init(&sem, 0);
        chan = oa_chan_make(sizeof(int64_t), .capacity = (size_t)i % 2);
        oa_task_t *server = i % 3 ? spawn(serve, NULL) : host(serve, NULL);
        join(host(ask, server));
        CHECK_EQ(oa_sem_destroy(&sem), 0);
        CHECK_EQ(oa_mutex_destroy(&mutex), 0);
        CHECK_EQ(oa_chan_free(chan), 0);
    }
}

// A task that nobody ends before the semaphore says so.
static void hold(void *arg)
{
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    atomic_fetch_add(&steps, 1);
    oa_shield(true);
    CHECK_EQ(oa_sem_acquire(arg), 0);
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
}

// Every call with a deadline; `join` is of a task that has not ended.
static void all_until(oa_task_t *other, int64_t (*deadline)(void), int result)
{
    int64_t value = 0;
    CHECK_EQ(oa_sem_acquire_until(&sem, deadline()), result);
    CHECK_EQ(oa_mutex_lock_until(&mutex, deadline()), result);
    CHECK_EQ(oa_chan_recv_until(chan, &value, deadline()), result);
    CHECK_EQ(oa_chan_send_until(chan, &value, deadline()), result);
    CHECK_EQ(oa_join_until(other, deadline()), result);
    CHECK_EQ(oa_group_wait_until(&members, deadline()), result);
    CHECK_EQ(oa_sleep_until(deadline()), result == -ETIMEDOUT ? 0 : result);
}

static int64_t soon(void)
{
    return SOON;
}

static int64_t past(void)
{
    return PAST;
}

static int64_t never(void)
{
    return OA_FOREVER;
}

static void time_out(void *arg)
{
    all_until(arg, soon, -ETIMEDOUT);
    all_until(arg, past, -ETIMEDOUT);
}

// What the cases below wait for: a held mutex, an empty semaphore and channel, a group and a task
// that do not end.
static oa_sem_t let_go;

static oa_task_t *make_all_wait(void)
{
    oa_task_t *holder = NULL;
    oa_sem_init(&sem, 0);
    oa_sem_init(&let_go, 0);
    chan = oa_chan_make(sizeof(int64_t));
    atomic_store(&steps, 0);
    uint64_t before = parks();
    CHECK_EQ(oa_go(hold, &let_go, .task = &holder, .group = &members, .coord = coord), 0);
    UNTIL(atomic_load(&steps) == 1 && parks() > before);
    return holder;
}

static void end_all_wait(oa_task_t *holder)
{
    CHECK_EQ(oa_sem_release(&let_go), 0);
    join(holder);
    CHECK_EQ(oa_group_wait(&members), 0);
    CHECK_EQ(oa_sem_destroy(&sem), 0);
    CHECK_EQ(oa_mutex_destroy(&mutex), 0);
    CHECK_EQ(oa_group_destroy(&members), 0);
    CHECK_EQ(oa_chan_free(chan), 0);
}

static void deadlines(void *arg)
{
    (void)arg;
    oa_task_t *holder = make_all_wait();
    join(host(time_out, holder));
    end_all_wait(holder);
}

// ---- It is cancelled --------------------------------------------------------------------------

static atomic_int which;

static void be_broken(void *arg)
{
    int64_t value;
    atomic_fetch_add(&steps, 1);
    switch (atomic_load(&which)) {
    case 0: CHECK_EQ(oa_sem_acquire(&sem), -ECANCELED); break;
    case 1: CHECK_EQ(oa_chan_recv(chan, &value), -ECANCELED); break;
    case 2: CHECK_EQ(oa_chan_send(chan, &value), -ECANCELED); break;
    case 3: CHECK_EQ(oa_sleep(OA_FOREVER), -ECANCELED); break;
    case 4: CHECK_EQ(oa_mutex_lock_until(&mutex, OA_FOREVER), -ECANCELED); break;
    case 5: CHECK_EQ(oa_join_until(arg, OA_FOREVER), -ECANCELED); break;
    case 6: CHECK_EQ(oa_group_wait_until(&members, LATE), -ECANCELED); break;
    default: CHECK_EQ(oa_sleep_until(LATE), -ECANCELED); break;
    }
    CHECK(oa_cancelled());
    all_until(arg, never, -ECANCELED);
    all_until(arg, past, -ECANCELED);
    CHECK_EQ(oa_sem_tryacquire(&sem), -EAGAIN);
    CHECK(!oa_shield(true));
    CHECK_EQ(oa_sem_acquire_until(&sem, SOON), -ETIMEDOUT);
    CHECK(oa_shield(false));
    CHECK_EQ(oa_sem_acquire(&sem), -ECANCELED);
}

static void cancelled(void *arg)
{
    (void)arg;
    oa_task_t *holder = make_all_wait();
    for (int i = 0; i < 8; i++) {
        atomic_store(&steps, 0);
        atomic_store(&which, i);
        uint64_t before = parks();
        oa_task_t *task = host(be_broken, holder);
        if (i % 2)
            UNTIL(parks() > before);
        else
            UNTIL(atomic_load(&steps) == 1);
        CHECK_EQ(oa_cancel(task), 0);
        join(task);
    }
    end_all_wait(holder);
}

// By its group.
static void group_cancelled(void *arg)
{
    (void)arg;
    oa_task_t *holder = make_all_wait();
    oa_group_t group = OA_GROUP_INIT;
    atomic_store(&steps, 0);
    atomic_store(&which, 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(HOST(be_broken, holder, .group = &group), 0);
    CHECK_EQ(HOST(nothing, NULL, .group = &group, .delay = OA_MINUTE), 0);
    UNTIL(atomic_load(&steps) == 4);
    CHECK_EQ(oa_group_cancel(&group), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    end_all_wait(holder);
}

// What guards the caller's memory is not interrupted.
static void guard(void *arg)
{
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    CHECK_EQ(oa_join(arg), 0);
    CHECK(oa_cancelled());
    atomic_fetch_add(&steps, 1);
    oa_group_t group = OA_GROUP_INIT;
    CHECK_EQ(HOST(step, NULL, .group = &group), 0);
    CHECK_EQ(oa_group_wait(&group), -ECANCELED);
    CHECK_EQ(oa_group_destroy(&group), 0);
}

static void guarded(void *arg)
{
    (void)arg;
    oa_task_t *holder = make_all_wait();
    uint64_t before = parks();
    oa_task_t *task = host(guard, holder);
    UNTIL(parks() > before);
    CHECK_EQ(oa_cancel(task), 0);
    CHECK_EQ(oa_join_until(task, SOON), -ETIMEDOUT);
    CHECK_EQ(atomic_load(&steps), 1);
    CHECK_EQ(oa_sem_release(&let_go), 0);
    join(task);
    CHECK_EQ(oa_group_wait(&members), 0);
    CHECK_EQ(oa_chan_free(chan), 0);
}

// ---- It spawns --------------------------------------------------------------------------------

static void breed(void *arg)
{
    oa_group_t group = OA_GROUP_INIT;
    (void)arg;
    CHECK_EQ(oa_go(step, NULL, .group = &group), 0);
    CHECK_EQ(oa_go(step, NULL, .group = &group, .delay = 1), 0);
    CHECK_EQ(oa_go(step, NULL, .group = &group, .block = 1), 0);
    CHECK_EQ(oa_go(step, NULL, .group = &group, .pinned = 1, .delay = OA_MICROSECOND), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(oa_run(step, .max_workers = 2), 0);
    CHECK(oa_coord() == coord && oa_worker_id() == -1);
    oa_coord_t *other;
    CHECK_EQ(oa_start(&other, step), 0);
    oa_task_t *task;
    CHECK_EQ(oa_go(step, NULL, .coord = other, .task = &task), 0);
    join(task);
    CHECK_EQ(oa_wait(other), 0);
}

static void spawns(void *arg)
{
    (void)arg;
    atomic_store(&steps, 0);
    join(host(breed, NULL));
    CHECK_EQ(atomic_load(&steps), 7);
}

static void virtual_thread(void *arg)
{
    CHECK_EQ(oa_run(step), -EPERM);
    step(arg);
}

// A coordinator inside of another: its virtual threads stand on the hosted task's thread.
static void nest(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_run(virtual_thread, .max_workers = 1), 0);
    CHECK_EQ(oa_sleep(OA_MICROSECOND), 0);
    step(NULL);
}

static void nested(void *arg)
{
    (void)arg;
    atomic_store(&steps, 0);
    for (int i = 0; i < 4; i++)
        join(host(nest, NULL));
    CHECK_EQ(atomic_load(&steps), 8);
}

static oa_coord_t *second;

static void from_second(void *arg)
{
    CHECK(oa_coord() == second);
    CHECK_EQ(oa_sem_acquire(&sem), 0);
    CHECK_EQ(oa_sem_release(arg), 0);
}

// A task of one waits for one of the other.
static void two_coordinators(void *arg)
{
    (void)arg;
    oa_sem_init(&sem, 0);
    oa_sem_init(&let_go, 0);
    CHECK_EQ(oa_start(&second, nothing, .max_workers = 1), 0);
    CHECK_EQ(oa_go(from_second, &let_go, .coord = second, .block = !pinned, .pinned = pinned), 0);
    CHECK_EQ(oa_sem_release(&sem), 0);
    CHECK_EQ(oa_sem_acquire(&let_go), 0);
    CHECK_EQ(oa_wait(second), 0);
}

// ---- Options ----------------------------------------------------------------------------------

static atomic_int dropped;

static void drop(void *arg)
{
    (void)arg;
    atomic_fetch_add(&dropped, 1);
}

static void check_copy(void *arg)
{
    CHECK_EQ(*(int64_t *)arg, 7);
    CHECK_EQ((uintptr_t)arg % 16, 0);
}

static void options(void *arg)
{
    (void)arg;
    int64_t seven = 7, before = oa_now();
    oa_task_t *task;
    CHECK_EQ(HOST(check_copy, oa_val(seven), .task = &task, .delay = OA_MILLISECOND), 0);
    join(task);
    CHECK(oa_now() - before >= OA_MILLISECOND);
    atomic_store(&dropped, 0);
    CHECK_EQ(HOST(nothing, NULL, .task = &task, .delay = OA_MINUTE, .drop = drop), 0);
    CHECK_EQ(oa_cancel(task), 0);
    CHECK_EQ(atomic_load(&dropped), 1);
    join(task);
    CHECK_EQ(oa_go(nothing, .block = 1, .pinned = 1, .coord = coord, .drop = drop), -EINVAL);
    CHECK_EQ(oa_go(nothing, .block = 1, .stack = 1 << 20, .coord = coord, .drop = drop), -EINVAL);
    CHECK_EQ(oa_go(nothing, .pinned = 1, .stack = 1, .coord = coord, .drop = drop), -EINVAL);
    CHECK_EQ(atomic_load(&dropped), 4);
}

// ---- Shutdown ---------------------------------------------------------------------------------

static void stay(void *arg)
{
    (void)arg;
    step(NULL);
    CHECK_EQ(oa_sem_acquire(&sem), -ECANCELED);
    CHECK_EQ(oa_go(nothing, .drop = drop), -ESHUTDOWN);
    CHECK_EQ(oa_go(nothing, .drop = drop, .block = 1), -ESHUTDOWN);
    CHECK_EQ(oa_shutdown(NULL, OA_DRAIN), -EALREADY);
}

static void shut_cancel(int workers)
{
    oa_sem_init(&sem, 0);
    atomic_store(&steps, 0);
    atomic_store(&dropped, 0);
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = workers, .max_blocking = 2), 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(HOST(stay, NULL, .drop = drop), 0);
    UNTIL(atomic_load(&steps) == 2);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(
            oa_go(step, NULL, .coord = coord, .block = 1, .drop = drop, .delay = i * OA_MINUTE), 0);
    CHECK_EQ(oa_shutdown(coord, OA_CANCEL), 0);
    CHECK_EQ(HOST(step, NULL, .drop = drop), -ESHUTDOWN);
    CHECK_EQ(oa_wait(coord), 0);
    int ran = atomic_load(&steps) - 2; // a free thread of the pool may have been quicker
    CHECK(ran == 0 || (pinned && ran == 1));
    CHECK_EQ(atomic_load(&dropped) + ran, 5 + 4 + 1);
}

static void spawn_late(void *arg)
{
    (void)arg;
    step(NULL);
    CHECK_EQ(oa_sem_acquire(&sem), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(oa_go(step, NULL, .block = i % 2, .delay = i / 2), 0);
    CHECK_EQ(oa_go(step, NULL, .pinned = 1), 0);
}

static void shut_drain(int workers)
{
    oa_sem_init(&sem, 0);
    atomic_store(&steps, 0);
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = workers), 0);
    CHECK_EQ(HOST(spawn_late, NULL), 0);
    CHECK_EQ(HOST(step, NULL, .delay = OA_MILLISECOND), 0);
    UNTIL(atomic_load(&steps) >= 1);
    CHECK_EQ(oa_shutdown(coord, OA_DRAIN), 0);
    CHECK_EQ(HOST(nothing, NULL), -ESHUTDOWN);
    CHECK_EQ(oa_sem_release(&sem), 0);
    CHECK_EQ(oa_wait(coord), 0);
    CHECK_EQ(atomic_load(&steps), 7);
}

static void shut_itself(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_shutdown(NULL, OA_CANCEL), 0);
    CHECK(oa_cancelled());
    CHECK_EQ(oa_sleep(1), -ECANCELED);
    step(NULL);
}

static void shutdowns(void)
{
    for (int i = 0; i < 20; i++) {
        shut_cancel(1 + i % 2);
        shut_drain(1 + i % 2);
        atomic_store(&steps, 0);
        CHECK_EQ(oa_start(&coord, nothing), 0);
        CHECK_EQ(HOST(shut_itself, NULL), 0);
        UNTIL(atomic_load(&steps) == 1);
        CHECK_EQ(oa_wait(coord), 0);
    }
    coord = NULL;
}

static void hosted_cases(void)
{
    oa_fn *const cases[] = {identity,        waits,   deadlines, cancelled,
                            group_cancelled, guarded, options};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        everywhere(cases[i]);
    if (simulated())
        return; // with one coordinator, in which they are as other tasks
    everywhere(spawns);
    everywhere(nested);
    everywhere(two_coordinators);
    shutdowns();
}
