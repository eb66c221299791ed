/* Gives back what comes in over the serial port, in capitals, and halts in
 * between. A "q" ends it. */
#include "test.h"

const char kernel_name[] = "echo32";

static void on_serial(struct frame *f)
{
    (void)f;
    while (inb(0x3fd) & 1) {
        u8 c = inb(0x3f8);
        if (c == 'q') {
            print("\n");
            finish();
        }
        print("%c", c >= 'a' && c <= 'z' ? c - 32 : c);
    }
    outb(0x20, 0x20);
}

int main(void);
int main(void)
{
    outb(0x20, 0x11), outb(0x21, 0x20), outb(0x21, 4), outb(0x21, 1);
    outb(0x21, 0xef);
    handlers[0x24] = on_serial;
    outb(0x3f8 + 4, 0x0b);
    outb(0x3f8 + 1, 1);
    print("echo\n");
    for (;;)
        asm volatile("sti; hlt");
}
