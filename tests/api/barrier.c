// SPDX-License-Identifier: BSD-2-Clause
// barrier.c - the cyclic barrier: rounds of n, one of each told that it was the last, arrivals
// taken back.
// ctest: simulate
#include "support.h"

enum { SIZE = 5, ROUNDS = 100 };

static oa_barrier_t barrier;
static atomic_int lasts, waiting;
static int work[SIZE]; // each one's own, read by all behind the barrier

static void alone(void *arg)
{
    (void)arg;
    oa_barrier_t local = OA_BARRIER_INIT(1);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(oa_barrier_wait(&local), 1);
        CHECK_EQ(oa_barrier_wait_until(&local, PAST), 1);
    }
    CHECK_EQ(oa_barrier_destroy(&local), 0);
}

static void errors(void *arg)
{
    (void)arg;
    oa_barrier_t none = OA_BARRIER_INIT(0);
    CHECK_EQ(oa_barrier_wait(&none), -EINVAL);
    CHECK_EQ(oa_barrier_wait_until(&none, LATE), -EINVAL);
    CHECK_EQ(oa_barrier_wait(NULL), -EINVAL);
    CHECK_EQ(oa_barrier_wait_until(NULL, LATE), -EINVAL);
    CHECK_EQ(oa_barrier_destroy(NULL), -EINVAL);
}

static void arrive_once(void *arg)
{
    (void)arg;
    int err = oa_barrier_wait(&barrier);
    CHECK(err == 0 || err == 1);
    atomic_fetch_add(&lasts, err);
}

// A wait that has timed out is no arrival: two more are needed, not one.
static void times_out(void *arg)
{
    (void)arg;
    oa_barrier_init(&barrier, 2);
    atomic_store(&lasts, 0);
    CHECK_EQ(oa_barrier_wait_until(&barrier, PAST), -ETIMEDOUT);
    CHECK_EQ(oa_barrier_wait_until(&barrier, 0), -ETIMEDOUT);
    int64_t soon = SOON;
    CHECK_EQ(oa_barrier_wait_until(&barrier, soon), -ETIMEDOUT);
    CHECK(oa_now() >= soon);
    CHECK_EQ(oa_barrier_destroy(&barrier), 0);
    oa_task_t *task = spawn(arrive_once, NULL);
    UNTIL(oa_barrier_destroy(&barrier) == -EBUSY);
    CHECK_EQ(oa_barrier_wait_until(&barrier, PAST), 1); // need not wait
    join(task);
    CHECK_EQ(atomic_load(&lasts), 0);
    CHECK_EQ(oa_barrier_destroy(&barrier), 0);
}

static void be_cancelled(void *arg)
{
    (void)arg;
    oa_barrier_t one = OA_BARRIER_INIT(1);
    CHECK_EQ(oa_barrier_wait(&barrier), -ECANCELED);
    CHECK_EQ(oa_barrier_wait(&one), -ECANCELED); // even one that need not wait
    CHECK_EQ(oa_barrier_wait_until(&one, LATE), -ECANCELED);
    oa_shield(true);
    CHECK_EQ(oa_barrier_wait(&one), 1);
    atomic_fetch_add(&lasts, 1);
}

// So is one that was cancelled.
static void cancelled(void *arg)
{
    (void)arg;
    oa_barrier_init(&barrier, 2);
    atomic_store(&lasts, 0);
    oa_task_t *task = spawn(be_cancelled, NULL);
    UNTIL(oa_barrier_destroy(&barrier) == -EBUSY);
    CHECK_EQ(oa_cancel(task), 0);
    join(task);
    CHECK_EQ(atomic_load(&lasts), 1);
    CHECK_EQ(oa_barrier_destroy(&barrier), 0);
    CHECK_EQ(oa_barrier_wait_until(&barrier, PAST), -ETIMEDOUT);
}

static void member(void *arg)
{
    int self = (int)(intptr_t)arg;
    for (int round = 0; round < ROUNDS; round++) {
        work[self] = round;
        int err = round % 2 ? oa_barrier_wait(&barrier) : oa_barrier_wait_until(&barrier, LATE);
        CHECK(err == 0 || err == 1);
        atomic_fetch_add(&lasts, err);
        for (int i = 0; i < SIZE; i++)
            CHECK_EQ(work[i], round); // all have come, and none has gone on to the next round
        CHECK(oa_barrier_wait(&barrier) >= 0);
    }
}

// Rounds of tasks and plain threads.
static void rounds(void *arg)
{
    (void)arg;
    struct thread thread;
    oa_group_t group = OA_GROUP_INIT;
    oa_barrier_init(&barrier, SIZE);
    atomic_store(&lasts, 0);
    thread_start(&thread, member, (void *)0);
    for (int i = 1; i < SIZE - 1; i++)
        CHECK_EQ(oa_go(member, (void *)(intptr_t)i, .group = &group, .coord = coord), 0);
    member((void *)(intptr_t)(SIZE - 1));
    CHECK_EQ(oa_group_wait(&group), 0);
    thread_join(&thread);
    CHECK_EQ(atomic_load(&lasts), ROUNDS);
    CHECK_EQ(oa_barrier_destroy(&barrier), 0);
}

static void meet(void *arg)
{
    (void)oa_barrier_wait(arg);
}

// Who has gone on may leave the scope of the barrier at once, last or not.
static void last_touch(void *arg)
{
    (void)arg;
    for (int i = 0; i < 300; i++) {
        oa_barrier_t *local = malloc(sizeof *local);
        oa_barrier_init(local, 2);
        CHECK_EQ(oa_go(meet, local, .coord = coord), 0);
        CHECK(oa_barrier_wait(local) >= 0);
        CHECK_EQ(oa_barrier_destroy(local), 0);
        memset(local, 0xee, sizeof *local);
        free(local);
    }
}

static void meet_until(void *arg)
{
    oa_barrier_t *local = arg;
    int err = oa_barrier_wait_until(local, oa_after(20 * OA_MICROSECOND));
    if (err == -ETIMEDOUT)
        atomic_fetch_add(&waiting, 1);
    else
        CHECK(err == 0 || err == 1);
}

// Also while another one of the round, whose time was up, has still to find out that it is full.
static void last_touch_beside_broken(void *arg)
{
    (void)arg;
    for (int i = 0; i < 300; i++) {
        oa_barrier_t *local = malloc(sizeof *local);
        oa_barrier_init(local, 2);
        atomic_store(&waiting, 0);
        oa_task_t *task = spawn(meet_until, local);
        int err = oa_barrier_wait_until(local, oa_after(40 * OA_MICROSECOND));
        CHECK(err == 0 || err == 1 || err == -ETIMEDOUT);
        if (err >= 0) {
            memset(local, 0xee, sizeof *local);
            free(local);
        }
        join(task);
        CHECK_EQ(atomic_load(&waiting), err == -ETIMEDOUT);
        if (err < 0)
            free(local);
    }
}

int main(void)
{
    everywhere(alone);
    everywhere(errors);
    everywhere(times_out);
    everywhere(cancelled);
    everywhere(rounds);
    everywhere(last_touch);
    everywhere(last_touch_beside_broken);
    return 0;
}
