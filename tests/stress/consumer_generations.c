// SPDX-License-Identifier: BSD-2-Clause
// consumer_generations.c - a consumer whose calls each ask for their handle outlives the generations of one slot.
// ctest: timeout=60 label=long not=asan,tsan,valgrind,qemu
#include "stress/support.h"

enum { CALLS = 9000000 }; // more than 2^23

static long called;

static void name_itself(void *elem)
{
    (void)elem;
    CHECK(oa_self() != NULL);
    called++;
}

static void start(void *arg)
{
    oa_task_t *consumer;
    (void)arg;
    oa_chan_t *ch = oa_chan_make(0, .capacity = 64);
    CHECK_EQ(oa_chan_consume(ch, name_itself, NULL, .task = &consumer), 0);
    for (int i = 0; i < CALLS; i++)
        CHECK_EQ(oa_chan_send(ch, NULL), 0);
    CHECK_EQ(oa_chan_close(ch), 0);
    CHECK_EQ(oa_join(consumer), 0);
    CHECK_EQ(called, CALLS);
    CHECK_EQ(oa_chan_free(ch), 0);
}

int main(void)
{
    CHECK_EQ(oa_run(start, .max_workers = 1), 0);
    return 0;
}
