// SPDX-License-Identifier: BSD-2-Clause
// own.h - what a task owns beside its struct: its context, temp memory and values of locals.
//
// Owns:    oai_own_t, the record of one task. It stands in the header of the stack on which the
//          task runs, which is the task's from its first instruction to its end: a fresh task runs
//          on the loop's stack, and if it waits, that one goes with it.
// Callers: the task itself, and worker.c when its function has returned.
// Design:  nothing is made or zeroed for a task that asks for none of it. The first to ask sets
//          OAI_TASK_OWN and zeroes the record; the end of a task looks at that flag alone. The
//          values of locals stand in the task's temp memory, so that one list is all there is to
//          free.
#ifndef OAI_SCHED_OWN_H
#define OAI_SCHED_OWN_H

#include "sched/internal.h"

// How many bits of a key are its index. Overridden by models alone.
#ifndef OAI_LOCAL_BITS
#define OAI_LOCAL_BITS 10
#endif

// What a local is for one task.
typedef struct oai_value {
    oa_local_t key; // which is perhaps deleted by now
    void *value;
} oai_value_t;

// A task's values, each at the index that its key names.
typedef struct oai_values {
    size_t count;
    oai_value_t at[];
} oai_values_t;

// A block of temp memory.
typedef struct oai_chunk {
    struct oai_chunk *older;
    char *next, *end; // its free part
    // The task's values, or NULL: counts in the newest chunk, to which it is carried on.
    oai_values_t *values;
    _Alignas(16) char bytes[];
} oai_chunk_t;

typedef struct oai_own {
    oa_context_t context;
    oai_chunk_t *chunk; // the newest; NULL: none
} oai_own_t;

_Static_assert(sizeof(oai_own_t) <= OAI_STACK_ROOM, "it fits into the header of a stack");

// The record of the calling task, made if there is none yet; NULL: outside of a task.
oai_own_t *oai_own(void);

// The values of the calling task; NULL: it has set none, or outside of a task.
oai_values_t *oai_own_values(void);

// Temp memory for the task of this record; NULL: no memory.
void *oai_own_take(oai_own_t *own, size_t size);

// Calls the destroyers of the calling task's values. They may wait.
void oai_locals_end(oai_own_t *own);

#endif
