// SPDX-License-Identifier: BSD-2-Clause
// idle_model.c - going to sleep and waking up: no work and no timer waits while all workers sleep.
//
// Publishers put work where workers find it, by nothing more than a relaxed store: what orders it
// is the barrier pair told in idle.c. Workers do what oai_worker_find() does, shortened. Who
// publishes waits until all is done, and who does a piece of work may wait for that too, as a long
// computation would: a lost wake-up is a deadlock. Every model is there twice, with fences and
// with membarrier. Timers are the shipped wheel; one that fires late is an assertion.
//
// With one worker they are complete to three preemptions (later: two), with two workers to two
// (doze, late_sentry and taken_sentry: interleavings alone); random runs go beyond.
#include "model.h"
#include "os/os.h"
#include "sched/idle.h"
#include "sched/internal.h"

#include <string.h>

enum {
    WORKERS = 2,
    ITEMS = 2,
    TIMERS = 3,
    SHARDS = 2,
    PARTIES = 8,
    TICK = 1 << OAI_TICK_SHIFT,
    DOZE = 1000
};

static struct worker {
    oai_sleeper_t sleeper;
    int dozes;   // how often it dozes before it sleeps for good; its own
    bool asleep; // at the beginning; constant
} workers[WORKERS];

static oai_idle_t idle;
static oai_timers_t shards[SHARDS];
static oai_deadline_t timers[TIMERS];
static int64_t expiry_of[TIMERS], inserted_at[TIMERS], fired_at[TIMERS];
static _Atomic uint32_t work[ITEMS]; // 0: not there, 1: to be done, 2: taken
static _Atomic bool ended;

// What a model is about. Constant while it runs.
static struct {
    int items, timers;
    int shards;     // the first timer is in the first shard, the others in the last one
    int outside;    // of the items, the last ones: in the injection queue, the others in a worker's
    bool search;    // what is in a worker's queue is found by searching only
    bool long_work; // who does a piece of work goes on only when all is done
    bool deep_dozes;  // a doze has no end
    bool slow_worker; // time passes while nobody sleeps
    bool end;         // workers leave when all is over
} has;

// Outcomes for must_see.
enum { SLEPT, DOZED, STAYED, FIRED };

// ---- All is done when all have arrived ----------------------------------------------------------

static _Atomic int arrived;
static int goal, waiting[PARTIES]; // the thread that waits for the others; 0: it went on

// Returns whether all have.
static bool arrive(int party, bool stays)
{
    waiting[party] = stays ? model_self() : 0;
    if (atomic_fetch_add_explicit(&arrived, 1, memory_order_acq_rel) + 1 < goal) {
        if (stays)
            model_block();
        return stays;
    }
    for (int i = 0; i < goal; i++)
        if (i != party && waiting[i])
            model_unblock(waiting[i]);
    return true;
}

// Parties: first the pieces of work, then the timers, then the publishers.
static int party_of_timer(int i)
{
    return has.items + i;
}

static int party_of_publisher(int i)
{
    return has.items + has.timers + i;
}

// ---- A worker -----------------------------------------------------------------------------------

static int64_t next_expiry(void *unused)
{
    int64_t next = INT64_MAX;
    (void)unused;
    for (int i = 0; i < has.shards; i++) {
        int64_t expiry = atomic_load_explicit(&shards[i].next, memory_order_seq_cst);
        next = expiry < next ? expiry : next;
    }
    return next;
}

static bool take_work(int first, int end, int *party)
{
    for (int i = first; i < end; i++) {
        uint32_t there = 1;
        if (atomic_load_explicit(&work[i], memory_order_relaxed) == 1 &&
            atomic_compare_exchange_strong_explicit(&work[i], &there, 2, memory_order_relaxed,
                                                    memory_order_relaxed)) {
            *party = i;
            return true;
        }
    }
    return false;
}

static bool take_injected(int *party)
{
    bool found = take_work(has.items - has.outside, has.items, party);
    if (found)
        oai_idle_published(&idle); // there may be more
    return found;
}

static bool take_timer(int *party)
{
    oai_fired_t fired;
    size_t found = 0;
    if (next_expiry(NULL) > model_now())
        return false;
    for (int i = 0; i < has.shards && found == 0; i++)
        found = oai_timers_expire(&shards[i], model_now(), &fired, 1);
    if (found == 0)
        return false;
    int i = (int)fired.word;
    fired_at[i] = model_now();
    model_seen(FIRED);
    *party = party_of_timer(i);
    return true;
}

static bool is_over(void)
{
    return has.end && atomic_load_explicit(&ended, memory_order_acquire);
}

static bool work_waits(bool own)
{
    bool waits = next_expiry(NULL) <= model_now();
    for (int i = own ? has.items - has.outside : 0; i < has.items; i++)
        waits = waits || atomic_load_explicit(&work[i], memory_order_relaxed) == 1;
    return waits || is_over();
}

static void go_to_sleep(struct worker *w)
{
    bool doze = w->dozes > 0;
    w->dozes -= doze;
    oai_idle_announce(&idle, &w->sleeper, doze);
    if (work_waits(doze)) {
        model_seen(STAYED);
        oai_idle_stay(&idle, &w->sleeper);
        return;
    }
    model_seen(doze ? DOZED : SLEPT);
    int64_t until = doze && !has.deep_dozes ? model_now() + DOZE : INT64_MAX;
    oai_idle_sleep(&idle, &w->sleeper, until, next_expiry, NULL);
}

// What there is to do next; -1: nothing, ever.
static int find(struct worker *w)
{
    for (;;) {
        int party = -1;
        bool found = take_timer(&party);
        int64_t next = next_expiry(NULL);
        if (next != INT64_MAX) // this worker may be busy for long
            oai_idle_sooner(&idle, next);
        if (!found)
            found = take_injected(&party);
        bool may_search = found || !has.search || oai_idle_search(&idle, &w->sleeper);
        if (!found && may_search)
            found = take_work(0, has.items - has.outside, &party);
        if (found || is_over()) {
            if (w->sleeper.searching)
                oai_idle_found(&idle, &w->sleeper);
            return party;
        }
        go_to_sleep(w);
        if (!may_search)
            oai_pause(); // what it has seen is left to who searches
    }
}

static void worker(void *self)
{
    struct worker *w = self;
    if (w->asleep)
        oai_idle_sleep(&idle, &w->sleeper, INT64_MAX, next_expiry, NULL);
    for (int party; (party = find(self)) >= 0;)
        if (arrive(party, has.long_work))
            return;
}

// ---- Who makes work wait ------------------------------------------------------------------------

static void publish(int i, bool outside)
{
    atomic_store_explicit(&work[i], 1, memory_order_relaxed);
    if (outside)
        oai_idle_published_outside(&idle);
    else
        oai_idle_published(&idle);
}

static void insert(int i, int64_t expiry)
{
    timers[i].word = (uint64_t)i;
    expiry_of[i] = expiry;
    if (oai_timers_insert(&shards[i ? has.shards - 1 : 0], &timers[i], expiry))
        oai_idle_sooner(&idle, expiry);
    inserted_at[i] = model_now();
}

static void publishes(void *unused)
{
    (void)unused;
    for (int i = 0; i < has.items; i++)
        publish(i, i >= has.items - has.outside);
    arrive(party_of_publisher(0), true);
}

static void inserts(void *unused)
{
    (void)unused;
    insert(has.timers - 1, TICK * 2);
    if (has.slow_worker) // so slow that the timer is due
        model_advance(TICK * 2);
    arrive(party_of_publisher(0), true);
}

static void ends(void *unused)
{
    (void)unused;
    atomic_store_explicit(&ended, true, memory_order_release);
    oai_idle_wake_all(&idle);
}

// ---- Before and after ---------------------------------------------------------------------------

// The wheel as it is made; copied back behind the engine's back, as it is big and seldom touched.
static __attribute__((no_sanitize("thread"))) void reset_shards(void)
{
    static oai_timers_t fresh[SHARDS];
    static bool made;
    for (int i = 0; i < SHARDS && !made; i++) {
        oai_timers_init(&shards[i], 0);
        __builtin_memcpy(&fresh[i], &shards[i], sizeof fresh[i]);
    }
    made = true;
    __builtin_memcpy(shards, fresh, sizeof shards);
}

static void reset(bool asymmetric)
{
    memset(&has, 0, sizeof has);
    memset(workers, 0, sizeof workers);
    memset(waiting, 0, sizeof waiting);
    oai_idle_init(&idle, WORKERS, asymmetric);
    for (int i = 0; i < ITEMS; i++)
        atomic_init(&work[i], 0);
    atomic_init(&ended, false);
    atomic_init(&arrived, 0);
    goal = 0;
    reset_shards();
    model_name(&idle.lock, "idle.lock");
    model_name(&idle.wanted, "wanted");
    model_name(&idle.wanted_soon, "wanted_soon");
    model_name(&idle.sentry_until, "sentry_until");
    model_name(&idle, "idle");
    model_name(&workers[0].sleeper.woken, "woken");
    model_name(&workers[1].sleeper.woken, "woken 2");
    model_name(&workers, "workers");
    model_name(&work, "work");
    model_name(&ended, "ended");
    model_name(&arrived, "arrived");
    model_name(&shards[0].next, "next");
    model_name(&shards[0].lock, "next.lock");
    model_name(&shards[1].next, "next 2");
    model_name(&shards[1].lock, "next 2.lock");
}

// The last `asleep` workers are so at the beginning, the first of these as the sentry.
static void start(int count, int asleep)
{
    static const char *const names[] = {"worker", "worker 2"};
    for (int i = 0; i < count; i++) {
        workers[i].asleep = i >= count - asleep;
        if (workers[i].asleep)
            oai_idle_announce(&idle, &workers[i].sleeper, false);
        model_daemon(model_thread(names[i], worker, &workers[i]));
    }
}

static void all_arrived(void)
{
    model_assert(atomic_load_explicit(&arrived, memory_order_relaxed) == goal);
    model_assert(idle.searching <= idle.max_searching);
    // Nobody but sleepers moves the clock, each to where it wants to be woken: no timer is late.
    for (int i = 0; i < has.timers; i++) {
        model_assert(fired_at[i] >= expiry_of[i]);
        model_assert(has.slow_worker || fired_at[i] == expiry_of[i] ||
                     fired_at[i] <= inserted_at[i]);
    }
}

// A model with fences and with membarrier.
#define BOTH(NAME, CHECK, ...)                                                                     \
    static void NAME##_fences(void)                                                                \
    {                                                                                              \
        reset(false);                                                                              \
        NAME();                                                                                    \
    }                                                                                              \
    static void NAME##_membarrier(void)                                                            \
    {                                                                                              \
        reset(true);                                                                               \
        NAME();                                                                                    \
    }                                                                                              \
    MODEL(NAME##_fences, NAME##_fences, CHECK, .runs = 10000, __VA_ARGS__);                        \
    MODEL(NAME##_membarrier, NAME##_membarrier, CHECK, .runs = 10000, __VA_ARGS__)

// ---- Work ---------------------------------------------------------------------------------------

// One worker and one publisher.
static void one(void)
{
    has.items = 2;
    goal = 3;
    model_thread("publisher", publishes, NULL);
    start(1, 0);
}

BOTH(one, all_arrived, .must_see = 1 << SLEPT | 1 << STAYED);

// Two long pieces of work: both workers have to come, of whom the publisher may wake only one.
static void two(void)
{
    has.items = 2;
    has.long_work = has.search = true;
    goal = 3;
    model_thread("publisher", publishes, NULL);
    start(2, 0);
}

BOTH(two, all_arrived, .bound = 2, .stale = 1, .must_see = 1 << SLEPT | 1 << STAYED);

static void two_asleep(void)
{
    has.items = 2;
    has.long_work = has.search = true;
    goal = 3;
    model_thread("publisher", publishes, NULL);
    start(2, 2);
}

BOTH(two_asleep, all_arrived, .bound = 2, .stale = 1);

// ---- Dozing -------------------------------------------------------------------------------------

// While one dozes, nobody is woken for what is in a worker's queue, but for what is from outside.
// The one that sleeps is needed too, whatever the other one has found when its doze ended.
static void doze(void)
{
    has.items = 2;
    has.outside = 1;
    has.long_work = has.search = true;
    workers[0].dozes = 1;
    goal = 3;
    model_thread("publisher", publishes, NULL);
    start(2, 1);
}

BOTH(doze, all_arrived, .bound = 2, .stale = -1, .must_see = 1 << DOZED);

// What comes from outside does not wait for the end of a doze.
static void deep_doze(void)
{
    has.items = has.outside = 1;
    has.deep_dozes = true;
    workers[0].dozes = 1;
    goal = 2;
    model_thread("publisher", publishes, NULL);
    start(1, 0);
}

BOTH(deep_doze, all_arrived, .must_see = 1 << DOZED | 1 << STAYED);

// ---- Timers -------------------------------------------------------------------------------------

// A timer comes while the only worker goes to sleep.
static void timer(void)
{
    has.timers = 1;
    has.shards = 1;
    goal = 2;
    model_thread("inserter", inserts, NULL);
    start(1, 0);
}

BOTH(timer, all_arrived, .must_see = 1 << SLEPT | 1 << FIRED);

// ... and there is a later one already.
static void sooner(void)
{
    has.timers = 2;
    has.shards = 1;
    goal = 3;
    insert(0, TICK * 4);
    model_thread("inserter", inserts, NULL);
    start(1, 0);
}

BOTH(sooner, all_arrived, .stale = 1, .must_see = 1 << SLEPT | 1 << FIRED);

// ... or there was an earlier one, until which the sentry slept before, and there is a later one.
static void later(void)
{
    has.timers = 3;
    has.shards = 2;
    goal = 4;
    insert(0, TICK);
    insert(1, TICK * 4);
    model_thread("inserter", inserts, NULL);
    start(1, 0);
}

BOTH(later, all_arrived, .bound = 2, .must_see = 1 << SLEPT | 1 << FIRED);

// The sentry wakes for a timer and is busy from then on: another one has to wake for the next.
static void busy_sentry(void)
{
    has.timers = 2;
    has.shards = 1;
    has.long_work = true;
    goal = 3;
    insert(0, TICK);
    model_thread("inserter", inserts, NULL);
    start(2, 2);
}

BOTH(busy_sentry, all_arrived, .bound = 2, .stale = 1, .must_see = 1 << FIRED);

// The sentry is woken for a timer that is due when it comes to look at it, and is busy from then
// on.
static void late_sentry(void)
{
    has.timers = 2;
    has.shards = 1;
    has.long_work = has.slow_worker = true;
    goal = 3;
    insert(0, TICK * 4);
    model_thread("inserter", inserts, NULL);
    start(2, 2);
}

BOTH(late_sentry, all_arrived, .bound = 2, .stale = -1, .must_see = 1 << FIRED);

// The sentry is taken for work while the other one goes to sleep.
static void taken_sentry(void)
{
    has.items = has.timers = has.shards = 1;
    has.long_work = has.search = true;
    goal = 3;
    insert(0, TICK);
    model_thread("publisher", publishes, NULL);
    start(2, 1);
}

BOTH(taken_sentry, all_arrived, .bound = 2, .stale = -1, .must_see = 1 << FIRED);

// ---- The end ------------------------------------------------------------------------------------

static void leaving(void *self)
{
    worker(self);
    arrive(party_of_publisher((int)((struct worker *)self - workers)), false);
}

static void end(void)
{
    has.end = has.deep_dozes = true;
    workers[1].dozes = 1;
    goal = 2;
    model_thread("ender", ends, NULL);
    model_thread("worker", leaving, &workers[0]);
    model_thread("worker 2", leaving, &workers[1]);
}

BOTH(end, all_arrived, .bound = 2, .stale = 1, .must_see = 1 << SLEPT | 1 << DOZED | 1 << STAYED);
