// SPDX-License-Identifier: BSD-2-Clause
// skynet.c - a tree of tasks with a million leaves, each node summing what its ten children send.
//
//     skynet [WORKERS]
//
// Prints milliseconds, the most stacks that were in use at once, peak memory in MiB, and
// milliseconds of the plain serial version: the same tree by recursion.
#include <oasync.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

enum { LEAVES = 1000000, CHILDREN = 10 };

struct node {
    oa_chan_t *up;
    uint64_t first, size; // the leaves below this node
};

static void run_node(void *arg)
{
    struct node *node = arg;
    uint64_t sum = node->first;
    if (node->size > 1) {
        oa_chan_t *down = oa_chan_make(sizeof(uint64_t));
        uint64_t size = node->size / CHILDREN;
        sum = 0;
        for (uint64_t i = 0; i < CHILDREN; i++)
            bench_must(oa_go(run_node, oa_val((struct node){down, node->first + i * size, size})),
                       "oa_go");
        for (int i = 0; i < CHILDREN; i++) {
            uint64_t part;
            bench_must(oa_chan_recv(down, &part), "oa_chan_recv");
            sum += part;
        }
        bench_must(oa_chan_free(down), "oa_chan_free");
    }
    bench_must(oa_chan_send(node->up, &sum), "oa_chan_send");
}

static __attribute__((noinline)) uint64_t serial(uint64_t first, uint64_t size)
{
    if (size == 1)
        return first;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < CHILDREN; i++)
        sum += serial(first + i * (size / CHILDREN), size / CHILDREN);
    return sum;
}

static double ms_since(int64_t began)
{
    return (double)(oa_now() - began) / (double)OA_MILLISECOND;
}

static void root(void *arg)
{
    const uint64_t expected = (uint64_t)LEAVES * (LEAVES - 1) / 2;
    (void)arg;
    int64_t began = oa_now();
    oa_chan_t *up = oa_chan_make(sizeof(uint64_t));
    uint64_t sum;
    bench_must(oa_go(run_node, oa_val((struct node){up, 0, LEAVES})), "oa_go");
    bench_must(oa_chan_recv(up, &sum), "oa_chan_recv");
    double time = ms_since(began);
    bench_must(oa_chan_free(up), "oa_chan_free");
    oa_stats_t stats = OA_STATS_INIT;
    bench_must(oa_stats(NULL, &stats), "oa_stats");
    double peak = bench_memory("VmHWM");
    began = oa_now();
    uint64_t serial_sum = serial(0, LEAVES);
    double serial_time = ms_since(began);
    if (sum != expected || serial_sum != expected)
        abort();
    printf("%.1f %llu %.1f %.1f\n", time, (unsigned long long)stats.stacks_peak, peak / (1 << 20),
           serial_time);
}

int main(int argc, char **argv)
{
    int workers = argc > 1 ? (int)bench_number(argv[1]) : 0;
    bench_must(oa_run(root, NULL, .max_workers = workers), "oa_run");
    return 0;
}
