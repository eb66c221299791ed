package inject

import (
	"fmt"
	"strings"
)

// Moment is the kind of event a trigger waits for.
type Moment uint8

// The moments.
const (
	// AtInstruction: Count instructions have been retired since the
	// machine was switched on; the fault comes before the next.
	AtInstruction Moment = iota
	// AtExit: the Count-th VM exit, for Reason if it is not AnyExit; the
	// fault comes before the hypervisor's first instruction.
	AtExit
	// AtSymbol: the instruction at Symbol+SymbolOffset is about to be
	// executed for the Count-th time.
	AtSymbol
	// AtAccess: an instruction is about to access Address for the
	// Count-th time, in the way Access says.
	AtAccess
	// AtPhase: the Count-th time the hypervisor reports Phase.
	AtPhase
)

// Trigger says when a fault happens: at a moment, plus Offset instructions
// after it. All counts begin at 1, but an instruction count, which is the
// machine's clock and begins at 0.
//
// Mode narrows it: occurrences count only when the processor is in that
// mode, instructions of the offset count only when they are retired in it,
// and the fault waits until it is. For AtInstruction, the count is of all
// instructions, whatever the mode.
type Trigger struct {
	Moment Moment
	Count  uint64
	Offset uint64
	Mode   Mode

	Reason       ExitReason // AtExit
	Symbol       string     // AtSymbol
	SymbolOffset uint64
	Address      uint64 // AtAccess: physical
	Access       Access
	Phase        Phase // AtPhase
}

// Mode restricts a trigger to a part of the run.
type Mode struct {
	Kind ModeKind
	VM   int // OneVM
}

// ModeKind is the part, up to a VM's number.
type ModeKind uint8

// The modes.
const (
	AnyMode   ModeKind = iota
	RootMode           // the hypervisor: VMX root operation, or VMX off
	GuestMode          // any guest: VMX non-root operation
	Ring0              // current privilege level 0, whoever runs
	Ring3
	OneVM // the guest with the number VM
)

var modeNames = names{"any", "root", "guest", "ring0", "ring3", "vm"}

// Root is the mode of most campaigns.
var Root = Mode{Kind: RootMode}

func (m Mode) String() string {
	if m.Kind == OneVM {
		return fmt.Sprintf("vm %d", m.VM)
	}
	return modeNames.of(int(m.Kind))
}

// ParseMode reads what String prints.
func ParseMode(s string) (Mode, error) {
	if !strings.HasPrefix(s, "vm ") {
		kind, err := parseModeKind(s)
		return Mode{Kind: kind}, err
	}
	w := newWords("mode", s)
	m := w.mode()
	return m, w.finish()
}

func parseModeKind(s string) (ModeKind, error) {
	i, err := modeNames.parse("mode", s)
	if err == nil && ModeKind(i) == OneVM {
		err = fmt.Errorf("which vm? write \"vm 0\"")
	}
	return ModeKind(i), err
}

func (w *words) mode() (m Mode) {
	if w.accept(modeNames.of(int(OneVM))) {
		return Mode{Kind: OneVM, VM: w.small()}
	}
	m.Kind = parseWord(w, parseModeKind)
	return m
}

// MarshalText and UnmarshalText keep modes as they print.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (m *Mode) UnmarshalText(text []byte) error { return unmarshal(m, text, ParseMode) }

// Access is a way of touching memory.
type Access uint8

// The ways.
const (
	AnyAccess Access = iota
	ReadAccess
	WriteAccess
	FetchAccess
)

var accessNames = names{"access", "read", "write", "fetch"}

func (a Access) String() string { return accessNames.of(int(a)) }

// ParseAccess reads what String prints.
func ParseAccess(s string) (Access, error) {
	i, err := accessNames.parse("access", s)
	return Access(i), err
}

// Phase is a milestone the hypervisor reports, numbered as in abi.h.
type Phase uint8

// The phases.
const (
	NoPhase  Phase = iota
	Boot           // the hypervisor's C code runs
	VMsReady       // every VM is prepared, none has run
	VMStart        // a VM's first entry
	Done           // every VM has stopped
)

var phaseNames = names{"none", "boot", "vms-ready", "vm-start", "done"}

func (p Phase) String() string { return phaseNames.of(int(p)) }

// ParsePhase reads what String prints.
func ParsePhase(s string) (Phase, error) {
	i, err := phaseNames.parse("phase", s)
	return Phase(i), err
}

// String prints the trigger as faults write it.
func (t Trigger) String() string {
	var b strings.Builder
	switch t.Moment {
	case AtInstruction:
		fmt.Fprintf(&b, "at instruction %d", t.Count)
	case AtExit:
		fmt.Fprintf(&b, "at exit %d", t.Count)
		if t.Reason != AnyExit {
			fmt.Fprintf(&b, " of %s", t.Reason)
		}
	case AtSymbol:
		fmt.Fprintf(&b, "at execution %d of %s", t.Count, t.Symbol)
		if t.SymbolOffset != 0 {
			fmt.Fprintf(&b, "+%#x", t.SymbolOffset)
		}
	case AtAccess:
		fmt.Fprintf(&b, "at %s %d of %#x", t.Access, t.Count, t.Address)
	case AtPhase:
		fmt.Fprintf(&b, "at phase %s", t.Phase)
		if t.Count != 1 {
			fmt.Fprintf(&b, " %d", t.Count)
		}
	}
	if t.Offset != 0 {
		fmt.Fprintf(&b, " + %d", t.Offset)
	}
	if t.Mode.Kind != AnyMode {
		fmt.Fprintf(&b, " in %s", t.Mode)
	}
	return b.String()
}

// ParseTrigger reads what String prints.
func ParseTrigger(s string) (Trigger, error) {
	w := newWords("trigger", s)
	t := w.trigger()
	return t, w.finish()
}

func (w *words) trigger() (t Trigger) {
	w.expect("at")
	t.Reason = AnyExit
	switch word := w.word(); word {
	case "instruction":
		t.Moment, t.Count = AtInstruction, w.number()
	case "exit":
		t.Moment, t.Count = AtExit, w.count()
		if w.accept("of") {
			t.Reason = parseWord(w, ParseExitReason)
		}
	case "execution":
		t.Moment, t.Count = AtSymbol, w.count()
		w.expect("of")
		t.Symbol, t.SymbolOffset = w.symbol()
	case "access", "read", "write", "fetch":
		t.Access, _ = ParseAccess(word)
		t.Moment, t.Count = AtAccess, w.count()
		w.expect("of")
		t.Address = w.number()
	case "phase":
		t.Moment, t.Count = AtPhase, 1
		t.Phase = parseWord(w, ParsePhase)
		if w.next < len(w.all) && w.all[w.next] != "+" && w.all[w.next] != "in" {
			t.Count = w.count()
		}
	default:
		w.fail(fmt.Errorf("unknown moment %q (instruction, exit, execution, access, read, write, fetch or phase)", word))
	}
	if w.accept("+") {
		t.Offset = w.number()
	}
	if w.accept("in") {
		t.Mode = w.mode()
	}
	return t
}

// count takes the number of an occurrence.
func (w *words) count() uint64 {
	n := w.number()
	if w.err == nil && n == 0 {
		w.fail(fmt.Errorf("occurrences are counted from 1"))
	}
	return n
}

// symbol takes a name with an optional offset: vmexit_dispatch+0x10.
func (w *words) symbol() (name string, offset uint64) {
	name, plus, has := strings.Cut(w.word(), "+")
	if !has {
		return name, 0
	}
	rest := words{kind: w.kind, all: []string{plus}}
	offset = rest.number()
	if rest.err != nil {
		w.fail(fmt.Errorf("%q is not an offset", plus))
	}
	return name, offset
}

// MarshalText and UnmarshalText keep triggers as they print.
func (t Trigger) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (t *Trigger) UnmarshalText(text []byte) error { return unmarshal(t, text, ParseTrigger) }
