// SPDX-License-Identifier: BSD-2-Clause
// group_tree.c - groups within groups are cancelled as one: by a cancel of the outer group, of the
// root task alone, or by the end of the runtime, at any moment while the tree grows and when all of
// it waits.
//
// Each wait of the tree is broken, and a task whose group's wait is broken has no member left when
// it returns. What grows below a shielded task comes to its end all the same. Each task has ended
// once, and how many of them have ended how is known.
// ctest: timeout=60 simulate
#include "support.h"

enum { MOST = 2048 };

// What a task is in its tree.
enum kind {
    INNER,    // has a group of its own
    LEAF,     // waits
    SIBLING,  // as a leaf, but added by a member of its group, not by the task whose group it is
    DELAYED,  // begins long after the round is over, or soon in a shelter
    AGAIN,    // as a leaf, added when the wait for the cancelled group has returned
    NEWCOMER, // added by a member whose wait was broken, or after the blow
    KINDS
};

// How it ended.
enum { FINISHED, BROKEN, DROPPED, ENDS };

// The members of a group and what they share, on the stack of the task that waits for them.
struct family {
    oa_group_t group;
    oa_latch_t together; // of its leaves, in a shelter
    atomic_int open;     // members that have not ended
    bool sheltered;      // below a shielded task: only the end of the runtime reaches them
};

struct member {
    struct family *in;
    enum kind kind;
    int depth; // levels of groups from here on down
    bool first, block;
    unsigned id; // its place in `fates`
};

// A round: what grows, and what ends it.
static struct {
    enum blow { OUTER, ROOT, RUNTIME } blow;
    int roots, fan, depth;
    int shield; // the depth of tasks that shield themselves, the first of each family; 0: none do
    bool block; // the first root, its first child and so on are blocking tasks
    int moment; // so many have begun when it comes
    // If all begin: tasks of each kind, those that shield themselves, and those in their shelter.
    int inner, leaves, siblings, shields, safe_inner, safe_leaves;
} plan;

static uint64_t seed;
static oa_task_t *root; // the first one
static oa_mutex_t mutex;
static oa_cond_t changed;
static oa_sem_t none;
static oa_latch_t closed;
static oa_chan_t *channel;

static atomic_int begun; // of the first three kinds
static atomic_int ends[KINDS][ENDS], refused[KINDS];
static atomic_uint made;
static atomic_uchar fates[MOST];

// ---- Members ------------------------------------------------------------------------------------

static void end(const struct member *self, int how)
{
    CHECK_EQ(atomic_fetch_add(&fates[self->id], 1), 0);
    atomic_fetch_add(&ends[self->kind][how], 1);
    atomic_fetch_sub(&self->in->open, 1);
}

static void drop(void *arg)
{
    const struct member *self = arg;
    CHECK(!self->in->sheltered || plan.blow == RUNTIME);
    end(self, DROPPED);
}

static void member_run(void *arg);

static int add(struct family *family, struct member member)
{
    int64_t delay = family->sheltered ? 50 * OA_MICROSECOND : 1000 * OA_SECOND;
    bool first_root = member.first && member.depth == plan.depth;
    member.in = family;
    member.id = atomic_fetch_add(&made, 1);
    CHECK(member.id < MOST);
    atomic_fetch_add(&family->open, 1);
    int err = oa_go(member_run, oa_val(member), .drop = drop, .group = &family->group,
                    .delay = member.kind == DELAYED ? delay : 0, .block = member.block,
                    .task = first_root ? &root : NULL, .coord = coord);
    if (err != 0)
        atomic_fetch_add(&refused[member.kind], 1);
    return err;
}

// Whether a call has returned what it must. The end of the runtime comes to each task on its own,
// and to the sheltered ones, too.
static bool is(int wanted, int err)
{
    return err == wanted || (plan.blow == RUNTIME && (err == -ECANCELED || err == -ESHUTDOWN));
}

// The task's wait was broken. Its group takes nobody more: no wait for it can have returned, for
// this member has not ended. Only the outer group was not cancelled if the root alone was.
static void end_broken(const struct member *self)
{
    bool open = plan.blow == ROOT && self->depth == plan.depth;
    CHECK(oa_cancelled());
    CHECK(is(open ? 0 : -ECANCELED, add(self->in, (struct member){.kind = NEWCOMER})));
    end(self, BROKEN);
}

// ---- Leaves -------------------------------------------------------------------------------------

static int wait_for_change(bool until)
{
    CHECK_EQ(oa_mutex_lock(&mutex), 0);
    int err = until ? oa_cond_wait_until(&changed, &mutex, LATE) : oa_cond_wait(&changed, &mutex);
    CHECK_EQ(oa_mutex_lock(&mutex), -EDEADLK); // it is held
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    return err;
}

// Nothing but a cancel ends it.
static int wait_in_vain(unsigned way)
{
    switch (way % 10) {
    case 0: return oa_sleep(OA_FOREVER);
    case 1: return oa_sleep_until(LATE);
    case 2: return oa_chan_recv(channel, NULL);
    case 3: return oa_chan_recv_until(channel, NULL, LATE);
    case 4: return oa_sem_acquire(&none);
    case 5: return oa_sem_acquire_until(&none, LATE);
    case 6: return oa_latch_wait(&closed);
    case 7: return oa_latch_wait_until(&closed, LATE);
    default: return wait_for_change(way % 2);
    }
}

static void leaf(const struct member *self)
{
    if (self->in->sheltered) {
        CHECK(is(0, oa_sleep(self->id % 4 * 10 * OA_MICROSECOND)));
        if (self->kind == LEAF) {
            CHECK_EQ(oa_latch_arrive(&self->in->together), 0);
            CHECK(is(0, oa_latch_wait(&self->in->together)));
        }
        end(self, FINISHED);
        return;
    }
    CHECK_EQ(wait_in_vain(self->id), -ECANCELED);
    end_broken(self);
}

// ---- Tasks with a group of their own ------------------------------------------------------------

static void grow(const struct member *self, struct family *own)
{
    struct member child = {.kind = self->depth > 1 ? INNER : LEAF, .depth = self->depth - 1};
    for (int i = 0; i < plan.fan; i++) {
        child.first = i == 0;
        child.block = child.first && self->block;
        CHECK(is(0, add(own, child)));
    }
    CHECK(is(0, add(own, (struct member){.kind = DELAYED})));
    if (self->depth == plan.depth)
        return;
    int err = add(self->in, (struct member){.kind = SIBLING});
    CHECK(is(0, err) || (err == -ECANCELED && !self->in->sheltered));
}

// Its end is waited for, whatever breaks the wait.
static int wait_for(struct family *family)
{
    int err = oa_group_wait(&family->group);
    CHECK_EQ(atomic_load(&family->open), 0);
    return err;
}

// The wait of who was cancelled. At the end of the runtime the members may have ended before.
static void wait_cancelled(struct family *family)
{
    int err = wait_for(family);
    CHECK(err == -ECANCELED || (err == 0 && plan.blow == RUNTIME));
}

// The shielded task waits for its group as if nothing was, and is cancelled later.
static void grow_shielded(const struct member *self, struct family *own)
{
    own->sheltered = true;
    CHECK(!oa_shield(true));
    grow(self, own);
    CHECK_EQ(wait_for(own), 0);
    CHECK(oa_shield(false));
    CHECK_EQ(oa_sleep(OA_FOREVER), -ECANCELED);
    own->sheltered = false;
}

// It is cancelled sooner or later. Then its group is as new, and the next wait cancels it again.
static void be_broken(const struct member *self, struct family *own)
{
    if (self->first && self->depth == plan.shield) {
        grow_shielded(self, own);
    } else {
        grow(self, own);
        wait_cancelled(own);
    }
    CHECK(is(0, add(own, (struct member){.kind = AGAIN})));
    wait_cancelled(own);
}

static void inner(const struct member *self)
{
    struct family own = {.sheltered = self->in->sheltered};
    oa_latch_init(&own.together, plan.fan);
    if (own.sheltered) {
        grow(self, &own);
        CHECK(is(0, wait_for(&own)));
    } else {
        be_broken(self, &own);
    }
    CHECK_EQ(oa_group_destroy(&own.group), 0);
    memset(&own, 0xff, sizeof own);
    if (self->in->sheltered)
        end(self, FINISHED);
    else
        end_broken(self);
}

static void member_run(void *arg)
{
    const struct member *self = arg;
    switch (self->kind) {
    case INNER:
        atomic_fetch_add(&begun, 1);
        inner(self);
        break;
    case LEAF:
    case SIBLING:
        atomic_fetch_add(&begun, 1);
        leaf(self);
        break;
    case AGAIN:
        CHECK_EQ(wait_in_vain(self->id), -ECANCELED);
        end(self, BROKEN);
        break;
    default: end(self, FINISHED);
    }
}

// ---- A round ------------------------------------------------------------------------------------

// How many tasks a level has, and all levels above it have, if the first one has so many.
static int at_level(int first, int level)
{
    return level == 0 ? first : plan.fan * at_level(first, level - 1);
}

static int above_level(int first, int level)
{
    return level == 0 ? 0 : above_level(first, level - 1) + at_level(first, level - 1);
}

static void make_plan(enum blow blow)
{
    plan.blow = blow;
    plan.fan = 1 + (int)random_below(&seed, 4);
    plan.depth = 2 + (int)random_below(&seed, 2);
    plan.roots = blow == ROOT ? 1 : plan.fan;
    plan.block = random_below(&seed, 4) == 0;
    plan.inner = above_level(plan.roots, plan.depth);
    plan.leaves = at_level(plan.roots, plan.depth);
    plan.siblings = plan.inner - plan.roots;
    plan.shield = random_below(&seed, 2) ? 1 + (int)random_below(&seed, (uint64_t)plan.depth) : 0;
    plan.shields = 0;
    if (plan.shield == plan.depth)
        plan.shields = 1;
    else if (plan.shield != 0)
        plan.shields = at_level(plan.roots, plan.depth - plan.shield - 1);
    plan.safe_inner = above_level(plan.shields, plan.shield) - plan.shields;
    plan.safe_leaves = at_level(plan.shields, plan.shield);
    plan.moment = plan.inner + plan.leaves + plan.siblings;
    if (random_below(&seed, 2))
        plan.moment = (int)random_below(&seed, (uint64_t)plan.moment);
}

static void set_up(void)
{
    oa_mutex_init(&mutex);
    oa_cond_init(&changed);
    oa_sem_init(&none, 0);
    oa_latch_init(&closed, 1);
    channel = oa_chan_make(sizeof(int));
    memset(fates, 0, sizeof fates);
    memset(ends, 0, sizeof ends);
    memset(refused, 0, sizeof refused);
    atomic_store(&begun, 0);
    atomic_store(&made, 0);
}

// Nobody stands in a queue.
static void tear_down(void)
{
    CHECK_EQ(oa_mutex_destroy(&mutex), 0);
    CHECK_EQ(oa_cond_destroy(&changed), 0);
    CHECK_EQ(oa_sem_destroy(&none), 0);
    CHECK_EQ(oa_latch_destroy(&closed), 0);
    CHECK_EQ(oa_chan_free(channel), 0);
}

static bool all_begin(void)
{
    return plan.moment == plan.inner + plan.leaves + plan.siblings;
}

// How many then wait in vain.
static int in_vain(void)
{
    return plan.inner + plan.leaves + plan.siblings - 2 * plan.safe_inner - plan.safe_leaves;
}

static void plant(struct family *outer)
{
    struct member member = {.kind = INNER, .depth = plan.depth};
    uint64_t before = parks();
    for (int i = 0; i < plan.roots; i++) {
        member.first = i == 0;
        member.block = member.first && plan.block;
        CHECK_EQ(add(outer, member), 0);
    }
    UNTIL(atomic_load(&begun) >= plan.moment);
    if (all_begin() && random_below(&seed, 2))
        UNTIL(parks() >= before + (uint64_t)in_vain());
}

static void end_runtime(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_shutdown(NULL, OA_CANCEL), 0);
}

// The blow, and the wait for all of the tree.
static void strike(struct family *outer)
{
    struct member newcomer = {.kind = NEWCOMER};
    if (plan.blow == RUNTIME) {
        bool task = oa_self() != NULL; // it is cancelled, too
        if (task)
            end_runtime(NULL);
        else
            CHECK_EQ(oa_go(end_runtime, .coord = coord), 0);
        CHECK_EQ(wait_for(outer), task ? -ECANCELED : 0);
        CHECK_EQ(add(outer, newcomer), -ESHUTDOWN);
        return;
    }
    CHECK_EQ(plan.blow == OUTER ? oa_group_cancel(&outer->group) : oa_cancel(root), 0);
    CHECK_EQ(add(outer, newcomer), plan.blow == OUTER ? -ECANCELED : 0);
    CHECK_EQ(wait_for(outer), 0);
    CHECK_EQ(add(outer, newcomer), 0);
    CHECK_EQ(wait_for(outer), 0);
}

static int sum(enum kind kind)
{
    return atomic_load(&ends[kind][FINISHED]) + atomic_load(&ends[kind][BROKEN]) +
           atomic_load(&ends[kind][DROPPED]);
}

// What is so of every round.
static void check_ends(void)
{
    int broken = ends[INNER][BROKEN] + ends[LEAF][BROKEN] + ends[SIBLING][BROKEN];
    unsigned all = 0;
    for (int kind = 0; kind < KINDS; kind++)
        all += (unsigned)sum((enum kind)kind);
    CHECK_EQ(all, atomic_load(&made));
    for (unsigned id = 0; id < all; id++)
        CHECK_EQ(atomic_load(&fates[id]), 1);
    CHECK_EQ(sum(AGAIN), ends[INNER][BROKEN]);
    CHECK_EQ(sum(NEWCOMER), broken + (plan.blow == RUNTIME ? 1 : 2));
    CHECK_EQ(ends[NEWCOMER][DROPPED], refused[NEWCOMER]);
}

static void check_all_begun(void)
{
    CHECK_EQ(ends[INNER][FINISHED], plan.safe_inner);
    CHECK_EQ(ends[INNER][BROKEN], plan.inner - plan.safe_inner);
    CHECK_EQ(ends[LEAF][FINISHED], plan.safe_leaves);
    CHECK_EQ(ends[LEAF][BROKEN], plan.leaves - plan.safe_leaves);
    CHECK_EQ(ends[SIBLING][FINISHED], plan.safe_inner);
    CHECK_EQ(ends[SIBLING][BROKEN], plan.siblings - plan.safe_inner);
    CHECK_EQ(ends[INNER][DROPPED] + ends[LEAF][DROPPED] + ends[SIBLING][DROPPED], 0);
    if (plan.blow == RUNTIME)
        return;
    CHECK_EQ(ends[DELAYED][FINISHED], plan.shields + plan.safe_inner);
    CHECK_EQ(ends[DELAYED][DROPPED], plan.inner - plan.shields - plan.safe_inner);
    CHECK_EQ(ends[NEWCOMER][FINISHED], plan.blow == OUTER ? 1 : 3);
}

static void round_of(enum blow blow)
{
    struct family outer = {.sheltered = false};
    make_plan(blow);
    set_up();
    plant(&outer);
    strike(&outer);
    CHECK_EQ(oa_join(root), 0);
    CHECK_EQ(oa_group_destroy(&outer.group), 0);
    check_ends();
    if (all_begin())
        check_all_begun();
    tear_down();
}

static void rounds(void *arg)
{
    (void)arg;
    for (int64_t i = test_scale(60); i > 0; i--)
        round_of(random_below(&seed, 2) ? OUTER : ROOT);
}

static void last_round(void *arg)
{
    (void)arg;
    round_of(RUNTIME);
}

int main(void)
{
    seed = test_seed();
    for (int workers = 1; workers <= (simulated() ? 1 : 4); workers *= 2) {
        on_workers(rounds, workers);
        for (int64_t i = test_scale(30); i > 0; i--)
            on_workers(last_round, workers);
    }
    return 0;
}
