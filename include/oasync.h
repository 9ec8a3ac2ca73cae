// SPDX-License-Identifier: BSD-2-Clause
// oasync.h - virtual threads for C: the whole public interface.
//
// A task is a virtual thread: plain C code that may wait at any depth of calls. Waiting parks the
// task only; the OS thread beneath it goes on with other tasks. Include this header, or only the
// parts under oasync/ that are needed.
//
// Conventions, once for all headers:
//  - A call that can fail returns an int: 0 on success, or a number above that if it has one to
//    tell, a negative errno value on failure, and never -EINTR; one that returns a pointer, NULL.
//    errno itself tells nothing of it and is not kept.
//  - A duration is an int64_t in nanoseconds; a deadline is a point on CLOCK_MONOTONIC in
//    nanoseconds, made by oa_after(). A call that may wait, but oa_run(), oa_block() and oa_once(),
//    has a twin `..._until` with a deadline; a deadline in the past means: try once, never wait.
//  - After -ECANCELED or -ETIMEDOUT nothing has been taken, given or transferred.
//  - "Any thread" in a comment means: any task and any plain OS thread. A task that waits is
//    parked, a plain OS thread that waits sleeps in the kernel.
//  - In a signal handler only oa_now() may be called.
//  - The macros with options (oa_run, oa_start, oa_go, oa_chain, oa_val, oa_chan_make,
//    oa_chan_consume) are for C. C++ and bindings fill the option struct:
//    oa_spec_t s = OA_SPEC_INIT; s.fn = f; oa_go_spec(&s).
#ifndef OASYNC_H
#define OASYNC_H

#include "oasync/chan.h"
#include "oasync/debug.h"
#include "oasync/group.h"
#include "oasync/sync.h"
#include "oasync/task.h"
#include "oasync/time.h"

// The version of these headers; oa_version() tells that of the library that is linked.
#define OA_VERSION "0.1.0"
#define OA_VERSION_MAJOR 0
#define OA_VERSION_MINOR 1
#define OA_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

// The version of the library, as "major.minor.patch"; a constant string, never NULL.
//     printf("oasync %s\n", oa_version());
// Any thread; never waits; cannot fail.
const char *oa_version(void);

#ifdef __cplusplus
}
#endif

#endif
