// SPDX-License-Identifier: BSD-2-Clause
// block_own.c - what the function of an oa_block finds and leaves is the calling task's own; a
// blocking task that is cancelled between its gates and a thread gives back what it had.
// ctest: simulate
#include "support.h"

static oa_local_t key;
static atomic_int ran, dropped, destroyed;

// ---- Its own ------------------------------------------------------------------------------------

struct lent {
    oa_context_t *context; // NULL: nobody has asked yet
    char *temp;
};

static void destroy(void *value)
{
    struct lent *lent = value;
    CHECK(oa_context() == lent->context && lent->temp[99] == 5);
    CHECK(oa_worker_id() >= 0); // at the end of the task, not of the call
    atomic_fetch_add(&destroyed, 1);
}

static void as_task(void *arg)
{
    struct lent *lent = arg;
    if (lent->context)
        CHECK(oa_context() == lent->context && oa_local_get(key) == lent);
    lent->context = oa_context();
    lent->context->user_index++;
    if (!lent->temp)
        lent->temp = oa_temp(100);
    memset(lent->temp, 5, 100);
    CHECK_EQ(oa_local_set(key, lent), 0);
    CHECK_EQ(oa_sleep(OA_MICROSECOND), 0);
    CHECK(oa_context() == lent->context);
    atomic_fetch_add(&ran, 1);
}

static void block_twice(void *arg)
{
    struct lent *lent = arg;
    if (oa_task_id(oa_self()) % 2) { // the first to ask is the task, or the function
        lent->context = oa_context();
        CHECK_EQ(oa_local_set(key, lent), 0);
    }
    for (int i = 1; i <= 2; i++) {
        CHECK_EQ(oa_block(as_task, lent), 0);
        CHECK(oa_context() == lent->context);
        CHECK_EQ(oa_context()->user_index, i);
        CHECK(oa_local_get(key) == lent && lent->temp[99] == 5);
        CHECK_EQ(oa_sleep(OA_MICROSECOND), 0);
    }
}

static void lends(void *arg)
{
    oa_task_t *task;
    (void)arg;
    atomic_store(&ran, 0);
    atomic_store(&destroyed, 0);
    CHECK_EQ(oa_local_create(&key, destroy), 0);
    for (int i = 0; i < 20; i++) {
        struct lent lent = {NULL, NULL};
        CHECK_EQ(oa_go(block_twice, &lent, .task = &task, .coord = coord), 0);
        join(task);
        CHECK_EQ(atomic_load(&ran), 2 * (i + 1));
        CHECK_EQ(atomic_load(&destroyed), i + 1);
    }
    CHECK_EQ(oa_local_delete(key), 0);
}

// ---- Behind its gates ---------------------------------------------------------------------------

static void occupy(void *arg)
{
    atomic_fetch_add(&ran, 1);
    CHECK_EQ(oa_latch_wait(arg), 0);
}

static void drop(void *arg)
{
    (void)arg;
    atomic_fetch_add(&dropped, 1);
}

// The pool's only thread is taken.
static void without_thread(int workers)
{
    oa_latch_t latch = OA_LATCH_INIT(1);
    oa_sem_t sem = OA_SEM_INIT(1);
    oa_mutex_t mutex = OA_MUTEX_INIT;
    oa_task_t *task;
    atomic_store(&ran, 0);
    atomic_store(&dropped, 0);
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = workers, .max_blocking = 1), 0);
    CHECK_EQ(oa_go(occupy, &latch, .block = true, .coord = coord), 0);
    UNTIL(atomic_load(&ran) == 1);
    CHECK_EQ(oa_go(occupy, &latch, .drop = drop, .block = true, .sem = &sem, .acq = &mutex,
                   .task = &task, .coord = coord),
             0);
    CHECK_EQ(oa_sem_tryacquire(&sem), -EAGAIN); // it has passed
    CHECK_EQ(oa_mutex_trylock(&mutex), -EBUSY);
    CHECK_EQ(oa_cancel(task), 0);
    join(task);
    CHECK_EQ(atomic_load(&dropped), 1);
    CHECK_EQ(oa_sem_tryacquire(&sem), 0);
    CHECK_EQ(oa_mutex_destroy(&mutex), 0);
    CHECK_EQ(oa_latch_arrive(&latch), 0);
    CHECK_EQ(oa_wait(coord), 0);
    CHECK_EQ(atomic_load(&ran), 1);
}

int main(void)
{
    everywhere(lends);
    if (simulated())
        return 0; // with no pool
    without_thread(1);
    without_thread(2);
    return 0;
}
