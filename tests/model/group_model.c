// SPDX-License-Identifier: BSD-2-Clause
// group_model.c - groups: a wait returns when every member has ended, sees what they did, and may
// free the group at once; a cancel reaches every member.
//
// Each model is complete within its bounds: three preemptions and any stale reads, where nothing
// else is said. `_deep` is the same at three preemptions with no stale reads, where the other one
// has two.
#include "model.h"
#include "oasync/group.h"
#include "stub_life.h"

enum { MEMBERS = 3 };

static oa_group_t *group;
static oa_task_t *handles[MEMBERS];
static int done[MEMBERS]; // plain: written by each member, read by who has waited
static int expected;      // how many are done when a wait has returned
static oai_task_t *waiter;
static _Atomic int waiters;

// Bits for model_seen().
enum { EMPTY, TIMED_OUT, CANCELLED, RAN, DROPPED, REFUSED, DETACHED };

static void reset(int slots)
{
    stub_reset();
    stub_life(slots);
    group = model_alloc(sizeof *group);
    oa_group_init(group);
    model_name_bytes(group, 8, "group.word");
    model_name_bytes((char *)group + 8, sizeof *group - 8, "group.lists");
    for (int i = 0; i < MEMBERS; i++) {
        done[i] = 0;
        handles[i] = NULL;
    }
    expected = 0;
    waiter = NULL;
    atomic_init(&waiters, 0);
}

static void works(void *number)
{
    done[*(int *)number]++;
}

static void drops(void *number)
{
    works(number);
    stub_dropped(number);
}

// Waits for nothing but a cancel.
static __attribute__((noinline)) int waits_for_cancel(void)
{
    oai_wait_t wait;
    int err = oai_wait_begin(&wait, true);
    if (err == 0) {
        oai_wait_arm(&wait);
        err = oai_wait_park(&wait, OA_FOREVER);
    }
    return err;
}

static void works_until_cancelled(void *number)
{
    model_assert(waits_for_cancel() == -ECANCELED);
    works(number);
}

static int numbers[MEMBERS] = {0, 1, 2};

static oa_spec_t member(int number, oa_fn *fn)
{
    oa_spec_t spec = OA_SPEC_INIT;
    spec.fn = fn;
    spec.arg = &numbers[number];
    spec.drop = drops;
    spec.group = group;
    return spec;
}

static void spawn(int number, oa_fn *fn)
{
    static const char *const names[] = {"member 0", "member 1", "member 2"};
    oa_spec_t spec = member(number, fn);
    expected += stub_go(names[number], &spec) != NULL;
}

static void spawns_another(void *number)
{
    oa_spec_t spec = member(2, works);
    model_assert(stub_go("member 2", &spec) != NULL);
    works(number);
}

static void all_done(void)
{
    int count = 0;
    for (int i = 0; i < MEMBERS; i++) {
        model_assert(done[i] <= 1);
        count += done[i];
    }
    model_assert(count == expected);
}

// The group is as it was at first, and nobody touches it any more.
static void frees(void)
{
    all_done();
    for (size_t i = 0; i < sizeof group->oa_private / sizeof group->oa_private[0]; i++)
        model_assert(group->oa_private[i] == 0);
    model_free(group);
}

static void waits(void *unused)
{
    (void)unused;
    model_assert(oa_group_wait(group) == 0);
    frees();
}

static void waits_late(void *unused)
{
    (void)unused;
    int err = oa_group_wait_until(group, 1);
    model_assert(err == 0 || err == -ETIMEDOUT);
    model_seen(err ? TIMED_OUT : EMPTY);
    if (err)
        model_assert(oa_group_wait(group) == 0);
    frees();
}

static void cancels_and_waits(void *unused)
{
    (void)unused;
    model_assert(oa_group_cancel(group) == 0);
    waits(NULL);
}

static void seen_what(void)
{
    if (atomic_load_explicit(&stub_ran, memory_order_relaxed))
        model_seen(RAN);
    if (atomic_load_explicit(&stub_drops, memory_order_relaxed))
        model_seen(DROPPED);
    stub_life_over();
}

// ---- Waiting ------------------------------------------------------------------------------------

static void one_member(void)
{
    reset(1);
    spawn(0, works);
    stub_task("waiter", waits, NULL);
}

static void two_members(void)
{
    reset(2);
    spawn(0, works);
    spawn(1, works);
    stub_task("waiter", waits, NULL);
}

static void thread_waits(void)
{
    reset(2);
    spawn(0, works);
    spawn(1, works);
    model_thread("waiter", waits, NULL);
}

static void late(void)
{
    reset(1);
    spawn(0, works);
    stub_task("waiter", waits_late, NULL);
}

static void late_thread(void)
{
    reset(1);
    spawn(0, works);
    model_thread("waiter", waits_late, NULL);
}

// A member adds another.
static void grows(void)
{
    reset(2);
    spawn(0, spawns_another);
    expected++;
    stub_task("waiter", waits, NULL);
}

static void one_of_two_waits(void *unused)
{
    (void)unused;
    model_assert(oa_group_wait(group) == 0);
    all_done();
    if (atomic_fetch_sub_explicit(&waiters, 1, memory_order_acq_rel) == 1)
        frees();
}

static void two_wait(void)
{
    reset(1);
    atomic_init(&waiters, 2);
    spawn(0, works);
    stub_task("waiter", one_of_two_waits, NULL);
    model_thread("thread", one_of_two_waits, NULL);
}

static void looks(void *unused)
{
    (void)unused;
    while (oa_group_destroy(group) != 0)
        oai_pause();
    all_done();
    model_free(group);
}

static void destroyed(void)
{
    reset(1);
    spawn(0, works);
    model_thread("looks", looks, NULL);
}

// A joiner is told after the group.
static void joins(void *unused)
{
    (void)unused;
    model_assert(oa_join(handles[0]) == 0);
    model_assert(oa_group_destroy(group) == 0);
    frees();
}

static void joined(void)
{
    reset(1);
    oa_spec_t spec = member(0, works);
    spec.task = &handles[0];
    expected += stub_go("member", &spec) != NULL;
    model_thread("joins", joins, NULL);
}

MODEL(one_member, one_member, seen_what);
MODEL(joined, joined, seen_what, .stale = 2, .leaks = true);
MODEL(two_members, two_members, seen_what, .bound = 2, .stale = 1);
MODEL(two_members_deep, two_members, seen_what, .stale = -1, .runs = -1);
MODEL(thread_waits, thread_waits, seen_what, .bound = 2, .stale = 1);
MODEL(late, late, seen_what, .must_see = 1 << TIMED_OUT | 1 << EMPTY, .bound = 2, .stale = 1);
MODEL(late_deep, late, seen_what, .stale = -1, .runs = -1);
MODEL(late_thread, late_thread, seen_what, .must_see = 1 << TIMED_OUT | 1 << EMPTY, .stale = 1);
MODEL(grows, grows, seen_what, .bound = 2, .stale = 1);
MODEL(grows_deep, grows, seen_what, .stale = -1, .runs = -1);
MODEL(two_wait, two_wait, seen_what, .bound = 2, .stale = -1);
MODEL(destroyed, destroyed, seen_what);

// ---- Cancelling ---------------------------------------------------------------------------------

static void cancelled(void)
{
    reset(2);
    spawn(0, works_until_cancelled);
    spawn(1, works_until_cancelled);
    stub_task("waiter", cancels_and_waits, NULL);
}

// A member that is given up by handle meanwhile is cancelled all the same.
static void detaches(void *unused)
{
    (void)unused;
    model_assert(oa_detach(handles[0]) == 0);
}

static void cancelled_and_detached(void)
{
    reset(1);
    oa_spec_t spec = member(0, works_until_cancelled);
    spec.task = &handles[0];
    expected += stub_go("member", &spec) != NULL;
    stub_task("waiter", cancels_and_waits, NULL);
    model_thread("detaches", detaches, NULL);
}

static void cancelled_delayed(void)
{
    reset(2);
    oa_spec_t spec = member(0, works);
    expected += stub_go_delayed("delayed", &spec) != NULL;
    spawn(1, works_until_cancelled);
    stub_task("waiter", cancels_and_waits, NULL);
}

// Who waits is cancelled and hands that to its group.
static void hands_cancel_on(void *unused)
{
    (void)unused;
    int err = oa_group_wait(group);
    model_assert(err == -ECANCELED);
    frees();
}

static void cancels_waiter(void *unused)
{
    (void)unused;
    stub_become(NULL, true);
    stub_cancel(waiter);
}

static void waiter_cancelled(void)
{
    reset(1);
    spawn(0, works_until_cancelled);
    waiter = stub_task("waiter", hands_cancel_on, NULL);
    model_thread("cancels", cancels_waiter, NULL);
}

// After a cancel nobody may come in until a wait has returned.
static void closed_and_open_again(void *unused)
{
    (void)unused;
    model_assert(oa_group_cancel(group) == 0);
    spawn(1, works);
    bool refused = expected == 1;
    model_assert(refused && done[1] == 1);
    model_seen(REFUSED);
    done[1] = 0;
    model_assert(oa_group_wait(group) == 0);
    all_done();
    spawn(1, works);
    model_assert(expected == 2);
    model_assert(oa_group_wait(group) == 0);
    frees();
}

static void opens_again(void)
{
    reset(2);
    spawn(0, works_until_cancelled);
    stub_task("waiter", closed_and_open_again, NULL);
}

MODEL(cancelled, cancelled, seen_what, .bound = 2, .stale = -1, .leaks = true,
      .must_see = 1 << RAN | 1 << DROPPED);
MODEL(cancelled_and_detached, cancelled_and_detached, seen_what, .bound = 2, .stale = -1,
      .leaks = true, .must_see = 1 << RAN | 1 << DROPPED);
MODEL(cancelled_delayed, cancelled_delayed, seen_what, .bound = 2, .stale = -1, .leaks = true,
      .must_see = 1 << RAN | 1 << DROPPED);
MODEL(waiter_cancelled, waiter_cancelled, seen_what, .bound = 2, .stale = 1, .leaks = true,
      .must_see = 1 << RAN);
MODEL(waiter_cancelled_deep, waiter_cancelled, seen_what, .stale = -1, .runs = -1, .leaks = true);
MODEL(opens_again, opens_again, seen_what, .bound = 2, .stale = 1, .leaks = true,
      .must_see = 1 << REFUSED);
