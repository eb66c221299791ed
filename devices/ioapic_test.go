package devices

import (
	"fmt"
	"strings"
	"testing"
)

// TestIOAPIC runs transcripts against the 82093AA data sheet, on pin 5. The
// verbs: rte V, up, down, ack -> VECTOR or none, eoi, irr -> 0|1 (the remote
// IRR flag).
func TestIOAPIC(t *testing.T) {
	for _, c := range []struct {
		name      string
		activeLow uint32
		steps     string
	}{
		{"masked after reset", 0, `up; ack -> none`},
		{"edge", 0, `rte 45; up; ack -> 45; eoi; ack -> none; down; up; ack -> 45`},
		{"an edge at a masked pin is lost", 0, `rte 10045; up; rte 45; ack -> none`},
		{"level", 0, `rte 8045; up; irr -> 1; ack -> 45; irr -> 1; eoi; ack -> 45; down; eoi; ack -> none; irr -> 0`},
		{"a level that ends before it is taken", 0, `rte 8045; up; down; ack -> 45; eoi; ack -> none; irr -> 0`},
		{"a level at a masked pin waits", 0, `rte 18045; up; ack -> none; rte 8045; ack -> 45`},
		{"made edge-triggered it forgets", 0, `rte 8045; up; irr -> 1; rte 10045; irr -> 0`},
		{"lowest priority", 0, `rte 145; up; ack -> 45`},
		{"logical destination", 0, `rte 0100000000000845; up; ack -> 45`},
		{"nobody's destination", 0, `rte 0700000000000045; up; ack -> none`},
		{"broadcast", 0, `rte ff00000000000045; up; ack -> 45`},
		{"NMI", 0, `rte 400; up; ack -> nmi`},
		{"ExtINT", 0, `rte 700; up; ack -> extint true`},
		{"polarity that does not suit the wire", 0, `rte a045; ack -> 45; eoi; ack -> 45; up; eoi; ack -> none`},
		{"a wire that is active low", 0x20, `rte a045; ack -> none; up; ack -> 45; down; eoi; ack -> none`},
	} {
		t.Run(c.name, func(t *testing.T) {
			bus := &APICBus{}
			local, _, log := newTestLAPIC(LAPICConfig{Bus: bus})
			local.WritePhysical(0xd0, 4, 1<<24)
			bus.Attach(local)
			a := NewIOAPIC(IOAPICConfig{Bus: bus, ActiveLow: c.activeLow})
			bus.Listen(a)
			for step := range strings.SplitSeq(c.steps, ";") {
				step = strings.TrimSpace(step)
				got, verb := step, strings.Fields(step)[0]
				switch verb {
				case "rte":
					var v uint64
					fmt.Sscanf(step, "rte %x", &v)
					a.WritePhysical(0, 4, 0x1b)
					a.WritePhysical(0x10, 4, v>>32)
					a.WritePhysical(0, 4, 0x1a)
					a.WritePhysical(0x10, 4, v)
				case "up", "down":
					a.Pin(5).Set(verb == "up")
				case "eoi":
					local.WritePhysical(0xb0, 4, 0)
				case "irr":
					got = fmt.Sprintf("irr -> %d", a.ReadPhysical(0x10, 4)>>14&1)
				case "ack":
					got = "ack -> none"
					if _, ok := local.Pending(); ok {
						got = fmt.Sprintf("ack -> %x", local.Ack())
					} else if len(*log) != 0 {
						got = "ack -> " + strings.Join(*log, " ")
					}
				}
				if got != step {
					t.Fatalf("got %q, want %q", got, step)
				}
			}
		})
	}
}

// TestIOAPICRegisters: the index, identification and what cannot be written.
func TestIOAPICRegisters(t *testing.T) {
	a := NewIOAPIC(IOAPICConfig{ID: 2})
	for _, c := range []struct {
		index       uint64
		write, want uint64
	}{
		{0x00, 0xf300_0000, 0x0300_0000},
		{0x01, 0xffff_ffff, 0x0017_0020},
		{0x10, 0xffff_ffff, 0x0001_afff},
		{0x11, 0xffff_ffff, 0xff00_0000},
		{0x3f, 0x1200_0000, 0x1200_0000},
		{0x40, 0xffff_ffff, 0},
		{0xff, 0xffff_ffff, 0},
	} {
		a.WritePhysical(0, 1, c.index)
		a.WritePhysical(0x10, 4, c.write)
		if got := a.ReadPhysical(0x10, 4); got != c.want {
			t.Errorf("register %#x reads %#x, want %#x", c.index, got, c.want)
		}
		if got := a.ReadPhysical(0, 4); got != c.index {
			t.Errorf("IOREGSEL reads %#x, want %#x", got, c.index)
		}
	}
}

// TestIOAPICEOIRegister: for those who suppress the broadcast.
func TestIOAPICEOIRegister(t *testing.T) {
	a := NewIOAPIC(IOAPICConfig{})
	a.WritePhysical(0, 4, 0x10)
	a.WritePhysical(0x10, 4, 0x8061)
	a.Pin(0).Set(true)
	a.Pin(0).Set(false)
	if got := a.ReadPhysical(0x10, 4); got != 0xc061 {
		t.Fatalf("entry reads %#x", got)
	}
	a.WritePhysical(0x40, 4, 0x60)
	a.WritePhysical(0x40, 4, 0x61)
	if got := a.ReadPhysical(0x10, 4); got != 0x8061 {
		t.Errorf("entry reads %#x after EOI", got)
	}
}
