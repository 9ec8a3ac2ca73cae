// SPDX-License-Identifier: BSD-2-Clause
// test_fifo.c - the queue of a channel's elements: order, sizes, capacities, no memory.
#include <errno.h>

#include "check.h"
#include "os/os.h"
#include "sync/fifo.h"

static void fill(unsigned char *element, size_t size, uint64_t number)
{
    for (size_t i = 0; i < size; i++)
        element[i] = (unsigned char)(number * 31 + i * 7);
}

static void run(size_t size, size_t capacity, uint64_t random)
{
    oai_fifo_t fifo;
    unsigned char element[64], expected[64];
    uint64_t pushed = 0, popped = 0;
    CHECK_EQ(oai_fifo_init(&fifo, size, capacity), 0);
    for (int64_t step = test_scale(20000); step > 0; step--) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        // Waves, so that it fills up and empties.
        bool push = (random >> 60) < ((step / 1000) % 2 ? 10 : 6);
        if (push) {
            fill(element, size, pushed);
            int err = oai_fifo_push(&fifo, element);
            CHECK_EQ(err, pushed - popped == capacity ? -EAGAIN : 0);
            pushed += err == 0;
        } else if (fifo.count != 0) {
            bool discard = random >> 40 & 1;
            fill(expected, size, popped++);
            oai_fifo_pop(&fifo, discard ? NULL : element);
            CHECK(discard || memcmp(element, expected, size) == 0);
        }
        CHECK_EQ(fifo.count, pushed - popped);
    }
    oai_fifo_destroy(&fifo);
}

static void *no_memory(size_t size)
{
    (void)size;
    return NULL;
}

static void test_no_memory(void)
{
    oai_fifo_t fifo;
    uint64_t element = 1;
    void *(*alloc)(size_t) = oai_os.alloc;
    CHECK_EQ(oai_fifo_init(&fifo, 1024, SIZE_MAX / 1024), -EINVAL);
    CHECK_EQ(oai_fifo_init(&fifo, SIZE_MAX / 2, 3), -EINVAL);
    CHECK_EQ(oai_fifo_init(&fifo, SIZE_MAX / 2, SIZE_MAX), -EINVAL);
    oai_os.alloc = no_memory;
    CHECK_EQ(oai_fifo_init(&fifo, 8, 8), -ENOMEM);
    CHECK_EQ(oai_fifo_init(&fifo, 8, SIZE_MAX), 0);
    CHECK_EQ(oai_fifo_push(&fifo, &element), -ENOMEM);
    CHECK_EQ(fifo.count, 0);
    oai_os.alloc = alloc;
    CHECK_EQ(oai_fifo_push(&fifo, &element), 0);
    element = 0;
    oai_fifo_pop(&fifo, &element);
    CHECK_EQ(element, 1);
    oai_fifo_destroy(&fifo);
}

int main(void)
{
    static const size_t sizes[] = {0, 1, 8, 13, 64};
    static const size_t capacities[] = {0, 1, 2, 63, 64, 65, 1000, SIZE_MAX};
    uint64_t seed = test_seed();
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t c = 0; c < sizeof capacities / sizeof *capacities; c++)
            run(sizes[s], capacities[c], seed);
    test_no_memory();
    return 0;
}
