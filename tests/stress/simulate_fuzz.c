// SPDX-License-Identifier: BSD-2-Clause
// simulate_fuzz.c - random programs of all primitives, as simulations: each ends, twice in the same
// way; every task runs or is dropped; elements and permits are conserved, also by waits that a
// deadlock, a cancel or a shutdown has broken; and what nobody uses any more is freed.
#include <errno.h>
#include <stdatomic.h>

#include "simulate.h"

enum {
    MUTEXES = 3,
    RWLOCKS = 2,
    SEMS = 3,
    CHANNELS = 4, // the last one slides and has a consumer, the others conserve what they hold
    GROUPS = 2,
    HANDLES = 12,
    MOST_TASKS = 60,
    MEMBERS = 3, // of a nest
};

// What a task has made for its own children, and frees when they have ended.
struct nest {
    oa_group_t group;
    oa_mutex_t mutex;
    oa_cond_t cond;
    oa_sem_t sem;
    oa_chan_t *ch;
    struct nest *next; // of those for which somebody was still there
};

// What all tasks of a program share.
static struct world {
    oa_mutex_t mutexes[MUTEXES];
    oa_rwlock_t rwlocks[RWLOCKS];
    oa_cond_t cond;
    oa_sem_t sems[SEMS];
    oa_latch_t latch;
    oa_barrier_t barrier;
    oa_backpressure_t bp;
    oa_once_t once;
    oa_group_t groups[GROUPS];
    oa_chan_t *channels[CHANNELS];
    _Atomic(oa_task_t *) handles[HANDLES];
    _Atomic(struct nest *) kept;
    atomic_int in_channel[CHANNELS], permits[SEMS]; // as the tasks' results have it
    atomic_int spawned, ended;
    _Atomic uint64_t random, digest;
} *w;

// What a task holds, so that it lets go of nothing else.
struct held {
    bool mutexes[MUTEXES];
    int rwlocks[RWLOCKS];
};

static unsigned below(unsigned bound)
{
    uint64_t state = atomic_fetch_add(&w->random, UINT64_C(0x9e3779b97f4a7c15));
    return (unsigned)random_below(&state, bound);
}

static void note(int64_t result)
{
    uint64_t digest = atomic_load(&w->digest);
    atomic_store(&w->digest, (digest ^ (uint64_t)result) * UINT64_C(1099511628211));
}

static int64_t soon(void)
{
    return oa_after((int64_t)below(5000));
}

static int64_t some_deadline(void)
{
    return below(8) ? soon() : OA_FOREVER;
}

// ---- Locks --------------------------------------------------------------------------------------

static int use_mutex(struct held *held)
{
    unsigned i = below(MUTEXES);
    oa_mutex_t *mutex = &w->mutexes[i];
    if (held->mutexes[i]) {
        held->mutexes[i] = false;
        CHECK_EQ(oa_mutex_unlock(mutex), 0);
        return 0;
    }
    int err = below(2)   ? oa_mutex_lock(mutex)
              : below(2) ? oa_mutex_trylock(mutex)
                         : oa_mutex_lock_until(mutex, soon());
    held->mutexes[i] = err == 0;
    return err;
}

static int use_rwlock(struct held *held)
{
    unsigned i = below(RWLOCKS);
    oa_rwlock_t *lock = &w->rwlocks[i];
    int err = 0;
    if (held->rwlocks[i] > 0 && below(3)) {
        held->rwlocks[i]--;
        CHECK_EQ(oa_rwlock_unlock(lock), 0);
        return 0;
    }
    switch (below(6)) {
    case 0: err = oa_rwlock_wrlock(lock); break;
    case 1: err = oa_rwlock_wrlock_until(lock, soon()); break;
    case 2: err = oa_rwlock_trywrlock(lock); break;
    case 3: err = oa_rwlock_tryrdlock(lock); break;
    case 4: err = oa_rwlock_rdlock_until(lock, soon()); break;
    default: err = oa_rwlock_rdlock(lock);
    }
    held->rwlocks[i] += err == 0;
    return err;
}

static int use_cond(struct held *held)
{
    for (unsigned i = 0; i < MUTEXES && below(2); i++) {
        if (!held->mutexes[i])
            continue;
        int err = oa_cond_wait_until(&w->cond, &w->mutexes[i], some_deadline());
        held->mutexes[i] = err != -EPERM;
        return err;
    }
    return below(2) ? oa_cond_signal(&w->cond) : oa_cond_broadcast(&w->cond);
}

static void let_go(struct held *held)
{
    for (int i = 0; i < MUTEXES; i++)
        if (held->mutexes[i])
            CHECK_EQ(oa_mutex_unlock(&w->mutexes[i]), 0);
    for (int i = 0; i < RWLOCKS; i++)
        for (; held->rwlocks[i] > 0; held->rwlocks[i]--)
            CHECK_EQ(oa_rwlock_unlock(&w->rwlocks[i]), 0);
}

// ---- What is conserved --------------------------------------------------------------------------

static int acquire(int64_t deadline)
{
    unsigned i = below(SEMS);
    int err =
        deadline ? oa_sem_acquire_until(&w->sems[i], deadline) : oa_sem_tryacquire(&w->sems[i]);
    atomic_fetch_sub(&w->permits[i], err == 0);
    return err;
}

static int use_sem(void)
{
    unsigned i = below(SEMS);
    if (below(2))
        return acquire(below(3) ? some_deadline() : 0);
    atomic_fetch_add(&w->permits[i], 1);
    CHECK_EQ(oa_sem_release(&w->sems[i]), 0);
    return 0;
}

static int use_channel(void)
{
    unsigned i = below(CHANNELS);
    oa_chan_t *ch = w->channels[i];
    int value = (int)below(100), got = -1, err = 0;
    switch (below(6)) {
    case 0: err = oa_chan_send(ch, &value); break;
    case 1: err = oa_chan_send_until(ch, &value, soon()); break;
    case 2: err = oa_chan_put(ch, &value); break;
    case 3: err = oa_chan_take(ch, &got); break;
    case 4: err = oa_chan_recv(ch, &got); break;
    default: err = oa_chan_recv_until(ch, &got, some_deadline());
    }
    if (err == 0)
        atomic_fetch_add(&w->in_channel[i], got < 0 ? 1 : -1);
    else
        CHECK_EQ(got, -1);
    note(got);
    return err;
}

static int use_select(void)
{
    enum { CASES = 3 };
    int value = 1, got[CASES];
    unsigned of[CASES];
    bool sends[CASES];
    oa_case_t cases[CASES];
    for (int i = 0; i < CASES; i++) {
        of[i] = below(CHANNELS);
        sends[i] = below(3) == 0;
        cases[i] = sends[i] ? (oa_case_t)OA_SEND(w->channels[of[i]], &value)
                            : (oa_case_t)OA_RECV(w->channels[of[i]], &got[i]);
    }
    int which = oa_select_until(cases, CASES, some_deadline());
    if (which >= 0 && cases[which].result == 0)
        atomic_fetch_add(&w->in_channel[of[which]], sends[which] ? 1 : -1);
    return which;
}

static void consume(void *elem)
{
    note(*(int *)elem);
    if (below(4) == 0)
        note(acquire(OA_FOREVER));
    else if (below(2))
        oa_yield();
}

// ---- Tasks --------------------------------------------------------------------------------------

static void run(void *arg);

static void drop(void *arg)
{
    CHECK(arg == w);
    atomic_fetch_add(&w->ended, 1);
}

static void pass_gates(oa_spec_t *spec)
{
    switch (below(20)) {
    case 0: spec->delay = (int64_t)below(100000); break;
    case 1: spec->sem = &w->sems[below(SEMS)]; break;
    case 2: spec->acq = &w->mutexes[below(MUTEXES)]; break;
    case 3: spec->latch = &w->latch; break;
    case 4: spec->cb = &w->barrier; break;
    case 5: spec->bp = &w->bp; break;
    case 6:
        spec->sem = &w->sems[0];
        spec->acq = &w->mutexes[0];
        break;
    case 7: spec->block = 1; break;
    case 8: spec->pinned = 1; break;
    case 9: spec->name = "named"; break;
    default: break;
    }
}

static int spawn(void)
{
    oa_task_t *task;
    oa_spec_t spec = OA_SPEC_INIT;
    if (atomic_fetch_add(&w->spawned, 1) >= MOST_TASKS) {
        atomic_fetch_sub(&w->spawned, 1);
        return 0;
    }
    spec.fn = run;
    spec.drop = drop;
    spec.arg = w;
    spec.where = "spawn";
    spec.group = below(3) ? NULL : &w->groups[below(GROUPS)];
    spec.task = below(2) ? &task : NULL;
    pass_gates(&spec);
    int err = oa_go_spec(&spec);
    if (spec.task != NULL)
        atomic_store(&w->handles[below(HANDLES)], task);
    return err;
}

static int use_task(void)
{
    oa_task_t *task = atomic_load(&w->handles[below(HANDLES)]);
    switch (below(6)) {
    case 0: return oa_cancel(task);
    case 1: return oa_detach(task);
    case 2: return oa_join_until(task, soon());
    case 3: return oa_join(task);
    default: return oa_join_until(task, some_deadline());
    }
}

static int use_group(void)
{
    oa_group_t *group = &w->groups[below(GROUPS)];
    switch (below(6)) {
    case 0: return oa_group_cancel(group);
    case 1: return oa_group_wait_until(group, soon());
    case 2: return oa_group_wait(group);
    default: return oa_group_wait_until(group, some_deadline());
    }
}

// ---- Nests --------------------------------------------------------------------------------------

static void use_nest(void *arg)
{
    struct nest *nest = arg;
    int value = 1;
    for (unsigned n = below(4); n > 0; n--) {
        switch (below(4)) {
        case 0: note(oa_sem_acquire_until(&nest->sem, some_deadline())); break;
        case 1: note(oa_sem_release(&nest->sem)); break;
        case 2:
            note(below(2) ? oa_chan_send_until(nest->ch, &value, some_deadline())
                          : oa_chan_recv_until(nest->ch, &value, some_deadline()));
            break;
        default:
            if (oa_mutex_lock(&nest->mutex) != 0)
                break; // it may be its gate
            int err = below(2) ? oa_cond_wait_until(&nest->cond, &nest->mutex, some_deadline()) : 0;
            note(oa_cond_signal(&nest->cond));
            if (err != -EPERM)
                CHECK_EQ(oa_mutex_unlock(&nest->mutex), 0);
        }
    }
    note(oa_cond_broadcast(&nest->cond));
}

static void free_nest(struct nest *nest)
{
    CHECK_EQ(oa_group_destroy(&nest->group), 0);
    CHECK_EQ(oa_mutex_destroy(&nest->mutex), 0);
    CHECK_EQ(oa_cond_destroy(&nest->cond), 0);
    CHECK_EQ(oa_sem_destroy(&nest->sem), 0);
    CHECK_EQ(oa_chan_free(nest->ch), 0);
    memset(nest, 0xee, sizeof *nest);
    free(nest);
}

// A wait for the group that was broken leaves it to others: then it is kept until all is over.
static int make_nest(void)
{
    struct nest *nest = calloc(1, sizeof *nest); // all-zero bytes are an object that is free
    CHECK(nest != NULL);
    nest->ch = oa_chan_make(sizeof(int), .capacity = below(2));
    CHECK(nest->ch != NULL);
    oa_sem_init(&nest->sem, below(4) != 0);
    for (unsigned i = below(MEMBERS + 1); i > 0; i--)
        note(oa_go(use_nest, nest, .group = &nest->group, .sem = below(4) ? NULL : &nest->sem,
                   .acq = below(4) ? NULL : &nest->mutex, .block = below(4) == 0));
    int err = oa_group_wait(&nest->group);
    if (err == 0 || err == -ECANCELED) {
        free_nest(nest);
    } else {
        CHECK_EQ(err, -EDEADLK);
        nest->next = atomic_exchange(&w->kept, nest);
    }
    return err;
}

// ---- A program ----------------------------------------------------------------------------------

static void call_once(void *arg)
{
    (void)arg;
    note(below(2) ? oa_sleep(1000) : acquire(OA_FOREVER));
}

static void blocks(void *arg)
{
    (void)arg;
    note(acquire(soon()));
}

static int shielded(void)
{
    bool before = oa_shield(true);
    int err = acquire(below(8) ? soon() : OA_FOREVER);
    oa_shield(before);
    return err;
}

static int seldom(void)
{
    switch (below(24)) {
    case 0: return oa_shutdown(NULL, OA_CANCEL);
    case 1: return oa_shutdown(NULL, OA_DRAIN);
    case 2: return oa_chan_close(w->channels[below(CHANNELS)]);
    case 3: return oa_cancel(oa_self());
    case 4:
    case 5:
    case 6:
        return oa_chan_consume(w->channels[CHANNELS - 1], consume, .block = below(2) != 0,
                               .group = below(2) ? NULL : &w->groups[0]);
    default: return 0;
    }
}

static int step(struct held *held)
{
    switch (below(20)) {
    case 0:
    case 1: return use_mutex(held);
    case 2:
    case 3: return use_rwlock(held);
    case 4: return use_cond(held);
    case 5:
    case 6: return use_sem();
    case 7:
    case 8: return use_channel();
    case 9: return use_select();
    case 10: return use_task();
    case 11: return use_group();
    case 12:
    case 13: return spawn();
    case 14: return make_nest();
    case 15: return oa_once(&w->once, call_once, NULL);
    case 16: return oa_block(blocks, NULL);
    case 17: return below(2) ? oa_latch_arrive(&w->latch) : oa_latch_wait_until(&w->latch, soon());
    case 18: return below(2) ? oa_barrier_wait_until(&w->barrier, some_deadline()) : shielded();
    default: return below(2) ? oa_sleep((int64_t)below(20000)) : seldom();
    }
}

static void run(void *arg)
{
    struct held held = {.rwlocks = {0}};
    CHECK(arg == w);
    for (unsigned n = 2 + below(8); n > 0; n--) {
        note(step(&held));
        note(oa_now());
    }
    let_go(&held);
    atomic_fetch_add(&w->ended, 1);
}

static void first(void *arg)
{
    for (int i = 0; i < 8; i++)
        note(spawn());
    atomic_fetch_add(&w->spawned, 1);
    run(arg);
}

static void make_world(uint64_t program)
{
    w = calloc(1, sizeof *w);
    CHECK(w != NULL);
    atomic_store(&w->random, program);
    for (int i = 0; i < SEMS; i++) {
        oa_sem_init(&w->sems[i], (unsigned)i + 1);
        atomic_store(&w->permits[i], i + 1);
    }
    oa_latch_init(&w->latch, 4);
    oa_barrier_init(&w->barrier, 3);
    oa_backpressure_init(&w->bp, 2, OA_LOSSLESS);
    w->channels[0] = oa_chan_make(sizeof(int));
    w->channels[1] = oa_chan_make(sizeof(int), .capacity = 2);
    w->channels[2] = oa_chan_make(sizeof(int), .capacity = OA_UNBOUNDED);
    w->channels[3] = oa_chan_make(sizeof(int), .capacity = 1, .sliding = 1);
}

static void check_conserved(void)
{
    CHECK_EQ(atomic_load(&w->ended), atomic_load(&w->spawned));
    for (int i = 0; i < CHANNELS - 1; i++)
        CHECK_EQ(oa_chan_len(w->channels[i]), atomic_load(&w->in_channel[i]));
    for (int i = 0; i < SEMS; i++) {
        int left = 0;
        while (oa_sem_tryacquire(&w->sems[i]) == 0)
            left++;
        CHECK_EQ(left, atomic_load(&w->permits[i]));
    }
}

static void free_world(void)
{
    for (int i = 0; i < MUTEXES; i++)
        CHECK_EQ(oa_mutex_destroy(&w->mutexes[i]), 0);
    for (int i = 0; i < RWLOCKS; i++)
        CHECK_EQ(oa_rwlock_destroy(&w->rwlocks[i]), 0);
    for (int i = 0; i < SEMS; i++)
        CHECK_EQ(oa_sem_destroy(&w->sems[i]), 0);
    for (int i = 0; i < GROUPS; i++)
        CHECK_EQ(oa_group_destroy(&w->groups[i]), 0);
    for (int i = 0; i < CHANNELS; i++)
        CHECK_EQ(oa_chan_free(w->channels[i]), 0);
    CHECK_EQ(oa_cond_destroy(&w->cond), 0);
    CHECK_EQ(oa_latch_destroy(&w->latch), 0);
    CHECK_EQ(oa_barrier_destroy(&w->barrier), 0);
    for (struct nest *nest = atomic_load(&w->kept), *next; nest != NULL; nest = next) {
        next = nest->next;
        free_nest(nest);
    }
    free(w);
}

// Runs a program; returns a digest of all that it has seen and logged.
static uint64_t run_program(uint64_t program, int *err, int64_t *lines)
{
    struct log log;
    make_world(program);
    *err = simulate(program | 1, first, w, &log);
    CHECK(*err == 0 || *err == -EDEADLK);
    CHECK_EQ(log.warnings, 0);
    note((int64_t)log.digest);
    *lines += log.lines;
    uint64_t digest = atomic_load(&w->digest);
    check_conserved();
    free_world();
    return digest;
}

int main(void)
{
    uint64_t seed = test_seed();
    int64_t programs = test_scale(400), deadlocks = 0, lines = 0;
    if (!alone())
        return 0;
    for (int64_t i = 0; i < programs; i++) {
        int err, again;
        uint64_t program = next_random(&seed);
        uint64_t digest = run_program(program, &err, &lines);
        CHECK(run_program(program, &again, &lines) == digest);
        CHECK_EQ(again, err);
        deadlocks += err != 0;
    }
    printf("%lld programs, %lld steps; %lld came to a deadlock\n", (long long)programs,
           (long long)lines / 2, (long long)deadlocks);
    return 0;
}
