// SPDX-License-Identifier: BSD-2-Clause
// return_x86_64.S - how a function marked OAI_RESUMED returns (resumed.h tells why).
//
// The compiler jumps here in place of each ret of such a function, by this name: the return address
// is on top of the stack, rax and rdx hold the result, rcx and r11 are free. Weak: a program that is
// compiled so itself has a thunk of its own, which is as right, if slower.
#if defined(__x86_64__)
    .text
    .weak __x86_return_thunk
    .hidden __x86_return_thunk
    .type __x86_return_thunk, @function
    .p2align 5
__x86_return_thunk:
    .cfi_startproc
    movq oai_seat@gottpoff(%rip), %r11
    movq (%rsp), %rcx
    cmpq %rcx, %fs:24(%r11) // the seat's `left`: what the CPU expects
    jne .Lother
    ret
.Lother:
    // Its address, as branches: they come into the history by which the jump is predicted.
    testb $8, %cl
    jz .Lbit4
    nop
.Lbit4:
    testb $16, %cl
    jz .Lbit5
    nop
.Lbit5:
    testb $32, %cl
    jz .Lbit6
    nop
.Lbit6:
    testb $64, %cl
    jz .Lreturn
    nop
.Lreturn:
    addq $8, %rsp
    .cfi_adjust_cfa_offset -8
    .cfi_register %rip, %rcx
    notrack jmp *%rcx
    .cfi_endproc
    .size __x86_return_thunk, . - __x86_return_thunk

    .section .note.gnu.property, "a"
    .p2align 3
    .long 4, 16, 5
    .asciz "GNU"
    .long 0xc0000002, 4, 1, 0
#endif
    .section .note.GNU-stack, "", %progbits
