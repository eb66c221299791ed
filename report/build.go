package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/flipvisor/flipvisor/campaigns"
	"github.com/flipvisor/flipvisor/inject"
	"github.com/flipvisor/flipvisor/internal/stats"
)

// New computes the report of a campaign.
func New(s *campaigns.Stored) (*Report, error) {
	m, g := &s.Manifest, &s.Golden
	r := &Report{
		Campaign: m.Campaign, Description: m.Description, Seed: m.Seed,
		Samples: len(s.Records), Planned: m.Samples,
		VMs: g.VMs, Confidence: m.Gate.Confidence, Rate: s.Timing.Rate(),
		Outcomes: make(map[string]int), ByDetector: make(map[string]DetectorCount),
		Blast: make(map[string]int), Overhead: make(map[string]Overhead),
		Golden: Golden{g.Digest, g.Instructions, g.RootInstructions, g.Exits, g.Outputs},
	}
	for _, d := range g.Detectors {
		r.Detectors = append(r.Detectors, d.String())
		r.ByDetector[d.String()] = DetectorCount{Causes: make(map[string]int)}
	}
	for o := inject.Outcome(0); o.Counts(); o++ {
		r.Outcomes[o.String()] = 0
	}
	var err error
	if r.Digest, err = campaigns.ResultsDigest(s.Records); err != nil {
		return nil, err
	}
	r.count(s.Records)
	r.escapes(s.Records)
	r.targets(s.Records)
	r.extrapolate(s.Records, g.Groups)
	r.falsePositives(g)
	for _, o := range g.Overhead {
		r.Overhead[o.Detectors] = Overhead{o.PerExit, o.PerExitBase, o.Run, o.RunBase, o.Share()}
	}
	r.judge(m.Gate)
	return r, nil
}

// count goes through the results once for everything that is a mere sum.
func (r *Report) count(records []campaigns.Record) {
	var injected, activated, manifested, early [2]int // detected, total
	add := func(to *[2]int, hit bool) {
		to[1]++
		if hit {
			to[0]++
		}
	}
	var latency, fromActivation []uint64
	for i := range records {
		e := &records[i].Result
		r.Malformed += e.Malformed
		switch e.Outcome {
		case inject.Invalid:
			r.Invalid++
			continue
		case inject.ToolError:
			r.ToolErrors++
			continue
		}
		r.Outcomes[e.Outcome.String()]++
		if e.Fault.Kind == inject.Null {
			continue // nothing was injected that could be covered
		}
		add(&injected, e.Detected())
		if e.Activated() {
			add(&activated, e.Detected())
		}
		if e.Manifested() {
			add(&manifested, e.Detected())
			r.Blast[e.Blast.String()]++
		}
		if !e.Detected() {
			continue
		}
		add(&early, e.Detection.BeforeEntry)
		r.detected(e)
		if n, ok := e.Latency(); ok {
			latency = append(latency, n)
		}
		if n, ok := e.LatencyFromActivation(); ok {
			fromActivation = append(fromActivation, n)
		}
	}
	c := r.Confidence
	r.Coverage = Coverage{
		proportion(injected[0], injected[1], c),
		proportion(activated[0], activated[1], c),
		proportion(manifested[0], manifested[1], c),
	}
	r.BeforeEntry = proportion(early[0], early[1], c)
	r.Latency, r.LatencyFromActivation = percentiles(latency), percentiles(fromActivation)
}

func (r *Report) detected(e *inject.Result) {
	name := e.Detection.Detector.String()
	d := r.ByDetector[name]
	if d.Causes == nil {
		d.Causes = make(map[string]int)
	}
	d.Detected++
	d.Causes[e.Detection.Cause.String()]++
	if e.Manifested() {
		d.Manifested++
	} else {
		d.Benign++
		r.Benign++
	}
	r.ByDetector[name] = d
}

func percentiles(values []uint64) Latency {
	return Latency{
		Count: len(values),
		P50:   stats.Percentile(values, 0.50),
		P95:   stats.Percentile(values, 0.95),
		P99:   stats.Percentile(values, 0.99),
		Max:   stats.Percentile(values, 1),
	}
}

// label says in a word or two what kind of place a fault was in.
func label(e *inject.Result) string {
	t := &e.Fault.Target
	switch t.Class {
	case inject.RegisterClass:
		return t.Register.String()
	case inject.MemoryClass:
		if e.Place.Owner != "" {
			return e.Place.Owner
		}
		return "memory"
	case inject.VMCSClass:
		return "vmcs " + t.Field.String()
	case inject.CacheClass:
		return fmt.Sprintf("%s %s", t.Cache, t.Line)
	case inject.TLBClass:
		return "tlb " + t.TLBField.String()
	}
	return t.Class.String()
}

// escapes finds the classes of harm that nobody noticed, largest first.
func (r *Report) escapes(records []campaigns.Record) {
	r.Escapes = []Escape{}
	at := make(map[string]int)
	for i := range records {
		e := &records[i].Result
		if !e.Escaped() {
			continue
		}
		key := e.Outcome.String() + " " + label(e)
		j, known := at[key]
		if !known {
			j = len(r.Escapes)
			at[key] = j
			r.Escapes = append(r.Escapes, Escape{
				Outcome: e.Outcome, Target: label(e), Example: e.Index, Fault: e.Fault.String(), Detail: e.Detail,
			})
		}
		r.Escapes[j].Count++
		r.Escapes[j].in(e.Applied)
	}
	for i := range r.Escapes {
		slices.SortStableFunc(r.Escapes[i].Functions, func(a, b FunctionCount) int {
			return cmp.Or(b.Count-a.Count, cmp.Compare(a.Name, b.Name))
		})
	}
	slices.SortStableFunc(r.Escapes, func(a, b Escape) int {
		return cmp.Or(b.Count-a.Count, int(b.Outcome)-int(a.Outcome), cmp.Compare(a.Target, b.Target))
	})
}

// in counts the function at a point.
func (e *Escape) in(p *inject.Point) {
	name, _, _ := strings.Cut(p.Symbol, "+")
	if name == "" {
		name = p.Mode.String()
	}
	i := slices.IndexFunc(e.Functions, func(f FunctionCount) bool { return f.Name == name })
	if i < 0 {
		i = len(e.Functions)
		e.Functions = append(e.Functions, FunctionCount{Name: name})
	}
	e.Functions[i].Count++
}

// where names the commonest functions of an escape class.
func (e *Escape) where() string {
	var s []string
	for _, f := range e.Functions[:min(3, len(e.Functions))] {
		s = append(s, fmt.Sprintf("%s %s", f.Name, count(f.Count)))
	}
	if len(e.Functions) > 3 {
		s = append(s, "...")
	}
	return strings.Join(s, ", ")
}

// manyTargets is how many rows a table may have before the registers or
// VMCS fields in it are put together.
const manyTargets = 30

func (r *Report) targets(records []campaigns.Record) {
	r.targetsBy(records, label)
	if len(r.Targets) > manyTargets {
		r.targetsBy(records, func(e *inject.Result) string {
			switch t := &e.Fault.Target; t.Class {
			case inject.RegisterClass:
				return string(t.Register.Group()) + " registers"
			case inject.VMCSClass:
				return "vmcs " + t.Field.Type()
			}
			return label(e)
		})
	}
}

func (r *Report) targetsBy(records []campaigns.Record, label func(*inject.Result) string) {
	r.Targets = []Target{}
	at := make(map[string]int)
	for i := range records {
		e := &records[i].Result
		if !e.Outcome.Counts() {
			continue
		}
		name := label(e)
		j, known := at[name]
		if !known {
			j = len(r.Targets)
			at[name] = j
			r.Targets = append(r.Targets, Target{Name: name, Outcomes: make(map[string]int)})
		}
		t := &r.Targets[j]
		t.Total++
		t.Outcomes[e.Outcome.String()]++
		if e.Activated() {
			t.Activated++
		}
		if e.Manifested() {
			t.Manifested++
			if e.Detected() {
				t.Detected++
			}
		}
	}
	slices.SortFunc(r.Targets, func(a, b Target) int {
		return cmp.Or(b.Manifested-a.Manifested, b.Total-a.Total, cmp.Compare(a.Name, b.Name))
	})
}

// extrapolate says how many faults of the whole space would do harm. Each
// group is a sample of its own part of the space.
func (r *Report) extrapolate(records []campaigns.Record, groups []campaigns.GroupSummary) {
	type tally struct{ n, manifested, escaped int }
	tallies := make(map[string]tally)
	for i := range records {
		e := &records[i].Result
		if !e.Outcome.Counts() {
			continue
		}
		t := tallies[e.Group]
		t.n++
		if e.Manifested() {
			t.manifested++
		}
		if e.Escaped() {
			t.escaped++
		}
		tallies[e.Group] = t
	}
	var harm, escape []stats.Interval
	var sizes []float64
	for _, g := range groups {
		t := tallies[g.Name]
		if t.n == 0 {
			continue
		}
		h, e := stats.Wilson(t.manifested, t.n, r.Confidence), stats.Wilson(t.escaped, t.n, r.Confidence)
		harm, escape, sizes = append(harm, h), append(escape, e), append(sizes, g.Size)
		r.Groups = append(r.Groups, Group{g.Name, g.Size, t.n, scaled(h, g.Size), scaled(e, g.Size)})
	}
	r.Failures = scaled(stats.Sum(harm, sizes), 1)
	r.UndetectedFailures = scaled(stats.Sum(escape, sizes), 1)
}

func scaled(i stats.Interval, by float64) Estimate {
	return Estimate{i.Value * by, i.Low * by, i.High * by}
}

func (r *Report) falsePositives(g *campaigns.GoldenSummary) {
	f := FalsePositives{Entries: g.Entries, Alarms: len(g.Alarms), ByDetector: make(map[string]int)}
	for _, a := range g.Alarms {
		f.ByDetector[a.Detector.String()]++
	}
	f.RateAtMost = r.falsePositiveRate(f).High
	r.FalsePositives = f
}

// falsePositiveRate is alarms per entry. There can be more than one alarm at
// an entry, which the interval has no use for.
func (r *Report) falsePositiveRate(f FalsePositives) stats.Interval {
	n := int(min(f.Entries, math.MaxInt32))
	return stats.ClopperPearson(min(f.Alarms, n), n, r.Confidence)
}
