package devices

import "github.com/flipvisor/flipvisor/internal/state"

// PITHz is the frequency of a PC's 8254.
const PITHz = 1_193_182

// PIT is an 8254 programmable interval timer (Intel 8254 data sheet) as a PC
// wires it, with port 0x61: counter 0 is IRQ 0, counter 1 once refreshed
// memory, counter 2 is the speaker's, its gate and output in port 0x61.
//
// Counting elements are not counted down: where a counter is, and what its
// output does next, follows from the clock's edge at which it was loaded.
type PIT struct {
	clock  Clock
	osc    oscillator
	irq    Line
	notify func()

	counters [3]pitCounter
	next     uint64 // tick of counter 0's next event
	irqOut   bool
	portB    uint8 // port 0x61, the bits that can be written
}

// PITConfig says what a PIT is connected to.
type PITConfig struct {
	Clock  Clock
	TickHz uint64 // ticks in a second; 0 means DefaultHz
	IRQ    Line
	Notify func() // the deadline may have changed
}

// NewPIT makes a PIT that nobody has programmed yet.
func NewPIT(cfg PITConfig) *PIT {
	p := &PIT{
		clock: cfg.Clock, osc: newOscillator(PITHz, cfg.TickHz),
		irq: orNoLine(cfg.IRQ), notify: orNothing(cfg.Notify),
		next: Never,
	}
	for i := range p.counters {
		c := &p.counters[i]
		c.access, c.gate, c.reloadAt, c.n, c.cr = 3, i != 2, Never, 1<<16, 1<<16
	}
	return p
}

// Firmware leaves counter 0 as a PC's firmware does, ticking 18.2 times a
// second.
func (p *PIT) Firmware() {
	p.Out(0x43, 1, 0x34)
	p.Out(0x40, 1, 0)
	p.Out(0x40, 1, 0)
}

// Deadline implements Timed.
func (p *PIT) Deadline() uint64 { return p.next }

// Advance implements Timed.
func (p *PIT) Advance(now uint64) {
	if now >= p.next {
		p.settle(p.osc.edge(now))
	}
}

// settle brings counter 0 to edge k, drives IRQ 0 and finds what comes next.
func (p *PIT) settle(k uint64) {
	c := &p.counters[0]
	c.load(k)
	if out := c.out(k); out != p.irqOut {
		p.irqOut = out
		p.irq.Set(out)
	}
	next := Never
	if e := min(c.reloadAt, c.nextChange(k)); e != Never {
		next = p.osc.tick(e)
	}
	if next != p.next {
		p.next = next
		p.notify()
	}
}

// access runs f at the present edge.
func (p *PIT) access(f func(k uint64)) {
	k := p.osc.edge(p.clock.Now())
	p.settle(k)
	for i := range p.counters {
		p.counters[i].load(k)
	}
	f(k)
	p.settle(k)
}

// PortWidth implements Narrow.
func (p *PIT) PortWidth() int { return 1 }

// In reads 0x40 to 0x43 or 0x61.
func (p *PIT) In(port uint16, _ int) (v uint32) {
	p.access(func(k uint64) {
		switch {
		case port == 0x61:
			v = uint32(p.readPortB(k))
		case port&3 == 3:
			v = 0xff // the control word cannot be read
		default:
			v = uint32(p.counters[port&3].read(k))
		}
	})
	return v
}

// Out writes 0x40 to 0x43 or 0x61.
func (p *PIT) Out(port uint16, _ int, v uint32) {
	p.access(func(k uint64) {
		switch {
		case port == 0x61:
			p.portB = uint8(v) & 0x0f
			p.counters[2].setGate(k, v&1 != 0)
		case port&3 == 3:
			p.control(k, uint8(v))
		default:
			p.counters[port&3].write(k, uint8(v))
		}
	})
}

// readPortB: bit 5 is counter 2's output; bit 4 toggles with each refresh
// request, every 18 edges on a PC.
func (p *PIT) readPortB(k uint64) uint8 {
	v := p.portB | uint8(k/18&1)<<4
	if p.counters[2].out(k) {
		v |= 1 << 5
	}
	return v
}

// Speaker says whether port 0x61 lets counter 2 through to the speaker.
func (p *PIT) Speaker() bool { return p.portB&3 == 3 }

// control is the control word register: a counter's mode, a counter latch
// command, or the read-back command.
func (p *PIT) control(k uint64, v uint8) {
	switch {
	case v>>6 == 3:
		for i := range p.counters {
			if v>>(i+1)&1 == 0 {
				continue
			}
			if v&0x20 == 0 {
				p.counters[i].latchCount(k)
			}
			if v&0x10 == 0 {
				p.counters[i].latchStatus(k)
			}
		}
	case v&0x30 == 0:
		p.counters[v>>6].latchCount(k)
	default:
		p.counters[v>>6].program(k, v)
	}
}

var pitNames = [3]string{"c0", "c1", "c2"}

// Walk names the state.
func (p *PIT) Walk(w *state.Walker) {
	// What a program cannot see happen is made to have happened, so that
	// equal states are equal bytes. What it can, a line going up, waits for
	// Advance: a walk changes nothing outside.
	if now := p.clock.Now(); !w.Loading() && now < p.next {
		p.access(func(uint64) {})
	}
	for i := range p.counters {
		w.Part(pitNames[i], &p.counters[i])
	}
	w.U64("next", &p.next)
	w.Bool("irq", &p.irqOut)
	w.U8("port_b", &p.portB)
	if w.Loading() {
		p.notify()
	}
}
