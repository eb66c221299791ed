package mmu

import (
	"bytes"
	"testing"
)

const (
	eptPML4, eptPDPT, eptPD, eptPT = 0x10000, 0x11000, 0x12000, 0x13000

	writeBack = 6 << 3
)

// newNestedBench is newLongBench under EPT that maps the guest's tables and
// data to themselves; pt maps longBase to data.
func newNestedBench() *bench {
	b := newLongBench()
	b.r.EPTP = eptPML4 | 0x1E
	b.set64(eptPML4, eptPDPT|7)
	b.set64(eptPDPT, eptPD|7)
	b.set64(eptPD, eptPT|7)
	for i := range uint64(16) {
		b.set64(eptPT+8*i, i*PageSize|7|writeBack)
	}
	b.set64(pt, data|table)
	return b
}

// TestEPTViolations is SDM Vol. 3, table 27-7: the exit qualification.
func TestEPTViolations(t *testing.T) {
	const (
		r, w, x = AccessRead, AccessWrite, AccessFetch
	)
	page := func(gpa uint64) uint64 { return eptPT + gpa/PageSize*8 }
	tests := []struct {
		name  string
		setup func(b *bench)
		acc   Access
		want  string
		gpa   uint64
	}{
		{"mapped", nil, w, "ok", 0},
		{"final, read of an absent page", func(b *bench) { b.set64(page(data), 0) }, r, "EPT 0x181", data + 8},
		{"final, write of an absent page", func(b *bench) { b.set64(page(data), 0) }, w, "EPT 0x182", data + 8},
		{"final, fetch of an absent page", func(b *bench) { b.set64(page(data), 0) }, x, "EPT 0x184", data + 8},
		{"final, write of a read-only page", func(b *bench) { b.set64(page(data), data|1|writeBack) }, w, "EPT 0x18a", data + 8},
		{"final, write of a read-execute page", func(b *bench) { b.set64(page(data), data|5|writeBack) }, w, "EPT 0x1aa", data + 8},
		{"final, fetch of a read-write page", func(b *bench) { b.set64(page(data), data|3|writeBack) }, x, "EPT 0x19c", data + 8},
		{"final, read of an execute-only page", func(b *bench) { b.set64(page(data), data|4|writeBack) }, r, "EPT 0x1a1", data + 8},
		{"fetch of an execute-only page", func(b *bench) { b.set64(page(data), data|4|writeBack) }, x, "ok", 0},
		{"bits 5:3 combine all levels", func(b *bench) { b.set64(eptPD, eptPT|3) }, x, "EPT 0x19c", data + 8},
		{"walk, absent PML4 page", func(b *bench) { b.set64(page(pml4), 0) }, w, "EPT 0x81", pml4},
		{"walk, absent PT page", func(b *bench) { b.set64(page(pt), 0) }, x, "EPT 0x81", pt},
		{"walk, EPT A/D: read as a write", func(b *bench) { b.r.EPTAD = true; b.set64(page(pt), pt|1|writeBack) }, r, "EPT 0x8b", pt},
		{"walk, A flag in a read-only table", func(b *bench) { b.set64(page(pt), pt|1|writeBack) }, r, "EPT 0x8a", pt},
		{"walk, A flag already set in a read-only table", func(b *bench) {
			b.set64(pt, data|table|entryA)
			b.set64(page(pt), pt|1|writeBack)
		}, r, "ok", 0},
		{"walk, D flag in a read-only table", func(b *bench) {
			b.set64(pt, data|table|entryA)
			b.set64(page(pt), pt|1|writeBack)
		}, w, "EPT 0x8a", pt},
		{"guest page fault before the final EPT violation", func(b *bench) {
			b.set64(pt, data|entryP|entryRW|entryXD)
			b.set64(page(data), 0)
		}, x, "PF 0x11", 0},
		{"beyond 48 bits", func(b *bench) { b.r.PhysBits = 52; b.set64(pt, 1<<50|table) }, r, "EPT 0x181", 1<<50 + 8},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newNestedBench()
			if tt.setup != nil {
				tt.setup(b)
			}
			got := b.codeOf(b.Probe(&b.r, longBase+8, 1, tt.acc, Supervisor))
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if b.Fault.Kind == EPTViolation && (b.Fault.GPA&^7 != tt.gpa&^7 || b.Fault.VA != longBase+8) {
				t.Errorf("guest-physical %#x, linear %#x", b.Fault.GPA, b.Fault.VA)
			}
		})
	}
}

// TestEPTMisconfigurations is SDM Vol. 3, 28.3.3.1.
func TestEPTMisconfigurations(t *testing.T) {
	const leaf = eptPT + data/PageSize*8
	tests := []struct {
		name string
		at   uint64
		e    uint64
		want string
	}{
		{"write without read", leaf, data | 2 | writeBack, "EPT misconfiguration"},
		{"write and execute without read", leaf, data | 6 | writeBack, "EPT misconfiguration"},
		{"in a PDE", eptPD, eptPT | 2, "EPT misconfiguration"},
		{"memory type 2", leaf, data | 7 | 2<<3, "EPT misconfiguration"},
		{"memory type 3", leaf, data | 7 | 3<<3, "EPT misconfiguration"},
		{"memory type 7", leaf, data | 7 | 7<<3, "EPT misconfiguration"},
		{"memory type 0", leaf, data | 7, "ok"},
		{"memory type 5", leaf, data | 7 | 5<<3, "ok"},
		{"address beyond MAXPHYADDR", leaf, data | 7 | writeBack | 1<<36, "EPT misconfiguration"},
		{"bits above 51 are ignored", leaf, data | 7 | writeBack | 1<<52, "ok"},
		{"PML4E bit 7", eptPML4, eptPDPT | 7 | 1<<7, "EPT misconfiguration"},
		{"PML4E bit 3", eptPML4, eptPDPT | 7 | 1<<3, "EPT misconfiguration"},
		{"PDPTE bit 6", eptPDPT, eptPD | 7 | 1<<6, "EPT misconfiguration"},
		{"PDE bit 4", eptPD, eptPT | 7 | 1<<4, "EPT misconfiguration"},
		{"2-MiB page", eptPD, 7 | writeBack | entryPS, "ok"},
		{"2-MiB page, bit 12", eptPD, 7 | writeBack | entryPS | 1<<12, "EPT misconfiguration"},
		{"1-GiB page", eptPDPT, 7 | writeBack | entryPS, "ok"},
		{"1-GiB page, bit 29", eptPDPT, 7 | writeBack | entryPS | 1<<29, "EPT misconfiguration"},
		{"bit 6 of a leaf is ignore-PAT", leaf, data | 7 | writeBack | 1<<6, "ok"},
		{"absent with other bits set", leaf, 1<<40 | 2<<3, "EPT 0x181"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newNestedBench()
			b.set64(tt.at, tt.e)
			if got := b.codeOf(b.Probe(&b.r, longBase, 1, AccessRead, Supervisor)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestEPTAccessedAndDirty is SDM Vol. 3, 28.3.5.
func TestEPTAccessedAndDirty(t *testing.T) {
	b := newNestedBench()
	b.r.EPTAD = true
	flags := func(gpa uint64) uint64 { return b.entry(eptPT+gpa/PageSize*8) >> 8 & 3 }
	if _, ok := b.Read(&b.r, longBase, 8, Supervisor); !ok {
		t.Fatal(b.Fault)
	}
	if flags(data) != 1 || flags(pt) != 3 || flags(pml4) != 3 || flags(0x9000) != 0 {
		t.Errorf("after a read: data %b, PT %b, PML4 %b, other %b", flags(data), flags(pt), flags(pml4), flags(0x9000))
	}
	if e := b.entry(eptPML4) >> 8 & 3; e != 1 {
		t.Errorf("EPT PML4E %b", e)
	}
	b.Write(&b.r, longBase, 8, 1, Supervisor)
	if flags(data) != 3 {
		t.Errorf("after a write: %b", flags(data))
	}
	b = newNestedBench()
	b.Write(&b.r, longBase, 8, 1, Supervisor)
	if flags(data) != 0 || flags(pt) != 0 {
		t.Error("flags were set though EPTP bit 6 is clear")
	}
}

// TestGuestPhysical: an access without a linear address.
func TestGuestPhysical(t *testing.T) {
	b := newNestedBench()
	b.set64(eptPT+8*8, data|7|writeBack)
	b.Mem.Write(data+0x18, 8, 42)
	if v, ok := b.ReadGuestPhysical(&b.r, 0x8018, 8); !ok || v != 42 {
		t.Errorf("read %d %v", v, ok)
	}
	b.set64(eptPT+8*8, 0)
	if _, ok := b.ReadGuestPhysical(&b.r, 0x8018, 8); ok || b.codeOf(false) != "EPT 0x1" || b.Fault.GPA != 0x8018 {
		t.Errorf("got %v", b.Fault)
	}
	// Paging off in the guest: linear addresses are guest-physical ones, and
	// still linear.
	b.regime(func(r *Regime) { r.Paging = PagingNone })
	if _, ok := b.Read(&b.r, 0x8018, 8, Supervisor); ok || b.codeOf(false) != "EPT 0x181" {
		t.Errorf("got %v", b.Fault)
	}
	b.set64(eptPT+8*8, data|7|writeBack)
	if v, ok := b.Read(&b.r, 0x8018, 8, User); !ok || v != 42 {
		t.Errorf("read %d %v", v, ok)
	}
}

// TestTranslateIgnoresRights: a debugger sees what is mapped, however.
func TestTranslateIgnoresRights(t *testing.T) {
	b := newNestedBench()
	b.set64(pt, data|entryP|entryXD)
	b.set64(eptPT+data/PageSize*8, data|4|writeBack)
	if pa, ok := b.Translate(&b.r, longBase+7); !ok || pa != data+7 {
		t.Errorf("got %#x %v", pa, ok)
	}
	before := refCopy(b.Mem)
	b.set64(eptPT+data/PageSize*8, 0)
	b.Fault = Fault{}
	if _, ok := b.Translate(&b.r, longBase); ok || b.Fault != (Fault{}) {
		t.Errorf("an absent page translates, or leaves %v", b.Fault)
	}
	b.set64(eptPT+data/PageSize*8, data|4|writeBack)
	if !bytes.Equal(before, refCopy(b.Mem)) {
		t.Error("memory has changed")
	}
}
