// SPDX-License-Identifier: BSD-2-Clause
// child.h - a child process that is to die, and what it says first.
#pragma once

#include <sys/resource.h>
#include <sys/wait.h>

#include "check.h"

// Calls fn(arg) in a child process, which ends with status 0 if it returns. What it writes to
// standard error comes into `text`. Returns the status of waitpid().
static inline int test_child(void (*fn)(void *), void *arg, char *text, size_t size)
{
    size_t length = 0;
    int fds[2], status;
    CHECK_EQ(pipe(fds), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        dup2(fds[1], 2);
        close(fds[0]);
        close(fds[1]);
        fn(arg);
        _exit(0);
    }
    close(fds[1]);
    ssize_t n;
    while (length < size - 1 && (n = read(fds[0], text + length, size - 1 - length)) > 0)
        length += (size_t)n;
    text[length] = '\0';
    close(fds[0]);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}
