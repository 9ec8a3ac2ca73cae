// SPDX-License-Identifier: BSD-2-Clause
// simulate_deadlock.c - all tasks of a simulation wait for each other: what is told of them, in
// which order their waits are broken, and what each may rely on then.
#include <sys/mman.h>

#include "simulate.h"
#include "support.h"

// ---- All that waits is let go -------------------------------------------------------------------

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

// ---- Waits that guard memory --------------------------------------------------------------------

// Three that join each other in a circle, and nothing else: one of those waits is broken.
struct circle {
    atomic_int count, broken;
    oa_task_t *spawned[3];
};

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
        CHECK_EQ(circle.broken, 1); // then the others end as ever
        CHECK(strstr(log.errors, "deadlock: 3 tasks wait for ever") != NULL);
        CHECK(strstr(log.errors, "a circle: task ") != NULL);
    }
}

// Two that join each other, in a group that the first task waits for.
struct pair {
    oa_task_t *spawned[2];
    oa_group_t group;
    int broken, ended, waited;
};

static void join_in_pair(struct pair *pair, int other)
{
    CHECK_EQ(oa_sleep(OA_MILLISECOND), 0); // by now both are there
    int err = oa_join(pair->spawned[other]);
    CHECK(err == 0 || err == -EDEADLK);
    pair->broken += err != 0;
    pair->ended++;
}

static void joins_second(void *arg)
{
    join_in_pair(arg, 1);
}

static void joins_first(void *arg)
{
    join_in_pair(arg, 0);
}

static void waits_for_pair(void *arg)
{
    struct pair *seen = arg, *pair = calloc(1, sizeof *pair); // all-zero bytes are an empty group
    CHECK(pair != NULL);
    CHECK_EQ(oa_go(joins_second, pair, .task = &pair->spawned[0], .group = &pair->group), 0);
    CHECK_EQ(oa_go(joins_first, pair, .task = &pair->spawned[1], .group = &pair->group), 0);
    pair->waited = oa_group_wait(&pair->group);
    *seen = *pair;
    free(pair);
}

// Only one wait of the circle is broken; who waits outside of it returns when both have ended.
static void circle_of_two(void)
{
    struct log log;
    for (uint64_t seed = 1; seed <= few_seeds(); seed++) {
        struct pair pair;
        CHECK_EQ(simulate(seed, waits_for_pair, &pair, &log), -EDEADLK);
        CHECK_EQ(pair.broken, 1);
        CHECK_EQ(pair.ended, 2);
        CHECK_EQ(pair.waited, -ECANCELED);
    }
}

// A group whose only task is held at a gate: that is dropped, so the wait for it goes on.
struct held {
    oa_sem_t sem;
    oa_group_t group;
    int dropped;
};

static void drop_held(void *arg)
{
    ((struct held *)arg)->dropped++;
}

static void waits_for_held(void *arg)
{
    struct held *held = calloc(1, sizeof *held);
    (void)arg;
    CHECK(held != NULL);
    CHECK_EQ(oa_go(never, held, .drop = drop_held, .sem = &held->sem, .group = &held->group), 0);
    CHECK_EQ(oa_group_wait(&held->group), -ECANCELED);
    CHECK_EQ(held->dropped, 1);
    CHECK_EQ(oa_group_destroy(&held->group), 0);
    CHECK_EQ(oa_sem_destroy(&held->sem), 0);
    memset(held, 0xee, sizeof *held);
    free(held);
}

// So does the wait for who has waited for it.
static void joins_who_waits(void *arg)
{
    oa_task_t *task;
    (void)arg;
    CHECK_EQ(oa_go(waits_for_held, .task = &task), 0);
    CHECK_EQ(oa_join(task), 0);
}

static void held_are_dropped(void)
{
    struct log log;
    for (uint64_t seed = 1; seed <= few_seeds(); seed++) {
        CHECK_EQ(simulate(seed, joins_who_waits, NULL, &log), -EDEADLK);
        CHECK(strstr(log.errors, "waits in oa_group_wait") != NULL);
        CHECK(strstr(log.errors, "is held at its semaphore") != NULL);
    }
}

// ---- A condition --------------------------------------------------------------------------------

// One has been let go and waits for the mutex, one waits for the condition still, and who holds the
// mutex waits for what never comes. All three waits are broken at once.
static struct {
    oa_mutex_t mutex;
    oa_cond_t cond;
    oa_sem_t sem;
    int waiting;              // under the mutex
    atomic_int without, with; // it, of those who came back
} met;

static void waits_for_cond(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_mutex_lock(&met.mutex), 0);
    met.waiting++;
    int err = oa_cond_wait(&met.cond, &met.mutex);
    CHECK(err == -EPERM || err == -EDEADLK);
    met.without += err == -EPERM;
    met.with += err == -EDEADLK;
    CHECK_EQ(oa_mutex_unlock(&met.mutex), err == -EPERM ? -EPERM : 0);
}

static void waits_with_mutex(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_mutex_lock(&met.mutex), 0);
    while (met.waiting < 2) {
        CHECK_EQ(oa_mutex_unlock(&met.mutex), 0);
        oa_yield();
        CHECK_EQ(oa_mutex_lock(&met.mutex), 0);
    }
    CHECK_EQ(oa_cond_signal(&met.cond), 0);
    CHECK_EQ(oa_sem_acquire(&met.sem), -EDEADLK);
    CHECK_EQ(oa_mutex_unlock(&met.mutex), 0);
}

static void three_meet(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_go(waits_for_cond), 0);
    CHECK_EQ(oa_go(waits_for_cond), 0);
    CHECK_EQ(oa_go(waits_with_mutex), 0);
}

static void cond_without_mutex(void)
{
    struct log log;
    for (uint64_t seed = 1; seed <= few_seeds(); seed++) {
        memset(&met, 0, sizeof met); // all-zero bytes are a free mutex, and so on
        CHECK_EQ(simulate(seed, three_meet, NULL, &log), -EDEADLK);
        CHECK_EQ(met.without, 1);
        CHECK_EQ(met.with, 1);
        CHECK_EQ(oa_mutex_destroy(&met.mutex), 0);
        CHECK_EQ(oa_cond_destroy(&met.cond), 0);
    }
}

// ---- The report ---------------------------------------------------------------------------------

static oa_mutex_t kept = OA_MUTEX_INIT;

static void lock_and_end(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_mutex_lock(&kept), 0);
}

// Behind so many others the task has memory that the next run has no use for.
static void keeps_mutex(void *arg)
{
    oa_sem_t none = OA_SEM_INIT(0);
    oa_group_t group = OA_GROUP_INIT;
    oa_task_t *task;
    (void)arg;
    for (int i = 0; i < 5000; i++)
        CHECK_EQ(oa_go(nothing, .sem = &none, .group = &group), 0);
    CHECK_EQ(oa_go(lock_and_end, .task = &task), 0);
    CHECK_EQ(oa_join(task), 0);
    CHECK_EQ(oa_group_cancel(&group), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
}

static void wants_mutex(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_mutex_lock(&kept), -EDEADLK);
}

static void holder_is_gone(void)
{
    struct log log;
    CHECK_EQ(oa_run(keeps_mutex, .max_workers = 1), 0);
    // Nothing is to be where the mutex says that its holder was.
    void *place = (void *)(uintptr_t)(kept.oa_private[0] & ~(uint64_t)0xffff);
    place = mmap(place, 0x10000, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    CHECK(place != MAP_FAILED || errno == EEXIST); // it may be in use
    CHECK_EQ(simulate(1, wants_mutex, NULL, &log), -EDEADLK);
    CHECK(strstr(log.errors, "waits in oa_mutex_lock") != NULL);
    CHECK(strstr(log.errors, "circle") == NULL);
}

static oa_sem_t permit;

static void acquires(void *elem)
{
    (void)elem;
    CHECK_EQ(oa_sem_acquire(&permit), -EDEADLK);
}

static void joins_consumer(void *arg)
{
    oa_chan_t *ch = oa_chan_make(0, .capacity = 1);
    oa_task_t *task;
    CHECK_EQ(oa_chan_consume(ch, acquires, .task = &task), 0);
    if (arg != NULL)
        CHECK_EQ(oa_chan_send(ch, NULL), 0);
    CHECK_EQ(oa_join(task), 0); // it is over with its coordinator
    CHECK_EQ(oa_chan_free(ch), 0);
}

// A consumer is waited for: it has nothing to call, or its call waits.
static void consumer_is_told(void)
{
    struct log log;
    for (uint64_t seed = 1; seed <= few_seeds(); seed++) {
        oa_sem_init(&permit, 0);
        CHECK_EQ(simulate(seed, joins_consumer, NULL, &log), -EDEADLK);
        CHECK(strstr(log.errors, "deadlock: 1 task waits") != NULL);
        CHECK(strstr(log.errors, "waits in oa_join for a consumer, task ") != NULL);
        CHECK_EQ(simulate(seed, joins_consumer, &permit, &log), -EDEADLK);
        CHECK(strstr(log.errors, "deadlock: 2 tasks wait") != NULL);
        CHECK(strstr(log.errors, "waits in oa_sem_acquire") != NULL);
        CHECK(strstr(log.errors, "has ended") == NULL);
    }
}

int main(void)
{
    if (!alone())
        return 0;
    deadlocks_end();
    in_a_thread_of_its_own();
    outside_ends();
    joins_end();
    circle_of_two();
    held_are_dropped();
    cond_without_mutex();
    holder_is_gone();
    consumer_is_told();
    return 0;
}
