// SPDX-License-Identifier: BSD-2-Clause
// stale.c - handles of tasks that are gone stay refused while their memory serves other tasks.
// ctest: simulate
#include "support.h"

enum { TASKS = 200, ROUNDS = 10 };

static oa_task_t *old[TASKS * ROUNDS];
static oa_sem_t gate;
static atomic_int ended;

static void pass_gate(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_acquire(&gate), 0); // never cancelled through another's handle
    atomic_fetch_add(&ended, 1);
}

static void churn(void *arg)
{
    (void)arg;
    int known = 0;
    oa_sem_init(&gate, 0);
    atomic_store(&ended, 0);
    for (int round = 0; round < ROUNDS; round++) {
        oa_task_t *now[TASKS];
        for (int i = 0; i < TASKS; i++)
            now[i] = spawn(pass_gate, NULL);
        for (int i = 0; i < known; i++) {
            CHECK_EQ(oa_cancel(old[i]), -ESRCH);
            CHECK_EQ(oa_join(old[i]), -ESRCH);
            CHECK_EQ(oa_detach(old[i]), -ESRCH);
            CHECK_EQ(oa_task_id(old[i]), 0);
        }
        for (int i = 0; i < TASKS; i++) {
            CHECK(oa_task_id(now[i]) != 0);
            CHECK_EQ(oa_sem_release(&gate), 0);
        }
        for (int i = 0; i < TASKS; i++) {
            join(now[i]);
            old[known++] = now[i];
        }
    }
    CHECK_EQ(atomic_load(&ended), TASKS * ROUNDS);
}

int main(void)
{
    everywhere(churn);
    return 0;
}
