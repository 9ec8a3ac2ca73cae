// SPDX-License-Identifier: BSD-2-Clause
// lifecycle_model.c - a coordinator from its start to its end: it ends exactly when no task is
// left, a task from outside runs or is refused, and nobody touches it after oa_wait().
//
// Shipped: coord.c, task.c, spawn.c, ready.c, wait.c, idle.c, inject.c, runq.c. Instead of worker.c a
// short loop of the same calls (stub_worker.c). Two threads: complete to three preemptions with one
// stale read; three: to two, of which the bigger ones are of interleavings alone (three take four
// million executions each); random runs go beyond. A lent thread is worker and waiter in one.
#include "model.h"
#include "sched/sched.h"
#include "stub_coord.h"
#include "stub_worker.h"

#include <string.h>

enum { TASKS = 6 };

static oa_coord_t *coord;
static int ran[TASKS], dropped[TASKS]; // plain: each by the task itself, or by who drops it
static int taken;                      // tasks that oa_go() took; plain: one thread's

// Outcomes for must_see.
enum { RAN, DROPPED, REFUSED, TIMED_OUT, BUSY, WOKEN, CANCELLED, PARKED, NOT_BEGUN };

// ---- Tasks ---------------------------------------------------------------------------------------

static void leaf(void *mine)
{
    ++*(int *)mine;
    model_seen(RAN);
}

static void drop(void *mine)
{
    ++dropped[(int *)mine - ran];
    model_seen(DROPPED);
}

static void parent(void *mine)
{
    model_assert(oa_go(leaf, &ran[1]) == 0);
    leaf(mine);
}

static void grandparent(void *mine)
{
    model_assert(oa_go(parent, &ran[2]) == 0);
    leaf(mine);
}

// ---- What is waited for -----------------------------------------------------------------------------

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
    leaf(mine);
}

// A task that sees that all are cancelled spawns none any more.
static void parent_of_parking(void *mine)
{
    leaf(mine);
    bool cancelled = atomic_load_explicit(&coord->state, memory_order_relaxed) == OAI_CANCELLING;
    int err = oa_go(parks, &ran[1], .drop = drop);
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
    leaf(mine);
}

// In setup: the first task is parked by worker 0.
static void park_first(void)
{
    oai_worker_t *worker = &coord->worker[0];
    oai_self_set(worker);
    worker->current = oai_inject_take(&coord->inject, 1);
    model_assert(worker->current == stub_slot(0) && oai_wait_begin(&first_wait, true) == 0);
    oai_wait_link(&event_waiters, &first_wait);
    worker->current = NULL;
    stub_parked(stub_slot(0), rest);
    oai_self_set(NULL);
}

// ---- Threads that are no workers ------------------------------------------------------------------

static void waits(void *unused)
{
    (void)unused;
    model_assert(oai_coord_wait(coord, OA_FOREVER) == 0);
    oai_coord_destroy(coord);
}

static void spawns(void *unused)
{
    (void)unused;
    int err = oa_go(leaf, &ran[3], .drop = drop, .coord = coord);
    model_assert(err == 0 || err == -ESHUTDOWN);
    if (err)
        model_seen(REFUSED);
    else
        taken++;
}

static void signals(void *unused)
{
    (void)unused;
    signal_event();
}

static void cancels(void *unused)
{
    (void)unused;
    model_assert(oa_shutdown(coord, OA_CANCEL) == 0);
}

// ---- Before and after ---------------------------------------------------------------------------

static void reset(void)
{
    stub_reset();
    stub_worker_reset();
    memset(ran, 0, sizeof ran);
    memset(dropped, 0, sizeof dropped);
    memset(&event_waiters, 0, sizeof event_waiters);
    event_lock = (oai_lock_t)OAI_LOCK_INIT;
    taken = 0;
    model_name(&ran, "ran");
    model_name(&event_lock, "event.lock");
    model_name(&event_waiters, "event");
}

static void start(oa_fn *fn, int workers)
{
    oa_config_t config = {.size = sizeof config, .fn = fn, .arg = &ran[0], .max_workers = workers};
    model_assert(oai_coord_create(&coord, &config, false) == 0);
}

static void gone(void)
{
    model_assert(stub_unmapped == 1);
}

// ---- From the first task to the last ------------------------------------------------------------

static void alone(void)
{
    reset();
    start(parent, 1);
    model_thread("waiter", waits, NULL);
}

static void family_ran(void)
{
    gone();
    model_assert(ran[0] == 1 && ran[1] == 1);
}

MODEL(alone, alone, family_ran, .stale = 1, .runs = 5000);

static void starts_and_waits(void *unused)
{
    start(leaf, 1);
    waits(unused);
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
    oai_coord_release(coord);
    oai_coord_work(coord);
    oai_coord_destroy(coord);
}

static void lend(oa_fn *fn, int workers)
{
    oa_config_t config = {.size = sizeof config, .fn = fn, .arg = &ran[0], .max_workers = workers};
    reset();
    model_assert(oai_coord_create(&coord, &config, true) == 0);
}

static void lent(void)
{
    lend(parent, 2);
    model_thread("caller", is_lent, NULL);
}

MODEL(lent, lent, family_ran, .bound = 2, .stale = 1, .runs = 5000);

// ---- Outsiders ------------------------------------------------------------------------------------

static int spawner;

static void drains(void *unused)
{
    (void)unused;
    model_assert(oa_shutdown(coord, OA_DRAIN) == 0);
    model_join(spawner);
    // Even if the first task still runs.
    model_assert(oa_go(leaf, &ran[4], .coord = coord) == -ESHUTDOWN);
    waits(NULL);
}

// A task from outside comes while the coordinator ends: it runs or is refused.
static void outside(void)
{
    reset();
    start(leaf, 1);
    spawner = model_thread("spawner", spawns, NULL);
    model_thread("drainer", drains, NULL);
}

static void run_or_refused(void)
{
    gone();
    model_assert(ran[0] == 1 && ran[3] == taken && dropped[3] == 1 - taken);
}

MODEL(outside, outside, run_or_refused, .bound = 2, .stale = -1, .runs = 5000,
      .must_see = 1 << RAN | 1 << DROPPED | 1 << REFUSED);

static void waits_for_both(void *unused)
{
    (void)unused;
    model_assert(oai_coord_wait(coord, OA_FOREVER) == 0);
    model_join(spawner);
    oai_coord_destroy(coord);
}

// The same, but nobody has said that it shall end.
static void late(void)
{
    reset();
    start(leaf, 1);
    spawner = model_thread("spawner", spawns, NULL);
    model_thread("waiter", waits_for_both, NULL);
}

MODEL(late, late, run_or_refused, .bound = 2, .stale = -1, .runs = 5000,
      .must_see = 1 << RAN | 1 << DROPPED | 1 << REFUSED);

static void drains_unwatched(void *unused)
{
    (void)unused;
    model_assert(oa_shutdown(coord, OA_DRAIN) == 0);
    model_join(1);
    waits(NULL);
}

// Nobody waits yet: the worker leaves all the same.
static void unwatched(void)
{
    reset();
    start(leaf, 1);
    model_thread("drainer", drains_unwatched, NULL);
}

// The last task is woken from outside, while another thread waits for the end.
static void waker(void)
{
    reset();
    start(leaf, 1);
    park_first();
    model_thread("waker", signals, NULL);
    model_thread("waiter", waits, NULL);
}

static void first_ran(void)
{
    gone();
    model_assert(ran[0] == 1);
}

MODEL(started, started, first_ran, .bound = 2, .stale = 1, .runs = 5000);
MODEL(unwatched, unwatched, first_ran, .bound = 2, .stale = 1, .runs = 5000);
MODEL(waker, waker, first_ran, .bound = 2, .stale = -1, .runs = 5000, .must_see = 1 << WOKEN);

// The same with a worker that is the thread which frees everything.
static void lent_waker(void)
{
    lend(leaf, 1);
    park_first();
    model_thread("waker", signals, NULL);
    model_thread("caller", is_lent, NULL);
}

MODEL(lent_waker, lent_waker, first_ran, .stale = -1, .runs = 5000, .must_see = 1 << WOKEN);

// The last task is cancelled from outside, by the end of all.
static void canceller(void)
{
    reset();
    start(leaf, 1);
    park_first();
    model_thread("canceller", cancels, NULL);
    model_thread("waiter", waits, NULL);
}

MODEL(canceller, canceller, first_ran, .bound = 2, .stale = -1, .runs = 5000,
      .must_see = 1 << CANCELLED);

static void lent_canceller(void)
{
    lend(leaf, 1);
    park_first();
    model_thread("canceller", cancels, NULL);
    model_thread("caller", is_lent, NULL);
}

MODEL(lent_canceller, lent_canceller, first_ran, .stale = -1, .runs = 5000,
      .must_see = 1 << CANCELLED);

// ---- A wait that gives up ------------------------------------------------------------------------

static int blocked;

static void blocks(void *mine)
{
    model_block();
    leaf(mine);
}

static void gives_up(void *unused)
{
    (void)unused;
    int err = oai_coord_wait(coord, model_now() + 1000);
    model_assert(err == -ETIMEDOUT);
    model_unblock(blocked);
    // The coordinator is as it was: it does not end by itself.
    spawns(NULL);
    model_assert(taken == 1);
    waits(NULL);
}

static void start_blocked(void)
{
    reset();
    start(blocks, 1);
    blocked = 1; // its worker's
}

static void timed(void)
{
    start_blocked();
    model_thread("waiter", gives_up, NULL);
}

static void both_ran(void)
{
    gone();
    model_assert(ran[0] == 1 && ran[3] == 1);
}

MODEL(timed, timed, both_ran, .bound = 2, .stale = 1, .runs = 5000);

// The last task ends while the time runs out: the wait succeeds, or the coordinator is as it was.
static void may_give_up(void *unused)
{
    (void)unused;
    int err = oai_coord_wait(coord, model_now() + 1000);
    model_assert(err == 0 || err == -ETIMEDOUT);
    model_seen(err ? TIMED_OUT : RAN);
    if (err) {
        spawns(NULL);
        model_assert(taken == 1);
        model_assert(oai_coord_wait(coord, OA_FOREVER) == 0);
    }
    oai_coord_destroy(coord);
}

static void timed_late(void)
{
    reset();
    start(leaf, 1);
    model_thread("waiter", may_give_up, NULL);
}

static void all_ran(void)
{
    gone();
    model_assert(ran[0] == 1 && ran[3] == taken);
}

MODEL(timed_late, timed_late, all_ran, .bound = 2, .stale = 1, .runs = 5000,
      .must_see = 1 << RAN | 1 << TIMED_OUT);

// Two wait: one is turned away or gives up, and that is no harm to the other.
static int other;

static void waits_in_vain(void *unused)
{
    (void)unused;
    int err = oai_coord_wait(coord, model_now() + 1000);
    model_assert(err == -ETIMEDOUT || err == -EBUSY);
    model_seen(err == -EBUSY ? BUSY : TIMED_OUT);
    model_unblock(blocked);
}

static void waits_again(void *unused)
{
    (void)unused;
    int err = oai_coord_wait(coord, OA_FOREVER);
    model_assert(err == 0 || err == -EBUSY);
    if (err) {
        model_join(other);
        model_assert(oai_coord_wait(coord, OA_FOREVER) == 0);
    }
    oai_coord_destroy(coord);
}

static void two_wait(void)
{
    start_blocked();
    other = model_thread("waiter in vain", waits_in_vain, NULL);
    model_thread("waiter", waits_again, NULL);
}

MODEL(two_wait, two_wait, first_ran, .bound = 2, .stale = -1, .runs = 5000,
      .must_see = 1 << BUSY | 1 << TIMED_OUT);

// Two wait, and the last task ends while both are in their calls: who succeeds frees the coordinator,
// and the other has touched it for the last time by then.
static bool succeeded; // plain: the first waiter's, then of who has joined it
static bool one_back;  // a waiter has returned; under event_lock

static void tell_back(void)
{
    oai_lock(&event_lock);
    one_back = true;
    oai_unlock(&event_lock);
}

static void until_both_wait(void *mine)
{
    for (bool both = false; !both; oai_pause()) {
        oai_lock(&coord->inject.lock);
        both = coord->waits == 2;
        oai_unlock(&coord->inject.lock);
        oai_lock(&event_lock);
        both = both || one_back;
        oai_unlock(&event_lock);
    }
    leaf(mine);
}

static void waits_a_while(void *unused)
{
    (void)unused;
    int err = oai_coord_wait(coord, model_now() + 1000);
    succeeded = err == 0;
    model_assert(err == 0 || err == -ETIMEDOUT || err == -EBUSY);
    model_seen(err == 0 ? RAN : err == -EBUSY ? BUSY : TIMED_OUT);
    if (succeeded)
        oai_coord_destroy(coord);
    tell_back();
}

static void waits_or_is_second(void *unused)
{
    (void)unused;
    int err = oai_coord_wait(coord, OA_FOREVER);
    model_assert(err == 0 || err == -EBUSY);
    if (err) {
        tell_back();
        model_join(other);
    }
    if (err && !succeeded)
        model_assert(oai_coord_wait(coord, OA_FOREVER) == 0);
    if (!err || !succeeded)
        oai_coord_destroy(coord);
}

static void both_wait(void)
{
    reset();
    succeeded = one_back = false;
    start(until_both_wait, 1);
    other = model_thread("waiter for a while", waits_a_while, NULL);
    model_thread("waiter", waits_or_is_second, NULL);
}

MODEL(both_wait, both_wait, first_ran, .bound = 2, .stale = -1, .runs = 5000,
      .must_see = 1 << BUSY | 1 << TIMED_OUT);

// ---- Inside of a call when the end comes ---------------------------------------------------------

// The task that kept the coordinator alive ends while another one is made from outside.
static void *alloc_or_not(size_t size)
{
    model_unblock(blocked);
    return model_choose(2) ? model_alloc(size) : NULL;
}

static void is_guest(void *unused)
{
    (void)unused;
    int err = oa_go(leaf, &ran[3], .drop = drop, .coord = coord);
    model_assert(err == 0 || err == -ENOMEM);
    taken = err == 0;
}

static void guest(void)
{
    lend(blocks, 1);
    oai_os.alloc = alloc_or_not;
    model_thread("guest", is_guest, NULL);
    blocked = model_thread("caller", is_lent, NULL);
}

MODEL(guest, guest, run_or_refused, .stale = -1, .runs = 5000, .leaks = true,
      .must_see = 1 << RAN | 1 << DROPPED);

// A task ends while a thread begins to join it, or gives that up.
static oa_task_t *joined;

static int64_t now_and_unblock(void)
{
    model_unblock(blocked);
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
    lend(leaf, 1);
    model_assert(oa_go(blocks, &ran[3], .coord = coord, .task = &joined) == 0);
    oai_os.now = now_and_unblock;
    model_thread("joiner", joins, NULL);
    blocked = model_thread("caller", is_lent, NULL);
}

MODEL(joiner, joiner, both_ran, .bound = 2, .stale = -1, .runs = 5000,
      .must_see = 1 << TIMED_OUT | 1 << WOKEN);

// ---- OA_CANCEL ------------------------------------------------------------------------------------

static void cancels_and_waits(void *unused)
{
    cancels(unused);
    waits(unused);
}

// A task begins, goes to wait, waits: it is told, or was never begun.
static void cancel(void)
{
    reset();
    stub_parks = true;
    start(parent_of_parking, 1);
    model_thread("canceller", cancels_and_waits, NULL);
}

static void told_or_dropped(void)
{
    gone();
    model_assert(ran[0] == 0 || ran[1] + dropped[1] == 1);
}

MODEL(cancel, cancel, told_or_dropped, .bound = 2, .stale = 1, .runs = 5000,
      .must_see = 1 << PARKED | 1 << NOT_BEGUN | 1 << DROPPED);
// Fewer preemptions, more news that come late: the task that was being made meets the state last.
MODEL(cancel_unseen, cancel, told_or_dropped, .bound = 1, .stale = 3, .runs = 5000);

// ---- Counting -------------------------------------------------------------------------------------

// No threads are started: these two do what workers do, but never sleep.
static int no_thread(oai_os_thread_t *out, void (*fn)(void *), void *arg, size_t stack_size,
                     const char *name)
{
    (void)fn, (void)arg, (void)stack_size, (void)name;
    out->handle = 0;
    return 0;
}

static void no_join(oai_os_thread_t thread)
{
    (void)thread;
}

static void run_here(oai_worker_t *worker, oai_task_t *task)
{
    if (!task)
        return;
    worker->current = task;
    task->fresh.fn(task->arg);
    worker->current = NULL;
    oai_task_end(task, worker);
}

static void look_for_end(void *unused)
{
    (void)unused;
    if (!oai_coord_try_end(coord))
        return;
    model_assert(ran[0] == 1 && ran[1] == 1 && ran[2] == 1);
    model_seen(RAN);
}

static void elder(void *unused)
{
    oai_worker_t *worker = &coord->worker[0];
    (void)unused;
    oai_self_set(worker);
    run_here(worker, oai_inject_take(&coord->inject, 1));
    run_here(worker, oai_runq_pop(&worker->queue));
    run_here(worker, oai_runq_steal(&coord->worker[1].queue, &worker->queue));
    look_for_end(NULL);
}

static void younger(void *unused)
{
    oai_worker_t *worker = &coord->worker[1];
    (void)unused;
    oai_self_set(worker);
    run_here(worker, oai_runq_steal(&coord->worker[0].queue, &worker->queue));
    run_here(worker, oai_runq_pop(&worker->queue));
    look_for_end(NULL);
}

static void counting(void)
{
    reset();
    oai_os.thread_start = no_thread;
    oai_os.thread_join = no_join;
    start(grandparent, 2);
    oai_coord_release(coord);
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
    bool ended = atomic_load_explicit(&coord->ended, memory_order_relaxed);
    model_assert(!ended || (ran[0] == 1 && ran[1] == 1 && ran[2] == 1));
}

MODEL(counting_from_outside, counting_from_outside, counted, .bound = 2, .stale = -1, .runs = 5000,
      .must_see = 1 << RAN);
MODEL(counting, counting, counted, .stale = 1, .runs = 5000, .must_see = 1 << RAN);

// ---- More than one at its end ----------------------------------------------------------------------

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
    oa_config_t config = {.size = sizeof config, .fn = leaf, .arg = &ran[0], .max_workers = 2};
    (void)unused;
    model_assert(oai_coord_create(&coord, &config, false) == -EAGAIN);
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
    gone();
    model_assert(ran[0] == 0);
}

MODEL(half_started, half_started, none_ran, .stale = 1, .runs = 5000);

static void works_and_drains(void *unused)
{
    oai_worker_t *worker = &coord->worker[0];
    (void)unused;
    oai_self_set(worker);
    run_here(worker, oai_inject_take(&coord->inject, 1));
    model_assert(oai_coord_try_end(coord));
    oai_self_set(NULL);
    oai_coord_leave(coord);
    model_assert(oa_shutdown(coord, OA_DRAIN) == 0);
}

static void waits_once(void *deadline)
{
    int err = oai_coord_wait(coord, *(int64_t *)deadline);
    model_assert(err == 0 || err == -EBUSY || err == -ETIMEDOUT);
}

// The last user leaves, and somebody is inside again: a wait that gives up between the two is no
// harm to the next.
static void last_twice(void)
{
    static int64_t soon, never = OA_FOREVER;
    reset();
    soon = model_now() + 1000;
    oai_os.thread_start = no_thread;
    oai_os.thread_join = no_join;
    start(leaf, 1);
    oai_coord_release(coord);
    model_thread("worker", works_and_drains, NULL);
    model_thread("waiter in vain", waits_once, &soon);
    model_thread("waiter", waits_once, &never);
}

MODEL(last_twice, last_twice, NULL, .bound = 2, .stale = -1, .runs = 5000);

// ---- Looked at -------------------------------------------------------------------------------------

static void works_alone(void *unused)
{
    oai_worker_t *worker = &coord->worker[0];
    spawns(unused);
    oai_self_set(worker);
    run_here(worker, oai_inject_take(&coord->inject, 1));
    run_here(worker, oai_inject_take(&coord->inject, 1));
    run_here(worker, oai_runq_pop(&worker->queue));
}

static void looks(void *unused)
{
    oa_stats_t stats = {.size = sizeof stats};
    (void)unused;
    oai_coord_stats(coord, &stats);
    model_assert(stats.tasks_alive <= 3 && stats.tasks_spawned <= 3);
}

static void looked_at(void)
{
    reset();
    oai_os.thread_start = no_thread;
    oai_os.thread_join = no_join;
    start(parent, 1);
    model_thread("worker", works_alone, NULL);
    model_thread("onlooker", looks, NULL);
}

MODEL(looked_at, looked_at, NULL, .runs = 5000);
