package sse

// SWAR: several elements side by side in one uint64, worked on by ordinary
// 64-bit operations that keep carries from crossing between elements. An
// element width is given by the mask of its top bits.

const (
	top8  uint64 = 0x8080808080808080
	top16 uint64 = 0x8000800080008000
	top32 uint64 = 0x8000000080000000

	ones8  uint64 = 0x0101010101010101
	ones16 uint64 = 0x0001000100010001
)

// addEach adds element by element: the lower bits cannot carry out of an
// element, and the top bits are added without carry.
func addEach(a, b, top uint64) uint64 {
	return (a&^top + b&^top) ^ (a^b)&top
}

// subEach subtracts element by element: a set top bit in each minuend is
// enough to borrow from.
func subEach(a, b, top uint64) uint64 {
	return ((a | top) - b&^top) ^ ^(a^b)&top
}

// fill8, fill16 and fill32 make an element all ones where its top bit is set.
// All other bits must be clear.
func fill8(tops uint64) uint64  { return tops | (tops - tops>>7) }
func fill16(tops uint64) uint64 { return tops | (tops - tops>>15) }
func fill32(tops uint64) uint64 { return tops | (tops - tops>>31) }

// The following find a condition and leave it in the top bit of each element.

// carries of sum = a + b.
func carries(a, b, sum, top uint64) uint64 { return (a&b | (a|b)&^sum) & top }

// below says a < b without sign; the borrows of a − b.
func below(a, b, top uint64) uint64 {
	return (^a&b | ^(a^b)&subEach(a, b, top)) & top
}

// lessThan says a < b with sign.
func lessThan(a, b, top uint64) uint64 {
	return (a&^b | ^(a^b)&subEach(a, b, top)) & top
}

// zeros says a = 0.
func zeros(a, top uint64) uint64 { return ^((a&^top + ^top) | a) & top }

// choose takes the bits of a where mask is set, those of b elsewhere.
func choose(mask, a, b uint64) uint64 { return b ^ (a^b)&mask }

// Elements one by one, where words do not help.

func join16(a, b, c, d uint16) uint64 {
	return uint64(a) | uint64(b)<<16 | uint64(c)<<32 | uint64(d)<<48
}

func join32(lo, hi uint32) uint64 { return uint64(lo) | uint64(hi)<<32 }

// word returns element i of four.
func word(a uint64, i uint) uint16 { return uint16(a >> (16 * (i & 3))) }

// word8 returns element i of eight.
func (x X) word8(i uint) uint16 {
	if i&4 != 0 {
		return word(x.Hi, i)
	}
	return word(x.Lo, i)
}

// byte16 returns element i of sixteen.
func (x X) byte16(i uint) byte {
	if i&8 != 0 {
		return byte(x.Hi >> (8 * (i & 7)))
	}
	return byte(x.Lo >> (8 * (i & 7)))
}

// dword returns element i of four.
func (x X) dword(i uint) uint32 {
	if i&2 != 0 {
		return uint32(x.Hi >> (32 * (i & 1)))
	}
	return uint32(x.Lo >> (32 * (i & 1)))
}
