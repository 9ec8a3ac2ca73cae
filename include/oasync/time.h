// SPDX-License-Identifier: BSD-2-Clause
// oasync/time.h - durations, deadlines and the clock.
//
// A duration is an int64_t in nanoseconds: 5 * OA_SECOND. A deadline is an absolute int64_t in
// nanoseconds on CLOCK_MONOTONIC: oa_after(5 * OA_SECOND). The tasks of a simulation have a clock
// of their own instead (see the top of task.h).
#ifndef OASYNC_TIME_H
#define OASYNC_TIME_H

#include <stdint.h>

#if UINTPTR_MAX != UINT64_MAX
#error "oasync needs a 64-bit target"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define OA_MICROSECOND INT64_C(1000)
#define OA_MILLISECOND INT64_C(1000000)
#define OA_SECOND INT64_C(1000000000)
#define OA_MINUTE INT64_C(60000000000)

// As a deadline: never. As a duration: for ever.
#define OA_FOREVER INT64_MAX

// The present time on CLOCK_MONOTONIC, in nanoseconds; in a task of a simulation that of its
// virtual clock, which begins at OA_SECOND and goes on by 100 with each look.
// Any thread, a signal handler too; never waits; cannot fail.
int64_t oa_now(void);

// The deadline `ns` nanoseconds from now. Saturates at OA_FOREVER, which stays OA_FOREVER; a
// negative duration gives a deadline in the past.
// Any thread; never waits; cannot fail.
int64_t oa_after(int64_t ns);

#ifdef __cplusplus
}
#endif

#endif
