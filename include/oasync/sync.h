// SPDX-License-Identifier: BSD-2-Clause
// oasync/sync.h - mutex and semaphore, for tasks and plain threads in any mix.
//
// Both are structs of the caller's, of fixed size, made by an initialiser or, in memory that
// exists already, by the _init call; there is nothing to free. All-zero bytes are a free mutex and
// a semaphore of 0. They must not be copied or moved while in use. Waiters are served first come,
// first served; a mutex just freed may be taken by a newcomer before the woken waiter gets there,
// a bounded number of times in a row.
//
// Who has been let go by an unlock or a release may destroy the object, free it or leave its scope
// at once: the call that let it go does not touch it any more.
#ifndef OASYNC_SYNC_H
#define OASYNC_SYNC_H

#include <stdint.h>

#include "task.h"
#include "time.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- Mutex ------------------------------------------------------------------------------------

//     oa_mutex_t lock = OA_MUTEX_INIT; // in memory that exists already: oa_mutex_init(&x->lock);
//
//     oa_mutex_lock(&lock); // or: if (oa_mutex_trylock(&lock) == 0) ...
//     count++;
//     oa_mutex_unlock(&lock);
//
//     if (oa_mutex_destroy(&x->lock) == 0) // nobody holds it, nobody waits for it
//         free(x);

struct oa_mutex {
    uint64_t oa_private[6]; // the library's own, with a reserve
};

#define OA_MUTEX_INIT {{0}}

// Makes a free mutex in `mutex`, which must not be in use.
// Any thread; never waits; cannot fail.
void oa_mutex_init(oa_mutex_t *mutex);

// Locks, waiting until the mutex is free. The holder is the calling task, or the plain thread. A
// cancel does not interrupt it.
// Any thread; waits.
// Returns 0, or
//  -EINVAL   mutex is NULL;
//  -EDEADLK  the caller holds it already;
//  -ENOMEM   the caller cannot be parked (see the top of task.h).
int oa_mutex_lock(oa_mutex_t *mutex);

// As oa_mutex_lock(), until a deadline at the latest, and interrupted by a cancel. Also
//  -ETIMEDOUT  the deadline has passed and the mutex was not free;
//  -ECANCELED  the calling task was cancelled.
int oa_mutex_lock_until(oa_mutex_t *mutex, int64_t deadline);

// Locks if that needs no wait. Works in a cancelled task too.
// Any thread; never waits.
// Returns 0, or
//  -EINVAL  mutex is NULL;
//  -EBUSY   it is held, by whomever.
int oa_mutex_trylock(oa_mutex_t *mutex);

// Unlocks.
// Any thread, the holder only; never waits.
// Returns 0, or
//  -EINVAL  mutex is NULL;
//  -EPERM   the caller does not hold it.
int oa_mutex_unlock(oa_mutex_t *mutex);

// Checks that nobody holds or waits for the mutex; changes nothing.
// Any thread; never waits.
// Returns 0, or
//  -EINVAL  mutex is NULL;
//  -EBUSY   it is held or waited for.
int oa_mutex_destroy(oa_mutex_t *mutex);

// ---- Semaphore --------------------------------------------------------------------------------

//     oa_sem_t seats = OA_SEM_INIT(3); // in memory that exists already: oa_sem_init(&x->seats, 3);
//
//     oa_sem_acquire(&seats); // or: if (oa_sem_tryacquire(&seats) == 0) ...
//     sit();
//     oa_sem_release(&seats);
//
//     if (oa_sem_destroy(&x->seats) == 0) // nobody waits for it
//         free(x);

struct oa_sem {
    uint64_t oa_private[6]; // the library's own, with a reserve
};

// A semaphore that starts at `n`, from 0 to INT32_MAX.
#define OA_SEM_INIT(n) {{(uint64_t)(uint32_t)(n)}}

// Makes a semaphore that starts at `n`, from 0 to INT32_MAX, in `sem`, which must not be in use.
// Any thread; never waits; cannot fail.
void oa_sem_init(oa_sem_t *sem, int32_t n);

// Takes one, waiting until there is one.
// Any thread; waits.
// Returns 0, or
//  -EINVAL     sem is NULL;
//  -ECANCELED  the calling task was cancelled;
//  -ENOMEM     the caller cannot be parked (see the top of task.h).
int oa_sem_acquire(oa_sem_t *sem);

// As oa_sem_acquire(), until a deadline at the latest. Also
//  -ETIMEDOUT  the deadline has passed and there was none.
int oa_sem_acquire_until(oa_sem_t *sem, int64_t deadline);

// Takes one if that needs no wait. Works in a cancelled task too.
// Any thread; never waits.
// Returns 0, or
//  -EINVAL  sem is NULL;
//  -EAGAIN  there is none.
int oa_sem_tryacquire(oa_sem_t *sem);

// Gives one back, or one more: whoever waits longest gets it.
// Any thread, not only those that took one; never waits.
// Returns 0, or
//  -EINVAL     sem is NULL;
//  -EOVERFLOW  there are INT32_MAX already.
int oa_sem_release(oa_sem_t *sem);

// Checks that nobody waits for the semaphore; changes nothing.
// Any thread; never waits.
// Returns 0, or
//  -EINVAL  sem is NULL;
//  -EBUSY   it is waited for.
int oa_sem_destroy(oa_sem_t *sem);

#ifdef __cplusplus
}
#endif

#endif
