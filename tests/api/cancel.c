// SPDX-License-Identifier: BSD-2-Clause
// cancel.c - a cancel breaks each wait, present and later; what it leaves alone; the shield.
// ctest: simulate
#include "support.h"

// What the tasks here wait for in vain.
static struct {
    oa_chan_t *empty, *full;
    oa_mutex_t mutex; // held by `holder`
    oa_sem_t sem, gate;
    oa_group_t group; // `holder` is in it
    oa_task_t *holder;
} in_vain;

static void hold(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_mutex_lock(&in_vain.mutex), 0);
    CHECK_EQ(oa_sem_release(&in_vain.sem), 0); // ready
    CHECK_EQ(oa_sem_acquire(&in_vain.gate), 0);
    CHECK(!oa_cancelled()); // a cancel of who waits for it is none of its own
    CHECK_EQ(oa_mutex_unlock(&in_vain.mutex), 0);
}

static void set_up(void)
{
    int item = 1;
    in_vain.empty = oa_chan_make(sizeof(int));
    in_vain.full = oa_chan_make(sizeof(int), .capacity = 1);
    CHECK_EQ(oa_chan_put(in_vain.full, &item), 0);
    oa_mutex_init(&in_vain.mutex);
    oa_sem_init(&in_vain.sem, 0);
    oa_sem_init(&in_vain.gate, 0);
    oa_group_init(&in_vain.group);
    CHECK_EQ(oa_go(hold, .coord = coord, .task = &in_vain.holder, .group = &in_vain.group), 0);
    CHECK_EQ(oa_sem_acquire(&in_vain.sem), 0);
}

static void tear_down(void)
{
    CHECK_EQ(oa_sem_release(&in_vain.gate), 0);
    join(in_vain.holder);
    CHECK_EQ(oa_group_wait(&in_vain.group), 0);
    CHECK_EQ(oa_chan_len(in_vain.full), 1); // nothing was given or taken
    CHECK_EQ(oa_chan_free(in_vain.empty), 0);
    CHECK_EQ(oa_chan_free(in_vain.full), 0);
    CHECK_EQ(oa_mutex_destroy(&in_vain.mutex), 0);
    CHECK_EQ(oa_sem_destroy(&in_vain.sem), 0);
    CHECK_EQ(oa_sem_tryacquire(&in_vain.sem), -EAGAIN);
}

enum { WAITS = 16 };

static int wait_for(int which)
{
    static const int item = 7;
    oa_case_t cases[] = {OA_RECV(in_vain.empty, NULL), OA_SEND(in_vain.full, &item)};
    switch (which) {
    case 0: return oa_sleep(OA_FOREVER);
    case 1: return oa_sleep_until(LATE);
    case 2: return oa_chan_recv(in_vain.empty, NULL);
    case 3: return oa_chan_recv_until(in_vain.empty, NULL, LATE);
    case 4: return oa_chan_send(in_vain.empty, &item);
    case 5: return oa_chan_send_until(in_vain.empty, &item, LATE);
    case 6: return oa_chan_send(in_vain.full, &item);
    case 7: return oa_chan_send_until(in_vain.full, &item, LATE);
    case 8: return oa_sem_acquire(&in_vain.sem);
    case 9: return oa_sem_acquire_until(&in_vain.sem, LATE);
    case 10: return oa_mutex_lock_until(&in_vain.mutex, OA_FOREVER);
    case 11: return oa_join_until(in_vain.holder, OA_FOREVER);
    case 12: return oa_group_wait_until(&in_vain.group, OA_FOREVER);
    case 13: return oa_group_wait_until(&in_vain.group, LATE);
    case 14: return oa_select(cases, 2);
    default: return oa_select_until(cases, 2, LATE);
    }
}

static void wait_twice(void *arg)
{
    int which = *(int *)arg;
    CHECK_EQ(wait_for(which), -ECANCELED);
    CHECK(oa_cancelled());
    CHECK_EQ(wait_for(which), -ECANCELED);
    for (int other = 0; other < WAITS; other++)
        CHECK_EQ(wait_for(other), -ECANCELED);
}

// A cancel breaks the wait in which it finds the task, and all later ones.
static void each_wait(void *arg)
{
    (void)arg;
    set_up();
    for (int which = 0; which < WAITS; which++) {
        uint64_t before = parks();
        oa_task_t *task = spawn(wait_twice, &which);
        UNTIL(parks() > before);
        CHECK_EQ(oa_cancel(task), 0);
        int again = oa_cancel(task);
        CHECK(again == 0 || again == -ESRCH); // it may have ended by now
        join(task);
        CHECK_EQ(oa_cancel(task), -ESRCH);
    }
    tear_down();
}

static void cancel_self(void *arg)
{
    (void)arg;
    CHECK(!oa_cancelled());
    CHECK_EQ(oa_cancel(oa_self()), 0);
    CHECK_EQ(oa_cancel(oa_self()), 0);
    CHECK(oa_cancelled());
    CHECK_EQ(oa_sleep(0), -ECANCELED);
    CHECK_EQ(oa_sleep(-1), -EINVAL);
    CHECK_EQ(oa_sleep_until(PAST), -ECANCELED);
    oa_yield();
}

// Even a wait that need not wait is broken, and takes nothing; what never waits works as ever.
static void needs_no_wait(void *arg)
{
    oa_mutex_t mutex = OA_MUTEX_INIT;
    oa_sem_t sem = OA_SEM_INIT(1);
    oa_group_t group = OA_GROUP_INIT;
    oa_chan_t *ch = oa_chan_make(sizeof(int), .capacity = 2);
    int item = 5;
    (void)arg;
    CHECK_EQ(oa_chan_put(ch, &item), 0);
    CHECK_EQ(oa_cancel(oa_self()), 0);
    CHECK_EQ(oa_chan_send(ch, &item), -ECANCELED);
    CHECK_EQ(oa_chan_send_until(ch, &item, LATE), -ECANCELED);
    CHECK_EQ(oa_chan_recv(ch, &item), -ECANCELED);
    CHECK_EQ(oa_chan_recv_until(ch, &item, PAST), -ECANCELED);
    CHECK_EQ(oa_chan_len(ch), 1);
    CHECK_EQ(oa_sem_acquire(&sem), -ECANCELED);
    CHECK_EQ(oa_sem_acquire_until(&sem, PAST), -ECANCELED);
    CHECK_EQ(oa_mutex_lock_until(&mutex, LATE), -ECANCELED);
    CHECK_EQ(oa_group_wait_until(&group, LATE), -ECANCELED);
    CHECK_EQ(oa_group_wait(&group), -ECANCELED);

    CHECK_EQ(oa_chan_put(ch, &item), 0);
    CHECK_EQ(oa_chan_put(ch, &item), -EAGAIN);
    CHECK_EQ(oa_chan_take(ch, &item), 0);
    CHECK_EQ(oa_chan_take(ch, &item), 0);
    CHECK_EQ(oa_chan_take(ch, &item), -EAGAIN);
    CHECK_EQ(oa_sem_tryacquire(&sem), 0);
    CHECK_EQ(oa_sem_release(&sem), 0);
    CHECK_EQ(oa_mutex_trylock(&mutex), 0);
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    CHECK_EQ(oa_mutex_lock(&mutex), 0); // guards the caller's memory: not interrupted
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
    CHECK_EQ(oa_chan_close(ch), 0);
    CHECK_EQ(oa_chan_free(ch), 0);
    oa_task_t *task; // nor does it keep the task from spawning
    CHECK_EQ(oa_go(nothing, .task = &task), 0);
    CHECK_EQ(oa_join(task), 0);
}

static oa_sem_t begun;

static void lock_and_join(void *arg)
{
    oa_task_t *task = *(oa_task_t **)arg;
    CHECK_EQ(oa_sem_release(&begun), 0);
    CHECK_EQ(oa_mutex_lock(&in_vain.mutex), 0);
    CHECK(oa_cancelled());
    CHECK_EQ(oa_mutex_unlock(&in_vain.mutex), 0);
    CHECK_EQ(oa_join(task), 0);
}

static void end_cancelled(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_acquire(&in_vain.sem), 0);
    CHECK(!oa_cancelled());
}

// oa_mutex_lock and oa_join go on waiting, and what is joined is not cancelled.
static void guards(void *arg)
{
    (void)arg;
    set_up();
    oa_sem_init(&begun, 0);
    oa_task_t *target = spawn(end_cancelled, NULL);
    oa_task_t *task = spawn(lock_and_join, &target);
    CHECK_EQ(oa_sem_acquire(&begun), 0);
    CHECK_EQ(oa_cancel(task), 0);
    CHECK_EQ(oa_join_until(task, SOON), -ETIMEDOUT);
    CHECK_EQ(oa_sem_release(&in_vain.gate), 0);
    join(in_vain.holder);
    CHECK_EQ(oa_join_until(task, SOON), -ETIMEDOUT);
    CHECK_EQ(oa_sem_release(&in_vain.sem), 0);
    join(task);
    CHECK_EQ(oa_join(target), -ESRCH);
    CHECK_EQ(oa_chan_free(in_vain.empty), 0);
    CHECK_EQ(oa_chan_free(in_vain.full), 0);
}

static void shielded(void *arg)
{
    int item = 0;
    CHECK(!oa_shield(true));
    CHECK(oa_shield(true));
    CHECK_EQ(oa_sem_release(&begun), 0);
    CHECK_EQ(oa_chan_recv(arg, &item), 0); // cancelled meanwhile
    CHECK_EQ(item, 3);
    CHECK(oa_cancelled());
    CHECK_EQ(oa_sleep(OA_MICROSECOND), 0);
    CHECK_EQ(oa_chan_recv_until(arg, &item, SOON), -ETIMEDOUT);
    CHECK(oa_shield(false));
    CHECK(!oa_shield(false));
    CHECK_EQ(oa_sleep(OA_MICROSECOND), -ECANCELED);
    CHECK_EQ(oa_chan_recv(arg, &item), -ECANCELED);
    CHECK(!oa_shield(true)); // and back
    CHECK_EQ(oa_sleep(OA_MICROSECOND), 0);
}

static void shield(void *arg)
{
    int item = 3;
    (void)arg;
    oa_chan_t *ch = oa_chan_make(sizeof(int));
    oa_sem_init(&begun, 0);
    oa_task_t *task = spawn(shielded, ch);
    CHECK_EQ(oa_sem_acquire(&begun), 0);
    CHECK_EQ(oa_cancel(task), 0);
    CHECK_EQ(oa_join_until(task, SOON), -ETIMEDOUT);
    CHECK_EQ(oa_chan_send(ch, &item), 0);
    join(task);
    CHECK_EQ(oa_chan_free(ch), 0);
}

static oa_sem_t cancelled;

// Shielded and cancelled: no wait is broken, whatever it is for.
static void wait_shielded(void *arg)
{
    static const int item = 7;
    (void)arg;
    CHECK(!oa_shield(true));
    CHECK_EQ(oa_sem_release(&begun), 0);
    CHECK_EQ(oa_sem_acquire(&cancelled), 0);
    CHECK(oa_cancelled());
    CHECK_EQ(oa_sleep_until(SOON), 0);
    CHECK_EQ(oa_chan_recv_until(in_vain.empty, NULL, SOON), -ETIMEDOUT);
    CHECK_EQ(oa_chan_send_until(in_vain.empty, &item, SOON), -ETIMEDOUT);
    CHECK_EQ(oa_chan_send_until(in_vain.full, &item, SOON), -ETIMEDOUT);
    CHECK_EQ(oa_sem_acquire_until(&in_vain.sem, SOON), -ETIMEDOUT);
    CHECK_EQ(oa_mutex_lock_until(&in_vain.mutex, SOON), -ETIMEDOUT);
    CHECK_EQ(oa_join_until(in_vain.holder, SOON), -ETIMEDOUT);
    CHECK_EQ(oa_group_wait_until(&in_vain.group, SOON), -ETIMEDOUT);
    CHECK_EQ(oa_sem_release(&begun), 0);
    CHECK_EQ(oa_group_wait(&in_vain.group), 0); // nor is the group cancelled: see hold()
}

static void shields_all(void *arg)
{
    (void)arg;
    set_up();
    oa_sem_init(&begun, 0);
    oa_sem_init(&cancelled, 0);
    oa_task_t *task = spawn(wait_shielded, NULL);
    CHECK_EQ(oa_sem_acquire(&begun), 0);
    CHECK_EQ(oa_cancel(task), 0);
    CHECK_EQ(oa_sem_release(&cancelled), 0);
    CHECK_EQ(oa_sem_acquire(&begun), 0);
    CHECK_EQ(oa_join_until(task, SOON), -ETIMEDOUT);
    tear_down();
    join(task);
}

static void sleep_on(void *arg)
{
    CHECK_EQ(oa_sem_acquire(arg), 0);
    CHECK(!oa_cancelled());
}

static void spawn_and_end(void *arg)
{
    CHECK_EQ(oa_go(sleep_on, arg, .group = &in_vain.group), 0);
    CHECK_EQ(oa_sem_release(&begun), 0);
    CHECK_EQ(oa_sleep(OA_FOREVER), -ECANCELED);
}

// The tasks that a cancelled one has spawned are not cancelled.
static void children_live(void *arg)
{
    oa_sem_t sem = OA_SEM_INIT(0);
    (void)arg;
    oa_group_init(&in_vain.group);
    oa_sem_init(&begun, 0);
    oa_task_t *task = spawn(spawn_and_end, &sem);
    CHECK_EQ(oa_sem_acquire(&begun), 0);
    CHECK_EQ(oa_cancel(task), 0);
    join(task);
    CHECK_EQ(oa_group_wait_until(&in_vain.group, SOON), -ETIMEDOUT);
    CHECK_EQ(oa_sem_release(&sem), 0);
    CHECK_EQ(oa_group_wait(&in_vain.group), 0);
}

static void until_timeouts(void *arg)
{
    (void)arg;
    static const int item = 7;
    set_up();
    int64_t deadlines[] = {PAST, 0, INT64_MIN, SOON};
    for (int i = 0; i < 4; i++) {
        int64_t d = deadlines[i];
        CHECK_EQ(oa_chan_recv_until(in_vain.empty, NULL, d), -ETIMEDOUT);
        CHECK_EQ(oa_chan_send_until(in_vain.empty, &item, d), -ETIMEDOUT);
        CHECK_EQ(oa_chan_send_until(in_vain.full, &item, d), -ETIMEDOUT);
        CHECK_EQ(oa_sem_acquire_until(&in_vain.sem, d), -ETIMEDOUT);
        CHECK_EQ(oa_mutex_lock_until(&in_vain.mutex, d), -ETIMEDOUT);
        CHECK_EQ(oa_join_until(in_vain.holder, d), -ETIMEDOUT);
        CHECK_EQ(oa_group_wait_until(&in_vain.group, d), -ETIMEDOUT);
        CHECK(oa_now() >= d);
    }
    tear_down();
}

int main(void)
{
    everywhere(each_wait);
    in_tasks(cancel_self);
    in_tasks(needs_no_wait);
    everywhere(guards);
    everywhere(shield);
    everywhere(shields_all);
    everywhere(children_live);
    everywhere(until_timeouts);
    return 0;
}
