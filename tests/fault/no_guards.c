// SPDX-License-Identifier: BSD-2-Clause
// no_guards.c - where guards cannot be installed cheaply a process still parks 200,000 tasks: none
// is refused.
// ctest: timeout=60
#include <errno.h>
#include <oasync.h>
#include <stdatomic.h>

#include "check.h"
#include "os/os.h"

static oa_sem_t gate = OA_SEM_INIT(0);
static atomic_uint parked;

static int no_guard(const oai_span_t *spans, size_t n)
{
    (void)spans;
    (void)n;
    return -EINVAL;
}

static void park(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_acquire(&gate), 0);
    CHECK_EQ(oa_sem_release(&gate), 0);
    atomic_fetch_add(&parked, 1);
}

static void start(void *arg)
{
    oa_stats_t stats = OA_STATS_INIT;
    uint64_t count = *(uint64_t *)arg;
    for (uint64_t i = 0; i < count; i++)
        CHECK_EQ(oa_go(park), 0);
    do {
        oa_yield();
        CHECK_EQ(oa_stats(NULL, &stats), 0);
    } while (stats.parks < count);
    CHECK(stats.stacks_in_use >= count);
    CHECK_EQ(oa_sem_release(&gate), 0);
}

int main(void)
{
    uint64_t count = test_under("tsan") ? 2000 : (uint64_t)test_scale(200000);
    oai_os.guard = no_guard;
    oai_os_probe_reset();
    CHECK(!oai_os_guard_probe());
    CHECK_EQ(oa_run(start, &count, .max_workers = 2, .log_level = OA_LOG_OFF), 0);
    CHECK_EQ(atomic_load(&parked), count);
    return 0;
}
