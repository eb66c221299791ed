package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/flipvisor/flipvisor/campaigns"
)

// progress shows how far a campaign has come: a bar on a terminal, a line
// every few seconds elsewhere.
type progress interface {
	report(campaigns.Progress)
	// logs is where log lines go, so that they do not tear the bar.
	logs() io.Writer
	end()
}

// lineEvery is how often a line is written where there is no terminal.
const lineEvery = 5 * time.Second

func newProgress(w io.Writer) progress {
	if _, ok := terminal(w); ok {
		return &barProgress{container: mpb.New(mpb.WithOutput(w), mpb.WithWidth(48), mpb.WithAutoRefresh())}
	}
	return &lineProgress{w: w}
}

// lineProgress writes lines.
type lineProgress struct {
	w     io.Writer
	stage campaigns.Stage
	last  campaigns.Progress
	start time.Time // of the stage
	wrote time.Time
}

func (l *lineProgress) logs() io.Writer { return l.w }

func (l *lineProgress) report(p campaigns.Progress) {
	now := time.Now()
	if p.Stage != l.stage {
		l.stage, l.start = p.Stage, now
		if p.Total == 0 {
			fmt.Fprintln(l.w, p.Stage)
		}
	}
	l.last = p
	if p.Total > 0 && (l.wrote.IsZero() || now.Sub(l.wrote) >= lineEvery) {
		l.write(now)
	}
}

func (l *lineProgress) end() {
	if l.last.Total > 0 {
		l.write(time.Now())
	}
}

func (l *lineProgress) write(now time.Time) {
	p := l.last
	l.wrote = now
	line := fmt.Sprintf("%s: %d of %d (%d %%)", p.Stage, p.Done, p.Total, 100*p.Done/p.Total)
	took, fresh := now.Sub(l.start), p.Done-p.Earlier
	if fresh > 0 && took > 0 {
		rate := float64(fresh) / took.Seconds()
		line += fmt.Sprintf(", %.4g a second", rate)
		if rest := p.Total - p.Done; rest > 0 {
			left := time.Duration(float64(rest) / rate * float64(time.Second))
			line += fmt.Sprintf(", %s left", left.Round(time.Second))
		}
	}
	fmt.Fprintln(l.w, line)
}

// barProgress draws a bar for each stage.
type barProgress struct {
	container *mpb.Progress
	stage     campaigns.Stage
	bar       *mpb.Bar

	mu    sync.Mutex // the decorator runs in mpb's goroutine
	start time.Time
	last  campaigns.Progress
}

func (b *barProgress) logs() io.Writer { return b.container }

func (b *barProgress) report(p campaigns.Progress) {
	b.mu.Lock()
	fresh := p.Stage != b.stage
	if fresh {
		b.stage, b.start = p.Stage, time.Now()
	}
	b.last = p
	b.mu.Unlock()
	if fresh {
		b.finish()
		b.begin(p)
	}
	if p.Total > 0 {
		b.bar.SetCurrent(int64(p.Done))
	}
}

func (b *barProgress) begin(p campaigns.Progress) {
	name := decor.Name(string(p.Stage), decor.WC{W: 12, C: decor.DindentRight})
	if p.Total == 0 {
		b.bar = b.container.New(1, mpb.SpinnerStyle(), mpb.BarRemoveOnComplete(), mpb.PrependDecorators(name))
		return
	}
	b.bar = b.container.New(int64(p.Total), mpb.BarStyle().Rbound("|").Lbound("|"),
		mpb.PrependDecorators(name),
		mpb.AppendDecorators(decor.CountersNoUnit(" %d / %d"), decor.Any(b.speed)))
}

// speed writes the rate and the time left. Experiments of an earlier session
// say nothing about either.
func (b *barProgress) speed(decor.Statistics) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	took, fresh := time.Since(b.start), b.last.Done-b.last.Earlier
	if fresh <= 0 || took <= 0 {
		return ""
	}
	rate := float64(fresh) / took.Seconds()
	left := time.Duration(float64(b.last.Total-b.last.Done) / rate * float64(time.Second))
	return fmt.Sprintf("  %.4g/s  %s left", rate, left.Round(time.Second))
}

// finish ends the current bar, complete or not.
func (b *barProgress) finish() {
	if b.bar == nil {
		return
	}
	if b.bar.Completed() {
		return
	}
	b.bar.Abort(b.last.Total == 0 || b.last.Stage != b.stage)
}

func (b *barProgress) end() {
	if b.bar != nil && !b.bar.Completed() {
		b.bar.Abort(false)
	}
	b.container.Wait()
}
