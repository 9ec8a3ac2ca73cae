// SPDX-License-Identifier: BSD-2-Clause
// scale.c - what a second worker brings, and what it costs.
//
//     scale work|empty|begin
//
//     work   10,000 tasks that compute 50 us each: on one worker, on two, and in a plain loop
//     empty  empty tasks in batches of 1,000, each batch waited for: on one worker and on two
//     begin  two workers: a task spawns one child and computes 50 ms; how long until it begins
//
// Prints the medians of some rounds, in which one and two workers take turns. For work and empty:
// milliseconds on one worker, on two and serially, the ratio of two to one, and how many times as
// fast two plain threads did the work. Where that is less than 1.8 others were using the machine,
// and a round of work says nothing: it is repeated, a few times. For begin: the median and the
// worst in microseconds.
#include <oasync.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

static long steps; // of one task's work

// ---- Work and empty tasks -----------------------------------------------------------------------

enum { WORK_TASKS = 10000, EMPTY_TASKS = 1000000, BATCH = 1000 };

static void work(void *arg)
{
    bench_work((uintptr_t)arg, steps);
}

static void empty(void *arg)
{
    (void)arg;
}

// Spawns `count` tasks a batch and waits for each batch.
struct load {
    oa_fn *fn;
    int count, batches;
    double ms;
};

static double ms_since(int64_t began)
{
    return (double)(oa_now() - began) / (double)OA_MILLISECOND;
}

static void run_load(void *arg)
{
    struct load *load = arg;
    oa_group_t group = OA_GROUP_INIT;
    int64_t began = oa_now();
    for (int i = 0; i < load->batches; i++) {
        for (int j = 0; j < load->count; j++)
            bench_must(oa_go(load->fn, load, .group = &group), "oa_go");
        oa_group_wait(&group);
    }
    load->ms = ms_since(began);
}

static double run_serially(const struct load *load)
{
    oa_fn *volatile called = load->fn; // not to be seen through
    int64_t began = oa_now();
    for (int i = 0; i < load->count * load->batches; i++)
        called(NULL);
    return ms_since(began);
}

static void *run_half(void *arg)
{
    struct load half = *(struct load *)arg;
    half.count /= 2;
    run_serially(&half);
    return NULL;
}

// Two plain threads with half of the load each: the most that the machine has to give now.
static double run_in_threads(struct load *load)
{
    pthread_t other;
    int64_t began = oa_now();
    bench_must(-pthread_create(&other, NULL, run_half, load), "pthread_create");
    run_half(load);
    pthread_join(other, NULL);
    return ms_since(began);
}

// What one round has told, in milliseconds and ratios; printed in this order.
enum { ONE, TWO, SERIAL, RATIO, THREADS, VALUES, MOST_ROUNDS = 20 };

struct rounds {
    double value[VALUES][MOST_ROUNDS];
    size_t count;
};

// `speed`: the ratio is how many times as fast two workers are, else how many times as long they
// take.
static void run_round(struct rounds *rounds, struct load load, bool speed)
{
    double value[VALUES];
    value[SERIAL] = run_serially(&load);
    bench_must(oa_run(run_load, &load, .max_workers = 1), "oa_run");
    value[ONE] = load.ms;
    bench_must(oa_run(run_load, &load, .max_workers = 2), "oa_run");
    value[TWO] = load.ms;
    value[RATIO] = speed ? value[ONE] / value[TWO] : value[TWO] / value[ONE];
    value[THREADS] = value[SERIAL] / run_in_threads(&load);
    for (int i = 0; i < VALUES; i++)
        rounds->value[i][rounds->count] = value[i];
    rounds->count++;
}

static void print_rounds(struct rounds *rounds)
{
    for (int i = 0; i < VALUES; i++)
        printf("%.2f%c", bench_median(rounds->value[i], rounds->count), i < THREADS ? ' ' : '\n');
}

static void measure_work(void)
{
    enum { WANTED = 5 };
    struct rounds rounds = {.count = 0};
    steps = bench_steps(50.0 * OA_MICROSECOND);
    for (int tries = MOST_ROUNDS; rounds.count < WANTED && tries > 0; tries--) {
        run_round(&rounds, (struct load){work, WORK_TASKS, 1, 0}, true);
        bool quiet = rounds.value[THREADS][rounds.count - 1] >= 1.8;
        if (!quiet && tries > WANTED)
            rounds.count--;
    }
    print_rounds(&rounds);
}

static void measure_empty(void)
{
    enum { WANTED = 11 };
    struct rounds rounds = {.count = 0};
    while (rounds.count < WANTED)
        run_round(&rounds, (struct load){empty, BATCH, EMPTY_TASKS / BATCH, 0}, false);
    print_rounds(&rounds);
}

// ---- The beginning of one child -----------------------------------------------------------------

enum { CHILDREN = 100 };

static void begin(void *arg)
{
    atomic_store((_Atomic int64_t *)arg, oa_now());
}

static void spawn_one_at_a_time(void *arg)
{
    double *delays = arg;
    for (int i = 0; i < CHILDREN; i++) {
        _Atomic int64_t begun = 0;
        oa_group_t group = OA_GROUP_INIT;
        int64_t spawned = oa_now();
        bench_must(oa_go(begin, (void *)&begun, .group = &group), "oa_go");
        bench_work((uint64_t)i, steps);
        oa_group_wait(&group);
        delays[i] = (double)(atomic_load(&begun) - spawned) / (double)OA_MICROSECOND;
    }
}

static void measure_begin(void)
{
    double delays[CHILDREN];
    bench_must(oa_run(spawn_one_at_a_time, delays, .max_workers = 2), "oa_run");
    double median = bench_median(delays, CHILDREN);
    printf("%.1f %.1f\n", median, delays[CHILDREN - 1]);
}

int main(int argc, char **argv)
{
    const char *what = argc == 2 ? argv[1] : "";
    if (!strcmp(what, "work")) {
        measure_work();
    } else if (!strcmp(what, "empty")) {
        measure_empty();
    } else if (!strcmp(what, "begin")) {
        steps = bench_steps(50.0 * OA_MILLISECOND);
        measure_begin();
    } else {
        fprintf(stderr, "Usage: scale work|empty|begin\n");
        return 2;
    }
    return 0;
}
