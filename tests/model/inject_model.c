// SPDX-License-Identifier: BSD-2-Clause
// inject_model.c - the injection queue: what is put is taken once, whole, and in its order.
//
// Foreign threads put, workers take some at a time. A task's plain field is written before it is
// put and after it is taken, so that a task which two have, or one without its contents, is a data
// race or an assertion. Complete to three preemptions, with four threads to two. That nothing comes
// after the end is lifecycle_model.c's subject.
#include "model.h"
#include "sched/internal.h"

#include <string.h>

enum { FOREIGN = 2, EACH = 2, WORKERS = 2 };

static oai_inject_t inject;
static oai_task_t tasks[FOREIGN][EACH];
static int taken_count[WORKERS];

// Outcomes for must_see.
enum { LEFT, ALL_TAKEN, TOOK_TWO, TOOK_THREE };

static void put(oai_task_t *task)
{
    task->id = 10;
    oai_inject_put(&inject, task);
}

// Takes at most `most`; within what one thread has put they come in order.
static int take(size_t most)
{
    oai_task_t *last[FOREIGN] = {NULL, NULL};
    size_t count = 0;
    for (oai_task_t *task = oai_inject_take(&inject, most), *next; task; task = next) {
        next = task->next;
        int from = task >= tasks[1];
        model_assert(task->id == 10); // 11: taken before
        task->id = 11;
        model_assert(!last[from] || last[from] < task);
        last[from] = task;
        count++;
    }
    model_assert(count <= most);
    if (count >= 2)
        model_seen(count == 2 ? TOOK_TWO : TOOK_THREE);
    return (int)count;
}

static void foreign(void *mine)
{
    for (int i = 0; i < EACH; i++)
        put((oai_task_t *)mine + i);
}

static void worker(void *count)
{
    *(int *)count = take(1);
    *(int *)count += take(3);
}

static void dropper(void *mine)
{
    put(mine);
    oai_inject_dropped(&inject);
}

static void reset(void)
{
    memset(&inject, 0, sizeof inject);
    memset(tasks, 0, sizeof tasks);
    memset(taken_count, 0, sizeof taken_count);
    model_name(&inject.lock, "lock");
    model_name(&inject.length, "length");
    model_name(&inject, "inject");
    model_name(&tasks, "tasks");
}

static void all_there(void)
{
    int left = (int)oai_inject_length(&inject);
    model_seen(left ? LEFT : ALL_TAKEN);
    model_assert(take(9) == left);
    model_assert(oai_inject_length(&inject) == 0 && !inject.first && !inject.last);
    int put_count = 0;
    for (int from = 0; from < FOREIGN; from++)
        for (int i = 0; i < EACH; i++)
            put_count += tasks[from][i].id == 11;
    model_assert(put_count == taken_count[0] + taken_count[1] + left);
}

// ---- One foreign thread and two workers: what a worker takes is a piece of the order ------------

static void takers(void)
{
    reset();
    model_thread("foreign", foreign, tasks[0]);
    model_thread("worker", worker, &taken_count[0]);
    model_thread("worker 2", worker, &taken_count[1]);
}

MODEL(takers, takers, all_there, .must_see = 1 << LEFT | 1 << ALL_TAKEN);

// ---- Two foreign threads and a worker -----------------------------------------------------------

static void putters(void)
{
    reset();
    model_thread("foreign", foreign, tasks[0]);
    model_thread("foreign 2", foreign, tasks[1]);
    model_thread("worker", worker, &taken_count[0]);
}

MODEL(putters, putters, all_there,
      .must_see = 1 << LEFT | 1 << ALL_TAKEN | 1 << TOOK_TWO | 1 << TOOK_THREE);

// ---- All four, and each once --------------------------------------------------------------------

static void taker(void *count)
{
    *(int *)count = take(2);
}

static void both_dropped(void)
{
    model_assert(inject.dropped == 2);
    all_there();
}

static void four(void)
{
    reset();
    model_thread("foreign", dropper, tasks[0]);
    model_thread("foreign 2", dropper, tasks[1]);
    model_thread("worker", taker, &taken_count[0]);
    model_thread("worker 2", taker, &taken_count[1]);
}

MODEL(four, four, both_dropped, .bound = 2, .must_see = 1 << LEFT | 1 << ALL_TAKEN | 1 << TOOK_TWO);
