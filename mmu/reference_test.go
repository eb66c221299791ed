package mmu

// A second translation, written from the manual for these tests only: it
// maps addresses in the plainest way, level by level, over a copy of memory.
// The walker is compared with it on random page tables.

// refMemory is RAM from 0; beyond it there is nothing.
type refMemory []byte

func (m refMemory) get(pa uint64, size int) (v uint64) {
	for i := size - 1; i >= 0; i-- {
		c := byte(0xFF)
		if pa < uint64(len(m)) {
			c = m[pa+uint64(i)]
		}
		v = v<<8 | uint64(c)
	}
	return v
}

func (m refMemory) or(pa uint64, bits uint64) {
	for i := range uint64(8) {
		if c := byte(bits >> (8 * i)); c != 0 && pa < uint64(len(m)) {
			m[pa+i] |= c
		}
	}
}

// refResult is the outcome of a reference translation.
type refResult struct {
	pa    uint64
	fault Fault
}

func bit(v uint64, n uint) bool { return v>>n&1 == 1 }

// refEPT translates a guest-physical address. It returns the leaf's address,
// so that the caller can set flags, and all the addresses used.
func refEPT(mem refMemory, r *Regime, gpa, va, need, qual uint64) (pa uint64, f Fault) {
	type level struct {
		index, size   uint64
		leaf          bool
		reservedTable uint64
		reservedLeaf  uint64
	}
	levels := []level{
		{gpa >> 39 & 511, 1 << 39, false, 0xF8, 0},
		{gpa >> 30 & 511, 1 << 30, true, 0x78, 0x3FFFF000},
		{gpa >> 21 & 511, 1 << 21, true, 0x78, 0x1FF000},
		{gpa >> 12 & 511, 1 << 12, true, 0, 0},
	}
	violation := func(rwx uint64) Fault {
		return Fault{Kind: EPTViolation, VA: va, GPA: gpa, Qualification: need | rwx<<3 | qual}
	}
	if gpa >= 1<<48 {
		return 0, violation(0)
	}
	table := r.EPTP & 0x000FFFFFFFFFF000
	and := uint64(7)
	var used []uint64
	for i, l := range levels {
		at := table + 8*l.index
		used = append(used, at)
		e := mem.get(at, 8)
		if !bit(e, 0) && !bit(e, 1) && !bit(e, 2) {
			return 0, violation(0)
		}
		bad := !bit(e, 0) && bit(e, 1)
		for b := uint(r.PhysBits); b < 52; b++ {
			bad = bad || bit(e, b)
		}
		isLeaf := i == 3 || i > 0 && bit(e, 7)
		if isLeaf {
			switch e >> 3 & 7 {
			case 0, 1, 4, 5, 6:
			default:
				bad = true
			}
			bad = bad || e&l.reservedLeaf != 0
		} else {
			bad = bad || e&l.reservedTable != 0
		}
		if bad {
			return 0, Fault{Kind: EPTMisconfig, VA: va, GPA: gpa}
		}
		and &= e
		if isLeaf {
			if need&and != need {
				return 0, violation(and)
			}
			if r.EPTAD {
				for _, u := range used {
					mem.or(u, 1<<8)
				}
				if bit(need, 1) {
					mem.or(at, 1<<9)
				}
			}
			return e&0x000FFFFFFFFFF000/l.size*l.size + gpa%l.size, Fault{}
		}
		table = e & 0x000FFFFFFFFFF000
	}
	panic("unreachable")
}

// refAllowed is SDM Vol. 3, 4.6.1, bullet by bullet. u, w and xd are the
// page's U/S and R/W flags, and whether some entry's XD flag is set.
func refAllowed(r *Regime, u, w, xd bool, acc Access, cls Class) bool {
	explicitAC := cls == SupervisorAC
	if cls == User {
		switch acc {
		case AccessRead: // "Data may be read from any user-mode address"
			return u
		case AccessWrite: // "... to any user-mode address for which R/W is 1"
			return u && w
		default:
			return u && !xd
		}
	}
	switch acc {
	case AccessRead:
		if !u {
			return true // "Data may be read ... from any supervisor-mode address"
		}
		if !r.SMAP {
			return true
		}
		return explicitAC
	case AccessWrite:
		if !u {
			if !r.WP {
				return true
			}
			return w
		}
		switch {
		case !r.WP && !r.SMAP:
			return true
		case !r.WP && r.SMAP:
			return explicitAC
		case r.WP && !r.SMAP:
			return w
		default:
			return w && explicitAC
		}
	default:
		if u && r.SMEP {
			return false
		}
		return !xd
	}
}

// refTranslate carries out one access to a byte at va and updates mem.
func refTranslate(mem refMemory, r *Regime, va uint64, acc Access, cls Class) refResult {
	need := map[Access]uint64{AccessRead: 1, AccessWrite: 2, AccessFetch: 4}[acc]
	const linear, final = 1 << 7, 1 << 8
	if r.Paging == PagingNone {
		if r.EPTP == 0 {
			return refResult{pa: va}
		}
		pa, f := refEPT(mem, r, va, va, need, linear|final)
		return refResult{pa, f}
	}

	pageFault := func(code uint32) refResult {
		if acc == AccessWrite {
			code |= 2
		}
		if cls == User {
			code |= 4
		}
		if acc == AccessFetch && (r.SMEP || (r.Paging == PagingPAE || r.Paging == Paging4Level) && r.NXE) {
			code |= 16
		}
		return refResult{fault: Fault{Kind: PageFault, VA: va, Code: code}}
	}

	// Which entries there are: where the index comes from, entry width, and
	// how large a page the level can map (0: none).
	type level struct {
		index  uint64
		width  int
		large  uint64
		psBad  bool
		psFrom bool
	}
	var levels []level
	var table uint64
	switch r.Paging {
	case Paging32:
		table = r.CR3 & 0xFFFFF000
		levels = []level{{va >> 22 & 1023, 4, 1 << 22, false, r.PSE}, {va >> 12 & 1023, 4, 0, false, false}}
	case PagingPAE:
		pdpte := r.PDPTE[va>>30]
		if !bit(pdpte, 0) {
			return pageFault(0)
		}
		table = pdpte & 0x000FFFFFFFFFF000
		levels = []level{{va >> 21 & 511, 8, 1 << 21, false, true}, {va >> 12 & 511, 8, 0, false, false}}
	case Paging4Level:
		table = r.CR3 & 0x000FFFFFFFFFF000
		levels = []level{{va >> 39 & 511, 8, 0, true, false}, {va >> 30 & 511, 8, 1 << 30, false, true},
			{va >> 21 & 511, 8, 1 << 21, false, true}, {va >> 12 & 511, 8, 0, false, false}}
	}
	type used struct {
		gpa, pa uint64
		flags   uint64
	}
	var path []used
	u, w, xd := true, true, false
	var gpa uint64
	for i, l := range levels {
		at := table + l.index*uint64(l.width)
		pa := at
		if r.EPTP != 0 {
			n := uint64(1)
			if r.EPTAD {
				n = 3
			}
			var f Fault
			if pa, f = refEPT(mem, r, at, va, n, linear); f.Kind != 0 {
				return refResult{fault: f}
			}
		}
		e := mem.get(pa, l.width)
		if !bit(e, 0) {
			return pageFault(0)
		}
		leaf := i == len(levels)-1 || l.psFrom && bit(e, 7)
		bad := l.psBad && bit(e, 7)
		if l.width == 8 {
			top := uint(51)
			if r.Paging == PagingPAE {
				top = 62
			}
			for b := uint(r.PhysBits); b <= top; b++ {
				bad = bad || bit(e, b)
			}
			bad = bad || bit(e, 63) && !r.NXE
		}
		size := uint64(4096)
		base := e & 0x000FFFFFFFFFF000
		if leaf && l.large != 0 && i != len(levels)-1 {
			size = l.large
			if l.width == 4 {
				// Table 4-4, M = min(40, MAXPHYADDR): bits M-20:13 are the
				// high address bits, 21:M-19 are reserved.
				m := min(uint(r.PhysBits), 40)
				for b := m - 19; b <= 21; b++ {
					bad = bad || bit(e, b)
				}
				base = e & 0xFFC00000
				for b := uint(13); b <= m-20; b++ {
					if bit(e, b) {
						base |= 1 << (b + 19)
					}
				}
			} else {
				for b := uint(13); 1<<b < size; b++ {
					bad = bad || bit(e, b)
				}
			}
		}
		if bad {
			return pageFault(1 | 8)
		}
		u, w = u && bit(e, 2), w && bit(e, 1)
		xd = xd || l.width == 8 && bit(e, 63)
		flags := uint64(1 << 5)
		if leaf && acc == AccessWrite {
			flags |= 1 << 6
		}
		path = append(path, used{at, pa, flags &^ e})
		if leaf {
			gpa = base/size*size + va%size
			break
		}
		table = base
	}
	if !refAllowed(r, u, w, xd, acc, cls) {
		return pageFault(1)
	}
	if r.EPTP != 0 && !r.EPTAD {
		for _, p := range path {
			if p.flags != 0 {
				if _, f := refEPT(mem, r, p.gpa, va, 2, linear); f.Kind != 0 {
					return refResult{fault: f}
				}
			}
		}
	}
	pa := gpa
	if r.EPTP != 0 {
		var f Fault
		if pa, f = refEPT(mem, r, gpa, va, need, linear|final); f.Kind != 0 {
			return refResult{fault: f}
		}
	}
	for _, p := range path {
		mem.or(p.pa, p.flags)
	}
	return refResult{pa: pa}
}
