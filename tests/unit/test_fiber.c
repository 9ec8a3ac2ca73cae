// SPDX-License-Identifier: BSD-2-Clause
// test_fiber.c - the switch: what it keeps, across threads, ends and long jumps.
// ctest: timeout=60
#include <float.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/wait.h>
#include <unwind.h>

#include "check.h"
#include "fiber/fiber.h"

static oai_stack_pool_t pool;

static __attribute__((noinline)) uint64_t opaque(uint64_t x)
{
    __asm__ volatile("" : "+r"(x));
    return x;
}

// The switch itself is no synchronisation in TSan's eyes, so that races between tasks of one worker
// are found. Here everything is handed over at each switch.
#define HANDING_OVER(object, switching) \
    do {                                \
        oai_sync_release(object);       \
        switching;                      \
        oai_sync_acquire(object);       \
    } while (0)

// ---- two contexts on one thread ----

struct pair {
    oai_context_t outside, inside;
    uint64_t rounds, seen;
    bool aligned;
};

// Never the same memory twice: the last look at `outside` on the way out of a fiber is after its
// release, and TSan would remember it.
static struct pair *fresh_pair(void)
{
    static struct pair pairs[16];
    static size_t used;
    CHECK(used < sizeof pairs / sizeof pairs[0]);
    return &pairs[used++];
}

// Many values that live across the switch, in registers where the compiler can put them there.
static __attribute__((noinline)) void keep_values(struct pair *p, bool inside)
{
    uint64_t a = opaque(1), b = opaque(2), c = opaque(3), d = opaque(4), e = opaque(5);
    uint64_t f = opaque(6), g = opaque(7), h = opaque(8), i = opaque(9), j = opaque(10);
    double x = (double)opaque(11), y = (double)opaque(12), z = (double)opaque(13);
    long double w = (long double)opaque(14);
    float vector[16] __attribute__((aligned(64)));
    for (int k = 0; k < 16; k++)
        vector[k] = (float)opaque((uint64_t)k);
    for (uint64_t round = 0; round < p->rounds; round++) {
        p->seen++;
        if (inside)
            HANDING_OVER(p, oai_switch(&p->inside, &p->outside));
        else
            HANDING_OVER(p, oai_switch(&p->outside, &p->inside));
        a += 1, b += 2, c += 3, d += 4, e += 5, f += 6, g += 7, h += 8, i += 9, j += 10;
        x += 11, y += 12, z += 13, w += 14;
        for (int k = 0; k < 16; k++)
            vector[k] += (float)k;
    }
    uint64_t n = p->rounds + 1;
    CHECK(a == n && b == 2 * n && c == 3 * n && d == 4 * n && e == 5 * n);
    CHECK(f == 6 * n && g == 7 * n && h == 8 * n && i == 9 * n && j == 10 * n);
    CHECK(x == 11.0 * (double)n && y == 12.0 * (double)n && z == 13.0 * (double)n);
    CHECK(w == (long double)(14 * n));
    for (int k = 0; k < 16; k++)
        CHECK(vector[k] == (float)((uint64_t)k * n));
}

static void inside_pair(void *arg)
{
    oai_sync_acquire(arg);
    struct pair *p = arg;
    char here[16] __attribute__((aligned(16)));
    p->aligned = opaque((uint64_t)(uintptr_t)here) % 16 == 0;
    keep_values(p, true);
    oai_context_t *outside = &p->outside;
    oai_sync_release(p);
    oai_jump(outside);
}

static void test_values(void)
{
    struct pair *p = fresh_pair();
    p->rounds = 1000;
    oai_stack_cache_t cache;
    oai_stack_cache_init(&cache, &pool);
    oai_stack_t *stack = oai_stack_get(&cache, pool.default_class);
    CHECK(stack != NULL);
    oai_context_thread(&p->outside);
    oai_fiber_created(&p->inside);
    HANDING_OVER(p, oai_switch_enter(&p->outside, &p->inside, stack, inside_pair, p));
    keep_values(p, false);
    CHECK_EQ(p->seen, 2 * p->rounds);
    CHECK(p->aligned);
    oai_fiber_destroyed(&p->inside);
    oai_stack_put(&cache, stack);
    oai_stack_cache_close(&cache);
}

// ---- floating-point control ----

static oai_fpctl_t upward(void)
{
    oai_fpctl_t fp = OAI_FPCTL_STANDARD;
#if defined(__x86_64__)
    fp.mxcsr |= 0x4000;
    fp.x87 |= 0x0800;
#elif defined(__aarch64__)
    fp.fpcr |= 1 << 22;
#endif
    return fp;
}

static void test_fpctl(void)
{
    oai_fpctl_t now;
    CHECK(!oai_fpctl_changed(&now));
    volatile double one = 1, three = 3;
    volatile long double long_one = 1, long_seven = 7;
    double nearest = one / three; // and the sticky flag "inexact" is set now: no change of mode
    long double long_nearest = long_one / long_seven;
    CHECK(!oai_fpctl_changed(&now));
    oai_fpctl_t up = upward();
    oai_fpctl_set(&up);
    if (!test_under("valgrind")) { // which computes in one mode only
        CHECK(one / three > nearest);
        CHECK(long_one / long_seven > long_nearest || LDBL_MANT_DIG > 64); // quad: by software
    }
    CHECK(oai_fpctl_changed(&now));
    oai_fpctl_default();
    CHECK(one / three == nearest && long_one / long_seven == long_nearest);
    oai_fpctl_t again;
    oai_fpctl_set(&now);
    CHECK(oai_fpctl_changed(&again) && memcmp(&again, &now, sizeof now) == 0);
    oai_fpctl_default();
    CHECK(!oai_fpctl_changed(&now));
}

// ---- many fibers over several threads ----

enum { THREADS = 3 };

struct worker;

struct fiber {
    oai_context_t context;
    oai_stack_t *stack;
    struct worker *worker; // who runs it now
    struct fiber *next;
    uint64_t sum;
    int64_t left;
    int migrations;
    bool ended;
};

struct worker {
    oai_context_t context;
    oai_stack_cache_t cache;
    struct fiber *parked; // to be published from the next stack
    oai_stack_t *standing_on;
    uint64_t resumed;
};

static struct {
    pthread_mutex_t lock;
    struct fiber *first, **last;
    int64_t alive;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void queue_put(struct fiber *fiber)
{
    oai_sync_release(fiber);
    pthread_mutex_lock(&queue.lock);
    fiber->next = NULL;
    *queue.last = fiber;
    queue.last = &fiber->next;
    pthread_mutex_unlock(&queue.lock);
}

// NULL when all fibers have ended.
static struct fiber *queue_take(void)
{
    for (;;) {
        pthread_mutex_lock(&queue.lock);
        struct fiber *fiber = queue.first;
        int64_t alive = queue.alive;
        if (fiber != NULL) {
            queue.first = fiber->next;
            if (queue.first == NULL)
                queue.last = &queue.first;
        }
        pthread_mutex_unlock(&queue.lock);
        if (fiber != NULL)
            oai_sync_acquire(fiber);
        if (fiber != NULL || alive == 0)
            return fiber;
        oai_os.yield();
    }
}

static void one_ended(void)
{
    pthread_mutex_lock(&queue.lock);
    queue.alive--;
    pthread_mutex_unlock(&queue.lock);
}

static void queue_fill(struct fiber *fibers, int64_t n, int64_t rounds)
{
    queue.first = NULL;
    queue.last = &queue.first;
    queue.alive = n;
    for (int64_t i = 0; i < n; i++) {
        fibers[i] = (struct fiber){.left = rounds, .sum = (uint64_t)i};
        queue_put(&fibers[i]);
    }
}

static void check_all(const struct fiber *fibers, int64_t n, int64_t rounds)
{
    int migrations = 0;
    for (int64_t i = 0; i < n; i++) {
        CHECK(fibers[i].ended);
        CHECK_EQ(fibers[i].sum, (uint64_t)i + (uint64_t)rounds);
        migrations += fibers[i].migrations;
    }
    printf("%d migrations\n", migrations);
}

static void run_threads(void (*main)(void *), struct worker *workers)
{
    oai_os_thread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(oai_os.thread_start(&threads[i], main, &workers[i], 0, "fiber test"), 0);
    for (int i = 0; i < THREADS; i++)
        oai_os.thread_join(threads[i]);
}

// A stack each, and a loop that stays on the thread's own.
static void own_main(void *arg)
{
    oai_sync_acquire(arg);
    struct fiber *self = arg;
    while (self->left > 0) {
        uint64_t local = opaque(self->sum);
        struct worker *before = self->worker;
        self->left--;
        HANDING_OVER(self, oai_switch(&self->context, &before->context));
        self->migrations += self->worker != before;
        self->sum = local + 1;
    }
    self->ended = true;
    oai_context_t *loop = &self->worker->context;
    oai_sync_release(self);
    oai_jump(loop);
}

static void own_loop(void *arg)
{
    struct worker *worker = arg;
    oai_context_thread(&worker->context);
    oai_stack_cache_init(&worker->cache, &pool);
    for (struct fiber *fiber; (fiber = queue_take()) != NULL;) {
        fiber->worker = worker;
        if (fiber->stack == NULL) {
            fiber->stack = oai_stack_get(&worker->cache, pool.default_class);
            CHECK(fiber->stack != NULL);
            oai_fiber_created(&fiber->context);
            HANDING_OVER(fiber, oai_switch_enter(&worker->context, &fiber->context, fiber->stack,
                                                 own_main, fiber));
        } else {
            HANDING_OVER(fiber, oai_switch(&worker->context, &fiber->context));
        }
        if (!fiber->ended) {
            queue_put(fiber);
            continue;
        }
        CHECK(oai_stack_canary_ok(fiber->stack));
        oai_fiber_destroyed(&fiber->context);
        oai_stack_put(&worker->cache, fiber->stack);
        one_ended();
    }
    oai_stack_cache_close(&worker->cache);
}

static void test_own_stacks(void)
{
    int64_t n = 200, rounds = test_scale(500);
    struct fiber *fibers = calloc((size_t)n, sizeof *fibers);
    struct worker workers[THREADS] = {0};
    queue_fill(fibers, n, rounds);
    run_threads(own_loop, workers);
    check_all(fibers, n, rounds);
    free(fibers);
}

// ---- run to completion: a loop's stack goes with the fiber that waits on it ----

#if !OAI_TSAN
static _Thread_local struct worker *current;

static __attribute__((noinline)) struct worker *here(void)
{
    __asm__ volatile("" ::: "memory");
    return current;
}

static void abandoning_loop(void *arg);

// Parks: the stack is the fiber's now, the worker goes on on another.
static __attribute__((noinline)) void park(struct fiber *self)
{
    struct worker *worker = here();
    self->stack = worker->standing_on;
    worker->parked = self;
    worker->standing_on = oai_stack_get(&worker->cache, pool.default_class);
    CHECK(worker->standing_on != NULL);
    oai_switch_enter(&self->context, NULL, worker->standing_on, abandoning_loop, worker);
    here()->standing_on = self->stack;
    self->migrations += here() != worker;
}

static void run_fiber(struct fiber *self)
{
    char frame[256];
    memset(frame, (int)self->sum & 0x7f, sizeof frame);
    char *seen = (char *)(uintptr_t)opaque((uint64_t)(uintptr_t)frame);
    while (self->left > 0) {
        self->left--;
        uint64_t local = opaque(self->sum);
        char mark = seen[17];
        park(self);
        self->sum = local + 1;
        CHECK(seen[17] == mark && seen[200] == mark);
    }
    self->ended = true;
    one_ended();
}

static void abandoning_loop(void *arg)
{
    struct worker *worker = arg;
    for (;;) {
        if (worker->parked != NULL)
            queue_put(worker->parked);
        worker->parked = NULL;
        struct fiber *fiber = queue_take();
        if (fiber == NULL)
            break;
        worker->resumed++;
        if (fiber->stack != NULL) {
            oai_stack_put(&worker->cache, worker->standing_on);
            oai_jump(&fiber->context);
        }
        run_fiber(fiber);
        worker = here(); // the fiber may have come back on another thread
    }
    oai_stack_put(&worker->cache, worker->standing_on);
    oai_jump(&worker->context);
}

static void abandoning_main(void *arg)
{
    struct worker *worker = arg;
    current = worker;
    oai_context_thread(&worker->context);
    oai_stack_cache_init(&worker->cache, &pool);
    worker->standing_on = oai_stack_get(&worker->cache, pool.default_class);
    CHECK(worker->standing_on != NULL);
    oai_switch_enter(&worker->context, NULL, worker->standing_on, abandoning_loop, worker);
    CHECK(here() == worker);
    oai_stack_cache_close(&worker->cache);
}

static void test_abandoned_loops(void)
{
    int64_t n = 300, rounds = test_scale(500);
    struct fiber *fibers = calloc((size_t)n, sizeof *fibers);
    struct worker workers[THREADS] = {0};
    queue_fill(fibers, n, rounds);
    run_threads(abandoning_main, workers);
    check_all(fibers, n, rounds);
    free(fibers);
    oai_stack_stats_t stats;
    oai_stack_pool_stats(&pool, &stats);
    CHECK_EQ(stats.in_use, 0);
}
#endif

// ---- what runs on a fiber besides ----

static __attribute__((noinline)) void jump_back(jmp_buf env, int depth)
{
    char big[2048];
    memset(big, depth, sizeof big);
    __asm__ volatile("" ::"r"(big) : "memory");
    if (depth == 0)
        longjmp(env, 7);
    if (depth > 0)
        jump_back(env, depth - 1);
    __asm__ volatile("" ::"r"(big) : "memory");
}

// ASan must know this stack, or it reports the frames that longjmp skips when they are used again.
static void with_longjmp(void *arg)
{
    oai_sync_acquire(arg);
    struct pair *p = arg;
    for (volatile int i = 0; i < 20; i++) {
        jmp_buf env;
        if (setjmp(env) == 0)
            jump_back(env, 20);
        else
            p->seen++;
    }
    oai_context_t *outside = &p->outside;
    oai_sync_release(p);
    oai_jump(outside);
}

static _Unwind_Reason_Code count_frame(struct _Unwind_Context *context, void *arg)
{
    (void)context;
    ++*(uint64_t *)arg;
    return _URC_NO_REASON;
}

static __attribute__((noinline)) void unwind_deep(struct pair *p, int depth)
{
    if (depth > 0) {
        unwind_deep(p, depth - 1);
        __asm__ volatile("" ::: "memory");
        return;
    }
    p->rounds = (uint64_t)_Unwind_Backtrace(count_frame, &p->seen);
}

static void with_unwind(void *arg)
{
    oai_sync_acquire(arg);
    struct pair *p = arg;
    unwind_deep(p, 5);
    oai_context_t *outside = &p->outside;
    oai_sync_release(p);
    oai_jump(outside);
}

// Runs fn on a fiber of its own, again and again on the same stack.
static void run_once(struct pair *p, oai_entry_fn *fn)
{
    oai_stack_cache_t cache;
    oai_stack_cache_init(&cache, &pool);
    oai_stack_t *stack = oai_stack_get(&cache, pool.default_class);
    CHECK(stack != NULL);
    oai_context_thread(&p->outside);
    oai_fiber_created(&p->inside);
    oai_sync_release(p);
    oai_switch_enter(&p->outside, &p->inside, stack, fn, p);
    oai_sync_acquire(p);
    oai_fiber_destroyed(&p->inside);
    oai_stack_put(&cache, stack);
    oai_stack_cache_close(&cache);
}

static void test_longjmp(void)
{
    for (int i = 0; i < 3; i++) {
        struct pair *p = fresh_pair();
        run_once(p, with_longjmp);
        CHECK_EQ(p->seen, 20);
    }
}

static void test_unwind_ends(void)
{
    struct pair *p = fresh_pair();
    run_once(p, with_unwind);
    CHECK_EQ(p->rounds, _URC_END_OF_STACK);
    CHECK(p->seen >= 7 && p->seen <= 16);
}

#if OAI_TSAN
// Two fibers on one thread, and nothing but their order of running between two plain writes.
static uint64_t racy;

static void with_race(void *arg)
{
    struct pair *p = arg;
    racy++;
    oai_jump(&p->outside);
}

// A switch that synchronised would hide this race.
static void test_race_is_found(void)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        CHECK(freopen("/dev/null", "w", stderr) != NULL);
        run_once(fresh_pair(), with_race);
        run_once(fresh_pair(), with_race);
        exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 66);
}
#endif

// ---- a chain of stacks, each left for good ----

struct chain {
    oai_context_t outside, link;
    oai_stack_cache_t cache;
    oai_stack_t *on;
    int64_t left;
};

static void chain_link(void *arg)
{
    struct chain *chain = arg;
    if (--chain->left == 0)
        oai_jump(&chain->outside);
    oai_stack_t *next = oai_stack_get(&chain->cache, pool.default_class);
    oai_stack_put(&chain->cache, chain->on);
    chain->on = next;
    oai_enter(&chain->link, next, chain_link, chain);
}

static void test_chain(void)
{
#if OAI_TSAN
    return; // one TSan fiber would be entered over and over
#endif
    struct chain chain = {.left = test_scale(100000)};
    oai_stack_cache_init(&chain.cache, &pool);
    oai_context_thread(&chain.outside);
    chain.on = oai_stack_get(&chain.cache, pool.default_class);
    oai_switch_enter(&chain.outside, &chain.link, chain.on, chain_link, &chain);
    CHECK_EQ(chain.left, 0);
    oai_stack_put(&chain.cache, chain.on);
    CHECK(atomic_load_explicit(&chain.cache.count, memory_order_relaxed) <= 4);
    oai_stack_cache_close(&chain.cache);
}

int main(void)
{
    CHECK_EQ(oai_stack_pool_init(&pool, 0), 0);
    test_values();
    test_fpctl();
    test_longjmp();
    test_unwind_ends();
    test_chain();
    test_own_stacks();
#if OAI_TSAN
    test_race_is_found();
#else
    test_abandoned_loops();
#endif
    oai_stack_pool_destroy(&pool);
    return 0;
}
