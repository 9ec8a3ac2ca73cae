// SPDX-License-Identifier: BSD-2-Clause
// stack.c - every system call of the stacks fails once, then at random: an error or a weaker guard,
// never a crash, and nothing is leaked.
// ctest: timeout=60
#include "fiber/stack.h"
#include "check.h"
#include "fault.h"
#include "os/os.h"

// Address space that this program has mapped, in bytes, but for the main stack and how far the C
// library has moved the break. As the program sees it: /proc/self/statm would be an emulator's own,
// whose tables grow by a GiB here.
static unsigned long long mapped(void)
{
    unsigned long long sum = 0, from, to;
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "re");
    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) {
        CHECK_EQ(sscanf(line, "%llx-%llx", &from, &to), 2);
        if (strstr(line, "[stack]") == NULL)
            sum += to - from;
    }
    fclose(maps);
    return sum - (uintptr_t)sbrk(0);
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
    CHECK_EQ(fault_mapped(), 0);
    return refused;
}

int main(void)
{
    fault_install();
    CHECK_EQ(scenario(), 0);
    CHECK_EQ(scenario(), 0);
    unsigned long long before = mapped();

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
    // The table's count does not see what is mapped without it, nor a wrong address; sanitizers and
    // Valgrind map for themselves.
    if (test_under("native") || test_under("debug") || test_under("qemu"))
        CHECK_EQ(mapped(), before);
    return 0;
}
