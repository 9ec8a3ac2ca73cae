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
#include "sched/wait.h"

struct oai_task;

// Reads an option struct that begins with its size: an older, smaller one is filled up with zeros,
// a larger one must be zero beyond what is known. 0, -EINVAL (NULL, or smaller than `least`),
// -E2BIG.
int oai_options_read(void *known, size_t known_size, const void *given, size_t least);

// ---- The life of a coordinator (runtime.c) ----------------------------------------------------

enum { OAI_MOST_WORKERS = 1024 };

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

// How a coordinator that has ended did so: 0, or -EDEADLK.
int oai_coord_outcome(const oa_coord_t *coord);

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

// ---- Gates (src/sync) --------------------------------------------------------------------------

// What a primitive does for a task that has it as a gate. The task does not run: none of these
// waits.
typedef struct oai_gate {
    const char *name;
    // Whether it can be a gate at all; NULL: it always can.
    bool (*valid)(const void *object);
    // 0: wait->task is in; -EINPROGRESS: its wait is linked, and nobody's but the object's; another
    // error: it never will be.
    int (*enter)(void *object, oai_wait_t *wait);
    // The wait of a task that was held here was broken.
    void (*withdraw)(void *object, oai_wait_t *wait);
    // Gives back what a task that was let in has; NULL: it has nothing.
    void (*leave)(void *object, struct oai_task *task);
} oai_gate_t;

extern const oai_gate_t oai_latch_gate, oai_barrier_gate, oai_backpressure_gate, oai_sem_gate,
    oai_mutex_gate;

// ---- Consumers (sync/consumer.c) ---------------------------------------------------------------

// What a consumer is to the scheduler: told in dormant.c.
typedef struct oai_dormant {
    oa_coord_t *coord;     // constant, as `self` and the function
    struct oai_task *self; // never runs: what handle, group and cancel see
    struct oai_task *call; // runs the calls; while it rests it is counted by nobody. Written by who
                           //   has taken it from its loop, under the object's lock
    oa_fn *calls;          // what the call's task runs, given this struct
    void *arg;             // what the context of each call begins with
    oai_link_t link;       // of all that a coordinator has: under its lock, as the next
    bool swept;            // the coordinator is being cancelled, and this one has been
    oai_wait_t wait;       // how the call is queued: whose who has woken it
} oai_dormant_t;

// Makes the two tasks, with the options of `spec`, and counts one as running, as oa_go would; then
// begin finds out whether there is anything to call. 0, or what oa_go returns.
int oai_dormant_create(oai_dormant_t *dormant, const oa_spec_t *spec, oa_fn *calls);
void oai_dormant_begin(oai_dormant_t *dormant);

// Counts one that rests as running, so that its coordinator lives, under the object's lock. When
// that is released the caller owes it an oai_wait_ready() of what wake has returned (NULL: the
// coordinator has ended or is being cancelled, nothing was done), or, after a dismiss (false: it
// has ended), a discard.
oai_wait_t *oai_dormant_wake(oai_dormant_t *dormant);
bool oai_dormant_dismiss(oai_dormant_t *dormant);
void oai_dormant_discard(oai_dormant_t *dormant);

// The call's task, before a row of so many calls; then between two of them: the next one is another
// task to the user. False: there shall be no other.
void oai_dormant_row(oai_dormant_t *dormant, unsigned most);
bool oai_dormant_next(oai_dormant_t *dormant);

// Whether it was cancelled, or its coordinator is being.
bool oai_dormant_ending(const oai_dormant_t *dormant);

// Tells group and joiner that the consumer is over, and frees the two tasks.
void oai_dormant_destroy(oai_dormant_t *dormant);

// The consumer's side. rest: there is more to call, or it rests from now on and may be woken by
// others at once, or it is over and nobody else will touch it. end: it is over, `dormant` is gone.
typedef enum oai_rest { OAI_MORE, OAI_RESTS, OAI_OVER } oai_rest_t;
oai_rest_t oai_consumer_rest(oai_dormant_t *dormant);
void oai_consumer_end(oai_dormant_t *dormant);

// Another task runs the calls from here on.
void oai_consumer_replace(oai_dormant_t *dormant, struct oai_task *call);

// The consumer is cancelled as a whole. True: it rested; it was woken and is the caller's to
// discard.
bool oai_consumer_cancel(oai_dormant_t *dormant);

// Cancels the call that runs.
void oai_dormant_cancel(oai_dormant_t *dormant);

#endif
