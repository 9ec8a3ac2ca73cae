// SPDX-License-Identifier: BSD-2-Clause
// go.c - oa_go: what a task is given, each option, and each refusal.
// ctest: simulate
#include <stdalign.h>
#include <stddef.h>

#include "support.h"

static atomic_int ran, dropped;
static oa_sem_t ended;

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

static void gets(void *arg)
{
    CHECK(arg == &ran);
    CHECK_EQ(oa_sem_release(&ended), 0);
}

static void gets_null(void *arg)
{
    CHECK(arg == NULL);
    CHECK_EQ(oa_sem_release(&ended), 0);
}

static void arguments(void *arg)
{
    (void)arg;
    oa_sem_init(&ended, 0);
    CHECK_EQ(oa_go(gets_null, .coord = coord), 0);
    CHECK_EQ(oa_go(gets_null, NULL, .coord = coord), 0);
    CHECK_EQ(oa_go(gets, &ran, .coord = coord), 0);
    oa_spec_t spec = OA_SPEC_INIT;
    spec.fn = gets;
    spec.arg = &ran;
    spec.coord = coord;
    CHECK_EQ(oa_go_spec(&spec), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(oa_sem_acquire(&ended), 0);
}

enum { LARGE = 100000 };

struct large {
    unsigned char bytes[LARGE];
};

static void read_int(void *arg)
{
    CHECK((uintptr_t)arg % alignof(max_align_t) == 0);
    atomic_fetch_add(&ran, *(int *)arg);
    oa_yield(); // it is alive until the task ends
    *(int *)arg = -1;
    oa_yield();
    CHECK_EQ(*(int *)arg, -1);
}

static void read_large(void *arg)
{
    const struct large *large = arg;
    CHECK((uintptr_t)arg % alignof(max_align_t) == 0);
    for (int i = 0; i < LARGE; i++)
        CHECK(large->bytes[i] == (unsigned char)(i * 7));
    oa_yield();
    CHECK(large->bytes[LARGE - 1] == (unsigned char)((LARGE - 1) * 7));
}

static void read_pair(void *arg)
{
    const int *pair = arg;
    CHECK(pair[0] == 1 && pair[1] == 2);
}

// Each task has a copy of its own, of any size, as the value was at the spawn.
static void copies(void *arg)
{
    (void)arg;
    static struct large large;
    oa_group_t group = OA_GROUP_INIT;
    int i = 0;
    int sum = 0;
    atomic_store(&ran, 0);
    for (i = 1; i <= 100; i++) {
        CHECK_EQ(oa_go(read_int, oa_val(i), .group = &group, .coord = coord), 0);
        sum += i;
    }
    struct pair {
        int a, b;
    };
    CHECK_EQ(oa_go(read_pair, oa_val((struct pair){1, 2}), .group = &group, .coord = coord), 0);
    for (int k = 0; k < LARGE; k++)
        large.bytes[k] = (unsigned char)(k * 7);
    CHECK_EQ(oa_go(read_large, oa_val(large), .group = &group, .coord = coord), 0);
    memset(&large, 0, sizeof large);
    char bytes[33] = "any size, also an odd one";
    for (size_t n = 1; n < sizeof bytes; n++)
        CHECK_EQ(oa_go(run, bytes, .copy = n, .group = &group, .coord = coord), 0);
    CHECK_EQ(oa_go(read_int, oa_val(i), .name = "named", .group = &group, .coord = coord), 0);
    CHECK_EQ(oa_go(read_int, oa_val(i), .drop = drop, .group = &group, .coord = coord), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(atomic_load(&ran), sum + 32 + 2 * i);
}

static void see_name(void *arg)
{
    CHECK(strcmp(oa_task_name(oa_self()), arg) == 0);
    oa_yield();
    CHECK(strcmp(oa_task_name(oa_self()), arg) == 0);
}

static void names(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    char name[64] = "short";
    CHECK_EQ(oa_go(see_name, (void *)"short", .name = name, .group = &group, .coord = coord), 0);
    strcpy(name, "0123456789012345678901234567890123456789");
    CHECK_EQ(oa_go(see_name, (void *)"0123456789012345678901234567890", .name = name,
                   .group = &group, .coord = coord),
             0);
    memset(name, 0, sizeof name);
    CHECK_EQ(oa_go(see_name, (void *)"", .group = &group, .coord = coord), 0);
    CHECK_EQ(oa_go(see_name, (void *)"", .name = "", .group = &group, .coord = coord), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
}

struct ticket {
    oa_task_t *task;
    uint64_t id;
};

static void see_handle(void *arg)
{
    struct ticket *ticket = arg;
    CHECK(ticket->task != NULL); // stored before the task can run
    ticket->id = oa_task_id(ticket->task);
    CHECK(ticket->id != 0);
    CHECK(ticket->id == oa_task_id(oa_self()));
    oa_yield();
    CHECK(ticket->id == oa_task_id(oa_self()));
}

static void handles(void *arg)
{
    (void)arg;
    uint64_t ids[50];
    for (int i = 0; i < 50; i++) {
        struct ticket ticket = {NULL, 0};
        CHECK_EQ(oa_go(see_handle, &ticket, .task = &ticket.task, .coord = coord), 0);
        CHECK_EQ(oa_join(ticket.task), 0);
        ids[i] = ticket.id;
        for (int k = 0; k < i; k++)
            CHECK(ids[k] != ids[i]);
    }
}

static void use_stack(void *arg)
{
    size_t size = *(size_t *)arg;
    volatile char *bytes = __builtin_alloca(size);
    for (size_t i = 0; i < size; i += 512)
        bytes[i] = (char)i;
    oa_yield();
    for (size_t i = 0; i < size; i += 512)
        CHECK(bytes[i] == (char)i);
}

// A stack of a given size has most of that; odd sizes are rounded up.
static void stacks(void *arg)
{
    (void)arg;
    const size_t sizes[] = {64 << 10, 100001, 256 << 10, 1 << 20, (8 << 20) + 1};
    for (int i = 0; i < 5; i++) {
        oa_task_t *task;
        size_t use = sizes[i] / 2;
        CHECK_EQ(oa_go(use_stack, oa_val(use), .stack = sizes[i], .task = &task, .coord = coord),
                 0);
        CHECK_EQ(oa_join(task), 0);
    }
}

static void note_time(void *arg)
{
    *(int64_t *)arg = oa_now();
}

static void delays(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    int64_t at[20];
    int64_t before = oa_now();
    for (int i = 0; i < 20; i++)
        CHECK_EQ(oa_go(note_time, &at[i], .delay = (20 - i) * 500 * OA_MICROSECOND, .group = &group,
                       .coord = coord),
                 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    for (int i = 0; i < 20; i++)
        CHECK(at[i] - before >= (20 - i) * 500 * OA_MICROSECOND); // never early
}

static void refuse(int expected, int drops, oa_spec_t spec)
{
    oa_task_t *task = (oa_task_t *)&ran;
    int before = atomic_load(&dropped);
    spec.task = &task;
    CHECK_EQ(oa_go_spec(&spec), expected);
    CHECK(task == NULL || spec.size < offsetof(oa_spec_t, coord));
    CHECK_EQ(atomic_load(&dropped) - before, drops);
}

static void refusals(void *arg)
{
    (void)arg;
    const oa_spec_t good = {.size = sizeof good, .fn = run, .drop = drop, .coord = coord};
    oa_spec_t spec;
    atomic_store(&ran, 0);
    CHECK_EQ(oa_go_spec(NULL), -EINVAL);
    spec = good, spec.size = 0, refuse(-EINVAL, 0, spec);
    spec = good, spec.size = 8, refuse(-EINVAL, 0, spec);
    spec = good, spec.fn = NULL, refuse(-EINVAL, 0, spec);
    spec = good, spec.copy = 8, refuse(-EINVAL, 1, spec);
    spec = good, spec.delay = -1, refuse(-EINVAL, 1, spec);
    spec = good, spec.stack = 1, refuse(-EINVAL, 1, spec);
    spec = good, spec.stack = SIZE_MAX, refuse(-EINVAL, 1, spec);
    oa_group_t group = OA_GROUP_INIT;
    CHECK_EQ(oa_group_cancel(&group), 0);
    spec = good, spec.group = &group, refuse(-ECANCELED, 1, spec);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(atomic_load(&ran), 0);
}

static void sizes(void *arg)
{
    (void)arg;
    struct {
        oa_spec_t spec;
        char more[24];
    } larger = {.spec = {.size = sizeof larger, .fn = run, .coord = coord}};
    oa_task_t *task;
    atomic_store(&ran, 0);
    larger.spec.task = &task;
    CHECK_EQ(oa_go_spec(&larger.spec), 0);
    CHECK_EQ(oa_join(task), 0);
    larger.more[23] = 1;
    CHECK_EQ(oa_go_spec(&larger.spec), -E2BIG);
    larger.spec.size = offsetof(oa_spec_t, delay);
    larger.spec.delay = -1; // beyond its size: not looked at
    CHECK_EQ(oa_go_spec(&larger.spec), 0);
    CHECK_EQ(oa_join(task), 0);
    CHECK_EQ(atomic_load(&ran), 2);
}

static void outside(void)
{
    oa_task_t *task = (oa_task_t *)&ran;
    atomic_store(&dropped, 0);
    CHECK_EQ(oa_go(run, .drop = drop, .task = &task), -EPERM);
    CHECK(task == NULL);
    CHECK_EQ(atomic_load(&dropped), 1);
}

int main(void)
{
    outside();
    everywhere(arguments);
    everywhere(copies);
    everywhere(names);
    everywhere(handles);
    everywhere(stacks);
    everywhere(delays);
    everywhere(refusals);
    everywhere(sizes);
    return 0;
}
