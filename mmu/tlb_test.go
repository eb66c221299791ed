package mmu

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/flipvisor/flipvisor/internal/state"
	"github.com/google/go-cmp/cmp"
)

// read is what the byte at longBase+off reads as.
func (b *bench) read(t *testing.T, va uint64) uint64 {
	t.Helper()
	v, ok := b.Read(&b.r, va, 1, Supervisor)
	if !ok {
		t.Fatal(b.Fault)
	}
	return v
}

// newStaleBench maps longBase to a page that reads 0x11 and remaps it to one
// that reads 0x22, so that a read tells whether the TLB still has the old
// translation.
func newStaleBench(t *testing.T, flags uint64, set func(r *Regime)) *bench {
	b := newLongBench()
	b.Mem.Write(0x8000, 8, 0x11)
	b.Mem.Write(0x9000, 8, 0x22)
	b.Mem.Write(0x201000, 8, 0x33)
	if set != nil {
		set(&b.r)
	}
	b.set64(pt, 0x8000|table|flags)
	if v := b.read(t, longBase); v != 0x11 {
		t.Fatalf("read %#x", v)
	}
	b.set64(pt, 0x9000|table|flags)
	return b
}

// TestInvalidation is SDM Vol. 3, 4.10.4.1 and 28.4.3.1: what each operation
// takes from the TLB and what it leaves.
func TestInvalidation(t *testing.T) {
	const stale, fresh = 0x11, 0x22
	pge := func(r *Regime) { r.PGE = true }
	pcid5 := func(r *Regime) { r.PGE = true; r.PCIDE = true; r.CR3 |= 5 }
	vpid7 := func(r *Regime) { r.VPID = 7; r.PGE = true }
	tests := []struct {
		name   string
		set    func(r *Regime)
		global bool
		do     func(b *bench)
		want   uint64
	}{
		{"nothing", nil, false, func(b *bench) {}, stale},
		{"the fast arrays dropped", nil, false, func(b *bench) { b.FlushFast() }, stale},
		{"SwitchContext", nil, false, func(b *bench) { b.SwitchContext(&b.r) }, stale},
		{"INVLPG", nil, false, func(b *bench) { b.Invlpg(&b.r, longBase+0xFFF) }, fresh},
		{"INVLPG of another page", nil, false, func(b *bench) { b.Invlpg(&b.r, longBase+0x1000) }, stale},
		{"INVLPG of a global page", pge, true, func(b *bench) { b.Invlpg(&b.r, longBase) }, fresh},
		{"INVLPG in another PCID", pcid5, false, func(b *bench) { r := b.r; r.CR3 ^= 1; b.Invlpg(&r, longBase) }, stale},
		{"INVLPG of a global page in another PCID", pcid5, true, func(b *bench) { r := b.r; r.CR3 ^= 1; b.Invlpg(&r, longBase) }, fresh},
		{"INVLPG in another VPID", vpid7, true, func(b *bench) { r := b.r; r.VPID = 8; b.Invlpg(&r, longBase) }, stale},
		{"MOV to CR3", nil, false, func(b *bench) { b.FlushPCID(&b.r, 0, true) }, fresh},
		{"MOV to CR3, global page", pge, true, func(b *bench) { b.FlushPCID(&b.r, 0, true) }, stale},
		{"MOV to CR3, G=1 but PGE=0", nil, true, func(b *bench) { b.FlushPCID(&b.r, 0, true) }, fresh},
		{"MOV to CR3 of this PCID", pcid5, false, func(b *bench) { b.FlushPCID(&b.r, 5, true) }, fresh},
		{"MOV to CR3 of another PCID", pcid5, false, func(b *bench) { b.FlushPCID(&b.r, 6, true) }, stale},
		{"MOV to CR4 that changes PGE", pge, true, func(b *bench) { b.FlushAll(0, false) }, fresh},
		{"INVPCID address", pcid5, false, func(b *bench) { b.Invpcid(&b.r, InvpcidAddress, 5, longBase) }, fresh},
		{"INVPCID address, other PCID", pcid5, false, func(b *bench) { b.Invpcid(&b.r, InvpcidAddress, 6, longBase) }, stale},
		{"INVPCID address, global page", pcid5, true, func(b *bench) { b.Invpcid(&b.r, InvpcidAddress, 5, longBase) }, stale},
		{"INVPCID single", pcid5, false, func(b *bench) { b.Invpcid(&b.r, InvpcidSingle, 5, 0) }, fresh},
		{"INVPCID single, other PCID", pcid5, false, func(b *bench) { b.Invpcid(&b.r, InvpcidSingle, 6, 0) }, stale},
		{"INVPCID single, global page", pcid5, true, func(b *bench) { b.Invpcid(&b.r, InvpcidSingle, 5, 0) }, stale},
		{"INVPCID all", pcid5, true, func(b *bench) { b.Invpcid(&b.r, InvpcidAllGlobal, 0, 0) }, fresh},
		{"INVPCID all but global", pcid5, false, func(b *bench) { b.Invpcid(&b.r, InvpcidAllNotGlobal, 0, 0) }, fresh},
		{"INVPCID all but global, global page", pcid5, true, func(b *bench) { b.Invpcid(&b.r, InvpcidAllNotGlobal, 0, 0) }, stale},
		{"INVVPID address", vpid7, true, func(b *bench) { b.Invvpid(InvvpidAddress, 7, longBase) }, fresh},
		{"INVVPID address, other VPID", vpid7, true, func(b *bench) { b.Invvpid(InvvpidAddress, 8, longBase) }, stale},
		{"INVVPID address, other address", vpid7, true, func(b *bench) { b.Invvpid(InvvpidAddress, 7, 0) }, stale},
		{"INVVPID single", vpid7, true, func(b *bench) { b.Invvpid(InvvpidSingle, 7, 0) }, fresh},
		{"INVVPID single, other VPID", vpid7, true, func(b *bench) { b.Invvpid(InvvpidSingle, 8, 0) }, stale},
		{"INVVPID all", vpid7, true, func(b *bench) { b.Invvpid(InvvpidAll, 0, 0) }, fresh},
		{"INVVPID all leaves VPID 0", nil, false, func(b *bench) { b.Invvpid(InvvpidAll, 0, 0) }, stale},
		{"INVVPID single but global", vpid7, false, func(b *bench) { b.Invvpid(InvvpidSingleNotGlobal, 7, 0) }, fresh},
		{"INVVPID single but global, global page", vpid7, true, func(b *bench) { b.Invvpid(InvvpidSingleNotGlobal, 7, 0) }, stale},
		{"INVEPT leaves what has no EPT", nil, false, func(b *bench) { b.Invept(InveptAll, 0) }, stale},
		{"a page fault at the address", func(r *Regime) { r.SMAP = false }, false, func(b *bench) {
			r := b.r
			r.SMAP = true
			e := b.entry(pt)
			b.Probe(&r, longBase, 1, AccessRead, Supervisor)
			b.set64(pt, e)
		}, fresh},
		{"another PCID sees the tables", pcid5, false, func(b *bench) { b.regime(func(r *Regime) { r.CR3 ^= 1 }) }, fresh},
		{"another PCID sees the global page", pcid5, true, func(b *bench) { b.regime(func(r *Regime) { r.CR3 ^= 1 }) }, stale},
		{"another VPID does not see the global page", vpid7, true, func(b *bench) { b.regime(func(r *Regime) { r.VPID++ }) }, fresh},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			flags := uint64(0)
			if tt.global {
				flags = entryG
			}
			b := newStaleBench(t, flags, tt.set)
			tt.do(b)
			if got := b.read(t, longBase); got != tt.want {
				t.Errorf("read %#x, want %#x", got, tt.want)
			}
		})
	}
}

// TestInveptTypes checks both types of INVEPT (SDM Vol. 3, 30.3).
func TestInveptTypes(t *testing.T) {
	tests := []struct {
		name string
		do   func(b *bench)
		want uint64
	}{
		{"nothing", func(b *bench) {}, 0x11},
		{"single", func(b *bench) { b.Invept(InveptSingle, b.r.EPTP) }, 0x22},
		{"single, another context", func(b *bench) { b.Invept(InveptSingle, b.r.EPTP+PageSize) }, 0x11},
		{"all", func(b *bench) { b.Invept(InveptAll, 0) }, 0x22},
		{"INVLPG", func(b *bench) { b.Invlpg(&b.r, longBase) }, 0x22},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newNestedBench()
			b.Mem.Write(0x8000, 8, 0x11)
			b.Mem.Write(0x9000, 8, 0x22)
			b.set64(eptPT+5*8, 0x8000|7|6<<3)
			if v := b.read(t, longBase); v != 0x11 {
				t.Fatalf("read %#x", v)
			}
			b.set64(eptPT+5*8, 0x9000|7|6<<3)
			tt.do(b)
			if got := b.read(t, longBase); got != tt.want {
				t.Errorf("read %#x, want %#x", got, tt.want)
			}
		})
	}
}

// TestInvlpgLarge: INVLPG anywhere in a large page drops all its pieces.
func TestInvlpgLarge(t *testing.T) {
	b := newLongBench()
	b.set64(pd+16, table|entryPS) // longBase -> 0, 2 MiB
	b.Mem.Write(0x8000, 8, 0x11)
	b.Mem.Write(0x9000, 8, 0x22)
	b.read(t, longBase+0x8000)
	b.read(t, longBase+0x9000)
	b.set64(pd+16, 0)
	if b.read(t, longBase+0x8000) != 0x11 || b.read(t, longBase+0x9000) != 0x22 {
		t.Error("translations are gone before INVLPG")
	}
	b.Invlpg(&b.r, longBase+0x1FF000)
	for _, va := range []uint64{longBase + 0x8000, longBase + 0x9000} {
		if _, ok := b.Read(&b.r, va, 1, Supervisor); ok {
			t.Errorf("%#x still translates", va)
		}
	}
}

// TestReplacement: a set holds four pages; each further one pushes out the
// oldest, whether it was used since or not.
func TestReplacement(t *testing.T) {
	b := newLongBench()
	b.set64(pdpt, table|entryPS) // everything -> the first 1 GiB
	const stride = tlbSets * PageSize
	for i := range uint64(12) {
		b.read(t, i*stride+0x6000)
		b.read(t, max(i, 3)*stride-3*stride+0x6000) // the oldest once more
		for j := range i + 1 {
			want := j+4 > i
			if got := b.tlb.lookup(&b.r, j*stride+0x6000) != nil; got != want {
				t.Errorf("after %d pages, page %d is there: %v", i+1, j, got)
			}
		}
	}
}

// run is a run of random operations on an MMU, compared with the same
// run in which the fast arrays are dropped at random moments.
type run struct {
	b     *bench
	mixed bool // drop fast arrays
	log   []uint64
}

// fastRead is the interpreter's inlined look-up.
func (x *run) fastRead(va uint64, size int, cls Class) uint64 {
	b := x.b
	if e := &b.Fast.Read[cls][FastIndex(va)]; e.Tag == (va+uint64(size)-1)&^0xFFF {
		return loadBytes(e.Data[va&0xFFF:], size)
	}
	v, ok := b.Read(&b.r, va, size, cls)
	if !ok {
		return 0xBAD0000 | uint64(b.Fault.Kind) | uint64(b.Fault.Code)<<32
	}
	return v
}

func (x *run) fastWrite(va uint64, size int, v uint64, cls Class) uint64 {
	b := x.b
	if e := &b.Fast.Write[cls][FastIndex(va)]; e.Tag == (va+uint64(size)-1)&^0xFFF {
		storeBytes(e.Data[va&0xFFF:], size, v)
		return 0
	}
	if !b.Write(&b.r, va, size, v, cls) {
		return 0xBAD0000 | uint64(b.Fault.Kind) | uint64(b.Fault.Code)<<32
	}
	return 0
}

func (x *run) fastFetch(va uint64, cls Class) uint64 {
	b := x.b
	if e := &b.Fast.Exec[cls][FastIndex(va)]; e.Tag == va&^0xFFF {
		return e.Physical | va&0xFFF
	}
	pa, ok := b.Fetch(&b.r, va, cls)
	if !ok {
		return 0xBAD0000 | uint64(b.Fault.Kind) | uint64(b.Fault.Code)<<32
	}
	return pa
}

// step does one random thing and notes what came of it.
func (x *run) step(rnd *rand.Rand, drop *rand.Rand) {
	b := x.b
	if x.mixed && drop.IntN(3) == 0 {
		b.FlushFast()
	}
	va := randomAddress(rnd, &b.r)
	if rnd.IntN(4) > 0 { // few pages, used often
		va = uint64(rnd.IntN(4))<<12 | uint64(rnd.IntN(PageSize))
	}
	size := 1 << rnd.IntN(4)
	cls := Class(rnd.IntN(classes))
	var got uint64
	switch k := rnd.IntN(64); {
	case k < 24:
		got = x.fastRead(va, size, cls)
	case k < 44:
		// Guest tables are among what is written: translations go stale.
		got = x.fastWrite(va, size, rnd.Uint64(), cls)
	case k < 54:
		got = x.fastFetch(va, cls)
	case k < 56:
		b.Mem.Write(uint64(rnd.IntN(16*PageSize)), 8, rnd.Uint64())
	case k < 57:
		b.Invlpg(&b.r, va)
	case k < 58:
		b.FlushPCID(&b.r, b.r.pcid(), true)
	case k < 59:
		b.regime(func(r *Regime) { r.WP = !r.WP })
	case k < 60:
		b.regime(func(r *Regime) { r.CR3 ^= uint64(1 << rnd.IntN(3)) })
	case k < 61:
		b.regime(func(r *Regime) { r.VPID ^= 1 })
	case k < 62:
		b.FlipTLB(rnd.IntN(tlbSize), TLBField(rnd.IntN(int(tlbFields))), rnd.IntN(12))
	case k < 63:
		b.Mem.MarkCode(uint64(rnd.IntN(16*PageSize)), 20)
		b.Mem.Watch(uint64(rnd.IntN(16*PageSize)), 8, 1)
	default:
		b.Mem.ClearCode(uint64(rnd.IntN(16)))
		b.Mem.Unwatch(1)
		b.Mem.Digest()
	}
	x.log = append(x.log, got)
}

// TestFastIsInvisible: dropping the fast arrays at any moment changes
// nothing, neither results nor state.
func TestFastIsInvisible(t *testing.T) {
	n := 300
	if testing.Short() {
		n = 60
	}
	for seed := range uint64(n) {
		runs := [2]run{}
		for i := range runs {
			rnd := rand.New(rand.NewPCG(seed, 2))
			x := &runs[i]
			x.mixed = i == 1
			x.b = newBench(randomRegime(rnd))
			x.b.r.PCIDE = seed%2 == 0
			randomTables(rnd, x.b.Mem, &x.b.r)
			drop := rand.New(rand.NewPCG(seed, 3))
			for range 2000 {
				x.step(rnd, drop)
				if i == 0 {
					checkInvariant(t, x.b)
				}
			}
		}
		for i := range runs[0].log {
			if a, b := runs[0].log[i], runs[1].log[i]; a != b {
				t.Fatalf("seed %d, step %d: %#x with the fast arrays, %#x without", seed, i, a, b)
			}
		}
		a, b := runs[0].b, runs[1].b
		if !bytes.Equal(state.Save(nil, a), state.Save(nil, b)) {
			t.Fatalf("seed %d: the TLBs differ", seed)
		}
		if !bytes.Equal(refCopy(a.Mem), refCopy(b.Mem)) {
			t.Fatalf("seed %d: memory differs", seed)
		}
	}
}

// checkInvariant: what a fast slot says, the TLB says too, and permits.
func checkInvariant(t *testing.T, b *bench) {
	t.Helper()
	if b.r.direct() {
		return
	}
	check := func(what Access, cls Class, tag, pa uint64) {
		if tag == emptyTag {
			return
		}
		e := b.tlb.lookup(&b.r, tag)
		if e == nil || e.frame != pa || !e.permits(&b.r, what, cls) {
			t.Fatalf("%v %v slot %#x -> %#x is not what the TLB says: %+v", cls, what, tag, pa, e)
		}
	}
	frame := func(p *Page) uint64 {
		for i := range b.Mem.ram {
			if &b.Mem.ram[i] == p {
				return uint64(i) * PageSize
			}
		}
		return allOnes
	}
	for c := range Class(classes) {
		b.filled.read[c].each(func(i int) {
			e := &b.Fast.Read[c][i]
			check(AccessRead, c, e.Tag, frame(e.Data))
		})
		b.filled.write[c].each(func(i int) {
			e := &b.Fast.Write[c][i]
			check(AccessWrite, c, e.Tag, frame(e.Data))
			if e.Tag != emptyTag {
				f := b.Mem.frame(frame(e.Data))
				if b.Mem.code[f] != 0 || b.Mem.flags[f] != pageTouched {
					t.Fatalf("write slot %#x leads to a page that must be seen written", e.Tag)
				}
			}
		})
		b.filled.exec[c].each(func(i int) {
			e := &b.Fast.Exec[c][i]
			check(AccessFetch, c, e.Tag, e.Physical)
		})
	}
}

func TestTLBSaved(t *testing.T) {
	b := newLongBench()
	b.set64(pdpt, table|entryPS)
	for i := range uint64(40) {
		b.read(t, i*0x3000)
		b.read(t, i<<21)
	}
	saved := state.Save(nil, b)
	other := newLongBench()
	other.set64(pdpt, table|entryPS)
	other.read(t, 0x123000)
	if err := state.Load(saved, other); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(saved, state.Save(nil, other)) {
		t.Error("what was loaded saves differently")
	}
	if other.tlb.large != b.tlb.large {
		t.Errorf("%d large pieces, want %d", other.tlb.large, b.tlb.large)
	}
	for i := range b.TLBEntries() {
		if b.TLBEntry(i) != other.TLBEntry(i) {
			t.Errorf("entry %d: %+v, want %+v", i, other.TLBEntry(i), b.TLBEntry(i))
		}
	}
}

// FuzzTLBLoad: whatever is loaded, nothing panics.
func FuzzTLBLoad(f *testing.F) {
	b := newLongBench()
	b.set64(pdpt, table|entryPS)
	b.Read(&b.r, 0x123000, 1, Supervisor)
	f.Add(state.Save(nil, b))
	f.Fuzz(func(t *testing.T, saved []byte) {
		b := newLongBench()
		_ = state.Load(saved, b)
		for i := range uint64(8) {
			b.Read(&b.r, i<<20, 8, Supervisor)
			b.Invlpg(&b.r, i<<20)
		}
		_ = state.Load(state.Save(nil, b), b)
	})
}

// TestFlipTLB: what a flip of each field does to a translation in use.
func TestFlipTLB(t *testing.T) {
	find := func(b *bench) int {
		return b.tlb.find(&b.r, longBase)
	}
	tests := []struct {
		name  string
		field TLBField
		bit   int
		want  string // of a user read, write, fetch without walks changing it
	}{
		{"physical page", TLBPhysicalPage, 0, "other page"},
		{"virtual page", TLBVirtualPage, 3, "walks again"},
		{"valid", TLBValid, 0, "walks again"},
		{"pcid", TLBPCID, 2, "walks again"},
		{"vpid", TLBVPID, 0, "walks again"},
		{"ept", TLBEPT, 0, "walks again"},
		{"execute", TLBPermissions, 2, "same page"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newStaleBench(t, 0, nil) // TLB: 0x8000, tables: 0x9000
			b.Mem.Write(0x8000^0x1000, 8, 0x22)
			b.Mem.Write(0x9000, 8, 0x44)
			if !b.FlipTLB(find(b), tt.field, tt.bit) {
				t.Fatal("not applied")
			}
			want := map[string]uint64{"other page": 0x44, "walks again": 0x44, "same page": 0x11}[tt.want]
			if got := b.read(t, longBase); got != want {
				t.Errorf("read %#x, want %#x", got, want)
			}
		})
	}
	b := newLongBench()
	if b.FlipTLB(3, TLBPCID, 0) || b.FlipTLB(-1, TLBValid, 0) || b.FlipTLB(0, TLBPCID, 12) {
		t.Error("flipped what is not there")
	}
	if !b.FlipTLB(4*9, TLBValid, 0) || b.TLBEntry(4*9) != (TLBEntry{Valid: true, Linear: 9 * PageSize, PageSize: PageSize}) {
		t.Errorf("an invalid entry became %+v", b.TLBEntry(4*9))
	}
	for _, f := range TLBFields() {
		if g, err := ParseTLBField(f.String()); err != nil || g != f {
			t.Errorf("%v parses as %v, %v", f, g, err)
		}
	}
}

// BenchmarkTLBSave saves and loads a TLB with 1,024 entries.
func BenchmarkTLBSave(b *testing.B) {
	x := newLongBench()
	x.set64(pdpt, table|entryPS)
	for i := range uint64(1024) {
		x.Read(&x.r, i*PageSize, 1, Supervisor)
	}
	var buf []byte
	for b.Loop() {
		buf = state.Save(buf[:0], x)
		if err := state.Load(buf, x); err != nil {
			b.Fatal(err)
		}
	}
}

// TestTLBFate: a flipped entry is used, or goes unused.
func TestTLBFate(t *testing.T) {
	tests := []struct {
		name string
		do   func(b *bench)
		want []bool
	}{
		{"used", func(b *bench) { b.Read(&b.r, longBase, 1, Supervisor) }, []bool{true}},
		{"invalidated", func(b *bench) { b.Invlpg(&b.r, longBase) }, []bool{false}},
		{"another page used", func(b *bench) { b.Read(&b.r, longBase+0x1000, 1, Supervisor) }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newStaleBench(t, 0, nil)
			b.set64(pt+8, data|table)
			b.FlipTLB(b.tlb.find(&b.r, longBase), TLBPhysicalPage, 0)
			var got []bool
			b.TLBFate = func(used bool) { got = append(got, used) }
			tt.do(b)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}
