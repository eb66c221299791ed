package inject

import (
	"math/rand/v2"
	"os"
	"testing"

	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/cpu/decode"
	"github.com/flipvisor/flipvisor/machine"
)

// TestFlipOutsideReadSet takes instructions of real runs and flips bits that
// their descriptions say they do not read. Nothing but that bit may come out
// differently: Apply, the read sets and the interpreter must agree.
func TestFlipOutsideReadSet(t *testing.T) {
	image, err := os.ReadFile("../hv/images/minios.elf")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, workload := range []string{"bzip2", "canneal", "x264", "freqmine", "postmark"} {
		t.Run(workload, func(t *testing.T) {
			m, err := machine.New(machine.Config{Memory: 32 << 20})
			if err != nil {
				t.Fatal(err)
			}
			if err := m.LoadMultiboot(image, "workload="+workload, nil); err != nil {
				t.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			for m.Run(m.Count()+rng.Uint64N(10_000)+1).Reason == machine.AtCount {
				tried += flipAround(t, m, rng)
			}
		})
	}
	if tried < 5_000 {
		t.Errorf("only %d flips were tried", tried)
	}
}

// flipAround flips bits that the next instruction does not read.
func flipAround(t *testing.T, m *machine.Machine, rng *rand.Rand) (tried int) {
	d, ok := m.CPU.Peek()
	if _, straight := m.CPU.Straight(); !ok || !straight || m.NextEvent() <= m.Count()+1 {
		return 0
	}
	var e decode.Effects
	d.Effects(&e)
	before := m.Snapshot()
	events := 0
	m.CPU.SetHooks(cpu.Hooks{Exception: func(cpu.Exception) { events++ }})
	defer m.CPU.SetHooks(cpu.Hooks{})
	stop := m.Run(m.Count() + 1)
	if events > 0 || stop.Reason != machine.AtCount {
		return 0 // delivery reads more than the instruction
	}
	want := m.Digest()
	after := m.Snapshot()
	for range 4 {
		f := outside(&e, rng)
		if f == nil {
			continue
		}
		tried++
		mustRestore(t, m, before)
		if err := Apply(m, f); err != nil {
			t.Fatalf("%v: %v", f, err)
		}
		m.Run(before.Count + 1)
		if m.Digest() == want {
			continue // the bit was overwritten
		}
		if err := Apply(m, f); err != nil {
			t.Fatalf("%v: %v", f, err)
		}
		if m.Digest() != want {
			t.Errorf("%s at %#x: bit %v of %v is not in the read set and changes the result",
				d.Text(0, nil), m.CPU.RIP, f.Bits, f.Target)
		}
	}
	mustRestore(t, m, after)
	return tried
}

func mustRestore(t *testing.T, m *machine.Machine, s *machine.Snapshot) {
	t.Helper()
	if err := m.Restore(s); err != nil {
		t.Fatal(err)
	}
}

// outside chooses a register bit that is in no read set.
func outside(e *decode.Effects, rng *rand.Rand) *Fault {
	f := &Fault{Kind: Transient}
	var bit int
	switch rng.IntN(4) {
	case 0:
		r := rng.IntN(16)
		bit = rng.IntN(128)
		if e.Read.XMM[r]>>(bit/8)&1 != 0 {
			return nil
		}
		f.Target = RegisterTarget(XMM0 + Register(r))
	case 1:
		bit = []int{0, 2, 4, 6, 7, 10, 11}[rng.IntN(7)] // the status flags and DF
		if e.FlagsRead>>bit&1 != 0 {
			return nil
		}
		f.Target = RegisterTarget(RFLAGS)
	default:
		r := rng.IntN(16)
		bit = rng.IntN(64)
		if e.Read.GPR[r]>>(bit/8)&1 != 0 {
			return nil
		}
		f.Target = RegisterTarget(RAX + Register(r))
	}
	f.Bits = Bits{uint16(bit)}
	return f
}
