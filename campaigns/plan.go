package campaigns

import (
	"context"
	"runtime"
	"time"

	"github.com/flipvisor/flipvisor/internal/stats"
)

// Plan is what a campaign is going to be, without any experiment having run.
type Plan struct {
	Campaign  string         `json:"campaign"`
	Seed      int64          `json:"seed"`
	SpaceSize float64        `json:"space"`
	Groups    []GroupSummary `json:"groups"`
	Samples   int            `json:"samples"`
	// Margin is what so many samples give at Confidence.
	Margin     float64 `json:"margin"`
	Confidence float64 `json:"confidence"`
	// Golden is the run without a fault, and GoldenTime how long it took.
	GoldenInstructions uint64        `json:"golden_instructions"`
	RootInstructions   uint64        `json:"root_instructions"`
	Entries            uint64        `json:"entries"`
	GoldenTime         time.Duration `json:"golden_time_ns"`
	Jobs               int           `json:"jobs"`
	// AtMost is a bound for the time all experiments take, had each to run
	// on to the end from a moment that is on average half-way. Most end
	// sooner, because the fault has no effect any more.
	AtMost time.Duration `json:"at_most_ns"`

	Examples []string `json:"examples"` // the first few faults
}

// MakePlan makes the golden run and says what would follow.
func MakePlan(ctx context.Context, c *Campaign, build Builder, jobs int) (*Plan, error) {
	if jobs <= 0 {
		jobs = runtime.NumCPU()
	}
	p, err := Prepare(ctx, c, build)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	size := p.Space.Size()
	plan := &Plan{
		Campaign: c.Name, Seed: c.Sample.Seed, SpaceSize: size, Samples: c.Sample.Number(size),
		Groups:             summarize(c, p.Golden, p.Space).Groups,
		Confidence:         c.Sample.Confidence,
		GoldenInstructions: p.Golden.Instructions, RootInstructions: p.Golden.RootInstructions(),
		Entries: p.Golden.Entries, GoldenTime: p.Took, Jobs: jobs,
	}
	plan.Margin = stats.Margin(plan.Samples, size, c.Sample.Confidence)
	plan.AtMost = time.Duration(float64(p.Took) / 2 * float64(plan.Samples) / float64(jobs))
	for i := range min(3, plan.Samples) {
		plan.Examples = append(plan.Examples, p.Experiment(i).Fault.String())
	}
	return plan, nil
}
