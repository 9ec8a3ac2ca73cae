// SPDX-License-Identifier: BSD-2-Clause
// test_stack.c - stacks: classes, caches, guards of each kind, what they cost and what comes back.
// ctest: serial timeout=120
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "check.h"
#include "fiber/fiber.h"
#include "os/os.h"

enum { DEFAULT = 0 };

static void test_classes(void)
{
    CHECK(!oai_stack_size_ok(0));
    CHECK(!oai_stack_size_ok(SIZE_MAX));
    CHECK(!oai_stack_size_ok((size_t)1 << 30));
    CHECK(!oai_stack_size_ok(1) && oai_stack_size_ok(4096) && oai_stack_size_ok((size_t)1 << 29));
    CHECK_EQ(oai_stack_class_size(oai_stack_class(4096)), 64 << 10);
    CHECK_EQ(oai_stack_class_size(oai_stack_class(44 << 10)), 64 << 10);
    CHECK_EQ(oai_stack_class_size(oai_stack_class((44 << 10) + 1)), 256 << 10);
    CHECK_EQ(oai_stack_class(188 << 10), OAI_STACK_DEFAULT_CLASS);
    CHECK_EQ(oai_stack_class_size(oai_stack_class((188 << 10) + 1)), 512 << 10);
    for (unsigned cls = 0; cls + 1 < OAI_STACK_CLASSES; cls++)
        CHECK_EQ(oai_stack_class(oai_stack_class_size(cls)), cls + 1);
    oai_stack_pool_t pool;
    CHECK_EQ(oai_stack_pool_init(&pool, SIZE_MAX), -EINVAL);
}

// A stack of each class can be used from its low end to its top, and no further.
static void test_each_class(void)
{
    oai_stack_pool_t pool;
    oai_stack_cache_t cache;
    CHECK_EQ(oai_stack_pool_init(&pool, DEFAULT), 0);
    oai_stack_cache_init(&cache, &pool);
    oai_stack_t *all[OAI_STACK_CLASSES];
    for (unsigned cls = 0; cls < OAI_STACK_CLASSES; cls++) {
        oai_stack_t *stack = all[cls] = oai_stack_get(&cache, cls);
        CHECK(stack != NULL);
        CHECK_EQ((uintptr_t)stack->top % 16, 0);
        CHECK(stack->cls == cls);
        size_t usable = (size_t)(stack->top - stack->low);
        size_t guard = oai_stack_class_guard(cls);
        CHECK(usable + guard <= oai_stack_class_size(cls));
        CHECK(usable + guard + 4096 > oai_stack_class_size(cls));
        *(volatile char *)stack->low = 1;
        *(volatile char *)(stack->top - 1) = 1;
        CHECK(oai_stack_canary_ok(stack));
        char *low = NULL, *top = NULL;
        CHECK(oai_stack_pool_find(&pool, stack->low - 1, &low, &top));
        CHECK(low == stack->low && top >= stack->top);
        CHECK(oai_stack_pool_find(&pool, stack->top, &low, &top) && low == stack->low);
    }
    char *low, *top;
    CHECK(!oai_stack_pool_find(&pool, &pool, &low, &top));
    oai_stack_stats_t stats;
    oai_stack_pool_stats(&pool, &stats);
    CHECK_EQ(stats.in_use, OAI_STACK_CLASSES);
    for (unsigned cls = 0; cls < OAI_STACK_CLASSES; cls++)
        oai_stack_put(&cache, all[cls]);
    for (unsigned cls = 0; cls < OAI_STACK_CLASSES; cls++)
        CHECK(oai_stack_get(&cache, cls) == all[cls]); // last in, first out
    for (unsigned cls = 0; cls < OAI_STACK_CLASSES; cls++)
        oai_stack_put(&cache, all[cls]);
    oai_stack_cache_close(&cache);
    while (oai_stack_pool_trim(&pool, 0))
        continue;
    oai_stack_pool_stats(&pool, &stats);
    CHECK_EQ(stats.in_use, 0);
    CHECK_EQ(stats.chunks, 0);
    CHECK(stats.peak >= OAI_STACK_CLASSES);
    oai_stack_pool_destroy(&pool);
}

// The stack a worker still stands on is not given away by its own put, however full the cache is.
static void test_hot_end(void)
{
    enum { MANY = 5 * OAI_STACK_HOT };
    static oai_stack_t *stacks[MANY];
    oai_stack_pool_t pool;
    oai_stack_cache_t cache;
    CHECK_EQ(oai_stack_pool_init(&pool, DEFAULT), 0);
    oai_stack_cache_init(&cache, &pool);
    CHECK(!oai_stack_ready(&cache));
    for (unsigned cls = 0; cls < 6; cls++) {
        for (int i = 0; i < MANY; i++)
            CHECK((stacks[i] = oai_stack_get(&cache, cls)) != NULL);
        for (int i = 0; i < MANY; i++) {
            oai_stack_put(&cache, stacks[i]);
            CHECK(oai_stack_get(&cache, cls) == stacks[i]);
            oai_stack_put(&cache, stacks[i]);
        }
    }
    CHECK(oai_stack_ready(&cache));
    oai_stack_cache_flush(&cache);
    CHECK(!oai_stack_ready(&cache));
    oai_stack_cache_close(&cache);
    oai_stack_pool_destroy(&pool);
}

// ---- memory ----

// A line of /proc/self/status, in KiB.
static long status(const char *key)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long value = 0;
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0)
            value = atol(line + strlen(key));
    }
    if (f != NULL)
        fclose(f);
    return value;
}

static long memory(void)
{
    return status("VmRSS:") + status("VmPTE:");
}

static int64_t cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

// Takes n stacks, touches a page of each, gives them back and trims.
static void peak(oai_stack_pool_t *pool, oai_stack_cache_t *cache, oai_stack_t **stacks, int64_t n,
                 bool exact)
{
    long before = memory();
    int64_t start = cpu_ns();
    for (int64_t i = 0; i < n; i++) {
        CHECK((stacks[i] = oai_stack_get(cache, OAI_STACK_DEFAULT_CLASS)) != NULL);
        *(volatile char *)(stacks[i]->top - 1) = 1;
    }
    int64_t taken = cpu_ns();
    long full = memory();
    oai_stack_stats_t stats;
    oai_stack_pool_stats(pool, &stats);
    CHECK_EQ(stats.in_use, n);
    for (int64_t i = 0; i < n; i++)
        oai_stack_put(cache, stacks[i]);
    int64_t given = cpu_ns();
    while (oai_stack_pool_trim(pool, OAI_STACK_HOT))
        continue;
    int64_t trimmed = cpu_ns();
    long after = memory();
    double per = (double)n;
    printf("%lld stacks: %.0f bytes each; %.0f ns to take, %.0f to give, %.0f to trim; "
           "%ld KiB before, %ld after\n",
           (long long)n, (double)(full - before) * 1024 / per, (double)(taken - start) / per,
           (double)(given - taken) / per, (double)(trimmed - given) / per, before, after);
    oai_stack_pool_stats(pool, &stats);
    CHECK_EQ(stats.in_use, 0);
    if (!exact)
        return; // shadow memory counts too
    CHECK((full - before) * 1024 <= 4700 * n);
    CHECK(after - before <= 30 << 10);
}

static void test_peak(int64_t n)
{
    oai_stack_pool_t pool;
    oai_stack_cache_t cache;
    oai_stack_t **stacks = calloc((size_t)n, sizeof *stacks);
    CHECK(stacks != NULL);
    memset(stacks, 1, (size_t)n * sizeof *stacks);
    CHECK_EQ(oai_stack_pool_init(&pool, DEFAULT), 0);
    oai_stack_cache_init(&cache, &pool);
    bool exact = (test_under("native") || test_under("debug")) && n >= 10000;
    for (int round = 0; round < 2; round++)
        peak(&pool, &cache, stacks, n, exact);
    oai_stack_cache_close(&cache);
    oai_stack_pool_destroy(&pool);
    free(stacks);
}

// What is trimmed while other stacks of the same chunk live: the pages of the free ones alone.
static void test_trim_leaves_others(void)
{
    enum { MANY = 1000 };
    static oai_stack_t *stacks[MANY];
    oai_stack_pool_t pool;
    oai_stack_cache_t cache;
    CHECK_EQ(oai_stack_pool_init(&pool, DEFAULT), 0);
    oai_stack_cache_init(&cache, &pool);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++) {
            CHECK((stacks[i] = oai_stack_get(&cache, OAI_STACK_DEFAULT_CLASS)) != NULL);
            memset(stacks[i]->top - 64, i & 0xff, 64);
        }
        for (int i = 0; i < MANY; i++) {
            if (i % 3 != 0)
                oai_stack_put(&cache, stacks[i]);
        }
        oai_stack_cache_flush(&cache);
        while (oai_stack_pool_trim(&pool, 10))
            continue;
        for (int i = 0; i < MANY; i += 3) {
            CHECK_EQ((unsigned char)stacks[i]->top[-1], i & 0xff);
            CHECK(oai_stack_canary_ok(stacks[i]));
            oai_stack_put(&cache, stacks[i]);
        }
    }
    oai_stack_cache_flush(&cache);
    CHECK(oai_stack_pool_trim(&pool, 10) || true);
    while (oai_stack_pool_trim(&pool, 0))
        continue;
    CHECK(!oai_stack_pool_trim(&pool, 0));
    oai_stack_stats_t stats;
    oai_stack_pool_stats(&pool, &stats);
    CHECK(stats.chunks <= 1);
    oai_stack_cache_close(&cache);
    oai_stack_pool_destroy(&pool);
}

// ---- several workers ----

enum { WORKERS = 4, HELD = 300 };

// One chunk wholly free and warm, another in use with free slots that were never touched: the warm
// ones are taken, or a steady number of stacks would come to hold ever more pages.
static void test_warm_first(void)
{
    enum { FIRST_CHUNK = (64 << 20) / (256 << 10), MORE = 70, AGAIN = 100 };
    oai_stack_pool_t pool;
    oai_stack_cache_t cache;
    oai_stack_t *stacks[FIRST_CHUNK + MORE];
    CHECK_EQ(oai_stack_pool_init(&pool, DEFAULT), 0);
    oai_stack_cache_init(&cache, &pool);
    for (int i = 0; i < FIRST_CHUNK + MORE; i++)
        CHECK((stacks[i] = oai_stack_get(&cache, OAI_STACK_DEFAULT_CLASS)) != NULL);
    CHECK_EQ(pool.chunks, 2);
    for (int i = 0; i < FIRST_CHUNK; i++)
        oai_stack_put(&cache, stacks[i]);
    oai_stack_cache_flush(&cache);
    size_t warm = pool.dirty;
    CHECK(warm >= FIRST_CHUNK);
    for (int i = 0; i < AGAIN; i++)
        CHECK((stacks[i] = oai_stack_get(&cache, OAI_STACK_DEFAULT_CLASS)) != NULL);
    CHECK_EQ(pool.dirty, warm - AGAIN - cache.count);
    for (int i = 0; i < FIRST_CHUNK + MORE; i++)
        if (i < AGAIN || i >= FIRST_CHUNK)
            oai_stack_put(&cache, stacks[i]);
    oai_stack_cache_close(&cache);
    oai_stack_pool_destroy(&pool);
}

static oai_stack_pool_t shared;

// Every stack is stamped by its holder: one that is given to two is found.
static void hold_and_give(void *arg)
{
    uint64_t id = (uint64_t)(uintptr_t)arg + 1;
    uint64_t random = id * 0x9e3779b97f4a7c15u;
    oai_stack_t *held[HELD];
    int n = 0;
    oai_stack_cache_t cache;
    oai_stack_cache_init(&cache, &shared);
    for (int64_t i = test_scale(100000); i > 0; i--) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        unsigned what = (unsigned)(random >> 40);
        bool growing = (i / 2000) % 2 == 0;
        if (n < HELD && (n == 0 || what % 8 < (growing ? 5u : 3u))) {
            held[n] = oai_stack_get(&cache, what % 64 == 0 ? 0 : OAI_STACK_DEFAULT_CLASS);
            CHECK(held[n] != NULL);
            *(uint64_t *)(void *)(held[n]->top - 16) = id << 32 | (uint64_t)n;
            n++;
        } else {
            n--;
            CHECK_EQ(*(uint64_t *)(void *)(held[n]->top - 16), (id << 32 | (uint64_t)n));
            oai_stack_put(&cache, held[n]);
        }
        if (what % 512 == 0)
            oai_stack_pool_trim(&shared, what % 100);
        if (what % 4096 == 1)
            oai_stack_cache_flush(&cache);
    }
    while (n > 0)
        oai_stack_put(&cache, held[--n]);
    oai_stack_cache_close(&cache);
}

static void test_workers(void)
{
    CHECK_EQ(oai_stack_pool_init(&shared, DEFAULT), 0);
    oai_os_thread_t threads[WORKERS];
    for (uintptr_t i = 0; i < WORKERS; i++)
        CHECK_EQ(oai_os.thread_start(&threads[i], hold_and_give, (void *)i, 0, "stacks"), 0);
    for (int i = 0; i < WORKERS; i++)
        oai_os.thread_join(threads[i]);
    oai_stack_stats_t stats;
    oai_stack_pool_stats(&shared, &stats);
    CHECK_EQ(stats.in_use, 0);
    CHECK(stats.peak <= WORKERS * (HELD + 2 * OAI_STACK_HOT));
    while (oai_stack_pool_trim(&shared, 0))
        continue;
    oai_stack_pool_destroy(&shared);
}

// ---- guards ----

static int guard_refused(const oai_span_t *spans, size_t n)
{
    (void)spans, (void)n;
    return -EOPNOTSUPP;
}

static int protect_refused(void *base, size_t size)
{
    (void)base, (void)size;
    return -ENOMEM;
}

static struct oai_os usual;

static void with_guard(oai_guard_t kind)
{
    usual = oai_os;
    if (kind != OAI_GUARD_INSTALL)
        oai_os.guard = guard_refused;
    if (kind == OAI_GUARD_CANARY)
        oai_os.protect = protect_refused;
    oai_os_probe_reset();
}

static void with_usual_guard(void)
{
    oai_os = usual;
    oai_os_probe_reset();
}

static __attribute__((noinline)) int recurse(volatile int *depth)
{
    volatile char frame[1024];
    frame[0] = (char)++*depth;
    if (*depth > 0)
        frame[1] = (char)recurse(depth);
    return frame[0] + frame[1];
}

static void overflow(void *arg)
{
    volatile int depth = 0;
    (void)arg;
    recurse(&depth);
    _exit(3);
}

// A child overflows its stack of the class and must die by SIGSEGV.
static void overflow_kills(unsigned cls)
{
    if (test_under("valgrind"))
        return; // it works, at the price of a page of output for each
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL); // sanitizers have a handler
        alarm(20);
        oai_stack_pool_t pool;
        oai_stack_cache_t cache;
        static oai_context_t thread, fiber;
        CHECK_EQ(oai_stack_pool_init(&pool, DEFAULT), 0);
        oai_stack_cache_init(&cache, &pool);
        oai_stack_t *spare = oai_stack_get(&cache, cls); // the neighbour below
        oai_stack_t *stack = oai_stack_get(&cache, cls);
        CHECK(spare != NULL && stack != NULL);
        oai_context_thread(&thread);
        oai_fiber_created(&fiber);
        oai_switch_enter(&thread, &fiber, stack, overflow, NULL);
        _exit(4);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void test_guard_kind(oai_guard_t kind)
{
    with_guard(kind);
    oai_stack_pool_t pool;
    oai_stack_cache_t cache;
    CHECK_EQ(oai_stack_pool_init(&pool, DEFAULT), 0);
    oai_stack_cache_init(&cache, &pool);
    oai_stack_t *stack = oai_stack_get(&cache, OAI_STACK_DEFAULT_CLASS);
    CHECK(stack != NULL);
    bool works = stack->guard == kind || kind != OAI_GUARD_INSTALL;
    CHECK(stack->guard == kind || !works);
    oai_stack_stats_t stats;
    oai_stack_pool_stats(&pool, &stats);
    CHECK(!works || stats.guard == kind);
    CHECK_EQ(stats.canary_used, kind == OAI_GUARD_CANARY);
    CHECK(oai_stack_canary_ok(stack));
    if (kind == OAI_GUARD_CANARY) {
        stack->low[-100] = 1;
        CHECK(!oai_stack_canary_ok(stack));
        stack->low[-100] = 0;
        CHECK(oai_stack_canary_ok(stack));
    } else if (works) {
        overflow_kills(0);
        overflow_kills(OAI_STACK_DEFAULT_CLASS);
        overflow_kills(OAI_STACK_DEFAULT_CLASS + 2);
    }
    oai_stack_put(&cache, stack);
    oai_stack_cache_close(&cache);
    oai_stack_pool_destroy(&pool);
    with_usual_guard();
}

// Without guard markers: the first stacks get mprotect's, the rest canaries, and none is refused.
static void test_fallback(int64_t n)
{
    oai_stack_t **stacks = calloc((size_t)n, sizeof *stacks);
    CHECK(stacks != NULL);
    with_guard(OAI_GUARD_PROTECT);
    oai_stack_pool_t pool;
    oai_stack_cache_t cache;
    CHECK_EQ(oai_stack_pool_init(&pool, DEFAULT), 0);
    oai_stack_cache_init(&cache, &pool);
    for (int64_t i = 0; i < n; i++) {
        CHECK((stacks[i] = oai_stack_get(&cache, OAI_STACK_DEFAULT_CLASS)) != NULL);
        CHECK(oai_stack_canary_ok(stacks[i]));
    }
    oai_stack_stats_t stats;
    oai_stack_pool_stats(&pool, &stats);
    CHECK(stats.protects <= (size_t)oai_os_max_map_count() / 4);
    CHECK_EQ(stats.canary_used, stats.protects < (size_t)n);
    for (int64_t i = 0; i < n; i++) {
        CHECK(oai_stack_canary_ok(stacks[i]));
        oai_stack_put(&cache, stacks[i]);
    }
    oai_stack_cache_close(&cache);
    while (oai_stack_pool_trim(&pool, 0))
        continue;
    oai_stack_pool_stats(&pool, &stats);
    CHECK_EQ(stats.protects, 0);
    CHECK_EQ(stats.chunks, 0);
    oai_stack_pool_destroy(&pool);
    with_usual_guard();
    free(stacks);
}

// An argument: how many stacks the peak takes, instead of what fits a usual test.
int main(int argc, char **argv)
{
    test_classes();
    test_each_class();
    test_hot_end();
    test_peak(argc > 1 ? atoll(argv[1]) : test_scale(100000));
    test_trim_leaves_others();
    test_warm_first();
    test_workers();
    test_guard_kind(OAI_GUARD_INSTALL);
    test_guard_kind(OAI_GUARD_PROTECT);
    test_guard_kind(OAI_GUARD_CANARY);
    test_fallback(test_scale(40000));
    return 0;
}
