package machine

import (
	"bytes"
	"encoding/binary"

	"github.com/flipvisor/flipvisor/devices"
)

// The board describes itself by ACPI tables in its ROM (ACPI Specification
// 6.3): a root pointer, RSDT and XSDT, and from there one processor with its
// local APIC, the I/O APIC and how the old interrupts reach it, the HPET, and
// the fixed hardware of power management. The only AML says how to turn the
// power off.

// The ROM covers the last 128 KiB below 1 MiB, and again those below 4 GiB,
// where the processor begins after a reset.
const (
	romBase  = 0xe0000
	romSize  = 0x20000
	romHigh  = 1<<32 - romSize
	romReset = 0xffff0 // the reset vector
)

// Interrupts of the board.
const (
	ioapicID    = 1
	irqTimer    = 0
	irqKeyboard = 1
	irqCOM1     = 4
	irqSCI      = 9
	irqClock    = 8
	irqMouse    = 12
	pinTimer    = 2 // the I/O APIC has the timer there
)

// newROM makes the ROM: the tables, and at the reset vector code that asks
// for another reset, since there is no firmware to boot with.
func newROM() []byte {
	rom := make([]byte, romSize)
	w := romWriter{rom: rom, at: romBase}
	w.tables()
	copy(rom[romReset-romBase:], []byte{
		0xfa,             // cli
		0xba, 0xf9, 0x0c, // mov dx, 0xcf9
		0xb0, 0x00, // mov al, 0
		0xee,       // out dx, al
		0xb0, 0x06, // mov al, 6
		0xee, // out dx, al
		0xf4, // hlt
	})
	return rom
}

// romWriter puts tables into the ROM, one after the other.
type romWriter struct {
	rom []byte
	at  uint32 // address of the next
}

// put stores data at a multiple of 64 and gives its address.
func (w *romWriter) put(data []byte) uint32 {
	w.at = (w.at + 63) &^ 63
	pa := w.at
	copy(w.rom[pa-romBase:], data)
	w.at += uint32(len(data))
	return pa
}

// table stores a system description table: the header of section 5.2.6
// around a body.
func (w *romWriter) table(signature string, revision uint8, body []byte) uint32 {
	var b bytes.Buffer
	b.WriteString(signature)
	words(&b, uint32(36+len(body)), revision, uint8(0))
	b.WriteString("FLIPVS" + "FLIPVBRD")
	words(&b, uint32(1))
	b.WriteString("FLPV")
	words(&b, uint32(1))
	b.Write(body)
	t := b.Bytes()
	t[9] = checksum(t)
	return w.put(t)
}

// words appends values of fixed size, little-endian.
func words(b *bytes.Buffer, values ...any) {
	for _, v := range values {
		_ = binary.Write(b, binary.LittleEndian, v) // a bytes.Buffer takes all
	}
}

// checksum is what makes the bytes add up to 0.
func checksum(b []byte) (sum uint8) {
	for _, x := range b {
		sum -= x
	}
	return sum
}

func (w *romWriter) tables() {
	w.at += 64 // for the root pointer
	dsdt := w.table("DSDT", 2, []byte{
		// Name (_S5_, Package () {Zero, Zero, Zero, Zero})
		0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x00, 0x00, 0x00, 0x00,
	})
	facs := w.put(append([]byte("FACS\x40\x00\x00\x00"), make([]byte, 56)...))
	list := []uint32{w.fadt(facs, dsdt), w.madt(), w.hpet()}
	var rsdt, xsdt bytes.Buffer
	for _, pa := range list {
		words(&rsdt, pa)
		words(&xsdt, uint64(pa))
	}
	w.root(w.table("RSDT", 1, rsdt.Bytes()), w.table("XSDT", 1, xsdt.Bytes()))
}

// root is the root system description pointer (section 5.2.5.3).
func (w *romWriter) root(rsdt, xsdt uint32) {
	var b bytes.Buffer
	b.WriteString("RSD PTR \x00FLIPVS")
	words(&b, uint8(2), rsdt, uint32(36), uint64(xsdt), uint32(0))
	r := b.Bytes()
	r[8] = checksum(r[:20])
	r[32] = checksum(r)
	copy(w.rom, r)
}

// address is a generic address structure (section 5.2.3.2) of an I/O port,
// or of memory.
func address(io bool, width uint8, at uint64) []byte {
	var b bytes.Buffer
	space := uint8(0)
	if io {
		space = 1
	}
	words(&b, space, width, uint8(0), uint8(0), at)
	return b.Bytes()
}

// fadt is the fixed ACPI description table (section 5.2.9), revision 5.
func (w *romWriter) fadt(facs, dsdt uint32) uint32 {
	const (
		wbinvd         = 1 << 0
		c1             = 1 << 2
		powerButton    = 1 << 4 // not a fixed one: there is none
		sleepButton    = 1 << 5
		resetRegister  = 1 << 10
		hasOldDevices  = 1 << 0 // boot architecture flags
		has8042        = 1 << 1
		noVGA          = 1 << 2
		century        = 0x32
		noSleepLatency = 0xffff // no C2, no C3
		desktop        = 1
		resetValue     = 6
		pm1EventLength = 4
		pm1ControlLen  = 2
		pmTimerLength  = 4
		minorVersion51 = 1
	)
	var b bytes.Buffer
	words(&b, facs, dsdt, uint8(0), uint8(desktop), uint16(irqSCI),
		uint32(0), [4]uint8{}, // no SMI command port: ACPI is on
		uint32(devices.PM1Event), uint32(0), uint32(devices.PM1Control), uint32(0), uint32(0),
		uint32(devices.PMTimer), uint32(0), uint32(0),
		uint8(pm1EventLength), uint8(pm1ControlLen), uint8(0), uint8(pmTimerLength), uint8(0), uint8(0), uint8(0), uint8(0),
		uint16(noSleepLatency), uint16(noSleepLatency), uint16(0), uint16(0), uint8(0), uint8(0),
		uint8(0), uint8(0), uint8(century), uint16(hasOldDevices|has8042|noVGA), uint8(0),
		uint32(wbinvd|c1|powerButton|sleepButton|resetRegister))
	b.Write(address(true, 8, devices.ResetControlPort))
	words(&b, uint8(resetValue), uint16(0), uint8(minorVersion51), uint64(facs), uint64(dsdt))
	none := make([]byte, 12)
	for _, a := range [][]byte{
		address(true, 32, devices.PM1Event), none,
		address(true, 16, devices.PM1Control), none, none,
		address(true, 32, devices.PMTimer), none, none,
		none, none, // sleep control and status, of boards without the rest
	} {
		b.Write(a)
	}
	return w.table("FACP", 5, b.Bytes())
}

// madt is the multiple APIC description table (section 5.2.12).
func (w *romWriter) madt() uint32 {
	var b bytes.Buffer
	words(&b, uint32(lapicBase), uint32(1))                      // there are 8259s too
	words(&b, uint8(0), uint8(8), uint8(0), uint8(0), uint32(1)) // processor 0, APIC 0, enabled
	words(&b, uint8(1), uint8(12), uint8(ioapicID), uint8(0), uint32(devices.IOAPICBase), uint32(0))
	const edgeHigh, levelHigh = 0x5, 0xd
	override := func(irq uint8, pin uint32, flags uint16) {
		words(&b, uint8(2), uint8(10), uint8(0), irq, pin, flags)
	}
	override(irqTimer, pinTimer, edgeHigh)
	override(irqSCI, irqSCI, levelHigh)
	words(&b, uint8(4), uint8(6), uint8(0xff), uint16(0), uint8(1)) // LINT1 is NMI, on all
	return w.table("APIC", 3, b.Bytes())
}

// hpet is the HPET description table (IA-PC HPET Specification 1.0a, 3.2.4).
func (w *romWriter) hpet() uint32 {
	var b bytes.Buffer
	words(&b, uint32(devices.HPETCapabilities))
	b.Write(address(false, 64, devices.HPETBase))
	words(&b, uint8(0), uint16(128), uint8(0)) // least period without lost interrupts
	return w.table("HPET", 1, b.Bytes())
}
