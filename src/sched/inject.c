// SPDX-License-Identifier: BSD-2-Clause
// inject.c - the queue of what comes from outside (see inject.h).
#include "sched/inject.h"

#include "sched/internal.h"

void oai_inject_dropped(oai_inject_t *inject)
{
    oai_lock(&inject->lock);
    inject->dropped++;
    oai_unlock(&inject->lock);
}

void oai_inject_put(oai_inject_t *inject, oai_task_t *task)
{
    task->next = NULL;
    oai_lock(&inject->lock);
    if (inject->last)
        inject->last->next = task;
    else
        inject->first = task;
    inject->last = task;
    uint32_t length = atomic_load_explicit(&inject->length, memory_order_relaxed);
    // Relaxed: a hint. Whoever goes to sleep looks again after the barrier in idle.c, and the
    // task itself is published by the lock.
    atomic_store_explicit(&inject->length, length + 1, memory_order_relaxed);
    oai_unlock(&inject->lock);
}

oai_task_t *oai_inject_take(oai_inject_t *inject, size_t most)
{
    if (oai_inject_length(inject) == 0)
        return NULL;
    oai_lock(&inject->lock);
    oai_task_t *first = inject->first;
    oai_task_t *last = NULL;
    size_t taken = 0;
    for (oai_task_t *task = first; task && taken < most; task = task->next) {
        last = task;
        taken++;
    }
    if (last) {
        inject->first = last->next;
        if (!inject->first)
            inject->last = NULL;
        last->next = NULL;
    }
    uint32_t length = atomic_load_explicit(&inject->length, memory_order_relaxed);
    atomic_store_explicit(&inject->length, length - (uint32_t)taken, memory_order_relaxed);
    oai_unlock(&inject->lock);
    return taken ? first : NULL;
}
