// SPDX-License-Identifier: BSD-2-Clause
// fault.h - makes calls to the operating system fail, one at a time or at random.
//
// Link the static library. fault_install() before the runtime starts its first thread; arming and
// disarming may happen at any time from any thread. Only calls of the kinds in the mask are counted
// and can fail.
#pragma once

#include <stdint.h>

enum {
    FAULT_ALLOC = 1 << 0,      // NULL
    FAULT_MAP = 1 << 1,        // -ENOMEM
    FAULT_UNMAP = 1 << 2,      // -ENOMEM, nothing unmapped
    FAULT_DISCARD = 1 << 3,    // -EAGAIN
    FAULT_REFRESH = 1 << 4,    // -ENOMEM
    FAULT_GUARD = 1 << 5,      // -ENOMEM, with the first half of the spans guarded
    FAULT_PROTECT = 1 << 6,    // -ENOMEM
    FAULT_THREAD = 1 << 7,     // -EAGAIN
    FAULT_WRITE = 1 << 8,      // -EIO
    FAULT_MEMBARRIER = 1 << 9, // -ENOSYS; in truth only the first call of a process can fail
    FAULT_FUTEX = 1 << 10,     // 0 without having slept, as after a signal
    // What the kernel can do to a running program at any time.
    FAULT_USUAL = FAULT_MEMBARRIER - 1,
    FAULT_ANY = (FAULT_FUTEX << 1) - 1,
};

// Puts the counting wrappers into oai_os, disarmed, with the mask FAULT_USUAL. Idempotent.
void fault_install(void);
void fault_remove(void);

// Which kinds are counted and may fail.
void fault_mask(unsigned kinds);

// The k-th call from now on fails (k = 1: the next one), once.
void fault_fail_at(uint64_t k);
// The k-th call from now on and all after it fail.
void fault_fail_from(uint64_t k);
// Each call fails with a probability of 1 in n; the same seed gives one thread the same failures.
void fault_random(uint64_t one_in, uint64_t seed);
// No call fails; counting goes on.
void fault_disarm(void);

// Since the last of the four calls above: calls seen, and calls made to fail.
uint64_t fault_calls(void);
uint64_t fault_injected(void);

// Bytes that were mapped through the table since fault_install() and are not unmapped.
int64_t fault_mapped(void);
