package report

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/flipvisor/flipvisor/inject"
	"github.com/flipvisor/flipvisor/internal/stats"
)

// Markdown writes the report for the summary of a CI run.
func (r *Report) Markdown(w io.Writer) error {
	b := bufio.NewWriter(w)
	mark := map[stats.Verdict]string{stats.Pass: "✅", stats.Inconclusive: "❔", stats.Fail: "❌"}
	fmt.Fprintf(b, "## %s %s: %s\n\n", mark[r.Gate.Verdict], plain(r.Campaign), r.Gate.Verdict)
	if r.Description != "" {
		fmt.Fprintf(b, "%s\n\n", plain(r.Description))
	}
	fmt.Fprintf(b, "%s of %s experiments, seed %d, detectors: %s\n\n", count(r.Samples), count(r.Planned), r.Seed,
		plain(strings.Join(r.Detectors, ", ")))
	if r.Gate.Note != "" {
		fmt.Fprintf(b, "%s\n\n", plain(r.Gate.Note))
	}

	m := markdown{b}
	m.table("Condition", "Measured", "Interval", "Verdict")
	for _, c := range r.Gate.Conditions {
		m.row(c.sentence(), c.measured(), c.bounds(), mark[c.Verdict]+" "+c.Verdict.String())
	}

	m.title("Coverage")
	m.table("Of the faults", "Detected", "Total", "Share", r.confidence()+" interval")
	for _, row := range []struct {
		name string
		p    Proportion
	}{{"injected", r.Coverage.Injected}, {"activated", r.Coverage.Activated}, {"manifested", r.Coverage.Manifested}} {
		m.row(row.name, count(row.p.Detected), count(row.p.Total), row.p.share(), row.p.bounds())
	}

	m.title("Outcomes")
	m.table("Outcome", "Faults")
	for o := inject.Outcome(0); o.Counts(); o++ {
		m.row(o.String(), count(r.Outcomes[o.String()]))
	}
	m.row("*invalid*", count(r.Invalid))
	m.row("*tool errors*", count(r.ToolErrors))

	if len(r.Escapes) > 0 {
		m.title("Largest classes of escapes")
		m.table("Outcome", "Flipped in", "Faults", "Example", "Fault", "Detail", "While in")
		for _, e := range r.Escapes[:min(fewRows, len(r.Escapes))] {
			m.row(e.Outcome.String(), e.Target, count(e.Count), fmt.Sprint(e.Example), e.Fault, e.Detail, e.where())
		}
	}

	m.title("Latency")
	m.table("Instructions", "Median", "95 %", "99 %", "Longest")
	for _, row := range []struct {
		name string
		l    Latency
	}{{"from the flip", r.Latency}, {"from activation", r.LatencyFromActivation}} {
		m.row(row.name, count(row.l.P50), count(row.l.P95), count(row.l.P99), count(row.l.Max))
	}

	if len(r.Overhead) > 0 {
		m.title("Overhead")
		m.table("Detectors", "Instructions per exit", "Whole run")
		for _, name := range r.detectorSets() {
			o := r.Overhead[name]
			m.row(name, signed(fmt.Sprintf("%.1f", o.PerExit)), signed(percent(o.Share)))
		}
	}
	fmt.Fprintf(b, "\nFalse positives: %s alarms in %s clean VM entries.\n\nDigest `%s`\n",
		count(r.FalsePositives.Alarms), count(r.FalsePositives.Entries), r.Digest)
	return b.Flush()
}

type markdown struct{ w io.Writer }

func (m markdown) title(s string) { fmt.Fprintf(m.w, "\n### %s\n\n", s) }

func (m markdown) table(columns ...string) {
	m.row(columns...)
	m.row(slices.Repeat([]string{"---"}, len(columns))...)
}

func (m markdown) row(cells ...string) {
	escaped := make([]string, len(cells))
	for i, c := range cells {
		escaped[i] = strings.ReplaceAll(plain(c), "|", `\|`)
	}
	fmt.Fprintf(m.w, "| %s |\n", strings.Join(escaped, " | "))
}

// plain keeps a text from a campaign file from being more than text.
func plain(s string) string {
	return strings.NewReplacer("<", "&lt;", "\n", " ", "`", "'").Replace(s)
}
