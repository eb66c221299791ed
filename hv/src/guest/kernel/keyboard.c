/* The keyboard: scan codes of set 1 in, the characters they mean echoed. */
#include "kernel.h"

#define KEYBOARD_DATA   0x60
#define KEYBOARD_STATUS 0x64
#define OUTPUT_FULL     0x01
#define KEY_RELEASED    0x80

static const char meaning[0x3a] =
	"\0\033" "1234567890-=\b"
	"\tqwertyuiop[]\n"
	"\0" "asdfghjkl;'`"
	"\0" "\\zxcvbnm,./\0*\0 ";

/* The latest keys, for whoever looks with a debugger. */
static char collected[64];
static unsigned collected_count;

void keyboard_interrupt(void)
{
	if (inb(KEYBOARD_STATUS) & OUTPUT_FULL) {
		uint8_t code = inb(KEYBOARD_DATA);
		char c = code < sizeof meaning ? meaning[code] : '\0';

		if (!(code & KEY_RELEASED) && c) {
			collected[collected_count++ % sizeof collected] = c;
			console_write(&c, 1);
		}
	}

	/* On a PC this line comes through the 8259, under the hypervisor from the APIC. */
	if (hypervisor_present)
		end_of_interrupt();
	else
		pic_end_of_interrupt();
}
