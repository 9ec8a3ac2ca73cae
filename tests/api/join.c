// SPDX-License-Identifier: BSD-2-Clause
// join.c - handles: joined or detached once, stale ever after.
// ctest: simulate
#include "support.h"

static oa_sem_t gate;
static oa_task_t *self;

static void pass_gate(void *arg)
{
    CHECK_EQ(oa_sem_acquire(&gate), 0);
    if (arg)
        *(int *)arg = 42;
}

static void write_42(void *arg)
{
    *(int *)arg = 42;
}

static void stale(oa_task_t *task)
{
    CHECK_EQ(oa_join(task), -ESRCH);
    CHECK_EQ(oa_join_until(task, PAST), -ESRCH);
    CHECK_EQ(oa_join_until(task, LATE), -ESRCH);
    CHECK_EQ(oa_detach(task), -ESRCH);
    CHECK_EQ(oa_cancel(task), -ESRCH);
    CHECK_EQ(oa_task_id(task), 0);
    CHECK(oa_task_name(task) == NULL);
}

// After the join what the task wrote is seen; then the handle is stale.
static void joins(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        int value = 0; // in this frame: the end of the task must not touch it after the join
        oa_task_t *task = spawn(write_42, &value);
        if (i % 2)
            oa_yield();
        join(task);
        CHECK_EQ(value, 42);
        stale(task);
    }
    stale(NULL);
}

static void deadlines(void *arg)
{
    (void)arg;
    int value = 0;
    oa_sem_init(&gate, 0);
    oa_task_t *task = spawn(pass_gate, &value);
    CHECK_EQ(oa_join_until(task, PAST), -ETIMEDOUT);
    CHECK_EQ(oa_join_until(task, 0), -ETIMEDOUT);
    int64_t soon = SOON;
    CHECK_EQ(oa_join_until(task, soon), -ETIMEDOUT);
    CHECK(oa_now() >= soon);
    CHECK(oa_task_id(task) != 0); // the handle is still ours
    CHECK_EQ(oa_sem_release(&gate), 0);
    CHECK_EQ(oa_join_until(task, LATE), 0);
    CHECK_EQ(value, 42);
    stale(task);
    // An ended one is joined at once, also with a deadline in the past.
    task = spawn(write_42, &value);
    int result;
    UNTIL((result = oa_join_until(task, PAST)) != -ETIMEDOUT);
    CHECK_EQ(result, 0);
    stale(task);
}

static void join_self(void *arg)
{
    oa_task_t *task = *(oa_task_t **)arg;
    CHECK_EQ(oa_join(task), -EDEADLK);
    CHECK_EQ(oa_join_until(task, PAST), -EDEADLK);
    CHECK_EQ(oa_join_until(task, LATE), -EDEADLK);
}

static void joining_oneself(void *arg)
{
    (void)arg;
    oa_task_t *task = NULL;
    CHECK_EQ(oa_go(join_self, &task, .task = &task, .coord = coord), 0);
    join(task);
}

static void join_it(void *arg)
{
    CHECK_EQ(oa_join(arg), 0);
}

static void second_joiner(void *arg)
{
    (void)arg;
    oa_sem_init(&gate, 0);
    oa_task_t *task = spawn(pass_gate, NULL);
    oa_task_t *joiner = spawn(join_it, task);
    int result;
    UNTIL((result = oa_join_until(task, PAST)) != -ETIMEDOUT);
    CHECK_EQ(result, -EBUSY);
    CHECK_EQ(oa_join(task), -EBUSY);
    CHECK_EQ(oa_join_until(task, LATE), -EBUSY);
    CHECK_EQ(oa_detach(task), -EBUSY);
    CHECK(oa_task_id(task) != 0);
    CHECK_EQ(oa_sem_release(&gate), 0);
    join(joiner);
    stale(task);
}

// A joiner that gave up leaves the handle to the next.
static void joiner_gives_up(void *arg)
{
    (void)arg;
    oa_sem_init(&gate, 0);
    oa_task_t *task = spawn(pass_gate, NULL);
    CHECK_EQ(oa_join_until(task, SOON), -ETIMEDOUT);
    oa_task_t *joiner = spawn(join_it, task);
    int result;
    UNTIL((result = oa_join_until(task, PAST)) != -ETIMEDOUT);
    CHECK_EQ(result, -EBUSY);
    CHECK_EQ(oa_sem_release(&gate), 0);
    join(joiner);
}

static void detaches(void *arg)
{
    (void)arg;
    int value = 0;
    oa_group_t group = OA_GROUP_INIT;
    oa_task_t *task;
    oa_sem_init(&gate, 0);
    CHECK_EQ(oa_go(pass_gate, &value, .task = &task, .group = &group, .coord = coord), 0);
    CHECK_EQ(oa_detach(task), 0);
    CHECK_EQ(oa_join(task), -ESRCH);
    CHECK_EQ(oa_detach(task), -ESRCH);
    CHECK_EQ(oa_sem_release(&gate), 0);
    CHECK_EQ(oa_group_wait(&group), 0); // it runs on
    CHECK_EQ(value, 42);
    // One that has ended.
    CHECK_EQ(oa_go(write_42, &value, .task = &task, .group = &group, .coord = coord), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(oa_detach(task), 0);
    UNTIL(oa_task_id(task) == 0);
    stale(task);
}

static void keep_self(void *arg)
{
    (void)arg;
    self = oa_self();
    CHECK(self != NULL);
    CHECK(oa_task_id(self) != 0);
    oa_yield();
    CHECK(oa_self() == self);
    CHECK_EQ(oa_join(self), -EDEADLK); // although nobody may join it
    CHECK_EQ(oa_join_until(self, LATE), -EDEADLK);
    CHECK_EQ(oa_detach(self), -ESRCH);
}

// What oa_self gave is stale when the task has ended, and stays so when its memory is used again.
static void self_goes_stale(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    CHECK_EQ(oa_go(keep_self, .group = &group, .coord = coord), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    oa_task_t *old = self;
    UNTIL(oa_task_id(old) == 0);
    for (int i = 0; i < 100; i++) {
        oa_task_t *task = spawn(pass_gate, NULL);
        stale(old);
        CHECK_EQ(oa_sem_release(&gate), 0);
        join(task);
        stale(old);
    }
}

// A task that has ended keeps number and name until it is joined.
static void ended_but_not_joined(void *arg)
{
    (void)arg;
    int value = 0;
    oa_group_t group = OA_GROUP_INIT;
    oa_task_t *task;
    CHECK_EQ(oa_go(write_42, &value, .task = &task, .group = &group, .name = "one", .coord = coord),
             0);
    CHECK_EQ(oa_group_wait(&group), 0);
    UNTIL(oa_cancel(task) == -ESRCH);
    CHECK(oa_task_id(task) != 0);
    CHECK(strcmp(oa_task_name(task), "one") == 0);
    join(task);
    stale(task);
}

int main(void)
{
    everywhere(joins);
    everywhere(deadlines);
    everywhere(joining_oneself);
    everywhere(second_joiner);
    everywhere(joiner_gives_up);
    everywhere(detaches);
    everywhere(self_goes_stale);
    everywhere(ended_but_not_joined);
    return 0;
}
