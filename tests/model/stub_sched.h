// SPDX-License-Identifier: BSD-2-Clause
// stub_sched.h - the scheduler as models of waiting see it: a model thread stands for a task.
//
// Owns:    tasks in a slab of their own, and a worker for each model thread.
// Callers: models of what waits: list stub_sched.c among their sources.
// Design:  a task that parks writes a plain field that stands for its registers, is marked saved by
//          the shipped oai_wait_saved(), and blocks. What would queue it, oai_task_ready(), reads
//          that field and unblocks it. So a missing order between the two is a data race, and who
//          is resumed twice, or before it is saved, is noticed. A plain thread is any other model
//          thread: it has no worker. A deadline that is inserted makes a thread that fires it at
//          whatever moment, unless it was removed before.
#pragma once

#include "sched/internal.h"

enum { STUB_TASKS = 6 };

extern oa_coord_t stub_coord;

// Options, to be set by setup after stub_reset().
extern bool stub_next_stack;  // what runs after a switch runs beside the task, if that is resumed
extern int stub_refusals;     // how often a thread's oai_worker_prepare() may fail
extern bool stub_keeps_stack; // but not of a task that has waited: who resumed it left a stack
extern bool stub_has_stacks;  // each worker has a stack at hand: what is quick then goes that way

// What queues a task that is held at a gate: there is no thread to unblock.
extern void (*stub_held_ready)(oai_task_t *task);

// In setup, before anything else of this file.
void stub_reset(void);

// A model thread that is a task: the next of the slab.
oai_task_t *stub_task(const char *name, void (*fn)(void *), void *arg);

// The same for a hosted task.
oai_task_t *stub_hosted_task(const char *name, void (*fn)(void *), void *arg);

// A slot of the slab.
oai_task_t *stub_slot(int index);

// In setup: the last `count` slots are free in the coordinator's pool (the shipped slab.c).
void stub_pool(int count);

// How many of them are free now, in the pool and in all workers' caches.
int stub_pool_free(void);

// The calling model thread is this task from now on, or none (NULL): a plain thread, or with
// `worker` a worker that runs no task.
void stub_become(oai_task_t *task, bool worker);

// How often the calling task has parked and gone on.
int stub_resumed(void);

// The worker that stands for the calling model thread, whether it runs a task or not.
oai_worker_t *stub_worker(void);

// Cancels a task that cannot end meanwhile, as task.c does.
void stub_cancel(oai_task_t *task);
