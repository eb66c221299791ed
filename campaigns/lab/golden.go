package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flipvisor/flipvisor/campaigns"
	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/inject"
	"github.com/flipvisor/flipvisor/machine"
)

const (
	// rungs is the number of snapshots along the golden run.
	rungs = 96

	// maxGolden is the most instructions a golden run may take.
	maxGolden = 20_000_000_000

	// quantum is how many instructions run between looks at the context.
	quantum = 4_000_000
)

// rung is the golden run at one moment.
type rung struct {
	snap        *machine.Snapshot
	seen        observer
	fingerprint cpu.Fingerprint
}

// shared is what all forks of a lab have in common: the golden run. After
// it is made it never changes.
type shared struct {
	golden *campaigns.Golden
	ladder []rung
	exits  []exitAt
	stop   machine.Stop // how it ended
	end    observer     // what it had sent by then
	count  uint64
	digest machine.Digest
	vmcs   map[int]uint64 // physical address of each VM's control structure
	vms    map[uint64]int // and whose each is
}

type exitAt struct {
	at     uint64
	reason inject.ExitReason
}

// record is the golden run's bookkeeping.
type record struct {
	l     *Lab
	m     *machine.Machine
	seen  observer
	exits []exitAt

	entries []uint64
	vmcs    map[int]uint64
	regions map[int][]campaigns.Region
	root    inject.Timeline
	vms     map[int]*inject.Timeline
	since   uint64 // the present mode began here
	vm      int    // in guest mode: whose
}

// Golden makes the golden run.
func (l *Lab) Golden(ctx context.Context) (*campaigns.Golden, error) {
	if l.shared != nil {
		return l.shared.golden, nil
	}
	first, err := l.walk(ctx, 0)
	if err != nil {
		return nil, err
	}
	s, err := l.walk(ctx, max(first.count/rungs, 1))
	if err != nil {
		return nil, err
	}
	if s.digest != first.digest || s.count != first.count {
		return nil, fmt.Errorf("the golden run does not repeat: %d instructions to %v, then %d to %v",
			first.count, first.digest, s.count, s.digest)
	}
	l.adopt(s)
	return s.golden, nil
}

// adopt makes a golden run this lab's.
func (l *Lab) adopt(s *shared) {
	l.shared = s
	l.limit = uint64(float64(s.count) * l.setup.Machine.HangFactor)
	l.limit = max(l.limit, s.count+100_000)
}

// walk makes the golden run with a rung every so many instructions.
func (l *Lab) walk(ctx context.Context, every uint64) (*shared, error) {
	m, err := l.newMachine()
	if err != nil {
		return nil, err
	}
	r := &record{l: l, m: m, vm: -1, vmcs: make(map[int]uint64), regions: make(map[int][]campaigns.Region),
		vms: make(map[int]*inject.Timeline)}
	r.seen.attach(m, func() inject.Point { return l.point(m) })
	m.CPU.SetHooks(cpu.Hooks{VMExit: r.exited, VMEntry: r.entered})
	s := new(shared)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if every != 0 {
			s.ladder = append(s.ladder, rung{m.Snapshot(), r.seen.at(), m.CPU.Fingerprint()})
		}
		step := uint64(quantum)
		if every != 0 {
			step = every
		}
		s.stop = m.Run(m.Count() + step)
		if s.stop.Reason != machine.AtCount {
			break
		}
		if m.Count() > maxGolden {
			return nil, fmt.Errorf("the golden run has not ended after %d instructions", m.Count())
		}
	}
	if s.stop.Reason != machine.Exited || s.stop.Code != 0 {
		return nil, fmt.Errorf("the golden run failed: %v after %d instructions%s", s.stop, m.Count(), r.lastLines())
	}
	r.switchMode(m.Count())
	s.count, s.digest, s.end, s.vmcs, s.exits = m.Count(), m.Digest(), r.seen, r.vmcs, r.exits
	s.vms = make(map[uint64]int)
	for vm, address := range s.vmcs {
		s.vms[address] = vm
	}
	s.golden, err = r.golden(s)
	return s, err
}

// lastLines gives the end of the console, for an error.
func (r *record) lastLines() string {
	text := string(r.seen.console[max(0, len(r.seen.console)-400):])
	if text == "" {
		return "; it printed nothing"
	}
	return "; it printed:\n" + text
}

// switchMode closes the span of the present mode.
func (r *record) switchMode(now uint64) {
	if r.vm < 0 {
		r.root.Add(r.since, now)
	} else {
		if r.vms[r.vm] == nil {
			r.vms[r.vm] = new(inject.Timeline)
		}
		r.vms[r.vm].Add(r.since, now)
	}
	r.since = now
}

func (r *record) exited(reason cpu.ExitReason, _ uint64) {
	now := r.m.CPU.Now()
	r.switchMode(now)
	r.vm = -1
	r.exits = append(r.exits, exitAt{now, inject.ExitReason(reason)})
}

func (r *record) entered() {
	now := r.m.CPU.Now()
	r.switchMode(now)
	r.entries = append(r.entries, now)
	r.vm, _ = r.l.vmNumber(r.m)
	if _, known := r.vmcs[r.vm]; !known {
		r.vmcs[r.vm] = r.m.CPU.VMCSPointer()
		r.regions[r.vm] = guestRegions(r.m, r.vm)
	}
}

// golden turns the record into what campaigns want to know.
func (r *record) golden(s *shared) (*campaigns.Golden, error) {
	g := &campaigns.Golden{
		Instructions: s.count,
		Outputs:      r.seen.digests(),
		Alarms:       r.seen.detections,
		Phases:       r.seen.phases,
		Modes:        map[inject.Mode]*inject.Timeline{inject.Root: &r.root},
		Digest:       s.digest.String(),
		Transitions:  r.seen.profile,
		TLBEntries:   r.m.MMU.TLBEntries(),
	}
	for vm, t := range r.vms {
		g.Modes[inject.Mode{Kind: inject.OneVM, VM: vm}] = t
	}
	ready, ok := g.PhaseCount(inject.VMsReady)
	if !ok && r.l.ownHypervisor() {
		return nil, errors.New("the hypervisor never reported that its VMs are ready")
	}
	for len(g.Transitions) > 0 && g.Transitions[0].At < ready {
		g.Transitions = g.Transitions[1:]
	}
	for _, at := range r.entries {
		if at >= ready {
			g.Entries++
		}
	}
	counts := make(map[inject.ExitReason]uint64)
	for _, e := range r.exits {
		counts[e.reason]++
	}
	for reason, n := range counts {
		g.Exits = append(g.Exits, campaigns.ExitCount{Reason: reason, Count: n})
	}
	slices.SortFunc(g.Exits, func(a, b campaigns.ExitCount) int { return int(a.Reason) - int(b.Reason) })
	g.Layout = r.l.layout(r.regions)
	return g, nil
}
