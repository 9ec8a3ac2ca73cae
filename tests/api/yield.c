// SPDX-License-Identifier: BSD-2-Clause
// yield.c - oa_yield: others get their turn, however many yield, and nobody is left behind.
// ctest: simulate
#include "support.h"

enum { TASKS = 50, TURNS = 200 };

static atomic_int turns[TASKS];
static atomic_int light;
static atomic_bool stop;

static void take_turns(void *arg)
{
    int me = *(int *)arg;
    for (int i = 0; i < TURNS; i++) {
        atomic_fetch_add(&turns[me], 1);
        oa_yield();
    }
}

// A yield goes behind the others that are ready: on one worker nobody gets far ahead.
static void fair(void *arg)
{
    oa_group_t group = OA_GROUP_INIT;
    (void)arg;
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(oa_go(take_turns, oa_val(i), .group = &group), 0);
    oa_yield();
    for (int i = 0; i < TURNS - 2; i++) {
        int least = TURNS, most = 0;
        for (int k = 0; k < TASKS; k++) {
            int n = atomic_load(&turns[k]);
            least = n < least ? n : least;
            most = n > most ? n : most;
        }
        CHECK(most - least <= 64);
        oa_yield();
    }
    CHECK_EQ(oa_group_wait(&group), 0);
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(atomic_load(&turns[i]), TURNS);
}

static void hog(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop))
        oa_yield();
}

static void be_light(void *arg)
{
    (void)arg;
    atomic_fetch_add(&light, 1);
}

// Two that always yield leave room for all others: for spawned, woken and delayed ones and for
// those from outside.
static void hogs(void *arg)
{
    oa_group_t hoggers = OA_GROUP_INIT, group = OA_GROUP_INIT;
    (void)arg;
    atomic_store(&stop, false);
    atomic_store(&light, 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(oa_go(hog, .group = &hoggers, .coord = coord), 0);
    for (int i = 0; i < 500; i++)
        CHECK_EQ(oa_go(be_light, .group = &group, .coord = coord,
                       .delay = i % 3 ? 0 : i * OA_MICROSECOND),
                 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(atomic_load(&light), 500);
    CHECK_EQ(oa_sleep(OA_MILLISECOND), 0);
    atomic_store(&stop, true);
    CHECK_EQ(oa_group_wait(&hoggers), 0);
}

int main(void)
{
    oa_yield();       // a plain thread gives up its CPU
    if (!simulated()) // in which the seed says who is next
        CHECK_EQ(oa_run(fair, .max_workers = 1), 0);
    everywhere(hogs);
    return 0;
}
