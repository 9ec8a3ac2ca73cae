// SPDX-License-Identifier: BSD-2-Clause
// memory.c - what many tasks take, and whether it is given back.
//
//     memory parked|delayed [TASKS]
//
//     parked   so many tasks (a million) wait in a channel receive, then each is sent an element
//     delayed  so many tasks (ten million) are to begin in an hour, then the runtime is cancelled
//
// Memory is resident memory and page tables as the kernel tells them. `parked` prints tasks, bytes
// each, how many were woken, MiB of resident memory and of page tables above the start when they
// had all ended for two seconds without any call of the library, and seconds to park and to wake
// them. `delayed` prints tasks, bytes each, and seconds to spawn and to drop them. The plain
// version to judge them by is the smallest thing that can wait: a page of stack.
#define _GNU_SOURCE
#include <oasync.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bench.h"

struct memory {
    double resident, tables;
};

static struct memory memory_now(void)
{
    return (struct memory){bench_memory("VmRSS"), bench_memory("VmPTE")};
}

static double bytes_each(struct memory start, struct memory now, long tasks)
{
    return (now.resident + now.tables - start.resident - start.tables) / (double)tasks;
}

static double seconds_since(int64_t began)
{
    return (double)(oa_now() - began) / (double)OA_SECOND;
}

struct run {
    long tasks;
    struct memory start;
    oa_chan_t *ch;
    atomic_long woken;
    atomic_int over; // the first task has seen all others end
    double each, spawn_seconds, end_seconds;
};

// ---- Parked -------------------------------------------------------------------------------------

static void receiver(void *arg)
{
    struct run *run = arg;
    uint64_t element;
    if (oa_chan_recv(run->ch, &element) == 0)
        atomic_fetch_add(&run->woken, 1);
}

static void park_and_wake(void *arg)
{
    struct run *run = arg;
    oa_stats_t stats = OA_STATS_INIT;
    int64_t began = oa_now();
    for (long i = 0; i < run->tasks; i++)
        bench_must(oa_go(receiver, run), "oa_go");
    do {
        oa_yield();
        oa_stats(NULL, &stats);
    } while (stats.parks < (uint64_t)run->tasks);
    run->spawn_seconds = seconds_since(began);
    run->each = bytes_each(run->start, memory_now(), run->tasks);
    began = oa_now();
    for (long i = 0; i < run->tasks; i++) {
        uint64_t element = (uint64_t)i;
        bench_must(oa_chan_send(run->ch, &element), "oa_chan_send");
    }
    do {
        oa_yield();
        oa_stats(NULL, &stats);
    } while (stats.tasks_alive > 1);
    run->end_seconds = seconds_since(began);
    atomic_store(&run->over, 1);
}

static void sleep_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static void measure_parked(struct run *run)
{
    oa_coord_t *coord;
    run->ch = oa_chan_make(sizeof(uint64_t));
    run->start = memory_now();
    bench_must(oa_start(&coord, park_and_wake, run), "oa_start");
    while (!atomic_load(&run->over))
        sleep_ms(10);
    sleep_ms(2000);
    struct memory end = memory_now();
    bench_must(oa_wait(coord), "oa_wait");
    bench_must(oa_chan_free(run->ch), "oa_chan_free");
    printf("%ld %.0f %ld %.1f %.1f %.2f %.2f\n", run->tasks, run->each, (long)run->woken,
           (end.resident - run->start.resident) / (1 << 20),
           (end.tables - run->start.tables) / (1 << 20), run->spawn_seconds, run->end_seconds);
}

// ---- Delayed ------------------------------------------------------------------------------------

static void never(void *arg)
{
    atomic_fetch_add(&((struct run *)arg)->woken, 1);
}

static void delay(void *arg)
{
    struct run *run = arg;
    int64_t began = oa_now();
    for (long i = 0; i < run->tasks; i++)
        bench_must(oa_go(never, run, .delay = 60 * OA_MINUTE), "oa_go");
    run->spawn_seconds = seconds_since(began);
    run->each = bytes_each(run->start, memory_now(), run->tasks);
    run->end_seconds = (double)oa_now();
    bench_must(oa_shutdown(NULL, OA_CANCEL), "oa_shutdown");
}

static void measure_delayed(struct run *run)
{
    run->start = memory_now();
    bench_must(oa_run(delay, run), "oa_run");
    run->end_seconds = ((double)oa_now() - run->end_seconds) / (double)OA_SECOND;
    printf("%ld %.0f %.2f %.2f\n", run->woken ? -1 : run->tasks, run->each, run->spawn_seconds,
           run->end_seconds);
}

int main(int argc, char **argv)
{
    struct run run = {.tasks = argc == 3 ? bench_number(argv[2]) : 0};
    const char *what = argc >= 2 ? argv[1] : "";
    if (!strcmp(what, "parked")) {
        run.tasks = run.tasks ? run.tasks : 1000000;
        measure_parked(&run);
    } else if (!strcmp(what, "delayed")) {
        run.tasks = run.tasks ? run.tasks : 10000000;
        measure_delayed(&run);
    } else {
        fprintf(stderr, "Usage: memory parked|delayed [TASKS]\n");
        return 2;
    }
    return 0;
}
