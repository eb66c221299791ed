package campaigns

import (
	"context"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/flipvisor/flipvisor/inject"
)

// Clean is what the detectors said in runs in which nothing was wrong.
type Clean struct {
	Runs    int    `json:"runs"`
	Entries uint64 `json:"entries"`
	// Alarms are all false.
	Alarms []inject.Detection `json:"alarms"`
}

// CleanRuns runs a campaign's setup without faults until there were so many
// VM entries, each time with other seeds of the workloads, and collects the
// alarms. What it finds does not depend on the number of jobs.
func CleanRuns(ctx context.Context, c *Campaign, build Builder, entries uint64, jobs int, progress func(Progress)) (*Clean, error) {
	if jobs <= 0 {
		jobs = runtime.NumCPU()
	}
	if progress == nil {
		progress = func(Progress) {}
	}
	var clean Clean
	for clean.Entries < entries {
		batch, err := goldens(ctx, build, reseeded(c.Setup, clean.Runs, jobs), jobs)
		if err != nil {
			return nil, err
		}
		for _, g := range batch {
			if clean.Entries >= entries {
				break // with fewer jobs this run would not have been made
			}
			if g.Entries == 0 {
				return nil, fmt.Errorf("%s: the run without a fault has no VM entry", c.Path)
			}
			clean.Runs++
			clean.Entries += g.Entries
			clean.Alarms = append(clean.Alarms, g.Alarms...)
		}
		done := int(min(clean.Entries, entries))
		progress(Progress{Stage: Observing, Done: done, Total: int(entries)})
	}
	return &clean, nil
}

// seedStep keeps the seeds of different runs apart.
const seedStep = 10_000

// reseeded gives n setups that differ in their workloads' seeds: the
// first-th and following of an endless sequence, of which the 0th is s.
func reseeded(s Setup, first, n int) []Setup {
	var all []Setup
	for k := range n {
		other := s
		other.VMs = slices.Clone(s.VMs)
		for i := range other.VMs {
			other.VMs[i].Seed += seedStep * int64(first+k)
		}
		all = append(all, other)
	}
	return all
}

// goldens makes the golden runs of several setups, in a lab each.
func goldens(ctx context.Context, build Builder, setups []Setup, jobs int) ([]*Golden, error) {
	all := make([]*Golden, len(setups))
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(jobs)
	for i, s := range setups {
		group.Go(func() (err error) {
			all[i], err = goldenOf(inner, build, s)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		if ctx.Err() != nil {
			return nil, ErrInterrupted
		}
		return nil, err
	}
	return all, nil
}

// goldenOf makes one golden run and keeps nothing else of its lab.
func goldenOf(ctx context.Context, build Builder, s Setup) (*Golden, error) {
	lab, err := build(s)
	if err != nil {
		return nil, err
	}
	g, err := guardedGolden(ctx, lab)
	if closeErr := lab.Close(); err == nil {
		err = closeErr
	}
	return g, err
}
