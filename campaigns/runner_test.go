package campaigns_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/flipvisor/flipvisor/campaigns"
	"github.com/flipvisor/flipvisor/detect"
	"github.com/flipvisor/flipvisor/inject"
	"github.com/flipvisor/flipvisor/internal/fakelab"
)

const small = `
campaign "small" {}
hypervisor { detectors = ["runtime", "watchdog"] }
vm "a" { workload = "bzip2" }
vm "b" { workload = "mcf" }
fault "registers" {
  target "register" { names = ["general", "rip"] }
  trigger "uniform" {}
}
sample { size = 60 }
`

func campaign(t *testing.T, text string) *campaigns.Campaign {
	t.Helper()
	c, err := campaigns.Env{}.Parse("small.hcl", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// runner is a campaign of 60 experiments in a new folder.
func runner(t *testing.T, o fakelab.Options) *campaigns.Runner {
	t.Helper()
	return &campaigns.Runner{
		Campaign: campaign(t, small), Build: fakelab.Builder(o), Dir: filepath.Join(t.TempDir(), "out"), Jobs: 2,
	}
}

func digestOf(t *testing.T, s *campaigns.Stored) string {
	t.Helper()
	d, err := campaigns.ResultsDigest(s.Records)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func run(t *testing.T, r *campaigns.Runner) *campaigns.Stored {
	t.Helper()
	s, err := r.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWorkersChangeNothing(t *testing.T) {
	var want string
	for _, jobs := range []int{1, 2, 3, 7, 100} {
		r := runner(t, fakelab.Options{})
		r.Jobs = jobs
		s := run(t, r)
		for i := range s.Records {
			if s.Records[i].Index != i {
				t.Fatalf("record %d has index %d", i, s.Records[i].Index)
			}
			if err := s.Records[i].Check(); err != nil {
				t.Errorf("experiment %d: %v", i, err)
			}
		}
		if len(s.Records) != 60 {
			t.Fatalf("%d results", len(s.Records))
		}
		d := digestOf(t, s)
		if want == "" {
			want = d
		}
		if d != want {
			t.Errorf("%d jobs: digest %s, want %s", jobs, d, want)
		}
	}
	r := runner(t, fakelab.Options{})
	r.Campaign.Sample.Seed = 2
	if digestOf(t, run(t, r)) == want {
		t.Error("another seed gives the same results")
	}
}

// A longer campaign begins with the experiments of a shorter one.
func TestSamplesGrow(t *testing.T) {
	short, long := runner(t, fakelab.Options{}), runner(t, fakelab.Options{})
	long.Campaign.Sample.Size = 90
	a, b := run(t, short), run(t, long)
	if d := cmp.Diff(digestOf(t, a), digestOf(t, &campaigns.Stored{Records: b.Records[:60]})); d != "" {
		t.Error(d)
	}
	// In the same folder, only the new ones are run, and asking for fewer
	// leaves the others out.
	var runs atomic.Int64
	short.Build = fakelab.Builder(fakelab.Options{Runs: &runs})
	short.Campaign.Sample.Size = 90
	if got := digestOf(t, run(t, short)); got != digestOf(t, b) || runs.Load() != 30 {
		t.Errorf("digest %s after %d more, want %s after 30", got, runs.Load(), digestOf(t, b))
	}
	short.Campaign.Sample.Size = 60
	if got := digestOf(t, run(t, short)); got != digestOf(t, a) {
		t.Errorf("digest of the first 60 is %s, was %s", got, digestOf(t, a))
	}
}

func TestInterruptedRunsGoOn(t *testing.T) {
	want := digestOf(t, run(t, runner(t, fakelab.Options{})))

	var runs atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	o := fakelab.Options{Runs: &runs}
	o.OnRun = func(int) {
		if runs.Load() == 20 {
			cancel()
		}
	}
	r := runner(t, o)
	s, err := r.Run(ctx)
	if !errors.Is(err, campaigns.ErrInterrupted) {
		t.Fatalf("error %v", err)
	}
	kept := len(s.Records)
	if kept < 15 || kept > 25 {
		t.Errorf("%d results are kept", kept)
	}
	if s.Timing.Experiments != kept {
		t.Errorf("the time of %d experiments is kept", s.Timing.Experiments)
	}

	runs.Store(100)
	if got := digestOf(t, run(t, r)); got != want {
		t.Errorf("digest %s, without interruption %s", got, want)
	}
	if again := int(runs.Load()) - 100; again != 60-kept {
		t.Errorf("%d experiments ran after %d were kept", again, kept)
	}
}

func TestInterruptedGoldenRun(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := runner(t, fakelab.Options{})
	if _, err := r.Run(ctx); !errors.Is(err, campaigns.ErrInterrupted) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(r.Dir); err == nil {
		t.Error("a folder was made for nothing")
	}
}

// Failures of the tool are results of their own class, and the other
// experiments do not suffer from them.
func TestToolErrors(t *testing.T) {
	healthy := run(t, runner(t, fakelab.Options{}))
	var log bytes.Buffer
	r := runner(t, fakelab.Options{
		Panic: func(i int) bool { return i%20 == 7 },
		Fail: func(i int) error {
			if i%20 == 9 {
				return errors.New("no such instruction")
			}
			return nil
		},
	})
	r.Log = hclog.New(&hclog.LoggerOptions{Output: &log})
	s := run(t, r)
	for i := range s.Records {
		got, was := &s.Records[i], &healthy.Records[i]
		switch i % 20 {
		case 7:
			if got.Outcome != inject.ToolError || got.Detail != fmt.Sprintf("panic: the machine fell apart in experiment %d", i) {
				t.Errorf("experiment %d: %s, %s", i, got.Outcome, got.Detail)
			}
		case 9:
			if got.Outcome != inject.ToolError || got.Detail != "no such instruction" {
				t.Errorf("experiment %d: %s, %s", i, got.Outcome, got.Detail)
			}
		default:
			if d := cmp.Diff(was.Result, got.Result); d != "" {
				t.Errorf("experiment %d (-without errors +with):\n%s", i, d)
			}
		}
		if cmp.Diff(was.Fault, got.Fault) != "" {
			t.Errorf("experiment %d: the fault is not recorded", i)
		}
	}
	text, err := os.ReadFile(filepath.Join(r.Dir, "errors.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"experiment 27: flip bit", "panic: the machine fell apart in experiment 27", "fakelab/run.go:", "experiment 29", "no such instruction"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("errors.log does not say %q", want)
		}
	}
	if n := strings.Count(log.String(), "flipvisor failed in an experiment"); n != 6 {
		t.Errorf("%d failures are logged:\n%s", n, log.String())
	}
}

func TestLabsThatCannotBeBuilt(t *testing.T) {
	r := runner(t, fakelab.Options{BuildError: errors.New("x.elf: not a multiboot kernel")})
	if _, err := r.Run(context.Background()); err == nil || err.Error() != "x.elf: not a multiboot kernel" {
		t.Errorf("error %v", err)
	}
}

func TestFoldersOfOthers(t *testing.T) {
	r := runner(t, fakelab.Options{})
	run(t, r)
	results, err := os.ReadFile(filepath.Join(r.Dir, "results.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(*campaigns.Runner)
		want   string
	}{
		{"another name", func(r *campaigns.Runner) {
			r.Campaign = campaign(t, strings.Replace(small, `"small"`, `"large"`, 1))
		}, `they are of campaign "small", not "large"`},
		{"another seed", func(r *campaigns.Runner) { r.Campaign.Sample.Seed = 9 }, "they were drawn with seed 1, not 9"},
		{"another workload", func(r *campaigns.Runner) {
			r.Campaign = campaign(t, strings.Replace(small, `"mcf"`, `"x264"`, 1))
		}, `campaign "small" has changed since`},
		{"another hypervisor", func(r *campaigns.Runner) {
			r.Build = fakelab.Builder(fakelab.Options{Image: 1})
		}, "the hypervisor, a guest or flipvisor itself has changed since"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			other := *r
			other.Campaign = campaign(t, small)
			tt.change(&other)
			_, err := other.Run(context.Background())
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), r.Dir) {
				t.Errorf("error %v, want one naming the folder and saying %s", err, tt.want)
			}
			after, err := os.ReadFile(filepath.Join(r.Dir, "results.jsonl"))
			if err != nil || !bytes.Equal(results, after) {
				t.Errorf("the results have changed: %v", err)
			}
		})
	}

	t.Run("no results at all", func(t *testing.T) {
		other := *r
		other.Dir = t.TempDir()
		if err := os.WriteFile(filepath.Join(other.Dir, "thesis.tex"), nil, 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := other.Run(context.Background())
		if err == nil || !strings.Contains(err.Error(), "there is thesis.tex in it, but no manifest.json") {
			t.Errorf("error %v", err)
		}
	})

	t.Run("in use", func(t *testing.T) {
		other := *r
		other.Campaign = campaign(t, strings.Replace(small, "60", "70", 1))
		other.Build = fakelab.Builder(fakelab.Options{OnRun: func(int) {
			_, err := r.Run(context.Background())
			if err == nil || !strings.Contains(err.Error(), "another flipvisor is writing to it") {
				t.Errorf("error %v", err)
			}
		}})
		run(t, &other)
	})
}

func TestGoldenRunIsSummarized(t *testing.T) {
	s := run(t, runner(t, fakelab.Options{}))
	g := s.Golden
	if len(g.VMs) != 2 || g.VMs[0] != "a (bzip2)" || g.Entries != 400 || g.Digest == "" || len(g.Outputs) != 2 {
		t.Errorf("%+v", g)
	}
	if len(g.Groups) != 1 || g.Groups[0].Size != 17*64*float64(g.RootInstructions) {
		t.Errorf("groups %+v of %d instructions", g.Groups, g.RootInstructions)
	}
	var sets []string
	for _, o := range g.Overhead {
		sets = append(sets, o.Detectors)
	}
	if d := cmp.Diff([]string{"runtime", "watchdog", "runtime+watchdog"}, sets); d != "" {
		t.Fatalf("overhead (-want +got):\n%s", d)
	}
	// The fake's detectors cost 10 and 40 instructions at each exit.
	for i, want := range []float64{10, 40, 50} {
		o := g.Overhead[i]
		if o.PerExit != want || o.Run != int64(400*want) || o.Share() <= 0 {
			t.Errorf("%s: %+v", o.Detectors, o)
		}
	}
}

func TestPlan(t *testing.T) {
	var runs atomic.Int64
	c := campaign(t, strings.Replace(small, "size = 60", "margin = 0.01", 1))
	p, err := campaigns.MakePlan(context.Background(), c, fakelab.Builder(fakelab.Options{Runs: &runs}), 2)
	if err != nil {
		t.Fatal(err)
	}
	if runs.Load() != 0 {
		t.Errorf("planning ran %d experiments", runs.Load())
	}
	if p.Samples != 9603 && p.Samples != 9604 || p.SpaceSize < 1e7 || p.Margin > 0.0101 || len(p.Examples) != 3 {
		t.Errorf("%+v", p)
	}
}

func TestReplay(t *testing.T) {
	r := runner(t, fakelab.Options{})
	file := filepath.Join(t.TempDir(), "small.hcl")
	if err := os.WriteFile(file, []byte(small), 0o666); err != nil {
		t.Fatal(err)
	}
	c, err := campaigns.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	r.Campaign = c
	s := run(t, r)
	// What the folder holds is enough: the campaign file may have changed.
	if err := os.WriteFile(file, []byte("changed"), 0o666); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for i := range s.Records {
		got, err := campaigns.Replay(ctx, campaigns.Env{}, r.Build, r.Dir, i, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Differences) != 0 || got.Trace == nil {
			t.Errorf("experiment %d: %v", i, got.Differences)
		}
	}
	got, err := campaigns.Replay(ctx, campaigns.Env{}, fakelab.Builder(fakelab.Options{Harmless: true}), r.Dir, harmful(t, s), 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Differences) == 0 || got.Differences[len(got.Differences)-1].Field == "" {
		t.Error("another machine gives no difference")
	}
	for _, tt := range []struct {
		index int
		build campaigns.Builder
		want  string
	}{
		{60, r.Build, "has no experiment 60 (there are 60 of 60)"},
		{1, fakelab.Builder(fakelab.Options{Image: 4}), "the hypervisor, a guest or flipvisor itself has changed"},
	} {
		if _, err := campaigns.Replay(ctx, campaigns.Env{}, tt.build, r.Dir, tt.index, 2); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want %s", err, tt.want)
		}
	}
}

func TestCleanRuns(t *testing.T) {
	model, err := detect.Train([]detect.Sample{
		{Features: inject.Features{Reason: 30}}, {Features: inject.Features{Reason: 48}, Anomalous: true},
	}, detect.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	var want *campaigns.Clean
	for _, jobs := range []int{1, 2, 5} {
		c := campaign(t, small)
		c.Setup.Hypervisor.Detectors = []inject.Detector{inject.Transition}
		c.Setup.Hypervisor.Model = model
		got, err := campaigns.CleanRuns(context.Background(), c, fakelab.Builder(fakelab.Options{}), 2500, jobs, nil)
		if err != nil {
			t.Fatal(err)
		}
		// 400 entries a run, an eighth of them for the reason it dislikes.
		if n := len(got.Alarms); got.Runs != 7 || got.Entries != 2800 || n < 280 || n > 420 {
			t.Errorf("%d runs, %d entries, %d alarms", got.Runs, got.Entries, n)
		}
		if want == nil {
			want = got
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%d jobs (-1 +%d):\n%s", jobs, jobs, d)
		}
	}
}

// A result that could not be read again is not written in the first place.
func TestUnreadableResults(t *testing.T) {
	r := runner(t, fakelab.Options{Unreadable: func(i int) bool { return i == 5 }})
	s := run(t, r)
	if e := s.Records[5]; e.Outcome != inject.ToolError || !strings.Contains(e.Detail, "impossible result") {
		t.Errorf("%s: %s", e.Outcome, e.Detail)
	}
}

func harmful(t *testing.T, s *campaigns.Stored) int {
	t.Helper()
	for i := range s.Records {
		if s.Records[i].Manifested() {
			return i
		}
	}
	t.Fatal("no fault did any harm")
	return 0
}

func TestTrain(t *testing.T) {
	text := strings.Replace(small, "size = 60", "size = 400", 1) + `
train {
  model      = "m.json"
  clean_runs = 3
  mix { workloads = ["mcf", "bzip2"] }
  mix { workloads = ["x264", "canneal"] }
  mix { workloads = ["seqread", "postmark"] }
}`
	train := func(jobs int) (*campaigns.Trained, string) {
		tr := campaigns.Trainer{Campaign: campaign(t, text), Build: fakelab.Builder(fakelab.Options{}), Jobs: jobs}
		out, err := tr.Train(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := out.Tree.WriteJSON(&b); err != nil {
			t.Fatal(err)
		}
		return out, b.String()
	}
	one, a := train(1)
	_, b := train(5)
	if d := cmp.Diff(a, b); d != "" {
		t.Errorf("more workers, another tree:\n%s", d)
	}
	if one.Manifested == 0 || one.Labelled < one.Manifested*9/10 || one.Tree.Origin.Normal != 3*4*400 ||
		one.Tree.Origin.Anomalous != one.Labelled || one.ToolErrors != 0 {
		t.Errorf("%+v", one)
	}
	found, all, alarms := 0, 0, 0
	for _, s := range one.LeftOut {
		found, all, alarms = found+s.Found, all+s.Anomalous, alarms+s.FalseAlarms
	}
	if len(one.LeftOut) != 3 || found < all*9/10 || alarms > 12 {
		t.Errorf("left out: %+v", one.LeftOut)
	}
	tr := campaigns.Trainer{Campaign: campaign(t, small), Build: fakelab.Builder(fakelab.Options{})}
	if _, err := tr.Train(context.Background()); err == nil || !strings.Contains(err.Error(), "no train block") {
		t.Errorf("error %v", err)
	}
}
