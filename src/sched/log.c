// SPDX-License-Identifier: BSD-2-Clause
// log.c - lines for the user's logger, or for stderr.
//
// Owns:    nothing. Callers: any thread; the logger is called from where the line arises.
#include <stdarg.h>
#include <stdio.h>

#include "sched/internal.h"

static void to_stderr(const oa_coord_t *coord, int level, const char *line)
{
    static const char *const names[] = {"", "debug", "info", "warn", "error"};
    char text[320];
    int length = snprintf(text, sizeof text, "oasync: %s: %s%s%s\n", names[level], coord->name,
                          coord->name[0] ? ": " : "", line);
    if (length >= (int)sizeof text) {
        length = (int)sizeof text - 1;
        text[length - 1] = '\n';
    }
    oai_os.write(2, text, (size_t)length);
}

void oai_log(oa_coord_t *coord, int level, const char *format, ...)
{
    if (level < coord->log_level)
        return;
    char line[256];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (coord->log)
        coord->log(coord->log_arg, level, line);
    else
        to_stderr(coord, level, line);
}
