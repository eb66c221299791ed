package campaigns

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"

	"github.com/flipvisor/flipvisor/inject"
	"github.com/flipvisor/flipvisor/internal/nearest"
	"github.com/flipvisor/flipvisor/mmu"
)

// Space puts the fault blocks and the golden run together: every fault there
// could be. Names that only the golden run can know are looked up here, so
// that an unknown symbol is an *InputError that points into the file.
func (c *Campaign) Space(g *Golden) (*inject.Space, error) {
	s := compiler{campaign: c, golden: g}
	var space inject.Space
	for i := range c.Faults {
		space.Groups = append(space.Groups, s.group(&c.Faults[i]))
	}
	if s.diags.HasErrors() {
		return nil, c.inputError(s.diags)
	}
	if err := space.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Path, err)
	}
	return &space, nil
}

type compiler struct {
	campaign *Campaign
	golden   *Golden
	diags    hcl.Diagnostics
}

func (s *compiler) fail(where hcl.Range, err error) {
	s.diags = append(s.diags, mistake(where, err))
}

func (s *compiler) group(f *FaultBlock) inject.Group {
	g := inject.Group{Name: f.Name, Weight: f.Weight, Kind: f.Kind, Width: f.Width, Period: f.Period, Exactly: f.Exactly}
	if f.Exactly != nil {
		return g
	}
	g.Moments = s.moments(&f.Trigger)
	for i := range f.Targets {
		before := len(g.Locations)
		g.Locations = s.locations(g.Locations, &f.Targets[i], f.Bits)
		if len(g.Locations) == before && !s.diags.HasErrors() {
			s.fail(f.Targets[i].where, fmt.Errorf("nothing in this target has a bit that could be hit"))
		}
	}
	return g
}

// locations appends the places of a target block, restricted to some bits.
func (s *compiler) locations(all []inject.Location, t *TargetBlock, bits inject.Bits) []inject.Location {
	add := func(target inject.Target, storage inject.Bits) {
		if storage = storage.And(bits); len(storage) > 0 {
			all = append(all, inject.Location{Target: target, Bits: storage})
		}
	}
	switch t.Class {
	case inject.RegisterClass:
		for _, r := range t.Registers {
			add(inject.RegisterTarget(r), r.Storage())
		}
	case inject.MemoryClass:
		for _, r := range s.memory(t) {
			if r.Size > 0 {
				all = append(all, inject.Location{Target: inject.MemoryTarget(r.Start), Length: r.Size,
					Bits: inject.FirstBits(8).And(bits)})
			}
		}
	case inject.VMCSClass:
		for _, vm := range t.VMs {
			for _, f := range t.Fields {
				add(inject.VMCSTarget(f, vm), inject.FirstBits(f.Width()))
			}
		}
	case inject.CacheClass:
		s.cache(t, add)
	case inject.TLBClass:
		entries := s.within(t.Entries, s.golden.TLBEntries, "entries of the TLB", t.where)
		for i := entries.From; i <= entries.To; i++ {
			for _, name := range t.TLBFields {
				field, err := inject.ParseTLBField(name)
				if err != nil {
					panic(err) // it was read by the same parser
				}
				add(inject.TLBTarget(int(i), field), inject.FirstBits(field.Bits()))
			}
		}
	case inject.InstructionClass:
		add(inject.InstructionTarget(), inject.FirstBits(inject.InstructionBits))
	}
	return all
}

// within checks a range of indices against how many there are.
func (s *compiler) within(r *inject.Range, n int, what string, where hcl.Range) inject.Range {
	if n == 0 {
		s.fail(where, fmt.Errorf("this machine has no %s", what))
		return inject.Range{From: 1, To: 0}
	}
	if r == nil {
		return inject.Range{From: 0, To: uint64(n - 1)}
	}
	if r.To >= uint64(n) {
		s.fail(where, fmt.Errorf("%s end at %d, not %d", what, n-1, r.To))
		return inject.Range{From: 1, To: 0}
	}
	return *r
}

// cacheTagBits is the part of an address that tags are of: bits beyond are
// no storage in the modelled caches.
const cacheTagBits = 40

func (s *compiler) cache(t *TargetBlock, add func(inject.Target, inject.Bits)) {
	cache, err := mmu.NewCache(s.campaign.Setup.Machine.Cache)
	if err != nil {
		s.fail(t.where, err)
		return
	}
	for _, name := range t.Caches {
		level, err := inject.ParseCacheLevel(name)
		if err != nil {
			panic(err) // it was read by the same parser
		}
		storage := map[string]inject.Bits{
			inject.LineData.String():  inject.FirstBits(8 * mmu.LineSize),
			inject.LineTag.String():   inject.FirstBits(cache.TagBits(level, cacheTagBits)),
			inject.LineState.String(): inject.FirstBits(2),
		}
		sets := s.within(t.Sets, cache.Sets(level), "sets of "+name, t.where)
		ways := s.within(t.Ways, cache.Ways(level), "ways of "+name, t.where)
		for set := sets.From; set <= sets.To; set++ {
			for way := ways.From; way <= ways.To; way++ {
				for _, p := range t.LineParts {
					part, err := inject.ParseLinePart(p)
					if err != nil {
						panic(err)
					}
					add(inject.CacheTarget(level, int(set), int(way), part), storage[p])
				}
			}
		}
	}
}

// memory gives the ranges a memory target means.
func (s *compiler) memory(t *TargetBlock) []Region {
	l := &s.golden.Layout
	var found []Region
	pick := func(kind string, wanted []Name, known []string, of func(Region) string) {
		for _, n := range wanted {
			before := len(found)
			for _, r := range l.Regions {
				if of(r) == n.Text {
					found = append(found, r)
				}
			}
			if len(found) == before {
				s.fail(n.where, nearest.Unknown(kind, n.Text, known))
			}
		}
	}
	pick("owner", t.Owners, l.Owners(), func(r Region) string { return r.Owner })
	pick("section", t.Sections, l.Sections(), func(r Region) string { return r.Section })
	for _, n := range t.Symbols {
		if sym, ok := s.symbol(n); ok {
			if sym.Size == 0 {
				s.fail(n.where, fmt.Errorf("symbol %q has no size: it marks a place and holds nothing", n.Text))
			}
			found = append(found, Region{Start: sym.Address, Size: sym.Size})
		}
	}
	if t.Address != nil {
		memory := uint64(s.campaign.Setup.Machine.Memory)
		if t.Address.To >= memory {
			s.fail(t.where, fmt.Errorf("address %#x is beyond the machine's memory, which ends at %#x", t.Address.To, memory-1))
		}
		found = append(found, Region{Start: t.Address.From, Size: t.Address.Len()})
	}
	return found
}

func (s *compiler) symbol(n Name) (Symbol, bool) {
	sym, ok := s.golden.Layout.Find(n.Text)
	if !ok {
		s.fail(n.where, nearest.Unknown("symbol", n.Text, s.golden.Layout.SymbolNames()))
	}
	return sym, ok
}

func (s *compiler) moments(t *TriggerBlock) inject.Moments {
	if t.Uniform {
		return s.uniform(t)
	}
	o := inject.Occurrences{
		Trigger: inject.Trigger{
			Moment: t.Moment, Mode: t.Mode, Reason: t.Reason, Access: t.Access, Phase: t.Phase, Address: t.At,
		},
		Offset: t.Offset,
	}
	if t.Number != nil {
		o.Count = *t.Number
	}
	switch t.Moment {
	case inject.AtInstruction:
		if o.Count.To >= s.golden.Instructions {
			s.fail(t.where, fmt.Errorf("instruction %d is after the end of the golden run, which has %d", o.Count.To, s.golden.Instructions))
		}
	case inject.AtExit:
		total := s.golden.ExitTotal(t.Reason)
		switch {
		case total == 0:
			s.fail(t.where, fmt.Errorf("the golden run has no VM exit for %s", t.Reason))
		case t.Number == nil:
			o.Count = inject.Range{From: 1, To: total}
		case o.Count.To > total:
			s.fail(t.where, fmt.Errorf("exit %d never happens: the golden run has %d for %s", o.Count.To, total, t.Reason))
		}
	case inject.AtSymbol:
		s.symbol(t.Symbol)
		o.Trigger.Symbol, o.Trigger.SymbolOffset = t.Symbol.Text, t.Plus
	case inject.AtAccess:
		if t.Symbol.Text != "" {
			sym, _ := s.symbol(t.Symbol)
			o.Trigger.Address = sym.Address + t.Plus
		}
	case inject.AtPhase:
		if _, ok := s.golden.PhaseCount(t.Phase); !ok {
			s.fail(t.where, fmt.Errorf("the golden run never reaches the phase %s", t.Phase))
		}
	}
	return o
}

// uniform is every instruction of a mode from one phase to another.
func (s *compiler) uniform(t *TriggerBlock) inject.Moments {
	timeline := s.golden.Mode(t.Mode)
	if timeline == nil {
		s.fail(t.where, fmt.Errorf("the golden run does not record which instructions are in mode %s", t.Mode))
		return nil
	}
	w := inject.Window{Timeline: timeline, To: timeline.Len(), Mode: t.Mode}
	bound := func(p inject.Phase, to *uint64) {
		if p == inject.NoPhase {
			return
		}
		at, ok := s.golden.PhaseCount(p)
		if !ok {
			s.fail(t.where, fmt.Errorf("the golden run never reaches the phase %s", p))
			return
		}
		*to = timeline.Before(at)
	}
	bound(t.After, &w.From)
	bound(t.Before, &w.To)
	if w.From >= w.To {
		s.fail(t.where, fmt.Errorf("there is no instruction in mode %s between these phases", t.Mode))
		return nil
	}
	return w
}
