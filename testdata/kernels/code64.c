/* Code that changes, strings, bits, locked operations, counters. */
#include "test.h"

const char kernel_name[] = "code64";

extern u64 page_dirs[];
static u8 buffer[8192] __attribute__((aligned(4096)));
typedef u32 function(u32);

/* The same physical page twice, and two neighbours that are none. */
static u64 pt[512] __attribute__((aligned(4096)));
#define AREA 0x1000000ul

static void map_area(void)
{
    for (int i = 0; i < 512; i++)
        pt[i] = AREA + i * 4096ul + 3;
    pt[0] = (word)buffer | 3;
    pt[1] = (word)buffer | 3;
    pt[2] = ((word)buffer + 4096) | 3;
    pt[3] = (word)buffer | 3;
    page_dirs[AREA >> 21] = (word)pt | 3;
    write_cr3(read_cr3());
}

static void put_function(u8 *at, u32 v)
{
    at[0] = 0xb8;                   /* mov $v, %eax */
    *(u32 *)(at + 1) = v;
    at[5] = 0xc3;
}

static void changing(void)
{
    function *f = (function *)buffer;
    bool ok = true;
    for (u32 i = 0; i < 200; i++) {
        put_function(buffer, i);
        ok &= f(0) == i;
    }
    check("code written anew before each call", ok);

    map_area();
    f = (function *)AREA;
    put_function(buffer, 1);
    ok = f(0) == 1;
    put_function((u8 *)AREA + 4096, 2);
    check("written through another address", ok && f(0) == 2);
    pt[0] = ((word)buffer + 4096) | 3;
    put_function(buffer + 4096, 3);
    invlpg(AREA);
    equal("another page mapped there", f(0), 3);

    /* An instruction that lies in two pages, of which the second changes. */
    pt[0] = (word)buffer | 3;
    pt[1] = ((word)buffer + 4096) | 3;
    write_cr3(read_cr3());
    f = (function *)(AREA + 4096 - 3);
    put_function(buffer + 4093, 0x11111111);
    ok = f(0) == 0x11111111;
    buffer[4096] = 0x22;
    check("over two pages: the second is written", ok && f(0) == 0x11221111);
    buffer[4094] = 0x33;
    check("... the first is written", (f(0) & 0xff) == 0x33);
    pt[1] = (AREA + 0x10000) | 3;
    invlpg(AREA + 4096);
    *(u32 *)(AREA + 4096) = 0xc3444444;
    equal("... another second page", f(0) >> 16, 0x4444);
    map_area();

    /* The next instruction, and the rest of a loop's body. */
    u32 v;
    asm volatile("movb $7, 1f + 1(%%rip)\n1:\tmov $0, %%eax" : "=a"(v));
    check("the next instruction", v == 7);
    u32 n;
    asm volatile("xor %0, %0; mov $10, %%ecx\n"
                 "1:\tcmp $5, %%ecx; jne 2f; movb $2, 3f + 2(%%rip)\n"
                 "2:\tnop\n3:\tadd $1, %0; dec %%ecx; jnz 1b; movb $1, 3b + 2(%%rip)"
                 : "=&a"(n) : : "rcx", "memory");
    equal("the body of the loop that runs", n, 5 + 5 * 2);
    static u8 string[] = { 0xb8, 9, 0, 0, 0, 0xc3 };
    put_function(buffer, 4);
    f = (function *)buffer;
    f(0);
    word si = (word)string, di = (word)buffer, cx = sizeof string;
    asm volatile("rep movsb" : "+S"(si), "+D"(di), "+c"(cx) : : "memory");
    equal("written by REP MOVSB", f(0), 9);
    u64 old = *(u64 *)buffer;
    u64 new = (old & ~0xff00ul) | 0x500;
    asm volatile("lock cmpxchg %2, %0" : "+m"(*(u64 *)buffer), "+a"(old) : "r"(new) : "memory");
    equal("written by CMPXCHG", f(0), 5);
}

static void strings(void)
{
    for (int i = 0; i < 8192; i++)
        buffer[i] = i * 7 + (i >> 8);
    word si = (word)buffer, di = (word)buffer + 1, cx = 100;
    u8 first = buffer[0];
    asm volatile("rep movsb" : "+S"(si), "+D"(di), "+c"(cx) : : "memory");
    bool ok = true;
    for (int i = 0; i <= 100; i++)
        ok &= buffer[i] == first;
    check("REP MOVSB onto the byte after it fills", ok);
    u8 model[64];
    for (int i = 0; i < 64; i++)
        model[i] = buffer[4096 - 32 + i] = i;
    for (int i = 0; i < 7; i++) {
        u64 v = *(volatile u64 *)(model + 8 * i);
        *(volatile u64 *)(model + 8 * i + 4) = v;
    }
    si = (word)buffer + 4096 - 32, di = (word)buffer + 4096 - 28, cx = 7;
    asm volatile("rep movsq" : "+S"(si), "+D"(di), "+c"(cx) : : "memory");
    ok = true;
    for (int i = 0; i < 64; i++)
        ok &= buffer[4096 - 32 + i] == model[i];
    check("REP MOVSQ over a page, overlapping by half", ok);
    for (int i = 0; i < 64; i++)
        buffer[i] = i;
    si = (word)buffer + 31, di = (word)buffer + 35, cx = 32;
    asm volatile("std; rep movsb; cld" : "+S"(si), "+D"(di), "+c"(cx) : : "memory");
    ok = true;
    for (int i = 0; i < 32; i++)
        ok &= buffer[4 + i] == i;
    check("REP MOVSB downwards, overlapping", ok && di == (word)buffer + 3);

    u8 flag;
    for (int i = 0; i < 100; i++)
        buffer[i] = buffer[1000 + i] = i;
    buffer[1050] ^= 1;
    si = (word)buffer, di = (word)buffer + 1000, cx = 100;
    asm volatile("repe cmpsb; setb %3" : "+S"(si), "+D"(di), "+c"(cx), "=r"(flag) : : "memory");
    check("REPE CMPSB", cx == 49 && si == (word)buffer + 51 && flag == (50 < (50 ^ 1)));
    di = (word)buffer, cx = 100;
    asm volatile("repne scasb" : "+D"(di), "+c"(cx) : "a"(77) : "memory");
    check("REPNE SCASB", cx == 22 && di == (word)buffer + 78);
    cx = 0;
    asm volatile("cmp %%eax, %%eax; repe cmpsb; sete %1" : "+c"(cx), "=r"(flag) : "S"(buffer), "D"(buffer + 1));
    check("REPE with RCX 0 leaves the flags", flag);
    word ax = 0xffffffffffffffff;
    si = (word)buffer + 5;
    asm volatile("lodsb" : "+a"(ax), "+S"(si));
    equal("LODSB leaves the rest of RAX", ax, 0xffffffffffffff05);
    cx = 0xffffffff00000003;
    di = (word)buffer;
    asm volatile("addr32 rep stosb" : "+D"(di), "+c"(cx) : "a"(1) : "memory");
    check("32-bit addresses: ECX counts", cx == 0 && di == (word)buffer + 3);
    ax = 0x1234567890;
    cx = 0x500000000;
    asm volatile("addr32 rep stosb" : "+D"(di), "+c"(cx) : "a"(1) : "memory");
    check("32-bit addresses: ECX 0", di == (word)buffer + 3);
    wrmsr(0xc0000100, (word)buffer);
    si = 4;
    asm volatile("lodsb %%fs:(%%rsi), %%al" : "+a"(ax), "+S"(si));
    equal("LODSB with a segment", ax & 0xff, buffer[4]);
}

static void bits(void)
{
    u64 *m = (u64 *)(buffer + 4096);
    for (int i = -2; i < 4; i++)
        m[i] = 0;
    m[-1] = 1ul << 63;
    u8 c;
    asm volatile("bt %2, %1; setc %0" : "=r"(c) : "m"(m[0]), "r"(-1l));
    check("BT with a negative offset", c);
    asm volatile("lock bts %2, %1; setc %0" : "=r"(c), "+m"(m[0]) : "r"(130l) : "memory");
    check("LOCK BTS far away", !c && m[2] == 4);
    asm volatile("btw %w2, %1; setc %0" : "=r"(c) : "m"(m[0]), "r"(-1l));
    check("BT of 16 bits", c == (*(u16 *)((u8 *)m - 2) >> 15));
    u64 v = 5;
    asm volatile("bsf %2, %0; setz %1" : "+r"(v), "=r"(c) : "r"(0ul));
    check("BSF of 0", c);
    asm volatile("bsr %1, %0" : "=r"(v) : "r"(0x8000000000ul));
    equal("BSR", v, 39);
    u64 a[2] __attribute__((aligned(16))) = { 1, 2 };
    u64 lo = 1, hi = 2;
    asm volatile("lock cmpxchg16b %0; setz %3" : "+m"(a), "+a"(lo), "+d"(hi), "=r"(c) : "b"(3ul), "c"(4ul) : "memory");
    check("CMPXCHG16B, equal", c && a[0] == 3 && a[1] == 4);
    asm volatile("lock cmpxchg16b %0; setz %3" : "+m"(a), "+a"(lo), "+d"(hi), "=r"(c) : "b"(5ul), "c"(6ul) : "memory");
    check("CMPXCHG16B, different", !c && lo == 3 && hi == 4 && a[0] == 3);
    TRY("cmpxchg16b %0", : : "m"(*((u64 *)buffer + 1)));
    expect("CMPXCHG16B unaligned", GP, 0);
    u32 x = 0xffffffff;
    v = 0xffffffffffffffff;
    asm volatile("xadd %k0, %1" : "+r"(v), "+m"(x));
    check("XADD of 32 bits clears the upper half", v == 0xffffffff && x == 0xfffffffe);
    word used;
    asm volatile("mov %%rsp, %%rcx; push %%rbp; mov %%rsp, %%rbp; enter $16, $2; mov %%rcx, %0; sub %%rsp, %0;"
                 "mov %%rcx, %%rsp; mov -8(%%rsp), %%rbp" : "=&a"(used) : : "rcx", "memory");
    equal("ENTER with nesting", used, 8 + 8 + 8 + 8 + 16);
}

static void counters(void)
{
    u32 r[4];
    cpuid(0, 0, r);
    u32 top = r[0];
    u64 a = rdtsc(), b = rdtsc();
    check("RDTSC goes up", b > a);
    if (cpuid_bit(0x80000001, 0, EDX, 27)) {
        u32 lo, hi, aux;
        wrmsr(0xc0000103, 0x1234);
        asm volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(aux));
        equal("RDTSCP gives TSC_AUX", aux, 0x1234);
    }
    r[0] = 0;
    if (top >= 10)
        cpuid(10, 0, r);
    if ((r[0] & 0xff) < 2) {
        skip("performance counters", "not in CPUID");
        return;
    }
    wrmsr(0x186, 0x4300c0);         /* instructions, in both rings, enabled */
    wrmsr(0xc1, 0);
    wrmsr(0x38f, 1);
    asm volatile("nop; nop; nop; nop; nop; nop; nop; nop; nop; nop");
    wrmsr(0x38f, 0);
    u64 n = rdmsr(0xc1);
    check("counting instructions", n >= 10 && n <= 24);
    u32 lo, hi;
    TRY("rdpmc", : "=a"(lo), "=d"(hi) : "c"(0));
    (void)hi;
    equal("RDPMC", lo, n);
    TRY("rdpmc", : : "c"(63) : "rax", "rdx");
    expect("RDPMC of no counter", GP, 0);
    wrmsr(0x186, 0x4300c4);
    wrmsr(0xc1, 0);
    wrmsr(0x38f, 1);
    asm volatile("mov $50, %%ecx\n1:\tdec %%ecx; jnz 1b" : : : "rcx");
    wrmsr(0x38f, 0);
    n = rdmsr(0xc1);
    check("counting branches", n >= 50 && n <= 56);
    wrmsr(0xc1, 0xfffffff0);
    equal("a counter is written by 32 bits, sign-extended", rdmsr(0xc1), 0xfffffffffff0);
    wrmsr(0x186, 0x5300c0);
    wrmsr(0x38f, 1);
    for (volatile int i = 0; i < 10; i++)
        ;
    wrmsr(0x38f, 0);
    equal("overflow is in the global status", rdmsr(0x38e) & 1, 1);
    wrmsr(0x390, 1);
    equal("... until it is cleared", rdmsr(0x38e) & 1, 0);
}

int main(void);
int main(void)
{
    map_area();
    changing();
    strings();
    bits();
    counters();
    return 0;
}
