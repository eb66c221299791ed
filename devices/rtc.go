package devices

import "github.com/flipvisor/flipvisor/internal/state"

// RTC is a PC's real-time clock and CMOS memory (Motorola MC146818A data
// sheet) at ports 0x70 and 0x71. The date at which the machine starts is one
// of its outside inputs; from there the clock follows the tick count.
type RTC struct {
	clock  Clock
	osc    oscillator // 32,768 Hz
	irq    Line
	notify func()

	index  uint8 // port 0x70, NMI's mask in bit 7
	memory [128]byte

	a, b, c uint8 // registers A, B and C

	// While it runs, the clock is base plus the seconds since edge origin,
	// of days that begin weekday days after those of the calendar.
	base    int64 // seconds since 1970
	origin  uint64
	weekday uint8
	held    rtcFields // the registers, while it does not

	seen   uint64 // edge up to which register C is right
	next   uint64 // tick of the next interrupt
	irqOut bool
}

// RTCConfig says what an RTC is connected to.
type RTCConfig struct {
	Clock  Clock
	TickHz uint64    // ticks in a second; 0 means DefaultHz
	IRQ    Line      // IRQ 8
	Start  int64     // the time at tick 0, in seconds since 1970
	Memory [128]byte // CMOS memory as firmware left it, from 0x0e
	Notify func()    // the deadline may have changed
}

const (
	rtcHz = 32_768

	rtcCentury = 0x32 // where PCs keep it

	rtcBinary = 1 << 2 // register B
	rtc24     = 1 << 1
	rtcUIE    = 1 << 4 // also UF in C, and so on
	rtcAIE    = 1 << 5
	rtcPIE    = 1 << 6
	rtcSET    = 1 << 7

	rtcUIP  = 1 << 7 // register A
	rtcIRQF = 1 << 7 // register C

	// UIP is set so many cycles (244 us) before an update.
	rtcWarning = 8
)

// NewRTC makes a clock that runs, in BCD and 24-hour form, with the periodic
// rate at 1,024 Hz, as PC firmware sets it.
func NewRTC(cfg RTCConfig) *RTC {
	r := &RTC{
		clock: cfg.Clock, osc: newOscillator(rtcHz, cfg.TickHz),
		irq: orNoLine(cfg.IRQ), notify: orNothing(cfg.Notify),
		memory: cfg.Memory, a: 0x26, b: rtc24, base: cfg.Start, next: Never,
	}
	return r
}

// SetMemorySize stores the size of RAM where firmware leaves it for
// programs: below 640 KiB, above 1 MiB in KiB, above 16 MiB in 64 KiB.
func (r *RTC) SetMemorySize(bytes uint64) {
	put := func(at int, v uint64) { r.memory[at], r.memory[at+1] = byte(v), byte(v>>8) }
	above := func(base, unit uint64) uint64 {
		if bytes < base {
			return 0
		}
		return min((bytes-base)/unit, 0xffff)
	}
	put(0x15, 640)
	put(0x17, above(1<<20, 1<<10))
	put(0x30, above(1<<20, 1<<10))
	put(0x34, above(16<<20, 64<<10))
}

// NMIMasked says whether port 0x70 keeps NMI from the processor.
func (r *RTC) NMIMasked() bool { return r.index&0x80 != 0 }

// Deadline implements Timed.
func (r *RTC) Deadline() uint64 { return r.next }

// Advance implements Timed.
func (r *RTC) Advance(now uint64) {
	if now >= r.next {
		r.settle(r.osc.edge(now))
	}
}

// settle brings register C and the line to edge k and finds the next
// interrupt.
func (r *RTC) settle(k uint64) {
	r.c |= r.happened(k)
	r.seen = k
	r.c &^= rtcIRQF
	if r.c&r.b&(rtcPIE|rtcAIE|rtcUIE) != 0 {
		r.c |= rtcIRQF
	}
	if level := r.c&rtcIRQF != 0; level != r.irqOut {
		r.irqOut = level
		r.irq.Set(level)
	}
	next := Never
	if e := r.nextInterrupt(k); e != Never {
		next = r.osc.tick(e)
	}
	if next != r.next {
		r.next = next
		r.notify()
	}
}

// resets says whether register A holds the divider in reset.
func (r *RTC) resets() bool { return r.a&0x60 == 0x60 }

func (r *RTC) runs() bool { return r.b&rtcSET == 0 && !r.resets() }

// period is that of the periodic interrupt, in cycles, or 0. Rates 1 and 2
// are the same as 8 and 9 with this crystal.
func (r *RTC) period() uint64 {
	switch rate := r.a & 15; {
	case rate == 0 || r.resets():
		return 0
	case rate < 3:
		return 1 << (rate + 6)
	default:
		return 1 << (rate - 1)
	}
}

// happened gives the flags of what occurred after edge seen, up to k.
func (r *RTC) happened(k uint64) (flags uint8) {
	if k <= r.seen {
		return 0
	}
	from, to := r.seen-r.origin, k-r.origin
	if p := r.period(); p != 0 && from/p != to/p {
		flags |= rtcPIE
	}
	if !r.runs() || from/rtcHz == to/rtcHz {
		return flags
	}
	if r.untilAlarm(from/rtcHz) <= to/rtcHz-from/rtcHz {
		flags |= rtcAIE
	}
	return flags | rtcUIE
}

// nextInterrupt is the edge after k at which an enabled interrupt that is
// not already flagged comes.
func (r *RTC) nextInterrupt(k uint64) uint64 {
	if r.irqOut {
		return Never
	}
	next, since := Never, k-r.origin
	if p := r.period(); r.b&rtcPIE != 0 && p != 0 {
		next = later(k, p-since%p)
	}
	if !r.runs() {
		return next
	}
	second := later(k, rtcHz-since%rtcHz)
	if r.b&rtcUIE != 0 {
		next = min(next, second)
	}
	if wait := r.untilAlarm(since / rtcHz); r.b&rtcAIE != 0 && wait != Never {
		next = min(next, later(second, (wait-1)*rtcHz))
	}
	return next
}

// PortWidth implements Narrow.
func (r *RTC) PortWidth() int { return 1 }

// In reads port 0x71; of 0x70 nothing can be read.
func (r *RTC) In(port uint16, _ int) uint32 {
	if port&1 == 0 {
		return 0xff
	}
	k := r.osc.edge(r.clock.Now())
	r.settle(k)
	i := r.index & 0x7f
	switch {
	case i == 0x0a:
		return uint32(r.a | r.updating(k))
	case i == 0x0b:
		return uint32(r.b)
	case i == 0x0c:
		v := r.c
		r.c = 0
		r.settle(k)
		return uint32(v)
	case i == 0x0d:
		return 0x80 // the battery is good
	case isTime(i):
		fields := r.fields(k)
		return uint32(*fields.at(i))
	}
	return uint32(r.memory[i])
}

// Out writes port 0x70 or 0x71.
func (r *RTC) Out(port uint16, _ int, value uint32) {
	v := uint8(value)
	if port&1 == 0 {
		r.index = v
		return
	}
	k := r.osc.edge(r.clock.Now())
	r.settle(k)
	switch i := r.index & 0x7f; {
	case i == 0x0a:
		r.writeA(k, v&0x7f)
	case i == 0x0b:
		r.writeB(k, v)
	case i == 0x0c, i == 0x0d:
	case isTime(i):
		fields := r.fields(k)
		*fields.at(i) = v
		r.setFields(k, fields)
	default:
		r.memory[i] = v
	}
	r.settle(k)
}

// updating is UIP: an update comes within 244 us.
func (r *RTC) updating(k uint64) uint8 {
	if r.runs() && (k-r.origin)%rtcHz >= rtcHz-rtcWarning {
		return rtcUIP
	}
	return 0
}

// writeA: released from reset, the divider makes the first update half a
// second later.
func (r *RTC) writeA(k uint64, v uint8) {
	fields, was := r.fields(k), r.resets()
	r.a = v
	if was && !r.resets() {
		r.origin = k - rtcHz/2
	}
	r.setFields(k, fields)
}

// writeB stops and starts the clock by SET, which also disables the update
// interrupt. The registers keep their contents when their form changes.
func (r *RTC) writeB(k uint64, v uint8) {
	if v&rtcSET != 0 {
		v &^= rtcUIE
	}
	fields := r.fields(k)
	changed := r.b ^ v
	r.b = v
	if changed&(rtcSET|rtcBinary|rtc24) != 0 {
		r.setFields(k, fields)
	}
}

// Walk names the state.
func (r *RTC) Walk(w *state.Walker) {
	if now := r.clock.Now(); !w.Loading() && now < r.next { // as in PIT.Walk
		r.settle(r.osc.edge(now))
	}
	w.U8("index", &r.index)
	w.Bytes("memory", r.memory[:])
	w.U8("a", &r.a)
	w.U8("b", &r.b)
	w.U8("c", &r.c)
	base := uint64(r.base)
	w.U64("base", &base)
	r.base = int64(base)
	w.U64("origin", &r.origin)
	w.U8("weekday", &r.weekday)
	w.Bytes("held", r.held[:])
	w.U64("seen", &r.seen)
	w.U64("next", &r.next)
	w.Bool("irq", &r.irqOut)
	if w.Loading() {
		r.notify()
	}
}
