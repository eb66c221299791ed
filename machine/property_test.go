package machine

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/cpu/decode"
)

// program is something to run in a test, deterministic by itself.
type program struct {
	name    string
	image   string // below the root of the repository
	cmdline string
	modules []Module
	memory  uint64
	inputs  []Input
}

func readImage(t testing.TB, name string) []byte {
	t.Helper()
	image, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// boot gives the program's machine at its first instruction, and what it
// prints.
func (p *program) boot(t testing.TB) (*Machine, *bytes.Buffer) {
	t.Helper()
	out := new(bytes.Buffer)
	memory := p.memory
	if memory == 0 {
		memory = 32 << 20
	}
	m, err := New(Config{Memory: memory, Inputs: p.inputs, Console: func(b byte) { out.WriteByte(b) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.LoadMultiboot(readImage(t, p.image), p.cmdline, p.modules); err != nil {
		t.Fatal(err)
	}
	return m, out
}

func miniOS(workload string) program {
	return program{name: workload, image: "hv/images/minios.elf", cmdline: "workload=" + workload}
}

// tooLong is where a run that should have ended is given up.
const tooLong = 200_000_000

// ending is how a run went: it must be the same however it was run.
type ending struct {
	stop   string
	count  uint64
	digest Digest
	output string
}

func endingOf(m *Machine, stop Stop, out *bytes.Buffer) ending {
	return ending{stop.String(), m.Count(), m.Digest(), out.String()}
}

// TestHoweverRun: a run without a pause, in random slices, instruction by
// instruction, and from snapshots into the same and into other machines, goes
// through the same states.
func TestHoweverRun(t *testing.T) {
	programs := []program{miniOS("seqread"), miniOS("x264"), miniOS("postmark"), miniOS("freqmine")}
	programs = append(programs, hypervisor(t))
	for _, name := range kernels {
		programs = append(programs, kernel(name))
	}
	for _, p := range programs {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			m, out := p.boot(t)
			stop := m.Run(tooLong)
			if stop.Reason == AtCount || stop.Reason == Failed {
				t.Fatalf("%v at %d\n%s", stop, m.Count(), out)
			}
			want := endingOf(m, stop, out)
			check := func(how string, got ending) {
				t.Helper()
				if got != want {
					t.Errorf("%s: %s at %d, digest %v\n%s\nwant %s at %d, digest %v\n%s", how,
						got.stop, got.count, got.digest, got.output, want.stop, want.count, want.digest, want.output)
				}
			}
			check("in slices", p.slices(t, want.count))
			check("by steps", p.steps(t, want.count))
			p.ladder(t, want)
		})
	}
}

// slices runs to random counts, many of them close together.
func (p *program) slices(t *testing.T, end uint64) ending {
	rng := rand.New(rand.NewPCG(1, end))
	m, out := p.boot(t)
	for {
		n := rng.Uint64N(64)
		if rng.IntN(4) == 0 {
			n = rng.Uint64N(end/64 + 1)
		}
		if stop := m.Run(m.Count() + 1 + n); stop.Reason != AtCount {
			return endingOf(m, stop, out)
		}
	}
}

// steps executes with a hook, which makes the processor go step by step.
func (p *program) steps(t *testing.T, end uint64) ending {
	m, out := p.boot(t)
	steps := uint64(0)
	m.CPU.SetHooks(cpu.Hooks{Step: func(uint64, *decode.Inst) { steps++ }})
	stop := m.Run(tooLong)
	if steps == 0 || steps > end {
		t.Errorf("the hook was called %d times in %d instructions", steps, end)
	}
	return endingOf(m, stop, out)
}

// ladder takes snapshots at random points, and from each of them goes on to
// the next in another machine, and at last from some to the end.
func (p *program) ladder(t *testing.T, want ending) {
	rng := rand.New(rand.NewPCG(2, want.count))
	points := make([]uint64, 40)
	for i := range points {
		points[i] = rng.Uint64N(want.count)
	}
	slices.Sort(points)

	type rung struct {
		snap   *Snapshot
		digest Digest
		output int // bytes printed so far
	}
	var rungs []rung
	m, out := p.boot(t)
	for _, at := range points {
		if stop := m.Run(at); stop.Reason != AtCount {
			t.Fatalf("%v at %d, before %d", stop, m.Count(), at)
		}
		rungs = append(rungs, rung{m.Snapshot(), m.Digest(), out.Len()})
	}

	other, _ := p.boot(t)
	for _, i := range rng.Perm(len(rungs)) {
		r := &rungs[i]
		for _, x := range []*Machine{m, other} {
			if err := x.Restore(r.snap); err != nil {
				t.Fatal(err)
			}
			x.SetInputs(inputsFrom(p.inputs, r.snap.Count))
			if !x.Equal(r.snap) || x.Digest() != r.digest {
				t.Fatalf("restored at %d: digest %v, want %v", r.snap.Count, x.Digest(), r.digest)
			}
		}
		if i+1 == len(rungs) {
			continue
		}
		next := &rungs[i+1]
		other.Run(next.snap.Count)
		if d := other.Digest(); d != next.digest || !other.Equal(next.snap) {
			t.Errorf("from %d to %d: digest %v, want %v", r.snap.Count, next.snap.Count, d, next.digest)
		}
	}
	for range 4 {
		r := &rungs[rng.IntN(len(rungs))]
		if err := m.Restore(r.snap); err != nil {
			t.Fatal(err)
		}
		m.SetInputs(inputsFrom(p.inputs, r.snap.Count))
		out.Truncate(0)
		stop := m.Run(tooLong)
		got := endingOf(m, stop, out)
		got.output = want.output[:r.output] + got.output
		if got != want {
			t.Errorf("from %d: %+v, want %+v", r.snap.Count, got, want)
		}
	}
}

// inputsFrom is what of an input log is still to come at a count. What was
// due at it has not been applied yet: Run does that before the next
// instruction.
func inputsFrom(log []Input, count uint64) []Input {
	i := slices.IndexFunc(log, func(in Input) bool { return in.Count >= count })
	if i < 0 {
		return nil
	}
	return log[i:]
}

// hypervisor has three guests of different kinds on it.
func hypervisor(t testing.TB) program {
	guest := func(memory, workload string) Module {
		return Module{
			Args: "minios guest memory=" + memory + " -- workload=" + workload,
			Data: readImage(t, "hv/images/minios.elf"),
		}
	}
	return program{
		name: "hypervisor", image: "hv/images/hypervisor.elf",
		cmdline: "hypervisor detect=runtime policy=stop",
		modules: []Module{guest("16", "bzip2"), guest("16", "postmark"), guest("16", "x264")},
		memory:  128 << 20,
	}
}
