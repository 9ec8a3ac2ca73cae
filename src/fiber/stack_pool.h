// SPDX-License-Identifier: BSD-2-Clause
// stack_pool.h - between stack.c (a worker's cache), stack_pool.c and stack_chunk.c.
//
// Owns:    struct oai_stack_chunk. Callers: stack*.c only.
#ifndef OAI_FIBER_STACK_POOL_H
#define OAI_FIBER_STACK_POOL_H

#include "fiber/stack.h"
#include "os/os.h"

// One mapping, carved into slots from its low end. Under the pool's lock, except what is constant
// from its making (base, size, slots, cls), and guards[] and valgrind[], which whoever carves a
// slot writes before anybody else hears of that slot.
struct oai_stack_chunk {
    struct oai_stack_chunk *next, *prev;           // in shelf->all
    struct oai_stack_chunk *home_next, *home_prev; // in *home
    struct oai_stack_chunk **home;                 // &shelf->partial, &shelf->empty or NULL
    struct oai_stack_chunk *uncarved_next;         // in shelf->uncarved
    char *base;
    size_t size;
    uint32_t slots;
    uint32_t carved; // slots [0, carved) have a guard, or are getting one right now
    // Free slots by index, coldest first: [0, clean) hold no pages, [clean, count) do.
    // [0, held) is not to be taken: [clean, held) is being discarded by some thread. 0: none is.
    uint32_t count, clean, held;
    uint8_t cls;
    uint16_t *free;
    uint8_t *guards; // an oai_guard_t for each carved slot
#ifdef OAI_VALGRIND
    unsigned *valgrind; // the id of each carved slot
#endif
};

// Takes 1 to `want` slots of the class into cache->slots, the warmest last; 0: no memory.
uint32_t oai_stack_pool_take(oai_stack_cache_t *cache, unsigned cls, uint32_t want);
// Takes back n stacks, coldest first.
void oai_stack_pool_give(oai_stack_pool_t *pool, oai_stack_t *const *stacks, uint32_t n);

// Maps a chunk of `bytes`, or of less where so much is refused. NULL: no memory. No lock held.
struct oai_stack_chunk *oai_stack_chunk_new(unsigned cls, size_t bytes);
// Unmaps it. False, and nothing has happened, when the system refuses (at its limit of mappings).
bool oai_stack_chunk_free(struct oai_stack_chunk *chunk);

// What the guards of some slots came to.
typedef struct oai_stack_guarded {
    size_t protects;
    bool canary;
} oai_stack_guarded_t;

// Guards slots [first, first + n) as well as can be had, which cannot fail. Reads constants of the
// pool. No lock held; the slots are the caller's alone.
oai_stack_guarded_t oai_stack_chunk_guard(struct oai_stack_chunk *chunk, uint32_t first, uint32_t n,
                                          const oai_stack_pool_t *pool, oai_span_t *scratch);
// How many guards of the chunk are mprotect's.
size_t oai_stack_chunk_protects(const struct oai_stack_chunk *chunk);

// Gives back the pages of n slots, by index; sorts them. No lock held.
void oai_stack_chunk_discard(const struct oai_stack_chunk *chunk, uint16_t *slots, uint32_t n);

static inline char *oai_stack_slot_base(const struct oai_stack_chunk *chunk, uint32_t index)
{
    return chunk->base + (size_t)index * oai_stack_class_size(chunk->cls);
}

#endif
