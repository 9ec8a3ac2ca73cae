// SPDX-License-Identifier: BSD-2-Clause
// barrier.c - a cyclic barrier: holds who comes until so many have come, then lets them all go.
//
// Who waits is in a list, and has arrived while it is. The n-th to come empties the list: that is
// what makes a round full, and all of it are let go. One whose wait was broken at that moment was
// of that round all the same: it finds itself off the list and returns 0. Else it takes itself off.
//
// Last touch: who is let go may free the barrier, though another one of its round, whose wait was
// broken, has still to look whether it is in the list. So the lock does not stand in the barrier:
// it is one of a few that all barriers share. Who is off the list touches the barrier no more.
#include <errno.h>

#include "base/lock.h"
#include "oasync/sync.h"
#include "sched/sched.h"
#include "sched/wait.h"

typedef struct barrier {
    uint64_t n;       // constant
    uint64_t arrived; // how many are in the list: under the lock
    oai_list_t list;  // under the lock
} barrier_state_t;

_Static_assert(sizeof(barrier_state_t) <= sizeof(oa_barrier_t), "fits what is public");

enum { LOCK_BITS = 5 };

typedef struct shared_lock {
    _Alignas(OAI_CACHELINE) oai_lock_t lock;
} shared_lock_t;

// Not static, for the model alone: each of its executions begins with free ones.
extern shared_lock_t oai_barrier_locks[1 << LOCK_BITS];
shared_lock_t oai_barrier_locks[1 << LOCK_BITS];

static barrier_state_t *state_of(oa_barrier_t *barrier)
{
    return (barrier_state_t *)(void *)barrier;
}

// The lock of the barrier at this address. Fibonacci hashing: neighbours have different ones.
static oai_lock_t *lock_of(const barrier_state_t *barrier)
{
    uint64_t hash = (uint64_t)(uintptr_t)barrier * UINT64_C(0x9E3779B97F4A7C15);
    return &oai_barrier_locks[hash >> (64 - LOCK_BITS)].lock;
}

void oa_barrier_init(oa_barrier_t *barrier, int32_t n)
{
    *barrier = (oa_barrier_t)OA_BARRIER_INIT(n);
}

// Under the lock: the round is full. Who can still be let go is appended to `claimed`.
static void end_round(barrier_state_t *barrier, oai_list_t *claimed)
{
    oai_link_t *link;
    while ((link = oai_list_pop(&barrier->list)) != NULL) {
        oai_wait_t *wait = oai_container(link, oai_wait_t, link);
        wait->linked = false;
        if (oai_wait_claim(wait))
            oai_list_append(claimed, link);
    }
    barrier->arrived = 0;
}

// One has come. 1: it was the last of a round; -EINPROGRESS: its wait is linked; -ETIMEDOUT.
static int come(barrier_state_t *barrier, oai_wait_t *wait, int64_t deadline)
{
    oai_lock_t *lock = lock_of(barrier);
    oai_list_t claimed = {NULL, NULL};
    int err = -EINPROGRESS;
    oai_lock(lock);
    if (barrier->arrived + 1 == barrier->n) {
        end_round(barrier, &claimed);
        err = 1;
    } else if (oai_wait_expired(deadline)) {
        err = -ETIMEDOUT;
    } else {
        oai_wait_arm(wait);
        oai_list_append(&barrier->list, &wait->link);
        wait->linked = true;
        barrier->arrived++;
    }
    oai_unlock(lock);
    oai_wait_ready_all(&claimed);
    return err;
}

// A broken wait. True: its arrival is taken back. False: its round was full, the barrier may be
// gone.
static bool take_back(barrier_state_t *barrier, oai_wait_t *wait)
{
    oai_lock_t *lock = lock_of(barrier);
    oai_lock(lock);
    bool linked = wait->linked;
    if (linked) {
        oai_list_remove(&barrier->list, &wait->link);
        wait->linked = false;
        barrier->arrived--;
    }
    oai_unlock(lock);
    return linked;
}

int oa_barrier_wait_until(oa_barrier_t *given, int64_t deadline)
{
    oai_wait_t wait;
    if (!given || state_of(given)->n == 0)
        return -EINVAL;
    oai_point("oa_barrier_wait", given);
    int err = oai_wait_begin(&wait, true);
    if (err)
        return err;
    err = come(state_of(given), &wait, deadline);
    if (err == -EINPROGRESS) {
        err = oai_wait_park(&wait, deadline);
        err = err && take_back(state_of(given), &wait) ? err : 0;
    }
    oai_point("oa_barrier_wait", given);
    return err;
}

int oa_barrier_wait(oa_barrier_t *barrier)
{
    return oa_barrier_wait_until(barrier, OA_FOREVER);
}

static bool valid(const void *object)
{
    const barrier_state_t *barrier = object;
    return barrier->n != 0;
}

static int enter(void *object, oai_wait_t *wait)
{
    int err = come(object, wait, OA_FOREVER);
    return err == 1 ? 0 : err;
}

// When its round was full it was of it all the same, though it never runs.
static void withdraw(void *object, oai_wait_t *wait)
{
    take_back(object, wait);
}

const oai_gate_t oai_barrier_gate = {"barrier", valid, enter, withdraw, NULL};

int oa_barrier_destroy(oa_barrier_t *given)
{
    if (!given)
        return -EINVAL;
    oai_point(__func__, given);
    barrier_state_t *barrier = state_of(given);
    oai_lock_t *lock = lock_of(barrier);
    oai_lock(lock);
    bool busy = !oai_list_empty(&barrier->list);
    oai_unlock(lock);
    return busy ? -EBUSY : 0;
}
