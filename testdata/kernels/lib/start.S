/*
 * From the boot loader to main(): in 32-bit protected mode with paging off,
 * or in 64-bit mode with the first 4 GiB mapped to themselves in 2 MiB pages,
 * of which those from 8 to 10 MiB belong to ring 3.
 */
#define MAGIC 0x1badb002
#define FLAGS 0x3       /* page-aligned modules, memory information */

        .section .multiboot, "a"
        .align  4
        .long   MAGIC, FLAGS, -(MAGIC + FLAGS)

        .text
        .code32
        .globl  start
start:
        cli
        mov     $stack_top, %esp
        push    $0
        popf
        mov     %ebx, multiboot_info
        lgdt    boot_gdtr
#ifdef __x86_64__
        mov     $pdpt + 7, %eax
        mov     %eax, pml4
        xor     %ecx, %ecx
1:      mov     %ecx, %eax
        shl     $12, %eax
        add     $page_dirs + 7, %eax
        mov     %eax, pdpt(, %ecx, 8)
        inc     %ecx
        cmp     $4, %ecx
        jne     1b
        xor     %ecx, %ecx
2:      mov     %ecx, %eax
        shl     $21, %eax
        or      $0x83, %eax
        mov     %eax, page_dirs(, %ecx, 8)
        inc     %ecx
        cmp     $2048, %ecx
        jne     2b
        orl     $4, page_dirs + 4 * 8

        mov     $pml4, %eax
        mov     %eax, %cr3
        mov     %cr4, %eax
        or      $0x620, %eax            /* PAE, OSFXSR, OSXMMEXCPT */
        mov     %eax, %cr4
        mov     $0xc0000080, %ecx
        rdmsr
        or      $0x901, %eax            /* LME, NXE, SCE */
        wrmsr
        mov     %cr0, %eax
        and     $~0xc, %eax             /* EM, TS */
        or      $0x80010022, %eax       /* PG, WP, NE, MP */
        mov     %eax, %cr0
        ljmp    $8, $3f
        .code64
3:      xor     %ebp, %ebp
#else
        mov     %cr0, %eax
        and     $~0xc, %eax
        or      $0x22, %eax
        mov     %eax, %cr0
        mov     %cr4, %eax
        or      $0x600, %eax
        mov     %eax, %cr4
        ljmp    $8, $3f
3:      xor     %ebp, %ebp
#endif
        mov     $0x10, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        xor     %eax, %eax
        mov     %eax, %fs
        mov     %eax, %gs
        call    cpu_init
        call    main
        call    finish

        .data
        .align  8
boot_gdt:
        .quad   0
#ifdef __x86_64__
        .quad   0x00af9b000000ffff
#else
        .quad   0x00cf9b000000ffff
#endif
        .quad   0x00cf93000000ffff
boot_gdtr:
        .word   23
        .long   boot_gdt
        .long   0

        .globl  multiboot_info
multiboot_info:
        .quad   0

        .bss
        .align  4096
        .globl  pml4, pdpt, page_dirs, stack_top
#ifdef __x86_64__
pml4:   .skip   4096
pdpt:   .skip   4096
page_dirs:
        .skip   4 * 4096
#endif
        .skip   16384
stack_top:
