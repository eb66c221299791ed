package fakelab

import (
	"context"
	"fmt"
	"time"

	"github.com/flipvisor/flipvisor/campaigns"
	"github.com/flipvisor/flipvisor/inject"
)

// Run invents what comes of a fault. The same fault always has the same
// fate, whatever its index.
func (l *lab) Run(ctx context.Context, e campaigns.Experiment) (inject.Result, error) {
	if err := l.misbehave(ctx, e.Index); err != nil {
		return inject.Result{}, err
	}
	if err := ctx.Err(); err != nil {
		return inject.Result{}, err
	}
	r := l.fate(e.Fault)
	if l.options.Unreadable != nil && l.options.Unreadable(e.Index) && r.Applied != nil {
		r.Applied.Mode = inject.Mode{Kind: inject.OneVM, VM: -1}
	}
	return r, nil
}

// misbehave does what the test asked for.
func (l *lab) misbehave(ctx context.Context, index int) error {
	o := &l.options
	if o.OnRun != nil {
		o.OnRun(index)
	}
	if o.Runs != nil {
		o.Runs.Add(1)
	}
	if o.Delay > 0 {
		select {
		case <-time.After(o.Delay):
		case <-ctx.Done():
		}
	}
	if o.Panic != nil && o.Panic(index) {
		panic(fmt.Sprintf("the machine fell apart in experiment %d", index))
	}
	if o.Fail != nil {
		return o.Fail(index)
	}
	return nil
}

func (l *lab) fate(f inject.Fault) inject.Result {
	d := l.dice("fate", f.String())
	r := inject.Result{State: l.golden.Digest}
	if f.Target.Class == inject.MemoryClass {
		r.Place = l.golden.Layout.Place(f.Target.Address)
	}
	at := f.Trigger.Count
	if f.Trigger.Moment != inject.AtInstruction {
		at = readyAt + d.Below(l.golden.Instructions-readyAt)
	}
	if at >= l.golden.Instructions {
		r.Outcome, r.Detail, r.State = inject.Invalid, "the run ended before the trigger", ""
		return r
	}
	applied := l.point(at)
	r.Applied = &applied
	r.End = at + 1
	if f.Kind == inject.Null || l.options.Harmless {
		return r
	}
	r.Fate = [...]inject.Fate{inject.Untouched, inject.Overwritten, inject.Read, inject.Read, inject.Read}[d.Below(5)]
	if r.Fate == inject.Untouched {
		return r
	}
	touched := l.point(at + 1 + d.Below(50))
	r.Touched, r.End = &touched, touched.At+1
	if r.Fate != inject.Read {
		return r
	}
	r.Outcome = [...]inject.Outcome{inject.Masked, inject.Masked, inject.Masked, inject.Latent, inject.SDC,
		inject.AppCrash, inject.VMCrash, inject.Hang, inject.HVCrash, inject.HVCrash, inject.HVCrash,
		inject.HVCrash, inject.HVCrash, inject.HVCrash, inject.HVCrash, inject.HVCrash}[d.Below(16)]
	l.consequences(&r, d)
	return r
}

// consequences fills in what belongs to the outcome.
func (l *lab) consequences(r *inject.Result, d *inject.Stream) {
	vm := int(d.Below(uint64(len(l.setup.VMs))))
	cause, likely := inject.ByTransition, uint64(0) // of 100
	switch r.Outcome {
	case inject.Masked:
		return
	case inject.SDC:
		r.Blast.Add(vm)
		r.Detail = fmt.Sprintf("output of vm %d differs", vm)
		likely = 50
	case inject.AppCrash:
		r.Blast.Add(vm)
		r.Detail = fmt.Sprintf("workload of vm %d died", vm)
		likely = 80
	case inject.VMCrash:
		r.Blast.Add(vm)
		r.Blast.Add(0)
		r.Detail = fmt.Sprintf("vm %d stopped: triple fault", vm)
		likely = 90
	case inject.Hang:
		r.Blast.Host = true
		r.Detail = "no end in the time allowed"
		cause, likely = inject.ByWatchdog, 100
	case inject.HVCrash:
		r.Blast.Host = true
		r.Detail = "page fault in root mode"
		cause, likely = inject.ByException, 99
	}
	divergence := l.point(r.Touched.At + 1)
	r.Divergence = &divergence
	r.State = fmt.Sprintf("%016x", d.Next())
	r.End = r.Touched.At + 5000
	if r.Outcome == inject.Latent || !l.setup.Hypervisor.Has(cause.Detector()) || d.Below(100) >= likely {
		return
	}
	r.Detection = &inject.Detection{
		Detector: cause.Detector(), Cause: cause,
		Point:       l.point(r.Touched.At + 2 + d.Below(400)),
		BeforeEntry: d.Below(10) != 0,
	}
	switch cause {
	case inject.ByException:
		r.Detection.Reason = 14
	case inject.ByWatchdog:
		r.Detection.Reason = 2
	case inject.ByTransition:
		r.Detection.Reason = 3
		r.Detection.Features = &inject.Features{Reason: 10, Instructions: 950, Branches: 60, Loads: 200, Stores: 90}
	}
}

// Profile gives the transitions after a fault: the golden run's, but for a
// first one that took too long if the fault manifested.
func (l *lab) Profile(ctx context.Context, e campaigns.Experiment) (campaigns.Profile, error) {
	r, err := l.Run(ctx, e)
	p := campaigns.Profile{Result: r}
	if err != nil || r.Applied == nil {
		return p, err
	}
	for i, t := range l.golden.Transitions {
		if t.At < r.Applied.At {
			p.First = i + 1
			continue
		}
		if r.Manifested() && len(p.Transitions) == 0 {
			t.Features.Instructions += 700 + 3*uint64(e.Fault.Bits[0])
			t.Features.Loads *= 2
		}
		p.Transitions = append(p.Transitions, t)
		if len(p.Transitions) == 5 {
			break
		}
	}
	return p, nil
}

// Trace shows a few invented instructions.
func (l *lab) Trace(ctx context.Context, e campaigns.Experiment, around int) (*campaigns.Trace, error) {
	r, err := l.Run(ctx, e)
	if err != nil {
		return nil, err
	}
	t := &campaigns.Trace{Result: r}
	scene := func(title string, p *inject.Point) {
		if p == nil {
			return
		}
		s := campaigns.Scene{Title: title}
		for i := range uint64(2*around + 1) {
			line := campaigns.TraceLine{Point: l.point(p.At + i - uint64(around)), Text: "mov rax, [rdi+0x18]"}
			if i == uint64(around) {
				line.Note = title
			}
			s.Lines = append(s.Lines, line)
		}
		t.Scenes = append(t.Scenes, s)
	}
	scene("the flip", r.Applied)
	scene("first divergence", r.Divergence)
	if r.Detection != nil {
		scene("detection", &r.Detection.Point)
	}
	return t, nil
}
