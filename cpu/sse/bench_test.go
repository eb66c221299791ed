package sse

import (
	"math"
	"testing"
)

// The benchmarks run over operands as programs have them, with MXCSR as it is
// before the first inexact result and, where named Sticky, after it.

const stickyPE = DefaultControl | Control(PE)

var (
	benchDoubles = func() (v [256]uint64) {
		for i := range v {
			v[i] = math.Float64bits(1 + float64(i)/7)
		}
		return v
	}()
	benchSingles = func() (v [256]uint32) {
		for i := range v {
			v[i] = math.Float32bits(1 + float32(i)/7)
		}
		return v
	}()
	sink uint64
)

func bench64(b *testing.B, op binary64, c Control) {
	for i := 0; i < b.N; i++ {
		r, f := op(benchDoubles[i&255], benchDoubles[i>>3&255], c)
		sink += r + uint64(f)
	}
}

func bench32(b *testing.B, op binary32, c Control) {
	for i := 0; i < b.N; i++ {
		r, f := op(benchSingles[i&255], benchSingles[i>>3&255], c)
		sink += uint64(r) + uint64(f)
	}
}

func benchX(b *testing.B, op func(d, s X) X) {
	d, s := X{0x0123456789abcdef, 0xfedcba9876543210}, X{0x1122334455667788, 0x99aabbccddeeff00}
	for i := 0; i < b.N; i++ {
		d = op(d, s)
	}
	sink += d.Lo + d.Hi
}

func BenchmarkAdd64(b *testing.B)       { bench64(b, Add64, DefaultControl) }
func BenchmarkAdd64Sticky(b *testing.B) { bench64(b, Add64, stickyPE) }
func BenchmarkMul64(b *testing.B)       { bench64(b, Mul64, DefaultControl) }
func BenchmarkMul64Sticky(b *testing.B) { bench64(b, Mul64, stickyPE) }
func BenchmarkDiv64(b *testing.B)       { bench64(b, Div64, DefaultControl) }
func BenchmarkDiv64Sticky(b *testing.B) { bench64(b, Div64, stickyPE) }
func BenchmarkAdd32(b *testing.B)       { bench32(b, Add32, DefaultControl) }
func BenchmarkMul32(b *testing.B)       { bench32(b, Mul32, DefaultControl) }
func BenchmarkDiv32(b *testing.B)       { bench32(b, Div32, DefaultControl) }
func BenchmarkMin64(b *testing.B)       { bench64(b, Min64, DefaultControl) }

// The exact path, for comparison; rounding up leads there.
func BenchmarkAdd64Up(b *testing.B) { bench64(b, Add64, DefaultControl|Control(Up)<<rcShift) }
func BenchmarkMul64Up(b *testing.B) { bench64(b, Mul64, DefaultControl|Control(Up)<<rcShift) }
func BenchmarkDiv64Up(b *testing.B) { bench64(b, Div64, DefaultControl|Control(Up)<<rcShift) }

func BenchmarkSqrt64(b *testing.B) {
	bench64(b, func(_, a uint64, c Control) (uint64, Flags) { return Sqrt64(a, c) }, DefaultControl)
}

func BenchmarkUcomi64(b *testing.B) {
	bench64(b, func(x, y uint64, c Control) (uint64, Flags) {
		e, f := Ucomi64(x, y, c)
		return uint64(e), f
	}, DefaultControl)
}

func BenchmarkCvtSD2SI32(b *testing.B) {
	bench64(b, func(_, a uint64, c Control) (uint64, Flags) {
		r, f := CvtSD2SI32(a, c)
		return uint64(r), f
	}, DefaultControl)
}

func BenchmarkCvttSD2SI32(b *testing.B) {
	bench64(b, func(_, a uint64, c Control) (uint64, Flags) {
		r, f := CvttSD2SI32(a, c)
		return uint64(r), f
	}, DefaultControl)
}

func BenchmarkMulPS(b *testing.B) {
	d := fromLanes32(benchSingles[1], benchSingles[2], benchSingles[3], benchSingles[4])
	for i := 0; i < b.N; i++ {
		r, f := MulPS(d, d, stickyPE)
		sink += r.Lo + uint64(f)
	}
}

func BenchmarkPADDB(b *testing.B)     { benchX(b, PADDB) }
func BenchmarkPADDSW(b *testing.B)    { benchX(b, PADDSW) }
func BenchmarkPSADBW(b *testing.B)    { benchX(b, PSADBW) }
func BenchmarkPMULLW(b *testing.B)    { benchX(b, PMULLW) }
func BenchmarkPMADDWD(b *testing.B)   { benchX(b, PMADDWD) }
func BenchmarkPACKUSWB(b *testing.B)  { benchX(b, PACKUSWB) }
func BenchmarkPUNPCKLBW(b *testing.B) { benchX(b, PUNPCKLBW) }
func BenchmarkPCMPEQB(b *testing.B)   { benchX(b, PCMPEQB) }
func BenchmarkPSHUFB(b *testing.B)    { benchX(b, PSHUFB) }
func BenchmarkPSHUFD(b *testing.B)    { benchX(b, func(_, s X) X { return PSHUFD(s, 0x1b) }) }
