// SPDX-License-Identifier: BSD-2-Clause
// block.c - blocking tasks: a pool of threads, so many at most, first come, first served.
// ctest: simulate
#include "api/hosted.h"

enum { MOST = 3, MANY = 30 };

static atomic_int now, peak;

static void in_pool(void *arg)
{
    (void)arg;
    int inside = atomic_fetch_add(&now, 1) + 1;
    int seen_peak = atomic_load(&peak);
    while (inside > seen_peak && !atomic_compare_exchange_weak(&peak, &seen_peak, inside))
        continue;
    CHECK(inside <= MOST);
    if (atomic_fetch_add(&steps, 1) < MOST)
        UNTIL(atomic_load(&peak) == MOST); // so many there are, too
    atomic_fetch_sub(&now, 1);
}

// From inside, outside and after delays.
static void so_many(void *arg)
{
    (void)arg;
    oa_coord_t *own = coord;
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = 2, .max_blocking = MOST), 0);
    oa_group_t group = OA_GROUP_INIT;
    atomic_store(&steps, 0);
    atomic_store(&peak, 0);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(HOST(in_pool, NULL, .group = &group, .delay = i % 4 * 10), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(atomic_load(&peak), MOST);
    CHECK_EQ(oa_wait(coord), 0);
    coord = own;
}

static void in_order(void *arg)
{
    CHECK_EQ(atomic_fetch_add(&steps, 1), (int)(intptr_t)arg);
    oa_yield();
}

static void wait_first(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_acquire(&sem), 0);
}

// With one thread the order is seen.
static void fifo(void *arg)
{
    (void)arg;
    oa_coord_t *own = coord;
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = 1, .max_blocking = 1), 0);
    oa_task_t *dropped_task = NULL;
    oa_sem_init(&sem, 0);
    atomic_store(&steps, 0);
    atomic_store(&dropped, 0);
    CHECK_EQ(HOST(wait_first, NULL), 0);
    for (intptr_t i = 0; i < MANY; i++) {
        CHECK_EQ(HOST(in_order, (void *)i), 0);
        if (i == 5)
            CHECK_EQ(HOST(step, NULL, .task = &dropped_task, .drop = drop), 0);
    }
    CHECK_EQ(oa_cancel(dropped_task), 0); // it has not begun and never will, and is dropped at once
    CHECK_EQ(atomic_load(&dropped), 1);
    join(dropped_task);
    CHECK_EQ(oa_sem_release(&sem), 0);
    CHECK_EQ(oa_wait(coord), 0);
    CHECK_EQ(atomic_load(&steps), MANY);
    CHECK_EQ(atomic_load(&dropped), 1);
    coord = own;
}

// Sixty-four by default, all of which block their threads; the workers go on.
static void default_most(void *arg)
{
    enum { DEFAULT = 64 };
    (void)arg;
    oa_sem_init(&sem, 0);
    oa_group_t group = OA_GROUP_INIT;
    uint64_t before = parks();
    for (int i = 0; i < DEFAULT + 1; i++)
        CHECK_EQ(HOST(wait_first, NULL, .group = &group), 0);
    UNTIL(parks() >= before + DEFAULT);
    join(spawn(step, NULL));
    for (int i = 0; i < DEFAULT + 1; i++)
        CHECK_EQ(oa_sem_release(&sem), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
}

static void log_line(void *arg, int level, const char *line)
{
    CHECK(level == OA_LOG_ERROR && strstr(line, "max_blocking") != NULL);
    ++*(int *)arg;
}

static void bounds(void)
{
    int lines = 0;
    CHECK_EQ(oa_run(nothing, .max_blocking = -1, .log = log_line, .log_arg = &lines), -EINVAL);
    CHECK_EQ(oa_run(nothing, .max_blocking = 65537, .log = log_line, .log_arg = &lines), -EINVAL);
    CHECK_EQ(lines, 2);
    CHECK_EQ(oa_run(nothing, .max_blocking = 65536), 0);
}

int main(void)
{
    bounds();
    hosted_cases();
    everywhere(default_most);
    if (simulated())
        return 0; // with no pool
    so_many(NULL);
    fifo(NULL);
    in_tasks(so_many);
    in_tasks(fifo);
    return 0;
}
