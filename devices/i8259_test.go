package devices

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// picInit is what a PC's kernels write: edge-triggered, vectors 0x20 and
// 0x28, cascade on 2, 8086 mode, nothing masked.
const picInit = `w 20 11; w 21 20; w 21 4; w 21 1; w a0 11; w a1 28; w a1 2; w a1 1; w 21 0; w a1 0;`

// TestPIC runs transcripts against the 8259A data sheet. The verbs: w PORT V,
// r PORT -> V, up and down IRQ, intr -> 0|1, ack -> VECTOR; all hexadecimal.
func TestPIC(t *testing.T) {
	for _, c := range []struct{ name, steps string }{
		{"a request and its end", picInit + `up 1; intr -> 1; ack -> 21; intr -> 0; down 1; w 20 20; intr -> 0`},
		{"the slave's vectors", picInit + `up c; intr -> 1; ack -> 2c; w a0 20; w 20 20; intr -> 0`},
		{"priority: lower numbers first", picInit + `up 5; up 3; ack -> 23; intr -> 0; w 20 20; ack -> 25`},
		{"fully nested: higher interrupts lower", picInit + `up 5; ack -> 25; up 3; intr -> 1; ack -> 23; up 4; intr -> 0; w 20 20; intr -> 1; ack -> 24`},
		{"the slave stands at the master's input 2", picInit + `up 3; ack -> 23; up 8; intr -> 1; ack -> 28; up 1; intr -> 1`},
		{"masked", picInit + `w 21 2; up 1; intr -> 0; r 20 -> 2; w 21 0; intr -> 1`},
		{"edge: once", picInit + `up 1; ack -> 21; w 20 20; intr -> 0; down 1; up 1; intr -> 1`},
		{"edge: gone before the acknowledge is the default IR7", picInit + `up 1; down 1; intr -> 0; ack -> 27; w 20 b; r 20 -> 0`},
		{"the slave's default is vector 2F", picInit + `up a; w a1 4; ack -> 27; w a1 0; ack -> 2a`},
		{"level by ELCR", picInit + `w 4d0 20; up 5; ack -> 25; w 20 20; intr -> 1; ack -> 25; down 5; w 20 20; intr -> 0`},
		{"ELCR keeps the PC's edge inputs", `w 4d0 ff; r 4d0 -> f8; w 4d1 ff; r 4d1 -> de`},
		{"level by ICW1", `w 20 1b; w 21 20; w 21 1; up 5; ack -> 25; w 20 20; intr -> 1`},
		{"specific EOI", picInit + `up 5; ack -> 25; up 3; ack -> 23; w 20 65; w 20 b; r 20 -> 8`},
		{"non-specific EOI ends the highest", picInit + `up 5; ack -> 25; up 3; ack -> 23; w 20 20; w 20 b; r 20 -> 20`},
		{"automatic EOI", `w 20 11; w 21 20; w 21 4; w 21 3; w 21 0; up 5; ack -> 25; w 20 b; r 20 -> 0; up 6; intr -> 1`},
		{"automatic EOI with rotation", `w 20 11; w 21 20; w 21 4; w 21 3; w 20 80; up 3; ack -> 23; up 5; down 3; up 3; ack -> 25`},
		{"rotation on EOI", picInit + `up 3; ack -> 23; w 20 a0; down 3; up 3; up 5; ack -> 25`},
		{"set priority", picInit + `w 20 c4; up 1; up 5; ack -> 25; intr -> 0; w 20 20; ack -> 21`},
		{"special mask mode lets lower ones in", picInit + `up 3; ack -> 23; up 5; intr -> 0; w 21 8; intr -> 0; w 20 68; intr -> 1; w 20 48; intr -> 0`},
		{"special fully nested mode: the slave interrupts itself", `
			w 20 11; w 21 20; w 21 4; w 21 11; w a0 11; w a1 28; w a1 2; w a1 1;
			up c; ack -> 2c; up 9; intr -> 1; ack -> 29`},
		{"without it the slave waits for the master's EOI", picInit + `up c; ack -> 2c; up 9; intr -> 0; w 20 20; intr -> 1`},
		{"poll", picInit + `up 5; w 20 c; r 20 -> 85; intr -> 0; w 20 c; r 20 -> 0; w 20 20; r 21 -> 0`},
		{"reading ISR and IRR", picInit + `up 5; r 20 -> 20; w 20 b; r 20 -> 0; ack -> 25; r 20 -> 20; w 20 a; r 20 -> 0`},
		{"initialization clears the mask and wants new edges", picInit + `w 21 ff; up 5; w 20 11; w 21 30; w 21 4; w 21 1; r 21 -> 0; intr -> 0; down 5; up 5; ack -> 35`},
		{"no interrupts in the middle of initialization", picInit + `w 20 11; up 5; intr -> 0; w 21 20; w 21 4; w 21 1; intr -> 1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			intr := 0
			p := NewPIC(LineFunc(func(level bool) {
				intr = 0
				if level {
					intr = 1
				}
			}))
			for step := range strings.SplitSeq(c.steps, ";") {
				step = strings.TrimSpace(step)
				f := strings.Fields(step)
				n := func(i int) uint64 {
					v, err := strconv.ParseUint(f[i], 16, 16)
					if err != nil {
						t.Fatal(err)
					}
					return v
				}
				got := step
				switch f[0] {
				case "w":
					p.Out(uint16(n(1)), 1, uint32(n(2)))
				case "r":
					got = fmt.Sprintf("r %s -> %x", f[1], p.In(uint16(n(1)), 1))
				case "up", "down":
					p.Line(int(n(1))).Set(f[0] == "up")
				case "intr":
					got = fmt.Sprintf("intr -> %d", intr)
				case "ack":
					got = fmt.Sprintf("ack -> %x", p.Ack())
				}
				if got != step {
					t.Fatalf("got %q, want %q", got, step)
				}
			}
		})
	}
}
