// SPDX-License-Identifier: BSD-2-Clause
// rwlock.c - a lock for many readers or one writer, who take turns when both wait.
//
// Readers are a count in one word with a lock bit (word.h), the writer is a bit of it. Free or
// among readers, taking and releasing it are one compare-exchange each. While anybody waits no new
// reader comes in, so that writers do not starve; a writer that leaves lets all readers go that
// wait, also those behind other writers, so that readers do not either; but not twice in a row. The
// last reader lets the first writer go. As with the mutex, who was let go tries again and is handed
// the lock after so many newcomers in a row, and newcomers give way at last (barge.h). (Readers
// that were handed it at once, by a count, kept all others out until each had had its turn to run:
// then every lock was a wait.)
//
// Last touch: who lets others in publishes the word and unlocks it in one store.
#include <errno.h>

#include "base/lock.h"
#include "oasync/sync.h"
#include "sched/wait.h"
#include "sync/barge.h"
#include "sync/word.h"

// Looks, with a pause each, before a wait: a section of so little is over before a parked one has
// come back. Eight tasks that each hold it for 50 ns on two workers take a third less with two
// looks than with none, and get as far as each other; with four they do not. The checker has none:
// each is a try once more.
#ifndef OAI_RWLOCK_SPINS
#define OAI_RWLOCK_SPINS 2
#endif
enum { TRY_AGAIN = 0, LET_IN = 1 };

#define WRITER (UINT64_C(1) << 35) // somebody holds it for writing

typedef struct rwlock {
    _Atomic uint64_t word; // the readers inside and WRITER; who may write it: word.h
    oai_waiters_t waiters; // under the word's lock. A wait's `data` is the writer, NULL a reader
    _Atomic uintptr_t
        writer; // who holds it for writing (oai_wait_self()), or 0: written by that one
    oai_barge_t barge;
} rwlock_state_t;

_Static_assert(sizeof(rwlock_state_t) <= sizeof(oa_rwlock_t), "fits what is public");

static rwlock_state_t *state_of(oa_rwlock_t *lock)
{
    return (rwlock_state_t *)(void *)lock;
}

void oa_rwlock_init(oa_rwlock_t *lock)
{
    *lock = (oa_rwlock_t)OA_RWLOCK_INIT;
}

static bool is_writer(rwlock_state_t *lock, uintptr_t self)
{
    // Relaxed: only who holds it finds itself there.
    return atomic_load_explicit(&lock->writer, memory_order_relaxed) == self;
}

static void set_writer(rwlock_state_t *lock, uintptr_t writer)
{
    atomic_store_explicit(&lock->writer, writer, memory_order_relaxed); // as above
}

// ---- Coming in ----------------------------------------------------------------------------------

// Whether one more can come in, as far as those inside are concerned.
static bool free_for(uint64_t word, bool writes)
{
    uint64_t readers = word & OAI_WORD_COUNT;
    if (word & WRITER)
        return false;
    return writes ? readers == 0 : readers != OAI_WORD_COUNT;
}

static bool try_enter(rwlock_state_t *lock, bool writes)
{
    uint64_t seen = 0; // a guess: a look first would ask for the word's line twice
    unsigned rounds = 0;
    for (;;) {
        if (seen & OAI_WORD_LOCKED) { // for a moment only
            oai_lock_pause(&rounds);
            seen = atomic_load_explicit(&lock->word, memory_order_relaxed);
        } else if (!free_for(seen, writes) || (!writes && seen & OAI_WORD_WAITERS)) {
            return false;
            // Acquire: pairs with the release of each that has left.
        } else if (atomic_compare_exchange_weak_explicit(
                       &lock->word, &seen, writes ? seen | WRITER : seen + 1, memory_order_acquire,
                       memory_order_relaxed)) {
            return true;
        }
    }
}

// Under the word's lock: one that waits and was claimed is let go. Returns the new word.
static uint64_t let_go(rwlock_state_t *lock, uint64_t word, oai_wait_t *wait)
{
    if (wait->result < OAI_BARGES) {
        wait->result = TRY_AGAIN;
        lock->waiters.coming++;
        oai_barge_let_go(&lock->barge);
        return word;
    }
    wait->result = LET_IN;
    return wait->data ? word | WRITER : word + 1;
}

// Under the word's lock: those who wait are let go, in their order, up to the first that may not
// come in, or until a writer was; `only_readers`: writers are passed. Returns the new word.
// `claimed` are to be made ready when it is unlocked.
static uint64_t let_in_order(rwlock_state_t *lock, uint64_t word, bool only_readers,
                             oai_list_t *claimed)
{
    oai_link_t *next;
    for (oai_link_t *link = lock->waiters.list.head; link; link = next) {
        oai_wait_t *wait = oai_container(link, oai_wait_t, link);
        bool writes = wait->data != NULL;
        next = link->next;
        if (writes && only_readers)
            continue;
        if (!free_for(word, writes))
            break;
        oai_list_remove(&lock->waiters.list, link);
        wait->linked = false;
        if (!oai_wait_claim(wait)) {
            lock->waiters.coming++;
            continue;
        }
        oai_list_append(claimed, link);
        word = let_go(lock, word, wait);
        if (writes)
            break;
    }
    return word;
}

// The same; `wrote`: a writer has left, so all readers have their turn, unless they had it last
// time and a writer has waited since. That one would wait for ever where readers come again and
// again that give up before they have come in.
static uint64_t let_in(rwlock_state_t *lock, uint64_t word, bool wrote, oai_list_t *claimed)
{
    if (wrote && !lock->barge.readers_were)
        word = let_in_order(lock, word, true, claimed);
    bool readers = !oai_list_empty(claimed); // the last of those lets the next one go
    if (!readers)
        word = let_in_order(lock, word, false, claimed);
    if (!oai_list_empty(claimed) || oai_list_empty(&lock->waiters.list))
        lock->barge.readers_were = readers && !oai_list_empty(&lock->waiters.list);
    return word;
}

// Under the word's lock: one that was let go.
static void has_come(rwlock_state_t *lock)
{
    lock->waiters.coming--;
    oai_barge_came(&lock->barge, lock->waiters.coming != 0);
}

// Comes in, or puts the wait into the list. 0, -ETIMEDOUT, -EINPROGRESS: it is linked. `beaten`: it
// was woken and a newcomer was quicker.
static int enqueue(rwlock_state_t *lock, oai_wait_t *wait, int64_t deadline, int beaten)
{
    oai_list_t claimed = {NULL, NULL};
    int err = -EINPROGRESS;
    bool writes = wait->data != NULL;
    uint64_t word = oai_word_lock(&lock->word);
    if (beaten)
        has_come(lock);
    if (free_for(word, writes) && (writes || beaten || oai_list_empty(&lock->waiters.list))) {
        word = writes ? word | WRITER : word + 1;
        err = 0;
    } else if (oai_wait_expired(deadline)) {
        err = -ETIMEDOUT;
        if (beaten) // it may have kept others out
            word = let_in(lock, word, false, &claimed);
    } else if (beaten) {
        oai_wait_link_first(&lock->waiters, wait);
    } else {
        oai_wait_link(&lock->waiters, wait);
    }
    oai_word_unlock(&lock->word, word, &lock->waiters);
    oai_wait_ready_all(&claimed);
    return err;
}

// A wait that came to nothing is taken back (NULL: it was woken and gives up); it may have kept
// others out.
static int withdraw(rwlock_state_t *lock, oai_wait_t *wait, int err)
{
    oai_list_t claimed = {NULL, NULL};
    uint64_t word = oai_word_lock(&lock->word);
    if (wait)
        oai_wait_unlink(&lock->waiters, wait);
    else
        has_come(lock);
    word = let_in(lock, word, false, &claimed);
    oai_word_unlock(&lock->word, word, &lock->waiters);
    oai_wait_ready_all(&claimed);
    return err;
}

// Whether it could come in within a moment.
static bool spin(rwlock_state_t *lock, bool writes)
{
    for (int i = 0; i < OAI_RWLOCK_SPINS; i++) {
        oai_pause();
        if (try_enter(lock, writes))
            return true;
    }
    return false;
}

static uintptr_t holder(const void *lock)
{
    const rwlock_state_t *state = lock;
    // Relaxed: a simulation's only worker reads it between two tasks.
    return atomic_load_explicit(&state->writer, memory_order_relaxed);
}

// `writer`: who wants to write; 0: a reader. `waited` is set unless it comes in as a newcomer.
static int enter_slow(rwlock_state_t *lock, uintptr_t writer, bool breakable, int64_t deadline,
                      bool *waited)
{
    if (spin(lock, writer != 0))
        return 0;
    oai_waits_for(writer ? "oa_rwlock_wrlock" : "oa_rwlock_rdlock", lock, holder, false);
    for (int beaten = 0;; beaten++) {
        oai_wait_t wait;
        int err = oai_wait_begin(&wait, breakable);
        if (err)
            return beaten ? withdraw(lock, NULL, err) : err;
        wait.data = (void *)writer;
        wait.result = beaten; // for who finds it in the list
        err = enqueue(lock, &wait, deadline, beaten);
        if (err != -EINPROGRESS)
            return err;
        *waited = true;
        err = oai_wait_park(&wait, deadline);
        if (err)
            return withdraw(lock, &wait, err);
        if (wait.result == LET_IN)
            return 0;
    }
}

static void leave_writer(rwlock_state_t *lock);
static int leave_reader(rwlock_state_t *lock, uint64_t seen);

// As in mutex.c.
static __attribute__((noinline)) int give_way(rwlock_state_t *lock, uintptr_t writer,
                                              bool breakable, int64_t deadline)
{
    uint64_t word = oai_word_lock(&lock->word);
    bool over = oai_barge_over(&lock->barge, lock->waiters.coming != 0);
    oai_word_unlock(&lock->word, word, &lock->waiters);
    if (!over)
        return 0;
    bool once = oai_wait_expired(deadline), waited;
    if (!once && writer)
        leave_writer(lock);
    else if (!once)
        leave_reader(lock, 1);
    oa_yield();
    return once || try_enter(lock, writer != 0)
               ? 0
               : enter_slow(lock, writer, breakable, deadline, &waited);
}

static inline int enter(rwlock_state_t *lock, bool writes, bool breakable, int64_t deadline)
{
    if (breakable && oai_wait_cancelled())
        return -ECANCELED;
    uintptr_t self = oai_wait_self(), writer = writes ? self : 0;
    bool waited = false;
    int err = 0;
    if (!try_enter(lock, writes)) {
        if (is_writer(lock, self))
            return -EDEADLK;
        err = enter_slow(lock, writer, breakable, deadline, &waited);
    }
    if (err == 0 && !waited && oai_barge_looks(&lock->barge))
        err = give_way(lock, writer, breakable, deadline);
    if (writes && err == 0)
        set_writer(lock, self);
    return err;
}

static inline int read_lock(oa_rwlock_t *lock, bool breakable, int64_t deadline)
{
    if (!lock)
        return -EINVAL;
    oai_point("oa_rwlock_rdlock", lock);
    int err = enter(state_of(lock), false, breakable, deadline);
    oai_point("oa_rwlock_rdlock", lock);
    return err;
}

static inline int write_lock(oa_rwlock_t *lock, bool breakable, int64_t deadline)
{
    if (!lock)
        return -EINVAL;
    oai_point("oa_rwlock_wrlock", lock);
    int err = enter(state_of(lock), true, breakable, deadline);
    oai_point("oa_rwlock_wrlock", lock);
    return err;
}

int oa_rwlock_rdlock(oa_rwlock_t *lock)
{
    return read_lock(lock, false, OA_FOREVER);
}

int oa_rwlock_wrlock(oa_rwlock_t *lock)
{
    return write_lock(lock, false, OA_FOREVER);
}

int oa_rwlock_rdlock_until(oa_rwlock_t *lock, int64_t deadline)
{
    return read_lock(lock, true, deadline);
}

int oa_rwlock_wrlock_until(oa_rwlock_t *lock, int64_t deadline)
{
    return write_lock(lock, true, deadline);
}

int oa_rwlock_tryrdlock(oa_rwlock_t *lock)
{
    if (!lock)
        return -EINVAL;
    oai_point(__func__, lock);
    bool in = try_enter(state_of(lock), false);
    oai_point(__func__, lock);
    return in ? 0 : -EBUSY;
}

int oa_rwlock_trywrlock(oa_rwlock_t *lock)
{
    if (!lock)
        return -EINVAL;
    oai_point(__func__, lock);
    bool in = try_enter(state_of(lock), true);
    if (in)
        set_writer(state_of(lock), oai_wait_self());
    oai_point(__func__, lock);
    return in ? 0 : -EBUSY;
}

// ---- Leaving ------------------------------------------------------------------------------------

// The writer, or a reader, has been taken off the word, which is locked.
static void leave_slow(rwlock_state_t *lock, uint64_t word, bool wrote)
{
    oai_list_t claimed = {NULL, NULL};
    if ((word & OAI_WORD_COUNT) == 0)
        word = let_in(lock, word, wrote, &claimed);
    oai_word_unlock(&lock->word, word, &lock->waiters);
    oai_wait_ready_all(&claimed);
}

static void leave_writer(rwlock_state_t *lock)
{
    uint64_t seen = WRITER;
    set_writer(lock, 0);
    // Release: pairs with the acquire in try_enter().
    if (!atomic_compare_exchange_strong_explicit(&lock->word, &seen, 0, memory_order_release,
                                                 memory_order_relaxed))
        leave_slow(lock, oai_word_lock(&lock->word) & ~WRITER, true);
}

// `seen`: what the word was.
static int leave_reader(rwlock_state_t *lock, uint64_t seen)
{
    while (!(seen & OAI_WORD_LOCKED)) {
        uint64_t readers = seen & OAI_WORD_COUNT;
        if (readers == 0)
            return -EPERM;
        if (readers == 1 && seen & OAI_WORD_WAITERS)
            break;
        // Release: as in leave_writer().
        if (atomic_compare_exchange_weak_explicit(&lock->word, &seen, seen - 1,
                                                  memory_order_release, memory_order_relaxed))
            return 0;
    }
    uint64_t word = oai_word_lock(&lock->word);
    bool inside = (word & OAI_WORD_COUNT) != 0;
    if (inside)
        leave_slow(lock, word - 1, false);
    else
        oai_word_unlock(&lock->word, word, &lock->waiters);
    return inside ? 0 : -EPERM;
}

int oa_rwlock_unlock(oa_rwlock_t *given)
{
    if (!given)
        return -EINVAL;
    rwlock_state_t *lock = state_of(given);
    uint64_t seen = 1; // as in try_enter(): the only reader
    int err = 0;
    oai_point(__func__, given);
    // Release: as in leave_writer().
    if (!atomic_compare_exchange_strong_explicit(&lock->word, &seen, 0, memory_order_release,
                                                 memory_order_relaxed)) {
        if (is_writer(lock, oai_wait_self()))
            leave_writer(lock);
        else
            err = leave_reader(lock, seen);
    }
    oai_point(__func__, given);
    return err;
}

int oa_rwlock_destroy(oa_rwlock_t *given)
{
    if (!given)
        return -EINVAL;
    oai_point(__func__, given);
    rwlock_state_t *lock = state_of(given);
    uint64_t word = oai_word_lock(&lock->word);
    bool busy = word & (WRITER | OAI_WORD_COUNT) || oai_wait_busy(&lock->waiters);
    oai_word_unlock(&lock->word, word, &lock->waiters);
    return busy ? -EBUSY : 0;
}
