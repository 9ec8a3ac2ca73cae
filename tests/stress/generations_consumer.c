// SPDX-License-Identifier: BSD-2-Clause
// generations_consumer.c - calls of a consumer that ask for their handle until the generations of a
// task are used up: each has one that no call had before.
// ctest: timeout=60 label=long
#include "stress/support.h"

enum { ALL = (1 << 23) + 1000 };

static int64_t rounds, calls;
static oa_task_t *first, *before;

static void ask(void *elem)
{
    oa_task_t *self = oa_self();
    (void)elem;
    CHECK(self != first && self != before && oa_task_id(self) != 0);
    if (calls++ == 0)
        first = self;
    before = self;
    if (calls > 1 && (calls % 1024 == 0 || calls > rounds - 2000)) {
        CHECK_EQ(oa_task_id(first), 0);
        CHECK_EQ(oa_cancel(first), -ESRCH);
        CHECK_EQ(strcmp(oa_task_name(self), "asks"), 0);
    }
}

static void start(void *arg)
{
    oa_chan_t *channel = oa_chan_make(0, .capacity = 64);
    oa_task_t *consumer;
    (void)arg;
    rounds = test_scale(ALL);
    CHECK_EQ(oa_chan_consume(channel, ask, NULL, .name = "asks", .task = &consumer), 0);
    for (int64_t i = 0; i < rounds; i++)
        CHECK_EQ(oa_chan_send(channel, NULL), 0);
    CHECK_EQ(oa_chan_close(channel), 0);
    CHECK_EQ(oa_join(consumer), 0);
    CHECK_EQ(calls, rounds);
    CHECK_EQ(oa_chan_free(channel), 0);
}

int main(void)
{
    CHECK_EQ(oa_run(start, .max_workers = 1), 0);
    return 0;
}
