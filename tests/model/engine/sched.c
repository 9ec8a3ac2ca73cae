// SPDX-License-Identifier: BSD-2-Clause
// sched.c - who runs: fibers, scheduling points, waiting, the futex and the other machine calls.
//
// A model thread is a fiber. It can lose the processor only at a scheduling point, which stands
// before every atomic operation on an address that several threads use, and it hands it on itself
// when it waits. A new thread runs up to its first operation at once: what comes before concerns
// nobody else.
#include "engine.h"

#include <errno.h>

// void eng_swap(void **save, void *load): saves the callee-saved registers and the stack pointer,
// continues where `load` was saved.
__asm__(".text\n"
        ".globl eng_swap\n"
        ".type eng_swap, @function\n"
        "eng_swap:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size eng_swap, . - eng_swap\n"
        ".section .note.GNU-stack,\"\",@progbits\n"
        ".text\n");

void eng_prepare_fiber(struct thread *t, void (*entry)(void))
{
    char *top = E.stacks + (size_t)STACK_SIZE * (size_t)(t->id + 1) - 64;
    void **sp = (void **)(void *)top;
    sp[0] = (void *)entry;
    t->sp = sp - 6;
}

void eng_switch_to(struct thread *next)
{
    struct thread *t = E.self;
    if (next == t)
        return;
    E.self = next;
    eng_swap(&t->sp, next->sp);
}

static uint32_t bit(const struct thread *t)
{
    return 1u << t->id;
}

void eng_make_ready(struct thread *t)
{
    t->state = READY;
    E.ready |= bit(t);
    E.timed &= ~bit(t);
    E.paused &= ~bit(t);
}

// A write ends everybody's pause.
void eng_wrote(void)
{
    E.idle = 0;
    E.writes++;
    eng_part(&E.spins_part, 0);
    if (RARELY(E.paused)) {
        for (int i = 0; i < E.thread_count; i++)
            if (E.paused & (1u << i))
                E.threads[i].state = READY;
        E.ready |= E.paused;
        E.paused = 0;
    }
}

// ---- Choosing the next thread -------------------------------------------------------------------

static int add_candidates(int n, uint32_t mask)
{
    // In turn after the running thread, so that the first choice is fair.
    uint32_t later = mask & ~((2u << E.self->id) - 1);
    for (uint32_t m = later; m; m &= m - 1)
        E.candidates[n++] = __builtin_ctz(m);
    for (uint32_t m = mask & ~later; m; m &= m - 1)
        E.candidates[n++] = __builtin_ctz(m);
    return n;
}

// How often t has come out of a pause since the last write.
static int spins(const struct thread *t)
{
    return t->spins_epoch == E.writes ? t->spins : 0;
}

// The paused threads whose turn it is: nobody spins twice before the others did once.
static uint32_t next_spinners(void)
{
    uint32_t mask = 0;
    int least = INT32_MAX;
    for (int i = 0; i < E.thread_count; i++) {
        if (!(E.paused & (1u << i)) || spins(&E.threads[i]) > least)
            continue;
        if (spins(&E.threads[i]) < least)
            mask = 0;
        least = spins(&E.threads[i]);
        mask |= 1u << i;
    }
    return mask;
}

static void run_thread(struct thread *t)
{
    if (t->state == WAITING) {
        t->timed_out = true;
        E.idle = 0;
        if (E.clock < t->deadline)
            E.clock = t->deadline;
    }
    if (t->state == PAUSED) {
        t->spins = spins(t) + 1;
        t->spins_epoch = E.writes;
        eng_part(&E.spins_part, E.spins_part + eng_mix((uint64_t)t->id, (uint64_t)t->spins));
        E.idle++;
    }
    eng_make_ready(t);
    eng_switch_to(t);
}

static void check_steps(void)
{
    eng_observe(E.self, 0);
    if ((int)++E.steps > E.limits.steps)
        model_fail("endless: more than %d operations in one execution. A spin loop without "
                   "oai_model_pause()? Else raise .steps",
                   E.limits.steps);
}

// A new thread stops here, before its first operation, and lets its maker go on.
static bool first_stop(struct thread *t)
{
    if (!t->fresh)
        return false;
    t->fresh = false;
    eng_switch_to(t->starter);
    return true;
}

// `running`: who runs at a scheduling point; MAX_THREADS where the next thread is chosen.
static void leave_if_known(int running)
{
    if (E.phase == PHASE_RUN && eng_fresh() && !E.whole && eng_state_known(running)) {
        E.known = true;
        eng_back_to_explorer();
    }
}

// Stands before an operation; true if others have run meanwhile.
bool eng_sched_point(bool visible)
{
    struct thread *t = E.self;
    check_steps();
    if (E.phase != PHASE_RUN)
        return false;
    if (RARELY(first_stop(t)))
        return true;
    // What is not visible changes nothing that the next point does not show.
    if (visible)
        leave_if_known(t->id);
    uint32_t others = (E.ready | E.timed) & ~bit(t);
    bool spent = E.mode == MODE_DFS && E.preemptions >= E.limits.bound;
    // A replay does not know what the search had learned; its script has no answer here if this
    // was no choice.
    visible |= E.mode == MODE_REPLAY;
    if (!visible || !others || spent) {
        eng_choose(CHOOSE_THREAD, 1);
        return false;
    }
    E.candidates[0] = t->id;
    int n = add_candidates(1, others & E.ready);
    n = add_candidates(n, others & E.timed);
    int pick = eng_choose(CHOOSE_THREAD, n);
    if (pick == 0)
        return false;
    E.preemptions++;
    run_thread(&E.threads[E.candidates[pick]]);
    return true;
}

static void nobody_can_run(const char *what)
{
    char text[2048];
    eng_describe_threads(text, sizeof text);
    model_fail("%s%s", what, text);
}

// Who can take the processor from a thread that waits. Time-outs come after those who can run, and
// spinning threads only when nobody can, and not for ever while a time-out would end it.
static int heirs(void)
{
    enum { SPINS_BEFORE_TIME_OUT = 8 };
    if (E.ready)
        return add_candidates(add_candidates(0, E.ready), E.timed);
    if (E.unfinished == 0)
        return 0;
    bool spun = E.timed && E.idle > SPINS_BEFORE_TIME_OUT;
    return add_candidates(spun ? 0 : add_candidates(0, next_spinners()), E.timed);
}

static void hand_over(void)
{
    enum { ENDLESS_SPINS = 100 };
    leave_if_known(MAX_THREADS);
    int n = heirs();
    if (E.idle > ENDLESS_SPINS)
        nobody_can_run("livelock: all that can run spin, and nobody writes.");
    if (n > 0)
        run_thread(&E.threads[E.candidates[eng_choose(CHOOSE_THREAD, n)]]);
    else if (E.unfinished > 0)
        nobody_can_run("deadlock: nobody can run.");
    else
        eng_switch_to(&E.threads[0]);
}

void eng_wait(enum thread_state state, const void *pc)
{
    struct thread *t = E.self;
    t->state = state;
    t->wait_pc = pc;
    E.ready &= ~bit(t);
    hand_over();
}

// Called on the fiber of a thread whose function has returned; does not come back.
void eng_finish_thread(void)
{
    struct thread *t = E.self;
    t->state = FINISHED;
    E.ready &= ~bit(t);
    E.unfinished -= !t->daemon;
    TRACE(NULL, "ends");
    for (int i = 0; i < E.thread_count; i++)
        if (E.threads[i].state == JOINING && E.threads[i].joining == t->id)
            eng_make_ready(&E.threads[i]);
    eng_wrote();
    if (t->fresh)
        eng_switch_to(t->starter);
    hand_over();
}

// ---- Pause, block, join -------------------------------------------------------------------------

// After a pause the loop's reads are fresh.
static void read_fresh(struct thread *t)
{
    bool all = t->spin_reads == MAX_SPIN_READS;
    uint64_t marks = 0;
    int n = all ? E.locations : t->spin_reads;
    for (int i = 0; i < n; i++) {
        int index = all ? i : t->spin_read[i];
        t->seen[index].floor = (stamp)(E.by_index[index]->count - 1);
        t->seen[index].in_spin = 0;
        marks += E.by_index[index]->mark;
    }
    eng_observe(t, marks);
    t->spin_reads = 0;
}

void oai_model_pause(void)
{
    struct thread *t = E.self;
    if (!t || E.phase != PHASE_RUN)
        return;
    first_stop(t);
    check_steps();
    bool may_go_on = (E.ready & ~bit(t)) && (E.mode != MODE_DFS || E.preemptions < E.limits.bound);
    if (eng_choose(CHOOSE_PAUSE, may_go_on ? 2 : 1)) {
        E.preemptions++;
        TRACE(PC(), "pause, goes on at once");
    } else {
        TRACE(PC(), "pause");
        E.paused |= bit(t);
        eng_wait(PAUSED, PC());
    }
    read_fresh(t);
}

void model_yield(void)
{
    eng_sched_point(true);
}

int model_self(void)
{
    return E.self->id;
}

static void acquire_view(struct thread *t, const struct view *view)
{
    if (view)
        eng_join(t->cur, view);
}

void model_block(void)
{
    struct thread *t = E.self;
    eng_sched_point(true);
    if (!t->token) {
        TRACE(PC(), "block");
        eng_wait(BLOCKED, PC());
    }
    t->token = false;
    eng_observe(t, t->token_part);
    eng_part(&t->token_part, 0);
    acquire_view(t, t->token_view);
    TRACE(PC(), "block returns");
}

void model_unblock(int thread)
{
    struct thread *t = E.self, *u = &E.threads[thread];
    eng_sched_point(true);
    TRACE(PC(), "unblock %s", u->name);
    if (u->token)
        model_fail("unblocked twice: %s, at %s", u->name, eng_code(PC()));
    u->token = true;
    eng_part(&u->token_part, eng_mix(t->past, (uint64_t)u->id));
    u->token_view = eng_snapshot(t);
    t->cur[t->id]++;
    if (u->state == BLOCKED)
        eng_make_ready(u);
    eng_wrote();
}

void model_join(int thread)
{
    struct thread *t = E.self, *u = &E.threads[thread];
    eng_sched_point(true);
    TRACE(PC(), "join   %s", u->name);
    t->joining = thread;
    if (u->state != FINISHED)
        eng_wait(JOINING, PC());
    eng_observe(t, u->past);
    eng_join(t->cur, eng_snapshot(u));
}

// ---- The machine --------------------------------------------------------------------------------

static bool spurious_return(void)
{
    bool may = E.mode == MODE_REPLAY || E.spurious < E.limits.spurious;
    bool returns = eng_choose(CHOOSE_SPURIOUS, may ? 2 : 1);
    E.spurious += returns;
    return returns;
}

int model_futex_wait(const _Atomic uint32_t *word, uint32_t expected, int64_t deadline)
{
    struct thread *t = E.self;
    if (eng_futex_differs((uintptr_t)word, expected, PC()))
        return 0;
    if (spurious_return()) {
        TRACE(PC(), "futex wait returns for no reason");
        return 0;
    }
    t->futex = (uintptr_t)word;
    t->deadline = deadline;
    t->timed_out = false;
    if (deadline != INT64_MAX)
        E.timed |= bit(t);
    eng_wait(WAITING, PC());
    eng_observe(t, t->timed_out);
    TRACE(PC(), "futex wait %s", t->timed_out ? "times out" : "is woken");
    return t->timed_out ? -ETIMEDOUT : 0;
}

// The kernel looks at its own queue only; the word is but a key. What the caller stored before
// is seen by waits that come after.
void model_futex_wake(const _Atomic uint32_t *word, int count)
{
    struct thread *t = E.self;
    eng_sched_point(true);
    if (E.model->options.strict_wake)
        eng_check_life(eng_cell((uintptr_t)word), 0xfu << ((uintptr_t)word & 7), PC());
    struct location *x = eng_find_location((uintptr_t)word);
    if (x && t->cur[MAX_THREADS + x->index] > x->futex_floor) {
        x->futex_floor = t->cur[MAX_THREADS + x->index];
        eng_part(&x->floor_part, eng_mix(x->place, (uint64_t)x->futex_floor));
    }
    int woken = 0;
    for (; woken < count; woken++) {
        int waiters[MAX_THREADS], n = 0;
        for (int i = 0; i < E.thread_count; i++)
            if (E.threads[i].state == WAITING && E.threads[i].futex == (uintptr_t)word)
                waiters[n++] = i;
        if (n == 0)
            break;
        eng_make_ready(&E.threads[waiters[eng_choose(CHOOSE_WAITER, n)]]);
    }
    TRACE(PC(), "futex wake %s: %d woken", eng_place_name((uintptr_t)word), woken);
    eng_wrote();
}

// The caller's fence, then one in every other thread, then the caller's again.
int model_membarrier(void)
{
    eng_sched_point(true);
    TRACE(PC(), "membarrier");
    eng_fence(E.self, __ATOMIC_SEQ_CST);
    for (int i = 1; i < E.thread_count; i++)
        if (&E.threads[i] != E.self)
            eng_fence(&E.threads[i], __ATOMIC_SEQ_CST);
    eng_fence(E.self, __ATOMIC_SEQ_CST);
    return 0;
}

int64_t model_now(void)
{
    eng_observe(E.self, (uint64_t)E.clock);
    return E.clock;
}

void model_advance(int64_t ns)
{
    eng_sched_point(true);
    E.clock += ns;
}
