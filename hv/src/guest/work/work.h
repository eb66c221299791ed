/*
 * What a workload is given and what it owes.
 *
 * A workload is one portable C file with one function, run_NAME. It gets
 * everything through `env`, so that the same source runs in ring 3 of the
 * mini-OS and as an ordinary program on the host, and it returns a digest
 * of its real result, which must be the same on both. So: no libm, no
 * clock, no addresses in the result, no floating point beyond what IEEE
 * 754 fixes.
 */
#ifndef WORK_H
#define WORK_H

#include <stddef.h>
#include <stdint.h>

struct params {
	uint32_t scale; /* amount of work, about linear; 1 is about 3 million instructions */
	uint64_t seed;  /* of the input data */
};

#define SECTOR 512

struct env {
	/* Zeroed, aligned to 16; freed when the run is over. Never NULL. */
	void *(*alloc)(size_t bytes);
	/* A line of the result, for people. */
	void (*print)(const char *format, ...) __attribute__((format(printf, 1, 2)));
	/* A good moment for others to run. */
	void (*yield)(void);
	/* The disk: counts are in sectors, results as well, negative on error. */
	int64_t (*block_size)(void);
	int64_t (*block_read)(uint64_t sector, void *to, uint64_t count);
	int64_t (*block_write)(uint64_t sector, const void *from, uint64_t count);
	/* The result is wrong and the workload knows it. Does not return. */
	void (*fail)(const char *what, int line) __attribute__((noreturn));
};

#define WORKLOAD(name) uint64_t run_##name(const struct params *params, struct env *env);
#include "list.h"
#undef WORKLOAD

/* Checks of a workload's own result. */
#define verify(env, condition) \
	do { \
		if (!(condition)) \
			(env)->fail(#condition, __LINE__); \
	} while (0)

/* Data: splitmix64. Every 64-bit seed gives a full-period sequence. */
struct random {
	uint64_t state;
};

static inline uint64_t random_next(struct random *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* 0 .. n-1 by multiplication, which costs no division. */
static inline uint32_t random_below(struct random *r, uint32_t n)
{
	return (uint32_t)((random_next(r) >> 32) * n >> 32);
}

/* Round `n` of a run gets data of its own. */
static inline struct random random_for(const struct params *p, uint64_t n)
{
	return (struct random){ p->seed * 0xd1342543de82ef95ull + n };
}

/*
 * Digest: every step is a bijection of the state for a given value, so a
 * single wrong value always shows.
 */
#define DIGEST_START 0xcbf29ce484222325ull

static inline uint64_t digest_add(uint64_t digest, uint64_t value)
{
	digest = (digest ^ value) * 0x9fb21c651e98df25ull;
	return digest ^ digest >> 32;
}

#endif
