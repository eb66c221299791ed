package devices

import (
	"math"
	"math/bits"
)

// Never is the deadline of a device with nothing to do.
const Never uint64 = math.MaxUint64

// DefaultHz is the nominal number of ticks in a second of the machine's
// time: an instruction takes a nanosecond. It gives meaning to the devices
// whose rates are fixed in seconds (PIT, RTC, HPET).
const DefaultHz uint64 = 1_000_000_000

// Clock gives the number of instructions retired.
type Clock interface{ Now() uint64 }

// Timed is a device that acts as time passes.
type Timed interface {
	// Deadline is the count of the device's next action, or Never. It may
	// lie in the past until Advance is called. It changes only in Advance
	// and when the device is accessed; the device's Notify tells.
	Deadline() uint64
	// Advance performs everything that is due at or before now. Afterwards
	// Deadline is greater than now.
	Advance(now uint64)
}

// Line is an interrupt wire.
type Line interface{ Set(level bool) }

// LineFunc makes a Line of a function.
type LineFunc func(level bool)

// Set implements Line.
func (f LineFunc) Set(level bool) { f(level) }

// Fanout is a wire to several listeners.
func Fanout(lines ...Line) Line {
	return LineFunc(func(level bool) {
		for _, l := range lines {
			l.Set(level)
		}
	})
}

type noLine struct{}

func (noLine) Set(bool) {}

func orNoLine(l Line) Line {
	if l == nil {
		return noLine{}
	}
	return l
}

func orNothing(f func()) func() {
	if f == nil {
		return func() {}
	}
	return f
}

// later is now+n, or Never where that would overflow.
func later(now, n uint64) uint64 {
	s, carry := bits.Add64(now, n, 0)
	if carry != 0 {
		return Never
	}
	return s
}

// oscillator is a clock of its own frequency beside the count of ticks. Its
// edges are numbered from tick 0 and lie at exact multiples of ticks/hz, so
// that nothing drifts however the time is asked for.
type oscillator struct{ hz, ticks uint64 }

// newOscillator runs at hz while the machine makes ticks in a second.
func newOscillator(hz, ticks uint64) oscillator {
	if ticks == 0 {
		ticks = DefaultHz
	}
	return oscillator{hz: hz, ticks: ticks}
}

// edge is the number of edges up to and including the one at tick now.
func (o oscillator) edge(now uint64) uint64 { return mulDiv(now, o.hz, o.ticks, false) }

// tick is the first tick by which the numbered edge has come.
func (o oscillator) tick(edge uint64) uint64 { return mulDiv(edge, o.ticks, o.hz, true) }

// mulDiv is x*m/d, rounded down or up, or Never where it does not fit.
func mulDiv(x, m, d uint64, up bool) uint64 {
	hi, lo := bits.Mul64(x, m)
	if hi >= d {
		return Never
	}
	q, r := bits.Div64(hi, lo, d)
	if up && r != 0 {
		return later(q, 1)
	}
	return q
}
