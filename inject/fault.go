package inject

import (
	"fmt"
	"strings"
)

// Kind is how bits go wrong.
type Kind uint8

// The kinds.
const (
	Transient    Kind = iota // one bit flips once
	Burst                    // adjacent bits flip once
	RandomMask               // several bits of one word flip once
	StuckAt0                 // bits read as 0 from the trigger to the end of the run
	StuckAt1                 // bits read as 1 from the trigger to the end of the run
	Intermittent             // bits flip at the trigger and again every Period instructions
	Null                     // nothing: the whole procedure without a fault
)

var kindNames = names{"transient", "burst", "random-mask", "stuck-at-0", "stuck-at-1", "intermittent", "none"}

func (k Kind) String() string { return kindNames.of(int(k)) }

// ParseKind reads what String prints.
func ParseKind(s string) (Kind, error) {
	i, err := kindNames.parse("kind of fault", s)
	return Kind(i), err
}

// Fault is one fault in one run.
type Fault struct {
	Kind    Kind
	Period  uint64 // Intermittent: instructions from one flip to the next
	Bits    Bits
	Target  Target
	Trigger Trigger
}

// String prints the fault as a sentence.
func (f Fault) String() string {
	var verb string
	switch f.Kind {
	case Transient:
		verb = fmt.Sprintf("flip bit %s of", f.Bits)
	case Burst:
		verb = fmt.Sprintf("flip burst %s of", f.Bits)
	case RandomMask:
		verb = fmt.Sprintf("flip mask %s of", f.Bits)
	case StuckAt0:
		verb = fmt.Sprintf("stick at 0 bit %s of", f.Bits)
	case StuckAt1:
		verb = fmt.Sprintf("stick at 1 bit %s of", f.Bits)
	case Intermittent:
		verb = fmt.Sprintf("flip every %d bit %s of", f.Period, f.Bits)
	case Null:
		return "flip nothing " + f.Trigger.String()
	}
	return strings.Join([]string{verb, f.Target.String(), f.Trigger.String()}, " ")
}

// ParseFault reads what String prints.
func ParseFault(s string) (Fault, error) {
	w := newWords("fault", s)
	f := w.fault()
	return f, w.finish()
}

func (w *words) fault() (f Fault) {
	switch verb := w.word(); verb {
	case "flip":
		switch what := w.word(); what {
		case "bit":
			f.Kind = Transient
		case "burst":
			f.Kind = Burst
		case "mask":
			f.Kind = RandomMask
		case "every":
			f.Kind, f.Period = Intermittent, w.number()
			w.expect("bit")
		case "nothing":
			f.Kind = Null
		default:
			w.fail(fmt.Errorf("cannot flip %q (bit, burst, mask, every or nothing)", what))
		}
	case "stick":
		w.expect("at")
		switch w.number() {
		case 0:
			f.Kind = StuckAt0
		case 1:
			f.Kind = StuckAt1
		default:
			w.fail(fmt.Errorf("bits stick at 0 or at 1"))
		}
		w.expect("bit")
	default:
		w.fail(fmt.Errorf("a fault begins with flip or stick, not %q", verb))
	}
	if f.Kind != Null {
		f.Bits = parseWord(w, ParseBits)
		w.expect("of")
		f.Target = w.target()
	}
	f.Trigger = w.trigger()
	if w.err == nil {
		if err := f.check(); err != nil {
			w.fail(err)
		}
	}
	return f
}

// check says what makes the fault impossible.
func (f Fault) check() error {
	switch {
	case f.Kind == Null:
		return nil
	case f.Target.Class == NoTarget:
		return fmt.Errorf("nothing to flip: only \"flip nothing\" has no target")
	case f.Kind == Transient && len(f.Bits) != 1:
		return fmt.Errorf("a transient fault flips one bit, not %s (burst, mask?)", f.Bits)
	case f.Kind == Burst && !f.Bits.adjacent():
		return fmt.Errorf("bits %s of a burst are not adjacent", f.Bits)
	case f.Kind == Intermittent && f.Period == 0:
		return fmt.Errorf("the period of an intermittent fault is at least 1")
	}
	if storage := f.Target.storage(); storage != nil {
		if held := f.Bits.And(storage); len(held) != len(f.Bits) {
			return fmt.Errorf("%s has no storage for bit %s", f.Target, f.Bits.without(held))
		}
	}
	return nil
}

// storage lists the bits of a target whose size does not depend on the
// machine, nil for the others.
func (t Target) storage() Bits {
	switch t.Class {
	case RegisterClass:
		return t.Register.Storage()
	case VMCSClass:
		return FirstBits(t.Field.Width())
	case TLBClass:
		return FirstBits(t.TLBField.Bits())
	case InstructionClass:
		return FirstBits(InstructionBits)
	default:
		return nil
	}
}

// FirstBits are the n lowest bits.
func FirstBits(n int) Bits {
	b := make(Bits, n)
	for i := range b {
		b[i] = uint16(i)
	}
	return b
}

// MarshalText and UnmarshalText keep faults as sentences in files.
func (f Fault) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (f *Fault) UnmarshalText(text []byte) error { return unmarshal(f, text, ParseFault) }
