// SPDX-License-Identifier: BSD-2-Clause
// stale_races.c - join, join with a deadline, detach and cancel of one handle from everywhere at
// once: exactly one of them gives it up, the others are told, and a handle that was used up reaches
// nobody.
// ctest: timeout=60 simulate=10
#include "stress/support.h"

enum { USERS = 4 };

static _Atomic(oa_task_t *) shared; // the task of this round
static atomic_int given_up;         // who has joined or detached it
static atomic_uint arrived, turn;
static uint64_t seed;
static int64_t rounds;
static oa_coord_t *coord;

static void brief(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    dawdle(&random);
    if (random_below(&random, 2))
        oa_yield();
    if (random_below(&random, 4) == 0)
        (void)oa_sleep(20 * OA_MICROSECOND);
}

// Between two looks: at first short, for there may be more threads here than CPUs.
static void rest(int polls)
{
    if (polls % 8 != 7)
        oa_yield();
    else
        CHECK_EQ(oa_sleep(20 * OA_MICROSECOND), 0);
}

static int once(oa_task_t *task, uint64_t *random)
{
    switch (random_below(random, 6)) {
    case 0: return oa_join(task);
    case 1:
    case 2: return oa_join_until(task, oa_after((int64_t)random_below(random, 60) * 1000 - 5000));
    case 3: return random_below(random, 8) ? -EAGAIN : oa_detach(task);
    case 4: (void)oa_cancel(task); return -EAGAIN;
    default: (void)oa_task_id(task); return -EAGAIN;
    }
}

static void use(uint64_t *random)
{
    oa_task_t *task = atomic_load(&shared);
    int polls = 0;
    for (;;) {
        int err = once(task, random);
        if (err == 0) {
            CHECK_EQ(atomic_fetch_add(&given_up, 1), 0);
            return;
        }
        if (err == -ESRCH)
            return;
        CHECK(err == -EBUSY || err == -EAGAIN || err == -ETIMEDOUT);
        rest(polls++);
    }
}

static void begin_round(uint64_t *random)
{
    oa_task_t *task;
    oa_task_t *before = atomic_load(&shared);
    CHECK_EQ(oa_join(before), -ESRCH);
    CHECK_EQ(oa_detach(before), -ESRCH);
    int64_t delay = random_below(random, 4) ? 0 : 20 * OA_MICROSECOND;
    void *arg = (void *)(uintptr_t)next_random(random);
    CHECK_EQ(oa_go(brief, arg, .task = &task, .coord = coord, .delay = delay), 0);
    atomic_store(&given_up, 0);
    atomic_store(&shared, task);
}

// Each user, a task or a plain thread, takes part in each round; the last one to arrive begins the
// next.
static void user(void *arg)
{
    uint64_t random = seed + (uintptr_t)arg;
    for (int64_t round = 0; round < rounds; round++) {
        unsigned now = atomic_load(&turn);
        if (atomic_fetch_add(&arrived, 1) == USERS - 1) {
            if (round > 0)
                CHECK_EQ(atomic_load(&given_up), 1);
            begin_round(&random);
            atomic_store(&arrived, 0);
            atomic_store(&turn, now + 1);
        }
        for (int polls = 0; atomic_load(&turn) == now; polls++)
            rest(polls);
        use(&random);
    }
}

static void drive(void *arg)
{
    struct thread thread;
    (void)arg;
    for (uintptr_t i = 0; i < USERS - 1; i++)
        CHECK_EQ(oa_go(user, (void *)i, .coord = coord), 0);
    thread_start(&thread, user, (void *)USERS);
    thread_join(&thread);
}

int main(void)
{
    seed = test_seed();
    rounds = test_scale(3000);
    for (int workers = 1; workers <= 2; workers++) {
        atomic_store(&turn, 0);
        atomic_store(&shared, NULL);
        beside(&coord, drive, NULL, workers);
    }
    return 0;
}
