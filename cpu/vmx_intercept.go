package cpu

import "github.com/flipvisor/flipvisor/cpu/decode"

// Which instructions exit (SDM Vol. 3C, 26.1), and what they report (28.2.1
// and 28.2.5). Each intercept is called once the instruction's own checks of
// privilege have passed; true says that the VM exit has taken place.

// enableRDTSCP and enableINVPCID are the controls without which a guest has
// no such instruction.
const (
	enableRDTSCP  = proc2RDTSCP
	enableINVPCID = proc2INVPCID
)

// simpleIntercepts are the instructions that exit by one control, with
// nothing to report.
var simpleIntercepts = [...]struct {
	proc, proc2 uint32
	reason      ExitReason
}{
	interceptHLT:    {proc: procHLT, reason: ExitHLT},
	interceptRDTSC:  {proc: procRDTSC, reason: ExitRDTSC},
	interceptRDTSCP: {proc: procRDTSC, reason: ExitRDTSCP},
	interceptRDPMC:  {proc: procRDPMC, reason: ExitRDPMC},
	interceptWBINVD: {proc2: proc2WBINVD, reason: ExitWBINVD},
}

type interceptKind uint8

const (
	interceptHLT interceptKind = iota
	interceptRDTSC
	interceptRDTSCP
	interceptRDPMC
	interceptWBINVD
)

func (c *CPU) intercept(in *Inst, k interceptKind) bool {
	s := &simpleIntercepts[k]
	if c.vmx.ctl.proc&s.proc == 0 && c.vmx.ctl.proc2&s.proc2 == 0 {
		return false
	}
	c.exitAt(in, vmexit{reason: s.reason})
	return true
}

// interceptAlways is for instructions that every guest exits on.
func (c *CPU) interceptAlways(in *Inst, r ExitReason) bool {
	if !c.vmx.guest {
		return false
	}
	c.exitAt(in, vmexit{reason: r})
	return true
}

// interceptINVPCID: the control that gives the instruction makes "INVLPG
// exiting" apply to it.
func (c *CPU) interceptINVPCID(in *Inst) bool {
	if c.vmx.ctl.proc&procINVLPG == 0 {
		return false
	}
	c.exitOperands(in, ExitINVPCID, 0)
	return true
}

// interceptINVLPG reports the linear address, a being its offset.
func (c *CPU) interceptINVLPG(in *Inst, a uint64) bool {
	if c.vmx.ctl.proc&procINVLPG == 0 {
		return false
	}
	c.exitAt(in, vmexit{reason: ExitINVLPG, qualification: c.wrap(a + c.segmentBase(in.seg))})
	return true
}

// segmentBase is what a segment adds to an offset.
func (c *CPU) segmentBase(seg uint8) uint64 {
	if c.long && seg < FS {
		return 0
	}
	return c.Seg[seg].Base
}

// interceptPause: "PAUSE exiting" takes every PAUSE, "PAUSE-loop exiting"
// those of CPL 0 that follow each other for too long (26.1.3).
func (c *CPU) interceptPause(in *Inst) bool {
	v := &c.vmx
	k := &v.ctl
	exits := k.proc&procPAUSE != 0
	if !exits && k.proc2&proc2PauseLoop != 0 && c.cpl == 0 {
		now := c.TSC(c.now(in))
		if v.pauseLast == 0 || now-v.pauseLast > uint64(k.pauseGap) {
			v.pauseFirst = now
		}
		v.pauseLast = now
		exits = now-v.pauseFirst > uint64(k.pauseWindow)
	}
	if exits {
		c.exitAt(in, vmexit{reason: ExitPAUSE})
	}
	return exits
}

// Control registers (26.1.3 and table 28-3).

const (
	crToCR = iota << 4 // access types of the exit qualification
	crFromCR
	crCLTS
	crLMSW
)

func (c *CPU) exitCR(in *Inst, cr, access, r uint8) {
	c.exitAt(in, vmexit{reason: ExitCRAccess, qualification: uint64(cr) | uint64(access) | uint64(r)<<8})
}

// interceptMovToCR also gives v the bits that the guest cannot change.
func (c *CPU) interceptMovToCR(in *Inst, cr, r uint8, v *uint64) bool {
	k := &c.vmx.ctl
	exits := false
	switch cr {
	case 0:
		exits = (*v^k.cr0Shadow)&k.cr0Mask != 0
		*v = *v&^k.cr0Mask | c.CR0&k.cr0Mask
	case 3:
		exits = k.proc&procCR3Load != 0
		for i := range min(k.cr3Count, cr3Targets) {
			if k.cr3Target[i] == *v {
				exits = false
			}
		}
	case 4:
		exits = (*v^k.cr4Shadow)&k.cr4Mask != 0
		*v = *v&^k.cr4Mask | c.CR4&k.cr4Mask
	case 8:
		exits = k.proc&procCR8Load != 0
	}
	if exits {
		c.exitCR(in, cr, crToCR, r)
	}
	return exits
}

func (c *CPU) interceptMovFromCR(in *Inst, cr, r uint8) bool {
	k := &c.vmx.ctl
	exits := cr == 3 && k.proc&procCR3Store != 0 || cr == 8 && k.proc&procCR8Store != 0
	if exits {
		c.exitCR(in, cr, crFromCR, r)
	}
	return exits
}

// interceptLMSW: PE can be set and not cleared, so that clearing it is no
// attempt.
func (c *CPU) interceptLMSW(in *Inst, v *uint64) bool {
	k := &c.vmx.ctl
	differs := (*v ^ k.cr0Shadow) & k.cr0Mask
	if differs&(CR0MP|CR0EM|CR0TS) == 0 && !(differs&CR0PE != 0 && *v&CR0PE != 0) {
		*v = *v&^k.cr0Mask | c.CR0&k.cr0Mask
		return false
	}
	x := vmexit{reason: ExitCRAccess, qualification: crLMSW | *v&0xffff<<16}
	if c.decoded(in).Args[0].Kind == decode.KindMem {
		x.qualification |= 1 << 6
		x.linear, x.defined = c.ea(in), hasLinear
	}
	c.exitAt(in, x)
	return true
}

func (c *CPU) interceptCLTS(in *Inst) bool {
	k := &c.vmx.ctl
	if k.cr0Mask&k.cr0Shadow&CR0TS == 0 {
		return false
	}
	c.exitCR(in, 0, crCLTS, 0)
	return true
}

// interceptDR is "MOV-DR exiting" (table 28-4).
func (c *CPU) interceptDR(in *Inst, dr, r uint8, to bool) bool {
	if c.vmx.ctl.proc&procMOVDR == 0 {
		return false
	}
	q := uint64(dr) | uint64(r)<<8
	if !to {
		q |= 1 << 4
	}
	c.exitAt(in, vmexit{reason: ExitDRAccess, qualification: q})
	return true
}

// Ports and MSRs.

// interceptIO is "I/O bitmaps" or else "unconditional I/O exiting" (26.1.3
// and table 28-5).
func (c *CPU) interceptIO(in *Inst, port uint16, size int, input bool) bool {
	k := &c.vmx.ctl
	switch {
	case k.proc&procIOBitmaps != 0:
		if !c.ioBitmapHas(port, size) {
			return false
		}
	case k.proc&procIO == 0:
		return false
	}
	d := c.decoded(in)
	x := vmexit{reason: ExitIO, qualification: uint64(size-1) | uint64(port)<<16}
	if input {
		x.qualification |= 1 << 3
	}
	switch d.Op {
	case decode.INS, decode.OUTS:
		x.qualification |= 1 << 4
		x.instruction = addressSizeInfo(d)
		seg, offset := uint8(ES), c.reg(RDI, int(d.AddrSize))
		if d.Op == decode.OUTS {
			seg, offset = in.seg, c.reg(RSI, int(d.AddrSize))
			x.instruction |= uint32(seg) << 15
		}
		x.linear = c.wrap(offset + c.segmentBase(seg))
		x.defined = hasInstruction | hasLinear
		if d.Rep != decode.RepNone {
			x.qualification |= 1 << 5
		}
	default:
		if d.Args[0].Kind == decode.KindImm || d.Args[1].Kind == decode.KindImm {
			x.qualification |= 1 << 6
		}
	}
	c.exitAt(in, x)
	return true
}

// ioBitmapHas looks for any of the ports in bitmaps A (0 to 7FFFH) and B. An
// access that wraps around the end of the port space always exits.
func (c *CPU) ioBitmapHas(port uint16, size int) bool {
	k := &c.vmx.ctl
	for i := range uint32(size) {
		p := uint32(port) + i
		bitmap := k.ioA
		switch {
		case p > 0xffff:
			return true
		case p >= 0x8000:
			bitmap = k.ioB
		}
		if c.MMU.ReadPhysical(bitmap+uint64(p&0x7fff/8), 1)>>(p&7)&1 != 0 {
			return true
		}
	}
	return false
}

// interceptMSR is "use MSR bitmaps" (25.6.9): reads of 0 to 1FFFH, reads of
// C0000000H to C0001FFFH, writes of the same. All others exit.
func (c *CPU) interceptMSR(in *Inst, index uint32, write bool) bool {
	v := &c.vmx
	if !v.guest {
		return false
	}
	if v.ctl.proc&procMSRBitmaps != 0 && index&^0xc0001fff == 0 && (index>>30 == 0 || index>>30 == 3) {
		at := v.ctl.msrBitmap + uint64(index&0x1fff/8) + uint64(index>>31)*1024
		if write {
			at += 2048
		}
		if c.MMU.ReadPhysical(at, 1)>>(index&7)&1 == 0 {
			return false
		}
	}
	r := ExitRDMSR
	if write {
		r = ExitWRMSR
	}
	c.exitAt(in, vmexit{reason: r})
	return true
}

// Instruction information (28.2.5). The tables for the several instructions
// agree about a memory operand.

// addressSizeInfo is bits 9:7.
func addressSizeInfo(d *decode.Inst) uint32 {
	return map[uint8]uint32{2: 0, 4: 1, 8: 2}[d.AddrSize] << 7
}

// operandInfo describes a memory operand, or the register in its place.
func operandInfo(d *decode.Inst, a *decode.Arg) (info uint32) {
	if a.Kind == decode.KindGPR {
		return uint32(a.Reg)<<3 | 1<<10
	}
	m := &d.Mem
	info = addressSizeInfo(d) | uint32(m.Seg)<<15
	if m.Index != decode.NoReg {
		info |= uint32(m.Index) << 18
		for s := m.Scale; s > 1; s >>= 1 {
			info++
		}
	} else {
		info |= 1 << 22
	}
	if m.Base != decode.NoReg {
		info |= uint32(m.Base) << 23
	} else {
		info |= 1 << 27
	}
	return info
}

// exitOperands leaves with a VM exit that describes the instruction's
// operands: the displacement in the qualification, the rest in the
// instruction information, to which info is added.
func (c *CPU) exitOperands(in *Inst, r ExitReason, info uint32) {
	d := c.decoded(in)
	x := vmexit{reason: r}
	var memory *decode.Arg
	for i := range d.Args {
		a := &d.Args[i]
		switch {
		case a.Kind == decode.KindMem:
			memory = a
		case a.Kind == decode.KindGPR && i == 0 && d.Args[1].Kind == decode.KindNone:
			memory = a // the only operand: it could have been memory
		case a.Kind == decode.KindGPR && r == ExitVMREAD && i == 0, a.Kind == decode.KindGPR && r == ExitVMWRITE && i == 1:
			memory = a
		case a.Kind == decode.KindGPR:
			info |= uint32(a.Reg) << 28
		}
	}
	if memory != nil {
		info |= operandInfo(d, memory)
		if memory.Kind == decode.KindMem {
			x.qualification = uint64(d.Mem.Disp)
			if d.Mem.RIPRel {
				x.qualification += c.nextRIP(in)
			}
			if d.AddrSize < 8 {
				x.qualification &= mask(int(d.AddrSize))
			}
		}
		x.instruction, x.defined = info, hasInstruction
	}
	c.exitAt(in, x)
}

// interceptTable is "descriptor-table exiting" (tables 28-11 and 28-12).
func (c *CPU) interceptTable(in *Inst) bool {
	if c.vmx.ctl.proc2&proc2Tables == 0 {
		return false
	}
	d := c.decoded(in)
	reason, identity := ExitGDTROrIDTR, uint32(0)
	switch d.Op {
	case decode.SIDT:
		identity = 1
	case decode.LGDT:
		identity = 2
	case decode.LIDT:
		identity = 3
	case decode.SLDT:
		reason = ExitLDTROrTR
	case decode.STR:
		reason, identity = ExitLDTROrTR, 1
	case decode.LLDT:
		reason, identity = ExitLDTROrTR, 2
	case decode.LTR:
		reason, identity = ExitLDTROrTR, 3
	}
	info := identity << 28
	if reason == ExitGDTROrIDTR && d.OpSize != 2 {
		info |= 1 << 11
	}
	c.exitOperands(in, reason, info)
	return true
}
