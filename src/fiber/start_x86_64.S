// SPDX-License-Identifier: BSD-2-Clause
// start_x86_64.S - the first instructions on a fresh stack.
//
// Called by nobody: oai_raw_enter and oai_raw_switch_enter jump here with rax = code and its
// arguments in rdi, rsi, rdx; rsp is the top of the stack, a multiple of 16. The unwind information
// says that there is no caller, so that backtraces end here.
#if defined(__x86_64__)
    .text
    .globl oai_fiber_start
    .hidden oai_fiber_start
    .type oai_fiber_start, @function
    .p2align 4
    .cfi_startproc
    .cfi_undefined rip
oai_fiber_start:
    // The return address of a call, without the call: the code never returns, and an entry too many
    // in the return predictor would make all returns of who is resumed from here miss.
    leaq .Lnever(%rip), %r8
    pushq %r8
    jmp *%rax
    nop // unwinders look one byte before the return address
.Lnever:
    ud2
    .cfi_endproc
    .size oai_fiber_start, . - oai_fiber_start

// IBT is supported (direct jump here, endbr64 at every resume point), shadow stacks are not.
    .section .note.gnu.property, "a"
    .p2align 3
    .long 4, 16, 5
    .asciz "GNU"
    .long 0xc0000002, 4, 1, 0
#endif
    .section .note.GNU-stack, "", %progbits
