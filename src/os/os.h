// SPDX-License-Identifier: BSD-2-Clause
// os.h - Linux as a contract: everything the runtime asks of the system below it.
//
// Owns:    the table oai_os. Every call that can fail or that depends on time goes through it, so
//          that a test can make the k-th call fail or give a virtual clock.
// Callers: every room above base. The table is written before the first thread is started and only
//          read afterwards; every function may be called from any thread. None is a suspension
//          point, none of them touches a task.
// Errors:  0 or a negative errno; errno itself is not a channel.
#ifndef OAI_OS_OS_H
#define OAI_OS_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/atomic.h"

typedef struct oai_span {
    void *base;
    size_t size;
} oai_span_t;

typedef struct oai_os_thread {
    uintptr_t handle; // a pthread_t
} oai_os_thread_t;

#define OAI_OS_FOREVER INT64_MAX

// The most spans one call of guard hands to the kernel at once (UIO_MAXIOV).
#define OAI_OS_GUARD_BATCH 1024

struct oai_os {
    // CLOCK_MONOTONIC in nanoseconds. Never fails.
    int64_t (*now)(void);

    // malloc and free. alloc: NULL when there is no memory; contents undefined. free(NULL) is fine.
    void *(*alloc)(size_t size);
    void (*free)(void *p);

    // Maps `size` bytes (a multiple of the page size) of private zero memory that is only reserved
    // and never made of huge pages. 0 and *out, or -ENOMEM (-EINVAL for absurd sizes under tools).
    int (*map)(void **out, size_t size);
    // Undoes map for whole pages. 0; -ENOMEM when it would need one mapping more than allowed.
    int (*unmap)(void *base, size_t size);
    // Gives the pages back; they read as zero afterwards, guards stay. 0 or an errno, in which case
    // some pages may have been given back.
    int (*discard)(void *base, size_t size);
    // Puts a fresh mapping in place of the old one, which sanitizers take as new memory. 0/-ENOMEM.
    int (*refresh)(void *base, size_t size);
    // Makes each of the n spans (whole pages) fault on any access. 0; -EOPNOTSUPP or another errno:
    // not all are guarded, but all are still usable memory or guards.
    int (*guard)(const oai_span_t *spans, size_t n);
    // mprotect(PROT_NONE). 0; -ENOMEM at the process's limit of mappings.
    int (*protect)(void *base, size_t size);

    // Starts a joinable thread that runs fn(arg). stack_size 0: the system's default. name may be
    // NULL, is cut to 15 bytes. The signal mask is inherited. It has a signal stack. 0; -EAGAIN,
    // -ENOMEM, -EINVAL.
    int (*thread_start)(oai_os_thread_t *out, void (*fn)(void *), void *arg, size_t stack_size,
                        const char *name);
    // Waits until the thread has ended. Exactly once per started thread.
    void (*thread_join)(oai_os_thread_t thread);
    // How many threads the process has; -EIO when /proc does not tell.
    int (*thread_count)(void);

    // Sleeps while *word == expected until a wake or the absolute CLOCK_MONOTONIC deadline
    // (OAI_OS_FOREVER: none). 0: look again (woken, differed, interrupted); -ETIMEDOUT.
    int (*futex_wait)(const _Atomic uint32_t *word, uint32_t expected, int64_t deadline);
    // Wakes up to count sleepers. The word may be freed memory by now: nothing is dereferenced.
    void (*futex_wake)(const _Atomic uint32_t *word, int count);

    // A full barrier on every running thread of this process. 0, or an errno when it is not usable:
    // ask oai_os_membarrier_probe() first, it registers.
    int (*membarrier)(void);

    void (*yield)(void);
    // Blocks this OS thread for ns (<= 0: not at all), signals notwithstanding.
    void (*sleep)(int64_t ns);
    // write(2), for the log. The count or a negative errno.
    ssize_t (*write)(int fd, const void *buf, size_t n);
};

extern struct oai_os oai_os;

// Registers PRIVATE_EXPEDITED and tries it. True when usable. Idempotent; asked once per process.
bool oai_os_membarrier_probe(void);

// Calls fn(arg). If the thread is ended within it (pthread_exit, pthread_cancel), whatever stack it
// stands on, ended(arg) is called on this one, instead of a return.
void oai_os_call_guarded(void (*fn)(void *), void (*ended)(void *), void *arg);

// ---- A thread that touches what it may not (fault.c) --------------------------------------------

// Asked in the handler of SIGSEGV, on the signal stack of the thread that touched something there.
// True: it is told, and the process is to die of the signal. False: it is somebody else's.
typedef bool oai_os_fault_fn(oai_span_t touched);

// From here on `fatal` is asked, the same for all callers; where it says no, or the signal was sent
// by somebody, the action is the one that was there before. 0, or -errno. Each call is undone by
// one of oai_os_fault_release(); with the last the action from before is there again, unless
// another one has been put over ours.
int oai_os_fault_catch(oai_os_fault_fn *fatal);
void oai_os_fault_release(void);

// Memory for a thread's signal stack. 0, -ENOMEM.
int oai_os_signal_stack_make(oai_span_t *out);
void oai_os_signal_stack_free(oai_span_t *stack);

// The calling thread's signal stack is this one from here on, unless it has one; and no more.
void oai_os_signal_stack_enter(const oai_span_t *stack);
void oai_os_signal_stack_leave(const oai_span_t *stack);

// Where the calling thread's own stack is, without its guard. 0, or -errno.
int oai_os_thread_stack(oai_span_t *out);

// True when oai_os.guard makes guards that really fault: some systems accept the call and do
// nothing. Asked once per process.
bool oai_os_guard_probe(void);

// Forgets what the probes found, after a test has replaced entries of the table.
void oai_os_probe_reset(void);

// The CPUs this process may use: affinity mask and every level of cgroup quota (v1 and v2), rounded
// up, at least 1.
int oai_os_cpu_count(void);

// The same from files of the format of /proc/self/cgroup and /proc/self/mountinfo, with the number
// of CPUs in the affinity mask given.
int oai_os_cpu_count_at(const char *cgroup_file, const char *mounts_file, int affinity);

// What the table says of it.
int oai_os_thread_count(void);

// getenv, but NULL in a set-user-id program.
const char *oai_os_getenv(const char *name);

size_t oai_os_page_size(void);

// vm.max_map_count, 65530 when it cannot be read.
long oai_os_max_map_count(void);

#endif
