// SPDX-License-Identifier: BSD-2-Clause
// chan_consume.c - a consumer is called once for each element, in the order of each producer, never
// twice at once, whoever sends, until its channel is closed, it is cancelled or its coordinator
// ends; who is told that it is over frees the channel at once.
// ctest: timeout=60 simulate=10
#include "stress/support.h"

enum { PRODUCERS = 4, MOST = 4096, AHEAD = 32 };

struct element {
    uint32_t producer, number;
};

// How the consumer comes to its end.
enum ending { CLOSED, CANCELLED, GROUP_CANCELLED, COORD_ENDS, COORD_CANCELLED, ENDINGS };

static oa_coord_t *home, *abroad; // the consumer's coordinator, and another
static oa_chan_t *channel;
static oa_task_t *consumer;
static oa_group_t group;
static uint64_t seed, consumer_random;
static int64_t each;
static atomic_uint sent[PRODUCERS];
static atomic_int inside;
static bool seen[PRODUCERS][MOST]; // the consumer's, as the next: one call happens before the next
static int64_t last[PRODUCERS], calls;
static atomic_int producing;

static void wait_somehow(uint64_t *random)
{
    switch (random_below(random, 32)) {
    case 0: oa_yield(); break;
    case 1: (void)oa_sleep((int64_t)random_below(random, 20) * OA_MICROSECOND); break;
    default: dawdle(random);
    }
}

static void eat(void *arg)
{
    const struct element element = *(struct element *)arg;
    CHECK_EQ(atomic_fetch_add(&inside, 1), 0);
    CHECK(element.producer < PRODUCERS && element.number < (uint32_t)each);
    CHECK((int64_t)element.number > last[element.producer]);
    last[element.producer] = element.number;
    CHECK(!seen[element.producer][element.number]);
    seen[element.producer][element.number] = true;
    calls++;
    wait_somehow(&consumer_random);
    CHECK_EQ(memcmp(&element, arg, sizeof element), 0);
    CHECK_EQ(atomic_fetch_sub(&inside, 1), 1);
}

static int send_somehow(const struct element *element, uint64_t *random)
{
    switch (random_below(random, 8)) {
    case 0: return oa_chan_put(channel, element);
    case 1:
        return oa_chan_send_until(
            channel, element,
            oa_after((int64_t)random_below(random, 40) * OA_MICROSECOND - 5 * OA_MICROSECOND));
    default: return oa_chan_send(channel, element);
    }
}

static void produce(void *arg)
{
    uint32_t self = (uint32_t)(uintptr_t)arg;
    uint64_t random = seed + self;
    for (uint32_t i = 0; i < (uint32_t)each; i++) {
        struct element element = {self, i};
        int err = send_somehow(&element, &random);
        CHECK(err == 0 || err == -EAGAIN || err == -ETIMEDOUT || err == -EPIPE ||
              err == -ECANCELED);
        if (err == 0)
            atomic_fetch_add(&sent[self], 1);
        if (err == -EPIPE || err == -ECANCELED)
            break;
        if (random_below(&random, 16) == 0)
            wait_somehow(&random);
    }
    atomic_fetch_sub(&producing, 1);
}

// Cancelled before it began.
static void dropped(void *arg)
{
    (void)arg;
    atomic_fetch_sub(&producing, 1);
}

// Ends the consumer, while others wait for that.
static void end_it(void *ending)
{
    enum ending how = (enum ending)(uintptr_t)ending;
    if (how == CLOSED)
        CHECK_EQ(oa_chan_close(channel), 0);
    if (how == CANCELLED)
        CHECK_EQ(oa_cancel(consumer), 0);
    if (how == GROUP_CANCELLED)
        CHECK_EQ(oa_group_cancel(&group), 0);
    if (how == COORD_CANCELLED)
        CHECK_EQ(oa_shutdown(home, OA_CANCEL), 0);
    if (how >= COORD_ENDS)
        CHECK_EQ(oa_wait(home), 0);
}

// With the coordinator the handle goes: nobody may ask for it then.
static void wait_until_over(bool by_group)
{
    if (!by_group) {
        CHECK_EQ(oa_join(consumer), 0);
        return;
    }
    CHECK_EQ(oa_group_wait(&group), 0);
    if (consumer)
        CHECK_EQ(oa_detach(consumer), 0);
}

// What was sent was called for, but for what an end other than a close has left.
static void conserved(bool closed, size_t left)
{
    int64_t gone = 0;
    for (int i = 0; i < PRODUCERS; i++)
        gone += atomic_load(&sent[i]);
    gone -= calls + (int64_t)left;
    CHECK(gone >= 0 && gone <= (closed ? 0 : AHEAD));
}

static void reset(void)
{
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < PRODUCERS; i++) {
        last[i] = -1;
        atomic_store(&sent[i], 0);
    }
    calls = 0;
    consumer_random = seed;
    atomic_store(&producing, PRODUCERS);
    oa_group_init(&group);
}

static void spawn(uintptr_t producer, oa_coord_t *coord)
{
    CHECK_EQ(oa_go(produce, (void *)producer, .coord = coord, .drop = dropped), 0);
}

// A simulation has one coordinator for both, which is not waited for.
static void start_both(int workers)
{
    if (simulated()) {
        home = abroad = oa_coord();
    } else {
        CHECK_EQ(oa_start(&home, nothing, .max_workers = workers), 0);
        CHECK_EQ(oa_start(&abroad, nothing, .max_workers = 1), 0);
    }
}

static void wait_for(oa_coord_t *coord)
{
    if (!simulated())
        CHECK_EQ(oa_wait(coord), 0);
}

// Early: the consumer comes to its end while there are producers. Late: whoever is told of that
// frees the channel, perhaps while the other side is still in its call.
static void run(size_t capacity, int workers, enum ending ending, bool early)
{
    uint64_t random = ++seed;
    struct thread threads[2], ender;
    reset();
    channel = oa_chan_make(sizeof(struct element), .capacity = capacity);
    start_both(workers);
    consumer = NULL;
    CHECK_EQ(oa_chan_consume(channel, eat, NULL, .task = ending < COORD_ENDS ? &consumer : NULL,
                             .group = &group, .coord = home),
             0);
    spawn(0, home);
    spawn(1, abroad);
    for (uintptr_t i = 0; i < 2; i++)
        thread_start(&threads[i], produce, (void *)(i + 2));
    if (early)
        for (uint64_t i = random_below(&random, 2000); i > 0 && atomic_load(&producing) > 0; i--)
            oa_yield();
    else
        while (atomic_load(&producing) > 0)
            oa_yield();
    if (!early) { // no producer is inside of its call any more
        thread_join(&threads[0]);
        thread_join(&threads[1]);
        wait_for(abroad);
    }
    thread_start(&ender, end_it, (void *)(uintptr_t)ending);
    wait_until_over(ending >= COORD_ENDS || random_below(&random, 2));
    if (early) {
        int err = oa_chan_close(channel); // for producers that wait
        CHECK(err == 0 || err == -EALREADY);
        thread_join(&threads[0]);
        thread_join(&threads[1]);
        wait_for(abroad);
        while (atomic_load(&producing) > 0)
            oa_yield();
    }
    size_t left = oa_chan_len(channel);
    CHECK_EQ(oa_chan_free(channel), 0);
    thread_join(&ender);
    if (ending < COORD_ENDS)
        wait_for(home);
    conserved(ending == CLOSED, left);
}

static void all_of_them(void *arg)
{
    static const size_t capacities[] = {0, 1, 7, 64, OA_UNBOUNDED};
    (void)arg;
    for (int ending = 0; ending < (simulated() ? COORD_ENDS : ENDINGS); ending++)
        for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++)
            for (int workers = 1; workers <= (simulated() ? 1 : 2); workers++)
                for (int early = 0; early < 2; early++)
                    run(capacities[i], workers, (enum ending)ending, early);
}

int main(void)
{
    seed = test_seed();
    each = test_scale(1000);
    if (simulated())
        CHECK_EQ(oa_run(all_of_them), 0);
    else
        all_of_them(NULL);
    return 0;
}
