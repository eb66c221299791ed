package devices

import (
	"github.com/flipvisor/flipvisor/internal/state"
)

// LAPIC is a processor's local APIC (SDM Vol. 3A, chapter 10): it collects
// interrupts from its own timer and pins, from other processors and from the
// I/O APIC, orders them by priority, and hands them to the processor.
//
// The processor's side of it is Pending, Ack and the CPU interface; the
// program's side is the page of registers (ReadPhysical, WritePhysical) in
// xAPIC mode and the MSRs (ReadMSR, WriteMSR) in x2APIC mode. Both modes
// reach the same registers by the same numbers: an MSR is 0x800 + n, an
// offset in the page is n * 16.
type LAPIC struct {
	cfg    LAPICConfig
	notify func()

	base uint64 // IA32_APIC_BASE
	id   uint32 // the APIC ID as written in xAPIC mode

	tpr           uint8
	irr, isr, tmr vectors

	svr      uint32
	ldr, dfr uint32 // xAPIC's; x2APIC derives its own
	icr      uint64

	errors uint32 // gathered since the last write of ESR
	esr    uint32 // what a read of ESR shows

	lvt   [lvtCount]uint32
	lint  [2]bool // levels at the pins LINT0 and LINT1
	timer apicTimer

	extMessage bool // an ExtINT message waits to be acknowledged
	extOut     bool // what CPU.ExtINT was last told
}

// LAPICConfig says what a local APIC is connected to and which options it
// has. Everything but the clock may be left zero.
type LAPICConfig struct {
	ID    uint32 // initial APIC ID
	BSP   bool   // this is the bootstrap processor
	Clock Clock
	CPU   CPU
	Bus   Bus // nil: no other APIC

	// Notify is called after a change that may alter Pending or Deadline.
	Notify func()

	// BaseChanged is called when the page of registers moves, appears or
	// disappears, and after a load.
	BaseChanged func(base uint64, mapped bool)

	// TimerDivider is the number of ticks in one cycle of the timer's
	// input clock, before the divide configuration register; 0 means 1,
	// at most 1<<24. The processor's CPUID leaf 15H is to say EAX = 1,
	// EBX = TimerDivider, ECX = (ticks per second) / TimerDivider.
	TimerDivider uint64

	PhysicalBits     uint // MAXPHYADDR; 0 means 46
	CMCI             bool // has the LVT entry for corrected machine checks
	SuppressEOI      bool // can suppress EOI broadcasts (SVR bit 12)
	NoX2APIC, NoTSCD bool // lacks x2APIC mode, TSC-deadline mode
}

// CPU is what a local APIC does to its processor beyond fixed interrupts,
// which the processor fetches with Pending and Ack. The calls come in the
// middle of an instruction: the processor notes them and acts at the next
// boundary.
type CPU interface {
	NMI()
	SMI()
	// Init is the INIT signal. A processor that accepts it calls
	// LAPIC.InitReset.
	Init()
	// Startup is a start-up IPI: begin at vector<<12 if waiting for one.
	Startup(vector uint8)
	// ExtINT gives the level of the external controller's request. Its
	// vector comes from that controller, whatever the APIC's priority.
	ExtINT(level bool)
}

type noCPU struct{}

func (noCPU) NMI()          {}
func (noCPU) SMI()          {}
func (noCPU) Init()         {}
func (noCPU) Startup(uint8) {}
func (noCPU) ExtINT(bool)   {}

// Register numbers. SDM Vol. 3A, tables 10-1 and 10-6.
const (
	regID           = 0x02
	regVersion      = 0x03
	regTPR          = 0x08
	regAPR          = 0x09
	regPPR          = 0x0a
	regEOI          = 0x0b
	regRRD          = 0x0c
	regLDR          = 0x0d
	regDFR          = 0x0e
	regSVR          = 0x0f
	regISR          = 0x10 // to 0x17
	regTMR          = 0x18 // to 0x1f
	regIRR          = 0x20 // to 0x27
	regESR          = 0x28
	regLVTCMCI      = 0x2f
	regICR          = 0x30
	regICRHigh      = 0x31
	regLVTTimer     = 0x32
	regLVTThermal   = 0x33
	regLVTPMI       = 0x34
	regLVTLINT0     = 0x35
	regLVTLINT1     = 0x36
	regLVTError     = 0x37
	regInitialCount = 0x38
	regCurrentCount = 0x39
	regDivide       = 0x3e
	regSelfIPI      = 0x3f
)

// Spurious-interrupt vector register, SDM Vol. 3A figure 10-23.
const (
	svrEnabled     = 1 << 8
	svrNoFocus     = 1 << 9
	svrSuppressEOI = 1 << 12
)

// NewLAPIC makes a local APIC as it is after power-up.
func NewLAPIC(cfg LAPICConfig) *LAPIC {
	if cfg.CPU == nil {
		cfg.CPU = noCPU{}
	}
	if cfg.TimerDivider == 0 {
		cfg.TimerDivider = 1
	}
	cfg.TimerDivider = min(cfg.TimerDivider, 1<<24)
	if cfg.PhysicalBits == 0 {
		cfg.PhysicalBits = 46
	}
	if cfg.BaseChanged == nil {
		cfg.BaseChanged = func(uint64, bool) {}
	}
	a := &LAPIC{cfg: cfg, notify: orNothing(cfg.Notify)}
	if a.cfg.Bus == nil {
		alone := &APICBus{}
		alone.Attach(a)
		a.cfg.Bus = alone
	}
	a.base = a.resetBase()
	a.id = cfg.ID
	a.resetRegisters()
	return a
}

// Reset is power-up or a hardware reset: everything but the levels at the
// pins.
func (a *LAPIC) Reset() {
	a.base = a.resetBase()
	a.id = a.cfg.ID
	a.InitReset()
	a.baseChanged()
}

// InitReset is what INIT does: all registers but the ID and the mode.
// SDM Vol. 3A, 10.4.7.3.
func (a *LAPIC) InitReset() {
	a.resetRegisters()
	a.updateExtINT()
	a.notify()
}

// resetRegisters sets the state of SDM Vol. 3A, 10.4.7.1.
func (a *LAPIC) resetRegisters() {
	a.tpr = 0
	a.irr, a.isr, a.tmr = vectors{}, vectors{}, vectors{}
	a.svr = 0xff
	a.ldr, a.dfr = 0, 0xffffffff
	a.icr = 0
	a.errors, a.esr = 0, 0
	for i := range a.lvt {
		a.lvt[i] = lvtMasked
	}
	a.timer.reset()
	a.extMessage = false
}

// VirtualWire leaves the APIC as a PC's firmware does for a program that
// knows only the 8259: enabled, LINT0 passing the 8259's request through,
// LINT1 for NMI. Intel MultiProcessor Specification 1.4, 3.6.2.
func (a *LAPIC) VirtualWire() {
	a.writeRegister(regSVR, svrEnabled|0x0f)
	a.writeRegister(regLVTLINT0, uint32(ExtINT)<<8)
	a.writeRegister(regLVTLINT1, uint32(NMI)<<8)
}

// ReadPhysical reads from the page of registers. Registers are 32 bits wide
// at multiples of 16; narrower reads give their part of it, wider ones zeros
// above it (the SDM leaves both undefined).
func (a *LAPIC) ReadPhysical(off uint64, size int) uint64 {
	mask := sizeMask64(size)
	if !a.inPage() {
		return mask
	}
	off &= 0xfff
	v, ok := a.readRegister(uint8(off >> 4))
	if !ok {
		a.gatherError(errIllegalRegister)
	}
	return uint64(v) >> (8 * (off & 15)) & mask
}

// WritePhysical writes to the page of registers. Only whole registers can be
// written.
func (a *LAPIC) WritePhysical(off uint64, size int, v uint64) {
	off &= 0xfff
	if !a.inPage() || size < 4 || off&15 != 0 {
		return
	}
	if !a.writeRegister(uint8(off>>4), uint32(v)) {
		a.gatherError(errIllegalRegister)
	}
}

// readRegister reads register n as both modes see it; false: there is none.
func (a *LAPIC) readRegister(n uint8) (uint32, bool) {
	if entry, ok := a.lvtAt(n); ok {
		return a.lvt[entry], true
	}
	switch n {
	case regID:
		return a.idRegister(), true
	case regVersion:
		return a.version(), true
	case regTPR:
		return uint32(a.tpr), true
	case regAPR:
		return uint32(a.apr()), true
	case regPPR:
		return uint32(a.ppr()), true
	case regEOI, regRRD:
		return 0, true
	case regLDR:
		return a.logicalID(), true
	case regDFR:
		return a.dfr, true
	case regSVR:
		return a.svr, true
	case regESR:
		return a.esr, true
	case regICR:
		return uint32(a.icr), true
	case regICRHigh:
		return uint32(a.icr >> 32), true
	case regInitialCount:
		return a.timer.initial, true
	case regCurrentCount:
		return a.currentCount(), true
	case regDivide:
		return a.timer.divide, true
	}
	switch n &^ 7 {
	case regISR:
		return a.isr.word(n & 7), true
	case regTMR:
		return a.tmr.word(n & 7), true
	case regIRR:
		return a.irr.word(n & 7), true
	}
	return 0, false
}

// writeRegister writes register n, keeping its reserved bits; false: there
// is none that can be written. Writes of read-only registers are lost.
func (a *LAPIC) writeRegister(n uint8, v uint32) bool {
	if entry, ok := a.lvtAt(n); ok {
		a.writeLVT(entry, v)
		return true
	}
	switch n {
	case regID:
		a.id = v >> 24
	case regTPR:
		a.SetTPR(uint8(v))
	case regEOI:
		a.eoi()
	case regLDR:
		a.ldr = v & 0xff000000
	case regDFR:
		a.dfr = v | 0x0fffffff
	case regSVR:
		a.writeSVR(v)
	case regESR:
		a.esr, a.errors = a.errors, 0
	case regICR:
		a.icr = a.icr&^0xffffffff | uint64(v&icrWritable)
		a.sendIPI()
	case regICRHigh:
		a.icr = a.icr&0xffffffff | uint64(v&0xff000000)<<32
	case regInitialCount:
		a.writeInitialCount(v)
	case regDivide:
		a.writeDivide(v)
	case regVersion, regAPR, regPPR, regRRD, regCurrentCount:
	default:
		return n >= regISR && n < regESR // ISR, TMR and IRR are read-only
	}
	return true
}

// version is the version register. SDM Vol. 3A, 10.4.8.
func (a *LAPIC) version() uint32 {
	v := uint32(0x50014)
	if a.cfg.CMCI {
		v = 0x60014
	}
	if a.cfg.SuppressEOI {
		v |= 1 << 24
	}
	return v
}

func (a *LAPIC) svrWritable() uint32 {
	if a.cfg.SuppressEOI {
		return 0xff | svrEnabled | svrNoFocus | svrSuppressEOI
	}
	return 0xff | svrEnabled | svrNoFocus
}

func (a *LAPIC) softwareEnabled() bool { return a.enabled() && a.svr&svrEnabled != 0 }

// writeSVR: disabling by software masks every local source, for good
// (SDM Vol. 3A, 10.4.7.2).
func (a *LAPIC) writeSVR(v uint32) {
	a.svr = v & a.svrWritable()
	if a.svr&svrEnabled == 0 {
		for entry := range a.lvt {
			a.writeLVT(lvtEntry(entry), a.lvt[entry]|lvtMasked)
		}
	}
	a.notify()
}

// Walk names the state.
func (a *LAPIC) Walk(w *state.Walker) {
	if !w.Loading() {
		a.settleTimer()
	}
	w.U64("base", &a.base)
	w.U32("id", &a.id)
	w.U8("tpr", &a.tpr)
	w.Part("irr", &a.irr)
	w.Part("isr", &a.isr)
	w.Part("tmr", &a.tmr)
	w.U32("svr", &a.svr)
	w.U32("ldr", &a.ldr)
	w.U32("dfr", &a.dfr)
	w.U64("icr", &a.icr)
	w.U32("errors", &a.errors)
	w.U32("esr", &a.esr)
	for i := range a.lvt {
		w.U32(lvtNames[i], &a.lvt[i])
	}
	w.Bool("lint0.level", &a.lint[0])
	w.Bool("lint1.level", &a.lint[1])
	w.Part("timer", &a.timer)
	w.Bool("ext.message", &a.extMessage)
	w.Bool("ext.out", &a.extOut)
	if w.Loading() {
		a.baseChanged()
		a.notify()
	}
}

func sizeMask64(size int) uint64 {
	if size >= 8 {
		return ^uint64(0)
	}
	return 1<<(8*size) - 1
}
