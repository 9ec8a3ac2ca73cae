// SPDX-License-Identifier: BSD-2-Clause
// mutex.c - mutual exclusion, in order but for a bounded number of newcomers.
//
// Free, taking and releasing it are one compare-exchange each. Who finds it held waits in a list
// under a short lock. An unlock with waiters takes the first of them off the list, frees the mutex
// and wakes that one, which tries again: a newcomer may have been quicker (it barges), and the
// woken one goes back to the head of the list. When that has happened to it so many times in a row
// the unlock hands the mutex over instead. To a task that has it as a gate it is always handed
// over, for that one does not run and cannot try again. Until a woken one has come newcomers are
// counted, and give way at last (barge.h).
//
// Last touch: while somebody is in the list the mutex cannot be freed by its user, and an unlock
// that has claimed a waiter has released the list's lock before that one can go on. When the list
// turns out to be empty the mutex is still held, the list's lock is released, and the plain
// compare-exchange is the last touch.
#include <errno.h>

#include "base/lock.h"
#include "oasync/sync.h"
#include "sched/sched.h"
#include "sched/wait.h"
#include "sync/barge.h"
#include "sync/mutex.h"

// The word is who holds the mutex (oai_wait_self(), an even number), 0 when it is free, and one
// bit.
#define WAITERS UINT64_C(1)
enum { TRY_AGAIN = 0, HANDED_OVER = 1 }; // what a waker says

typedef struct mutex {
    // The holder: from 0 by a compare-exchange of who takes it, to 0 by its holder, with WAITERS
    // set only under `lock`; or to another by a holder that hands it over, under `lock`. WAITERS:
    // the list is not empty; changed under `lock` only.
    _Atomic uint64_t word;
    oai_waiters_t waiters; // under `lock`
    oai_lock_t lock;
    oai_barge_t barge;
} mutex_state_t;

_Static_assert(sizeof(mutex_state_t) <= sizeof(oa_mutex_t), "fits what is public");

static mutex_state_t *state_of(oa_mutex_t *mutex)
{
    return (mutex_state_t *)(void *)mutex;
}

void oa_mutex_init(oa_mutex_t *mutex)
{
    *mutex = (oa_mutex_t)OA_MUTEX_INIT;
}

static inline bool try_take(mutex_state_t *mutex, uintptr_t self)
{
    uint64_t seen = 0;
    // Acquire: pairs with the release of the last unlock.
    while (!atomic_compare_exchange_weak_explicit(&mutex->word, &seen, seen | self,
                                                  memory_order_acquire, memory_order_relaxed))
        if (seen & ~WAITERS)
            return false;
    return true;
}

int oa_mutex_trylock(oa_mutex_t *mutex)
{
    if (!mutex)
        return -EINVAL;
    oai_point(__func__, mutex);
    int err = try_take(state_of(mutex), oai_wait_self()) ? 0 : -EBUSY;
    oai_point(__func__, mutex);
    return err;
}

// Under `lock`: the WAITERS bit follows the list.
static void set_waiters(mutex_state_t *mutex)
{
    // Relaxed: the bit only sends others to `lock`.
    if (oai_list_empty(&mutex->waiters.list))
        atomic_fetch_and_explicit(&mutex->word, ~WAITERS, memory_order_relaxed);
    else
        atomic_fetch_or_explicit(&mutex->word, WAITERS, memory_order_relaxed);
}

// Under `lock`: one that was woken.
static void has_come(mutex_state_t *mutex)
{
    mutex->waiters.coming--;
    oai_barge_came(&mutex->barge, mutex->waiters.coming != 0);
}

// Puts the wait into the list, unless the mutex can be taken or the deadline has passed. Returns
// 0: taken, -EINPROGRESS: linked, -ETIMEDOUT. `beaten`: it was woken and a newcomer was quicker.
static int enqueue(mutex_state_t *mutex, oai_wait_t *wait, int64_t deadline, int beaten)
{
    uintptr_t self = (uintptr_t)wait->data;
    int err = -EINPROGRESS;
    oai_lock(&mutex->lock);
    if (beaten)
        has_come(mutex);
    // WAITERS first: an unlock either sees it and comes for the lock, or has freed the mutex.
    atomic_fetch_or_explicit(&mutex->word, WAITERS, memory_order_relaxed);
    if (try_take(mutex, self)) {
        err = 0;
    } else if (oai_wait_expired(deadline)) {
        err = -ETIMEDOUT;
    } else if (beaten) {
        oai_wait_link_first(&mutex->waiters, wait);
    } else {
        oai_wait_link(&mutex->waiters, wait);
    }
    if (err != -EINPROGRESS)
        set_waiters(mutex);
    oai_unlock(&mutex->lock);
    return err;
}

static int unlock_contended(mutex_state_t *mutex, uint64_t self, uint64_t seen);

// Who was woken gives up: if the mutex is free it lets the next one go, as its holder for a moment.
static int give_up(mutex_state_t *mutex, uintptr_t self, int err)
{
    oai_lock(&mutex->lock);
    has_come(mutex);
    set_waiters(mutex);
    bool passes_on = !oai_list_empty(&mutex->waiters.list) && try_take(mutex, self);
    oai_unlock(&mutex->lock);
    if (passes_on)
        unlock_contended(mutex, self, self);
    return err;
}

// A broken wait is taken out of the list.
static int withdraw(mutex_state_t *mutex, oai_wait_t *wait, int err)
{
    oai_lock(&mutex->lock);
    oai_wait_unlink(&mutex->waiters, wait);
    set_waiters(mutex);
    oai_unlock(&mutex->lock);
    return err;
}

// Relaxed: only who holds it finds itself there.
static bool held_by(mutex_state_t *mutex, uintptr_t self)
{
    return (atomic_load_explicit(&mutex->word, memory_order_relaxed) & ~WAITERS) == self;
}

bool oai_mutex_held(oa_mutex_t *mutex)
{
    return held_by(state_of(mutex), oai_wait_self());
}

static uintptr_t holder(const void *mutex)
{
    const mutex_state_t *state = mutex;
    // Relaxed: a simulation's only worker reads it between two tasks.
    return (uintptr_t)(atomic_load_explicit(&state->word, memory_order_relaxed) & ~WAITERS);
}

static int give_way(mutex_state_t *mutex, bool breakable, int64_t deadline, uintptr_t self);

// `again`: the caller has given way.
static int lock_slow(mutex_state_t *mutex, bool breakable, int64_t deadline, uintptr_t self,
                     bool again)
{
    if (held_by(mutex, self))
        return -EDEADLK;
    oai_waits_for("oa_mutex_lock", mutex, holder, false);
    for (int beaten = 0;; beaten++) {
        oai_wait_t wait;
        int err = oai_wait_begin(&wait, breakable);
        if (err)
            return beaten ? give_up(mutex, self, err) : err;
        wait.data = (void *)self;
        wait.result = beaten; // for the unlock that finds it in the list
        err = enqueue(mutex, &wait, deadline, beaten);
        if (err == 0 && !beaten && !again && oai_barge_looks(&mutex->barge))
            return give_way(mutex, breakable, deadline, self);
        if (err != -EINPROGRESS)
            return err;
        err = oai_wait_park(&wait, deadline);
        if (err)
            return withdraw(mutex, &wait, err);
        if (wait.result == HANDED_OVER)
            return 0;
    }
}

static inline int unlock(mutex_state_t *state, uint64_t self);

// The caller has taken it, and is one newcomer too many if it is over: then whoever is ready on its
// worker runs before it; while it holds the mutex if it may try but once.
static int give_way(mutex_state_t *mutex, bool breakable, int64_t deadline, uintptr_t self)
{
    oai_lock(&mutex->lock);
    bool over = oai_barge_over(&mutex->barge, mutex->waiters.coming != 0);
    oai_unlock(&mutex->lock);
    if (!over)
        return 0;
    bool once = oai_wait_expired(deadline);
    if (!once)
        unlock(mutex, self);
    oa_yield();
    return once || try_take(mutex, self) ? 0 : lock_slow(mutex, breakable, deadline, self, true);
}

static inline int lock(oa_mutex_t *mutex, bool breakable, int64_t deadline)
{
    if (breakable && oai_wait_cancelled())
        return -ECANCELED;
    mutex_state_t *state = state_of(mutex);
    uintptr_t self = oai_wait_self();
    if (OAI_UNLIKELY(!try_take(state, self)))
        return lock_slow(state, breakable, deadline, self, false);
    return oai_barge_looks(&state->barge) ? give_way(state, breakable, deadline, self) : 0;
}

// Apart, as unlock_contended() is.
static __attribute__((noinline)) int lock_simulated(oa_mutex_t *mutex, bool breakable,
                                                    int64_t deadline)
{
    oai_point("oa_mutex_lock", mutex);
    int err = lock(mutex, breakable, deadline);
    oai_point("oa_mutex_lock", mutex);
    return err;
}

int oa_mutex_lock(oa_mutex_t *mutex)
{
    if (!mutex)
        return -EINVAL;
    return oai_simulating() ? lock_simulated(mutex, false, OA_FOREVER)
                            : lock(mutex, false, OA_FOREVER);
}

int oa_mutex_lock_until(oa_mutex_t *mutex, int64_t deadline)
{
    if (!mutex)
        return -EINVAL;
    return oai_simulating() ? lock_simulated(mutex, true, deadline) : lock(mutex, true, deadline);
}

// The holder found WAITERS set. True: the mutex is freed or handed over; false: nobody is left in
// the list, and it is still held.
static bool unlock_slow(mutex_state_t *mutex)
{
    oai_lock(&mutex->lock);
    oai_wait_t *wait = oai_wait_claim_first(&mutex->waiters);
    if (wait) {
        bool hand_over = wait->result >= OAI_BARGES;
        uint64_t next = hand_over ? (uintptr_t)wait->data : 0;
        wait->result = hand_over ? HANDED_OVER : TRY_AGAIN;
        if (!hand_over) {
            mutex->waiters.coming++;
            oai_barge_let_go(&mutex->barge);
        }
        if (!oai_list_empty(&mutex->waiters.list))
            next |= WAITERS;
        // A store: while it is held and `lock` is too, nobody else writes the word. Release: pairs
        // with the acquire of whoever takes it.
        atomic_store_explicit(&mutex->word, next, memory_order_release);
    } else {
        set_waiters(mutex);
    }
    oai_unlock(&mutex->lock);
    if (wait)
        oai_wait_ready(wait);
    return wait != NULL;
}

// The word was `seen` and not the holder's number alone. Apart, so that the fast path saves no
// registers: what it pushes, its locked instruction has to wait for.
static __attribute__((noinline)) int unlock_contended(mutex_state_t *mutex, uint64_t self,
                                                      uint64_t seen)
{
    do {
        if ((seen & ~WAITERS) != self)
            return -EPERM;
        if (unlock_slow(mutex))
            return 0;
        seen = self;
        // Release: pairs with the acquire in try_take().
    } while (!atomic_compare_exchange_strong_explicit(&mutex->word, &seen, 0, memory_order_release,
                                                      memory_order_relaxed));
    return 0;
}

static inline int unlock(mutex_state_t *state, uint64_t self)
{
    uint64_t seen = self;
    // Release: pairs with the acquire in try_take().
    if (OAI_LIKELY(atomic_compare_exchange_strong_explicit(
            &state->word, &seen, 0, memory_order_release, memory_order_relaxed)))
        return 0;
    return unlock_contended(state, self, seen);
}

// Apart, as unlock_contended() is.
static __attribute__((noinline)) int unlock_simulated(oa_mutex_t *mutex)
{
    oai_point("oa_mutex_unlock", mutex);
    int err = unlock(state_of(mutex), oai_wait_self());
    oai_point("oa_mutex_unlock", mutex);
    return err;
}

int oa_mutex_unlock(oa_mutex_t *mutex)
{
    if (!mutex)
        return -EINVAL;
    return oai_simulating() ? unlock_simulated(mutex) : unlock(state_of(mutex), oai_wait_self());
}

// The holder's name is oai_wait_self() of the task that is to hold it.
static int enter(void *object, oai_wait_t *wait)
{
    if (try_take(object, (uintptr_t)wait->task))
        return 0;
    wait->data = wait->task;
    wait->result = OAI_BARGES;
    return enqueue(object, wait, OA_FOREVER, 0);
}

static void gate_withdraw(void *object, oai_wait_t *wait)
{
    withdraw(object, wait, -ECANCELED);
}

// Does nothing when the task has unlocked it early.
static void leave(void *object, struct oai_task *task)
{
    unlock(object, (uintptr_t)task);
}

const oai_gate_t oai_mutex_gate = {"mutex", NULL, enter, gate_withdraw, leave};

int oa_mutex_destroy(oa_mutex_t *mutex)
{
    if (!mutex)
        return -EINVAL;
    oai_point(__func__, mutex);
    mutex_state_t *state = state_of(mutex);
    oai_lock(&state->lock);
    // Acquire: what the last holder did precedes what the caller does now.
    bool busy = atomic_load_explicit(&state->word, memory_order_acquire) != 0 ||
                oai_wait_busy(&state->waiters);
    oai_unlock(&state->lock);
    return busy ? -EBUSY : 0;
}
