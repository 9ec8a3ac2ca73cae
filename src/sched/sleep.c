// SPDX-License-Identifier: BSD-2-Clause
// sleep.c - time, and waiting for nothing but its passing.
#include "oasync/time.h"

#include "sched/internal.h"

int64_t oa_now(void)
{
    return oai_now();
}

int64_t oa_after(int64_t ns)
{
    int64_t deadline;
    return __builtin_add_overflow(oai_now(), ns, &deadline) ? OA_FOREVER : deadline;
}

int oa_sleep_until(int64_t deadline)
{
    oai_wait_t wait;
    oai_point("oa_sleep", NULL);
    int err = oai_wait_begin(&wait, true);
    if (err || oai_wait_expired(deadline))
        return err;
    oai_wait_arm(&wait);
    err = oai_wait_park(&wait, deadline);
    return err == -ETIMEDOUT ? 0 : err;
}

int oa_sleep(int64_t ns)
{
    return ns < 0 ? -EINVAL : oa_sleep_until(oa_after(ns));
}
