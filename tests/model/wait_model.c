// SPDX-License-Identifier: BSD-2-Clause
// wait_model.c - the wait protocol: of wake, deadline and cancel exactly one wins, and its winner
// sees what was handed over, is resumed once, and only when its registers are saved.
//
// Each model is complete within its bounds: three preemptions and any stale reads, where nothing
// else is said. `_deep` is the same at three preemptions with no stale reads, where the other one
// has two.
#include "model.h"
#include "stub_sched.h"

// The least that can be waited for: a lock, waiters, and signals that nobody has waited for yet.
struct event {
    oai_lock_t lock;
    oai_waiters_t waiters;
    int signals; // under the lock
};

enum { VALUE = 7, RESULT = 3 };

static struct event event, second;
static oai_task_t *task;
static int given, taken; // signals; plain: one thread each writes and check() reads
static int reason;       // plain: written before a cancel, read by who was cancelled

// Bits for model_seen().
enum { WOKEN, TIMED_OUT, CANCELLED, NOT_BEGUN, WOKEN_2, TIMED_OUT_2, CANCELLED_2, REFUSED, LEFT };

static void event_init(struct event *e, const char *name)
{
    *e = (struct event){.lock = OAI_LOCK_INIT};
    model_name(e, name);
}

static __attribute__((noinline)) int event_wait(struct event *e, bool breakable, int64_t deadline)
{
    oai_wait_t wait;
    int value = 0;
    int err = oai_wait_begin(&wait, breakable);
    if (err) {
        model_seen(err == -ENOMEM ? REFUSED : NOT_BEGUN);
        return err;
    }
    wait.data = &value;
    oai_lock(&e->lock);
    bool waits = e->signals == 0;
    if (waits)
        oai_wait_link(&e->waiters, &wait);
    else
        e->signals--;
    oai_unlock(&e->lock);
    if (!waits) {
        taken++;
        return 0;
    }
    err = oai_wait_park(&wait, deadline);
    if (err == 0) {
        model_assert(value == VALUE && wait.result == RESULT && !wait.linked);
        taken++;
        return 0;
    }
    model_assert(value == 0 && wait.result == 0);
    oai_lock(&e->lock);
    oai_wait_unlink(&e->waiters, &wait);
    oai_unlock(&e->lock);
    return err;
}

static void event_signal(struct event *e)
{
    oai_lock(&e->lock);
    oai_wait_t *wait = oai_wait_claim_first(&e->waiters);
    if (wait) {
        *(int *)wait->data = VALUE;
        wait->result = RESULT;
    } else {
        e->signals++;
    }
    oai_unlock(&e->lock);
    given++;
    if (wait)
        oai_wait_ready(wait);
}

static void saw(int err, int first)
{
    if (err == 0)
        model_seen(first);
    else if (err == -ETIMEDOUT)
        model_seen(first + TIMED_OUT - WOKEN);
    else if (err == -ECANCELED)
        model_seen(first + CANCELLED - WOKEN);
    else
        model_assert(err == -ENOMEM);
}

// ---- The threads --------------------------------------------------------------------------------

static void waker(void *e)
{
    stub_become(NULL, true);
    event_signal(e);
}

static void canceller(void *unused)
{
    (void)unused;
    stub_become(NULL, true);
    reason = 1;
    stub_cancel(task);
}

static void waits(void *unused)
{
    (void)unused;
    int err = event_wait(&event, true, OA_FOREVER);
    saw(err, WOKEN);
    if (err == -ECANCELED) {
        model_assert(reason == 1);
        // From here on every wait is broken, even one that need not wait.
        model_assert(oai_wait_cancelled() && event_wait(&event, true, OA_FOREVER) == -ECANCELED);
    }
}

static void waits_until(void *unused)
{
    (void)unused;
    saw(event_wait(&event, true, 1), WOKEN);
}

static void reset(void)
{
    stub_reset();
    event_init(&event, "event");
    event_init(&second, "second");
    given = taken = reason = 0;
}

// A signal is taken once, or is there still; nobody waits any more.
static void conserved(void)
{
    model_assert(given == taken + event.signals + second.signals);
    model_assert(!oai_wait_busy(&event.waiters) && !oai_wait_busy(&second.waiters));
}

// ---- One wait -----------------------------------------------------------------------------------

static void wake_and_cancel(void)
{
    reset();
    stub_refusals = 1;
    task = stub_task("task", waits, NULL);
    model_thread("waker", waker, &event);
    model_thread("canceller", canceller, NULL);
}

static void wake_and_deadline(void)
{
    reset();
    task = stub_task("task", waits_until, NULL);
    model_thread("waker", waker, &event);
}

static void all_three(void)
{
    wake_and_deadline();
    model_thread("canceller", canceller, NULL);
}

static void cancel_only(void)
{
    reset();
    stub_next_stack = true;
    task = stub_task("task", waits, NULL);
    model_thread("canceller", canceller, NULL);
}

// The task's coordinator is cancelled.
static void shut_down(void *unused)
{
    (void)unused;
    stub_become(NULL, true);
    atomic_store_explicit(&stub_coord.state, OAI_CANCELLING, memory_order_seq_cst);
    stub_cancel(task);
}

// A task that was being made, whose flags were written over: its first wait is broken all the same.
static void waits_when_made(void *unused)
{
    (void)unused;
    atomic_store_explicit(&task->flags, oai_self() ? 0 : OAI_TASK_HOSTED, memory_order_relaxed);
    saw(event_wait(&event, true, OA_FOREVER), WOKEN);
}

static void made_and_shut_down(void)
{
    reset();
    stub_next_stack = true;
    task = stub_task("task", waits_when_made, NULL);
    model_thread("shutdown", shut_down, NULL);
}

// Known: it does not know that it was cancelled, and a later wait that need not wait is not broken.
static void waits_twice_when_made(void *unused)
{
    waits_when_made(unused);
    event_signal(&event);
    model_assert(event_wait(&event, true, OA_FOREVER) == -ECANCELED);
}

static void made_and_forgotten(void)
{
    reset();
    task = stub_task("task", waits_twice_when_made, NULL);
    model_thread("shutdown", shut_down, NULL);
}

MODEL(wake_and_cancel, wake_and_cancel, conserved,
      .must_see = 1 << WOKEN | 1 << CANCELLED | 1 << NOT_BEGUN | 1 << REFUSED);
MODEL(wake_and_deadline, wake_and_deadline, conserved, .must_see = 1 << WOKEN | 1 << TIMED_OUT);
MODEL(all_three, all_three, conserved, .stale = 1,
      .must_see = 1 << WOKEN | 1 << TIMED_OUT | 1 << CANCELLED | 1 << NOT_BEGUN);
MODEL(cancel_only, cancel_only, conserved, .never_see = 1 << WOKEN,
      .must_see = 1 << CANCELLED | 1 << NOT_BEGUN);
MODEL(made_and_shut_down, made_and_shut_down, conserved, .never_see = 1 << WOKEN,
      .must_see = 1 << CANCELLED | 1 << NOT_BEGUN);
MODEL(made_and_forgotten, made_and_forgotten, conserved);

// ---- What a cancel does not break ---------------------------------------------------------------

static void waits_unbroken(void *unused)
{
    (void)unused;
    saw(event_wait(&event, false, OA_FOREVER), WOKEN);
    saw(event_wait(&second, true, OA_FOREVER), WOKEN_2);
}

static void shield(bool on)
{
    if (on)
        atomic_fetch_or_explicit(&task->flags, OAI_TASK_SHIELDED, memory_order_relaxed);
    else
        atomic_fetch_and_explicit(&task->flags, ~(uint32_t)OAI_TASK_SHIELDED, memory_order_relaxed);
}

static void waits_shielded(void *unused)
{
    (void)unused;
    shield(true);
    saw(event_wait(&event, true, OA_FOREVER), WOKEN);
    model_assert(!oai_wait_cancelled());
    shield(false);
    saw(event_wait(&second, true, OA_FOREVER), WOKEN_2);
}

static void unbreakable(void)
{
    reset();
    stub_next_stack = true;
    task = stub_task("task", waits_unbroken, NULL);
    model_thread("waker", waker, &event);
    model_thread("canceller", canceller, NULL);
}

static void shielded(void)
{
    reset();
    task = stub_task("task", waits_shielded, NULL);
    model_thread("waker", waker, &event);
    model_thread("canceller", canceller, NULL);
}

MODEL(unbreakable, unbreakable, conserved, .never_see = 1 << CANCELLED | 1 << WOKEN_2,
      .must_see = 1 << WOKEN | 1 << CANCELLED_2);
MODEL(shielded, shielded, conserved, .never_see = 1 << CANCELLED | 1 << WOKEN_2,
      .must_see = 1 << WOKEN | 1 << CANCELLED_2);

// ---- Two waits in a row: what is late for the first does not touch the second -------------------

static void waits_twice(void *unused)
{
    (void)unused;
    saw(event_wait(&event, true, 1), WOKEN);
    int err = event_wait(&second, true, OA_FOREVER);
    model_assert(err == 0);
    saw(err, WOKEN_2);
}

static void wakes_twice(void *unused)
{
    (void)unused;
    stub_become(NULL, true);
    event_signal(&event);
    event_signal(&second);
}

static void late_deadline(void)
{
    reset();
    task = stub_task("task", waits_twice, NULL);
    model_thread("waker", wakes_twice, NULL);
}

static void waits_on_after_cancel(void *unused)
{
    (void)unused;
    saw(event_wait(&event, true, OA_FOREVER), WOKEN);
    shield(true);
    int err = event_wait(&second, true, OA_FOREVER);
    model_assert(err == 0);
    shield(false);
}

static void late_cancel(void)
{
    reset();
    stub_next_stack = true;
    task = stub_task("task", waits_on_after_cancel, NULL);
    model_thread("waker", wakes_twice, NULL);
    model_thread("canceller", canceller, NULL);
}

MODEL(late_deadline, late_deadline, conserved,
      .must_see = 1 << WOKEN | 1 << TIMED_OUT | 1 << WOKEN_2);
MODEL(late_cancel, late_cancel, conserved, .bound = 2,
      .must_see = 1 << WOKEN | 1 << CANCELLED | 1 << NOT_BEGUN);
MODEL(late_cancel_deep, late_cancel, conserved, .stale = -1, .runs = -1);

// ---- Plain threads ------------------------------------------------------------------------------

static void thread_wake(void)
{
    reset();
    model_thread("thread", waits, NULL);
    model_thread("waker", waker, &event);
}

static void thread_until(void)
{
    reset();
    model_thread("thread", waits_twice, NULL);
    model_thread("waker", wakes_twice, NULL);
}

MODEL(thread_wake, thread_wake, conserved, .must_see = 1 << WOKEN, .spurious = 1);
MODEL(thread_until, thread_until, conserved, .must_see = 1 << WOKEN | 1 << TIMED_OUT,
      .spurious = 1);

// ---- Hosted tasks -------------------------------------------------------------------------------

static void hosted_wake_and_cancel(void)
{
    reset();
    task = stub_hosted_task("hosted", waits, NULL);
    model_thread("waker", waker, &event);
    model_thread("canceller", canceller, NULL);
}

static void hosted_all_three(void)
{
    reset();
    task = stub_hosted_task("hosted", waits_until, NULL);
    model_thread("waker", waker, &event);
    model_thread("canceller", canceller, NULL);
}

static void hosted_cancel_only(void)
{
    reset();
    task = stub_hosted_task("hosted", waits, NULL);
    model_thread("canceller", canceller, NULL);
}

static void hosted_made_and_shut_down(void)
{
    reset();
    task = stub_hosted_task("hosted", waits_when_made, NULL);
    model_thread("shutdown", shut_down, NULL);
}

static void hosted_until(void)
{
    reset();
    task = stub_hosted_task("hosted", waits_twice, NULL);
    model_thread("waker", wakes_twice, NULL);
}

static void hosted_unbreakable(void)
{
    reset();
    task = stub_hosted_task("hosted", waits_unbroken, NULL);
    model_thread("waker", waker, &event);
    model_thread("canceller", canceller, NULL);
}

MODEL(hosted_wake_and_cancel, hosted_wake_and_cancel, conserved, .spurious = 1,
      .must_see = 1 << WOKEN | 1 << CANCELLED | 1 << NOT_BEGUN);
MODEL(hosted_all_three, hosted_all_three, conserved, .stale = 1, .bound = 2,
      .must_see = 1 << WOKEN | 1 << TIMED_OUT | 1 << CANCELLED | 1 << NOT_BEGUN);
MODEL(hosted_cancel_only, hosted_cancel_only, conserved, .never_see = 1 << WOKEN,
      .must_see = 1 << CANCELLED | 1 << NOT_BEGUN);
MODEL(hosted_made_and_shut_down, hosted_made_and_shut_down, conserved, .never_see = 1 << WOKEN,
      .must_see = 1 << CANCELLED | 1 << NOT_BEGUN);
MODEL(hosted_until, hosted_until, conserved, .must_see = 1 << WOKEN | 1 << TIMED_OUT | 1 << WOKEN_2,
      .spurious = 1);
MODEL(hosted_unbreakable, hosted_unbreakable, conserved, .never_see = 1 << CANCELLED | 1 << WOKEN_2,
      .must_see = 1 << WOKEN | 1 << CANCELLED_2);

// ---- A task that is lent, as to the thread that works off its oa_block --------------------------

static int lent; // plain: the lender writes, check() reads

// A signal that is handed over only when the task has waited for the second event, on this thread.
static void lender(void *unused)
{
    (void)unused;
    oai_lock(&event.lock);
    oai_wait_t *wait = oai_wait_claim_first(&event.waiters);
    if (!wait)
        event.signals++;
    oai_unlock(&event.lock);
    lent++;
    if (!wait)
        return;
    oai_wait_lend(wait);
    oai_host_set(task);
    *(int *)wait->data = VALUE;
    wait->result = RESULT;
    saw(event_wait(&second, true, OA_FOREVER), WOKEN_2);
    oai_host_set(NULL);
    oai_wait_give_back(task);
}

// Waits again when it is back.
static void is_lent(void *unused)
{
    waits(unused);
    saw(event_wait(&second, true, 1), LEFT);
}

static void lent_conserved(void)
{
    model_assert(given + lent == taken + event.signals + second.signals);
    model_assert(!oai_wait_busy(&event.waiters) && !oai_wait_busy(&second.waiters));
    model_assert(!(atomic_load_explicit(&task->flags, memory_order_relaxed) & OAI_TASK_HOSTED));
}

static void lent_task(void)
{
    reset();
    lent = 0;
    stub_next_stack = true;
    task = stub_task("task", is_lent, NULL);
    model_thread("lender", lender, NULL);
    model_thread("waker", waker, &second);
}

static void lent_and_cancelled(void)
{
    reset();
    lent = 0;
    task = stub_task("task", waits, NULL);
    model_thread("lender", lender, NULL);
    model_thread("canceller", canceller, NULL);
}

MODEL(lent, lent_task, lent_conserved, .bound = 2, .stale = 2,
      .must_see = 1 << WOKEN | 1 << WOKEN_2);
MODEL(lent_and_cancelled, lent_and_cancelled, lent_conserved, .bound = 2, .stale = 2,
      .must_see = 1 << WOKEN | 1 << CANCELLED | 1 << CANCELLED_2 | 1 << NOT_BEGUN);

// ---- All at once --------------------------------------------------------------------------------

static __attribute__((noinline)) void waits_for_all(void *deadline)
{
    oai_wait_t wait;
    int err = oai_wait_begin(&wait, true);
    model_assert(err == 0);
    oai_lock(&event.lock);
    bool waits = event.signals == 0;
    if (waits)
        oai_wait_link(&event.waiters, &wait);
    oai_unlock(&event.lock);
    if (!waits)
        return;
    err = oai_wait_park(&wait, *(int64_t *)deadline);
    saw(err, WOKEN);
    if (err == 0) {
        model_assert(wait.result == RESULT);
        return;
    }
    oai_lock(&event.lock);
    oai_wait_unlink(&event.waiters, &wait);
    oai_unlock(&event.lock);
}

static void wakes_all(void *unused)
{
    (void)unused;
    stub_become(NULL, true);
    oai_list_t claimed = {NULL, NULL};
    oai_lock(&event.lock);
    event.signals = 1;
    oai_wait_claim_all(&event.waiters, RESULT, &claimed);
    oai_unlock(&event.lock);
    oai_wait_ready_all(&claimed);
}

static void all_waiters(void)
{
    reset();
    static int64_t soon = 1, never = OA_FOREVER;
    task = stub_task("task", waits_for_all, &never);
    model_thread("thread", waits_for_all, &soon);
    model_thread("waker", wakes_all, NULL);
}

static void nobody_waits(void)
{
    model_assert(!oai_wait_busy(&event.waiters));
}

MODEL(all_waiters, all_waiters, nobody_waits, .bound = 2, .must_see = 1 << WOKEN | 1 << TIMED_OUT);
MODEL(all_waiters_deep, all_waiters, nobody_waits, .stale = -1, .runs = -1);
