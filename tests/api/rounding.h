// SPDX-License-Identifier: BSD-2-Clause
// rounding.h - the rounding mode of floating-point arithmetic, which belongs to a task.
#pragma once

#include <stdint.h>

// The rounding modes, in the control word itself: there is no libm here.
enum { NEAREST, UPWARD, DOWNWARD };

#if defined(__x86_64__)
static const unsigned mode_bits[] = {0, 2, 1, 3};

static inline void set_rounding(int mode)
{
    __builtin_ia32_ldmxcsr((__builtin_ia32_stmxcsr() & ~0x6000U) | mode_bits[mode] << 13);
}

static inline int rounding(void)
{
    return (int)mode_bits[__builtin_ia32_stmxcsr() >> 13 & 3]; // its own inverse
}
#elif defined(__aarch64__)
static inline uint64_t read_fpcr(void)
{
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return fpcr;
}

static inline void set_rounding(int mode)
{
    uint64_t fpcr = (read_fpcr() & ~(uint64_t)(3 << 22)) | (uint64_t)mode << 22;
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr));
}

static inline int rounding(void)
{
    return (int)(read_fpcr() >> 22 & 3);
}
#endif
