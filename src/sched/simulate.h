// SPDX-License-Identifier: BSD-2-Clause
// simulate.h - a coordinator whose schedule and clock come from a seed (oa_config_t.simulate).
//
// Owns:    all that a simulated coordinator has beside the others: its clock, its ids, the tasks
//          that are ready, and who runs next. Told in simulate.c.
// Callers: its only worker, but where said.
#ifndef OAI_SCHED_SIMULATE_H
#define OAI_SCHED_SIMULATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "oasync/task.h"

typedef struct oai_task oai_task_t;
typedef struct oai_sim oai_sim_t;

// Makes what a coordinator of this seed needs. NULL: no memory.
oai_sim_t *oai_sim_create(uint64_t seed);
void oai_sim_destroy(oai_sim_t *sim);

// The tasks that are ready, as many as one choice is made among. choose: who runs next; NULL: there
// is none. A task that has just `yielded` is chosen only if there is no other.
bool oai_sim_has_room(const oai_sim_t *sim);
void oai_sim_add(oai_sim_t *sim, oai_task_t *task);
oai_task_t *oai_sim_choose(oa_coord_t *coord);
void oai_sim_yields(oai_sim_t *sim, const oai_task_t *task);

// Nothing is ready. True: that has changed, for the clock has been set to the next expiry
// (INT64_MAX: there is none), or a deadlock was broken.
bool oai_sim_idle(oa_coord_t *coord, int64_t next);

// Any thread: its time, ns; the first `count` of ids that were never given out before; a thread
// that is not its worker acts on it, so that the run cannot be repeated.
int64_t oai_sim_now(const oai_sim_t *sim);
uint64_t oai_sim_ids(oai_sim_t *sim, uint64_t count);
void oai_sim_outside(oa_coord_t *coord);

// The time for the one who asks, which goes on a little by that.
int64_t oai_sim_look(oai_sim_t *sim);

// The number of a task in its simulation: the first is 1.
uint64_t oai_sim_number(const oai_task_t *task);

// What the random choices of primitives begin with.
uint64_t oai_sim_worker_seed(const oai_sim_t *sim);

uint64_t oai_sim_seed(const oai_sim_t *sim);

// It begins, and has ended: for the log. Whether there was a deadlock.
void oai_sim_begins(oa_coord_t *coord);
void oai_sim_ends(oa_coord_t *coord);
bool oai_sim_deadlocked(const oai_sim_t *sim);

// All tasks wait for each other (deadlock.c): how many do; tells where each waits; breaks their
// waits, which return -EDEADLK, and cancels them all. To be called again if all wait once more.
size_t oai_deadlock_size(oa_coord_t *coord);
void oai_deadlock_tell(oa_coord_t *coord);
void oai_deadlock_break(oa_coord_t *coord);

#endif
