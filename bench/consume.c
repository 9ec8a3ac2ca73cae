// SPDX-License-Identifier: BSD-2-Clause
// consume.c - many to one: four producers send a million elements each into one channel's consumer.
//
//     consume WORKERS
//
// Prints ns an element, and ns of the plain serial version: a call for each. The Go side ranges
// over a channel of the same capacity in one goroutine.
#include <oasync.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

enum { PRODUCERS = 4, EACH = 1000000, CAPACITY = 128 };

static uint64_t last[PRODUCERS]; // what has come from each producer: the consumer's own
static uint64_t come;

static void consume(void *elem)
{
    uint64_t value = *(uint64_t *)elem;
    if (value % (EACH + 1) != ++last[value / (EACH + 1)])
        abort(); // lost, doubled or overtaken
    come++;
}

static oa_chan_t *ch;

static void produce(void *arg)
{
    uint64_t base = *(uint64_t *)arg * (EACH + 1);
    for (uint64_t i = 1; i <= EACH; i++) {
        uint64_t value = base + i;
        oa_chan_send(ch, &value);
    }
}

static void run(void *arg)
{
    int64_t *time = arg;
    oa_group_t producers = OA_GROUP_INIT;
    oa_task_t *consumer;
    ch = oa_chan_make(sizeof(uint64_t), .capacity = CAPACITY);
    bench_must(oa_chan_consume(ch, consume, NULL, .task = &consumer), "oa_chan_consume");
    int64_t began = oa_now();
    for (uint64_t i = 0; i < PRODUCERS; i++)
        bench_must(oa_go(produce, oa_val(i), .group = &producers), "oa_go");
    oa_group_wait(&producers);
    oa_chan_close(ch);
    oa_join(consumer);
    *time = oa_now() - began;
    oa_chan_free(ch);
}

// What the compiler must not see through: the consumer, called.
static oa_fn *volatile call = consume;

int main(int argc, char **argv)
{
    int64_t time;
    bench_must(oa_run(run, &time, .max_workers = argc > 1 ? atoi(argv[1]) : 1), "oa_run");
    if (come != (uint64_t)PRODUCERS * EACH)
        abort();
    int64_t began = oa_now();
    for (uint64_t i = 0; i < PRODUCERS; i++)
        last[i] = 0;
    for (uint64_t i = 1; i <= EACH; i++)
        for (uint64_t producer = 0; producer < PRODUCERS; producer++) {
            uint64_t value = producer * (EACH + 1) + i;
            call(&value);
        }
    int64_t serial = oa_now() - began;
    printf("%.2f %.2f\n", (double)time / PRODUCERS / EACH, (double)serial / PRODUCERS / EACH);
    return 0;
}
