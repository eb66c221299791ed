package fakelab

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/flipvisor/flipvisor/campaigns"
	"github.com/flipvisor/flipvisor/inject"
)

// Options are what a test wants to go wrong.
type Options struct {
	// Fail gives the error with which an experiment ends, if any.
	Fail func(index int) error
	// Panic makes an experiment crash the tool.
	Panic func(index int) bool
	// Unreadable makes an experiment's result one that no file can hold.
	Unreadable func(index int) bool
	// BuildError is what building a lab gives.
	BuildError error
	// Delay is what an experiment takes.
	Delay time.Duration
	// OnRun is called at the start of each experiment.
	OnRun func(index int)
	// Image stands for the hypervisor's binary: another one behaves
	// differently.
	Image uint64
	// Harmless makes every fault masked.
	Harmless bool
	// Runs counts experiments, if it is there.
	Runs *atomic.Int64
}

// Builder gives labs that behave so.
func Builder(o Options) campaigns.Builder {
	return func(s campaigns.Setup) (campaigns.Lab, error) {
		if o.BuildError != nil {
			return nil, o.BuildError
		}
		return &lab{options: o, setup: s}, nil
	}
}

type lab struct {
	options Options
	setup   campaigns.Setup
	golden  *campaigns.Golden
	closed  bool
}

var _ campaigns.Profiler = (*lab)(nil)
var _ campaigns.Tracer = (*lab)(nil)

func (l *lab) Close() error {
	if l.closed {
		panic("fakelab: closed twice")
	}
	l.closed = true
	return nil
}

func (l *lab) Fork() (campaigns.Lab, error) {
	if l.golden == nil {
		panic("fakelab: forked before the golden run")
	}
	return &lab{options: l.options, setup: l.setup, golden: l.golden}, nil
}

// dice are the numbers of one thing, by name.
func (l *lab) dice(purpose, about string) *inject.Stream {
	return inject.NewStream(xxh3.HashString(purpose), l.options.Image, xxh3.HashString(about), 0)
}

const (
	readyAt = 10_000
	passes  = 400 // VM entries

	textAt   = 0x100000
	dataAt   = 0x140000
	queueAt  = dataAt + 0x100
	vmsAt    = 0x180000
	guestsAt = 0x2000000
	linear   = 0xffff800000000000
)

var symbols = []campaigns.Symbol{
	{Name: "start", Section: ".text", Address: textAt, Size: 0x100},
	{Name: "exception_entry", Section: ".text", Address: textAt + 0x100, Size: 0x100},
	{Name: "vmexit_dispatch", Section: ".text", Address: textAt + 0x200, Size: 0x800},
	{Name: "schedule", Section: ".text", Address: textAt + 0xa00, Size: 0x600},
	{Name: "run_queue", Section: ".data", Address: queueAt, Size: 0x40},
	{Name: "vms", Section: ".bss", Address: vmsAt, Size: 0x1000},
	{Name: "image_end", Section: ".bss", Address: vmsAt + 0x2000},
}

var reasons = []inject.ExitReason{1, 10, 12, 18, 28, 30, 31, 48}

// Golden invents the run without a fault.
func (l *lab) Golden(ctx context.Context) (*campaigns.Golden, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if l.golden != nil {
		return l.golden, nil
	}
	var (
		root   inject.Timeline
		counts = map[inject.ExitReason]uint64{}
		guests = make([]inject.Timeline, len(l.setup.VMs))
		g      = &campaigns.Golden{TLBEntries: 16}
	)
	vms := slices.Clone(l.setup.VMs)
	for i := range vms {
		vms[i].Name = "" // a name changes nothing
	}
	workloads, err := json.Marshal(vms)
	if err != nil {
		return nil, err
	}
	d := l.dice("golden", string(workloads))
	root.Add(0, readyAt)
	at := uint64(readyAt)
	for pass := range passes {
		reason := reasons[d.Below(uint64(len(reasons)))]
		f := l.features(reason, d)
		counts[reason]++
		root.Add(at, at+f.Instructions)
		at += f.Instructions
		if l.setup.Profile {
			g.Transitions = append(g.Transitions, campaigns.Transition{At: at, Features: f})
		}
		if m := l.setup.Hypervisor.Model; m != nil && l.setup.Hypervisor.Has(inject.Transition) {
			if anomalous, leaf := m.Judge(f); anomalous {
				g.Alarms = append(g.Alarms, inject.Detection{Detector: inject.Transition, Cause: inject.ByTransition,
					Reason: uint32(leaf), Point: l.point(at), Features: &f})
			}
		}
		n := 500 + d.Below(2500)
		guests[pass%len(guests)].Add(at, at+n)
		at += n
	}
	g.Instructions = at
	g.Entries = passes
	for _, r := range reasons {
		if counts[r] > 0 {
			g.Exits = append(g.Exits, campaigns.ExitCount{Reason: r, Count: counts[r]})
		}
	}
	g.Phases = []campaigns.PhaseAt{
		{Phase: inject.Boot, At: 100},
		{Phase: inject.VMsReady, Argument: uint32(len(guests)), At: readyAt},
		{Phase: inject.Done, At: at - 1},
	}
	g.Modes = map[inject.Mode]*inject.Timeline{inject.Root: &root}
	for i := range guests {
		g.Modes[inject.Mode{Kind: inject.OneVM, VM: i}] = &guests[i]
		g.Outputs = append(g.Outputs, campaigns.Output{VM: i, Digest: fmt.Sprintf("%016x", d.Next())})
	}
	g.Layout = l.layout()
	g.Digest = fmt.Sprintf("%016x", l.dice("end", fmt.Sprint(l.setup.Hypervisor.Detectors, at)).Next())
	l.golden = g
	return g, nil
}

// features are those of a healthy transition; each detector costs something.
func (l *lab) features(reason inject.ExitReason, d *inject.Stream) inject.Features {
	n := 100 + 20*uint64(reason) + 4*d.Below(5)
	f := inject.Features{Reason: uint64(reason), Branches: n / 6, Loads: n / 4, Stores: n / 5, Instructions: n}
	for _, on := range l.setup.Hypervisor.Detectors {
		f.Instructions += 10 + 15*uint64(on)
	}
	return f
}

func (l *lab) layout() campaigns.Layout {
	layout := campaigns.Layout{
		Regions: []campaigns.Region{
			{Owner: "hv-text", Section: ".text", Start: textAt, Size: 0x1000},
			{Owner: "hv-rodata", Section: ".rodata", Start: textAt + 0x1000, Size: 0x1000},
			{Owner: "hv-data", Section: ".data", Start: dataAt, Size: 0x1000},
			{Owner: "hv-bss", Section: ".bss", Start: vmsAt, Size: 0x2000},
			{Owner: "hv-stack", Start: vmsAt + 0x2000, Size: 0x4000},
			{Owner: "hv-page-tables", Start: vmsAt + 0x6000, Size: 0x2000},
			{Owner: "ept", Start: vmsAt + 0x8000, Size: 0x3000},
			{Owner: "vmcs", Start: vmsAt + 0xb000, Size: 0x1000},
		},
		Symbols: symbols,
	}
	for i := range l.setup.VMs {
		layout.Regions = append(layout.Regions, campaigns.Region{
			Owner: fmt.Sprintf("vm%d", i), Start: guestsAt + uint64(i)<<21, Size: 1 << 21,
		})
	}
	return layout
}

// point is where the golden run is at a count.
func (l *lab) point(at uint64) inject.Point {
	d := l.dice("rip", fmt.Sprint(at))
	address := textAt + 0x200 + d.Below(0xe00)
	layout := l.layout()
	return inject.Point{At: at, RIP: inject.Address(linear + address), Symbol: layout.Place(address).Symbol, Mode: inject.Root}
}
