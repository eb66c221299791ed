/* 4-level paging: page sizes, rights, the accessed and dirty bits. */
#include "test.h"

const char kernel_name[] = "paging64";

/* Tables of the tests' own, for the second 512 GiB. */
static u64 l3[512] __attribute__((aligned(4096)));
static u64 l2[512] __attribute__((aligned(4096)));
static u64 l1[512] __attribute__((aligned(4096)));
extern u64 pml4[512], page_dirs[];

#define AREA (1ul << 39)
#define PHYS 0x1000000ul        /* what is mapped there: 16 MiB on */
enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, BIG = 0x80, G = 0x100 };
#define NXE (1ul << 63)

static void flush(void) { write_cr3(read_cr3()); }

static void fresh(void)
{
    pml4[1] = (word)l3 | P | W | U;
    for (int i = 0; i < 512; i++)
        l3[i] = l2[i] = l1[i] = 0;
    l3[0] = (word)l2 | P | W | U;
    l2[0] = (word)l1 | P | W | U;
    for (int i = 0; i < 512; i++)
        l1[i] = (PHYS + i * 4096) | P | W | U;
    flush();
}

static u64 load(word a)
{
    u64 v = 0;
    TRY("mov (%1), %0", : "+r"(v) : "r"(a));
    return v;
}

static void store(word a, u64 v)
{
    TRY("mov %0, (%1)", : : "r"(v), "r"(a));
}

static void sizes(void)
{
    fresh();
    for (int i = 0; i < 8; i++)
        *(volatile u64 *)(PHYS + i * 4096 + 8) = 0x1000 + i;
    *(volatile u64 *)(PHYS + 0x200008) = 0x2222;
    equal("4 KiB page", load(AREA + 3 * 4096 + 8), 0x1003);
    l2[1] = (PHYS + 0x200000) | P | W | BIG;
    equal("2 MiB page", load(AREA + 0x200008), 0x2222);
    l2[2] = (PHYS + 0x202000) | P | W | BIG;
    load(AREA + 0x400008);
    expect("2 MiB page, misaligned", PF, 9);
    if (cpuid_bit(0x80000001, 0, EDX, 26)) {
        l3[1] = 0 | P | W | BIG;
        equal("1 GiB page", load(AREA + (1ul << 30) + PHYS + 8), 0x1000);
        l3[2] = 0x2000 | P | W | BIG;
        load(AREA + (2ul << 30) + 8);
        expect("1 GiB page, misaligned", PF, 9);
    } else {
        skip("1 GiB page", "not in CPUID");
    }
    pml4[1] |= BIG;
    flush();
    load(AREA + 8);
    expect("page size bit in the top level is reserved", PF, 9);
    pml4[1] &= ~(u64)BIG;
    flush();
}

/* What is missing or forbidden at any level counts. */
static void levels(void)
{
    static u64 *entry[4] = { &pml4[1], &l3[0], &l2[0], &l1[0] };
    static const char *absent[4] = { "absent in PML4", "absent in PDPT", "absent in PD", "absent in PT" };
    static const char *readonly[4] = { "read-only in PML4", "read-only in PDPT", "read-only in PD", "read-only in PT" };
    static const char *nx[4] = { "NX in PML4", "NX in PDPT", "NX in PD", "NX in PT" };
    static const char *reserved[4] = { "reserved bit in PML4", "reserved bit in PDPT", "reserved bit in PD", "reserved bit in PT" };
    static const char *accessed[4] = { "accessed in PML4", "accessed in PDPT", "accessed in PD", "accessed in PT" };

    for (int i = 0; i < 4; i++) {
        fresh();
        *entry[i] &= ~(u64)P;
        flush();
        load(AREA);
        expect(absent[i], PF, 0);
        fresh();
        *entry[i] &= ~(u64)W;
        flush();
        load(AREA);
        store(AREA, 1);
        expect(readonly[i], PF, 3);
        fresh();
        *entry[i] |= NXE;
        flush();
        load(AREA);
        TRY("call *%0", : : "r"(AREA));
        expect(nx[i], PF, 0x11);
        fresh();
        *entry[i] |= 1ul << 50;
        flush();
        load(AREA);
        expect(reserved[i], PF, 9);
        fresh();
        check(accessed[i], !(*entry[i] & A) && (load(AREA), *entry[i] & A));
    }
    fresh();
    wrmsr(0xc0000080, rdmsr(0xc0000080) & ~0x800ul);
    l1[0] |= NXE;
    flush();
    load(AREA);
    expect("NX without EFER.NXE is reserved", PF, 9);
    wrmsr(0xc0000080, rdmsr(0xc0000080) | 0x800);
}

static void accessed_dirty(void)
{
    fresh();
    load(AREA);
    equal("a read sets A, not D", l1[0] & (A | D), A);
    store(AREA, 5);
    equal("a write after a read sets D", l1[0] & (A | D), A | D);
    check("D only in the last level", !((l2[0] | l3[0]) & D));
    l1[1] &= ~(u64)W;
    flush();
    store(AREA + 4096, 5);
    expect("a write to a read-only page", PF, 3);
    equal("a forbidden write does not set D", l1[1] & D, 0);
    u64 old = 1;
    l1[2] &= ~(u64)W;
    flush();
    TRY("lock cmpxchg %2, (%1)", : "+a"(old) : "r"(AREA + 8192), "r"(7ul));
    expect("CMPXCHG that compares unequal needs the right to write", PF, 3);
    l2[1] = (PHYS + 0x200000) | P | W | BIG;
    load(AREA + 0x200000);
    equal("2 MiB page: a read sets A", l2[1] & (A | D), A);
    store(AREA + 0x3ffff8, 1);
    equal("2 MiB page: a write sets D", l2[1] & (A | D), A | D);
    check("locked increments of one page count", *(u64 *)PHYS == 5);
    TRY("bts %1, (%0)", : : "r"(AREA + 4096 * 4), "r"(4096ul * 8));
    check("BTS reaches the next page by its bit offset", (l1[5] & D) && !(l1[4] & A));
}

static void caching(void)
{
    fresh();
    *(volatile u64 *)PHYS = 1;
    *(volatile u64 *)(PHYS + 4096) = 2;
    load(AREA);
    l1[0] = (PHYS + 4096) | P | W | U;
    invlpg(AREA + 8);
    equal("INVLPG", load(AREA), 2);
    l1[0] = PHYS | P | W | U;
    flush();
    equal("MOV to CR3", load(AREA), 1);
    l1[0] = (PHYS + 4096) | P | W | U | G;
    flush();
    write_cr4(read_cr4() | 0x80);
    load(AREA);
    l1[0] = PHYS | P | W | U | G;
    write_cr4(read_cr4() & ~0x80ul);
    write_cr4(read_cr4() | 0x80);
    equal("toggling CR4.PGE drops global pages", load(AREA), 1);
    l1[0] = (PHYS + 4096) | P | W | U | G;
    invlpg(AREA);
    equal("INVLPG drops a global page", load(AREA), 2);
    write_cr4(read_cr4() & ~0x80ul);

    /* What is not present is not cached, nor are fewer rights once faulted. */
    l1[6] = 0;
    flush();
    load(AREA + 6 * 4096);
    expect("absent", PF, 0);
    l1[6] = PHYS | P;
    load(AREA + 6 * 4096);
    expect("present without a flush", NOTHING, 0);
    store(AREA + 6 * 4096, 1);
    expect("read-only", PF, 3);
    l1[6] |= W;
    store(AREA + 6 * 4096, 1);
    expect("writable without a flush, once it has faulted", NOTHING, 0);

    if (!cpuid_bit(1, 0, ECX, 17)) {
        skip("PCID", "not in CPUID");
        return;
    }
    word cr3 = read_cr3();
    write_cr4(read_cr4() | 1 << 17);
    l1[0] = PHYS | P | W;
    *(volatile u64 *)PHYS = 1;
    write_cr3(cr3 | 1);
    load(AREA);
    write_cr3(cr3 | 2);
    l1[0] = (PHYS + 4096) | P | W;
    equal("another PCID has its own translations", load(AREA), 2);
    write_cr3(cr3 | 1);
    equal("MOV to CR3 drops those of its PCID", load(AREA), 2);
    TRY("mov %0, %%cr4", : : "r"(read_cr4() & ~(1ul << 17)));
    expect("PCIDE may be cleared", NOTHING, 0);
    write_cr3(cr3);
    write_cr3(cr3 | 0x18);
    TRY("mov %0, %%cr4", : : "r"(read_cr4() | 1ul << 17));
    if (!has_word("qemu"))
        expect("#GP: PCIDE with a PCID that is not 0", GP, 0);
    write_cr4(read_cr4() & ~(1ul << 17));
    write_cr3(cr3);
}

static USER void u_read(void) { asm volatile("mov %0, %%rax; mov (%%rax), %%rax; int $0x80" : : "i"(AREA) : "rax"); }
static USER void u_write(void) { asm volatile("mov %0, %%rax; mov %%rax, (%%rax); int $0x80" : : "i"(AREA) : "rax"); }
static USER void u_call(void) { asm volatile("mov %0, %%rax; call *%%rax; int $0x80" : : "i"(AREA) : "rax"); }

static void user(void)
{
    fresh();
    *(volatile u8 *)PHYS = 0xc3;
    in_ring3(u_read);
    expect("ring 3 reads a user page", 0x80, 0);
    in_ring3(u_write);
    expect("ring 3 writes a user page", 0x80, 0);
    *(volatile u8 *)PHYS = 0xc3;
    in_ring3(u_call);
    expect("ring 3 runs a user page", 0x80, 0);
    static u64 *entry[4] = { &pml4[1], &l3[0], &l2[0], &l1[0] };
    static const char *names[4] = { "supervisor in PML4", "supervisor in PDPT", "supervisor in PD", "supervisor in PT" };
    for (int i = 0; i < 4; i++) {
        *entry[i] &= ~(u64)U;
        flush();
        in_ring3(u_read);
        expect(names[i], PF, 5);
        *entry[i] |= U;
    }
    flush();
    l1[0] &= ~(u64)W;
    flush();
    write_cr0(read_cr0() & ~0x10000ul);
    in_ring3(u_write);
    expect("CR0.WP is not for ring 3", PF, 7);
    write_cr0(read_cr0() | 0x10000);
    l1[0] |= W | NXE;
    flush();
    in_ring3(u_call);
    expect("ring 3 and NX", PF, 0x15);
    l1[0] &= ~NXE;
    flush();

    if (cpuid_bit(7, 0, EBX, 7)) {
        write_cr4(read_cr4() | 1 << 20);
        TRY("call *%0", : : "r"(AREA));
        expect("SMEP", PF, 0x11);
        in_ring3(u_call);
        expect("SMEP is not for ring 3", 0x80, 0);
        write_cr4(read_cr4() & ~(1ul << 20));
        TRY("call *%0", : : "r"(AREA));
        expect("without SMEP", NOTHING, 0);
    } else {
        skip("SMEP", "not in CPUID");
    }
    if (cpuid_bit(7, 0, EBX, 20)) {
        write_cr4(read_cr4() | 1 << 21);
        load(AREA);
        expect("SMAP: read", PF, 1);
        store(AREA, 1);
        expect("SMAP: write", PF, 3);
        TRY("stac; mov (%0), %%rax; clac", : : "r"(AREA) : "rax");
        expect("SMAP: STAC", NOTHING, 0);
        load(AREA);
        expect("SMAP: after CLAC", PF, 1);
        in_ring3(u_read);
        expect("SMAP is not for ring 3", 0x80, 0);
        /* Implicit supervisor accesses have no way round it. */
        TRY("stac; mov %0, %%es; clac", : : "r"(KDATA));
        expect("SMAP: descriptors of a supervisor page", NOTHING, 0);
        write_cr4(read_cr4() & ~(1ul << 21));
    } else {
        skip("SMAP", "not in CPUID");
    }
}

/* Strings that meet the end of what is there stop exactly at it. */
static void strings(void)
{
    fresh();
    l1[8] = 0;
    flush();
    word edge = AREA + 8 * 4096;
    word si, di, cx;
    for (int i = 0; i < 64; i++)
        *(volatile u8 *)(edge - 64 + i) = i;
    si = edge - 64, di = edge - 16, cx = 32;
    TRY("rep movsb", : "+S"(si), "+D"(di), "+c"(cx) :);
    expect("REP MOVSB into nothing", PF, 2);
    equal("... CR2", caught.cr2, edge);
    equal("... RCX", caught.regs.cx, 16);
    equal("... RSI", caught.regs.si, edge - 48);
    equal("... RDI", caught.regs.di, edge);
    si = edge - 20, di = edge - 64, cx = 8;
    TRY("rep movsq", : "+S"(si), "+D"(di), "+c"(cx) :);
    expect("REP MOVSQ from nothing", PF, 0);
    equal("... RCX", caught.regs.cx, 6);
    equal("... CR2 is in the page that is missing", caught.cr2, edge);
    di = edge - 24, cx = 100;
    TRY("rep stosq", : "+D"(di), "+c"(cx) : "a"(0x5555555555555555ul));
    expect("REP STOSQ", PF, 2);
    equal("... RCX", caught.regs.cx, 97);
    equal("... the last that fits", *(volatile u64 *)(edge - 8), 0x5555555555555555ul);
    di = edge - 3, cx = 100;
    TRY("std; rep stosb; cld", : "+D"(di), "+c"(cx) : "a"(7));
    expect("REP STOSB downwards", NOTHING, 0);
    equal("... first", *(volatile u8 *)(edge - 3), 7);
    equal("... last", *(volatile u8 *)(edge - 102), 7);
    TRY("mov %0, %%rsp; push %%rax", : : "r"(edge + 8));
    check("PUSH into nothing", caught.vector == DF || caught.vector == PF);
}

int main(void);
int main(void)
{
    set_gate(PF, stub(PF), 14, 0, 1);
    sizes();
    levels();
    accessed_dirty();
    caching();
    user();
    strings();
    return 0;
}
