/*
 * Built twice, for the kernel and for ring 3: neither may execute the
 * other's pages. The host build uses the C library instead.
 *
 * String instructions keep the code small and give whoever runs it long
 * REP sequences that interrupts and page faults must be able to split.
 */
#include "string.h"
#include <stdint.h>

void *memcpy(void *to, const void *from, size_t n)
{
	void *d = to;
	size_t words = n / 8, bytes = n % 8;

	__asm__ volatile("rep movsq" : "+D"(d), "+S"(from), "+c"(words) : : "memory");
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(bytes) : : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	/* As unsigned numbers this is also large when `to` is below `from`. */
	if ((uintptr_t)to - (uintptr_t)from >= n)
		return memcpy(to, from, n);

	char *d = (char *)to + n - 1;
	const char *s = (const char *)from + n - 1;

	/* The ABI promises a clear direction flag; it is back before return. */
	__asm__ volatile("std; rep movsb; cld" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
	return to;
}

void *memset(void *to, int byte, size_t n)
{
	void *d = to;
	uint64_t pattern = (uint8_t)byte * 0x0101010101010101ull;
	size_t words = n / 8, bytes = n % 8;

	__asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(pattern) : "memory");
	__asm__ volatile("rep stosb" : "+D"(d), "+c"(bytes) : "a"(pattern) : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *p = a, *q = b;

	for (; n; n--, p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}
