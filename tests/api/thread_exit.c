// SPDX-License-Identifier: BSD-2-Clause
// thread_exit.c - pthread_exit in a task aborts and names it, before its first wait or after.
//
// ctest: not=tsan,valgrind
#include <signal.h>
#include <sys/wait.h>

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

static _Noreturn void child(oa_fn *fn, bool start)
{
    oa_coord_t *own;
    if (!start)
        oa_run(spawn_it, &fn);
    else if (oa_start(&own, spawn_it, &fn, .max_workers = 1) == 0)
        oa_wait(own);
    _exit(0);
}

static void aborts(oa_fn *fn, bool start)
{
    char text[4096] = "";
    size_t size = 0;
    int fds[2], status;
    CHECK_EQ(pipe(fds), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        dup2(fds[1], 2);
        close(fds[0]);
        close(fds[1]);
        child(fn, start);
    }
    close(fds[1]);
    ssize_t n;
    while ((n = read(fds[0], text + size, sizeof text - 1 - size)) > 0)
        size += (size_t)n;
    close(fds[0]);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    const char *expected = "oasync: fatal: pthread_exit in a task spawned at ";
    const char *found = strstr(text, expected);
    CHECK(found != NULL);
    CHECK(strstr(found, "thread_exit.c:") != NULL);
}

int main(void)
{
    for (int start = 0; start <= 1; start++) {
        aborts(leave_at_once, start != 0);
        aborts(leave_later, start != 0);
    }
    return 0;
}
