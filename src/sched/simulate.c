// SPDX-License-Identifier: BSD-2-Clause
// simulate.c - one worker, a seed that says who runs next, and a clock of its own (simulate.h).
//
// Points. Every call that can touch another task has a point on either side of what it does, one
// that only looks has the one before (oai_point() in wait.h): there the seed may let another run
// first. So what a call does and what the task does between two calls are steps by themselves.
//
// Choices. A worker that is simulated looks around before every dispatch (its tick is 1). All that
// is ready then goes into a window of so many tasks, and one of those is chosen. Half of the seeds
// choose among them at random, at a point too, but only at one in `period`. The others go by ranks:
// the highest runs, at every point, and at one choice in `period` all ranks are drawn anew. The
// first find what few switches at the right places show, the second what shows only when a task is
// kept waiting for long (as in S. Burckhardt et al., "A Randomized Scheduler with Probabilistic
// Guarantees of Finding Bugs", ASPLOS 2010). Nothing depends on an address, nor on the machine's
// clock.
//
// Time. The clock stands while anything is ready; whoever looks at it makes it go on by a little,
// so that a loop that waits for it ends. So does whoever yields, and by more the more of that is
// done and no task waits or ends meanwhile, for somebody may wait so for one who sleeps; and, after
// a million of them, whoever comes to a point. When all wait it is set to the next expiry. When
// nothing will ever expire, and the process has no other thread, that is a deadlock (deadlock.c).
//
// Blocking and pinned tasks run as all others do: none is made HOSTED (task.c).
#include "sched/simulate.h"

#include <errno.h>
#include <inttypes.h>

#include "base/random.h"
#include "sched/internal.h"
#include "sched/note.h"
#include "sched/wait.h"

enum {
    WINDOW = 256,       // tasks that a choice is made among
    LONGEST_PERIOD = 5, // log2 of it
    PATIENCE = 1 << 20, // points in a row that take no time
};
static const int64_t START = INT64_C(1000000000);         // ns: what the clock begins with
static const int64_t LOOK = 100;                          // ns that a look at it takes, or a yield
static const uint64_t IDS = UINT64_C(1) << 32;            // for one simulation
static const uint64_t MIX = UINT64_C(0x9E3779B97F4A7C15); // 2^64 by the golden ratio

struct oai_sim {
    // Constant.
    uint64_t seed, first_id;
    uint32_t period;
    bool ranked;
    // Read by threads outside, written by the worker: no more than a figure.
    _Atomic int64_t now;
    _Atomic uint64_t ids; // given out so far: by anybody
    _Atomic bool outside; // a thread outside has acted on it: by anybody
    // The worker's own, as the rest.
    uint64_t random;
    uint64_t ranking;       // of the present ranks
    uint64_t steps;         // choices made
    uint64_t trace;         // what tells one run from another
    bool alone;             // no other thread was there when nothing was ready last
    bool deadlocked, told;  // told: of a thread outside
    const oai_task_t *left; // it has yielded, or another is to run in its place
    int64_t yields, points; // in a row: since a task last waited or ended
    bool stays;             // the task that leaves is ready still
    size_t count;
    oai_task_t *ready[WINDOW];
};

_Atomic int oai_simulations;

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31; // the finisher of splitmix64 (S. Vigna)
}

oai_sim_t *oai_sim_create(uint64_t seed)
{
    oai_sim_t *sim = oai_os.alloc(sizeof *sim);
    if (!sim)
        return NULL;
    *sim = (oai_sim_t){.seed = seed, .first_id = oai_coord_ids(IDS), .random = mix(seed + MIX) | 1};
    atomic_init(&sim->now, START);
    sim->ranked = oai_random(&sim->random) % 2 != 0;
    sim->period = 1u << oai_random_below(&sim->random, LONGEST_PERIOD + 1);
    // Relaxed: who runs a task of the coordinator has been told of it in order.
    atomic_fetch_add_explicit(&oai_simulations, 1, memory_order_relaxed);
    return sim;
}

void oai_sim_destroy(oai_sim_t *sim)
{
    atomic_fetch_sub_explicit(&oai_simulations, 1, memory_order_relaxed);
    oai_os.free(sim);
}

// ---- Ids, time ----------------------------------------------------------------------------------

uint64_t oai_sim_ids(oai_sim_t *sim, uint64_t count)
{
    // Relaxed: each number is given out once.
    return sim->first_id + atomic_fetch_add_explicit(&sim->ids, count, memory_order_relaxed);
}

uint64_t oai_sim_number(const oai_task_t *task)
{
    return task->id - oai_task_coord(task)->sim->first_id + 1;
}

uint64_t oai_sim_worker_seed(const oai_sim_t *sim)
{
    return mix(sim->seed) | 1;
}

int64_t oai_sim_now(const oai_sim_t *sim)
{
    return atomic_load_explicit(&sim->now, memory_order_relaxed);
}

// The clock goes on, and stops before OA_FOREVER.
static void add_time(oai_sim_t *sim, int64_t ns)
{
    int64_t now;
    if (__builtin_add_overflow(oai_sim_now(sim), ns, &now) || now == OA_FOREVER)
        now = OA_FOREVER - 1;
    atomic_store_explicit(&sim->now, now, memory_order_relaxed);
}

int64_t oai_sim_look(oai_sim_t *sim)
{
    int64_t now = oai_sim_now(sim);
    add_time(sim, LOOK);
    return now;
}

void oai_sim_outside(oa_coord_t *coord)
{
    // Relaxed: the worker tells it, at its next look; here a lock may be held.
    atomic_store_explicit(&coord->sim->outside, true, memory_order_relaxed);
}

static void tell_outside(oa_coord_t *coord)
{
    oai_sim_t *sim = coord->sim;
    if (sim->told || !atomic_load_explicit(&sim->outside, memory_order_relaxed))
        return;
    sim->told = true;
    oai_log(coord, OA_LOG_WARN,
            "simulation: a thread that is no task of it acts on it: it cannot be repeated");
}

// ---- Choices ------------------------------------------------------------------------------------

bool oai_sim_has_room(const oai_sim_t *sim)
{
    return sim->count < WINDOW;
}

void oai_sim_add(oai_sim_t *sim, oai_task_t *task)
{
    sim->ready[sim->count++] = task;
}

void oai_sim_yields(oai_sim_t *sim, const oai_task_t *task)
{
    oai_note_t *note = oai_note_of(task);
    if (note)
        *note = (oai_note_t){.call = "oa_yield"};
    sim->left = task;
    sim->stays = true;
    add_time(sim, LOOK * ++sim->yields);
}

static bool one_in_a_period(oai_sim_t *sim)
{
    return oai_random_below(&sim->random, sim->period) == 0;
}

// The one of the highest rank; whoever is to let others run has none.
static size_t highest(const oai_sim_t *sim)
{
    size_t best = 0;
    uint64_t rank_of_best = 0;
    for (size_t i = 0; i < sim->count; i++) {
        uint64_t rank = mix(sim->ranking ^ oai_sim_number(sim->ready[i]) * MIX) | 1;
        if (sim->ready[i] != sim->left && rank > rank_of_best) {
            best = i;
            rank_of_best = rank;
        }
    }
    return best;
}

static size_t any(oai_sim_t *sim)
{
    uint32_t count = (uint32_t)sim->count;
    uint32_t index = oai_random_below(&sim->random, count);
    if (sim->ready[index] == sim->left && count > 1)
        index = (index + 1 + oai_random_below(&sim->random, count - 1)) % count;
    return index;
}

// One more step of the trace.
static void record(oa_coord_t *coord, const oai_task_t *task)
{
    oai_sim_t *sim = coord->sim;
    sim->steps++;
    sim->trace = mix((sim->trace + MIX) ^ oai_sim_number(task)) + (uint64_t)oai_sim_now(sim);
    if (coord->log_level > OA_LOG_DEBUG)
        return;
    char text[OAI_TASK_TEXT];
    oai_note_t *note = oai_note_of(task);
    bool begun = task->stack && note && note->call;
    oai_log(coord, OA_LOG_DEBUG, "simulation: %" PRIu64 ": at %" PRId64 " ns %s %s%s", sim->steps,
            oai_sim_now(sim), oai_task_text(task, text), begun ? "goes on in " : "begins",
            begun ? note->call : "");
}

oai_task_t *oai_sim_choose(oa_coord_t *coord)
{
    oai_sim_t *sim = coord->sim;
    tell_outside(coord);
    if (sim->count == 0)
        return NULL;
    if (sim->ranked && one_in_a_period(sim))
        sim->ranking = (uint64_t)oai_random(&sim->random) << 32 | oai_random(&sim->random);
    size_t index = sim->ranked ? highest(sim) : any(sim);
    if (!sim->stays)
        sim->yields = sim->points = 0;
    sim->stays = false;
    sim->left = NULL;
    sim->alone = false;
    oai_task_t *task = sim->ready[index];
    sim->ready[index] = sim->ready[--sim->count];
    record(coord, task);
    return task;
}

// ---- Points -------------------------------------------------------------------------------------

void oai_point_reached(const char *call, const void *object)
{
    oai_worker_t *worker = oai_self();
    oai_sim_t *sim = worker && worker->current ? worker->coord->sim : NULL;
    if (!sim)
        return;
    oai_sync_release(sim); // to who tells of a deadlock
    int kept = errno;      // no user expects another one behind an unlock; the thread is the same
    oai_note_t *note = oai_note_of(worker->current);
    if (note)
        *note = (oai_note_t){.call = call, .object = object};
    if (++sim->points > PATIENCE)
        add_time(sim, LOOK * (sim->points - PATIENCE));
    if ((sim->ranked || one_in_a_period(sim)) && oai_worker_prepare(worker) == 0) {
        sim->stays = true;
        if (!sim->ranked)
            sim->left = worker->current;
        oai_worker_leave(worker, OAI_LEAVE_PREEMPTED);
    }
    errno = kept;
}

// ---- Idle, and the end --------------------------------------------------------------------------

// Whether the process has no thread that could act on the simulation: none but its worker's, and
// one that waits for its end.
static bool is_alone(oa_coord_t *coord)
{
    oai_lock(&coord->inject.lock);
    int own = 1 + (coord->lent ? 0 : coord->asleep);
    oai_unlock(&coord->inject.lock);
    int count = oai_os.thread_count();
    return count > 0 && count <= own + (OAI_TSAN ? 1 : 0); // TSan's own begins with the first other
}

bool oai_sim_idle(oa_coord_t *coord, int64_t next)
{
    oai_sim_t *sim = coord->sim;
    tell_outside(coord);
    if (next != INT64_MAX) {
        if (next > oai_sim_now(sim))
            add_time(sim, next - oai_sim_now(sim));
        return true;
    }
    // What another thread has done before it ended or slept is seen by the next look around.
    bool was_alone = sim->alone;
    sim->alone = is_alone(coord);
    if (!was_alone || !sim->alone)
        return sim->alone;
    if (oai_deadlock_size(coord) == 0) // it lives without tasks, until somebody comes
        return false;
    if (!sim->deadlocked)
        oai_deadlock_tell(coord);
    sim->deadlocked = true;
    oai_deadlock_break(coord);
    return true;
}

void oai_sim_begins(oa_coord_t *coord)
{
    oai_log(coord, OA_LOG_INFO, "simulation: seed %" PRIu64, coord->sim->seed);
}

void oai_sim_ends(oa_coord_t *coord)
{
    const oai_sim_t *sim = coord->sim;
    oai_log(coord, OA_LOG_INFO,
            "simulation: seed %" PRIu64 ": %" PRIu64 " steps, trace %016" PRIx64, sim->seed,
            sim->steps, sim->trace);
}

bool oai_sim_deadlocked(const oai_sim_t *sim)
{
    return sim->deadlocked;
}

uint64_t oai_sim_seed(const oai_sim_t *sim)
{
    return sim->seed;
}
