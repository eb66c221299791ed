package devices

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// newTestLAPIC is an APIC that firmware enabled, and what it told its
// processor.
func newTestLAPIC(cfg LAPICConfig) (*LAPIC, *testClock, *[]string) {
	clock, log := &testClock{}, &[]string{}
	cfg.Clock, cfg.CPU = clock, logCPU{log}
	a := NewLAPIC(cfg)
	a.WritePhysical(0xf0, 4, 0x1ff)
	return a, clock, log
}

func (a *LAPIC) mmio(off uint64) uint32 { return uint32(a.ReadPhysical(off, 4)) }

// TestLAPICReset: SDM Vol. 3A, 10.4.7.1 and table 10-1.
func TestLAPICReset(t *testing.T) {
	a := NewLAPIC(LAPICConfig{ID: 5, BSP: true, Clock: &testClock{}})
	for _, c := range []struct {
		name string
		off  uint64
		want uint32
	}{
		{"ID", 0x20, 5 << 24},
		{"version", 0x30, 0x50014},
		{"TPR", 0x80, 0},
		{"PPR", 0xa0, 0},
		{"LDR", 0xd0, 0},
		{"DFR", 0xe0, 0xffffffff},
		{"SVR", 0xf0, 0xff},
		{"ISR", 0x170, 0},
		{"IRR", 0x200, 0},
		{"ESR", 0x280, 0},
		{"ICR", 0x300, 0},
		{"timer", 0x320, 0x10000},
		{"thermal", 0x330, 0x10000},
		{"PMI", 0x340, 0x10000},
		{"LINT0", 0x350, 0x10000},
		{"LINT1", 0x360, 0x10000},
		{"error", 0x370, 0x10000},
		{"initial count", 0x380, 0},
		{"current count", 0x390, 0},
		{"divide", 0x3e0, 0},
	} {
		if got := a.mmio(c.off); got != c.want {
			t.Errorf("%s = %#x, want %#x", c.name, got, c.want)
		}
	}
	if got := a.APICBase(); got != 0xfee00900 {
		t.Errorf("IA32_APIC_BASE = %#x", got)
	}
}

// TestLAPICPriority: SDM Vol. 3A, 10.8.3. Each step is a verb; a verb that
// answers has its answer behind "->".
func TestLAPICPriority(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []string
	}{
		{"highest vector first", []string{
			"irq 31", "irq 41", "pending -> 41", "ack -> 41", "ppr -> 40", "pending -> none", "eoi", "pending -> 31"}},
		{"same class does not nest", []string{
			"irq 41", "ack -> 41", "irq 4f", "pending -> none", "eoi", "ack -> 4f"}},
		{"higher class nests", []string{
			"irq 41", "ack -> 41", "irq 51", "ack -> 51", "ppr -> 50", "eoi", "ppr -> 40", "eoi", "ppr -> 0"}},
		{"EOI ends the highest in service", []string{
			"irq 35", "ack -> 35", "irq 95", "ack -> 95", "eoi", "isr 95 -> 0", "isr 35 -> 1"}},
		{"EOI with nothing in service", []string{"eoi", "irq 31", "eoi", "pending -> 31"}},
		{"TPR blocks its class and below", []string{
			"irq 45", "tpr 40", "pending -> none", "tpr 3f", "pending -> 45"}},
		{"PPR is TPR when the classes are equal", []string{
			"irq 45", "ack -> 45", "tpr 47", "ppr -> 47", "tpr 37", "ppr -> 40"}},
		{"CR8 is TPR's class", []string{"cr8 4", "tpr -> 40", "tpr 57", "cr8 -> 5"}},
		{"one request and one in service per vector", []string{
			"irq 61", "ack -> 61", "irq 61", "irq 61", "eoi", "ack -> 61", "eoi", "pending -> none"}},
		{"spurious vector when the request is masked by TPR", []string{
			"irq 61", "tpr f0", "ack -> ff", "isr 61 -> 0", "tpr 0", "ack -> 61"}},
		{"vectors 16 to 31 are class 1", []string{"irq 10", "pending -> 10", "tpr 10", "pending -> none"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, _, _ := newTestLAPIC(LAPICConfig{})
			for _, step := range c.steps {
				if got := priorityVerb(a, step); got != step {
					t.Fatalf("got %q, want %q", got, step)
				}
			}
		})
	}
}

// priorityVerb performs a step and gives it back with its real answer.
func priorityVerb(a *LAPIC, step string) string {
	var verb string
	var arg uint64
	fmt.Sscanf(step, "%s %x", &verb, &arg)
	asked := slices.Contains([]string{"pending", "ack", "ppr"}, verb) || step == "tpr -> 40" || step == "cr8 -> 5"
	switch {
	case verb == "isr":
		return fmt.Sprintf("isr %x -> %d", arg, a.mmio(0x100+arg>>5<<4)>>(arg&31)&1)
	case asked:
		got := fmt.Sprintf("%x", map[string]func() uint64{
			"pending": func() uint64 { v, _ := a.Pending(); return uint64(v) },
			"ack":     func() uint64 { return uint64(a.Ack()) },
			"ppr":     func() uint64 { return uint64(a.mmio(0xa0)) },
			"tpr":     func() uint64 { return uint64(a.mmio(0x80)) },
			"cr8":     func() uint64 { return uint64(a.GetCR8()) },
		}[verb]())
		if _, ok := a.Pending(); verb == "pending" && !ok {
			got = "none"
		}
		return verb + " -> " + got
	}
	switch verb {
	case "irq":
		a.Deliver(Message{Mode: Fixed, Vector: uint8(arg)})
	case "eoi":
		a.WritePhysical(0xb0, 4, 0)
	case "tpr":
		a.WritePhysical(0x80, 4, arg)
	case "cr8":
		a.SetCR8(uint8(arg))
	}
	return step
}

// TestLAPICTimer: SDM Vol. 3A, 10.5.4. The log says when vector 0x40 came.
func TestLAPICTimer(t *testing.T) {
	const oneShot, periodic, masked = 0x40, 0x20040, 0x10000
	type write struct {
		at       uint64
		off, val uint64
	}
	for _, c := range []struct {
		name   string
		cfg    LAPICConfig
		writes []write
		want   []uint64
	}{
		{"one-shot divided by 2 after reset", LAPICConfig{}, []write{{10, 0x320, oneShot}, {10, 0x380, 100}}, []uint64{210}},
		{"one-shot divided by 1", LAPICConfig{}, []write{{0, 0x320, oneShot}, {0, 0x3e0, 0xb}, {0, 0x380, 100}}, []uint64{100}},
		{"one-shot divided by 128", LAPICConfig{}, []write{{0, 0x320, oneShot}, {0, 0x3e0, 0xa}, {0, 0x380, 3}}, []uint64{384}},
		{"input clock of 10 ticks", LAPICConfig{TimerDivider: 10}, []write{{0, 0x320, oneShot}, {0, 0x3e0, 0xb}, {0, 0x380, 7}}, []uint64{70}},
		{"periodic", LAPICConfig{}, []write{{0, 0x320, periodic}, {0, 0x3e0, 0xb}, {0, 0x380, 300}}, []uint64{300, 600, 900}},
		{"count of 0 stops", LAPICConfig{}, []write{{0, 0x320, periodic}, {0, 0x3e0, 0xb}, {0, 0x380, 300}, {650, 0x380, 0}}, []uint64{300, 600}},
		{"new count restarts", LAPICConfig{}, []write{{0, 0x320, oneShot}, {0, 0x3e0, 0xb}, {0, 0x380, 300}, {299, 0x380, 300}}, []uint64{599}},
		{"masked expiry is lost", LAPICConfig{}, []write{{0, 0x3e0, 0xb}, {0, 0x320, oneShot | masked}, {0, 0x380, 300}, {301, 0x320, oneShot}}, nil},
		{"periodic unmasked keeps its phase", LAPICConfig{}, []write{{0, 0x3e0, 0xb}, {0, 0x320, periodic | masked}, {0, 0x380, 300}, {700, 0x320, periodic}}, []uint64{900}},
		{"made periodic while counting", LAPICConfig{}, []write{{0, 0x3e0, 0xb}, {0, 0x320, oneShot}, {0, 0x380, 300}, {100, 0x320, periodic}}, []uint64{300, 600, 900}},
		{"divisor changed while counting", LAPICConfig{}, []write{{0, 0x3e0, 0xb}, {0, 0x320, oneShot}, {0, 0x380, 300}, {100, 0x3e0, 0}}, []uint64{500}},
		{"to TSC-deadline mode disarms", LAPICConfig{}, []write{{0, 0x3e0, 0xb}, {0, 0x320, oneShot}, {0, 0x380, 300}, {100, 0x320, 0x40040}, {101, 0x320, oneShot}}, nil},
		{"software disable masks", LAPICConfig{}, []write{{0, 0x3e0, 0xb}, {0, 0x320, oneShot}, {0, 0x380, 300}, {100, 0xf0, 0xff}, {200, 0xf0, 0x1ff}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, clock, _ := newTestLAPIC(c.cfg)
			var got []uint64
			until := func(end uint64) {
				for d := a.Deadline(); d <= end; d = a.Deadline() {
					clock.now = d
					a.Advance(d)
					if v, ok := a.Pending(); ok && v == 0x40 {
						got = append(got, d)
						a.Ack()
						a.WritePhysical(0xb0, 4, 0)
					}
				}
				clock.now = end
			}
			for _, w := range c.writes {
				until(w.at)
				a.WritePhysical(w.off, 4, w.val)
			}
			until(1000)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestLAPICCurrentCount: the count falls by one each input cycle, and a
// one-shot ends at 0.
func TestLAPICCurrentCount(t *testing.T) {
	a, clock, _ := newTestLAPIC(LAPICConfig{TimerDivider: 5})
	a.WritePhysical(0x320, 4, 0x10040)
	a.WritePhysical(0x3e0, 4, 0) // by 2: a count is 10 ticks
	a.WritePhysical(0x380, 4, 100)
	for _, c := range []struct{ at, want uint64 }{
		{0, 100}, {1, 100}, {9, 100}, {10, 99}, {500, 50}, {991, 1}, {999, 1}, {1000, 0}, {5000, 0},
	} {
		clock.now = c.at
		if got := uint64(a.mmio(0x390)); got != c.want {
			t.Errorf("at %d: %d, want %d", c.at, got, c.want)
		}
	}
	a.WritePhysical(0x320, 4, 0x30040)
	a.WritePhysical(0x380, 4, 100)
	clock.now += 1000 + 1000 + 10
	if got := a.mmio(0x390); got != 99 {
		t.Errorf("periodic in its third period: %d, want 99", got)
	}
}

// TestLAPICTSCDeadline: SDM Vol. 3A, 10.5.4.1.
func TestLAPICTSCDeadline(t *testing.T) {
	a, clock, _ := newTestLAPIC(LAPICConfig{})
	pending := func() bool { _, ok := a.Pending(); return ok }

	clock.now = 100
	a.SetTSCDeadline(500)
	if a.TSCDeadline() != 0 || a.Deadline() != Never {
		t.Error("a write outside TSC-deadline mode is ignored")
	}
	a.WritePhysical(0x320, 4, 0x40040)
	a.WritePhysical(0x380, 4, 7)
	if a.mmio(0x380) != 0 || a.mmio(0x390) != 0 {
		t.Error("the counts are out of use in TSC-deadline mode")
	}
	a.SetTSCDeadline(500)
	if a.Deadline() != 500 || a.TSCDeadline() != 500 {
		t.Errorf("armed: deadline %d, MSR %d", a.Deadline(), a.TSCDeadline())
	}
	a.SetTSCOffset(200) // the TSC reads 300 at tick 100
	if a.Deadline() != 300 {
		t.Errorf("with the TSC 200 ahead: deadline %d, want 300", a.Deadline())
	}
	clock.now = 300
	a.Advance(300)
	if !pending() || a.TSCDeadline() != 0 || a.Deadline() != Never {
		t.Error("it fires once and reads 0 then")
	}
	a.Ack()
	a.WritePhysical(0xb0, 4, 0)
	a.SetTSCDeadline(499)
	if !pending() {
		t.Error("a deadline already past fires at once")
	}
	a.Ack()
	a.WritePhysical(0xb0, 4, 0)
	a.SetTSCDeadline(1 << 40)
	a.SetTSCDeadline(0)
	if a.Deadline() != Never {
		t.Error("0 disarms")
	}
	a.SetTSCDeadline(^uint64(0))
	if d := a.Deadline(); d != ^uint64(0)-200 {
		t.Errorf("the end of time: deadline %#x", d)
	}
}

// TestLAPICErrors: SDM Vol. 3A, 10.5.3.
func TestLAPICErrors(t *testing.T) {
	a, _, _ := newTestLAPIC(LAPICConfig{})
	a.WritePhysical(0x370, 4, 0x33)
	taken := func() bool {
		_, ok := a.Pending()
		if ok {
			a.Ack()
			a.WritePhysical(0xb0, 4, 0)
		}
		return ok
	}
	esr := func() uint32 { a.WritePhysical(0x280, 4, 0); return a.mmio(0x280) }

	a.WritePhysical(0x300, 4, 0x4000f) // self, vector 15
	if a.mmio(0x280) != 0 {
		t.Error("ESR shows nothing before it is written")
	}
	if !taken() {
		t.Error("the error interrupts")
	}
	a.Deliver(Message{Vector: 3})
	if taken() {
		t.Error("the second error does not interrupt before ESR is written")
	}
	if got := esr(); got != 0x60 {
		t.Errorf("ESR = %#x, want send and receive illegal vector", got)
	}
	a.ReadPhysical(0x40, 4)
	if !taken() || esr() != 0x80 {
		t.Error("the write rearms; an illegal register address")
	}
	if esr() != 0 {
		t.Error("a write with no error since clears")
	}
	a.WritePhysical(0x370, 4, 0x03)
	a.ReadPhysical(0x40, 4) // the error's own vector is illegal: no recursion
	if got := esr(); got != 0xc0 {
		t.Errorf("ESR = %#x, want 0xc0", got)
	}
}

// TestLAPICLocalSources: SDM Vol. 3A, 10.5.1.
func TestLAPICLocalSources(t *testing.T) {
	for _, c := range []struct {
		name string
		off  uint64
		lvt  uint64
		act  func(a *LAPIC)
		want []string
	}{
		{"PMI fixed masks itself", 0x340, 0x51, func(a *LAPIC) { a.PerfOverflow() }, []string{"irq 0x51", "lvt 0x10051"}},
		{"PMI as NMI", 0x340, 0x400, func(a *LAPIC) { a.PerfOverflow() }, []string{"nmi", "lvt 0x10400"}},
		{"PMI masked", 0x340, 0x10400, func(a *LAPIC) { a.PerfOverflow() }, []string{"lvt 0x10400"}},
		{"thermal as SMI", 0x330, 0x200, func(a *LAPIC) { a.Thermal() }, []string{"smi", "lvt 0x200"}},
		{"CMCI fixed", 0x2f0, 0x52, func(a *LAPIC) { a.CMCI() }, []string{"irq 0x52", "lvt 0x52"}},
		{"LINT1 as NMI", 0x360, 0x400, func(a *LAPIC) { a.LINT(1).Set(true); a.LINT(1).Set(true) }, []string{"nmi", "lvt 0x400"}},
		{"LINT0 fixed, edge", 0x350, 0x53, func(a *LAPIC) { a.LINT(0).Set(true) }, []string{"irq 0x53", "lvt 0x53"}},
		{"LINT0 fixed, level", 0x350, 0x8053, func(a *LAPIC) { a.LINT(0).Set(true) }, []string{"irq 0x53", "lvt 0xc053"}},
		{"LINT0 active low", 0x350, 0x2053, func(a *LAPIC) { a.LINT(0).Set(true); a.LINT(0).Set(false) },
			[]string{"irq 0x53", "irq 0x53", "lvt 0x2053"}},
		{"LINT0 as ExtINT", 0x350, 0x700, func(a *LAPIC) { a.LINT(0).Set(true); a.LINT(0).Set(false) },
			[]string{"extint true", "extint false", "lvt 0x700"}},
		{"LINT0 as INIT", 0x350, 0x500, func(a *LAPIC) { a.LINT(0).Set(true) }, []string{"init", "lvt 0x500"}},
		{"reserved bits", 0x320, 0xffffffff, func(*LAPIC) {}, []string{"lvt 0x700ff"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, _, log := newTestLAPIC(LAPICConfig{CMCI: true})
			take := func() {
				if _, ok := a.Pending(); ok {
					*log = append(*log, fmt.Sprintf("irq %#x", a.Ack()))
				}
			}
			a.WritePhysical(c.off, 4, c.lvt)
			take() // active low begins active
			if len(*log) != 0 {
				a.WritePhysical(0xb0, 4, 0)
			}
			c.act(a)
			take()
			*log = append(*log, fmt.Sprintf("lvt %#x", a.mmio(c.off)))
			if diff := cmp.Diff(c.want, *log); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestLAPICLevelLINT0: a level-triggered pin requests again after its EOI for
// as long as it is active.
func TestLAPICLevelLINT0(t *testing.T) {
	a, _, _ := newTestLAPIC(LAPICConfig{})
	pending := func() bool { _, ok := a.Pending(); return ok }
	a.WritePhysical(0x350, 4, 0x8053)
	a.LINT(0).Set(true)
	a.Ack()
	if a.mmio(0x1a0)>>(0x53&31)&1 != 1 {
		t.Error("TMR is set for a level-triggered interrupt")
	}
	if pending() {
		t.Error("no new request while in service")
	}
	a.WritePhysical(0xb0, 4, 0)
	if !pending() {
		t.Error("still active after EOI: requested again")
	}
	a.Ack()
	a.LINT(0).Set(false)
	a.WritePhysical(0xb0, 4, 0)
	if pending() || a.mmio(0x350) != 0x8053 {
		t.Error("released: EOI ends it and clears remote IRR")
	}
}

// eoiLog notes EOI broadcasts.
type eoiLog []uint8

func (l *eoiLog) EOI(v uint8) { *l = append(*l, v) }

// TestLAPICEOIBroadcast: SDM Vol. 3A, 10.8.5.
func TestLAPICEOIBroadcast(t *testing.T) {
	for _, c := range []struct {
		name  string
		svr   uint64
		level bool
		want  eoiLog
	}{
		{"level", 0x1ff, true, eoiLog{0x61}},
		{"edge", 0x1ff, false, nil},
		{"suppressed", 0x11ff, true, nil},
	} {
		bus, log := &APICBus{}, new(eoiLog)
		a, _, _ := newTestLAPIC(LAPICConfig{SuppressEOI: true, Bus: bus})
		bus.Attach(a)
		bus.Listen(log)
		a.WritePhysical(0xf0, 4, c.svr)
		bus.Send(nil, Message{Vector: 0x61, Level: c.level})
		a.Ack()
		a.WritePhysical(0xb0, 4, 0)
		if diff := cmp.Diff(c.want, *log); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// TestIPI: who gets what. Three xAPIC processors with IDs 0 to 2 and logical
// IDs 1, 2, 4; processor 0 sends.
func TestIPI(t *testing.T) {
	for _, c := range []struct {
		name      string
		high, low uint64
		want      [3]string
	}{
		{"physical", 1 << 24, 0x40, [3]string{"", "40", ""}},
		{"physical broadcast", 0xff << 24, 0x40, [3]string{"40", "40", "40"}},
		{"physical nobody", 9 << 24, 0x40, [3]string{}},
		{"flat logical", 6 << 24, 0x840, [3]string{"", "40", "40"}},
		{"self", 0, 0x40040, [3]string{"40", "", ""}},
		{"all including self", 0, 0x80040, [3]string{"40", "40", "40"}},
		{"all excluding self", 0, 0xc0040, [3]string{"", "40", "40"}},
		{"lowest priority is processor 2", 7 << 24, 0x940, [3]string{"", "", "40"}},
		{"NMI", 2 << 24, 0x400, [3]string{"", "", "nmi"}},
		{"INIT", 0, 0xc4500, [3]string{"", "init", "init"}},
		{"INIT de-assert does nothing", 0, 0xc8500, [3]string{}},
		{"start-up", 2 << 24, 0x4608, [3]string{"", "", "startup 0x8"}},
		{"SMI", 2 << 24, 0x200, [3]string{"", "", "smi"}},
		{"reserved mode", 2 << 24, 0x340, [3]string{}},
		{"NMI to self by shorthand is invalid", 0, 0x44400, [3]string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bus := &APICBus{}
			var apics [3]*LAPIC
			var logs [3]*[]string
			for i := range apics {
				apics[i], _, logs[i] = newTestLAPIC(LAPICConfig{ID: uint32(i), Bus: bus})
				bus.Attach(apics[i])
				apics[i].WritePhysical(0xd0, 4, 1<<(24+i))
				apics[i].SetTPR(uint8(0x30 - 0x10*i))
			}
			apics[0].WritePhysical(0x310, 4, c.high)
			apics[0].WritePhysical(0x300, 4, c.low)
			var got [3]string
			for i, a := range apics {
				if v := a.irr.highest(); v != 0 {
					got[i] = fmt.Sprintf("%x", v)
				}
				for _, s := range *logs[i] {
					got[i] += s
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestAccepts: logical destinations. SDM Vol. 3A, 10.6.2.2 and 10.12.10.1.
func TestAccepts(t *testing.T) {
	for _, c := range []struct {
		name        string
		x2          bool
		dfr, ldr    uint64
		destination uint32
		want        bool
	}{
		{"flat, one bit", false, 0xf << 28, 0x14 << 24, 0x10, true},
		{"flat, none", false, 0xf << 28, 0x14 << 24, 0x0b, false},
		{"cluster, same", false, 0, 0x24 << 24, 0x26, true},
		{"cluster, other", false, 0, 0x24 << 24, 0x36, false},
		{"cluster, other member", false, 0, 0x24 << 24, 0x2b, false},
		{"cluster, broadcast", false, 0, 0x24 << 24, 0xf4, true},
		{"x2APIC, ID 0x23 is bit 3 of cluster 2", true, 0, 0, 0x20008, true},
		{"x2APIC, other cluster", true, 0, 0, 0x30008, false},
		{"x2APIC, other member", true, 0, 0, 0x20004, false},
		{"x2APIC, broadcast", true, 0, 0, 0xffffffff, true},
	} {
		a, _, _ := newTestLAPIC(LAPICConfig{ID: 0x23})
		a.WritePhysical(0xe0, 4, c.dfr)
		a.WritePhysical(0xd0, 4, c.ldr)
		if c.x2 {
			a.SetAPICBase(0xfee00c00)
		}
		if got := a.Accepts(Message{Logical: true, Destination: c.destination}); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestAPICBaseModes: SDM Vol. 3A, figure 10-27. Modes by their bits EN, EXTD.
func TestAPICBaseModes(t *testing.T) {
	const disabled, invalid, xapic, x2apic = 0, 0x400, 0x800, 0xc00
	ways := map[uint64][]uint64{disabled: {}, xapic: {xapic}, x2apic: {xapic, x2apic}}
	for _, c := range []struct {
		from, to uint64
		ok       bool
	}{
		{disabled, disabled, true}, {disabled, xapic, true}, {disabled, x2apic, false}, {disabled, invalid, false},
		{xapic, disabled, true}, {xapic, xapic, true}, {xapic, x2apic, true}, {xapic, invalid, false},
		{x2apic, disabled, true}, {x2apic, xapic, false}, {x2apic, x2apic, true}, {x2apic, invalid, false},
	} {
		a := NewLAPIC(LAPICConfig{Clock: &testClock{}})
		a.SetAPICBase(0xfee00000)
		for _, mode := range ways[c.from] {
			if !a.SetAPICBase(0xfee00000 | mode) {
				t.Fatalf("cannot reach %#x", c.from)
			}
		}
		if got := a.WriteMSR(0x1b, 0xfee00000|c.to); got != c.ok {
			t.Errorf("from %#x to %#x: %v, want %v", c.from, c.to, got, c.ok)
		}
	}
	a := NewLAPIC(LAPICConfig{Clock: &testClock{}, NoX2APIC: true, PhysicalBits: 36})
	for _, v := range []uint64{0xfee00c00, 0xfee00801, 0xfee00a00, 1<<36 | 0x800} {
		if a.SetAPICBase(v) {
			t.Errorf("%#x has reserved bits", v)
		}
	}
}

// TestAPICBaseRelocates: the board learns where the page is.
func TestAPICBaseRelocates(t *testing.T) {
	var log []string
	a := NewLAPIC(LAPICConfig{Clock: &testClock{}, BaseChanged: func(base uint64, mapped bool) {
		log = append(log, fmt.Sprintf("%#x %v", base, mapped))
	}})
	a.SetAPICBase(0xfed00800)
	a.SetAPICBase(0xfed00c00)
	a.SetAPICBase(0xfed00000)
	a.Reset()
	want := []string{"0xfed00000 true", "0xfed00000 false", "0xfed00000 false", "0xfee00000 true"}
	if diff := cmp.Diff(want, log); diff != "" {
		t.Error(diff)
	}
}

// TestX2APICMSRs: SDM Vol. 3A, table 10-6 and 10.12.1.3: what is absent,
// read-only, write-only or reserved is #GP.
func TestX2APICMSRs(t *testing.T) {
	type access struct {
		msr   uint32
		write bool
		v     uint64
		ok    bool
	}
	r := func(msr uint32, v uint64) access { return access{msr, false, v, true} }
	rGP := func(msr uint32) access { return access{msr, false, 0, false} }
	w := func(msr uint32, v uint64) access { return access{msr, true, v, true} }
	wGP := func(msr uint32, v uint64) access { return access{msr, true, v, false} }

	a, _, _ := newTestLAPIC(LAPICConfig{ID: 0x123})
	if _, ok := a.ReadMSR(0x802); ok {
		t.Error("no MSRs in xAPIC mode")
	}
	a.SetAPICBase(0xfee00c00)
	if got := a.ReadPhysical(0x20, 4); got != 0xffffffff {
		t.Errorf("no page in x2APIC mode, reads %#x", got)
	}
	for _, c := range []access{
		r(0x802, 0x123), wGP(0x802, 1),
		r(0x803, 0x50014), wGP(0x803, 0),
		w(0x808, 0x20), r(0x808, 0x20), wGP(0x808, 0x100), w(0x808, 0),
		rGP(0x809), r(0x80a, 0), wGP(0x80a, 0),
		rGP(0x80b), w(0x80b, 0), wGP(0x80b, 1),
		r(0x80d, 0x120008), wGP(0x80d, 0), rGP(0x80e), wGP(0x80e, 0),
		r(0x80f, 0x1ff), w(0x80f, 0x1fe), wGP(0x80f, 0x1000), wGP(0x80f, 1<<32),
		r(0x810, 0), wGP(0x817, 0), r(0x827, 0),
		r(0x828, 0), w(0x828, 0), wGP(0x828, 1),
		rGP(0x829), wGP(0x82e, 0), rGP(0x82f), wGP(0x82f, 0),
		w(0x830, 0x123_00000041), r(0x830, 0x123_00000041), r(0x822, 2), wGP(0x830, 1<<13), wGP(0x830, 1<<20),
		rGP(0x831), wGP(0x831, 0),
		w(0x832, 0x40040), r(0x832, 0x40040), wGP(0x832, 0x80040), wGP(0x832, 0x140),
		w(0x835, 0x8700), wGP(0x835, 0x20000), w(0x837, 0x33),
		w(0x832, 0x10040), w(0x838, 100), r(0x838, 100), r(0x839, 100), wGP(0x839, 0), wGP(0x838, 1<<32),
		w(0x83e, 0xb), wGP(0x83e, 4), r(0x83e, 0xb),
		rGP(0x83f), w(0x83f, 0x51), wGP(0x83f, 0x100), r(0x822, 0x20002),
		rGP(0x83d), rGP(0x840), rGP(0x7ff),
	} {
		if c.write {
			if ok := a.WriteMSR(c.msr, c.v); ok != c.ok {
				t.Errorf("WRMSR %#x = %#x: %v, want %v", c.msr, c.v, ok, c.ok)
			}
			continue
		}
		if v, ok := a.ReadMSR(c.msr); v != c.v || ok != c.ok {
			t.Errorf("RDMSR %#x: %#x, %v, want %#x, %v", c.msr, v, ok, c.v, c.ok)
		}
	}
}

// TestLAPICDisabled: without its APIC the processor has the pins INTR and
// NMI, and loses the registers.
func TestLAPICDisabled(t *testing.T) {
	a, _, log := newTestLAPIC(LAPICConfig{})
	a.Deliver(Message{Vector: 0x50})
	a.SetAPICBase(0xfee00000)
	a.LINT(0).Set(true)
	a.LINT(1).Set(true)
	if _, ok := a.Pending(); ok {
		t.Error("IRR is lost")
	}
	a.SetAPICBase(0xfee00800)
	if got := a.mmio(0xf0); got != 0xff {
		t.Errorf("SVR = %#x after enabling again", got)
	}
	if diff := cmp.Diff([]string{"extint true", "nmi", "extint false"}, *log); diff != "" {
		t.Error(diff)
	}
}

// TestLAPICSoftwareDisabled: SDM Vol. 3A, 10.4.7.2.
func TestLAPICSoftwareDisabled(t *testing.T) {
	a, _, log := newTestLAPIC(LAPICConfig{})
	a.WritePhysical(0x370, 4, 0x33)
	a.Deliver(Message{Vector: 0x50})
	a.WritePhysical(0xf0, 4, 0xff)
	a.Deliver(Message{Vector: 0x60})
	a.Deliver(Message{Mode: NMI})
	a.WritePhysical(0x370, 4, 0x33)
	if got := a.mmio(0x370); got != 0x10033 {
		t.Errorf("LVT error = %#x: the mask stays set", got)
	}
	if v, ok := a.Pending(); !ok || v != 0x50 {
		t.Errorf("pending %#x, %v: held, not lost; nothing new", v, ok)
	}
	if diff := cmp.Diff([]string{"nmi"}, *log); diff != "" {
		t.Error(diff)
	}
}

// TestVirtualWire: an 8259's request reaches the processor as firmware
// leaves the APIC.
func TestVirtualWire(t *testing.T) {
	a, _, log := newTestLAPIC(LAPICConfig{})
	a.VirtualWire()
	a.LINT(0).Set(true)
	a.LINT(0).Set(false)
	a.Deliver(Message{Mode: ExtINT})
	a.AckExtINT()
	want := []string{"extint true", "extint false", "extint true", "extint false"}
	if diff := cmp.Diff(want, *log); diff != "" {
		t.Error(diff)
	}
}
