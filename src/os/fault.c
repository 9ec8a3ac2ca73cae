// SPDX-License-Identifier: BSD-2-Clause
// fault.c - a thread touches what it may not: SIGSEGV, and the stack on which it is handled.
//
// Owns:    the action for SIGSEGV while somebody wants to be asked, and the one that was there
//          before.
// Callers: through os.h. The handler runs on the signal stack of the thread that faulted, for its
//          own stack may be what it has run over.
// Design:  what is nobody's of ours goes to the action that was there before, as if we were not. A
//          process that is to die does so of the instruction that faulted, under the default
//          action: what dumps a core finds the registers of that instruction.
#define _GNU_SOURCE 1
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include "os/os.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned users; // under the lock
static bool installed; // as above
// Written under the lock before the handler is there; constant while it is.
static struct sigaction before;
static oai_os_fault_fn *is_fatal;

// ---- The stack of the handlers ------------------------------------------------------------------

// What the kernel needs for a signal's frame, at most: with AVX-512 it is more than MINSIGSTKSZ.
static size_t frame_size(void)
{
    long size = sysconf(_SC_MINSIGSTKSZ);
    return size > 0 ? (size_t)size : MINSIGSTKSZ;
}

// Beside the frame there must be room for a handler of the user's, which may print and unwind.
static size_t signal_stack_size(void)
{
    enum { FOR_HANDLERS = 64 << 10 };
    size_t page = oai_os_page_size();
    return (FOR_HANDLERS + frame_size() + page - 1) / page * page;
}

int oai_os_signal_stack_make(oai_span_t *out)
{
    out->size = signal_stack_size();
    return oai_os.map(&out->base, out->size);
}

void oai_os_signal_stack_free(oai_span_t *stack)
{
    if (stack->base)
        (void)oai_os.unmap(stack->base, stack->size);
    stack->base = NULL;
}

void oai_os_signal_stack_enter(const oai_span_t *stack)
{
    stack_t now;
    stack_t ours = {.ss_sp = stack->base, .ss_size = stack->size};
    if (sigaltstack(NULL, &now) == 0 && (now.ss_flags & SS_DISABLE))
        (void)sigaltstack(&ours, NULL);
}

void oai_os_signal_stack_leave(const oai_span_t *stack)
{
    stack_t now;
    stack_t none = {.ss_flags = SS_DISABLE};
    if (sigaltstack(NULL, &now) == 0 && now.ss_sp == stack->base)
        (void)sigaltstack(&none, NULL);
}

int oai_os_thread_stack(oai_span_t *out)
{
    pthread_attr_t attr;
    int err = pthread_getattr_np(pthread_self(), &attr);
    if (err)
        return -err;
    err = pthread_attr_getstack(&attr, &out->base, &out->size);
    pthread_attr_destroy(&attr);
    return -err;
}

// ---- The handler --------------------------------------------------------------------------------

static uintptr_t stack_pointer(const void *context)
{
    const ucontext_t *thread = context;
#if defined(__x86_64__)
    return (uintptr_t)thread->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    return (uintptr_t)thread->uc_mcontext.sp;
#elif defined(__riscv)
    return (uintptr_t)thread->uc_mcontext.__gregs[REG_SP];
#else
    (void)thread;
    return 0;
#endif
}

// Where it was touched. The kernel tells no address when it was the one who touched: it could not
// put another signal's frame below the stack pointer.
static uintptr_t address_of(const siginfo_t *info, const void *context)
{
    if (info->si_code == SI_KERNEL)
        return stack_pointer(context) - frame_size();
    return (uintptr_t)info->si_addr;
}

static bool was_sent(const siginfo_t *info)
{
    return info->si_code <= 0;
}

// The handler returns to the instruction, which faults again. What is not an instruction's fault
// would not come again by itself.
static void die(int signal, const siginfo_t *info)
{
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    sigaction(signal, &by_default, NULL);
    if (was_sent(info) || info->si_code == SI_KERNEL)
        raise(signal);
}

// As the kernel would have called it.
static void call_before(int signal, siginfo_t *info, void *context)
{
    sigset_t only;
    if (before.sa_flags & SA_RESETHAND) {
        struct sigaction by_default = {.sa_handler = SIG_DFL};
        sigaction(signal, &by_default, NULL);
    }
    pthread_sigmask(SIG_BLOCK, &before.sa_mask, NULL); // the return puts back what was
    sigemptyset(&only);
    sigaddset(&only, signal);
    if (before.sa_flags & SA_NODEFER)
        pthread_sigmask(SIG_UNBLOCK, &only, NULL);
    if (before.sa_flags & SA_SIGINFO)
        before.sa_sigaction(signal, info, context);
    else
        before.sa_handler(signal);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    int kept = errno;
    bool by_handler = (before.sa_flags & SA_SIGINFO) ||
                      (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN);
    if (!was_sent(info) && is_fatal(address_of(info, context)))
        die(signal, info);
    else if (by_handler)
        call_before(signal, info, context);
    else if (!was_sent(info) || before.sa_handler == SIG_DFL)
        die(signal, info); // an instruction's fault cannot be ignored
    errno = kept;
}

// Precondition: the lock.
static int install(void)
{
    struct sigaction ours = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    ours.sa_sigaction = on_fault;
    sigemptyset(&ours.sa_mask);
    if (sigaction(SIGSEGV, NULL, &before) != 0 || sigaction(SIGSEGV, &ours, NULL) != 0)
        return -errno;
    installed = true;
    return 0;
}

// Precondition: the lock. Another handler that was put over ours may call ours as the one before:
// then ours stays for good. Put over that one once more, the two would call each other for ever.
static void uninstall(void)
{
    struct sigaction now;
    if (sigaction(SIGSEGV, NULL, &now) != 0 || !(now.sa_flags & SA_SIGINFO) ||
        now.sa_sigaction != on_fault)
        return;
    sigaction(SIGSEGV, &before, NULL);
    installed = false;
}

int oai_os_fault_catch(oai_os_fault_fn *fatal)
{
    pthread_mutex_lock(&lock);
    is_fatal = fatal;
    int err = installed ? 0 : install();
    users += err == 0;
    pthread_mutex_unlock(&lock);
    return err;
}

void oai_os_fault_release(void)
{
    pthread_mutex_lock(&lock);
    if (--users == 0 && installed)
        uninstall();
    pthread_mutex_unlock(&lock);
}
