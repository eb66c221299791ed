/*
 * Host memory: the hypervisor's own page tables, and an allocator for what
 * is handed out at start-up (guest memory, disks). VMs live from boot to the
 * end, so nothing is ever given back.
 *
 * Everything is mapped at its physical address, but only what exists, and
 * only as it is used: code cannot be written, data cannot be executed, page 0
 * and the pages below stacks are absent. A wild pointer should fault at once.
 */
#include "hv.h"

#define PTE_PRESENT     BIT(0)
#define PTE_WRITE       BIT(1)
#define PTE_PWT         BIT(3)
#define PTE_PCD         BIT(4)
#define PTE_LARGE       BIT(7)
#define PTE_NX          BIT(63)

#define PAGED_MEMORY    (4 * MIB)   /* mapped by 4 KiB pages, the rest by 2 MiB */

typedef u64 table[512];

static table pml4 ALIGNED(4096) SECTION(".bss.pagetables");
static table pdpt ALIGNED(4096) SECTION(".bss.pagetables");
static table pd[4] ALIGNED(4096) SECTION(".bss.pagetables");
static table pt[PAGED_MEMORY / LARGE_PAGE] ALIGNED(4096) SECTION(".bss.pagetables");

extern const u8 text_start[], text_end[], rodata_end[], image_end[];
extern u8 boot_stack_guard[];

struct memory_owner memory_owners[64];
static u32 owner_count;
static u64 next_free;

static bool in_image(u64 page, const u8 *from, const u8 *to)
{
    return page >= (u64)from && page < (u64)to;
}

static u64 protection(u64 page)
{
    if (page == 0 || page == (u64)boot_stack_guard)
        return 0;
    if (in_image(page, text_start, text_end))
        return PTE_PRESENT;
    if (in_image(page, text_end, rodata_end))
        return PTE_PRESENT | PTE_NX;
    return PTE_PRESENT | PTE_WRITE | PTE_NX;
}

static void unmap_page(u64 page)
{
    pt[page / LARGE_PAGE][page / PAGE_SIZE % 512] = 0;
}

extern u8 vm_stacks[MAX_VMS][PAGE_SIZE + STACK_SIZE];

void mm_init(void)
{
    u64 base, size;

    pml4[0] = (u64)pdpt | PTE_PRESENT | PTE_WRITE;
    for (u32 i = 0; i < COUNT_OF(pd); i++)
        pdpt[i] = (u64)pd[i] | PTE_PRESENT | PTE_WRITE;

    for (u32 cursor = 0; multiboot_next_ram(&cursor, &base, &size); )
        for (u64 a = base & ~(LARGE_PAGE - 1); a < base + size; a += LARGE_PAGE)
            pd[a / GIB][a / LARGE_PAGE % 512] = a | PTE_PRESENT | PTE_WRITE | PTE_LARGE | PTE_NX;

    for (u64 a = 0; a < PAGED_MEMORY; a += PAGE_SIZE) {
        u64 p = protection(a);
        pt[a / LARGE_PAGE][a / PAGE_SIZE % 512] = p ? a | p : 0;
    }
    for (u32 i = 0; i < COUNT_OF(pt); i++)
        pd[0][i] = (u64)pt[i] | PTE_PRESENT | PTE_WRITE;
    for (u32 i = 0; i < MAX_VMS; i++)
        unmap_page((u64)vm_stacks[i]);

    /* The local APIC's registers: uncached (SDM Vol. 3A, 11.4.1). */
    u64 apic = rdmsr(MSR_APIC_BASE) & 0xfffff000;
    pd[apic / GIB][apic / LARGE_PAGE % 512] = (apic & ~(LARGE_PAGE - 1))
        | PTE_PRESENT | PTE_WRITE | PTE_PWT | PTE_PCD | PTE_LARGE | PTE_NX;

    write_cr3((u64)pml4);
    next_free = ALIGN_UP((u64)image_end, PAGE_SIZE);
}

/* Does [start, start + size) touch a boot module? Then say where that ends. */
static u64 module_in_the_way(u64 start, u64 size)
{
    const struct module *m;
    u32 n = multiboot_modules(&m);

    for (u32 i = 0; i < n; i++)
        if (start < m[i].start + m[i].size && m[i].start < start + size)
            return m[i].start + m[i].size;
    return 0;
}

/* First fit above everything given out so far; zeroed. */
u64 mm_alloc(u64 size, u64 align, enum owner owner, u32 vm)
{
    u64 base, length, end;

    size = ALIGN_UP(size, PAGE_SIZE);
    for (u32 cursor = 0; multiboot_next_ram(&cursor, &base, &length); ) {
        u64 start = ALIGN_UP(MAX(base, next_free), align);
        while (start + size <= base + length && (end = module_in_the_way(start, size)))
            start = ALIGN_UP(end, align);
        if (start + size > base + length)
            continue;
        if (owner_count == COUNT_OF(memory_owners))
            cannot_start("too many pieces of memory");
        memory_owners[owner_count++] = (struct memory_owner){ start, size, owner, vm };
        next_free = start + size;
        memset((void *)start, 0, size);
        return start;
    }
    cannot_start("not enough memory: %llu KiB wanted", size / KIB);
}
