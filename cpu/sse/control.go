package sse

import "strings"

// Control is the MXCSR register: sticky flags in bits 0 to 5, DAZ in bit 6,
// masks in bits 7 to 12, rounding in bits 13 and 14, FTZ in bit 15.
// SDM Vol. 1, 10.2.3.
type Control uint32

// Flags are the exceptions of one operation, in their MXCSR positions.
type Flags uint32

// The exceptions, in the order of their bits.
const (
	IE Flags = 1 << iota // invalid operation
	DE                   // denormal operand
	ZE                   // division by zero
	OE                   // overflow
	UE                   // underflow
	PE                   // precision: the result was rounded

	// preComputation exceptions are known from the operands alone.
	preComputation = IE | DE | ZE
	allFlags       = IE | DE | ZE | OE | UE | PE
)

// Bits of MXCSR other than the flags.
const (
	DAZ       Control = 1 << 6
	FTZ       Control = 1 << 15
	maskShift         = 7
	rcShift           = 13

	// DefaultControl is MXCSR after reset: all exceptions masked, nearest.
	DefaultControl Control = 0x1f80
	// ControlMask are the bits software may set; the others fault in LDMXCSR.
	ControlMask Control = 0xffff
)

// Rounding is the rounding control field, as encoded in MXCSR and in the
// immediate of ROUNDSS and its relatives.
type Rounding uint8

const (
	Nearest Rounding = iota // to nearest, ties to even
	Down                    // toward minus infinity
	Up                      // toward plus infinity
	Zero                    // toward zero
)

func (r Rounding) String() string {
	return [...]string{"nearest", "down", "up", "zero"}[r&3]
}

// RC returns the rounding mode.
func (c Control) RC() Rounding { return Rounding(c>>rcShift) & 3 }

// DAZ reports whether denormal operands are read as zero.
func (c Control) DAZ() bool { return c&DAZ != 0 }

// FTZ reports whether masked underflow gives zero.
func (c Control) FTZ() bool { return c&FTZ != 0 }

// Masked returns the exceptions whose masks are set.
func (c Control) Masked() Flags { return Flags(c>>maskShift) & allFlags }

// Unmasked reports whether f holds an exception that must be delivered as
// #XM (or #UD when CR4.OSXMMEXCPT is clear).
func (c Control) Unmasked(f Flags) bool { return f&^c.Masked() != 0 }

// Merge turns the union of the lanes' flags into the flags of the packed
// operation: an unmasked pre-computation exception in any lane keeps every
// lane from being computed. SDM Vol. 1, 11.5.3.2.
func (c Control) Merge(f Flags) Flags {
	if f&preComputation&^c.Masked() != 0 {
		return f & preComputation
	}
	return f
}

// stops reports whether f, found before computing, suppresses the operation.
func (c Control) stops(f Flags) bool { return f&^c.Masked() != 0 }

// roundsQuietly reports whether nobody can see another PE: the flag is
// already set and masked.
func (c Control) roundsQuietly() bool {
	const both = Control(PE) | Control(PE)<<maskShift
	return c&both == both
}

var flagNames = [...]string{"IE", "DE", "ZE", "OE", "UE", "PE"}

func (f Flags) String() string {
	var names []string
	for i, name := range flagNames {
		if f>>i&1 != 0 {
			names = append(names, name)
		}
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, "|")
}

func (c Control) String() string {
	s := "rc=" + c.RC().String() + " masked=" + c.Masked().String()
	if c.DAZ() {
		s += " daz"
	}
	if c.FTZ() {
		s += " ftz"
	}
	return s
}
