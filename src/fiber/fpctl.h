// SPDX-License-Identifier: BSD-2-Clause
// fpctl.h - the floating-point control words, which the ABI lets a thread keep across calls.
//
// Owns:    nothing but the CPU's registers. Rounding mode, traps and flushing belong to a task and
//          are kept with it; the sticky exception flags are not.
// Callers: the scheduler, when a task parks, resumes or ends. A task starts with the default.
#ifndef OAI_FIBER_FPCTL_H
#define OAI_FIBER_FPCTL_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__x86_64__)

typedef struct oai_fpctl {
    uint32_t mxcsr;
    uint16_t x87;
    uint16_t unused;
} oai_fpctl_t;

enum {
    OAI_MXCSR_CONTROL = 0xffc0, // without the six sticky flags
    OAI_MXCSR_DEFAULT = 0x1f80,
    OAI_X87_DEFAULT = 0x037f,
};

// Reads the words. On Zen 3 that takes 5 ns if they are looked at at once, and 1 if much else is
// done between.
static inline void oai_fpctl_read(oai_fpctl_t *now)
{
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(now->mxcsr), "=m"(now->x87));
}

// Whether what was read is the default, but for sticky flags.
static inline bool oai_fpctl_is_default(const oai_fpctl_t *fp)
{
    return (fp->mxcsr & OAI_MXCSR_CONTROL) == OAI_MXCSR_DEFAULT && fp->x87 == OAI_X87_DEFAULT;
}

// Leaves no sticky flags in what was read.
static inline void oai_fpctl_strip(oai_fpctl_t *fp)
{
    fp->mxcsr &= OAI_MXCSR_CONTROL;
    fp->unused = 0;
}

// "memory": arithmetic must not be moved across, as far as a compiler can be told at all.
static inline void oai_fpctl_set(const oai_fpctl_t *fp)
{
    __asm__ volatile("ldmxcsr %0\n\tfldcw %1" ::"m"(fp->mxcsr), "m"(fp->x87) : "memory");
}

static const oai_fpctl_t OAI_FPCTL_STANDARD = {.mxcsr = OAI_MXCSR_DEFAULT, .x87 = OAI_X87_DEFAULT};

#elif defined(__aarch64__)

typedef struct oai_fpctl {
    uint64_t fpcr; // status is in FPSR, apart
} oai_fpctl_t;

static inline void oai_fpctl_read(oai_fpctl_t *now)
{
    __asm__ volatile("mrs %0, fpcr" : "=r"(now->fpcr));
}

static inline bool oai_fpctl_is_default(const oai_fpctl_t *fp)
{
    return fp->fpcr == 0;
}

static inline void oai_fpctl_strip(oai_fpctl_t *fp)
{
    (void)fp;
}

static inline void oai_fpctl_set(const oai_fpctl_t *fp)
{
    __asm__ volatile("msr fpcr, %0" ::"r"(fp->fpcr) : "memory");
}

static const oai_fpctl_t OAI_FPCTL_STANDARD = {.fpcr = 0};

#else
#error "oasync: no floating-point control for this architecture yet"
#endif

// Reads the words into *now, without sticky flags; true when they differ from the default.
static inline bool oai_fpctl_changed(oai_fpctl_t *now)
{
    oai_fpctl_read(now);
    oai_fpctl_strip(now);
    return !oai_fpctl_is_default(now);
}

// Puts the default in force.
static inline void oai_fpctl_default(void)
{
    oai_fpctl_set(&OAI_FPCTL_STANDARD);
}

// As oai_fpctl_default(), for when the default is most probably in force already: reads first only
// where that is cheaper. On Zen 3 a read of MXCSR takes 5 ns, a write 0.7; on ARM a write waits for
// all that is under way.
static inline void oai_fpctl_restore(void)
{
#if defined(__x86_64__)
    oai_fpctl_default();
#else
    oai_fpctl_t fp;
    if (__builtin_expect(oai_fpctl_changed(&fp), 0))
        oai_fpctl_default();
#endif
}

#endif
