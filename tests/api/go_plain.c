// SPDX-License-Identifier: BSD-2-Clause
// go_plain.c - what oa_go becomes when it has no option but a handle: the same as with a spec.
// ctest: simulate
#include "support.h"

static _Atomic int ran;

static void count(void *arg)
{
    CHECK_EQ(arg == &ran, true);
    ran++;
}

static void in_a_task(void *arg)
{
    oa_task_t *task = (oa_task_t *)arg;
    ran = 0;
    CHECK_EQ(oa_go_plain(count, &ran, OA_WHERE, NULL), 0);
    CHECK_EQ(oa_go_plain(count, &ran, OA_WHERE, &task), 0);
    CHECK(oa_task_id(task) != 0);
    CHECK_EQ(oa_join(task), 0);
    CHECK_EQ(oa_join(task), -ESRCH);
    CHECK_EQ(oa_go_plain(count, &ran, OA_WHERE, &task), 0);
    CHECK_EQ(oa_detach(task), 0);
    CHECK_EQ(oa_go_plain(NULL, &ran, OA_WHERE, &task), -EINVAL);
    CHECK(task == NULL);
    UNTIL(ran == 3);
    CHECK_EQ(oa_shutdown(NULL, OA_CANCEL), 0);
    task = (oa_task_t *)arg;
    CHECK_EQ(oa_go_plain(count, &ran, OA_WHERE, &task), -ESHUTDOWN);
    CHECK(task == NULL);
}

int main(void)
{
    oa_task_t *task = (oa_task_t *)&ran;
    CHECK_EQ(oa_go_plain(count, &ran, OA_WHERE, &task), -EPERM);
    CHECK(task == NULL);
    for (int workers = 1; workers <= 2; workers++)
        CHECK_EQ(oa_run(in_a_task, &ran, .max_workers = workers), 0);
    CHECK_EQ(ran, 3);
    return 0;
}
