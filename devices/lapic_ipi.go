package devices

import "strconv"

// Delivery is how an interrupt message acts on its receiver.
// SDM Vol. 3A, 10.6.1.
type Delivery uint8

const (
	Fixed          Delivery = 0
	LowestPriority Delivery = 1
	SMI            Delivery = 2
	NMI            Delivery = 4
	INIT           Delivery = 5
	Startup        Delivery = 6
	ExtINT         Delivery = 7
)

// String names the mode as the SDM does.
func (d Delivery) String() string {
	switch d {
	case Fixed:
		return "fixed"
	case LowestPriority:
		return "lowest priority"
	case SMI:
		return "SMI"
	case NMI:
		return "NMI"
	case INIT:
		return "INIT"
	case Startup:
		return "start-up"
	case ExtINT:
		return "ExtINT"
	}
	return "reserved delivery mode " + strconv.Itoa(int(d))
}

// Broadcast is the physical destination of every processor.
const Broadcast = 0xffffffff

// Message is an interrupt on its way to one or more local APICs.
type Message struct {
	Mode        Delivery
	Vector      uint8
	Level       bool // level-triggered: its EOI is to be broadcast
	Logical     bool // the destination is a logical one
	Destination uint32
	NotSelf     bool // every APIC but the sender, whatever the destination
}

// Bus carries messages between local APICs and I/O APICs.
type Bus interface {
	// Send delivers m to its receivers. The sender is nil for messages
	// that are not interprocessor interrupts.
	Send(from *LAPIC, m Message)
	// EOI tells the I/O APICs that a level-triggered vector ended.
	EOI(vector uint8)
}

// Interrupt command register. SDM Vol. 3A, figure 10-12.
const (
	icrLogical   = 1 << 11
	icrAssert    = 1 << 14
	icrShorthand = 3 << 18
	icrSelf      = 1 << 18
	icrAll       = 2 << 18
	icrOthers    = 3 << 18
	icrWritable  = 0xff | 7<<8 | icrLogical | icrAssert | 1<<15 | icrShorthand
)

// sendIPI sends what ICR says. All IPIs are edge-triggered; the INIT level
// de-assert of old processors does nothing (SDM Vol. 3A, 10.6.1).
func (a *LAPIC) sendIPI() {
	low := uint32(a.icr)
	m := Message{
		Mode:        Delivery(low >> 8 & 7),
		Vector:      uint8(low),
		Logical:     low&icrLogical != 0,
		Destination: a.icrDestination(),
	}
	switch m.Mode {
	case Fixed, LowestPriority:
		if m.Vector < 16 {
			a.gatherError(errSendIllegalVector)
			return
		}
	case INIT:
		if low&icrAssert == 0 {
			return
		}
	case SMI, NMI, Startup:
	default:
		return
	}
	switch low & icrShorthand {
	case 0:
		a.cfg.Bus.Send(a, m)
	case icrSelf:
		// Only fixed interrupts may use these two shorthands: table 10-3.
		if m.Mode == Fixed {
			a.Deliver(m)
		}
	case icrAll:
		if m.Mode == Fixed {
			m.Logical, m.Destination = false, Broadcast
			a.cfg.Bus.Send(a, m)
		}
	case icrOthers:
		m.NotSelf = true
		a.cfg.Bus.Send(a, m)
	}
}

// icrDestination is ICR's destination, widened to what Message means by it.
func (a *LAPIC) icrDestination() uint32 {
	if a.x2() {
		return uint32(a.icr >> 32)
	}
	return widen(uint8(a.icr>>56), uint32(a.icr)&icrLogical != 0)
}

// widen is an 8-bit destination as 32 bits: all ones is for everyone.
func widen(destination uint8, logical bool) uint32 {
	if destination == 0xff && !logical {
		return Broadcast
	}
	return uint32(destination)
}

// Deliver is a message arriving. Fixed interrupts are refused while the APIC
// is disabled in SVR; the other kinds always act (SDM Vol. 3A, 10.4.7.2).
func (a *LAPIC) Deliver(m Message) {
	if !a.enabled() {
		return
	}
	switch m.Mode {
	case Fixed, LowestPriority:
		if a.softwareEnabled() {
			a.request(m.Vector, m.Level)
		}
	case SMI:
		a.cfg.CPU.SMI()
	case NMI:
		a.cfg.CPU.NMI()
	case INIT:
		a.cfg.CPU.Init()
	case Startup:
		a.cfg.CPU.Startup(m.Vector)
	case ExtINT:
		a.extMessage = true
		a.updateExtINT()
	}
}

// Accepts says whether this APIC is among a message's destinations.
// SDM Vol. 3A, 10.6.2 and 10.12.10.
func (a *LAPIC) Accepts(m Message) bool {
	switch {
	case !a.enabled():
		return false
	case !m.Logical:
		return m.Destination == Broadcast || m.Destination == a.physicalID()
	case a.x2():
		id := a.logicalID()
		return m.Destination == Broadcast ||
			m.Destination>>16 == id>>16 && m.Destination&id&0xffff != 0
	}
	to, id := uint8(m.Destination), uint8(a.ldr>>24)
	if a.dfr>>28 == 0xf { // flat model
		return to&id != 0
	}
	return to>>4 == 0xf && to&id&0xf != 0 || to>>4 == id>>4 && to&id&0xf != 0
}

// APICBus joins the machine's local APICs and I/O APICs.
type APICBus struct {
	locals []*LAPIC
	ends   []EOIListener
}

// EOIListener hears the EOIs of level-triggered interrupts.
type EOIListener interface{ EOI(vector uint8) }

// Attach adds a local APIC.
func (b *APICBus) Attach(a *LAPIC) { b.locals = append(b.locals, a) }

// Listen adds an I/O APIC.
func (b *APICBus) Listen(l EOIListener) { b.ends = append(b.ends, l) }

// Send implements Bus. A lowest-priority message goes to the receiver whose
// arbitration priority is lowest, the first attached among equals.
func (b *APICBus) Send(from *LAPIC, m Message) {
	var lowest *LAPIC
	for _, a := range b.locals {
		switch {
		case m.NotSelf && a == from, !m.NotSelf && !a.Accepts(m):
		case m.Mode != LowestPriority:
			a.Deliver(m)
		case a.softwareEnabled() && (lowest == nil || a.apr() < lowest.apr()):
			lowest = a
		}
	}
	if lowest != nil {
		lowest.Deliver(m)
	}
}

// EOI implements Bus.
func (b *APICBus) EOI(vector uint8) {
	for _, l := range b.ends {
		l.EOI(vector)
	}
}
