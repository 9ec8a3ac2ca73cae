// SPDX-License-Identifier: BSD-2-Clause
// start.c - oa_start and oa_wait: each start has one wait, which leaves nothing behind.
#include <dirent.h>

#include "support.h"

static atomic_int count;

static void add(void *arg)
{
    (void)arg;
    atomic_fetch_add(&count, 1);
}

static int entries(const char *path)
{
    int n = 0;
    DIR *dir = opendir(path);
    CHECK(dir != NULL);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static void see_coord(void *arg)
{
    CHECK(oa_coord() == *(oa_coord_t **)arg); // stored before the task could run
    atomic_fetch_add(&count, 1);
}

// The threads and descriptors of before, after every wait.
static void leaves_nothing(void)
{
    CHECK_EQ(oa_run(nothing, .max_workers = 2), 0); // a sanitizer starts a thread with the first
    int threads = entries("/proc/self/task");
    int descriptors = entries("/proc/self/fd");
    atomic_store(&count, 0);
    for (int i = 0; i < 50; i++) {
        oa_coord_t *c = NULL;
        CHECK_EQ(oa_start(&c, see_coord, &c, .max_workers = 1 + i % 3), 0);
        CHECK_EQ(oa_go(add, .coord = c), 0);
        CHECK_EQ(oa_wait(c), 0);
        UNTIL(entries("/proc/self/task") <= threads); // the kernel takes a moment to forget one
        CHECK_EQ(entries("/proc/self/fd"), descriptors);
    }
    CHECK_EQ(atomic_load(&count), 100);
}

// The runtime lives until it is waited for, also without a task.
static void lives_on(void)
{
    oa_coord_t *c;
    atomic_store(&count, 0);
    CHECK_EQ(oa_start(&c, add), 0);
    for (int i = 1; i <= 10; i++) {
        UNTIL(atomic_load(&count) == i);
        CHECK_EQ(oa_go(add, .coord = c), 0);
    }
    CHECK(oa_workers(c) >= 1);
    CHECK(oa_worker_limit(c) >= oa_workers(c));
    CHECK_EQ(oa_wait(c), 0);
    CHECK_EQ(atomic_load(&count), 11);
}

static void hold(void *arg)
{
    CHECK_EQ(oa_sem_acquire(arg), 0);
}

static void deadlines(void)
{
    oa_coord_t *c;
    oa_sem_t gate = OA_SEM_INIT(0);
    CHECK_EQ(oa_start(&c, hold, &gate), 0);
    CHECK_EQ(oa_wait_until(c, PAST), -ETIMEDOUT);
    CHECK_EQ(oa_wait_until(c, 0), -ETIMEDOUT);
    CHECK_EQ(oa_wait_until(c, SOON), -ETIMEDOUT);
    CHECK_EQ(oa_go(add, .coord = c), 0); // it is still there
    CHECK_EQ(oa_sem_release(&gate), 0);
    CHECK_EQ(oa_wait_until(c, LATE), 0);
}

// A wait that gave up changes nothing: the runtime still lives without a task.
static void lives_on_after_a_timeout(void)
{
    oa_coord_t *c;
    oa_sem_t gate = OA_SEM_INIT(0);
    atomic_store(&count, 0);
    CHECK_EQ(oa_start(&c, hold, &gate), 0);
    CHECK_EQ(oa_wait_until(c, SOON), -ETIMEDOUT);
    CHECK_EQ(oa_sem_release(&gate), 0);
    oa_stats_t stats = OA_STATS_INIT;
    do {
        oa_yield();
        CHECK_EQ(oa_stats(c, &stats), 0);
    } while (stats.tasks_alive);
    CHECK_EQ(oa_sleep(OA_MILLISECOND), 0); // time to end in, wrongly
    CHECK_EQ(oa_go(add, .coord = c), 0);
    CHECK_EQ(oa_wait(c), 0);
    CHECK_EQ(atomic_load(&count), 1);
}

static void wait_for_own(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_wait(oa_coord()), -EDEADLK);
    CHECK_EQ(oa_wait_until(oa_coord(), LATE), -EDEADLK);
}

static void wait_for_other(void *arg)
{
    oa_coord_t *other;
    (void)arg;
    atomic_store(&count, 0);
    CHECK_EQ(oa_start(&other, add), 0);
    CHECK(other != oa_coord());
    CHECK_EQ(oa_go(add, .coord = other), 0);
    CHECK_EQ(oa_wait(other), 0);
    CHECK_EQ(atomic_load(&count), 2);
}

static oa_coord_t *held;

static void wait_cancelled(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_wait(held), -ECANCELED);
    CHECK_EQ(oa_wait_until(held, LATE), -ECANCELED);
}

// A cancelled wait leaves the coordinator as it was.
static void cancelled_wait(void *arg)
{
    oa_sem_t gate = OA_SEM_INIT(0);
    (void)arg;
    CHECK_EQ(oa_start(&held, hold, &gate), 0);
    uint64_t before = parks();
    oa_task_t *task = spawn(wait_cancelled, NULL);
    UNTIL(parks() > before);
    CHECK_EQ(oa_cancel(task), 0);
    join(task);
    CHECK_EQ(oa_go(add, .coord = held), 0);
    CHECK_EQ(oa_sem_release(&gate), 0);
    CHECK_EQ(oa_wait(held), 0);
}

static oa_coord_t *running;
static atomic_bool done;

static void let_wait(void *arg)
{
    (void)arg;
    running = oa_coord();
    UNTIL(atomic_load(&done));
}

static void wait_for_run(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_run(let_wait), 0);
}

// What oa_run made is not to be waited for.
static void not_started(void)
{
    struct thread thread;
    oa_coord_t *c = NULL;
    CHECK_EQ(oa_wait(NULL), -EINVAL);
    CHECK_EQ(oa_wait_until(NULL, LATE), -EINVAL);
    CHECK_EQ(oa_start(NULL, nothing), -EINVAL);
    c = (oa_coord_t *)&count;
    CHECK_EQ(oa_start(&c, NULL), -EINVAL);
    CHECK(c == NULL);
    c = (oa_coord_t *)&count;
    CHECK_EQ(oa_start(&c, nothing, .max_workers = -1, .log_level = OA_LOG_OFF), -EINVAL);
    CHECK(c == NULL);
    CHECK_EQ(oa_start_config(&c, NULL), -EINVAL);
    CHECK_EQ(oa_run(wait_for_own), 0);
    thread_start(&thread, wait_for_run, NULL);
    atomic_store(&done, true);
    thread_join(&thread);
}

int main(void)
{
    leaves_nothing();
    lives_on();
    deadlines();
    lives_on_after_a_timeout();
    in_tasks(wait_for_own);
    in_tasks(wait_for_other);
    everywhere(cancelled_wait);
    not_started();
    return 0;
}
