/*
 * Multiboot, version 1, from both sides: reading what our loader left for us,
 * and being the loader for guests. What a guest image says is not trusted.
 */
#include "hv.h"

#define BOOTLOADER_MAGIC    0x2badb002u
#define HEADER_MAGIC        0x1badb002u
#define HEADER_SEARCH       8192u
#define HEADER_ADDRESSES    BIT(16)     /* the a.out fields are valid */

#define INFO_MEMORY         BIT(0)
#define INFO_COMMAND_LINE   BIT(2)
#define INFO_MODULES        BIT(3)
#define INFO_MEMORY_MAP     BIT(6)

#define MEMORY_AVAILABLE    1

struct info {
    u32 flags, mem_lower, mem_upper, boot_device, cmdline;
    u32 mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
    u32 unused[9];
};

struct info_module { u32 start, end, string, reserved; };

struct mmap_entry { u32 size; u64 base, length; u32 type; } __attribute__((packed));

struct header {
    u32 magic, flags, checksum;
    u32 header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
};

/* ---- What our loader left ------------------------------------------- */

/* Copied before memory is given out, since it may lie anywhere. */
static struct module modules[MAX_VMS + 4];
static u32 module_count;
static struct { u64 base, size; } ram[32];
static u32 ram_count;
static char strings[4096];
static u32 strings_used;
static const char *command_line = "";

static const char *keep_string(u32 address)
{
    const char *s = (const char *)(u64)address;
    const char *kept = strings + strings_used;

    for (; *s; s++) {
        if (strings_used == sizeof(strings) - 1)
            cannot_start("command lines are too long");
        strings[strings_used++] = *s;
    }
    strings[strings_used++] = 0;
    return kept;
}

static void add_ram(u64 base, u64 size)
{
    u64 end = MIN(base + size, 4 * GIB);    /* more is not needed here */

    base = ALIGN_UP(base, PAGE_SIZE);
    end &= ~(PAGE_SIZE - 1);
    if (base < end && ram_count < COUNT_OF(ram)) {
        ram[ram_count].base = base;
        ram[ram_count++].size = end - base;
    }
}

void multiboot_init(u32 magic, u64 address)
{
    const struct info *info = (const struct info *)address;

    if (magic != BOOTLOADER_MAGIC)
        cannot_start("not started by a multiboot loader (magic number %x)", magic);

    if (info->flags & INFO_COMMAND_LINE)
        command_line = keep_string(info->cmdline);

    if (info->flags & INFO_MODULES) {
        const struct info_module *m = (const struct info_module *)(u64)info->mods_addr;
        if (info->mods_count > COUNT_OF(modules))
            cannot_start("%u boot modules; at most %u", info->mods_count, (u32)COUNT_OF(modules));
        for (u32 i = 0; i < info->mods_count; i++)
            modules[module_count++] = (struct module){
                .start = m[i].start,
                .size = m[i].end - m[i].start,
                .words = m[i].string ? keep_string(m[i].string) : "",
            };
    }

    if (info->flags & INFO_MEMORY_MAP) {
        u64 p = info->mmap_addr, end = p + info->mmap_length;
        while (p + sizeof(struct mmap_entry) <= end) {
            const struct mmap_entry *e = (const struct mmap_entry *)p;
            if (e->type == MEMORY_AVAILABLE && e->base < 4 * GIB)
                add_ram(e->base, e->length);
            p += e->size + sizeof(e->size);
        }
    } else if (info->flags & INFO_MEMORY) {
        add_ram(MIB, (u64)info->mem_upper * KIB);
    }
    if (!ram_count)
        cannot_start("the loader reports no memory");
}

const char *multiboot_command_line(void)
{
    return command_line;
}

u32 multiboot_modules(const struct module **m)
{
    *m = modules;
    return module_count;
}

bool multiboot_next_ram(u32 *cursor, u64 *base, u64 *size)
{
    if (*cursor >= ram_count)
        return false;
    *base = ram[*cursor].base;
    *size = ram[*cursor].size;
    ++*cursor;
    return true;
}

/* ---- Words of a command line ----------------------------------------- */

bool next_word(const char **line, const char **word, u32 *length)
{
    const char *p = *line;

    while (*p == ' ')
        p++;
    *word = p;
    while (*p && *p != ' ')
        p++;
    *length = (u32)(p - *word);
    *line = p;
    return *length != 0;
}

bool word_is(const char *word, u32 length, const char *text)
{
    return length == strlen(text) && !memcmp(word, text, length);
}

/* KEY=NUMBER, decimal. */
bool word_value(const char *word, u32 length, const char *key, u64 *value)
{
    u32 n = (u32)strlen(key);

    if (length <= n + 1 || length > n + 11 || memcmp(word, key, n) || word[n] != '=')
        return false;
    u64 v = 0;
    for (u32 i = n + 1; i < length; i++) {
        if (word[i] < '0' || word[i] > '9')
            return false;
        v = v * 10 + (u64)(word[i] - '0');
    }
    *value = v;
    return true;
}

/* ---- Loading a guest ------------------------------------------------- */

static const struct header *find_header(const struct module *image)
{
    for (u64 at = 0; at + 12 <= MIN(image->size, HEADER_SEARCH); at += 4) {
        const struct header *h = (const struct header *)(image->start + at);
        if (h->magic == HEADER_MAGIC && h->magic + h->flags + h->checksum == 0)
            return h;
    }
    return NULL;
}

/* Copy file_size bytes at offset of the image to gpa, then zeros up to
 * memory_size. guest_write() and guest_pointer() refuse what is not RAM. */
static bool load_segment(struct vm *vm, const struct module *image, u64 offset, u64 file_size,
                         u64 gpa, u64 memory_size)
{
    if (offset > image->size || file_size > image->size - offset || memory_size < file_size)
        return false;
    if (!guest_write(vm, gpa, (const void *)(image->start + offset), file_size))
        return false;
    for (u64 at = gpa + file_size; at < gpa + memory_size; ) {
        u64 n = MIN(PAGE_SIZE - at % PAGE_SIZE, gpa + memory_size - at);
        void *p = guest_pointer(vm, at, n);
        if (!p)
            return false;
        memset(p, 0, n);
        at += n;
    }
    return true;
}

/* Both ELF classes differ only in where the numbers are. */
static bool load_elf(struct vm *vm, const struct module *image, u32 *entry)
{
    const u8 *file = (const u8 *)image->start;
    u64 phoff, entry64;
    u32 entry_size, count;

    if (image->size < 64 || memcmp(file, "\x7f" "ELF", 4) || file[4] < 1 || file[4] > 2)
        return false;
    bool wide = file[4] == 2;
    if (wide) {
        entry64 = *(const u64 *)(file + 24);
        phoff = *(const u64 *)(file + 32);
        entry_size = *(const u16 *)(file + 54);
        count = *(const u16 *)(file + 56);
    } else {
        entry64 = *(const u32 *)(file + 24);
        phoff = *(const u32 *)(file + 28);
        entry_size = *(const u16 *)(file + 42);
        count = *(const u16 *)(file + 44);
    }
    if (entry64 >> 32 || entry_size < (wide ? 56 : 32) || phoff > image->size
        || (u64)entry_size * count > image->size - phoff)
        return false;

    for (u32 i = 0; i < count; i++) {
        const u8 *ph = file + phoff + (u64)i * entry_size;
        bool ok;
        if (*(const u32 *)ph != 1)      /* PT_LOAD */
            continue;
        if (wide)
            ok = load_segment(vm, image, *(const u64 *)(ph + 8), *(const u64 *)(ph + 32),
                              *(const u64 *)(ph + 24), *(const u64 *)(ph + 40));
        else
            ok = load_segment(vm, image, *(const u32 *)(ph + 4), *(const u32 *)(ph + 16),
                              *(const u32 *)(ph + 12), *(const u32 *)(ph + 20));
        if (!ok)
            return false;
    }
    *entry = (u32)entry64;
    return true;
}

bool multiboot_load(struct vm *vm, const struct module *image, u32 *entry)
{
    const struct header *h = find_header(image);

    if (!h)
        return false;
    if (!(h->flags & HEADER_ADDRESSES))
        return load_elf(vm, image, entry);

    u64 at = (u64)h - image->start;
    if (at + sizeof(*h) > image->size || h->header_addr < h->load_addr
        || h->header_addr - h->load_addr > at)
        return false;
    u64 offset = at - (h->header_addr - h->load_addr);
    u64 size = h->load_end_addr ? (u64)h->load_end_addr - h->load_addr : image->size - offset;
    u64 memory = h->bss_end_addr ? (u64)h->bss_end_addr - h->load_addr : size;
    *entry = h->entry_addr;
    return load_segment(vm, image, offset, size, h->load_addr, memory);
}
