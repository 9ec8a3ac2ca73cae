// SPDX-License-Identifier: BSD-2-Clause
// inject.h - where threads that are no worker of a coordinator put what is to run there.
//
// Owns:    a list of ready tasks in their order, how many tasks came from outside and how many of
//          them were dropped there, and whether more may come.
// Callers: put, any thread; take, workers.
// Design:  a short lock. That the last task has ended is found out under the same lock, so that a
//          task from outside either comes before the end or is refused.
#ifndef OAI_SCHED_INJECT_H
#define OAI_SCHED_INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/lock.h"

typedef struct oai_task oai_task_t;

typedef struct oai_inject {
    oai_lock_t lock;
    oai_task_t *first, *last;  // under the lock; linked by `next`
    _Atomic uint32_t length;   // written under the lock, read by anybody as a hint
    bool closed;               // no task comes from outside any more; under the lock
    uint64_t spawned, dropped; // tasks from outside; under the lock
} oai_inject_t;

// A task that was dropped by no worker of the coordinator has ended.
void oai_inject_dropped(oai_inject_t *inject);

// Puts a ready task last; never fails.
void oai_inject_put(oai_inject_t *inject, oai_task_t *task);

// Takes the first tasks, `most` at most, in their order, linked by `next`; NULL: none.
oai_task_t *oai_inject_take(oai_inject_t *inject, size_t most);

static inline size_t oai_inject_length(const oai_inject_t *inject)
{
    return atomic_load_explicit(&inject->length, memory_order_relaxed);
}

#endif
