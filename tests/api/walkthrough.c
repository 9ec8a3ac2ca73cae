// SPDX-License-Identifier: BSD-2-Clause
// walkthrough.c - sentences of the README's walkthrough that no other test would miss.
// ctest: simulate
#define _GNU_SOURCE 1
#include <dirent.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "api/support.h"

static atomic_int steps;
static oa_sem_t gate;

static void step(void *arg)
{
    (void)arg;
    atomic_fetch_add(&steps, 1);
}

static void never(void *arg)
{
    (void)arg;
    CHECK(false);
}

static oa_stats_t stats(oa_coord_t *of)
{
    oa_stats_t stats = OA_STATS_INIT;
    CHECK_EQ(oa_stats(of, &stats), 0);
    return stats;
}

// ---- Initialising -------------------------------------------------------------------------------

static int threads(void)
{
    int count = -2; // . and ..
    DIR *dir = opendir("/proc/self/task");
    CHECK(dir != NULL);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void note_tid(void *arg)
{
    *(int *)arg = (int)syscall(SYS_gettid);
}

// A sanitizer starts a thread of its own with the first, and the kernel takes a moment to forget
// one.
static void first_thread(void)
{
    struct thread thread;
    char path[64];
    int tid;
    thread_start(&thread, note_tid, &tid);
    thread_join(&thread);
    snprintf(path, sizeof path, "/proc/self/task/%d", tid);
    UNTIL(access(path, F_OK) != 0);
}

// "It lives until oa_wait is called and no task is left, or until a shutdown."
static void lives_until_a_shutdown(void)
{
    first_thread();
    for (int i = 0; i < 4; i++) {
        oa_coord_t *own;
        int before = threads();
        CHECK_EQ(oa_start(&own, nothing, .max_workers = 1 + i % 2), 0);
        UNTIL(stats(own).tasks_alive == 0);
        CHECK_EQ(oa_sleep(OA_MILLISECOND), 0); // time to end in, wrongly
        CHECK_EQ(threads(), before + 1 + i % 2);
        CHECK_EQ(oa_shutdown(own, i < 2 ? OA_DRAIN : OA_CANCEL), 0);
        UNTIL(threads() == before); // without an oa_wait
        CHECK_EQ(oa_wait(own), 0);
    }
}

static void note_workers(void *arg)
{
    *(int *)arg = oa_workers(NULL);
}

// "As many workers as CPUs that the process may use": with one CPU there is one.
static void one_cpu(void)
{
    cpu_set_t all, one;
    int workers = 0;
    if (sched_getaffinity(0, sizeof all, &all) != 0)
        return; // more CPUs than fit
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    unsetenv("OASYNC_WORKERS");
    CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    CHECK_EQ(oa_run(note_workers, &workers), 0);
    CHECK_EQ(workers, 1);
    CHECK_EQ(sched_setaffinity(0, sizeof all, &all), 0);
}

// ---- Timed tasks --------------------------------------------------------------------------------

// "Until then it has no stack", nor does it come to its gates: the delay is before all of them.
static void delayed(void *arg)
{
    enum { MANY = 300 };
    oa_group_t group = OA_GROUP_INIT;
    oa_latch_t latch = OA_LATCH_INIT(1);
    oa_barrier_t barrier = OA_BARRIER_INIT(2);
    oa_backpressure_t bp = OA_BACKPRESSURE_INIT(1, OA_LOSSLESS);
    oa_sem_t sem = OA_SEM_INIT(1);
    oa_mutex_t mutex = OA_MUTEX_INIT;
    (void)arg;
    CHECK_EQ(oa_go(never, .delay = OA_MINUTE, .latch = &latch, .group = &group, .coord = coord), 0);
    CHECK_EQ(oa_go(never, .delay = OA_MINUTE, .cb = &barrier, .group = &group, .coord = coord), 0);
    CHECK_EQ(oa_go(never, .delay = OA_MINUTE, .bp = &bp, .group = &group, .coord = coord), 0);
    CHECK_EQ(oa_go(never, .delay = OA_MINUTE, .sem = &sem, .group = &group, .coord = coord), 0);
    CHECK_EQ(oa_go(never, .delay = OA_MINUTE, .acq = &mutex, .group = &group, .coord = coord), 0);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(oa_go(never, .delay = OA_MINUTE, .group = &group, .coord = coord), 0);
    join(spawn(nothing, NULL));
    CHECK(stats(coord).tasks_alive >= MANY + 5);
    CHECK(stats(coord).stacks_in_use < 10); // those of the workers and of the case
    CHECK_EQ(oa_latch_wait_until(&latch, PAST), -ETIMEDOUT);
    CHECK_EQ(oa_barrier_destroy(&barrier), 0);
    CHECK_EQ(oa_backpressure_destroy(&bp), 0);
    CHECK_EQ(oa_sem_tryacquire(&sem), 0);
    CHECK_EQ(oa_mutex_trylock(&mutex), 0);
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    CHECK_EQ(oa_group_cancel(&group), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(oa_latch_wait_until(&latch, PAST), -ETIMEDOUT); // it has never arrived
}

// ---- From outside -------------------------------------------------------------------------------

static struct {
    atomic_int tid;
    oa_mutex_t mutex;
    oa_sem_t sem;
    oa_latch_t latch;
    oa_barrier_t barrier;
    oa_group_t group;
    oa_chan_t *empty, *full;
    oa_task_t *task; // ends when `gate` is opened
    oa_coord_t *own; // its one task, too
    oa_rwlock_t rwlock;
    oa_mutex_t changing;
    oa_cond_t changed;
    oa_once_t once;
} sleeper;

enum { WAYS = 13 };

static void select_outside(void)
{
    int item = 1;
    oa_case_t cases[] = {OA_RECV(sleeper.empty, &item), OA_SEND(sleeper.full, &item)};
    CHECK_EQ(oa_select(cases, 2), 0);
}

static void wait_for_change(void)
{
    CHECK_EQ(oa_mutex_lock(&sleeper.changing), 0);
    CHECK_EQ(oa_cond_wait(&sleeper.changed, &sleeper.changing), 0);
    CHECK_EQ(oa_mutex_unlock(&sleeper.changing), 0);
}

static void wait_outside(void *arg)
{
    int item = 1;
    atomic_store(&sleeper.tid, (int)syscall(SYS_gettid));
    switch (*(int *)arg) {
    case 0: CHECK_EQ(oa_sem_acquire(&sleeper.sem), 0); break;
    case 1:
        CHECK_EQ(oa_mutex_lock(&sleeper.mutex), 0);
        CHECK_EQ(oa_mutex_unlock(&sleeper.mutex), 0);
        break;
    case 2: CHECK_EQ(oa_latch_wait(&sleeper.latch), 0); break;
    case 3: CHECK_EQ(oa_barrier_wait(&sleeper.barrier), 0); break;
    case 4: CHECK_EQ(oa_chan_recv(sleeper.empty, &item), 0); break;
    case 5: CHECK_EQ(oa_chan_send(sleeper.full, &item), 0); break;
    case 6: CHECK_EQ(oa_join(sleeper.task), 0); break;
    case 7: CHECK_EQ(oa_group_wait(&sleeper.group), 0); break;
    case 8: CHECK_EQ(oa_wait(sleeper.own), 0); break;
    case 9:
        CHECK_EQ(oa_rwlock_wrlock(&sleeper.rwlock), 0);
        CHECK_EQ(oa_rwlock_unlock(&sleeper.rwlock), 0);
        break;
    case 10: wait_for_change(); break;
    case 11: CHECK_EQ(oa_once(&sleeper.once, never, NULL), 0); break;
    default: select_outside();
    }
}

static char state_of(int tid)
{
    char path[64], line[256] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    FILE *file = fopen(path, "re");
    CHECK(file != NULL && fgets(line, sizeof line, file) != NULL);
    fclose(file);
    const char *name_end = strrchr(line, ')');
    CHECK(name_end != NULL);
    return name_end[2];
}

static void pass_gate(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_acquire(&gate), 0);
}

static void call_once(void *arg)
{
    CHECK_EQ(oa_once(&sleeper.once, pass_gate, arg), 0);
}

static void let_go(int way)
{
    int item = 1;
    switch (way) {
    case 0: CHECK_EQ(oa_sem_release(&sleeper.sem), 0); break;
    case 1: CHECK_EQ(oa_mutex_unlock(&sleeper.mutex), 0); break;
    case 2: CHECK_EQ(oa_latch_arrive(&sleeper.latch), 0); break;
    case 3: CHECK_EQ(oa_barrier_wait(&sleeper.barrier), 1); break;
    case 4:
    case 12: CHECK_EQ(oa_chan_send(sleeper.empty, &item), 0); break;
    case 5: CHECK_EQ(oa_chan_recv(sleeper.full, &item), 0); break;
    case 9: CHECK_EQ(oa_rwlock_unlock(&sleeper.rwlock), 0); break;
    case 10: CHECK_EQ(oa_cond_signal(&sleeper.changed), 0); break;
    default: CHECK_EQ(oa_sem_release(&gate), 0);
    }
}

// Makes all that is waited for.
static void set_up(int way)
{
    int item = 1;
    oa_sem_init(&gate, 0);
    oa_sem_init(&sleeper.sem, 0);
    oa_mutex_init(&sleeper.mutex);
    oa_latch_init(&sleeper.latch, 1);
    oa_barrier_init(&sleeper.barrier, 2);
    oa_group_init(&sleeper.group);
    oa_rwlock_init(&sleeper.rwlock);
    oa_mutex_init(&sleeper.changing);
    oa_cond_init(&sleeper.changed);
    oa_once_init(&sleeper.once);
    sleeper.empty = oa_chan_make(sizeof item);
    sleeper.full = oa_chan_make(sizeof item, .capacity = 1);
    CHECK_EQ(oa_chan_put(sleeper.full, &item), 0);
    CHECK_EQ(oa_mutex_lock(&sleeper.mutex), 0);
    CHECK_EQ(oa_rwlock_rdlock(&sleeper.rwlock), 0);
    if (way == 6)
        sleeper.task = spawn(pass_gate, NULL);
    if (way == 7)
        CHECK_EQ(oa_go(pass_gate, .group = &sleeper.group, .coord = coord), 0);
    if (way == 8)
        CHECK_EQ(oa_start(&sleeper.own, pass_gate, .max_workers = 1), 0);
    if (way == 11) {
        uint64_t before = parks();
        CHECK_EQ(oa_go(call_once, .coord = coord), 0);
        UNTIL(parks() > before);
    }
    atomic_store(&sleeper.tid, 0);
}

// "A plain thread that waits sleeps in the kernel": it is seen asleep many times in a row.
static void sleeps_in_the_kernel(void)
{
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = 1), 0);
    for (int way = 0; way < WAYS; way++) {
        struct thread thread;
        set_up(way);
        thread_start(&thread, wait_outside, &way);
        UNTIL(atomic_load(&sleeper.tid) != 0);
        if (way == 10)
            UNTIL(oa_cond_destroy(&sleeper.changed) == -EBUSY);
        for (int asleep = 0; asleep < 20;) {
            CHECK_EQ(oa_sleep(100 * OA_MICROSECOND), 0);
            asleep = state_of(atomic_load(&sleeper.tid)) == 'S' ? asleep + 1 : 0;
        }
        let_go(way);
        thread_join(&thread);
        CHECK_EQ(oa_chan_free(sleeper.empty), 0);
        CHECK_EQ(oa_chan_free(sleeper.full), 0);
    }
    CHECK_EQ(oa_wait(coord), 0);
}

// ---- Blocking tasks -----------------------------------------------------------------------------

static void step_and_pass(void *arg)
{
    step(arg);
    pass_gate(arg);
}

// "64 by default": the next one waits until one of them has ended.
static void default_most(void)
{
    enum { DEFAULT = 64 };
    atomic_store(&steps, 0);
    oa_sem_init(&gate, 0);
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = 1), 0);
    for (int i = 0; i <= DEFAULT; i++)
        CHECK_EQ(oa_go(step_and_pass, .block = true, .coord = coord), 0);
    UNTIL(atomic_load(&steps) >= DEFAULT);
    CHECK_EQ(oa_sleep(20 * OA_MILLISECOND), 0); // time to begin in, wrongly
    CHECK_EQ(atomic_load(&steps), DEFAULT);
    CHECK_EQ(oa_sem_release(&gate), 0);
    UNTIL(atomic_load(&steps) == DEFAULT + 1);
    for (int i = 0; i < DEFAULT; i++)
        CHECK_EQ(oa_sem_release(&gate), 0);
    CHECK_EQ(oa_wait(coord), 0);
}

struct host {
    oa_latch_t latch;
    oa_barrier_t barrier;
    oa_local_t key;
    _Atomic int ran;
};

// Lets the host go when it waits.
static void partner(void *arg)
{
    struct host *host = arg;
    UNTIL(oa_latch_destroy(&host->latch) == -EBUSY);
    CHECK_EQ(oa_latch_arrive(&host->latch), 0);
    UNTIL(oa_barrier_destroy(&host->barrier) == -EBUSY);
    CHECK_EQ(oa_barrier_wait(&host->barrier), 1);
}

static void link_of_chain(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
}

static void called_for(void *elem)
{
    atomic_fetch_add((_Atomic int *)oa_context()->user_ptr, *(int *)elem);
}

// The calls that hosted.h does not make.
static void every_call(void *arg)
{
    static oa_fn *const fns[] = {link_of_chain, link_of_chain};
    struct host *host = arg;
    pthread_t thread = pthread_self();
    oa_task_t *task = NULL;
    int item = 40;
    CHECK_EQ(oa_worker_id(), simulated() ? 0 : -1);
    CHECK_EQ(oa_go(partner, host, .task = &task), 0);
    CHECK_EQ(oa_latch_wait(&host->latch), 0);
    CHECK_EQ(oa_barrier_wait(&host->barrier), 0);
    join(task);
    CHECK_EQ(oa_chain(fns, 2, &host->ran, .task = &task), 0);
    join(task);
    oa_chan_t *ch = oa_chan_make(sizeof item);
    CHECK_EQ(oa_chan_consume(ch, called_for, &host->ran, .task = &task), 0);
    CHECK_EQ(oa_chan_send(ch, &item), 0);
    CHECK_EQ(oa_chan_close(ch), 0);
    join(task);
    CHECK_EQ(oa_chan_free(ch), 0);
    CHECK_EQ(atomic_load(&host->ran), 42);
    CHECK(stats(NULL).tasks_alive >= 1);
    CHECK_EQ(oa_local_set(host->key, &item), 0);
    CHECK(oa_local_get(host->key) == &item);
    CHECK_EQ(oa_local_set(host->key, NULL), 0);
    CHECK(oa_temp(1) != NULL && oa_context() != NULL);
    CHECK_EQ(oa_worker_id(), simulated() ? 0 : -1);
    CHECK(pthread_equal(thread, pthread_self())); // all those waits have blocked the thread
}

static void block_on_it(void *arg)
{
    CHECK_EQ(oa_block(every_call, arg), 0);
}

// "All three may make every call that a task may make."
static void hosted(void *arg)
{
    (void)arg;
    for (int way = 0; way < 3; way++) {
        struct host host = {OA_LATCH_INIT(1), OA_BARRIER_INIT(2), 0, 0};
        oa_task_t *task;
        CHECK_EQ(oa_local_create(&host.key, NULL), 0);
        CHECK_EQ(oa_go(way == 2 ? block_on_it : every_call, &host, .block = way == 0,
                       .pinned = way == 1, .task = &task, .coord = coord),
                 0);
        join(task);
        CHECK_EQ(oa_local_delete(host.key), 0);
    }
}

// ---- What a task has of its own -----------------------------------------------------------------

static void use_temp(void *arg)
{
    char *bytes = oa_temp(*(size_t *)arg);
    CHECK(bytes != NULL);
    *(volatile char *)bytes = 1;
    step(NULL);
}

// "Memory that is freed when the task has ended", and not with the coordinator: all of it together
// is more than the process may have.
static void temp_is_freed(void *arg)
{
    size_t size = 8 << 20;
    struct rlimit old, limit;
    unsigned long pages = 0;
    (void)arg;
    if (!test_under("native") && !test_under("debug"))
        return;
    FILE *file = fopen("/proc/self/statm", "re");
    CHECK(file != NULL && fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    CHECK_EQ(getrlimit(RLIMIT_AS, &old), 0);
    limit = old;
    limit.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + (1 << 30);
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    atomic_store(&steps, 0);
    for (int i = 0; i < 600; i++) {
        oa_task_t *task;
        CHECK_EQ(oa_go(use_temp, &size, .task = &task, .block = i % 4 == 3, .coord = coord), 0);
        join(task);
    }
    CHECK_EQ(atomic_load(&steps), 600);
    CHECK_EQ(setrlimit(RLIMIT_AS, &old), 0);
}

// ---- Last touch of gates ------------------------------------------------------------------------

struct gates {
    oa_latch_t latch;
    oa_barrier_t barrier;
    oa_backpressure_t bp;
    oa_sem_t sem;
    oa_mutex_t mutex;
};

// "Who has been let go may free [it] at once. The same holds for all that follows": here it is who
// has waited for the tasks behind the gates.
static void gates_last_touch(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        struct gates *gates = malloc(sizeof *gates);
        oa_group_t group = OA_GROUP_INIT;
        oa_task_t *tasks[2];
        CHECK(gates != NULL);
        oa_latch_init(&gates->latch, 2);
        oa_barrier_init(&gates->barrier, 2);
        oa_backpressure_init(&gates->bp, 1, OA_LOSSLESS);
        oa_sem_init(&gates->sem, 1);
        oa_mutex_init(&gates->mutex);
        for (int k = 0; k < 2; k++)
            CHECK_EQ(oa_go(nothing, .latch = &gates->latch, .cb = &gates->barrier,
                           .bp = i % 3 ? &gates->bp : NULL, .sem = i % 3 != 1 ? &gates->sem : NULL,
                           .acq = &gates->mutex, .task = i % 2 ? &tasks[k] : NULL,
                           .group = i % 2 ? NULL : &group, .coord = coord),
                     0);
        for (int k = 1; i % 2 && k >= 0; k--)
            join(tasks[k]);
        CHECK_EQ(oa_group_wait(&group), 0);
        memset(gates, 0xee, sizeof *gates);
        free(gates);
    }
}

// ---- Channels and consumers ---------------------------------------------------------------------

static void make_and_put(void *arg)
{
    oa_chan_t *ch = oa_chan_make(sizeof(int), .capacity = OA_UNBOUNDED);
    for (int i = 0; i < 300; i++)
        CHECK_EQ(oa_chan_send(ch, &i), 0);
    *(oa_chan_t **)arg = ch;
}

static void take_and_put(void *arg)
{
    for (int i = 0, item = -1; i < 300; i++) {
        CHECK_EQ(oa_chan_recv(arg, &item), 0);
        CHECK_EQ(item, i);
        CHECK_EQ(oa_chan_send(arg, &i), 0);
    }
}

static void free_it(void *arg)
{
    CHECK_EQ(oa_chan_free(arg), 0);
}

// "A channel belongs to no runtime": it outlives the one that it was made in.
static void belongs_to_no_runtime(void)
{
    oa_chan_t *ch = NULL;
    CHECK_EQ(oa_run(make_and_put, &ch, .max_workers = 1), 0);
    CHECK_EQ(oa_run(take_and_put, ch, .max_workers = 2), 0);
    take_and_put(ch);
    CHECK_EQ(oa_chan_len(ch), 300);
    CHECK_EQ(oa_run(free_it, ch, .max_workers = 1), 0);
}

static void overwrite(void *elem)
{
    CHECK_EQ(*(int *)elem, 7);
    CHECK((void *)elem != oa_context()->user_ptr);
    *(int *)elem = 0;
    step(NULL);
}

// "With a pointer to its own copy of it": what is done to it the sender does not see.
static void own_copy(void *arg)
{
    (void)arg;
    for (size_t capacity = 0; capacity < 3; capacity++) {
        int item = 7;
        oa_task_t *task;
        oa_chan_t *ch = oa_chan_make(sizeof item, .capacity = capacity);
        atomic_store(&steps, 0);
        CHECK_EQ(oa_chan_consume(ch, overwrite, &item, .task = &task, .coord = coord), 0);
        for (int i = 0; i < 20; i++)
            CHECK_EQ(oa_chan_send(ch, &item), 0);
        CHECK_EQ(oa_chan_close(ch), 0);
        join(task);
        CHECK_EQ(atomic_load(&steps), 20);
        CHECK_EQ(item, 7);
        CHECK_EQ(oa_chan_free(ch), 0);
    }
}

// ---- Deadlines ----------------------------------------------------------------------------------

static void send_7(void *arg)
{
    int item = 7;
    CHECK_EQ(oa_chan_send(arg, &item), 0);
}

static void receive_7(void *arg)
{
    int item = 0;
    CHECK_EQ(oa_chan_recv(arg, &item), 0);
    CHECK_EQ(item, 7);
}

// "A deadline in the past means: try once": whoever waits on the other side is met.
static void tries_once(void *arg)
{
    oa_chan_t *ch = oa_chan_make(sizeof(int));
    int item = 0;
    (void)arg;
    uint64_t before = parks();
    oa_task_t *task = spawn(send_7, ch);
    UNTIL(parks() > before);
    CHECK_EQ(oa_chan_recv_until(ch, &item, PAST), 0);
    CHECK_EQ(item, 7);
    join(task);
    before = parks();
    task = spawn(receive_7, ch);
    UNTIL(parks() > before);
    CHECK_EQ(oa_chan_send_until(ch, &item, PAST), 0);
    join(task);
    CHECK_EQ(oa_chan_free(ch), 0);
}

// And a runtime without a task is over.
static void waits_once(void *arg)
{
    oa_coord_t *own;
    (void)arg;
    CHECK_EQ(oa_start(&own, nothing, .max_workers = 1), 0);
    UNTIL(stats(own).tasks_alive == 0);
    CHECK_EQ(oa_wait_until(own, PAST), 0);
}

// ---- Statistics ---------------------------------------------------------------------------------

static void be_stolen(void *arg)
{
    atomic_store((atomic_bool *)arg, true);
}

// Spawns one and keeps its worker until that has run on the other one.
static void keep_worker(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++) {
        atomic_bool stolen = false;
        CHECK_EQ(oa_go(be_stolen, &stolen), 0);
        while (!atomic_load(&stolen))
            ;
    }
    CHECK(stats(NULL).steals >= 10);
}

static void alone(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    for (int i = 0; i < 100; i++)
        CHECK_EQ(oa_go(nothing, .group = &group), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(stats(NULL).steals, 0);
}

int main(void)
{
    everywhere(delayed);
    everywhere(hosted);
    everywhere(gates_last_touch);
    belongs_to_no_runtime();
    everywhere(own_copy);
    everywhere(tries_once);
    CHECK_EQ(oa_run(alone, .max_workers = 1), 0);
    if (simulated())
        return 0; // with one thread, and without what the rest is about
    lives_until_a_shutdown();
    one_cpu();
    sleeps_in_the_kernel();
    default_most();
    everywhere(temp_is_freed);
    everywhere(waits_once);
    CHECK_EQ(oa_run(keep_worker, .max_workers = 2), 0);
    return 0;
}
