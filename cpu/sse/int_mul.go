package sse

// Multiplication of integers.

// PMULLW keeps the low halves of the products of words.
func PMULLW(d, s X) X { return X{PMULLW64(d.Lo, s.Lo), PMULLW64(d.Hi, s.Hi)} }

// PMULLW64 is the MMX form of PMULLW.
func PMULLW64(d, s uint64) uint64 {
	return join16(uint16(d)*uint16(s), uint16(d>>16)*uint16(s>>16),
		uint16(d>>32)*uint16(s>>32), uint16(d>>48)*uint16(s>>48))
}

// PMULHW keeps the high halves of the products of signed words.
func PMULHW(d, s X) X { return X{PMULHW64(d.Lo, s.Lo), PMULHW64(d.Hi, s.Hi)} }

// PMULHW64 is the MMX form of PMULHW.
func PMULHW64(d, s uint64) uint64 {
	return join16(mulHigh(uint16(d), uint16(s)), mulHigh(uint16(d>>16), uint16(s>>16)),
		mulHigh(uint16(d>>32), uint16(s>>32)), mulHigh(uint16(d>>48), uint16(s>>48)))
}

func mulHigh(a, b uint16) uint16 { return uint16(signedProduct(a, b) >> 16) }

func signedProduct(a, b uint16) int32 { return int32(int16(a)) * int32(int16(b)) }

// PMULHUW keeps the high halves of the products of unsigned words.
func PMULHUW(d, s X) X { return X{PMULHUW64(d.Lo, s.Lo), PMULHUW64(d.Hi, s.Hi)} }

// PMULHUW64 is the MMX form of PMULHUW.
func PMULHUW64(d, s uint64) uint64 {
	return join16(mulHighU(uint16(d), uint16(s)), mulHighU(uint16(d>>16), uint16(s>>16)),
		mulHighU(uint16(d>>32), uint16(s>>32)), mulHighU(uint16(d>>48), uint16(s>>48)))
}

func mulHighU(a, b uint16) uint16 { return uint16(uint32(a) * uint32(b) >> 16) }

// PMULHRSW multiplies signed words as fractions of one and rounds. SSSE3.
func PMULHRSW(d, s X) X { return X{PMULHRSW64(d.Lo, s.Lo), PMULHRSW64(d.Hi, s.Hi)} }

// PMULHRSW64 is the MMX form of PMULHRSW.
func PMULHRSW64(d, s uint64) uint64 {
	return join16(mulRounded(uint16(d), uint16(s)), mulRounded(uint16(d>>16), uint16(s>>16)),
		mulRounded(uint16(d>>32), uint16(s>>32)), mulRounded(uint16(d>>48), uint16(s>>48)))
}

func mulRounded(a, b uint16) uint16 { return uint16((signedProduct(a, b)>>14 + 1) >> 1) }

// PMULUDQ multiplies the even unsigned doublewords.
func PMULUDQ(d, s X) X { return X{PMULUDQ64(d.Lo, s.Lo), PMULUDQ64(d.Hi, s.Hi)} }

// PMULUDQ64 is the MMX form of PMULUDQ.
func PMULUDQ64(d, s uint64) uint64 { return d & 0xffffffff * (s & 0xffffffff) }

// PMULDQ multiplies the even signed doublewords. SSE4.1.
func PMULDQ(d, s X) X {
	return X{uint64(int64(int32(d.Lo)) * int64(int32(s.Lo))),
		uint64(int64(int32(d.Hi)) * int64(int32(s.Hi)))}
}

// PMULLD keeps the low halves of the products of doublewords. SSE4.1.
func PMULLD(d, s X) X {
	return X{join32(uint32(d.Lo)*uint32(s.Lo), uint32(d.Lo>>32)*uint32(s.Lo>>32)),
		join32(uint32(d.Hi)*uint32(s.Hi), uint32(d.Hi>>32)*uint32(s.Hi>>32))}
}

// PMADDWD multiplies signed words and adds the products in pairs.
func PMADDWD(d, s X) X { return X{PMADDWD64(d.Lo, s.Lo), PMADDWD64(d.Hi, s.Hi)} }

// PMADDWD64 is the MMX form of PMADDWD.
func PMADDWD64(d, s uint64) uint64 {
	lo := signedProduct(uint16(d), uint16(s)) + signedProduct(uint16(d>>16), uint16(s>>16))
	hi := signedProduct(uint16(d>>32), uint16(s>>32)) + signedProduct(uint16(d>>48), uint16(s>>48))
	return join32(uint32(lo), uint32(hi))
}

// PMADDUBSW multiplies unsigned bytes of d with signed bytes of s and adds
// the products in pairs, saturating. SSSE3.
func PMADDUBSW(d, s X) X { return X{PMADDUBSW64(d.Lo, s.Lo), PMADDUBSW64(d.Hi, s.Hi)} }

// PMADDUBSW64 is the MMX form of PMADDUBSW.
func PMADDUBSW64(d, s uint64) uint64 {
	return join16(mulAddBytes(uint16(d), uint16(s)), mulAddBytes(uint16(d>>16), uint16(s>>16)),
		mulAddBytes(uint16(d>>32), uint16(s>>32)), mulAddBytes(uint16(d>>48), uint16(s>>48)))
}

func mulAddBytes(a, b uint16) uint16 {
	lo := int32(a&0xff) * int32(int8(b))
	hi := int32(a>>8) * int32(int8(b>>8))
	return saturate16(lo + hi)
}

// PHMINPOSUW finds the smallest unsigned word and its position. SSE4.1.
func PHMINPOSUW(s X) X {
	least, position := s.word8(0), uint(0)
	for i := uint(1); i < 8; i++ {
		if w := s.word8(i); w < least {
			least, position = w, i
		}
	}
	return X{uint64(least) | uint64(position)<<16, 0}
}

// MPSADBW sums absolute differences of a block of four bytes of s, chosen by
// imm, with the blocks at eight successive positions of d. SSE4.1.
func MPSADBW(d, s X, imm uint8) X {
	block := s.dword(uint(imm & 3))
	// Eleven bytes of d are looked at; start is the first.
	start := uint(imm >> 2 & 1 * 4)
	var sums [8]uint16
	for i := range sums {
		at := start + uint(i)
		for j := uint(0); j < 4; j++ {
			diff := int(d.byte16(at+j)) - int(byte(block>>(8*j)))
			sums[i] += uint16(max(diff, -diff))
		}
	}
	return X{join16(sums[0], sums[1], sums[2], sums[3]), join16(sums[4], sums[5], sums[6], sums[7])}
}
