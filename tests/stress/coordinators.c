// SPDX-License-Identifier: BSD-2-Clause
// coordinators.c - several coordinators and a plain thread pass tokens around, spawn into, join and
// cancel each other's tasks.
// ctest: timeout=60
#include "stress/support.h"

enum { COORDS = 4, TOKENS = 8 };

static oa_coord_t *coords[COORDS];
static oa_chan_t *ring[COORDS + 1];
static int64_t laps;

struct token {
    int64_t hops;
};

// Station i takes from ring i and gives to the next one.
static void station(void *arg)
{
    uintptr_t self = (uintptr_t)arg;
    struct token token;
    while (oa_chan_recv(ring[self], &token) == 0) {
        token.hops++;
        CHECK_EQ(oa_chan_send(ring[(self + 1) % (COORDS + 1)], &token), 0);
    }
}

static void child(void *arg)
{
    uintptr_t kind = (uintptr_t)arg;
    if (kind % 3 == 0)
        oa_yield();
    if (kind % 3 == 1)
        (void)oa_sleep(OA_MINUTE); // until cancelled
}

// Spawns into all coordinators and joins what it spawned.
static void visitor(void *arg)
{
    uint64_t random = (uintptr_t)arg + 1;
    for (int64_t i = 0; i < laps; i++) {
        oa_task_t *task;
        uintptr_t kind = random_below(&random, 3);
        oa_coord_t *where = coords[random_below(&random, COORDS)];
        CHECK_EQ(oa_go(child, (void *)kind, .task = &task, .coord = where), 0);
        if (kind == 1)
            CHECK_EQ(oa_cancel(task), 0);
        CHECK_EQ(oa_join(task), 0);
    }
}

static void start_visitors(void *arg)
{
    oa_group_t group = OA_GROUP_INIT;
    for (uintptr_t i = 0; i < 4; i++)
        CHECK_EQ(oa_go(visitor, (void *)i, .group = &group), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    (void)arg;
}

// The plain thread's station counts the laps and stops it all.
static void last_station(void)
{
    int64_t hops = 0;
    struct token token = {0};
    for (int i = 0; i < TOKENS; i++)
        CHECK_EQ(oa_chan_send(ring[0], &token), 0);
    for (int64_t i = 0; i < laps * TOKENS; i++) {
        CHECK_EQ(oa_chan_recv(ring[COORDS], &token), 0);
        hops += token.hops == COORDS;
        token.hops = 0;
        if (i < (laps - 1) * TOKENS)
            CHECK_EQ(oa_chan_send(ring[0], &token), 0);
    }
    CHECK_EQ(hops, laps * TOKENS);
}

int main(void)
{
    laps = test_scale(500);
    oa_task_t *visitors[COORDS], *stations[COORDS];
    for (int i = 0; i <= COORDS; i++)
        ring[i] = oa_chan_make(sizeof(struct token), .capacity = i % 2 ? 1 : TOKENS);
    for (int i = 0; i < COORDS; i++)
        CHECK_EQ(oa_start(&coords[i], nothing, .max_workers = 1 + i % 2), 0);
    for (uintptr_t i = 0; i < COORDS; i++) {
        CHECK_EQ(oa_go(station, (void *)i, .coord = coords[i], .task = &stations[i]), 0);
        CHECK_EQ(oa_go(start_visitors, .coord = coords[i], .task = &visitors[i]), 0);
    }
    last_station();
    for (int i = 0; i < COORDS; i++)
        CHECK_EQ(oa_join(visitors[i]), 0);
    for (int i = 0; i < COORDS; i++) {
        CHECK_EQ(oa_chan_close(ring[i]), 0);
        CHECK_EQ(oa_join(stations[i]), 0);
    }
    for (int i = 0; i < COORDS; i++)
        CHECK_EQ(oa_wait(coords[i]), 0);
    for (int i = 0; i <= COORDS; i++)
        CHECK_EQ(oa_chan_free(ring[i]), 0);
    return 0;
}
