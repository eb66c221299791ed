package cpu

// The checks of VM entry that end in a VM exit: of the guest state (SDM
// Vol. 3C, 27.3.1).

// guestState is the guest-state area, as far as the checks and the loading
// use it twice.
type guestState struct {
	cr0, cr3, cr4  uint64
	seg            [numSegments]Segment
	rip, rflags    uint64
	efer           uint64
	activity       uint64
	blocking       uint64 // interruptibility state
	pending        uint64 // debug exceptions
	debugctl, dr7  uint64
	pdpte          [4]uint64
	ia32e, v86     bool
	unrestricted   bool
	limits, access [numSegments]uint64 // as the fields hold them
}

// readGuest reads the guest-state area.
func (c *CPU) readGuest(e *vmentry, g *guestState) {
	g.cr0, g.cr3, g.cr4 = c.vmcs(vmGuestCR0), c.vmcs(vmGuestCR3), c.vmcs(vmGuestCR4)
	for i := range g.seg {
		f := VMCSField(2 * i)
		g.limits[i], g.access[i] = c.vmcs(vmGuestESLimit+f), c.vmcs(vmGuestESAccess+f)
		g.seg[i] = Segment{
			Selector: uint16(c.vmcs(vmGuestES + f)),
			Base:     c.vmcs(vmGuestESBase + f),
			Limit:    uint32(g.limits[i]),
			Attr:     uint32(g.access[i]) & accessRights,
		}
	}
	g.rip, g.rflags = c.vmcs(vmGuestRIP), c.vmcs(vmGuestRFLAGS)
	g.activity, g.blocking = c.vmcs(vmActivity), c.vmcs(vmInterruptibility)
	g.pending = c.vmcs(vmPendingDebug)
	g.debugctl, g.dr7 = c.MSR.DebugCtl, c.DR[7]
	if e.entry&entryLoadDebug != 0 {
		g.debugctl, g.dr7 = c.vmcs(vmGuestDebugCtl), c.vmcs(vmGuestDR7)
	}
	g.ia32e = e.entry&entryIA32e != 0
	g.v86 = g.rflags&FlagVM != 0
	g.unrestricted = e.ctl.proc2&proc2Unrestricted != 0
	g.efer = c.MSR.EFER &^ EFERLMA
	if e.entry&entryLoadEFER != 0 {
		g.efer = c.vmcs(vmGuestEFER)
	} else {
		// 27.3.2.1: LMA is "IA-32e mode guest", LME too if paging is on.
		if g.ia32e {
			g.efer |= EFERLMA
		}
		if g.cr0&CR0PG != 0 {
			g.efer &^= EFERLME
			if g.ia32e {
				g.efer |= EFERLME
			}
		}
	}
}

// checkGuest makes all checks of 27.3.1. It returns 0 or the failure.
func (c *CPU) checkGuest(e *vmentry, g *guestState) int {
	switch {
	case !c.checkGuestRegisters(e, g),
		!c.checkGuestSegments(g),
		!c.checkGuestTables(),
		!c.checkGuestFlags(e, g):
		return entryFailed
	}
	if f := c.checkGuestNonRegister(e, g); f != 0 {
		return f
	}
	return c.checkGuestPDPTEs(e, g)
}

// debugCtlKnown is the bits of IA32_DEBUGCTL that a VM entry accepts.
const (
	debugCtlLBR   = 1 << 0
	debugCtlBTF   = 1 << 1
	debugCtlKnown = debugCtlLBR
)

// checkGuestRegisters is 27.3.1.1: control and debug registers, MSRs.
func (c *CPU) checkGuestRegisters(e *vmentry, g *guestState) bool {
	must := uint64(cr0Fixed)
	if g.unrestricted {
		must = CR0NE
	}
	if !c.controlRegisters(g.cr0, g.cr3, g.cr4, must) || g.cr0&(CR0PG|CR0PE) == CR0PG {
		return false
	}
	if g.ia32e && (g.cr0&CR0PG == 0 || g.cr4&CR4PAE == 0) || !g.ia32e && g.cr4&CR4PCIDE != 0 {
		return false
	}
	if e.entry&entryLoadDebug != 0 && (g.debugctl&^debugCtlKnown != 0 || g.dr7>>32 != 0) {
		return false
	}
	if !canonical(c.vmcs(vmGuestSysenterESP)) || !canonical(c.vmcs(vmGuestSysenterEIP)) {
		return false
	}
	if e.entry&entryLoadPerf != 0 && c.vmcs(vmGuestPerfGlobal)&perfGlobalReserved != 0 ||
		e.entry&entryLoadPAT != 0 && !validPAT(c.vmcs(vmGuestPAT)) {
		return false
	}
	if e.entry&entryLoadEFER != 0 {
		lma, lme := g.efer&EFERLMA != 0, g.efer&EFERLME != 0
		if g.efer&^eferKnown != 0 || lma != g.ia32e || g.cr0&CR0PG != 0 && lma != lme {
			return false
		}
	}
	return true
}

// checkGuestSegments is 27.3.1.2.
func (c *CPU) checkGuestSegments(g *guestState) bool {
	usable := func(i int) bool { return g.seg[i].Attr&AttrUnusable == 0 }
	tr, ldtr, cs, ss := &g.seg[TR], &g.seg[LDTR], &g.seg[CS], &g.seg[SS]
	if tr.Selector&4 != 0 || usable(LDTR) && ldtr.Selector&4 != 0 ||
		!g.v86 && !g.unrestricted && (ss.Selector^cs.Selector)&3 != 0 {
		return false
	}
	if !canonical(tr.Base) || !canonical(g.seg[FS].Base) || !canonical(g.seg[GS].Base) ||
		usable(LDTR) && !canonical(ldtr.Base) || cs.Base>>32 != 0 {
		return false
	}
	for _, i := range [...]int{SS, DS, ES} {
		if usable(i) && g.seg[i].Base>>32 != 0 {
			return false
		}
	}
	if g.v86 {
		for i := range g.seg[:LDTR] {
			s := &g.seg[i]
			if s.Base != uint64(s.Selector)<<4 || s.Limit != 0xffff || g.access[i] != 0xf3 {
				return false
			}
		}
	} else if !c.checkGuestAccess(g) {
		return false
	}

	wantTR := oneOf(tr.Attr&AttrType, 3, 11)
	if g.ia32e {
		wantTR = tr.Attr&AttrType == 11
	}
	if !wantTR || tr.Attr&AttrS != 0 || !usable(TR) || !g.wellFormed(TR) {
		return false
	}
	return !usable(LDTR) || ldtr.Attr&(AttrType|AttrS) == 2 && g.wellFormed(LDTR)
}

// wellFormed checks what access rights of all usable segments have in
// common: present, reserved bits clear, granularity that fits the limit.
func (g *guestState) wellFormed(i int) bool {
	a, limit := g.access[i], g.limits[i]
	switch {
	case a&AttrP == 0, a&^accessRights != 0,
		a&AttrG != 0 && limit&0xfff != 0xfff,
		a&AttrG == 0 && limit>>20 != 0:
		return false
	}
	return true
}

// checkGuestAccess is the access rights of code and data segments outside
// virtual-8086 mode.
func (c *CPU) checkGuestAccess(g *guestState) bool {
	cs, ss := &g.seg[CS], &g.seg[SS]
	csType := cs.Attr & AttrType
	for i := range g.seg[:LDTR] {
		s := &g.seg[i]
		if i != CS && s.Attr&AttrUnusable != 0 {
			continue
		}
		typ := s.Attr & AttrType
		switch {
		case s.Attr&AttrS == 0, !g.wellFormed(i):
			return false
		case i == CS:
		case i == SS:
			if typ != 3 && typ != 7 {
				return false
			}
		case typ&AttrAccessed == 0, typ&AttrCode != 0 && typ&AttrReadable == 0:
			return false
		case !g.unrestricted && typ <= 11 && s.DPL() < uint8(s.Selector&3):
			return false
		}
	}
	switch csType {
	case 9, 11:
		if cs.DPL() != ss.DPL() {
			return false
		}
	case 13, 15:
		if cs.DPL() > ss.DPL() {
			return false
		}
	case 3:
		if !g.unrestricted || cs.DPL() != 0 {
			return false
		}
	default:
		return false
	}
	if !g.unrestricted && ss.DPL() != uint8(ss.Selector&3) ||
		(g.cr0&CR0PE == 0 || csType == 3) && ss.DPL() != 0 {
		return false
	}
	return !(g.ia32e && cs.Attr&(AttrL|AttrDB) == AttrL|AttrDB)
}

// checkGuestTables is 27.3.1.3.
func (c *CPU) checkGuestTables() bool {
	return canonical(c.vmcs(vmGuestGDTRBase)) && canonical(c.vmcs(vmGuestIDTRBase)) &&
		c.vmcs(vmGuestGDTRLimit)>>16 == 0 && c.vmcs(vmGuestIDTRLimit)>>16 == 0
}

// checkGuestFlags is 27.3.1.4: RIP and RFLAGS.
func (c *CPU) checkGuestFlags(e *vmentry, g *guestState) bool {
	if !g.ia32e || g.seg[CS].Attr&AttrL == 0 {
		if g.rip>>32 != 0 {
			return false
		}
	} else if !canonical(g.rip) {
		return false
	}
	const reserved = ^uint64(flagsWritable | FlagR1)
	switch {
	case g.rflags&reserved != 0, g.rflags&FlagR1 == 0,
		g.v86 && (g.ia32e || g.cr0&CR0PE == 0),
		e.injects(EventExternal) && g.rflags&FlagIF == 0:
		return false
	}
	return true
}

// injects says whether the entry injects an event of a kind.
func (e *vmentry) injects(kind EventKind) bool {
	return e.info&infoValid != 0 && EventKind(e.info>>infoType&7) == kind
}

// checkGuestNonRegister is 27.3.1.5.
func (c *CPU) checkGuestNonRegister(e *vmentry, g *guestState) int {
	b := g.blocking
	injecting := e.info&infoValid != 0
	switch {
	case g.activity > uint64(WaitForSIPI),
		g.activity == uint64(Halted) && g.seg[SS].DPL() != 0,
		g.activity != uint64(Active) && b&(blockSTI|blockMovSS) != 0,
		injecting && !injectable(e, Activity(g.activity)):
		return entryFailed

	case b&^(blockSTI|blockMovSS|blockNMI) != 0, // not in system-management mode either
		b&(blockSTI|blockMovSS) == blockSTI|blockMovSS,
		b&blockSTI != 0 && g.rflags&FlagIF == 0,
		b&(blockSTI|blockMovSS) != 0 && e.injects(EventExternal),
		b&blockMovSS != 0 && e.injects(EventNMI),
		b&blockNMI != 0 && e.injects(EventNMI) && e.ctl.pin&pinVirtual != 0:
		return entryFailed

	case g.pending&^(15|pendingEnabled|pendingBS) != 0:
		return entryFailed
	}
	if b&(blockSTI|blockMovSS) != 0 || g.activity == uint64(Halted) {
		bs := g.pending&pendingBS != 0
		if bs != (g.rflags&FlagTF != 0 && g.debugctl&debugCtlBTF == 0) {
			return entryFailed
		}
	}
	if link := c.vmcs(vmLinkPointer); link != noVMCS &&
		(!c.vmcsPointer(link) || c.MMU.ReadPhysical(link, 4) != vmcsRevision || link == c.vmx.current) {
		return entryFailedLink
	}
	return 0
}

// injectable says whether an activity state admits the event.
func injectable(e *vmentry, a Activity) bool {
	vector, kind := uint8(e.info), EventKind(e.info>>infoType&7)
	switch a {
	case Halted:
		return kind == EventExternal || kind == EventNMI || kind == eventOther ||
			kind == EventHardware && (vector == VectorDB || vector == VectorMC)
	case Shutdown:
		return kind == EventNMI || kind == EventHardware && vector == VectorMC
	case WaitForSIPI:
		return false
	}
	return true
}

// checkGuestPDPTEs is 27.3.1.6: with EPT the entries come from the VMCS,
// without from memory.
func (c *CPU) checkGuestPDPTEs(e *vmentry, g *guestState) int {
	if g.cr0&CR0PG == 0 || g.cr4&CR4PAE == 0 || g.ia32e {
		return 0
	}
	ept := e.ctl.proc2&proc2EPT != 0
	for i := range g.pdpte {
		p := c.vmcs(vmGuestPDPTE0 + VMCSField(2*i))
		if !ept {
			p = c.MMU.ReadPhysical(g.cr3&0xffffffe0+uint64(i)*8, 8)
		}
		if p&1 != 0 && (p&0x1e6 != 0 || !c.physicalAddress(p)) {
			return entryFailedPDPTE
		}
		g.pdpte[i] = p
	}
	return 0
}
