/* VMCALL as a C function. Only for when hypervisor_present: elsewhere it is #UD. */
#ifndef KERNEL_HYPERCALL_H
#define KERNEL_HYPERCALL_H

#include <stdint.h>

static inline int64_t hypercall(uint64_t number, uint64_t a, uint64_t b, uint64_t c)
{
	int64_t result;

	__asm__ volatile("vmcall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "memory");
	return result;
}

/* The kernel is mapped onto itself, so its pointers are guest-physical addresses. */
static inline uint64_t gpa(const void *p)
{
	return (uint64_t)p;
}

#endif
