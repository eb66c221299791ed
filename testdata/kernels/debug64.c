/* Debug registers, single-stepping, and what delays or drops their exceptions. */
#include "test.h"

const char kernel_name[] = "debug64";

#define DEBUG(n) static inline void set_dr##n(word v) { asm volatile("mov %0, %%dr" #n : : "r"(v) : "memory"); }
DEBUG(0)
DEBUG(1)
DEBUG(2)
DEBUG(3)
DEBUG(6)
DEBUG(7)
static inline word get_dr6(void) { word v; asm volatile("mov %%dr6, %0" : "=r"(v)); return v; }
static inline word get_dr7(void) { word v; asm volatile("mov %%dr7, %0" : "=r"(v)); return v; }

enum { EXEC, WRITE, IO, RW };
#define ON(n, kind, len) (0x400ul | 2ul << (n) * 2 | ((kind) | (word)((len) == 8 ? 2 : (len) - 1) << 2) << (16 + (n) * 4))
#define DR6_INIT 0xffff0ff0ul

/* What #DBs said, in order. */
static struct { word ip, dr6, flags, cx; } hits[64];
static int n_hits;
static bool resume;     /* the handler sets RF */

static void on_debug(struct frame *f)
{
    if (n_hits < SIZE(hits)) {
        hits[n_hits].ip = f->ip;
        hits[n_hits].dr6 = get_dr6();
        hits[n_hits].flags = f->flags;
        hits[n_hits].cx = f->cx;
    }
    n_hits++;
    set_dr6(DR6_INIT);
    if (resume)
        f->flags |= 0x10000;
    if (n_hits >= SIZE(hits))
        f->flags &= ~0x100ul;
}

static void quiet(void)
{
    n_hits = 0;
    resume = false;
    set_dr7(0x400);
    set_dr6(DR6_INIT);
}

asm(".text\n.globl code_a, code_b, code_c\n"
    "some_code: xor %eax, %eax\ncode_a: inc %eax\ncode_b: inc %eax\ncode_c: ret\n");
extern u8 some_code[], code_a[], code_b[], code_c[];
static u64 data[4] __attribute__((aligned(64)));

static void run_code(void) { asm volatile("call some_code" : : : "rax"); }

static void execution(void)
{
    quiet();
    resume = true;
    set_dr0((word)code_a);
    set_dr7(ON(0, EXEC, 1));
    run_code();
    equal("instruction breakpoint: once", n_hits, 1);
    equal("... before the instruction", hits[0].ip, (word)code_a);
    equal("... DR6", hits[0].dr6, DR6_INIT | 1);
    check("... RF is clear in the pushed flags", !(hits[0].flags & 0x10000));
    quiet();
    resume = true;
    set_dr1((word)code_b);
    set_dr2((word)code_a);
    set_dr3((word)code_b);
    set_dr7(ON(1, EXEC, 1) | ON(2, EXEC, 1) | ON(3, EXEC, 1));
    run_code();
    equal("several instruction breakpoints", n_hits, 2);
    equal("... DR6 has both at one address", hits[1].dr6, DR6_INIT | 0xa);
    quiet();
    set_dr1((word)code_b + 1);
    set_dr7(ON(1, EXEC, 1));
    run_code();
    equal("not in the middle of an instruction", n_hits, 0);
    quiet();
    set_dr7(0x400);
    run_code();
    equal("disabled", n_hits, 0);
    quiet();
}

static void data_access(void)
{
    quiet();
    set_dr0((word)&data[1]);
    set_dr7(ON(0, WRITE, 8));
    word after;
    asm volatile("lea 1f(%%rip), %0\n\tmovq $5, %1\n1:\tnop" : "=&r"(after), "=m"(data[1]));
    equal("write breakpoint: once", n_hits, 1);
    equal("... after the instruction", hits[0].ip, after);
    equal("... DR6", hits[0].dr6, DR6_INIT | 1);
    check("... RF is clear", !(hits[0].flags & 0x10000));
    equal("... the write was done", *(volatile u64 *)&data[1], 5);
    quiet();
    set_dr7(ON(0, WRITE, 8));
    asm volatile("mov %0, %%rax" : : "m"(data[1]) : "rax");
    equal("write breakpoint: not for reads", n_hits, 0);
    set_dr7(ON(0, RW, 8));
    asm volatile("mov %0, %%rax" : : "m"(data[1]) : "rax");
    equal("read breakpoint", n_hits, 1);
    quiet();
    set_dr7(ON(0, RW, 8));
    asm volatile("movb %0, %%al" : : "m"(((u8 *)data)[15]) : "rax");
    equal("its last byte", n_hits, 1);
    asm volatile("movb %0, %%al" : : "m"(((u8 *)data)[16]) : "rax");
    asm volatile("movb %0, %%al" : : "m"(((u8 *)data)[7]) : "rax");
    equal("the bytes beside it", n_hits, 1);
    asm volatile("movq %0, %%rax" : : "m"(((u8 *)data)[4]) : "rax");
    equal("an access that overlaps it", n_hits, 2);
    quiet();
    set_dr0((word)&data[1] + 2);
    set_dr7(ON(0, WRITE, 2));
    asm volatile("movb $1, %0" : "=m"(((u8 *)data)[10]));
    asm volatile("movb $1, %0" : "=m"(((u8 *)data)[12]));
    equal("two bytes", n_hits, 1);
    quiet();
    set_dr0((word)&data[1]);
    set_dr1((word)&data[1]);
    set_dr7(ON(0, WRITE, 1) | 0x100 << 20);     /* DR1 matches but is not enabled */
    set_dr7((get_dr7() & 0xffff) | 0x00110000ul);
    asm volatile("movb $1, %0" : "=m"(((u8 *)data)[8]));
    check("a breakpoint that is not enabled", n_hits == 1 && hits[0].dr6 & 1);

    quiet();
    set_dr0((word)&data[2]);
    set_dr7(ON(0, WRITE, 8));
    word cx = 4, di = (word)data;
    asm volatile("rep stosq" : "+c"(cx), "+D"(di) : "a"(0));
    equal("within REP STOS", n_hits, 1);
    equal("... all is done in the end", cx, 0);
    equal("... after the iteration that wrote there", hits[0].cx, 1);
    check("... RF is set in the pushed flags", hits[0].flags & 0x10000);
    quiet();
    set_dr7(ON(0, WRITE, 8));
    asm volatile("lock incq %0" : "+m"(data[2]));
    equal("read, modify, write", n_hits, 1);
    quiet();
    set_dr7(ON(0, WRITE, 8));
    set_dr0((word)kernel_stack + 1024);
    asm volatile("mov %%rsp, %%rax; lea %0, %%rsp; push %%rax; mov %%rax, %%rsp" : : "m"(kernel_stack[1032]) : "rax", "memory");
    equal("PUSH", n_hits, 1);
    quiet();
}

static void step(void)
{
    quiet();
    asm volatile("pushf; orq $0x100, (%%rsp); popf\n\tnop\n1:\tnop\n\tpushf; andq $~0x100, (%%rsp); popf\n2:" : : : "memory");
    equal("TF: one for each instruction behind POPF", n_hits, 5);
    equal("... DR6", hits[0].dr6, DR6_INIT | 0x4000);
    equal("... an instruction apart", hits[1].ip - hits[0].ip, 1);
    check("... TF is set in the pushed flags", hits[0].flags & 0x100);
    check("... and clear in the handler", !({ word f; asm volatile("pushf; pop %0" : "=r"(f)); f & 0x100; }));

    quiet();
    word cx = 3, si = (word)data, di = (word)data;
    asm volatile("pushf; orq $0x100, (%%rsp); popf\n\trep movsb\n\tpushf; andq $~0x100, (%%rsp); popf" : "+c"(cx), "+S"(si), "+D"(di) : : "memory");
    equal("TF: each iteration of REP MOVSB", n_hits, 3 + 3);
    check("... RF is set between iterations", hits[0].flags & 0x10000 && !(hits[2].flags & 0x10000));
    check("... at the same RIP until the last", hits[0].ip == hits[1].ip && hits[2].ip == hits[1].ip + 2);

    quiet();
    asm volatile("pushf; orq $0x100, (%%rsp); popf\n\tmov %%ss, %%eax\n\tmov %%eax, %%ss\n\tnop\n\tpushf; andq $~0x100, (%%rsp); popf" : : : "rax", "memory");
    equal("TF: none between MOV SS and the next", n_hits, 5);
    equal("... which it comes after", hits[1].ip - hits[0].ip, 3);

    quiet();
    TRY("pushf; orq $0x100, (%%rsp); popf\n\tint $0x70\n98:", : :);
    equal("TF: none behind INT n, in its handler", n_hits, 0);
    expect("... which is entered", 0x70, 0);
    check("... with TF in the pushed flags", caught.flags & 0x100);

    quiet();
    TRY("pushf; orq $0x100, (%%rsp); popf\n\tud2", : :);
    expect("TF: a fault comes instead of the step", UD, 0);
    equal("... without #DB", n_hits, 0);

    quiet();
    set_dr0((word)&data[1]);
    set_dr7(ON(0, WRITE, 8));
    asm volatile("pushf; orq $0x100, (%%rsp); popf\n\tmovq $1, %0\n\tpushf; andq $~0x100, (%%rsp); popf" : "=m"(data[1]) : : "memory");
    equal("TF and a data breakpoint: one exception", n_hits, 4);
    equal("... DR6 has both", hits[0].dr6, DR6_INIT | 0x4001);

    quiet();
    asm volatile("mov %%ss, %%eax\n\tmov %%eax, %%ss\n\tmovq $1, %0" : "=m"(data[1]) : : "rax");
    set_dr7(ON(0, RW, 2));
    set_dr0((word)&data[0]);
    asm volatile("mov %%ss, %%eax; mov %%ax, %0; mov %0, %%ss\n\tnop\n1:" : "=m"(data[0]) : : "rax");
    equal("a data breakpoint on MOV SS waits for the next instruction", n_hits, 2);
    quiet();
}

static void general(void)
{
    word at;
    quiet();
    handlers[DB] = 0;
    set_dr7(0x2400);
    TRY("lea 1f(%%rip), %0\n1:\tmov %%dr0, %%rax", : "=r"(at) : : "rax");
    expect("GD: MOV from DR0", DB, 0);
    equal("... before the instruction", caught.ip, at);
    equal("... DR6.BD", caught.dr6, DR6_INIT | 0x2000);
    check("... GD is clear now", !(get_dr7() & 0x2000));
    set_dr6(DR6_INIT);
    write_cr4(read_cr4() | 8);
    TRY("mov %%dr4, %%rax", : : : "rax");
    expect("DR4 with CR4.DE", UD, 0);
    write_cr4(read_cr4() & ~8ul);
    set_dr6(DR6_INIT | 3);
    word v;
    asm volatile("mov %%dr4, %0" : "=r"(v));
    equal("DR4 without CR4.DE is DR6", v, DR6_INIT | 3);
    set_dr6(DR6_INIT);
    TRY("mov %0, %%dr6", : : "r"(1ul << 32));
    expect("upper half of DR6", GP, 0);
    TRY("mov %0, %%dr7", : : "r"(1ul << 32));
    expect("upper half of DR7", GP, 0);
    asm volatile("mov %0, %%dr7" : : "r"(0ul));
    equal("DR7 bit 10 is set always", get_dr7(), 0x400);
    asm volatile("mov %0, %%dr6" : : "r"(0ul));
    equal("DR6 has bits that are set always", get_dr6(), DR6_INIT);
    TRY(".byte 0xf1", : :);
    expect("INT1", DB, 0);
    equal("... sets no bit in DR6", caught.dr6, DR6_INIT);
    handlers[DB] = on_debug;
    quiet();
}

static USER void u_dr(void) { asm volatile("mov %%dr7, %%rax" : : : "rax"); }
static USER void u_step(void) { asm volatile("pushf; orl $0x100, (%rsp); popf; nop; nop"); }
static USER void u_syscall(void) { asm volatile("pushf; orl $0x100, (%rsp); popf; syscall"); }
asm(".text\ndebug_syscall: nop\n\tint $0x62\n");
extern u8 debug_syscall[];

static void user(void)
{
    in_ring3(u_dr);
    expect("ring 3: MOV from DR7", GP, 0);
    handlers[DB] = 0;
    in_ring3(u_step);
    expect("ring 3: TF", DB, 0);
    equal("... in ring 3", caught.cs, UCODE);
    wrmsr(0xc0000081, (u64)KCODE << 32 | (u64)0x23 << 48);
    wrmsr(0xc0000082, (word)debug_syscall);
    wrmsr(0xc0000084, 0x100);
    set_dr6(DR6_INIT);
    in_ring3(u_syscall);
    if (caught.vector == DB && (caught.cs & 3) == 0)
        check("TF over SYSCALL that masks it: a step at its entry", true);
    else
        expect("TF over SYSCALL that masks it: no step", 0x62, 0);
    handlers[DB] = on_debug;
    quiet();
}

/* An I/O breakpoint needs CR4.DE. */
static void ports(void)
{
    quiet();
    write_cr4(read_cr4() | 8);
    set_dr0(0x80);
    set_dr7(ON(0, IO, 1));
    outb(0x80, 1);
    equal("I/O breakpoint: OUT", n_hits, 1);
    inb(0x80);
    equal("I/O breakpoint: IN", n_hits, 2);
    inb(0x61);
    equal("I/O breakpoint: another port", n_hits, 2);
    write_cr4(read_cr4() & ~8ul);
    quiet();
}

int main(void);
int main(void)
{
    handlers[DB] = on_debug;
    execution();
    data_access();
    step();
    general();
    user();
    ports();
    return 0;
}
