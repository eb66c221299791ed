package mmu

// SwitchContext is called when any part of the regime may have changed that
// the fast arrays depend on: CR0.WP, CR3, CR4.SMEP and SMAP, a VM entry or
// exit. The TLB stays: its entries name their contexts. What the change
// invalidates by the architecture is invalidated separately.
func (m *MMU) SwitchContext(*Regime) { m.FlushFast() }

// Invlpg invalidates the translations of va in the current context, global
// ones too, and all of a larger page (SDM Vol. 3, 4.10.4.1). They go for all
// EPT contexts (28.4.3.1).
func (m *MMU) Invlpg(r *Regime, va uint64) {
	pcid := r.pcid()
	m.dropPage(r.wrap(va), func(e *tlbEntry) bool {
		return e.vpid == r.VPID && (e.pcid == pcid || e.rights&global != 0)
	})
	if r.direct() {
		m.dropLinear(va &^ (PageSize - 1))
	}
}

// dropPage invalidates the entries for the page that va lies in, whatever its
// size, that pass the filter.
func (m *MMU) dropPage(va uint64, which func(e *tlbEntry) bool) {
	t := &m.tlb
	if t.large == 0 {
		page := va & pageNumber
		first := tlbSet(page)
		for i := first; i < first+tlbWays; i++ {
			if e := &t.entries[i]; e.valid && e.page == page && which(e) {
				m.dropEntry(i)
			}
		}
		return
	}
	va &= 1<<linearBits - 1
	m.drop(func(e *tlbEntry) bool { return (e.page^va)>>e.shift == 0 && which(e) })
}

// drop invalidates the entries that pass the filter.
func (m *MMU) drop(which func(e *tlbEntry) bool) {
	m.tlb.each(func(i int) {
		if which(&m.tlb.entries[i]) {
			m.dropEntry(i)
		}
	})
}

// FlushAll invalidates all translations of a VPID, in all its PCIDs and EPT
// contexts, or all but the global ones: MOV to CR4 that changes PGE; VM
// entries and exits without VPIDs (with 0).
func (m *MMU) FlushAll(vpid uint16, keepGlobal bool) {
	m.drop(func(e *tlbEntry) bool {
		return e.vpid == vpid && !(keepGlobal && e.rights&global != 0)
	})
}

// FlushPCID invalidates the translations of one PCID in the current VPID, or
// all of those but the global ones: MOV to CR3 (with keepGlobal).
func (m *MMU) FlushPCID(r *Regime, pcid uint16, keepGlobal bool) {
	m.drop(func(e *tlbEntry) bool {
		return e.vpid == r.VPID && e.pcid == pcid && !(keepGlobal && e.rights&global != 0)
	})
}

// InvpcidType is the type operand of INVPCID (SDM Vol. 2A).
type InvpcidType uint64

const (
	InvpcidAddress      InvpcidType = iota // one address in one PCID, not global
	InvpcidSingle                          // one PCID, not global
	InvpcidAllGlobal                       // all PCIDs, global too
	InvpcidAllNotGlobal                    // all PCIDs, not global
)

// Invpcid carries out INVPCID.
func (m *MMU) Invpcid(r *Regime, typ InvpcidType, pcid uint16, va uint64) {
	switch typ {
	case InvpcidAddress:
		m.dropPage(va, func(e *tlbEntry) bool {
			return e.vpid == r.VPID && e.pcid == pcid && e.rights&global == 0
		})
	case InvpcidSingle:
		m.FlushPCID(r, pcid, true)
	case InvpcidAllGlobal:
		m.FlushAll(r.VPID, false)
	case InvpcidAllNotGlobal:
		m.FlushAll(r.VPID, true)
	}
}

// InvvpidType is the type operand of INVVPID (SDM Vol. 3, 30.3).
type InvvpidType uint64

const (
	InvvpidAddress         InvvpidType = iota // one address in one VPID
	InvvpidSingle                             // one VPID
	InvvpidAll                                // all VPIDs but 0
	InvvpidSingleNotGlobal                    // one VPID, not global
)

// Invvpid carries out INVVPID.
func (m *MMU) Invvpid(typ InvvpidType, vpid uint16, va uint64) {
	switch typ {
	case InvvpidAddress:
		m.dropPage(va, func(e *tlbEntry) bool { return e.vpid == vpid })
	case InvvpidSingle:
		m.FlushAll(vpid, false)
	case InvvpidAll:
		m.drop(func(e *tlbEntry) bool { return e.vpid != 0 })
	case InvvpidSingleNotGlobal:
		m.FlushAll(vpid, true)
	}
}

// InveptType is the type operand of INVEPT (SDM Vol. 3, 30.3).
type InveptType uint64

const (
	InveptSingle InveptType = iota + 1 // one EPT context
	InveptAll
)

// Invept carries out INVEPT.
func (m *MMU) Invept(typ InveptType, eptp uint64) {
	ep4ta := eptp&entryAddress | 1
	m.drop(func(e *tlbEntry) bool {
		return e.ept != 0 && (typ == InveptAll || e.ept == ep4ta)
	})
}
