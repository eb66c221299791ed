#include "format.h"
#include <stdint.h>

struct sink {
	char *out;
	size_t length, room;
};

static void put(struct sink *s, char c)
{
	if (s->length < s->room)
		s->out[s->length++] = c;
}

static void put_number(struct sink *s, uint64_t value, unsigned base, int negative,
		       unsigned width, char pad)
{
	char digits[20];
	unsigned n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);

	unsigned used = n + negative;

	if (negative && pad == '0')
		put(s, '-');
	for (; used < width; used++)
		put(s, pad);
	if (negative && pad != '0')
		put(s, '-');
	while (n)
		put(s, digits[--n]);
}

size_t vformat(char *out, size_t size, const char *format, va_list args)
{
	struct sink s = { out, 0, size - 1 };

	for (; *format; format++) {
		if (*format != '%') {
			put(&s, *format);
			continue;
		}

		char pad = ' ';
		unsigned width = 0;
		int is_long = 0;

		if (*++format == '0')
			pad = '0';
		for (; *format >= '0' && *format <= '9'; format++)
			width = width * 10 + (*format - '0');
		for (; *format == 'l'; format++)
			is_long = 1;

		switch (*format) {
		case 'c':
			put(&s, (char)va_arg(args, int));
			break;
		case 's': {
			const char *text = va_arg(args, const char *);
			unsigned n = 0;

			for (; text[n]; n++)
				put(&s, text[n]);
			for (; n < width; n++)
				put(&s, ' ');
			break;
		}
		case 'd': {
			int64_t v = is_long ? va_arg(args, long) : va_arg(args, int);

			put_number(&s, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, v < 0, width, pad);
			break;
		}
		case 'u':
		case 'x': {
			uint64_t v = is_long ? va_arg(args, unsigned long) : va_arg(args, unsigned);

			put_number(&s, v, *format == 'x' ? 16 : 10, 0, width, pad);
			break;
		}
		case '\0':
			format--; /* a lone % at the end: let the loop see the terminator */
			break;
		default:
			put(&s, *format);
		}
	}
	s.out[s.length] = '\0';
	return s.length;
}
