package sse

import "math"

// relation of two operands, as a set with one element so that a predicate is
// a set of the relations for which it holds.
type relation uint8

const (
	less relation = 1 << iota
	equal
	greater
	unordered
)

// predicates of CMPPS and its relatives, indexed by the immediate.
var predicates = [8]relation{
	0: equal,                      // EQ
	1: less,                       // LT
	2: less | equal,               // LE
	3: unordered,                  // UNORD
	4: less | greater | unordered, // NEQ
	5: equal | greater | unordered,
	6: greater | unordered,
	7: less | equal | greater, // ORD
}

// signalling are the predicates for which a quiet NaN is invalid, too.
const signalling = 1<<1 | 1<<2 | 1<<5 | 1<<6

// relate compares a and b. Any NaN is invalid if strict, only a signalling
// one otherwise.
func (f *format) relate(a, b uint64, strict bool, c Control) (relation, Flags) {
	if f.isNaN(a) || f.isNaN(b) {
		if strict || f.isSignalling(a) || f.isSignalling(b) {
			return unordered, IE
		}
		return unordered, 0
	}
	a, b, flags := f.readBoth(a, b, c)
	return relateFloats(f.value(a), f.value(b)), flags
}

func relateFloats(x, y float64) relation {
	switch {
	case x < y:
		return less
	case x > y:
		return greater
	case x == y:
		return equal
	}
	return unordered
}

// value is a as a host number; exact for every value that is not a NaN.
func (f *format) value(a uint64) float64 {
	if f == &single {
		return float64(math.Float32frombits(uint32(a)))
	}
	return math.Float64frombits(a)
}

// Cmp32 is CMPSS: all ones where the predicate holds, else zero. Only the low
// three bits of pred count.
func Cmp32(a, b uint32, pred uint8, c Control) (mask uint32, f Flags) {
	m, f := single.cmp(uint64(a), uint64(b), pred, c)
	return uint32(m), f
}

// Cmp64 is CMPSD.
func Cmp64(a, b uint64, pred uint8, c Control) (mask uint64, f Flags) {
	return double.cmp(a, b, pred, c)
}

func (f *format) cmp(a, b uint64, pred uint8, c Control) (mask uint64, flags Flags) {
	pred &= 7
	rel, flags := f.relate(a, b, signalling>>pred&1 != 0, c)
	if predicates[pred]&rel != 0 {
		return ^uint64(0), flags
	}
	return 0, flags
}

// The comparisons that answer in EFLAGS give CF, PF and ZF at their places
// there; the handler clears OF, SF and AF.
const (
	CF uint32 = 1 << 0
	PF uint32 = 1 << 2
	ZF uint32 = 1 << 6
)

func (r relation) eflags() uint32 {
	switch r {
	case less:
		return CF
	case equal:
		return ZF
	case greater:
		return 0
	}
	return ZF | PF | CF
}

// Comi32 is COMISS: any NaN is invalid.
func Comi32(a, b uint32, c Control) (eflags uint32, f Flags) {
	return single.comi(uint64(a), uint64(b), true, c)
}

// Comi64 is COMISD.
func Comi64(a, b uint64, c Control) (eflags uint32, f Flags) {
	return double.comi(a, b, true, c)
}

// Ucomi32 is UCOMISS: only a signalling NaN is invalid.
func Ucomi32(a, b uint32, c Control) (eflags uint32, f Flags) {
	return single.comi(uint64(a), uint64(b), false, c)
}

// Ucomi64 is UCOMISD.
func Ucomi64(a, b uint64, c Control) (eflags uint32, f Flags) {
	if !denormal64(a) && !denormal64(b) {
		rel := relateFloats(math.Float64frombits(a), math.Float64frombits(b))
		if rel != unordered {
			return rel.eflags(), 0
		}
	}
	return double.comi(a, b, false, c)
}

func (f *format) comi(a, b uint64, strict bool, c Control) (eflags uint32, flags Flags) {
	rel, flags := f.relate(a, b, strict, c)
	return rel.eflags(), flags
}

// Min32 is MINSS. Like the other three it is a < b ? a : b rather than a
// minimum: the second operand comes back, NaN or not, when the two are zeros or
// either is a NaN, and every NaN is invalid.
func Min32(a, b uint32, c Control) (uint32, Flags) {
	if !denormal32(a) && !denormal32(b) {
		switch x, y := math.Float32frombits(a), math.Float32frombits(b); {
		case x < y:
			return a, 0
		case x >= y:
			return b, 0
		}
	}
	return narrow(single.pick(uint64(a), uint64(b), less, c))
}

// Max32 is MAXSS: a > b ? a : b.
func Max32(a, b uint32, c Control) (uint32, Flags) {
	if !denormal32(a) && !denormal32(b) {
		switch x, y := math.Float32frombits(a), math.Float32frombits(b); {
		case x > y:
			return a, 0
		case x <= y:
			return b, 0
		}
	}
	return narrow(single.pick(uint64(a), uint64(b), greater, c))
}

// Min64 is MINSD.
func Min64(a, b uint64, c Control) (uint64, Flags) {
	if !denormal64(a) && !denormal64(b) {
		switch x, y := math.Float64frombits(a), math.Float64frombits(b); {
		case x < y:
			return a, 0
		case x >= y:
			return b, 0
		}
	}
	return double.pick(a, b, less, c)
}

// Max64 is MAXSD.
func Max64(a, b uint64, c Control) (uint64, Flags) {
	if !denormal64(a) && !denormal64(b) {
		switch x, y := math.Float64frombits(a), math.Float64frombits(b); {
		case x > y:
			return a, 0
		case x <= y:
			return b, 0
		}
	}
	return double.pick(a, b, greater, c)
}

// pick returns a if it stands in the wanted relation to b, else b.
func (f *format) pick(a, b uint64, want relation, c Control) (uint64, Flags) {
	rel, flags := f.relate(a, b, true, c)
	a, _ = f.read(a, c)
	b, _ = f.read(b, c) // under DAZ even beside a NaN
	if rel == want {
		return a, flags
	}
	return b, flags
}
