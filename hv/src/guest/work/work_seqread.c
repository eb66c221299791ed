/*
 * Sequential reading: a buffer is filled once and read from end to end many
 * times. Each pass weighs the words differently, so that a word that went
 * wrong between two passes shows in the digest.
 */
#include "work.h"

#define WORDS  16384 /* 128 KiB: more than a first-level cache holds */
#define PASSES 36

uint64_t run_seqread(const struct params *params, struct env *env)
{
	uint64_t *buffer = env->alloc(WORDS * sizeof *buffer);
	struct random random = random_for(params, 0);
	uint64_t digest = DIGEST_START;

	for (size_t i = 0; i < WORDS; i++)
		buffer[i] = random_next(&random);

	for (uint32_t round = 0; round < params->scale; round++) {
		for (uint64_t pass = 0; pass < PASSES; pass++) {
			uint64_t multiplier = random_next(&random) | 1, sum = 0;

			for (size_t i = 0; i < WORDS; i++)
				sum = (sum ^ buffer[i]) * multiplier;
			digest = digest_add(digest, sum);
			if (pass % 4 == 3)
				env->yield();
		}
		env->print("seqread: %u passes over %u KiB, checksum %016lx\n", (unsigned)PASSES,
			   (unsigned)(WORDS * sizeof *buffer / 1024), (unsigned long)digest);
	}
	return digest;
}
