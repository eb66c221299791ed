package sse

import "math/bits"

// format describes an IEEE 754 binary interchange format. Values of either
// format travel through the exact path as uint64.
type format struct {
	frac uint   // bits of fraction
	bias int    // exponent bias; the largest normal exponent, too
	sign uint64 // the sign bit
	inf  uint64 // plus infinity: all exponent bits
	qnan uint64 // the bit that makes a NaN quiet
}

var (
	single = format{frac: 23, bias: 127, sign: 1 << 31, inf: 0xff << 23, qnan: 1 << 22}
	double = format{frac: 52, bias: 1023, sign: 1 << 63, inf: 0x7ff << 52, qnan: 1 << 51}
)

// indefinite is the QNaN floating-point indefinite, the answer to an invalid
// operation. SDM Vol. 1, table 4-3.
func (f *format) indefinite() uint64 { return f.sign | f.inf | f.qnan }

func (f *format) isNaN(a uint64) bool { return a&^f.sign > f.inf }
func (f *format) isInf(a uint64) bool { return a&^f.sign == f.inf }

func (f *format) isZero(a uint64) bool { return a&^f.sign == 0 }

func (f *format) isDenormal(a uint64) bool {
	magnitude := a &^ f.sign
	return magnitude != 0 && magnitude < 1<<f.frac
}

func (f *format) isSignalling(a uint64) bool { return f.isNaN(a) && a&f.qnan == 0 }

// read is what the arithmetic sees of operand a: under DAZ a denormal is a
// zero of the same sign, otherwise it raises DE.
func (f *format) read(a uint64, c Control) (uint64, Flags) {
	switch {
	case !f.isDenormal(a):
		return a, 0
	case c.DAZ():
		return a & f.sign, 0
	}
	return a, DE
}

// nan answers an operation on a and b of which at least one is a NaN.
// SDM Vol. 1, table 4-7.
func (f *format) nan(a, b uint64) (uint64, Flags) {
	var flags Flags
	if f.isSignalling(a) || f.isSignalling(b) {
		flags = IE
	}
	if f.isNaN(a) {
		return a | f.qnan, flags
	}
	return b | f.qnan, flags
}

// number is a finite number other than zero, taken apart:
// ±sig × 2^(exp-63), where sig has its top bit set. All values of both
// formats, denormals included, have this form exactly.
type number struct {
	neg bool
	exp int
	sig uint64
}

func (f *format) unpack(a uint64) number {
	n := number{neg: a&f.sign != 0}
	biased := int(a & f.inf >> f.frac)
	sig := a & (1<<f.frac - 1)
	if biased == 0 {
		shift := bits.LeadingZeros64(sig)
		n.sig = sig << shift
		n.exp = 1 - f.bias + int(63-f.frac) - shift
		return n
	}
	n.sig = (sig | 1<<f.frac) << (63 - f.frac)
	n.exp = biased - f.bias
	return n
}

// signOf is the sign bit if neg.
func (f *format) signOf(neg bool) uint64 {
	if neg {
		return f.sign
	}
	return 0
}
