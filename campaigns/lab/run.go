package lab

import (
	"context"
	"sort"

	"github.com/flipvisor/flipvisor/campaigns"
	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/inject"
	"github.com/flipvisor/flipvisor/machine"
	"github.com/flipvisor/flipvisor/mmu"
)

// companion is how many instructions after the flip the golden machine goes
// along step by step, to find the divergence where most are.
const companion = 4096

// experiment is one run with a fault, in progress.
type experiment struct {
	l    *Lab
	ctx  context.Context
	f    inject.Fault // with memory in place of what lies in memory
	at   uint64
	m    *machine.Machine
	seen observer
	base int // detections before the flip
	w    *inject.Watcher
	res  *inject.Result

	entries int // VM entries since the flip
}

// Run carries out one experiment.
func (l *Lab) Run(ctx context.Context, e campaigns.Experiment) (inject.Result, error) {
	x, err := l.experiment(ctx, e)
	if err != nil {
		return inject.Result{}, err
	}
	return *x.res, nil
}

// experiment carries out one experiment and keeps what it saw.
func (l *Lab) experiment(ctx context.Context, e campaigns.Experiment) (*experiment, error) {
	if _, err := l.Golden(ctx); err != nil {
		return nil, err
	}
	x := &experiment{l: l, ctx: ctx, f: e.Fault, res: &inject.Result{Index: e.Index, Group: e.Group, Fault: e.Fault}}
	invalid := func(why string) (*experiment, error) {
		x.res.Applied = nil
		x.res.Outcome, x.res.Detail = inject.Invalid, why
		return x, nil
	}
	at, ok, err := l.resolve(ctx, &e.Fault.Trigger)
	if err != nil {
		return nil, err
	}
	if !ok || at >= l.shared.count {
		return invalid("the golden run never comes to the trigger")
	}
	x.at = at
	if err := x.aim(); err != nil {
		return invalid(err.Error())
	}
	if err := x.start(); err != nil {
		return nil, err
	}
	defer x.close()
	if err := x.flip(); err != nil {
		return invalid(err.Error())
	}
	if err := x.follow(); err != nil {
		return nil, err
	}
	return x, ctx.Err()
}

// aim turns a target in a control structure into the memory it lies in, and
// names what is hit.
func (x *experiment) aim() error {
	t := &x.f.Target
	if t.Class == inject.VMCSClass {
		a, err := x.l.vmcsAddress(t)
		if err != nil {
			return err
		}
		*t = inject.MemoryTarget(a)
	}
	if t.Class == inject.MemoryClass {
		x.res.Place = x.l.shared.golden.Layout.Place(t.Address + uint64(x.f.Bits[0]/8))
	}
	return nil
}

// start brings the machine to the instruction before which the fault comes.
func (x *experiment) start() (err error) {
	l := x.l
	if x.m, err = l.newMachineFor(&l.faulty); err != nil {
		return err
	}
	if x.seen, err = l.bringWith(x.m, x.at, x.point, x.f.Target.Class); err != nil {
		return err
	}
	x.seen.attach(x.m, x.point)
	x.seen.beforeEntry = func() bool { return x.entries == 0 }
	x.base = len(x.seen.detections)
	return nil
}

// warming is how many instructions fill the caches before a fault in them.
const warming = 1_000_000

// bringWith is bring to a fault of a class. For one in the caches, these are
// simulated from some way before it, empty at first: whoever wants to know
// what a flipped line does need not pay for caches in the whole run.
func (l *Lab) bringWith(m *machine.Machine, at uint64, point func() inject.Point, c inject.Class) (observer, error) {
	if c != inject.CacheClass {
		return l.bring(m, at, point)
	}
	seen, err := l.bring(m, at-min(at, warming), point)
	if err != nil {
		return seen, err
	}
	cache, err := mmu.NewCache(l.setup.Machine.Cache)
	if err != nil {
		return seen, err
	}
	cache.MachineCheck = m.CPU.MachineCheck
	m.MMU.SetCache(cache)
	m.CPU.Settle()
	seen.attach(m, point)
	m.Run(at)
	return seen.at(), nil
}

// coolDown takes the caches away once no line differs from what memory would
// have given.
func coolDown(m *machine.Machine) {
	if c := m.MMU.Cache(); c != nil && !c.Flawed() {
		m.MMU.SetCache(nil)
		m.CPU.Settle()
	}
}

// bring restores a machine to a count of the golden run. What it sends on
// the way goes to the observer it returns.
func (l *Lab) bring(m *machine.Machine, at uint64, point func() inject.Point) (observer, error) {
	ladder := l.shared.ladder
	i := sort.Search(len(ladder), func(i int) bool { return ladder[i].snap.Count > at }) - 1
	m.CPU.SetHooks(cpu.Hooks{})
	m.MMU.SetCache(nil)
	if err := m.Restore(ladder[i].snap); err != nil {
		return observer{}, err
	}
	seen := ladder[i].seen
	seen.attach(m, point)
	m.Run(at)
	return seen.at(), nil
}

func (x *experiment) point() inject.Point { return x.l.point(x.m) }

// flip applies the fault and begins to watch.
func (x *experiment) flip() error {
	p := x.point()
	x.m.CPU.SetHooks(cpu.Hooks{VMEntry: func() { x.entries++ }})
	if err := inject.Apply(x.m, &x.f); err != nil {
		return err
	}
	x.res.Applied = &p
	x.w = inject.NewWatcher(x.m, &x.f, x.point)
	return nil
}

func (x *experiment) close() {
	if x.w != nil {
		x.w.Close()
	}
	x.m.CPU.SetHooks(cpu.Hooks{})
}

// follow runs to the outcome.
func (x *experiment) follow() error {
	l, r := x.l, x.res
	ladder := l.shared.ladder
	next := sort.Search(len(ladder), func(i int) bool { return ladder[i].snap.Count > x.at })
	if err := x.accompany(next); err != nil {
		return err
	}
	var stop machine.Stop
	last := x.m.Count()
	for stop.Reason == machine.AtCount && x.m.Count() < l.limit {
		if err := x.ctx.Err(); err != nil {
			return err
		}
		until := min(x.m.Count()+quantum, l.limit)
		if next < len(ladder) {
			until = ladder[next].snap.Count
		}
		stop = x.run(until)
		if stop.Reason != machine.AtCount || next >= len(ladder) {
			continue
		}
		coolDown(x.m)
		if x.m.Equal(ladder[next].snap) {
			r.Outcome = inject.Masked
			x.finish(ladder[next].snap.Count)
			return nil
		}
		if r.Divergence == nil && !x.sameControl(next) {
			if err := x.findDivergence(last, until); err != nil {
				return err
			}
		}
		last = until
		next++
	}
	if r.Divergence == nil && (stop != l.shared.stop || x.m.Count() != l.shared.count) {
		if err := x.findDivergence(last, x.m.Count()); err != nil {
			return err
		}
	}
	if stop == l.shared.stop && x.m.Count() == l.shared.count && x.m.Digest() == l.shared.digest {
		r.Outcome = inject.Masked
	} else {
		l.verdict(r, stop, &x.seen)
	}
	x.finish(x.m.Count())
	return nil
}
