/*
 * IN, OUT, INS and OUTS of a guest. Where there is no device, reads give all
 * ones and writes vanish, as on a PC.
 */
#include "hv.h"

#define UART_BASE   0x3f8

static u32 port_read(struct vm *vm, u32 port)
{
    if (port >= UART_BASE && port < UART_BASE + 8)
        return vuart_read(vm, port - UART_BASE);
    if (port == 0x60 || port == 0x64)
        return keyboard_read(vm, port);
    if (port == 0x61)
        return 0;   /* system control port B: no speaker, no errors */
    return 0xffffffff;
}

static void port_write(struct vm *vm, u32 port, u32 value)
{
    if (port >= UART_BASE && port < UART_BASE + 8)
        vuart_write(vm, port - UART_BASE, (u8)value);
    else if (port == 0x60 || port == 0x64)
        keyboard_write(vm, port, (u8)value);
    else if (port == EXIT_PORT)
        vm_stop(vm, VM_STOP_SHUTDOWN, value);
}

/* RSI, RDI and RCX are used with the address size of the instruction, which
 * VMX reports (table 28-14). */
static u64 advance(u64 old, u64 by, u64 mask)
{
    u64 v = (old & mask) + by;

    return mask == 0xffffffff ? (u32)v : (old & ~mask) | (v & mask);
}

/*
 * One string instruction, REP or not. A long one is done in pieces: as long
 * as RIP stays where it is, the guest comes back with the rest, and
 * interrupts get their chance in between as they would on hardware.
 */
static void string_io(struct vm *vm, u32 port, u32 size, bool in, bool rep)
{
    enum { AT_ONCE = 64 };
    u32 info = (u32)vmread(EXIT_INSTRUCTION_INFO);
    u32 address_size = info >> 7 & 7;
    u64 mask = address_size == 0 ? 0xffff : address_size == 1 ? 0xffffffff : ~0ull;
    u64 linear = vmread(GUEST_LINEAR_ADDRESS);
    u64 step = vmread(GUEST_RFLAGS) & RFLAGS_DF ? -(u64)size : size;
    u64 left = rep ? vm->regs[RCX] & mask : 1, n = MIN(left, AT_ONCE);
    u32 index = in ? RDI : RSI;

    for (u64 i = 0; i < n; i++, linear += step) {
        u64 gpa;
        u32 value = 0;
        void *p = guest_linear_to_physical(vm, linear, &gpa) ? guest_pointer(vm, gpa, size) : NULL;
        if (!p) {
            /* The exit came before the processor looked at the page. */
            write_cr2(linear);
            vm_inject_exception(vm, VECTOR_PF, true, in ? 2 : 0);
            return;
        }
        if (in) {
            value = port_read(vm, port);
            memcpy(p, &value, size);
        } else {
            memcpy(&value, p, size);
            port_write(vm, port, value);
        }
        vm->regs[index] = advance(vm->regs[index], step, mask);
        if (rep)
            vm->regs[RCX] = advance(vm->regs[RCX], ~0ull, mask);
    }
    if (n == left)
        vm_skip_instruction();
}

/* Exit qualification: table 28-5. */
void exit_io(struct vm *vm)
{
    u64 q = vmread(EXIT_QUALIFICATION);
    u32 size = (q & 7) + 1, port = q >> 16 & 0xffff;
    bool in = q & BIT(3);

    if (q & BIT(4)) {
        string_io(vm, port, size, in, q & BIT(5));
        return;
    }
    u64 mask = size == 4 ? 0xffffffff : BIT(8 * size) - 1;
    if (in) {
        u64 value = port_read(vm, port) & mask;
        /* A 32-bit IN clears the upper half of RAX, narrower ones keep the rest. */
        vm->regs[RAX] = size == 4 ? value : (vm->regs[RAX] & ~mask) | value;
    } else {
        port_write(vm, port, (u32)(vm->regs[RAX] & mask));
    }
    vm_skip_instruction();
}
