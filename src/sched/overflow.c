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

// A stack from our pool, of a worker's task. True: told.
static bool tell_pooled(const oai_task_t *task, const oai_stack_t *stack, uintptr_t address)
{
    uintptr_t low = (uintptr_t)stack->low;
    if (address >= low || low - address > oai_stack_class_guard(stack->cls))
        return false;
    tell(task, oai_stack_class_usable(stack->cls));
    return true;
}

// A thread's own stack: the guard below it is as large as the C library makes it, a page at least.
static bool tell_hosted(const oai_task_t *task, uintptr_t address)
{
    const oai_span_t *stack = &oai_seat_here()->stack;
    uintptr_t low = (uintptr_t)stack->base;
    if (address >= low || low - address > oai_os_page_size())
        return false;
    tell(task, stack->size);
    return true;
}

bool oai_overflow_tell(uintptr_t address)
{
    const oai_worker_t *worker = oai_self();
    const oai_task_t *hosted = worker ? NULL : oai_hosted();
    if (hosted)
        return tell_hosted(hosted, address);
    if (!worker || !worker->current)
        return false;
    const oai_stack_t *stack = OAI_OWN_STACKS ? worker->current->stack : worker->stack;
    return stack && tell_pooled(worker->current, stack, address);
}
