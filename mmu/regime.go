package mmu

// Paging is the paging mode (SDM Vol. 3, 4.1.1).
type Paging uint8

const (
	PagingNone   Paging = iota // CR0.PG = 0
	Paging32                   // CR4.PAE = 0
	PagingPAE                  // CR4.PAE = 1, IA32_EFER.LMA = 0
	Paging4Level               // CR4.PAE = 1, IA32_EFER.LMA = 1
)

func (p Paging) String() string {
	return [...]string{"none", "32-bit", "PAE", "4-level"}[p]
}

// Access is what an access does.
type Access uint8

const (
	AccessRead Access = iota
	AccessWrite
	AccessFetch
)

func (a Access) String() string { return [...]string{"read", "write", "fetch"}[a] }

// Regime is everything in control registers that decides how an address is
// translated. When the processor changes it, it calls SwitchContext, and the
// invalidations that the change implies (SDM Vol. 3, 4.10.4.1 and 28.4.3.1).
type Regime struct {
	Paging Paging
	CR3    uint64
	PDPTE  [4]uint64 // PDPTE registers of PAE paging, checked when loaded

	WP                   bool // CR0.WP
	PSE, PGE, SMEP, SMAP bool // CR4
	PCIDE                bool // CR4.PCIDE
	NXE                  bool // IA32_EFER.NXE

	VPID  uint16 // 0 outside VMX non-root operation, or without VPIDs
	EPTP  uint64 // 0: no extended page tables
	EPTAD bool   // accessed and dirty flags for EPT (EPTP bit 6)

	// APICAccess is the APIC-access page, with bit 0 set, or 0: accesses by
	// linear address do not complete there (SDM Vol. 3, 29.4).
	APICAccess uint64

	PhysBits uint8 // MAXPHYADDR, 32 to 52
}

// wrap keeps a linear address within the mode's width: outside 4-level
// paging linear addresses have 32 bits.
func (r *Regime) wrap(va uint64) uint64 {
	if r.Paging != Paging4Level {
		va &= 0xFFFF_FFFF
	}
	return va
}

// pcid is the current process-context identifier (SDM Vol. 3, 4.10.1).
func (r *Regime) pcid() uint16 {
	if r.PCIDE && r.Paging == Paging4Level {
		return uint16(r.CR3 & 0xFFF)
	}
	return 0
}

// physicalMask has the bits of a page-aligned address up to MAXPHYADDR.
func (r *Regime) physicalMask() uint64 { return (1<<r.PhysBits - 1) &^ (PageSize - 1) }

// rights is what a translation permits: the combination of all the paging
// structures that led to it.
type rights uint8

const (
	rightW    rights = 1 << iota // R/W = 1 in every entry
	rightU                       // U/S = 1 in every entry
	rightX                       // XD = 0 in every entry
	rightEPTR                    // EPT lets it be read,
	rightEPTW                    // written,
	rightEPTX                    // executed
	dirtied                      // D = 1 in the leaf entries: a write needs no walk
	global                       // G = 1 in the leaf entry, and CR4.PGE = 1

	rightsAll = rightW | rightU | rightX | rightEPTR | rightEPTW | rightEPTX
)

// eptRight is what an access needs of EPT.
var eptRight = [...]rights{AccessRead: rightEPTR, AccessWrite: rightEPTW, AccessFetch: rightEPTX}

// permits says whether paging lets an access through (SDM Vol. 3, 4.6.1).
// EPT is another question.
func (r *Regime) permits(p rights, acc Access, cls Class) bool {
	if r.Paging == PagingNone {
		return true
	}
	if cls == User {
		return p&rightU != 0 && (acc == AccessRead || acc == AccessWrite && p&rightW != 0 || acc == AccessFetch && p&rightX != 0)
	}
	user := p&rightU != 0
	switch acc {
	case AccessFetch:
		return p&rightX != 0 && !(user && r.SMEP)
	case AccessWrite:
		if p&rightW == 0 && r.WP {
			return false
		}
	}
	return !(user && r.SMAP && cls != SupervisorAC)
}
