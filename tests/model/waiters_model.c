// SPDX-License-Identifier: BSD-2-Clause
// waiters_model.c - those who wait for a coordinator's end: one that gives up leaves it as it was,
// only one succeeds, and none touches it once another has succeeded.
//
// Shipped: as in lifecycle_model.c. Complete to two preemptions: two threads with one stale read,
// three of interleavings alone; random runs go beyond.
#include "lifecycle.h"

// ---- A wait that gives up -----------------------------------------------------------------------

static void start_blocked(void)
{
    life_reset();
    life_start(life_blocks, 1);
    life_blocked = 1; // its worker's
}

// In a moment, or not in the future at all.
static int64_t soon_or_now(void)
{
    return model_now() + (model_choose(2) ? 1000 : 0);
}

// After a wait that failed the coordinator does not end by itself.
static void lives_on(void)
{
    life_spawns(NULL);
    model_assert(life_taken == 1);
}

static void all_ran(void)
{
    life_gone();
    model_assert(life_ran[0] == 1 && life_ran[3] == life_taken);
}

static void gives_up(void *unused)
{
    (void)unused;
    model_assert(oai_coord_wait(life_coord, soon_or_now()) == -ETIMEDOUT);
    model_unblock(life_blocked);
    lives_on();
    life_waits(NULL);
}

static void timed(void)
{
    start_blocked();
    model_thread("waiter", gives_up, NULL);
}

MODEL(timed, timed, all_ran, .bound = 2, .stale = 1, .runs = 5000);

// The last task ends while the time runs out: the wait succeeds, or the coordinator is as it was.
static void may_give_up(void *unused)
{
    (void)unused;
    int err = oai_coord_wait(life_coord, soon_or_now());
    model_assert(err == 0 || err == -ETIMEDOUT);
    model_seen(err ? TIMED_OUT : RAN);
    if (err) {
        lives_on();
        model_assert(oai_coord_wait(life_coord, OA_FOREVER) == 0);
    }
    oai_coord_destroy(life_coord);
}

static void timed_late(void)
{
    life_reset();
    life_start(life_leaf, 1);
    model_thread("waiter", may_give_up, NULL);
}

MODEL(timed_late, timed_late, all_ran, .bound = 2, .stale = 1, .runs = 5000,
      .must_see = 1 << RAN | 1 << TIMED_OUT);

// ---- Two wait -----------------------------------------------------------------------------------

// One is turned away or gives up, and that is no harm to the other.
static int other;

static void waits_in_vain(void *unused)
{
    (void)unused;
    int err = oai_coord_wait(life_coord, model_now() + 1000);
    model_assert(err == -ETIMEDOUT || err == -EBUSY);
    model_seen(err == -EBUSY ? BUSY : TIMED_OUT);
    model_unblock(life_blocked);
}

static void waits_again(void *unused)
{
    (void)unused;
    int err = oai_coord_wait(life_coord, OA_FOREVER);
    model_assert(err == 0 || err == -EBUSY);
    if (err) {
        model_join(other);
        lives_on();
        model_assert(oai_coord_wait(life_coord, OA_FOREVER) == 0);
    }
    oai_coord_destroy(life_coord);
}

static void two_wait(void)
{
    start_blocked();
    other = model_thread("waiter in vain", waits_in_vain, NULL);
    model_thread("waiter", waits_again, NULL);
}

MODEL(two_wait, two_wait, all_ran, .bound = 2, .stale = -1, .runs = 5000,
      .must_see = 1 << BUSY | 1 << TIMED_OUT);

// The last task ends while both are in their calls: who succeeds frees the coordinator, and the
// other has touched it for the last time by then.
static bool succeeded;       // plain: the first waiter's, then of who has joined it
static oai_lock_t back_lock; // of the next
static bool one_back;        // a waiter has returned

static void tell_back(void)
{
    oai_lock(&back_lock);
    one_back = true;
    oai_unlock(&back_lock);
}

static void until_both_wait(void *mine)
{
    for (bool both = false; !both; oai_pause()) {
        oai_lock(&life_coord->inject.lock);
        both = life_coord->waits == 2;
        oai_unlock(&life_coord->inject.lock);
        oai_lock(&back_lock);
        both = both || one_back;
        oai_unlock(&back_lock);
    }
    life_leaf(mine);
}

static void waits_a_while(void *unused)
{
    (void)unused;
    int err = oai_coord_wait(life_coord, model_now() + 1000);
    succeeded = err == 0;
    model_assert(err == 0 || err == -ETIMEDOUT || err == -EBUSY);
    model_seen(err == 0 ? RAN : err == -EBUSY ? BUSY : TIMED_OUT);
    if (succeeded)
        oai_coord_destroy(life_coord);
    tell_back();
}

static void waits_or_is_second(void *unused)
{
    (void)unused;
    int err = oai_coord_wait(life_coord, OA_FOREVER);
    model_assert(err == 0 || err == -EBUSY);
    if (err) {
        tell_back();
        model_join(other);
    }
    if (err && !succeeded)
        model_assert(oai_coord_wait(life_coord, OA_FOREVER) == 0);
    if (!err || !succeeded)
        oai_coord_destroy(life_coord);
}

static void both_wait(void)
{
    life_reset();
    back_lock = (oai_lock_t)OAI_LOCK_INIT;
    model_name(&back_lock, "back.lock");
    succeeded = one_back = false;
    life_start(until_both_wait, 1);
    other = model_thread("waiter for a while", waits_a_while, NULL);
    model_thread("waiter", waits_or_is_second, NULL);
}

MODEL(both_wait, both_wait, life_first_ran, .bound = 2, .stale = -1, .runs = 5000,
      .must_see = 1 << BUSY | 1 << TIMED_OUT);

// ---- The last user twice ------------------------------------------------------------------------

static void works_and_drains(void *unused)
{
    oai_worker_t *worker = &life_coord->worker[0];
    (void)unused;
    oai_self_set(worker);
    life_run(worker, oai_inject_take(&life_coord->inject, 1));
    model_assert(oai_coord_try_end(life_coord));
    oai_self_set(NULL);
    oai_coord_leave(life_coord);
    model_assert(oa_shutdown(life_coord, OA_DRAIN) == 0);
}

static void waits_once(void *deadline)
{
    int err = oai_coord_wait(life_coord, *(int64_t *)deadline);
    model_assert(err == 0 || err == -EBUSY || err == -ETIMEDOUT);
}

// The last user leaves, and somebody is inside again: a wait that gives up between the two is no
// harm to the next.
static void last_twice(void)
{
    static int64_t soon, never = OA_FOREVER;
    life_reset();
    soon = model_now() + 1000;
    life_start_bare(life_leaf, 1);
    oai_coord_release(life_coord);
    model_thread("worker", works_and_drains, NULL);
    model_thread("waiter in vain", waits_once, &soon);
    model_thread("waiter", waits_once, &never);
}

MODEL(last_twice, last_twice, NULL, .bound = 2, .stale = -1, .runs = 5000);
