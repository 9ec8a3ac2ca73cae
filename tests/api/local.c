// SPDX-License-Identifier: BSD-2-Clause
// local.c - oa_local: keys, values of each task, destroyers.
// ctest: simulate
#include "support.h"

enum { KEYS = 1024, TASKS = 100 };

static oa_local_t key, other;
static atomic_int destroyed;

// ---- Keys ---------------------------------------------------------------------------------------

static void no_key(oa_local_t bad, int in_task)
{
    CHECK_EQ(oa_local_delete(bad), -EINVAL);
    CHECK(oa_local_get(bad) == NULL);
    CHECK_EQ(oa_local_set(bad, &destroyed), in_task ? -EINVAL : -EPERM);
}

static void keys(void *arg)
{
    (void)arg;
    static oa_local_t all[KEYS];
    oa_local_t more = 77;
    int in_task = oa_self() != NULL;
    CHECK_EQ(oa_local_create(NULL, NULL), -EINVAL);
    no_key(0, in_task);
    no_key(5, in_task);
    no_key(~(oa_local_t)0, in_task);
    for (int i = 0; i < KEYS; i++) {
        CHECK_EQ(oa_local_create(&all[i], NULL), 0);
        CHECK(all[i] != 0 && (i == 0 || all[i] != all[i - 1]));
    }
    CHECK_EQ(oa_local_create(&more, NULL), -EAGAIN);
    CHECK_EQ(more, 77);
    for (int i = KEYS - 1; in_task && i >= 0; i--)
        CHECK_EQ(oa_local_set(all[i], &all[i]), 0);
    for (int i = 0; i < KEYS; i++)
        CHECK(oa_local_get(all[i]) == (in_task ? &all[i] : NULL));
    for (int i = 0; i < KEYS; i++) {
        CHECK_EQ(oa_local_delete(all[i]), 0);
        no_key(all[i], in_task);
    }
    // The next key in the same place is another one, and without a value.
    CHECK_EQ(oa_local_create(&more, NULL), 0);
    for (int i = 0; i < KEYS; i++)
        CHECK(all[i] != more);
    CHECK(oa_local_get(more) == NULL);
    CHECK_EQ(oa_local_delete(more), 0);
}

static void outside(void)
{
    CHECK_EQ(oa_local_create(&key, NULL), 0);
    CHECK(oa_local_get(key) == NULL);
    CHECK_EQ(oa_local_set(key, &key), -EPERM);
    CHECK_EQ(oa_local_delete(key), 0);
}

// ---- Values -------------------------------------------------------------------------------------

static void use(void *arg)
{
    int64_t i = *(int64_t *)arg;
    if (i % 2)
        oa_yield();
    CHECK(oa_local_get(key) == NULL && oa_local_get(other) == NULL);
    CHECK_EQ(oa_local_set(key, arg), 0);
    for (int64_t k = i % 4; k > 0; k--) {
        oa_yield();
        CHECK(oa_local_get(key) == arg && oa_local_get(other) == NULL);
    }
    CHECK_EQ(oa_local_set(other, &key), 0);
    CHECK_EQ(oa_local_set(key, NULL), 0);
    CHECK(oa_local_get(key) == NULL && oa_local_get(other) == &key);
    CHECK(oa_local_get(0) == NULL);
}

// Each task begins without a value, also on a stack where another had some.
static void values(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_local_create(&key, NULL), 0);
    CHECK_EQ(oa_local_create(&other, NULL), 0);
    for (int round = 0; round < 5; round++) {
        oa_group_t group = OA_GROUP_INIT;
        for (int64_t i = 0; i < TASKS; i++)
            CHECK_EQ(oa_go(use, oa_val(i), .group = &group, .coord = coord), 0);
        CHECK_EQ(oa_group_wait(&group), 0);
    }
    CHECK_EQ(oa_local_delete(key), 0);
    CHECK_EQ(oa_local_delete(other), 0);
}

// ---- Destroyers ---------------------------------------------------------------------------------

struct owner {
    oa_task_t *self;
    oa_group_t *group;
    int ended; // set by the destroyer
    int times; // that it has been called
};

// Waits, and is the task still, with all it has.
static void destroy_waiting(void *value)
{
    struct owner *owner = value;
    CHECK(oa_self() == owner->self);
    CHECK(oa_local_get(key) == NULL); // before the call
    CHECK(oa_context()->user_ptr == owner);
    char *temp = oa_temp(10);
    memset(temp, 1, 10);
    oa_yield();
    CHECK_EQ(oa_sleep(OA_MICROSECOND), 0);
    CHECK(oa_self() == owner->self && oa_context()->user_ptr == owner && temp[9] == 1);
    owner->times++;
    owner->ended = 1;
}

static void own(void *arg)
{
    struct owner *owner = arg;
    owner->self = oa_self();
    oa_context()->user_ptr = owner;
    CHECK_EQ(oa_local_set(key, owner), 0);
}

static void own_and_wait(void *arg)
{
    own(arg);
    oa_yield();
}

// They have run to their end before the joiner or the group is told.
static void before_the_joiner(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    CHECK_EQ(oa_local_create(&key, destroy_waiting), 0);
    for (int i = 0; i < TASKS; i++) {
        struct owner one = {.times = 0}, two = {.times = 0};
        oa_task_t *task;
        CHECK_EQ(oa_go(i % 2 ? own : own_and_wait, &one, .task = &task, .coord = coord), 0);
        CHECK_EQ(oa_go(i % 2 ? own_and_wait : own, &two, .group = &group, .coord = coord), 0);
        join(task);
        CHECK(one.ended && one.times == 1);
        CHECK_EQ(oa_group_wait(&group), 0);
        CHECK(two.ended && two.times == 1);
    }
    CHECK_EQ(oa_local_delete(key), 0);
}

// Sets itself again for ever, and another one the first time.
static void destroy_again(void *value)
{
    if (atomic_fetch_add(&destroyed, 1) == 0)
        CHECK_EQ(oa_local_set(other, value), 0);
    CHECK_EQ(oa_local_set(key, value), 0);
}

static void destroy_other(void *value)
{
    CHECK(value == &destroyed);
    CHECK(oa_local_get(other) == NULL);
    atomic_fetch_add(&destroyed, 100);
}

static void set_key(void *arg)
{
    CHECK_EQ(oa_local_set(key, arg), 0);
}

// Four rounds, and what has been set in one is destroyed in it or in the next.
static void rounds(void *arg)
{
    (void)arg;
    oa_local_t between[40]; // so that the array of values grows in a destroyer
    CHECK_EQ(oa_local_create(&key, destroy_again), 0);
    for (int i = 0; i < 40; i++)
        CHECK_EQ(oa_local_create(&between[i], NULL), 0);
    CHECK_EQ(oa_local_create(&other, destroy_other), 0);
    atomic_store(&destroyed, 0);
    join(spawn(set_key, &destroyed));
    CHECK_EQ(atomic_load(&destroyed), 104);
    for (int i = 0; i < 40; i++)
        CHECK_EQ(oa_local_delete(between[i]), 0);
    CHECK_EQ(oa_local_delete(key), 0);
    CHECK_EQ(oa_local_delete(other), 0);
}

static void delete_and_end(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_local_set(key, &key), 0);
    CHECK_EQ(oa_local_set(other, &destroyed), 0);
    CHECK_EQ(oa_local_delete(key), 0);
    oa_local_t next; // in the place of the deleted one
    CHECK_EQ(oa_local_create(&next, destroy_other), 0);
    CHECK(oa_local_get(key) == NULL && oa_local_get(next) == NULL);
    CHECK_EQ(oa_local_set(other, &key), 0); // what was there is forgotten, not destroyed
    CHECK_EQ(oa_local_set(other, &destroyed), 0);
    key = next;
}

// A deleted key's values are destroyed by nobody, least by the destroyer of the next key.
static void deleted(void *arg)
{
    (void)arg;
    atomic_store(&destroyed, 0);
    CHECK_EQ(oa_local_create(&key, destroy_again), 0);
    CHECK_EQ(oa_local_create(&other, destroy_other), 0);
    join(spawn(delete_and_end, NULL));
    CHECK_EQ(atomic_load(&destroyed), 100);
    CHECK_EQ(oa_local_delete(key), 0);
    CHECK_EQ(oa_local_delete(other), 0);
}

static void destroy_cancelled(void *value)
{
    CHECK(oa_cancelled());
    CHECK_EQ(oa_sleep(1), -ECANCELED);
    oa_shield(true);
    CHECK_EQ(oa_sleep(1), 0);
    *(int *)value = 1;
}

static void set_and_cancel(void *arg)
{
    CHECK_EQ(oa_local_set(key, arg), 0);
    CHECK_EQ(oa_cancel(oa_self()), 0);
}

static void of_a_cancelled_task(void *arg)
{
    (void)arg;
    int done = 0;
    CHECK_EQ(oa_local_create(&key, destroy_cancelled), 0);
    join(spawn(set_and_cancel, &done));
    CHECK_EQ(done, 1);
    CHECK_EQ(oa_local_delete(key), 0);
}

static void destroy_moving(void *value)
{
    CHECK(oa_local_get(other) == &key);
    change_worker();
    CHECK(oa_local_get(other) == &key);
    atomic_fetch_add((atomic_int *)value, 1);
}

static void moves(void *arg)
{
    for (int i = 0; i < 3; i++) {
        CHECK(oa_local_get(key) == (i ? &destroyed : NULL));
        CHECK_EQ(oa_local_set(key, &destroyed), 0);
        CHECK_EQ(oa_local_set(other, &key), 0);
        change_worker();
    }
    (void)arg;
}

static void moves_and_ends(void)
{
    atomic_store(&destroyed, 0);
    CHECK_EQ(oa_local_create(&key, destroy_moving), 0);
    CHECK_EQ(oa_local_create(&other, NULL), 0);
    for (int i = 0; i < 5; i++)
        on_two_workers(moves);
    CHECK_EQ(atomic_load(&destroyed), 5);
    CHECK_EQ(oa_local_delete(key), 0);
    CHECK_EQ(oa_local_delete(other), 0);
}

int main(void)
{
    outside();
    everywhere(keys);
    everywhere(values);
    everywhere(before_the_joiner);
    everywhere(rounds);
    everywhere(deleted);
    everywhere(of_a_cancelled_task);
    if (!simulated())
        moves_and_ends();
    return 0;
}
