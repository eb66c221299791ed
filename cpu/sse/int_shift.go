package sse

// Shifts. The count is the immediate, or the low 64 bits of the source
// register, all of which count: anything not below the width empties the
// element (or fills it with its sign).

// PSLLW shifts words left.
func PSLLW(d X, count uint64) X { return X{PSLLW64(d.Lo, count), PSLLW64(d.Hi, count)} }

// PSLLW64 is the MMX form of PSLLW.
func PSLLW64(d, count uint64) uint64 {
	if count > 15 {
		return 0
	}
	return d << count & (0xffff << count & 0xffff * ones16)
}

// PSLLD shifts doublewords left.
func PSLLD(d X, count uint64) X { return X{PSLLD64(d.Lo, count), PSLLD64(d.Hi, count)} }

// PSLLD64 is the MMX form of PSLLD.
func PSLLD64(d, count uint64) uint64 {
	return join32(uint32(d)<<count, uint32(d>>32)<<count)
}

// PSLLQ shifts quadwords left.
func PSLLQ(d X, count uint64) X { return X{d.Lo << count, d.Hi << count} }

// PSLLQ64 is the MMX form of PSLLQ.
func PSLLQ64(d, count uint64) uint64 { return d << count }

// PSRLW shifts words right.
func PSRLW(d X, count uint64) X { return X{PSRLW64(d.Lo, count), PSRLW64(d.Hi, count)} }

// PSRLW64 is the MMX form of PSRLW.
func PSRLW64(d, count uint64) uint64 {
	if count > 15 {
		return 0
	}
	return d >> count & (0xffff >> count * ones16)
}

// PSRLD shifts doublewords right.
func PSRLD(d X, count uint64) X { return X{PSRLD64(d.Lo, count), PSRLD64(d.Hi, count)} }

// PSRLD64 is the MMX form of PSRLD.
func PSRLD64(d, count uint64) uint64 {
	return join32(uint32(d)>>count, uint32(d>>32)>>count)
}

// PSRLQ shifts quadwords right.
func PSRLQ(d X, count uint64) X { return X{d.Lo >> count, d.Hi >> count} }

// PSRLQ64 is the MMX form of PSRLQ.
func PSRLQ64(d, count uint64) uint64 { return d >> count }

// PSRAW shifts signed words right.
func PSRAW(d X, count uint64) X { return X{PSRAW64(d.Lo, count), PSRAW64(d.Hi, count)} }

// PSRAW64 is the MMX form of PSRAW.
func PSRAW64(d, count uint64) uint64 {
	count = min(count, 15)
	sign := 0x8000 >> count * ones16 // where the sign bits arrive
	return subEach(PSRLW64(d, count)^sign, sign, top16)
}

// PSRAD shifts signed doublewords right.
func PSRAD(d X, count uint64) X { return X{PSRAD64(d.Lo, count), PSRAD64(d.Hi, count)} }

// PSRAD64 is the MMX form of PSRAD.
func PSRAD64(d, count uint64) uint64 {
	return join32(uint32(int32(d)>>count), uint32(int32(d>>32)>>count))
}

// PSLLDQ shifts the register left by bytes.
func PSLLDQ(d X, n uint8) X {
	switch {
	case n >= 16:
		return X{}
	case n >= 8:
		return X{0, d.Lo << (8 * (n - 8))}
	}
	return X{d.Lo << (8 * n), d.Hi<<(8*n) | d.Lo>>(64-8*n)}
}

// PSRLDQ shifts the register right by bytes.
func PSRLDQ(d X, n uint8) X {
	switch {
	case n >= 16:
		return X{}
	case n >= 8:
		return X{d.Hi >> (8 * (n - 8)), 0}
	}
	return X{d.Lo>>(8*n) | d.Hi<<(64-8*n), d.Hi >> (8 * n)}
}

// PALIGNR takes 16 bytes out of d:s, starting at byte n. SSSE3.
func PALIGNR(d, s X, n uint8) X {
	if n >= 16 {
		return PSRLDQ(d, n-16)
	}
	return POR(PSRLDQ(s, n), PSLLDQ(d, 16-n))
}

// PALIGNR64 is the MMX form of PALIGNR.
func PALIGNR64(d, s uint64, n uint8) uint64 {
	if n >= 8 {
		return d >> (8 * uint(n-8))
	}
	return s>>(8*n) | d<<(64-8*n)
}
