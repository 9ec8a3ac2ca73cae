// SPDX-License-Identifier: BSD-2-Clause
// stats.c - what a coordinator has done, in numbers.
#include <errno.h>
#include <string.h>

#include "oasync/debug.h"
#include "sched/sched.h"

int oa_stats(oa_coord_t *coord, oa_stats_t *out)
{
    if (!out || out->size < sizeof out->size)
        return -EINVAL;
    if (!coord && !(coord = oa_coord()))
        return -EPERM;
    oa_stats_t stats = {.size = out->size};
    oai_coord_stats(coord, &stats);
    size_t size = out->size < sizeof stats ? out->size : sizeof stats;
    memcpy(out, &stats, size);
    memset((char *)out + size, 0, out->size - size);
    return 0;
}
