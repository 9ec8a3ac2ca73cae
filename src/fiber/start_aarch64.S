// SPDX-License-Identifier: BSD-2-Clause
// start_aarch64.S - the first instructions on a fresh stack.
//
// Called by nobody: oai_raw_enter and oai_raw_switch_enter jump here with x4 = code and its
// arguments in x0, x1, x2; sp is the top of the stack, a multiple of 16. The unwind information and
// the frame pointer say that there is no caller, so that backtraces end here.
#if defined(__aarch64__)
    .text
    .globl oai_fiber_start
    .hidden oai_fiber_start
    .type oai_fiber_start, %function
    .p2align 4
    .cfi_startproc
    .cfi_undefined x30
oai_fiber_start:
    // The return address of a call, without the call: the code never returns, and an entry too many
    // in the return predictor would make all returns of who is resumed from here miss. x16, so that
    // the landing pads of functions accept it.
    mov x29, xzr
    adr x30, .Lnever
    mov x16, x4
    br x16
    nop // unwinders look before the return address
.Lnever:
    brk #1
    .cfi_endproc
    .size oai_fiber_start, . - oai_fiber_start

// BTI is supported (direct branch here, bti j at every resume point).
    .section .note.gnu.property, "a"
    .p2align 3
    .long 4, 16, 5
    .asciz "GNU"
    .long 0xc0000000, 4, 1, 0
#endif
    .section .note.GNU-stack, "", %progbits
