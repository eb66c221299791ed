package devices

import "github.com/flipvisor/flipvisor/internal/state"

// Where the ports by which a program speaks to the bench are.
const (
	ExitFirst  = 0xf4
	ExitLast   = 0xf7
	ProbeFirst = 0xf10
	ProbeLast  = 0xf1b
)

// ExitPort ends the run: what a program writes there, 8 to 32 bits, is its
// verdict.
type ExitPort struct{ exit func(value uint32) }

// NewExitPort makes an exit port that calls exit with each value written.
func NewExitPort(exit func(value uint32)) *ExitPort { return &ExitPort{exit} }

// In implements PortDevice: nothing can be read.
func (*ExitPort) In(uint16, int) uint32 { return 0xffffffff }

// Out implements PortDevice.
func (e *ExitPort) Out(port uint16, _ int, v uint32) {
	if port == ExitFirst {
		e.exit(v)
	}
}

// Walk names the state, of which there is none.
func (*ExitPort) Walk(*state.Walker) {}
