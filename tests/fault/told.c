// SPDX-License-Identifier: BSD-2-Clause
// told.c - what the log tells of stacks, from which level on, and where the number of workers comes
// from.
#include <errno.h>
#include <oasync.h>
#include <stdatomic.h>

#include "check.h"
#include "fault.h"
#include "os/os.h"
#include "sched/internal.h"

static atomic_int lines, ran;
static int expected_level;
static const char *expected;

static void log_line(void *arg, int level, const char *line)
{
    CHECK(arg == &lines);
    CHECK_EQ(level, expected_level);
    CHECK(strstr(line, expected) != NULL && strstr(line, "told.c:") != NULL);
    atomic_fetch_add(&lines, 1);
}

static void use_stack(void *arg)
{
    (void)arg;
    oa_yield();
    atomic_fetch_add(&ran, 1);
}

// No stack of this size is there, and none can be mapped for a while.
static void short_of_stacks(void *arg)
{
    oa_task_t *task;
    (void)arg;
    CHECK_EQ(oa_go(use_stack, .stack = 8 << 20, .task = &task), 0);
    fault_fail_from(1);
    while (fault_injected() < 3)
        oa_yield();
    CHECK_EQ(atomic_load(&ran), 0);
    fault_disarm();
    CHECK_EQ(oa_join(task), 0);
    CHECK_EQ(atomic_load(&ran), 1);
}

static int lines_at(oa_fn *fn, int level)
{
    atomic_store(&lines, 0);
    atomic_store(&ran, 0);
    CHECK_EQ(oa_run(fn, .max_workers = 1, .log = log_line, .log_arg = &lines, .log_level = level),
             0);
    return atomic_load(&lines);
}

// It tells so and tries again, and the level decides whether that is heard: a warning.
static void no_memory(void)
{
    static const char *const names[] = {"debug", "info", "warn", "error", "off"};
    expected_level = OA_LOG_WARN;
    expected = "no memory for its stack";
    fault_install();
    fault_mask(FAULT_MAP);
    unsetenv("OASYNC_LOG");
    CHECK(lines_at(short_of_stacks, 0) > 0); // warnings are logged without being asked for
    for (int level = OA_LOG_DEBUG; level <= OA_LOG_OFF; level++) {
        CHECK_EQ(lines_at(short_of_stacks, level) > 0, level <= OA_LOG_WARN);
        setenv("OASYNC_LOG", names[level - OA_LOG_DEBUG], 1);
        CHECK_EQ(lines_at(short_of_stacks, 0) > 0, level <= OA_LOG_WARN);
        CHECK(lines_at(short_of_stacks, OA_LOG_WARN) > 0);
        CHECK_EQ(lines_at(short_of_stacks, OA_LOG_ERROR), 0);
        unsetenv("OASYNC_LOG");
    }
    fault_remove();
}

// ---- Overrun ------------------------------------------------------------------------------------

static int no_guard(const oai_span_t *spans, size_t n)
{
    (void)spans;
    (void)n;
    return -EINVAL;
}

static int no_protect(void *base, size_t size)
{
    (void)base;
    (void)size;
    return -ENOMEM;
}

enum when { AT_A_WAIT, AT_THE_END, WITHOUT_A_WAIT };

// Writes where only the guard would be: told at its next wait, or at its end.
static void overrun(void *arg)
{
    enum when when = *(enum when *)arg;
    char *low, *top;
    if (when == AT_THE_END)
        CHECK_EQ(oa_sleep(5 * OA_MILLISECOND), 0);
    // Not the address of a local: to ASan's eyes that may stand elsewhere.
    const void *here = __builtin_frame_address(0);
    CHECK(oai_stack_pool_find(&oa_coord()->stacks, here, &low, &top));
    volatile char *below = low - 1;
    *below = 1;
    CHECK_EQ(atomic_load(&lines), 0);
    if (when == AT_A_WAIT) {
        CHECK_EQ(oa_sleep(5 * OA_MILLISECOND), 0);
        CHECK_EQ(atomic_load(&lines), 1);
        *below = 0;
    }
    atomic_fetch_add(&ran, 1);
}

static void nothing(void *arg)
{
    (void)arg;
}

// Who comes after it on the same stack is not blamed for it.
static void spawn(enum when when)
{
    CHECK_EQ(oa_go(overrun, oa_val(when)), 0);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(oa_go(nothing, NULL), 0);
}

static void at_a_wait(void *arg)
{
    (void)arg;
    spawn(AT_A_WAIT);
}

static void at_the_end(void *arg)
{
    (void)arg;
    spawn(AT_THE_END);
}

static void without_a_wait(void *arg)
{
    (void)arg;
    spawn(WITHOUT_A_WAIT);
}

static void overruns(void)
{
    int (*guard)(const oai_span_t *, size_t) = oai_os.guard;
    int (*protect)(void *, size_t) = oai_os.protect;
    expected_level = OA_LOG_ERROR;
    expected = "its stack was overrun";
    oai_os.guard = no_guard;
    oai_os.protect = no_protect;
    oai_os_probe_reset();
    CHECK_EQ(lines_at(at_a_wait, 0), 1);
    CHECK_EQ(lines_at(at_the_end, 0), 1);
    CHECK_EQ(lines_at(without_a_wait, 0), 1);
    CHECK_EQ(lines_at(at_the_end, OA_LOG_ERROR), 1);
    CHECK_EQ(lines_at(at_the_end, OA_LOG_OFF), 0);
    CHECK_EQ(atomic_load(&ran), 1);
    oai_os.guard = guard;
    oai_os.protect = protect;
    oai_os_probe_reset();
}

// ---- Workers ------------------------------------------------------------------------------------

static void note_workers(void *arg)
{
    *(int *)arg = oa_workers(NULL);
}

// As many as the CPUs that the process may use, if neither the field nor the variable says so.
static void one_for_each_cpu(void)
{
    int workers = 0;
    unsetenv("OASYNC_WORKERS");
    CHECK_EQ(oa_run(note_workers, &workers), 0);
    CHECK_EQ(workers, oai_os_cpu_count());
}

int main(void)
{
    no_memory();
    if (!test_under("tsan")) // which tells of the same as of a race with the next look
        overruns();
    one_for_each_cpu();
    return 0;
}
