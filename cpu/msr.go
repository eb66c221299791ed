package cpu

// Model-specific register addresses (SDM Vol. 4, table 2-2).
const (
	msrTSC            = 0x10
	msrPlatformID     = 0x17
	msrAPICBase       = 0x1b
	msrFeatureControl = 0x3a
	msrTSCAdjust      = 0x3b
	msrSpecCtrl       = 0x48
	msrUcodeRev       = 0x8b
	msrPMC0           = 0xc1
	msrPlatformInfo   = 0xce
	msrMPERF          = 0xe7
	msrAPERF          = 0xe8
	msrMTRRCap        = 0xfe
	msrArchCaps       = 0x10a
	msrSysenterCS     = 0x174
	msrSysenterESP    = 0x175
	msrSysenterEIP    = 0x176
	msrMCGCap         = 0x179
	msrMCGStatus      = 0x17a
	msrMCGCtl         = 0x17b
	msrPerfEvtSel0    = 0x186
	msrMiscEnable     = 0x1a0
	msrDebugCtl       = 0x1d9
	msrMTRRPhysBase0  = 0x200
	msrMTRRFix64K     = 0x250
	msrMTRRFix16K     = 0x258
	msrMTRRFix4K      = 0x268
	msrPAT            = 0x277
	msrMC0Ctl2        = 0x280
	msrMTRRDefType    = 0x2ff
	msrFixedCtr0      = 0x309
	msrFixedCtrCtrl   = 0x38d
	msrGlobalStatus   = 0x38e
	msrGlobalCtrl     = 0x38f
	msrGlobalOvfCtrl  = 0x390
	msrMC0Ctl         = 0x400
	msrVMXBasic       = 0x480
	msrVMXLast        = 0x491
	msrPMCFull0       = 0x4c1
	msrTSCDeadline    = 0x6e0
	msrX2APICFirst    = 0x800
	msrX2APICLast     = 0x8ff
	msrEFER           = 0xc0000080
	msrSTAR           = 0xc0000081
	msrLSTAR          = 0xc0000082
	msrCSTAR          = 0xc0000083
	msrSFMASK         = 0xc0000084
	msrFSBase         = 0xc0000100
	msrGSBase         = 0xc0000101
	msrKernelGSBase   = 0xc0000102
	msrTSCAux         = 0xc0000103
)

func rdmsr(c *CPU, in *Inst) *Inst {
	if c.cpl != 0 {
		return c.gp0(in)
	}
	index := uint32(c.R[RCX])
	if c.interceptMSR(in, index, false) {
		return nil
	}
	c.current = in
	v, ok := c.vmxReadMSR(index)
	if !ok {
		c.settleAt(in)
		if v, ok = c.ReadMSR(index); !ok {
			return c.gp0(in)
		}
	}
	c.R[RAX], c.R[RDX] = v&0xffffffff, v>>32
	return in.next
}

func wrmsr(c *CPU, in *Inst) *Inst {
	if c.cpl != 0 {
		return c.gp0(in)
	}
	index := uint32(c.R[RCX])
	if c.interceptMSR(in, index, true) {
		return nil
	}
	v := c.reg32(RAX) | c.reg32(RDX)<<32
	c.current = in
	// The counters count this instruction as they were set before it.
	c.settleAt(in)
	if !c.WriteMSR(index, v) {
		return c.gp0(in)
	}
	c.stop = StopDevice // the APIC's timer may have been set
	return c.serialize(in)
}

// ReadMSR reads a model-specific register; false stands for #GP(0).
func (c *CPU) ReadMSR(index uint32) (uint64, bool) {
	m := &c.MSR
	switch {
	case index >= msrX2APICFirst && index <= msrX2APICLast, index == msrAPICBase:
		if c.APIC == nil {
			return 0, false
		}
		if index == msrAPICBase {
			return c.APIC.APICBase(), true
		}
		return c.APIC.ReadMSR(index)
	case index >= msrVMXBasic && index <= msrVMXLast:
		return c.vmxCapability(index)
	case index >= msrMC0Ctl && index < msrMC0Ctl+4*mcBanks:
		return *c.mc.register(index), true
	case index >= msrMC0Ctl2 && index < msrMC0Ctl2+mcBanks:
		return c.mc.Bank[index-msrMC0Ctl2].Ctl2, true
	}
	if p := c.plainMSR(index); p != nil {
		return *p, true
	}
	if v, ok := c.pmuRead(index); ok {
		return v, true
	}
	switch index {
	case msrTSC:
		return c.TSC(c.Now()), true
	case msrMPERF, msrAPERF:
		return c.Now(), true
	case msrPlatformID, msrArchCaps:
		return 0, index == msrPlatformID
	case msrUcodeRev:
		// Recent enough for programs that distrust the TSC deadline of this
		// model's first processors.
		return 0x02007006 << 32, true
	case msrPlatformInfo:
		return c.Model.TSCHz / 100_000_000 & 0xff << 8, true
	case msrMTRRCap:
		return 8 | 1<<8 | 1<<10, true
	case msrMCGCap:
		return c.mc.Cap, true
	case msrEFER:
		return m.EFER, true
	case msrTSCDeadline:
		if c.APIC == nil || !c.Model.Has(FeatureTSCDeadline) {
			return 0, false
		}
		return c.APIC.TSCDeadline(), true
	case msrFSBase:
		return c.Seg[FS].Base, true
	case msrGSBase:
		return c.Seg[GS].Base, true
	}
	return 0, false
}

// plainMSR finds a register that is storage and reads back what was written.
func (c *CPU) plainMSR(index uint32) *uint64 {
	m := &c.MSR
	switch index {
	case msrFeatureControl:
		return &m.FeatureControl
	case msrTSCAdjust:
		return &m.TSCAdjust
	case msrSysenterCS:
		return &m.SysenterCS
	case msrSysenterESP:
		return &m.SysenterESP
	case msrSysenterEIP:
		return &m.SysenterEIP
	case msrMCGStatus:
		return &c.mc.Status
	case msrMCGCtl:
		return &c.mc.Ctl
	case msrMiscEnable:
		return &m.MiscEnable
	case msrDebugCtl:
		return &m.DebugCtl
	case msrPAT:
		return &m.PAT
	case msrMTRRDefType:
		return &m.MTRRDefType
	case msrSTAR:
		return &m.STAR
	case msrLSTAR:
		return &m.LSTAR
	case msrCSTAR:
		return &m.CSTAR
	case msrSFMASK:
		return &m.SFMASK
	case msrKernelGSBase:
		return &m.KernelGSBase
	case msrTSCAux:
		if !c.Model.Has(FeatureRDTSCP) {
			return nil
		}
		return &m.TSCAux
	case msrMTRRFix64K:
		return &m.MTRRFix[0]
	case msrMTRRFix16K, msrMTRRFix16K + 1:
		return &m.MTRRFix[1+index-msrMTRRFix16K]
	}
	switch {
	case index >= msrMTRRFix4K && index < msrMTRRFix4K+8:
		return &m.MTRRFix[3+index-msrMTRRFix4K]
	case index >= msrMTRRPhysBase0 && index < msrMTRRPhysBase0+16:
		i := index - msrMTRRPhysBase0
		if i&1 == 0 {
			return &m.MTRRPhysBase[i/2]
		}
		return &m.MTRRPhysMask[i/2]
	}
	return nil
}

// WriteMSR writes a model-specific register; false stands for #GP(0).
func (c *CPU) WriteMSR(index uint32, v uint64) bool {
	m := &c.MSR
	switch {
	case index >= msrX2APICFirst && index <= msrX2APICLast:
		return c.APIC != nil && c.APIC.WriteMSR(index, v)
	case index == msrAPICBase:
		return c.APIC != nil && c.APIC.SetAPICBase(v)
	case index >= msrVMXBasic && index <= msrVMXLast:
		return false
	case index >= msrMC0Ctl && index < msrMC0Ctl+4*mcBanks:
		// All of a status register may be cleared, nothing else written.
		if index&3 == 1 && v != 0 {
			return false
		}
		*c.mc.register(index) = v
		return true
	case index >= msrMC0Ctl2 && index < msrMC0Ctl2+mcBanks:
		c.mc.Bank[index-msrMC0Ctl2].Ctl2 = v & (1<<30 | 0x7fff)
		return true
	case index >= msrMTRRPhysBase0 && index < msrMTRRPhysBase0+16:
		reserved := ^(uint64(1)<<c.Model.PhysBits - 1)
		if index&1 == 0 && (v&(reserved|0xf00) != 0 || !memoryType(v&0xff)) || index&1 == 1 && v&(reserved|0x7ff) != 0 {
			return false
		}
	}
	if handled, ok := c.pmuWrite(index, v); handled {
		return ok
	}
	switch index {
	case msrTSC:
		d := v - c.TSC(c.Now())
		m.TSCOffset += d
		m.TSCAdjust += d
		c.tscChanged()
		return true
	case msrTSCAdjust:
		m.TSCOffset += v - m.TSCAdjust
		m.TSCAdjust = v
		c.tscChanged()
		return true
	case msrMPERF, msrAPERF, msrUcodeRev:
		return true
	case msrMCGCap, msrMTRRCap, msrPlatformInfo, msrPlatformID:
		return false
	case msrEFER:
		return c.writeEFER(v)
	case msrTSCDeadline:
		if c.APIC == nil || !c.Model.Has(FeatureTSCDeadline) {
			return false
		}
		c.APIC.SetTSCDeadline(v)
		return true
	case msrFSBase, msrGSBase, msrLSTAR, msrCSTAR, msrKernelGSBase, msrSysenterESP, msrSysenterEIP:
		if !canonical(v) {
			return false
		}
	case msrTSCAux:
		if v>>32 != 0 {
			return false
		}
	case msrFeatureControl:
		if m.FeatureControl&1 != 0 || v&^uint64(0x7) != 0 {
			return false
		}
	case msrDebugCtl:
		if v&^uint64(0x1) != 0 { // LBR: accepted, records nothing; BTF not
			return false
		}
	case msrMCGStatus:
		if v != 0 {
			return false
		}
	case msrPAT:
		if !validPAT(v) {
			return false
		}
	case msrMTRRDefType:
		if v&^uint64(0xcff) != 0 || !memoryType(v&0xff) {
			return false
		}
	case msrSFMASK:
		v &= 0xffffffff
	}
	switch index {
	case msrFSBase:
		c.Seg[FS].Base = v
		return true
	case msrGSBase:
		c.Seg[GS].Base = v
		return true
	}
	p := c.plainMSR(index)
	if p == nil {
		return false
	}
	*p = v
	return true
}

// memoryType says whether a memory-type encoding is valid in an MTRR.
func memoryType(t uint64) bool { return t == 0 || t == 1 || t >= 4 && t <= 6 }

// validPAT: each byte is a memory type; PAT knows UC- besides.
func validPAT(v uint64) bool {
	for i := range 8 {
		if t := v >> (8 * i) & 0xff; !memoryType(t) && t != 7 {
			return false
		}
	}
	return true
}

// writeEFER (SDM Vol. 3A, 2.2.1). LMA cannot be written; LME only without
// paging.
func (c *CPU) writeEFER(v uint64) bool {
	old := c.MSR.EFER
	if v&^eferKnown != 0 || (v^old)&EFERLME != 0 && c.CR0&CR0PG != 0 {
		return false
	}
	c.MSR.EFER = v&^EFERLMA | old&EFERLMA
	c.updateMode()
	if (v^old)&EFERNXE != 0 {
		c.flushTLB(false)
	}
	return true
}

func (c *CPU) tscChanged() {
	if c.APIC != nil {
		c.APIC.SetTSCOffset(c.MSR.TSCOffset)
	}
}

// register finds IA32_MCi_CTL, STATUS, ADDR or MISC.
func (m *MachineCheck) register(index uint32) *uint64 {
	b := &m.Bank[(index-msrMC0Ctl)/4]
	return [...]*uint64{&b.Ctl, &b.Status, &b.Addr, &b.Misc}[index&3]
}

// pmuRegister finds a counter or a control register of the unit.
func (c *CPU) pmuRegister(index uint32) *uint64 {
	p := &c.pmu
	switch {
	case !c.Model.Has(FeaturePMU):
		return nil
	case index >= msrPMC0 && index < msrPMC0+pmuCounters:
		return &p.Counter[index-msrPMC0]
	case index >= msrPerfEvtSel0 && index < msrPerfEvtSel0+pmuCounters:
		return &p.Select[index-msrPerfEvtSel0]
	case index >= msrFixedCtr0 && index < msrFixedCtr0+pmuFixed:
		return &p.Fixed[index-msrFixedCtr0]
	case index == msrFixedCtrCtrl:
		return &p.FixedCtl
	case index == msrGlobalStatus:
		return &p.Status
	case index == msrGlobalCtrl:
		return &p.Global
	}
	return nil
}

func (c *CPU) pmuRead(index uint32) (uint64, bool) {
	if index == msrGlobalOvfCtrl && c.Model.Has(FeaturePMU) {
		return 0, true
	}
	if p := c.pmuRegister(index); p != nil {
		return *p, true
	}
	return 0, false
}

// pmuWrite writes a register of the unit. A write to a general counter gives
// 32 bits, sign-extended (SDM Vol. 3B, 19.2.5).
func (c *CPU) pmuWrite(index uint32, v uint64) (handled, ok bool) {
	p := &c.pmu
	const global = 1<<pmuCounters - 1 | (1<<pmuFixed-1)<<32
	if index == msrGlobalOvfCtrl && c.Model.Has(FeaturePMU) {
		if v&^(uint64(global)|3<<62) != 0 {
			return true, false
		}
		p.Status &^= v
		return true, true
	}
	r := c.pmuRegister(index)
	if r == nil {
		return false, false
	}
	switch {
	case index == msrGlobalStatus:
		return true, false
	case index == msrGlobalCtrl:
		if v&^uint64(global) != 0 {
			return true, false
		}
	case index == msrFixedCtrCtrl:
		if v&^uint64(0xbbb) != 0 {
			return true, false
		}
	case index >= msrPerfEvtSel0 && index < msrPerfEvtSel0+pmuCounters:
		if v>>32 != 0 {
			return true, false
		}
	case index >= msrPMC0 && index < msrPMC0+pmuCounters:
		v = uint64(int64(int32(v))) & pmuMask
	default:
		if v>>pmuWidth != 0 {
			return true, false
		}
	}
	*r = v
	p.update()
	return true, true
}
