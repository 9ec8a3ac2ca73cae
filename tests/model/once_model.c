// SPDX-License-Identifier: BSD-2-Clause
// once_model.c - once: the function is called by one of those who come, all others see what it did,
// and who finds it done may free the object.
//
// Each model is complete within its bounds: three preemptions and any stale reads, where nothing
// else is said.
#include "model.h"
#include "oasync/sync.h"
#include "stub_sched.h"

static oa_once_t *once;
static int made;       // plain: what the function does
static int called[16]; // by thread: plain, each its own element

// Bits for model_seen().
enum { CALLED, FOUND, REFUSED };

static void make(void *unused)
{
    (void)unused;
    oai_pause(); // it lets others run
    made++;
    called[model_self()]++;
    model_assert(oa_once(once, make, NULL) == -EDEADLK);
}

// False: it could not be parked.
static bool come(void)
{
    int err = oa_once(once, make, NULL);
    model_assert(err == 0 || err == -ENOMEM);
    if (err == 0)
        model_assert(made == 1);
    model_seen(err ? REFUSED : called[model_self()] ? CALLED : FOUND);
    return err == 0;
}

static void comes(void *unused)
{
    (void)unused;
    (void)come();
}

static void comes_twice(void *unused)
{
    comes(unused);
    comes(unused);
}

static void reset(void)
{
    stub_reset();
    once = model_alloc(sizeof *once);
    oa_once_init(once);
    model_name_bytes(once, 8, "once.word");
    model_name_bytes((char *)once + 8, sizeof *once - 8, "once.waiters");
    made = 0;
    for (int i = 0; i < 16; i++)
        called[i] = 0;
}

static void called_once(void)
{
    int count = 0;
    for (int i = 0; i < 16; i++)
        count += called[i];
    model_assert(count == 1 && made == 1);
    model_assert(once->oa_private[0] == 2);
}

static void two_tasks(void)
{
    reset();
    stub_task("a", comes_twice, NULL);
    stub_task("b", comes_twice, NULL);
}

static void task_and_thread(void)
{
    reset();
    stub_task("task", comes, NULL);
    model_thread("thread", comes_twice, NULL);
}

static void three(void)
{
    reset();
    stub_refusals = 1;
    stub_task("a", comes_twice, NULL);
    stub_task("b", comes_twice, NULL);
    model_thread("thread", comes, NULL);
}

MODEL(two_tasks, two_tasks, called_once, .must_see = 1 << CALLED | 1 << FOUND);
MODEL(task_and_thread, task_and_thread, called_once, .must_see = 1 << CALLED | 1 << FOUND);
MODEL(three, three, called_once, .bound = 1, .stale = 1,
      .must_see = 1 << CALLED | 1 << FOUND | 1 << REFUSED);

// Of two the one that did not call the function frees the object.
static void comes_and_frees(void *unused)
{
    (void)unused;
    if (come() && !called[model_self()])
        model_free(once);
}

static void task_frees(void)
{
    reset();
    stub_task("a", comes_and_frees, NULL);
    stub_task("b", comes_and_frees, NULL);
}

static void thread_frees(void)
{
    reset();
    model_thread("a", comes_and_frees, NULL);
    stub_task("b", comes_and_frees, NULL);
}

MODEL(task_frees, task_frees, NULL);
MODEL(thread_frees, thread_frees, NULL);
