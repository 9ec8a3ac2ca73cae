// SPDX-License-Identifier: BSD-2-Clause
// cond.c - a condition variable.
//
// A waiter stands in the list before it unlocks the mutex, so that whoever changes what it waits
// for, under that mutex, finds it there. However its wait has ended, it locks the mutex again.
//
// Last touch: who signals has released the list's lock before the waiter can go on, and a waiter
// whose wait was broken takes that lock once more before it returns.
#include <errno.h>

#include "base/assert.h"
#include "base/lock.h"
#include "oasync/sync.h"
#include "sched/wait.h"
#include "sync/mutex.h"

typedef struct cond {
    oai_waiters_t waiters; // under `lock`
    oai_lock_t lock;
} cond_state_t;

_Static_assert(sizeof(cond_state_t) <= sizeof(oa_cond_t), "fits what is public");

static cond_state_t *state_of(oa_cond_t *cond)
{
    return (cond_state_t *)(void *)cond;
}

void oa_cond_init(oa_cond_t *cond)
{
    *cond = (oa_cond_t)OA_COND_INIT;
}

// With the mutex held, which stays so. 0; -ETIMEDOUT: nothing was done.
static int enqueue(cond_state_t *cond, oai_wait_t *wait, int64_t deadline)
{
    if (oai_wait_expired(deadline))
        return -ETIMEDOUT;
    oai_lock(&cond->lock);
    oai_wait_link(&cond->waiters, wait);
    oai_unlock(&cond->lock);
    return 0;
}

static void withdraw(cond_state_t *cond, oai_wait_t *wait)
{
    oai_lock(&cond->lock);
    oai_wait_unlink(&cond->waiters, wait);
    oai_unlock(&cond->lock);
}

static int wait_on(cond_state_t *cond, oa_mutex_t *mutex, int64_t deadline)
{
    oai_wait_t wait;
    int err = oai_wait_begin(&wait, true);
    if (err == 0)
        err = enqueue(cond, &wait, deadline);
    if (err)
        return err;
    oa_mutex_unlock(mutex);
    oai_waits_for("oa_cond_wait", cond, NULL, false);
    err = oai_wait_park(&wait, deadline);
    if (err)
        withdraw(cond, &wait);
    // It cannot lack a stack to wait: a worker on which a task goes on has one (worker.c).
    int locked = oa_mutex_lock(mutex);
    OAI_REQUIRE(locked == 0 || locked == -EDEADLK);
    return locked ? -EPERM : err; // nobody could go on: it is not held
}

int oa_cond_wait_until(oa_cond_t *cond, oa_mutex_t *mutex, int64_t deadline)
{
    if (!cond || !mutex)
        return -EINVAL;
    oai_point("oa_cond_wait", cond);
    return oai_mutex_held(mutex) ? wait_on(state_of(cond), mutex, deadline) : -EPERM;
}

int oa_cond_wait(oa_cond_t *cond, oa_mutex_t *mutex)
{
    return oa_cond_wait_until(cond, mutex, OA_FOREVER);
}

int oa_cond_signal(oa_cond_t *given)
{
    if (!given)
        return -EINVAL;
    cond_state_t *cond = state_of(given);
    oai_point(__func__, given);
    oai_lock(&cond->lock);
    oai_wait_t *wait = oai_wait_claim_first(&cond->waiters);
    oai_unlock(&cond->lock);
    if (wait)
        oai_wait_ready(wait);
    oai_point(__func__, given);
    return 0;
}

int oa_cond_broadcast(oa_cond_t *given)
{
    if (!given)
        return -EINVAL;
    cond_state_t *cond = state_of(given);
    oai_point(__func__, given);
    oai_list_t claimed = {NULL, NULL};
    oai_lock(&cond->lock);
    oai_wait_claim_all(&cond->waiters, 0, &claimed);
    oai_unlock(&cond->lock);
    oai_wait_ready_all(&claimed);
    oai_point(__func__, given);
    return 0;
}

int oa_cond_destroy(oa_cond_t *given)
{
    if (!given)
        return -EINVAL;
    oai_point(__func__, given);
    cond_state_t *cond = state_of(given);
    oai_lock(&cond->lock);
    bool busy = oai_wait_busy(&cond->waiters);
    oai_unlock(&cond->lock);
    return busy ? -EBUSY : 0;
}
