// SPDX-License-Identifier: BSD-2-Clause
// join_model.c - the end of a task against its joiners, a detach, a cancel, and stale handles: who
// has joined sees what the task did, exactly one gives up the handle, the slot is freed once and
// its next task is not touched.
//
// Each model is complete within its bounds: three preemptions and any stale reads, where nothing
// else is said. `_deep` is the same at three preemptions with no stale reads, where the other one
// has two.
#include "model.h"
#include "sched/hot.h"
#include "stub_life.h"

static oa_task_t *child_handle;
static oai_task_t *child;
static int done; // plain: written by the child
static oai_task_t *joiner;

// Given up by whom: plain, a thread each.
static int gave_up[16], timed_out[16];

// Bits for model_seen().
enum {
    JOINED,
    TIMED_OUT,
    BUSY,
    STALE,
    CANCELLED,
    DETACHED,
    ENDED_FIRST,
    RAN,
    DROPPED,
    HIT,
    REUSED
};

static void reset(int slots)
{
    stub_reset();
#ifdef QUICK
    stub_has_stacks = true;
#endif
    stub_life(slots);
    child_handle = NULL;
    child = joiner = NULL;
    done = 0;
    for (int i = 0; i < 16; i++)
        gave_up[i] = timed_out[i] = 0;
}

static void works(void *unused)
{
    (void)unused;
    done = 1;
}

static void spawn_child(oa_fn *fn)
{
    oa_spec_t spec = OA_SPEC_INIT;
    spec.fn = fn;
    spec.task = &child_handle;
    child = stub_go("child", &spec);
}

static void spawn_named_child(oa_fn *fn)
{
    oa_spec_t spec = OA_SPEC_INIT;
    spec.fn = fn;
    spec.task = &child_handle;
    spec.name = "child";
    spec.drop = stub_dropped;
    child = stub_go("child", &spec);
}

static int join_until(int64_t deadline)
{
    int err = deadline ? oa_join_until(child_handle, deadline) : oa_join(child_handle);
    switch (err) {
    case 0:
        model_assert(done == 1);
        gave_up[model_self()]++;
        model_seen(JOINED);
        break;
    case -ETIMEDOUT: model_seen(TIMED_OUT); break;
    case -EBUSY: model_seen(BUSY); break;
    case -ESRCH: model_seen(STALE); break;
    case -ECANCELED: model_seen(CANCELLED); break;
    default: model_fail("join: %d", err);
    }
    return err;
}

static void joins(void *unused)
{
    (void)unused;
    model_assert(join_until(0) == 0);
    model_assert(oa_join(child_handle) == -ESRCH);
}

static void joins_late(void *unused)
{
    (void)unused;
    int err = join_until(1);
    model_assert(err == 0 || err == -ETIMEDOUT);
    if (err)
        joins(NULL);
}

// One of several.
static void may_join(void *unused)
{
    (void)unused;
    int err = join_until(0);
    model_assert(err == 0 || err == -EBUSY || err == -ESRCH);
}

static void may_join_late(void *unused)
{
    (void)unused;
    join_until(1);
}

static int detach(void)
{
    int err = oa_detach(child_handle);
    model_assert(err == 0 || err == -EBUSY || err == -ESRCH);
    if (err == 0) {
        gave_up[model_self()]++;
        model_seen(DETACHED);
        model_assert(oa_detach(child_handle) == -ESRCH);
    }
    return err;
}

static void detaches(void *unused)
{
    (void)unused;
    detach();
}

// Exactly one has given up the handle; the slot is free again.
static void given_up_once(void)
{
    int count = 0;
    for (int i = 0; i < 16; i++)
        count += gave_up[i];
    model_assert(count == 1);
    stub_life_over();
}

// ---- Join against the end -----------------------------------------------------------------------

static void task_joins(void)
{
    reset(1);
    spawn_named_child(works);
    stub_task("joiner", joins, NULL);
}

static void thread_joins(void)
{
    reset(1);
    spawn_child(works);
    model_thread("joiner", joins, NULL);
}

static void late_joiner(void)
{
    reset(1);
    spawn_named_child(works);
    stub_task("joiner", joins_late, NULL);
}

static void late_thread(void)
{
    reset(1);
    spawn_child(works);
    model_thread("joiner", joins_late, NULL);
}

MODEL(task_joins, task_joins, given_up_once, .must_see = 1 << JOINED, .leaks = true);
MODEL(thread_joins, thread_joins, given_up_once, .must_see = 1 << JOINED);
MODEL(late_joiner, late_joiner, given_up_once, .bound = 2, .stale = 1,
      .must_see = 1 << JOINED | 1 << TIMED_OUT, .leaks = true);
MODEL(late_joiner_deep, late_joiner, given_up_once, .stale = -1, .runs = -1, .leaks = true);
MODEL(late_thread, late_thread, given_up_once, .stale = 1,
      .must_see = 1 << JOINED | 1 << TIMED_OUT);

// ---- Two who want it ----------------------------------------------------------------------------

static void two_joiners(void)
{
    reset(1);
    spawn_child(works);
    stub_task("a", may_join, NULL);
    model_thread("b", may_join, NULL);
}

static void join_and_detach(void)
{
    reset(1);
    spawn_child(works);
    stub_task("joiner", may_join, NULL);
    model_thread("detaches", detaches, NULL);
}

// A join that was broken has not left yet when another comes.
static void broken_and_join(void)
{
    reset(1);
    spawn_child(works);
    model_thread("broken", may_join_late, NULL);
    stub_task("joiner", may_join, NULL);
}

static void broken_and_detach(void)
{
    reset(1);
    spawn_named_child(works);
    stub_task("broken", may_join_late, NULL);
    model_thread("detaches", detaches, NULL);
}

static void at_most_once(void)
{
    int count = 0;
    for (int i = 0; i < 16; i++)
        count += gave_up[i];
    model_assert(count <= 1);
    if (count == 0)
        model_assert(oa_detach(child_handle) == 0);
    stub_life_over();
}

MODEL(two_joiners, two_joiners, given_up_once, .bound = 2, .stale = 2,
      .must_see = 1 << JOINED | 1 << BUSY | 1 << STALE);
MODEL(two_joiners_deep, two_joiners, given_up_once, .stale = -1, .runs = -1);
MODEL(join_and_detach, join_and_detach, given_up_once, .bound = 2, .stale = 2,
      .must_see = 1 << JOINED | 1 << STALE | 1 << DETACHED);
MODEL(join_and_detach_deep, join_and_detach, given_up_once, .stale = -1, .runs = -1);
MODEL(broken_and_join, broken_and_join, at_most_once, .bound = 2, .stale = 1,
      .must_see = 1 << JOINED | 1 << TIMED_OUT | 1 << BUSY | 1 << STALE);
MODEL(broken_and_detach, broken_and_detach, at_most_once, .bound = 2, .stale = -1, .leaks = true,
      .must_see = 1 << JOINED | 1 << TIMED_OUT | 1 << STALE | 1 << DETACHED);

// ---- Cancel -------------------------------------------------------------------------------------

// Waits for nothing but a cancel.
static __attribute__((noinline)) int waits_for_cancel(void)
{
    oai_wait_t wait;
    int err = oai_wait_begin(&wait, true);
    if (err == 0) {
        oai_wait_arm(&wait);
        err = oai_wait_park(&wait, OA_FOREVER);
    }
    return err;
}

static void works_until_cancelled(void *unused)
{
    (void)unused;
    model_assert(waits_for_cancel() == -ECANCELED);
    model_assert(oa_cancelled());
    done = 1;
}

// A cancel that says it has reached the task has, whatever becomes of the handle.
static void cancels(void *unused)
{
    (void)unused;
    stub_become(NULL, true);
    int err = oa_cancel(child_handle);
    model_assert(err == 0 || err == -ESRCH);
    model_seen(err ? STALE : HIT);
    if (err)
        stub_cancel(child);
}

// Dropped, as it was cancelled before it began.
static void drops(void *arg)
{
    works(arg);
    stub_dropped(arg);
}

static void spawn_to_be_cancelled(void)
{
    oa_spec_t spec = OA_SPEC_INIT;
    spec.fn = works_until_cancelled;
    spec.task = &child_handle;
    spec.drop = drops;
    child = stub_go("child", &spec);
}

static void cancel_and_join(void)
{
    reset(1);
    spawn_to_be_cancelled();
    model_thread("cancels", cancels, NULL);
    stub_task("joiner", may_join, NULL);
}

static void cancel_and_detach(void)
{
    reset(1);
    spawn_to_be_cancelled();
    model_thread("cancels", cancels, NULL);
    model_thread("detaches", detaches, NULL);
}

// The joiner is cancelled.
static void joins_unless_cancelled(void *unused)
{
    (void)unused;
    int err = join_until(OA_FOREVER);
    model_assert(err == 0 || err == -ECANCELED);
    if (err)
        model_assert(join_until(0) == 0);
}

static void cancels_joiner(void *unused)
{
    (void)unused;
    stub_become(NULL, true);
    stub_cancel(joiner);
}

static void joiner_cancelled(void)
{
    reset(1);
    spawn_named_child(works);
    joiner = stub_task("joiner", joins_unless_cancelled, NULL);
    model_thread("cancels", cancels_joiner, NULL);
}

static void ran_or_dropped(void)
{
    int ran = atomic_load_explicit(&stub_ran, memory_order_relaxed);
    int drops = atomic_load_explicit(&stub_drops, memory_order_relaxed);
    model_assert(ran + drops == 1);
    model_seen(ran ? RAN : DROPPED);
    given_up_once();
}

// A delayed task runs or is dropped.
static void cancels_delayed(void *unused)
{
    (void)unused;
    stub_become(NULL, true);
    int err = oa_cancel(child_handle);
    model_assert(err == 0 || err == -ESRCH);
}

static void delayed(void)
{
    reset(1);
    oa_spec_t spec = OA_SPEC_INIT;
    spec.fn = works;
    spec.task = &child_handle;
    spec.name = "delayed";
    spec.drop = stub_dropped;
    child = stub_go_delayed("delayed", &spec);
    model_thread("cancels", cancels_delayed, NULL);
    model_thread("detaches", detaches, NULL);
}

MODEL(cancel_and_join, cancel_and_join, ran_or_dropped, .bound = 2, .stale = 1, .leaks = true,
      .must_see = 1 << JOINED | 1 << HIT);
MODEL(cancel_and_join_deep, cancel_and_join, ran_or_dropped, .stale = -1, .runs = -1,
      .leaks = true);
MODEL(cancel_and_detach, cancel_and_detach, ran_or_dropped, .bound = 2, .stale = 2, .leaks = true,
      .must_see = 1 << DETACHED | 1 << HIT | 1 << STALE);
MODEL(cancel_and_detach_deep, cancel_and_detach, ran_or_dropped, .stale = -1, .runs = -1,
      .leaks = true);
MODEL(joiner_cancelled, joiner_cancelled, given_up_once, .bound = 2, .stale = 1, .leaks = true,
      .must_see = 1 << JOINED | 1 << CANCELLED);
MODEL(joiner_cancelled_deep, joiner_cancelled, given_up_once, .stale = -1, .runs = -1,
      .leaks = true);
MODEL(delayed, delayed, ran_or_dropped, .bound = 2, .stale = 2, .leaks = true,
      .must_see = 1 << RAN | 1 << DROPPED | 1 << DETACHED);
MODEL(delayed_deep, delayed, ran_or_dropped, .stale = -1, .runs = -1, .leaks = true);

// ---- Stale handles: the slot has another task ---------------------------------------------------

static void second(void *unused)
{
    (void)unused;
    model_assert(!oa_cancelled() && !oai_wait_cancelled());
}

// The worker on which the first task ends makes the next one, in its slot if that is free by then,
// and runs it too.
static void ends_and_reuses(void *unused)
{
    oa_task_t *handle;
    oa_spec_t spec = OA_SPEC_INIT;
    spec.fn = second;
    spec.task = &handle;
    stub_become(child, true);
    works(unused);
    stub_worker()->current = NULL;
    oai_task_end(child, stub_worker());
    oai_task_t *next = oai_task_make(&stub_coord, stub_worker(), &spec, false);
    if (!next)
        return;
    model_seen(REUSED);
    model_assert(next == child);
    stub_become(next, true);
    handle = oai_task_handle(next);
    model_assert(handle != child_handle);
    next->fresh.fn(NULL);
    stub_worker()->current = NULL;
    oai_task_end(next, stub_worker());
    model_assert(oa_join(handle) == 0);
}

static void uses_stale(void *unused)
{
    (void)unused;
    model_assert(detach() == 0);
    model_assert(oa_cancel(child_handle) == -ESRCH);
    model_assert(oa_join_until(child_handle, 1) == -ESRCH);
    model_assert(oa_task_id(child_handle) == 0);
    model_assert(oa_task_name(child_handle) == NULL);
}

static void stale(void)
{
    reset(1);
    oa_spec_t spec = OA_SPEC_INIT;
    spec.fn = works;
    spec.task = &child_handle;
    child = oai_task_make(&stub_coord, NULL, &spec, false);
    child_handle = oai_task_handle(child);
    model_thread("worker", ends_and_reuses, NULL);
    model_thread("stale", uses_stale, NULL);
}

// A handle of its own that a task has given away.
static _Atomic(oa_task_t *) own;

static void tells_itself(void *unused)
{
    (void)unused;
    atomic_store_explicit(&own, oa_self(), memory_order_release);
    done = 1;
}

static void looks(void *unused)
{
    (void)unused;
    oa_task_t *handle = atomic_load_explicit(&own, memory_order_acquire);
    if (!handle)
        return;
    uint64_t id = oa_task_id(handle);
    model_assert(id == 0 || id == 1);
    model_seen(id ? HIT : STALE);
    model_assert(oa_join_until(handle, 1) == -ESRCH && oa_detach(handle) == -ESRCH);
    int err = oa_cancel(handle);
    model_assert(err == 0 || err == -ESRCH);
}

// The slot's next task is not cancelled by a late cancel of the one before, nor does it free it.
static void tells_itself_and_reuses(void *unused)
{
    oa_spec_t spec = OA_SPEC_INIT;
    spec.fn = second;
    stub_become(child, true);
    tells_itself(unused);
    stub_worker()->current = NULL;
    oai_task_end(child, stub_worker());
    oai_task_t *next = oai_task_make(&stub_coord, stub_worker(), &spec, false);
    model_assert(next == child);
    stub_become(next, true);
    model_assert(oa_self() != atomic_load_explicit(&own, memory_order_relaxed));
    next->fresh.fn(NULL);
    stub_worker()->current = NULL;
    oai_task_end(next, stub_worker());
}

static void cancels_own(void *unused)
{
    (void)unused;
    oa_task_t *handle = atomic_load_explicit(&own, memory_order_acquire);
    if (!handle)
        return;
    int err = oa_cancel(handle);
    model_assert(err == 0 || err == -ESRCH);
    model_seen(err ? STALE : HIT);
}

static void pinned(void)
{
    reset(1);
    atomic_init(&own, NULL);
    oa_spec_t spec = OA_SPEC_INIT;
    spec.fn = works;
    child = oai_task_make(&stub_coord, NULL, &spec, false);
    model_thread("worker", tells_itself_and_reuses, NULL);
    model_thread("cancels", cancels_own, NULL);
}

static void own_handle(void)
{
    reset(1);
    atomic_init(&own, NULL);
    oa_spec_t spec = OA_SPEC_INIT;
    spec.fn = tells_itself;
    child = stub_go("child", &spec);
    model_thread("looks", looks, NULL);
}

MODEL(stale, stale, given_up_once, .stale = 2, .must_see = 1 << REUSED);
MODEL(own_handle, own_handle, stub_life_over, .must_see = 1 << HIT | 1 << STALE);
MODEL(pinned, pinned, stub_life_over, .must_see = 1 << HIT | 1 << STALE);
