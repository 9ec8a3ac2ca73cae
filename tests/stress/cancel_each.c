// SPDX-License-Identifier: BSD-2-Clause
// cancel_each.c - a cancel at each wait of each primitive: first at every k-th one, in turn, then
// at random ones on several workers. Whatever it breaks, nothing is lost or doubled, whoever was
// not cancelled goes on, and at the end nobody stands in a queue.
//
// ctest: timeout=60 simulate=1
#include "support.h"

enum { TASKS = 4, ROUNDS = 3 };

// How the task comes to be cancelled that is at the wait in question.
enum how { BEFORE, NEXT, LAST, HOWS }; // before it waits; first when it has parked; behind others

static struct {
    atomic_int waits; // so far
    int wanted;       // the wait at which somebody is cancelled; 0: none
    enum how how;
    oa_sem_t alarm; // the canceller waits for it
    oa_task_t *_Atomic victim;
    atomic_int broken;  // waits that returned -ECANCELED
    oa_group_t group;   // of all who take part
    oa_group_t cancels; // of who cancels
} plan;

static void cancel_victim(void *arg)
{
    (void)arg;
    oa_cancel(plan.victim); // it may have ended
}

static void canceller(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_acquire(&plan.alarm), 0);
    if (plan.victim)
        cancel_victim(NULL);
}

static void at_wait(void)
{
    if (atomic_fetch_add(&plan.waits, 1) + 1 != plan.wanted)
        return;
    plan.victim = oa_self();
    if (plan.how == BEFORE)
        cancel_victim(NULL);
    else if (plan.how == NEXT) // whoever is woken runs next on this worker
        CHECK_EQ(oa_sem_release(&plan.alarm), 0);
    else
        CHECK_EQ(oa_go(cancel_victim, NULL, .group = &plan.cancels), 0);
}

static int after_wait(int err)
{
    if (err == -ECANCELED)
        atomic_fetch_add(&plan.broken, 1);
    return err;
}

// What a call that waits returns; the call is one of those that are counted.
#define WAIT(call) (at_wait(), after_wait(call))

// ---- The scenarios ------------------------------------------------------------------------------
//
// Of each, TASKS tasks run `body` with their number. One of them may be cancelled, and leaves then.

static struct {
    oa_mutex_t mutex;
    oa_rwlock_t rwlock;
    oa_cond_t cond;
    oa_sem_t sem;
    oa_latch_t latch;
    oa_barrier_t barrier;
    oa_chan_t *ch, *other;
    int guarded; // by whatever the scenario is about
    atomic_int permits, in, sent, got, left;
} it;

static void hold_mutex(int self)
{
    (void)self;
    for (int i = 0; i < ROUNDS && WAIT(oa_mutex_lock_until(&it.mutex, OA_FOREVER)) == 0; i++) {
        CHECK_EQ(it.guarded++, 0);
        oa_yield();
        CHECK_EQ(--it.guarded, 0);
        CHECK_EQ(oa_mutex_unlock(&it.mutex), 0);
    }
}

static void hold_rwlock(int self)
{
    for (int i = 0; i < ROUNDS; i++) {
        bool write = (i + self) % 2 == 0;
        if (WAIT(write ? oa_rwlock_wrlock_until(&it.rwlock, OA_FOREVER)
                       : oa_rwlock_rdlock_until(&it.rwlock, OA_FOREVER)))
            return;
        CHECK(write ? atomic_fetch_add(&it.in, 100) == 0 : atomic_fetch_add(&it.in, 1) < 100);
        oa_yield();
        atomic_fetch_sub(&it.in, write ? 100 : 1);
        CHECK_EQ(oa_rwlock_unlock(&it.rwlock), 0);
    }
}

// Two give, two take what they have given.
static void pass_by_cond(int self)
{
    CHECK_EQ(oa_mutex_lock(&it.mutex), 0);
    for (int i = 0; i < ROUNDS; i++) {
        if (self % 2 != 0) {
            it.guarded++;
            CHECK_EQ(oa_cond_signal(&it.cond), 0);
        } else {
            int err = 0;
            while (it.guarded == 0 && atomic_load(&it.left) == 0 && err == 0)
                err = WAIT(oa_cond_wait(&it.cond, &it.mutex));
            if (err || it.guarded == 0)
                break;
            it.guarded--;
        }
    }
    // A taker may be gone, and a signal with it: all look.
    if (self % 2 != 0 && atomic_fetch_add(&it.sent, 1) == 1)
        atomic_store(&it.left, 1);
    CHECK_EQ(oa_cond_broadcast(&it.cond), 0);
    CHECK_EQ(oa_mutex_unlock(&it.mutex), 0);
}

static void take_permit(int self)
{
    (void)self;
    for (int i = 0; i < ROUNDS && WAIT(oa_sem_acquire(&it.sem)) == 0; i++) {
        CHECK(atomic_fetch_sub(&it.permits, 1) > 0);
        oa_yield();
        atomic_fetch_add(&it.permits, 1);
        CHECK_EQ(oa_sem_release(&it.sem), 0);
    }
}

static void open_latch(int self)
{
    oa_yield();
    atomic_fetch_add(&it.in, 1);
    CHECK_EQ(oa_latch_arrive(&it.latch), 0); // whoever is cancelled comes, too
    if (self != 0 && WAIT(oa_latch_wait(&it.latch)) == 0)
        CHECK_EQ(atomic_load(&it.in), TASKS);
}

// Without one of them no round is ever full: he takes all others with him.
static void meet(int self)
{
    (void)self;
    for (int i = 0; i < ROUNDS; i++) {
        int err = WAIT(oa_barrier_wait(&it.barrier));
        if (err < 0) {
            CHECK_EQ(oa_group_cancel(&plan.group), 0);
            return;
        }
        atomic_fetch_add(&it.in, err);
    }
}

static void send_or_receive(int self)
{
    uint64_t value = 0;
    if (self % 2 == 0) {
        for (int i = 0; i < ROUNDS && WAIT(oa_chan_send(it.ch, &value)) == 0; i++)
            atomic_fetch_add(&it.sent, 1);
        if (atomic_fetch_add(&it.left, 1) == 1) // the last sender
            CHECK_EQ(oa_chan_close(it.ch), 0);
    } else {
        while (WAIT(oa_chan_recv(it.ch, &value)) == 0)
            atomic_fetch_add(&it.got, 1);
        if (atomic_fetch_add(&it.in, 1) == 1) // nobody is left to take what is sent
            oa_chan_close(it.ch);
    }
}

static void select_both(int self)
{
    uint64_t value = 0;
    oa_case_t sends[] = {OA_SEND(it.ch, &value), OA_SEND(it.other, &value)};
    oa_case_t receives[] = {OA_RECV(it.other, &value), OA_RECV(it.ch, &value)};
    oa_case_t *cases = self % 2 == 0 ? sends : receives;
    for (int i = 0; i < ROUNDS; i++) {
        int which = WAIT(oa_select(cases, 2));
        if (which < 0 || cases[which].result != 0)
            break;
        atomic_fetch_add(self % 2 == 0 ? &it.sent : &it.got, 1);
    }
    // Whoever is left finds both closed when all of one side have gone.
    if (atomic_fetch_add(self % 2 == 0 ? &it.left : &it.in, 1) == 1) {
        oa_chan_close(it.ch);
        oa_chan_close(it.other);
    }
}

static void sleep_once(void *arg)
{
    (void)arg;
    oa_sleep(1000);
}

static void join_children(int self)
{
    (void)self;
    for (int i = 0; i < ROUNDS; i++) {
        oa_task_t *child;
        CHECK_EQ(oa_go(sleep_once, NULL, .task = &child), 0);
        if (WAIT(oa_join_until(child, OA_FOREVER)) == 0) {
            CHECK_EQ(oa_join(child), -ESRCH);
            continue;
        }
        CHECK_EQ(oa_join(child), 0); // it is still this one's
        return;
    }
}

static void wait_for_group(int self)
{
    (void)self;
    oa_group_t group = OA_GROUP_INIT;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQ(oa_go(sleep_once, NULL, .group = &group), 0);
        if (WAIT(oa_group_wait_until(&group, OA_FOREVER)) == 0)
            continue;
        CHECK_EQ(oa_group_wait(&group), -ECANCELED);
        break;
    }
    CHECK_EQ(oa_group_destroy(&group), 0);
}

static void sleep_a_while(int self)
{
    for (int i = 0; i < ROUNDS && WAIT(oa_sleep(1000 * (self + 1))) == 0; i++)
        continue;
}

static const struct scenario {
    const char *name;
    void (*body)(int self);
    size_t capacity; // of both channels
} scenarios[] = {
    {"mutex", hold_mutex, 0},
    {"rwlock", hold_rwlock, 0},
    {"condition variable", pass_by_cond, 0},
    {"semaphore", take_permit, 0},
    {"latch", open_latch, 0},
    {"barrier", meet, 0},
    {"rendezvous", send_or_receive, 0},
    {"bounded channel", send_or_receive, 1},
    {"unbounded channel", send_or_receive, OA_UNBOUNDED},
    {"select, rendezvous", select_both, 0},
    {"select, bounded", select_both, 1},
    {"join", join_children, 0},
    {"group", wait_for_group, 0},
    {"sleep", sleep_a_while, 0},
};

enum { SCENARIOS = sizeof scenarios / sizeof *scenarios };

// ---- One run ------------------------------------------------------------------------------------

static const struct scenario *present;

static void take_part(void *arg)
{
    present->body(*(int *)arg);
}

static void set_up(void)
{
    oa_mutex_init(&it.mutex);
    oa_rwlock_init(&it.rwlock);
    oa_cond_init(&it.cond);
    oa_sem_init(&it.sem, 2);
    oa_latch_init(&it.latch, TASKS);
    oa_barrier_init(&it.barrier, TASKS);
    it.ch = oa_chan_make(sizeof(uint64_t), .capacity = present->capacity);
    it.other = oa_chan_make(sizeof(uint64_t), .capacity = present->capacity);
    it.guarded = 0;
    atomic_store(&it.permits, 2);
    atomic_store(&it.in, 0);
    atomic_store(&it.sent, 0);
    atomic_store(&it.got, 0);
    atomic_store(&it.left, 0);
}

// Nobody stands in a queue, and what was there is there.
static void tear_down(void)
{
    bool channels = present->body == send_or_receive || present->body == select_both;
    if (channels)
        CHECK_EQ(atomic_load(&it.sent),
                 atomic_load(&it.got) + (int)oa_chan_len(it.ch) + (int)oa_chan_len(it.other));
    if (present->body == take_permit)
        CHECK_EQ(atomic_load(&it.permits), 2);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(oa_sem_tryacquire(&it.sem), 0);
    CHECK_EQ(oa_sem_tryacquire(&it.sem), -EAGAIN);
    CHECK_EQ(oa_mutex_trylock(&it.mutex), 0);
    CHECK_EQ(oa_mutex_unlock(&it.mutex), 0);
    CHECK_EQ(oa_rwlock_trywrlock(&it.rwlock), 0);
    CHECK_EQ(oa_rwlock_unlock(&it.rwlock), 0);
    CHECK_EQ(oa_mutex_destroy(&it.mutex), 0);
    CHECK_EQ(oa_rwlock_destroy(&it.rwlock), 0);
    CHECK_EQ(oa_cond_destroy(&it.cond), 0);
    CHECK_EQ(oa_sem_destroy(&it.sem), 0);
    CHECK_EQ(oa_latch_destroy(&it.latch), 0);
    CHECK_EQ(oa_barrier_destroy(&it.barrier), 0);
    CHECK_EQ(oa_chan_free(it.ch), 0);
    CHECK_EQ(oa_chan_free(it.other), 0);
}

// Runs a scenario with a cancel at a wait. Returns how many waits there were.
static int run(const struct scenario *scenario, int wanted, enum how how)
{
    present = scenario;
    plan.wanted = wanted;
    plan.how = how;
    atomic_store(&plan.waits, 0);
    atomic_store(&plan.broken, 0);
    plan.victim = NULL;
    oa_sem_init(&plan.alarm, 0);
    oa_group_init(&plan.group);
    oa_group_init(&plan.cancels);
    set_up();
    CHECK_EQ(oa_go(canceller, NULL, .group = &plan.cancels), 0);
    oa_yield(); // the canceller waits
    for (int i = 0; i < TASKS; i++) {
        int err = oa_go(take_part, oa_val(i), .group = &plan.group);
        // On another worker one may have been cancelled at the barrier by now, and the group by it.
        CHECK(err == 0 || (err == -ECANCELED && present->body == meet));
    }
    CHECK_EQ(oa_group_wait(&plan.group), 0);
    if (!plan.victim || how != NEXT)
        CHECK_EQ(oa_sem_release(&plan.alarm), 0);
    CHECK_EQ(oa_group_wait(&plan.cancels), 0);
    tear_down();
    return atomic_load(&plan.waits);
}

// On one worker, so that the waits come in one order.
static void each_in_turn(void *arg)
{
    (void)arg;
    for (const struct scenario *s = scenarios; s < scenarios + SCENARIOS; s++) {
        int reached[HOWS] = {0}, broken[HOWS] = {0};
        int most = run(s, 0, BEFORE);
        for (int how = 0; how < HOWS; how++)
            for (int k = 1; k <= most; k++) {
                run(s, k, (enum how)how);
                reached[how] += plan.victim != NULL;
                broken[how] += atomic_load(&plan.broken) != 0;
            }
        printf("%-20s %2d waits; broken before %d, next %d, last %d\n", s->name, most,
               broken[BEFORE], broken[NEXT], broken[LAST]);
        CHECK(reached[BEFORE] > most / 2);
        CHECK_EQ(broken[BEFORE], reached[BEFORE]);
        CHECK(broken[NEXT] > 0);
    }
}

static void at_random(void *arg)
{
    uint64_t *random = arg;
    int64_t times = test_scale(100000) / 3;
    for (int64_t i = 0; i < times; i++) {
        const struct scenario *s = &scenarios[random_below(random, SCENARIOS)];
        run(s, 1 + (int)random_below(random, 2 * TASKS * ROUNDS),
            (enum how)random_below(random, HOWS));
    }
}

int main(void)
{
    uint64_t random = test_seed();
    if (!simulated()) // in which the waits of each run come in another order
        CHECK_EQ(oa_run(each_in_turn, NULL, .max_workers = 1), 0);
    for (int workers = 1; workers <= 4; workers *= 2)
        CHECK_EQ(oa_run(at_random, &random, .max_workers = workers), 0);
    return 0;
}
