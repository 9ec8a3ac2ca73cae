// SPDX-License-Identifier: BSD-2-Clause
// thread.h - a plain thread for a test: it belongs to no runtime. A task of a simulation starts
// another task instead, for what a thread does cannot be repeated.
#pragma once

#include <oasync.h>
#include <pthread.h>

#include "check.h"

// A plain thread that runs fn(arg).
struct thread {
    pthread_t thread;
    oa_task_t *task; // instead, or NULL
    oa_fn *fn;
    void *arg;
};

static inline void *thread_main(void *arg)
{
    struct thread *thread = arg;
    thread->fn(thread->arg);
    return NULL;
}

static inline void thread_start(struct thread *thread, oa_fn *fn, void *arg)
{
    thread->fn = fn;
    thread->arg = arg;
    thread->task = NULL;
    if (simulated() && oa_self() != NULL)
        CHECK_EQ(oa_go(fn, arg, .task = &thread->task), 0);
    else
        CHECK_EQ(pthread_create(&thread->thread, NULL, thread_main, thread), 0);
}

static inline void thread_join(struct thread *thread)
{
    if (thread->task != NULL)
        CHECK_EQ(oa_join(thread->task), 0);
    else
        CHECK_EQ(pthread_join(thread->thread, NULL), 0);
}
