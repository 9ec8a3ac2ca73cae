// SPDX-License-Identifier: BSD-2-Clause
// check.h - what a test needs beside CTest: a check that names its line, a seed that is printed and
// random numbers from it, a size that scales.
//
// A test is a program: it ends with status 0 if all is well, 1 at the first check that fails, 77 if
// it cannot be run here.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef OA_TEST_SCALE
#define OA_TEST_SCALE 100
#endif

#define CHECK(condition) ((condition) ? (void)0 : test_failed(__FILE__, __LINE__, #condition))

// Compares two integers and prints both when they differ.
#define CHECK_EQ(left, right)                                                                      \
    test_equal(__FILE__, __LINE__, #left " == " #right, (long long)(left), (long long)(right))

// Ends the process at once: other tasks and threads may still run, so no exit handlers.
static inline void test_failed(const char *file, int line, const char *text)
{
    printf("%s:%d: failed: %s\n", file, line, text);
    fflush(stdout);
    _exit(1);
}

static inline void test_equal(const char *file, int line, const char *text, long long left,
                              long long right)
{
    if (left != right) {
        printf("%s:%d: failed: %s: %lld, %lld\n", file, line, text, left, right);
        fflush(stdout);
        _exit(1);
    }
}

static inline void test_skip(const char *why)
{
    printf("skipped: %s\n", why);
    exit(77);
}

// A test that needs a program (gdb, perf) is skipped where it is missing, and fails where all must
// be there.
static inline void test_need_program(const char *path)
{
    if (access(path, X_OK) == 0) {
        return;
    }
    if (getenv("OA_REQUIRE_TOOLS") != NULL) {
        test_failed(path, 0, "this program is required here");
    }
    test_skip(path);
}

// The seed of this run: OA_TEST_SEED if it is set, else a new one. Printed, so that a failure can
// be run again.
static inline uint64_t test_seed(void)
{
    const char *given = getenv("OA_TEST_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed =
        (uint64_t)now.tv_sec * 1000000007U ^ (uint64_t)now.tv_nsec << 20 ^ (uint64_t)getpid();
    if (given != NULL) {
        seed = strtoull(given, NULL, 0);
    }
    printf("OA_TEST_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    return seed;
}

// A number from a state that any owner may begin with (splitmix64).
static inline uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static inline uint64_t random_below(uint64_t *state, uint64_t bound)
{
    return next_random(state) % bound;
}

// n, scaled to what this build can do in the time (OA_TEST_SCALE percent), and at least 1.
static inline int64_t test_scale(int64_t n)
{
    const char *given = getenv("OA_TEST_SCALE");
    int64_t percent = given != NULL ? atoll(given) : OA_TEST_SCALE;
    int64_t scaled = n * percent / 100;
    return scaled > 0 ? scaled : 1;
}

// Whether every coordinator of this process is a simulation: one worker, its own clock, and nothing
// that another thread does can be repeated.
static inline bool simulated(void)
{
    return getenv("OASYNC_SIMULATE") != NULL;
}

// Whether the test runs under "asan", "tsan", "valgrind", "qemu", or in a plain "debug" or "native"
// build.
static inline bool test_under(const char *what)
{
    const char *under = getenv("OA_TEST_UNDER");
    return strcmp(under != NULL ? under : "native", what) == 0;
}
