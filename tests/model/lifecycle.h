// SPDX-License-Identifier: BSD-2-Clause
// lifecycle.h - what the models of a coordinator's life share: its tasks, the threads that use it,
// what is before and after.
//
// Owns:    the coordinator that is modelled, and what is known of its tasks.
// Callers: lifecycle_model.c, waiters_model.c.
// Design:  the tasks of a model are numbered; a task's argument is its number's entry in life_ran.
#pragma once

#include "model.h"
#include "sched/sched.h"
#include "stub_coord.h"
#include "stub_worker.h"

enum { LIFE_TASKS = 6 };

extern oa_coord_t *life_coord;
extern int life_ran[LIFE_TASKS], life_dropped[LIFE_TASKS]; // plain: by the task, or who drops it
extern int life_taken; // tasks that life_spawns() has spawned; plain: one thread's

// Outcomes for must_see.
enum { RAN, DROPPED, REFUSED, TIMED_OUT, BUSY, WOKEN, CANCELLED, PARKED, NOT_BEGUN };

// ---- Tasks --------------------------------------------------------------------------------------

void life_leaf(void *mine);
void life_drop(void *mine);

// Ends when somebody has unblocked the thread life_blocked, which is its worker's.
void life_blocks(void *mine);
extern int life_blocked;

// ---- Threads that are no workers ----------------------------------------------------------------

// Waits for the end, and frees the coordinator.
void life_waits(void *unused);

// Spawns task 3, unless that is refused.
void life_spawns(void *unused);

// ---- Before and after ---------------------------------------------------------------------------

// In setup, before anything else.
void life_reset(void);

// Makes the coordinator; fn is task 0.
void life_start(oa_fn *fn, int workers);

// The same, but no threads are started: the model's do what workers do, but never sleep. Each runs
// its tasks by life_run(); NULL is none.
void life_start_bare(oa_fn *fn, int workers);
void life_run(oai_worker_t *worker, oai_task_t *task);

// In check: the coordinator was freed, once; and task 0 has run.
void life_gone(void);
void life_first_ran(void);
