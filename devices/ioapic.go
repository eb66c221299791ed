package devices

import "github.com/flipvisor/flipvisor/internal/state"

// IOAPIC is a 24-pin I/O APIC (Intel 82093AA data sheet, with the EOI
// register of version 0x20): each pin's redirection entry says which
// interrupt message a request there becomes.
type IOAPIC struct {
	cfg    IOAPICConfig
	id     uint8
	index  uint8 // IOREGSEL
	pins   uint32
	active uint32 // pins asserted, by their entries' polarity
	table  [IOAPICPins]uint64
}

// IOAPICPins is the number of pins.
const IOAPICPins = 24

// IOAPICBase is where a PC's first I/O APIC is.
const IOAPICBase = 0xfec00000

// IOAPICConfig says what an I/O APIC is connected to.
type IOAPICConfig struct {
	ID  uint8
	Bus Bus

	// ActiveLow has the pins whose wires are low when their devices ask,
	// as PCI's are. A Line is set to true when its device asks; an entry
	// whose polarity does not suit the wire sees the opposite.
	ActiveLow uint32
}

// Bits of a redirection entry: like an LVT's, with a destination.
const (
	rteLogical   = 1 << 11
	rteActiveLow = 1 << 13
	rteRemoteIRR = 1 << 14
	rteLevel     = 1 << 15
	rteMasked    = 1 << 16
	rteWritable  = 0xff<<56 | 0xff | 7<<8 | rteLogical | rteActiveLow | rteLevel | rteMasked
)

// NewIOAPIC makes an I/O APIC after reset. It must be made to Listen on the
// bus for its level-triggered interrupts to end.
func NewIOAPIC(cfg IOAPICConfig) *IOAPIC {
	a := &IOAPIC{cfg: cfg}
	a.Reset()
	return a
}

// Reset masks every pin.
func (a *IOAPIC) Reset() {
	a.id, a.index = a.cfg.ID&15, 0
	for i := range a.table {
		a.table[i] = rteMasked
	}
	a.active = a.asserted()
}

// Pin is an input.
func (a *IOAPIC) Pin(n int) Line {
	bit := uint32(1) << n
	return LineFunc(func(level bool) {
		if level {
			a.pins |= bit
		} else {
			a.pins &^= bit
		}
		a.evaluate(n)
	})
}

// asserted gives the pins that are active as their entries see them.
func (a *IOAPIC) asserted() uint32 {
	low := uint32(0)
	for n, e := range a.table {
		if e&rteActiveLow != 0 {
			low |= 1 << n
		}
	}
	return a.pins ^ a.cfg.ActiveLow ^ low
}

// evaluate acts on a change at pin n: an edge sends once, and is lost where
// it is masked; a level sends until its EOI is outstanding.
func (a *IOAPIC) evaluate(n int) {
	bit := uint32(1) << n
	was := a.active & bit
	a.active = a.active&^bit | a.asserted()&bit
	e := a.table[n]
	if e&rteMasked != 0 || a.active&bit == 0 {
		return
	}
	switch {
	case e&rteLevel == 0 && was == 0:
		a.send(n)
	case e&rteLevel != 0 && e&rteRemoteIRR == 0:
		if mode := Delivery(e >> 8 & 7); mode == Fixed || mode == LowestPriority {
			a.table[n] |= rteRemoteIRR
			a.send(n)
		} else if was == 0 { // the other modes are edges always
			a.send(n)
		}
	}
}

func (a *IOAPIC) send(n int) {
	if a.cfg.Bus == nil {
		return
	}
	e := a.table[n]
	logical := e&rteLogical != 0
	a.cfg.Bus.Send(nil, Message{
		Mode:        Delivery(e >> 8 & 7),
		Vector:      uint8(e),
		Level:       e&rteLevel != 0,
		Logical:     logical,
		Destination: widen(uint8(e>>56), logical),
	})
}

// Masked says whether a pin is masked.
func (a *IOAPIC) Masked(pin int) bool { return a.table[pin]&rteMasked != 0 }

// SendsNMI says whether a pin's interrupt is an NMI.
func (a *IOAPIC) SendsNMI(pin int) bool { return Delivery(a.table[pin]>>8&7) == NMI }

// EOI implements EOIListener: pins in service with that vector may send
// again, and do if still asserted.
func (a *IOAPIC) EOI(vector uint8) {
	for n, e := range a.table {
		if uint8(e) == vector && e&rteRemoteIRR != 0 {
			a.table[n] &^= rteRemoteIRR
			a.evaluate(n)
		}
	}
}

// ReadPhysical reads IOREGSEL at 0 or IOWIN at 0x10.
func (a *IOAPIC) ReadPhysical(off uint64, size int) uint64 {
	v := uint32(0)
	switch off & 0xfc {
	case 0x00:
		v = uint32(a.index)
	case 0x10:
		v = a.readRegister()
	}
	return uint64(v) >> (8 * (off & 3)) & sizeMask64(size)
}

// WritePhysical writes IOREGSEL, IOWIN or, at 0x40, the EOI register. IOWIN
// takes whole registers only.
func (a *IOAPIC) WritePhysical(off uint64, size int, v uint64) {
	switch off & 0xff {
	case 0x00:
		a.index = uint8(v)
	case 0x10:
		if size >= 4 {
			a.writeRegister(uint32(v))
		}
	case 0x40:
		a.EOI(uint8(v))
	}
}

func (a *IOAPIC) readRegister() uint32 {
	switch a.index {
	case 0, 2: // ID, arbitration ID
		return uint32(a.id) << 24
	case 1:
		return (IOAPICPins-1)<<16 | 0x20
	}
	if n := int(a.index) - 0x10; n >= 0 && n < 2*IOAPICPins {
		return uint32(a.table[n/2] >> (32 * (n & 1)))
	}
	return 0
}

func (a *IOAPIC) writeRegister(v uint32) {
	if a.index == 0 {
		a.id = uint8(v >> 24 & 15)
		return
	}
	n := int(a.index) - 0x10
	if n < 0 || n >= 2*IOAPICPins {
		return
	}
	pin, shift := n/2, 32*(n&1)
	e := a.table[pin]
	e = e&^(0xffffffff<<shift) | uint64(v)<<shift
	e = e&rteWritable | a.table[pin]&rteRemoteIRR
	if e&rteLevel == 0 {
		e &^= rteRemoteIRR
	}
	a.table[pin] = e
	a.evaluate(pin)
}

var rteNames = [IOAPICPins]string{
	"rte0", "rte1", "rte2", "rte3", "rte4", "rte5", "rte6", "rte7",
	"rte8", "rte9", "rte10", "rte11", "rte12", "rte13", "rte14", "rte15",
	"rte16", "rte17", "rte18", "rte19", "rte20", "rte21", "rte22", "rte23",
}

// Walk names the state.
func (a *IOAPIC) Walk(w *state.Walker) {
	w.U8("id", &a.id)
	w.U8("index", &a.index)
	w.U32("pins", &a.pins)
	w.U32("active", &a.active)
	for i := range a.table {
		w.U64(rteNames[i], &a.table[i])
	}
}
