/*
 * The host's own local APIC: a periodic timer that ends every guest's turn.
 * SDM Vol. 3A, chapter 11.
 */
#include "hv.h"

#define APIC_ENABLE     BIT(11)
#define APIC_X2APIC     BIT(10)

enum {
    TPR = 0x80, EOI = 0xb0, SVR = 0xf0, IRR = 0x200,
    LVT_TIMER = 0x320, LVT_COUNTERS = 0x340, LVT_LINT0 = 0x350, LVT_LINT1 = 0x360, LVT_ERROR = 0x370,
    TIMER_INITIAL = 0x380, TIMER_CURRENT = 0x390, TIMER_DIVIDE = 0x3e0,
};

#define LVT_MASKED      BIT(16)
#define LVT_PERIODIC    BIT(17)
#define LVT_NMI         (4u << 8)
#define DIVIDE_BY_1     0xb

u64 tsc_per_tick;
static u64 last_tick;
static u64 registers;       /* address of the register page */
static bool x2apic;         /* firmware left it in that mode */

static u32 apic_read(u32 offset)
{
    if (x2apic)
        return (u32)rdmsr(MSR_X2APIC_BASE + offset / 16);
    return *(volatile u32 *)(registers + offset);
}

static void apic_write(u32 offset, u32 value)
{
    if (x2apic)
        wrmsr(MSR_X2APIC_BASE + offset / 16, value);
    else
        *(volatile u32 *)(registers + offset) = value;
}

static void start(u32 lvt)
{
    apic_write(TIMER_DIVIDE, DIVIDE_BY_1);
    apic_write(LVT_TIMER, lvt);
    apic_write(TIMER_INITIAL, options.quantum);
}

void timer_init(void)
{
    if (!(cpuid(1, 0).edx & BIT(9)))
        cannot_start("this processor has no local APIC");
    u64 base = rdmsr(MSR_APIC_BASE);
    if (!(base & APIC_ENABLE)) {
        base |= APIC_ENABLE;
        wrmsr(MSR_APIC_BASE, base);
    }
    x2apic = base & APIC_X2APIC;
    registers = base & 0xfffff000;

    /* The old interrupt controllers stay silent; we need none of their devices. */
    outb(0x21, 0xff);
    outb(0xa1, 0xff);
    apic_write(SVR, BIT(8) | VECTOR_SPURIOUS);
    apic_write(TPR, 0);
    apic_write(LVT_LINT0, LVT_MASKED);
    apic_write(LVT_LINT1, LVT_MASKED);
    apic_write(LVT_ERROR, LVT_MASKED);

    /* How long is a tick in TSC cycles? Let one go by and see. */
    start(LVT_MASKED | VECTOR_TIMER);
    u64 begin = rdtsc(), spins = 0;
    while (apic_read(TIMER_CURRENT) && ++spins < 1000000000)
        ;
    tsc_per_tick = rdtsc() - begin;
    if (!tsc_per_tick || apic_read(TIMER_CURRENT))
        cannot_start("the local APIC's timer does not run");
    log_line("tick: %u timer counts, %llu TSC cycles", options.quantum, tsc_per_tick);
}

void timer_start(void)
{
    last_tick = rdtsc();
    start(LVT_PERIODIC | VECTOR_TIMER);
}

/* An interrupt has been accepted, by a VM exit or while asleep. */
void timer_interrupt(u32 vector)
{
    if (vector == VECTOR_SPURIOUS)
        return; /* no EOI (11.9) */
    CHECK(INTERRUPT_VECTOR, vector == VECTOR_TIMER);
    apic_write(EOI, 0);
    if (vector != VECTOR_TIMER)
        return;
    last_tick = rdtsc();
    console_poll();
    sched_tick();
}

/* The preemption timer has brought us here. If that is because the ticks
 * stopped coming (and none is merely waiting to be accepted), say so, and
 * start them again. */
void timer_watch(void)
{
    if (rdtsc() - last_tick < 7 * tsc_per_tick
        || apic_read(IRR + VECTOR_TIMER / 32 * 16) & BIT(VECTOR_TIMER % 32))
        return;
    CHECK(TICK_LATE, false);
    timer_start();
}

void timer_route_overflow_to_nmi(void)
{
    apic_write(LVT_COUNTERS, LVT_NMI);
}
