// SPDX-License-Identifier: BSD-2-Clause
// idle.c - puts workers to sleep and wakes them, and loses no wake-up (see idle.h).
//
// States of a worker: awake (it runs tasks), searching (it looks for work in others' queues), or a
// sleeper, which dozes (a timeout will wake it soon) or not, and of whom one is the sentry, which
// sleeps until the next timer. All transitions are made under the lock; the words `wanted` and
// `wanted_soon` tell publishers, who take no lock, whether they have to wake anybody.
//
// No wake-up is lost. Publish-then-look against announce-then-rescan is a Dekker pair:
//
//     publisher                                  sleeper
//     P1 put the task in a queue                 S1 announce: list itself, set `wanted`
//     P2 barrier                                 S2 membarrier (or a seq_cst fence)
//     P3 look at `wanted`                        S3 look at every queue again
//
// With membarrier P2 is a compiler barrier only: membarrier puts a full barrier into every running
// thread between S1 and S3. Either P3 sees S1, or S3 sees P1. Where membarrier does not exist both
// are seq_cst fences. A publisher that sees `wanted` false because somebody searches relies on
// that searcher: it stops searching either by finding work (then it wakes the next) or by S1 to S3.
// One that sees it false because somebody dozes relies on the doze's end: at most a millisecond.
//
// The same pair stands between inserting a timer and the sentry's going to sleep: the inserter
// stores the shard's next expiry, then looks at `sentry_until`; the sentry stores `sentry_until`,
// then looks at every shard. These four are seq_cst accesses.
#include "sched/idle.h"

#include <errno.h>

#include "os/os.h"

void oai_idle_init(oai_idle_t *idle, unsigned workers, bool asymmetric)
{
    *idle = (oai_idle_t){.max_searching = workers > 2 ? workers / 2 : 1, .asymmetric = asymmetric};
    atomic_init(&idle->wanted, false);
    atomic_init(&idle->wanted_soon, false);
    atomic_init(&idle->sentry_until, INT64_MIN);
}

// Under the lock: publishes what follows from the counts. Relaxed: the barriers of the Dekker pair
// stand between this and what must not pass it.
static void publish_wanted(oai_idle_t *idle)
{
    bool soon = idle->searching == 0 && (idle->sentry || !oai_list_empty(&idle->asleep));
    atomic_store_explicit(&idle->wanted, soon && idle->dozing == 0, memory_order_relaxed);
    atomic_store_explicit(&idle->wanted_soon, soon, memory_order_relaxed);
}

// Under the lock: takes a sleeper off the list.
static void unlist(oai_idle_t *idle, oai_sleeper_t *sleeper)
{
    if (idle->sentry == sleeper) {
        idle->sentry = NULL;
        atomic_store_explicit(&idle->sentry_until, INT64_MIN, memory_order_relaxed);
    } else {
        oai_list_remove(&idle->asleep, &sleeper->link);
    }
    if (sleeper->dozing)
        idle->dozing--;
    sleeper->listed = sleeper->dozing = false;
}

// A sleeper that was taken off the list: lets it go.
static void wake(oai_sleeper_t *sleeper)
{
    // Release: pairs with the acquire in oai_idle_sleep(); what the waker saw, the woken one sees.
    atomic_store_explicit(&sleeper->woken, 1, memory_order_release);
    oai_os.futex_wake(&sleeper->woken, 1);
}

// Under the lock: takes the sleeper off that is best woken, if one may be, and makes it a searcher.
// One without timers first: the sentry only when there is no other.
static oai_sleeper_t *choose(oai_idle_t *idle)
{
    if (idle->searching != 0)
        return NULL;
    oai_sleeper_t *sleeper = idle->sentry;
    if (!oai_list_empty(&idle->asleep))
        sleeper = oai_container(idle->asleep.head, oai_sleeper_t, link);
    if (sleeper) {
        unlist(idle, sleeper);
        sleeper->searching = true;
        idle->searching++;
        publish_wanted(idle);
    }
    return sleeper;
}

int oai_idle_wake_one(oai_idle_t *idle)
{
    oai_lock(&idle->lock);
    oai_sleeper_t *sleeper = choose(idle);
    oai_unlock(&idle->lock);
    if (sleeper)
        wake(sleeper);
    return 0;
}

void oai_idle_published_outside(oai_idle_t *idle)
{
    oai_idle_barrier(idle);
    if (atomic_load_explicit(&idle->wanted_soon, memory_order_relaxed))
        oai_idle_wake_one(idle);
}

void oai_idle_sooner(oai_idle_t *idle, int64_t expiry)
{
    // Seq_cst: the inserter's look of the timers' Dekker pair. INT64_MIN, no sentry: then a worker
    // is awake, which looks at the timers before it sleeps, or all sleepers sleep without timers,
    // and one must be woken.
    int64_t until = atomic_load_explicit(&idle->sentry_until, memory_order_seq_cst);
    if (until != INT64_MIN && until <= expiry)
        return;
    oai_lock(&idle->lock);
    oai_sleeper_t *sleeper = idle->sentry;
    if (!sleeper && !oai_list_empty(&idle->asleep))
        sleeper = oai_container(idle->asleep.head, oai_sleeper_t, link);
    if (sleeper) {
        unlist(idle, sleeper);
        publish_wanted(idle);
    }
    oai_unlock(&idle->lock);
    if (sleeper)
        wake(sleeper);
}

void oai_idle_wake_all(oai_idle_t *idle)
{
    for (;;) {
        oai_lock(&idle->lock);
        oai_sleeper_t *sleeper = idle->sentry;
        if (!sleeper && !oai_list_empty(&idle->asleep))
            sleeper = oai_container(idle->asleep.head, oai_sleeper_t, link);
        if (sleeper)
            unlist(idle, sleeper);
        publish_wanted(idle);
        oai_unlock(&idle->lock);
        if (!sleeper)
            return;
        wake(sleeper);
    }
}

bool oai_idle_search(oai_idle_t *idle, oai_sleeper_t *self)
{
    if (self->searching)
        return true; // it was woken to search
    oai_lock(&idle->lock);
    self->searching = idle->searching < idle->max_searching;
    if (self->searching) {
        idle->searching++;
        publish_wanted(idle);
    }
    oai_unlock(&idle->lock);
    return self->searching;
}

void oai_idle_found(oai_idle_t *idle, oai_sleeper_t *self)
{
    oai_lock(&idle->lock);
    self->searching = false;
    idle->searching--;
    publish_wanted(idle);
    // Where there was work there may be more: the publishers have relied on this search.
    oai_sleeper_t *next = choose(idle);
    oai_unlock(&idle->lock);
    if (next)
        wake(next);
}

void oai_idle_announce(oai_idle_t *idle, oai_sleeper_t *self, bool doze)
{
    oai_lock(&idle->lock);
    if (self->searching) {
        self->searching = false;
        idle->searching--;
    }
    atomic_store_explicit(&self->woken, 0, memory_order_relaxed);
    self->listed = true;
    self->dozing = doze;
    if (doze)
        idle->dozing++;
    if (!idle->sentry) {
        idle->sentry = self;
        // "For ever" until the shards have been looked at. Seq_cst: told above.
        atomic_store_explicit(&idle->sentry_until, INT64_MAX, memory_order_seq_cst);
    } else {
        oai_list_prepend(&idle->asleep, &self->link);
    }
    publish_wanted(idle);
    oai_unlock(&idle->lock);
    // S2: told above.
    if (idle->asymmetric)
        oai_os.membarrier();
    else
        atomic_thread_fence(memory_order_seq_cst);
}

void oai_idle_stay(oai_idle_t *idle, oai_sleeper_t *self)
{
    oai_lock(&idle->lock);
    if (self->listed) {
        unlist(idle, self);
        publish_wanted(idle);
    }
    oai_unlock(&idle->lock);
    // If it was taken off, its waker counts it as a searcher or wants it to look: it looks.
}

// Until when the sentry may sleep; tells the inserters.
static int64_t sentry_until(oai_idle_t *idle, oai_sleeper_t *self, int64_t until,
                            int64_t (*next_expiry)(void *), void *context)
{
    int64_t expiry = next_expiry(context);
    if (expiry < until)
        until = expiry;
    oai_lock(&idle->lock);
    if (idle->sentry == self)
        atomic_store_explicit(&idle->sentry_until, until, memory_order_relaxed);
    oai_unlock(&idle->lock);
    return until;
}

void oai_idle_sleep(oai_idle_t *idle, oai_sleeper_t *self, int64_t until,
                    int64_t (*next_expiry)(void *), void *context)
{
    // A hint is enough: what is not the sentry any more has been woken.
    oai_lock(&idle->lock);
    bool sentry = idle->sentry == self;
    oai_unlock(&idle->lock);
    if (sentry)
        until = sentry_until(idle, self, until, next_expiry, context);
    // Acquire: pairs with the release in wake().
    while (atomic_load_explicit(&self->woken, memory_order_acquire) == 0) {
        if (oai_os.futex_wait(&self->woken, 0, until) == -ETIMEDOUT)
            break;
    }
    // Still listed after a timeout, and after the late wake-up of an earlier sleep.
    oai_idle_stay(idle, self);
}
