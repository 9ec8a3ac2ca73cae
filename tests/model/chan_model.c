// SPDX-License-Identifier: BSD-2-Clause
// chan_model.c - channels: what was sent is received once and in order, or is still there; a close
// reaches everybody; who has received the last element may free the channel.
//
// Each model is complete within its bounds: three preemptions and any stale reads, where nothing
// else is said. `_deep` is the same at three preemptions with no stale reads, where the other one
// has two. There are two programs of it: elements of 4 bytes, and words, which have a quick way of
// their own.
#include "model.h"
#include "oasync/chan.h"
#include "sched/sched.h"
#include "stub_sched.h"

#include <string.h>

#ifdef WORDS
typedef uint64_t elem_t;
// What never goes the quick way is the same here.
#define SAME(NAME, SETUP, CHECK, ...)                                                           \
    static struct model model_of_##NAME __attribute__((unused)) = {#NAME, SETUP, CHECK,            \
                                                                   {__VA_ARGS__}, NULL}
// Plain threads do not go it.
#define OTHER stub_task
#else
typedef uint32_t elem_t;
#define SAME MODEL
#define OTHER model_thread
#endif

enum { SENDERS = 2, MOST = 4 };

static oa_chan_t *ch;
static oai_task_t *victim;

// What sender s has sent are the numbers 10 * s, 10 * s + 1, ... All plain: a sender's own, or the
// only receiver's who got that number.
static int sent[SENDERS], cargo[10 * SENDERS], received[10 * SENDERS];

// Bits for model_seen().
enum { SENT, GOT, TIMED_OUT, CANCELLED, CLOSED, FULL, EMPTY, REFUSED, LEFT };

// Part of spawn.c.
int oai_options_read(void *known, size_t known_size, const void *given, size_t least)
{
    (void)least;
    memcpy(known, given, known_size);
    return 0;
}

static void saw(int err, int success)
{
    switch (err) {
    case 0: model_seen(success); break;
    case -ETIMEDOUT: model_seen(TIMED_OUT); break;
    case -ECANCELED: model_seen(CANCELLED); break;
    case -EPIPE: model_seen(CLOSED); break;
    case -ENOMEM: model_seen(REFUSED); break;
    case -EAGAIN: model_seen(success == SENT ? FULL : EMPTY); break;
    default: model_fail("error %d", err);
    }
}

// Sends the next number of a sender. It stays the next when it was not sent.
static int send(int sender, int64_t deadline)
{
    elem_t number = (elem_t)(10 * sender + sent[sender]);
    cargo[number] = 1;
    int err = deadline ? oa_chan_send_until(ch, &number, deadline) : oa_chan_put(ch, &number);
    number = 99;
    saw(err, SENT);
    if (err == 0)
        sent[sender]++;
    return err;
}

static int last_got[SENDERS + 1][SENDERS]; // by receiver and sender, plus 1

static int receive(int receiver, int64_t deadline)
{
    elem_t number = 77;
    int err = deadline ? oa_chan_recv_until(ch, &number, deadline) : oa_chan_take(ch, &number);
    saw(err, GOT);
    if (err) {
        model_assert(number == 77);
        return err;
    }
    model_assert(number < 10 * SENDERS && cargo[number] == 1);
    received[number]++;
    int *last = &last_got[receiver][number / 10];
    model_assert((int)(number % 10) + 1 > *last);
    *last = (int)(number % 10) + 1;
    return 0;
}

// ---- The threads --------------------------------------------------------------------------------

// A sender or receiver: number, how often, until when (0: put or take).
struct end {
    int number, times;
    int64_t deadline;
};

static void sends(void *arg)
{
    const struct end *e = arg;
    for (int i = 0; i < e->times; i++)
        if (send(e->number, e->deadline) == -ECANCELED)
            // From here on every wait is broken, even one that need not wait.
            model_assert(send(e->number, e->deadline) == -ECANCELED);
}

static void receives(void *arg)
{
    const struct end *e = arg;
    for (int i = 0; i < e->times; i++)
        receive(e->number, e->deadline);
}

static void receives_until_closed(void *arg)
{
    const struct end *e = arg;
    while (receive(e->number, e->deadline) != -EPIPE)
        ;
}

static void closes(void *unused)
{
    (void)unused;
    model_assert(oa_chan_close(ch) == 0);
    model_assert(oa_chan_close(ch) == -EALREADY);
}

static void sends_and_cancels(void *arg)
{
    sends(arg);
    stub_cancel(victim);
}

static void receives_and_cancels(void *arg)
{
    receives(arg);
    stub_cancel(victim);
}

static struct end s0_once = {0, 1, OA_FOREVER}, s0_twice = {0, 2, OA_FOREVER},
                  s1_once = {1, 1, OA_FOREVER}, s0_late = {0, 1, 1}, s0_puts = {0, 2, 0},
                  s0_three = {0, 3, OA_FOREVER}, s0_four = {0, 4, OA_FOREVER};
static struct end r0_once = {0, 1, OA_FOREVER}, r0_twice = {0, 2, OA_FOREVER},
                  r1_once = {1, 1, OA_FOREVER}, r0_late = {0, 1, 1}, r0_takes = {0, 2, 0},
                  r0_three = {0, 3, OA_FOREVER};

static void reset(size_t capacity)
{
    stub_reset();
#ifdef WORDS
    stub_has_stacks = true;
#endif
    ch = oa_chan_make(sizeof(elem_t), .capacity = capacity);
    model_name_bytes(ch, 8, "chan.lock");
    memset(sent, 0, sizeof sent);
    memset(cargo, 0, sizeof cargo);
    memset(received, 0, sizeof received);
    memset(last_got, 0, sizeof last_got);
}

// What was sent was received once or is there, in its order; nobody waits.
static void conserved(void)
{
    int count = 0;
    for (int s = 0; s < SENDERS; s++)
        for (int i = 0; i < 10; i++)
            count += i < sent[s];
    for (int i = 0; i < 10 * SENDERS; i++)
        model_assert(received[i] == 0 || (received[i] == 1 && i % 10 < sent[i / 10]));
    elem_t number;
    for (int i = 0; i < 10 * SENDERS; i++)
        count -= received[i];
    model_assert(oa_chan_len(ch) == (size_t)count);
    while (oa_chan_take(ch, &number) == 0) {
        model_assert(received[number]++ == 0);
        model_seen(LEFT);
    }
    model_assert(oa_chan_free(ch) == 0);
}

// And nothing is left, for everybody who waits for ever was served.
static void used_up(void)
{
    model_assert(oa_chan_len(ch) == 0);
    conserved();
}

// ---- Conservation and order ---------------------------------------------------------------------

static void rendezvous(void)
{
    reset(0);
    stub_task("sends", sends, &s0_twice);
    stub_task("receives", receives, &r0_twice);
}

static void rendezvous_thread(void)
{
    reset(0);
    stub_task("sends", sends, &s0_twice);
    model_thread("receives", receives, &r0_twice);
}

static void two_senders(void)
{
    reset(0);
    stub_task("sends 0", sends, &s0_once);
    model_thread("sends 1", sends, &s1_once);
    stub_task("receives", receives, &r0_twice);
}

static void two_receivers(void)
{
    reset(0);
    stub_task("receives 0", receives, &r0_once);
    model_thread("receives 1", receives, &r1_once);
    stub_task("sends", sends, &s0_twice);
}

static void bounded(void)
{
    reset(1);
    stub_task("sends", sends, &s0_three);
    stub_task("receives", receives, &r0_three);
}

static void bounded_thread(void)
{
    reset(1);
    model_thread("sends", sends, &s0_three);
    stub_task("receives", receives, &r0_three);
}

static void bounded_three(void)
{
    reset(1);
    stub_task("sends 0", sends, &s0_once);
    model_thread("sends 1", sends, &s1_once);
    stub_task("receives", receives, &r0_twice);
}

static void bounded_left(void)
{
    reset(1);
    stub_task("sends", sends, &s0_twice);
    OTHER("receives", receives, &r0_once);
}

static void unbounded(void)
{
    reset(OA_UNBOUNDED);
    stub_task("sends", sends, &s0_twice);
    stub_task("receives", receives, &r0_twice);
}

static void put_and_take(void)
{
    reset(0);
    stub_task("puts", sends, &s0_puts);
    stub_task("receives", receives, &r0_late);
    model_thread("takes", receives, &r0_takes);
}

MODEL(rendezvous, rendezvous, used_up);
MODEL(rendezvous_thread, rendezvous_thread, used_up);
MODEL(two_senders, two_senders, used_up, .bound = 2, .stale = 1);
MODEL(two_senders_deep, two_senders, used_up, .stale = -1, .runs = -1);
MODEL(two_receivers, two_receivers, used_up, .bound = 2, .stale = -1);
MODEL(bounded, bounded, used_up);
MODEL(bounded_thread, bounded_thread, used_up);
MODEL(bounded_three, bounded_three, used_up, .bound = 2);
MODEL(bounded_three_deep, bounded_three, used_up, .stale = -1, .runs = -1);
MODEL(bounded_left, bounded_left, conserved, .must_see = 1 << LEFT);
SAME(unbounded, unbounded, used_up);
SAME(put_and_take, put_and_take, conserved, .bound = 2, .stale = -1,
     .must_see = 1 << SENT | 1 << GOT | 1 << FULL | 1 << EMPTY | 1 << TIMED_OUT);

// A sender never waits; what arrives is in order, and the newest are there in the end.
static void sends_and_looks(void *arg)
{
    sends(arg);
    model_assert(sent[0] == ((const struct end *)arg)->times);
}

static void sliding(void)
{
    reset(2);
    oa_chan_free(ch);
    ch = oa_chan_make(sizeof(elem_t), .capacity = 2, .sliding = true);
    stub_task("sends", sends_and_looks, &s0_four);
    model_thread("takes", receives, &r0_takes);
}

static void newest_left(void)
{
    int last = last_got[0][0], left = (int)oa_chan_len(ch);
    elem_t number;
    model_assert(left == 2 ? last <= 2 : left < 2 && last == 4 - left);
    for (int i = 0; i < left; i++) {
        model_assert(oa_chan_take(ch, &number) == 0);
        model_assert(number == (elem_t)(4 - left + i));
    }
    model_seen(left == 2 ? FULL : LEFT);
    model_assert(oa_chan_free(ch) == 0);
}

MODEL(sliding, sliding, newest_left, .bound = 2,
      .must_see = 1 << GOT | 1 << EMPTY | 1 << FULL | 1 << LEFT);

// ---- Waits that are broken ----------------------------------------------------------------------

static void late_receiver(void)
{
    reset(0);
    stub_task("receives", receives, &r0_late);
    model_thread("puts", sends, &s0_puts);
}

static void late_sender(void)
{
    reset(1);
    model_thread("sends 1", sends, &s1_once);
    stub_task("sends 0", sends, &s0_late);
    stub_task("receives", receives, &r0_once);
}

static void late_thread(void)
{
    reset(0);
    model_thread("sends", sends, &s0_late);
    model_thread("takes", receives, &r0_takes);
}

static void both_late(void)
{
    reset(0);
    stub_task("sends", sends, &s0_late);
    OTHER("receives", receives, &r0_late);
}

// The receiver that was cancelled leaves the element to the other.
static void cancelled_receiver(void)
{
    reset(0);
    victim = stub_task("victim", receives, &r1_once);
    stub_task("receives", receives_until_closed, &r0_once);
    OTHER("sends", sends_and_cancels, &s0_once);
    model_thread("closes", closes, NULL);
}

static void cancelled_sender(void)
{
    reset(1);
    victim = stub_task("victim", sends, &s0_once);
    OTHER("sends", sends, &s1_once);
    stub_task("receives", receives_and_cancels, &r0_once);
}

SAME(late_receiver, late_receiver, conserved, .must_see = 1 << GOT | 1 << TIMED_OUT | 1 << FULL);
MODEL(late_sender, late_sender, conserved, .bound = 2,
      .must_see = 1 << GOT | 1 << TIMED_OUT | 1 << LEFT);
MODEL(late_sender_deep, late_sender, conserved, .stale = -1, .runs = -1);
SAME(late_thread, late_thread, conserved, .must_see = 1 << SENT | 1 << TIMED_OUT | 1 << EMPTY);
MODEL(both_late, both_late, conserved, .must_see = 1 << SENT | 1 << TIMED_OUT);
MODEL(cancelled_receiver, cancelled_receiver, conserved, .bound = 1, .stale = 1,
      .must_see = 1 << GOT | 1 << CANCELLED | 1 << CLOSED);
MODEL(cancelled_sender, cancelled_sender, conserved, .bound = 2, .stale = 1,
      .must_see = 1 << GOT | 1 << CANCELLED | 1 << LEFT);
MODEL(cancelled_sender_deep, cancelled_sender, conserved, .stale = -1, .runs = -1);

// ---- Close --------------------------------------------------------------------------------------

static void closed(void)
{
    reset(0);
    stub_task("sends", sends, &s0_twice);
    stub_task("receives", receives_until_closed, &r0_once);
    model_thread("closes", closes, NULL);
}

static void closed_bounded(void)
{
    reset(1);
    OTHER("sends", sends, &s0_twice);
    stub_task("receives", receives_until_closed, &r0_once);
    stub_task("closes", closes, NULL);
}

static void closed_on_sender(void)
{
    reset(1);
    stub_task("sends", sends, &s0_twice);
    model_thread("closes", closes, NULL);
}

MODEL(closed_on_sender, closed_on_sender, conserved, .must_see = 1 << CLOSED | 1 << LEFT);
MODEL(closed, closed, used_up, .bound = 2, .stale = -1, .must_see = 1 << SENT | 1 << CLOSED);
MODEL(closed_bounded, closed_bounded, used_up, .bound = 2, .stale = 1,
      .must_see = 1 << SENT | 1 << CLOSED);
MODEL(closed_bounded_deep, closed_bounded, used_up, .stale = -1, .runs = -1);

// ---- The last touch -----------------------------------------------------------------------------

static void receives_and_frees(void *arg)
{
    const struct end *e = arg;
    while (receive(e->number, e->deadline) != 0)
        oai_pause();
    model_assert(oa_chan_free(ch) == 0);
}

static void receives_close_and_frees(void *unused)
{
    (void)unused;
    int err = oa_chan_recv(ch, NULL);
    model_assert(err == -EPIPE);
    model_assert(oa_chan_free(ch) == 0);
}

static void closes_once(void *unused)
{
    (void)unused;
    model_assert(oa_chan_close(ch) == 0);
}

static void rendezvous_frees(void)
{
    reset(0);
    stub_task("sends", sends, &s0_once);
    stub_task("frees", receives_and_frees, &r0_once);
}

static void bounded_frees(void)
{
    reset(1);
    model_thread("sends", sends, &s0_once);
    stub_task("frees", receives_and_frees, &r0_once);
}

static void late_frees(void)
{
    reset(1);
    stub_task("sends", sends, &s0_once);
    model_thread("frees", receives_and_frees, &r0_late);
}

static void taking_frees(void)
{
    reset(OA_UNBOUNDED);
    stub_task("sends", sends, &s0_once);
    model_thread("frees", receives_and_frees, &r0_takes);
}

static void close_frees(void)
{
    reset(1);
    stub_task("closes", closes_once, NULL);
    stub_task("frees", receives_close_and_frees, NULL);
}

MODEL(rendezvous_frees, rendezvous_frees, NULL, .leaks = true);
MODEL(bounded_frees, bounded_frees, NULL, .leaks = true);
MODEL(late_frees, late_frees, NULL, .leaks = true);
MODEL(taking_frees, taking_frees, NULL, .leaks = true);
MODEL(close_frees, close_frees, NULL, .leaks = true);
