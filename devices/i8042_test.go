package devices

import (
	"fmt"
	"strings"
	"testing"
)

// TestKeyboard runs transcripts against the PC AT Technical Reference. The
// verbs: w PORT V, r PORT -> V, key V, irq1 -> 0|1, log -> the rest that
// happened.
func TestKeyboard(t *testing.T) {
	for _, c := range []struct{ name, steps string }{
		{"as firmware leaves it", `r 64 -> 14; irq1 -> 0`},
		{"a key", `key 1e; irq1 -> 1; r 64 -> 15; r 60 -> 1e; irq1 -> 0; r 64 -> 14`},
		{"keys wait their turn", `key 1e; key 9e; r 60 -> 1e; irq1 -> 1; r 60 -> 9e; irq1 -> 0; r 60 -> 9e`},
		{"disabled by command", `w 64 ad; key 1e; r 64 -> 1c; w 64 ae; r 60 -> 1e`},
		{"polled", `w 64 60; w 60 44; key 1e; irq1 -> 0; r 64 -> 15; r 60 -> 1e`},
		{"command byte", `w 64 20; r 60 -> 45; w 64 60; w 60 47; w 64 20; r 60 -> 47`},
		{"self-test", `w 64 aa; r 64 -> 1d; r 60 -> 55`},
		{"test of the keyboard's wires", `w 64 ab; r 60 -> 0`},
		{"keyboard reset", `w 60 ff; r 60 -> fa; r 60 -> aa`},
		{"keyboard identity, translated", `w 60 f2; r 60 -> fa; r 60 -> ab; r 60 -> 41`},
		{"keyboard lights take an argument", `w 60 ed; r 60 -> fa; w 60 7; r 60 -> fa`},
		{"scanning off and on", `w 60 f5; r 60 -> fa; key 1e; r 64 -> 14; w 60 f4; r 60 -> fa; key 1e; r 60 -> 1e`},
		{"echo; unknown", `w 60 ee; r 60 -> ee; w 60 1; r 60 -> fe`},
		{"A20 by output port", `w 64 d1; w 60 1; log -> a20 false; w 64 d0; r 60 -> 1; w 64 d1; w 60 3; log -> a20 true`},
		{"A20 by command", `w 64 dd; log -> a20 false; w 64 df; log -> a20 true`},
		{"A20 by port 92", `w 64 dd; w 92 2; log -> a20 false a20 true; r 92 -> 2; w 64 df; w 92 0; log ->`},
		{"reset by pulse", `w 64 fe; log -> reset`},
		{"no pulse on bit 0", `w 64 ff; log ->`},
		{"reset by output port", `w 64 d1; w 60 2; log -> reset`},
		{"reset by port 92", `w 92 1; w 92 1; log -> reset`},
		{"output buffer by command", `w 64 d2; w 60 77; r 64 -> 15; r 60 -> 77`},
		{"mouse's by command", `w 64 d3; w 60 77; r 64 -> 35; irq1 -> 0; r 60 -> 77`},
	} {
		t.Run(c.name, func(t *testing.T) {
			irq := 0
			var log []string
			a20 := NewA20(func(open bool) { log = append(log, fmt.Sprintf("a20 %v", open)) })
			reset := func() { log = append(log, "reset") }
			k := NewKeyboard(KeyboardConfig{A20: a20, Reset: reset, IRQ1: LineFunc(func(level bool) {
				irq = 0
				if level {
					irq = 1
				}
			})})
			ports := &Ports{}
			ports.Map(0x60, 0x60, k)
			ports.Map(0x64, 0x64, k)
			ports.Map(0x92, 0x92, NewControlPortA(a20, reset))
			for step := range strings.SplitSeq(c.steps, ";") {
				step = strings.TrimSpace(step)
				got := step
				var port, v uint64
				switch strings.Fields(step)[0] {
				case "w":
					fmt.Sscanf(step, "w %x %x", &port, &v)
					ports.Out(uint16(port), 1, uint32(v))
				case "r":
					fmt.Sscanf(step, "r %x", &port)
					got = fmt.Sprintf("r %x -> %x", port, ports.In(uint16(port), 1))
				case "key":
					fmt.Sscanf(step, "key %x", &v)
					k.Key(byte(v))
				case "irq1":
					got = fmt.Sprintf("irq1 -> %d", irq)
				case "log":
					got = strings.TrimSpace("log -> " + strings.Join(log, " "))
					log = nil
				}
				if got != step {
					t.Fatalf("got %q, want %q", got, step)
				}
			}
		})
	}
}

// TestKeyboardQueueIsBounded: outside input cannot use up memory.
func TestKeyboardQueueIsBounded(t *testing.T) {
	k := NewKeyboard(KeyboardConfig{})
	n := 0
	for k.Key(1) {
		n++
	}
	for range 100 {
		k.Out(0x60, 1, 0xf2)
	}
	if len(k.queue) > maxKeys+16 || n != maxKeys+1 {
		t.Errorf("took %d keys, holds %d bytes", n, len(k.queue))
	}
}
