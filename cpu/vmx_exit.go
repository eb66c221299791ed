package cpu

// VM exits (SDM Vol. 3C, chapter 28).

// vmexit is what a VM exit reports, beside what it saves.
type vmexit struct {
	reason        ExitReason
	qualification uint64
	info, code    uint32 // interruption information and error code
	length        uint8  // of the instruction
	rf            savedRF

	instruction uint32 // instruction information, if it has any
	linear      uint64 // guest-linear address, if it has one
	physical    uint64 // guest-physical address
	defined     uint8  // which of the three are
}

const (
	hasInstruction = 1 << iota
	hasLinear
	hasPhysical
)

// savedRF says what is saved of RFLAGS.RF (28.3.3).
type savedRF uint8

const (
	rfKeep savedRF = iota
	rfClear
	rfSet
)

// Interruption information (25.9.2 and 25.8.3): the vector, then these.
const (
	infoType    = 8       // where the type lies
	infoCode    = 1 << 11 // there is an error code
	infoUnblock = 1 << 12 // NMI unblocking due to IRET
	infoValid   = 1 << 31
)

// Bits of the interruptibility state and of pending debug exceptions
// (tables 25-3 and 25-4).
const (
	blockSTI   = 1 << 0
	blockMovSS = 1 << 1
	blockSMI   = 1 << 2
	blockNMI   = 1 << 3

	pendingEnabled = 1 << 12
	pendingBS      = 1 << 14
)

// vectoring is the event that is being delivered: what an exit in the middle
// of it puts into the IDT-vectoring fields.
type vectoring struct {
	info, code uint32
	length     uint8
	rf         bool // its saved RFLAGS image has RF
}

// isNMI says that a non-maskable interrupt is what causes the exit.
func (x *vmexit) isNMI() bool {
	return x.info&(infoValid|7<<infoType) == infoValid|uint32(EventNMI)<<infoType
}

// exitAt leaves the block before in, and with a VM exit.
func (c *CPU) exitAt(in *Inst, x vmexit) {
	c.unwind(in)
	c.budget--
	c.notRetired++
	x.length = in.len
	x.rf = rfClear
	c.vmexit(x)
}

// vmexit leaves VMX non-root operation. RIP is where the guest would go on.
func (c *CPU) vmexit(x vmexit) {
	c.current = nil
	c.delivered = true
	c.foldNow()
	c.vmx.exits++
	c.openVMCS()
	c.recordExit(&x)
	c.saveGuest(&x)
	if !c.storeMSRs() {
		c.vmxAbort(abortSaveMSRs)
	} else if c.loadHost(uint32(c.vmcs(vmExitControls))) && x.isNMI() {
		c.nmiBlocked = true
	}
	c.closeVMCS()
	if c.Hooks.VMExit != nil {
		c.Hooks.VMExit(x.reason, x.qualification)
	}
}

// recordExit fills in the exit-information fields (28.2).
func (c *CPU) recordExit(x *vmexit) {
	e := &c.vectoring
	if x.length == 0 {
		x.length = e.length
	}
	c.setVMCS(vmExitReason, uint64(x.reason))
	c.setVMCS(vmQualification, x.qualification)
	c.setVMCS(vmExitInfo, uint64(x.info))
	if x.info&infoCode != 0 {
		c.setVMCS(vmExitErrorCode, uint64(x.code))
	}
	c.setVMCS(vmVectoringInfo, uint64(e.info))
	if e.info&infoCode != 0 {
		c.setVMCS(vmVectoringErrorCode, uint64(e.code))
	}
	c.setVMCS(vmExitLength, uint64(x.length))
	if x.defined&hasInstruction != 0 {
		c.setVMCS(vmExitInstruction, uint64(x.instruction))
	}
	if x.defined&hasLinear != 0 {
		c.setVMCS(vmGuestLinear, x.linear)
	}
	if x.defined&hasPhysical != 0 {
		c.setVMCS(vmGuestPhysical, x.physical)
	}
	*e = vectoring{}
	if info := c.vmcs(vmEntryInfo); info&infoValid != 0 {
		c.setVMCS(vmEntryInfo, info&^infoValid)
	}
}

// saveGuest saves the guest state (28.3).
func (c *CPU) saveGuest(x *vmexit) {
	v := &c.vmx
	exit, entry := c.vmcs(vmExitControls), c.vmcs(vmEntryControls)
	c.setVMCS(vmGuestCR0, c.CR0)
	c.setVMCS(vmGuestCR3, c.CR3)
	c.setVMCS(vmGuestCR4, c.CR4)
	c.setVMCS(vmGuestSysenterCS, c.MSR.SysenterCS)
	c.setVMCS(vmGuestSysenterESP, c.MSR.SysenterESP)
	c.setVMCS(vmGuestSysenterEIP, c.MSR.SysenterEIP)
	if exit&exitSaveDebug != 0 {
		c.setVMCS(vmGuestDR7, c.DR[7])
		c.setVMCS(vmGuestDebugCtl, c.MSR.DebugCtl)
	}
	if exit&exitSavePAT != 0 {
		c.setVMCS(vmGuestPAT, c.MSR.PAT)
	}
	if exit&exitSaveEFER != 0 {
		c.setVMCS(vmGuestEFER, c.MSR.EFER)
	}
	if now := entry&^entryIA32e | c.MSR.EFER&EFERLMA>>10*entryIA32e; now != entry {
		c.setVMCS(vmEntryControls, now)
	}
	if v.ctl.proc2&proc2EPT != 0 && c.CR0&CR0PG != 0 && c.CR4&CR4PAE != 0 && !c.lma {
		for i, p := range c.PDPTE {
			c.setVMCS(vmGuestPDPTE0+VMCSField(2*i), p)
		}
	}

	for i := range c.Seg {
		s, f := &c.Seg[i], VMCSField(2*i)
		c.setVMCS(vmGuestES+f, uint64(s.Selector))
		c.setVMCS(vmGuestESBase+f, s.Base)
		c.setVMCS(vmGuestESLimit+f, uint64(s.Limit))
		c.setVMCS(vmGuestESAccess+f, uint64(s.Attr&accessRights))
	}
	c.setVMCS(vmGuestGDTRBase, c.GDTR.Base)
	c.setVMCS(vmGuestGDTRLimit, uint64(c.GDTR.Limit))
	c.setVMCS(vmGuestIDTRBase, c.IDTR.Base)
	c.setVMCS(vmGuestIDTRLimit, uint64(c.IDTR.Limit))

	flags := c.flags()
	switch x.rf {
	case rfClear:
		flags &^= FlagRF
	case rfSet:
		flags |= FlagRF
	}
	c.setVMCS(vmGuestRIP, c.RIP)
	c.setVMCS(vmGuestRSP, c.R[RSP])
	c.setVMCS(vmGuestRFLAGS, flags)

	c.setVMCS(vmActivity, uint64(c.Activity))
	c.setVMCS(vmInterruptibility, c.interruptibility())
	pending := c.pendingDB & (15 | pendingBS)
	if pending&15 != 0 {
		pending |= pendingEnabled
	}
	c.setVMCS(vmPendingDebug, pending)
	c.pendingDB = 0
	if exit&exitSaveTimer != 0 && v.ctl.pin&pinTimer != 0 {
		c.setVMCS(vmTimer, c.timerLeft())
	}
}

// accessRights is the bits of an access-rights field that exist.
const accessRights = 0x1f0ff

// interruptibility is the guest's interruptibility state.
func (c *CPU) interruptibility() (s uint64) {
	switch c.shadow {
	case ShadowSTI:
		s = blockSTI
	case ShadowMovSS:
		s = blockMovSS
	}
	blocked := c.nmiBlocked
	if c.vmx.ctl.pin&pinVirtual != 0 {
		blocked = c.vmx.nmiBlocked
	}
	if blocked {
		s |= blockNMI
	}
	return s
}

// timerLeft is the value of the preemption timer: how often bit timerRate of
// the TSC will still change before it reaches 0.
func (c *CPU) timerLeft() uint64 {
	now := c.Now()
	if c.vmx.timerEnd <= now {
		return 0
	}
	return (c.TSC(now)%(1<<timerRate) + c.vmx.timerEnd - now) >> timerRate
}

// loadHost loads the host state (28.5), then MSRs (28.6). It returns false
// after a VMX abort.
func (c *CPU) loadHost(controls uint32) bool {
	v := &c.vmx
	flush := v.ctl.proc2&proc2VPID == 0
	host64 := controls&exitHost64 != 0
	lma := c.lma
	v.guest = false
	v.ctl = vmxRootControls
	v.mtfPending, v.tprPending = false, false
	if lma && !host64 {
		c.vmxAbort(abortHostMode)
		return false
	}

	// 28.5.1: some bits are not loaded, others are fixed.
	const cr0 = CR0PE | CR0MP | CR0EM | CR0TS | CR0NE | CR0WP | CR0AM | CR0PG
	c.CR0 = c.CR0&^cr0 | c.vmcs(vmHostCR0)&cr0 | cr0Fixed
	c.CR3 = c.vmcs(vmHostCR3) & (1<<c.Model.PhysBits - 1)
	c.CR4 = c.vmcs(vmHostCR4)&c.cr4Supported() | cr4Fixed
	if host64 {
		c.CR4 |= CR4PAE
	} else {
		c.CR4 &^= CR4PCIDE
	}
	c.DR[7] = 0x400
	c.MSR.DebugCtl = 0
	c.MSR.SysenterCS = c.vmcs(vmHostSysenterCS)
	c.MSR.SysenterESP = extend48(c.vmcs(vmHostSysenterESP))
	c.MSR.SysenterEIP = extend48(c.vmcs(vmHostSysenterEIP))
	if controls&exitLoadEFER != 0 {
		c.MSR.EFER = c.vmcs(vmHostEFER) & eferKnown
	}
	c.MSR.EFER &^= EFERLME | EFERLMA
	if host64 {
		c.MSR.EFER |= EFERLME | EFERLMA
	}
	if controls&exitLoadPAT != 0 {
		c.MSR.PAT = c.vmcs(vmHostPAT)
	}
	if controls&exitLoadPerf != 0 {
		c.WriteMSR(msrGlobalCtrl, c.vmcs(vmHostPerfGlobal))
	}

	// 28.5.2.
	for i := range c.Seg[:LDTR] {
		s := flatData(uint16(c.vmcs(vmHostES+VMCSField(2*i))), 0)
		if s.Selector&^3 == 0 && i != CS {
			s.Attr |= AttrUnusable
		}
		c.Seg[i] = s
	}
	c.Seg[CS] = flatCode(c.Seg[CS].Selector, 0, host64)
	c.Seg[FS].Base = extend48(c.vmcs(vmHostFSBase))
	c.Seg[GS].Base = extend48(c.vmcs(vmHostGSBase))
	c.Seg[LDTR] = Segment{Attr: AttrUnusable}
	c.Seg[TR] = Segment{Selector: uint16(c.vmcs(vmHostTR)), Attr: AttrP | 11, Limit: 0x67,
		Base: extend48(c.vmcs(vmHostTRBase))}
	c.GDTR = Table{extend48(c.vmcs(vmHostGDTRBase)), 0xffff}
	c.IDTR = Table{extend48(c.vmcs(vmHostIDTRBase)), 0xffff}

	// 28.5.3 to 28.5.5.
	c.RIP = c.vmcs(vmHostRIP)
	c.R[RSP] = c.vmcs(vmHostRSP)
	if !host64 {
		c.RIP &= 0xffffffff
		c.R[RSP] &= 0xffffffff
	}
	c.setFlags(FlagR1)
	c.Activity = Active
	c.shadow = ShadowNone
	c.pendingDB = 0
	if flush {
		c.MMU.FlushAll(0, false)
	}
	c.updateMode()
	if !host64 && c.CR4&CR4PAE != 0 {
		if !c.loadPDPTEs(c.CR3) {
			c.vmxAbort(abortHostPDPTE)
			return false
		}
		c.updateMode()
	}
	if c.loadMSRs(vmExitMSRLoadCount, vmExitMSRLoad) != 0 {
		c.vmxAbort(abortLoadMSRs)
		return false
	}
	return true
}

// vmxRootControls is what controls say in root operation.
var vmxRootControls controls

// extend48 makes an address canonical, as loading it without a check does.
func extend48(a uint64) uint64 { return uint64(int64(a<<16) >> 16) }

// vmxAbort ends everything (28.7).
func (c *CPU) vmxAbort(why vmAbort) {
	c.MMU.WritePhysical(c.vmx.current+vmcsAbort, 4, uint64(why))
	c.vmx.guest = false
	c.vmx.ctl = vmxRootControls
	c.Activity = Shutdown
	c.stop = StopShutdown
	c.updateMode()
}

// The MSR areas (25.7.2 and 25.8.2): 16 bytes for each, index and value.

// msrInList says whether a list may name an MSR: not those that loading or
// storing would disturb the transition itself (27.4, 28.4 and 28.6).
func msrInList(index uint32) bool {
	const smbase, smmMonitor, updateTrigger = 0x9e, 0x9b, 0x79
	switch index {
	case msrFSBase, msrGSBase, smbase, smmMonitor, updateTrigger:
		return false
	}
	return index>>8 != msrX2APICFirst>>8
}

// storeMSRs saves the guest's MSRs in the VM-exit MSR-store area.
func (c *CPU) storeMSRs() bool {
	n := c.vmcs(vmExitMSRStoreCount)
	if n == 0 {
		return true
	}
	at := c.vmcs(vmExitMSRStore)
	if n > maxMSRListCount {
		return false
	}
	for range n {
		index := uint32(c.MMU.ReadPhysical(at, 4))
		if c.MMU.ReadPhysical(at+4, 4) != 0 || index>>8 == msrX2APICFirst>>8 {
			return false
		}
		value, ok := c.ReadMSR(index)
		if !ok {
			return false
		}
		c.MMU.WritePhysical(at+8, 8, value)
		at += 16
	}
	return true
}

// loadMSRs loads MSRs from a list. It returns the number of the entry that
// failed, counting from 1.
func (c *CPU) loadMSRs(count, address VMCSField) (failed uint64) {
	n := c.vmcs(count)
	if n == 0 {
		return 0
	}
	at := c.vmcs(address)
	for i := range n {
		index := uint32(c.MMU.ReadPhysical(at, 4))
		reserved := c.MMU.ReadPhysical(at+4, 4)
		value := c.MMU.ReadPhysical(at+8, 8)
		if i == maxMSRListCount || reserved != 0 || !msrInList(index) || !c.WriteMSR(index, value) {
			return i + 1
		}
		switch index {
		case msrTSC, msrTSCAdjust, msrTSCDeadline, msrAPICBase:
			c.stop = StopDevice
		}
		at += 16
	}
	return 0
}
