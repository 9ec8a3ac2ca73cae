// SPDX-License-Identifier: BSD-2-Clause
// select_conserve.c - no element is lost, doubled or overtakes one of its sender's in a channel,
// whatever tasks, blocking tasks and plain threads select, under random cancels, deadlines and
// closes.
// ctest: timeout=60 simulate=10
#include "stress/support.h"

enum { CHANNELS = 5, TASKS = 8, THREADS = 4, PARTIES = TASKS + THREADS, CASES = 6, MOST = 4096 };

struct element {
    uint32_t sender, number;
};

static oa_coord_t *coord;
static oa_chan_t *channels[CHANNELS];
static int64_t each;
static uint64_t seed;
static oa_task_t *tasks[TASKS];
static atomic_uchar sent[PARTIES][MOST], received[PARTIES][MOST];
static atomic_uint left; // parties that have not ended

// A select has partners for as long as nobody is alone: so each wait ends.
static int64_t random_deadline(uint64_t *random)
{
    uint64_t n = random_below(random, 8);
    if (n == 0)
        return 0;
    return oa_after(n < 4 ? OA_MILLISECOND : (int64_t)n * 10 * OA_MICROSECOND);
}

struct party {
    uint32_t self, next; // the number of the element that it sends next
    uint64_t random;
    int64_t last[CHANNELS][PARTIES];
};

static void got(struct party *p, int channel, const struct element *element)
{
    CHECK(element->sender < PARTIES && element->number < MOST);
    CHECK(element->number > p->last[channel][element->sender]);
    p->last[channel][element->sender] = element->number;
    CHECK_EQ(atomic_fetch_add(&received[element->sender][element->number], 1), 0);
}

static int select_somehow(struct party *p)
{
    struct element element = {p->self, p->next}, into[CASES];
    oa_case_t cases[CASES];
    int of[CASES];
    size_t n = 1 + random_below(&p->random, CASES);
    for (size_t i = 0; i < n; i++) {
        of[i] = (int)random_below(&p->random, CHANNELS);
        oa_chan_t *ch = random_below(&p->random, 10) ? channels[of[i]] : NULL;
        if (random_below(&p->random, 2))
            cases[i] = (oa_case_t)OA_SEND(ch, &element);
        else
            cases[i] = (oa_case_t)OA_RECV(ch, &into[i]);
        into[i] = (struct element){PARTIES, 0};
    }
    int which = oa_select_until(cases, n, random_deadline(&p->random));
    for (int i = 0; i < (int)n; i++)
        if (i != which || cases[i].result)
            CHECK_EQ(into[i].sender, PARTIES);
    if (which < 0)
        return which;
    CHECK(which < (int)n && cases[which].ch != NULL);
    if (cases[which].result == 0 && cases[which].kind == OA_CASE_RECV)
        got(p, of[which], &into[which]);
    else if (cases[which].result == 0)
        atomic_store(&sent[p->self][p->next++], 1);
    return cases[which].result;
}

static void party(void *arg)
{
    struct party p = {.self = (uint32_t)(uintptr_t)arg, .random = seed + (uintptr_t)arg};
    memset(p.last, 0xff, sizeof p.last);
    for (int64_t i = 0; i < each; i++) {
        int err = select_somehow(&p);
        CHECK(err == 0 || err == -ETIMEDOUT || err == -ECANCELED || err == -EPIPE);
        if (err == -ECANCELED) {
            oa_shield(random_below(&p.random, 4) != 0);
            oa_yield();
        }
    }
    atomic_fetch_sub(&left, 1);
}

// Cancelled before it began.
static void dropped(void *arg)
{
    (void)arg;
    atomic_fetch_sub(&left, 1);
}

static void start(struct thread threads[])
{
    static const size_t capacities[CHANNELS] = {0, 0, 1, 7, OA_UNBOUNDED};
    memset(sent, 0, sizeof sent);
    memset(received, 0, sizeof received);
    atomic_store(&left, PARTIES);
    for (int i = 0; i < CHANNELS; i++)
        channels[i] = oa_chan_make(sizeof(struct element), .capacity = capacities[i]);
    for (uintptr_t i = 0; i < TASKS; i++)
        CHECK_EQ(oa_go(party, (void *)i, .task = &tasks[i], .coord = coord, .drop = dropped,
                       .block = i % 4 == 2, .pinned = i % 4 == 3),
                 0);
    for (uintptr_t i = 0; i < THREADS; i++)
        thread_start(&threads[i], party, (void *)(TASKS + i));
}

static void finish(struct thread threads[])
{
    struct element element;
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(oa_join(tasks[i]), 0);
    for (int i = 0; i < THREADS; i++)
        thread_join(&threads[i]);
    CHECK_EQ(atomic_load(&left), 0);
    for (int i = 0; i < CHANNELS; i++) {
        while (oa_chan_take(channels[i], &element) == 0)
            atomic_fetch_add(&received[element.sender][element.number], 1);
        CHECK_EQ(oa_chan_free(channels[i]), 0);
    }
    for (int p = 0; p < PARTIES; p++)
        for (int i = 0; i < MOST; i++)
            CHECK_EQ(atomic_load(&sent[p][i]), atomic_load(&received[p][i]));
}

// *arg: how many channels are closed, each at some moment.
static void drive(void *arg)
{
    int closes = *(int *)arg;
    uint64_t random = seed;
    struct thread threads[THREADS];
    start(threads);
    while (atomic_load(&left) > 0) {
        uint64_t n = random_below(&random, looks(3000));
        if (n < TASKS)
            (void)oa_cancel(tasks[n]);
        else if (n > looks(3000) - 10 && closes > 0)
            CHECK_EQ(oa_chan_close(channels[--closes]), 0);
        oa_yield();
    }
    finish(threads);
}

int main(void)
{
    seed = test_seed();
    each = test_scale(2000);
    for (int workers = 1; workers <= 4; workers *= 2)
        for (int closes = 0; closes <= CHANNELS; closes += CHANNELS) {
            seed++;
            beside(&coord, drive, &closes, workers);
        }
    return 0;
}
