// SPDX-License-Identifier: BSD-2-Clause
// main.c - the smallest user: a task that says so. Built against what is installed.
#include <oasync.h>
#include <stdio.h>

static void hello(void *arg)
{
    printf("hello from %s\n", (const char *)arg);
}

int main(void)
{
    return oa_run(hello, (void *)"a task") == 0 ? 0 : 1;
}
