/*
 * Minimum-cost flow: goods from a few factories to a few shops over a road
 * network with capacities and tolls, as much as fits, as cheaply as that can
 * be done.
 *
 * Successive shortest paths: as long as there is a way left, send what fits
 * along the cheapest one. Sending creates arcs backwards with negative
 * costs; potentials (each node's distance so far) keep the reduced costs
 * from being negative, so that Dijkstra's algorithm with a heap will do. The
 * potentials also prove the result: no negative reduced cost is left.
 */
#include "work.h"

#define NODES     160
#define OUT_ARCS  5 /* roads from each town */
#define FACTORIES 8
#define SHOPS     8
#define SOURCE    NODES
#define SINK      (NODES + 1)
#define ALL_NODES (NODES + 2)
#define ARCS      (2 * (NODES * OUT_ARCS + FACTORIES + SHOPS)) /* each with its reverse */
#define NONE      0xffffffffu
#define FAR       0x7fffffff

/* Arc i's reverse is i ^ 1. */
struct arc {
	uint32_t from, to, next; /* next: another arc from the same node */
	int32_t capacity;        /* what still fits */
	int32_t cost;
};

struct network {
	struct arc arcs[ARCS];
	uint32_t arc_count;
	uint32_t first[ALL_NODES];
	int32_t potential[ALL_NODES];
	int32_t distance[ALL_NODES];
	uint32_t by[ALL_NODES];       /* the arc by which the shortest path comes */
	uint32_t heap[ALL_NODES], place[ALL_NODES], heap_size;
};

/* ---- the network ------------------------------------------------------- */

static void add_arc(struct network *g, uint32_t from, uint32_t to, int32_t capacity, int32_t cost)
{
	uint32_t i = g->arc_count;

	g->arcs[i] = (struct arc){ from, to, g->first[from], capacity, cost };
	g->arcs[i + 1] = (struct arc){ to, from, g->first[to], 0, -cost };
	g->first[from] = i;
	g->first[to] = i + 1;
	g->arc_count += 2;
}

/* Towns on a ring: mostly roads to neighbours, now and then a long one. */
static void build(struct network *g, struct random *random)
{
	g->arc_count = 0;
	for (uint32_t n = 0; n < ALL_NODES; n++) {
		g->first[n] = NONE;
		g->potential[n] = 0;
	}
	for (uint32_t n = 0; n < NODES; n++)
		for (int k = 0; k < OUT_ARCS; k++) {
			uint32_t reach = k ? 12 : NODES - 1;
			uint32_t hop = 1 + random_below(random, reach);
			uint32_t to = (n + (random_below(random, 2) ? hop : NODES - hop)) % NODES;

			add_arc(g, n, to, 4 + (int32_t)random_below(random, 8),
				(int32_t)(1 + hop * 4 + random_below(random, 40)));
		}
	for (uint32_t i = 0; i < FACTORIES; i++)
		add_arc(g, SOURCE, i * 7, 20 + (int32_t)random_below(random, 8), 0);
	for (uint32_t i = 0; i < SHOPS; i++)
		add_arc(g, NODES - 1 - i * 7, SINK, 20 + (int32_t)random_below(random, 8), 0);
}

/* ---- Dijkstra's heap: nodes by distance, each knowing its place -------- */

static void settle(struct network *g, uint32_t i, uint32_t node)
{
	g->heap[i] = node;
	g->place[node] = i;
}

static void rise(struct network *g, uint32_t i)
{
	uint32_t node = g->heap[i];

	while (i) {
		uint32_t parent = (i - 1) / 2;

		if (g->distance[g->heap[parent]] <= g->distance[node])
			break;
		settle(g, i, g->heap[parent]);
		i = parent;
	}
	settle(g, i, node);
}

static uint32_t take_nearest(struct network *g)
{
	uint32_t nearest = g->heap[0], node = g->heap[--g->heap_size], i = 0;

	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= g->heap_size)
			break;
		if (child + 1 < g->heap_size &&
		    g->distance[g->heap[child + 1]] < g->distance[g->heap[child]])
			child++;
		if (g->distance[node] <= g->distance[g->heap[child]])
			break;
		settle(g, i, g->heap[child]);
		i = child;
	}
	if (g->heap_size)
		settle(g, i, node);
	return nearest;
}

static int32_t reduced_cost(const struct network *g, const struct arc *a)
{
	return a->cost + g->potential[a->from] - g->potential[a->to];
}

/*
 * The cheapest ways with room from SOURCE. Is there one to SINK? Nodes that
 * are further than SINK are left with what was known when it was reached.
 */
static int shortest_paths(struct network *g)
{
	for (uint32_t n = 0; n < ALL_NODES; n++) {
		g->distance[n] = FAR;
		g->place[n] = NONE;
	}
	g->distance[SOURCE] = 0;
	g->heap_size = 1;
	settle(g, 0, SOURCE);

	while (g->heap_size) {
		uint32_t node = take_nearest(g);

		if (node == SINK)
			return 1;
		for (uint32_t i = g->first[node]; i != NONE; i = g->arcs[i].next) {
			const struct arc *a = &g->arcs[i];

			if (a->capacity == 0)
				continue;

			int32_t d = g->distance[node] + reduced_cost(g, a);

			if (d >= g->distance[a->to])
				continue;
			g->distance[a->to] = d;
			g->by[a->to] = i;
			if (g->place[a->to] == NONE)
				settle(g, g->heap_size++, a->to);
			rise(g, g->place[a->to]);
		}
	}
	return 0;
}

static int32_t augment(struct network *g)
{
	int32_t fits = FAR, to_sink = g->distance[SINK];

	/*
	 * Nodes further than the sink, or out of reach, move as far as the sink:
	 * that keeps every reduced cost with room at zero or above.
	 */
	for (uint32_t n = 0; n < ALL_NODES; n++)
		g->potential[n] += g->distance[n] < to_sink ? g->distance[n] : to_sink;

	for (uint32_t n = SINK; n != SOURCE; n = g->arcs[g->by[n]].from)
		if (g->arcs[g->by[n]].capacity < fits)
			fits = g->arcs[g->by[n]].capacity;
	for (uint32_t n = SINK; n != SOURCE; n = g->arcs[g->by[n]].from) {
		g->arcs[g->by[n]].capacity -= fits;
		g->arcs[g->by[n] ^ 1].capacity += fits;
	}
	return fits;
}

/* ---- is it a flow, and the cheapest one? ------------------------------- */

static void check(const struct network *g, struct env *env, int64_t flow)
{
	int64_t balance[ALL_NODES] = { 0 };

	for (uint32_t i = 0; i < g->arc_count; i++) {
		const struct arc *a = &g->arcs[i];

		verify(env, a->capacity >= 0);
		verify(env, a->capacity == 0 || reduced_cost(g, a) >= 0);
		if (i & 1) { /* a reverse arc's room is the flow on its partner */
			balance[a->from] += a->capacity;
			balance[a->to] -= a->capacity;
		}
	}
	for (uint32_t n = 0; n < NODES; n++)
		verify(env, balance[n] == 0);
	verify(env, balance[SINK] == flow && balance[SOURCE] == -flow);
}

uint64_t run_mcf(const struct params *params, struct env *env)
{
	struct network *g = env->alloc(sizeof *g);
	uint64_t digest = DIGEST_START;

	for (uint32_t round = 0; round < params->scale; round++) {
		struct random random = random_for(params, round);
		int64_t flow = 0, cost = 0;
		uint32_t paths = 0;

		build(g, &random);
		while (shortest_paths(g)) {
			int32_t sent = augment(g);

			flow += sent;
			cost += (int64_t)sent * (g->potential[SINK] - g->potential[SOURCE]);
			if (++paths % 16 == 0)
				env->yield();
		}
		check(g, env, flow);

		for (uint32_t i = 1; i < g->arc_count; i += 2)
			digest = digest_add(digest, (uint64_t)g->arcs[i].capacity);
		digest = digest_add(digest_add(digest, (uint64_t)flow), (uint64_t)cost);
		env->print("mcf: network %u: flow %ld, cost %ld, by %u paths\n", (unsigned)round,
			   (long)flow, (long)cost, (unsigned)paths);
	}
	return digest;
}
