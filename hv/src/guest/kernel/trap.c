/*
 * Everything that interrupts: device interrupts, page faults that are part
 * of normal life, and faults that end it. After a fault in ring 3 the kernel
 * is well and shuts down in order, with a code that says so; a fault in ring
 * 0 is a panic, and reported as one.
 */
#include "kernel.h"

static const char *const exception_names[32] = {
	"divide error", "debug", "NMI", "breakpoint", "overflow", "bound range",
	"invalid opcode", "device not available", "double fault", "coprocessor overrun",
	"invalid TSS", "segment not present", "stack fault", "general protection",
	"page fault", "reserved", "x87 error", "alignment check", "machine check",
	"SIMD error", "virtualization", "control protection",
};

static void print_registers(const struct trap_frame *f)
{
	kprint("rip %016lx rsp %016lx rflags %08lx\n", f->rip, f->rsp, f->rflags);
	kprint("rax %016lx rbx %016lx rcx %016lx\n", f->rax, f->rbx, f->rcx);
	kprint("rdx %016lx rsi %016lx rdi %016lx\n", f->rdx, f->rsi, f->rdi);
	kprint("rbp %016lx r8  %016lx r9  %016lx\n", f->rbp, f->r8, f->r9);
	kprint("r10 %016lx r11 %016lx r12 %016lx\n", f->r10, f->r11, f->r12);
	kprint("r13 %016lx r14 %016lx r15 %016lx\n", f->r13, f->r14, f->r15);
	kprint("cs %04lx ss %04lx cr2 %016lx\n", f->cs, f->ss, read_cr2());
}

static _Noreturn void fatal_exception(const struct trap_frame *f)
{
	bool from_user = (f->cs & 3) == 3;
	const char *name = exception_names[f->vector];

	kprint("\n%s: %s, error %lx\n", from_user ? "workload died" : "kernel panic",
	       name ? name : "reserved", f->error);
	print_registers(f);
	if (from_user)
		shutdown(EXIT_WORKLOAD_DIED);
	report(REPORT_PANIC, f->vector);
	shutdown(EXIT_KERNEL_PANIC);
}

_Noreturn void panic_at(const char *file, int line, const char *what)
{
	interrupts_off();
	kprint("\nkernel panic: %s:%d: %s\n", file, line, what);
	report(REPORT_PANIC, (uint64_t)line);
	shutdown(EXIT_KERNEL_PANIC);
}

/* Called by entry.S with interrupts off. */
void trap_dispatch(struct trap_frame *f)
{
	switch (f->vector) {
	case VECTOR_PAGE_FAULT:
		if (!page_fault(read_cr2(), f->error))
			fatal_exception(f);
		break;
	case VECTOR_NMI: /* nothing here asks for one: not worth dying for */
		break;
	case VECTOR_TIMER:
		timer_interrupt();
		break;
	case HV_KEYBOARD_VECTOR:
		keyboard_interrupt();
		break;
	case VECTOR_EVENT:
		peer_interrupt();
		break;
	case VECTOR_SPURIOUS: /* the APIC expects no end-of-interrupt for this one */
		break;
	default:
		if (f->vector < 32)
			fatal_exception(f);
		kprint("interrupt %lx: nobody expects it\n", f->vector);
		end_of_interrupt();
	}
}
