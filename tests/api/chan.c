// SPDX-License-Identifier: BSD-2-Clause
// chan.c - channels of each capacity: what is sent arrives, in order, once; the calls that never
// wait; the refusals.
// ctest: simulate
#include "support.h"

static void makes(void)
{
    CHECK(oa_chan_make_config(NULL) == NULL);
    CHECK(oa_chan_make(SIZE_MAX, .capacity = 2) == NULL);
    CHECK(oa_chan_make(16, .capacity = SIZE_MAX / 8) == NULL);
    CHECK(oa_chan_make(SIZE_MAX / 4, .capacity = 8) == NULL);
    oa_chan_config_t config = OA_CHAN_INIT;
    config.elem_size = 4;
    oa_chan_t *ch = oa_chan_make_config(&config);
    CHECK(ch != NULL);
    CHECK_EQ(oa_chan_free(ch), 0);
    config.size = 0;
    CHECK(oa_chan_make_config(&config) == NULL);
    struct {
        oa_chan_config_t config;
        uint64_t more;
    } larger = {.config = {.size = sizeof larger, .elem_size = 4}};
    ch = oa_chan_make_config(&larger.config);
    CHECK(ch != NULL);
    CHECK_EQ(oa_chan_free(ch), 0);
    larger.more = 1;
    CHECK(oa_chan_make_config(&larger.config) == NULL);
    CHECK_EQ(oa_chan_free(NULL), 0);
}

static void null_arguments(void *arg)
{
    (void)arg;
    int item = 0;
    CHECK_EQ(oa_chan_send(NULL, &item), -EINVAL);
    CHECK_EQ(oa_chan_send_until(NULL, &item, LATE), -EINVAL);
    CHECK_EQ(oa_chan_recv(NULL, &item), -EINVAL);
    CHECK_EQ(oa_chan_recv_until(NULL, &item, LATE), -EINVAL);
    CHECK_EQ(oa_chan_put(NULL, &item), -EINVAL);
    CHECK_EQ(oa_chan_take(NULL, &item), -EINVAL);
    CHECK_EQ(oa_chan_close(NULL), -EINVAL);
    CHECK_EQ(oa_chan_len(NULL), 0);
    oa_chan_t *ch = oa_chan_make(sizeof item, .capacity = 2);
    CHECK_EQ(oa_chan_send(ch, NULL), -EINVAL);
    CHECK_EQ(oa_chan_send_until(ch, NULL, LATE), -EINVAL);
    CHECK_EQ(oa_chan_put(ch, NULL), -EINVAL);
    CHECK_EQ(oa_chan_len(ch), 0);
    CHECK_EQ(oa_chan_put(ch, &item), 0); // a NULL discards
    CHECK_EQ(oa_chan_put(ch, &item), 0);
    CHECK_EQ(oa_chan_recv(ch, NULL), 0);
    CHECK_EQ(oa_chan_take(ch, NULL), 0);
    CHECK_EQ(oa_chan_take(ch, NULL), -EAGAIN);
    CHECK_EQ(oa_chan_free(ch), 0);
}

// A bounded channel is a queue of its capacity.
static void bounded(void *arg)
{
    (void)arg;
    for (int capacity = 1; capacity <= 9; capacity++) {
        oa_chan_t *ch = oa_chan_make(sizeof(int), .capacity = (size_t)capacity);
        int next_in = 0, next_out = 0, item = -1;
        for (int round = 0; round < 20; round++) {
            while (oa_chan_len(ch) < (size_t)capacity) {
                CHECK_EQ(next_in % 2 ? oa_chan_put(ch, &next_in) : oa_chan_send(ch, &next_in), 0);
                next_in++;
            }
            CHECK_EQ(oa_chan_put(ch, &next_in), -EAGAIN);
            CHECK_EQ(oa_chan_send_until(ch, &next_in, PAST), -ETIMEDOUT);
            for (int i = 0; i <= round % capacity; i++) {
                CHECK_EQ(i % 2 ? oa_chan_take(ch, &item) : oa_chan_recv(ch, &item), 0);
                CHECK_EQ(item, next_out);
                next_out++;
            }
        }
        CHECK_EQ(oa_chan_len(ch), next_in - next_out);
        CHECK_EQ(oa_chan_free(ch), 0); // discards the rest
    }
}

static void unbounded(void *arg)
{
    (void)arg;
    oa_chan_t *ch = oa_chan_make(sizeof(int), .capacity = OA_UNBOUNDED);
    int in = 0, out = 0, item;
    for (int round = 1; round < 100; round++) {
        for (int i = 0; i < round; i++, in++)
            CHECK_EQ(i % 2 ? oa_chan_put(ch, &in) : oa_chan_send_until(ch, &in, PAST), 0);
        for (int i = 0; i < round / 2; i++, out++) {
            CHECK_EQ(oa_chan_recv_until(ch, &item, PAST), 0);
            CHECK_EQ(item, out);
        }
    }
    CHECK_EQ(oa_chan_len(ch), in - out);
    for (; out < in; out++) {
        CHECK_EQ(oa_chan_take(ch, &item), 0);
        CHECK_EQ(item, out);
    }
    CHECK_EQ(oa_chan_take(ch, &item), -EAGAIN);
    CHECK_EQ(oa_chan_len(ch), 0);
    CHECK_EQ(oa_chan_free(ch), 0);
}

static void receive_7(void *arg)
{
    int item = 0;
    CHECK_EQ(oa_chan_recv(arg, &item), 0);
    CHECK_EQ(item, 7);
}

static void send_7(void *arg)
{
    int item = 7;
    CHECK_EQ(oa_chan_send(arg, &item), 0);
}

// A rendezvous holds nothing: put needs a waiting receiver, take a waiting sender.
static void rendezvous(void *arg)
{
    (void)arg;
    oa_chan_t *ch = oa_chan_make(sizeof(int));
    int item = 7;
    CHECK_EQ(oa_chan_put(ch, &item), -EAGAIN);
    CHECK_EQ(oa_chan_take(ch, &item), -EAGAIN);
    CHECK_EQ(oa_chan_send_until(ch, &item, PAST), -ETIMEDOUT);
    CHECK_EQ(oa_chan_recv_until(ch, &item, PAST), -ETIMEDOUT);
    CHECK_EQ(oa_chan_send_until(ch, &item, SOON), -ETIMEDOUT);
    CHECK_EQ(oa_chan_recv_until(ch, &item, SOON), -ETIMEDOUT);
    oa_task_t *task = spawn(receive_7, ch);
    UNTIL(oa_chan_put(ch, &item) == 0);
    join(task);
    task = spawn(send_7, ch);
    item = 0;
    UNTIL(oa_chan_take(ch, &item) == 0);
    CHECK_EQ(item, 7);
    join(task);
    task = spawn(send_7, ch);
    CHECK_EQ(oa_chan_recv_until(ch, &item, LATE), 0);
    join(task);
    task = spawn(receive_7, ch);
    CHECK_EQ(oa_chan_send_until(ch, &item, LATE), 0);
    join(task);
    CHECK_EQ(oa_chan_len(ch), 0);
    CHECK_EQ(oa_chan_free(ch), 0);
}

// An element that could not be received leaves the caller's memory as it was.
static void leaves_memory(void *arg)
{
    (void)arg;
    oa_chan_t *ch = oa_chan_make(sizeof(int), .capacity = 1);
    int item = 99;
    CHECK_EQ(oa_chan_take(ch, &item), -EAGAIN);
    CHECK_EQ(oa_chan_recv_until(ch, &item, SOON), -ETIMEDOUT);
    CHECK_EQ(oa_chan_close(ch), 0);
    CHECK_EQ(oa_chan_recv(ch, &item), -EPIPE);
    CHECK_EQ(oa_chan_take(ch, &item), -EPIPE);
    CHECK_EQ(item, 99);
    CHECK_EQ(oa_chan_free(ch), 0);
}

static void element_sizes(void *arg)
{
    (void)arg;
    static char in[5000], out[5000];
    const size_t sizes[] = {0, 1, 3, 8, 13, 64, 1000, 5000};
    for (int i = 0; i < 8; i++) {
        oa_chan_t *ch = oa_chan_make(sizes[i], .capacity = 2);
        memset(in, i + 1, sizeof in);
        memset(out, 0, sizeof out);
        CHECK_EQ(oa_chan_send(ch, sizes[i] ? in : NULL), 0);
        CHECK_EQ(oa_chan_put(ch, in), 0);
        CHECK_EQ(oa_chan_len(ch), 2);
        CHECK_EQ(oa_chan_recv(ch, out), 0);
        CHECK_EQ(oa_chan_recv(ch, NULL), 0);
        CHECK(memcmp(in, out, sizes[i]) == 0);
        for (size_t k = sizes[i]; k < sizeof out; k++)
            CHECK(out[k] == 0);
        CHECK_EQ(oa_chan_free(ch), 0);
    }
}

int main(void)
{
    makes();
    everywhere(null_arguments);
    everywhere(bounded);
    everywhere(unbounded);
    everywhere(rendezvous);
    everywhere(leaves_memory);
    everywhere(element_sizes);
    return 0;
}
