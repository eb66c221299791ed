/*
 * The disk. Under the hypervisor, hypercalls; on a bare machine, pages of
 * memory that come into being when first written. Either way through one
 * aligned page of the kernel's: the workload's buffers are scattered over
 * physical memory, and hypercalls take physical addresses.
 */
#include "hypercall.h"
#include "kernel.h"

#define RAM_DISK_PAGES   128
#define SECTORS_PER_PAGE (PAGE_SIZE / SECTOR_SIZE)

static uint64_t ram_disk[RAM_DISK_PAGES]; /* frames, 0: never written */
static char bounce[PAGE_SIZE] __attribute__((aligned(4096)));
static uint64_t sectors;
static bool in_memory;

void block_init(void)
{
	int64_t n = hypervisor_present ? hypercall(HC_BLOCK_SIZE, 0, 0, 0) : 0;

	in_memory = n <= 0;
	sectors = in_memory ? RAM_DISK_PAGES * SECTORS_PER_PAGE : (uint64_t)n;
	kprint("disk: %lu sectors%s\n", sectors, in_memory ? " in memory" : "");
}

bool block_in_memory(void)
{
	return in_memory;
}

uint64_t block_size(void)
{
	return sectors;
}

static bool in_range(uint64_t sector, uint64_t count)
{
	return sector < sectors && count <= sectors - sector;
}

/* Where a sector of the RAM disk lives; NULL if it does not yet. */
static char *ram_sector(uint64_t sector, bool create)
{
	uint64_t *frame = &ram_disk[sector / SECTORS_PER_PAGE];

	if (!*frame && create)
		*frame = frame_alloc();
	return *frame ? (char *)*frame + sector % SECTORS_PER_PAGE * SECTOR_SIZE : NULL;
}

/* At most a page's worth, between the disk and the bounce page. */
static int64_t transfer(uint64_t number, uint64_t sector, uint64_t count)
{
	if (!in_memory)
		return hypercall(number, sector, gpa(bounce), count);

	for (uint64_t i = 0; i < count; i++) {
		char *disk = ram_sector(sector + i, number == HC_BLOCK_WRITE);
		char *page = bounce + i * SECTOR_SIZE;

		if (number == HC_BLOCK_READ && !disk)
			memset(page, 0, SECTOR_SIZE);
		else if (!disk)
			return HV_EFAULT;
		else if (number == HC_BLOCK_READ)
			memcpy(page, disk, SECTOR_SIZE);
		else
			memcpy(disk, page, SECTOR_SIZE);
	}
	return (int64_t)count;
}

static uint64_t piece(uint64_t count)
{
	return count < SECTORS_PER_PAGE ? count : SECTORS_PER_PAGE;
}

int64_t block_read(uint64_t sector, void *to, uint64_t count)
{
	if (!in_range(sector, count))
		return HV_EINVAL;
	for (uint64_t done = 0; done < count;) {
		uint64_t n = piece(count - done);
		int64_t got = transfer(HC_BLOCK_READ, sector + done, n);

		if (got != (int64_t)n)
			return got < 0 ? got : HV_EFAULT;
		memcpy((char *)to + done * SECTOR_SIZE, bounce, n * SECTOR_SIZE);
		done += n;
	}
	return (int64_t)count;
}

int64_t block_write(uint64_t sector, const void *from, uint64_t count)
{
	if (!in_range(sector, count))
		return HV_EINVAL;
	for (uint64_t done = 0; done < count;) {
		uint64_t n = piece(count - done);

		memcpy(bounce, (const char *)from + done * SECTOR_SIZE, n * SECTOR_SIZE);
		int64_t put = transfer(HC_BLOCK_WRITE, sector + done, n);

		if (put != (int64_t)n)
			return put < 0 ? put : HV_EFAULT;
		done += n;
	}
	return (int64_t)count;
}
