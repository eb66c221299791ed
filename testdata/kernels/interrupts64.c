/* The PC's interrupt controllers and timers, and NMI. */
#include "test.h"

const char kernel_name[] = "interrupts64";

enum { PIC1 = 0x20, PIC2 = 0xa0, BASE = 0x20, TIMER = 0x40, SELF = 0x50, SPURIOUS = 0xff };

static volatile int count[256];
static volatile bool in_service_eoi = true;
static volatile int order[16], n_order;

/* ---- local APIC, in either mode ---------------------------------------- */

static bool x2;
#define LAPIC ((volatile u32 *)0xfee00000)
static u32 lapic(int r) { return x2 ? rdmsr(0x800 + r) : LAPIC[r * 4]; }
static void set_lapic(int r, u32 v)
{
    if (x2)
        wrmsr(0x800 + r, v);
    else
        LAPIC[r * 4] = v;
}
enum { ID = 2, VERSION = 3, TPR = 8, PPR = 10, EOI = 11, LDR = 13, SVR = 15, ISR = 16, IRR = 32, ESR = 40, ICR = 48,
       LVT_TIMER = 50, LINT0 = 53, LINT1 = 54, INITIAL = 56, CURRENT = 57, DIVIDE = 62 };

static void pic_handler(struct frame *f)
{
    count[f->vector]++;
    if (f->vector >= BASE + 8)
        outb(PIC2, 0x20);
    if (in_service_eoi)
        outb(PIC1, 0x20);
}

static void apic_handler(struct frame *f)
{
    count[f->vector]++;
    if (n_order < SIZE(order))
        order[n_order++] = f->vector;
    if (f->vector != SPURIOUS)
        set_lapic(EOI, 0);
}

static void sti(void) { asm volatile("sti; nop" : : : "memory"); }
static void cli(void) { asm volatile("cli" : : : "memory"); }

/* Waits with interrupts on, for a while or until a vector has come n times. */
static bool await(int vector, int n)
{
    u64 end = rdtsc() + 3000000000u;
    sti();
    while (count[vector] < n && rdtsc() < end)
        asm volatile("pause");
    cli();
    return count[vector] >= n;
}

/* Several periods of the timer as it is set here. */
static void delay(void)
{
    u64 end = rdtsc() + 2500000;
    while (rdtsc() < end)
        ;
}

static void clear(void)
{
    for (int i = 0; i < 256; i++)
        count[i] = 0;
    n_order = 0;
}

/* ---- 8259 and 8254 ------------------------------------------------------ */

static void pic_init(void)
{
    outb(PIC1, 0x11), outb(PIC2, 0x11);
    outb(PIC1 + 1, BASE), outb(PIC2 + 1, BASE + 8);
    outb(PIC1 + 1, 4), outb(PIC2 + 1, 2);
    outb(PIC1 + 1, 1), outb(PIC2 + 1, 1);
    outb(PIC1 + 1, 0xff), outb(PIC2 + 1, 0xff);
    for (int i = 0; i < 16; i++)
        handlers[BASE + i] = pic_handler;
}

static void pit(int mode, u16 n)
{
    outb(0x43, 0x30 | mode << 1);
    outb(0x40, n), outb(0x40, n >> 8);
}

static u16 pit_count(void)
{
    outb(0x43, 0);
    u16 lo = inb(0x40);
    return lo | inb(0x40) << 8;
}

static void old_timer(void)
{
    pic_init();
    clear();
    equal("8259: IMR", inb(PIC1 + 1), 0xff);
    pit(2, 1193);
    outb(PIC1 + 1, 0xfe);
    check("8254: IRQ 0 through the 8259 and LINT0", await(BASE, 3));
    sti();
    int seen = count[BASE];
    asm volatile("hlt");
    cli();
    check("HLT ends with an interrupt", count[BASE] > seen);
    outb(PIC1 + 1, 0xff);
    seen = count[BASE];
    sti();
    delay();
    cli();
    check("8259: masked", count[BASE] <= seen + 1);
    outb(PIC1, 0x0a);
    u16 a = pit_count(), b = a;
    for (int i = 0; i < 10000 && b == a; i++)
        b = pit_count();
    check("8254: counts", a != b);
    check("8254: within its period", a <= 1193 && b <= 1193);

    /* Without an EOI nothing of the same or lower priority comes. */
    in_service_eoi = false;
    clear();
    outb(PIC1 + 1, 0xfe);
    await(BASE, 1);
    sti();
    delay();
    cli();
    equal("8259: no second interrupt before the EOI", count[BASE], 1);
    outb(PIC1, 0x0b);
    equal("8259: ISR", inb(PIC1), 1);
    outb(PIC1, 0x0a);
    in_service_eoi = true;
    outb(PIC1, 0x20);
    check("8259: the next after it", await(BASE, 2));
    outb(PIC1 + 1, 0xff);

    clear();
    pit(0, 500);
    outb(PIC1 + 1, 0xfe);
    check("8254: mode 0, once", await(BASE, 1));
    sti();
    delay();
    cli();
    equal("... and no more", count[BASE], 1);
    outb(PIC1 + 1, 0xff);
    outb(0x61, (inb(0x61) & ~2) | 1);
    outb(0x43, 0xb0);
    outb(0x42, 0xff), outb(0x42, 0x01);
    bool low = !(inb(0x61) & 0x20);
    u64 end = rdtsc() + 3000000000u;
    while (!(inb(0x61) & 0x20) && rdtsc() < end)
        ;
    check("8254: counter 2 at port 61", low && inb(0x61) & 0x20);
}

static void clock(void)
{
    clear();
    outb(0x70, 0x0b);
    u8 b = inb(0x71);
    outb(0x70, 0x0b);
    outb(0x71, b | 0x40);
    outb(0x70, 0x0c);
    inb(0x71);
    outb(PIC1 + 1, 0xfb), outb(PIC2 + 1, 0xfe);
    check("clock: periodic interrupt on IRQ 8", await(BASE + 8, 1));
    outb(0x70, 0x0c);
    equal("... register C says so", inb(0x71) & 0xc0, 0xc0);
    check("... and comes again when that was read", await(BASE + 8, 2));
    outb(0x70, 0x0b);
    outb(0x71, b);
    outb(0x70, 0x0c);
    inb(0x71);
    outb(PIC1 + 1, 0xff), outb(PIC2 + 1, 0xff);
    outb(0x70, 0x0d);
    equal("clock: its battery is good", inb(0x71), 0x80);
}

static void serial(void)
{
    clear();
    outb(0x3f8 + 4, 0x0b);
    outb(0x3f8 + 2, 0);
    outb(PIC1 + 1, 0xef);
    outb(0x3f8 + 1, 2);
    check("serial port: transmitter empty on IRQ 4", await(BASE + 4, 1));
    outb(0x3f8 + 1, 0);
    outb(0x3f8 + 2, 7);
    outb(PIC1 + 1, 0xff);
}

/* ---- local APIC --------------------------------------------------------- */

static void fixed_self(int vector)
{
    set_lapic(ICR, 0x44000 | vector);
}

static void local(void)
{
    clear();
    for (int v = 0x40; v < 0x100; v++)
        if (v != 0x80)
            handlers[v] = apic_handler;
    check("local APIC: version", (lapic(VERSION) & 0xf0) == 0x10);
    set_lapic(SVR, 0x100 | SPURIOUS);
    set_lapic(DIVIDE, 0xb);
    set_lapic(LVT_TIMER, TIMER);
    set_lapic(INITIAL, 100000);
    check("local APIC timer: one-shot", await(TIMER, 1));
    equal("... has stopped at 0", lapic(CURRENT), 0);
    equal("... once", count[TIMER], 1);
    set_lapic(LVT_TIMER, TIMER | 1 << 17);
    set_lapic(INITIAL, 100000);
    check("local APIC timer: periodic", await(TIMER, 4));
    u32 a = lapic(CURRENT);
    check("... counts down", a <= 100000);
    sti();
    int seen = count[TIMER];
    asm volatile("hlt");
    cli();
    check("... ends HLT", count[TIMER] > seen);
    set_lapic(LVT_TIMER, TIMER | 1 << 16);
    set_lapic(INITIAL, 0);
    if (cpuid_bit(1, 0, ECX, 24)) {
        clear();
        set_lapic(LVT_TIMER, TIMER | 2 << 17);
        asm volatile("mfence");
        wrmsr(0x6e0, rdtsc() + 100000);
        check("local APIC timer: TSC deadline", await(TIMER, 1));
        equal("... is disarmed", rdmsr(0x6e0), 0);
        wrmsr(0x6e0, 1);
        check("... one that is past", await(TIMER, 2));
        wrmsr(0x6e0, rdtsc() + (1ul << 40));
        wrmsr(0x6e0, 0);
        set_lapic(LVT_TIMER, TIMER | 1 << 16);
    } else {
        skip("local APIC timer: TSC deadline", "not in CPUID");
    }

    clear();
    fixed_self(SELF);
    check("self-IPI waits for IF", (lapic(IRR + (SELF >> 5)) >> (SELF & 31) & 1) && !count[SELF]);
    check("self-IPI", await(SELF, 1));
    equal("... IRR is clear", lapic(IRR + (SELF >> 5)), 0);

    clear();
    fixed_self(0x51), fixed_self(0x71), fixed_self(0x61), fixed_self(0x61);
    await(0x51, 1);
    check("higher vectors first, each once", n_order == 3 && order[0] == 0x71 && order[1] == 0x61 && order[2] == 0x51);

    clear();
    set_lapic(TPR, 0x60);
    fixed_self(0x5f), fixed_self(0x71);
    await(0x71, 1);
    equal("TPR holds back its class and below", count[0x5f], 0);
    equal("... CR8 is its class", ({ word v; asm volatile("mov %%cr8, %0" : "=r"(v)); v; }), 6);
    equal("... PPR", lapic(PPR), 0x60);
    asm volatile("mov %0, %%cr8" : : "r"(0ul));
    check("... until CR8 is lower", await(0x5f, 1));
    equal("... TPR", lapic(TPR), 0);

    clear();
    if (!has_word("qemu")) {
        set_lapic(ESR, 0);
        fixed_self(5);
        set_lapic(ESR, 0);
        equal("a vector below 16 is an error", lapic(ESR) & 0x20, 0x20);
    }

    /* STI; HLT: an interrupt that is already there ends the halt. */
    clear();
    fixed_self(SELF);
    asm volatile("sti; hlt; cli");
    equal("STI, HLT with an interrupt pending", count[SELF], 1);
    clear();
    word after = 0;
    handlers[SELF] = 0;
    fixed_self(SELF);
    TRY("lea 1f(%%rip), %0\n\tsti\n\tnop\n1:\tnop\n\tcli", : "=r"(after) :);
    expect("STI: one more instruction", SELF, 0);
    set_lapic(EOI, 0);
    fixed_self(SELF);
    TRY("sti\n\tcli\n\tnop", : :);
    expect("STI, CLI: no interrupt between them", NOTHING, 0);
    handlers[SELF] = apic_handler;
    await(SELF, 1);
}

static volatile bool in_nmi;
static volatile int nmis, nested;

static void send(u32 low)
{
    if (x2) {
        wrmsr(0x830, (u64)lapic(ID) << 32 | low);
    } else {
        LAPIC[(ICR + 1) * 4] = lapic(ID) & 0xff000000;
        LAPIC[ICR * 4] = low;
    }
    for (int i = 0; i < 100; i++)
        lapic(ID);
}

static void on_nmi(struct frame *f)
{
    (void)f;
    nmis++;
    if (in_nmi)
        nested++;
    in_nmi = true;
    if (nmis == 1)
        send(0x4400);
    in_nmi = false;
}

static void nmi(void)
{
    handlers[NMI] = on_nmi;
    nmis = nested = 0;
    send(0x4400);
    equal("NMI with IF clear, and one that it sends itself", nmis, 2);
    equal("... which waits for IRET", nested, 0);
    nmis = 2;
    asm volatile("mov %%ss, %%eax; mov %%eax, %%ss; nop" : : : "rax");
    send(0x4400);
    equal("NMI again: IRET unblocks it", nmis, 3);
}

/* ---- I/O APIC ----------------------------------------------------------- */

#define IOAPIC ((volatile u32 *)0xfec00000)
static u32 ioapic(int r) { IOAPIC[0] = r; return IOAPIC[4]; }
static void set_ioapic(int r, u32 v) { IOAPIC[0] = r; IOAPIC[4] = v; }

/* Makes the serial port's line fall at the third interrupt. */
static void on_level(struct frame *f)
{
    count[f->vector]++;
    if (count[f->vector] == 3)
        outb(0x3f8 + 1, 0);
    set_lapic(EOI, 0);
}

static void io(void)
{
    clear();
    set_lapic(LINT0, 0x10000);
    equal("I/O APIC: 24 pins", ioapic(1) >> 16 & 0xff, 23);
    set_ioapic(0x10 + 2 * 2 + 1, lapic(ID) << (x2 ? 24 : 0));
    set_ioapic(0x10 + 2 * 2, 0x90);
    pit(2, 1193);
    check("I/O APIC: the timer at pin 2", await(0x90, 3));
    set_ioapic(0x10 + 2 * 2, 0x10090);
    int seen = count[0x90];
    sti();
    delay();
    cli();
    check("I/O APIC: masked", count[0x90] <= seen + 1);

    /* Level-triggered: until the EOI, and again while the line is high. */
    clear();
    set_ioapic(0x10 + 4 * 2 + 1, lapic(ID) << (x2 ? 24 : 0));
    set_ioapic(0x10 + 4 * 2, 0x8091);
    handlers[0x91] = on_level;
    outb(0x3f8 + 2, 0);
    outb(0x3f8 + 1, 2);
    bool came = await(0x91, 3);
    handlers[0x91] = apic_handler;
    set_ioapic(0x10 + 4 * 2, 0x18091);
    outb(0x3f8 + 1, 0);
    outb(0x3f8 + 2, 7);
    check("I/O APIC: a level interrupts again until it falls", came);
    clear();
    set_ioapic(0x10 + 4 * 2, 0x0091);
    outb(0x3f8 + 2, 0);
    outb(0x3f8 + 1, 2);
    await(0x91, 1);
    sti();
    delay();
    cli();
    equal("I/O APIC: an edge interrupts once", count[0x91], 1);
    outb(0x3f8 + 1, 0);
    outb(0x3f8 + 2, 7);
    set_ioapic(0x10 + 4 * 2, 0x10000);
    pit(0, 0);
}

static void x2apic(void)
{
    if (!cpuid_bit(1, 0, ECX, 21)) {
        skip("x2APIC", "not in CPUID");
        return;
    }
    u32 id = lapic(ID) >> 24;
    u64 base = rdmsr(0x1b);
    TRY("wrmsr", : : "c"(0x1b), "a"(((u32)base & ~0xc00u) | 0x400), "d"((u32)(base >> 32)));
    expect("x2APIC without the APIC", GP, 0);
    TRY("rdmsr", : : "c"(0x802) : "rax", "rdx");
    expect("x2APIC registers in xAPIC mode", GP, 0);
    wrmsr(0x1b, base | 0x400);
    x2 = true;
    equal("x2APIC: ID", lapic(ID), id);
    equal("x2APIC: the page is gone", LAPIC[VERSION * 4], 0xffffffff);
    equal("x2APIC: LDR", rdmsr(0x80d), (u64)(id >> 4) << 16 | 1 << (id & 15));
    TRY("wrmsr", : : "c"(0x80d), "a"(0), "d"(0));
    expect("x2APIC: LDR cannot be written", GP, 0);
    TRY("wrmsr", : : "c"(0x808), "a"(0x100), "d"(0));
    expect("x2APIC: reserved bit of TPR", GP, 0);
    TRY("rdmsr", : : "c"(0x80b) : "rax", "rdx");
    expect("x2APIC: EOI cannot be read", GP, 0);
    TRY("wrmsr", : : "c"(0x80b), "a"(1), "d"(0));
    expect("x2APIC: EOI takes 0 only", GP, 0);
    TRY("rdmsr", : : "c"(0x831) : "rax", "rdx");
    expect("x2APIC: there is no upper ICR", GP, 0);
    TRY("wrmsr", : : "c"(0x1b), "a"((u32)base), "d"((u32)(base >> 32)));
    expect("x2APIC: no way straight back", GP, 0);
    local();
    nmi();
    clear();
    wrmsr(0x83f, SELF);
    check("x2APIC: SELF IPI", await(SELF, 1));
    io();
    wrmsr(0x1b, base & ~0xc00ul);
    check("APIC off: not in CPUID", !cpuid_bit(1, 0, EDX, 9));
    wrmsr(0x1b, base);
    x2 = false;
    equal("APIC on again: disabled in SVR", lapic(SVR), 0xff);
}

int main(void);
int main(void)
{
    old_timer();
    clock();
    serial();
    local();
    nmi();
    io();
    x2apic();
    return 0;
}
