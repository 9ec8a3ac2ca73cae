// SPDX-License-Identifier: BSD-2-Clause
// layout.c - the sizes and offsets that compiled programs rely on do not change.
//
// A failure here means that programs built against an older header break: option and out structs
// may only grow at their end, all other structs not at all.
#include <assert.h>
#include <stdalign.h>

#include "support.h"

#define SAME(type, bytes) static_assert(sizeof(type) == (bytes), #type)
#define AT(type, field, bytes) static_assert(offsetof(type, field) == (bytes), #type "." #field)

SAME(oa_mutex_t, 48);
SAME(oa_rwlock_t, 48);
SAME(oa_cond_t, 48);
SAME(oa_once_t, 48);
SAME(oa_sem_t, 48);
SAME(oa_latch_t, 48);
SAME(oa_barrier_t, 48);
SAME(oa_backpressure_t, 48);
SAME(oa_group_t, 96);
static_assert(alignof(oa_mutex_t) == 8, "oa_mutex_t");
static_assert(alignof(oa_rwlock_t) == 8, "oa_rwlock_t");
static_assert(alignof(oa_cond_t) == 8, "oa_cond_t");
static_assert(alignof(oa_once_t) == 8, "oa_once_t");
static_assert(alignof(oa_sem_t) == 8, "oa_sem_t");
static_assert(alignof(oa_latch_t) == 8, "oa_latch_t");
static_assert(alignof(oa_barrier_t) == 8, "oa_barrier_t");
static_assert(alignof(oa_backpressure_t) == 8, "oa_backpressure_t");
static_assert(alignof(oa_group_t) == 8, "oa_group_t");
static_assert(OA_LOSSLESS == 1 && OA_LOSSY == 2, "oa_backpressure_mode_t");

// No padding: every field begins where the one before it ends, and the last ends the struct.
AT(oa_config_t, size, 0);
AT(oa_config_t, fn, 8);
AT(oa_config_t, arg, 16);
AT(oa_config_t, max_workers, 24);
AT(oa_config_t, log_level, 28);
AT(oa_config_t, stack_size, 32);
AT(oa_config_t, log, 40);
AT(oa_config_t, log_arg, 48);
AT(oa_config_t, name, 56);
AT(oa_config_t, max_blocking, 64);
AT(oa_config_t, oa_reserved, 68);
AT(oa_config_t, simulate, 72);
SAME(oa_config_t, 80);

AT(oa_spec_t, size, 0);
AT(oa_spec_t, where, 8);
AT(oa_spec_t, fn, 16);
AT(oa_spec_t, arg, 24);
AT(oa_spec_t, copy, 32);
AT(oa_spec_t, drop, 40);
AT(oa_spec_t, name, 48);
AT(oa_spec_t, stack, 56);
AT(oa_spec_t, task, 64);
AT(oa_spec_t, coord, 72);
AT(oa_spec_t, delay, 80);
AT(oa_spec_t, group, 88);
AT(oa_spec_t, latch, 96);
AT(oa_spec_t, cb, 104);
AT(oa_spec_t, bp, 112);
AT(oa_spec_t, sem, 120);
AT(oa_spec_t, acq, 128);
AT(oa_spec_t, block, 136);
AT(oa_spec_t, pinned, 140);
SAME(oa_spec_t, 144);

AT(oa_context_t, user_ptr, 0);
AT(oa_context_t, user_index, 8);
SAME(oa_context_t, 16);
SAME(oa_local_t, 8);

AT(oa_chan_config_t, size, 0);
AT(oa_chan_config_t, elem_size, 8);
AT(oa_chan_config_t, capacity, 16);
AT(oa_chan_config_t, sliding, 24);
AT(oa_chan_config_t, oa_reserved, 28);
SAME(oa_chan_config_t, 32);

AT(oa_case_t, ch, 0);
AT(oa_case_t, send, 8);
AT(oa_case_t, recv, 16);
AT(oa_case_t, kind, 24);
AT(oa_case_t, result, 28);
AT(oa_case_t, oa_reserved, 32);
SAME(oa_case_t, 128);
static_assert(alignof(oa_case_t) == 8, "oa_case_t");
static_assert(OA_CASE_SEND == 1 && OA_CASE_RECV == 2, "oa_case_kind_t");

AT(oa_stats_t, size, 0);
AT(oa_stats_t, tasks_alive, 8);
AT(oa_stats_t, tasks_spawned, 16);
AT(oa_stats_t, tasks_completed, 24);
AT(oa_stats_t, dispatches, 32);
AT(oa_stats_t, steals, 40);
AT(oa_stats_t, parks, 48);
AT(oa_stats_t, stacks_in_use, 56);
AT(oa_stats_t, stacks_peak, 64);
AT(oa_stats_t, stacks_mapped, 72);
SAME(oa_stats_t, 80);

static_assert(OA_DRAIN == 1 && OA_CANCEL == 2, "oa_shutdown_t");
static_assert(OA_LOG_DEBUG == 1 && OA_LOG_OFF == 5, "log levels");
static_assert(OA_FOREVER == INT64_MAX, "OA_FOREVER");
static_assert(OA_UNBOUNDED == SIZE_MAX, "OA_UNBOUNDED");
static_assert(OA_MICROSECOND == 1000 && OA_MILLISECOND == 1000 * OA_MICROSECOND, "time");
static_assert(OA_SECOND == 1000 * OA_MILLISECOND && OA_MINUTE == 60 * OA_SECOND, "time");

// An initialiser and its call make the same bytes, and zero bytes are valid.
static void initialisers(void)
{
    static const char zero[sizeof(oa_group_t)];
    oa_mutex_t mutex = OA_MUTEX_INIT, mutex2;
    oa_rwlock_t rwlock = OA_RWLOCK_INIT, rwlock2;
    oa_cond_t cond = OA_COND_INIT, cond2;
    oa_once_t once = OA_ONCE_INIT, once2;
    oa_group_t group = OA_GROUP_INIT, group2;
    oa_sem_t sem = OA_SEM_INIT(7), sem2;
    oa_latch_t latch = OA_LATCH_INIT(7), latch2;
    oa_barrier_t barrier = OA_BARRIER_INIT(7), barrier2;
    oa_backpressure_t bp = OA_BACKPRESSURE_INIT(7, OA_LOSSY), bp2;
    memset(&mutex2, 0xff, sizeof mutex2);
    memset(&rwlock2, 0xff, sizeof rwlock2);
    memset(&cond2, 0xff, sizeof cond2);
    memset(&once2, 0xff, sizeof once2);
    memset(&bp2, 0xff, sizeof bp2);
    memset(&latch2, 0xff, sizeof latch2);
    memset(&barrier2, 0xff, sizeof barrier2);
    memset(&group2, 0xff, sizeof group2);
    memset(&sem2, 0xff, sizeof sem2);
    oa_mutex_init(&mutex2);
    oa_rwlock_init(&rwlock2);
    oa_cond_init(&cond2);
    oa_once_init(&once2);
    oa_group_init(&group2);
    oa_sem_init(&sem2, 7);
    oa_latch_init(&latch2, 7);
    oa_barrier_init(&barrier2, 7);
    oa_backpressure_init(&bp2, 7, OA_LOSSY);
    CHECK(memcmp(&mutex, &mutex2, sizeof mutex) == 0);
    CHECK(memcmp(&rwlock, &rwlock2, sizeof rwlock) == 0);
    CHECK(memcmp(&cond, &cond2, sizeof cond) == 0);
    CHECK(memcmp(&once, &once2, sizeof once) == 0);
    CHECK(memcmp(&group, &group2, sizeof group) == 0);
    CHECK(memcmp(&sem, &sem2, sizeof sem) == 0);
    CHECK(memcmp(&latch, &latch2, sizeof latch) == 0);
    CHECK(memcmp(&barrier, &barrier2, sizeof barrier) == 0);
    CHECK(memcmp(&bp, &bp2, sizeof bp) == 0);
    CHECK(memcmp(&mutex, zero, sizeof mutex) == 0);
    CHECK(memcmp(&rwlock, zero, sizeof rwlock) == 0);
    CHECK(memcmp(&cond, zero, sizeof cond) == 0);
    CHECK(memcmp(&once, zero, sizeof once) == 0);
    CHECK(memcmp(&group, zero, sizeof group) == 0);
    oa_sem_init(&sem2, 0);
    CHECK(memcmp(&sem2, zero, sizeof sem2) == 0);
    oa_latch_init(&latch2, 0);
    CHECK(memcmp(&latch2, zero, sizeof latch2) == 0);
}

static void option_structs(void)
{
    oa_config_t config = OA_CONFIG_INIT;
    oa_spec_t spec = OA_SPEC_INIT;
    oa_chan_config_t chan = OA_CHAN_INIT;
    oa_stats_t stats = OA_STATS_INIT;
    CHECK_EQ(config.size, sizeof config);
    CHECK_EQ(spec.size, sizeof spec);
    CHECK_EQ(chan.size, sizeof chan);
    CHECK_EQ(stats.size, sizeof stats);
    CHECK(config.fn == NULL && config.max_workers == 0 && config.name == NULL);
    CHECK(spec.fn == NULL && spec.group == NULL && spec.delay == 0);
    CHECK(strstr(spec.where, "layout.c:") != NULL);
}

static void cases(void)
{
    static const char zero[sizeof((oa_case_t *)0)->oa_reserved];
    oa_chan_t *ch = oa_chan_make(1);
    const char sent = 1;
    char received;
    oa_case_t send = OA_SEND(ch, &sent), recv = OA_RECV(ch, &received);
    CHECK(send.ch == ch && send.send == &sent && send.recv == NULL && send.kind == OA_CASE_SEND);
    CHECK(recv.ch == ch && recv.recv == &received && recv.send == NULL);
    CHECK(recv.kind == OA_CASE_RECV && send.result == 0 && recv.result == 0);
    CHECK(memcmp(send.oa_reserved, zero, sizeof zero) == 0);
    CHECK(memcmp(recv.oa_reserved, zero, sizeof zero) == 0);
    CHECK_EQ(oa_chan_free(ch), 0);
}

int main(void)
{
    cases();
    initialisers();
    option_structs();
    return 0;
}
