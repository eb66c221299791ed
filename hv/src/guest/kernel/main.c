/* The order in which things come to life. */
#include "kernel.h"
#include "../work/work.h"

static const char *const workload_names[] = {
#define WORKLOAD(name) #name,
#include "../work/list.h"
#undef WORKLOAD
};

/* The beginning of the multiboot information, as its version 1 defines it. */
struct multiboot {
	uint32_t flags;
	uint32_t mem_lower, mem_upper; /* KiB; upper counts from 1 MiB */
	uint32_t boot_device;
	uint32_t command_line;
};

#define MULTIBOOT_MEMORY       1
#define MULTIBOOT_COMMAND_LINE 4

#define LEAST_MEMORY 0x600000ull
#define MOST_MEMORY  0x40000000ull /* the user program begins there */

extern const char image_end[];
extern const char user_start[];

static uint64_t memory_end(const struct multiboot *info)
{
	uint64_t end = 8 << 20;

	if (info->flags & MULTIBOOT_MEMORY)
		end = 0x100000 + (uint64_t)info->mem_upper * 1024;
	if (end > MOST_MEMORY)
		end = MOST_MEMORY;
	end &= ~0x1fffffull;
	if (end < LEAST_MEMORY)
		panic("too little memory");
	return end;
}

static unsigned find_workload(const char *name)
{
	for (unsigned i = 0; i < sizeof workload_names / sizeof *workload_names; i++) {
		const char *a = workload_names[i], *b = name;

		while (*a && *a == *b)
			a++, b++;
		if (*a == *b)
			return i;
	}
	kprint("no workload is called %s\n", name);
	panic("unknown workload");
}

void kernel_main(const struct multiboot *info)
{
	console_init();
	hyper_init();

	/* The boot tables still map everything; after paging_init page 0 is gone. */
	uint64_t memory = memory_end(info);

	if (info->flags & MULTIBOOT_COMMAND_LINE)
		options_parse((const char *)(uint64_t)info->command_line);

	frames_init((uint64_t)image_end, memory);
	segments_init();
	paging_init(memory);
	syscall_init();
	kprint("mini-OS: %lu MiB, ", memory >> 20);
	if (hypervisor_present)
		kprint("vm %u of flipvisor\n", vm_number);
	else
		kprint("bare machine\n");

	unsigned workload = find_workload(options.workload);

	report(REPORT_STARTED, workload + 1);
	apic_init();
	timer_check();
	timer_start((uint32_t)options.tick);
	block_init();
	regdev_check();
	if (hypervisor_present)
		console_use_hypervisor();
	if (options.peer >= 0)
		peer_exchange((uint32_t)options.peer);

	struct launch launch = {
		.entry = (uint64_t)user_start,
		.stack = USER_STACK - 8, /* as after a CALL */
		.arguments = { workload, options.scale, options.seed, options.repeat },
	};

	enter_user(&launch);
}
