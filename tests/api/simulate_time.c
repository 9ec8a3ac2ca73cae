// SPDX-License-Identifier: BSD-2-Clause
// simulate_time.c - the clock of a simulation: it jumps to who sleeps, a loop that polls for one
// ends, and it never goes back.
#include "simulate.h"
#include "support.h"

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

// ---- Polls --------------------------------------------------------------------------------------

// What is polled for, by a loop that never yields, until a sleeper has done its part.
struct polled {
    oa_mutex_t mutex;
    oa_sem_t sem;
    oa_chan_t *ch;
};

static void until_cancelled(void *arg)
{
    (void)arg;
    while (!oa_cancelled())
        ;
}

static void until_unlocked(void *arg)
{
    struct polled *polled = arg;
    int err;
    do
        err = oa_mutex_trylock(&polled->mutex);
    while (err == -EBUSY);
    CHECK_EQ(err, 0);
    CHECK_EQ(oa_mutex_unlock(&polled->mutex), 0);
}

static void until_released(void *arg)
{
    struct polled *polled = arg;
    int err;
    do
        err = oa_sem_tryacquire(&polled->sem);
    while (err == -EAGAIN);
    CHECK_EQ(err, 0);
}

static void until_sent(void *arg)
{
    struct polled *polled = arg;
    int err;
    do
        err = oa_chan_take(polled->ch, NULL);
    while (err == -EAGAIN);
    CHECK_EQ(err, 0);
}

static oa_fn *const polling[] = {until_cancelled, until_unlocked, until_released, until_sent};

static void sleeps_and_lets_go(void *arg)
{
    struct polled polled = {OA_MUTEX_INIT, OA_SEM_INIT(0), oa_chan_make(0, .capacity = 1)};
    oa_task_t *task;
    CHECK_EQ(oa_mutex_lock(&polled.mutex), 0);
    CHECK_EQ(oa_go(*(oa_fn *const *)arg, &polled, .task = &task), 0);
    CHECK_EQ(oa_sleep(OA_MILLISECOND), 0);
    CHECK_EQ(oa_mutex_unlock(&polled.mutex), 0);
    CHECK_EQ(oa_sem_release(&polled.sem), 0);
    CHECK_EQ(oa_chan_put(polled.ch, NULL), 0);
    int err = oa_cancel(task);
    CHECK(err == 0 || err == -ESRCH); // it may have ended
    CHECK_EQ(oa_join(task), 0);
    CHECK_EQ(oa_chan_free(polled.ch), 0);
}

// Each takes a million calls before the clock goes on: one loop is enough for slow builds, and too
// much for ASan's, where a switch costs most.
static void polls_end(void)
{
    if (test_under("asan"))
        return;
    size_t count = test_under("native") ? sizeof polling / sizeof *polling : 1;
    for (uint64_t seed = 1; seed <= 2; seed++)
        for (size_t i = 0; i < count; i++)
            CHECK_EQ(oa_run(sleeps_and_lets_go, (void *)&polling[i], .simulate = seed), 0);
}

// ---- The end of time ----------------------------------------------------------------------------

static int64_t never_back(int64_t before)
{
    int64_t now = oa_now();
    CHECK(now >= before && now < OA_FOREVER);
    return now;
}

static void sleeps_to_the_end(void *arg)
{
    int64_t now = never_back(OA_SECOND);
    (void)arg;
    CHECK_EQ(oa_sleep_until(OA_FOREVER - 1), 0);
    CHECK(oa_now() > OA_FOREVER - OA_MILLISECOND); // timers have no tick behind that
    for (int i = 0; i < 100; i++) {
        now = never_back(now);
        oa_yield();
    }
    CHECK_EQ(oa_sleep_until(OA_FOREVER - 1), 0); // again
    oa_sem_t none = OA_SEM_INIT(0);
    CHECK_EQ(oa_sem_acquire_until(&none, OA_FOREVER - 1), -ETIMEDOUT);
    never_back(now);
}

static void looks(void *arg)
{
    never_back(*(int64_t *)arg);
}

// As long as a delay can be: the rest of time.
static void delays_to_the_end(void *arg)
{
    int64_t now = oa_now();
    (void)arg;
    CHECK_EQ(oa_go(looks, oa_val(now), .delay = OA_FOREVER - 1 - now), 0);
    CHECK_EQ(oa_go(looks, oa_val(now), .delay = OA_FOREVER / 2), 0);
}

static void count_drop(void *arg)
{
    ++*(int *)arg;
}

static void delays_for_ever(void *arg)
{
    int64_t now = oa_now();
    CHECK_EQ(oa_go(looks, arg, .delay = OA_FOREVER, .drop = count_drop), 0);
    CHECK_EQ(oa_sleep(OA_SECOND), 0);
    CHECK(never_back(now) < now + 2 * OA_SECOND);
    CHECK_EQ(oa_shutdown(NULL, OA_CANCEL), 0);
}

static void time_ends(void)
{
    for (uint64_t seed = 1; seed <= few_seeds(); seed++) {
        int dropped = 0;
        CHECK_EQ(oa_run(sleeps_to_the_end, .simulate = seed), 0);
        CHECK_EQ(oa_run(delays_to_the_end, .simulate = seed), 0);
        CHECK_EQ(oa_run(delays_for_ever, &dropped, .simulate = seed), 0);
        CHECK_EQ(dropped, 1);
    }
}

int main(void)
{
    time_jumps();
    polls_end();
    time_ends();
    return 0;
}
