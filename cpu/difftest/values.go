package difftest

import (
	"math"
	"math/rand/v2"

	"github.com/flipvisor/flipvisor/cpu"
)

// rnd is the generator's source of choices.
type rnd struct{ *rand.Rand }

func newRnd(seed uint64) rnd { return rnd{rand.New(rand.NewPCG(seed, 0x9E3779B97F4A7C15))} }

// one says yes once in n times.
func (r rnd) one(n int) bool { return r.IntN(n) == 0 }

func pick[T any](r rnd, of ...T) T { return of[r.IntN(len(of))] }

// integer is a value for a general register: near a boundary of some width as
// often as not.
func (r rnd) integer() uint64 {
	width := pick(r, 8, 16, 32, 64)
	edge := uint64(1) << (width - 1) // the sign
	switch r.IntN(12) {
	case 0:
		return 0
	case 1:
		return 1
	case 2:
		return math.MaxUint64
	case 3:
		return edge
	case 4:
		return edge - 1
	case 5:
		return edge<<1 - 1
	case 6:
		return -edge
	case 7:
		return 1 << r.IntN(64)
	case 8:
		return uint64(int64(r.IntN(512) - 256))
	case 9:
		return uint64(r.Uint32())
	case 10: // the same value in every part
		return r.Uint64() & 0xFF * 0x0101010101010101
	}
	return r.Uint64()
}

// singles and doubles are the values between which floating point changes its
// behaviour, without their signs.
var singles = [...]uint32{
	0, 1, 2, 0x007FFFFF, 0x00400000, // zero and denormals
	0x00800000, 0x00800001, 0x01000000, // the smallest normal numbers
	0x33800000, 0x34000000, // units in the last place of 1
	0x3F7FFFFF, 0x3F800000, 0x3F800001, 0x3F000000, 0x3FC00000, 0x40000000, 0x40400000, 0x40200000,
	0x4B000000, 0x4B7FFFFF, 0x4EFFFFFF, 0x4F000000, 0x5F000000, 0x5EFFFFFF, // about 2^23, 2^31 and 2^63
	0x7F000000, 0x7F7FFFFF, 0x7F7FFFFE, // the largest
	0x7F800000,                                     // infinity
	0x7F800001, 0x7FBFFFFF, 0x7FA00000, 0x7F812345, // signalling NaNs
	0x7FC00000, 0x7FFFFFFF, 0x7FC12345, // quiet NaNs
}

var doubles = [...]uint64{
	0, 1, 2, 0x000FFFFFFFFFFFFF, 0x0008000000000000,
	0x0010000000000000, 0x0010000000000001, 0x0020000000000000,
	0x3CA0000000000000, 0x3CB0000000000000,
	0x3FEFFFFFFFFFFFFF, 0x3FF0000000000000, 0x3FF0000000000001, 0x3FE0000000000000, 0x3FF8000000000000,
	0x4000000000000000, 0x4004000000000000, 0x4008000000000000,
	0x41DFFFFFFFC00000, 0x41E0000000000000, 0x41DFFFFFFFE00000, 0x43E0000000000000, 0x43DFFFFFFFFFFFFF, 0x4330000000000000,
	0x36A0000000000000, 0x3690000000000000, 0x380FFFFFFFFFFFFF, 0x3810000000000000, // where singles begin
	0x47EFFFFFE0000000, 0x47EFFFFFF0000000, 0x47F0000000000000, // where singles end
	0x7FE0000000000000, 0x7FEFFFFFFFFFFFFF, 0x7FEFFFFFFFFFFFFE,
	0x7FF0000000000000,
	0x7FF0000000000001, 0x7FF7FFFFFFFFFFFF, 0x7FF4000000000000, 0x7FF0000012345678,
	0x7FF8000000000000, 0x7FFFFFFFFFFFFFFF, 0x7FF8000012345678,
}

func (r rnd) single() uint32 {
	sign := uint32(r.IntN(2)) << 31
	switch r.IntN(8) {
	case 0:
		return r.Uint32()
	case 1, 2: // an ordinary size
		return sign | uint32(120+r.IntN(16))<<23 | r.Uint32()&0x7FFFFF
	case 3: // few digits
		return math.Float32bits(float32(r.IntN(4096)-2048) / float32(int(1)<<r.IntN(12)))
	}
	return sign | singles[r.IntN(len(singles))]
}

func (r rnd) double() uint64 {
	sign := uint64(r.IntN(2)) << 63
	switch r.IntN(8) {
	case 0:
		return r.Uint64()
	case 1, 2:
		return sign | uint64(1010+r.IntN(28))<<52 | r.Uint64()>>12
	case 3:
		return math.Float64bits(float64(r.IntN(1<<20)-1<<19) / float64(int(1)<<r.IntN(20)))
	}
	return sign | doubles[r.IntN(len(doubles))]
}

// lanes is what the elements of a vector are.
type lanes uint8

const (
	anyLanes lanes = iota
	intLanes
	singleLanes
	doubleLanes
)

// word is 8 bytes of a vector.
func (r rnd) word(l lanes) uint64 {
	if l == anyLanes {
		l = pick(r, intLanes, singleLanes, doubleLanes)
	}
	switch l {
	case singleLanes:
		return uint64(r.single()) | uint64(r.single())<<32
	case doubleLanes:
		return r.double()
	}
	switch r.IntN(4) {
	case 0:
		return r.Uint64()
	case 1:
		return r.integer()
	}
	var v uint64
	width := pick(r, 8, 16, 32)
	for s := 0; s < 64; s += width {
		v |= r.integer() & (1<<width - 1) << s
	}
	return v
}

func (r rnd) vector(l lanes) cpu.XMM { return cpu.XMM{Lo: r.word(l), Hi: r.word(l)} }

// mxcsr is all rounding modes, masks, DAZ and FTZ; the exceptions are masked
// and no flag is set more often than not.
func (r rnd) mxcsr() uint32 {
	v := uint32(r.IntN(4))<<13 | 0x1F80
	switch r.IntN(4) {
	case 0:
		v = v&^0x1F80 | r.Uint32()&0x1F80
	case 1:
		v &^= 1 << (7 + r.IntN(6))
	}
	if r.one(3) {
		v |= r.Uint32() & 0x3F
	}
	if r.one(3) {
		v |= 1 << 15
	}
	if r.one(3) {
		v |= 1 << 6
	}
	return v
}

// selector is a value for a segment register, or for an instruction that
// looks at one.
func (r rnd) selector() uint16 {
	if r.one(8) {
		return pick[uint16](r, 0xFFF8, 0xFFFF, 0x0098, 0x8000|uint16(r.IntN(1<<12))<<3)
	}
	s := pick[uint16](r, 0, 0, selKernel32, selKernel, selKernelDS, selCode32, selCode64, selData, selData, selData,
		ldtData, ldtData, ldtShort, ldtCode, ldtEmpty, 0x40, 0x50, 8<<3|7)
	if r.one(6) {
		s = s&^3 | uint16(r.IntN(4))
	}
	return s
}
