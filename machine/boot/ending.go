package boot

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/cpu/decode"
	"github.com/flipvisor/flipvisor/machine"
)

// Ending is how a session ended.
type Ending struct {
	Stop  machine.Stop
	Err   error // the session was interrupted, or its output broke
	Count uint64

	// Of a machine that did not end by its own will:
	Registers string
	Last      []string // what it executed last, a line each
}

// Exit statuses of sessions that the program on the machine did not choose.
// Those that it chooses by the exit port are odd.
const (
	StatusDied        = 4 // triple fault, endless halt, reset
	StatusFailed      = 6 // the emulator cannot go on
	StatusInterrupted = 130
)

// Status is the exit status that stands for the ending.
func (e *Ending) Status() int {
	if e.Err != nil {
		return StatusInterrupted
	}
	switch e.Stop.Reason {
	case machine.Exited:
		return e.Stop.Status() & 0xff
	case machine.AtCount, machine.PoweredOff:
		return 0
	case machine.Failed:
		return StatusFailed
	}
	return StatusDied
}

// Print says how it ended, and, of a machine that died, its last moments.
func (e *Ending) Print(w io.Writer) error {
	var b strings.Builder
	what := e.Stop.String()
	if e.Err != nil {
		what = e.Err.Error()
	}
	fmt.Fprintf(&b, "%s, after %d instructions\n", what, e.Count)
	if e.Registers != "" {
		b.WriteByte('\n')
		b.WriteString(e.Registers)
	}
	if len(e.Last) > 0 {
		b.WriteString("\nlast executed (count, address, instruction):\n")
		for _, line := range e.Last {
			b.WriteString(line)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *Session) end(stop machine.Stop, err error) *Ending {
	e := &Ending{Stop: stop, Err: err, Count: s.Machine.Count()}
	s.log = slices.Clone(s.Machine.Log())
	if s.midLine {
		_ = s.console.WriteByte('\n')
		_ = s.console.Flush()
	}
	if err != nil {
		return e
	}
	switch stop.Reason {
	case machine.Shutdown, machine.Idle, machine.Reset, machine.Failed:
		e.Registers = Registers(s.Machine, s.o.Symbols)
		e.Last = s.lastMoments(stop)
	}
	return e
}

// line is something that happened, formatted when it is wanted.
type line struct {
	count uint64
	rip   uint64
	guest uint16 // VPID of the guest, 0 is the host
	inst  decode.Inst
	event string // instead of an instruction
}

func (s *Session) line(rip uint64, in *decode.Inst) line {
	return line{count: s.Machine.CPU.Count, rip: rip, guest: guestOf(s.Machine), inst: *in}
}

func (s *Session) eventLine(e cpu.Exception) line {
	return line{count: s.Machine.CPU.Count, rip: s.Machine.CPU.RIP, guest: guestOf(s.Machine), event: e.String()}
}

func guestOf(m *machine.Machine) uint16 {
	if m.CPU.InGuest() {
		return max(m.CPU.VPID(), 1)
	}
	return 0
}

func (l *line) format(symbols func(uint64) (string, uint64)) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%12d  ", l.count)
	if l.guest != 0 {
		fmt.Fprintf(&b, "guest %d  ", l.guest)
		symbols = nil
	}
	fmt.Fprintf(&b, "%016x  ", l.rip)
	if l.event != "" {
		fmt.Fprintf(&b, "-- %s\n", l.event)
		return b.String()
	}
	if name := symbolOf(l.rip, symbols); name != "" {
		fmt.Fprintf(&b, "%-28s  ", name)
	}
	b.WriteString(l.inst.Text(l.rip, symbols))
	b.WriteByte('\n')
	return b.String()
}

func symbolOf(a uint64, symbols func(uint64) (string, uint64)) string {
	if symbols == nil {
		return ""
	}
	name, base := symbols(a)
	switch {
	case name == "":
		return ""
	case a == base:
		return name
	}
	return fmt.Sprintf("%s+%#x", name, a-base)
}

const (
	lastLines = 20
	// watchFor is how much of the end is executed by steps to find the last
	// lines: most of it may be time in which nothing was executed.
	watchFor = 20_000
)

// lastMoments executes the end again and watches it.
func (s *Session) lastMoments(stop machine.Stop) []string {
	m := s.Machine
	end := m.Count()
	from := s.checkpoints[0]
	if from.snap.Count+watchFor > end && s.checkpoints[1].snap != nil {
		from = s.checkpoints[1]
	}
	inputs := slices.Clone(s.log[from.inputs:])
	inputs = append(inputs, laterThan(s.o.Replay, end)...)

	m.Console = nil
	m.CPU.SetHooks(cpu.Hooks{})
	if err := m.Restore(from.snap); err != nil {
		return []string{fmt.Sprintf("  unknown: %v\n", err)}
	}
	m.SetInputs(inputs)
	if end > from.snap.Count+watchFor {
		m.Run(end - watchFor)
	}
	var last [lastLines]line
	n := 0
	keep := func(l line) {
		last[n%lastLines] = l
		n++
	}
	m.CPU.SetHooks(cpu.Hooks{
		Step:  func(rip uint64, in *decode.Inst) { keep(s.line(rip, in)) },
		Catch: func(e cpu.Exception) bool { keep(s.eventLine(e)); return false },
	})
	again := m.Run(end + 1)
	m.CPU.SetHooks(cpu.Hooks{})

	var lines []string
	for i := max(0, n-lastLines); i < n; i++ {
		lines = append(lines, last[i%lastLines].format(s.o.Symbols))
	}
	if m.Count() != end || again.Reason != stop.Reason {
		lines = append(lines, fmt.Sprintf("  (the second time it went otherwise: %v at %d)\n", again, m.Count()))
	}
	return lines
}

func laterThan(log []machine.Input, count uint64) []machine.Input {
	for i := range log {
		if log[i].Count > count {
			return log[i:]
		}
	}
	return nil
}
