package sse

import (
	"math"
	"os"
	"testing"

	"github.com/flipvisor/flipvisor/cpu/sse/internal/native"
)

// special32 are the single-precision values at which something changes; each
// is tried with both signs.
var special32 = []uint32{
	0x00000000,                                     // zero
	0x00000001, 0x00000002, 0x00400000, 0x007fffff, // denormals, smallest to largest
	0x00800000, 0x00800001, 0x00ffffff, 0x01000000, // smallest normals
	0x1f800000, 0x20000000, 0x20000001, // squares near the smallest normal
	0x33800000, 0x34000000, // half an ulp and an ulp of one
	0x3effffff, 0x3f000000, 0x3f000001, 0x3f7fffff, // about a half, just below one
	0x3f800000, 0x3f800001, 0x3fc00000, 0x40200000, 0x40400000, 0x40490fdb, // 1, 1+ulp, 1.5, 2.5, 3, pi
	0x4b000000, 0x4b7fffff, 0x4b800001, // about 2^23 and 2^24: the last fractions
	0x4effffff, 0x4f000000, 0x4f000001, // about 2^31
	0x5effffff, 0x5f000000, // about 2^63
	0x5f7fffff, 0x5f800000, // squares near the largest
	0x7effffff, 0x7f000000, 0x7f7ffffe, 0x7f7fffff, // largest
	0x7f800000,                         // infinity
	0x7f800001, 0x7fa12345, 0x7fbfffff, // signalling
	0x7fc00000, 0x7fc54321, 0x7fffffff, // quiet
}

var special64 = []uint64{
	0x0000000000000000,
	0x0000000000000001, 0x0000000000000002, 0x0008000000000000, 0x000fffffffffffff,
	0x0010000000000000, 0x0010000000000001, 0x001fffffffffffff, 0x0020000000000000,
	0x1ff0000000000000, 0x2000000000000000, 0x2000000000000001,
	0x0360000000000000, 0x0370000000000001, 0x0400000000000001, // where residues of products get lost
	0x36a0000000000000, 0x380fffffffffffff, 0x3810000000000000, 0x380fffffe0000000, // single's denormals
	0x3ca0000000000000, 0x3cb0000000000000,
	0x3fdfffffffffffff, 0x3fe0000000000000, 0x3fe0000000000001, 0x3fefffffffffffff,
	0x3ff0000000000000, 0x3ff0000000000001, 0x3ff8000000000000, 0x4004000000000000, 0x400921fb54442d18,
	0x41dfffffffc00000, 0x41dfffffffe00000, 0x41e0000000000000, 0x41e0000000100000, 0x41e0000000200000, // about 2^31
	0x4330000000000001, 0x433fffffffffffff, 0x4340000000000001, // about 2^52 and 2^53
	0x43dfffffffffffff, 0x43e0000000000000, // about 2^63
	0x47efffffe0000000, 0x47efffffefffffff, 0x47effffff0000000, 0x47f0000000000000, // single's largest
	0x5fefffffffffffff, 0x5ff0000000000000,
	0x7fdfffffffffffff, 0x7fe0000000000000, 0x7feffffffffffffe, 0x7fefffffffffffff,
	0x7ff0000000000000,
	0x7ff0000000000001, 0x7ff4123456789abc, 0x7ff7ffffffffffff,
	0x7ff8000000000000, 0x7ff8cba987654321, 0x7fffffffffffffff,
}

var specialInt = []uint64{
	0, 1, 2, 3, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000,
	0xffffff, 0x1000000, 0x1000001, 0x1000003, 0x7fffff80, 0x7fffffc0, 0x7fffffff, 0x80000000, 0x80000001,
	0xffffffff, 0x100000000, 0x1fffffffffffff, 0x20000000000000, 0x20000000000001, 0x20000000000003,
	0x7ffffffffffffc00, 0x7ffffffffffffdff, 0x7ffffffffffffe00, 0x7fffffbfffffffff, 0x7fffffc000000000,
	0x7fffffffffffffff, 0x8000000000000000, 0x8000000000000001, 0xffffffffffffffff,
	0x0123456789abcdef, 0x8080808080808080, 0x7f7f7f7f7f7f7f7f, 0xff00ff00ff00ff00,
}

// controls are all roundings with and without DAZ and FTZ, with every
// exception masked and no flag set.
func controls() []Control {
	var all []Control
	for rc := Control(0); rc < 4; rc++ {
		for _, bits := range []Control{0, DAZ, FTZ, DAZ | FTZ} {
			all = append(all, DefaultControl|rc<<rcShift|bits)
		}
	}
	return all
}

// values of an operand kind, both signs, as elements of width 32 or 64.
func (o operand) values() []uint64 {
	var all []uint64
	switch o {
	case singles:
		for _, v := range special32 {
			all = append(all, uint64(v), uint64(v|1<<31))
		}
	case doubles:
		for _, v := range special64 {
			all = append(all, v, v|1<<63)
		}
	default:
		return specialInt
	}
	return all
}

// state puts one pair of elements into the registers. The other elements hold
// neighbours of the pair, so that packed instructions see mixtures.
func (o operand) state(a, b, c, d uint64) native.State {
	var s native.State
	if o == singles {
		s.X0 = [2]uint64{a | c<<32, d | a<<32}
		s.X1 = [2]uint64{b | d<<32, c | b<<32}
	} else {
		s.X0 = [2]uint64{a, c}
		s.X1 = [2]uint64{b, d}
	}
	s.M0, s.M1 = s.X0[0], s.X1[0]
	s.AX, s.CX, s.DX = a, b, c
	return s
}

// random draws an element: uniform bits, a special value, or a number of
// moderate size with a short significand, for which results are often exact.
func (o operand) random(r *rng, values []uint64) uint64 {
	bits := r.next()
	switch r.next() % 4 {
	case 0:
		return values[bits%uint64(len(values))]
	case 1:
		if o == singles {
			return uint64(math.Float32bits(float32(int8(bits)) * float32(math.Ldexp(1, int(bits>>8%32)-16))))
		}
		if o == doubles {
			return math.Float64bits(float64(int16(bits)) * math.Ldexp(1, int(bits>>16%64)-32))
		}
	case 2: // close to the bounds of the exponents
		if o == singles {
			exp := []uint64{0, 1, 2, 24, 64, 103, 127, 128, 150, 190, 253, 254, 255}[bits>>32%13]
			return bits&0x807fffff | exp<<23
		}
		if o == doubles {
			exp := []uint64{0, 1, 2, 53, 54, 63, 64, 65, 107, 511, 896, 1022, 1023, 1024, 1150, 1535, 2045, 2046}[bits>>32%18]
			return bits&^(0x7ff<<52) | exp<<52
		}
	}
	if o == singles {
		bits &= 0xffffffff
	}
	return bits
}

// randomState draws registers and MXCSR with all exceptions masked.
func (in *instruction) randomState(r *rng) native.State {
	if in.operand == text {
		return randomText(r)
	}
	values := in.operand.values()
	next := func() uint64 { return in.operand.random(r, values) }
	s := in.operand.state(next(), next(), next(), next())
	bits := r.next()
	s.MXCSR = uint32(DefaultControl) | uint32(bits)&0xe07f
	if bits>>32&1 == 0 {
		s.MXCSR = uint32(DefaultControl) // the fast paths
	}
	return s
}

// randomText draws two strings of which one often occurs in the other.
func randomText(r *rng) native.State {
	letters := [8]uint64{0, 'a', 'b', 'a', 0x80, 0xff, 'b', 0}
	if r.next()&1 != 0 {
		letters[0], letters[7] = 'a', 'c' // fewer ends
	}
	draw := func() (word uint64) {
		bits := r.next()
		for i := 0; i < 8; i++ {
			word |= letters[bits>>(3*i)&7] << (8 * i)
		}
		if bits>>63 != 0 {
			word &= 0x00ff00ff00ff00ff // words
		}
		return word
	}
	s := native.State{X0: [2]uint64{draw(), draw()}, X1: [2]uint64{draw(), draw()}, MXCSR: uint32(DefaultControl)}
	length := func() uint64 {
		bits := r.next()
		switch n := bits >> 8 % 24; bits % 4 {
		case 0:
			return -n
		case 1:
			return n | bits&^0xffffffff // EAX short, RAX long
		case 2:
			return specialInt[bits>>8%uint64(len(specialInt))]
		default:
			return n
		}
	}
	s.AX, s.DX, s.CX = length(), length(), r.next()
	return s
}

// TestFloatBoundaries: every pair of special values under every control. The
// ordinary run tries all pairs under the default control and a fourth of them,
// a different one each time, under the others.
func TestFloatBoundaries(t *testing.T) {
	for _, in := range floatInstructions {
		t.Run(in.name, func(t *testing.T) {
			in.runnable(t)
			code := in.assemble(t)
			values := in.operand.values()
			stride := rounds(4, 1)
			for k, c := range controls() {
				for i, a := range values {
					for j, b := range values {
						if c != DefaultControl && (i+j+k)%stride != 0 {
							continue
						}
						s := in.operand.state(a, b, values[(i+j*7+3)%len(values)], values[(i*5+j+11)%len(values)])
						s.MXCSR = uint32(c)
						if !in.check(t, code, s) {
							return
						}
					}
				}
			}
		})
	}
}

// rounds is how many random cases a test tries for each instruction.
func rounds(ordinary, long int) int {
	if os.Getenv("FLIPVISOR_LONG") != "" {
		return long
	}
	return ordinary
}

// TestFloatRandom: random operands, controls and flags already set.
func TestFloatRandom(t *testing.T) {
	for n, in := range floatInstructions {
		t.Run(in.name, func(t *testing.T) {
			in.runnable(t)
			in.tryRandom(t, rng(n), rounds(8_000, 4_000_000))
		})
	}
}

// TestFloatUnmasked: random masks. Each exception costs a signal, so there
// are fewer cases.
func TestFloatUnmasked(t *testing.T) {
	for n, in := range append(floatInstructions, immediateFloats()...) {
		t.Run(in.name, func(t *testing.T) {
			in.runnable(t)
			code := in.assemble(t)
			r := rng(n + 1000)
			cases := rounds(500, 50_000)
			if in.immediate {
				cases /= 16
			}
			for ; cases > 0; cases-- {
				s := in.randomState(&r)
				s.MXCSR = uint32(r.next()) & uint32(ControlMask)
				if !in.check(t, code, s) {
					return
				}
			}
		})
	}
}

// immediateFloats are those of immediateInstructions that can raise.
func immediateFloats() []instruction {
	var all []instruction
	for _, in := range immediateInstructions {
		if in.operand == singles || in.operand == doubles {
			all = append(all, in)
		}
	}
	return all
}
