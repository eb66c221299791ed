package campaigns_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/flipvisor/flipvisor/campaigns"
	"github.com/flipvisor/flipvisor/hv"
	"github.com/flipvisor/flipvisor/inject"
	"github.com/flipvisor/flipvisor/internal/fakelab"
)

var update = flag.Bool("update", false, "rewrite expected outputs")

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

// space loads a campaign and puts it together with the fake's golden run.
func space(c *campaigns.Campaign) (*inject.Space, error) {
	lab, err := fakelab.Builder(fakelab.Options{})(c.Setup)
	if err != nil {
		return nil, err
	}
	defer lab.Close()
	g, err := lab.Golden(context.Background())
	if err != nil {
		return nil, err
	}
	return c.Space(g)
}

// Each file in bad/ has a mistake, and beside it what has to be said about it.
func TestMistakesAreExplained(t *testing.T) {
	files, err := filepath.Glob("../testdata/campaigns/bad/*.hcl*")
	if err != nil || len(files) < 50 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			source, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.Base(path)
			c, err := campaigns.Env{}.Parse(name, source)
			if late := strings.HasPrefix(name, "late-"); late && err == nil {
				_, err = space(c)
			} else if late {
				t.Error("was to be found out with the golden run, not before")
			}
			var input *campaigns.InputError
			if !errors.As(err, &input) {
				t.Fatalf("error %v", err)
			}
			for _, d := range input.Diagnostics {
				if d.Subject == nil || d.Subject.Start.Line < 1 {
					t.Errorf("%s: has no place", d.Summary)
				}
			}
			golden(t, strings.TrimSuffix(path, filepath.Ext(path))+".err", err.Error()+"\n")
		})
	}
}

func shipped(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.hcl")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	return files
}

// parse reads a file, with a model that lets every transition pass, whether
// or not one has been trained.
func parse(t *testing.T, path string) *campaigns.Campaign {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	source = regexp.MustCompile(`(?m)^hypervisor \{$`).ReplaceAll(source, []byte("hypervisor {\n  model = \"model.json\""))
	env := campaigns.Env{ReadFile: func(string) ([]byte, error) {
		return []byte(`{"model":"vm transition decision tree","version":1,` +
			`"trained":{"normal":0,"anomalous":0,"options":{"max_depth":1,"min_leaf":1,"normal_weight":1,"window":1}},` +
			`"tree":{"verdict":"normal"}}`), nil
	}}
	c, err := env.Parse(path, source)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestShippedCampaignsAreSound(t *testing.T) {
	for _, path := range append(shipped(t), "../testdata/campaigns/good/every-block.hcl") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			c := parse(t, path)
			if want := strings.TrimSuffix(filepath.Base(path), ".hcl"); c.Name != want {
				t.Errorf("campaign %q is in file %q", c.Name, want)
			}
			s, err := space(c)
			if err != nil {
				t.Fatal(err)
			}
			for i := range uint64(2000) {
				_, f := s.Sample(c.Key(), uint64(c.Sample.Seed), i)
				if again, err := inject.ParseFault(f.String()); err != nil || cmp.Diff(f, again) != "" {
					t.Fatalf("experiment %d: %s: %v", i, f, err)
				}
			}
			source, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(hclwrite.Format(source)), string(source)); d != "" {
				t.Errorf("not formatted (-want +got):\n%s", d)
			}
		})
	}
}

func TestTrainingSeesOtherExamplesThanJudgement(t *testing.T) {
	judged := map[string]bool{}
	seeds := map[int64]bool{}
	for _, v := range parse(t, "xentry.hcl").Setup.VMs {
		judged[v.Workload], seeds[v.Seed] = true, true
	}
	for i, m := range parse(t, "xentry-train.hcl").Train.Mixes {
		same := 0
		for j, w := range m.Workloads {
			if judged[w] {
				same++
			}
			if seeds[m.Seeds[j]] {
				t.Errorf("mix %d: seed %d is one that is judged on", i, m.Seeds[j])
			}
		}
		if same == len(judged) {
			t.Errorf("mix %d is the one that is judged on", i)
		}
	}
}

func TestWorkloadsAreTheGuests(t *testing.T) {
	list, err := os.ReadFile("../hv/src/guest/work/list.h")
	if err != nil {
		t.Fatal(err)
	}
	var known []string
	for _, m := range regexp.MustCompile(`(?m)^WORKLOAD\((\w+)\)`).FindAllSubmatch(list, -1) {
		known = append(known, string(m[1]))
	}
	if d := cmp.Diff(known, hv.Workloads); d != "" {
		t.Errorf("(-list.h +hv):\n%s", d)
	}
}

func TestEveryBlockIsRead(t *testing.T) {
	c := parse(t, "../testdata/campaigns/good/every-block.hcl")
	peer := int64(1)
	wantVM := campaigns.VM{Name: "first", Workload: "mcf", Scale: 2, Seed: 3, Repeat: 4, Memory: 8 << 20,
		Disk: 16 << 10, Weight: 512, Tick: 60000, Peer: &peer, Options: "stats=1"}
	if d := cmp.Diff(wantVM, c.Setup.VMs[0]); d != "" {
		t.Errorf("vm (-want +got):\n%s", d)
	}
	if d := cmp.Diff(campaigns.Sample{Margin: 0.05, Confidence: 0.99, Seed: 42}, c.Sample); d != "" {
		t.Errorf("sample (-want +got):\n%s", d)
	}
	if d := cmp.Diff(campaigns.Gate{Confidence: 0.9, Conditions: []campaigns.Condition{
		{Metric: campaigns.CoverageManifested, AtLeast: true, Bar: 0.5},
		{Metric: campaigns.FalsePositives, Bar: 10},
		{Metric: campaigns.OverheadShare, Bar: 0.1},
		{Metric: "sdc", Bar: 0.25},
		{Metric: campaigns.ToolErrors},
	}}, c.Gate); d != "" {
		t.Errorf("gate (-want +got):\n%s", d)
	}
	h := c.Setup.Hypervisor
	if d := cmp.Diff([]inject.Detector{inject.Runtime, inject.Watchdog}, h.Detectors); d != "" || h.Policy != campaigns.Stop {
		t.Errorf("detectors (-want +got):\n%s, policy %s", d, h.Policy)
	}
	m := c.Setup.Machine
	if m.Memory != 256<<20 || m.Counters != 8 || m.HangFactor != 1.5 || m.Cache[1].Size != 16<<10 {
		t.Errorf("machine %+v", m)
	}

	s, err := space(c)
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]float64{}
	for i := range s.Groups {
		sizes[s.Groups[i].Name] = s.Groups[i].Size()
	}
	const vmcs = 2 * (64 + 7*16 + 3*64 + 32 + 12*64) // guest_rip and the host's fields, of two VMs
	for name, want := range map[string]float64{
		"burst":       float64((0x40*8-2)+(0x1000*8-2)+(0x1000*8-2)) * 40,
		"mask":        0x1000 * 4,
		"stuck":       vmcs * 4,
		"flicker":     2 * (28 + 2), // 40 address bits less 6 of the offset and 6 of the set
		"translation": (8*40 + 120) * 10000,
		"null":        1,
		"these":       2,
	} {
		if sizes[name] != want {
			t.Errorf("%s: %v faults, want %v", name, sizes[name], want)
		}
	}
}

// The same campaign in HCL's JSON syntax is the same campaign.
func TestJSONSyntax(t *testing.T) {
	const asHCL = `
campaign "c" {}
hypervisor { detectors = [] }
vm "a" { workload = "bzip2" }
fault "f" {
  target "register" { names = ["rax", "rip"] }
  trigger "exit" { number = "1-3" }
}
`
	const asJSON = `{
"campaign": {"c": {}},
"hypervisor": {"detectors": []},
"vm": {"a": {"workload": "bzip2"}},
"fault": {"f": {
  "target": {"register": {"names": ["rax", "rip"]}},
  "trigger": {"exit": {"number": "1-3"}}}}
}`
	a, err := campaigns.Env{}.Parse("c.hcl", []byte(asHCL))
	if err != nil {
		t.Fatal(err)
	}
	b, err := campaigns.Env{}.Parse("c.json", []byte(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	if a.Digest() != b.Digest() || a.Key() != b.Key() {
		t.Errorf("%+v\n%+v", a, b)
	}
}

func TestDigestAndKey(t *testing.T) {
	source, err := os.ReadFile("../testdata/campaigns/good/every-block.hcl")
	if err != nil {
		t.Fatal(err)
	}
	read := func(old, new string) *campaigns.Campaign {
		t.Helper()
		changed := bytes.Replace(source, []byte(old), []byte(new), 1)
		if old != new && bytes.Equal(changed, source) {
			t.Fatalf("%q is not in the file", old)
		}
		c, err := campaigns.Env{}.Parse("c.hcl", changed)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	base := read("", "")
	tests := []struct {
		what, old, new      string
		sameDigest, sameKey bool
	}{
		{"a comment", "# One of", "# One", true, true},
		{"the gate", "min_coverage_manifested = 0.5", "min_coverage_manifested = 0.6", true, true},
		{"the sample", "margin     = 0.05", "margin     = 0.01", true, true},
		{"a detector", `"watchdog", "runtime"`, `"runtime"`, false, true},
		{"the detectors' order", `"watchdog", "runtime"`, `"runtime", "watchdog"`, true, true},
		{"a workload's seed", "seed     = 3", "seed     = 4", false, true},
		{"a fault's bits", `"0-31"`, `"0-30"`, false, false},
		{"a symbol", `"run_queue", "vms"`, `"vms"`, false, false},
	}
	for _, tt := range tests {
		c := read(tt.old, tt.new)
		if same := c.Digest() == base.Digest(); same != tt.sameDigest {
			t.Errorf("%s: digest the same: %v", tt.what, same)
		}
		if same := c.Key() == base.Key(); same != tt.sameKey {
			t.Errorf("%s: key the same: %v", tt.what, same)
		}
	}
}

func TestSampleNumber(t *testing.T) {
	c := parse(t, "xentry.hcl")
	if n := c.Sample.Number(1e12); n != 9604 {
		t.Errorf("xentry.hcl makes %d experiments, want 9604", n)
	}
	if n := (campaigns.Sample{Size: 7}).Number(1e12); n != 7 {
		t.Errorf("%d, want 7", n)
	}
}

// Whatever is in a file, reading it does nothing worse than fail.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"*.hcl", "../testdata/campaigns/*/*.hcl"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range files {
			source, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(source, false)
		}
	}
	f.Add([]byte(`{"campaign": {"c": {}}, "vm": {"a": {"workload": "bzip2"}}}`), true)
	nothing := func(string) ([]byte, error) { return nil, os.ErrNotExist }
	f.Fuzz(func(t *testing.T, source []byte, isJSON bool) {
		name := "c.hcl"
		if isJSON {
			name = "c.json"
		}
		c, err := campaigns.Env{ReadFile: nothing}.Parse(name, source)
		if err != nil {
			_ = err.Error() // quoting the file works, too
			return
		}
		if len(c.Setup.VMs) <= 8 {
			if s, err := space(c); err == nil {
				s.Sample(c.Key(), 1, 1)
			}
		}
	})
}
