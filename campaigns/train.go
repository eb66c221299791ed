package campaigns

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/flipvisor/flipvisor/detect"
	"github.com/flipvisor/flipvisor/inject"
)

// Trainer grows the transition model from a training campaign.
type Trainer struct {
	Campaign *Campaign
	Build    Builder
	Jobs     int
	Progress func(Progress)
}

// Trained is a model with what is known about it.
type Trained struct {
	Tree        *detect.Tree
	Experiments int
	// Manifested is how many faults made a difference, and Labelled how
	// many of those gave a transition that looks like no normal one.
	Manifested, Labelled int
	ToolErrors           int
	// LeftOut is how models do that were grown without one mix, on that
	// mix: what to expect of workloads that the model has not seen.
	LeftOut []detect.Score
}

// Train runs the campaign's mixes without a fault and with faults in turn,
// labels what it saw and grows the tree. The same campaign always gives the
// same tree.
func (t *Trainer) Train(ctx context.Context) (*Trained, error) {
	c := t.Campaign
	if c.Train == nil {
		return nil, fmt.Errorf("%s: there is no train block: this campaign trains nothing", c.Path)
	}
	if t.Jobs <= 0 {
		t.Jobs = runtime.NumCPU()
	}
	if t.Progress == nil {
		t.Progress = func(Progress) {}
	}
	mixes, err := t.prepare(ctx)
	defer func() {
		for _, m := range mixes {
			m.Close()
		}
	}()
	if err != nil {
		return nil, err
	}
	number := c.Sample.Number(mixes[0].Space.Size())
	seen, err := t.profile(ctx, mixes, number)
	if err != nil {
		return nil, err
	}

	samples := make([][]detect.Sample, len(mixes))
	normal := make(map[inject.Features]bool)
	observe := func(mix int, g *Golden) {
		for _, tr := range g.Transitions {
			samples[mix] = append(samples[mix], detect.Sample{Features: tr.Features})
			normal[tr.Features] = true
		}
	}
	for i, m := range mixes {
		observe(i, m.Golden)
	}
	if err := t.observeMore(ctx, mixes, observe); err != nil {
		return nil, err
	}
	out := &Trained{Experiments: number}
	for i, l := range seen {
		if l.toolError {
			out.ToolErrors++
		}
		if l.manifested {
			out.Manifested++
		}
		if l.anomalous && !normal[l.features] {
			out.Labelled++
			mix := i % len(mixes)
			samples[mix] = append(samples[mix], detect.Sample{Features: l.features, Anomalous: true})
		}
	}
	if out.Tree, err = grow(samples, -1, c.Train.Options); err != nil {
		return nil, err
	}
	out.Tree.Origin.Campaign, out.Tree.Origin.Seed = c.Name, c.Sample.Seed
	for i := range samples {
		if len(samples) < 2 {
			break
		}
		tree, err := grow(samples, i, c.Train.Options)
		if err != nil {
			return nil, err
		}
		out.LeftOut = append(out.LeftOut, tree.Score(samples[i]))
	}
	return out, nil
}

// grow trains on all mixes but one.
func grow(samples [][]detect.Sample, without int, o detect.Options) (*detect.Tree, error) {
	var all []detect.Sample
	for i, s := range samples {
		if i != without {
			all = append(all, s...)
		}
	}
	return detect.Train(all, o)
}

// anomaly gives the first transition, from the fault's activation on and at
// most window later, that differs from the golden run's at the same place.
// Later ones differ too, but only because everything has shifted.
func anomaly(p *Profile, golden []Transition, window int) (inject.Features, bool) {
	if !p.Result.Activated() {
		return inject.Features{}, false
	}
	for i, t := range p.Transitions {
		if t.At < p.Result.Touched.At {
			continue
		}
		if window--; window < 0 {
			break
		}
		if place := p.First + i; place >= len(golden) || t.Features != golden[place].Features {
			return t.Features, true
		}
	}
	return inject.Features{}, false
}

// prepare makes the golden run of each mix.
func (t *Trainer) prepare(ctx context.Context) ([]*Prepared, error) {
	settings := t.Campaign.Train.Mixes
	if len(settings) == 0 {
		settings = []Mix{{}}
	}
	var all []*Prepared
	for i, m := range settings {
		t.Progress(Progress{Stage: Booting, Done: i, Total: len(settings)})
		c := *t.Campaign
		c.Setup = m.apply(c.Setup)
		p, err := Prepare(ctx, &c, t.Build)
		if ctx.Err() != nil {
			return all, ErrInterrupted
		}
		if err != nil {
			return all, fmt.Errorf("mix %d: %w", i+1, err)
		}
		all = append(all, p)
		if _, ok := p.Lab.(Profiler); !ok {
			return all, errors.New("this lab cannot report transitions, which training needs")
		}
		if len(p.Golden.Transitions) == 0 {
			return all, fmt.Errorf("mix %d: the run without a fault reported no transition: "+
				"does the hypervisor have performance counters?", i+1)
		}
	}
	return all, nil
}

// observeMore makes the runs that only show what is normal.
func (t *Trainer) observeMore(ctx context.Context, mixes []*Prepared, observe func(mix int, g *Golden)) error {
	n := t.Campaign.Train.CleanRuns
	for i, m := range mixes {
		for k := 0; k < n; k += t.Jobs {
			t.Progress(Progress{Stage: Observing, Done: i*n + k, Total: len(mixes) * n})
			setups := reseeded(m.Campaign.Setup, 1+k, min(t.Jobs, n-k))
			more, err := goldens(ctx, t.Build, setups, t.Jobs)
			if err != nil {
				return err
			}
			for _, g := range more {
				observe(i, g)
			}
		}
	}
	return nil
}

// apply gives the setup with the mix's workloads.
func (m Mix) apply(s Setup) Setup {
	vms := append([]VM(nil), s.VMs...)
	for i := range vms {
		if m.Workloads != nil {
			vms[i].Workload, vms[i].Seed, vms[i].Scale = m.Workloads[i], m.Seeds[i], m.Scales[i]
		}
	}
	s.VMs = vms
	return s
}

// profile runs the experiments, each on the mix whose turn it is.
func (t *Trainer) profile(ctx context.Context, mixes []*Prepared, number int) ([]lesson, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	all := make([]lesson, number)
	window := t.Campaign.Train.Options.Window
	var (
		next, done atomic.Int64
		workers    sync.WaitGroup
		progress   sync.Mutex
	)
	for range t.Jobs {
		workers.Go(func() {
			labs := make([]Profiler, len(mixes))
			defer func() {
				for _, l := range labs {
					if l != nil {
						l.Close()
					}
				}
			}()
			for {
				i := int(next.Add(1) - 1)
				if i >= number || ctx.Err() != nil {
					return
				}
				m := i % len(mixes)
				if labs[m] == nil {
					l, err := mixes[m].Lab.Fork()
					if err != nil {
						cancel(err)
						return
					}
					labs[m] = l.(Profiler)
				}
				var sound bool
				if all[i], sound = learn(ctx, labs[m], mixes[m], i, window); !sound {
					labs[m] = nil // it panicked; see session.worker
				}
				progress.Lock()
				t.Progress(Progress{Stage: Experimenting, Done: int(done.Add(1)), Total: number})
				progress.Unlock()
			}
		})
	}
	workers.Wait()
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
			return nil, ErrInterrupted
		}
		return nil, cause
	}
	return all, nil
}

// lesson is what one experiment teaches.
type lesson struct {
	toolError, manifested bool
	anomalous             bool
	features              inject.Features // of the anomalous transition
}

// learn runs one experiment; a failure of the tool teaches nothing. A lab
// that panicked is not sound any more.
func learn(ctx context.Context, lab Profiler, m *Prepared, index, window int) (l lesson, sound bool) {
	defer func() {
		if p := recover(); p != nil {
			l = lesson{toolError: true}
		}
	}()
	e := m.Experiment(index)
	p, err := lab.Profile(ctx, e)
	p.Result.Fault = e.Fault
	if err != nil || p.Result.Check() != nil {
		return lesson{toolError: true}, true
	}
	if p.Result.Manifested() {
		l.manifested = true
		l.features, l.anomalous = anomaly(&p, m.Golden.Transitions, window)
	}
	return l, true
}
