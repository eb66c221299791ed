package devices

// This file moves the UART's characters, in both directions and in time.

// Receive puts a byte at the end of the queue to be received; false: the
// queue is full and the byte lost.
func (u *UART) Receive(b byte) bool {
	if len(u.input) >= maxInput {
		return false
	}
	now := u.cfg.Clock.Now()
	u.Advance(now)
	u.input = append(u.input, b)
	u.startInput(now)
	u.update()
	u.notify()
	return true
}

// Waiting is how many bytes wait to be received.
func (u *UART) Waiting() int { return len(u.input) }

// Ready says whether the program has raised DTR or RTS, which tells the far
// end that it can send, or let interrupts through.
func (u *UART) Ready() bool { return u.mcr&(3|mcrOut2) != 0 }

// Listens says whether a byte received interrupts.
func (u *UART) Listens() bool {
	return u.ier&ierReceive != 0 && u.mcr&(mcrOut2|mcrLoop) == mcrOut2
}

// Deadline implements Timed.
func (u *UART) Deadline() uint64 { return min(u.txDone, u.rxNext, u.rxIdle) }

// Advance implements Timed: each loop is one event, in the order of time.
func (u *UART) Advance(now uint64) {
	for {
		at := u.Deadline()
		if at > now || at == Never {
			return
		}
		switch at {
		case u.txDone:
			u.sent(at)
		case u.rxNext:
			u.rxNext = Never
			u.arrive(at, u.nextInput(), 0)
			u.startInput(at)
		default:
			u.rxIdle, u.timedOut = Never, true
		}
		u.update()
	}
}

// writeData is THR: the character goes to the shift register if that is
// idle, and waits behind it otherwise.
func (u *UART) writeData(now uint64, b uint8) {
	u.thre = false
	u.update() // an edge for the interrupt controller if it is raised again
	switch {
	case u.cfg.TicksPerChar == 0:
		u.transmit(now, b)
		u.thre = true
	case u.txDone == Never:
		u.shift, u.txDone = b, later(now, u.cfg.TicksPerChar)
		u.thre = true
		u.notify()
	case !u.fifos():
		u.tx.n = 0
		u.tx.push(b, 0)
	case u.tx.n < 16:
		u.tx.push(b, 0)
	}
}

// sent ends a character and begins the next.
func (u *UART) sent(now uint64) {
	b := u.shift
	u.shift, u.txDone = 0, Never
	if u.tx.n != 0 {
		u.shift, u.txDone = u.tx.pop(), later(now, u.cfg.TicksPerChar)
		u.thre = u.thre || u.tx.n == 0
	}
	u.transmit(now, b)
}

// transmit puts a character on the wire, which in loopback is the receiver's
// own. During a break nothing gets out.
func (u *UART) transmit(now uint64, b uint8) {
	switch {
	case u.mcr&mcrLoop != 0:
		u.arrive(now, b, 0)
	case u.lcr&lcrBreak == 0:
		u.cfg.Output(b)
	}
}

// arrive is a character received. Where there is no room, a FIFO loses the
// new character, a single buffer the old one.
func (u *UART) arrive(now uint64, b, flags uint8) {
	if u.rx.n >= u.depth() {
		u.errors |= lsrOverrun
		if u.fifos() {
			return
		}
		u.rx = uartFIFO{}
	}
	u.rx.push(b, flags)
	if u.rx.n == 1 {
		u.errors |= flags
	}
	u.receiverTouched(now)
}

// readData is RBR. Of an empty receiver it gives 0, which the data sheet
// leaves open.
func (u *UART) readData(now uint64) uint8 {
	if u.rx.n == 0 {
		return 0
	}
	b := u.rx.pop()
	u.errors |= u.rx.flags[0]
	u.receiverTouched(now)
	u.startInput(now)
	u.notify()
	return b
}

// receiverTouched begins the wait for the timeout indication anew: four
// character times after the last character came or was read, while the FIFO
// has any.
func (u *UART) receiverTouched(now uint64) {
	u.rxIdle, u.timedOut = Never, false
	if !u.fifos() || u.rx.n == 0 {
		return
	}
	if u.cfg.TicksPerChar == 0 {
		u.timedOut = true
		return
	}
	u.rxIdle = later(now, 4*u.cfg.TicksPerChar)
}

// startInput lets queued bytes come in: all that fit, or the next after its
// time. In loopback the wire is cut off and they wait.
func (u *UART) startInput(now uint64) {
	if len(u.input) == 0 || u.mcr&mcrLoop != 0 {
		u.rxNext = Never
		return
	}
	if u.cfg.TicksPerChar != 0 {
		if u.rxNext == Never {
			u.rxNext = later(now, u.cfg.TicksPerChar)
		}
		return
	}
	for len(u.input) != 0 && u.rx.n < u.depth() {
		u.arrive(now, u.nextInput(), 0)
	}
}

func (u *UART) nextInput() byte {
	if len(u.input) == 0 {
		return 0
	}
	b := u.input[0]
	u.input = u.input[1:]
	if len(u.input) == 0 {
		u.input = nil
	}
	return b
}
