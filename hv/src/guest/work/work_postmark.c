/*
 * Small-file transactions, after the PostMark benchmark: a mail server's
 * life, in which files are made, read, grown and deleted.
 *
 * The files live in a small file system of our own: one directory, inodes
 * with direct blocks, a bitmap, and a write-back cache of a few sectors, so
 * that the disk is really used. Every byte that is read is checked against
 * what was written. At the end the cache is flushed, the disk is read
 * without it, and its structure is checked from the outside.
 */
#include "work.h"

/* ---- the disk's format ------------------------------------------------- */

#define MAGIC         0x736c6966u /* "fils" */
#define SECTORS       512         /* used of the disk, whatever its size */
#define BITMAP_SECTOR 1
#define INODE_SECTOR  2
#define INODES        64
#define DATA_SECTOR   10
#define BLOCKS        12 /* most of a file */
#define NAME_LENGTH   12
#define DIRECTORY     0  /* its inode */
#define NO_INODE      0xffffffffu

struct superblock {
	uint32_t magic, sectors, inodes, data_sector;
};

struct inode {
	uint32_t used, size;
	uint32_t blocks[BLOCKS];
	uint32_t reserved[2];
};

struct entry {
	char name[NAME_LENGTH]; /* "" is free */
	uint32_t inode;
};

#define INODES_PER_SECTOR  (SECTOR / sizeof(struct inode))
#define ENTRIES_PER_SECTOR (SECTOR / sizeof(struct entry))

/* ---- the cache --------------------------------------------------------- */

#define CACHED 16

struct cached {
	uint32_t sector, used_at, valid, dirty;
	uint8_t data[SECTOR] __attribute__((aligned(16)));
};

struct fs {
	struct env *env;
	struct cached cache[CACHED];
	uint32_t clock, reads, writes;
};

static void write_back(struct fs *fs, struct cached *c)
{
	verify(fs->env, fs->env->block_write(c->sector, c->data, 1) == 1);
	c->dirty = 0;
	fs->writes++;
}

/* A sector in the cache; the least recently used one makes room. */
static struct cached *cached(struct fs *fs, uint32_t sector, int read)
{
	struct cached *victim = &fs->cache[0];

	for (struct cached *c = fs->cache; c < fs->cache + CACHED; c++) {
		if (c->valid && c->sector == sector) {
			c->used_at = ++fs->clock;
			return c;
		}
		if (c->used_at < victim->used_at)
			victim = c;
	}
	if (victim->dirty)
		write_back(fs, victim);
	victim->sector = sector;
	victim->used_at = ++fs->clock;
	victim->valid = 1;
	if (read) {
		verify(fs->env, fs->env->block_read(sector, victim->data, 1) == 1);
		fs->reads++;
	} else {
		for (int i = 0; i < SECTOR; i++)
			victim->data[i] = 0;
	}
	return victim;
}

static const void *look(struct fs *fs, uint32_t sector)
{
	return cached(fs, sector, 1)->data;
}

static void *change(struct fs *fs, uint32_t sector)
{
	struct cached *c = cached(fs, sector, 1);

	c->dirty = 1;
	return c->data;
}

/* A sector whose old contents are of no interest. */
static void *fresh(struct fs *fs, uint32_t sector)
{
	struct cached *c = cached(fs, sector, 0);

	c->dirty = 1;
	return c->data;
}

static void sync(struct fs *fs)
{
	for (struct cached *c = fs->cache; c < fs->cache + CACHED; c++)
		if (c->dirty)
			write_back(fs, c);
}

/* ---- blocks and inodes ------------------------------------------------- */

static uint32_t allocate_block(struct fs *fs)
{
	uint32_t *map = change(fs, BITMAP_SECTOR);

	for (uint32_t w = 0; w < SECTORS / 32; w++)
		if (~map[w]) {
			uint32_t bit = (uint32_t)__builtin_ctz(~map[w]);

			map[w] |= 1u << bit;
			return w * 32 + bit;
		}
	fs->env->fail("the disk is full", __LINE__);
}

static void free_block(struct fs *fs, uint32_t block)
{
	uint32_t *map = change(fs, BITMAP_SECTOR);

	verify(fs->env, block >= DATA_SECTOR && block < SECTORS && map[block / 32] >> block % 32 & 1);
	map[block / 32] &= ~(1u << block % 32);
}

/* A copy: the cache may give the sector to others at the next look. */
static struct inode get_inode(struct fs *fs, uint32_t number)
{
	const struct inode *table = look(fs, INODE_SECTOR + number / INODES_PER_SECTOR);

	return table[number % INODES_PER_SECTOR];
}

static void put_inode(struct fs *fs, uint32_t number, const struct inode *inode)
{
	struct inode *table = change(fs, INODE_SECTOR + number / INODES_PER_SECTOR);

	table[number % INODES_PER_SECTOR] = *inode;
}

/* ---- the directory, a file of entries ---------------------------------- */

static int same_name(const char *a, const char *b)
{
	for (int i = 0; i < NAME_LENGTH; i++) {
		if (a[i] != b[i])
			return 0;
		if (!a[i])
			return 1;
	}
	return 1;
}

/* The entry with this name ("": a free one), as a sector and an index in it. */
static int find_entry(struct fs *fs, const char *name, uint32_t *sector, uint32_t *index)
{
	struct inode directory = get_inode(fs, DIRECTORY);

	for (uint32_t b = 0; b < directory.size / SECTOR; b++) {
		const struct entry *e = look(fs, directory.blocks[b]);

		for (uint32_t i = 0; i < ENTRIES_PER_SECTOR; i++)
			if (same_name(e[i].name, name)) {
				*sector = directory.blocks[b];
				*index = i;
				return 1;
			}
	}
	return 0;
}

static uint32_t lookup(struct fs *fs, const char *name)
{
	uint32_t sector, index;

	if (!find_entry(fs, name, &sector, &index))
		return NO_INODE;
	return ((const struct entry *)look(fs, sector))[index].inode;
}

static void add_entry(struct fs *fs, const char *name, uint32_t number)
{
	uint32_t sector, index;

	if (!find_entry(fs, "", &sector, &index)) {
		struct inode directory = get_inode(fs, DIRECTORY);

		sector = allocate_block(fs);
		index = 0;
		directory.blocks[directory.size / SECTOR] = sector;
		directory.size += SECTOR;
		put_inode(fs, DIRECTORY, &directory);
		fresh(fs, sector);
	}

	struct entry *e = (struct entry *)change(fs, sector) + index;

	for (int i = 0; i < NAME_LENGTH; i++)
		if (!(e->name[i] = name[i]))
			break;
	e->inode = number;
}

/* ---- files ------------------------------------------------------------- */

static uint32_t create(struct fs *fs, const char *name)
{
	for (uint32_t number = 1; number < INODES; number++) {
		struct inode inode = get_inode(fs, number);

		if (inode.used)
			continue;
		inode = (struct inode){ .used = 1 };
		put_inode(fs, number, &inode);
		add_entry(fs, name, number);
		return number;
	}
	fs->env->fail("no inode is free", __LINE__);
}

/*
 * What a file holds: its serial number and the offset decide every byte, so
 * that sectors mixed up between files, or within one, show.
 */
static uint8_t content(uint32_t serial, uint32_t offset)
{
	return (uint8_t)((serial * 0x9e3779b1u + offset * 0x85ebca6bu) >> 24);
}

static void append(struct fs *fs, uint32_t number, uint32_t serial, uint32_t bytes)
{
	struct inode inode = get_inode(fs, number);

	while (bytes) {
		uint32_t in_block = inode.size % SECTOR, n = SECTOR - in_block;
		uint8_t *data;

		if (n > bytes)
			n = bytes;
		if (in_block == 0) {
			inode.blocks[inode.size / SECTOR] = allocate_block(fs);
			data = fresh(fs, inode.blocks[inode.size / SECTOR]);
		} else {
			data = change(fs, inode.blocks[inode.size / SECTOR]);
		}
		for (uint32_t i = 0; i < n; i++)
			data[in_block + i] = content(serial, inode.size + i);
		inode.size += n;
		bytes -= n;
	}
	put_inode(fs, number, &inode);
}

static uint64_t read_all(struct fs *fs, uint32_t number, uint32_t serial, uint32_t size)
{
	struct inode inode = get_inode(fs, number);
	uint64_t digest = size;

	verify(fs->env, inode.used && inode.size == size);
	for (uint32_t at = 0; at < size; at += SECTOR) {
		const uint8_t *data = look(fs, inode.blocks[at / SECTOR]);
		uint32_t n = size - at < SECTOR ? size - at : SECTOR;

		for (uint32_t i = 0; i < n; i++) {
			verify(fs->env, data[i] == content(serial, at + i));
			digest = digest * 31 + data[i];
		}
	}
	return digest;
}

static void delete(struct fs *fs, const char *name)
{
	uint32_t sector, index;

	verify(fs->env, find_entry(fs, name, &sector, &index));

	struct entry *e = (struct entry *)change(fs, sector) + index;
	uint32_t number = e->inode;

	*e = (struct entry){ .inode = 0 };

	struct inode inode = get_inode(fs, number);

	for (uint32_t at = 0; at < inode.size; at += SECTOR)
		free_block(fs, inode.blocks[at / SECTOR]);
	inode = (struct inode){ .used = 0 };
	put_inode(fs, number, &inode);
}

static void format(struct fs *fs)
{
	struct superblock *super = fresh(fs, 0);

	*super = (struct superblock){ MAGIC, SECTORS, INODES, DATA_SECTOR };

	uint32_t *map = fresh(fs, BITMAP_SECTOR);

	map[0] = (1u << DATA_SECTOR) - 1;
	for (uint32_t s = INODE_SECTOR; s < DATA_SECTOR; s++)
		fresh(fs, s);

	struct inode directory = { .used = 1 };

	put_inode(fs, DIRECTORY, &directory);
}

/* ---- transactions ------------------------------------------------------ */

#define POOL         24 /* files about, at most */
#define TRANSACTIONS 260
#define LEAST_SIZE   200
#define MOST_SIZE    1600
#define MOST_APPEND  900

struct file {
	uint32_t serial, size; /* serial 0: does not exist */
	char name[NAME_LENGTH];
};

struct server {
	struct fs fs;
	struct file files[POOL];
	uint32_t serials;
	uint32_t created, read, appended, deleted;
	uint64_t digest;
};

static void name_file(struct file *f)
{
	uint32_t n = f->serial;
	int i = NAME_LENGTH - 1;

	f->name[i--] = '\0';
	for (; i > 3; i--, n /= 10)
		f->name[i] = (char)('0' + n % 10);
	f->name[0] = 'm', f->name[1] = 'a', f->name[2] = 'i', f->name[3] = 'l';
}

static void create_file(struct server *s, struct file *f, uint32_t size)
{
	f->serial = ++s->serials;
	f->size = size;
	name_file(f);
	append(&s->fs, create(&s->fs, f->name), f->serial, size);
	s->created++;
}

static void delete_file(struct server *s, struct file *f)
{
	delete(&s->fs, f->name);
	verify(s->fs.env, lookup(&s->fs, f->name) == NO_INODE);
	f->serial = 0;
	s->deleted++;
}

static void read_file(struct server *s, struct file *f)
{
	uint32_t number = lookup(&s->fs, f->name);

	verify(s->fs.env, number != NO_INODE);
	s->digest = digest_add(s->digest, read_all(&s->fs, number, f->serial, f->size));
	s->read++;
}

static void grow_file(struct server *s, struct file *f, uint32_t bytes)
{
	uint32_t number = lookup(&s->fs, f->name);

	verify(s->fs.env, number != NO_INODE);
	if (f->size + bytes > BLOCKS * SECTOR)
		return;
	append(&s->fs, number, f->serial, bytes);
	f->size += bytes;
	s->appended++;
}

/* One transaction picks a file: where there is none one is made. */
static void transaction(struct server *s, struct random *random)
{
	struct file *f = &s->files[random_below(random, POOL)];

	if (!f->serial) {
		create_file(s, f, LEAST_SIZE + random_below(random, MOST_SIZE - LEAST_SIZE));
		return;
	}
	switch (random_below(random, 5)) {
	case 0:
		delete_file(s, f);
		break;
	case 1:
	case 2:
		grow_file(s, f, 1 + random_below(random, MOST_APPEND));
		break;
	default:
		read_file(s, f);
	}
}

/* ---- the disk from the outside ----------------------------------------- */

static void read_sector(struct env *env, uint32_t sector, void *to)
{
	verify(env, env->block_read(sector, to, 1) == 1);
}

static uint64_t digest_sector(struct env *env, uint32_t sector, uint64_t digest)
{
	uint64_t words[SECTOR / 8];

	read_sector(env, sector, words);
	for (int i = 0; i < SECTOR / 8; i++)
		digest = digest_add(digest, words[i]);
	return digest;
}

/* Every block belongs to one file, and the bitmap says the same. */
static uint64_t check_disk(struct env *env, uint64_t digest)
{
	uint32_t map[SECTOR / 4], seen[SECTORS / 32] = { (1u << DATA_SECTOR) - 1 };

	digest = digest_sector(env, 0, digest);
	digest = digest_sector(env, BITMAP_SECTOR, digest);
	read_sector(env, BITMAP_SECTOR, map);
	for (uint32_t s = INODE_SECTOR; s < DATA_SECTOR; s++) {
		struct inode table[INODES_PER_SECTOR];

		digest = digest_sector(env, s, digest);
		read_sector(env, s, table);
		for (uint32_t i = 0; i < INODES_PER_SECTOR; i++)
			for (uint32_t at = 0; table[i].used && at < table[i].size; at += SECTOR) {
				uint32_t block = table[i].blocks[at / SECTOR];

				verify(env, block < SECTORS && !(seen[block / 32] >> block % 32 & 1));
				seen[block / 32] |= 1u << block % 32;
				digest = digest_sector(env, block, digest);
			}
	}
	for (uint32_t w = 0; w < SECTORS / 32; w++)
		verify(env, map[w] == seen[w]);
	return digest;
}

uint64_t run_postmark(const struct params *params, struct env *env)
{
	struct server *s = env->alloc(sizeof *s);

	verify(env, env->block_size() >= SECTORS);
	s->fs.env = env;
	s->digest = DIGEST_START;
	format(&s->fs);

	for (uint32_t round = 0; round < params->scale; round++) {
		struct random random = random_for(params, round);

		for (uint32_t t = 0; t < TRANSACTIONS; t++) {
			transaction(s, &random);
			if (t % 16 == 15)
				env->yield();
		}
		sync(&s->fs);
		s->digest = check_disk(env, s->digest);
		env->print("postmark: %u created, %u read, %u appended, %u deleted; "
			   "%u sectors read, %u written\n",
			   (unsigned)s->created, (unsigned)s->read, (unsigned)s->appended,
			   (unsigned)s->deleted, (unsigned)s->fs.reads, (unsigned)s->fs.writes);
	}
	return s->digest;
}
