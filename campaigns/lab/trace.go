package lab

import (
	"context"
	"fmt"

	"github.com/flipvisor/flipvisor/campaigns"
	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/cpu/decode"
	"github.com/flipvisor/flipvisor/inject"
	"github.com/flipvisor/flipvisor/machine"
)

var (
	_ campaigns.Profiler = (*Lab)(nil)
	_ campaigns.Tracer   = (*Lab)(nil)
)

// Profile runs an experiment whose hypervisor reports the features of every
// transition.
func (l *Lab) Profile(ctx context.Context, e campaigns.Experiment) (campaigns.Profile, error) {
	if !l.setup.Profile {
		return campaigns.Profile{}, fmt.Errorf("the setup does not ask for profiles")
	}
	x, err := l.experiment(ctx, e)
	if err != nil {
		return campaigns.Profile{}, err
	}
	p := campaigns.Profile{Result: *x.res}
	for _, t := range l.shared.golden.Transitions {
		if t.At >= x.at {
			break
		}
		p.First++
	}
	for _, t := range x.seen.profile {
		if t.At >= x.at {
			p.Transitions = append(p.Transitions, t)
		}
	}
	return p, nil
}

// Trace runs an experiment, then again for each point of its life, to show
// the instructions around it.
func (l *Lab) Trace(ctx context.Context, e campaigns.Experiment, around int) (*campaigns.Trace, error) {
	x, err := l.experiment(ctx, e)
	if err != nil {
		return nil, err
	}
	t := &campaigns.Trace{Result: *x.res}
	r := x.res
	type moment struct {
		title string
		p     *inject.Point
	}
	moments := []moment{{"the flip", r.Applied}, {"first " + r.Fate.String(), r.Touched}, {"first divergence from the golden run", r.Divergence}}
	if r.Detection != nil {
		moments = append(moments, moment{fmt.Sprintf("detected by %v", r.Detection.Detector), &r.Detection.Point})
	}
	for i, m := range moments {
		if m.p == nil || i > 0 && moments[0].p != nil && m.p.At == moments[0].p.At {
			continue
		}
		lines, err := l.scene(ctx, x, m.p.At, uint64(around))
		if err != nil {
			return nil, err
		}
		t.Scenes = append(t.Scenes, campaigns.Scene{Title: m.title, Lines: lines})
	}
	return t, nil
}

// scene repeats the experiment and notes the instructions around a count.
func (l *Lab) scene(ctx context.Context, x *experiment, at, around uint64) ([]campaigns.TraceLine, error) {
	again := &experiment{l: l, ctx: ctx, f: x.f, at: x.at, res: &inject.Result{}}
	m, err := l.newMachineFor(&l.repeat)
	if err != nil {
		return nil, err
	}
	again.m = m
	from := at - min(at, around)
	if _, err := l.bringWith(m, min(from, x.at), again.point, x.f.Target.Class); err != nil {
		return nil, err
	}
	m.Console, m.Report = nil, nil
	defer m.CPU.SetHooks(cpu.Hooks{})
	var lines []campaigns.TraceLine
	note := func(rip uint64, in *decode.Inst) {
		line := campaigns.TraceLine{Point: again.point(), Text: in.Text(rip, l.symbols.Lookup)}
		if line.At == at {
			line.Note = "<"
		}
		lines = append(lines, line)
	}
	show := func(until uint64) bool {
		if m.Count() < from {
			if again.run(min(from, until)).Reason != machine.AtCount {
				return false
			}
		}
		m.CPU.SetHooks(cpu.Hooks{Step: note})
		stop := again.run(until)
		m.CPU.SetHooks(cpu.Hooks{})
		return stop.Reason == machine.AtCount
	}
	end := at + around + 1
	if x.at > m.Count() && !show(min(x.at, end)) {
		return lines, nil
	}
	if end > x.at {
		if err := inject.Apply(m, &again.f); err != nil {
			return nil, err
		}
		show(end)
	}
	return lines, nil
}
