package devices

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// TestUART runs transcripts against the PC16550D data sheet. The verbs:
//
//	w REG V    write          r REG -> V   read
//	in V       a byte comes from outside   at N   time passes until N
//	wires V    CTS, DSR, RI, DCD           irq -> 0|1
//	out -> ..  what was sent since the last time asked
func TestUART(t *testing.T) {
	for _, c := range []struct {
		name  string
		ticks uint64
		steps string
	}{
		{"reset, table III", 0, `
			r ier -> 0; r iir -> 1; r lcr -> 0; r mcr -> 0; r lsr -> 60; r msr -> b0`},
		{"divisor latch, 8.2", 0, `
			w lcr 83; w data 34; w ier 12; r data -> 34; r ier -> 12; w lcr 3; r ier -> 0; out -> `},
		{"scratch", 0, `w scr a5; r scr -> a5`},
		{"reserved bits of IER and MCR read 0", 0, `w ier ff; r ier -> f; w mcr ff; r mcr -> 1f`},
		{"LSR and MSR are read-only", 0, `w lsr ff; r lsr -> 60; w msr ff; r msr -> b0`},
		{"output", 0, `w data 48; w data 69; out -> 48 69; r lsr -> 60`},
		{"input without FIFO", 0, `r lsr -> 60; in 41; in 42; r lsr -> 61; r data -> 41; r lsr -> 61; r data -> 42; r lsr -> 60`},
		{"FIFOs show in IIR", 0, `w iir 1; r iir -> c1; w iir 0; r iir -> 1`},
		{"FCR needs its bit 0 for the rest", 0, `w iir c1; w iir c0; r iir -> 1`},

		{"THRE: interrupts when enabled, IIR read clears", 0, `
			w mcr 8; irq -> 0; w ier 2; irq -> 1; r iir -> 2; irq -> 0; r iir -> 1`},
		{"THRE: again after each character", 0, `
			w mcr 8; w ier 2; r iir -> 2; w data 41; irq -> 1; r iir -> 2; irq -> 0`},
		{"THRE: enabling again raises it again", 0, `
			w mcr 8; w ier 2; r iir -> 2; w ier 0; w ier 2; irq -> 1`},
		{"THRE: rewriting IER does not", 0, `w mcr 8; w ier 2; r iir -> 2; w ier 2; irq -> 0`},
		{"OUT2 gates the interrupt", 0, `w ier 2; irq -> 0; r iir -> 2; w ier 0; w ier 2; w mcr 8; irq -> 1; w mcr 0; irq -> 0`},

		{"receive interrupt ends with the last character", 0, `
			w mcr 8; w ier 1; in 41; irq -> 1; r iir -> 4; r data -> 41; irq -> 0; r iir -> 1`},
		{"priority, table IV: line, receive, THRE, modem", 0, `
			w mcr 18; r msr -> 83; w ier f; w mcr 19; w lcr 40; r iir -> 6; r lsr -> 71;
			r iir -> 4; r data -> 0; r iir -> 2; r iir -> 0; r msr -> a2; r iir -> 1`},
		{"below the trigger it is the timeout", 0, `
			w mcr 8; w ier 1; w iir 41; in 1; r iir -> cc; in 2; in 3; r iir -> cc; in 4; r iir -> c4;
			r data -> 1; r iir -> cc; r data -> 2; r data -> 3; r data -> 4; r iir -> c1`},
		{"a full FIFO lets the rest wait", 0, `
			w iir 1; in 1; in 2; in 3; in 4; in 5; in 6; in 7; in 8; in 9; in a; in b; in c; in d; in e; in f; in 10; in 11;
			r lsr -> 61; r data -> 1; r data -> 2`},
		{"clearing the receiver", 0, `w iir 1; in 1; w iir 3; r lsr -> 60`},
		{"switching the FIFO clears", 0, `in 1; w iir 1; r lsr -> 60`},

		{"loopback carries data", 0, `w mcr 10; w data 5a; r lsr -> 61; r data -> 5a; out -> `},
		{"loopback carries modem lines", 0, `
			w mcr 10; r msr -> b; w mcr 11; r msr -> 22; w mcr 12; r msr -> 13; w mcr 14; r msr -> 41; w mcr 18; r msr -> 8c`},
		{"loopback shuts the interrupt gate", 0, `w ier 2; w mcr 8; irq -> 1; w mcr 18; irq -> 0; w mcr 8; irq -> 1`},
		{"loopback cuts the wire", 0, `w mcr 10; in 41; r lsr -> 60; w mcr 0; r lsr -> 61; r data -> 41`},
		{"overrun keeps the new character without FIFO", 0, `
			w mcr 10; w data 1; w data 2; r lsr -> 63; r lsr -> 61; r data -> 2`},
		{"break received", 0, `w mcr 10; w lcr 40; r lsr -> 71; r lsr -> 61; r data -> 0; r lsr -> 60`},
		{"error bits wait for their character in the FIFO", 0, `
			w iir 1; w mcr 10; w data 7; w lcr 40; r lsr -> e1; r data -> 7; r lsr -> f1; r lsr -> 61; r data -> 0`},
		{"break sends nothing", 0, `w lcr 40; w data 41; w lcr 0; w data 42; out -> 42`},
		{"modem deltas; RI only at its end", 0, `
			w mcr 8; w ier 8; wires 0; irq -> 1; r iir -> 0; r msr -> b; irq -> 0; wires 40; r msr -> 40; wires 0; r msr -> 4`},

		{"timed: THR empties at once, the shift register later", 10, `
			w data 41; r lsr -> 20; out -> ; at 9; r lsr -> 20; at 10; r lsr -> 60; out -> 41`},
		{"timed: a second character waits", 10, `
			w data 41; w data 42; r lsr -> 0; at 10; r lsr -> 20; out -> 41; at 20; r lsr -> 60; out -> 42`},
		{"timed: THRE interrupt when the FIFO empties", 10, `
			w iir 1; w mcr 8; w data 1; w data 2; w data 3; w ier 2; irq -> 0; at 10; irq -> 0; at 20; irq -> 1; out -> 1 2`},
		{"timed: input comes one by one", 10, `in 1; in 2; r lsr -> 60; at 10; r lsr -> 61; r data -> 1; r lsr -> 60; at 20; r data -> 2`},
		{"timed: overrun in the buffer", 10, `in 1; in 2; at 20; r lsr -> 63; r data -> 2`},
		{"timed: timeout after four characters' time", 10, `
			w mcr 8; w ier 1; w iir 81; in 1; at 10; irq -> 0; at 49; r iir -> c1; at 50; irq -> 1; r iir -> cc; r data -> 1; irq -> 0`},
		{"timed: reading starts the timeout anew", 10, `
			w iir 81; w ier 1; in 1; in 2; at 20; at 50; r data -> 1; at 89; r iir -> c1; at 90; r iir -> cc`},
		{"timed: several events at once", 10, `w iir 1; w data 1; in 2; at 500; out -> 1; r data -> 2`},
	} {
		t.Run(c.name, func(t *testing.T) {
			bench := newUARTBench(c.ticks)
			for step := range strings.SplitSeq(c.steps, ";") {
				step = strings.TrimSpace(step)
				if got := bench.do(step); got != step {
					t.Fatalf("got %q, want %q", got, strings.TrimSpace(step))
				}
			}
		})
	}
}

type uartBench struct {
	testClock
	uart *UART
	irq  int
	sent []string
}

func newUARTBench(ticks uint64) *uartBench {
	b := &uartBench{}
	b.uart = NewUART(UARTConfig{
		Clock: b, TicksPerChar: ticks,
		IRQ: LineFunc(func(level bool) {
			b.irq = 0
			if level {
				b.irq = 1
			}
		}),
		Output: func(c byte) { b.sent = append(b.sent, fmt.Sprintf("%x", c)) },
	})
	return b
}

// do performs a step and gives it back with its real answer.
func (b *uartBench) do(step string) string {
	registers := map[string]uint16{"data": 0, "ier": 1, "iir": 2, "lcr": 3, "mcr": 4, "lsr": 5, "msr": 6, "scr": 7}
	f := strings.Fields(step)
	number := func(s string, base int) uint64 {
		n, err := strconv.ParseUint(s, base, 64)
		if err != nil {
			panic(step)
		}
		return n
	}
	switch f[0] {
	case "w":
		b.uart.Out(0x3f8+registers[f[1]], 1, uint32(number(f[2], 16)))
	case "r":
		return fmt.Sprintf("r %s -> %x", f[1], b.uart.In(0x3f8+registers[f[1]], 1))
	case "in":
		b.uart.Receive(byte(number(f[1], 16)))
	case "wires":
		b.uart.SetModem(uint8(number(f[1], 16)))
	case "at":
		b.now = number(f[1], 10)
		b.uart.Advance(b.now)
	case "irq":
		return fmt.Sprintf("irq -> %d", b.irq)
	case "out":
		sent := b.sent
		b.sent = nil
		return strings.TrimSpace("out -> " + strings.Join(sent, " "))
	default:
		panic(step)
	}
	return step
}

// TestUARTPulsesForEachCharacter: an edge-triggered interrupt controller must
// see every THRE interrupt, even where sending takes no time.
func TestUARTPulsesForEachCharacter(t *testing.T) {
	edges := 0
	u := NewUART(UARTConfig{Clock: &testClock{}, IRQ: LineFunc(func(level bool) {
		if level {
			edges++
		}
	})})
	u.Out(uartMCR, 1, mcrOut2)
	u.Out(uartIER, 1, ierTransmit)
	u.Out(uartData, 1, 'a')
	u.Out(uartData, 1, 'b')
	if edges != 3 {
		t.Errorf("%d edges, want 3", edges)
	}
}

// TestUARTQueueIsBounded: outside input cannot use up memory.
func TestUARTQueueIsBounded(t *testing.T) {
	u := NewUART(UARTConfig{Clock: &testClock{}})
	n := 0
	for u.Receive('x') {
		n++
	}
	if n != maxInput+1 { // one is in the receiver
		t.Errorf("took %d bytes", n)
	}
}
