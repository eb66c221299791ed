package cpu

// The virtual APIC (SDM Vol. 3C, chapter 30), as far as it goes here: the TPR
// of the virtual-APIC page stands in for CR8 ("use TPR shadow"), and for the
// register of the APIC-access page ("virtualize APIC accesses"). All other
// linear accesses to that page exit; accesses that have no linear address,
// those of page walks, reach memory.

const virtualTPR = 0x80

func (c *CPU) vmxReadTPR() (uint8, bool) {
	k := &c.vmx.ctl
	if k.proc&procTPRShadow == 0 {
		return 0, false
	}
	return uint8(c.MMU.ReadPhysical(k.virtualAPIC+virtualTPR, 1) >> 4), true
}

func (c *CPU) vmxWriteTPR(v uint8) bool {
	k := &c.vmx.ctl
	if k.proc&procTPRShadow == 0 {
		return false
	}
	c.virtualizeTPR(v << 4)
	return true
}

// virtualizeTPR is TPR virtualization (30.1.2): the register's upper bytes are
// cleared, and the processor exits if it is now below the threshold.
func (c *CPU) virtualizeTPR(tpr uint8) {
	k := &c.vmx.ctl
	c.MMU.WritePhysical(k.virtualAPIC+virtualTPR, 4, uint64(tpr))
	c.vmx.tprPending = uint32(tpr>>4) < k.tprThreshold&15
}

// vmxAccessesTPR says whether the access that failed, as c.exc says, is one
// to the TPR that is virtualized (30.4.2 and 30.4.3).
func (c *CPU) vmxAccessesTPR(size int) bool {
	o := c.exc.qualification & 0xfff
	return c.exc.exit == ExitAPICAccess && c.vmx.ctl.proc&procTPRShadow != 0 &&
		o >= virtualTPR && o+uint64(size) <= virtualTPR+4
}

// vmxReadAPIC completes a read that failed, if it is virtualized.
func (c *CPU) vmxReadAPIC(size int) (uint64, bool) {
	if !c.vmxAccessesTPR(size) {
		return 0, false
	}
	return c.MMU.ReadPhysical(c.vmx.ctl.virtualAPIC+c.exc.qualification&0xfff, size), true
}

// vmxWriteAPIC completes a write that failed, if it is virtualized.
func (c *CPU) vmxWriteAPIC(in *Inst, size int, v uint64) bool {
	if !c.vmxAccessesTPR(size) {
		return false
	}
	at := c.vmx.ctl.virtualAPIC
	c.MMU.WritePhysical(at+c.exc.qualification&0xfff, size, v)
	c.virtualizeTPR(uint8(c.MMU.ReadPhysical(at+virtualTPR, 1)))
	if c.vmx.tprPending {
		c.breakAfter(in)
	}
	return true
}
