/* Words of fixed width and the few macros that every file uses. */
#ifndef HV_TYPES_H
#define HV_TYPES_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

typedef unsigned char      u8;
typedef unsigned short     u16;
typedef unsigned int       u32;
typedef unsigned long long u64;
typedef signed char        s8;
typedef short              s16;
typedef int                s32;
typedef long long          s64;

#define BIT(n)          (1ull << (n))
#define COUNT_OF(a)     (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)       ((a) < (b) ? (a) : (b))
#define MAX(a, b)       ((a) > (b) ? (a) : (b))
#define ALIGN_UP(v, n)  (((v) + (n) - 1) & ~((u64)(n) - 1))
#define CONTAINER_OF(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))

#define likely(c)       __builtin_expect(!!(c), 1)
#define unlikely(c)     __builtin_expect(!!(c), 0)
#define ALIGNED(n)      __attribute__((aligned(n)))
#define SECTION(name)   __attribute__((section(name)))
#define NORETURN        __attribute__((noreturn))
#define PRINTF(f, a)    __attribute__((format(printf, f, a)))

#define KIB             1024ull
#define MIB             (1024 * KIB)
#define GIB             (1024 * MIB)
#define PAGE_SIZE       4096ull
#define LARGE_PAGE      (2 * MIB)

/* string.c */
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);

#endif
