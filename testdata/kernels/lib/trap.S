/*
 * Every vector comes here, with its number and an error code (or 0) on the
 * stack. trap() in test.c says whether to return to where it happened or to
 * the end of the TRY around it.
 */
#ifdef __x86_64__
#define W(op)   op##q
#define SP      %rsp
#define BP      %rbp
        .macro  push_all
        .irp    r, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax
        push    %\r
        .endr
        .endm
        .macro  pop_all
        .irp    r, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
        pop     %\r
        .endr
        .endm
#else
#define W(op)   op##l
#define SP      %esp
#define BP      %ebp
        .macro  push_all
        .irp    r, edi, esi, ebp, ebx, edx, ecx, eax
        push    %\r
        .endr
        .endm
        .macro  pop_all
        .irp    r, eax, ecx, edx, ebx, ebp, esi, edi
        pop     %\r
        .endr
        .endm
#endif

        .text
        .globl  vectors
        .align  16
vectors:
        .set    n, 0
        .rept   256
        .align  16
        .if     n == 8 || (n >= 10 && n <= 14) || n == 17 || n == 21
        .else
        W(push) $0
        .endif
        W(push) $n
        jmp     common
        .set    n, n + 1
        .endr

common:
        push_all
        cld
#ifdef __x86_64__
        mov     SP, %rdi
        call    trap
#else
        push    %ds
        push    %es
        mov     $0x10, %eax
        mov     %eax, %ds
        mov     %eax, %es
        lea     8(SP), %eax
        push    %eax
        call    trap
        add     $4, SP
#endif
        test    %eax, %eax
        jnz     recover
#ifndef __x86_64__
        pop     %es
        pop     %ds
#endif
        pop_all
#ifdef __x86_64__
        add     $16, SP
        iretq
recover:
        pop_all
#else
        add     $8, SP
        iret
recover:
        add     $8, SP
        pop_all
        push    $0x10
        pop     %ss
#endif
        mov     recover_sp, SP
        mov     recover_bp, BP
        W(push) $2
        W(popf)
        jmp     *recover_ip

/* void ring3(ip, sp): goes there, and returns when a TRY around it ends. */
        .globl  ring3
ring3:
#ifdef __x86_64__
        pushq   $0x2b
        pushq   %rsi
        pushq   ring3_flags
        pushq   $0x33
        pushq   %rdi
        iretq
#else
        mov     4(%esp), %eax
        mov     8(%esp), %ecx
        mov     $0x2b, %edx
        mov     %edx, %ds
        mov     %edx, %es
        push    $0x2b
        push    %ecx
        push    %ss:ring3_flags
        push    $0x23
        push    %eax
        iret
#endif
