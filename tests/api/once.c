// SPDX-License-Identifier: BSD-2-Clause
// once.c - a function that is called once: all who come find it done, tasks and plain threads.
// ctest: simulate
#include "support.h"

enum { USERS = 12 };

static oa_once_t once;
static int made; // plain: written by the function, read by all who come
static atomic_int passed;

static void make(void *arg)
{
    int before = made;
    for (int i = 0; i < 5; i++)
        oa_yield();
    CHECK_EQ(oa_sleep(OA_MILLISECOND), 0); // it may wait
    made = before + *(int *)arg;
}

static void never(void *arg)
{
    (void)arg;
    CHECK(!"the function was called again");
}

static void use(void *arg)
{
    (void)arg;
    int seven = 7;
    CHECK_EQ(oa_once(&once, make, &seven), 0);
    CHECK_EQ(made, 7);
    CHECK_EQ(oa_once(&once, never, NULL), 0);
    atomic_fetch_add(&passed, 1);
}

static void used_by_all(void *arg)
{
    (void)arg;
    struct thread thread;
    oa_group_t group = OA_GROUP_INIT;
    oa_once_init(&once);
    made = 0;
    atomic_store(&passed, 0);
    thread_start(&thread, use, NULL);
    for (int i = 0; i < USERS; i++)
        CHECK_EQ(oa_go(use, NULL, .group = &group, .coord = coord, .block = i == 3), 0);
    use(NULL);
    CHECK_EQ(oa_group_wait(&group), 0);
    while (atomic_load(&passed) < USERS + 2)
        oa_yield();
    thread_join(&thread);
    CHECK_EQ(made, 7);
}

static void again(void *arg)
{
    CHECK_EQ(oa_once(arg, never, NULL), -EDEADLK);
    made++;
}

static void errors(void *arg)
{
    (void)arg;
    oa_once_t own = OA_ONCE_INIT;
    CHECK_EQ(oa_once(NULL, never, NULL), -EINVAL);
    CHECK_EQ(oa_once(&own, NULL, NULL), -EINVAL);
    made = 0;
    CHECK_EQ(oa_once(&own, again, &own), 0);
    CHECK_EQ(made, 1);
    CHECK_EQ(oa_once(&own, never, NULL), 0);
}

static oa_sem_t begun, go_on;

static void hold(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_release(&begun), 0);
    CHECK_EQ(oa_sem_acquire(&go_on), 0);
    made = 3;
}

static void begin(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_once(&once, hold, NULL), 0);
}

static atomic_bool coming;

static void come_cancelled(void *arg)
{
    (void)arg;
    atomic_store(&coming, true);
    CHECK_EQ(oa_once(&once, never, NULL), 0);
    CHECK_EQ(made, 3);
    CHECK(oa_cancelled());
    CHECK_EQ(oa_once(&once, never, NULL), 0);
    atomic_fetch_add(&passed, 1);
}

// A cancel interrupts no wait for it.
static void cancelled(void *arg)
{
    (void)arg;
    oa_once_init(&once);
    oa_sem_init(&begun, 0);
    oa_sem_init(&go_on, 0);
    made = 0;
    atomic_store(&passed, 0);
    oa_task_t *first = spawn(begin, NULL);
    CHECK_EQ(oa_sem_acquire(&begun), 0);
    atomic_store(&coming, false);
    oa_task_t *second = spawn(come_cancelled, NULL);
    UNTIL(atomic_load(&coming));
    CHECK_EQ(oa_cancel(second), 0);
    for (int i = 0; i < 5; i++)
        oa_yield();
    CHECK_EQ(atomic_load(&passed), 0);
    CHECK_EQ(oa_sem_release(&go_on), 0);
    join(first);
    join(second);
    CHECK_EQ(atomic_load(&passed), 1);
}

struct shared {
    oa_once_t once;
    int made;
};

struct user {
    struct shared *shared;
    bool called;
};

static void make_shared(void *arg)
{
    struct user *user = arg;
    user->called = true;
    user->shared->made++;
}

static void use_shared(void *arg)
{
    struct user user = {arg, false};
    CHECK_EQ(oa_once(&user.shared->once, make_shared, &user), 0);
    if (user.called)
        return;
    CHECK_EQ(user.shared->made, 1);
    memset(user.shared, 0xee, sizeof *user.shared);
    free(user.shared);
}

// Of two who come one calls the function; the other, who finds it done, frees all at once.
static void last_touch(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    for (int i = 0; i < 300; i++) {
        struct shared *shared = calloc(1, sizeof *shared); // all-zero bytes are good
        CHECK(shared != NULL);
        CHECK_EQ(oa_go(use_shared, shared, .group = &group, .coord = coord), 0);
        use_shared(shared);
    }
    CHECK_EQ(oa_group_wait(&group), 0);
}

int main(void)
{
    everywhere(used_by_all);
    everywhere(errors);
    everywhere(cancelled);
    everywhere(last_touch);
    return 0;
}
