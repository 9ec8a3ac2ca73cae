// SPDX-License-Identifier: BSD-2-Clause
// fair.c - eight tasks on two workers, let go by a barrier, fight for one lock a million times
// each: 50 ns of work with it, 50 ns without it, and nobody yields.
//
//     fair mutex|rwlock
//
// Prints ms in all, how far the slowest had come when the first was done (a share of the million),
// and ms of the plain serial version: the work alone, without a lock. Of a read-write lock every
// fourth is a writer's. The Go side does the same.
#include <oasync.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

enum { TASKS = 8, TIMES = 1000000, WRITE_EVERY = 4 };

// Each on a line of its own: what is read beside a lock shall not wait for its line.
static _Alignas(64) oa_mutex_t mutex = OA_MUTEX_INIT;
static _Alignas(64) oa_rwlock_t rwlock = OA_RWLOCK_INIT;
static _Alignas(64) long inside; // of the mutex or its writers: under the lock
static _Alignas(64) oa_barrier_t barrier = OA_BARRIER_INIT(TASKS);
static bool shared; // the read-write lock
static long steps;  // of 50 ns

static struct {
    _Alignas(64) atomic_long times;
} done[TASKS];
static atomic_bool first_done;
static long slowest; // when the first was done

static void lock(bool write)
{
    if (!shared)
        oa_mutex_lock(&mutex);
    else if (write)
        oa_rwlock_wrlock(&rwlock);
    else
        oa_rwlock_rdlock(&rwlock);
}

static void unlock(void)
{
    if (shared)
        oa_rwlock_unlock(&rwlock);
    else
        oa_mutex_unlock(&mutex);
}

static void fight(void *arg)
{
    int self = *(int *)arg;
    oa_barrier_wait(&barrier);
    for (long i = 0; i < TIMES; i++) {
        bool write = !shared || i % WRITE_EVERY == 0;
        lock(write);
        inside += write;
        bench_work((uint64_t)i, steps);
        unlock();
        atomic_store_explicit(&done[self].times, i + 1, memory_order_relaxed);
        bench_work((uint64_t)i, steps);
    }
    if (atomic_exchange(&first_done, true))
        return;
    slowest = TIMES;
    for (int i = 0; i < TASKS; i++) {
        long times = atomic_load_explicit(&done[i].times, memory_order_relaxed);
        if (times < slowest)
            slowest = times;
    }
}

static void run(void *arg)
{
    int64_t *time = arg;
    oa_group_t group = OA_GROUP_INIT;
    int64_t began = oa_now();
    for (int i = 0; i < TASKS; i++)
        bench_must(oa_go(fight, oa_val(i), .group = &group), "oa_go");
    oa_group_wait(&group);
    *time = oa_now() - began;
}

int main(int argc, char **argv)
{
    int64_t time;
    shared = argc > 1 && !strcmp(argv[1], "rwlock");
    steps = bench_steps(50);
    bench_must(oa_run(run, &time, .max_workers = 2), "oa_run");
    if (inside != (long)TASKS * TIMES / (shared ? WRITE_EVERY : 1))
        abort(); // two were inside at once
    int64_t began = oa_now();
    for (long i = 0; i < (long)TASKS * TIMES; i++) {
        bench_work((uint64_t)i, steps);
        bench_work((uint64_t)i, steps);
    }
    int64_t serial = oa_now() - began;
    printf("%.0f %.3f %.0f\n", (double)time / 1e6, (double)slowest / TIMES, (double)serial / 1e6);
    return 0;
}
