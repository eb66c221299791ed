package cpu

import (
	"math/bits"

	"github.com/flipvisor/flipvisor/cpu/decode"
)

var mulBinders = map[decode.Op]binder{
	decode.MUL:  fixed(mul),
	decode.IMUL: bindImul,
	decode.DIV:  fixed(div),
	decode.IDIV: fixed(idiv),
	decode.MULX: fixed(mulx),
	decode.AAA:  fixed(aaa),
	decode.AAS:  fixed(aaa),
	decode.AAM:  fixed(aam),
	decode.AAD:  fixed(aad),
	decode.DAA:  fixed(daa),
	decode.DAS:  fixed(daa),
}

// setMulFlags: CF and OF say that the upper half matters; SF, ZF, AF and PF
// are undefined. Intel processors derive SF and PF from the low half.
func (s *State) setMulFlags(low uint64, size int, over bool) {
	s.setLogicSized(low, size)
	if over {
		s.flagCarry = carryCF
	}
	if s.zf() {
		s.setStatus(s.flags() &^ FlagZF)
	}
}

// setWide writes a double-width result to rDX:rAX, or AX for bytes.
func (c *CPU) setWide(lo, hi uint64, size int) {
	if size == 1 {
		c.setReg16(RAX, lo&0xff|hi<<8)
		return
	}
	c.setReg(RAX, size, lo)
	c.setReg(RDX, size, hi)
}

func mul(c *CPU, in *Inst) *Inst {
	b, ok := c.arg(in, 0)
	if !ok {
		return c.fault(in)
	}
	size := int(c.decoded(in).Args[0].Size)
	a := c.reg(RAX, size)
	hi, lo := bits.Mul64(a, b)
	if size < 8 {
		hi = lo >> (8 * size)
	}
	c.setMulFlags(lo&mask(size), size, hi != 0)
	c.setWide(lo&mask(size), hi, size)
	return in.next
}

func bindImul(in *Inst, d *decode.Inst) handler {
	if d.Args[1].Kind == decode.KindNone {
		return imul1
	}
	if d.Args[0].Size == 8 && d.Args[1].Kind == decode.KindGPR && d.Args[2].Kind == decode.KindNone {
		in.dst, in.src = d.Args[0].Reg, d.Args[1].Reg
		return imulReg64
	}
	return imul
}

func imul1(c *CPU, in *Inst) *Inst {
	b, ok := c.arg(in, 0)
	if !ok {
		return c.fault(in)
	}
	size := int(c.decoded(in).Args[0].Size)
	lo, hi := mulSigned(c.reg(RAX, size), b, size)
	c.setMulFlags(lo, size, hi != uint64(int64(signExtend(lo, size))>>63)&mask(size))
	c.setWide(lo, hi, size)
	return in.next
}

// mulSigned is the signed product of two values of a width, by halves.
func mulSigned(a, b uint64, size int) (lo, hi uint64) {
	x, y := signExtend(a, size), signExtend(b, size)
	hi, lo = bits.Mul64(x, y)
	hi -= uint64(int64(x)>>63)&y + uint64(int64(y)>>63)&x
	if size < 8 {
		hi = lo >> (8 * size)
	}
	return lo & mask(size), hi & mask(size)
}

// imul with two or three operands.
func imul(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	i, j := 0, 1
	if d.Args[2].Kind != decode.KindNone {
		i, j = 1, 2
	}
	a, ok := c.arg(in, i)
	if !ok {
		return c.fault(in)
	}
	b, ok := c.arg(in, j)
	if !ok {
		return c.fault(in)
	}
	size := int(d.Args[0].Size)
	lo, hi := mulSigned(a, b, size)
	c.setMulFlags(lo, size, hi != uint64(int64(signExtend(lo, size))>>63)&mask(size))
	c.setArg(in, 0, lo)
	return in.next
}

func imulReg64(c *CPU, in *Inst) *Inst {
	p := &c.R[in.dst&31]
	x, y := *p, c.R[in.src&31]
	hi, lo := bits.Mul64(x, y)
	hi -= uint64(int64(x)>>63)&y + uint64(int64(y)>>63)&x
	*p = lo
	c.setMulFlags(lo, 8, hi != uint64(int64(lo)>>63))
	return in.next
}

func div(c *CPU, in *Inst) *Inst {
	b, ok := c.arg(in, 0)
	if !ok {
		return c.fault(in)
	}
	size := int(c.decoded(in).Args[0].Size)
	lo, hi := c.reg(RAX, size), c.reg(RDX, size)
	if size == 1 {
		lo, hi = c.R[RAX]&0xff, c.R[RAX]>>8&0xff
	}
	if b == 0 || hi >= b {
		return c.raise(in, VectorDE)
	}
	var q, r uint64
	if size == 8 {
		q, r = bits.Div64(hi, lo, b)
	} else {
		n := hi<<(8*size) | lo
		q, r = n/b, n%b
	}
	c.setWide(q, r, size)
	return in.next
}

func idiv(c *CPU, in *Inst) *Inst {
	b, ok := c.arg(in, 0)
	if !ok {
		return c.fault(in)
	}
	size := int(c.decoded(in).Args[0].Size)
	lo, hi := c.reg(RAX, size), c.reg(RDX, size)
	if size == 1 {
		lo, hi = c.R[RAX]&0xff, c.R[RAX]>>8&0xff
	}
	// Work on magnitudes; the quotient's sign is the product of the signs,
	// the remainder's is the dividend's.
	negN := hi>>(8*size-1)&1 != 0
	d := int64(signExtend(b, size))
	m := uint64(d)
	if d < 0 {
		m = -m
	}
	var q, r uint64
	if size == 8 {
		if negN {
			lo = -lo
			hi = ^hi
			if lo == 0 {
				hi++
			}
		}
		if m == 0 || hi >= m {
			return c.raise(in, VectorDE)
		}
		q, r = bits.Div64(hi, lo, m)
	} else {
		n := signExtend(hi<<(8*size)|lo, 2*size)
		if negN {
			n = -n
		}
		if m == 0 {
			return c.raise(in, VectorDE)
		}
		q, r = n/m, n%m
	}
	limit := uint64(1) << (8*size - 1)
	neg := negN != (d < 0)
	if neg && q > limit || !neg && q >= limit {
		return c.raise(in, VectorDE)
	}
	if neg {
		q = -q
	}
	if negN {
		r = -r
	}
	c.setWide(q&mask(size), r&mask(size), size)
	return in.next
}

func mulx(c *CPU, in *Inst) *Inst {
	b, ok := c.arg(in, 2)
	if !ok {
		return c.fault(in)
	}
	size := int(c.decoded(in).Args[0].Size)
	hi, lo := bits.Mul64(c.reg(RDX, size), b)
	if size == 4 {
		hi = lo >> 32
	}
	c.setArg(in, 1, lo)
	c.setArg(in, 0, hi)
	return in.next
}

// Decimal adjustments (SDM Vol. 2A). OF after AAA, AAS, DAA and DAS is
// undefined and left clear here.

func (c *CPU) setDecimal(al uint64, cf, af bool) {
	c.setLogicSized(al&0xff, 1)
	f := c.flags() &^ (FlagCF | FlagAF)
	if cf {
		f |= FlagCF
	}
	if af {
		f |= FlagAF
	}
	c.setStatus(f)
}

// aaa is AAA and AAS.
func aaa(c *CPU, in *Inst) *Inst {
	adjust := c.R[RAX]&0xf > 9 || c.af()
	ax := c.R[RAX] & 0xffff
	if adjust {
		if c.decoded(in).Op == decode.AAA {
			ax += 0x106
		} else {
			ax -= 0x106
		}
	}
	c.setReg16(RAX, ax&0xff0f)
	c.setDecimal(ax&0xf, adjust, adjust)
	return in.next
}

func aam(c *CPU, in *Inst) *Inst {
	n := uint64(c.decoded(in).Imm) & 0xff
	if n == 0 {
		return c.raise(in, VectorDE)
	}
	al := c.R[RAX] & 0xff
	c.setReg16(RAX, al/n<<8|al%n)
	c.setLogicSized(al%n, 1)
	return in.next
}

func aad(c *CPU, in *Inst) *Inst {
	n := uint64(c.decoded(in).Imm) & 0xff
	al := (c.R[RAX]&0xff + c.R[RAX]>>8&0xff*n) & 0xff
	c.setReg16(RAX, al)
	c.setLogicSized(al, 1)
	return in.next
}

// daa is DAA and DAS.
func daa(c *CPU, in *Inst) *Inst {
	al := c.R[RAX] & 0xff
	low := al&0xf > 9 || c.af()
	high := al > 0x99 || c.cf()
	cf := high
	var fix uint64
	if low {
		fix = 6
	}
	if c.decoded(in).Op == decode.DAA {
		if high {
			fix += 0x60
		}
		al += fix
	} else {
		cf = cf || low && al < 6
		if high {
			fix += 0x60
		}
		al -= fix
	}
	c.setReg8(RAX, al)
	c.setDecimal(al, cf, low)
	return in.next
}
