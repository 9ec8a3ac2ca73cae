// SPDX-License-Identifier: BSD-2-Clause
// stub_coord.c - see stub_coord.h.
#include "stub_coord.h"

#include <stdlib.h>

#include "model.h"
#include "sched/sched.h"

int stub_unmapped;

static oai_worker_t *self[STUB_THREADS]; // who each model thread is; each its own

static _Alignas(OAI_SLAB_SIZE) char slab_memory[16384];
static _Alignas(64) char coord_memory[64 << 10];

// ---- Who am I -----------------------------------------------------------------------------------

oai_worker_t *oai_self(void)
{
    return self[model_self()];
}

void oai_self_set(oai_worker_t *worker)
{
    self[model_self()] = worker;
}

oai_seat_t *oai_seat_here(void)
{
    static oai_seat_t plain[STUB_THREADS]; // no task is hosted here
    return &plain[model_self()];
}

// ---- No blocking pool ---------------------------------------------------------------------------

void oai_pool_init(oai_pool_t *pool, int most)
{
    (void)pool;
    (void)most;
}

int oai_pool_start(oa_coord_t *coord, oai_task_t *task)
{
    (void)coord;
    (void)task;
    model_fail("stub_coord.c: no pool here");
    return 0;
}

void oai_pool_host(oa_coord_t *coord, oai_task_t *task)
{
    oai_pool_start(coord, task);
}

bool oai_pool_withdraw(oai_pool_t *pool, oai_task_t *task)
{
    (void)pool;
    (void)task;
    return false;
}

oai_task_t *oai_pool_withdraw_all(oai_pool_t *pool)
{
    (void)pool;
    return NULL;
}

void oai_pool_close(oai_pool_t *pool)
{
    (void)pool;
}

void oai_pool_join(oai_pool_t *pool)
{
    (void)pool;
}

// ---- The system ---------------------------------------------------------------------------------

// Behind the engine's back: nobody else knows the memory yet.
static __attribute__((no_sanitize("thread"))) int map(void **out, size_t size)
{
    if (size > sizeof coord_memory)
        model_fail("stub_coord.c: a coordinator of %zu bytes", size);
    __builtin_memset(coord_memory, 0, size);
    *out = coord_memory;
    return 0;
}

// What is worth watching: all but the rings of the timers and the caches of stacks.
static int unmap(void *base, size_t size)
{
    oa_coord_t *coord = base;
    (void)size;
    stub_unmapped++;
    for (int i = 0; i < coord->workers; i++) {
        model_dead(&coord->worker[i], offsetof(oai_worker_t, stacks));
        model_dead(&coord->worker[i].sleeper, sizeof coord->worker[i].sleeper);
        model_dead(&coord->shards[i], offsetof(oai_timers_t, due));
    }
    model_dead(coord, sizeof *coord);
    return 0;
}

size_t oai_os_page_size(void)
{
    return 4096;
}

// ---- Nobody runs over a stack -------------------------------------------------------------------

bool oai_overflow_tell(oai_span_t touched)
{
    (void)touched;
    return false;
}

int oai_os_fault_catch(oai_os_fault_fn *fatal)
{
    (void)fatal;
    return 0;
}

void oai_os_fault_release(void)
{
}

int oai_os_signal_stack_make(oai_span_t *out)
{
    (void)out;
    return 0;
}

void oai_os_signal_stack_free(oai_span_t *stack)
{
    (void)stack;
}

void oai_os_signal_stack_enter(const oai_span_t *stack)
{
    (void)stack;
}

void oai_os_signal_stack_leave(const oai_span_t *stack)
{
    (void)stack;
}

int oai_os_cpu_count(void)
{
    return 2;
}

REPLACEABLE void oai_log(oa_coord_t *coord, int level, const char *format, ...)
{
    (void)coord;
    (void)level;
    (void)format;
}

// ---- Tasks, as in slab.c ------------------------------------------------------------------------

static oai_slab_t *slab(void)
{
    return (oai_slab_t *)(void *)slab_memory;
}

oai_task_t *stub_slot(int index)
{
    size_t first = (sizeof(oai_slab_t) + 127) / 128 * 128;
    return (oai_task_t *)(void *)(slab_memory + first + (size_t)index * sizeof(oai_task_t));
}

int stub_index(const oai_task_t *task)
{
    return (int)(task - stub_slot(0));
}

oai_task_t *oai_slab_slot(oai_slab_t *of, uint32_t index)
{
    model_assert(of == slab());
    return stub_slot((int)index);
}

int stub_carved(void)
{
    return (int)atomic_load_explicit(&slab()->carved, memory_order_relaxed);
}

void oai_task_pool_init(oai_task_pool_t *pool, oa_coord_t *coord)
{
    pool->coord = coord;
    slab()->coord = coord;
    atomic_init(&pool->slabs, slab());
}

void oai_task_pool_destroy(oai_task_pool_t *pool)
{
    (void)pool;
    model_dead(slab_memory, sizeof slab_memory);
}

oai_task_t *oai_task_pool_take(oai_task_pool_t *pool)
{
    oai_lock(&pool->lock);
    uint32_t carved = atomic_load_explicit(&slab()->carved, memory_order_relaxed);
    model_assert(carved < STUB_TASKS);
    oai_task_t *task = stub_slot((int)carved);
    atomic_store_explicit(&task->ticket, 1u << OAI_TICKET_SHIFT, memory_order_relaxed);
    atomic_store_explicit(&task->word, 0, memory_order_relaxed);
    atomic_store_explicit(&slab()->carved, carved + 1, memory_order_release);
    oai_unlock(&pool->lock);
    return task;
}

void oai_task_cache_init(oai_task_cache_t *cache, oai_task_pool_t *pool)
{
    *cache = (oai_task_cache_t){.pool = pool}; // empty and full: each call comes to those below
}

oai_task_t *oai_task_take_slow(oai_task_cache_t *cache)
{
    return oai_task_pool_take(cache->pool);
}

void oai_task_pool_give(oai_task_pool_t *pool, oai_task_t *task)
{
    (void)pool;
    (void)task;
}

void oai_task_give_slow(oai_task_cache_t *cache, oai_task_t *task)
{
    (void)cache;
    (void)task;
}

void oai_task_cache_shrink(oai_task_cache_t *cache, size_t keep)
{
    (void)cache;
    (void)keep;
}

bool oai_task_pool_trim(oai_task_pool_t *pool)
{
    (void)pool;
    return false;
}

// ---- Stacks: there are none ---------------------------------------------------------------------

int oai_stack_pool_init(oai_stack_pool_t *pool, size_t size)
{
    (void)pool;
    (void)size;
    return 0;
}

void oai_stack_pool_destroy(oai_stack_pool_t *pool)
{
    (void)pool;
}

void oai_stack_cache_init(oai_stack_cache_t *cache, oai_stack_pool_t *pool)
{
    (void)cache;
    (void)pool;
}

void oai_stack_cache_close(oai_stack_cache_t *cache)
{
    (void)cache;
}

void oai_stack_pool_stats(oai_stack_pool_t *pool, oai_stack_stats_t *out)
{
    (void)pool;
    *out = (oai_stack_stats_t){0};
}

unsigned oai_stack_class(size_t bytes)
{
    (void)bytes;
    return 0;
}

bool oai_stack_size_ok(size_t bytes)
{
    (void)bytes;
    return true;
}

// ---- Timers: none is ever due -------------------------------------------------------------------

REPLACEABLE void oai_timers_init(oai_timers_t *shard, int64_t now)
{
    shard->elapsed = (uint64_t)now;
    atomic_init(&shard->next, INT64_MAX);
}

REPLACEABLE oai_task_t *oai_timers_close(oai_timers_t *shard)
{
    (void)shard;
    return NULL;
}

REPLACEABLE int oai_timers_delay(oai_timers_t *shard, unsigned index, oai_task_t *task,
                                 int64_t expiry, bool *earlier)
{
    (void)shard, (void)index, (void)task, (void)expiry, (void)earlier;
    abort();
}

REPLACEABLE bool oai_timers_undelay(oai_timers_t *shard, oai_task_t *task)
{
    (void)shard, (void)task;
    abort();
}

REPLACEABLE bool oai_timers_insert(oai_timers_t *shard, oai_deadline_t *deadline, int64_t expiry)
{
    (void)shard, (void)deadline, (void)expiry;
    abort();
}

REPLACEABLE void oai_timers_remove(oai_timers_t *shard, oai_deadline_t *deadline)
{
    (void)shard, (void)deadline;
    abort();
}

// ---- Groups: there are none ---------------------------------------------------------------------

REPLACEABLE int oai_group_enter(oa_group_t *group, oai_link_t *member)
{
    (void)group, (void)member;
    abort();
}

REPLACEABLE void oai_group_leave(oa_group_t *group, oai_link_t *member)
{
    (void)group, (void)member;
    abort();
}

// ---- Before each execution ----------------------------------------------------------------------

void stub_reset(void)
{
    static struct oai_os as_made;
    if (!as_made.now)
        as_made = oai_os;
    oai_os = as_made; // a model may have replaced entries
    stub_unmapped = 0;
    for (int i = 0; i < STUB_THREADS; i++)
        self[i] = NULL;
    atomic_init(&slab()->carved, 0);
    slab()->next = NULL;
    for (int i = 0; i < STUB_TASKS; i++) {
        oai_task_t *task = stub_slot(i);
        atomic_init(&task->flags, 0);
        atomic_init(&task->word, 0);
    }
    oai_os.map = map;
    oai_os.unmap = unmap;
    oa_coord_t *coord = (oa_coord_t *)(void *)coord_memory;
    model_name(&slab()->carved, "carved");
    model_name(&coord->inject.lock, "inject.lock");
    model_name(&coord->inject.length, "inject.length");
    model_name(&coord->idle.lock, "idle.lock");
    model_name(&coord->idle.wanted, "wanted");
    model_name(&coord->idle.wanted_soon, "wanted_soon");
    model_name(&coord->state, "state");
    model_name(&coord->ended, "ended");
    model_name(coord, "coord");
    model_name(stub_slot(0), "task 0");
    model_name(stub_slot(1), "task 1");
    model_name(stub_slot(2), "task 2");
    model_name(stub_slot(3), "task 3");
}

oai_sim_t *oai_sim_create(uint64_t seed)
{
    (void)seed;
    return NULL; // no model asks for a simulation
}
