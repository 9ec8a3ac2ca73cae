// SPDX-License-Identifier: BSD-2-Clause
// stub_coord.h - what a model of whole coordinators gives the shipped coord.c instead of the rooms
// that it leaves out: stacks, slabs, timers, groups, and who the calling thread is.
//
// Owns:    the memory of one coordinator and of its tasks.
// Callers: models that list stub_coord.c among their sources, with coord.c, idle.c and inject.c.
// Design:  what coord.c maps is a buffer here; once it is unmapped the coordinator and its workers
//          are dead, so that a late touch is an error. Slots of tasks are carved as slab.c does it
//          and never used again. Everything marked weak may be replaced by the shipped file.
#pragma once

#include "sched/internal.h"

enum { STUB_TASKS = 8, STUB_THREADS = 16 };

#define REPLACEABLE __attribute__((weak))

// In setup, before anything else.
void stub_reset(void);

// Slots carved so far.
int stub_carved(void);
oai_task_t *stub_slot(int index);
int stub_index(const oai_task_t *task);

// How often a coordinator's memory was unmapped.
extern int stub_unmapped;
