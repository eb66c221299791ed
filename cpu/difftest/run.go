package difftest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/flipvisor/flipvisor/cpu/decode"
)

// perOp is how many failures of one operation are kept.
const perOp = 2

// Report is what a run of the test found.
type Report struct {
	Cases   int
	Covered Covered
	Failed  []Failure // at most as many as were asked for
	Failing int       // all of them
	ByOp    map[decode.Op]int
	Flaky   int // differed once, and not again

	// Of sequences.
	Completed int    // without an exception
	Executed  uint64 // instructions
}

// Failure is a case whose outcomes differ.
type Failure struct {
	Case      *Case
	Diff      []string
	Got, Want *Outcome
}

// Options say how much to run.
type Options struct {
	Cases     int
	Seed      uint64
	Workers   int
	Failures  int                // how many failing cases to keep
	Only      func(f *Form) bool // nil: all forms
	Sequences bool               // programs in place of single instructions
	Noise     bool               // random bytes in place of forms
}

// source gives the cases of a run by number.
func (o *Options) source() (func(i int) *Case, error) {
	seed := func(i int) uint64 { return o.Seed ^ uint64(i)*0x9E3779B97F4A7C15 }
	if o.Sequences {
		pools := []*Pool{NewPool(decode.Mode64), NewPool(decode.Mode32)}
		return func(i int) *Case { return pools[i%len(pools)].Sequence(seed(i)) }, nil
	}
	if o.Noise {
		modes := [...]decode.Mode{decode.Mode64, decode.Mode32, decode.Mode16}
		return func(i int) *Case { return Noise(modes[i%len(modes)], seed(i)) }, nil
	}
	var forms []*Form
	for _, m := range [...]decode.Mode{decode.Mode64, decode.Mode32, decode.Mode16} {
		for _, f := range Forms(m) {
			if o.Only == nil || o.Only(f) {
				forms = append(forms, f)
			}
		}
	}
	if len(forms) == 0 {
		return nil, errors.New("difftest: no such forms")
	}
	return func(i int) *Case { return Generate(forms[i%len(forms)], seed(i)) }, nil
}

// Run generates cases and runs them on both machines.
func Run(o Options) (*Report, error) {
	source, err := o.source()
	if err != nil {
		return nil, err
	}
	r := &Report{Covered: make(Covered), ByOp: make(map[decode.Op]int)}
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		next  atomic.Int64
		first error
	)
	record := func(k *Case, done bool, fail *Failure, flaky bool, err error) (goOn bool) {
		mu.Lock()
		defer mu.Unlock()
		r.Cases++
		if done {
			r.Completed++
		}
		if k.Form != nil && !o.Noise {
			r.Covered[k.Form]++
		}
		if flaky {
			r.Flaky++
		}
		if fail != nil {
			op := k.Inst.Op
			r.Failing++
			r.ByOp[op]++
			if len(r.Failed) < o.Failures && (r.ByOp[op] <= perOp || o.Sequences) {
				r.Failed = append(r.Failed, *fail)
			}
		}
		if err != nil && first == nil {
			first = err
		}
		return first == nil
	}
	for range max(o.Workers, 1) {
		wg.Go(func() {
			w, err := newWorker()
			if err != nil {
				mu.Lock()
				first = err
				mu.Unlock()
				return
			}
			defer w.host.Close()
			defer func() {
				mu.Lock()
				r.Executed += w.emulator.Executed
				mu.Unlock()
			}()
			for {
				i := int(next.Add(1)) - 1
				if i >= o.Cases {
					return
				}
				k := source(i)
				fail, flaky, err := w.try(k)
				if !record(k, w.got.Event == done, fail, flaky, err) {
					return
				}
			}
		})
	}
	wg.Wait()
	return r, first
}

// worker is a pair of machines.
type worker struct {
	host      *Host
	emulator  *Emulator
	got, want Outcome
}

func newWorker() (*worker, error) {
	h, err := NewHost()
	if err != nil {
		return nil, err
	}
	return &worker{host: h, emulator: NewEmulator()}, nil
}

// try runs a case on both. A difference is believed when it shows again with
// everything set up from the beginning.
func (w *worker) try(k *Case) (fail *Failure, flaky bool, err error) {
	for attempt := range 2 {
		var diff []string
		if k.Form == nil {
			diff = w.emulator.RunAll(k, &w.got)
		} else {
			w.emulator.Load(k)
			w.emulator.Run(k, &w.got)
		}
		if err := w.host.Load(k); err != nil {
			return nil, false, fmt.Errorf("loading %s: %w", k, err)
		}
		if err := w.host.Run(k, &w.want); err != nil {
			return nil, false, fmt.Errorf("running %s: %w", k, err)
		}
		diff = append(diff, Compare(k, &w.got, &w.want)...)
		if diff == nil {
			return nil, attempt > 0, nil
		}
		if err := w.host.refresh(); err != nil {
			return nil, false, err
		}
		if attempt > 0 {
			got, want := w.got, w.want
			fail = &Failure{k, diff, &got, &want}
			if k.Form == nil {
				first, err := w.locate(k)
				if err != nil {
					return nil, false, err
				}
				fail.Diff = append(fail.Diff, first...)
			}
		}
	}
	return fail, false, nil
}

// locate steps through a sequence on both machines and says after which
// instruction they differ first.
func (w *worker) locate(k *Case) ([]string, error) {
	step := *k
	step.Flavor = Step
	h, e := w.host, w.emulator
	if err := h.refresh(); err != nil {
		return nil, err
	}
	if err := h.Load(&step); err != nil {
		return nil, err
	}
	e.Load(&step)
	for range 2000 {
		at := e.CPU.RIP
		d, _ := e.CPU.Peek()
		before := w.got.State
		step.Inst = d
		step.In.RIP = at
		e.caught = nil
		e.finish(&step, e.CPU.Run(e.CPU.Count+1), &w.got)
		if err := h.run(&step, &w.want); err != nil {
			return nil, err
		}
		step.Flavor = Continue // to compare by the marks
		diff := Compare(&step, &w.got, &w.want)
		step.Flavor = Step
		if diff != nil {
			head := fmt.Sprintf("stepping, first after %#x % x %s, with", at, k.Code[min(at-k.In.RIP, uint64(len(k.Code))):min(at-k.In.RIP+uint64(d.Len), uint64(len(k.Code)))], d.Text(at, nil))
			var fx decode.Effects
			d.Effects(&fx)
			for i, name := range gprNames {
				if fx.Read.GPR[i] != 0 {
					head += fmt.Sprintf(" %s=%#x", name, before.GPR[i])
				}
			}
			return append([]string{head + " " + flagText(before.Flags)}, diff...), nil
		}
		if w.got.Event != done {
			break
		}
	}
	return []string{"stepping, no difference"}, nil
}
