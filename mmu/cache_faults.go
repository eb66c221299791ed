package mmu

import "math/bits"

// flaw is what flips have changed in one line.
type flaw struct {
	level CacheLevel
	i     int
	data  lineData  // flipped bits
	tag   uint64    // flipped address bits
	state LineState // flipped state bits

	reported uint16 // fates that were
}

// FateKind is what happens to a flipped line.
type FateKind uint8

const (
	FateRead        FateKind = iota // a flipped byte, or a line under its flipped tag, was used
	FateMissed                      // an access missed the line because of its flipped tag
	FateOverwritten                 // flipped bytes were written
	FateDropped                     // the line went without being written back
	FateWrittenBack                 // the line went down with the flip in it
	FateCorrected                   // the cache's protection put it right
	FateDetected                    // the cache's protection could only report it
	fateMoved                       // the line stays under another address: nobody's news
)

func (k FateKind) String() string {
	return [...]string{"read", "missed", "overwritten", "dropped", "written back", "corrected", "detected", "moved"}[k]
}

// Fate tells of a flipped line.
type Fate struct {
	Kind     FateKind
	Level    CacheLevel
	Set, Way int
	Addr     uint64 // of the line
}

// Sets, Ways and TagBits are the geometry of a level. A tag has the address
// bits below MAXPHYADDR that do not choose the set.
func (c *Cache) Sets(l CacheLevel) int { return int(c.levels[l].sets) }

// Ways is the number of lines in a set.
func (c *Cache) Ways(l CacheLevel) int { return c.levels[l].Ways }

// TagBits is the number of bits in a tag when physical addresses have
// physBits.
func (c *Cache) TagBits(l CacheLevel, physBits int) int {
	return physBits - c.tagShift(l)
}

func (c *Cache) tagShift(l CacheLevel) int {
	return bits.TrailingZeros64(LineSize) + bits.TrailingZeros64(c.levels[l].sets)
}

// Line is the address that a line stands for, and its state.
func (c *Cache) Line(l CacheLevel, set, way int) (addr uint64, s LineState) {
	k := &c.levels[l].lines[set*c.levels[l].Ways+way]
	return k.addr, k.state
}

// LineBytes is what a line holds.
func (c *Cache) LineBytes(l CacheLevel, set, way int) (b [LineSize]byte) {
	i := set*c.levels[l].Ways + way
	if k := &c.levels[l].lines[i]; k.state != Invalid {
		b = c.bytes(k.addr, copyRef{l, i})
	}
	return b
}

// MemoryLine is what memory itself holds of the line at pa, below the caches.
func (c *Cache) MemoryLine(pa uint64) [LineSize]byte {
	return c.bytes(pa&lineMask, memoryRef)
}

// index is the place of a line, and false if there is none, or if nobody
// uses these caches yet.
func (c *Cache) index(l CacheLevel, set, way int) (int, bool) {
	if c.mem == nil || l >= cacheLevels || set < 0 || set >= c.Sets(l) || way < 0 || way >= c.Ways(l) {
		return 0, false
	}
	return set*c.levels[l].Ways + way, true
}

// FlipData inverts a bit of a line's data, 0 to 511. It says whether there
// was a line to flip it in.
func (c *Cache) FlipData(l CacheLevel, set, way, bit int) bool {
	i, ok := c.index(l, set, way)
	if !ok || bit < 0 || bit >= LineSize*8 || c.levels[l].lines[i].state == Invalid {
		return false
	}
	var mask lineData
	mask[bit/8] = 1 << (bit % 8)
	c.invert(l, i, mask)
	xor(&c.flawOf(l, i).data, mask)
	c.prune()
	return true
}

// FlipTag inverts a bit of a line's tag: the line then stands for another
// address of its set, with the bytes and the state that it has. Two lines
// may now stand for the same address; the one in the lower way is seen.
//
// In a protected cache the flip waits for the next access to the set, which
// checks all its tags.
func (c *Cache) FlipTag(l CacheLevel, set, way, bit int) bool {
	i, ok := c.index(l, set, way)
	if !ok || bit < 0 || bit >= c.TagBits(l, 52) || c.levels[l].lines[i].state == Invalid {
		return false
	}
	mask := uint64(1) << (c.tagShift(l) + bit)
	if c.levels[l].Protection == Unprotected {
		c.retag(l, i, c.levels[l].lines[i].addr^mask)
	}
	c.flawOf(l, i).tag ^= mask
	c.prune()
	return true
}

// FlipState inverts a bit of a line's state, 0 or 1. A modified line that
// becomes clean is not written back; a clean one that becomes modified is. A
// line that becomes invalid is lost, and an invalid one that becomes valid
// stands for the lowest address of its set with bytes of 0, as in an array
// that was never used.
//
// In a protected cache the flip waits for the next access to the set.
func (c *Cache) FlipState(l CacheLevel, set, way, bit int) bool {
	i, ok := c.index(l, set, way)
	if !ok || bit < 0 || bit > 1 {
		return false
	}
	mask := LineState(1) << bit
	if c.levels[l].Protection != Unprotected {
		if c.levels[l].lines[i].state == Invalid {
			return false
		}
		c.flawOf(l, i).state ^= mask
		c.prune()
		return true
	}
	to := c.levels[l].lines[i].state ^ mask
	if to != Invalid {
		c.flawOf(l, i).state ^= mask
	}
	c.restate(l, i, to)
	c.prune()
	return true
}

// retag makes a line stand for another address.
func (c *Cache) retag(l CacheLevel, i int, addr uint64) {
	k := c.levels[l].lines[i]
	b := c.bytes(k.addr, copyRef{l, i})
	c.remove(l, i, fateMoved)
	c.enter(l, i, addr, k.state, b)
}

// restate changes a line's state.
func (c *Cache) restate(l CacheLevel, i int, s LineState) {
	a := &c.levels[l]
	k := &a.lines[i]
	switch {
	case s == Invalid:
		c.remove(l, i, FateDropped)
	case k.state == Invalid:
		c.enter(l, i, uint64(i/a.Ways)*LineSize, s, lineData{})
	default:
		k.state, k.alone = s, false
	}
}

// invert changes bits of a line's data.
func (c *Cache) invert(l CacheLevel, i int, mask lineData) {
	addr := c.levels[l].lines[i].addr
	b := c.bytes(addr, copyRef{l, i})
	xor(&b, mask)
	c.assign(addr, copyRef{l, i}, b)
}

func xor(b *lineData, mask lineData) {
	for i := range b {
		b[i] ^= mask[i]
	}
}

// flawOf finds the flaw of a line, or makes one.
func (c *Cache) flawOf(l CacheLevel, i int) *flaw {
	if f := c.flawAt(l, i); f != nil {
		return f
	}
	c.flaws = append(c.flaws, flaw{level: l, i: i})
	return &c.flaws[len(c.flaws)-1]
}

func (c *Cache) flawAt(l CacheLevel, i int) *flaw {
	for j := range c.flaws {
		if f := &c.flaws[j]; f.i == i && f.level == l {
			return f
		}
	}
	return nil
}

// prune forgets flaws of which nothing is left.
func (c *Cache) prune() {
	kept := c.flaws[:0]
	for _, f := range c.flaws {
		if f.data != (lineData{}) || f.tag != 0 || f.state != 0 {
			kept = append(kept, f)
		}
	}
	c.flaws = kept
}

// tell reports a fate, each kind once for a flaw.
func (c *Cache) tell(f *flaw, kind FateKind) {
	if f.reported>>kind&1 != 0 || kind == fateMoved {
		return
	}
	f.reported |= 1 << kind
	if c.Fate != nil {
		a := &c.levels[f.level]
		c.Fate(Fate{kind, f.level, f.i / a.Ways, f.i % a.Ways, a.lines[f.i].addr})
	}
}

// end forgets the flaw of a line that goes.
func (c *Cache) end(l CacheLevel, i int, fate FateKind) {
	f := c.flawAt(l, i)
	if f == nil || fate == fateMoved {
		return
	}
	if f.reported>>FateWrittenBack&1 == 0 {
		c.tell(f, fate)
	}
	*f = flaw{level: l, i: i}
	c.prune()
}

// overwritten notes that all of a line's bytes are replaced.
func (c *Cache) overwritten(l CacheLevel, i int) {
	if len(c.flaws) == 0 {
		return
	}
	if f := c.flawAt(l, i); f != nil {
		if f.data != (lineData{}) || f.state != 0 {
			c.tell(f, FateOverwritten)
		}
		f.data, f.state = lineData{}, 0
		c.prune()
	}
}

// lookup is find for an access: the tags of the set are checked first.
func (c *Cache) lookup(l CacheLevel, addr uint64, q request) int {
	a := &c.levels[l]
	if len(c.flaws) != 0 {
		c.checkTags(l, a.first(addr), q)
	}
	i := a.find(addr)
	if i < 0 {
		for j := range c.flaws {
			if f := &c.flaws[j]; f.level == l && f.tag != 0 && a.lines[f.i].addr^f.tag == addr {
				c.tell(f, FateMissed)
			}
		}
	}
	return i
}

// inspect lets an access to n bytes of a line meet the line's flaw, if it
// has one. If it returns true, the line was found broken and is gone.
func (c *Cache) inspect(l CacheLevel, i, off, n int, q request) (gone bool) {
	f := c.flawAt(l, i)
	if f == nil {
		return false
	}
	if f.tag != 0 {
		c.tell(f, FateRead)
	}
	switch c.levels[l].Protection {
	case Parity:
		return c.inspectParity(f, off, n, q)
	case SECDED:
		c.inspectSECDED(f, off, n, q)
	default:
		for k := off; k < off+n; k++ {
			if f.data[k] == 0 {
				continue
			}
			if q == requestDWR {
				f.data[k] = 0
				c.tell(f, FateOverwritten)
			} else {
				c.tell(f, FateRead)
			}
		}
	}
	if q == requestDWR {
		f.state = 0
	}
	c.prune()
	return false
}

// inspectWriteBack is inspect for a line that is read to be written back.
func (c *Cache) inspectWriteBack(l CacheLevel, i int) {
	if len(c.flaws) == 0 {
		return
	}
	if f := c.flawAt(l, i); f != nil {
		switch c.levels[l].Protection {
		case Unprotected:
			c.tell(f, FateWrittenBack)
		default:
			c.inspect(l, i, 0, LineSize, requestEvict)
		}
	}
}

// Flawed says whether any flip is still in the caches: as long as not, they
// can be taken away without changing what the program sees.
func (c *Cache) Flawed() bool { return len(c.flaws) != 0 }
