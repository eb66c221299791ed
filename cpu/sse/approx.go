package sse

import "math"

// RCPPS and RSQRTPS are approximations with a relative error of up to
// 1.5 × 2^-12. The manual leaves the bits to the implementation; Intel's
// processors look only at the leading bits of the operand, take the exact
// function at the middle of the interval that those leave open, and round it
// to 12 bits of fraction. So does this, which makes the result the same bit
// for bit. MXCSR plays no part and no flag is raised: denormal operands are
// zeros and tiny results become zero whatever DAZ and FTZ say.

// rcpFraction is the fraction of 1/m for m in [1,2), indexed by the leading
// 11 fraction bits of m. The result lies in [½,1).
var rcpFraction = func() (table [1 << 11]uint16) {
	for i := range table {
		m := 1 + (float64(i)+0.5)/(1<<11)
		table[i] = leading12(2 / m)
	}
	return table
}()

// rsqrtFraction is the fraction of 1/√m for m in [1,4), indexed by whether m
// is at least 2 and the leading 10 fraction bits. The result lies in [½,1).
var rsqrtFraction = func() (table [2][1 << 10]uint16) {
	for i := range table[0] {
		m := 1 + (float64(i)+0.5)/(1<<10)
		table[0][i] = leading12(2 / math.Sqrt(m))
		table[1][i] = leading12(2 / math.Sqrt(2*m))
	}
	return table
}()

// leading12 rounds x in [1,2) to 12 bits of fraction and returns those.
func leading12(x float64) uint16 {
	return uint16(math.RoundToEven(x*(1<<12))) & (1<<12 - 1)
}

// Rcp32 is RCPSS: about 1/a.
func Rcp32(a uint32) uint32 {
	sign, exp := a&(1<<31), int(a>>23&0xff)
	switch {
	case a&^sign > 0x7f800000:
		return a | 1<<22
	case exp == 0:
		return sign | 0x7f800000
	case exp >= 253: // the result would be denormal
		return sign
	}
	return sign | uint32(253-exp)<<23 | uint32(rcpFraction[a>>12&0x7ff])<<11
}

// Rsqrt32 is RSQRTSS: about 1/√a.
func Rsqrt32(a uint32) uint32 {
	sign, exp := a&(1<<31), int(a>>23&0xff)
	switch {
	case a&^sign > 0x7f800000:
		return a | 1<<22
	case exp == 0:
		return sign | 0x7f800000
	case sign != 0:
		return uint32(single.indefinite())
	case exp == 255:
		return 0
	}
	// a = m × 2^(2k) with m in [1,4).
	odd := (exp - 127) & 1
	k := (exp - 127) >> 1
	return uint32(126-k)<<23 | uint32(rsqrtFraction[odd][a>>13&0x3ff])<<11
}

// RcpPS is RCPPS.
func RcpPS(s X) X {
	return fromLanes32(Rcp32(uint32(s.Lo)), Rcp32(uint32(s.Lo>>32)),
		Rcp32(uint32(s.Hi)), Rcp32(uint32(s.Hi>>32)))
}

// RsqrtPS is RSQRTPS.
func RsqrtPS(s X) X {
	return fromLanes32(Rsqrt32(uint32(s.Lo)), Rsqrt32(uint32(s.Lo>>32)),
		Rsqrt32(uint32(s.Hi)), Rsqrt32(uint32(s.Hi>>32)))
}
