package sse

// roundAt drops the low bits of sig and rounds what remains. sticky says that
// the exact value has further non-zero bits below sig.
func roundAt(sig uint64, drop uint, sticky, neg bool, rc Rounding) (kept uint64, inexact bool) {
	// rest holds the dropped bits as a fraction of 2^64: half is 1<<63.
	var rest uint64
	switch {
	case drop == 0:
		kept = sig
	case drop <= 64:
		kept, rest = sig>>drop, sig<<(64-drop)
	case sig != 0:
		rest = 1
	}
	if sticky {
		rest |= 1
	}
	if rest == 0 {
		return kept, false
	}
	const half = 1 << 63
	var up bool
	switch rc {
	case Nearest:
		up = rest > half || rest == half && kept&1 != 0
	case Down:
		up = neg
	case Up:
		up = !neg
	}
	if up {
		kept++
	}
	return kept, true
}

// round packs the exact value n (plus a little more, away from zero, if
// sticky) into the format: the one place where results are rounded and where
// overflow, underflow and inexactness are found.
func (f *format) round(n number, sticky bool, c Control) (uint64, Flags) {
	sign := f.signOf(n.neg)
	drop := 63 - f.frac

	// First as if the exponent had no bounds.
	kept, inexact := roundAt(n.sig, drop, sticky, n.neg, c.RC())
	exp := n.exp
	if kept>>(f.frac+1) != 0 {
		kept >>= 1
		exp++
	}
	var flags Flags
	if inexact {
		flags = PE
	}
	switch {
	case exp > f.bias:
		return sign | f.overflowed(n.neg, c.RC()), f.overflowFlags(flags, c)
	case exp < 1-f.bias:
		return f.tiny(n, sticky, flags, c)
	}
	return sign | uint64(exp+f.bias)<<f.frac | kept&(1<<f.frac-1), flags
}

// overflowed is the magnitude of a masked overflow: infinity, or the largest
// finite number when rounding leads back from infinity. SDM Vol. 1, table 4-10.
func (f *format) overflowed(neg bool, rc Rounding) uint64 {
	if rc == Zero || rc == Down && !neg || rc == Up && neg {
		return f.inf - 1
	}
	return f.inf
}

// overflowFlags: the masked answer is never exact; an unmasked overflow is
// judged as if the exponent had no bounds.
func (f *format) overflowFlags(unbounded Flags, c Control) Flags {
	if c.stops(OE) {
		return OE | unbounded
	}
	return OE | PE
}

// tiny finishes a result that lies below the normal numbers after rounding.
func (f *format) tiny(n number, sticky bool, unbounded Flags, c Control) (uint64, Flags) {
	sign := f.signOf(n.neg)
	switch {
	case c.stops(UE):
		return sign, UE | unbounded
	case c.FTZ():
		return sign, UE | PE
	}
	drop := 63 - f.frac + uint(1-f.bias-n.exp)
	kept, inexact := roundAt(n.sig, drop, sticky, n.neg, c.RC())
	if inexact {
		return sign | kept, UE | PE
	}
	return sign | kept, 0
}
