package devices

import "github.com/flipvisor/flipvisor/internal/state"

// PIC is a PC's pair of 8259A interrupt controllers (Intel 8259A data
// sheet), the slave's request on the master's input 2, with the edge/level
// registers of later PCs at 0x4d0.
//
// Its request goes to the processor by way of the local APIC's LINT0; the
// processor answers with Ack. It always answers as in 8086 mode.
type PIC struct {
	request Line
	out     bool
	master  i8259
	slave   i8259
}

const cascade = 2

// i8259 is one of the two chips.
type i8259 struct {
	cascades uint8 // inputs that are other chips' requests; wiring, not state

	inputs        uint8 // levels
	irr, isr, imr uint8
	base          uint8 // ICW2
	icw1, icw4    uint8
	icw3          uint8
	expect        uint8 // the ICW that comes next, or 0
	elcr          uint8 // inputs that are level-triggered

	lowest      uint8 // input of lowest priority
	rotateAEOI  bool
	readISR     bool
	poll        bool
	specialMask bool
}

const (
	icw1Needs4 = 1 << 0
	icw1Single = 1 << 1
	icw1Level  = 1 << 3
	icw1       = 1 << 4

	icw4AEOI = 1 << 1
	icw4SFNM = 1 << 4

	ocw3     = 1 << 3
	ocw3Poll = 1 << 2
)

// NewPIC makes the pair, whose request drives a line.
func NewPIC(request Line) *PIC {
	p := &PIC{request: orNoLine(request)}
	p.master.cascades = 1 << cascade
	p.master.lowest, p.slave.lowest = 7, 7
	return p
}

// Line is an input, IRQ 0 to 15. IRQ 2 is the slave's and not to be had.
func (p *PIC) Line(irq int) Line {
	chip := &p.master
	if irq >= 8 {
		chip = &p.slave
	}
	if irq == cascade {
		return noLine{}
	}
	return LineFunc(func(level bool) {
		chip.input(uint8(irq&7), level)
		p.update()
	})
}

// Ack is the processor's acknowledge cycle, and gives the vector.
func (p *PIC) Ack() uint8 {
	n := p.master.ack()
	if n == cascade && p.cascaded() {
		m := p.slave.ack()
		p.drop()
		return p.slave.base | m
	}
	p.drop()
	return p.master.base | n
}

// Masked says whether an input is masked on its way to the processor.
func (p *PIC) Masked(irq int) bool {
	if irq >= 8 {
		return p.slave.imr>>(irq&7)&1 != 0 || p.master.imr>>cascade&1 != 0
	}
	return p.master.imr>>irq&1 != 0
}

// Firmware leaves the pair as a PC's firmware does: interrupts 0 to 7 at
// vector 8, 8 to 15 at 0x70, all masked but those for which mask and the
// slave's have a 0.
func (p *PIC) Firmware(master, slave uint8) {
	p.master.firmware(0x08, 1<<cascade, master)
	p.slave.firmware(0x70, cascade, slave)
	p.update()
}

func (c *i8259) firmware(base, icw3, imr uint8) {
	c.icw1, c.base, c.icw3, c.icw4, c.imr = icw1|icw1Needs4, base, icw3, 1, imr
}

func (p *PIC) cascaded() bool {
	return p.master.icw1&icw1Single == 0 && p.master.icw3&p.master.cascades != 0
}

// drop lets the requests fall for a moment, as an acknowledge does, so that
// one that follows at once is an edge.
func (p *PIC) drop() {
	p.master.input(cascade, false)
	p.setRequest(false)
	p.update()
}

// update carries the slave's request to the master and the master's out.
func (p *PIC) update() {
	_, slave := p.slave.pending()
	p.master.input(cascade, slave)
	_, master := p.master.pending()
	p.setRequest(master)
}

func (p *PIC) setRequest(level bool) {
	if level != p.out {
		p.out = level
		p.request.Set(level)
	}
}

// input is a change at a pin. An edge-triggered request lasts no longer than
// its pin is high.
func (c *i8259) input(n uint8, level bool) {
	bit := uint8(1) << n
	switch {
	case !level:
		c.inputs &^= bit
		c.irr &^= bit
	case c.inputs&bit == 0:
		c.inputs |= bit
		c.irr |= bit
	}
}

// levels are the inputs that request as long as they are high.
func (c *i8259) levels() uint8 {
	if c.icw1&icw1Level != 0 {
		return 0xff
	}
	return c.elcr
}

// requests is IRR as a program reads it.
func (c *i8259) requests() uint8 { return c.irr | c.inputs&c.levels() }

// first is the input of highest priority among set, and how far down it is.
func (c *i8259) first(set uint8) (n, rank uint8) {
	for rank := range uint8(8) {
		n := (c.lowest + 1 + rank) & 7
		if set>>n&1 != 0 {
			return n, rank
		}
	}
	return 7, 8
}

// pending is the input that requests an interrupt now: above every one in
// service. Special mask mode disregards those masked; in special fully
// nested mode the cascade does not stand in its own way.
func (c *i8259) pending() (n uint8, ok bool) {
	if c.expect != 0 {
		return 7, false
	}
	serving := c.isr
	if c.specialMask {
		serving &^= c.imr
	}
	if c.icw4&icw4SFNM != 0 {
		serving &^= c.cascades
	}
	n, rank := c.first(c.requests() &^ c.imr)
	_, limit := c.first(serving)
	return n, rank < limit
}

// ack takes the pending input into service; without one it is input 7, the
// default, which is not in service afterwards.
func (c *i8259) ack() uint8 {
	n, ok := c.pending()
	if !ok {
		return 7
	}
	c.irr &^= 1 << n
	if c.icw4&icw4AEOI == 0 {
		c.isr |= 1 << n
	} else if c.rotateAEOI {
		c.lowest = n
	}
	return n
}

// PortWidth implements Narrow.
func (p *PIC) PortWidth() int { return 1 }

// In reads 0x20, 0x21, 0xa0, 0xa1, 0x4d0 or 0x4d1.
func (p *PIC) In(port uint16, _ int) uint32 {
	switch port {
	case 0x4d0:
		return uint32(p.master.elcr)
	case 0x4d1:
		return uint32(p.slave.elcr)
	}
	v := p.chip(port).read(port&1 != 0)
	p.update()
	return uint32(v)
}

// Out writes one of them. The timer, keyboard, cascade, clock and coprocessor
// are always edge-triggered.
func (p *PIC) Out(port uint16, _ int, v uint32) {
	switch port {
	case 0x4d0:
		p.master.elcr = uint8(v) & 0xf8
	case 0x4d1:
		p.slave.elcr = uint8(v) & 0xde
	default:
		p.chip(port).write(port&1 != 0, uint8(v))
	}
	p.update()
}

func (p *PIC) chip(port uint16) *i8259 {
	if port&0x80 != 0 {
		return &p.slave
	}
	return &p.master
}

func (c *i8259) read(a0 bool) uint8 {
	switch {
	case c.poll:
		c.poll = false
		if _, ok := c.pending(); ok {
			return 0x80 | c.ack()
		}
		return 0
	case a0:
		return c.imr
	case c.readISR:
		return c.isr
	}
	return c.requests()
}

func (c *i8259) write(a0 bool, v uint8) {
	switch {
	case a0 && c.expect != 0:
		c.initialize(v)
	case a0:
		c.imr = v
	case v&icw1 != 0:
		// Initialization: the edge-sense circuits are reset, and an input
		// must rise again.
		c.icw1, c.icw4 = v, 0
		c.irr, c.isr, c.imr = 0, 0, 0
		c.lowest, c.rotateAEOI = 7, false
		c.readISR, c.poll, c.specialMask = false, false, false
		c.expect = 2
	case v&ocw3 != 0:
		c.writeOCW3(v)
	default:
		c.writeOCW2(v)
	}
}

// initialize takes ICW2 to ICW4.
func (c *i8259) initialize(v uint8) {
	switch c.expect {
	case 2:
		c.base = v & 0xf8
		if c.icw1&icw1Single == 0 {
			c.expect = 3
			return
		}
	case 3:
		c.icw3 = v
	default:
		c.icw4 = v
		c.expect = 0
		return
	}
	c.expect = 0
	if c.icw1&icw1Needs4 != 0 {
		c.expect = 4
	}
}

// writeOCW2 ends interrupts and rotates priorities, by bits R, SL and EOI.
func (c *i8259) writeOCW2(v uint8) {
	level := v & 7
	if v>>5 == 1 || v>>5 == 5 { // non-specific
		serving := c.isr
		if c.specialMask {
			serving &^= c.imr
		}
		var rank uint8
		if level, rank = c.first(serving); rank == 8 {
			return
		}
	}
	switch v >> 5 {
	case 0:
		c.rotateAEOI = false
	case 4:
		c.rotateAEOI = true
	case 1, 3:
		c.isr &^= 1 << level
	case 5, 7:
		c.isr &^= 1 << level
		c.lowest = level
	case 6:
		c.lowest = level
	}
}

func (c *i8259) writeOCW3(v uint8) {
	if v&0x40 != 0 {
		c.specialMask = v&0x20 != 0
	}
	if v&ocw3Poll != 0 {
		c.poll = true
	} else if v&2 != 0 {
		c.readISR = v&1 != 0
	}
}

// Walk names the state.
func (p *PIC) Walk(w *state.Walker) {
	w.Bool("out", &p.out)
	w.Part("master", &p.master)
	w.Part("slave", &p.slave)
}

// Walk names the state.
func (c *i8259) Walk(w *state.Walker) {
	w.U8("inputs", &c.inputs)
	w.U8("irr", &c.irr)
	w.U8("isr", &c.isr)
	w.U8("imr", &c.imr)
	w.U8("base", &c.base)
	w.U8("icw1", &c.icw1)
	w.U8("icw3", &c.icw3)
	w.U8("icw4", &c.icw4)
	w.U8("expect", &c.expect)
	w.U8("elcr", &c.elcr)
	w.U8("lowest", &c.lowest)
	w.Bool("rotate_aeoi", &c.rotateAEOI)
	w.Bool("read_isr", &c.readISR)
	w.Bool("poll", &c.poll)
	w.Bool("special_mask", &c.specialMask)
}
