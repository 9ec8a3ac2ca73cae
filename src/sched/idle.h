// SPDX-License-Identifier: BSD-2-Clause
// idle.h - which workers have nothing to do, and how one of them is woken.
//
// Owns:    the list of sleeping workers, the count of searching ones, and which sleeper is the
//          sentry, the one that wakes for timers.
// Callers: a worker about its own sleeper; whoever made work wait calls wake.
// Design:  told in idle.c, with the proof that no wake-up is lost.
#ifndef OAI_SCHED_IDLE_H
#define OAI_SCHED_IDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/list.h"
#include "base/lock.h"

// One worker's place in all this.
typedef struct oai_sleeper {
    oai_link_t link;        // in `asleep`: under the lock
    _Atomic uint32_t woken; // 1: somebody took it off the list and wakes it. The futex it sleeps on
    bool listed;            // in `asleep` or the sentry: under the lock
    bool dozing;            // it sleeps for a while only: under the lock
    bool searching;         // counted among the searchers: its own worker's, or its waker's while
                            //   it is being woken
} oai_sleeper_t;

typedef struct oai_idle {
    oai_lock_t lock;
    oai_list_t asleep;     // all sleepers but the sentry, the latest first; under the lock
    oai_sleeper_t *sentry; // or NULL; under the lock
    unsigned dozing;       // sleepers that wake by themselves; under the lock
    unsigned searching;    // workers that look for work in others' queues; under the lock
    unsigned max_searching;
    bool asymmetric; // sleepers run membarrier, so that publishers need no fence
    // Whether somebody has to be woken when work comes to wait: written under the lock, read by
    // publishers without it.
    _Atomic bool wanted;      // there is a sleeper, nobody searches and nobody dozes
    _Atomic bool wanted_soon; // there is a sleeper or dozer, and nobody searches
    // Until when the sentry sleeps, ns; INT64_MIN when there is none.
    _Atomic int64_t sentry_until;
} oai_idle_t;

void oai_idle_init(oai_idle_t *idle, unsigned workers, bool asymmetric);

// ---- Whoever makes work wait ------------------------------------------------------------------

// To be called after the work has been put where a worker finds it. Wakes one if one sleeps and
// nobody is on the way to the work. Returns 0, so that who calls it last can return by it.
static inline int oai_idle_published(oai_idle_t *idle);

// As above, but work from outside does not wait for a dozing worker either.
void oai_idle_published_outside(oai_idle_t *idle);

// To be called after a timer has been inserted that lowered its shard's next expiry to `expiry`:
// wakes the sentry if it would sleep longer, or some sleeper if there is no sentry.
void oai_idle_sooner(oai_idle_t *idle, int64_t expiry);

// Wakes every sleeper: something has happened that each must look at.
void oai_idle_wake_all(oai_idle_t *idle);

// ---- A worker without work ----------------------------------------------------------------------

// Whether it may search; then it must end the search by one of the two calls below.
bool oai_idle_search(oai_idle_t *idle, oai_sleeper_t *self);

// The search has found work. If it was the last search and others sleep, one of them is woken to
// go on with it.
void oai_idle_found(oai_idle_t *idle, oai_sleeper_t *self);

// Goes to sleep. `self` searches or has not been allowed to. Afterwards the worker must look at
// all places again where work can wait, and then call either stay or sleep. `doze`: it will sleep
// with a timeout of its own.
void oai_idle_announce(oai_idle_t *idle, oai_sleeper_t *self, bool doze);

// It has found something: it is no sleeper any more.
void oai_idle_stay(oai_idle_t *idle, oai_sleeper_t *self);

// Sleeps until it is woken or, at the latest, until `until` (ns, INT64_MAX: for ever); the sentry
// also until the earliest expiry of all timers, which `next_expiry` tells.
// Afterwards it is no sleeper. It searches (self->searching) if it was woken to.
void oai_idle_sleep(oai_idle_t *idle, oai_sleeper_t *self, int64_t until,
                    int64_t (*next_expiry)(void *), void *context);

// ---- The publisher's fast path ------------------------------------------------------------------

int oai_idle_wake_one(oai_idle_t *idle);

static inline void oai_idle_barrier(const oai_idle_t *idle)
{
    // The publisher's half of the Dekker pair told in idle.c.
    if (OAI_LIKELY(idle->asymmetric))
        oai_compiler_barrier();
    else
        atomic_thread_fence(memory_order_seq_cst);
}

static inline int oai_idle_published(oai_idle_t *idle)
{
    oai_idle_barrier(idle);
    if (OAI_UNLIKELY(atomic_load_explicit(&idle->wanted, memory_order_relaxed)))
        return oai_idle_wake_one(idle);
    return 0;
}

#endif
