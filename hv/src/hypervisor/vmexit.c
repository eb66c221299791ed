/*
 * What happens between a VM exit and the next VM entry.
 */
#include "hv.h"

_Static_assert(offsetof(struct vm, regs) == 0, "vmexit.S stores registers here");
_Static_assert(offsetof(struct vm, launched) == 16 * 8, "LAUNCHED in vmexit.S");

static u64 last_reason;

/* ---- The smaller exits ----------------------------------------------- */

static void kill(struct vm *vm)
{
    u64 reason = last_reason & REASON_BASIC;

    console_flush(vm);
    log_line("vm%u: cannot handle exit reason %llu at rip %llx, qualification %llx",
             vm->config.id, reason, vmread(GUEST_RIP), vmread(EXIT_QUALIFICATION));
    vm_stop(vm, VM_STOP_KILLED, reason);
}

/* The host's timer ticked while the guest ran. The vector comes with the
 * exit, because of "acknowledge interrupt on exit" (25.7.1). */
static void exit_external_interrupt(struct vm *vm)
{
    u32 info = (u32)vmread(EXIT_INTERRUPTION_INFO);

    (void)vm;
    timer_interrupt(info & INTR_VECTOR);
}

/*
 * Exceptions of the guest that were asked for with the exception bitmap. #DB
 * and #AC only pass through here: a guest can arrange for either to recur
 * while it is being delivered, and without an exit the processor would never
 * leave that loop. A machine check concerns the host, whoever was running.
 */
static void exit_exception(struct vm *vm)
{
    u32 info = (u32)vmread(EXIT_INTERRUPTION_INFO);
    u32 vector = info & INTR_VECTOR;

    if ((info & INTR_TYPE) == INTR_TYPE_NMI || vector == VECTOR_MC) {
        struct trap_frame frame = { .vector = vector, .rip = vmread(GUEST_RIP) };
        detect_exception(&frame, 0);
    }
    CHECK(EXCEPTION_EXIT, vector == VECTOR_DB || vector == VECTOR_AC);
    if (vector == VECTOR_DB) {
        /* The exit qualification holds what DR6 should say (table 28-1). */
        u64 dr6 = (read_dr6() & ~0xfull) | (vmread(EXIT_QUALIFICATION) & 0x600f);
        write_dr6(dr6);
    }
    vm_inject_exception(vm, vector, info & INTR_HAS_ERROR_CODE, (u32)vmread(EXIT_INTERRUPTION_ERROR));
}

static void exit_triple_fault(struct vm *vm)
{
    log_line("vm%u: triple fault at rip %llx", vm->config.id, vmread(GUEST_RIP));
    vm_stop(vm, VM_STOP_TRIPLE, 0);
}

/* The guest can take an interrupt now; the entry path will see to it. */
static void exit_interrupt_window(struct vm *vm)
{
    (void)vm;
}

static void exit_hlt(struct vm *vm)
{
    vm_skip_instruction();
    if (!(vmread(GUEST_RFLAGS) & RFLAGS_IF)) {
        /* Nothing can ever wake it: no NMIs are given to guests. */
        log_line("vm%u: halted with interrupts off", vm->config.id);
        vm_stop(vm, VM_STOP_KILLED, REASON_HLT);
        return;
    }
    lapic_timer_poll(vm);
    if (lapic_pending(vm) < 0)
        sched_block(vm);
}

/* INVD would drop other VMs' modified lines too; nothing is lost by not
 * doing it. */
static void exit_invd(struct vm *vm)
{
    (void)vm;
    vm_skip_instruction();
}

static void exit_undefined(struct vm *vm)
{
    vm_inject_exception(vm, VECTOR_UD, false, 0);
}

static void exit_rdpmc(struct vm *vm)
{
    vm_inject_exception(vm, VECTOR_GP, true, 0); /* CPUID says: no counters */
}

/* Either the guest's timer is due, or the host's is dead. */
static void exit_preemption_timer(struct vm *vm)
{
    (void)vm;
    timer_watch();
}

static void exit_ept_misconfiguration(struct vm *vm)
{
    CHECK(EPT_MISCONFIGURED, false);
    kill(vm);
}

static void (*const handlers[EXIT_REASONS])(struct vm *vm) = {
    [REASON_EXCEPTION_NMI]          = exit_exception,
    [REASON_EXTERNAL_INTERRUPT]     = exit_external_interrupt,
    [REASON_TRIPLE_FAULT]           = exit_triple_fault,
    [REASON_INTERRUPT_WINDOW]       = exit_interrupt_window,
    [REASON_CPUID]                  = exit_cpuid,
    [REASON_GETSEC]                 = exit_undefined,
    [REASON_HLT]                    = exit_hlt,
    [REASON_INVD]                   = exit_invd,
    [REASON_RDPMC]                  = exit_rdpmc,
    [REASON_VMCALL]                 = exit_hypercall,
    [REASON_VMCLEAR ... REASON_VMXON] = exit_undefined,
    [REASON_CR_ACCESS]              = exit_cr_access,
    [REASON_IO]                     = exit_io,
    [REASON_RDMSR]                  = exit_rdmsr,
    [REASON_WRMSR]                  = exit_wrmsr,
    [REASON_MWAIT]                  = exit_undefined,
    [REASON_MONITOR]                = exit_undefined,
    [REASON_EPT_VIOLATION]          = exit_ept_violation,
    [REASON_EPT_MISCONFIGURATION]   = exit_ept_misconfiguration,
    [REASON_INVEPT]                 = exit_undefined,
    [REASON_PREEMPTION_TIMER]       = exit_preemption_timer,
    [REASON_INVVPID]                = exit_undefined,
    [REASON_XSETBV]                 = exit_undefined, /* CPUID says: no XSAVE */
};

/* ---- In ---------------------------------------------------------------- */

/* What holds for the VM that has exited, and for the one that is entered. */
static void check_vm(const struct vm *vm)
{
    u64 index = (u64)(vm - vms);

    CHECK(VM_COUNT, vm_count >= 1 && vm_count <= MAX_VMS);
    CHECK(VM_POINTER, index < vm_count && vm == &vms[index]);
    CHECK(VM_CURRENT, vm == current);
    CHECK(VM_MAGIC, vm->magic == VM_MAGIC);
    CHECK(VM_STATE, vm->state == VM_RUNNING);
    CHECK(VM_SEAL, vm->seal == vm_seal(vm) && vm->config.id == index);
}

static void check_exit(const struct vm *vm)
{
    if (!detect_runtime)
        return;
    check_vm(vm);
    u64 rsp = read_rsp();
    CHECK(STACK_POINTER, rsp < vm->config.stack_top && rsp > vm->config.stack_top - STACK_SIZE / 2);
    CHECK(STACK_CANARY, *(const u64 *)(vm->config.stack_top + 8) == STACK_CANARY
          && *(const u64 *)(vm->config.stack_top + 16 - STACK_SIZE) == STACK_CANARY);
}

/*
 * An exit can happen while the processor was delivering an event to the
 * guest, for instance when pushing onto a stack in a page that EPT does not
 * map. That event has not happened yet: keep it for the next entry (28.2.4).
 */
static void keep_interrupted_event(struct vm *vm)
{
    u32 info = (u32)vmread(IDT_VECTORING_INFO);

    vm->event = 0;
    if (!(info & INTR_VALID))
        return;
    vm->event = info & ~(u32)BIT(12); /* defined for entry, undefined here */
    vm->event_error = info & INTR_HAS_ERROR_CODE ? (u32)vmread(IDT_VECTORING_ERROR) : 0;
    vm->event_length = (u32)vmread(EXIT_INSTRUCTION_LENGTH);
}

/* Called by vmexit.S. */
struct vm *vmexit_handler(struct vm *vm)
{
    u64 reason = vmread(EXIT_REASON);
    u32 basic = reason & REASON_BASIC;

    last_reason = reason;
    perf_begin((u32)basic);
    check_exit(vm);
    vm->launched = 1;
    vm->exits++;

    if (unlikely(reason & REASON_ENTRY_FAILURE)) {
        /* The state that we loaded was refused (27.8). */
        detect_vmx("VM entry", basic, vmread(EXIT_QUALIFICATION));
        kill(vm);
        return vmexit_next_entry();
    }
    CHECK(EXIT_REASON, basic < EXIT_REASONS);
    if (likely(basic < EXIT_REASONS))
        vm->exits_by_reason[basic]++;

    keep_interrupted_event(vm);
    if (likely(basic < EXIT_REASONS && handlers[basic]))
        handlers[basic](vm);
    else
        kill(vm);
    return vmexit_next_entry();
}

/* Called by vmexit.S when VMLAUNCH or VMRESUME itself did not succeed. */
struct vm *vmentry_failed(void)
{
    detect_vmx("VMLAUNCH or VMRESUME", (u32)vmread(VM_INSTRUCTION_ERROR), current->launched);
    vm_stop(current, VM_STOP_KILLED, 0);
    return vmexit_next_entry();
}

/* ---- Out ------------------------------------------------------------- */

static void request_interrupt_window(bool on)
{
    u64 controls = vmread(CPU_CONTROLS);
    u64 wanted = on ? controls | CPU_INTERRUPT_WINDOW : controls & ~CPU_INTERRUPT_WINDOW;

    if (wanted != controls)
        vmwrite(CPU_CONTROLS, wanted);
}

/* One event fits into an entry: first what was interrupted or raised by the
 * exit, then interrupts if the guest can take one. */
static void deliver_event(struct vm *vm)
{
    int vector = lapic_pending(vm);

    if (!(vm->event & INTR_VALID) && vector >= 0
        && vmread(GUEST_RFLAGS) & RFLAGS_IF
        && !(vmread(GUEST_INTERRUPTIBILITY) & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS))) {
        lapic_accept(vm, (u32)vector);
        vm->event = (u32)vector | INTR_TYPE_EXTERNAL | (u32)INTR_VALID;
        vector = lapic_pending(vm);
    }
    request_interrupt_window(vector >= 0);

    if (vm->event & INTR_VALID) {
        CHECK(EVENT_INFO, !(vm->event & 0x7ffff000) && (vm->event & INTR_TYPE) != (1u << 8));
        vmwrite(ENTRY_INTERRUPTION_INFO, vm->event);
        if (vm->event & INTR_HAS_ERROR_CODE)
            vmwrite(ENTRY_EXCEPTION_ERROR_CODE, vm->event_error);
        if ((vm->event & INTR_TYPE) >= INTR_TYPE_SOFTWARE)
            vmwrite(ENTRY_INSTRUCTION_LENGTH, vm->event_length);
        vm->event = 0;
    }
}

/*
 * The preemption timer (26.5.1) bounds the time until the next exit: to the
 * guest's own timer, and to a few ticks so that the loss of the host's timer
 * cannot leave the guest running for good.
 */
static void arm_preemption_timer(const struct vm *vm)
{
    if (!vmx.preemption_timer)
        return;
    u64 limit = 8 * tsc_per_tick;
    if (vm->lapic.timer_deadline) {
        s64 left = (s64)(vm->lapic.timer_deadline - vm_tsc(vm));
        limit = left <= 0 ? 0 : MIN((u64)left, limit);
    }
    limit = (limit >> vmx.preemption_shift) + 1;
    vmwrite(PREEMPTION_TIMER_VALUE, MIN(limit, 0xffffffff));
}

/* A wrong RIP or RSP here would only show at the next exit, when it is too
 * late for anything. The rest of the host state is looked at with each tick. */
static void check_entry(const struct vm *vm)
{
    if (!detect_runtime)
        return;
    check_vm(vm);
    CHECK(VMCS_HOST, vmread(HOST_RIP) == (u64)vmexit_entry && vmread(HOST_RSP) == vm->config.stack_top);
}

struct vm *vmexit_next_entry(void)
{
    struct vm *vm = sched_next();

    if (vm != current)
        vmx_switch_to(vm);
    lapic_timer_poll(vm);
    deliver_event(vm);
    arm_preemption_timer(vm);
    if (!vm->exits && !vm->launched)
        probe_phase(PHASE_VM_START, vm->config.id);
    check_entry(vm);
    perf_judge();
    return vm;
}
