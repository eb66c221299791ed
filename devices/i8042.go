package devices

import "github.com/flipvisor/flipvisor/internal/state"

// Keyboard is a PC's i8042 keyboard controller at ports 0x60 and 0x64 with
// an AT keyboard on it (IBM PC AT Technical Reference), and no mouse. Through
// it the program also switches address line 20 and resets the machine.
type Keyboard struct {
	cfg KeyboardConfig

	config  uint8 // command byte
	status  uint8
	data    uint8 // output buffer
	output  uint8 // output port
	command uint8 // a command that waits for its byte on port 0x60
	device  uint8 // a keyboard command that waits for its argument

	queue    []byte // what the keyboard has to send
	scanning bool
	irqOut   [2]bool // IRQ 1 and 12
}

// KeyboardConfig says what a keyboard controller is connected to.
type KeyboardConfig struct {
	IRQ1, IRQ12 Line
	A20         *A20
	Reset       func() // the processor is to be reset
}

const (
	kbdOutputFull = 1 << 0 // status
	kbdSystem     = 1 << 2
	kbdWasCommand = 1 << 3
	kbdUnlocked   = 1 << 4
	kbdMouse      = 1 << 5

	kbdIRQ1      = 1 << 0 // command byte
	kbdIRQ12     = 1 << 1
	kbdDisabled  = 1 << 4
	kbdTranslate = 1 << 6

	kbdOutReset = 1 << 0 // output port
	kbdOutA20   = 1 << 1

	maxKeys = 1 << 12
)

// NewKeyboard makes a controller as firmware leaves it: passed its test,
// interrupting, translating to scan code set 1.
func NewKeyboard(cfg KeyboardConfig) *Keyboard {
	cfg.IRQ1, cfg.IRQ12 = orNoLine(cfg.IRQ1), orNoLine(cfg.IRQ12)
	cfg.Reset = orNothing(cfg.Reset)
	if cfg.A20 == nil {
		cfg.A20 = NewA20(nil)
	}
	return &Keyboard{
		cfg:      cfg,
		config:   kbdIRQ1 | kbdSystem | kbdTranslate,
		status:   kbdSystem | kbdUnlocked,
		output:   kbdOutReset,
		scanning: true,
	}
}

// Key is a byte from the keyboard, as the program is to read it: of scan
// code set 1. False: too many wait already, and it is lost.
func (k *Keyboard) Key(b byte) bool {
	if !k.scanning || len(k.queue) >= maxKeys {
		return false
	}
	k.send(b)
	return true
}

// PortWidth implements Narrow.
func (k *Keyboard) PortWidth() int { return 1 }

// In reads 0x60 or 0x64.
func (k *Keyboard) In(port uint16, _ int) uint32 {
	if port&4 != 0 {
		return uint32(k.status)
	}
	v := k.data
	k.status &^= kbdOutputFull | kbdMouse
	k.update() // the interrupt ends before the next byte's begins
	k.fill()
	return uint32(v)
}

// Out writes 0x60 or 0x64.
func (k *Keyboard) Out(port uint16, _ int, value uint32) {
	v := uint8(value)
	if port&4 != 0 {
		k.status |= kbdWasCommand
		k.control(v)
		return
	}
	k.status &^= kbdWasCommand
	command := k.command
	k.command = 0
	switch command {
	case 0x60:
		k.config = v
		k.status = k.status&^kbdSystem | v&kbdSystem
		k.update()
		k.fill()
	case 0xd1:
		k.writeOutput(v)
	case 0xd2:
		k.answer(v, 0)
	case 0xd3:
		k.answer(v, kbdMouse)
	case 0xd4:
		k.answer(0xfe, kbdMouse) // there is no mouse
	default:
		k.config &^= kbdDisabled // a command enables the keyboard
		k.keyboard(v)
	}
}

// control is a command to the controller.
func (k *Keyboard) control(v uint8) {
	k.command = 0
	switch {
	case v == 0x20:
		k.answer(k.config, 0)
	case v == 0xaa: // self-test
		k.status |= kbdSystem
		k.answer(0x55, 0)
	case v == 0xa9: // test of the mouse's wires: clock stuck
		k.answer(0x01, 0)
	case v == 0xab: // test of the keyboard's wires: good
		k.answer(0x00, 0)
	case v == 0xad:
		k.config |= kbdDisabled
	case v == 0xae:
		k.config &^= kbdDisabled
		k.fill()
	case v == 0xc0: // input port: not locked
		k.answer(0x80, 0)
	case v == 0xd0:
		k.answer(k.readOutput(), 0)
	case v == 0xdd:
		k.cfg.A20.setKeyboard(false)
	case v == 0xdf:
		k.cfg.A20.setKeyboard(true)
	case v == 0x60, v >= 0xd1 && v <= 0xd4:
		k.command = v
	case v >= 0xf0 && v&1 == 0: // pulses output bits; bit 0 resets
		k.cfg.Reset()
	}
}

func (k *Keyboard) readOutput() uint8 {
	v := k.output &^ kbdOutA20
	if k.cfg.A20.keyboard {
		v |= kbdOutA20
	}
	return v | k.status&kbdOutputFull<<4
}

func (k *Keyboard) writeOutput(v uint8) {
	k.output = v&^kbdOutA20 | kbdOutReset
	k.cfg.A20.setKeyboard(v&kbdOutA20 != 0)
	if v&kbdOutReset == 0 {
		k.cfg.Reset()
	}
}

// keyboard is a byte to the keyboard itself.
func (k *Keyboard) keyboard(v uint8) {
	const ack = 0xfa
	if k.device != 0 {
		k.device = 0
		k.send(ack)
		return
	}
	switch v {
	case 0xed, 0xf0, 0xf3: // lights, scan code set, repeat rate
		k.device = v
		k.send(ack)
	case 0xee: // echo
		k.send(0xee)
	case 0xf2: // identify; translated, 0x83 is 0x41
		id := byte(0x83)
		if k.config&kbdTranslate != 0 {
			id = 0x41
		}
		k.send(ack, 0xab, id)
	case 0xf4:
		k.scanning = true
		k.send(ack)
	case 0xf5:
		k.scanning = false
		k.send(ack)
	case 0xf6:
		k.send(ack)
	case 0xff: // reset, and the result of its test
		k.queue, k.scanning = nil, true
		k.send(ack, 0xaa)
	default:
		k.send(0xfe) // say again
	}
}

// send queues bytes from the keyboard.
func (k *Keyboard) send(bytes ...byte) {
	if len(k.queue)+len(bytes) <= maxKeys+16 {
		k.queue = append(k.queue, bytes...)
	}
	k.fill()
}

// answer puts a byte of the controller's own into the output buffer.
func (k *Keyboard) answer(v, from uint8) {
	k.data = v
	k.status = k.status&^kbdMouse | kbdOutputFull | from
	k.update()
}

// fill moves the keyboard's next byte into the output buffer, if that is
// empty and the keyboard enabled.
func (k *Keyboard) fill() {
	if len(k.queue) == 0 || k.status&kbdOutputFull != 0 || k.config&kbdDisabled != 0 {
		return
	}
	b := k.queue[0]
	k.queue = k.queue[1:]
	k.answer(b, 0)
}

// update drives the interrupts: one of them follows the output buffer.
func (k *Keyboard) update() {
	full := k.status & (kbdOutputFull | kbdMouse)
	k.drive(0, k.cfg.IRQ1, full == kbdOutputFull && k.config&kbdIRQ1 != 0)
	k.drive(1, k.cfg.IRQ12, full == kbdOutputFull|kbdMouse && k.config&kbdIRQ12 != 0)
}

func (k *Keyboard) drive(n int, irq Line, level bool) {
	if level != k.irqOut[n] {
		k.irqOut[n] = level
		irq.Set(level)
	}
}

// Walk names the state.
func (k *Keyboard) Walk(w *state.Walker) {
	w.U8("config", &k.config)
	w.U8("status", &k.status)
	w.U8("data", &k.data)
	w.U8("output", &k.output)
	w.U8("command", &k.command)
	w.U8("device", &k.device)
	w.Blob("queue", &k.queue, maxKeys+16)
	w.Bool("scanning", &k.scanning)
	w.Bool("irq1", &k.irqOut[0])
	w.Bool("irq12", &k.irqOut[1])
}
