// SPDX-License-Identifier: BSD-2-Clause
// match.c - a pattern made ready: compiled regular expressions and a literal to look for first.
//
// regexec() is correct and slow, and takes a lock inside the regex_t. So every worker has a copy of
// its own, and most lines are never shown to it: from the pattern we take the longest string that
// each match must contain, and search.c looks only at lines that hold it. A pattern that is nothing
// but that string needs no regexec() at all. Wherever the reading of the pattern is in doubt, the
// string is cut shorter: that costs time, never a match.
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "grep.h"

// Skips a bracket expression; `p` stands behind its '['. Returns what stands behind its ']'.
static const char *skip_bracket(const char *p)
{
    if (*p == '^')
        p++;
    if (*p == ']')
        p++;
    while (*p && *p != ']') {
        if (*p == '[' && (p[1] == ':' || p[1] == '.' || p[1] == '=')) {
            const char closing[] = {p[1], ']', 0};
            const char *end = strstr(p + 2, closing);
            if (!end)
                return p + strlen(p);
            p = end + 2;
        } else {
            p++;
        }
    }
    return *p ? p + 1 : p;
}

// Skips a group; `p` stands behind its "\(". Returns what stands behind its "\)".
static const char *skip_group(const char *p)
{
    int depth = 1;
    while (*p && depth) {
        if (*p == '[') {
            p = skip_bracket(p + 1);
        } else if (*p == '\\' && p[1]) {
            depth += p[1] == '(' ? 1 : p[1] == ')' ? -1 : 0;
            p += 2;
        } else {
            p++;
        }
    }
    return p;
}

static bool is_repetition(const char *p)
{
    return *p == '*' || (*p == '\\' && p[1] && strchr("{+?", p[1]));
}

// Reads one piece of a basic regular expression at *p and steps over it. Returns the character it
// stands for, or -1 when that is not exactly one, once.
static int read_piece(const char **p)
{
    const char *s = *p;
    int c = (unsigned char)*s++;
    if (c == '[') {
        *p = skip_bracket(s);
        return -1;
    }
    if (c == '\\') {
        c = (unsigned char)*s;
        *p = *s ? s + 1 : s;
        if (c == '(')
            *p = skip_group(*p);
        if (c == '{') {
            const char *end = strstr(*p, "\\}");
            *p = end ? end + 2 : *p + strlen(*p);
        }
        if (!c || !strchr(".[]*^$\\/", c))
            return -1;
    } else {
        *p = s;
        if (strchr(".*^$", c))
            return -1;
    }
    return is_repetition(*p) ? -1 : c;
}

// Finds the longest string that every match of the pattern contains.
static void find_literal(struct matcher *matcher, const char *pattern)
{
    char run[256];
    size_t size = 0;
    size_t pieces = 0;
    if (strstr(pattern, "\\|") || strchr(pattern, '\n'))
        return;
    for (const char *p = pattern; *p; pieces++) {
        int c = read_piece(&p);
        if (c >= 0 && size < sizeof run)
            run[size++] = (char)(options.ignore_case && c >= 'A' && c <= 'Z' ? c + 32 : c);
        if (size > matcher->literal_size) {
            memcpy(matcher->literal, run, size);
            matcher->literal_size = size;
        }
        if (c < 0 || size == sizeof run)
            size = 0;
    }
    matcher->exact = pieces > 0 && matcher->literal_size == pieces;
}

const char *matcher_make(struct matcher *matcher)
{
    static _Thread_local char message[256]; // returned and printed without a wait in between
    const int flags = REG_NOSUB | (options.ignore_case ? REG_ICASE : 0);
    char *copy = strdup(options.pattern);
    size_t lines = 1;
    *matcher = (struct matcher){0};
    for (const char *p = options.pattern; *p; p++)
        lines += *p == '\n';
    matcher->regex = calloc(lines, sizeof *matcher->regex);
    matcher->literal = malloc(256);
    if (!copy || !matcher->regex || !matcher->literal) {
        free(copy);
        return "out of memory";
    }
    const char *problem = NULL;
    char *rest = copy;
    while (rest && !problem) {
        char *line = strsep(&rest, "\n");
        regex_t *regex = &matcher->regex[matcher->regex_count];
        int error = regcomp(regex, line, flags);
        if (error) {
            regerror(error, regex, message, sizeof message);
            problem = message;
        } else {
            matcher->regex_count++;
        }
    }
    free(copy);
    find_literal(matcher, options.pattern);
    return problem;
}

void matcher_free(struct matcher *matcher)
{
    for (size_t i = 0; i < matcher->regex_count; i++)
        regfree(&matcher->regex[i]);
    free(matcher->regex);
    free(matcher->literal);
    *matcher = (struct matcher){0};
}

// Whether the line is selected. Sets *error, an errno value, when that cannot be told.
bool matcher_selects(const struct matcher *matcher, const char *line, size_t size, int *error)
{
    if (size > INT_MAX) {
        *error = EOVERFLOW; // regoff_t is an int
        return false;
    }
    for (size_t i = 0; i < matcher->regex_count; i++) {
        regmatch_t range = {.rm_so = 0, .rm_eo = (regoff_t)size};
        int result = regexec(&matcher->regex[i], line, 1, &range, REG_STARTEND);
        if (result == 0)
            return true;
        if (result != REG_NOMATCH) {
            *error = ENOMEM;
            return false;
        }
    }
    return false;
}
