// SPDX-License-Identifier: BSD-2-Clause
// gates.c - a task that has gates begins when it has passed them, in order, and gives back what it
// took when it ends.
// ctest: simulate
#include "support.h"

enum { TASKS = 12 };

static oa_latch_t latch;
static oa_barrier_t barrier;
static oa_backpressure_t bp;
static oa_sem_t sem;
static oa_mutex_t mutex;

static atomic_int ran, dropped, inside, most;
static int order[TASKS];

static void reset(void)
{
    oa_latch_init(&latch, 1);
    oa_barrier_init(&barrier, 2);
    oa_backpressure_init(&bp, 1, OA_LOSSLESS);
    oa_sem_init(&sem, 1);
    oa_mutex_init(&mutex);
    atomic_store(&ran, 0);
    atomic_store(&dropped, 0);
    atomic_store(&inside, 0);
    atomic_store(&most, 0);
}

static void drop(void *arg)
{
    (void)arg;
    atomic_fetch_add(&dropped, 1);
}

static void run(void *arg)
{
    (void)arg;
    atomic_fetch_add(&ran, 1);
}

static void wait_a_little(void)
{
    for (int i = 0; i < 30; i++)
        oa_yield();
}

static void all_idle(void)
{
    CHECK_EQ(oa_latch_destroy(&latch), 0);
    CHECK_EQ(oa_barrier_destroy(&barrier), 0);
    CHECK_EQ(oa_backpressure_destroy(&bp), 0);
    CHECK_EQ(oa_sem_destroy(&sem), 0);
    CHECK_EQ(oa_mutex_destroy(&mutex), 0);
}

// ---- Mutex --------------------------------------------------------------------------------------

static void note_order(void *arg)
{
    CHECK_EQ(atomic_fetch_add(&inside, 1), 0);
    oa_yield();
    order[atomic_fetch_add(&ran, 1)] = *(int *)arg;
    atomic_fetch_sub(&inside, 1);
}

// One at a time, each once, in the order of their oa_go.
static void mutex_orders(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    reset();
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(oa_go(note_order, oa_val(i), .acq = &mutex, .group = &group, .coord = coord), 0);
    wait_a_little();
    CHECK_EQ(atomic_load(&ran), 0);
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(atomic_load(&ran), TASKS);
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(order[i], i);
    all_idle();
}

static atomic_bool go_on;

static void is_holder(void *arg)
{
    CHECK_EQ(oa_mutex_lock(&mutex), -EDEADLK);
    CHECK_EQ(oa_mutex_trylock(&mutex), -EBUSY);
    if (arg) {
        CHECK_EQ(oa_mutex_unlock(&mutex), 0); // gives it back early
        CHECK_EQ(oa_mutex_unlock(&mutex), -EPERM);
    }
    atomic_fetch_add(&ran, 1);
    UNTIL(atomic_load(&go_on));
}

// In the task the mutex is held as if locked; what it has unlocked itself is not unlocked again.
static void mutex_is_held(void *arg)
{
    (void)arg;
    reset();
    atomic_store(&go_on, false);
    oa_task_t *task = NULL;
    CHECK_EQ(oa_go(is_holder, .acq = &mutex, .task = &task, .coord = coord), 0);
    UNTIL(atomic_load(&ran) == 1);
    CHECK_EQ(oa_mutex_trylock(&mutex), -EBUSY);
    CHECK_EQ(oa_mutex_unlock(&mutex), -EPERM);
    CHECK_EQ(oa_mutex_destroy(&mutex), -EBUSY);
    atomic_store(&go_on, true);
    join(task);
    CHECK_EQ(oa_mutex_destroy(&mutex), 0); // given back before the joiner is told
    atomic_store(&go_on, false);
    CHECK_EQ(oa_go(is_holder, &mutex, .acq = &mutex, .task = &task, .coord = coord), 0);
    UNTIL(atomic_load(&ran) == 2);
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    atomic_store(&go_on, true);
    join(task);
    CHECK_EQ(oa_mutex_trylock(&mutex), -EBUSY);
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    all_idle();
}

// ---- Semaphore and backpressure -----------------------------------------------------------------

static void count_inside(void *arg)
{
    (void)arg;
    int now = atomic_fetch_add(&inside, 1) + 1;
    int before = atomic_load(&most);
    while (now > before && !atomic_compare_exchange_weak(&most, &before, now))
        ;
    oa_yield();
    atomic_fetch_sub(&inside, 1);
    atomic_fetch_add(&ran, 1);
}

static void limits(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    for (int gate = 0; gate < 2; gate++) {
        reset();
        oa_sem_init(&sem, 3);
        oa_backpressure_init(&bp, 3, OA_LOSSLESS);
        for (int i = 0; i < 10 * TASKS; i++)
            CHECK_EQ(oa_go(count_inside, .sem = gate ? &sem : NULL, .bp = gate ? NULL : &bp,
                           .group = &group, .coord = coord),
                     0);
        CHECK_EQ(oa_group_wait(&group), 0);
        CHECK_EQ(atomic_load(&ran), 10 * TASKS);
        CHECK(atomic_load(&most) <= 3);
        for (int i = 0; i < 3; i++)
            CHECK_EQ(oa_sem_tryacquire(&sem), 0); // given back before the group is told
        CHECK_EQ(oa_sem_tryacquire(&sem), -EAGAIN);
        all_idle();
    }
}

static void stay(void *arg)
{
    (void)arg;
    atomic_fetch_add(&ran, 1);
    UNTIL(atomic_load(&go_on));
}

// A lossy one drops what is over the limit, and oa_go tells; the place is free again at the end.
static void lossy(void *arg)
{
    (void)arg;
    oa_task_t *tasks[2] = {NULL, NULL}, *refused;
    reset();
    atomic_store(&go_on, false);
    oa_backpressure_init(&bp, 2, OA_LOSSY);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(oa_go(stay, .bp = &bp, .task = &tasks[i], .drop = drop, .coord = coord), 0);
    refused = tasks[0];
    CHECK_EQ(oa_go(run, .bp = &bp, .task = &refused, .drop = drop, .coord = coord), -EAGAIN);
    CHECK(refused == NULL);
    CHECK_EQ(atomic_load(&dropped), 1);
    CHECK_EQ(oa_backpressure_destroy(&bp), -EBUSY);
    atomic_store(&go_on, true);
    join(tasks[0]);
    CHECK_EQ(oa_go(run, .bp = &bp, .task = &tasks[0], .drop = drop, .coord = coord), 0);
    join(tasks[0]);
    join(tasks[1]);
    CHECK_EQ(atomic_load(&ran), 3);
    CHECK_EQ(atomic_load(&dropped), 1);
    all_idle();
}

// Behind a delay, a latch or a barrier only .drop tells, whether or not it had to wait there.
static void lossy_behind(void *arg)
{
    (void)arg;
    for (int open = 0; open < 2; open++) {
        oa_task_t *in = NULL, *tasks[3] = {NULL};
        reset();
        atomic_store(&go_on, false);
        oa_latch_init(&latch, open ? 0 : 2);
        oa_barrier_init(&barrier, open ? 1 : 2);
        oa_backpressure_init(&bp, 1, OA_LOSSY);
        CHECK_EQ(oa_go(stay, .bp = &bp, .task = &in, .coord = coord), 0);
        CHECK_EQ(oa_go(run, .bp = &bp, .delay = 1, .drop = drop, .task = &tasks[0], .coord = coord),
                 0);
        CHECK_EQ(
            oa_go(run, .bp = &bp, .latch = &latch, .drop = drop, .task = &tasks[1], .coord = coord),
            0);
        CHECK_EQ(
            oa_go(run, .bp = &bp, .cb = &barrier, .drop = drop, .task = &tasks[2], .coord = coord),
            0);
        join(tasks[0]);
        CHECK_EQ(atomic_load(&dropped), open ? 3 : 1);
        if (!open) {
            CHECK_EQ(oa_latch_arrive(&latch), 0);
            CHECK_EQ(oa_barrier_wait(&barrier), 1);
        }
        join(tasks[1]);
        join(tasks[2]);
        CHECK_EQ(atomic_load(&dropped), 3);
        atomic_store(&go_on, true);
        join(in);
        CHECK_EQ(atomic_load(&ran), 1);
        all_idle();
    }
}

// ---- Latch and barrier --------------------------------------------------------------------------

// A gated task is one arrival, and held until the goal is reached.
static void latch_counts(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    reset();
    oa_latch_init(&latch, 4);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(oa_go(run, .latch = &latch, .group = &group, .coord = coord), 0);
    CHECK_EQ(oa_latch_arrive(&latch), 0);
    wait_a_little();
    CHECK_EQ(atomic_load(&ran), 0);
    CHECK_EQ(oa_latch_destroy(&latch), -EBUSY);
    CHECK_EQ(oa_go(run, .latch = &latch, .group = &group, .coord = coord), 0); // the fourth
    CHECK_EQ(oa_latch_wait(&latch), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(atomic_load(&ran), 3);
    CHECK_EQ(oa_go(run, .latch = &latch, .group = &group, .coord = coord), 0); // open
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(atomic_load(&ran), 4);
    all_idle();
}

// Holds tasks until n have come, then lets those n go; calls and gates count alike.
static void barrier_rounds(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    reset();
    oa_barrier_init(&barrier, 3);
    for (int i = 0; i < 8; i++) {
        CHECK_EQ(oa_go(run, .cb = &barrier, .group = &group, .coord = coord), 0);
        UNTIL(atomic_load(&ran) == (i + 1) / 3 * 3);
    }
    CHECK_EQ(oa_barrier_destroy(&barrier), -EBUSY);
    CHECK_EQ(oa_barrier_wait(&barrier), 1);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(atomic_load(&ran), 8);
    all_idle();
}

// ---- All of them --------------------------------------------------------------------------------

static void holds_all(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_tryacquire(&sem), -EAGAIN);
    CHECK_EQ(oa_mutex_lock(&mutex), -EDEADLK);
    CHECK_EQ(oa_backpressure_destroy(&bp), -EBUSY);
    atomic_fetch_add(&ran, 1);
}

static int go_all(oa_fn *fn, oa_task_t **task, oa_group_t *group, int64_t delay)
{
    return oa_go(fn, .latch = &latch, .cb = &barrier, .bp = &bp, .sem = &sem, .acq = &mutex,
                 .task = task, .group = group, .delay = delay, .drop = drop, .coord = coord);
}

// The delay first, then latch, barrier, backpressure, semaphore, mutex: none before its turn.
static void in_order(void *arg)
{
    (void)arg;
    oa_task_t *task = NULL, *other = NULL;
    reset();
    atomic_store(&go_on, false);
    oa_latch_init(&latch, 2);
    CHECK_EQ(go_all(holds_all, &task, NULL, 1), 0);
    UNTIL(oa_latch_destroy(&latch) == -EBUSY); // the delay has passed, it waits at the latch
    CHECK_EQ(oa_barrier_destroy(&barrier), 0);
    CHECK_EQ(oa_go(stay, .bp = &bp, .task = &other, .coord = coord), 0);
    CHECK_EQ(oa_latch_arrive(&latch), 0);
    UNTIL(oa_barrier_destroy(&barrier) == -EBUSY);
    CHECK_EQ(oa_sem_tryacquire(&sem), 0);
    CHECK_EQ(oa_mutex_trylock(&mutex), 0);
    CHECK_EQ(oa_barrier_wait(&barrier), 1);
    wait_a_little(); // at the backpressure: it does not wait for the permit
    CHECK_EQ(oa_sem_destroy(&sem), 0);
    atomic_store(&go_on, true);
    join(other);
    UNTIL(oa_sem_destroy(&sem) == -EBUSY);
    CHECK_EQ(oa_backpressure_destroy(&bp), -EBUSY);
    CHECK_EQ(oa_sem_release(&sem), 0);
    UNTIL(oa_sem_destroy(&sem) == 0); // it has the permit, and waits for the mutex
    CHECK_EQ(oa_sem_tryacquire(&sem), -EAGAIN);
    CHECK_EQ(atomic_load(&ran), 1);
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    join(task);
    CHECK_EQ(atomic_load(&ran), 2);
    CHECK_EQ(oa_sem_tryacquire(&sem), 0);
    all_idle();
}

static oa_coord_t *second;

static void note(void *arg)
{
    order[atomic_fetch_add(&ran, 1)] = *(int *)arg;
}

// At the end the mutex is given back first, then the permit, then the place. Those who wait for
// them belong to another coordinator, with one worker: they come to it through a queue, in this
// order.
static void in_reverse(void *arg)
{
    (void)arg;
    oa_task_t *task = NULL;
    oa_group_t group = OA_GROUP_INIT;
    reset();
    atomic_store(&go_on, false);
    CHECK_EQ(oa_start(&second, nothing, .max_workers = 1), 0);
    CHECK_EQ(oa_go(stay, .bp = &bp, .sem = &sem, .acq = &mutex, .task = &task, .coord = coord), 0);
    UNTIL(atomic_load(&ran) == 1);
    atomic_store(&ran, 0);
    for (int i = 2; i >= 0; i--)
        CHECK_EQ(oa_go(note, oa_val(i), .group = &group, .coord = second,
                       .acq = i == 0 ? &mutex : NULL, .sem = i == 1 ? &sem : NULL,
                       .bp = i == 2 ? &bp : NULL),
                 0);
    atomic_store(&go_on, true);
    join(task);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(oa_wait(second), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(order[i], i);
    all_idle();
}

// ---- Arguments, names, errors -------------------------------------------------------------------

struct big {
    char bytes[100];
};

static void check_small(void *arg)
{
    CHECK_EQ(*(int *)arg, 42);
    CHECK_EQ((uintptr_t)arg % _Alignof(max_align_t), 0);
    atomic_fetch_add(&ran, 1);
}

static void check_big(void *arg)
{
    struct big *big = arg;
    CHECK_EQ(big->bytes[0], 'a');
    CHECK_EQ((uintptr_t)arg % _Alignof(max_align_t), 0);
    oa_yield();
    CHECK_EQ(big->bytes[99], 'z');
    CHECK(strcmp(oa_task_name(oa_self()), "big") == 0);
    atomic_fetch_add(&ran, 1);
}

static void with_arguments(void *arg)
{
    (void)arg;
    struct big big = {.bytes[0] = 'a', .bytes[99] = 'z'};
    oa_group_t group = OA_GROUP_INIT;
    oa_task_t *named = NULL;
    reset();
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    CHECK_EQ(oa_go(check_small, oa_val((int){42}), .acq = &mutex, .group = &group, .coord = coord),
             0);
    CHECK_EQ(oa_go(check_big, oa_val(big), .acq = &mutex, .sem = &sem, .name = "big",
                   .task = &named, .group = &group, .coord = coord),
             0);
    CHECK_EQ(oa_go(check_small, oa_val((int){42}), .acq = &mutex, .drop = drop, .group = &group,
                   .coord = coord),
             0);
    memset(&big, 0, sizeof big);
    CHECK(strcmp(oa_task_name(named), "big") == 0);
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    join(named);
    CHECK_EQ(atomic_load(&ran), 3);
    CHECK_EQ(atomic_load(&dropped), 0);
    all_idle();
}

static void no_gates(void *arg)
{
    (void)arg;
    oa_barrier_t none = OA_BARRIER_INIT(0);
    static const struct {
        int32_t max;
        oa_backpressure_mode_t mode;
    } bad[] = {{0, OA_LOSSY}, {-1, OA_LOSSLESS}, {1, (oa_backpressure_mode_t)0}};
    oa_task_t *task = (oa_task_t *)&none;
    reset();
    CHECK_EQ(oa_go(run, .cb = &none, .drop = drop, .task = &task, .coord = coord), -EINVAL);
    CHECK(task == NULL);
    for (int i = 0; i < 3; i++) {
        oa_backpressure_init(&bp, bad[i].max, bad[i].mode);
        CHECK_EQ(oa_go(run, .bp = &bp, .drop = drop, .delay = i, .coord = coord), -EINVAL);
    }
    CHECK_EQ(atomic_load(&dropped), 4);
    CHECK_EQ(oa_backpressure_destroy(NULL), -EINVAL);
    all_idle();
}

// ---- Held: nothing happens ----------------------------------------------------------------------

static oa_sem_t hold;

static void park(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_acquire(&hold), 0);
    atomic_fetch_add(&ran, 1);
}

static oa_stats_t stats(void)
{
    oa_stats_t stats = OA_STATS_INIT;
    CHECK_EQ(oa_stats(coord, &stats), 0);
    return stats;
}

// Held tasks are not dispatched and hold no stack; a drain lets them come to their end.
static void costs_nothing(int gate)
{
    reset();
    oa_sem_init(&hold, 0);
    oa_sem_init(&sem, 0);
    oa_latch_init(&latch, TASKS + 1);
    oa_barrier_init(&barrier, TASKS + 1);
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = 2), 0);
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    CHECK_EQ(oa_go(park, .bp = &bp, .coord = coord), 0);
    UNTIL(parks() == 1 && stats().tasks_alive == 1);
    oa_stats_t before = stats();
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(oa_go(run, .latch = gate == 0 ? &latch : NULL, .cb = gate == 1 ? &barrier : NULL,
                       .bp = gate == 2 ? &bp : NULL, .sem = gate == 3 ? &sem : NULL,
                       .acq = gate == 4 ? &mutex : NULL, .coord = coord),
                 0);
    CHECK_EQ(oa_sleep(2 * OA_MILLISECOND), 0);
    CHECK_EQ(stats().dispatches, before.dispatches);
    CHECK(stats().stacks_in_use <= 3); // of two workers and one that is parked
    CHECK_EQ(stats().tasks_alive, TASKS + 1);
    CHECK_EQ(atomic_load(&ran), 0);
    CHECK_EQ(oa_shutdown(coord, OA_DRAIN), 0);
    CHECK_EQ(oa_latch_arrive(&latch), 0);
    CHECK_EQ(gate == 1 ? oa_barrier_wait(&barrier) : 1, 1);
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(oa_sem_release(&sem), 0);
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    CHECK_EQ(oa_sem_release(&hold), 0);
    CHECK_EQ(oa_wait(coord), 0);
    CHECK_EQ(atomic_load(&ran), TASKS + 1);
    coord = NULL;
    all_idle();
}

// Into another coordinator, from a task.
static void into_another(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = 1), 0);
    mutex_orders(NULL);
    latch_counts(NULL);
    limits(NULL);
    CHECK_EQ(oa_wait(coord), 0);
}

// A task may be asked for its name, which stands behind its gates, while it passes them.
static void named_meanwhile(void *arg)
{
    enum { ROUNDS = 100, LOOKS = 100 };
    (void)arg;
    reset();
    for (int i = 0; i < ROUNDS; i++) {
        oa_task_t *task;
        CHECK_EQ(oa_go(nothing, NULL, .sem = &sem, .acq = &mutex, .name = "gated", .task = &task,
                       .coord = coord, .delay = 1),
                 0);
        for (int look = 0; look < LOOKS; look++)
            CHECK(strcmp(oa_task_name(task), "gated") == 0);
        join(task);
    }
}

int main(void)
{
    everywhere(mutex_orders);
    everywhere(mutex_is_held);
    everywhere(limits);
    everywhere(lossy);
    everywhere(lossy_behind);
    everywhere(latch_counts);
    everywhere(barrier_rounds);
    everywhere(in_order);
    everywhere(with_arguments);
    everywhere(named_meanwhile);
    everywhere(no_gates);
    if (simulated())
        return 0; // with one coordinator
    everywhere(in_reverse);
    for (int gate = 0; gate < 5; gate++)
        costs_nothing(gate);
    in_tasks(into_another);
    return 0;
}
