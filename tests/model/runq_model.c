// SPDX-License-Identifier: BSD-2-Clause
// runq_model.c - the run queue: no task is lost, none is taken twice, each is seen whole.
//
// The ring holds four tasks here and a block two. The owner fills, empties and overflows its queue
// while thieves take from it; whatever is left is taken by check. A task's plain fields are written
// before it is put and after it is taken: a task without its contents, or one that two have, is a
// data race or an assertion. Blocks come from model_alloc: a block used after it was freed, or
// never freed, is an error too.
//
// All are complete to three preemptions; those with .stale to so many stale reads in an execution.
#include "model.h"
#include "os/os.h"
#include "sched/runq.h"

#include <string.h>

enum { TASKS = 16, THIEVES = 2 };

struct oai_task {
    int number; // plain: written before the task is put
    int taken;  // plain: by the only one who may
};

static oai_task_t tasks[TASKS];
static oai_runq_t queue, loot[THIEVES];
static int put_count;

// ---- What everybody does ------------------------------------------------------------------------

static int number_of(const oai_task_t *task)
{
    return (int)(task - tasks);
}

static oai_task_t *use(oai_task_t *task)
{
    if (task) {
        model_assert(task >= tasks && task < tasks + TASKS);
        model_assert(task->number == 10 + number_of(task));
        model_assert(task->taken == 0);
        task->taken = 1;
    }
    return task;
}

static oai_task_t *make(void)
{
    oai_task_t *task = &tasks[put_count++];
    task->number = 10 + number_of(task);
    return task;
}

static void push(int count)
{
    while (count-- > 0)
        model_assert(oai_runq_push(&queue, make()));
}

static void pop(int count)
{
    while (count-- > 0)
        use(oai_runq_pop(&queue));
}

// The owner's end, by a thread or by check: nobody puts any more.
static void drain(oai_runq_t *mine)
{
    while (use(oai_runq_take_next(mine)) || use(oai_runq_pop(mine)))
        ;
}

// A thief steals and runs what it got. Returns how many tasks that were.
static int steal(oai_runq_t *victim, oai_runq_t *mine)
{
    if (!use(oai_runq_steal(victim, mine)))
        return 0;
    int count = 1;
    while (use(oai_runq_pop(mine)))
        count++;
    return count;
}

static void thief(void *mine)
{
    steal(&queue, mine);
    steal(&queue, mine);
}

static void quick_thief(void *mine)
{
    steal(&queue, mine);
}

// ---- Before and after ---------------------------------------------------------------------------

static void *no_memory(size_t size)
{
    (void)size;
    return NULL;
}

static void reset(void)
{
    memset(tasks, 0, sizeof tasks);
    put_count = 0;
    oai_os.alloc = model_alloc;
    oai_runq_init(&queue);
    for (int i = 0; i < THIEVES; i++)
        oai_runq_init(&loot[i]);
    model_name(&tasks, "tasks");
    model_name(&queue.head, "head");
    model_name(&queue.tail, "tail");
    model_name(&queue.next, "next");
    model_name(&queue.blocks, "blocks");
    model_name(&queue.lock, "lock");
    model_name(&queue.ring, "ring");
    model_name(&loot[0].head, "loot.head");
    model_name(&loot[0].tail, "loot.tail");
    model_name(&loot[0].ring, "loot.ring");
}

// Outcomes for must_see.
enum { LEFT, ALL_TAKEN, STOLEN_TWO, STOLEN_NEXT, REFUSED, BEHIND };

static void all_there(void)
{
    int left = 0;
    for (int i = 0; i < put_count; i++)
        left += !tasks[i].taken;
    model_assert(oai_runq_length(&queue) + oai_runq_length(&loot[0]) + oai_runq_length(&loot[1]) ==
                     (size_t)left ||
                 atomic_load_explicit(&queue.blocks, memory_order_relaxed) != 0);
    model_seen(left ? LEFT : ALL_TAKEN);
    drain(&queue);
    for (int i = 0; i < THIEVES; i++)
        drain(&loot[i]);
    for (int i = 0; i < put_count; i++)
        model_assert(tasks[i].taken == 1);
    model_assert(atomic_load_explicit(&queue.blocks, memory_order_relaxed) == 0);
    oai_runq_destroy(&queue);
    for (int i = 0; i < THIEVES; i++)
        oai_runq_destroy(&loot[i]);
}

static void threads(void (*owner)(void *), void (*first)(void *), void (*second)(void *))
{
    reset();
    model_thread("owner", owner, NULL);
    model_thread("thief", first, &loot[0]);
    if (second)
        model_thread("thief 2", second, &loot[1]);
}

// ---- The ring -----------------------------------------------------------------------------------

// Every place is used twice, while a thief may still read it.
static void owner_of_ring(void *unused)
{
    (void)unused;
    push(4);
    pop(2);
    push(2);
    pop(1);
}

static void ring(void)
{
    threads(owner_of_ring, thief, NULL);
}

MODEL(ring, ring, all_there, .must_see = 1 << LEFT | 1 << ALL_TAKEN, .leaks = true, .stale = 1);

// Two thieves want the same tasks as the owner.
static void owner_of_few(void *unused)
{
    (void)unused;
    push(2);
    pop(1);
    push(1);
}

static void crowd(void)
{
    threads(owner_of_few, quick_thief, quick_thief);
}

MODEL(crowd, crowd, all_there, .must_see = 1 << LEFT | 1 << ALL_TAKEN, .leaks = true, .stale = 2);

// What was stolen is stolen again: the second thief has never met the owner.
static void generous_thief(void *mine)
{
    use(oai_runq_steal(&queue, mine));
    use(oai_runq_pop(mine));
}

static void second_hand(void *mine)
{
    if (steal(&loot[0], mine))
        model_seen(STOLEN_TWO);
}

static void owner_of_four(void *unused)
{
    (void)unused;
    push(4);
    pop(1);
}

static void again(void)
{
    threads(owner_of_four, generous_thief, second_hand);
}

MODEL(again, again, all_there, .must_see = 1 << STOLEN_TWO, .leaks = true, .stale = 1);

// ---- Blocks, from a full ring on ----------------------------------------------------------------

// The ring overflows, is refilled, and overflows again into the block that was kept.
static void owner_of_block(void *unused)
{
    (void)unused;
    push(1);
    pop(4);
    push(1);
}

static void overflow(void)
{
    threads(owner_of_block, thief, NULL);
    push(4);
}

MODEL(overflow, overflow, all_there, .must_see = 1 << LEFT | 1 << ALL_TAKEN, .leaks = true,
      .stale = 1);

// What the owner takes back from a block is stolen.
static void owner_of_refill(void *unused)
{
    (void)unused;
    push(5);
    pop(4);
}

static void refill(void)
{
    threads(owner_of_refill, quick_thief, NULL);
}

MODEL(refill, refill, all_there, .must_see = 1 << LEFT | 1 << ALL_TAKEN, .leaks = true, .stale = 1);

// Two blocks: the owner refills from the newest while the thief takes the oldest.
static void owner_of_blocks(void *unused)
{
    (void)unused;
    push(1);
    pop(4);
}

static void both_ends(void)
{
    threads(owner_of_blocks, thief, NULL);
    push(6);
}

MODEL(both_ends, both_ends, all_there, .must_see = 1 << LEFT | 1 << ALL_TAKEN, .leaks = true);

// The owner takes the oldest tasks one by one while a thief takes their block.
static void patient_owner(void *unused)
{
    (void)unused;
    push(1);
    use(oai_runq_pop_oldest(&queue, false));
    use(oai_runq_pop_oldest(&queue, false));
    pop(1);
}

static void block_thief(void *mine)
{
    if (steal(&queue, mine) == 2)
        model_seen(STOLEN_TWO);
}

static void oldest(void)
{
    threads(patient_owner, block_thief, NULL);
    push(4);
}

MODEL(oldest, oldest, all_there, .must_see = 1 << STOLEN_TWO, .leaks = true);

// Two thieves and one block, which the owner has just made.
static void owner_of_five(void *unused)
{
    (void)unused;
    push(1);
    use(oai_runq_pop_oldest(&queue, false));
}

static void block_crowd(void)
{
    threads(owner_of_five, quick_thief, quick_thief);
    push(4);
}

MODEL(block_crowd, block_crowd, all_there, .must_see = 1 << LEFT, .leaks = true, .stale = 1);

// Tasks that yield go behind a block, which the thief takes, and then what is behind.
static void put_behind(int count)
{
    while (count-- > 0) {
        oai_task_t *task = make();
        if (!oai_runq_push_behind(&queue, task))
            model_assert(oai_runq_push(&queue, task));
        else
            model_seen(BEHIND);
    }
}

static void yielding_owner(void *unused)
{
    (void)unused;
    put_behind(1);
    use(oai_runq_pop_oldest(&queue, false));
    put_behind(2);
    pop(1);
}

static void behind(void)
{
    threads(yielding_owner, thief, NULL);
    push(5);
    pop(3);
}

MODEL(behind, behind, all_there, .must_see = 1 << LEFT | 1 << ALL_TAKEN | 1 << BEHIND,
      .leaks = true);

// No memory for a block: the task is refused and the queue is as it was, or there is room after
// all.
static void poor_owner(void *unused)
{
    (void)unused;
    push(4);
    if (!oai_runq_push(&queue, make())) {
        put_count--;
        model_seen(REFUSED);
    }
    pop(1);
}

static void poverty(void)
{
    threads(poor_owner, quick_thief, NULL);
    oai_os.alloc = no_memory;
}

MODEL(poverty, poverty, all_there, .must_see = 1 << REFUSED, .leaks = true);

// ---- The slot of the next task ------------------------------------------------------------------

static void owner_of_next(void *unused)
{
    (void)unused;
    for (int i = 0; i < 2; i++) {
        oai_task_t *last = oai_runq_put_next(&queue, make());
        if (last)
            model_assert(oai_runq_push(&queue, last));
    }
    use(oai_runq_take_next(&queue));
    model_assert(!oai_runq_put_next(&queue, make()));
}

static void next_thief(void *mine)
{
    steal(&queue, mine);
    if (use(oai_runq_take_next(&queue)))
        model_seen(STOLEN_NEXT);
}

static void next(void)
{
    threads(owner_of_next, next_thief, next_thief);
}

MODEL(next, next, all_there, .must_see = 1 << STOLEN_NEXT | 1 << LEFT, .leaks = true);

// ---- The order, without disturbance -------------------------------------------------------------

static void expect(oai_task_t *task, int number)
{
    model_assert(task && number_of(task) == number);
    use(task);
}

static void in_order(void *unused)
{
    (void)unused;
    push(9); // blocks of 0 1, 2 3, 4 5; the ring has 6 7 8
    model_assert(oai_runq_length(&queue) == 9);
    expect(oai_runq_pop_oldest(&queue, false), 0);
    expect(oai_runq_pop(&queue), 6);
    expect(oai_runq_pop(&queue), 7);
    expect(oai_runq_pop(&queue), 8);
    expect(oai_runq_pop(&queue), 4); // the newest block
    expect(oai_runq_pop(&queue), 5);
    push(3);                                     // 9 10 11
    expect(oai_runq_steal(&queue, &loot[0]), 1); // what is left of the oldest block
    model_assert(oai_runq_length(&loot[0]) == 0);
    expect(oai_runq_steal(&queue, &loot[0]), 2); // the block of 2 3
    expect(oai_runq_pop(&loot[0]), 3);
    expect(oai_runq_steal(&queue, &loot[0]), 9); // the older half of the ring, at least
    model_assert(oai_runq_length(&loot[0]) == 1 && oai_runq_length(&queue) == 1);
    // A thief with a full ring has no room.
    for (int i = 0; i < 2; i++)
        model_assert(oai_runq_push(&loot[0], make()));
    model_assert(!oai_runq_steal(&queue, &loot[0]));
    expect(oai_runq_pop(&loot[0]), 10);
    expect(oai_runq_steal(&queue, &loot[0]), 11);
    model_assert(!oai_runq_put_next(&queue, make()));
    expect(oai_runq_put_next(&queue, make()), 14);
    model_assert(oai_runq_length(&queue) == 1);
    expect(oai_runq_take_next(&queue), 15);
    drain(&loot[0]);
    for (int i = 0; i < put_count; i++)
        model_assert(tasks[i].taken);
    // Who yields comes last where there are blocks, behind them and behind what is spawned later.
    put_count = 0;
    memset(tasks, 0, sizeof tasks);
    push(5); // a block of 0 1, the ring has 2 3 4
    put_behind(1);
    model_assert(oai_runq_length(&queue) == 7); // an estimate: a block counts as full
    push(2);                                    // 6 7: a block of 2 3, the ring has 4 6 7
    for (int i = 0; i < 4; i++)
        expect(oai_runq_pop_oldest(&queue, false), i);
    expect(oai_runq_pop_oldest(&queue, false), 5);
    push(2);       // 8 9: a block of 4 6, the ring has 7 8 9
    put_behind(3); // 10 11 join the chain, 12 is behind
    pop(3);
    expect(oai_runq_pop(&queue), 4); // the oldest, as 12 waits behind
    expect(oai_runq_pop(&queue), 6);
    expect(oai_runq_steal(&queue, &loot[1]), 10);
    expect(oai_runq_pop(&loot[1]), 11);
    put_behind(1); // 13
    expect(oai_runq_pop(&queue), 12);
    expect(oai_runq_pop(&queue), 13);
    model_assert(!oai_runq_pop(&queue) && !oai_runq_pop_oldest(&queue, false) &&
                 !oai_runq_take_next(&queue));
}

static void order(void)
{
    reset();
    model_thread("owner", in_order, NULL);
}

MODEL(order, order, all_there, .leaks = true, .runs = -1);
