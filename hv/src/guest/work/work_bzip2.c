/*
 * Block-sorting compression, as in Burrows and Wheeler's report and the
 * program that made it popular:
 *
 *   text -> sorted rotations -> move to front -> run lengths of zero
 *        -> canonical Huffman code -> bits
 *
 * and all the way back. The result must be the text, the digest is that of
 * the compressed bytes.
 */
#include "work.h"

#define BLOCK     6144
#define MOST_BITS 17 /* no Huffman code is longer: a decoder's tables stay small */

/* Huffman symbols: two digits for runs of zero, positions 1..255, the end. */
#define RUN_A   0
#define RUN_B   1
#define END     257
#define SYMBOLS 258

struct bits {
	uint8_t *bytes;
	uint32_t length;  /* bytes complete so far, or read */
	uint64_t window;  /* bits on their way, the oldest on top of `count` */
	uint32_t count;
};

struct code {
	uint8_t length[SYMBOLS];
	uint32_t bits[SYMBOLS];
};

struct coder {
	struct env *env;
	uint8_t *text, *last, *back;          /* the block, its transform, what came back */
	uint32_t *order, *rank, *scratch, *count;
	uint16_t *symbols;
	uint32_t symbol_count;
	struct bits out;
};

/* ---- the text: words, the frequent ones often -------------------------- */

#define WORDS 300

static void write_text(uint8_t *text, struct random *random)
{
	char words[WORDS][10];
	uint32_t n = 0;

	for (int w = 0; w < WORDS; w++) {
		uint32_t length = 2 + random_below(random, 7);

		for (uint32_t i = 0; i < length; i++)
			words[w][i] = "etaoinshrdlucmfw"[random_below(random, 16)];
		words[w][length] = '\0';
	}
	while (n < BLOCK) {
		/* A product of two uniform numbers: small ones are likely. */
		uint32_t w = random_below(random, 1 + random_below(random, WORDS));

		for (const char *c = words[w]; *c && n < BLOCK; c++)
			text[n++] = (uint8_t)*c;
		if (n < BLOCK)
			text[n++] = random_below(random, 12) ? ' ' : '\n';
	}
}

/* ---- Burrows-Wheeler --------------------------------------------------- */

/*
 * Rotations sorted by prefix doubling: once they are ordered by their first
 * `width` characters, the pair (rank here, rank `width` further) orders them
 * by twice as many. Each step is one counting sort.
 */
static void sort_rotations(struct coder *c)
{
	uint32_t classes = 256;

	for (uint32_t i = 0; i < 256; i++)
		c->count[i] = 0;
	for (uint32_t i = 0; i < BLOCK; i++)
		c->count[c->text[i]]++;
	for (uint32_t i = 1; i < 256; i++)
		c->count[i] += c->count[i - 1];
	for (uint32_t i = BLOCK; i-- > 0;)
		c->order[--c->count[c->text[i]]] = i;
	for (uint32_t i = 0; i < BLOCK; i++)
		c->rank[i] = c->text[i];

	for (uint32_t width = 1; width < BLOCK && classes < BLOCK; width *= 2) {
		for (uint32_t i = 0; i < classes; i++)
			c->count[i] = 0;
		for (uint32_t i = 0; i < BLOCK; i++)
			c->count[c->rank[i]]++;
		for (uint32_t i = 1; i < classes; i++)
			c->count[i] += c->count[i - 1];

		/* Taken in the order of their second halves, placed by their first. */
		for (uint32_t i = BLOCK; i-- > 0;) {
			uint32_t at = c->order[i];

			c->scratch[i] = at >= width ? at - width : at + BLOCK - width;
		}
		for (uint32_t i = BLOCK; i-- > 0;) {
			uint32_t at = c->scratch[i];

			c->order[--c->count[c->rank[at]]] = at;
		}

		uint32_t previous = 0, previous_half = 0;

		classes = 0;
		for (uint32_t i = 0; i < BLOCK; i++) {
			uint32_t at = c->order[i];
			uint32_t half = at + width < BLOCK ? at + width : at + width - BLOCK;

			if (i == 0 || c->rank[at] != previous || c->rank[half] != previous_half)
				classes++;
			previous = c->rank[at];
			previous_half = c->rank[half];
			c->scratch[at] = classes - 1;
		}

		uint32_t *t = c->rank;

		c->rank = c->scratch;
		c->scratch = t;
	}
}

/* The last column, and where the text itself is among the rotations. */
static uint32_t transform(struct coder *c)
{
	uint32_t primary = 0;

	sort_rotations(c);
	for (uint32_t i = 0; i < BLOCK; i++) {
		uint32_t at = c->order[i];

		if (at == 0)
			primary = i;
		c->last[i] = c->text[at ? at - 1 : BLOCK - 1];
	}
	return primary;
}

/* The k-th occurrence of a character in the last column is its k-th in the first. */
static void untransform(struct coder *c, uint32_t primary)
{
	uint32_t start[256] = { 0 }, sum = 0;

	for (uint32_t i = 0; i < BLOCK; i++)
		start[c->last[i]]++;
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t n = start[i];

		start[i] = sum;
		sum += n;
	}
	for (uint32_t i = 0; i < BLOCK; i++)
		c->order[start[c->last[i]]++] = i;

	uint32_t at = c->order[primary];

	for (uint32_t i = 0; i < BLOCK; i++) {
		c->back[i] = c->last[at];
		at = c->order[at];
	}
}

/* ---- move to front, zero runs ------------------------------------------ */

static void put_run(struct coder *c, uint32_t run)
{
	/* Bijective base 2: RUN_A counts 1, 2, 4, ..., RUN_B twice that. */
	while (run) {
		c->symbols[c->symbol_count++] = run & 1 ? RUN_A : RUN_B;
		run = (run - 1) >> 1;
	}
}

static void move_to_front(struct coder *c)
{
	uint8_t front[256];
	uint32_t run = 0;

	for (int i = 0; i < 256; i++)
		front[i] = (uint8_t)i;
	c->symbol_count = 0;
	for (uint32_t i = 0; i < BLOCK; i++) {
		uint8_t byte = c->last[i], moved = front[0];
		uint32_t at = 0;

		if (moved == byte) {
			run++;
			continue;
		}
		while (moved != byte) {
			uint8_t next = front[++at];

			front[at] = moved;
			moved = next;
		}
		front[0] = byte;
		put_run(c, run);
		run = 0;
		c->symbols[c->symbol_count++] = (uint16_t)(at + 1);
	}
	put_run(c, run);
	c->symbols[c->symbol_count++] = END;
}

static void move_back(struct coder *c)
{
	uint8_t front[256];
	uint32_t n = 0, run = 0, weight = 1;

	for (int i = 0; i < 256; i++)
		front[i] = (uint8_t)i;
	for (uint32_t i = 0; i < c->symbol_count; i++) {
		uint32_t symbol = c->symbols[i];

		if (symbol <= RUN_B) {
			run += weight << symbol;
			weight *= 2;
			verify(c->env, run <= BLOCK - n);
			continue;
		}
		for (; run; run--)
			c->last[n++] = front[0];
		weight = 1;
		if (symbol == END)
			break;
		verify(c->env, n < BLOCK);

		uint8_t byte = front[symbol - 1];

		for (uint32_t at = symbol - 1; at > 0; at--)
			front[at] = front[at - 1];
		front[0] = byte;
		c->last[n++] = byte;
	}
	verify(c->env, n == BLOCK);
}

/* ---- bits -------------------------------------------------------------- */

static void put_bits(struct bits *b, uint32_t value, uint32_t count)
{
	b->window = b->window << count | value;
	b->count += count;
	while (b->count >= 8) {
		b->count -= 8;
		b->bytes[b->length++] = (uint8_t)(b->window >> b->count);
	}
}

static uint32_t get_bits(struct bits *b, uint32_t count)
{
	while (b->count < count) {
		b->window = b->window << 8 | b->bytes[b->length++];
		b->count += 8;
	}
	b->count -= count;
	return (uint32_t)(b->window >> b->count) & ((1u << count) - 1);
}

/* ---- Huffman ----------------------------------------------------------- */

/*
 * Code lengths: a heap of trees, the two lightest joined until one is left.
 * When a code comes out too long the weights are flattened and all is done
 * again.
 */
static void sift_down(uint32_t *heap, uint32_t n, uint32_t i, const uint32_t *weight)
{
	uint32_t moving = heap[i];

	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= n)
			break;
		if (child + 1 < n && weight[heap[child + 1]] < weight[heap[child]])
			child++;
		if (weight[moving] <= weight[heap[child]])
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = moving;
}

static int try_lengths(struct code *code, const uint32_t *frequency)
{
	uint32_t weight[2 * SYMBOLS], parent[2 * SYMBOLS], heap[SYMBOLS];
	uint32_t n = 0, nodes = SYMBOLS;

	for (uint32_t s = 0; s < SYMBOLS; s++)
		if ((weight[s] = frequency[s]))
			heap[n++] = s;
	for (uint32_t i = n / 2; i-- > 0;)
		sift_down(heap, n, i, weight);

	while (n > 1) {
		uint32_t a = heap[0];

		heap[0] = heap[--n];
		sift_down(heap, n, 0, weight);

		uint32_t b = heap[0];

		weight[nodes] = weight[a] + weight[b];
		parent[a] = parent[b] = nodes;
		heap[0] = nodes++;
		sift_down(heap, n, 0, weight);
	}

	for (uint32_t s = 0; s < SYMBOLS; s++) {
		uint32_t depth = 0;

		if (frequency[s])
			for (uint32_t at = s; at != nodes - 1; at = parent[at])
				depth++;
		if (depth > MOST_BITS)
			return 0;
		code->length[s] = (uint8_t)depth;
	}
	return 1;
}

/* Canonical: codes of one length are consecutive, in the symbols' order. */
static void assign_codes(struct code *code)
{
	uint32_t next = 0;

	for (uint32_t length = 1; length <= MOST_BITS; length++) {
		for (uint32_t s = 0; s < SYMBOLS; s++)
			if (code->length[s] == length)
				code->bits[s] = next++;
		next <<= 1;
	}
}

static void make_code(struct code *code, const struct coder *c)
{
	uint32_t frequency[SYMBOLS] = { 0 };

	for (uint32_t i = 0; i < c->symbol_count; i++)
		frequency[c->symbols[i]]++;
	while (!try_lengths(code, frequency))
		for (uint32_t s = 0; s < SYMBOLS; s++)
			frequency[s] = frequency[s] ? frequency[s] / 2 + 1 : 0;
	assign_codes(code);
}

static void encode(struct coder *c, uint32_t primary)
{
	struct code code;

	make_code(&code, c);
	put_bits(&c->out, primary, 24);
	for (uint32_t s = 0; s < SYMBOLS; s++)
		put_bits(&c->out, code.length[s], 5);
	for (uint32_t i = 0; i < c->symbol_count; i++)
		put_bits(&c->out, code.bits[c->symbols[i]], code.length[c->symbols[i]]);
	put_bits(&c->out, 0, 7); /* out with the last byte */
}

/* Returns the primary index; the symbols end with END. */
static uint32_t decode(struct coder *c, struct bits *in)
{
	uint32_t first[MOST_BITS + 2], count[MOST_BITS + 1] = { 0 }, offset[MOST_BITS + 1];
	uint16_t sorted[SYMBOLS];
	uint8_t length[SYMBOLS];
	uint32_t primary = get_bits(in, 24), n = 0;

	verify(c->env, primary < BLOCK);
	for (uint32_t s = 0; s < SYMBOLS; s++) {
		length[s] = (uint8_t)get_bits(in, 5);
		verify(c->env, length[s] <= MOST_BITS);
		count[length[s]]++;
	}
	first[1] = 0;
	for (uint32_t l = 1; l <= MOST_BITS; l++) {
		offset[l] = n;
		first[l + 1] = (first[l] + count[l]) << 1;
		for (uint32_t s = 0; s < SYMBOLS; s++)
			if (length[s] == l)
				sorted[n++] = (uint16_t)s;
	}

	c->symbol_count = 0;
	do {
		uint32_t l = 1, bits = get_bits(in, 1);

		while (bits - first[l] >= count[l]) {
			verify(c->env, l < MOST_BITS);
			bits = bits << 1 | get_bits(in, 1);
			l++;
		}
		verify(c->env, c->symbol_count < BLOCK + 1);
		c->symbols[c->symbol_count++] = sorted[offset[l] + bits - first[l]];
	} while (c->symbols[c->symbol_count - 1] != END);
	return primary;
}

/* ---- a block there and back -------------------------------------------- */

uint64_t run_bzip2(const struct params *params, struct env *env)
{
	struct coder c = {
		.env = env,
		.text = env->alloc(BLOCK),
		.last = env->alloc(BLOCK),
		.back = env->alloc(BLOCK),
		.order = env->alloc(BLOCK * sizeof(uint32_t)),
		.rank = env->alloc(BLOCK * sizeof(uint32_t)),
		.scratch = env->alloc(BLOCK * sizeof(uint32_t)),
		.count = env->alloc(BLOCK * sizeof(uint32_t)),
		.symbols = env->alloc((BLOCK + 1) * sizeof(uint16_t)),
		/* Room for the worst case: every symbol with the longest code. */
		.out.bytes = env->alloc(BLOCK * 3 + 1024),
	};
	uint64_t digest = DIGEST_START;

	for (uint32_t block = 0; block < params->scale; block++) {
		struct random random = random_for(params, block);

		write_text(c.text, &random);
		c.out.length = c.out.count = 0;
		c.out.window = 0;

		uint32_t primary = transform(&c);

		move_to_front(&c);
		encode(&c, primary);
		for (uint32_t i = 0; i < c.out.length; i++)
			digest = digest_add(digest, c.out.bytes[i]);
		env->yield();

		struct bits in = { .bytes = c.out.bytes };

		for (uint32_t i = 0; i < BLOCK; i++)
			c.last[i] = 0; /* what follows must come from the bits alone */
		primary = decode(&c, &in);
		move_back(&c);
		untransform(&c, primary);
		for (uint32_t i = 0; i < BLOCK; i++)
			verify(env, c.back[i] == c.text[i]);
		env->print("bzip2: block %u: %u bytes to %u and back\n", (unsigned)block,
			   (unsigned)BLOCK, (unsigned)c.out.length);
	}
	return digest;
}
