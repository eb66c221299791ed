/*
 * Frequent itemsets by FP-growth (Han, Pei, Yin): which goods are often
 * bought together?
 *
 * The baskets are folded into a tree of prefixes, the frequent items near
 * the root, so that many baskets share a path. For each item, from the rarest
 * up, the paths that lead to it are a smaller data base of their own, for
 * which a smaller tree is grown, and so on. Every node of every tree comes
 * from one pool, used as a stack.
 */
#include "work.h"

#define ITEMS    48 /* a basket fits a 64-bit mask, which the check uses */
#define BASKETS  500
#define PATTERNS 16 /* habits of the customers */
#define SUPPORT  23 /* fewer baskets are not frequent */
#define POOL     20000
#define NONE     0u /* node 0 is never used */

struct node {
	uint32_t item, count;
	uint32_t parent, child, sibling;
	uint32_t same; /* the next node of the same item */
};

struct tree {
	uint32_t root;
	uint32_t support[ITEMS];
	uint32_t nodes_of[ITEMS]; /* chains through `same` */
};

struct miner {
	struct env *env;
	uint64_t baskets[BASKETS];
	uint32_t by_rank[ITEMS]; /* items, the most frequent first */
	struct node pool[POOL];
	uint32_t pool_used;
	uint32_t found, longest;
	uint64_t digest;
};

/* ---- baskets ----------------------------------------------------------- */

static void fill_baskets(struct miner *m, struct random *random)
{
	uint64_t habits[PATTERNS];

	for (int p = 0; p < PATTERNS; p++) {
		habits[p] = 0;
		for (int i = 0; i < 5; i++)
			habits[p] |= 1ull << random_below(random, ITEMS);
	}
	for (int b = 0; b < BASKETS; b++) {
		uint64_t items = 0;

		for (int i = 0; i < 2; i++)
			items |= habits[random_below(random, 1 + random_below(random, PATTERNS))];
		for (int i = 0; i < 2; i++) {
			items &= ~(1ull << random_below(random, ITEMS));
			items |= 1ull << random_below(random, ITEMS);
		}
		m->baskets[b] = items;
	}
}

/*
 * Trees are ordered by rank: from here on "item" in a tree means a rank, and
 * by_rank gives the item on the shelf. Insertion sort; ties by item.
 */
static void rank_items(struct miner *m)
{
	uint32_t count[ITEMS] = { 0 };

	for (int b = 0; b < BASKETS; b++)
		for (int i = 0; i < ITEMS; i++)
			count[i] += m->baskets[b] >> i & 1;
	for (uint32_t i = 0; i < ITEMS; i++) {
		uint32_t at = i;

		for (; at > 0 && count[m->by_rank[at - 1]] < count[i]; at--)
			m->by_rank[at] = m->by_rank[at - 1];
		m->by_rank[at] = i;
	}
}

/* ---- trees ------------------------------------------------------------- */

static uint32_t new_node(struct miner *m, uint32_t item, uint32_t parent)
{
	verify(m->env, m->pool_used < POOL);

	uint32_t n = m->pool_used++;

	m->pool[n] = (struct node){ .item = item, .parent = parent };
	return n;
}

static void new_tree(struct miner *m, struct tree *t)
{
	for (uint32_t i = 0; i < ITEMS; i++)
		t->support[i] = t->nodes_of[i] = 0;
	t->root = new_node(m, ITEMS, NONE);
}

/* One path, the most frequent item first, bought `count` times. */
static void insert(struct miner *m, struct tree *t, const uint8_t *path, uint32_t length,
		   uint32_t count)
{
	uint32_t at = t->root;

	for (uint32_t i = 0; i < length; i++) {
		uint32_t item = path[i], n = m->pool[at].child;

		while (n != NONE && m->pool[n].item != item)
			n = m->pool[n].sibling;
		if (n == NONE) {
			n = new_node(m, item, at);
			m->pool[n].sibling = m->pool[at].child;
			m->pool[at].child = n;
			m->pool[n].same = t->nodes_of[item];
			t->nodes_of[item] = n;
		}
		m->pool[n].count += count;
		t->support[item] += count;
		at = n;
	}
}

static void plant(struct miner *m, struct tree *t)
{
	new_tree(m, t);
	for (int b = 0; b < BASKETS; b++) {
		uint8_t path[ITEMS];
		uint32_t length = 0;

		for (uint32_t rank = 0; rank < ITEMS; rank++)
			if (m->baskets[b] >> m->by_rank[rank] & 1)
				path[length++] = (uint8_t)rank;
		insert(m, t, path, length, 1);
	}
}

/* The tree of what was bought together with `item`, without what is rare there. */
static void condition(struct miner *m, const struct tree *t, uint32_t item, struct tree *out)
{
	uint32_t support[ITEMS] = { 0 };

	for (uint32_t n = t->nodes_of[item]; n != NONE; n = m->pool[n].same)
		for (uint32_t up = m->pool[n].parent; up != t->root; up = m->pool[up].parent)
			support[m->pool[up].item] += m->pool[n].count;

	new_tree(m, out);
	for (uint32_t n = t->nodes_of[item]; n != NONE; n = m->pool[n].same) {
		uint8_t path[ITEMS];
		uint32_t start = ITEMS; /* filled from the end: the way up is backwards */

		for (uint32_t up = m->pool[n].parent; up != t->root; up = m->pool[up].parent)
			if (support[m->pool[up].item] >= SUPPORT)
				path[--start] = (uint8_t)m->pool[up].item;
		insert(m, out, path + start, ITEMS - start, m->pool[n].count);
	}
}

/* ---- growth ------------------------------------------------------------ */

/* Every so often the support is counted the slow way. */
static void found(struct miner *m, uint64_t set, uint32_t size, uint32_t support)
{
	m->digest = digest_add(digest_add(m->digest, set), support);
	if (size > m->longest)
		m->longest = size;
	if (m->found++ % 32 == 0) {
		uint32_t n = 0;

		for (int b = 0; b < BASKETS; b++)
			n += (m->baskets[b] & set) == set;
		verify(m->env, n == support);
	}
}

static void grow(struct miner *m, const struct tree *t, uint64_t suffix, uint32_t size)
{
	for (uint32_t item = ITEMS; item-- > 0;) {
		if (t->support[item] < SUPPORT)
			continue;

		uint64_t set = suffix | 1ull << m->by_rank[item];
		uint32_t mark = m->pool_used;
		struct tree smaller;

		found(m, set, size + 1, t->support[item]);
		condition(m, t, item, &smaller);
		grow(m, &smaller, set, size + 1);
		m->pool_used = mark;
	}
}

uint64_t run_freqmine(const struct params *params, struct env *env)
{
	struct miner *m = env->alloc(sizeof *m);
	struct tree tree;

	m->env = env;
	m->digest = DIGEST_START;
	for (uint32_t round = 0; round < params->scale; round++) {
		struct random random = random_for(params, round);

		fill_baskets(m, &random);
		rank_items(m);
		m->pool_used = 1;
		m->found = m->longest = 0;
		plant(m, &tree);
		env->yield();
		grow(m, &tree, 0, 0);
		env->print("freqmine: %u baskets: %u frequent sets, the largest of %u items\n",
			   (unsigned)BASKETS, (unsigned)m->found, (unsigned)m->longest);
		env->yield();
	}
	return m->digest;
}
