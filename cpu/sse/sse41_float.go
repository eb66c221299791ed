package sse

import "math"

// SSE4.1 floating point: rounding to integral values and dot products.

// The immediate of ROUNDSS and its relatives.
const (
	roundByMXCSR = 1 << 2 // rounding mode from MXCSR instead of the low two bits
	roundQuietly = 1 << 3 // no PE
)

// Round32 is ROUNDSS: an integral value of the same format.
func Round32(a uint32, imm uint8, c Control) (uint32, Flags) {
	return narrow(single.roundIntegral(uint64(a), imm, c))
}

// Round64 is ROUNDSD.
func Round64(a uint64, imm uint8, c Control) (uint64, Flags) {
	return double.roundIntegral(a, imm, c)
}

// RoundPS is ROUNDPS.
func RoundPS(s X, imm uint8, c Control) (X, Flags) {
	return unary32(func(a uint32, c Control) (uint32, Flags) { return Round32(a, imm, c) }).packed(s, c)
}

// RoundPD is ROUNDPD.
func RoundPD(s X, imm uint8, c Control) (X, Flags) {
	return unary64(func(a uint64, c Control) (uint64, Flags) { return Round64(a, imm, c) }).packed(s, c)
}

// roundIntegral does not report denormals, but DAZ makes them exact zeros.
func (f *format) roundIntegral(a uint64, imm uint8, c Control) (uint64, Flags) {
	if f.isNaN(a) {
		return f.nan(a, a)
	}
	a, _ = f.read(a, c)
	if f.isZero(a) || f.isInf(a) {
		return a, 0
	}
	n := f.unpack(a)
	if n.exp >= int(f.frac) {
		return a, 0
	}
	rc := Rounding(imm & 3)
	if imm&roundByMXCSR != 0 {
		rc = c.RC()
	}
	whole, inexact := roundAt(n.sig, uint(63-n.exp), false, n.neg, rc)
	r := f.signOf(n.neg) | f.integral(whole)
	if !inexact || imm&roundQuietly != 0 {
		return r, 0
	}
	return r, PE
}

// integral packs an integer that has no more bits than the fraction can hold.
func (f *format) integral(v uint64) uint64 {
	if f == &single {
		return uint64(math.Float32bits(float32(v)))
	}
	return math.Float64bits(float64(v))
}

// DotPS is DPPS: the products selected by the high half of imm are summed and
// the sum goes where the low half says, zero elsewhere. Each step rounds and
// may raise; an unmasked exception ends it there.
//
// The processor sums in every element for itself: the neighbour plus the
// element, then that plus the like from the other half. The order shows only
// when there are several NaNs to choose from, and only then is it followed.
func DotPS(d, s X, imm uint8, c Control) (X, Flags) {
	var p [4]uint32
	var flags Flags
	for i := range p {
		if imm>>(4+i)&1 != 0 {
			var f Flags
			p[i], f = Mul32(d.dword(uint(i)), s.dword(uint(i)), c)
			flags |= f
		}
	}
	if flags = c.Merge(flags); c.Unmasked(flags) {
		return X{}, flags
	}
	low, f0 := Add32(p[1], p[0], c)
	high, f1 := Add32(p[3], p[2], c)
	if flags |= c.Merge(f0 | f1); c.Unmasked(flags) {
		return X{}, flags
	}
	sum, f := Add32(low, high, c)
	r := [4]uint32{sum, sum, sum, sum}
	if single.isNaN(uint64(sum)) {
		var pair [4]uint32
		for i := range pair {
			pair[i], _ = Add32(p[i^1], p[i], c)
		}
		for i := range r {
			r[i], _ = Add32(pair[i], pair[i^2], c)
		}
	}
	for i := range r {
		if imm>>i&1 == 0 {
			r[i] = 0
		}
	}
	return fromLanes32(r[0], r[1], r[2], r[3]), flags | f
}

// DotPD is DPPD.
func DotPD(d, s X, imm uint8, c Control) (X, Flags) {
	var p0, p1 uint64
	var f0, f1 Flags
	if imm&0x10 != 0 {
		p0, f0 = Mul64(d.Lo, s.Lo, c)
	}
	if imm&0x20 != 0 {
		p1, f1 = Mul64(d.Hi, s.Hi, c)
	}
	flags := c.Merge(f0 | f1)
	if c.Unmasked(flags) {
		return X{}, flags
	}
	var r X
	sum, f := Add64(p0, p1, c)
	if imm&1 != 0 {
		r.Lo = sum
	}
	if imm&2 != 0 {
		r.Hi, _ = Add64(p1, p0, c) // the same but for the choice of a NaN
	}
	return r, flags | f
}
