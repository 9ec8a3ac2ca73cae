// SPDX-License-Identifier: BSD-2-Clause
// gate_model.c - gates: a held task is let in, or dropped by a cancel, once; what it had is given
// back; nothing looks at its record when it is gone.
//
// Shipped: gate.c, task.c, wait.c and all that can be a gate. What queues a held task makes a
// thread that dispatches it as worker.c does.
#include "model.h"
#include "oasync/sync.h"
#include "sched/hot.h"
#include "sched/sched.h"
#include "stub_life.h"

extern struct {
    _Alignas(OAI_CACHELINE) oai_lock_t lock;
} oai_barrier_locks[32]; // of barrier.c

static oa_latch_t latch;
static oa_barrier_t barrier;
static oa_backpressure_t bp;
static oa_sem_t sem;
static oa_mutex_t mutex;
static _Atomic(oa_task_t *) handle; // of the task that is cancelled
static int guarded;                 // plain: by what lets in one at a time
static int expected;                // tasks that run or are dropped

// Bits for model_seen().
enum { RAN, DROPPED, TIMED_OUT, THROUGH, CANCELLED };

// ---- Spawned, dispatched, ended -----------------------------------------------------------------

static void go_on(oai_task_t *task, int err)
{
    oai_worker_t *worker = stub_worker();
    if (err == 0) {
        stub_become(task, true);
        task->fresh.fn(task->arg);
        atomic_fetch_add_explicit(&stub_ran, 1, memory_order_relaxed);
        worker->current = NULL;
        oai_task_end(task, worker);
    } else if (err != -EINPROGRESS) {
        oai_task_discard(task, worker);
    }
}

static void dispatch(void *arg)
{
    oai_task_t *task = arg;
    stub_become(NULL, true);
    bool cancelled =
        (atomic_load_explicit(&task->flags, memory_order_relaxed) & OAI_TASK_CANCELLED) ||
        atomic_load_explicit(&stub_coord.state, memory_order_relaxed) == OAI_CANCELLING;
    bool held = atomic_load_explicit(&task->flags, memory_order_relaxed) & OAI_TASK_HELD;
    go_on(task, held ? oai_gates_pass(task, cancelled) : cancelled ? -ECANCELED : 0);
}

static void held_ready(oai_task_t *task)
{
    model_thread("dispatch", dispatch, task);
}

// As spawn.c has it; in setup, or by a thread. With `cancelled` its handle is given out.
static void spawn(const char *name, oa_spec_t spec, bool cancelled)
{
    oa_task_t *given;
    stub_become(NULL, true);
    spec.drop = stub_dropped;
    spec.task = cancelled ? &given : NULL;
    oai_task_t *task = oai_task_make(&stub_coord, NULL, &spec, false);
    model_assert(task != NULL);
    if (cancelled) // release: as a user would hand it over
        atomic_store_explicit(&handle, oai_task_handle(task), memory_order_release);
    int err = oai_gates_pass(task, false);
    if (err == 0)
        model_thread(name, dispatch, task);
    else
        model_assert(err == -EINPROGRESS);
}

static void adds(void *unused)
{
    (void)unused;
    guarded++;
}

static void nothing(void *unused)
{
    (void)unused;
}

static oa_spec_t spec_of(oa_fn *fn)
{
    oa_spec_t spec = OA_SPEC_INIT;
    spec.fn = fn;
    return spec;
}

static void cancels(void *unused)
{
    oa_task_t *task;
    (void)unused;
    stub_become(NULL, false);
    while (!(task = atomic_load_explicit(&handle, memory_order_acquire)))
        oai_pause();
    int err = oa_cancel(task);
    model_assert(err == 0 || err == -ESRCH);
    model_assert(oa_detach(task) == 0);
}

static void reset(int tasks)
{
    stub_reset();
    stub_life(tasks);
    stub_held_ready = held_ready;
    for (size_t i = 0; i < sizeof oai_barrier_locks / sizeof *oai_barrier_locks; i++)
        oai_barrier_locks[i].lock = (oai_lock_t)OAI_LOCK_INIT;
    oa_latch_init(&latch, 2);
    oa_barrier_init(&barrier, 2);
    oa_backpressure_init(&bp, 1, OA_LOSSLESS);
    oa_sem_init(&sem, 0);
    oa_mutex_init(&mutex);
    atomic_init(&handle, NULL);
    guarded = 0;
    expected = tasks;
}

static void over(void)
{
    int ran = atomic_load_explicit(&stub_ran, memory_order_relaxed);
    int drops = atomic_load_explicit(&stub_drops, memory_order_relaxed);
    model_assert(ran + drops == expected);
    if (ran)
        model_seen(RAN);
    if (drops)
        model_seen(DROPPED);
    model_assert(oa_latch_destroy(&latch) == 0 && oa_barrier_destroy(&barrier) == 0);
    model_assert(oa_sem_destroy(&sem) == 0 && oa_mutex_destroy(&mutex) == 0);
    model_assert(oa_backpressure_destroy(&bp) == 0);
    stub_life_over();
}

// ---- A semaphore --------------------------------------------------------------------------------

static void releases(void *unused)
{
    (void)unused;
    stub_become(NULL, false);
    model_assert(oa_sem_release(&sem) == 0);
}

static oa_spec_t by_sem(void)
{
    oa_spec_t spec = spec_of(nothing);
    spec.sem = &sem;
    return spec;
}

static void spawns_by_sem(void *unused)
{
    (void)unused;
    spawn("let in", by_sem(), true);
}

static void spawns_by_sem_unnamed(void *unused)
{
    (void)unused;
    spawn("let in", by_sem(), false);
}

static void sem_cancel(void)
{
    reset(1);
    spawn("let in", by_sem(), true);
    model_thread("releases", releases, NULL);
    model_thread("cancels", cancels, NULL);
}

static void sem_spawn(void)
{
    reset(1);
    model_thread("spawns", spawns_by_sem_unnamed, NULL);
    model_thread("releases", releases, NULL);
}

// A cancel while it is linked: nobody else would come for it.
static void cancel_only(void)
{
    reset(1);
    model_thread("spawns", spawns_by_sem, NULL);
    model_thread("cancels", cancels, NULL);
}

static void one_permit(void)
{
    over();
    model_assert(sem.oa_private[0] == 1);
}

static void no_permit(void)
{
    over();
    model_assert(sem.oa_private[0] == 0);
}

MODEL(sem_cancel, sem_cancel, one_permit, .bound = 2, .stale = 1, .runs = 4000, .leaks = true,
      .must_see = 1 << RAN | 1 << DROPPED);
MODEL(sem_spawn, sem_spawn, one_permit, .bound = 2, .stale = 1, .runs = 4000, .leaks = true,
      .must_see = 1 << RAN);
MODEL(cancel_only, cancel_only, no_permit, .bound = 2, .runs = 4000, .leaks = true,
      .must_see = 1 << DROPPED);

// A shutdown's sweep, while the task is being made: its flags may be written over.
static void shuts_down(void *unused)
{
    (void)unused;
    stub_become(NULL, false);
    atomic_store_explicit(&stub_coord.state, OAI_CANCELLING, memory_order_seq_cst);
    oai_lock(&stub_coord.tasks.lock);
    oai_unlock(&stub_coord.tasks.lock);
    oai_task_cancel_any(stub_slot(STUB_TASKS - 1), NULL);
}

static void shutdown(void)
{
    reset(1);
    model_thread("spawns", spawns_by_sem_unnamed, NULL);
    model_thread("shuts down", shuts_down, NULL);
}

MODEL(shutdown, shutdown, no_permit, .bound = 2, .runs = 4000, .leaks = true,
      .must_see = 1 << DROPPED);

// ---- A mutex ------------------------------------------------------------------------------------

static void locks(void *unused)
{
    (void)unused;
    model_assert(oa_mutex_lock(&mutex) == 0);
    guarded++;
    model_assert(oa_mutex_unlock(&mutex) == 0);
}

static oa_spec_t by_mutex(void)
{
    oa_spec_t spec = spec_of(adds);
    spec.acq = &mutex;
    return spec;
}

static void mutex_two(void)
{
    reset(2);
    spawn("first", by_mutex(), false);
    spawn("second", by_mutex(), false);
    model_thread("locks", locks, NULL);
}

static void added_three(void)
{
    over();
    model_assert(guarded == 3);
}

MODEL(mutex_two, mutex_two, added_three, .bound = 2, .stale = 1, .runs = 4000, .leaks = true,
      .must_see = 1 << RAN);

// Cancelled behind one that is in.
static void mutex_cancel(void)
{
    reset(2);
    spawn("first", by_mutex(), false);
    spawn("second", by_mutex(), true);
    model_thread("cancels", cancels, NULL);
}

MODEL(mutex_cancel, mutex_cancel, over, .bound = 2, .stale = 1, .runs = 4000, .leaks = true,
      .must_see = 1 << RAN | 1 << DROPPED);

// One that was woken and gives up passes it on to a held one.
static oai_task_t *victim;

static void locks_cancelled(void *unused)
{
    (void)unused;
    int err = oa_mutex_lock_until(&mutex, OA_FOREVER);
    model_assert(err == 0 || err == -ECANCELED);
    if (err == 0)
        model_assert(oa_mutex_unlock(&mutex) == 0);
    else
        model_seen(CANCELLED);
}

static void cancels_victim(void *unused)
{
    (void)unused;
    stub_become(NULL, false);
    stub_cancel(victim);
}

static void spawns_by_mutex(void *unused)
{
    (void)unused;
    spawn("let in", by_mutex(), false);
}

static void mutex_give_up(void)
{
    reset(2);
    spawn("first", by_mutex(), false);
    victim = stub_task("victim", locks_cancelled, NULL);
    model_thread("cancels", cancels_victim, NULL);
    model_thread("spawns", spawns_by_mutex, NULL);
}

MODEL(mutex_give_up, mutex_give_up, over, .bound = 1, .stale = -1, .runs = 4000, .leaks = true,
      .must_see = 1 << RAN | 1 << CANCELLED);

// ---- The others ---------------------------------------------------------------------------------

static void arrives(void *unused)
{
    (void)unused;
    stub_become(NULL, false);
    model_assert(oa_latch_arrive(&latch) == 0);
}

static void latch_cancel(void)
{
    oa_spec_t spec = spec_of(nothing);
    reset(1);
    spec.latch = &latch;
    spawn("let in", spec, true);
    model_thread("arrives", arrives, NULL);
    model_thread("cancels", cancels, NULL);
}

static void is_open(void)
{
    over();
    model_assert(latch.oa_private[0] == 0);
}

static void comes(void *unused)
{
    (void)unused;
    stub_become(NULL, false);
    int err = oa_barrier_wait_until(&barrier, 1);
    model_assert(err == 0 || err == 1 || err == -ETIMEDOUT);
    model_seen(err < 0 ? TIMED_OUT : THROUGH);
}

static void barrier_cancel(void)
{
    oa_spec_t spec = spec_of(nothing);
    reset(1);
    spec.cb = &barrier;
    spawn("let in", spec, true);
    model_thread("comes", comes, NULL);
    model_thread("cancels", cancels, NULL);
}

static void bp_cancel(void)
{
    oa_spec_t spec = spec_of(adds);
    reset(2);
    spec.bp = &bp;
    spawn("first", spec, false);
    spawn("second", spec, true);
    model_thread("cancels", cancels, NULL);
}

static void spawns_by_bp(void *unused)
{
    oa_spec_t spec = spec_of(adds);
    (void)unused;
    spec.bp = &bp;
    spawn("second", spec, false);
}

// The second may find the place free, and sees what the first has done there.
static void bp_spawn(void)
{
    oa_spec_t spec = spec_of(adds);
    reset(2);
    spec.bp = &bp;
    spawn("first", spec, false);
    model_thread("spawns", spawns_by_bp, NULL);
}

// It has the permit and waits for the mutex: the permit is given back, whatever happens.
static void two_gates(void)
{
    oa_spec_t spec = by_mutex();
    reset(2);
    spawn("first", by_mutex(), false);
    spec.sem = &sem;
    spawn("second", spec, true);
    model_thread("releases", releases, NULL);
    model_thread("cancels", cancels, NULL);
}

MODEL(latch_cancel, latch_cancel, is_open, .bound = 2, .stale = 1, .runs = 4000, .leaks = true,
      .must_see = 1 << RAN | 1 << DROPPED);
MODEL(barrier_cancel, barrier_cancel, over, .bound = 2, .stale = 1, .runs = 4000, .leaks = true,
      .must_see = 1 << RAN | 1 << DROPPED | 1 << TIMED_OUT | 1 << THROUGH);
MODEL(bp_cancel, bp_cancel, over, .bound = 2, .stale = 1, .runs = 4000, .leaks = true,
      .must_see = 1 << RAN | 1 << DROPPED);
MODEL(bp_spawn, bp_spawn, over, .bound = 2, .stale = 1, .runs = 4000, .leaks = true,
      .must_see = 1 << RAN);
MODEL(two_gates, two_gates, one_permit, .bound = 1, .stale = 1, .runs = 4000, .leaks = true,
      .must_see = 1 << RAN | 1 << DROPPED);
