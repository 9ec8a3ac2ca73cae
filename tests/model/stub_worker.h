// SPDX-License-Identifier: BSD-2-Clause
// stub_worker.h - worker.c as models of a coordinator's life see it: what a worker does, shortened,
// and tasks that park without stacks.
//
// Owns:    the loops.
// Callers: models that list stub_worker.c beside stub_coord.c, instead of worker.c.
// Design:  a loop takes from the injection queue, from its own queue, from the others', and sleeps
//          by the shipped idle protocol, in the order of oai_worker_find(). When a task parks, its
//          model thread blocks, and the worker goes on in a new model thread, as the shipped one
//          does on a new stack; the loop that resumes a task is left for good. Its "registers" are
//          a plain field, as in stub_sched.h.
#pragma once

#include <stdbool.h>

#include "sched/internal.h"

// In setup, before the coordinator is made: some task of this model parks.
extern bool stub_parks;

void stub_worker_reset(void);

// In setup: a task that was made and counted is parked already. Its wait was begun and linked by
// the caller, in its name. When it is resumed `rest` is run, by whoever resumes it.
void stub_parked(oai_task_t *task, oa_fn *rest);
