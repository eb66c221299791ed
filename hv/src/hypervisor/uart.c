/*
 * The host's serial console: a 16550 at 0x3f8, polled. Lines of a VM are
 * collected and printed whole, with the VM's name before them; what is typed
 * goes to one VM, chosen with Ctrl-A and its number.
 */
#include "hv.h"

#define UART        0x3f8
#define UART_IER    (UART + 1)
#define UART_FCR    (UART + 2)
#define UART_LCR    (UART + 3)
#define UART_MCR    (UART + 4)
#define UART_LSR    (UART + 5)
#define LSR_DATA_READY  BIT(0)
#define LSR_THR_EMPTY   BIT(5)

#define CTRL_A      1

static u32 focus;       /* the VM that gets what is typed */
static bool escape;     /* Ctrl-A was typed: a VM's number follows */

void uart_init(void)
{
    outb(UART_IER, 0);
    outb(UART_LCR, 0x80);       /* divisor latch: 115,200 baud */
    outb(UART, 1);
    outb(UART_IER, 0);
    outb(UART_LCR, 0x03);       /* 8 bits, no parity, 1 stop bit */
    outb(UART_FCR, 0x07);       /* FIFOs on and empty */
    outb(UART_MCR, 0x03);
}

static void send(u8 c)
{
    /* Bounded, so that a missing or broken UART costs output, not the host. */
    for (u32 spins = 0; spins < 100000 && !(inb(UART_LSR) & LSR_THR_EMPTY); spins++)
        ;
    outb(UART, c);
}

void uart_putc(char c)
{
    if (c == '\n')
        send('\r');
    send((u8)c);
}

void console_flush(struct vm *vm)
{
    if (!vm->line_length)
        return;
    CHECK(CONSOLE_LINE, vm->line_length <= sizeof(vm->line));
    print("[vm%u] ", vm->config.id);
    for (u32 i = 0; i < vm->line_length; i++)
        uart_putc(vm->line[i]);
    uart_putc('\n');
    vm->line_length = 0;
}

void console_putc(struct vm *vm, u8 c)
{
    CHECK(CONSOLE_LINE, vm->line_length < sizeof(vm->line));
    if (c == '\r')
        return;
    if (c == '\n') {
        if (!vm->line_length)
            vm->line[vm->line_length++] = ' '; /* an empty line is a line too */
        console_flush(vm);
        return;
    }
    /* A guest must not be able to send control sequences to the terminal. */
    vm->line[vm->line_length++] = (char)(c >= ' ' || c == '\t' ? c : '.');
    if (vm->line_length == sizeof(vm->line))
        console_flush(vm);
}

/* Called at every scheduler tick. */
void console_poll(void)
{
    for (u32 n = 0; n < 16; n++) {
        u8 status = inb(UART_LSR);
        if (status == 0xff || !(status & LSR_DATA_READY))
            return; /* all ones: there is no UART */
        u8 c = inb(UART);

        if (escape) {
            escape = false;
            if (c >= '0' && c < '0' + vm_count)
                focus = (u32)(c - '0');
            log_line("console: typing to vm%u", focus);
        } else if (c == CTRL_A) {
            escape = true;
        } else if (focus < vm_count) {
            vuart_input(&vms[focus], c);
        }
    }
}
