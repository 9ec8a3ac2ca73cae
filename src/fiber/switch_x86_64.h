// SPDX-License-Identifier: BSD-2-Clause
// switch_x86_64.h - the bare switch on x86-64.
//
// Owns:    the layout of the first four words of oai_context_t.
// Callers: fiber.h only, which tells the sanitizers.
// Design:  rip, rsp, rbp and rbx are stored by hand, everything else is declared clobbered, so that
//          the compiler saves what lives and nothing more. Nothing is pushed: the red zone of the
//          function this is inlined into stays whole. rbx by hand because clang may use it as base
//          pointer and does not accept it as clobbered; rbp because it may be the frame pointer.
//          Who is resumed finds in rdi the context of who left, NULL when that is gone for good.
//          Shadow stacks (CET SHSTK) are not supported; the IBT half is (endbr64).
#ifndef OAI_FIBER_SWITCH_X86_64_H
#define OAI_FIBER_SWITCH_X86_64_H

#include <stddef.h>

#include "fiber/context.h"

_Static_assert(offsetof(oai_context_t, ip) == 0, "the asm below stores by these offsets");
_Static_assert(offsetof(oai_context_t, sp) == 8, "the asm below stores by these offsets");
_Static_assert(offsetof(oai_context_t, bp) == 16, "the asm below stores by these offsets");
_Static_assert(offsetof(oai_context_t, bx) == 24, "the asm below stores by these offsets");

#ifdef __AVX512F__
#define OAI_CLOBBER_AVX512                                                                        \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",   \
        "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k0", "k1", "k2", "k3", "k4", "k5", \
        "k6", "k7"
#else
#define OAI_CLOBBER_AVX512
#endif

#ifdef __APX_F__
#define OAI_CLOBBER_APX                                                                      \
    , "r16", "r17", "r18", "r19", "r20", "r21", "r22", "r23", "r24", "r25", "r26", "r27",    \
        "r28", "r29", "r30", "r31"
#else
#define OAI_CLOBBER_APX
#endif

// Everything but rip, rsp, rbp, rbx and the operands (rdi, rsi, rax, rcx, rdx).
#define OAI_CLOBBERS                                                                           \
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3",      \
        "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",    \
        "xmm14", "xmm15", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", \
        "mm0", "mm1", "mm2", "mm3", "mm4", "mm5", "mm6", "mm7", "memory",                      \
        "cc" OAI_CLOBBER_AVX512 OAI_CLOBBER_APX

#define OAI_SAVE(ctx)                    \
    "leaq 1f(%%rip), %%r8\n\t"           \
    "movq %%r8, 0(" ctx ")\n\t"          \
    "movq %%rsp, 8(" ctx ")\n\t"         \
    "movq %%rbp, 16(" ctx ")\n\t"        \
    "movq %%rbx, 24(" ctx ")\n\t"

#define OAI_RESUME(ctx)                  \
    "movq 8(" ctx "), %%rsp\n\t"         \
    "movq 16(" ctx "), %%rbp\n\t"        \
    "movq 24(" ctx "), %%rbx\n\t"        \
    "jmpq *0(" ctx ")\n\t"

// The trampoline in start_x86_64.S: calls rax with rdi, rsi, rdx; unwinding ends there.
#define OAI_START                        \
    "movq %%rcx, %%rsp\n\t"              \
    "xorl %%ebp, %%ebp\n\t"              \
    "jmp oai_fiber_start\n\t"

// Saves here, resumes `to`. Returns the context of whoever resumed this one, or NULL.
OAI_ALWAYS_INLINE oai_context_t *oai_raw_switch(oai_context_t *save, oai_context_t *to)
{
    __asm__ volatile(OAI_SAVE("%%rdi") OAI_RESUME("%%rsi") "1:\tendbr64"
                     : "+D"(save), "+S"(to)
                     :
                     : "rax", "rcx", "rdx", OAI_CLOBBERS);
    return save;
}

// Saves here, calls code(arg, entry, save) on the stack that ends at top.
OAI_ALWAYS_INLINE oai_context_t *oai_raw_switch_enter(oai_context_t *save, void *top, void *code,
                                                      void *entry, void *arg)
{
    __asm__ volatile(OAI_SAVE("%%rdx") OAI_START "1:\tendbr64"
                     : "+D"(arg), "+S"(entry), "+d"(save), "+c"(top), "+a"(code)
                     :
                     : OAI_CLOBBERS);
    return (oai_context_t *)arg; // rdi: see above
}

// As oai_raw_switch, but this stack is gone.
OAI_ALWAYS_INLINE _Noreturn void oai_raw_jump(oai_context_t *to)
{
    __asm__ volatile(OAI_RESUME("%%rsi") : : "D"((void *)0), "S"(to) : "memory");
    __builtin_unreachable();
}

// As oai_raw_switch_enter, but this stack is gone.
OAI_ALWAYS_INLINE _Noreturn void oai_raw_enter(void *top, void *code, void *entry, void *arg)
{
    __asm__ volatile(OAI_START
                     :
                     : "D"(arg), "S"(entry), "d"((void *)0), "c"(top), "a"(code)
                     : "memory");
    __builtin_unreachable();
}

#undef OAI_SAVE
#undef OAI_RESUME
#undef OAI_START
#undef OAI_CLOBBERS
#undef OAI_CLOBBER_AVX512
#undef OAI_CLOBBER_APX

#endif
