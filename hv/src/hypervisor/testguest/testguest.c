/*
 * The smoke test: a guest that causes one VM exit of each kind and compares
 * what comes of it with what should. It prints the differences, reports how
 * many checks it made as its digest, and shuts down.
 */
#include "../types.h"
#include "../../include/abi.h"

#define LAPIC   0xfee00000ull
#define HV_MMIO ((u64)HV_MMIO_BASE)

u32 counts[64];
u32 skip;
struct { u16 low, selector, type, mid; u32 high, zero; } idt[256] ALIGNED(16);

extern void exception_6(void), exception_13(void), exception_14(void), interrupt_48(void), interrupt_49(void);

static u32 checks, failures;

/* ---- Output ---------------------------------------------------------- */

static void outb(u16 port, u8 v) { asm volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
static u8 inb(u16 port) { u8 v; asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static u32 inl(u16 port) { u32 v; asm volatile("inl %1, %0" : "=a"(v) : "Nd"(port)); return v; }

static void put(const char *s)
{
    for (; *s; s++)
        outb(0x3f8, (u8)*s);
}

static void put_hex(u64 v)
{
    for (int i = 60; i >= 0; i -= 4)
        outb(0x3f8, (u8)"0123456789abcdef"[v >> i & 15]);
}

static void expect(const char *what, u64 got, u64 want)
{
    checks++;
    if (got == want)
        return;
    failures++;
    put("FAIL ");
    put(what);
    put(": ");
    put_hex(got);
    put(", want ");
    put_hex(want);
    put("\n");
}

/* ---- Instructions ---------------------------------------------------- */

static s64 hypercall(u64 number, u64 a, u64 b, u64 c)
{
    s64 r;
    asm volatile("vmcall" : "=a"(r) : "a"(number), "D"(a), "S"(b), "d"(c) : "memory");
    return r;
}

static u64 rdmsr(u32 msr)
{
    u32 lo, hi;
    asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (u64)hi << 32 | lo;
}

static void wrmsr(u32 msr, u64 v) { asm volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32))); }
static u64 rdtsc(void) { u32 lo, hi; asm volatile("rdtsc" : "=a"(lo), "=d"(hi)); return (u64)hi << 32 | lo; }
static u32 read32(u64 a) { return *(volatile u32 *)a; }
static void write32(u64 a, u32 v) { *(volatile u32 *)a = v; }

static void set_gate(u32 vector, void (*handler)(void))
{
    u64 a = (u64)handler;

    idt[vector].low = (u16)a;
    idt[vector].selector = 8;
    idt[vector].type = 0x8e00;
    idt[vector].mid = (u16)(a >> 16);
    idt[vector].high = (u32)(a >> 32);
}

/* ---- Checks ---------------------------------------------------------- */

static void check_processor(void)
{
    u32 a, b, c, d;

    asm volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(HV_CPUID_BASE), "c"(0));
    expect("cpuid signature b", b, HV_CPUID_EBX);
    expect("cpuid signature c", c, HV_CPUID_ECX);
    expect("cpuid signature d", d, HV_CPUID_EDX);
    asm volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(1), "c"(0));
    expect("cpuid hides vmx and xsave", c & (1 << 5 | 1 << 26), 0);

    expect("efer", rdmsr(0xc0000080) & 0x500, 0x500);
    wrmsr(0xc0000080, 0xd01);
    expect("efer after writing", rdmsr(0xc0000080), 0xd01);
    wrmsr(0xc0000082, 0x123456);            /* LSTAR: no exit */
    expect("lstar", rdmsr(0xc0000082), 0x123456);
    expect("apic base", rdmsr(0x1b), 0xfee00900);
    wrmsr(0x277, 0x0007040600070406);
    expect("pat", rdmsr(0x277), 0x0007040600070406);

    skip = 2;
    rdmsr(0x12345);
    expect("rdmsr of nothing: #GP", counts[13], 1);
    wrmsr(0xc0000080, 1 << 1);
    expect("wrmsr of a reserved bit: #GP", counts[13], 2);
    asm volatile("rdpmc" : : "c"(0) : "eax", "edx");
    expect("rdpmc: #GP", counts[13], 3);
    skip = 3;
    asm volatile("xsetbv" : : "a"(1), "d"(0), "c"(0));
    asm volatile("monitor" : : "a"(0), "c"(0), "d"(0));
    asm volatile("vmlaunch");
    expect("xsetbv, monitor, vmlaunch: #UD", counts[6], 3);
    asm volatile("invd");

    u64 cr0, cr4;
    asm volatile("mov %%cr0, %0" : "=r"(cr0));
    asm volatile("mov %0, %%cr0" : : "r"(cr0 | 1 << 30));   /* CD is the host's */
    asm volatile("mov %%cr0, %0" : "=r"(cr0));
    expect("cr0.cd reads back", cr0 >> 30 & 1, 1);
    asm volatile("mov %0, %%cr0" : : "r"(cr0 & ~(1ull << 30)));
    asm volatile("mov %%cr4, %0" : "=r"(cr4));
    expect("cr4.vmxe is hidden", cr4 >> 13 & 1, 0);
    asm volatile("mov %0, %%cr4" : : "r"(cr4 | 1 << 6));
    asm volatile("mov %%cr4, %0" : "=r"(cr4));
    expect("cr4.mce reads back", cr4 >> 6 & 1, 1);
    skip = 3;
    asm volatile("mov %0, %%cr4" : : "a"(cr4 | 1 << 13));
    expect("cr4.vmxe: #GP", counts[13], 4);

    u64 tpr;
    asm volatile("mov %0, %%cr8" : : "r"(5ull));
    asm volatile("mov %%cr8, %0" : "=r"(tpr));
    expect("cr8", tpr, 5);
    expect("cr8 is the tpr", read32(LAPIC + 0x80), 0x50);
    asm volatile("mov %0, %%cr8" : : "r"(0ull));
}

static void check_ports(void)
{
    static const char text[] = "a line by rep outsb, longer than one round of the hypervisor's loop over it\n";
    const char *p = text;
    u64 n = sizeof(text) - 1;

    asm volatile("rep outsb" : "+S"(p), "+c"(n) : "d"(0x3f8) : "memory");
    expect("rep outsb: rcx", n, 0);
    expect("rep outsb: rsi", (u64)p, (u64)text + sizeof(text) - 1);
    expect("line status", inb(0x3fd), 0x60);
    expect("keyboard status", inb(0x64) & 1, 0);
    expect("port of nothing", inl(0x1234), 0xffffffff);
    u8 string[4];
    u8 *to = string;
    n = 4;
    asm volatile("rep insb" : "+D"(to), "+c"(n) : "d"(0x1234) : "memory");
    expect("rep insb", *(u32 *)string, 0xffffffff);
}

/* Each way of moving and calculating that decode.c knows. */
static void check_mmio(void)
{
    volatile u32 *scratch = (volatile u32 *)(HV_MMIO + HV_MMIO_SCRATCH);
    u64 v, flags;

    expect("mmio id", read32(HV_MMIO), HV_MMIO_ID_VALUE);
    asm volatile("movl $0x89abcdef, %0" : "=m"(*scratch));
    asm volatile("movb %1, %b0" : "=&q"(v) : "m"(*(volatile u8 *)scratch), "0"(0x1100));
    expect("mov r8, m8", v, 0x11ef);
    asm volatile("movb %1, %%ah" : "=a"(v) : "m"(*((volatile u8 *)scratch + 1)), "0"(0));
    expect("mov ah, m8", v, 0xcd00);
    asm volatile("movw %1, %w0" : "=&r"(v) : "m"(*(volatile u16 *)scratch), "0"(0));
    expect("mov r16, m16", v, 0xcdef);
    asm volatile("movzbl %1, %k0" : "=r"(v) : "m"(*(volatile u8 *)scratch));
    expect("movzx r32, m8", v, 0xef);
    asm volatile("movsbq %1, %0" : "=r"(v) : "m"(*(volatile u8 *)scratch));
    expect("movsx r64, m8", v, 0xffffffffffffffef);
    asm volatile("movzwl %1, %k0" : "=r"(v) : "m"(*(volatile u16 *)scratch));
    expect("movzx r32, m16", v, 0xcdef);
    asm volatile("movslq %1, %0" : "=r"(v) : "m"(*scratch));
    expect("movsxd", v, 0xffffffff89abcdef);
    asm volatile("movq %1, %0" : "=r"(v) : "m"(*(volatile u64 *)HV_MMIO));
    expect("mov r64, m64", v, 0x89abcdef00000000 | HV_MMIO_ID_VALUE);
    asm volatile("orl $0x10, %0" : "+m"(*scratch));
    expect("or m32, imm8", *scratch, 0x89abcdff);
    asm volatile("andl %1, %0" : "+m"(*scratch) : "r"(0xffff));
    expect("and m32, r32", *scratch, 0xcdff);
    asm volatile("xorl $0x12340000, %0" : "+m"(*scratch));
    expect("xor m32, imm32", *scratch, 0x1234cdff);
    asm volatile("addl %1, %k0" : "=&r"(v) : "m"(*scratch), "0"(1));
    expect("add r32, m32", v, 0x1234ce00);
    asm volatile("cmpl %2, %1; pushfq; pop %0" : "=r"(flags) : "m"(*scratch), "r"(0x1234cdff) : "cc");
    expect("cmp m32, r32: flags", flags & 0x8d5, 0x44);
    asm volatile("subl $0x7fffffff, %1; pushfq; pop %0" : "=r"(flags), "+m"(*scratch) : : "cc");
    expect("sub m32, imm32", *scratch, 0x9234ce00);
    expect("sub: flags", flags & 0x8d5, 0x85 | 0x10 * 0);
    asm volatile("testl $0x80000000, %1; pushfq; pop %0" : "=r"(flags) : "m"(*scratch) : "cc");
    expect("test m32, imm32: flags", flags & 0x8c5, 0x84);
    v = 7;
    asm volatile("xchgl %k0, %1" : "+r"(v), "+m"(*scratch));
    expect("xchg", v, 0x9234ce00);
    expect("xchg", *scratch, 7);
    u64 to = (u64)scratch, n = 1;
    asm volatile("rep stosl" : "+D"(to), "+c"(n) : "a"(0x600df00d) : "memory");
    expect("rep stosd", *scratch, 0x600df00d);
    expect("rep stosd: rcx", n, 0);
    asm volatile("movabsl %%eax, 0xfed10004" : : "a"(0x11223344) : "memory");
    asm volatile("movabsl 0xfed10004, %%eax" : "=a"(v));
    expect("mov moffs", v, 0x11223344);
    u32 random = read32(HV_MMIO + HV_MMIO_RANDOM);
    expect("random goes on", random != read32(HV_MMIO + HV_MMIO_RANDOM), 1);
    expect("address of nothing", read32(0xc0000000), 0xffffffff);
}

static void check_interrupts(void)
{
    write32(LAPIC + 0xf0, 0x1ff);
    expect("lapic version", read32(LAPIC + 0x30), 0x50014);
    write32(LAPIC + 0x300, 1 << 18 | 48);       /* to itself */
    expect("interrupt while off", counts[48], 0);
    expect("irr", read32(LAPIC + 0x210), 1 << 16);
    asm volatile("sti; nop; nop" : : : "memory");
    expect("interrupt after sti", counts[48], 1);
    write32(LAPIC + 0x80, 0x40);
    write32(LAPIC + 0x300, 1 << 18 | 48);
    asm volatile("nop; nop" : : : "memory");
    expect("interrupt below tpr", counts[48], 1);
    write32(LAPIC + 0x80, 0);
    asm volatile("nop; nop" : : : "memory");
    expect("interrupt after tpr", counts[48], 2);

    write32(LAPIC + 0x3e0, 0xb);
    write32(LAPIC + 0x320, 49);
    u64 begin = rdtsc();
    write32(LAPIC + 0x380, 200000);
    while (!*(volatile u32 *)&counts[49])
        asm volatile("hlt" : : : "memory");
    expect("one-shot timer", counts[49], 1);
    expect("not before its time", rdtsc() - begin >= 200000, 1);
    write32(LAPIC + 0x320, 1 << 17 | 49);
    write32(LAPIC + 0x380, 30000);
    while (*(volatile u32 *)&counts[49] < 5)
        asm volatile("pause" : : : "memory");
    write32(LAPIC + 0x320, 1 << 16);
    expect("periodic timer", counts[49] >= 5, 1);
    expect("nothing in service", read32(LAPIC + 0x110), 0);
}

static u8 page[2][4096] ALIGNED(4096);

static void check_hypercalls(void)
{
    static const char text[] = "a line by hypercall\n";
    u8 *a = page[0], *b = page[1];

    expect("console write", (u64)hypercall(HC_CONSOLE_WRITE, (u64)text, sizeof(text) - 1, 0), sizeof(text) - 1);
    expect("console write from nowhere", (u64)hypercall(HC_CONSOLE_WRITE, 1ull << 40, 1, 0), (u64)HV_EFAULT);
    expect("console read", (u64)hypercall(HC_CONSOLE_READ, (u64)a, 16, 0), 0);
    expect("no such call", (u64)hypercall(99, 0, 0, 0), (u64)HV_ENOSYS);

    expect("block size", (u64)hypercall(HC_BLOCK_SIZE, 0, 0, 0), 2048);
    for (u32 i = 0; i < 4096; i++)
        a[i] = (u8)(i * 7 + (i >> 8));
    expect("block write", (u64)hypercall(HC_BLOCK_WRITE, 3, (u64)a, 8), 8);
    expect("block read", (u64)hypercall(HC_BLOCK_READ, 3, (u64)b, 8), 8);
    u32 different = 0;
    for (u32 i = 0; i < 4096; i++)
        different += a[i] != b[i];
    expect("block contents", different, 0);
    expect("block beyond the end", (u64)hypercall(HC_BLOCK_READ, 2047, (u64)b, 2), (u64)HV_EINVAL);
    expect("block huge count", (u64)hypercall(HC_BLOCK_READ, 1, (u64)b, ~0ull), (u64)HV_EINVAL);
    expect("shared block", (u64)hypercall(HC_BLOCK_READ, HV_BLOCK_SHARED, (u64)b, 1), 1);
    write32(HV_MMIO + HV_MMIO_SECTOR, 3);
    write32(HV_MMIO + HV_MMIO_ADDRESS, (u32)(u64)b);
    write32(HV_MMIO + HV_MMIO_COUNT, 1);
    write32(HV_MMIO + HV_MMIO_COMMAND, 1);
    expect("block by registers", read32(HV_MMIO + HV_MMIO_COMMAND), 1);
    expect("its contents", b[5], a[5]);

    u32 me, leaf, c, d;
    asm volatile("cpuid" : "=a"(leaf), "=b"(me), "=c"(c), "=d"(d) : "a"(HV_CPUID_BASE + 1), "c"(0));
    expect("event bind", (u64)hypercall(HC_EVENT_BIND, 4, 48, 0), 0);
    u32 before = counts[48];
    expect("event send", (u64)hypercall(HC_EVENT_SEND, me, 4, 0), 0);
    asm volatile("nop" : : : "memory");
    expect("event interrupt", counts[48], before + 1);
    expect("event pending", (u64)hypercall(HC_EVENT_PENDING, 0, 0, 0), 1 << 4);
    expect("event to nobody", (u64)hypercall(HC_EVENT_SEND, 77, 4, 0), (u64)HV_EINVAL);

    expect("share", (u64)hypercall(HC_SHARE_PAGE, 2, (u64)a, 0), 0);
    expect("map", (u64)hypercall(HC_MAP_SHARED, me, 2, (u64)b), 0);
    asm volatile("" : : : "memory");
    *(volatile u8 *)a = 0x5a;
    expect("both names, one page", *(volatile u8 *)b, 0x5a);
    expect("yield", (u64)hypercall(HC_YIELD, 0, 0, 0), 0);
}

/*
 * A guest may do what it likes to itself: with one of these words on its
 * command line it ends badly, and the others must not notice.
 */
static bool has_word(const char *line, const char *word)
{
    for (; *line; line++) {
        u32 n = 0;
        while (word[n] && line[n] == word[n])
            n++;
        if (!word[n])
            return true;
    }
    return false;
}

static void end_badly(const char *line)
{
    static const struct { u16 limit; u64 base; } __attribute__((packed)) no_idt = { 0, 0 };

    if (has_word(line, "triple"))
        asm volatile("lidt %0; ud2" : : "m"(no_idt));
    if (has_word(line, "movs"))         /* memory to memory: decode.c does not know it */
        asm volatile("movsl" : : "S"(LAPIC), "D"(idt) : "memory");
    if (has_word(line, "fetch"))        /* instructions from a device */
        ((void (*)(void))HV_MMIO)();
    if (has_word(line, "stack"))        /* an interrupt's frame onto a device */
        asm volatile("mov %0, %%rsp; ud2" : : "r"(HV_MMIO + 0x800));
    if (has_word(line, "tables"))       /* page tables in a device */
        asm volatile("mov %0, %%cr3" : : "r"(HV_MMIO));
    if (has_word(line, "halt"))
        asm volatile("cli; hlt");
    if (has_word(line, "port"))
        asm volatile("outl %0, %1" : : "a"(7), "Nd"((u16)EXIT_PORT));
    if (has_word(line, "panic"))
        hypercall(HC_REPORT, REPORT_PANIC, 99, 0);
}

void guest_main(u32 magic, u64 info)
{
    const char *line = (const char *)(u64)*(u32 *)(info + 16);

    set_gate(6, exception_6);
    set_gate(13, exception_13);
    set_gate(14, exception_14);
    set_gate(48, interrupt_48);
    set_gate(49, interrupt_49);
    expect("multiboot magic", magic, 0x2badb002);
    put("smoke test, command line \"");
    put(line);
    put("\"\n");
    hypercall(HC_REPORT, REPORT_STARTED, 0, 0);

    check_processor();
    check_ports();
    check_mmio();
    check_interrupts();
    check_hypercalls();
    end_badly(line);

    put(failures ? "some checks FAILED\n" : "all checks passed\n");
    hypercall(HC_REPORT, REPORT_DIGEST, (u64)failures << 32 | checks, 0);
    hypercall(HC_SHUTDOWN, failures, 0, 0);
}
