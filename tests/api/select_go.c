// SPDX-License-Identifier: BSD-2-Clause
// select_go.c - the laws of Go's tests that concern select (runtime/chan_test.go and test/chan/ of
// Go 1.22), each on 1, 2 and 4 workers, by a task and by a plain thread.
// ctest: timeout=60 simulate=5
#include "support.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static oa_chan_t *make(size_t capacity)
{
    oa_chan_t *ch = oa_chan_make(sizeof(int), .capacity = capacity);
    CHECK(ch != NULL);
    return ch;
}

static void free_all(oa_chan_t *chans[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        CHECK_EQ(oa_chan_free(chans[i]), 0);
}

static void send(oa_chan_t *ch, int item)
{
    CHECK_EQ(oa_chan_send(ch, &item), 0);
}

static int receive(oa_chan_t *ch)
{
    int item = -1;
    CHECK_EQ(oa_chan_recv(ch, &item), 0);
    return item;
}

static int must_select(oa_case_t cases[], size_t n)
{
    int which = oa_select(cases, n);
    CHECK(which >= 0 && which < (int)n);
    CHECK_EQ(cases[which].result, 0);
    return which;
}

static void go(oa_group_t *group, oa_fn *fn, void *arg)
{
    CHECK_EQ(oa_go(fn, arg, .group = group, .coord = coord), 0);
}

static void wait_for(oa_group_t *group)
{
    CHECK_EQ(oa_group_wait(group), 0);
}

static bool in_plain_thread(void)
{
    return oa_self() == NULL;
}

// ---- TestSelectFairness -------------------------------------------------------------------------

enum { TRIALS = 10000 };

static oa_chan_t *chans[8];

static void relay(void *arg)
{
    oa_chan_t *out = chans[4], *done = chans[5];
    (void)arg;
    for (;;) {
        int item = 0;
        oa_case_t from[] = {OA_RECV(chans[2], &item), OA_RECV(chans[3], &item),
                            OA_RECV(chans[0], &item), OA_RECV(chans[1], &item)};
        must_select(from, 4);
        oa_case_t to[] = {OA_SEND(out, &item), OA_RECV(done, NULL)};
        if (oa_select(to, 2) == 1) {
            CHECK_EQ(to[1].result, -EPIPE);
            return;
        }
    }
}

static void fairness(void *arg)
{
    oa_group_t group = OA_GROUP_INIT;
    int counts[3] = {0};
    (void)arg;
    for (int i = 0; i < 6; i++)
        chans[i] = make(i < 2 ? TRIALS + 2 : 0);
    for (int i = 0; i < TRIALS + 2; i++) {
        send(chans[0], 1);
        send(chans[1], 2);
    }
    go(&group, relay, NULL);
    for (int i = 0; i < TRIALS; i++)
        counts[receive(chans[4])]++;
    CHECK(counts[1] > TRIALS / 2 - TRIALS / 20 && counts[1] < TRIALS / 2 + TRIALS / 20);
    CHECK_EQ(counts[1] + counts[2], TRIALS);
    CHECK_EQ(oa_chan_close(chans[5]), 0);
    wait_for(&group);
    free_all(chans, 6);
}

// ---- TestNonblockSelectRace, TestNonblockSelectRace2, TestNonblockRecvRace ----------------------

struct race {
    oa_chan_t *first, *second, *done;
};

// One of the two is always ready.
static void select_now(void *arg)
{
    const struct race *race = arg;
    oa_case_t cases[] = {OA_RECV(race->first, NULL), OA_RECV(race->second, NULL)};
    int which = oa_select_until(cases, 2, 0);
    send(race->done, which);
}

static void nonblock_race(bool close)
{
    int64_t rounds = test_scale(in_plain_thread() ? 10000 : 100000);
    struct race race = {.done = make(1)};
    for (int64_t i = 0; i < rounds; i++) {
        race.first = make(1);
        race.second = make(close ? 0 : 1);
        send(race.first, 1);
        CHECK_EQ(oa_go(select_now, &race, .coord = coord), 0);
        if (close)
            CHECK_EQ(oa_chan_close(race.second), 0);
        else
            send(race.second, 1);
        (void)oa_chan_take(race.first, NULL);
        CHECK(receive(race.done) >= 0);
        CHECK_EQ(oa_chan_free(race.first), 0);
        CHECK_EQ(oa_chan_free(race.second), 0);
    }
    CHECK_EQ(oa_chan_free(race.done), 0);
}

static void nonblock_select_race(void *arg)
{
    (void)arg;
    nonblock_race(false);
}

static void nonblock_select_race_2(void *arg)
{
    (void)arg;
    nonblock_race(true);
}

static void receive_now(void *arg)
{
    oa_case_t cases[] = {OA_RECV(arg, NULL)};
    CHECK_EQ(oa_select_until(cases, 1, 0), 0); // an element, or closed
}

static void nonblock_recv_race(void *arg)
{
    int64_t rounds = test_scale(10000);
    (void)arg;
    for (int64_t i = 0; i < rounds; i++) {
        oa_group_t group = OA_GROUP_INIT;
        oa_chan_t *ch = make(1);
        send(ch, 1);
        go(&group, receive_now, ch);
        CHECK_EQ(oa_chan_close(ch), 0);
        (void)oa_chan_recv(ch, NULL);
        wait_for(&group);
        CHECK_EQ(oa_chan_free(ch), 0);
    }
}

// ---- TestSelfSelect -----------------------------------------------------------------------------

static size_t self_capacity;

static void self_party(void *arg)
{
    oa_chan_t *ch = chans[0];
    int me = (int)(uintptr_t)arg;
    for (int i = 0; i < 1000; i++) {
        int item = me;
        oa_case_t send = OA_SEND(ch, &me), recv = OA_RECV(ch, &item);
        bool sends_first = me == 0 || i % 2 == 0;
        oa_case_t cases[] = {sends_first ? send : recv, sends_first ? recv : send};
        int which = must_select(cases, 2);
        if (cases[which].kind == OA_CASE_RECV && self_capacity == 0)
            CHECK_EQ(item, 1 - me);
    }
}

static void self_select(void *arg)
{
    (void)arg;
    for (self_capacity = 0; self_capacity <= 10; self_capacity += 10) {
        oa_group_t group = OA_GROUP_INIT;
        chans[0] = make(self_capacity);
        go(&group, self_party, (void *)0);
        if (in_plain_thread())
            self_party((void *)1);
        else
            go(&group, self_party, (void *)1);
        wait_for(&group);
        free_all(chans, 1);
    }
}

// ---- TestSelectStress ---------------------------------------------------------------------------

static int64_t each;

static void send_each(void *arg)
{
    for (int64_t i = 0; i < each; i++)
        send(arg, (int)i);
}

static void receive_each(void *arg)
{
    for (int64_t i = 0; i < each; i++)
        (void)receive(arg);
}

// So many to or from each of four, in any order; a channel that has had its share is NULL.
static void select_each(bool sends, const int order[4])
{
    int64_t left[4] = {each, each, each, each};
    int item = 0;
    oa_case_t cases[4];
    for (int i = 0; i < 4; i++) {
        oa_chan_t *ch = chans[order[i]];
        cases[i] = sends ? (oa_case_t)OA_SEND(ch, &item) : (oa_case_t)OA_RECV(ch, &item);
    }
    for (int64_t i = 0; i < 4 * each; i++) {
        int which = must_select(cases, 4);
        if (--left[which] == 0)
            cases[which].ch = NULL;
    }
}

static void select_sends(void *arg)
{
    (void)arg;
    select_each(true, (const int[]){3, 2, 0, 1});
}

static void select_receives(void *arg)
{
    (void)arg;
    select_each(false, (const int[]){0, 1, 2, 3});
}

// Four senders and four receivers, with one channel each, a select that sends to each, and one that
// receives; `mixed`: plain threads and blocking tasks among them.
static void stress(bool mixed)
{
    struct thread threads[4];
    oa_group_t group = OA_GROUP_INIT;
    each = test_scale(mixed ? 2000 : 20000);
    for (int i = 0; i < 4; i++)
        chans[i] = make(i < 2 ? 0 : (size_t)i);
    for (int i = 0; i < 4; i++) {
        if (mixed && i % 2) {
            thread_start(&threads[i - 1], send_each, chans[i]);
            thread_start(&threads[i], receive_each, chans[i]);
            continue;
        }
        CHECK_EQ(oa_go(send_each, chans[i], .group = &group, .coord = coord, .block = mixed), 0);
        go(&group, receive_each, chans[i]);
    }
    CHECK_EQ(oa_go(select_sends, .group = &group, .coord = coord, .pinned = mixed), 0);
    if (in_plain_thread())
        select_receives(NULL);
    else
        go(&group, select_receives, NULL);
    wait_for(&group);
    for (int i = 0; mixed && i < 4; i++)
        thread_join(&threads[i]);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(oa_chan_len(chans[i]), 0);
    free_all(chans, 4);
}

static void select_stress(void *arg)
{
    (void)arg;
    stress(false);
}

static void select_stress_mixed(void *arg)
{
    (void)arg;
    stress(true);
}

// ---- TestPseudoRandomSend -----------------------------------------------------------------------

enum { SENDS = 100 };

static int drawn[SENDS];

static void draw(void *arg)
{
    for (int i = 0; i < SENDS; i++) {
        oa_yield();
        drawn[i] = receive(arg);
    }
}

static void pseudo_random_send(void *arg)
{
    static const int zero = 0, one = 1;
    (void)arg;
    for (size_t capacity = 0; capacity <= SENDS; capacity += SENDS) {
        oa_group_t group = OA_GROUP_INIT;
        int ones = 0;
        chans[0] = make(capacity);
        go(&group, draw, chans[0]);
        for (int i = 0; i < SENDS; i++) {
            oa_case_t cases[] = {OA_SEND(chans[0], &one), OA_SEND(chans[0], &zero)};
            must_select(cases, 2);
        }
        wait_for(&group);
        for (int i = 0; i < SENDS; i++)
            ones += drawn[i];
        CHECK(ones > SENDS / 10 && SENDS - ones > SENDS / 10);
        free_all(chans, 1);
    }
}

// ---- TestMultiConsumer --------------------------------------------------------------------------

enum { CONSUMERS = 23, PRIMES = 10 };

static const int primes[PRIMES] = {2, 3, 7, 11, 13, 17, 19, 23, 27, 31};
static int64_t items;
static oa_group_t workers_of_it;

// From two queues to two others, until both are closed.
static void consume(void *arg)
{
    int mine = primes[(uintptr_t)arg % PRIMES];
    oa_case_t from[] = {OA_RECV(chans[0], NULL), OA_RECV(chans[1], NULL)};
    while (from[0].ch || from[1].ch) {
        int item = -1;
        from[0].recv = from[1].recv = &item;
        int which = oa_select(from, 2);
        CHECK(which >= 0);
        if (from[which].result == -EPIPE) {
            from[which].ch = NULL;
            continue;
        }
        if (item == mine)
            oa_yield();
        oa_case_t to[] = {OA_SEND(chans[2], &item), OA_SEND(chans[3], &item)};
        must_select(to, 2);
    }
}

static void feed(void *arg)
{
    (void)arg;
    for (int64_t i = 0; i < items; i++)
        send(chans[i % 2], primes[i % PRIMES]);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(oa_chan_close(chans[i]), 0);
    wait_for(&workers_of_it);
    for (int i = 2; i < 4; i++)
        CHECK_EQ(oa_chan_close(chans[i]), 0);
}

static void multi_consumer(void *arg)
{
    oa_group_t feeder = OA_GROUP_INIT;
    int64_t sum = 0, count = 0, due = 0;
    (void)arg;
    items = test_scale(27182);
    oa_group_init(&workers_of_it);
    for (int i = 0; i < 4; i++)
        chans[i] = make(CONSUMERS * 3);
    for (uintptr_t i = 0; i < CONSUMERS; i++)
        go(&workers_of_it, consume, (void *)i);
    go(&feeder, feed, NULL);
    for (int64_t i = 0; i < items; i++)
        due += primes[i % PRIMES];
    oa_case_t from[] = {OA_RECV(chans[2], NULL), OA_RECV(chans[3], NULL)};
    while (from[0].ch || from[1].ch) {
        int item = -1;
        from[0].recv = from[1].recv = &item;
        int which = oa_select(from, 2);
        CHECK(which >= 0);
        if (from[which].result == -EPIPE) {
            from[which].ch = NULL;
            continue;
        }
        sum += item;
        count++;
    }
    CHECK_EQ(count, items);
    CHECK_EQ(sum, due);
    wait_for(&feeder);
    free_all(chans, 4);
}

// ---- TestSelectDuplicateChannel -----------------------------------------------------------------

static void wait_twice_on_one(void *arg)
{
    oa_chan_t *c = chans[0], *d = chans[1], *e = chans[2];
    (void)arg;
    oa_case_t cases[] = {OA_RECV(c, NULL), OA_RECV(c, NULL), OA_RECV(d, NULL)};
    CHECK_EQ(must_select(cases, 3), 2);
    send(e, 9);
}

static void receive_one(void *arg)
{
    CHECK_EQ(receive(arg), 8);
}

static void duplicate_channel(void *arg)
{
    oa_group_t group = OA_GROUP_INIT;
    (void)arg;
    for (int i = 0; i < 3; i++)
        chans[i] = make(0);
    uint64_t before = parks();
    go(&group, wait_twice_on_one, NULL);
    UNTIL(parks() > before);
    before = parks();
    go(&group, receive_one, chans[0]);
    UNTIL(parks() > before);
    send(chans[1], 7);
    CHECK_EQ(receive(chans[2]), 9);
    send(chans[0], 8);
    wait_for(&group);
    free_all(chans, 3);
}

// ---- test/chan/select6.go: the lines of channels whose cases did not happen ---------------------

static void receive_true(void *arg)
{
    CHECK_EQ(receive(arg), 1);
}

static void send_true(void *arg)
{
    send(arg, 1);
}

static void receive_after(void *arg)
{
    (void)arg;
    oa_case_t cases[] = {OA_RECV(chans[0], NULL), OA_RECV(chans[1], NULL)};
    CHECK_EQ(must_select(cases, 2), 1);
    send(chans[2], 1);
    CHECK_EQ(receive(chans[0]), 1);
}

static void send_after(void *arg)
{
    static const int item = 1;
    (void)arg;
    oa_case_t cases[] = {OA_SEND(chans[0], &item), OA_RECV(chans[1], NULL)};
    CHECK_EQ(must_select(cases, 2), 1);
    send(chans[2], 1);
    send(chans[0], 1);
}

static void lines_of_others(void *arg)
{
    (void)arg;
    for (int sends = 0; sends < 2; sends++) {
        oa_group_t group = OA_GROUP_INIT;
        for (int i = 0; i < 3; i++)
            chans[i] = make(0);
        uint64_t before = parks();
        go(&group, sends ? send_true : receive_true, chans[0]);
        UNTIL(parks() > before);
        before = parks();
        go(&group, sends ? send_after : receive_after, NULL); // the last in line
        UNTIL(parks() > before);
        go(&group, send_true, chans[1]);
        CHECK_EQ(receive(chans[2]), 1);
        for (int i = 0; i < 2; i++) {
            if (sends)
                CHECK_EQ(receive(chans[0]), 1);
            else
                send(chans[0], 1);
        }
        wait_for(&group);
        free_all(chans, 3);
    }
}

// ---- test/chan/doubleselect.go: no two cases of one select happen -------------------------------

static void send_once_each(void *arg)
{
    (void)arg;
    for (int i = 0; i < (int)items; i++) {
        oa_case_t cases[] = {OA_SEND(chans[0], &i), OA_SEND(chans[1], &i), OA_SEND(chans[2], &i),
                             OA_SEND(chans[3], &i)};
        must_select(cases, 4);
    }
    for (int i = 0; i < 4; i++)
        CHECK_EQ(oa_chan_close(chans[i]), 0);
}

static void merge(void *arg)
{
    int item, err;
    while ((err = oa_chan_recv(arg, &item)) == 0)
        send(chans[4], item);
    CHECK_EQ(err, -EPIPE);
    send(chans[4], -1);
}

static void double_select(void *arg)
{
    oa_group_t group = OA_GROUP_INIT;
    int ends = 0;
    (void)arg;
    items = test_scale(20000);
    char *seen = calloc((size_t)items, 1);
    CHECK(seen != NULL);
    for (int i = 0; i < 5; i++)
        chans[i] = make(0);
    go(&group, send_once_each, NULL);
    for (int i = 0; i < 4; i++)
        go(&group, merge, chans[i]);
    while (ends < 4) {
        int item = receive(chans[4]);
        if (item < 0)
            ends++;
        else
            CHECK_EQ(seen[item]++, 0);
    }
    for (int64_t i = 0; i < items; i++)
        CHECK_EQ(seen[i], 1);
    wait_for(&group);
    free_all(chans, 5);
    free(seen);
}

// ---- test/chan/sieve1.go, by selects, and a long chain of them ----------------------------------

static oa_chan_t *quit;

struct stage {
    oa_chan_t *from, *to;
    int divisor; // numbers that it divides are dropped; 0: none
};

static void stage(void *arg)
{
    const struct stage *s = arg;
    for (;;) {
        int item;
        oa_case_t from[] = {OA_RECV(quit, NULL), OA_RECV(s->from, &item)};
        if (oa_select(from, 2) == 0)
            return;
        if (s->divisor && item % s->divisor == 0)
            continue;
        oa_case_t to[] = {OA_SEND(s->to, &item), OA_RECV(quit, NULL)};
        if (oa_select(to, 2) == 1)
            return;
    }
}

static void count_up(void *arg)
{
    for (int i = 2;; i++) {
        oa_case_t to[] = {OA_SEND(arg, &i), OA_RECV(quit, NULL)};
        if (oa_select(to, 2) == 1)
            return;
    }
}

static void sieve(void *arg)
{
    enum { MOST = 100 };
    oa_chan_t *links[MOST + 1];
    oa_group_t group = OA_GROUP_INIT;
    int last = 0;
    (void)arg;
    quit = make(0);
    links[0] = make(0);
    go(&group, count_up, links[0]);
    for (int i = 0; i < MOST; i++) {
        int prime = receive(links[i]);
        CHECK(prime > last);
        for (int k = 2; k * k <= prime; k++)
            CHECK(prime % k != 0);
        last = prime;
        links[i + 1] = make(0);
        struct stage s = {links[i], links[i + 1], prime};
        CHECK_EQ(oa_go(stage, oa_val(s), .group = &group, .coord = coord), 0);
    }
    CHECK_EQ(last, 541);
    CHECK_EQ(oa_chan_close(quit), 0);
    wait_for(&group);
    free_all(links, MOST + 1);
    CHECK_EQ(oa_chan_free(quit), 0);
}

static void long_chain(void *arg)
{
    size_t length = (size_t)test_scale(4000);
    oa_chan_t **links = calloc(length + 1, sizeof *links);
    oa_group_t group = OA_GROUP_INIT;
    (void)arg;
    CHECK(links != NULL);
    quit = make(0);
    for (size_t i = 0; i <= length; i++)
        links[i] = make(i % 2);
    for (size_t i = 0; i < length; i++) {
        struct stage s = {links[i], links[i + 1], 0};
        CHECK_EQ(oa_go(stage, oa_val(s), .group = &group, .coord = coord), 0);
    }
    for (int i = 0; i < 5; i++)
        send(links[0], i);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(receive(links[length]), i);
    CHECK_EQ(oa_chan_close(quit), 0);
    wait_for(&group);
    free_all(links, length + 1);
    free(links);
    CHECK_EQ(oa_chan_free(quit), 0);
}

int main(void)
{
    oa_fn *const laws[] = {fairness,
                           nonblock_select_race,
                           nonblock_select_race_2,
                           nonblock_recv_race,
                           self_select,
                           select_stress,
                           select_stress_mixed,
                           pseudo_random_send,
                           multi_consumer,
                           duplicate_channel,
                           lines_of_others,
                           double_select,
                           sieve,
                           long_chain};
    for (size_t i = 0; i < COUNT(laws); i++)
        for (int workers = 1; workers <= (simulated() ? 1 : 4); workers *= 2)
            on_workers(laws[i], workers);
    return 0;
}
