package devices

// MSRs of the local APIC.
const (
	MSRAPICBase    = 0x1b
	MSRTSCDeadline = 0x6e0
	msrX2First     = 0x800
	msrX2Last      = 0x83f
)

// IA32_APIC_BASE. SDM Vol. 3A, figures 10-5 and 10-26.
const (
	baseBSP     = 1 << 8
	baseX2      = 1 << 10
	baseEnabled = 1 << 11
	baseDefault = 0xfee00000
)

func (a *LAPIC) resetBase() uint64 {
	if a.cfg.BSP {
		return baseDefault | baseEnabled | baseBSP
	}
	return baseDefault | baseEnabled
}

func (a *LAPIC) enabled() bool { return a.base&baseEnabled != 0 }
func (a *LAPIC) x2() bool      { return a.base&baseX2 != 0 }

// inPage says whether the registers are in memory.
func (a *LAPIC) inPage() bool { return a.enabled() && !a.x2() }

// Base is the physical address of the page of registers, and whether they
// are there.
func (a *LAPIC) Base() (base uint64, mapped bool) {
	return a.base &^ 0xfff, a.inPage()
}

func (a *LAPIC) baseChanged() { a.cfg.BaseChanged(a.Base()) }

// Enabled says whether the APIC is enabled in IA32_APIC_BASE, which is what
// CPUID.01H:EDX.APIC shows.
func (a *LAPIC) Enabled() bool { return a.enabled() }

// APICBase is IA32_APIC_BASE.
func (a *LAPIC) APICBase() uint64 { return a.base }

// SetAPICBase writes IA32_APIC_BASE; false is a #GP. Of the changes of mode,
// x2APIC can be entered only from xAPIC and left only by disabling
// (SDM Vol. 3A, 10.12.5).
func (a *LAPIC) SetAPICBase(v uint64) bool {
	allowed := uint64(baseBSP | baseX2 | baseEnabled | (1<<a.cfg.PhysicalBits - 0x1000))
	if a.cfg.NoX2APIC {
		allowed &^= baseX2
	}
	if v&^allowed != 0 {
		return false
	}
	const modes = baseX2 | baseEnabled
	from, to := a.base&modes, v&modes
	switch {
	case to == baseX2,
		from == modes && to == baseEnabled,
		from == 0 && to == modes:
		return false
	}
	a.base = v
	if from != to {
		a.changeMode(to)
	}
	a.baseChanged()
	a.notify()
	return true
}

// changeMode does to the registers what a new mode brings: disabling loses
// them all; x2APIC has the initial ID, whatever was written in xAPIC mode,
// and begins with ICR's high half clear.
func (a *LAPIC) changeMode(to uint64) {
	switch to {
	case 0:
		a.resetRegisters()
		a.updateExtINT()
	case baseX2 | baseEnabled:
		a.id = a.cfg.ID
		a.icr &= 0xffffffff
	default:
		a.updateExtINT()
	}
}

func (a *LAPIC) physicalID() uint32 {
	if a.x2() {
		return a.cfg.ID
	}
	return a.id & 0xff
}

func (a *LAPIC) idRegister() uint32 {
	if a.x2() {
		return a.cfg.ID
	}
	return a.id << 24
}

// logicalID is LDR, which x2APIC mode derives from the ID: clusters of 16.
// SDM Vol. 3A, 10.12.10.2.
func (a *LAPIC) logicalID() uint32 {
	if a.x2() {
		return a.cfg.ID>>4<<16 | 1<<(a.cfg.ID&15)
	}
	return a.ldr
}

// ReadMSR reads a local APIC MSR; false is a #GP.
func (a *LAPIC) ReadMSR(index uint32) (v uint64, ok bool) {
	switch index {
	case MSRAPICBase:
		return a.base, true
	case MSRTSCDeadline:
		return a.TSCDeadline(), !a.cfg.NoTSCD
	}
	if index < msrX2First || index > msrX2Last || !a.x2() {
		return 0, false
	}
	switch n := uint8(index); n {
	case regICR:
		return a.icr, true
	case regAPR, regEOI, regRRD, regDFR, regICRHigh, regSelfIPI:
		return 0, false
	default:
		r, ok := a.readRegister(n)
		return uint64(r), ok
	}
}

// WriteMSR writes a local APIC MSR; false is a #GP, and nothing happened.
func (a *LAPIC) WriteMSR(index uint32, v uint64) bool {
	switch index {
	case MSRAPICBase:
		return a.SetAPICBase(v)
	case MSRTSCDeadline:
		a.SetTSCDeadline(v)
		return !a.cfg.NoTSCD
	}
	if index < msrX2First || index > msrX2Last || !a.x2() {
		return false
	}
	n := uint8(index)
	writable, ok := a.x2Writable(n)
	if !ok || v&^writable != 0 {
		return false
	}
	switch n {
	case regICR:
		a.icr = v &^ icrStatus
		a.sendIPI()
	case regSelfIPI:
		a.selfIPI(uint8(v))
	default:
		return a.writeRegister(n, uint32(v))
	}
	return true
}

// icrStatus is xAPIC's delivery status, which x2APIC mode does not have;
// processors ignore it in a write rather than fault.
const icrStatus = 1 << 12

// x2Writable gives the bits that may be set in a register written through
// its MSR; false: the register cannot be written. SDM Vol. 3A, 10.12.1.2.
func (a *LAPIC) x2Writable(n uint8) (bits uint64, ok bool) {
	if entry, ok := a.lvtAt(n); ok {
		// The read-only status bits may be written back as they were read.
		status := uint32(1 << 12)
		if entry == lvtLINT0 || entry == lvtLINT1 {
			status |= lvtRemoteIRR
		}
		return uint64(a.lvtWritableBits(entry) | status), true
	}
	switch n {
	case regTPR, regSelfIPI:
		return 0xff, true
	case regEOI, regESR:
		return 0, true
	case regSVR:
		return uint64(a.svrWritable()), true
	case regICR:
		return 0xffffffff<<32 | icrWritable | icrStatus, true
	case regInitialCount:
		return 0xffffffff, true
	case regDivide:
		return 0xb, true
	}
	return 0, false
}

// selfIPI is the SELF IPI register: an edge-triggered fixed interrupt.
// SDM Vol. 3A, 10.12.11.
func (a *LAPIC) selfIPI(vector uint8) {
	if vector < 16 {
		a.gatherError(errSendIllegalVector)
		return
	}
	a.Deliver(Message{Mode: Fixed, Vector: vector})
}
