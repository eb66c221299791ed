/*
 * The three doors between ring 3 and ring 0: interrupts and exceptions,
 * SYSCALL, and the first step into the workload.
 */
#define KERNEL_CODE 0x08
#define USER_DATA   0x1b
#define USER_CODE   0x23
#define RFLAGS_IF   0x200

	.text

/*
 * One stub of 16 bytes for each vector, so that segments.c can compute its
 * address. Where the processor pushes no error code the stub pushes 0:
 * struct trap_frame then always has one.
 */
	.balign 16
	.globl trap_stubs
	.type trap_stubs, @function
trap_stubs:
	vector = 0
	.rept 256
	.balign 16
	.if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21
	.else
	pushq	$0
	.endif
	pushq	$vector
	jmp	trap_common
	vector = vector + 1
	.endr
	.size trap_stubs, . - trap_stubs

	.balign 16
	.type trap_common, @function
trap_common:
	pushq	%rax
	pushq	%rbx
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%rbp
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	cld
	movq	%rsp, %rdi
	call	trap_dispatch
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rbp
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rbx
	popq	%rax
	addq	$16, %rsp		/* vector and error code */
	iretq
	.size trap_common, . - trap_common

/*
 * SYSCALL leaves RSP alone, so the first thing is a stack. One processor
 * and interrupts masked by SFMASK: a plain variable can hold the caller's.
 */
	.balign 16
	.globl syscall_entry
	.type syscall_entry, @function
syscall_entry:
	movq	%rsp, syscall_user_rsp(%rip)
	movl	$kernel_stack_top, %esp
	pushq	syscall_user_rsp(%rip)
	pushq	%r11			/* the caller's RFLAGS */
	pushq	%rcx			/* the caller's RIP */
	subq	$8, %rsp		/* C wants RSP + 8 to be a multiple of 16 at entry */
	movq	%rax, %rcx
	call	syscall_dispatch	/* (RDI, RSI, RDX, number) */
	addq	$8, %rsp
	/* What C left in its scratch registers is the kernel's business. */
	xorl	%edx, %edx
	xorl	%esi, %esi
	xorl	%edi, %edi
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	popq	%rcx
	popq	%r11
	popq	%rsp
	sysretq
	.size syscall_entry, . - syscall_entry

/* enter_user(struct launch *): does not return. IRETQ can drop to ring 3. */
	.globl enter_user
	.type enter_user, @function
enter_user:
	movq	%rdi, %rax
	pushq	$USER_DATA
	pushq	8(%rax)			/* stack */
	pushq	$RFLAGS_IF
	pushq	$USER_CODE
	pushq	0(%rax)			/* entry */
	movq	16(%rax), %rdi
	movq	24(%rax), %rsi
	movq	32(%rax), %rdx
	movq	40(%rax), %rcx
	xorl	%eax, %eax
	xorl	%ebx, %ebx
	xorl	%ebp, %ebp
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	xorl	%r10d, %r10d
	xorl	%r11d, %r11d
	xorl	%r12d, %r12d
	xorl	%r13d, %r13d
	xorl	%r14d, %r14d
	xorl	%r15d, %r15d
	iretq
	.size enter_user, . - enter_user

	.bss
	.balign 8
	.type syscall_user_rsp, @object
	.size syscall_user_rsp, 8
syscall_user_rsp:
	.skip	8

	.section .note.GNU-stack, "", @progbits
