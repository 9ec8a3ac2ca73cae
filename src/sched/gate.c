// SPDX-License-Identifier: BSD-2-Clause
// gate.c - the gates of a task: what it has to pass before it may begin.
//
// Owns:    the record of a gated task: its wait at a gate, and behind that what it is gated by. It
//          lives as long as the task.
// Callers: whoever has the task: its maker, a worker that dispatches it, its end.
// Design:  a task enters its gates one after the other. At one that it cannot pass it is linked
//          like any waiter, but as one that has parked already: it has no registers to store. So
//          whoever lets it go, or cancels it, puts it into a run queue, and its next dispatch goes
//          on here. Nobody looks at it meanwhile. From the moment when it is linked it is not the
//          linker's.
#include "sched/internal.h"
#include "sched/sched.h"

// In the order in which they are entered; a bit each in oai_wait_t.own.
static const oai_gate_t *const kinds[] = {&oai_latch_gate, &oai_barrier_gate,
                                          &oai_backpressure_gate, &oai_sem_gate, &oai_mutex_gate};
enum { KINDS = sizeof kinds / sizeof *kinds, PASSED_SHIFT = KINDS };

_Static_assert(OAI_WAIT_OF_TASK + sizeof(void *) <= 56, "with one gate it is a malloc chunk of 64");

static void object_of(const oa_spec_t *spec, void *objects[KINDS])
{
    objects[0] = spec->latch;
    objects[1] = spec->cb;
    objects[2] = spec->bp;
    objects[3] = spec->sem;
    objects[4] = spec->acq;
}

// What the gates of a record are; as many as bits are set, in order.
static void **list_of(oai_wait_t *record)
{
    return (void **)(void *)((char *)record + OAI_WAIT_OF_TASK);
}

// Relaxed, all three: it is written by who has the task, and of what others read (the size, for
// the task's name) no bit changes.
static unsigned own_of(const oai_wait_t *record)
{
    return atomic_load_explicit(&record->own, memory_order_relaxed);
}

static unsigned set_of(const oai_wait_t *record)
{
    return own_of(record) & ((1u << KINDS) - 1);
}

static unsigned passed_of(const oai_wait_t *record)
{
    return own_of(record) >> PASSED_SHIFT;
}

static void set_passed(oai_wait_t *record, unsigned passed)
{
    uint8_t own = (uint8_t)(set_of(record) | passed << PASSED_SHIFT);
    atomic_store_explicit(&record->own, own, memory_order_relaxed);
}

// The kind of the gate number `index` of those that are set.
static const oai_gate_t *kind_of(const oai_wait_t *record, unsigned index)
{
    unsigned set = set_of(record);
    while (index--)
        set &= set - 1;
    return kinds[__builtin_ctz(set)];
}

size_t oai_gates_size(const oa_spec_t *spec)
{
    void *objects[KINDS];
    size_t count = 0;
    object_of(spec, objects);
    for (int i = 0; i < KINDS; i++)
        count += objects[i] != NULL;
    return count ? OAI_WAIT_OF_TASK + count * sizeof(void *) : 0;
}

size_t oai_gates_size_of(const oai_wait_t *record)
{
    return OAI_WAIT_OF_TASK + (size_t)__builtin_popcount(set_of(record)) * sizeof(void *);
}

bool oai_gates_valid(const oa_spec_t *spec)
{
    void *objects[KINDS];
    object_of(spec, objects);
    for (int i = 0; i < KINDS; i++)
        if (objects[i] && kinds[i]->valid && !kinds[i]->valid(objects[i]))
            return false;
    return true;
}

bool oai_gates_tell(const oa_spec_t *spec)
{
    return !spec->delay && !spec->latch && !spec->cb;
}

void oai_gates_init(oai_task_t *task, const oa_spec_t *spec)
{
    oai_wait_t *record = task->gates;
    void *objects[KINDS];
    void **list = list_of(record);
    object_of(spec, objects);
    record->task = task;
    record->breakable = true;
    record->linked = false;
    record->word = 0;
    unsigned set = 0;
    for (int i = 0; i < KINDS; i++)
        if (objects[i]) {
            *list++ = objects[i];
            set |= 1u << i;
        }
    atomic_init(&record->own, (uint8_t)set);
}

// It waited at a gate and was let go, or a cancel broke the wait: then it leaves the gate.
static int come_back(oai_task_t *task, oai_wait_t *record)
{
    unsigned index = passed_of(record);
    int err = oai_wait_outcome(task);
    if (err)
        kind_of(record, index)->withdraw(list_of(record)[index], record);
    else
        set_passed(record, index + 1);
    record->word = 0; // after the withdrawal: until then others may look at it
    return err;
}

int oai_gates_pass(oai_task_t *task, bool cancelled)
{
    oai_wait_t *record = task->gates;
    oai_sync_acquire(task);
    int err = record->word ? come_back(task, record) : 0;
    if (err || cancelled)
        return -ECANCELED;
    unsigned count = (unsigned)__builtin_popcount(set_of(record));
    oai_sync_release(task);
    for (unsigned index = passed_of(record); index < count; index++) {
        uint64_t word = oai_wait_next(task);
        record->result = 0;
        err = kind_of(record, index)->enter(list_of(record)[index], record);
        if (err == -EINPROGRESS)
            oai_wait_held(task, word);
        if (err)
            return err;
        set_passed(record, index + 1);
    }
    // Relaxed: the queue publishes it.
    atomic_fetch_and_explicit(&task->flags, ~(uint32_t)OAI_TASK_HELD, memory_order_relaxed);
    oai_sync_release(task);
    return 0;
}

const char *oai_gates_at(const oai_task_t *task)
{
    return kind_of(task->gates, passed_of(task->gates))->name;
}

void oai_gates_leave(oai_task_t *task)
{
    oai_wait_t *record = task->gates;
    for (unsigned index = passed_of(record); index > 0; index--) {
        const oai_gate_t *kind = kind_of(record, index - 1);
        if (kind->leave)
            kind->leave(list_of(record)[index - 1], task);
    }
    set_passed(record, 0);
}
