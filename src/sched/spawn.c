// SPDX-License-Identifier: BSD-2-Clause
// spawn.c - oa_go, oa_chain: a spec is checked, becomes a task, and the task is put where it waits.
//
// Whatever goes wrong, the argument is dropped exactly once: by refuse() while there is no task,
// by discarding the task when there is one.
#include <string.h>

#include "sched/hot.h"
#include "sched/internal.h"
#include "sched/sched.h"

int oai_options_read(void *known, size_t known_size, const void *given, size_t least)
{
    size_t size;
    if (!given)
        return -EINVAL;
    memcpy(&size, given, sizeof size);
    if (size < least)
        return -EINVAL;
    for (size_t i = known_size; i < size; i++)
        if (((const unsigned char *)given)[i])
            return -E2BIG;
    memset(known, 0, known_size);
    memcpy(known, given, size < known_size ? size : known_size);
    return 0;
}

// No task was made of the spec.
static int refuse(const oa_spec_t *spec, int err)
{
    if (spec->task)
        *spec->task = NULL;
    if (spec->drop)
        spec->drop(spec->arg);
    return err;
}

// A task that was made and counted, and that nobody can have found yet, is not to be.
static int take_back(oai_task_t *task, oai_worker_t *worker, const oa_spec_t *spec, int err)
{
    if (spec->task)
        *spec->task = NULL;
    oai_task_disown(task);
    oai_task_discard(task, worker);
    return err;
}

static int check(const oa_spec_t *spec)
{
    if ((spec->copy && !spec->arg) || spec->delay < 0)
        return -EINVAL;
    if (spec->block && (spec->pinned || spec->stack))
        return -EINVAL;
    if (spec->stack && !oai_stack_size_ok(spec->stack))
        return -EINVAL;
    return !oai_gates_any(spec) || oai_gates_valid(spec) ? 0 : -EINVAL;
}

// Whether a spec says no more than what runs where: one look at what most leave out.
static inline bool is_bare(const oa_spec_t *spec)
{
    uintptr_t any = (uintptr_t)spec->drop | (uintptr_t)spec->name | (uintptr_t)spec->task |
                    (uintptr_t)spec->group | (uintptr_t)spec->latch | (uintptr_t)spec->cb |
                    (uintptr_t)spec->bp | (uintptr_t)spec->sem | (uintptr_t)spec->acq;
    unsigned hosted = (unsigned)spec->block | (unsigned)spec->pinned;
    return OAI_LIKELY((any | hosted | spec->copy | spec->stack | (uint64_t)spec->delay) == 0);
}

static int delay(oai_task_t *task, oa_coord_t *coord, oai_worker_t *worker, const oa_spec_t *spec)
{
    bool earlier = false;
    // Relaxed: any spread will do.
    unsigned shard = worker
                         ? (unsigned)worker->id
                         : atomic_fetch_add_explicit(&coord->next_shard, 1, memory_order_relaxed) %
                               (unsigned)coord->workers;
    int64_t expiry;
    if (__builtin_add_overflow(oai_coord_now(coord), spec->delay, &expiry))
        expiry = OA_FOREVER;
    oai_sync_release(task);
    int err = oai_timers_delay(&coord->shards[shard], shard, task, expiry, &earlier);
    if (err == 0 && earlier)
        oai_idle_sooner(&coord->idle, expiry);
    if (err != -ECANCELED)
        return err;
    oai_task_discard(task, worker); // its handle or group was quicker than its delay
    return 0;
}

// Puts a counted task that may begin into a queue. If it `must` be put, the injection queue takes
// what finds no memory for a block.
static int queue(oai_task_t *task, oa_coord_t *coord, oai_worker_t *worker, bool must)
{
    if (worker && OAI_LIKELY(oai_worker_push_new(worker, task)))
        return 0;
    if (worker && !must)
        return -ENOMEM;
    oai_sync_release(task);
    oai_inject_put(&coord->inject, task);
    oai_idle_published_outside(&coord->idle);
    return 0;
}

// Has a counted task run. Behind its gates there is no error any more: it has arrived there.
static int run(oai_task_t *task, oa_coord_t *coord, oai_worker_t *worker, bool gated)
{
    // Relaxed: constant.
    if (!(atomic_load_explicit(&task->flags, memory_order_relaxed) & OAI_TASK_HOSTED))
        return queue(task, coord, worker, gated);
    if (!gated)
        return oai_pool_start(coord, task);
    oai_pool_host(coord, task);
    return 0;
}

// Puts a counted task where it waits for its turn. At its gates it takes its place now, unless it
// is delayed: so tasks stand there in the order of their oa_go.
static int start(oai_task_t *task, oa_coord_t *coord, oai_worker_t *worker, const oa_spec_t *spec)
{
    if (spec->delay)
        return delay(task, coord, worker, spec);
    // Relaxed: nobody but a canceller, who changes another bit, knows the task.
    bool held = atomic_load_explicit(&task->flags, memory_order_relaxed) & OAI_TASK_HELD;
    int err = held ? oai_gates_pass(task, false) : 0;
    if (err == 0)
        return run(task, coord, worker, held);
    if (err == -EINPROGRESS)
        return 0;
    if (oai_gates_tell(spec))
        return err;
    oai_task_discard(task, worker);
    return 0;
}

bool oai_task_admit(oa_coord_t *coord, oai_worker_t *worker, oai_admit_t what)
{
    if (!worker)
        return oai_coord_admit(
            coord, what == OAI_ADMIT_NEW && oa_coord() == coord ? OAI_ADMIT_INSIDE : what);
    if (OAI_UNLIKELY(oai_coord_refuses(coord)) && what != OAI_ADMIT_END)
        return false;
    oai_worker_count_spawned(worker);
    return true;
}

// A task of a coordinator that has admitted it, made of a spec with options.
static __attribute__((noinline)) int go_options(const oa_spec_t *spec, oa_coord_t *coord,
                                                oai_worker_t *worker, oai_task_t *task)
{
    int err = 0;
    if (spec->group && (err = oai_group_enter(spec->group, &task->member)) != 0) {
        // Relaxed: nobody else has the task.
        atomic_fetch_and_explicit(&task->flags, ~(uint32_t)OAI_TASK_GROUPED, memory_order_relaxed);
        return take_back(task, worker, spec, err);
    }
    if (spec->task)
        *spec->task = oai_task_handle(task);
    err = start(task, coord, worker, spec);
    return OAI_LIKELY(err == 0) ? 0 : take_back(task, worker, spec, err);
}

static int go_admitted(const oa_spec_t *spec, oa_coord_t *coord, oai_worker_t *worker, bool bare)
{
    oai_task_t *task = oai_task_make(coord, worker, spec, bare);
    if (OAI_UNLIKELY(!task)) {
        oai_task_count_end(coord, worker);
        return refuse(spec, -ENOMEM);
    }
    if (!bare)
        return go_options(spec, coord, worker, task);
    int err = queue(task, coord, worker, false);
    return OAI_LIKELY(err == 0) ? 0 : take_back(task, worker, spec, err);
}

static int go(const oa_spec_t *spec)
{
    oai_worker_t *worker = oai_self();
    oa_coord_t *coord = spec->coord ? spec->coord : worker ? worker->coord : oa_coord();
    if (!coord)
        return refuse(spec, -EPERM);
    bool bare = is_bare(spec);
    int err = bare ? 0 : check(spec);
    if (OAI_UNLIKELY(err))
        return refuse(spec, err);
    oai_point("oa_go", NULL);
    if (worker && worker->coord != coord)
        worker = NULL; // from outside
    // Who is no worker of the coordinator has entered it then, for the task may be over at any
    // moment.
    if (OAI_UNLIKELY(!oai_task_admit(coord, worker, OAI_ADMIT_NEW)))
        return refuse(spec, -ESHUTDOWN);
    if (OAI_UNLIKELY(oai_sim_of(coord) && !worker))
        oai_sim_outside(coord);
    err = go_admitted(spec, coord, worker, bare);
    if (!worker)
        oai_coord_leave(coord);
    oai_point("oa_go", NULL);
    return err;
}

int oa_go_spec(const oa_spec_t *spec)
{
    oa_spec_t known;
    if (OAI_UNLIKELY(!spec || spec->size != sizeof known)) {
        int err = oai_options_read(&known, sizeof known, spec, offsetof(oa_spec_t, arg));
        if (err)
            return err;
        spec = &known;
    }
    if (OAI_LIKELY(spec->fn))
        return go(spec);
    if (spec->task)
        *spec->task = NULL;
    return -EINVAL;
}

// The same, the long way.
static __attribute__((noinline)) int go_made(oa_fn *fn, void *arg, const char *where,
                                             oa_task_t **task)
{
    if (!fn) {
        if (task)
            *task = NULL;
        return -EINVAL;
    }
    oa_spec_t spec = OA_SPEC_INIT;
    spec.fn = fn;
    spec.arg = arg;
    spec.where = where;
    spec.task = task;
    return go(&spec);
}

// Whether a worker has all at hand that a task takes which it spawns.
static inline bool is_ready(oai_worker_t *worker)
{
    return worker->tasks.free && oai_worker_has_id(worker) && !oai_runq_full(&worker->queue) &&
           !oai_coord_refuses(worker->coord);
}

int oa_go_plain(oa_fn *fn, void *arg, const char *where, oa_task_t **handle)
{
    oai_worker_t *worker = oai_self();
    if (OAI_UNLIKELY(!worker || !fn || !is_ready(worker)))
        return go_made(fn, arg, where, handle);
    oai_worker_count_spawned(worker);
    oai_task_t *task = oai_task_take_cached(&worker->tasks);
    task->arg = arg;
    oai_task_fill(task, worker->id_next++, fn, where, NULL, handle ? OAI_TASK_NAMED : 0);
    if (handle) {
        oai_task_make_joinable(task);
        *handle = oai_task_handle(task);
    }
    oai_sync_release(task);
    oai_runq_put(&worker->queue, task);
    return oai_idle_published(&worker->coord->idle);
}

static void drop_nothing(void *arg)
{
    (void)arg;
}

// Whether the functions of a chain can be called.
static bool chain_ok(oa_fn *const *fns, size_t count)
{
    for (size_t i = 0; fns && i < count; i++)
        if (!fns[i])
            return false;
    return fns != NULL;
}

int oa_chain_spec(oa_fn *const *fns, const oa_spec_t *spec)
{
    oai_chain_spec_t chain = {.fns = fns};
    int err = oai_options_read(&chain.spec, sizeof chain.spec, spec, offsetof(oa_spec_t, arg));
    if (err)
        return err;
    chain.count = chain.spec.count;
    if (!chain_ok(fns, chain.count)) {
        if (chain.spec.task)
            *chain.spec.task = NULL;
        return -EINVAL;
    }
    if (!chain.spec.drop)
        chain.spec.drop = drop_nothing;
    if (chain.count == 0)
        return refuse(&chain.spec, -EINVAL);
    chain.spec.size = sizeof chain.spec;
    chain.spec.fn = oai_chain_run;
    return oa_go_spec(&chain.spec);
}
