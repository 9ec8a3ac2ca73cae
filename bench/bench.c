// SPDX-License-Identifier: BSD-2-Clause
// bench.c - see bench.h.
#define _GNU_SOURCE
#include "bench.h"

#include <oasync.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bench_must(int err, const char *what)
{
    if (err == 0)
        return;
    fprintf(stderr, "%s: %s\n", what, strerror(-err));
    exit(2);
}

void bench_atomic_add(long adds)
{
    static _Alignas(64) atomic_long counter;
    for (long i = 0; i < adds; i++)
        atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed);
}

void bench_work(uint64_t seed, long steps)
{
    uint64_t x = seed | 1;
    for (long i = 0; i < steps; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    __asm__ volatile("" ::"r"(x)); // somebody needs it
}

long bench_steps(double ns)
{
    enum { TRIES = 20, STEPS = 200000 };
    double best = 1e18;
    for (int i = 0; i < TRIES; i++) {
        int64_t began = oa_now();
        bench_work((uint64_t)i, STEPS);
        double time = (double)(oa_now() - began);
        if (time < best)
            best = time;
    }
    return (long)(ns * STEPS / best);
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

double bench_median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

double bench_memory(const char *field)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    size_t length = strlen(field);
    double bytes = 0;
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, field, length) && line[length] == ':')
            bytes = strtod(line + length + 1, NULL) * 1024;
    if (file)
        fclose(file);
    return bytes;
}

long bench_number(const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);
    if (*end || end == text || number < 1) {
        fprintf(stderr, "%s: not a number that will do\n", text);
        exit(2);
    }
    return number;
}
