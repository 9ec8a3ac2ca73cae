// SPDX-License-Identifier: BSD-2-Clause
// walkthrough_more.c - more sentences of the README's walkthrough, and of what a user must know,
// that no other test would miss.
// ctest: simulate
#define _GNU_SOURCE 1
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>

#include "api/support.h"

static atomic_int steps;
static oa_sem_t gate;

static void step(void *arg)
{
    (void)arg;
    atomic_fetch_add(&steps, 1);
}

static oa_stats_t stats(oa_coord_t *of)
{
    oa_stats_t stats = OA_STATS_INIT;
    CHECK_EQ(oa_stats(of, &stats), 0);
    return stats;
}

// ---- errno --------------------------------------------------------------------------------------

enum { NO_ERROR = 12345, NOT_KEPT = 23456 }; // and above: nobody fails with these

// Not inlined, so that it is the errno of the thread that runs it.
__attribute__((noinline)) static int errno_now(void)
{
    return errno;
}

__attribute__((noinline)) static void set_errno(int value)
{
    errno = value;
}

#define REFUSED(call, error)                                                                       \
    do {                                                                                           \
        set_errno(NO_ERROR);                                                                       \
        CHECK_EQ(call, -(error));                                                                  \
        CHECK(errno_now() != (error));                                                             \
    } while (0)

// "errno tells nothing of it."
static void errno_tells_nothing(void *arg)
{
    (void)arg;
    oa_mutex_t mutex = OA_MUTEX_INIT;
    oa_sem_t sem = OA_SEM_INIT(0);
    oa_latch_t latch = OA_LATCH_INIT(1);
    int item = 1;
    oa_chan_t *ch = oa_chan_make(sizeof item, .capacity = 1);
    oa_case_t cases[] = {OA_RECV(ch, &item)};
    REFUSED(oa_mutex_unlock(&mutex), EPERM);
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    REFUSED(oa_mutex_lock(&mutex), EDEADLK);
    REFUSED(oa_mutex_trylock(&mutex), EBUSY);
    REFUSED(oa_mutex_destroy(&mutex), EBUSY);
    REFUSED(oa_sem_tryacquire(&sem), EAGAIN);
    REFUSED(oa_sem_acquire_until(&sem, PAST), ETIMEDOUT);
    REFUSED(oa_latch_wait_until(&latch, PAST), ETIMEDOUT);
    REFUSED(oa_chan_take(ch, &item), EAGAIN);
    REFUSED(oa_select_until(cases, 1, PAST), ETIMEDOUT);
    CHECK_EQ(oa_chan_close(ch), 0);
    REFUSED(oa_chan_close(ch), EALREADY);
    REFUSED(oa_chan_put(ch, &item), EPIPE);
    REFUSED(oa_chan_recv(ch, &item), EPIPE);
    REFUSED(oa_join(NULL), ESRCH);
    REFUSED(oa_cancel(NULL), ESRCH);
    REFUSED(oa_sleep(-1), EINVAL);
    REFUSED(oa_go(nothing, .delay = -1, .coord = coord), EINVAL);
    CHECK_EQ(oa_chan_free(ch), 0);
}

// "And is not kept": it is the OS thread's.
static void errno_is_not_kept(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++) {
        set_errno(NOT_KEPT + i); // each on one thread only
        change_worker();
        CHECK(errno_now() != NOT_KEPT + i);
    }
}

// ---- Logging ------------------------------------------------------------------------------------

static void note_thread(void *log_arg, int level, const char *line)
{
    CHECK(level == OA_LOG_ERROR && line != NULL);
    *(pthread_t *)log_arg = pthread_self();
}

// "It is called from whatever thread has something to say."
static void refused_here(void *arg)
{
    pthread_t told = 0;
    (void)arg;
    CHECK_EQ(oa_run(nothing, .max_workers = -1, .log = note_thread, .log_arg = &told), -EINVAL);
    CHECK(pthread_equal(told, pthread_self()));
}

// ---- Arguments ----------------------------------------------------------------------------------

static oa_local_t key;

static void read_copy(void *value)
{
    oa_yield();
    CHECK(strcmp(value, "a copy") == 0);
    step(NULL);
}

static void keep_copy(void *arg)
{
    CHECK_EQ(oa_local_set(key, arg), 0);
}

// "The copy lives until the task has ended": its destroyers are a part of it.
static void copy_lives(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_local_create(&key, read_copy), 0);
    atomic_store(&steps, 0);
    for (int i = 0; i < 20; i++) {
        oa_task_t *task;
        char text[32] = "a copy";
        CHECK_EQ(oa_go(keep_copy, oa_val(text), .task = &task, .block = i % 4 == 3, .coord = coord),
                 0);
        memset(text, 0, sizeof text);
        join(task);
    }
    CHECK_EQ(atomic_load(&steps), 20);
    CHECK_EQ(oa_local_delete(key), 0);
}

// ---- Pinned tasks -------------------------------------------------------------------------------

static _Thread_local int own_value;
static pthread_mutex_t thread_lock;
static atomic_bool locked;

static void hold_thread_lock(void *arg)
{
    (void)arg;
    CHECK_EQ(pthread_mutex_lock(&thread_lock), 0);
    own_value = 5;
    atomic_store(&locked, true);
    CHECK_EQ(oa_sem_acquire(&gate), 0);
    oa_yield();
    CHECK_EQ(own_value, 5);
    CHECK_EQ(pthread_mutex_unlock(&thread_lock), 0); // it would be EPERM on another thread
}

static void see_no_value(void *arg)
{
    CHECK_EQ(own_value, 0);
    CHECK_EQ(pthread_mutex_trylock(&thread_lock), EBUSY);
    step(arg);
}

// "For what belongs to a thread": _Thread_local state, and a pthread_mutex_t held over a wait.
static void belongs_to_its_thread(void *arg)
{
    pthread_mutexattr_t attr;
    oa_task_t *task = NULL;
    oa_group_t group = OA_GROUP_INIT;
    (void)arg;
    CHECK_EQ(pthread_mutexattr_init(&attr), 0);
    CHECK_EQ(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK), 0);
    CHECK_EQ(pthread_mutex_init(&thread_lock, &attr), 0);
    CHECK_EQ(pthread_mutexattr_destroy(&attr), 0);
    oa_sem_init(&gate, 0);
    atomic_store(&locked, false);
    atomic_store(&steps, 0);
    CHECK_EQ(oa_go(hold_thread_lock, .pinned = true, .task = &task, .coord = coord), 0);
    UNTIL(atomic_load(&locked));
    for (int i = 0; i < 20; i++)
        CHECK_EQ(oa_go(see_no_value, .group = &group, .coord = coord, .block = i % 4 == 3,
                       .pinned = i % 4 == 2),
                 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(atomic_load(&steps), 20);
    CHECK_EQ(oa_sem_release(&gate), 0);
    join(task);
    CHECK_EQ(pthread_mutex_destroy(&thread_lock), 0);
}

// ---- Read-write locks ---------------------------------------------------------------------------

static oa_rwlock_t rwlock;
static oa_latch_t all_in;
static int written; // under the lock

static void read_together(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_rwlock_rdlock(&rwlock), 0);
    CHECK_EQ(written, 0); // before the writers that wait
    CHECK_EQ(oa_latch_arrive(&all_in), 0);
    CHECK_EQ(oa_latch_wait(&all_in), 0);
    CHECK_EQ(oa_rwlock_unlock(&rwlock), 0);
}

static void write_once(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_rwlock_wrlock(&rwlock), 0);
    written++;
    CHECK_EQ(oa_rwlock_unlock(&rwlock), 0);
}

static oa_task_t *spawn_waiting(oa_fn *fn)
{
    uint64_t before = parks();
    oa_task_t *task = spawn(fn, NULL);
    UNTIL(parks() > before);
    return task;
}

// "A writer that leaves lets all readers go that wait", also those behind other writers. With no
// newcomer they are in, all of them, before a writer is.
static void lets_all_readers_in(void *arg)
{
    enum { READERS = 3, ALL = 2 * READERS };
    oa_task_t *tasks[ALL];
    (void)arg;
    oa_rwlock_init(&rwlock);
    oa_latch_init(&all_in, READERS);
    written = 0;
    CHECK_EQ(oa_rwlock_wrlock(&rwlock), 0);
    for (int i = 0; i < ALL; i++)
        tasks[i] = spawn_waiting(i % 2 ? read_together : write_once);
    CHECK_EQ(oa_rwlock_unlock(&rwlock), 0);
    for (int i = 0; i < ALL; i++)
        join(tasks[i]);
    CHECK_EQ(written, READERS);
    CHECK_EQ(oa_rwlock_destroy(&rwlock), 0);
}

static void give_back(void *arg)
{
    CHECK_EQ(oa_rwlock_unlock(&rwlock), *(int *)arg);
}

// "Another than the writer is told -EPERM", "any task may give a reader's lock back", and "a reader
// that locks once more may wait behind a writer".
static void whose_lock(void *arg)
{
    int refused = -EPERM, given = 0;
    (void)arg;
    oa_rwlock_init(&rwlock);
    written = 0;
    CHECK_EQ(oa_rwlock_wrlock(&rwlock), 0);
    join(spawn(give_back, &refused));
    CHECK_EQ(oa_rwlock_unlock(&rwlock), 0);
    CHECK_EQ(oa_rwlock_rdlock(&rwlock), 0);
    oa_task_t *writer = spawn_waiting(write_once);
    CHECK_EQ(oa_rwlock_rdlock_until(&rwlock, SOON), -ETIMEDOUT);
    join(spawn(give_back, &given));
    join(writer);
    CHECK_EQ(oa_rwlock_unlock(&rwlock), -EPERM);
    CHECK_EQ(written, 1);
    CHECK_EQ(oa_rwlock_destroy(&rwlock), 0);
}

// ---- Condition variables ------------------------------------------------------------------------

static oa_mutex_t mutex;
static oa_cond_t changed;
static int passed; // under the mutex
static bool waiting;

static void pass(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    passed++;
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
}

// "To a task that was cancelled oa_cond_wait returns -ECANCELED at once, with the mutex locked all
// the while": who stands in line for it does not get it, however often, and nobody parks.
static void locked_all_the_while(void *arg)
{
    (void)arg;
    coord = oa_coord();
    oa_mutex_init(&mutex);
    oa_cond_init(&changed);
    passed = 0;
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    oa_task_t *task = spawn_waiting(pass);
    uint64_t before = parks();
    CHECK_EQ(oa_cancel(oa_self()), 0);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(i % 2 ? oa_cond_wait(&changed, &mutex)
                       : oa_cond_wait_until(&changed, &mutex, LATE),
                 -ECANCELED);
        oa_yield(); // it would be woken, and park again
        CHECK_EQ(passed, 0);
    }
    CHECK_EQ(parks(), before);
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    join(task);
    CHECK_EQ(passed, 1);
}

static void wait_for_a_while(void *arg)
{
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    waiting = true;
    CHECK_EQ(oa_cond_wait_until(&changed, &mutex, *(int64_t *)arg), -ETIMEDOUT);
    CHECK_EQ(oa_mutex_lock(&mutex), -EDEADLK);
    passed++;
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
}

// Returns with the mutex held when the task is in its wait, or has been.
static void lock_behind_it(void)
{
    bool there = false;
    while (!there) {
        oa_yield();
        CHECK_EQ(oa_mutex_lock(&mutex), 0);
        there = waiting;
        if (!there)
            CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    }
}

// "A deadline ends the wait, not the way back into the mutex."
static void not_the_way_back(void *arg)
{
    bool seen = false;
    (void)arg;
    oa_mutex_init(&mutex);
    oa_cond_init(&changed);
    for (int64_t time = 4 * OA_MILLISECOND; !seen; time *= 2) {
        waiting = false;
        passed = 0;
        int64_t deadline = oa_after(time);
        oa_task_t *task = spawn(wait_for_a_while, &deadline);
        lock_behind_it();
        seen = passed == 0; // else it was over too soon
        if (seen) {
            CHECK_EQ(oa_sleep_until(deadline), 0);
            CHECK_EQ(oa_join_until(task, SOON), -ETIMEDOUT);
            CHECK_EQ(passed, 0);
        }
        CHECK_EQ(oa_mutex_unlock(&mutex), 0);
        join(task);
        CHECK_EQ(passed, 1);
    }
    CHECK_EQ(oa_cond_destroy(&changed), 0);
    CHECK_EQ(oa_mutex_destroy(&mutex), 0);
}

// ---- Consumers ----------------------------------------------------------------------------------

struct taken {
    int last, count; // no atomics: one call happens before the next
};

static void take(void *elem)
{
    struct taken *taken = oa_context()->user_ptr;
    CHECK(*(int *)elem > taken->last);
    if (*(int *)elem % 3 == 0)
        oa_yield();
    taken->last = *(int *)elem;
    taken->count++;
}

// A sliding channel "is a channel as any other": it has a consumer, which gets the newest.
static void consumed(void *arg)
{
    enum { SENT = 300 };
    (void)arg;
    for (int sliding = 0; sliding < 2; sliding++) {
        struct taken taken = {0, 0};
        oa_task_t *task;
        oa_chan_t *ch = oa_chan_make(sizeof(int), .capacity = 3, .sliding = sliding);
        CHECK_EQ(oa_chan_consume(ch, take, &taken, .task = &task, .coord = coord), 0);
        for (int i = 1; i <= SENT; i++)
            CHECK_EQ(oa_chan_send(ch, &i), 0);
        CHECK_EQ(oa_chan_close(ch), 0);
        join(task);
        CHECK_EQ(taken.last, SENT);
        CHECK(sliding ? taken.count >= 3 : taken.count == SENT);
        CHECK_EQ(oa_chan_free(ch), 0);
    }
}

// ---- Statistics ---------------------------------------------------------------------------------

enum { SPAWNERS = 3, EACH = 1000, TOTAL = SPAWNERS * (EACH + 1) };

static atomic_int going, gone, ended;

static void go_counted(oa_fn *fn)
{
    atomic_fetch_add(&going, 1);
    CHECK_EQ(oa_go(fn, .coord = coord), 0);
    atomic_fetch_add(&gone, 1);
}

static void end_counted(void *arg)
{
    (void)arg;
    atomic_fetch_add(&ended, 1);
}

static void spawn_counted(void *arg)
{
    for (int i = 0; i < EACH; i++) {
        go_counted(end_counted);
        if (i % 100 == 0)
            oa_yield();
    }
    end_counted(arg);
}

// "Each figure was true at some moment during the call": none is out of what there was before it
// and after it. The first task is one more.
static void true_at_some_moment(int workers)
{
    uint64_t least;
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = workers), 0);
    UNTIL(stats(coord).tasks_completed == 1);
    atomic_store(&going, 0);
    atomic_store(&gone, 0);
    atomic_store(&ended, 0);
    for (int i = 0; i < SPAWNERS; i++)
        go_counted(spawn_counted);
    do {
        least = (uint64_t)atomic_load(&gone) + 1;
        oa_stats_t now = stats(coord);
        CHECK(now.tasks_spawned >= least);
        CHECK(now.tasks_spawned <= (uint64_t)atomic_load(&going) + 1);
        CHECK(now.tasks_completed <= (uint64_t)atomic_load(&ended) + 1);
        CHECK(now.tasks_alive <= now.tasks_spawned);
    } while (least < TOTAL + 1);
    CHECK_EQ(oa_wait(coord), 0);
    coord = NULL;
}

// ---- What a user must know ----------------------------------------------------------------------

static atomic_bool go_on;

static void keep_worker(void *arg)
{
    step(arg);
    while (!atomic_load(&go_on))
        sched_yield();
}

static void run_late(void *arg)
{
    (void)arg;
    CHECK(atomic_load(&go_on));
}

// "With all of them blocked nothing moves."
static void nothing_moves(int workers)
{
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = workers), 0);
    atomic_store(&steps, 0);
    atomic_store(&go_on, false);
    for (int i = 0; i < workers; i++)
        CHECK_EQ(oa_go(keep_worker, .coord = coord), 0);
    UNTIL(atomic_load(&steps) == workers);
    uint64_t before = stats(coord).dispatches;
    for (int i = 0; i < 10; i++)
        CHECK_EQ(oa_go(run_late, .coord = coord, .delay = i % 2), 0);
    CHECK_EQ(oa_sleep(2 * OA_MILLISECOND), 0); // time to begin in, wrongly
    CHECK_EQ(stats(coord).dispatches, before);
    atomic_store(&go_on, true);
    CHECK_EQ(oa_wait(coord), 0);
    coord = NULL;
}

static _Noreturn void jump(jmp_buf env)
{
    oa_yield();
    longjmp(env, 7);
}

// "So is longjmp within one task."
static void jumps(void *arg)
{
    for (int i = 0; i < 5; i++) {
        jmp_buf env;
        volatile int turns = 0;
        if (setjmp(env) == 0) {
            turns++;
            CHECK_EQ(oa_sleep(OA_MICROSECOND), 0);
            jump(env);
        }
        CHECK_EQ(turns, 1);
        oa_yield();
    }
    step(arg);
}

static void long_jumps(void *arg)
{
    oa_group_t group = OA_GROUP_INIT;
    (void)arg;
    atomic_store(&steps, 0);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(oa_go(jumps, .group = &group, .coord = coord), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(atomic_load(&steps), 10);
}

// ---- Stacks -------------------------------------------------------------------------------------

enum { KIB = 1024, SPARE = 3 * KIB }; // for what calls

// From the top down.
__attribute__((noinline)) static void use_bytes(size_t size)
{
    volatile char *bytes = __builtin_alloca(size);
    for (size_t i = size; i > 0; i -= i < KIB ? i : KIB)
        bytes[i - 1] = 1;
    bytes[0] = 1;
}

static void use(void *arg)
{
    use_bytes(*(size_t *)arg - SPARE);
    oa_yield(); // the first time it stands where it was run, then on a stack of its own
    use_bytes(*(size_t *)arg - SPARE);
    step(NULL);
}

// "The size is rounded up to the next class", of which so much can be used.
static void stack_sizes(void *arg)
{
    static const size_t sizes[][2] = {{4, 44},    {44, 44},   {45, 188},  {0, 188},   {188, 188},
                                      {189, 444}, {444, 444}, {445, 956}, {956, 956}, {8000, 8000}};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    (void)arg;
    atomic_store(&steps, 0);
    for (int i = 0; i < COUNT; i++) {
        oa_task_t *task;
        size_t size = sizes[i][1] * KIB;
        CHECK_EQ(
            oa_go(use, oa_val(size), .stack = sizes[i][0] * KIB, .task = &task, .coord = coord), 0);
        join(task);
    }
    CHECK_EQ(atomic_load(&steps), COUNT);
    CHECK_EQ(oa_go(nothing, .stack = 4 * KIB - 1, .coord = coord), -EINVAL);
    CHECK_EQ(oa_go(nothing, .stack = KIB * KIB * KIB, .coord = coord), -EINVAL);
}

// ".stack_size sets the default for all."
static void default_size(void)
{
    size_t size = 444 * KIB;
    atomic_store(&steps, 0);
    CHECK_EQ(oa_run(use, &size, .max_workers = 1, .stack_size = 189 * KIB), 0);
    CHECK_EQ(atomic_load(&steps), 1);
}

// ---- The end of a process -----------------------------------------------------------------------

static void overrun(void *arg)
{
    (void)arg;
    signal(SIGSEGV, SIG_DFL);
    use_bytes(240 * KIB);
}

static void exit_5(void *arg)
{
    if (arg)
        CHECK_EQ(oa_sleep(OA_MICROSECOND), 0);
    exit(5);
}

static void fork_7(void *arg)
{
    int status;
    (void)arg;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        _exit(7);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

// How a process ends that runs this as a task.
static int end_of(oa_fn *fn, void *arg, int workers)
{
    int status;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        oa_run(fn, arg, .max_workers = workers);
        _exit(1);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

static void ends(void)
{
    for (int workers = 1; workers <= 2; workers++) {
        int status = end_of(overrun, NULL, workers);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
        status = end_of(exit_5, NULL, workers);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
        status = end_of(exit_5, &steps, workers);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
        status = end_of(fork_7, NULL, workers);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    }
}

// What is of one thread, of several, or of the machine: not in a simulation.
static void outside(bool bare)
{
    struct thread thread;
    if (bare)
        ends();                // while there is no other thread
    if (!test_under("tsan")) { // to which the tasks of a thread race for what is the thread's
        on_two_workers(errno_is_not_kept);
        everywhere(belongs_to_its_thread);
    }
    refused_here(NULL);
    thread_start(&thread, refused_here, NULL);
    thread_join(&thread);
    for (int workers = 1; workers <= 4; workers *= 2) {
        true_at_some_moment(workers);
        nothing_moves(workers);
    }
}

int main(void)
{
    // What checks memory has stacks, ends and leaks of its own.
    bool bare = test_under("native") || test_under("debug") || test_under("qemu");
    if (!simulated())
        outside(bare);
    if (!test_under("tsan")) // told above
        everywhere(errno_tells_nothing);
    everywhere(copy_lives);
    everywhere(lets_all_readers_in);
    everywhere(whose_lock);
    in_tasks(locked_all_the_while);
    everywhere(not_the_way_back);
    everywhere(consumed);
    everywhere(long_jumps);
    if (bare) {
        everywhere(stack_sizes);
        default_size();
    }
    return 0;
}
