// SPDX-License-Identifier: BSD-2-Clause
// stack_chunk.c - one mapping of stacks: made, guarded, discarded, unmapped.
//
// Owns:    the memory of a chunk, and the count of mprotect guards in the process.
// Callers: stack_pool.c, with the slots or the chunk in nobody else's hands.
// Design:  guards are markers in the page table (MADV_GUARD_INSTALL), 0.4 us each in batches. Where
//          the kernel has none, the first stacks get mprotect's, which cost two mappings each out
//          of a limited number that the whole process shares, so we leave half of it alone. The
//          rest get a canary: the bytes right below the stack, which a fresh mapping and a
//          discarded one both hold as zeros, so that neither an extra page nor a write is needed
//          to plant it.
#include "fiber/stack_pool.h"

#include <string.h>

#ifdef OAI_VALGRIND
#include <valgrind/valgrind.h>
#endif

enum { CANARY = 512 }; // wide enough that a frame which skips it without a return address is rare

// Process-wide, like the limit it is held against.
static _Atomic size_t protects_alive;

// ---- Valgrind ----

static void valgrind_register(struct oai_stack_chunk *chunk, uint32_t index)
{
#ifdef OAI_VALGRIND
    char *base = oai_stack_slot_base(chunk, index);
    size_t size = oai_stack_class_size(chunk->cls);
    chunk->valgrind[index] =
        VALGRIND_STACK_REGISTER(base + oai_stack_class_guard(chunk->cls), base + size);
#else
    (void)chunk, (void)index;
#endif
}

static void valgrind_deregister(struct oai_stack_chunk *chunk)
{
#ifdef OAI_VALGRIND
    for (uint32_t i = 0; i < chunk->carved; i++)
        VALGRIND_STACK_DEREGISTER(chunk->valgrind[i]);
#else
    (void)chunk;
#endif
}

// ---- mapping ----

// The struct and its arrays in one block.
static struct oai_stack_chunk *describe(uint32_t slots)
{
    size_t bytes = sizeof(struct oai_stack_chunk) + slots * (sizeof(uint16_t) + sizeof(uint8_t));
#ifdef OAI_VALGRIND
    bytes += slots * sizeof(unsigned);
#endif
    struct oai_stack_chunk *chunk = oai_os.alloc(bytes);
    if (chunk == NULL)
        return NULL;
    memset(chunk, 0, sizeof *chunk);
    char *arrays = (char *)(chunk + 1);
#ifdef OAI_VALGRIND
    chunk->valgrind = (unsigned *)arrays;
    arrays += slots * sizeof(unsigned);
#endif
    chunk->free = (uint16_t *)arrays;
    chunk->guards = (uint8_t *)(chunk->free + slots);
    return chunk;
}

// The description first: free() cannot fail, unmapping can.
struct oai_stack_chunk *oai_stack_chunk_new(unsigned cls, size_t bytes)
{
    size_t slot = oai_stack_class_size(cls);
    struct oai_stack_chunk *chunk = describe((uint32_t)(bytes / slot));
    if (chunk == NULL)
        return NULL;
    // Where reservations count (overcommit 2, RLIMIT_AS), less may still be had.
    void *base = NULL;
    while (bytes >= slot && oai_os.map(&base, bytes) != 0)
        bytes /= 2;
    if (bytes < slot) {
        oai_os.free(chunk);
        return NULL;
    }
    chunk->base = base;
    chunk->size = bytes;
    chunk->slots = (uint32_t)(bytes / slot);
    chunk->cls = (uint8_t)cls;
    return chunk;
}

bool oai_stack_chunk_free(struct oai_stack_chunk *chunk)
{
#if OAI_ASAN
    // Not every ASan forgets at munmap what frames have left here; the next mapping may be
    // anything. Slots that are not carved were nobody's.
    __asan_unpoison_memory_region(chunk->base, chunk->carved * oai_stack_class_size(chunk->cls));
#endif
    if (oai_os.unmap(chunk->base, chunk->size) != 0)
        return false;
    atomic_fetch_sub_explicit(&protects_alive, oai_stack_chunk_protects(chunk),
                              memory_order_relaxed);
    valgrind_deregister(chunk);
    oai_os.free(chunk);
    return true;
}

// ---- guards ----

static oai_span_t guard_span(const struct oai_stack_chunk *chunk, uint32_t index)
{
    return (oai_span_t){oai_stack_slot_base(chunk, index), oai_stack_class_guard(chunk->cls)};
}

// One mprotect guard, if the limit allows one more.
static bool protect(const oai_span_t *span, size_t limit)
{
    // Relaxed: only a count; a few too many do no harm.
    if (atomic_fetch_add_explicit(&protects_alive, 1, memory_order_relaxed) < limit &&
        oai_os.protect(span->base, span->size) == 0)
        return true;
    atomic_fetch_sub_explicit(&protects_alive, 1, memory_order_relaxed);
    return false;
}

static void guard_one(struct oai_stack_chunk *chunk, uint32_t index, const oai_stack_pool_t *pool,
                      oai_stack_guarded_t *result)
{
    oai_span_t span = guard_span(chunk, index);
    if (protect(&span, pool->protect_limit)) {
        chunk->guards[index] = OAI_GUARD_PROTECT;
        result->protects++;
        return;
    }
    result->canary = true;
    // A batch that failed half-way may have left a marker here, and a look at the canary would
    // crash. A fresh mapping has none; without one we rather do not look.
    if (pool->guard_install && oai_os.refresh(span.base, span.size) != 0)
        chunk->guards[index] = OAI_GUARD_NONE;
    else
        chunk->guards[index] = OAI_GUARD_CANARY;
}

static void guard_batch(struct oai_stack_chunk *chunk, uint32_t first, uint32_t n,
                        const oai_stack_pool_t *pool, oai_span_t *spans,
                        oai_stack_guarded_t *result)
{
    for (uint32_t i = 0; i < n; i++)
        spans[i] = guard_span(chunk, first + i);
    if (pool->guard_install && oai_os.guard(spans, n) == 0) {
        memset(chunk->guards + first, OAI_GUARD_INSTALL, n);
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        guard_one(chunk, first + i, pool, result);
}

oai_stack_guarded_t oai_stack_chunk_guard(struct oai_stack_chunk *chunk, uint32_t first, uint32_t n,
                                          const oai_stack_pool_t *pool, oai_span_t *scratch)
{
    oai_stack_guarded_t result = {0};
    for (uint32_t done = 0; done < n;) {
        uint32_t batch = n - done < OAI_STACK_SPANS ? n - done : OAI_STACK_SPANS;
        guard_batch(chunk, first + done, batch, pool, scratch, &result);
        done += batch;
    }
    for (uint32_t i = 0; i < n; i++)
        valgrind_register(chunk, first + i);
    return result;
}

size_t oai_stack_chunk_protects(const struct oai_stack_chunk *chunk)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < chunk->carved; i++)
        sum += chunk->guards[i] == OAI_GUARD_PROTECT;
    return sum;
}

bool oai_stack_canary_intact(const oai_stack_t *stack)
{
    const uint64_t *words = (const uint64_t *)(stack->low - CANARY);
    uint64_t any = 0;
    for (size_t i = 0; i < CANARY / sizeof *words; i++)
        any |= words[i];
    return any == 0;
}

void oai_stack_canary_renew(oai_stack_t *stack)
{
    memset(stack->low - CANARY, 0, CANARY);
}

// ---- discarding ----

static void sort(uint16_t *slots, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        uint16_t slot = slots[i];
        uint32_t at = i;
        for (; at > 0 && slots[at - 1] > slot; at--)
            slots[at] = slots[at - 1];
        slots[at] = slot;
    }
}

// Neighbours go in one call: guards stay guards. A refusal is no harm, the pages merely stay.
void oai_stack_chunk_discard(const struct oai_stack_chunk *chunk, uint16_t *slots, uint32_t n)
{
    size_t size = oai_stack_class_size(chunk->cls);
    size_t guard = oai_stack_class_guard(chunk->cls);
    sort(slots, n);
    for (uint32_t i = 0; i < n;) {
        uint32_t run = 1;
        while (i + run < n && slots[i + run] == slots[i] + run)
            run++;
        (void)oai_os.discard(oai_stack_slot_base(chunk, slots[i]) + guard, run * size - guard);
        i += run;
    }
}
