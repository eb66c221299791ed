package lab

import (
	"context"
	"testing"

	"github.com/flipvisor/flipvisor/campaigns"
	"github.com/flipvisor/flipvisor/inject"
)

// BenchmarkGolden makes the golden run, both times.
func BenchmarkGolden(b *testing.B) {
	total := uint64(0)
	for range b.N {
		l, err := New(testSetup())
		if err != nil {
			b.Fatal(err)
		}
		g, err := l.Golden(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		total += 2 * g.Instructions
	}
	b.ReportMetric(float64(total)/b.Elapsed().Seconds()/1e6, "MIPS")
}

// BenchmarkExperiment runs register flips at random instructions of the
// hypervisor.
func BenchmarkExperiment(b *testing.B) {
	l, err := New(testSetup())
	if err != nil {
		b.Fatal(err)
	}
	g, err := l.Golden(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for i := range b.N {
		if _, err := l.Run(context.Background(), registerFlip(g, i)); err != nil {
			b.Fatal(err)
		}
	}
}

// registerFlip is the i-th of a sequence of flips in general registers, RIP
// and RFLAGS.
func registerFlip(g *campaigns.Golden, i int) campaigns.Experiment {
	s := inject.NewStream(1, 1, uint64(i), 0)
	r := inject.Register(s.Below(uint64(inject.RFLAGS) + 1))
	bits := r.Storage()
	return campaigns.Experiment{Index: i, Fault: inject.Fault{
		Kind: inject.Transient, Target: inject.RegisterTarget(r),
		Bits: inject.Bits{bits[s.Below(uint64(len(bits)))]},
		Trigger: inject.Trigger{Moment: inject.AtInstruction, Reason: inject.AnyExit,
			Count: g.RootInstruction(s.Below(g.RootInstructions()))},
	}}
}
