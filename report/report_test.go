package report

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/flipvisor/flipvisor/campaigns"
	"github.com/flipvisor/flipvisor/inject"
	"github.com/flipvisor/flipvisor/internal/fakelab"
	"github.com/flipvisor/flipvisor/internal/stats"
)

var update = flag.Bool("update", false, "rewrite expected outputs")

const example = `
campaign "example" { description = "Registers and memory of a machine made of arithmetic, to see what a report looks like when there is something to say" }
hypervisor {
  detectors = ["runtime", "transition", "watchdog"]
  model     = "m.json"
}
vm "flow"  { workload = "mcf" }
vm "files" { workload = "postmark" }
fault "registers" {
  weight = 3
  target "register" { names = ["general", "rip", "rflags"] }
  trigger "uniform" {}
}
fault "data" {
  target "memory" { owner = ["hv-data", "hv-bss", "hv-stack"] }
  trigger "uniform" {}
}
sample { size = 500 }
gate {
  min_coverage_manifested = 0.9
  max_sdc                 = 0.02
  max_false_positives     = 0
}
`

const model = `{"model":"vm transition decision tree","version":1,
"trained":{"normal":0,"anomalous":0,"options":{"max_depth":1,"min_leaf":1,"normal_weight":1,"window":1}},
"tree":{"verdict":"normal"}}`

func stored(t *testing.T, text string, o fakelab.Options) *campaigns.Stored {
	t.Helper()
	env := campaigns.Env{ReadFile: func(string) ([]byte, error) { return []byte(model), nil }}
	c, err := env.Parse("example.hcl", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	r := campaigns.Runner{Campaign: c, Build: fakelab.Builder(o), Dir: t.TempDir() + "/out", Jobs: 2}
	s, err := r.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	s.Timing = campaigns.Timing{Experiments: 500, Seconds: 2.5}
	return s
}

func build(t *testing.T, s *campaigns.Stored) *Report {
	t.Helper()
	r, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFormats(t *testing.T) {
	r := build(t, stored(t, example, fakelab.Options{Fail: func(i int) error {
		if i == 77 {
			return io.ErrUnexpectedEOF
		}
		return nil
	}}))
	formats := map[string]func(io.Writer) error{
		"report.txt":       func(w io.Writer) error { return r.Text(w, TextOptions{}) },
		"report-wide.txt":  func(w io.Writer) error { return r.Text(w, TextOptions{Width: 120, Color: true, Full: true}) },
		"report-ascii.txt": func(w io.Writer) error { return r.Text(w, TextOptions{Width: 60, ASCII: true}) },
		"report.json":      r.JSON,
		"report.md":        r.Markdown,
		"report.xml":       r.JUnit,
	}
	for name, write := range formats {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), b.String()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestLinesFit(t *testing.T) {
	r := build(t, stored(t, example, fakelab.Options{}))
	for _, width := range []int{40, 60, 80, 200} {
		var b bytes.Buffer
		if err := r.Text(&b, TextOptions{Width: width, Full: true}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width && !strings.HasPrefix(line, "digest") {
				t.Errorf("width %d: %d characters: %s", width, n, line)
			}
		}
	}
}

// The fields that the JSON promises, by their names.
func TestPromisedFields(t *testing.T) {
	var b bytes.Buffer
	if err := build(t, stored(t, example, fakelab.Options{})).JSON(&b); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	at := func(path string) any {
		var v any = got
		for _, name := range strings.Split(path, ".") {
			m, ok := v.(map[string]any)
			if !ok {
				return nil
			}
			v = m[name]
		}
		return v
	}
	for _, path := range []string{
		"campaign", "seed", "samples", "invalid", "tool_errors", "outcomes.masked", "outcomes.hv-crash",
		"coverage.injected.detected", "coverage.activated.total", "coverage.manifested.value",
		"coverage.manifested.low", "coverage.manifested.high", "by_detector.runtime",
		"latency_instructions.p50", "latency_instructions.p95", "latency_instructions.p99",
		"false_positives.entries", "false_positives.alarms",
		"overhead.runtime.instructions_per_exit", "overhead.transition.run_instructions",
		"experiments_per_second", "digest",
	} {
		if at(path) == nil {
			t.Errorf("there is no %s", path)
		}
	}
}

func TestNumbersAddUp(t *testing.T) {
	s := stored(t, example, fakelab.Options{})
	r := build(t, s)
	var outcomes, targets, manifested, detectedManifested, blast, escaped, groups int
	for _, n := range r.Outcomes {
		outcomes += n
	}
	for _, g := range r.Targets {
		targets += g.Total
		manifested += g.Manifested
		detectedManifested += g.Detected
	}
	for _, n := range r.Blast {
		blast += n
	}
	for _, e := range r.Escapes {
		escaped += e.Count
		if x, ok := s.Find(e.Example); !ok || !x.Escaped() || x.Outcome != e.Outcome {
			t.Errorf("experiment %d is no example of %+v", e.Example, e)
		}
	}
	for _, g := range r.Groups {
		groups += g.Samples
	}
	m := r.Coverage.Manifested
	if outcomes != 500 || targets != 500 || groups != 500 || manifested != m.Total || blast != m.Total ||
		detectedManifested != m.Detected || escaped != m.Total-m.Detected {
		t.Errorf("outcomes %d, targets %d, groups %d, manifested %d, blast %d, detected %d, escaped %d; coverage %+v",
			outcomes, targets, groups, manifested, blast, detectedManifested, escaped, m)
	}
	if d := r.Coverage.Injected.Detected; d != m.Detected+r.Benign || r.Latency.Count != d {
		t.Errorf("%d detected of those injected, %d of those manifested, %d benign", d, m.Detected, r.Benign)
	}
}

func TestVerdicts(t *testing.T) {
	gated := func(gate string) string {
		return strings.Replace(strings.Split(example, "gate {")[0], "size = 500", "size = 200", 1) + "gate {\n" + gate + "\n}\n"
	}
	tests := []struct {
		name, gate string
		options    fakelab.Options
		want       stats.Verdict
	}{
		{"no bar", "", fakelab.Options{}, stats.Pass},
		{"low bar", "min_coverage_manifested = 0.5", fakelab.Options{}, stats.Pass},
		{"high bar", "min_coverage_manifested = 0.999", fakelab.Options{}, stats.Fail},
		{"bar in the interval", "min_coverage_manifested = 0.94", fakelab.Options{}, stats.Inconclusive},
		{"all masked", "min_masked = 1", fakelab.Options{Harmless: true}, stats.Pass},
		{"not all masked", "min_masked = 1", fakelab.Options{}, stats.Fail},
		{"nothing manifested", "min_coverage_manifested = 0.5", fakelab.Options{Harmless: true}, stats.Inconclusive},
		{"cheap", "max_overhead = 0.5", fakelab.Options{}, stats.Pass},
		{"dear", "max_overhead = 0.001", fakelab.Options{}, stats.Fail},
		{"tool errors, unasked", "", fakelab.Options{Panic: func(i int) bool { return i == 3 }}, stats.Fail},
		{"tool errors, allowed", "max_tool_errors = 1", fakelab.Options{Panic: func(i int) bool { return i == 3 }}, stats.Pass},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := build(t, stored(t, gated(tt.gate), tt.options))
			if r.Gate.Verdict != tt.want {
				t.Errorf("%s, want %s: %+v", r.Gate.Verdict, tt.want, r.Gate.Conditions)
			}
		})
	}
}

func TestIncompleteCampaignsDoNotPass(t *testing.T) {
	s := stored(t, strings.Split(example, "gate {")[0], fakelab.Options{})
	s.Records = s.Records[:100]
	r := build(t, s)
	if r.Gate.Verdict != stats.Inconclusive || r.Gate.Note == "" {
		t.Errorf("%+v", r.Gate)
	}
	s.Records = nil
	r = build(t, s)
	for _, write := range []func(io.Writer) error{r.JSON, r.Markdown, r.JUnit,
		func(w io.Writer) error { return r.Text(w, TextOptions{}) }} {
		if err := write(io.Discard); err != nil {
			t.Errorf("a report about nothing: %v", err)
		}
	}
}

func TestJUnitIsXML(t *testing.T) {
	var b bytes.Buffer
	if err := build(t, stored(t, example, fakelab.Options{})).JUnit(&b); err != nil {
		t.Fatal(err)
	}
	var suite junitSuite
	if err := xml.Unmarshal(b.Bytes(), &suite); err != nil {
		t.Fatal(err)
	}
	if suite.Tests != len(suite.Cases) || suite.Tests != 5 {
		t.Errorf("%+v", suite)
	}
}

// Results that stand for nothing that was injected count nowhere.
func TestNullInjectionsAreNotCovered(t *testing.T) {
	r := build(t, stored(t, strings.Replace(strings.Replace(example, "weight = 3", "kind = \"none\"", 1),
		`target "register" { names = ["general", "rip", "rflags"] }`, "", 1), fakelab.Options{}))
	if n := r.Coverage.Injected.Total; n < 200 || n > 300 || r.Outcomes[inject.Masked.String()] < 200 {
		t.Errorf("%d of 500 injected, %v", n, r.Outcomes)
	}
}

func TestNumbers(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{count(0), "0"}, {count(999), "999"}, {count(9604), "9,604"}, {count(-1234567), "-1,234,567"},
		{large(1234.4), "1,234"}, {large(1.5e15), "1.5 P"}, {large(999_999), "999,999"}, {large(12_345_678), "12.3 M"}, {large(999_900_000), "1 G"},
		{percent(0), "0.0 %"}, {percent(1), "100.0 %"}, {percent(0.9999), "99.990 %"}, {percent(0.0001), "0.010 %"}, {percent(0.5), "50.0 %"},
		{bar(0, 10), ""}, {bar(1, 4), "████"}, {bar(0.0001, 4), "▏"}, {bar(0.5, 3), "█▌"},
		{cut("abcdef", 4), "abc…"}, {cut("abcd", 4), "abcd"},
		{strings.Join(wrap("one two three", 8), "/"), "one two/three"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}
