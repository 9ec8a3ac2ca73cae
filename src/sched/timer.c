// SPDX-License-Identifier: BSD-2-Clause
// timer.c - a hierarchical timing wheel (see timer.h).
#include "sched/timer.h"

#include "sched/internal.h"

enum { DIGIT = 6, SLOT_MASK = OAI_TIMER_SLOTS - 1, SCAN = 16 };

static const uint64_t last_tick = (UINT64_C(1) << (DIGIT * OAI_TIMER_LEVELS)) - 1;

// ---- Circular lists ----------------------------------------------------------------------------

static void ring_init(oai_link_t *ring)
{
    ring->prev = ring->next = ring;
}

static void ring_append(oai_link_t *ring, oai_link_t *link)
{
    link->prev = ring->prev;
    link->next = ring;
    ring->prev->next = link;
    ring->prev = link;
}

static void ring_remove(oai_link_t *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->next = NULL;
}

static oai_timer_t *timer_of(oai_link_t *link)
{
    return oai_container(link, oai_timer_t, link);
}

static uint64_t due_tick(const oai_timer_t *timer)
{
    return timer->due_kind >> 1;
}

// ---- The wheel, under the shard's lock ----------------------------------------------------------

// The first tick at which `expiry` has been reached; the last that the clock can count to, if it
// lies beyond that.
static uint64_t tick_of(int64_t expiry)
{
    const uint64_t last = INT64_MAX >> OAI_TICK_SHIFT;
    uint64_t tick = ((uint64_t)expiry + (1u << OAI_TICK_SHIFT) - 1) >> OAI_TICK_SHIFT;
    return tick < last ? tick : last;
}

static int64_t time_of(uint64_t tick)
{
    return (int64_t)(tick << OAI_TICK_SHIFT);
}

// Links a timer on the level of the highest digit in which its tick differs from the present one.
static void place(oai_timers_t *shard, oai_timer_t *timer)
{
    uint64_t tick = due_tick(timer);
    if (tick <= shard->elapsed) {
        ring_append(&shard->due, &timer->link);
        return;
    }
    if (tick - shard->elapsed > last_tick / 2)
        tick = shard->elapsed + last_tick / 2; // looked at again then
    uint64_t differing = (shard->elapsed ^ tick) | 1;
    unsigned level = (unsigned)(63 - __builtin_clzll(differing)) / DIGIT;
    if (level >= OAI_TIMER_LEVELS)
        level = OAI_TIMER_LEVELS - 1;
    unsigned slot = (tick >> (DIGIT * level)) & SLOT_MASK;
    ring_append(&shard->slots[level][slot], &timer->link);
    shard->occupied[level] |= UINT64_C(1) << slot;
}

// Finds the slot that comes first, and the tick at which it begins. False: all are empty.
static bool first_slot(oai_timers_t *shard, unsigned *level, unsigned *slot, uint64_t *tick)
{
    for (unsigned l = 0; l < OAI_TIMER_LEVELS; l++) {
        while (shard->occupied[l]) {
            unsigned shift = DIGIT * l;
            unsigned now = (shard->elapsed >> shift) & SLOT_MASK;
            uint64_t bits = shard->occupied[l];
            uint64_t turned = now ? (bits >> now) | (bits << (64 - now)) : bits;
            unsigned ahead = (unsigned)__builtin_ctzll(turned);
            unsigned s = (now + ahead) & SLOT_MASK;
            if (shard->slots[l][s].next == &shard->slots[l][s]) {
                shard->occupied[l] &= ~(UINT64_C(1) << s);
                continue;
            }
            *level = l;
            *slot = s;
            *tick = ((shard->elapsed >> shift) + ahead) << shift;
            return true;
        }
    }
    return false;
}

// Moves what a slot holds to where it belongs now that `elapsed` has reached the slot's beginning.
static void open_slot(oai_timers_t *shard, unsigned level, unsigned slot)
{
    oai_link_t *ring = &shard->slots[level][slot];
    oai_link_t *link = ring->next;
    ring_init(ring);
    shard->occupied[level] &= ~(UINT64_C(1) << slot);
    while (link != ring) {
        oai_link_t *next = link->next;
        place(shard, timer_of(link));
        link = next;
    }
}

// Works off all ticks until `now`; what is due then stands in the due list.
static void advance(oai_timers_t *shard, uint64_t now)
{
    unsigned level, slot;
    uint64_t tick;
    while (first_slot(shard, &level, &slot, &tick) && tick <= now) {
        if (tick > shard->elapsed)
            shard->elapsed = tick;
        open_slot(shard, level, slot);
    }
    if (now > shard->elapsed)
        shard->elapsed = now;
}

// When there is something to do next: exact for short slots, else when the slot begins.
static int64_t next_time(oai_timers_t *shard)
{
    unsigned level, slot;
    uint64_t tick;
    if (shard->due.next != &shard->due)
        return 0;
    if (!first_slot(shard, &level, &slot, &tick))
        return INT64_MAX;
    if (level == 0)
        return time_of(tick);
    uint64_t least = UINT64_MAX;
    int looked = 0;
    oai_link_t *ring = &shard->slots[level][slot];
    for (oai_link_t *link = ring->next; link != ring; link = link->next) {
        if (++looked > SCAN)
            return time_of(tick);
        if (due_tick(timer_of(link)) < least)
            least = due_tick(timer_of(link));
    }
    if (level == OAI_TIMER_LEVELS - 1) // may have been put off
        return time_of(tick);
    return time_of(least);
}

// Lowers the published next expiry. Seq_cst: the other half of the Dekker pair told in idle.c.
static bool publish_sooner(oai_timers_t *shard, uint64_t tick)
{
    int64_t time = time_of(tick);
    if (time >= atomic_load_explicit(&shard->next, memory_order_relaxed))
        return false;
    atomic_store_explicit(&shard->next, time, memory_order_seq_cst);
    return true;
}

// ---- The shard ----------------------------------------------------------------------------------

void oai_timers_init(oai_timers_t *shard, int64_t now)
{
    shard->lock = (oai_lock_t)OAI_LOCK_INIT;
    shard->closed = false;
    shard->elapsed = (uint64_t)now >> OAI_TICK_SHIFT;
    atomic_init(&shard->next, INT64_MAX);
    ring_init(&shard->due);
    for (unsigned level = 0; level < OAI_TIMER_LEVELS; level++) {
        shard->occupied[level] = 0;
        for (unsigned slot = 0; slot < OAI_TIMER_SLOTS; slot++)
            ring_init(&shard->slots[level][slot]);
    }
}

bool oai_timers_insert(oai_timers_t *shard, oai_deadline_t *deadline, int64_t expiry)
{
    uint64_t tick = tick_of(expiry);
    deadline->timer.due_kind = tick << 1 | 1;
    oai_lock(&shard->lock);
    place(shard, &deadline->timer);
    bool earlier = publish_sooner(shard, tick);
    oai_unlock(&shard->lock);
    return earlier;
}

int oai_timers_delay(oai_timers_t *shard, unsigned index, oai_task_t *task, int64_t expiry,
                     bool *earlier)
{
    uint64_t tick = tick_of(expiry);
    uint32_t flags = (uint32_t)index << OAI_TASK_SHARD_SHIFT | OAI_TASK_DELAYED;
    int err = 0;
    task->fresh.timer.due_kind = tick << 1;
    oai_lock(&shard->lock);
    if (shard->closed) {
        err = -ESHUTDOWN;
        // Relaxed: the lock publishes it. A canceller sees DELAYED or is seen here.
    } else if (atomic_fetch_or_explicit(&task->flags, flags, memory_order_relaxed) &
               OAI_TASK_CANCELLED) {
        atomic_fetch_and_explicit(&task->flags, ~(uint32_t)OAI_TASK_DELAYED, memory_order_relaxed);
        err = -ECANCELED;
    } else {
        place(shard, &task->fresh.timer);
        *earlier = publish_sooner(shard, tick);
    }
    oai_unlock(&shard->lock);
    return err;
}

void oai_timers_remove(oai_timers_t *shard, oai_deadline_t *deadline)
{
    oai_lock(&shard->lock);
    if (deadline->timer.link.next)
        ring_remove(&deadline->timer.link);
    oai_unlock(&shard->lock);
}

bool oai_timers_undelay(oai_timers_t *shard, oai_task_t *task)
{
    oai_lock(&shard->lock);
    // Relaxed: the flag changes under this lock.
    bool delayed =
        (atomic_load_explicit(&task->flags, memory_order_relaxed) & OAI_TASK_DELAYED) != 0;
    if (delayed) {
        atomic_fetch_and_explicit(&task->flags, ~(uint32_t)OAI_TASK_DELAYED, memory_order_relaxed);
        ring_remove(&task->fresh.timer.link);
    }
    oai_unlock(&shard->lock);
    return delayed;
}

// Unlinks a timer that is due and tells what it was. The deadline is gone once the lock is free.
static oai_fired_t hand_out(oai_timer_t *timer)
{
    ring_remove(&timer->link);
    if (timer->due_kind & 1) {
        oai_deadline_t *deadline = oai_container(timer, oai_deadline_t, timer);
        return (oai_fired_t){.task = deadline->task, .word = deadline->word, .fresh = false};
    }
    oai_task_t *task = oai_container(timer, oai_task_t, fresh.timer);
    atomic_fetch_and_explicit(&task->flags, ~(uint32_t)OAI_TASK_DELAYED, memory_order_relaxed);
    return (oai_fired_t){.task = task, .word = 0, .fresh = true};
}

size_t oai_timers_expire(oai_timers_t *shard, int64_t now, oai_fired_t fired[], size_t most)
{
    // Relaxed: who is late here comes again; the sleeper's look is in idle.c.
    if (atomic_load_explicit(&shard->next, memory_order_relaxed) > now)
        return 0;
    size_t count = 0;
    oai_lock(&shard->lock);
    advance(shard, (uint64_t)now >> OAI_TICK_SHIFT);
    while (count < most && shard->due.next != &shard->due)
        fired[count++] = hand_out(timer_of(shard->due.next));
    atomic_store_explicit(&shard->next, next_time(shard), memory_order_seq_cst);
    oai_unlock(&shard->lock);
    return count;
}

// Moves the delayed tasks of a circular list to a chain linked by `next`.
static oai_task_t *take_delayed(oai_link_t *ring, oai_task_t *chain)
{
    for (oai_link_t *link = ring->next, *next; link != ring; link = next) {
        next = link->next;
        if (timer_of(link)->due_kind & 1)
            continue;
        oai_fired_t fired = hand_out(timer_of(link));
        fired.task->next = chain;
        chain = fired.task;
    }
    return chain;
}

oai_task_t *oai_timers_close(oai_timers_t *shard)
{
    oai_lock(&shard->lock);
    shard->closed = true;
    oai_task_t *chain = take_delayed(&shard->due, NULL);
    for (unsigned level = 0; level < OAI_TIMER_LEVELS; level++)
        for (unsigned slot = 0; slot < OAI_TIMER_SLOTS; slot++)
            chain = take_delayed(&shard->slots[level][slot], chain);
    atomic_store_explicit(&shard->next, next_time(shard), memory_order_seq_cst);
    oai_unlock(&shard->lock);
    return chain;
}
