package cpu

// VM entry after the checks of controls and host state (SDM Vol. 3C, 27.3 to
// 27.8).

// vmentry checks and loads the guest state, and goes on in the guest; or in
// the host again, as after a VM exit, when the guest state is refused.
func (c *CPU) vmentry(e *vmentry, launch bool) {
	c.current = nil
	c.delivered = true
	c.foldNow()
	v := &c.vmx
	var g guestState
	c.readGuest(e, &g)
	failure := c.checkGuest(e, &g)
	v.ctl = e.ctl
	if failure != 0 {
		c.entryFailure(e, ExitEntryGuestState, entryQualification(failure))
		return
	}
	v.guest = true
	c.loadGuest(e, &g)
	if n := c.loadMSRs(vmEntryMSRLoadCount, vmEntryMSRLoad); n != 0 {
		c.entryFailure(e, ExitEntryMSRLoading, n)
		return
	}
	if launch {
		c.MMU.WritePhysical(v.current+vmcsLaunch, 4, 1)
	}
	c.startTimers(e)
	c.loadNonRegister(e, &g)
	if c.Hooks.VMEntry != nil {
		c.Hooks.VMEntry()
	}
	if e.info&infoValid != 0 {
		c.injectEvent(e)
	}
}

// entryFailure is a VM entry that fails after the host's checks (27.8): a VM
// exit that saves nothing of the guest.
func (c *CPU) entryFailure(e *vmentry, r ExitReason, qualification uint64) {
	c.vmx.exits++
	c.setVMCS(vmExitReason, uint64(r)|exitEntryFailure)
	c.setVMCS(vmQualification, qualification)
	if c.loadHost(e.exit) && c.Hooks.VMExit != nil {
		c.Hooks.VMExit(r, qualification)
	}
}

// loadGuest loads the guest's registers (27.3.2).
func (c *CPU) loadGuest(e *vmentry, g *guestState) {
	const kept0 = CR0ET | CR0CD | CR0NW
	const loaded0 = CR0PE | CR0MP | CR0EM | CR0TS | CR0NE | CR0WP | CR0AM | CR0PG
	c.CR0 = c.CR0&kept0 | g.cr0&loaded0
	c.CR3, c.CR4 = g.cr3, g.cr4
	c.PDPTE = g.pdpte
	if e.entry&entryLoadDebug != 0 {
		c.DR[7] = g.dr7&0xffff2bff | 0x400
		c.MSR.DebugCtl = g.debugctl
	}
	c.MSR.SysenterCS = c.vmcs(vmGuestSysenterCS)
	c.MSR.SysenterESP = c.vmcs(vmGuestSysenterESP)
	c.MSR.SysenterEIP = c.vmcs(vmGuestSysenterEIP)
	c.MSR.EFER = g.efer
	if e.entry&entryLoadPAT != 0 {
		c.MSR.PAT = c.vmcs(vmGuestPAT)
	}
	if e.entry&entryLoadPerf != 0 {
		c.WriteMSR(msrGlobalCtrl, c.vmcs(vmGuestPerfGlobal))
	}
	c.Seg = g.seg
	c.GDTR = Table{c.vmcs(vmGuestGDTRBase), uint16(c.vmcs(vmGuestGDTRLimit))}
	c.IDTR = Table{c.vmcs(vmGuestIDTRBase), uint16(c.vmcs(vmGuestIDTRLimit))}
	c.RIP, c.R[RSP] = g.rip, c.vmcs(vmGuestRSP)
	c.setFlags(g.rflags)
	c.updateMode()
	if e.ctl.proc2&proc2VPID == 0 {
		c.MMU.FlushAll(0, false)
	}
}

// startTimers begins what counts while the guest runs.
func (c *CPU) startTimers(e *vmentry) {
	v := &c.vmx
	now := c.Now()
	if e.ctl.pin&pinTimer != 0 {
		// 26.5.1: it goes down by 1 each time that bit timerRate of the TSC
		// changes.
		v.timerEnd = now
		if n := c.vmcs(vmTimer); n != 0 {
			v.timerEnd += n<<timerRate - c.TSC(now)%(1<<timerRate)
		}
	}
	v.mtfAfter = now
	v.pauseFirst, v.pauseLast = 0, 0
}

// loadNonRegister loads activity, blocking and what is pending (27.3.2.4 and
// 27.7).
func (c *CPU) loadNonRegister(e *vmentry, g *guestState) {
	v, k := &c.vmx, &e.ctl
	c.Activity = Activity(g.activity)
	c.shadow = ShadowNone
	switch {
	case g.blocking&blockSTI != 0:
		c.shadow = ShadowSTI
	case g.blocking&blockMovSS != 0:
		c.shadow = ShadowMovSS
	}
	c.keepShadow = true
	blocked := g.blocking&blockNMI != 0
	if k.pin&pinVirtual != 0 {
		// Table 25-6: NMIs themselves are never blocked then.
		c.nmiBlocked, v.nmiBlocked = false, blocked
	} else {
		c.nmiBlocked, v.nmiBlocked = blocked, false
	}

	// 27.7.3: an event to inject takes the place of pending debug exceptions,
	// but for a software event after a load of SS.
	c.pendingDB = 0
	if g.pending&(pendingEnabled|pendingBS) != 0 && c.keepsPendingDebug(e) {
		c.pendingDB = g.pending & (15 | pendingBS)
	}
	v.tprPending = k.proc&procTPRShadow != 0 && k.proc2&proc2APICAccess != 0 &&
		k.tprThreshold&15 > uint32(c.MMU.ReadPhysical(k.virtualAPIC+virtualTPR, 1))>>4
	v.mtfPending = e.injects(eventOther)
}

func (c *CPU) keepsPendingDebug(e *vmentry) bool {
	switch {
	case e.info&infoValid == 0:
		return c.Activity == Active || c.Activity == Halted
	case e.injects(eventOther):
		return true
	case e.injects(EventSoftware), e.injects(EventSoftException):
		return c.shadow == ShadowMovSS
	}
	return false
}

// injectEvent delivers the event that the VM entry injects (27.6).
func (c *CPU) injectEvent(e *vmentry) {
	kind := EventKind(e.info >> infoType & 7)
	if kind == eventOther {
		return
	}
	x := Exception{
		Vector: uint8(e.info), Kind: kind, injected: true, trap: true,
		HasCode: e.info&infoCode != 0, Code: e.code,
	}
	switch kind {
	case EventSoftware, EventPrivSoftware, EventSoftException:
		x.length = uint8(e.length)
		x.next = c.RIP + e.length
		if !c.long {
			x.next &= 0xffffffff
		}
	case EventNMI:
		if e.ctl.pin&pinVirtual != 0 {
			c.vmx.nmiBlocked = true
		} else {
			c.nmiBlocked = true
		}
	}
	c.shadow = ShadowNone
	c.deliverEvent(x)
}
