// SPDX-License-Identifier: BSD-2-Clause
// fault.c - wrappers over the table oai_os that count calls and make chosen ones fail.
#include "fault.h"

#include <errno.h>
#include <stdbool.h>

#include "os/os.h"

static struct oai_os real;
static bool installed;

// Written by arm(), read by every call. Relaxed: a test that wants an exact count arms while no
// other thread is at work.
static _Atomic unsigned mask;
static _Atomic uint64_t first; // the call that fails, by number from 1; 0: none
static _Atomic uint64_t last;  // and the last one that does
static _Atomic uint64_t one_in;
static _Atomic uint64_t random_state;
static _Atomic uint64_t calls;
static _Atomic uint64_t injected;
static _Atomic int64_t mapped; // bytes

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static bool chosen(uint64_t number)
{
    uint64_t n = atomic_load_explicit(&one_in, memory_order_relaxed);
    if (n != 0) {
        uint64_t step = 0x9e3779b97f4a7c15u;
        uint64_t x = atomic_fetch_add_explicit(&random_state, step, memory_order_relaxed);
        return mix(x + step) % n == 0;
    }
    uint64_t from = atomic_load_explicit(&first, memory_order_relaxed);
    return from != 0 && number >= from &&
           number <= atomic_load_explicit(&last, memory_order_relaxed);
}

// True when this call has to fail.
static bool fails(unsigned kind)
{
    if ((atomic_load_explicit(&mask, memory_order_relaxed) & kind) == 0)
        return false;
    uint64_t number = atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) + 1;
    if (!chosen(number))
        return false;
    atomic_fetch_add_explicit(&injected, 1, memory_order_relaxed);
    return true;
}

static void *fault_alloc(size_t size)
{
    return fails(FAULT_ALLOC) ? NULL : real.alloc(size);
}

static int fault_map(void **out, size_t size)
{
    int err = fails(FAULT_MAP) ? -ENOMEM : real.map(out, size);
    if (err == 0)
        atomic_fetch_add_explicit(&mapped, (int64_t)size, memory_order_relaxed);
    return err;
}

static int fault_unmap(void *base, size_t size)
{
    int err = fails(FAULT_UNMAP) ? -ENOMEM : real.unmap(base, size);
    if (err == 0)
        atomic_fetch_sub_explicit(&mapped, (int64_t)size, memory_order_relaxed);
    return err;
}

static int fault_discard(void *base, size_t size)
{
    return fails(FAULT_DISCARD) ? -EAGAIN : real.discard(base, size);
}

static int fault_refresh(void *base, size_t size)
{
    return fails(FAULT_REFRESH) ? -ENOMEM : real.refresh(base, size);
}

static int fault_guard(const oai_span_t *spans, size_t n)
{
    if (!fails(FAULT_GUARD))
        return real.guard(spans, n);
    (void)real.guard(spans, n / 2);
    return -ENOMEM;
}

static int fault_protect(void *base, size_t size)
{
    return fails(FAULT_PROTECT) ? -ENOMEM : real.protect(base, size);
}

static int fault_thread_start(oai_os_thread_t *out, void (*fn)(void *), void *arg,
                              size_t stack_size, const char *name)
{
    return fails(FAULT_THREAD) ? -EAGAIN : real.thread_start(out, fn, arg, stack_size, name);
}

static ssize_t fault_write(int fd, const void *buf, size_t n)
{
    return fails(FAULT_WRITE) ? -EIO : real.write(fd, buf, n);
}

static int fault_membarrier(void)
{
    return fails(FAULT_MEMBARRIER) ? -ENOSYS : real.membarrier();
}

static int fault_futex_wait(const _Atomic uint32_t *word, uint32_t expected, int64_t deadline)
{
    return fails(FAULT_FUTEX) ? 0 : real.futex_wait(word, expected, deadline);
}

void fault_install(void)
{
    if (installed)
        return;
    installed = true;
    real = oai_os;
    fault_mask(FAULT_USUAL);
    fault_disarm();
    oai_os.alloc = fault_alloc;
    oai_os.map = fault_map;
    oai_os.unmap = fault_unmap;
    oai_os.discard = fault_discard;
    oai_os.refresh = fault_refresh;
    oai_os.guard = fault_guard;
    oai_os.protect = fault_protect;
    oai_os.thread_start = fault_thread_start;
    oai_os.write = fault_write;
    oai_os.membarrier = fault_membarrier;
    oai_os.futex_wait = fault_futex_wait;
}

void fault_remove(void)
{
    if (installed)
        oai_os = real;
    installed = false;
}

void fault_mask(unsigned kinds)
{
    atomic_store_explicit(&mask, kinds, memory_order_relaxed);
}

static void arm(uint64_t from, uint64_t to, uint64_t chance, uint64_t seed)
{
    atomic_store_explicit(&first, 0, memory_order_relaxed);
    atomic_store_explicit(&one_in, 0, memory_order_relaxed);
    atomic_store_explicit(&calls, 0, memory_order_relaxed);
    atomic_store_explicit(&injected, 0, memory_order_relaxed);
    atomic_store_explicit(&random_state, mix(seed), memory_order_relaxed);
    atomic_store_explicit(&last, to, memory_order_relaxed);
    atomic_store_explicit(&one_in, chance, memory_order_relaxed);
    atomic_store_explicit(&first, from, memory_order_relaxed);
}

void fault_fail_at(uint64_t k)
{
    arm(k, k, 0, 0);
}

void fault_fail_from(uint64_t k)
{
    arm(k, UINT64_MAX, 0, 0);
}

void fault_random(uint64_t chance, uint64_t seed)
{
    arm(0, 0, chance, seed);
}

void fault_disarm(void)
{
    arm(0, 0, 0, 0);
}

uint64_t fault_calls(void)
{
    return atomic_load_explicit(&calls, memory_order_relaxed);
}

uint64_t fault_injected(void)
{
    return atomic_load_explicit(&injected, memory_order_relaxed);
}

int64_t fault_mapped(void)
{
    return atomic_load_explicit(&mapped, memory_order_relaxed);
}
