package sse

import "math"

// Double precision, the fast paths. Each computes the result with the host's
// arithmetic and a residue (rounded result minus exact result) that the host
// computes without error in the range admitted; the result was exact if the
// residue is zero.

const rcField = 3 << rcShift

// denormal64 reports a denormal of either sign; zero wraps round and is none.
func denormal64(a uint64) bool { return a<<1-1 < 1<<53-1 }

func zero64(a uint64) bool { return a<<1 == 0 }

// normal64 reports a finite number that is not denormal and not zero.
func normal64(a uint64) bool { return a>>52&0x7ff-1 < 0x7fe }

// roomy64 reports a finite number so far above the denormals that the residue
// of a product with this magnitude is a normal number or zero.
func roomy64(a uint64) bool { return a>>52&0x7ff-64 < 0x7ff-64 }

// Add64 is ADDSD: a + b.
func Add64(a, b uint64, c Control) (uint64, Flags) {
	if c&rcField == 0 && !denormal64(a) && !denormal64(b) {
		x, y := math.Float64frombits(a), math.Float64frombits(b)
		s := x + y
		if r := math.Float64bits(s); normal64(r) || zero64(r) {
			if c.roundsQuietly() {
				return r, 0
			}
			// TwoSum. It is exact unless it overflows on the way, which the
			// largest numbers can bring about; then the residue is not finite.
			t := s - x
			residue := (x - (s - t)) + (y - t)
			if residue == 0 {
				return r, 0
			}
			if residue-residue == 0 {
				return r, PE
			}
		}
	}
	return double.add(a, b, c)
}

// Sub64 is SUBSD: a − b.
func Sub64(a, b uint64, c Control) (uint64, Flags) {
	if c&rcField == 0 && !denormal64(a) && !denormal64(b) {
		x, y := math.Float64frombits(a), -math.Float64frombits(b)
		s := x + y
		if r := math.Float64bits(s); normal64(r) || zero64(r) {
			if c.roundsQuietly() {
				return r, 0
			}
			t := s - x
			residue := (x - (s - t)) + (y - t)
			if residue == 0 {
				return r, 0
			}
			if residue-residue == 0 {
				return r, PE
			}
		}
	}
	return double.sub(a, b, c)
}

// Mul64 is MULSD: a × b.
func Mul64(a, b uint64, c Control) (uint64, Flags) {
	if c&rcField == 0 && !denormal64(a) && !denormal64(b) {
		x, y := math.Float64frombits(a), math.Float64frombits(b)
		p := x * y
		r := math.Float64bits(p)
		if roomy64(r) {
			if c.roundsQuietly() || math.FMA(x, y, -p) == 0 {
				return r, 0
			}
			return r, PE
		}
		if zero64(r) && (zero64(a) || zero64(b)) {
			return r, 0
		}
	}
	return double.mul(a, b, c)
}

// Div64 is DIVSD: a ÷ b.
func Div64(a, b uint64, c Control) (uint64, Flags) {
	if c&rcField == 0 && roomy64(a) && !denormal64(b) {
		x, y := math.Float64frombits(a), math.Float64frombits(b)
		q := x / y
		if r := math.Float64bits(q); roomy64(r) {
			if c.roundsQuietly() || math.FMA(-q, y, x) == 0 {
				return r, 0
			}
			return r, PE
		}
	}
	return double.div(a, b, c)
}

// Sqrt64 is SQRTSD.
func Sqrt64(a uint64, c Control) (uint64, Flags) {
	if c&rcField == 0 && roomy64(a) && a>>63 == 0 {
		x := math.Float64frombits(a)
		s := math.Sqrt(x)
		r := math.Float64bits(s)
		if c.roundsQuietly() || math.FMA(s, s, -x) == 0 {
			return r, 0
		}
		return r, PE
	}
	return double.sqrt(a, c)
}
