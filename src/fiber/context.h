// SPDX-License-Identifier: BSD-2-Clause
// context.h - a place where execution can be resumed.
//
// Owns:    the struct. Callers: fiber.h and the architectures' files.
#ifndef OAI_FIBER_CONTEXT_H
#define OAI_FIBER_CONTEXT_H

#include <stddef.h>

#include "base/atomic.h"
#include "fiber/sanitizer.h"

// Written by the one who leaves, read by the one who resumes; who may resume, and when, is the
// scheduler's business. Valid for one resumption. All-zero bytes are a fine start.
typedef struct oai_context {
    void *ip; // the four words in this order: the architectures' asm knows them
    void *sp;
    void *bp; // frame pointer: rbp, x29
    void *bx; // base pointer: rbx, x19
#if OAI_ASAN
    void *fake_stack;   // ASan's stack-use-after-return frames, kept for the return
    const void *bottom; // bounds of the stack this stands on; written by whoever comes next
    size_t size;
#endif
#if OAI_TSAN
    // TSan's fiber, from oai_fiber_created or oai_context_thread. Relaxed: read while TSan already
    // reckons with other threads.
    void *_Atomic fiber;
#endif
} oai_context_t;

#endif
