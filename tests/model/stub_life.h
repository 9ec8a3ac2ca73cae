// SPDX-License-Identifier: BSD-2-Clause
// stub_life.h - tasks that are made, run and end, for models of what happens to them.
//
// Callers: models that list stub_sched.c, stub_life.c and the shipped task.c and slab.c.
// Design:  a task is made by the shipped oai_task_make() and runs as a model thread of its own,
//          which ends it as the loop of worker.c does: then it is a worker without a task.
#pragma once

#include "stub_sched.h"

// In setup, after stub_reset(): slots for `count` tasks.
void stub_life(int count);

// A task with these options of a spec: makes it and its thread, in setup or by a running thread.
// When it begins while it is cancelled it is dropped, as worker.c has it. NULL: its group is
// cancelled, and it was dropped.
oai_task_t *stub_go(const char *name, const oa_spec_t *spec);

// The same, but delayed: a thread lets it begin at whatever moment, unless it was cancelled before.
oai_task_t *stub_go_delayed(const char *name, const oa_spec_t *spec);

// In check: all tasks were freed once, and nobody uses the coordinator.
void stub_life_over(void);

// How many tasks have run, and how many were told to stub_dropped(): the drop of a spec.
extern _Atomic int stub_ran, stub_drops;
void stub_dropped(void *arg);
