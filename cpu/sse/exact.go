package sse

import "math/bits"

// The exact path: each operation classifies its operands, computes the exact
// result as a number and a sticky bit, and rounds it once.

func (f *format) add(a, b uint64, c Control) (uint64, Flags) {
	if f.isNaN(a) || f.isNaN(b) {
		return f.nan(a, b)
	}
	if f.isInf(a) && f.isInf(b) && a != b {
		return f.indefinite(), IE
	}
	a, b, flags := f.readBoth(a, b, c)
	switch {
	case c.stops(flags):
		return 0, flags
	case f.isInf(a):
		return a, flags
	case f.isInf(b):
		return b, flags
	case f.isZero(a) && f.isZero(b):
		if a == b {
			return a, flags
		}
		return f.signOf(c.RC() == Down), flags
	case f.isZero(a):
		return f.rounded(f.unpack(b), false, flags, c)
	case f.isZero(b):
		return f.rounded(f.unpack(a), false, flags, c)
	}

	x, y := f.unpack(a), f.unpack(b)
	if y.exp > x.exp || y.exp == x.exp && y.sig > x.sig {
		x, y = y, x
	}
	// One bit of headroom for the carry; the significands end far above it.
	x.exp++
	x.sig >>= 1
	hi, lo := shiftRightJam(y.sig>>1, uint(x.exp-1-y.exp))
	if x.neg == y.neg {
		hi += x.sig
	} else {
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(x.sig, hi, borrow)
	}
	if hi|lo == 0 {
		return f.signOf(c.RC() == Down), flags
	}
	x.sig = hi
	return f.normalised(x, lo, flags, c)
}

func (f *format) sub(a, b uint64, c Control) (uint64, Flags) {
	if f.isNaN(a) || f.isNaN(b) {
		return f.nan(a, b) // the payload keeps the sign it came with
	}
	return f.add(a, b^f.sign, c)
}

func (f *format) mul(a, b uint64, c Control) (uint64, Flags) {
	if f.isNaN(a) || f.isNaN(b) {
		return f.nan(a, b)
	}
	sign := (a ^ b) & f.sign
	a, b, flags := f.readBoth(a, b, c)
	if f.isInf(a) && f.isZero(b) || f.isZero(a) && f.isInf(b) {
		return f.indefinite(), IE
	}
	switch {
	case c.stops(flags):
		return 0, flags
	case f.isInf(a) || f.isInf(b):
		return sign | f.inf, flags
	case f.isZero(a) || f.isZero(b):
		return sign, flags
	}
	x, y := f.unpack(a), f.unpack(b)
	hi, lo := bits.Mul64(x.sig, y.sig)
	return f.normalised(number{sign != 0, x.exp + y.exp + 1, hi}, lo, flags, c)
}

func (f *format) div(a, b uint64, c Control) (uint64, Flags) {
	if f.isNaN(a) || f.isNaN(b) {
		return f.nan(a, b)
	}
	sign := (a ^ b) & f.sign
	a, b, flags := f.readBoth(a, b, c)
	switch {
	case f.isInf(a) && f.isInf(b) || f.isZero(a) && f.isZero(b):
		return f.indefinite(), IE
	case f.isZero(b) && !f.isInf(a):
		return sign | f.inf, ZE
	case c.stops(flags):
		return 0, flags
	case f.isInf(a):
		return sign | f.inf, flags
	case f.isInf(b) || f.isZero(a):
		return sign, flags
	}
	x, y := f.unpack(a), f.unpack(b)
	quotient, rest := bits.Div64(x.sig>>1, 0, y.sig)
	return f.normalised(number{sign != 0, x.exp - y.exp, quotient}, rest, flags, c)
}

func (f *format) sqrt(a uint64, c Control) (uint64, Flags) {
	if f.isNaN(a) {
		return f.nan(a, a)
	}
	a, flags := f.read(a, c)
	switch {
	case f.isZero(a):
		return a, flags
	case a&f.sign != 0:
		return f.indefinite(), IE
	case c.stops(flags):
		return 0, flags
	case f.isInf(a):
		return a, flags
	}
	x := f.unpack(a)
	// The radicand is hi:lo × 2^-126 × 2^exp with exp even, its root has 64 bits.
	hi, lo := x.sig, uint64(0)
	if x.exp&1 == 0 {
		hi, lo = x.sig>>1, x.sig<<63
	}
	root, exact := sqrt128(hi, lo)
	return f.rounded(number{false, x.exp >> 1, root}, !exact, flags, c)
}

// sqrt128 is the integer square root of hi:lo, bit by bit.
func sqrt128(hi, lo uint64) (root uint64, exact bool) {
	for bit := uint64(1) << 63; bit != 0; bit >>= 1 {
		try := root | bit
		h, l := bits.Mul64(try, try)
		if h < hi || h == hi && l <= lo {
			root = try
		}
	}
	h, l := bits.Mul64(root, root)
	return root, h == hi && l == lo
}

// readBoth reads both operands; see read.
func (f *format) readBoth(a, b uint64, c Control) (uint64, uint64, Flags) {
	a, fa := f.read(a, c)
	b, fb := f.read(b, c)
	return a, b, fa | fb
}

// normalised rounds n, whose significand may lack its top bits and continues
// in lo.
func (f *format) normalised(n number, lo uint64, flags Flags, c Control) (uint64, Flags) {
	if n.sig == 0 {
		n.sig, lo = lo, 0
		n.exp -= 64
	}
	shift := uint(bits.LeadingZeros64(n.sig))
	n.sig = n.sig<<shift | lo>>(64-shift)
	n.exp -= int(shift)
	return f.rounded(n, lo<<shift != 0, flags, c)
}

// rounded adds the flags found before computing to those of rounding.
func (f *format) rounded(n number, sticky bool, flags Flags, c Control) (uint64, Flags) {
	r, after := f.round(n, sticky, c)
	return r, flags | after
}

// shiftRightJam shifts sig right into 128 bits; what falls off the end is
// kept as the lowest bit.
func shiftRightJam(sig uint64, n uint) (hi, lo uint64) {
	switch {
	case n < 64:
		return sig >> n, sig << (64 - n)
	case n < 128:
		lo = sig >> (n - 64)
		if sig<<(128-n) != 0 {
			lo |= 1
		}
		return 0, lo
	}
	return 0, 1
}
