package cpu

import "math/bits"

// The status flags are kept as a pair that any arithmetic instruction can
// leave behind without looking at its operands again:
//
//	flagResult  the result, sign-extended to 64 bits
//	flagCarry   bit 63 CF, bit 62 CF^OF, bit 3 AF,
//	            bit 0 inverts SF, bit 1 inverts PF
//
// For an addition or a subtraction the carry-out vector of the operation,
// shifted so that its top bit is bit 63, is flagCarry already: its top bit is
// the carry, the next one the carry into the sign bit. The two inverting bits
// let combinations that no result has (ZF with SF, say) be represented too.
const (
	carryCF = 1 << 63
	carryOF = 1 << 62 // set when CF^OF
	carryAF = 1 << 3
	carryPF = 1 << 1
	carrySF = 1 << 0

	carryMask = carryCF | carryOF | carryAF
)

func (s *State) cf() bool { return int64(s.flagCarry) < 0 }
func (s *State) zf() bool { return s.flagResult == 0 }
func (s *State) sf() bool { return (s.flagResult>>63^s.flagCarry)&1 != 0 }
func (s *State) of() bool { return int64(s.flagCarry^s.flagCarry<<1) < 0 }
func (s *State) af() bool { return s.flagCarry&carryAF != 0 }
func (s *State) pf() bool {
	return (bits.OnesCount8(uint8(s.flagResult))^int(s.flagCarry>>1))&1 == 0
}

func (s *State) cfBit() uint64 { return s.flagCarry >> 63 }

// condition evaluates condition code cc (SDM Vol. 1, appendix B).
func (s *State) condition(cc uint8) bool {
	var v bool
	switch cc >> 1 {
	case 0:
		v = s.of()
	case 1:
		v = s.cf()
	case 2:
		v = s.zf()
	case 3:
		v = s.cf() || s.zf()
	case 4:
		v = s.sf()
	case 5:
		v = s.pf()
	case 6:
		v = s.sf() != s.of()
	case 7:
		v = s.zf() || s.sf() != s.of()
	}
	return v != (cc&1 != 0)
}

// RFLAGS gives the flags register as PUSHF would store it, RF and VM included.
func (c *CPU) RFLAGS() uint64 { return c.State.flags() }

// SetRFLAGS sets every bit of the flags register that exists.
func (c *CPU) SetRFLAGS(v uint64) { c.setFlags(v) }

func (s *State) flags() uint64 {
	f := s.rflags | FlagR1
	f |= s.cfBit()
	if s.pf() {
		f |= FlagPF
	}
	if s.af() {
		f |= FlagAF
	}
	if s.zf() {
		f |= FlagZF
	}
	if s.sf() {
		f |= FlagSF
	}
	if s.of() {
		f |= FlagOF
	}
	return f
}

func (s *State) setFlags(v uint64) {
	s.rflags = v & flagsWritable &^ flagsStatus
	s.setStatus(v)
}

// setStatus sets the six status flags from their EFLAGS positions.
func (s *State) setStatus(v uint64) {
	// A result of 0 has ZF and PF set, SF clear; one of 1 has none of them.
	var result, carry uint64
	if v&FlagZF == 0 {
		result = 1
	}
	if v&FlagSF != 0 {
		carry |= carrySF
	}
	if (v&FlagPF != 0) != (result == 0) {
		carry |= carryPF
	}
	if v&FlagAF != 0 {
		carry |= carryAF
	}
	if v&FlagCF != 0 {
		carry |= carryCF
	}
	if (v&FlagCF != 0) != (v&FlagOF != 0) {
		carry |= carryOF
	}
	s.flagResult, s.flagCarry = result, carry
}

// setLogic leaves the flags of a logical operation: CF and OF clear, AF
// undefined and here clear.
func (s *State) setLogic(result uint64) {
	s.flagResult, s.flagCarry = result, 0
}

// setCF changes CF alone.
func (s *State) setCF(cf bool) {
	if s.cf() != cf {
		s.flagCarry ^= carryCF | carryOF
	}
}

// setResultCFOF leaves a result's SF, ZF and PF with the given CF and OF, as
// shifts do; AF is undefined and here clear.
func (s *State) setResultCFOF(result, cf, of uint64) {
	s.flagResult = result
	s.flagCarry = cf<<63 | (cf^of)<<62
}

// setCFOF changes CF and OF and keeps the rest, as rotates do.
func (s *State) setCFOF(cf, of uint64) {
	s.flagCarry = s.flagCarry&^(carryCF|carryOF) | cf<<63 | (cf^of)<<62
}
