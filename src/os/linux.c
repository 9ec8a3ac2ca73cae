// SPDX-License-Identifier: BSD-2-Clause
// linux.c - the table oai_os on Linux, and the two probes.
//
// Owns:    the table and what the probes found. No descriptor stays open: a pidfd is opened for one
//          call, so that nothing is inherited, stale after a fork or left behind.
// Callers: through os.h. Design: each function is the system call and its error, nothing more.
#define _GNU_SOURCE 1
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifdef OAI_VALGRIND
#include <valgrind/valgrind.h>
#endif

// Younger than the headers we build with.
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
enum {
    MEMBARRIER_EXPEDITED = 1 << 3,
    MEMBARRIER_REGISTER_EXPEDITED = 1 << 4,
    NS_PER_SECOND = 1000000000,
};

static struct timespec to_timespec(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / NS_PER_SECOND, .tv_nsec = ns % NS_PER_SECOND};
}

static int64_t os_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * NS_PER_SECOND + ts.tv_nsec;
}

// ---- memory ----

// Huge pages would turn one touched page of a stack into 2 MiB. A kernel without them says EINVAL.
static int map_at(void *where, int flags, void **out, size_t size)
{
    flags |= MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *p = mmap(where, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (p == MAP_FAILED)
        return -errno;
    (void)madvise(p, size, MADV_NOHUGEPAGE);
    *out = p;
    return 0;
}

static int os_map(void **out, size_t size)
{
    return map_at(NULL, 0, out, size);
}

static int os_refresh(void *base, size_t size)
{
    void *same;
    return map_at(base, MAP_FIXED, &same, size);
}

static int os_unmap(void *base, size_t size)
{
    return munmap(base, size) == 0 ? 0 : -errno;
}

static int os_discard(void *base, size_t size)
{
    return madvise(base, size, MADV_DONTNEED) == 0 ? 0 : -errno;
}

static int os_protect(void *base, size_t size)
{
    return mprotect(base, size, PROT_NONE) == 0 ? 0 : -errno;
}

// True once a batch was refused: older systems, seccomp filters and Valgrind do, and say so loudly.
static _Atomic bool batch_refused;

// Guards spans[0..n) with few system calls and returns how many are done: not all of them where
// process_madvise is refused or stops early.
static size_t guard_many(const oai_span_t *spans, size_t n)
{
    if (atomic_load_explicit(&batch_refused, memory_order_relaxed))
        return 0;
    // Valid after a fork, and never closed by somebody else: opened anew each time (0.5 us).
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0); // close-on-exec by definition
    bool refused = self < 0 && errno != EMFILE && errno != ENFILE;
    size_t done = 0;
    while (self >= 0 && done < n) {
        size_t count = n - done < OAI_OS_GUARD_BATCH ? n - done : OAI_OS_GUARD_BATCH;
        // oai_span_t is an iovec by layout; see the assertions below.
        long bytes = syscall(SYS_process_madvise, self, spans + done, count, MADV_GUARD_INSTALL, 0);
        if (bytes <= 0) {
            refused = bytes < 0 && (errno == ENOSYS || errno == EPERM || errno == EINVAL);
            break;
        }
        while (done < n && (size_t)bytes >= spans[done].size)
            bytes -= (long)spans[done++].size;
        if (bytes != 0)
            break; // half a span: the caller does it again, one by one
    }
    if (self >= 0)
        close(self);
    if (refused)
        atomic_store_explicit(&batch_refused, true, memory_order_relaxed);
    return done;
}

_Static_assert(sizeof(oai_span_t) == sizeof(struct iovec), "passed to the kernel as iovec");
_Static_assert(offsetof(oai_span_t, base) == offsetof(struct iovec, iov_base), "as above");
_Static_assert(offsetof(oai_span_t, size) == offsetof(struct iovec, iov_len), "as above");

static int os_guard(const oai_span_t *spans, size_t n)
{
    for (size_t i = n > 1 ? guard_many(spans, n) : 0; i < n; i++) {
        if (madvise(spans[i].base, spans[i].size, MADV_GUARD_INSTALL) != 0)
            return errno == EINVAL ? -EOPNOTSUPP : -errno;
    }
    return 0;
}

// ---- threads ----

struct thread_start {
    void (*fn)(void *);
    void *arg;
    oai_span_t signals; // its signal stack
    char name[16];      // the kernel's limit, NUL included
};

static void thread_ended(void *p)
{
    struct thread_start *start = p;
    oai_os_signal_stack_leave(&start->signals);
    oai_os_signal_stack_free(&start->signals);
}

static void *thread_main(void *p)
{
    struct thread_start start = *(struct thread_start *)p;
    oai_os.free(p);
    if (start.name[0] != '\0')
        pthread_setname_np(pthread_self(), start.name);
    pthread_cleanup_push(thread_ended, &start); // also when it ends by pthread_exit
    oai_os_signal_stack_enter(&start.signals);
    start.fn(start.arg);
    pthread_cleanup_pop(1);
    return NULL;
}

static int start_with(oai_os_thread_t *out, struct thread_start *start, size_t stack_size)
{
    pthread_attr_t attr;
    int err = pthread_attr_init(&attr);
    if (err != 0)
        return -err;
    if (stack_size != 0) {
        size_t page = oai_os_page_size();
        size_t least = (size_t)sysconf(_SC_THREAD_STACK_MIN);
        size_t size = stack_size < least ? least : stack_size;
        err = pthread_attr_setstacksize(&attr, (size + page - 1) / page * page);
    }
    pthread_t thread;
    if (err == 0)
        err = pthread_create(&thread, &attr, thread_main, start);
    pthread_attr_destroy(&attr);
    if (err == 0)
        out->handle = (uintptr_t)thread;
    return -err;
}

static int os_thread_start(oai_os_thread_t *out, void (*fn)(void *), void *arg, size_t stack_size,
                           const char *name)
{
    struct thread_start *start = oai_os.alloc(sizeof *start);
    if (start == NULL)
        return -ENOMEM;
    *start = (struct thread_start){.fn = fn, .arg = arg};
    if (name != NULL)
        snprintf(start->name, sizeof start->name, "%s", name);
    int err = oai_os_signal_stack_make(&start->signals);
    if (err == 0)
        err = start_with(out, start, stack_size);
    if (err != 0) {
        oai_os_signal_stack_free(&start->signals);
        oai_os.free(start);
    }
    return err;
}

static void os_thread_join(oai_os_thread_t thread)
{
    pthread_join((pthread_t)thread.handle, NULL);
}

void oai_os_call_guarded(void (*fn)(void *), void (*ended)(void *), void *arg)
{
    pthread_cleanup_push(ended, arg);
    fn(arg);
    pthread_cleanup_pop(0);
}

static void os_yield(void)
{
    sched_yield();
}

static void os_sleep(int64_t ns)
{
    if (ns <= 0)
        return;
    struct timespec left = to_timespec(ns);
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
        continue;
}

// ---- futex and membarrier ----

static int os_futex_wait(const _Atomic uint32_t *word, uint32_t expected, int64_t deadline)
{
    struct timespec until = to_timespec(deadline > 0 ? deadline : 0);
    // WAIT_BITSET takes an absolute time on CLOCK_MONOTONIC; plain WAIT a relative one.
    long rc = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected,
                      deadline == OAI_OS_FOREVER ? NULL : &until, NULL, FUTEX_BITSET_MATCH_ANY);
    return rc != 0 && errno == ETIMEDOUT ? -ETIMEDOUT : 0;
}

// Memcheck takes the word for read, which by now may be a frame that its waiter has left.
static void os_futex_wake(const _Atomic uint32_t *word, int count)
{
#ifdef OAI_VALGRIND
    VALGRIND_DISABLE_ERROR_REPORTING;
#endif
    syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count, NULL, NULL, 0);
#ifdef OAI_VALGRIND
    VALGRIND_ENABLE_ERROR_REPORTING;
#endif
}

static int os_membarrier(void)
{
    if (syscall(SYS_membarrier, MEMBARRIER_EXPEDITED, 0, 0) == 0)
        return 0;
    return -errno;
}

static ssize_t os_write(int fd, const void *buf, size_t n)
{
    ssize_t done = write(fd, buf, n);
    return done >= 0 ? done : -errno;
}

struct oai_os oai_os = {
    .now = os_now,
    .alloc = malloc,
    .free = free,
    .map = os_map,
    .unmap = os_unmap,
    .discard = os_discard,
    .refresh = os_refresh,
    .guard = os_guard,
    .protect = os_protect,
    .thread_start = os_thread_start,
    .thread_join = os_thread_join,
    .thread_count = oai_os_thread_count,
    .futex_wait = os_futex_wait,
    .futex_wake = os_futex_wake,
    .membarrier = os_membarrier,
    .yield = os_yield,
    .sleep = os_sleep,
    .write = os_write,
};

// ---- probes ----

// What a probe found. Two threads may probe at once: both find the same, so relaxed stores do.
typedef enum { UNKNOWN, USABLE, UNUSABLE } finding_t;
static _Atomic int membarrier_finding;
static _Atomic int guard_finding;

static bool probed(_Atomic int *finding, bool (*probe)(void))
{
    int found = atomic_load_explicit(finding, memory_order_relaxed);
    if (found == UNKNOWN) {
        found = probe() ? USABLE : UNUSABLE;
        atomic_store_explicit(finding, found, memory_order_relaxed);
    }
    return found == USABLE;
}

static bool try_membarrier(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_REGISTER_EXPEDITED, 0, 0) == 0 &&
           oai_os.membarrier() == 0;
}

// The kernel copies from addr on our behalf and reports a fault instead of raising SIGSEGV. By raw
// system call: a sanitizer's write() would look at the memory first.
static bool kernel_cannot_read(const void *addr)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0)
        return false;
    long rc = syscall(SYS_write, fds[1], addr, 1);
    bool faulted = rc < 0 && errno == EFAULT;
    close(fds[0]);
    close(fds[1]);
    return faulted;
}

static bool try_guard(void)
{
    size_t page = oai_os_page_size();
    void *base = NULL;
    if (map_at(NULL, 0, &base, 4 * page) != 0)
        return false;
    // Two spans, so that the batch form is what is tried. The page between must stay usable.
    char *p = base;
    oai_span_t spans[] = {{p, page}, {p + 2 * page, page}};
    bool works = oai_os.guard(spans, 2) == 0 && kernel_cannot_read(p) &&
                 kernel_cannot_read(p + 3 * page - 1) && !kernel_cannot_read(p + page);
    os_unmap(base, 4 * page);
    return works;
}

bool oai_os_membarrier_probe(void)
{
    return probed(&membarrier_finding, try_membarrier);
}

bool oai_os_guard_probe(void)
{
    return probed(&guard_finding, try_guard);
}

void oai_os_probe_reset(void)
{
    atomic_store_explicit(&membarrier_finding, UNKNOWN, memory_order_relaxed);
    atomic_store_explicit(&guard_finding, UNKNOWN, memory_order_relaxed);
}

// ---- facts ----

const char *oai_os_getenv(const char *name)
{
    return secure_getenv(name);
}

size_t oai_os_page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

long oai_os_max_map_count(void)
{
    enum { KERNEL_DEFAULT = 65530 };
    char text[32];
    int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return KERNEL_DEFAULT;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    long count = strtol(text, NULL, 10);
    return count > 0 ? count : KERNEL_DEFAULT;
}
