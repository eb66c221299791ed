/*
 * Turning VMX on, and building the VMCS of a VM.
 *
 * A processor says in capability MSRs which control bits it lets software
 * set and which it lets it clear (SDM Vol. 3D, appendix A). Everything used
 * here is asked for first, and what is missing is named.
 */
#include "hv.h"

#define CPUID1_ECX_VMX          BIT(5)
#define FEATURE_CONTROL_LOCK    BIT(0)
#define FEATURE_CONTROL_VMX     BIT(2)
#define BASIC_TRUE_CONTROLS     BIT(55)

#define CR0_EXEMPT      (CR0_PE | CR0_PG)   /* what unrestricted guest frees from FIXED0 */
#define CR4_GUEST_OWNED (CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_PGE \
                         | CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT)

struct vm *current;
struct vmx_features vmx;

static u8 vmxon_region[PAGE_SIZE] ALIGNED(4096) SECTION(".bss.vmcs");
static u8 vmcs_regions[MAX_VMS][PAGE_SIZE] ALIGNED(4096) SECTION(".bss.vmcs");
static u8 io_bitmaps[2][PAGE_SIZE] ALIGNED(4096) SECTION(".bss.vmcs");
static u8 msr_bitmap[PAGE_SIZE] ALIGNED(4096) SECTION(".bss.vmcs");

static u32 revision;
static u64 pin_controls, cpu_controls, cpu_controls2, exit_controls, entry_controls;

/* ---- Capabilities ---------------------------------------------------- */

static const struct { u32 msr; u32 bit; const char *name; } control_names[] = {
    { MSR_VMX_TRUE_PINBASED, 0, "external-interrupt exiting" },
    { MSR_VMX_TRUE_PINBASED, 3, "NMI exiting" },
    { MSR_VMX_TRUE_PROCBASED, 2, "interrupt-window exiting" },
    { MSR_VMX_TRUE_PROCBASED, 3, "TSC offsetting" },
    { MSR_VMX_TRUE_PROCBASED, 7, "HLT exiting" },
    { MSR_VMX_TRUE_PROCBASED, 10, "MWAIT exiting" },
    { MSR_VMX_TRUE_PROCBASED, 11, "RDPMC exiting" },
    { MSR_VMX_TRUE_PROCBASED, 19, "CR8-load exiting" },
    { MSR_VMX_TRUE_PROCBASED, 20, "CR8-store exiting" },
    { MSR_VMX_TRUE_PROCBASED, 25, "I/O bitmaps" },
    { MSR_VMX_TRUE_PROCBASED, 28, "MSR bitmaps" },
    { MSR_VMX_TRUE_PROCBASED, 29, "MONITOR exiting" },
    { MSR_VMX_TRUE_PROCBASED, 31, "secondary controls" },
    { MSR_VMX_PROCBASED_CTLS2, 1, "EPT" },
    { MSR_VMX_PROCBASED_CTLS2, 7, "unrestricted guest" },
    { MSR_VMX_TRUE_EXIT, 2, "save debug controls" },
    { MSR_VMX_TRUE_EXIT, 9, "64-bit host" },
    { MSR_VMX_TRUE_EXIT, 15, "acknowledge interrupt on exit" },
    { MSR_VMX_TRUE_EXIT, 20, "save EFER" },
    { MSR_VMX_TRUE_EXIT, 21, "load EFER on exit" },
    { MSR_VMX_TRUE_ENTRY, 2, "load debug controls" },
    { MSR_VMX_TRUE_ENTRY, 15, "load EFER on entry" },
};

/* Low half of a capability MSR: bits that must be 1; high half: bits that
 * may be 1 (appendix A.2). */
static u64 controls(u32 msr, u64 required, u64 optional)
{
    u64 capability = rdmsr(msr);
    u64 must = (u32)capability, may = capability >> 32;

    for (u32 i = 0; i < COUNT_OF(control_names); i++)
        if (control_names[i].msr == msr && required & ~may & BIT(control_names[i].bit))
            cannot_start("the processor's VMX lacks \"%s\"", control_names[i].name);
    return required | (optional & may) | must;
}

static void check_capabilities(void)
{
    if (!(cpuid(1, 0).ecx & CPUID1_ECX_VMX))
        cannot_start("this processor has no VMX (CPUID.01H:ECX.VMX is 0)");

    /* Firmware may have locked VMX away (SDM Vol. 3C, 24.7). */
    u64 feature = rdmsr(MSR_FEATURE_CONTROL);
    if (!(feature & FEATURE_CONTROL_LOCK))
        wrmsr(MSR_FEATURE_CONTROL, feature | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX);
    else if (!(feature & FEATURE_CONTROL_VMX))
        cannot_start("firmware has locked VMX off (IA32_FEATURE_CONTROL is %llx)", feature);

    u64 basic = rdmsr(MSR_VMX_BASIC);
    if (!(basic & BASIC_TRUE_CONTROLS))
        cannot_start("the processor's VMX lacks the TRUE capability MSRs");
    revision = (u32)basic & 0x7fffffff;

    pin_controls = controls(MSR_VMX_TRUE_PINBASED, PIN_EXTERNAL_INTERRUPT | PIN_NMI, PIN_PREEMPTION_TIMER);
    cpu_controls = controls(MSR_VMX_TRUE_PROCBASED,
                            CPU_INTERRUPT_WINDOW | CPU_TSC_OFFSETTING | CPU_HLT | CPU_MWAIT | CPU_RDPMC
                            | CPU_CR8_LOAD | CPU_CR8_STORE | CPU_IO_BITMAPS | CPU_MSR_BITMAPS
                            | CPU_MONITOR | CPU_SECONDARY, 0);
    cpu_controls &= ~CPU_INTERRUPT_WINDOW;  /* needed, but not yet */
    cpu_controls2 = controls(MSR_VMX_PROCBASED_CTLS2, CPU2_EPT | CPU2_UNRESTRICTED, CPU2_RDTSCP | CPU2_VPID);
    exit_controls = controls(MSR_VMX_TRUE_EXIT, EXIT_SAVE_DEBUG | EXIT_HOST_64 | EXIT_ACK_INTERRUPT
                             | EXIT_SAVE_EFER | EXIT_LOAD_EFER, 0);
    entry_controls = controls(MSR_VMX_TRUE_ENTRY, ENTRY_LOAD_DEBUG | ENTRY_LOAD_EFER, 0);

    u64 ept = rdmsr(MSR_VMX_EPT_VPID_CAP);
    if (~ept & (EPT_CAP_WALK_4 | EPT_CAP_WB | EPT_CAP_2M | EPT_CAP_INVEPT | EPT_CAP_INVEPT_SINGLE))
        cannot_start("the processor's EPT lacks 4 levels, write-back, 2 MiB pages or INVEPT (%llx)", ept);
    if (~ept & (VPID_CAP_INVVPID | VPID_CAP_SINGLE))
        cpu_controls2 &= ~CPU2_VPID;

    vmx.vpid = cpu_controls2 & CPU2_VPID;
    vmx.rdtscp = cpu_controls2 & CPU2_RDTSCP && cpuid(0x80000001, 0).edx & BIT(27);
    vmx.preemption_timer = pin_controls & PIN_PREEMPTION_TIMER;
    vmx.preemption_shift = rdmsr(MSR_VMX_MISC) & 31;
}

static void allow_msr(u32 msr)
{
    /* Reads of 0-1FFFH, of C0000000H-C0001FFFH, then writes (25.6.9). */
    u32 bit = msr & 0x1fff, half = msr >= 0xc0000000 ? 1024 : 0;

    msr_bitmap[half + bit / 8] &= (u8)~BIT(bit % 8);
    msr_bitmap[2048 + half + bit / 8] &= (u8)~BIT(bit % 8);
}

void vmx_init(void)
{
    check_capabilities();

    u64 fixed0 = rdmsr(MSR_VMX_CR0_FIXED0), fixed1 = rdmsr(MSR_VMX_CR0_FIXED1);
    /* The hypervisor itself computes with general registers only. TS makes a
     * floating-point instruction in it what it would be: an unexpected #NM. */
    write_cr0(((read_cr0() | fixed0) & fixed1) | CR0_TS);
    fixed0 = rdmsr(MSR_VMX_CR4_FIXED0), fixed1 = rdmsr(MSR_VMX_CR4_FIXED1);
    write_cr4((read_cr4() | CR4_VMXE | CR4_OSFXSR | CR4_OSXMMEXCPT | fixed0) & fixed1);

    *(u32 *)vmxon_region = revision;
    if (!vmxon((u64)vmxon_region))
        cannot_start("VMXON failed");

    memset(io_bitmaps, 0xff, sizeof(io_bitmaps));
    io_bitmaps[0][0x80 / 8] &= (u8)~BIT(0x80 % 8);  /* the delay port: harmless and frequent */
    memset(msr_bitmap, 0xff, sizeof(msr_bitmap));
    static const u32 direct[] = {
        MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_FS_BASE, MSR_GS_BASE,
        MSR_KERNEL_GS_BASE, MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_FMASK,
    };
    for (u32 i = 0; i < COUNT_OF(direct); i++)
        allow_msr(direct[i]);
    if (vmx.rdtscp)
        allow_msr(MSR_TSC_AUX);

    log_line("VMX on: revision %x%s%s%s", revision, vmx.vpid ? ", VPID" : "",
             vmx.rdtscp ? ", RDTSCP" : "", vmx.preemption_timer ? ", preemption timer" : "");
}

/* ---- The VMCS of a VM ------------------------------------------------ */

/* Host state, and what it must still be whenever we look (28.5). */
struct expected { enum vmcs_field field; u64 value; };

static u32 host_state(const struct vm *vm, struct expected *e)
{
    const struct expected fields[] = {
        { HOST_RIP, (u64)vmexit_entry },
        { HOST_RSP, vm->config.stack_top },
        { HOST_CR0, read_cr0() },
        { HOST_CR3, read_cr3() },
        { HOST_CR4, read_cr4() },
        { HOST_EFER, rdmsr(MSR_EFER) },
        { HOST_CS_SELECTOR, SELECTOR_CODE },
        { HOST_SS_SELECTOR, SELECTOR_DATA },
        { HOST_DS_SELECTOR, SELECTOR_DATA },
        { HOST_ES_SELECTOR, SELECTOR_DATA },
        { HOST_FS_SELECTOR, 0 },
        { HOST_GS_SELECTOR, 0 },
        { HOST_TR_SELECTOR, SELECTOR_TSS },
        { HOST_FS_BASE, 0 },
        { HOST_GS_BASE, 0 },
        { HOST_TR_BASE, traps_tss_base() },
        { HOST_GDTR_BASE, traps_gdt_base() },
        { HOST_IDTR_BASE, traps_idt_base() },
        { HOST_SYSENTER_CS, 0 },
        { HOST_SYSENTER_ESP, 0 },
        { HOST_SYSENTER_EIP, 0 },
    };

    memcpy(e, fields, sizeof(fields));
    return COUNT_OF(fields);
}

static u32 control_state(const struct vm *vm, struct expected *e)
{
    u32 exit_msrs, entry_msrs;
    u64 exit_list = perf_exit_msr_list(&exit_msrs), entry_list = perf_entry_msr_list(&entry_msrs);
    const struct expected fields[] = {
        { PIN_CONTROLS, pin_controls },
        { CPU_CONTROLS2, cpu_controls2 },
        { EXIT_CONTROLS, exit_controls },
        { EXCEPTION_BITMAP, BIT(VECTOR_DB) | BIT(VECTOR_AC) | BIT(VECTOR_MC) },
        { IO_BITMAP_A, (u64)io_bitmaps[0] },
        { IO_BITMAP_B, (u64)io_bitmaps[1] },
        { MSR_BITMAP, (u64)msr_bitmap },
        { EPT_POINTER, ept_pointer(vm) },
        { TSC_OFFSET, vm->config.tsc_offset },
        { CR0_GUEST_HOST_MASK, CR0_HOST_OWNED },
        { CR4_GUEST_HOST_MASK, ~CR4_GUEST_OWNED },
        { VMCS_LINK_POINTER, ~0ull },
        { EXIT_MSR_STORE_COUNT, 0 },
        { EXIT_MSR_LOAD_COUNT, exit_msrs },
        { VM_EXIT_MSR_LOAD_ADDR, exit_list },
        { ENTRY_MSR_LOAD_COUNT, entry_msrs },
        { VM_ENTRY_MSR_LOAD_ADDR, entry_list },
    };

    memcpy(e, fields, sizeof(fields));
    return COUNT_OF(fields);
}

static void write_segment(u32 n, u32 selector, u32 limit, u32 access)
{
    vmwrite(GUEST_ES_SELECTOR + 2 * n, selector);
    vmwrite(GUEST_ES_LIMIT + 2 * n, limit);
    vmwrite(GUEST_ES_ACCESS + 2 * n, access);
    vmwrite(GUEST_ES_BASE + 2 * n, 0);
}

/* Guest state as the multiboot specification wants it (section 3.2):
 * 32-bit protected mode, flat segments, no paging, EAX and EBX set. */
static void write_guest_state(struct vm *vm, u32 entry, u32 info)
{
    for (u32 n = 0; n < 6; n++)             /* ES CS SS DS FS GS */
        write_segment(n, n == 1 ? 0x08 : 0x10, 0xffffffff, n == 1 ? 0xc09b : 0xc093);
    write_segment(6, 0, 0, ACCESS_UNUSABLE);/* LDTR */
    write_segment(7, 0, 0x67, 0x8b);        /* TR must be a busy TSS (27.3.1.2) */
    vmwrite(GUEST_GDTR_LIMIT, 0);
    vmwrite(GUEST_IDTR_LIMIT, 0);
    vmwrite(GUEST_GDTR_BASE, 0);
    vmwrite(GUEST_IDTR_BASE, 0);

    vmwrite(GUEST_CR0, (rdmsr(MSR_VMX_CR0_FIXED0) & ~CR0_EXEMPT) | CR0_PE | CR0_ET);
    vmwrite(CR0_READ_SHADOW, CR0_PE | CR0_ET);
    vmwrite(GUEST_CR3, 0);
    vmwrite(GUEST_CR4, processor_forced_cr4());
    vmwrite(CR4_READ_SHADOW, 0);
    vmwrite(GUEST_EFER, 0);
    vmwrite(GUEST_DR7, 0x400);
    vmwrite(GUEST_DEBUGCTL, 0);
    vmwrite(GUEST_RIP, entry);
    vmwrite(GUEST_RSP, 0);
    vmwrite(GUEST_RFLAGS, RFLAGS_FIXED);
    vmwrite(GUEST_SYSENTER_CS, 0);
    vmwrite(GUEST_SYSENTER_ESP, 0);
    vmwrite(GUEST_SYSENTER_EIP, 0);
    vmwrite(GUEST_ACTIVITY, 0);
    vmwrite(GUEST_INTERRUPTIBILITY, 0);
    vmwrite(GUEST_PENDING_DEBUG, 0);
    vm->regs[RAX] = 0x2badb002;
    vm->regs[RBX] = info;
}

void vmx_create_vmcs(struct vm *vm, u32 entry, u32 info)
{
    struct expected e[32];
    u32 n;

    vm->config.vmcs = (u64)vmcs_regions[vm->config.id];
    vm->config.tsc_offset = -rdtsc();
    *(u32 *)vm->config.vmcs = revision;
    vmclear(vm->config.vmcs);
    vmptrld(vm->config.vmcs);

    n = host_state(vm, e);
    while (n--)
        vmwrite(e[n].field, e[n].value);
    n = control_state(vm, e);
    while (n--)
        vmwrite(e[n].field, e[n].value);
    vmwrite(CPU_CONTROLS, cpu_controls);
    vmwrite(ENTRY_CONTROLS, entry_controls);    /* the processor keeps "IA-32e guest" in it up to date */
    vmwrite(ENTRY_INTERRUPTION_INFO, 0);
    vmwrite(PF_ERROR_CODE_MASK, 0);
    vmwrite(PF_ERROR_CODE_MATCH, 0);
    vmwrite(CR3_TARGET_COUNT, 0);
    if (vmx.vpid)
        vmwrite(VPID, vm->config.id + 1);
    write_guest_state(vm, entry, info);
    vmx_flush(vm);
}

/* Drop what the processor remembers of a guest's address translation. */
void vmx_flush(const struct vm *vm)
{
    invept_single(ept_pointer(vm));
    if (vmx.vpid)
        invvpid_single((u16)(vm->config.id + 1));
}

/* Runtime detector, for the VM whose VMCS is loaded. */
void vmx_check_host_state(const struct vm *vm)
{
    struct expected e[32];
    u32 n;

    if (!detect_runtime)
        return;
    n = host_state(vm, e);
    while (n--)
        CHECK(VMCS_HOST, vmread(e[n].field) == e[n].value);
    n = control_state(vm, e);
    while (n--)
        CHECK(VMCS_CONTROL, vmread(e[n].field) == e[n].value);
    CHECK(VMCS_CONTROL, (vmread(CPU_CONTROLS) & ~CPU_INTERRUPT_WINDOW) == cpu_controls);
}

/* ---- Changing VMs ---------------------------------------------------- */

static void save_lazy_state(struct lazy_state *s)
{
    asm volatile("fxsave64 %0" : "=m"(s->fxsave));
    s->star = rdmsr(MSR_STAR);
    s->lstar = rdmsr(MSR_LSTAR);
    s->cstar = rdmsr(MSR_CSTAR);
    s->fmask = rdmsr(MSR_FMASK);
    s->kernel_gs_base = rdmsr(MSR_KERNEL_GS_BASE);
    if (vmx.rdtscp)
        s->tsc_aux = rdmsr(MSR_TSC_AUX);
    s->dr0 = read_dr0();
    s->dr1 = read_dr1();
    s->dr2 = read_dr2();
    s->dr3 = read_dr3();
    s->dr6 = read_dr6();
    s->cr2 = read_cr2();
}

static void load_lazy_state(const struct lazy_state *s)
{
    asm volatile("fxrstor64 %0" : : "m"(s->fxsave));
    wrmsr(MSR_STAR, s->star);
    wrmsr(MSR_LSTAR, s->lstar);
    wrmsr(MSR_CSTAR, s->cstar);
    wrmsr(MSR_FMASK, s->fmask);
    wrmsr(MSR_KERNEL_GS_BASE, s->kernel_gs_base);
    if (vmx.rdtscp)
        wrmsr(MSR_TSC_AUX, s->tsc_aux);
    write_dr0(s->dr0);
    write_dr1(s->dr1);
    write_dr2(s->dr2);
    write_dr3(s->dr3);
    write_dr6(s->dr6);
    write_cr2(s->cr2);
}

void vmx_switch_to(struct vm *vm)
{
    asm volatile("clts" : : : "memory");
    if (current)
        save_lazy_state(&current->lazy);
    load_lazy_state(&vm->lazy);
    write_cr0(read_cr0() | CR0_TS);
    vmptrld(vm->config.vmcs);
    current = vm;
    vm->switches++;
}

void vmx_instruction_failed(const char *what, u64 operand)
{
    u64 error = 0;

    /* Not by vmread(): it would call back here. */
    asm volatile("vmread %1, %0" : "+r"(error) : "r"((u64)VM_INSTRUCTION_ERROR) : "cc");
    detect_vmx(what, (u32)error, operand);
}
