// SPDX-License-Identifier: BSD-2-Clause
// overflow.c - the line that names a task which has run over its stack (overflow.h).
//
// Owns:    nothing. All that it reads is the thread's own: what it is (self.h), the task that it
//          runs, the header of the stack. It takes no lock, and calls nothing but write().
#include "sched/overflow.h"

#include <string.h>

#include "sched/internal.h"

// ---- The line -----------------------------------------------------------------------------------

typedef struct line {
    char text[512];
    size_t length;
} line_t;

static void put(line_t *line, const char *text)
{
    while (*text && line->length < sizeof line->text)
        line->text[line->length++] = *text++;
}

static void put_number(line_t *line, uint64_t number)
{
    char digits[24];
    size_t at = sizeof digits;
    digits[--at] = '\0';
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    put(line, digits + at);
}

static void tell(const oai_task_t *task, size_t stack_size)
{
    line_t line = {.length = 0};
    const char *name = oai_task_name(task);
    put(&line, "oasync: fatal: stack overflow in task ");
    put_number(&line, task->id);
    put(&line, " (");
    put(&line, name);
    put(&line, *name ? ", " : "");
    put(&line, task->where ? task->where : "?");
    put(&line, "), which has ");
    put_number(&line, stack_size >> 10);
    put(&line, " KiB of stack\n");
    oai_os.write(2, line.text, line.length);
}

// ---- Whose it was -------------------------------------------------------------------------------

static bool in_guard(oai_span_t touched, const void *low, size_t guard)
{
    uintptr_t from = (uintptr_t)touched.base, end = (uintptr_t)low;
    return from < end && from + touched.size > end - guard;
}

bool oai_overflow_tell(oai_span_t touched)
{
    const oai_worker_t *worker = oai_self();
    const oai_task_t *task = worker ? worker->current : oai_hosted();
    const oai_stack_t *stack = NULL;
    oai_span_t own = {NULL, 0}; // of a hosted task: its thread's
    if (!task || touched.size == 0)
        return false;
    if (worker)
        stack = OAI_OWN_STACKS ? task->stack : worker->stack;
    else
        own = oai_seat_here()->stack;
    // The guard of a thread's stack is as large as the C library makes it, a page at least.
    const void *low = stack ? stack->low : own.base;
    size_t guard = stack ? oai_stack_class_guard(stack->cls) : oai_os_page_size();
    if (!in_guard(touched, low, guard))
        return false;
    tell(task, stack ? oai_stack_class_usable(stack->cls) : own.size);
    return true;
}
