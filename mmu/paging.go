package mmu

// Bits of paging-structure entries (SDM Vol. 3, tables 4-2 to 4-20).
const (
	entryP  = 1 << 0
	entryRW = 1 << 1
	entryUS = 1 << 2
	entryA  = 1 << 5
	entryD  = 1 << 6
	entryPS = 1 << 7
	entryG  = 1 << 8
	entryXD = 1 << 63

	entryAddress = 0x000F_FFFF_FFFF_F000 // bits 51:12
	paeReserved  = 0x7FF0_0000_0000_0000 // bits 62:52: ignored by 4-level paging only
)

// Bits of a page-fault error code (SDM Vol. 3, 4.7).
const (
	codeP    = 1 << 0
	codeWR   = 1 << 1
	codeUS   = 1 << 2
	codeRSVD = 1 << 3
	codeID   = 1 << 4
)

// walker is one translation by the paging structures, and by EPT below them
// if the regime has it.
type walker struct {
	m     *MMU
	r     *Regime
	va    uint64
	acc   Access
	cls   Class
	quiet bool // a debugger's: checks no rights, changes nothing

	// What the walk found.
	frame  uint64 // physical address of the 4-KiB page
	rights rights
	shift  uint8 // of the linear page: 12, 21, 22 or 30

	// The guest's entries that were used, to set their A and D flags.
	steps [4]step
	used  int
}

type step struct {
	gpa, pa uint64
	entry   uint64
}

// walk translates. If it returns false, m.Fault says why. A and D flags of
// guest entries are set only when nothing else stands in the way, so that
// an access that faults leaves no trace in them.
func (w *walker) walk() bool {
	w.rights, w.shift = rightsAll, 12
	gpa := w.va
	if w.r.Paging != PagingNone {
		var ok bool
		if w.r.Paging == Paging32 {
			gpa, ok = w.walk32()
		} else {
			gpa, ok = w.walk64()
		}
		if !ok {
			return false
		}
		if !w.quiet {
			if !w.r.permits(w.rights, w.acc, w.cls) {
				return w.pageFault(codeP)
			}
			if !w.prepareFlags() {
				return false
			}
		}
	} else {
		w.rights |= dirtied
	}
	pa := gpa
	if w.r.EPTP != 0 {
		var ok bool
		if pa, ok = w.nested(gpa, accessBit[w.acc], qualLinear|qualFinal); !ok {
			return false
		}
	}
	w.frame = pa &^ (PageSize - 1)
	if w.r.Paging != PagingNone && !w.quiet {
		w.setFlags()
	}
	return true
}

// walk64 goes down the 64-bit entries of 4-level and PAE paging (SDM Vol. 3,
// 4.4 and 4.5).
func (w *walker) walk64() (gpa uint64, ok bool) {
	r := w.r
	reserved := entryAddress &^ r.physicalMask()
	if !r.NXE {
		reserved |= entryXD
	}
	table, shift := r.CR3&entryAddress, uint8(39)
	if r.Paging == PagingPAE {
		reserved |= paeReserved
		pdpte := r.PDPTE[w.va>>30&3]
		if pdpte&entryP == 0 {
			return 0, w.pageFault(0)
		}
		table, shift = pdpte&entryAddress, 21
	}
	for ; ; shift -= 9 {
		e, ok := w.load(table&r.physicalMask()|w.va>>shift&511*8, 8)
		if !ok {
			return 0, false
		}
		if e&entryP == 0 {
			return 0, w.pageFault(0)
		}
		bad := e & reserved
		large := shift > 12 && e&entryPS != 0
		if large {
			if shift > 30 {
				bad |= entryPS
			}
			bad |= e & (1<<shift - 1) &^ 0x1FFF // below the address, above PAT
		}
		if bad != 0 {
			return 0, w.pageFault(codeP | codeRSVD)
		}
		w.combine(e)
		if large || shift == 12 {
			return w.leaf(e, e&entryAddress, shift), true
		}
		table = e & entryAddress
	}
}

// walk32 goes down the 32-bit entries (SDM Vol. 3, 4.3).
func (w *walker) walk32() (gpa uint64, ok bool) {
	r := w.r
	e, ok := w.load(r.CR3&0xFFFF_F000|w.va>>22<<2, 4)
	if !ok {
		return 0, false
	}
	if e&entryP == 0 {
		return 0, w.pageFault(0)
	}
	w.combine(e)
	if r.PSE && e&entryPS != 0 {
		// Table 4-4: bits 20:13 are address bits 39:32 as far as MAXPHYADDR
		// goes, the rest up to bit 21 is reserved.
		high := e >> 13 & 0x1FF
		if high>>(min(r.PhysBits, 40)-32) != 0 {
			return 0, w.pageFault(codeP | codeRSVD)
		}
		return w.leaf(e, e&0xFFC0_0000|high<<32, 22), true
	}
	if e, ok = w.load(e&0xFFFF_F000|w.va>>12&1023<<2, 4); !ok {
		return 0, false
	}
	if e&entryP == 0 {
		return 0, w.pageFault(0)
	}
	w.combine(e)
	return w.leaf(e, e&0xFFFF_F000, 12), true
}

// load reads a paging-structure entry of size bytes.
func (w *walker) load(gpa uint64, size int) (e uint64, ok bool) {
	pa := gpa
	if w.r.EPTP != 0 {
		need := uint64(readBit)
		if w.r.EPTAD {
			// SDM Vol. 3, 28.3.3.2: such accesses are treated as writes.
			need |= writeBit
		}
		if pa, ok = w.nested(gpa, need, qualLinear); !ok {
			return 0, false
		}
	}
	e = w.read(pa, size)
	w.steps[w.used] = step{gpa, pa, e}
	w.used++
	return e, true
}

// read reads memory as the walk does.
func (w *walker) read(pa uint64, size int) uint64 {
	if !w.quiet {
		return w.m.ReadPhysical(pa, size)
	}
	if p := w.m.Mem.Page(pa); p != nil {
		return loadBytes(p[pa%PageSize:], size)
	}
	return allOnes >> (64 - 8*size)
}

// combine takes an entry's rights into account (SDM Vol. 3, 4.6).
func (w *walker) combine(e uint64) {
	if e&entryRW == 0 {
		w.rights &^= rightW
	}
	if e&entryUS == 0 {
		w.rights &^= rightU
	}
	if e&entryXD != 0 {
		w.rights &^= rightX
	}
}

// leaf finishes with the entry that maps the page.
func (w *walker) leaf(e, base uint64, shift uint8) (gpa uint64) {
	w.shift = shift
	if e&entryG != 0 && w.r.PGE {
		w.rights |= global
	}
	if e&entryD != 0 || w.acc == AccessWrite {
		w.rights |= dirtied
	}
	offset := uint64(1)<<shift - 1
	return base&^offset | w.va&offset
}

// flagsToSet is what the access must add to the i-th entry used (SDM Vol. 3,
// 4.8).
func (w *walker) flagsToSet(i int) uint64 {
	f := uint64(entryA)
	if i == w.used-1 && w.acc == AccessWrite {
		f |= entryD
	}
	return f &^ w.steps[i].entry
}

// prepareFlags makes sure that EPT lets the flags be set.
func (w *walker) prepareFlags() bool {
	if w.r.EPTP == 0 || w.r.EPTAD {
		return true // already accessed as writes
	}
	for i := range w.used {
		if w.flagsToSet(i) != 0 {
			if _, ok := w.nested(w.steps[i].gpa, writeBit, qualLinear); !ok {
				return false
			}
		}
	}
	return true
}

// setFlags sets A and D. Nothing else runs between the walk's reads and
// these writes: they stand for the processor's locked updates.
func (w *walker) setFlags() {
	size := 8
	if w.r.Paging == Paging32 {
		size = 4
	}
	for i := range w.used {
		s := &w.steps[i]
		if f := w.flagsToSet(i); f != 0 {
			// Read again: a table that is an EPT table too may have got flags
			// from a later step.
			w.m.WritePhysical(s.pa, size, w.m.ReadPhysical(s.pa, size)|f)
		}
	}
}

// pageFault sets Fault. It returns false, for its callers to return.
func (w *walker) pageFault(code uint32) bool {
	r := w.r
	if w.acc == AccessWrite {
		code |= codeWR
	}
	if w.cls == User {
		code |= codeUS
	}
	if w.acc == AccessFetch && (r.SMEP || r.NXE && r.Paging != Paging32) {
		code |= codeID
	}
	w.m.Fault = Fault{Kind: PageFault, VA: w.va, Code: code}
	return false
}
