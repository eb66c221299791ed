package cpu

import (
	"math"

	"github.com/flipvisor/flipvisor/internal/state"
	"github.com/flipvisor/flipvisor/mmu"
)

// Virtual-machine extensions (SDM Vol. 3C, chapters 24 to 31). Where to find
// things:
//
//	vmcs.go           fields, and where they lie in memory
//	vmx_caps.go       controls and capability MSRs
//	vmx_reason.go     exit reasons, error numbers
//	vmx_insn.go       the VMX instructions
//	vmx_check.go      VM entry: checks of controls and host state
//	vmx_checkguest.go VM entry: checks of guest state
//	vmx_entry.go      VM entry: loading, event injection
//	vmx_exit.go       VM exits
//	vmx_intercept.go  which instructions exit
//	vmx_event.go      which events exit
//	vmx_apic.go       the virtual APIC's TPR
//
// A VMCS is kept in memory and nowhere else, so that a bit that flips there
// acts. A VM entry reads the controls, and they hold until the VM exit, which
// reads the VM-exit controls and the host state.

// VMX is the processor's virtual-machine state.
type VMX struct {
	on      bool   // in VMX operation
	guest   bool   // in VMX non-root operation
	region  uint64 // VMXON pointer
	current uint64 // current-VMCS pointer, or noVMCS
	exits   uint64 // VM exits so far

	// What the last VM entry read; all zero in root operation, so that a
	// test of a control needs no test of the mode.
	ctl controls

	nmiBlocked bool   // virtual-NMI blocking
	timerEnd   uint64 // the count at which the preemption timer reaches 0
	mtfAfter   uint64 // "monitor trap flag": exit once the count is past this
	mtfPending bool   // ... or at the next boundary
	tprPending bool   // exit at the next boundary: TPR below threshold

	pauseFirst, pauseLast uint64 // TSC of the first and the last PAUSE of a loop
}

// controls is the part of a VMCS that decides about every instruction.
type controls struct {
	pin, proc, proc2        uint32
	exceptions              uint32
	pfMask, pfMatch         uint32
	tprThreshold            uint32
	pauseGap, pauseWindow   uint32
	vpid                    uint16
	eptp                    uint64
	ioA, ioB, msrBitmap     uint64
	virtualAPIC, apicAccess uint64
	tscOffset               uint64
	cr0Mask, cr0Shadow      uint64
	cr4Mask, cr4Shadow      uint64
	cr3Target               [cr3Targets]uint64
	cr3Count                uint32
}

func (v *VMX) reset() { *v = VMX{current: noVMCS} }

// leave forgets all but the number of exits.
func (v *VMX) leave() { *v = VMX{current: noVMCS, exits: v.exits} }

// Walk visits the state.
func (v *VMX) Walk(w *state.Walker) {
	w.Bool("on", &v.on)
	w.Bool("guest", &v.guest)
	w.U64("vmxon-pointer", &v.region)
	w.U64("current-vmcs", &v.current)
	w.U64("exits", &v.exits)
	w.Part("controls", &v.ctl)
	w.Bool("nmi-blocked", &v.nmiBlocked)
	w.U64("timer-end", &v.timerEnd)
	w.U64("mtf-after", &v.mtfAfter)
	w.Bool("mtf-pending", &v.mtfPending)
	w.Bool("tpr-pending", &v.tprPending)
	w.U64("pause-first", &v.pauseFirst)
	w.U64("pause-last", &v.pauseLast)
}

// Walk visits the controls.
func (k *controls) Walk(w *state.Walker) {
	w.U32("pin", &k.pin)
	w.U32("proc", &k.proc)
	w.U32("proc2", &k.proc2)
	w.U32("exceptions", &k.exceptions)
	w.U32("pf-mask", &k.pfMask)
	w.U32("pf-match", &k.pfMatch)
	w.U32("tpr-threshold", &k.tprThreshold)
	w.U32("ple-gap", &k.pauseGap)
	w.U32("ple-window", &k.pauseWindow)
	w.U16("vpid", &k.vpid)
	w.U64("eptp", &k.eptp)
	w.U64("io-a", &k.ioA)
	w.U64("io-b", &k.ioB)
	w.U64("msr-bitmap", &k.msrBitmap)
	w.U64("virtual-apic", &k.virtualAPIC)
	w.U64("apic-access", &k.apicAccess)
	w.U64("tsc-offset", &k.tscOffset)
	w.U64("cr0-mask", &k.cr0Mask)
	w.U64("cr0-shadow", &k.cr0Shadow)
	w.U64("cr4-mask", &k.cr4Mask)
	w.U64("cr4-shadow", &k.cr4Shadow)
	for i := range k.cr3Target {
		w.U64("cr3-target", &k.cr3Target[i])
	}
	w.U32("cr3-count", &k.cr3Count)
}

// InGuest says whether the processor is in VMX non-root operation.
func (c *CPU) InGuest() bool { return c.vmx.guest }

// ExitCount is how many VM exits there have been, those of failed VM entries
// included.
func (c *CPU) ExitCount() uint64 { return c.vmx.exits }

// EPTP is the EPT pointer in force, 0 when there is none.
func (c *CPU) EPTP() uint64 { return c.regime.EPTP }

// vmxRegime adds what VMX has to say about address translation.
func (c *CPU) vmxRegime(r *mmu.Regime) {
	k := &c.vmx.ctl
	r.VPID = k.vpid
	if k.proc2&proc2EPT != 0 {
		r.EPTP = k.eptp
		r.EPTAD = k.eptp&(1<<6) != 0
	}
	if k.proc2&proc2APICAccess != 0 {
		r.APICAccess = k.apicAccess | 1
	}
}

// root says that the processor is in VMX root operation.
func (v *VMX) root() bool { return v.on && !v.guest }

// foldNow brings the performance counters up to the present, in the middle
// of a slice too. What is counted is credited to the mode that is now being
// left, so the instruction in progress must have been paid for.
func (c *CPU) foldNow() {
	count := c.Count
	if c.running {
		c.Count = c.deadline - uint64(c.budget+c.reserve)
	}
	c.foldEvents()
	c.Count = count
}

// vmxHorizon is how many instructions can run before a VM exit that time
// brings about.
func (c *CPU) vmxHorizon() uint64 {
	v := &c.vmx
	n := uint64(math.MaxUint64)
	if v.ctl.pin&pinTimer != 0 {
		n = 0
		if v.timerEnd > c.Count {
			n = v.timerEnd - c.Count
		}
	}
	if v.ctl.proc&procMTF != 0 {
		n = min(n, 1)
	}
	return n
}

// Control registers as VMX operation restricts them (SDM Vol. 3C, 24.8).

func (c *CPU) vmxAllowsCR0(v uint64) bool {
	must := uint64(cr0Fixed)
	if c.vmx.ctl.proc2&proc2Unrestricted != 0 {
		must = CR0NE
	}
	return !c.vmx.on || v&must == must
}

func (c *CPU) vmxAllowsCR4(v uint64) bool { return !c.vmx.on || v&cr4Fixed == cr4Fixed }

// hostOwnsCR0 is the bits of CR0 that the guest cannot change.
func (c *CPU) hostOwnsCR0() uint64 { return c.vmx.ctl.cr0Mask }

func (c *CPU) vmxReadCR0() uint64 {
	k := &c.vmx.ctl
	return c.CR0&^k.cr0Mask | k.cr0Shadow&k.cr0Mask
}

func (c *CPU) vmxReadCR4() uint64 {
	k := &c.vmx.ctl
	return c.CR4&^k.cr4Mask | k.cr4Shadow&k.cr4Mask
}

// vmxEnabled says whether a secondary control lets the guest use an
// instruction.
func (c *CPU) vmxEnabled(control uint32) bool {
	return !c.vmx.guest || c.vmx.ctl.proc2&control != 0
}

// vmxTSCOffset is what the guest's time-stamp counter differs by.
func (c *CPU) vmxTSCOffset() uint64 {
	if k := &c.vmx.ctl; k.proc&procTSCOffset != 0 {
		return k.tscOffset
	}
	return 0
}

// vmxReadMSR reads the registers that a guest sees otherwise.
func (c *CPU) vmxReadMSR(index uint32) (uint64, bool) {
	if c.vmx.guest && index == msrTSC {
		return c.TSC(c.Now()) + c.vmxTSCOffset(), true
	}
	return 0, false
}
