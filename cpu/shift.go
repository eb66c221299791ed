package cpu

import (
	"math/bits"

	"github.com/flipvisor/flipvisor/cpu/decode"
)

var shiftBinders = map[decode.Op]binder{
	decode.SHL:  bindShift(shl),
	decode.SHR:  bindShift(shr),
	decode.SAR:  bindShift(sar),
	decode.ROL:  bindShift(rol),
	decode.ROR:  bindShift(ror),
	decode.RCL:  bindShift(rcl),
	decode.RCR:  bindShift(rcr),
	decode.SHLD: fixed(shld),
	decode.SHRD: fixed(shrd),
	decode.SARX: fixed(shiftx),
	decode.SHLX: fixed(shiftx),
	decode.SHRX: fixed(shiftx),
	decode.RORX: fixed(rorx),
}

// shift computes a shift or rotate by n, already masked and not 0, and
// leaves the flags.
type shift func(s *State, v uint64, n uint, size int) uint64

// countMask masks a shift count for a width (SDM Vol. 2B, SAL/SAR/SHL/SHR).
func countMask(size int) uint64 {
	if size == 8 {
		return 63
	}
	return 31
}

func bindShift(f shift) binder {
	return func(in *Inst, d *decode.Inst) handler {
		a, b := &d.Args[0], &d.Args[1]
		size := int(a.Size)
		m := countMask(size)
		in.imm = uint64(d.Imm) & m
		byCL := b.Kind == decode.KindGPR
		if a.Kind == decode.KindMem {
			return func(c *CPU, in *Inst) *Inst {
				n := in.imm
				if byCL {
					n = c.R[RCX] & m
				}
				va := c.ea(in)
				v, ok := c.loadRMW(in, va, size)
				if !ok {
					return c.fault(in)
				}
				if n != 0 {
					v = f(&c.State, v, uint(n), size)
				}
				c.store(in, va, size, v)
				return in.next
			}
		}
		in.dst = regOf(a)
		if !byCL && in.imm == 0 {
			return func(c *CPU, in *Inst) *Inst {
				c.setReg(in.dst, size, c.reg(in.dst, size))
				return in.next
			}
		}
		if !byCL {
			if h := fastShift(d.Op, size); h != nil {
				return h
			}
			return func(c *CPU, in *Inst) *Inst {
				c.setReg(in.dst, size, f(&c.State, c.reg(in.dst, size), uint(in.imm), size))
				return in.next
			}
		}
		return func(c *CPU, in *Inst) *Inst {
			v := c.reg(in.dst, size)
			if n := c.R[RCX] & m; n != 0 {
				v = f(&c.State, v, uint(n), size)
			}
			c.setReg(in.dst, size, v)
			return in.next
		}
	}
}

// fastShift gives the forms that compilers emit most: a register by an
// immediate count that is not 0.
func fastShift(op decode.Op, size int) handler {
	switch {
	case op == decode.SHL && size == 8:
		return func(c *CPU, in *Inst) *Inst {
			p := &c.R[in.dst&31]
			v, n := *p, in.imm&63
			r := v << n
			*p = r
			c.setResultCFOF(r, v>>(64-n)&1, v>>(64-n)&1^r>>63)
			return in.next
		}
	case op == decode.SHL && size == 4:
		return func(c *CPU, in *Inst) *Inst {
			p := &c.R[in.dst&31]
			w := (*p & 0xffffffff) << (in.imm & 31)
			*p = w & 0xffffffff
			c.setResultCFOF(uint64(int64(int32(w))), w>>32&1, w>>32&1^w>>31&1)
			return in.next
		}
	case op == decode.SHR && size == 8:
		return func(c *CPU, in *Inst) *Inst {
			p := &c.R[in.dst&31]
			v, n := *p, in.imm&63
			*p = v >> n
			c.setResultCFOF(v>>n, v>>(n-1)&1, v>>63)
			return in.next
		}
	case op == decode.SHR && size == 4:
		return func(c *CPU, in *Inst) *Inst {
			p := &c.R[in.dst&31]
			v, n := *p&0xffffffff, in.imm&31
			*p = v >> n
			c.setResultCFOF(v>>n, v>>(n-1)&1, v>>31)
			return in.next
		}
	}
	return nil
}

// OF after a shift is defined for a count of 1 only; like Intel processors
// each operation computes the same expression for every count.

func shl(s *State, v uint64, n uint, size int) uint64 {
	w := uint(8 * size)
	r := v << n
	var cf uint64
	if n <= w {
		cf = v >> (w - n) & 1
	}
	s.setResultCFOF(signExtend(r, size), cf, cf^r>>(w-1)&1)
	return r
}

func shr(s *State, v uint64, n uint, size int) uint64 {
	w := uint(8 * size)
	r := v >> n
	s.setResultCFOF(signExtend(r, size), v>>(n-1)&1, v>>(w-1)&1)
	return r
}

func sar(s *State, v uint64, n uint, size int) uint64 {
	x := int64(signExtend(v, size))
	r := uint64(x >> n)
	s.setResultCFOF(r, uint64(x>>(n-1))&1, 0)
	return r
}

func rol(s *State, v uint64, n uint, size int) uint64 {
	w := uint(8 * size)
	k := n % w
	r := (v<<k | v>>(w-k)) & mask(size)
	s.setCFOF(r&1, r&1^r>>(w-1)&1)
	return r
}

func ror(s *State, v uint64, n uint, size int) uint64 {
	w := uint(8 * size)
	k := n % w
	r := (v>>k | v<<(w-k)) & mask(size)
	s.setCFOF(r>>(w-1)&1, r>>(w-1)&1^r>>(w-2)&1)
	return r
}

// rcl rotates through CF: by count modulo width+1.
func rcl(s *State, v uint64, n uint, size int) uint64 {
	w := uint(8 * size)
	cf := s.cfBit()
	for k := n % (w + 1); k > 0; k-- {
		v, cf = v<<1|cf, v>>(w-1)&1
		v &= mask(size)
	}
	s.setCFOF(cf, cf^v>>(w-1)&1)
	return v
}

func rcr(s *State, v uint64, n uint, size int) uint64 {
	w := uint(8 * size)
	cf := s.cfBit()
	for k := n % (w + 1); k > 0; k-- {
		v, cf = v>>1|cf<<(w-1), v&1
	}
	s.setCFOF(cf, v>>(w-1)&1^v>>(w-2)&1)
	return v
}

// doubleShift gives the operands of SHLD and SHRD.
func (c *CPU) doubleShift(in *Inst) (a, b uint64, n uint, size int, ok bool) {
	d := c.decoded(in)
	size = int(d.Args[0].Size)
	if a, ok = c.arg(in, 0); !ok {
		return
	}
	b, _ = c.arg(in, 1)
	k, _ := c.arg(in, 2)
	return a, b, uint(k & countMask(size)), size, true
}

// shld with a 16-bit operand and a count over 16 is undefined; Intel
// processors shift the destination in again behind the source.
func shld(c *CPU, in *Inst) *Inst {
	a, b, n, size, ok := c.doubleShift(in)
	if !ok {
		return c.fault(in)
	}
	if n == 0 {
		c.setArg(in, 0, a)
		return in.next
	}
	w := uint(8 * size)
	var r, cf uint64
	if n <= w {
		r = a<<n | b>>(w-n)
		cf = a >> (w - n) & 1
	} else {
		r = b<<(n-w) | a>>(2*w-n)
		cf = b >> (2*w - n) & 1
	}
	c.setResultCFOF(signExtend(r, size), cf, (r>>(w-1)^a>>(w-1))&1)
	c.setArg(in, 0, r&mask(size))
	return in.next
}

func shrd(c *CPU, in *Inst) *Inst {
	a, b, n, size, ok := c.doubleShift(in)
	if !ok {
		return c.fault(in)
	}
	if n == 0 {
		c.setArg(in, 0, a)
		return in.next
	}
	w := uint(8 * size)
	var r, cf uint64
	if n <= w {
		r = a>>n | b<<(w-n)
		cf = a >> (n - 1) & 1
	} else {
		r = b>>(n-w) | a<<(2*w-n)
		cf = b >> (n - w - 1) & 1
	}
	c.setResultCFOF(signExtend(r, size), cf, (r>>(w-1)^a>>(w-1))&1)
	c.setArg(in, 0, r&mask(size))
	return in.next
}

// shiftx is SARX, SHLX and SHRX: no flags.
func shiftx(c *CPU, in *Inst) *Inst {
	v, ok := c.arg(in, 1)
	if !ok {
		return c.fault(in)
	}
	d := c.decoded(in)
	size := int(d.Args[0].Size)
	k, _ := c.arg(in, 2)
	k &= countMask(size)
	switch d.Op {
	case decode.SHLX:
		v <<= k
	case decode.SHRX:
		v >>= k
	default:
		v = uint64(int64(signExtend(v, size)) >> k)
	}
	c.setArg(in, 0, v)
	return in.next
}

func rorx(c *CPU, in *Inst) *Inst {
	v, ok := c.arg(in, 1)
	if !ok {
		return c.fault(in)
	}
	k := int(c.decoded(in).Imm)
	if c.decoded(in).Args[0].Size == 8 {
		v = bits.RotateLeft64(v, -(k & 63))
	} else {
		v = uint64(bits.RotateLeft32(uint32(v), -(k & 31)))
	}
	c.setArg(in, 0, v)
	return in.next
}
