// SPDX-License-Identifier: BSD-2-Clause
// pool.h - OS threads that are no workers, for what may block them.
//
// Owns:    a coordinator's pool of threads with the queue of what waits for one of them, and the
//          threads of pinned tasks.
// Callers: whoever lets a blocking or pinned task begin; oa_block(); the coordinator's end.
// Design:  told in pool.c.
#ifndef OAI_SCHED_POOL_H
#define OAI_SCHED_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/list.h"
#include "base/lock.h"
#include "oasync/task.h"
#include "sched/timer.h"

typedef struct oai_task oai_task_t;

// What waits for a thread: a task that has not begun, which holds it in itself, or a call of
// oa_block(), on its caller's stack. Under the pool's lock while it is linked.
typedef struct oai_job {
    oai_link_t link;
    bool call; // of oa_block()
} oai_job_t;

struct oai_host;

// Everything under the lock, but where said.
typedef struct oai_pool {
    oai_lock_t lock;
    oai_list_t jobs;          // what waits for a thread of the pool, in its order
    oai_list_t pinned;        // pinned tasks for which no thread could be made yet
    oai_list_t idle;          // threads without a job, the latest first
    struct oai_host *retired; // the thread that left last: to be joined
    int threads;              // of the pool, those being made too
    int most;                 // constant
    bool closed;              // no job will come any more
    bool retrying;          // `retry` is in its shard, or has just been taken out to be worked off
    bool told;              // that no thread could be made
    oai_deadline_t retry;   // of no task: then it is tried again to make threads
    _Atomic uint32_t made;  // threads so far, for their names
    _Atomic uint64_t parks; // waits of hosted tasks; by anybody
} oai_pool_t;

// most 0: the default.
void oai_pool_init(oai_pool_t *pool, int most);

// A blocking or pinned task may begin. start: 0, or -EAGAIN or -ENOMEM, if there is no thread for
// it and none can be made now; then it is the caller's still. host: a thread is found or will be.
int oai_pool_start(oa_coord_t *coord, oai_task_t *task);
void oai_pool_host(oa_coord_t *coord, oai_task_t *task);

// A task, which the caller has pinned, is cancelled before a thread has come to it; false when one
// has.
bool oai_pool_withdraw(oai_pool_t *pool, oai_task_t *task);

// The coordinator is being cancelled: takes the tasks to which no thread has come, linked by
// `next`.
oai_task_t *oai_pool_withdraw_all(oai_pool_t *pool);

// The time has come to try again to make threads that could not be made.
void oai_pool_retry(oa_coord_t *coord);

// The coordinator has ended: every thread leaves.
void oai_pool_close(oai_pool_t *pool);

// No thread is a user of the coordinator any more: joins what there is.
void oai_pool_join(oai_pool_t *pool);

#endif
