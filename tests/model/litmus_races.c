// SPDX-License-Identifier: BSD-2-Clause
// litmus_races.c - the engine's own test, memory part: each kind of bug is found (`fails` holds the
// expected message), and correct programs of the same shape pass.
#include "model.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define RLX memory_order_relaxed
#define ACQ memory_order_acquire
#define REL memory_order_release

struct node {
    _Atomic uint32_t word;
    int plain;
    char bytes[16];
    struct node *next;
};

static _Atomic uint32_t word, word_2;
static _Atomic(struct node *) shared;
static struct node *block;
static struct node node;
static int plain, count;
static int result[4];

static void reset(void)
{
    atomic_store_explicit(&word, 0, RLX);
    atomic_store_explicit(&word_2, 0, RLX);
    atomic_store_explicit(&shared, NULL, RLX);
    memset(&node, 0, sizeof node);
    memset(result, 0, sizeof result);
    block = NULL;
    plain = count = 0;
    model_name(&word, "word");
    model_name(&word_2, "word_2");
    model_name(&shared, "shared");
    model_name(&node, "node");
    model_name(&plain, "plain");
}

// THREAD(name) { ... }: a thread's function.
#define THREAD(NAME) static void NAME(void *unused __attribute__((unused)))

// TWO(name, options): a model of the threads name_0 and name_1.
#define TWO(NAME, ...)                                                                             \
    static void NAME##_setup(void)                                                                 \
    {                                                                                              \
        reset();                                                                                   \
        model_thread("P0", NAME##_0, NULL);                                                \
        model_thread("P1", NAME##_1, NULL);                                               \
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

// ---- Data races ---------------------------------------------------------------------------------

THREAD(race_0)
{
    plain = 1;
    atomic_store_explicit(&word, 1, RLX);
}

THREAD(race_1)
{
    if (get(&word))
        result[0] = plain;
}

#define race_no_release_0 race_0
#define race_no_release_1 race_1
TWO(race_no_release, .fails = "data race on");

THREAD(ordered_0)
{
    plain = 1;
    set(&word, 1);
}

#define race_none_0 ordered_0
#define race_none_1 race_1
TWO(race_none, .fails = NULL);

THREAD(ww_0)
{
    plain = 1;
}

THREAD(ww_1)
{
    plain = 2;
}

TWO(ww, .fails = "data race on");

THREAD(mixed_0)
{
    atomic_store_explicit(&node.word, 1, RLX);
}

THREAD(mixed_1)
{
    memset(&node, 0, sizeof node);
}

TWO(mixed, .fails = "data race on");

THREAD(copy_0)
{
    struct node copy;
    memcpy(&copy, &node, sizeof copy);
    result[0] = copy.plain;
}

THREAD(copy_1)
{
    node.bytes[3] = 1;
}

TWO(copy, .fails = "data race on");

// Neighbouring bytes are no race.
THREAD(bytes_0)
{
    node.bytes[0] = 1;
}

THREAD(bytes_1)
{
    node.bytes[1] = 1;
}

TWO(bytes, .fails = NULL);

// A plain initialization before the pointer is published is what an atomic reader sees.
THREAD(init_0)
{
    node = (struct node){.plain = 4};
    node.word = 7;
    atomic_store_explicit(&shared, &node, REL);
}

THREAD(init_1)
{
    struct node *n = atomic_load_explicit(&shared, ACQ);
    if (n)
        model_assert(n->word == 7 && n->plain == 4);
}

TWO(init, .fails = NULL);

// ---- Memory that is gone ------------------------------------------------------------------------

THREAD(uaf_0)
{
    struct node *n = model_alloc(sizeof *n);
    n->plain = 1;
    set(&n->word, 0);
    atomic_store_explicit(&shared, n, REL);
    while (!get(&n->word))
        oai_model_pause();
    model_free(n);
}

// The last touch: after the store that lets P0 go on.
THREAD(uaf_1)
{
    struct node *n;
    while (!(n = atomic_load_explicit(&shared, ACQ)))
        oai_model_pause();
    set(&n->word, 1);
    set(&n->word, 2);
}

TWO(uaf, .fails = "use after free");

THREAD(no_uaf_1)
{
    struct node *n;
    while (!(n = atomic_load_explicit(&shared, ACQ)))
        oai_model_pause();
    n->plain = 2;
    set(&n->word, 1);
}

#define no_uaf_0 uaf_0
TWO(no_uaf, .leaks = true);

__attribute__((noinline)) static void wait_on_stack(void)
{
    struct node mine;
    set(&mine.word, 0);
    atomic_store_explicit(&shared, &mine, REL);
    while (get(&mine.word) == 0)
        oai_model_pause();
}

THREAD(frame_0)
{
    wait_on_stack();
    set(&word_2, 1);
}

THREAD(frame_1)
{
    struct node *n;
    while (!(n = atomic_load_explicit(&shared, ACQ)))
        oai_model_pause();
    set(&n->word, 1);
    atomic_fetch_add(&n->word, 1);
}

TWO(frame, .fails = "left stack frame");

// A frame may be left only when the other's last look at it is known to be over.
__attribute__((noinline)) static void lends_stack(memory_order order)
{
    struct node mine;
    mine.plain = 1;
    atomic_store_explicit(&shared, &mine, REL);
    while ((order == ACQ ? get(&word) : atomic_load_explicit(&word, RLX)) == 0)
        oai_model_pause();
}

THREAD(frame_early_0)
{
    lends_stack(RLX);
}

THREAD(frame_early_1)
{
    struct node *n;
    while (!(n = atomic_load_explicit(&shared, ACQ)))
        oai_model_pause();
    result[0] = n->plain;
    set(&word, 1);
}

TWO(frame_early, .fails = "data race");

THREAD(frame_in_time_0)
{
    lends_stack(ACQ);
}

#define frame_in_time_1 frame_early_1
TWO(frame_in_time);

THREAD(declared_0)
{
    set(&node.word, 1);
    model_dead(&node, sizeof node);
    set(&word, 1);
}

THREAD(declared_1)
{
    if (get(&word))
        result[0] = (int)get(&node.word);
}

TWO(declared, .fails = "memory declared dead");

// What nobody has touched is as dead as the rest, and alive when the block is used again.
enum { LARGE = 512, FAR = 300 };

THREAD(untouched_0)
{
    char *large = model_alloc(LARGE);
    large[0] = 1;
    model_free(large);
    atomic_store_explicit(&shared, (struct node *)(void *)large, REL);
}

THREAD(untouched_1)
{
    char *large = (char *)atomic_load_explicit(&shared, ACQ);
    if (large)
        result[0] = large[FAR];
}

TWO(untouched, .fails = "freed memory");

THREAD(revived_0)
{
    for (int i = 0; i < 3; i++) {
        char *large = model_alloc(LARGE);
        large[FAR * (i % 2)] = 1;
        model_free(large);
    }
}

THREAD(nothing)
{
}

#define revived_1 nothing
TWO(revived, .leaks = true);

THREAD(bounds_0)
{
    block = model_alloc(20);
    ((char *)block)[20] = 1;
}

#define bounds_1 nothing
TWO(bounds, .fails = "outside of any block");

THREAD(twice_0)
{
    block = model_alloc(8);
    model_free(block);
    model_free(block);
}

#define twice_1 nothing
TWO(twice, .fails = "freed twice");

THREAD(null_0)
{
    atomic_load_explicit(&shared, ACQ)->plain = 1;
}

#define null_1 nothing
TWO(null, .fails = "null pointer");

THREAD(wild_0)
{
    uintptr_t bad = 0x123450;
    *(volatile char *)bad = 1;
}

#define wild_1 nothing
TWO(wild, .fails = "signal 11");

THREAD(aborts_0)
{
    if (get(&word))
        abort();
}

THREAD(aborts_1)
{
    set(&word, 1);
}

TWO(aborts, .fails = "abort()");

// A freed block may come back at the same address: the compare-exchange does not notice.
THREAD(aba_0)
{
    struct node *old = atomic_load_explicit(&shared, ACQ);
    model_yield();
    struct node *e = old;
    result[0] = atomic_compare_exchange_strong(&shared, &e, NULL) && count;
}

THREAD(aba_1)
{
    struct node *old = atomic_exchange(&shared, NULL);
    if (!old)
        return;
    model_free(old);
    atomic_store_explicit(&shared, model_alloc(sizeof node), REL);
    count = 1;
}

static void aba_setup(void)
{
    reset();
    atomic_store_explicit(&shared, model_alloc(sizeof node), RLX);
    model_thread("P0", aba_0, NULL);
    model_thread("P1", aba_1, NULL);
}

static void aba_check(void)
{
    model_seen(result[0]);
}

MODEL(aba, aba_setup, aba_check, .fails = "data race on");

THREAD(sizes_0)
{
    result[0] = (int)get(&word);
}

THREAD(sizes_1)
{
    result[1] = atomic_load((_Atomic uint8_t *)&word);
}

TWO(sizes, .fails = "mixed sizes");
