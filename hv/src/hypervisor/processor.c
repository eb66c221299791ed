/*
 * The processor that a guest sees: CPUID, model-specific registers, control
 * registers. The rule is a list of what is allowed; everything else does not
 * exist. A guest is shown no feature whose state we would not switch.
 */
#include "hv.h"

/* ---- CPUID ----------------------------------------------------------- */

#define LEAF1_EDX   (BIT(0) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | BIT(9) | BIT(11) \
                     | BIT(13) | BIT(15) | BIT(16) | BIT(19) | BIT(23) | BIT(24) | BIT(25) | BIT(26))
                    /* FPU DE PSE TSC MSR PAE CX8 APIC SEP PGE CMOV PAT CLFSH MMX FXSR SSE SSE2 */
#define LEAF1_ECX   (BIT(0) | BIT(9) | BIT(13) | BIT(19) | BIT(20) | BIT(22) | BIT(23))
                    /* SSE3 SSSE3 CX16 SSE4.1 SSE4.2 MOVBE POPCNT */
#define LEAF1_ECX_HYPERVISOR    BIT(31)
#define LEAF7_EBX   (BIT(0) | BIT(7) | BIT(9) | BIT(20))    /* FSGSBASE SMEP ERMS SMAP */
#define EXT1_EDX    (BIT(11) | BIT(20) | BIT(26) | BIT(29)) /* SYSCALL NX 1GB-pages LM */
#define EXT1_EDX_RDTSCP         BIT(27)
#define EXT1_ECX    BIT(0)                                  /* LAHF in 64-bit mode */

static u64 cr4_allowed;

void processor_init(void)
{
    u32 leaf7 = cpuid(0, 0).eax >= 7 ? cpuid(7, 0).ebx : 0;

    cr4_allowed = CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE
        | CR4_OSFXSR | CR4_OSXMMEXCPT
        | (leaf7 & BIT(0) ? CR4_FSGSBASE : 0) | (leaf7 & BIT(7) ? CR4_SMEP : 0)
        | (leaf7 & BIT(20) ? CR4_SMAP : 0);
}

void exit_cpuid(struct vm *vm)
{
    u32 leaf = (u32)vm->regs[RAX], subleaf = (u32)vm->regs[RCX];
    struct cpuid r = { 0 };

    switch (leaf) {
    case 0:
        r = cpuid(0, 0);
        r.eax = 7;
        break;
    case 1:
        r = cpuid(1, 0);
        r.ebx = (r.ebx & 0x0000ff00) | 1 << 16; /* CLFLUSH size; one processor, APIC ID 0 */
        r.ecx = (r.ecx & LEAF1_ECX) | (u32)LEAF1_ECX_HYPERVISOR;
        r.edx &= LEAF1_EDX;
        break;
    case 7:
        if (subleaf == 0 && cpuid(0, 0).eax >= 7)
            r.ebx = cpuid(7, 0).ebx & LEAF7_EBX;
        break;
    case HV_CPUID_BASE:
        r = (struct cpuid){ HV_CPUID_BASE + 1, HV_CPUID_EBX, HV_CPUID_ECX, HV_CPUID_EDX };
        break;
    case HV_CPUID_BASE + 1:
        r.eax = HV_ABI_VERSION;
        r.ebx = vm->config.id;
        break;
    case 0x80000000:
        r = cpuid(leaf, 0);
        r.eax = MIN(r.eax, 0x80000008);
        break;
    case 0x80000001:
        r = cpuid(leaf, 0);
        r.ebx = 0;
        r.ecx &= EXT1_ECX;
        r.edx &= EXT1_EDX | (vmx.rdtscp ? EXT1_EDX_RDTSCP : 0);
        break;
    case 0x80000002 ... 0x80000004:     /* brand string */
        r = cpuid(leaf, 0);
        break;
    case 0x80000008:
        r.eax = cpuid(leaf, 0).eax & 0xffff;
        break;
    }

    vm->regs[RAX] = r.eax;
    vm->regs[RBX] = r.ebx;
    vm->regs[RCX] = r.ecx;
    vm->regs[RDX] = r.edx;
    vm_skip_instruction();
}

/* ---- Model-specific registers ---------------------------------------- */

static bool read_msr(struct vm *vm, u32 msr, u64 *value)
{
    switch (msr) {
    case MSR_TSC:           *value = vm_tsc(vm); return true;
    case MSR_APIC_BASE:     *value = 0xfee00900; return true;   /* enabled, boot processor */
    case MSR_BIOS_SIGN_ID:  *value = 0; return true;
    case MSR_MTRRCAP:       *value = 0; return true;
    case MSR_MISC_ENABLE:   *value = 1; return true;            /* fast strings */
    case MSR_PAT:           *value = vm->pat; return true;
    case MSR_EFER:          *value = vmread(GUEST_EFER); return true;
    case MSR_FEATURE_CONTROL: *value = 1; return true;          /* locked, no VMX */
    }
    return false;
}

/* Each byte of IA32_PAT is a memory type; 2, 3 and 8 and up are reserved. */
static bool pat_is_valid(u64 pat)
{
    for (u32 i = 0; i < 8; i++, pat >>= 8)
        if ((pat & 0xff) > 7 || (pat & 0xff) == 2 || (pat & 0xff) == 3)
            return false;
    return true;
}

static bool write_msr(struct vm *vm, u32 msr, u64 value)
{
    switch (msr) {
    case MSR_APIC_BASE:
        return value == 0xfee00900;     /* it stays where it is */
    case MSR_BIOS_SIGN_ID:
    case MSR_MISC_ENABLE:
        return true;
    case MSR_PAT:
        if (!pat_is_valid(value))
            return false;
        vm->pat = value;
        return true;
    case MSR_EFER: {
        u64 efer = vmread(GUEST_EFER);
        /* LMA is the processor's; LME cannot change while paging is on. */
        if (value & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE))
            return false;
        if ((value ^ efer) & EFER_LME && vmread(GUEST_CR0) & CR0_PG)
            return false;
        vmwrite(GUEST_EFER, (value & ~EFER_LMA) | (efer & EFER_LMA));
        return true;
    }
    }
    return false;
}

void exit_rdmsr(struct vm *vm)
{
    u64 value;

    if (!read_msr(vm, (u32)vm->regs[RCX], &value)) {
        vm_inject_exception(vm, VECTOR_GP, true, 0);
        return;
    }
    vm->regs[RAX] = (u32)value;
    vm->regs[RDX] = value >> 32;
    vm_skip_instruction();
}

void exit_wrmsr(struct vm *vm)
{
    u64 value = (u32)vm->regs[RAX] | vm->regs[RDX] << 32;

    if (write_msr(vm, (u32)vm->regs[RCX], value))
        vm_skip_instruction();
    else
        vm_inject_exception(vm, VECTOR_GP, true, 0);
}

/* ---- Control registers ----------------------------------------------- */

/* Bits of CR4 that stay set whatever the guest writes. VMX needs VMXE; MCE
 * makes a machine check in guest mode exit instead of shutting down. */
u64 processor_forced_cr4(void)
{
    return rdmsr(MSR_VMX_CR4_FIXED0) | (cpuid(1, 0).edx & BIT(7) ? CR4_MCE : 0);
}

/* MOV to CR0 exits only if it changes a bit that the host owns; then the
 * whole write is ours to do, entering and leaving long mode included
 * (SDM Vol. 3A, 10.8.5 and 2.5). */
static bool write_cr0_of(struct vm *vm, u64 value)
{
    u64 old = vmread(GUEST_CR0), efer = vmread(GUEST_EFER), cr4 = vmread(GUEST_CR4);
    bool paging_on = value & CR0_PG && !(old & CR0_PG);

    if (value >> 32)
        return false;
    value &= CR0_DEFINED;   /* writes to the other bits are ignored */
    if ((value & CR0_PG && !(value & CR0_PE)) || (value & CR0_NW && !(value & CR0_CD)))
        return false;
    if (paging_on && efer & EFER_LME) {
        if (!(cr4 & CR4_PAE) || vmread(GUEST_CS_ACCESS) & ACCESS_CODE_LONG)
            return false;
        vmwrite(GUEST_EFER, efer | EFER_LMA);
        vmwrite(ENTRY_CONTROLS, vmread(ENTRY_CONTROLS) | ENTRY_IA32E_GUEST);
    } else if (paging_on && cr4 & CR4_PAE) {
        if (!guest_load_pdptes(vm))
            return false;
    } else if (!(value & CR0_PG) && old & CR0_PG && efer & EFER_LMA) {
        if (vmread(GUEST_CS_ACCESS) & ACCESS_CODE_LONG)
            return false;
        vmwrite(GUEST_EFER, efer & ~EFER_LMA);
        vmwrite(ENTRY_CONTROLS, vmread(ENTRY_CONTROLS) & ~ENTRY_IA32E_GUEST);
    }
    /* Caches stay on: a guest that turned them off would slow the host. */
    vmwrite(GUEST_CR0, (value & ~(CR0_CD | CR0_NW)) | CR0_NE | CR0_ET);
    vmwrite(CR0_READ_SHADOW, value | CR0_ET);
    if ((value ^ old) & (CR0_PG | CR0_WP | CR0_PE))
        vmx_flush(vm);
    return true;
}

static bool write_cr4_of(struct vm *vm, u64 value)
{
    u64 old = vmread(GUEST_CR4);

    if (value & ~cr4_allowed)
        return false;
    if (vmread(GUEST_EFER) & EFER_LMA && !(value & CR4_PAE))
        return false;
    vmwrite(GUEST_CR4, value | processor_forced_cr4());
    vmwrite(CR4_READ_SHADOW, value);
    if (vmread(GUEST_CR0) & CR0_PG && (value ^ old) & (CR4_PAE | CR4_PSE | CR4_PGE | CR4_SMEP | CR4_SMAP)) {
        if (value & CR4_PAE && !(vmread(GUEST_EFER) & EFER_LMA) && !guest_load_pdptes(vm))
            return false;
        vmx_flush(vm);
    }
    return true;
}

enum { ACCESS_TO_CR, ACCESS_FROM_CR, ACCESS_CLTS, ACCESS_LMSW };

/* The exit qualification says which register and how (table 28-3). */
void exit_cr_access(struct vm *vm)
{
    u64 q = vmread(EXIT_QUALIFICATION);
    u32 cr = q & 15, kind = q >> 4 & 3, reg = q >> 8 & 15;
    bool ok = true;

    if (kind == ACCESS_TO_CR) {
        u64 value = vm_reg(vm, reg);
        if (!(vmread(GUEST_CS_ACCESS) & ACCESS_CODE_LONG))
            value = (u32)value;
        switch (cr) {
        case 0: ok = write_cr0_of(vm, value); break;
        case 4: ok = write_cr4_of(vm, value); break;
        case 8:
            ok = value < 16;
            if (ok)
                lapic_write(vm, 0x80, (u32)value << 4);
            break;
        default: ok = false;
        }
    } else if (kind == ACCESS_FROM_CR && cr == 8) {
        vm_set_reg(vm, reg, lapic_read(vm, 0x80) >> 4);
    } else if (kind == ACCESS_LMSW) {
        /* Loads PE, MP, EM, TS; cannot clear PE. */
        u64 old = (vmread(GUEST_CR0) & ~CR0_HOST_OWNED) | (vmread(CR0_READ_SHADOW) & CR0_HOST_OWNED);
        u64 low = q >> 16 & 15;
        ok = write_cr0_of(vm, (old & ~0xeull) | low);
    } else {
        ok = false;     /* CLTS never exits: TS is the guest's own bit */
    }

    if (ok)
        vm_skip_instruction();
    else
        vm_inject_exception(vm, VECTOR_GP, true, 0);
}
