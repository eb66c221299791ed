package devices

import "github.com/flipvisor/flipvisor/internal/state"

// HPET is a high-precision event timer (IA-PC HPET Specification 1.0a): a
// 64-bit counter that goes up every 10 ns of the machine's time, and three
// comparators that interrupt once or periodically.
type HPET struct {
	cfg    HPETConfig
	osc    oscillator
	notify func()
	lines  [hpetOutputs]Line

	config uint64
	status uint32 // interrupt status, of level-triggered timers
	count  uint64 // the counter, or while it runs what it is ahead of the clock
	timers [3]hpetTimer

	asserted uint32 // lines held by level-triggered timers
	next     uint64 // tick of the next match that matters
}

type hpetTimer struct {
	config     uint64 // the bits that can be written
	comparator uint64
	period     uint64
	due        uint64 // edge of the next match, or Never
}

// HPETBase is where a PC's HPET is.
const HPETBase = 0xfed00000

// HPETCapabilities are the low half of its capabilities register: by Intel,
// legacy replacement, 64 bits, three timers.
const HPETCapabilities = 0x8086<<16 | 1<<15 | 1<<13 | 2<<8 | 1

// HPETConfig says what an HPET is connected to.
type HPETConfig struct {
	Clock  Clock
	TickHz uint64 // ticks in a second; 0 means DefaultHz

	// Pin gives the I/O APIC's inputs, of which Routes has those that the
	// timers may use; 0 means pins 20 to 23.
	Pin    func(n int) Line
	Routes uint32

	// Legacy has the wires that timers 0 and 1 take over from PIT and RTC
	// in legacy replacement mode.
	Legacy [2]Line
	Notify func() // the deadline may have changed
}

const (
	hpetHz     = 100_000_000
	hpetPeriod = 1_000_000_000_000_000 / hpetHz // femtoseconds

	hpetOutputs = IOAPICPins + 2 // and the two legacy wires

	hpetEnable = 1 << 0
	hpetLegacy = 1 << 1

	hpetLevel    = 1 << 1 // timer configuration
	hpetInt      = 1 << 2
	hpetPeriodic = 1 << 3
	hpetCaps     = 1<<4 | 1<<5 // can be periodic, has 64 bits
	hpetSetValue = 1 << 6
	hpet32       = 1 << 8
	hpetWritable = hpetLevel | hpetInt | hpetPeriodic | hpetSetValue | hpet32 | 0x1f<<9
)

// NewHPET makes a halted HPET.
func NewHPET(cfg HPETConfig) *HPET {
	if cfg.Routes == 0 {
		cfg.Routes = 0xf << 20
	}
	h := &HPET{cfg: cfg, osc: newOscillator(hpetHz, cfg.TickHz), notify: orNothing(cfg.Notify), next: Never}
	for n := range h.lines {
		switch {
		case n >= IOAPICPins:
			h.lines[n] = orNoLine(cfg.Legacy[n-IOAPICPins])
		case cfg.Pin != nil && cfg.Routes>>n&1 != 0:
			h.lines[n] = cfg.Pin(n)
		default:
			h.lines[n] = noLine{}
		}
	}
	for i := range h.timers {
		h.timers[i].comparator, h.timers[i].due = ^uint64(0), Never
	}
	return h
}

// LegacyReplacement says whether PIT and RTC have lost their wires.
func (h *HPET) LegacyReplacement() bool { return h.config&hpetLegacy != 0 }

// Behind is a legacy wire for the device that has it when the HPET has not.
func (h *HPET) Behind(l Line) Line {
	return LineFunc(func(level bool) {
		if !h.LegacyReplacement() || !level {
			l.Set(level)
		}
	})
}

func (h *HPET) runs() bool { return h.config&hpetEnable != 0 }

// counter is the main counter at edge k.
func (h *HPET) counter(k uint64) uint64 {
	if h.runs() {
		return h.count + k
	}
	return h.count
}

// Deadline implements Timed.
func (h *HPET) Deadline() uint64 { return h.next }

// Advance implements Timed.
func (h *HPET) Advance(now uint64) {
	if now >= h.next {
		h.settle(h.osc.edge(now))
	}
}

// settle performs the matches up to edge k, drives the lines and finds the
// next match that anyone would notice.
func (h *HPET) settle(k uint64) {
	next := Never
	for n := range h.timers {
		t := &h.timers[n]
		if t.due <= k && t.due != Never {
			h.match(n, k)
		}
		if t.config&(hpetInt|hpetLevel) != 0 {
			next = min(next, t.due)
		}
	}
	h.drive()
	if next != Never {
		next = h.osc.tick(next)
	}
	if next != h.next {
		h.next = next
		h.notify()
	}
}

// match is timer n's comparator meeting the counter. A periodic timer moves
// its comparator on.
func (h *HPET) match(n int, k uint64) {
	t := &h.timers[n]
	if t.config&hpetPeriodic != 0 && t.period != 0 {
		times := (k-t.due)/t.period + 1
		t.comparator = t.narrow(t.comparator + times*t.period)
		t.due = later(t.due, times*t.period)
	} else {
		h.arm(t, k)
	}
	if t.config&hpetLevel != 0 {
		h.status |= 1 << n
	} else if t.config&hpetInt != 0 && h.asserted>>h.output(n)&1 == 0 {
		h.lines[h.output(n)].Set(true)
		h.lines[h.output(n)].Set(false)
	}
}

// arm computes a timer's next match after edge k.
func (h *HPET) arm(t *hpetTimer, k uint64) {
	t.due = Never
	if !h.runs() {
		return
	}
	distance := t.narrow(t.comparator - h.counter(k))
	switch {
	case distance != 0:
		t.due = later(k, distance)
	case t.config&hpet32 != 0:
		t.due = later(k, 1<<32)
	}
}

// narrow is v as the timer holds it.
func (t *hpetTimer) narrow(v uint64) uint64 {
	if t.config&hpet32 != 0 {
		return v & 0xffffffff
	}
	return v
}

// output is the line of timer n.
func (h *HPET) output(n int) int {
	if h.LegacyReplacement() && n < 2 {
		return IOAPICPins + n
	}
	return min(int(h.timers[n].config>>9&0x1f), IOAPICPins-1)
}

// drive sets the lines of level-triggered timers.
func (h *HPET) drive() {
	want := uint32(0)
	for n := range h.timers {
		if h.status>>n&1 != 0 && h.timers[n].config&hpetInt != 0 {
			want |= 1 << h.output(n)
		}
	}
	for n, l := range h.lines {
		if (want^h.asserted)>>n&1 != 0 {
			l.Set(want>>n&1 != 0)
		}
	}
	h.asserted = want
}

// ReadPhysical reads registers, 32 or 64 bits wide.
func (h *HPET) ReadPhysical(off uint64, size int) uint64 {
	k := h.osc.edge(h.cfg.Clock.Now())
	h.settle(k)
	return h.register(off&0x3f8, k) >> (8 * (off & 7)) & sizeMask64(size)
}

func (h *HPET) register(off, k uint64) uint64 {
	switch off {
	case 0x000: // capabilities: three timers, 64 bits, legacy replacement
		return hpetPeriod<<32 | HPETCapabilities
	case 0x010:
		return h.config
	case 0x020:
		return uint64(h.status)
	case 0x0f0:
		return h.counter(k)
	}
	t := h.timerAt(off)
	switch {
	case t == nil:
		return 0
	case off&0x18 == 0:
		return t.config | hpetCaps | uint64(h.cfg.Routes)<<32
	case off&0x18 == 8:
		return t.comparator
	}
	return 0
}

func (h *HPET) timerAt(off uint64) *hpetTimer {
	if n := off>>5 - 8; n < uint64(len(h.timers)) {
		return &h.timers[n]
	}
	return nil
}

// WritePhysical writes registers.
func (h *HPET) WritePhysical(off uint64, size int, v uint64) {
	k := h.osc.edge(h.cfg.Clock.Now())
	h.settle(k)
	shift := 8 * (off & 7)
	mask := sizeMask64(size) << shift
	v = v << shift & mask
	merge := func(old uint64) uint64 { return old&^mask | v }
	switch off &= 0x3f8; off {
	case 0x010:
		h.configure(merge(h.config), k)
	case 0x020:
		h.status &^= uint32(v)
	case 0x0f0:
		now := merge(h.counter(k))
		if h.runs() {
			now -= k
		}
		h.count = now
		h.armAll(k)
	default:
		if t := h.timerAt(off); t != nil {
			h.writeTimer(t, off&0x18, merge, k)
		}
	}
	h.settle(k)
}

// configure starts or halts the counter.
func (h *HPET) configure(v, k uint64) {
	now := h.counter(k)
	h.config = v & (hpetEnable | hpetLegacy)
	h.count = now
	if h.runs() {
		h.count = now - k
	}
	h.armAll(k)
}

func (h *HPET) armAll(k uint64) {
	for i := range h.timers {
		h.arm(&h.timers[i], k)
	}
}

// writeTimer: of a periodic timer, a written comparator is the period; after
// VAL_SET was set, once, the comparator too.
func (h *HPET) writeTimer(t *hpetTimer, register uint64, merge func(uint64) uint64, k uint64) {
	switch register {
	case 0:
		t.config = merge(t.config) & hpetWritable
		t.comparator, t.period = t.narrow(t.comparator), t.narrow(t.period)
	case 8:
		if t.config&hpetPeriodic == 0 || t.config&hpetSetValue != 0 {
			t.comparator = t.narrow(merge(t.comparator))
		}
		if t.config&hpetPeriodic != 0 {
			t.period = t.narrow(merge(t.period))
		}
		t.config &^= hpetSetValue
	}
	h.arm(t, k)
}

var hpetNames = [3]string{"t0", "t1", "t2"}

// Walk names the state.
func (h *HPET) Walk(w *state.Walker) {
	if now := h.cfg.Clock.Now(); !w.Loading() && now < h.next { // as in PIT.Walk
		h.settle(h.osc.edge(now))
	}
	w.U64("config", &h.config)
	w.U32("status", &h.status)
	w.U64("count", &h.count)
	for i := range h.timers {
		w.Part(hpetNames[i], &h.timers[i])
	}
	w.U32("asserted", &h.asserted)
	w.U64("next", &h.next)
	if w.Loading() {
		h.notify()
	}
}

// Walk names the state.
func (t *hpetTimer) Walk(w *state.Walker) {
	w.U64("config", &t.config)
	w.U64("comparator", &t.comparator)
	w.U64("period", &t.period)
	w.U64("due", &t.due)
}
