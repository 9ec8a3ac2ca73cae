// SPDX-License-Identifier: BSD-2-Clause
// assert.c - the end of a process whose invariant is broken.
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void oai_assert_failed(const char *text, const char *file, int line)
{
    fprintf(stderr, "oasync: fatal: %s:%d: %s\n", file, line, text);
    abort();
}
