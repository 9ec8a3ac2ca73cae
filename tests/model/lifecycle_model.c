// SPDX-License-Identifier: BSD-2-Clause
// lifecycle_model.c - a coordinator from its start to its end: it ends exactly when no task is
// left, a task from outside runs or is refused, and nobody touches it after oa_wait(). What becomes
// of waits that fail is told in waiters_model.c.
//
// Shipped: coord.c, task.c, spawn.c, ready.c, wait.c, idle.c, inject.c, runq.c. Instead of worker.c
// a short loop of the same calls (stub_worker.c). Two threads: complete to three preemptions with
// one stale read; three: to two, of which the bigger ones are of interleavings alone (three take
// four million executions each); random runs go beyond. A lent thread is worker and waiter in one.
#include "lifecycle.h"

#include <string.h>

// ---- Tasks --------------------------------------------------------------------------------------

static void parent(void *mine)
{
    model_assert(oa_go(life_leaf, &life_ran[1]) == 0);
    life_leaf(mine);
}

static void grandparent(void *mine)
{
    model_assert(oa_go(parent, &life_ran[2]) == 0);
    life_leaf(mine);
}

// ---- What is waited for -------------------------------------------------------------------------

static oai_lock_t event_lock;
static oai_waiters_t event_waiters;
static oai_wait_t first_wait; // of a task that is parked from the beginning

static void signal_event(void)
{
    oai_lock(&event_lock);
    oai_wait_t *wait = oai_wait_claim_first(&event_waiters);
    oai_unlock(&event_lock);
    if (wait)
        oai_wait_ready(wait);
}

// A task that waits for the event.
static void parks(void *mine)
{
    oai_wait_t wait;
    int err = oai_wait_begin(&wait, true);
    model_seen(err ? NOT_BEGUN : PARKED);
    if (!err) {
        oai_lock(&event_lock);
        oai_wait_link(&event_waiters, &wait);
        oai_unlock(&event_lock);
        err = oai_wait_park(&wait, OA_FOREVER);
        if (err) {
            oai_lock(&event_lock);
            oai_wait_unlink(&event_waiters, &wait);
            oai_unlock(&event_lock);
        }
    }
    model_assert(err == -ECANCELED && oai_wait_cancelled());
    life_leaf(mine);
}

// A task that sees that all are cancelled spawns none any more.
static void parent_of_parking(void *mine)
{
    life_leaf(mine);
    bool cancelled =
        atomic_load_explicit(&life_coord->state, memory_order_relaxed) == OAI_CANCELLING;
    int err = oa_go(parks, &life_ran[1], .drop = life_drop);
    model_assert(err == -ESHUTDOWN || (err == 0 && !cancelled));
}

// The rest of such a one, for that task that is parked from the beginning: the first.
static void rest(void *mine)
{
    // Acquire, and the cause: as in oai_wait_park().
    uint64_t word = atomic_load_explicit(&stub_slot(0)->word, memory_order_acquire);
    bool woken = (word >> 4 & 3) == 0;
    if (!woken) {
        oai_lock(&event_lock);
        oai_wait_unlink(&event_waiters, &first_wait);
        oai_unlock(&event_lock);
    }
    model_seen(woken ? WOKEN : CANCELLED);
    life_leaf(mine);
}

// In setup: the first task is parked by worker 0.
static void park_first(void)
{
    oai_worker_t *worker = &life_coord->worker[0];
    oai_self_set(worker);
    worker->current = oai_inject_take(&life_coord->inject, 1);
    model_assert(worker->current == stub_slot(0) && oai_wait_begin(&first_wait, true) == 0);
    oai_wait_link(&event_waiters, &first_wait);
    worker->current = NULL;
    stub_parked(stub_slot(0), rest);
    oai_self_set(NULL);
}

// ---- Threads that are no workers ----------------------------------------------------------------

static void signals(void *unused)
{
    (void)unused;
    signal_event();
}

static void cancels(void *unused)
{
    (void)unused;
    model_assert(oa_shutdown(life_coord, OA_CANCEL) == 0);
}

// ---- Before and after ---------------------------------------------------------------------------

static void reset(void)
{
    life_reset();
    memset(&event_waiters, 0, sizeof event_waiters);
    event_lock = (oai_lock_t)OAI_LOCK_INIT;
    model_name(&event_lock, "event.lock");
    model_name(&event_waiters, "event");
}

// ---- From the first task to the last ------------------------------------------------------------

static void alone(void)
{
    reset();
    life_start(parent, 1);
    model_thread("waiter", life_waits, NULL);
}

static void family_ran(void)
{
    life_gone();
    model_assert(life_ran[0] == 1 && life_ran[1] == 1);
}

MODEL(alone, alone, family_ran, .stale = 1, .runs = 5000);

static void starts_and_waits(void *unused)
{
    life_start(life_leaf, 1);
    life_waits(unused);
}

// Its worker is there before its first task is.
static void started(void)
{
    reset();
    model_thread("starter", starts_and_waits, NULL);
}

// The caller's thread is worker 0.
static void is_lent(void *unused)
{
    (void)unused;
    oai_coord_release(life_coord);
    oai_coord_work(life_coord);
    oai_coord_destroy(life_coord);
}

static void lend(oa_fn *fn, int workers)
{
    oa_config_t config = {
        .size = sizeof config, .fn = fn, .arg = &life_ran[0], .max_workers = workers};
    reset();
    model_assert(oai_coord_create(&life_coord, &config, true) == 0);
}

static void lent(void)
{
    lend(parent, 2);
    model_thread("caller", is_lent, NULL);
}

MODEL(lent, lent, family_ran, .bound = 2, .stale = 1, .runs = 5000);

// ---- Outsiders ----------------------------------------------------------------------------------

static int spawner;

static void drains(void *unused)
{
    (void)unused;
    model_assert(oa_shutdown(life_coord, OA_DRAIN) == 0);
    model_join(spawner);
    // Even if the first task still runs.
    model_assert(oa_go(life_leaf, &life_ran[4], .coord = life_coord) == -ESHUTDOWN);
    life_waits(NULL);
}

// A task from outside comes while the coordinator ends: it runs or is refused.
static void outside(void)
{
    reset();
    life_start(life_leaf, 1);
    spawner = model_thread("spawner", life_spawns, NULL);
    model_thread("drainer", drains, NULL);
}

static void run_or_refused(void)
{
    life_gone();
    model_assert(life_ran[0] == 1 && life_ran[3] == life_taken &&
                 life_dropped[3] == 1 - life_taken);
}

MODEL(outside, outside, run_or_refused, .bound = 2, .stale = -1, .runs = 5000,
      .must_see = 1 << RAN | 1 << DROPPED | 1 << REFUSED);

static void waits_for_both(void *unused)
{
    (void)unused;
    model_assert(oai_coord_wait(life_coord, OA_FOREVER) == 0);
    model_join(spawner);
    oai_coord_destroy(life_coord);
}

// The same, but nobody has said that it shall end.
static void late(void)
{
    reset();
    life_start(life_leaf, 1);
    spawner = model_thread("spawner", life_spawns, NULL);
    model_thread("waiter", waits_for_both, NULL);
}

MODEL(late, late, run_or_refused, .bound = 2, .stale = -1, .runs = 5000,
      .must_see = 1 << RAN | 1 << DROPPED | 1 << REFUSED);

static void drains_unwatched(void *unused)
{
    (void)unused;
    model_assert(oa_shutdown(life_coord, OA_DRAIN) == 0);
    model_join(1);
    life_waits(NULL);
}

// Nobody waits yet: the worker leaves all the same.
static void unwatched(void)
{
    reset();
    life_start(life_leaf, 1);
    model_thread("drainer", drains_unwatched, NULL);
}

// The last task is woken from outside, while another thread waits for the end.
static void waker(void)
{
    reset();
    life_start(life_leaf, 1);
    park_first();
    model_thread("waker", signals, NULL);
    model_thread("waiter", life_waits, NULL);
}

MODEL(started, started, life_first_ran, .bound = 2, .stale = 1, .runs = 5000);
MODEL(unwatched, unwatched, life_first_ran, .bound = 2, .stale = 1, .runs = 5000);
MODEL(waker, waker, life_first_ran, .bound = 2, .stale = -1, .runs = 5000, .must_see = 1 << WOKEN);

// The same with a worker that is the thread which frees everything.
static void lent_waker(void)
{
    lend(life_leaf, 1);
    park_first();
    model_thread("waker", signals, NULL);
    model_thread("caller", is_lent, NULL);
}

MODEL(lent_waker, lent_waker, life_first_ran, .stale = -1, .runs = 5000, .must_see = 1 << WOKEN);

// The last task is cancelled from outside, by the end of all.
static void canceller(void)
{
    reset();
    life_start(life_leaf, 1);
    park_first();
    model_thread("canceller", cancels, NULL);
    model_thread("waiter", life_waits, NULL);
}

MODEL(canceller, canceller, life_first_ran, .bound = 2, .stale = -1, .runs = 5000,
      .must_see = 1 << CANCELLED);

static void lent_canceller(void)
{
    lend(life_leaf, 1);
    park_first();
    model_thread("canceller", cancels, NULL);
    model_thread("caller", is_lent, NULL);
}

MODEL(lent_canceller, lent_canceller, life_first_ran, .stale = -1, .runs = 5000,
      .must_see = 1 << CANCELLED);

// ---- Inside of a call when the end comes --------------------------------------------------------

// The task that kept the coordinator alive ends while another one is made from outside.
static void *alloc_or_not(size_t size)
{
    model_unblock(life_blocked);
    return model_choose(2) ? model_alloc(size) : NULL;
}

static void is_guest(void *unused)
{
    (void)unused;
    int err = oa_go(life_leaf, &life_ran[3], .drop = life_drop, .coord = life_coord);
    model_assert(err == 0 || err == -ENOMEM);
    life_taken = err == 0;
}

static void guest(void)
{
    lend(life_blocks, 1);
    oai_os.alloc = alloc_or_not;
    model_thread("guest", is_guest, NULL);
    life_blocked = model_thread("caller", is_lent, NULL);
}

MODEL(guest, guest, run_or_refused, .stale = -1, .runs = 5000, .leaks = true,
      .must_see = 1 << RAN | 1 << DROPPED);

// A task ends while a thread begins to join it, or gives that up.
static oa_task_t *joined;

static int64_t now_and_unblock(void)
{
    model_unblock(life_blocked);
    return model_now();
}

static void joins(void *unused)
{
    (void)unused;
    int err = oa_join_until(joined, model_now() + 1000);
    model_assert(err == 0 || err == -ETIMEDOUT);
    model_seen(err ? TIMED_OUT : WOKEN);
}

static void joiner(void)
{
    lend(life_leaf, 1);
    model_assert(oa_go(life_blocks, &life_ran[3], .coord = life_coord, .task = &joined) == 0);
    oai_os.now = now_and_unblock;
    model_thread("joiner", joins, NULL);
    life_blocked = model_thread("caller", is_lent, NULL);
}

static void both_ran(void)
{
    life_gone();
    model_assert(life_ran[0] == 1 && life_ran[3] == 1);
}

MODEL(joiner, joiner, both_ran, .bound = 2, .stale = -1, .runs = 5000,
      .must_see = 1 << TIMED_OUT | 1 << WOKEN);

// ---- OA_CANCEL ----------------------------------------------------------------------------------

static void cancels_and_waits(void *unused)
{
    cancels(unused);
    life_waits(unused);
}

// A task begins, goes to wait, waits: it is told, or was never begun.
static void cancel(void)
{
    reset();
    stub_parks = true;
    life_start(parent_of_parking, 1);
    model_thread("canceller", cancels_and_waits, NULL);
}

static void told_or_dropped(void)
{
    life_gone();
    model_assert(life_ran[0] == 0 || life_ran[1] + life_dropped[1] == 1);
}

MODEL(cancel, cancel, told_or_dropped, .bound = 2, .stale = 1, .runs = 5000,
      .must_see = 1 << PARKED | 1 << NOT_BEGUN | 1 << DROPPED);
// Fewer preemptions, more news that come late: the task that was being made meets the state last.
MODEL(cancel_unseen, cancel, told_or_dropped, .bound = 1, .stale = 3, .runs = 5000);

// ---- Counting -----------------------------------------------------------------------------------

static void look_for_end(void *unused)
{
    (void)unused;
    if (!oai_coord_try_end(life_coord))
        return;
    model_assert(life_ran[0] == 1 && life_ran[1] == 1 && life_ran[2] == 1);
    model_seen(RAN);
}

static void elder(void *unused)
{
    oai_worker_t *worker = &life_coord->worker[0];
    (void)unused;
    oai_self_set(worker);
    life_run(worker, oai_inject_take(&life_coord->inject, 1));
    life_run(worker, oai_runq_pop(&worker->queue));
    life_run(worker, oai_runq_steal(&life_coord->worker[1].queue, &worker->queue));
    look_for_end(NULL);
}

static void younger(void *unused)
{
    oai_worker_t *worker = &life_coord->worker[1];
    (void)unused;
    oai_self_set(worker);
    life_run(worker, oai_runq_steal(&life_coord->worker[0].queue, &worker->queue));
    life_run(worker, oai_runq_pop(&worker->queue));
    look_for_end(NULL);
}

static void counting(void)
{
    reset();
    life_start_bare(grandparent, 2);
    oai_coord_release(life_coord);
    model_thread("worker", elder, NULL);
    model_thread("worker 2", younger, NULL);
}

// Somebody else counts as well.
static void counting_from_outside(void)
{
    counting();
    model_thread("onlooker", look_for_end, NULL);
}

static void counted(void)
{
    bool ended = atomic_load_explicit(&life_coord->ended, memory_order_relaxed);
    model_assert(!ended || (life_ran[0] == 1 && life_ran[1] == 1 && life_ran[2] == 1));
}

MODEL(counting_from_outside, counting_from_outside, counted, .bound = 2, .stale = -1, .runs = 5000,
      .must_see = 1 << RAN);
MODEL(counting, counting, counted, .stale = 1, .runs = 5000, .must_see = 1 << RAN);

// ---- More than one at its end -------------------------------------------------------------------

static int no_second(oai_os_thread_t *out, void (*fn)(void *), void *arg, size_t stack_size,
                     const char *name)
{
    (void)stack_size;
    if (((oai_worker_t *)arg)->id == 1)
        return -EAGAIN;
    out->handle = (uintptr_t)model_thread(name, fn, arg);
    return 0;
}

static void starts_half(void *unused)
{
    oa_config_t config = {
        .size = sizeof config, .fn = life_leaf, .arg = &life_ran[0], .max_workers = 2};
    (void)unused;
    model_assert(oai_coord_create(&life_coord, &config, false) == -EAGAIN);
}

// There is no thread for the second worker: the first one leaves.
static void half_started(void)
{
    reset();
    oai_os.thread_start = no_second;
    model_thread("starter", starts_half, NULL);
}

static void none_ran(void)
{
    life_gone();
    model_assert(life_ran[0] == 0);
}

MODEL(half_started, half_started, none_ran, .stale = 1, .runs = 5000);

// ---- Looked at ----------------------------------------------------------------------------------

static void works_alone(void *unused)
{
    oai_worker_t *worker = &life_coord->worker[0];
    life_spawns(unused);
    oai_self_set(worker);
    life_run(worker, oai_inject_take(&life_coord->inject, 1));
    life_run(worker, oai_inject_take(&life_coord->inject, 1));
    life_run(worker, oai_runq_pop(&worker->queue));
}

static void looks(void *unused)
{
    oa_stats_t stats = {.size = sizeof stats};
    (void)unused;
    oai_coord_stats(life_coord, &stats);
    model_assert(stats.tasks_alive <= 3 && stats.tasks_spawned <= 3);
}

static void looked_at(void)
{
    reset();
    life_start_bare(parent, 1);
    model_thread("worker", works_alone, NULL);
    model_thread("onlooker", looks, NULL);
}

MODEL(looked_at, looked_at, NULL, .runs = 5000);
