package report

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/flipvisor/flipvisor/inject"
	"github.com/flipvisor/flipvisor/internal/stats"
)

// TextOptions fit the table to where it is read.
type TextOptions struct {
	Width int  // of a line; 0: 80
	Color bool // with escape sequences
	ASCII bool // without bars
	// Full shows every row of the long tables.
	Full bool
}

// fewRows is how many rows of a long table are shown otherwise.
const fewRows = 10

// Text writes the report for a terminal.
func (r *Report) Text(w io.Writer, o TextOptions) error {
	if o.Width <= 0 {
		o.Width = 80
	}
	t := text{Writer: bufio.NewWriter(w), TextOptions: o}
	t.head(r)
	t.outcomes(r)
	t.coverage(r)
	t.detectors(r)
	t.escapes(r)
	t.targets(r)
	t.failures(r)
	t.costs(r)
	t.gate(r)
	return t.Flush()
}

type text struct {
	*bufio.Writer
	TextOptions
}

// Escape sequences of the few colours used. Each means one thing.
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
	dim    = "2"
)

func (t *text) paint(color, s string) string {
	if !t.Color {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

func (t *text) line(s string) {
	t.WriteString(s)
	t.WriteByte('\n')
}

// section begins a part with its title.
func (t *text) section(title, more string) {
	t.line("")
	if more != "" {
		more = "  " + cut(more, t.Width-len(title)-2)
	}
	t.line(t.paint(bold, title) + t.paint(dim, more))
}

func (t *text) table(tb *table) {
	for _, l := range tb.lines("  ", t.Width) {
		t.line(l)
	}
}

func (t *text) paragraph(s string) {
	for _, l := range wrap(s, t.Width-2) {
		t.line("  " + l)
	}
}

func (t *text) head(r *Report) {
	t.line(t.paint(bold, r.Campaign))
	if r.Description != "" {
		t.paragraph(r.Description)
	}
	samples := count(r.Samples) + " experiments"
	if r.Samples < r.Planned {
		samples = fmt.Sprintf("%s of %s experiments", count(r.Samples), count(r.Planned))
	}
	detectors := "none"
	if len(r.Detectors) > 0 {
		detectors = strings.Join(r.Detectors, ", ")
	}
	t.paragraph(fmt.Sprintf("%s, seed %d, detectors: %s", samples, r.Seed, detectors))
	t.paragraph("VMs: " + strings.Join(r.VMs, ", "))
}

// outcomeColor says how bad an outcome is.
func outcomeColor(o inject.Outcome) string {
	switch {
	case o == inject.Masked:
		return green
	case o.Manifested():
		return red
	}
	return yellow
}

func (t *text) outcomes(r *Report) {
	t.section("OUTCOMES", "")
	total := 0
	for _, n := range r.Outcomes {
		total += n
	}
	tb := table{columns: []align{left, right, right, left}}
	var colors []string
	room := min(30, t.Width-40)
	for o := inject.Outcome(0); o.Counts(); o++ {
		n := r.Outcomes[o.String()]
		share := float64(n) / float64(max(1, total))
		picture := ""
		if !t.ASCII && room > 4 {
			picture = bar(share, room)
		}
		tb.add(o.String(), count(n), percent(share), picture)
		colors = append(colors, outcomeColor(o))
	}
	for i, l := range tb.lines("  ", t.Width) {
		// Colour the bar alone: numbers stay readable on any background.
		if at := strings.IndexAny(l, "█▏▎▍▌▋▊▉"); at >= 0 {
			l = l[:at] + t.paint(colors[i], l[at:])
		}
		t.line(l)
	}
	var apart []string
	if r.Invalid > 0 {
		apart = append(apart, count(r.Invalid)+" invalid (the fault was never applied)")
	}
	if r.ToolErrors > 0 {
		apart = append(apart, plural(r.ToolErrors, "error", "errors")+" of flipvisor itself")
	}
	if r.Malformed > 0 {
		apart = append(apart, plural(r.Malformed, "report", "reports")+" that no healthy hypervisor sends")
	}
	if len(apart) > 0 {
		t.paragraph("not counted: " + strings.Join(apart, "; "))
	}
}

func (t *text) coverage(r *Report) {
	t.section("COVERAGE", fmt.Sprintf("faults that a detector noticed; %s intervals", r.confidence()))
	tb := table{columns: []align{left, right, left, right, right, left}}
	for _, row := range []struct {
		name string
		p    Proportion
	}{
		{"of those injected", r.Coverage.Injected},
		{"of those activated", r.Coverage.Activated},
		{"of those manifested", r.Coverage.Manifested},
	} {
		tb.add(row.name, count(row.p.Detected), "of "+count(row.p.Total), row.p.share(), row.p.bounds(), "")
	}
	t.table(&tb)
}

func (t *text) detectors(r *Report) {
	if r.Latency.Count == 0 {
		return
	}
	t.section("DETECTIONS", fmt.Sprintf("the first of each run; %s of faults that never manifested", count(r.Benign)))
	tb := table{columns: []align{left, right, right, left}}
	tb.add("by", "manifested", "benign", "because of")
	for _, name := range slices.Sorted(maps.Keys(r.ByDetector)) {
		d := r.ByDetector[name]
		var causes []string
		for _, c := range slices.Sorted(maps.Keys(d.Causes)) {
			causes = append(causes, fmt.Sprintf("%s %s", c, count(d.Causes[c])))
		}
		tb.add(name, count(d.Manifested), count(d.Benign), strings.Join(causes, ", "))
	}
	t.table(&tb)
	t.line("")
	lt := table{columns: []align{left, right, right, right, right}}
	lt.add("latency in instructions", "median", "95 %", "99 %", "longest")
	for _, row := range []struct {
		name string
		l    Latency
	}{{"from the flip", r.Latency}, {"from activation", r.LatencyFromActivation}} {
		lt.add(row.name, count(row.l.P50), count(row.l.P95), count(row.l.P99), count(row.l.Max))
	}
	t.table(&lt)
	t.paragraph(fmt.Sprintf("before any VM ran again: %s (%s)", r.BeforeEntry.share(), r.BeforeEntry.bounds()))
}

func (t *text) escapes(r *Report) {
	if r.Coverage.Manifested.Total == 0 {
		return
	}
	escaped := r.Coverage.Manifested.Total - r.Coverage.Manifested.Detected
	t.section("ESCAPES", plural(escaped, "manifested fault", "manifested faults")+" that nobody noticed")
	tb := table{columns: []align{left, left, right, right, left}}
	if escaped > 0 {
		tb.add("outcome", "flipped in", "faults", "example", "while the processor was in")
	}
	shown := t.shown(len(r.Escapes))
	for _, e := range r.Escapes[:shown] {
		tb.add(e.Outcome.String(), e.Target, count(e.Count), fmt.Sprint(e.Example), e.where())
	}
	t.table(&tb)
	t.hidden(len(r.Escapes) - shown)
}

// shown is how many rows of a long table there is room for.
func (t *text) shown(rows int) int {
	if t.Full || rows <= fewRows+2 { // to hide one or two rows saves nothing
		return rows
	}
	return fewRows
}

func (t *text) hidden(n int) {
	if n > 0 {
		t.paragraph(fmt.Sprintf("and %d more (--full, or the JSON report)", n))
	}
}

func (t *text) targets(r *Report) {
	if len(r.Targets) == 0 {
		return
	}
	t.section("TARGETS", "where the flips were, and what came of them")
	tb := table{columns: []align{left, right, right, right, right, right, right, right, right, right}}
	tb.add("", "faults", "masked", "latent", "sdc", "app", "vm", "hang", "hv", "detected")
	shown := t.shown(len(r.Targets))
	for _, g := range r.Targets[:shown] {
		cells := []string{g.Name, count(g.Total)}
		for o := inject.Outcome(0); o.Counts(); o++ {
			n := g.Outcomes[o.String()]
			if n == 0 {
				cells = append(cells, ".")
				continue
			}
			cells = append(cells, count(n))
		}
		covered := "-"
		if g.Manifested > 0 {
			covered = percent(float64(g.Detected) / float64(g.Manifested))
		}
		tb.add(append(cells, covered)...)
	}
	t.table(&tb)
	t.hidden(len(r.Targets) - shown)
	if len(r.Blast) > 0 {
		var radius []string
		for _, k := range []string{"host", "several-vms", "one-vm", "none"} {
			if n := r.Blast[k]; n > 0 {
				radius = append(radius, fmt.Sprintf("%s %s", k, count(n)))
			}
		}
		t.paragraph("blast radius of those manifested: " + strings.Join(radius, ", "))
	}
}

func (t *text) failures(r *Report) {
	if len(r.Groups) == 0 {
		return
	}
	t.section("FAILURES", "in the whole fault space: programs are compared by these")
	tb := table{columns: []align{left, right, right, right, right}}
	tb.add("fault", "faults", "manifest", "interval", "undetected")
	for _, g := range r.Groups {
		tb.add(g.Name, large(g.Space), large(g.Failures.Value), g.Failures.bounds(), large(g.Undetected.Value))
	}
	if len(r.Groups) > 1 {
		tb.add("all", "", large(r.Failures.Value), r.Failures.bounds(), large(r.UndetectedFailures.Value))
	}
	t.table(&tb)
}

func (t *text) costs(r *Report) {
	f := &r.FalsePositives
	t.section("FALSE POSITIVES", "in the run without a fault")
	t.paragraph(fmt.Sprintf("%s in %s VM entries (at most %.2g an entry)", plural(f.Alarms, "alarm", "alarms"), count(f.Entries), f.RateAtMost))
	if len(r.Overhead) == 0 {
		return
	}
	t.section("OVERHEAD", "instructions, against no detector at all")
	tb := table{columns: []align{left, right, right, right, right}}
	tb.add("", "per exit", "", "whole run", "")
	for _, name := range r.detectorSets() {
		o := r.Overhead[name]
		exits := "-"
		if o.PerExitBase > 0 {
			exits = signed(percent(o.PerExit / o.PerExitBase))
		}
		tb.add(name, signed(fmt.Sprintf("%.1f", o.PerExit)), exits, signed(count(o.Run)), signed(percent(o.Share)))
	}
	t.table(&tb)
}

func signed(s string) string {
	if strings.HasPrefix(s, "-") {
		return s
	}
	return "+" + s
}

func (t *text) gate(r *Report) {
	color := map[stats.Verdict]string{stats.Pass: green, stats.Inconclusive: yellow, stats.Fail: red}
	t.section("GATE", "")
	tb := table{columns: []align{left, right, right, left}}
	for _, c := range r.Gate.Conditions {
		tb.add(c.sentence(), c.measured(), c.bounds(), c.Verdict.String())
	}
	t.table(&tb)
	verdict := strings.ToUpper(r.Gate.Verdict.String())
	if r.Gate.Note != "" {
		verdict += ": " + r.Gate.Note
	}
	t.line("  " + t.paint(color[r.Gate.Verdict], verdict))
	t.line("")
	if r.Rate > 0 {
		t.line(fmt.Sprintf("%.4g experiments a second", r.Rate))
	}
	t.line("digest " + r.Digest)
}
