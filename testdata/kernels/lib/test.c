#include "test.h"

#include <stdarg.h>

struct caught caught = { .vector = NOTHING };
word recover_ip, recover_sp, recover_bp, ring3_flags = 2;
handler *handlers[256];
u64 gdt[GDT_ENTRIES] __attribute__((aligned(16)));
u8 kernel_stack[16384] __attribute__((aligned(16)));
u8 ist_stack[4096] __attribute__((aligned(16)));
u8 user_stack[8192] __attribute__((aligned(16), section(".user.data")));
/* With the bitmap of all ports, which allows everything. */
u8 tss[104 + 8192 + 1] __attribute__((aligned(16)));

static int passed, failed, skipped;
static struct { u32 w[sizeof(word) / 2]; } idt[256] __attribute__((aligned(16)));
extern const char vectors[];

#define COM1 0x3f8

static void put(char c)
{
    if (c == '\n')
        put('\r');
    while (!(inb(COM1 + 5) & 0x20))
        ;
    outb(COM1, c);
}

static void put_number(u64 v, int base)
{
    char digits[24];
    int n = 0;

    /* 64-bit division would need a library in 32-bit mode. */
    if (base == 16) {
        do
            digits[n++] = "0123456789abcdef"[v & 15];
        while (v >>= 4);
    } else {
        u32 w = v;
        do
            digits[n++] = '0' + w % 10;
        while (w /= 10);
    }
    while (n)
        put(digits[--n]);
}

void print(const char *f, ...)
{
    va_list args;

    va_start(args, f);
    for (; *f; f++) {
        if (*f != '%') {
            put(*f);
            continue;
        }
        switch (*++f) {
        case 's':
            for (const char *s = va_arg(args, const char *); *s; s++)
                put(*s);
            break;
        case 'x':
            put_number(va_arg(args, u64), 16);
            break;
        case 'd': {
            int v = va_arg(args, int);
            if (v < 0)
                put('-');
            put_number(v < 0 ? -v : v, 10);
            break;
        }
        case 'c':
            put(va_arg(args, int));
            break;
        }
    }
    va_end(args);
}

bool check(const char *name, bool ok)
{
    print("%s %s\n", ok ? "PASS" : "FAIL", name);
    *(ok ? &passed : &failed) += 1;
    return ok;
}

bool equal(const char *name, u64 got, u64 want)
{
    if (got == want)
        return check(name, true);
    print("FAIL %s -- got %x, want %x\n", name, got, want);
    failed++;
    return false;
}

bool expect(const char *name, int vector, u32 code)
{
    if (caught.vector == vector && (vector == NOTHING || caught.code == code))
        return check(name, true);
    print("FAIL %s -- got vector %d code %x at %x, want vector %d code %x\n", name,
          caught.vector, (u64)caught.code, (u64)caught.ip, vector, (u64)code);
    failed++;
    return false;
}

void skip(const char *name, const char *why)
{
    print("SKIP %s: %s\n", name, why);
    skipped++;
}

extern const char kernel_name[];

void finish(void)
{
    print("%s: done, %d passed, %d failed, %d skipped\n", kernel_name, passed, failed, skipped);
    outl(0xf4, failed != 0);
    for (;;)
        asm volatile("cli; hlt");
}

bool has_word(const char *w)
{
    u32 *info = (u32 *)(word)multiboot_info;
    if (!(info[0] & 4))
        return false;
    for (const char *s = (const char *)(word)info[4]; *s; s++) {
        int n = 0;
        while (w[n] && s[n] == w[n])
            n++;
        if (!w[n] && (s[n] == 0 || s[n] == ' '))
            return true;
    }
    return false;
}

void caught_nothing(void)
{
    caught = (struct caught){ .vector = NOTHING };
}

bool trap(struct frame *f);
bool trap(struct frame *f)
{
    if (handlers[f->vector]) {
        handlers[f->vector](f);
        return false;
    }
    caught.vector = f->vector;
    caught.code = f->code;
    caught.ip = f->ip;
    caught.cs = f->cs & 0xffff;
    caught.flags = f->flags;
    caught.cr2 = read_cr2();
    asm volatile("mov %%dr6, %0" : "=r"(caught.dr6));
    caught.count++;
    caught.regs = *f;
    caught.frame = (word)(f + 1);
    if (sizeof(word) == 8 || f->cs & 3) {
        caught.sp = f->sp;
        caught.ss = f->ss & 0xffff;
    }
    if (!recover_ip) {
        print("FAIL unexpected vector %d code %x at %x:%x, cr2 %x\n", (int)f->vector, (u64)f->code,
              (u64)f->cs, (u64)f->ip, (u64)caught.cr2);
        failed++;
        finish();
    }
    return true;
}

void in_ring3(void (*code)(void))
{
    word sp = (word)user_stack + sizeof user_stack - 64;
    caught_nothing();
#ifdef __x86_64__
    asm volatile("push %%rbp; movq $98f, recover_ip; movq %%rsp, recover_sp; movq %%rbp, recover_bp; call ring3\n98: movq $0, recover_ip; pop %%rbp"
        : "+D"(code), "+S"(sp) : : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13",
          "r14", "r15", "memory", "cc");
#else
    asm volatile("push %%ebp; push %%esi; push %%edi; movl $98f, recover_ip; movl %%esp, recover_sp; movl %%ebp, recover_bp\n\t"
                 "push %%ecx; push %%eax; call ring3\n98: movl $0, recover_ip; pop %%edi; pop %%esi; pop %%ebp"
        : "+a"(code), "+c"(sp) : : "ebx", "edx", "memory", "cc");
#endif
}

void *stub(int vector)
{
    return (void *)(vectors + 16 * vector);
}

void set_gate(int vector, void *target, int type, int dpl, int ist)
{
    word a = (word)target;
    idt[vector].w[0] = (a & 0xffff) | KCODE << 16;
    idt[vector].w[1] = (a & 0xffff0000) | 0x8000 | dpl << 13 | type << 8 | ist;
#ifdef __x86_64__
    idt[vector].w[2] = a >> 32;
    idt[vector].w[3] = 0;
#endif
}

void restore_gate(int vector)
{
    set_gate(vector, stub(vector), 14, vector == 3 || vector == 4 || vector == 0x80 ? 3 : 0, 0);
}

u64 segment(u32 base, u32 limit, u32 attributes)
{
    return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)(attributes & 0xf0ff) << 40
        | (u64)(limit >> 16 & 15) << 48 | (u64)(base >> 24) << 56;
}

struct __attribute__((packed)) table {
    u16 limit;
    word base;
};

void cpu_init(void);
void cpu_init(void)
{
    static const u64 flat[] = {
        0,
#ifdef __x86_64__
        0x00af9b000000ffff,
#else
        0x00cf9b000000ffff,
#endif
        0x00cf93000000ffff,
        0x00cf9b000000ffff,
        0x00cffb000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff,
#ifdef __x86_64__
        0x00af9b000000ffff,
#else
        0x00cf9b000000ffff,
#endif
        0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff,
        0x00affb000000ffff, 0x00cff3000000ffff,
    };

    outb(COM1 + 1, 0);
    outb(COM1 + 3, 0x80);
    outb(COM1, 1);
    outb(COM1 + 1, 0);
    outb(COM1 + 3, 3);
    outb(COM1 + 2, 7);
    outb(COM1 + 4, 3);
    /* The old interrupt controllers stay silent until a test wants them. */
    outb(0x21, 0xff);
    outb(0xa1, 0xff);

    for (int i = 0; i < SIZE(flat); i++)
        gdt[i] = flat[i];
    word top = (word)kernel_stack + sizeof kernel_stack;
#ifdef __x86_64__
    tss[sizeof tss - 1] = 0xff;
    *(u64 *)(tss + 4) = top;
    *(u64 *)(tss + 36) = (word)ist_stack + sizeof ist_stack;
    *(u16 *)(tss + 102) = 104;
    gdt[TSS / 8] = segment((word)tss, sizeof tss - 1, 0x89);
    gdt[TSS / 8 + 1] = 0;
#else
    tss[sizeof tss - 1] = 0xff;
    *(u32 *)(tss + 4) = top;
    *(u32 *)(tss + 8) = KDATA;
    *(u16 *)(tss + 102) = 104;
    gdt[TSS / 8] = segment((word)tss, sizeof tss - 1, 0x89);
#endif
    struct table t = { sizeof gdt - 1, (word)gdt };
    asm volatile("lgdt %0" : : "m"(t));
    for (int i = 0; i < 256; i++)
        restore_gate(i);
    t = (struct table){ sizeof idt - 1, (word)idt };
    asm volatile("lidt %0; ltr %w1" : : "m"(t), "r"(TSS));
}
