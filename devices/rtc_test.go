package devices

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestRTC runs transcripts against the MC146818A data sheet. The verbs: at
// SECONDS (and a fraction), w REG V, r REG -> V, date -> all of it, irq -> 0|1.
// It starts on 28 February 2000, 23:59:50, a Monday.
func TestRTC(t *testing.T) {
	for _, c := range []struct{ name, steps string }{
		{"the date, BCD and 24 hours", `date -> 20 00 02 28 2 23:59:50`},
		{"a leap day", `at 10; date -> 20 00 02 29 3 00:00:00; at 86410; date -> 20 00 03 01 4 00:00:00`},
		{"binary", `w b 6; w 32 14; w 9 0; w 8 2; w 7 1c; w 4 17; w 2 3b; w 0 32; r 4 -> 17; at 10; r 4 -> 0; r 7 -> 1d`},
		{"12 hours", `w b 0; w 4 91; at 10; r 4 -> 12; at 3610; r 4 -> 1; at 43210; r 4 -> 92; at 46810; r 4 -> 81`},
		{"the end of a century", `w b 80; w 9 99; w 8 12; w 7 31; w 32 19; w b 2; at 10; date -> 20 00 01 01 3 00:00:00`},
		{"stopped by SET", `w b 82; at 100; date -> 20 00 02 28 2 23:59:50; w b 2; at 101; date -> 20 00 02 28 2 23:59:51`},
		{"set while it runs", `at 0.7; w 0 20; r 0 -> 20; at 0.9; r 0 -> 20; at 1; r 0 -> 21`},
		{"no such date counts on", `w 8 2; w 7 30; r 8 -> 3; r 7 -> 1`},
		{"UIP 244 us before the update", `r a -> 26; at 0.9997; r a -> 26; at 0.9998; r a -> a6; at 1; r a -> 26`},
		{"divider held, then half a second", `w a 76; at 5; r 0 -> 50; w a 26; at 5.4; r 0 -> 50; at 5.5; r 0 -> 51; at 6.5; r 0 -> 52`},
		{"update interrupt", `w b 12; irq -> 0; at 1; irq -> 1; r c -> d0; irq -> 0; r c -> 0; at 2; irq -> 1`},
		{"flags without interrupts", `r c -> 0; at 1; irq -> 0; r c -> 50`},
		{"periodic at 1,024 Hz", `w b 42; at 0.0009; irq -> 0; at 0.001; irq -> 1; r c -> c0; irq -> 0; at 0.0019; irq -> 0; at 0.002; irq -> 1`},
		{"periodic at 2 Hz", `w a 2f; w b 42; at 0.499; irq -> 0; at 0.5; irq -> 1`},
		{"periodic off", `w a 20; w b 42; at 3; irq -> 0`},
		{"alarm", `w 1 55; w 3 59; w 5 23; w b 22; at 4.9; irq -> 0; at 5; irq -> 1; r c -> f0; at 86404; irq -> 0; at 86405; irq -> 1`},
		{"alarm every minute at 3 s", `w 1 3; w 3 ff; w 5 c0; w b 22; at 12; irq -> 0; at 13; irq -> 1; r c -> f0; at 73; irq -> 1`},
		{"alarm that never comes", `w 1 99; w 3 ff; w 5 ff; w b 22; at 200000; irq -> 0`},
		{"SET disables the update interrupt", `w b 92; r b -> 82`},
		{"C and D are read-only", `w c ff; r c -> 0; w d 0; r d -> 80`},
		{"memory", `w 40 5a; r 40 -> 5a; w 80 1; r 40 -> 5a`},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock, irq := &testClock{}, 0
			r := NewRTC(RTCConfig{
				Clock: clock, Start: time.Date(2000, 2, 28, 23, 59, 50, 0, time.UTC).Unix(),
				IRQ: LineFunc(func(level bool) {
					irq = 0
					if level {
						irq = 1
					}
				}),
			})
			read := func(i uint64) uint32 { r.Out(0x70, 1, uint32(i)); return r.In(0x71, 1) }
			for step := range strings.SplitSeq(c.steps, ";") {
				step = strings.TrimSpace(step)
				got := step
				var i, v uint64
				switch strings.Fields(step)[0] {
				case "at":
					var s float64
					fmt.Sscanf(step, "at %g", &s)
					end := uint64(s * float64(DefaultHz))
					for d := r.Deadline(); d <= end; d = r.Deadline() {
						clock.now = d
						r.Advance(d)
					}
					clock.now = end
				case "w":
					fmt.Sscanf(step, "w %x %x", &i, &v)
					r.Out(0x70, 1, uint32(i))
					r.Out(0x71, 1, uint32(v))
				case "r":
					fmt.Sscanf(step, "r %x", &i)
					got = fmt.Sprintf("r %x -> %x", i, read(i))
				case "irq":
					got = fmt.Sprintf("irq -> %d", irq)
				case "date":
					got = fmt.Sprintf("date -> %02x %02x %02x %02x %x %02x:%02x:%02x",
						read(0x32), read(9), read(8), read(7), read(6), read(4), read(2), read(0))
				}
				if got != step {
					t.Fatalf("got %q, want %q", got, step)
				}
			}
		})
	}
}

// TestRTCMemorySize: where firmware leaves it.
func TestRTCMemorySize(t *testing.T) {
	r := NewRTC(RTCConfig{Clock: &testClock{}})
	r.SetMemorySize(64 << 20)
	got := fmt.Sprintf("%x %x %x", r.memory[0x15:0x19], r.memory[0x30:0x32], r.memory[0x34:0x36])
	if want := "800200fc 00fc 0003"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r.SetMemorySize(1 << 19)
	if r.memory[0x30] != 0 || r.memory[0x31] != 0 {
		t.Error("half a megabyte has nothing above the first")
	}
}
