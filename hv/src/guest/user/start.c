/*
 * The user program: ring 3's half of the system calls, the environment the
 * workloads see, and user_start, where the kernel lets it begin.
 */
#include <stdarg.h>
#include "syscall.h"
#include "../lib/format.h"
#include "../lib/string.h"
#include "../work/work.h"

static int64_t syscall(uint64_t number, uint64_t a, uint64_t b, uint64_t c)
{
	int64_t result;

	__asm__ volatile("syscall"
			 : "=a"(result), "+D"(a), "+S"(b), "+d"(c)
			 : "a"(number)
			 : "rcx", "r8", "r9", "r10", "r11", "memory");
	return result;
}

static _Noreturn void die(uint64_t number, uint64_t value)
{
	syscall(number, value, 0, 0);
	for (;;)
		;
}

/* ---- what `env` offers ------------------------------------------------- */

static void print(const char *format, ...)
{
	char line[160];
	va_list args;

	va_start(args, format);
	size_t n = vformat(line, sizeof line, format, args);
	va_end(args);
	syscall(SYS_WRITE, (uint64_t)line, n, 0);
}

static _Noreturn void fail(const char *what, int line)
{
	print("wrong result: %s\n", what);
	die(SYS_ABORT, (uint64_t)line);
}

/*
 * The heap only grows during a run; between runs it is given back whole, so
 * that the next gets fresh, zeroed pages.
 */
#define HEAP_STEP 0x10000

static char *heap_start, *heap_next, *heap_end;

static char *sbrk(int64_t bytes)
{
	int64_t old = syscall(SYS_SBRK, (uint64_t)bytes, 0, 0);

	if (old < 0)
		fail("the heap is full", __LINE__);
	return (char *)old;
}

static void *alloc(size_t bytes)
{
	bytes = (bytes + 15) & ~15ull;
	if (!heap_start)
		heap_start = heap_next = heap_end = sbrk(0);
	if (bytes > (size_t)(heap_end - heap_next)) {
		size_t more = (bytes + HEAP_STEP - 1) / HEAP_STEP * HEAP_STEP;

		sbrk((int64_t)more);
		heap_end += more;
	}
	heap_next += bytes;
	return heap_next - bytes;
}

static void free_all(void)
{
	sbrk(heap_start - heap_end);
	heap_next = heap_end = heap_start;
}

static void yield(void)
{
	syscall(SYS_YIELD, 0, 0, 0);
}

static int64_t block_size(void)
{
	return syscall(SYS_BLOCK_SIZE, 0, 0, 0);
}

static int64_t block_read(uint64_t sector, void *to, uint64_t count)
{
	return syscall(SYS_BLOCK_READ, sector, (uint64_t)to, count);
}

static int64_t block_write(uint64_t sector, const void *from, uint64_t count)
{
	return syscall(SYS_BLOCK_WRITE, sector, (uint64_t)from, count);
}

static struct env env = {
	.alloc = alloc,
	.print = print,
	.yield = yield,
	.block_size = block_size,
	.block_read = block_read,
	.block_write = block_write,
	.fail = fail,
};

static const struct {
	const char *name;
	uint64_t (*run)(const struct params *, struct env *);
} workloads[] = {
#define WORKLOAD(name) { #name, run_##name },
#include "../work/list.h"
#undef WORKLOAD
};

/* A workload repeated must come to the same result. */
_Noreturn void user_start(uint64_t workload, uint64_t scale, uint64_t seed, uint64_t repeat)
{
	const struct params params = { (uint32_t)scale, seed };
	uint64_t digest = 0;

	for (uint64_t i = 0; i < repeat; i++) {
		uint64_t d = workloads[workload].run(&params, &env);

		verify(&env, i == 0 || d == digest);
		digest = d;
		free_all();
	}
	print("%s digest %016lx\n", workloads[workload].name, digest);
	die(SYS_EXIT, digest);
}
