package sse

import (
	"hash/crc32"
	"math/bits"
)

// SSE4.2: string comparison and CRC32.

// The immediate of PCMPESTRI and its relatives. SDM Vol. 2B, 4.1.
const (
	strWords  = 1 << 0 // elements are words, not bytes
	strSigned = 1 << 1 // elements are signed

	strAggregation = 3 << 2
	strEqualAny    = 0 << 2
	strRanges      = 1 << 2
	strEqualEach   = 2 << 2
	strEqualOrder  = 3 << 2

	strNegate      = 1 << 4 // negate the intermediate result
	strValidOnly   = 1 << 5 // but only where s has an element
	strMostOrWhole = 1 << 6 // index: most significant; mask: whole elements
)

// SF and OF complete the flags of the string comparisons, which clear AF and
// PF.
const (
	SF uint32 = 1 << 7
	OF uint32 = 1 << 11
)

// CompareStrings is the common part of PCMPESTRI, PCMPESTRM, PCMPISTRI and
// PCMPISTRM: one result bit for each element of s. nd and ns are the numbers
// of valid elements, from [ExplicitLength] or [ImplicitLength].
func CompareStrings(d, s X, nd, ns int, imm uint8) (result, eflags uint32) {
	n := elements(imm)
	for j := 0; j < n; j++ {
		if aggregate(d, s, nd, ns, j, imm) {
			result |= 1 << j
		}
	}
	if imm&strNegate != 0 {
		negated := uint32(1)<<n - 1
		if imm&strValidOnly != 0 {
			negated = 1<<ns - 1
		}
		result ^= negated
	}
	if result != 0 {
		eflags |= CF
	}
	if result&1 != 0 {
		eflags |= OF
	}
	if ns < n {
		eflags |= ZF
	}
	if nd < n {
		eflags |= SF
	}
	return result, eflags
}

// StringIndex is what PCMPxSTRI leaves in ECX.
func StringIndex(result uint32, imm uint8) uint32 {
	switch {
	case result == 0:
		return uint32(elements(imm))
	case imm&strMostOrWhole != 0:
		return uint32(bits.Len32(result) - 1)
	}
	return uint32(bits.TrailingZeros32(result))
}

// StringMask is what PCMPxSTRM leaves in XMM0.
func StringMask(result uint32, imm uint8) X {
	if imm&strMostOrWhole == 0 {
		return X{uint64(result), 0}
	}
	width := uint(128 / elements(imm))
	var mask X
	for i := uint(0); i < 128/width; i++ {
		if result>>i&1 != 0 {
			mask = mask.insert(^uint64(0), width, i)
		}
	}
	return mask
}

func elements(imm uint8) int {
	if imm&strWords != 0 {
		return 8
	}
	return 16
}

// ExplicitLength is the length PCMPESTRx finds in EAX or EDX (RAX or RDX with
// REX.W): its absolute value, at most all elements.
func ExplicitLength(reg int64, imm uint8) int {
	n := elements(imm)
	if reg >= int64(n) || reg <= -int64(n) {
		return n
	}
	return int(max(reg, -reg))
}

// ImplicitLength is the length PCMPISTRx finds: up to the first zero element.
func ImplicitLength(x X, imm uint8) int {
	n := elements(imm)
	for i := 0; i < n; i++ {
		if element(x, i, imm) == 0 {
			return i
		}
	}
	return n
}

func element(x X, i int, imm uint8) int32 {
	switch imm & (strWords | strSigned) {
	case strWords:
		return int32(x.word8(uint(i)))
	case strWords | strSigned:
		return int32(int16(x.word8(uint(i))))
	case strSigned:
		return int32(int8(x.byte16(uint(i))))
	}
	return int32(x.byte16(uint(i)))
}

// aggregate decides the result bit of element j of s before negation.
// SDM Vol. 2B, table 4-7 says what invalid elements count as.
func aggregate(d, s X, nd, ns, j int, imm uint8) bool {
	switch imm & strAggregation {
	case strEqualAny: // s[j] is one of the characters of d
		if j >= ns {
			return false
		}
		for i := 0; i < nd; i++ {
			if element(d, i, imm) == element(s, j, imm) {
				return true
			}
		}
		return false
	case strRanges: // s[j] is in one of the ranges, which are pairs of d
		if j >= ns {
			return false
		}
		c := element(s, j, imm)
		for i := 0; i+1 < nd; i += 2 {
			if element(d, i, imm) <= c && c <= element(d, i+1, imm) {
				return true
			}
		}
		return false
	case strEqualEach: // the strings agree at j, or both have ended
		if j >= nd || j >= ns {
			return j >= nd && j >= ns
		}
		return element(d, j, imm) == element(s, j, imm)
	}
	// strEqualOrder: d occurs in s at j, or may, beyond the register's end.
	for i := 0; i < nd && i+j < elements(imm); i++ {
		if i+j >= ns || element(d, i, imm) != element(s, i+j, imm) {
			return false
		}
	}
	return true
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CRC32 accumulates the low size bytes of v, lowest first.
func CRC32(crc uint32, v uint64, size int) uint32 {
	for ; size > 0; size-- {
		crc = castagnoli[byte(crc)^byte(v)] ^ crc>>8
		v >>= 8
	}
	return crc
}
