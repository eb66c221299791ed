package devices

// lvtEntry is an entry of the local vector table. SDM Vol. 3A, 10.5.1.
type lvtEntry uint8

const (
	lvtTimer lvtEntry = iota
	lvtThermal
	lvtPMI
	lvtLINT0
	lvtLINT1
	lvtError
	lvtCMCI
	lvtCount
)

var lvtNames = [lvtCount]string{
	"lvt.timer", "lvt.thermal", "lvt.pmi", "lvt.lint0", "lvt.lint1", "lvt.error", "lvt.cmci",
}

// Bits of an LVT entry. SDM Vol. 3A, figure 10-8. Delivery is instantaneous
// here, so that the delivery status (bit 12) always reads idle.
const (
	lvtModeBits  = 7 << 8
	lvtActiveLow = 1 << 13
	lvtRemoteIRR = 1 << 14
	lvtLevel     = 1 << 15
	lvtMasked    = 1 << 16
	lvtTimerMode = 3 << 17
	lvtTSCD      = 2 << 17
	lvtPeriodic  = 1 << 17
)

// lvtWritable has the bits that a program may set in each entry.
var lvtWritable = [lvtCount]uint32{
	lvtTimer:   0xff | lvtMasked | lvtTimerMode,
	lvtThermal: 0xff | lvtModeBits | lvtMasked,
	lvtPMI:     0xff | lvtModeBits | lvtMasked,
	lvtLINT0:   0xff | lvtModeBits | lvtActiveLow | lvtLevel | lvtMasked,
	lvtLINT1:   0xff | lvtModeBits | lvtActiveLow | lvtLevel | lvtMasked,
	lvtError:   0xff | lvtMasked,
	lvtCMCI:    0xff | lvtModeBits | lvtMasked,
}

// Bits of the error status register. SDM Vol. 3A, 10.5.3.
const (
	errSendIllegalVector    = 1 << 5
	errReceiveIllegalVector = 1 << 6
	errIllegalRegister      = 1 << 7
)

// lvtAt finds the entry that register n is.
func (a *LAPIC) lvtAt(n uint8) (lvtEntry, bool) {
	if n == regLVTCMCI {
		return lvtCMCI, a.cfg.CMCI
	}
	return lvtEntry(n - regLVTTimer), n >= regLVTTimer && n <= regLVTError
}

func (a *LAPIC) lvtWritableBits(entry lvtEntry) uint32 {
	if entry == lvtTimer && a.cfg.NoTSCD {
		return lvtWritable[entry] &^ lvtTSCD
	}
	return lvtWritable[entry]
}

// writeLVT sets an entry; while the APIC is disabled in SVR it stays masked.
func (a *LAPIC) writeLVT(entry lvtEntry, v uint32) {
	v &= a.lvtWritableBits(entry)
	if a.svr&svrEnabled == 0 {
		v |= lvtMasked
	}
	switch entry {
	case lvtTimer:
		a.writeTimerLVT(v)
	case lvtLINT0, lvtLINT1:
		a.writePinLVT(int(entry-lvtLINT0), v)
	default:
		a.lvt[entry] = v
	}
	a.notify()
}

// raise is an event at a local source: it interrupts as the source's entry
// says, unless masked.
func (a *LAPIC) raise(entry lvtEntry) {
	e := a.lvt[entry]
	if e&lvtMasked != 0 || !a.enabled() {
		return
	}
	// The counters' entry masks itself: SDM Vol. 3A, 10.5.1.
	if entry == lvtPMI {
		a.lvt[entry] |= lvtMasked
	}
	switch Delivery(e >> 8 & 7) {
	case Fixed:
		a.request(uint8(e), false)
	case SMI:
		a.cfg.CPU.SMI()
	case NMI:
		a.cfg.CPU.NMI()
	case INIT:
		a.cfg.CPU.Init()
	}
}

// PerfOverflow is a performance counter asking for its interrupt.
func (a *LAPIC) PerfOverflow() { a.raise(lvtPMI) }

// Thermal is the thermal sensor tripping.
func (a *LAPIC) Thermal() { a.raise(lvtThermal) }

// CMCI is the machine-check banks asking for the corrected-error interrupt.
func (a *LAPIC) CMCI() { a.raise(lvtCMCI) }

// request sets a vector in IRR.
func (a *LAPIC) request(vector uint8, level bool) {
	if vector < 16 {
		a.gatherError(errReceiveIllegalVector)
		return
	}
	a.irr.set(vector)
	if level {
		a.tmr.set(vector)
	} else {
		a.tmr.clear(vector)
	}
	a.notify()
}

// gatherError notes an error for the next write of ESR to show. The first
// since the last write interrupts; the write rearms.
func (a *LAPIC) gatherError(bit uint32) {
	first := a.errors == 0
	a.errors |= bit
	if first {
		a.raise(lvtError)
	}
}

// LINT is a local interrupt pin, 0 or 1. On a PC, the 8259s drive LINT0 and
// NMI is LINT1; with the APIC disabled they are the pins INTR and NMI.
func (a *LAPIC) LINT(pin int) Line {
	return LineFunc(func(level bool) { a.setPin(pin, level) })
}

func (a *LAPIC) setPin(pin int, level bool) {
	if a.lint[pin] == level {
		return
	}
	was := a.pinActive(pin)
	a.lint[pin] = level
	a.pinChanged(pin, was)
}

// writePinLVT changes a pin's entry. A change of polarity may make the pin
// active; a level-triggered pin that is active requests as soon as unmasked.
func (a *LAPIC) writePinLVT(pin int, v uint32) {
	entry := lvtLINT0 + lvtEntry(pin)
	was := a.pinActive(pin)
	old := a.lvt[entry]
	a.lvt[entry] = v | old&lvtRemoteIRR
	if v&lvtLevel == 0 || Delivery(v>>8&7) != Fixed {
		a.lvt[entry] &^= lvtRemoteIRR
	}
	a.pinChanged(pin, was)
}

func (a *LAPIC) pinActive(pin int) bool {
	if !a.enabled() {
		return a.lint[pin]
	}
	return a.lint[pin] != (a.lvt[lvtLINT0+lvtEntry(pin)]&lvtActiveLow != 0)
}

// pinChanged acts on a pin that was active or not before what just happened.
func (a *LAPIC) pinChanged(pin int, was bool) {
	entry := lvtLINT0 + lvtEntry(pin)
	e := a.lvt[entry]
	active := a.pinActive(pin)
	rises := active && !was
	switch {
	case !a.enabled():
		if pin == 1 && rises {
			a.cfg.CPU.NMI()
		}
	case Delivery(e>>8&7) == Fixed && e&lvtLevel != 0:
		a.levelPin(entry, active)
	case rises:
		a.raise(entry)
	}
	a.updateExtINT()
}

// levelPin requests a level-triggered pin's interrupt unless it is already
// requested or in service, which its remote IRR flag says.
func (a *LAPIC) levelPin(entry lvtEntry, active bool) {
	e := a.lvt[entry]
	if !active || e&(lvtMasked|lvtRemoteIRR) != 0 {
		return
	}
	if uint8(e) >= 16 {
		a.lvt[entry] |= lvtRemoteIRR
	}
	a.request(uint8(e), true)
}

// endLevelLINT is the EOI of a level-triggered vector: pins that requested
// it may do so again.
func (a *LAPIC) endLevelLINT(vector uint8) {
	for pin := range a.lint {
		entry := lvtLINT0 + lvtEntry(pin)
		if e := a.lvt[entry]; e&lvtRemoteIRR != 0 && uint8(e) == vector {
			a.lvt[entry] &^= lvtRemoteIRR
			a.levelPin(entry, a.pinActive(pin))
		}
	}
}

// updateExtINT tells the processor when the external controller's request,
// through a pin or a message, begins or ends.
func (a *LAPIC) updateExtINT() {
	level := a.extMessage
	if !a.enabled() {
		level = a.lint[0]
	} else {
		for pin := range a.lint {
			e := a.lvt[lvtLINT0+lvtEntry(pin)]
			if e&lvtMasked == 0 && Delivery(e>>8&7) == ExtINT && a.pinActive(pin) {
				level = true
			}
		}
	}
	if level != a.extOut {
		a.extOut = level
		a.cfg.CPU.ExtINT(level)
		a.notify()
	}
}

// AckExtINT is the processor fetching a vector from the external controller:
// a request that came as a message is thereby served.
func (a *LAPIC) AckExtINT() {
	a.extMessage = false
	a.updateExtINT()
}

// ExtINTPending says whether the external controller's request reaches the
// processor.
func (a *LAPIC) ExtINTPending() bool { return a.extOut }

// PassesExtINT says whether LINT0 would let a request of the external
// controller through.
func (a *LAPIC) PassesExtINT() bool {
	e := a.lvt[lvtLINT0]
	return !a.enabled() || e&lvtMasked == 0 && Delivery(e>>8&7) == ExtINT
}
