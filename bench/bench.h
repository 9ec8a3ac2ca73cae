// SPDX-License-Identifier: BSD-2-Clause
// bench.h - what the benchmarks share: the yardstick, work of a known length, the process's memory.
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

// Ends the program with a line when `err`, what a call of the library has returned, is not 0.
void bench_must(int err, const char *what);

// Uncontended atomic adds: the yardstick.
void bench_atomic_add(long adds);

// Computes without memory or clock, so that a task on a preempted thread does not seem to get on:
// `steps` steps, each of a few nanoseconds.
void bench_work(uint64_t seed, long steps);

// How many steps take `ns` nanoseconds, on a machine that is quiet now.
long bench_steps(double ns);

// The middle one of `count` values, which are sorted by this.
double bench_median(double *values, size_t count);

// A figure of this process out of /proc/self/status, in bytes: "VmRSS", "VmPTE", "VmHWM".
double bench_memory(const char *field);

// The whole number that an argument is, or the end of the program.
long bench_number(const char *text);

#endif
