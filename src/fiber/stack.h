// SPDX-License-Identifier: BSD-2-Clause
// stack.h - where virtual threads stand: stacks reserved, guarded, recycled, given back.
//
// Owns:    the chunks of address space of one coordinator, carved into slots of one size class. A
//          slot is, from its low end: guard, usable stack, header (this file's oai_stack_t).
// Callers: a cache belongs to one worker and is touched by that worker alone; the pool takes care
//          of itself and may be called by every worker.
// Limits:  a class is named by what it reserves, guard included (16 KiB of the 64 KiB class, 64 KiB
//          of all others) and a page for the header: the default 256 KiB leaves 188 KiB to use.
#ifndef OAI_FIBER_STACK_H
#define OAI_FIBER_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/lock.h"
#include "fiber/sanitizer.h"
#include "os/os.h"

enum {
    OAI_STACK_CLASSES = 14, // 64 KiB, 256 KiB, then powers of two up to 1 GiB
    OAI_STACK_DEFAULT_CLASS = 1,
    OAI_STACK_HOT = 64,      // stacks of the default class in a worker's cache
    OAI_STACK_HOT_OTHER = 8, // of each other class, fewer of the big ones
    OAI_STACK_REFILL = 32,   // the most taken from the pool at once
    OAI_STACK_SPANS = 64,    // guards installed by one system call
    OAI_STACK_ROOM = 24,     // bytes in the header for whoever runs on the stack
};

typedef enum oai_guard {
    OAI_GUARD_NONE = 0,
    OAI_GUARD_INSTALL, // a guard marker in the page table: no mapping of its own
    OAI_GUARD_PROTECT, // mprotect: two mappings each, so only for the first ones
    OAI_GUARD_CANARY, // no fault; bytes below the stack that must stay zero, looked at now and then
} oai_guard_t;

struct oai_stack_chunk;

// The header of a stack, at the top of its slot: a parked task costs one page. Written when the
// stack is taken from the pool, then only read until it goes back, but for what is free to use.
typedef struct oai_stack {
    struct oai_stack *next;        // free for whoever holds the stack
    char *low;                     // lowest usable byte; below lies the guard
    char *top;                     // initial stack pointer, a multiple of 16
    struct oai_stack_chunk *chunk; // where it goes back to
    uint32_t index;                // its slot in the chunk
    uint8_t cls;                   // its size class
    uint8_t guard;                 // an oai_guard_t
    uint16_t colour;               // lines left unused above the header
    // Free to use for whoever runs on the stack; holds what the one before has left there.
    _Alignas(void *) unsigned char room[OAI_STACK_ROOM];
} oai_stack_t;

// What the pool knows of one size class. Everything under the pool's lock. A chunk is in `all`, and
// in one of `partial`, `empty` or neither.
typedef struct oai_stack_shelf {
    struct oai_stack_chunk *all;      // every chunk, newest first
    struct oai_stack_chunk *partial;  // those with free slots and others in use; taken from first
    struct oai_stack_chunk *empty;    // those with all carved slots free
    struct oai_stack_chunk *uncarved; // those with slots never used yet
    size_t next_chunk;                // bytes the next chunk will reserve; 0: the least
} oai_stack_shelf_t;

// Everything under the lock but for the atomics, which are written under it and read anywhere, and
// what is constant.
typedef struct oai_stack_pool {
    oai_lock_t lock;
    unsigned default_class; // constant
    bool guard_install;     // constant: what the probe said when the pool was made
    size_t protect_limit;   // constant: mprotect guards the process may have
    bool canary_used;       // some stack had to do with a canary
    // dirty (low 40 bits) and empties (above) again, in one word, so that finding nothing to trim
    // costs one load.
    _Atomic uint64_t trimmable;
    // The last such word that left nothing to do, and for which `keep`.
    _Atomic uint64_t settled;
    _Atomic size_t settled_keep;
    oai_stack_shelf_t shelves[OAI_STACK_CLASSES];
    struct oai_stack_cache *caches; // every live cache, for the statistics
    size_t dirty;                   // free slots that hold pages
    size_t empties;                 // chunks wholly free
    size_t out;                     // slots in caches or in use
    size_t peak;                    // the most there ever were
    size_t chunks;                  // mapped now
    size_t mapped;                  // bytes of address space in them
    size_t protects;                // guards made by mprotect that exist now
} oai_stack_pool_t;

// A slot in nobody's hands.
typedef struct oai_stack_slot {
    struct oai_stack_chunk *chunk;
    uint32_t index;
    bool fresh; // never used before
} oai_stack_slot_t;

// A worker's own stacks: last in, first out, so that the next task stands where caches are warm.
typedef struct oai_stack_cache {
    oai_stack_pool_t *pool;
    uint32_t refill; // how many to take when empty; doubles
    // Stacks in hot[]. Written by the owner only; relaxed reads by the statistics.
    _Atomic uint32_t count;
    oai_stack_t *hot[OAI_STACK_HOT]; // of the default class; hot[count - 1] is the warmest
    struct {
        _Atomic uint32_t count;
        oai_stack_t *hot[OAI_STACK_HOT_OTHER];
    } other[OAI_STACK_CLASSES];
    struct oai_stack_cache *next, **link; // in pool->caches, under its lock
    // For the slow paths: on the caller's stack they would cost a parked task a second page.
    oai_stack_slot_t slots[OAI_STACK_REFILL];
    oai_span_t spans[OAI_STACK_SPANS];
} oai_stack_cache_t;

typedef struct oai_stack_stats {
    size_t in_use;     // held by tasks and loops
    size_t peak;       // the most in use or in caches at any time
    size_t chunks;     // mappings
    size_t mapped;     // bytes reserved in them
    size_t protects;   // guards made by mprotect
    oai_guard_t guard; // what new stacks get
    bool canary_used;  // some stacks have no guard but a canary
} oai_stack_stats_t;

// Embeddable; maps nothing. default_size as in oai_stack_class; 0: OAI_STACK_DEFAULT_CLASS. Returns
// 0, or -EINVAL for a bad size.
int oai_stack_pool_init(oai_stack_pool_t *pool, size_t default_size);
// Unmaps everything. All stacks are back and every cache is closed.
void oai_stack_pool_destroy(oai_stack_pool_t *pool);

void oai_stack_cache_init(oai_stack_cache_t *cache, oai_stack_pool_t *pool);
// Flushes and leaves the pool.
void oai_stack_cache_close(oai_stack_cache_t *cache);

// 4 KiB to nearly 1 GiB can be had.
bool oai_stack_size_ok(size_t bytes);
// The smallest class in which a task can use `bytes`. Precondition: oai_stack_size_ok.
unsigned oai_stack_class(size_t bytes);
// What a class reserves, guard included, the part of it that is guard, and what a task can use.
size_t oai_stack_class_size(unsigned cls);
size_t oai_stack_class_guard(unsigned cls);
size_t oai_stack_class_usable(unsigned cls);

// The cold paths of get and put.
oai_stack_t *oai_stack_get_slow(oai_stack_cache_t *cache, unsigned cls);
void oai_stack_put_slow(oai_stack_cache_t *cache, oai_stack_t *stack);
// Makes a recycled stack new in a sanitizer's eyes; NULL (and the stack is back) if it cannot.
oai_stack_t *oai_stack_renew(oai_stack_cache_t *cache, oai_stack_t *stack);

// A stack of the class, or NULL when there is no memory. Its worker only.
static inline oai_stack_t *oai_stack_get(oai_stack_cache_t *cache, unsigned cls)
{
    uint32_t count = atomic_load_explicit(&cache->count, memory_order_relaxed);
    if (OAI_UNLIKELY(cls != cache->pool->default_class || count == 0))
        return oai_stack_get_slow(cache, cls);
    oai_stack_t *stack = cache->hot[count - 1];
    atomic_store_explicit(&cache->count, count - 1, memory_order_relaxed);
#if OAI_ASAN || OAI_TSAN
    stack = oai_stack_renew(cache, stack);
#endif
    return stack;
}

// Gives a stack back. Its worker only. It may be the very stack the caller stands on: it stays
// untouched in this cache until the worker takes it again, so the worker must leave it (oai_jump or
// oai_enter) before its next oai_stack_get, put or flush.
static inline void oai_stack_put(oai_stack_cache_t *cache, oai_stack_t *stack)
{
    uint32_t count = atomic_load_explicit(&cache->count, memory_order_relaxed);
    if (OAI_UNLIKELY(stack->cls != cache->pool->default_class || count == OAI_STACK_HOT)) {
        oai_stack_put_slow(cache, stack);
        return;
    }
    cache->hot[count] = stack;
    atomic_store_explicit(&cache->count, count + 1, memory_order_relaxed);
}

// A stack of the default class can be had without asking anybody.
static inline bool oai_stack_ready(oai_stack_cache_t *cache)
{
    return atomic_load_explicit(&cache->count, memory_order_relaxed) != 0;
}

// Hands everything to the pool. Not while standing on one of the cached stacks.
void oai_stack_cache_flush(oai_stack_cache_t *cache);

// A part of giving memory back: unmaps a chunk that is wholly free or discards the pages of some
// cold free stacks, as long as more than `keep` free ones in the pool hold pages. True when more is
// left to do. Any thread; one to three relaxed loads when there is nothing to do.
bool oai_stack_pool_trim(oai_stack_pool_t *pool, size_t keep);

void oai_stack_pool_stats(oai_stack_pool_t *pool, oai_stack_stats_t *out);

// The stack whose slot (guard included) contains addr is described: its usable low end and top.
// False when addr lies in none. Takes no lock that an interrupted thread could hold for long: for
// the handler of SIGSEGV, on its own signal stack.
bool oai_stack_pool_find(oai_stack_pool_t *pool, const void *addr, char **low, char **top);

bool oai_stack_canary_intact(const oai_stack_t *stack);

// Makes the canary of a stack whole again. Nothing of what may have run into it is left.
void oai_stack_canary_renew(oai_stack_t *stack);

// False when a stack without a guard has been overrun. True for guarded ones.
static inline bool oai_stack_canary_ok(const oai_stack_t *stack)
{
    return OAI_LIKELY(stack->guard != OAI_GUARD_CANARY) || oai_stack_canary_intact(stack);
}

#endif
