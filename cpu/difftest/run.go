package difftest

import (
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
}

// Failure is a case whose outcomes differ.
type Failure struct {
	Case      *Case
	Diff      []string
	Got, Want *Outcome
}

// Options say how much to run.
type Options struct {
	Cases    int
	Seed     uint64
	Workers  int
	Failures int                // how many failing cases to keep
	Modes    []decode.Mode      // none: all
	Only     func(f *Form) bool // nil: all forms
}

// Run generates cases and runs them on both machines.
func Run(o Options) (*Report, error) {
	if len(o.Modes) == 0 {
		o.Modes = []decode.Mode{decode.Mode64, decode.Mode32, decode.Mode16}
	}
	var forms []*Form
	for _, m := range o.Modes {
		for _, f := range Forms(m) {
			if o.Only == nil || o.Only(f) {
				forms = append(forms, f)
			}
		}
	}
	if len(forms) == 0 {
		return nil, fmt.Errorf("difftest: no such forms")
	}
	r := &Report{Covered: make(Covered), ByOp: make(map[decode.Op]int)}
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		next  atomic.Int64
		first error
	)
	record := func(f *Form, fail *Failure, flaky bool, err error) (goOn bool) {
		mu.Lock()
		defer mu.Unlock()
		r.Cases++
		r.Covered[f]++
		if flaky {
			r.Flaky++
		}
		if fail != nil {
			r.Failing++
			r.ByOp[f.Key.op]++
			if len(r.Failed) < o.Failures && r.ByOp[f.Key.op] <= perOp {
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
			for {
				i := int(next.Add(1)) - 1
				if i >= o.Cases {
					return
				}
				f := forms[i%len(forms)]
				fail, flaky, err := w.try(Generate(f, o.Seed^uint64(i)*0x9E3779B97F4A7C15))
				if !record(f, fail, flaky, err) {
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
		w.emulator.Load(k)
		w.emulator.Run(k, &w.got)
		if err := w.host.Load(k); err != nil {
			return nil, false, fmt.Errorf("loading %s: %w", k, err)
		}
		if err := w.host.Run(k, &w.want); err != nil {
			return nil, false, fmt.Errorf("running %s: %w", k, err)
		}
		diff := Compare(k, &w.got, &w.want)
		if diff == nil {
			return nil, attempt > 0, nil
		}
		if err := w.host.refresh(); err != nil {
			return nil, false, err
		}
		if attempt > 0 {
			got, want := w.got, w.want
			fail = &Failure{k, diff, &got, &want}
		}
	}
	return fail, false, nil
}
