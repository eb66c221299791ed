/*
 * GDT, TSS and IDT. Long mode wants little of segments: flat code and data
 * for two rings, a TSS that names the kernel's stacks, and 256 gates.
 */
#include "kernel.h"

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3, io_map;
} __attribute__((packed));

struct gate {
	uint16_t offset0, selector;
	uint8_t ist, type;
	uint16_t offset1;
	uint32_t offset2, reserved;
};

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* In the order that the selectors in x86.h and SYSRET expect. */
static uint64_t gdt[] = {
	0,
	0x00af9b000000ffff, /* ring 0 code, 64 bit */
	0x00cf93000000ffff, /* ring 0 data */
	0x00cff3000000ffff, /* ring 3 data */
	0x00affb000000ffff, /* ring 3 code, 64 bit */
	0, 0,               /* TSS, filled in below */
};

/* boot.S loads this while still in 32-bit mode: it reads the first six bytes. */
struct table_pointer gdt_pointer = { sizeof gdt - 1, (uint64_t)gdt };

static struct gate idt[256] __attribute__((aligned(16)));
static struct tss tss;

/*
 * A double fault and a non-maskable interrupt can come when RSP is not the
 * kernel's (just after SYSCALL, or because it is broken): own stacks.
 */
static char double_fault_stack[4096] __attribute__((aligned(16)));
static char nmi_stack[4096] __attribute__((aligned(16)));

#define GATE_INTERRUPT 0x8e /* present, ring 0, interrupts off on entry */
#define STUB_SIZE      16

static void tss_init(void)
{
	uint64_t base = (uint64_t)&tss, limit = sizeof tss - 1;

	tss.rsp[0] = (uint64_t)kernel_stack_top;
	tss.ist[0] = (uint64_t)(double_fault_stack + sizeof double_fault_stack);
	tss.ist[1] = (uint64_t)(nmi_stack + sizeof nmi_stack);
	tss.io_map = sizeof tss; /* past the limit: no port is open to ring 3 */

	gdt[TSS_SELECTOR / 8] = limit | (base & 0xffffff) << 16 | 0x89ull << 40 |
				(base >> 24 & 0xff) << 56;
	gdt[TSS_SELECTOR / 8 + 1] = base >> 32;
	__asm__ volatile("ltr %w0" : : "r"(TSS_SELECTOR));
}

void segments_init(void)
{
	tss_init();

	for (int vector = 0; vector < 256; vector++) {
		uint64_t stub = (uint64_t)trap_stubs + (uint64_t)vector * STUB_SIZE;

		idt[vector] = (struct gate){
			.offset0 = (uint16_t)stub,
			.selector = KERNEL_CODE,
			.type = GATE_INTERRUPT,
			.offset1 = (uint16_t)(stub >> 16),
			.offset2 = (uint32_t)(stub >> 32),
		};
	}
	idt[VECTOR_DOUBLE_FAULT].ist = 1;
	idt[VECTOR_NMI].ist = 2;

	struct table_pointer p = { sizeof idt - 1, (uint64_t)idt };

	__asm__ volatile("lidt %0" : : "m"(p));
}
