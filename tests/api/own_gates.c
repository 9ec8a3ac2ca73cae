// SPDX-License-Identifier: BSD-2-Clause
// own_gates.c - the end of a task in its order: destroyers, gates, group and joiner; gates span a
// chain.
// ctest: simulate
#include "support.h"

static oa_mutex_t mutex;
static oa_sem_t sem;
static oa_backpressure_t bp;
static oa_latch_t latch;
static oa_local_t key;
static atomic_int ran, dropped, destroyed;

static void reset(void)
{
    oa_mutex_init(&mutex);
    oa_sem_init(&sem, 1);
    oa_backpressure_init(&bp, 1, OA_LOSSLESS);
    oa_latch_init(&latch, 1);
    atomic_store(&ran, 0);
    atomic_store(&dropped, 0);
    atomic_store(&destroyed, 0);
}

static void all_held(void)
{
    CHECK_EQ(oa_mutex_lock(&mutex), -EDEADLK);
    CHECK_EQ(oa_sem_tryacquire(&sem), -EAGAIN);
    CHECK_EQ(oa_backpressure_destroy(&bp), -EBUSY);
}

static void all_free(void)
{
    CHECK_EQ(oa_mutex_destroy(&mutex), 0);
    CHECK_EQ(oa_sem_tryacquire(&sem), 0);
    CHECK_EQ(oa_sem_release(&sem), 0);
    CHECK_EQ(oa_backpressure_destroy(&bp), 0);
}

// ---- Destroyers ---------------------------------------------------------------------------------

static void destroy(void *value)
{
    all_held();
    oa_yield();
    all_held();
    CHECK(value == &sem && oa_context()->user_index == 5);
    atomic_fetch_add(&destroyed, 1);
}

static void own(void *arg)
{
    (void)arg;
    all_held();
    oa_context()->user_index = 5;
    CHECK_EQ(oa_local_set(key, &sem), 0);
}

// They run while the gates are held; who waits for the task finds the gates left.
static void destroyers(void *arg)
{
    (void)arg;
    oa_task_t *task;
    oa_group_t group = OA_GROUP_INIT;
    CHECK_EQ(oa_local_create(&key, destroy), 0);
    for (int i = 0; i < 20; i++) {
        reset();
        CHECK_EQ(oa_go(own, .acq = &mutex, .sem = &sem, .bp = &bp, .task = &task, .coord = coord),
                 0);
        join(task);
        CHECK_EQ(atomic_load(&destroyed), 1);
        all_free();
        CHECK_EQ(oa_go(own, .acq = &mutex, .sem = &sem, .bp = &bp, .group = &group, .coord = coord),
                 0);
        CHECK_EQ(oa_group_wait(&group), 0);
        CHECK_EQ(atomic_load(&destroyed), 2);
        all_free();
    }
    CHECK_EQ(oa_local_delete(key), 0);
}

// ---- Chains -------------------------------------------------------------------------------------

struct big {
    char bytes[100];
};

static void pass(void *arg)
{
    struct big *big = arg;
    all_held();
    CHECK_EQ(big->bytes[99], (char)atomic_load(&ran));
    CHECK(strcmp(oa_task_name(oa_self()), "chain") == 0);
    oa_yield();
    big->bytes[99]++;
    atomic_fetch_add(&ran, 1);
}

static void pass_bare(void *arg)
{
    CHECK(arg == NULL);
    all_held();
    oa_yield();
    atomic_fetch_add(&ran, 1);
}

static void after(void *arg)
{
    (void)arg;
    CHECK_EQ(atomic_load(&ran), 3);
    atomic_fetch_add(&ran, 1);
}

static void drop(void *arg)
{
    CHECK_EQ(((struct big *)arg)->bytes[99], 0);
    all_free();
    atomic_fetch_add(&dropped, 1);
}

// Whoever wants the mutex next has it when the last function has returned.
static void chains(void *arg)
{
    oa_fn *const fns[] = {pass, pass, pass}, *const bare[] = {pass_bare, pass_bare, pass_bare};
    oa_group_t group = OA_GROUP_INIT;
    struct big big = {.bytes = {0}};
    (void)arg;
    for (int i = 0; i < 20; i++) {
        reset();
        CHECK_EQ(oa_chain(fns, 3, oa_val(big), .name = "chain", .drop = drop, .acq = &mutex,
                          .sem = &sem, .bp = &bp, .delay = i % 2, .group = &group, .coord = coord),
                 0);
        if (i % 2 == 0)
            CHECK_EQ(oa_go(after, .acq = &mutex, .group = &group, .coord = coord), 0);
        CHECK_EQ(oa_group_wait(&group), 0);
        CHECK_EQ(atomic_load(&ran), i % 2 ? 3 : 4);
        all_free();
        CHECK_EQ(oa_chain(bare, 3, NULL, .acq = &mutex, .sem = &sem, .bp = &bp, .group = &group,
                          .coord = coord),
                 0);
        CHECK_EQ(oa_group_wait(&group), 0);
        CHECK_EQ(atomic_load(&ran), i % 2 ? 6 : 7);
        all_free();
    }
    CHECK_EQ(atomic_load(&dropped), 0);
}

// One that is cancelled at a gate calls nothing, and is dropped when it has given back all it had.
static void cancelled_chain(void *arg)
{
    oa_fn *const fns[] = {pass, pass};
    struct big big = {.bytes = {0}};
    oa_task_t *task;
    (void)arg;
    reset();
    oa_latch_init(&latch, 2);
    CHECK_EQ(oa_chain(fns, 2, oa_val(big), .drop = drop, .latch = &latch, .acq = &mutex,
                      .task = &task, .coord = coord),
             0);
    CHECK_EQ(oa_cancel(task), 0);
    join(task);
    CHECK_EQ(atomic_load(&dropped), 1);
    CHECK_EQ(atomic_load(&ran), 0);
    CHECK_EQ(oa_latch_destroy(&latch), 0);
    all_free();
}

int main(void)
{
    everywhere(destroyers);
    everywhere(chains);
    everywhere(cancelled_chain);
    return 0;
}
