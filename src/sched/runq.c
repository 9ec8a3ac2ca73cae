// SPDX-License-Identifier: BSD-2-Clause
// runq.c - the rare paths of a run queue: overflow into blocks, refill and stealing (see runq.h).
#include "sched/runq.h"

#include "fiber/sanitizer.h"
#include "os/os.h"

void oai_runq_init(oai_runq_t *queue)
{
    atomic_init(&queue->head, 0);
    atomic_init(&queue->tail, 0);
    atomic_init(&queue->next, NULL);
    atomic_init(&queue->blocks, 0);
    queue->lock = (oai_lock_t)OAI_LOCK_INIT;
    queue->newest = queue->oldest = queue->behind = queue->spare = NULL;
    for (size_t i = 0; i < OAI_RING_SIZE; i++)
        atomic_init(&queue->ring[i], NULL);
}

void oai_runq_destroy(oai_runq_t *queue)
{
    oai_os.free(queue->spare);
    queue->spare = NULL;
}

// Under the lock: the count that others read as a hint.
static void count_blocks(oai_runq_t *queue, int change)
{
    uint32_t blocks = atomic_load_explicit(&queue->blocks, memory_order_relaxed);
    atomic_store_explicit(&queue->blocks, blocks + (uint32_t)change, memory_order_relaxed);
}

// Under the lock: puts a block on the newest end of the chain.
static void link_newest(oai_runq_t *queue, oai_block_t *block)
{
    oai_sync_release(block);
    block->newer = NULL;
    block->older = queue->newest;
    if (queue->newest)
        queue->newest->newer = block;
    else
        queue->oldest = block;
    queue->newest = block;
}

static void put_block(oai_runq_t *queue, oai_block_t *block)
{
    oai_lock(&queue->lock);
    link_newest(queue, block);
    count_blocks(queue, 1);
    oai_unlock(&queue->lock);
}

// Under the lock: takes a block out.
static void unlink_block(oai_runq_t *queue, oai_block_t *block)
{
    count_blocks(queue, -1);
    if (block == queue->behind) {
        queue->behind = NULL;
        return;
    }
    if (block->newer)
        block->newer->older = block->older;
    else
        queue->newest = block->older;
    if (block->older)
        block->older->newer = block->newer;
    else
        queue->oldest = block->newer;
}

// Under the lock: the block that has waited longest; NULL when there is none.
static oai_block_t *longest_waiting(oai_runq_t *queue)
{
    return queue->oldest ? queue->oldest : queue->behind;
}

// Takes a block whole: the oldest, or, for an owner behind whose tasks nobody waits, the newest.
static oai_block_t *take_block(oai_runq_t *queue, bool owner)
{
    oai_lock(&queue->lock);
    oai_block_t *block = owner && !queue->behind ? queue->newest : longest_waiting(queue);
    if (block)
        unlink_block(queue, block);
    oai_unlock(&queue->lock);
    if (block)
        oai_sync_acquire(block);
    return block;
}

// Owner: an emptied block is kept for the next overflow, or freed.
static void recycle_block(oai_runq_t *queue, oai_block_t *block)
{
    oai_sync_release(block);
    if (queue->spare) {
        oai_sync_acquire(block);
        oai_os.free(block);
    } else {
        queue->spare = block;
    }
}

// Owner: an empty block; NULL when there is no memory.
static oai_block_t *new_block(oai_runq_t *queue)
{
    oai_block_t *block = queue->spare;
    queue->spare = NULL;
    if (block)
        oai_sync_acquire(block);
    else
        block = oai_os.alloc(sizeof *block);
    if (block)
        block->first = block->count = 0;
    return block;
}

bool oai_runq_push_behind(oai_runq_t *queue, oai_task_t *task)
{
    if (!oai_runq_any_block(queue))
        return false;
    oai_block_t *fresh = new_block(queue);
    if (!fresh)
        return false;
    oai_lock(&queue->lock);
    oai_block_t *behind = queue->behind;
    oai_sync_release(fresh); // it may be taken while it is `behind`
    if (!behind) {
        behind = queue->behind = fresh;
        count_blocks(queue, 1);
    }
    behind->tasks[behind->first + behind->count++] = task;
    if (behind->first + behind->count == OAI_BLOCK_SIZE) {
        queue->behind = NULL;
        link_newest(queue, behind);
    }
    oai_unlock(&queue->lock);
    if (behind != fresh)
        recycle_block(queue, fresh);
    return true;
}

// Moves the older half of a full ring into a block. Returns false when there is no memory; when
// thieves took some of it meanwhile there is room, and nothing is moved.
static bool shed_half(oai_runq_t *queue, uint64_t head)
{
    oai_block_t *block = new_block(queue);
    if (!block)
        return false;
    for (uint32_t i = 0; i < OAI_BLOCK_SIZE; i++)
        block->tasks[i] =
            atomic_load_explicit(&queue->ring[(head + i) & OAI_RING_MASK], memory_order_relaxed);
    // Relaxed, as in oai_runq_pop().
    if (!atomic_compare_exchange_strong_explicit(&queue->head, &head, head + OAI_BLOCK_SIZE,
                                                 memory_order_relaxed, memory_order_relaxed)) {
        recycle_block(queue, block);
        return true;
    }
    block->count = OAI_BLOCK_SIZE;
    put_block(queue, block);
    return true;
}

bool oai_runq_push_full(oai_runq_t *queue, oai_task_t *task)
{
    uint64_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&queue->head, memory_order_relaxed);
    if (tail - head >= OAI_RING_SIZE && !shed_half(queue, head))
        return false;
    return oai_runq_push(queue, task);
}

// Puts the tasks of a block into the owner's own ring, which has room for all of them, and returns
// the first.
static oai_task_t *unpack_block(oai_runq_t *queue, oai_block_t *block)
{
    uint64_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
    oai_task_t *first = block->tasks[block->first];
    for (uint32_t i = 1; i < block->count; i++)
        atomic_store_explicit(&queue->ring[tail++ & OAI_RING_MASK], block->tasks[block->first + i],
                              memory_order_relaxed);
    // Release: pairs with a thief's acquire of tail.
    atomic_store_explicit(&queue->tail, tail, memory_order_release);
    recycle_block(queue, block);
    return first;
}

// Whether the owner's ring has room for a whole block. The acquire pairs with the release of the
// thieves that made the room.
static bool room_for_block(oai_runq_t *queue)
{
    uint64_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&queue->head, memory_order_acquire);
    return tail - head <= OAI_RING_SIZE - OAI_BLOCK_SIZE;
}

oai_task_t *oai_runq_refill(oai_runq_t *queue)
{
    if (!room_for_block(queue))
        return NULL;
    oai_block_t *block = take_block(queue, true);
    return block ? unpack_block(queue, block) : NULL;
}

oai_task_t *oai_runq_pop_oldest(oai_runq_t *queue, bool patient)
{
    if (atomic_load_explicit(&queue->blocks, memory_order_relaxed) == 0)
        return NULL;
    oai_task_t *task = NULL;
    oai_lock(&queue->lock);
    oai_block_t *block = patient && !queue->behind ? NULL : longest_waiting(queue);
    if (block) {
        task = block->tasks[block->first++];
        if (--block->count == 0)
            unlink_block(queue, block);
        else
            block = NULL;
    }
    oai_unlock(&queue->lock);
    if (block) {
        oai_sync_acquire(block);
        recycle_block(queue, block);
    }
    return task;
}

// Moves the older half of the victim's ring, at least one task, into the thief's own ring.
static oai_task_t *steal_half(oai_runq_t *victim, oai_runq_t *mine)
{
    uint64_t put = atomic_load_explicit(&mine->tail, memory_order_relaxed);
    // Acquire: the look at tail below must not be older than this one.
    uint64_t head = atomic_load_explicit(&victim->head, memory_order_acquire);
    // Acquire: pairs with the release of the owner's push.
    uint64_t tail = atomic_load_explicit(&victim->tail, memory_order_acquire);
    uint64_t count = tail - head;
    if (count == 0 || count > OAI_RING_SIZE) // more: head was stale, others are at it
        return NULL;
    count -= count / 2;
    oai_task_t *first =
        atomic_load_explicit(&victim->ring[head & OAI_RING_MASK], memory_order_relaxed);
    for (uint64_t i = 1; i < count; i++) {
        oai_task_t *task =
            atomic_load_explicit(&victim->ring[(head + i) & OAI_RING_MASK], memory_order_relaxed);
        atomic_store_explicit(&mine->ring[(put + i - 1) & OAI_RING_MASK], task,
                              memory_order_relaxed);
    }
    // Release: pairs with the owner's acquire of head in push: our reads of the places come
    // before it writes them again.
    if (!atomic_compare_exchange_strong_explicit(&victim->head, &head, head + count,
                                                 memory_order_release, memory_order_relaxed))
        return NULL;
    // Release: pairs with the next thief's acquire of tail.
    atomic_store_explicit(&mine->tail, put + count - 1, memory_order_release);
    return first;
}

oai_task_t *oai_runq_steal(oai_runq_t *victim, oai_runq_t *mine)
{
    if (!room_for_block(mine))
        return NULL;
    if (atomic_load_explicit(&victim->blocks, memory_order_relaxed) != 0) {
        oai_block_t *block = take_block(victim, false);
        if (block)
            return unpack_block(mine, block);
    }
    return steal_half(victim, mine);
}

size_t oai_runq_length(const oai_runq_t *queue)
{
    uint64_t head = atomic_load_explicit(&queue->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
    size_t length = tail > head ? (size_t)(tail - head) : 0;
    if (atomic_load_explicit(&queue->next, memory_order_relaxed))
        length++;
    return length + atomic_load_explicit(&queue->blocks, memory_order_relaxed) * OAI_BLOCK_SIZE;
}
