// SPDX-License-Identifier: BSD-2-Clause
// select.c - waits until one of several sends and receives can happen.
//
// All channels of a select are locked together, in the order of their addresses, so that what it
// finds holds for all of them at one moment, and two selects meet as if one came first. Its cases
// are tried in random order. If none can happen, a wait is linked for each: parts of one wait, so
// that one claimer wins one of them. Whoever that is does the transfer as with any waiter. The
// select, let go, sees by the mark in which part it was, takes the other parts back, one lock at a
// time, and returns. Go's runtime does it so (src/runtime/select.go).
//
// Nothing is allocated: parts and orders stand in the cases.
//
// Last touch: the part that was claimed is off its list, and its channel is not touched again. The
// other parts are linked, or counted as coming, until they are taken back: that keeps their
// channels.
#include <errno.h>
#include <limits.h>
#include <stdbool.h>

#include "sync/channel.h"

// What stands in a case during a select.
typedef struct case_state {
    _Alignas(oai_wait_t) char part[OAI_WAIT_PART]; // an oai_wait_t as far as a part has it
    // Of two lists of all cases by index, the entries with this case's own index.
    uint32_t turn;  // in random order
    uint32_t place; // by the channel's address
} case_state_t;

_Static_assert(sizeof(case_state_t) <= sizeof(((oa_case_t *)0)->oa_reserved),
               "fits what is public");
_Static_assert(_Alignof(case_state_t) <= _Alignof(oa_case_t), "aligned as what is public");

static case_state_t *state_of(oa_case_t *c)
{
    return (case_state_t *)(void *)c->oa_reserved;
}

static oai_wait_t *part_of(oa_case_t *c)
{
    return (oai_wait_t *)(void *)state_of(c)->part;
}

static oai_waiters_t *waiters_of(oa_case_t *c)
{
    return c->kind == OA_CASE_SEND ? &c->ch->senders : &c->ch->receivers;
}

static bool valid(const oa_case_t cases[], size_t n)
{
    if (!cases || n == 0 || n > INT_MAX)
        return false;
    for (const oa_case_t *c = cases; c < cases + n; c++) {
        if (c->kind != OA_CASE_SEND && c->kind != OA_CASE_RECV)
            return false;
        if (c->kind == OA_CASE_SEND && c->ch && !c->send && c->ch->queue.elem_size != 0)
            return false;
    }
    return true;
}

// ---- The two orders -----------------------------------------------------------------------------

// A random permutation, each as likely as any other (Fisher and Yates, inside out).
static void take_turns(oa_case_t cases[], uint32_t n)
{
    state_of(&cases[0])->turn = 0;
    for (uint32_t i = 1; i < n; i++) {
        uint32_t other = oai_wait_random_below(i + 1);
        state_of(&cases[i])->turn = state_of(&cases[other])->turn;
        state_of(&cases[other])->turn = i;
    }
}

// The channel at a place in the order of addresses; NULL comes first.
static oa_chan_t *channel_at(oa_case_t cases[], uint32_t place)
{
    return cases[state_of(&cases[place])->place].ch;
}

static bool before(const oa_chan_t *ch, const oa_chan_t *other)
{
    return (uintptr_t)ch < (uintptr_t)other;
}

// Restores the heap of the first `n` places, whose greatest is at its root, below `root`.
static void sink(oa_case_t cases[], uint32_t root, uint32_t n)
{
    uint32_t sinking = state_of(&cases[root])->place;
    for (uint32_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && before(channel_at(cases, child), channel_at(cases, child + 1)))
            child++;
        if (!before(cases[sinking].ch, channel_at(cases, child)))
            break;
        state_of(&cases[root])->place = state_of(&cases[child])->place;
    }
    state_of(&cases[root])->place = sinking;
}

// Sorts the places by address: a heap sort, which needs no memory and is never slow.
static void take_places(oa_case_t cases[], uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        state_of(&cases[i])->place = i;
    for (uint32_t root = n / 2; root-- > 0;)
        sink(cases, root, n);
    for (uint32_t last = n; last-- > 1;) {
        uint32_t greatest = state_of(&cases[0])->place;
        state_of(&cases[0])->place = state_of(&cases[last])->place;
        state_of(&cases[last])->place = greatest;
        sink(cases, 0, last);
    }
}

// The channel at a place if it stands at none before, else NULL.
static oa_chan_t *first_at(oa_case_t cases[], uint32_t place)
{
    oa_chan_t *ch = channel_at(cases, place);
    return place > 0 && channel_at(cases, place - 1) == ch ? NULL : ch;
}

static void lock_all(oa_case_t cases[], uint32_t n)
{
    for (uint32_t place = 0; place < n; place++) {
        oa_chan_t *ch = first_at(cases, place);
        if (ch)
            oai_lock(&ch->lock);
    }
}

static void unlock_all(oa_case_t cases[], uint32_t n)
{
    for (uint32_t place = 0; place < n; place++) {
        oa_chan_t *ch = first_at(cases, place);
        if (ch)
            oai_unlock(&ch->lock);
    }
}

// ---- Trying and waiting -------------------------------------------------------------------------

// Under all locks: does the first case in turn that needs no wait. Its index, or -EAGAIN. *wake:
// who is to be made ready.
static int try_all(oa_case_t cases[], uint32_t n, oai_wait_t **wake)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t index = state_of(&cases[i])->turn;
        oa_case_t *c = &cases[index];
        if (!c->ch)
            continue;
        int err = c->kind == OA_CASE_SEND ? oai_chan_try_send(c->ch, c->send, wake)
                                          : oai_chan_try_recv(c->ch, c->recv, wake);
        if (err == -EAGAIN)
            continue;
        c->result = err;
        return (int)index;
    }
    return -EAGAIN;
}

// Under all locks. In turn: of several cases with one channel the first in its line happens.
static void link_all(oa_case_t cases[], uint32_t n, oai_wait_t *wait)
{
    oai_wait_arm(wait);
    for (uint32_t i = 0; i < n; i++) {
        oa_case_t *c = &cases[state_of(&cases[i])->turn];
        if (!c->ch)
            continue;
        oai_wait_t *part = part_of(c);
        part->data = c->kind == OA_CASE_SEND ? (void *)(uintptr_t)c->send : c->recv;
        oai_wait_link_part(waiters_of(c), part, wait);
    }
}

// Takes all parts back but the one that was claimed. Its index; -EAGAIN: there is none.
static int take_back(oa_case_t cases[], uint32_t n)
{
    int happened = -EAGAIN;
    for (uint32_t i = 0; i < n; i++) {
        oa_case_t *c = &cases[i];
        if (!c->ch)
            continue;
        oai_wait_t *part = part_of(c);
        if (part->claimed) { // the channel may be gone
            c->result = part->result;
            happened = (int)i;
            continue;
        }
        oai_lock(&c->ch->lock);
        oai_wait_unlink(waiters_of(c), part);
        oai_unlock(&c->ch->lock);
    }
    return happened;
}

static inline int select_until(oa_case_t cases[], size_t count, int64_t deadline)
{
    oai_wait_t wait;
    oai_wait_t *wake = NULL;
    if (!valid(cases, count))
        return -EINVAL;
    uint32_t n = (uint32_t)count;
    int err = oai_wait_begin(&wait, true);
    if (err)
        return err;
    take_turns(cases, n);
    take_places(cases, n);
    lock_all(cases, n);
    int happened = try_all(cases, n, &wake);
    bool waits = happened == -EAGAIN;
    if (waits && oai_wait_expired(deadline)) {
        waits = false;
        happened = -ETIMEDOUT;
    }
    if (waits)
        link_all(cases, n, &wait);
    unlock_all(cases, n);
    if (wake)
        oai_wait_ready(wake);
    if (!waits)
        return happened;
    err = oai_wait_park(&wait, deadline);
    happened = take_back(cases, n);
    return err ? err : happened;
}

int oa_select_until(oa_case_t cases[], size_t n, int64_t deadline)
{
    oai_point("oa_select", cases);
    int happened = select_until(cases, n, deadline);
    oai_point("oa_select", cases);
    return happened;
}

int oa_select(oa_case_t cases[], size_t n)
{
    return oa_select_until(cases, n, OA_FOREVER);
}
