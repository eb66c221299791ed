/*
 * A guest's 16550 UART and keyboard controller. Output goes to the console
 * at once; input is what the user types, and arrives at both devices.
 */
#include "hv.h"

#define UART_VECTOR     0x24    /* IRQ 4, by the same rule as HV_KEYBOARD_VECTOR */

bool fifo_put(struct fifo *f, u8 byte)
{
    CHECK(FIFO, f->head < sizeof(f->bytes) && f->count <= sizeof(f->bytes));
    if (f->count == sizeof(f->bytes))
        return false;
    f->bytes[(f->head + f->count++) % sizeof(f->bytes)] = byte;
    return true;
}

int fifo_get(struct fifo *f)
{
    CHECK(FIFO, f->head < sizeof(f->bytes) && f->count <= sizeof(f->bytes));
    if (!f->count)
        return -1;
    u8 byte = f->bytes[f->head % sizeof(f->bytes)];
    f->head = (f->head + 1) % sizeof(f->bytes);
    f->count--;
    return byte;
}

/* ---- UART: offsets 0 to 7 -------------------------------------------- */

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR };

#define LCR_DIVISOR     0x80

u8 vuart_read(struct vm *vm, u32 offset)
{
    struct vuart *u = &vm->uart;

    switch (offset) {
    case DATA: {
        if (u->lcr & LCR_DIVISOR)
            return u->dll;
        int c = fifo_get(&u->rx);
        return c < 0 ? 0 : (u8)c;
    }
    case IER:   return u->lcr & LCR_DIVISOR ? u->dlm : u->ier;
    case IIR:   return u->ier & 1 && u->rx.count ? 0xc4 : 0xc1;
    case LCR:   return u->lcr;
    case MCR:   return u->mcr;
    case LSR:   return 0x60 | (u->rx.count ? 1 : 0);    /* can always send */
    case MSR:   return 0xb0;
    default:    return u->scr;
    }
}

void vuart_write(struct vm *vm, u32 offset, u8 value)
{
    struct vuart *u = &vm->uart;

    switch (offset) {
    case DATA:
        if (u->lcr & LCR_DIVISOR)
            u->dll = value;
        else if (!(u->mcr & 0x10))  /* loop-back mode sends nothing */
            console_putc(vm, value);
        break;
    case IER:
        if (u->lcr & LCR_DIVISOR)
            u->dlm = value;
        else
            u->ier = value & 0xf;
        break;
    case LCR:   u->lcr = value; break;
    case MCR:   u->mcr = value & 0x1f; break;
    case SCR:   u->scr = value; break;
    }
}

/* ---- Keyboard controller: ports 60H and 64H --------------------------- */

u8 keyboard_read(struct vm *vm, u32 port)
{
    struct fifo *f = &vm->keyboard.scancodes;

    if (port == 0x64)
        return f->count ? 0x15 : 0x14;  /* output buffer full; system flag, not inhibited */
    int c = fifo_get(f);
    if (f->count)
        lapic_raise(vm, HV_KEYBOARD_VECTOR);
    return c < 0 ? 0 : (u8)c;
}

/* Commands that guests commonly send at start-up get the answer that lets
 * them go on; pulsing the reset line is a shutdown. */
void keyboard_write(struct vm *vm, u32 port, u8 value)
{
    struct fifo *f = &vm->keyboard.scancodes;

    if (port == 0x60)
        fifo_put(f, 0xfa);              /* the keyboard acknowledges everything */
    else if (value == 0xaa)
        fifo_put(f, 0x55);              /* self-test passed */
    else if (value == 0x20)
        fifo_put(f, 0x61);              /* configuration byte */
    else if (value == 0xfe)
        vm_stop(vm, VM_STOP_SHUTDOWN, 0);
}

/* Scancode set 1, for what a terminal usually sends. */
static const char keys[] =
    "\0\0331234567890-=\b\tqwertyuiop[]\n\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";

static u8 scancode(u8 c)
{
    if (c >= 'A' && c <= 'Z')
        c = (u8)(c - 'A' + 'a');
    if (c == '\r')
        c = '\n';
    for (u32 i = 1; c && i < sizeof(keys) - 1; i++)
        if ((u8)keys[i] == c)
            return (u8)i;
    return 0;
}

void vuart_input(struct vm *vm, u8 c)
{
    u8 code = scancode(c);

    if (vm->state == VM_STOPPED)
        return;
    if (fifo_put(&vm->uart.rx, c) && vm->uart.ier & 1)
        lapic_raise(vm, UART_VECTOR);
    if (code) {
        fifo_put(&vm->keyboard.scancodes, code);
        fifo_put(&vm->keyboard.scancodes, code | 0x80);     /* and released */
        lapic_raise(vm, HV_KEYBOARD_VECTOR);
    }
}
