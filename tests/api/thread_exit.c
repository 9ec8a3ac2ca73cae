// SPDX-License-Identifier: BSD-2-Clause
// thread_exit.c - pthread_exit in a task aborts and names it, before its first wait or after.
//
// ctest: not=tsan,valgrind
#include <signal.h>

#include "child.h"
#include "support.h"

static void leave_at_once(void *arg)
{
    (void)arg;
    pthread_exit(NULL);
}

static void leave_later(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sleep(OA_MICROSECOND), 0);
    pthread_exit(NULL);
}

static void spawn_it(void *fn)
{
    oa_spec_t spec = OA_SPEC_INIT;
    spec.fn = *(oa_fn **)fn;
    CHECK_EQ(oa_go_spec(&spec), 0);
}

static void run(void *fn)
{
    oa_run(spawn_it, fn);
}

static void start(void *fn)
{
    oa_coord_t *own;
    if (oa_start(&own, spawn_it, fn, .max_workers = 1) == 0)
        oa_wait(own);
}

static void aborts(oa_fn *fn, void (*in)(void *fn))
{
    char text[4096];
    int status = test_child(in, &fn, text, sizeof text);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    const char *expected = "oasync: fatal: pthread_exit in a task spawned at ";
    const char *found = strstr(text, expected);
    CHECK(found != NULL);
    CHECK(strstr(found, "thread_exit.c:") != NULL);
}

int main(void)
{
    aborts(leave_at_once, run);
    aborts(leave_at_once, start);
    aborts(leave_later, run);
    aborts(leave_later, start);
    return 0;
}
