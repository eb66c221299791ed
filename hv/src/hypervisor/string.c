/*
 * Memory functions. gcc calls the first three on its own. Words of eight
 * bytes where it can; built without the optimisation that would turn the
 * loops back into calls of themselves.
 */
#include "types.h"

void *memcpy(void *to, const void *from, size_t n)
{
    u8 *d = to;
    const u8 *s = from;

    for (; n >= 8; n -= 8, d += 8, s += 8)
        *(u64 __attribute__((may_alias, aligned(1))) *)d =
            *(const u64 __attribute__((may_alias, aligned(1))) *)s;
    while (n--)
        *d++ = *s++;
    return to;
}

void *memset(void *to, int c, size_t n)
{
    u8 *d = to;
    u64 word = 0x0101010101010101ull * (u8)c;
    size_t words = n / 8;

    /* Whole VMs are cleared with this before they start. */
    __asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(word) : "memory");
    for (n %= 8; n; n--)
        *d++ = (u8)c;
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const u8 *x = a, *y = b;

    for (; n; n--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

size_t strlen(const char *s)
{
    size_t n = 0;

    while (s[n])
        n++;
    return n;
}
