package campaigns

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/flipvisor/flipvisor/detect"
	"github.com/flipvisor/flipvisor/inject"
)

func (r *reader) sample(top *block) Sample {
	s := Sample{Margin: 0.01, Confidence: 0.95, Seed: 1}
	outer := top.only("sample")
	if outer == nil {
		return s
	}
	b := r.open(outer.Body, outer.DefRange, []string{"size", "margin", "confidence", "seed"}, nil)
	s.Size = int(b.integer("size", 0, 1, 1_000_000_000))
	if b.has("size") {
		b.exclude("margin", "size says how many experiments there are")
	}
	s.Margin = b.real("margin", s.Margin, 0.0001, 0.5)
	s.Confidence = b.real("confidence", s.Confidence, 0.5, 0.9999)
	s.Seed = b.integer("seed", s.Seed, 0, 1<<62)
	return s
}

// Metrics are what a gate can bound, besides the outcomes: a share of the
// faults applied, or of VM entries, or a plain number.
const (
	CoverageInjected   = "coverage_injected"
	CoverageActivated  = "coverage_activated"
	CoverageManifested = "coverage_manifested"
	FalsePositives     = "false_positives"
	FalsePositiveRate  = "false_positive_rate"
	ToolErrors         = "tool_errors"
	InvalidFaults      = "invalid"
	OverheadShare      = "overhead"
)

// Counts reports whether the condition's metric is a plain number and no
// share.
func (c Condition) Counts() bool {
	return c.Metric == FalsePositives || c.Metric == ToolErrors || c.Metric == InvalidFaults
}

// metricOf gives the gate's word for an outcome: app_crash.
func metricOf(o inject.Outcome) string { return strings.ReplaceAll(o.String(), "-", "_") }

// MetricOutcome gives the outcome that a metric is the share of.
func MetricOutcome(metric string) (inject.Outcome, bool) {
	for o := inject.Outcome(0); o.Counts(); o++ {
		if metricOf(o) == metric {
			return o, true
		}
	}
	return 0, false
}

func metrics() []string {
	all := []string{CoverageInjected, CoverageActivated, CoverageManifested,
		FalsePositives, FalsePositiveRate, ToolErrors, InvalidFaults, OverheadShare}
	for o := inject.Outcome(0); o.Counts(); o++ {
		all = append(all, metricOf(o))
	}
	return all
}

func (r *reader) gate(top *block) Gate {
	g := Gate{Confidence: 0.95}
	if outer := top.only("gate"); outer != nil {
		attributes := []string{"confidence"}
		for _, m := range metrics() {
			attributes = append(attributes, "min_"+m, "max_"+m)
		}
		b := r.open(outer.Body, outer.DefRange, attributes, nil)
		g.Confidence = b.real("confidence", g.Confidence, 0.5, 0.9999)
		for _, m := range metrics() {
			g.add(b, m, "min_", true)
			g.add(b, m, "max_", false)
		}
	}
	// A tool that fails proves nothing, whatever the file says or not.
	if !slices.ContainsFunc(g.Conditions, func(c Condition) bool { return c.Metric == ToolErrors }) {
		g.Conditions = append(g.Conditions, Condition{Metric: ToolErrors})
	}
	return g
}

func (g *Gate) add(b *block, metric, prefix string, atLeast bool) {
	if !b.has(prefix + metric) {
		return
	}
	c := Condition{Metric: metric, AtLeast: atLeast}
	if c.Counts() {
		c.Bar = float64(b.integer(prefix+metric, 0, 0, 1<<53))
	} else {
		c.Bar = b.real(prefix+metric, 0, 0, 1)
	}
	g.Conditions = append(g.Conditions, c)
}

func (r *reader) train(outer *hcl.Block, vms []VM, folder string) *Train {
	b := r.open(outer.Body, outer.DefRange, []string{"model", "max_depth", "min_leaf", "normal_weight", "window", "clean_runs"}, []string{"mix"})
	o := detect.DefaultOptions()
	o.MaxDepth = int(b.integer("max_depth", int64(o.MaxDepth), 1, 64))
	o.MinLeaf = int(b.integer("min_leaf", int64(o.MinLeaf), 1, 1_000_000))
	o.NormalWeight = int(b.integer("normal_weight", int64(o.NormalWeight), 1, 1_000_000))
	o.Window = int(b.integer("window", int64(o.Window), 1, 1000))
	b.require("model", "the file to write, such as \"models/mine.json\"")
	t := &Train{Options: o, Model: b.text("model", "")}
	if !filepath.IsAbs(t.Model) {
		t.Model = filepath.Join(folder, t.Model)
	}
	t.CleanRuns = int(b.integer("clean_runs", 0, 0, 10_000))
	for _, inner := range b.content.Blocks.OfType("mix") {
		t.Mixes = append(t.Mixes, r.mix(inner, vms))
	}
	return t
}

// mix reads one choice of workloads for the VMs, in their order.
func (r *reader) mix(outer *hcl.Block, vms []VM) Mix {
	b := r.open(outer.Body, outer.DefRange, []string{"workloads", "seeds", "scales"}, nil)
	var m Mix
	for _, v := range vms {
		m.Workloads = append(m.Workloads, v.Workload)
		m.Seeds = append(m.Seeds, v.Seed)
		m.Scales = append(m.Scales, v.Scale)
	}
	if names := b.names("workloads"); names != nil {
		m.Workloads = nil
		parse := choice("workload", r.env.Workloads...)
		for _, n := range names {
			w, err := parse(n.Text)
			if err != nil {
				r.fail(n.where, err)
			}
			m.Workloads = append(m.Workloads, w)
		}
		b.perVM("workloads", len(m.Workloads), len(vms))
	}
	if n := b.integers("seeds"); n != nil {
		m.Seeds = n
		b.perVM("seeds", len(n), len(vms))
	}
	if n := b.integers("scales"); n != nil {
		m.Scales = n
		b.perVM("scales", len(n), len(vms))
	}
	return m
}

func (b *block) perVM(name string, n, vms int) {
	if n != vms {
		b.mistake(b.rangeOf(name), "%s are %d for %d VMs", name, n, vms)
	}
}
