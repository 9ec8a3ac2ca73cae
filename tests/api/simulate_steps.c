// SPDX-License-Identifier: BSD-2-Clause
// simulate_steps.c - what a call does and what its task does before and behind it are steps by
// themselves: another task comes between, under some seed.
#include "simulate.h"
#include "support.h"

// A call of one task, and what another sees of it.
struct call {
    const char *name;
    void (*prepare)(void); // by the task that calls, or NULL
    int (*call)(void);
    bool (*is_done)(void); // by the other, at any time; it leaves all as it was
};

// What the two share, new for each run.
static struct world {
    oa_mutex_t mutex;
    oa_rwlock_t rwlock;
    oa_sem_t sem;
    oa_latch_t latch;
    oa_group_t group, delayed;
    oa_chan_t *ch;
    oa_task_t *ended, *looker;
} w;

static atomic_int step; // 1: before the call or in it, 2: behind it

static atomic_bool ends;

static void end(void *arg)
{
    (void)arg;
    atomic_store(&ends, true);
}

// ---- The calls ----------------------------------------------------------------------------------

static void lock(void)
{
    CHECK_EQ(oa_mutex_lock(&w.mutex), 0);
}

static void lock_to_read(void)
{
    CHECK_EQ(oa_rwlock_rdlock(&w.rwlock), 0);
}

static void lock_to_write(void)
{
    CHECK_EQ(oa_rwlock_wrlock(&w.rwlock), 0);
}

static void take_permit(void)
{
    CHECK_EQ(oa_sem_acquire(&w.sem), 0);
}

// The end of a task is one step with the last thing that it does.
static void let_end(void)
{
    UNTIL(atomic_load(&ends));
}

static int mutex_lock(void)
{
    return oa_mutex_lock(&w.mutex);
}

static int mutex_trylock(void)
{
    return oa_mutex_trylock(&w.mutex);
}

static int mutex_unlock(void)
{
    return oa_mutex_unlock(&w.mutex);
}

static int rdlock(void)
{
    return oa_rwlock_rdlock(&w.rwlock);
}

static int wrlock(void)
{
    return oa_rwlock_wrlock(&w.rwlock);
}

static int tryrdlock(void)
{
    return oa_rwlock_tryrdlock(&w.rwlock);
}

static int trywrlock(void)
{
    return oa_rwlock_trywrlock(&w.rwlock);
}

static int rwlock_unlock(void)
{
    return oa_rwlock_unlock(&w.rwlock);
}

static int sem_acquire(void)
{
    return oa_sem_acquire(&w.sem);
}

static int sem_tryacquire(void)
{
    return oa_sem_tryacquire(&w.sem);
}

static int sem_release(void)
{
    return oa_sem_release(&w.sem);
}

static int latch_arrive(void)
{
    return oa_latch_arrive(&w.latch);
}

static int put(void)
{
    return oa_chan_put(w.ch, NULL);
}

static int send(void)
{
    return oa_chan_send(w.ch, NULL);
}

static int close_channel(void)
{
    return oa_chan_close(w.ch);
}

static int cancel(void)
{
    return oa_cancel(w.looker);
}

static int group_cancel(void)
{
    return oa_group_cancel(&w.group);
}

static int shutdown(void)
{
    return oa_shutdown(NULL, OA_CANCEL);
}

static int go(void)
{
    return oa_go(nothing, .delay = OA_SECOND, .group = &w.delayed);
}

static int join_ended(void)
{
    return oa_join(w.ended);
}

static int detach(void)
{
    return oa_detach(w.ended);
}

// ---- What is seen of them -----------------------------------------------------------------------

static bool is_locked(void)
{
    return oa_mutex_trylock(&w.mutex) != 0 || oa_mutex_unlock(&w.mutex) != 0;
}

static bool is_unlocked(void)
{
    return !is_locked();
}

static bool is_rwlocked(void)
{
    return oa_rwlock_trywrlock(&w.rwlock) != 0 || oa_rwlock_unlock(&w.rwlock) != 0;
}

static bool is_rwunlocked(void)
{
    return !is_rwlocked();
}

static bool is_taken(void)
{
    return oa_sem_tryacquire(&w.sem) != 0 || oa_sem_release(&w.sem) != 0;
}

static bool is_given(void)
{
    return !is_taken();
}

static bool is_open(void)
{
    return oa_latch_wait_until(&w.latch, 0) == 0;
}

static bool has_element(void)
{
    return oa_chan_len(w.ch) != 0;
}

static bool is_closed(void)
{
    return oa_chan_take(w.ch, NULL) == -EPIPE;
}

static bool is_spawned(void)
{
    return oa_group_wait_until(&w.delayed, 0) == -ETIMEDOUT;
}

static bool is_stale(void)
{
    return oa_task_id(w.ended) == 0;
}

static const struct call calls[] = {
    {"oa_mutex_lock", NULL, mutex_lock, is_locked},
    {"oa_mutex_trylock", NULL, mutex_trylock, is_locked},
    {"oa_mutex_unlock", lock, mutex_unlock, is_unlocked},
    {"oa_rwlock_rdlock", NULL, rdlock, is_rwlocked},
    {"oa_rwlock_wrlock", NULL, wrlock, is_rwlocked},
    {"oa_rwlock_tryrdlock", NULL, tryrdlock, is_rwlocked},
    {"oa_rwlock_trywrlock", NULL, trywrlock, is_rwlocked},
    {"oa_rwlock_unlock, a reader", lock_to_read, rwlock_unlock, is_rwunlocked},
    {"oa_rwlock_unlock, a writer", lock_to_write, rwlock_unlock, is_rwunlocked},
    {"oa_sem_acquire", NULL, sem_acquire, is_taken},
    {"oa_sem_tryacquire", NULL, sem_tryacquire, is_taken},
    {"oa_sem_release", take_permit, sem_release, is_given},
    {"oa_latch_arrive", NULL, latch_arrive, is_open},
    {"oa_chan_put", NULL, put, has_element},
    {"oa_chan_send", NULL, send, has_element},
    {"oa_chan_close", NULL, close_channel, is_closed},
    {"oa_cancel", NULL, cancel, oa_cancelled},
    {"oa_group_cancel", NULL, group_cancel, oa_cancelled},
    {"oa_shutdown", NULL, shutdown, oa_cancelled},
    {"oa_go", NULL, go, is_spawned},
    {"oa_join", let_end, join_ended, is_stale},
    {"oa_detach", let_end, detach, is_stale},
};

// ---- One between --------------------------------------------------------------------------------

static int seen[2]; // while the other was at step 1: not done yet, done

static void caller(void *arg)
{
    const struct call *call = arg;
    if (call->prepare != NULL)
        call->prepare();
    atomic_store(&step, 1);
    if (call->call() != 0) // a try that met the look
        atomic_store(&step, 0);
    else
        atomic_store(&step, 2);
}

// A look is of a step that holds on from before it until behind it.
static void looker(void *arg)
{
    const struct call *call = arg;
    for (int i = 0; i < 4 && atomic_load(&step) < 2; i++) {
        int before = atomic_load(&step);
        bool done = call->is_done();
        if (before == 1 && atomic_load(&step) == 1)
            seen[done]++;
        oa_yield();
    }
}

static void two_tasks(void *arg)
{
    oa_task_t *both[2];
    CHECK_EQ(oa_go(end, .task = &w.ended), 0);
    CHECK_EQ(oa_go(looker, arg, .task = &both[0], .group = &w.group), 0);
    w.looker = both[0];
    CHECK_EQ(oa_go(caller, arg, .task = &both[1]), 0);
    CHECK_EQ(oa_join(both[1]), 0);
    CHECK_EQ(oa_join(both[0]), 0);
}

static void comes_between(const struct call *call)
{
    uint64_t seeds = test_under("native") ? 200 : 60;
    seen[0] = seen[1] = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        w = (struct world){.sem = OA_SEM_INIT(1), .ch = oa_chan_make(0, .capacity = 1)};
        oa_latch_init(&w.latch, 1);
        atomic_store(&step, 0);
        atomic_store(&ends, false);
        CHECK_EQ(oa_run(two_tasks, (void *)call, .simulate = seed), 0);
        CHECK_EQ(oa_chan_free(w.ch), 0);
    }
    printf("%s: of %d seeds %d look before it, %d behind it\n", call->name, (int)seeds, seen[0],
           seen[1]);
    CHECK(seen[0] > 0 && seen[1] > 0);
}

int main(void)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        comes_between(&calls[i]);
    return 0;
}
