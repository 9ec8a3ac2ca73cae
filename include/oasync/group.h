// SPDX-License-Identifier: BSD-2-Clause
// oasync/group.h - structured concurrency: wait for, or cancel, a set of tasks as one.
//
//     oa_group_t group = OA_GROUP_INIT;
//     for (int i = 0; i < n; i++)
//         oa_go(work, &items[i], .group = &group);
//     oa_group_wait(&group);
//
// In memory that exists already:
//
//     oa_group_init(&server->group);
//     ...
//     if (oa_group_destroy(&server->group) == 0) // nobody uses it any more
//         free(server);
//
// A group is a struct of the caller's with nothing to free; all-zero bytes are an empty group. It
// must outlive its tasks and must not be copied or moved while in use. Tasks of the group may add
// tasks to it.
#ifndef OASYNC_GROUP_H
#define OASYNC_GROUP_H

#include <stdint.h>

#include "task.h"
#include "time.h"

#ifdef __cplusplus
extern "C" {
#endif

struct oa_group {
    uint64_t oa_private[12]; // the library's own, with a reserve
};

#define OA_GROUP_INIT {{0}}

// Makes an empty group in `group`, which must not be in use.
// Any thread; never waits; cannot fail.
void oa_group_init(oa_group_t *group);

// Waits until every task of the group has ended or was dropped; at once when there is none. The
// group is then ready for use again, also when it was cancelled, and may be freed by the caller. A
// cancel of the calling task does not interrupt it: it is handed to the group, whose end is waited
// for, and then -ECANCELED is returned.
// Any thread; waits.
// Returns 0, or
//  -EINVAL     group is NULL;
//  -EDEADLK    the caller is a task of this group;
//  -ECANCELED  the calling task was cancelled; every task of the group has ended all the same;
//  -ENOMEM     the caller cannot be parked (see the top of task.h); the tasks run on.
int oa_group_wait(oa_group_t *group);

// As oa_group_wait(), until a deadline at the latest, and interrupted by a cancel, which the group
// is not told of. In both cases its tasks run on: cancel the group, then wait.
// Returns as oa_group_wait(), but
//  -ETIMEDOUT  the deadline has passed and tasks were left;
//  -ECANCELED  the calling task was cancelled; tasks may be left.
int oa_group_wait_until(oa_group_t *group, int64_t deadline);

// Cancels every task of the group, each as oa_cancel() does, and refuses new ones (oa_go returns
// -ECANCELED) until a wait for the group has returned. Cancelling again changes nothing.
// Any thread, tasks of the group too; never waits.
// Returns 0, or
//  -EINVAL  group is NULL.
int oa_group_cancel(oa_group_t *group);

// Checks that the group has no task and nobody waits for it; changes nothing.
// Any thread; never waits.
// Returns 0, or
//  -EINVAL  group is NULL;
//  -EBUSY   it has tasks or is waited for.
int oa_group_destroy(oa_group_t *group);

#ifdef __cplusplus
}
#endif

#endif
