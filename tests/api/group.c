// SPDX-License-Identifier: BSD-2-Clause
// group.c - groups: waiting for all, use again, cancelling as one, and what a waiter's cancel does.
// ctest: simulate
#include "support.h"

static oa_group_t group;
static oa_sem_t gate;
static atomic_int count, dropped;

static void add(void *arg)
{
    (void)arg;
    atomic_fetch_add(&count, 1);
}

static void drop(void *arg)
{
    (void)arg;
    atomic_fetch_add(&dropped, 1);
}

static void pass_gate(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_acquire(&gate), 0);
    CHECK(!oa_cancelled());
    atomic_fetch_add(&count, 1);
}

static void reset(void)
{
    oa_group_init(&group);
    oa_sem_init(&gate, 0);
    atomic_store(&count, 0);
    atomic_store(&dropped, 0);
}

static int go(oa_fn *fn)
{
    return oa_go(fn, .drop = drop, .group = &group, .coord = coord);
}

// An empty group is no wait; one is used again and again.
static void waits(void *arg)
{
    (void)arg;
    reset();
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(oa_group_wait_until(&group, PAST), 0);
    CHECK_EQ(oa_group_destroy(&group), 0);
    for (int round = 1; round <= 50; round++) {
        for (int i = 0; i < round; i++)
            CHECK_EQ(go(add), 0);
        CHECK_EQ(round % 2 ? oa_group_wait(&group) : oa_group_wait_until(&group, LATE), 0);
        CHECK_EQ(atomic_load(&count), round * (round + 1) / 2);
        CHECK_EQ(oa_group_destroy(&group), 0);
    }
}

static void deadlines(void *arg)
{
    (void)arg;
    reset();
    CHECK_EQ(go(pass_gate), 0);
    CHECK_EQ(oa_group_wait_until(&group, PAST), -ETIMEDOUT);
    CHECK_EQ(oa_group_wait_until(&group, 0), -ETIMEDOUT);
    int64_t soon = SOON;
    CHECK_EQ(oa_group_wait_until(&group, soon), -ETIMEDOUT);
    CHECK(oa_now() >= soon);
    CHECK_EQ(oa_group_destroy(&group), -EBUSY);
    CHECK_EQ(go(add), 0); // it is a group as before
    CHECK_EQ(oa_sem_release(&gate), 0);
    CHECK_EQ(oa_group_wait_until(&group, LATE), 0);
    CHECK_EQ(atomic_load(&count), 2);
}

static void add_more(void *arg)
{
    int depth = *(int *)arg - 1;
    atomic_fetch_add(&count, 1);
    for (int i = 0; depth > 0 && i < 2; i++)
        CHECK_EQ(oa_go(add_more, oa_val(depth), .group = &group), 0);
}

// A group's tasks may add to it: the wait is for all of them.
static void members_add(void *arg)
{
    int depth = 9;
    (void)arg;
    reset();
    CHECK_EQ(oa_go(add_more, oa_val(depth), .group = &group, .coord = coord), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(atomic_load(&count), (1 << 9) - 1);
}

static void wait_for_own(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_group_wait(&group), -EDEADLK);
    CHECK_EQ(oa_group_wait_until(&group, LATE), -EDEADLK);
    CHECK_EQ(oa_group_wait_until(&group, PAST), -EDEADLK);
    CHECK_EQ(oa_group_destroy(&group), -EBUSY);
}

static void errors(void *arg)
{
    (void)arg;
    reset();
    CHECK_EQ(go(wait_for_own), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(oa_group_wait(NULL), -EINVAL);
    CHECK_EQ(oa_group_wait_until(NULL, LATE), -EINVAL);
    CHECK_EQ(oa_group_cancel(NULL), -EINVAL);
    CHECK_EQ(oa_group_destroy(NULL), -EINVAL);
}

static void wait_cancelled(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_acquire(&gate), -ECANCELED);
    CHECK_EQ(go(add), -ECANCELED);
    atomic_fetch_add(&count, 1);
}

// Cancelled: all members are, new ones are refused until a wait has returned; then all is new.
static void cancels(void *arg)
{
    (void)arg;
    reset();
    uint64_t before = parks();
    for (int i = 0; i < 5; i++)
        CHECK_EQ(go(wait_cancelled), 0);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(
            oa_go(add, .drop = drop, .group = &group, .coord = coord, .delay = 1000 * OA_SECOND),
            0);
    UNTIL(parks() >= before + 5);
    CHECK_EQ(oa_group_cancel(&group), 0);
    CHECK_EQ(oa_group_cancel(&group), 0);
    CHECK_EQ(go(add), -ECANCELED);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(atomic_load(&count), 5);
    CHECK_EQ(atomic_load(&dropped), 5 + 5 + 1);
    CHECK_EQ(go(add), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(atomic_load(&count), 6);
    // An empty one too; a deadline that passes is no wait that has returned.
    CHECK_EQ(oa_group_cancel(&group), 0);
    CHECK_EQ(go(add), -ECANCELED);
    CHECK_EQ(oa_group_wait_until(&group, PAST), 0);
    CHECK_EQ(go(pass_gate), 0);
    CHECK_EQ(oa_group_wait_until(&group, PAST), -ETIMEDOUT);
    CHECK_EQ(oa_sem_release(&gate), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(atomic_load(&dropped), 12);
}

static void cancel_own(void *arg)
{
    (void)arg;
    CHECK(!oa_cancelled());
    CHECK_EQ(oa_group_cancel(&group), 0);
    CHECK(oa_cancelled());
    CHECK_EQ(oa_sleep(0), -ECANCELED);
    CHECK_EQ(go(add), -ECANCELED);
}

// A member may cancel its group, itself with it.
static void member_cancels(void *arg)
{
    (void)arg;
    reset();
    uint64_t before = parks();
    for (int i = 0; i < 5; i++)
        CHECK_EQ(go(wait_cancelled), 0);
    UNTIL(parks() >= before + 5);
    CHECK_EQ(oa_go(add, .drop = drop, .group = &group, .coord = coord, .delay = 1000 * OA_SECOND),
             0);
    CHECK_EQ(go(cancel_own), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(atomic_load(&count), 5);
    CHECK_EQ(atomic_load(&dropped), 5 + 1 + 1);
}

static void wait_for_group(void *arg)
{
    CHECK_EQ(oa_group_wait(&group), *(int *)arg);
}

// A cancel of who waits goes to the group; the wait is to the end all the same.
static void hands_the_cancel_on(void *arg)
{
    int expected = -ECANCELED;
    (void)arg;
    reset();
    uint64_t before = parks();
    for (int i = 0; i < 5; i++)
        CHECK_EQ(go(wait_cancelled), 0);
    oa_task_t *waiter = spawn(wait_for_group, &expected);
    UNTIL(parks() >= before + 6);
    CHECK_EQ(oa_cancel(waiter), 0);
    join(waiter);
    CHECK_EQ(atomic_load(&count), 5);
    CHECK_EQ(oa_group_destroy(&group), 0);
}

static void cancelled_before_waiting(void *arg)
{
    (void)arg;
    coord = oa_coord();
    reset();
    for (int i = 0; i < 5; i++)
        CHECK_EQ(oa_go(wait_cancelled, .group = &group, .drop = drop), 0);
    CHECK_EQ(oa_cancel(oa_self()), 0);
    CHECK_EQ(oa_group_wait(&group), -ECANCELED);
    // Each has begun and was refused its own addition, which was dropped, or was dropped itself.
    CHECK_EQ(atomic_load(&dropped), 5);
    CHECK_EQ(oa_group_destroy(&group), 0);
}

static void wait_until_cancelled(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_group_wait_until(&group, OA_FOREVER), -ECANCELED);
}

// The _until twin is broken, and the group not told.
static void until_keeps_the_cancel(void *arg)
{
    (void)arg;
    reset();
    uint64_t before = parks();
    CHECK_EQ(go(pass_gate), 0);
    oa_task_t *waiter = spawn(wait_until_cancelled, NULL);
    UNTIL(parks() >= before + 2);
    CHECK_EQ(oa_cancel(waiter), 0);
    join(waiter);
    CHECK_EQ(oa_group_destroy(&group), -EBUSY);
    CHECK_EQ(oa_sem_release(&gate), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(atomic_load(&count), 1);
}

static void several_wait(void *arg)
{
    int expected = 0;
    (void)arg;
    reset();
    uint64_t before = parks();
    CHECK_EQ(go(pass_gate), 0);
    oa_task_t *waiters[3];
    for (int i = 0; i < 3; i++)
        waiters[i] = spawn(wait_for_group, &expected);
    UNTIL(parks() >= before + 4);
    CHECK_EQ(oa_sem_release(&gate), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    for (int i = 0; i < 3; i++)
        join(waiters[i]);
}

static void write_1(void *arg)
{
    *(int *)arg = 1;
}

// Who has waited may leave the scope of the group and of all that its tasks used.
static void last_touch(void *arg)
{
    (void)arg;
    for (int i = 0; i < 300; i++) {
        int values[3] = {0};
        oa_group_t *own = calloc(1, sizeof *own); // all-zero bytes are an empty group
        for (int k = 0; k < 3; k++)
            CHECK_EQ(oa_go(write_1, &values[k], .group = own, .coord = coord), 0);
        CHECK_EQ(oa_group_wait(own), 0);
        CHECK_EQ(values[0] + values[1] + values[2], 3);
        CHECK_EQ(oa_group_destroy(own), 0);
        memset(own, 0xee, sizeof *own);
        free(own);
    }
}

// A member's joiner is told after its group.
static void group_before_joiner(void *arg)
{
    (void)arg;
    reset();
    for (int i = 0; i < 100; i++) {
        oa_task_t *task;
        CHECK_EQ(oa_go(add, .group = &group, .task = &task, .coord = coord), 0);
        join(task);
        CHECK_EQ(oa_group_destroy(&group), 0);
    }
}

int main(void)
{
    everywhere(waits);
    everywhere(deadlines);
    everywhere(members_add);
    everywhere(errors);
    everywhere(cancels);
    everywhere(member_cancels);
    everywhere(hands_the_cancel_on);
    in_tasks(cancelled_before_waiting);
    everywhere(until_keeps_the_cancel);
    everywhere(several_wait);
    everywhere(last_touch);
    everywhere(group_before_joiner);
    return 0;
}
