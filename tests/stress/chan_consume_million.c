// SPDX-License-Identifier: BSD-2-Clause
// chan_consume_million.c - of four producers' million elements each none is lost, each producer's
// order is kept, and there are never two calls at once.
// ctest: timeout=120 label=long
#include "stress/support.h"

enum { PRODUCERS = 4 };

struct element {
    uint32_t producer, number;
};

static oa_chan_t *channel;
static uint64_t seed, random_state;
static int64_t each;
static uint32_t next[PRODUCERS]; // the consumer's: one call happens before the next
static atomic_int inside;

static void eat(void *arg)
{
    const struct element *element = arg;
    CHECK_EQ(atomic_fetch_add(&inside, 1), 0);
    CHECK(element->producer < PRODUCERS);
    CHECK_EQ(element->number, next[element->producer]++);
    if (random_below(&random_state, 256) == 0)
        oa_yield();
    CHECK_EQ(atomic_fetch_sub(&inside, 1), 1);
}

static void produce(void *arg)
{
    struct element element = {(uint32_t)(uintptr_t)arg, 0};
    for (; element.number < (uint32_t)each; element.number++)
        CHECK_EQ(oa_chan_send(channel, &element), 0);
}

static void run(size_t capacity)
{
    oa_coord_t *home, *abroad;
    oa_task_t *consumer;
    struct thread threads[2];
    random_state = ++seed;
    memset(next, 0, sizeof next);
    channel = oa_chan_make(sizeof(struct element), .capacity = capacity);
    CHECK_EQ(oa_start(&home, nothing, .max_workers = 2), 0);
    CHECK_EQ(oa_start(&abroad, produce, (void *)1, .max_workers = 1), 0);
    CHECK_EQ(oa_chan_consume(channel, eat, NULL, .task = &consumer, .coord = home), 0);
    CHECK_EQ(oa_go(produce, (void *)0, .coord = home), 0);
    for (uintptr_t i = 0; i < 2; i++)
        thread_start(&threads[i], produce, (void *)(i + 2));
    thread_join(&threads[0]);
    thread_join(&threads[1]);
    CHECK_EQ(oa_wait(abroad), 0);
    // Whatever the producer at home still sends is called for before its coordinator may end.
    CHECK_EQ(oa_wait(home), 0);
    CHECK_EQ(oa_chan_close(channel), 0);
    CHECK_EQ(oa_chan_free(channel), 0);
    for (int i = 0; i < PRODUCERS; i++)
        CHECK_EQ(next[i], each);
}

int main(void)
{
    seed = test_seed();
    each = test_scale(1000000);
    run(256);
    run(OA_UNBOUNDED);
    return 0;
}
