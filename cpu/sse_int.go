package cpu

import (
	"github.com/flipvisor/flipvisor/cpu/decode"
	"github.com/flipvisor/flipvisor/cpu/sse"
)

// sseIntBinders are the packed-integer instructions of MMX, SSE and SSE2.
var sseIntBinders = map[decode.Op]binder{
	decode.PADDB:     bindInt(sse.PADDB, sse.PADDB64),
	decode.PADDW:     bindInt(sse.PADDW, sse.PADDW64),
	decode.PADDD:     bindInt(sse.PADDD, sse.PADDD64),
	decode.PADDQ:     bindInt(sse.PADDQ, sse.PADDQ64),
	decode.PADDSB:    bindInt(sse.PADDSB, sse.PADDSB64),
	decode.PADDSW:    bindInt(sse.PADDSW, sse.PADDSW64),
	decode.PADDUSB:   bindInt(sse.PADDUSB, sse.PADDUSB64),
	decode.PADDUSW:   bindInt(sse.PADDUSW, sse.PADDUSW64),
	decode.PSUBB:     bindInt(sse.PSUBB, sse.PSUBB64),
	decode.PSUBW:     bindInt(sse.PSUBW, sse.PSUBW64),
	decode.PSUBD:     bindInt(sse.PSUBD, sse.PSUBD64),
	decode.PSUBQ:     bindInt(sse.PSUBQ, sse.PSUBQ64),
	decode.PSUBSB:    bindInt(sse.PSUBSB, sse.PSUBSB64),
	decode.PSUBSW:    bindInt(sse.PSUBSW, sse.PSUBSW64),
	decode.PSUBUSB:   bindInt(sse.PSUBUSB, sse.PSUBUSB64),
	decode.PSUBUSW:   bindInt(sse.PSUBUSW, sse.PSUBUSW64),
	decode.PMULLW:    bindInt(sse.PMULLW, sse.PMULLW64),
	decode.PMULHW:    bindInt(sse.PMULHW, sse.PMULHW64),
	decode.PMULHUW:   bindInt(sse.PMULHUW, sse.PMULHUW64),
	decode.PMULUDQ:   bindInt(sse.PMULUDQ, sse.PMULUDQ64),
	decode.PMADDWD:   bindInt(sse.PMADDWD, sse.PMADDWD64),
	decode.PSADBW:    bindInt(sse.PSADBW, sse.PSADBW64),
	decode.PAVGB:     bindInt(sse.PAVGB, sse.PAVGB64),
	decode.PAVGW:     bindInt(sse.PAVGW, sse.PAVGW64),
	decode.PMINUB:    bindInt(sse.PMINUB, sse.PMINUB64),
	decode.PMINSW:    bindInt(sse.PMINSW, sse.PMINSW64),
	decode.PMAXUB:    bindInt(sse.PMAXUB, sse.PMAXUB64),
	decode.PMAXSW:    bindInt(sse.PMAXSW, sse.PMAXSW64),
	decode.PCMPEQB:   bindInt(sse.PCMPEQB, sse.PCMPEQB64),
	decode.PCMPEQW:   bindInt(sse.PCMPEQW, sse.PCMPEQW64),
	decode.PCMPEQD:   bindInt(sse.PCMPEQD, sse.PCMPEQD64),
	decode.PCMPGTB:   bindInt(sse.PCMPGTB, sse.PCMPGTB64),
	decode.PCMPGTW:   bindInt(sse.PCMPGTW, sse.PCMPGTW64),
	decode.PCMPGTD:   bindInt(sse.PCMPGTD, sse.PCMPGTD64),
	decode.PACKSSWB:  bindInt(sse.PACKSSWB, sse.PACKSSWB64),
	decode.PACKSSDW:  bindInt(sse.PACKSSDW, sse.PACKSSDW64),
	decode.PACKUSWB:  bindInt(sse.PACKUSWB, sse.PACKUSWB64),
	decode.PUNPCKLBW: bindInt(sse.PUNPCKLBW, sse.PUNPCKLBW64),
	decode.PUNPCKLWD: bindInt(sse.PUNPCKLWD, sse.PUNPCKLWD64),
	decode.PUNPCKLDQ: bindInt(sse.PUNPCKLDQ, sse.PUNPCKLDQ64),
	decode.PUNPCKHBW: bindInt(sse.PUNPCKHBW, sse.PUNPCKHBW64),
	decode.PUNPCKHWD: bindInt(sse.PUNPCKHWD, sse.PUNPCKHWD64),
	decode.PUNPCKHDQ: bindInt(sse.PUNPCKHDQ, sse.PUNPCKHDQ64),

	decode.PUNPCKLQDQ: bindPure(sse.PUNPCKLQDQ),
	decode.PUNPCKHQDQ: bindPure(sse.PUNPCKHQDQ),

	decode.PSLLW: bindShiftX(sse.PSLLW, sse.PSLLW64),
	decode.PSLLD: bindShiftX(sse.PSLLD, sse.PSLLD64),
	decode.PSLLQ: bindShiftX(sse.PSLLQ, sse.PSLLQ64),
	decode.PSRLW: bindShiftX(sse.PSRLW, sse.PSRLW64),
	decode.PSRLD: bindShiftX(sse.PSRLD, sse.PSRLD64),
	decode.PSRLQ: bindShiftX(sse.PSRLQ, sse.PSRLQ64),
	decode.PSRAW: bindShiftX(sse.PSRAW, sse.PSRAW64),
	decode.PSRAD: bindShiftX(sse.PSRAD, sse.PSRAD64),

	decode.PSLLDQ: bindPureImmDest(sse.PSLLDQ),
	decode.PSRLDQ: bindPureImmDest(sse.PSRLDQ),

	decode.PSHUFD:  bindPureImm(func(_, s XMM, imm uint8) XMM { return sse.PSHUFD(s, imm) }),
	decode.PSHUFHW: bindPureImm(func(_, s XMM, imm uint8) XMM { return sse.PSHUFHW(s, imm) }),
	decode.PSHUFLW: bindPureImm(func(_, s XMM, imm uint8) XMM { return sse.PSHUFLW(s, imm) }),
	decode.PSHUFW:  fixed(pshufw),
	decode.SHUFPS:  bindPureImm(sse.SHUFPS),
	decode.SHUFPD:  bindPureImm(sse.SHUFPD),

	decode.UNPCKLPS: bindPure(sse.PUNPCKLDQ),
	decode.UNPCKHPS: bindPure(sse.PUNPCKHDQ),
	decode.UNPCKLPD: bindPure(sse.PUNPCKLQDQ),
	decode.UNPCKHPD: bindPure(sse.PUNPCKHQDQ),

	decode.PEXTRW:   fixed(pextrw),
	decode.PINSRW:   fixed(pinsrw),
	decode.PMOVMSKB: fixed(pmovmskb),

	decode.RCPPS:   bindPure(func(_, s XMM) XMM { return eachSingle(s, sse.Rcp32) }),
	decode.RSQRTPS: bindPure(func(_, s XMM) XMM { return eachSingle(s, sse.Rsqrt32) }),
	decode.RCPSS:   bindPure(func(d, s XMM) XMM { return lowSingle(d, sse.Rcp32(uint32(s.Lo))) }),
	decode.RSQRTSS: bindPure(func(d, s XMM) XMM { return lowSingle(d, sse.Rsqrt32(uint32(s.Lo))) }),
}

func eachSingle(s XMM, f func(uint32) uint32) XMM {
	two := func(v uint64) uint64 { return uint64(f(uint32(v))) | uint64(f(uint32(v>>32)))<<32 }
	return XMM{Lo: two(s.Lo), Hi: two(s.Hi)}
}

func lowSingle(d XMM, v uint32) XMM { return XMM{Lo: d.Lo&^mask(4) | uint64(v), Hi: d.Hi} }

// bindInt is a packed-integer operation in its XMM and MMX forms.
func bindInt(f func(d, s XMM) XMM, f64 func(d, s uint64) uint64) binder {
	wide := bindPure(f)
	return func(in *Inst, d *decode.Inst) handler {
		if d.Args[0].Kind != decode.KindMMX {
			return wide(in, d)
		}
		return func(c *CPU, in *Inst) *Inst {
			if !c.mmxReady() {
				return c.fault(in)
			}
			s, ok := c.low(in, 1)
			if !ok {
				return c.fault(in)
			}
			r := c.decoded(in).Args[0].Reg
			c.setMMX(r, f64(c.mmx(r), s))
			c.enterMMX()
			return in.next
		}
	}
}

// bindShiftX is a packed shift: by the low 64 bits of a register or memory,
// or by an immediate.
func bindShiftX(f func(d XMM, count uint64) XMM, f64 func(d, count uint64) uint64) binder {
	byOperand := bindInt(func(d, s XMM) XMM { return f(d, s.Lo) }, f64)
	return func(in *Inst, d *decode.Inst) handler {
		if d.Args[1].Kind != decode.KindImm {
			return byOperand(in, d)
		}
		n := uint64(uint8(d.Imm))
		if d.Args[0].Kind == decode.KindXMM {
			return bindPureImmDest(func(x XMM, _ uint8) XMM { return f(x, n) })(in, d)
		}
		return func(c *CPU, in *Inst) *Inst {
			if !c.mmxReady() {
				return c.fault(in)
			}
			r := c.decoded(in).Args[0].Reg
			c.setMMX(r, f64(c.mmx(r), n))
			c.enterMMX()
			return in.next
		}
	}
}

// bindPureImmDest is an operation on one register with an immediate byte.
func bindPureImmDest(f func(d XMM, imm uint8) XMM) binder {
	return func(in *Inst, d *decode.Inst) handler {
		in.dst, in.imm = d.Args[0].Reg&15, uint64(uint8(d.Imm))
		return func(c *CPU, in *Inst) *Inst {
			if c.sseOff {
				return c.sseUnavailable(in)
			}
			x := &c.X[in.dst&15]
			*x = f(*x, uint8(in.imm))
			return in.next
		}
	}
}

func pshufw(c *CPU, in *Inst) *Inst {
	if !c.mmxReady() {
		return c.fault(in)
	}
	s, ok := c.low(in, 1)
	if !ok {
		return c.fault(in)
	}
	d := c.decoded(in)
	c.setMMX(d.Args[0].Reg, sse.PSHUFW64(s, uint8(d.Imm)))
	c.enterMMX()
	return in.next
}

func pextrw(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	if !c.vectorReady(d) {
		return c.fault(in)
	}
	var v uint32
	if a := &d.Args[1]; a.Kind == decode.KindMMX {
		v = sse.PEXTRW64(c.mmx(a.Reg), uint8(d.Imm))
	} else {
		v = sse.PEXTRW(c.X[a.Reg&15], uint8(d.Imm))
	}
	if !c.setArg(in, 0, uint64(v)) {
		return c.fault(in)
	}
	return c.vectorDone(in, d)
}

func pinsrw(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	if !c.vectorReady(d) {
		return c.fault(in)
	}
	v, ok := c.arg(in, 1)
	if !ok {
		return c.fault(in)
	}
	if a := &d.Args[0]; a.Kind == decode.KindMMX {
		c.setMMX(a.Reg, sse.PINSRW64(c.mmx(a.Reg), uint32(v), uint8(d.Imm)))
	} else {
		c.X[a.Reg&15] = sse.PINSRW(c.X[a.Reg&15], uint32(v), uint8(d.Imm))
	}
	return c.vectorDone(in, d)
}

func pmovmskb(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	if !c.vectorReady(d) {
		return c.fault(in)
	}
	var v uint32
	if a := &d.Args[1]; a.Kind == decode.KindMMX {
		v = sse.PMOVMSKB64(c.mmx(a.Reg))
	} else {
		v = sse.PMOVMSKB(c.X[a.Reg&15])
	}
	c.R[d.Args[0].Reg&15] = uint64(v)
	return c.vectorDone(in, d)
}
