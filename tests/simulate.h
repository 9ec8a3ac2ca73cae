// SPDX-License-Identifier: BSD-2-Clause
// simulate.h - a run as a simulation, for a test: under a seed of its own, and all that is logged
// is kept.
#pragma once

#include <oasync.h>
#include <pthread.h>

#include "check.h"

// What a run has logged at error level or below, and a digest of all lines.
struct log {
    char errors[2048];
    uint64_t digest;
    int lines, warnings;
};

static pthread_mutex_t logging = PTHREAD_MUTEX_INITIALIZER;

static inline uint64_t digest_of(uint64_t digest, const char *text)
{
    for (const char *c = text; *c; c++)
        digest = (digest ^ (unsigned char)*c) * UINT64_C(1099511628211);
    return digest;
}

static inline void take_line(void *arg, int level, const char *line)
{
    struct log *log = arg;
    CHECK_EQ(pthread_mutex_lock(&logging), 0);
    log->lines++;
    log->warnings += level == OA_LOG_WARN;
    log->digest = digest_of(log->digest, line);
    if (level == OA_LOG_ERROR) {
        size_t length = strlen(log->errors);
        snprintf(log->errors + length, sizeof log->errors - length, "%s\n", line);
    }
    CHECK_EQ(pthread_mutex_unlock(&logging), 0);
}

// Runs fn under a seed; all that is logged goes into *log.
static inline int simulate(uint64_t seed, oa_fn *fn, void *arg, struct log *log)
{
    memset(log, 0, sizeof *log);
    return oa_run(fn, arg, .simulate = seed, .log = take_line, .log_arg = log,
                  .log_level = OA_LOG_DEBUG);
}

// So many seeds of what each must show.
static inline uint64_t few_seeds(void)
{
    return 10 + (uint64_t)test_scale(40);
}

// A deadlock is told only where the process is known to have no thread beside the simulation's: an
// emulator may have one of its own, or not tell. To be asked before the first thread is made.
static inline bool alone(void)
{
    char text[1024] = "";
    int threads = 0;
    FILE *file = fopen("/proc/self/stat", "re");
    CHECK(file != NULL && fgets(text, sizeof text, file) != NULL);
    fclose(file);
    const char *rest = strrchr(text, ')'); // behind the name; the 18th from there on
    for (int i = 0; i < 18 && rest != NULL; i++)
        rest = strchr(rest + 1, ' ');
    CHECK(rest != NULL && sscanf(rest, "%d", &threads) == 1);
    if (threads != 1)
        printf("skipped: deadlocks: at the start there are %d threads\n", threads);
    return threads == 1;
}
