// SPDX-License-Identifier: BSD-2-Clause
// overflow.h - a task that runs over its stack is named before the process dies of it.
//
// Owns:    nothing. Callers: the handler of SIGSEGV (os.h), on the thread that runs the task.
#ifndef OAI_SCHED_OVERFLOW_H
#define OAI_SCHED_OVERFLOW_H

#include <stdbool.h>
#include <stdint.h>

// Whether the address lies below the stack of the task that the calling thread runs; then one line
// to standard error has told so. Async-signal-safe.
bool oai_overflow_tell(uintptr_t address);

#endif
