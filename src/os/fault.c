// SPDX-License-Identifier: BSD-2-Clause
// fault.c - a thread touches what it may not: SIGSEGV, and the stack on which it is handled.
//
// Owns:    the action for SIGSEGV while somebody wants to be asked, and the one that was there
//          before.
// Callers: through os.h. The handler runs on the signal stack of the thread that faulted, for its
//          own stack may be what it has run over.
// Design:  what is nobody's of ours goes to the action that was there before. A process that is to
//          die does so of the instruction that faulted, under the default action: what dumps a core
//          finds the registers of that instruction.
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
// Written under the lock before the handler is put there; constant while it is.
static struct sigaction before;
static size_t frame_size; // the most that the kernel puts on a stack for a signal
static oai_os_fault_fn *is_fatal;

// ---- The stack of the handlers ------------------------------------------------------------------

// Beside the kernel's frame there must be room for a handler of the user's, which may print and
// unwind. The lowest page is a guard, if that can be had.
int oai_os_signal_stack_make(oai_span_t *out)
{
    enum { FOR_HANDLERS = 64 << 10 };
    size_t page = oai_os_page_size();
    out->size = (FOR_HANDLERS + (size_t)sysconf(_SC_MINSIGSTKSZ) + 2 * page - 1) / page * page;
    int err = oai_os.map(&out->base, out->size);
    if (err == 0)
        (void)oai_os.protect(out->base, page);
    return err;
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

// What was touched. The kernel tells no address when it could not put another signal's frame below
// the stack pointer; it was somewhere there. Nor does it for an address that can be none (on
// x86-64): such a span is empty.
static oai_span_t touched(const siginfo_t *info, const void *context)
{
    enum { RED_ZONE = 128 };
    if (info->si_code != SI_KERNEL)
        return (oai_span_t){info->si_addr, 1};
#ifdef __x86_64__
    enum { GENERAL_PROTECTION = 13 };
    const ucontext_t *thread = context;
    if (thread->uc_mcontext.gregs[REG_TRAPNO] == GENERAL_PROTECTION)
        return (oai_span_t){NULL, 0};
#endif
    size_t size = frame_size + RED_ZONE;
    return (oai_span_t){(void *)(stack_pointer(context) - size), size};
}

// Whatever SA_SIGINFO says, as the kernel sees it: who has got an action, changes the handler and
// sets it leaves the flag.
static bool has_handler(const struct sigaction *action)
{
    return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
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
    const ucontext_t *thread = context;
    sigset_t allowed; // what ours blocks and that one does not
    if (before.sa_flags & SA_RESETHAND) {
        struct sigaction by_default = {.sa_handler = SIG_DFL};
        sigaction(signal, &by_default, NULL);
    }
    pthread_sigmask(SIG_BLOCK, &before.sa_mask, NULL); // the return puts back what was
    sigemptyset(&allowed);
    if (before.sa_flags & SA_NODEFER)
        sigaddset(&allowed, signal);
    if (!sigismember(&before.sa_mask, SIGPIPE) && !sigismember(&thread->uc_sigmask, SIGPIPE))
        sigaddset(&allowed, SIGPIPE);
    pthread_sigmask(SIG_UNBLOCK, &allowed, NULL);
    if (before.sa_flags & SA_SIGINFO)
        before.sa_sigaction(signal, info, context);
    else
        before.sa_handler(signal);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    int kept = errno;
    if (!was_sent(info) && is_fatal(touched(info, context))) {
        // Told into a pipe that nobody reads: it shall not die of that.
        sigaddset(&((ucontext_t *)context)->uc_sigmask, SIGPIPE);
        die(signal, info);
    } else if (has_handler(&before)) {
        call_before(signal, info, context);
    } else if (!was_sent(info) || before.sa_handler == SIG_DFL) {
        die(signal, info); // an instruction's fault cannot be ignored
    }
    errno = kept;
}

// Precondition: the lock.
static bool is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == on_fault;
}

// Precondition: the lock. Once there, ours stays below a handler that was put over it, which may
// call it as the one before: put over that one once more, the two would call each other for ever.
static int install(void)
{
    struct sigaction now, ours = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    if (sigaction(SIGSEGV, NULL, &now) != 0)
        return -errno;
    bool handler = has_handler(&now);
    if (is_ours(&now) || (installed && handler)) {
        installed = true;
        return 0;
    }
    // A signal that was ignored, or after which a system call goes on, shall not break one.
    ours.sa_flags |= handler ? now.sa_flags & SA_RESTART : SA_RESTART;
    ours.sa_sigaction = on_fault;
    sigemptyset(&ours.sa_mask);
    sigaddset(&ours.sa_mask, SIGPIPE);
    frame_size = (size_t)sysconf(_SC_MINSIGSTKSZ);
    before = now;
    if (sigaction(SIGSEGV, &ours, NULL) != 0)
        return -errno;
    installed = true;
    return 0;
}

// Precondition: the lock.
static void uninstall(void)
{
    struct sigaction now;
    if (sigaction(SIGSEGV, NULL, &now) != 0 || !is_ours(&now))
        return;
    sigaction(SIGSEGV, &before, NULL);
    installed = false;
}

int oai_os_fault_catch(oai_os_fault_fn *fatal)
{
    pthread_mutex_lock(&lock);
    is_fatal = fatal;
    int err = users ? 0 : install();
    users += err == 0;
    pthread_mutex_unlock(&lock);
    return err;
}

void oai_os_fault_release(void)
{
    pthread_mutex_lock(&lock);
    if (--users == 0)
        uninstall();
    pthread_mutex_unlock(&lock);
}
