// SPDX-License-Identifier: BSD-2-Clause
// once.c - a function that is called once, whoever comes.
//
// How far it has come is the count of one word with a lock bit (word.h). Who has called the
// function publishes DONE and unlocks in one store: whoever comes or waits may return on a look at
// the word, and free the object.
#include <errno.h>

#include "oasync/sync.h"
#include "sched/wait.h"
#include "sync/word.h"

enum { NEW = 0, RUNNING = 1, DONE = 2 };

typedef struct once {
    _Atomic uint64_t word; // who may write it: word.h
    oai_waiters_t waiters; // under the word's lock
    // Who calls the function (oai_wait_self()), while it is RUNNING: written under the word's lock,
    // read under it and by who tells of a deadlock.
    _Atomic uintptr_t runner;
} once_state_t;

_Static_assert(sizeof(once_state_t) <= sizeof(oa_once_t), "fits what is public");

void oa_once_init(oa_once_t *once)
{
    *once = (oa_once_t)OA_ONCE_INIT;
}

static uintptr_t runner(const void *once)
{
    // Relaxed: the lock orders it, or the only worker reads it between two tasks.
    return atomic_load_explicit(&((const once_state_t *)once)->runner, memory_order_relaxed);
}

static void call(once_state_t *once, oa_fn *fn, void *arg)
{
    fn(arg);
    oai_list_t claimed = {NULL, NULL};
    oai_word_lock(&once->word);
    oai_wait_claim_all(&once->waiters, 0, &claimed);
    oai_word_unlock(&once->word, DONE, &once->waiters);
    oai_wait_ready_all(&claimed);
}

// It was RUNNING a moment ago.
static int wait_for_end(once_state_t *once)
{
    oai_wait_t wait;
    int err = oai_wait_begin(&wait, false);
    if (err)
        return err;
    uint64_t word = oai_word_lock(&once->word);
    bool waits = (word & OAI_WORD_COUNT) == RUNNING;
    if (waits)
        oai_wait_link(&once->waiters, &wait);
    oai_word_unlock(&once->word, word, &once->waiters);
    if (!waits)
        return 0;
    oai_waits_for("oa_once", once, runner, false);
    err = oai_wait_park(&wait, OA_FOREVER);
    if (err) { // -EDEADLK: nothing else breaks it
        word = oai_word_lock(&once->word);
        oai_wait_unlink(&once->waiters, &wait);
        oai_word_unlock(&once->word, word, &once->waiters);
    }
    return err;
}

static int call_or_wait(once_state_t *once, oa_fn *fn, void *arg)
{
    uintptr_t self = oai_wait_self();
    uint64_t word = oai_word_lock(&once->word);
    uint64_t found = word & OAI_WORD_COUNT;
    bool own = found == RUNNING && runner(once) == self;
    if (found == NEW) {
        atomic_store_explicit(&once->runner, self, memory_order_relaxed); // as in runner()
        word |= RUNNING;
    }
    oai_word_unlock(&once->word, word, &once->waiters);
    if (found == NEW)
        call(once, fn, arg);
    if (found != RUNNING)
        return 0;
    return own ? -EDEADLK : wait_for_end(once);
}

int oa_once(oa_once_t *given, oa_fn *fn, void *arg)
{
    if (!given || !fn)
        return -EINVAL;
    once_state_t *once = (once_state_t *)(void *)given;
    oai_point(__func__, given);
    // Acquire: pairs with the release of who has called the function.
    if (OAI_LIKELY(atomic_load_explicit(&once->word, memory_order_acquire) == DONE))
        return 0;
    int err = call_or_wait(once, fn, arg);
    oai_point(__func__, given);
    return err;
}
