// SPDX-License-Identifier: BSD-2-Clause
// delay_model.c - delayed tasks at the end of their coordinator: each is dropped exactly once, and
// whoever drops it from outside is a user meanwhile.
//
// Shipped: timer.c beside all of lifecycle_model.c; no timer is ever due.
#include "model.h"
#include "sched/sched.h"
#include "stub_coord.h"
#include "stub_worker.h"

static oa_coord_t *coord;
static oa_task_t *handle;
static int first_ran, delayed_ran, dropped; // plain: each by who runs or drops the task

enum { DROPPED, REFUSED };

static void run(void *count)
{
    ++*(int *)count;
}

static void drop(void *unused)
{
    (void)unused;
    dropped++;
    model_seen(DROPPED);
}

static void reset(void)
{
    oa_config_t config = {.size = sizeof config, .fn = run, .arg = &first_ran, .max_workers = 1};
    stub_reset();
    stub_worker_reset();
    first_ran = delayed_ran = dropped = 0;
    model_assert(oai_coord_create(&coord, &config, true) == 0);
}

// The thread that is its worker, and frees it.
static void is_lent(void *unused)
{
    (void)unused;
    oai_coord_release(coord);
    oai_coord_work(coord);
    oai_coord_destroy(coord);
}

static void cancels(void *unused)
{
    (void)unused;
    model_assert(oa_shutdown(coord, OA_CANCEL) == 0);
}

static void dropped_once(void)
{
    model_assert(stub_unmapped == 1 && dropped == 1 && delayed_ran == 0 && first_ran <= 1);
}

// The last task is dropped by who cancels all.
static void dropper(void)
{
    reset();
    model_assert(oa_go(run, &delayed_ran, .drop = drop, .coord = coord, .delay = 1) == 0);
    model_thread("canceller", cancels, NULL);
    model_thread("caller", is_lent, NULL);
}

MODEL(dropper, dropper, dropped_once, .stale = -1, .runs = 2000, .leaks = true);

// The last task is cancelled by its handle.
static void cancels_one(void *unused)
{
    (void)unused;
    model_assert(oa_cancel(handle) == 0);
}

static void one_cancelled(void)
{
    reset();
    model_assert(
        oa_go(run, &delayed_ran, .drop = drop, .coord = coord, .delay = 1, .task = &handle) == 0);
    model_thread("canceller", cancels_one, NULL);
    model_thread("caller", is_lent, NULL);
}

MODEL(one_cancelled, one_cancelled, dropped_once, .stale = -1, .runs = 2000, .leaks = true);

// A task comes to be delayed while all are cancelled.
static void delays(void *unused)
{
    (void)unused;
    int err = oa_go(run, &delayed_ran, .drop = drop, .coord = coord, .delay = 1);
    model_assert(err == 0 || err == -ESHUTDOWN);
    if (err)
        model_seen(REFUSED);
}

static int spawner, canceller;

static void is_lent_until(void *unused)
{
    (void)unused;
    oai_coord_release(coord);
    oai_coord_work(coord);
    model_join(spawner);
    model_join(canceller);
    oai_coord_destroy(coord);
}

static void delayed_late(void)
{
    reset();
    spawner = model_thread("spawner", delays, NULL);
    canceller = model_thread("canceller", cancels, NULL);
    model_thread("caller", is_lent_until, NULL);
}

MODEL(delayed_late, delayed_late, dropped_once, .bound = 2, .stale = -1, .runs = 2000,
      .leaks = true, .must_see = 1 << DROPPED | 1 << REFUSED);
