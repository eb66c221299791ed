package devices

import "github.com/flipvisor/flipvisor/internal/state"

// A20 is the gate on address line 20. It is open if either the keyboard
// controller or port 0x92 opens it; after reset the former does, which is
// how firmware leaves it and multiboot wants it.
type A20 struct {
	changed        func(open bool)
	keyboard, fast bool
}

// NewA20 makes an open gate that tells of changes.
func NewA20(changed func(open bool)) *A20 {
	if changed == nil {
		changed = func(bool) {}
	}
	return &A20{changed: changed, keyboard: true}
}

// Open says whether line 20 gets through.
func (a *A20) Open() bool { return a.keyboard || a.fast }

func (a *A20) setKeyboard(open bool) { a.set(open, a.fast) }
func (a *A20) setFast(open bool)     { a.set(a.keyboard, open) }

func (a *A20) set(keyboard, fast bool) {
	was := a.Open()
	a.keyboard, a.fast = keyboard, fast
	if a.Open() != was {
		a.changed(a.Open())
	}
}

// Walk names the state. After a load the gate tells where it stands.
func (a *A20) Walk(w *state.Walker) {
	w.Bool("keyboard", &a.keyboard)
	w.Bool("fast", &a.fast)
	if w.Loading() {
		a.changed(a.Open())
	}
}

// ControlPortA is port 0x92: bit 1 opens the gate on line 20, and setting
// bit 0 resets the processor.
type ControlPortA struct {
	a20   *A20
	reset func()
	value uint8
}

// NewControlPortA makes port 0x92.
func NewControlPortA(a20 *A20, reset func()) *ControlPortA {
	return &ControlPortA{a20: a20, reset: orNothing(reset)}
}

// PortWidth implements Narrow.
func (*ControlPortA) PortWidth() int { return 1 }

// In implements PortDevice.
func (p *ControlPortA) In(uint16, int) uint32 { return uint32(p.value) }

// Out implements PortDevice.
func (p *ControlPortA) Out(_ uint16, _ int, v uint32) {
	rises := uint8(v)&^p.value&1 != 0
	p.value = uint8(v)
	p.a20.setFast(v&2 != 0)
	if rises {
		p.reset()
	}
}

// Walk names the state.
func (p *ControlPortA) Walk(w *state.Walker) { w.U8("value", &p.value) }

// POST is port 0x80, which shows firmware's progress and on which programs
// wait; what is written can be read.
type POST struct {
	show  func(code uint8)
	value uint8
}

// NewPOST makes port 0x80; show may be nil.
func NewPOST(show func(code uint8)) *POST {
	if show == nil {
		show = func(uint8) {}
	}
	return &POST{show: show}
}

// PortWidth implements Narrow.
func (*POST) PortWidth() int { return 1 }

// In implements PortDevice.
func (p *POST) In(uint16, int) uint32 { return uint32(p.value) }

// Out implements PortDevice.
func (p *POST) Out(_ uint16, _ int, v uint32) {
	p.value = uint8(v)
	p.show(p.value)
}

// Walk names the state.
func (p *POST) Walk(w *state.Walker) { w.U8("value", &p.value) }
