// SPDX-License-Identifier: BSD-2-Clause
// gates_cancel.c - a task cancelled at a gate leaves it, gives back what it had taken, and is
// dropped.
// ctest: simulate
#include "support.h"

// What a task waits at: each gate, with all before it passed. DELAY: at none yet.
enum { LATCH, BARRIER, BACKPRESSURE, SEM, MUTEX, DELAY, PLACES };

static oa_latch_t latch;
static oa_barrier_t barrier;
static oa_backpressure_t bp;
static oa_sem_t sem;
static oa_mutex_t mutex;
static atomic_int ran, dropped;
static oa_sem_t go_on;
static int closed; // the place where the gate is not open

static void run(void *arg)
{
    (void)arg;
    atomic_fetch_add(&ran, 1);
}

static void drop(void *arg)
{
    CHECK_EQ(*(int *)arg, 7);
    atomic_fetch_add(&dropped, 1);
    if (closed == PLACES)
        return;
    // Nothing of the task's is held while its drop runs.
    CHECK_EQ(oa_backpressure_destroy(&bp) == 0, closed != BACKPRESSURE);
    CHECK_EQ(oa_sem_tryacquire(&sem), closed == SEM ? -EAGAIN : 0);
    CHECK_EQ(oa_mutex_trylock(&mutex), closed == MUTEX ? -EBUSY : 0);
    if (closed != MUTEX)
        CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    if (closed != SEM)
        CHECK_EQ(oa_sem_release(&sem), 0);
}

static void stay(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_acquire(&go_on), 0);
}

// Makes gates that a task passes but for that at `place`; there it stays.
static void build(int place, oa_task_t **other)
{
    closed = place;
    *other = NULL;
    oa_latch_init(&latch, place == LATCH ? 2 : 0);
    oa_barrier_init(&barrier, place == BARRIER ? 2 : 1);
    oa_backpressure_init(&bp, 1, OA_LOSSLESS);
    oa_sem_init(&sem, place == SEM ? 0 : 1);
    oa_sem_init(&go_on, 0);
    oa_mutex_init(&mutex);
    if (place == MUTEX)
        CHECK_EQ(oa_mutex_lock(&mutex), 0);
    if (place == BACKPRESSURE)
        CHECK_EQ(oa_go(stay, .bp = &bp, .task = other, .coord = coord), 0);
    atomic_store(&ran, 0);
    atomic_store(&dropped, 0);
}

static int go(oa_task_t **task, oa_group_t *group, int place, oa_coord_t *where)
{
    return oa_go(run, oa_val((int){7}), .latch = &latch, .cb = &barrier, .bp = &bp, .sem = &sem,
                 .acq = &mutex, .drop = drop, .task = task, .group = group, .coord = where,
                 .delay = place == DELAY ? OA_MINUTE : 0);
}

// The task was dropped, once. What it had is free, and the gate that it waited at forgets it.
static void check_left(int place, oa_task_t *other)
{
    CHECK_EQ(atomic_load(&dropped), 1);
    CHECK_EQ(atomic_load(&ran), 0);
    CHECK_EQ(oa_latch_destroy(&latch), 0);
    CHECK_EQ(oa_barrier_destroy(&barrier), 0);
    CHECK_EQ(oa_sem_destroy(&sem), 0);
    if (place == LATCH) { // its arrival is for good: one more opens it
        CHECK_EQ(oa_latch_wait_until(&latch, PAST), -ETIMEDOUT);
        CHECK_EQ(oa_latch_arrive(&latch), 0);
        CHECK_EQ(oa_latch_wait_until(&latch, PAST), 0);
    }
    if (place == BARRIER) // its arrival is taken back
        CHECK_EQ(oa_barrier_wait_until(&barrier, PAST), -ETIMEDOUT);
    if (other) {
        CHECK_EQ(oa_backpressure_destroy(&bp), -EBUSY);
        CHECK_EQ(oa_sem_release(&go_on), 0);
        join(other);
    }
    CHECK_EQ(oa_backpressure_destroy(&bp), 0);
    if (place == MUTEX)
        CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    CHECK_EQ(oa_mutex_destroy(&mutex), 0);
    CHECK_EQ(oa_sem_tryacquire(&sem), place == SEM ? -EAGAIN : 0);
}

static void by_handle(void *arg)
{
    (void)arg;
    for (int place = 0; place < PLACES; place++) {
        oa_task_t *task = NULL, *other;
        build(place, &other);
        CHECK_EQ(go(&task, NULL, place, coord), 0);
        CHECK_EQ(oa_cancel(task), 0);
        join(task); // 0: it was dropped
        check_left(place, other);
    }
}

static void by_group(void *arg)
{
    (void)arg;
    for (int place = 0; place < PLACES; place++) {
        oa_group_t group = OA_GROUP_INIT;
        oa_task_t *other;
        build(place, &other);
        CHECK_EQ(go(NULL, &group, place, coord), 0);
        CHECK_EQ(oa_group_cancel(&group), 0);
        CHECK_EQ(oa_group_wait(&group), 0);
        check_left(place, other);
    }
}

static void by_shutdown(void *arg)
{
    (void)arg;
    for (int place = 0; place < PLACES; place++) {
        oa_coord_t *other_coord;
        oa_task_t *other;
        build(place, &other);
        CHECK_EQ(oa_start(&other_coord, nothing, .max_workers = 1), 0);
        CHECK_EQ(go(NULL, NULL, place, other_coord), 0);
        CHECK_EQ(oa_shutdown(other_coord, OA_CANCEL), 0);
        CHECK_EQ(oa_wait(other_coord), 0);
        check_left(place, other);
    }
}

// One that is cancelled leaves its place to the next, and others keep theirs.
static void passes_on(void *arg)
{
    (void)arg;
    for (int place = BACKPRESSURE; place <= MUTEX; place++) {
        oa_task_t *tasks[4] = {NULL}, *other;
        build(place, &other);
        for (int i = 0; i < 4; i++)
            CHECK_EQ(oa_go(run, .bp = place == BACKPRESSURE ? &bp : NULL,
                           .sem = place == SEM ? &sem : NULL, .acq = place == MUTEX ? &mutex : NULL,
                           .task = &tasks[i], .coord = coord),
                     0);
        CHECK_EQ(oa_cancel(tasks[0]), 0);
        CHECK_EQ(oa_cancel(tasks[2]), 0);
        join(tasks[2]);
        join(tasks[0]);
        CHECK_EQ(atomic_load(&ran), 0);
        if (place == SEM)
            CHECK_EQ(oa_sem_release(&sem), 0);
        else if (place == MUTEX)
            CHECK_EQ(oa_mutex_unlock(&mutex), 0);
        else
            CHECK_EQ(oa_sem_release(&go_on), 0);
        join(tasks[1]);
        join(tasks[3]);
        CHECK_EQ(atomic_load(&ran), 2);
        if (other)
            join(other);
        CHECK_EQ(oa_backpressure_destroy(&bp), 0);
        CHECK_EQ(oa_sem_destroy(&sem), 0);
        CHECK_EQ(oa_mutex_destroy(&mutex), 0);
    }
}

// Into a cancelled group: it takes nothing, and the barrier hears of no arrival.
static void into_cancelled(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    oa_task_t *other, *task = NULL;
    build(BARRIER, &other);
    CHECK_EQ(oa_group_cancel(&group), 0);
    CHECK_EQ(go(&task, &group, BARRIER, coord), -ECANCELED);
    CHECK(task == NULL);
    check_left(BARRIER, other);
}

// A cancel after it was let in and before it began: it is dropped, and what it had is free.
static void when_let_in(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        oa_task_t *task = NULL, *other;
        build(MUTEX, &other);
        closed = PLACES; // somebody else may have it
        oa_task_t *holder = NULL;
        CHECK_EQ(oa_mutex_unlock(&mutex), 0);
        CHECK_EQ(oa_go(run, .acq = &mutex, .task = &holder, .coord = coord), 0);
        CHECK_EQ(go(&task, NULL, MUTEX, coord), 0);
        if (i % 3)
            oa_yield();
        (void)oa_cancel(task);
        join(task);
        join(holder);
        CHECK_EQ(atomic_load(&ran) + atomic_load(&dropped), 2);
        CHECK_EQ(oa_mutex_destroy(&mutex), 0);
        CHECK_EQ(oa_sem_tryacquire(&sem), 0);
        CHECK_EQ(oa_backpressure_destroy(&bp), 0);
    }
}

int main(void)
{
    everywhere(by_handle);
    everywhere(by_group);
    everywhere(passes_on);
    everywhere(into_cancelled);
    everywhere(when_let_in);
    if (!simulated()) // with one coordinator
        everywhere(by_shutdown);
    return 0;
}
