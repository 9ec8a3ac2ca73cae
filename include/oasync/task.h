// SPDX-License-Identifier: BSD-2-Clause
// oasync/task.h - the runtime and its tasks.
//
// A coordinator is one runtime: a few OS threads, its workers, that run any number of tasks.
// oa_run() makes one and lends it the calling thread; oa_start() makes one beside the caller.
// A task is made by oa_go() and ends when its function returns. It may call any function that
// waits, at any depth, and is then parked; it holds no stack before its first wait. A blocking task
// runs on a thread of a pool beside the workers, a pinned one on a thread of its own: either may
// call whatever blocks a thread, and its waits block that thread, too. All else is as in any task.
//
// Three results that many calls share:
//  -ENOMEM     A call that may wait can find that the task cannot be parked, because no stack
//              could be mapped on which the other tasks would go on. The call then returns at
//              once and has done nothing; it may be called again.
//  -ECANCELED  The calling task was cancelled (oa_cancel, oa_group_cancel or OA_CANCEL). From
//              then on each of its waits, the present and the later ones, returns this at once,
//              even one that need not wait. What never waits works as ever. Not interrupted, for
//              they guard the caller's memory: oa_mutex_lock, oa_rwlock_rdlock, oa_rwlock_wrlock,
//              oa_once, oa_join, oa_block once begun, and oa_group_wait (which hands the cancel
//              to its group); their _until twins are. A wait for a condition comes back when it
//              has the mutex.
//  -EDEADLK    In a simulation any call that waits can return this: all tasks waited for each
//              other, and this wait was broken. It has done nothing, and the task was cancelled.
//
// A simulation is a runtime whose schedule a seed chooses (oa_config_t.simulate). It has one
// worker, whatever max_workers says. The same seed is the same run as long as program and library
// are the same and the program depends on nothing else: on addresses, another clock, random numbers
// without a seed, other threads. The first time that another thread spawns a task in it or wakes
// one it logs a warning, for then it cannot be repeated. At level OA_LOG_INFO it logs its seed and,
// at its end, how many steps there were and a number that equal runs have in common; at
// OA_LOG_DEBUG each step. In these lines the first task is task 1, and so on.
//  - Points: before and behind each call by which tasks can touch each other the seed may let
//    another run, also where the call need not wait. What a task does between two such calls it
//    does in one go: a data race between them is not found.
//  - Time: the clock is virtual, oa_now() and oa_after() of its tasks too. It begins at OA_SECOND.
//    Each look at it, also that of a call with a deadline, takes 100 nanoseconds, and so does
//    oa_yield(), or a multiple of it when tasks do nothing else; after a million points at which
//    nobody has waited or ended so does each. When all tasks wait the clock is set to the next
//    deadline or delay, whatever other threads may be about to do. It stops before OA_FOREVER.
//  - Blocking and pinned tasks run as all others do, on the worker, on a stack like theirs, with
//    0 as oa_worker_id(), and oa_block() calls its function in place, on the caller's stack. What
//    blocks the OS thread blocks all tasks. oa_run() is -EPERM in each of them.
//  - Deadlock: when all tasks wait, none for a deadline or delay, and the process has no other
//    thread but one that is in oa_wait() for it, the log tells at level OA_LOG_ERROR where each of
//    them waits and, where that is known, for whom. Then their waits return -EDEADLK, and it is
//    shut down by OA_CANCEL: tasks that have begun are cancelled, others dropped. oa_join() and
//    oa_group_wait() end as ever, when those they wait for have ended; where nothing else can go
//    on one of them is broken, of a circle if there is one. oa_run() returns -EDEADLK in the end,
//    oa_wait() 0. While there is another thread nothing is told, for that might let a task go.
#ifndef OASYNC_TASK_H
#define OASYNC_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "time.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oa_coord oa_coord_t; // one runtime
typedef struct oa_task oa_task_t;   // a ticket for a task: to be compared, never dereferenced
typedef struct oa_group oa_group_t; // see group.h
typedef struct oa_mutex oa_mutex_t; // see sync.h, as those below
typedef struct oa_sem oa_sem_t;
typedef struct oa_latch oa_latch_t;
typedef struct oa_barrier oa_barrier_t;
typedef struct oa_backpressure oa_backpressure_t;

// What a task runs.
typedef void oa_fn(void *arg);

#define OA_WHERE_TEXT(line) #line
#define OA_WHERE_LINE(line) OA_WHERE_TEXT(line)
// "file:line" of the place where it stands, as one string literal.
#define OA_WHERE __FILE__ ":" OA_WHERE_LINE(__LINE__)

// ---- The runtime ------------------------------------------------------------------------------

enum { OA_LOG_DEBUG = 1, OA_LOG_INFO = 2, OA_LOG_WARN = 3, OA_LOG_ERROR = 4, OA_LOG_OFF = 5 };

// How a runtime is to be. Zero is the default of every field. A value out of range is refused
// with -EINVAL and the reason is logged.
typedef struct oa_config {
    size_t size;       // sizeof(oa_config_t); OA_CONFIG_INIT and the macros fill it in
    oa_fn *fn;         // the first task; must not be NULL
    void *arg;         // its argument
    int max_workers;   // OS threads that run tasks; 0: $OASYNC_WORKERS, else the CPUs that this
                       //   process may use (affinity mask and every level of cgroup quota)
    int log_level;     // the least level that is logged; 0: $OASYNC_LOG, else OA_LOG_WARN
    size_t stack_size; // bytes of stack that a task may use, reserved and not committed; rounded
                       //   up, 4 KiB to nearly 1 GiB; 0: 256 KiB reserved, guard included, of
                       //   which 188 KiB may be used
    void (*log)(void *log_arg, int level, const char *line); // gets each line, without a newline,
                                                             //   from any thread; NULL: stderr
    void *log_arg;                                           // its first argument
    const char *name;  // of the runtime, in its log lines and the names of its threads; copied
    int max_blocking;  // threads of the blocking pool, at most; made on demand, gone when they have
                       //   had nothing to do for 10 seconds; 1 to 65536; 0: 64
    int oa_reserved;   // 0
    uint64_t simulate; // a seed, 1 or more, for a simulation (see the top of this file);
                       //   0: $OASYNC_SIMULATE, a decimal number, else none
} oa_config_t;

#define OA_CONFIG_INIT {sizeof(oa_config_t), NULL, NULL, 0, 0, 0, NULL, NULL, NULL, 0, 0, 0}

#ifndef __cplusplus
// int oa_run(fn, [arg], ...options): oa_run(start, &x, .max_workers = 4).
#define oa_run(...) oa_run_config(&(oa_config_t){.size = sizeof(oa_config_t), .fn = __VA_ARGS__})

// int oa_start(oa_coord_t **coord, fn, [arg], ...options).
#define oa_start(coord, ...)                                                                       \
    oa_start_config((coord), &(oa_config_t){.size = sizeof(oa_config_t), .fn = __VA_ARGS__})
#endif

// Runs `config->fn(config->arg)` as the first task of a new runtime and returns when no task is
// left, or when all have ended after oa_shutdown(). The calling thread is one of the workers.
// It may be called again, by several threads at once, and by a blocking or pinned task.
// Any thread, but see -EPERM; waits.
// Returns 0, or
//  -EINVAL   config or its fn is NULL, its size is too small, or a field is out of range;
//  -E2BIG    config is larger than this library knows and its tail is not zero;
//  -EPERM    the caller is a task, neither blocking nor pinned nor in oa_block(), or any task of a
//            simulation;
//  -EAGAIN   an OS thread could not be made;
//  -ENOMEM   there is no memory;
//  -EDEADLK  in the simulation all tasks waited for each other (see the top of this file): they
//            were cancelled, and have ended.
// After any other error the first task has not run and nothing is left behind.
int oa_run_config(const oa_config_t *config);

// Starts a runtime beside the caller, with `config->fn(config->arg)` as its first task, and stores
// it in *coord before that task can run. The runtime lives until a shutdown, or until oa_wait() is
// called and no task is left. Each success needs exactly one successful oa_wait().
// Any thread; never waits.
// Returns 0, or, with *coord set to NULL and nothing left behind,
//  -EINVAL  coord, config or its fn is NULL, the size is too small, or a field is out of range;
//  -E2BIG   config is larger than this library knows and its tail is not zero;
//  -EAGAIN  an OS thread could not be made;
//  -ENOMEM  there is no memory.
int oa_start_config(oa_coord_t **coord, const oa_config_t *config);

// Waits until no task of a runtime made by oa_start() is left, joins its threads and frees all it
// had; then `coord` is gone. To be called exactly once with success, after a shutdown too.
// Any thread; waits; a task of another coordinator is parked.
// Returns 0, or, with the coordinator as it was,
//  -EINVAL     coord is NULL or was not made by oa_start();
//  -EDEADLK    the caller is a task of this coordinator;
//  -EBUSY      another thread waits for it already;
//  -ECANCELED  the calling task was cancelled;
//  -ENOMEM     the caller cannot be parked (see the top of this file).
int oa_wait(oa_coord_t *coord);

// As oa_wait(), until a deadline at the latest. Also
//  -ETIMEDOUT  the deadline has passed and tasks were left; the coordinator is still there.
int oa_wait_until(oa_coord_t *coord, int64_t deadline);

typedef enum oa_shutdown {
    OA_DRAIN = 1,  // run what has been spawned to its end, delayed tasks at their time; tasks may
                   //   still spawn, other threads and coordinators may not
    OA_CANCEL = 2, // drop what has not begun, cancel what has (the caller too), refuse every oa_go
} oa_shutdown_t;

// Tells a runtime to end; oa_run() or oa_wait() then returns 0 when all its tasks have ended.
// `coord` NULL means the calling task's own. OA_CANCEL may follow OA_DRAIN.
// Any thread; never waits.
// Returns 0, or
//  -EINVAL    there is no such mode;
//  -EPERM     coord is NULL and the caller is no task;
//  -EALREADY  it was shut down before, other than by OA_DRAIN followed by OA_CANCEL.
int oa_shutdown(oa_coord_t *coord, oa_shutdown_t mode);

// The coordinator of the calling task; NULL in a thread that is no task.
//     job->coord = oa_coord(); // for a plain thread: oa_go(done, job, .coord = job->coord);
// Any thread; never waits.
oa_coord_t *oa_coord(void);

// How many workers a coordinator has. `coord` NULL means the calling task's own.
// Any thread; never waits.
// Returns the number, at least 1, or
//  -EPERM  coord is NULL and the caller is no task.
int oa_workers(oa_coord_t *coord);

// A number for the OS thread beneath the calling task, or -1 in a blocking or pinned task, within
// oa_block(), and in a thread that is no task. It is unique among the threads of its coordinator
// that run tasks now, at least 0 and below oa_worker_limit(), and holds until the task's next wait.
// Any thread; never waits; cannot fail.
int oa_worker_id(void);

// The bound of oa_worker_id() in a coordinator, fixed at its start: the size of an array with an
// element for each thread. `coord` NULL means the calling task's own.
// Any thread; never waits.
// Returns the bound, at least 1, or
//  -EPERM  coord is NULL and the caller is no task.
int oa_worker_limit(oa_coord_t *coord);

// ---- Tasks ------------------------------------------------------------------------------------

// What a task is to be. Zero is the default of every field.
typedef struct oa_spec {
    size_t size;       // sizeof(oa_spec_t); OA_SPEC_INIT and the macro fill it in
    const char *where; // the place of spawning, a string that stays; the macro fills it in
    union {
        oa_fn *fn;    // what the task runs; must not be NULL
        size_t count; // oa_chain: how many functions
    };
    void *arg;            // its argument
    size_t copy;          // > 0: so many bytes of *arg are copied into the task and fn is given the
                          //   copy, aligned as malloc's and alive until the task has ended
    void (*drop)(void *); // called with the argument instead of fn if the task never runs
    const char *name;     // the task's name; its first 31 bytes are copied
    size_t stack;      // bytes of its stack, as stack_size; 0: the coordinator's stack_size, or of
                       //   a pinned task's thread what the system gives; not with block
    oa_task_t **task;  // where to store a handle, to be joined or detached once
    oa_coord_t *coord; // where the task is to run; NULL: the calling task's coordinator
    int64_t delay;     // nanoseconds before it may begin
    oa_group_t *group; // the group it belongs to, which must outlive it
    // The gates, entered one after the other when the delay has passed; each must outlive the task.
    oa_latch_t *latch;     // arrives, and waits until all have
    oa_barrier_t *cb;      // waits until a round is full
    oa_backpressure_t *bp; // one of so many at once
    oa_sem_t *sem;         // takes a permit for its life
    oa_mutex_t *acq;       // holds the mutex for its life
    int block;  // not 0: runs on a thread of the blocking pool, which it may block; those
                //   that wait for one have it in their order
    int pinned; // not 0: runs on an OS thread of its own, made for it when it may begin;
                //   not counted in max_blocking
} oa_spec_t;

#define OA_SPEC_INIT                                                                               \
    {sizeof(oa_spec_t), OA_WHERE, {NULL}, NULL, 0, NULL, NULL, 0, NULL, NULL, 0, NULL, NULL, NULL, \
     NULL, NULL, NULL, 0, 0}

#ifndef __cplusplus
// int oa_go(fn, [arg], ...options): oa_go(foo); oa_go(foo, &x, .delay = 5 * OA_SECOND).
#define oa_go(...)                                                                                 \
    oa_go_short(&(oa_spec_t){.size = sizeof(oa_spec_t), .where = OA_WHERE, .fn = __VA_ARGS__})

// As the argument of oa_go: the task gets a copy of this lvalue or compound literal.
//     oa_go(foo, oa_val(i));
//     oa_go(foo, oa_val((struct point){1, 2}));
#define oa_val(...) (void *)&(__VA_ARGS__), .copy = sizeof(__VA_ARGS__)

// int oa_chain(fns, n, [arg], ...options): oa_chain(steps, 3, &order, .name = "order").
#define oa_chain(fns, ...)                                                                         \
    oa_chain_spec((fns),                                                                           \
                  &(oa_spec_t){.size = sizeof(oa_spec_t), .where = OA_WHERE, .count = __VA_ARGS__})
#endif

// Spawns a task. Either spec->fn runs or, where the task is never to run (an error here, a cancel
// before it began, a shutdown), spec->drop is called with the argument: exactly one of the two,
// once, whatever this call returns. The argument is the copy where one has been made, else `arg`.
// Only with an unreadable spec (NULL, a wrong size) or a NULL fn neither runs. drop is called by
// whoever drops, with no lock of the library held, and must not wait; for an error it has been
// called when this call returns. The handle is stored before the task can run.
// Any thread, but see -EPERM; never waits.
// Returns 0, or, with NULL stored as the handle if the spec could be read,
//  -EINVAL     spec or its fn is NULL, its size is too small, copy with a NULL arg, a negative
//              delay, a stack size out of range, block with a stack size or with pinned, or what
//              cannot be a gate (a barrier of 0, a backpressure without max or mode);
//  -E2BIG      spec is larger than this library knows and its tail is not zero;
//  -EPERM      the caller is no task and coord is NULL;
//  -ESHUTDOWN  the coordinator was shut down and takes no more tasks;
//  -ECANCELED  the group was cancelled and no oa_group_wait() has returned since;
//  -EAGAIN     a lossy backpressure is full (0 behind a delay, latch or barrier); or no OS thread
//              can be made for a pinned task, or for a blocking one and the pool has none (after a
//              delay or gate it is tried until one can be);
//  -ENOMEM     there is no memory.
int oa_go_spec(const oa_spec_t *spec);

// As oa_go_spec() with fn, arg, where and task (NULL: no handle) and no other option. What oa_go
// calls when the compiler sees that there is no other: a quarter of a spawn's time would go to the
// zeros of a spec.
//     oa_go_plain(foo, &x, OA_WHERE, NULL); // oa_go(foo, &x)
// Any thread, but see -EPERM; never waits.
// Returns 0, or, with NULL stored as the handle,
//  -EINVAL     fn is NULL;
//  -EPERM      the caller is no task;
//  -ESHUTDOWN  the coordinator was shut down and takes no more tasks;
//  -ENOMEM     there is no memory.
int oa_go_plain(oa_fn *fn, void *arg, const char *where, oa_task_t **task);

#ifndef __cplusplus
static inline int oa_go_short(const oa_spec_t *spec)
{
    uintptr_t others = (uintptr_t)spec->drop | (uintptr_t)spec->name | (uintptr_t)spec->coord |
                       (uintptr_t)spec->group | (uintptr_t)spec->latch | (uintptr_t)spec->cb |
                       (uintptr_t)spec->bp | (uintptr_t)spec->sem | (uintptr_t)spec->acq |
                       spec->copy | spec->stack | (uint64_t)spec->delay |
                       ((unsigned)spec->block | (unsigned)spec->pinned);
    if (__builtin_constant_p(others == 0) && others == 0)
        return oa_go_plain(spec->fn, spec->arg, spec->where, spec->task);
    return oa_go_spec(spec);
}
#endif

// Spawns a chain: one task that calls fns[0] to fns[spec->count - 1], each with the argument, one
// when the other has returned. `fns` is copied. To all else it is a task as any other: it has one
// handle, group, context and temp memory, one set of locals, and holds its gates until the last
// function has returned. A chain that was cancelled before it began calls none; one that has begun
// goes on calling, for a cancel only breaks waits: a function that shall not run then asks
// oa_cancelled().
// spec->drop is called as told at oa_go_spec(); with `fns` or one of them NULL neither it nor any
// function is called.
// Any thread, but see -EPERM; never waits.
// Returns 0, or, with NULL stored as the handle, the errors of oa_go_spec() and
//  -EINVAL  fns or one of them is NULL, or count is 0.
int oa_chain_spec(oa_fn *const *fns, const oa_spec_t *spec);

// Waits until a task has ended or was dropped, and gives up its handle. A task's joiner is told
// after its group. A cancel of the caller does not interrupt it.
// Any thread; waits.
// Returns 0, or, with the handle still the caller's,
//  -ESRCH    the handle is stale: NULL, joined, detached, or of a task spawned without .task;
//  -EDEADLK  the caller is this task, whoever may join it;
//  -EBUSY    another joins it already;
//  -ENOMEM   the caller cannot be parked (see the top of this file).
int oa_join(oa_task_t *task);

// As oa_join(), until a deadline at the latest, and interrupted by a cancel of the caller. Also
//  -ETIMEDOUT  the deadline has passed and the task had not ended;
//  -ECANCELED  the calling task was cancelled.
int oa_join_until(oa_task_t *task, int64_t deadline);

// Gives up a handle without waiting; what the task had is freed when it ends.
//     oa_go(foo, &x, .task = &task);
//     oa_detach(task); // instead of oa_join(task)
// Any thread; never waits.
// Returns 0, or
//  -ESRCH  the handle is stale: NULL, joined, detached, or of a task spawned without .task;
//  -EBUSY  another joins it at this moment.
int oa_detach(oa_task_t *task);

// Cancels a task. One that has not begun never runs and is dropped; one that has begun gets
// -ECANCELED from its waits, see the top of this file. It is not killed, and the tasks it spawned
// are not cancelled. Cancelling again changes nothing.
// Any thread; never waits.
// Returns 0, or
//  -ESRCH  the handle is stale or the task has ended.
int oa_cancel(oa_task_t *task);

// Whether the calling task was cancelled, shielded or not; false in a thread that is no task.
//     while (!oa_cancelled() && more())
//         compute();
// Any thread; never waits.
bool oa_cancelled(void);

// oa_shield(true): no wait of the calling task is broken by a cancel until oa_shield(false).
// Returns what it was before; does nothing and returns false in a thread that is no task.
// Any thread; never waits.
bool oa_shield(bool on);

// Lets other tasks run first; the calling task stays ready and goes on in its turn. A plain thread
// gives up its CPU.
// Any thread; never waits, but may put the task behind others; cannot fail: without memory for a
// stack it returns at once.
void oa_yield(void);

// Waits for `ns` nanoseconds, never less; OA_FOREVER: until cancelled.
// Any thread (a plain one sleeps); waits.
// Returns 0, or
//  -EINVAL     ns is negative;
//  -ECANCELED  the calling task was cancelled;
//  -ENOMEM     the caller cannot be parked (see the top of this file).
int oa_sleep(int64_t ns);

// As oa_sleep(), until a deadline; one in the past is 0 at once.
// Any thread; waits.
// Returns 0, or
//  -ECANCELED  the calling task was cancelled;
//  -ENOMEM     the caller cannot be parked (see the top of this file).
int oa_sleep_until(int64_t deadline);

// Calls fn(arg) where it may block its OS thread: on a thread of the blocking pool, while the
// calling task is parked; the calls wait for a thread in their order. To fn it is the calling task
// that runs: oa_self(), what it holds and whether it is cancelled are the same, and fn may wait,
// which blocks that thread. A task that was cancelled, or is before a thread has come to it, gets
// -ECANCELED and fn is not called; once fn has begun a cancel does not interrupt this call.
// In a blocking or pinned task, and in a thread that is no task, fn is called in place, always.
// Any thread; waits.
// Returns 0 when fn has returned, or, without having called it,
//  -EINVAL     fn is NULL;
//  -ECANCELED  the calling task was cancelled;
//  -EAGAIN     the pool has no thread and none can be made;
//  -ENOMEM     there is no memory, or the caller cannot be parked (see the top of this file).
int oa_block(oa_fn *fn, void *arg);

// A handle of the calling task, stale when it has ended; NULL in a thread that is no task. It may
// be given to oa_cancel(), oa_task_id() and oa_task_name(); it cannot be joined unless .task
// asked for that.
//     printf("%" PRIu64 " %s\n", oa_task_id(oa_self()), oa_task_name(oa_self()));
// Any thread; never waits.
oa_task_t *oa_self(void);

// The number of a task: never 0, and never given to another task of the process. 0 for a stale
// handle or NULL. A task that has ended keeps its number until it is joined or detached.
// Any thread; never waits.
uint64_t oa_task_id(oa_task_t *task);

// The name of a task, "" when it was given none; NULL for NULL or a stale handle. The string is
// good until the task has ended and the handle that was asked for, if any, is joined or detached.
// Any thread; never waits.
const char *oa_task_name(oa_task_t *task);

// ---- What a task has of its own ---------------------------------------------------------------

// When the last function of a task has returned, first the destroyers of its locals run, then its
// context and temp memory are gone, then its gates are released, and then its group and its joiner
// are told.

// Two values for the program's use, which the library never looks at.
typedef struct oa_context {
    void *user_ptr;     // NULL at the start; in a call of a consumer the consumer's argument
    int64_t user_index; // 0 at the start
} oa_context_t;

// The context of the calling task: zero when it begins, at the same address until it ends, and no
// other task's. NULL in a thread that is no task.
// Any thread; never waits; cannot fail.
oa_context_t *oa_context(void);

// Memory of the calling task, which is freed when that has ended: aligned as malloc's, its contents
// undefined; 0 bytes are as 1. To be had in small pieces at little cost. Other tasks may use it as
// long as this one has not ended.
// Any thread; never waits.
// Returns NULL when there is no memory, or in a thread that is no task.
void *oa_temp(size_t size);

// A key under which each task has a value of its own. 0 is never one.
typedef uint64_t oa_local_t;

// Makes a key. At the end of each task that has a value other than NULL under it, destroy(value) is
// called, unless destroy is NULL. That runs in the task: it may wait, also after a cancel if it is
// shielded, and it may set values; NULL is the key's value before it is called. What was set in it
// is destroyed in another round, of which there are 4 at most. The order among keys is undefined.
// Any thread; never waits.
// Returns 0 and stores the key, or
//  -EINVAL  key is NULL;
//  -EAGAIN  there are 1,024 keys.
int oa_local_create(oa_local_t *key, void (*destroy)(void *));

// Deletes a key. Its values are forgotten, no destroyer is called; one that runs goes on.
// Any thread; never waits.
// Returns 0, or
//  -EINVAL  there is no such key, or no more.
int oa_local_delete(oa_local_t key);

// The value of the calling task under a key. NULL when it has set none, when there is no such key
// or no more, and in a thread that is no task.
// Any thread; never waits; cannot fail.
void *oa_local_get(oa_local_t key);

// Sets the value of the calling task under a key. The value before is forgotten.
// Any thread, but see -EPERM; never waits.
// Returns 0, or, with the value as it was,
//  -EPERM   the caller is no task;
//  -EINVAL  there is no such key, or no more;
//  -ENOMEM  there is no memory.
int oa_local_set(oa_local_t key, void *value);

#ifdef __cplusplus
}
#endif

#endif
