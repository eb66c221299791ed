package sse

// Packing with saturation, interleaving, widening.

func saturate16(v int32) uint16  { return uint16(min(max(v, -32768), 32767)) }
func saturateU16(v int32) uint16 { return uint16(min(max(v, 0), 65535)) }

// PACKSSWB narrows signed words to signed bytes: d below, s above.
func PACKSSWB(d, s X) X { return X{PACKSSWB64(d.Lo, d.Hi), PACKSSWB64(s.Lo, s.Hi)} }

// PACKSSWB64 is the MMX form of PACKSSWB.
func PACKSSWB64(d, s uint64) uint64 {
	// The signed range is the unsigned one, shifted by 128.
	const shift = 128 * ones16
	return PACKUSWB64(PADDSW64(d, shift), PADDSW64(s, shift)) ^ top8
}

// PACKUSWB narrows signed words to unsigned bytes.
func PACKUSWB(d, s X) X { return X{PACKUSWB64(d.Lo, d.Hi), PACKUSWB64(s.Lo, s.Hi)} }

// PACKUSWB64 is the MMX form of PACKUSWB.
func PACKUSWB64(d, s uint64) uint64 { return narrowWords(d) | narrowWords(s)<<32 }

// narrowWords saturates four words to unsigned bytes.
func narrowWords(a uint64) uint64 {
	negative := a & top16
	large := (a&^top16 + 0x7f00*ones16) & top16 // more than 255
	a = (a | fill16(large)) &^ fill16(negative) & 0x00ff00ff00ff00ff
	a = (a | a>>8) & 0x0000ffff0000ffff
	return (a | a>>16) & 0xffffffff
}

// PACKSSDW narrows signed doublewords to signed words.
func PACKSSDW(d, s X) X { return X{PACKSSDW64(d.Lo, d.Hi), PACKSSDW64(s.Lo, s.Hi)} }

// PACKSSDW64 is the MMX form of PACKSSDW.
func PACKSSDW64(d, s uint64) uint64 {
	return join16(saturate16(int32(d)), saturate16(int32(d>>32)),
		saturate16(int32(s)), saturate16(int32(s>>32)))
}

// PACKUSDW narrows signed doublewords to unsigned words. SSE4.1.
func PACKUSDW(d, s X) X {
	return X{join16(saturateU16(int32(d.Lo)), saturateU16(int32(d.Lo>>32)),
		saturateU16(int32(d.Hi)), saturateU16(int32(d.Hi>>32))),
		join16(saturateU16(int32(s.Lo)), saturateU16(int32(s.Lo>>32)),
			saturateU16(int32(s.Hi)), saturateU16(int32(s.Hi>>32)))}
}

// spread8 puts the low four bytes into the even bytes; spread16 the low two
// words into the even words.
func spread8(a uint64) uint64 {
	a = spread16(a)
	return (a | a<<8) & 0x00ff00ff00ff00ff
}

func spread16(a uint64) uint64 {
	a &= 0xffffffff
	return (a | a<<16) & 0x0000ffff0000ffff
}

// PUNPCKLBW64 interleaves the low bytes of d and s.
func PUNPCKLBW64(d, s uint64) uint64 { return spread8(d) | spread8(s)<<8 }

// PUNPCKHBW64 interleaves the high bytes.
func PUNPCKHBW64(d, s uint64) uint64 { return PUNPCKLBW64(d>>32, s>>32) }

// PUNPCKLWD64 interleaves the low words.
func PUNPCKLWD64(d, s uint64) uint64 { return spread16(d) | spread16(s)<<16 }

// PUNPCKHWD64 interleaves the high words.
func PUNPCKHWD64(d, s uint64) uint64 { return PUNPCKLWD64(d>>32, s>>32) }

// PUNPCKLDQ64 joins the low doublewords.
func PUNPCKLDQ64(d, s uint64) uint64 { return d&0xffffffff | s<<32 }

// PUNPCKHDQ64 joins the high doublewords.
func PUNPCKHDQ64(d, s uint64) uint64 { return d>>32 | s&^0xffffffff }

// In XMM registers a half of the operands fills the whole result.

func PUNPCKLBW(d, s X) X { return X{PUNPCKLBW64(d.Lo, s.Lo), PUNPCKHBW64(d.Lo, s.Lo)} }
func PUNPCKHBW(d, s X) X { return X{PUNPCKLBW64(d.Hi, s.Hi), PUNPCKHBW64(d.Hi, s.Hi)} }
func PUNPCKLWD(d, s X) X { return X{PUNPCKLWD64(d.Lo, s.Lo), PUNPCKHWD64(d.Lo, s.Lo)} }
func PUNPCKHWD(d, s X) X { return X{PUNPCKLWD64(d.Hi, s.Hi), PUNPCKHWD64(d.Hi, s.Hi)} }

// PUNPCKLDQ is UNPCKLPS, too.
func PUNPCKLDQ(d, s X) X { return X{PUNPCKLDQ64(d.Lo, s.Lo), PUNPCKHDQ64(d.Lo, s.Lo)} }

// PUNPCKHDQ is UNPCKHPS, too.
func PUNPCKHDQ(d, s X) X { return X{PUNPCKLDQ64(d.Hi, s.Hi), PUNPCKHDQ64(d.Hi, s.Hi)} }

// PUNPCKLQDQ is UNPCKLPD and MOVLHPS, too.
func PUNPCKLQDQ(d, s X) X { return X{d.Lo, s.Lo} }

// PUNPCKHQDQ is UNPCKHPD, too.
func PUNPCKHQDQ(d, s X) X { return X{d.Hi, s.Hi} }

// Widening, SSE4.1. The source is the low part of a register or a memory
// operand of that many bits; what lies above is ignored.

func PMOVZXBW(s uint64) X { return X{spread8(s), spread8(s >> 32)} }
func PMOVZXBD(s uint64) X { return PMOVZXWD(spread8(s)) }
func PMOVZXBQ(s uint64) X { return PMOVZXDQ(spread16(spread8(s))) }
func PMOVZXWD(s uint64) X { return X{spread16(s), spread16(s >> 32)} }
func PMOVZXWQ(s uint64) X { return PMOVZXDQ(spread16(s)) }
func PMOVZXDQ(s uint64) X { return X{s & 0xffffffff, s >> 32} }

func PMOVSXBW(s uint64) X { return extend(PMOVZXBW(s), 0x80*ones16, top16) }
func PMOVSXBD(s uint64) X { return extend(PMOVZXBD(s), 0x80<<32|0x80, top32) }
func PMOVSXBQ(s uint64) X { return X{uint64(int8(s)), uint64(int8(s >> 8))} }
func PMOVSXWD(s uint64) X { return extend(PMOVZXWD(s), 0x8000<<32|0x8000, top32) }
func PMOVSXWQ(s uint64) X { return X{uint64(int16(s)), uint64(int16(s >> 16))} }
func PMOVSXDQ(s uint64) X { return X{uint64(int32(s)), uint64(int32(s >> 32))} }

// extend carries the bit at sign to all higher bits of its element.
func extend(x X, sign, top uint64) X {
	return X{subEach(x.Lo^sign, sign, top), subEach(x.Hi^sign, sign, top)}
}
