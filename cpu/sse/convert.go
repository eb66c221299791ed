package sse

import (
	"math"
	"math/bits"
)

// Integer indefinite: the answer of a conversion to an integer when the
// number does not fit. SDM Vol. 1, 4.8.3.7 and table 4-1.
const (
	Indefinite32 uint32 = 1 << 31
	Indefinite64 uint64 = 1 << 63
)

// CvtSS2SD widens. It is exact; only NaNs and denormals raise flags.
func CvtSS2SD(a uint32, c Control) (uint64, Flags) {
	if normal32(a) || zero32(a) {
		return math.Float64bits(float64(math.Float32frombits(a))), 0
	}
	return double.from(&single, uint64(a), c)
}

// CvtSD2SS narrows and rounds.
func CvtSD2SS(a uint64, c Control) (uint32, Flags) {
	if c&rcField == 0 && normal64(a) {
		x := math.Float64frombits(a)
		s := float32(x)
		if r := math.Float32bits(s); roomy32(r) {
			if c.roundsQuietly() || float64(s) == x {
				return r, 0
			}
			return r, PE
		}
	}
	return narrow(single.from(&double, a, c))
}

// from converts a from another format.
func (f *format) from(g *format, a uint64, c Control) (uint64, Flags) {
	sign := f.signOf(a&g.sign != 0)
	if g.isNaN(a) {
		quiet, flags := g.nan(a, a)
		payload := quiet & (1<<g.frac - 1)
		if f.frac > g.frac {
			payload <<= f.frac - g.frac
		} else {
			payload >>= g.frac - f.frac
		}
		return sign | f.inf | payload, flags
	}
	a, flags := g.read(a, c)
	switch {
	case c.stops(flags):
		return 0, flags
	case g.isInf(a):
		return sign | f.inf, flags
	case g.isZero(a):
		return sign, flags
	}
	return f.rounded(g.unpack(a), false, flags, c)
}

// CvtSI2SS64 converts a 64-bit integer to single precision.
func CvtSI2SS64(v int64, c Control) (uint32, Flags) {
	if -1<<24 <= v && v <= 1<<24 {
		return math.Float32bits(float32(v)), 0
	}
	return narrow(single.fromInt(v, c))
}

// CvtSI2SS32 converts a 32-bit integer to single precision; CVTDQ2PS and
// CVTPI2PS do so for each element.
func CvtSI2SS32(v int32, c Control) (uint32, Flags) {
	if c&rcField == 0 {
		r := float32(v)
		if c.roundsQuietly() || float64(r) == float64(v) {
			return math.Float32bits(r), 0
		}
		return math.Float32bits(r), PE
	}
	return CvtSI2SS64(int64(v), c)
}

// CvtSI2SD64 converts a 64-bit integer to double precision.
func CvtSI2SD64(v int64, c Control) (uint64, Flags) {
	if -1<<53 <= v && v <= 1<<53 {
		return math.Float64bits(float64(v)), 0
	}
	return double.fromInt(v, c)
}

// CvtSI2SD32 converts a 32-bit integer to double precision, always exactly;
// CVTDQ2PD and CVTPI2PD do so for each element.
func CvtSI2SD32(v int32) uint64 { return math.Float64bits(float64(v)) }

func (f *format) fromInt(v int64, c Control) (uint64, Flags) {
	if v == 0 {
		return 0, 0
	}
	magnitude := uint64(v)
	if v < 0 {
		magnitude = -magnitude
	}
	shift := bits.LeadingZeros64(magnitude)
	return f.round(number{v < 0, 63 - shift, magnitude << shift}, false, c)
}

// CvtSS2SI32 rounds to a 32-bit integer as MXCSR says; CVTPS2DQ and CVTPS2PI
// do so for each element.
func CvtSS2SI32(a uint32, c Control) (uint32, Flags) {
	return narrow(single.toInt(uint64(a), 32, c.RC(), c))
}

// CvtSS2SI64 rounds to a 64-bit integer as MXCSR says.
func CvtSS2SI64(a uint32, c Control) (uint64, Flags) {
	return single.toInt(uint64(a), 64, c.RC(), c)
}

// CvtSD2SI32 rounds to a 32-bit integer as MXCSR says; CVTPD2DQ and CVTPD2PI
// do so for each element.
func CvtSD2SI32(a uint64, c Control) (uint32, Flags) {
	return narrow(double.toInt(a, 32, c.RC(), c))
}

// CvtSD2SI64 rounds to a 64-bit integer as MXCSR says.
func CvtSD2SI64(a uint64, c Control) (uint64, Flags) {
	return double.toInt(a, 64, c.RC(), c)
}

// CvttSS2SI32 truncates to a 32-bit integer; CVTTPS2DQ and CVTTPS2PI do so
// for each element.
func CvttSS2SI32(a uint32, c Control) (uint32, Flags) {
	if x := math.Float32frombits(a); normal32(a) && -1<<31 <= x && x < 1<<31 {
		v := int32(x)
		return uint32(v), truncated(float64(v) == float64(x))
	}
	return narrow(single.toInt(uint64(a), 32, Zero, c))
}

// CvttSS2SI64 truncates to a 64-bit integer.
func CvttSS2SI64(a uint32, c Control) (uint64, Flags) {
	return single.toInt(uint64(a), 64, Zero, c)
}

// CvttSD2SI32 truncates to a 32-bit integer; CVTTPD2DQ and CVTTPD2PI do so
// for each element.
func CvttSD2SI32(a uint64, c Control) (uint32, Flags) {
	if x := math.Float64frombits(a); normal64(a) && -1<<31 <= x && x < 1<<31 {
		v := int32(x)
		return uint32(v), truncated(float64(v) == x)
	}
	return narrow(double.toInt(a, 32, Zero, c))
}

// CvttSD2SI64 truncates to a 64-bit integer.
func CvttSD2SI64(a uint64, c Control) (uint64, Flags) {
	if x := math.Float64frombits(a); normal64(a) && -1<<63 <= x && x < 1<<63 {
		v := int64(x)
		return uint64(v), truncated(float64(v) == x)
	}
	return double.toInt(a, 64, Zero, c)
}

func truncated(exact bool) Flags {
	if exact {
		return 0
	}
	return PE
}

// toInt converts to a two's complement integer of the given width. Denormals
// are not reported, but DAZ makes them exact zeros.
func (f *format) toInt(a uint64, width uint, rc Rounding, c Control) (uint64, Flags) {
	indefinite := uint64(1) << (width - 1)
	a, _ = f.read(a, c)
	switch {
	case f.isNaN(a) || f.isInf(a):
		return indefinite, IE
	case f.isZero(a):
		return 0, 0
	}
	n := f.unpack(a)
	if n.exp > 63 {
		return indefinite, IE
	}
	magnitude, inexact := roundAt(n.sig, uint(63-n.exp), false, n.neg, rc)
	limit := indefinite
	if !n.neg {
		limit--
	}
	if magnitude > limit {
		return indefinite, IE
	}
	if n.neg {
		magnitude = -magnitude
	}
	return magnitude & (indefinite<<1 - 1), truncated(!inexact)
}
