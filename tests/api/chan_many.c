// SPDX-License-Identifier: BSD-2-Clause
// chan_many.c - many senders and receivers, tasks and plain threads mixed: each element arrives
// once, those of one sender in order; waiters are served first come, first served.
// ctest: simulate
#include "support.h"

enum { SENDERS = 4, RECEIVERS = 3, EACH = 400 };

struct item {
    int sender, number;
};

static oa_chan_t *ch;
static atomic_int received[SENDERS][EACH];

static void send_all(void *arg)
{
    struct item item = {.sender = *(int *)arg};
    for (item.number = 0; item.number < EACH; item.number++) {
        int result;
        switch (item.number % 3) {
        case 0:
            UNTIL((result = oa_chan_put(ch, &item)) != -EAGAIN);
            CHECK_EQ(result, 0);
            break;
        case 1: CHECK_EQ(oa_chan_send_until(ch, &item, LATE), 0); break;
        default: CHECK_EQ(oa_chan_send(ch, &item), 0);
        }
    }
}

static void receive_all(void *arg)
{
    int last[SENDERS] = {-1, -1, -1, -1};
    struct item item;
    (void)arg;
    while (oa_chan_recv(ch, &item) == 0) {
        CHECK(item.number > last[item.sender]); // in its sender's order
        last[item.sender] = item.number;
        atomic_fetch_add(&received[item.sender][item.number], 1);
        if (oa_chan_take(ch, &item) == 0) {
            CHECK(item.number > last[item.sender]);
            last[item.sender] = item.number;
            atomic_fetch_add(&received[item.sender][item.number], 1);
        }
    }
}

static void many(size_t capacity)
{
    struct thread threads[2];
    oa_group_t senders = OA_GROUP_INIT, receivers = OA_GROUP_INIT;
    int numbers[SENDERS];
    memset(received, 0, sizeof received);
    ch = oa_chan_make(sizeof(struct item), .capacity = capacity);
    for (int i = 0; i < SENDERS; i++) {
        numbers[i] = i;
        if (i)
            CHECK_EQ(oa_go(send_all, &numbers[i], .group = &senders, .coord = coord), 0);
    }
    for (int i = 1; i < RECEIVERS; i++)
        CHECK_EQ(oa_go(receive_all, .group = &receivers, .coord = coord), 0);
    thread_start(&threads[0], receive_all, NULL);
    thread_start(&threads[1], send_all, &numbers[0]);
    thread_join(&threads[1]);
    CHECK_EQ(oa_group_wait(&senders), 0);
    CHECK_EQ(oa_chan_close(ch), 0);
    CHECK_EQ(oa_group_wait(&receivers), 0);
    thread_join(&threads[0]);
    for (int i = 0; i < SENDERS; i++)
        for (int k = 0; k < EACH; k++)
            CHECK_EQ(atomic_load(&received[i][k]), 1);
    CHECK_EQ(oa_chan_free(ch), 0);
}

static void many_of_all(void *arg)
{
    const size_t capacities[] = {0, 1, 7, OA_UNBOUNDED};
    (void)arg;
    for (int i = 0; i < 4; i++)
        many(capacities[i]);
}

enum { QUEUE = 6 };

static int order[QUEUE];
static atomic_int served;

static void receive_number(void *arg)
{
    int item;
    CHECK_EQ(oa_chan_recv(ch, &item), 0);
    order[item] = *(int *)arg;
    atomic_fetch_add(&served, 1);
}

static void send_number(void *arg)
{
    CHECK_EQ(oa_chan_send(ch, arg), 0);
}

// With one worker a yield lets the spawned task come to its wait, so the order of waiting is known.
static void in_order(void *arg)
{
    oa_group_t group = OA_GROUP_INIT;
    (void)arg;
    ch = oa_chan_make(sizeof(int));
    atomic_store(&served, 0);
    for (int i = 0; i < QUEUE; i++) {
        uint64_t before = parks();
        CHECK_EQ(oa_go(receive_number, oa_val(i), .group = &group), 0);
        UNTIL(parks() > before);
    }
    for (int i = 0; i < QUEUE; i++)
        CHECK_EQ(oa_chan_put(ch, &i), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    for (int i = 0; i < QUEUE; i++)
        CHECK_EQ(order[i], i);
    for (int i = 0; i < QUEUE; i++) {
        uint64_t before = parks();
        CHECK_EQ(oa_go(send_number, oa_val(i), .group = &group), 0);
        UNTIL(parks() > before);
    }
    for (int i = 0; i < QUEUE; i++) {
        int item = -1;
        CHECK_EQ(oa_chan_take(ch, &item), 0);
        CHECK_EQ(item, i);
    }
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(oa_chan_free(ch), 0);
}

static void in_order_run(void *arg)
{
    coord = oa_coord();
    in_order(arg);
}

int main(void)
{
    beside(many_of_all, 1);
    beside(many_of_all, 2);
    CHECK_EQ(oa_run(in_order_run, .max_workers = 1), 0);
    return 0;
}
