// SPDX-License-Identifier: BSD-2-Clause
// sem.c - a counting semaphore.
//
// Permits are a count in one word with a lock bit (word.h). With no waiters acquire and release are
// one compare-exchange each. With waiters a release hands its permit to the first of them: the
// count stays 0 while anybody waits, so that nobody overtakes.
#include <errno.h>

#include "base/assert.h"
#include "base/lock.h"
#include "oasync/sync.h"
#include "sched/sched.h"
#include "sched/wait.h"
#include "sync/word.h"

typedef struct sem {
    _Atomic uint64_t word; // the count of free permits; who may write it: word.h
    oai_waiters_t waiters; // under the word's lock
} sem_state_t;

_Static_assert(sizeof(sem_state_t) <= sizeof(oa_sem_t), "fits what is public");

static sem_state_t *state_of(oa_sem_t *sem)
{
    return (sem_state_t *)(void *)sem;
}

void oa_sem_init(oa_sem_t *sem, int32_t n)
{
    *sem = (oa_sem_t)OA_SEM_INIT(n);
}

// Takes a permit if there is one.
static bool try_take(sem_state_t *sem)
{
    uint64_t seen = atomic_load_explicit(&sem->word, memory_order_relaxed);
    unsigned rounds = 0;
    for (;;) {
        if (seen & OAI_WORD_LOCKED) { // for a moment only
            oai_lock_pause(&rounds);
            seen = atomic_load_explicit(&sem->word, memory_order_relaxed);
        } else if ((seen & OAI_WORD_COUNT) == 0) {
            return false;
            // Acquire: pairs with the release of whoever gave the permit back.
        } else if (atomic_compare_exchange_weak_explicit(
                       &sem->word, &seen, seen - 1, memory_order_acquire, memory_order_relaxed)) {
            return true;
        }
    }
}

int oa_sem_tryacquire(oa_sem_t *sem)
{
    if (!sem)
        return -EINVAL;
    oai_point(__func__, sem);
    bool taken = try_take(state_of(sem));
    oai_point(__func__, sem);
    return taken ? 0 : -EAGAIN;
}

// Takes a permit, or puts the wait into the list. 0, -ETIMEDOUT, -EINPROGRESS: it is linked.
static int take_or_link(sem_state_t *sem, oai_wait_t *wait, int64_t deadline)
{
    int err = 0;
    uint64_t word = oai_word_lock(&sem->word);
    bool taken = (word & OAI_WORD_COUNT) != 0;
    if (taken) {
        word--;
    } else if (oai_wait_expired(deadline)) {
        err = -ETIMEDOUT;
    } else {
        oai_wait_link(&sem->waiters, wait);
        err = -EINPROGRESS;
    }
    oai_word_unlock(&sem->word, word, &sem->waiters);
    return err;
}

// A broken wait is taken out of the list.
static void withdraw(void *object, oai_wait_t *wait)
{
    sem_state_t *sem = object;
    uint64_t word = oai_word_lock(&sem->word);
    oai_wait_unlink(&sem->waiters, wait);
    oai_word_unlock(&sem->word, word, &sem->waiters);
}

static int acquire_slow(sem_state_t *sem, int64_t deadline)
{
    oai_wait_t wait;
    int err = oai_wait_begin(&wait, true);
    if (err)
        return err;
    err = take_or_link(sem, &wait, deadline);
    if (err != -EINPROGRESS)
        return err;
    err = oai_wait_park(&wait, deadline);
    if (err)
        withdraw(sem, &wait);
    return err;
}

static inline int acquire(sem_state_t *sem, int64_t deadline)
{
    if (oai_wait_cancelled())
        return -ECANCELED;
    return try_take(sem) ? 0 : acquire_slow(sem, deadline);
}

int oa_sem_acquire_until(oa_sem_t *sem, int64_t deadline)
{
    if (!sem)
        return -EINVAL;
    oai_point("oa_sem_acquire", sem);
    int err = acquire(state_of(sem), deadline);
    oai_point("oa_sem_acquire", sem);
    return err;
}

int oa_sem_acquire(oa_sem_t *sem)
{
    return oa_sem_acquire_until(sem, OA_FOREVER);
}

static int release_slow(sem_state_t *sem)
{
    uint64_t word = oai_word_lock(&sem->word);
    oai_wait_t *wait = oai_wait_claim_first(&sem->waiters);
    OAI_ASSERT(!wait || (word & OAI_WORD_COUNT) == 0); // nobody waits while there are permits
    bool full = !wait && (word & OAI_WORD_COUNT) >= INT32_MAX;
    if (!wait && !full)
        word++;
    oai_word_unlock(&sem->word, word, &sem->waiters);
    if (wait)
        oai_wait_ready(wait);
    return full ? -EOVERFLOW : 0;
}

static inline int release(sem_state_t *state)
{
    uint64_t seen = atomic_load_explicit(&state->word, memory_order_relaxed);
    while (!(seen & (OAI_WORD_LOCKED | OAI_WORD_WAITERS)) && seen < INT32_MAX)
        // Release: pairs with the acquire of whoever takes the permit.
        if (atomic_compare_exchange_weak_explicit(&state->word, &seen, seen + 1,
                                                  memory_order_release, memory_order_relaxed))
            return 0;
    return release_slow(state);
}

int oa_sem_release(oa_sem_t *sem)
{
    if (!sem)
        return -EINVAL;
    oai_point(__func__, sem);
    int err = release(state_of(sem));
    oai_point(__func__, sem);
    return err;
}

static int enter(void *object, oai_wait_t *wait)
{
    return try_take(object) ? 0 : take_or_link(object, wait, OA_FOREVER);
}

static void leave(void *object, struct oai_task *task)
{
    (void)task;
    release(object);
}

const oai_gate_t oai_sem_gate = {"semaphore", NULL, enter, withdraw, leave};

int oa_sem_destroy(oa_sem_t *sem)
{
    if (!sem)
        return -EINVAL;
    oai_point(__func__, sem);
    sem_state_t *state = state_of(sem);
    uint64_t word = oai_word_lock(&state->word);
    bool busy = oai_wait_busy(&state->waiters);
    oai_word_unlock(&state->word, word, &state->waiters);
    return busy ? -EBUSY : 0;
}
