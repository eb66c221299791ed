package boot

import (
	"bufio"
	"context"
	"io"
	"math"
	"time"

	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/cpu/decode"
	"github.com/flipvisor/flipvisor/machine"
)

// Session is a machine with a person.
type Session struct {
	Machine *machine.Machine

	o       Options
	console *bufio.Writer
	trace   *bufio.Writer
	midLine bool        // the console's last line has no end yet
	input   chan []byte // closed at the end of input
	waiting []byte      // input that the machine has no room for yet

	checkpoints [2]checkpoint // the newer one first
	log         []machine.Input
}

// checkpoint is somewhere to go back to, and how much input came before it.
type checkpoint struct {
	snap   *machine.Snapshot
	inputs int
}

const (
	// sliceLength is how far the machine runs between looks at the outside.
	sliceLength = 1 << 20
	// checkpointEvery is the distance of checkpoints.
	checkpointEvery = 1 << 27
	// readyAfter is when a program that never says that it is ready to
	// receive gets its input all the same. What comes before a program sets
	// the port up is lost, as on any PC.
	readyAfter = 1 << 27
	// roomFor is how much input the machine is given ahead of its reading.
	roomFor = 256
)

// New loads a kernel and its modules into a new machine.
func New(o Options) (*Session, error) {
	if o.Memory == 0 {
		o.Memory = DefaultMemory
	}
	if o.ExitAfter == 0 {
		o.ExitAfter = math.MaxUint64
	}
	if o.Console == nil {
		o.Console = io.Discard
	}
	m, err := o.load()
	if err != nil {
		return nil, err
	}
	s := &Session{Machine: m, o: o, console: bufio.NewWriter(o.Console)}
	m.Console = func(b byte) {
		_ = s.console.WriteByte(b) // an error stays until Flush
		s.midLine = b != '\n'
	}
	if o.Trace != nil {
		s.trace = bufio.NewWriterSize(o.Trace, 1<<16)
		m.CPU.SetHooks(cpu.Hooks{Step: s.traceStep, Exception: s.traceEvent})
	}
	return s, nil
}

// Run runs the machine to its end, to ExitAfter, or until the context is
// cancelled or the output breaks.
func (s *Session) Run(ctx context.Context) *Ending {
	m := s.Machine
	if s.o.Input != nil && s.input == nil {
		s.input = make(chan []byte, 1)
		go read(s.o.Input, s.input)
	}
	start, idle := time.Now(), m.Idled()
	for {
		s.receive()
		s.checkpoint()
		stop := m.Run(min(m.Count()+sliceLength, s.o.ExitAfter))
		if err := s.flush(); err != nil {
			return s.end(machine.Stop{}, err)
		}
		switch {
		case ctx.Err() != nil:
			return s.end(machine.Stop{}, context.Cause(ctx))
		case stop.Reason == machine.AtCount && m.Count() < s.o.ExitAfter:
		case stop.Reason == machine.Idle && s.awaitInput(ctx, -1):
		case ctx.Err() != nil: // while it waited
			return s.end(machine.Stop{}, context.Cause(ctx))
		default:
			return s.end(stop, nil)
		}
		if s.o.Pace && m.Idled() > idle {
			ahead := time.Duration(m.Count()) - time.Since(start)
			if ahead > 0 {
				s.awaitInput(ctx, min(ahead, 50*time.Millisecond))
			} else {
				start = start.Add(-ahead) // what was lost computing stays lost
			}
			idle = m.Idled()
		}
	}
}

// Log is what the machine received so far, and when.
func (s *Session) Log() []machine.Input { return s.log }

func (s *Session) flush() error {
	if s.trace != nil {
		if err := s.trace.Flush(); err != nil {
			return err
		}
	}
	return s.console.Flush()
}

// read sends what comes from outside, as it comes.
func read(r io.Reader, to chan<- []byte) {
	defer close(to)
	for {
		b := make([]byte, 256)
		n, err := r.Read(b)
		if n > 0 {
			to <- b[:n]
		}
		if err != nil {
			return
		}
	}
}

// receive hands the machine the input that has come, if it has room for it.
func (s *Session) receive() {
	if len(s.waiting) == 0 && s.input != nil {
		select {
		case b, ok := <-s.input:
			s.came(b, ok)
		default:
		}
	}
	u := s.Machine.UART
	n := min(len(s.waiting), roomFor-u.Waiting())
	if n > 0 && (u.Ready() || s.Machine.Count() >= readyAfter) {
		s.Machine.Input(machine.ConsoleInput, s.waiting[:n])
		s.waiting = s.waiting[n:]
	}
}

func (s *Session) came(b []byte, ok bool) {
	if !ok {
		s.input = nil
		return
	}
	if s.o.Replay == nil { // what is replayed is all that there is
		s.waiting = b
	}
}

// awaitInput waits for input, if it can come and the machine would notice it.
// A negative time is without end.
func (s *Session) awaitInput(ctx context.Context, limit time.Duration) bool {
	if len(s.waiting) > 0 {
		return s.Machine.InputCanWake()
	}
	var timeout <-chan time.Time
	input := s.input
	if limit >= 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		timeout = t.C
	} else if input == nil || !s.Machine.InputCanWake() {
		return false
	}
	select {
	case b, ok := <-input:
		s.came(b, ok)
		return ok
	case <-timeout:
	case <-ctx.Done():
	}
	return false
}

// checkpoint leaves one from time to time.
func (s *Session) checkpoint() {
	newest := &s.checkpoints[0]
	if newest.snap == nil || s.Machine.Count()-newest.snap.Count >= checkpointEvery {
		s.checkpoints[1] = *newest
		*newest = checkpoint{s.Machine.Snapshot(), len(s.Machine.Log())}
	}
}

func (s *Session) traceStep(rip uint64, in *decode.Inst) {
	line := s.line(rip, in)
	_, _ = s.trace.WriteString(line.format(s.o.Symbols)) // an error stays until Flush
}

func (s *Session) traceEvent(e cpu.Exception) {
	line := s.eventLine(e)
	_, _ = s.trace.WriteString(line.format(nil))
}
