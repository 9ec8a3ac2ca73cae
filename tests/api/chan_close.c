// SPDX-License-Identifier: BSD-2-Clause
// chan_close.c - closing and freeing: who waits is told, what is there is drained, once.
// ctest: simulate
#include "support.h"

static oa_chan_t *ch;
static atomic_int refused;

static void send_refused(void *arg)
{
    CHECK_EQ(oa_chan_send(ch, arg), -EPIPE);
    CHECK_EQ(oa_chan_send_until(ch, arg, LATE), -EPIPE);
    atomic_fetch_add(&refused, 1);
}

static void receive_refused(void *arg)
{
    int item = 99;
    (void)arg;
    CHECK_EQ(oa_chan_recv(ch, &item), -EPIPE);
    CHECK_EQ(oa_chan_recv_until(ch, &item, LATE), -EPIPE);
    CHECK_EQ(item, 99);
    atomic_fetch_add(&refused, 1);
}

// Closed while empty, full or without either: all later calls.
static void closed(void *arg)
{
    (void)arg;
    const size_t capacities[] = {0, 1, 2, 5, OA_UNBOUNDED};
    for (int c = 0; c < 5; c++) {
        int in = 0, item = -1;
        ch = oa_chan_make(sizeof(int), .capacity = capacities[c]);
        while (in < 5 && oa_chan_put(ch, &in) == 0)
            in++;
        CHECK_EQ(in, capacities[c] < 5 ? (int)capacities[c] : 5);
        CHECK_EQ(oa_chan_close(ch), 0);
        CHECK_EQ(oa_chan_close(ch), -EALREADY);
        CHECK_EQ(oa_chan_send(ch, &item), -EPIPE);
        CHECK_EQ(oa_chan_send_until(ch, &item, PAST), -EPIPE);
        CHECK_EQ(oa_chan_put(ch, &item), -EPIPE);
        CHECK_EQ(oa_chan_len(ch), in);
        for (int i = 0; i < in; i++) {
            CHECK_EQ(i % 2 ? oa_chan_take(ch, &item) : oa_chan_recv(ch, &item), 0);
            CHECK_EQ(item, i);
        }
        CHECK_EQ(oa_chan_recv(ch, &item), -EPIPE);
        CHECK_EQ(oa_chan_recv_until(ch, &item, PAST), -EPIPE);
        CHECK_EQ(oa_chan_take(ch, &item), -EPIPE);
        CHECK_EQ(oa_chan_free(ch), 0);
    }
}

// Senders that wait are refused, their elements not sent; receivers that wait are told.
static void wakes_waiters(void *arg)
{
    static int item = 5;
    int seen = 0;
    (void)arg;
    for (size_t capacity = 0; capacity < 2; capacity++) {
        oa_group_t group = OA_GROUP_INIT;
        uint64_t before = parks();
        ch = oa_chan_make(sizeof(int), .capacity = capacity);
        atomic_store(&refused, 0);
        if (capacity)
            CHECK_EQ(oa_chan_put(ch, &item), 0);
        for (int i = 0; i < 10; i++)
            CHECK_EQ(oa_go(send_refused, &item, .group = &group, .coord = coord), 0);
        UNTIL(parks() >= before + 10);
        CHECK_EQ(oa_chan_len(ch), capacity); // those of waiting senders do not count
        CHECK_EQ(oa_chan_free(ch), -EBUSY);
        CHECK_EQ(oa_chan_close(ch), 0);
        CHECK_EQ(oa_group_wait(&group), 0);
        CHECK_EQ(atomic_load(&refused), 10);
        CHECK_EQ(oa_chan_len(ch), capacity);
        if (capacity)
            CHECK_EQ(oa_chan_recv(ch, &seen), 0);
        CHECK_EQ(oa_chan_recv(ch, &seen), -EPIPE);
        CHECK_EQ(oa_chan_free(ch), 0);

        ch = oa_chan_make(sizeof(int), .capacity = capacity);
        atomic_store(&refused, 0);
        before = parks();
        for (int i = 0; i < 10; i++)
            CHECK_EQ(oa_go(receive_refused, NULL, .group = &group, .coord = coord), 0);
        UNTIL(parks() >= before + 10);
        CHECK_EQ(oa_chan_close(ch), 0);
        CHECK_EQ(oa_group_wait(&group), 0);
        CHECK_EQ(atomic_load(&refused), 10);
        CHECK_EQ(oa_chan_free(ch), 0);
    }
}

static void receive_one(void *arg)
{
    CHECK_EQ(oa_chan_recv(ch, arg), 0);
}

// Free is refused while somebody waits, and changes nothing.
static void busy(void *arg)
{
    struct thread thread;
    int item = 1, seen = 0;
    (void)arg;
    ch = oa_chan_make(sizeof(int));
    oa_task_t *task = spawn(receive_one, &seen);
    UNTIL(oa_chan_put(ch, &item) == 0); // so it came to its wait
    join(task);
    CHECK_EQ(seen, 1);
    uint64_t before = parks();
    task = spawn(receive_one, &seen);
    UNTIL(parks() > before);
    CHECK_EQ(oa_chan_free(ch), -EBUSY);
    CHECK_EQ(oa_chan_free(ch), -EBUSY);
    item = 2;
    CHECK_EQ(oa_chan_send(ch, &item), 0);
    join(task);
    CHECK_EQ(seen, 2);
    thread_start(&thread, receive_one, &seen);
    item = 3;
    CHECK_EQ(oa_chan_send(ch, &item), 0);
    CHECK_EQ(oa_chan_free(ch), 0); // told that it was received: nobody waits any more
    thread_join(&thread);
    CHECK_EQ(seen, 3);
}

static void send_and_leave(void *arg)
{
    int item = 4;
    CHECK_EQ(oa_chan_send(arg, &item), 0);
}

// Who has received, or been told of the close, may free the channel at once.
static void last_touch(void *arg)
{
    (void)arg;
    for (int i = 0; i < 300; i++) {
        int item = 0;
        oa_chan_t *own = oa_chan_make(sizeof(int), .capacity = (size_t)(i % 2));
        CHECK_EQ(oa_go(send_and_leave, own, .coord = coord), 0);
        CHECK_EQ(oa_chan_recv(own, &item), 0);
        CHECK_EQ(item, 4);
        CHECK_EQ(oa_chan_free(own), 0);
    }
}

static void close_it(void *arg)
{
    CHECK_EQ(oa_chan_close(arg), 0);
}

static void last_touch_of_close(void *arg)
{
    (void)arg;
    for (int i = 0; i < 300; i++) {
        oa_chan_t *own = oa_chan_make(sizeof(int));
        CHECK_EQ(oa_go(close_it, own, .coord = coord), 0);
        CHECK_EQ(oa_chan_recv(own, NULL), -EPIPE);
        CHECK_EQ(oa_chan_free(own), 0);
    }
}

int main(void)
{
    everywhere(closed);
    everywhere(wakes_waiters);
    everywhere(busy);
    everywhere(last_touch);
    everywhere(last_touch_of_close);
    return 0;
}
