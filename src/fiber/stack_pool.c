// SPDX-License-Identifier: BSD-2-Clause
// stack_pool.c - the stacks that no worker holds, and their way back to the system.
//
// Owns:    every chunk of a coordinator and the free slots in them.
// Callers: stack.c for batches; trim by workers before they sleep; find by the SIGSEGV handler.
// Design:  a free slot is an index in its chunk's array, never a list through the stacks: a slot
//          whose pages were given back is not touched again before its next use. Slots are taken
//          warm first, from chunks partly in use first, so that chunks become wholly free and can
//          be unmapped with their page tables. System calls are made without the lock: what they
//          work on is out of everybody's reach by then (uncarved slots are reserved by `carved`,
//          slots being discarded by `held`, a chunk being unmapped is in no list).
#include "fiber/stack_pool.h"

#include <errno.h>
#include <string.h>

enum {
    CHUNK_LEAST = 64 << 20,
    CHUNK_MOST = 1 << 30, // one huge region would be refused by Valgrind and under overcommit 2
    CARVE_LEAST = 8,
    CARVE_MOST = 1024,
    DISCARD_BATCH = 64, // slots per call of trim
    DIRTY_BITS = 40,
};

typedef struct oai_stack_chunk chunk_t;

// ---- lists and counts, all under the lock ----

static void list_insert(chunk_t **home, chunk_t *chunk)
{
    chunk->home = home;
    chunk->home_prev = NULL;
    chunk->home_next = *home;
    if (*home != NULL)
        (*home)->home_prev = chunk;
    *home = chunk;
}

static void list_remove(chunk_t *chunk)
{
    if (chunk->home_prev != NULL)
        chunk->home_prev->home_next = chunk->home_next;
    else
        *chunk->home = chunk->home_next;
    if (chunk->home_next != NULL)
        chunk->home_next->home_prev = chunk->home_prev;
    chunk->home = NULL;
}

static void all_insert(oai_stack_shelf_t *shelf, chunk_t *chunk)
{
    chunk->prev = NULL;
    chunk->next = shelf->all;
    if (shelf->all != NULL)
        shelf->all->prev = chunk;
    shelf->all = chunk;
}

static void all_remove(oai_stack_shelf_t *shelf, chunk_t *chunk)
{
    if (chunk->prev != NULL)
        chunk->prev->next = chunk->next;
    else
        shelf->all = chunk->next;
    if (chunk->next != NULL)
        chunk->next->prev = chunk->prev;
}

static void uncarved_remove(oai_stack_shelf_t *shelf, chunk_t *chunk)
{
    for (chunk_t **link = &shelf->uncarved; *link != NULL; link = &(*link)->uncarved_next) {
        if (*link == chunk) {
            *link = chunk->uncarved_next;
            return;
        }
    }
}

// Puts the chunk into the list where its count belongs.
static void rehome(oai_stack_pool_t *pool, chunk_t *chunk)
{
    oai_stack_shelf_t *shelf = &pool->shelves[chunk->cls];
    chunk_t **home = chunk->count == 0               ? NULL
                     : chunk->count == chunk->carved ? &shelf->empty
                                                     : &shelf->partial;
    if (home == chunk->home)
        return;
    if (chunk->home == &shelf->empty)
        pool->empties--;
    if (chunk->home != NULL)
        list_remove(chunk);
    if (home != NULL)
        list_insert(home, chunk);
    if (home == &shelf->empty)
        pool->empties++;
}

// What trim's quick look sees. Relaxed: a late look trims a little later.
static void publish(oai_stack_pool_t *pool)
{
    uint64_t word = (uint64_t)pool->empties << DIRTY_BITS | pool->dirty;
    atomic_store_explicit(&pool->trimmable, word, memory_order_relaxed);
}

static void count_out(oai_stack_pool_t *pool, size_t n)
{
    pool->out += n;
    if (pool->out > pool->peak)
        pool->peak = pool->out;
}

// ---- taking ----

// Moves free slots of one chunk to `out`, the warmest last.
static uint32_t take_from(oai_stack_pool_t *pool, chunk_t *chunk, oai_stack_slot_t *out,
                          uint32_t want)
{
    uint32_t can = chunk->count - chunk->held;
    uint32_t n = can < want ? can : want;
    uint32_t rest = chunk->count - n;
    for (uint32_t i = 0; i < n; i++)
        out[i] = (oai_stack_slot_t){.chunk = chunk, .index = chunk->free[rest + i]};
    pool->dirty -= chunk->count - (chunk->clean > rest ? chunk->clean : rest);
    chunk->count = rest;
    if (chunk->clean > rest)
        chunk->clean = rest;
    rehome(pool, chunk);
    return n;
}

// Warm slots of all chunks before a clean one of any: else the same number of stacks in use would
// come to hold more and more pages, as long as no worker sleeps and trims.
static uint32_t take_warm(oai_stack_pool_t *pool, oai_stack_shelf_t *shelf, oai_stack_slot_t *out,
                          uint32_t want)
{
    uint32_t got = 0;
    chunk_t *lists[] = {shelf->partial, shelf->empty};
    for (size_t i = 0; i < 2 && pool->dirty != 0; i++) {
        for (chunk_t *chunk = lists[i], *next; chunk != NULL && got < want; chunk = next) {
            next = chunk->home_next; // taking moves the chunk to another list
            uint32_t cold = chunk->held > chunk->clean ? chunk->held : chunk->clean;
            uint32_t warm = chunk->count - cold;
            if (warm != 0)
                got += take_from(pool, chunk, out + got, warm < want - got ? warm : want - got);
        }
    }
    return got;
}

static uint32_t take_free(oai_stack_pool_t *pool, oai_stack_shelf_t *shelf, oai_stack_slot_t *out,
                          uint32_t want)
{
    uint32_t got = take_warm(pool, shelf, out, want);
    if (got != 0)
        return got;
    chunk_t *lists[] = {shelf->partial, shelf->empty};
    for (size_t i = 0; i < 2; i++) {
        for (chunk_t *chunk = lists[i]; chunk != NULL; chunk = chunk->home_next) {
            if (chunk->count > chunk->held) // others wait for a trim that is going on
                return take_from(pool, chunk, out, want);
        }
    }
    return 0;
}

// Sets some raw slots of a chunk apart for the caller to carve: [*first, *first + *n).
static chunk_t *reserve(oai_stack_pool_t *pool, oai_stack_shelf_t *shelf, uint32_t *first,
                        uint32_t *n)
{
    chunk_t *chunk = shelf->uncarved;
    if (chunk == NULL)
        return NULL;
    uint32_t batch = chunk->carved; // twice as many in all each time
    batch = batch < CARVE_LEAST ? CARVE_LEAST : batch > CARVE_MOST ? CARVE_MOST : batch;
    uint32_t left = chunk->slots - chunk->carved;
    *first = chunk->carved;
    *n = batch < left ? batch : left;
    chunk->carved += *n;
    if (chunk->carved == chunk->slots)
        shelf->uncarved = chunk->uncarved_next;
    rehome(pool, chunk);
    return chunk;
}

// A slot that was never used joins the clean ones; while some are held, the warm end must do.
static void add_fresh(oai_stack_pool_t *pool, chunk_t *chunk, uint32_t index)
{
    uint32_t at = chunk->count++;
    if (chunk->held == 0) {
        chunk->free[at] = chunk->free[chunk->clean];
        at = chunk->clean++;
    } else {
        pool->dirty++;
    }
    chunk->free[at] = (uint16_t)index;
}

// Guards slots [first, first + n): the caller gets the first ones, the others are free from now on.
static uint32_t carve(oai_stack_cache_t *cache, chunk_t *chunk, uint32_t first, uint32_t n,
                      uint32_t want)
{
    oai_stack_pool_t *pool = cache->pool;
    oai_stack_guarded_t guarded = oai_stack_chunk_guard(chunk, first, n, pool, cache->spans);
    uint32_t got = n < want ? n : want;
    for (uint32_t i = 0; i < got; i++)
        cache->slots[i] = (oai_stack_slot_t){.chunk = chunk, .index = first + i, .fresh = true};
    oai_lock(&pool->lock);
    for (uint32_t i = n; i > got; i--)
        add_fresh(pool, chunk, first + i - 1);
    rehome(pool, chunk);
    pool->protects += guarded.protects;
    pool->canary_used |= guarded.canary;
    count_out(pool, got);
    publish(pool);
    oai_unlock(&pool->lock);
    return got;
}

// Maps one more chunk. Two workers may both do so: neither is wasted.
static bool grow(oai_stack_pool_t *pool, unsigned cls, size_t bytes)
{
    chunk_t *chunk = oai_stack_chunk_new(cls, bytes);
    if (chunk == NULL)
        return false;
    oai_stack_shelf_t *shelf = &pool->shelves[cls];
    oai_lock(&pool->lock);
    all_insert(shelf, chunk);
    chunk->uncarved_next = shelf->uncarved;
    shelf->uncarved = chunk;
    shelf->next_chunk = chunk->size < bytes        ? chunk->size
                        : chunk->size < CHUNK_MOST ? 2 * chunk->size
                                                   : CHUNK_MOST;
    pool->chunks++;
    pool->mapped += chunk->size;
    oai_unlock(&pool->lock);
    return true;
}

uint32_t oai_stack_pool_take(oai_stack_cache_t *cache, unsigned cls, uint32_t want)
{
    oai_stack_pool_t *pool = cache->pool;
    oai_stack_shelf_t *shelf = &pool->shelves[cls];
    for (;;) {
        uint32_t first = 0, n = 0;
        chunk_t *raw = NULL;
        oai_lock(&pool->lock);
        uint32_t got = take_free(pool, shelf, cache->slots, want);
        if (got == 0)
            raw = reserve(pool, shelf, &first, &n);
        size_t least = oai_stack_class_size(cls);
        least = least < CHUNK_LEAST ? CHUNK_LEAST : least;
        size_t bytes = shelf->next_chunk != 0 ? shelf->next_chunk : least;
        count_out(pool, got);
        publish(pool);
        oai_unlock(&pool->lock);
        if (got != 0)
            return got;
        if (raw != NULL)
            return carve(cache, raw, first, n, want);
        if (!grow(pool, cls, bytes))
            return 0;
    }
}

// ---- giving back ----

void oai_stack_pool_give(oai_stack_pool_t *pool, oai_stack_t *const *stacks, uint32_t n)
{
    oai_lock(&pool->lock);
    for (uint32_t i = 0; i < n; i++) {
        oai_sync_acquire(stacks[i]);
        chunk_t *chunk = stacks[i]->chunk;
        chunk->free[chunk->count++] = (uint16_t)stacks[i]->index;
        rehome(pool, chunk);
    }
    pool->dirty += n;
    pool->out -= n;
    publish(pool);
    oai_unlock(&pool->lock);
}

// ---- trimming ----

// A chunk to unmap: a wholly free one that is not needed to keep `keep` warm slots, or, beside
// another free one, one whose page tables cost more than its few warm slots are worth.
static chunk_t *pick_empty(oai_stack_pool_t *pool, size_t keep)
{
    if (pool->empties == 0)
        return NULL;
    for (unsigned cls = 0; cls < OAI_STACK_CLASSES; cls++) {
        for (chunk_t *chunk = pool->shelves[cls].empty; chunk != NULL; chunk = chunk->home_next) {
            size_t warm = chunk->count - chunk->clean;
            bool dispensable = warm != 0 && pool->dirty - warm >= keep;
            bool mostly_cold = pool->empties > 1 && warm <= chunk->count / 8;
            if (chunk->held == 0 && (dispensable || mostly_cold))
                return chunk;
        }
    }
    return NULL;
}

static chunk_t *pick_dirty(oai_stack_pool_t *pool, size_t keep)
{
    if (pool->dirty <= keep)
        return NULL;
    for (unsigned cls = 0; cls < OAI_STACK_CLASSES; cls++) {
        chunk_t *lists[] = {pool->shelves[cls].empty, pool->shelves[cls].partial};
        for (size_t i = 0; i < 2; i++) {
            for (chunk_t *chunk = lists[i]; chunk != NULL; chunk = chunk->home_next) {
                if (chunk->held == 0 && chunk->count > chunk->clean)
                    return chunk;
            }
        }
    }
    return NULL;
}

// Takes a wholly free chunk out of every list and count.
static void detach(oai_stack_pool_t *pool, chunk_t *chunk)
{
    oai_stack_shelf_t *shelf = &pool->shelves[chunk->cls];
    pool->dirty -= chunk->count - chunk->clean;
    pool->empties--;
    pool->chunks--;
    pool->mapped -= chunk->size;
    pool->protects -= oai_stack_chunk_protects(chunk);
    list_remove(chunk);
    all_remove(shelf, chunk);
    uncarved_remove(shelf, chunk);
    if (shelf->all == NULL)
        shelf->next_chunk = 0;
}

// The reverse, when it could not be unmapped.
static void attach_again(oai_stack_pool_t *pool, chunk_t *chunk)
{
    oai_stack_shelf_t *shelf = &pool->shelves[chunk->cls];
    pool->dirty += chunk->count - chunk->clean;
    pool->chunks++;
    pool->mapped += chunk->size;
    pool->protects += oai_stack_chunk_protects(chunk);
    all_insert(shelf, chunk);
    if (chunk->carved < chunk->slots) {
        chunk->uncarved_next = shelf->uncarved;
        shelf->uncarved = chunk;
    }
    rehome(pool, chunk);
}

// Both are called with the lock and return with it. False: there is no use in going on.
static bool trim_chunk(oai_stack_pool_t *pool, chunk_t *chunk)
{
    detach(pool, chunk);
    publish(pool);
    oai_unlock(&pool->lock);
    bool gone = oai_stack_chunk_free(chunk);
    oai_lock(&pool->lock);
    if (!gone)
        attach_again(pool, chunk);
    return gone;
}

static void trim_slots(oai_stack_pool_t *pool, chunk_t *chunk, size_t excess)
{
    uint32_t n = chunk->count - chunk->clean;
    n = n > DISCARD_BATCH ? DISCARD_BATCH : n;
    n = n > excess ? (uint32_t)excess : n;
    chunk->held = chunk->clean + n;
    oai_unlock(&pool->lock);
    oai_stack_chunk_discard(chunk, chunk->free + chunk->held - n, n);
    oai_lock(&pool->lock);
    chunk->clean = chunk->held;
    chunk->held = 0;
    pool->dirty -= n;
}

// Relaxed loads: what they tell is written under the lock, and a late look trims a little later.
static bool may_trim(oai_stack_pool_t *pool, size_t keep)
{
    uint64_t word = atomic_load_explicit(&pool->trimmable, memory_order_relaxed);
    size_t dirty = (size_t)(word & (((uint64_t)1 << DIRTY_BITS) - 1));
    if (OAI_LIKELY(dirty <= keep && word >> DIRTY_BITS <= 1))
        return false;
    return word != atomic_load_explicit(&pool->settled, memory_order_relaxed) ||
           keep < atomic_load_explicit(&pool->settled_keep, memory_order_relaxed);
}

static void settle(oai_stack_pool_t *pool, size_t keep)
{
    uint64_t word = atomic_load_explicit(&pool->trimmable, memory_order_relaxed);
    atomic_store_explicit(&pool->settled, word, memory_order_relaxed);
    atomic_store_explicit(&pool->settled_keep, keep, memory_order_relaxed);
}

bool oai_stack_pool_trim(oai_stack_pool_t *pool, size_t keep)
{
    if (!may_trim(pool, keep))
        return false;
    bool useful = true;
    oai_lock(&pool->lock);
    chunk_t *chunk = pick_empty(pool, keep);
    if (chunk != NULL)
        useful = trim_chunk(pool, chunk);
    else if ((chunk = pick_dirty(pool, keep)) != NULL)
        trim_slots(pool, chunk, pool->dirty - keep);
    bool more = useful && (pick_empty(pool, keep) != NULL || pick_dirty(pool, keep) != NULL);
    publish(pool);
    if (!more)
        settle(pool, keep);
    oai_unlock(&pool->lock);
    return more;
}

// ---- life, and who stands where ----

int oai_stack_pool_init(oai_stack_pool_t *pool, size_t default_size)
{
    if (default_size && !oai_stack_size_ok(default_size))
        return -EINVAL;
    memset(pool, 0, sizeof *pool);
    pool->default_class = default_size ? oai_stack_class(default_size) : OAI_STACK_DEFAULT_CLASS;
    pool->guard_install = oai_os_guard_probe();
    // Half of the mappings a process may have, at two each: the rest is for everybody else.
    pool->protect_limit = (size_t)oai_os_max_map_count() / 4;
    return 0;
}

// At its limit of mappings the system may refuse to unmap; once the others are gone there is room.
void oai_stack_pool_destroy(oai_stack_pool_t *pool)
{
    for (int round = 0; round < 2; round++) {
        for (unsigned cls = 0; cls < OAI_STACK_CLASSES; cls++) {
            oai_stack_shelf_t *shelf = &pool->shelves[cls];
            for (chunk_t *chunk = shelf->all, *next; chunk != NULL; chunk = next) {
                next = chunk->next;
                all_remove(shelf, chunk);
                if (!oai_stack_chunk_free(chunk))
                    all_insert(shelf, chunk);
            }
        }
    }
    // What could not be unmapped stays mapped; nothing else is lost with it.
    for (unsigned cls = 0; cls < OAI_STACK_CLASSES; cls++) {
        for (chunk_t *chunk = pool->shelves[cls].all, *next; chunk != NULL; chunk = next) {
            next = chunk->next;
            oai_os.free(chunk);
        }
    }
    memset(pool, 0, sizeof *pool);
}

bool oai_stack_pool_find(oai_stack_pool_t *pool, const void *addr, char **low, char **top)
{
    enum { PATIENCE = 100000 };
    int tries = 0;
    // The interrupted thread may hold the lock itself: then nothing is found.
    while (!oai_trylock(&pool->lock)) {
        if (++tries == PATIENCE)
            return false;
        oai_pause();
    }
    bool found = false;
    for (unsigned cls = 0; cls < OAI_STACK_CLASSES && !found; cls++) {
        for (chunk_t *chunk = pool->shelves[cls].all; chunk != NULL; chunk = chunk->next) {
            size_t offset = (size_t)((const char *)addr - chunk->base);
            if ((uintptr_t)addr < (uintptr_t)chunk->base || offset >= chunk->size)
                continue;
            size_t size = oai_stack_class_size(cls);
            char *base = oai_stack_slot_base(chunk, (uint32_t)(offset / size));
            *low = base + oai_stack_class_guard(cls);
            *top = base + size;
            found = true;
            break;
        }
    }
    oai_unlock(&pool->lock);
    return found;
}
