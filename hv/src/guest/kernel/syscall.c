/* What ring 3 may ask for. Every pointer is checked before it is followed. */
#include "kernel.h"
#include "hypercall.h"
#include "../user/syscall.h"

/* Copied out of the workload's pages: a hypercall takes a physical address. */
static char text[512];

void syscall_init(void)
{
	wrmsr(MSR_STAR, (uint64_t)(KERNEL_DATA | 3) << 48 | (uint64_t)KERNEL_CODE << 32);
	wrmsr(MSR_LSTAR, (uint64_t)syscall_entry);
	wrmsr(MSR_SFMASK, RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_AC);
}

static int64_t write(uint64_t from, uint64_t length)
{
	if (!user_range(from, length))
		return HV_EFAULT;
	for (uint64_t done = 0; done < length;) {
		uint64_t n = length - done < sizeof text ? length - done : sizeof text;

		memcpy(text, (const char *)from + done, n);
		console_write(text, n);
		done += n;
	}
	return (int64_t)length;
}

/* Sector counts above the disk's size would overflow the byte count. */
static bool buffer_ok(uint64_t address, uint64_t count)
{
	return count <= block_size() && user_range(address, count * SECTOR_SIZE);
}

static int64_t yield(void)
{
	if (hypervisor_present)
		return hypercall(HC_YIELD, 0, 0, 0);
	pause();
	return 0;
}

static _Noreturn void finish(uint64_t digest)
{
	report(REPORT_DIGEST, digest);
	if (options.stats)
		kprint("stats: %lu ticks, %lu cycles\n", ticks, cycles_since_boot());
	shutdown(EXIT_OK);
}

static _Noreturn void workload_failed(uint64_t line)
{
	kprint("workload died: line %lu\n", line);
	shutdown(EXIT_WORKLOAD_DIED);
}

int64_t syscall_dispatch(uint64_t a, uint64_t b, uint64_t c, uint64_t number)
{
	switch (number) {
	case SYS_WRITE:
		return write(a, b);
	case SYS_BLOCK_SIZE:
		return (int64_t)block_size();
	case SYS_BLOCK_READ:
		return buffer_ok(b, c) ? block_read(a, (void *)b, c) : HV_EFAULT;
	case SYS_BLOCK_WRITE:
		return buffer_ok(b, c) ? block_write(a, (const void *)b, c) : HV_EFAULT;
	case SYS_YIELD:
		return yield();
	case SYS_SBRK:
		return heap_move((int64_t)a);
	case SYS_EXIT:
		finish(a);
	case SYS_ABORT:
		workload_failed(a);
	}
	return HV_ENOSYS;
}
