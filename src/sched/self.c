// SPDX-License-Identifier: BSD-2-Clause
// self.c - the thread-local variable behind self.h.
#include <stdint.h>

#include "sched/self.h"

// Written by its own thread alone. Initial-exec: its offset is known when the library is loaded.
__attribute__((visibility("hidden"), tls_model("initial-exec"))) _Thread_local oai_seat_t oai_seat;

#if OAI_TSAN
#define OAI_NOT_TRACED __attribute__((no_sanitize("thread")))
#else
#define OAI_NOT_TRACED
#endif

__attribute__((noinline)) OAI_NOT_TRACED void oai_self_set(struct oai_worker *worker)
{
    oai_seat.worker = worker;
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) OAI_NOT_TRACED void oai_host_set(struct oai_task *task)
{
    oai_seat.hosted = task;
    __asm__ volatile("" ::: "memory");
}

void oai_host_begin(void)
{
    // A stack that is not known is an overflow without a name, no more.
    (void)oai_os_thread_stack(&oai_seat_here()->stack);
}

#if !defined(__x86_64__) || OAI_TSAN
__attribute__((noinline)) OAI_NOT_TRACED struct oai_worker *oai_self(void)
{
    struct oai_worker *worker = oai_seat.worker;
    __asm__ volatile("" : "+r"(worker)::"memory");
    return worker;
}

__attribute__((noinline)) OAI_NOT_TRACED oai_seat_t *oai_seat_here(void)
{
    oai_seat_t *seat = &oai_seat;
    __asm__ volatile("" : "+r"(seat)::"memory");
    return seat;
}
#endif
