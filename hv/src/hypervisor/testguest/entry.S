/* From multiboot's 32-bit protected mode to 64-bit C code, and the few
 * interrupt stubs that testguest.c needs. */
        .text
        .code32
        .balign 4
        .long 0x1BADB002, 3, -(0x1BADB002 + 3)
        .globl start
start:
        mov $stack_top, %esp
        mov %eax, %esi
        mov %ebx, %ebp

        /* 4 GiB, mapped to itself by 2 MiB pages. */
        movl $pdpt + 3, pml4
        mov $pd, %eax
        mov $pdpt, %edi
        mov $4, %ecx
1:      lea 3(%eax), %ebx
        mov %ebx, (%edi)
        add $4096, %eax
        add $8, %edi
        loop 1b
        mov $pd, %edi
        mov $0x83, %eax
        mov $2048, %ecx
2:      mov %eax, (%edi)
        add $0x200000, %eax
        add $8, %edi
        loop 2b

        mov %cr4, %eax
        or $0x220, %eax                 /* PAE, OSFXSR */
        mov %eax, %cr4
        mov $pml4, %eax
        mov %eax, %cr3
        mov $0xc0000080, %ecx
        rdmsr
        or $0x100, %eax
        wrmsr                           /* exits: EFER */
        mov %cr0, %eax
        or $0x80000000, %eax
        mov %eax, %cr0
        lgdt gdtr
        ljmp $8, $3f
        .code64
3:      mov $16, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        lidt idtr
        mov %esi, %edi
        mov %ebp, %esi
        call guest_main
4:      cli
        hlt
        jmp 4b

/* Exceptions step over the instruction, whose length is in `skip`. */
        .macro exception vector, error_code
        .globl exception_\vector
exception_\vector:
        .if \error_code
        add $8, %rsp
        .endif
        incl counts + 4 * \vector
        push %rax
        mov skip, %eax
        add %rax, 8(%rsp)
        pop %rax
        iretq
        .endm

        .macro interrupt vector
        .globl interrupt_\vector
interrupt_\vector:
        incl counts + 4 * \vector
        push %rax
        mov $0xfee000b0, %eax           /* EOI */
        movl $0, (%rax)
        pop %rax
        iretq
        .endm

        exception 6, 0
        exception 13, 1
        exception 14, 1
        interrupt 48
        interrupt 49

        .data
        .balign 8
gdt:    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdtr:   .word . - gdt - 1
        .quad gdt
idtr:   .word 4095
        .quad idt

        .bss
        .balign 4096
pml4:   .skip 4096
pdpt:   .skip 4096
pd:     .skip 4 * 4096
        .skip 8192
stack_top:
        .section .note.GNU-stack, "", @progbits
