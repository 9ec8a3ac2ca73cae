// SPDX-License-Identifier: BSD-2-Clause
// pool.c - the threads of the blocking pool: they retire when they have been idle for long, and
// where they cannot be made nothing is lost. Time is made short in the table of the system's calls.
#include <dirent.h>
#include <errno.h>
#include <oasync.h>
#include <stdatomic.h>

#include "check.h"
#include "fault.h"
#include "os/os.h"

#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        oa_yield();                                                                                \
    } while (!(condition))

static atomic_int steps, dropped, lines;
static oa_sem_t sem;
static oa_coord_t *coord;

static void step(void *arg)
{
    (void)arg;
    atomic_fetch_add(&steps, 1);
}

static void nothing(void *arg)
{
    (void)arg;
}

static void drop(void *arg)
{
    (void)arg;
    atomic_fetch_add(&dropped, 1);
}

static void hold(void *arg)
{
    step(arg);
    CHECK_EQ(oa_sem_acquire(&sem), 0);
}

static void log_line(void *arg, int level, const char *line)
{
    (void)arg;
    CHECK(level == OA_LOG_WARN && strstr(line, "no thread") != NULL);
    atomic_fetch_add(&lines, 1);
}

static int threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    int count = -2; // . and ..
    CHECK(dir != NULL);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

// ---- Retirement -------------------------------------------------------------------------------

static int (*real_futex_wait)(const _Atomic uint32_t *, uint32_t, int64_t);
static atomic_int napping; // for five seconds and more

static _Atomic int64_t longest; // of them

// Then such a nap is over at once.
static atomic_bool hurry;

static int nap(const _Atomic uint32_t *word, uint32_t expected)
{
    while (!atomic_load(&hurry))
        if (real_futex_wait(word, expected, oa_now() + OA_MILLISECOND) == 0)
            return 0;
    return real_futex_wait(word, expected, oa_now() + OA_MILLISECOND);
}

static int quick_futex_wait(const _Atomic uint32_t *word, uint32_t expected, int64_t deadline)
{
    int64_t left = deadline == OAI_OS_FOREVER ? 0 : deadline - oa_now();
    if (left < 5 * OA_SECOND)
        return real_futex_wait(word, expected, deadline);
    CHECK(left <= 10 * OA_SECOND);
    if (left > atomic_load(&longest))
        atomic_store(&longest, left);
    atomic_fetch_add(&napping, 1);
    int err = nap(word, expected);
    atomic_fetch_sub(&napping, 1);
    return err;
}

static void burst(int count)
{
    atomic_store(&steps, 0);
    for (int i = 0; i < count; i++)
        CHECK_EQ(oa_go(hold, .block = 1, .coord = coord), 0);
    UNTIL(atomic_load(&steps) == count);
    for (int i = 0; i < count; i++)
        CHECK_EQ(oa_sem_release(&sem), 0);
}

static void retirement(void)
{
    enum { MANY = 8 };
    real_futex_wait = oai_os.futex_wait;
    oai_os.futex_wait = quick_futex_wait;
    oa_sem_init(&sem, 0);
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = 1), 0);
    int before = threads();
    for (int round = 0; round < 3; round++) {
        atomic_store(&hurry, false);
        burst(MANY);
        UNTIL(atomic_load(&napping) == MANY);
        CHECK_EQ(threads(), before + MANY); // they stay
        burst(MANY);
        CHECK_EQ(threads(), before + MANY); // and are used again
        atomic_store(&hurry, true);
        UNTIL(threads() <= before + 1); // all but the last are joined, and that one ends
        UNTIL(threads() == before);
    }
    CHECK(atomic_load(&longest) > 8 * OA_SECOND); // ten, less what passed on the way to the nap
    burst(1);
    CHECK_EQ(oa_wait(coord), 0);
    oai_os.futex_wait = real_futex_wait;
}

// ---- No threads -------------------------------------------------------------------------------

static void short_of_threads(bool pinned)
{
    oa_task_t *task;
    oa_sem_init(&sem, 0);
    atomic_store(&steps, 0);
    atomic_store(&dropped, 0);
    atomic_store(&lines, 0);
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = 1, .log = log_line), 0);
    fault_mask(FAULT_THREAD);
    fault_fail_from(1);
    // At once: the pool has no thread, and none can be made.
    CHECK_EQ(oa_go(step, .block = !pinned, .pinned = pinned, .coord = coord, .drop = drop,
                   .task = &task),
             -EAGAIN);
    CHECK(task == NULL && atomic_load(&dropped) == 1 && atomic_load(&lines) == 0);
    // Later: it is tried until it can be; a cancelled task does not wait for that.
    CHECK_EQ(
        oa_go(step, .block = !pinned, .pinned = pinned, .coord = coord, .drop = drop, .delay = 1),
        0);
    CHECK_EQ(oa_go(step, .block = !pinned, .pinned = pinned, .coord = coord, .drop = drop,
                   .delay = 1, .task = &task),
             0);
    UNTIL(fault_injected() > 5);
    CHECK_EQ(oa_cancel(task), 0);
    CHECK_EQ(oa_join(task), 0);
    CHECK_EQ(atomic_load(&dropped), 2);
    CHECK_EQ(atomic_load(&steps), 0);
    fault_disarm();
    UNTIL(atomic_load(&steps) == 1);
    CHECK_EQ(atomic_load(&lines), 1); // told once
    CHECK_EQ(oa_wait(coord), 0);
    CHECK_EQ(atomic_load(&dropped), 2);
}

// Behind a gate it has arrived there, for good: that is no error any more.
static void passed_gates(bool pinned)
{
    oa_latch_t latch = OA_LATCH_INIT(1);
    atomic_store(&steps, 0);
    atomic_store(&dropped, 0);
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = 1, .log_level = OA_LOG_OFF), 0);
    fault_mask(FAULT_THREAD);
    fault_fail_from(1);
    CHECK_EQ(oa_go(step, .block = !pinned, .pinned = pinned, .coord = coord, .drop = drop,
                   .latch = &latch),
             0);
    CHECK_EQ(oa_latch_wait(&latch), 0);
    UNTIL(fault_injected() > 5);
    CHECK_EQ(atomic_load(&steps), 0);
    fault_disarm();
    UNTIL(atomic_load(&steps) == 1);
    CHECK_EQ(oa_wait(coord), 0);
    CHECK_EQ(atomic_load(&dropped), 0);
}

// The same where the queue finds no memory: the second allocation is that of a block.
static void open_all(void *arg)
{
    (void)arg;
    oa_latch_t latch;
    bool failed = false;
    fault_mask(FAULT_ALLOC);
    for (int i = 0; i < 1000; i++) {
        oa_latch_init(&latch, 1);
        fault_fail_at(2);
        CHECK_EQ(oa_go(step, .latch = &latch, .drop = drop), 0);
        failed = failed || fault_injected() != 0;
        CHECK_EQ(oa_latch_wait(&latch), 0);
    }
    fault_disarm();
    CHECK(failed);
}

static void passed_to_queue(void)
{
    atomic_store(&steps, 0);
    atomic_store(&dropped, 0);
    CHECK_EQ(oa_run(open_all, .max_workers = 1), 0);
    CHECK_EQ(atomic_load(&steps), 1000);
    CHECK_EQ(atomic_load(&dropped), 0);
}

static atomic_int block_result;

static void block(void *arg)
{
    (void)arg;
    atomic_store(&block_result, oa_block(step, NULL));
}

// One thread, which waits for what is behind it: a second one is made when it can be.
static void behind_another(void)
{
    oa_sem_init(&sem, 0);
    atomic_store(&steps, 0);
    atomic_store(&block_result, 1);
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = 1, .log_level = OA_LOG_OFF), 0);
    fault_mask(FAULT_THREAD);
    fault_fail_from(1);
    CHECK_EQ(oa_go(block, .coord = coord), 0);
    UNTIL(atomic_load(&block_result) != 1);
    CHECK_EQ(atomic_load(&block_result), -EAGAIN);
    fault_disarm();
    CHECK_EQ(oa_go(hold, .block = 1, .coord = coord), 0);
    UNTIL(atomic_load(&steps) == 1);
    fault_fail_from(1);
    atomic_store(&block_result, 1);
    CHECK_EQ(oa_go(step, .block = 1, .coord = coord), 0);
    CHECK_EQ(oa_go(block, .coord = coord), 0);
    UNTIL(fault_injected() > 5);
    CHECK_EQ(atomic_load(&steps), 1);
    fault_disarm();
    UNTIL(atomic_load(&steps) == 3 && atomic_load(&block_result) == 0);
    CHECK_EQ(oa_sem_release(&sem), 0);
    CHECK_EQ(oa_wait(coord), 0);
}

// A shutdown does not wait for threads that cannot be made.
static void shut_down(oa_shutdown_t mode)
{
    atomic_store(&steps, 0);
    atomic_store(&dropped, 0);
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = 1, .log_level = OA_LOG_OFF), 0);
    fault_mask(FAULT_THREAD);
    fault_fail_from(1);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(oa_go(step, .block = i % 2, .pinned = !(i % 2), .coord = coord, .drop = drop,
                       .delay = 1),
                 0);
    UNTIL(fault_injected() > 5);
    CHECK_EQ(oa_shutdown(coord, mode), 0);
    if (mode == OA_DRAIN)
        fault_disarm();
    CHECK_EQ(oa_wait(coord), 0);
    fault_disarm();
    CHECK_EQ(atomic_load(&steps), mode == OA_DRAIN ? 4 : 0);
    CHECK_EQ(atomic_load(&dropped), mode == OA_DRAIN ? 0 : 4);
}

int main(void)
{
    retirement();
    fault_install();
    for (int i = 0; i < 10; i++) {
        short_of_threads(false);
        short_of_threads(true);
        passed_gates(false);
        passed_gates(true);
        passed_to_queue();
        behind_another();
        shut_down(OA_DRAIN);
        shut_down(OA_CANCEL);
    }
    return 0;
}
