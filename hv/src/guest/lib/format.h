#ifndef LIB_FORMAT_H
#define LIB_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

/*
 * A small vsnprintf: %c %s %d %u %x %%, with `l` for 64 bits and a width,
 * zero-padded or not. Returns the length written, which is always less
 * than size; what does not fit is cut off.
 */
size_t vformat(char *out, size_t size, const char *format, va_list args);

#endif
