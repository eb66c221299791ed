package inject

import (
	"fmt"

	"github.com/flipvisor/flipvisor/mmu"
)

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

	Cache mmu.CacheLevel // CacheClass
	Set   int
	Way   int
	Line  LinePart

	Entry    int // TLBClass: slot of the TLB
	TLBField mmu.TLBField
}

// ParseCacheLevel reads the name of a cache.
func ParseCacheLevel(s string) (mmu.CacheLevel, error) {
	i, err := cacheNames.parse("cache", s)
	return mmu.CacheLevel(i), err
}

var cacheNames = names{mmu.L1I.String(), mmu.L1D.String(), mmu.L2.String()}

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

// ParseTLBField reads the name of a field of a TLB entry.
func ParseTLBField(s string) (mmu.TLBField, error) {
	i, err := tlbNames.parse("field of a TLB entry", s)
	return mmu.TLBField(i), err
}

var tlbNames = func() (n names) {
	for _, f := range mmu.TLBFields() {
		n = append(n, f.String())
	}
	return n
}()

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
func CacheTarget(l mmu.CacheLevel, set, way int, part LinePart) Target {
	return Target{Class: CacheClass, Cache: l, Set: set, Way: way, Line: part}
}

// TLBTarget is a field of a TLB entry.
func TLBTarget(entry int, f mmu.TLBField) Target {
	return Target{Class: TLBClass, Entry: entry, TLBField: f}
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
		return fmt.Sprintf("tlb %d %s", t.Entry, t.TLBField)
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
		t.TLBField = parseWord(w, ParseTLBField)
	}
	return t
}
