// SPDX-License-Identifier: BSD-2-Clause
// pool.c - the blocking pool, pinned tasks, and oa_block (see pool.h).
//
// Jobs stand in one queue, first come, first served. Who puts one wakes the thread that went idle
// last, or, while there are fewer than max_blocking, makes one. A thread that is done with a job
// takes the next one and goes idle when there is none, under the same lock: so no job waits while a
// thread is idle. Idle for IDLE_TIME it retires. A pinned task has a thread to itself, which is not
// counted.
//
// The task that a thread runs is hosted: it is the thread's (self.h), its waits sleep on a futex
// (wait.c), and for all else its thread is an outsider: it spawns, wakes and ends through the
// injection queue. An oa_block() lends its task in the same way: it has parked meanwhile, and goes
// on when the thread gives it back.
//
// When no thread can be made, the caller is told if it can be (oa_go, oa_block) and the pool has no
// thread at all. Otherwise the job waits, and a timer tries again, RETRY_TIME later and as long as
// it takes, also while the pool has other threads: all of them may wait for this very job.
//
// A thread is a user of its coordinator (oai_coord_enter) from before it is made. Before it leaves
// it joins the one that left before it, so that one at most is not joined; that one oai_pool_join()
// joins.
#include "sched/pool.h"

#include <stdio.h>

#include "sched/internal.h"
#include "sched/sched.h"

enum {
    DEFAULT_MOST = 64,
    RETRY_TIME = 1000000, // ns
};
static const int64_t IDLE_TIME = 10 * OA_SECOND;

typedef struct oai_host {
    oai_link_t link; // in `idle`: under the pool's lock
    bool idle;       // it is there: under the same lock
    // The futex on which it sleeps until it is 1: while idle, written under the lock, and before it
    // begins.
    _Atomic uint32_t woken;
    oai_os_thread_t thread; // written by who made it, before it lets it go
    oa_coord_t *coord;      // constant, as the next
    oai_task_t *pinned;     // the task that has this thread to itself; NULL: a thread of the pool
    oai_stack_t stack;      // no stack, but the room in which the task that runs here has its own
} host_t;

// One oa_block().
typedef struct call {
    oai_job_t job;
    oai_wait_t wait; // `linked`: the job is in the queue
    oa_fn *fn;
    void *arg;
    bool fp_changed; // the caller's floating-point control is not the default, but `fp`
    oai_fpctl_t fp;
} call_t;

void oai_pool_init(oai_pool_t *pool, int most)
{
    pool->most = most ? most : DEFAULT_MOST;
}

static oai_task_t *task_of(oai_link_t *link)
{
    return oai_container(link, oai_task_t, fresh.job.link);
}

// Under the lock: a task is taken out of a list, or put into one unless it has been cancelled
// (false). Relaxed, both: the lock publishes it. A canceller that sets its flag sees this one or is
// seen here; one that sets the state takes what is queued afterwards, under the lock.
static void clear_queued(oai_task_t *task)
{
    atomic_fetch_and_explicit(&task->flags, ~(uint32_t)OAI_TASK_QUEUED, memory_order_relaxed);
}

static bool set_queued(oai_task_t *task)
{
    atomic_fetch_or_explicit(&task->flags, OAI_TASK_QUEUED, memory_order_relaxed);
    bool dropped = oai_task_dropped(task);
    if (dropped)
        clear_queued(task);
    return !dropped;
}

// A task that is nobody else's is not to begin.
static void drop(oai_task_t *task)
{
    task->next = NULL;
    oai_tasks_drop(task);
}

// ---- A thread's work ----------------------------------------------------------------------------

static void run_task(host_t *host, oai_task_t *task)
{
    if (oai_task_dropped(task)) {
        oai_task_discard(task, NULL);
        oai_fpctl_restore(); // its drop has run
        return;
    }
    oai_sync_acquire(task);
    oai_host_set(task);
    task->stack = &host->stack;
    task->fresh.fn(task->arg);
    if (OAI_UNLIKELY(oai_own_any(task)))
        oai_own_end(task);
    oai_host_set(NULL);
    oai_fpctl_restore();
    oai_task_end(task, NULL);
}

// The call's wait is claimed: its task waits for this.
static void run_call(call_t *call)
{
    oai_task_t *task = call->wait.task;
    oai_wait_lend(&call->wait);
    oai_host_set(task);
    if (call->fp_changed)
        oai_fpctl_set(&call->fp);
    call->fn(call->arg);
    oai_fpctl_restore();
    oai_host_set(NULL);
    oai_wait_give_back(task); // the call is gone
}

// Under the lock: the first job that is to be done, or NULL.
static oai_job_t *take(oai_pool_t *pool)
{
    oai_link_t *link;
    while ((link = oai_list_pop(&pool->jobs)) != NULL) {
        oai_job_t *job = oai_container(link, oai_job_t, link);
        if (!job->call) {
            clear_queued(task_of(link));
            return job;
        }
        call_t *call = oai_container(job, call_t, job);
        call->wait.linked = false;
        // Else it was cancelled, and its task is on its way or will be in a moment.
        if (!oai_wait_doomed(&call->wait) && oai_wait_claim(&call->wait))
            return job;
    }
    return NULL;
}

static void run(host_t *host, oai_job_t *job)
{
    if (job->call)
        run_call(oai_container(job, call_t, job));
    else
        run_task(host, task_of(&job->link));
}

// Under the lock, which it releases meanwhile: waits for a job. False: it has waited long enough.
static bool rest(oai_pool_t *pool, host_t *host)
{
    int64_t until = oai_os.now() + IDLE_TIME;
    host->idle = true;
    // Relaxed, both: the futex looks by itself, and the lock orders the rest.
    atomic_store_explicit(&host->woken, 0, memory_order_relaxed);
    oai_list_prepend(&pool->idle, &host->link);
    oai_unlock(&pool->lock);
    while (atomic_load_explicit(&host->woken, memory_order_relaxed) == 0)
        if (oai_os.futex_wait(&host->woken, 0, until) == -ETIMEDOUT)
            break;
    oai_lock(&pool->lock);
    bool late = host->idle;
    if (late)
        oai_list_remove(&pool->idle, &host->link);
    host->idle = false;
    return !late;
}

static void serve(oai_pool_t *pool, host_t *host)
{
    oai_lock(&pool->lock);
    for (;;) {
        oai_job_t *job = take(pool);
        if (job) {
            oai_unlock(&pool->lock);
            run(host, job);
            oai_lock(&pool->lock);
        } else if (pool->closed || !rest(pool, host)) {
            break;
        }
    }
    pool->threads--;
    oai_unlock(&pool->lock);
}

static void join(host_t *host)
{
    if (!host)
        return;
    oai_os.thread_join(host->thread);
    oai_os.free(host);
}

static void host_main(void *arg)
{
    host_t *host = arg;
    oa_coord_t *coord = host->coord;
    oai_pool_t *pool = &coord->pool;
    oai_fpctl_default(); // inherited from who made the thread
    oai_host_begin();
    // Acquire: pairs with the release in let_go().
    while (atomic_load_explicit(&host->woken, memory_order_acquire) == 0)
        oai_os.futex_wait(&host->woken, 0, OAI_OS_FOREVER);
    if (host->pinned)
        run_task(host, host->pinned);
    else
        serve(pool, host);
    oai_lock(&pool->lock);
    host_t *before = pool->retired;
    pool->retired = host;
    oai_unlock(&pool->lock);
    join(before);
    oai_coord_leave(coord);
}

// ---- Threads are made ---------------------------------------------------------------------------

// A thread that was made begins, and may be gone.
static void let_go(host_t *host)
{
    // Release: pairs with the acquire in host_main(): `thread`.
    atomic_store_explicit(&host->woken, 1, memory_order_release);
    oai_os.futex_wake(&host->woken, 1);
}

// Makes a thread for a pinned task, or (NULL) one of the pool, which is counted already. It waits
// to be let go: else one of the pool might find no job yet, idle and retire before there is one.
static int make_host(oa_coord_t *coord, oai_task_t *pinned, host_t **out)
{
    host_t *host = oai_os.alloc(sizeof *host);
    if (!host)
        return -ENOMEM;
    *host = (host_t){.coord = coord, .pinned = pinned};
    size_t stack = 0;
    if (pinned) {
        uint32_t flags = atomic_load_explicit(&pinned->flags, memory_order_relaxed);
        unsigned cls = (flags & OAI_TASK_CLASS_MASK) >> OAI_TASK_CLASS_SHIFT;
        stack = cls ? oai_stack_class_size(cls - 1) : 0;
    }
    char name[16];
    // Relaxed: any order will do.
    unsigned number = atomic_fetch_add_explicit(&coord->pool.made, 1, memory_order_relaxed);
    snprintf(name, sizeof name, "%.8s-b%u", coord->name[0] ? coord->name : "oasync",
             number % 100000);
    oai_coord_enter(coord);
    int err = oai_os.thread_start(&host->thread, host_main, host, stack, name);
    if (err) {
        oai_os.free(host);
        oai_coord_leave(coord);
        return err;
    }
    *out = host;
    return 0;
}

static int start_host(oa_coord_t *coord, oai_task_t *pinned)
{
    host_t *host;
    int err = make_host(coord, pinned, &host);
    if (!err)
        let_go(host);
    return err;
}

// A thread could not be made that something waits for.
static void retry_later(oa_coord_t *coord)
{
    oai_pool_t *pool = &coord->pool;
    oai_lock(&pool->lock);
    bool retrying = pool->retrying, told = pool->told;
    pool->retrying = pool->told = true;
    oai_unlock(&pool->lock);
    if (!told)
        oai_log(coord, OA_LOG_WARN, "no thread can be made for blocking tasks yet");
    if (retrying)
        return;
    int64_t expiry = oa_after(RETRY_TIME);
    pool->retry.task = NULL;
    if (oai_timers_insert(&coord->shards[0], &pool->retry, expiry))
        oai_idle_sooner(&coord->idle, expiry);
}

// ---- Jobs are put -------------------------------------------------------------------------------

// Under the lock: takes the thread that went idle last off the list, and returns the futex on which
// it is to be woken; NULL: there is none. Afterwards it may be gone, the wake touches nothing.
static _Atomic uint32_t *rouse(oai_pool_t *pool)
{
    oai_link_t *link = oai_list_pop(&pool->idle);
    if (!link)
        return NULL;
    host_t *host = oai_container(link, host_t, link);
    host->idle = false;
    atomic_store_explicit(&host->woken, 1, memory_order_relaxed); // read under the lock, or again
    return &host->woken;
}

// Under the lock: queues a job.
static void put(oai_pool_t *pool, oai_job_t *job)
{
    if (job->call) {
        call_t *call = oai_container(job, call_t, job);
        oai_wait_arm(&call->wait);
        call->wait.linked = true;
    }
    oai_list_append(&pool->jobs, &job->link);
}

// Puts a job and sees to it that a thread comes for it; when it is put it may be over at once.
// -ECANCELED: it is a task that is not to begin. Another error: there is no thread and none can be
// made; not if the job `must` be put.
static int submit(oa_coord_t *coord, oai_job_t *job, bool must)
{
    oai_pool_t *pool = &coord->pool;
    host_t *host = NULL;
    int err = 0;
    oai_lock(&pool->lock);
    bool grow = oai_list_empty(&pool->idle) && pool->threads < pool->most;
    if (grow) {
        pool->threads++;
        oai_unlock(&pool->lock);
        err = make_host(coord, NULL, &host);
        oai_lock(&pool->lock);
        if (err)
            pool->threads--;
    }
    int result = err && !must && pool->threads == 0 ? err : 0;
    _Atomic uint32_t *futex = NULL;
    if (!result && !job->call && !set_queued(task_of(&job->link)))
        result = -ECANCELED;
    if (!result)
        put(pool, job);
    if (!result && !host)
        futex = rouse(pool);
    bool stuck = err && !oai_list_empty(&pool->jobs);
    oai_unlock(&pool->lock);
    if (host)
        let_go(host);
    if (futex)
        oai_os.futex_wake(futex, 1);
    if (stuck)
        retry_later(coord);
    return result;
}

// No thread can be made for a pinned task now: it waits, or it is not to begin (-ECANCELED).
static int wait_pinned(oai_pool_t *pool, oai_task_t *task)
{
    oai_lock(&pool->lock);
    bool waits = set_queued(task);
    if (waits)
        oai_list_append(&pool->pinned, &task->fresh.job.link);
    oai_unlock(&pool->lock);
    return waits ? 0 : -ECANCELED;
}

static int start_pinned(oa_coord_t *coord, oai_task_t *task, bool must)
{
    int err = start_host(coord, task);
    if (!err || !must)
        return err;
    err = wait_pinned(&coord->pool, task);
    retry_later(coord);
    return err;
}

static int start_task(oa_coord_t *coord, oai_task_t *task, bool must)
{
    oai_sync_release(task);
    task->fresh.job.call = false;
    // Relaxed: constant by now.
    bool pinned = (atomic_load_explicit(&task->flags, memory_order_relaxed) & OAI_TASK_PINNED) != 0;
    int err = pinned ? start_pinned(coord, task, must) : submit(coord, &task->fresh.job, must);
    if (err != -ECANCELED)
        return err;
    drop(task);
    return 0;
}

int oai_pool_start(oa_coord_t *coord, oai_task_t *task)
{
    return start_task(coord, task, false);
}

void oai_pool_host(oa_coord_t *coord, oai_task_t *task)
{
    start_task(coord, task, true);
}

// One thread more for a pinned task, or for the pool, if one is wanted. *more: another one may be.
static int make_pinned(oa_coord_t *coord, bool *more)
{
    oai_pool_t *pool = &coord->pool;
    oai_lock(&pool->lock);
    oai_link_t *link = oai_list_pop(&pool->pinned);
    if (link)
        clear_queued(task_of(link));
    oai_unlock(&pool->lock);
    *more = link != NULL;
    int err = link ? start_host(coord, task_of(link)) : 0;
    if (err && wait_pinned(pool, task_of(link)) != 0)
        drop(task_of(link));
    return err;
}

static int make_pooled(oa_coord_t *coord, bool *more)
{
    oai_pool_t *pool = &coord->pool;
    oai_lock(&pool->lock);
    *more = !oai_list_empty(&pool->jobs) && pool->threads < pool->most;
    pool->threads += *more;
    oai_unlock(&pool->lock);
    int err = *more ? start_host(coord, NULL) : 0;
    if (err) {
        oai_lock(&pool->lock);
        pool->threads--;
        oai_unlock(&pool->lock);
    }
    return err;
}

void oai_pool_retry(oa_coord_t *coord)
{
    oai_pool_t *pool = &coord->pool;
    bool more = true;
    int err = 0;
    oai_lock(&pool->lock);
    pool->retrying = false; // what is put from here on is tried again anew
    oai_unlock(&pool->lock);
    while (more && !err)
        err = make_pinned(coord, &more);
    for (more = true; more && !err;)
        err = make_pooled(coord, &more);
    if (err)
        retry_later(coord);
}

// ---- Cancelled before it has begun --------------------------------------------------------------

bool oai_pool_withdraw(oai_pool_t *pool, oai_task_t *task)
{
    oai_lock(&pool->lock);
    // Relaxed: the flag changes under this lock.
    uint32_t flags = atomic_load_explicit(&task->flags, memory_order_relaxed);
    bool queued = (flags & OAI_TASK_QUEUED) != 0;
    if (queued) {
        oai_list_remove(flags & OAI_TASK_PINNED ? &pool->pinned : &pool->jobs,
                        &task->fresh.job.link);
        clear_queued(task);
    }
    oai_unlock(&pool->lock);
    return queued;
}

// Under the lock: moves the tasks of a list to a chain. The calls are broken as any wait.
static oai_task_t *take_tasks(oai_list_t *list, oai_task_t *chain)
{
    for (oai_link_t *link = list->head, *next; link; link = next) {
        next = link->next;
        if (oai_container(link, oai_job_t, link)->call)
            continue;
        oai_list_remove(list, link);
        clear_queued(task_of(link));
        task_of(link)->next = chain;
        chain = task_of(link);
    }
    return chain;
}

oai_task_t *oai_pool_withdraw_all(oai_pool_t *pool)
{
    oai_lock(&pool->lock);
    oai_task_t *chain = take_tasks(&pool->jobs, take_tasks(&pool->pinned, NULL));
    oai_unlock(&pool->lock);
    return chain;
}

// ---- oa_block -----------------------------------------------------------------------------------

// The calling task parks, and a thread of the pool runs the function as the task.
static __attribute__((noinline)) int block(oa_coord_t *coord, oa_fn *fn, void *arg)
{
    oai_pool_t *pool = &coord->pool;
    call_t call = {.job.call = true, .fn = fn, .arg = arg};
    int err = oai_wait_begin(&call.wait, true);
    if (err)
        return err;
    call.fp_changed = oai_fpctl_changed(&call.fp);
    oai_sync_release(&call.wait.task->word);
    err = submit(coord, &call.job, false);
    if (err)
        return err;
    err = oai_wait_park(&call.wait, OA_FOREVER);
    if (err) {
        oai_lock(&pool->lock);
        if (call.wait.linked)
            oai_list_remove(&pool->jobs, &call.job.link);
        oai_unlock(&pool->lock);
    }
    return err;
}

// A simulation has no pool. What the function leaves of floating-point control is not the task's.
static __attribute__((noinline)) void block_simulated(oa_fn *fn, void *arg)
{
    oai_fpctl_t fp;
    oai_fpctl_read(&fp);
    fn(arg);
    oai_fpctl_strip(&fp);
    oai_fpctl_set(&fp);
}

int oa_block(oa_fn *fn, void *arg)
{
    oai_worker_t *worker = oai_self();
    if (!fn)
        return -EINVAL;
    if (worker && worker->current && !oai_sim_of(worker->coord))
        return block(worker->coord, fn, arg);
    if (oai_wait_cancelled() && worker)
        return -ECANCELED; // as a wait that need not wait
    oai_point(__func__, NULL);
    if (worker && worker->current)
        block_simulated(fn, arg);
    else
        fn(arg);
    oai_point(__func__, NULL);
    return 0;
}

// ---- The end ------------------------------------------------------------------------------------

void oai_pool_close(oai_pool_t *pool)
{
    _Atomic uint32_t *futex;
    do {
        oai_lock(&pool->lock);
        pool->closed = true;
        futex = rouse(pool);
        oai_unlock(&pool->lock);
        if (futex)
            oai_os.futex_wake(futex, 1);
    } while (futex);
}

void oai_pool_join(oai_pool_t *pool)
{
    join(pool->retired);
    pool->retired = NULL;
}
