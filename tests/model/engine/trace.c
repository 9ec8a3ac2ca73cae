// SPDX-License-Identifier: BSD-2-Clause
// trace.c - makes an execution readable: a line per operation, names for addresses, source places.
//
// Only a replay is traced. Code addresses are written into texts as markers ({@address}) and
// turned into "function file:line" by one call of addr2line when the text is printed.
#include "engine.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_NAMES = 256, MAX_CODES = 1024, NAME_SIZE = 80, MAX_LINES = 400 };

struct name {
    uintptr_t start;
    size_t size;
    const char *text;
};

struct code {
    uintptr_t pc;
    char text[160];
};

struct line {
    const void *pc;
    char *text;
};

static struct name names[MAX_NAMES];
static int name_count;
static struct code codes[MAX_CODES];
static int code_count;
static struct line *lines;
static int line_count, line_space;

// ---- Names --------------------------------------------------------------------------------------

void model_name_bytes(const void *start, size_t size, const char *text)
{
    if (!E.trace)
        return;
    int i = 0;
    while (i < name_count && names[i].start != (uintptr_t)start)
        i++;
    if (i == MAX_NAMES)
        return;
    names[i] = (struct name){(uintptr_t)start, size, text};
    name_count += i == name_count;
}

static const struct name *find_name(uintptr_t addr)
{
    const struct name *best = NULL;
    for (int i = 0; i < name_count; i++)
        if (addr >= names[i].start && addr - names[i].start < names[i].size &&
            (!best || names[i].size < best->size))
            best = &names[i];
    return best;
}

// The text stays good for a few calls.
const char *eng_place_name(uintptr_t addr)
{
    static char texts[8][NAME_SIZE];
    static int turn;
    char *text = texts[turn++ % 8];
    const struct name *name = find_name(addr);
    if (name && addr == name->start) {
        snprintf(text, NAME_SIZE, "%s", name->text);
        return text;
    }
    if (name) {
        snprintf(text, NAME_SIZE, "%s+%zu", name->text, (size_t)(addr - name->start));
        return text;
    }
    for (int i = 0; i < E.block_count; i++) {
        uintptr_t start = (uintptr_t)E.blocks[i].start;
        if (addr >= start && addr < start + E.blocks[i].size) {
            snprintf(text, NAME_SIZE, "block%d+%zu", i, (size_t)(addr - start));
            return text;
        }
    }
    uintptr_t stacks = (uintptr_t)E.stacks;
    if (addr >= stacks && addr - stacks < (uintptr_t)STACK_SIZE * MAX_THREADS)
        snprintf(text, NAME_SIZE, "stack of %s:%#lx", E.threads[(addr - stacks) / STACK_SIZE].name,
                 (long)((addr - stacks) % STACK_SIZE));
    else
        snprintf(text, NAME_SIZE, "%#lx", (long)addr);
    return text;
}

const char *eng_order_name(int order)
{
    static const char *const texts[] = {"relaxed", "consume", "acquire",
                                        "release", "acq_rel", "seq_cst"};
    return texts[order & 7];
}

const char *eng_value_text(uint64_t value)
{
    static char texts[8][24];
    static int turn;
    char *text = texts[turn++ % 8];
    snprintf(text, sizeof texts[0], value < 10000 ? "%lu" : "%#lx", (unsigned long)value);
    return text;
}

const char *eng_code(const void *pc)
{
    static char texts[32][32];
    static int turn;
    char *text = texts[turn++ % 32];
    snprintf(text, sizeof texts[0], "{@%lx}", (unsigned long)pc);
    return text;
}

// ---- Source places ------------------------------------------------------------------------------

static const char *code_text(uintptr_t pc)
{
    for (int i = 0; i < code_count; i++)
        if (codes[i].pc == pc)
            return codes[i].text;
    if (code_count == MAX_CODES || !pc)
        return "?";
    codes[code_count].pc = pc;
    snprintf(codes[code_count].text, sizeof codes[0].text, "%#lx", (unsigned long)pc);
    return codes[code_count++].text;
}

// addr2line -f -s prints two lines for each address: the function, the place.
static void read_places(FILE *pipe, int first)
{
    char function[100], place[100];
    for (int i = first; i < code_count; i++) {
        if (!fgets(function, sizeof function, pipe) || !fgets(place, sizeof place, pipe))
            return;
        function[strcspn(function, "\n")] = 0;
        place[strcspn(place, " \n")] = 0;
        if (function[0] != '?')
            snprintf(codes[i].text, sizeof codes[i].text, "%.75s() %.75s", function, place);
    }
}

// Looks up all codes from `first` on.
static void resolve(int first)
{
    extern const char __executable_start[];
    static char command[MAX_CODES * 20 + 200];
    char program[120];
    if (first == code_count)
        return;
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0)
        return;
    program[n] = 0;
    size_t used = (size_t)snprintf(command, sizeof command, "addr2line -f -s -e '%s'", program);
    for (int i = first; i < code_count; i++)
        used += (size_t)snprintf(command + used, sizeof command - used, " %#lx",
                                 (unsigned long)(codes[i].pc - 1 - (uintptr_t)__executable_start));
    snprintf(command + used, sizeof command - used, " 2>/dev/null");
    FILE *pipe = popen(command, "r");
    if (!pipe)
        return;
    read_places(pipe, first);
    pclose(pipe);
}

static void collect(const char *text)
{
    for (const char *at = text; (at = strstr(at, "{@")); at += 2)
        code_text(strtoul(at + 2, NULL, 16));
}

void eng_print_resolved(FILE *out, const char *text)
{
    int first = code_count;
    collect(text);
    resolve(first);
    for (const char *at; (at = strstr(text, "{@")); text = strchr(at, '}') + 1)
        fprintf(out, "%.*s%s", (int)(at - text), text, code_text(strtoul(at + 2, NULL, 16)));
    fprintf(out, "%s", text);
}

// ---- The trace ----------------------------------------------------------------------------------

void eng_trace_reset(void)
{
    for (int i = 0; i < line_count; i++)
        free(lines[i].text);
    line_count = name_count = 0;
}

static void add_line(const void *pc, const char *text)
{
    if (line_count == line_space) {
        line_space = line_space ? 2 * line_space : 256;
        lines = realloc(lines, sizeof *lines * (size_t)line_space);
    }
    lines[line_count++] = (struct line){pc, strdup(text)};
}

void eng_trace(const void *pc, const char *format, ...)
{
    char text[4400];
    int used = snprintf(text, 64, "%5u  %-12s ", E.steps, E.self->name);
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, sizeof text - (size_t)used, format, args);
    va_end(args);
    add_line(pc, text);
}

void model_note(const char *format, ...)
{
    if (!E.trace)
        return;
    char text[1000];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    eng_trace(PC(), "note   %s", text);
}

void eng_trace_print(FILE *out)
{
    int code = code_count, first = line_count > MAX_LINES ? line_count - MAX_LINES : 0;
    for (int i = first; i < line_count; i++) {
        code_text((uintptr_t)lines[i].pc);
        collect(lines[i].text);
    }
    resolve(code);
    fprintf(out, " step  thread       operation\n");
    if (first)
        fprintf(out, "       (%d lines left out)\n", first);
    for (int i = first; i < line_count; i++) {
        eng_print_resolved(out, lines[i].text);
        if (lines[i].pc)
            fprintf(out, "   [%s]", code_text((uintptr_t)lines[i].pc));
        fprintf(out, "\n");
    }
}
