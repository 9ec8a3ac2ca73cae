// SPDX-License-Identifier: BSD-2-Clause
// chan_conserve.c - no element is lost, doubled or overtakes one of its sender's, under random
// cancels, deadlines and closes.
// ctest: timeout=60 simulate=10
#include "stress/support.h"

enum { SENDERS = 4, RECEIVERS = 4, MOST = 4096 };

struct element {
    uint32_t sender, number;
};

static oa_coord_t *coord;
static oa_chan_t *channel;
static int64_t each;
static uint64_t seed;
static oa_task_t *tasks[SENDERS + RECEIVERS];
static atomic_uchar sent[SENDERS][MOST], received[SENDERS][MOST];
static atomic_uint left; // senders and receivers that have not ended

static int64_t random_deadline(uint64_t *random)
{
    uint64_t n = random_below(random, 8);
    return n < 4 ? OA_FOREVER : oa_after((int64_t)n * 10 * OA_MICROSECOND - 45 * OA_MICROSECOND);
}

static int send_somehow(const struct element *element, uint64_t *random)
{
    if (random_below(random, 8) == 0)
        return oa_chan_put(channel, element);
    return oa_chan_send_until(channel, element, random_deadline(random));
}

static void sender(void *arg)
{
    uint32_t self = (uint32_t)(uintptr_t)arg;
    uint64_t random = seed + self;
    for (uint32_t i = 0; i < (uint32_t)each; i++) {
        struct element element = {self, i};
        int err = send_somehow(&element, &random);
        CHECK(err == 0 || err == -EAGAIN || err == -ETIMEDOUT || err == -ECANCELED ||
              err == -EPIPE);
        if (err == 0)
            atomic_store(&sent[self][i], 1);
        if (err == -ECANCELED)
            oa_yield();
    }
    atomic_fetch_sub(&left, 1);
}

static void receiver(void *arg)
{
    uint64_t random = seed + (uintptr_t)arg;
    int64_t last[SENDERS] = {-1, -1, -1, -1};
    for (;;) {
        struct element element;
        int err = random_below(&random, 8)
                      ? oa_chan_recv_until(channel, &element, random_deadline(&random))
                      : oa_chan_take(channel, &element);
        if (err == -EPIPE)
            break;
        if (err == -ECANCELED) // what never waits must drain it now
            err = oa_chan_take(channel, &element);
        if (err == -EPIPE)
            break;
        if (err != 0) {
            CHECK(err == -EAGAIN || err == -ETIMEDOUT);
            oa_yield();
            continue;
        }
        CHECK(element.sender < SENDERS && element.number < (uint32_t)each);
        CHECK(element.number > last[element.sender]);
        last[element.sender] = element.number;
        CHECK_EQ(atomic_fetch_add(&received[element.sender][element.number], 1), 0);
    }
    atomic_fetch_sub(&left, 1);
}

// Cancelled before it began.
static void dropped(void *arg)
{
    (void)arg;
    atomic_fetch_sub(&left, 1);
}

static void spawn(int slot, oa_fn *fn, uintptr_t arg)
{
    CHECK_EQ(oa_go(fn, (void *)arg, .task = &tasks[slot], .coord = coord, .drop = dropped), 0);
}

static void drive(void *early)
{
    uint64_t random = seed;
    struct thread threads[2];
    for (int i = 0; i < SENDERS - 1; i++) {
        spawn(2 * i, sender, (uintptr_t)i);
        spawn(2 * i + 1, receiver, (uintptr_t)i + 100);
    }
    thread_start(&threads[0], sender, (void *)(SENDERS - 1));
    thread_start(&threads[1], receiver, (void *)99);
    while (atomic_load(&left) > RECEIVERS) {
        uint64_t n = random_below(&random, looks(2000));
        if (n < 2 * SENDERS - 2)
            (void)oa_cancel(tasks[n]);
        if (*(bool *)early && n == looks(2000) - 1)
            break;
        oa_yield();
    }
    CHECK_EQ(oa_chan_close(channel), 0);
    for (int i = 0; i < 2 * SENDERS - 2; i++)
        CHECK_EQ(oa_join(tasks[i]), 0);
    thread_join(&threads[0]);
    thread_join(&threads[1]);
    CHECK_EQ(atomic_load(&left), 0);
}

static void run(size_t capacity, int workers, bool early)
{
    memset(sent, 0, sizeof sent);
    memset(received, 0, sizeof received);
    atomic_store(&left, SENDERS + RECEIVERS);
    channel = oa_chan_make(sizeof(struct element), .capacity = capacity);
    seed++;
    beside(&coord, drive, &early, workers);
    CHECK_EQ(oa_chan_len(channel), 0);
    CHECK_EQ(oa_chan_free(channel), 0);
    for (int s = 0; s < SENDERS; s++)
        for (int64_t i = 0; i < each; i++)
            CHECK_EQ(atomic_load(&sent[s][i]), atomic_load(&received[s][i]));
}

int main(void)
{
    static const size_t capacities[] = {0, 1, 7, OA_UNBOUNDED};
    seed = test_seed();
    each = test_scale(2000);
    for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++)
        for (int workers = 1; workers <= 2; workers++)
            for (int early = 0; early < 2; early++)
                run(capacities[i], workers, early);
    return 0;
}
