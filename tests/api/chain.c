// SPDX-License-Identifier: BSD-2-Clause
// chain.c - oa_chain: one task that calls each function in turn, its options, its refusals.
// ctest: simulate
#include "support.h"

static atomic_int dropped, ran;

static void drop(void *arg)
{
    (void)arg;
    atomic_fetch_add(&dropped, 1);
}

static void count(void *arg)
{
    (void)arg;
    atomic_fetch_add(&ran, 1);
}

// What the functions of a chain share.
struct work {
    int steps[8];
    int n;
    oa_task_t *self;
    void *temp;
};

static oa_local_t key;
static atomic_int destroyed;

static void destroy(void *value)
{
    CHECK_EQ(((struct work *)value)->n, 3); // after the last function
    atomic_fetch_add(&destroyed, 1);
}

static void first(void *arg)
{
    struct work *work = arg;
    work->steps[work->n++] = 1;
    work->self = oa_self();
    work->temp = oa_temp(100);
    memset(work->temp, 5, 100);
    CHECK(oa_context()->user_ptr == NULL);
    oa_context()->user_ptr = work;
    CHECK_EQ(oa_local_set(key, work), 0);
}

static void next(void *arg)
{
    struct work *work = arg;
    oa_yield();
    work->steps[work->n] = work->n + 1;
    work->n++;
    CHECK(oa_self() == work->self && oa_context()->user_ptr == work);
    CHECK(oa_local_get(key) == work);
    CHECK_EQ(((char *)work->temp)[99], 5);
}

// In order, each after the other has returned; context, temp memory and locals span all of it.
static void in_turn(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    CHECK_EQ(oa_local_create(&key, destroy), 0);
    atomic_store(&destroyed, 0);
    for (int i = 0; i < 50; i++) {
        struct work work = {.n = 0}, other = {.n = 0};
        oa_fn *fns[] = {first, next, next};
        oa_task_t *task;
        CHECK_EQ(oa_chain(fns, 3, &work, .task = &task, .coord = coord), 0);
        CHECK_EQ(oa_chain(fns, 3, &other, .group = &group, .delay = 1, .coord = coord), 0);
        memset(fns, 0, sizeof fns); // copied
        join(task);
        CHECK(work.n == 3 && work.steps[0] == 1 && work.steps[1] == 2 && work.steps[2] == 3);
        CHECK_EQ(oa_group_wait(&group), 0);
        CHECK_EQ(other.n, 3);
    }
    CHECK_EQ(atomic_load(&destroyed), 100);
    CHECK_EQ(oa_local_delete(key), 0);
}

static void check_name(void *arg)
{
    CHECK(strcmp(oa_task_name(oa_self()), "chain") == 0);
    CHECK(strcmp(arg, "a copied string") == 0);
    oa_yield();
}

static void check_null(void *arg)
{
    CHECK(arg == NULL);
    atomic_fetch_add(&ran, 1);
}

// Copies of any size, with and without a name, a drop, an argument; many functions, and one.
static void options(void *arg)
{
    (void)arg;
    oa_fn *many[300];
    oa_group_t group = OA_GROUP_INIT;
    atomic_store(&ran, 0);
    atomic_store(&dropped, 0);
    for (int i = 0; i < 300; i++)
        many[i] = count;
    CHECK_EQ(oa_chain(many, 300, .group = &group, .coord = coord), 0);
    char bytes[33] = "";
    for (size_t n = 1; n <= sizeof bytes; n++)
        CHECK_EQ(oa_chain(many, 2, bytes, .copy = n, .group = &group, .coord = coord), 0);
    oa_fn *one[] = {check_null}, *two[] = {check_name, check_name};
    CHECK_EQ(oa_chain(one, 1, .group = &group, .coord = coord), 0);
    CHECK_EQ(oa_chain(two, 2, oa_val("a copied string"), .name = "chain", .drop = drop,
                      .stack = 1 << 20, .group = &group, .coord = coord),
             0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(atomic_load(&ran), 300 + 33 * 2 + 1);
    CHECK_EQ(atomic_load(&dropped), 0);
}

// Fails with the error; of its .drop that many calls.
static void refused(int expected, int drops, oa_fn *const *fns, oa_spec_t spec)
{
    oa_task_t *task = (oa_task_t *)&ran;
    int before = atomic_load(&dropped);
    spec.task = &task;
    CHECK_EQ(oa_chain_spec(fns, &spec), expected);
    CHECK(task == NULL || spec.size < sizeof spec);
    CHECK_EQ(atomic_load(&dropped) - before, drops);
}

static void refusals(void *arg)
{
    (void)arg;
    oa_fn *fns[] = {count, count, NULL};
    const oa_spec_t good = {.size = sizeof good, .count = 2, .drop = drop, .coord = coord};
    oa_spec_t spec;
    atomic_store(&ran, 0);
    CHECK_EQ(oa_chain_spec(fns, NULL), -EINVAL);
    spec = good, spec.size = 8, refused(-EINVAL, 0, fns, spec);
    spec = good, refused(-EINVAL, 0, NULL, spec);
    spec = good, spec.count = 3, refused(-EINVAL, 0, fns, spec);
    spec = good, spec.count = 0, refused(-EINVAL, 1, fns, spec);
    spec = good, spec.count = 0, refused(-EINVAL, 0, NULL, spec);
    spec = good, spec.copy = 8, refused(-EINVAL, 1, fns, spec);
    spec = good, spec.delay = -1, refused(-EINVAL, 1, fns, spec);
    spec = good, spec.stack = 1, refused(-EINVAL, 1, fns, spec);
    oa_group_t group = OA_GROUP_INIT;
    CHECK_EQ(oa_group_cancel(&group), 0);
    spec = good, spec.group = &group, refused(-ECANCELED, 1, fns, spec);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(atomic_load(&ran), 0);
    // Smaller and larger than this library knows.
    struct {
        oa_spec_t spec;
        char more[24];
    } larger = {.spec = good};
    larger.spec.size = sizeof larger;
    oa_task_t *task;
    larger.spec.task = &task;
    CHECK_EQ(oa_chain_spec(fns, &larger.spec), 0);
    join(task);
    larger.more[23] = 1;
    CHECK_EQ(oa_chain_spec(fns, &larger.spec), -E2BIG);
    larger.spec.size = offsetof(oa_spec_t, delay);
    CHECK_EQ(oa_chain_spec(fns, &larger.spec), 0);
    join(task);
    CHECK_EQ(atomic_load(&ran), 4);
}

static void outside(void)
{
    oa_fn *fns[] = {count};
    atomic_store(&dropped, 0);
    CHECK_EQ(oa_chain(fns, 1, .drop = drop), -EPERM);
    CHECK_EQ(oa_chain(fns, 1), -EPERM);
    CHECK_EQ(atomic_load(&dropped), 1);
}

// Cancelled before it began: none is called, it is dropped.
static void cancelled_before(void *arg)
{
    (void)arg;
    oa_fn *fns[] = {count, count};
    oa_task_t *task;
    atomic_store(&ran, 0);
    atomic_store(&dropped, 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(oa_chain(fns, 2, .delay = OA_MINUTE, .task = &task, .coord = coord,
                          .drop = i ? drop : NULL),
                 0);
        CHECK_EQ(oa_cancel(task), 0);
        join(task);
    }
    CHECK_EQ(atomic_load(&ran), 0);
    CHECK_EQ(atomic_load(&dropped), 1);
}

static atomic_int began;

static void wait_for_cancel(void *arg)
{
    (void)arg;
    atomic_store(&began, 1);
    CHECK_EQ(oa_sleep(OA_FOREVER), -ECANCELED);
}

static void see_cancel(void *arg)
{
    CHECK(oa_cancelled());
    count(arg);
}

// Cancelled when it has begun: it goes on calling.
static void cancelled_after(void *arg)
{
    (void)arg;
    oa_fn *fns[] = {wait_for_cancel, see_cancel, see_cancel};
    oa_task_t *task;
    atomic_store(&ran, 0);
    atomic_store(&began, 0);
    CHECK_EQ(oa_chain(fns, 3, .task = &task, .coord = coord), 0);
    UNTIL(atomic_load(&began));
    CHECK_EQ(oa_cancel(task), 0);
    join(task);
    CHECK_EQ(atomic_load(&ran), 2);
}

int main(void)
{
    outside();
    everywhere(in_turn);
    everywhere(options);
    everywhere(refusals);
    everywhere(cancelled_before);
    everywhere(cancelled_after);
    return 0;
}
