// SPDX-License-Identifier: BSD-2-Clause
// chan_consume.c - a consumer is called for each element, one call at a time, and is over when its
// channel is closed and empty, when it is cancelled, or with its coordinator.
// ctest: simulate
#include "support.h"

static _Atomic int called, inside;
static _Atomic uint64_t sum;
static _Atomic(oa_task_t *) caller;
static oa_sem_t gate;

static void reset(void)
{
    called = 0;
    sum = 0;
    oa_sem_init(&gate, 0);
}

// Counts, adds, and is never entered twice.
static void add(void *elem)
{
    CHECK_EQ(atomic_fetch_add(&inside, 1), 0);
    sum += *(int *)elem;
    called++;
    CHECK_EQ(atomic_fetch_sub(&inside, 1), 1);
}

// The same, waiting in the middle.
static void add_slowly(void *elem)
{
    CHECK_EQ(atomic_fetch_add(&inside, 1), 0);
    oa_yield();
    CHECK_EQ(oa_sleep(10 * OA_MICROSECOND), 0);
    sum += *(int *)elem;
    called++;
    CHECK_EQ(atomic_fetch_sub(&inside, 1), 1);
}

static oa_chan_t *channel(size_t capacity)
{
    oa_chan_t *ch = oa_chan_make(sizeof(int), .capacity = capacity);
    CHECK(ch != NULL);
    return ch;
}

// Starts a consumer with a handle in the case's coordinator.
static oa_task_t *consume(oa_chan_t *ch, oa_fn *fn)
{
    oa_task_t *task = NULL;
    CHECK_EQ(oa_chan_consume(ch, fn, NULL, .task = &task, .coord = coord), 0);
    CHECK(task != NULL);
    return task;
}

static void send_all(oa_chan_t *ch, int count)
{
    for (int i = 1; i <= count; i++)
        CHECK_EQ(oa_chan_send(ch, &i), 0);
}

// All that was sent is called for, before and after a pause, and the rest when it is closed.
static void each_once(void *arg)
{
    static const size_t capacities[] = {0, 1, 7, OA_UNBOUNDED};
    (void)arg;
    for (int k = 0; k < 8; k++) {
        reset();
        oa_chan_t *ch = channel(capacities[k / 2]);
        oa_task_t *task = consume(ch, k % 2 ? add_slowly : add);
        send_all(ch, 20);
        UNTIL(called == 20);
        send_all(ch, 20);
        CHECK_EQ(oa_chan_close(ch), 0);
        CHECK_EQ(oa_join(task), 0);
        CHECK_EQ(called, 40);
        CHECK_EQ(sum, 420);
        CHECK_EQ(oa_chan_free(ch), 0);
    }
}

// What was in the channel before is called for, too; so it is when the channel was closed before.
static void after_the_fact(void *arg)
{
    (void)arg;
    for (int closed = 0; closed < 2; closed++) {
        reset();
        oa_chan_t *ch = channel(4);
        send_all(ch, 3);
        if (closed)
            CHECK_EQ(oa_chan_close(ch), 0);
        oa_task_t *task = consume(ch, add);
        UNTIL(called == 3);
        if (!closed)
            CHECK_EQ(oa_chan_close(ch), 0);
        CHECK_EQ(oa_join(task), 0);
        CHECK_EQ(oa_chan_free(ch), 0);
    }
}

// Senders that wait are let go by the calls.
static void send_many(void *arg)
{
    send_all(arg, 50);
}

static void waiting_senders(void *arg)
{
    (void)arg;
    for (size_t capacity = 0; capacity < 3; capacity++) {
        reset();
        oa_chan_t *ch = channel(capacity);
        oa_task_t *senders[4], *task = NULL;
        for (int i = 0; i < 4; i++)
            senders[i] = spawn(send_many, ch);
        task = consume(ch, add_slowly);
        for (int i = 0; i < 4; i++)
            join(senders[i]);
        CHECK_EQ(oa_chan_close(ch), 0);
        CHECK_EQ(oa_join(task), 0);
        CHECK_EQ(called, 200);
        CHECK_EQ(sum, 4 * 50 * 51 / 2);
        CHECK_EQ(oa_chan_free(ch), 0);
    }
}

static void refusals(void *arg)
{
    (void)arg;
    reset();
    oa_chan_t *ch = channel(1);
    oa_task_t *task;
    oa_mutex_t mutex = OA_MUTEX_INIT;
    int item = 1;
    CHECK_EQ(oa_chan_consume(NULL, add, NULL, .coord = coord), -EINVAL);
    CHECK_EQ(oa_chan_consume(ch, NULL, NULL, .coord = coord), -EINVAL);
    CHECK_EQ(oa_chan_consume(ch, add, oa_val(item), .coord = coord), -EINVAL);
    CHECK_EQ(oa_chan_consume(ch, add, NULL, .delay = 1, .coord = coord), -EINVAL);
    CHECK_EQ(oa_chan_consume(ch, add, NULL, .drop = nothing, .coord = coord), -EINVAL);
    CHECK_EQ(oa_chan_consume(ch, add, NULL, .acq = &mutex, .coord = coord), -EINVAL);
    CHECK_EQ(oa_chan_consume(ch, add, NULL, .pinned = true, .coord = coord), -EINVAL);
    CHECK_EQ(oa_chan_consume(ch, add, NULL, .stack = SIZE_MAX, .coord = coord), -EINVAL);
    oa_task_t *first = consume(ch, add);
    CHECK_EQ(oa_chan_consume(ch, add, NULL, .task = &task, .coord = coord), -EBUSY);
    CHECK(task == NULL);
    CHECK_EQ(oa_chan_free(ch), -EBUSY);
    CHECK_EQ(oa_chan_close(ch), 0);
    CHECK_EQ(oa_join(first), 0);
    CHECK_EQ(oa_chan_free(ch), 0);
    CHECK_EQ(called, 0);
}

// A cancel of the consumer, at rest and within a call; what is left stays in the channel.
static void until_cancelled(void *elem)
{
    (void)elem;
    called++;
    CHECK_EQ(oa_sem_acquire(&gate), -ECANCELED);
}

static void cancel_it(void *arg)
{
    (void)arg;
    reset();
    oa_chan_t *ch = channel(4);
    oa_task_t *task = consume(ch, add);
    CHECK_EQ(oa_cancel(task), 0);
    CHECK_EQ(oa_join(task), 0);
    task = consume(ch, until_cancelled);
    send_all(ch, 3);
    UNTIL(called == 1);
    CHECK_EQ(oa_cancel(task), 0);
    CHECK_EQ(oa_join(task), 0);
    CHECK_EQ(called, 1);
    CHECK_EQ(oa_chan_len(ch), 2);
    task = consume(ch, add); // another takes over
    UNTIL(called == 3);
    CHECK_EQ(oa_cancel(task), 0);
    CHECK_EQ(oa_join(task), 0);
    CHECK_EQ(oa_chan_free(ch), 0);
}

// A cancel drops the elements that the consumer has taken ahead, too.
static void cancel_ahead(void *arg)
{
    (void)arg;
    reset();
    oa_chan_t *ch = channel(16);
    send_all(ch, 5);
    oa_task_t *task = consume(ch, until_cancelled);
    UNTIL(called == 1);
    CHECK_EQ(oa_cancel(task), 0);
    CHECK_EQ(oa_join_until(task, LATE), 0);
    CHECK_EQ(called, 1);
    CHECK_EQ(oa_chan_free(ch), 0);
}

// The group counts the consumer, and cancels it; a call may not wait for it.
static oa_group_t group;

static void wait_for_own_group(void *elem)
{
    (void)elem;
    CHECK_EQ(oa_group_wait(&group), -EDEADLK);
    called++;
}

static void in_a_group(void *arg)
{
    (void)arg;
    reset();
    oa_group_init(&group);
    oa_chan_t *ch = channel(4);
    CHECK_EQ(oa_chan_consume(ch, wait_for_own_group, NULL, .group = &group, .coord = coord), 0);
    send_all(ch, 2);
    UNTIL(called == 2);
    CHECK_EQ(oa_group_wait_until(&group, SOON), -ETIMEDOUT);
    CHECK_EQ(oa_chan_close(ch), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(oa_chan_free(ch), 0);
    ch = channel(4);
    CHECK_EQ(oa_chan_consume(ch, add, NULL, .group = &group, .coord = coord), 0);
    CHECK_EQ(oa_group_cancel(&group), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(oa_chan_free(ch), 0);
}

// Each call is a task of its own: number and handle are new, and a cancel is of that call alone.
static void cancel_self(void *elem)
{
    static uint64_t last_id;
    oa_task_t *self = oa_self();
    (void)elem;
    CHECK(self != NULL && self != caller);
    CHECK(oa_task_id(self) != 0 && oa_task_id(self) != last_id);
    CHECK(!oa_cancelled());
    if (called % 2 == 0 && caller)
        CHECK_EQ(oa_cancel(caller), -ESRCH);
    last_id = oa_task_id(self);
    CHECK_EQ(strcmp(oa_task_name(self), "eater"), 0);
    CHECK_EQ(oa_cancel(self), 0);
    CHECK(oa_cancelled());
    CHECK_EQ(oa_sem_acquire(&gate), -ECANCELED);
    CHECK_EQ(oa_join(self), -EDEADLK);
    caller = self;
    called++;
}

static void a_task_each(void *arg)
{
    (void)arg;
    reset();
    caller = NULL;
    oa_chan_t *ch = channel(8);
    oa_task_t *task;
    CHECK_EQ(oa_chan_consume(ch, cancel_self, NULL, .name = "eater", .task = &task, .coord = coord),
             0);
    CHECK_EQ(strcmp(oa_task_name(task), "eater"), 0);
    for (int i = 1; i <= 10; i++) {
        CHECK_EQ(oa_chan_send(ch, &i), 0);
        if (i % 3 == 0)
            UNTIL(called == i);
    }
    CHECK_EQ(oa_chan_close(ch), 0);
    CHECK_EQ(oa_join(task), 0);
    CHECK_EQ(called, 10);
    CHECK_EQ(oa_chan_free(ch), 0);
}

// The context of each begins with the argument, temp memory and locals end with the call.
static oa_local_t local;

static void count_down(void *value)
{
    (*(_Atomic int *)value)--;
}

static void own_things(void *elem)
{
    static _Atomic int alive;
    oa_context_t *context = oa_context();
    (void)elem;
    CHECK_EQ(context->user_ptr == &local, true);
    CHECK_EQ(context->user_index, 0);
    context->user_ptr = elem;
    context->user_index = 5;
    CHECK(oa_local_get(local) == NULL);
    CHECK_EQ(oa_local_set(local, &alive), 0);
    CHECK_EQ(atomic_fetch_add(&alive, 1), 0);
    memset(oa_temp(100), 0xff, 100);
    if (called % 3 == 0)
        oa_yield();
    CHECK(oa_context() == context);
    called++;
}

static void own_context(void *arg)
{
    (void)arg;
    reset();
    CHECK_EQ(oa_local_create(&local, count_down), 0);
    oa_chan_t *ch = channel(8);
    oa_task_t *task;
    CHECK_EQ(oa_chan_consume(ch, own_things, &local, .task = &task, .coord = coord), 0);
    send_all(ch, 100);
    CHECK_EQ(oa_chan_close(ch), 0);
    CHECK_EQ(oa_join(task), 0);
    CHECK_EQ(called, 100);
    CHECK_EQ(oa_chan_free(ch), 0);
    CHECK_EQ(oa_local_delete(local), 0);
}

// A call that would wait for its own consumer is told so.
static _Atomic(oa_task_t *) own_consumer;

static void join_own(void *elem)
{
    (void)elem;
    CHECK_EQ(oa_join(own_consumer), -EDEADLK);
    called++;
}

static void no_join_of_its_own(void *arg)
{
    (void)arg;
    reset();
    oa_chan_t *ch = channel(1);
    own_consumer = consume(ch, join_own);
    send_all(ch, 2);
    UNTIL(called == 2);
    CHECK_EQ(oa_chan_close(ch), 0);
    CHECK_EQ(oa_join(own_consumer), 0);
    CHECK_EQ(oa_chan_free(ch), 0);
}

// Receivers beside it compete with it: each element goes to one of them.
static void compete(void *arg)
{
    (void)arg;
    reset();
    oa_chan_t *ch = channel(0);
    int got = 0, received = 0;
    oa_task_t *task = consume(ch, add_slowly);
    oa_task_t *sender = spawn(send_many, ch);
    while (called + received < 50)
        if (oa_chan_recv_until(ch, &got, SOON) == 0) {
            received++;
            sum += (uint64_t)got;
        }
    join(sender);
    CHECK_EQ(oa_chan_close(ch), 0);
    CHECK_EQ(oa_join(task), 0);
    CHECK_EQ(sum, 50 * 51 / 2);
    CHECK_EQ(oa_chan_free(ch), 0);
}

// A consumer at rest keeps no coordinator alive, and is over with it, its group and joiner told.
static oa_chan_t *left_behind;

static void leave_it(void *arg)
{
    CHECK_EQ(oa_chan_consume(left_behind, add, NULL, .group = arg), 0);
    send_all(left_behind, 2);
    UNTIL(called == 2);
}

static void ends_with_its_coordinator(void)
{
    for (int workers = 1; workers <= 2; workers++) {
        reset();
        oa_group_t own = OA_GROUP_INIT;
        left_behind = channel(4);
        CHECK_EQ(oa_run(leave_it, &own, .max_workers = workers), 0);
        CHECK_EQ(oa_group_wait(&own), 0);
        int item = 9;
        CHECK_EQ(oa_chan_put(left_behind, &item), 0); // a channel like any other
        CHECK_EQ(oa_chan_take(left_behind, &item), 0);
        CHECK_EQ(called, 2);
        CHECK_EQ(oa_chan_free(left_behind), 0);
    }
}

// Draining lets it go on while a task is left.
static void drain(void *arg)
{
    CHECK_EQ(oa_chan_consume(left_behind, add, NULL, .group = arg), 0);
    CHECK_EQ(oa_shutdown(NULL, OA_DRAIN), 0);
    send_all(left_behind, 2);
    UNTIL(called == 2);
}

// A cancel of all ends it, at rest too, and whoever waits for it goes on.
static void shut_down(void *arg)
{
    drain(arg);
    CHECK_EQ(oa_shutdown(NULL, OA_CANCEL), 0);
    int item = 3;
    CHECK_EQ(oa_chan_put(left_behind, &item), 0);
    CHECK_EQ(oa_group_wait(arg), -ECANCELED);
    oa_chan_t *other = channel(1);
    CHECK_EQ(oa_chan_consume(other, add), -ESHUTDOWN);
    CHECK_EQ(oa_chan_free(other), 0);
}

static void ends_with_a_shutdown(void)
{
    for (int i = 0; i < 4; i++) {
        reset();
        oa_group_t own = OA_GROUP_INIT;
        left_behind = channel(4);
        CHECK_EQ(oa_run(i < 2 ? drain : shut_down, &own, .max_workers = 1 + i % 2), 0);
        CHECK_EQ(oa_group_wait(&own), 0);
        CHECK_EQ(called, 2);
        CHECK_EQ(oa_chan_len(left_behind), i < 2 ? 0 : 1);
        CHECK_EQ(oa_chan_free(left_behind), 0);
    }
}

// So does one who has been waiting for it, and for a consumer that others had cancelled before.
static void cancel_everything(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_shutdown(NULL, OA_CANCEL), 0);
}

static void join_in_a_shutdown(void *arg)
{
    oa_task_t *tasks[3];
    oa_chan_t *chans[3];
    (void)arg;
    for (int i = 0; i < 3; i++) {
        chans[i] = channel(1);
        CHECK_EQ(oa_chan_consume(chans[i], add, NULL, .task = &tasks[i]), 0);
    }
    CHECK_EQ(oa_go(cancel_everything), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(oa_join(tasks[i]), 0);
        CHECK_EQ(oa_chan_free(chans[i]), 0);
    }
}

int main(void)
{
    everywhere(each_once);
    everywhere(after_the_fact);
    everywhere(waiting_senders);
    everywhere(refusals);
    everywhere(cancel_it);
    everywhere(cancel_ahead);
    everywhere(in_a_group);
    everywhere(a_task_each);
    everywhere(own_context);
    everywhere(no_join_of_its_own);
    everywhere(compete);
    ends_with_its_coordinator();
    ends_with_a_shutdown();
    for (int workers = 1; workers <= 2; workers++)
        CHECK_EQ(oa_run(join_in_a_shutdown, .max_workers = workers), 0);
    CHECK_EQ(oa_chan_consume(NULL, add), -EINVAL);
    oa_chan_t *ch = channel(1);
    CHECK_EQ(oa_chan_consume(ch, add), -EPERM);
    CHECK_EQ(oa_chan_free(ch), 0);
    return 0;
}
