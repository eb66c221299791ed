/*
 * The processor as C sees it: registers, model-specific registers, ports.
 * Names are those of the Intel SDM. Section numbers anywhere in these files
 * are those of the 2023 editions (order number 325462-080 and later).
 */
#ifndef HV_CPU_H
#define HV_CPU_H

#include "types.h"

/* ---- Control registers (SDM Vol. 3A, 2.5) ---------------------------- */

#define CR0_PE          BIT(0)
#define CR0_TS          BIT(3)
#define CR0_ET          BIT(4)
#define CR0_NE          BIT(5)
#define CR0_WP          BIT(16)
#define CR0_NW          BIT(29)
#define CR0_CD          BIT(30)
#define CR0_PG          BIT(31)
#define CR0_DEFINED     0xe005003full

#define CR4_VME         BIT(0)
#define CR4_PVI         BIT(1)
#define CR4_TSD         BIT(2)
#define CR4_DE          BIT(3)
#define CR4_PSE         BIT(4)
#define CR4_PAE         BIT(5)
#define CR4_MCE         BIT(6)
#define CR4_PGE         BIT(7)
#define CR4_PCE         BIT(8)
#define CR4_OSFXSR      BIT(9)
#define CR4_OSXMMEXCPT  BIT(10)
#define CR4_VMXE        BIT(13)
#define CR4_FSGSBASE    BIT(16)
#define CR4_SMEP        BIT(20)
#define CR4_SMAP        BIT(21)

#define EFER_SCE        BIT(0)
#define EFER_LME        BIT(8)
#define EFER_LMA        BIT(10)
#define EFER_NXE        BIT(11)

#define RFLAGS_CF       BIT(0)
#define RFLAGS_FIXED    BIT(1) /* always 1 */
#define RFLAGS_PF       BIT(2)
#define RFLAGS_AF       BIT(4)
#define RFLAGS_ZF       BIT(6)
#define RFLAGS_SF       BIT(7)
#define RFLAGS_TF       BIT(8)
#define RFLAGS_IF       BIT(9)
#define RFLAGS_DF       BIT(10)
#define RFLAGS_OF       BIT(11)

/* ---- Exceptions (SDM Vol. 3A, table 6-1) ----------------------------- */

#define VECTOR_DB       1
#define VECTOR_NMI      2
#define VECTOR_UD       6
#define VECTOR_DF       8
#define VECTOR_GP       13
#define VECTOR_PF       14
#define VECTOR_AC       17
#define VECTOR_MC       18

/* ---- Model-specific registers (SDM Vol. 4, chapter 2) ---------------- */

#define MSR_TSC                 0x010
#define MSR_APIC_BASE           0x01b
#define MSR_FEATURE_CONTROL     0x03a
#define MSR_BIOS_SIGN_ID        0x08b
#define MSR_PMC0                0x0c1
#define MSR_MTRRCAP             0x0fe
#define MSR_SYSENTER_CS         0x174
#define MSR_SYSENTER_ESP        0x175
#define MSR_SYSENTER_EIP        0x176
#define MSR_MCG_CAP             0x179
#define MSR_PERFEVTSEL0         0x186
#define MSR_MISC_ENABLE         0x1a0
#define MSR_PAT                 0x277
#define MSR_FIXED_CTR0          0x309
#define MSR_FIXED_CTR_CTRL      0x38d
#define MSR_PERF_GLOBAL_CTRL    0x38f
#define MSR_MC0_CTL             0x400 /* then STATUS, ADDR, MISC; four per bank */
#define MSR_VMX_BASIC           0x480
#define MSR_VMX_MISC            0x485
#define MSR_VMX_CR0_FIXED0      0x486
#define MSR_VMX_CR0_FIXED1      0x487
#define MSR_VMX_CR4_FIXED0      0x488
#define MSR_VMX_CR4_FIXED1      0x489
#define MSR_VMX_PROCBASED_CTLS2 0x48b
#define MSR_VMX_EPT_VPID_CAP    0x48c
#define MSR_VMX_TRUE_PINBASED   0x48d
#define MSR_VMX_TRUE_PROCBASED  0x48e
#define MSR_VMX_TRUE_EXIT       0x48f
#define MSR_VMX_TRUE_ENTRY      0x490
#define MSR_X2APIC_BASE         0x800
#define MSR_EFER                0xc0000080
#define MSR_STAR                0xc0000081
#define MSR_LSTAR               0xc0000082
#define MSR_CSTAR               0xc0000083
#define MSR_FMASK               0xc0000084
#define MSR_FS_BASE             0xc0000100
#define MSR_GS_BASE             0xc0000101
#define MSR_KERNEL_GS_BASE      0xc0000102
#define MSR_TSC_AUX             0xc0000103

/* ---- Instructions ---------------------------------------------------- */

static inline void outb(u16 port, u8 v)  { asm volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
static inline void outl(u16 port, u32 v) { asm volatile("outl %0, %1" : : "a"(v), "Nd"(port)); }
static inline u8 inb(u16 port)  { u8 v;  asm volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static inline u32 inl(u16 port) { u32 v; asm volatile("inl %1, %0" : "=a"(v) : "Nd"(port)); return v; }

static inline u64 rdmsr(u32 msr)
{
    u32 lo, hi;
    asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 msr, u64 v)
{
    asm volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

static inline u64 rdtsc(void)
{
    u32 lo, hi;
    asm volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (u64)hi << 32 | lo;
}

static inline u64 rdpmc(u32 counter)
{
    u32 lo, hi;
    asm volatile("rdpmc" : "=a"(lo), "=d"(hi) : "c"(counter));
    return (u64)hi << 32 | lo;
}

struct cpuid { u32 eax, ebx, ecx, edx; };

static inline struct cpuid cpuid(u32 leaf, u32 subleaf)
{
    struct cpuid r;
    asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                         : "a"(leaf), "c"(subleaf));
    return r;
}

#define CONTROL_REGISTER(name)                                              \
    static inline u64 read_##name(void)                                     \
    { u64 v; asm volatile("mov %%" #name ", %0" : "=r"(v)); return v; }     \
    static inline void write_##name(u64 v)                                  \
    { asm volatile("mov %0, %%" #name : : "r"(v) : "memory"); }

CONTROL_REGISTER(cr0)
CONTROL_REGISTER(cr2)
CONTROL_REGISTER(cr3)
CONTROL_REGISTER(cr4)
CONTROL_REGISTER(dr0)
CONTROL_REGISTER(dr1)
CONTROL_REGISTER(dr2)
CONTROL_REGISTER(dr3)
CONTROL_REGISTER(dr6)

static inline u64 read_rsp(void) { u64 v; asm volatile("mov %%rsp, %0" : "=r"(v)); return v; }

/* Sleep until an interrupt: STI takes effect after HLT has begun, so an
 * interrupt that is already waiting wakes it (SDM Vol. 2B, STI). */
static inline void wait_for_interrupt(void) { asm volatile("sti; hlt; cli" : : : "memory"); }

static inline void NORETURN halt_forever(void)
{
    for (;;)
        asm volatile("cli; hlt");
}

#endif
