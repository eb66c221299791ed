package mmu

import "fmt"

// LineSize is the number of bytes in a cache line.
const LineSize = 64

// lineData is the bytes of a line.
type lineData = [LineSize]byte

// CacheLevel names one of the caches.
type CacheLevel uint8

const (
	L1I CacheLevel = iota
	L1D
	L2
	cacheLevels
)

func (l CacheLevel) String() string { return [...]string{"l1i", "l1d", "l2"}[l] }

// ParseCacheLevel is the level that String prints as s.
func ParseCacheLevel(s string) (CacheLevel, error) {
	for l := range cacheLevels {
		if l.String() == s {
			return l, nil
		}
	}
	return 0, fmt.Errorf("unknown cache %q: want l1i, l1d or l2", s)
}

// LineState is the state of a line. The bits of the encoding are what a
// state flip inverts.
type LineState uint8

const (
	Invalid   LineState = 0b00
	Shared    LineState = 0b01
	Exclusive LineState = 0b10
	Modified  LineState = 0b11
)

func (s LineState) String() string {
	return [...]string{"invalid", "shared", "exclusive", "modified"}[s]
}

// LevelConfig describes one cache.
type LevelConfig struct {
	Size       int // bytes
	Ways       int
	Protection Protection
	Bank       int // machine-check bank that reports it
}

// CacheConfig describes the hierarchy.
type CacheConfig [cacheLevels]LevelConfig

// DefaultCache is 32 KiB of L1I and of L1D and 256 KiB of L2, all in eight
// ways and unprotected.
func DefaultCache() CacheConfig {
	return CacheConfig{
		L1I: {Size: 32 << 10, Ways: 8, Bank: 0},
		L1D: {Size: 32 << 10, Ways: 8, Bank: 1},
		L2:  {Size: 256 << 10, Ways: 8, Bank: 2},
	}
}

// Cache models an L1I and an L1D over a unified L2: 64-byte lines,
// write-back, write-allocate, tree pseudo-LRU. The L2 includes both L1s:
// a line that leaves it takes their copies with it. All of RAM is cached as
// write-back memory and nothing else is. Stores and bus writes take an L1I
// copy of the line away, as self-modifying code needs; a fetch of a line
// that is modified in the L1D writes it back to the L2 first.
//
// Lines hold no bytes. RAM holds for each address what a load by the
// processor sees, which is the bytes of its topmost copy: in the L1D, else
// in the L2, else in memory itself. The copies below, and those in the L1I,
// mostly have the same bytes; where they have not, because the line was
// modified or a bit was flipped in it, they have bytes of their own here:
// see view.go. So a fault in a clean line vanishes with it, one in a
// modified line goes where the line is written back to, and a line that
// loses its modified state loses its data.
//
// An invalid line holds neither tag nor bytes.
type Cache struct {
	mem    *Memory
	levels [cacheLevels]cacheArray

	// memory has memory's own bytes of the lines where they may differ from
	// what a load sees.
	memory map[uint64]lineData

	// flaws are the flips that have not been overwritten or dropped.
	flaws []flaw

	// MachineCheck is called for each error that a protected cache finds,
	// in the middle of the access that found it.
	MachineCheck func(MCE)

	// Fate is called when something happens to a flipped line.
	Fate func(Fate)

	scratch []byte
	keys    []uint64
}

// cacheArray is one cache.
type cacheArray struct {
	LevelConfig
	sets  uint64
	lines []cacheLine // set by set
	plru  []uint16    // per set: the tree's bits, the root is bit 1
	own   []lineData  // bytes of the lines that have their own
}

type cacheLine struct {
	addr  uint64 // of its first byte
	state LineState
	own   bool // its bytes are not what a load sees

	// alone, in a modified line of the L1D, says that a store has already
	// detached the other copies. It only saves time.
	alone bool
}

// NewCache makes an empty hierarchy.
func NewCache(cfg CacheConfig) (*Cache, error) {
	c := &Cache{memory: make(map[uint64]lineData)}
	for l, k := range cfg {
		lines := k.Size / LineSize
		powers := lines > 0 && lines&(lines-1) == 0 && k.Ways > 0 && k.Ways&(k.Ways-1) == 0
		if !powers || k.Size%LineSize != 0 || k.Ways > 16 || k.Ways > lines {
			return nil, fmt.Errorf("%v of %d bytes in %d ways: both must be powers of two, of at least %d bytes and at most 16 ways",
				CacheLevel(l), k.Size, k.Ways, LineSize)
		}
		c.levels[l] = cacheArray{
			LevelConfig: k,
			sets:        uint64(lines / k.Ways),
			lines:       make([]cacheLine, lines),
			plru:        make([]uint16, lines/k.Ways),
			own:         make([]lineData, lines),
		}
	}
	return c, nil
}

// SetCache puts the caches between the processor and memory. While they are
// there the fast arrays stay empty, and every access and fetch passes them.
// The caches that were there before are written back; nil leaves none. They
// belong to one processor: a memory has at most one hierarchy.
func (m *MMU) SetCache(c *Cache) {
	if m.cache != nil {
		m.cache.WriteBackAll()
	} else if m.Mem.cache != nil {
		panic("mmu: another processor's caches are on this memory")
	}
	m.cache, m.Mem.cache = c, c
	if c != nil {
		c.mem = m.Mem
	}
	m.FlushFast()
}

// Cache is what SetCache set.
func (m *MMU) Cache() *Cache { return m.cache }

// FetchLine passes the caches for the n bytes at pa, within one line, that
// an instruction consists of. If it returns a line, the instruction side
// sees those bytes and not memory's: the instruction is to be decoded from
// them, and not to be kept.
func (m *MMU) FetchLine(pa uint64, n int) *[LineSize]byte {
	if m.cache == nil || m.Mem.frame(pa) == noFrame {
		return nil
	}
	return m.cache.fetch(pa, n)
}

// find is the index of the line that holds an address, -1 if none does.
func (a *cacheArray) find(addr uint64) int {
	i := a.first(addr)
	for j := range a.Ways {
		if k := &a.lines[i+j]; k.addr == addr && k.state != Invalid {
			return i + j
		}
	}
	return -1
}

// first is the index of the first line of the set for an address.
func (a *cacheArray) first(addr uint64) int {
	return int(addr/LineSize%a.sets) * a.Ways
}

// use makes a line the last its set will replace.
func (a *cacheArray) use(i int) {
	set, way := i/a.Ways, i%a.Ways
	node := 1
	for half := a.Ways / 2; half > 0; half /= 2 {
		if way&half == 0 {
			a.plru[set] |= 1 << node // away from here: right
			node = node * 2
		} else {
			a.plru[set] &^= 1 << node
			node = node*2 + 1
		}
	}
}

// victim is the line to replace in a set: an invalid one if there is one.
func (a *cacheArray) victim(first int) int {
	for j := range a.Ways {
		if a.lines[first+j].state == Invalid {
			return first + j
		}
	}
	bits := a.plru[first/a.Ways]
	node := 1
	for node < a.Ways {
		node = node*2 + int(bits>>node&1)
	}
	return first + node - a.Ways
}

const lineMask = ^uint64(LineSize - 1)

// read passes the caches for a load that does not cross a page.
func (c *Cache) read(pa uint64, size int) {
	c.split(pa, size, func(addr uint64, off, n int) {
		i := c.dataLine(addr, off, n, requestDRD)
		c.levels[L1D].use(i)
	})
}

// write passes the caches for a store: afterwards the line is modified and
// every other copy has bytes of its own, so that the bytes that a load sees
// may be changed.
func (c *Cache) write(pa uint64, size int) {
	c.split(pa, size, func(addr uint64, off, n int) {
		i := c.dataLine(addr, off, n, requestDWR)
		if k := &c.levels[L1D].lines[i]; k.state != Modified || !k.alone {
			c.detach(addr, copyRef{L1D, i})
			k.state, k.alone = Modified, true
		}
		c.dropFetched(addr)
		c.levels[L1D].use(i)
	})
}

// split calls f for the part of an access in each line. Accesses to what is
// not RAM pass by the caches.
func (c *Cache) split(pa uint64, size int, f func(addr uint64, off, n int)) {
	if c.mem.frame(pa) == noFrame {
		return
	}
	for size > 0 {
		off := int(pa % LineSize)
		n := min(size, LineSize-off)
		f(pa&lineMask, off, n)
		pa, size = pa+uint64(n), size-n
	}
}

// dataLine finds the line in the L1D, filling it if need be, and lets the
// line's protection see the access.
func (c *Cache) dataLine(addr uint64, off, n int, q request) int {
	a := &c.levels[L1D]
	for {
		i := c.lookup(L1D, addr, q)
		if i < 0 {
			c.fillL2(addr, q)
			i = a.victim(a.first(addr))
			c.evict(L1D, i)
			a.lines[i] = cacheLine{addr: addr, state: Exclusive}
		}
		if len(c.flaws) == 0 || !c.inspect(L1D, i, off, n, q) {
			return i
		}
		// Found broken and dropped: read it again from below.
	}
}

// fetch passes the caches for an instruction's bytes.
func (c *Cache) fetch(pa uint64, n int) *lineData {
	addr := pa & lineMask
	a := &c.levels[L1I]
	for {
		i := c.lookup(L1I, addr, requestIRD)
		if i < 0 {
			if d := c.lookup(L1D, addr, requestIRD); d >= 0 && c.levels[L1D].lines[d].state == Modified {
				c.writeBack(L1D, d)
			}
			from := c.fillL2(addr, requestIRD)
			i = a.victim(a.first(addr))
			c.evict(L1I, i)
			a.lines[i] = cacheLine{addr: addr, state: Shared, own: c.levels[L2].lines[from].own}
			a.own[i] = c.levels[L2].own[from]
		}
		if len(c.flaws) != 0 && c.inspect(L1I, i, int(pa%LineSize), n, requestIRD) {
			continue
		}
		a.use(i)
		if a.lines[i].own {
			return &a.own[i]
		}
		return nil
	}
}

// fillL2 finds the line in the L2, filling it from memory if need be, for a
// first-level cache that reads all of it.
func (c *Cache) fillL2(addr uint64, q request) int {
	a := &c.levels[L2]
	for {
		i := c.lookup(L2, addr, q)
		if i < 0 {
			i = a.victim(a.first(addr))
			c.evict(L2, i)
			a.lines[i] = cacheLine{addr: addr, state: Exclusive}
			a.own[i], a.lines[i].own = c.memory[addr]
		}
		if len(c.flaws) != 0 && c.inspect(L2, i, 0, LineSize, q.fill()) {
			continue
		}
		a.use(i)
		return i
	}
}

// evict empties a line: what is modified in it is written back.
func (c *Cache) evict(l CacheLevel, i int) {
	if len(c.flaws) != 0 {
		c.checkTags(l, i-i%c.levels[l].Ways, requestEvict)
	}
	k := &c.levels[l].lines[i]
	if k.state == Invalid {
		return
	}
	if l == L2 {
		// Inclusion: the first level goes first. Its write-back may end here.
		c.evictCopies(L1I, k.addr)
		c.evictCopies(L1D, k.addr)
	}
	if k.state == Modified && l != L1I { // the L1I has no way to write
		c.writeBack(l, i)
	}
	if k.state != Invalid {
		c.remove(l, i, FateDropped)
	}
}

// evictCopies empties the lines of a cache that hold an address.
func (c *Cache) evictCopies(l CacheLevel, addr uint64) {
	for {
		i := c.levels[l].find(addr)
		if i < 0 {
			return
		}
		c.evict(l, i)
	}
}

// dropFetched takes the L1I's copy of a line away.
func (c *Cache) dropFetched(addr uint64) {
	for {
		i := c.levels[L1I].find(addr)
		if i < 0 {
			return
		}
		c.remove(L1I, i, FateDropped)
	}
}

// writeBack copies a modified line to the level below and leaves it clean.
// From the L1D it goes to the L2 if that has the line, else to memory.
func (c *Cache) writeBack(l CacheLevel, i int) {
	c.inspectWriteBack(l, i)
	k := &c.levels[l].lines[i]
	to, below := memoryRef, -1
	if l == L1D {
		below = c.lookup(L2, k.addr, requestEvict)
		if k.state != Modified {
			return // the L2 had to drop its line, and this one went with it
		}
	}
	k.state = Exclusive
	if below >= 0 {
		to = copyRef{L2, below}
		c.levels[L2].lines[below].state = Modified
		c.overwritten(L2, below)
	}
	if !k.own {
		c.attach(k.addr, to)
	} else {
		c.assign(k.addr, to, c.levels[l].own[i])
	}
}

// Flush writes the line that holds pa back and empties it in all caches:
// CLFLUSH, CLFLUSHOPT and CLWB.
func (c *Cache) Flush(pa uint64) {
	addr := pa & lineMask
	for _, l := range [...]CacheLevel{L1I, L1D, L2} {
		c.evictCopies(l, addr)
	}
}

// WriteBackAll writes everything back and empties the caches: WBINVD.
func (c *Cache) WriteBackAll() {
	for _, l := range [...]CacheLevel{L1I, L1D, L2} {
		for i := range c.levels[l].lines {
			c.evict(l, i)
		}
	}
}

// InvalidateAll empties the caches and writes nothing back: INVD.
func (c *Cache) InvalidateAll() {
	for _, l := range [...]CacheLevel{L1I, L1D, L2} {
		for i := range c.levels[l].lines {
			if c.levels[l].lines[i].state != Invalid {
				c.remove(l, i, FateDropped)
			}
		}
	}
}

// snoopRead answers a bus agent's read, within one page, if the caches have
// to do with it: a modified line answers instead of memory, and a clean one
// does not.
func (c *Cache) snoopRead(pa uint64, size int) (v uint64, ok bool) {
	if c.mem.frame(pa) == noFrame {
		return 0, false
	}
	for i := size - 1; i >= 0; i-- {
		addr, off := (pa+uint64(i))&lineMask, int(pa+uint64(i))%LineSize
		b, differs := c.supplier(addr, off)
		if !differs {
			b = c.mem.Page(addr)[(pa+uint64(i))%PageSize]
		}
		ok = ok || differs
		v = v<<8 | uint64(b)
	}
	if ok && c.mem.IsWatched(pa) {
		c.mem.notify(pa, size, false)
	}
	return v, ok
}

// supplier is a byte as a bus agent reads it, if it may differ from what the
// processor would load.
func (c *Cache) supplier(addr uint64, off int) (b byte, differs bool) {
	for _, l := range [...]CacheLevel{L1D, L2} {
		i := c.lookup(l, addr, requestSnoop)
		if i < 0 || c.levels[l].lines[i].state != Modified {
			continue
		}
		if len(c.flaws) != 0 {
			c.inspect(l, i, off, 1, requestSnoop)
		}
		return c.levels[l].own[i][off], c.levels[l].lines[i].own
	}
	m, differs := c.memory[addr]
	return m[off], differs
}

// snoopWrite prepares for a bus agent's write, within one page: the lines
// are written back and emptied.
func (c *Cache) snoopWrite(pa uint64, size int) {
	c.split(pa, size, func(addr uint64, _, _ int) { c.Flush(addr) })
}
