package cpu

import "math"

// attention says whether anything has to be looked at before the next
// instruction. It is asked between slices only: every instruction that can
// change the answer ends its block.
func (c *CPU) attention() bool {
	return c.Activity != Active || c.pendingDB != 0 || c.initPending ||
		c.nmiPending || c.mcPending || c.vmxAttention() || c.interruptWaiting()
}

// interruptWaiting says whether the APIC has an interrupt to deliver.
func (c *CPU) interruptWaiting() bool {
	if c.APIC == nil {
		return false
	}
	_, ok := c.APIC.Pending()
	return ok
}

// boundary acts on events between two instructions, in the order of SDM
// Vol. 3A, table 6-2. It returns false when the run must stop instead of
// going on.
func (c *CPU) boundary() bool {
	switch c.Activity {
	case Shutdown:
		if !c.InGuest() {
			c.stop = StopShutdown
			return false
		}
	case WaitForSIPI:
		return c.startup()
	}
	if c.mcPending {
		c.deliverMC()
		return c.stop == StopNone
	}
	if c.initPending && !c.vmxBlocksINIT() {
		c.initPending = false
		if c.vmxInit() {
			return true
		}
		c.init()
		return false
	}
	if c.vmxBoundaryFirst() { // pending MTF, TPR threshold
		return true
	}
	if c.pendingDB != 0 && c.shadow != ShadowMovSS {
		dr6 := c.pendingDB
		c.pendingDB = 0
		c.Activity = Active
		c.exception(Exception{Vector: VectorDB, DR6: dr6, trap: true})
		return c.stop == StopNone
	}
	if c.vmxTimerOrNMIWindow() {
		return c.stop == StopNone
	}
	if c.nmiWaiting() && c.shadow == ShadowNone {
		c.deliverNMI()
		return c.stop == StopNone
	}
	if c.vmxInterruptWindow() {
		return c.stop == StopNone
	}
	if c.Activity != Shutdown && c.interruptWaiting() && c.shadow == ShadowNone && c.acceptInterrupt() {
		return c.stop == StopNone
	}
	if c.Activity != Active {
		c.stop = StopHalted
		return false
	}
	return true
}

func (c *CPU) nmiWaiting() bool { return c.nmiPending && !c.nmiBlocked }

func (c *CPU) deliverNMI() {
	if c.interceptNMI() {
		return
	}
	c.nmiPending = false
	c.nmiBlocked = true
	c.deliverEvent(Exception{Vector: VectorNMI, Kind: EventNMI})
}

// acceptInterrupt takes the APIC's interrupt if RFLAGS.IF, or a VM exit,
// allows.
func (c *CPU) acceptInterrupt() bool {
	if c.interceptInterrupt() {
		return true
	}
	if c.rflags&FlagIF == 0 {
		return false
	}
	c.deliverEvent(Exception{Vector: c.APIC.Ack(), Kind: EventExternal})
	return true
}

// NMI makes a non-maskable interrupt pending, as the APIC or the board does.
func (c *CPU) NMI() { c.nmiPending = true }

// INIT makes an INIT signal pending.
func (c *CPU) INIT() { c.initPending = true }

// SIPI is a startup IPI. It goes unnoticed unless waited for.
func (c *CPU) SIPI(vector uint8) {
	if c.Activity == WaitForSIPI {
		c.sipiPending, c.sipiVector = true, vector
	}
}

// startup looks for a startup IPI (SDM Vol. 3A, 8.4.3), which starts the
// processor, or ends a guest's wait.
func (c *CPU) startup() bool {
	if !c.sipiPending {
		c.stop = StopHalted
		return false
	}
	c.sipiPending = false
	if c.InGuest() {
		c.vmexit(vmexit{reason: ExitSIPI, qualification: uint64(c.sipiVector)})
		return true
	}
	c.Activity = Active
	c.Seg[CS].Selector, c.Seg[CS].Base = uint16(c.sipiVector)<<8, uint64(c.sipiVector)<<12
	c.RIP = 0
	c.updateMode()
	return true
}

// init is what INIT does on the bootstrap processor (SDM Vol. 3A, 10.1).
func (c *CPU) init() {
	keep := c.State
	c.Reset()
	c.Count, c.notRetired, c.pmu, c.mc = keep.Count, keep.notRetired, keep.pmu, keep.mc
	c.CR0 |= keep.CR0 & (CR0CD | CR0NW)
	c.FPU, c.X, c.MXCSR = keep.FPU, keep.X, keep.MXCSR
	c.MSR.TSCOffset, c.MSR.TSCAdjust = keep.MSR.TSCOffset, keep.MSR.TSCAdjust
	c.MSR.FeatureControl = keep.MSR.FeatureControl
	if c.APIC != nil {
		c.APIC.InitReset()
	}
}

// SetHooks replaces the observers.
func (c *CPU) SetHooks(h Hooks) {
	c.Hooks = h
	c.updateSlow()
}

// IdleUntil lets time pass while the processor is halted, up to a count or to
// the processor's own next event, and returns the new count.
func (c *CPU) IdleUntil(count uint64) uint64 {
	n := min(count-c.Count, c.vmxHorizon())
	if n > 1<<62 {
		return c.Count
	}
	c.settle()
	c.Count += n
	c.notRetired += n
	c.pmu.lastCount += n
	c.pmu.lastNotRetired += n
	return c.Count
}

// CanWake says whether anything can end the processor's halt: an event of
// its own, or an interrupt of a device that has something to do.
func (c *CPU) CanWake(devices bool) bool {
	return c.vmxHorizon() != math.MaxUint64 || devices && (c.rflags&FlagIF != 0 || c.InGuest())
}
