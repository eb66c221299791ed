/*
 * Boot messages go to the UART, a byte at a time, as on any PC. The
 * workload's output takes the hypervisor's console when there is one.
 */
#include "hypercall.h"
#include "kernel.h"
#include "../lib/format.h"

#define UART               0x3f8
#define UART_DATA          (UART + 0)
#define UART_INTERRUPTS    (UART + 1)
#define UART_FIFO          (UART + 2)
#define UART_LINE_CONTROL  (UART + 3)
#define UART_MODEM_CONTROL (UART + 4)
#define UART_LINE_STATUS   (UART + 5)
#define UART_READY         0x20

/* A UART that never becomes ready must not hang the kernel. */
#define UART_PATIENCE 10000

static bool through_hypervisor;

void console_init(void)
{
	outb(UART_INTERRUPTS, 0);
	outb(UART_LINE_CONTROL, 0x80); /* the divisor shows at ports 0 and 1 */
	outb(UART_DATA, 1);            /* 115200 baud */
	outb(UART_INTERRUPTS, 0);
	outb(UART_LINE_CONTROL, 0x03); /* 8 bits, no parity, one stop bit */
	outb(UART_FIFO, 0x07);
	outb(UART_MODEM_CONTROL, 0x03);
}

static void uart_write(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		for (int n = 0; n < UART_PATIENCE && !(inb(UART_LINE_STATUS) & UART_READY); n++)
			pause();
		outb(UART_DATA, (uint8_t)text[i]);
	}
}

/* From here on console_write is a hypercall; what was typed so far is echoed. */
void console_use_hypervisor(void)
{
	static char typed[64];
	int64_t n = hypercall(HC_CONSOLE_READ, gpa(typed), sizeof typed, 0);

	through_hypervisor = true;
	if (n > 0 && (size_t)n <= sizeof typed)
		console_write(typed, (size_t)n);
}

void console_write(const char *text, size_t length)
{
	if (!through_hypervisor)
		uart_write(text, length);
	else if (hypercall(HC_CONSOLE_WRITE, gpa(text), length, 0) < 0)
		panic("the hypervisor refused console output");
}

void kprint(const char *format, ...)
{
	char line[160];
	va_list args;

	va_start(args, format);
	size_t n = vformat(line, sizeof line, format, args);
	va_end(args);
	uart_write(line, n);
}
