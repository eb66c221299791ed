package lab

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flipvisor/flipvisor/campaigns"
	"github.com/flipvisor/flipvisor/hv"
	"github.com/flipvisor/flipvisor/inject"
	"github.com/flipvisor/flipvisor/mmu"
)

// testSetup is three small VMs under the hypervisor with its runtime
// detector.
func testSetup() campaigns.Setup {
	return campaigns.Setup{
		Machine:    campaigns.Machine{Memory: 128 << 20, Counters: 4, Cache: mmu.DefaultCache(), HangFactor: 2},
		Hypervisor: campaigns.Hypervisor{Detectors: []inject.Detector{inject.Runtime}, Policy: campaigns.Continue},
		VMs: []campaigns.VM{
			{Name: "a", Workload: "mcf", Scale: 1, Seed: 1, Repeat: 1, Memory: 16 << 20},
			{Name: "b", Workload: "bzip2", Scale: 1, Seed: 2, Repeat: 1, Memory: 16 << 20},
			{Name: "c", Workload: "postmark", Scale: 1, Seed: 3, Repeat: 1, Memory: 16 << 20},
		},
	}
}

// testLab is a lab with its golden run, made once for all tests.
func testLab(t *testing.T) (*Lab, *campaigns.Golden) {
	t.Helper()
	if theLab == nil {
		l, err := New(testSetup())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Golden(context.Background()); err != nil {
			t.Fatal(err)
		}
		theLab = l.(*Lab)
	}
	return theLab, theLab.shared.golden
}

var theLab *Lab

// run carries out an experiment and holds the result against the definitions.
func run(t *testing.T, l *Lab, e campaigns.Experiment) inject.Result {
	t.Helper()
	r, err := l.Run(context.Background(), e)
	if err != nil {
		t.Fatalf("%v: %v", e.Fault, err)
	}
	if err := r.Check(); err != nil {
		t.Errorf("%v: %v", e.Fault, err)
	}
	return r
}

// TestGolden: three VMs computed what the host computes, nobody cried wolf.
func TestGolden(t *testing.T) {
	_, g := testLab(t)
	want := []campaigns.Output{{VM: 0, Digest: "ac11a0e7000b799c"}, {VM: 1, Digest: "43f664a6b810ca3f"}, {VM: 2, Digest: "0bad420813639fa4"}}
	got := map[int]string{}
	for _, o := range g.Outputs {
		got[o.VM] = o.Digest
	}
	for _, w := range want {
		if got[w.VM] != w.Digest {
			t.Errorf("VM %d computed %s, the host %s", w.VM, got[w.VM], w.Digest)
		}
	}
	if len(g.Alarms) > 0 {
		t.Errorf("false alarms: %v", g.Alarms)
	}
	if g.Entries < 1000 || g.RootInstructions() < 1_000_000 {
		t.Errorf("%d VM entries, %d instructions in root mode", g.Entries, g.RootInstructions())
	}
}

// TestNullInjection: the whole procedure without a fault ends masked, in the
// golden run's state.
func TestNullInjection(t *testing.T) {
	l, g := testLab(t)
	for i := range 40 {
		e := registerFlip(g, i)
		e.Fault = inject.Fault{Kind: inject.Null, Trigger: e.Fault.Trigger}
		r := run(t, l, e)
		if r.Outcome != inject.Masked || r.Divergence != nil || r.Detection != nil {
			t.Errorf("%v: %v", e.Fault, r)
		}
		m, err := l.goldenAt(r.End)
		if err != nil {
			t.Fatal(err)
		}
		if want := m.Digest().String(); r.State != want {
			t.Errorf("%v: state %s at %d, golden %s", e.Fault, r.State, r.End, want)
		}
	}
}

// TestOrderDoesNotMatter: a result is a function of the experiment alone.
func TestOrderDoesNotMatter(t *testing.T) {
	l, g := testLab(t)
	const n = 24
	first := make([]inject.Result, n)
	for i := range n {
		first[i] = run(t, l, registerFlip(g, i))
	}
	other, err := l.Fork()
	if err != nil {
		t.Fatal(err)
	}
	for i := n - 1; i >= 0; i-- {
		if d := cmp.Diff(first[i], run(t, other.(*Lab), registerFlip(g, i))); d != "" {
			t.Errorf("experiment %d in another lab, in another order: %s", i, d)
		}
	}
}

// TestTargets runs a fault of every class and kind.
func TestTargets(t *testing.T) {
	l, g := testLab(t)
	at := func(k uint64) inject.Trigger {
		return inject.Trigger{Moment: inject.AtInstruction, Reason: inject.AnyExit, Count: g.RootInstruction(k)}
	}
	middle := g.RootInstructions() / 2
	text, _ := g.Layout.Find("vmexit_handler")
	vms, ok := g.Layout.Find("vms")
	if !ok || text.Size == 0 {
		t.Fatal("the hypervisor has no vms or vmexit_handler")
	}
	for _, c := range []struct {
		fault   string
		trigger inject.Trigger
		valid   bool
	}{
		{"flip bit 3 of register rax", at(middle), true},
		{"flip bit 40 of register rip", at(middle), true},
		{"flip bit 0 of register cr0", at(middle), true},
		{"flip bit 13 of register cs.attributes", at(middle), true},
		{"flip bit 20 of register gdtr.base", at(middle), true},
		{"flip bit 5 of register lstar", at(middle), true},
		{"flip bit 100 of register xmm5", at(middle), true},
		{"flip bit 8 of register efer", at(middle), true},
		{"flip burst 4-7 of register rbx", at(middle), true},
		{"flip mask 1,17,33 of register rsp", at(middle), true},
		{"stick at 1 bit 2 of register rcx", at(g.RootInstructions() - 2000), true},
		{"flip every 1000 bit 9 of register rdx", at(g.RootInstructions() - 20000), true},
		{"flip bit 1 of instruction", at(middle), true},
		{"flip bit 2 of tlb 100 physical_page", at(middle), true},
		{"flip bit 4 of cache l1d set 3 way 2 data", at(middle), true},
		{"flip bit 4 of cache l2 set 3 way 2 tag", at(middle), true},
		{"flip bit 0 of vmcs guest_rip of vm 1", at(middle), true},
		{"flip bit 7 of vmcs ept_pointer of vm 0", at(middle), true},
		{"flip bit 7 of vmcs guest_rip of vm 7", at(middle), false},
		{"flip bit 3 of memory 0xfffff000", at(middle), false},
		{"flip nothing", at(middle), true},
	} {
		f, err := inject.ParseFault(c.fault + " " + c.trigger.String())
		if err != nil {
			t.Errorf("%s: %v", c.fault, err)
			continue
		}
		t.Run(c.fault, func(t *testing.T) {
			r := run(t, l, campaigns.Experiment{Fault: f})
			t.Logf("%v: %v, %s, detection %v", r.Outcome, r.Fate, r.Detail, r.Detection != nil)
			if r.Outcome == inject.ToolError || (r.Outcome != inject.Invalid) != c.valid {
				t.Errorf("%v: %s", r.Outcome, r.Detail)
			}
		})
	}
	for _, address := range []uint64{text.Address, vms.Address} {
		f := inject.Fault{Kind: inject.Transient, Bits: inject.Bits{1}, Target: inject.MemoryTarget(address), Trigger: at(middle)}
		r := run(t, l, campaigns.Experiment{Fault: f})
		if r.Place.Symbol == "" || r.Fate == inject.Untouched {
			t.Errorf("%v: place %+v, fate %v", f, r.Place, r.Fate)
		}
	}
}

// TestTriggers: triggers of all kinds resolve to the instruction they mean.
func TestTriggers(t *testing.T) {
	l, _ := testLab(t)
	for _, s := range []string{
		"at exit 100", "at exit 3 of cpuid", "at exit 5 of vmcall + 20 in root", "at phase vms-ready",
		"at execution 10 of vmexit_handler in root", "at execution 2 of exit_cpuid", "at write 3 of 0x113000",
	} {
		trigger, err := inject.ParseTrigger(s)
		if err != nil {
			t.Fatal(err)
		}
		r := run(t, l, campaigns.Experiment{Fault: inject.Fault{Kind: inject.Transient, Bits: inject.Bits{0}, Target: inject.RegisterTarget(inject.R15), Trigger: trigger}})
		if r.Applied == nil {
			t.Errorf("%s: %s", s, r.Detail)
			continue
		}
		t.Logf("%s: at %d, %s %v", s, r.Applied.At, r.Applied.Symbol, r.Applied.Mode)
	}
}

// TestKnownDefect: the defective hypervisor is caught without any flip.
func TestKnownDefect(t *testing.T) {
	image := filepath.Join(t.TempDir(), "defect.elf")
	if err := os.WriteFile(image, hv.HypervisorDefect, 0o644); err != nil {
		t.Fatal(err)
	}
	setup := testSetup()
	setup.Hypervisor.Image = image
	l, err := New(setup)
	if err != nil {
		t.Fatal(err)
	}
	g, err := l.Golden(context.Background())
	if err == nil && len(g.Alarms) == 0 && reflect.DeepEqual(g.Outputs, mustGolden(t).Outputs) {
		t.Error("the defect went unnoticed")
	}
}

func mustGolden(t *testing.T) *campaigns.Golden {
	_, g := testLab(t)
	return g
}

// TestTrace shows the life of a fault that was detected.
func TestTrace(t *testing.T) {
	l, g := testLab(t)
	f := inject.Fault{Kind: inject.Transient, Bits: inject.Bits{45}, Target: inject.RegisterTarget(inject.RIP),
		Trigger: inject.Trigger{Moment: inject.AtInstruction, Reason: inject.AnyExit, Count: g.RootInstruction(g.RootInstructions() / 3)}}
	tr, err := l.Trace(context.Background(), campaigns.Experiment{Fault: f}, 4)
	if err != nil {
		t.Fatal(err)
	}
	if len(tr.Scenes) < 2 || len(tr.Scenes[0].Lines) < 4 {
		t.Fatalf("%d scenes", len(tr.Scenes))
	}
	for _, s := range tr.Scenes {
		t.Log(s.Title)
		for _, line := range s.Lines {
			t.Logf("  %d %v %s %s %s", line.At, line.RIP, line.Symbol, line.Text, line.Note)
		}
	}
}
