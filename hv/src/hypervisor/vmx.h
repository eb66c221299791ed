/*
 * Intel VMX: control bits, VMCS field encodings, exit reasons and the VMX
 * instructions. SDM Vol. 3C, chapters 24 to 28 and 31, appendices A to C.
 */
#ifndef HV_VMX_H
#define HV_VMX_H

#include "types.h"

/* ---- VM-execution, VM-exit and VM-entry controls (25.6 to 25.8) ------ */

#define PIN_EXTERNAL_INTERRUPT  BIT(0)
#define PIN_NMI                 BIT(3)
#define PIN_PREEMPTION_TIMER    BIT(6)

#define CPU_INTERRUPT_WINDOW    BIT(2)
#define CPU_TSC_OFFSETTING      BIT(3)
#define CPU_HLT                 BIT(7)
#define CPU_MWAIT               BIT(10)
#define CPU_RDPMC               BIT(11)
#define CPU_CR3_LOAD            BIT(15)
#define CPU_CR3_STORE           BIT(16)
#define CPU_CR8_LOAD            BIT(19)
#define CPU_CR8_STORE           BIT(20)
#define CPU_IO_BITMAPS          BIT(25)
#define CPU_MSR_BITMAPS         BIT(28)
#define CPU_MONITOR             BIT(29)
#define CPU_SECONDARY           BIT(31)

#define CPU2_EPT                BIT(1)
#define CPU2_RDTSCP             BIT(3)
#define CPU2_VPID               BIT(5)
#define CPU2_UNRESTRICTED       BIT(7)

#define EXIT_SAVE_DEBUG         BIT(2)
#define EXIT_HOST_64            BIT(9)
#define EXIT_ACK_INTERRUPT      BIT(15)
#define EXIT_SAVE_EFER          BIT(20)
#define EXIT_LOAD_EFER          BIT(21)

#define ENTRY_LOAD_DEBUG        BIT(2)
#define ENTRY_IA32E_GUEST       BIT(9)
#define ENTRY_LOAD_EFER         BIT(15)

/* IA32_VMX_EPT_VPID_CAP (appendix A.10). */
#define EPT_CAP_WALK_4          BIT(6)
#define EPT_CAP_WB              BIT(14)
#define EPT_CAP_2M              BIT(16)
#define EPT_CAP_INVEPT          BIT(20)
#define EPT_CAP_INVEPT_SINGLE   BIT(25)
#define VPID_CAP_INVVPID        BIT(32)
#define VPID_CAP_SINGLE         BIT(41)

/* ---- VMCS field encodings (appendix B) ------------------------------- */

enum vmcs_field {
    VPID                        = 0x0000,

    GUEST_ES_SELECTOR           = 0x0800, /* ES CS SS DS FS GS LDTR TR, two apart */
    GUEST_CS_SELECTOR           = 0x0802,
    GUEST_LDTR_SELECTOR         = 0x080c,
    GUEST_TR_SELECTOR           = 0x080e,
    HOST_ES_SELECTOR            = 0x0c00,
    HOST_CS_SELECTOR            = 0x0c02,
    HOST_SS_SELECTOR            = 0x0c04,
    HOST_DS_SELECTOR            = 0x0c06,
    HOST_FS_SELECTOR            = 0x0c08,
    HOST_GS_SELECTOR            = 0x0c0a,
    HOST_TR_SELECTOR            = 0x0c0c,

    IO_BITMAP_A                 = 0x2000,
    IO_BITMAP_B                 = 0x2002,
    MSR_BITMAP                  = 0x2004,
    VM_EXIT_MSR_STORE_ADDR      = 0x2006,
    VM_EXIT_MSR_LOAD_ADDR       = 0x2008,
    VM_ENTRY_MSR_LOAD_ADDR      = 0x200a,
    TSC_OFFSET                  = 0x2010,
    EPT_POINTER                 = 0x201a,
    GUEST_PHYSICAL_ADDRESS      = 0x2400,
    VMCS_LINK_POINTER           = 0x2800,
    GUEST_DEBUGCTL              = 0x2802,
    GUEST_EFER                  = 0x2806,
    GUEST_PDPTE0                = 0x280a, /* four, two apart */
    HOST_EFER                   = 0x2c02,

    PIN_CONTROLS                = 0x4000,
    CPU_CONTROLS                = 0x4002,
    EXCEPTION_BITMAP            = 0x4004,
    PF_ERROR_CODE_MASK          = 0x4006,
    PF_ERROR_CODE_MATCH         = 0x4008,
    CR3_TARGET_COUNT            = 0x400a,
    EXIT_CONTROLS               = 0x400c,
    EXIT_MSR_STORE_COUNT        = 0x400e,
    EXIT_MSR_LOAD_COUNT         = 0x4010,
    ENTRY_CONTROLS              = 0x4012,
    ENTRY_MSR_LOAD_COUNT        = 0x4014,
    ENTRY_INTERRUPTION_INFO     = 0x4016,
    ENTRY_EXCEPTION_ERROR_CODE  = 0x4018,
    ENTRY_INSTRUCTION_LENGTH    = 0x401a,
    CPU_CONTROLS2               = 0x401e,
    VM_INSTRUCTION_ERROR        = 0x4400,
    EXIT_REASON                 = 0x4402,
    EXIT_INTERRUPTION_INFO      = 0x4404,
    EXIT_INTERRUPTION_ERROR     = 0x4406,
    IDT_VECTORING_INFO          = 0x4408,
    IDT_VECTORING_ERROR         = 0x440a,
    EXIT_INSTRUCTION_LENGTH     = 0x440c,
    EXIT_INSTRUCTION_INFO       = 0x440e,
    GUEST_ES_LIMIT              = 0x4800,
    GUEST_GDTR_LIMIT            = 0x4810,
    GUEST_IDTR_LIMIT            = 0x4812,
    GUEST_ES_ACCESS             = 0x4814,
    GUEST_CS_ACCESS             = 0x4816,
    GUEST_INTERRUPTIBILITY      = 0x4824,
    GUEST_ACTIVITY              = 0x4826,
    GUEST_SYSENTER_CS           = 0x482a,
    PREEMPTION_TIMER_VALUE      = 0x482e,
    HOST_SYSENTER_CS            = 0x4c00,

    CR0_GUEST_HOST_MASK         = 0x6000,
    CR4_GUEST_HOST_MASK         = 0x6002,
    CR0_READ_SHADOW             = 0x6004,
    CR4_READ_SHADOW             = 0x6006,
    EXIT_QUALIFICATION          = 0x6400,
    GUEST_LINEAR_ADDRESS        = 0x640a,
    GUEST_CR0                   = 0x6800,
    GUEST_CR3                   = 0x6802,
    GUEST_CR4                   = 0x6804,
    GUEST_ES_BASE               = 0x6806,
    GUEST_CS_BASE               = 0x6808,
    GUEST_GDTR_BASE             = 0x6816,
    GUEST_IDTR_BASE             = 0x6818,
    GUEST_DR7                   = 0x681a,
    GUEST_RSP                   = 0x681c,
    GUEST_RIP                   = 0x681e,
    GUEST_RFLAGS                = 0x6820,
    GUEST_PENDING_DEBUG         = 0x6822,
    GUEST_SYSENTER_ESP          = 0x6824,
    GUEST_SYSENTER_EIP          = 0x6826,
    HOST_CR0                    = 0x6c00,
    HOST_CR3                    = 0x6c02,
    HOST_CR4                    = 0x6c04,
    HOST_FS_BASE                = 0x6c06,
    HOST_GS_BASE                = 0x6c08,
    HOST_TR_BASE                = 0x6c0a,
    HOST_GDTR_BASE              = 0x6c0c,
    HOST_IDTR_BASE              = 0x6c0e,
    HOST_SYSENTER_ESP           = 0x6c10,
    HOST_SYSENTER_EIP           = 0x6c12,
    HOST_RSP                    = 0x6c14,
    HOST_RIP                    = 0x6c16,
};

/* ---- Exit reasons (appendix C) --------------------------------------- */

enum exit_reason {
    REASON_EXCEPTION_NMI        = 0,
    REASON_EXTERNAL_INTERRUPT   = 1,
    REASON_TRIPLE_FAULT         = 2,
    REASON_INIT                 = 3,
    REASON_INTERRUPT_WINDOW     = 7,
    REASON_TASK_SWITCH          = 9,
    REASON_CPUID                = 10,
    REASON_GETSEC               = 11,
    REASON_HLT                  = 12,
    REASON_INVD                 = 13,
    REASON_RDPMC                = 15,
    REASON_VMCALL               = 18,
    REASON_VMCLEAR              = 19, /* up to VMXON, 27: the VMX instructions */
    REASON_VMXON                = 27,
    REASON_CR_ACCESS            = 28,
    REASON_IO                   = 30,
    REASON_RDMSR                = 31,
    REASON_WRMSR                = 32,
    REASON_ENTRY_GUEST_STATE    = 33,
    REASON_ENTRY_MSR_LOADING    = 34,
    REASON_MWAIT                = 36,
    REASON_MONITOR              = 39,
    REASON_ENTRY_MACHINE_CHECK  = 41,
    REASON_EPT_VIOLATION        = 48,
    REASON_EPT_MISCONFIGURATION = 49,
    REASON_INVEPT               = 50,
    REASON_PREEMPTION_TIMER     = 52,
    REASON_INVVPID              = 53,
    REASON_XSETBV               = 55,
    EXIT_REASONS                = 65,
};

#define REASON_BASIC            0xffffu
#define REASON_ENTRY_FAILURE    BIT(31)

/* Interruption information, in all three places it appears (25.8.3, 25.9). */
#define INTR_VECTOR             0xffu
#define INTR_TYPE               (7u << 8)
#define INTR_TYPE_EXTERNAL      (0u << 8)
#define INTR_TYPE_NMI           (2u << 8)
#define INTR_TYPE_EXCEPTION     (3u << 8)
#define INTR_TYPE_SOFTWARE      (4u << 8)
#define INTR_TYPE_PRIVILEGED    (5u << 8)
#define INTR_TYPE_SOFTWARE_EXC  (6u << 8)
#define INTR_HAS_ERROR_CODE     BIT(11)
#define INTR_VALID              BIT(31)

/* Guest interruptibility state (25.4.2). */
#define BLOCKING_BY_STI         BIT(0)
#define BLOCKING_BY_MOV_SS      BIT(1)

/* Access rights of a segment (25.4.1). */
#define ACCESS_CODE_LONG        BIT(13) /* CS.L */
#define ACCESS_CODE_32          BIT(14) /* CS.D */
#define ACCESS_UNUSABLE         BIT(16)

struct msr_entry { u32 index, reserved; u64 value; };

/* ---- Instructions (chapter 31) --------------------------------------- */

/* CF: VMfailInvalid, ZF: VMfailValid (31.2). Both mean that this
 * hypervisor's own bookkeeping is wrong: vmx_instruction_failed() reports. */
void vmx_instruction_failed(const char *what, u64 operand);

static inline bool vmxon(u64 pa)
{
    bool failed;
    asm volatile("vmxon %1" : "=@ccbe"(failed) : "m"(pa) : "memory");
    return !failed;
}

static inline void vmclear(u64 pa)
{
    bool failed;
    asm volatile("vmclear %1" : "=@ccbe"(failed) : "m"(pa) : "memory");
    if (unlikely(failed))
        vmx_instruction_failed("VMCLEAR", pa);
}

static inline void vmptrld(u64 pa)
{
    bool failed;
    asm volatile("vmptrld %1" : "=@ccbe"(failed) : "m"(pa) : "memory");
    if (unlikely(failed))
        vmx_instruction_failed("VMPTRLD", pa);
}

static inline u64 vmread(enum vmcs_field field)
{
    u64 v;
    bool failed;
    asm volatile("vmread %2, %1" : "=@ccbe"(failed), "=r"(v) : "r"((u64)field));
    if (unlikely(failed))
        vmx_instruction_failed("VMREAD", field);
    return v;
}

static inline void vmwrite(enum vmcs_field field, u64 v)
{
    bool failed;
    asm volatile("vmwrite %2, %1" : "=@ccbe"(failed) : "r"((u64)field), "r"(v));
    if (unlikely(failed))
        vmx_instruction_failed("VMWRITE", field);
}

static inline void invept_single(u64 eptp)
{
    struct { u64 eptp, reserved; } descriptor = { eptp, 0 };
    bool failed;
    asm volatile("invept %1, %2" : "=@ccbe"(failed) : "m"(descriptor), "r"(1ull) : "memory");
    if (unlikely(failed))
        vmx_instruction_failed("INVEPT", eptp);
}

static inline void invvpid_single(u16 vpid)
{
    struct { u64 vpid, linear; } descriptor = { vpid, 0 };
    bool failed;
    asm volatile("invvpid %1, %2" : "=@ccbe"(failed) : "m"(descriptor), "r"(1ull) : "memory");
    if (unlikely(failed))
        vmx_instruction_failed("INVVPID", vpid);
}

#endif
