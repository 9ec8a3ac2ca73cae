// SPDX-License-Identifier: BSD-2-Clause
// model.h - what a model is written with: threads, memory, waiting, choices and registration.
//
// A model is a small concurrent program over the shipped sources. The engine runs it again and
// again, every time with another interleaving and other (allowed) weak-memory reads, and stops at
// the first execution that breaks a rule. README.md tells how to write one; engine/explore.c tells
// how the engine works.
//
// Unless said otherwise a function may be called from setup, from model threads and from check.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ---- Registration -------------------------------------------------------------------------------

// How a model is explored. A field left at 0 takes the default given here.
struct model_options {
    int bound;          // preemptions per depth-first execution; 0: 3, -1: none at all
    int stale;          // stale reads per execution; 0: no limit, -1: none (interleavings only)
    int reread;         // how often a thread may read the same stale store again; 0: 2
    int spurious;       // futex waits that return for no reason; 0: none (random modes: 1)
    int weak;           // weak compare-exchanges that fail for no reason; 0: 1, -1: none
    int steps;          // operations in one execution before it is called endless; 0: 8000
    int depth;          // change points of a PCT run; 0: 3
    long executions;    // depth-first budget in executions; 0: 2,000,000
    long runs;          // random runs, and again as many PCT runs; 0: 20,000, -1: none
    uint64_t must_see;  // bits: outcomes that must have been passed to model_seen() at the end
    uint64_t never_see; // bits: outcomes for which model_seen() fails at once
    const char *fails;  // the model is expected to fail with a message holding this text
    bool strict_wake;   // a futex wake on freed memory is an error (default: only a key)
    bool statics;       // the sources have state that setup cannot reset (engine/states.c)
    bool leaks;         // blocks of model_alloc() still there after check are an error
};

struct model {
    const char *name;
    void (*setup)(void); // resets all state, registers threads; alone
    void (*check)(void); // after all threads ended; alone, sees everything; may be NULL
    struct model_options options;
    struct model *next;
};

void model_register(struct model *model);

// MODEL(name, setup, check, .bound = 2, ...) at file level makes a model known to the command line.
#define MODEL(NAME, SETUP, CHECK, ...)                                                             \
    static struct model model_of_##NAME = {#NAME, SETUP, CHECK, {__VA_ARGS__}, NULL};              \
    __attribute__((constructor)) static void model_register_##NAME(void)                           \
    {                                                                                              \
        model_register(&model_of_##NAME);                                                          \
    }                                                                                              \
    struct model_needs_semicolon

// ---- Threads ------------------------------------------------------------------------------------

// Makes a thread that runs fn(arg); setup's threads start when setup has returned. Returns its
// number (1, 2, ...; setup and check are thread 0). At most 15 threads.
int model_thread(const char *name, void (*fn)(void *), void *arg);

// The thread may still be waiting at the end: that is no deadlock.
void model_daemon(int thread);

int model_self(void);
void model_join(int thread);

// Waits until model_unblock(self). An unblock that came first is kept (one only): a second one
// before the block is an error, as it would queue a task twice. Unblock happens-before the return.
void model_block(void);
void model_unblock(int thread);

// A scheduling point, nothing else.
void model_yield(void);

// ---- Verdicts and choices -----------------------------------------------------------------------

#define model_assert(COND) ((COND) ? (void)0 : model_assert_failed(#COND, __FILE__, __LINE__))
_Noreturn void model_assert_failed(const char *cond, const char *file, int line);
_Noreturn void model_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Every value 0 <= v < n is tried.
int model_choose(int n);

// Records outcome bit 0 to 63; see must_see and never_see.
void model_seen(int outcome);

// ---- Memory -------------------------------------------------------------------------------------

// Fresh memory filled with 0xAA, or (also tried) a block of that size that was freed before. Any
// access to a freed block, atomic or plain, is an error. 64-byte aligned from 64 bytes on.
void *model_alloc(size_t size);
void model_free(void *block);

// From now on nobody may touch these bytes, until model_alive(). Frames of instrumented functions
// need no call: they die when the function returns.
void model_dead(const void *start, size_t size);
void model_alive(const void *start, size_t size);

// Names a variable for traces: model_name(&queue.head, "head"). The text is not copied.
#define model_name(PTR, NAME) model_name_bytes(PTR, sizeof *(PTR), NAME)
void model_name_bytes(const void *start, size_t size, const char *name);

// Writes a line into the trace, if one is being made.
void model_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

// ---- The machine --------------------------------------------------------------------------------

// The shapes of the OS table. Wait returns 0 when woken, when the word differed and (option)
// spuriously, or -ETIMEDOUT. The deadline is absolute in ns, INT64_MAX for ever; the time-out is
// one more choice and moves the clock. Neither orders memory for the caller: only a store made
// before a wake is seen by a wait that comes after the wake. os.c has the whole table.
int model_futex_wait(const _Atomic uint32_t *word, uint32_t expected, int64_t deadline);
void model_futex_wake(const _Atomic uint32_t *word, int count);

// A seq_cst fence in every thread. Returns 0.
int model_membarrier(void);

// A virtual clock, 0 at the start, moved by time-outs and model_advance() only.
int64_t model_now(void);
void model_advance(int64_t ns);

// The body of a spin loop (src/base/atomic.h calls it in this build): the thread runs again when
// another one has written something, or when nobody else can run; what it read in the loop is then
// read fresh. Going on at once is also tried, at the price of a preemption.
void oai_model_pause(void);
