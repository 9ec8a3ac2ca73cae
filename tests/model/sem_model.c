// SPDX-License-Identifier: BSD-2-Clause
// sem_model.c - the semaphore: permits are conserved, who waits gets the next one, and whoever was
// let go may free it.
//
// Each model is complete within its bounds: three preemptions and any stale reads, where nothing
// else is said. `_deep` is the same at three preemptions with no stale reads, where the other one
// has two.
#include "model.h"
#include "oasync/sync.h"
#include "stub_sched.h"

static oa_sem_t *sem;
static int released, acquired; // by thread 1 to 15: plain, each its own element
static int per_thread_released[16], per_thread_acquired[16];
static int cargo; // plain: written before a release, read by who acquires
static oai_task_t *victim;

// Bits for model_seen().
enum { ACQUIRED, TIMED_OUT, CANCELLED, REFUSED, NONE_FREE };

static int permits(void)
{
    return (int)(uint32_t)sem->oa_private[0];
}

static void acquire_until(int64_t deadline)
{
    int err = oa_sem_acquire_until(sem, deadline);
    if (err == 0) {
        per_thread_acquired[model_self()]++;
        model_seen(ACQUIRED);
    } else if (err == -ETIMEDOUT) {
        model_seen(TIMED_OUT);
    } else if (err == -ECANCELED) {
        model_assert(oa_sem_acquire(sem) == -ECANCELED); // from now on each, even of a free one
        model_seen(CANCELLED);
    } else {
        model_assert(err == -ENOMEM);
        model_seen(REFUSED);
    }
}

static void acquires(void *unused)
{
    (void)unused;
    acquire_until(OA_FOREVER);
}

static void acquires_soon(void *unused)
{
    (void)unused;
    acquire_until(1);
}

static void tries(void *unused)
{
    (void)unused;
    int err = oa_sem_tryacquire(sem);
    if (err == 0)
        per_thread_acquired[model_self()]++;
    else
        model_seen(NONE_FREE);
    model_assert(err == 0 || err == -EAGAIN);
}

static void releases(void *unused)
{
    (void)unused;
    model_assert(oa_sem_release(sem) == 0);
    per_thread_released[model_self()]++;
}

static void releases_twice(void *unused)
{
    releases(unused);
    releases(unused);
}

static void releases_cancels_releases(void *unused)
{
    releases(unused);
    stub_cancel(victim);
    releases(unused);
}

static void acquires_then_releases(void *unused)
{
    acquires(unused);
    if (per_thread_acquired[model_self()])
        releases(unused);
}

static void reset(int n)
{
    stub_reset();
    sem = model_alloc(sizeof *sem);
    oa_sem_init(sem, n);
    model_name_bytes(sem, 8, "sem.word");
    model_name_bytes((char *)sem + 8, sizeof *sem - 8, "sem.waiters");
    for (int i = 0; i < 16; i++)
        per_thread_acquired[i] = per_thread_released[i] = 0;
    cargo = 0;
    released = n;
    acquired = 0;
}

// What was released is acquired or there, and nobody waits.
static void conserved(void)
{
    for (int i = 0; i < 16; i++) {
        released += per_thread_released[i];
        acquired += per_thread_acquired[i];
    }
    model_assert(released == acquired + permits());
    model_assert(oa_sem_destroy(sem) == 0);
    model_assert(sem->oa_private[0] >> 32 == 0);
}

// ---- Conservation -------------------------------------------------------------------------------

static void two_acquire(void)
{
    reset(0);
    stub_task("a", acquires, NULL);
    stub_task("b", acquires, NULL);
    model_thread("releases", releases_twice, NULL);
}

static void thread_acquires(void)
{
    reset(0);
    stub_refusals = 1;
    model_thread("thread", acquires_then_releases, NULL);
    stub_task("task", acquires_then_releases, NULL);
    model_thread("releases", releases, NULL);
}

static void as_a_lock(void)
{
    reset(1);
    stub_task("a", acquires_then_releases, NULL);
    stub_task("b", acquires_then_releases, NULL);
    model_thread("thread", acquires_then_releases, NULL);
}

static void with_try(void)
{
    reset(0);
    stub_task("a", acquires, NULL);
    stub_task("tries", tries, NULL);
    model_thread("releases", releases_twice, NULL);
}

MODEL(two_acquire, two_acquire, conserved, .bound = 2, .stale = 1, .must_see = 1 << ACQUIRED);
MODEL(two_acquire_deep, two_acquire, conserved, .stale = -1, .runs = -1);
MODEL(thread_acquires, thread_acquires, conserved, .bound = 2, .stale = 1,
      .must_see = 1 << ACQUIRED | 1 << REFUSED);
MODEL(as_a_lock, as_a_lock, conserved, .bound = 2, .stale = 1);
MODEL(as_a_lock_deep, as_a_lock, conserved, .stale = -1, .runs = -1);
MODEL(with_try, with_try, conserved, .bound = 2, .must_see = 1 << ACQUIRED | 1 << NONE_FREE);

// ---- Waits that are broken ----------------------------------------------------------------------

static void deadline(void)
{
    reset(0);
    stub_task("late", acquires_soon, NULL);
    stub_task("b", acquires, NULL);
    model_thread("releases", releases_twice, NULL);
}

static void thread_deadline(void)
{
    reset(0);
    model_thread("late", acquires_soon, NULL);
    model_thread("releases", releases, NULL);
}

// One permit for two: the one that is cancelled leaves it to the other.
static void cancel(void)
{
    reset(0);
    victim = stub_task("victim", acquires, NULL);
    stub_task("b", acquires, NULL);
    model_thread("releases", releases_cancels_releases, NULL);
}

MODEL(deadline, deadline, conserved, .bound = 1, .stale = 1,
      .must_see = 1 << ACQUIRED | 1 << TIMED_OUT);
MODEL(thread_deadline, thread_deadline, conserved, .stale = 3,
      .must_see = 1 << ACQUIRED | 1 << TIMED_OUT);
MODEL(cancel, cancel, conserved, .bound = 2, .stale = -1,
      .must_see = 1 << ACQUIRED | 1 << CANCELLED);

// ---- What precedes a release happens before what follows its acquire; the last touch ------------

static void loads(void *unused)
{
    (void)unused;
    cargo = 1;
    model_assert(oa_sem_release(sem) == 0);
}

static void unloads(void *unused)
{
    (void)unused;
    model_assert(oa_sem_acquire(sem) == 0);
    model_assert(cargo == 1);
    model_free(sem);
}

static void unloads_late(void *unused)
{
    (void)unused;
    if (oa_sem_acquire_until(sem, 1) != 0)
        model_assert(oa_sem_acquire(sem) == 0);
    model_assert(cargo == 1);
    model_free(sem);
}

static void unloads_by_trying(void *unused)
{
    (void)unused;
    while (oa_sem_tryacquire(sem) != 0)
        oai_pause();
    model_assert(cargo == 1);
    model_free(sem);
}

static void task_frees(void)
{
    reset(0);
    stub_task("unloads", unloads, NULL);
    model_thread("loads", loads, NULL);
}

static void late_task_frees(void)
{
    reset(0);
    stub_task("unloads", unloads_late, NULL);
    model_thread("loads", loads, NULL);
}

static void late_thread_frees(void)
{
    reset(0);
    model_thread("unloads", unloads_late, NULL);
    stub_task("loads", loads, NULL);
}

static void trying_frees(void)
{
    reset(0);
    stub_task("unloads", unloads_by_trying, NULL);
    model_thread("loads", loads, NULL);
}

MODEL(task_frees, task_frees, NULL);
MODEL(late_task_frees, late_task_frees, NULL, .stale = 1);
MODEL(late_thread_frees, late_thread_frees, NULL, .stale = 1);
MODEL(trying_frees, trying_frees, NULL);

// Two releases by two threads, two acquires by one: it sees what both did.
static int second_cargo;

static void loads_second(void *unused)
{
    (void)unused;
    second_cargo = 1;
    model_assert(oa_sem_release(sem) == 0);
}

static void unloads_both(void *unused)
{
    (void)unused;
    model_assert(oa_sem_acquire(sem) == 0);
    model_assert(oa_sem_acquire(sem) == 0);
    model_assert(cargo == 1 && second_cargo == 1);
    model_free(sem);
}

static void two_cargos(void)
{
    reset(0);
    second_cargo = 0;
    stub_task("unloads", unloads_both, NULL);
    model_thread("loads", loads, NULL);
    model_thread("loads second", loads_second, NULL);
}

MODEL(two_cargos, two_cargos, NULL, .bound = 2, .stale = 1);
MODEL(two_cargos_deep, two_cargos, NULL, .stale = -1, .runs = -1);
