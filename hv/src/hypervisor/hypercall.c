/*
 * VMCALL: what a guest that knows about us can ask for. Numbers, arguments
 * and results are in abi.h. Nothing here trusts an argument.
 */
#include "hv.h"

#define CONSOLE_MAX 4096

static s64 console_write(struct vm *vm, u64 gpa, u64 length)
{
    u8 chunk[64];

    length = MIN(length, CONSOLE_MAX);
    for (u64 done = 0; done < length; ) {
        u64 n = MIN(length - done, sizeof(chunk));
        if (!guest_read(vm, gpa + done, chunk, n))
            return HV_EFAULT;
        for (u64 i = 0; i < n; i++)
            console_putc(vm, chunk[i]);
        done += n;
    }
    return (s64)length;
}

static s64 console_read(struct vm *vm, u64 gpa, u64 length)
{
    s64 n = 0;

    while ((u64)n < length && vm->uart.rx.count) {
        u8 *to = guest_pointer(vm, gpa + (u64)n, 1);
        if (!to)
            return HV_EFAULT;
        *to = (u8)fifo_get(&vm->uart.rx);
        n++;
    }
    return n;
}

static s64 report(struct vm *vm, u64 kind, u64 value)
{
    u32 id = vm->config.id;

    if (kind < REPORT_STARTED || kind > REPORT_PANIC)
        return HV_EINVAL;
    console_flush(vm);
    probe_report(PROBE_OUTPUT, (u32[]){ id, (u32)kind, (u32)value, (u32)(value >> 32) }, 4);
    switch (kind) {
    case REPORT_STARTED:
        log_line("vm%u: workload %llu started", id, value);
        break;
    case REPORT_DIGEST:
        vm->digest = value;
        log_line("vm%u: digest %016llx", id, value);
        break;
    case REPORT_PANIC:
        log_line("vm%u: panic %llu", id, value);
        vm_stop(vm, VM_STOP_PANIC, value);
        break;
    }
    return 0;
}

void exit_hypercall(struct vm *vm)
{
    u64 a = vm->regs[RDI], b = vm->regs[RSI], c = vm->regs[RDX], number = vm->regs[RAX];
    s64 result;

    if (vmread(GUEST_CS_ACCESS) >> 5 & 3) {     /* not from user mode */
        vm_inject_exception(vm, VECTOR_UD, false, 0);
        return;
    }
    if (!(vmread(GUEST_CS_ACCESS) & ACCESS_CODE_LONG)) {
        /* The upper halves are undefined outside 64-bit mode. */
        number = (u32)number, a = (u32)a, b = (u32)b, c = (u32)c;
    }
    vm_skip_instruction();  /* first: some calls end the VM */

    switch (number) {
    case HC_CONSOLE_WRITE:  result = console_write(vm, a, b); break;
    case HC_CONSOLE_READ:   result = console_read(vm, a, b); break;
    case HC_BLOCK_READ:     result = block_transfer(vm, a, b, c, false); break;
    case HC_BLOCK_WRITE:    result = block_transfer(vm, a, b, c, true); break;
    case HC_BLOCK_SIZE:     result = (s64)vm->config.disk_sectors; break;
    case HC_EVENT_BIND:     result = event_bind(vm, a, b); break;
    case HC_EVENT_SEND:     result = event_send(vm, a, b); break;
    case HC_EVENT_PENDING:  result = event_pending(vm); break;
    case HC_SHARE_PAGE:     result = share_page(vm, a, b); break;
    case HC_MAP_SHARED:     result = map_shared(vm, a, b, c); break;
    case HC_YIELD:          result = 0; sched_yield(); break;
    case HC_SHUTDOWN:       result = 0; vm_stop(vm, VM_STOP_SHUTDOWN, a); break;
    case HC_REPORT:         result = report(vm, a, b); break;
    default:                result = HV_ENOSYS;
    }
    vm->regs[RAX] = (u64)result;
}
