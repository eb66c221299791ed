/*
 * The register device: every access is a page the hypervisor did not map,
 * an instruction it has to decode, and a register file it has to keep. This
 * is a self-test of all that: scratch register, generator, and one sector
 * read both ways.
 */
#include "kernel.h"

#define COMMAND_READ 1
#define SCRATCH_PATTERN 0x5a0ff1ceu

static uint32_t get(uint32_t reg)
{
	return mmio_read(HV_MMIO_BASE + reg);
}

static void set(uint32_t reg, uint32_t value)
{
	mmio_write(HV_MMIO_BASE + reg, value);
}

static bool same_sector(void)
{
	static char by_registers[SECTOR_SIZE] __attribute__((aligned(SECTOR_SIZE)));
	static char by_hypercall[SECTOR_SIZE];

	memset(by_registers, 0xff, SECTOR_SIZE);
	set(HV_MMIO_SECTOR, 0);
	set(HV_MMIO_ADDRESS, (uint32_t)(uint64_t)by_registers);
	set(HV_MMIO_COUNT, 1);
	set(HV_MMIO_COMMAND, COMMAND_READ);
	if ((int32_t)get(HV_MMIO_COMMAND) < 0 || block_read(0, by_hypercall, 1) != 1)
		return false;
	return memcmp(by_registers, by_hypercall, SECTOR_SIZE) == 0;
}

void regdev_check(void)
{
	if (get(HV_MMIO_ID) != HV_MMIO_ID_VALUE)
		return; /* a bare machine */

	for (int bit = 0; bit < 32; bit += 8) {
		set(HV_MMIO_SCRATCH, SCRATCH_PATTERN ^ 1u << bit);
		assert(get(HV_MMIO_SCRATCH) == (SCRATCH_PATTERN ^ 1u << bit));
	}
	uint32_t random = get(HV_MMIO_RANDOM);

	if (random == get(HV_MMIO_RANDOM))
		panic("register device: its generator stands still");
	if (!block_in_memory() && !same_sector())
		panic("register device: it reads another disk");
	kprint("register device: works\n");
}
