// SPDX-License-Identifier: BSD-2-Clause
// wait_by_two.c - one thread waits for a coordinator while another asks with a deadline in the
// past: the first returns when no task is left, whatever the second was told.
#include "stress/support.h"

static oa_coord_t *coord;
static pthread_barrier_t begin;

static oa_sem_t asked; // the second has been told

static void until_asked(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_acquire(&asked), 0);
}

static void wait_long(void *arg)
{
    (void)arg;
    pthread_barrier_wait(&begin);
    CHECK_EQ(oa_wait_until(coord, oa_after(10 * OA_SECOND)), 0);
}

int main(void)
{
    CHECK_EQ(pthread_barrier_init(&begin, NULL, 2), 0);
    for (int64_t round = test_scale(2000); round > 0; round--) {
        struct thread thread;
        CHECK_EQ(oa_start(&coord, until_asked, .max_workers = 1), 0);
        thread_start(&thread, wait_long, NULL);
        pthread_barrier_wait(&begin);
        int err = oa_wait_until(coord, 0);
        CHECK(err == -EBUSY || err == -ETIMEDOUT);
        CHECK_EQ(oa_sem_release(&asked), 0);
        thread_join(&thread);
    }
    CHECK_EQ(pthread_barrier_destroy(&begin), 0);
    return 0;
}
