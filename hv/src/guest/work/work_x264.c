/*
 * Motion estimation, the part of a video encoder that costs most: for every
 * 16x16 block of a frame, where in the frame before did it come from?
 *
 * A large diamond walks towards smaller sums of absolute differences (SAD),
 * a small one finishes; blocks that stay bad are searched exhaustively. What
 * the motion does not explain is judged by the sum of absolute transformed
 * differences (SATD, 4x4 Hadamard), the usual estimate of what it would cost
 * to encode. SAD and SATD use SSE2, whose integer results are exact.
 */
#include <emmintrin.h>
#include "work.h"

#define WIDTH   96
#define HEIGHT  64
#define BLOCK   16
#define COLUMNS (WIDTH / BLOCK)
#define ROWS    (HEIGHT / BLOCK)
#define FRAMES  7
#define OBJECTS 3
#define REACH   8    /* of the exhaustive search */
#define BAD_SAD 2600 /* about 10 per pixel */

/* Borders of a block all around, so that vectors may point outside a little. */
#define BORDER BLOCK
#define STRIDE (WIDTH + 2 * BORDER)
#define LINES  (HEIGHT + 2 * BORDER)

struct frame {
	uint8_t pixels[LINES * STRIDE];
};

struct object {
	int32_t x, y, dx, dy, size;
	uint8_t shade;
};

struct scene {
	uint8_t texture[64 * 64];
	struct object objects[OBJECTS];
	int32_t pan_x, pan_y;
};

struct vector {
	int32_t x, y;
	uint32_t sad;
};

struct search {
	const uint8_t *block;     /* in the new frame */
	const uint8_t *reference; /* the same place in the old one */
	int32_t min_x, max_x, min_y, max_y;
	struct vector best;
	uint32_t tried;
};

/* ---- moving pictures --------------------------------------------------- */

static void make_scene(struct scene *s, struct random *random)
{
	/* A texture with large and small features: a coarse lattice, interpolated, plus noise. */
	uint8_t lattice[8][8];

	for (int i = 0; i < 64; i++)
		lattice[i / 8][i % 8] = (uint8_t)random_below(random, 200);
	for (int y = 0; y < 64; y++)
		for (int x = 0; x < 64; x++) {
			int fx = x % 8, fy = y % 8;
			const uint8_t *top = lattice[y / 8], *bottom = lattice[(y / 8 + 1) % 8];
			int left = x / 8, right = (left + 1) % 8;
			int a = top[left] * (8 - fx) + top[right] * fx;
			int b = bottom[left] * (8 - fx) + bottom[right] * fx;

			s->texture[y * 64 + x] =
				(uint8_t)((a * (8 - fy) + b * fy) / 64 + (int)random_below(random, 16));
		}
	for (int i = 0; i < OBJECTS; i++)
		s->objects[i] = (struct object){
			.x = (int32_t)random_below(random, WIDTH - 24),
			.y = (int32_t)random_below(random, HEIGHT - 24),
			.dx = (int32_t)random_below(random, 9) - 4,
			.dy = (int32_t)random_below(random, 9) - 4,
			.size = 12 + (int32_t)random_below(random, 12),
			.shade = (uint8_t)random_below(random, 128),
		};
	s->pan_x = (int32_t)random_below(random, 7) - 3;
	s->pan_y = (int32_t)random_below(random, 7) - 3;
}

static void draw(const struct scene *s, struct frame *f, int32_t time)
{
	for (int y = 0; y < LINES; y++) {
		const uint8_t *row = s->texture + ((y + time * s->pan_y) & 63) * 64;

		for (int x = 0; x < STRIDE; x++)
			f->pixels[y * STRIDE + x] = row[(x + time * s->pan_x) & 63];
	}
	for (int i = 0; i < OBJECTS; i++) {
		const struct object *o = &s->objects[i];
		int32_t left = o->x + o->dx * time, top = o->y + o->dy * time;

		for (int32_t y = 0; y < o->size; y++)
			for (int32_t x = 0; x < o->size; x++) {
				int32_t px = left + x + BORDER, py = top + y + BORDER;

				if (px >= 0 && px < STRIDE && py >= 0 && py < LINES)
					f->pixels[py * STRIDE + px] = (uint8_t)(o->shade + x * 5 + y * 3);
			}
	}
}

/* ---- how different are two blocks? ------------------------------------- */

static uint32_t sad(const uint8_t *a, const uint8_t *b)
{
	__m128i sum = _mm_setzero_si128();

	for (int y = 0; y < BLOCK; y++) {
		__m128i p = _mm_loadu_si128((const __m128i *)(a + y * STRIDE));
		__m128i q = _mm_loadu_si128((const __m128i *)(b + y * STRIDE));

		sum = _mm_add_epi64(sum, _mm_sad_epu8(p, q));
	}
	return (uint32_t)(_mm_cvtsi128_si32(sum) + _mm_cvtsi128_si32(_mm_srli_si128(sum, 8)));
}

static inline void butterfly(__m128i *a, __m128i *b)
{
	__m128i sum = _mm_add_epi16(*a, *b);

	*b = _mm_sub_epi16(*a, *b);
	*a = sum;
}

static inline void hadamard(__m128i r[4])
{
	butterfly(&r[0], &r[1]);
	butterfly(&r[2], &r[3]);
	butterfly(&r[0], &r[2]);
	butterfly(&r[1], &r[3]);
}

/* Two 4x4 blocks side by side, both transposed (their rows end up in pairs). */
static inline void transpose(__m128i r[4])
{
	__m128i a = _mm_unpacklo_epi16(r[0], r[1]), b = _mm_unpacklo_epi16(r[2], r[3]);
	__m128i c = _mm_unpackhi_epi16(r[0], r[1]), d = _mm_unpackhi_epi16(r[2], r[3]);
	__m128i left01 = _mm_unpacklo_epi32(a, b), left23 = _mm_unpackhi_epi32(a, b);
	__m128i right01 = _mm_unpacklo_epi32(c, d), right23 = _mm_unpackhi_epi32(c, d);

	r[0] = _mm_unpacklo_epi64(left01, right01);
	r[1] = _mm_unpackhi_epi64(left01, right01);
	r[2] = _mm_unpacklo_epi64(left23, right23);
	r[3] = _mm_unpackhi_epi64(left23, right23);
}

/* 8 pixels wide, 4 high. */
static __m128i satd_strip(const uint8_t *a, const uint8_t *b)
{
	const __m128i zero = _mm_setzero_si128();
	__m128i r[4], sum = zero;

	for (int y = 0; y < 4; y++) {
		__m128i p = _mm_loadl_epi64((const __m128i *)(a + y * STRIDE));
		__m128i q = _mm_loadl_epi64((const __m128i *)(b + y * STRIDE));

		r[y] = _mm_sub_epi16(_mm_unpacklo_epi8(p, zero), _mm_unpacklo_epi8(q, zero));
	}
	hadamard(r);
	transpose(r);
	hadamard(r);
	for (int y = 0; y < 4; y++) {
		__m128i magnitude = _mm_max_epi16(r[y], _mm_sub_epi16(zero, r[y]));

		sum = _mm_add_epi32(sum, _mm_madd_epi16(magnitude, _mm_set1_epi16(1)));
	}
	return sum;
}

static uint32_t satd(const uint8_t *a, const uint8_t *b)
{
	__m128i sum = _mm_setzero_si128();

	for (int y = 0; y < BLOCK; y += 4)
		for (int x = 0; x < BLOCK; x += 8)
			sum = _mm_add_epi32(sum, satd_strip(a + y * STRIDE + x, b + y * STRIDE + x));
	sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, _MM_SHUFFLE(1, 0, 3, 2)));
	sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, _MM_SHUFFLE(2, 3, 0, 1)));
	return (uint32_t)_mm_cvtsi128_si32(sum) / 2;
}

/* ---- search ------------------------------------------------------------ */

/* Long vectors must pay for the bits they take. */
static void try(struct search *s, int32_t x, int32_t y)
{
	if (x < s->min_x || x > s->max_x || y < s->min_y || y > s->max_y)
		return;

	uint32_t cost = sad(s->block, s->reference + y * STRIDE + x) +
			2 * (uint32_t)((x < 0 ? -x : x) + (y < 0 ? -y : y));

	s->tried++;
	if (cost < s->best.sad)
		s->best = (struct vector){ x, y, cost };
}

static void diamond(struct search *s)
{
	static const int8_t large[8][2] = { { 0, -2 }, { 1, -1 }, { 2, 0 },  { 1, 1 },
					    { 0, 2 },  { -1, 1 }, { -2, 0 }, { -1, -1 } };
	static const int8_t small[4][2] = { { 0, -1 }, { 1, 0 }, { 0, 1 }, { -1, 0 } };
	struct vector center;

	do {
		center = s->best;
		for (int i = 0; i < 8; i++)
			try(s, center.x + large[i][0], center.y + large[i][1]);
	} while (s->best.x != center.x || s->best.y != center.y);
	for (int i = 0; i < 4; i++)
		try(s, center.x + small[i][0], center.y + small[i][1]);
}

static void exhaustive(struct search *s)
{
	for (int32_t y = -REACH; y <= REACH; y++)
		for (int32_t x = -REACH; x <= REACH; x++)
			try(s, x, y);
}

/* Starts from standing still and from where the neighbour on the left went. */
static struct vector estimate(struct search *s, struct vector neighbour)
{
	s->best.sad = ~0u;
	try(s, 0, 0);
	try(s, neighbour.x, neighbour.y);
	diamond(s);
	if (s->best.sad > BAD_SAD)
		exhaustive(s);
	return s->best;
}

/* The plain definition, against which the vector code is checked. */
static uint32_t plain_sad(const uint8_t *a, const uint8_t *b)
{
	uint32_t sum = 0;

	for (int y = 0; y < BLOCK; y++)
		for (int x = 0; x < BLOCK; x++) {
			int d = a[y * STRIDE + x] - b[y * STRIDE + x];

			sum += (uint32_t)(d < 0 ? -d : d);
		}
	return sum;
}

static uint64_t compare(const struct frame *now, const struct frame *before, struct env *env,
			uint64_t digest, uint32_t number)
{
	uint32_t sad_sum = 0, satd_sum = 0, tried = 0;
	struct vector v = { 0 };

	for (int row = 0; row < ROWS; row++)
		for (int column = 0; column < COLUMNS; column++) {
			int at = (BORDER + row * BLOCK) * STRIDE + BORDER + column * BLOCK;
			struct search s = {
				.block = now->pixels + at,
				.reference = before->pixels + at,
				.min_x = -BORDER - column * BLOCK,
				.max_x = BORDER + (COLUMNS - 1 - column) * BLOCK,
				.min_y = -BORDER - row * BLOCK,
				.max_y = BORDER + (ROWS - 1 - row) * BLOCK,
			};

			v = estimate(&s, v);

			const uint8_t *match = s.reference + v.y * STRIDE + v.x;
			uint32_t transformed = satd(s.block, match);

			if (column == row)
				verify(env, plain_sad(s.block, match) == sad(s.block, match));
			digest = digest_add(digest, (uint64_t)(uint8_t)v.x << 56 |
							    (uint64_t)(uint8_t)v.y << 48 |
							    (uint64_t)(v.sad & 0xffffff) << 24 | transformed);
			sad_sum += v.sad;
			satd_sum += transformed;
			tried += s.tried;
		}
	env->print("x264: frame %u: SAD %u, SATD %u, %u positions tried\n", (unsigned)number,
		   (unsigned)sad_sum, (unsigned)satd_sum, (unsigned)tried);
	return digest;
}

uint64_t run_x264(const struct params *params, struct env *env)
{
	struct frame *now = env->alloc(sizeof *now), *before = env->alloc(sizeof *before);
	struct scene *scene = env->alloc(sizeof *scene);
	uint64_t digest = DIGEST_START;

	for (uint32_t round = 0; round < params->scale; round++) {
		struct random random = random_for(params, round);

		make_scene(scene, &random);
		draw(scene, before, 0);
		for (int32_t time = 1; time < FRAMES; time++) {
			struct frame *next = before;

			draw(scene, now, time);
			digest = compare(now, before, env, digest, (uint32_t)time);
			before = now;
			now = next;
			env->yield();
		}
	}
	return digest;
}
