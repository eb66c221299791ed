package mmu

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/flipvisor/flipvisor/internal/state"
	"github.com/google/go-cmp/cmp"
)

// refCache is the same hierarchy with data in every line and memory apart:
// what Cache represents without storing data twice.
type refCache struct {
	levels [cacheLevels]refArray
	mem    []byte
}

type refArray struct {
	sets, ways int
	lines      []refLine
	order      []refTree
}

type refLine struct {
	addr  uint64
	state LineState
	data  lineData
}

// refTree is a pseudo-LRU tree over ways 0 to n-1: a set's node points to
// the half that was used longer ago.
type refTree map[string]bool // path of L and R from the root -> points right

func (t refTree) use(way, ways int) {
	path := ""
	for lo, hi := 0, ways; hi-lo > 1; {
		mid := (lo + hi) / 2
		t[path] = way < mid
		if way < mid {
			path, hi = path+"L", mid
		} else {
			path, lo = path+"R", mid
		}
	}
}

func (t refTree) victim(ways int) int {
	lo, hi, path := 0, ways, ""
	for hi-lo > 1 {
		mid := (lo + hi) / 2
		if t[path] {
			path, lo = path+"R", mid
		} else {
			path, hi = path+"L", mid
		}
	}
	return lo
}

func newRefCache(cfg CacheConfig, mem []byte) *refCache {
	c := &refCache{mem: mem}
	for l, k := range cfg {
		a := &c.levels[l]
		a.ways = k.Ways
		a.sets = k.Size / LineSize / k.Ways
		a.lines = make([]refLine, k.Size/LineSize)
		for range a.sets {
			a.order = append(a.order, refTree{})
		}
	}
	return c
}

func (a *refArray) set(addr uint64) int { return int(addr / LineSize % uint64(a.sets)) }

func (a *refArray) find(addr uint64) *refLine {
	for w := range a.ways {
		if k := &a.lines[a.set(addr)*a.ways+w]; k.state != Invalid && k.addr == addr {
			return k
		}
	}
	return nil
}

func (a *refArray) use(k *refLine) {
	for i := range a.lines {
		if &a.lines[i] == k {
			a.order[i/a.ways].use(i%a.ways, a.ways)
		}
	}
}

func (a *refArray) room(addr uint64) *refLine {
	s := a.set(addr)
	for w := range a.ways {
		if k := &a.lines[s*a.ways+w]; k.state == Invalid {
			return k
		}
	}
	return &a.lines[s*a.ways+a.order[s].victim(a.ways)]
}

func (c *refCache) memLine(addr uint64) []byte {
	if addr < uint64(len(c.mem)) {
		return c.mem[addr:][:LineSize]
	}
	return make([]byte, LineSize)
}

func (c *refCache) writeBack(l CacheLevel, k *refLine) {
	if k.state != Modified || l == L1I {
		return
	}
	k.state = Exclusive
	if l == L1D {
		if below := c.levels[L2].find(k.addr); below != nil {
			below.data, below.state = k.data, Modified
			return
		}
	}
	copy(c.memLine(k.addr), k.data[:])
}

func (c *refCache) evict(l CacheLevel, k *refLine) {
	if k.state == Invalid {
		return
	}
	if l == L2 {
		for _, up := range []CacheLevel{L1I, L1D} {
			for x := c.levels[up].find(k.addr); x != nil; x = c.levels[up].find(k.addr) {
				c.evict(up, x)
			}
		}
	}
	c.writeBack(l, k)
	*k = refLine{}
}

func (c *refCache) fillL2(addr uint64) *refLine {
	a := &c.levels[L2]
	k := a.find(addr)
	if k == nil {
		k = a.room(addr)
		c.evict(L2, k)
		*k = refLine{addr, Exclusive, lineData(c.memLine(addr))}
	}
	a.use(k)
	return k
}

func (c *refCache) line(addr uint64) *refLine {
	a := &c.levels[L1D]
	k := a.find(addr)
	if k == nil {
		from := c.fillL2(addr)
		k = a.room(addr)
		c.evict(L1D, k)
		*k = refLine{addr, Exclusive, from.data}
	}
	a.use(k)
	return k
}

func (c *refCache) read(pa uint64) byte { return c.line(pa & lineMask).data[pa%LineSize] }

func (c *refCache) dropFetched(addr uint64) {
	for k := c.levels[L1I].find(addr); k != nil; k = c.levels[L1I].find(addr) {
		*k = refLine{}
	}
}

func (c *refCache) write(pa uint64, v byte) {
	k := c.line(pa & lineMask)
	k.state = Modified
	k.data[pa%LineSize] = v
	c.dropFetched(pa & lineMask)
}

func (c *refCache) fetch(addr uint64) lineData {
	a := &c.levels[L1I]
	k := a.find(addr)
	if k == nil {
		if d := c.levels[L1D].find(addr); d != nil {
			c.writeBack(L1D, d)
		}
		from := c.fillL2(addr)
		k = a.room(addr)
		c.evict(L1I, k)
		*k = refLine{addr, Shared, from.data}
	}
	a.use(k)
	return k.data
}

func (c *refCache) busRead(pa uint64) byte {
	for _, l := range []CacheLevel{L1D, L2} {
		if k := c.levels[l].find(pa & lineMask); k != nil && k.state == Modified {
			return k.data[pa%LineSize]
		}
	}
	return c.mem[pa]
}

func (c *refCache) flush(addr uint64) {
	for l := range cacheLevels {
		for k := c.levels[l].find(addr); k != nil; k = c.levels[l].find(addr) {
			c.evict(l, k)
		}
	}
}

func (c *refCache) all(f func(l CacheLevel, k *refLine)) {
	for l := range cacheLevels {
		for i := range c.levels[l].lines {
			f(l, &c.levels[l].lines[i])
		}
	}
}

// tinyCache has few lines, so that a few addresses compete.
func tinyCache(p Protection) CacheConfig {
	return CacheConfig{
		L1I: {Size: 256, Ways: 2, Protection: p, Bank: 0},
		L1D: {Size: 256, Ways: 2, Protection: p, Bank: 1},
		L2:  {Size: 1024, Ways: 4, Protection: p, Bank: 2},
	}
}

func newCachedBench(t testing.TB, cfg CacheConfig) (*bench, *Cache) {
	b := newBench(Regime{})
	c, err := NewCache(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.SetCache(c)
	return b, c
}

// TestCacheAgainstData runs random accesses and faults on Cache and on the
// reference that has data in every line, and compares what everyone sees.
func TestCacheAgainstData(t *testing.T) {
	seeds, steps := uint64(60), 2000
	if testing.Short() {
		seeds = 20
	}
	faults := map[string]int{}
	for seed := range seeds {
		rnd := rand.New(rand.NewPCG(seed, 5))
		b, c := newCachedBench(t, tinyCache(Unprotected))
		ref := newRefCache(tinyCache(Unprotected), make([]byte, benchPages*PageSize))
		c.Fate = func(f Fate) { faults[f.Kind.String()]++ }
		const span = 4096
		for step := range steps {
			pa := uint64(rnd.IntN(span))
			size := 1 << rnd.IntN(4)
			if pa%PageSize+uint64(size) > PageSize {
				continue
			}
			l := CacheLevel(rnd.IntN(int(cacheLevels)))
			a := &ref.levels[l]
			set, way := rnd.IntN(a.sets), rnd.IntN(a.ways)
			k := &a.lines[set*a.ways+way]
			what := ""
			fail := func(format string, args ...any) {
				t.Helper()
				t.Fatalf("seed %d, step %d, %s: %s", seed, step, what, fmt.Sprintf(format, args...))
			}
			switch n := rnd.IntN(100); {
			case n < 30:
				what = "read"
				got, _ := b.Read(&b.r, pa, size, Supervisor)
				var want uint64
				for i := range size {
					want |= uint64(ref.read(pa+uint64(i))) << (8 * i)
				}
				if got != want {
					fail("%#x: got %#x, want %#x", pa, got, want)
				}
			case n < 60:
				what = "write"
				v := rnd.Uint64()
				b.Write(&b.r, pa, size, v, Supervisor)
				for i := range size {
					ref.write(pa+uint64(i), byte(v>>(8*i)))
				}
			case n < 75:
				what = "fetch"
				got := b.FetchLine(pa, 1)
				if got == nil {
					got = (*lineData)(b.Mem.Page(pa)[pa&lineMask%PageSize:])
				}
				if want := ref.fetch(pa & lineMask); *got != want {
					fail("%#x: got %x, want %x", pa, got, want)
				}
			case n < 78:
				what = "bus read"
				got := b.Mem.Read(pa, size)
				for i := range size {
					if want := ref.busRead(pa + uint64(i)); byte(got>>(8*i)) != want {
						fail("%#x: got %#x, want byte %d to be %#x", pa, got, i, want)
					}
				}
			case n < 81:
				what = "bus write"
				v := rnd.Uint64()
				b.Mem.Write(pa, size, v)
				for i := range size {
					ref.flush((pa + uint64(i)) & lineMask)
					ref.mem[pa+uint64(i)] = byte(v >> (8 * i))
				}
			case n < 83:
				what = "CLFLUSH"
				c.Flush(pa)
				ref.flush(pa & lineMask)
			case n < 84 && rnd.IntN(10) == 0:
				what = "WBINVD"
				c.WriteBackAll()
				ref.all(ref.evict)
			case n < 85 && rnd.IntN(10) == 0:
				what = "INVD"
				c.InvalidateAll()
				ref.all(func(_ CacheLevel, k *refLine) { *k = refLine{} })
			case n < 90:
				what = "data flip"
				bit := rnd.IntN(512)
				applied := c.FlipData(l, set, way, bit)
				if applied != (k.state != Invalid) {
					fail("applied: %v", applied)
				}
				if applied {
					k.data[bit/8] ^= 1 << (bit % 8)
				}
			case n < 93:
				what = "tag flip"
				bit := rnd.IntN(6)
				if rnd.IntN(8) == 0 {
					bit = rnd.IntN(20) // beyond RAM
				}
				applied := c.FlipTag(l, set, way, bit)
				if applied != (k.state != Invalid) {
					fail("applied: %v", applied)
				}
				if applied {
					k.addr ^= uint64(a.sets*LineSize) << bit
				}
			case n < 97:
				what = "state flip"
				bit := rnd.IntN(2)
				if !c.FlipState(l, set, way, bit) {
					fail("not applied")
				}
				was := k.state
				k.state ^= 1 << bit
				if was == Invalid {
					k.addr, k.data = uint64(set)*LineSize, lineData{}
				} else if k.state == Invalid {
					*k = refLine{}
				}
			default:
				what = "memory flip"
				b.Mem.Flip(pa, 3)
				ref.mem[pa] ^= 1 << 3
			}
			compareCaches(c, ref, fail)
			if rnd.IntN(50) == 0 {
				saved := state.Save(nil, c)
				other, _ := NewCache(tinyCache(Unprotected))
				other.mem = b.Mem
				if err := state.Load(saved, other); err != nil {
					fail("%v", err)
				}
				if !bytes.Equal(saved, state.Save(nil, other)) {
					fail("what was loaded saves differently")
				}
				other.Fate = c.Fate
				c = other
				b.MMU.cache, b.Mem.cache = c, c
			}
		}
		c.WriteBackAll()
		ref.all(ref.evict)
		if !bytes.Equal(refCopy(b.Mem), ref.mem) {
			t.Fatalf("seed %d: memory differs", seed)
		}
	}
	for _, k := range []FateKind{FateRead, FateMissed, FateOverwritten, FateDropped, FateWrittenBack} {
		if faults[k.String()] == 0 {
			t.Errorf("no flip was %v", k)
		}
	}
}

// compareCaches compares every copy of every line.
func compareCaches(c *Cache, ref *refCache, fail func(string, ...any)) {
	for l := range cacheLevels {
		for i := range ref.levels[l].lines {
			k := &ref.levels[l].lines[i]
			set, way := i/c.Ways(l), i%c.Ways(l)
			addr, s := c.Line(l, set, way)
			if addr != k.addr || s != k.state {
				fail("%v line %d: %#x %v, want %#x %v", l, i, addr, s, k.addr, k.state)
			}
			if got := c.LineBytes(l, set, way); got != k.data {
				fail("%v line %d (%#x): %x, want %x", l, i, addr, got, k.data)
			}
		}
	}
	for addr := uint64(0); addr < uint64(len(ref.mem)); addr += LineSize {
		if got := c.MemoryLine(addr); !bytes.Equal(got[:], ref.mem[addr:][:LineSize]) {
			fail("memory at %#x: %x, want %x", addr, got, ref.mem[addr:][:LineSize])
		}
	}
}

// find is the place of an address in a level.
func find(t *testing.T, c *Cache, l CacheLevel, addr uint64) (set, way int) {
	t.Helper()
	i := c.levels[l].find(addr)
	if i < 0 {
		t.Fatalf("%#x is not in %v", addr, l)
	}
	return i / c.Ways(l), i % c.Ways(l)
}

// TestLineFlips: the outcomes that the design names.
func TestLineFlips(t *testing.T) {
	const addr = 0x1000
	flush := func(b *bench, c *Cache) { c.Flush(addr) }
	tests := []struct {
		name  string
		dirty bool
		flip  func(t *testing.T, c *Cache)
		then  func(b *bench, c *Cache)
		seen  uint64 // after the flip
		want  uint64 // in the end
	}{
		{"data, clean line evicted: masked", false, flipData(L1D, addr), flush, 0x10, 0x11},
		{"data, modified line evicted: permanent", true, flipData(L1D, addr), flush, 0x23, 0x23},
		{"data, invalidated: dropped", true, flipData(L1D, addr), func(b *bench, c *Cache) { c.InvalidateAll() }, 0x23, 0x11},
		{"data, overwritten", false, flipData(L1D, addr), func(b *bench, c *Cache) { b.Write(&b.r, addr, 1, 0x44, Supervisor); c.Flush(addr) }, 0x10, 0x44},
		{"data in the L2, hidden by the L1D", false, flipData(L2, addr), func(b *bench, c *Cache) {}, 0x11, 0x11},
		{"data in the L2, read after the L1D's copy went", false, flipData(L2, addr), func(b *bench, c *Cache) { c.evict(L1D, c.levels[L1D].find(addr)) }, 0x11, 0x10},
		{"tag: a clean line moves, its address misses", false, flipTag(L1D, addr, 0), func(b *bench, c *Cache) {}, 0x11, 0x11},
		{"tag: a modified line moves, the store is lost", true, flipTag(L1D, addr, 0), func(b *bench, c *Cache) {}, 0x11, 0x11},
		{"state: modified to exclusive, the store is lost on eviction", true, flipState(L1D, addr, 0), flush, 0x22, 0x11},
		{"state: exclusive to modified does no harm", false, flipState(L1D, addr, 0), flush, 0x11, 0x11},
		{"state: modified to shared, stored to again", true, flipState(L1D, addr, 1), func(b *bench, c *Cache) { b.Write(&b.r, addr, 1, 0x55, Supervisor); c.Flush(addr) }, 0x22, 0x55},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, c := newCachedBench(t, DefaultCache())
			b.Mem.Write(addr, 8, 0x11)
			read := func() uint64 { v, _ := b.Read(&b.r, addr, 1, Supervisor); return v }
			read()
			if tt.dirty {
				b.Write(&b.r, addr, 1, 0x22, Supervisor)
			}
			tt.flip(t, c)
			if got := read(); got != tt.seen {
				t.Errorf("after the flip: %#x, want %#x", got, tt.seen)
			}
			tt.then(b, c)
			if got := read(); got != tt.want {
				t.Errorf("in the end: %#x, want %#x", got, tt.want)
			}
		})
	}
}

func flipData(l CacheLevel, addr uint64) func(*testing.T, *Cache) {
	return func(t *testing.T, c *Cache) { s, w := find(t, c, l, addr); c.FlipData(l, s, w, 0) }
}

func flipTag(l CacheLevel, addr uint64, bit int) func(*testing.T, *Cache) {
	return func(t *testing.T, c *Cache) { s, w := find(t, c, l, addr); c.FlipTag(l, s, w, bit) }
}

func flipState(l CacheLevel, addr uint64, bit int) func(*testing.T, *Cache) {
	return func(t *testing.T, c *Cache) { s, w := find(t, c, l, addr); c.FlipState(l, s, w, bit) }
}

// TestTagFlip: the line's bytes are found under the wrong address, and what
// is stored goes there.
func TestTagFlip(t *testing.T) {
	const addr, other = 0x1000, 0x2000 // one tag bit of an L1D with 64 sets
	b, c := newCachedBench(t, DefaultCache())
	b.Mem.Write(addr, 8, 0x11)
	b.Mem.Write(other, 8, 0x99)
	b.Write(&b.r, addr, 1, 0x22, Supervisor)
	var fates []FateKind
	c.Fate = func(f Fate) { fates = append(fates, f.Kind) }
	s, w := find(t, c, L1D, addr)
	c.FlipTag(L1D, s, w, 0)
	c.FlipTag(L1D, s, w, 1)
	c.FlipTag(L1D, s, w, 1) // and back
	if a, _ := c.Line(L1D, s, w); a != 0 {
		t.Fatalf("the line stands for %#x", a)
	}
	// 0x1000 with tag bit 0 (address bit 12) inverted is 0.
	if v, _ := b.Read(&b.r, 0, 1, Supervisor); v != 0x22 {
		t.Errorf("the wrong address reads %#x", v)
	}
	if v, _ := b.Read(&b.r, addr, 1, Supervisor); v != 0x11 {
		t.Errorf("the right address reads %#x", v)
	}
	c.WriteBackAll()
	if b.Mem.Read(0, 1) != 0x22 || b.Mem.Read(addr, 1) != 0x11 || b.Mem.Read(other, 1) != 0x99 {
		t.Errorf("memory: %#x %#x %#x", b.Mem.Read(0, 1), b.Mem.Read(addr, 1), b.Mem.Read(other, 1))
	}
	if d := cmp.Diff([]FateKind{FateRead, FateMissed, FateWrittenBack}, fates); d != "" {
		t.Error(d)
	}
}

// TestFetchSide: a flip in the L1I is seen by fetches only, until a store
// takes the line away.
func TestFetchSide(t *testing.T) {
	const addr = 0x1000
	b, c := newCachedBench(t, DefaultCache())
	b.Mem.Write(addr, 8, 0x11)
	if b.FetchLine(addr+3, 1) != nil {
		t.Fatal("an unflipped line has bytes of its own")
	}
	flipData(L1I, addr)(t, c)
	if p := b.FetchLine(addr, 1); p == nil || p[0] != 0x10 {
		t.Fatal("the flip is not fetched")
	}
	if v, _ := b.Read(&b.r, addr, 1, Supervisor); v != 0x11 {
		t.Errorf("data side reads %#x", v)
	}
	b.Write(&b.r, addr+32, 1, 1, Supervisor)
	if b.FetchLine(addr, 1) != nil {
		t.Error("the flip survived a store to the line")
	}
}

// TestProtection: what each protection reports, and what is left of it.
// Codes are 000F 0001 RRRR TTLL (SDM Vol. 3, 15.9.2).
func TestProtection(t *testing.T) {
	const (
		addr = 0x1000
		ce   = statusVAL | statusEN | statusADDRV | statusOnce
		ue   = statusVAL | statusEN | statusADDRV | statusUC | statusPCC
	)
	twice := func(c *Cache, l CacheLevel, s, w int) { c.FlipData(l, s, w, 0); c.FlipData(l, s, w, 9) }
	tests := []struct {
		name  string
		p     Protection
		dirty bool
		flip  func(c *Cache, l CacheLevel, s, w int)
		do    func(b *bench, c *Cache)
		want  []MCE
		seen  uint64 // what a load sees in the end
	}{
		{"parity, clean", Parity, false, flip1, nil, []MCE{{1, ce | 0x135, addr}}, 0x11},
		{"parity, modified", Parity, true, flip1, nil, []MCE{{1, ue | 0x135, addr}}, 0x23},
		{"parity, two bits in one byte", Parity, true, func(c *Cache, l CacheLevel, s, w int) { c.FlipData(l, s, w, 0); c.FlipData(l, s, w, 1) }, nil, nil, 0x21},
		{"parity, overwritten first", Parity, true, flip1, func(b *bench, c *Cache) { b.Write(&b.r, addr, 1, 7, Supervisor) }, nil, 7},
		{"parity, another byte read", Parity, true, flip1, func(b *bench, c *Cache) { b.Read(&b.r, addr+1, 1, Supervisor); b.Write(&b.r, addr, 1, 7, Supervisor) }, nil, 7},
		{"parity, written back", Parity, true, flip1, func(b *bench, c *Cache) { c.Flush(addr) }, []MCE{{1, ue | 0x175, addr}}, 0x23},
		{"SECDED, one bit", SECDED, true, flip1, nil, []MCE{{1, ce | 0x135, addr}}, 0x22},
		{"SECDED, one bit, byte store into the word", SECDED, true, flip1, func(b *bench, c *Cache) { b.Write(&b.r, addr+1, 1, 0, Supervisor) }, []MCE{{1, ce | 0x145, addr}}, 0x22},
		{"SECDED, whole word stored", SECDED, true, twice, func(b *bench, c *Cache) { b.Write(&b.r, addr, 8, 7, Supervisor) }, nil, 7},
		{"SECDED, two bits", SECDED, true, twice, nil, []MCE{{1, ue | 0x135, addr}}, 0x23},
		{"SECDED, two bits in two words", SECDED, false, func(c *Cache, l CacheLevel, s, w int) { c.FlipData(l, s, w, 0); c.FlipData(l, s, w, 64) },
			func(b *bench, c *Cache) { b.Read(&b.r, addr+8, 1, Supervisor) }, []MCE{{1, ce | 0x135, addr + 8}, {1, ce | 0x135, addr}}, 0x11},
		{"SECDED, tag", SECDED, true, func(c *Cache, l CacheLevel, s, w int) { c.FlipTag(l, s, w, 3) }, nil, []MCE{{1, ce | 0x135, addr}}, 0x22},
		{"SECDED, state", SECDED, true, func(c *Cache, l CacheLevel, s, w int) { c.FlipState(l, s, w, 0) }, nil, []MCE{{1, ce | 0x135, addr}}, 0x22},
		{"SECDED, two tag bits", SECDED, true, func(c *Cache, l CacheLevel, s, w int) { c.FlipTag(l, s, w, 3); c.FlipTag(l, s, w, 4) }, nil, []MCE{{1, ue | 0x135, addr}}, 0x11},
		{"parity, tag, clean", Parity, false, func(c *Cache, l CacheLevel, s, w int) { c.FlipTag(l, s, w, 3) }, nil, []MCE{{1, ce | 0x135, addr}}, 0x11},
		{"parity, tag, modified", Parity, true, func(c *Cache, l CacheLevel, s, w int) { c.FlipTag(l, s, w, 3) }, nil, []MCE{{1, ue | 0x135, addr}}, 0x11},
		{"parity, state of a modified line", Parity, true, func(c *Cache, l CacheLevel, s, w int) { c.FlipState(l, s, w, 0) },
			func(b *bench, c *Cache) { b.Read(&b.r, addr, 1, Supervisor); c.Flush(addr) }, []MCE{{1, ue | 0x135, addr}}, 0x11},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, c := newCachedBench(t, tinyCache(tt.p))
			b.Mem.Write(addr, 8, 0x11)
			read := func() uint64 { v, _ := b.Read(&b.r, addr, 1, Supervisor); return v }
			read()
			if tt.dirty {
				b.Write(&b.r, addr, 1, 0x22, Supervisor)
			}
			var got []MCE
			c.MachineCheck = func(e MCE) { got = append(got, e) }
			s, w := find(t, c, L1D, addr)
			tt.flip(c, L1D, s, w)
			saved := state.Save(nil, c)
			if err := state.Load(saved, c); err != nil || !bytes.Equal(saved, state.Save(nil, c)) {
				t.Errorf("saving: %v", err)
			}
			if tt.do != nil {
				tt.do(b, c)
			}
			if v := read(); v != tt.seen {
				t.Errorf("reads %#x, want %#x", v, tt.seen)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	// The L2 and the L1I name themselves.
	b, c := newCachedBench(t, tinyCache(SECDED))
	var got []MCE
	c.MachineCheck = func(e MCE) { got = append(got, e) }
	b.FetchLine(addr, 1)
	flipData(L1I, addr)(t, c)
	b.FetchLine(addr, 1)
	flipData(L2, addr)(t, c)
	b.Write(&b.r, addr, 1, 1, Supervisor)
	if d := cmp.Diff([]MCE{{0, ce | 0x151, addr}, {2, ce | 0x11A, addr}}, got); d != "" {
		t.Error(d)
	}
}

func flip1(c *Cache, l CacheLevel, s, w int) { c.FlipData(l, s, w, 0) }

// TestSECDED: the code corrects every single flip and detects every pair.
func TestSECDED(t *testing.T) {
	for i := range 64 {
		if fix, v := secded(1 << i); v != wordCorrected || fix != 1<<i {
			t.Errorf("bit %d: %v %#x", i, v, fix)
		}
		for j := range i {
			if _, v := secded(1<<i | 1<<j); v != wordBad {
				t.Errorf("bits %d and %d: %v", i, j, v)
			}
		}
	}
}

// TestCacheIsInvisible: without faults, a program cannot tell that the
// caches are there.
func TestCacheIsInvisible(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 6))
		r := randomRegime(rnd)
		plain := newBench(r)
		cached, c := newCachedBench(t, tinyCache(Unprotected))
		cached.r = plain.r
		randomTables(rnd, plain.Mem, &r)
		if err := cached.Mem.WriteBytes(0, refCopy(plain.Mem)); err != nil {
			t.Fatal(err)
		}
		a, b := &run{b: plain}, &run{b: cached}
		for range 3000 {
			s1, s2 := rnd.Uint64(), rnd.Uint64()
			a.step(rand.New(rand.NewPCG(s1, s2)), nil)
			b.step(rand.New(rand.NewPCG(s1, s2)), nil)
		}
		if d := cmp.Diff(a.log, b.log); d != "" {
			t.Fatalf("seed %d: %s", seed, d)
		}
		if !bytes.Equal(refCopy(plain.Mem), refCopy(cached.Mem)) {
			t.Fatalf("seed %d: loads see other memory", seed)
		}
		c.WriteBackAll()
		if !bytes.Equal(refCopy(plain.Mem), refCopy(cached.Mem)) {
			t.Fatalf("seed %d: memory differs", seed)
		}
	}
}

// TestProtectionHides: what a protection can put right, a program never
// sees: any single flip under SECDED, and a flip in a clean line under
// parity. The caches stay inclusive.
func TestProtectionHides(t *testing.T) {
	for seed := range uint64(60) {
		p := []Protection{Parity, SECDED}[seed%2]
		rnd := rand.New(rand.NewPCG(seed, 8))
		b, c := newCachedBench(t, tinyCache(p))
		c.MachineCheck = func(e MCE) {
			if e.Uncorrected() {
				t.Fatalf("seed %d: %+v", seed, e)
			}
		}
		plain := make([]byte, 4096)
		for step := range 3000 {
			pa := uint64(rnd.IntN(len(plain)))
			switch k := rnd.IntN(20); {
			case k < 7:
				if v, _ := b.Read(&b.r, pa, 1, Supervisor); byte(v) != plain[pa] {
					t.Fatalf("seed %d, step %d: %v: %#x reads %#x, want %#x", seed, step, p, pa, v, plain[pa])
				}
			case k < 12:
				plain[pa] = byte(rnd.Uint32())
				b.Write(&b.r, pa, 1, uint64(plain[pa]), Supervisor)
			case k < 15:
				got := b.FetchLine(pa, 1)
				if got == nil {
					got = (*lineData)(b.Mem.Page(pa)[pa&lineMask:])
				}
				if got[pa%LineSize] != plain[pa] {
					t.Fatalf("seed %d, step %d: %v: %#x fetches %#x, want %#x", seed, step, p, pa, got[pa%LineSize], plain[pa])
				}
			case k < 16:
				c.Flush(pa)
			case k < 17 && len(c.flaws) == 0:
				c.WriteBackAll()
			case len(c.flaws) == 0:
				l := CacheLevel(rnd.IntN(int(cacheLevels)))
				set, way := rnd.IntN(c.Sets(l)), rnd.IntN(c.Ways(l))
				if _, s := c.Line(l, set, way); p == Parity && s == Modified {
					continue
				}
				switch rnd.IntN(3) {
				case 0:
					c.FlipData(l, set, way, rnd.IntN(512))
				case 1:
					c.FlipTag(l, set, way, rnd.IntN(5))
				case 2:
					// A clean line that a flip would make modified counts as
					// modified for parity.
					bit := rnd.IntN(2)
					if _, s := c.Line(l, set, way); p == SECDED || s^LineState(1<<bit) != Modified {
						c.FlipState(l, set, way, bit)
					}
				}
				// A store would make the flipped line modified, and parity
				// could no longer drop it: let the line be found out first.
				if p == Parity && len(c.flaws) > 0 {
					addr, _ := c.Line(l, set, way)
					if l == L1I {
						b.FetchLine(addr, LineSize)
					} else {
						for off := range uint64(LineSize) {
							b.Read(&b.r, addr+off, 1, Supervisor)
						}
					}
				}
			}
			for _, l := range []CacheLevel{L1I, L1D} {
				for _, k := range c.levels[l].lines {
					if k.state != Invalid && c.levels[L2].find(k.addr) < 0 {
						t.Fatalf("seed %d, step %d: %v holds %#x, the L2 does not", seed, step, l, k.addr)
					}
				}
			}
		}
		for len(c.flaws) > 0 { // what is left is found by reading everything
			for i := range plain {
				b.Read(&b.r, uint64(i), 1, Supervisor)
				b.FetchLine(uint64(i), 1)
			}
		}
		c.WriteBackAll()
		if got := refCopy(b.Mem)[:len(plain)]; !bytes.Equal(got, plain) {
			t.Fatalf("seed %d: memory differs", seed)
		}
	}
}

func TestCacheConfig(t *testing.T) {
	for _, bad := range []LevelConfig{{Size: 0, Ways: 1}, {Size: 96, Ways: 1}, {Size: 4096, Ways: 3}, {Size: 4096, Ways: 32}, {Size: 64, Ways: 2}} {
		cfg := DefaultCache()
		cfg[L1D] = bad
		if _, err := NewCache(cfg); err == nil {
			t.Errorf("accepted %+v", bad)
		}
	}
	_, c := newCachedBench(t, DefaultCache())
	if c.Sets(L1D) != 64 || c.Ways(L2) != 8 || c.Sets(L2) != 512 || c.TagBits(L2, 36) != 21 {
		t.Error("geometry")
	}
	for l := range cacheLevels {
		if got, err := ParseCacheLevel(l.String()); err != nil || got != l {
			t.Errorf("%v parses as %v, %v", l, got, err)
		}
	}
}

// FuzzCacheLoad: whatever is loaded, nothing panics.
func FuzzCacheLoad(f *testing.F) {
	b, c := newCachedBench(f, tinyCache(SECDED))
	for i := range uint64(40) {
		b.Write(&b.r, i*64, 8, i, Supervisor)
	}
	c.FlipData(L1D, 0, 0, 1)
	c.FlipTag(L2, 1, 1, 2)
	f.Add(state.Save(nil, c), uint64(1))
	f.Fuzz(func(t *testing.T, saved []byte, seed uint64) {
		b, c := newCachedBench(t, tinyCache(SECDED))
		_ = state.Load(saved, c)
		rnd := rand.New(rand.NewPCG(seed, 7))
		for range 100 {
			b.Read(&b.r, uint64(rnd.IntN(4096)), 1, Supervisor)
			b.Write(&b.r, uint64(rnd.IntN(4096)), 1, 1, Supervisor)
			b.FetchLine(uint64(rnd.IntN(64))*64, 1)
			b.Mem.Read(uint64(rnd.IntN(4096)), 1)
			c.FlipState(CacheLevel(rnd.IntN(3)), 0, 0, rnd.IntN(2))
		}
		c.WriteBackAll()
	})
}

// BenchmarkCachedRead is a load that hits the L1D, and one that goes through
// all levels.
func BenchmarkCachedRead(b *testing.B) {
	for _, span := range []uint64{4096, 120 << 10} {
		b.Run(fmt.Sprintf("working-set-%dK", span>>10), func(b *testing.B) {
			x, _ := newCachedBench(b, DefaultCache())
			pa := uint64(0)
			for b.Loop() {
				x.Read(&x.r, pa, 8, Supervisor)
				pa = (pa + 64) % span
			}
		})
	}
}

func BenchmarkCachedWrite(b *testing.B) {
	x, _ := newCachedBench(b, DefaultCache())
	pa := uint64(0)
	for b.Loop() {
		x.Write(&x.r, pa, 8, pa, Supervisor)
		pa = (pa + 64) % (120 << 10)
	}
}

func BenchmarkCacheSave(b *testing.B) {
	x, _ := newCachedBench(b, DefaultCache())
	for pa := uint64(0); pa < 120<<10; pa += 64 {
		x.Write(&x.r, pa, 8, pa, Supervisor)
	}
	var buf []byte
	for b.Loop() {
		buf = state.Save(buf[:0], x)
	}
	b.SetBytes(int64(len(buf)))
}
