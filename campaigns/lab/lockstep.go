package lab

import (
	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/inject"
	"github.com/flipvisor/flipvisor/machine"
)

// control is what tells whether two runs execute the same instructions.
type control struct {
	rip   uint64
	cpl   uint8
	guest bool
	vpid  uint16
}

func controlOf(m *machine.Machine) control {
	return control{m.CPU.RIP, m.CPU.CPL(), m.CPU.InGuest(), m.CPU.VPID()}
}

// accompany runs the first instructions after the flip beside the golden
// run, up to the next rung at most.
func (x *experiment) accompany(next int) error {
	until := x.at + companion
	if ladder := x.l.shared.ladder; next < len(ladder) {
		until = min(until, ladder[next].snap.Count)
	}
	g, err := x.l.goldenAt(x.at)
	if err != nil {
		return err
	}
	// An instruction whose bytes were flipped has been executed by the flip.
	if x.m.Count() > g.Count() {
		g.Run(x.m.Count())
		if controlOf(g) != controlOf(x.m) {
			x.diverged(*x.res.Applied)
			return nil
		}
	}
	return x.compare(g, until, x.run)
}

// compare runs two machines that are at the same count step by step until
// they part, or to a count.
func (x *experiment) compare(g *machine.Machine, until uint64, run func(uint64) machine.Stop) error {
	for x.m.Count() < until {
		// The flip may be in RIP itself.
		if controlOf(g) != controlOf(x.m) {
			x.diverged(x.point())
			return nil
		}
		to := x.m.Count() + 1
		a, b := g.Run(to), run(to)
		if a.Reason != machine.AtCount || b.Reason != machine.AtCount {
			if a != b {
				x.diverged(x.point())
			}
			return nil
		}
	}
	return nil
}

func (x *experiment) diverged(p inject.Point) {
	if x.res.Divergence == nil {
		x.res.Divergence = &p
	}
}

// goldenAt brings the golden machine to a count.
func (l *Lab) goldenAt(at uint64) (*machine.Machine, error) {
	if _, err := l.newMachineFor(&l.golden); err != nil {
		return nil, err
	}
	_, err := l.bring(l.golden, at, func() inject.Point { return l.point(l.golden) })
	l.golden.Console, l.golden.Report = nil, nil
	return l.golden, err
}

// sameControl says whether the machine, at a rung, seems to have executed
// what the golden run did: it is at the same instruction, after as many
// branches, loads and stores.
func (x *experiment) sameControl(i int) bool {
	return x.m.CPU.Fingerprint() == x.l.shared.ladder[i].fingerprint
}

// findDivergence repeats the experiment up to a count at which it was still
// like the golden run, and goes on from there beside it.
func (x *experiment) findDivergence(from, to uint64) error {
	l := x.l
	again := &experiment{l: l, ctx: x.ctx, f: x.f, at: x.at, res: &inject.Result{}}
	m, err := l.newMachineFor(&l.repeat)
	if err != nil {
		return err
	}
	again.m = m
	if _, err := l.bringWith(m, x.at, again.point, x.f.Target.Class); err != nil {
		return err
	}
	m.Console, m.Report = nil, nil
	if err := inject.Apply(m, &again.f); err != nil {
		return err
	}
	defer m.CPU.SetHooks(cpu.Hooks{})
	if m.Count() < from {
		again.run(from)
	}
	g, err := x.l.goldenAt(max(from, m.Count()))
	if err != nil {
		return err
	}
	if err := again.compare(g, to, again.run); err != nil {
		return err
	}
	x.res.Divergence = again.res.Divergence
	return nil
}
