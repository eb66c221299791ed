/*
 * Reaching into a guest's memory. Addresses come from guests and are never
 * believed: everything goes through the guest's own EPT, page by page.
 */
#include "hv.h"

static bool is_guest_memory(u64 host)
{
    for (u32 i = 0; i < MAX_VMS; i++)
        if (host - vms[i].config.memory < vms[i].config.memory_size)
            return true;
    return false;
}

/* A pointer to [gpa, gpa + size), which must lie in one page; NULL when there
 * is no RAM. */
void *guest_pointer(const struct vm *vm, u64 gpa, u64 size)
{
    u64 host;

    if (size > PAGE_SIZE || gpa % PAGE_SIZE + size > PAGE_SIZE || !ept_translate(vm, gpa, &host))
        return NULL;
    CHECK(GUEST_POINTER, is_guest_memory(host));
    return (void *)host;
}

static bool copy(const struct vm *vm, u64 gpa, u8 *buffer, u64 size, bool write)
{
    while (size) {
        u64 n = MIN(size, PAGE_SIZE - gpa % PAGE_SIZE);
        void *p = guest_pointer(vm, gpa, n);
        if (!p)
            return false;
        if (write)
            memcpy(p, buffer, n);
        else
            memcpy(buffer, p, n);
        gpa += n;
        buffer += n;
        size -= n;
    }
    return true;
}

bool guest_read(const struct vm *vm, u64 gpa, void *to, u64 size)
{
    return copy(vm, gpa, to, size, false);
}

bool guest_write(const struct vm *vm, u64 gpa, const void *from, u64 size)
{
    return copy(vm, gpa, (u8 *)from, size, true);
}

/* ---- The guest's own paging (SDM Vol. 3A, chapter 4) ----------------- */

#define ENTRY_PRESENT   BIT(0)
#define ENTRY_LARGE     BIT(7)

static bool read_entry(const struct vm *vm, u64 gpa, u32 size, u64 *entry)
{
    *entry = 0;
    return guest_read(vm, gpa, entry, size) && *entry & ENTRY_PRESENT;
}

/* Linear to guest-physical, without regard to permissions: it serves to read
 * what the processor has just fetched itself. */
bool guest_linear_to_physical(const struct vm *vm, u64 linear, u64 *gpa)
{
    u64 cr3 = vmread(GUEST_CR3), cr4 = vmread(GUEST_CR4), entry;

    if (!(vmread(GUEST_CR0) & CR0_PG)) {
        *gpa = (u32)linear;
        return true;
    }

    if (!(cr4 & CR4_PAE)) {     /* 4.3: two levels of 4-byte entries */
        if (!read_entry(vm, (cr3 & 0xfffff000) + (linear >> 22 & 0x3ff) * 4, 4, &entry))
            return false;
        if (entry & ENTRY_LARGE && cr4 & CR4_PSE) {
            *gpa = (entry & 0xffc00000) | (entry >> 13 & 0xff) << 32 | (linear & 0x3fffff);
            return true;
        }
        if (!read_entry(vm, (entry & 0xfffff000) + (linear >> 12 & 0x3ff) * 4, 4, &entry))
            return false;
        *gpa = (entry & 0xfffff000) | (linear & 0xfff);
        return true;
    }

    int level = 4;
    u64 table = cr3 & 0x000ffffffffff000ull;
    if (!(vmread(GUEST_EFER) & EFER_LMA)) {     /* 4.4: PDPTEs are registers */
        entry = vmread(GUEST_PDPTE0 + 2 * (linear >> 30 & 3));
        if (!(entry & ENTRY_PRESENT))
            return false;
        table = entry & 0x000ffffffffff000ull;
        level = 2;
    }
    for (; level >= 1; level--) {               /* 4.5 */
        u32 shift = 12 + 9 * (u32)(level - 1);
        if (!read_entry(vm, table + (linear >> shift & 0x1ff) * 8, 8, &entry))
            return false;
        if (level == 1 || (level <= 3 && entry & ENTRY_LARGE)) {
            u64 mask = BIT(shift) - 1;
            *gpa = (entry & 0x000ffffffffff000ull & ~mask) | (linear & mask);
            return true;
        }
        table = entry & 0x000ffffffffff000ull;
    }
    return false;
}

/* When a MOV to a control register turned on PAE paging and we carry it out,
 * loading the PDPTEs is our business too (4.4.1). */
bool guest_load_pdptes(const struct vm *vm)
{
    u64 pdptes[4];

    if (!guest_read(vm, vmread(GUEST_CR3) & 0xffffffe0, pdptes, sizeof(pdptes)))
        return false;
    for (u32 i = 0; i < 4; i++)
        vmwrite(GUEST_PDPTE0 + 2 * i, pdptes[i]);
    return true;
}
