/*
 * The workloads as an ordinary program: host-workloads NAME SCALE SEED
 * prints the line that digests.txt has for it. With -v also what the
 * workload has to say.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../work/work.h"

static int verbose;

static void print(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (verbose)
		vprintf(format, args);
	va_end(args);
}

static _Noreturn void fail(const char *what, int line)
{
	fprintf(stderr, "host-workloads: line %d: wrong result: %s\n", line, what);
	exit(1);
}

/* Never freed: the process is over when the run is. */
static void *alloc(size_t bytes)
{
	void *p = calloc(1, bytes);

	if (!p)
		fail("out of memory", __LINE__);
	return p;
}

static void yield(void)
{
}

#define DISK_SECTORS 1024
static unsigned char disk[DISK_SECTORS][SECTOR];

static int64_t block_size(void)
{
	return DISK_SECTORS;
}

static int in_range(uint64_t sector, uint64_t count)
{
	return sector < DISK_SECTORS && count <= DISK_SECTORS - sector;
}

static int64_t block_read(uint64_t sector, void *to, uint64_t count)
{
	if (!in_range(sector, count))
		return -1;
	memcpy(to, disk[sector], count * SECTOR);
	return (int64_t)count;
}

static int64_t block_write(uint64_t sector, const void *from, uint64_t count)
{
	if (!in_range(sector, count))
		return -1;
	memcpy(disk[sector], from, count * SECTOR);
	return (int64_t)count;
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

static int usage(void)
{
	fprintf(stderr, "usage: host-workloads [-v] NAME SCALE SEED\nworkloads:");
	for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
		fprintf(stderr, " %s", workloads[i].name);
	fprintf(stderr, "\n");
	return 2;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "-v") == 0) {
		verbose = 1;
		argc--;
		argv++;
	}
	if (argc != 4)
		return usage();

	const struct params params = {
		.scale = (uint32_t)strtoul(argv[2], NULL, 10),
		.seed = strtoull(argv[3], NULL, 10),
	};

	for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
		if (strcmp(argv[1], workloads[i].name) == 0 && params.scale) {
			uint64_t digest = workloads[i].run(&params, &env);

			printf("%s %u %" PRIu64 " %016" PRIx64 "\n", argv[1], params.scale,
			       params.seed, digest);
			return 0;
		}
	return usage();
}
