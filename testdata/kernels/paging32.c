/* 32-bit paging with 4 KiB and 4 MiB pages, and PAE paging. */
#include "test.h"

const char kernel_name[] = "paging32";

/* Two of each level, so that one table serves both kinds of paging. */
static u32 dir[1024] __attribute__((aligned(4096)));
static u32 table[1024] __attribute__((aligned(4096)));
static u64 pdpt[4] __attribute__((aligned(32)));
static u64 dirs[4][512] __attribute__((aligned(4096)));
static u64 pae_table[512] __attribute__((aligned(4096)));

enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, BIG = 0x80 };
#define AREA 0x40000000u        /* what the tests map */
#define PHYS 0x01000000u        /* there */
#define NXE (1ull << 63)

static void flush(void) { write_cr3(read_cr3()); }

static u32 load(word a)
{
    u32 v = 0;
    TRY("mov (%1), %0", : "+r"(v) : "r"(a));
    return v;
}
static void store(word a, u32 v) { TRY("mov %0, (%1)", : : "r"(v), "r"(a)); }

static USER void u_read(void) { asm volatile("mov %0, %%eax; mov (%%eax), %%eax; int $0x80" : : "i"(AREA) : "eax"); }
static USER void u_write(void) { asm volatile("mov %0, %%eax; mov %%eax, (%%eax); int $0x80" : : "i"(AREA) : "eax"); }
static USER void u_call(void) { asm volatile("mov %0, %%eax; call *%%eax; int $0x80" : : "i"(AREA) : "eax"); }

static void rights(u32 *low)
{
    *(volatile u8 *)PHYS = 0xc3;
    *low = PHYS | P | W | U;
    flush();
    in_ring3(u_read);
    expect("ring 3 reads a user page", 0x80, 0);
    in_ring3(u_call);
    expect("ring 3 runs a user page", 0x80, 0);
    *low = PHYS | P | W;
    flush();
    in_ring3(u_read);
    expect("ring 3 reads a supervisor page", PF, 5);
    in_ring3(u_write);
    expect("ring 3 writes a supervisor page", PF, 7);
    in_ring3(u_call);
    check("ring 3 runs a supervisor page", caught.vector == PF && (caught.code & ~0x10) == 5);
    *low = PHYS | P | U;
    flush();
    in_ring3(u_write);
    expect("ring 3 writes a read-only page", PF, 7);
    store(AREA, 1);
    expect("ring 0 writes a read-only page without WP", NOTHING, 0);
    write_cr0(read_cr0() | 0x10000);
    store(AREA, 1);
    expect("ring 0 writes a read-only page with WP", PF, 3);
    equal("... CR2", caught.cr2, AREA);
    write_cr0(read_cr0() & ~0x10000ul);
    *low = PHYS | P | W | U;
    flush();
}

static void paging_32(void)
{
    for (int i = 0; i < 1024; i++) {
        dir[i] = (u32)i << 22 | P | W | BIG;
        table[i] = (PHYS + i * 4096) | P | W | U;
    }
    dir[2] |= U;
    dir[AREA >> 22] = (word)table | P | W | U;
    write_cr3((word)dir);
    write_cr4(read_cr4() | 0x10);
    write_cr0(read_cr0() | 0x80000000);
    check("32-bit paging is on", true);
    *(volatile u32 *)(PHYS + 0x5008) = 0x5555;
    equal("4 KiB page", load(AREA + 0x5008), 0x5555);
    dir[(AREA >> 22) + 1] = PHYS | P | W | BIG;
    equal("4 MiB page", load(AREA + 0x405008), 0x5555);
    dir[(AREA >> 22) + 2] = PHYS | P | W | BIG | 1 << 21;
    load(AREA + 0x805008);
    expect("4 MiB page: reserved bit 21", PF, 9);
    table[6] = 0;
    flush();
    load(AREA + 0x6000);
    expect("absent", PF, 0);
    store(AREA + 0x6010, 1);
    expect("absent, write", PF, 2);
    equal("... CR2", caught.cr2, AREA + 0x6010);
    table[7] = (PHYS + 0x7000) | P | W;
    dir[AREA >> 22] &= ~A;
    flush();
    load(AREA + 0x7000);
    equal("a read sets A", table[7] & (A | D), A);
    check("... in the directory too", dir[AREA >> 22] & A);
    store(AREA + 0x7000, 1);
    equal("a write sets D", table[7] & (A | D), A | D);
    store(AREA + 0x400000, 0);
    equal("a write sets D of a 4 MiB page", dir[(AREA >> 22) + 1] & (A | D), A | D);
    rights(&table[0]);
    dir[AREA >> 22] &= ~U;
    flush();
    in_ring3(u_read);
    expect("supervisor in the directory", PF, 5);
    dir[AREA >> 22] |= U;
    if (cpuid_bit(1, 0, EDX, 17)) {
        dir[(AREA >> 22) + 4] = PHYS | P | W | BIG | 1 << 13;   /* 4 GiB and 16 MiB: nothing is there */
        flush();
        equal("PSE-36: above 4 GiB", load(AREA + 0x1000000), 0xffffffff);
    }
    write_cr0(read_cr0() & ~0x80000000ul);
}

static void pae(void)
{
    if (!cpuid_bit(1, 0, EDX, 6)) {
        skip("PAE", "not in CPUID");
        return;
    }
    for (int i = 0; i < 4; i++) {
        pdpt[i] = (word)dirs[i] | P;
        for (int j = 0; j < 512; j++)
            dirs[i][j] = ((u64)i << 30 | (u64)j << 21) | P | W | BIG;
    }
    dirs[0][4] |= U, dirs[0][5] |= U;
    for (int i = 0; i < 512; i++)
        pae_table[i] = (PHYS + i * 4096) | P | W | U;
    dirs[AREA >> 30][0] = (word)pae_table | P | W | U;
    write_cr3((word)pdpt);
    write_cr4(read_cr4() | 0x20);
    write_cr0(read_cr0() | 0x80000000);
    check("PAE paging is on", true);
    *(volatile u32 *)(PHYS + 0x5008) = 0x5555;
    equal("4 KiB page", load(AREA + 0x5008), 0x5555);
    dirs[1][1] = PHYS | P | W | BIG;
    equal("2 MiB page", load(AREA + 0x205008), 0x5555);
    pae_table[6] = (PHYS + 0x6000) | P | W | 1ull << 50;
    load(AREA + 0x6000);
    expect("reserved bit", PF, 9);
    pae_table[7] = (PHYS + 0x7000) | P | W | NXE;
    load(AREA + 0x7000);
    expect("bit 63 without NXE", PF, 9);
    pae_table[8] = (PHYS + 0x8000) | P | W;
    load(AREA + 0x8000);
    equal("a read sets A", pae_table[8] & (A | D), A);
    store(AREA + 0x8000, 1);
    equal("a write sets D", pae_table[8] & (A | D), A | D);
    rights((u32 *)&pae_table[0]);

    wrmsr(0xc0000080, rdmsr(0xc0000080) | 0x800);
    pae_table[0] |= NXE;
    flush();
    TRY("call *%0", : : "r"(AREA));
    expect("NX", PF, 0x11);
    in_ring3(u_call);
    expect("NX in ring 3", PF, 0x15);
    pae_table[0] &= ~NXE;
    dirs[1][0] |= NXE;
    flush();
    TRY("call *%0", : : "r"(AREA));
    expect("NX in the directory", PF, 0x11);
    dirs[1][0] &= ~NXE;
    wrmsr(0xc0000080, rdmsr(0xc0000080) & ~0x800ul);

    /* The four entries of the top are registers, loaded with CR3. */
    pdpt[3] = 0;
    load(0xc0000000u);
    expect("a pointer changed in memory only", NOTHING, 0);
    flush();
    load(0xc0000000u);
    expect("... and after a load of CR3", PF, 0);
    if (!has_word("qemu")) {
        pdpt[3] = (word)dirs[3] | P | W;
        TRY("mov %0, %%cr3", : : "r"(read_cr3()));
        expect("reserved bit of a pointer", GP, 0);
    }
    pdpt[3] = (word)dirs[3] | P;
    flush();
    write_cr0(read_cr0() & ~0x80000000ul);
    write_cr4(read_cr4() & ~0x20ul);
    check("paging is off again", true);
}

int main(void);
int main(void)
{
    paging_32();
    pae();
    return 0;
}
