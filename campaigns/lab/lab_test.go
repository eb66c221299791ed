package lab

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/flipvisor/flipvisor/campaigns"
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

func TestTryout(t *testing.T) {
	l, err := New(testSetup())
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	start := time.Now()
	g, err := l.Golden(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("golden %d instructions, %d root, %d entries in %v", g.Instructions, g.RootInstructions(), g.Entries, time.Since(start))
	for _, r := range g.Layout.Regions {
		t.Logf("%+v", r)
	}
	start = time.Now()
	n := g.RootInstructions()
	count := map[string]int{}
	for i := range 60 {
		k := inject.NewStream(1, 1, uint64(i), 0).Below(n)
		f := inject.Fault{Kind: inject.Transient, Bits: inject.Bits{uint16(i * 7 % 64)}, Target: inject.RegisterTarget(inject.Register(i % 17)),
			Trigger: inject.Trigger{Moment: inject.AtInstruction, Count: g.RootInstruction(k), Reason: inject.AnyExit}}
		s := time.Now()
		r, err := l.Run(ctx, campaigns.Experiment{Index: i, Fault: f})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Check(); err != nil {
			t.Error(err)
		}
		count[r.Outcome.String()]++
		t.Logf("%v: %v fate %v det %v div %v %v %s", f, r.Outcome, r.Fate, r.Detection != nil, r.Divergence != nil, time.Since(s), r.Detail)
	}
	fmt.Println(count, time.Since(start))
}
