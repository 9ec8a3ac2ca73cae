// SPDX-License-Identifier: BSD-2-Clause
// environment.c - OASYNC_WORKERS and OASYNC_LOG are read only where the field is 0.
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
    reasons();
    silence();
    return 0;
}
