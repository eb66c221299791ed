/*
 * The local APIC: a periodic timer, counted; and on a bare PC the older
 * interrupt controllers, which must be moved away from the exceptions'
 * vectors before interrupts go on.
 */
#include "kernel.h"

#define APIC               0xfee00000ull
#define APIC_TASK_PRIORITY 0x080
#define APIC_EOI           0x0b0
#define APIC_SPURIOUS      0x0f0
#define APIC_LVT_TIMER     0x320
#define APIC_LVT_LINT0     0x350
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_DIVIDE  0x3e0

#define SPURIOUS_ENABLE 0x100
#define TIMER_PERIODIC  0x20000
#define LINT_EXTINT     0x700
#define DIVIDE_BY_1     0xb

#define PIC1 0x20
#define PIC2 0xa0
#define PIC_EOI 0x20

/* The self-test's period, and how many turns of its loop to look for a tick. */
#define CHECK_COUNT    4000
#define PATIENCE_TURNS 20000

volatile uint64_t ticks;
static uint64_t boot_time; /* TSC at apic_init */
static uint64_t uptime;    /* cycles from there to the latest tick */

/* 8259 pair: IRQ 0..7 become vectors 0x20..0x27, all masked but the keyboard. */
static void pic_init(void)
{
	outb(PIC1, 0x11);
	outb(PIC2, 0x11);
	outb(PIC1 + 1, 0x20);
	outb(PIC2 + 1, 0x28);
	outb(PIC1 + 1, 4);
	outb(PIC2 + 1, 2);
	outb(PIC1 + 1, 1);
	outb(PIC2 + 1, 1);
	outb(PIC1 + 1, 0xfd);
	outb(PIC2 + 1, 0xff);
}

void apic_init(void)
{
	boot_time = rdtsc();
	if (!hypervisor_present) {
		pic_init();
		mmio_write(APIC + APIC_LVT_LINT0, LINT_EXTINT);
	}
	mmio_write(APIC + APIC_TASK_PRIORITY, 0);
	mmio_write(APIC + APIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
}

void timer_start(uint32_t count)
{
	mmio_write(APIC + APIC_TIMER_DIVIDE, DIVIDE_BY_1);
	mmio_write(APIC + APIC_LVT_TIMER, TIMER_PERIODIC | VECTOR_TIMER);
	mmio_write(APIC + APIC_TIMER_INITIAL, count);
}

/*
 * A first tick is awaited with open eyes, because a machine without a timer
 * would sleep forever; once it came, HLT is trusted to bring the second.
 */
void timer_check(void)
{
	uint64_t before = ticks;

	timer_start(CHECK_COUNT);
	interrupts_on();
	for (int i = 0; i < PATIENCE_TURNS && ticks == before; i++)
		pause();
	interrupts_off();
	if (ticks == before) {
		kprint("timer: silent; going on without\n");
		return;
	}
	for (before = ticks; ticks == before;)
		wait_for_interrupt();
	kprint("timer: ticking\n");
}

uint64_t cycles_since_boot(void)
{
	return rdtsc() - boot_time;
}

void timer_interrupt(void)
{
	ticks++;
	uptime = cycles_since_boot();
	end_of_interrupt();
}

void end_of_interrupt(void)
{
	mmio_write(APIC + APIC_EOI, 0);
}

void pic_end_of_interrupt(void)
{
	outb(PIC1, PIC_EOI);
}
