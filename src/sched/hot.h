// SPDX-License-Identifier: BSD-2-Clause
// hot.h - what of a task's making and end is compiled into oa_go and into the loop.
//
// Owns:    nothing. Callers: the files of src/sched/ in which a task is made or ended.
// Design:  a function saves registers for every other that it calls and comes back from, however
//          seldom: that was half of what an empty task took. So the common case is looked for
//          first, and calls nothing; the rest is left to a function that is called last.
#ifndef OAI_SCHED_HOT_H
#define OAI_SCHED_HOT_H

#include "sched/internal.h"

// ---- Memory -------------------------------------------------------------------------------------

// Precondition: cache->free.
static inline oai_task_t *oai_task_take_cached(oai_task_cache_t *cache)
{
    oai_task_t *task = cache->free;
    cache->free = task->next;
    cache->room++;
    oai_sync_acquire(task);
    return task;
}

static inline oai_task_t *oai_task_take(oai_task_cache_t *cache)
{
    return OAI_LIKELY(cache->free) ? oai_task_take_cached(cache) : oai_task_take_slow(cache);
}

// Precondition: cache->room != 0.
static inline void oai_task_give_room(oai_task_cache_t *cache, oai_task_t *task)
{
    oai_sync_release(task);
    task->next = cache->free;
    cache->free = task;
    cache->room--;
}

static inline void oai_task_give(oai_task_cache_t *cache, oai_task_t *task)
{
    if (OAI_LIKELY(cache->room != 0))
        oai_task_give_room(cache, task);
    else
        oai_task_give_slow(cache, task);
}

// ---- Handles ------------------------------------------------------------------------------------

enum { OAI_ADDRESS_SHIFT = OAI_GENERATION_BITS - OAI_TASK_ALIGN_SHIFT };

static inline oa_task_t *oai_handle_make(oai_task_t *task, uint32_t ticket)
{
    return (oa_task_t *)((uintptr_t)task << OAI_ADDRESS_SHIFT | ticket >> OAI_TICKET_SHIFT);
}

// Of a task that was made with .task and cannot have ended.
static inline oa_task_t *oai_task_handle(oai_task_t *task)
{
    return oai_handle_make(task, atomic_load_explicit(&task->ticket, memory_order_relaxed));
}

// A new task is to be joined or detached.
static inline void oai_task_make_joinable(oai_task_t *task)
{
    // Relaxed: a slot that is free is nobody else's.
    uint32_t ticket = atomic_load_explicit(&task->ticket, memory_order_relaxed);
    // Release: pairs with the acquire of who looks by an old handle (task.c).
    atomic_store_explicit(&task->ticket, ticket | OAI_TICKET_JOINABLE, memory_order_release);
}

// ---- Made ---------------------------------------------------------------------------------------

// Whether the worker has an id at hand.
static inline bool oai_worker_has_id(const oai_worker_t *worker)
{
    return worker->id_next != worker->id_end;
}

// What every task begins with, but for its argument.
static inline void oai_task_fill(oai_task_t *task, uint64_t id, oa_fn *fn, const char *where,
                                 oa_group_t *group, uint32_t flags)
{
    task->fresh.fn = fn;
    task->stack = NULL;
    task->id = id;
    task->where = where;
    task->group = group;
    task->joiner = NULL;
    // Relaxed: a slot that is free is nobody else's, and the queue publishes the task. Its ticket
    // is that of no handle yet.
    atomic_store_explicit(&task->flags, flags, memory_order_relaxed);
}

static inline void oai_worker_count_spawned(oai_worker_t *worker)
{
    uint64_t spawned = atomic_load_explicit(&worker->spawned, memory_order_relaxed);
    // Relaxed: published by the queue to who runs the task, and by the end of either to who counts.
    atomic_store_explicit(&worker->spawned, spawned + 1, memory_order_relaxed);
}

// Whether the coordinator begins tasks no more.
static inline bool oai_coord_refuses(const oa_coord_t *coord)
{
    // Relaxed: who spawns in the same instant is cancelled anyway.
    return atomic_load_explicit(&coord->state, memory_order_relaxed) == OAI_CANCELLING;
}

// ---- Ended --------------------------------------------------------------------------------------

static inline void oai_worker_count_ended(oai_worker_t *worker)
{
    uint64_t ended = atomic_load_explicit(&worker->ended, memory_order_relaxed);
    // Release: pairs with the acquire in oai_coord_try_end(): who counts this end also counts
    // what the task has spawned.
    atomic_store_explicit(&worker->ended, ended + 1, memory_order_release);
}

// A task with any of these needs more than oai_task_end_bare().
enum {
    OAI_TASK_MORE_AT_END =
        OAI_TASK_CALL | OAI_TASK_GROUPED | OAI_TASK_GATED | OAI_TASK_NAMED | OAI_TASK_EXTRA,
};

// oai_task_end() of a task that nobody knows and that owns nothing.
static inline void oai_task_end_bare(oai_task_t *task, oai_worker_t *worker)
{
    oai_sync_release(worker->coord);
    oai_task_give(&worker->tasks, task);
    oai_worker_count_ended(worker);
}

#endif
