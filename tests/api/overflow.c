// SPDX-License-Identifier: BSD-2-Clause
// overflow.c - a task that runs over its stack is named, and the process dies of SIGSEGV; what else
// gets that signal goes where it went before.
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include "child.h"
#include "support.h"

// ---- Ways to run over a stack -------------------------------------------------------------------

static volatile int depth_limit = INT32_MAX;

static __attribute__((noinline)) int deeper(volatile char *above, int depth)
{
    volatile char frame[400];
    frame[0] = above[0];
    return depth == depth_limit ? 0 : deeper(frame, depth + 1) + frame[0];
}

static void recurse(void *arg)
{
    char first = 0;
    (void)arg;
    deeper(&first, 0);
}

static void recurse_later(void *arg)
{
    CHECK_EQ(oa_sleep(OA_MICROSECOND), 0);
    recurse(arg);
}

// More than the guard: compiled with -fstack-clash-protection, by which each page of a frame is
// touched in turn.
static __attribute__((noinline)) void large_frame(int depth)
{
    volatile char frame[80 << 10];
    frame[0] = 1;
    if (depth < 1 << 20)
        large_frame(depth + 1);
    frame[sizeof frame - 1] = frame[0];
}

static void large_frames(void *arg)
{
    (void)arg;
    large_frame(0);
}

static void ignore(int signal)
{
    (void)signal;
}

// The kernel finds no room for the frame of another signal.
static __attribute__((noinline)) int signalled(volatile char *above, int depth)
{
    volatile char frame[700];
    frame[0] = above[0];
    raise(SIGUSR1);
    return depth == depth_limit ? 0 : signalled(frame, depth + 1) + frame[0];
}

static void signals(void *arg)
{
    char first = 0;
    (void)arg;
    signal(SIGUSR1, ignore);
    signalled(&first, 0);
}

// ---- It is told ---------------------------------------------------------------------------------

typedef struct overflow {
    oa_fn *fn;
    bool start;  // oa_start, so that another thread than this one is the worker
    bool block;  // on a thread of the pool
    bool pinned; // on a thread of its own
    const char *name;
    size_t stack;
    const char *size; // what is told of it
} overflow_t;

static void spawn_one(void *arg)
{
    const overflow_t *test = arg;
    int err = oa_go(test->fn, NULL, .name = test->name, .stack = test->stack, .block = test->block,
                    .pinned = test->pinned);
    CHECK_EQ(err, 0);
}

static void run_one(void *arg)
{
    const overflow_t *test = arg;
    if (!test->start)
        oa_run(spawn_one, arg, .max_workers = 1);
    else if (oa_start(&coord, spawn_one, arg, .max_workers = 1) == 0)
        oa_wait(coord);
}

static void is_told(const overflow_t *test)
{
    char text[8192];
    int status = test_child(run_one, (void *)test, text, sizeof text);
    printf("%s", text);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    const char *found = strstr(text, "oasync: fatal: stack overflow in task 2 (");
    CHECK(found != NULL);
    CHECK(!test->name || strstr(found, test->name) != NULL);
    CHECK(strstr(found, "overflow.c:") != NULL);
    CHECK(strstr(found, test->size) != NULL);
    CHECK(strstr(found + 1, "oasync: fatal") == NULL); // once
}

static void all_are_told(void)
{
    static const overflow_t tests[] = {
        {.fn = recurse, .size = "has 188 KiB"},
        {.fn = recurse, .start = true, .name = "parser", .size = "has 188 KiB"},
        {.fn = recurse_later, .size = "has 188 KiB"},
        {.fn = recurse_later, .start = true, .size = "has 188 KiB"},
        {.fn = recurse, .stack = 20000, .name = "small", .size = "has 44 KiB"},
        {.fn = recurse, .stack = 1 << 20, .size = "has 1980 KiB"},
        {.fn = large_frames, .size = "has 188 KiB"},
        {.fn = signals, .start = true, .size = "has 188 KiB"},
        // As large as system and tools make them.
        {.fn = recurse, .block = true, .name = "blocks", .size = "KiB"},
        {.fn = recurse, .pinned = true, .stack = 1 << 20, .size = "KiB"},
        {.fn = signals, .pinned = true, .stack = 1 << 20, .size = "KiB"},
    };
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
        if (tests[i].fn != signals || !test_under("valgrind")) // which is the kernel there
            is_told(&tests[i]);
}

// ---- What is not ours ---------------------------------------------------------------------------

static char *forbidden;
static sigjmp_buf back;
static atomic_int handled;
static void *volatile address;

static void touch(void *arg)
{
    (void)arg;
    *(volatile char *)forbidden = 1;
}

static void told_all(int signal, siginfo_t *info, void *context)
{
    stack_t now;
    CHECK_EQ(signal, SIGSEGV);
    CHECK(context != NULL);
    CHECK_EQ(sigaltstack(NULL, &now), 0);
    CHECK(now.ss_flags & SS_ONSTACK);
    address = info->si_addr;
    atomic_fetch_add(&handled, 1);
    siglongjmp(back, 1);
}

static void told_little(int signal)
{
    CHECK_EQ(signal, SIGSEGV);
    atomic_fetch_add(&handled, 1);
    siglongjmp(back, 1);
}

static void touch_and_live(void *arg)
{
    if (sigsetjmp(back, 1) == 0)
        touch(arg);
    oa_yield();
}

static void send_it(void *arg)
{
    (void)arg;
    if (sigsetjmp(back, 1) == 0)
        raise(SIGSEGV);
}

static void with_action(struct sigaction action, oa_fn *fn, int calls)
{
    struct sigaction now;
    stack_t first, last;
    atomic_store(&handled, 0);
    sigemptyset(&action.sa_mask);
    CHECK_EQ(sigaction(SIGSEGV, &action, NULL), 0);
    CHECK_EQ(sigaltstack(NULL, &first), 0);
    CHECK_EQ(oa_run(fn, NULL, .max_workers = 1), 0);
    CHECK_EQ(sigaltstack(NULL, &last), 0);
    CHECK_EQ(first.ss_flags, last.ss_flags);
    CHECK_EQ(atomic_load(&handled), calls);
    CHECK_EQ(sigaction(SIGSEGV, NULL, &now), 0);
    CHECK(now.sa_handler == action.sa_handler); // as before
    CHECK_EQ(now.sa_flags & (SA_SIGINFO | SA_ONSTACK), action.sa_flags & (SA_SIGINFO | SA_ONSTACK));
}

// Leaves its handler with the mask that this has.
static void touch_and_look(void *arg)
{
    sigset_t now;
    if (sigsetjmp(back, 0) == 0)
        touch(arg);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &now), 0);
    CHECK(!sigismember(&now, SIGPIPE) && !sigismember(&now, SIGSEGV));
}

static void go_on(void *arg)
{
    (void)arg;
    struct sigaction all = {.sa_flags = SA_SIGINFO}, little = {.sa_handler = told_little};
    struct sigaction none = {.sa_handler = SIG_IGN}, still_none = {.sa_flags = SA_SIGINFO};
    struct sigaction open = {.sa_handler = told_little, .sa_flags = SA_NODEFER};
    still_none.sa_handler = SIG_IGN;
    all.sa_sigaction = told_all;
    with_action(all, touch_and_live, 1);
    CHECK(address == forbidden);
    with_action(all, send_it, 1);
    with_action(little, touch_and_live, 1);
    with_action(little, send_it, 1);
    with_action(none, send_it, 0);
    with_action(still_none, send_it, 0);
    with_action(open, touch_and_look, 1);
}

// ---- Actions that come and go -------------------------------------------------------------------

static struct sigaction seen;

static void look(void *arg)
{
    (void)arg;
    CHECK_EQ(sigaction(SIGSEGV, NULL, &seen), 0);
}

// Ours, put back by somebody who had saved it, is not what was there before.
static void put_back(void *arg)
{
    struct sigaction all = {.sa_flags = SA_SIGINFO};
    all.sa_sigaction = told_all;
    CHECK_EQ(sigaction(SIGSEGV, &all, NULL), 0);
    CHECK_EQ(oa_run(look, NULL, .max_workers = 1), 0);
    CHECK_EQ(sigaction(SIGSEGV, &seen, NULL), 0);
    CHECK_EQ(oa_run(touch_and_live, arg, .max_workers = 1), 0);
    CHECK_EQ(atomic_load(&handled), 1);
}

static void put_over(void *arg)
{
    struct sigaction little = {.sa_handler = told_little};
    (void)arg;
    CHECK_EQ(sigaction(SIGSEGV, &little, NULL), 0);
}

// What was put over ours stays, and ours comes back when that has gone.
static void put_over_and_gone(void *arg)
{
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    CHECK_EQ(oa_run(put_over, arg, .max_workers = 1), 0);
    look(arg);
    CHECK(seen.sa_handler == told_little);
    CHECK_EQ(sigaction(SIGSEGV, &by_default, NULL), 0);
    CHECK_EQ(oa_run(recurse, arg, .max_workers = 1), 0);
}

static void by_default(void *arg)
{
    (void)arg;
    look(NULL);
    seen.sa_handler = SIG_DFL; // and the flags of ours
    CHECK_EQ(sigaction(SIGSEGV, &seen, NULL), 0);
}

// The action by default is no handler, whatever its flags.
static void put_by_default(void *arg)
{
    CHECK_EQ(oa_run(by_default, arg, .max_workers = 1), 0);
    CHECK_EQ(oa_run(recurse, arg, .max_workers = 1), 0);
}

// The end of one coordinator is not that of the other.
static void beside_another(void *arg)
{
    CHECK_EQ(oa_start(&coord, nothing, arg, .max_workers = 1), 0);
    CHECK_EQ(oa_run(nothing, arg, .max_workers = 1), 0);
    CHECK_EQ(oa_go(recurse, NULL, .coord = coord), 0);
    oa_wait(coord);
}

static void comes_and_goes(void)
{
    void (*const told[])(void *) = {put_over_and_gone, put_by_default, beside_another};
    char text[8192];
    CHECK_EQ(test_child(put_back, NULL, text, sizeof text), 0);
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        int status = test_child(told[i], NULL, text, sizeof text);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
        CHECK(strstr(text, "oasync: fatal: stack overflow in task ") != NULL);
    }
}

static void run_touch(void *arg)
{
    oa_run(touch, arg, .max_workers = 1);
}

static void others_are_not_told(void)
{
    char text[8192];
    forbidden = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(forbidden != MAP_FAILED);
    int status = test_child(go_on, NULL, text, sizeof text);
    printf("%s", text);
    CHECK_EQ(status, 0);
    status = test_child(run_touch, NULL, text, sizeof text);
    CHECK(status != 0);
    CHECK(strstr(text, "oasync: fatal") == NULL);
    if (test_under("native")) // a tool's own handler may end it otherwise
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

int main(void)
{
    all_are_told();
    if (!test_under("valgrind")) { // to which a bad access is an error, whoever handles it
        others_are_not_told();
        comes_and_goes();
    }
    return 0;
}
