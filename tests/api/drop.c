// SPDX-License-Identifier: BSD-2-Clause
// drop.c - after an oa_go either the task runs or its drop does, exactly once, in every way.
// ctest: simulate
#include "support.h"

enum { TASKS = 64 };

static atomic_int fate[TASKS]; // + 1 for each run, + 100 for each drop

static void run(void *arg)
{
    atomic_fetch_add(&fate[*(int *)arg], 1);
}

static void drop(void *arg)
{
    atomic_fetch_add(&fate[*(int *)arg], 100);
}

static void reset(void)
{
    for (int i = 0; i < TASKS; i++)
        atomic_store(&fate[i], 0);
}

static void expect(int each)
{
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(atomic_load(&fate[i]), each);
}

static void expect_one_of_two(void)
{
    for (int i = 0; i < TASKS; i++)
        CHECK(atomic_load(&fate[i]) == 1 || atomic_load(&fate[i]) == 100);
}

static void runs(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    reset();
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(oa_go(run, oa_val(i), .drop = drop, .group = &group, .coord = coord,
                       .delay = i % 2 * OA_MICROSECOND),
                 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    expect(1);
}

// A delayed task that is cancelled never runs; its join is 0 all the same.
static void cancelled_one_by_one(void *arg)
{
    (void)arg;
    oa_task_t *tasks[TASKS];
    reset();
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(oa_go(run, oa_val(i), .drop = drop, .coord = coord, .delay = OA_SECOND * 1000,
                       .task = &tasks[i]),
                 0);
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(oa_cancel(tasks[i]), 0);
    for (int i = 0; i < TASKS; i++)
        join(tasks[i]);
    expect(100);
}

static void cancelled_as_a_group(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    reset();
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(oa_go(run, oa_val(i), .drop = drop, .coord = coord, .delay = OA_SECOND * 1000,
                       .group = &group),
                 0);
    CHECK_EQ(oa_group_cancel(&group), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    expect(100);
}

// A cancel that races with the beginning: one or the other, never both, never none.
static void races_with_the_beginning(void *arg)
{
    (void)arg;
    oa_task_t *tasks[TASKS];
    for (int round = 0; round < 20; round++) {
        reset();
        for (int i = 0; i < TASKS; i++)
            CHECK_EQ(oa_go(run, oa_val(i), .drop = drop, .coord = coord, .task = &tasks[i]), 0);
        for (int i = 0; i < TASKS; i++) {
            int error = oa_cancel(tasks[i]);
            CHECK(error == 0 || error == -ESRCH);
        }
        for (int i = 0; i < TASKS; i++)
            join(tasks[i]);
        expect_one_of_two();
    }
}

// With one worker, what the running task has spawned cannot begin before it waits.
static void cancelled_before_begin(void *arg)
{
    (void)arg;
    oa_task_t *tasks[TASKS];
    reset();
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(oa_go(run, oa_val(i), .drop = drop, .task = &tasks[i]), 0);
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(oa_cancel(tasks[i]), 0);
    for (int i = 0; i < TASKS; i++)
        join(tasks[i]);
    expect(100);
}

static void refused(void *arg)
{
    (void)arg;
    reset();
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(oa_go(run, oa_val(i), .drop = drop, .coord = coord, .delay = -1), -EINVAL);
    expect(100);
}

static void shut_down(void *arg)
{
    (void)arg;
    reset();
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(oa_go(run, oa_val(i), .drop = drop, .delay = i % 2 * OA_SECOND * 1000), 0);
    CHECK_EQ(oa_shutdown(NULL, OA_CANCEL), 0);
}

static int *allocate(int value)
{
    int *p = malloc(sizeof *p);
    CHECK(p != NULL);
    *p = value;
    return p;
}

static void run_and_free(void *arg)
{
    run(arg);
    free(arg);
}

static void drop_and_free(void *arg)
{
    drop(arg);
    free(arg);
}

// Who owns memory through the argument loses none (the leak checker sees to it).
static void owns_memory(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    reset();
    for (int i = 0; i < TASKS; i++) {
        int error = oa_go(run_and_free, allocate(i), .drop = drop_and_free, .group = &group,
                          .coord = coord, .delay = (i % 3 - 1) * OA_MICROSECOND);
        CHECK_EQ(error, i % 3 ? 0 : -EINVAL);
    }
    oa_group_cancel(&group);
    CHECK_EQ(oa_group_wait(&group), 0);
    expect_one_of_two();
}

static void drop_and_spawn(void *arg)
{
    drop(arg);
    // No lock of the library is held: it may spawn and release.
    oa_sem_t sem = OA_SEM_INIT(0);
    CHECK_EQ(oa_sem_release(&sem), 0);
    CHECK_EQ(oa_go(run, oa_val(*(int *)arg), .coord = coord), 0);
}

static void drop_may_call(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    reset();
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(oa_go(run, oa_val(i), .drop = drop_and_spawn, .coord = coord,
                       .delay = OA_SECOND * 1000, .group = &group),
                 0);
    CHECK_EQ(oa_group_cancel(&group), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    for (int i = 0; i < TASKS; i++)
        UNTIL(atomic_load(&fate[i]) == 101);
}

int main(void)
{
    everywhere(runs);
    everywhere(cancelled_one_by_one);
    everywhere(cancelled_as_a_group);
    everywhere(races_with_the_beginning);
    everywhere(refused);
    for (int workers = 1; workers <= 2; workers++) {
        CHECK_EQ(oa_run(shut_down, .max_workers = workers), 0);
        expect_one_of_two();
    }
    everywhere(owns_memory);
    everywhere(drop_may_call);
    if (simulated())
        return 0; // in which any call may let a spawned task begin
    CHECK_EQ(oa_run(cancelled_before_begin, .max_workers = 1), 0);
    CHECK_EQ(oa_run(shut_down, .max_workers = 1), 0);
    expect(100);
    return 0;
}
