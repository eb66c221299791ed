/*
 * Virtual memory, four levels.
 *
 *   0          not mapped, so that null pointers fault
 *   4 KiB      physical memory onto itself: pages of 4 KiB with exact rights
 *              around the kernel's image, of 2 MiB for the rest
 *   1 GiB      the user program
 *   USER_HEAP  the workload's heap, up to the break; zero pages on demand
 *   ..USER_STACK  its stack, zero pages on demand, a hole below
 *   0xfec00000 device registers, not cached
 */
#include "kernel.h"

#define PRESENT   0x1ull
#define WRITABLE  0x2ull
#define USER      0x4ull
#define UNCACHED  0x18ull /* PCD and PWT */
#define LARGE     0x80ull
#define GLOBAL    0x100ull
#define NO_EXEC   (1ull << 63)
#define ADDRESS   0x000ffffffffff000ull

#define CR4_PGE 0x80ull

#define LARGE_SIZE   0x200000ull
#define DEVICES      0xfec00000ull
#define DEVICES_END  0xff000000ull
#define STACK_SIZE   0x10000ull
#define HEAP_MOST    0x4000000ull

#define FAULT_PRESENT 0x1
#define FAULT_FETCH   0x10

/* Places that kernel.ld knows. */
extern const char kernel_rodata[], kernel_data[], kernel_end[];
extern const char user_text[], user_rodata[], user_data[], user_end[], user_load[], image_end[];

static uint64_t *root;
static uint64_t heap_break = USER_HEAP;

/*
 * The table entry for an address, at level 1 (4 KiB) or 2 (2 MiB), with the
 * tables above it made when missing. NULL: out of memory. Rights are decided
 * by the last level alone, so those above allow everything.
 */
static uint64_t *entry_for(uint64_t address, int level)
{
	uint64_t *table = root;

	for (int l = 4; l > level; l--) {
		uint64_t *e = &table[address >> (12 + 9 * (l - 1)) & 511];

		if (!(*e & PRESENT)) {
			uint64_t frame = frame_alloc();

			if (!frame)
				return NULL;
			*e = frame | PRESENT | WRITABLE | USER;
		}
		table = (uint64_t *)(*e & ADDRESS);
	}
	return &table[address >> (12 + 9 * (level - 1)) & 511];
}

static void map(uint64_t address, uint64_t frame, uint64_t rights, int level)
{
	uint64_t *e = entry_for(address, level);

	assert(e);
	*e = frame | rights | PRESENT | (level == 2 ? LARGE : 0);
}

/* What the kernel may do with a page of its own image's 2 MiB region. */
static uint64_t kernel_rights(uint64_t address)
{
	if (address < 0x100000)
		return WRITABLE | NO_EXEC;
	if (address < (uint64_t)kernel_rodata)
		return 0;
	if (address < (uint64_t)kernel_data)
		return NO_EXEC;
	if (address >= (uint64_t)user_load &&
	    address < (uint64_t)user_load + (uint64_t)(user_data - user_text))
		return NO_EXEC; /* the user program's text and constants, seen from here */
	return WRITABLE | NO_EXEC;
}

static uint64_t user_rights(uint64_t address)
{
	if (address < (uint64_t)user_rodata)
		return USER;
	if (address < (uint64_t)user_data)
		return USER | NO_EXEC;
	return USER | WRITABLE | NO_EXEC;
}

void paging_init(uint64_t memory_end)
{
	uint64_t small_end = ((uint64_t)image_end + LARGE_SIZE - 1) & ~(LARGE_SIZE - 1);

	root = (uint64_t *)frame_alloc();
	assert(root);

	for (uint64_t a = PAGE_SIZE; a < small_end; a += PAGE_SIZE)
		map(a, a, kernel_rights(a) | GLOBAL, 1);
	for (uint64_t a = small_end; a < memory_end; a += LARGE_SIZE)
		map(a, a, WRITABLE | NO_EXEC | GLOBAL, 2);
	for (uint64_t a = DEVICES; a < DEVICES_END; a += LARGE_SIZE)
		map(a, a, WRITABLE | NO_EXEC | UNCACHED | GLOBAL, 2);
	for (uint64_t a = (uint64_t)user_text; a < (uint64_t)user_end; a += PAGE_SIZE)
		map(a, (uint64_t)user_load + (a - (uint64_t)user_text), user_rights(a), 1);

	write_cr3((uint64_t)root);
	write_cr4(read_cr4() | CR4_PGE);
}

static bool on_demand(uint64_t address)
{
	return (address >= USER_HEAP && address < heap_break) ||
	       (address >= USER_STACK - STACK_SIZE && address < USER_STACK);
}

/* True when the fault was the first touch of a page that may exist. */
bool page_fault(uint64_t address, uint64_t error)
{
	if (error & (FAULT_PRESENT | FAULT_FETCH) || !on_demand(address))
		return false;

	uint64_t *e = entry_for(address, 1);
	uint64_t frame = e ? frame_alloc() : 0;

	if (!frame) {
		kprint("out of memory\n");
		return false;
	}
	*e = frame | PRESENT | WRITABLE | USER | NO_EXEC;
	return true;
}

/* May ring 3 hand these bytes to the kernel? */
bool user_range(uint64_t address, uint64_t length)
{
	uint64_t end = address + length;

	if (end < address)
		return false;
	return (address >= (uint64_t)user_text && end <= (uint64_t)user_end) ||
	       (address >= USER_HEAP && end <= heap_break) ||
	       (address >= USER_STACK - STACK_SIZE && end <= USER_STACK);
}

static void unmap(uint64_t address)
{
	uint64_t *e = entry_for(address, 1);

	if (!e || !(*e & PRESENT))
		return;
	frame_free(*e & ADDRESS);
	*e = 0;
	invlpg(address);
}

/* SYS_SBRK: moves the break by whole pages; returns where it was. */
int64_t heap_move(int64_t bytes)
{
	uint64_t old = heap_break, new = old + (uint64_t)bytes;

	if (bytes % (int64_t)PAGE_SIZE != 0 || new < USER_HEAP || new > USER_HEAP + HEAP_MOST)
		return HV_EINVAL;
	heap_break = new;
	for (uint64_t a = new; a < old; a += PAGE_SIZE)
		unmap(a);
	return (int64_t)old;
}
