/* 32-bit protected mode: segments, gates, rings. */
#include "test.h"

const char kernel_name[] = "protected32";

enum { SMALL = SPARE, DOWN = SPARE + 8, RO = SPARE + 16, XO = SPARE + 24, ABSENT = SPARE + 32, SMALLCODE = SPARE + 40,
       GATE = SPARE + 48, GATE16 = SPARE + 56, CODE16 = SPARE + 64, LDT = SPARE + 72, CONF = SPARE + 80, RING1 = SPARE + 88,
       TSS2 = SPARE + 96, TASKGATE = SPARE + 104, STACK16 = SPARE + 112 };

static u32 memory[1024] __attribute__((aligned(4096)));

static u32 load_fs(u16 sel, u32 a)
{
    u32 v = 0;
    TRY("mov %w1, %%fs; movl %%fs:(%2), %0", : "+r"(v) : "r"((u32)sel), "r"(a));
    return v;
}

static void store_fs(u16 sel, u32 a)
{
    TRY("mov %w0, %%fs; movl $1, %%fs:(%1)", : : "r"((u32)sel), "r"(a));
}

static void limits(void)
{
    gdt[SMALL / 8] = segment((word)memory, 0xfff, 0x4093);
    memory[0] = 0x1111, memory[1023] = 0x2222;
    equal("base", load_fs(SMALL, 0), 0x1111);
    equal("last bytes within the limit", load_fs(SMALL, 0xffc), 0x2222);
    load_fs(SMALL, 0xffd);
    expect("over the limit", GP, 0);
    load_fs(SMALL, 0x1000);
    expect("beyond the limit", GP, 0);
    load_fs(SMALL, 0xffffffff);
    expect("around 4 GiB", GP, 0);
    gdt[SMALL / 8] = segment((word)memory, 0, 0xc093);
    equal("limit in pages", load_fs(SMALL, 0xffc), 0x2222);
    load_fs(SMALL, 0x1000);
    expect("... beyond", GP, 0);
    gdt[DOWN / 8] = segment((word)memory - 0x1000, 0xfff, 0x4097);
    equal("expand-down: above the limit", load_fs(DOWN, 0x1000), 0x1111);
    load_fs(DOWN, 0xfff);
    expect("expand-down: below it", GP, 0);
    load_fs(DOWN, 0xfffffffd);
    expect("expand-down: around 4 GiB", GP, 0);
    gdt[DOWN / 8] = segment((word)memory - 0x1000, 0xfff, 0x0097);
    load_fs(DOWN, 0x10000);
    expect("expand-down of 16 bits ends at 64 KiB", GP, 0);
    gdt[RO / 8] = segment((word)memory, 0xfff, 0x4091);
    store_fs(RO, 0);
    expect("write to a read-only segment", GP, 0);
    gdt[XO / 8] = segment(0, 0xfffff, 0xc099);
    load_fs(XO, 0);
    expect("execute-only segment into FS", GP, XO);
    store_fs(KCODE, 0x200000);
    expect("write to a code segment", GP, 0);
    load_fs(0, 0);
    expect("access through null", GP, 0);
    gdt[ABSENT / 8] = segment(0, 0xfffff, 0xc013);
    load_fs(ABSENT, 0);
    expect("segment that is not present", NP, ABSENT);
    TRY("mov %w0, %%ss", : : "r"(ABSENT));
    expect("stack that is not present", SS, ABSENT);
    TRY("mov %w0, %%ss", : : "r"(0));
    expect("null into SS", GP, 0);
    TRY("mov %w0, %%ss", : : "r"(RO));
    expect("read-only segment into SS", GP, RO);
    TRY("mov %w0, %%fs", : : "r"(GDT_ENTRIES * 8));
    expect("beyond the GDT", GP, GDT_ENTRIES * 8);

    gdt[SMALL / 8] = segment(0, 0x1fff, 0x4093);
    TRY("mov %%esp, %%ecx; mov %%ss, %%edx; mov %w0, %%ss; mov $0x2000, %%esp; push %%eax; mov %%edx, %%ss; mov %%ecx, %%esp",
        : : "r"(SMALL) : "ecx", "edx");
    expect("PUSH within the limit of SS", NOTHING, 0);
    gdt[SMALL / 8] = segment(0, 0xffff, 0xc093);     /* 256 MiB */
    TRY("mov %w0, %%ss; mov $0xfffff000, %%ebp; mov 0(%%ebp), %%eax", : : "r"(SMALL) : "eax");
    expect("beyond the limit of SS by EBP", SS, 0);
    asm volatile("mov %w0, %%ss" : : "r"(KDATA));
    gdt[SMALLCODE / 8] = segment(0, 0x1000, 0x409b);
    TRY("ljmp %0, $0x100000", : : "i"(SMALLCODE));
    expect("jump beyond the limit of CS", GP, 0);
    gdt[STACK16 / 8] = segment((word)memory, 0xffff, 0x0093);
    word sp = 0;
    TRY("mov %%esp, %%ecx; mov %%ss, %%edx; mov %w1, %%ss; mov $0x12340800, %%esp; push %%eax; mov %%esp, %0; mov %%edx, %%ss; mov %%ecx, %%esp",
        : "=&r"(sp) : "r"(STACK16) : "ecx", "edx");
    equal("a 16-bit stack keeps the upper half of ESP", sp, 0x123407fc);
}

static void old_instructions(void)
{
    static struct { u32 low, high; } bounds = { 10, 20 };
    TRY("bound %0, %1", : : "r"(10), "m"(bounds));
    expect("BOUND within", NOTHING, 0);
    TRY("bound %0, %1", : : "r"(21), "m"(bounds));
    expect("BOUND outside", BR, 0);
    TRY("mov $0x7fffffff, %%eax; add $1, %%eax; into", : : : "eax");
    expect("INTO with OF", OF, 0);
    TRY("xor %%eax, %%eax; into", : : : "eax");
    expect("INTO without OF", NOTHING, 0);
    TRY("aam $0", : : "a"(5));
    expect("AAM 0", DE, 0);
    u32 ax = 79;
    asm volatile("aam" : "+a"(ax));
    equal("AAM", ax, 0x0709);
    asm volatile("aad" : "+a"(ax));
    equal("AAD", ax, 79);
    ax = 0x0f;
    asm volatile("add $0, %%al; daa" : "+a"(ax));
    equal("DAA", ax, 0x15);
    u32 sp0, sp1;
    asm volatile("mov %%esp, %0; pusha; popa; mov %%esp, %1" : "=r"(sp0), "=r"(sp1));
    equal("PUSHA, POPA", sp0, sp1);
    u16 d = 0x10, s = 3;
    u8 z;
    asm volatile("arpl %2, %0; setz %1" : "+r"(d), "=r"(z) : "r"(s));
    check("ARPL", z && d == 0x13);
    TRY(".byte 0x0f, 0x05", : : : "ecx");
    expect("SYSCALL outside long mode", UD, 0);
    TRY("les (%%eax), %%ecx", : : "a"(memory) : "ecx");
    check("LES", caught.vector == NOTHING || caught.vector == GP || caught.vector == NP);
    asm volatile("mov %w0, %%es" : : "r"(KDATA));
    static u8 table[256] = { [5] = 0x55 };
    ax = 5;
    asm volatile("xlat" : "+a"(ax) : "b"(table));
    equal("XLAT", ax, 0x55);
    gdt[SMALL / 8] = segment((word)memory, 0xffff, 0x4093);
    memory[4] = 0x12345678;
    TRY("mov %w1, %%fs; .byte 0x64, 0x67, 0x8b, 0x00", : "=a"(ax) : "r"(SMALL), "b"(0xffff000a), "S"(0x11110006));
    equal("16-bit addresses: BX + SI", ax, 0x12345678);
}

u32 gate_esp, gate_args[4], gate_ss;
asm(".text\ngate_entry: mov %esp, gate_esp; mov %ss, gate_ss; mov 8(%esp), %eax; mov %eax, gate_args; mov 12(%esp), %eax; mov %eax, gate_args + 4\n"
    "\tmov $0x5a, %eax\n\tlret $8\n"
    "gate_plain: mov $0x5b, %eax\n\tlret\n"
    ".code16\ncode16: mov $0x1234, %ax\n\t.byte 0x66; lret\n.code32\n");
extern u8 gate_entry[], gate_plain[], code16[];

static void set_call_gate(int sel, void *target, u16 code, int type, int dpl, int args)
{
    word a = (word)target;
    gdt[sel / 8] = (a & 0xffff) | (u64)code << 16 | (u64)args << 32 | (u64)(0x80 | dpl << 5 | type) << 40 | (u64)(a >> 16) << 48;
}

static USER void u_gate(void)
{
    asm volatile("push $0x77; push $0x66; xor %%eax, %%eax; lcall %0, $0; mov %%esp, %%ecx; int $0x80" : : "i"(GATE | 3) : "eax", "ecx");
}
static USER void u_fine(void) { asm volatile("mov %ss, %eax; int $0x80"); }
static USER void u_cli(void) { asm volatile("cli"); }
static USER void u_kcode(void) { asm volatile("lcall %0, $0x100000" : : "i"(KCODE)); }
static USER void u_kdata(void) { asm volatile("mov %0, %%ds" : : "r"(KDATA)); }
static USER void u_in(void) { asm volatile("in $0x80, %%al; int $0x80" : : : "al"); }

static void gates(void)
{
    u32 ax = 0;
    set_call_gate(GATE, gate_plain, KCODE, 12, 3, 0);
    TRY("lcall %1, $0x12345", : "=a"(ax) : "i"(GATE));
    equal("call gate within ring 0", ax, 0x5b);
    gdt[CODE16 / 8] = segment((word)code16 & ~0xf, 0xffff, 0x009b);
    ax = 0;
    struct __attribute__((packed)) { u32 offset; u16 selector; } far = { (word)code16 & 0xf, CODE16 };
    TRY("lcall *%1", : "+a"(ax) : "m"(far));
    equal("16-bit code", ax, 0x1234);
    gdt[CONF / 8] = segment(0, 0xfffff, 0xc09f);
    far.offset = (word)gate_plain;
    far.selector = CONF;
    TRY("lcall *%1", : "=a"(ax) : "m"(far));
    equal("conforming code", ax, 0x5b);
    far.selector = UCODE;
    TRY("lcall *%0", : : "m"(far));
    expect("far CALL to ring 3", GP, UCODE & ~3);
    far.selector = KDATA;
    TRY("lcall *%0", : : "m"(far));
    expect("far CALL to data", GP, KDATA);

    in_ring3(u_fine);
    expect("ring 3", 0x80, 0);
    equal("... SS", caught.ss, UDATA);
    in_ring3(u_cli);
    expect("ring 3: CLI", GP, 0);
    in_ring3(u_kcode);
    expect("ring 3: far CALL to ring 0", GP, KCODE);
    in_ring3(u_kdata);
    expect("ring 3: data of ring 0", GP, KDATA);
    in_ring3(u_in);
    expect("ring 3: IN that the bitmap allows", 0x80, 0);
    tss[104 + 0x10] = 1;
    in_ring3(u_in);
    expect("ring 3: IN that the bitmap forbids", GP, 0);
    tss[104 + 0x10] = 0;

    set_call_gate(GATE, gate_entry, KCODE, 12, 3, 2);
    in_ring3(u_gate);
    expect("call gate from ring 3", 0x80, 0);
    equal("... result", caught.regs.ax, 0x5a);
    equal("... copies parameters", gate_args[0], 0x66);
    equal("... the second", gate_args[1], 0x77);
    equal("... SS", gate_ss & 0xffff, KDATA);
    equal("... ESP", gate_esp, (word)kernel_stack + sizeof kernel_stack - 24);
    set_call_gate(GATE, gate_entry, KCODE, 12, 2, 2);
    in_ring3(u_gate);
    expect("call gate of DPL 2", GP, GATE);
    gdt[GATE / 8] &= ~(1ull << 47);
    gdt[GATE / 8] |= 3ull << 45;
    in_ring3(u_gate);
    expect("call gate not present", NP, GATE);
}

static void interrupts(void)
{
    set_gate(0x60, stub(0x60), 6, 0, 0);
    gdt[SMALL / 8] = segment(0, 0xfffff, 0xc093);
    TRY("int $0x60", : :);
    check("16-bit interrupt gate", caught.vector != NOTHING);
    restore_gate(0x60);
    set_gate(0x60, stub(0x60), 15, 0, 0);
    asm volatile("sti");
    TRY("int $0x60", : :);
    check("trap gate", caught.vector == 0x60 && caught.flags & 0x200);
    asm volatile("cli");
    restore_gate(0x60);
    set_gate(0x60, stub(0x60), 12, 0, 0);
    TRY("int $0x60", : :);
    expect("call gate in the IDT", GP, 0x60 * 8 + 2);
    restore_gate(0x60);
    TRY("pushf; push %0; push $1f; iret\n1:", : : "i"(KCODE));
    expect("IRET within ring 0", NOTHING, 0);
    TRY("pushf; push %0; push $1f; iret\n1:", : : "i"(KDATA));
    expect("IRET to data", GP, KDATA);
    TRY("pushf; push $0; push $1f; iret\n1:", : :);
    expect("IRET to null", GP, 0);
    TRY("push %0; push $0x1000; pushf; push %1; push $1f; iret\n1:", : : "i"(KDATA), "i"(UCODE));
    expect("IRET to ring 3 with a stack of ring 0", GP, KDATA);
}

static u8 tss2[104], task_stack[4096];
volatile u32 task_ran;
asm(".text\ntask_entry: mov 4(%esp), %eax; incl task_ran; iret; incl task_ran; iret; jmp task_entry\n");
extern u8 task_entry[];

static void tasks(void)
{
    u32 *t = (u32 *)tss2;
    for (int i = 0; i < 26; i++)
        t[i] = 0;
    t[7] = read_cr3();
    t[8] = (word)task_entry;
    t[9] = 2;
    t[14] = (word)task_stack + sizeof task_stack - 16;
    t[18] = t[20] = t[21] = KDATA;
    t[19] = KCODE;
    gdt[TSS2 / 8] = segment((word)tss2, sizeof tss2 - 1, 0x89);
    TRY("lcall %0, $0", : : "i"(TSS2));
    expect("CALL to a TSS and back", NOTHING, 0);
    equal("... it ran", task_ran, 1);
    check("... neither is left busy but the current", (gdt[TSS2 / 8] >> 40 & 2) == 0 && (gdt[TSS / 8] >> 40 & 2));
    equal("... the link", t[0] & 0xffff, TSS);
    gdt[TASKGATE / 8] = (u64)TSS2 << 16 | (u64)0x85 << 40;
    TRY("lcall %0, $0", : : "i"(TASKGATE));
    expect("CALL to a task gate", NOTHING, 0);
    equal("... it ran on", task_ran, 2);
    gdt[TSS2 / 8] = segment((word)tss2, 0x50, 0x89);
    TRY("lcall %0, $0", : : "i"(TSS2));
    expect("TSS too short", TS, TSS2);
    gdt[TSS2 / 8] = segment((word)tss2, sizeof tss2 - 1, 0x8b);
    TRY("lcall %0, $0", : : "i"(TSS2));
    expect("TSS busy", GP, TSS2);
    gdt[TSS2 / 8] = segment((word)tss2, sizeof tss2 - 1, 0x09);
    TRY("lcall %0, $0", : : "i"(TSS2));
    expect("TSS not present", NP, TSS2);
    gdt[TSS2 / 8] = segment((word)tss2, sizeof tss2 - 1, 0x89);
    TRY("ltr %w0", : : "r"(TSS));
    expect("LTR of a busy TSS", GP, TSS);
}

asm(".text\nsysenter_entry: int $0x63\n.section .user.text, \"ax\"\nu_sysenter: sysenter\nsysexit_target: int $0x80\n.text\n");
extern u8 sysenter_entry[], u_sysenter[], sysexit_target[];

static void sysenter(void)
{
    wrmsr(0x174, EBASE);
    wrmsr(0x175, (word)kernel_stack + 8192);
    wrmsr(0x176, (word)sysenter_entry);
    in_ring3((void (*)(void))u_sysenter);
    expect("SYSENTER", 0x63, 0);
    equal("... CS", caught.cs, EBASE);
    TRY("sysexit", : : "d"(sysexit_target), "c"(user_stack + 4096));
    expect("SYSEXIT", 0x80, 0);
    equal("... CS", caught.cs, EBASE + 0x10 + 3);
    equal("... SS", caught.ss, EBASE + 0x18 + 3);
}

int main(void);
int main(void)
{
    limits();
    old_instructions();
    gates();
    interrupts();
    sysenter();
    tasks();
    return 0;
}
