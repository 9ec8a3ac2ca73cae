// SPDX-License-Identifier: BSD-2-Clause
// barrier_model.c - the barrier: rounds of exactly n, one of each told that it was the last,
// arrivals taken back, and whoever was let go may free it, though another one's wait was broken
// meanwhile.
#include "model.h"
#include "oasync/sync.h"
#include "stub_sched.h"

extern struct {
    _Alignas(OAI_CACHELINE) oai_lock_t lock;
} oai_barrier_locks[32]; // of barrier.c

static oa_barrier_t *barrier;
static int cargo[3]; // plain: written by each before it comes, read by all behind the barrier
static int size;
static _Atomic int lasts, through;
static oai_task_t *victim;
static int numbers[3] = {0, 1, 2};

// Bits for model_seen().
enum { LAST, NOT_LAST, TIMED_OUT, CANCELLED };

static void reset(int n)
{
    stub_reset();
    size = n;
    for (size_t i = 0; i < sizeof oai_barrier_locks / sizeof *oai_barrier_locks; i++)
        oai_barrier_locks[i].lock = (oai_lock_t)OAI_LOCK_INIT;
    barrier = model_alloc(sizeof *barrier);
    oa_barrier_init(barrier, n);
    model_name_bytes(barrier, sizeof *barrier, "barrier");
    for (int i = 0; i < 3; i++)
        cargo[i] = 0;
    atomic_init(&lasts, 0);
    atomic_init(&through, 0);
}

static void passes(int err)
{
    model_assert(err == 0 || err == 1);
    for (int i = 0; i < size; i++)
        model_assert(cargo[i] == 1);
    atomic_fetch_add_explicit(&lasts, err, memory_order_relaxed);
    atomic_fetch_add_explicit(&through, 1, memory_order_relaxed);
    model_seen(err ? LAST : NOT_LAST);
}

static void comes(void *number)
{
    cargo[*(int *)number] = 1;
    passes(oa_barrier_wait(barrier));
}

static void comes_twice(void *number)
{
    comes(number);
    int err = oa_barrier_wait(barrier);
    model_assert(err == 0 || err == 1);
    atomic_fetch_add_explicit(&lasts, err, memory_order_relaxed);
}

static void comes_late(void *number)
{
    cargo[*(int *)number] = 1;
    int err = oa_barrier_wait_until(barrier, 1);
    if (err == -ETIMEDOUT) {
        model_seen(TIMED_OUT);
        err = oa_barrier_wait(barrier);
    }
    passes(err);
}

static void comes_cancelled(void *number)
{
    cargo[*(int *)number] = 1;
    int err = oa_barrier_wait(barrier);
    if (err == -ECANCELED) {
        model_seen(CANCELLED);
        atomic_fetch_or_explicit(&victim->flags, OAI_TASK_SHIELDED, memory_order_relaxed);
        err = oa_barrier_wait(barrier);
    }
    passes(err);
}

static void cancels(void *unused)
{
    (void)unused;
    stub_cancel(victim);
}

static void one_round(void)
{
    model_assert(oa_barrier_destroy(barrier) == 0);
    model_assert(lasts == 1 && through == size);
}

static void two_rounds(void)
{
    model_assert(oa_barrier_destroy(barrier) == 0);
    model_assert(lasts == 2 && through == size);
}

// ---- Rounds -------------------------------------------------------------------------------------

static void three(void)
{
    reset(3);
    stub_task("a", comes, &numbers[0]);
    stub_task("b", comes, &numbers[1]);
    model_thread("thread", comes, &numbers[2]);
}

static void twice(void)
{
    reset(2);
    stub_task("task", comes_twice, &numbers[0]);
    model_thread("thread", comes_twice, &numbers[1]);
}

static void deadline(void)
{
    reset(2);
    stub_task("late", comes_late, &numbers[0]);
    stub_task("b", comes, &numbers[1]);
}

static void thread_deadline(void)
{
    reset(2);
    model_thread("late", comes_late, &numbers[0]);
    stub_task("b", comes, &numbers[1]);
}

static void cancel(void)
{
    reset(2);
    victim = stub_task("victim", comes_cancelled, &numbers[0]);
    model_thread("cancels", cancels, NULL);
    stub_task("b", comes, &numbers[1]);
}

MODEL(three, three, one_round, .bound = 2, .stale = 1, .must_see = 1 << LAST | 1 << NOT_LAST);
MODEL(twice, twice, two_rounds, .stale = 1);
MODEL(deadline, deadline, one_round, .bound = 2, .stale = 1,
      .must_see = 1 << LAST | 1 << NOT_LAST | 1 << TIMED_OUT);
MODEL(thread_deadline, thread_deadline, one_round, .stale = 1, .must_see = 1 << TIMED_OUT);
MODEL(cancel, cancel, one_round, .bound = 2, .stale = 1, .must_see = 1 << CANCELLED);

// ---- The last touch -----------------------------------------------------------------------------

static void comes_and_frees(void *number)
{
    comes(number);
    model_free(barrier);
}

static void one_frees(void)
{
    reset(2);
    stub_task("frees", comes_and_frees, &numbers[0]);
    model_thread("thread", comes, &numbers[1]);
}

// The other one's time may be up when the round is full: it must not look at the barrier then.
static void one_frees_beside_late(void)
{
    reset(2);
    stub_task("frees", comes_and_frees, &numbers[0]);
    stub_task("late", comes_late, &numbers[1]);
}

static void one_frees_beside_late_thread(void)
{
    reset(2);
    stub_task("frees", comes_and_frees, &numbers[0]);
    model_thread("late", comes_late, &numbers[1]);
}

static void all_through(void)
{
    model_assert(lasts == 1 && through == size);
}

MODEL(one_frees, one_frees, all_through, .stale = 1);
MODEL(one_frees_beside_late, one_frees_beside_late, all_through, .bound = 2, .stale = 1);
MODEL(one_frees_beside_late_thread, one_frees_beside_late_thread, all_through, .stale = 1);
