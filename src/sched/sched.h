// SPDX-License-Identifier: BSD-2-Clause
// sched.h - the scheduler's face for the rooms above it, beside wait.h.
//
// Owns:    nothing. Callers: src/sync, src/debug, src/runtime.c.
#ifndef OAI_SCHED_SCHED_H
#define OAI_SCHED_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "oasync/debug.h"
#include "oasync/task.h"

struct oai_task;

// Reads an option struct that begins with its size: an older, smaller one is filled up with zeros, a
// larger one must be zero beyond what is known. 0, -EINVAL (NULL, or smaller than `least`), -E2BIG.
int oai_options_read(void *known, size_t known_size, const void *given, size_t least);

// ---- The life of a coordinator (runtime.c) ----------------------------------------------------

// Makes a coordinator whose first task is config->fn, and starts its workers; the calling thread
// becomes one of them in oai_coord_work() when `lend` is set. All of config has been checked for
// size. On an error nothing is left behind.
int oai_coord_create(oa_coord_t **out, const oa_config_t *config, bool lend);

// The calling thread works as worker 0 until the coordinator has ended.
void oai_coord_work(oa_coord_t *coord);

// The coordinator may end when no task is left.
void oai_coord_release(oa_coord_t *coord);

// Waits until the coordinator has ended. 0, -ETIMEDOUT, -ECANCELED, -ENOMEM; -EDEADLK from one of
// its own tasks; -EBUSY when another waits; -EINVAL for one that oa_run made.
int oai_coord_wait(oa_coord_t *coord, int64_t deadline);

// Joins the threads of a coordinator that has ended and frees it.
void oai_coord_destroy(oa_coord_t *coord);

// Counts what the coordinator has done so far; fills all but `size`.
void oai_coord_stats(oa_coord_t *coord, oa_stats_t *out);

// ---- Groups (sync/group.c) ---------------------------------------------------------------------

// The group's side of a task's life. enter: 0 or -ECANCELED. leave: the task has ended or was
// dropped; the group may be gone when it returns.
int oai_group_enter(oa_group_t *group, oai_link_t *member);
void oai_group_leave(oa_group_t *group, oai_link_t *member);

// Cancels the task that is this member, under the group's lock. If it was delayed, or waited for a
// thread, and shall never run it is put before `chain`, to be dropped by oai_tasks_drop() when the
// lock is released.
struct oai_task *oai_member_cancel(oai_link_t *member, struct oai_task *chain);
void oai_tasks_drop(struct oai_task *chain);

// The group of the calling task, or NULL.
oa_group_t *oai_task_group(void);

#endif
