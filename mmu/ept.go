package mmu

// What an access needs of an EPT entry: bits 2:0 of the entry, and of the
// exit qualification (SDM Vol. 3, 28.3.2 and table 27-7).
const (
	readBit  = 1 << 0
	writeBit = 1 << 1
	fetchBit = 1 << 2

	accessBits = readBit | writeBit | fetchBit
)

var accessBit = [...]uint64{AccessRead: readBit, AccessWrite: writeBit, AccessFetch: fetchBit}

// Further bits of the exit qualification for EPT violations.
const (
	qualEntries = 3      // bits 5:3: what the entries permit together
	qualLinear  = 1 << 7 // the guest-linear address is valid
	qualFinal   = 1 << 8 // the access was to its translation, not to a paging structure
)

// Further bits of EPT entries (SDM Vol. 3, tables 28-1 to 28-6).
const (
	eptA = 1 << 8
	eptD = 1 << 9
)

// nested translates a guest-physical address by EPT. need is what the access
// does, and qual says what it is for, as in the exit qualification.
func (w *walker) nested(gpa, need, qual uint64) (pa uint64, ok bool) {
	r := w.r
	if gpa>>48 != 0 {
		// Beyond what four levels translate.
		return 0, w.eptViolation(gpa, need, 0, qual)
	}
	var tables [4]uint64 // where the entries used lie
	used := 0
	table := r.EPTP & r.physicalMask()
	permitted := uint64(accessBits)
	for shift := uint8(39); ; shift -= 9 {
		at := table | gpa>>shift&511*8
		e := w.read(at, 8)
		tables[used] = at
		used++
		if e&accessBits == 0 {
			return 0, w.eptViolation(gpa, need, 0, qual)
		}
		leaf := shift == 12 || e&entryPS != 0
		if misconfigured(e, shift, leaf, r) {
			if !w.quiet || w.m.Fault.Kind == 0 {
				w.m.Fault = Fault{Kind: EPTMisconfig, VA: w.va, GPA: gpa}
			}
			return 0, false
		}
		permitted &= e
		if !leaf {
			table = e & entryAddress
			continue
		}
		if need&^permitted != 0 && !w.quiet {
			return 0, w.eptViolation(gpa, need, permitted, qual)
		}
		dirty := true
		if r.EPTAD && !w.quiet {
			dirty = w.setEPTFlags(tables[:used], need)
		}
		if qual&qualFinal != 0 {
			w.combineEPT(permitted, dirty)
		}
		offset := uint64(1)<<shift - 1
		return e&entryAddress&^offset | gpa&offset, true
	}
}

// misconfigured says whether a present EPT entry is malformed (SDM Vol. 3,
// 28.3.3.1). Execute-only translations are supported.
func misconfigured(e uint64, shift uint8, leaf bool, r *Regime) bool {
	if e&(readBit|writeBit) == writeBit {
		return true
	}
	reserved := entryAddress &^ r.physicalMask()
	switch {
	case !leaf && shift == 39, shift == 39:
		reserved |= 0xF8 // bits 7:3
	case !leaf:
		reserved |= 0x78 // bits 6:3
	default:
		reserved |= (1<<shift - 1) &^ (PageSize - 1)
		switch e >> 3 & 7 { // memory type
		case 2, 3, 7:
			return true
		}
	}
	return e&reserved != 0
}

// setEPTFlags sets the accessed flags of the entries used, and the dirty
// flag of the last if the access is a write (SDM Vol. 3, 28.3.5). It returns
// that dirty flag.
func (w *walker) setEPTFlags(tables []uint64, need uint64) (dirty bool) {
	for i, at := range tables {
		e := w.m.ReadPhysical(at, 8)
		f := uint64(eptA)
		if i == len(tables)-1 && need&writeBit != 0 {
			f |= eptD
		}
		if f&^e != 0 {
			w.m.WritePhysical(at, 8, e|f)
		}
		dirty = (e|f)&eptD != 0
	}
	return dirty
}

// combineEPT takes the rights that EPT gives the final page into account.
func (w *walker) combineEPT(permitted uint64, dirty bool) {
	if permitted&readBit == 0 {
		w.rights &^= rightEPTR
	}
	if permitted&writeBit == 0 {
		w.rights &^= rightEPTW
	}
	if permitted&fetchBit == 0 {
		w.rights &^= rightEPTX
	}
	if !dirty {
		w.rights &^= dirtied
	}
}

// eptViolation sets Fault. It returns false, for its callers to return.
func (w *walker) eptViolation(gpa, need, permitted, qual uint64) bool {
	w.m.Fault = Fault{
		Kind:          EPTViolation,
		VA:            w.va,
		GPA:           gpa,
		Qualification: need | permitted<<qualEntries | qual,
	}
	return false
}
