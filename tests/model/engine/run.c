// SPDX-License-Identifier: BSD-2-Clause
// run.c - one execution: reset, setup, the threads, check; and the ways in which it can fail.
//
// The explorer's own context calls eng_execute(); thread 0 (setup, check) and the model threads are
// fibers. A failure leaves everything where it stands and jumps back to the explorer.
#include "engine.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct engine E;
static void *explorer_sp;

_Noreturn void eng_back_to_explorer(void)
{
    static void *nowhere;
    E.self = NULL;
    eng_swap(&nowhere, explorer_sp);
    abort();
}

// ---- Failures -----------------------------------------------------------------------------------

_Noreturn void model_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(E.failure, sizeof E.failure, format, args);
    va_end(args);
    if (!E.self) {
        fprintf(stderr, "%s\n", E.failure);
        exit(2);
    }
    E.failed = true;
    TRACE(NULL, "FAILS: %s", E.failure);
    eng_back_to_explorer();
}

_Noreturn void model_assert_failed(const char *cond, const char *file, int line)
{
    const char *name = strrchr(file, '/');
    model_fail("assertion failed: %s, at %s:%d", cond, name ? name + 1 : file, line);
}

// What OAI_ASSERT and OAI_REQUIRE of the shipped sources call, if the model does not bring its own.
_Noreturn void oai_assert_failed(const char *text, const char *file, int line);
__attribute__((weak)) _Noreturn void oai_assert_failed(const char *text, const char *file, int line)
{
    model_assert_failed(text, file, line);
}

void model_seen(int outcome)
{
    if (outcome < 0 || outcome > 63)
        model_fail("model_seen(%d): 0 to 63", outcome);
    uint64_t bit = 1ull << outcome;
    E.seen |= bit;
    if (E.model->options.never_see & bit)
        model_fail("forbidden outcome %d", outcome);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (!E.self) {
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    if (number == SIGABRT)
        model_fail("abort() by %s", E.self->name);
    model_fail("signal %d (%s) in %s, address %p, after %s", number, strsignal(number),
               E.self->name, info->si_addr, eng_code(E.self->wait_pc));
}

void eng_describe_threads(char *text, size_t size)
{
    static const char *const states[] = {"can run",    "spins", "waits on futex",
                                         "is blocked", "joins", "has ended"};
    size_t used = 0;
    text[0] = 0;
    for (int i = 1; i < E.thread_count && used < size; i++) {
        struct thread *t = &E.threads[i];
        const char *object = t->state == WAITING   ? eng_place_name(t->futex)
                             : t->state == JOINING ? E.threads[t->joining].name
                                                   : "";
        used += (size_t)snprintf(text + used, size - used, "\n    %s %s %s %s%s", t->name,
                                 states[t->state], object, t->state == FINISHED ? "" : "at ",
                                 t->state == FINISHED ? "" : eng_code(t->wait_pc));
    }
}

// ---- Threads ------------------------------------------------------------------------------------

static struct thread *new_thread(const char *name, void (*fn)(void *), void *arg)
{
    if (E.thread_count == MAX_THREADS)
        model_fail("engine: more than %d threads", MAX_THREADS - 1);
    struct thread *t = &E.threads[E.thread_count];
    memset(&t->rel, 0, sizeof *t - offsetof(struct thread, rel));
    t->id = E.thread_count++;
    t->name = name;
    t->fn = fn;
    t->arg = arg;
    eng_part(&t->past, eng_mix((uint64_t)t->id, E.self ? E.self->past : 0));
    if (E.self)
        eng_observe(E.self, (uint64_t)t->id);
    memset(t->seen, 0, sizeof t->seen[0] * (size_t)E.locations);
    return t;
}

static void thread_entry(void)
{
    E.self->fn(E.self->arg);
    eng_finish_thread();
}

int model_thread(const char *name, void (*fn)(void *), void *arg)
{
    struct thread *maker = E.self;
    eng_sched_point(true);
    struct thread *t = new_thread(name, fn, arg);
    memcpy(t->cur, maker->cur, sizeof(stamp) * (size_t)E.width);
    t->cur[t->id] = 1;
    maker->cur[maker->id]++;
    t->fresh = true;
    t->starter = maker;
    E.unfinished++;
    eng_make_ready(t);
    eng_prepare_fiber(t, thread_entry);
    TRACE(PC(), "makes thread %s", name);
    if (E.phase == PHASE_RUN)
        eng_switch_to(t);
    return t->id;
}

void model_daemon(int thread)
{
    struct thread *t = &E.threads[thread];
    if (!t->daemon && t->state != FINISHED)
        E.unfinished--;
    t->daemon = true;
}

// ---- One execution ------------------------------------------------------------------------------

// All that setup did happens before the threads, also what it did after it had made them.
static void start_threads(struct thread *self)
{
    int made = E.thread_count;
    const struct view *view = eng_snapshot(self);
    self->cur[0]++;
    for (int i = 1; i < made; i++)
        eng_join(E.threads[i].cur, view);
    for (int i = 1; i < made; i++)
        eng_switch_to(&E.threads[i]);
}

static void main_entry(void)
{
    struct thread *self = E.self;
    E.phase = PHASE_SETUP;
    E.model->setup();
    E.phase = PHASE_RUN;
    self->state = BLOCKED;
    start_threads(self);
    if (E.unfinished > 0 || E.ready)
        eng_wait(BLOCKED, NULL);
    E.phase = PHASE_CHECK;
    for (int i = 1; i < E.thread_count; i++)
        eng_join(self->cur, eng_snapshot(&E.threads[i]));
    if (E.model->check)
        E.model->check();
    eng_check_leaks();
    eng_back_to_explorer();
}

static void reset(void)
{
    if (++E.epoch == 0) {
        memset(E.cells, 0, sizeof *E.cells * CELLS);
        E.epoch = 1;
    }
    E.cells_used = E.grave_count = E.locations = E.block_count = E.thread_count = 0;
    E.width = MAX_THREADS;
    E.bump_used = E.arena_used = 0;
    E.ready = E.timed = E.paused = 0;
    E.unfinished = E.idle = E.preemptions = E.stale_reads = E.spurious = E.weak_failures = 0;
    E.steps = E.plain_steps = E.decision = E.writes = 0;
    E.clock = 0;
    E.failed = E.known = false;
    E.state = E.sc_state = E.heap_part = E.spins_part = 0;
    if (E.trace)
        eng_trace_reset();
}

void eng_execute(void)
{
    reset();
    struct thread *t = new_thread("main", NULL, NULL);
    memset(t->cur, 0, sizeof(stamp) * MAX_THREADS);
    t->cur[0] = 1;
    eng_prepare_fiber(t, main_entry);
    E.self = t;
    eng_swap(&explorer_sp, t->sp);
    E.self = NULL;
    E.phase = PHASE_OFF;
}

static void *map(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    return p;
}

// Once per program. The lowest page of each stack is a guard.
void eng_set_up(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    eng_set_up_states();
    E.threads = map(sizeof *E.threads * MAX_THREADS);
    E.cells = map(sizeof *E.cells * CELLS);
    E.learned = map(sizeof *E.learned * LEARNED);
    E.bump = map(BUMP_SIZE);
    E.arena = map(ARENA_SIZE);
    E.stacks = map((size_t)STACK_SIZE * MAX_THREADS);
    for (int i = 0; i < MAX_THREADS; i++)
        mprotect(E.stacks + (size_t)STACK_SIZE * (size_t)i, 4096, PROT_NONE);
    stack_t stack = {.ss_sp = map(65536), .ss_size = 65536};
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_sigaction = on_signal,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
}
