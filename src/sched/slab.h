// SPDX-License-Identifier: BSD-2-Clause
// slab.h - the memory of tasks: type-stable until the coordinator ends.
//
// Owns:    slabs of 256 KiB, aligned to their size, that hold tasks and nothing else.
// Callers: a cache belongs to one worker; the pool takes care of itself.
// Design:  a worker takes and frees tasks in its own cache, last in first out; whole magazines go
//          to and come from the slabs they belong to, so that a slab knows when all of it is free
//          and its pages can be given back. Memory once used for a task is never used for anything
//          else: a late look through a stale handle, timer or cancel finds a task, and the number
//          in it tells that it is another one. The numbers go on after pages were given back.
#ifndef OAI_SCHED_SLAB_H
#define OAI_SCHED_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/list.h"
#include "base/lock.h"
#include "oasync/task.h"

typedef struct oai_task oai_task_t;

enum { OAI_SLAB_SIZE = 256 * 1024, OAI_TASK_CACHE = 2048 };

typedef struct oai_slab {
    // Constant after the slab was made.
    oa_coord_t *coord;
    struct oai_slab *next; // all slabs of the pool, the latest first
    void *map_base;        // the mapping that begins with this slab, or NULL
    size_t map_size;
    void *notes;             // of its tasks, in a simulation (note.h); freed with the slab
    _Atomic uint32_t carved; // slots that were ever used since the pages were last fresh; written
                             //   under the pool's lock, read by whoever sweeps all tasks
    // Under the pool's lock.
    oai_link_t link;     // in `partial` or `empty`, when something is free here
    oai_task_t *free;    // linked by `next`
    uint32_t free_count; // of `free`
    uint32_t ticket;     // no smaller ticket is given to a task here from now on
    uint64_t word;       // and no smaller wait word
    bool listed, clean;  // in `partial` or `empty`; no page but the first is in use
} oai_slab_t;

typedef struct oai_task_pool {
    oai_lock_t lock;
    oa_coord_t *coord;
    oai_list_t partial, empty; // slabs with something free; slabs wholly free
    size_t empty_count;
    _Atomic size_t dirty;        // slabs wholly free that hold pages; written under the lock
    size_t next_map;             // how many slabs the next mapping will have
    _Atomic(oai_slab_t *) slabs; // all of them; grows only
} oai_task_pool_t;

typedef struct oai_task_cache {
    oai_task_pool_t *pool;
    oai_task_t *free; // linked by `next`
    size_t room;      // how many more are kept
} oai_task_cache_t;

void oai_task_pool_init(oai_task_pool_t *pool, oa_coord_t *coord);
void oai_task_pool_destroy(oai_task_pool_t *pool);

void oai_task_cache_init(oai_task_cache_t *cache, oai_task_pool_t *pool);

// Worker: a task's memory with its ticket and wait word, or NULL when there is none; gives it back.
// Both have their fast halves in hot.h, and these are the cold ones: the cache is empty, or full.
oai_task_t *oai_task_take_slow(oai_task_cache_t *cache);
void oai_task_give_slow(oai_task_cache_t *cache, oai_task_t *task);

// Worker: keeps `keep` tasks at most.
void oai_task_cache_shrink(oai_task_cache_t *cache, size_t keep);

// Any thread.
oai_task_t *oai_task_pool_take(oai_task_pool_t *pool);
void oai_task_pool_give(oai_task_pool_t *pool, oai_task_t *task);

// Any thread: gives the pages of one free slab back, as long as there are more than a few of them.
// True when more is left to do.
bool oai_task_pool_trim(oai_task_pool_t *pool);

static inline oai_slab_t *oai_slab_of(const oai_task_t *task)
{
    return (oai_slab_t *)((uintptr_t)task & ~(uintptr_t)(OAI_SLAB_SIZE - 1));
}

// Slot `index` of a slab, below `carved`; which one a task is; how many a slab has.
oai_task_t *oai_slab_slot(oai_slab_t *slab, uint32_t index);
uint32_t oai_slab_index(const oai_task_t *task);
uint32_t oai_slab_slots(void);

#endif
