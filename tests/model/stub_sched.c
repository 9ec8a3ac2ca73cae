// SPDX-License-Identifier: BSD-2-Clause
// stub_sched.c - see stub_sched.h. Everything weak here may be replaced by the shipped file.
#include "stub_sched.h"

#include "model.h"

enum { THREADS = 16, DEADLINES = 8 };

#define REPLACEABLE __attribute__((weak))

oa_coord_t stub_coord;
bool stub_next_stack;
int stub_refusals;
bool stub_keeps_stack;
bool stub_has_stacks;

static _Alignas(OAI_SLAB_SIZE) char slab_memory[16384];
static int slots_used;

// What the stub keeps for each slot.
static struct parked {
    int thread;    // the model thread that is this task
    int registers; // plain: 1 when stored, 2 when somebody has queued the task, else 0
    int resumed;   // how often; the task's own
} parked[STUB_TASKS];

static oai_worker_t workers[THREADS];
static oai_seat_t seats[THREADS];
static bool is_worker[THREADS];
static int refusals[THREADS]; // how often the thread's worker has refused to be left
static oai_timers_t shard;

static struct armed {
    oai_deadline_t *deadline; // NULL: fired or removed; under the shard's lock
} armed[DEADLINES];
static int armed_count; // under the shard's lock

REPLACEABLE int64_t oa_now(void)
{
    return model_now();
}

REPLACEABLE void oa_yield(void)
{
    oai_pause();
}

// ---- Tasks and workers --------------------------------------------------------------------------

static oai_slab_t *slab(void)
{
    return (oai_slab_t *)(void *)slab_memory;
}

oai_task_t *stub_slot(int index)
{
    size_t first = (sizeof(oai_slab_t) + 127) / 128 * 128;
    return (oai_task_t *)(void *)(slab_memory + first + (size_t)index * sizeof(oai_task_t));
}

static struct parked *parked_of(const oai_task_t *task)
{
    return &parked[task - stub_slot(0)];
}

void (*stub_held_ready)(oai_task_t *task);

void stub_reset(void)
{
    stub_held_ready = NULL;
    stub_next_stack = false;
    stub_refusals = 0;
    stub_keeps_stack = false;
    stub_has_stacks = false;
    slots_used = armed_count = 0;
    slab()->coord = &stub_coord;
    atomic_init(&stub_coord.state, OAI_RUNNING);
    atomic_init(&stub_coord.pool.parks, 0);
    stub_coord.shards = &shard;
    stub_coord.workers = 1;
    shard.lock = (oai_lock_t)OAI_LOCK_INIT;
    model_name(&parked, "registers");
    model_name(&shard.lock, "shard.lock");
    model_name(&stub_coord.state, "coord.state");
    for (int i = 0; i < THREADS; i++) {
        is_worker[i] = false;
        refusals[i] = 0;
        workers[i].current = NULL;
        workers[i].id_next = 1000 * (uint64_t)i + 1;
        workers[i].id_end = workers[i].id_next + 999;
        atomic_init(&workers[i].ended, 0);
        seats[i] = (oai_seat_t){0};
    }
}

static void reset_slot(int index)
{
    static const char *const names[STUB_TASKS][3] = {{"task0.word", "task0.flags", "task0.ticket"},
                                                     {"task1.word", "task1.flags", "task1.ticket"},
                                                     {"task2.word", "task2.flags", "task2.ticket"},
                                                     {"task3.word", "task3.flags", "task3.ticket"},
                                                     {"task4.word", "task4.flags", "task4.ticket"},
                                                     {"task5.word", "task5.flags", "task5.ticket"}};
    oai_task_t *task = stub_slot(index);
    atomic_init(&task->word, 0);
    atomic_init(&task->flags, 0);
    atomic_init(&task->ticket, 1u << OAI_TICKET_SHIFT);
    task->joiner = NULL;
    task->group = NULL;
    parked[index] = (struct parked){0};
    model_name(&task->word, names[index][0]);
    model_name(&task->flags, names[index][1]);
    model_name(&task->ticket, names[index][2]);
}

static void run_as(int thread, oai_task_t *task, bool worker)
{
    is_worker[thread] = worker;
    workers[thread].current = task;
    workers[thread].coord = &stub_coord;
    workers[thread].id = 0;
    atomic_init(&workers[thread].stacks.count, stub_has_stacks);
    if (task)
        parked_of(task)->thread = thread;
}

oai_task_t *stub_task(const char *name, void (*fn)(void *), void *arg)
{
    model_assert(slots_used < STUB_TASKS);
    reset_slot(slots_used);
    oai_task_t *task = stub_slot(slots_used++);
    run_as(model_thread(name, fn, arg), task, true);
    return task;
}

oai_task_t *stub_hosted_task(const char *name, void (*fn)(void *), void *arg)
{
    oai_task_t *task = stub_task(name, fn, arg);
    int thread = parked_of(task)->thread;
    run_as(thread, NULL, false);
    seats[thread].hosted = task;
    atomic_init(&task->flags, OAI_TASK_HOSTED);
    return task;
}

void oai_host_begin(void)
{
}

void oai_host_set(oai_task_t *hosted)
{
    seats[model_self()].hosted = hosted;
}

void stub_pool(int count)
{
    oai_task_pool_t *pool = &stub_coord.tasks;
    oai_slab_t *s = slab();
    *pool = (oai_task_pool_t){.coord = &stub_coord, .next_map = 1};
    s->free = NULL;
    s->free_count = (uint32_t)count;
    s->ticket = 1u << OAI_TICKET_SHIFT;
    s->word = 0;
    s->listed = true;
    s->clean = false;
    // As if all of the slab had been used before: no slot is ever carved.
    atomic_init(&s->carved, (OAI_SLAB_SIZE - (uint32_t)((char *)stub_slot(0) - slab_memory)) / 128);
    for (int i = STUB_TASKS; i-- > STUB_TASKS - count;) {
        reset_slot(i);
        stub_slot(i)->next = s->free;
        s->free = stub_slot(i);
    }
    oai_list_append(&pool->partial, &s->link);
    for (int i = 0; i < THREADS; i++)
        workers[i].tasks = (oai_task_cache_t){.pool = pool, .room = OAI_TASK_CACHE};
    model_name(&pool->lock, "pool.lock");
}

static int length(const oai_task_t *task)
{
    int count = 0;
    for (; task; task = task->next)
        count++;
    return count;
}

int stub_pool_free(void)
{
    int count = length(slab()->free);
    for (int i = 0; i < THREADS; i++)
        count += length(workers[i].tasks.free);
    return count;
}

int stub_resumed(void)
{
    return parked_of(oai_current())->resumed;
}

void stub_become(oai_task_t *task, bool worker)
{
    run_as(model_self(), task, worker);
}

oai_worker_t *stub_worker(void)
{
    return &workers[model_self()];
}

oai_worker_t *oai_self(void)
{
    return is_worker[model_self()] ? stub_worker() : NULL;
}

oai_seat_t *oai_seat_here(void)
{
    return &seats[model_self()];
}

// ---- Leaving and coming back --------------------------------------------------------------------

int oai_worker_prepare_slow(oai_worker_t *worker)
{
    (void)worker;
    int *refused = &refusals[model_self()];
    if (*refused == stub_refusals || (stub_keeps_stack && stub_resumed()) || model_choose(2) == 0)
        return 0;
    ++*refused;
    return -ENOMEM;
}

static void next_stack(void *task)
{
    stub_become(NULL, true);
    oai_wait_saved(task);
}

int oai_worker_park(oai_worker_t *worker)
{
    oai_task_t *task = worker->current;
    struct parked *p = parked_of(task);
    model_assert(p->registers == 0);
    p->registers = 1;
    if (stub_next_stack)
        model_thread("next stack", next_stack, task);
    else
        oai_wait_saved(task);
    model_block();
    model_assert(p->registers == 2);
    p->registers = 0;
    p->resumed++;
    return oai_wait_ended(task);
}

void oai_task_ready(oai_task_t *task)
{
    struct parked *p = parked_of(task);
    if (atomic_load_explicit(&task->flags, memory_order_relaxed) & OAI_TASK_HELD) {
        stub_held_ready(task);
        return;
    }
    model_assert(p->registers == 1);
    p->registers = 2;
    model_unblock(p->thread);
}

int oai_task_ready_next(oai_task_t *task)
{
    oai_task_ready(task);
    return 0;
}

// ---- Deadlines ----------------------------------------------------------------------------------

static void fire(void *arg)
{
    struct armed *a = arg;
    oai_task_t *task = NULL;
    uint64_t word = 0;
    stub_become(NULL, true);
    model_advance(1);
    oai_lock(&shard.lock);
    if (a->deadline) {
        task = a->deadline->task;
        word = a->deadline->word;
        a->deadline = NULL;
    }
    oai_unlock(&shard.lock);
    if (task)
        oai_wait_break(task, word, -ETIMEDOUT);
}

REPLACEABLE bool oai_timers_insert(oai_timers_t *timers, oai_deadline_t *deadline, int64_t expiry)
{
    (void)expiry;
    oai_lock(&timers->lock);
    struct armed *a = &armed[armed_count++];
    a->deadline = deadline;
    oai_unlock(&timers->lock);
    model_thread("deadline", fire, a);
    return false;
}

REPLACEABLE void oai_timers_remove(oai_timers_t *timers, oai_deadline_t *deadline)
{
    oai_lock(&timers->lock);
    for (int i = 0; i < armed_count; i++)
        if (armed[i].deadline == deadline)
            armed[i].deadline = NULL;
    oai_unlock(&timers->lock);
}

// ---- Cancelling ---------------------------------------------------------------------------------

void stub_cancel(oai_task_t *task)
{
    atomic_fetch_or_explicit(&task->flags, OAI_TASK_CANCELLED, memory_order_seq_cst);
    oai_wait_break_cancelled(task);
}
