// SPDX-License-Identifier: BSD-2-Clause
// overflow.h - a task that runs over its stack is named before the process dies of it.
//
// Owns:    nothing. Callers: the handler of SIGSEGV (os.h), on the thread that runs the task.
#ifndef OAI_SCHED_OVERFLOW_H
#define OAI_SCHED_OVERFLOW_H

#include <stdbool.h>

#include "os/os.h"

// Whether some of what was touched lies in the guard of the stack on which the calling thread runs
// a task; then one line to standard error has told so. Async-signal-safe.
bool oai_overflow_tell(oai_span_t touched);

#endif
