// SPDX-License-Identifier: BSD-2-Clause
// timer.h - one shard of a coordinator's timers.
//
// Owns:    links to what shall happen later: tasks that are delayed, and deadlines of waits.
// Callers: any thread; everything is under the shard's lock but the published next expiry.
// Design:  a hierarchical timing wheel (Varghese and Lauck, 1987), six levels of 64 slots; an entry
//          stands on the level of the highest digit in which its tick differs from the present
//          one. Insert and remove are O(1), an entry moves down at most five times.
// Limits:  a tick is 16,384 ns; nothing is early, and what is beyond 2^36 ticks (13 days) is put
//          off and looked at again.
#ifndef OAI_SCHED_TIMER_H
#define OAI_SCHED_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/list.h"
#include "base/lock.h"

typedef struct oai_task oai_task_t;

enum { OAI_TIMER_LEVELS = 6, OAI_TIMER_SLOTS = 64, OAI_TICK_SHIFT = 14 };

// An entry. A delayed task holds one in itself, a wait with a deadline on its stack. Under the
// lock of its shard while it is linked.
typedef struct oai_timer {
    oai_link_t link;   // circular; next is NULL while it is in no shard
    uint64_t due_kind; // the tick at which it is due, shifted left by one; bit 0: an oai_deadline_t
} oai_timer_t;

// The deadline of a task's wait.
typedef struct oai_deadline {
    oai_timer_t timer;
    oai_task_t *task; // NULL: it is the blocking pool's, see pool.c
    uint64_t word;    // the unclaimed wait word of that wait: a late expiry misses
} oai_deadline_t;

// What oai_timers_expire() found due.
typedef struct oai_fired {
    oai_task_t *task;
    uint64_t word; // of the deadline
    bool fresh;    // a delayed task that may begin
} oai_fired_t;

typedef struct oai_timers {
    _Alignas(OAI_CACHELINE) oai_lock_t lock;
    bool closed;      // no delayed task may be added: the coordinator is being cancelled
    uint64_t elapsed; // the last tick that was worked off
    // Nanoseconds before which nothing is due, INT64_MAX when there is nothing. Written under the
    // lock; read by anybody (the protocol is told in idle.c).
    _Atomic int64_t next;
    uint64_t occupied[OAI_TIMER_LEVELS]; // a bit a slot; a set one may be empty, never the reverse
    oai_link_t due;                      // what was found due and not yet handed out
    oai_link_t slots[OAI_TIMER_LEVELS][OAI_TIMER_SLOTS];
} oai_timers_t;

void oai_timers_init(oai_timers_t *shard, int64_t now);

// Links a delayed task, due at `expiry` (ns), into shard number `index` of its coordinator. 0: from
// here on the task may begin; *earlier tells that the published next expiry was lowered.
// -ESHUTDOWN: the shard is closed. -ECANCELED: the task was cancelled meanwhile.
int oai_timers_delay(oai_timers_t *shard, unsigned index, oai_task_t *task, int64_t expiry,
                     bool *earlier);

// Links a deadline, due at `expiry` (ns). Returns true when the published next expiry was lowered.
bool oai_timers_insert(oai_timers_t *shard, oai_deadline_t *deadline, int64_t expiry);

// Unlinks a deadline, if it has not been found due yet.
void oai_timers_remove(oai_timers_t *shard, oai_deadline_t *deadline);

// Takes a delayed task, which the caller has pinned, out before its time. False when it is delayed
// no more.
bool oai_timers_undelay(oai_timers_t *shard, oai_task_t *task);

// Hands out what is due at `now`, `most` at most; returns how many. Full: call again.
size_t oai_timers_expire(oai_timers_t *shard, int64_t now, oai_fired_t fired[], size_t most);

// Closes the shard to delayed tasks and takes those that it has, linked by `next`.
oai_task_t *oai_timers_close(oai_timers_t *shard);

#endif
