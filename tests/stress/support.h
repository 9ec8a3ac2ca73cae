// SPDX-License-Identifier: BSD-2-Clause
// support.h - what the stress tests share: plain threads, and what the system says of this process.
#pragma once

#include <dirent.h>
#include <errno.h>
#include <oasync.h>
#include <sched.h>
#include <stdatomic.h>

#include "check.h"
#include "thread.h"

// Scheduler and allocator of tools are their own: figures about memory and threads hold only here.
static inline bool plain_build(void)
{
    return test_under("native") || test_under("debug");
}

// Lets a random short while pass, mostly none.
static inline void dawdle(uint64_t *state)
{
    uint64_t n = next_random(state);
    for (volatile uint64_t i = n % 8 ? 0 : n / 8 % 400; i > 0; i--) {
    }
}

static inline void nothing(void *arg)
{
    (void)arg;
}

// What beside() runs.
struct drive {
    oa_coord_t **coord;
    oa_fn *fn;
    void *arg;
};

static inline void drive_simulated(void *arg)
{
    struct drive *drive = arg;
    *drive->coord = oa_coord();
    drive->fn(drive->arg);
}

// Calls fn(arg) in a plain thread with a coordinator beside it, of so many workers and in *coord,
// and waits until that has no task left. In a simulation, where what a thread beside it does is not
// repeatable, it is a task.
static inline void beside(oa_coord_t **coord, oa_fn *fn, void *arg, int workers)
{
    struct drive drive = {coord, fn, arg};
    if (simulated()) {
        CHECK_EQ(oa_run(drive_simulated, &drive), 0);
        return;
    }
    CHECK_EQ(oa_start(coord, nothing, .max_workers = workers), 0);
    fn(arg);
    CHECK_EQ(oa_wait(*coord), 0);
}

// What is to be done at one in so many looks, at random: a simulation has fewer.
static inline uint64_t looks(uint64_t count)
{
    return simulated() ? count / 50 : count;
}

// How many entries a directory has.
static inline int entries(const char *path)
{
    DIR *dir = opendir(path);
    int count = 0;
    CHECK(dir != NULL);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

// The number behind `key` in a file of the format of /proc/PID/status.
static inline long long status_of(const char *path, const char *key)
{
    char line[256];
    long long value = -1;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return -1;
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
            value = atoll(line + strlen(key) + 1);
    fclose(file);
    return value;
}

// Resident memory in KiB.
static inline long long resident(void)
{
    return status_of("/proc/self/status", "VmRSS");
}

static inline int mappings(void)
{
    FILE *file = fopen("/proc/self/maps", "r");
    int count = 0;
    CHECK(file != NULL);
    for (int c; (c = getc(file)) != EOF;)
        count += c == '\n';
    fclose(file);
    return count;
}

// Runs round 0 and so on, a thousand of them after `warm`, in which the C library has settled. Then
// threads and descriptors are as before the first, and mappings and memory, within bounds, as after
// the warm ones. Of a build with tools only the descriptors are looked at.
static inline void leaves_nothing_behind(void (*round_of)(int round), int warm, int more_mappings,
                                         long long more_kib)
{
    int threads = entries("/proc/self/task");
    int files = entries("/proc/self/fd");
    int maps = 0;
    long long memory = 0;
    int64_t rounds = test_scale(1000) + warm;
    for (int round = 0; round < rounds; round++) {
        round_of(round);
        if (round == warm - 1) {
            maps = mappings();
            memory = resident();
        }
    }
    CHECK_EQ(entries("/proc/self/fd"), files);
    if (!plain_build())
        return;
    CHECK_EQ(entries("/proc/self/task"), threads);
    CHECK(mappings() <= maps + more_mappings);
    CHECK(resident() <= memory + more_kib);
}
