// SPDX-License-Identifier: BSD-2-Clause
// every_task_once.c - no task is lost and none runs twice: spawned from tasks on two workers and
// from two plain threads.
// ctest: timeout=60 simulate=1
#include "stress/support.h"

enum { SOURCES = 4, BATCH = 1000 };

static oa_coord_t *coord;
static int64_t each; // how many tasks a source spawns
static atomic_uchar *runs;
static atomic_uint duplicates;

static void mark(void *arg)
{
    if (atomic_fetch_add(&runs[*(int64_t *)arg], 1) != 0)
        atomic_fetch_add(&duplicates, 1);
}

// Some wait a little on their way.
static void mark_late(void *arg)
{
    int64_t number = *(int64_t *)arg;
    if (number % 3 == 0)
        oa_yield();
    else
        CHECK_EQ(oa_sleep(number % 50 * OA_MICROSECOND), 0);
    mark(&number);
}

// A task that spawns the second half of its range, again and again.
static void split(void *arg)
{
    int64_t range[2];
    memcpy(range, arg, sizeof range);
    while (range[1] - range[0] > 1) {
        int64_t half[2] = {(range[0] + range[1]) / 2, range[1]};
        CHECK_EQ(oa_go(split, half, .copy = sizeof half), 0);
        range[1] = half[0];
    }
    mark(&range[0]);
}

static void source(void *arg)
{
    int64_t first = (intptr_t)arg * each;
    uint64_t random = (uint64_t)first + 1;
    for (int64_t i = first; i < first + each; i++) {
        oa_fn *fn = random_below(&random, 16) ? mark : mark_late;
        int64_t delay = random_below(&random, 64) ? 0 : OA_MICROSECOND;
        CHECK_EQ(oa_go(fn, oa_val(i), .coord = coord, .delay = delay), 0);
        if (i % BATCH == 0)
            oa_yield();
    }
}

static void tree(void *arg)
{
    int64_t range[2] = {(intptr_t)arg * each, ((intptr_t)arg + 1) * each};
    split(range);
}

static void drive(void *arg)
{
    struct thread threads[2];
    (void)arg;
    CHECK_EQ(oa_go(source, (void *)0, .coord = coord), 0);
    CHECK_EQ(oa_go(tree, (void *)1, .coord = coord), 0);
    thread_start(&threads[0], source, (void *)2);
    thread_start(&threads[1], source, (void *)3);
    thread_join(&threads[0]);
    thread_join(&threads[1]);
}

int main(void)
{
    each = test_scale(300000);
    runs = calloc((size_t)each * SOURCES, 1);
    CHECK(runs != NULL);
    beside(&coord, drive, NULL, 2);
    CHECK_EQ(atomic_load(&duplicates), 0);
    for (int64_t i = 0; i < each * SOURCES; i++)
        CHECK_EQ(atomic_load(&runs[i]), 1);
    free(runs);
    return 0;
}
