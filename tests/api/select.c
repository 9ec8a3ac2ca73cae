// SPDX-License-Identifier: BSD-2-Clause
// select.c - what the header says of a select: what it refuses, which case happens, how it waits,
// is told, broken and let go.
// ctest: simulate
#include <limits.h>

#include "support.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static oa_chan_t *a, *b;

static void make(size_t room_a, size_t room_b)
{
    a = oa_chan_make(sizeof(int), .capacity = room_a);
    b = oa_chan_make(sizeof(int), .capacity = room_b);
    CHECK(a != NULL && b != NULL);
}

// Nobody waits, and nothing is left that was not to be.
static void all_over(size_t left_a, size_t left_b)
{
    CHECK_EQ(oa_chan_len(a), left_a);
    CHECK_EQ(oa_chan_len(b), left_b);
    CHECK_EQ(oa_chan_free(a), 0);
    CHECK_EQ(oa_chan_free(b), 0);
}

static void send_to(oa_chan_t *ch, int item)
{
    CHECK_EQ(oa_chan_send(ch, &item), 0);
}

static int receive_from(oa_chan_t *ch)
{
    int item = -1;
    CHECK_EQ(oa_chan_recv(ch, &item), 0);
    return item;
}

// ---- Refusals -----------------------------------------------------------------------------------

static void refuses(void *arg)
{
    (void)arg;
    int item = 5;
    make(1, 0);
    oa_case_t cases[] = {OA_SEND(a, &item), OA_RECV(b, &item)};
    CHECK_EQ(oa_select(NULL, 1), -EINVAL);
    CHECK_EQ(oa_select_until(NULL, 0, LATE), -EINVAL);
    CHECK_EQ(oa_select(cases, 0), -EINVAL);
    CHECK_EQ(oa_select_until(cases, 0, 0), -EINVAL);
    CHECK_EQ(oa_select(cases, (size_t)INT_MAX + 1), -EINVAL);
    CHECK_EQ(oa_select(cases, SIZE_MAX), -EINVAL);
    cases[1].kind = 0;
    CHECK_EQ(oa_select(cases, 2), -EINVAL);
    cases[1].kind = 77;
    CHECK_EQ(oa_select_until(cases, 2, LATE), -EINVAL);
    cases[1] = (oa_case_t)OA_SEND(b, NULL);
    CHECK_EQ(oa_select(cases, 2), -EINVAL);
    cases[1] = (oa_case_t)OA_SEND(NULL, NULL); // never happens
    CHECK_EQ(oa_chan_len(a), 0);
    CHECK_EQ(oa_select(cases, 2), 0);
    CHECK_EQ(cases[0].result, 0);
    all_over(1, 0);
}

// ---- Without waiting ----------------------------------------------------------------------------

static void at_once(void *arg)
{
    (void)arg;
    int in = 7, out = 99;
    make(1, 1);
    oa_case_t cases[] = {OA_RECV(a, &out), OA_SEND(b, &in)};
    cases[0].result = 55;
    CHECK_EQ(oa_select(cases, 2), 1);
    CHECK_EQ(cases[0].result, 55);
    CHECK_EQ(cases[1].result, 0);
    CHECK_EQ(out, 99);
    cases[1].result = 55;
    CHECK_EQ(oa_select_until(cases, 2, PAST), -ETIMEDOUT); // empty, full
    CHECK_EQ(oa_select_until(cases, 2, 0), -ETIMEDOUT);
    CHECK_EQ(oa_select_until(cases, 2, INT64_MIN), -ETIMEDOUT);
    CHECK_EQ(cases[1].result, 55);
    CHECK_EQ(out, 99);
    send_to(a, 8);
    CHECK_EQ(oa_select_until(cases, 2, 0), 0);
    CHECK_EQ(cases[0].result, 0);
    CHECK_EQ(cases[1].result, 55);
    CHECK_EQ(out, 8);
    send_to(a, 9);
    cases[0].recv = NULL; // discards
    CHECK_EQ(oa_select(cases, 2), 0);
    all_over(0, 1);
}

static void closed(void *arg)
{
    (void)arg;
    int in = 7, out = 99;
    make(1, 0);
    oa_case_t recv[] = {OA_RECV(a, &out), OA_RECV(b, &out)};
    oa_case_t send[] = {OA_RECV(b, &out), OA_SEND(a, &in)};
    send_to(a, 3);
    CHECK_EQ(oa_chan_close(a), 0);
    CHECK_EQ(oa_select(send, 2), 1);
    CHECK_EQ(send[1].result, -EPIPE);
    CHECK_EQ(oa_select(recv, 2), 0); // what is there is drained
    CHECK_EQ(recv[0].result, 0);
    CHECK_EQ(out, 3);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(oa_select_until(recv, 2, i ? 0 : LATE), 0);
        CHECK_EQ(recv[0].result, -EPIPE);
        CHECK_EQ(out, 3);
    }
    all_over(0, 0);
}

static void other_channels(void *arg)
{
    (void)arg;
    int out = -1;
    oa_chan_t *sliding = oa_chan_make(sizeof(int), .capacity = 2, .sliding = true);
    oa_chan_t *unbounded = oa_chan_make(sizeof(int), .capacity = OA_UNBOUNDED);
    for (int i = 0; i < 1000; i++) {
        oa_case_t cases[] = {OA_SEND(i % 2 ? sliding : unbounded, &i)};
        CHECK_EQ(i % 3 ? oa_select(cases, 1) : oa_select_until(cases, 1, 0), 0);
        CHECK_EQ(cases[0].result, 0);
    }
    CHECK_EQ(oa_chan_len(sliding), 2);
    CHECK_EQ(oa_chan_len(unbounded), 500);
    for (int i = 0; i < 500; i++) {
        oa_case_t cases[] = {OA_RECV(unbounded, &out)};
        CHECK_EQ(oa_select(cases, 1), 0);
        CHECK_EQ(out, 2 * i);
    }
    for (int i = 0; i < 2; i++) { // the newest
        oa_case_t cases[] = {OA_RECV(unbounded, &out), OA_RECV(sliding, &out)};
        CHECK_EQ(oa_select(cases, 2), 1);
        CHECK_EQ(out, 997 + 2 * i);
    }
    CHECK_EQ(oa_chan_free(sliding), 0);
    CHECK_EQ(oa_chan_free(unbounded), 0);
}

static void element_sizes(void *arg)
{
    (void)arg;
    static char in[5000], out[5000];
    const size_t sizes[] = {0, 1, 3, 8, 13, 64, 1000, 5000};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        oa_chan_t *ch = oa_chan_make(sizes[i], .capacity = 1);
        oa_case_t send = OA_SEND(ch, sizes[i] ? in : NULL), recv = OA_RECV(ch, out);
        memset(in, (int)i + 1, sizeof in);
        memset(out, 0, sizeof out);
        CHECK_EQ(oa_select(&send, 1), 0);
        CHECK_EQ(oa_select(&recv, 1), 0);
        CHECK(memcmp(in, out, sizes[i]) == 0);
        for (size_t k = sizes[i]; k < sizeof out; k++)
            CHECK(out[k] == 0);
        CHECK_EQ(oa_chan_free(ch), 0);
    }
}

// ---- At random ----------------------------------------------------------------------------------

// Within a tenth of what is due: seven deviations of ten thousand trials, and more.
static void about(int count, int due)
{
    CHECK(count > due - due / 10 && count < due + due / 10);
}

enum { TRIALS = 10000 };

// Three of five are ready: one never happens, one is full.
static void uniform(void *arg)
{
    (void)arg;
    int counts[6] = {0}, item = 1;
    make(OA_UNBOUNDED, 1);
    oa_chan_t *closing = oa_chan_make(sizeof(int));
    CHECK_EQ(oa_chan_close(closing), 0);
    send_to(b, 1);
    for (int i = 0; i < TRIALS; i++) {
        send_to(a, i);
        oa_case_t cases[] = {OA_SEND(b, &item), OA_SEND(a, &item), OA_RECV(NULL, NULL),
                             OA_RECV(closing, NULL), OA_RECV(a, NULL)};
        counts[oa_select(cases, COUNT(cases))]++;
    }
    CHECK_EQ(counts[0] + counts[2], 0);
    about(counts[1], TRIALS / 3);
    about(counts[3], TRIALS / 3);
    about(counts[4], TRIALS / 3);
    CHECK_EQ(oa_chan_free(closing), 0);
    all_over((size_t)(TRIALS + counts[1] - counts[4]), 1);
}

static void receive_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < TRIALS; i++)
        (void)receive_from(a);
}

// A case that waits for its partner is as likely as another one for the same.
static void uniform_in_line(void *arg)
{
    (void)arg;
    int counts[2] = {0}, item = 1;
    make(0, 0);
    oa_task_t *task = spawn(receive_many, NULL);
    oa_case_t cases[] = {OA_SEND(a, &item), OA_SEND(a, &item)};
    for (int i = 0; i < TRIALS; i++)
        counts[oa_select(cases, 2)]++;
    about(counts[0], TRIALS / 2);
    about(counts[1], TRIALS / 2);
    join(task);
    all_over(0, 0);
}

// ---- Waiting ------------------------------------------------------------------------------------

static void never_happens(void *arg)
{
    (void)arg;
    int item = 1;
    make(0, 0);
    int64_t soon = SOON;
    oa_case_t none[] = {OA_SEND(NULL, &item), OA_RECV(NULL, &item)};
    CHECK_EQ(oa_select_until(none, 2, 0), -ETIMEDOUT);
    CHECK_EQ(oa_select_until(none, 2, soon), -ETIMEDOUT);
    CHECK(oa_now() >= soon);
    soon = SOON;
    oa_case_t cases[] = {OA_SEND(a, &item), OA_RECV(NULL, &item), OA_RECV(b, &item)};
    CHECK_EQ(oa_select_until(cases, 3, soon), -ETIMEDOUT);
    CHECK(oa_now() >= soon);
    CHECK_EQ(item, 1);
    all_over(0, 0);
}

static void send_seven(void *arg)
{
    send_to(*(oa_chan_t **)arg, 7);
}

static void receive_seven(void *arg)
{
    CHECK_EQ(receive_from(*(oa_chan_t **)arg), 7);
}

static void put_seven(void *arg)
{
    int item = 7;
    UNTIL(oa_chan_put(*(oa_chan_t **)arg, &item) == 0);
}

static void take_seven(void *arg)
{
    int item = -1;
    UNTIL(oa_chan_take(*(oa_chan_t **)arg, &item) == 0);
    CHECK_EQ(item, 7);
}

static void select_seven(void *arg)
{
    int item = 7;
    oa_case_t cases[] = {OA_RECV(NULL, NULL), OA_SEND(*(oa_chan_t **)arg, &item)};
    CHECK_EQ(oa_select(cases, 2), 1);
    CHECK_EQ(cases[1].result, 0);
}

static void close_it(void *arg)
{
    CHECK_EQ(oa_chan_close(*(oa_chan_t **)arg), 0);
}

// Whoever comes, whichever case it is for; the other channel is left alone.
static void waits(void *arg)
{
    (void)arg;
    oa_fn *const senders[] = {send_seven, put_seven, select_seven};
    oa_fn *const receivers[] = {receive_seven, take_seven};
    for (size_t room = 0; room < 2; room++)
        for (size_t i = 0; i < 4 * COUNT(senders); i++) {
            int out = 99;
            make(room, room);
            oa_task_t *task = spawn(senders[i / 4], i % 2 ? &b : &a);
            oa_case_t cases[] = {OA_RECV(a, &out), OA_RECV(b, &out)};
            CHECK_EQ(i % 4 / 2 ? oa_select(cases, 2) : oa_select_until(cases, 2, LATE), i % 2);
            CHECK_EQ(cases[i % 2].result, 0);
            CHECK_EQ(out, 7);
            join(task);
            all_over(0, 0);
        }
    for (size_t i = 0; i < 4 * COUNT(receivers); i++) {
        int item = 7;
        make(0, 0);
        oa_task_t *task = spawn(receivers[i / 4], i % 2 ? &b : &a);
        oa_case_t cases[] = {OA_SEND(a, &item), OA_SEND(b, &item)};
        CHECK_EQ(i % 4 / 2 ? oa_select(cases, 2) : oa_select_until(cases, 2, LATE), i % 2);
        join(task);
        all_over(0, 0);
    }
}

// A full channel's sender that waits is a select: its element follows what is there.
static void waits_for_room(void *arg)
{
    (void)arg;
    make(1, 1);
    for (int i = 0; i < 20; i++) {
        send_to(a, 1);
        send_to(b, 2);
        oa_task_t *task = spawn(select_seven, &a);
        for (int k = 0; k < i % 3; k++)
            oa_yield();
        CHECK_EQ(receive_from(a), 1);
        CHECK_EQ(receive_from(a), 7);
        CHECK_EQ(receive_from(b), 2);
        join(task);
    }
    all_over(0, 0);
}

static void closed_meanwhile(void *arg)
{
    (void)arg;
    for (int i = 0; i < 8; i++) {
        int item = 7, out = 99;
        make(0, 0);
        oa_task_t *task = spawn(close_it, i % 2 ? &b : &a);
        for (int k = 0; k < i / 2; k++) // more and more often it is closed before the select
            oa_yield();
        oa_case_t cases[] = {OA_SEND(a, &item), OA_RECV(b, &out)};
        cases[1 - i % 2].result = 55;
        CHECK_EQ(oa_select(cases, 2), i % 2);
        CHECK_EQ(cases[i % 2].result, -EPIPE);
        CHECK_EQ(cases[1 - i % 2].result, 55);
        CHECK_EQ(out, 99);
        join(task);
        all_over(0, 0);
    }
}

// ---- One channel in several cases ---------------------------------------------------------------

static void itself(void *arg)
{
    (void)arg;
    int in = 1, out = 99;
    make(0, 0);
    oa_case_t cases[] = {OA_SEND(a, &in), OA_RECV(a, &out), OA_RECV(a, &out), OA_SEND(a, &in)};
    CHECK_EQ(oa_select_until(cases, 4, 0), -ETIMEDOUT);
    CHECK_EQ(oa_select_until(cases, 4, SOON), -ETIMEDOUT);
    CHECK_EQ(out, 99);
    CHECK_EQ(oa_chan_put(a, &in), -EAGAIN); // it has left all lines
    CHECK_EQ(oa_chan_take(a, &in), -EAGAIN);
    oa_task_t *task = spawn(send_seven, &a);
    int which = oa_select(cases, 4);
    CHECK(which == 1 || which == 2);
    CHECK_EQ(out, 7);
    join(task);
    in = 7;
    task = spawn(receive_seven, &a);
    which = oa_select(cases, 4);
    CHECK(which == 0 || which == 3);
    join(task);
    task = spawn(close_it, &a);
    CHECK_EQ(cases[oa_select(cases, 4)].result, 0 - EPIPE);
    join(task);
    all_over(0, 0);
}

static atomic_int told;

static void both_ways(void *arg)
{
    (void)arg;
    int in = 1, out = 2;
    oa_case_t cases[] = {OA_SEND(a, &in), OA_RECV(a, &out)};
    int which = oa_select(cases, 2);
    CHECK_EQ(out, which ? 1 : 2);
    atomic_fetch_add(&told, which ? 1 : 100);
}

// Of two such selects one sends and the other one receives.
static void two_of_them(void *arg)
{
    (void)arg;
    make(0, 0);
    for (int i = 0; i < 100; i++) {
        atomic_store(&told, 0);
        oa_task_t *task = spawn(both_ways, NULL);
        if (i % 2)
            oa_yield();
        both_ways(NULL);
        join(task);
        CHECK_EQ(atomic_load(&told), 101);
    }
    all_over(0, 0);
}

// ---- Broken waits -------------------------------------------------------------------------------

static void select_in_vain(void *arg)
{
    int item = 3, *kind = arg;
    make(0, 1);
    send_to(b, 1);
    oa_case_t cases[] = {OA_SEND(a, &item), OA_SEND(b, &item)};
    oa_case_t none[] = {OA_RECV(NULL, NULL)};
    oa_case_t ready[] = {OA_RECV(a, NULL), OA_RECV(b, NULL)};
    atomic_store(&told, 1);
    CHECK_EQ(*kind == 0   ? oa_select(cases, 2)
             : *kind == 1 ? oa_select_until(cases, 2, LATE)
                          : oa_select(none, 1),
             -ECANCELED);
    CHECK_EQ(oa_select(ready, 2), -ECANCELED); // although it need not wait
    CHECK_EQ(oa_select_until(ready, 2, 0), -ECANCELED);
    CHECK_EQ(oa_select(NULL, 0), -EINVAL);
    CHECK_EQ(oa_chan_len(b), 1);
    oa_shield(true);
    CHECK_EQ(oa_select_until(none, 1, SOON), -ETIMEDOUT);
    CHECK_EQ(oa_select(ready, 2), 1);
    oa_shield(false);
    all_over(0, 0);
}

static void cancelled(void *arg)
{
    (void)arg;
    for (int i = 0; i < 9; i++) {
        oa_task_t *task;
        int kind = i / 3;
        atomic_store(&told, 0);
        CHECK_EQ(oa_go(select_in_vain, &kind, .task = &task, .coord = coord, .block = i % 3 == 1,
                       .pinned = i % 3 == 2),
                 0);
        UNTIL(atomic_load(&told));
        for (int k = 0; k < i % 3; k++)
            oa_yield();
        CHECK_EQ(oa_cancel(task), 0);
        join(task);
    }
}

// ---- Lines --------------------------------------------------------------------------------------

enum { LINE = 6 };

static int order[LINE];
static atomic_int served;

static void stand_in_line(void *arg)
{
    int item, number = *(int *)arg;
    oa_case_t cases[] = {OA_RECV(b, &item), OA_RECV(a, &item)};
    if (number % 2)
        item = receive_from(a);
    else
        CHECK_EQ(oa_select(cases, 2), 1);
    order[item] = number;
    atomic_fetch_add(&served, 1);
}

// Selects and receivers are served first come, first served.
static void in_order(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    make(0, 0);
    atomic_store(&served, 0);
    for (int i = 0; i < LINE; i++) {
        uint64_t before = parks();
        CHECK_EQ(oa_go(stand_in_line, oa_val(i), .group = &group, .coord = coord), 0);
        UNTIL(parks() > before); // it stands in line
    }
    for (int i = 0; i < LINE; i++) {
        send_to(a, i);
        UNTIL(atomic_load(&served) == i + 1);
    }
    CHECK_EQ(oa_group_wait(&group), 0);
    for (int i = 0; i < LINE; i++)
        CHECK_EQ(order[i], i);
    all_over(0, 0);
}

static atomic_int sum;

static void add(void *elem)
{
    atomic_fetch_add(&sum, *(int *)elem);
}

// A consumer at rest takes what a select sends.
static void consumer(void *arg)
{
    (void)arg;
    oa_task_t *task;
    make(0, 0);
    atomic_store(&sum, 0);
    CHECK_EQ(oa_chan_consume(a, add, NULL, .task = &task, .coord = coord), 0);
    for (int i = 1; i <= 100; i++) {
        oa_case_t cases[] = {OA_RECV(b, NULL), OA_SEND(a, &i)};
        CHECK_EQ(oa_select(cases, 2), 1);
    }
    CHECK_EQ(oa_chan_close(a), 0);
    join(task);
    CHECK_EQ(atomic_load(&sum), 5050);
    all_over(0, 0);
}

// ---- Many cases ---------------------------------------------------------------------------------

enum { MANY = 300 };

static oa_chan_t *many[MANY];
static int numbers[MANY]; // what is sent to them

// Takes an element from any of all channels and puts one into any; some channels stand there twice,
// some cases are none. `step` makes an order of its own.
static void hop(void *arg)
{
    int step = *(int *)arg, item = -1;
    oa_case_t *cases = calloc(MANY + MANY / 10, sizeof *cases);
    CHECK(cases != NULL);
    for (int round = 0; round < 20; round++) {
        size_t n = 0;
        for (int i = 0; i < MANY; i++) {
            oa_chan_t *ch = many[(i * step + round) % MANY];
            cases[n++] = (oa_case_t)OA_RECV(i % 50 ? ch : NULL, &item);
            if (i % 10 == 0)
                cases[n++] = (oa_case_t)OA_RECV(ch, &item);
        }
        int which = oa_select(cases, n);
        CHECK(which >= 0 && cases[which].result == 0 && cases[which].ch == many[item]);
        for (int i = 0; i < MANY; i++) {
            int place = (i * step + round) % MANY;
            cases[i] = (oa_case_t)OA_SEND(many[place], &numbers[place]);
        }
        which = oa_select(cases, MANY);
        CHECK(which >= 0 && cases[which].result == 0);
    }
    free(cases);
}

static void many_cases(void *arg)
{
    (void)arg;
    static const int steps[] = {1, 7, 299, 101};
    oa_group_t group = OA_GROUP_INIT;
    struct thread thread;
    for (int i = 0; i < MANY; i++) {
        numbers[i] = i;
        many[i] = oa_chan_make(sizeof(int), .capacity = 1);
        CHECK(many[i] != NULL);
    }
    for (int i = 0; i < 3; i++) // fewer than who receive
        send_to(many[i * 50], i * 50);
    for (size_t i = 0; i < COUNT(steps); i++)
        CHECK_EQ(oa_go(hop, (void *)(uintptr_t)&steps[i], .group = &group, .coord = coord), 0);
    thread_start(&thread, hop, (void *)(uintptr_t)&steps[0]);
    thread_join(&thread);
    CHECK_EQ(oa_group_wait(&group), 0);
    size_t left = 0;
    for (int i = 0; i < MANY; i++) {
        left += oa_chan_len(many[i]);
        CHECK_EQ(oa_chan_free(many[i]), 0);
    }
    CHECK_EQ(left, 3);
}

// ---- The last touch -----------------------------------------------------------------------------

static void send_and_free(void *arg)
{
    oa_chan_t *ch = arg;
    send_to(ch, 7);
    CHECK_EQ(oa_chan_free(ch), 0);
}

// The winner's channel is freed by the other side at once, the other one by the select when it has
// returned; before that it is busy.
static void frees(void *arg)
{
    (void)arg;
    for (int i = 0; i < 300; i++) {
        int item = 0;
        make(0, 0);
        CHECK_EQ(oa_go(send_and_free, a, .coord = coord), 0);
        if (i % 2)
            oa_yield();
        oa_case_t cases[] = {OA_RECV(a, &item), OA_SEND(b, &item)};
        CHECK_EQ(oa_select(cases, 2), 0);
        CHECK_EQ(item, 7);
        CHECK_EQ(oa_chan_free(b), 0);
        memset(cases, 0xa5, sizeof cases);
    }
}

static void select_once(void *arg)
{
    oa_case_t cases[] = {OA_RECV(a, arg), OA_RECV(b, arg)};
    CHECK_EQ(oa_select(cases, 2), 1);
    atomic_store(&told, 1);
}

static void busy(void *arg)
{
    (void)arg;
    int item = 0;
    for (int i = 0; i < 2; i++) {
        uint64_t before = parks();
        make(0, 0);
        atomic_store(&told, 0);
        oa_task_t *task;
        CHECK_EQ(oa_go(select_once, &item, .task = &task, .coord = coord, .block = i), 0);
        UNTIL(parks() > before);
        CHECK_EQ(oa_chan_free(a), -EBUSY);
        CHECK_EQ(oa_chan_free(b), -EBUSY);
        send_to(b, 5);
        UNTIL(oa_chan_free(a) == 0);
        join(task);
        CHECK_EQ(item, 5);
        CHECK_EQ(oa_chan_free(b), 0);
    }
}

int main(void)
{
    oa_fn *const cases[] = {refuses,
                            at_once,
                            closed,
                            other_channels,
                            element_sizes,
                            uniform,
                            uniform_in_line,
                            never_happens,
                            waits,
                            waits_for_room,
                            closed_meanwhile,
                            itself,
                            two_of_them,
                            cancelled,
                            in_order,
                            consumer,
                            many_cases,
                            frees,
                            busy};
    for (size_t i = 0; i < COUNT(cases); i++)
        everywhere(cases[i]);
    return 0;
}
