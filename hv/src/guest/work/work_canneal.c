/*
 * Simulated annealing: the elements of a chip are placed on a grid so that the
 * wires between them are short.
 *
 * Two elements change places; if the wires get longer by d, the exchange
 * stands with probability exp(-d / T), and T falls. The arithmetic is double
 * precision with nothing but + - * / and conversions, which IEEE 754 fixes to
 * the last bit; the exponential is written here, because no two libraries
 * agree on theirs.
 */
#include "work.h"

#define SIDE     12
#define ELEMENTS (SIDE * SIDE)
#define WIRES    3 /* that each element begins */
#define PINS     10 /* most wires at one element */
#define MOVES    216 /* at each temperature */
#define STEPS    20

struct placement {
	uint8_t x[ELEMENTS], y[ELEMENTS];
	uint16_t pins[ELEMENTS][PINS]; /* the other ends */
	uint32_t pin_count[ELEMENTS];
};

/* ---- exp --------------------------------------------------------------- */

/*
 * x = n ln 2 + r with |r| <= ln 2 / 2, exp(x) = 2^n exp(r), exp(r) by its
 * series, which 11 terms bring below the last bit that counts here. Only for
 * x <= 0; what is too small to matter is 0.
 */
static double exponential(double x)
{
	if (x < -700.0)
		return 0.0;

	int64_t n = (int64_t)(x * 1.4426950408889634 - 0.5);
	double r = x - (double)n * 0.6931471803691238;
	double sum = 1.0;

	r -= (double)n * 1.9082149292705877e-10;
	for (int k = 11; k > 0; k--)
		sum = 1.0 + sum * r / k;

	union {
		uint64_t bits;
		double value;
	} power = { (uint64_t)(1023 + n) << 52 };

	return sum * power.value;
}

/* ---- netlist ----------------------------------------------------------- */

static void connect(struct placement *p, uint32_t a, uint32_t b)
{
	if (a == b || p->pin_count[a] == PINS || p->pin_count[b] == PINS)
		return;
	p->pins[a][p->pin_count[a]++] = (uint16_t)b;
	p->pins[b][p->pin_count[b]++] = (uint16_t)a;
}

/*
 * A good placement exists: elements are wired mostly to those with nearby
 * numbers, as if numbers ran along the rows. They begin shuffled.
 */
static void build(struct placement *p, struct random *random)
{
	for (uint32_t e = 0; e < ELEMENTS; e++)
		p->pin_count[e] = 0;
	for (uint32_t e = 0; e < ELEMENTS; e++)
		for (int w = 0; w < WIRES; w++) {
			static const uint32_t near[8] = { 1, 2, SIDE, SIDE + 1, SIDE - 1, 2 * SIDE, 1, SIDE };
			uint32_t k = random_below(random, 9);

			connect(p, e, k == 8 ? random_below(random, ELEMENTS)
					     : (e + near[k]) % ELEMENTS);
		}

	uint8_t order[ELEMENTS];

	for (uint32_t e = 0; e < ELEMENTS; e++) {
		uint32_t other = random_below(random, e + 1);

		order[e] = order[other];
		order[other] = (uint8_t)e;
	}
	for (uint32_t e = 0; e < ELEMENTS; e++) {
		p->x[e] = order[e] % SIDE;
		p->y[e] = order[e] / SIDE;
	}
}

static int32_t distance(int32_t a, int32_t b)
{
	return a > b ? a - b : b - a;
}

static int32_t total(const struct placement *p)
{
	int32_t sum = 0;

	for (uint32_t e = 0; e < ELEMENTS; e++)
		for (uint32_t i = 0; i < p->pin_count[e]; i++) {
			uint32_t other = p->pins[e][i];

			sum += distance(p->x[e], p->x[other]) + distance(p->y[e], p->y[other]);
		}
	return sum / 2; /* each wire has two ends */
}

/* ---- annealing --------------------------------------------------------- */

static void exchange(struct placement *p, uint32_t a, uint32_t b)
{
	uint8_t x = p->x[a], y = p->y[a];

	p->x[a] = p->x[b];
	p->y[a] = p->y[b];
	p->x[b] = x;
	p->y[b] = y;
}

/* How much longer element a's wires get if it goes to b's place; those to b stay. */
static int32_t growth(const struct placement *p, uint32_t a, uint32_t b)
{
	int32_t x = p->x[a], y = p->y[a], new_x = p->x[b], new_y = p->y[b], sum = 0;

	for (uint32_t i = 0; i < p->pin_count[a]; i++) {
		uint32_t other = p->pins[a][i];
		int32_t ox = p->x[other], oy = p->y[other];

		if (other != b)
			sum += distance(new_x, ox) + distance(new_y, oy) - distance(x, ox) -
			       distance(y, oy);
	}
	return sum;
}

static int accept(struct random *random, int32_t longer, double temperature)
{
	if (longer <= 0)
		return 1;
	/* 53 random bits as a number in [0, 1) */
	return (double)(random_next(random) >> 11) * 0x1p-53 <
	       exponential(-(double)longer / temperature);
}

static void check(const struct placement *p, struct env *env, int32_t length)
{
	uint8_t taken[ELEMENTS] = { 0 };

	for (uint32_t e = 0; e < ELEMENTS; e++) {
		uint32_t place = (uint32_t)p->y[e] * SIDE + p->x[e];

		verify(env, place < ELEMENTS && !taken[place]);
		taken[place] = 1;
	}
	verify(env, total(p) == length);
}

uint64_t run_canneal(const struct params *params, struct env *env)
{
	struct placement *p = env->alloc(sizeof *p);
	uint64_t digest = DIGEST_START;

	for (uint32_t round = 0; round < params->scale; round++) {
		struct random random = random_for(params, round);

		build(p, &random);

		int32_t before = total(p), length = before;
		double temperature = 8.0;
		uint32_t kept = 0;

		for (int step = 0; step < STEPS; step++) {
			for (int move = 0; move < MOVES; move++) {
				uint32_t a = random_below(&random, ELEMENTS);
				uint32_t b = random_below(&random, ELEMENTS);
				int32_t longer = growth(p, a, b) + growth(p, b, a);

				if (a != b && accept(&random, longer, temperature)) {
					exchange(p, a, b);
					length += longer;
					kept++;
				}
			}
			temperature *= 0.78;
			if (step % 4 == 3)
				env->yield();
		}
		check(p, env, length);

		for (uint32_t e = 0; e < ELEMENTS; e++)
			digest = digest_add(digest, (uint64_t)p->x[e] << 8 | p->y[e]);
		digest = digest_add(digest, (uint64_t)length);
		env->print("canneal: wires of %d shortened to %d, %u of %u exchanges kept\n",
			   (int)before, (int)length, (unsigned)kept, (unsigned)(MOVES * STEPS));
	}
	return digest;
}
