// SPDX-License-Identifier: BSD-2-Clause
// consumer_model.c - consumers: each element is called for once, in order, one call after the
// other; close, cancel, group and coordinator each end it once, and who is told may free the
// channel.
//
// Shipped: chan.c, consumer.c, dormant.c, coord.c, task.c, wait.c, group.c, spawn.c, inject.c. A
// worker is a loop of this file that takes from the injection queue and looks for the end; it
// sleeps simply, for the idle protocol is idle_model.c's. Complete to one preemption with no stale
// reads where nothing else is said; random runs go beyond.
#include "model.h"
#include "oasync/chan.h"
#include "oasync/group.h"
#include "sched/sched.h"
#include "stub_coord.h"

#include <string.h>

typedef int64_t number_t; // a word: the quick way of a send is taken, and the other where that ends

enum { MOST = 4 };

static oa_coord_t *coord;
static oa_chan_t *ch;
static oa_group_t *group;
static oa_task_t *consumer;
// Plain: written by one call, which happens before the next, and read by who knows that it is over.
static int called, last;
static int sent; // plain: one sender's

// Bits for model_seen().
enum { CALLED, LEFT, DROPPED, REFUSED, CANCELLED, NOT_CANCELLED, WOKEN };

// ---- Workers ------------------------------------------------------------------------------------

static struct parked {
    int thread;    // the model thread in which the task is parked
    int registers; // plain: 1 when stored, else 0
    oai_worker_t *on;
} parked[STUB_TASKS];

static void run(oai_task_t *task)
{
    task->fresh.fn(task->arg);
    oai_worker_t *worker = oai_self();
    task = worker->current;
    worker->current = NULL;
    oai_task_end(task, worker);
}

// False: the rest of this loop is left for good.
static bool dispatch(oai_worker_t *worker, oai_task_t *task)
{
    worker->current = task;
    if (task->stack) {
        struct parked *p = (struct parked *)(void *)task->stack;
        model_assert(p->registers == 1);
        p->registers = 0;
        p->on = worker;
        oai_self_set(NULL);
        model_unblock(p->thread);
        return false;
    }
    // Relaxed, both: as in worker.c.
    if ((atomic_load_explicit(&task->flags, memory_order_relaxed) & OAI_TASK_CANCELLED) ||
        atomic_load_explicit(&worker->coord->state, memory_order_relaxed) == OAI_CANCELLING) {
        worker->current = NULL;
        oai_task_discard(task, worker);
    } else {
        run(task);
    }
    return true;
}

static _Atomic uint32_t bell;

static void ring(void)
{
    atomic_fetch_add_explicit(&bell, 1, memory_order_release);
    oai_os.futex_wake(&bell, STUB_THREADS);
}

static void loop(void)
{
    for (;;) {
        oai_worker_t *worker = oai_self();
        uint32_t rung = atomic_load_explicit(&bell, memory_order_acquire);
        oai_task_t *task = oai_inject_take(&coord->inject, 1);
        if (task && !dispatch(worker, task))
            return;
        if (task)
            continue;
        if (oai_coord_try_end(coord))
            break;
        oai_os.futex_wait(&bell, rung, INT64_MAX);
    }
    oai_self_set(NULL);
    oai_coord_leave(coord);
}

static void works(void *arg)
{
    oai_worker_t *worker = arg;
    atomic_init(&worker->stacks.count, 1); // what is quick then goes that way
    oai_self_set(worker);
    loop();
}

static void fresh_loop(void *arg)
{
    oai_worker_t *worker = arg;
    oai_self_set(worker);
    oai_task_t *left = worker->left;
    worker->left = NULL;
    oai_wait_saved(left);
    loop();
}

void oai_own_end(oai_task_t *task)
{
    (void)task;
}

int oai_worker_prepare_slow(oai_worker_t *worker)
{
    (void)worker;
    return 0;
}

int oai_worker_park(oai_worker_t *worker)
{
    oai_task_t *task = worker->current;
    struct parked *p = &parked[stub_index(task)];
    model_assert(p->registers == 0);
    p->thread = model_self();
    p->registers = 1;
    task->stack = (oai_stack_t *)(void *)p;
    worker->current = NULL;
    worker->left = task;
    oai_self_set(NULL);
    model_thread("loop", fresh_loop, worker);
    model_block();
    oai_self_set(p->on);
    return oai_wait_ended(task);
}

void oai_worker_run(oai_worker_t *worker)
{
    (void)worker;
    model_fail("no threads here");
}

void oai_task_ready(oai_task_t *task)
{
    oai_worker_t *worker = oai_self();
    oa_coord_t *of = oai_task_coord(task);
    bool outside = !worker || worker->coord != of;
    if (outside)
        oai_coord_enter(of);
    oai_inject_put(&of->inject, task);
    ring();
    if (outside)
        oai_coord_leave(of);
}

int oai_task_ready_next(oai_task_t *task)
{
    oai_task_ready(task);
    return 0;
}

bool oai_worker_push_new(oai_worker_t *worker, oai_task_t *task)
{
    oai_inject_put(&worker->coord->inject, task);
    ring();
    return true;
}

// Who sleeps is told by the bell.
void oai_idle_init(oai_idle_t *idle, unsigned workers, bool membarrier)
{
    (void)workers, (void)membarrier;
    idle->asymmetric = true;
}

int oai_idle_wake_one(oai_idle_t *idle)
{
    (void)idle;
    return 0;
}

void oai_idle_published_outside(oai_idle_t *idle)
{
    (void)idle;
    ring();
}

void oai_idle_wake_all(oai_idle_t *idle)
{
    (void)idle;
    ring();
}

void oai_idle_sooner(oai_idle_t *idle, int64_t expiry)
{
    (void)idle, (void)expiry;
}

// ---- Before each execution ----------------------------------------------------------------------

static int no_thread(oai_os_thread_t *out, void (*fn)(void *), void *arg, size_t stack_size,
                     const char *name)
{
    (void)fn, (void)arg, (void)stack_size, (void)name;
    out->handle = 0;
    return 0;
}

static void no_join(oai_os_thread_t thread)
{
    (void)thread;
}

static void reset(oa_fn *first, int workers)
{
    stub_reset();
    oai_os.thread_start = no_thread;
    oai_os.thread_join = no_join;
    memset(parked, 0, sizeof parked);
    atomic_init(&bell, 0);
    called = last = sent = 0;
    consumer = NULL;
    model_name(&called, "called");
    model_name(&parked, "registers");
    group = model_alloc(sizeof *group);
    oa_group_init(group);
    oa_config_t config = {.size = sizeof config, .fn = first, .max_workers = workers};
    model_assert(oai_coord_create(&coord, &config, false) == 0);
    for (int i = 0; i < workers; i++)
        model_thread(i ? "worker 2" : "worker", works, &coord->worker[i]);
}

static void nothing(void *arg)
{
    (void)arg;
}

static void make(size_t capacity)
{
    ch = oa_chan_make(sizeof(number_t), .capacity = capacity);
    model_name_bytes(ch, 8, "chan.lock");
}

static void consume(oa_fn *fn)
{
    model_assert(oa_chan_consume(ch, fn, NULL, .task = &consumer, .group = group, .coord = coord) ==
                 0);
}

// ---- What is done -------------------------------------------------------------------------------

// In order, each once; some may have been dropped.
static void eat(void *elem)
{
    number_t number = *(number_t *)elem;
    model_assert(number > last && number <= MOST);
    last = number;
    called++;
    model_seen(CALLED);
}

static void send(void)
{
    number_t number = ++sent;
    int err = oa_chan_send(ch, &number);
    model_assert(err == 0 || err == -EPIPE);
    if (err)
        sent--;
}

static void put(void)
{
    number_t number = ++sent;
    int err = oa_chan_put(ch, &number);
    model_assert(err == 0 || err == -EPIPE || err == -EAGAIN);
    if (err)
        sent--;
}

static void sends(void *times)
{
    for (int i = *(int *)times; i > 0; i--)
        send();
}

static void puts_two(void *unused)
{
    (void)unused;
    put();
    put();
}

static void join_and_free(void)
{
    model_assert(oa_join(consumer) == 0);
    model_assert(oa_chan_free(ch) == 0);
}

static void end(void)
{
    model_assert(oai_coord_wait(coord, OA_FOREVER) == 0);
    oai_coord_destroy(coord);
    model_assert(oa_group_wait(group) == 0);
    model_free(group);
}

static void gone(void)
{
    model_assert(stub_unmapped == 1);
}

// What was sent was called for, or is in the channel, which is freed; but for what a cancel
// dropped.
static void account(bool may_drop)
{
    int left = (int)oa_chan_len(ch);
    number_t number;
    model_assert(called + left == sent || (may_drop && called + left < sent));
    if (called + left < sent)
        model_seen(DROPPED);
    if (left)
        model_seen(LEFT);
    for (; left > 0; left--) {
        model_assert(oa_chan_take(ch, &number) == 0 && number > last);
        last = number;
    }
    model_assert(oa_chan_free(ch) == 0);
}

// ---- Sent and closed ----------------------------------------------------------------------------

static int one = 1, two = 2, three = 3;
static int other; // the thread that is to be joined

static void sends_and_closes(void *times)
{
    sends(times);
    model_assert(oa_chan_close(ch) == 0);
}

static void joins_and_frees(void *unused)
{
    (void)unused;
    join_and_free();
    end();
}

static void all_called(void)
{
    gone();
    model_assert(called == sent && sent >= 2);
}

static void start_sent(size_t capacity, int *times)
{
    reset(nothing, 1);
    make(capacity);
    consume(eat);
    model_thread("sender", sends_and_closes, times);
    model_thread("joiner", joins_and_frees, NULL);
}

static void rendezvous(void)
{
    start_sent(0, &two);
}

static void bounded(void)
{
    start_sent(1, &three);
}

static void unbounded(void)
{
    start_sent(OA_UNBOUNDED, &two);
}

static void two_and_close(void *unused)
{
    (void)unused;
    sends_and_closes(&two);
}

static void by_task(void)
{
    reset(two_and_close, 1);
    make(1);
    consume(eat);
    model_thread("joiner", joins_and_frees, NULL);
}

// It finds the channel full, the seam of the ring between the two elements.
static void found_full(void)
{
    reset(nothing, 1);
    make(2);
    model_assert(oa_chan_put(ch, &one) == 0 && oa_chan_take(ch, NULL) == 0);
    puts_two(NULL);
    consume(eat);
    model_thread("sender", sends_and_closes, &one);
    model_thread("joiner", joins_and_frees, NULL);
}

// Who is told by the group frees.
static void waits_and_frees(void *unused)
{
    (void)unused;
    model_assert(oa_group_wait(group) == 0);
    model_assert(oa_chan_free(ch) == 0);
    model_assert(oa_join(consumer) == 0);
    end();
}

static void by_group(void)
{
    reset(nothing, 1);
    make(2);
    consume(eat);
    model_thread("sender", sends_and_closes, &two);
    model_thread("waiter", waits_and_frees, NULL);
}

// Two send; each number says who, and the first one's are in order.
static int first_last;

static void eat_of_two(void *elem)
{
    number_t number = *(number_t *)elem;
    model_assert(number == 9 || number == ++first_last);
    called++;
}

static void first_sends(void *unused)
{
    (void)unused;
    for (number_t number = 1; number <= 2; number++)
        model_assert(oa_chan_send(ch, &number) == 0);
}

static void second_sends(void *unused)
{
    number_t number = 9;
    (void)unused;
    model_assert(oa_chan_send(ch, &number) == 0);
    model_join(other);
    model_assert(oa_chan_close(ch) == 0);
    join_and_free();
    end();
}

static void two_senders(void)
{
    reset(nothing, 1);
    make(0);
    consume(eat_of_two);
    first_last = 0;
    other = model_thread("first", first_sends, NULL);
    model_thread("second", second_sends, NULL);
}

static void three_called(void)
{
    gone();
    model_assert(called == 3);
}

// A worker of its coordinator sends, another takes the calls.
static void sends_within(void *unused)
{
    (void)unused;
    sends_and_closes(&two);
}

static void within(void)
{
    reset(sends_within, 2);
    make(2);
    consume(eat);
    model_thread("joiner", joins_and_frees, NULL);
}

MODEL(rendezvous, rendezvous, all_called, .bound = 1, .stale = -1, .runs = 3000, .leaks = true);
MODEL(bounded, bounded, all_called, .bound = 1, .stale = -1, .runs = 3000, .leaks = true);
MODEL(by_task, by_task, all_called, .bound = 1, .stale = -1, .runs = 3000, .leaks = true);
MODEL(unbounded, unbounded, all_called, .bound = 1, .stale = -1, .runs = 3000, .leaks = true);
MODEL(found_full, found_full, all_called, .bound = 1, .stale = -1, .runs = 3000, .leaks = true);
MODEL(by_group, by_group, all_called, .bound = 1, .stale = -1, .runs = 3000, .leaks = true);
MODEL(two_senders, two_senders, three_called, .bound = 1, .stale = -1, .runs = 3000, .leaks = true);
MODEL(within, within, all_called, .bound = 1, .stale = -1, .runs = 3000, .leaks = true);

// ---- Cancelled ----------------------------------------------------------------------------------

static void cancels_and_frees(void *unused)
{
    (void)unused;
    model_assert(oa_cancel(consumer) == 0);
    model_assert(oa_join(consumer) == 0);
    model_join(other);
    account(true);
    end();
}

static void cancelled(void)
{
    reset(nothing, 1);
    make(2);
    consume(eat);
    other = model_thread("sender", puts_two, NULL);
    model_thread("canceller", cancels_and_frees, NULL);
}

static void group_cancels_and_frees(void *unused)
{
    (void)unused;
    model_assert(oa_group_cancel(group) == 0);
    model_assert(oa_group_wait(group) == 0);
    model_join(other);
    account(true);
    model_assert(oa_join(consumer) == 0);
    end();
}

static void group_cancelled(void)
{
    reset(nothing, 1);
    make(2);
    consume(eat);
    other = model_thread("sender", puts_two, NULL);
    model_thread("canceller", group_cancels_and_frees, NULL);
}

// A cancel and a close end it once.
static void closes(void *unused)
{
    (void)unused;
    model_assert(oa_chan_close(ch) == 0);
}

static void closed_and_cancelled(void)
{
    reset(nothing, 1);
    make(2);
    consume(eat);
    other = model_thread("closer", closes, NULL);
    model_thread("canceller", group_cancels_and_frees, NULL);
}

// Each call waits for nothing but the cancel: none begins after it that is not told.
static void waits_for_cancel(void *elem)
{
    oai_wait_t wait;
    eat(elem);
    int err = oai_wait_begin(&wait, true);
    if (err == 0) {
        oai_wait_arm(&wait);
        err = oai_wait_park(&wait, OA_FOREVER);
    }
    model_assert(err == -ECANCELED);
    model_seen(CANCELLED);
}

static void call_cancelled(void)
{
    reset(nothing, 1);
    make(2);
    sends(&two);
    consume(waits_for_cancel);
    other = model_thread("nobody", nothing, NULL);
    model_thread("canceller", cancels_and_frees, NULL);
}

// Elements are there from the beginning; the second call waits for the cancel.
static void waits_at_last(void *elem)
{
    if (*(number_t *)elem == 1)
        eat(elem);
    else
        waits_for_cancel(elem);
}

static void cancelled_between(void)
{
    reset(nothing, 1);
    make(2);
    sends(&two);
    consume(waits_at_last);
    other = model_thread("nobody", nothing, NULL);
    model_thread("canceller", cancels_and_frees, NULL);
}

// A call that is cancelled by itself is alone in that.
static void cancels_itself(void *elem)
{
    oai_wait_t wait;
    eat(elem);
    model_assert(oai_wait_begin(&wait, true) == 0);
    model_assert(oa_cancel(oa_self()) == 0);
    model_assert(oai_wait_begin(&wait, true) == -ECANCELED);
}

static void own_cancel(void)
{
    reset(nothing, 1);
    make(2);
    consume(cancels_itself);
    model_thread("sender", sends_and_closes, &two);
    model_thread("joiner", joins_and_frees, NULL);
}

MODEL(own_cancel, own_cancel, all_called, .bound = 1, .stale = -1, .runs = 3000, .leaks = true);
MODEL(cancelled_between, cancelled_between, gone, .bound = 2, .stale = 1, .runs = 3000,
      .leaks = true, .must_see = 1 << CANCELLED | 1 << DROPPED);
MODEL(cancelled, cancelled, gone, .bound = 1, .stale = -1, .runs = 3000, .leaks = true,
      .must_see = 1 << CALLED | 1 << LEFT | 1 << DROPPED);
MODEL(group_cancelled, group_cancelled, gone, .bound = 1, .stale = -1, .runs = 3000, .leaks = true,
      .must_see = 1 << CALLED | 1 << LEFT | 1 << DROPPED);
MODEL(closed_and_cancelled, closed_and_cancelled, gone, .bound = 1, .stale = -1, .runs = 3000,
      .leaks = true);
MODEL(call_cancelled, call_cancelled, gone, .bound = 1, .stale = 1, .runs = 3000, .leaks = true,
      .must_see = 1 << CANCELLED | 1 << DROPPED);

// Who cancels it by its handle comes late: the group has told that it is over, and the channel is
// freed.
static void cancels_late(void *unused)
{
    (void)unused;
    int err = oa_cancel(consumer);
    model_assert(err == 0 || err == -ESRCH);
}

static void waits_and_frees_before(void *unused)
{
    (void)unused;
    model_assert(oa_group_wait(group) == 0);
    model_assert(oa_chan_free(ch) == 0);
    model_join(other);
    model_assert(oa_join(consumer) == 0);
    end();
}

static void cancelled_late(void)
{
    reset(nothing, 1);
    make(2);
    sends_and_closes(&two);
    consume(eat);
    other = model_thread("canceller", cancels_late, NULL);
    model_thread("waiter", waits_and_frees_before, NULL);
}

MODEL(cancelled_late, cancelled_late, gone, .bound = 1, .stale = -1, .runs = 3000, .leaks = true,
      .must_see = 1 << CALLED);

// ---- Its coordinator ends -----------------------------------------------------------------------

// Whoever is told by the group that it is over frees the channel, when there is no sender any more.
static void told_and_frees(void *unused)
{
    (void)unused;
    model_assert(oa_group_wait(group) == 0);
    model_join(other);
    account(false);
}

static void waits(void *unused)
{
    (void)unused;
    model_assert(oai_coord_wait(coord, OA_FOREVER) == 0);
    oai_coord_destroy(coord);
}

static void freed(void)
{
    gone();
    model_free(group);
}

static void consume_unnamed(oa_fn *fn)
{
    model_assert(oa_chan_consume(ch, fn, NULL, .group = group, .coord = coord) == 0);
}

static void ends(void)
{
    reset(nothing, 1);
    make(2);
    consume_unnamed(eat);
    other = model_thread("sender", puts_two, NULL);
    model_thread("told", told_and_frees, NULL);
    model_thread("waiter", waits, NULL);
}

static void ends_and_closed(void)
{
    reset(nothing, 1);
    make(2);
    consume_unnamed(eat);
    other = model_thread("closer", closes, NULL);
    model_thread("told", told_and_frees, NULL);
    model_thread("waiter", waits, NULL);
}

MODEL(ends, ends, freed, .bound = 1, .stale = -1, .runs = 3000, .leaks = true,
      .must_see = 1 << CALLED | 1 << LEFT);
MODEL(ends_and_closed, ends_and_closed, freed, .bound = 1, .stale = -1, .runs = 3000,
      .leaks = true);

// ---- Its coordinator is cancelled ---------------------------------------------------------------

static void shuts_down(void *unused)
{
    (void)unused;
    model_assert(oa_shutdown(coord, OA_CANCEL) == 0);
    waits(NULL);
}

// A task of the coordinator waits for it, whatever comes.
static void waits_within(void *unused)
{
    (void)unused;
    int err = oa_group_wait(group);
    model_assert(err == 0 || err == -ECANCELED);
    model_seen(err ? CANCELLED : NOT_CANCELLED);
}

static void told_late(void *unused)
{
    (void)unused;
    model_assert(oa_group_wait(group) == 0);
    model_join(other);
    account(true);
}

static void shut_down(void)
{
    reset(waits_within, 1);
    make(2);
    consume_unnamed(eat);
    other = model_thread("canceller", shuts_down, NULL);
    model_thread("told", told_late, NULL);
}

// Made while that goes by, and waited for by what no cancel breaks.
static void makes(void *unused)
{
    (void)unused;
    int err = oa_chan_consume(ch, eat, NULL, .group = group, .task = &consumer);
    model_assert(err == 0 || err == -ESHUTDOWN);
    model_seen(err ? REFUSED : WOKEN);
    if (err == 0)
        model_assert(oa_join(consumer) == 0);
}

static void shut_down_made(void)
{
    reset(makes, 1);
    make(2);
    other = model_thread("canceller", shuts_down, NULL);
}

static void freed_late(void)
{
    account(true);
    freed();
}

static void shut_down_sent(void)
{
    reset(nothing, 1);
    make(2);
    consume_unnamed(eat);
    other = model_thread("sender", puts_two, NULL);
    model_thread("canceller", shuts_down, NULL);
    model_thread("told", told_late, NULL);
}

MODEL(shut_down, shut_down, freed, .bound = 1, .stale = -1, .runs = 3000, .leaks = true,
      .must_see = 1 << CANCELLED | 1 << NOT_CANCELLED);
MODEL(shut_down_made, shut_down_made, freed_late, .bound = 1, .stale = -1, .runs = 3000,
      .leaks = true, .must_see = 1 << WOKEN);
MODEL(shut_down_sent, shut_down_sent, freed, .bound = 1, .stale = -1, .runs = 3000, .leaks = true,
      .must_see = 1 << CALLED | 1 << LEFT);
