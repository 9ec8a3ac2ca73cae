// SPDX-License-Identifier: BSD-2-Clause
// own_order.c - what a task has of its own is freed before its gates are released.
#include <errno.h>
#include <oasync.h>

#include "check.h"
#include "os/os.h"

enum { SIZE = 1 << 20 };

static oa_mutex_t mutex = OA_MUTEX_INIT;
static char *temp; // what the task got
static int freed;
static void (*free_really)(void *);

static void look_and_free(void *block)
{
    char *start = block;
    if (temp && start <= temp && temp < start + SIZE) {
        CHECK_EQ(oa_mutex_trylock(&mutex), -EBUSY);
        temp = NULL;
        freed++;
    }
    free_really(block);
}

static void own(void *arg)
{
    (void)arg;
    temp = oa_temp(SIZE);
    CHECK(temp != NULL);
}

static void start(void *arg)
{
    oa_task_t *task;
    CHECK_EQ(oa_go(own, arg, .acq = &mutex, .task = &task), 0);
    CHECK_EQ(oa_join(task), 0);
    CHECK_EQ(freed, 1);
    CHECK_EQ(oa_mutex_trylock(&mutex), 0);
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
}

int main(void)
{
    free_really = oai_os.free;
    oai_os.free = look_and_free;
    CHECK_EQ(oa_run(start, .max_workers = 1), 0);
    oai_os.free = free_really;
    return 0;
}
