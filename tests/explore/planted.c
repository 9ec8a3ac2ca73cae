// SPDX-License-Identifier: BSD-2-Clause
// planted.c WHAT - a program for tools/oa-explore, with an error that some seeds show. An update
// that was lost ends it with status 3 (exit), by a signal (abort) or never (hang); two that lock in
// opposite orders (deadlock) it survives. Others have no error: fine; differs, for it asks for more
// than the seed; outside, which runs nothing.
#include <oasync.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static oa_mutex_t a = OA_MUTEX_INIT, b = OA_MUTEX_INIT;
static int counter;

static void add_one(void *arg)
{
    (void)arg;
    oa_mutex_lock(&a);
    int seen = counter;
    oa_mutex_unlock(&a);
    oa_mutex_lock(&a);
    counter = seen + 1;
    oa_mutex_unlock(&a);
}

static void lock_both(void *arg)
{
    oa_mutex_t *first = arg, *second = arg == &a ? &b : &a;
    oa_mutex_lock(first);
    if (oa_mutex_lock(second) == 0)
        oa_mutex_unlock(second);
    oa_mutex_unlock(first);
}

static void both(oa_fn *fn, void *one, void *other)
{
    oa_group_t group = OA_GROUP_INIT;
    if (oa_go(fn, one, .group = &group) || oa_go(fn, other, .group = &group))
        exit(1);
    oa_group_wait(&group);
}

static void first(void *arg)
{
    if (strcmp(arg, "deadlock") == 0)
        both(lock_both, &a, &b);
    else if (strcmp(arg, "differs") == 0)
        for (int i = getpid() % 1000; i >= 0; i--)
            oa_yield();
    else
        both(add_one, NULL, NULL);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    printf("%s", argc > 2 ? argv[2] : ""); // what it prints is shown
    printf("\n");
    fflush(stdout);
    if (strcmp(what, "outside") == 0)
        return 0;
    oa_run(first, argv[1]);
    if (counter == 2)
        return 0;
    if (strcmp(what, "abort") == 0)
        abort();
    while (strcmp(what, "hang") == 0)
        sleep(1);
    return strcmp(what, "exit") == 0 ? 3 : 0;
}
