package difftest

import (
	"errors"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/flipvisor/flipvisor/internal/native"
)

// size is how many cases to run: FLIPVISOR_CASES, or the long form with
// FLIPVISOR_LONG, or the ordinary one.
func size(ordinary, long int) int {
	if n, err := strconv.Atoi(os.Getenv("FLIPVISOR_CASES")); err == nil {
		return n
	}
	if os.Getenv("FLIPVISOR_LONG") != "" {
		return long
	}
	return ordinary
}

func seed() uint64 {
	n, _ := strconv.ParseUint(os.Getenv("FLIPVISOR_SEED"), 0, 64)
	return n
}

// TestSequences runs programs of many instructions on the processor, and in
// several ways on the interpreter.
func TestSequences(t *testing.T) {
	start := time.Now()
	r, err := Run(Options{Cases: size(20_000, 500_000), Seed: seed(), Workers: runtime.NumCPU(), Failures: 6, Sequences: true})
	if errors.Is(err, native.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Failed {
		t.Error(r.Failed[i].String())
	}
	if r.Flaky > 0 {
		t.Errorf("%d cases differed once, and not again", r.Flaky)
	}
	t.Logf("%d sequences of %d instructions on average, %d to their end; %d differ; %.0f a second", r.Cases,
		r.Executed/uint64(max(r.Cases, 1)), r.Completed, r.Failing, float64(r.Cases)/time.Since(start).Seconds())
}

// TestNoise runs random bytes.
func TestNoise(t *testing.T) {
	r, err := Run(Options{Cases: size(50_000, 1_000_000), Seed: seed(), Workers: runtime.NumCPU(), Failures: 12, Noise: true})
	if errors.Is(err, native.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Failed {
		t.Error(r.Failed[i].String())
	}
	t.Logf("%d cases; %d differ", r.Cases, r.Failing)
}

// TestInstructions runs single instructions of every form on the interpreter
// and on the processor.
func TestInstructions(t *testing.T) {
	start := time.Now()
	r, err := Run(Options{Cases: size(150_000, 2_500_000), Seed: seed(), Workers: runtime.NumCPU(), Failures: 12, Only: only(t)})
	if errors.Is(err, native.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Failed {
		t.Error(r.Failed[i].String())
	}
	if m := r.Covered.Missing(); len(m) > 0 && os.Getenv("FLIPVISOR_FORM") == "" {
		t.Errorf("implemented and not exercised: %v", m)
	}
	if r.Flaky > 0 {
		t.Errorf("%d cases differed once, and not again", r.Flaky)
	}
	if r.Failing > 0 {
		t.Errorf("differences by operation: %v", r.ByOp)
	}
	t.Logf("%s; %d differ; %.0f a second", r.Covered.Summary(), r.Failing, float64(r.Cases)/time.Since(start).Seconds())
}

// only restricts the forms to those whose names match FLIPVISOR_FORM.
func only(t *testing.T) func(f *Form) bool {
	e := os.Getenv("FLIPVISOR_FORM")
	if e == "" {
		return nil
	}
	re, err := regexp.Compile(e)
	if err != nil {
		t.Fatal(err)
	}
	return func(f *Form) bool { return re.MatchString(f.String()) }
}
