package cpu

import "slices"

// The checks of VM entry that make it fail like an instruction, with an error
// number: of the controls (SDM Vol. 3C, 27.2.1) and of the host state
// (27.2.2 to 27.2.4).

// vmentry is what a VM entry works with: the controls it read.
type vmentry struct {
	ctl         controls
	exit, entry uint32
	info, code  uint32 // event to inject
	length      uint64
}

// reservedBits says whether a control breaks a capability MSR: bits that must
// be 1, bits that may be 1.
func reservedBits(v uint32, must, may uint64) bool {
	return must&^uint64(v) != 0 || uint64(v)&^may != 0
}

// readControls reads from the current VMCS what a VM entry needs before the
// guest state. Where the activation of a control is off, the fields it would
// make valid are left alone.
func (c *CPU) readControls() (e vmentry) {
	k := &e.ctl
	u32 := func(f VMCSField) uint32 { return uint32(c.vmcs(f)) }
	k.pin, k.proc = u32(vmPinControls), u32(vmProcControls)
	if k.proc&procSecondary != 0 {
		k.proc2 = u32(vmProcControls2)
	}
	e.exit, e.entry = u32(vmExitControls), u32(vmEntryControls)
	e.info = u32(vmEntryInfo)
	if e.info&infoValid != 0 {
		e.code, e.length = u32(vmEntryErrorCode), c.vmcs(vmEntryLength)
	}
	k.exceptions = u32(vmExceptionBitmap)
	k.pfMask, k.pfMatch = u32(vmPFMask), u32(vmPFMatch)
	k.cr0Mask, k.cr0Shadow = c.vmcs(vmCR0Mask), c.vmcs(vmCR0Shadow)
	k.cr4Mask, k.cr4Shadow = c.vmcs(vmCR4Mask), c.vmcs(vmCR4Shadow)
	k.cr3Count = u32(vmCR3TargetCount)
	for i := range min(k.cr3Count, cr3Targets) {
		k.cr3Target[i] = c.vmcs(vmCR3Target0 + VMCSField(2*i))
	}
	if k.proc&procIOBitmaps != 0 {
		k.ioA, k.ioB = c.vmcs(vmIOBitmapA), c.vmcs(vmIOBitmapB)
	}
	if k.proc&procMSRBitmaps != 0 {
		k.msrBitmap = c.vmcs(vmMSRBitmap)
	}
	if k.proc&procTSCOffset != 0 {
		k.tscOffset = c.vmcs(vmTSCOffset)
	}
	if k.proc&procTPRShadow != 0 {
		k.virtualAPIC, k.tprThreshold = c.vmcs(vmVirtualAPIC), u32(vmTPRThreshold)
	}
	if k.proc2&proc2APICAccess != 0 {
		k.apicAccess = c.vmcs(vmAPICAccess)
	}
	if k.proc2&proc2VPID != 0 {
		k.vpid = uint16(c.vmcs(vmVPID))
	}
	if k.proc2&proc2EPT != 0 {
		k.eptp = c.vmcs(vmEPTP)
	}
	if k.proc2&proc2PauseLoop != 0 {
		k.pauseGap, k.pauseWindow = u32(vmPLEGap), u32(vmPLEWindow)
	}
	return e
}

// checkEntry reads the controls and makes the checks. An error of 0 means
// that they passed.
func (c *CPU) checkEntry() (e vmentry, err VMError) {
	e = c.readControls()
	if !c.checkControls(&e) {
		return e, vmErrControls
	}
	if !c.checkHost(&e) {
		return e, vmErrHostState
	}
	return e, 0
}

// checkControls is 27.2.1.
func (c *CPU) checkControls(e *vmentry) bool {
	return c.checkExecution(&e.ctl) && c.checkExitControls(e) && c.checkEntryControls(e)
}

// checkExecution is 27.2.1.1.
func (c *CPU) checkExecution(k *controls) bool {
	on := func(v uint32, bits uint32) bool { return v&bits != 0 }
	switch {
	case reservedBits(k.pin, pinDefault1, pinSupported),
		reservedBits(k.proc, procTrueDefault, procSupported),
		reservedBits(k.proc2, 0, c.proc2Allowed()),
		k.cr3Count > cr3Targets,
		on(k.proc, procIOBitmaps) && !(c.vmcsPointer(k.ioA) && c.vmcsPointer(k.ioB)),
		on(k.proc, procMSRBitmaps) && !c.vmcsPointer(k.msrBitmap),
		on(k.proc, procTPRShadow) && !c.checkTPRShadow(k),
		!on(k.pin, pinNMI) && on(k.pin, pinVirtual),
		!on(k.pin, pinVirtual) && on(k.proc, procNMIWindow),
		on(k.proc2, proc2APICAccess) && !c.vmcsPointer(k.apicAccess),
		on(k.proc2, proc2VPID) && k.vpid == 0,
		on(k.proc2, proc2EPT) && !c.validEPTP(k.eptp),
		on(k.proc2, proc2Unrestricted) && !on(k.proc2, proc2EPT):
		return false
	}
	return true
}

// checkTPRShadow: the threshold has 4 bits, and must not be above the
// virtual TPR unless APIC accesses are virtualized (then see 27.7.7).
func (c *CPU) checkTPRShadow(k *controls) bool {
	if !c.vmcsPointer(k.virtualAPIC) || k.tprThreshold>>4 != 0 {
		return false
	}
	if k.proc2&proc2APICAccess != 0 {
		return true
	}
	return k.tprThreshold <= uint32(c.MMU.ReadPhysical(k.virtualAPIC+virtualTPR, 1))>>4
}

// validEPTP checks an EPT pointer (25.6.11): memory type, page-walk length,
// reserved bits.
func (c *CPU) validEPTP(p uint64) bool {
	const uncacheable, writeBack = 0, 6
	t := p & 7
	return (t == uncacheable || t == writeBack) && p>>3&7 == 3 && p&0xf80 == 0 && p>>c.Model.PhysBits == 0
}

// msrArea checks the address of an MSR area: of each byte of it.
func (c *CPU) msrArea(count, address VMCSField) bool {
	n := c.vmcs(count)
	if n == 0 {
		return true
	}
	a := c.vmcs(address)
	return a&15 == 0 && a>>c.Model.PhysBits == 0 && (a+16*n-1)>>c.Model.PhysBits == 0
}

// checkExitControls is 27.2.1.2.
func (c *CPU) checkExitControls(e *vmentry) bool {
	return !reservedBits(e.exit, exitTrueDefault, exitSupported) &&
		(e.ctl.pin&pinTimer != 0 || e.exit&exitSaveTimer == 0) &&
		c.msrArea(vmExitMSRStoreCount, vmExitMSRStore) &&
		c.msrArea(vmExitMSRLoadCount, vmExitMSRLoad)
}

// checkEntryControls is 27.2.1.3.
func (c *CPU) checkEntryControls(e *vmentry) bool {
	return !reservedBits(e.entry, entryTrueDefault, entrySupported) &&
		(e.info&infoValid == 0 || c.checkInjection(e)) &&
		c.msrArea(vmEntryMSRLoadCount, vmEntryMSRLoad)
}

// eventOther is an interruption type beside those of EventKind: a pending MTF
// VM exit.
const (
	eventReserved EventKind = 1
	eventOther    EventKind = 7
)

// pushesCode says that an exception has an error code.
func pushesCode(vector uint8) bool {
	switch vector {
	case VectorDF, VectorTS, VectorNP, VectorSS, VectorGP, VectorPF, VectorAC:
		return true
	}
	return false
}

// checkInjection checks the event that a VM entry is to inject.
func (c *CPU) checkInjection(e *vmentry) bool {
	vector, kind := uint8(e.info), EventKind(e.info>>infoType&7)
	hasCode := e.info&infoCode != 0
	switch {
	case kind == eventReserved,
		kind == EventNMI && vector != VectorNMI,
		kind == EventHardware && vector > 31,
		kind == eventOther && vector != 0:
		return false
	}
	protected := e.ctl.proc2&proc2Unrestricted == 0 || c.vmcs(vmGuestCR0)&CR0PE != 0
	if hasCode != (protected && kind == EventHardware && pushesCode(vector)) {
		return false
	}
	if e.info>>12&0x7ffff != 0 || hasCode && e.code>>16 != 0 {
		return false
	}
	switch kind {
	case EventSoftware, EventPrivSoftware, EventSoftException:
		return e.length <= 15
	}
	return true
}

// physicalAddress says that an address is within the processor's physical-address
// width.
func (c *CPU) physicalAddress(a uint64) bool { return a>>c.Model.PhysBits == 0 }

// controlRegisters checks CR0, CR3 and CR4 of host or guest against what VMX
// operation fixes (24.8) and what exists.
func (c *CPU) controlRegisters(cr0, cr3, cr4, must0 uint64) bool {
	return cr0&must0 == must0 && cr0>>32 == 0 && cr4&cr4Fixed == cr4Fixed && cr4&^c.cr4Supported() == 0 &&
		c.physicalAddress(cr3)
}

// perfGlobalReserved is the bits of IA32_PERF_GLOBAL_CTRL that do not exist.
const perfGlobalReserved = ^uint64(1<<pmuCounters - 1 | (1<<pmuFixed-1)<<32)

// eferKnown is the bits of IA32_EFER that exist.
const eferKnown = EFERSCE | EFERLME | EFERLMA | EFERNXE

// checkHost is 27.2.2 to 27.2.4.
func (c *CPU) checkHost(e *vmentry) bool {
	host64 := e.exit&exitHost64 != 0
	cr4, rip := c.vmcs(vmHostCR4), c.vmcs(vmHostRIP)
	if !c.controlRegisters(c.vmcs(vmHostCR0), c.vmcs(vmHostCR3), cr4, cr0Fixed) {
		return false
	}
	for _, f := range [...]VMCSField{vmHostSysenterESP, vmHostSysenterEIP, vmHostFSBase, vmHostGSBase,
		vmHostGDTRBase, vmHostIDTRBase, vmHostTRBase} {
		if !canonical(c.vmcs(f)) {
			return false
		}
	}
	if e.exit&exitLoadPerf != 0 && c.vmcs(vmHostPerfGlobal)&perfGlobalReserved != 0 ||
		e.exit&exitLoadPAT != 0 && !validPAT(c.vmcs(vmHostPAT)) {
		return false
	}
	if e.exit&exitLoadEFER != 0 {
		mode := uint64(0)
		if host64 {
			mode = EFERLME | EFERLMA
		}
		if efer := c.vmcs(vmHostEFER); efer&^eferKnown != 0 || efer&(EFERLME|EFERLMA) != mode {
			return false
		}
	}
	for f := vmHostES; f <= vmHostTR; f += 2 {
		sel := c.vmcs(f)
		must := f == vmHostCS || f == vmHostTR || f == vmHostSS && !host64
		if sel&7 != 0 || must && sel == 0 {
			return false
		}
	}
	if c.lma != host64 || !c.lma && e.entry&entryIA32e != 0 {
		return false
	}
	if host64 {
		return cr4&CR4PAE != 0 && canonical(rip)
	}
	return e.entry&entryIA32e == 0 && cr4&CR4PCIDE == 0 && rip>>32 == 0
}

// Guest state is checked in vmx_checkguest.go. A failure there has an exit
// qualification (27.8).
const (
	entryFailed      = 1 + iota // nothing more to say
	entryFailedPDPTE            // loading the PDPTEs
	entryFailedNMI              // injecting an NMI into a guest that blocks events by STI
	entryFailedLink             // VMCS link pointer
)

// entryQualification turns such a failure into the qualification.
func entryQualification(failure int) uint64 {
	if failure == entryFailed {
		return 0
	}
	return uint64(failure)
}

// oneOf is a readable set membership.
func oneOf[T comparable](v T, set ...T) bool { return slices.Contains(set, v) }
