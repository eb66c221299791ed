/* Exceptions of 64-bit mode: vector, error code, what is pushed. */
#include "test.h"

const char kernel_name[] = "exceptions64";

#define NONCANONICAL 0x0123456789abcdefull

/* A page that the tests take away: 4 KiB pages at 16 MiB. */
static u64 pt[512] __attribute__((aligned(4096)));
extern u64 page_dirs[];
#define HOLE 0x1000000ul

static void map_hole(u64 entry)
{
    for (int i = 0; i < 512; i++)
        pt[i] = HOLE + i * 4096ul + 7;
    pt[0] = entry;
    page_dirs[HOLE >> 21] = (word)pt | 7;
    write_cr3(read_cr3());
}

static void arithmetic(void)
{
    TRY("div %1", : : "a"(1), "r"(0), "d"(0));
    expect("#DE: division by zero", DE, 0);
    check("#DE: RF is set in the pushed flags", caught.flags >> 16 & 1);
    TRY("idivl %1", : : "a"(0x80000000u), "r"(-1), "d"(-1));
    expect("#DE: quotient too large", DE, 0);
    equal("#DE: registers are as before", caught.regs.ax, 0x80000000u);
}

static void software(void)
{
    word after;
    TRY("lea 1f(%%rip), %0\n\tint3\n1:", : "=r"(after) :);
    expect("#BP: INT3", BP, 0);
    equal("#BP: RIP is behind INT3", caught.ip, after);
    check("#BP: RF is clear in the pushed flags", !(caught.flags >> 16 & 1));
    TRY("lea 1f(%%rip), %0\n\tint $3\n1:", : "=r"(after) :);
    expect("#BP: INT 3", BP, 0);
    equal("#BP: RIP is behind INT 3", caught.ip, after);
    TRY("int $0x80", : :);
    expect("INT 0x80", 0x80, 0);
    TRY("int $0x55", : :);
    expect("INT n from ring 0 may use any gate", 0x55, 0);
    TRY(".byte 0xf1", : :);
    expect("INT1", DB, 0);
}

static void undefined(void)
{
    word at;
    TRY("lea 1f(%%rip), %0\n1:\tud2", : "=r"(at) :);
    expect("#UD: UD2", UD, 0);
    equal("#UD: RIP is the instruction's", caught.ip, at);
    TRY(".byte 0xf0, 0x90", : :);
    expect("#UD: LOCK NOP", UD, 0);
    TRY(".byte 0xf0, 0x01, 0xc0", : :);
    expect("#UD: LOCK with a register", UD, 0);
    TRY(".byte 0xf0, 0x8b, 0x00", : : "a"(&at));
    expect("#UD: LOCK MOV", UD, 0);
    TRY(".byte 0x06", : :);
    expect("#UD: PUSH ES", UD, 0);
    TRY(".byte 0xce", : :);
    expect("#UD: INTO", UD, 0);
    TRY(".byte 0xd4, 0x0a", : :);
    expect("#UD: AAM", UD, 0);
    TRY(".byte 0xea, 0, 0, 0, 0, 0, 0", : :);
    expect("#UD: far JMP by immediate", UD, 0);
    TRY(".byte 0x8e, 0xc8", : :);
    expect("#UD: MOV to CS", UD, 0);
    TRY(".byte 0x0f, 0x20, 0xc8", : :);
    expect("#UD: MOV from CR1", UD, 0);
    TRY(".byte 0x0f, 0xff, 0xc0", : :);
    expect("#UD: UD0", UD, 0);
    TRY(".byte 0x0f, 0x01, 0xf8 + 0; .byte 0x8d, 0xc0", : :);
    expect("#UD: LEA of a register", UD, 0);
    TRY(".byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90", : :);
    expect("#GP: instruction of 16 bytes", GP, 0);
}

static void coprocessor(void)
{
    write_cr0(read_cr0() | 8);
    TRY("movaps %%xmm0, %%xmm1", : :);
    expect("#NM: SSE with CR0.TS", NM, 0);
    TRY("fwait", : :);
    expect("#NM: WAIT with TS and MP", NM, 0);
    TRY("clts; movaps %%xmm0, %%xmm1", : :);
    expect("CLTS", NOTHING, 0);
    write_cr0(read_cr0() | 4);
    TRY("movaps %%xmm0, %%xmm1", : :);
    expect("#UD: SSE with CR0.EM", UD, 0);
    write_cr0(read_cr0() & ~4ul);
    write_cr4(read_cr4() & ~0x200ul);
    TRY("movaps %%xmm0, %%xmm1", : :);
    expect("#UD: SSE without OSFXSR", UD, 0);
    write_cr4(read_cr4() | 0x200);

    u32 csr = 0x1f80 & ~(1 << 9);
    u64 one = 0x3ff0000000000000;
    TRY("ldmxcsr %0; movq %1, %%xmm0; pxor %%xmm1, %%xmm1; divsd %%xmm1, %%xmm0", : : "m"(csr), "m"(one));
    expect("#XM: division by zero, unmasked", XM, 0);
    csr = 0x1f80;
    asm volatile("ldmxcsr %0" : : "m"(csr));
    csr = 0x10000;
    TRY("ldmxcsr %0", : : "m"(csr));
    expect("#GP: LDMXCSR of a reserved bit", GP, 0);
    static u8 bytes[64] __attribute__((aligned(16)));
    TRY("movaps %0, %%xmm0", : : "m"(bytes[8]));
    expect("#GP: MOVAPS unaligned", GP, 0);
    TRY("movups %0, %%xmm0", : : "m"(bytes[8]));
    expect("MOVUPS unaligned", NOTHING, 0);
}

static void protection(void)
{
    u64 v;
    TRY("mov (%1), %0", : "=r"(v) : "r"(NONCANONICAL));
    expect("#GP: non-canonical address", GP, 0);
    TRY("push %%rbp; mov %0, %%rbp; mov (%%rbp), %%rax; pop %%rbp", : : "r"(NONCANONICAL) : "rax");
    expect("#SS: non-canonical address by RBP", SS, 0);
    set_gate(SS, stub(SS), 14, 0, 1);       /* on a stack of its own */
    set_gate(GP, stub(GP), 14, 0, 1);
    TRY("mov %0, %%rsp; push %%rax", : : "r"(NONCANONICAL));
    expect("#SS: non-canonical stack", SS, 0);
    restore_gate(SS);
    restore_gate(GP);
    TRY("jmp *%0", : : "r"(NONCANONICAL));
    expect("#GP: jump to a non-canonical address", GP, 0);
    check("#GP: RIP is the jump's", caught.ip < 0x200000);
    TRY("push %0; ret", : : "r"(NONCANONICAL));
    expect("#GP: RET to a non-canonical address", GP, 0);

    gdt[SPARE / 8] = segment(0, 0xfffff, 0xc013);       /* data, not present */
    TRY("mov %0, %%es", : : "r"(SPARE));
    expect("#NP: DS not present", NP, SPARE);
    TRY("mov %0, %%ss", : : "r"(SPARE));
    expect("#SS: SS not present", SS, SPARE);
    TRY("mov %0, %%es", : : "r"(GDT_ENTRIES * 8));
    expect("#GP: selector beyond GDT", GP, GDT_ENTRIES * 8);
    TRY("mov %0, %%es", : : "r"(GDT_ENTRIES * 8 + 3));
    expect("#GP: the error code has no RPL", GP, GDT_ENTRIES * 8);
    asm volatile("lldt %w0" : : "r"(0));
    TRY("mov %0, %%es", : : "r"(0x0c));
    expect("#GP: selector in an empty LDT", GP, 0x0c);
    TRY("mov %0, %%ss", : : "r"(KCODE));
    expect("#GP: code segment into SS", GP, KCODE);
    TRY("mov %0, %%ss", : : "r"(KDATA | 3));
    expect("#GP: RPL 3 into SS", GP, KDATA);
    TRY("mov %0, %%ss", : : "r"(0));
    expect("null into SS is fine in ring 0", NOTHING, 0);
    asm volatile("mov %0, %%ss" : : "r"(KDATA));
    TRY("mov %0, %%es", : : "r"(TSS));
    expect("#GP: TSS into ES", GP, TSS);
    gdt[SPARE / 8] = segment(0, 0xfffff, 0xc099);       /* execute-only */
    TRY("mov %0, %%es", : : "r"(SPARE));
    expect("#GP: execute-only segment into ES", GP, SPARE);
    TRY("ltr %w0", : : "r"(TSS));
    expect("#GP: LTR of a busy TSS", GP, TSS);
    TRY("lldt %w0", : : "r"(KDATA));
    expect("#GP: LLDT of data", GP, KDATA);
    TRY("lldt %w0", : : "r"(0));
    expect("LLDT of null", NOTHING, 0);

    if (!has_word("qemu")) {        /* which would do it, and be lost */
        TRY("ltr %w0", : : "r"(0));
        expect("#GP: LTR of null", GP, 0);
        TRY("mov %0, %%cr0", : : "r"(read_cr0() & ~1ul));
        expect("#GP: paging without protection", GP, 0);
        TRY("mov %0, %%cr0", : : "r"(read_cr0() | 1ul << 32));
        expect("#GP: upper half of CR0", GP, 0);
        TRY("mov %0, %%cr0", : : "r"((read_cr0() | 1ul << 29) & ~(1ul << 30)));
        expect("#GP: NW without CD", GP, 0);
        TRY("mov %0, %%cr4", : : "r"(read_cr4() & ~0x20ul));
        expect("#GP: long mode without PAE", GP, 0);
        TRY("mov %0, %%cr4", : : "r"(read_cr4() | 1ul << 63));
        expect("#GP: reserved bit of CR4", GP, 0);
        TRY("mov %0, %%cr3", : : "r"(read_cr3() | 1ul << 62));
        expect("#GP: reserved bit of CR3", GP, 0);
        TRY("mov %0, %%cr8", : : "r"(16ul));
        expect("#GP: reserved bit of CR8", GP, 0);
        TRY("wrmsr", : : "c"(0xc0000080), "a"(0x100), "d"(1));
        expect("#GP: reserved bit of EFER", GP, 0);
        TRY("wrmsr", : : "c"(0xc0000082), "a"(0), "d"(0x01234567));
        expect("#GP: non-canonical LSTAR", GP, 0);
    }
}

static void gates(void)
{
    set_gate(0x60, stub(0x60), 14, 0, 0);
    TRY("int $0x60", : :);
    expect("a gate", 0x60, 0);
    set_gate(0x60, stub(0x60), 12, 0, 0);
    TRY("int $0x60", : :);
    expect("#GP: call gate in the IDT", GP, 0x60 * 8 + 2);
    restore_gate(0x60);

    struct __attribute__((packed)) { u16 limit; u64 base; } old, t;
    asm volatile("sidt %0" : "=m"(old));
    t = old;
    t.limit = 0x60 * 16 + 14;
    asm volatile("lidt %0" : : "m"(t));
    TRY("int $0x60", : :);
    expect("#GP: vector beyond the IDT", GP, 0x60 * 8 + 2);
    asm volatile("lidt %0" : : "m"(old));

    u32 *gate = (u32 *)(old.base + 0x60 * 16);
    gate[1] &= ~0x8000u;
    TRY("int $0x60", : :);
    expect("#NP: gate not present", NP, 0x60 * 8 + 2);
    gate[1] |= 0x8000;
    gate[0] = (gate[0] & 0xffff) | KDATA << 16;
    TRY("int $0x60", : :);
    expect("#GP: gate to a data segment", GP, KDATA);
    gate[0] = gate[0] & 0xffff;
    TRY("int $0x60", : :);
    expect("#GP: gate to null", GP, 0);
    gate[0] = (gate[0] & 0xffff) | KCODE32 << 16;
    TRY("int $0x60", : :);
    expect("#GP: gate to 32-bit code", GP, KCODE32);
    restore_gate(0x60);

    /* What happens on the way to a handler has EXT set in its code. */
    gate = (u32 *)(old.base + UD * 16);
    gate[1] &= ~0x8000u;
    TRY("ud2", : :);
    expect("#NP: gate of #UD not present", NP, UD * 8 + 3);
    restore_gate(UD);

    /* Two contributory exceptions make a double fault. */
    gate = (u32 *)(old.base + GP * 16);
    gate[1] &= ~0x8000u;
    TRY("mov (%0), %%rax", : : "r"(NONCANONICAL) : "rax");
    expect("#DF: #GP, then #NP", DF, 0);
    restore_gate(GP);
    /* As do two page faults, on a stack that is there. */
    map_hole(0);
    set_gate(DF, stub(DF), 14, 0, 1);
    TRY("mov %0, %%rsp; push %%rax", : : "r"(HOLE + 64));
    expect("#DF: page fault while delivering a page fault", DF, 0);
    equal("#DF: CR2 is the second's", caught.cr2, HOLE + 64 - 8);
    check("#DF: on its own stack", caught.sp == HOLE + 64);
    restore_gate(DF);
    set_gate(PF, stub(PF), 14, 0, 1);
    TRY("mov %0, %%rsp; push %%rax", : : "r"(HOLE + 64));
    expect("#PF on a stack of its own", PF, 2);
    restore_gate(PF);
}

static USER void u_cli(void) { asm volatile("cli"); }
static USER void u_hlt(void) { asm volatile("hlt"); }
static USER void u_in(void) { asm volatile("in $0x80, %%al; int $0x80" : : : "al"); }
static USER void u_int(void) { asm volatile("int $0x60"); }
static USER void u_int3(void) { asm volatile("int3"); }
static USER void u_cr(void) { asm volatile("mov %%cr0, %%rax" : : : "rax"); }
static USER void u_msr(void) { asm volatile("rdmsr" : : "c"(0x10) : "rax", "rdx"); }
static USER void u_lgdt(void) { asm volatile("lgdt (%rsp)"); }
static USER void u_invlpg(void) { asm volatile("invlpg (%rsp)"); }
static USER void u_kernel(void) { asm volatile("mov 0x100000, %%rax" : : : "rax"); }
static USER void u_jump(void) { asm volatile("mov $0x100000, %%rax; jmp *%%rax" : : : "rax"); }
static USER void u_fine(void) { asm volatile("int $0x80"); }
static USER void u_align(void)
{
    asm volatile("pushf; orl $0x40000, (%rsp); popf; mov 1(%rsp), %eax; int $0x80");
}
static USER void u_popf(void) { asm volatile("pushf; orl $0x3200, (%rsp); popf; pushf; pop %rax; int $0x80"); }
static USER void u_ss(void) { asm volatile("mov %0, %%ss" : : "r"(0)); }
static USER void u_rdpmc(void) { asm volatile("rdpmc" : : "c"(0) : "rax", "rdx"); }
static USER void u_tsc(void) { asm volatile("rdtsc; int $0x80" : : : "rax", "rdx"); }

static void user(void)
{
    in_ring3(u_fine);
    expect("ring 3: INT 0x80", 0x80, 0);
    equal("ring 3: CS", caught.cs, UCODE);
    equal("ring 3: SS", caught.ss, UDATA);
    check("ring 3: stack", caught.sp - (word)user_stack < sizeof user_stack);
    static const struct {
        const char *name;
        void (*code)(void);
        int vector;
        u32 error;
    } cases[] = {
        { "ring 3: CLI", u_cli, GP, 0 },
        { "ring 3: HLT", u_hlt, GP, 0 },
        { "ring 3: INT of a ring 0 gate", u_int, GP, 0x60 * 8 + 2 },
        { "ring 3: INT3", u_int3, BP, 0 },
        { "ring 3: MOV from CR0", u_cr, GP, 0 },
        { "ring 3: RDMSR", u_msr, GP, 0 },
        { "ring 3: LGDT", u_lgdt, GP, 0 },
        { "ring 3: INVLPG", u_invlpg, GP, 0 },
        { "ring 3: read of a supervisor page", u_kernel, PF, 5 },
        { "ring 3: fetch from a supervisor page", u_jump, PF, 0x15 },
        { "ring 3: null into SS", u_ss, GP, 0 },
        { "ring 3: RDTSC", u_tsc, 0x80, 0 },
        { "ring 3: RDPMC", u_rdpmc, GP, 0 },
    };
    for (int i = 0; i < SIZE(cases); i++) {
        in_ring3(cases[i].code);
        expect(cases[i].name, cases[i].vector, cases[i].error);
    }
    in_ring3(u_in);
    expect("ring 3: IN that the bitmap allows", 0x80, 0);
    tss[104 + 0x80 / 8] = 1;
    in_ring3(u_in);
    expect("ring 3: IN that the bitmap forbids", GP, 0);
    tss[104 + 0x80 / 8] = 0;
    in_ring3(u_popf);
    expect("ring 3: POPF", 0x80, 0);
    equal("ring 3: POPF keeps IOPL and IF", caught.regs.ax & 0x3200, 0);
    write_cr4(read_cr4() | 4);
    in_ring3(u_tsc);
    expect("ring 3: RDTSC with TSD", GP, 0);
    write_cr4(read_cr4() & ~4ul);

    in_ring3(u_align);
    expect("ring 3: unaligned, CR0.AM clear", 0x80, 0);
    write_cr0(read_cr0() | 1 << 18);
    in_ring3(u_align);
    expect("#AC: unaligned in ring 3", AC, 0);
    write_cr0(read_cr0() & ~(1ul << 18));
}

static void page_faults(void)
{
    u64 v;
    map_hole(0);
    TRY("mov 8(%1), %0", : "=r"(v) : "r"(HOLE));
    expect("#PF: read, not present", PF, 0);
    equal("#PF: CR2", caught.cr2, HOLE + 8);
    TRY("mov %0, 8(%0)", : : "r"(HOLE));
    expect("#PF: write, not present", PF, 2);
    TRY("call *%0", : : "r"(HOLE + 16));
    expect("#PF: fetch, not present", PF, 0x10);
    equal("#PF: CR2 of a fetch", caught.cr2, HOLE + 16);
    equal("#PF: RIP of a fetch", caught.ip, HOLE + 16);
    map_hole(HOLE | 5);
    TRY("mov %0, 8(%0)", : : "r"(HOLE));
    expect("#PF: write to a read-only page", PF, 3);
    write_cr0(read_cr0() & ~0x10000ul);
    TRY("mov %0, 8(%0)", : : "r"(HOLE));
    expect("CR0.WP clear", NOTHING, 0);
    write_cr0(read_cr0() | 0x10000);
    map_hole(HOLE | 7 | 1ul << 63);
    TRY("call *%0", : : "r"(HOLE));
    expect("#PF: fetch from an NX page", PF, 0x11);
    map_hole(HOLE | 7 | 1ul << 51);
    TRY("mov (%1), %0", : "=r"(v) : "r"(HOLE));
    expect("#PF: reserved bit", PF, 9);
    TRY("mov %0, (%0)", : : "r"(HOLE));
    expect("#PF: reserved bit, write", PF, 11);

    /* An access that reaches into the page faults there, and does nothing. */
    map_hole(0);
    u64 *before = (u64 *)(HOLE - 4);
    page_dirs[(HOLE >> 21) - 1] |= 2;
    *(u32 *)(HOLE - 4) = 0x11111111;
    TRY("movq %0, (%1)", : : "r"(0x2222222222222222ul), "r"(before));
    expect("#PF: write over the edge of a page", PF, 2);
    equal("#PF: CR2 is the second page's", caught.cr2, HOLE);
    equal("#PF: nothing was written", *(u32 *)(HOLE - 4), 0x11111111);
    page_dirs[HOLE >> 21] = HOLE | 0x83;
    write_cr3(read_cr3());
}

int main(void);
int main(void)
{
    arithmetic();
    software();
    undefined();
    coprocessor();
    protection();
    gates();
    user();
    page_faults();
    return 0;
}
