package sse

// SSSE3: shuffling bytes, horizontal arithmetic, signs.

// PSHUFB picks for each byte of s that byte of d, or zero if its top bit is
// set.
func PSHUFB(d, s X) X {
	half := func(selectors uint64) (r uint64) {
		for i := 0; i < 64; i += 8 {
			if sel := uint(selectors >> i); sel&0x80 == 0 {
				r |= uint64(d.byte16(sel)) << i
			}
		}
		return r
	}
	return X{half(s.Lo), half(s.Hi)}
}

// PSHUFB64 is the MMX form of PSHUFB.
func PSHUFB64(d, s uint64) (r uint64) {
	for i := 0; i < 64; i += 8 {
		if sel := s >> i; sel&0x80 == 0 {
			r |= d >> (sel & 7 * 8) & 0xff << i
		}
	}
	return r
}

// Horizontal operations work on neighbours: evenWords and oddWords bring the
// left and the right operands together.

func evenWords(d, s uint64) uint64 {
	return join16(uint16(d), uint16(d>>32), uint16(s), uint16(s>>32))
}

func oddWords(d, s uint64) uint64 { return evenWords(d>>16, s>>16) }

// PHADDW adds neighbouring words.
func PHADDW(d, s X) X { return X{PHADDW64(d.Lo, d.Hi), PHADDW64(s.Lo, s.Hi)} }

// PHADDW64 is the MMX form of PHADDW.
func PHADDW64(d, s uint64) uint64 { return PADDW64(evenWords(d, s), oddWords(d, s)) }

// PHADDSW adds neighbouring signed words, saturating.
func PHADDSW(d, s X) X { return X{PHADDSW64(d.Lo, d.Hi), PHADDSW64(s.Lo, s.Hi)} }

// PHADDSW64 is the MMX form of PHADDSW.
func PHADDSW64(d, s uint64) uint64 { return PADDSW64(evenWords(d, s), oddWords(d, s)) }

// PHADDD adds neighbouring doublewords.
func PHADDD(d, s X) X { return X{PHADDD64(d.Lo, d.Hi), PHADDD64(s.Lo, s.Hi)} }

// PHADDD64 is the MMX form of PHADDD.
func PHADDD64(d, s uint64) uint64 {
	return PADDD64(PUNPCKLDQ64(d, s), PUNPCKHDQ64(d, s))
}

// PHSUBW subtracts each odd word from the even one before it.
func PHSUBW(d, s X) X { return X{PHSUBW64(d.Lo, d.Hi), PHSUBW64(s.Lo, s.Hi)} }

// PHSUBW64 is the MMX form of PHSUBW.
func PHSUBW64(d, s uint64) uint64 { return PSUBW64(evenWords(d, s), oddWords(d, s)) }

// PHSUBSW does so saturating.
func PHSUBSW(d, s X) X { return X{PHSUBSW64(d.Lo, d.Hi), PHSUBSW64(s.Lo, s.Hi)} }

// PHSUBSW64 is the MMX form of PHSUBSW.
func PHSUBSW64(d, s uint64) uint64 { return PSUBSW64(evenWords(d, s), oddWords(d, s)) }

// PHSUBD subtracts each odd doubleword from the even one before it.
func PHSUBD(d, s X) X { return X{PHSUBD64(d.Lo, d.Hi), PHSUBD64(s.Lo, s.Hi)} }

// PHSUBD64 is the MMX form of PHSUBD.
func PHSUBD64(d, s uint64) uint64 {
	return PSUBD64(PUNPCKLDQ64(d, s), PUNPCKHDQ64(d, s))
}

// negateWhere negates the elements in which mask is all ones.
func negateWhere(a, mask, top uint64) uint64 { return subEach(a^mask, mask, top) }

// PABSB makes bytes positive; the most negative stays as it is.
func PABSB(s X) X { return X{PABSB64(s.Lo), PABSB64(s.Hi)} }

// PABSB64 is the MMX form of PABSB.
func PABSB64(s uint64) uint64 { return negateWhere(s, fill8(s&top8), top8) }

// PABSW makes words positive.
func PABSW(s X) X { return X{PABSW64(s.Lo), PABSW64(s.Hi)} }

// PABSW64 is the MMX form of PABSW.
func PABSW64(s uint64) uint64 { return negateWhere(s, fill16(s&top16), top16) }

// PABSD makes doublewords positive.
func PABSD(s X) X { return X{PABSD64(s.Lo), PABSD64(s.Hi)} }

// PABSD64 is the MMX form of PABSD.
func PABSD64(s uint64) uint64 { return negateWhere(s, fill32(s&top32), top32) }

// PSIGNB multiplies the bytes of d with the signs of those of s: minus one,
// zero or one.
func PSIGNB(d, s X) X { return X{PSIGNB64(d.Lo, s.Lo), PSIGNB64(d.Hi, s.Hi)} }

// PSIGNB64 is the MMX form of PSIGNB.
func PSIGNB64(d, s uint64) uint64 {
	return negateWhere(d, fill8(s&top8), top8) &^ fill8(zeros(s, top8))
}

// PSIGNW does so with words.
func PSIGNW(d, s X) X { return X{PSIGNW64(d.Lo, s.Lo), PSIGNW64(d.Hi, s.Hi)} }

// PSIGNW64 is the MMX form of PSIGNW.
func PSIGNW64(d, s uint64) uint64 {
	return negateWhere(d, fill16(s&top16), top16) &^ fill16(zeros(s, top16))
}

// PSIGND does so with doublewords.
func PSIGND(d, s X) X { return X{PSIGND64(d.Lo, s.Lo), PSIGND64(d.Hi, s.Hi)} }

// PSIGND64 is the MMX form of PSIGND.
func PSIGND64(d, s uint64) uint64 {
	return negateWhere(d, fill32(s&top32), top32) &^ fill32(zeros(s, top32))
}
