// SPDX-License-Identifier: BSD-2-Clause
// sanitizer.h - which tools look over our shoulder in this build, and what they want to be told.
//
// Owns:    nothing. Here and in fiber.h are the only places that speak to ASan, TSan or Valgrind,
//          but for one word to Valgrind in os/linux.c.
// Callers: src/fiber, and the scheduler for oai_sync_*.
#ifndef OAI_FIBER_SANITIZER_H
#define OAI_FIBER_SANITIZER_H

#include <stddef.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define OAI_ASAN 1
#else
#define OAI_ASAN 0
#endif

// OAI_TSAN_BUILD: the sources that TSan shall not look into (HACKING.md tells which and why) belong
// to a TSan build all the same. The model checker uses TSan's instrumentation without TSan.
#if defined(OAI_MODEL)
#define OAI_TSAN 0
#elif defined(OAI_TSAN_BUILD) || defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define OAI_TSAN 1
#else
#define OAI_TSAN 0
#endif

// What a switch is to TSan. 1: no synchronisation, so that races between tasks of one worker are
// seen; the scheduler, whose data go from fiber to fiber on one thread, must not be looked into
// then. 0: as if one thread went on; races within the scheduler are seen, those between tasks of
// one worker not.
#ifdef OAI_TSAN_SCHEDULER
#define OAI_TSAN_SWITCH 0
#else
#define OAI_TSAN_SWITCH 1
#endif

// 1: every task has its own stack (and TSan fiber) from its start, and each worker keeps one loop
// that is never left behind. On a loop's fiber, program order would hide every race between the
// tasks of one worker, and abandoned loops overflow TSan's shadow stack.
#if OAI_TSAN || defined(OAI_FORCE_OWN_STACKS)
#define OAI_OWN_STACKS 1
#else
#define OAI_OWN_STACKS 0
#endif

// At every level of optimisation: sanitizers must be told in the very frame that switches.
#define OAI_ALWAYS_INLINE static inline __attribute__((always_inline))

#if OAI_ASAN
void __sanitizer_start_switch_fiber(void **fake_stack_save, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake_stack, const void **bottom_old, size_t *size_old);
void __asan_unpoison_memory_region(void const volatile *base, size_t size);
#endif

#if OAI_TSAN
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#endif

// A happens-before edge that TSan cannot see by itself, through the address: all that precedes a
// release happens before what follows the next acquire. For spawn -> start, unpark -> resume and
// exit -> join. No code elsewhere.
OAI_ALWAYS_INLINE void oai_sync_release(void *addr)
{
#if OAI_TSAN
    __tsan_release(addr);
#else
    (void)addr;
#endif
}

OAI_ALWAYS_INLINE void oai_sync_acquire(void *addr)
{
#if OAI_TSAN
    __tsan_acquire(addr);
#else
    (void)addr;
#endif
}

#endif
