package campaigns

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/flipvisor/flipvisor/inject"
	"github.com/flipvisor/flipvisor/mmu"
)

const unlimited = math.MaxUint64

func (r *reader) fault(outer *hcl.Block, vms []VM, earlier []FaultBlock) FaultBlock {
	f := FaultBlock{Name: outer.Labels[0], where: outer.DefRange}
	b := r.open(outer.Body, outer.DefRange, []string{"kind", "weight", "bits", "width", "period", "exactly"},
		[]string{"target class", "trigger moment"})
	if !plainName(f.Name) {
		r.mistake(outer.LabelRanges[0], "a fault's name is of letters, digits, - and _, not %q", f.Name)
	}
	for _, e := range earlier {
		if e.Name == f.Name {
			r.mistake(outer.LabelRanges[0], "there are two faults called %q", f.Name)
		}
	}
	f.Weight = int(b.integer("weight", 1, 0, 1_000_000))
	if b.has("exactly") {
		b.exactly(&f)
		return f
	}
	f.Kind = word(b, "kind", inject.Transient, inject.ParseKind)
	b.extent(&f)
	if v := b.value("bits", stringType); v != nil {
		var err error
		if f.Bits, err = inject.ParseBits(v.AsString()); err != nil {
			b.fail(b.rangeOf("bits"), err)
		}
	}

	for _, inner := range b.content.Blocks.OfType("target") {
		f.Targets = append(f.Targets, r.target(inner, vms))
	}
	if len(f.Targets) == 0 && f.Kind != inject.Null {
		b.mistake(b.where, "fault %q has no target block", f.Name)
	}
	if inner := b.only("trigger"); inner != nil {
		f.Trigger = r.trigger(inner)
	} else {
		b.mistake(b.where, "fault %q has no trigger block: when should it happen?", f.Name)
	}
	return f
}

// exactly reads faults that are written out one by one.
func (b *block) exactly(f *FaultBlock) {
	const why = "exactly says it all"
	for _, name := range []string{"kind", "bits", "width", "period"} {
		b.exclude(name, why)
	}
	for _, inner := range b.content.Blocks {
		b.mistake(inner.DefRange, "%s does not belong here: %s", inner.Type, why)
	}
	for _, n := range b.names("exactly") {
		fault, err := inject.ParseFault(n.Text)
		if err != nil {
			b.fail(n.where, err)
			continue
		}
		f.Exactly = append(f.Exactly, fault)
	}
}

// extent reads the attributes that only some kinds have.
func (b *block) extent(f *FaultBlock) {
	switch f.Kind {
	case inject.Burst, inject.RandomMask:
		b.require("width", fmt.Sprintf("how many bits does a %s flip?", f.Kind))
		f.Width = int(b.integer("width", 2, 2, 64))
	default:
		b.exclude("width", fmt.Sprintf("a %s fault is of one bit; bursts and random masks have a width", f.Kind))
	}
	if f.Kind == inject.Intermittent {
		b.require("period", "how many instructions are between two flips?")
		f.Period = uint64(b.integer("period", 1, 1, math.MaxInt64))
	} else {
		b.exclude("period", fmt.Sprintf("a %s fault does not come back", f.Kind))
	}
}

func (r *reader) target(outer *hcl.Block, vms []VM) TargetBlock {
	t := TargetBlock{where: outer.DefRange}
	class, err := inject.ParseClass(outer.Labels[0])
	if err == nil && class == inject.NoTarget {
		err = fmt.Errorf("for a fault that flips nothing, write kind = \"none\" and no target")
	}
	if err != nil {
		r.fail(outer.LabelRanges[0], err)
		return t
	}
	t.Class = class
	open := func(attributes ...string) *block {
		return r.open(outer.Body, outer.DefRange, attributes, nil)
	}
	switch class {
	case inject.RegisterClass:
		b := open("names")
		b.require("names", "registers, or groups of them such as \"general\"")
		t.Registers = words(b, "names", inject.ParseRegisters)
	case inject.MemoryClass:
		r.memory(&t, open("owner", "section", "symbol", "address"))
	case inject.VMCSClass:
		b := open("fields", "vm")
		b.require("fields", "fields of a VMCS, or \"control\", \"guest\", \"host\", \"all\"")
		t.Fields = words(b, "fields", inject.ParseVMCSFields)
		t.VMs = words(b, "vm", one(vmNumber(vms)))
		if !b.has("vm") {
			for i := range vms {
				t.VMs = append(t.VMs, i)
			}
		}
	case inject.CacheClass:
		b := open("level", "part", "sets", "ways")
		b.require("level", "l1i, l1d or l2")
		t.Caches = texts(words(b, "level", one(inject.ParseCacheLevel)))
		t.LineParts = texts(words(b, "part", one(inject.ParseLinePart)))
		if !b.has("part") {
			t.LineParts = []string{inject.LineData.String()}
		}
		t.Sets = b.span("sets", 0, 1<<20)
		t.Ways = b.span("ways", 0, 15)
	case inject.TLBClass:
		b := open("fields", "entries")
		t.TLBFields = texts(words(b, "fields", one(inject.ParseTLBField)))
		if !b.has("fields") {
			t.TLBFields = texts(mmu.TLBFields())
		}
		t.Entries = b.span("entries", 0, 1<<20)
	case inject.InstructionClass:
		open()
	}
	return t
}

func (r *reader) memory(t *TargetBlock, b *block) {
	t.Owners, t.Sections, t.Symbols = b.names("owner"), b.names("section"), b.names("symbol")
	t.Address = b.span("address", 0, unlimited)
	ways := 0
	for _, name := range []string{"owner", "section", "symbol", "address"} {
		if b.has(name) {
			ways++
		}
	}
	if ways != 1 {
		b.mistake(b.where, "memory is chosen by one of owner, section, symbol and address, not by %d", ways)
	}
}

func texts[T fmt.Stringer](values []T) []string {
	var all []string
	for _, v := range values {
		all = append(all, v.String())
	}
	return all
}

func (r *reader) trigger(outer *hcl.Block) TriggerBlock {
	t := TriggerBlock{where: outer.DefRange, Reason: inject.AnyExit}
	kinds := choice("trigger", "uniform", "instruction", "exit", "symbol", "access", "phase")
	kind, err := kinds(outer.Labels[0])
	if err != nil {
		r.fail(outer.LabelRanges[0], err)
		return t
	}
	open := func(attributes ...string) *block {
		return r.open(outer.Body, outer.DefRange, append(attributes, "mode"), nil)
	}
	var b *block
	switch kind {
	case "uniform":
		b = open("after", "before")
		t.Uniform = true
		t.After = word(b, "after", inject.VMsReady, inject.ParsePhase)
		t.Before = word(b, "before", inject.NoPhase, inject.ParsePhase)
	case "instruction":
		b = open("number")
		t.Moment = inject.AtInstruction
		b.require("number", "an instruction count, or a range of them")
		t.Number = b.span("number", 0, unlimited)
	case "exit":
		b = open("number", "offset", "reason")
		t.Moment = inject.AtExit
		t.Reason = word(b, "reason", t.Reason, inject.ParseExitReason)
		b.occurrence(&t)
	case "symbol":
		b = open("number", "offset", "name")
		t.Moment = inject.AtSymbol
		b.require("name", "a function of the hypervisor, or a place in one: \"vmexit_dispatch+0x10\"")
		t.Symbol, t.Plus = b.place("name")
		b.occurrence(&t)
	case "access":
		b = open("number", "offset", "symbol", "address", "how")
		t.Moment = inject.AtAccess
		t.Access = word(b, "how", inject.AnyAccess, inject.ParseAccess)
		if b.has("symbol") == b.has("address") {
			b.mistake(b.where, "an access is to either a symbol or an address")
		}
		t.Symbol, t.Plus = b.place("symbol")
		if at := b.span("address", 0, unlimited); at != nil {
			t.At = at.From
			if at.To != at.From {
				b.mistake(b.rangeOf("address"), "address is one address, not a range")
			}
		}
		b.occurrence(&t)
	case "phase":
		b = open("number", "offset", "name")
		t.Moment = inject.AtPhase
		b.require("name", "boot, vms-ready, vm-start or done")
		t.Phase = word(b, "name", inject.VMsReady, inject.ParsePhase)
		b.occurrence(&t)
	}
	if t.Uniform {
		t.Mode = inject.Root
	}
	t.Mode = word(b, "mode", t.Mode, inject.ParseMode)
	return t
}

// occurrence reads which of several events is meant and how long after it.
func (b *block) occurrence(t *TriggerBlock) {
	t.Number = b.span("number", 1, unlimited)
	if t.Number == nil && t.Moment != inject.AtExit {
		t.Number = &inject.Range{From: 1, To: 1}
	}
	if o := b.span("offset", 0, 1<<62); o != nil {
		t.Offset = *o
	}
}

// place reads a symbol with an optional offset: "run_queue+0x10".
func (b *block) place(name string) (Name, uint64) {
	if !b.has(name) {
		return Name{}, 0
	}
	n := Name{b.text(name, ""), b.rangeOf(name)}
	symbol, plus, has := strings.Cut(n.Text, "+")
	if !has {
		return n, 0
	}
	offset, err := strconv.ParseUint(plus, 0, 64)
	if err != nil {
		b.mistake(n.where, "%q is not an offset", plus)
	}
	n.Text = symbol
	return n, offset
}
