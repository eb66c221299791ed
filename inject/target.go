package inject

import "fmt"

// Class is what kind of storage a target is.
type Class uint8

// The classes.
const (
	NoTarget Class = iota // only a null injection has none
	RegisterClass
	MemoryClass
	VMCSClass
	CacheClass
	TLBClass
	InstructionClass
)

var classNames = names{"nothing", "register", "memory", "vmcs", "cache", "tlb", "instruction"}

func (c Class) String() string { return classNames.of(int(c)) }

// ParseClass reads what String prints.
func ParseClass(s string) (Class, error) {
	i, err := classNames.parse("target", s)
	return Class(i), err
}

// Target is one place whose bits can be flipped. Which fields count depends
// on Class; the others are zero, so that equal targets compare equal.
type Target struct {
	Class Class

	Register Register // RegisterClass

	Address uint64 // MemoryClass: the physical address of bit 0's byte

	Field VMCSField // VMCSClass
	VM    int       // VMCSClass: whose control structure

	Cache CacheLevel // CacheClass
	Set   int
	Way   int
	Line  LinePart

	Entry int     // TLBClass: slot of the TLB
	Part  TLBPart // TLBClass
}

// CacheLevel names one cache.
type CacheLevel uint8

// The caches of a processor.
const (
	L1I CacheLevel = iota
	L1D
	L2
)

var cacheNames = names{"l1i", "l1d", "l2"}

func (l CacheLevel) String() string { return cacheNames.of(int(l)) }

// ParseCacheLevel reads what String prints.
func ParseCacheLevel(s string) (CacheLevel, error) {
	i, err := cacheNames.parse("cache", s)
	return CacheLevel(i), err
}

// LinePart is what of a cache line is meant.
type LinePart uint8

// The parts of a cache line.
const (
	LineData LinePart = iota
	LineTag
	LineState
)

var lineNames = names{"data", "tag", "state"}

func (p LinePart) String() string { return lineNames.of(int(p)) }

// ParseLinePart reads what String prints.
func ParseLinePart(s string) (LinePart, error) {
	i, err := lineNames.parse("part of a cache line", s)
	return LinePart(i), err
}

// TLBPart is what of a TLB entry is meant: the linear page it answers for,
// the physical page it leads to, or the rights it grants (writable, user,
// execute-disable, global, dirty; from bit 0).
type TLBPart uint8

// The parts of a TLB entry.
const (
	TLBTag TLBPart = iota
	TLBFrame
	TLBRights
)

var tlbNames = names{"tag", "frame", "rights"}

func (p TLBPart) String() string { return tlbNames.of(int(p)) }

// ParseTLBPart reads what String prints.
func ParseTLBPart(s string) (TLBPart, error) {
	i, err := tlbNames.parse("part of a TLB entry", s)
	return TLBPart(i), err
}

// Width is how many bits the part has; bit 0 is bit 12 of an address.
func (p TLBPart) Width() int {
	switch p {
	case TLBTag:
		return 48 - 12
	case TLBFrame:
		return physicalBits - 12
	default:
		return 5
	}
}

// InstructionBits is the size of the window of instruction bytes in which
// an instruction target's bits are numbered. A bit beyond the instruction's
// end is applied and never decoded.
const InstructionBits = 15 * 8

// RegisterTarget is a register as a target.
func RegisterTarget(r Register) Target { return Target{Class: RegisterClass, Register: r} }

// MemoryTarget is the byte at a physical address, and those after it.
func MemoryTarget(address uint64) Target { return Target{Class: MemoryClass, Address: address} }

// VMCSTarget is a field of a VM's control structure.
func VMCSTarget(f VMCSField, vm int) Target { return Target{Class: VMCSClass, Field: f, VM: vm} }

// CacheTarget is a part of a cache line.
func CacheTarget(l CacheLevel, set, way int, part LinePart) Target {
	return Target{Class: CacheClass, Cache: l, Set: set, Way: way, Line: part}
}

// TLBTarget is a part of a TLB entry.
func TLBTarget(entry int, part TLBPart) Target {
	return Target{Class: TLBClass, Entry: entry, Part: part}
}

// InstructionTarget is the bytes of the instruction at the trigger, as they
// were fetched; memory keeps its own.
func InstructionTarget() Target { return Target{Class: InstructionClass} }

// String prints the target as faults write it.
func (t Target) String() string {
	switch t.Class {
	case RegisterClass:
		return fmt.Sprintf("register %s", t.Register)
	case MemoryClass:
		return fmt.Sprintf("memory %#x", t.Address)
	case VMCSClass:
		return fmt.Sprintf("vmcs %s of vm %d", t.Field, t.VM)
	case CacheClass:
		return fmt.Sprintf("cache %s set %d way %d %s", t.Cache, t.Set, t.Way, t.Line)
	case TLBClass:
		return fmt.Sprintf("tlb %d %s", t.Entry, t.Part)
	default:
		return t.Class.String()
	}
}

// ParseTarget reads what String prints.
func ParseTarget(s string) (Target, error) {
	w := newWords("target", s)
	t := w.target()
	return t, w.finish()
}

// MarshalText and UnmarshalText keep targets as they print.
func (t Target) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (t *Target) UnmarshalText(text []byte) error { return unmarshal(t, text, ParseTarget) }

func (w *words) target() (t Target) {
	t.Class = parseWord(w, ParseClass)
	switch t.Class {
	case RegisterClass:
		t.Register = parseWord(w, ParseRegister)
	case MemoryClass:
		t.Address = w.number()
	case VMCSClass:
		t.Field = parseWord(w, ParseVMCSField)
		w.expect("of")
		w.expect("vm")
		t.VM = w.small()
	case CacheClass:
		t.Cache = parseWord(w, ParseCacheLevel)
		w.expect("set")
		t.Set = w.small()
		w.expect("way")
		t.Way = w.small()
		t.Line = parseWord(w, ParseLinePart)
	case TLBClass:
		t.Entry = w.small()
		t.Part = parseWord(w, ParseTLBPart)
	}
	return t
}
