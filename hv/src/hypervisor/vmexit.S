/*
 * The door between root and non-root mode. The processor switches RIP, RSP,
 * RFLAGS, segments and control registers through the VMCS; the other general
 * registers are ours to move. They are kept at the start of struct vm, in
 * the order of their encoding, with RSP's slot unused.
 */
#define LAUNCHED        (16 * 8)        /* offsetof(struct vm, launched); vmexit.c checks */

        .text
        .globl vmexit_entry
        .type vmexit_entry, @function
        .balign 16
vmexit_entry:
        /* HOST_RSP points at the slot that names the VM (vm.c). */
        push %rax
        mov 8(%rsp), %rax
        mov %rcx, 1*8(%rax)
        mov %rdx, 2*8(%rax)
        mov %rbx, 3*8(%rax)
        mov %rbp, 5*8(%rax)
        mov %rsi, 6*8(%rax)
        mov %rdi, 7*8(%rax)
        mov %r8,  8*8(%rax)
        mov %r9,  9*8(%rax)
        mov %r10, 10*8(%rax)
        mov %r11, 11*8(%rax)
        mov %r12, 12*8(%rax)
        mov %r13, 13*8(%rax)
        mov %r14, 14*8(%rax)
        mov %r15, 15*8(%rax)
        pop 0*8(%rax)

        mov %rax, %rdi
        xor %ebp, %ebp
        call vmexit_handler             /* returns the VM to run next */
        mov %rax, %rdi

        .size vmexit_entry, . - vmexit_entry
        .globl vm_enter
        .type vm_enter, @function
vm_enter:
        mov %rdi, %rax
        cmpq $0, LAUNCHED(%rax)         /* no MOV below changes the flags */
        mov 1*8(%rax), %rcx
        mov 2*8(%rax), %rdx
        mov 3*8(%rax), %rbx
        mov 5*8(%rax), %rbp
        mov 6*8(%rax), %rsi
        mov 7*8(%rax), %rdi
        mov 8*8(%rax), %r8
        mov 9*8(%rax), %r9
        mov 10*8(%rax), %r10
        mov 11*8(%rax), %r11
        mov 12*8(%rax), %r12
        mov 13*8(%rax), %r13
        mov 14*8(%rax), %r14
        mov 15*8(%rax), %r15
        mov 0*8(%rax), %rax
        je 1f
        vmresume
        jmp 2f
1:      vmlaunch
2:
        /* Still here: the instruction failed, and this is still the stack of
         * whoever called. It says which VM runs after this one. */
        and $-16, %rsp
        call vmentry_failed
        mov %rax, %rdi
        jmp vm_enter
        .size vm_enter, . - vm_enter

        .section .note.GNU-stack, "", @progbits
