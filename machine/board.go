package machine

import (
	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/devices"
	"github.com/flipvisor/flipvisor/mmu"
)

// This file is the board: which devices there are, at which addresses, and
// the wires between them. It is a PC of the time when 8259s and APICs were
// both there, without PCI and without a graphics adapter but for its memory.
//
//	I/O ports                       memory
//	020, 0a0, 4d0  8259s            000a0000  video memory, plain RAM
//	040, 061       8254             000e0000  ROM: ACPI tables
//	060, 064, 092  8042, A20        fec00000  I/O APIC
//	070            clock, CMOS      fed00000  HPET
//	080            POST code        fee00000  local APIC
//	0f4            exit             fffe0000  ROM again
//	3f8            COM1
//	510            fw_cfg
//	600            ACPI
//	cf9            reset
//	f10            probe
//
// Interrupt 0 goes to pin 2 of the I/O APIC, every other to the pin of its
// number. Elsewhere reads give all ones and writes are lost.
//
// Line 20 of the address bus always passes: the gate's position can be set
// and read, and nothing depends on it.
const (
	portCOM1  = 0x3f8
	lapicBase = 0xfee00000

	// baseMemory is the memory below 640 KiB that programs may use: the last
	// KiB is the firmware's.
	baseMemory = 639 << 10
)

// DefaultDate is the date at which machines start unless told otherwise:
// the first second of 2024.
const DefaultDate = 1_704_067_200

// wire makes the devices and connects them.
func (m *Machine) wire(cfg *Config) {
	hz := m.CPU.Model.TSCHz
	if hz == 0 {
		hz = devices.DefaultHz
	}
	m.Ports = new(devices.Ports)
	m.CPU.Ports = m.Ports
	bus := new(devices.APICBus)

	m.wireLAPIC(bus)
	m.PIC = devices.NewPIC(m.LAPIC.LINT(0))
	m.CPU.APIC = interrupts{m.LAPIC, m.PIC}
	m.IOAPIC = devices.NewIOAPIC(devices.IOAPICConfig{ID: ioapicID, Bus: bus})
	bus.Listen(m.IOAPIC)

	hpet := devices.HPETConfig{
		Clock: m.CPU, TickHz: hz, Pin: m.IOAPIC.Pin,
		Legacy: [2]devices.Line{m.isa(irqTimer), m.isa(irqClock)},
	}
	m.HPET = devices.NewHPET(hpet)
	m.PIT = devices.NewPIT(devices.PITConfig{Clock: m.CPU, TickHz: hz, IRQ: m.HPET.Behind(m.isa(irqTimer))})

	date := cfg.Date
	if date == 0 {
		date = DefaultDate
	}
	m.RTC = devices.NewRTC(devices.RTCConfig{Clock: m.CPU, TickHz: hz, IRQ: m.HPET.Behind(m.isa(irqClock)), Start: date})
	m.RTC.SetMemorySize(cfg.Memory)

	m.UART = devices.NewUART(devices.UARTConfig{
		Clock: m.CPU, IRQ: m.isa(irqCOM1),
		Output: func(b byte) {
			if m.Console != nil {
				m.Console(b)
			}
		},
	})
	a20 := devices.NewA20(nil)
	m.Keyboard = devices.NewKeyboard(devices.KeyboardConfig{
		IRQ1: m.isa(irqKeyboard), IRQ12: m.isa(irqMouse), A20: a20,
		Reset: m.resetBy(ResetKeyboard),
	})
	control := devices.NewControlPortA(a20, m.resetBy(ResetPort92))
	post := devices.NewPOST(nil)
	fwCfg := devices.NewFwCfg(cfg.Memory, 1)
	power := devices.NewPowerManagement(devices.PowerConfig{Clock: m.CPU, TickHz: hz, Off: func() { m.end(PoweredOff) }})
	reset := devices.NewResetControl(m.resetBy(ResetPortCF9))
	m.Probe = devices.NewProbe(m.CPU, func(r devices.Report) {
		if m.Report != nil {
			m.Report(r)
		}
	})
	exit := devices.NewExitPort(func(v uint32) {
		m.end(Exited)
		m.code = v
	})

	for _, p := range []struct {
		first, last uint16
		device      devices.PortDevice
	}{
		{0x20, 0x21, m.PIC}, {0xa0, 0xa1, m.PIC}, {0x4d0, 0x4d1, m.PIC},
		{0x40, 0x43, m.PIT}, {0x61, 0x61, m.PIT},
		{0x60, 0x60, m.Keyboard}, {0x64, 0x64, m.Keyboard},
		{0x70, 0x71, m.RTC}, {0x80, 0x80, post}, {0x92, 0x92, control},
		{portCOM1, portCOM1 + 7, m.UART},
		{devices.FwCfgFirst, devices.FwCfgLast, fwCfg},
		{devices.PowerFirst, devices.PowerLast, power},
		{devices.ResetControlFirst, devices.ResetControlLast, reset},
		{devices.ProbeFirst, devices.ProbeLast, m.Probe},
		{devices.ExitFirst, devices.ExitLast, exit},
	} {
		m.Ports.Map(p.first, p.last, p.device)
	}
	m.Mem.OpenVideo()
	rom := newROM()
	m.Mem.MapROM(romBase, rom)
	m.Mem.MapROM(romHigh, rom)
	m.Mem.MapDevice(devices.IOAPICBase, mmu.PageSize, m.IOAPIC)
	m.Mem.MapDevice(devices.HPETBase, mmu.PageSize, m.HPET)

	m.timed = []devices.Timed{m.LAPIC, m.PIT, m.RTC, m.HPET, m.UART}
	m.parts = []namedPart{
		{"cpu", m.CPU}, {"mmu", m.MMU}, {"lapic", m.LAPIC}, {"ioapic", m.IOAPIC}, {"pic", m.PIC},
		{"pit", m.PIT}, {"rtc", m.RTC}, {"hpet", m.HPET}, {"uart", m.UART}, {"keyboard", m.Keyboard},
		{"a20", a20}, {"port92", control}, {"post", post}, {"fw_cfg", fwCfg}, {"power", power},
		{"reset", reset}, {"probe", m.Probe},
	}
}

// firmware leaves the board as a PC's firmware does for a boot loader: the
// timer ticking at 18.2 Hz, the 8259s set up for real mode with the timer,
// the keyboard and the cascade enabled, the local APIC passing their
// requests on.
func (m *Machine) firmware() {
	m.PIT.Firmware()
	m.PIC.Firmware(0xb8, 0x8f)
	m.LAPIC.VirtualWire()
	for _, w := range []struct {
		at   uint64
		size int
		v    uint64
	}{
		{0x400, 2, portCOM1},        // the BIOS data area: serial ports,
		{0x40e, 2, baseMemory >> 4}, // segment of the extended data area,
		{0x410, 2, 0x0200},          // equipment: one serial port,
		{0x413, 2, baseMemory >> 10},
		{baseMemory, 1, 1}, // size of the extended data area in KiB
	} {
		m.Mem.Write(w.at, w.size, w.v)
	}
}

func (m *Machine) wireLAPIC(bus *devices.APICBus) {
	mapped := uint64(0)
	m.LAPIC = devices.NewLAPIC(devices.LAPICConfig{
		BSP: true, Clock: m.CPU, CPU: apicCPU{m.CPU}, Bus: bus, CMCI: true,
		PhysicalBits: uint(m.CPU.Model.PhysBits),
		NoX2APIC:     !m.CPU.Model.Has(cpu.FeatureX2APIC),
		NoTSCD:       !m.CPU.Model.Has(cpu.FeatureTSCDeadline),
		BaseChanged: func(base uint64, present bool) {
			m.CPU.APICPresent = m.LAPIC.Enabled()
			if present && base == mapped {
				return
			}
			if mapped != 0 {
				m.Mem.UnmapDevice(mapped, m.LAPIC)
				mapped = 0
			}
			if present {
				m.Mem.MapDevice(base, mmu.PageSize, m.LAPIC)
				mapped = base
			}
			m.MMU.FlushFast()
		},
	})
	bus.Attach(m.LAPIC)
	m.CPU.APICPresent = true
	m.Mem.MapDevice(lapicBase, mmu.PageSize, m.LAPIC)
	mapped = lapicBase
}

// isa is the wire of an old interrupt: an input of the 8259s and a pin of the
// I/O APIC.
func (m *Machine) isa(irq int) devices.Line {
	return devices.Fanout(m.PIC.Line(irq), m.IOAPIC.Pin(isaPin(irq)))
}

func isaPin(irq int) int {
	if irq == irqTimer {
		return pinTimer
	}
	return irq
}

// interrupts is what the processor takes its interrupts from: the local APIC,
// and the 8259s whose requests it passes on.
type interrupts struct {
	*devices.LAPIC
	pic *devices.PIC
}

func (i interrupts) Pending() (uint8, bool) {
	if i.ExtINTPending() {
		return 0, true
	}
	return i.LAPIC.Pending()
}

func (i interrupts) Ack() uint8 {
	if i.ExtINTPending() {
		i.AckExtINT()
		return i.pic.Ack()
	}
	return i.LAPIC.Ack()
}

// apicCPU is the processor as its APIC signals it.
type apicCPU struct{ c *cpu.CPU }

func (a apicCPU) NMI()          { a.c.NMI() }
func (a apicCPU) SMI()          {} // no SMM: nothing on this board sends one
func (a apicCPU) Init()         { a.c.INIT() }
func (a apicCPU) Startup(uint8) {} // one processor, never waiting for it
func (a apicCPU) ExtINT(bool)   {} // see interrupts

// wakers says whether any device that acts by itself, as the programs on the
// machine have set things up, can wake the halted processor: by an interrupt
// that RFLAGS.IF holds up, or by an NMI.
func (m *Machine) wakers() (interrupt, nmi bool) {
	if m.LAPIC.Deadline() != devices.Never || m.UART.Deadline() != devices.Never ||
		len(m.inputs) > 0 || m.HPET.Deadline() != devices.Never {
		interrupt = true
	}
	for _, d := range [...]struct {
		irq int
		devices.Timed
	}{{irqTimer, m.PIT}, {irqClock, m.RTC}} {
		if d.Deadline() != devices.Never {
			i, n := m.reaches(d.irq)
			interrupt, nmi = interrupt || i, nmi || n
		}
	}
	return interrupt, nmi
}

// reaches says whether an old interrupt gets through to the processor, and
// whether as an NMI.
func (m *Machine) reaches(irq int) (interrupt, nmi bool) {
	if pin := isaPin(irq); !m.IOAPIC.Masked(pin) {
		interrupt, nmi = true, m.IOAPIC.SendsNMI(pin)
	}
	return interrupt || m.LAPIC.PassesExtINT() && !m.PIC.Masked(irq), nmi
}

// InputCanWake says whether console input can end the processor's halt.
func (m *Machine) InputCanWake() bool {
	interrupt, nmi := m.reaches(irqCOM1)
	return m.UART.Listens() && (nmi || m.CPU.CanWake(interrupt))
}
