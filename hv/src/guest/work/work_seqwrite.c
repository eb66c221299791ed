/*
 * Sequential writing: every pass overwrites the buffer from end to end with
 * a pattern of its own; what must be there at the end is known, and what is
 * there is read back and goes into the digest.
 */
#include "work.h"

#define WORDS  16384 /* 128 KiB */
#define PASSES 35

uint64_t run_seqwrite(const struct params *params, struct env *env)
{
	uint64_t *buffer = env->alloc(WORDS * sizeof *buffer);
	struct random random = random_for(params, 0);
	uint64_t digest = DIGEST_START;

	for (uint32_t round = 0; round < params->scale; round++) {
		uint64_t value = 0, step = 0;

		for (uint64_t pass = 0; pass < PASSES; pass++) {
			value = random_next(&random);
			step = random_next(&random) | 1;
			for (size_t i = 0; i < WORDS; i++)
				buffer[i] = value + i * step;
			if (pass % 4 == 3)
				env->yield();
		}

		for (size_t i = 0; i < WORDS; i++) {
			verify(env, buffer[i] == value + i * step);
			digest = digest_add(digest, buffer[i]);
		}
		env->print("seqwrite: %u passes over %u KiB, checksum %016lx\n", (unsigned)PASSES,
			   (unsigned)(WORDS * sizeof *buffer / 1024), (unsigned long)digest);
	}
	return digest;
}
