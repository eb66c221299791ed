package campaigns

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/flipvisor/flipvisor/inject"
)

// Runner carries out a campaign.
type Runner struct {
	Campaign *Campaign
	Build    Builder
	Dir      string // results folder; made if it is not there
	Jobs     int    // workers; 0: one for each processor

	// Progress is called now and then, never by two goroutines at once.
	Progress func(Progress)
	Log      hclog.Logger // nil: nothing is logged
}

// Progress is how far a campaign has come.
type Progress struct {
	Stage Stage
	// During the stage Experimenting: Done of Total experiments are there,
	// Earlier of them since an earlier session.
	Done, Total, Earlier int
}

// Stage is a part of running a campaign.
type Stage string

// The stages, in order.
const (
	Booting       Stage = "golden run"
	Comparing     Stage = "overhead"
	Experimenting Stage = "experiments"
	Observing     Stage = "clean entries" // of runs that have no experiments
)

// Timing is how long a campaign took, over all its sessions.
type Timing struct {
	Experiments   int     `json:"experiments"`
	Seconds       float64 `json:"seconds"` // spent on experiments, by the clock on the wall
	Jobs          int     `json:"jobs"`    // of the last session
	GoldenSeconds float64 `json:"golden_seconds"`
}

// Rate is experiments per second.
func (t Timing) Rate() float64 {
	if t.Seconds <= 0 {
		return 0
	}
	return float64(t.Experiments) / t.Seconds
}

// ErrInterrupted is what Run returns, along with what is done, when its
// context ended before the campaign did.
var ErrInterrupted = errors.New("interrupted")

// syncEvery is how much work a power failure may cost.
const syncEvery = 2 * time.Second

// Run carries out the experiments that are not yet in the results folder.
// What is done is kept, whatever ends the run: then the error says why, and
// calling Run again goes on.
func (r *Runner) Run(ctx context.Context) (*Stored, error) {
	if r.Jobs <= 0 {
		r.Jobs = runtime.NumCPU()
	}
	if r.Log == nil {
		r.Log = hclog.NewNullLogger()
	}
	r.report(Progress{Stage: Booting})
	prepared, err := Prepare(ctx, r.Campaign, r.Build)
	if err != nil {
		return nil, r.interrupted(ctx, err)
	}
	defer prepared.Close()
	r.Log.Debug("golden run", "instructions", prepared.Golden.Instructions, "took", prepared.Took)

	number := r.Campaign.Sample.Number(prepared.Space.Size())
	m, err := r.manifest(prepared.Golden, number)
	if err != nil {
		return nil, err
	}
	store, err := OpenStore(r.Dir, m, r.Campaign.source())
	if err != nil {
		return nil, err
	}
	if d := store.Recovered; d != nil {
		r.Log.Warn("the results file was cut off; its last line is removed and its experiment runs again",
			"file", d.File, "line", d.Line, "bytes", d.Bytes)
	}
	s := session{Runner: r, Prepared: prepared, store: store, number: number}
	runErr := s.run(ctx)
	if err := store.Close(); err != nil && runErr == nil {
		runErr = err
	}
	stored, err := ReadStore(r.Dir)
	if err != nil && runErr == nil {
		runErr = err
	}
	if stored != nil {
		stored.Records = within(stored.Records, number)
	}
	return stored, runErr
}

// within leaves out results of an earlier session that asked for more.
func within(records []Record, number int) []Record {
	for i := range records {
		if records[i].Index >= number {
			return records[:i]
		}
	}
	return records
}

// interrupted names the error of a context that ended.
func (r *Runner) interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ErrInterrupted
	}
	return err
}

func (r *Runner) report(p Progress) {
	if r.Progress != nil {
		r.Progress(p)
	}
}

func (r *Runner) manifest(g *Golden, number int) (Manifest, error) {
	folder, err := filepath.Abs(filepath.Dir(r.Campaign.Path))
	if err != nil {
		return Manifest{}, err
	}
	return Manifest{
		Campaign: r.Campaign.Name, Digest: r.Campaign.Digest(), Golden: g.Digest,
		Seed: r.Campaign.Sample.Seed, Samples: number,
		Description: r.Campaign.Description, Gate: r.Campaign.Gate,
		File: filepath.Base(r.Campaign.Path), Folder: folder,
	}, nil
}

// source is the campaign file's text.
func (c *Campaign) source() []byte {
	for _, f := range c.files {
		return f.Bytes
	}
	return nil
}

// Prepared is a campaign whose golden run has been made: everything is known
// of it but what the faults do.
type Prepared struct {
	Campaign *Campaign
	Lab      Lab
	Golden   *Golden
	Space    *inject.Space
	Took     time.Duration // the golden run
}

// Prepare builds the lab, makes the golden run and compiles the fault space.
func Prepare(ctx context.Context, c *Campaign, build Builder) (*Prepared, error) {
	start := time.Now()
	lab, err := build(c.Setup)
	if err != nil {
		return nil, err
	}
	p := &Prepared{Campaign: c, Lab: lab}
	p.Golden, err = guardedGolden(ctx, lab)
	if err == nil {
		p.Took = time.Since(start)
		p.Space, err = c.Space(p.Golden)
	}
	if err != nil {
		lab.Close()
		return nil, err
	}
	return p, nil
}

// Close frees the lab.
func (p *Prepared) Close() error { return p.Lab.Close() }

// Experiment gives the experiment with an index.
func (p *Prepared) Experiment(index int) Experiment {
	group, fault := p.Space.Sample(p.Campaign.Key(), uint64(p.Campaign.Sample.Seed), uint64(index))
	return Experiment{Index: index, Group: group, Fault: fault}
}

// guardedGolden makes a crash of the tool into an error.
func guardedGolden(ctx context.Context, lab Lab) (g *Golden, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the golden run: %v\n%s", p, debug.Stack())
		}
	}()
	g, err = lab.Golden(ctx)
	if err != nil {
		return nil, fmt.Errorf("the golden run: %w", err)
	}
	if g.Modes[inject.Root] == nil {
		return nil, errors.New("the golden run: no timeline of root mode")
	}
	return g, nil
}

// session is one call of Run.
type session struct {
	*Runner
	*Prepared
	store  *Store
	number int
}

func (s *session) run(ctx context.Context) error {
	if err := s.keepGolden(ctx); err != nil {
		return s.interrupted(ctx, err)
	}
	done := make([]bool, s.number)
	earlier := 0
	for _, r := range s.store.Records {
		if r.Index < s.number && !done[r.Index] {
			done[r.Index] = true
			earlier++
		}
	}
	start := time.Now()
	finished, err := s.experiments(ctx, done, earlier)
	if timingErr := s.keepTiming(finished, time.Since(start)); err == nil {
		err = timingErr
	}
	return err
}

// keepGolden writes what is known of the golden run, once.
func (s *session) keepGolden(ctx context.Context) error {
	path := filepath.Join(s.Dir, goldenFile)
	sum := summarize(s.Prepared.Campaign, s.Golden, s.Space)
	var old GoldenSummary
	if readJSON(path, &old) == nil {
		sum.Overhead = old.Overhead
	} else if s.Prepared.Campaign.Overhead {
		s.report(Progress{Stage: Comparing})
		var err error
		if sum.Overhead, err = measureOverhead(ctx, s.Build, s.Prepared.Campaign.Setup, s.Golden, s.Jobs); err != nil {
			return err
		}
	}
	return s.store.writeJSON(goldenFile, sum)
}

func (s *session) keepTiming(finished int, took time.Duration) error {
	var t Timing
	if err := readJSON(filepath.Join(s.Dir, timingFile), &t); err != nil {
		t = Timing{}
	}
	t.Experiments += finished
	t.Seconds += took.Seconds()
	t.Jobs, t.GoldenSeconds = s.Jobs, s.Took.Seconds()
	return s.store.writeJSON(timingFile, t)
}

// finished is an experiment that ended, and what went wrong in the tool.
type finished struct {
	record Record
	note   string
}

// experiments runs all that are not done yet. Workers take the next index
// as they get free; one goroutine, this one, writes what they bring.
func (s *session) experiments(ctx context.Context, done []bool, earlier int) (n int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	indices := make(chan int)
	go func() {
		defer close(indices)
		for i, d := range done {
			if d {
				continue
			}
			select {
			case indices <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
	ended := make(chan finished)
	var workers sync.WaitGroup
	errs := make(chan error, s.Jobs)
	for range min(s.Jobs, max(1, len(done)-earlier)) {
		workers.Go(func() {
			if err := s.worker(ctx, indices, ended); err != nil {
				errs <- err
				cancel()
			}
		})
	}
	go func() {
		workers.Wait()
		close(ended)
	}()

	p := Progress{Experimenting, earlier, len(done), earlier}
	s.report(p)
	synced := time.Now()
	for f := range ended {
		if err != nil {
			continue // nothing can be written any more; let the workers end
		}
		if err = s.keep(&f); err != nil {
			cancel()
			continue
		}
		n++
		p.Done++
		s.report(p)
		if time.Since(synced) > syncEvery {
			err = s.store.Sync()
			synced = time.Now()
		}
	}
	if err != nil {
		return n, fmt.Errorf("%w; %d of %d results are kept: make room and run again with the same folder", err, p.Done, p.Total)
	}
	select {
	case err := <-errs:
		return n, err
	default:
	}
	if p.Done < p.Total {
		return n, ErrInterrupted
	}
	return n, nil
}

func (s *session) keep(f *finished) error {
	if r := &f.record; r.Outcome == inject.ToolError && f.note == "" {
		f.note = fmt.Sprintf("experiment %d: %s: %s\n\n", r.Index, r.Fault, r.Detail)
	}
	if f.note != "" {
		s.Log.Error("flipvisor failed in an experiment", "index", f.record.Index, "error", f.record.Detail)
		if err := s.store.Note(f.note); err != nil {
			return err
		}
	}
	return s.store.Append(&f.record)
}

// worker runs experiments in a lab of its own.
func (s *session) worker(ctx context.Context, indices <-chan int, ended chan<- finished) (err error) {
	var lab Lab
	defer func() {
		if lab != nil {
			err = errors.Join(err, lab.Close())
		}
	}()
	for i := range indices {
		if lab == nil {
			if lab, err = s.Lab.Fork(); err != nil {
				return fmt.Errorf("a lab for another worker: %w", err)
			}
		}
		f, broken := s.experiment(ctx, lab, s.Experiment(i))
		if f == nil {
			return nil // interrupted in its middle
		}
		ended <- *f
		if broken {
			// A lab that panicked may be in any state: leave it, unclosed,
			// to the garbage collector.
			lab = nil
		}
	}
	return nil
}

// experiment runs one. It returns nil if it was interrupted, and whether the
// lab is of no use any more.
func (s *session) experiment(ctx context.Context, lab Lab, e Experiment) (f *finished, broken bool) {
	start := time.Now()
	f = &finished{}
	fail := func(what string, more string) {
		f.record.Result = inject.Result{Outcome: inject.ToolError, Detail: what}
		f.note = fmt.Sprintf("experiment %d: %s: %s\n%s\n", e.Index, e.Fault, what, more)
	}
	defer func() {
		if p := recover(); p != nil {
			broken = true
			fail(fmt.Sprintf("panic: %v", p), string(debug.Stack()))
		}
		if f != nil {
			f.record.Index, f.record.Group, f.record.Fault = e.Index, e.Group, e.Fault
			f.record.Wall = time.Since(start)
		}
	}()
	result, err := lab.Run(ctx, e)
	switch {
	case ctx.Err() != nil && err != nil:
		f = nil
		return nil, false
	case err != nil:
		fail(err.Error(), "")
		return f, false
	}
	result.Index, result.Group, result.Fault = e.Index, e.Group, e.Fault
	if err := errors.Join(result.Check(), readsBack(&result)); err != nil {
		fail(fmt.Sprintf("the lab gave an impossible result: %v", err), fmt.Sprintf("%+v", result))
		return f, false
	}
	f.record.Result = result
	return f, false
}
