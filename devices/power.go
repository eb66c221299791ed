package devices

import "github.com/flipvisor/flipvisor/internal/state"

// PowerManagement is the fixed hardware of ACPI (ACPI Specification 6.3,
// section 4.8): the PM1 event and control registers and the power management
// timer. The machine has no buttons and never sleeps, so of the events only
// the timer's carry exists, as a status to be polled; there is no SCI.
// Entering sleep type 0 turns the power off.
type PowerManagement struct {
	clock Clock
	osc   oscillator
	off   func()

	enable, control uint16
	carries         uint64 // of the timer's top bit, when the status was last cleared
}

// PowerConfig says what it is connected to.
type PowerConfig struct {
	Clock  Clock
	TickHz uint64 // ticks in a second; 0 means DefaultHz
	Off    func() // the power is to be turned off
}

// Its ports, where QEMU's boards have them too.
const (
	PM1Event   = 0x600
	PM1Control = 0x604
	PMTimer    = 0x608
	PowerFirst = PM1Event
	PowerLast  = PMTimer + 3
)

const (
	pmTimerHz  = 3_579_545
	pmTimerTop = 23 // a 24-bit counter

	pm1SCIEnable   = 1 << 0  // ACPI is on, always
	pm1SleepEnable = 1 << 13 // write-only
	pm1SleepType   = 7 << 10
	pm1Control     = 7<<10 | 1<<1 | 1<<2
)

// NewPowerManagement makes one in ACPI mode.
func NewPowerManagement(cfg PowerConfig) *PowerManagement {
	if cfg.Off == nil {
		cfg.Off = func() {}
	}
	return &PowerManagement{clock: cfg.Clock, osc: newOscillator(pmTimerHz, cfg.TickHz), off: cfg.Off}
}

func (p *PowerManagement) edge() uint64 { return p.osc.edge(p.clock.Now()) }

// status has bit 0 set when the timer's top bit has changed since it was
// last cleared.
func (p *PowerManagement) status() uint32 {
	if p.edge()>>pmTimerTop != p.carries {
		return 1
	}
	return 0
}

func (p *PowerManagement) register(port uint16) uint32 {
	switch port &^ 3 {
	case PM1Event:
		return p.status() | uint32(p.enable)<<16
	case PM1Control:
		return uint32(p.control | pm1SCIEnable)
	default:
		return uint32(p.edge() & (1<<(pmTimerTop+1) - 1))
	}
}

// In reads.
func (p *PowerManagement) In(port uint16, _ int) uint32 {
	return p.register(port) >> (8 * (port & 3))
}

// Out writes whole registers.
func (p *PowerManagement) Out(port uint16, size int, v uint32) {
	switch {
	case port == PM1Event && size >= 2:
		if v&1 != 0 {
			p.carries = p.edge() >> pmTimerTop
		}
		if size == 4 {
			p.enable = uint16(v >> 16)
		}
	case port == PM1Event+2:
		p.enable = uint16(v)
	case port == PM1Control && size >= 2:
		p.control = uint16(v) & pm1Control
		if v&pm1SleepEnable != 0 && v&pm1SleepType == 0 {
			p.off()
		}
	}
}

// Walk names the state.
func (p *PowerManagement) Walk(w *state.Walker) {
	w.U16("enable", &p.enable)
	w.U16("control", &p.control)
	w.U64("carries", &p.carries)
}

// ResetControl is port 0xcf9 of the chip sets of PCs: a rising edge of bit 2
// resets the machine. It answers for the three ports around it so that a
// 32-bit access to 0xcf8, which is PCI's and finds nothing here, passes by.
type ResetControl struct {
	reset func()
	value uint8
}

// The ports of ResetControl.
const (
	ResetControlFirst = 0xcf8
	ResetControlPort  = 0xcf9
	ResetControlLast  = 0xcfb
)

// NewResetControl makes the port, which calls reset.
func NewResetControl(reset func()) *ResetControl {
	return &ResetControl{reset: orNothing(reset)}
}

// In implements PortDevice.
func (r *ResetControl) In(port uint16, size int) uint32 {
	if port == ResetControlPort && size == 1 {
		return uint32(r.value)
	}
	return 0xffffffff
}

// Out implements PortDevice.
func (r *ResetControl) Out(port uint16, size int, v uint32) {
	if port != ResetControlPort || size != 1 {
		return
	}
	rises := uint8(v)&^r.value&4 != 0
	r.value = uint8(v) & 0x0e
	if rises {
		r.reset()
	}
}

// Walk names the state.
func (r *ResetControl) Walk(w *state.Walker) { w.U8("value", &r.value) }
