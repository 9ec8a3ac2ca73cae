// SPDX-License-Identifier: BSD-2-Clause
// test_timers.c - the timing wheel: never early, never forgotten, in order; every level and beyond
// the last; taken out and closed; at random against an array.
#include "check.h"
#include "sched/internal.h"

enum { TICK = 1 << OAI_TICK_SHIFT, AT_ONCE = 16 };

static int64_t clock_now;
static oai_timers_t shard;

static oai_task_t *mark(size_t n)
{
    return (oai_task_t *)((n + 1) << 7);
}

static size_t index_of(oai_fired_t fired)
{
    CHECK(!fired.fresh);
    CHECK_EQ(fired.word, ((uintptr_t)fired.task >> 7) + 9);
    return ((uintptr_t)fired.task >> 7) - 1;
}

static void insert(oai_deadline_t *deadline, size_t n, int64_t expiry)
{
    *deadline = (oai_deadline_t){.task = mark(n), .word = n + 10};
    oai_timers_insert(&shard, deadline, expiry);
    CHECK(atomic_load(&shard.next) / TICK <= (expiry - 1) / TICK + 1);
}

// One timer, its clock advanced in steps of what the shard asks for, is found at its tick and not
// before.
static void test_levels(int64_t begin)
{
    for (int shift = 0; shift < 56; shift++) {
        for (int64_t off = -1; off <= 1; off++) {
            oai_deadline_t deadline;
            oai_fired_t fired[AT_ONCE];
            clock_now = begin;
            oai_timers_init(&shard, clock_now);
            int64_t expiry = begin + (INT64_C(1) << shift) + off;
            insert(&deadline, 3, expiry);
            int wakes = 0;
            while (oai_timers_expire(&shard, clock_now, fired, AT_ONCE) == 0) {
                int64_t next = atomic_load(&shard.next);
                CHECK(next > clock_now && next < INT64_MAX);
                clock_now = next;
                CHECK(++wakes < 100); // beyond the last level it is put off a few times
            }
            CHECK_EQ(index_of(fired[0]), 3);
            CHECK(clock_now >= expiry && clock_now < expiry + TICK);
            CHECK_EQ(atomic_load(&shard.next), INT64_MAX);
            oai_timers_remove(&shard, &deadline); // handed out: does nothing
        }
    }
}

// Half a year, in one leap.
static void test_leap(void)
{
    oai_deadline_t deadline;
    oai_fired_t fired[AT_ONCE];
    int64_t half_year = 182 * 86400 * OA_SECOND;
    oai_timers_init(&shard, 0);
    insert(&deadline, 0, half_year);
    CHECK_EQ(oai_timers_expire(&shard, half_year - TICK, fired, AT_ONCE), 0);
    CHECK_EQ(oai_timers_expire(&shard, half_year + TICK, fired, AT_ONCE), 1);
    insert(&deadline, 0, OA_FOREVER - 1);
    oai_timers_expire(&shard, half_year + 2 * TICK, fired, AT_ONCE);
    CHECK(atomic_load(&shard.next) > half_year + 2 * TICK);
    oai_timers_remove(&shard, &deadline);
}

static void test_order(void)
{
    enum { COUNT = 500 };
    static oai_deadline_t deadlines[COUNT];
    oai_fired_t fired[AT_ONCE];
    oai_timers_init(&shard, 12345);
    for (size_t i = 0; i < COUNT; i++) // 7 and 500 have no common divisor: each once, not in order
        insert(&deadlines[i * 7 % COUNT], i * 7 % COUNT,
               12345 + (int64_t)(i * 7 % COUNT) * 50 * TICK);
    size_t next = 0, found;
    while ((found = oai_timers_expire(&shard, 12345 + COUNT * 50 * TICK, fired, AT_ONCE)) != 0)
        for (size_t i = 0; i < found; i++)
            CHECK_EQ(index_of(fired[i]), next++);
    CHECK_EQ(next, COUNT);
}

// ---- Delayed tasks ------------------------------------------------------------------------------

static uint32_t flags_of(oai_task_t *task)
{
    return atomic_load(&task->flags);
}

static void test_delayed(void)
{
    static oai_task_t tasks[4];
    oai_fired_t fired[AT_ONCE];
    bool earlier;
    oai_timers_init(&shard, 0);
    for (int i = 0; i < 3; i++) {
        earlier = false;
        CHECK_EQ(oai_timers_delay(&shard, 5, &tasks[i], (3 - i) * OA_SECOND, &earlier), 0);
        CHECK(earlier);
        CHECK(flags_of(&tasks[i]) & OAI_TASK_DELAYED);
        CHECK_EQ(flags_of(&tasks[i]) >> OAI_TASK_SHARD_SHIFT, 5);
    }
    CHECK_EQ(oai_timers_expire(&shard, OA_SECOND - 1, fired, AT_ONCE), 0);
    CHECK_EQ(oai_timers_expire(&shard, OA_SECOND + TICK, fired, AT_ONCE), 1);
    CHECK(fired[0].fresh && fired[0].task == &tasks[2]);
    CHECK(!(flags_of(&tasks[2]) & OAI_TASK_DELAYED));
    CHECK(!oai_timers_undelay(&shard, &tasks[2]));
    CHECK(oai_timers_undelay(&shard, &tasks[1]));
    CHECK(!oai_timers_undelay(&shard, &tasks[1]));
    atomic_store(&tasks[3].flags, OAI_TASK_CANCELLED);
    CHECK_EQ(oai_timers_delay(&shard, 0, &tasks[3], OA_SECOND, &earlier), -ECANCELED);
    CHECK(!(flags_of(&tasks[3]) & OAI_TASK_DELAYED));
    // Closing takes the delayed task, and leaves the deadline.
    oai_deadline_t deadline;
    insert(&deadline, 0, 2 * OA_SECOND);
    oai_task_t *chain = oai_timers_close(&shard);
    CHECK(chain == &tasks[0] && chain->next == NULL);
    CHECK(!(flags_of(&tasks[0]) & OAI_TASK_DELAYED));
    atomic_store(&tasks[1].flags, 0);
    CHECK_EQ(oai_timers_delay(&shard, 0, &tasks[1], OA_SECOND, &earlier), -ESHUTDOWN);
    CHECK_EQ(oai_timers_expire(&shard, 3 * OA_SECOND, fired, AT_ONCE), 1);
    CHECK_EQ(index_of(fired[0]), 0);
}

// ---- At random ----------------------------------------------------------------------------------

enum { MODEL = 300 };
static oai_deadline_t deadlines[MODEL];
static int64_t expiries[MODEL]; // 0: not in the shard

static void expire_all(void)
{
    oai_fired_t fired[AT_ONCE];
    size_t found;
    while ((found = oai_timers_expire(&shard, clock_now, fired, AT_ONCE)) != 0) {
        for (size_t i = 0; i < found; i++) {
            size_t n = index_of(fired[i]);
            CHECK(expiries[n] != 0 && expiries[n] <= clock_now);
            expiries[n] = 0;
        }
    }
    for (size_t n = 0; n < MODEL; n++) {
        if (expiries[n] == 0)
            continue;
        int64_t due = (expiries[n] + TICK - 1) / TICK * TICK;
        CHECK(due > clock_now); // none is forgotten
        CHECK(atomic_load(&shard.next) <= due);
    }
}

static void test_random(uint64_t random)
{
    clock_now = (int64_t)(random >> 16);
    oai_timers_init(&shard, clock_now);
    for (int64_t step = test_scale(40000); step > 0; step--) {
        size_t n = oai_random_below(&random, MODEL);
        int64_t distance = (int64_t)(((uint64_t)oai_random(&random) << 32 | oai_random(&random)) >>
                                     (13 + oai_random_below(&random, 50)));
        switch (oai_random_below(&random, 8)) {
        case 0:
            clock_now += oai_random_below(&random, 16) ? distance >> 8 : distance;
            expire_all();
            break;
        case 1: // as a sleeper does
            if (atomic_load(&shard.next) != INT64_MAX && atomic_load(&shard.next) > clock_now)
                clock_now = atomic_load(&shard.next);
            expire_all();
            break;
        case 2:
            if (expiries[n] != 0)
                oai_timers_remove(&shard, &deadlines[n]);
            expiries[n] = 0;
            break;
        default:
            if (expiries[n] == 0)
                insert(&deadlines[n], n, expiries[n] = clock_now + distance - 1000);
        }
        if (clock_now > INT64_MAX / 2) // four centuries have passed
            return;
    }
}

int main(void)
{
    uint64_t seed = test_seed() | 1;
    test_levels(0);
    test_levels(1);
    test_levels((INT64_C(1) << 50) - TICK);
    test_levels(INT64_C(987654321987654));
    test_leap();
    test_order();
    test_delayed();
    test_random(seed);
    return 0;
}
