// SPDX-License-Identifier: BSD-2-Clause
// simulate.c - simulation: the same seed is the same run, what is planted is found, what a thread
// outside does is told.
#include <errno.h>
#include <inttypes.h>

#include "simulate.h"
#include "support.h"

// So many seeds of a planted error, some of which must show it.
static int seeds(void)
{
    return 20 + (int)test_scale(180);
}

// ---- The same seed is the same run --------------------------------------------------------------

struct work {
    oa_mutex_t mutex;
    oa_sem_t sem;
    oa_chan_t *ch;
    oa_group_t group;
    uint64_t order; // in which the workers came
};

static struct work *work;

static void worker(void *arg)
{
    int number = *(int *)arg;
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(oa_sem_acquire(&work->sem), 0);
        CHECK_EQ(oa_mutex_lock(&work->mutex), 0);
        work->order = work->order * 31 + (uint64_t)number;
        CHECK_EQ(oa_mutex_unlock(&work->mutex), 0);
        CHECK_EQ(oa_sem_release(&work->sem), 0);
        int64_t value = i;
        oa_case_t cases[] = {OA_SEND(work->ch, &value), OA_RECV(work->ch, NULL)};
        CHECK(oa_select_until(cases, 2, oa_after(OA_MILLISECOND)) >= -ETIMEDOUT);
        if (i % 2)
            oa_yield();
    }
    CHECK_EQ(oa_sleep(OA_SECOND), 0);
}

static void all_kinds(void *arg)
{
    work = arg;
    *work = (struct work){OA_MUTEX_INIT, OA_SEM_INIT(2), oa_chan_make(8), OA_GROUP_INIT, 0};
    for (int i = 0; i < 6; i++)
        CHECK_EQ(oa_go(worker, oa_val((int){i}), .group = &work->group, .block = i == 3,
                       .pinned = i == 4),
                 0);
    CHECK_EQ(oa_group_wait(&work->group), 0);
    CHECK_EQ(oa_chan_free(work->ch), 0);
}

static void same_seed_same_run(void)
{
    uint64_t first_order = 0, orders = 0;
    for (uint64_t seed = 1; seed <= few_seeds(); seed++) {
        struct log log, again;
        struct work first, second;
        CHECK_EQ(simulate(seed, all_kinds, &first, &log), 0);
        CHECK_EQ(simulate(seed, all_kinds, &second, &again), 0);
        if (seed == 1)
            first_order = first.order;
        orders += first.order != first_order;
        CHECK(first.order == second.order);
        CHECK_EQ(again.lines, log.lines);
        CHECK(again.digest == log.digest);
        CHECK_EQ(log.warnings, 0);
        CHECK(log.lines > 20);
    }
    CHECK(orders > few_seeds() / 5 * 4); // other seeds are other runs
}

// ---- Blocking and pinned tasks are as others ----------------------------------------------------

static void sees_one_thread(void *arg)
{
    CHECK(pthread_equal(pthread_self(), *(pthread_t *)arg));
    CHECK_EQ(oa_worker_id(), 0);
}

static void blocks(void *arg)
{
    pthread_t self = pthread_self();
    (void)arg;
    CHECK_EQ(oa_workers(NULL), 1);
    oa_group_t group = OA_GROUP_INIT;
    CHECK_EQ(oa_go(sees_one_thread, &self, .block = true, .group = &group), 0);
    CHECK_EQ(oa_go(sees_one_thread, &self, .pinned = true, .group = &group), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(oa_block(sees_one_thread, &self), 0);
    oa_task_t *task;
    CHECK_EQ(oa_go(sees_one_thread, &self, .block = true, .delay = OA_SECOND, .task = &task), 0);
    CHECK_EQ(oa_join(task), 0);
}

static void one_thread(void)
{
    struct log log;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        CHECK_EQ(simulate(seed, blocks, NULL, &log), 0);
        CHECK_EQ(log.warnings, 0);
    }
}

// ---- errno --------------------------------------------------------------------------------------

static void spoils_errno(void *arg)
{
    oa_mutex_t *mutex = arg;
    for (int i = 0; i < 20; i++) {
        errno = i;
        CHECK_EQ(oa_mutex_lock(mutex), 0);
        CHECK_EQ(errno, i);
        errno = i + 100;
        CHECK_EQ(oa_mutex_unlock(mutex), 0);
        CHECK_EQ(errno, i + 100);
    }
}

static void errno_in_two(void *arg)
{
    // Each has a mutex of its own: none waits, but others run at the points.
    oa_mutex_t mutexes[3] = {OA_MUTEX_INIT, OA_MUTEX_INIT, OA_MUTEX_INIT};
    oa_group_t group = OA_GROUP_INIT;
    (void)arg;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(oa_go(spoils_errno, &mutexes[i], .group = &group), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
}

static void errno_is_kept(void)
{
    struct log log;
    for (uint64_t seed = 1; seed <= 20; seed++)
        CHECK_EQ(simulate(seed, errno_in_two, NULL, &log), 0);
}

// ---- Planted errors -----------------------------------------------------------------------------

static oa_mutex_t a, b;
static oa_cond_t changed;
static int counter;
static bool ready;

static void add_one(void *arg)
{
    (void)arg;
    oa_mutex_lock(&a);
    int seen = counter;
    oa_mutex_unlock(&a);
    oa_mutex_lock(&a);
    counter = seen + 1;
    oa_mutex_unlock(&a);
}

static void lost_update(void *arg)
{
    oa_group_t group = OA_GROUP_INIT;
    (void)arg;
    counter = 0;
    for (int i = 0; i < 2; i++)
        CHECK_EQ(oa_go(add_one, .group = &group), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
}

// The look is not under the mutex: what changes between it and the wait is missed.
static void waits_late(void *arg)
{
    (void)arg;
    oa_mutex_lock(&a);
    bool waits = !ready;
    oa_mutex_unlock(&a);
    oa_mutex_lock(&a);
    if (waits)
        oa_cond_wait(&changed, &a);
    oa_mutex_unlock(&a);
}

static void lost_wake(void *arg)
{
    (void)arg;
    ready = false;
    oa_task_t *task;
    CHECK_EQ(oa_go(waits_late, .task = &task), 0);
    oa_mutex_lock(&a);
    ready = true;
    oa_cond_signal(&changed);
    oa_mutex_unlock(&a);
    CHECK_EQ(oa_join(task), 0);
}

static void take_two(oa_mutex_t *first, oa_mutex_t *second)
{
    oa_mutex_lock(first);
    if (oa_mutex_lock(second) == 0)
        oa_mutex_unlock(second);
    oa_mutex_unlock(first);
}

static void a_then_b(void *arg)
{
    (void)arg;
    take_two(&a, &b);
}

static void b_then_a(void *arg)
{
    (void)arg;
    take_two(&b, &a);
}

static void lock_order(void *arg)
{
    oa_group_t group = OA_GROUP_INIT;
    (void)arg;
    CHECK_EQ(oa_go(a_then_b, .group = &group, .name = "one"), 0);
    CHECK_EQ(oa_go(b_then_a, .group = &group, .name = "other"), 0);
    oa_group_wait(&group);
}

// How many seeds show what is planted; what the first of them has logged is in *log.
static int shown(oa_fn *fn, int expected, bool (*shows)(void), struct log *log)
{
    int found = 0;
    for (int seed = 1; seed <= seeds(); seed++) {
        struct log own;
        oa_mutex_init(&a);
        oa_mutex_init(&b);
        oa_cond_init(&changed);
        int err = simulate((uint64_t)seed, fn, NULL, &own);
        CHECK(err == 0 || err == -EDEADLK);
        bool failed = shows ? shows() : err == expected;
        if (failed && found++ == 0)
            *log = own;
    }
    return found;
}

static bool update_was_lost(void)
{
    return counter != 2;
}

static void planted(void)
{
    struct log log;
    int found = shown(lost_update, 0, update_was_lost, &log);
    printf("lost update: %d of %d seeds\n", found, seeds());
    CHECK(found > 0 && found < seeds());
}

static void planted_deadlocks(void)
{
    struct log log;
    int found = shown(lost_wake, -EDEADLK, NULL, &log);
    printf("lost wake-up: %d of %d seeds\n%s", found, seeds(), log.errors);
    CHECK(found > 0 && found < seeds());
    CHECK(strstr(log.errors, "waits in oa_cond_wait") != NULL);
    CHECK(strstr(log.errors, "waits in oa_join for task 2") != NULL);
    found = shown(lock_order, -EDEADLK, NULL, &log);
    printf("lock order: %d of %d seeds\n%s", found, seeds(), log.errors);
    CHECK(found > 0 && found < seeds());
    CHECK(strstr(log.errors, "(one, ") != NULL && strstr(log.errors, "(other, ") != NULL);
    CHECK(strstr(log.errors, "a circle: task ") != NULL);
}

// ---- What fails only while another holds it -----------------------------------------------------

static oa_rwlock_t rwlock;
static oa_sem_t permit;
static int busy[5]; // of each kind, over all seeds

static void holds_all_for_a_moment(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_mutex_lock(&a), 0);
    CHECK_EQ(oa_mutex_unlock(&a), 0);
    CHECK_EQ(oa_rwlock_wrlock(&rwlock), 0);
    CHECK_EQ(oa_rwlock_unlock(&rwlock), 0);
    CHECK_EQ(oa_sem_acquire(&permit), 0);
    CHECK_EQ(oa_sem_release(&permit), 0);
}

static void tries_all(void *arg)
{
    oa_task_t *task;
    (void)arg;
    CHECK_EQ(oa_go(holds_all_for_a_moment, .task = &task), 0);
    int err[] = {
        oa_mutex_trylock(&a),         oa_mutex_lock_until(&b, oa_now()),
        oa_rwlock_tryrdlock(&rwlock), oa_rwlock_trywrlock(&rwlock),
        oa_sem_tryacquire(&permit),
    };
    CHECK_EQ(err[1], 0);
    CHECK_EQ(oa_mutex_unlock(&b), 0);
    CHECK(err[4] == 0 || err[4] == -EAGAIN);
    for (int i = 0; i < 5; i++)
        busy[i] += err[i] != 0;
    if (err[0] == 0)
        CHECK_EQ(oa_mutex_unlock(&a), 0);
    if (err[2] == 0)
        CHECK_EQ(oa_rwlock_unlock(&rwlock), 0);
    if (err[3] == 0)
        CHECK_EQ(oa_rwlock_unlock(&rwlock), 0);
    if (err[4] == 0)
        CHECK_EQ(oa_sem_release(&permit), 0);
    CHECK_EQ(oa_join(task), 0);
}

static void tries_fail(void)
{
    struct log log;
    for (uint64_t seed = 1; seed <= 200; seed++) { // few show it
        oa_mutex_init(&a);
        oa_mutex_init(&b);
        oa_rwlock_init(&rwlock);
        oa_sem_init(&permit, 1);
        CHECK_EQ(simulate(seed, tries_all, NULL, &log), 0);
    }
    CHECK(busy[0] > 0 && busy[2] > 0 && busy[4] > 0);
    CHECK(busy[3] > busy[2]); // the caller itself reads, where it could
}

// ---- Outside ------------------------------------------------------------------------------------

static void waits_for_a_thread(void *arg)
{
    CHECK_EQ(oa_sem_acquire(arg), 0);
    CHECK_EQ(oa_sem_acquire(arg), 0);
}

static void release_later(void *arg)
{
    for (int i = 0; i < 2; i++) {
        usleep(20000);
        CHECK_EQ(oa_sem_release(arg), 0);
    }
}

// While there is another thread nothing is a deadlock, and what it does is told of once.
static void outside_is_told(void)
{
    struct log log;
    oa_sem_t sem = OA_SEM_INIT(0);
    struct thread thread;
    thread_start(&thread, release_later, &sem);
    CHECK_EQ(simulate(1, waits_for_a_thread, &sem, &log), 0);
    thread_join(&thread);
    CHECK_EQ(log.warnings, 1);
    CHECK(strcmp(log.errors, "") == 0);
}

// The log function of a run may ask for a task, also for the one that a thread outside cancels.
static struct named {
    _Atomic(oa_task_t *) task;
    atomic_bool told;
} named;

static void sleeps_until_cancelled(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sleep(OA_FOREVER), -ECANCELED);
}

static void has_a_name(void *arg)
{
    oa_task_t *task;
    (void)arg;
    CHECK_EQ(oa_go(sleeps_until_cancelled, .task = &task, .name = "sleeper"), 0);
    atomic_store(&named.task, task);
    CHECK_EQ(oa_join(task), 0);
}

static void ask_name(void *arg, int level, const char *line)
{
    struct named *asked = arg;
    CHECK_EQ(level, OA_LOG_WARN);
    CHECK(strstr(line, "a thread that is no task of it acts on it") != NULL);
    const char *name = oa_task_name(atomic_load(&asked->task));
    CHECK(name != NULL);
    if (!test_under("tsan")) // to which this and the task's end are a race
        CHECK(strcmp(name, "sleeper") == 0);
    CHECK(!atomic_exchange(&asked->told, true));
}

static void log_of_the_outside(void)
{
    oa_stats_t stats = OA_STATS_INIT;
    CHECK_EQ(oa_start(&coord, has_a_name, .simulate = 2, .log = ask_name, .log_arg = &named,
                      .log_level = OA_LOG_WARN),
             0);
    while (stats.parks < 2) { // both wait
        oa_yield();
        CHECK_EQ(oa_stats(coord, &stats), 0);
    }
    CHECK_EQ(oa_cancel(atomic_load(&named.task)), 0);
    CHECK_EQ(oa_wait(coord), 0);
    CHECK(atomic_load(&named.told));
}

// ---- The environment ----------------------------------------------------------------------------

static void count_one(void *arg)
{
    ++*(int *)arg;
    CHECK_EQ(oa_workers(NULL), 1);
    CHECK(oa_now() < 2 * OA_SECOND);
}

static void of_the_environment(void)
{
    int count = 0;
    struct log log = {.lines = 0};
    CHECK_EQ(setenv("OASYNC_SIMULATE", "17", 1), 0);
    CHECK_EQ(oa_run(count_one, &count, .max_workers = 2, .log = take_line, .log_arg = &log,
                    .log_level = OA_LOG_INFO),
             0);
    CHECK_EQ(count, 1);
    CHECK_EQ(log.lines, 2);
    const char *bad[] = {"", "x", "1x", "-1", "0"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_EQ(setenv("OASYNC_SIMULATE", bad[i], 1), 0);
        memset(&log, 0, sizeof log);
        CHECK_EQ(oa_run(nothing, .log = take_line, .log_arg = &log, .log_level = OA_LOG_INFO), 0);
        CHECK_EQ(log.lines, 0);
    }
    CHECK_EQ(unsetenv("OASYNC_SIMULATE"), 0);
}

int main(void)
{
    bool told = alone();
    same_seed_same_run();
    one_thread();
    if (!test_under("tsan")) // to which tasks race for what is their thread's
        errno_is_kept();
    outside_is_told();
    log_of_the_outside();
    of_the_environment();
    planted();
    tries_fail();
    if (told)
        planted_deadlocks();
    return 0;
}
