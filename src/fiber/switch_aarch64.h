// SPDX-License-Identifier: BSD-2-Clause
// switch_aarch64.h - the bare switch on 64-bit ARM.
//
// Owns:    the layout of the first four words of oai_context_t.
// Callers: fiber.h only, which tells the sanitizers.
// Design:  as switch_x86_64.h. By hand: the resume address, sp, x29 (frame pointer), x19 (clang's
//          base pointer). Who is resumed finds in x0 the context of who left, or NULL. The branch
//          goes through x16 and lands on "bti j" (a hint, harmless on older cores).
#ifndef OAI_FIBER_SWITCH_AARCH64_H
#define OAI_FIBER_SWITCH_AARCH64_H

#include <stddef.h>

#include "fiber/context.h"

_Static_assert(offsetof(oai_context_t, ip) == 0, "the asm below stores by these offsets");
_Static_assert(offsetof(oai_context_t, sp) == 8, "the asm below stores by these offsets");
_Static_assert(offsetof(oai_context_t, bp) == 16, "the asm below stores by these offsets");
_Static_assert(offsetof(oai_context_t, bx) == 24, "the asm below stores by these offsets");

#ifdef __ARM_FEATURE_SVE
#define OAI_CLOBBER_VECTOR                                                                       \
    "z0", "z1", "z2", "z3", "z4", "z5", "z6", "z7", "z8", "z9", "z10", "z11", "z12", "z13",      \
        "z14", "z15", "z16", "z17", "z18", "z19", "z20", "z21", "z22", "z23", "z24", "z25",      \
        "z26", "z27", "z28", "z29", "z30", "z31", "p0", "p1", "p2", "p3", "p4", "p5", "p6",      \
        "p7", "p8", "p9", "p10", "p11", "p12", "p13", "p14", "p15"
#else
#define OAI_CLOBBER_VECTOR                                                                       \
    "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13",      \
        "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25",      \
        "v26", "v27", "v28", "v29", "v30", "v31"
#endif

// Everything but sp, x19, x29 and the operands (x0 to x4).
#define OAI_CLOBBERS                                                                             \
    "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", \
        "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x30", "memory", "cc",    \
        OAI_CLOBBER_VECTOR

#define OAI_SAVE(ctx)                    \
    "adr x16, 1f\n\t"                    \
    "mov x17, sp\n\t"                    \
    "stp x16, x17, [" ctx "]\n\t"        \
    "stp x29, x19, [" ctx ", #16]\n\t"

#define OAI_RESUME(ctx)                  \
    "ldp x16, x17, [" ctx "]\n\t"        \
    "ldp x29, x19, [" ctx ", #16]\n\t"   \
    "mov sp, x17\n\t"                    \
    "br x16\n\t"

// The trampoline in start_aarch64.S: calls x4 with x0, x1, x2; unwinding ends there.
#define OAI_START                        \
    "mov sp, x3\n\t"                     \
    "b oai_fiber_start\n\t"

OAI_ALWAYS_INLINE oai_context_t *oai_raw_switch(oai_context_t *save, oai_context_t *to)
{
    register oai_context_t *x0 __asm__("x0") = save;
    register oai_context_t *x1 __asm__("x1") = to;
    __asm__ volatile(OAI_SAVE("x0") OAI_RESUME("x1") "1:\thint #36"
                     : "+r"(x0), "+r"(x1)
                     :
                     : "x2", "x3", "x4", OAI_CLOBBERS);
    return x0;
}

OAI_ALWAYS_INLINE oai_context_t *oai_raw_switch_enter(oai_context_t *save, void *top, void *code,
                                                      void *entry, void *arg)
{
    register void *x0 __asm__("x0") = arg;
    register void *x1 __asm__("x1") = entry;
    register void *x2 __asm__("x2") = save;
    register void *x3 __asm__("x3") = top;
    register void *x4 __asm__("x4") = code;
    __asm__ volatile(OAI_SAVE("x2") OAI_START "1:\thint #36"
                     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x4)
                     :
                     : OAI_CLOBBERS);
    return (oai_context_t *)x0;
}

OAI_ALWAYS_INLINE _Noreturn void oai_raw_jump(oai_context_t *to)
{
    register void *x0 __asm__("x0") = (void *)0;
    register oai_context_t *x1 __asm__("x1") = to;
    __asm__ volatile(OAI_RESUME("x1") : : "r"(x0), "r"(x1) : "x16", "x17", "memory");
    __builtin_unreachable();
}

OAI_ALWAYS_INLINE _Noreturn void oai_raw_enter(void *top, void *code, void *entry, void *arg)
{
    register void *x0 __asm__("x0") = arg;
    register void *x1 __asm__("x1") = entry;
    register void *x2 __asm__("x2") = (void *)0;
    register void *x3 __asm__("x3") = top;
    register void *x4 __asm__("x4") = code;
    __asm__ volatile(OAI_START : : "r"(x0), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    __builtin_unreachable();
}

#undef OAI_SAVE
#undef OAI_RESUME
#undef OAI_START
#undef OAI_CLOBBERS
#undef OAI_CLOBBER_VECTOR

#endif
