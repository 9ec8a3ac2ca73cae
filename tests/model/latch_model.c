// SPDX-License-Identifier: BSD-2-Clause
// latch_model.c - the latch: opens with the last arrival, lets all go who wait, and whoever was let
// go sees what each had done before it arrived, and may free it.
#include "model.h"
#include "oasync/sync.h"
#include "stub_sched.h"

static oa_latch_t *latch;
static int cargo[3]; // plain: written before an arrival, read behind the latch
static _Atomic int passed;
static oai_task_t *victim;

// Bits for model_seen().
enum { PASSED, TIMED_OUT, CANCELLED };

static void reset(int n)
{
    stub_reset();
    latch = model_alloc(sizeof *latch);
    oa_latch_init(latch, n);
    model_name_bytes(latch, 8, "latch.word");
    model_name_bytes((char *)latch + 8, sizeof *latch - 8, "latch.waiters");
    for (int i = 0; i < 3; i++)
        cargo[i] = 0;
    atomic_init(&passed, 0);
}

static int first = 0, second = 1;

static void arrives(void *number)
{
    cargo[*(int *)number] = 1;
    model_assert(oa_latch_arrive(latch) == 0);
}

static void arrives_twice(void *number)
{
    arrives(number);
    model_assert(oa_latch_arrive(latch) == 0);
}

static void passes(void)
{
    model_assert(cargo[0] == 1);
    atomic_fetch_add_explicit(&passed, 1, memory_order_relaxed);
    model_seen(PASSED);
}

static void waits(void *unused)
{
    (void)unused;
    model_assert(oa_latch_wait(latch) == 0);
    passes();
}

static void waits_late(void *unused)
{
    (void)unused;
    int err = oa_latch_wait_until(latch, 1);
    model_assert(err == 0 || err == -ETIMEDOUT);
    if (err)
        model_seen(TIMED_OUT);
    else
        passes();
}

static void waits_cancelled(void *unused)
{
    (void)unused;
    int err = oa_latch_wait(latch);
    model_assert(err == 0 || err == -ECANCELED);
    if (err) {
        model_assert(oa_latch_wait_until(latch, OA_FOREVER) == -ECANCELED);
        model_seen(CANCELLED);
    }
}

static void cancels(void *unused)
{
    (void)unused;
    stub_cancel(victim);
}

// It is open and nobody waits.
static void is_open(void)
{
    model_assert(oa_latch_destroy(latch) == 0);
    model_assert(latch->oa_private[0] == 0);
}

static void is_open_for_two(void)
{
    is_open();
    model_assert(passed == 2);
}

// ---- Opening ------------------------------------------------------------------------------------

static void two_wait(void)
{
    reset(1);
    stub_task("task", waits, NULL);
    model_thread("thread", waits, NULL);
    model_thread("arrives", arrives, &first);
}

static void one_too_many(void)
{
    reset(2);
    stub_task("waits", waits, NULL);
    model_thread("arrives", arrives_twice, &first);
    model_thread("arrives too", arrives, &second);
}

static void deadline(void)
{
    reset(1);
    stub_task("late", waits_late, NULL);
    stub_task("waits", waits, NULL);
    model_thread("arrives", arrives, &first);
}

static void thread_deadline(void)
{
    reset(1);
    model_thread("late", waits_late, NULL);
    model_thread("arrives", arrives, &first);
}

static void cancel(void)
{
    reset(1);
    victim = stub_task("victim", waits_cancelled, NULL);
    model_thread("cancels", cancels, NULL);
    model_thread("arrives", arrives, &first);
}

MODEL(two_wait, two_wait, is_open_for_two, .bound = 2, .stale = 1);
MODEL(one_too_many, one_too_many, is_open, .bound = 2, .stale = 1);
MODEL(deadline, deadline, is_open, .bound = 1, .stale = 1,
      .must_see = 1 << PASSED | 1 << TIMED_OUT);
MODEL(thread_deadline, thread_deadline, is_open, .stale = 3,
      .must_see = 1 << PASSED | 1 << TIMED_OUT);
MODEL(cancel, cancel, is_open, .bound = 2, .stale = 1, .must_see = 1 << CANCELLED);

// ---- What precedes an arrival happens before what follows the wait; the last touch --------------

static void frees(void *unused)
{
    (void)unused;
    model_assert(oa_latch_wait(latch) == 0);
    model_assert(cargo[0] == 1 && cargo[1] == 1);
    model_free(latch);
}

static void frees_late(void *unused)
{
    (void)unused;
    if (oa_latch_wait_until(latch, 1) != 0)
        model_assert(oa_latch_wait(latch) == 0);
    model_assert(cargo[0] == 1);
    model_free(latch);
}

static void two_cargos(void)
{
    reset(2);
    stub_task("frees", frees, NULL);
    model_thread("arrives", arrives, &first);
    model_thread("arrives too", arrives, &second);
}

static void late_task_frees(void)
{
    reset(1);
    stub_task("frees", frees_late, NULL);
    model_thread("arrives", arrives, &first);
}

static void late_thread_frees(void)
{
    reset(1);
    model_thread("frees", frees_late, NULL);
    stub_task("arrives", arrives, &first);
}

MODEL(two_cargos, two_cargos, NULL, .bound = 2, .stale = 1);
MODEL(two_cargos_deep, two_cargos, NULL, .stale = -1, .runs = -1);
MODEL(late_task_frees, late_task_frees, NULL, .stale = 1);
MODEL(late_thread_frees, late_thread_frees, NULL, .stale = 1);
