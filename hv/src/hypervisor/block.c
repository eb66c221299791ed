/*
 * Block devices: a disk in memory for each VM, and one that all VMs share,
 * whose sectors follow at HV_BLOCK_SHARED. Reached by hypercall, or by the
 * registers of the device at HV_MMIO_BASE.
 */
#include "hv.h"

#define SECTOR          512ull
#define SHARED_SECTORS  512ull
#define MAX_TRANSFER    1024ull     /* sectors */

static u8 *shared;

void block_init(void)
{
    shared = (u8 *)mm_alloc(SHARED_SECTORS * SECTOR, PAGE_SIZE, OWNER_DISK, MAX_VMS);
}

/* A boot module has a disk's first contents. */
void block_attach(const struct module *module)
{
    const char *line = module->words, *word;
    u32 length;
    u64 id = MAX_VMS;
    u8 *to = shared;
    u64 size = SHARED_SECTORS * SECTOR;

    while (next_word(&line, &word, &length))
        word_value(word, length, "vm", &id);
    if (id < vm_count) {
        to = (u8 *)vms[id].config.disk;
        size = vms[id].config.disk_sectors * SECTOR;
    } else if (id != MAX_VMS) {
        cannot_start("disk for vm%llu, which does not exist", id);
    }
    if (module->size > size)
        cannot_start("disk of %llu KiB where there are %llu KiB", module->size / KIB, size / KIB);
    memcpy(to, (const void *)module->start, module->size);
}

/* Where a run of sectors is, or NULL. Written so that no sum can overflow. */
static u8 *find_sectors(const struct vm *vm, u64 sector, u64 count)
{
    u8 *base = (u8 *)vm->config.disk;
    u64 size = vm->config.disk_sectors;

    if (sector >= HV_BLOCK_SHARED) {
        base = shared;
        size = SHARED_SECTORS;
        sector -= HV_BLOCK_SHARED;
    }
    if (sector >= size || count > size - sector)
        return NULL;
    return base + sector * SECTOR;
}

s64 block_transfer(struct vm *vm, u64 sector, u64 gpa, u64 count, bool write)
{
    if (!count || count > MAX_TRANSFER)
        return HV_EINVAL;
    u8 *disk = find_sectors(vm, sector, count);
    if (!disk)
        return HV_EINVAL;
    for (u64 i = 0; i < count; i++, disk += SECTOR, gpa += SECTOR) {
        bool ok = write ? guest_read(vm, gpa, disk, SECTOR) : guest_write(vm, gpa, disk, SECTOR);
        if (!ok)
            return HV_EFAULT;
    }
    return (s64)count;
}

/* ---- The memory-mapped device ---------------------------------------- */

static u32 next_random(u32 x)
{
    x ^= x << 13;
    x ^= x >> 17;
    return x ^ x << 5;
}

u32 device_read(struct vm *vm, u32 offset)
{
    struct mmio_device *d = &vm->device;

    switch (offset) {
    case HV_MMIO_ID:        return HV_MMIO_ID_VALUE;
    case HV_MMIO_SCRATCH:   return d->scratch;
    case HV_MMIO_RANDOM:    return d->random = next_random(d->random);
    case HV_MMIO_TICKS:     return (u32)vm->ticks;
    case HV_MMIO_SECTOR:    return d->sector;
    case HV_MMIO_ADDRESS:   return d->address;
    case HV_MMIO_COUNT:     return d->count;
    case HV_MMIO_COMMAND:   return d->status;
    }
    return 0xffffffff;
}

void device_write(struct vm *vm, u32 offset, u32 value)
{
    struct mmio_device *d = &vm->device;

    switch (offset) {
    case HV_MMIO_SCRATCH:   d->scratch = value; break;
    case HV_MMIO_SECTOR:    d->sector = value; break;
    case HV_MMIO_ADDRESS:   d->address = value; break;
    case HV_MMIO_COUNT:     d->count = value; break;
    case HV_MMIO_COMMAND:
        d->status = value == 1 || value == 2
            ? (u32)block_transfer(vm, d->sector, d->address, d->count, value == 2)
            : (u32)HV_EINVAL;
        break;
    }
}
