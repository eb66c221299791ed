package cpu

import "github.com/flipvisor/flipvisor/cpu/decode"

var flagBinders = map[decode.Op]binder{
	decode.CLC:  fixed(func(c *CPU, in *Inst) *Inst { c.setCF(false); return in.next }),
	decode.STC:  fixed(func(c *CPU, in *Inst) *Inst { c.setCF(true); return in.next }),
	decode.CMC:  fixed(func(c *CPU, in *Inst) *Inst { c.setCF(!c.cf()); return in.next }),
	decode.CLD:  fixed(func(c *CPU, in *Inst) *Inst { c.rflags &^= FlagDF; return in.next }),
	decode.STD:  fixed(func(c *CPU, in *Inst) *Inst { c.rflags |= FlagDF; return in.next }),
	decode.LAHF: fixed(lahf),
	decode.SAHF: fixed(sahf),
	decode.SALC: fixed(salc),
	decode.CLI:  fixed(cli),
	decode.STI:  fixed(sti),
	decode.CLAC: fixed(clac),
	decode.STAC: fixed(clac),

	decode.NOP:         fixed(nop),
	decode.PAUSE:       fixed(pause),
	decode.ENDBR32:     fixed(nop),
	decode.ENDBR64:     fixed(nop),
	decode.RDSSP:       fixed(nop), // without shadow stacks
	decode.PREFETCH:    fixed(nop),
	decode.PREFETCHW:   fixed(nop),
	decode.PREFETCHWT1: fixed(nop),
	decode.PREFETCHNTA: fixed(nop),
	decode.PREFETCHT0:  fixed(nop),
	decode.PREFETCHT1:  fixed(nop),
	decode.PREFETCHT2:  fixed(nop),
	decode.CLDEMOTE:    fixed(nop),
	decode.LFENCE:      fixed(nop),
	decode.MFENCE:      fixed(nop),
	decode.SFENCE:      fixed(nop),
}

func nop(_ *CPU, in *Inst) *Inst { return in.next }

func lahf(c *CPU, in *Inst) *Inst {
	c.R[RAX] = c.R[RAX]&^0xff00 | c.flags()&0xd5<<8 | FlagR1<<8
	return in.next
}

func sahf(c *CPU, in *Inst) *Inst {
	c.setStatus(c.flags()&FlagOF | c.R[RAX]>>8&0xd5)
	return in.next
}

// salc sets AL from CF; it is not in the manual and in every processor.
func salc(c *CPU, in *Inst) *Inst {
	c.setReg8(RAX, -c.cfBit())
	return in.next
}

func (c *CPU) iopl() uint8 { return uint8(c.rflags & FlagIOPL >> 12) }

// cli: without the privilege, PVI or VME let the virtual flag take its place
// (SDM Vol. 2A, CLI).
func cli(c *CPU, in *Inst) *Inst {
	if c.cpl > c.iopl() && c.CR0&CR0PE != 0 {
		if c.cpl == 3 && c.rflags&FlagVM == 0 && c.CR4&CR4PVI != 0 {
			c.rflags &^= FlagVIF
			return in.next
		}
		return c.gp0(in)
	}
	c.rflags &^= FlagIF
	return in.next
}

func sti(c *CPU, in *Inst) *Inst {
	if c.cpl > c.iopl() && c.CR0&CR0PE != 0 {
		if c.cpl == 3 && c.rflags&(FlagVM|FlagVIP) == 0 && c.CR4&CR4PVI != 0 {
			c.rflags |= FlagVIF
			return in.next
		}
		return c.gp0(in)
	}
	if c.rflags&FlagIF == 0 {
		c.rflags |= FlagIF
		c.leave(in)
		c.shadow = ShadowSTI
		return nil
	}
	return c.leave(in)
}

// clac is CLAC and STAC.
func clac(c *CPU, in *Inst) *Inst {
	if c.CR4&CR4SMAP == 0 && !c.Model.Has(FeatureSMAP) || c.cpl > 0 {
		return c.ud(in)
	}
	if c.decoded(in).Op == decode.STAC {
		c.rflags |= FlagAC
	} else {
		c.rflags &^= FlagAC
	}
	c.updateClass()
	return in.next
}
