// SPDX-License-Identifier: BSD-2-Clause
// oasync/sync.h - mutex, read-write lock, condition variable, semaphore, latch, barrier and once,
// for tasks and plain threads in any mix, and backpressure, which limits how many tasks there are.
//
// All are structs of the caller's, of fixed size, made by an initialiser or, in memory that exists
// already, by the _init call; there is nothing to free. All-zero bytes are a free mutex or
// read-write lock, a condition variable, a once, a semaphore of 0 and an open latch. They must not
// be copied or moved while in use. Waiters are served first come, first served; a mutex or
// read-write lock just freed may be taken by newcomers before the woken waiter gets there. They are
// counted, and each millisecond of that (looked at when as many again have come, or 64 more) one of
// them yields before it locks, so that it does not keep a woken one from its worker; one whose
// deadline has passed yields when it has locked, and a try does not. When the woken one has found
// the lock taken four times in a row it is handed over.
//
// Who has been let go by an unlock, release, signal, arrival, the end of a round or of what is done
// once may destroy the object, free it or leave its scope at once: the call that let it go does not
// touch it any more.
//
// All but read-write lock, condition variable and once can be a gate of a task: what its oa_go()
// names in .latch, .cb, .bp, .sem and .acq is passed in this order before the task begins, after
// its delay. A task that waits at a gate holds no stack, stands in the same line as those that wait
// by a call, and costs nothing until it is let in. It has its mutex, permit and place until it
// ends; then they are given back, in reverse order, before its group or joiner is told. One that is
// cancelled at a gate leaves it, gives back what it had, and is dropped. What is a gate must
// outlive the task.
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

// ---- Read-write lock --------------------------------------------------------------------------

//     oa_rwlock_t lock = OA_RWLOCK_INIT; // in memory that exists: oa_rwlock_init(&x->lock);
//
//     oa_rwlock_rdlock(&lock); // or: if (oa_rwlock_tryrdlock(&lock) == 0) ...
//     look_up(table);
//     oa_rwlock_unlock(&lock);
//
//     oa_rwlock_wrlock(&lock); // or: if (oa_rwlock_trywrlock(&lock) == 0) ...
//     change(table);
//     oa_rwlock_unlock(&lock);
//
//     if (oa_rwlock_destroy(&x->lock) == 0) // nobody holds it, nobody waits for it
//         free(x);

typedef struct oa_rwlock {
    uint64_t oa_private[6]; // the library's own, with a reserve
} oa_rwlock_t;

#define OA_RWLOCK_INIT {{0}}

// Makes a free lock in `lock`, which must not be in use.
// Any thread; never waits; cannot fail.
void oa_rwlock_init(oa_rwlock_t *lock);

// Locks for reading, waiting until nobody writes and nobody waits who came before. So a reader that
// locks once more may wait behind a writer that waits for it. A writer that leaves lets all readers
// go that wait, but not twice in a row if another writer waits, and the last reader the next
// writer; newcomers may be quicker than who was let go, as told at the top. A cancel does not
// interrupt it.
// Any thread; waits.
// Returns 0, or
//  -EINVAL   lock is NULL;
//  -EDEADLK  the caller holds it for writing;
//  -ENOMEM   the caller cannot be parked (see the top of task.h).
int oa_rwlock_rdlock(oa_rwlock_t *lock);

// As oa_rwlock_rdlock(), until a deadline at the latest, and interrupted by a cancel. Also
//  -ETIMEDOUT  the deadline has passed and it could not be locked;
//  -ECANCELED  the calling task was cancelled.
int oa_rwlock_rdlock_until(oa_rwlock_t *lock, int64_t deadline);

// Locks for writing, waiting until nobody reads or writes. The holder is the calling task, or the
// plain thread. Who reads must leave before: it would wait for itself. A cancel does not interrupt
// it.
// Any thread; waits.
// Returns 0, or
//  -EINVAL   lock is NULL;
//  -EDEADLK  the caller holds it for writing already;
//  -ENOMEM   the caller cannot be parked (see the top of task.h).
int oa_rwlock_wrlock(oa_rwlock_t *lock);

// As oa_rwlock_wrlock(), until a deadline at the latest, and interrupted by a cancel. Also
//  -ETIMEDOUT  the deadline has passed and it could not be locked;
//  -ECANCELED  the calling task was cancelled.
int oa_rwlock_wrlock_until(oa_rwlock_t *lock, int64_t deadline);

// Locks for reading if that needs no wait. Works in a cancelled task too.
// Any thread; never waits.
// Returns 0, or
//  -EINVAL  lock is NULL;
//  -EBUSY   somebody writes or waits, or is about to.
int oa_rwlock_tryrdlock(oa_rwlock_t *lock);

// Locks for writing if that needs no wait. Works in a cancelled task too.
// Any thread; never waits.
// Returns 0, or
//  -EINVAL  lock is NULL;
//  -EBUSY   somebody reads or writes.
int oa_rwlock_trywrlock(oa_rwlock_t *lock);

// Unlocks what the caller has locked for writing, or gives one reader's lock back, whose is not
// recorded.
// Any thread, the writer only if there is one; never waits.
// Returns 0, or
//  -EINVAL  lock is NULL;
//  -EPERM   another writes, or nobody holds it.
int oa_rwlock_unlock(oa_rwlock_t *lock);

// Checks that nobody holds or waits for the lock; changes nothing.
// Any thread; never waits.
// Returns 0, or
//  -EINVAL  lock is NULL;
//  -EBUSY   it is held or waited for.
int oa_rwlock_destroy(oa_rwlock_t *lock);

// ---- Condition variable -----------------------------------------------------------------------

//     oa_cond_t changed = OA_COND_INIT; // in memory that exists: oa_cond_init(&x->changed);
//
//     int err = 0;
//     oa_mutex_lock(&lock);
//     while (!ready && err == 0) // what the mutex guards: another may have been quicker
//         err = oa_cond_wait(&changed, &lock);
//     oa_mutex_unlock(&lock);
//
//     oa_mutex_lock(&lock); // elsewhere
//     ready = true;
//     oa_cond_broadcast(&changed); // or oa_cond_signal(), where one waiter will do
//     oa_mutex_unlock(&lock);
//
//     oa_cond_destroy(&x->changed); // -EBUSY: somebody waits for it

typedef struct oa_cond {
    uint64_t oa_private[6]; // the library's own, with a reserve
} oa_cond_t;

#define OA_COND_INIT {{0}}

// Makes a condition variable for which nobody waits in `cond`, which must not be in use.
// Any thread; never waits; cannot fail.
void oa_cond_init(oa_cond_t *cond);

// Unlocks the mutex and waits for a signal or broadcast, in one step for whoever holds the mutex
// then. The caller holds the mutex again when it returns, whatever it returns but -EPERM and
// however long that takes: what the mutex guards may be another then. -ECANCELED comes at once,
// without unlocking, to a task that was cancelled before: do not wait on in a loop after an error.
// Who has been let go still comes for the mutex: that must live until all these calls have
// returned, longer perhaps than the condition variable.
// Any thread, the holder of the mutex only; waits.
// Returns 0, or
//  -EINVAL     cond or mutex is NULL;
//  -EPERM      the caller does not hold the mutex; in a simulation also that the wait for it was
//              broken (see the top of task.h);
//  -ECANCELED  the calling task was cancelled;
//  -EDEADLK    in a simulation: this wait was broken;
//  -ENOMEM     the caller cannot be parked (see the top of task.h).
int oa_cond_wait(oa_cond_t *cond, oa_mutex_t *mutex);

// As oa_cond_wait(), until a deadline at the latest, and then until it has the mutex. When the
// deadline has passed before, it returns at once, without unlocking. Also
//  -ETIMEDOUT  the deadline has passed without a signal.
int oa_cond_wait_until(oa_cond_t *cond, oa_mutex_t *mutex, int64_t deadline);

// Lets the one go that has waited longest, if anybody waits. The mutex may be held or not; without
// it somebody who finds the condition true may be quicker, and must not have freed this.
// Any thread; never waits.
// Returns 0, or
//  -EINVAL  cond is NULL.
int oa_cond_signal(oa_cond_t *cond);

// Lets all go that wait.
// Any thread; never waits.
// Returns 0, or
//  -EINVAL  cond is NULL.
int oa_cond_broadcast(oa_cond_t *cond);

// Checks that nobody waits for the condition variable; changes nothing.
// Any thread; never waits.
// Returns 0, or
//  -EINVAL  cond is NULL;
//  -EBUSY   it is waited for.
int oa_cond_destroy(oa_cond_t *cond);

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

// ---- Latch ------------------------------------------------------------------------------------

//     oa_latch_t done = OA_LATCH_INIT(3); // in memory that exists: oa_latch_init(&x->done, 3);
//
//     oa_latch_arrive(&done); // in each of three tasks
//     oa_latch_wait(&done);   // in any other; or, as one of the three, oa_go(use, .latch = &done)

struct oa_latch {
    uint64_t oa_private[6]; // the library's own, with a reserve
};

// A latch that opens when `n` have arrived, from 0 (it is open) to INT32_MAX.
#define OA_LATCH_INIT(n) {{(uint64_t)(uint32_t)(n)}}

// Makes a latch that opens when `n` have arrived, from 0 (it is open) to INT32_MAX, in `latch`,
// which must not be in use.
// Any thread; never waits; cannot fail.
void oa_latch_init(oa_latch_t *latch, int32_t n);

// One more has arrived. If it is the last one the latch is open, for good, and all who wait are let
// go. Does nothing when it is open already.
// Any thread; never waits.
// Returns 0, or
//  -EINVAL  latch is NULL.
int oa_latch_arrive(oa_latch_t *latch);

// Waits until the latch is open. It is no arrival.
// Any thread; waits.
// Returns 0, or
//  -EINVAL     latch is NULL;
//  -ECANCELED  the calling task was cancelled;
//  -ENOMEM     the caller cannot be parked (see the top of task.h).
int oa_latch_wait(oa_latch_t *latch);

// As oa_latch_wait(), until a deadline at the latest. Also
//  -ETIMEDOUT  the deadline has passed and the latch was not open.
int oa_latch_wait_until(oa_latch_t *latch, int64_t deadline);

// Checks that nobody waits for the latch, a task that has it as a gate included; changes nothing.
// Any thread; never waits.
// Returns 0, or
//  -EINVAL  latch is NULL;
//  -EBUSY   it is waited for.
int oa_latch_destroy(oa_latch_t *latch);

// ---- Barrier ----------------------------------------------------------------------------------

//     oa_barrier_t step = OA_BARRIER_INIT(4);
//     oa_barrier_init(&x->step, 4); // in memory that exists already
//
//     while (compute(part)) // in each of four tasks
//         oa_barrier_wait(&step);

struct oa_barrier {
    uint64_t oa_private[6]; // the library's own, with a reserve
};

// A barrier for rounds of `n`, from 1 to INT32_MAX.
#define OA_BARRIER_INIT(n) {{(uint64_t)(uint32_t)(n)}}

// Makes a barrier for rounds of `n`, from 1 to INT32_MAX, in `barrier`, which must not be in use.
// Any thread; never waits; cannot fail.
void oa_barrier_init(oa_barrier_t *barrier, int32_t n);

// Comes to the barrier and waits until `n` have come; then all of them go on and the next round
// begins. A wait that is broken takes its arrival back, unless its round is full at that moment:
// then it returns 0.
// Any thread; waits.
// Returns 1 for the last of a round to come, 0 for the others, or
//  -EINVAL     barrier is NULL, or its n is 0;
//  -ECANCELED  the calling task was cancelled;
//  -ENOMEM     the caller cannot be parked (see the top of task.h).
int oa_barrier_wait(oa_barrier_t *barrier);

// As oa_barrier_wait(), until a deadline at the latest. Also
//  -ETIMEDOUT  the deadline has passed and too few had come.
int oa_barrier_wait_until(oa_barrier_t *barrier, int64_t deadline);

// Checks that nobody waits at the barrier, a task that has it as a gate included; changes nothing.
// Any thread; never waits.
// Returns 0, or
//  -EINVAL  barrier is NULL;
//  -EBUSY   it is waited for.
int oa_barrier_destroy(oa_barrier_t *barrier);

// ---- Once -------------------------------------------------------------------------------------

//     static oa_once_t once = OA_ONCE_INIT; // in memory that exists: oa_once_init(&x->once);
//
//     oa_once(&once, load_tables, NULL); // in whatever needs the tables

typedef struct oa_once {
    uint64_t oa_private[6]; // the library's own, with a reserve
} oa_once_t;

#define OA_ONCE_INIT {{0}}

// Makes a once whose function has not been called in `once`, which must not be in use.
// Any thread; never waits; cannot fail.
void oa_once_init(oa_once_t *once);

// Calls fn(arg), unless that of this or another oa_once() has been called already; if it is being
// called, waits for its end. What the function does happens before each oa_once() returns 0. It may
// wait, and runs as the caller: what it waits for must not come to the same oa_once(). A cancel
// does not interrupt the wait.
// Any thread; waits.
// Returns 0, or
//  -EINVAL   once or fn is NULL;
//  -EDEADLK  the caller is in that function;
//  -ENOMEM   the caller cannot be parked (see the top of task.h).
int oa_once(oa_once_t *once, oa_fn *fn, void *arg);

// ---- Backpressure -----------------------------------------------------------------------------

//     oa_backpressure_t busy = OA_BACKPRESSURE_INIT(100, OA_LOSSY);
//     oa_backpressure_init(&x->busy, 100, OA_LOSSY); // in memory that exists already
//
//     if (oa_go(serve, request, .bp = &busy, .drop = refuse) == -EAGAIN)
//         refused++;

typedef enum oa_backpressure_mode {
    OA_LOSSLESS = 1, // a task over the limit waits for its turn
    OA_LOSSY = 2, // a task over the limit is dropped, and oa_go() returns -EAGAIN. Behind a delay,
                  //   latch or barrier oa_go() has returned 0 already: only .drop tells
} oa_backpressure_mode_t;

struct oa_backpressure {
    uint64_t oa_private[6]; // the library's own, with a reserve
};

// A limit of `max` tasks at once, from 1 to INT32_MAX. It is only a gate: oa_go(f, .bp = &bp).
#define OA_BACKPRESSURE_INIT(max, mode)                                                            \
    {{0, (uint64_t)(uint32_t)(max) | (uint64_t)(mode) << 32}}

// Makes a limit of `max` tasks at once, from 1 to INT32_MAX, in `bp`, which must not be in use.
// With another max or mode it is no gate: oa_go() returns -EINVAL.
// Any thread; never waits; cannot fail.
void oa_backpressure_init(oa_backpressure_t *bp, int32_t max, oa_backpressure_mode_t mode);

// Checks that no task is in or waits for its turn; changes nothing.
// Any thread; never waits.
// Returns 0, or
//  -EINVAL  bp is NULL;
//  -EBUSY   tasks are in, or wait.
int oa_backpressure_destroy(oa_backpressure_t *bp);

#ifdef __cplusplus
}
#endif

#endif
