package sse

// X is the contents of an XMM register or of 128 bits of memory.
type X struct{ Lo, Hi uint64 }

// fromLanes32 joins the elements, the least significant first.
func fromLanes32(a, b, c, d uint32) X {
	return X{uint64(a) | uint64(b)<<32, uint64(c) | uint64(d)<<32}
}

// Operations on one element, and how they become packed ones.
type (
	binary32 func(a, b uint32, c Control) (uint32, Flags)
	binary64 func(a, b uint64, c Control) (uint64, Flags)
	unary32  func(a uint32, c Control) (uint32, Flags)
	unary64  func(a uint64, c Control) (uint64, Flags)
)

func (op binary32) packed(d, s X, c Control) (X, Flags) {
	r0, f0 := op(uint32(d.Lo), uint32(s.Lo), c)
	r1, f1 := op(uint32(d.Lo>>32), uint32(s.Lo>>32), c)
	r2, f2 := op(uint32(d.Hi), uint32(s.Hi), c)
	r3, f3 := op(uint32(d.Hi>>32), uint32(s.Hi>>32), c)
	return fromLanes32(r0, r1, r2, r3), c.Merge(f0 | f1 | f2 | f3)
}

func (op binary64) packed(d, s X, c Control) (X, Flags) {
	lo, f0 := op(d.Lo, s.Lo, c)
	hi, f1 := op(d.Hi, s.Hi, c)
	return X{lo, hi}, c.Merge(f0 | f1)
}

func (op unary32) packed(s X, c Control) (X, Flags) {
	r0, f0 := op(uint32(s.Lo), c)
	r1, f1 := op(uint32(s.Lo>>32), c)
	r2, f2 := op(uint32(s.Hi), c)
	r3, f3 := op(uint32(s.Hi>>32), c)
	return fromLanes32(r0, r1, r2, r3), c.Merge(f0 | f1 | f2 | f3)
}

// low is the packed form for instructions that use two elements only.
func (op unary32) low(s uint64, c Control) (uint64, Flags) {
	r0, f0 := op(uint32(s), c)
	r1, f1 := op(uint32(s>>32), c)
	return uint64(r0) | uint64(r1)<<32, c.Merge(f0 | f1)
}

func (op unary64) packed(s X, c Control) (X, Flags) {
	lo, f0 := op(s.Lo, c)
	hi, f1 := op(s.Hi, c)
	return X{lo, hi}, c.Merge(f0 | f1)
}

// Packed arithmetic: d OP s, element by element.

func AddPS(d, s X, c Control) (X, Flags) { return binary32(Add32).packed(d, s, c) }
func AddPD(d, s X, c Control) (X, Flags) { return binary64(Add64).packed(d, s, c) }
func SubPS(d, s X, c Control) (X, Flags) { return binary32(Sub32).packed(d, s, c) }
func SubPD(d, s X, c Control) (X, Flags) { return binary64(Sub64).packed(d, s, c) }
func MulPS(d, s X, c Control) (X, Flags) { return binary32(Mul32).packed(d, s, c) }
func MulPD(d, s X, c Control) (X, Flags) { return binary64(Mul64).packed(d, s, c) }
func DivPS(d, s X, c Control) (X, Flags) { return binary32(Div32).packed(d, s, c) }
func DivPD(d, s X, c Control) (X, Flags) { return binary64(Div64).packed(d, s, c) }
func MinPS(d, s X, c Control) (X, Flags) { return binary32(Min32).packed(d, s, c) }
func MinPD(d, s X, c Control) (X, Flags) { return binary64(Min64).packed(d, s, c) }
func MaxPS(d, s X, c Control) (X, Flags) { return binary32(Max32).packed(d, s, c) }
func MaxPD(d, s X, c Control) (X, Flags) { return binary64(Max64).packed(d, s, c) }

func SqrtPS(s X, c Control) (X, Flags) { return unary32(Sqrt32).packed(s, c) }
func SqrtPD(s X, c Control) (X, Flags) { return unary64(Sqrt64).packed(s, c) }

// CmpPS is CMPPS: a mask of all ones in each element where the predicate holds.
func CmpPS(d, s X, pred uint8, c Control) (X, Flags) {
	r0, f0 := Cmp32(uint32(d.Lo), uint32(s.Lo), pred, c)
	r1, f1 := Cmp32(uint32(d.Lo>>32), uint32(s.Lo>>32), pred, c)
	r2, f2 := Cmp32(uint32(d.Hi), uint32(s.Hi), pred, c)
	r3, f3 := Cmp32(uint32(d.Hi>>32), uint32(s.Hi>>32), pred, c)
	return fromLanes32(r0, r1, r2, r3), c.Merge(f0 | f1 | f2 | f3)
}

// CmpPD is CMPPD.
func CmpPD(d, s X, pred uint8, c Control) (X, Flags) {
	lo, f0 := Cmp64(d.Lo, s.Lo, pred, c)
	hi, f1 := Cmp64(d.Hi, s.Hi, pred, c)
	return X{lo, hi}, c.Merge(f0 | f1)
}

// Horizontal arithmetic of SSE3: neighbours of d give the low half of the
// result, neighbours of s the high half.

func HaddPS(d, s X, c Control) (X, Flags) { return AddPS(evens32(d, s), odds32(d, s), c) }
func HsubPS(d, s X, c Control) (X, Flags) { return SubPS(evens32(d, s), odds32(d, s), c) }
func HaddPD(d, s X, c Control) (X, Flags) { return AddPD(X{d.Lo, s.Lo}, X{d.Hi, s.Hi}, c) }
func HsubPD(d, s X, c Control) (X, Flags) { return SubPD(X{d.Lo, s.Lo}, X{d.Hi, s.Hi}, c) }

func evens32(d, s X) X {
	return fromLanes32(uint32(d.Lo), uint32(d.Hi), uint32(s.Lo), uint32(s.Hi))
}

func odds32(d, s X) X {
	return fromLanes32(uint32(d.Lo>>32), uint32(d.Hi>>32), uint32(s.Lo>>32), uint32(s.Hi>>32))
}

// AddsubPS subtracts in the even elements and adds in the odd ones.
func AddsubPS(d, s X, c Control) (X, Flags) {
	r0, f0 := Sub32(uint32(d.Lo), uint32(s.Lo), c)
	r1, f1 := Add32(uint32(d.Lo>>32), uint32(s.Lo>>32), c)
	r2, f2 := Sub32(uint32(d.Hi), uint32(s.Hi), c)
	r3, f3 := Add32(uint32(d.Hi>>32), uint32(s.Hi>>32), c)
	return fromLanes32(r0, r1, r2, r3), c.Merge(f0 | f1 | f2 | f3)
}

// AddsubPD subtracts the low elements and adds the high ones.
func AddsubPD(d, s X, c Control) (X, Flags) {
	lo, f0 := Sub64(d.Lo, s.Lo, c)
	hi, f1 := Add64(d.Hi, s.Hi, c)
	return X{lo, hi}, c.Merge(f0 | f1)
}

// Packed conversions. Where source and result differ in size, the narrow side
// is a uint64: the low half of a register, a memory operand or an MMX register.

func CvtDQ2PS(s X, c Control) (X, Flags) { return unary32(cvtDQ2PS).packed(s, c) }
func CvtPS2DQ(s X, c Control) (X, Flags) { return unary32(CvtSS2SI32).packed(s, c) }

func CvttPS2DQ(s X, c Control) (X, Flags) { return unary32(CvttSS2SI32).packed(s, c) }

func cvtDQ2PS(a uint32, c Control) (uint32, Flags) { return CvtSI2SS32(int32(a), c) }

// CvtPI2PS converts two integers to the low half of an XMM register.
func CvtPI2PS(s uint64, c Control) (uint64, Flags) { return unary32(cvtDQ2PS).low(s, c) }

// CvtPS2PI converts the low two elements to an MMX register.
func CvtPS2PI(s uint64, c Control) (uint64, Flags) { return unary32(CvtSS2SI32).low(s, c) }

// CvttPS2PI truncates the low two elements to an MMX register.
func CvttPS2PI(s uint64, c Control) (uint64, Flags) { return unary32(CvttSS2SI32).low(s, c) }

// CvtDQ2PD converts two integers to double precision, exactly; so does
// CVTPI2PD.
func CvtDQ2PD(s uint64) X {
	return X{CvtSI2SD32(int32(s)), CvtSI2SD32(int32(s >> 32))}
}

// CvtPD2DQ gives two integers; CVTPD2DQ clears the high half of its
// destination, CVTPD2PI writes an MMX register.
func CvtPD2DQ(s X, c Control) (uint64, Flags) { return narrowing(CvtSD2SI32).packed(s, c) }

// CvttPD2DQ truncates.
func CvttPD2DQ(s X, c Control) (uint64, Flags) { return narrowing(CvttSD2SI32).packed(s, c) }

// CvtPD2PS gives two singles; the handler clears the high half.
func CvtPD2PS(s X, c Control) (uint64, Flags) { return narrowing(CvtSD2SS).packed(s, c) }

type narrowing func(a uint64, c Control) (uint32, Flags)

func (op narrowing) packed(s X, c Control) (uint64, Flags) {
	lo, f0 := op(s.Lo, c)
	hi, f1 := op(s.Hi, c)
	return uint64(lo) | uint64(hi)<<32, c.Merge(f0 | f1)
}

// CvtPS2PD widens two singles.
func CvtPS2PD(s uint64, c Control) (X, Flags) {
	lo, f0 := CvtSS2SD(uint32(s), c)
	hi, f1 := CvtSS2SD(uint32(s>>32), c)
	return X{lo, hi}, c.Merge(f0 | f1)
}
