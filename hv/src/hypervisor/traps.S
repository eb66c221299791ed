/* One 16-byte stub per vector, so that traps.c can compute their addresses. */

        .text
        .balign 16
        .globl trap_stubs
        .type trap_stubs, @function
trap_stubs:
        .set vector, 0
        .rept 256
        .balign 16
        /* SDM Vol. 3A, table 6-1: these push an error code of their own. */
        .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
        push $0
        .endif
        push $vector
        jmp trap_common
        .set vector, vector + 1
        .endr
        .size trap_stubs, . - trap_stubs

/* The pushes make a struct trap_frame (detect.h). */
        .type trap_common, @function
trap_common:
        push %rax
        push %rbx
        push %rcx
        push %rdx
        push %rsi
        push %rdi
        push %rbp
        push %r8
        push %r9
        push %r10
        push %r11
        push %r12
        push %r13
        push %r14
        push %r15
        cld
        mov %rsp, %rdi
        call trap_handler
        pop %r15
        pop %r14
        pop %r13
        pop %r12
        pop %r11
        pop %r10
        pop %r9
        pop %r8
        pop %rbp
        pop %rdi
        pop %rsi
        pop %rdx
        pop %rcx
        pop %rbx
        pop %rax
        add $16, %rsp
        iretq
        .size trap_common, . - trap_common

/*
 * bool try_rdpmc(u32 counter): is there such a counter? The one instruction
 * that may fault; trap_handler() knows its address, and where to go then.
 */
        .globl try_rdpmc, try_rdpmc_instruction, try_rdpmc_failed
        .type try_rdpmc, @function
try_rdpmc:
        mov %edi, %ecx
try_rdpmc_instruction:
        rdpmc
        mov $1, %eax
        ret
try_rdpmc_failed:
        xor %eax, %eax
        ret
        .size try_rdpmc, . - try_rdpmc

        .section .note.GNU-stack, "", @progbits
