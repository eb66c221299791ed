package campaigns

import (
	"context"

	"github.com/flipvisor/flipvisor/inject"
)

// Builder makes a lab. It reads images, and says so when one is missing or
// is no kernel; the golden run comes later.
type Builder func(Setup) (Lab, error)

// Lab is a machine with its hypervisor and VMs, on which a run without a
// fault is recorded once and compared with runs that have one. A lab is
// used by one goroutine; Fork gives others to other goroutines.
//
// Everything a lab returns is a function of its Setup and the arguments.
type Lab interface {
	// Golden runs the setup without a fault, once; later calls return
	// what the first did. It is called before Run and Fork.
	Golden(ctx context.Context) (*Golden, error)

	// Run carries out one experiment and says what came of it. The caller
	// fills in the result's Index, Group and Fault. An error, like a
	// panic, means that the tool failed, not the machine; it becomes a
	// tool-error result, unless it is ctx's. The result must pass its
	// Check. A trigger that is never reached is the outcome invalid.
	Run(ctx context.Context, e Experiment) (inject.Result, error)

	// Fork gives another lab of the same setup that shares the golden
	// run, for another goroutine.
	Fork() (Lab, error)

	Close() error
}

// Profiler is a lab that can also report the transitions of a faulty run.
// Training needs one, built from a Setup with Profile set.
type Profiler interface {
	Lab
	Profile(ctx context.Context, e Experiment) (Profile, error)
}

// Tracer is a lab that can show an experiment instruction by instruction.
type Tracer interface {
	Lab
	// Trace runs an experiment and keeps the given number of instructions
	// on either side of each point of its life.
	Trace(ctx context.Context, e Experiment, around int) (*Trace, error)
}

// Experiment is one fault to inject.
type Experiment struct {
	Index int
	Group string // the fault block it was drawn from
	Fault inject.Fault
}

// Golden is what is known of the run without a fault.
type Golden struct {
	Instructions uint64 // retired in the whole run, by everyone
	Entries      uint64 // VM entries after the phase vms-ready
	Exits        []ExitCount
	Outputs      []Output
	// Alarms are the reports of detectors. Nothing was wrong, so each is
	// a false positive.
	Alarms []inject.Detection
	// Phases are the milestones in the order they were reached. Vms-ready
	// is among them.
	Phases []PhaseAt
	// Modes are the instructions that were retired in each mode. Root is
	// always there; the others as far as the lab records them.
	Modes  map[inject.Mode]*inject.Timeline
	Layout Layout
	// TLBEntries is the number of entries a fault can be in.
	TLBEntries int
	// Digest is the machine's at the end. It depends on images, command
	// lines and the machine's own behaviour, and so ties results to them.
	Digest string
	// Transitions are the features at each VM entry after vms-ready, in
	// order, if the setup asks for them.
	Transitions []Transition
}

// ExitCount is how often a VM exit happened for a reason.
type ExitCount struct {
	Reason inject.ExitReason `json:"reason"`
	Count  uint64            `json:"count"`
}

// Output is what a VM's workload computed, as it reported it.
type Output struct {
	VM     int    `json:"vm"`
	Digest string `json:"digest"`
}

// PhaseAt is a milestone and the instruction count at which it was reported.
type PhaseAt struct {
	Phase    inject.Phase
	Argument uint32
	At       uint64
}

// Transition is the hypervisor's work from a VM exit to a VM entry.
type Transition struct {
	At       uint64 // instruction count of the entry
	Features inject.Features
}

// Profile is an experiment's result with the transitions of the faulty run
// from the injection on: as many as the lab cares to keep, but at least a
// few after the fault's activation. First is the place of the first of them
// in the golden run's sequence.
type Profile struct {
	Result      inject.Result
	First       int
	Transitions []Transition
}

// Trace is an experiment as a person wants to see it.
type Trace struct {
	Result inject.Result
	Scenes []Scene
}

// Scene is a few instructions around one point of the fault's life.
type Scene struct {
	Title string
	Lines []TraceLine
}

// TraceLine is one instruction.
type TraceLine struct {
	inject.Point
	Text string // disassembly
	Note string // what is special here
}

// PhaseCount gives the instruction count at which a phase was reached for
// the first time.
func (g *Golden) PhaseCount(p inject.Phase) (at uint64, ok bool) {
	for _, reached := range g.Phases {
		if reached.Phase == p {
			return reached.At, true
		}
	}
	return 0, false
}

// Mode gives the timeline of a mode, deriving those that follow from others.
func (g *Golden) Mode(m inject.Mode) *inject.Timeline {
	switch {
	case g.Modes[m] != nil:
		return g.Modes[m]
	case m.Kind == inject.AnyMode:
		var all inject.Timeline
		all.Add(0, g.Instructions)
		return &all
	case m.Kind == inject.GuestMode:
		return g.Modes[inject.Root].Complement(g.Instructions)
	}
	return nil
}

// RootInstruction gives the instruction count of the k-th instruction that
// the hypervisor retired after its VMs were ready, from 0.
func (g *Golden) RootInstruction(k uint64) uint64 {
	ready, _ := g.PhaseCount(inject.VMsReady)
	root := g.Modes[inject.Root]
	return root.At(root.Before(ready) + k)
}

// RootInstructions is how many of those there are.
func (g *Golden) RootInstructions() uint64 {
	ready, _ := g.PhaseCount(inject.VMsReady)
	root := g.Modes[inject.Root]
	return root.Len() - root.Before(ready)
}

// ExitTotal is the number of VM exits for a reason, or of all.
func (g *Golden) ExitTotal(r inject.ExitReason) uint64 {
	n := uint64(0)
	for _, e := range g.Exits {
		if r == inject.AnyExit || r == e.Reason {
			n += e.Count
		}
	}
	return n
}
