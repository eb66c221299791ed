// Package mmu is everything between an instruction's linear address and the
// bytes it finds: physical memory, paging, extended page tables, the TLB and
// the cache hierarchy.
//
// Memory is the machine's physical address space: RAM, and ranges that
// belong to devices. It notes which pages change, so that a snapshot and its
// restoration cost what was touched and no more.
//
// An MMU makes a processor's accesses. Regime is what it must know of the
// control registers; a walker translates by the page tables, as SDM Vol. 3
// chapters 4 and 28 say. What a walk finds goes into a TLB, which is
// architectural state: a guest that changes a page table without
// invalidating goes on seeing the old translation, here as on the
// processor, and a fault can be injected into an entry. The fast arrays in
// front of it (see Fast) are not state: each of their entries is also in
// the TLB, so that dropping them at any moment changes nothing but speed.
//
// Cache models tags and line states over the one coherent copy of the
// bytes; see its comment for how a flipped line is represented.
package mmu
