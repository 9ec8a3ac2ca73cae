// SPDX-License-Identifier: BSD-2-Clause
// runtime.c - the roof: run, start, wait.
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fiber/stack.h"
#include "oasync.h"
#include "os/os.h"
#include "sched/sched.h"
#include "sched/self.h"

enum { MOST_BLOCKING = 65536 };

const char *oa_version(void)
{
    return OA_VERSION;
}

// Fields that are 0 get what the environment says; what it says wrongly is not heard.
static void read_environment(oa_config_t *config)
{
    const char *workers = config->max_workers ? NULL : oai_os_getenv("OASYNC_WORKERS");
    if (workers) {
        char *end;
        long count = strtol(workers, &end, 10);
        if (*workers && !*end && count >= 1 && count <= OAI_MOST_WORKERS)
            config->max_workers = (int)count;
    }
    const char *seed = config->simulate ? NULL : oai_os_getenv("OASYNC_SIMULATE");
    if (seed) {
        char *end;
        unsigned long long number = strtoull(seed, &end, 10);
        if (*seed >= '0' && *seed <= '9' && !*end)
            config->simulate = number;
    }
    static const char *const levels[] = {NULL, "debug", "info", "warn", "error", "off"};
    const char *level = config->log_level ? NULL : oai_os_getenv("OASYNC_LOG");
    for (int i = OA_LOG_DEBUG; level && i <= OA_LOG_OFF; i++)
        if (strcmp(level, levels[i]) == 0)
            config->log_level = i;
}

// A bad configuration is told before there is a coordinator to tell it.
static int reject(const oa_config_t *config, const char *reason)
{
    if (config->log_level == OA_LOG_OFF)
        return -EINVAL;
    if (config->log) {
        config->log(config->log_arg, OA_LOG_ERROR, reason);
        return -EINVAL;
    }
    char line[128];
    const char *name = config->name ? config->name : "";
    int length = snprintf(line, sizeof line, "oasync: error: %.31s%s%s\n", name,
                          name[0] ? ": " : "", reason);
    oai_os.write(2, line, (size_t)length);
    return -EINVAL;
}

static int read_config(oa_config_t *known, const oa_config_t *given)
{
    int err = oai_options_read(known, sizeof *known, given, offsetof(oa_config_t, arg));
    if (err)
        return err;
    if (!known->fn)
        return -EINVAL;
    read_environment(known);
    if (known->log_level < 0 || known->log_level > OA_LOG_OFF) {
        known->log_level = 0;
        return reject(known, "log_level is none of the OA_LOG_ levels");
    }
    if (known->max_workers < 0 || known->max_workers > OAI_MOST_WORKERS)
        return reject(known, "max_workers must be 0 to 1024");
    if (known->max_blocking < 0 || known->max_blocking > MOST_BLOCKING)
        return reject(known, "max_blocking must be 0 to 65536");
    if (known->stack_size && !oai_stack_size_ok(known->stack_size))
        return reject(known, "stack_size must be at least 4 KiB and less than 1 GiB");
    return 0;
}

int oa_run_config(const oa_config_t *given)
{
    oa_config_t config;
    int err = read_config(&config, given);
    if (err)
        return err;
    if (oai_self()) // a hosted task may: its thread is lent
        return -EPERM;
    oa_coord_t *coord;
    err = oai_coord_create(&coord, &config, true);
    if (err)
        return err;
    oai_coord_release(coord);
    oai_coord_work(coord);
    err = oai_coord_outcome(coord);
    oai_coord_destroy(coord);
    return err;
}

int oa_start_config(oa_coord_t **coord, const oa_config_t *given)
{
    oa_config_t config;
    if (!coord)
        return -EINVAL;
    *coord = NULL;
    int err = read_config(&config, given);
    return err ? err : oai_coord_create(coord, &config, false);
}

int oa_wait_until(oa_coord_t *coord, int64_t deadline)
{
    if (!coord)
        return -EINVAL;
    int err = oai_coord_wait(coord, deadline);
    if (err == 0)
        oai_coord_destroy(coord);
    return err;
}

int oa_wait(oa_coord_t *coord)
{
    return oa_wait_until(coord, OA_FOREVER);
}
