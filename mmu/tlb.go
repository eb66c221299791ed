package mmu

import (
	"fmt"
	"math/bits"

	"github.com/flipvisor/flipvisor/internal/state"
)

const (
	tlbSets = 512
	tlbWays = 4
	tlbSize = tlbSets * tlbWays
)

// tlbEntry is a translation of one 4-KiB page. A larger page is entered as
// the 4-KiB pieces that were touched. The zero entry is invalid.
type tlbEntry struct {
	page   uint64 // linear address, sign extension removed
	frame  uint64 // physical address
	ept    uint64 // EP4TA with bit 0 set, 0 without EPT
	pcid   uint16
	vpid   uint16
	rights rights
	shift  uint8 // of the page it is a piece of
	valid  bool
}

// linearBits is the width of linear addresses; the bits above repeat the
// highest.
const linearBits = 48

const pageNumber = (1<<linearBits - 1) &^ (PageSize - 1)

// tlb is the translation lookaside buffer. It is architectural state: what
// it holds decides what a program sees after it has changed page tables
// without invalidating. There are no paging-structure caches.
type tlb struct {
	entries [tlbSize]tlbEntry // set by set
	next    [tlbSets]uint8    // the way to replace, first in first out
	valid   [tlbSize / 64]uint64
	large   int // entries that are pieces of larger pages

	scratch []byte // for walk
}

// tlbSet is the first entry of the set for a page.
func tlbSet(page uint64) int { return int(page / PageSize % tlbSets * tlbWays) }

// ep4ta identifies the EPT context (SDM Vol. 3, 28.4.1).
func (r *Regime) ep4ta() uint64 {
	if r.EPTP == 0 {
		return 0
	}
	return r.EPTP&entryAddress | 1
}

// matches says whether the entry translates page in the context of r.
func (e *tlbEntry) matches(page uint64, pcid, vpid uint16, ept uint64) bool {
	return e.page == page && e.valid && e.vpid == vpid && e.ept == ept &&
		(e.pcid == pcid || e.rights&global != 0)
}

// permits says whether the entry lets an access through without a walk.
func (e *tlbEntry) permits(r *Regime, acc Access, cls Class) bool {
	if e.rights&eptRight[acc] == 0 || acc == AccessWrite && e.rights&dirtied == 0 {
		return false
	}
	return r.permits(e.rights, acc, cls)
}

// lookup finds the entry for va: if an injected fault made two match, the
// one in the lower way.
func (t *tlb) lookup(r *Regime, va uint64) *tlbEntry {
	if i := t.find(r, va); i >= 0 {
		return &t.entries[i]
	}
	return nil
}

func (t *tlb) find(r *Regime, va uint64) int {
	page := va & pageNumber
	pcid, ept := r.pcid(), r.ep4ta()
	first := tlbSet(page)
	for i := first; i < first+tlbWays; i++ {
		if t.entries[i].matches(page, pcid, r.VPID, ept) {
			return i
		}
	}
	return -1
}

// keep enters what a walk found: over the entry that did not permit the
// access, else into an invalid way, else over the oldest.
func (m *MMU) keep(r *Regime, va uint64, w *walker) {
	t := &m.tlb
	i := t.find(r, va)
	if i < 0 {
		first := tlbSet(va)
		for i = first; i < first+tlbWays; i++ {
			if !t.entries[i].valid {
				break
			}
		}
		if i == first+tlbWays {
			set := first / tlbWays
			i = first + int(t.next[set])
			t.next[set] = (t.next[set] + 1) % tlbWays
		}
	}
	m.dropEntry(i)
	t.set(i, tlbEntry{
		page:   va & pageNumber,
		frame:  w.frame,
		ept:    r.ep4ta(),
		pcid:   r.pcid(),
		vpid:   r.VPID,
		rights: w.rights,
		shift:  w.shift,
		valid:  true,
	})
}

// set replaces an entry.
func (t *tlb) set(i int, e tlbEntry) {
	if t.entries[i].valid && t.entries[i].shift != 12 {
		t.large--
	}
	if e.valid && e.shift != 12 {
		t.large++
	}
	t.entries[i] = e
	if e.valid {
		t.valid[i/64] |= 1 << (i % 64)
	} else {
		t.valid[i/64] &^= 1 << (i % 64)
	}
}

// each calls f with the index of every valid entry.
func (t *tlb) each(f func(i int)) {
	for w, b := range t.valid {
		for ; b != 0; b &= b - 1 {
			f(w*64 + bits.TrailingZeros64(b))
		}
	}
}

// dropEntry invalidates an entry, and the fast slots that rest on it.
func (m *MMU) dropEntry(i int) {
	e := &m.tlb.entries[i]
	if !e.valid {
		return
	}
	if m.TLBFate != nil && i == m.flipped {
		m.TLBFate(false)
	}
	m.dropLinear(canonical(e.page))
	m.tlb.set(i, tlbEntry{})
}

// canonical restores the sign extension.
func canonical(page uint64) uint64 {
	return uint64(int64(page<<(64-linearBits)) >> (64 - linearBits))
}

const tlbEntryBytes = 32

// Walk walks the TLB.
func (m *MMU) walkTLB(w *state.Walker) {
	t := &m.tlb
	w.Bytes("next", t.next[:])
	var valid [tlbSize / 8]byte
	for i, b := range t.valid {
		storeBytes(valid[i*8:], 8, b)
	}
	w.Bytes("valid", valid[:])
	t.scratch = t.scratch[:0]
	if !w.Loading() {
		t.each(func(i int) { t.scratch = t.entries[i].append(t.scratch) })
		w.Bytes("entries", t.scratch)
		return
	}
	t.each(func(i int) { t.entries[i] = tlbEntry{} })
	t.large = 0
	n := 0
	for i := range t.valid {
		t.valid[i] = loadBytes(valid[i*8:], 8)
		n += bits.OnesCount64(t.valid[i]) * tlbEntryBytes
	}
	for len(t.scratch) < n {
		t.scratch = append(t.scratch, 0)
	}
	w.Bytes("entries", t.scratch)
	if !w.Loading() { // too short
		t.valid = [tlbSize / 64]uint64{}
		return
	}
	b := t.scratch
	t.each(func(i int) {
		e := loadEntry(b)
		b = b[tlbEntryBytes:]
		if e.page&^pageNumber != 0 || tlbSet(e.page) != i&^(tlbWays-1) {
			w.Fail(fmt.Errorf("saved TLB entry %d has impossible page %#x", i, e.page))
			e = tlbEntry{page: uint64(i/tlbWays) * PageSize}
		}
		e.valid = true
		t.set(i, e)
	})
	for i, n := range t.next {
		if n >= tlbWays {
			w.Fail(fmt.Errorf("saved TLB set %d replaces impossible way %d", i, n))
			t.next[i] = 0
		}
	}
}

// append appends the entry to saved state.
func (e *tlbEntry) append(b []byte) []byte {
	var s [tlbEntryBytes]byte
	storeBytes(s[0:], 8, e.page)
	storeBytes(s[8:], 8, e.frame)
	storeBytes(s[16:], 8, e.ept)
	storeBytes(s[24:], 2, uint64(e.pcid))
	storeBytes(s[26:], 2, uint64(e.vpid))
	s[28] = uint8(e.rights)
	s[29] = e.shift
	return append(b, s[:]...)
}

func loadEntry(s []byte) tlbEntry {
	return tlbEntry{
		page:   loadBytes(s[0:], 8),
		frame:  loadBytes(s[8:], 8) &^ (PageSize - 1),
		ept:    loadBytes(s[16:], 8),
		pcid:   uint16(loadBytes(s[24:], 2)),
		vpid:   uint16(loadBytes(s[26:], 2)),
		rights: rights(s[28]),
		shift:  s[29],
	}
}
