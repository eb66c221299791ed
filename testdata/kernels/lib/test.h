/*
 * What the test kernels share: output, checks, and catching exceptions.
 *
 *     TRY("mov %0, %%ds", : : "r"(0x18));
 *     expect("null...", GP, 0x18);
 *
 * TRY executes code; an exception in it ends it and is kept in `caught`.
 */
#ifndef TEST_H
#define TEST_H

#include <stdbool.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef unsigned long word;     /* 32 or 64 bits */

enum { DE, DB, NMI, BP, OF, BR, UD, NM, DF, TS = 10, NP, SS, GP, PF, MF = 16, AC, MC, XM };
enum { NOTHING = -1 };

/* Selectors. Each system call instruction wants its own order. */
enum {
    KCODE = 0x08, KDATA = 0x10,
    KCODE32 = 0x18,                         /* compatibility mode, ring 0 */
    UCODE32 = 0x23, UDATA = 0x2b, UCODE = 0x33,
    EBASE = 0x38,                           /* 38 40 ring 0, 48 50 58 60 ring 3: SYSENTER's */
    TSS = 0x68,                             /* two entries */
    SPARE = 0x80,                           /* for tests, from here to the end */
    GDT_ENTRIES = 48,
};
#ifndef __x86_64__
#undef UCODE
#define UCODE UCODE32
#endif

struct frame {
#ifdef __x86_64__
    u64 ax, cx, dx, bx, bp, si, di, r8, r9, r10, r11, r12, r13, r14, r15;
    u64 vector, code, ip, cs, flags, sp, ss;
#else
    u32 ax, cx, dx, bx, bp, si, di;
    u32 vector, code, ip, cs, flags, sp, ss;    /* the last two from ring 3 only */
#endif
};

struct caught {
    int vector;                 /* NOTHING if there was none */
    u32 code;
    word ip, cs, flags, sp, ss, cr2, dr6;
    word frame;                 /* end of what was pushed */
    struct frame regs;
    int count;
};

extern struct caught caught;
extern word recover_ip, recover_sp, recover_bp, ring3_flags;
extern u32 multiboot_info;
extern u64 gdt[GDT_ENTRIES];
extern u8 kernel_stack[16384], ist_stack[4096];
extern u8 stack_top[];

/* Handlers of tests; an event that has one is not caught. */
typedef void handler(struct frame *);
extern handler *handlers[256];

#ifdef __x86_64__
#define MOVW "movq"
#define STACK "%%rsp"
#define FRAME "%%rbp"
#else
#define MOVW "movl"
#define STACK "%%esp"
#define FRAME "%%ebp"
#endif

/* The rest are operands and clobbers, from the first colon on. The stack
 * pointer and the frame pointer are afterwards what they were before. */
#define TRY(code, ...) do { \
        caught_nothing(); \
        asm volatile("" : : : "memory"); \
        asm volatile(MOVW " $98f, recover_ip\n\t" MOVW " " STACK ", recover_sp\n\t" \
            MOVW " " FRAME ", recover_bp\n\t" code "\n98:\t" \
            MOVW " recover_sp, " STACK "\n\t" MOVW " recover_bp, " FRAME "\n\t" MOVW " $0, recover_ip" __VA_ARGS__); \
        asm volatile("" : : : "memory"); \
    } while (0)

void caught_nothing(void);
void print(const char *format, ...);    /* %s %x %d %c */
bool check(const char *name, bool ok);
bool equal(const char *name, u64 got, u64 want);
bool expect(const char *name, int vector, u32 code);
void skip(const char *name, const char *why);
_Noreturn void finish(void);
_Noreturn void ring3(word ip, word sp);
bool has_word(const char *w);       /* on the command line */

/* Runs code in ring 3 until an exception, or INT 0x80, ends it. */
void in_ring3(void (*code)(void));
#define USER __attribute__((section(".user.text"), noinline))
#define USER_DATA __attribute__((section(".user.data")))
extern u8 user_stack[8192];

void set_gate(int vector, void *target, int type, int dpl, int ist);
void restore_gate(int vector);
void *stub(int vector);
u64 segment(u32 base, u32 limit, u32 attributes);   /* attributes as in bits 40-55 of a descriptor */
extern u8 tss[];

static inline void outb(u16 port, u8 v) { asm volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
static inline void outw(u16 port, u16 v) { asm volatile("outw %0, %1" : : "a"(v), "Nd"(port)); }
static inline void outl(u16 port, u32 v) { asm volatile("outl %0, %1" : : "a"(v), "Nd"(port)); }
static inline u8 inb(u16 port) { u8 v; asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline u32 inl(u16 port) { u32 v; asm volatile("inl %1, %0" : "=a"(v) : "Nd"(port)); return v; }

static inline u64 rdmsr(u32 i)
{
    u32 lo, hi;
    asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(i));
    return lo | (u64)hi << 32;
}
static inline void wrmsr(u32 i, u64 v)
{
    asm volatile("wrmsr" : : "c"(i), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}
static inline u64 rdtsc(void)
{
    u32 lo, hi;
    asm volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return lo | (u64)hi << 32;
}
static inline void cpuid(u32 leaf, u32 sub, u32 r[4])
{
    asm volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(sub));
}
static inline bool cpuid_bit(u32 leaf, u32 sub, int reg, int bit)
{
    u32 r[4];
    cpuid(leaf & 0x80000000, 0, r);
    if (r[0] < leaf)
        return false;
    cpuid(leaf, sub, r);
    return r[reg] >> bit & 1;
}
enum { EAX, EBX, ECX, EDX };

#define CONTROL(n) \
    static inline word read_cr##n(void) { word v; asm volatile("mov %%cr" #n ", %0" : "=r"(v)); return v; } \
    static inline void write_cr##n(word v) { asm volatile("mov %0, %%cr" #n : : "r"(v) : "memory"); }
CONTROL(0)
CONTROL(2)
CONTROL(3)
CONTROL(4)

static inline void invlpg(word a) { asm volatile("invlpg (%0)" : : "r"(a) : "memory"); }

#define SIZE(a) ((int)(sizeof(a) / sizeof((a)[0])))

#endif
