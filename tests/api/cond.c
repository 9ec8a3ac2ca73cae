// SPDX-License-Identifier: BSD-2-Clause
// cond.c - the condition variable among tasks and plain threads: the mutex is given up and taken
// back in one step, signals go in order, broken waits come back with the mutex.
// ctest: simulate
#include "support.h"

static oa_mutex_t mutex;
static oa_cond_t changed;

static void take(void)
{
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
}

static void give(void)
{
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
}

static void reset(void)
{
    oa_mutex_init(&mutex);
    oa_cond_init(&changed);
}

static void all_over(void)
{
    CHECK_EQ(oa_cond_destroy(&changed), 0);
    CHECK_EQ(oa_mutex_destroy(&mutex), 0);
}

static void errors(void *arg)
{
    (void)arg;
    oa_cond_t cond = OA_COND_INIT;
    oa_mutex_t own = OA_MUTEX_INIT;
    CHECK_EQ(oa_cond_wait(NULL, &own), -EINVAL);
    CHECK_EQ(oa_cond_wait(&cond, NULL), -EINVAL);
    CHECK_EQ(oa_cond_wait_until(NULL, &own, LATE), -EINVAL);
    CHECK_EQ(oa_cond_wait_until(&cond, NULL, LATE), -EINVAL);
    CHECK_EQ(oa_cond_signal(NULL), -EINVAL);
    CHECK_EQ(oa_cond_broadcast(NULL), -EINVAL);
    CHECK_EQ(oa_cond_destroy(NULL), -EINVAL);
    CHECK_EQ(oa_cond_wait(&cond, &own), -EPERM);
    CHECK_EQ(oa_cond_wait_until(&cond, &own, PAST), -EPERM);
    CHECK_EQ(oa_mutex_destroy(&own), 0);
    CHECK_EQ(oa_cond_destroy(&cond), 0);
}

// A signal that nobody waits for is for nobody.
static void deadlines(void *arg)
{
    (void)arg;
    reset();
    CHECK_EQ(oa_cond_signal(&changed), 0);
    CHECK_EQ(oa_cond_broadcast(&changed), 0);
    take();
    CHECK_EQ(oa_cond_wait_until(&changed, &mutex, PAST), -ETIMEDOUT);
    CHECK_EQ(oa_cond_wait_until(&changed, &mutex, 0), -ETIMEDOUT);
    CHECK_EQ(oa_mutex_lock(&mutex), -EDEADLK); // it is held
    int64_t soon = SOON;
    CHECK_EQ(oa_cond_wait_until(&changed, &mutex, soon), -ETIMEDOUT);
    CHECK(oa_now() >= soon);
    CHECK_EQ(oa_mutex_lock(&mutex), -EDEADLK);
    give();
    all_over();
}

// ---- A queue that is empty or full most of the time --------------------------------------------

enum { ITEMS = 300, ENDS = 3, ROOM = 2 };

static oa_cond_t filled, emptied;
static int queued, given, taken;
static bool inside; // under the mutex: is it one at a time?

static void enter(void)
{
    CHECK(!inside);
    inside = true;
}

static void leave(void)
{
    CHECK(inside);
    inside = false;
}

static void wait_for(oa_cond_t *cond, int turn)
{
    leave();
    CHECK_EQ(turn % 2 ? oa_cond_wait(cond, &mutex) : oa_cond_wait_until(cond, &mutex, LATE), 0);
    enter();
}

static void put(void *arg)
{
    (void)arg;
    for (int i = 0; i < ITEMS; i++) {
        take();
        enter();
        while (queued == ROOM)
            wait_for(&emptied, i);
        queued++;
        given++;
        if (i % 3 == 0)
            oa_yield(); // with the mutex held
        leave();
        CHECK_EQ(i % 5 ? oa_cond_signal(&filled) : oa_cond_broadcast(&filled), 0);
        give();
    }
}

static void get(void *arg)
{
    (void)arg;
    for (int i = 0; i < ITEMS; i++) {
        take();
        enter();
        while (queued == 0)
            wait_for(&filled, i);
        queued--;
        taken++;
        leave();
        give();
        CHECK_EQ(oa_cond_signal(&emptied), 0); // without it
    }
}

static void queue(void *arg)
{
    (void)arg;
    struct thread threads[2];
    oa_group_t group = OA_GROUP_INIT;
    reset();
    oa_cond_init(&filled);
    oa_cond_init(&emptied);
    queued = given = taken = 0;
    thread_start(&threads[0], put, NULL);
    thread_start(&threads[1], get, NULL);
    for (int i = 0; i < ENDS; i++) {
        CHECK_EQ(oa_go(put, NULL, .group = &group, .coord = coord), 0);
        CHECK_EQ(oa_go(get, NULL, .group = &group, .coord = coord, .block = i == 0), 0);
    }
    CHECK_EQ(oa_group_wait(&group), 0);
    thread_join(&threads[0]);
    thread_join(&threads[1]);
    CHECK_EQ(queued, 0);
    CHECK_EQ(given, (ENDS + 1) * ITEMS);
    CHECK_EQ(taken, (ENDS + 1) * ITEMS);
    CHECK_EQ(oa_cond_destroy(&filled), 0);
    CHECK_EQ(oa_cond_destroy(&emptied), 0);
    all_over();
}

// ---- Signals ------------------------------------------------------------------------------------

enum { QUEUE = 6 };

static int order[QUEUE];
static int waiting, served;

static void wait_in_line(void *arg)
{
    take();
    waiting++;
    CHECK_EQ(oa_cond_wait(&changed, &mutex), 0);
    order[served++] = *(int *)arg;
    give();
}

static void fill_line(oa_group_t *group)
{
    reset();
    waiting = served = 0;
    for (int i = 0; i < QUEUE; i++) {
        bool there = false;
        CHECK_EQ(oa_go(wait_in_line, oa_val(i), .group = group, .coord = coord), 0);
        while (!there) { // who has counted itself stands in the line when the mutex is free
            oa_yield();
            take();
            there = waiting > i;
            give();
        }
    }
    join(spawn(nothing, NULL)); // on one worker: the last one has parked
    CHECK_EQ(oa_cond_destroy(&changed), -EBUSY);
}

static int served_now(void)
{
    take();
    int now = served;
    give();
    return now;
}

static void one_by_one(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    fill_line(&group);
    for (int i = 0; i < QUEUE; i++) {
        CHECK_EQ(oa_cond_signal(&changed), 0);
        UNTIL(served_now() == i + 1);
        for (int k = 0; k < 5; k++)
            oa_yield();
        CHECK_EQ(served_now(), i + 1);
    }
    CHECK_EQ(oa_group_wait(&group), 0);
    for (int i = 0; i < QUEUE; i++)
        CHECK_EQ(order[i], i);
    all_over();
}

static void all_at_once(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    fill_line(&group);
    CHECK_EQ(oa_cond_broadcast(&changed), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(served, QUEUE);
    all_over();
}

// On one worker they come back in the order in which they have waited, whoever lets them go.
static void in_order(void *arg)
{
    all_at_once(arg);
    for (int i = 0; i < QUEUE; i++)
        CHECK_EQ(order[i], i);
}

static void all_in_order(void)
{
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = 1), 0);
    in_order(NULL);
    CHECK_EQ(oa_wait(coord), 0);
    CHECK_EQ(oa_start(&coord, in_order, .max_workers = 1), 0);
    CHECK_EQ(oa_wait(coord), 0);
}

// A task that has the mutex as a gate holds it as if it had locked it.
static void behind_a_gate(void *arg)
{
    (void)arg;
    waiting++;
    CHECK_EQ(oa_cond_wait(&changed, &mutex), 0);
    CHECK_EQ(oa_mutex_lock(&mutex), -EDEADLK);
    served++;
}

static void gate(void *arg)
{
    (void)arg;
    oa_task_t *task;
    reset();
    waiting = served = 0;
    CHECK_EQ(oa_go(behind_a_gate, NULL, .acq = &mutex, .task = &task, .coord = coord), 0);
    bool there = false;
    while (!there) {
        oa_yield();
        take();
        there = waiting == 1;
        give();
    }
    CHECK_EQ(oa_cond_signal(&changed), 0);
    join(task);
    CHECK_EQ(served, 1);
    all_over();
}

// ---- Cancelled ----------------------------------------------------------------------------------

static void wait_cancelled(void *arg)
{
    (void)arg;
    take();
    waiting++;
    CHECK_EQ(oa_cond_wait(&changed, &mutex), -ECANCELED);
    CHECK_EQ(oa_mutex_lock(&mutex), -EDEADLK); // it is held
    CHECK_EQ(oa_cond_wait_until(&changed, &mutex, LATE), -ECANCELED);
    CHECK_EQ(oa_mutex_lock(&mutex), -EDEADLK);
    served++;
    CHECK(oa_shield(true) == false);
    CHECK_EQ(oa_cond_wait(&changed, &mutex), 0);
    CHECK_EQ(oa_cond_signal(&changed), 0); // never waits: works as ever
    served++;
    give();
}

static void cancelled(void *arg)
{
    (void)arg;
    reset();
    waiting = served = 0;
    oa_task_t *task = spawn(wait_cancelled, NULL);
    UNTIL(oa_cond_destroy(&changed) == -EBUSY);
    take();
    CHECK_EQ(oa_cancel(task), 0); // it comes back when it gets the mutex
    for (int i = 0; i < 5; i++)
        oa_yield();
    CHECK_EQ(served, 0);
    give();
    UNTIL(served_now() == 1);
    CHECK_EQ(oa_cond_signal(&changed), 0);
    join(task);
    CHECK_EQ(served, 2);
    all_over();
}

// ---- The last touch -----------------------------------------------------------------------------

struct shared {
    oa_mutex_t mutex;
    oa_cond_t changed;
    bool told;
};

static void tell(void *arg)
{
    struct shared *shared = arg;
    CHECK_EQ(oa_mutex_lock(&shared->mutex), 0);
    shared->told = true;
    CHECK_EQ(oa_cond_signal(&shared->changed), 0);
    CHECK_EQ(oa_mutex_unlock(&shared->mutex), 0);
}

// Who was told destroys both at once.
static void last_touch(void *arg)
{
    (void)arg;
    for (int i = 0; i < 300; i++) {
        struct shared *shared = calloc(1, sizeof *shared); // all-zero bytes are good
        CHECK(shared != NULL);
        CHECK_EQ(oa_mutex_lock(&shared->mutex), 0);
        CHECK_EQ(oa_go(tell, shared, .coord = coord), 0);
        while (!shared->told)
            CHECK_EQ(oa_cond_wait(&shared->changed, &shared->mutex), 0);
        CHECK_EQ(oa_mutex_unlock(&shared->mutex), 0);
        CHECK_EQ(oa_cond_destroy(&shared->changed), 0);
        CHECK_EQ(oa_mutex_destroy(&shared->mutex), 0);
        memset(shared, 0xee, sizeof *shared);
        free(shared);
    }
}

int main(void)
{
    everywhere(errors);
    everywhere(deadlines);
    everywhere(one_by_one);
    everywhere(all_at_once);
    if (!simulated()) // in which any call may let another task run
        all_in_order();
    everywhere(gate);
    everywhere(cancelled);
    everywhere(last_touch);
    beside(queue, 1);
    beside(queue, 2);
    return 0;
}
