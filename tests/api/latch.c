// SPDX-License-Identifier: BSD-2-Clause
// latch.c - the latch: opens when so many have arrived, and stays open.
// ctest: simulate
#include "support.h"

enum { WAITERS = 8, ARRIVALS = 5 };

static oa_latch_t latch;
static atomic_int passed;

static void counts(void *arg)
{
    (void)arg;
    oa_latch_t local = OA_LATCH_INIT(2);
    CHECK_EQ(oa_latch_wait_until(&local, PAST), -ETIMEDOUT);
    CHECK_EQ(oa_latch_wait_until(&local, 0), -ETIMEDOUT);
    int64_t soon = SOON;
    CHECK_EQ(oa_latch_wait_until(&local, soon), -ETIMEDOUT);
    CHECK(oa_now() >= soon);
    CHECK_EQ(oa_latch_arrive(&local), 0);
    CHECK_EQ(oa_latch_wait_until(&local, PAST), -ETIMEDOUT); // a wait is no arrival
    CHECK_EQ(oa_latch_arrive(&local), 0);
    CHECK_EQ(oa_latch_wait(&local), 0);
    CHECK_EQ(oa_latch_wait_until(&local, PAST), 0);
    CHECK_EQ(oa_latch_arrive(&local), 0); // open: does nothing
    CHECK_EQ(oa_latch_wait_until(&local, LATE), 0);
    CHECK_EQ(oa_latch_destroy(&local), 0);
    CHECK_EQ(oa_latch_wait(&local), 0); // destroy only checks
}

static void begins_open(void *arg)
{
    (void)arg;
    oa_latch_t local = OA_LATCH_INIT(0);
    CHECK_EQ(oa_latch_wait(&local), 0);
    CHECK_EQ(oa_latch_arrive(&local), 0);
    oa_latch_init(&local, 1);
    CHECK_EQ(oa_latch_wait_until(&local, PAST), -ETIMEDOUT);
    CHECK_EQ(oa_latch_destroy(&local), 0);
}

static void errors(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_latch_arrive(NULL), -EINVAL);
    CHECK_EQ(oa_latch_wait(NULL), -EINVAL);
    CHECK_EQ(oa_latch_wait_until(NULL, LATE), -EINVAL);
    CHECK_EQ(oa_latch_destroy(NULL), -EINVAL);
}

static int plain; // written before the arrivals, read behind the latch

static void pass(void *arg)
{
    CHECK_EQ(arg ? oa_latch_wait_until(&latch, LATE) : oa_latch_wait(&latch), 0);
    CHECK_EQ(plain, 1);
    atomic_fetch_add(&passed, 1);
}

static void arrive(void *arg)
{
    CHECK_EQ(oa_latch_arrive(arg), 0);
}

// Nobody passes before the last arrival, all do after it: tasks and a plain thread.
static void opens(void *arg)
{
    (void)arg;
    struct thread thread;
    oa_group_t group = OA_GROUP_INIT;
    oa_latch_init(&latch, ARRIVALS);
    atomic_store(&passed, 0);
    plain = 0;
    thread_start(&thread, pass, NULL);
    for (int i = 0; i < WAITERS; i++)
        CHECK_EQ(oa_go(pass, i % 2 ? &latch : NULL, .group = &group, .coord = coord), 0);
    UNTIL(oa_latch_destroy(&latch) == -EBUSY);
    for (int i = 1; i < ARRIVALS; i++)
        CHECK_EQ(oa_latch_arrive(&latch), 0);
    for (int i = 0; i < 20; i++)
        oa_yield();
    CHECK_EQ(atomic_load(&passed), 0);
    CHECK_EQ(oa_latch_destroy(&latch), -EBUSY);
    plain = 1;
    CHECK_EQ(oa_latch_arrive(&latch), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    thread_join(&thread);
    CHECK_EQ(atomic_load(&passed), WAITERS + 1);
    CHECK_EQ(oa_latch_destroy(&latch), 0);
}

static void pass_cancelled(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_latch_wait(&latch), -ECANCELED);
    oa_latch_t open = OA_LATCH_INIT(0);
    CHECK_EQ(oa_latch_wait(&open), -ECANCELED); // even one that need not wait
    CHECK_EQ(oa_latch_wait_until(&open, LATE), -ECANCELED);
    CHECK_EQ(oa_latch_arrive(&open), 0); // never waits: works as ever
    CHECK(oa_shield(true) == false);
    CHECK_EQ(oa_latch_wait(&open), 0);
    atomic_fetch_add(&passed, 1);
}

static void cancelled(void *arg)
{
    (void)arg;
    oa_latch_init(&latch, 1);
    atomic_store(&passed, 0);
    oa_task_t *task = spawn(pass_cancelled, NULL);
    UNTIL(oa_latch_destroy(&latch) == -EBUSY);
    CHECK_EQ(oa_cancel(task), 0);
    join(task);
    CHECK_EQ(atomic_load(&passed), 1);
    CHECK_EQ(oa_latch_destroy(&latch), 0);
    CHECK_EQ(oa_latch_wait_until(&latch, PAST), -ETIMEDOUT);
}

// Who has passed may leave the scope of the latch at once.
static void last_touch(void *arg)
{
    (void)arg;
    for (int i = 0; i < 300; i++) {
        oa_latch_t *local = malloc(sizeof *local);
        oa_latch_init(local, 1);
        CHECK_EQ(oa_go(arrive, local, .coord = coord), 0);
        CHECK_EQ(oa_latch_wait(local), 0);
        CHECK_EQ(oa_latch_destroy(local), 0);
        memset(local, 0xee, sizeof *local);
        free(local);
    }
}

int main(void)
{
    everywhere(counts);
    everywhere(begins_open);
    everywhere(errors);
    everywhere(opens);
    everywhere(cancelled);
    everywhere(last_touch);
    return 0;
}
