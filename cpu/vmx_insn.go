package cpu

import (
	"github.com/flipvisor/flipvisor/cpu/decode"
	"github.com/flipvisor/flipvisor/mmu"
)

// The VMX instructions (SDM Vol. 3C, chapter 31).
var vmxBinders = map[decode.Op]binder{
	decode.VMXON:    fixed(vmxon),
	decode.VMXOFF:   fixed(vmxoff),
	decode.VMCLEAR:  fixed(vmclear),
	decode.VMPTRLD:  fixed(vmptrld),
	decode.VMPTRST:  fixed(vmptrst),
	decode.VMREAD:   fixed(vmread),
	decode.VMWRITE:  fixed(vmwrite),
	decode.VMLAUNCH: fixed(vmlaunch),
	decode.VMRESUME: fixed(vmlaunch),
	decode.VMCALL:   fixed(vmcall),
	decode.INVEPT:   fixed(invept),
	decode.INVVPID:  fixed(invvpid),
	decode.VMFUNC:   fixed(undefined), // the control that enables it cannot be set
	decode.GETSEC:   fixed(undefined), // CR4.SMXE cannot be set
	decode.RSM:      fixed(undefined), // not in system-management mode
}

func undefined(c *CPU, in *Inst) *Inst { return c.ud(in) }

// vmxFlags are the flags by which VMX instructions report (31.2).
func (c *CPU) vmxFlags(f uint64) { c.setStatus(f) }

// vmSucceed ends an instruction that did its work.
func (c *CPU) vmSucceed(in *Inst) *Inst {
	c.vmxFlags(0)
	return in.next
}

// vmFail ends an instruction that did not: with an error number in the
// current VMCS, if there is one.
func (c *CPU) vmFail(in *Inst, e VMError) *Inst {
	if c.vmx.current == noVMCS {
		return c.vmFailInvalid(in)
	}
	c.vmxFlags(FlagZF)
	c.setVMCS(vmInstructionError, uint64(e))
	return in.next
}

func (c *CPU) vmFailInvalid(in *Inst) *Inst {
	c.vmxFlags(FlagCF)
	return in.next
}

// vmxUndefined says that VMX instructions are #UD in the current mode.
func (c *CPU) vmxUndefined() bool {
	return c.CR0&CR0PE == 0 || c.rflags&FlagVM != 0 || c.lma && !c.long
}

// vmxProlog is how all VMX instructions but VMXON and VMCALL begin. It
// returns false when the instruction is over.
func (c *CPU) vmxProlog(in *Inst, r ExitReason) bool {
	switch {
	case !c.vmx.on || c.vmxUndefined():
		c.ud(in)
	case c.vmx.guest:
		c.exitOperands(in, r, 0)
	case c.cpl != 0:
		c.gp0(in)
	default:
		return true
	}
	return false
}

// vmcsPointer says whether an address can be that of a VMCS region.
func (c *CPU) vmcsPointer(pa uint64) bool { return pa&0xfff == 0 && pa>>c.Model.PhysBits == 0 }

// pointerOperand reads the 64-bit address that an instruction names in
// memory.
func (c *CPU) pointerOperand(in *Inst) (pa uint64, ok bool) { return c.load64(in, c.ea(in)) }

func vmxon(c *CPU, in *Inst) *Inst {
	v := &c.vmx
	if c.vmxUndefined() || c.CR4&CR4VMXE == 0 {
		return c.ud(in)
	}
	if v.guest {
		c.exitOperands(in, ExitVMXON, 0)
		return nil
	}
	if c.cpl != 0 {
		return c.gp0(in)
	}
	if v.on {
		return c.vmFail(in, vmErrVMXONInRoot)
	}
	const locked, outsideSMX = 1 << 0, 1 << 2
	if c.CR0&cr0Fixed != cr0Fixed || c.MSR.FeatureControl&(locked|outsideSMX) != locked|outsideSMX {
		return c.gp0(in)
	}
	pa, ok := c.pointerOperand(in)
	if !ok {
		return c.fault(in)
	}
	if !c.vmcsPointer(pa) || c.MMU.ReadPhysical(pa, 4) != vmcsRevision {
		return c.vmFailInvalid(in)
	}
	v.leave()
	v.on, v.region = true, pa
	return c.vmSucceed(in)
}

func vmxoff(c *CPU, in *Inst) *Inst {
	if !c.vmxProlog(in, ExitVMXOFF) {
		return nil
	}
	c.vmx.leave()
	c.vmSucceed(in)
	return c.leave(in) // INIT signals are no longer blocked
}

func vmclear(c *CPU, in *Inst) *Inst {
	if !c.vmxProlog(in, ExitVMCLEAR) {
		return nil
	}
	pa, ok := c.pointerOperand(in)
	switch {
	case !ok:
		return c.fault(in)
	case !c.vmcsPointer(pa):
		return c.vmFail(in, vmErrVMCLEARAddress)
	case pa == c.vmx.region:
		return c.vmFail(in, vmErrVMCLEARVMXON)
	}
	c.MMU.WritePhysical(pa+vmcsLaunch, 4, 0)
	if pa == c.vmx.current {
		c.vmx.current = noVMCS
	}
	return c.vmSucceed(in)
}

func vmptrld(c *CPU, in *Inst) *Inst {
	if !c.vmxProlog(in, ExitVMPTRLD) {
		return nil
	}
	pa, ok := c.pointerOperand(in)
	switch {
	case !ok:
		return c.fault(in)
	case !c.vmcsPointer(pa):
		return c.vmFail(in, vmErrVMPTRLDAddress)
	case pa == c.vmx.region:
		return c.vmFail(in, vmErrVMPTRLDVMXON)
	case c.MMU.ReadPhysical(pa, 4) != vmcsRevision: // a shadow VMCS is none either
		return c.vmFail(in, vmErrVMPTRLDRevision)
	}
	c.vmx.current = pa
	return c.vmSucceed(in)
}

func vmptrst(c *CPU, in *Inst) *Inst {
	if !c.vmxProlog(in, ExitVMPTRST) {
		return nil
	}
	if !c.store64(in, c.ea(in), c.vmx.current) {
		return c.fault(in)
	}
	return c.vmSucceed(in)
}

// fieldOperand finds the field that a register names. high says that the
// encoding is that of a 64-bit field's upper half.
func fieldOperand(encoding uint64) (f VMCSField, high, ok bool) {
	if encoding>>32 != 0 {
		return 0, false, false
	}
	f = VMCSField(encoding)
	high = f&1 != 0
	f &^= 1
	_, ok = f.place()
	return f, high, ok && (!high || f>>13 == 1)
}

func vmread(c *CPU, in *Inst) *Inst {
	if !c.vmxProlog(in, ExitVMREAD) {
		return nil
	}
	if c.vmx.current == noVMCS {
		return c.vmFailInvalid(in)
	}
	encoding, _ := c.arg(in, 1)
	f, high, ok := fieldOperand(encoding)
	if !ok {
		return c.vmFail(in, vmErrUnsupportedField)
	}
	v := c.vmcs(f)
	if high {
		v >>= 32
	}
	if !c.setArg(in, 0, v) {
		return c.fault(in)
	}
	return c.vmSucceed(in)
}

func vmwrite(c *CPU, in *Inst) *Inst {
	if !c.vmxProlog(in, ExitVMWRITE) {
		return nil
	}
	if c.vmx.current == noVMCS {
		return c.vmFailInvalid(in)
	}
	encoding, _ := c.arg(in, 0)
	f, high, ok := fieldOperand(encoding)
	if !ok {
		return c.vmFail(in, vmErrUnsupportedField)
	}
	if f.readOnly() {
		return c.vmFail(in, vmErrReadOnlyField)
	}
	v, ok := c.arg(in, 1)
	if !ok {
		return c.fault(in)
	}
	if high {
		v = c.vmcs(f)&0xffffffff | v<<32
	}
	c.setVMCS(f, v)
	return c.vmSucceed(in)
}

// vmlaunch is VMLAUNCH and VMRESUME.
func vmlaunch(c *CPU, in *Inst) *Inst {
	launch := c.decoded(in).Op == decode.VMLAUNCH
	reason := ExitVMRESUME
	if launch {
		reason = ExitVMLAUNCH
	}
	if !c.vmxProlog(in, reason) {
		return nil
	}
	v := &c.vmx
	if v.current == noVMCS {
		return c.vmFailInvalid(in)
	}
	if c.shadow == ShadowMovSS {
		return c.vmFail(in, vmErrMOVSS)
	}
	launched := c.MMU.ReadPhysical(v.current+vmcsLaunch, 4)
	switch {
	case launch && launched != 0:
		return c.vmFail(in, vmErrLaunchNotClear)
	case !launch && launched != 1:
		return c.vmFail(in, vmErrResumeNotLaunch)
	}
	c.openVMCS()
	e, err := c.checkEntry()
	if err != 0 {
		c.closeVMCS()
		return c.vmFail(in, err)
	}
	c.leave(in)
	c.vmentry(&e, launch)
	c.closeVMCS()
	return nil
}

func vmcall(c *CPU, in *Inst) *Inst {
	v := &c.vmx
	switch {
	case !v.on:
		return c.ud(in)
	case v.guest:
		c.exitAt(in, vmexit{reason: ExitVMCALL})
		return nil
	case c.rflags&FlagVM != 0 || c.lma && !c.long:
		return c.ud(in)
	case c.cpl != 0:
		return c.gp0(in)
	}
	return c.vmFail(in, vmErrVMCALL) // there is no SMM-transfer monitor
}

// invalidation reads the operands of INVEPT and INVVPID.
func (c *CPU) invalidation(in *Inst) (typ uint64, desc XMM, ok bool) {
	typ, _ = c.arg(in, 0)
	desc, ok = c.loadX(in, c.ea(in))
	return typ, desc, ok
}

func invept(c *CPU, in *Inst) *Inst {
	if !c.vmxProlog(in, ExitINVEPT) {
		return nil
	}
	typ, desc, ok := c.invalidation(in)
	if !ok {
		return c.fault(in)
	}
	t := mmu.InveptType(typ)
	if t != mmu.InveptSingle && t != mmu.InveptAll || t == mmu.InveptSingle && !c.validEPTP(desc.Lo) {
		return c.vmFail(in, vmErrInvalidate)
	}
	c.MMU.Invept(t, desc.Lo)
	c.vmSucceed(in)
	return c.serialize(in)
}

func invvpid(c *CPU, in *Inst) *Inst {
	if !c.vmxProlog(in, ExitINVVPID) {
		return nil
	}
	typ, desc, ok := c.invalidation(in)
	if !ok {
		return c.fault(in)
	}
	t := mmu.InvvpidType(typ)
	if t > mmu.InvvpidSingleNotGlobal || desc.Lo>>16 != 0 || t != mmu.InvvpidAll && desc.Lo == 0 ||
		t == mmu.InvvpidAddress && !canonical(desc.Hi) {
		return c.vmFail(in, vmErrInvalidate)
	}
	c.MMU.Invvpid(t, uint16(desc.Lo), desc.Hi)
	c.vmSucceed(in)
	return c.serialize(in)
}
