// SPDX-License-Identifier: BSD-2-Clause
// resumed.h - how a function returns in which a task has left its stack and was resumed.
//
// Owns:    nothing. Callers: a primitive whose tasks often switch to each other: the channel.
// Design:  the CPU predicts a ret by the call that it saw last: that of the task which has just
//          left. If that has called from another place it is wrong, which costs 8 ns on Zen 3, and
//          two of them were a third of a channel's round trip. So who leaves notes its return
//          address in its thread's seat. Who returns and finds its own there returns by ret, which
//          is predicted, and keeps calls and returns in step: so it is where many tasks run the
//          same code. Else it returns by a jump, which is predicted by what has been run before.
//          Measured, two tasks in turn over two channels: 53 ns a round trip, 38 with this; where
//          both call from one place 25, and 25.7 with this.
#ifndef OAI_SCHED_RESUMED_H
#define OAI_SCHED_RESUMED_H

#include <stddef.h>

#include "sched/self.h"

#ifndef __has_attribute
#define __has_attribute(x) 0
#endif

// Not with shadow stacks, whose ret is the only way back; nor in the large code model, for which
// compilers have no thunk; nor under TSan, to which the tasks of one thread race for its seat.
#if defined(__x86_64__) && !defined(OAI_MODEL) && !OAI_TSAN && __has_attribute(function_return) && \
    !defined(__code_model_large__) && !(defined(__CET__) && (__CET__ & 2))
#define OAI_RESUMED __attribute__((noinline, function_return("thunk-extern")))
// In a function marked OAI_RESUMED, before it leaves the stack.
#define OAI_LEAVING() (oai_seat_here()->left = __builtin_return_address(0))
_Static_assert(offsetof(oai_seat_t, left) == 24, "return_x86_64.S looks there");
#else
#define OAI_RESUMED __attribute__((noinline))
#define OAI_LEAVING() ((void)0)
#endif

#endif
