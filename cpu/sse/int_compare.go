package sse

// Comparisons of integers, minima and maxima, and the bitwise operations.

// PCMPEQB compares bytes for equality: all ones or zero.
func PCMPEQB(d, s X) X { return X{PCMPEQB64(d.Lo, s.Lo), PCMPEQB64(d.Hi, s.Hi)} }

// PCMPEQB64 is the MMX form of PCMPEQB.
func PCMPEQB64(d, s uint64) uint64 { return fill8(zeros(d^s, top8)) }

// PCMPEQW compares words for equality: all ones or zero.
func PCMPEQW(d, s X) X { return X{PCMPEQW64(d.Lo, s.Lo), PCMPEQW64(d.Hi, s.Hi)} }

// PCMPEQW64 is the MMX form of PCMPEQW.
func PCMPEQW64(d, s uint64) uint64 { return fill16(zeros(d^s, top16)) }

// PCMPEQD compares doublewords for equality: all ones or zero.
func PCMPEQD(d, s X) X { return X{PCMPEQD64(d.Lo, s.Lo), PCMPEQD64(d.Hi, s.Hi)} }

// PCMPEQD64 is the MMX form of PCMPEQD.
func PCMPEQD64(d, s uint64) uint64 { return fill32(zeros(d^s, top32)) }

// PCMPGTB tells which signed bytes of d are greater than those of s.
func PCMPGTB(d, s X) X { return X{PCMPGTB64(d.Lo, s.Lo), PCMPGTB64(d.Hi, s.Hi)} }

// PCMPGTB64 is the MMX form of PCMPGTB.
func PCMPGTB64(d, s uint64) uint64 { return fill8(lessThan(s, d, top8)) }

// PCMPGTW tells which signed words of d are greater than those of s.
func PCMPGTW(d, s X) X { return X{PCMPGTW64(d.Lo, s.Lo), PCMPGTW64(d.Hi, s.Hi)} }

// PCMPGTW64 is the MMX form of PCMPGTW.
func PCMPGTW64(d, s uint64) uint64 { return fill16(lessThan(s, d, top16)) }

// PCMPGTD tells which signed doublewords of d are greater than those of s.
func PCMPGTD(d, s X) X { return X{PCMPGTD64(d.Lo, s.Lo), PCMPGTD64(d.Hi, s.Hi)} }

// PCMPGTD64 is the MMX form of PCMPGTD.
func PCMPGTD64(d, s uint64) uint64 { return fill32(lessThan(s, d, top32)) }

// PCMPEQQ compares quadwords for equality. SSE4.1.
func PCMPEQQ(d, s X) X { return X{allOnes(d.Lo == s.Lo), allOnes(d.Hi == s.Hi)} }

// PCMPGTQ compares signed quadwords. SSE4.2.
func PCMPGTQ(d, s X) X {
	return X{allOnes(int64(d.Lo) > int64(s.Lo)), allOnes(int64(d.Hi) > int64(s.Hi))}
}

func allOnes(yes bool) uint64 {
	if yes {
		return ^uint64(0)
	}
	return 0
}

// PMINUB takes the smaller of unsigned bytes.
func PMINUB(d, s X) X { return X{PMINUB64(d.Lo, s.Lo), PMINUB64(d.Hi, s.Hi)} }

// PMINUB64 is the MMX form of PMINUB.
func PMINUB64(d, s uint64) uint64 { return choose(fill8(below(d, s, top8)), d, s) }

// PMAXUB takes the larger of unsigned bytes.
func PMAXUB(d, s X) X { return X{PMAXUB64(d.Lo, s.Lo), PMAXUB64(d.Hi, s.Hi)} }

// PMAXUB64 is the MMX form of PMAXUB.
func PMAXUB64(d, s uint64) uint64 { return choose(fill8(below(d, s, top8)), s, d) }

// PMINSW takes the smaller of signed words.
func PMINSW(d, s X) X { return X{PMINSW64(d.Lo, s.Lo), PMINSW64(d.Hi, s.Hi)} }

// PMINSW64 is the MMX form of PMINSW.
func PMINSW64(d, s uint64) uint64 { return choose(fill16(lessThan(d, s, top16)), d, s) }

// PMAXSW takes the larger of signed words.
func PMAXSW(d, s X) X { return X{PMAXSW64(d.Lo, s.Lo), PMAXSW64(d.Hi, s.Hi)} }

// PMAXSW64 is the MMX form of PMAXSW.
func PMAXSW64(d, s uint64) uint64 { return choose(fill16(lessThan(d, s, top16)), s, d) }

// The remaining widths came with SSE4.1, for XMM registers only.

// PMINSB takes the smaller of signed bytes.
func PMINSB(d, s X) X {
	return X{choose(fill8(lessThan(d.Lo, s.Lo, top8)), d.Lo, s.Lo),
		choose(fill8(lessThan(d.Hi, s.Hi, top8)), d.Hi, s.Hi)}
}

// PMAXSB takes the larger of signed bytes.
func PMAXSB(d, s X) X {
	return X{choose(fill8(lessThan(d.Lo, s.Lo, top8)), s.Lo, d.Lo),
		choose(fill8(lessThan(d.Hi, s.Hi, top8)), s.Hi, d.Hi)}
}

// PMINUW takes the smaller of unsigned words.
func PMINUW(d, s X) X {
	return X{choose(fill16(below(d.Lo, s.Lo, top16)), d.Lo, s.Lo),
		choose(fill16(below(d.Hi, s.Hi, top16)), d.Hi, s.Hi)}
}

// PMAXUW takes the larger of unsigned words.
func PMAXUW(d, s X) X {
	return X{choose(fill16(below(d.Lo, s.Lo, top16)), s.Lo, d.Lo),
		choose(fill16(below(d.Hi, s.Hi, top16)), s.Hi, d.Hi)}
}

// PMINSD takes the smaller of signed doublewords.
func PMINSD(d, s X) X {
	return X{choose(fill32(lessThan(d.Lo, s.Lo, top32)), d.Lo, s.Lo),
		choose(fill32(lessThan(d.Hi, s.Hi, top32)), d.Hi, s.Hi)}
}

// PMAXSD takes the larger of signed doublewords.
func PMAXSD(d, s X) X {
	return X{choose(fill32(lessThan(d.Lo, s.Lo, top32)), s.Lo, d.Lo),
		choose(fill32(lessThan(d.Hi, s.Hi, top32)), s.Hi, d.Hi)}
}

// PMINUD takes the smaller of unsigned doublewords.
func PMINUD(d, s X) X {
	return X{choose(fill32(below(d.Lo, s.Lo, top32)), d.Lo, s.Lo),
		choose(fill32(below(d.Hi, s.Hi, top32)), d.Hi, s.Hi)}
}

// PMAXUD takes the larger of unsigned doublewords.
func PMAXUD(d, s X) X {
	return X{choose(fill32(below(d.Lo, s.Lo, top32)), s.Lo, d.Lo),
		choose(fill32(below(d.Hi, s.Hi, top32)), s.Hi, d.Hi)}
}

// PAND is the bitwise AND; ANDPS and ANDPD, too.
func PAND(d, s X) X { return X{PAND64(d.Lo, s.Lo), PAND64(d.Hi, s.Hi)} }

// PAND64 is the MMX form of PAND.
func PAND64(d, s uint64) uint64 { return d & s }

// PANDN is AND with the complement of d; ANDNPS and ANDNPD, too.
func PANDN(d, s X) X { return X{PANDN64(d.Lo, s.Lo), PANDN64(d.Hi, s.Hi)} }

// PANDN64 is the MMX form of PANDN.
func PANDN64(d, s uint64) uint64 { return ^d & s }

// POR is the bitwise OR; ORPS and ORPD, too.
func POR(d, s X) X { return X{POR64(d.Lo, s.Lo), POR64(d.Hi, s.Hi)} }

// POR64 is the MMX form of POR.
func POR64(d, s uint64) uint64 { return d | s }

// PXOR is the exclusive OR; XORPS and XORPD, too.
func PXOR(d, s X) X { return X{PXOR64(d.Lo, s.Lo), PXOR64(d.Hi, s.Hi)} }

// PXOR64 is the MMX form of PXOR.
func PXOR64(d, s uint64) uint64 { return d ^ s }
