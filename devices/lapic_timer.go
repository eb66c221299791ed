package devices

import "github.com/flipvisor/flipvisor/internal/state"

// apicTimer is the local APIC's timer. SDM Vol. 3A, 10.5.4.
//
// It holds no running count, only the tick at which the count reaches zero;
// the current count follows from the distance to it.
type apicTimer struct {
	initial uint32 // initial count register
	divide  uint32 // divide configuration register
	next    uint64 // tick of the next zero, or Never when stopped

	deadline  uint64 // IA32_TSC_DEADLINE; 0 when disarmed
	tscOffset uint64 // time-stamp counter minus ticks
}

// reset leaves the TSC's offset: that belongs to the processor.
func (t *apicTimer) reset() {
	t.initial, t.divide, t.next, t.deadline = 0, 0, Never, 0
}

// Walk names the state.
func (t *apicTimer) Walk(w *state.Walker) {
	w.U32("initial", &t.initial)
	w.U32("divide", &t.divide)
	w.U64("next", &t.next)
	w.U64("deadline", &t.deadline)
	w.U64("tsc_offset", &t.tscOffset)
}

// ticksPerCount is how long the current count stands still. The divisor is
// 2 << n, n made of bits 3, 1 and 0, and 7 for 1: SDM figure 10-10.
func (a *LAPIC) ticksPerCount() uint64 {
	d := a.timer.divide
	n := d&3 | d>>1&4
	return a.cfg.TimerDivider << ((n + 1) & 7)
}

func (a *LAPIC) tscDeadlineMode() bool { return a.lvt[lvtTimer]&lvtTimerMode == lvtTSCD }

// Deadline implements Timed. A masked timer counts without anyone noticing.
func (a *LAPIC) Deadline() uint64 {
	if a.lvt[lvtTimer]&lvtMasked != 0 {
		return Never
	}
	return a.timer.next
}

// Advance implements Timed.
func (a *LAPIC) Advance(now uint64) {
	t := &a.timer
	if now < t.next || t.next == Never {
		return
	}
	if a.lvt[lvtTimer]&lvtTimerMode == lvtPeriodic && t.initial != 0 {
		period := uint64(t.initial) * a.ticksPerCount()
		t.next = later(t.next, (now-t.next)/period*period)
		t.next = later(t.next, period)
	} else {
		t.next, t.deadline = Never, 0
	}
	a.raise(lvtTimer)
	a.notify()
}

// settle brings the timer to the present, which nobody has done while it
// was masked.
func (a *LAPIC) settle() (now uint64) {
	now = a.cfg.Clock.Now()
	a.Advance(now)
	return now
}

// settleTimer makes the state of a masked timer independent of when it was
// last looked at.
func (a *LAPIC) settleTimer() {
	if a.lvt[lvtTimer]&lvtMasked != 0 {
		a.settle()
	}
}

// currentCount is the current count register: the whole counts left.
func (a *LAPIC) currentCount() uint32 {
	now := a.settle()
	if a.timer.next == Never || a.tscDeadlineMode() {
		return 0
	}
	per := a.ticksPerCount()
	return uint32((a.timer.next-now-1)/per + 1)
}

// writeInitialCount starts the count, or stops it with 0. In TSC-deadline
// mode the write is ignored.
func (a *LAPIC) writeInitialCount(v uint32) {
	now := a.settle()
	if a.tscDeadlineMode() {
		return
	}
	a.timer.initial = v
	a.timer.next = Never
	if v != 0 {
		a.timer.next = later(now, uint64(v)*a.ticksPerCount())
	}
	a.notify()
}

// writeDivide changes the rate; the count goes on from where it is.
func (a *LAPIC) writeDivide(v uint32) {
	left := a.currentCount()
	a.timer.divide = v & 0xb
	if a.timer.next != Never && !a.tscDeadlineMode() {
		a.timer.next = later(a.cfg.Clock.Now(), uint64(left)*a.ticksPerCount())
	}
	a.notify()
}

// writeTimerLVT changes the timer's entry. Going into or out of TSC-deadline
// mode disarms the timer (SDM Vol. 3A, 10.5.4.1). The SDM says so of every
// change of mode, but kernels that start the count first and then make it
// periodic are common, and so here the count goes on, as it does in other
// emulators.
func (a *LAPIC) writeTimerLVT(v uint32) {
	a.settle()
	was := a.tscDeadlineMode()
	a.lvt[lvtTimer] = v
	if was != a.tscDeadlineMode() {
		a.timer.initial, a.timer.next, a.timer.deadline = 0, Never, 0
	}
}

// SetTSCDeadline is a write of IA32_TSC_DEADLINE: 0 disarms, a time past
// fires at once. Outside TSC-deadline mode it is ignored.
func (a *LAPIC) SetTSCDeadline(tsc uint64) {
	a.settle()
	if a.tscDeadlineMode() {
		a.timer.deadline = tsc
		a.armTSCDeadline()
	}
}

// TSCDeadline is IA32_TSC_DEADLINE, 0 when disarmed.
func (a *LAPIC) TSCDeadline() uint64 {
	a.settle()
	return a.timer.deadline
}

// SetTSCOffset says what the time-stamp counter reads beyond the tick count.
// The processor calls it when a program sets the counter.
func (a *LAPIC) SetTSCOffset(offset uint64) {
	a.settle()
	a.timer.tscOffset = offset
	if a.tscDeadlineMode() {
		a.armTSCDeadline()
	}
}

func (a *LAPIC) armTSCDeadline() {
	t := &a.timer
	now := a.cfg.Clock.Now()
	tsc := now + t.tscOffset
	switch {
	case t.deadline == 0:
		t.next = Never
	case t.deadline <= tsc:
		t.next = now
		a.Advance(now)
	default:
		t.next = later(now, t.deadline-tsc)
	}
	a.notify()
}
