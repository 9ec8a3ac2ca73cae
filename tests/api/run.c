// SPDX-License-Identifier: BSD-2-Clause
// run.c - oa_run: what it runs and waits for, again and in parallel, and what it refuses.
// ctest: simulate
#include "support.h"

static atomic_int count;

static void add(void *arg)
{
    (void)arg;
    atomic_fetch_add(&count, 1);
}

static void spawn_all_kinds(void *arg)
{
    CHECK(arg == &count);
    CHECK(oa_coord() != NULL);
    CHECK(oa_self() != NULL);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(oa_go(add), 0);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(oa_go(add, .delay = i * 200 * OA_MICROSECOND), 0);
}

// It returns when no task is left; queued and delayed ones count.
static void returns_at_the_end(void)
{
    for (int round = 0; round < 20; round++) {
        atomic_store(&count, 0);
        CHECK_EQ(oa_run(spawn_all_kinds, &count), 0);
        CHECK_EQ(atomic_load(&count), 110);
    }
}

static pthread_t caller;
static atomic_bool caller_seen;

static void see_caller(void *arg)
{
    (void)arg;
    if (pthread_equal(pthread_self(), caller))
        atomic_store(&caller_seen, true);
}

// The calling thread is one of the workers: with one worker, the only one.
static void calling_thread_works(void)
{
    caller = pthread_self();
    CHECK_EQ(oa_run(see_caller, .max_workers = 1), 0);
    CHECK(atomic_load(&caller_seen));
}

static void workers_of(void *arg)
{
    int wanted = *(int *)arg;
    CHECK_EQ(oa_workers(NULL), wanted);
    CHECK_EQ(oa_workers(oa_coord()), wanted);
    int limit = oa_worker_limit(NULL);
    CHECK(limit >= wanted);
    CHECK_EQ(oa_worker_limit(oa_coord()), limit);
    for (int i = 0; i < 10; i++) {
        int id = oa_worker_id();
        CHECK(id >= 0 && id < limit);
        oa_yield();
    }
    CHECK_EQ(oa_worker_limit(NULL), limit);
}

static void workers_default(void *arg)
{
    (void)arg;
    long cpus = sysconf(_SC_NPROCESSORS_CONF);
    CHECK(oa_workers(NULL) >= 1 && oa_workers(NULL) <= cpus);
}

static void worker_numbers(void)
{
    for (int n = 1; n <= 5; n++)
        CHECK_EQ(oa_run(workers_of, &n, .max_workers = n), 0);
    unsetenv("OASYNC_WORKERS");
    CHECK_EQ(oa_run(workers_default), 0);
}

static atomic_int beneath[8];

static void alone_on_its_id(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++) {
        int id = oa_worker_id();
        CHECK_EQ(atomic_fetch_add(&beneath[id], 1), 0); // until the next wait it is ours alone
        for (int k = 0; k < 1000; k++)
            CHECK_EQ(oa_worker_id(), id);
        atomic_fetch_sub(&beneath[id], 1);
        oa_yield();
    }
}

static void spawn_on_ids(void *arg)
{
    (void)arg;
    CHECK(oa_worker_limit(NULL) <= 8);
    for (int i = 0; i < 50; i++)
        CHECK_EQ(oa_go(alone_on_its_id), 0);
}

static oa_sem_t parked, let_go;
static atomic_bool over;

static void park(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_release(&parked), 0);
    CHECK_EQ(oa_sem_acquire(&let_go), 0);
    atomic_store(&over, true);
}

static void let_it_go(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_acquire(&parked), 0);
    CHECK_EQ(oa_sleep(5 * OA_MILLISECOND), 0); // time to return in, wrongly
    CHECK_EQ(oa_sem_release(&let_go), 0);
}

// A parked task counts, whoever is to wake it.
static void waits_for_the_parked(void)
{
    struct thread thread;
    oa_sem_init(&parked, 0);
    oa_sem_init(&let_go, 0);
    thread_start(&thread, let_it_go, NULL);
    CHECK_EQ(oa_run(park), 0);
    CHECK(atomic_load(&over));
    thread_join(&thread);
}

static void run_in_task(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_run(nothing), -EPERM);
}

static void run_thread(void *arg)
{
    atomic_int *sum = arg;
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(oa_run(add, .max_workers = 1 + i % 2), 0);
        atomic_fetch_add(sum, 1);
    }
}

static void in_parallel(void)
{
    struct thread threads[4];
    atomic_int sum = 0;
    atomic_store(&count, 0);
    for (int i = 0; i < 4; i++)
        thread_start(&threads[i], run_thread, &sum);
    for (int i = 0; i < 4; i++)
        thread_join(&threads[i]);
    CHECK_EQ(atomic_load(&sum), 80);
    CHECK_EQ(atomic_load(&count), 80);
}

static void outside(void)
{
    CHECK(oa_coord() == NULL);
    CHECK(oa_self() == NULL);
    CHECK_EQ(oa_worker_id(), -1);
    CHECK_EQ(oa_workers(NULL), -EPERM);
    CHECK_EQ(oa_worker_limit(NULL), -EPERM);
    CHECK_EQ(oa_shutdown(NULL, OA_DRAIN), -EPERM);
    CHECK(!oa_cancelled());
    CHECK(!oa_shield(true));
    CHECK(!oa_shield(false));
    CHECK_EQ(oa_task_id(NULL), 0);
    CHECK(oa_task_name(NULL) == NULL);
    oa_yield();
}

static void refuse(int expected, oa_config_t config)
{
    config.log_level = OA_LOG_OFF;
    CHECK_EQ(oa_run_config(&config), expected);
}

static void refusals(void)
{
    const oa_config_t good = {.size = sizeof good, .fn = add};
    oa_config_t config;
    atomic_store(&count, 0);
    CHECK_EQ(oa_run_config(NULL), -EINVAL);
    config = good, config.fn = NULL, refuse(-EINVAL, config);
    config = good, config.size = 0, refuse(-EINVAL, config);
    config = good, config.size = 8, refuse(-EINVAL, config);
    config = good, config.max_workers = -1, refuse(-EINVAL, config);
    config = good, config.max_workers = 1 << 20, refuse(-EINVAL, config);
    config = good, config.max_workers = INT32_MIN, refuse(-EINVAL, config);
    config = good, config.stack_size = 1, refuse(-EINVAL, config);
    config = good, config.stack_size = SIZE_MAX, refuse(-EINVAL, config);
    config = good;
    config.log_level = 6;
    CHECK_EQ(oa_run_config(&config), -EINVAL);
    config.log_level = -1;
    CHECK_EQ(oa_run_config(&config), -EINVAL);
    CHECK_EQ(atomic_load(&count), 0);
}

// A larger struct is taken if what the library does not know is zero, a smaller one always.
static void sizes(void)
{
    struct {
        oa_config_t config;
        char more[40];
    } larger = {.config = {.size = sizeof larger, .fn = add}};
    atomic_store(&count, 0);
    CHECK_EQ(oa_run_config(&larger.config), 0);
    CHECK_EQ(atomic_load(&count), 1);
    larger.more[39] = 1;
    CHECK_EQ(oa_run_config(&larger.config), -E2BIG);
    CHECK_EQ(atomic_load(&count), 1);
    larger.config.size = offsetof(oa_config_t, max_workers);
    larger.config.max_workers = -1; // beyond its size: not looked at
    CHECK_EQ(oa_run_config(&larger.config), 0);
    CHECK_EQ(atomic_load(&count), 2);
}

static void odd_stack(void *arg)
{
    (void)arg;
    volatile char use[8000];
    use[0] = use[7999] = 1;
    oa_yield();
    CHECK_EQ(use[0] + use[7999], 2);
}

int main(void)
{
    outside();
    returns_at_the_end();
    calling_thread_works();
    CHECK_EQ(oa_run(run_in_task), 0);
    CHECK_EQ(oa_run(spawn_on_ids, .max_workers = 3), 0);
    if (!simulated()) { // with one worker, no other thread, and no error in the log
        worker_numbers();
        in_parallel();
        waits_for_the_parked();
        refusals();
    }
    sizes();
    CHECK_EQ(oa_run(odd_stack, .stack_size = 100001, .name = "a name that is rather long, even"),
             0);
    outside();
    return 0;
}
