// SPDX-License-Identifier: BSD-2-Clause
// test_slab.c - the memory of tasks: each slot is one taker's, tickets never go back, pages are
// given back, and the injection queue keeps the order of what stands in it.
#include "check.h"
#include "sched/hot.h"
#include "sched/internal.h"

enum { MOST = 60000 };

static oai_task_t *held[MOST];
static oai_task_pool_t pool;

static void make(oai_task_cache_t *cache, oai_task_t *task)
{
    (void)cache;
    CHECK(task != NULL);
    CHECK_EQ((uintptr_t)task % (1 << OAI_TASK_ALIGN_SHIFT), 0);
    CHECK(atomic_load(&task->ticket) >> OAI_TICKET_SHIFT != 0);
    CHECK_EQ(task->where == NULL ? 0 : 1, 0); // nobody else's
    task->where = "taken";
}

// What its end does: the next generation.
static void unmake(oai_task_t *task)
{
    task->where = NULL;
    atomic_fetch_add(&task->ticket, 1u << OAI_TICKET_SHIFT);
    atomic_fetch_add(&task->word, 256);
}

static void test_random(uint64_t random)
{
    oai_task_cache_t caches[2];
    size_t count = 0;
    oai_task_pool_init(&pool, NULL);
    for (int i = 0; i < 2; i++)
        oai_task_cache_init(&caches[i], &pool);
    int64_t steps = test_scale(600000);
    for (int64_t step = 0; step < steps; step++) {
        oai_task_cache_t *cache = &caches[oai_random(&random) & 1];
        bool grow = oai_random_below(&random, 16) < (step * 8 / steps % 2 ? 3u : 13u);
        if (grow && count < MOST) {
            held[count] =
                oai_random_below(&random, 16) ? oai_task_take(cache) : oai_task_pool_take(&pool);
            make(cache, held[count++]);
        } else if (count != 0) {
            size_t n = oai_random_below(&random, (uint32_t)count);
            oai_task_t *task = held[n];
            held[n] = held[--count];
            unmake(task);
            if (oai_random_below(&random, 16))
                oai_task_give(cache, task);
            else
                oai_task_pool_give(&pool, task);
        }
        if (step % 20000 == 0) {
            oai_task_cache_shrink(cache, 10);
            CHECK(OAI_TASK_CACHE - cache->room <= 10);
            while (oai_task_pool_trim(&pool)) {
            }
        }
    }
    while (count != 0) {
        unmake(held[--count]);
        oai_task_pool_give(&pool, held[count]);
    }
    for (int i = 0; i < 2; i++)
        oai_task_cache_shrink(&caches[i], 0);
    while (oai_task_pool_trim(&pool)) {
    }
    CHECK(atomic_load(&pool.dirty) <= 8);
    oai_task_pool_destroy(&pool);
}

// A slot whose page was given back has a ticket that it never had.
static void test_tickets(void)
{
    enum { COUNT = 40000, ROUNDS = 5 };
    static struct {
        oai_task_t *task;
        uint32_t ticket;
    } old[COUNT];
    oai_task_cache_t cache;
    oai_task_cache_init(&cache, &pool);
    oai_task_pool_init(&pool, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < COUNT; i++)
            make(&cache, held[i] = oai_task_take(&cache));
        for (size_t i = 0; i < COUNT; i++) {
            size_t n = ((uintptr_t)held[i] >> OAI_TASK_ALIGN_SHIFT) % COUNT;
            uint32_t ticket = atomic_load(&held[i]->ticket);
            if (old[n].task == held[i])
                CHECK(ticket > old[n].ticket);
            old[n].task = held[i];
            old[n].ticket = ticket;
        }
        for (size_t i = 0; i < COUNT; i++) {
            unmake(held[i]);
            oai_task_give(&cache, held[i]);
        }
        oai_task_cache_shrink(&cache, 0);
        while (oai_task_pool_trim(&pool)) {
        }
    }
    oai_task_pool_destroy(&pool);
}

static int no_map(void **out, size_t size)
{
    (void)out;
    (void)size;
    return -ENOMEM;
}

static void test_no_memory(void)
{
    oai_task_cache_t cache;
    oai_task_cache_init(&cache, &pool);
    int (*map)(void **, size_t) = oai_os.map;
    oai_task_pool_init(&pool, NULL);
    oai_os.map = no_map;
    CHECK(oai_task_take(&cache) == NULL);
    CHECK(oai_task_pool_take(&pool) == NULL);
    oai_os.map = map;
    oai_task_t *task = oai_task_take(&cache);
    CHECK(task != NULL);
    oai_task_give(&cache, task);
    oai_task_pool_destroy(&pool);
}

static void test_inject(void)
{
    enum { COUNT = 200 };
    static oai_task_t tasks[COUNT];
    oai_inject_t inject = {0};
    CHECK(oai_inject_take(&inject, 10) == NULL);
    for (size_t put = 0, taken = 0, share = 1; taken < COUNT; share = share % 7 + 1) {
        for (size_t i = 0; i < 5 && put < COUNT; i++)
            oai_inject_put(&inject, &tasks[put++]);
        CHECK_EQ(oai_inject_length(&inject), put - taken);
        size_t expected = share < put - taken ? share : put - taken;
        for (oai_task_t *task = oai_inject_take(&inject, share); task; task = task->next) {
            CHECK(task == &tasks[taken++]);
            expected--;
        }
        CHECK_EQ(expected, 0);
    }
    CHECK(oai_inject_take(&inject, 10) == NULL);
}

int main(void)
{
    test_random(test_seed() | 1);
    test_tickets();
    test_no_memory();
    test_inject();
    return 0;
}
