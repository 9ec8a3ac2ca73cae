// SPDX-License-Identifier: BSD-2-Clause
// self.c - the thread-local variable behind self.h.
#include <stdint.h>

#include "sched/self.h"

// Written by its own thread alone. Initial-exec: its offset is known when the library is loaded.
__attribute__((visibility("hidden"),
               tls_model("initial-exec"))) _Thread_local struct oai_worker *oai_self_worker;

#if OAI_TSAN
#define OAI_NOT_TRACED __attribute__((no_sanitize("thread")))
#else
#define OAI_NOT_TRACED
#endif

__attribute__((noinline)) OAI_NOT_TRACED void oai_self_set(struct oai_worker *worker)
{
    oai_self_worker = worker;
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) OAI_NOT_TRACED uintptr_t oai_self_thread(void)
{
    uintptr_t address = (uintptr_t)&oai_self_worker;
    __asm__ volatile("" : "+r"(address)::"memory");
    return address | 2;
}

#if !defined(__x86_64__) || OAI_TSAN
__attribute__((noinline)) OAI_NOT_TRACED struct oai_worker *oai_self(void)
{
    struct oai_worker *worker = oai_self_worker;
    __asm__ volatile("" : "+r"(worker)::"memory");
    return worker;
}
#endif
