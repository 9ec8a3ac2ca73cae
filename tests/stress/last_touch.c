// SPDX-License-Identifier: BSD-2-Clause
// last_touch.c - who has been let go may overwrite or free the object at once: mutex, semaphore,
// latch, barrier, group, join, channels and selects used once, let go by a task of another
// coordinator, by one on another worker, and by a plain thread. An argument gives the number of
// rounds, which are then all made; a second one a part of the names of those to be made.
// ctest: timeout=60 simulate=10
#include "stress/support.h"

static oa_coord_t *home;    // of the waiter
static oa_coord_t *other;   // of the waker
static _Atomic(void *) box; // what the waker is to do next
static atomic_bool held;    // the waker holds the mutex
static atomic_bool stop;
static oa_fn *volatile act; // what it does

static void relax(unsigned *spins)
{
    if (++*spins % 64 == 0) {
        oa_yield();
        sched_yield(); // there may be more threads than CPUs
    }
}

// The waker: as a task or in a plain thread.
static void waker(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    unsigned spins = 0;
    while (!atomic_load(&stop)) {
        void *object = atomic_exchange(&box, NULL);
        if (object == NULL) {
            relax(&spins);
            continue;
        }
        dawdle(&random);
        act(object);
    }
}

static void unlock(void *object)
{
    uint64_t random = (uintptr_t)object;
    CHECK_EQ(oa_mutex_lock(object), 0);
    atomic_store(&held, true);
    dawdle(&random);
    CHECK_EQ(oa_mutex_unlock(object), 0);
}

static void release(void *object)
{
    CHECK_EQ(oa_sem_release(object), 0);
}

static void arrive(void *object)
{
    CHECK_EQ(oa_latch_arrive(object), 0);
}

static void meet(void *object)
{
    int err = oa_barrier_wait(object);
    CHECK(err == 0 || err == 1);
}

static atomic_bool met; // the waker has come to the barrier, or has given up

static void meet_until(void *object)
{
    int err = oa_barrier_wait_until(object, oa_after(20 * OA_MICROSECOND));
    CHECK(err == 0 || err == 1 || err == -ETIMEDOUT);
    atomic_store(&met, true);
}

static void send(void *object)
{
    int element = 1;
    CHECK_EQ(oa_chan_send(object, &element), 0);
}

static void receive(void *object)
{
    int element;
    CHECK_EQ(oa_chan_recv(object, &element), 0);
    CHECK_EQ(element, 2);
}

static void close_it(void *object)
{
    CHECK_EQ(oa_chan_close(object), 0);
}

// Sends, as one of several cases of a select that may wait.
static void select_send(void *object)
{
    static const int element = 1;
    oa_chan_t *never = oa_chan_make(sizeof(int));
    oa_case_t cases[] = {OA_RECV(never, NULL), OA_SEND(object, &element), OA_SEND(NULL, NULL)};
    CHECK_EQ(oa_select(cases, 3), 1);
    CHECK_EQ(oa_chan_free(never), 0);
}

// Ends the task of this handle by a drop in the calling thread.
static void drop(void *object)
{
    CHECK_EQ(oa_cancel(object), 0);
}

static void drop_detached(void *object)
{
    CHECK_EQ(oa_cancel(object), 0);
    CHECK_EQ(oa_detach(object), 0);
}

// Overwrites the object and sees that nobody writes to it any more.
static void overwrite(void *object, size_t size, uint64_t *random)
{
    volatile unsigned char *bytes = object;
    memset(object, 0xa5, size);
    __asm__ volatile("" ::: "memory");
    dawdle(random);
    for (size_t i = 0; i < size; i++)
        CHECK_EQ(bytes[i], 0xa5);
}

// What the library's own frames have left below is overwritten too.
static __attribute__((noinline)) void scribble(void)
{
    volatile char frame[768];
    memset((void *)(uintptr_t)frame, 0x5a, sizeof frame);
}

static void mutex_round(uint64_t *random)
{
    oa_mutex_t mutex = OA_MUTEX_INIT;
    unsigned spins = 0;
    act = unlock;
    atomic_store(&held, false);
    atomic_store(&box, &mutex);
    while (!atomic_load(&held))
        relax(&spins);
    dawdle(random);
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    overwrite(&mutex, sizeof mutex, random);
}

static void sem_round(uint64_t *random)
{
    oa_sem_t sem = OA_SEM_INIT(0);
    act = release;
    atomic_store(&box, &sem);
    dawdle(random);
    CHECK_EQ(oa_sem_acquire(&sem), 0);
    overwrite(&sem, sizeof sem, random);
}

static void latch_round(uint64_t *random)
{
    oa_latch_t latch = OA_LATCH_INIT(1);
    act = arrive;
    atomic_store(&box, &latch);
    dawdle(random);
    CHECK_EQ(oa_latch_wait(&latch), 0);
    overwrite(&latch, sizeof latch, random);
}

static void barrier_round(uint64_t *random)
{
    oa_barrier_t barrier = OA_BARRIER_INIT(2);
    act = meet;
    atomic_store(&box, &barrier);
    dawdle(random);
    int err = oa_barrier_wait(&barrier);
    CHECK(err == 0 || err == 1);
    overwrite(&barrier, sizeof barrier, random);
}

// The other one's time may be up when the round is full.
static void barrier_broken_round(uint64_t *random)
{
    oa_barrier_t barrier = OA_BARRIER_INIT(2);
    unsigned spins = 0;
    act = meet_until;
    atomic_store(&met, false);
    atomic_store(&box, &barrier);
    dawdle(random);
    int err = oa_barrier_wait_until(&barrier, oa_after(60 * OA_MICROSECOND));
    CHECK(err == 0 || err == 1 || err == -ETIMEDOUT);
    if (err >= 0)
        overwrite(&barrier, sizeof barrier, random);
    while (!atomic_load(&met))
        relax(&spins);
}

static oa_chan_t *channel(size_t capacity)
{
    oa_chan_t *ch = oa_chan_make(sizeof(int), .capacity = capacity);
    CHECK(ch);
    return ch;
}

static void chan_recv_round(uint64_t *random)
{
    oa_chan_t *ch = channel(*random % 2);
    int element = 0;
    act = send;
    atomic_store(&box, ch);
    dawdle(random);
    CHECK_EQ(oa_chan_recv(ch, &element), 0);
    CHECK_EQ(element, 1);
    CHECK_EQ(oa_chan_free(ch), 0);
}

static void chan_send_round(uint64_t *random)
{
    oa_chan_t *ch = channel(0);
    int element = 2;
    act = receive;
    atomic_store(&box, ch);
    dawdle(random);
    CHECK_EQ(oa_chan_send(ch, &element), 0);
    CHECK_EQ(oa_chan_free(ch), 0);
}

static void chan_close_round(uint64_t *random)
{
    oa_chan_t *ch = channel(*random % 2);
    act = close_it;
    atomic_store(&box, ch);
    dawdle(random);
    CHECK_EQ(oa_chan_recv(ch, NULL), -EPIPE);
    CHECK_EQ(oa_chan_free(ch), 0);
}

// The select frees both of its channels.
static void select_of_two(uint64_t *random, oa_fn *fn, int result)
{
    oa_chan_t *ch = channel(*random % 2), *never = channel(0);
    int element = 2;
    oa_case_t cases[] = {OA_RECV(never, &element), OA_RECV(ch, &element)};
    act = fn;
    atomic_store(&box, ch);
    dawdle(random);
    CHECK_EQ(oa_select(cases, 2), 1);
    CHECK_EQ(cases[1].result, result);
    CHECK_EQ(oa_chan_free(ch), 0);
    CHECK_EQ(oa_chan_free(never), 0);
    overwrite(cases, sizeof cases, random);
}

static void select_recv_round(uint64_t *random)
{
    select_of_two(random, send, 0);
}

static void select_close_round(uint64_t *random)
{
    select_of_two(random, close_it, -EPIPE);
}

static void select_select_round(uint64_t *random)
{
    select_of_two(random, select_send, 0);
}

// The other side of a select frees the channel on which they have met.
static void recv_of_select_round(uint64_t *random)
{
    oa_chan_t *ch = channel(*random % 2);
    act = select_send;
    atomic_store(&box, ch);
    dawdle(random);
    CHECK_EQ(oa_chan_recv(ch, NULL), 0);
    CHECK_EQ(oa_chan_free(ch), 0);
}

static void group_dropped_round(uint64_t *random)
{
    oa_group_t group = OA_GROUP_INIT;
    oa_task_t *task;
    act = drop_detached;
    CHECK_EQ(oa_go(nothing, .group = &group, .task = &task, .coord = home, .delay = OA_MINUTE), 0);
    atomic_store(&box, task);
    dawdle(random);
    CHECK_EQ(oa_group_wait(&group), 0);
    overwrite(&group, sizeof group, random);
    while (oa_cancel(task) == 0) // the waker has still to detach it
        oa_yield();
}

static void group_ended_round(uint64_t *random)
{
    oa_group_t group = OA_GROUP_INIT;
    CHECK_EQ(oa_go(nothing, .group = &group, .coord = other), 0);
    dawdle(random);
    CHECK_EQ(oa_group_wait(&group), 0);
    overwrite(&group, sizeof group, random);
}

static void join_dropped_round(uint64_t *random)
{
    oa_task_t *task;
    act = drop;
    CHECK_EQ(oa_go(nothing, .task = &task, .coord = home, .delay = OA_MINUTE), 0);
    atomic_store(&box, task);
    dawdle(random);
    CHECK_EQ(oa_join(task), 0);
    scribble();
}

static void join_ended_round(uint64_t *random)
{
    oa_task_t *task;
    CHECK_EQ(oa_go(nothing, .task = &task, .coord = other), 0);
    dawdle(random);
    CHECK_EQ(oa_join(task), 0);
    scribble();
}

static int64_t rounds;
static bool all_of_them; // however long it takes
static const char *only = "";

// Where there are more threads than CPUs each round costs a slice of time or two: fewer will do.
static bool enough(int64_t round, int64_t deadline)
{
    enum { AT_LEAST = 50 };
    return !all_of_them && round >= AT_LEAST && oa_now() > deadline;
}

#define ROUND(name) {#name, name##_round}
static const struct kind {
    const char *name;
    void (*round)(uint64_t *random);
} kinds[] = {
    ROUND(mutex),          ROUND(sem),          ROUND(latch),         ROUND(barrier),
    ROUND(barrier_broken), ROUND(chan_recv),    ROUND(chan_send),     ROUND(chan_close),
    ROUND(select_recv),    ROUND(select_close), ROUND(select_select), ROUND(recv_of_select),
    ROUND(group_dropped),  ROUND(group_ended),  ROUND(join_dropped),  ROUND(join_ended),
};

static void waiter(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        int64_t deadline = oa_after(OA_SECOND / 2);
        bool wanted = strstr(kinds[i].name, only) != NULL;
        for (int64_t round = 0; wanted && round < rounds && !enough(round, deadline); round++)
            kinds[i].round(&random);
    }
    atomic_store(&stop, true);
}

// `plain`: the waker is a plain thread. `same`: waiter and waker are of one coordinator.
static void run(bool plain, bool same, uint64_t seed)
{
    struct thread thread;
    atomic_store(&stop, false);
    CHECK_EQ(oa_start(&home, nothing, .max_workers = same ? 2 : 1), 0);
    other = home;
    if (!same)
        CHECK_EQ(oa_start(&other, nothing, .max_workers = 1), 0);
    if (plain)
        thread_start(&thread, waker, (void *)(uintptr_t)seed);
    else
        CHECK_EQ(oa_go(waker, (void *)(uintptr_t)seed, .coord = other), 0);
    CHECK_EQ(oa_go(waiter, (void *)(uintptr_t)(seed + 1), .coord = home), 0);
    if (plain)
        thread_join(&thread);
    CHECK_EQ(oa_wait(home), 0);
    if (!same)
        CHECK_EQ(oa_wait(other), 0);
}

// The waker is a task, as the waiter is.
static void run_simulated(void *seed)
{
    home = other = oa_coord();
    CHECK_EQ(oa_go(waker, seed), 0);
    waiter((char *)seed + 1);
}

int main(int argc, char **argv)
{
    uint64_t seed = test_seed();
    all_of_them = argc > 1;
    rounds = all_of_them ? atoll(argv[1]) : test_scale(700);
    only = argc > 2 ? argv[2] : only;
    if (simulated()) {
        CHECK_EQ(oa_run(run_simulated, (void *)(uintptr_t)seed), 0);
        return 0;
    }
    run(false, false, seed);
    run(false, true, seed + 2);
    run(true, false, seed + 4);
    return 0;
}
