/*
 * Descriptor tables and what happens when root mode is interrupted. This
 * hypervisor causes no exceptions on purpose, but for one instruction, so
 * every other is fatal; interrupts arrive only while it sleeps (sched.c).
 */
#include "hv.h"

struct table_register { u16 limit; u64 base; } __attribute__((packed));

struct gate { u16 offset_low, selector; u8 ist, type; u16 offset_mid; u32 offset_high, reserved; };

struct tss {
    u32 reserved0;
    u64 rsp[3], reserved1, ist[7], reserved2;
    u16 reserved3, io_map_base;
} __attribute__((packed));

/* Exceptions run on stacks of their own: when RSP itself has gone wrong, the
 * report must still get out (SDM Vol. 3A, 6.14.5). */
enum { IST_FAULT = 1, IST_DOUBLE_FAULT, IST_NMI, IST_MACHINE_CHECK, IST_STACKS = 4 };
static u8 trap_stacks[IST_STACKS][PAGE_SIZE * 2] ALIGNED(4096) SECTION(".bss.stacks");

static u64 gdt[5] ALIGNED(16);
static struct gate idt[256] ALIGNED(16);
static struct tss tss ALIGNED(16);

static const struct table_register gdtr = { sizeof(gdt) - 1, (u64)gdt };
static const struct table_register idtr = { sizeof(idt) - 1, (u64)idt };

extern const u8 trap_stubs[256][16];

u64 traps_gdt_base(void) { return gdtr.base; }
u64 traps_idt_base(void) { return idtr.base; }
u64 traps_tss_base(void) { return (u64)&tss; }

static void load_tables(void)
{
    asm volatile("lgdt %0; lidt %1" : : "m"(gdtr), "m"(idtr));
}

void traps_init(void)
{
    u64 base = (u64)&tss;

    gdt[1] = 0x00af9b000000ffff;        /* SELECTOR_CODE: 64-bit, ring 0 */
    gdt[2] = 0x00cf93000000ffff;        /* SELECTOR_DATA */
    gdt[3] = (sizeof(tss) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
    gdt[4] = base >> 32;

    for (u32 i = 0; i < IST_STACKS; i++)
        tss.ist[i] = (u64)trap_stacks[i] + sizeof(trap_stacks[i]);
    tss.io_map_base = sizeof(tss);

    for (u32 v = 0; v < 256; v++) {
        u64 stub = (u64)trap_stubs[v];
        idt[v] = (struct gate){
            .offset_low = (u16)stub, .offset_mid = (u16)(stub >> 16), .offset_high = (u32)(stub >> 32),
            .selector = SELECTOR_CODE,
            .type = 0x8e,               /* present, interrupt gate */
            .ist = v >= 32 ? 0 : v == VECTOR_DF ? IST_DOUBLE_FAULT : v == VECTOR_NMI ? IST_NMI
                 : v == VECTOR_MC ? IST_MACHINE_CHECK : IST_FAULT,
        };
    }

    load_tables();
    asm volatile("ltr %w0" : : "r"(SELECTOR_TSS));

    /* Let banks that know of an error say so (SDM Vol. 3B, 16.3 and 16.8).
     * With CR4.MCE clear an error would shut the machine down silently. */
    if (cpuid(1, 0).edx & BIT(14)) {
        u32 banks = rdmsr(MSR_MCG_CAP) & 0xff;
        for (u32 i = 0; i < banks; i++) {
            wrmsr(MSR_MC0_CTL + 4 * i, ~0ull);
            wrmsr(MSR_MC0_CTL + 4 * i + 1, 0);
        }
    }
    if (cpuid(1, 0).edx & BIT(7))
        write_cr4(read_cr4() | CR4_MCE);
}

/* Runtime detector: do the registers still point where they were pointed?
 * VM exits load the bases from the VMCS and set both limits to FFFFH
 * (SDM Vol. 3C, 28.5.3), so limits are no evidence. */
void traps_check(void)
{
    struct table_register g, i;
    u16 tr;

    asm volatile("sgdt %0; sidt %1; str %2" : "=m"(g), "=m"(i), "=r"(tr));
    CHECK(DESCRIPTORS, g.base == (u64)gdt && i.base == (u64)idt && tr == SELECTOR_TSS);
    CHECK(DESCRIPTORS, gdt[1] == 0x00af9b000000ffff && gdt[2] == 0x00cf93000000ffff);
}

extern const u8 try_rdpmc_instruction[], try_rdpmc_failed[];

void trap_handler(struct trap_frame *frame)
{
    if (frame->vector == VECTOR_GP && frame->rip == (u64)try_rdpmc_instruction) {
        frame->rip = (u64)try_rdpmc_failed;
        return;
    }
    if (frame->vector < 32)
        detect_exception(frame, read_cr2());
    CHECK(INTERRUPT_VECTOR, sched_asleep());
    timer_interrupt((u32)frame->vector);
}
