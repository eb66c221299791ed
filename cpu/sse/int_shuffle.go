package sse

// Rearranging elements, and moving them to and from general registers.

// PSHUFD picks doublewords of s, two bits of imm for each.
func PSHUFD(s X, imm uint8) X {
	i := uint(imm)
	return X{join32(s.dword(i), s.dword(i>>2)), join32(s.dword(i>>4), s.dword(i>>6))}
}

// PSHUFW64 picks words of an MMX register.
func PSHUFW64(s uint64, imm uint8) uint64 {
	i := uint(imm)
	return join16(word(s, i), word(s, i>>2), word(s, i>>4), word(s, i>>6))
}

// PSHUFLW rearranges the low four words.
func PSHUFLW(s X, imm uint8) X { return X{PSHUFW64(s.Lo, imm), s.Hi} }

// PSHUFHW rearranges the high four words.
func PSHUFHW(s X, imm uint8) X { return X{s.Lo, PSHUFW64(s.Hi, imm)} }

// SHUFPS picks two doublewords of d, then two of s.
func SHUFPS(d, s X, imm uint8) X {
	i := uint(imm)
	return X{join32(d.dword(i), d.dword(i>>2)), join32(s.dword(i>>4), s.dword(i>>6))}
}

// SHUFPD picks one quadword of d, then one of s.
func SHUFPD(d, s X, imm uint8) X {
	r := X{d.Lo, s.Lo}
	if imm&1 != 0 {
		r.Lo = d.Hi
	}
	if imm&2 != 0 {
		r.Hi = s.Hi
	}
	return r
}

// MOVDDUP doubles the low quadword. SSE3.
func MOVDDUP(s uint64) X { return X{s, s} }

// MOVSLDUP doubles the even doublewords. SSE3.
func MOVSLDUP(s X) X { return PSHUFD(s, 0b10_10_00_00) }

// MOVSHDUP doubles the odd doublewords. SSE3.
func MOVSHDUP(s X) X { return PSHUFD(s, 0b11_11_01_01) }

// PMOVMSKB gathers the top bits of the bytes.
func PMOVMSKB(s X) uint32 { return PMOVMSKB64(s.Lo) | PMOVMSKB64(s.Hi)<<8 }

// PMOVMSKB64 is the MMX form of PMOVMSKB.
func PMOVMSKB64(s uint64) uint32 {
	// The product puts bit 8i at 56+i, and nothing else arrives there.
	const gather = 0x0102040810204080
	return uint32((s >> 7 & ones8) * gather >> 56)
}

// MOVMSKPS gathers the signs of the singles.
func MOVMSKPS(s X) uint32 {
	return uint32(s.Lo>>31&1 | s.Lo>>63<<1 | s.Hi>>31&1<<2 | s.Hi>>63<<3)
}

// MOVMSKPD gathers the signs of the doubles.
func MOVMSKPD(s X) uint32 { return uint32(s.Lo>>63 | s.Hi>>63<<1) }

// PEXTRW reads a word.
func PEXTRW(s X, imm uint8) uint32 { return uint32(s.word8(uint(imm))) }

// PEXTRW64 is the MMX form of PEXTRW.
func PEXTRW64(s uint64, imm uint8) uint32 { return uint32(word(s, uint(imm))) }

// PEXTRB reads a byte. SSE4.1.
func PEXTRB(s X, imm uint8) uint32 { return uint32(s.byte16(uint(imm))) }

// PEXTRD reads a doubleword, and so does EXTRACTPS. SSE4.1.
func PEXTRD(s X, imm uint8) uint32 { return s.dword(uint(imm)) }

// PEXTRQ reads a quadword. SSE4.1.
func PEXTRQ(s X, imm uint8) uint64 {
	if imm&1 != 0 {
		return s.Hi
	}
	return s.Lo
}

// insert writes the low width bits of v at element i of a quadword.
func insert(a, v uint64, width, i uint) uint64 {
	mask := (uint64(1)<<width - 1) << (width * i)
	return choose(mask, v<<(width*i), a)
}

// PINSRW writes a word.
func PINSRW(d X, v uint32, imm uint8) X { return d.insert(uint64(v), 16, uint(imm)&7) }

// PINSRW64 is the MMX form of PINSRW.
func PINSRW64(d uint64, v uint32, imm uint8) uint64 { return insert(d, uint64(v), 16, uint(imm)&3) }

// PINSRB writes a byte. SSE4.1.
func PINSRB(d X, v uint32, imm uint8) X { return d.insert(uint64(v), 8, uint(imm)&15) }

// PINSRD writes a doubleword. SSE4.1.
func PINSRD(d X, v uint32, imm uint8) X { return d.insert(uint64(v), 32, uint(imm)&3) }

// PINSRQ writes a quadword. SSE4.1.
func PINSRQ(d X, v uint64, imm uint8) X {
	if imm&1 != 0 {
		return X{d.Lo, v}
	}
	return X{v, d.Hi}
}

func (x X) insert(v uint64, width, i uint) X {
	perWord := 64 / width
	if i >= perWord {
		return X{x.Lo, insert(x.Hi, v, width, i-perWord)}
	}
	return X{insert(x.Lo, v, width, i), x.Hi}
}

// INSERTPS puts v into a single of d and clears those named by the low four
// bits of imm. A register source gives v by [PEXTRD] with imm>>6, a memory
// source is v itself. SSE4.1.
func INSERTPS(d X, v uint32, imm uint8) X {
	d = PINSRD(d, v, imm>>4)
	for i := uint(0); i < 4; i++ {
		if imm>>i&1 != 0 {
			d = d.insert(0, 32, i)
		}
	}
	return d
}

// Blends take an element of s where a bit is set, of d elsewhere. SSE4.1.

// PBLENDW goes by the bits of imm, one for each word.
func PBLENDW(d, s X, imm uint8) X {
	const each = 1<<48<<3 | 1<<32<<2 | 1<<16<<1 | 1 // bit i, within word i
	tops := func(bits uint8) uint64 {
		chosen := uint64(bits) * ones16 & each
		return fill16(^zeros(chosen, top16) & top16)
	}
	return X{choose(tops(imm&15), s.Lo, d.Lo), choose(tops(imm>>4), s.Hi, d.Hi)}
}

// BLENDPS goes by the bits of imm, one for each doubleword.
func BLENDPS(d, s X, imm uint8) X {
	half := func(bits uint8) uint64 {
		return fill32(uint64(bits&1)<<31 | uint64(bits>>1&1)<<63)
	}
	return X{choose(half(imm), s.Lo, d.Lo), choose(half(imm>>2), s.Hi, d.Hi)}
}

// BLENDPD goes by the low two bits of imm.
func BLENDPD(d, s X, imm uint8) X {
	if imm&1 != 0 {
		d.Lo = s.Lo
	}
	if imm&2 != 0 {
		d.Hi = s.Hi
	}
	return d
}

// PBLENDVB goes by the top bits of the bytes of the mask, which is XMM0.
func PBLENDVB(d, s, mask X) X {
	return X{choose(fill8(mask.Lo&top8), s.Lo, d.Lo), choose(fill8(mask.Hi&top8), s.Hi, d.Hi)}
}

// BLENDVPS goes by the signs of the singles of XMM0.
func BLENDVPS(d, s, mask X) X {
	return X{choose(fill32(mask.Lo&top32), s.Lo, d.Lo), choose(fill32(mask.Hi&top32), s.Hi, d.Hi)}
}

// BLENDVPD goes by the signs of the doubles of XMM0.
func BLENDVPD(d, s, mask X) X {
	return BLENDPD(d, s, uint8(mask.Lo>>63|mask.Hi>>63<<1))
}

// PTEST tells in ZF whether d AND s is zero, in CF whether s has no bit that
// d lacks; the other arithmetic flags become zero. SSE4.1.
func PTEST(d, s X) (eflags uint32) {
	if d.Lo&s.Lo|d.Hi&s.Hi == 0 {
		eflags = ZF
	}
	if s.Lo&^d.Lo|s.Hi&^d.Hi == 0 {
		eflags |= CF
	}
	return eflags
}
