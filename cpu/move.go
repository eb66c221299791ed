package cpu

import (
	"math/bits"

	"github.com/flipvisor/flipvisor/cpu/decode"
)

var moveBinders = map[decode.Op]binder{
	decode.MOV:        bindMov,
	decode.MOVNTI:     bindMov,
	decode.MOVZX:      bindMovzx,
	decode.MOVSX:      bindMovsx,
	decode.MOVSXD:     bindMovsx,
	decode.LEA:        bindLea,
	decode.XCHG:       fixed(xchg),
	decode.XADD:       fixed(xadd),
	decode.CMPXCHG:    fixed(cmpxchg),
	decode.CMPXCHG8B:  fixed(cmpxchg8b),
	decode.CMPXCHG16B: fixed(cmpxchg16b),
	decode.BSWAP:      fixed(bswap),
	decode.MOVBE:      fixed(movbe),
	decode.CMOVCC:     bindCmov,
	decode.SETCC:      bindSetcc,
	decode.CBW:        fixed(cbw),
	decode.CWD:        fixed(cwd),
	decode.XLAT:       fixed(xlat),
}

var movForms = [4][5]handler{
	{movRegReg8, movRegImm8, movRegMem8, movMemReg8, movMemImm8},
	{movRegReg16, movRegImm16, movRegMem16, movMemReg16, movMemImm16},
	{movRegReg32, movRegImm32, movRegMem32, movMemReg32, movMemImm32},
	{movRegReg64, movRegImm64, movRegMem64, movMemReg64, movMemImm64},
}

func bindMov(in *Inst, d *decode.Inst) handler {
	return movForms[log2(d.Args[0].Size)][bindForm(in, d)]
}

func movRegReg8(c *CPU, in *Inst) *Inst  { c.setReg8(in.dst, c.reg8(in.src)); return in.next }
func movRegReg16(c *CPU, in *Inst) *Inst { c.setReg16(in.dst, c.R[in.src&31]); return in.next }
func movRegReg32(c *CPU, in *Inst) *Inst { c.setReg32(in.dst, c.R[in.src&31]); return in.next }
func movRegReg64(c *CPU, in *Inst) *Inst { c.R[in.dst&31] = c.R[in.src&31]; return in.next }
func movRegImm8(c *CPU, in *Inst) *Inst  { c.setReg8(in.dst, in.imm); return in.next }
func movRegImm16(c *CPU, in *Inst) *Inst { c.setReg16(in.dst, in.imm); return in.next }
func movRegImm32(c *CPU, in *Inst) *Inst { c.setReg32(in.dst, in.imm); return in.next }
func movRegImm64(c *CPU, in *Inst) *Inst { c.R[in.dst&31] = in.imm; return in.next }

func movRegMem8(c *CPU, in *Inst) *Inst {
	v, ok := c.load8(in, c.ea(in))
	if !ok {
		return c.fault(in)
	}
	c.setReg8(in.dst, v)
	return in.next
}

func movRegMem16(c *CPU, in *Inst) *Inst {
	v, ok := c.load16(in, c.ea(in))
	if !ok {
		return c.fault(in)
	}
	c.setReg16(in.dst, v)
	return in.next
}

func movRegMem32(c *CPU, in *Inst) *Inst {
	v, ok := c.load32(in, c.ea(in))
	if !ok {
		return c.fault(in)
	}
	c.R[in.dst&31] = v
	return in.next
}

func movRegMem64(c *CPU, in *Inst) *Inst {
	v, ok := c.load64(in, c.ea(in))
	if !ok {
		return c.fault(in)
	}
	c.R[in.dst&31] = v
	return in.next
}

func movMemReg8(c *CPU, in *Inst) *Inst {
	if !c.store8(in, c.ea(in), c.reg8(in.src)) {
		return c.fault(in)
	}
	return in.next
}

func movMemReg16(c *CPU, in *Inst) *Inst {
	if !c.store16(in, c.ea(in), c.R[in.src&31]) {
		return c.fault(in)
	}
	return in.next
}

func movMemReg32(c *CPU, in *Inst) *Inst {
	if !c.store32(in, c.ea(in), c.R[in.src&31]) {
		return c.fault(in)
	}
	return in.next
}

func movMemReg64(c *CPU, in *Inst) *Inst {
	if !c.store64(in, c.ea(in), c.R[in.src&31]) {
		return c.fault(in)
	}
	return in.next
}

func movMemImm8(c *CPU, in *Inst) *Inst {
	if !c.store8(in, c.ea(in), in.imm) {
		return c.fault(in)
	}
	return in.next
}

func movMemImm16(c *CPU, in *Inst) *Inst {
	if !c.store16(in, c.ea(in), in.imm) {
		return c.fault(in)
	}
	return in.next
}

func movMemImm32(c *CPU, in *Inst) *Inst {
	if !c.store32(in, c.ea(in), in.imm) {
		return c.fault(in)
	}
	return in.next
}

func movMemImm64(c *CPU, in *Inst) *Inst {
	if !c.store64(in, c.ea(in), in.imm) {
		return c.fault(in)
	}
	return in.next
}

// bindMovzx: the destination's upper part is zero; a 16-bit destination
// keeps what is above it.
func bindMovzx(in *Inst, d *decode.Inst) handler {
	to, from := d.Args[0].Size, d.Args[1].Size
	in.dst = regOf(&d.Args[0])
	if to == 2 {
		return extendGeneric(false)
	}
	if d.Args[1].Kind == decode.KindMem {
		if from == 1 {
			return func(c *CPU, in *Inst) *Inst {
				v, ok := c.load8(in, c.ea(in))
				if !ok {
					return c.fault(in)
				}
				c.R[in.dst&31] = v
				return in.next
			}
		}
		return func(c *CPU, in *Inst) *Inst {
			v, ok := c.load16(in, c.ea(in))
			if !ok {
				return c.fault(in)
			}
			c.R[in.dst&31] = v
			return in.next
		}
	}
	in.src = regOf(&d.Args[1])
	if from == 1 {
		return func(c *CPU, in *Inst) *Inst { c.R[in.dst&31] = c.reg8(in.src); return in.next }
	}
	return func(c *CPU, in *Inst) *Inst { c.R[in.dst&31] = c.R[in.src&31] & 0xffff; return in.next }
}

func bindMovsx(in *Inst, d *decode.Inst) handler {
	in.dst = regOf(&d.Args[0])
	if d.Args[0].Size == 8 && d.Args[1].Size == 4 {
		if d.Args[1].Kind == decode.KindMem {
			return func(c *CPU, in *Inst) *Inst {
				v, ok := c.load32(in, c.ea(in))
				if !ok {
					return c.fault(in)
				}
				c.R[in.dst&31] = uint64(int64(int32(v)))
				return in.next
			}
		}
		in.src = regOf(&d.Args[1])
		return func(c *CPU, in *Inst) *Inst {
			c.R[in.dst&31] = uint64(int64(int32(c.R[in.src&31])))
			return in.next
		}
	}
	return extendGeneric(true)
}

func extendGeneric(signed bool) handler {
	return func(c *CPU, in *Inst) *Inst {
		v, ok := c.arg(in, 1)
		if !ok {
			return c.fault(in)
		}
		d := c.decoded(in)
		if signed {
			v = signExtend(v, int(d.Args[1].Size))
		}
		c.setReg(in.dst, int(d.Args[0].Size), v)
		return in.next
	}
}

func bindLea(in *Inst, d *decode.Inst) handler {
	in.dst = regOf(&d.Args[0])
	if d.AddrSize == 8 && d.Args[0].Size == 8 {
		return lea64
	}
	size := int(d.Args[0].Size)
	return func(c *CPU, in *Inst) *Inst {
		c.setReg(in.dst, size, c.offsetOf(in))
		return in.next
	}
}

func lea64(c *CPU, in *Inst) *Inst {
	c.R[in.dst&31] = c.R[in.base&31] + c.R[in.idx&31]<<(in.scale&63) + uint64(in.disp)
	return in.next
}

func xchg(c *CPU, in *Inst) *Inst {
	a, ok := c.arg(in, 0)
	if !ok {
		return c.fault(in)
	}
	b, ok := c.arg(in, 1)
	if !ok {
		return c.fault(in)
	}
	// A memory operand may be either; the store to it cannot fail any more.
	if c.decoded(in).Args[0].Kind == decode.KindMem {
		c.setArg(in, 0, b)
		c.setArg(in, 1, a)
	} else {
		c.setArg(in, 1, a)
		c.setArg(in, 0, b)
	}
	return in.next
}

func xadd(c *CPU, in *Inst) *Inst {
	a, ok := c.arg(in, 0)
	if !ok {
		return c.fault(in)
	}
	b, _ := c.arg(in, 1)
	size := int(c.decoded(in).Args[0].Size)
	if c.decoded(in).Args[0].Kind == decode.KindMem {
		c.setArg(in, 0, c.addSized(a, b, size))
		c.setArg(in, 1, a)
	} else {
		sum := c.addSized(a, b, size)
		c.setArg(in, 1, a)
		c.setArg(in, 0, sum)
	}
	return in.next
}

// cmpxchg writes the destination in either case (SDM Vol. 2A, CMPXCHG).
func cmpxchg(c *CPU, in *Inst) *Inst {
	size := int(c.decoded(in).Args[0].Size)
	a, ok := c.arg(in, 0)
	if !ok {
		return c.fault(in)
	}
	b, _ := c.arg(in, 1)
	c.subSized(c.reg(RAX, size), a, size)
	if c.zf() {
		c.setArg(in, 0, b)
		return in.next
	}
	if c.decoded(in).Args[0].Kind == decode.KindMem {
		c.setArg(in, 0, a)
	}
	c.setReg(RAX, size, a)
	return in.next
}

func cmpxchg8b(c *CPU, in *Inst) *Inst {
	va := c.ea(in)
	v, ok := c.loadRMW(in, va, 8)
	if !ok {
		return c.fault(in)
	}
	f := c.flags() &^ FlagZF
	if v == c.reg32(RAX)|c.reg32(RDX)<<32 {
		c.store64(in, va, c.reg32(RBX)|c.reg32(RCX)<<32)
		f |= FlagZF
	} else {
		c.store64(in, va, v)
		c.setReg32(RAX, v)
		c.setReg32(RDX, v>>32)
	}
	c.setStatus(f)
	return in.next
}

func cmpxchg16b(c *CPU, in *Inst) *Inst {
	va := c.ea(in)
	if va&15 != 0 {
		return c.gp0(in)
	}
	if !c.probeStore(in, va, 16) {
		return c.fault(in)
	}
	v, ok := c.loadX(in, va)
	if !ok {
		return c.fault(in)
	}
	f := c.flags() &^ FlagZF
	if v.Lo == c.R[RAX] && v.Hi == c.R[RDX] {
		c.storeX(in, va, XMM{Lo: c.R[RBX], Hi: c.R[RCX]})
		f |= FlagZF
	} else {
		c.storeX(in, va, v)
		c.R[RAX], c.R[RDX] = v.Lo, v.Hi
	}
	c.setStatus(f)
	return in.next
}

// bswap of a 16-bit register is undefined; processors clear it.
func bswap(c *CPU, in *Inst) *Inst {
	a := &c.decoded(in).Args[0]
	v := c.R[a.Reg&31]
	switch a.Size {
	case 8:
		v = bits.ReverseBytes64(v)
	case 4:
		v = uint64(bits.ReverseBytes32(uint32(v)))
	default:
		v = 0
	}
	c.setReg(a.Reg, int(a.Size), v)
	return in.next
}

func movbe(c *CPU, in *Inst) *Inst {
	v, ok := c.arg(in, 1)
	size := int(c.decoded(in).Args[0].Size)
	if ok {
		ok = c.setArg(in, 0, bits.ReverseBytes64(v)>>(64-8*size))
	}
	if !ok {
		return c.fault(in)
	}
	return in.next
}

// bindCmov: the source is read, and may fault, whatever the condition; a
// 32-bit destination is zero-extended whatever the condition.
func bindCmov(in *Inst, d *decode.Inst) handler {
	size := int(d.Args[0].Size)
	in.dst = regOf(&d.Args[0])
	in.imm = uint64(d.Cond)
	if d.Args[1].Kind == decode.KindGPR {
		in.src = regOf(&d.Args[1])
		if size == 8 {
			return func(c *CPU, in *Inst) *Inst {
				if c.condition(uint8(in.imm)) {
					c.R[in.dst&31] = c.R[in.src&31]
				}
				return in.next
			}
		}
	}
	return func(c *CPU, in *Inst) *Inst {
		v, ok := c.arg(in, 1)
		if !ok {
			return c.fault(in)
		}
		if c.condition(uint8(in.imm)) {
			c.setReg(in.dst, size, v)
		} else if size == 4 {
			c.R[in.dst&31] &= 0xffffffff
		}
		return in.next
	}
}

func bindSetcc(in *Inst, d *decode.Inst) handler {
	in.imm = uint64(d.Cond)
	return func(c *CPU, in *Inst) *Inst {
		var v uint64
		if c.condition(uint8(in.imm)) {
			v = 1
		}
		if !c.setArg(in, 0, v) {
			return c.fault(in)
		}
		return in.next
	}
}

func cbw(c *CPU, in *Inst) *Inst {
	size := int(c.decoded(in).OpSize)
	c.setReg(RAX, size, signExtend(c.R[RAX], size/2))
	return in.next
}

func cwd(c *CPU, in *Inst) *Inst {
	size := int(c.decoded(in).OpSize)
	c.setReg(RDX, size, uint64(int64(signExtend(c.R[RAX], size))>>63))
	return in.next
}

func xlat(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	a := (c.R[RBX] + c.R[RAX]&0xff) & mask(int(d.AddrSize))
	v, ok := c.load8(in, c.linear(d.Mem.Seg, a, 1, false))
	if !ok {
		return c.fault(in)
	}
	c.setReg8(RAX, v)
	return in.next
}
