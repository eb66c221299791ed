package inject

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func exampleResult() Result {
	return Result{
		Index: 7, Group: "registers", Outcome: HVCrash, Detail: "page fault in root mode",
		Fault: Fault{Bits: Bits{63}, Target: RegisterTarget(RSP),
			Trigger: Trigger{Moment: AtInstruction, Count: 1000, Reason: AnyExit, Mode: Root}},
		Lifecycle: Lifecycle{
			Applied:    &Point{At: 1000, RIP: 0xffff800000101000, Symbol: "vmexit_dispatch+0x3", Mode: Root},
			Fate:       Read,
			Touched:    &Point{At: 1004, RIP: 0xffff800000101010, Symbol: "vmexit_dispatch+0x13", Mode: Root},
			Divergence: &Point{At: 1005, RIP: 0xffff800000100040, Symbol: "exception_entry", Mode: Root},
			Detection: &Detection{Detector: Runtime, Cause: ByException, Reason: 14,
				Point:       Point{At: 1100, RIP: 0xffff800000100080, Mode: Root},
				BeforeEntry: true, Features: &Features{Reason: 10, Instructions: 5}},
		},
		Blast: BlastRadius{Host: true}, End: 1100, State: "00ff",
	}
}

func TestResultIsStoredAndReadBack(t *testing.T) {
	want := exampleResult()
	text, err := want.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	const stored = `{"index":7,"group":"registers",` +
		`"fault":"flip bit 63 of register rsp at instruction 1000 in root","place":{},` +
		`"outcome":"hv-crash","detail":"page fault in root mode",` +
		`"applied":{"at":1000,"rip":"0xffff800000101000","symbol":"vmexit_dispatch+0x3","mode":"root"},` +
		`"fate":"read",` +
		`"touched":{"at":1004,"rip":"0xffff800000101010","symbol":"vmexit_dispatch+0x13","mode":"root"},` +
		`"divergence":{"at":1005,"rip":"0xffff800000100040","symbol":"exception_entry","mode":"root"},` +
		`"detection":{"detector":"runtime","cause":"exception","reason":14,` +
		`"at":1100,"rip":"0xffff800000100080","mode":"root","before_entry":true,` +
		`"features":{"reason":10,"instructions":5,"branches":0,"loads":0,"stores":0}},` +
		`"blast":{"host":true},"end":1100,"state":"00ff"}`
	if d := cmp.Diff(stored, string(text)); d != "" {
		t.Errorf("stored form (-want +got):\n%s", d)
	}
	var got Result
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestDefinitions(t *testing.T) {
	type verdict struct{ Activated, Manifested, Detected, Benign, Escaped bool }
	of := func(r Result) verdict {
		return verdict{r.Activated(), r.Manifested(), r.Detected(), r.DetectedBenign(), r.Escaped()}
	}
	detection := &Detection{Point: Point{At: 20}}
	tests := []struct {
		name string
		r    Result
		want verdict
	}{
		{"masked, never read", Result{Outcome: Masked}, verdict{}},
		{"masked, read", Result{Outcome: Masked, Lifecycle: Lifecycle{Fate: Read}}, verdict{Activated: true}},
		{"overwritten is not activated", Result{Outcome: Masked, Lifecycle: Lifecycle{Fate: Overwritten}}, verdict{}},
		{"latent is not manifested", Result{Outcome: Latent, Lifecycle: Lifecycle{Fate: Read}}, verdict{Activated: true}},
		{"wrong output, nobody noticed", Result{Outcome: SDC, Lifecycle: Lifecycle{Fate: Read}},
			verdict{Activated: true, Manifested: true, Escaped: true}},
		{"wrong output, detected", Result{Outcome: SDC, Lifecycle: Lifecycle{Fate: Read, Detection: detection}},
			verdict{Activated: true, Manifested: true, Detected: true}},
		{"alarm about nothing", Result{Outcome: Masked, Lifecycle: Lifecycle{Fate: Read, Detection: detection}},
			verdict{Activated: true, Detected: true, Benign: true}},
		{"hang", Result{Outcome: Hang}, verdict{Manifested: true, Escaped: true}},
		{"invalid counts nowhere", Result{Outcome: Invalid, Lifecycle: Lifecycle{Fate: Read, Detection: detection}}, verdict{}},
		{"tool error counts nowhere", Result{Outcome: ToolError, Lifecycle: Lifecycle{Fate: Read, Detection: detection}}, verdict{}},
	}
	for _, tt := range tests {
		if d := cmp.Diff(tt.want, of(tt.r)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
}

func TestLatency(t *testing.T) {
	r := exampleResult()
	if n, ok := r.Latency(); n != 100 || !ok {
		t.Errorf("from the flip: %d, %v", n, ok)
	}
	if n, ok := r.LatencyFromActivation(); n != 96 || !ok {
		t.Errorf("from activation: %d, %v", n, ok)
	}
	r.Fate = Overwritten
	if n, ok := r.LatencyFromActivation(); ok {
		t.Errorf("never activated, yet latency %d", n)
	}
}

func TestResultsThatContradictThemselves(t *testing.T) {
	change := func(f func(*Result)) Result {
		r := exampleResult()
		f(&r)
		return r
	}
	tests := []struct {
		r    Result
		want string
	}{
		{change(func(r *Result) { r.Outcome = Invalid }), "applied, yet the outcome is invalid"},
		{change(func(r *Result) { r.Applied = nil }), "not applied, yet the outcome is hv-crash"},
		{change(func(r *Result) { r.Touched = nil }), "fate read does not fit"},
		{change(func(r *Result) { r.Touched.At = 9 }), "touched at 9, before it was applied at 1000"},
		{change(func(r *Result) { r.Divergence.At = 9 }), "diverged at 9"},
		{change(func(r *Result) { r.Detection.At = 9 }), "detected at 9"},
		{change(func(r *Result) { r.Fault.Kind = Null }), "a null injection ended hv-crash"},
		{Result{Outcome: Invalid, Lifecycle: Lifecycle{Fate: Read}}, "a fault that was not applied"},
		{Result{Outcome: 77}, "outcome 77 does not exist"},
	}
	for _, tt := range tests {
		if err := tt.r.Check(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
	if r := exampleResult(); r.Check() != nil {
		t.Errorf("a proper result: %v", r.Check())
	}
}

func TestBlastRadius(t *testing.T) {
	var b BlastRadius
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() {}, "none"},
		{func() { b.Add(2); b.Add(2) }, "one-vm"},
		{func() { b.Add(0) }, "several-vms"},
		{func() { b.Host = true }, "host"},
	} {
		step.do()
		if b.String() != step.want {
			t.Errorf("%v is %s, want %s", b.VMs, b, step.want)
		}
	}
	if !cmp.Equal(b.VMs, []int{0, 2}) {
		t.Errorf("VMs %v", b.VMs)
	}
}
