package cpu

import (
	"github.com/flipvisor/flipvisor/cpu/decode"
	"github.com/flipvisor/flipvisor/mmu"
)

// cr4Supported has the CR4 bits of the features present.
func (c *CPU) cr4Supported() uint64 {
	v := uint64(cr4Known)
	for _, f := range [...]struct {
		feature Feature
		bit     uint64
	}{
		{FeatureVMX, CR4VMXE}, {FeatureFSGSBASE, CR4FSGSBASE}, {FeaturePCID, CR4PCIDE},
		{FeatureXSAVE, CR4OSXSAVE}, {FeatureSMEP, CR4SMEP}, {FeatureSMAP, CR4SMAP}, {FeatureUMIP, CR4UMIP},
	} {
		if !c.Model.Has(f.feature) {
			v &^= f.bit
		}
	}
	return v
}

func movCR(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	if c.cpl != 0 {
		return c.gp0(in)
	}
	size := 4
	if c.long {
		size = 8
	}
	if a := &d.Args[0]; a.Kind == decode.KindCR {
		r := d.Args[1].Reg
		v := c.reg(r, size)
		if c.interceptMovToCR(in, a.Reg, r, &v) {
			return nil
		}
		if !c.writeCR(a.Reg, v) {
			return c.fault(in)
		}
		c.serialize(in)
		c.endOfControl(a.Reg)
		return nil
	}
	cr, r := d.Args[1].Reg, d.Args[0].Reg
	if c.interceptMovFromCR(in, cr, r) {
		return nil
	}
	var v uint64
	switch cr {
	case 0:
		v = c.vmxReadCR0()
	case 2:
		v = c.CR2
	case 3:
		v = c.CR3
	case 4:
		v = c.vmxReadCR4()
	case 8:
		v = uint64(c.readCR8())
	}
	c.setReg(r, size, v)
	return in.next
}

// endOfControl lets a lowered task priority be noticed.
func (c *CPU) endOfControl(cr uint8) {
	if cr == 8 {
		c.endSlice()
	}
}

func (c *CPU) readCR8() uint8 {
	if v, ok := c.vmxReadTPR(); ok {
		return v
	}
	if c.APIC == nil {
		return 0
	}
	return c.APIC.GetCR8()
}

func (c *CPU) writeCR(cr uint8, v uint64) bool {
	switch cr {
	case 0:
		return c.writeCR0(v)
	case 2:
		c.CR2 = v
	case 3:
		return c.writeCR3(v)
	case 4:
		return c.writeCR4(v)
	case 8:
		if v > 15 {
			return c.excCode(VectorGP, 0)
		}
		if !c.vmxWriteTPR(uint8(v)) && c.APIC != nil {
			c.APIC.SetCR8(uint8(v))
		}
	}
	return true
}

// writeCR0 is MOV to CR0 with its checks (SDM Vol. 3A, 2.5, and Vol. 2B, MOV
// to control registers).
func (c *CPU) writeCR0(v uint64) bool {
	const known = CR0PE | CR0MP | CR0EM | CR0TS | CR0ET | CR0NE | CR0WP | CR0AM | CR0NW | CR0CD | CR0PG
	old := c.CR0
	switch {
	case v>>32 != 0,
		v&CR0PG != 0 && v&CR0PE == 0,
		v&CR0NW != 0 && v&CR0CD == 0,
		v&CR0PG == 0 && c.CR4&CR4PCIDE != 0,
		v&CR0PG == 0 && c.long:
		return c.excCode(VectorGP, 0)
	}
	v = v&known | CR0ET
	if !c.vmxAllowsCR0(v) {
		return c.excCode(VectorGP, 0)
	}
	efer := c.MSR.EFER
	if v&CR0PG != 0 && old&CR0PG == 0 {
		if efer&EFERLME != 0 {
			tss := c.Seg[TR].Attr & AttrType
			if c.CR4&CR4PAE == 0 || c.Seg[CS].Attr&AttrL != 0 || tss == 1 || tss == 3 {
				return c.excCode(VectorGP, 0)
			}
			efer |= EFERLMA
		} else if c.CR4&CR4PAE != 0 && !c.loadPDPTEs(c.CR3) {
			return false
		}
	}
	if v&CR0PG == 0 {
		efer &^= EFERLMA
	}
	if c.CR4&CR4PAE != 0 && efer&EFERLMA == 0 && v&CR0PG != 0 && (v^old)&(CR0CD|CR0NW) != 0 && !c.loadPDPTEs(c.CR3) {
		return false
	}
	c.CR0, c.MSR.EFER = v, efer
	c.updateMode()
	if (v^old)&(CR0PG|CR0WP|CR0PE) != 0 {
		c.flushTLB(false)
	}
	return true
}

// flushTLB invalidates this context's translations.
func (c *CPU) flushTLB(keepGlobal bool) { c.MMU.FlushAll(c.regime.VPID, keepGlobal) }

func (c *CPU) writeCR3(v uint64) bool {
	keep := false
	if c.CR4&CR4PCIDE != 0 && c.lma {
		keep = v>>63 != 0
		v &^= 1 << 63
	}
	if c.lma && v>>c.Model.PhysBits != 0 {
		return c.excCode(VectorGP, 0)
	}
	if c.CR0&CR0PG != 0 && c.CR4&CR4PAE != 0 && !c.lma && !c.loadPDPTEs(v) {
		return false
	}
	c.CR3 = v
	c.updateMode()
	switch {
	case keep:
	case c.CR4&CR4PCIDE != 0 && c.lma:
		c.MMU.FlushPCID(&c.regime, uint16(v&0xfff), true)
	default:
		c.flushTLB(true)
	}
	return true
}

// loadPDPTEs loads and checks the four page-directory-pointer-table entries
// of PAE paging (SDM Vol. 3A, 4.4.1).
func (c *CPU) loadPDPTEs(cr3 uint64) bool {
	var p [4]uint64
	for i := range p {
		v, ok := c.MMU.ReadGuestPhysical(&c.regime, cr3&0xffffffe0+uint64(i)*8, 8)
		if !ok {
			c.memoryFault()
			return false
		}
		if v&1 != 0 && (v&0x1e6 != 0 || v>>c.Model.PhysBits != 0) {
			return c.excCode(VectorGP, 0)
		}
		p[i] = v
	}
	c.PDPTE = p
	return true
}

func (c *CPU) writeCR4(v uint64) bool {
	old := c.CR4
	switch {
	case v&^c.cr4Supported() != 0,
		v&CR4PAE == 0 && c.lma,
		v&CR4PCIDE != 0 && old&CR4PCIDE == 0 && (!c.lma || c.CR3&0xfff != 0),
		!c.vmxAllowsCR4(v):
		return c.excCode(VectorGP, 0)
	}
	const reload = CR4PAE | CR4PSE | CR4PGE | CR4SMEP
	if c.CR0&CR0PG != 0 && v&CR4PAE != 0 && !c.lma && (v^old)&reload != 0 && !c.loadPDPTEs(c.CR3) {
		return false
	}
	c.CR4 = v
	c.updateMode()
	if (v^old)&(CR4PAE|CR4PSE|CR4PGE|CR4PCIDE|CR4SMEP|CR4SMAP) != 0 {
		c.flushTLB(false)
	}
	return true
}

func lmsw(c *CPU, in *Inst) *Inst {
	if c.cpl != 0 {
		return c.gp0(in)
	}
	v, ok := c.arg(in, 0)
	if !ok {
		return c.fault(in)
	}
	if c.interceptLMSW(in, &v) {
		return nil
	}
	// PE can be set, not cleared.
	if !c.writeCR0(c.CR0&^0xe | v&0xf | c.CR0&CR0PE) {
		return c.fault(in)
	}
	return c.serialize(in)
}

func smsw(c *CPU, in *Inst) *Inst {
	if c.userModeBlocked() {
		return c.gp0(in)
	}
	if !c.setArg(in, 0, c.vmxReadCR0()) {
		return c.fault(in)
	}
	return in.next
}

func clts(c *CPU, in *Inst) *Inst {
	if c.cpl != 0 {
		return c.gp0(in)
	}
	if c.interceptCLTS(in) {
		return nil
	}
	c.leave(in)
	c.CR0 &^= CR0TS &^ c.hostOwnsCR0()
	c.updateMode()
	return nil
}

// movDR (SDM Vol. 3B, 17.2). DR4 and DR5 stand for DR6 and DR7 without CR4.DE.
func movDR(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	toDR := d.Args[0].Kind == decode.KindDR
	n, r := d.Args[1].Reg, d.Args[0].Reg
	if toDR {
		n, r = r, n
	}
	if n == 4 || n == 5 {
		if c.CR4&CR4DE != 0 {
			return c.ud(in)
		}
		n += 2
	}
	if c.cpl != 0 {
		return c.gp0(in)
	}
	if c.interceptDR(in, n, r, toDR) {
		return nil
	}
	if c.DR[7]&(1<<13) != 0 {
		c.exc = Exception{Vector: VectorDB, DR6: 1 << 13}
		return c.fault(in)
	}
	if !toDR {
		c.setReg(r, 8, c.DR[n])
		return in.next
	}
	v := c.R[r]
	if !c.long {
		v &= 0xffffffff
	}
	switch n {
	case 6:
		if v>>32 != 0 {
			return c.gp0(in)
		}
		v = v&0xe00f | 0xffff0ff0
	case 7:
		if v>>32 != 0 {
			return c.gp0(in)
		}
		v = v&0xffff2bff | 0x400
	}
	c.DR[n] = v
	c.leave(in)
	c.updateSlow()
	return nil
}

// invpcidTypes maps the operand of INVPCID.
var invpcidTypes = [4]mmu.InvpcidType{
	mmu.InvpcidAddress, mmu.InvpcidSingle, mmu.InvpcidAllGlobal, mmu.InvpcidAllNotGlobal,
}
