// SPDX-License-Identifier: BSD-2-Clause
// wait.h - how anything waits for anything: the one protocol, as the primitives see it.
//
// Owns:    oai_wait_t, one wait of one task or plain thread, on the waiter's own stack.
// Callers: the waiter calls begin and park; whoever lets it go calls claim and ready.
// Design:  a waiter begins its wait, takes the object's lock, tries once more, links its wait into
//          the object's list, unlocks and parks. A waker takes the lock, unlinks the wait, claims
//          it, hands over what there is to hand over, unlocks and makes it ready:
//
//              waiter                              waker
//              oai_wait_begin(&wait, …)            lock(object)
//              lock(object)                        wait = first of the list, unlinked
//              nothing there: link &wait           if (oai_wait_claim(wait)) hand over to it
//              unlock(object)                      unlock(object)          <- its last touch
//              oai_wait_park(&wait, deadline)      oai_wait_ready(wait)
//
//          Only one of waker, deadline and cancel wins the claim. A waiter that was not woken takes
//          the lock and unlinks its wait, if it is still linked, before it returns: so whoever
//          holds the lock may look at every linked wait. A claimed waiter does not go on before
//          ready: so the object lives until the waker has unlocked it, and the wait until ready.
//          The words and their transitions are told in wait.c.
#ifndef OAI_SCHED_WAIT_H
#define OAI_SCHED_WAIT_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/list.h"

struct oai_task;

typedef struct oai_wait {
    oai_link_t link;       // in the object's list: under the object's lock. Free to use for whoever
                           //   has claimed the wait, until ready
    struct oai_task *task; // who waits; NULL: a plain thread. Constant after begin
    uint64_t word;         // what the wait word is while nobody has claimed this wait: since arm
    void *data;            // where the element is or goes: written before it is linked
    int result;            // written by the waker between claim and ready; before that free to use
    bool breakable;        // a cancel breaks it. Constant after begin
    bool linked;           // in the object's list: under the object's lock
    uint8_t claimed;       // written by who has claimed it: not 0, and what it found (wait.c)
    _Atomic uint8_t own;   // free to use for whoever made the wait
    // A plain thread's. The wait of a task is not looked at from here on: that of a held one
    // (gate.c) ends here.
    struct oai_wait *whole; // what has word and futex: this one, or what it is a part of. Constant
                            //   since arm; a part (select.c) ends here
    _Atomic uint32_t futex; // it sleeps on it until it is 1
    _Atomic uint64_t thread_word;
} oai_wait_t;

enum {
    OAI_WAIT_OF_TASK = offsetof(oai_wait_t, whole),
    OAI_WAIT_PART = offsetof(oai_wait_t, futex),
};
_Static_assert(OAI_WAIT_OF_TASK == 48, "what follows it in memory is pointers");

// Begins a wait of the calling task or thread. `breakable`: a cancel of the task breaks it.
// Returns 0; -ECANCELED (breakable only) when the task is cancelled and not shielded; -ENOMEM when
// there is no stack on which the worker could go on. A wait that was begun need not be linked.
int oai_wait_begin(oai_wait_t *wait, bool breakable);

// What the caller can do before it takes the lock under which a wait may begin: -ECANCELED, as
// above; else sees to it that there is a stack to go on, so that oai_wait_begin() need not map one
// under the lock. 0, or -ENOMEM.
int oai_wait_prepare(void);

// Whether a breakable wait that need not wait has to return -ECANCELED all the same.
bool oai_wait_cancelled(void);

// Gives a wait that was begun its number: from here on it can be claimed. oai_wait_link() does it;
// for an object with room for one wait only, do it under that object's lock.
void oai_wait_arm(oai_wait_t *wait);

// Parks the caller until its wait, which is linked and whose object is unlocked, has been claimed
// and is ready. Returns 0 when woken, or -ECANCELED, -ETIMEDOUT, -EDEADLK (a wait that was not
// breakable, too): then the wait may still be linked.
int oai_wait_park(oai_wait_t *wait, int64_t deadline);

// Under the object's lock, on a wait that was linked until now: true when the caller is the one
// who lets the waiter go, and then owes it an oai_wait_ready().
bool oai_wait_claim(oai_wait_t *wait);

// The same for a wait that is not breakable and has no deadline, so that nobody else can claim it.
void oai_wait_claim_sole(oai_wait_t *wait);

// Lets a claimed waiter go. The object must be unlocked; `wait` is gone afterwards.
void oai_wait_ready(oai_wait_t *wait);

// Makes `wait` that of a task which neither runs nor waits, as if it had been claimed: made ready,
// it queues the task.
void oai_wait_over(oai_wait_t *wait, struct oai_task *task);

// A number below `bound`, which is not zero, at random: from the state of the worker, or thread,
// that the caller is on.
uint32_t oai_wait_random_below(uint32_t bound);

// Whether a deadline has passed.
bool oai_wait_expired(int64_t deadline);

// Who the caller is, for an object that has an owner: a number that is no other task's or plain
// thread's while this one lives; never 0, and even.
uintptr_t oai_wait_self(void);

// ---- Who waits for an object, under the object's lock -------------------------------------------

typedef struct oai_waiters {
    oai_list_t list; // of the waits that can still be claimed, and of broken ones
    // Waiters off the list that will come for the lock again: those whose waits were broken and
    // then found so by a claimer, and those that were only told to try again.
    uint32_t coming;
} oai_waiters_t;

static inline void oai_wait_link_armed(oai_waiters_t *waiters, oai_wait_t *wait)
{
    oai_list_append(&waiters->list, &wait->link);
    wait->linked = true;
}

static inline void oai_wait_link(oai_waiters_t *waiters, oai_wait_t *wait)
{
    oai_wait_arm(wait);
    oai_wait_link_armed(waiters, wait);
}

// The same at the head, for one that was let go and has not got what it waited for.
static inline void oai_wait_link_first(oai_waiters_t *waiters, oai_wait_t *wait)
{
    oai_wait_arm(wait);
    oai_list_prepend(&waiters->list, &wait->link);
    wait->linked = true;
}

// Links a part of a wait for several objects. `whole` was begun, is armed under the locks of all of
// them, linked nowhere itself, and then parked. One part alone can be claimed: if the whole is
// woken, that in which `claimed` is not 0. The waiter takes all others back before it returns.
static inline void oai_wait_link_part(oai_waiters_t *waiters, oai_wait_t *part, oai_wait_t *whole)
{
    part->task = whole->task;
    part->word = whole->word;
    part->whole = whole;
    part->claimed = 0;
    part->result = 0;
    oai_list_append(&waiters->list, &part->link);
    part->linked = true;
}

// A waiter that was not woken takes its wait back.
static inline void oai_wait_unlink(oai_waiters_t *waiters, oai_wait_t *wait)
{
    if (wait->linked)
        oai_list_remove(&waiters->list, &wait->link);
    else
        waiters->coming--;
    wait->linked = false;
}

// Takes the first waiter that can still be let go off the list and claims it; NULL: there is none,
// and the list is empty.
static inline oai_wait_t *oai_wait_claim_first(oai_waiters_t *waiters)
{
    oai_link_t *link;
    while ((link = oai_list_pop(&waiters->list)) != NULL) {
        oai_wait_t *wait = oai_container(link, oai_wait_t, link);
        wait->linked = false;
        if (oai_wait_claim(wait))
            return wait;
        waiters->coming++;
    }
    return NULL;
}

// Whether anybody is inside of a wait who will come for the lock again: then the object may not be
// destroyed. Who was let go will not.
static inline bool oai_wait_busy(const oai_waiters_t *waiters)
{
    return !oai_list_empty(&waiters->list) || waiters->coming != 0;
}

// Claims all waiters, gives each the result, and appends them to `claimed`, the caller's own list,
// for oai_wait_ready_all().
void oai_wait_claim_all(oai_waiters_t *waiters, int result, oai_list_t *claimed);

// Lets all go that oai_wait_claim_all() has claimed; the object must be unlocked.
void oai_wait_ready_all(oai_list_t *claimed);

// ---- Points -------------------------------------------------------------------------------------

// How many simulations there are in the process. Relaxed: whoever runs a task of one sees it.
extern __attribute__((visibility("hidden"))) _Atomic int oai_simulations;

// The cold halves of the two below.
void oai_point_reached(const char *call, const void *object);
void oai_wait_told(const char *call, const void *object, uintptr_t (*holder)(const void *object),
                   bool guards);

static inline bool oai_simulating(void)
{
#ifdef OAI_MODEL
    return false; // the checker switches at every access
#else
    return OAI_UNLIKELY(atomic_load_explicit(&oai_simulations, memory_order_relaxed) != 0);
#endif
}

// In a public call that can touch another task, before and behind what it does, with no lock held:
// under simulation another may run first. `call` and its object are where the task is from here on.
static inline void oai_point(const char *call, const void *object)
{
    if (oai_simulating())
        oai_point_reached(call, object);
}

// The calling task is about to wait in this call, for this object: who holds that, as
// oai_wait_self() has it (0: nobody), or NULL; and whether others use the caller's memory.
static inline void oai_waits_for(const char *call, const void *object,
                                 uintptr_t (*holder)(const void *object), bool guards)
{
    if (oai_simulating())
        oai_wait_told(call, object, holder, guards);
}

#endif
