package cpu

import (
	"hash/crc32"
	"math/bits"

	"github.com/flipvisor/flipvisor/cpu/decode"
)

var bitBinders = map[decode.Op]binder{
	decode.BT:     fixed(bitTest),
	decode.BTS:    fixed(bitTest),
	decode.BTR:    fixed(bitTest),
	decode.BTC:    fixed(bitTest),
	decode.BSF:    fixed(bitScan),
	decode.BSR:    fixed(bitScan),
	decode.TZCNT:  fixed(zeroCount),
	decode.LZCNT:  fixed(zeroCount),
	decode.POPCNT: fixed(popcnt),
	decode.CRC32:  fixed(crc32c),
	decode.ANDN:   fixed(andn),
	decode.BEXTR:  fixed(bextr),
	decode.BLSI:   fixed(lowest),
	decode.BLSMSK: fixed(lowest),
	decode.BLSR:   fixed(lowest),
	decode.BZHI:   fixed(bzhi),
	decode.PDEP:   fixed(pdep),
	decode.PEXT:   fixed(pext),
	decode.ADCX:   fixed(adcx),
	decode.ADOX:   fixed(adcx),
}

// bitTest: with a register bit offset the memory operand is the word that
// holds the bit, anywhere in reach of a signed offset (SDM Vol. 2A, BT).
func bitTest(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	a := &d.Args[0]
	size := int(a.Size)
	offset, _ := c.arg(in, 1)
	n := offset & uint64(8*size-1)
	var v, va uint64
	if a.Kind == decode.KindMem {
		o := c.offsetOf(in)
		if d.Args[1].Kind == decode.KindGPR {
			step := int64(signExtend(offset, size)) >> (3 + log2(a.Size)) * int64(size)
			o = (o + uint64(step)) & mask(int(d.AddrSize))
		}
		va = c.linear(in.seg, o, uint64(size), d.Op != decode.BT)
		var ok bool
		if d.Op == decode.BT {
			v, ok = c.load(in, va, size)
		} else {
			v, ok = c.loadRMW(in, va, size)
		}
		if !ok {
			return c.fault(in)
		}
	} else {
		v = c.reg(regOf(a), size)
	}
	cf := v>>n&1 != 0
	switch d.Op {
	case decode.BTS:
		v |= 1 << n
	case decode.BTR:
		v &^= 1 << n
	case decode.BTC:
		v ^= 1 << n
	}
	c.setCF(cf)
	if d.Op != decode.BT {
		if a.Kind == decode.KindMem {
			c.store(in, va, size, v)
		} else {
			c.setReg(regOf(a), size, v)
		}
	}
	return in.next
}

// bitScan leaves the destination alone when the source is 0, as processors
// do where the manual says undefined.
func bitScan(c *CPU, in *Inst) *Inst {
	v, ok := c.arg(in, 1)
	if !ok {
		return c.fault(in)
	}
	d := c.decoded(in)
	f := c.flags() &^ FlagZF
	switch {
	case v == 0:
		f |= FlagZF
	case d.Op == decode.BSF:
		c.setArg(in, 0, uint64(bits.TrailingZeros64(v)))
	default:
		c.setArg(in, 0, uint64(63-bits.LeadingZeros64(v)))
	}
	c.setStatus(f)
	return in.next
}

func zeroCount(c *CPU, in *Inst) *Inst {
	v, ok := c.arg(in, 1)
	if !ok {
		return c.fault(in)
	}
	d := c.decoded(in)
	w := 8 * int(d.Args[1].Size)
	n := bits.LeadingZeros64(v) - (64 - w)
	if d.Op == decode.TZCNT {
		n = min(bits.TrailingZeros64(v), w)
	}
	f := c.flags() &^ (FlagCF | FlagZF)
	if v == 0 {
		f |= FlagCF
	}
	if n == 0 {
		f |= FlagZF
	}
	c.setStatus(f)
	c.setArg(in, 0, uint64(n))
	return in.next
}

func popcnt(c *CPU, in *Inst) *Inst {
	v, ok := c.arg(in, 1)
	if !ok {
		return c.fault(in)
	}
	var f uint64
	if v == 0 {
		f = FlagZF
	}
	c.setStatus(f)
	c.setArg(in, 0, uint64(bits.OnesCount64(v)))
	return in.next
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// crc32c: the instruction has no inversion before and after, unlike the
// checksum built on it.
func crc32c(c *CPU, in *Inst) *Inst {
	v, ok := c.arg(in, 1)
	if !ok {
		return c.fault(in)
	}
	d := c.decoded(in)
	var b [8]byte
	le.PutUint64(b[:], v)
	c.setReg(d.Args[0].Reg, 8, uint64(^crc32.Update(^uint32(c.R[d.Args[0].Reg]), castagnoli, b[:d.Args[1].Size])))
	return in.next
}

func andn(c *CPU, in *Inst) *Inst {
	a, _ := c.arg(in, 1)
	b, ok := c.arg(in, 2)
	if !ok {
		return c.fault(in)
	}
	size := int(c.decoded(in).Args[0].Size)
	r := ^a & b & mask(size)
	c.setLogicSized(r, size)
	c.setArg(in, 0, r)
	return in.next
}

func bextr(c *CPU, in *Inst) *Inst {
	v, ok := c.arg(in, 1)
	if !ok {
		return c.fault(in)
	}
	k, _ := c.arg(in, 2)
	start, n := k&0xff, k>>8&0xff
	var r uint64
	if start < 64 {
		r = v >> start
	}
	if n < 64 {
		r &= 1<<n - 1
	}
	c.setArg(in, 0, r)
	var f uint64
	if r == 0 {
		f = FlagZF
	}
	c.setStatus(f)
	return in.next
}

// lowest is BLSI, BLSMSK and BLSR.
func lowest(c *CPU, in *Inst) *Inst {
	v, ok := c.arg(in, 1)
	if !ok {
		return c.fault(in)
	}
	d := c.decoded(in)
	size := int(d.Args[0].Size)
	var r uint64
	cf := v == 0
	switch d.Op {
	case decode.BLSI:
		r, cf = v&-v, v != 0
	case decode.BLSMSK:
		r = v ^ (v - 1)
	default:
		r = v & (v - 1)
	}
	r &= mask(size)
	c.setLogicSized(r, size)
	c.setCF(cf)
	if d.Op == decode.BLSMSK {
		c.setStatus(c.flags() &^ FlagZF)
	}
	c.setArg(in, 0, r)
	return in.next
}

func bzhi(c *CPU, in *Inst) *Inst {
	v, ok := c.arg(in, 1)
	if !ok {
		return c.fault(in)
	}
	size := int(c.decoded(in).Args[0].Size)
	k, _ := c.arg(in, 2)
	n := k & 0xff
	over := n >= uint64(8*size)
	if !over {
		v &= 1<<n - 1
	}
	c.setLogicSized(v, size)
	c.setCF(over)
	c.setArg(in, 0, v)
	return in.next
}

func pdep(c *CPU, in *Inst) *Inst {
	m, ok := c.arg(in, 2)
	if !ok {
		return c.fault(in)
	}
	v, _ := c.arg(in, 1)
	var r uint64
	for ; m != 0; m &= m - 1 {
		if v&1 != 0 {
			r |= m & -m
		}
		v >>= 1
	}
	c.setArg(in, 0, r)
	return in.next
}

func pext(c *CPU, in *Inst) *Inst {
	m, ok := c.arg(in, 2)
	if !ok {
		return c.fault(in)
	}
	v, _ := c.arg(in, 1)
	var r uint64
	for k := 0; m != 0; m &= m - 1 {
		if v&(m&-m) != 0 {
			r |= 1 << k
		}
		k++
	}
	c.setArg(in, 0, r)
	return in.next
}

// adcx adds with CF, adox with OF; neither touches any other flag.
func adcx(c *CPU, in *Inst) *Inst {
	b, ok := c.arg(in, 1)
	if !ok {
		return c.fault(in)
	}
	a, _ := c.arg(in, 0)
	d := c.decoded(in)
	flag := uint64(FlagCF)
	if d.Op == decode.ADOX {
		flag = FlagOF
	}
	f := c.flags()
	var carry uint64
	if f&flag != 0 {
		carry = 1
	}
	r, out := bits.Add64(a, b, carry)
	if d.Args[0].Size == 4 {
		out = r >> 32
	}
	f &^= flag
	if out != 0 {
		f |= flag
	}
	c.setStatus(f)
	c.setArg(in, 0, r)
	return in.next
}
