package devices

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// TestPITModes follows the timing diagrams of the 8254 data sheet (figures
// 15 to 20) on counter 2, a clock at a time: the counting element and OUT.
// The diagram of mode 3 with an odd count differs from the data sheet's text,
// which is what counts here. The verbs: cw V, w V, gate 0|1, clk STATES.
func TestPITModes(t *testing.T) {
	for _, c := range []struct{ name, steps string }{
		{"0: terminal count", `cw 90; w 4; clk 4L 3L 2L 1L 0H ffffH fffeH`},
		{"0: gate", `cw 90; w 3; clk 3L 2L; gate 0; clk 2L 2L; gate 1; clk 1L 0H ffffH`},
		{"0: loaded while the gate is low", `gate 0; cw 90; w 2; clk 2L 2L; gate 1; clk 1L 0H`},
		{"0: new count", `cw 90; w 3; clk 3L 2L 1L; w 2; clk 2L 1L 0H ffffH`},
		{"0: first byte of two stops it", `cw b0; w 3; w 0; clk 3L 2L; w 4; clk 2L 2L; w 0; clk 4L 3L`},
		{"1: one-shot", `gate 0; cw 92; w 3; clk 0H 0H; gate 1; clk 3L 2L 1L 0H ffffH; gate 0; gate 1; clk 3L 2L`},
		{"1: retrigger", `gate 0; cw 92; w 3; gate 1; clk 3L 2L; gate 0; gate 1; clk 3L 2L 1L 0H`},
		{"1: new count waits for the trigger", `gate 0; cw 92; w 2; gate 1; clk 2L; w 4; clk 1L 0H ffffH; gate 0; gate 1; clk 4L 3L`},
		{"2: rate generator", `cw 94; w 3; clk 3H 2H 1L 3H 2H 1L 3H`},
		{"2: gate", `cw 94; w 3; clk 3H 2H; gate 0; clk 2H 2H; gate 1; clk 3H 2H 1L 3H`},
		{"2: gate raises OUT", `cw 94; w 3; clk 3H 2H 1L; gate 0; clk 1H`},
		{"2: new count at the end of the period", `cw 94; w 4; clk 4H 3H; w 5; clk 2H 1L 5H 4H 3H 2H 1L 5H`},
		{"3: even", `cw 96; w 4; clk 4H 2H 4L 2L 4H 2H 4L 2L`},
		{"3: odd", `cw 96; w 5; clk 4H 2H 0H 4L 2L 4H 2H 0H 4L 2L`},
		{"3: gate", `cw 96; w 4; clk 4H 2H 4L; gate 0; clk 4H 4H; gate 1; clk 4H 2H 4L`},
		{"3: new count after the half-period", `cw 96; w 8; clk 8H 6H; w 4; clk 4H 2H 4L 2L 4H 2H 4L`},
		{"4: software strobe", `cw 98; w 3; clk 3H 2H 1H 0L ffffH fffeH`},
		{"4: gate", `gate 0; cw 98; w 3; clk 3H 3H; gate 1; clk 2H 1H 0L ffffH`},
		{"4: new count", `cw 98; w 3; clk 3H 2H; w 2; clk 2H 1H 0L`},
		{"5: hardware strobe", `gate 0; cw 9a; w 3; clk 0H; gate 1; clk 3H 2H 1H 0L ffffH; gate 0; gate 1; clk 3H`},
		{"5: retrigger", `gate 0; cw 9a; w 3; gate 1; clk 3H 2H; gate 0; gate 1; clk 3H 2H 1H 0L`},
		{"6 and 7 are 2 and 3", `cw 9c; w 2; clk 2H 1L 2H; cw 9e; w 2; clk 2H 2L 2H`},
		{"BCD", `cw b1; w 0; w 1; clk 100L 99L 98L`},
		{"BCD wraps to 9999", `cw 91; w 1; clk 1L 0H 9999H`},
		{"0 is the greatest count", `cw 94; w 0; clk 0H ffffH fffeH`},
		{"high byte only", `cw a4; w 1; clk 100H ffH`},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := &testClock{100}
			p := NewPIT(PITConfig{Clock: clock, TickHz: PITHz})
			p.Out(0x61, 1, 1)
			counter := &p.counters[2]
			for step := range strings.SplitSeq(c.steps, ";") {
				f := strings.Fields(step)
				n, _ := strconv.ParseUint(f[1], 16, 16)
				switch f[0] {
				case "cw":
					p.Out(0x43, 1, uint32(n))
				case "w":
					p.Out(0x42, 1, uint32(n))
				case "gate":
					p.Out(0x61, 1, uint32(n))
				case "clk":
					for _, want := range f[1:] {
						clock.now++
						out := "L"
						if p.In(0x61, 1)&0x20 != 0 {
							out = "H"
						}
						if got := fmt.Sprintf("%x%s", counter.element(clock.now), out); got != want {
							t.Fatalf("%s: got %s, want %s", step, got, want)
						}
					}
				}
			}
		})
	}
}

// TestPITRead: latches and read-back ("Read Operations" in the data sheet).
// Each step is "w PORT V", "r PORT -> V" or "at N".
func TestPITRead(t *testing.T) {
	for _, c := range []struct{ name, steps string }{
		{"low byte, then high", `w 43 34; w 40 34; w 40 12; at 1; r 40 -> 34; r 40 -> 12; r 40 -> 34`},
		{"counter latch", `w 43 34; w 40 34; w 40 12; at 1; w 43 0; at 5; r 40 -> 34; r 40 -> 12; r 40 -> 30`},
		{"a second latch is ignored until the first is read", `
			w 43 34; w 40 0; w 40 1; at 1; w 43 0; at 5; w 43 0; r 40 -> 0; r 40 -> 1; at 9; w 43 0; r 40 -> f8; r 40 -> 0`},
		{"programming drops the latch", `w 43 34; w 40 9; w 40 0; at 1; w 43 0; w 43 14; w 40 7; at 2; r 40 -> 7`},
		{"read-back of a count", `w 43 14; w 40 9; at 1; w 43 d2; at 3; r 40 -> 9; r 40 -> 7`},
		{"read-back of two counts", `w 43 14; w 43 54; w 40 9; w 41 8; at 1; w 43 d6; at 3; r 40 -> 9; r 41 -> 8`},
		{"status: null count, output, access, mode", `w 43 34; w 43 e2; r 40 -> f4; w 40 9; w 40 0; at 1; w 43 e2; r 40 -> b4`},
		{"status: BCD and mode 0's low output", `w 43 11; w 40 3; at 1; w 43 e2; r 40 -> 11; at 4; w 43 e2; r 40 -> 91`},
		{"status before count", `w 43 14; w 40 9; at 1; w 43 c2; at 2; r 40 -> 94; r 40 -> 9; r 40 -> 8`},
		{"the control word cannot be read", `w 43 34; r 43 -> ff`},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := &testClock{}
			p := NewPIT(PITConfig{Clock: clock, TickHz: PITHz})
			for step := range strings.SplitSeq(c.steps, ";") {
				step = strings.TrimSpace(step)
				var port, v uint64
				switch {
				case strings.HasPrefix(step, "at"):
					fmt.Sscanf(step, "at %d", &clock.now)
				case strings.HasPrefix(step, "w"):
					fmt.Sscanf(step, "w %x %x", &port, &v)
					p.Out(uint16(port), 1, uint32(v))
				default:
					fmt.Sscanf(step, "r %x", &port)
					if got := fmt.Sprintf("r %x -> %x", port, p.In(uint16(port), 1)); got != step {
						t.Fatalf("got %q, want %q", got, step)
					}
				}
			}
		})
	}
}

// TestPITInterrupts: IRQ 0 rises once a period, and in the long run exactly
// at the chip's frequency.
func TestPITInterrupts(t *testing.T) {
	for _, c := range []struct {
		name    string
		control uint32
		count   uint32
		want    int // rising edges in ten seconds
	}{
		{"mode 2, 100 Hz", 0x34, 11932, 999},
		{"mode 3, 100 Hz", 0x36, 11932, 999},
		{"mode 2, 1 kHz", 0x34, 1193, 10001},
		{"mode 3, slowest", 0x36, 0, 182},
		{"mode 0", 0x30, 11932, 1},
		{"mode 4", 0x38, 11932, 1},
		{"mode 2, a count of 1 never rises", 0x34, 1, 0},
		{"mode 1, never triggered", 0x32, 11932, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := &testClock{}
			edges := 0
			p := NewPIT(PITConfig{Clock: clock, IRQ: LineFunc(func(level bool) {
				if level {
					edges++
				}
			})})
			p.Out(0x43, 1, c.control)
			p.Out(0x40, 1, c.count&0xff)
			p.Out(0x40, 1, c.count>>8)
			edges = 0 // setting a mode may raise OUT
			for d := p.Deadline(); d <= 10*DefaultHz; d = p.Deadline() {
				clock.now = d
				p.Advance(d)
			}
			if edges != c.want {
				t.Errorf("%d edges, want %d", edges, c.want)
			}
		})
	}
}

// TestOscillator: the first tick of every edge is where the edge appears.
func TestOscillator(t *testing.T) {
	for _, o := range []oscillator{{PITHz, DefaultHz}, {rtcHz, DefaultHz}, {3, 7}, {7, 3}, {1, 1}} {
		for edge := range uint64(2000) {
			tick := o.tick(edge)
			if o.edge(tick) < edge || tick > 0 && o.edge(tick-1) >= edge {
				t.Fatalf("%v: edge %d is not first at tick %d", o, edge, tick)
			}
		}
	}
	if got := (oscillator{1, 1 << 40}).tick(1 << 40); got != Never {
		t.Errorf("overflow gives %#x", got)
	}
}
