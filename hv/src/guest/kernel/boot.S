/*
 * From the loader's 32-bit world to kernel_main() in long mode.
 *
 * The page tables made here only carry the kernel until paging_init(): they
 * map the first gigabyte onto itself, everything writable and executable.
 */
#define MULTIBOOT_HEADER_MAGIC 0x1badb002
#define MULTIBOOT_BOOT_MAGIC   0x2badb002
#define MULTIBOOT_WANT_MEMORY  2

#define CR0_MP 0x2
#define CR0_EM 0x4
#define CR0_TS 0x8
#define CR0_NE 0x20
#define CR0_WP 0x10000
#define CR0_PG 0x80000000

#define CR4_PAE        0x20
#define CR4_OSFXSR     0x200
#define CR4_OSXMMEXCPT 0x400

#define MSR_EFER 0xc0000080
#define EFER_SCE 0x1
#define EFER_LME 0x100
#define EFER_NXE 0x800

#define PAGE_PRESENT_WRITABLE 0x3
#define PAGE_LARGE            0x80

	.section .multiboot, "a"
	.balign 4
	.long MULTIBOOT_HEADER_MAGIC
	.long MULTIBOOT_WANT_MEMORY
	.long -(MULTIBOOT_HEADER_MAGIC + MULTIBOOT_WANT_MEMORY)

	.text
	.code32
	.globl _start
	.type _start, @function
_start:
	cli
	cld
	cmpl	$MULTIBOOT_BOOT_MAGIC, %eax
	jne	not_multiboot
	movl	$kernel_stack_top, %esp

	movl	$boot_pdpt + PAGE_PRESENT_WRITABLE, boot_pml4
	movl	$boot_pd + PAGE_PRESENT_WRITABLE, boot_pdpt
	movl	$(PAGE_PRESENT_WRITABLE | PAGE_LARGE), %eax
	xorl	%ecx, %ecx
1:	movl	%eax, boot_pd(, %ecx, 8)
	addl	$0x200000, %eax
	incl	%ecx
	cmpl	$512, %ecx
	jne	1b

	movl	%cr4, %eax
	orl	$(CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT), %eax
	movl	%eax, %cr4
	movl	$boot_pml4, %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$(EFER_SCE | EFER_LME | EFER_NXE), %eax
	wrmsr
	movl	%cr0, %eax
	andl	$~(CR0_EM | CR0_TS), %eax
	orl	$(CR0_PG | CR0_WP | CR0_NE | CR0_MP), %eax
	movl	%eax, %cr0

	lgdt	gdt_pointer
	ljmp	$0x08, $start64

not_multiboot:
	hlt
	jmp	not_multiboot
	.size _start, . - _start

	.code64
	.type start64, @function
start64:
	movl	$0x10, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	xorl	%eax, %eax
	movl	%eax, %fs
	movl	%eax, %gs
	movl	$kernel_stack_top, %esp
	ldmxcsr	default_mxcsr(%rip)
	movl	%ebx, %edi
	xorl	%ebp, %ebp
	call	kernel_main
	ud2
	.size start64, . - start64

	.section .rodata
	.balign 4
default_mxcsr:
	.long	0x1f80

	.bss
	.balign 4096
	.type boot_pml4, @object
	.size boot_pml4, 4096
boot_pml4:
	.skip	4096
	.type boot_pdpt, @object
	.size boot_pdpt, 4096
boot_pdpt:
	.skip	4096
	.type boot_pd, @object
	.size boot_pd, 4096
boot_pd:
	.skip	4096

	.type kernel_stack, @object
	.size kernel_stack, 16384
kernel_stack:
	.skip	16384
	.globl kernel_stack_top
kernel_stack_top:

	.section .note.GNU-stack, "", @progbits
