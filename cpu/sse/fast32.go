package sse

import "math"

// Single precision, the fast paths. Products of two singles are exact in
// double precision, which makes the residues simple.

func denormal32(a uint32) bool { return a<<1-1 < 1<<24-1 }

func zero32(a uint32) bool { return a<<1 == 0 }

// normal32 reports a finite number that is not denormal and not zero.
func normal32(a uint32) bool { return a>>23&0xff-1 < 0xfe }

// roomy32 leaves out the smallest normals as well: a result may have been
// rounded up to one of these from below and then counts as tiny.
func roomy32(a uint32) bool { return a>>23&0xff-2 < 0xfd }

// Add32 is ADDSS: a + b.
func Add32(a, b uint32, c Control) (uint32, Flags) {
	if c&rcField == 0 && !denormal32(a) && !denormal32(b) {
		x, y := math.Float32frombits(a), math.Float32frombits(b)
		s := x + y
		if r := math.Float32bits(s); normal32(r) || zero32(r) {
			if c.roundsQuietly() {
				return r, 0
			}
			t := s - x
			residue := (x - (s - t)) + (y - t) // TwoSum, see Add64
			if residue == 0 {
				return r, 0
			}
			if residue-residue == 0 {
				return r, PE
			}
		}
	}
	return narrow(single.add(uint64(a), uint64(b), c))
}

// Sub32 is SUBSS: a − b.
func Sub32(a, b uint32, c Control) (uint32, Flags) {
	if c&rcField == 0 && !denormal32(a) && !denormal32(b) {
		x, y := math.Float32frombits(a), -math.Float32frombits(b)
		s := x + y
		if r := math.Float32bits(s); normal32(r) || zero32(r) {
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
	return narrow(single.sub(uint64(a), uint64(b), c))
}

// Mul32 is MULSS: a × b.
func Mul32(a, b uint32, c Control) (uint32, Flags) {
	if c&rcField == 0 && !denormal32(a) && !denormal32(b) {
		exact := float64(math.Float32frombits(a)) * float64(math.Float32frombits(b))
		p := float32(exact)
		r := math.Float32bits(p)
		if roomy32(r) {
			if c.roundsQuietly() || float64(p) == exact {
				return r, 0
			}
			return r, PE
		}
		if zero32(r) && (zero32(a) || zero32(b)) {
			return r, 0
		}
	}
	return narrow(single.mul(uint64(a), uint64(b), c))
}

// Div32 is DIVSS: a ÷ b.
func Div32(a, b uint32, c Control) (uint32, Flags) {
	if c&rcField == 0 && normal32(a) && !denormal32(b) {
		x, y := math.Float32frombits(a), math.Float32frombits(b)
		q := x / y
		if r := math.Float32bits(q); roomy32(r) {
			if c.roundsQuietly() || float64(q)*float64(y) == float64(x) {
				return r, 0
			}
			return r, PE
		}
	}
	return narrow(single.div(uint64(a), uint64(b), c))
}

// Sqrt32 is SQRTSS.
func Sqrt32(a uint32, c Control) (uint32, Flags) {
	if c&rcField == 0 && normal32(a) && a>>31 == 0 {
		x := float64(math.Float32frombits(a))
		s := float32(math.Sqrt(x))
		if c.roundsQuietly() || float64(s)*float64(s) == x {
			return math.Float32bits(s), 0
		}
		return math.Float32bits(s), PE
	}
	return narrow(single.sqrt(uint64(a), c))
}

// narrow gives a single back its own width.
func narrow(r uint64, f Flags) (uint32, Flags) { return uint32(r), f }
