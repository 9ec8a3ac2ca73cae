// SPDX-License-Identifier: BSD-2-Clause
// core.c - one round of the core figures, on one worker.
//
//     core [FIGURE]
//
// Prints a line for each figure: its name, ns an operation, ns an atomic add, and ns of the plain
// serial version: what a C program without tasks would do in its place. Each is the median of many
// slices of half a millisecond, in which the three take turns: what else runs on the machine falls
// upon a few slices, and upon all three alike. run.sh runs many rounds, in turn with the same in Go
// (go/core.go).
//
//     spawn       a task spawns 1,000 empty tasks and yields until a plain counter says that all
//                 have run, the cheapest way to know on one worker
//     spawn-group the same, waiting for a group
//     yield       two tasks yield to each other; an operation is one yield
//     mutex       lock and unlock of a free mutex
//     chan        there and back over two unbuffered channels between two tasks
//     join        spawn a task and join it, one at a time
#include <oasync.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

enum { BATCH = 1000 };

static long ended; // of the empty tasks; one worker, so it needs no atomic

static void empty(void *arg)
{
    (void)arg;
    ended++;
}

// What the compiler must not see through: an empty task, called.
static oa_fn *volatile call = empty;

static void call_empty(long operations)
{
    for (long i = 0; i < operations; i++)
        call(NULL);
}

// ---- Spawn and complete -------------------------------------------------------------------------

static void spawn(long operations)
{
    ended = 0;
    for (long done = 0; done < operations; done += BATCH) {
        for (int i = 0; i < BATCH; i++)
            oa_go(empty);
        while (ended < done + BATCH)
            oa_yield();
    }
}

static void spawn_group(long operations)
{
    oa_group_t group = OA_GROUP_INIT;
    for (long done = 0; done < operations; done += BATCH) {
        for (int i = 0; i < BATCH; i++)
            oa_go(empty, NULL, .group = &group);
        oa_group_wait(&group);
    }
}

static void join(long operations)
{
    for (long i = 0; i < operations; i++) {
        oa_task_t *task;
        oa_go(empty, NULL, .task = &task);
        oa_join(task);
    }
}

// ---- Yield --------------------------------------------------------------------------------------

static void yielder(void *arg)
{
    for (long i = *(long *)arg; i > 0; i--)
        oa_yield();
}

static void yield(long operations)
{
    oa_group_t group = OA_GROUP_INIT;
    long each = operations / 2;
    oa_go(yielder, &each, .group = &group);
    oa_go(yielder, &each, .group = &group);
    oa_group_wait(&group);
}

// ---- Mutex --------------------------------------------------------------------------------------

static void mutex(long operations)
{
    oa_mutex_t lock = OA_MUTEX_INIT;
    for (long i = 0; i < operations; i++) {
        oa_mutex_lock(&lock);
        oa_mutex_unlock(&lock);
    }
}

static void pthread_pair(long operations)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    for (long i = 0; i < operations; i++) {
        pthread_mutex_lock(&lock);
        pthread_mutex_unlock(&lock);
    }
}

// ---- Channel ------------------------------------------------------------------------------------

struct pair {
    oa_chan_t *there, *back;
};

static void echo(void *arg)
{
    struct pair *pair = arg;
    uint64_t value;
    while (oa_chan_recv(pair->there, &value) == 0)
        oa_chan_send(pair->back, &value);
}

static void chan(long operations)
{
    struct pair pair = {oa_chan_make(sizeof(uint64_t)), oa_chan_make(sizeof(uint64_t))};
    oa_task_t *task;
    oa_go(echo, &pair, .task = &task);
    for (uint64_t i = 0; i < (uint64_t)operations; i++) {
        uint64_t value = i;
        oa_chan_send(pair.there, &value);
        oa_chan_recv(pair.back, &value);
        if (value != i)
            abort();
    }
    oa_chan_close(pair.there);
    oa_join(task);
    oa_chan_free(pair.there);
    oa_chan_free(pair.back);
}

// ---- A round ------------------------------------------------------------------------------------

static const struct figure {
    const char *name;
    long operations; // in a slice
    void (*run)(long operations);
    void (*serial)(long operations);
} figures[] = {
    {"spawn", 20000, spawn, call_empty}, {"spawn-group", 10000, spawn_group, call_empty},
    {"yield", 50000, yield, call_empty}, {"mutex", 40000, mutex, pthread_pair},
    {"chan", 4000, chan, call_empty},    {"join", 6000, join, call_empty},
};

enum { FIGURES = sizeof figures / sizeof *figures, SLICES = 61 };

static double time_of(void (*run)(long), long operations)
{
    int64_t began = oa_now();
    run(operations);
    return (double)(oa_now() - began) / (double)operations;
}

static void measure(const struct figure *figure)
{
    double run[SLICES], add[SLICES], serial[SLICES];
    time_of(figure->run, figure->operations * 4); // warms caches and branch predictors
    for (int i = 0; i < SLICES; i++) {
        add[i] = time_of(bench_atomic_add, 50000);
        run[i] = time_of(figure->run, figure->operations);
        serial[i] = time_of(figure->serial, figure->operations);
    }
    printf("%s %.3f %.3f %.3f\n", figure->name, bench_median(run, SLICES),
           bench_median(add, SLICES), bench_median(serial, SLICES));
}

static void run_round(void *arg)
{
    const char *only = arg;
    for (int i = 0; i < FIGURES; i++)
        if (!only || !strcmp(only, figures[i].name))
            measure(&figures[i]);
}

int main(int argc, char **argv)
{
    bench_must(oa_run(run_round, argc > 1 ? argv[1] : NULL, .max_workers = 1), "oa_run");
    return 0;
}
