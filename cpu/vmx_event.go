package cpu

// Which events exit, and when (SDM Vol. 3C, 26.2 and 26.5).

// vmxAttention says whether VMX has something to do at this boundary. It is
// asked between slices.
func (c *CPU) vmxAttention() bool {
	v := &c.vmx
	if !v.guest {
		return false
	}
	k := &v.ctl
	return k.proc&(procIntWindow|procNMIWindow|procMTF) != 0 || v.mtfPending || v.tprPending ||
		k.pin&pinTimer != 0 && v.timerEnd <= c.Count
}

// vmxBlocksINIT: INIT signals are blocked in root operation, and when waiting
// for a startup IPI.
func (c *CPU) vmxBlocksINIT() bool {
	return c.vmx.root() || c.vmx.guest && c.Activity == WaitForSIPI
}

// vmxInit takes an INIT signal in the guest.
func (c *CPU) vmxInit() bool {
	if !c.vmx.guest {
		return false
	}
	c.vmexit(vmexit{reason: ExitINIT})
	return true
}

// vmxBoundaryFirst takes the exits that come before debug traps: TPR below
// threshold (27.7.7), monitor trap flag (26.5.2).
func (c *CPU) vmxBoundaryFirst() bool {
	v := &c.vmx
	if !v.guest || c.Activity == Shutdown || c.Activity == WaitForSIPI {
		return false
	}
	if v.tprPending {
		v.tprPending = false
		c.vmexit(vmexit{reason: ExitTPRThreshold})
		return true
	}
	if v.mtfPending || v.ctl.proc&procMTF != 0 && c.Count > v.mtfAfter {
		v.mtfPending = false
		c.vmexit(vmexit{reason: ExitMTF})
		return true
	}
	return false
}

// vmxTimerOrNMIWindow takes the exits that come before NMIs.
func (c *CPU) vmxTimerOrNMIWindow() bool {
	v := &c.vmx
	if !v.guest || c.Activity == WaitForSIPI {
		return false
	}
	if v.ctl.pin&pinTimer != 0 && v.timerEnd <= c.Count {
		c.vmexit(vmexit{reason: ExitPreemptionTimer})
		return true
	}
	if v.ctl.proc&procNMIWindow != 0 && !v.nmiBlocked && c.shadow == ShadowNone {
		c.vmexit(vmexit{reason: ExitNMIWindow})
		return true
	}
	return false
}

// vmxInterruptWindow takes the exit that comes before external interrupts.
func (c *CPU) vmxInterruptWindow() bool {
	v := &c.vmx
	if v.ctl.proc&procIntWindow == 0 || c.rflags&FlagIF == 0 || c.shadow != ShadowNone || c.Activity == Shutdown {
		return false
	}
	c.vmexit(vmexit{reason: ExitInterruptWindow})
	return true
}

// interceptNMI takes a non-maskable interrupt in the guest.
func (c *CPU) interceptNMI() bool {
	if c.vmx.ctl.pin&pinNMI == 0 {
		return false
	}
	c.nmiPending = false
	c.vmexit(vmexit{info: infoValid | uint32(EventNMI)<<infoType | VectorNMI})
	return true
}

// interceptInterrupt takes the APIC's interrupt in the guest.
func (c *CPU) interceptInterrupt() bool {
	if c.vmx.ctl.pin&pinExternal == 0 {
		return false
	}
	x := vmexit{reason: ExitExternalInterrupt}
	if c.vmcs(vmExitControls)&exitAck != 0 {
		x.info = infoValid | uint32(EventExternal)<<infoType | uint32(c.APIC.Ack())
	}
	c.vmexit(x)
	return true
}

// vmxIRET is what IRET does to the blocking of NMIs (26.3). It says whether
// there was any to remove.
func (c *CPU) vmxIRET() (unblocked bool) {
	blocked := &c.nmiBlocked
	switch pin := c.vmx.ctl.pin; {
	case pin&pinVirtual != 0:
		blocked = &c.vmx.nmiBlocked
	case pin&pinNMI != 0:
		return false
	}
	unblocked = *blocked
	*blocked = false
	return unblocked
}

// interceptException takes an exception that the exception bitmap names
// (26.2). Injected events are never intercepted.
func (c *CPU) interceptException(e *Exception) bool {
	k := &c.vmx.ctl
	if !c.vmx.guest || e.injected {
		return false
	}
	hit := k.exceptions>>(e.Vector&31)&1 != 0
	if e.Vector == VectorPF && e.Code&k.pfMask != k.pfMatch {
		hit = !hit
	}
	if !hit {
		return false
	}
	x := vmexit{info: infoValid | uint32(e.Kind)<<infoType | uint32(e.Vector), length: e.length}
	if e.HasCode {
		x.info |= infoCode
		x.code = e.Code
	}
	switch e.Vector {
	case VectorPF:
		x.qualification = e.CR2
	case VectorDB:
		x.qualification = e.DR6
	}
	if e.Kind != EventHardware {
		c.notRetired++ // INT3 and its like have been counted as retired
	}
	if c.vectoring.info == 0 && c.unblockedNMI && e.Vector != VectorDF {
		x.info |= infoUnblock
	}
	if e.setsRF() {
		x.rf = rfSet
	}
	c.vmexit(x)
	return true
}

// vmxFault takes the exit that an access causes, by EPT or to the APIC, or a
// task switch in the middle of delivering an event.
func (c *CPU) vmxFault(e Exception) {
	x := vmexit{
		reason: e.exit, qualification: e.qualification, length: e.length, rf: rfSet,
		physical: e.gpa, linear: e.linear,
	}
	switch e.exit {
	case ExitAPICAccess:
		const duringDelivery = 3 << 12
		if c.vectoring.info != 0 {
			x.qualification = x.qualification&0xfff | duringDelivery
		}
	case ExitEPTMisconfig:
		x.defined = hasPhysical
	case ExitEPTViolation:
		x.defined = hasPhysical
		const linearValid, unblocked = 1 << 7, 1 << 12
		if e.qualification&linearValid != 0 {
			x.defined |= hasLinear
		}
		if c.vectoring.info == 0 && c.unblockedNMI {
			x.qualification |= unblocked
		}
	}
	if c.vectoring.info != 0 {
		x.rf = rfKeep
		if c.vectoring.rf {
			x.rf = rfSet
		}
	}
	c.vmexit(x)
}

// vmxVectoring notes the event whose delivery begins, for an exit in the
// middle of it.
func (c *CPU) vmxVectoring(e *Exception) {
	if !c.vmx.guest {
		return
	}
	c.vectoring = vectoring{
		info: infoValid | uint32(e.Kind)<<infoType | uint32(e.Vector), code: e.Code, rf: e.setsRF(),
	}
	if e.HasCode {
		c.vectoring.info |= infoCode
	}
	if e.Kind >= EventSoftware {
		c.vectoring.length = e.length
	}
}

// vmxVectoringDone ends the delivery. The boundary that follows it is one at
// which the monitor trap flag is looked at (26.5.2).
func (c *CPU) vmxVectoringDone() {
	if c.vmx.guest {
		c.vectoring = vectoring{}
		c.vmx.mtfPending = c.vmx.ctl.proc&procMTF != 0
	}
}

// interceptTripleFault takes a triple fault in the guest.
func (c *CPU) interceptTripleFault() bool {
	if !c.vmx.guest {
		return false
	}
	c.vectoring = vectoring{} // 28.2.4
	c.vmexit(vmexit{reason: ExitTripleFault})
	return true
}
