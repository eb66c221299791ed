/* Formatted output to the console: %s %c %d %u %x %p, with l or ll, width
 * and leading zeros. Nothing else is needed here. */
#include "hv.h"

static void put_number(u64 value, u32 base, u32 width, char pad)
{
    char digits[20];
    u32 n = 0;

    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value && n < sizeof(digits));
    for (; width > n; width--)
        uart_putc(pad);
    while (n)
        uart_putc(digits[--n]);
}

void print_args(const char *f, va_list args)
{
    for (; *f; f++) {
        if (*f != '%') {
            uart_putc(*f);
            continue;
        }
        char pad = ' ';
        u32 width = 0;
        bool wide = false;

        f++;
        if (*f == '0')
            pad = *f++;
        for (; *f >= '0' && *f <= '9'; f++)
            width = width * 10 + (u32)(*f - '0');
        for (; *f == 'l'; f++)
            wide = true;

        switch (*f) {
        case 's': {
            const char *s = va_arg(args, const char *);
            u32 n = 0;
            for (; s[n]; n++)
                uart_putc(s[n]);
            for (; n < width; n++)
                uart_putc(' ');
            break;
        }
        case 'c':
            uart_putc((char)va_arg(args, int));
            break;
        case 'd': {
            s64 v = wide ? va_arg(args, s64) : va_arg(args, s32);
            if (v < 0)
                uart_putc('-');
            put_number(v < 0 ? -(u64)v : (u64)v, 10, width, pad);
            break;
        }
        case 'u':
            put_number(wide ? va_arg(args, u64) : va_arg(args, u32), 10, width, pad);
            break;
        case 'x':
            put_number(wide ? va_arg(args, u64) : va_arg(args, u32), 16, width, pad);
            break;
        case 'p':
            put_number((u64)va_arg(args, void *), 16, 16, '0');
            break;
        default:
            uart_putc(*f);
            if (!*f)
                return;
        }
    }
}

void print(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_args(format, args);
    va_end(args);
}

void log_line(const char *format, ...)
{
    va_list args;

    print("[hv] ");
    va_start(args, format);
    print_args(format, args);
    va_end(args);
    uart_putc('\n');
}
