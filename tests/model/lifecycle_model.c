// SPDX-License-Identifier: BSD-2-Clause
// lifecycle_model.c - a coordinator from its start to its end: it ends exactly when no task is
// left, a task from outside runs or is refused, and nobody touches it after oa_wait().
#include "model.h"
#include "sched/sched.h"
#include "stub_coord.h"
#include "stub_worker.h"

#include <string.h>

enum { TASKS = 6 };

static oa_coord_t *coord;
static int ran[TASKS], dropped[TASKS]; // plain: each by the task itself, or by who drops it
static int spawned_count;              // tasks that oa_go() took; plain: by who may

static oai_task_t *first_task(void)
{
    return stub_slot(0);
}

static void leaf(void *mine)
{
    ++*(int *)mine;
}

static void drop(void *mine)
{
    ++*(int *)((int *)mine + (dropped - ran));
}

static void parent(void *mine)
{
    leaf(mine);
    model_assert(oa_go(leaf, &ran[1]) == 0);
}

static void wait_for_end(void *unused)
{
    (void)unused;
    model_assert(oai_coord_wait(coord, OA_FOREVER) == 0);
    oai_coord_destroy(coord);
}

static void reset(void)
{
    stub_reset();
    stub_worker_reset();
    memset(ran, 0, sizeof ran);
    memset(dropped, 0, sizeof dropped);
    spawned_count = 0;
    model_name(&ran, "ran");
}

static void start(oa_fn *fn, int workers)
{
    oa_config_t config = {.size = sizeof config, .fn = fn, .arg = &ran[0], .max_workers = workers};
    model_assert(oai_coord_create(&coord, &config, false) == 0);
}

static void all_over(void)
{
    model_assert(stub_unmapped == 1);
}

static void family(void)
{
    reset();
    start(parent, 2);
    model_thread("waiter", wait_for_end, NULL);
}

static void all_ran(void)
{
    all_over();
    model_assert(ran[0] == 1 && ran[1] == 1);
}

MODEL(family, family, all_ran);
