package machine

import (
	"fmt"

	"github.com/flipvisor/flipvisor/cpu"
)

// Reason says why Run returned.
type Reason uint8

const (
	AtCount    Reason = iota // the count asked for was reached
	Exited                   // the exit port was written
	Idle                     // halted for ever: nothing can wake the processor
	Shutdown                 // triple fault
	Failed                   // the emulator cannot go on
	Reset                    // the program reset the machine, which has nothing to boot again
	PoweredOff               // the program turned the power off
)

func (r Reason) String() string {
	return [...]string{
		"count reached", "exit port written", "halted with nothing to wake it", "triple fault", "failed",
		"reset", "powered off",
	}[r]
}

// ResetSource is what reset the machine.
type ResetSource uint8

const (
	ResetNone     ResetSource = iota
	ResetKeyboard             // the 8042's reset line
	ResetPort92
	ResetPortCF9
	ResetVector // the processor went to the reset vector, where there is no firmware
)

func (r ResetSource) String() string {
	return [...]string{
		"nothing", "the keyboard controller", "port 0x92", "port 0xcf9",
		"INIT or a jump to the reset vector, where there is no firmware",
	}[r]
}

// Stop is how a run ended.
type Stop struct {
	Reason Reason
	Code   uint32      // written to the exit port
	Reset  ResetSource // of Reset
	Err    error       // of Failed
}

func (s Stop) String() string {
	switch s.Reason {
	case Exited:
		return fmt.Sprintf("%v: %d", s.Reason, s.Code)
	case Failed:
		return s.Err.Error()
	case Reset:
		return fmt.Sprintf("%v by %v", s.Reason, s.Reset)
	}
	return s.Reason.String()
}

// Status is the exit status that a write to the exit port stands for.
func (s Stop) Status() int { return int(s.Code<<1 | 1) }

// end is a device ending the run after the instruction in progress.
func (m *Machine) end(r Reason) {
	if m.ended == AtCount {
		m.ended = r
	}
}

// resetBy is a reset line. The ROM's code at the reset vector pulls one too.
func (m *Machine) resetBy(source ResetSource) func() {
	return func() {
		if base := m.CPU.Seg[cpu.CS].Base; base >= romReset&^0xffff && base <= romReset || base == 0xffff0000 {
			source = ResetVector
		}
		m.end(Reset)
		if m.reset == ResetNone {
			m.reset = source
		}
	}
}
