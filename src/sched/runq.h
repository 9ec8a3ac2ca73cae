// SPDX-License-Identifier: BSD-2-Clause
// runq.h - the run queue of one worker: what is ready to run there, all of it stealable.
//
// Owns:    a ring of the tasks in their order, a slot for the one that runs next, and, where the
//          ring was full, its older halves as blocks.
// Callers: "owner" below is the worker whose queue it is; "thief" any other worker.
// Design:  the ring is the bounded queue of Go's and Tokio's schedulers: the owner puts at the
//          tail by plain stores, everybody takes at the head by compare-exchange. A full ring
//          sheds its older half as one block of pointers. The owner refills from the newest block,
//          so that trees of tasks run nearly depth first; thieves, and the owner every so often,
//          take from the oldest, so that nothing waits for ever. A task that yields while there are
//          blocks goes behind all of them, and until its turn has come the owner refills from the
//          oldest: whoever spawns and yields in a loop cannot outrun what it spawned.
#ifndef OAI_SCHED_RUNQ_H
#define OAI_SCHED_RUNQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/lock.h"

#ifndef OAI_RING_SIZE
#define OAI_RING_SIZE 256u // a power of two; smaller only in the model checker's build
#endif
#define OAI_RING_MASK (OAI_RING_SIZE - 1)
#define OAI_BLOCK_SIZE (OAI_RING_SIZE / 2)

typedef struct oai_task oai_task_t;

// The older half of a full ring.
typedef struct oai_block {
    struct oai_block *older, *newer; // under the queue's lock
    uint32_t first, count;           // tasks[first .. first + count) are left; under the lock
    oai_task_t *tasks[OAI_BLOCK_SIZE];
} oai_block_t;

typedef struct oai_runq {
    // The next place to take from. Owner and thieves, by compare-exchange; only ever grows.
    _Alignas(OAI_CACHELINE) _Atomic uint64_t head;
    // The task that runs next, or NULL. Only the owner makes it non-NULL; anybody takes it.
    _Atomic(oai_task_t *) next;
    // How many blocks there are, `behind` too: written under `lock`, read by anybody as a hint.
    _Atomic uint32_t blocks;
    // The next place to put at. Written by the owner alone, read by thieves; only ever grows.
    _Alignas(OAI_CACHELINE) _Atomic uint64_t tail;
    oai_lock_t lock;              // guards the two ends of the chain of blocks, and the blocks
    oai_block_t *newest, *oldest; // under `lock`
    oai_block_t *behind; // tasks that yielded: not in the chain, comes after all of it; under
                         //   `lock`
    oai_block_t *spare;  // an empty block kept for the next overflow; the owner's alone
    // Place i & OAI_RING_MASK holds task i while head <= i < tail. Written by the owner; a thief
    // may read a place that is being written again, but then its compare-exchange of head fails.
    _Atomic(oai_task_t *) ring[OAI_RING_SIZE];
} oai_runq_t;

void oai_runq_init(oai_runq_t *queue);

// Frees what an empty queue still holds.
void oai_runq_destroy(oai_runq_t *queue);

// Owner: puts a task that yields behind all others, where there are blocks. False when there are
// none, or no memory for one more: then it is to be put last.
bool oai_runq_push_behind(oai_runq_t *queue, oai_task_t *task);

// Owner: takes the first task of the oldest block; NULL when there is no block. `patient`: only
// when somebody waits behind the blocks.
oai_task_t *oai_runq_pop_oldest(oai_runq_t *queue, bool patient);

// Thief: takes the oldest block of `victim` or half of its ring, returns the first task of it and
// leaves the rest in `mine`, the thief's own queue, whose ring needs room for a block. NULL when
// there was nothing or others were quicker. The slot of the next task is left alone.
oai_task_t *oai_runq_steal(oai_runq_t *victim, oai_runq_t *mine);

// Anybody: how many tasks there are, as a hint.
size_t oai_runq_length(const oai_runq_t *queue);

// ---- The fast paths, which are compiled into the dispatch loop, and the cold halves of two ------

bool oai_runq_push_full(oai_runq_t *queue, oai_task_t *task);
oai_task_t *oai_runq_refill(oai_runq_t *queue);

// Owner: whether there are blocks.
static inline bool oai_runq_any_block(const oai_runq_t *queue)
{
    // A hint is enough: only the owner adds blocks.
    return atomic_load_explicit(&queue->blocks, memory_order_relaxed) != 0;
}

// Owner: whether the ring has no room for one more.
static inline bool oai_runq_full(const oai_runq_t *queue)
{
    uint64_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
    // Acquire: pairs with the release of whoever moved head past a place: it has read the place
    // before we write it again.
    uint64_t head = atomic_load_explicit(&queue->head, memory_order_acquire);
    return tail - head >= OAI_RING_SIZE;
}

// Owner: puts a task last in a ring that was seen not to be full.
static inline void oai_runq_put(oai_runq_t *queue, oai_task_t *task)
{
    uint64_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
    atomic_store_explicit(&queue->ring[tail & OAI_RING_MASK], task, memory_order_relaxed);
    // Release: pairs with a thief's acquire of tail: it sees the place and what the task is.
    atomic_store_explicit(&queue->tail, tail + 1, memory_order_release);
}

// Owner: puts a task last. False when the ring is full and there is no memory for a block.
static inline bool oai_runq_push(oai_runq_t *queue, oai_task_t *task)
{
    if (OAI_UNLIKELY(oai_runq_full(queue)))
        return oai_runq_push_full(queue, task);
    oai_runq_put(queue, task);
    return true;
}

// Owner: takes the first task of the ring, which is refilled from the newest block when it is
// empty; NULL when there is none.
static inline oai_task_t *oai_runq_pop(oai_runq_t *queue)
{
    uint64_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&queue->head, memory_order_relaxed);
    while (head != tail) {
        oai_task_t *task =
            atomic_load_explicit(&queue->ring[head & OAI_RING_MASK], memory_order_relaxed);
        // Relaxed: the place was written by this thread and is written again by this thread only;
        // a thief that read the same head loses its own exchange.
        if (OAI_LIKELY(atomic_compare_exchange_weak_explicit(
                &queue->head, &head, head + 1, memory_order_relaxed, memory_order_relaxed)))
            return task;
    }
    return OAI_LIKELY(!oai_runq_any_block(queue)) ? NULL : oai_runq_refill(queue);
}

// Owner: makes a task the next to run; returns the one that it displaced, or NULL.
static inline oai_task_t *oai_runq_put_next(oai_runq_t *queue, oai_task_t *task)
{
    // Only the owner makes it non-NULL: from NULL a store is enough.
    if (atomic_load_explicit(&queue->next, memory_order_relaxed) == NULL) {
        // Release: pairs with the acquire in oai_runq_take_next().
        atomic_store_explicit(&queue->next, task, memory_order_release);
        return NULL;
    }
    return atomic_exchange_explicit(&queue->next, task, memory_order_release);
}

// Anybody: takes the task that was to run next, or NULL.
static inline oai_task_t *oai_runq_take_next(oai_runq_t *queue)
{
    if (atomic_load_explicit(&queue->next, memory_order_relaxed) == NULL)
        return NULL;
    // Acquire: pairs with the release in oai_runq_put_next(): the taker sees what the task is.
    return atomic_exchange_explicit(&queue->next, NULL, memory_order_acquire);
}

#endif
