// SPDX-License-Identifier: BSD-2-Clause
// simulate_notes.c - without memory for the notes of a simulation's tasks a deadlock ends as ever:
// all waits are broken, also those that guard memory, and each returns once.
#include <errno.h>
#include <stdatomic.h>

#include "os/os.h"
#include "sched/note.h"
#include "simulate.h"

static void *(*real_alloc)(size_t);
static atomic_bool refuses;

static void *alloc(size_t size)
{
    if (atomic_load(&refuses) && size == oai_slab_slots() * sizeof(oai_note_t))
        return NULL;
    return real_alloc(size);
}

// There is memory again when the deadlock is told.
static void take_error(void *arg, int level, const char *line)
{
    atomic_store(&refuses, false);
    take_line(arg, level, line);
}

static oa_sem_t none;
static int returned;

static void waits(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_acquire(&none), -EDEADLK);
}

// Its wait is broken, and then the task that it has waited for ends: it is not let go once more.
static void joins(void *arg)
{
    oa_task_t *task;
    (void)arg;
    CHECK_EQ(oa_go(waits, .task = &task), 0);
    int err = oa_join(task);
    CHECK(err == 0 || err == -EDEADLK);
    returned++;
    for (int i = 0; i < 3; i++)
        oa_yield();
}

int main(void)
{
    if (!alone())
        return 0;
    real_alloc = oai_os.alloc;
    oai_os.alloc = alloc;
    for (uint64_t seed = 1; seed <= few_seeds(); seed++) {
        struct log log = {.lines = 0};
        oa_sem_init(&none, 0);
        returned = 0;
        atomic_store(&refuses, true);
        CHECK_EQ(oa_run(joins, .simulate = seed, .log = take_error, .log_arg = &log,
                        .log_level = OA_LOG_ERROR),
                 -EDEADLK);
        CHECK(!atomic_load(&refuses));
        CHECK_EQ(returned, 1);
        CHECK(strstr(log.errors, "deadlock: 2 tasks wait for ever") != NULL);
    }
    return 0;
}
