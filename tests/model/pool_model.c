// SPDX-License-Identifier: BSD-2-Clause
// pool_model.c - the blocking pool: each job is done once, by a thread that comes for it however it
// is put against threads that go idle, retire or cannot be made; a cancelled task is dropped
// instead, a cancelled oa_block does not call.
//
// The shipped pool.c over the shipped wait protocol. A thread of the pool is a model thread, its
// idle time a time-out that comes at any moment.
#include "model.h"
#include "sched/sched.h"
#include "stub_sched.h"

enum { JOBS = 2 };

static oai_task_t *jobs[JOBS];
static _Atomic int ran, dropped, called, users,
    failures;          // failures: how often a thread may still not be made
static int done[JOBS]; // plain: each by the thread that runs it

// Bits for model_seen().
enum { RAN_BOTH, DROPPED, CALLED, NOT_CALLED, FAILED, REFUSED, RETRIED };

static void tell(_Atomic int *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static int told(_Atomic int *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

// ---- What the pool calls ------------------------------------------------------------------------

bool oai_task_dropped(oai_task_t *task)
{
    return (atomic_load_explicit(&task->flags, memory_order_relaxed) & OAI_TASK_CANCELLED) ||
           atomic_load_explicit(&oai_task_coord(task)->state, memory_order_relaxed) ==
               OAI_CANCELLING;
}

void oai_task_discard(oai_task_t *task, oai_worker_t *worker)
{
    (void)task;
    (void)worker;
    tell(&dropped);
}

void oai_tasks_drop(oai_task_t *chain)
{
    for (; chain; chain = chain->next)
        tell(&dropped);
}

void oai_own_end(oai_task_t *task)
{
    (void)task;
}

void oai_task_end(oai_task_t *task, oai_worker_t *worker)
{
    (void)task;
    (void)worker;
}

void oai_coord_enter(oa_coord_t *coord)
{
    (void)coord;
    tell(&users);
}

void oai_coord_leave(oa_coord_t *coord)
{
    (void)coord;
    atomic_fetch_sub_explicit(&users, 1, memory_order_relaxed);
}

void oai_idle_sooner(oai_idle_t *idle, int64_t expiry)
{
    (void)idle;
    (void)expiry;
}

void oai_log(oa_coord_t *coord, int level, const char *format, ...)
{
    (void)coord;
    (void)level;
    (void)format;
}

int64_t oa_after(int64_t ns)
{
    return model_now() + ns;
}

size_t oai_stack_class_size(unsigned cls)
{
    return cls;
}

static void retry(void *unused)
{
    (void)unused;
    model_seen(RETRIED);
    oai_pool_retry(&stub_coord);
}

bool oai_timers_insert(oai_timers_t *shard, oai_deadline_t *deadline, int64_t expiry)
{
    (void)shard;
    (void)expiry;
    model_assert(deadline->task == NULL);
    model_thread("retry", retry, NULL);
    return true;
}

static int start(oai_os_thread_t *out, void (*fn)(void *), void *arg, size_t size, const char *name)
{
    (void)size;
    (void)name;
    if (told(&failures) > 0 && model_choose(2)) {
        atomic_fetch_sub_explicit(&failures, 1, memory_order_relaxed);
        model_seen(FAILED);
        return -EAGAIN;
    }
    out->handle = (uintptr_t)model_thread("host", fn, arg);
    return 0;
}

// ---- The threads --------------------------------------------------------------------------------

static void work(void *arg)
{
    int *place = arg;
    ++*place;
    tell(&ran);
}

static void put(int which)
{
    if (oai_pool_start(&stub_coord, jobs[which]) != 0) {
        model_seen(REFUSED);
        tell(&dropped);
    }
}

static void puts_first(void *unused)
{
    (void)unused;
    put(0);
}

static void puts_second(void *unused)
{
    (void)unused;
    put(1);
}

static void puts_both(void *unused)
{
    puts_first(unused);
    puts_second(unused);
}

// From a delay, not from oa_go: it is not refused.
static void hosts_both(void *unused)
{
    (void)unused;
    oai_pool_host(&stub_coord, jobs[0]);
    oai_pool_host(&stub_coord, jobs[1]);
}

// As cancel() in task.c.
static void cancels(void *unused)
{
    (void)unused;
    uint32_t flags =
        atomic_fetch_or_explicit(&jobs[0]->flags, OAI_TASK_CANCELLED, memory_order_seq_cst);
    if ((flags & OAI_TASK_QUEUED) && oai_pool_withdraw(&stub_coord.pool, jobs[0]))
        tell(&dropped);
}

// As cancel_all() in coord.c.
static void shuts_down(void *unused)
{
    (void)unused;
    atomic_store_explicit(&stub_coord.state, OAI_CANCELLING, memory_order_seq_cst);
    oai_tasks_drop(oai_pool_withdraw_all(&stub_coord.pool));
}

static void call(void *arg)
{
    model_assert(oai_current() == arg);
    tell(&called);
}

static oai_task_t *caller;

static void blocks(void *unused)
{
    (void)unused;
    int err = oa_block(call, caller);
    model_assert((err == 0) == (told(&called) == 1));
    model_assert(err == 0 || err == -ECANCELED || err == -EAGAIN);
    model_seen(err ? NOT_CALLED : CALLED);
}

static void cancels_caller(void *unused)
{
    (void)unused;
    stub_cancel(caller);
}

// ---- Models -------------------------------------------------------------------------------------

static void reset(int most, uint32_t flags)
{
    stub_reset();
    stub_coord.pool = (oai_pool_t){.lock = OAI_LOCK_INIT};
    oai_pool_init(&stub_coord.pool, most);
    model_name(&stub_coord.pool.lock, "pool.lock");
    oai_os.thread_start = start;
    atomic_init(&ran, 0);
    atomic_init(&dropped, 0);
    atomic_init(&called, 0);
    atomic_init(&users, 0);
    atomic_init(&failures, 0);
    for (int i = 0; i < JOBS; i++) {
        done[i] = 0;
        jobs[i] = stub_slot(STUB_TASKS - 1 - i);
        jobs[i]->fresh.fn = work;
        jobs[i]->arg = &done[i];
        atomic_init(&jobs[i]->flags, OAI_TASK_HOSTED | flags);
    }
}

// The pool is empty, all threads have left, and each of so many tasks had one end.
static void settled(int tasks)
{
    oai_pool_t *pool = &stub_coord.pool;
    model_assert(told(&ran) + told(&dropped) == tasks);
    model_assert(done[0] <= 1 && done[1] <= 1 && done[0] + done[1] == told(&ran));
    model_assert(oai_list_empty(&pool->jobs) && oai_list_empty(&pool->pinned));
    model_assert(oai_list_empty(&pool->idle) && pool->threads == 0 && told(&users) == 0);
    if (told(&ran) == JOBS)
        model_seen(RAN_BOTH);
    if (told(&dropped))
        model_seen(DROPPED);
}

static void both(void)
{
    settled(2);
}

static void first(void)
{
    settled(1);
}

static void none(void)
{
    settled(0);
}

static void one_thread(void)
{
    reset(1, 0);
    model_thread("puts both", puts_both, NULL);
}

static void two_put(void)
{
    reset(1, 0);
    model_thread("puts first", puts_first, NULL);
    model_thread("puts second", puts_second, NULL);
}

static void two_threads(void)
{
    reset(2, 0);
    model_thread("puts both", puts_both, NULL);
}

static void cancelled(void)
{
    reset(1, 0);
    model_thread("puts", puts_first, NULL);
    model_thread("cancels", cancels, NULL);
}

static void shut_down(void)
{
    reset(1, 0);
    model_thread("puts", puts_first, NULL);
    model_thread("shuts down", shuts_down, NULL);
}

static void failing(void)
{
    reset(1, 0);
    atomic_init(&failures, 2);
    model_thread("hosts both", hosts_both, NULL);
}

static void failing_two(void)
{
    two_put();
    atomic_init(&failures, 1);
}

static void failing_pinned(void)
{
    reset(1, OAI_TASK_PINNED);
    atomic_init(&failures, 1);
    model_thread("hosts both", hosts_both, NULL);
    model_thread("cancels", cancels, NULL);
}

static void block(void)
{
    reset(1, 0);
    atomic_init(&failures, 1);
    stub_next_stack = true;
    caller = stub_task("caller", blocks, NULL);
    model_thread("cancels", cancels_caller, NULL);
}

// The cancelled call stands before a task, or behind it.
static void block_beside(void)
{
    reset(1, 0);
    caller = stub_task("caller", blocks, NULL);
    model_thread("puts", puts_first, NULL);
    model_thread("cancels", cancels_caller, NULL);
}

MODEL(one_thread, one_thread, both, .bound = 2, .stale = 1, .must_see = 1 << RAN_BOTH);
MODEL(two_put, two_put, both, .bound = 2, .stale = 1, .must_see = 1 << RAN_BOTH);
MODEL(two_threads, two_threads, both, .bound = 2, .stale = 1, .must_see = 1 << RAN_BOTH);
MODEL(cancelled, cancelled, first, .bound = 2, .stale = 2, .must_see = 1 << DROPPED);
MODEL(shut_down, shut_down, first, .bound = 2, .stale = 2, .must_see = 1 << DROPPED);
MODEL(failing, failing, both, .bound = 1, .stale = 1, .must_see = 1 << RAN_BOTH | 1 << RETRIED);
MODEL(failing_two, failing_two, both, .bound = 1, .stale = 1,
      .must_see = 1 << RAN_BOTH | 1 << REFUSED | 1 << RETRIED);
MODEL(failing_pinned, failing_pinned, both, .bound = 1, .stale = 1,
      .must_see = 1 << RAN_BOTH | 1 << DROPPED | 1 << RETRIED);
MODEL(block, block, none, .bound = 2, .stale = 1,
      .must_see = 1 << CALLED | 1 << NOT_CALLED | 1 << FAILED);
MODEL(block_beside, block_beside, first, .bound = 1, .stale = 1,
      .must_see = 1 << CALLED | 1 << NOT_CALLED);
