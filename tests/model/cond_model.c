// SPDX-License-Identifier: BSD-2-Clause
// cond_model.c - the condition variable over the shipped mutex: no signal is lost between unlock
// and wait or on a wait that is broken, every wait ends with the mutex held, and whoever was told
// may free both.
//
// Each model is complete within its bounds: three preemptions and any stale reads, where nothing
// else is said; with three who take and give, one preemption, as the mutex alone has many steps.
#include "model.h"
#include "oasync/sync.h"
#include "stub_sched.h"

static struct shared {
    oa_mutex_t mutex;
    oa_cond_t cond;
} *shared;

static int inside, units, taken, missed; // plain: guarded by the mutex
static oai_task_t *victim;

// Bits for model_seen().
enum { TAKEN, WAITED, TIMED_OUT, CANCELLED, REFUSED };

static void enter(void)
{
    int err = oa_mutex_lock(&shared->mutex);
    if (err == -ENOMEM)
        err = oa_mutex_lock(&shared->mutex); // refused once
    model_assert(err == 0 && inside == 0);
    inside = 1;
}

static void leave(void)
{
    model_assert(inside == 1);
    inside = 0;
    model_assert(oa_mutex_unlock(&shared->mutex) == 0);
}

// One wait, from within to within.
static int wait_once(int64_t deadline)
{
    inside = 0;
    int err = oa_cond_wait_until(&shared->cond, &shared->mutex, deadline);
    model_assert(inside == 0);
    inside = 1;
    switch (err) {
    case 0: model_seen(WAITED); break;
    case -ETIMEDOUT: model_seen(TIMED_OUT); break;
    case -ECANCELED: model_seen(CANCELLED); break;
    default: model_assert(err == -ENOMEM); model_seen(REFUSED);
    }
    return err;
}

// Takes a unit, waiting until the deadline; the one that was refused asks again.
static void take_until(int64_t deadline)
{
    int err = 0;
    enter();
    while (units == 0 && (err == 0 || err == -ENOMEM))
        err = wait_once(deadline);
    if (units) {
        units--;
        taken++;
        model_seen(TAKEN);
    } else {
        missed++;
    }
    leave();
}

static void takes(void *unused)
{
    (void)unused;
    take_until(OA_FOREVER);
}

static void takes_soon(void *unused)
{
    (void)unused;
    take_until(1);
}

static void add(int count)
{
    enter();
    units += count;
    if (count == 1)
        model_assert(oa_cond_signal(&shared->cond) == 0);
    else
        model_assert(oa_cond_broadcast(&shared->cond) == 0);
    leave();
}

static void gives(void *unused)
{
    (void)unused;
    add(1);
}

static void gives_twice(void *unused)
{
    (void)unused;
    add(1);
    add(1);
}

static void gives_two(void *unused)
{
    (void)unused;
    add(2);
}

static void gives_outside(void *unused)
{
    (void)unused;
    enter();
    units++;
    leave();
    model_assert(oa_cond_signal(&shared->cond) == 0);
}

static void gives_twice_outside(void *unused)
{
    gives_outside(unused);
    gives_outside(unused);
}

static void cancels_and_gives(void *unused)
{
    stub_cancel(victim);
    gives_twice(unused);
}

static void reset(void)
{
    stub_reset();
    shared = model_alloc(sizeof *shared);
    oa_mutex_init(&shared->mutex);
    oa_cond_init(&shared->cond);
    model_name_bytes(&shared->mutex, 8, "mutex.word");
    model_name_bytes(&shared->cond, sizeof shared->cond, "cond");
    inside = units = taken = missed = 0;
}

// Every unit is taken or there; only a broken wait may miss one.
static void over(int given)
{
    model_assert(inside == 0 && taken + units == given);
    model_assert(units == 0 || missed != 0);
    model_assert(oa_cond_destroy(&shared->cond) == 0);
    model_assert(oa_mutex_destroy(&shared->mutex) == 0);
}

static void one_given(void)
{
    over(1);
}

static void two_given(void)
{
    over(2);
}

// ---- Signals ------------------------------------------------------------------------------------

static void task_waits(void)
{
    reset();
    stub_refusals = 1;
    stub_keeps_stack = true;
    stub_task("takes", takes, NULL);
    model_thread("gives", gives, NULL);
}

static void thread_waits(void)
{
    reset();
    model_thread("takes", takes, NULL);
    stub_task("gives", gives, NULL);
}

static void told_outside(void)
{
    reset();
    stub_task("takes", takes, NULL);
    model_thread("gives", gives_outside, NULL);
}

static void two_signals(void)
{
    reset();
    stub_task("a", takes, NULL);
    stub_task("b", takes, NULL);
    model_thread("gives", gives_twice, NULL);
}

static void two_told_outside(void)
{
    reset();
    stub_task("a", takes, NULL);
    stub_task("b", takes, NULL);
    model_thread("gives", gives_twice_outside, NULL);
}

static void broadcast(void)
{
    reset();
    stub_task("a", takes, NULL);
    model_thread("b", takes, NULL);
    stub_task("gives", gives_two, NULL);
}

MODEL(task_waits, task_waits, one_given, .must_see = 1 << TAKEN | 1 << WAITED | 1 << REFUSED);
MODEL(thread_waits, thread_waits, one_given, .stale = 1, .must_see = 1 << TAKEN | 1 << WAITED);
MODEL(told_outside, told_outside, one_given, .must_see = 1 << TAKEN | 1 << WAITED);
MODEL(two_signals, two_signals, two_given, .bound = 2, .stale = -1,
      .must_see = 1 << TAKEN | 1 << WAITED);
MODEL(two_told_outside, two_told_outside, two_given, .bound = 1, .stale = -1,
      .must_see = 1 << TAKEN | 1 << WAITED);
MODEL(broadcast, broadcast, two_given, .bound = 2, .stale = -1,
      .must_see = 1 << TAKEN | 1 << WAITED);

// ---- Waits that are broken ----------------------------------------------------------------------

static void late(void)
{
    reset();
    stub_task("late", takes_soon, NULL);
    model_thread("gives", gives, NULL);
}

static void late_thread(void)
{
    reset();
    model_thread("late", takes_soon, NULL);
    stub_task("gives", gives, NULL);
}

// The signal that finds the late one's wait broken goes to the other.
static void late_and_other(void)
{
    reset();
    stub_task("late", takes_soon, NULL);
    stub_task("other", takes, NULL);
    model_thread("gives", gives_twice, NULL);
}

static void cancelled(void)
{
    reset();
    victim = stub_task("victim", takes, NULL);
    stub_task("other", takes, NULL);
    model_thread("cancels", cancels_and_gives, NULL);
}

MODEL(late, late, one_given, .bound = 2, .stale = 1,
      .must_see = 1 << TAKEN | 1 << WAITED | 1 << TIMED_OUT);
MODEL(late_thread, late_thread, one_given, .bound = 2, .stale = 1,
      .must_see = 1 << TAKEN | 1 << WAITED | 1 << TIMED_OUT);
MODEL(late_and_other, late_and_other, two_given, .bound = 1, .stale = 1,
      .must_see = 1 << TAKEN | 1 << WAITED | 1 << TIMED_OUT);
MODEL(cancelled, cancelled, two_given, .bound = 1, .stale = 1,
      .must_see = 1 << TAKEN | 1 << WAITED | 1 << CANCELLED);

// ---- The last touch -----------------------------------------------------------------------------

static void takes_and_frees(void *unused)
{
    takes(unused);
    model_free(shared);
}

static void takes_late_and_frees(void *unused)
{
    takes_soon(unused);
    if (missed)
        takes(unused);
    model_free(shared);
}

static void task_frees(void)
{
    reset();
    stub_task("frees", takes_and_frees, NULL);
    model_thread("gives", gives, NULL);
}

static void late_frees(void)
{
    reset();
    model_thread("frees", takes_late_and_frees, NULL);
    stub_task("gives", gives, NULL);
}

// Who waits is there, and is told without the mutex: then the condition variable is its own.
static void waits_and_frees(void *unused)
{
    (void)unused;
    enter();
    units = 1;
    model_assert(wait_once(OA_FOREVER) == 0);
    leave();
    model_free(shared);
}

static void tells_who_waits(void *unused)
{
    (void)unused;
    bool there = false;
    while (!there) {
        enter();
        there = units == 1;
        leave();
        if (!there)
            oai_pause();
    }
    model_assert(oa_cond_signal(&shared->cond) == 0);
}

static void told_outside_frees(void)
{
    reset();
    stub_task("frees", waits_and_frees, NULL);
    model_thread("tells", tells_who_waits, NULL);
}

MODEL(told_outside_frees, told_outside_frees, NULL, .stale = 1, .must_see = 1 << WAITED);
MODEL(task_frees, task_frees, NULL);
MODEL(late_frees, late_frees, NULL, .bound = 2, .stale = 1);
