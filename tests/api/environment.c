// SPDX-License-Identifier: BSD-2-Clause
// environment.c - OASYNC_WORKERS and OASYNC_LOG are read only where the field is 0.
#define _GNU_SOURCE
#include "support.h"

struct log {
    atomic_int lines, least;
};

static void note(void *log_arg, int level, const char *line)
{
    struct log *log = log_arg;
    CHECK(line != NULL && line[0] != 0 && strchr(line, '\n') == NULL);
    CHECK(level >= OA_LOG_DEBUG && level <= OA_LOG_ERROR);
    atomic_fetch_add(&log->lines, 1);
    int least = atomic_load(&log->least);
    while (level < least && !atomic_compare_exchange_weak(&log->least, &least, level))
        ;
}

static void see_workers(void *arg)
{
    CHECK_EQ(oa_workers(NULL), *(int *)arg);
}

static void workers(void)
{
    int three = 3, two = 2;
    setenv("OASYNC_WORKERS", "3", 1);
    CHECK_EQ(oa_run(see_workers, &three), 0);
    CHECK_EQ(oa_run(see_workers, &two, .max_workers = 2), 0);
    unsetenv("OASYNC_WORKERS");
}

static void note_workers(void *arg)
{
    *(int *)arg = oa_workers(NULL);
}

// What the variables say wrongly is not heard.
static void nonsense(void)
{
    const char *values[] = {"", "0", "-1", "x", "3x", "1025", "99999999999999999999"};
    int usual, now;
    CHECK_EQ(oa_run(note_workers, &usual), 0);
    for (int i = 0; i < 7; i++) {
        setenv("OASYNC_WORKERS", values[i], 1);
        setenv("OASYNC_LOG", values[i], 1);
        CHECK_EQ(oa_run(note_workers, &now), 0);
        CHECK_EQ(now, usual);
    }
    unsetenv("OASYNC_WORKERS");
    unsetenv("OASYNC_LOG");
}

static void see_thread_name(void *arg)
{
    char name[16];
    CHECK_EQ(pthread_getname_np(pthread_self(), name, sizeof name), 0);
    CHECK(strcmp(name, arg) == 0);
}

// Runs on standard error replaced by a pipe, and returns what was written there.
static const char *stderr_of(const char *name)
{
    static char text[512];
    int fds[2], saved = dup(2);
    CHECK(saved >= 0 && pipe(fds) == 0);
    CHECK_EQ(dup2(fds[1], 2), 2);
    CHECK_EQ(oa_run(nothing, .max_workers = -1, .name = name), -EINVAL);
    CHECK_EQ(dup2(saved, 2), 2);
    close(saved);
    close(fds[1]);
    ssize_t n = read(fds[0], text, sizeof text - 1);
    close(fds[0]);
    text[n > 0 ? n : 0] = 0;
    return text;
}

// The name is that of the threads, and stands in the lines on standard error.
static void names(void)
{
    oa_coord_t *own;
    CHECK_EQ(oa_start(&own, see_thread_name, (void *)"mine-0", .max_workers = 1, .name = "mine"),
             0);
    CHECK_EQ(oa_wait(own), 0);
    CHECK(strcmp(stderr_of(NULL), "oasync: error: max_workers must be 0 to 1024\n") == 0);
    CHECK(strcmp(stderr_of("mine"), "oasync: error: mine: max_workers must be 0 to 1024\n") == 0);
}

static void refuse(struct log *log, int log_level)
{
    atomic_store(&log->lines, 0);
    atomic_store(&log->least, OA_LOG_OFF);
    CHECK_EQ(
        oa_run(nothing, .max_workers = -1, .log = note, .log_arg = log, .log_level = log_level),
        -EINVAL);
}

// A value out of range is refused with a logged reason; the level decides whether it is heard.
static void reasons(void)
{
    struct log log;
    const int heard[] = {0, OA_LOG_DEBUG, OA_LOG_INFO, OA_LOG_WARN, OA_LOG_ERROR};
    unsetenv("OASYNC_LOG");
    for (int i = 0; i < 5; i++) {
        refuse(&log, heard[i]);
        CHECK(atomic_load(&log.lines) >= 1);
        CHECK(atomic_load(&log.least) >= (heard[i] ? heard[i] : OA_LOG_WARN));
    }
    refuse(&log, OA_LOG_OFF);
    CHECK_EQ(atomic_load(&log.lines), 0);
    setenv("OASYNC_LOG", "off", 1);
    refuse(&log, 0);
    CHECK_EQ(atomic_load(&log.lines), 0);
    refuse(&log, OA_LOG_WARN); // the field goes before the variable
    CHECK(atomic_load(&log.lines) >= 1);
    const char *levels[] = {"debug", "info", "warn", "error"};
    for (int i = 0; i < 4; i++) {
        setenv("OASYNC_LOG", levels[i], 1);
        refuse(&log, 0);
        CHECK(atomic_load(&log.lines) >= 1);
        CHECK(atomic_load(&log.least) >= OA_LOG_DEBUG + i);
    }
    unsetenv("OASYNC_LOG");
}

// Nothing is said about a run in which nothing is wrong.
static void silence(void)
{
    struct log log = {0, OA_LOG_OFF};
    CHECK_EQ(oa_run(nothing, .log = note, .log_arg = &log, .log_level = OA_LOG_WARN), 0);
    CHECK_EQ(atomic_load(&log.lines), 0);
}

int main(void)
{
    workers();
    nonsense();
    names();
    reasons();
    silence();
    return 0;
}
