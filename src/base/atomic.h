// SPDX-License-Identifier: BSD-2-Clause
// atomic.h - C11 atomics and the few compiler hints that go with them.
//
// Owns:    nothing. The only file that includes <stdatomic.h>, so that another meaning can be
//          given to the atomics in one place.
// Callers: everybody.
// Rule:    every operation names its order (the _explicit forms) and its partner in a comment. No
//          seq_cst atomic_thread_fence in a hot path: compilers make it mfence (17 ns); an
//          exchange or a locked add costs 2 to 5.
#ifndef OAI_BASE_ATOMIC_H
#define OAI_BASE_ATOMIC_H

#include <stdatomic.h>

#define OAI_LIKELY(x) __builtin_expect(!!(x), 1)
#define OAI_UNLIKELY(x) __builtin_expect(!!(x), 0)

// What two threads write must lie this far apart.
#define OAI_CACHELINE 64

#ifdef OAI_MODEL
void oai_model_pause(void);
#endif

// One step of a spin loop: tells the core that nothing useful happens here.
static inline void oai_pause(void)
{
#if defined(OAI_MODEL)
    oai_model_pause();
#elif defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory"); // yield is a no-op on most cores; isb waits a little
#elif defined(__riscv)
    __asm__ volatile(".4byte 0x100000F" ::: "memory"); // pause (Zihintpause), a hint elsewhere
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}

// The compiler may not move memory accesses across; the machine may.
static inline void oai_compiler_barrier(void)
{
    atomic_signal_fence(memory_order_seq_cst);
}

static inline void oai_prefetch(const void *p)
{
    __builtin_prefetch(p);
}

#endif
