// SPDX-License-Identifier: BSD-2-Clause
// deadlock.c - all tasks of a simulation wait for each other: who for what, and how that ends.
//
// Owns:    nothing. Callers: the only worker, between two tasks; no other thread is there, but one
//          that sleeps until the coordinator has ended.
// Design:  where a task waits its note tells; who holds what it waits for, the primitive. A wait
//          that is broken returns -EDEADLK, and its task is cancelled. Waits that guard the
//          caller's memory (a join, a group's) end by themselves when the tasks end that they wait
//          for. Where nothing else is left one of them is broken, then it is seen what comes of it.
//          What is held at a gate, or has not begun, is dropped by the cancel of all.
#include <inttypes.h>
#include <stdio.h>

#include "sched/internal.h"
#include "sched/note.h"
#include "sched/sched.h"
#include "sched/wait_hot.h"

enum {
    MOST_LINES = 64,     // of tasks that wait
    MOST_STEPS = 1 << 20 // in search of a circle
};

static uint64_t word_of(oai_task_t *task)
{
    return atomic_load_explicit(&task->word, memory_order_acquire); // of this thread's own writes
}

// Whether the slot is that of a task that has parked, or is held at a gate.
static bool waits(oai_task_t *task)
{
    const uint64_t bits = OAI_WORD_SAVED | OAI_WORD_CLAIMED | OAI_WORD_READY;
    return (word_of(task) & bits) == OAI_WORD_SAVED;
}

static bool is_held(oai_task_t *task)
{
    return (atomic_load_explicit(&task->flags, memory_order_relaxed) & OAI_TASK_HELD) != 0;
}

// ---- Told ---------------------------------------------------------------------------------------

// Whether it is a task of this coordinator, and not a plain thread, or a task of another one, of
// which no more may be left than the number in a mutex.
static bool is_task_of(oa_coord_t *coord, uintptr_t self)
{
    if (self == 0 || self % OAI_CACHELINE != 0)
        return false;
    const oai_slab_t *slab = atomic_load_explicit(&coord->tasks.slabs, memory_order_relaxed);
    while (slab && slab != oai_slab_of((oai_task_t *)self))
        slab = slab->next;
    return slab != NULL;
}

// The task that holds what this one waits for. NULL: none, or nobody knows.
static oai_task_t *holder_of(oai_task_t *task)
{
    const oai_note_t *note = is_held(task) ? NULL : oai_note_of(task);
    uintptr_t holder = note && note->holder ? note->holder(note->object) : 0;
    return is_task_of(oai_task_coord(task), holder) ? (oai_task_t *)holder : NULL;
}

static bool is_consumer(oai_task_t *task)
{
    return (atomic_load_explicit(&task->flags, memory_order_relaxed) & OAI_TASK_CONSUMER) != 0;
}

static void tell_task(oai_task_t *task)
{
    char text[OAI_TASK_TEXT];
    oa_coord_t *coord = oai_task_coord(task);
    oai_task_text(task, text);
    if (is_held(task)) {
        oai_log(coord, OA_LOG_ERROR, "  %s is held at its %s", text, oai_gates_at(task));
        return;
    }
    const oai_note_t *note = oai_note_of(task);
    const char *call = note && note->call ? note->call : "a call";
    oai_task_t *holder = holder_of(task);
    if (!holder)
        oai_log(coord, OA_LOG_ERROR, "  %s waits in %s", text, call);
    else if (waits(holder) || is_consumer(holder))
        oai_log(coord, OA_LOG_ERROR, "  %s waits in %s for %s %" PRIu64, text, call,
                waits(holder) ? "task" : "a consumer, task", oai_sim_number(holder));
    else
        oai_log(coord, OA_LOG_ERROR, "  %s waits in %s for a task that has ended", text, call);
}

static void count_one(oai_task_t *task, void *count)
{
    if (waits(task))
        ++*(size_t *)count;
}

size_t oai_deadlock_size(oa_coord_t *coord)
{
    size_t count = 0;
    oai_coord_for_each(coord, count_one, &count);
    return count;
}

static void tell_one(oai_task_t *task, void *lines)
{
    if (waits(task) && (*(size_t *)lines)++ < MOST_LINES)
        tell_task(task);
}

// The next of a chain of tasks of which each waits for the next; NULL: it ends here.
static oai_task_t *next_of(oai_task_t *task)
{
    oai_task_t *next = task ? holder_of(task) : NULL;
    return next && waits(next) ? next : NULL;
}

typedef struct search {
    oai_task_t *found; // in a circle, or NULL
    long steps;        // made so far
} search_t;

// From this task on (R. W. Floyd's two pointers).
static void find_circle(oai_task_t *task, void *arg)
{
    search_t *search = arg;
    oai_task_t *slow = task, *fast = task;
    if (search->found || search->steps >= MOST_STEPS || !waits(task))
        return;
    do {
        slow = next_of(slow);
        fast = next_of(next_of(fast));
    } while (fast && slow != fast && ++search->steps < MOST_STEPS);
    search->found = fast && slow == fast ? fast : NULL;
}

static void tell_circle(oa_coord_t *coord, oai_task_t *first)
{
    char line[200];
    int length = snprintf(line, sizeof line, "  a circle: task %" PRIu64, oai_sim_number(first));
    oai_task_t *task = first;
    do {
        task = next_of(task);
        length += snprintf(line + length, sizeof line - (size_t)length, " waits for task %" PRIu64,
                           oai_sim_number(task));
    } while (task != first && length < (int)sizeof line - 48);
    oai_log(coord, OA_LOG_ERROR, "%s%s", line, task == first ? "" : " ...");
}

void oai_deadlock_tell(oa_coord_t *coord)
{
    size_t count = oai_deadlock_size(coord), lines = 0;
    search_t search = {.found = NULL};
    oai_sync_acquire(coord->sim); // the tasks' last points: the objects that they wait for
    oai_log(coord, OA_LOG_ERROR, "simulation: seed %" PRIu64 ": deadlock: %zu %s for ever",
            oai_sim_seed(coord->sim), count, count == 1 ? "task waits" : "tasks wait");
    oai_coord_for_each(coord, tell_one, &lines);
    if (lines > MOST_LINES)
        oai_log(coord, OA_LOG_ERROR, "  and %zu more", lines - MOST_LINES);
    oai_coord_for_each(coord, find_circle, &search);
    if (search.found)
        tell_circle(coord, search.found);
}

// ---- Broken -------------------------------------------------------------------------------------

static bool break_one(oai_task_t *task)
{
    return oai_wait_break(task, word_of(task) & ~(uint64_t)OAI_WORD_SAVED, -EDEADLK);
}

static void break_unguarded(oai_task_t *task, void *any)
{
    if (!waits(task) || is_held(task))
        return;
    const oai_note_t *note = oai_note_of(task);
    if (!(note && note->guards) && break_one(task))
        *(bool *)any = true;
}

// A joiner whose wait is broken may not be woken by the end of the task before it has taken that
// wait back: oa_join's, which nothing else breaks, is not looked at then.
static void look_at_joiner(oai_task_t *task, void *arg)
{
    (void)arg;
    if (task->joiner)
        task->joiner->breakable = true;
}

static void find_any(oai_task_t *task, void *arg)
{
    search_t *search = arg;
    if (!search->found && waits(task) && !is_held(task))
        search->found = task;
}

// Of a circle if there is one: who waits for such a one from outside goes on by itself.
static void break_a_guarded(oa_coord_t *coord)
{
    search_t search = {.found = NULL};
    oai_coord_for_each(coord, find_circle, &search);
    if (!search.found)
        oai_coord_for_each(coord, find_any, &search);
    if (search.found)
        break_one(search.found);
}

void oai_deadlock_break(oa_coord_t *coord)
{
    bool any = false;
    oai_sync_acquire(coord->sim); // as above
    oai_coord_for_each(coord, look_at_joiner, NULL);
    oai_coord_for_each(coord, break_unguarded, &any);
    // -EALREADY: it was cancelled before, and what that has let go has ended or waits again.
    if (oa_shutdown(coord, OA_CANCEL) == -EALREADY && !any)
        break_a_guarded(coord);
}
