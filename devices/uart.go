package devices

import (
	"github.com/flipvisor/flipvisor/internal/state"
)

// UART is a 16550A serial port (National Semiconductor PC16550D data sheet),
// eight ports from its base.
//
// The wire carries bytes, whatever word length, parity and speed a program
// sets: what is written is what the sink gets. Characters take no time
// unless TicksPerChar says so. Bytes for the program wait in a queue of any
// length, as at the far end of a wire with flow control, and enter the
// receiver as it has room; with TicksPerChar set they come one by one and
// overrun a program that does not read them.
type UART struct {
	cfg    UARTConfig
	irq    Line
	notify func()

	ier, fcr, lcr, mcr, scr uint8

	divisor uint16
	errors  uint8 // the error bits of LSR
	deltas  uint8 // the low half of MSR
	wires   uint8 // CTS, DSR, RI, DCD from outside, as in MSR
	thre    bool  // the transmitter-empty interrupt is pending
	irqOut  bool

	rx, tx uartFIFO
	shift  uint8  // the character being sent
	txDone uint64 // when it is sent, or Never

	input    []byte // what is still to be received
	rxNext   uint64 // when its next byte arrives, or Never
	rxIdle   uint64 // when the receiver will have been idle too long, or Never
	timedOut bool   // it has been
}

// UARTConfig says what a UART is connected to. Everything but the clock may
// be left zero.
type UARTConfig struct {
	Clock  Clock
	IRQ    Line
	Output func(b byte)
	Notify func() // the deadline may have changed

	// TicksPerChar is the time a character takes on the wire, or 0.
	TicksPerChar uint64
}

// maxInput bounds the queue of bytes to be received.
const maxInput = 1 << 20

// Registers by offset; the first two are the divisor while LCR's DLAB is
// set, and the third is FCR when written.
const (
	uartData = iota // RBR, THR
	uartIER
	uartIIR
	uartLCR
	uartMCR
	uartLSR
	uartMSR
	uartSCR
)

// Interrupt enable register.
const (
	ierReceive = 1 << iota
	ierTransmit
	ierLine
	ierModem
)

// Interrupt identification register, in falling priority (table IV).
const (
	iirLine     = 0x06
	iirReceive  = 0x04
	iirTimeout  = 0x0c
	iirTransmit = 0x02
	iirModem    = 0x00
	iirNone     = 0x01
	iirFIFOs    = 0xc0
)

const (
	fcrEnable  = 1 << 0
	fcrClearRX = 1 << 1
	fcrClearTX = 1 << 2

	lcrBreak = 1 << 6
	lcrDLAB  = 1 << 7

	mcrOut2 = 1 << 3
	mcrLoop = 1 << 4

	lsrData    = 1 << 0
	lsrOverrun = 1 << 1
	lsrBreak   = 1 << 4
	lsrTHRE    = 1 << 5
	lsrTEMT    = 1 << 6
	lsrFIFOErr = 1 << 7
)

// Modem status register, high half.
const (
	ModemCTS = 1 << (iota + 4)
	ModemDSR
	ModemRI
	ModemDCD
)

// uartFIFO holds characters with the error bits that belong to each.
type uartFIFO struct {
	data, flags [16]uint8
	n           uint8
}

func (f *uartFIFO) push(b, flags uint8) {
	f.data[f.n], f.flags[f.n] = b, flags
	f.n++
}

func (f *uartFIFO) pop() uint8 {
	b := f.data[0]
	copy(f.data[:], f.data[1:])
	copy(f.flags[:], f.flags[1:])
	f.n--
	f.data[f.n], f.flags[f.n] = 0, 0
	return b
}

// Walk names the state.
func (f *uartFIFO) Walk(w *state.Walker) {
	w.Bytes("data", f.data[:])
	w.Bytes("flags", f.flags[:])
	w.U8("n", &f.n)
	if w.Loading() {
		f.n = min(f.n, 16)
	}
}

// NewUART makes a UART after reset, with a terminal at the other end that is
// always ready.
func NewUART(cfg UARTConfig) *UART {
	if cfg.Output == nil {
		cfg.Output = func(byte) {}
	}
	u := &UART{cfg: cfg, irq: orNoLine(cfg.IRQ), notify: orNothing(cfg.Notify)}
	u.wires = ModemCTS | ModemDSR | ModemDCD
	u.Reset()
	return u
}

// Reset is the MR pin (table III of the data sheet). The divisor is left
// undefined there; here it is 9600 baud's.
func (u *UART) Reset() {
	u.ier, u.fcr, u.lcr, u.mcr, u.scr = 0, 0, 0, 0, 0
	u.divisor = 12
	u.errors, u.deltas, u.thre = 0, 0, false
	u.rx, u.tx = uartFIFO{}, uartFIFO{}
	u.shift, u.txDone = 0, Never
	u.rxIdle, u.timedOut, u.rxNext = Never, false, Never
	if len(u.input) != 0 {
		u.startInput(u.cfg.Clock.Now())
	}
	u.update()
}

// PortWidth implements Narrow: an 8-bit card.
func (u *UART) PortWidth() int { return 1 }

// In reads a register.
func (u *UART) In(port uint16, _ int) uint32 {
	now := u.cfg.Clock.Now()
	u.Advance(now)
	defer u.update()
	switch port & 7 {
	case uartData:
		if u.lcr&lcrDLAB != 0 {
			return uint32(u.divisor & 0xff)
		}
		return uint32(u.readData(now))
	case uartIER:
		if u.lcr&lcrDLAB != 0 {
			return uint32(u.divisor >> 8)
		}
		return uint32(u.ier)
	case uartIIR:
		iir := u.source()
		if iir == iirTransmit {
			u.thre = false
		}
		if u.fifos() {
			iir |= iirFIFOs
		}
		return uint32(iir)
	case uartLCR:
		return uint32(u.lcr)
	case uartMCR:
		return uint32(u.mcr)
	case uartLSR:
		return uint32(u.readLSR())
	case uartMSR:
		v := u.modem() | u.deltas
		u.deltas = 0
		return uint32(v)
	default:
		return uint32(u.scr)
	}
}

// Out writes a register. LSR and MSR are the factory's to write.
func (u *UART) Out(port uint16, _ int, value uint32) {
	now, v := u.cfg.Clock.Now(), uint8(value)
	u.Advance(now)
	defer u.update()
	switch port & 7 {
	case uartData:
		if u.lcr&lcrDLAB != 0 {
			u.divisor = u.divisor&0xff00 | uint16(v)
			return
		}
		u.writeData(now, v)
	case uartIER:
		if u.lcr&lcrDLAB != 0 {
			u.divisor = u.divisor&0xff | uint16(v)<<8
			return
		}
		// Enabling the transmitter's interrupt while it is empty raises it.
		if v&^u.ier&ierTransmit != 0 && u.tx.n == 0 {
			u.thre = true
		}
		u.ier = v & 0x0f
	case uartIIR:
		u.writeFCR(now, v)
	case uartLCR:
		if u.mcr&mcrLoop != 0 && v&^u.lcr&lcrBreak != 0 {
			u.arrive(now, 0, lsrBreak)
		}
		u.lcr = v
	case uartMCR:
		u.writeMCR(now, v&0x1f)
	case uartSCR:
		u.scr = v
	}
}

func (u *UART) fifos() bool { return u.fcr&fcrEnable != 0 }

// depth is how many characters fit into the receiver, or the transmitter.
func (u *UART) depth() uint8 {
	if u.fifos() {
		return 16
	}
	return 1
}

// trigger is the number of received characters that interrupts.
func (u *UART) trigger() uint8 {
	if !u.fifos() {
		return 1
	}
	return [4]uint8{1, 4, 8, 14}[u.fcr>>6]
}

// source is the interrupt of highest priority, as IIR shows it.
func (u *UART) source() uint8 {
	switch {
	case u.ier&ierLine != 0 && u.errors != 0:
		return iirLine
	case u.ier&ierReceive != 0 && u.rx.n >= u.trigger():
		return iirReceive
	case u.ier&ierReceive != 0 && u.timedOut:
		return iirTimeout
	case u.ier&ierTransmit != 0 && u.thre:
		return iirTransmit
	case u.ier&ierModem != 0 && u.deltas != 0:
		return iirModem
	}
	return iirNone
}

// update drives the interrupt line. On a PC it passes a gate that OUT2
// opens; loopback forces OUT2 inactive.
func (u *UART) update() {
	level := u.source() != iirNone && u.mcr&(mcrOut2|mcrLoop) == mcrOut2
	if level != u.irqOut {
		u.irqOut = level
		u.irq.Set(level)
	}
}

func (u *UART) readLSR() uint8 {
	v := u.errors
	if u.rx.n != 0 {
		v |= lsrData
	}
	if u.tx.n == 0 {
		v |= lsrTHRE
		if u.txDone == Never {
			v |= lsrTEMT
		}
	}
	if u.fifos() && u.rx.flags != [16]uint8{} {
		v |= lsrFIFOErr
	}
	u.errors, u.rx.flags[0] = 0, 0
	return v
}

func (u *UART) writeFCR(now uint64, v uint8) {
	if v&fcrEnable == 0 {
		v = 0
	}
	if (v^u.fcr)&fcrEnable != 0 {
		v |= fcrClearRX | fcrClearTX
	}
	u.fcr = v &^ (fcrClearRX | fcrClearTX)
	if v&fcrClearRX != 0 {
		u.rx = uartFIFO{}
		u.receiverTouched(now)
	}
	if v&fcrClearTX != 0 && u.tx.n != 0 {
		u.tx = uartFIFO{}
		u.thre = true
	}
	u.startInput(now)
	u.notify()
}

func (u *UART) writeMCR(now uint64, v uint8) {
	before := u.modem()
	u.mcr = v
	u.modemChanged(before)
	u.startInput(now)
	u.notify()
}

// modem is the high half of MSR. In loopback the outputs RTS, DTR, OUT1 and
// OUT2 are the inputs.
func (u *UART) modem() uint8 {
	if u.mcr&mcrLoop == 0 {
		return u.wires
	}
	m := u.mcr
	return m&2<<3 | m&1<<5 | m&4<<4 | m&8<<4
}

// modemChanged notes what changed since before; of RI, only its end.
func (u *UART) modemChanged(before uint8) {
	now := u.modem()
	changed := (before ^ now) &^ ModemRI
	u.deltas |= (changed | before&^now&ModemRI) >> 4
}

// SetModem sets the wires CTS, DSR, RI and DCD, by the bits that MSR has for
// them.
func (u *UART) SetModem(wires uint8) {
	before := u.modem()
	u.wires = wires & 0xf0
	u.modemChanged(before)
	u.update()
}

// Walk names the state.
func (u *UART) Walk(w *state.Walker) {
	w.U8("ier", &u.ier)
	w.U8("fcr", &u.fcr)
	w.U8("lcr", &u.lcr)
	w.U8("mcr", &u.mcr)
	w.U8("scr", &u.scr)
	w.U16("divisor", &u.divisor)
	w.U8("errors", &u.errors)
	w.U8("deltas", &u.deltas)
	w.U8("wires", &u.wires)
	w.Bool("thre", &u.thre)
	w.Bool("irq", &u.irqOut)
	w.Part("rx", &u.rx)
	w.Part("tx", &u.tx)
	w.U8("shift", &u.shift)
	w.U64("tx_done", &u.txDone)
	w.Blob("input", &u.input, maxInput)
	w.U64("rx_next", &u.rxNext)
	w.U64("rx_idle", &u.rxIdle)
	w.Bool("timed_out", &u.timedOut)
	if w.Loading() {
		u.notify()
	}
}
