// SPDX-License-Identifier: BSD-2-Clause
// memory.c - weak memory: what an atomic operation may read, and what it makes others see.
//
// The model is C11/C20 in the shape of RC11 (no load buffering), run forwards:
//   - A location keeps all its stores in modification order, which is the order of execution: a
//     store or read-modify-write is always appended. (So 2+2W and its like are not shown.)
//   - A thread's view holds, per location, the oldest store it may still read (coherence) and, per
//     thread, how far that one happened before (for races). A store carries the view its reader
//     acquires: the writer's whole view if it releases, else the view of its last release fence.
//     A read-modify-write carries on the view of the store it read: release sequences as in C20.
//   - A relaxed read puts the store's view aside for a later acquire fence.
//   - seq_cst: the order S is the order of execution. E.sc holds per location the last seq_cst
//     store, joined with all views seen by seq_cst fences. A seq_cst load reads nothing older; a
//     seq_cst fence joins it and is joined into it. E.sc says nothing about happens-before. A
//     relaxed read before a fence counts as C20 has it (coherence order includes reads-from).
//   - A failed compare-exchange is a load: it may read any allowed store that differs.
// The bytes in memory always hold the newest store, so that plain accesses which are ordered after
// it (others are races) see it. A plain write to an atomic location appends a pending store.
#include "engine.h"

#include <string.h>

enum { RELAXED, CONSUME, ACQUIRE, RELEASE, ACQ_REL, SEQ_CST };

static bool acquires(int order)
{
    return order == CONSUME || order == ACQUIRE || order >= ACQ_REL;
}

static bool releases(int order)
{
    return order >= RELEASE;
}

void *eng_bump(size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (E.bump_used + size > BUMP_SIZE)
        model_fail("engine: out of memory for one execution (%d bytes)", BUMP_SIZE);
    void *p = E.bump + E.bump_used;
    E.bump_used += size;
    return p;
}

// ---- Views --------------------------------------------------------------------------------------

static void join_stamps(stamp *restrict into, const stamp *restrict from, int first, int end)
{
    into = __builtin_assume_aligned(into + first, 16);
    from = __builtin_assume_aligned(from + first, 16);
    for (int i = 0; i < end - first; i += 8)
        for (int j = i; j < i + 8; j++)
            into[j] = into[j] > from[j] ? into[j] : from[j];
}

void eng_join(stamp *into, const struct view *view)
{
    join_stamps(into, view->at, 0, (int)view->width);
}

const struct view *eng_snapshot(const struct thread *t)
{
    struct view *view = eng_bump(sizeof *view + sizeof(stamp) * (size_t)E.width);
    view->width = (uint32_t)E.width;
    memcpy(view->at, t->cur, sizeof(stamp) * (size_t)E.width);
    return view;
}

static const struct view *joined(const struct view *a, const struct view *b)
{
    if (!a || !b)
        return a ? a : b;
    struct view *view = eng_bump(sizeof *view + sizeof(stamp) * (size_t)E.width);
    view->width = (uint32_t)E.width;
    memset(view->at, 0, sizeof(stamp) * (size_t)E.width);
    eng_join(view->at, a);
    eng_join(view->at, b);
    return view;
}

// Views grow by eight elements at a time; what is new must be 0 in all of them.
void eng_view_of_new_location(int index)
{
    int at = MAX_THREADS + index;
    for (int i = 0; i < E.thread_count; i++)
        memset(&E.threads[i].seen[index], 0, sizeof(struct seen));
    if (at % 8)
        return;
    for (int i = 0; i < E.thread_count; i++) {
        memset(&E.threads[i].cur[at], 0, 8 * sizeof(stamp));
        memset(&E.threads[i].acq[at], 0, 8 * sizeof(stamp));
    }
    memset(&E.sc[at], 0, 8 * sizeof(stamp));
    E.width = at + 8;
}

// What was published covers the thread up to now, and nothing that it does from here on.
static void tick(struct thread *t)
{
    t->cur[t->id]++;
}

static void set_aside(struct thread *t, const struct view *view)
{
    if (!t->acq_set) {
        memset(t->acq, 0, sizeof(stamp) * (size_t)E.width);
        t->acq_set = true;
    }
    eng_join(t->acq, view);
}

// E.sc of this location may have changed.
static void sc_moved(struct location *x)
{
    stamp now = E.sc[MAX_THREADS + x->index];
    if (now == x->sc)
        return;
    uint64_t part = eng_mix(x->place, (uint64_t)now);
    E.sc_state += part - x->sc_part;
    eng_part(&x->sc_part, part);
    x->sc = now;
}

void eng_fence(struct thread *t, int order)
{
    if (acquires(order) && t->acq_set) {
        join_stamps(t->cur, t->acq, 0, E.width);
        t->acq_set = false;
    }
    if (order == SEQ_CST) {
        eng_observe(t, E.sc_state);
        join_stamps(t->cur, E.sc, MAX_THREADS, E.width);
        join_stamps(E.sc, t->cur, MAX_THREADS, E.width);
        for (int i = 0; i < E.locations; i++)
            sc_moved(E.by_index[i]);
    }
    if (releases(order)) {
        t->rel = eng_snapshot(t);
        tick(t);
    }
}

// ---- Locations ----------------------------------------------------------------------------------

static uint64_t read_bytes(uintptr_t addr, unsigned size)
{
    switch (size) {
    case 1: return *(volatile uint8_t *)addr;
    case 2: return *(volatile uint16_t *)addr;
    case 4: return *(volatile uint32_t *)addr;
    default: return *(volatile uint64_t *)addr;
    }
}

static void write_bytes(uintptr_t addr, unsigned size, uint64_t value)
{
    switch (size) {
    case 1: *(volatile uint8_t *)addr = (uint8_t)value; break;
    case 2: *(volatile uint16_t *)addr = (uint16_t)value; break;
    case 4: *(volatile uint32_t *)addr = (uint32_t)value; break;
    default: *(volatile uint64_t *)addr = value;
    }
}

static uint64_t cut(uint64_t value, unsigned size)
{
    return size == 8 ? value : value & ((1ull << (8 * size)) - 1);
}

static struct learned *learn(uintptr_t addr)
{
    uint32_t i = (uint32_t)((addr * 0x9E3779B97F4A7C15ull) >> 40) % LEARNED;
    for (int tries = 0; tries < LEARNED; tries++, i = (i + 1) % LEARNED) {
        if (!E.learned[i].addr)
            E.learned[i].addr = addr;
        if (E.learned[i].addr == addr)
            return &E.learned[i];
    }
    model_fail("engine: more than %d atomic addresses", LEARNED);
}

static struct store *append(struct location *x, uint64_t value, const struct view *view)
{
    if (x->count == x->capacity) {
        struct store *more = eng_bump(sizeof *more * 2 * (size_t)x->capacity);
        memcpy(more, x->stores, sizeof *more * (size_t)x->count);
        x->stores = more;
        x->capacity *= 2;
    }
    struct store *s = &x->stores[x->count++];
    eng_part(&x->mark, eng_mix(x->mark, E.self->past));
    *s = (struct store){value, view, x->mark, E.steps, (uint8_t)E.self->id, false};
    return s;
}

static struct location *create(struct cell *c, uintptr_t addr, unsigned size)
{
    if (E.locations == MAX_LOCATIONS)
        model_fail("engine: more than %d atomic variables in one execution", MAX_LOCATIONS);
    struct location *x = eng_bump(sizeof *x);
    *x = (struct location){.next = c->locations, .cell = c, .addr = addr, .size = (uint8_t)size};
    x->capacity = 4;
    x->stores = eng_bump(sizeof *x->stores * 4);
    x->learned = learn(addr);
    x->index = E.locations++;
    E.by_index[x->index] = x;
    eng_view_of_new_location(x->index);
    x->place = eng_place(addr);
    eng_part(&x->mark, eng_mix(x->place, size));
    x->count = 1;
    x->stores[0] = (struct store){.value = read_bytes(addr, size), .mark = x->mark};
    c->locations = x;
    return x;
}

struct location *eng_find_location(uintptr_t addr)
{
    struct location *x = eng_cell(addr)->locations;
    while (x && x->addr != addr)
        x = x->next;
    return x;
}

struct location *eng_locate(uintptr_t addr, unsigned size, const void *pc)
{
    if (addr < 4096)
        model_fail("null pointer: atomic access to %#lx at %s", (long)addr, eng_code(pc));
    if (addr & (size - 1))
        model_fail("unaligned atomic access at %s", eng_code(pc));
    struct cell *c = eng_cell(addr);
    if (RARELY(c->dead))
        eng_check_life(c, ((1u << size) - 1) << (addr & 7), pc);
    struct location *x = c->locations;
    for (; x; x = x->next) {
        if (x->addr == addr && x->size == size)
            return x;
        if (x->addr < addr + size && addr < x->addr + x->size)
            model_fail("mixed sizes: %s is accessed with %d and with %u bytes, at %s",
                       eng_place_name(addr), x->size, size, eng_code(pc));
    }
    return create(c, addr, size);
}

// ---- One operation ------------------------------------------------------------------------------

static void make_visible(struct learned *l)
{
    E.restart |= !l->visible;
    l->visible = true;
}

static void learn_use(struct learned *l, int kind)
{
    uint32_t bit = 1u << E.self->id;
    uint32_t *mask = kind & ACCESS_WRITE ? &l->writers : &l->readers;
    if ((*mask & bit) || E.phase != PHASE_RUN)
        return;
    *mask |= bit;
    if (l->writers && __builtin_popcount(l->writers | l->readers) > 1)
        make_visible(l);
}

// Everything that comes before an operation itself: scheduling, life and race checks.
static struct location *enter(uintptr_t addr, unsigned size, int kind, const void *pc)
{
    struct location *x = eng_locate(addr, size, pc);
    learn_use(x->learned, kind);
    E.self->wait_pc = pc;
    if (eng_sched_point(x->learned->visible))
        x = eng_locate(addr, size, pc);
    eng_record(x->cell, ((1u << size) - 1) << (addr & 7), kind | ACCESS_ATOMIC, pc);
    struct store *last = &x->stores[x->count - 1];
    if (RARELY(last->pending)) {
        last->value = read_bytes(addr, size);
        last->pending = false;
    }
    return x;
}

static int oldest_readable(struct thread *t, struct location *x, bool sc)
{
    struct seen *seen = &t->seen[x->index];
    int at = MAX_THREADS + x->index;
    int low = t->cur[at] > seen->floor ? t->cur[at] : seen->floor;
    if (sc && E.sc[at] > low)
        low = E.sc[at];
    if (seen->last == low && seen->again > E.limits.reread && low < x->count - 1)
        low++;
    return low > x->count - MAX_STALE ? low : x->count - MAX_STALE;
}

static void read_from(struct thread *t, struct location *x, int which, int order)
{
    int at = MAX_THREADS + x->index;
    struct seen *seen = &t->seen[x->index];
    const struct view *view = x->stores[which].view;
    if (which > t->cur[at])
        t->cur[at] = (stamp)which;
    if (view) {
        if (acquires(order))
            eng_join(t->cur, view);
        else
            set_aside(t, view);
    }
    eng_observe(t, x->stores[which].mark + (which < x->count - 1));
    if (which < x->count - 1) {
        E.stale_reads++;
        seen->again = seen->last == which ? seen->again + 1 : 1;
    }
    seen->last = (stamp)which;
    if (!seen->in_spin && t->spin_reads < MAX_SPIN_READS) {
        seen->in_spin = 1;
        t->spin_read[t->spin_reads++] = (uint16_t)x->index;
    }
}

static bool may_be_stale(void)
{
    return E.limits.stale < 0 || E.mode == MODE_REPLAY || E.stale_reads < E.limits.stale;
}

// Chooses among the stores from `low` on; 0 is the newest.
static int choose_store(struct location *x, int low)
{
    int n = x->count - low;
    if (n > 1 && !may_be_stale())
        n = 1;
    return x->count - 1 - eng_choose(CHOOSE_STORE, n);
}

static const char *which_text(struct location *x, int which)
{
    static char text[120];
    struct store *s = &x->stores[which];
    const char *by = E.threads[s->thread].name;
    if (which == 0)
        snprintf(text, sizeof text, "the initial value");
    else
        snprintf(text, sizeof text, "store #%d, step %u by %s", which, s->step, by);
    if (which < x->count - 1)
        snprintf(text + strlen(text), sizeof text - strlen(text), "; STALE, newest is #%d",
                 x->count - 1);
    return text;
}

static void check_history(struct location *x)
{
    if (x->count > INT16_MAX - 8 || E.self->cur[E.self->id] > INT16_MAX - 8)
        model_fail("engine: too many stores in one execution");
}

uint64_t eng_load(uintptr_t addr, unsigned size, int order, const void *pc)
{
    struct location *x = enter(addr, size, ACCESS_READ, pc);
    struct thread *t = E.self;
    int which = choose_store(x, oldest_readable(t, x, order == SEQ_CST));
    TRACE(pc, "load   %s %s -> %s  (%s)", eng_place_name(addr), eng_order_name(order),
          eng_value_text(x->stores[which].value), which_text(x, which));
    uint64_t value = x->stores[which].value;
    read_from(t, x, which, order);
    return value;
}

// The kernel's look at a futex word: may be stale like any other, but not older than a store that
// its writer made before a wake.
bool eng_futex_differs(uintptr_t addr, uint32_t expected, const void *pc)
{
    // Visible even if nobody writes it: a wake may come before or after.
    make_visible(eng_locate(addr, 4, pc)->learned);
    struct location *x = enter(addr, 4, ACCESS_READ, pc);
    int low = oldest_readable(E.self, x, false);
    int which = choose_store(x, low > x->futex_floor ? low : x->futex_floor);
    uint32_t value = (uint32_t)x->stores[which].value;
    TRACE(pc, "futex wait %s for %s: it is %s%s  (%s)", eng_place_name(addr),
          eng_value_text(expected), eng_value_text(value), value == expected ? "" : ", returns",
          which_text(x, which));
    read_from(E.self, x, which, RELAXED);
    return value != expected;
}

// Appends a store to x; `carried` is the view of the store that a read-modify-write has read.
static void write_to(struct thread *t, struct location *x, uint64_t value, int order,
                     const struct view *carried)
{
    int at = MAX_THREADS + x->index;
    check_history(x);
    t->cur[at] = (stamp)x->count;
    const struct view *own = t->rel;
    if (releases(order))
        own = eng_snapshot(t);
    // What the store carried may already be part of what is published.
    if (carried != own)
        own = joined(own, carried);
    append(x, value, own);
    if (releases(order))
        tick(t);
    if (order == SEQ_CST)
        E.sc[at] = (stamp)(x->count - 1);
    if (order == SEQ_CST)
        sc_moved(x);
    write_bytes(x->addr, x->size, value);
    eng_wrote();
}

void eng_pending_store(struct location *x, struct thread *t)
{
    struct store *last = &x->stores[x->count - 1];
    check_history(x);
    if (last->pending && last->thread == t->id)
        return;
    if (last->pending) {
        last->value = read_bytes(x->addr, x->size);
        last->pending = false;
    }
    append(x, 0, NULL)->pending = true;
    t->cur[MAX_THREADS + x->index] = (stamp)(x->count - 1);
}

void eng_store(uintptr_t addr, unsigned size, uint64_t value, int order, const void *pc)
{
    struct location *x = enter(addr, size, ACCESS_WRITE, pc);
    value = cut(value, size);
    eng_observe(E.self, x->mark);
    TRACE(pc, "store  %s %s <- %s  (#%d)", eng_place_name(addr), eng_order_name(order),
          eng_value_text(value), x->count);
    write_to(E.self, x, value, order, NULL);
}

static uint64_t apply(enum rmw op, uint64_t old, uint64_t operand)
{
    switch (op) {
    case RMW_ADD: return old + operand;
    case RMW_SUB: return old - operand;
    case RMW_AND: return old & operand;
    case RMW_OR: return old | operand;
    case RMW_XOR: return old ^ operand;
    case RMW_NAND: return ~(old & operand);
    default: return operand;
    }
}

// A read-modify-write reads the last store in modification order.
static void modify(struct location *x, uint64_t value, int order)
{
    struct thread *t = E.self;
    const struct view *carried = x->stores[x->count - 1].view;
    read_from(t, x, x->count - 1, order);
    write_to(t, x, value, order, carried);
}

uint64_t eng_rmw(uintptr_t addr, unsigned size, enum rmw op, uint64_t operand, int order,
                 const void *pc)
{
    static const char *const names[] = {"swap", "add", "sub", "and", "or", "xor", "nand"};
    struct location *x = enter(addr, size, ACCESS_WRITE, pc);
    uint64_t old = x->stores[x->count - 1].value;
    uint64_t value = cut(apply(op, old, operand), size);
    TRACE(pc, "%-6s %s %s: %s -> %s  (#%d)", names[op], eng_place_name(addr), eng_order_name(order),
          eng_value_text(old), eng_value_text(value), x->count);
    modify(x, value, order);
    return old;
}

// Candidates, newest first: the last store (it succeeds there if that is the expected value), then
// every older readable store that differs.
static int choose_cas(struct location *x, int low, uint64_t expected)
{
    int candidates[MAX_STALE], n = 0;
    for (int i = x->count - 1; i >= low; i--)
        if (i == x->count - 1 || x->stores[i].value != expected)
            candidates[n++] = i;
    if (n > 1 && !may_be_stale())
        n = 1;
    return candidates[eng_choose(CHOOSE_STORE, n)];
}

static bool fails_spuriously(void)
{
    bool may = E.mode == MODE_REPLAY || E.weak_failures < E.limits.weak;
    bool fails = eng_choose(CHOOSE_WEAK, may ? 2 : 1);
    E.weak_failures += fails;
    return fails;
}

bool eng_cas(uintptr_t addr, unsigned size, uint64_t *expected, uint64_t desired, int success,
             int failure, bool weak, const void *pc)
{
    struct location *x = enter(addr, size, ACCESS_WRITE, pc);
    desired = cut(desired, size);
    int low = oldest_readable(E.self, x, failure == SEQ_CST);
    int which = choose_cas(x, low, *expected);
    uint64_t value = x->stores[which].value;
    bool spurious = weak && value == *expected && fails_spuriously();
    if (value == *expected && !spurious) {
        TRACE(pc, "cas    %s %s: %s -> %s  (#%d)", eng_place_name(addr), eng_order_name(success),
              eng_value_text(value), eng_value_text(desired), x->count);
        modify(x, desired, success);
        return true;
    }
    TRACE(pc, "cas    %s %s: fails%s, wants %s, is %s  (%s)", eng_place_name(addr),
          eng_order_name(failure), spurious ? " for no reason" : "", eng_value_text(*expected),
          eng_value_text(value), which_text(x, which));
    read_from(E.self, x, which, failure);
    *expected = value;
    return false;
}
