package lab

import (
	"context"
	"fmt"
	"sort"

	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/inject"
	"github.com/flipvisor/flipvisor/machine"
)

// resolve finds the instruction count at which a trigger fires. Up to the
// flip a faulty run is the golden one, so the golden run answers. ok is
// false when it never comes to the trigger.
func (l *Lab) resolve(ctx context.Context, t *inject.Trigger) (at uint64, ok bool, err error) {
	g := l.shared.golden
	switch t.Moment {
	case inject.AtInstruction:
		at, ok = t.Count, true
	case inject.AtExit:
		at, ok = l.exitNumber(t)
	case inject.AtPhase:
		n := uint64(0)
		for _, p := range g.Phases {
			if p.Phase != t.Phase {
				continue
			}
			if n++; n == t.Count {
				at, ok = p.At, true
				break
			}
		}
	case inject.AtSymbol, inject.AtAccess:
		at, ok, err = l.search(ctx, t)
	default:
		return 0, false, fmt.Errorf("trigger %v cannot be resolved", t)
	}
	if !ok || err != nil {
		return 0, false, err
	}
	return l.offset(at, t)
}

// exitNumber finds the Count-th exit of a reason in the mode.
func (l *Lab) exitNumber(t *inject.Trigger) (uint64, bool) {
	n := uint64(0)
	for _, e := range l.shared.exits {
		if t.Reason != inject.AnyExit && e.reason != t.Reason {
			continue
		}
		if n++; n == t.Count {
			return e.at, true
		}
	}
	return 0, false
}

// offset goes on from a moment by the trigger's offset, in its mode.
func (l *Lab) offset(at uint64, t *inject.Trigger) (uint64, bool, error) {
	if t.Mode.Kind == inject.AnyMode || t.Mode.Kind == inject.Ring0 || t.Mode.Kind == inject.Ring3 {
		return at + t.Offset, true, nil
	}
	mode := l.shared.golden.Mode(t.Mode)
	if mode == nil {
		return 0, false, nil
	}
	k := mode.Before(at) + t.Offset
	if k >= mode.Len() {
		return 0, false, nil
	}
	return mode.At(k), true, nil
}

// search runs the golden run again, block by block, for the moments that no
// record has.
func (l *Lab) search(ctx context.Context, t *inject.Trigger) (at uint64, ok bool, err error) {
	m, err := l.newMachineFor(&l.golden)
	if err != nil {
		return 0, false, err
	}
	if err := m.Restore(l.shared.ladder[0].snap); err != nil {
		return 0, false, err
	}
	var target uint64
	if t.Moment == inject.AtSymbol {
		s, found := l.shared.golden.Layout.Find(t.Symbol)
		if !found {
			return 0, false, fmt.Errorf("the hypervisor has no symbol %s", t.Symbol)
		}
		target = s.Linear + t.SymbolOffset
	}
	count := uint64(0)
	hit := func(now uint64) {
		if !ok && l.inMode(m, t.Mode) {
			if count++; count == t.Count {
				at, ok = now, true
			}
		}
	}
	if t.Moment == inject.AtAccess && t.Access != inject.FetchAccess {
		m.Mem.Watched = func(_ int, _ uint64, _ int, write bool) {
			if t.Access == inject.AnyAccess || write == (t.Access == inject.WriteAccess) {
				hit(m.CPU.Now())
			}
		}
		m.Mem.Watch(t.Address, 1, triggerWatch)
		defer m.Mem.Unwatch(triggerWatch)
		defer func() { m.Mem.Watched = nil }()
	}
	wanted := func(s *cpu.Straight, bytes int) bool {
		switch {
		case t.Moment == inject.AtSymbol:
			return target-m.CPU.RIP < uint64(bytes) && !m.CPU.InGuest()
		case t.Access == inject.FetchAccess:
			return t.Address-s.Physical < uint64(bytes)
		}
		return false
	}
	for steps := 0; !ok; steps++ {
		if steps%1_000_000 == 0 && ctx.Err() != nil {
			return 0, false, ctx.Err()
		}
		// A block that has nothing to do with the target runs as a whole.
		to := m.Count() + 1
		if s, straight := m.CPU.Straight(); straight {
			if !wanted(&s, s.Bytes) {
				to = min(m.Count()+uint64(len(s.Insts)), max(to, m.NextEvent()))
			} else if t.Moment == inject.AtSymbol && m.CPU.RIP == target || t.Moment == inject.AtAccess && wanted(&s, int(s.Insts[0].Len)) {
				hit(m.Count())
			}
		}
		if m.Run(to).Reason != machine.AtCount {
			break
		}
	}
	return at, ok, nil
}

const triggerWatch = 0x74726967

// inMode says whether a machine is in a mode now.
func (l *Lab) inMode(m *machine.Machine, mode inject.Mode) bool {
	switch mode.Kind {
	case inject.RootMode:
		return !m.CPU.InGuest()
	case inject.GuestMode:
		return m.CPU.InGuest()
	case inject.Ring0:
		return m.CPU.CPL() == 0
	case inject.Ring3:
		return m.CPU.CPL() == 3
	case inject.OneVM:
		vm, ok := l.vmNumber(m)
		return m.CPU.InGuest() && ok && vm == mode.VM
	}
	return true
}

// vmcsAddress is where a field of a VM's control structure lies in memory.
func (l *Lab) vmcsAddress(t *inject.Target) (uint64, error) {
	base, ok := l.shared.vmcs[t.VM]
	if !ok {
		var known []int
		for vm := range l.shared.vmcs {
			known = append(known, vm)
		}
		sort.Ints(known)
		return 0, fmt.Errorf("no VM %d was ever entered (there are %v)", t.VM, known)
	}
	offset, ok := cpu.VMCSOffset(uint32(t.Field))
	if !ok {
		return 0, fmt.Errorf("this processor has no field %v", t.Field)
	}
	return base + offset, nil
}
