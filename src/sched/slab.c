// SPDX-License-Identifier: BSD-2-Clause
// slab.c - type-stable memory for tasks (see slab.h).
#include "sched/slab.h"

#include "sched/hot.h"
#include "sched/internal.h"

enum {
    MAGAZINE = 128,   // tasks that move between cache and pool at once
    KEEP_EMPTY = 8,   // wholly free slabs that keep their pages
    FIRST_MAP = 4,    // slabs in the first mapping
    MOST_MAP = 256,   // and in the largest
    FIRST_PAGE = 4096 // of a slab: stays when its other pages are given back
};

// Pages given back read as zero, and no handle has generation 0.
static const uint32_t FIRST_TICKET = 1u << OAI_TICKET_SHIFT;

// Slots are aligned so that a handle can name them.
#define SLOT_SIZE ((sizeof(oai_task_t) + 127) / 128 * 128)
#define FIRST_SLOT ((sizeof(oai_slab_t) + 127) / 128 * 128)

static const uint32_t slots = (OAI_SLAB_SIZE - FIRST_SLOT) / SLOT_SIZE;

oai_task_t *oai_slab_slot(oai_slab_t *slab, uint32_t index)
{
    return (oai_task_t *)(void *)((char *)slab + FIRST_SLOT + index * SLOT_SIZE);
}

uint32_t oai_slab_index(const oai_task_t *task)
{
    size_t offset = (uintptr_t)task - (uintptr_t)oai_slab_of(task) - FIRST_SLOT;
    return (uint32_t)(offset / SLOT_SIZE);
}

uint32_t oai_slab_slots(void)
{
    return slots;
}

void oai_task_pool_init(oai_task_pool_t *pool, oa_coord_t *coord)
{
    *pool = (oai_task_pool_t){.coord = coord, .next_map = FIRST_MAP};
    atomic_init(&pool->slabs, NULL);
}

void oai_task_pool_destroy(oai_task_pool_t *pool)
{
    // Relaxed: nobody else is left.
    oai_slab_t *slab = atomic_load_explicit(&pool->slabs, memory_order_relaxed);
    while (slab) {
        oai_slab_t *next = slab->next;
        oai_os.free(slab->notes);
        // The slab that begins a mapping is the last of it in the chain.
        if (slab->map_base)
            oai_os.unmap(slab->map_base, slab->map_size);
        slab = next;
    }
}

// ---- Under the pool's lock ----------------------------------------------------------------------

// Maps more slabs. False: no memory.
static bool grow(oai_task_pool_t *pool)
{
    size_t count = pool->next_map;
    size_t size = (count + 1) * OAI_SLAB_SIZE; // one more, for the alignment
    void *base;
    while (oai_os.map(&base, size) != 0) {
        if (count == 1)
            return false;
        count /= 2;
        size = (count + 1) * OAI_SLAB_SIZE;
    }
    pool->next_map = count * 2 > MOST_MAP ? MOST_MAP : count * 2;
    char *first = (char *)(((uintptr_t)base + OAI_SLAB_SIZE - 1) & ~(uintptr_t)(OAI_SLAB_SIZE - 1));
    for (size_t i = 0; i < count; i++) {
        oai_slab_t *slab = (oai_slab_t *)(void *)(first + i * OAI_SLAB_SIZE);
        *slab = (oai_slab_t){
            .coord = pool->coord, .listed = true, .clean = true, .ticket = FIRST_TICKET};
        if (i == 0) {
            slab->map_base = base;
            slab->map_size = size;
        }
        oai_sync_release(slab);
        slab->next = atomic_load_explicit(&pool->slabs, memory_order_relaxed);
        // Release: pairs with the acquire of whoever walks all tasks.
        atomic_store_explicit(&pool->slabs, slab, memory_order_release);
        oai_list_append(&pool->empty, &slab->link);
        pool->empty_count++;
    }
    return true;
}

static void count_dirty(oai_task_pool_t *pool, int change)
{
    size_t dirty = atomic_load_explicit(&pool->dirty, memory_order_relaxed);
    atomic_store_explicit(&pool->dirty, dirty + (size_t)change, memory_order_relaxed);
}

// A slab with something free: a partly used one, else one wholly free, the used-before first.
static oai_slab_t *usable_slab(oai_task_pool_t *pool)
{
    if (oai_list_empty(&pool->partial)) {
        if (oai_list_empty(&pool->empty) && !grow(pool))
            return NULL;
        oai_slab_t *slab = oai_container(pool->empty.head, oai_slab_t, link);
        oai_list_remove(&pool->empty, &slab->link);
        pool->empty_count--;
        if (!slab->clean)
            count_dirty(pool, -1);
        slab->clean = false;
        oai_list_append(&pool->partial, &slab->link);
    }
    return oai_container(pool->partial.head, oai_slab_t, link);
}

// Takes one task out of a slab that has something free.
static oai_task_t *take_slot(oai_task_pool_t *pool, oai_slab_t *slab)
{
    oai_task_t *task = slab->free;
    uint32_t carved = atomic_load_explicit(&slab->carved, memory_order_relaxed);
    if (task) {
        slab->free = task->next;
        slab->free_count--;
    } else {
        task = oai_slab_slot(slab, carved++);
        oai_sync_acquire(slab); // its mapping
        // Release: for who looks at the ticket by a stale handle (task.c). Relaxed: a sweep
        // compares numbers.
        atomic_store_explicit(&task->ticket, slab->ticket, memory_order_release);
        atomic_store_explicit(&task->word, slab->word, memory_order_relaxed);
        // Release: pairs with the acquire of whoever walks all tasks.
        atomic_store_explicit(&slab->carved, carved, memory_order_release);
    }
    if (!slab->free && carved == slots) {
        oai_list_remove(&pool->partial, &slab->link);
        slab->listed = false;
    }
    return task;
}

// Puts a task back into the slab it belongs to.
static void give_slot(oai_task_pool_t *pool, oai_task_t *task)
{
    oai_slab_t *slab = oai_slab_of(task);
    uint32_t ticket = atomic_load_explicit(&task->ticket, memory_order_relaxed);
    uint64_t word = atomic_load_explicit(&task->word, memory_order_relaxed);
    if (ticket > slab->ticket)
        slab->ticket = ticket;
    if (word > slab->word)
        slab->word = word;
    task->next = slab->free;
    slab->free = task;
    slab->free_count++;
    OAI_ASSERT(slab->free_count <= atomic_load_explicit(&slab->carved, memory_order_relaxed));
    if (!slab->listed) {
        oai_list_prepend(&pool->partial, &slab->link);
        slab->listed = true;
    }
    if (slab->free_count == atomic_load_explicit(&slab->carved, memory_order_relaxed)) {
        oai_list_remove(&pool->partial, &slab->link);
        oai_list_prepend(&pool->empty, &slab->link);
        pool->empty_count++;
        count_dirty(pool, 1);
    }
}

// ---- Pool and cache -----------------------------------------------------------------------------

oai_task_t *oai_task_pool_take(oai_task_pool_t *pool)
{
    oai_lock(&pool->lock);
    oai_slab_t *slab = usable_slab(pool);
    oai_task_t *task = slab ? take_slot(pool, slab) : NULL;
    oai_unlock(&pool->lock);
    if (task)
        oai_sync_acquire(task);
    return task;
}

void oai_task_pool_give(oai_task_pool_t *pool, oai_task_t *task)
{
    oai_sync_release(task);
    oai_lock(&pool->lock);
    give_slot(pool, task);
    oai_unlock(&pool->lock);
}

void oai_task_cache_init(oai_task_cache_t *cache, oai_task_pool_t *pool)
{
    *cache = (oai_task_cache_t){.pool = pool, .room = OAI_TASK_CACHE};
}

oai_task_t *oai_task_take_slow(oai_task_cache_t *cache)
{
    oai_task_pool_t *pool = cache->pool;
    oai_lock(&pool->lock);
    for (int i = 0; i < MAGAZINE; i++) {
        oai_slab_t *slab = usable_slab(pool);
        if (!slab)
            break;
        oai_task_t *task = take_slot(pool, slab);
        oai_sync_release(task);
        task->next = cache->free;
        cache->free = task;
        cache->room--;
    }
    oai_unlock(&pool->lock);
    return cache->free ? oai_task_take(cache) : NULL;
}

// Gives the tasks that were freed longest ago back to their slabs.
void oai_task_cache_shrink(oai_task_cache_t *cache, size_t keep)
{
    if (OAI_TASK_CACHE - cache->room <= keep)
        return;
    oai_task_t **end = &cache->free;
    for (size_t i = 0; i < keep; i++)
        end = &(*end)->next;
    oai_task_t *cold = *end;
    *end = NULL;
    cache->room = OAI_TASK_CACHE - keep;
    while (cold) {
        oai_lock(&cache->pool->lock);
        for (int i = 0; i < MAGAZINE && cold; i++) {
            oai_task_t *next = cold->next;
            give_slot(cache->pool, cold);
            cold = next;
        }
        oai_unlock(&cache->pool->lock);
    }
}

void oai_task_give_slow(oai_task_cache_t *cache, oai_task_t *task)
{
    oai_task_cache_shrink(cache, OAI_TASK_CACHE / 2);
    oai_task_give(cache, task);
}

bool oai_task_pool_trim(oai_task_pool_t *pool)
{
    // A hint: who frees more trims later.
    if (atomic_load_explicit(&pool->dirty, memory_order_relaxed) <= KEEP_EMPTY)
        return false;
    oai_lock(&pool->lock);
    oai_slab_t *slab = NULL;
    for (oai_link_t *link = pool->empty.head; link && !slab; link = link->next) {
        oai_slab_t *candidate = oai_container(link, oai_slab_t, link);
        if (!candidate->clean)
            slab = candidate;
    }
    if (slab) {
        // Under the lock: nobody may carve the slab while its pages go.
        slab->free = NULL;
        slab->free_count = 0;
        atomic_store_explicit(&slab->carved, 0, memory_order_relaxed);
        slab->clean = true;
        oai_list_remove(&pool->empty, &slab->link);
        oai_list_append(&pool->empty, &slab->link);
        count_dirty(pool, -1);
        oai_os.discard((char *)slab + FIRST_PAGE, OAI_SLAB_SIZE - FIRST_PAGE);
    }
    oai_unlock(&pool->lock);
    return slab && atomic_load_explicit(&pool->dirty, memory_order_relaxed) > KEEP_EMPTY;
}
