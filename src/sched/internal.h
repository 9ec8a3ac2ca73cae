// SPDX-License-Identifier: BSD-2-Clause
// internal.h - what the files of the scheduler's room know of each other.
//
// Owns:    the three structs of the runtime: a task, a worker, a coordinator.
// Callers: src/sched/ alone, and src/debug/, which reads.
#ifndef OAI_SCHED_INTERNAL_H
#define OAI_SCHED_INTERNAL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/random.h"
#include "fiber/fiber.h"
#include "oasync/task.h"
#include "os/os.h"
#include "sched/idle.h"
#include "sched/inject.h"
#include "sched/pool.h"
#include "sched/runq.h"
#include "sched/self.h"
#include "sched/simulate.h"
#include "sched/slab.h"
#include "sched/timer.h"
#include "sched/wait.h"

typedef struct oai_worker oai_worker_t;

// ---- A task ------------------------------------------------------------------------------------

// oai_task_t.flags. Those above the line change by read-modify-write, by whoever is named.
enum {
    OAI_TASK_CANCELLED = 1u << 0, // by anybody who has the task pinned; for good
    OAI_TASK_SHIELDED = 1u << 1,  // by the task itself
    OAI_TASK_DELAYED = 1u << 2,   // linked in a timer shard: under the shard's lock
    OAI_TASK_NAMED = 1u << 3,     // a handle was given out: by the task itself, or at its making
    OAI_TASK_OWN = 1u << 15,      // its record, told in own.h, is there: by the task itself
    OAI_TASK_HELD = 1u << 29,     // has not passed all its gates: by whoever has it, before it runs
    // It runs on a thread that is no worker: in a blocking or pinned task constant, as those below;
    // in others by that thread, while it runs the function of their oa_block().
    OAI_TASK_HOSTED = 1u << 7,
    OAI_TASK_QUEUED = 1u << 30, // it waits for a thread of the pool: under the pool's lock
    // Constant after its making.
    OAI_TASK_CLASS_SHIFT = 8, // six bits: the size class of its stack, plus one; 0: the default
    OAI_TASK_CLASS_MASK = 63u << 8,
    OAI_TASK_PINNED = 1u << 14, // HOSTED, by a thread that it does not share
    OAI_TASK_INLINE = 1u << 4,  // the argument is a copy that stands in `bytes`
    OAI_TASK_EXTRA = 1u << 5,   // `extra` is there
    OAI_TASK_GROUPED = 1u << 6,
    OAI_TASK_SHARD_SHIFT = 16, // ten bits: the timer shard of a delayed task
    OAI_TASK_SHARD_MASK = 1023u << 16,
    OAI_TASK_GATED = 1u << 26,    // `gates` is there
    OAI_TASK_CONSUMER = 1u << 27, // the two tasks of a consumer, told in dormant.c: what stands for
    OAI_TASK_CALL = 1u << 28,     //   it, and what runs its calls; arg is its oai_dormant_t
    OAI_TASK_SIMULATED = 1u << 31, // its coordinator is: so that oa_join goes the long way
};

// oai_task_t.ticket: what makes a handle good. Who holds LOCKED is alone in writing the word, and
// has the task pinned: none that a handle was given out for is freed without it.
enum {
    OAI_TICKET_LOCKED = 1u << 0,   // also the lock of `joiner`
    OAI_TICKET_JOINABLE = 1u << 1, // its handle is to be joined or detached
    OAI_TICKET_ENDED = 1u << 2,    // joinable and over
    OAI_TICKET_SHIFT = 9,          // the generation: so many low bits of a handle
    OAI_GENERATION_BITS = 23,
};

// What few tasks need. Freed with the task. In that of a gated one it stands behind the gates.
typedef struct oai_extra {
    void (*drop)(void *);
    char name[32];
    oa_fn **chain; // of oa_chain: its functions, behind the copy, and a NULL; else undefined
    _Alignas(16) unsigned char copy[]; // the copied argument
} oai_extra_t;

struct oai_task {
    // Before the task has begun `fresh` counts, afterwards `context`, which is written by who
    // leaves and read by who resumes it; between them stands the wait word or the queue.
    union {
        oai_context_t context;
        struct {
            union {
                oai_timer_t timer; // while it is delayed: under the shard's lock
                oai_job_t job;     // while it waits for a thread of the pool: under its lock
            };
            oa_fn *fn;
        } fresh;
    };
    // Which wait this is, and how far it has come: told in wait.c.
    _Atomic uint64_t word;
    void *arg; // given to fn
    union {
        oai_task_t *next;       // in the injection queue or a chain: its owner's
        _Atomic uint32_t futex; // of a hosted task, which is in no queue: told in wait.c
    };
    oai_stack_t *stack; // NULL until it first waits; written by who leaves it
    // Constant after its making.
    uint64_t id;
    const char *where; // "file:line" of the spawn
    oa_group_t *group;
    oai_link_t member; // of the group: under the group's lock
    // The wait of who joins it: under the ticket's lock.
    oai_wait_t *joiner;
    _Alignas(16) union {
        unsigned char bytes[8]; // a small argument's copy, aligned as malloc's
        oai_extra_t *extra;
        oai_wait_t *gates; // its wait at a gate and more: gate.c
    };
    _Atomic uint32_t flags;
    // The generation moves on when a task ends that was NAMED, in the store that unlocks it.
    _Atomic uint32_t ticket;
};

// Tasks stand at multiples of this many bytes (a shift): a handle needs no lower bits of the
// address.
enum { OAI_TASK_ALIGN_SHIFT = 7 };

#if !OAI_ASAN && !OAI_TSAN
_Static_assert(sizeof(oai_task_t) == 128, "a task is two cache lines");
#endif

// Makes a task from a spec whose fields have been checked; it can be found by nobody yet. NULL:
// no memory. `worker` NULL: the caller is no worker of `coord`. `bare`: no option is set.
oai_task_t *oai_task_make(oa_coord_t *coord, oai_worker_t *worker, const oa_spec_t *spec,
                          bool bare);

// The spec of a chain, which oai_task_make() is given for the spec of a task whose fn is
// oai_chain_run. It has a drop, so that the task gets an `extra`.
typedef struct oai_chain_spec {
    oa_spec_t spec;
    oa_fn *const *fns; // none is NULL
    size_t count;
} oai_chain_spec_t;

// Copies what few tasks need into a task that is being made, and makes the record of its gates.
// Sets the flags that tell of it. False: no memory.
bool oai_extra_make(oai_task_t *task, const oa_spec_t *spec, uint32_t *flags);

// Where the extra of a task of these flags stands: alone, or behind its gates.
oai_extra_t *oai_extra_of(const oai_task_t *task, uint32_t flags);

// Calls each function of the calling task's chain.
void oai_chain_run(void *arg);

// Whether a task whose function has returned has something of own.h, and the end of that: the
// destroyers of its locals run, and may wait.
static inline bool oai_own_any(const oai_task_t *task)
{
    // Relaxed: the flag is the task's own.
    return (atomic_load_explicit(&task->flags, memory_order_relaxed) & OAI_TASK_OWN) != 0;
}
void oai_own_end(oai_task_t *task);

// The task has ended (or was dropped): tells group and joiner and frees it. `worker` NULL: the
// caller is no worker of its coordinator. finish: the same for one that is not counted.
void oai_task_end(oai_task_t *task, oai_worker_t *worker);
void oai_task_finish(oai_task_t *task, oai_worker_t *worker);

// oai_task_end() of a task that has nothing but a handle, by a worker.
void oai_task_end_named(oai_task_t *task, oai_worker_t *worker);

// A task that nobody has been told of is not to be joined.
void oai_task_disown(oai_task_t *task);

// What a call of a consumer may have and does not leave to the next.
enum {
    OAI_TASK_OF_A_CALL = OAI_TASK_CANCELLED | OAI_TASK_SHIELDED | OAI_TASK_NAMED | OAI_TASK_OWN,
};

// A call of a consumer is over: what its task had of the last call is gone, and its handles are
// stale. The task may be given another function and run again. False: its generations are used up,
// the handles are not stale before another has taken its place. That one succeeds to name, stack
// class and group; NULL: no memory.
bool oai_task_renew(oai_task_t *task);
oai_task_t *oai_task_succeed(oai_task_t *task, oai_worker_t *worker);

// The ids of the task's next calls are `count` new ones, in order: the first is set.
void oai_task_number(oai_task_t *task, oai_worker_t *worker, unsigned count);

// The call of a consumer has returned to the loop, or must not begin.
void oai_dormant_returned(oai_task_t *task, oai_worker_t *worker);

// The coordinator is being cancelled: so is whatever task is in this slot.
void oai_task_cancel_any(oai_task_t *task, void *ignored);

// A NAMED task that has not ended yet: pins it, without waiting for who has it pinned. Then cancels
// it, as its handle would, and unpins it.
bool oai_task_try_pin(oai_task_t *task, uint32_t *ticket);
void oai_task_cancel_pinned(oai_task_t *task, uint32_t ticket);

// The coordinator is being cancelled: so are its consumers.
void oai_dormants_cancel(oa_coord_t *coord);

// The coordinator ends: frees what an ended task that nobody has joined or detached owns.
void oai_task_abandon(oai_task_t *task, void *ignored);

// A task of the coordinator has ended, or what was counted as spawned could not be made.
void oai_task_count_end(oa_coord_t *coord, oai_worker_t *worker);

// A delayed task, taken out of its shard, or any that is not to begin: calls its drop and ends it.
void oai_task_discard(oai_task_t *task, oai_worker_t *worker);

// Its name, "" if it has none; it cannot end meanwhile.
const char *oai_task_name(const oai_task_t *task);

// Whether a task that has not begun is not to.
bool oai_task_dropped(oai_task_t *task);

static inline oa_coord_t *oai_task_coord(const oai_task_t *task)
{
    return oai_slab_of(task)->coord;
}

// ---- Gates -------------------------------------------------------------------------------------

// Whether there are any.
static inline bool oai_gates_any(const oa_spec_t *spec)
{
    return ((uintptr_t)spec->latch | (uintptr_t)spec->cb | (uintptr_t)spec->bp |
            (uintptr_t)spec->sem | (uintptr_t)spec->acq) != 0;
}

// How many bytes the record of a task's gates takes.
size_t oai_gates_size(const oa_spec_t *spec);
size_t oai_gates_size_of(const oai_wait_t *record);

// Whether each of them can be a gate, and whether oa_go tells when one refuses the task.
bool oai_gates_valid(const oa_spec_t *spec);
bool oai_gates_tell(const oa_spec_t *spec);

// Fills the record of a task that is being made.
void oai_gates_init(oai_task_t *task, const oa_spec_t *spec);

// A HELD task goes on with its gates, unless it is `cancelled`. 0: it has passed them all.
// -EINPROGRESS: it is held at one, and nobody's who has not let it go. Else it shall never run and
// is to be discarded: -ECANCELED, -EAGAIN.
int oai_gates_pass(oai_task_t *task, bool cancelled);

// What a task is held at.
const char *oai_gates_at(const oai_task_t *task);

// A GATED task has ended, or never begins: gives back what it had, the latest first.
void oai_gates_leave(oai_task_t *task);

// ---- The wait word -----------------------------------------------------------------------------

// Breaks the wait `word` of a task with a cause, if nobody has claimed it; then the task goes on.
bool oai_wait_break(oai_task_t *task, uint64_t word, int cause);

// A task that is pinned, or whose coordinator is being cancelled, has been cancelled: breaks the
// wait it is in, if it is parked and may be broken.
void oai_wait_break_cancelled(oai_task_t *task);

// From the next stack: the registers of a task that parks have been stored.
void oai_wait_saved(oai_task_t *task);

// What has ended the wait of the calling task, which was resumed: 0, -ETIMEDOUT, -ECANCELED,
// -EDEADLK; and its cold half, for a word with a cause.
int oai_wait_broken(oai_task_t *task, uint64_t word);

enum { OAI_WAIT_CAUSE = 3 << 4 }; // no cause: it was woken

static inline int oai_wait_ended(oai_task_t *task)
{
    oai_sync_acquire(&task->word);
    // Acquire: pairs with the release of ready: what was handed over is seen.
    uint64_t word = atomic_load_explicit(&task->word, memory_order_acquire);
    return OAI_LIKELY(!(word & OAI_WAIT_CAUSE)) ? 0 : oai_wait_broken(task, word);
}

// The word of the next wait of a HELD task; the task was linked with it, and the object is
// unlocked; how that wait ended: 0 or -ECANCELED.
uint64_t oai_wait_next(oai_task_t *task);
void oai_wait_held(oai_task_t *task, uint64_t word);
int oai_wait_outcome(oai_task_t *task);
// Whether a task that waits was cancelled, so that the canceller or the task itself breaks the wait
// or has done so; not if the wait cannot be broken.
bool oai_wait_doomed(const oai_wait_t *wait);

// The caller has claimed a task's wait and hosts the task meanwhile. lend: returns when the task
// has parked; from then on it may begin other waits as the task. give_back: the task goes on,
// woken.
void oai_wait_lend(oai_wait_t *wait);
void oai_wait_give_back(oai_task_t *task);

// ---- A worker ----------------------------------------------------------------------------------

enum {
    OAI_TICK = 61,           // dispatches between two looks at the timers and the injection queue
    OAI_LOOKS_AN_OLDEST = 4, // of those until the task that waits longest in blocks has its turn
    OAI_NEXT_STREAK = 16,    // dispatches of the next task in a row before the ring has its turn
};

// What the worker does for the one who left the stack before: the task has parked, or it yields.
// PREEMPTED: as a yield, but it may go on at once (simulate.c).
typedef enum oai_leave { OAI_LEAVE_PARK, OAI_LEAVE_YIELD, OAI_LEAVE_PREEMPTED } oai_leave_t;

// What a thief last saw of a victim.
typedef struct oai_watch {
    uint64_t dispatches;
    int64_t since;   // ns; 0: nothing was queued
    size_t length;   // of its queue
    bool slow;       // the dispatches before `since` took long
    uint64_t robbed; // the dispatches when it last took from it
} oai_watch_t;

struct oai_worker {
    oai_runq_t queue;
    // All below is the worker's own, but where said.
    _Alignas(OAI_CACHELINE) oa_coord_t *coord;
    oai_task_t *current; // the task that runs
    oai_stack_t *stack;  // the stack that this worker stands on
    oai_task_t *left;    // who left for this stack, and why
    oai_leave_t left_why;
    const oai_fpctl_t *left_fp; // its mode, in its own frame
    int tick;                   // dispatches until the next look around
    unsigned looks;             // looks around so far
    int streak;                 // dispatches of the next task in a row
    oai_task_t *pending;        // to be run first by a fresh loop
    // Counters: written by the worker alone, read by anybody.
    _Atomic uint64_t dispatches, parks, steals;
    // Tasks spawned and ended here. Ended: release; pairs with the acquire in coord.c that finds
    // the end, and carries `spawned`.
    _Atomic uint64_t spawned, ended;
    oai_task_cache_t tasks;
    oai_stack_cache_t stacks;
    oai_context_t native; // its thread's own stack; in a build with own stacks, its loop
    oai_stack_t *dead;    // own stacks: the stack of the task that has ended
    oai_context_t dead_context;
    oai_sleeper_t sleeper; // shared: see idle.h
    oai_watch_t *watch;    // an element for each worker
    int64_t stole;         // when it last stole; 0: it is judged
    uint64_t stolen_at;    // its own dispatches then,
    uint64_t parked_at;    // and parks
    bool dear;             // what it ran after the theft before took long
    bool returned;         // all of that soon waited again
    int64_t doze;          // ns of the last doze; 0: none
    uint64_t random;
    uint64_t id_next, id_end; // ids of tasks that it may give out
    int id;
    bool native_thread; // `thread` is to be joined
    oai_os_thread_t thread;
};

// The calling task; NULL in a thread that runs none.
static inline oai_task_t *oai_current(void)
{
    oai_worker_t *worker = oai_self();
    return OAI_LIKELY(worker) ? worker->current : oai_hosted();
}

// The loop of a worker, and its cold half: a task to run, or NULL when the coordinator has ended.
void oai_worker_run(oai_worker_t *worker);
oai_task_t *oai_worker_find(oai_worker_t *worker);

// The calling task, which has made itself findable, leaves its worker to others. It returns how its
// wait has ended when it is resumed, perhaps on another worker. oai_worker_prepare() must have been
// 0.
int oai_worker_park(oai_worker_t *worker);

// The calling task leaves its worker to others and is ready meanwhile; prepared as above.
void oai_worker_leave(oai_worker_t *worker, oai_leave_t why);

// Makes sure of a stack on which the worker could go on, maps one if need be. 0 or -ENOMEM.
int oai_worker_prepare_slow(oai_worker_t *worker);

static inline bool oai_worker_prepared(oai_worker_t *worker)
{
    // A loop with a stack of its own needs none.
    return OAI_OWN_STACKS || OAI_LIKELY(oai_stack_ready(&worker->stacks));
}

static inline int oai_worker_prepare(oai_worker_t *worker)
{
#if OAI_OWN_STACKS
    (void)worker;
    return 0;
#else
    return oai_worker_prepared(worker) ? 0 : oai_worker_prepare_slow(worker);
#endif
}

// The worker of a coordinator that the calling thread is, or NULL.
static inline oai_worker_t *oai_worker_of(const oa_coord_t *coord)
{
    oai_worker_t *worker = oai_self();
    return worker && worker->coord == coord ? worker : NULL;
}

// Queues a task that is ready, from any thread: last, or next in line. The latter returns 0, so
// that who calls it last can return by it.
void oai_task_ready(oai_task_t *task);
int oai_task_ready_next(oai_task_t *task);

// A new task is ready on its own worker. False: no memory.
bool oai_worker_push_new(oai_worker_t *worker, oai_task_t *task);

// What is due of the timers becomes ready. Returns whether anything was.
bool oai_worker_expire(oai_worker_t *worker);

// ---- A coordinator -----------------------------------------------------------------------------

typedef enum oai_state {
    OAI_RUNNING = 0,
    OAI_DRAINING = 1,   // nothing comes from outside
    OAI_CANCELLING = 2, // no task is begun, those that have are cancelled
} oai_state_t;

struct oa_coord {
    oai_inject_t inject;
    oai_idle_t idle;
    // Only grows; written under the injection queue's lock. Seq_cst: pairs with the wait word of
    // whoever parks, told in wait.c.
    _Alignas(OAI_CACHELINE) _Atomic int state;
    // No task is left and none will come: written once, under the injection queue's lock. Release;
    // pairs with the acquire of the workers, who leave.
    _Atomic bool ended;
    bool held;  // it lives without tasks while nobody waits: under the injection queue's lock
    int waits;  // who is in oa_wait: under the same lock, as the next
    int asleep; // plain threads that have waited for its end without a deadline: they stay
    bool lent;  // worker 0 is the thread that called oa_run
    oai_span_t signals; // that thread's signal stack, if it had none
    int workers;        // constant, as all below but what has its own lock
    oai_sim_t *sim;     // NULL: it is no simulation
    unsigned stack_class;
    int log_level;
    void (*log)(void *, int, const char *);
    void *log_arg;
    char name[32];
    oai_timers_t *shards; // as many as workers
    oai_task_pool_t tasks;
    oai_stack_pool_t stacks;
    oai_pool_t pool;
    _Atomic uint32_t next_shard; // for delayed tasks from outside
    oai_worker_t *worker;        // an array
    // Who waits for `users` to become 0: under the injection queue's lock.
    oai_wait_t *waiter;
    oai_list_t dormants; // of oai_dormant_t: under the same lock
    // Threads that may still touch the coordinator: workers that have not left their loop, threads
    // of the pool and of pinned tasks that have not joined the one before, and others inside of a
    // call, which came in while a task kept it alive; but not the waiter. Under the same lock.
    int users;
    _Atomic int kept; // tasks for oai_task_abandon()
    size_t map_size;  // of this struct and the arrays behind it
};

// The calling worker puts a ready task last; the injection queue takes what finds no memory for a
// block.
static inline void oai_worker_push_last(oai_worker_t *worker, oai_task_t *task)
{
    if (OAI_UNLIKELY(!oai_runq_push(&worker->queue, task)))
        oai_inject_put(&worker->coord->inject, task);
}

// What it has of a simulation; NULL: it is none.
static inline oai_sim_t *oai_sim_of(const oa_coord_t *coord)
{
#ifdef OAI_MODEL
    (void)coord;
    return NULL; // as oai_simulating()
#else
    return coord->sim;
#endif
}

// Its time, ns.
static inline int64_t oai_coord_now(const oa_coord_t *coord)
{
    return OAI_UNLIKELY(oai_sim_of(coord) != NULL) ? oai_sim_now(coord->sim) : oai_os.now();
}

// The time for the caller.
static inline int64_t oai_now(void)
{
    oai_worker_t *worker = oai_simulating() ? oai_self() : NULL;
    return worker && oai_sim_of(worker->coord) ? oai_sim_look(worker->coord->sim) : oai_os.now();
}

// Every slot of a task that was ever used.
void oai_coord_for_each(oa_coord_t *coord, void (*visit)(oai_task_t *task, void *arg), void *arg);

// Whether the coordinator has ended; finds out whether it has just now.
bool oai_coord_try_end(oa_coord_t *coord);

// A thread that is no worker of the coordinator touches it, beyond the moment when the last task
// may end: between these two it is not freed. enter: while it is kept alive by a task or by a user.
void oai_coord_enter(oa_coord_t *coord);
void oai_coord_leave(oa_coord_t *coord);

// What is to be counted as spawned: a new task from outside; one that a hosted task spawns, or
// calls of a consumer that rested, which are admitted while the coordinator drains; the end of such
// a consumer, which is until the coordinator has ended.
typedef enum oai_admit { OAI_ADMIT_NEW, OAI_ADMIT_INSIDE, OAI_ADMIT_END } oai_admit_t;

// As enter, and counts what no worker spawns. False: it is not taken any more, nothing was done.
bool oai_coord_admit(oa_coord_t *coord, oai_admit_t what);

// Counts what a worker of the coordinator spawns, or (NULL) admits what another thread does; for a
// hosted task of the coordinator NEW is INSIDE.
bool oai_task_admit(oa_coord_t *coord, oai_worker_t *worker, oai_admit_t what);

// Ids for tasks, `count` of them, never given out before: the first.
uint64_t oai_coord_ids(uint64_t count);

// A line for the log; never waits for a task.
__attribute__((format(printf, 3, 4))) void oai_log(oa_coord_t *coord, int level, const char *format,
                                                   ...);

#endif
