/*
 * Extended page tables: what guest-physical memory is. SDM Vol. 3C, 29.3.
 *
 * A guest's RAM is one piece of host memory, mapped by 2 MiB pages; the first
 * 2 MiB, which have the hole for devices below 1 MiB, and any 2 MiB into which
 * a shared page has been put, are mapped by 4 KiB pages. Whatever is not
 * mapped belongs to devices, and touching it exits.
 */
#include "hv.h"

#define EPT_READ        BIT(0)
#define EPT_WRITE       BIT(1)
#define EPT_EXECUTE     BIT(2)
#define EPT_RWX         (EPT_READ | EPT_WRITE | EPT_EXECUTE)
#define EPT_WB          (6ull << 3)
#define EPT_IGNORE_PAT  BIT(6)
#define EPT_LARGE       BIT(7)
#define EPT_ADDRESS     0x000ffffffffff000ull
#define EPT_LEAF        (EPT_RWX | EPT_WB | EPT_IGNORE_PAT)

#define HOLE_START      0xa0000ull
#define HOLE_END        0x100000ull

typedef u64 table[512];

/* Table pages, and what each is: enough to say what must be in it. */
enum level { LEVEL_NONE, LEVEL_PT, LEVEL_PD, LEVEL_PDPT, LEVEL_PML4 };
static table pool[160] ALIGNED(4096) SECTION(".bss.ept");
static struct { u8 level, vm; u64 gpa; } about[COUNT_OF(pool)];
static u32 pool_used;

static u64 new_table(const struct vm *vm, enum level level, u64 gpa)
{
    if (pool_used == COUNT_OF(pool))
        return 0;
    about[pool_used].level = level;
    about[pool_used].vm = (u8)vm->config.id;
    about[pool_used].gpa = gpa;
    return (u64)pool[pool_used++];
}

/* The entry for guest-physical address gpa when nothing is shared there. */
static u64 own_page(const struct vm *vm, u64 gpa)
{
    if (gpa >= vm->config.memory_size || (gpa >= HOLE_START && gpa < HOLE_END))
        return 0;
    return (vm->config.memory + gpa) | EPT_LEAF;
}

static void fill_pt(const struct vm *vm, u64 *pt, u64 gpa)
{
    for (u32 i = 0; i < 512; i++)
        pt[i] = own_page(vm, gpa + i * PAGE_SIZE);
}

u64 ept_pointer(const struct vm *vm)
{
    return vm->config.ept_root | 3 << 3 | 6; /* 4 levels; tables are write-back (25.6.11) */
}

void ept_create(struct vm *vm)
{
    u64 *pml4 = (u64 *)new_table(vm, LEVEL_PML4, 0);
    u64 *pdpt = (u64 *)new_table(vm, LEVEL_PDPT, 0);
    u64 *pd = (u64 *)new_table(vm, LEVEL_PD, 0);
    u64 *pt = (u64 *)new_table(vm, LEVEL_PT, 0);

    if (!pml4 || !pdpt || !pd || !pt)
        cannot_start("out of EPT pages");
    vm->config.ept_root = (u64)pml4;
    pml4[0] = (u64)pdpt | EPT_RWX;
    pdpt[0] = (u64)pd | EPT_RWX;
    pd[0] = (u64)pt | EPT_RWX;
    fill_pt(vm, pt, 0);
    for (u64 gpa = LARGE_PAGE; gpa < vm->config.memory_size; gpa += LARGE_PAGE)
        pd[gpa / LARGE_PAGE] = (vm->config.memory + gpa) | EPT_LEAF | EPT_LARGE;
}

/* The table that an entry points to, if it is one of this VM's. */
static u64 *next_table(const struct vm *vm, u64 entry, enum level level)
{
    u64 index = ((entry & EPT_ADDRESS) - (u64)pool) / PAGE_SIZE;

    CHECK(EPT_TABLE, index < pool_used && about[index].level == level
          && about[index].vm == vm->config.id && (entry & ~EPT_ADDRESS) == EPT_RWX);
    return (u64 *)(entry & EPT_ADDRESS);
}

static u64 *pd_entry(const struct vm *vm, u64 gpa)
{
    if (gpa >= GIB)
        return NULL;
    u64 *pml4 = (u64 *)vm->config.ept_root;
    u64 *pdpt = next_table(vm, pml4[0], LEVEL_PDPT);
    u64 *pd = next_table(vm, pdpt[0], LEVEL_PD);
    return &pd[gpa / LARGE_PAGE];
}

bool ept_translate(const struct vm *vm, u64 gpa, u64 *host)
{
    const u64 *e = pd_entry(vm, gpa);

    if (!e || !(*e & EPT_RWX))
        return false;
    if (*e & EPT_LARGE) {
        *host = (*e & EPT_ADDRESS & ~(LARGE_PAGE - 1)) + gpa % LARGE_PAGE;
        return true;
    }
    e = next_table(vm, *e, LEVEL_PT) + gpa / PAGE_SIZE % 512;
    if (!(*e & EPT_RWX))
        return false;
    *host = (*e & EPT_ADDRESS) + gpa % PAGE_SIZE;
    return true;
}

/* Put one page of host memory at gpa, which must be RAM; a 2 MiB page in the
 * way is split first. */
bool ept_map_page(struct vm *vm, u64 gpa, u64 host)
{
    u64 *e = pd_entry(vm, gpa);

    if (!e || !own_page(vm, gpa))
        return false;
    if (*e & EPT_LARGE) {
        u64 base = gpa & ~(LARGE_PAGE - 1), pt = new_table(vm, LEVEL_PT, base);
        if (!pt)
            return false;
        fill_pt(vm, (u64 *)pt, base);
        *e = pt | EPT_RWX;
    }
    next_table(vm, *e, LEVEL_PT)[gpa / PAGE_SIZE % 512] = host | EPT_LEAF;
    invept_single(ept_pointer(vm));
    return true;
}

/* ---- Runtime detector ------------------------------------------------ */

static bool entry_is_right(const struct vm *vm, enum level level, u64 gpa, u64 entry)
{
    if (level == LEVEL_PML4 || level == LEVEL_PDPT || (level == LEVEL_PD && entry && !(entry & EPT_LARGE))) {
        u64 index = ((entry & EPT_ADDRESS) - (u64)pool) / PAGE_SIZE;
        if (gpa && level != LEVEL_PD)
            return !entry;
        return (entry & ~EPT_ADDRESS) == EPT_RWX && index < pool_used && about[index].vm == vm->config.id
            && about[index].level == level - 1 && about[index].gpa == gpa;
    }
    if (level == LEVEL_PD)
        return entry == (gpa < vm->config.memory_size ? (vm->config.memory + gpa) | EPT_LEAF | EPT_LARGE : 0);

    for (u32 i = 0; i < vm->events.mapped_count && i < SHARE_SLOTS; i++)
        if (vm->events.mapped[i].gpa == gpa)
            return entry == (vm->events.mapped[i].host | EPT_LEAF);
    return entry == own_page(vm, gpa);
}

/* Every entry can be computed from a VM's configuration, so every entry can
 * be checked: a part of one table at each tick, and round again. */
void ept_check(void)
{
    enum { ENTRIES = 64 };
    static u32 cursor;

    if (!detect_runtime)
        return;
    u32 index = cursor / (512 / ENTRIES) % pool_used, from = cursor % (512 / ENTRIES) * ENTRIES;
    enum level level = about[index].level;
    u64 span = level == LEVEL_PT ? PAGE_SIZE : level == LEVEL_PD ? LARGE_PAGE : level == LEVEL_PDPT ? GIB : 512 * GIB;

    cursor++;
    const struct vm *vm = &vms[about[index].vm % MAX_VMS];
    for (u32 i = from; i < from + ENTRIES; i++)
        CHECK(EPT_ENTRY, entry_is_right(vm, level, about[index].gpa + i * span, pool[index][i]));
}
