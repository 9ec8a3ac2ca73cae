// SPDX-License-Identifier: BSD-2-Clause
// os.c - the OS table as models see it: list this file among a model's sources.
//
// Memory, futex, membarrier and clock are the engine's; the rest has no place in a model and fails.
#include "os/os.h"

#include <errno.h>

#include "model.h"

static int map(void **out, size_t size)
{
    (void)out;
    (void)size;
    return -ENOMEM;
}

static int change(void *base, size_t size)
{
    (void)base;
    (void)size;
    return 0;
}

static int guard(const oai_span_t *spans, size_t n)
{
    (void)spans;
    (void)n;
    return 0;
}

static int thread_start(oai_os_thread_t *out, void (*fn)(void *), void *arg, size_t stack_size,
                        const char *name)
{
    (void)stack_size;
    out->handle = (uintptr_t)model_thread(name ? name : "thread", fn, arg);
    return 0;
}

static void thread_join(oai_os_thread_t thread)
{
    model_join((int)thread.handle);
}

static void sleep_until_later(int64_t ns)
{
    static _Atomic uint32_t never;
    model_futex_wait(&never, 0, model_now() + ns);
}

static ssize_t write_nothing(int fd, const void *buf, size_t n)
{
    (void)fd;
    (void)buf;
    return (ssize_t)n;
}

struct oai_os oai_os = {
    .now = model_now,
    .alloc = model_alloc,
    .free = model_free,
    .map = map,
    .unmap = change,
    .discard = change,
    .refresh = change,
    .guard = guard,
    .protect = change,
    .thread_start = thread_start,
    .thread_join = thread_join,
    .futex_wait = model_futex_wait,
    .futex_wake = model_futex_wake,
    .membarrier = model_membarrier,
    .yield = model_yield,
    .sleep = sleep_until_later,
    .write = write_nothing,
};

void oai_os_call_guarded(void (*fn)(void *), void (*ended)(void *), void *arg)
{
    (void)ended;
    fn(arg);
}

bool oai_os_membarrier_probe(void)
{
    return true;
}
