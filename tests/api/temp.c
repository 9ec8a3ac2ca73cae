// SPDX-License-Identifier: BSD-2-Clause
// temp.c - oa_temp: memory of a task, aligned, its own, there until the task has ended.
// That it is freed then the leak checkers tell.
// ctest: simulate
#include <stdalign.h>

#include "support.h"

enum { PIECES = 300, TASKS = 50 };

static void outside(void *arg)
{
    (void)arg;
    CHECK(oa_temp(1) == NULL);
}

static size_t size_of(unsigned i)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 100, 200, 1000, 5000, 70000};
    return i % 31 == 30 ? sizes[i % 10] : sizes[i % 6];
}

static void fill(void *arg)
{
    unsigned char *pieces[PIECES];
    unsigned seed = *(unsigned *)arg;
    for (unsigned i = 0; i < PIECES; i++) {
        size_t size = size_of(i + seed);
        pieces[i] = oa_temp(size);
        CHECK(pieces[i] != NULL && (uintptr_t)pieces[i] % alignof(max_align_t) == 0);
        memset(pieces[i], (unsigned char)(i + seed), size ? size : 1);
        if (i % 100 == 50)
            oa_yield();
    }
    for (unsigned i = 0; i < PIECES; i++)
        for (size_t k = size_of(i + seed); k > 0; k--)
            CHECK(pieces[i][k - 1] == (unsigned char)(i + seed));
}

// Many tasks, whose pieces do not overlap, nor change over a wait.
static void pieces(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    for (unsigned i = 0; i < TASKS; i++)
        CHECK_EQ(oa_go(fill, oa_val(i), .group = &group, .coord = coord), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
}

static void first_large(void *arg)
{
    (void)arg;
    char *large = oa_temp(1 << 20);
    char *small = oa_temp(1);
    CHECK(large != NULL && small != NULL);
    memset(large, 1, 1 << 20);
    *small = 2;
    CHECK_EQ(large[(1 << 20) - 1], 1);
}

static void too_much(void *arg)
{
    (void)arg;
    size_t sizes[] = {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX / 2 + 1, SIZE_MAX / 4};
    if (test_under("asan") || test_under("tsan") || test_under("valgrind"))
        sizes[3] = SIZE_MAX; // there malloc does not return
    for (int i = 0; i < 4; i++)
        CHECK(oa_temp(sizes[i]) == NULL);
    CHECK(oa_temp(1) != NULL); // and it may be asked again
}

static void write_word(void *arg)
{
    *(int *)arg = 7;
}

// Others may use it as long as its task has not ended.
static void lent(void *arg)
{
    (void)arg;
    int *word = oa_temp(sizeof *word);
    oa_task_t *task;
    CHECK_EQ(oa_go(write_word, word, .task = &task), 0);
    join(task);
    CHECK_EQ(*word, 7);
}

static void moves(void *arg)
{
    int *words[200];
    (void)arg;
    for (int i = 0; i < 200; i++) {
        words[i] = oa_temp(sizeof(int));
        *words[i] = i;
        if (i % 10 == 0)
            change_worker();
    }
    for (int i = 0; i < 200; i++)
        CHECK_EQ(*words[i], i);
}

int main(void)
{
    outside(NULL);
    everywhere(pieces);
    in_tasks(first_large);
    in_tasks(too_much);
    in_tasks(lent);
    if (!simulated())
        on_two_workers(moves);
    outside(NULL);
    return 0;
}
