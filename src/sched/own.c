// SPDX-License-Identifier: BSD-2-Clause
// own.c - a task's own: where its record stands, its context, its temp memory, and their end.
//
// Temp memory is carved from blocks that double in size, the first so small that a million tasks
// may have one each. What does not fit into the next one gets a block of just its size, which is
// linked behind the newest, so that the rest of that one stays in use.
#include "sched/own.h"

#include <string.h>

#include "sched/sched.h"

enum {
    FIRST_CHUNK = 256, // bytes, header included
    LAST_CHUNK = 32 << 10,
    UNIT = 16, // what is given out is a multiple of it, and so aligned as malloc's
};

_Static_assert(sizeof(oai_chunk_t) % UNIT == 0, "the first piece is aligned");

// Where the record of the calling task stands, whether it has been made or not.
static oai_own_t *place(const oai_task_t *task)
{
    oai_stack_t *stack = task->stack;
#if !OAI_OWN_STACKS
    oai_worker_t *worker = oai_self();
    if (worker) // the task has no stack of its own before its first wait
        stack = worker->stack;
#endif
    return (oai_own_t *)(void *)stack->room;
}

// What the context of a task begins with: all zero, but a consumer's call has its argument there.
static oa_context_t first_context(const oai_task_t *task)
{
    // Relaxed: the flag is constant.
    bool call = atomic_load_explicit(&task->flags, memory_order_relaxed) & OAI_TASK_CALL;
    return (oa_context_t){.user_ptr = call ? ((oai_dormant_t *)task->arg)->arg : NULL};
}

oai_own_t *oai_own(void)
{
    oai_task_t *task = oai_current();
    if (!task)
        return NULL;
    oai_own_t *own = place(task);
    if (OAI_UNLIKELY(!oai_own_any(task))) {
        *own = (oai_own_t){.context = first_context(task)};
        // Relaxed: the flag is the task's own; the exchange is for the flags beside it.
        atomic_fetch_or_explicit(&task->flags, OAI_TASK_OWN, memory_order_relaxed);
    }
    return own;
}

oai_values_t *oai_own_values(void)
{
    oai_task_t *task = oai_current();
    if (!task || !oai_own_any(task))
        return NULL;
    const oai_own_t *own = place(task);
    return own->chunk ? own->chunk->values : NULL;
}

// ---- Temp memory --------------------------------------------------------------------------------

// A new block from which `size` bytes have been taken.
static void *take_chunk(oai_own_t *own, size_t size)
{
    oai_chunk_t *newest = own->chunk;
    size_t length = newest ? (size_t)(newest->end - (char *)newest) * 2 : FIRST_CHUNK;
    if (length > LAST_CHUNK)
        length = LAST_CHUNK;
    bool large = size > length - sizeof *newest;
    if (large)
        length = sizeof *newest + size;
    oai_chunk_t *chunk = oai_os.alloc(length);
    if (!chunk)
        return NULL;
    *chunk = (oai_chunk_t){.next = chunk->bytes + size, .end = (char *)chunk + length};
    if (newest && large) {
        chunk->older = newest->older;
        newest->older = chunk;
    } else {
        chunk->older = newest;
        chunk->values = newest ? newest->values : NULL;
        own->chunk = chunk;
    }
    return chunk->bytes;
}

void *oai_own_take(oai_own_t *own, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = size ? (size + UNIT - 1) / UNIT * UNIT : UNIT;
    oai_chunk_t *chunk = own->chunk;
    if (OAI_UNLIKELY(!chunk || size > (size_t)(chunk->end - chunk->next)))
        return take_chunk(own, size);
    void *piece = chunk->next;
    chunk->next += size;
    return piece;
}

void *oa_temp(size_t size)
{
    oai_own_t *own = oai_own();
    return own ? oai_own_take(own, size) : NULL;
}

oa_context_t *oa_context(void)
{
    oai_own_t *own = oai_own();
    return own ? &own->context : NULL;
}

// ---- The end ------------------------------------------------------------------------------------

void oai_own_end(oai_task_t *task)
{
    oai_own_t *own = place(task); // also after a wait: the stack is the task's then
    oai_locals_end(own);
    while (own->chunk) {
        oai_chunk_t *chunk = own->chunk;
        own->chunk = chunk->older;
        oai_os.free(chunk);
    }
}
