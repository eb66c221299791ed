/* Far transfers, gates, stacks of interrupts, IRET, and the fast system calls. */
#include "test.h"

const char kernel_name[] = "transfers64";

enum { GATE = SPARE, CONFORMING = SPARE + 16, CODE3 = SPARE + 24, BADCODE = SPARE + 32, DATA3 = SPARE + 40, LDT = SPARE + 48, MARK = 0x5a };

/* Code for compatibility mode. */
asm(".section .text\n.code32\n"
    "compat_ret: mov $0x5a, %eax\n\tlret\n"
    "compat_stack: push $0x1234\n\tpop %eax\n\tlret\n"
    "compat_int: int $0x61\n\tlret\n"
    "compat_sp: mov %esp, %eax\n\tlret\n"
    "compat_inc: .byte 0x40\n\tlret\n"         /* INC EAX, in 64-bit mode a prefix */
    "compat_wrap: mov $0xfffffffe, %ecx\n\tmov 2 + marker(%ecx), %eax\n\tlret\n"
    ".code64\n"
    ".globl marker\n"
    "marker: .long 0x5a, 0\n");
extern u8 compat_ret[], compat_stack[], compat_int[], compat_sp[], compat_inc[], compat_wrap[];

static struct __attribute__((packed)) far_pointer { u64 offset; u16 selector; } fp64;
static struct __attribute__((packed)) far_pointer32 { u32 offset; u16 selector; } fp32;

static word far_call32(void *target, u16 selector)
{
    word ax = 7;
    fp32 = (struct far_pointer32){ (word)target, selector };
    TRY("lcall *%1", : "+a"(ax) : "m"(fp32) : "rcx");
    return ax;
}

static void set_call_gate(int selector, void *target, u16 code, int type, int dpl)
{
    word a = (word)target;
    gdt[selector / 8] = (a & 0xffff) | (u64)code << 16 | (u64)(0x80 | dpl << 5 | type) << 40 | (a & 0xffff0000) << 32;
    gdt[selector / 8 + 1] = a >> 32;
}

asm(".text\n.globl far_target\nfar_target: mov $0x5a, %eax\n\tlretq\n");
extern u8 far_target[];

static void far(void)
{
    word ax = 0;
    TRY("push %1; lea 1f(%%rip), %%rcx; push %%rcx; mov $0x5a, %%eax; lretq\n1:", : "=&a"(ax) : "r"((u64)KCODE) : "rcx");
    expect("RETF to 64-bit code", NOTHING, 0);
    fp64 = (struct far_pointer){ (word)far_target, KCODE };
    ax = 0;
    TRY("rex.w lcall *%1", : "+a"(ax) : "m"(fp64));
    expect("far CALL m16:64", NOTHING, 0);
    equal("far CALL m16:64 came there", ax, MARK);
    equal("far CALL to compatibility mode", far_call32(compat_ret, KCODE32), MARK);
    equal("compatibility mode pushes 4 bytes", far_call32(compat_stack, KCODE32), 0x1234);
    equal("compatibility mode has INC by 40", far_call32(compat_inc, KCODE32), 8);
    equal("compatibility mode wraps addresses at 4 GiB", far_call32(compat_wrap, KCODE32), MARK);
    far_call32(compat_int, KCODE32);
    expect("INT in compatibility mode", 0x61, 0);
    equal("... CS", caught.cs, KCODE32);
    far_call32(compat_ret, 0);
    expect("far CALL to null", GP, 0);
    far_call32(compat_ret, KDATA);
    expect("far CALL to data", GP, KDATA);
    far_call32(compat_ret, UCODE);
    expect("far CALL to ring 3", GP, UCODE & ~3);
    gdt[BADCODE / 8] = segment(0, 0xfffff, 0xa01b);
    far_call32(compat_ret, BADCODE);
    expect("far CALL to code that is not present", NP, BADCODE);
    gdt[BADCODE / 8] = segment(0, 0xfffff, 0xe09b);     /* L and D */
    far_call32(compat_ret, BADCODE);
    expect("far CALL to code with L and D", GP, BADCODE);
    far_call32(compat_ret, GDT_ENTRIES * 8);
    expect("far CALL beyond the GDT", GP, GDT_ENTRIES * 8);
    gdt[CONFORMING / 8] = segment(0, 0xfffff, 0xa09f);
    equal("far CALL to conforming code", (fp64.selector = CONFORMING, ax = 0, ({
        TRY("rex.w lcall *%1", : "+a"(ax) : "m"(fp64)); ax; })), MARK);
    TRY("push $0; push $0; lretq", : :);
    expect("RETF to null", GP, 0);
    TRY("push %0; push $0; lretq", : : "r"((u64)KDATA));
    expect("RETF to data", GP, KDATA);
    TRY("push %0; movabs $0x8000000000000000, %%rax; push %%rax; lretq", : : "r"((u64)KCODE) : "rax");
    expect("RETF to a non-canonical address", GP, 0);
}

word gate_sp, gate_frame[4];
asm(".text\ngate_entry:\n\tmov %rsp, gate_sp\n"
    "\tmov (%rsp), %rcx; mov %rcx, gate_frame\n\tmov 8(%rsp), %rcx; mov %rcx, gate_frame + 8\n"
    "\tmov 16(%rsp), %rcx; mov %rcx, gate_frame + 16\n\tmov 24(%rsp), %rcx; mov %rcx, gate_frame + 24\n"
    "\tmov $0x5a, %eax\n\tlretq\n");
extern u8 gate_entry[];

static USER void u_gate(void)
{
    static USER_DATA struct far_pointer32 gate = { 0, GATE | 3 };
    asm volatile("xor %%eax, %%eax; lcall *%0; mov %%ss, %%ebx; mov %%cs, %%edx; int $0x80" : : "m"(gate) : "rax", "rbx", "rcx", "rdx");
}

static void call_gates(void)
{
    word ax = 0;
    set_call_gate(GATE, gate_entry, KCODE, 12, 3);
    fp32 = (struct far_pointer32){ 0x12345678, GATE };
    TRY("lcall *%1", : "+a"(ax) : "m"(fp32) : "rcx");
    expect("call gate within ring 0", NOTHING, 0);
    equal("... came there", ax, MARK);
    in_ring3(u_gate);
    expect("call gate from ring 3", 0x80, 0);
    equal("... and back: SS", caught.regs.bx & 0xffff, UDATA);
    equal("... CS", caught.regs.dx & 0xffff, UCODE);
    equal("... on the stack of the TSS", gate_sp, (word)kernel_stack + sizeof kernel_stack - 32);
    equal("... pushed CS", gate_frame[1], UCODE);
    equal("... pushed SS", gate_frame[3], UDATA);
    check("... pushed RSP", gate_frame[2] - (word)user_stack < sizeof user_stack);
    set_call_gate(GATE, gate_entry, KCODE, 12, 0);
    in_ring3(u_gate);
    expect("call gate with DPL 0 from ring 3", GP, GATE);
    set_call_gate(GATE, gate_entry, KCODE, 12, 3);
    gdt[GATE / 8] &= ~(1ul << 47);
    in_ring3(u_gate);
    expect("call gate not present", NP, GATE);
    set_call_gate(GATE, gate_entry, KDATA, 12, 3);
    in_ring3(u_gate);
    expect("call gate to data", GP, KDATA);
    set_call_gate(GATE, gate_entry, KCODE32, 12, 3);
    in_ring3(u_gate);
    expect("call gate to 32-bit code", GP, KCODE32);
    set_call_gate(GATE, gate_entry, 0, 12, 3);
    in_ring3(u_gate);
    expect("call gate to null", GP, 0);
    set_call_gate(GATE, gate_entry, KCODE, 4, 3);
    in_ring3(u_gate);
    expect("16-bit call gate", GP, GATE);
    set_call_gate(GATE, gate_entry, KCODE, 12, 3);
    gdt[GATE / 8 + 1] |= 0x1fl << 40;
    in_ring3(u_gate);
    expect("call gate whose upper type is not 0", GP, GATE);
}

#define IRET(suffix, ip, cs, flags, sp, ss) \
    TRY("push %4; push %3; push %2; push %1; push %0; iret" suffix, \
        : : "r"((u64)(ip)), "r"((u64)(cs)), "r"((u64)(flags)), "r"((u64)(sp)), "r"((u64)(ss)))

asm(".text\niret_ring0: int $0x61\n");
extern u8 iret_ring0[];
asm(".section .user.text, \"ax\"\niret_ring3: int $0x80\n.code32\niret_compat3: int $0x80\n.code64\n.text\n");
extern u8 iret_ring3[], iret_compat3[];

static void iret(void)
{
    word sp = (word)kernel_stack + 4096;
    IRET("q", iret_ring0, KCODE, 2, sp, KDATA);
    expect("IRETQ within ring 0", 0x61, 0);
    equal("... always loads RSP", caught.sp, sp);
    IRET("q", iret_ring0, KCODE, 0x40ad7, sp, KDATA);
    equal("... flags", caught.flags & ~0x10000ul, 0x40ad7 & ~0x28ul);
    IRET("q", iret_ring0, KCODE, 2, sp, 0);
    expect("IRETQ with null SS within ring 0", 0x61, 0);
    equal("... SS", caught.ss, 0);
    asm volatile("mov %0, %%ss" : : "r"(KDATA));
    IRET("q", iret_ring3, UCODE, 2, user_stack + 4096, UDATA);
    expect("IRETQ to ring 3", 0x80, 0);
    IRET("q", iret_compat3, UCODE32, 2, user_stack + 4096, UDATA);
    expect("IRETQ to compatibility mode in ring 3", 0x80, 0);
    equal("... CS", caught.cs, UCODE32);
    IRET("q", iret_ring3, UCODE, 2, user_stack + 4096, 0);
    expect("IRETQ to ring 3 with null SS", GP, 0);
    IRET("q", iret_ring3, UCODE, 2, user_stack + 4096, KDATA);
    expect("IRETQ to ring 3 with SS of ring 0", GP, KDATA);
    IRET("q", iret_ring3, UDATA, 2, user_stack + 4096, UDATA);
    expect("IRETQ to data", GP, UDATA & ~3);
    IRET("q", iret_ring3, 0, 2, user_stack + 4096, UDATA);
    expect("IRETQ to null", GP, 0);
    IRET("q", 0x8000000000000000, KCODE, 2, sp, KDATA);
    expect("IRETQ to a non-canonical address", GP, 0);
    IRET("q", iret_ring0, KCODE, 2, 0x8000000000000000, KDATA);
    check("IRETQ to a non-canonical stack", caught.vector == 0x61 || caught.vector == SS || caught.vector == DF || caught.vector == GP);
    TRY("pushf; orl $0x4000, (%%rsp); popf; iretq", : :);
    expect("IRETQ with NT", GP, 0);
    u32 frame[5] = { (word)iret_ring0, KCODE, 2, (word)sp, KDATA };
    TRY("mov %0, %%rsp; iretl", : : "r"(frame));
    expect("IRETD in 64-bit mode", 0x61, 0);
}

static void stacks(void)
{
    word sp;
    TRY("mov %%rsp, %0; int $0x61", : "=r"(sp) :);
    check("an interrupt within ring 0 stays on its stack", sp - caught.sp < 16);
    TRY("and $-16, %%rsp; sub $5, %%rsp; int $0x61", : :);
    equal("the old RSP is pushed as it was", caught.sp & 15, 11);
    equal("the frame is aligned to 16 bytes", caught.frame & 15, 0);
    set_gate(0x61, stub(0x61), 14, 0, 1);
    TRY("mov %%rsp, %0; int $0x61", : "=r"(sp) :);
    equal("IST: the old RSP is pushed", caught.sp, sp);
    restore_gate(0x61);
    word *ist2 = (word *)(tss + 44);
    *ist2 = 0x8000000000000000;
    set_gate(0x61, stub(0x61), 14, 0, 2);
    TRY("int $0x61", : :);
    expect("IST: non-canonical", SS, 0);
    restore_gate(0x61);
    set_gate(0x61, stub(0x61), 15, 0, 0);
    asm volatile("sti");
    TRY("int $0x61", : :);
    check("interrupts stay enabled in a trap gate", caught.flags & 0x200);
    restore_gate(0x61);
    asm volatile("cli");
}

asm(".text\nsyscall_entry:\n\tint $0x62\n");
extern u8 syscall_entry[];
static USER void u_syscall(void) { asm volatile("syscall; int $0x80" : : : "rcx", "r11"); }
static USER void u_flags(void) { asm volatile("pushf; orl $0x0ed5, (%rsp); popf; syscall; int $0x80"); }
asm(".section .user.text, \"ax\"\nsysret_target: int $0x80\n.code32\nsysret_compat: int $0x80\n.code64\n.text\n");
extern u8 sysret_target[], sysret_compat[];

static void syscalls(void)
{
    wrmsr(0xc0000081, (u64)KCODE << 32 | (u64)0x23 << 48);
    wrmsr(0xc0000082, (word)syscall_entry);
    wrmsr(0xc0000084, 0x300);
    in_ring3(u_syscall);
    expect("SYSCALL", 0x62, 0);
    equal("... CS", caught.cs, KCODE);
    equal("... SS", caught.ss, KDATA);
    check("... RCX is the return address", caught.regs.cx - (word)u_syscall < 64);
    check("... RSP stays", caught.sp - (word)user_stack < sizeof user_stack);
    in_ring3(u_flags);
    expect("SYSCALL with flags", 0x62, 0);
    equal("... R11 has them", caught.regs.r11 & 0xcd5, 0xcd5);
    equal("... SFMASK clears some", caught.flags & 0xfd5, 0xcd5);
    wrmsr(0xc0000080, rdmsr(0xc0000080) & ~1ul);
    in_ring3(u_syscall);
    expect("SYSCALL without EFER.SCE", UD, 0);
    TRY("sysretq", : : "c"(0));
    expect("SYSRET without EFER.SCE", UD, 0);
    wrmsr(0xc0000080, rdmsr(0xc0000080) | 1);

    TRY("mov %2, %%rsp; sysretq", : : "c"(sysret_target), "r"(0x3e02ul), "r"(user_stack + 4096) : "r11");
    expect("SYSRETQ", 0x80, 0);
    equal("... CS", caught.cs, UCODE);
    equal("... SS", caught.ss, UDATA);
    TRY("mov $0x50ed7, %%r11d; mov %1, %%rsp; sysretq", : : "c"(sysret_target), "r"(user_stack + 4096) : "r11");
    equal("SYSRETQ clears RF, keeps the rest", caught.flags & 0x10fff, 0x0ed7 & ~0x28);
    TRY("mov $2, %%r11d; mov %1, %%rsp; sysretl", : : "c"(sysret_compat), "r"(user_stack + 4096) : "r11");
    expect("SYSRET to compatibility mode", 0x80, 0);
    equal("... CS", caught.cs, UCODE32);
    TRY("mov $2, %%r11d; sysretq", : : "c"(0x8000000000000000) : "r11");
    expect("SYSRETQ to a non-canonical address", GP, 0);
    equal("... in ring 0", caught.cs & 3, 0);

}

asm(".text\nsysenter_entry:\n\tint $0x63\n"
    ".section .user.text, \"ax\"\nu_sysenter: sysenter\n.code32\nsysenter_compat: sysenter\n.code64\n.text\n");
extern u8 sysenter_entry[], u_sysenter[], sysenter_compat[];

static void sysenter(void)
{
    if (!cpuid_bit(1, 0, EDX, 11)) {
        skip("SYSENTER", "not in CPUID");
        return;
    }
    wrmsr(0x174, 0);
    in_ring3((void (*)(void))u_sysenter);
    expect("SYSENTER without a selector", GP, 0);
    TRY("sysexitl", : : "c"(0), "d"(0));
    expect("SYSEXIT without a selector", GP, 0);
    wrmsr(0x174, EBASE);
    wrmsr(0x175, (word)kernel_stack + 8192);
    wrmsr(0x176, (word)sysenter_entry);
    in_ring3((void (*)(void))u_sysenter);
    expect("SYSENTER", 0x63, 0);
    equal("... CS", caught.cs, EBASE);
    equal("... SS", caught.ss, EBASE + 8);
    equal("... RSP", caught.sp, (word)kernel_stack + 8192);
    IRET("q", sysenter_compat, UCODE32, 2, user_stack + 4096, UDATA);
    expect("SYSENTER from compatibility mode", 0x63, 0);
    TRY("sysexitq", : : "d"(sysret_target), "c"(user_stack + 4096));
    expect("SYSEXIT to 64-bit mode", 0x80, 0);
    equal("... CS", caught.cs, EBASE + 0x20 + 3);
    equal("... SS", caught.ss, EBASE + 0x28 + 3);
    equal("... RSP", caught.sp, (word)user_stack + 4096);
    TRY("sysexitl", : : "d"(sysret_compat), "c"(user_stack + 4096));
    expect("SYSEXIT to compatibility mode", 0x80, 0);
    equal("... CS", caught.cs, EBASE + 0x10 + 3);
    equal("... SS", caught.ss, EBASE + 0x18 + 3);
}

static void bases(void)
{
    static u64 a[2] = { 0x1111, 0x2222 };
    u64 v;
    wrmsr(0xc0000101, (word)&a[0]);
    wrmsr(0xc0000102, (word)&a[1]);
    asm volatile("mov %%gs:0, %0" : "=r"(v));
    equal("GS base", v, 0x1111);
    asm volatile("swapgs; mov %%gs:0, %0" : "=r"(v));
    equal("SWAPGS", v, 0x2222);
    equal("... KERNEL_GS_BASE", rdmsr(0xc0000102), (word)&a[0]);
    asm volatile("mov %0, %%gs" : : "r"(UDATA));
    equal("a selector into GS sets its base", rdmsr(0xc0000101), 0);
    wrmsr(0xc0000101, (word)&a[0]);
    asm volatile("mov %0, %%ds; mov %1, %%ds" : : "r"(0), "r"(KDATA));
    equal("a selector into DS leaves that of GS", rdmsr(0xc0000101), (word)&a[0]);
    if (cpuid_bit(7, 0, EBX, 0)) {
        TRY("rdgsbase %0", : "=r"(v) :);
        expect("RDGSBASE without CR4.FSGSBASE", UD, 0);
        write_cr4(read_cr4() | 1 << 16);
        TRY("wrfsbase %1; rdfsbase %0", : "=r"(v) : "r"((word)&a[1]));
        equal("WRFSBASE", v, (word)&a[1]);
        TRY("wrfsbase %0", : : "r"(0x8000000000000000));
        expect("WRFSBASE of a non-canonical address", GP, 0);
        write_cr4(read_cr4() & ~(1ul << 16));
    } else {
        skip("RDGSBASE", "not in CPUID");
    }

    u16 s;
    asm volatile("str %0" : "=r"(s));
    equal("STR", s, TSS);
    check("LTR made the TSS busy", (gdt[TSS / 8] >> 40 & 15) == 11);
    u32 ar = 0;
    bool z;
    asm volatile("lar %2, %0" : "+r"(ar), "=@ccz"(z) : "r"((u32)UCODE));
    check("LAR", z && (ar & 0xff00) == 0xfb00);
    asm volatile("lar %2, %0" : "+r"(ar), "=@ccz"(z) : "r"((u32)GDT_ENTRIES * 8));
    check("LAR beyond the GDT", !z);
    asm volatile("lsl %2, %0" : "+r"(ar), "=@ccz"(z) : "r"((u32)TSS));
    check("LSL of the TSS", z && ar == 104 + 8192);
    asm volatile("verr %w1" : "=@ccz"(z) : "r"(UDATA));
    check("VERR", z);
    asm volatile("verw %w1" : "=@ccz"(z) : "r"(KCODE));
    check("VERW of code", !z);
    asm volatile("lldt %w0" : : "r"(0));
    static u64 ldt[2];
    ldt[1] = segment(0, 0xfffff, 0xc0f3);
    gdt[LDT / 8] = segment((word)ldt, sizeof ldt - 1, 0x82);
    gdt[LDT / 8 + 1] = 0;
    TRY("lldt %w0; mov %1, %%es", : : "r"(LDT), "r"(0x0f));
    expect("a selector in an LDT", NOTHING, 0);
    TRY("mov %0, %%es", : : "r"(0x17));
    expect("a selector beyond an LDT", GP, 0x14);
}

int main(void);
int main(void)
{
    set_gate(DF, stub(DF), 14, 0, 1);
    set_gate(SS, stub(SS), 14, 0, 1);
    set_gate(GP, stub(GP), 14, 0, 1);
    far();
    call_gates();
    iret();
    stacks();
    syscalls();
    sysenter();
    bases();
    return 0;
}
