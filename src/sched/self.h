// SPDX-License-Identifier: BSD-2-Clause
// self.h - which worker the calling thread is.
//
// Owns:    the only thread-local variable of the library.
// Callers: anybody. What it returns is stale after anything that may switch: ask again.
// Design:  compilers keep the address of a thread-local variable over a switch, after which the
//          task may stand on another thread. So the variable is read by an asm that they cannot
//          take apart, or, elsewhere, by a function that they cannot look into.
#ifndef OAI_SCHED_SELF_H
#define OAI_SCHED_SELF_H

#include <stdint.h>

#include "fiber/sanitizer.h"

struct oai_worker;

// Makes the calling thread this worker, or none (NULL).
void oai_self_set(struct oai_worker *worker);

// A number that no other thread has while this one lives, and no address of a task: never 0, even,
// and no multiple of 4.
uintptr_t oai_self_thread(void);

#if defined(__x86_64__) && !OAI_TSAN && !defined(OAI_MODEL)

// The worker that the calling thread is; NULL in any other thread.
static inline struct oai_worker *oai_self(void)
{
    struct oai_worker *worker;
    __asm__ volatile("movq oai_self_worker@gottpoff(%%rip), %0\n\t"
                     "movq %%fs:(%0), %0"
                     : "=r"(worker));
    return worker;
}

#else

// The worker that the calling thread is; NULL in any other thread.
struct oai_worker *oai_self(void);

#endif
#endif
