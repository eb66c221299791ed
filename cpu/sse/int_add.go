package sse

// Addition and subtraction of integers, wrapping and saturating, and averages.

// PADDB adds bytes, wrapping.
func PADDB(d, s X) X { return X{PADDB64(d.Lo, s.Lo), PADDB64(d.Hi, s.Hi)} }

// PADDB64 is the MMX form of PADDB.
func PADDB64(d, s uint64) uint64 { return addEach(d, s, top8) }

// PADDW adds words, wrapping.
func PADDW(d, s X) X { return X{PADDW64(d.Lo, s.Lo), PADDW64(d.Hi, s.Hi)} }

// PADDW64 is the MMX form of PADDW.
func PADDW64(d, s uint64) uint64 { return addEach(d, s, top16) }

// PADDD adds doublewords, wrapping.
func PADDD(d, s X) X { return X{PADDD64(d.Lo, s.Lo), PADDD64(d.Hi, s.Hi)} }

// PADDD64 is the MMX form of PADDD.
func PADDD64(d, s uint64) uint64 { return addEach(d, s, top32) }

// PADDQ adds quadwords.
func PADDQ(d, s X) X { return X{PADDQ64(d.Lo, s.Lo), PADDQ64(d.Hi, s.Hi)} }

// PADDQ64 is the MMX form of PADDQ.
func PADDQ64(d, s uint64) uint64 { return d + s }

// PSUBB subtracts bytes, wrapping.
func PSUBB(d, s X) X { return X{PSUBB64(d.Lo, s.Lo), PSUBB64(d.Hi, s.Hi)} }

// PSUBB64 is the MMX form of PSUBB.
func PSUBB64(d, s uint64) uint64 { return subEach(d, s, top8) }

// PSUBW subtracts words, wrapping.
func PSUBW(d, s X) X { return X{PSUBW64(d.Lo, s.Lo), PSUBW64(d.Hi, s.Hi)} }

// PSUBW64 is the MMX form of PSUBW.
func PSUBW64(d, s uint64) uint64 { return subEach(d, s, top16) }

// PSUBD subtracts doublewords, wrapping.
func PSUBD(d, s X) X { return X{PSUBD64(d.Lo, s.Lo), PSUBD64(d.Hi, s.Hi)} }

// PSUBD64 is the MMX form of PSUBD.
func PSUBD64(d, s uint64) uint64 { return subEach(d, s, top32) }

// PSUBQ subtracts quadwords.
func PSUBQ(d, s X) X { return X{PSUBQ64(d.Lo, s.Lo), PSUBQ64(d.Hi, s.Hi)} }

// PSUBQ64 is the MMX form of PSUBQ.
func PSUBQ64(d, s uint64) uint64 { return d - s }

// PADDUSB adds unsigned bytes, saturating.
func PADDUSB(d, s X) X { return X{PADDUSB64(d.Lo, s.Lo), PADDUSB64(d.Hi, s.Hi)} }

// PADDUSB64 is the MMX form of PADDUSB.
func PADDUSB64(d, s uint64) uint64 {
	sum := addEach(d, s, top8)
	return sum | fill8(carries(d, s, sum, top8))
}

// PADDUSW adds unsigned words, saturating.
func PADDUSW(d, s X) X { return X{PADDUSW64(d.Lo, s.Lo), PADDUSW64(d.Hi, s.Hi)} }

// PADDUSW64 is the MMX form of PADDUSW.
func PADDUSW64(d, s uint64) uint64 {
	sum := addEach(d, s, top16)
	return sum | fill16(carries(d, s, sum, top16))
}

// PSUBUSB subtracts unsigned bytes, stopping at zero.
func PSUBUSB(d, s X) X { return X{PSUBUSB64(d.Lo, s.Lo), PSUBUSB64(d.Hi, s.Hi)} }

// PSUBUSB64 is the MMX form of PSUBUSB.
func PSUBUSB64(d, s uint64) uint64 { return subEach(d, s, top8) &^ fill8(below(d, s, top8)) }

// PSUBUSW subtracts unsigned words, stopping at zero.
func PSUBUSW(d, s X) X { return X{PSUBUSW64(d.Lo, s.Lo), PSUBUSW64(d.Hi, s.Hi)} }

// PSUBUSW64 is the MMX form of PSUBUSW.
func PSUBUSW64(d, s uint64) uint64 { return subEach(d, s, top16) &^ fill16(below(d, s, top16)) }

// PADDSB adds signed bytes, saturating.
func PADDSB(d, s X) X { return X{PADDSB64(d.Lo, s.Lo), PADDSB64(d.Hi, s.Hi)} }

// PADDSB64 is the MMX form of PADDSB.
func PADDSB64(d, s uint64) uint64 {
	sum := addEach(d, s, top8)
	overflow := ^(d ^ s) & (d ^ sum) & top8
	return choose(fill8(overflow), bound(d, top8, 8), sum)
}

// PADDSW adds signed words, saturating.
func PADDSW(d, s X) X { return X{PADDSW64(d.Lo, s.Lo), PADDSW64(d.Hi, s.Hi)} }

// PADDSW64 is the MMX form of PADDSW.
func PADDSW64(d, s uint64) uint64 {
	sum := addEach(d, s, top16)
	overflow := ^(d ^ s) & (d ^ sum) & top16
	return choose(fill16(overflow), bound(d, top16, 16), sum)
}

// PSUBSB subtracts signed bytes, saturating.
func PSUBSB(d, s X) X { return X{PSUBSB64(d.Lo, s.Lo), PSUBSB64(d.Hi, s.Hi)} }

// PSUBSB64 is the MMX form of PSUBSB.
func PSUBSB64(d, s uint64) uint64 {
	diff := subEach(d, s, top8)
	overflow := (d ^ s) & (d ^ diff) & top8
	return choose(fill8(overflow), bound(d, top8, 8), diff)
}

// PSUBSW subtracts signed words, saturating.
func PSUBSW(d, s X) X { return X{PSUBSW64(d.Lo, s.Lo), PSUBSW64(d.Hi, s.Hi)} }

// PSUBSW64 is the MMX form of PSUBSW.
func PSUBSW64(d, s uint64) uint64 {
	diff := subEach(d, s, top16)
	overflow := (d ^ s) & (d ^ diff) & top16
	return choose(fill16(overflow), bound(d, top16, 16), diff)
}

// bound is the value at which an element of the sign of d saturates: the
// largest positive number, or one more, which is the most negative.
func bound(d, top uint64, width uint) uint64 { return ^top + d&top>>(width-1) }

// PAVGB averages unsigned bytes, rounding up.
func PAVGB(d, s X) X { return X{PAVGB64(d.Lo, s.Lo), PAVGB64(d.Hi, s.Hi)} }

// PAVGB64 is the MMX form of PAVGB.
func PAVGB64(d, s uint64) uint64 { return (d | s) - (d^s)&^ones8>>1 }

// PAVGW averages unsigned words, rounding up.
func PAVGW(d, s X) X { return X{PAVGW64(d.Lo, s.Lo), PAVGW64(d.Hi, s.Hi)} }

// PAVGW64 is the MMX form of PAVGW.
func PAVGW64(d, s uint64) uint64 { return (d | s) - (d^s)&^ones16>>1 }

// PSADBW sums the absolute differences of unsigned bytes, each half by itself.
func PSADBW(d, s X) X { return X{PSADBW64(d.Lo, s.Lo), PSADBW64(d.Hi, s.Hi)} }

// PSADBW64 is the MMX form of PSADBW.
func PSADBW64(d, s uint64) uint64 {
	// The larger minus the smaller byte borrows from nobody.
	diff := PMAXUB64(d, s) - PMINUB64(d, s)
	const evenBytes = 0x00ff00ff00ff00ff
	pairs := diff&evenBytes + diff>>8&evenBytes
	return pairs * ones16 >> 48
}
