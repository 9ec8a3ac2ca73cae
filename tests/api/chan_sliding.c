// SPDX-License-Identifier: BSD-2-Clause
// chan_sliding.c - a full sliding channel drops its oldest element; no send waits.
// ctest: simulate
#include "support.h"

static void makes(void)
{
    CHECK(oa_chan_make(4, .sliding = true) == NULL);
    CHECK(oa_chan_make(4, .capacity = OA_UNBOUNDED, .sliding = true) == NULL);
}

// Whatever was sent, the last `capacity` are there, in order.
static void keeps_the_newest(void *arg)
{
    (void)arg;
    for (int capacity = 1; capacity <= 5; capacity++) {
        oa_chan_t *ch = oa_chan_make(sizeof(int), .capacity = (size_t)capacity, .sliding = true);
        CHECK(ch != NULL);
        for (int sent = 0; sent <= 12; sent++) {
            for (int i = 0; i < sent; i++)
                CHECK_EQ(i % 2 ? oa_chan_put(ch, &i) : oa_chan_send(ch, &i), 0);
            int first = sent > capacity ? sent - capacity : 0;
            CHECK_EQ(oa_chan_len(ch), sent - first);
            for (int i = first, got; i < sent; i++) {
                CHECK_EQ(oa_chan_recv(ch, &got), 0);
                CHECK_EQ(got, i);
            }
            CHECK_EQ(oa_chan_take(ch, NULL), -EAGAIN);
        }
        CHECK_EQ(oa_chan_free(ch), 0);
    }
}

// Elements without bytes slide, too: what counts is how many there are.
static void without_bytes(void *arg)
{
    (void)arg;
    oa_chan_t *ch = oa_chan_make(0, .capacity = 2, .sliding = true);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(oa_chan_send_until(ch, NULL, PAST), 0);
    CHECK_EQ(oa_chan_len(ch), 2);
    CHECK_EQ(oa_chan_free(ch), 0);
}

static void receive_one(void *arg)
{
    int got = 0;
    CHECK_EQ(oa_chan_recv(arg, &got), 0);
    CHECK_EQ(got, 7);
}

// A receiver that waits gets the element at once; a closed channel refuses and drains.
static void hands_over_and_closes(void *arg)
{
    (void)arg;
    oa_chan_t *ch = oa_chan_make(sizeof(int), .capacity = 1, .sliding = true);
    int item = 7;
    oa_task_t *task = spawn(receive_one, ch);
    CHECK_EQ(oa_chan_send(ch, &item), 0);
    join(task);
    CHECK_EQ(oa_chan_put(ch, &item), 0);
    CHECK_EQ(oa_chan_close(ch), 0);
    CHECK_EQ(oa_chan_send(ch, &item), -EPIPE);
    CHECK_EQ(oa_chan_put(ch, &item), -EPIPE);
    CHECK_EQ(oa_chan_recv(ch, &item), 0);
    CHECK_EQ(oa_chan_recv(ch, &item), -EPIPE);
    CHECK_EQ(oa_chan_free(ch), 0);
}

int main(void)
{
    makes();
    everywhere(keeps_the_newest);
    everywhere(without_bytes);
    everywhere(hands_over_and_closes);
    return 0;
}
