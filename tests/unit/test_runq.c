// SPDX-License-Identifier: BSD-2-Clause
// test_runq.c - the run queue: every fill level against a thief, overflow into blocks and back,
// what yields behind them, no memory, and an owner with two thieves.
// ctest: timeout=60
#include <pthread.h>
#include <sched.h>

#include "check.h"
#include "os/os.h"
#include "sched/runq.h"

// The queue never looks into a task: number n stands at an address of its own.
static oai_task_t *task_of(uintptr_t n)
{
    return (oai_task_t *)((n + 1) << 7);
}

static uintptr_t number_of(oai_task_t *task)
{
    return ((uintptr_t)task >> 7) - 1;
}

static oai_runq_t queue, mine;

static void reset(void)
{
    oai_runq_destroy(&queue);
    oai_runq_destroy(&mine);
    oai_runq_init(&queue);
    oai_runq_init(&mine);
}

static void push(uintptr_t from, uintptr_t to)
{
    for (uintptr_t n = from; n < to; n++)
        CHECK(oai_runq_push(&queue, task_of(n)));
}

// Pops everything and marks it; returns how many there were.
static uintptr_t drain(oai_runq_t *from, unsigned char *seen, uintptr_t limit)
{
    uintptr_t count = 0;
    for (oai_task_t *task; (task = oai_runq_pop(from)) != NULL; count++) {
        CHECK(number_of(task) < limit);
        CHECK_EQ(seen[number_of(task)]++, 0);
    }
    return count;
}

// With the ring's indices anywhere, also about to turn.
static void test_fill_levels(void)
{
    static unsigned char seen[OAI_RING_SIZE];
    for (uintptr_t turn = 0; turn < OAI_RING_SIZE; turn += 51) {
        for (uintptr_t level = 0; level <= OAI_RING_SIZE; level++) {
            reset();
            for (uintptr_t i = 0; i < turn; i++) {
                push(i, i + 1);
                CHECK(oai_runq_pop(&queue) == task_of(i));
            }
            push(0, level);
            CHECK_EQ(oai_runq_length(&queue), level);
            memset(seen, 0, sizeof seen);
            oai_task_t *first = oai_runq_steal(&queue, &mine);
            CHECK(first == (level ? task_of(0) : NULL));
            if (first)
                seen[0]++;
            CHECK_EQ(oai_runq_length(&mine) + (first != NULL), level - level / 2);
            for (uintptr_t i = 1; i < level - level / 2; i++) {
                CHECK(oai_runq_pop(&mine) == task_of(i)); // in their order
                seen[i]++;
            }
            CHECK_EQ(drain(&queue, seen, level), level / 2);
        }
    }
}

static void test_overflow(void)
{
    enum { MOST = 5 * OAI_RING_SIZE };
    static unsigned char seen[MOST];
    for (uintptr_t count = OAI_RING_SIZE - 1; count <= MOST; count += 37) {
        reset();
        push(0, count);
        memset(seen, 0, sizeof seen);
        CHECK_EQ(drain(&queue, seen, count), count);
        CHECK_EQ(oai_runq_length(&queue), 0);
    }
    // The ring first, then the newest block; the oldest is what others and the seldom look take.
    reset();
    push(0, 2 * OAI_RING_SIZE + 1); // three blocks
    CHECK(oai_runq_pop(&queue) == task_of(3 * OAI_BLOCK_SIZE));
    CHECK(oai_runq_pop_oldest(&queue, false) == task_of(0));
    CHECK(oai_runq_pop_oldest(&queue, true) == NULL); // nobody waits behind
    CHECK(oai_runq_steal(&queue, &mine) == task_of(1));
    CHECK_EQ(oai_runq_length(&mine), OAI_BLOCK_SIZE - 2);
    memset(seen, 0, sizeof seen);
    CHECK_EQ(drain(&mine, seen, MOST), OAI_BLOCK_SIZE - 2);
    while (oai_runq_length(&queue) > 2 * OAI_BLOCK_SIZE)
        CHECK(number_of(oai_runq_pop(&queue)) > 3 * OAI_BLOCK_SIZE);
    CHECK(oai_runq_pop(&queue) == task_of(2 * OAI_BLOCK_SIZE));
    drain(&queue, seen, MOST);
}

static void test_behind(void)
{
    enum { COUNT = 3 * OAI_RING_SIZE, YIELDS = 300 };
    reset();
    CHECK(!oai_runq_push_behind(&queue, task_of(0))); // no blocks: it is put last
    push(0, COUNT);
    for (uintptr_t i = 0; i < YIELDS; i++)
        CHECK(oai_runq_push_behind(&queue, task_of(COUNT + i)));
    uintptr_t before = 0;
    oai_task_t *task;
    while ((task = oai_runq_pop(&queue)) != task_of(COUNT) && task) {
        CHECK(number_of(task) < COUNT);
        before++;
    }
    CHECK(task != NULL);
    CHECK_EQ(before, COUNT); // all that was there when it yielded
    static unsigned char seen[COUNT + YIELDS];
    CHECK_EQ(drain(&queue, seen, COUNT + YIELDS), YIELDS - 1);
    // A thief takes a block that is behind, too.
    push(0, OAI_RING_SIZE + 1);
    CHECK(oai_runq_push_behind(&queue, task_of(COUNT)));
    CHECK(oai_runq_steal(&queue, &mine) == task_of(0));
    memset(seen, 0, sizeof seen);
    drain(&mine, seen, COUNT);
    CHECK(oai_runq_steal(&queue, &mine) == task_of(COUNT));
    CHECK_EQ(drain(&queue, seen, COUNT), OAI_BLOCK_SIZE + 1);
}

static void test_next(void)
{
    reset();
    CHECK(oai_runq_take_next(&queue) == NULL);
    CHECK(oai_runq_put_next(&queue, task_of(1)) == NULL);
    CHECK_EQ(oai_runq_length(&queue), 1);
    CHECK(oai_runq_put_next(&queue, task_of(2)) == task_of(1));
    CHECK(oai_runq_steal(&queue, &mine) == NULL);
    CHECK(oai_runq_take_next(&queue) == task_of(2));
    CHECK(oai_runq_take_next(&queue) == NULL);
}

static void *no_memory(size_t size)
{
    (void)size;
    return NULL;
}

static void test_no_memory(void)
{
    static unsigned char seen[OAI_RING_SIZE];
    void *(*alloc)(size_t) = oai_os.alloc;
    reset();
    push(0, OAI_RING_SIZE);
    oai_os.alloc = no_memory;
    CHECK(!oai_runq_push(&queue, task_of(OAI_RING_SIZE)));
    oai_os.alloc = alloc;
    CHECK_EQ(drain(&queue, seen, OAI_RING_SIZE), OAI_RING_SIZE);
}

// ---- An owner and two thieves -------------------------------------------------------------------

static int64_t total;
static _Atomic unsigned char *taken;
static atomic_bool over;

static void take(oai_task_t *task)
{
    CHECK_EQ(atomic_fetch_add(&taken[number_of(task)], 1), 0);
}

static void *thief(void *arg)
{
    oai_runq_t own;
    oai_runq_init(&own);
    while (!atomic_load(&over)) {
        oai_task_t *task = oai_runq_steal(&queue, &own);
        if (!task)
            task = oai_runq_take_next(&queue);
        if (!task)
            sched_yield();
        for (; task; task = oai_runq_pop(&own))
            take(task);
    }
    oai_runq_destroy(&own);
    return arg;
}

static void test_thieves(uint64_t random)
{
    pthread_t threads[2];
    total = test_scale(1000000);
    taken = calloc((size_t)total, 1);
    CHECK(taken != NULL);
    reset();
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, thief, NULL), 0);
    for (uintptr_t n = 0; n < (uintptr_t)total;) {
        random = random * UINT64_C(6364136223846793005) + 1;
        unsigned kind = random >> 60;
        oai_task_t *task = NULL;
        if (kind == 0) {
            task = oai_runq_put_next(&queue, task_of(n++));
        } else if (kind == 1) {
            if (oai_runq_push_behind(&queue, task_of(n)))
                n++;
        } else if (kind == 2) {
            task = oai_runq_pop_oldest(&queue, false);
        } else if (kind < 7) {
            task = oai_runq_pop(&queue);
        } else {
            CHECK(oai_runq_push(&queue, task_of(n++)));
        }
        if (task)
            take(task);
    }
    for (oai_task_t *task; (task = oai_runq_pop(&queue)) || (task = oai_runq_take_next(&queue));)
        take(task);
    atomic_store(&over, true);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    for (int64_t n = 0; n < total; n++)
        CHECK_EQ(atomic_load(&taken[n]), 1);
    free(taken);
    reset();
}

int main(void)
{
    uint64_t seed = test_seed();
    test_fill_levels();
    test_overflow();
    test_behind();
    test_next();
    test_no_memory();
    test_thieves(seed);
    return 0;
}
