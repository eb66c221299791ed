package cpu

import (
	"github.com/flipvisor/flipvisor/cpu/decode"
	"github.com/flipvisor/flipvisor/cpu/sse"
)

// sseExtBinders are what SSE3, SSSE3, SSE4.1 and SSE4.2 added. LDDQU is with
// the moves, CRC32 and POPCNT with the general registers.
var sseExtBinders = map[decode.Op]binder{
	// SSE3
	decode.ADDSUBPS: bindPacked(sse.AddsubPS),
	decode.ADDSUBPD: bindPacked(sse.AddsubPD),
	decode.HADDPS:   bindPacked(sse.HaddPS),
	decode.HADDPD:   bindPacked(sse.HaddPD),
	decode.HSUBPS:   bindPacked(sse.HsubPS),
	decode.HSUBPD:   bindPacked(sse.HsubPD),
	decode.MOVDDUP:  bindPure(func(_, s XMM) XMM { return sse.MOVDDUP(s.Lo) }),
	decode.MOVSLDUP: bindPure(func(_, s XMM) XMM { return sse.MOVSLDUP(s) }),
	decode.MOVSHDUP: bindPure(func(_, s XMM) XMM { return sse.MOVSHDUP(s) }),

	// SSSE3
	decode.PSHUFB:    bindInt(sse.PSHUFB, sse.PSHUFB64),
	decode.PHADDW:    bindInt(sse.PHADDW, sse.PHADDW64),
	decode.PHADDD:    bindInt(sse.PHADDD, sse.PHADDD64),
	decode.PHADDSW:   bindInt(sse.PHADDSW, sse.PHADDSW64),
	decode.PHSUBW:    bindInt(sse.PHSUBW, sse.PHSUBW64),
	decode.PHSUBD:    bindInt(sse.PHSUBD, sse.PHSUBD64),
	decode.PHSUBSW:   bindInt(sse.PHSUBSW, sse.PHSUBSW64),
	decode.PMADDUBSW: bindInt(sse.PMADDUBSW, sse.PMADDUBSW64),
	decode.PMULHRSW:  bindInt(sse.PMULHRSW, sse.PMULHRSW64),
	decode.PSIGNB:    bindInt(sse.PSIGNB, sse.PSIGNB64),
	decode.PSIGNW:    bindInt(sse.PSIGNW, sse.PSIGNW64),
	decode.PSIGND:    bindInt(sse.PSIGND, sse.PSIGND64),
	decode.PABSB:     bindIntUnary(sse.PABSB, sse.PABSB64),
	decode.PABSW:     bindIntUnary(sse.PABSW, sse.PABSW64),
	decode.PABSD:     bindIntUnary(sse.PABSD, sse.PABSD64),
	decode.PALIGNR:   bindPALIGNR,

	// SSE4.1, integers
	decode.PMULLD:     bindPure(sse.PMULLD),
	decode.PMULDQ:     bindPure(sse.PMULDQ),
	decode.PMINSB:     bindPure(sse.PMINSB),
	decode.PMAXSB:     bindPure(sse.PMAXSB),
	decode.PMINUW:     bindPure(sse.PMINUW),
	decode.PMAXUW:     bindPure(sse.PMAXUW),
	decode.PMINSD:     bindPure(sse.PMINSD),
	decode.PMAXSD:     bindPure(sse.PMAXSD),
	decode.PMINUD:     bindPure(sse.PMINUD),
	decode.PMAXUD:     bindPure(sse.PMAXUD),
	decode.PCMPEQQ:    bindPure(sse.PCMPEQQ),
	decode.PACKUSDW:   bindPure(sse.PACKUSDW),
	decode.PHMINPOSUW: bindPure(func(_, s XMM) XMM { return sse.PHMINPOSUW(s) }),
	decode.MPSADBW:    bindPureImm(sse.MPSADBW),
	decode.MOVNTDQA:   bindMoveX,
	decode.PTEST:      fixed(ptest),

	decode.PMOVSXBW: bindExtend(sse.PMOVSXBW), decode.PMOVZXBW: bindExtend(sse.PMOVZXBW),
	decode.PMOVSXBD: bindExtend(sse.PMOVSXBD), decode.PMOVZXBD: bindExtend(sse.PMOVZXBD),
	decode.PMOVSXBQ: bindExtend(sse.PMOVSXBQ), decode.PMOVZXBQ: bindExtend(sse.PMOVZXBQ),
	decode.PMOVSXWD: bindExtend(sse.PMOVSXWD), decode.PMOVZXWD: bindExtend(sse.PMOVZXWD),
	decode.PMOVSXWQ: bindExtend(sse.PMOVSXWQ), decode.PMOVZXWQ: bindExtend(sse.PMOVZXWQ),
	decode.PMOVSXDQ: bindExtend(sse.PMOVSXDQ), decode.PMOVZXDQ: bindExtend(sse.PMOVZXDQ),

	decode.PEXTRB:    fixed(extract),
	decode.PEXTRD:    fixed(extract),
	decode.PEXTRQ:    fixed(extract),
	decode.EXTRACTPS: fixed(extract),
	decode.PINSRB:    fixed(insert),
	decode.PINSRD:    fixed(insert),
	decode.PINSRQ:    fixed(insert),
	decode.INSERTPS:  bindINSERTPS,

	// SSE4.1, blends and floating point
	decode.PBLENDW:  bindPureImm(sse.PBLENDW),
	decode.BLENDPS:  bindPureImm(sse.BLENDPS),
	decode.BLENDPD:  bindPureImm(sse.BLENDPD),
	decode.PBLENDVB: bindBlend(sse.PBLENDVB),
	decode.BLENDVPS: bindBlend(sse.BLENDVPS),
	decode.BLENDVPD: bindBlend(sse.BLENDVPD),
	decode.DPPS:     bindPackedImm(sse.DotPS),
	decode.DPPD:     bindPackedImm(sse.DotPD),
	decode.ROUNDPS:  bindPackedImm(func(_, s XMM, imm uint8, k sse.Control) (XMM, sse.Flags) { return sse.RoundPS(s, imm, k) }),
	decode.ROUNDPD:  bindPackedImm(func(_, s XMM, imm uint8, k sse.Control) (XMM, sse.Flags) { return sse.RoundPD(s, imm, k) }),
	decode.ROUNDSS: bindPackedImm(func(d, s XMM, imm uint8, k sse.Control) (XMM, sse.Flags) {
		v, f := sse.Round32(uint32(s.Lo), imm, k)
		return lowSingle(d, v), f
	}),
	decode.ROUNDSD: bindPackedImm(func(d, s XMM, imm uint8, k sse.Control) (XMM, sse.Flags) {
		v, f := sse.Round64(s.Lo, imm, k)
		return XMM{Lo: v, Hi: d.Hi}, f
	}),

	// SSE4.2
	decode.PCMPGTQ:   bindPure(sse.PCMPGTQ),
	decode.PCMPESTRI: fixed(compareStrings),
	decode.PCMPESTRM: fixed(compareStrings),
	decode.PCMPISTRI: fixed(compareStrings),
	decode.PCMPISTRM: fixed(compareStrings),
}

// bindIntUnary is an operation on the source alone, in XMM and MMX forms.
func bindIntUnary(f func(s XMM) XMM, f64 func(s uint64) uint64) binder {
	return bindInt(func(_, s XMM) XMM { return f(s) }, func(_, s uint64) uint64 { return f64(s) })
}

func bindPALIGNR(in *Inst, d *decode.Inst) handler {
	n := uint8(d.Imm)
	return bindInt(
		func(d, s XMM) XMM { return sse.PALIGNR(d, s, n) },
		func(d, s uint64) uint64 { return sse.PALIGNR64(d, s, n) })(in, d)
}

// bindExtend widens the lowest elements of the source.
func bindExtend(f func(s uint64) XMM) binder {
	return bindPure(func(_, s XMM) XMM { return f(s.Lo) })
}

// bindBlend is a blend by the mask in XMM0.
func bindBlend(f func(d, s, mask XMM) XMM) binder {
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
			*x = f(*x, s, c.X[0])
			return in.next
		}
	}
}

// bindPackedImm is bindPacked with an immediate byte.
func bindPackedImm(f func(d, s XMM, imm uint8, k sse.Control) (XMM, sse.Flags)) binder {
	return func(in *Inst, d *decode.Inst) handler {
		imm := uint8(d.Imm)
		return bindPacked(func(d, s XMM, k sse.Control) (XMM, sse.Flags) { return f(d, s, imm, k) })(in, d)
	}
}

// bindINSERTPS: a register source gives the single that the immediate
// chooses, a memory source is that single.
func bindINSERTPS(in *Inst, d *decode.Inst) handler {
	imm := uint8(d.Imm)
	from := imm >> 6
	if d.Args[1].Kind == decode.KindMem {
		from = 0
	}
	return bindPure(func(d, s XMM) XMM { return sse.INSERTPS(d, sse.PEXTRD(s, from), imm) })(in, d)
}

func ptest(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	if c.sseOff {
		return c.sseUnavailable(in)
	}
	s, ok := c.vectorArg(in, d, 1)
	if !ok {
		return c.fault(in)
	}
	c.setStatus(uint64(sse.PTEST(c.X[d.Args[0].Reg&15], s)))
	return in.next
}

// vectorArg reads operand i of 16 bytes, a register or memory.
func (c *CPU) vectorArg(in *Inst, d *decode.Inst, i int) (XMM, bool) {
	if a := &d.Args[i]; a.Kind == decode.KindXMM {
		return c.X[a.Reg&15], true
	}
	in.unaligned = !aligned(d)
	return c.loadOperand(in)
}

// extract is PEXTRB, PEXTRD, PEXTRQ and EXTRACTPS.
func extract(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	if c.sseOff {
		return c.sseUnavailable(in)
	}
	x, imm := c.X[d.Args[1].Reg&15], uint8(d.Imm)
	var v uint64
	switch d.Op {
	case decode.PEXTRB:
		v = uint64(sse.PEXTRB(x, imm))
	case decode.PEXTRQ:
		v = sse.PEXTRQ(x, imm)
	default:
		v = uint64(sse.PEXTRD(x, imm))
	}
	if !c.setArg(in, 0, v) {
		return c.fault(in)
	}
	return in.next
}

// insert is PINSRB, PINSRD and PINSRQ.
func insert(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	if c.sseOff {
		return c.sseUnavailable(in)
	}
	v, ok := c.arg(in, 1)
	if !ok {
		return c.fault(in)
	}
	x, imm := &c.X[d.Args[0].Reg&15], uint8(d.Imm)
	switch d.Op {
	case decode.PINSRB:
		*x = sse.PINSRB(*x, uint32(v), imm)
	case decode.PINSRQ:
		*x = sse.PINSRQ(*x, v, imm)
	default:
		*x = sse.PINSRD(*x, uint32(v), imm)
	}
	return in.next
}

// compareStrings is PCMPESTRI, PCMPESTRM, PCMPISTRI and PCMPISTRM.
func compareStrings(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	if c.sseOff {
		return c.sseUnavailable(in)
	}
	s, ok := c.vectorArg(in, d, 1)
	if !ok {
		return c.fault(in)
	}
	x, imm := c.X[d.Args[0].Reg&15], uint8(d.Imm)
	nx, ns := sse.ImplicitLength(x, imm), sse.ImplicitLength(s, imm)
	if d.Op == decode.PCMPESTRI || d.Op == decode.PCMPESTRM {
		size := 4
		if d.OpSize == 8 {
			size = 8
		}
		nx = sse.ExplicitLength(int64(signExtend(c.R[RAX], size)), imm)
		ns = sse.ExplicitLength(int64(signExtend(c.R[RDX], size)), imm)
	}
	result, eflags := sse.CompareStrings(x, s, nx, ns, imm)
	if d.Op == decode.PCMPESTRI || d.Op == decode.PCMPISTRI {
		c.R[RCX] = uint64(sse.StringIndex(result, imm))
	} else {
		c.X[0] = sse.StringMask(result, imm)
	}
	c.setStatus(uint64(eflags))
	return in.next
}
