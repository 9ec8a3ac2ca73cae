// SPDX-License-Identifier: BSD-2-Clause
// context.c - oa_context: each task's own, zero at its start, at one address from then on.
// ctest: simulate
#include "support.h"

enum { TASKS = 200 };

static void outside(void *arg)
{
    (void)arg;
    CHECK(oa_context() == NULL);
}

// Leaves something behind, where the next task on this stack would find it. Half of them wait.
static void use(void *arg)
{
    int64_t i = *(int64_t *)arg;
    oa_context_t *context = oa_context();
    CHECK(context != NULL && (uintptr_t)context % _Alignof(oa_context_t) == 0);
    CHECK(context->user_ptr == NULL && context->user_index == 0);
    context->user_ptr = arg;
    context->user_index = i;
    for (int64_t k = i % 4; k > 0; k--) {
        oa_yield(); // goes on, perhaps, on another worker
        CHECK(oa_context() == context);
        CHECK(context->user_ptr == arg && context->user_index == i);
    }
    memset(context, 0xff, sizeof *context);
}

// Waits before its first look.
static void use_late(void *arg)
{
    oa_yield();
    use(arg);
}

static void zero_at_the_start(void *arg)
{
    (void)arg;
    for (int round = 0; round < 5; round++) {
        oa_group_t group = OA_GROUP_INIT;
        for (int64_t i = 0; i < TASKS; i++) {
            oa_fn *fn = i % 3 ? use : use_late;
            CHECK_EQ(oa_go(fn, oa_val(i), .group = &group, .coord = coord), 0);
            CHECK_EQ(oa_go(fn, oa_val(i), .stack = 1 << 20, .group = &group, .coord = coord), 0);
        }
        CHECK_EQ(oa_group_wait(&group), 0);
    }
}

static void child(void *arg)
{
    CHECK(oa_context() != arg);
    CHECK(oa_context()->user_ptr == NULL);
}

// It is not handed down.
static void of_a_child(void *arg)
{
    (void)arg;
    oa_context_t *mine = oa_context();
    mine->user_ptr = mine;
    oa_task_t *task;
    CHECK_EQ(oa_go(child, mine, .task = &task), 0);
    join(task);
    CHECK(oa_context() == mine && mine->user_ptr == mine);
}

static void moves(void *arg)
{
    oa_context_t *context = oa_context();
    context->user_index = 5;
    for (int i = 0; i < 20; i++) {
        change_worker();
        CHECK(oa_context() == context && context->user_ptr == arg);
        CHECK_EQ(context->user_index, 5 + i);
        context->user_index++;
    }
}

int main(void)
{
    struct thread thread;
    outside(NULL);
    thread_start(&thread, outside, NULL);
    thread_join(&thread);
    everywhere(zero_at_the_start);
    in_tasks(of_a_child);
    if (!simulated())
        on_two_workers(moves);
    outside(NULL);
    return 0;
}
