// SPDX-License-Identifier: BSD-2-Clause
// coord.c - a coordinator's life: made, shut down, ended, joined, freed.
//
// The end, step by step:
//   1. A worker that finds nothing to do, whoever lets go of the last hold, or an outsider that has
//      dropped a task calls oai_coord_try_end(). Under the injection queue's lock it counts all
//      tasks that ended, then all that were spawned. If the two are equal and nobody holds the
//      coordinator, no task is left: see below. It closes the queue and sets `ended`, in the same
//      critical section, so that a task from outside comes before or is refused.
//   2. It wakes every sleeping worker and every idle thread of the pool. Each worker sees `ended`
//      and leaves its loop for its thread's own stack.
//   3. Each of them, each thread that has hosted tasks, and every outsider that is inside of a
//      call, counts itself off among the users, under the same lock; the last one lets whoever
//      waits for the end go, and touches nothing more. An outsider counts itself in while a task
//      keeps the coordinator alive, a thread that is to host tasks is counted in by who makes it.
//   4. That one joins the threads and frees everything.
//
// Why the count is exact: a worker's counters only grow, `ended` is stored with release and read
// with acquire, and all of it is read before any `spawned`. So whoever counts the end of a task
// also counts every task that it spawned. What threads that are no workers spawn and end is counted
// under the lock: hosted tasks, by their own threads, and what the function of an oa_block()
// spawns. The lock is held all the while, so such a spawn has been counted or comes after the
// counting; and then so does the end of its task, wherever that is counted, for the task goes on
// only after it. So it is true for them as well. Let E be the tasks whose ends were counted and S
// those whose spawns were: E is a part of S, so equal numbers mean E = S. Any other task has an
// ancestor whose parent is in S, for the first tasks come from outside and are counted under the
// lock; the parent has ended, so its spawns were counted: a contradiction.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/internal.h"
#include "sched/overflow.h"
#include "sched/sched.h"

uint64_t oai_coord_ids(uint64_t count)
{
    static _Atomic uint64_t next = 1;
    // Relaxed: each number is given out once, in whatever order.
    return atomic_fetch_add_explicit(&next, count, memory_order_relaxed);
}

// ---- The end ------------------------------------------------------------------------------------

// Under the injection queue's lock: whether no task is left.
static bool none_left(oa_coord_t *coord)
{
    uint64_t ended = coord->inject.dropped;
    uint64_t spawned = coord->inject.spawned;
    // Acquire: told above. With the ends everything comes that was before them: relaxed will do for
    // the spawns.
    for (int i = 0; i < coord->workers; i++)
        ended += atomic_load_explicit(&coord->worker[i].ended, memory_order_acquire);
    for (int i = 0; i < coord->workers; i++)
        spawned += atomic_load_explicit(&coord->worker[i].spawned, memory_order_relaxed);
    return ended == spawned;
}

// No task is left, and none is admitted: the consumers that rest end with the coordinator.
static void end_dormants(oa_coord_t *coord)
{
    for (;;) {
        oai_lock(&coord->inject.lock);
        oai_link_t *link = coord->dormants.head;
        oai_unlock(&coord->inject.lock);
        if (!link)
            return;
        oai_dormant_t *dormant = oai_container(link, oai_dormant_t, link);
        oai_sync_acquire(dormant);
        oai_consumer_end(dormant);
    }
}

// It has ended: nobody sleeps any more.
static void wake_all(oa_coord_t *coord)
{
    end_dormants(coord);
    oai_idle_wake_all(&coord->idle);
    oai_pool_close(&coord->pool);
}

bool oai_coord_try_end(oa_coord_t *coord)
{
    // Acquire: pairs with the release below.
    if (atomic_load_explicit(&coord->ended, memory_order_acquire))
        return true;
    oai_lock(&coord->inject.lock);
    bool held = coord->held && coord->waits == 0;
    bool ends =
        !held && !atomic_load_explicit(&coord->ended, memory_order_relaxed) && none_left(coord);
    if (ends) {
        coord->inject.closed = true;
        atomic_store_explicit(&coord->ended, true, memory_order_release);
    }
    oai_unlock(&coord->inject.lock);
    if (ends)
        wake_all(coord);
    return ends || atomic_load_explicit(&coord->ended, memory_order_acquire);
}

void oai_coord_release(oa_coord_t *coord)
{
    oai_lock(&coord->inject.lock);
    coord->held = false;
    oai_unlock(&coord->inject.lock);
    oai_coord_try_end(coord);
}

// ---- Its users ----------------------------------------------------------------------------------

void oai_coord_enter(oa_coord_t *coord)
{
    oai_lock(&coord->inject.lock);
    coord->users++;
    oai_unlock(&coord->inject.lock);
}

// Under the injection queue's lock.
static bool admits(const oa_coord_t *coord, oai_admit_t what)
{
    if (!coord->inject.closed)
        return true;
    // Relaxed, both: written under the lock.
    if (what == OAI_ADMIT_NEW || atomic_load_explicit(&coord->ended, memory_order_relaxed))
        return false;
    return what == OAI_ADMIT_END ||
           atomic_load_explicit(&coord->state, memory_order_relaxed) != OAI_CANCELLING;
}

bool oai_coord_admit(oa_coord_t *coord, oai_admit_t what)
{
    oai_lock(&coord->inject.lock);
    bool open = admits(coord, what);
    if (open) {
        coord->inject.spawned++;
        coord->users++;
    }
    oai_unlock(&coord->inject.lock);
    return open;
}

// Under the lock: one user less. Returns whom the last one has to let go: no worker is left, so no
// task is. A waiter whose wait was broken will come for the lock: until then nobody else may wait.
static oai_wait_t *count_off(oa_coord_t *coord)
{
    oai_wait_t *waiter = coord->waiter;
    if (--coord->users != 0 || !waiter || !oai_wait_claim(waiter))
        return NULL;
    coord->waiter = NULL;
    return waiter;
}

void oai_coord_leave(oa_coord_t *coord)
{
    oai_lock(&coord->inject.lock);
    oai_wait_t *waiter = count_off(coord);
    oai_unlock(&coord->inject.lock);
    if (waiter)
        oai_wait_ready(waiter);
}

// Under the lock, by a user who wants to wait and is none from here on: 0 when all is over,
// -EINPROGRESS when it is the waiter. *other: who is to be made ready instead.
static int become_waiter(oa_coord_t *coord, oai_wait_t *wait, int64_t deadline, oai_wait_t **other)
{
    bool busy = coord->waiter != NULL;
    *other = count_off(coord);
    if (busy)
        return -EBUSY;
    if (coord->users == 0)
        return 0;
    // When no task is left its threads need a moment, whatever the deadline. Relaxed: the lock.
    if (atomic_load_explicit(&coord->ended, memory_order_relaxed))
        deadline = OA_FOREVER;
    if (oai_wait_expired(deadline))
        return -ETIMEDOUT;
    oai_wait_arm(coord->waiter = wait);
    coord->asleep += !wait->task && deadline == OA_FOREVER;
    return -EINPROGRESS;
}

// The wait was broken. When the coordinator has ended meanwhile that is too late: -EAGAIN, and the
// caller is a user again.
static int withdraw(oa_coord_t *coord, int err)
{
    oai_lock(&coord->inject.lock);
    coord->waiter = NULL;
    // Relaxed: the lock.
    if (atomic_load_explicit(&coord->ended, memory_order_relaxed)) {
        coord->users++;
        err = -EAGAIN;
    } else {
        coord->waits--;
    }
    oai_unlock(&coord->inject.lock);
    return err;
}

// A user waits until there are no others. While anybody waits the coordinator does not live without
// tasks; a wait that gives up leaves it as it was, and has touched it for the last time before
// another wait can succeed. -EAGAIN: as above.
static int wait_over(oa_coord_t *coord, oai_wait_t *wait, int64_t deadline)
{
    oai_wait_t *other;
    oai_lock(&coord->inject.lock);
    int err = become_waiter(coord, wait, deadline, &other);
    if (err && err != -EINPROGRESS)
        coord->waits--;
    oai_unlock(&coord->inject.lock);
    if (other)
        oai_wait_ready(other);
    if (err != -EINPROGRESS)
        return err;
    if (oai_sim_of(coord)) // the worker of a simulation may have slept because of this thread
        oai_idle_wake_all(&coord->idle);
    err = oai_wait_park(wait, deadline);
    return err ? withdraw(coord, err) : 0;
}

int oai_coord_wait(oa_coord_t *coord, int64_t deadline)
{
    if (oa_coord() == coord)
        return -EDEADLK;
    if (coord->lent)
        return -EINVAL;
    oai_wait_t wait;
    oai_point("oa_wait", coord);
    int err = oai_wait_begin(&wait, true);
    if (err)
        return err;
    oai_lock(&coord->inject.lock);
    coord->waits++;
    coord->users++;
    oai_unlock(&coord->inject.lock);
    oai_coord_try_end(coord);
    err = wait_over(coord, &wait, deadline);
    if (err != -EAGAIN)
        return err;
    err = oai_wait_begin(&wait, false);
    if (err == 0)
        return wait_over(coord, &wait, OA_FOREVER);
    oai_coord_leave(coord);
    return err;
}

// ---- Its threads --------------------------------------------------------------------------------

// A task has ended the thread beneath it: what its worker held is lost to all other tasks.
static void thread_ended(void *arg)
{
    const oai_worker_t *worker = arg;
    const oai_task_t *task = worker->current;
    char line[256];
    int length =
        snprintf(line, sizeof line - 1, "oasync: fatal: pthread_exit in a task spawned at %s",
                 task && task->where ? task->where : "?");
    length = length < (int)sizeof line - 2 ? length : (int)sizeof line - 2;
    line[length++] = '\n';
    oai_os.write(2, line, (size_t)length);
    abort();
}

static void run_worker(void *arg)
{
    oai_worker_run(arg);
}

static void work(oai_worker_t *worker)
{
    // Tasks begin with the default floating-point control, whatever the lent thread's is.
    oai_fpctl_t fp;
    bool fp_changed = oai_fpctl_changed(&fp);
    oai_fpctl_default();
    oai_self_set(worker);
    oai_os_call_guarded(run_worker, thread_ended, worker);
    oai_self_set(NULL);
    if (fp_changed)
        oai_fpctl_set(&fp);
}

static void thread_main(void *arg)
{
    oai_worker_t *worker = arg;
    work(worker);
    oai_coord_leave(worker->coord);
}

void oai_coord_work(oa_coord_t *coord)
{
    oai_wait_t wait;
    oai_os_signal_stack_enter(&coord->signals);
    work(&coord->worker[0]);
    oai_os_signal_stack_leave(&coord->signals);
    // Neither can fail: this is no virtual thread, and the only one to wait.
    oai_wait_begin(&wait, false);
    wait_over(coord, &wait, OA_FOREVER);
}

static int start_thread(oai_worker_t *worker)
{
    // The loop runs on stacks of ours; this one only begins and ends. Sanitizers want more.
    enum { THREAD_STACK = OAI_ASAN || OAI_OWN_STACKS ? 1 << 20 : 64 << 10 };
    oa_coord_t *coord = worker->coord;
    char name[16];
    snprintf(name, sizeof name, "%.9s-%d", coord->name[0] ? coord->name : "oasync",
             worker->id % 10000);
    int err = oai_os.thread_start(&worker->thread, thread_main, worker, THREAD_STACK, name);
    worker->native_thread = err == 0;
    return err;
}

void oai_coord_for_each(oa_coord_t *coord, void (*visit)(oai_task_t *task, void *arg), void *arg)
{
    // Acquire, both: pair with the releases in slab.c.
    oai_slab_t *slab = atomic_load_explicit(&coord->tasks.slabs, memory_order_acquire);
    for (; slab; slab = slab->next) {
        uint32_t carved = atomic_load_explicit(&slab->carved, memory_order_acquire);
        for (uint32_t i = 0; i < carved; i++)
            visit(oai_slab_slot(slab, i), arg);
    }
}

// ---- Made and freed -----------------------------------------------------------------------------

static int choose_workers(const oa_config_t *config)
{
    if (config->simulate)
        return 1;
    if (config->max_workers)
        return config->max_workers;
    int cpus = oai_os_cpu_count();
    return cpus < OAI_MOST_WORKERS ? cpus : OAI_MOST_WORKERS;
}

// One mapping for the coordinator, its workers, their shards and what thieves remember.
static oa_coord_t *map_coord(int workers)
{
    size_t page = oai_os_page_size();
    size_t count = (size_t)workers;
    size_t watches = count * count * sizeof(oai_watch_t);
    size_t size = sizeof(oa_coord_t) + 2 * OAI_CACHELINE + count * sizeof(oai_worker_t) +
                  count * sizeof(oai_timers_t) + watches;
    size = (size + page - 1) / page * page;
    void *base;
    if (oai_os.map(&base, size) != 0)
        return NULL;
    oa_coord_t *coord = base;
    uintptr_t next = (uintptr_t)(coord + 1);
    next = (next + OAI_CACHELINE - 1) & ~(uintptr_t)(OAI_CACHELINE - 1);
    coord->worker = (oai_worker_t *)next;
    coord->shards = (oai_timers_t *)(coord->worker + count);
    oai_watch_t *watch = (oai_watch_t *)(coord->shards + count);
    for (int i = 0; i < workers; i++)
        coord->worker[i].watch = watch + (size_t)i * count;
    coord->workers = workers;
    coord->map_size = size;
    return coord;
}

static void init_worker(oa_coord_t *coord, int id)
{
    oai_worker_t *worker = &coord->worker[id];
    worker->coord = coord;
    worker->id = id;
    worker->tick = oai_sim_of(coord) ? 1 : OAI_TICK;
    worker->random = oai_sim_of(coord) ? oai_sim_worker_seed(coord->sim)
                                       : (uint64_t)id * UINT64_C(0x9E3779B97F4A7C15) + 1;
    oai_task_cache_init(&worker->tasks, &coord->tasks);
    oai_runq_init(&worker->queue);
    oai_stack_cache_init(&worker->stacks, &coord->stacks);
    oai_timers_init(&coord->shards[id], oai_coord_now(coord));
}

static void set_log(oa_coord_t *coord, const oa_config_t *config)
{
    coord->log = config->log;
    coord->log_arg = config->log_arg;
    coord->log_level = config->log_level ? config->log_level : OA_LOG_WARN;
    if (config->name)
        strncpy(coord->name, config->name, sizeof coord->name - 1);
}

// Frees what a coordinator without threads and tasks still has.
static void free_coord(oa_coord_t *coord)
{
    for (int i = 0; i < coord->workers; i++) {
        oai_stack_cache_close(&coord->worker[i].stacks);
        oai_runq_destroy(&coord->worker[i].queue);
    }
    oai_task_pool_destroy(&coord->tasks);
    oai_stack_pool_destroy(&coord->stacks);
    if (oai_sim_of(coord))
        oai_sim_destroy(coord->sim);
    oai_os_signal_stack_free(&coord->signals);
    oai_os_fault_release();
    oai_os.unmap(coord, coord->map_size);
}

static void join_threads(oa_coord_t *coord)
{
    for (int i = 0; i < coord->workers; i++)
        if (coord->worker[i].native_thread)
            oai_os.thread_join(coord->worker[i].thread);
}

int oai_coord_outcome(const oa_coord_t *coord)
{
    return oai_sim_of(coord) && oai_sim_deadlocked(coord->sim) ? -EDEADLK : 0;
}

void oai_coord_destroy(oa_coord_t *coord)
{
    join_threads(coord);
    oai_pool_join(&coord->pool);
    oai_sync_acquire(coord);
    if (atomic_load_explicit(&coord->kept, memory_order_relaxed))
        oai_coord_for_each(coord, oai_task_abandon, NULL);
    if (oai_sim_of(coord))
        oai_sim_ends(coord);
    free_coord(coord);
}

// Each worker's first loop must have a stack: got now, while that can still be an error.
static int reserve_stacks(oa_coord_t *coord)
{
    for (int i = 0; i < coord->workers; i++)
        if (oai_worker_prepare(&coord->worker[i]) != 0)
            return -ENOMEM;
    return 0;
}

static int start_threads(oa_coord_t *coord)
{
    for (int i = coord->lent; i < coord->workers; i++) {
        int err = start_thread(&coord->worker[i]);
        if (err) {
            // No task has been spawned: the threads that there are leave at once.
            oai_coord_release(coord);
            join_threads(coord);
            return err;
        }
    }
    return 0;
}

static int make_coord(oa_coord_t **out, const oa_config_t *config, bool lend)
{
    oa_coord_t *coord = map_coord(choose_workers(config));
    if (!coord)
        return -ENOMEM;
    int err = oai_stack_pool_init(&coord->stacks, config->stack_size);
    if (err == 0 && lend)
        err = oai_os_signal_stack_make(&coord->signals);
    if (err == 0)
        err = oai_os_fault_catch(oai_overflow_tell);
    if (err == 0 && config->simulate && !(coord->sim = oai_sim_create(config->simulate))) {
        oai_os_fault_release();
        err = -ENOMEM;
    }
    if (err) {
        oai_os_signal_stack_free(&coord->signals);
        oai_os.unmap(coord, coord->map_size);
        return err;
    }
    coord->stack_class = coord->stacks.default_class;
    coord->held = true;
    coord->lent = lend;
    coord->users = coord->workers;
    set_log(coord, config);
    oai_task_pool_init(&coord->tasks, coord);
    oai_pool_init(&coord->pool, config->max_blocking);
    oai_idle_init(&coord->idle, (unsigned)coord->workers, oai_os_membarrier_probe());
    for (int i = 0; i < coord->workers; i++)
        init_worker(coord, i);
    *out = coord;
    return reserve_stacks(coord);
}

int oai_coord_create(oa_coord_t **out, const oa_config_t *config, bool lend)
{
    oa_coord_t *coord = NULL;
    int err = make_coord(&coord, config, lend);
    oa_spec_t spec = OA_SPEC_INIT;
    spec.fn = config->fn;
    spec.arg = config->arg;
    spec.where = lend ? "oa_run" : "oa_start";
    oai_task_t *first = NULL;
    if (err == 0 && !(first = oai_task_make(coord, NULL, &spec, true)))
        err = -ENOMEM;
    if (err == 0)
        err = start_threads(coord);
    if (err) {
        if (coord)
            free_coord(coord);
        return err;
    }
    *out = coord;
    if (oai_sim_of(coord))
        oai_sim_begins(coord);
    oai_coord_admit(coord, OAI_ADMIT_NEW);
    oai_sync_release(first);
    oai_inject_put(&coord->inject, first);
    oai_idle_published_outside(&coord->idle);
    oai_coord_leave(coord);
    return 0;
}

// ---- Shut down ----------------------------------------------------------------------------------

// Drops what is delayed or waits for a thread, cancels every task and breaks every wait that may be
// broken. What is queued and has not begun is dropped when its turn comes, or, at the latest, its
// first wait is broken: for a task that was being made while this went by had its flags written
// over.
static void cancel_all(oa_coord_t *coord)
{
    for (int i = 0; i < coord->workers; i++)
        oai_tasks_drop(oai_timers_close(&coord->shards[i]));
    oai_tasks_drop(oai_pool_withdraw_all(&coord->pool));
    // Who has taken a slot before this is in the sweep; who takes one later sees the state.
    oai_lock(&coord->tasks.lock);
    oai_unlock(&coord->tasks.lock);
    oai_coord_for_each(coord, oai_task_cancel_any, NULL);
    oai_dormants_cancel(coord);
}

int oa_shutdown(oa_coord_t *coord, oa_shutdown_t mode)
{
    if (mode != OA_DRAIN && mode != OA_CANCEL)
        return -EINVAL;
    if (!coord && !(coord = oa_coord()))
        return -EPERM;
    oai_point(__func__, NULL);
    int next = mode == OA_DRAIN ? OAI_DRAINING : OAI_CANCELLING;
    oai_lock(&coord->inject.lock);
    bool grows = atomic_load_explicit(&coord->state, memory_order_relaxed) < next;
    if (grows) {
        coord->held = false;
        coord->inject.closed = true;
        coord->users++; // until a task has seen what follows it is alive
        // Seq_cst: the canceller's store of the pair told in wait.c.
        atomic_store_explicit(&coord->state, next, memory_order_seq_cst);
    }
    oai_unlock(&coord->inject.lock);
    if (!grows)
        return -EALREADY;
    if (mode == OA_CANCEL)
        cancel_all(coord);
    oai_coord_try_end(coord);
    oai_coord_leave(coord);
    oai_point(__func__, NULL);
    return 0;
}

// ---- Looked at ----------------------------------------------------------------------------------

oa_coord_t *oa_coord(void)
{
    oai_worker_t *worker = oai_self();
    oai_task_t *hosted = worker ? NULL : oai_hosted();
    if (hosted)
        return oai_task_coord(hosted);
    return worker ? worker->coord : NULL;
}

int oa_workers(oa_coord_t *coord)
{
    if (!coord && !(coord = oa_coord()))
        return -EPERM;
    return coord->workers;
}

int oa_worker_limit(oa_coord_t *coord)
{
    return oa_workers(coord); // no worker has an identity beyond these
}

int oa_worker_id(void)
{
    oai_worker_t *worker = oai_self();
    return worker ? worker->id : -1;
}

void oai_coord_stats(oa_coord_t *coord, oa_stats_t *out)
{
    oai_lock(&coord->inject.lock);
    out->tasks_completed = coord->inject.dropped;
    oai_unlock(&coord->inject.lock);
    // Acquire, and ends before spawns: as in none_left(), so that alive is not negative.
    for (int i = 0; i < coord->workers; i++)
        out->tasks_completed += atomic_load_explicit(&coord->worker[i].ended, memory_order_acquire);
    for (int i = 0; i < coord->workers; i++) {
        oai_worker_t *worker = &coord->worker[i];
        // Relaxed, all: no more than counts, and none_left() tells about the spawns.
        out->tasks_spawned += atomic_load_explicit(&worker->spawned, memory_order_relaxed);
        out->dispatches += atomic_load_explicit(&worker->dispatches, memory_order_relaxed);
        out->steals += atomic_load_explicit(&worker->steals, memory_order_relaxed);
        out->parks += atomic_load_explicit(&worker->parks, memory_order_relaxed);
    }
    out->parks += atomic_load_explicit(&coord->pool.parks, memory_order_relaxed);
    oai_lock(&coord->inject.lock);
    out->tasks_spawned += coord->inject.spawned;
    oai_unlock(&coord->inject.lock);
    out->tasks_alive = out->tasks_spawned - out->tasks_completed;
    oai_stack_stats_t stacks;
    oai_stack_pool_stats(&coord->stacks, &stacks);
    out->stacks_in_use = stacks.in_use;
    out->stacks_peak = stacks.peak;
    out->stacks_mapped = stacks.mapped;
}
