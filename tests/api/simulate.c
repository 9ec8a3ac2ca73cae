// SPDX-License-Identifier: BSD-2-Clause
// simulate.c - simulation: the same seed is the same run, time jumps, what is planted is found.
#include <errno.h>
#include <inttypes.h>

#include "support.h"

// So many seeds of a planted error, some of which must show it.
static int seeds(void)
{
    return 20 + (int)test_scale(180);
}

// So many of what each must show.
static uint64_t few_seeds(void)
{
    return 10 + (uint64_t)test_scale(40);
}

// What a run has logged at error level or below, and a digest of all lines.
struct log {
    char errors[2048];
    uint64_t digest;
    int lines, warnings;
};

static pthread_mutex_t logging = PTHREAD_MUTEX_INITIALIZER;

static void take_line(void *arg, int level, const char *line)
{
    struct log *log = arg;
    CHECK_EQ(pthread_mutex_lock(&logging), 0);
    log->lines++;
    log->warnings += level == OA_LOG_WARN;
    for (const char *c = line; *c; c++)
        log->digest = (log->digest ^ (unsigned char)*c) * UINT64_C(1099511628211);
    if (level == OA_LOG_ERROR) {
        size_t length = strlen(log->errors);
        snprintf(log->errors + length, sizeof log->errors - length, "%s\n", line);
    }
    CHECK_EQ(pthread_mutex_unlock(&logging), 0);
}

// Runs fn under a seed; all that is logged goes into *log.
static int simulate(uint64_t seed, oa_fn *fn, void *arg, struct log *log)
{
    memset(log, 0, sizeof *log);
    return oa_run(fn, arg, .simulate = seed, .log = take_line, .log_arg = log,
                  .log_level = OA_LOG_DEBUG);
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

// ---- Time ---------------------------------------------------------------------------------------

static void sleeps(void *arg)
{
    (void)arg;
    int64_t before = oa_now();
    CHECK_EQ(before, oa_now() - 100); // told: a look takes so long
    CHECK_EQ(oa_sleep(1000 * 3600 * OA_SECOND), 0);
    CHECK(oa_now() - before >= 1000 * 3600 * OA_SECOND);
    CHECK(oa_now() - before < 1001 * 3600 * OA_SECOND);
    // A loop that waits for the clock ends.
    int64_t end = oa_after(OA_MILLISECOND);
    while (oa_now() < end)
        oa_yield();
    oa_sem_t none = OA_SEM_INIT(0);
    CHECK_EQ(oa_sem_acquire_until(&none, oa_after(3600 * OA_SECOND)), -ETIMEDOUT);
    CHECK_EQ(oa_go(nothing, .delay = 86400 * OA_SECOND), 0);
}

static void sleep_and_tell(void *arg)
{
    CHECK_EQ(oa_sleep(OA_SECOND), 0);
    atomic_store((atomic_bool *)arg, true);
}

// Nor does one keep the clock where it is that waits for a sleeper.
static void polls(void *arg)
{
    atomic_bool awake = false;
    (void)arg;
    CHECK_EQ(oa_go(sleep_and_tell, &awake), 0);
    while (!atomic_load(&awake))
        oa_yield();
}

static int64_t real_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * OA_SECOND + now.tv_nsec;
}

static void time_jumps(void)
{
    struct log log;
    int64_t before = real_now(), outside = oa_now();
    CHECK(outside - before < 3600 * OA_SECOND && outside >= before);
    CHECK_EQ(simulate(3, sleeps, NULL, &log), 0);
    CHECK(real_now() - before < 3600 * OA_SECOND);
    CHECK(strcmp(log.errors, "") == 0);
    for (uint64_t seed = 1; seed <= 2; seed++)
        CHECK_EQ(simulate(seed, polls, NULL, &log), 0);
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

// ---- Deadlocks ----------------------------------------------------------------------------------

struct circle {
    atomic_int count, broken;
    oa_task_t *spawned[3];
};

struct stuck {
    int locked, received, slept, dropped;
    oa_mutex_t mutex;
    oa_chan_t *ch;
};

static void never(void *arg)
{
    (void)arg;
    CHECK(false);
}

static void locks(void *arg)
{
    struct stuck *stuck = arg;
    stuck->locked = oa_mutex_lock(&stuck->mutex);
}

static void receives(void *arg)
{
    struct stuck *stuck = arg;
    CHECK_EQ(oa_shield(true), false);
    stuck->received = oa_chan_recv(stuck->ch, NULL);
    CHECK_EQ(oa_shield(false), true);
    stuck->slept = oa_sleep(OA_SECOND); // it was cancelled, too
}

static void count_drop(void *arg)
{
    ((struct stuck *)arg)->dropped++;
}

static void every_wait(void *arg)
{
    struct stuck *stuck = arg;
    oa_group_t group = OA_GROUP_INIT;
    oa_sem_t none = OA_SEM_INIT(0);
    CHECK_EQ(oa_mutex_lock(&stuck->mutex), 0);
    CHECK_EQ(oa_go(locks, stuck, .group = &group), 0);
    CHECK_EQ(oa_go(receives, stuck, .group = &group), 0);
    CHECK_EQ(oa_go(never, stuck, .drop = count_drop, .sem = &none, .group = &group), 0);
    // It guards this frame: it ends when the others have, for they are let go.
    CHECK_EQ(oa_group_wait(&group), -ECANCELED);
    CHECK_EQ(oa_mutex_unlock(&stuck->mutex), 0);
    CHECK_EQ(oa_go(nothing), -ESHUTDOWN);
}

// Three that join each other in a circle, and nothing else: those waits are broken.
static void joins_next(void *arg)
{
    struct circle *circle = arg;
    int own = 0;
    circle->count++;
    while (circle->count < 3)
        oa_yield();
    while (circle->spawned[own] != oa_self())
        own++;
    int err = oa_join(circle->spawned[(own + 1) % 3]);
    CHECK(err == 0 || err == -EDEADLK);
    circle->broken += err != 0;
}

static void join_in_a_circle(void *arg)
{
    struct circle *circle = arg;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(oa_go(joins_next, circle, .task = &circle->spawned[i]), 0);
}

static void joins_end(void)
{
    struct log log;
    for (uint64_t seed = 1; seed <= few_seeds(); seed++) {
        struct circle circle = {.count = 0};
        CHECK_EQ(simulate(seed, join_in_a_circle, &circle, &log), -EDEADLK);
        CHECK(circle.broken >= 1);
        CHECK(strstr(log.errors, "deadlock: 3 tasks wait for ever") != NULL);
        CHECK(strstr(log.errors, "a circle: task ") != NULL);
    }
}

static void deadlocks_end(void)
{
    struct log log;
    for (uint64_t seed = 1; seed <= few_seeds(); seed++) {
        struct stuck stuck = {.mutex = OA_MUTEX_INIT, .ch = oa_chan_make(0)};
        CHECK_EQ(simulate(seed, every_wait, &stuck, &log), -EDEADLK);
        CHECK_EQ(stuck.locked, -EDEADLK);
        CHECK_EQ(stuck.received, -EDEADLK);
        CHECK_EQ(stuck.slept, -ECANCELED);
        CHECK_EQ(stuck.dropped, 1);
        CHECK(strstr(log.errors, "is held at its semaphore") != NULL);
        CHECK(strstr(log.errors, "deadlock: 4 tasks wait for ever") != NULL);
        CHECK_EQ(oa_chan_free(stuck.ch), 0);
    }
}

static void in_a_thread_of_its_own(void)
{
    struct log log = {.lines = 0};
    oa_coord_t *own;
    struct stuck stuck = {.mutex = OA_MUTEX_INIT, .ch = oa_chan_make(0)};
    CHECK_EQ(oa_start(&own, every_wait, &stuck, .simulate = 5, .log = take_line, .log_arg = &log,
                      .log_level = OA_LOG_WARN),
             0);
    CHECK_EQ(oa_wait(own), 0);
    CHECK_EQ(stuck.locked, -EDEADLK);
    CHECK(strstr(log.errors, "deadlock: 4 tasks") != NULL);
    CHECK_EQ(log.warnings, 0);
    CHECK_EQ(oa_chan_free(stuck.ch), 0);
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

static void ends_soon(void *arg)
{
    (void)arg;
    usleep(20000);
}

static void waits_in_vain(void *arg)
{
    CHECK_EQ(oa_sem_acquire(arg), -EDEADLK);
}

// A thread that ends without a word leaves a deadlock behind.
static void outside_ends(void)
{
    struct log log;
    oa_sem_t sem = OA_SEM_INIT(0);
    struct thread thread;
    thread_start(&thread, ends_soon, NULL);
    CHECK_EQ(simulate(1, waits_in_vain, &sem, &log), -EDEADLK);
    thread_join(&thread);
    CHECK_EQ(log.warnings, 0);
    CHECK(strstr(log.errors, "deadlock: 1 task waits") != NULL);
}

// A deadlock is told only where the process is known to have no thread beside the simulation's: an
// emulator may have one of its own, or not tell.
static bool alone(void)
{
    char text[1024] = "";
    int threads = 0;
    FILE *file = fopen("/proc/self/stat", "re");
    CHECK(file != NULL && fgets(text, sizeof text, file) != NULL);
    fclose(file);
    const char *rest = strrchr(text, ')'); // behind the name; the 18th from there on
    for (int i = 0; i < 18 && rest != NULL; i++)
        rest = strchr(rest + 1, ' ');
    CHECK(rest != NULL && sscanf(rest, "%d", &threads) == 1);
    if (threads != 1)
        printf("skipped: deadlocks: at the start there are %d threads\n", threads);
    return threads == 1;
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
    time_jumps();
    one_thread();
    if (!test_under("tsan")) // to which tasks race for what is their thread's
        errno_is_kept();
    outside_is_told();
    of_the_environment();
    planted();
    tries_fail();
    if (!told)
        return 0;
    planted_deadlocks();
    deadlocks_end();
    joins_end();
    in_a_thread_of_its_own();
    outside_ends();
    return 0;
}
