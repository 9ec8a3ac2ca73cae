// SPDX-License-Identifier: BSD-2-Clause
// stack.c - every system call of the stacks fails once, then at random: an error or a weaker guard,
// never a crash, and nothing is leaked.
// ctest: timeout=60
#include "fiber/stack.h"
#include "check.h"
#include "fault.h"
#include "os/os.h"

// Address space mapped by this process, in pages.
static long mapped(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    CHECK(f != NULL && fscanf(f, "%ld", &pages) == 1);
    fclose(f);
    return pages;
}

// Takes stacks of several classes, gives some back, trims. How many were refused.
static int scenario(void)
{
    enum { MANY = 200 };
    oai_stack_t *stacks[MANY];
    int refused = 0;
    oai_stack_pool_t pool;
    oai_stack_cache_t cache;
    CHECK_EQ(oai_stack_pool_init(&pool, 0), 0);
    oai_stack_cache_init(&cache, &pool);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++) {
            unsigned cls = i % 10 == 9 ? (unsigned)i % 5 : OAI_STACK_DEFAULT_CLASS;
            stacks[i] = oai_stack_get(&cache, cls);
            refused += stacks[i] == NULL;
            if (stacks[i] == NULL)
                continue;
            *(volatile char *)stacks[i]->low = 1;
            *(volatile char *)(stacks[i]->top - 1) = 1;
            CHECK(oai_stack_canary_ok(stacks[i]));
        }
        for (int i = 0; i < MANY; i++) {
            if (stacks[i] == NULL)
                continue;
            CHECK(oai_stack_canary_ok(stacks[i]));
            oai_stack_put(&cache, stacks[i]);
        }
        oai_stack_cache_flush(&cache);
        for (int i = 0; i < 20 && oai_stack_pool_trim(&pool, round == 0 ? 50 : 0); i++)
            continue;
    }
    oai_stack_cache_close(&cache);
    oai_stack_stats_t stats;
    oai_stack_pool_stats(&pool, &stats);
    CHECK_EQ(stats.in_use, 0);
    fault_mask(FAULT_USUAL & ~FAULT_UNMAP); // destroying must be possible at last
    oai_stack_pool_destroy(&pool);
    fault_mask(FAULT_USUAL);
    return refused;
}

int main(void)
{
    fault_install();
    CHECK_EQ(scenario(), 0);
    CHECK_EQ(scenario(), 0);
    long before = mapped();

    uint64_t k = 1;
    for (;; k++) {
        oai_os_probe_reset(); // the probe's calls are met too
        fault_fail_at(k);
        int refused = scenario();
        uint64_t met = fault_injected();
        fault_disarm();
        CHECK(refused <= 1);
        CHECK_EQ(scenario(), 0);
        if (met == 0)
            break;
    }
    printf("%llu calls\n", (unsigned long long)k - 1);
    CHECK(k > 10);

    for (uint64_t from = 1; from < k; from++) {
        fault_fail_from(from);
        (void)scenario();
        fault_disarm();
    }
    uint64_t seed = test_seed(), met = 0;
    for (int64_t i = test_scale(500); i > 0; i--) {
        fault_random(10, seed + (uint64_t)i);
        (void)scenario();
        met += fault_injected();
        fault_disarm();
    }
    CHECK(met > 0);
    oai_os_probe_reset();
    CHECK_EQ(scenario(), 0);
    // A mapping that leaked would be 64 MiB; the C library's own may move a little, a tool's more.
    if (test_under("native") || test_under("debug"))
        CHECK(labs(mapped() - before) < 4096);
    return 0;
}
