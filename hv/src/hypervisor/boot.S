/*
 * The multiboot entry: from 32-bit protected mode without paging to C code in
 * long mode. The tables made here serve only until mm_init() builds the real
 * ones; they map the first GiB to itself.
 */
#define MULTIBOOT_MAGIC 0x1BADB002
#define MULTIBOOT_FLAGS 0x00000003      /* modules page-aligned; memory map please */

#define MSR_EFER        0xc0000080

        .section .text.boot, "ax"
        .code32

        .balign 4
multiboot_header:
        .long MULTIBOOT_MAGIC
        .long MULTIBOOT_FLAGS
        .long -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

        .globl start
        .type start, @function
start:
        cli
        cld
        mov $boot_stack_top, %esp
        mov %eax, %esi                  /* the loader's magic number */
        mov %ebx, %ebp                  /* its information structure */

        /* Long mode? SDM Vol. 2A, CPUID, leaf 80000001H, EDX bits 29 and 20. */
        mov $0x80000000, %eax
        cpuid
        cmp $0x80000001, %eax
        jb no_long_mode
        mov $0x80000001, %eax
        cpuid
        and $0x20100000, %edx
        cmp $0x20100000, %edx
        jne no_long_mode

        /* PML4 -> one PDPT -> one page directory of 2 MiB pages. */
        movl $boot_pdpt + 3, boot_pml4
        movl $boot_pd + 3, boot_pdpt
        mov $boot_pd, %edi
        mov $0x83, %eax                 /* present, writable, large */
        mov $512, %ecx
1:      mov %eax, (%edi)
        add $0x200000, %eax
        add $8, %edi
        loop 1b

        /* SDM Vol. 3A, 10.8.5: PAE and LME first, then PG. */
        mov %cr4, %eax
        or $0x20, %eax                  /* PAE */
        mov %eax, %cr4
        mov $boot_pml4, %eax
        mov %eax, %cr3
        mov $MSR_EFER, %ecx
        rdmsr
        or $0x900, %eax                 /* LME, NXE */
        wrmsr
        mov %cr0, %eax
        and $~0x60000004, %eax          /* caches on; no x87 emulation */
        or $0x80010022, %eax            /* PG, WP, NE, MP */
        mov %eax, %cr0
        lgdt boot_gdtr
        ljmp $0x08, $long_mode

        .size start, . - start
        .type no_long_mode, @function
no_long_mode:
        mov $no_long_mode_text, %esi
2:      lodsb
        test %al, %al
        jz 4f
        mov %al, %ah
        mov $0x3fd, %dx
3:      in %dx, %al
        test $0x20, %al
        jz 3b
        mov %ah, %al
        mov $0x3f8, %dx
        out %al, %dx
        jmp 2b
4:      mov $1, %eax                    /* EXIT_CANNOT_START */
        out %eax, $0xf4
5:      cli
        hlt
        jmp 5b

        .size no_long_mode, . - no_long_mode

        .code64
        .type long_mode, @function
long_mode:
        mov $0x10, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        xor %eax, %eax
        mov %eax, %fs
        mov %eax, %gs
        mov $boot_stack_top, %rsp
        mov %esi, %edi                  /* zero-extends */
        mov %ebp, %esi
        xor %ebp, %ebp
        call hv_main
        ud2                             /* it does not return */
        .size long_mode, . - long_mode

        .section .rodata
no_long_mode_text:
        .asciz "[hv] cannot start: this processor has no 64-bit mode with NX\r\n"
        .balign 8
        .type boot_gdt, @object
boot_gdt:
        .quad 0
        .quad 0x00af9b000000ffff        /* 64-bit code */
        .quad 0x00cf93000000ffff        /* data */
boot_gdt_end:
        .size boot_gdt, . - boot_gdt
boot_gdtr:
        .word boot_gdt_end - boot_gdt - 1
        .quad boot_gdt

        .section .bss.stacks, "aw", @nobits
        .balign 4096
        .globl boot_stack_guard
boot_stack_guard:
        .skip 4096                      /* mm_init() takes it away */
        .type boot_stack, @object
boot_stack:
        .skip 8192
        .size boot_stack, 8192
boot_stack_top:

        .section .bss.pagetables, "aw", @nobits
        .balign 4096
        .type boot_pml4, @object
boot_pml4:
        .skip 4096
        .size boot_pml4, 4096
        .type boot_pdpt, @object
boot_pdpt:
        .skip 4096
        .size boot_pdpt, 4096
        .type boot_pd, @object
boot_pd:
        .skip 4096
        .size boot_pd, 4096

        .section .note.GNU-stack, "", @progbits
