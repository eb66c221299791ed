/*
 * The optional wire to a test bench: three I/O ports (see abi.h). On a
 * machine without it, reading PROBE_ID gives all ones and reports vanish.
 */
#include "hv.h"

static bool present;

void probe_init(void)
{
    present = inl(PROBE_ID) == PROBE_MAGIC;
}

void probe_report(u32 kind, const u32 *words, u32 count)
{
    if (!present)
        return;
    for (u32 i = 0; i < count; i++)
        outl(PROBE_DATA, words[i]);
    outl(PROBE_COMMIT, kind);
}

void probe_phase(u32 phase, u32 argument)
{
    const u32 words[] = { phase, argument };

    probe_report(PROBE_PHASE, words, COUNT_OF(words));
}

/* The end. A bench that has the exit port stops here with this status;
 * anything else finds a processor that sleeps for good. */
void NORETURN finish(u32 status)
{
    outl(EXIT_PORT, status);
    halt_forever();
}

void NORETURN cannot_start(const char *format, ...)
{
    va_list args;

    print("[hv] cannot start: ");
    va_start(args, format);
    print_args(format, args);
    va_end(args);
    uart_putc('\n');
    finish(EXIT_CANNOT_START);
}
