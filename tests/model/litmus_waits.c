// SPDX-License-Identifier: BSD-2-Clause
// litmus_waits.c - the engine's own test, scheduling part: futex, time-outs, spinning, blocking,
// new threads and choices.
#include "model.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define RLX memory_order_relaxed
#define ACQ memory_order_acquire
#define REL memory_order_release

static _Atomic uint32_t word, word_2;
static int plain, count, first, second;
static int result[4];

static void reset(void)
{
    atomic_store_explicit(&word, 0, RLX);
    atomic_store_explicit(&word_2, 0, RLX);
    memset(result, 0, sizeof result);
    plain = count = 0;
    model_name(&word, "word");
    model_name(&word_2, "word_2");
    model_name(&plain, "plain");
}

// THREAD(name) { ... }: a thread's function.
#define THREAD(NAME) static void NAME(void *unused __attribute__((unused)))

// TWO(name, options): a model of the threads name_0 and name_1.
#define TWO(NAME, ...)                                                                             \
    static void NAME##_setup(void)                                                                 \
    {                                                                                              \
        reset();                                                                                   \
        first = model_thread("P0", NAME##_0, NULL);                                                \
        second = model_thread("P1", NAME##_1, NULL);                                               \
    }                                                                                              \
    MODEL(NAME, NAME##_setup, NULL, __VA_ARGS__)

static void set(_Atomic uint32_t *w, uint32_t value)
{
    atomic_store_explicit(w, value, REL);
}

static uint32_t get(_Atomic uint32_t *w)
{
    return atomic_load_explicit(w, ACQ);
}

THREAD(nothing)
{
}

// ---- Waiting ------------------------------------------------------------------------------------

// The look and the wait are one step: no lost wake-up ...
THREAD(futex_0)
{
    while (get(&word) == 0)
        model_futex_wait(&word, 0, INT64_MAX);
}

THREAD(futex_1)
{
    set(&word, 1);
    model_futex_wake(&word, 1);
}

TWO(futex, .spurious = 1);

// ... unless the wake comes before the store.
THREAD(lost_1)
{
    model_futex_wake(&word, 1);
    set(&word, 1);
}

#define lost_0 futex_0
TWO(lost, .fails = "deadlock");

// A waker that looks whether somebody waits: store and look need a fence on both sides.
#define ASK(NAME, BETWEEN, ...)                                                                    \
    THREAD(NAME##_0)                                                                               \
    {                                                                                              \
        atomic_store_explicit(&word_2, 1, RLX);                                                    \
        BETWEEN;                                                                                   \
        if (get(&word) == 0)                                                                       \
            model_futex_wait(&word, 0, INT64_MAX);                                                 \
    }                                                                                              \
    THREAD(NAME##_1)                                                                               \
    {                                                                                              \
        atomic_store_explicit(&word, 1, RLX);                                                      \
        BETWEEN;                                                                                   \
        if (get(&word_2))                                                                          \
            model_futex_wake(&word, 1);                                                            \
    }                                                                                              \
    TWO(NAME, __VA_ARGS__)

ASK(ask_fences, atomic_thread_fence(memory_order_seq_cst), .fails = NULL);
ASK(ask_no_fences, (void)0, .fails = "deadlock");

THREAD(time_0)
{
    result[0] = model_futex_wait(&word, 0, 500);
    model_assert(result[0] == 0 || (result[0] == -ETIMEDOUT && model_now() >= 500));
}

static void time_check(void)
{
    model_seen(result[0] != 0);
}

static void time_setup(void)
{
    reset();
    model_thread("P0", time_0, NULL);
    model_thread("P1", futex_1, NULL);
}

MODEL(time_out, time_setup, time_check, .must_see = 3);

THREAD(spin_0)
{
    while (get(&word) == 0)
        oai_model_pause();
    set(&word_2, 1);
}

THREAD(spin_1)
{
    set(&word, 1);
    while (get(&word_2) == 0)
        oai_model_pause();
}

TWO(spin, .fails = NULL);

THREAD(livelock_1)
{
    while (get(&word_2) == 0)
        oai_model_pause();
    set(&word, 1);
}

#define livelock_0 spin_0
TWO(livelock, .fails = "livelock");

THREAD(endless_1)
{
    while (get(&word) == 0)
        (void)0;
}

#define endless_0 nothing
TWO(endless, .fails = "endless");

// A bounded spin that gives up and waits, also while the other one has not written yet.
THREAD(give_up_0)
{
    for (int i = 0; i < 2 && get(&word) == 0; i++)
        oai_model_pause();
    result[0] = get(&word) == 0;
    while (get(&word) == 0)
        model_futex_wait(&word, 0, INT64_MAX);
}

static void give_up_setup(void)
{
    reset();
    model_thread("P0", give_up_0, NULL);
    model_thread("P1", futex_1, NULL);
}

MODEL(give_up, give_up_setup, time_check, .must_see = 3);

// ---- Block, join, new threads, choices ----------------------------------------------------------

THREAD(block_0)
{
    plain = 1;
    model_unblock(second);
    model_block();
    model_assert(plain == 2);
}

THREAD(block_1)
{
    model_block();
    model_assert(plain == 1);
    plain = 2;
    model_unblock(first);
}

TWO(block, .fails = NULL);

THREAD(unblock_twice_0)
{
    model_unblock(second);
    model_unblock(second);
}

THREAD(unblock_twice_1)
{
    model_block();
}

TWO(unblock_twice, .fails = "unblocked twice");

THREAD(child)
{
    plain++;
    count += model_choose(3);
}

THREAD(join_0)
{
    plain = 1;
    int t = model_thread("child", child, NULL);
    model_join(t);
    model_assert(plain == 2);
}

static void join_setup(void)
{
    reset();
    model_thread("P0", join_0, NULL);
}

static void join_check(void)
{
    model_seen(count);
}

MODEL(join, join_setup, join_check, .must_see = 7);

THREAD(idle)
{
    for (;;)
        if (model_futex_wait(&word_2, 0, INT64_MAX) == 0 && get(&word_2))
            return;
}

static void daemon_setup(void)
{
    reset();
    model_daemon(model_thread("idle", idle, NULL));
    model_thread("P1", futex_1, NULL);
}

MODEL(daemon, daemon_setup, NULL, .spurious = 1);

// A weak compare-exchange fails for no reason; a strong one does not.
THREAD(weak_0)
{
    uint32_t e = 0;
    result[0] = !atomic_compare_exchange_weak(&word, &e, 1);
}

THREAD(strong_0)
{
    uint32_t e = 0;
    result[0] = !atomic_compare_exchange_strong(&word, &e, 1);
}

static void weak_setup(void)
{
    reset();
    model_thread("P0", weak_0, NULL);
}

static void strong_setup(void)
{
    reset();
    model_thread("P0", strong_0, NULL);
}

MODEL(weak_cas, weak_setup, time_check, .must_see = 3);
MODEL(strong_cas, strong_setup, time_check, .must_see = 1, .never_see = 2);

// A spin lock with plain data under it: two increments are never lost.
THREAD(locked_0)
{
    while (atomic_exchange_explicit(&word, 1, ACQ))
        oai_model_pause();
    count++;
    atomic_store_explicit(&word, 0, REL);
}

static void locked_check(void)
{
    model_assert(count == 2);
}

static void locked_setup(void)
{
    reset();
    model_thread("P0", locked_0, NULL);
    model_thread("P1", locked_0, NULL);
}

MODEL(locked, locked_setup, locked_check, .bound = 4);
