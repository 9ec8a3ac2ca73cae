// SPDX-License-Identifier: BSD-2-Clause
// engine.h - the checker's inside: state of one execution, and what its files offer each other.
//
// Everything is on one OS thread. `E` is reset for each execution by bumping an epoch and a few
// counters; no memory is allocated while an execution runs, except while a trace is made.
#pragma once

#include "../model.h"

#include <stdio.h>

enum {
    MAX_THREADS = 16,
    MAX_LOCATIONS = 1008,
    VIEW_SIZE = MAX_THREADS + MAX_LOCATIONS,
    MAX_FRAMES = 256,
    MAX_SPIN_READS = 32,
    MAX_STALE = 32, // stores considered by one read, newest first
    CELL_BITS = 14,
    CELLS = 1 << CELL_BITS,
    LEARNED = 1 << 13,
    STACK_SIZE = 128 << 10,
    BUMP_SIZE = 8 << 20,
    ARENA_SIZE = 2 << 20,
    MAX_BLOCKS = 1024,
    MAX_GRAVES = 256,
    MAX_CHOICES = 1 << 16,
};

// A view: first, per thread, how far of it happened before (its clock); then, per location, the
// oldest store that may still be read. Joining is a maximum, element by element.
typedef int16_t stamp;

struct view {
    uint32_t width;
    stamp at[] __attribute__((aligned(16)));
};

// One store in the modification order of a location.
struct store {
    uint64_t value;
    const struct view *view; // what a reader acquires; NULL: nothing
    uint64_t mark;           // a hash of all stores up to this one
    uint32_t step;
    uint8_t thread;
    bool pending; // written by a plain access: the value is still in memory
};

// What is known of an address from all executions so far: who reads and writes it while the
// threads run. Only an address that one thread writes and another touches needs scheduling.
struct learned {
    uintptr_t addr;
    uint32_t readers, writers;
    bool visible;
};

struct location {
    struct location *next; // in the same cell
    struct cell *cell;
    uintptr_t addr;
    struct store *stores; // in modification order
    struct learned *learned;
    int count, capacity;
    int index;
    int futex_floor; // oldest store a futex wait may read, after wakes
    uint8_t size;
    stamp sc;            // of E.sc, as it is in sc_part
    uint64_t place;      // the address, the same in every process
    uint64_t mark;       // of the newest store; with the next two a part of E.state
    uint64_t floor_part; // of futex_floor
    uint64_t sc_part;    // of sc
};

enum access_kind { ACCESS_READ = 0, ACCESS_WRITE = 1, ACCESS_ATOMIC = 2 };

struct access {
    struct access *next;
    const void *pc;
    uint16_t clock;
    uint8_t thread, mask, kind;
};

enum death { ALIVE, DEAD_FREED, DEAD_FRAME, DEAD_DECLARED, DEAD_ZONE };

// Eight bytes of memory; a line of the machine's cache.
struct cell {
    uintptr_t key;  // address / 8
    uint32_t epoch; // of the execution this content belongs to
    uint8_t dead;   // mask of bytes nobody may touch
    uint8_t death, killer;
    struct location *locations;
    struct access newest; // the others behind it; with an empty mask there is none
    const void *death_pc;
} __attribute__((aligned(64)));

// Memory of which all is dead: a cell that is first touched there is dead from the first.
struct grave {
    uintptr_t start, end; // multiples of 8
    uint8_t death, killer;
    const void *pc;
};

struct stack_cell {
    struct stack_cell *next;
    struct cell *cell;
};

// What one thread last read of one location: keeps it from reading stale stores for ever.
struct seen {
    stamp floor; // no older store, after a pause
    stamp last;
    uint8_t again;
    uint8_t in_spin;
};

enum thread_state { READY, PAUSED, WAITING, BLOCKED, JOINING, FINISHED };

struct thread {
    stamp cur[VIEW_SIZE] __attribute__((aligned(16)));
    stamp acq[VIEW_SIZE] __attribute__((aligned(16))); // what an acquire fence would add
    struct seen seen[MAX_LOCATIONS];
    uintptr_t frames[MAX_FRAMES]; // stack pointers of the instrumented functions
    uint16_t spin_read[MAX_SPIN_READS];
    // From here on all is 0 when a thread begins.
    const struct view *rel; // as of the last release fence
    uint64_t past;          // all it did and observed; with the next a part of E.state
    uint64_t token_part;    // of token and token_view
    bool acq_set;
    int id;
    const char *name;
    void (*fn)(void *);
    void *arg;
    void *sp; // while switched out
    enum thread_state state;
    bool fresh; // has not reached its first operation
    bool daemon;
    bool timed_out;
    bool token; // unblocked before it blocked
    const struct view *token_view;
    struct thread *starter;
    uintptr_t futex;
    int64_t deadline;
    int joining;
    int spins; // in spins_epoch, see E.writes
    uint32_t spins_epoch;
    const void *wait_pc;
    int priority;
    int frames_used;
    struct stack_cell *stack_cells;
    uintptr_t lowest_cell; // of stack_cells
    int spin_reads;
};

struct block {
    char *start;
    size_t size;
    bool freed;
    const struct view *view; // of the thread that freed it
};

enum phase { PHASE_OFF, PHASE_SETUP, PHASE_RUN, PHASE_CHECK };
enum mode { MODE_DFS, MODE_RANDOM, MODE_PCT, MODE_REPLAY };
enum choice_kind {
    CHOOSE_THREAD,
    CHOOSE_STORE,
    CHOOSE_WEAK,
    CHOOSE_SPURIOUS,
    CHOOSE_PAUSE,
    CHOOSE_WAITER,
    CHOOSE_REUSE,
    CHOOSE_USER
};

struct engine {
    // The model and how it is explored.
    const struct model *model;
    struct model_options limits; // resolved: no 0 means default any more; -1 means no limit
    enum mode mode;
    bool trace;

    // The execution.
    enum phase phase;
    struct thread *self;    // NULL outside of threads
    struct thread *threads; // [MAX_THREADS]
    int thread_count;
    int unfinished;                // threads that are no daemons
    uint32_t ready, timed, paused; // masks of threads
    int idle;                      // pauses that ended since the last write
    uint32_t writes;               // may wrap round
    uint32_t steps, plain_steps;
    int preemptions, stale_reads, spurious, weak_failures;
    int64_t clock;
    bool failed;
    bool restart; // an address became visible: the search begins again
    bool known;   // left early, in a state from which all has been explored
    bool whole;   // no execution is left early
    char failure[4096];
    uint32_t decision;
    int candidates[MAX_THREADS]; // of a CHOOSE_THREAD

    // The state as a hash (states.c).
    uint64_t state;                 // the sum of all parts
    uint64_t sc_state;              // the sum of all sc_part
    uint64_t heap_part, spins_part; // what was done to the heap; spins since the last write

    // Memory.
    uint32_t epoch;
    int cells_used;
    int locations;
    struct location *by_index[MAX_LOCATIONS];
    int width; // of views: a multiple of 8
    stamp sc[VIEW_SIZE] __attribute__((aligned(16)));
    struct cell *cells;
    struct cell *used[CELLS * 3 / 4]; // [cells_used]
    struct grave graves[MAX_GRAVES];
    int grave_count;
    struct learned *learned;
    char *bump;
    size_t bump_used;
    char *arena;
    size_t arena_used;
    struct block blocks[MAX_BLOCKS];
    int block_count;
    char *stacks;
    uint64_t seen; // outcomes, of all executions
};

extern struct engine E;

#define PC() __builtin_return_address(0)
#define RARELY(COND) __builtin_expect(!!(COND), 0)

// explore.c
struct verdict {
    bool failed;            // E.failure and the log hold the execution that did
    bool complete;          // DFS: everything within the bounds was seen
    long executions, known; // in all; left early
    double seconds;
};
int eng_choose(enum choice_kind kind, int n);
struct verdict eng_dfs(int bound, long executions, double seconds);
struct verdict eng_random(enum mode mode, uint64_t seed, long runs, double seconds);
bool eng_replay(const char *choices, bool trace);
void eng_shrink(void);
const char *eng_log_text(void);
double eng_now(void);

bool eng_fresh(void);

// run.c: one execution.
void eng_set_up(void);
void eng_execute(void);
_Noreturn void eng_back_to_explorer(void);
void eng_describe_threads(char *text, size_t size);

// sched.c
bool eng_sched_point(bool visible);
void eng_wait(enum thread_state state, const void *pc);
void eng_make_ready(struct thread *t);
void eng_finish_thread(void);
void eng_switch_to(struct thread *next);
void eng_wrote(void);
void eng_prepare_fiber(struct thread *t, void (*entry)(void));
void eng_swap(void **save, void *load);

// states.c
void eng_set_up_states(void);
uint64_t eng_place(uintptr_t addr);
void eng_forget_states(void);
bool eng_state_known(int running);

static inline uint64_t eng_mix(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)(a ^ 0x9E3779B97F4A7C15ull) * (b ^ 0xD1342543DE82EF95ull);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// A part of the state has another value.
static inline void eng_part(uint64_t *part, uint64_t value)
{
    E.state += value - *part;
    *part = value;
}

// The thread goes on, with this that is new to it.
static inline void eng_observe(struct thread *t, uint64_t what)
{
    eng_part(&t->past, eng_mix(t->past, what));
}

// memory.c
void *eng_bump(size_t size);
const struct view *eng_snapshot(const struct thread *t);
void eng_join(stamp *into, const struct view *view);
void eng_view_of_new_location(int index);
void eng_fence(struct thread *t, int order);
struct location *eng_locate(uintptr_t addr, unsigned size, const void *pc);
struct location *eng_find_location(uintptr_t addr);
void eng_pending_store(struct location *x, struct thread *t);
uint64_t eng_load(uintptr_t addr, unsigned size, int order, const void *pc);
bool eng_futex_differs(uintptr_t addr, uint32_t expected, const void *pc);
void eng_store(uintptr_t addr, unsigned size, uint64_t value, int order, const void *pc);
enum rmw { RMW_XCHG, RMW_ADD, RMW_SUB, RMW_AND, RMW_OR, RMW_XOR, RMW_NAND };
uint64_t eng_rmw(uintptr_t addr, unsigned size, enum rmw op, uint64_t operand, int order,
                 const void *pc);
bool eng_cas(uintptr_t addr, unsigned size, uint64_t *expected, uint64_t desired, int success,
             int failure, bool weak, const void *pc);

// shadow.c: plain accesses, life and death of memory.
struct cell *eng_cell(uintptr_t addr);
void eng_plain(uintptr_t addr, size_t size, int kind, const void *pc);
void eng_record(struct cell *c, unsigned mask, int kind, const void *pc);
void eng_check_life(struct cell *c, unsigned mask, const void *pc);
void eng_kill(uintptr_t start, size_t size, enum death death, const void *pc);
void eng_revive(uintptr_t start, size_t size);
void eng_leave_frame(const void *pc);

static inline void eng_enter_frame(uintptr_t sp)
{
    struct thread *t = E.self;
    if (RARELY(t->frames_used == MAX_FRAMES))
        model_fail("engine: calls nested deeper than %d", MAX_FRAMES);
    t->frames[t->frames_used++] = sp;
}

void eng_check_leaks(void);

// trace.c
void eng_trace(const void *pc, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define TRACE(...)                                                                                 \
    do {                                                                                           \
        if (RARELY(E.trace))                                                                       \
            eng_trace(__VA_ARGS__);                                                                \
    } while (0)
void eng_trace_reset(void);
void eng_trace_print(FILE *out);
const char *eng_place_name(uintptr_t addr);
const char *eng_order_name(int order);
const char *eng_value_text(uint64_t value);
const char *eng_code(const void *pc); // a marker that eng_print_resolved() turns into a place
void eng_print_resolved(FILE *out, const char *text);
