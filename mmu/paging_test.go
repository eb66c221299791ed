package mmu

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// bench is a tiny machine: 32 pages of RAM and an MMU.
type bench struct {
	*MMU
	r Regime
}

const benchPages = 32

func newBench(r Regime) *bench {
	if r.PhysBits == 0 {
		r.PhysBits = 36
	}
	return &bench{New(NewMemory(benchPages * PageSize)), r}
}

// set64 writes an entry; set32 one of 32-bit paging.
func (b *bench) set64(pa, v uint64)           { b.Mem.Write(pa, 8, v) }
func (b *bench) set32(pa, v uint64)           { b.Mem.Write(pa, 4, v) }
func (b *bench) entry(pa uint64) uint64       { return b.Mem.Read(pa, 8) }
func (b *bench) regime(f func(r *Regime))     { f(&b.r); b.SwitchContext(&b.r) }
func (b *bench) codeOf(ok bool) (code string) { return faultText(ok, b.Fault) }

func faultText(ok bool, f Fault) string {
	if ok {
		return "ok"
	}
	switch f.Kind {
	case PageFault:
		return fmt.Sprintf("PF %#x", f.Code)
	case EPTViolation:
		return fmt.Sprintf("EPT %#x", f.Qualification)
	}
	return f.Kind.String()
}

const (
	pml4, pdpt, pd, pt, data = 0x1000, 0x2000, 0x3000, 0x4000, 0x5000

	table = entryP | entryRW | entryUS
)

// newLongBench maps linear 0x400000 + i*4096 by entry i of pt; all tables
// permit everything.
func newLongBench() *bench {
	b := newBench(Regime{Paging: Paging4Level, CR3: pml4, WP: true, NXE: true})
	b.set64(pml4, pdpt|table)
	b.set64(pdpt, pd|table)
	b.set64(pd+2*8, pt|table)
	return b
}

const longBase = 0x400000

// TestPageFaultErrorCodes is SDM Vol. 3, 4.7: when each bit is set.
func TestPageFaultErrorCodes(t *testing.T) {
	const (
		r, w, x  = AccessRead, AccessWrite, AccessFetch
		s, u, ac = Supervisor, User, SupervisorAC
	)
	tests := []struct {
		name  string
		setup func(b *bench)
		acc   Access
		cls   Class
		want  string
	}{
		{"present and permitted", nil, r, u, "ok"},
		{"P: not present, read, supervisor", func(b *bench) { b.set64(pt, 0) }, r, s, "PF 0x0"},
		{"W/R: not present, write", func(b *bench) { b.set64(pt, 0) }, w, s, "PF 0x2"},
		{"U/S: not present, user read", func(b *bench) { b.set64(pt, 0) }, r, u, "PF 0x4"},
		{"not present PML4E", func(b *bench) { b.set64(pml4, table&^entryP) }, r, u, "PF 0x4"},
		{"not present PDPTE", func(b *bench) { b.set64(pdpt, 0) }, r, u, "PF 0x4"},
		{"not present PDE", func(b *bench) { b.set64(pd+16, 0) }, w, u, "PF 0x6"},
		{"reserved bits of a not-present entry do not matter", func(b *bench) { b.set64(pt, 1<<51) }, r, s, "PF 0x0"},
		{"P: protection, user read of supervisor page", func(b *bench) { b.set64(pt, data|entryP|entryRW) }, r, u, "PF 0x5"},
		{"protection, user write of read-only page", func(b *bench) { b.set64(pt, data|entryP|entryUS) }, w, u, "PF 0x7"},
		{"protection, user write of supervisor page", func(b *bench) { b.set64(pt, data|entryP|entryRW) }, w, u, "PF 0x7"},
		{"rights combine: PDE is read-only", func(b *bench) { b.set64(pd+16, pt|entryP|entryUS) }, w, u, "PF 0x7"},
		{"rights combine: PML4E is supervisor", func(b *bench) { b.set64(pml4, pdpt|entryP|entryRW) }, r, u, "PF 0x5"},
		{"CR0.WP=1, supervisor write of read-only page", func(b *bench) { b.set64(pt, data|entryP|entryUS) }, w, s, "PF 0x3"},
		{"CR0.WP=0, supervisor write of read-only page", func(b *bench) { b.r.WP = false; b.set64(pt, data|entryP|entryUS) }, w, s, "ok"},
		{"CR0.WP=0, user write of read-only page", func(b *bench) { b.r.WP = false; b.set64(pt, data|entryP|entryUS) }, w, u, "PF 0x7"},
		{"RSVD: PTE bit above MAXPHYADDR", func(b *bench) { b.set64(pt, data|table|1<<36) }, r, s, "PF 0x9"},
		{"RSVD: PTE bit 51", func(b *bench) { b.set64(pt, data|table|1<<51) }, w, u, "PF 0xf"},
		{"ignored: PTE bits 52 to 62", func(b *bench) { b.set64(pt, data|table|0x7FF<<52) }, r, u, "ok"},
		{"RSVD: PS in PML4E", func(b *bench) { b.set64(pml4, pdpt|table|entryPS) }, r, s, "PF 0x9"},
		{"PAT in PTE is no reserved bit", func(b *bench) { b.set64(pt, data|table|entryPS) }, r, u, "ok"},
		{"RSVD: 2-MiB PDE bit 13", func(b *bench) { b.set64(pd+16, table|entryPS|1<<13) }, r, s, "PF 0x9"},
		{"RSVD: 2-MiB PDE bit 20", func(b *bench) { b.set64(pd+16, table|entryPS|1<<20) }, r, s, "PF 0x9"},
		{"PAT of a 2-MiB PDE", func(b *bench) { b.set64(pd+16, table|entryPS|1<<12) }, r, u, "ok"},
		{"RSVD: 1-GiB PDPTE bit 21", func(b *bench) { b.set64(pdpt, table|entryPS|1<<21) }, r, s, "PF 0x9"},
		{"1-GiB page", func(b *bench) { b.set64(pdpt, table|entryPS) }, r, u, "ok"},
		{"RSVD: XD with NXE=0", func(b *bench) { b.r.NXE = false; b.set64(pt, data|table|entryXD) }, r, u, "PF 0xd"},
		{"RSVD before protection", func(b *bench) { b.set64(pt, data|entryP|1<<40) }, w, u, "PF 0xf"},
		{"I/D: fetch from XD page", func(b *bench) { b.set64(pt, data|table|entryXD) }, x, u, "PF 0x15"},
		{"read of XD page", func(b *bench) { b.set64(pt, data|table|entryXD) }, r, u, "ok"},
		{"XD in PDE", func(b *bench) { b.set64(pd+16, pt|table|entryXD) }, x, s, "PF 0x11"},
		{"I/D: fetch from absent page, NXE=1", func(b *bench) { b.set64(pt, 0) }, x, u, "PF 0x14"},
		{"no I/D: fetch from absent page, NXE=0, SMEP=0", func(b *bench) { b.r.NXE = false; b.set64(pt, 0) }, x, u, "PF 0x4"},
		{"I/D: NXE=0, SMEP=1", func(b *bench) { b.r.NXE, b.r.SMEP = false, true; b.set64(pt, 0) }, x, u, "PF 0x14"},
		{"SMEP: supervisor fetch from user page", func(b *bench) { b.r.SMEP = true }, x, s, "PF 0x11"},
		{"SMEP: AC does not help", func(b *bench) { b.r.SMEP = true }, x, ac, "PF 0x11"},
		{"SMEP: user fetch", func(b *bench) { b.r.SMEP = true }, x, u, "ok"},
		{"SMAP: supervisor read of user page", func(b *bench) { b.r.SMAP = true }, r, s, "PF 0x1"},
		{"SMAP: supervisor write of user page", func(b *bench) { b.r.SMAP = true }, w, s, "PF 0x3"},
		{"SMAP: AC=1", func(b *bench) { b.r.SMAP = true }, w, ac, "ok"},
		{"SMAP: fetches are SMEP's", func(b *bench) { b.r.SMAP = true }, x, s, "ok"},
		{"SMAP: AC=1, WP=1, read-only", func(b *bench) { b.r.SMAP = true; b.set64(pt, data|entryP|entryUS) }, w, ac, "PF 0x3"},
		{"SMAP, WP=0, read-only user page", func(b *bench) { b.r.SMAP, b.r.WP = true, false; b.set64(pt, data|entryP|entryUS) }, w, s, "PF 0x3"},
		{"SMAP: U/S=0 in PDE makes it a supervisor page", func(b *bench) { b.r.SMAP = true; b.set64(pd+16, pt|entryP|entryRW) }, r, s, "ok"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newLongBench()
			b.set64(pt, data|table)
			if tt.setup != nil {
				tt.setup(b)
			}
			got := b.codeOf(b.Probe(&b.r, longBase, 1, tt.acc, tt.cls))
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if got != "ok" && b.Fault.VA != longBase {
				t.Errorf("CR2 would be %#x", b.Fault.VA)
			}
		})
	}
}

// TestAccessRights is all of SDM Vol. 3, 4.6.1.
func TestAccessRights(t *testing.T) {
	for i := range 1 << 7 {
		on := func(n int) bool { return i>>n&1 == 1 }
		u, w, xd := on(0), on(1), on(2)
		for _, cls := range []Class{Supervisor, User, SupervisorAC} {
			for _, acc := range []Access{AccessRead, AccessWrite, AccessFetch} {
				b := newLongBench()
				b.r.WP, b.r.SMEP, b.r.SMAP = on(3), on(4), on(5)
				e := uint64(data | entryP)
				if w {
					e |= entryRW
				}
				if u {
					e |= entryUS
				}
				if xd {
					e |= entryXD
				}
				b.set64(pt, e)
				if on(6) {
					// With the translation already in the TLB.
					b.Translate(&b.r, longBase)
					b.Probe(&b.r, longBase, 1, AccessRead, Supervisor)
				}
				want := refAllowed(&b.r, u, w, xd, acc, cls)
				if got := b.Probe(&b.r, longBase, 1, acc, cls); got != want {
					t.Errorf("U=%v W=%v XD=%v %+v %v %v: got %v, want %v", u, w, xd, b.r, cls, acc, got, want)
				}
			}
		}
	}
}

// TestPAEReservedBits is SDM Vol. 3, tables 4-9 to 4-11.
func TestPAEReservedBits(t *testing.T) {
	tests := []struct {
		name     string
		pde, pte uint64
		nxe      bool
		want     string
	}{
		{"mapped", pt | table, data | table, true, "ok"},
		{"PTE bit 62", pt | table, data | table | 1<<62, true, "PF 0x9"},
		{"PTE bit 52", pt | table, data | table | 1<<52, true, "PF 0x9"},
		{"PDE bit 52", pt | table | 1<<52, data | table, true, "PF 0x9"},
		{"PTE bit 36", pt | table, data | table | 1<<36, true, "PF 0x9"},
		{"PTE bit 35 is address", pt | table, data | table | 1<<35, true, "ok"},
		{"XD, NXE=0", pt | table, data | table | entryXD, false, "PF 0x9"},
		{"XD, NXE=1", pt | table, data | table | entryXD, true, "ok"},
		{"2 MiB", table | entryPS, 0, true, "ok"},
		{"2 MiB, bit 13", table | entryPS | 1<<13, 0, true, "PF 0x9"},
		{"PDE absent", 0, 0, true, "PF 0x0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(Regime{Paging: PagingPAE, NXE: tt.nxe})
			b.r.PDPTE[3] = pd | entryP
			b.set64(pd+8, tt.pde)
			b.set64(pt+8, tt.pte)
			const va = 3<<30 | 1<<21 | 1<<12
			if got := b.codeOf(b.Probe(&b.r, va, 1, AccessRead, Supervisor)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if b.Probe(&b.r, 1<<30, 1, AccessRead, Supervisor) || b.codeOf(false) != "PF 0x0" {
				t.Error("absent PDPTE translated")
			}
		})
	}
}

// Test32Bit is SDM Vol. 3, 4.3, with PSE-36 (table 4-4).
func Test32Bit(t *testing.T) {
	tests := []struct {
		name string
		pde  uint64
		pse  bool
		phys uint8
		pa   uint64
		want string
	}{
		{"4 KiB", pt | table, true, 36, data | 0x123, "ok"},
		{"PS ignored without PSE", pt | table | entryPS, false, 36, data | 0x123, "ok"},
		{"4 MiB", 0xFFC00000 | table | entryPS, true, 36, 0xFFC01123, "ok"},
		{"4 MiB above 4 GiB", 0x00400000 | 0xF<<13 | table | entryPS, true, 36, 0xF_00401123, "ok"},
		{"bit 17 reserved when MAXPHYADDR is 36", 1<<17 | table | entryPS, true, 36, 0, "PF 0x9"},
		{"bit 20 is address 39 when MAXPHYADDR is 40", 1<<20 | table | entryPS, true, 40, 1<<39 | 0x1123, "ok"},
		{"bit 21 always reserved", 1<<21 | table | entryPS, true, 46, 0, "PF 0x9"},
		{"absent", 0, true, 36, 0, "PF 0x0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(Regime{Paging: Paging32, CR3: pd, PSE: tt.pse, PhysBits: tt.phys})
			b.set32(pd+4*3, tt.pde)
			b.set32(pt+4, data|table)
			const va = 3<<22 | 1<<12 | 0x123
			pa, ok := b.Fetch(&b.r, va, Supervisor)
			if got := b.codeOf(ok); got != tt.want || ok && pa != tt.pa {
				t.Errorf("got %s %#x, want %s %#x", got, pa, tt.want, tt.pa)
			}
		})
	}
}

// TestAccessedAndDirty is SDM Vol. 3, 4.8.
func TestAccessedAndDirty(t *testing.T) {
	b := newLongBench()
	b.set64(pt, data|table)
	flags := func() string {
		s := ""
		for _, pa := range []uint64{pml4, pdpt, pd + 16, pt} {
			switch b.entry(pa) & (entryA | entryD) {
			case 0:
				s += "-"
			case entryA:
				s += "A"
			case entryA | entryD:
				s += "D"
			default:
				s += "?"
			}
		}
		return s
	}
	check := func(what, want string) {
		t.Helper()
		if got := flags(); got != want {
			t.Errorf("after %s: %s, want %s", what, got, want)
		}
	}
	b.Translate(&b.r, longBase)
	check("a debugger's translation", "----")
	b.regime(func(r *Regime) { r.SMAP = true })
	b.Probe(&b.r, longBase, 1, AccessRead, Supervisor)
	check("a fault", "----")
	b.regime(func(r *Regime) { r.SMAP = false })
	b.Read(&b.r, longBase, 1, Supervisor)
	check("a read", "AAAA")
	b.Write(&b.r, longBase, 1, 0, Supervisor)
	check("a write of a page the TLB holds clean", "AAAD")
	b.set64(pt, data|table)
	b.Write(&b.r, longBase, 1, 0, Supervisor)
	check("a write of a page the TLB holds dirty", "AAA-")
	b.Invlpg(&b.r, longBase)
	b.Write(&b.r, longBase, 1, 0, Supervisor)
	check("a write after INVLPG", "AAAD")
}

func TestCrossing(t *testing.T) {
	b := newLongBench()
	b.set64(pt, data|table)
	b.set64(pt+8, 0x8000|table) // not beside the first page
	b.set64(pt+16, 0x9000|entryP|entryUS)
	if !b.Write(&b.r, longBase+0xFFD, 8, 0x8877665544332211, User) {
		t.Fatal(b.Fault)
	}
	if lo, hi := b.Mem.Read(data+0xFFD, 3), b.Mem.Read(0x8000, 5); lo != 0x332211 || hi != 0x8877665544 {
		t.Errorf("wrote %#x and %#x", lo, hi)
	}
	if v, ok := b.Read(&b.r, longBase+0xFFD, 8, User); !ok || v != 0x8877665544332211 {
		t.Errorf("read %#x %v", v, ok)
	}
	// The second page cannot be written: the first keeps its bytes.
	if b.Write(&b.r, longBase+0x1FFE, 4, 0, User) {
		t.Error("wrote a read-only page")
	}
	if b.Fault.VA != longBase+0x2000 {
		t.Errorf("faulted at %#x", b.Fault.VA)
	}
	if v := b.Mem.Read(0x8FFE, 2); v != 0 {
		t.Errorf("the first page has %#x", v)
	}
	// ReadModify faults as a write does.
	if _, ok := b.ReadModify(&b.r, longBase+0x1FFE, 4, User); ok || b.codeOf(ok) != "PF 0x7" {
		t.Errorf("ReadModify: %v %v", ok, b.Fault)
	}
}

func TestLinearWrap(t *testing.T) {
	b := newBench(Regime{Paging: Paging32, CR3: pd, PSE: true})
	b.set32(pd, table|entryPS)        // 0 -> 0
	b.set32(pd+4*1023, table|entryPS) // the last 4 MiB -> 0
	b.Mem.Write(0x3FF000, 8, 1)       // beyond RAM: ignored
	b.Mem.Write(0, 8, 0x1122334455)   //
	v, ok := b.Read(&b.r, 0xFFFFFFFE, 4, Supervisor)
	if !ok || v != 0x4455FFFF { // two ones from nowhere, two bytes from 0
		t.Errorf("got %#x %v %v", v, ok, b.Fault)
	}
	b = newBench(Regime{})
	b.Mem.Write(0, 8, 0x1122334455)
	if v, ok := b.Read(&b.r, 0xFFFFFFFE, 4, Supervisor); !ok || v != 0x4455FFFF {
		t.Errorf("without paging: got %#x %v", v, ok)
	}
}

// randomRegime and randomTables make translations that go wrong in every
// way, but not too often.
func randomRegime(rnd *rand.Rand) Regime {
	coin := func() bool { return rnd.IntN(2) == 0 }
	r := Regime{
		Paging: Paging(rnd.IntN(4)),
		WP:     coin(), PSE: coin(), PGE: coin(), SMEP: coin(), SMAP: coin(), NXE: rnd.IntN(4) > 0,
		PhysBits: []uint8{36, 39, 40, 46}[rnd.IntN(4)],
		CR3:      uint64(rnd.IntN(8)) * PageSize,
	}
	for i := range r.PDPTE {
		r.PDPTE[i] = uint64(rnd.IntN(8))*PageSize | uint64(min(rnd.IntN(8), 1))
	}
	if coin() {
		r.EPTP = uint64(8+rnd.IntN(8))*PageSize | 0x1E
		r.EPTAD = coin()
	}
	return r
}

// randomTables fills pages 0 to 7 with guest entries and 8 to 15 with EPT
// entries, each pointing to one of the 16. Random addresses use few indexes,
// so that walks get somewhere.
func randomTables(rnd *rand.Rand, mem *Memory, r *Regime) {
	odd := func(n int) bool { return rnd.IntN(n) == 0 }
	width := 8
	if r.Paging == Paging32 {
		width = 4
	}
	for pa := uint64(0); pa < 8*PageSize; pa += uint64(width) {
		e := uint64(rnd.IntN(8))*PageSize | entryP | entryRW | entryUS
		for _, b := range []uint{1, 2, 5, 6, 8} {
			if odd(4) {
				e ^= 1 << b
			}
		}
		if odd(12) {
			e ^= 1 << rnd.IntN(64)
		}
		if odd(12) {
			e ^= entryXD
		}
		if odd(8) {
			e = e&^0x3FFF_F000 | entryPS
		}
		mem.Write(pa, width, e)
	}
	for pa := uint64(8 * PageSize); pa < 16*PageSize; pa += 8 {
		e := uint64(8+rnd.IntN(8))*PageSize | accessBits
		if odd(3) {
			e = e&^0x38 | 6<<3 // a leaf's memory type
		}
		if odd(24) {
			e ^= 1 << rnd.IntN(3)
		}
		if odd(24) {
			e ^= 1 << rnd.IntN(64)
		}
		if odd(8) {
			e = e&^0x3FFF_F038 | 6<<3 | entryPS
		}
		mem.Write(pa, 8, e)
	}
	if r.EPTP != 0 {
		// Make most small guest-physical addresses translate: the first
		// entry of each level is sound and the last level is the identity
		// for the guest's tables.
		t := r.EPTP &^ 0xFFF
		mem.Write(t, 8, 9*PageSize|7)
		mem.Write(9*PageSize, 8, 10*PageSize|7)
		mem.Write(10*PageSize, 8, 11*PageSize|7)
		for i := range uint64(16) {
			e := i*PageSize | 7 | 6<<3
			if odd(10) {
				e ^= 1 << rnd.IntN(3)
			}
			mem.Write(11*PageSize+i*8, 8, e)
		}
	}
}

func randomAddress(rnd *rand.Rand, r *Regime) uint64 {
	va := uint64(rnd.IntN(4))<<39 | uint64(rnd.IntN(4))<<30 | uint64(rnd.IntN(4))<<21 | uint64(rnd.IntN(4))<<12 | uint64(rnd.IntN(PageSize))
	if rnd.IntN(4) == 0 {
		va = rnd.Uint64()
	}
	if r.Paging != Paging4Level {
		return va & 0xFFFF_FFFF
	}
	return canonical(va&pageNumber) | va&0xFFF
}

func refCopy(mem *Memory) refMemory {
	m := make(refMemory, mem.Size())
	if err := mem.ReadBytes(0, m); err != nil {
		panic(err)
	}
	return m
}

// testWalk translates a few addresses by random tables, on a bench that was
// used before.
func testWalk(t *testing.T, b *bench, seed uint64) (outcome FaultKind) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	b.r = randomRegime(rnd)
	b.FlushAll(0, false)
	b.SwitchContext(&b.r)
	if err := b.Mem.WriteBytes(0, make([]byte, benchPages*PageSize)); err != nil {
		t.Fatal(err)
	}
	randomTables(rnd, b.Mem, &b.r)
	ref := refCopy(b.Mem)
	for range 4 {
		va := randomAddress(rnd, &b.r)
		acc, cls := Access(rnd.IntN(3)), Class(rnd.IntN(classes))
		b.FlushAll(0, false) // the reference has no TLB
		want := refTranslate(ref, &b.r, va, acc, cls)
		pa, ok := b.translate(&b.r, va, acc, cls)
		got := refResult{pa: pa}
		if !ok {
			got = refResult{fault: b.Fault}
		}
		if want != got {
			t.Fatalf("seed %d, %+v, %v %v of %#x:\ngot  %#x %v\nwant %#x %v", seed, b.r, cls, acc, va, got.pa, got.fault, want.pa, want.fault)
		}
		outcome = got.fault.Kind
	}
	if after := refCopy(b.Mem); !bytes.Equal(ref, after) {
		for i := range ref {
			if ref[i] != after[i] {
				t.Errorf("seed %d, %+v: byte %#x is %#x, want %#x", seed, b.r, i, after[i], ref[i])
			}
		}
		t.FailNow()
	}
	return outcome
}

func TestWalkAgainstReference(t *testing.T) {
	n := uint64(3000)
	if testing.Short() {
		n = 1000
	}
	seen := map[FaultKind]int{}
	b := newBench(Regime{})
	for seed := range n {
		seen[testWalk(t, b, seed)]++
	}
	t.Log(seen)
	for k := FaultKind(0); k <= EPTMisconfig; k++ {
		if seen[k] < int(n)/200 {
			t.Errorf("outcome %q only %d times", k, seen[k])
		}
	}
}

func FuzzWalk(f *testing.F) {
	for seed := range uint64(32) {
		f.Add(seed)
	}
	b := newBench(Regime{})
	f.Fuzz(func(t *testing.T, seed uint64) { testWalk(t, b, seed) })
}
