// SPDX-License-Identifier: BSD-2-Clause
// select_model.c - a select over channels: one of its cases happens and no other, whatever else
// happens at the same moment; what was sent is received once or is still there; who was told that a
// case has happened may free the channel.
//
// Each model is complete within its bounds: three preemptions and any stale reads, where nothing
// else is said. A select tries its cases in either order, where `seeds` is set. There are two
// programs of it: elements of 4 bytes, and words, whose channels have ways of their own.
#include "model.h"
#include "oasync/chan.h"
#include "stub_sched.h"

#include <string.h>

enum { MOST = 3, PARTIES = 5, FILLER = 4, NUMBERS = 10 * PARTIES };

#ifdef WORDS
typedef uint64_t elem_t;
#else
#define WORDS 0
typedef uint32_t elem_t;
#endif

static oa_chan_t *a, *b;
static oai_task_t *victim;
static bool seeds; // whether the order of the cases is one more choice

// What party p sends are the numbers 10 * p, 10 * p + 1, ... All plain: the sender's own, or of the
// only one who received that number.
static int next[PARTIES], cargo[NUMBERS], sent[NUMBERS], received[NUMBERS];

// Bits for model_seen().
enum { SENT, GOT, TIMED_OUT, CANCELLED, CLOSED, REFUSED, FIRST, SECOND, LEFT, FREED_LATER };

// Part of spawn.c.
int oai_options_read(void *known, size_t known_size, const void *given, size_t least)
{
    (void)least;
    memcpy(known, given, known_size);
    return 0;
}

// ---- One select ---------------------------------------------------------------------------------

enum { NOTHING, SENDS, RECEIVES };

// What a party does: cases, until when, how often.
struct select {
    int me;
    struct {
        int kind;
        oa_chan_t **ch;
    } cases[MOST];
    int64_t deadline;
    int times;
};

// States of which the next number below 2 is 0 and 1.
static uint64_t seed_of(uint32_t wanted)
{
    for (uint64_t seed = 1;; seed++) {
        uint64_t state = seed;
        if (oai_random_below(&state, 2) == wanted)
            return seed;
    }
}

static void choose_turns(void)
{
    uint64_t seed = seed_of(seeds ? (uint32_t)model_choose(2) : 0);
    stub_worker()->random = oai_seat_here()->random = seed;
}

// The element of the case that happened was sent or received, and that of no other.
static void account(const struct select *s, const oa_case_t cases[], const elem_t elems[],
                    int which)
{
    bool closed = which >= 0 && cases[which].result == -EPIPE;
    for (int i = 0; i < MOST; i++)
        if (s->cases[i].kind == RECEIVES && (i != which || closed))
            model_assert(elems[i] == 77);
    if (closed)
        model_seen(CLOSED);
    if (which < 0 || closed)
        return;
    model_assert(cases[which].result == 0);
    model_seen(which == 0 ? FIRST : SECOND);
    elem_t number = elems[which];
    if (s->cases[which].kind == SENDS) {
        sent[number] = 1;
        next[s->me]++;
        model_seen(SENT);
        return;
    }
    model_assert(number < NUMBERS && cargo[number] == 1);
    model_assert(number / 10 != (elem_t)s->me); // a select never sends to itself
    model_assert(received[number]++ == 0);
    model_seen(GOT);
}

static __attribute__((noinline)) int select_once(const struct select *s)
{
    oa_case_t cases[MOST];
    elem_t elems[MOST], number = (elem_t)(10 * s->me + next[s->me]);
    size_t n = 0;
    cargo[number] = 1;
    for (; n < MOST && s->cases[n].kind; n++) {
        oa_chan_t *ch = s->cases[n].ch ? *s->cases[n].ch : NULL;
        elems[n] = s->cases[n].kind == SENDS ? number : 77;
        if (s->cases[n].kind == SENDS)
            cases[n] = (oa_case_t)OA_SEND(ch, &elems[n]);
        else
            cases[n] = (oa_case_t)OA_RECV(ch, &elems[n]);
        cases[n].result = 55;
        memset(cases[n].oa_reserved, 0xaa, sizeof cases[n].oa_reserved); // it was used before
    }
    choose_turns();
    int which = oa_select_until(cases, n, s->deadline);
    model_assert(which < (int)n);
    for (int i = 0; i < (int)n; i++)
        model_assert(i == which ? cases[i].result != 55 : cases[i].result == 55);
    account(s, cases, elems, which);
    switch (which) {
    case -ETIMEDOUT: model_seen(TIMED_OUT); break;
    case -ECANCELED: model_seen(CANCELLED); break;
    case -ENOMEM: model_seen(REFUSED); break;
    default: model_assert(which >= 0);
    }
    return which;
}

static void selects(void *arg)
{
    const struct select *s = arg;
    for (int i = 0; i < s->times; i++)
        if (select_once(s) == -ECANCELED)
            model_assert(select_once(s) == -ECANCELED);
}

// ---- Those with one channel ---------------------------------------------------------------------

struct end {
    int me;
    oa_chan_t **ch;
    int64_t deadline; // 0: put or take
};

static void sends(void *arg)
{
    const struct end *e = arg;
    elem_t number = (elem_t)(10 * e->me + next[e->me]);
    cargo[number] = 1;
    int err = e->deadline ? oa_chan_send_until(*e->ch, &number, e->deadline)
                          : oa_chan_put(*e->ch, &number);
    number = 99;
    model_assert(err == 0 || err == -ETIMEDOUT || err == -EAGAIN || err == -EPIPE);
    if (err == 0)
        sent[10 * e->me + next[e->me]++] = 1;
}

static void receives(void *arg)
{
    const struct end *e = arg;
    elem_t number = 77;
    int err = e->deadline ? oa_chan_recv_until(*e->ch, &number, e->deadline)
                          : oa_chan_take(*e->ch, &number);
    model_assert(err == 0 || err == -ETIMEDOUT || err == -EAGAIN || err == -EPIPE);
    if (err == 0) {
        model_assert(number < NUMBERS && cargo[number] == 1);
        model_assert(received[number]++ == 0);
    }
}

static void cancels(void *unused)
{
    (void)unused;
    stub_become(NULL, true);
    stub_cancel(victim);
}

static void sends_and_cancels(void *arg)
{
    sends(arg);
    stub_cancel(victim);
}

static void closes(void *ch)
{
    model_assert(oa_chan_close(*(oa_chan_t **)ch) == 0);
}

static struct end sends_a = {2, &a, OA_FOREVER}, sends_b = {3, &b, OA_FOREVER}, late_a = {2, &a, 1},
                  late_b = {3, &b, 1}, receives_a = {2, &a, OA_FOREVER}, late_from_a = {3, &a, 1},
                  takes_a = {2, &a, 0}, takes_b = {3, &b, 0};

static struct select from_both = {0, {{RECEIVES, &a}, {RECEIVES, &b}}, OA_FOREVER, 1},
                     from_both_late = {0, {{RECEIVES, &a}, {RECEIVES, &b}}, 1, 1},
                     from_both_twice = {0, {{RECEIVES, &a}, {RECEIVES, &b}}, OA_FOREVER, 2},
                     from_both_turned = {1, {{RECEIVES, &b}, {RECEIVES, &a}}, OA_FOREVER, 1},
                     to_both = {0, {{SENDS, &a}, {SENDS, &b}}, OA_FOREVER, 1},
                     to_a_from_b = {0, {{SENDS, &a}, {RECEIVES, &b}}, OA_FOREVER, 1},
                     to_b_from_a = {1, {{SENDS, &b}, {RECEIVES, &a}}, OA_FOREVER, 1},
                     both_ways = {0, {{SENDS, &a}, {RECEIVES, &a}}, OA_FOREVER, 1},
                     both_ways_too = {1, {{SENDS, &a}, {RECEIVES, &a}}, OA_FOREVER, 1},
                     twice_from_a = {0, {{RECEIVES, &a}, {RECEIVES, &a}}, OA_FOREVER, 1},
                     from_a = {1, {{RECEIVES, NULL}, {RECEIVES, &a}}, OA_FOREVER, 1},
                     of_none = {0, {{RECEIVES, NULL}, {SENDS, NULL}}, OA_FOREVER, 1},
                     of_one = {0, {{RECEIVES, NULL}, {RECEIVES, &a}}, 1, 1},
                     now = {0, {{RECEIVES, &a}, {RECEIVES, &b}}, 0, 1};

static void reset(size_t room_a, size_t room_b)
{
    stub_reset();
    stub_has_stacks = WORDS;
    seeds = false;
    a = oa_chan_make(sizeof(elem_t), .capacity = room_a);
    b = oa_chan_make(sizeof(elem_t), .capacity = room_b);
    model_name_bytes(a, 8, "a.lock");
    model_name_bytes(b, 8, "b.lock");
    memset(next, 0, sizeof next);
    memset(cargo, 0, sizeof cargo);
    memset(sent, 0, sizeof sent);
    memset(received, 0, sizeof received);
}

// Puts an element into a channel, in setup.
static void fill(oa_chan_t *ch)
{
    elem_t number = (elem_t)(10 * FILLER + next[FILLER]++);
    cargo[number] = sent[number] = 1;
    model_assert(oa_chan_put(ch, &number) == 0);
}

static void drain(oa_chan_t *ch)
{
    elem_t number;
    while (oa_chan_take(ch, &number) == 0) {
        model_assert(received[number]++ == 0);
        model_seen(LEFT);
    }
    model_assert(oa_chan_free(ch) == 0); // nobody waits
}

// What was sent was received once or is there.
static void conserved(void)
{
    drain(a);
    drain(b);
    for (int i = 0; i < NUMBERS; i++)
        model_assert(sent[i] == received[i]);
}

static int how_many_sent(void)
{
    int count = 0;
    for (int i = 0; i < NUMBERS; i++)
        count += sent[i];
    return count;
}

static void one_sent(void)
{
    model_assert(how_many_sent() == 1);
    conserved();
}

// ---- Selects among themselves -------------------------------------------------------------------

static void paired(void)
{
    reset(0, 0);
    stub_task("one", selects, &to_a_from_b);
    stub_task("other", selects, &to_b_from_a);
}

static void paired_threads(void)
{
    reset(0, 0);
    model_thread("one", selects, &to_a_from_b);
    model_thread("other", selects, &to_b_from_a);
}

static void paired_hosted(void)
{
    reset(0, 0);
    stub_hosted_task("one", selects, &to_a_from_b);
    model_thread("other", selects, &to_b_from_a);
}

static void meet_on_one(void)
{
    reset(0, 0);
    stub_task("one", selects, &both_ways);
    model_thread("other", selects, &both_ways_too);
    seeds = true;
}

// Each gets one of two, whatever the order of their cases.
static void crossed(void)
{
    reset(1, 1);
    stub_task("one", selects, &from_both);
    model_thread("other", selects, &from_both_turned);
    fill(a);
    fill(b);
    seeds = true;
}

static void all_used(void)
{
    model_assert(oa_chan_len(a) == 0 && oa_chan_len(b) == 0);
    conserved();
}

MODEL(paired, paired, one_sent, .must_see = 1 << SENT | 1 << GOT | 1 << FIRST | 1 << SECOND);
MODEL(paired_threads, paired_threads, one_sent, .must_see = 1 << SENT | 1 << GOT, .spurious = 1);
MODEL(paired_hosted, paired_hosted, one_sent, .must_see = 1 << SENT | 1 << GOT);
MODEL(meet_on_one, meet_on_one, one_sent, .must_see = 1 << FIRST | 1 << SECOND);
MODEL(crossed, crossed, all_used, .must_see = 1 << FIRST | 1 << SECOND);

// ---- Two wakers ---------------------------------------------------------------------------------

static void two_wakers(void)
{
    reset(1, 0);
    stub_task("selects", selects, &from_both);
    stub_task("sends a", sends, &sends_a);
    model_thread("sends b", sends, &late_b);
}

static void two_wakers_thread(void)
{
    reset(0, 0);
    model_thread("selects", selects, &from_both_twice);
    stub_task("sends a", sends, &sends_a);
    model_thread("sends b", sends, &sends_b);
}

static void two_wakers_bounded(void)
{
    reset(1, 1);
    stub_task("selects", selects, &from_both);
    model_thread("sends a", sends, &sends_a);
    model_thread("sends b", sends, &sends_b);
    seeds = true;
}

// Room comes up in both channels.
static void two_takers(void)
{
    reset(1, 1);
    fill(a);
    fill(b);
    stub_task("selects", selects, &to_both);
    model_thread("receives a", receives, &receives_a);
    model_thread("takes b", receives, &takes_b);
}

static void one_of_none(void)
{
    reset(0, 0);
    stub_task("selects", selects, &of_one);
    model_thread("sends", sends, &late_a);
}

static void twice_the_same(void)
{
    reset(1, 0);
    stub_task("selects", selects, &twice_from_a);
    model_thread("sends", sends, &sends_a);
    seeds = true;
}

// A put on a rendezvous succeeds when somebody stands in line.
static void puts_when_in_line(void *unused)
{
    (void)unused;
    elem_t number = 20;
    cargo[number] = sent[number] = 1;
    int err;
    while ((err = oa_chan_put(a, &number)) == -EAGAIN)
        oai_pause();
    model_assert(err == 0);
}

static void twice_in_line(void)
{
    reset(0, 0);
    stub_task("selects", selects, &twice_from_a);
    model_thread("puts", puts_when_in_line, NULL);
    seeds = true;
}

MODEL(two_wakers, two_wakers, conserved, .bound = 2, .stale = 1,
      .must_see = 1 << GOT | 1 << FIRST | 1 << SECOND);
MODEL(two_wakers_thread, two_wakers_thread, all_used, .bound = 2, .stale = 1,
      .must_see = 1 << GOT | 1 << FIRST | 1 << SECOND);
MODEL(two_wakers_bounded, two_wakers_bounded, conserved, .bound = 2, .stale = 1,
      .must_see = 1 << GOT | 1 << FIRST | 1 << SECOND | 1 << LEFT);
MODEL(two_takers, two_takers, conserved, .bound = 2, .stale = 1,
      .must_see = 1 << SENT | 1 << FIRST | 1 << SECOND | 1 << LEFT);
MODEL(one_of_none, one_of_none, conserved, .must_see = 1 << TIMED_OUT | 1 << SECOND);
MODEL(twice_in_line, twice_in_line, all_used, .must_see = 1 << FIRST | 1 << SECOND);
MODEL(twice_the_same, twice_the_same, all_used, .must_see = 1 << FIRST | 1 << SECOND);

// ---- Waits that are broken ----------------------------------------------------------------------

static void late(void)
{
    reset(0, 1);
    stub_task("selects", selects, &from_both_late);
    model_thread("sends", sends, &late_a);
    model_thread("sends too", sends, &sends_b);
}

static void late_thread(void)
{
    reset(0, 1);
    model_thread("selects", selects, &from_both_late);
    stub_task("sends", sends, &late_a);
    model_thread("sends too", sends, &sends_b);
}

static void cancelled(void)
{
    reset(0, 0);
    stub_refusals = !WORDS;
    victim = stub_task("selects", selects, &from_both);
    model_thread("sends", sends, &late_a);
    model_thread("cancels", cancels, NULL);
}

// What the cancelled one misses goes to the other, or stays.
static void cancelled_passes_on(void)
{
    reset(1, 0);
    victim = stub_task("selects", selects, &from_both);
    model_thread("receives", receives, &late_from_a);
    model_thread("sends", sends_and_cancels, &sends_a);
}

static void cancelled_hosted(void)
{
    reset(0, 0);
    victim = stub_hosted_task("selects", selects, &from_both);
    model_thread("sends", sends, &late_a);
    model_thread("cancels", cancels, NULL);
}

static void cancelled_of_none(void)
{
    reset(0, 0);
    victim = stub_task("selects", selects, &of_none);
    model_thread("cancels", cancels, NULL);
}

MODEL(late, late, conserved, .bound = 2, .stale = 1,
      .must_see = 1 << GOT | 1 << TIMED_OUT | 1 << LEFT | 1 << FIRST | 1 << SECOND);
MODEL(late_thread, late_thread, conserved, .bound = 2, .stale = 1,
      .must_see = 1 << GOT | 1 << TIMED_OUT | 1 << LEFT | 1 << FIRST | 1 << SECOND);
MODEL(cancelled, cancelled, conserved, .bound = 2, .stale = 1,
      .must_see = 1 << GOT | 1 << CANCELLED | !WORDS << REFUSED);
MODEL(cancelled_passes_on, cancelled_passes_on, conserved, .bound = 2, .stale = 1,
      .must_see = 1 << GOT | 1 << CANCELLED | 1 << LEFT);
MODEL(cancelled_hosted, cancelled_hosted, conserved, .bound = 2, .stale = 1,
      .must_see = 1 << GOT | 1 << CANCELLED);
MODEL(cancelled_of_none, cancelled_of_none, conserved, .must_see = 1 << CANCELLED);

// ---- At once or not at all ----------------------------------------------------------------------

// There is an element in a, then in both, then in b: at each moment in one of them.
static void moves(void *unused)
{
    (void)unused;
    sends(&sends_b);
    receives(&takes_a);
}

static void always_one(void)
{
    reset(1, 1);
    fill(a);
    stub_task("selects", selects, &now);
    model_thread("moves", moves, NULL);
    seeds = true;
}

// The same with a close.
static void closes_b_and_takes_a(void *unused)
{
    (void)unused;
    closes(&b);
    receives(&takes_a);
}

static void always_one_or_closed(void)
{
    reset(1, 0);
    fill(a);
    model_thread("selects", selects, &now);
    stub_task("closes", closes_b_and_takes_a, NULL);
    seeds = true;
}

MODEL(always_one, always_one, conserved, .never_see = 1 << TIMED_OUT,
      .must_see = 1 << FIRST | 1 << SECOND);
MODEL(always_one_or_closed, always_one_or_closed, conserved, .never_see = 1 << TIMED_OUT,
      .must_see = 1 << FIRST | 1 << CLOSED);

// ---- Close --------------------------------------------------------------------------------------

static void closed(void)
{
    reset(0, 0);
    stub_task("selects", selects, &to_a_from_b);
    model_thread("closes", closes, &a);
}

static void closed_other(void)
{
    reset(0, 0);
    model_thread("selects", selects, &to_a_from_b);
    stub_task("closes", closes, &b);
}

// One close finds two parts of a select.
static void closed_twice_in(void)
{
    reset(0, 0);
    stub_task("selects", selects, &both_ways);
    model_thread("closes", closes, &a);
}

static void closed_both(void)
{
    reset(0, 0);
    stub_task("selects", selects, &from_both);
    model_thread("closes a", closes, &a);
    model_thread("closes b", closes, &b);
}

static void closed_or_sent(void)
{
    reset(0, 0);
    stub_task("selects", selects, &from_both);
    model_thread("sends", sends, &late_a);
    model_thread("closes", closes, &b);
}

MODEL(closed, closed, conserved, .must_see = 1 << CLOSED);
MODEL(closed_other, closed_other, conserved, .must_see = 1 << CLOSED);
MODEL(closed_twice_in, closed_twice_in, conserved, .must_see = 1 << CLOSED);
MODEL(closed_both, closed_both, conserved, .bound = 2, .stale = 1, .must_see = 1 << CLOSED);
MODEL(closed_or_sent, closed_or_sent, conserved, .bound = 2, .stale = 1,
      .must_see = 1 << GOT | 1 << CLOSED);

// ---- The last touch -----------------------------------------------------------------------------

static void selects_and_frees(void *arg)
{
    model_assert(select_once(arg) >= 0);
    model_assert(oa_chan_free(a) == 0);
    model_assert(oa_chan_free(b) == 0);
}

static void selects_and_frees_b(void *arg)
{
    model_assert(select_once(arg) == 0);
    model_assert(oa_chan_free(b) == 0);
}

static void sends_and_frees_a(void *arg)
{
    sends(arg);
    model_assert(oa_chan_free(a) == 0);
}

// The select's other channel: refused until the select has left it.
static void sends_and_frees_both(void *arg)
{
    sends_and_frees_a(arg);
    int err;
    while ((err = oa_chan_free(b)) == -EBUSY) {
        model_seen(FREED_LATER);
        oai_pause();
    }
    model_assert(err == 0);
}

static void selects_only(void *arg)
{
    model_assert(select_once(arg) == 0);
}

static void receives_and_frees_a(void *arg)
{
    receives(arg);
    model_assert(oa_chan_free(a) == 0);
}

static void selector_frees(void)
{
    reset(0, 0);
    stub_task("frees", selects_and_frees, &from_both);
    model_thread("sends", sends, &sends_a);
    seeds = true;
}

static void selector_frees_thread(void)
{
    reset(0, 0);
    model_thread("frees", selects_and_frees, &from_both);
    stub_task("sends", sends, &sends_a);
}

static void selector_frees_closed(void)
{
    reset(0, 0);
    model_thread("frees", selects_and_frees, &from_both);
    stub_task("closes", closes, &b);
}

static void both_free(void)
{
    reset(0, 0);
    stub_task("frees b", selects_and_frees_b, &from_both);
    model_thread("frees a", sends_and_frees_a, &sends_a);
}

static void both_free_thread(void)
{
    reset(0, 0);
    model_thread("frees b", selects_and_frees_b, &from_both);
    stub_task("frees a", sends_and_frees_a, &sends_a);
}

static void waker_frees_all(void)
{
    reset(0, 0);
    stub_task("selects", selects_only, &from_both);
    model_thread("frees", sends_and_frees_both, &sends_a);
}

// The select is the one that wakes.
static void receiver_frees(void)
{
    reset(0, 0);
    stub_task("frees a", receives_and_frees_a, &receives_a);
    model_thread("frees b", selects_and_frees_b, &to_a_from_b);
}

static void receiver_frees_bounded(void)
{
    reset(1, 0);
    model_thread("frees a", receives_and_frees_a, &receives_a);
    stub_task("frees b", selects_and_frees_b, &to_a_from_b);
}

static void selects_and_frees_a(void *arg)
{
    model_assert(select_once(arg) == 1);
    model_assert(oa_chan_free(a) == 0);
}

// Both are selects: either may have waited.
static void each_frees(void)
{
    reset(0, 0);
    stub_task("frees a", selects_and_frees_a, &from_a);
    model_thread("frees b", selects_and_frees_b, &to_a_from_b);
}

MODEL(selector_frees, selector_frees, NULL, .leaks = true);
MODEL(selector_frees_thread, selector_frees_thread, NULL, .leaks = true);
MODEL(selector_frees_closed, selector_frees_closed, NULL, .leaks = true);
MODEL(both_free, both_free, NULL, .leaks = true);
MODEL(both_free_thread, both_free_thread, NULL, .leaks = true);
MODEL(waker_frees_all, waker_frees_all, NULL, .leaks = true, .must_see = 1 << FREED_LATER);
MODEL(receiver_frees, receiver_frees, NULL, .leaks = true);
MODEL(receiver_frees_bounded, receiver_frees_bounded, NULL, .leaks = true);
MODEL(each_frees, each_frees, NULL, .leaks = true);
