// SPDX-License-Identifier: BSD-2-Clause
// shadow.c - what may happen to memory besides weak reads: data races, and touching what is dead.
//
// Memory is watched in cells of eight bytes, found in a hash table. A cell remembers the accesses
// that can still race, each with the clock of its thread: a later access that conflicts (same
// bytes, one a write, not both atomic) and does not have that clock in its view is a data race.
// Dead bytes (freed, out of bounds, declared dead, or of a frame that has been left) may not be
// touched by anyone, atomically or not; a thread brings its own dead frames back by using them.
// Most of a large block was never touched: its end walks the cells that are there, and remembers
// the rest as one grave.
#include "engine.h"

#include <string.h>

static uintptr_t stacks_end(void)
{
    return (uintptr_t)E.stacks + (uintptr_t)STACK_SIZE * MAX_THREADS;
}

static struct thread *owner_of_stack(uintptr_t addr)
{
    if (addr < (uintptr_t)E.stacks || addr >= stacks_end())
        return NULL;
    return &E.threads[(addr - (uintptr_t)E.stacks) / STACK_SIZE];
}

static void watch_frame(struct cell *c)
{
    struct thread *owner = owner_of_stack(c->key * 8);
    if (!owner)
        return;
    struct stack_cell *s = eng_bump(sizeof *s);
    if (!owner->stack_cells || owner->lowest_cell > c->key * 8)
        owner->lowest_cell = c->key * 8;
    *s = (struct stack_cell){owner->stack_cells, c};
    owner->stack_cells = s;
}

static bool in_grave(const struct grave *g, uintptr_t addr)
{
    return addr >= g->start && addr < g->end;
}

static void look_for_grave(struct cell *c)
{
    for (int i = 0; i < E.grave_count; i++) {
        const struct grave *g = &E.graves[i];
        if (in_grave(g, c->key * 8)) {
            c->dead = 0xff;
            c->death = g->death;
            c->killer = g->killer;
            c->death_pc = g->pc;
        }
    }
}

// Neighbours stay together, as they are used together.
static inline size_t cell_hash(uintptr_t key)
{
    enum { TOGETHER = 6 };
    size_t group = ((key >> TOGETHER) * 0x9E3779B97F4A7C15ull) >> (64 - CELL_BITS + TOGETHER);
    return group << TOGETHER | (key & ((1u << TOGETHER) - 1));
}

// The place of a cell in the table: its own, or a free one.
static struct cell *place_of(uintptr_t key)
{
    size_t i = cell_hash(key);
    while (E.cells[i].epoch == E.epoch && E.cells[i].key != key)
        i = (i + 1) % CELLS;
    return &E.cells[i];
}

struct cell *eng_cell(uintptr_t addr)
{
    uintptr_t key = addr / 8;
    struct cell *c = place_of(key);
    if (c->epoch == E.epoch)
        return c;
    if (E.cells_used == CELLS * 3 / 4)
        model_fail("engine: too much memory touched in one execution");
    E.used[E.cells_used++] = c;
    *c = (struct cell){.key = key, .epoch = E.epoch};
    look_for_grave(c);
    watch_frame(c);
    return c;
}

// ---- Races --------------------------------------------------------------------------------------

static const char *kind_name(int kind)
{
    static const char *const names[] = {"read", "write", "atomic read", "atomic write"};
    return names[kind];
}

static void report_race(struct cell *c, const struct access *old, int kind, const void *pc)
{
    model_fail("data race on %s: %s by %s at %s, and before, not ordered, %s by %s at %s",
               eng_place_name(c->key * 8 + (unsigned)__builtin_ctz(old->mask)), kind_name(kind),
               E.self->name, eng_code(pc), kind_name(old->kind), E.threads[old->thread].name,
               eng_code(old->pc));
}

static bool conflict(const struct access *old, int kind)
{
    return ((old->kind | kind) & ACCESS_WRITE) && !(old->kind & kind & ACCESS_ATOMIC);
}

// Whether what races with this access races with the newest one, too: most values are read just
// after they were written or read.
static inline bool said_already(const struct cell *c, unsigned mask, int kind)
{
    const struct access *a = &c->newest;
    const struct thread *t = E.self;
    return a->thread == t->id && a->clock == (uint16_t)t->cur[t->id] && !(mask & ~a->mask) &&
           (a->kind == kind || a->kind == ACCESS_WRITE);
}

static inline void check_race(struct cell *c, const struct access *old, unsigned mask, int kind,
                              const void *pc)
{
    if ((old->mask & mask) && old->clock > E.self->cur[old->thread] && conflict(old, kind))
        report_race(c, old, kind, pc);
}

// Is `old` of no more use once the new access is remembered? It is if whatever would race with it
// would race with the new one too; the two are ordered already.
static bool covered(const struct access *old, unsigned mask, int kind)
{
    if (old->mask & ~mask)
        return false;
    if (kind == ACCESS_WRITE)
        return true;
    return old->thread == E.self->id && (old->kind == kind || old->kind == ACCESS_ATOMIC);
}

void eng_record(struct cell *c, unsigned mask, int kind, const void *pc)
{
    struct thread *t = E.self;
    uint16_t now = (uint16_t)t->cur[t->id];
    struct access *newest = &c->newest, *reuse = NULL, **link = &newest->next;
    if (!newest->next && newest->thread == t->id && newest->mask == mask && newest->kind == kind) {
        newest->pc = pc;
        newest->clock = now;
        return;
    }
    check_race(c, newest, mask, kind, pc);
    for (struct access *a; (a = *link);) {
        check_race(c, a, mask, kind, pc);
        if (covered(a, mask, kind)) {
            *link = a->next;
            reuse = a;
        } else {
            link = &a->next;
        }
    }
    if (newest->mask && !covered(newest, mask, kind)) {
        if (!reuse)
            reuse = eng_bump(sizeof *reuse);
        *reuse = *newest;
        newest->next = reuse;
    }
    newest->pc = pc;
    newest->clock = now;
    newest->thread = (uint8_t)t->id;
    newest->mask = (uint8_t)mask;
    newest->kind = (uint8_t)kind;
}

static void plain_cell(struct cell *c, unsigned mask, int kind, const void *pc)
{
    if (RARELY(c->dead & mask))
        eng_check_life(c, mask, pc);
    eng_record(c, mask, kind, pc);
    if (RARELY(c->locations != NULL) && kind == ACCESS_WRITE)
        for (struct location *x = c->locations; x; x = x->next)
            if (mask & (((1u << x->size) - 1) << (x->addr & 7)))
                eng_pending_store(x, E.self);
}

// All of setup comes before the threads, and all of check behind them: what they touch there needs
// no cell, unless it may be dead, or is of a frame that will be.
static bool nobody_races(uintptr_t addr)
{
    return E.phase != PHASE_RUN && E.grave_count == 0 && !owner_of_stack(addr);
}

// Any access.
static __attribute__((noinline)) void plain_slowly(uintptr_t addr, size_t size, int kind,
                                                   const void *pc)
{
    if (addr < 4096)
        model_fail("null pointer: access to %#lx at %s", (long)addr, eng_code(pc));
    bool alone = nobody_races(addr);
    for (uintptr_t end = addr + size; addr < end;) {
        unsigned first = addr & 7;
        unsigned count = end - addr < 8 - first ? (unsigned)(end - addr) : 8 - first;
        if (!alone || place_of(addr / 8)->epoch == E.epoch)
            plain_cell(eng_cell(addr), ((1u << count) - 1) << first, kind, pc);
        addr += count;
    }
}

// Most are within one cell, and find it where it should be, alive; or are of setup, and find none.
void eng_plain(uintptr_t addr, size_t size, int kind, const void *pc)
{
    if (RARELY(++E.plain_steps > 4000000))
        model_fail("endless: 4,000,000 plain accesses, at %s", eng_code(pc));
    struct cell *c = &E.cells[cell_hash(addr / 8)];
    if ((addr & 7) + size > 8 || addr < 4096) {
        plain_slowly(addr, size, kind, pc);
    } else if (c->epoch != E.epoch) {
        if (!nobody_races(addr))
            plain_slowly(addr, size, kind, pc);
    } else if (c->key != addr / 8 || c->dead || (c->locations && kind == ACCESS_WRITE)) {
        plain_slowly(addr, size, kind, pc);
    } else {
        unsigned mask = ((1u << size) - 1) << (addr & 7);
        if (!said_already(c, mask, kind))
            eng_record(c, mask, kind, pc);
    }
}

// ---- Life and death -----------------------------------------------------------------------------

static void forget(struct cell *c)
{
    c->dead = 0;
    c->death = ALIVE;
    c->newest = (struct access){0};
    c->locations = NULL;
}

void eng_check_life(struct cell *c, unsigned mask, const void *pc)
{
    static const char *const what[] = {"", "freed memory", "the left stack frame",
                                       "memory declared dead", "memory outside of any block"};
    if (!(c->dead & mask))
        return;
    if (owner_of_stack(c->key * 8) == E.self) {
        forget(c);
        watch_frame(c);
        return;
    }
    model_fail("use after free: %s touches %s %s at %s; it ended by %s at %s", E.self->name,
               what[c->death], eng_place_name(c->key * 8), eng_code(pc), E.threads[c->killer].name,
               eng_code(c->death_pc));
}

static void kill_cell(struct cell *c, unsigned mask, enum death death, const void *pc)
{
    c->dead |= (uint8_t)mask;
    c->death = death;
    c->killer = E.self ? (uint8_t)E.self->id : 0;
    c->death_pc = pc;
}

void eng_kill(uintptr_t start, size_t size, enum death death, const void *pc)
{
    for (uintptr_t at = start, end = start + size; at < end;) {
        unsigned first = at & 7;
        unsigned count = end - at < 8 - first ? (unsigned)(end - at) : 8 - first;
        kill_cell(eng_cell(at), ((1u << count) - 1) << first, death, pc);
        at += count;
    }
}

// Whether any of it is in a grave.
static bool graves_in(uintptr_t start, uintptr_t end)
{
    for (int i = 0; i < E.grave_count; i++)
        if (E.graves[i].start < end && start < E.graves[i].end)
            return true;
    return false;
}

// Multiples of 8: the last write to each cell that is there, then its death; all others are born
// dead from now on.
static void bury(uintptr_t start, uintptr_t end, enum death death, const void *pc)
{
    if (E.grave_count == MAX_GRAVES)
        model_fail("engine: too much memory has died in one execution");
    for (int i = 0; i < E.cells_used; i++) {
        struct cell *c = E.used[i];
        if (c->key >= start / 8 && c->key < end / 8) {
            plain_cell(c, 0xff, ACCESS_WRITE, pc);
            kill_cell(c, 0xff, death, pc);
        }
    }
    uint8_t killer = E.self ? (uint8_t)E.self->id : 0;
    E.graves[E.grave_count++] = (struct grave){start, end, (uint8_t)death, killer, pc};
}

// All of it is written for the last time, which races with whoever still uses it, and is dead.
static void end_life(uintptr_t start, size_t size, enum death death, const void *pc)
{
    uintptr_t end = start + size;
    uintptr_t inner = (start + 7) & ~7ul, inner_end = end & ~7ul;
    if (inner >= inner_end || graves_in(start, end)) {
        eng_plain(start, size, ACCESS_WRITE, pc);
        eng_kill(start, size, death, pc);
        return;
    }
    eng_plain(start, inner - start, ACCESS_WRITE, pc);
    eng_plain(inner_end, end - inner_end, ACCESS_WRITE, pc);
    eng_kill(start, inner - start, death, pc);
    eng_kill(inner_end, end - inner_end, death, pc);
    bury(inner, inner_end, death, pc);
}

void eng_revive(uintptr_t start, size_t size)
{
    for (int i = 0; i < E.grave_count; i++)
        if (E.graves[i].start >= start && E.graves[i].end <= start + size)
            E.graves[i--] = E.graves[--E.grave_count];
    if (graves_in(start, start + size))
        model_fail("engine: a part of what has died is to live again");
    for (int i = 0; i < E.cells_used; i++)
        if (E.used[i]->key >= start / 8 && E.used[i]->key * 8 < start + size)
            forget(E.used[i]);
}

// The function that returns occupies the stack below its caller's stack pointer. What stood there
// is written for the last time, which races with whoever still uses it.
void eng_leave_frame(const void *pc)
{
    struct thread *t = E.self;
    if (t->frames_used)
        t->frames_used--;
    uintptr_t alive = t->frames_used ? t->frames[t->frames_used - 1] : UINTPTR_MAX;
    if (!t->stack_cells || t->lowest_cell >= alive)
        return;
    struct stack_cell **link = &t->stack_cells;
    t->lowest_cell = UINTPTR_MAX;
    for (struct stack_cell *s; (s = *link);) {
        if (s->cell->key * 8 < alive) {
            if (!s->cell->dead) {
                eng_record(s->cell, 0xff, ACCESS_WRITE, pc);
                kill_cell(s->cell, 0xff, DEAD_FRAME, pc);
            }
            *link = s->next;
        } else {
            if (t->lowest_cell > s->cell->key * 8)
                t->lowest_cell = s->cell->key * 8;
            link = &s->next;
        }
    }
}

// The heap and the graves are one thing: all that is done to them has an order.
static void observe_heap(void)
{
    eng_observe(E.self, E.heap_part);
    eng_part(&E.heap_part, eng_mix(E.heap_part, E.self->past));
}

void model_dead(const void *start, size_t size)
{
    observe_heap();
    TRACE(PC(), "dead   %s, %zu bytes", eng_place_name((uintptr_t)start), size);
    end_life((uintptr_t)start, size, DEAD_DECLARED, PC());
}

void model_alive(const void *start, size_t size)
{
    eng_observe(E.self, E.state);
    eng_revive((uintptr_t)start, size);
}

// ---- The heap -----------------------------------------------------------------------------------

static struct block *reusable(size_t size)
{
    for (int i = E.block_count - 1; i >= 0; i--)
        if (E.blocks[i].freed && E.blocks[i].size == size)
            return eng_choose(CHOOSE_REUSE, 2) ? &E.blocks[i] : NULL;
    return NULL;
}

static struct block *fresh_block(size_t size, const void *pc)
{
    size_t align = size >= 64 ? 64 : 16;
    size_t at = (E.arena_used + 8 + align - 1) & ~(align - 1);
    if (at + size + 8 > ARENA_SIZE || E.block_count == MAX_BLOCKS)
        model_fail("engine: model_alloc(%zu) does not fit", size);
    struct block *b = &E.blocks[E.block_count++];
    *b = (struct block){.start = E.arena + at, .size = size};
    E.arena_used = at + ((size + 7) & ~7ul);
    eng_kill((uintptr_t)b->start - 8, 8, DEAD_ZONE, pc);
    eng_kill((uintptr_t)E.arena + E.arena_used, 8, DEAD_ZONE, pc);
    if (size & 7)
        eng_kill((uintptr_t)b->start + size, 8 - (size & 7), DEAD_ZONE, pc);
    return b;
}

void *model_alloc(size_t size)
{
    size = size ? size : 1;
    observe_heap();
    struct block *b = reusable(size);
    if (b) {
        eng_join(E.self->cur, b->view);
        eng_revive((uintptr_t)b->start, size);
        b->freed = false;
    } else {
        b = fresh_block(size, PC());
    }
    memset(b->start, 0xAA, size);
    TRACE(PC(), "alloc  %zu bytes: block %d at %p", size, (int)(b - E.blocks), (void *)b->start);
    return b->start;
}

void model_free(void *start)
{
    struct block *b = E.blocks, *end = E.blocks + E.block_count;
    if (!start)
        return;
    while (b < end && b->start != start)
        b++;
    if (b == end)
        model_fail("free of %p, which is no block, at %s", start, eng_code(PC()));
    if (b->freed)
        model_fail("use after free: block %d is freed twice, at %s", (int)(b - E.blocks),
                   eng_code(PC()));
    observe_heap();
    TRACE(PC(), "free   block %d", (int)(b - E.blocks));
    end_life((uintptr_t)start, b->size, DEAD_FREED, PC());
    b->freed = true;
    b->view = eng_snapshot(E.self);
    E.self->cur[E.self->id]++;
}

void eng_check_leaks(void)
{
    for (int i = 0; i < E.block_count && E.model->options.leaks; i++)
        if (!E.blocks[i].freed)
            model_fail("leak: block %d of %zu bytes is still there at the end", i,
                       E.blocks[i].size);
}
