// SPDX-License-Identifier: BSD-2-Clause
// shutdown.c - OA_DRAIN runs what there is, OA_CANCEL ends it; what a second call returns.
// ctest: simulate
#include "support.h"

static atomic_int ran, dropped;
static oa_sem_t gate;
static oa_coord_t *other;

static void reset(void)
{
    atomic_store(&ran, 0);
    atomic_store(&dropped, 0);
    oa_sem_init(&gate, 0);
}

static void run(void *arg)
{
    (void)arg;
    atomic_fetch_add(&ran, 1);
}

static void drop(void *arg)
{
    (void)arg;
    atomic_fetch_add(&dropped, 1);
}

static void spawn_after_gate(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_acquire(&gate), 0);
    CHECK(!oa_cancelled());
    CHECK_EQ(oa_go(run, .drop = drop), 0);
    CHECK_EQ(oa_go(run, .drop = drop, .delay = OA_MILLISECOND), 0);
}

static void second_calls(oa_coord_t *c, int drain, int cancel)
{
    CHECK_EQ(oa_shutdown(c, OA_DRAIN), drain);
    CHECK_EQ(oa_shutdown(c, OA_CANCEL), cancel);
}

// Tasks may spawn on; outside is refused; delayed tasks run at their time.
static void drain(void)
{
    oa_coord_t *c;
    reset();
    CHECK_EQ(oa_start(&c, spawn_after_gate, .max_workers = 2), 0);
    int64_t before = oa_now();
    CHECK_EQ(oa_go(run, .drop = drop, .delay = 5 * OA_MILLISECOND, .coord = c), 0);
    CHECK_EQ(oa_shutdown(c, (oa_shutdown_t)0), -EINVAL);
    CHECK_EQ(oa_shutdown(c, (oa_shutdown_t)3), -EINVAL);
    CHECK_EQ(oa_shutdown(c, OA_DRAIN), 0);
    oa_task_t *task = (oa_task_t *)&gate;
    CHECK_EQ(oa_go(run, .drop = drop, .coord = c, .task = &task), -ESHUTDOWN);
    CHECK(task == NULL);
    CHECK_EQ(atomic_load(&dropped), 1);
    CHECK_EQ(oa_shutdown(c, OA_DRAIN), -EALREADY);
    CHECK_EQ(oa_sem_release(&gate), 0);
    CHECK_EQ(oa_wait(c), 0);
    CHECK(oa_now() - before >= 5 * OA_MILLISECOND);
    CHECK_EQ(atomic_load(&ran), 3);
    CHECK_EQ(atomic_load(&dropped), 1);
}

static void spawn_into_other(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_go(run, .drop = drop, .coord = other), -ESHUTDOWN);
}

// A task of another coordinator is outside too.
static void drain_from_other(void)
{
    reset();
    CHECK_EQ(oa_start(&other, spawn_after_gate), 0);
    CHECK_EQ(oa_shutdown(other, OA_DRAIN), 0);
    CHECK_EQ(oa_run(spawn_into_other), 0);
    CHECK_EQ(atomic_load(&dropped), 1);
    CHECK_EQ(oa_sem_release(&gate), 0);
    CHECK_EQ(oa_wait(other), 0);
    CHECK_EQ(atomic_load(&ran), 2);
}

static void cancel_other(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_shutdown(other, OA_CANCEL), 0);
    CHECK(!oa_cancelled()); // a task of another runtime is none of those
    CHECK_EQ(oa_sleep(0), 0);
    CHECK_EQ(oa_go(run, .drop = drop, .coord = other), -ESHUTDOWN);
    CHECK_EQ(oa_go(run, .drop = drop), 0);
    CHECK_EQ(oa_wait(other), 0);
}

static void is_cancelled(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_acquire(&gate), -ECANCELED);
}

static void cancel_from_other(void)
{
    reset();
    CHECK_EQ(oa_start(&other, is_cancelled, .max_workers = 1), 0);
    coord = other;
    UNTIL(parks() >= 1);
    CHECK_EQ(oa_run(cancel_other), 0);
    CHECK_EQ(atomic_load(&ran), 1);
    CHECK_EQ(atomic_load(&dropped), 1);
}

static void wait_cancelled(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_acquire(&gate), -ECANCELED);
    CHECK(oa_cancelled());
    CHECK_EQ(oa_go(run, .drop = drop), -ESHUTDOWN);
    atomic_fetch_add(&ran, 1);
}

// What has begun is cancelled, what has not is dropped, nothing is taken.
static void cancel(oa_shutdown_t first)
{
    oa_coord_t *c;
    reset();
    CHECK_EQ(oa_start(&c, wait_cancelled, .max_workers = 2), 0);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(oa_go(run, .drop = drop, .delay = OA_FOREVER / 4, .coord = c), 0);
    coord = c;
    UNTIL(parks() >= 1);
    if (first == OA_DRAIN)
        CHECK_EQ(oa_shutdown(c, OA_DRAIN), 0);
    CHECK_EQ(oa_shutdown(c, OA_CANCEL), 0);
    CHECK_EQ(oa_wait(c), 0);
    CHECK_EQ(atomic_load(&ran), 1);
    CHECK_EQ(atomic_load(&dropped), 21);
}

static void cancel_from_task(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++)
        CHECK_EQ(oa_go(run, .drop = drop, .delay = OA_SECOND * 1000), 0);
    CHECK(!oa_cancelled());
    CHECK_EQ(oa_shutdown(NULL, OA_CANCEL), 0); // the caller is cancelled too
    CHECK(oa_cancelled());
    CHECK_EQ(oa_sleep(0), -ECANCELED);
    second_calls(oa_coord(), -EALREADY, -EALREADY);
    CHECK_EQ(oa_go(run, .drop = drop), -ESHUTDOWN);
}

static void drain_from_task(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_shutdown(NULL, OA_DRAIN), 0);
    CHECK(!oa_cancelled());
    CHECK_EQ(oa_shutdown(NULL, OA_DRAIN), -EALREADY);
    CHECK_EQ(oa_go(run, .drop = drop), 0);
    CHECK_EQ(oa_go(run, .drop = drop, .coord = oa_coord()), 0);
}

static void drain_then_cancel(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_shutdown(NULL, OA_DRAIN), 0);
    CHECK_EQ(oa_shutdown(NULL, OA_CANCEL), 0);
    second_calls(NULL, -EALREADY, -EALREADY);
}

static void ends_of_run(void)
{
    for (int workers = 1; workers <= 2; workers++) {
        reset();
        CHECK_EQ(oa_run(cancel_from_task, .max_workers = workers), 0);
        CHECK_EQ(atomic_load(&ran), 0);
        CHECK_EQ(atomic_load(&dropped), 11);
        reset();
        CHECK_EQ(oa_run(drain_from_task, .max_workers = workers), 0);
        CHECK_EQ(atomic_load(&ran), 2);
        CHECK_EQ(atomic_load(&dropped), 0);
        CHECK_EQ(oa_run(drain_then_cancel, .max_workers = workers), 0);
    }
}

int main(void)
{
    ends_of_run();
    if (simulated())
        return 0; // in which nobody is outside
    drain();
    drain_from_other();
    cancel_from_other();
    cancel(OA_CANCEL);
    cancel(OA_DRAIN);
    return 0;
}
