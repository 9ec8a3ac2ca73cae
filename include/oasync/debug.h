// SPDX-License-Identifier: BSD-2-Clause
// oasync/debug.h - looking inside a running coordinator.
#ifndef OASYNC_DEBUG_H
#define OASYNC_DEBUG_H

#include <stddef.h>
#include <stdint.h>

#include "task.h"

#ifdef __cplusplus
extern "C" {
#endif

// What a coordinator has and has done. While it runs, the figures are read one after the other,
// without stopping anybody: each was true at some moment during the call, but that among the tasks
// alive may still be some that ended meanwhile.
typedef struct oa_stats {
    size_t size;              // sizeof(oa_stats_t); OA_STATS_INIT fills it in
    uint64_t tasks_alive;     // spawned, and neither ended nor dropped
    uint64_t tasks_spawned;   // since the start
    uint64_t tasks_completed; // ended or dropped, since the start
    uint64_t dispatches;      // times that a task was begun or resumed
    uint64_t steals;          // times that a worker took tasks from another
    uint64_t parks;           // times that a task waited (a yield is no wait), counted when whoever
                              //   is to wake it can already see it
    uint64_t stacks_in_use;   // held by parked tasks and by the workers' loops
    uint64_t stacks_peak; // the most that were ever in use, or at hand in workers' caches, at once
    uint64_t stacks_mapped; // bytes of address space reserved for stacks now
} oa_stats_t;

#define OA_STATS_INIT {sizeof(oa_stats_t), 0, 0, 0, 0, 0, 0, 0, 0, 0}

// Fills `out`, as far as its `size` reaches; a tail that this library does not know is set to
// zero. `coord` NULL means the calling task's own.
// Any thread; never waits.
// Returns 0, or
//  -EINVAL  out is NULL or its size too small for the size field itself;
//  -EPERM   coord is NULL and the caller is no task.
int oa_stats(oa_coord_t *coord, oa_stats_t *out);

#ifdef __cplusplus
}
#endif

#endif
