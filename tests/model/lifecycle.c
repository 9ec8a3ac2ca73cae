// SPDX-License-Identifier: BSD-2-Clause
// lifecycle.c - see lifecycle.h.
#include "lifecycle.h"

#include <string.h>

oa_coord_t *life_coord;
int life_ran[LIFE_TASKS], life_dropped[LIFE_TASKS];
int life_taken, life_blocked;

// ---- Tasks --------------------------------------------------------------------------------------

void life_leaf(void *mine)
{
    ++*(int *)mine;
    model_seen(RAN);
}

void life_drop(void *mine)
{
    ++life_dropped[(int *)mine - life_ran];
    model_seen(DROPPED);
}

void life_blocks(void *mine)
{
    model_block();
    life_leaf(mine);
}

// ---- Threads that are no workers ----------------------------------------------------------------

void life_waits(void *unused)
{
    (void)unused;
    model_assert(oai_coord_wait(life_coord, OA_FOREVER) == 0);
    oai_coord_destroy(life_coord);
}

void life_spawns(void *unused)
{
    (void)unused;
    int err = oa_go(life_leaf, &life_ran[3], .drop = life_drop, .coord = life_coord);
    model_assert(err == 0 || err == -ESHUTDOWN);
    if (err)
        model_seen(REFUSED);
    else
        life_taken++;
}

// ---- Before and after ---------------------------------------------------------------------------

void life_reset(void)
{
    stub_reset();
    stub_worker_reset();
    memset(life_ran, 0, sizeof life_ran);
    memset(life_dropped, 0, sizeof life_dropped);
    life_taken = 0;
    model_name(&life_ran, "ran");
}

void life_start(oa_fn *fn, int workers)
{
    oa_config_t config = {
        .size = sizeof config, .fn = fn, .arg = &life_ran[0], .max_workers = workers};
    model_assert(oai_coord_create(&life_coord, &config, false) == 0);
}

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

void life_start_bare(oa_fn *fn, int workers)
{
    oai_os.thread_start = no_thread;
    oai_os.thread_join = no_join;
    life_start(fn, workers);
}

void life_run(oai_worker_t *worker, oai_task_t *task)
{
    if (!task)
        return;
    worker->current = task;
    task->fresh.fn(task->arg);
    worker->current = NULL;
    oai_task_end(task, worker);
}

void life_gone(void)
{
    model_assert(stub_unmapped == 1);
}

void life_first_ran(void)
{
    life_gone();
    model_assert(life_ran[0] == 1);
}
