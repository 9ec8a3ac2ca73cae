// SPDX-License-Identifier: BSD-2-Clause
// stack.c - size classes, and a worker's cache of stacks.
//
// Owns:    the caches' contents; what is in no cache and not in use belongs to the pool
//          (stack_pool.c).
// Callers: the worker that owns the cache; the classes and statistics, anybody.
// Design:  last in, first out, without a system call or a shared write on the way. An empty cache
//          takes a batch from the pool, twice as many each time; a full one gives its cold half.
//          A recycled stack is as its last user left it: the owner of secrets wipes them himself.
#include "fiber/stack.h"

#include <string.h>

#include "fiber/stack_pool.h"

enum {
    SMALLEST_SHIFT = 16,   // 64 KiB
    DEFAULT_SHIFT = 18,    // 256 KiB
    OTHER_BYTES = 4 << 20, // what a cache keeps of each other class, about
    LINE = 64,             // the header fills one
    COLOURS = 8,           // tops differ by up to 7 lines, or all parked stacks
                           // would share a few sets of the first-level cache
};

_Static_assert(sizeof(oai_stack_t) <= LINE, "the header is one cache line");

// ---- size classes ----

static unsigned class_shift(unsigned cls)
{
    return cls == 0 ? SMALLEST_SHIFT : DEFAULT_SHIFT + cls - 1;
}

size_t oai_stack_class_size(unsigned cls)
{
    return (size_t)1 << class_shift(cls);
}

size_t oai_stack_class_guard(unsigned cls)
{
    return cls == 0 ? 16 << 10 : 64 << 10;
}

// A page for the header and the colouring above the stack.
size_t oai_stack_class_usable(unsigned cls)
{
    return oai_stack_class_size(cls) - oai_stack_class_guard(cls) - 4096;
}

bool oai_stack_size_ok(size_t bytes)
{
    enum { LEAST = 4096 }; // who asks for less has counted something else than bytes
    return bytes >= LEAST && bytes <= oai_stack_class_usable(OAI_STACK_CLASSES - 1);
}

unsigned oai_stack_class(size_t bytes)
{
    // With pages of 64 KiB the guard would fill the smallest class.
    unsigned cls = oai_os_page_size() > oai_stack_class_guard(0) ? 1 : 0;
    while (oai_stack_class_usable(cls) < bytes)
        cls++;
    return cls;
}

// ---- headers ----

// Writes the header of a slot that nobody else knows of.
static oai_stack_t *make_header(const oai_stack_slot_t *slot)
{
    const struct oai_stack_chunk *chunk = slot->chunk;
    size_t size = oai_stack_class_size(chunk->cls);
    char *base = oai_stack_slot_base(chunk, slot->index);
    unsigned colour = slot->index % COLOURS;
    oai_stack_t *stack = (oai_stack_t *)(base + size - (size_t)LINE * (colour + 1));
    *stack = (oai_stack_t){
        .low = base + oai_stack_class_guard(chunk->cls),
        .top = (char *)stack,
        .chunk = slot->chunk,
        .index = slot->index,
        .cls = chunk->cls,
        .guard = chunk->guards[slot->index],
        .colour = (uint16_t)colour,
    };
    return stack;
}

// Under ASan, frames that were left without a return are still poisoned. Under TSan the accesses of
// the last user are still remembered, and would be called races with the next one's.
oai_stack_t *oai_stack_renew(oai_stack_cache_t *cache, oai_stack_t *stack)
{
    (void)cache;
#if OAI_ASAN
    __asan_unpoison_memory_region(stack->low, (size_t)(stack->top - stack->low));
#endif
#if OAI_TSAN
    oai_stack_slot_t slot = {.chunk = stack->chunk, .index = stack->index};
    char *end = oai_stack_slot_base(slot.chunk, slot.index) + oai_stack_class_size(stack->cls);
    if (oai_os.refresh(stack->low, (size_t)(end - stack->low)) != 0) {
        oai_stack_put(cache, stack);
        return NULL;
    }
    stack = make_header(&slot);
    oai_sync_release(stack); // to oai_stack_pool_give(), by whichever worker its task ends on
#endif
    return stack;
}

static oai_stack_t *first_use(oai_stack_cache_t *cache, const oai_stack_slot_t *slot)
{
    oai_stack_t *stack = make_header(slot);
#if OAI_ASAN || OAI_TSAN
    if (!slot->fresh)
        stack = oai_stack_renew(cache, stack);
#endif
    (void)cache;
    return stack;
}

// ---- the shelves of a cache ----

// The part of a cache that holds one class.
typedef struct {
    _Atomic uint32_t *count;
    oai_stack_t **hot;
    uint32_t capacity;
} shelf_t;

static shelf_t shelf_of(oai_stack_cache_t *cache, unsigned cls)
{
    if (cls == cache->pool->default_class)
        return (shelf_t){&cache->count, cache->hot, OAI_STACK_HOT};
    size_t capacity = OTHER_BYTES / oai_stack_class_size(cls);
    capacity = capacity > OAI_STACK_HOT_OTHER ? OAI_STACK_HOT_OTHER : capacity < 1 ? 1 : capacity;
    return (shelf_t){&cache->other[cls].count, cache->other[cls].hot, (uint32_t)capacity};
}

static uint32_t shelf_count(const shelf_t *shelf)
{
    return atomic_load_explicit(shelf->count, memory_order_relaxed);
}

static void set_count(const shelf_t *shelf, uint32_t count)
{
    atomic_store_explicit(shelf->count, count, memory_order_relaxed);
}

// Gives the n coldest to the pool.
static void spill(oai_stack_cache_t *cache, const shelf_t *shelf, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        oai_prefetch(shelf->hot[i]); // their headers are read under the lock
    oai_stack_pool_give(cache->pool, shelf->hot, n);
    uint32_t left = shelf_count(shelf) - n;
    memmove(shelf->hot, shelf->hot + n, left * sizeof *shelf->hot);
    set_count(shelf, left);
}

oai_stack_t *oai_stack_get_slow(oai_stack_cache_t *cache, unsigned cls)
{
    shelf_t shelf = shelf_of(cache, cls);
    uint32_t count = shelf_count(&shelf);
    if (count != 0) {
        set_count(&shelf, count - 1);
        oai_stack_t *stack = shelf.hot[count - 1];
#if OAI_ASAN || OAI_TSAN
        stack = oai_stack_renew(cache, stack);
#endif
        return stack;
    }
    bool usual = cls == cache->pool->default_class;
    uint32_t want = usual ? cache->refill : 1;
    uint32_t got = oai_stack_pool_take(cache, cls, want);
    if (got == 0)
        return NULL;
    if (usual && cache->refill < OAI_STACK_REFILL)
        cache->refill *= 2;
    // The warmest is last; it goes to the caller.
    for (uint32_t i = 0; i + 1 < got; i++)
        shelf.hot[i] = make_header(&cache->slots[i]);
    set_count(&shelf, got - 1);
    return first_use(cache, &cache->slots[got - 1]);
}

void oai_stack_put_slow(oai_stack_cache_t *cache, oai_stack_t *stack)
{
    shelf_t shelf = shelf_of(cache, stack->cls);
    uint32_t count = shelf_count(&shelf);
    if (count == shelf.capacity) {
        spill(cache, &shelf, (shelf.capacity + 1) / 2);
        count = shelf_count(&shelf);
    }
    shelf.hot[count] = stack;
    set_count(&shelf, count + 1);
}

void oai_stack_cache_flush(oai_stack_cache_t *cache)
{
    for (unsigned cls = 0; cls < OAI_STACK_CLASSES; cls++) {
        shelf_t shelf = shelf_of(cache, cls);
        if (shelf_count(&shelf) != 0)
            spill(cache, &shelf, shelf_count(&shelf));
    }
    cache->refill = 1;
}

// ---- life of a cache, statistics ----

void oai_stack_cache_init(oai_stack_cache_t *cache, oai_stack_pool_t *pool)
{
    memset(cache, 0, sizeof *cache);
    cache->pool = pool;
    cache->refill = 1;
    oai_lock(&pool->lock);
    cache->next = pool->caches;
    cache->link = &pool->caches;
    if (cache->next != NULL)
        cache->next->link = &cache->next;
    pool->caches = cache;
    oai_unlock(&pool->lock);
}

void oai_stack_cache_close(oai_stack_cache_t *cache)
{
    oai_stack_cache_flush(cache);
    oai_lock(&cache->pool->lock);
    *cache->link = cache->next;
    if (cache->next != NULL)
        cache->next->link = cache->link;
    oai_unlock(&cache->pool->lock);
}

// Stacks in one cache. Its owner may be at work: the sum is near, not exact.
static size_t cached(const oai_stack_cache_t *cache)
{
    size_t sum = atomic_load_explicit(&cache->count, memory_order_relaxed);
    for (unsigned cls = 0; cls < OAI_STACK_CLASSES; cls++)
        sum += atomic_load_explicit(&cache->other[cls].count, memory_order_relaxed);
    return sum;
}

void oai_stack_pool_stats(oai_stack_pool_t *pool, oai_stack_stats_t *out)
{
    size_t idle = 0;
    oai_lock(&pool->lock);
    for (const oai_stack_cache_t *cache = pool->caches; cache != NULL; cache = cache->next)
        idle += cached(cache);
    *out = (oai_stack_stats_t){
        .in_use = pool->out > idle ? pool->out - idle : 0,
        .peak = pool->peak,
        .chunks = pool->chunks,
        .mapped = pool->mapped,
        .protects = pool->protects,
        .guard = pool->guard_install ? OAI_GUARD_INSTALL
                 : pool->canary_used ? OAI_GUARD_CANARY
                                     : OAI_GUARD_PROTECT,
        .canary_used = pool->canary_used,
    };
    oai_unlock(&pool->lock);
}
