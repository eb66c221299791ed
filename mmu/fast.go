package mmu

import "math/bits"

// PageSize is the granule of translation and of dirty tracking.
const PageSize = 4096

// Page is the bytes of one page of RAM.
type Page = [PageSize]byte

// Class says whose rights an access has: it indexes the fast arrays.
type Class uint8

const (
	// Supervisor is CPL below 3, and every implicit access to system
	// structures at any CPL. Under SMAP it cannot touch user pages.
	Supervisor Class = iota
	// User is CPL 3.
	User
	// SupervisorAC is an explicit supervisor access with EFLAGS.AC = 1,
	// which SMAP lets through (SDM Vol. 3, 4.6.1).
	SupervisorAC

	classes = 3
)

func (c Class) String() string {
	return [...]string{"supervisor", "user", "supervisor-ac"}[c]
}

// FastEntries is the number of slots in each fast array.
const FastEntries = 2048

// FastEntry maps the linear page Tag to the bytes of a page. Tag is the
// page's linear address; an empty slot holds 1, which no access of any size
// can produce.
type FastEntry struct {
	Tag  uint64
	Data *Page
}

// FastExec maps a linear page to the physical page instructions come from.
type FastExec struct {
	Tag      uint64
	Physical uint64
}

// Fast is the set of direct-mapped arrays that the interpreter looks at
// first. For an access of size bytes at va, the slot is
// (va >> 12) % FastEntries and it hits when
// Tag == (va+size-1)&^0xfff on a page holding the whole access, which one
// comparison decides for an aligned or inner access.
//
// Read holds no device page and no watched page. Write holds, besides, no
// page that contains decoded instructions and no page not yet marked dirty.
// Exec holds no watched page.
type Fast struct {
	Read  [classes][FastEntries]FastEntry
	Write [classes][FastEntries]FastEntry
	Exec  [classes][FastEntries]FastExec
}

// FastIndex gives the slot of a linear address.
func FastIndex(va uint64) uint64 { return va >> 12 % FastEntries }

// emptyTag is the tag of an empty slot.
const emptyTag = 1

// slotSet remembers which slots of a fast array were filled, so that
// emptying costs what was filled and no more.
type slotSet struct {
	words   [FastEntries / 64]uint64
	nonzero uint32 // a bit per word
}

func (s *slotSet) add(i uint64) {
	s.words[i/64] |= 1 << (i % 64)
	s.nonzero |= 1 << (i / 64)
}

// each calls f for every slot filled since the last drain.
func (s *slotSet) each(f func(i int)) {
	for n := s.nonzero; n != 0; n &= n - 1 {
		w := bits.TrailingZeros32(n)
		for b := s.words[w]; b != 0; b &= b - 1 {
			f(w*64 + bits.TrailingZeros64(b))
		}
	}
}

func (s *slotSet) reset() {
	for n := s.nonzero; n != 0; n &= n - 1 {
		s.words[bits.TrailingZeros32(n)] = 0
	}
	s.nonzero = 0
}

// filled is the bookkeeping for Fast.
type filled struct {
	read, write, exec [classes]slotSet
}

func (m *MMU) initFast() {
	for c := range classes {
		for i := range FastEntries {
			m.Fast.Read[c][i].Tag = emptyTag
			m.Fast.Write[c][i].Tag = emptyTag
			m.Fast.Exec[c][i].Tag = emptyTag
		}
	}
}

// FlushFast empties the fast arrays. It changes nothing but speed.
func (m *MMU) FlushFast() {
	for c := range classes {
		m.filled.read[c].each(func(i int) { m.Fast.Read[c][i].Tag = emptyTag })
		m.filled.read[c].reset()
		m.filled.exec[c].each(func(i int) { m.Fast.Exec[c][i].Tag = emptyTag })
		m.filled.exec[c].reset()
	}
	m.flushFastWrites()
}

// flushFastWrites empties the write arrays.
func (m *MMU) flushFastWrites() {
	for c := range classes {
		m.filled.write[c].each(func(i int) { m.Fast.Write[c][i].Tag = emptyTag })
		m.filled.write[c].reset()
	}
}

// dropWrites empties the write slots that lead to a page.
func (m *MMU) dropWrites(p *Page) {
	for c := range classes {
		m.filled.write[c].each(func(i int) {
			if e := &m.Fast.Write[c][i]; e.Data == p {
				e.Tag = emptyTag
			}
		})
	}
}

// dropLinear empties the slots of one linear page.
func (m *MMU) dropLinear(page uint64) {
	i := FastIndex(page)
	for c := range classes {
		if e := &m.Fast.Read[c][i]; e.Tag == page {
			e.Tag = emptyTag
		}
		if e := &m.Fast.Write[c][i]; e.Tag == page {
			e.Tag = emptyTag
		}
		if e := &m.Fast.Exec[c][i]; e.Tag == page {
			e.Tag = emptyTag
		}
	}
}

// fill enters a translation that was just used for an access into the fast
// array of its kind, if the page may be there.
func (m *MMU) fill(va, pa uint64, acc Access, cls Class) {
	if m.cache != nil {
		return
	}
	mem := m.Mem
	f := mem.frame(pa)
	page := va &^ (PageSize - 1)
	i := FastIndex(va)
	if acc == AccessFetch {
		if f == noFrame || mem.flags[f]&pageWatched == 0 {
			m.Fast.Exec[cls][i] = FastExec{page, pa &^ (PageSize - 1)}
			m.filled.exec[cls].add(i)
		}
		return
	}
	if f == noFrame || mem.flags[f]&pageWatched != 0 {
		return
	}
	if acc == AccessRead {
		m.Fast.Read[cls][i] = FastEntry{page, &mem.ram[f]}
		m.filled.read[cls].add(i)
	} else if mem.flags[f]&pageTouched == pageTouched && mem.code[f] == 0 {
		m.Fast.Write[cls][i] = FastEntry{page, &mem.ram[f]}
		m.filled.write[cls].add(i)
	}
}
