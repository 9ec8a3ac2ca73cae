// SPDX-License-Identifier: BSD-2-Clause
// shutdown_states.c - shutdown at a random moment, with a task in every state: each ends in exactly
// one way, its function or its drop, and nobody is left behind.
// ctest: timeout=60 simulate=5
#include "stress/support.h"

enum { TASKS = 64 };

static uint64_t seed;
static oa_coord_t *coord;
static oa_chan_t *channel;
static oa_mutex_t mutex;
static oa_sem_t sem;
static _Atomic int64_t spawned, begun, ended, dropped_count;
static atomic_bool over; // no task may wait for ever in a drain
static oa_task_t *victim;

static void dropped(void *arg)
{
    (void)arg;
    atomic_fetch_add(&dropped_count, 1);
}

static int go(oa_fn *fn, int64_t delay)
{
    atomic_fetch_add(&spawned, 1);
    return oa_go(fn, NULL, .drop = dropped, .coord = coord, .delay = delay);
}

static void begin(void)
{
    atomic_fetch_add(&begun, 1);
}

static void end(int err)
{
    CHECK(err == 0 || err == -ECANCELED || err == -EPIPE || err == -ESRCH || err == -EBUSY ||
          err == -ESHUTDOWN);
    atomic_fetch_add(&ended, 1);
}

static void running(void *arg)
{
    begin();
    for (int i = 1; !atomic_load(&over) && !oa_cancelled(); i++) {
        oa_yield();
        if (i % 64 == 0) // the thread that shuts down wants a CPU, too
            (void)oa_sleep(20 * OA_MICROSECOND);
    }
    (void)arg;
    end(0);
}

static void receiving(void *arg)
{
    begin();
    end(oa_chan_recv(channel, arg));
}

static void selecting(void *arg)
{
    (void)arg;
    begin();
    oa_case_t cases[] = {OA_SEND(channel, NULL), OA_RECV(NULL, NULL), OA_RECV(channel, NULL)};
    int which = oa_select(cases, 3);
    end(which < 0 ? which : cases[which].result);
}

static void acquiring(void *arg)
{
    (void)arg;
    begin();
    int err = oa_sem_acquire(&sem);
    end(err ? err : oa_sem_release(&sem));
}

static void locking(void *arg)
{
    (void)arg;
    begin();
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    (void)oa_sleep(20 * OA_MICROSECOND);
    end(oa_mutex_unlock(&mutex));
}

static void sleeping(void *arg)
{
    (void)arg;
    begin();
    end(oa_sleep(300 * OA_MICROSECOND));
}

static void joining(void *arg)
{
    (void)arg;
    begin();
    end(oa_join_until(victim, OA_FOREVER));
}

static void grouping(void *arg)
{
    oa_group_t group = OA_GROUP_INIT;
    (void)arg;
    begin();
    for (int i = 0; i < 3; i++) {
        atomic_fetch_add(&spawned, 1);
        int err = oa_go(sleeping, NULL, .drop = dropped, .group = &group);
        CHECK(err == 0 || err == -ESHUTDOWN);
    }
    int err = oa_group_wait(&group);
    CHECK_EQ(oa_group_destroy(&group), 0);
    end(err);
}

static void spawning(void *arg)
{
    int err = 0;
    (void)arg;
    begin();
    for (int i = 0; i < 20 && err == 0; i++) {
        err = go(i % 2 ? sleeping : acquiring, i % 3 ? 0 : 50 * OA_MICROSECOND);
        oa_yield();
    }
    end(err);
}

static void shielded(void *arg)
{
    (void)arg;
    begin();
    CHECK(!oa_shield(true));
    CHECK_EQ(oa_sleep(100 * OA_MICROSECOND), 0);
    CHECK(oa_shield(false));
    end(oa_sleep(0));
}

static void queue_all(uint64_t *random)
{
    static oa_fn *const kinds[] = {running,  receiving, selecting, acquiring, locking,
                                   sleeping, grouping,  spawning,  shielded,  joining};
    for (int i = 0; i < TASKS; i++) {
        int64_t delay = random_below(random, 4) ? 0 : (int64_t)random_below(random, 400) * 1000;
        int err = go(kinds[random_below(random, sizeof kinds / sizeof *kinds)], delay);
        CHECK(err == 0 || err == -ESHUTDOWN);
    }
}

static void first(void *arg)
{
    uint64_t random = seed;
    (void)arg;
    queue_all(&random);
}

// What a drain waits for is let go.
static void let_go(void)
{
    atomic_store(&over, true);
    CHECK_EQ(oa_chan_close(channel), 0);
    CHECK_EQ(oa_sem_release(&sem), 0);
}

static void drive(void *arg)
{
    uint64_t *random = arg;
    bool drain = random_below(random, 3) == 0;
    atomic_fetch_add(&spawned, 1);
    CHECK_EQ(oa_go(running, NULL, .task = &victim, .coord = coord, .drop = dropped), 0);
    CHECK_EQ(oa_go(first, .coord = coord), 0);
    if (random_below(random, 2))
        queue_all(random);
    for (uint64_t i = random_below(random, 20); i > 0; i--)
        oa_yield();
    CHECK_EQ(oa_shutdown(coord, drain ? OA_DRAIN : OA_CANCEL), 0);
    CHECK_EQ(oa_shutdown(coord, OA_DRAIN), -EALREADY);
    if (!drain || !simulated()) // in a drain a task may still spawn
        CHECK_EQ(oa_go(nothing, .coord = coord), -ESHUTDOWN);
    if (drain)
        let_go();
}

static void round_of(uint64_t *random)
{
    atomic_store(&over, false);
    spawned = begun = ended = dropped_count = 0;
    oa_mutex_init(&mutex);
    oa_sem_init(&sem, 0);
    channel = oa_chan_make(0);
    seed = next_random(random);
    beside(&coord, drive, random, 1 + (int)random_below(random, 3));
    CHECK_EQ(begun, ended);
    CHECK_EQ(ended + dropped_count, spawned);
    CHECK_EQ(oa_sem_destroy(&sem), 0);
    CHECK_EQ(oa_mutex_destroy(&mutex), 0);
    CHECK_EQ(oa_chan_free(channel), 0);
}

int main(void)
{
    uint64_t random = test_seed();
    for (int64_t round = test_scale(300); round > 0; round--)
        round_of(&random);
    return 0;
}
