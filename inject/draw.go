package inject

import "math/bits"

// Stream is a sequence of random numbers that belongs to one (key, seed,
// index): the generator has no state but its own position, so the numbers
// of experiment 7 are the same whether or not experiment 6 was ever drawn.
//
// The generator is Philox4x64-10 (Salmon, Moraes, Dror, Shaw: Parallel
// Random Numbers: As Easy as 1, 2, 3; SC11), chosen because being a
// function of a counter is its very design.
type Stream struct {
	key     [2]uint64
	counter [4]uint64
	block   [4]uint64
	used    int // words of block that were handed out
}

// NewStream gives the numbers of one index. Different purposes use
// different values of purpose and do not disturb each other.
func NewStream(key, seed, index, purpose uint64) *Stream {
	return &Stream{key: [2]uint64{key, seed}, counter: [4]uint64{0, index, purpose, 0}, used: 4}
}

// Next gives the next 64 bits.
func (s *Stream) Next() uint64 {
	if s.used == len(s.block) {
		s.block = philox(s.counter, s.key)
		s.counter[0]++
		s.used = 0
	}
	s.used++
	return s.block[s.used-1]
}

// Below gives a number in [0, n), each equally likely. It panics if n is 0.
func (s *Stream) Below(n uint64) uint64 {
	if n == 0 {
		panic("inject: draw from an empty set")
	}
	// Lemire's method: the high half of a product, rejecting the few low
	// halves that would make some results one unit likelier than others.
	hi, lo := bits.Mul64(s.Next(), n)
	for threshold := -n % n; lo < threshold; {
		hi, lo = bits.Mul64(s.Next(), n)
	}
	return hi
}

// philox is the block function, ten rounds.
func philox(c [4]uint64, k [2]uint64) [4]uint64 {
	const (
		multiplier0 = 0xD2E7470EE14C6C93
		multiplier1 = 0xCA5A826395121157
		weyl0       = 0x9E3779B97F4A7C15 // golden ratio
		weyl1       = 0xBB67AE8584CAA73B // sqrt(3)-1
	)
	for range 10 {
		hi0, lo0 := bits.Mul64(multiplier0, c[0])
		hi1, lo1 := bits.Mul64(multiplier1, c[2])
		c = [4]uint64{hi1 ^ c[1] ^ k[0], lo1, hi0 ^ c[3] ^ k[1], lo0}
		k[0] += weyl0
		k[1] += weyl1
	}
	return c
}
