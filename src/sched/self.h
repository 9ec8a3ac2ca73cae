// SPDX-License-Identifier: BSD-2-Clause
// self.h - which worker the calling thread is, or which task it hosts.
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
#include "os/os.h"

struct oai_task;
struct oai_worker;

// What a thread is to the library. All zero: nothing.
typedef struct oai_seat {
    struct oai_worker *worker; // first: read by the asm below
    struct oai_task *hosted;   // the blocking or pinned task, or the task in oa_block, that it runs
    uint64_t random;           // of a thread that is no worker; 0: not begun
    const void *left;          // told in resumed.h, and read by its asm
    oai_span_t stack;          // of a thread that hosts tasks: its own; empty: not known
} oai_seat_t;

// Makes the calling thread this worker, or none (NULL).
void oai_self_set(struct oai_worker *worker);

// The calling thread, no worker, will host tasks on its own stack.
void oai_host_begin(void);

// Makes the calling thread, no worker, the host of this task, or of none (NULL).
void oai_host_set(struct oai_task *task);

#if defined(__x86_64__) && !OAI_TSAN && !defined(OAI_MODEL)

// The worker that the calling thread is; NULL in any other thread.
static inline struct oai_worker *oai_self(void)
{
    struct oai_worker *worker;
    __asm__ volatile("movq oai_seat@gottpoff(%%rip), %0\n\t"
                     "movq %%fs:(%0), %0"
                     : "=r"(worker));
    return worker;
}

static inline oai_seat_t *oai_seat_here(void)
{
    oai_seat_t *seat;
    __asm__ volatile("movq oai_seat@gottpoff(%%rip), %0\n\t"
                     "addq %%fs:0, %0"
                     : "=r"(seat)
                     :
                     : "cc");
    return seat;
}

#else

// The worker that the calling thread is; NULL in any other thread.
struct oai_worker *oai_self(void);

oai_seat_t *oai_seat_here(void);

#endif

// The task that the calling thread, no worker, hosts; NULL in a plain thread. Not asked of workers:
// one that a hosted task's oa_run() has lent runs other tasks meanwhile.
static inline struct oai_task *oai_hosted(void)
{
    return oai_seat_here()->hosted;
}

// Who the calling thread is while it runs no task as a worker: the address of the task that it
// hosts; in a plain thread a number that no other thread has while this one lives, and no address
// of a task: never 0, even, and no multiple of 4.
static inline uintptr_t oai_self_thread(void)
{
    oai_seat_t *seat = oai_seat_here();
    return seat->hosted ? (uintptr_t)seat->hosted : (uintptr_t)seat | 2;
}

#endif
