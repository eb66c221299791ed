package campaigns

import (
	"context"
	"fmt"
	"strings"

	"github.com/flipvisor/flipvisor/inject"
)

// GoldenSummary is what a report needs to know of the run without a fault.
type GoldenSummary struct {
	Digest           string             `json:"digest"`
	Instructions     uint64             `json:"instructions"`
	RootInstructions uint64             `json:"root_instructions"` // after vms-ready
	Entries          uint64             `json:"entries"`
	Exits            []ExitCount        `json:"exits"`
	Outputs          []Output           `json:"outputs"`
	Alarms           []inject.Detection `json:"alarms"`
	Groups           []GroupSummary     `json:"groups"`
	Detectors        []inject.Detector  `json:"detectors"`
	Overhead         []Overhead         `json:"overhead,omitempty"`
	VMs              []string           `json:"vms"`
}

// GroupSummary is a fault block's share of the space.
type GroupSummary struct {
	Name   string  `json:"name"`
	Weight int     `json:"weight"`
	Size   float64 `json:"size"`
}

// Overhead compares a run with some detectors to one with none. No fault is
// injected in either.
type Overhead struct {
	Detectors string `json:"detectors"` // runtime; runtime+transition
	// PerExit is how many more instructions the hypervisor needs to handle
	// an exit, PerExitBase how many it needs without them.
	PerExit     float64 `json:"per_exit"`
	PerExitBase float64 `json:"per_exit_base"`
	// Run is how many more instructions the whole run takes, guests
	// included, RunBase how many it takes without them.
	Run     int64  `json:"run"`
	RunBase uint64 `json:"run_base"`
}

// Share is the whole run's overhead as a fraction.
func (o *Overhead) Share() float64 { return float64(o.Run) / float64(max(1, o.RunBase)) }

func summarize(c *Campaign, g *Golden, s *inject.Space) GoldenSummary {
	sum := GoldenSummary{
		Digest: g.Digest, Instructions: g.Instructions, RootInstructions: g.RootInstructions(),
		Entries: g.Entries, Exits: g.Exits, Outputs: g.Outputs, Alarms: g.Alarms,
		Detectors: c.Setup.Hypervisor.Detectors,
	}
	for i := range s.Groups {
		sum.Groups = append(sum.Groups, GroupSummary{s.Groups[i].Name, s.Groups[i].Weight, s.Groups[i].Size()})
	}
	for _, v := range c.Setup.VMs {
		name := v.Name
		if v.Workload != "" && v.Workload != name {
			name += " (" + v.Workload + ")"
		}
		sum.VMs = append(sum.VMs, name)
	}
	return sum
}

// measureOverhead runs the campaign's setup with no detector, with each
// alone, and compares; withAll is the run with all of them.
func measureOverhead(ctx context.Context, build Builder, s Setup, withAll *Golden, jobs int) ([]Overhead, error) {
	all := s.Hypervisor.Detectors
	if len(all) == 0 {
		return nil, nil
	}
	sets := [][]inject.Detector{nil}
	if len(all) > 1 {
		for _, d := range all {
			sets = append(sets, []inject.Detector{d})
		}
	}
	var setups []Setup
	for _, set := range sets {
		setups = append(setups, withDetectors(s, set))
	}
	runs, err := goldens(ctx, build, setups, max(1, jobs))
	if err != nil {
		return nil, fmt.Errorf("measuring overhead: %w", err)
	}
	sets, runs = append(sets, all), append(runs, withAll)
	base := runs[0]
	var costs []Overhead
	for i := range sets[1:] {
		g := runs[i+1]
		costs = append(costs, Overhead{
			Detectors:   detectorList(sets[i+1]),
			PerExit:     perExit(g) - perExit(base),
			PerExitBase: perExit(base),
			Run:         int64(g.Instructions) - int64(base.Instructions),
			RunBase:     base.Instructions,
		})
	}
	return costs, nil
}

// withDetectors gives the setup with other detectors.
func withDetectors(s Setup, detectors []inject.Detector) Setup {
	s.Hypervisor.Detectors = detectors
	s.Profile = false
	if !s.Hypervisor.Has(inject.Transition) {
		s.Hypervisor.Model = nil
	}
	return s
}

// perExit is how many instructions the hypervisor needs to handle an exit.
func perExit(g *Golden) float64 {
	return float64(g.RootInstructions()) / float64(max(1, g.ExitTotal(inject.AnyExit)))
}

func detectorList(set []inject.Detector) string {
	if len(set) == 0 {
		return "none"
	}
	return strings.Join(texts(set), "+")
}
