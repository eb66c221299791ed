package lab

import (
	"context"
	"runtime"
	"sync"
	"testing"

	"github.com/flipvisor/flipvisor/campaigns"
	"github.com/flipvisor/flipvisor/hv"
	"github.com/flipvisor/flipvisor/inject"
)

// TestFalsePositives counts what the detectors of xentry.hcl report in runs
// without a fault, over mixes of all workloads. "make clean-entries" looks at
// a million VM entries.
func TestFalsePositives(t *testing.T) {
	const want = 20_000
	c, err := campaigns.Load("../xentry.hcl")
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu      sync.Mutex
		wg      sync.WaitGroup
		next    int64
		entries uint64
		alarms  = make(map[inject.Detector]int)
	)
	for range runtime.NumCPU() {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				mu.Lock()
				mix := next
				next++
				done := entries >= want
				mu.Unlock()
				if done {
					return
				}
				g, err := clean(c.Setup, mix)
				mu.Lock()
				if err != nil {
					t.Errorf("mix %d: %v", mix, err)
					entries = want
				} else {
					entries += g.Entries
					for _, a := range g.Alarms {
						alarms[a.Detector]++
					}
				}
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	t.Logf("%d VM entries without a fault: %d alarms by runtime, %d by transition",
		entries, alarms[inject.Runtime], alarms[inject.Transition])
	if n := alarms[inject.Runtime]; n > 0 {
		t.Errorf("the runtime detector, whose every report is of something impossible, reported %d times", n)
	}
	if n := alarms[inject.Transition]; uint64(n)*1000 > entries {
		t.Errorf("more than one transition in a thousand is taken for an anomaly: %d of %d", n, entries)
	}
}

// clean makes the golden run of a mix of workloads, each mix another.
func clean(setup campaigns.Setup, mix int64) (*campaigns.Golden, error) {
	vms := make([]campaigns.VM, 3)
	for i := range vms {
		n := mix*3 + int64(i)
		vms[i] = campaigns.VM{
			Name: "vm", Workload: hv.Workloads[(n*5+mix/8)%int64(len(hv.Workloads))],
			Scale: 1, Seed: 1000 + n, Repeat: 1,
		}
	}
	setup.VMs = vms
	l, err := New(setup)
	if err != nil {
		return nil, err
	}
	s, err := l.(*Lab).walk(context.Background(), 0)
	if err != nil {
		return nil, err
	}
	return s.golden, nil
}
