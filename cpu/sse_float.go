package cpu

import (
	"github.com/flipvisor/flipvisor/cpu/decode"
	"github.com/flipvisor/flipvisor/cpu/sse"
)

var sseFloatBinders = map[decode.Op]binder{
	decode.ADDPS: bindPacked(sse.AddPS), decode.ADDPD: bindPacked(sse.AddPD),
	decode.ADDSS: bindScalar32(sse.Add32), decode.ADDSD: bindScalar64(sse.Add64),
	decode.SUBPS: bindPacked(sse.SubPS), decode.SUBPD: bindPacked(sse.SubPD),
	decode.SUBSS: bindScalar32(sse.Sub32), decode.SUBSD: bindScalar64(sse.Sub64),
	decode.MULPS: bindPacked(sse.MulPS), decode.MULPD: bindPacked(sse.MulPD),
	decode.MULSS: bindScalar32(sse.Mul32), decode.MULSD: bindScalar64(sse.Mul64),
	decode.DIVPS: bindPacked(sse.DivPS), decode.DIVPD: bindPacked(sse.DivPD),
	decode.DIVSS: bindScalar32(sse.Div32), decode.DIVSD: bindScalar64(sse.Div64),
	decode.MINPS: bindPacked(sse.MinPS), decode.MINPD: bindPacked(sse.MinPD),
	decode.MINSS: bindScalar32(sse.Min32), decode.MINSD: bindScalar64(sse.Min64),
	decode.MAXPS: bindPacked(sse.MaxPS), decode.MAXPD: bindPacked(sse.MaxPD),
	decode.MAXSS: bindScalar32(sse.Max32), decode.MAXSD: bindScalar64(sse.Max64),

	decode.SQRTPS: bindPacked(func(_, s XMM, k sse.Control) (XMM, sse.Flags) { return sse.SqrtPS(s, k) }),
	decode.SQRTPD: bindPacked(func(_, s XMM, k sse.Control) (XMM, sse.Flags) { return sse.SqrtPD(s, k) }),
	decode.SQRTSS: bindScalar32(func(_, s uint32, k sse.Control) (uint32, sse.Flags) { return sse.Sqrt32(s, k) }),
	decode.SQRTSD: bindScalar64(func(_, s uint64, k sse.Control) (uint64, sse.Flags) { return sse.Sqrt64(s, k) }),

	decode.CMPPS: bindCompare(sse.CmpPS), decode.CMPPD: bindCompare(sse.CmpPD),
	decode.CMPSS: bindCompareScalar(32), decode.CMPSD: bindCompareScalar(64),
	decode.COMISS: fixed(comi), decode.UCOMISS: fixed(comi),
	decode.COMISD: fixed(comi), decode.UCOMISD: fixed(comi),

	decode.CVTDQ2PS:  bindPacked(func(_, s XMM, k sse.Control) (XMM, sse.Flags) { return sse.CvtDQ2PS(s, k) }),
	decode.CVTPS2DQ:  bindPacked(func(_, s XMM, k sse.Control) (XMM, sse.Flags) { return sse.CvtPS2DQ(s, k) }),
	decode.CVTTPS2DQ: bindPacked(func(_, s XMM, k sse.Control) (XMM, sse.Flags) { return sse.CvttPS2DQ(s, k) }),
	decode.CVTDQ2PD:  bindPure(func(_, s XMM) XMM { return sse.CvtDQ2PD(s.Lo) }),
	decode.CVTPS2PD:  bindPacked(func(_, s XMM, k sse.Control) (XMM, sse.Flags) { return sse.CvtPS2PD(s.Lo, k) }),
	decode.CVTPD2PS:  bindPacked(narrow(sse.CvtPD2PS)),
	decode.CVTPD2DQ:  bindPacked(narrow(sse.CvtPD2DQ)),
	decode.CVTTPD2DQ: bindPacked(narrow(sse.CvttPD2DQ)),
	decode.CVTSS2SD: bindPacked(func(d, s XMM, k sse.Control) (XMM, sse.Flags) {
		v, f := sse.CvtSS2SD(uint32(s.Lo), k)
		return XMM{Lo: v, Hi: d.Hi}, f
	}),
	decode.CVTSD2SS: bindPacked(func(d, s XMM, k sse.Control) (XMM, sse.Flags) {
		v, f := sse.CvtSD2SS(s.Lo, k)
		return XMM{Lo: d.Lo&^mask(4) | uint64(v), Hi: d.Hi}, f
	}),
	decode.CVTSI2SS: fixed(cvtFromInt), decode.CVTSI2SD: fixed(cvtFromInt),
	decode.CVTSS2SI: fixed(cvtToInt), decode.CVTTSS2SI: fixed(cvtToInt),
	decode.CVTSD2SI: fixed(cvtToInt), decode.CVTTSD2SI: fixed(cvtToInt),

	decode.CVTPI2PS: fixed(cvtFromMMX), decode.CVTPI2PD: fixed(cvtFromMMX),
	decode.CVTPS2PI: fixed(cvtToMMX), decode.CVTTPS2PI: fixed(cvtToMMX),
	decode.CVTPD2PI: fixed(cvtToMMX), decode.CVTTPD2PI: fixed(cvtToMMX),

	decode.ANDPS: bindPure(and128), decode.ANDPD: bindPure(and128), decode.PAND: bindLogic(and128),
	decode.ANDNPS: bindPure(andn128), decode.ANDNPD: bindPure(andn128), decode.PANDN: bindLogic(andn128),
	decode.ORPS: bindPure(or128), decode.ORPD: bindPure(or128), decode.POR: bindLogic(or128),
	decode.XORPS: bindPure(xor128), decode.XORPD: bindPure(xor128), decode.PXOR: bindLogic(xor128),
}

func and128(d, s XMM) XMM  { return XMM{Lo: d.Lo & s.Lo, Hi: d.Hi & s.Hi} }
func andn128(d, s XMM) XMM { return XMM{Lo: ^d.Lo & s.Lo, Hi: ^d.Hi & s.Hi} }
func or128(d, s XMM) XMM   { return XMM{Lo: d.Lo | s.Lo, Hi: d.Hi | s.Hi} }
func xor128(d, s XMM) XMM  { return XMM{Lo: d.Lo ^ s.Lo, Hi: d.Hi ^ s.Hi} }

// bindLogic is a logical operation, which MMX has too.
func bindLogic(f func(d, s XMM) XMM) binder {
	return bindInt(f, func(d, s uint64) uint64 { return f(XMM{Lo: d}, XMM{Lo: s}).Lo })
}

type packedOp func(d, s XMM, k sse.Control) (XMM, sse.Flags)

func narrow(f func(s XMM, k sse.Control) (uint64, sse.Flags)) packedOp {
	return func(_, s XMM, k sse.Control) (XMM, sse.Flags) {
		v, flags := f(s, k)
		return XMM{Lo: v}, flags
	}
}

// source reads the second operand of a vector instruction.
func (c *CPU) source(in *Inst) (XMM, bool) {
	if in.fromMem {
		return c.loadOperand(in)
	}
	return c.X[in.src&15], true
}

func bindPacked(f packedOp) binder {
	return func(in *Inst, d *decode.Inst) handler {
		in.fromMem, _ = bindVector(in, d)
		return func(c *CPU, in *Inst) *Inst {
			if c.sseOff {
				return c.sseUnavailable(in)
			}
			s, ok := c.source(in)
			if !ok {
				return c.fault(in)
			}
			x := &c.X[in.dst&15]
			r, flags := f(*x, s, sse.Control(c.MXCSR))
			if !c.accept(flags) {
				return c.fault(in)
			}
			*x = r
			return in.next
		}
	}
}

func bindScalar32(f func(a, b uint32, k sse.Control) (uint32, sse.Flags)) binder {
	return func(in *Inst, d *decode.Inst) handler {
		in.fromMem, _ = bindVector(in, d)
		return func(c *CPU, in *Inst) *Inst {
			if c.sseOff {
				return c.sseUnavailable(in)
			}
			s, ok := c.source(in)
			if !ok {
				return c.fault(in)
			}
			x := &c.X[in.dst&15]
			r, flags := f(uint32(x.Lo), uint32(s.Lo), sse.Control(c.MXCSR))
			if !c.accept(flags) {
				return c.fault(in)
			}
			x.Lo = x.Lo&^mask(4) | uint64(r)
			return in.next
		}
	}
}

func bindScalar64(f func(a, b uint64, k sse.Control) (uint64, sse.Flags)) binder {
	return func(in *Inst, d *decode.Inst) handler {
		in.fromMem, _ = bindVector(in, d)
		return func(c *CPU, in *Inst) *Inst {
			if c.sseOff {
				return c.sseUnavailable(in)
			}
			s, ok := c.source(in)
			if !ok {
				return c.fault(in)
			}
			x := &c.X[in.dst&15]
			r, flags := f(x.Lo, s.Lo, sse.Control(c.MXCSR))
			if !c.accept(flags) {
				return c.fault(in)
			}
			x.Lo = r
			return in.next
		}
	}
}

func bindCompare(f func(d, s XMM, pred uint8, k sse.Control) (XMM, sse.Flags)) binder {
	return func(in *Inst, d *decode.Inst) handler {
		pred := uint8(d.Imm) & 7
		return bindPacked(func(d, s XMM, k sse.Control) (XMM, sse.Flags) { return f(d, s, pred, k) })(in, d)
	}
}

func bindCompareScalar(width int) binder {
	return func(in *Inst, d *decode.Inst) handler {
		pred := uint8(d.Imm) & 7
		if width == 32 {
			return bindScalar32(func(a, b uint32, k sse.Control) (uint32, sse.Flags) { return sse.Cmp32(a, b, pred, k) })(in, d)
		}
		return bindScalar64(func(a, b uint64, k sse.Control) (uint64, sse.Flags) { return sse.Cmp64(a, b, pred, k) })(in, d)
	}
}

// comi is COMISS, COMISD, UCOMISS and UCOMISD: OF, SF and AF are cleared.
func comi(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	if c.sseOff {
		return c.sseUnavailable(in)
	}
	b, ok := c.low(in, 1)
	if !ok {
		return c.fault(in)
	}
	a := c.X[d.Args[0].Reg&15].Lo
	k := sse.Control(c.MXCSR)
	var eflags uint32
	var f sse.Flags
	switch d.Op {
	case decode.COMISS:
		eflags, f = sse.Comi32(uint32(a), uint32(b), k)
	case decode.COMISD:
		eflags, f = sse.Comi64(a, b, k)
	case decode.UCOMISS:
		eflags, f = sse.Ucomi32(uint32(a), uint32(b), k)
	default:
		eflags, f = sse.Ucomi64(a, b, k)
	}
	if !c.accept(f) {
		return c.fault(in)
	}
	c.setStatus(uint64(eflags))
	return in.next
}

func cvtFromInt(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	if c.sseOff {
		return c.sseUnavailable(in)
	}
	v, ok := c.arg(in, 1)
	if !ok {
		return c.fault(in)
	}
	n := int64(signExtend(v, int(d.Args[1].Size)))
	x := &c.X[d.Args[0].Reg&15]
	k := sse.Control(c.MXCSR)
	if d.Op == decode.CVTSI2SS {
		r, f := sse.CvtSI2SS64(n, k)
		if !c.accept(f) {
			return c.fault(in)
		}
		x.Lo = x.Lo&^mask(4) | uint64(r)
		return in.next
	}
	r, f := sse.CvtSI2SD64(n, k)
	if !c.accept(f) {
		return c.fault(in)
	}
	x.Lo = r
	return in.next
}

func cvtToInt(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	if c.sseOff {
		return c.sseUnavailable(in)
	}
	v, ok := c.low(in, 1)
	if !ok {
		return c.fault(in)
	}
	k := sse.Control(c.MXCSR)
	wide := d.Args[0].Size == 8
	var r uint64
	var r32 uint32
	var f sse.Flags
	switch {
	case d.Op == decode.CVTSS2SI && wide:
		r, f = sse.CvtSS2SI64(uint32(v), k)
	case d.Op == decode.CVTSS2SI:
		r32, f = sse.CvtSS2SI32(uint32(v), k)
	case d.Op == decode.CVTTSS2SI && wide:
		r, f = sse.CvttSS2SI64(uint32(v), k)
	case d.Op == decode.CVTTSS2SI:
		r32, f = sse.CvttSS2SI32(uint32(v), k)
	case d.Op == decode.CVTSD2SI && wide:
		r, f = sse.CvtSD2SI64(v, k)
	case d.Op == decode.CVTSD2SI:
		r32, f = sse.CvtSD2SI32(v, k)
	case wide:
		r, f = sse.CvttSD2SI64(v, k)
	default:
		r32, f = sse.CvttSD2SI32(v, k)
	}
	if !c.accept(f) {
		return c.fault(in)
	}
	c.R[d.Args[0].Reg&15] = r | uint64(r32)
	return in.next
}

// cvtFromMMX is CVTPI2PS and CVTPI2PD, which touch no MMX state when their
// operand is memory, and otherwise do also when they raise #XM.
func cvtFromMMX(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	if !c.sseReady() || hasMMX(d) && !c.mmxReady() {
		return c.fault(in)
	}
	v, ok := c.low(in, 1)
	if !ok {
		return c.fault(in)
	}
	if hasMMX(d) {
		c.enterMMX()
	}
	x := &c.X[d.Args[0].Reg&15]
	if d.Op == decode.CVTPI2PD {
		*x = sse.CvtDQ2PD(v)
		return in.next
	}
	r, f := sse.CvtPI2PS(v, sse.Control(c.MXCSR))
	if !c.accept(f) {
		return c.fault(in)
	}
	x.Lo = r
	return in.next
}

func cvtToMMX(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	if !c.sseReady() || !c.mmxReady() {
		return c.fault(in)
	}
	in.unaligned = !aligned(d)
	var x XMM
	ok := true
	if a := &d.Args[1]; a.Kind == decode.KindXMM {
		x = c.X[a.Reg&15]
	} else {
		x, ok = c.loadOperand(in)
	}
	if !ok {
		return c.fault(in)
	}
	c.enterMMX() // even if #XM comes of it
	k := sse.Control(c.MXCSR)
	var r uint64
	var f sse.Flags
	switch d.Op {
	case decode.CVTPS2PI:
		r, f = sse.CvtPS2PI(x.Lo, k)
	case decode.CVTTPS2PI:
		r, f = sse.CvttPS2PI(x.Lo, k)
	case decode.CVTPD2PI:
		r, f = sse.CvtPD2DQ(x, k)
	default:
		r, f = sse.CvttPD2DQ(x, k)
	}
	if !c.accept(f) {
		return c.fault(in)
	}
	c.setMMX(d.Args[0].Reg, r)
	return in.next
}
