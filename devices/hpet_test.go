package devices

import (
	"fmt"
	"strings"
	"testing"
)

// TestHPET runs transcripts against the IA-PC HPET specification 1.0a. The
// verbs: w OFF V (64 bits), w4 (32 bits), r OFF -> V, at N (edges of its own
// clock), log -> what the lines did.
func TestHPET(t *testing.T) {
	for _, c := range []struct{ name, steps string }{
		{"capabilities", `r 0 -> 9896808086a201; r 100 -> f0000000000030`},
		{"halted, it stands", `at 100; r f0 -> 0; w 10 1; at 150; r f0 -> 32; w 10 0; at 200; r f0 -> 32`},
		{"the counter can be set", `w f0 1000; w 10 1; at 16; r f0 -> 1010; r f4 -> 0`},
		{"one-shot, edge", `w 100 2804; w 108 64; w 10 1; at 99; log ->; at 100; log -> pin20+ pin20-; at 500; log ->`},
		{"one-shot, level, until its status is cleared", `
			w 100 2806; w 108 64; w 10 1; at 100; log -> pin20+; r 20 -> 1; w 20 2; log ->; w 20 1; log -> pin20-; r 20 -> 0`},
		{"a disabled level timer sets its status", `w 100 2802; w 108 64; w 10 1; at 100; log ->; r 20 -> 1; w 100 2806; log -> pin20+`},
		{"periodic", `
			w 100 284c; w 108 64; w 108 32; w 10 1; at 100; log -> pin20+ pin20-; r 108 -> 96; at 149; log ->;
			at 150; log -> pin20+ pin20-; at 200; log -> pin20+ pin20-; r 100 -> f000000000283c`},
		{"a comparator already passed waits for the wrap", `w 10 1; at 100; w 100 2804; w 108 32; at 100000; log ->`},
		{"32 bits wrap", `w 100 2904; w4 108 10; w f0 fffffff0; w 10 1; at 31; log ->; at 32; log -> pin20+ pin20-; r f0 -> 100000010`},
		{"legacy replacement", `w 100 2804; w 120 4; w 108 a; w 128 14; w 10 3; at 10; log -> legacy0+ legacy0-; at 20; log -> legacy1+ legacy1-`},
		{"a pin that is not routed", `w 100 0a04; w 108 64; w 10 1; at 100; log ->`},
		{"64-bit registers by halves", `w4 108 11112222; w4 10c 33334444; r 108 -> 3333444411112222`},
		{"registers that are not there", `w 160 1; r 160 -> 0; r 30 -> 0; r 118 -> 0`},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := &testClock{}
			var log []string
			line := func(name string) Line {
				return LineFunc(func(level bool) {
					if level {
						log = append(log, name+"+")
					} else {
						log = append(log, name+"-")
					}
				})
			}
			h := NewHPET(HPETConfig{
				Clock: clock, TickHz: hpetHz,
				Pin:    func(n int) Line { return line(fmt.Sprint("pin", n)) },
				Legacy: [2]Line{line("legacy0"), line("legacy1")},
			})
			for step := range strings.SplitSeq(c.steps, ";") {
				step = strings.TrimSpace(step)
				got := step
				var off, v uint64
				switch strings.Fields(step)[0] {
				case "w":
					fmt.Sscanf(step, "w %x %x", &off, &v)
					h.WritePhysical(off, 8, v)
				case "w4":
					fmt.Sscanf(step, "w4 %x %x", &off, &v)
					h.WritePhysical(off, 4, v)
				case "r":
					fmt.Sscanf(step, "r %x", &off)
					size := 8
					if off&4 != 0 {
						size = 4
					}
					got = fmt.Sprintf("r %x -> %x", off, h.ReadPhysical(off, size))
				case "at":
					fmt.Sscanf(step, "at %d", &v)
					for d := h.Deadline(); d <= v; d = h.Deadline() {
						clock.now = d
						h.Advance(d)
					}
					clock.now = v
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

// TestHPETBehind: PIT and RTC lose their wires in legacy replacement mode.
func TestHPETBehind(t *testing.T) {
	up := 0
	h := NewHPET(HPETConfig{Clock: &testClock{}})
	l := h.Behind(LineFunc(func(level bool) {
		if level {
			up++
		}
	}))
	l.Set(true)
	h.WritePhysical(0x10, 4, hpetLegacy)
	l.Set(true)
	if up != 1 {
		t.Errorf("%d edges, want 1", up)
	}
}
