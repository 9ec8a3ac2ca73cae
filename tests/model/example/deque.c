// SPDX-License-Identifier: BSD-2-Clause
// deque.c - a bounded Chase-Lev deque; see deque.h.
#include "deque.h"

#include <stddef.h>

void deque_init(struct deque *d)
{
    atomic_init(&d->top, 0);
    atomic_init(&d->bottom, 0);
    for (int i = 0; i < DEQUE_SIZE; i++)
        atomic_init(&d->slots[i], NULL);
}

bool deque_push(struct deque *d, void *item)
{
    long bottom = atomic_load_explicit(&d->bottom, memory_order_relaxed);
    // Acquire: the thief that made this slot free has read it.
    long top = atomic_load_explicit(&d->top, memory_order_acquire);
    if (bottom - top >= DEQUE_SIZE)
        return false;
    atomic_store_explicit(&d->slots[bottom % DEQUE_SIZE], item, memory_order_relaxed);
    // Release: pairs with the acquire of bottom in deque_steal().
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&d->bottom, bottom + 1, memory_order_relaxed);
    return true;
}

void *deque_take(struct deque *d)
{
    long bottom = atomic_load_explicit(&d->bottom, memory_order_relaxed) - 1;
    atomic_store_explicit(&d->bottom, bottom, memory_order_relaxed);
    // Dekker with deque_steal(): here bottom is written and top is read, there the other way round.
    atomic_thread_fence(memory_order_seq_cst);
    long top = atomic_load_explicit(&d->top, memory_order_relaxed);
    void *item = NULL;
    if (top <= bottom)
        item = atomic_load_explicit(&d->slots[bottom % DEQUE_SIZE], memory_order_relaxed);
    if (top < bottom)
        return item;
    // The last one: thieves may want it too.
    if (top == bottom && !atomic_compare_exchange_strong_explicit(
                             &d->top, &top, top + 1, memory_order_seq_cst, memory_order_relaxed))
        item = NULL;
    atomic_store_explicit(&d->bottom, bottom + 1, memory_order_relaxed);
    return item;
}

void *deque_steal(struct deque *d)
{
    long top = atomic_load_explicit(&d->top, memory_order_acquire);
    atomic_thread_fence(memory_order_seq_cst);
    // Acquire: pairs with the release fence in deque_push().
    long bottom = atomic_load_explicit(&d->bottom, memory_order_acquire);
    if (top >= bottom)
        return NULL;
    void *item = atomic_load_explicit(&d->slots[top % DEQUE_SIZE], memory_order_relaxed);
    if (!atomic_compare_exchange_strong_explicit(&d->top, &top, top + 1, memory_order_seq_cst,
                                                 memory_order_relaxed))
        return NULL;
    return item;
}
