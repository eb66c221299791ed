package devices

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/flipvisor/flipvisor/internal/state"
)

// testClock is a count that the test moves.
type testClock struct{ now uint64 }

func (c *testClock) Now() uint64 { return c.now }

// logCPU writes down what reaches the processor.
type logCPU struct{ log *[]string }

func (c logCPU) NMI()            { *c.log = append(*c.log, "nmi") }
func (c logCPU) SMI()            { *c.log = append(*c.log, "smi") }
func (c logCPU) Init()           { *c.log = append(*c.log, "init") }
func (c logCPU) Startup(v uint8) { *c.log = append(*c.log, fmt.Sprintf("startup %#x", v)) }
func (c logCPU) ExtINT(l bool)   { *c.log = append(*c.log, fmt.Sprintf("extint %v", l)) }

// rig is a device with everything that it touches, for the tests that hold
// for every device.
type rig struct {
	testClock
	part state.Part
	log  []string // what came out of the device, in order

	// actions are everything that can be done to it. They get a number to
	// do it with and give what the device answered.
	actions []func(arg uint64) uint64
}

func (r *rig) note(format string, args ...any) { r.log = append(r.log, fmt.Sprintf(format, args...)) }

// line is a wire that notes its changes.
func (r *rig) line(name string) Line {
	return LineFunc(func(level bool) { r.note("%s=%v", name, level) })
}

// ports adds the actions of a port device. Three bits of the argument choose
// the port, the rest is the value.
func (r *rig) ports(d PortDevice, ports ...uint16) {
	bus := &Ports{}
	slices.Sort(ports)
	bus.Map(ports[0], ports[len(ports)-1], d)
	pick := func(arg uint64) (uint16, int) {
		return ports[arg%uint64(len(ports))], 1 << (arg >> 8 % 3)
	}
	read := func(arg uint64) uint64 { p, size := pick(arg); return uint64(bus.In(p, size)) }
	write := func(arg uint64) uint64 { p, _ := pick(arg); bus.Out(p, 1, uint32(arg>>16)); return 0 }
	wide := func(arg uint64) uint64 { p, size := pick(arg); bus.Out(p, size, uint32(arg>>16)); return 0 }
	r.actions = append(r.actions, read, write, write, wide)
}

// memory adds the actions of a memory-mapped device.
func (r *rig) memory(d interface {
	ReadPhysical(off uint64, size int) uint64
	WritePhysical(off uint64, size int, v uint64)
}, offsets ...uint64) {
	pick := func(arg uint64) uint64 { return offsets[arg%uint64(len(offsets))] }
	r.actions = append(r.actions,
		func(arg uint64) uint64 { return d.ReadPhysical(pick(arg), 1<<(arg>>8&3)) },
		func(arg uint64) uint64 { d.WritePhysical(pick(arg), 4, arg>>16); return 0 },
		func(arg uint64) uint64 { d.WritePhysical(pick(arg), 4, arg>>16); return 0 },
		func(arg uint64) uint64 { d.WritePhysical(pick(arg)+arg>>12&7, 1<<(arg>>8&3), arg>>16); return 0 },
	)
}

// do performs action number n after some time, and what falls due before it
// exactly as a board would: at each deadline, in order.
func (r *rig) do(t testing.TB, n, arg uint64) {
	wait := arg & 15
	if n&0x80 != 0 { // now and then a long time
		wait = arg & 0xffffff
	}
	r.pass(t, r.now+wait)
	got := r.actions[n%uint64(len(r.actions))](arg)
	r.note("%d: %#x", n%uint64(len(r.actions)), got)
	r.pass(t, r.now)
}

// pass lets time pass until a tick. Deadlines very close together are taken
// several at once, as after a HLT that slept past them.
func (r *rig) pass(t testing.TB, until uint64) {
	timed, ok := r.part.(Timed)
	if p, isParts := r.part.(parts); isParts {
		timed, ok = p[0].(Timed)
	}
	for steps := 0; ok && timed.Deadline() <= until; steps++ {
		if steps == 100 {
			r.now = until
		}
		r.now = max(r.now, timed.Deadline())
		timed.Advance(r.now)
		if d := timed.Deadline(); d <= r.now {
			t.Fatalf("at %d the deadline is %d, after Advance", r.now, d)
		}
	}
	r.now = until
}

// rigs makes each device in the configurations worth testing.
var rigs = map[string]func() *rig{
	"lapic":      func() *rig { return lapicRig(false) },
	"lapic/x2":   func() *rig { return lapicRig(true) },
	"uart":       func() *rig { return uartRig(0) },
	"uart/timed": func() *rig { return uartRig(7) },
	"probe": func() *rig {
		r := &rig{}
		p := NewProbe(r, func(rep Report) { r.note("%v", rep) })
		r.part = p
		r.ports(p, probeID, probeData, probeCommit, ProbeLast)
		return r
	},
	"pic": func() *rig {
		r := &rig{}
		p := NewPIC(r.line("intr"))
		r.part = p
		r.ports(p, 0x20, 0x21)
		bus := &Ports{}
		bus.Map(0xa0, 0xa1, p)
		bus.Map(0x4d0, 0x4d1, p)
		r.actions = append(r.actions,
			func(arg uint64) uint64 { bus.Out(0xa0+uint16(arg&1), 1, uint32(arg>>16)); return 0 },
			func(arg uint64) uint64 { return uint64(bus.In(0xa0+uint16(arg&1), 1)) },
			func(arg uint64) uint64 { bus.Out(0x4d0+uint16(arg&1), 1, uint32(arg>>16)); return 0 },
			func(arg uint64) uint64 { p.Line(int(arg >> 4 & 15)).Set(arg&1 != 0); return 0 },
			func(arg uint64) uint64 { p.Line(int(arg >> 4 & 15)).Set(arg&1 != 0); return 0 },
			func(uint64) uint64 { return uint64(p.Ack()) },
		)
		return r
	},
	"pit":      func() *rig { return pitRig(0) },
	"pit/fast": func() *rig { return pitRig(PITHz) },
	"ioapic": func() *rig {
		r := &rig{}
		bus := &APICBus{}
		local := NewLAPIC(LAPICConfig{Clock: r, CPU: logCPU{&r.log}, Bus: bus})
		local.WritePhysical(0xf0, 4, 0x1ff)
		bus.Attach(local)
		a := NewIOAPIC(IOAPICConfig{Bus: bus, ActiveLow: 0xff0000})
		bus.Listen(a)
		r.part = parts{a, local}
		r.memory(a, 0, 0x10, 0, 0x10, 0x40)
		r.actions = append(r.actions,
			func(arg uint64) uint64 { a.Pin(int(arg % IOAPICPins)).Set(arg>>8&1 != 0); return 0 },
			func(arg uint64) uint64 {
				a.WritePhysical(0, 4, 0x10+arg&0x3f)
				a.WritePhysical(0x10, 4, arg>>8&0xffff)
				return 0
			},
			func(uint64) uint64 { return uint64(local.Ack()) },
			func(uint64) uint64 { local.WritePhysical(0xb0, 4, 0); return 0 },
		)
		return r
	},
	"rtc":      func() *rig { return rtcRig(0) },
	"rtc/fast": func() *rig { return rtcRig(rtcHz) },
	"keyboard": func() *rig {
		r := &rig{}
		a20 := NewA20(func(open bool) { r.note("a20 %v", open) })
		reset := func() { r.note("reset") }
		k := NewKeyboard(KeyboardConfig{IRQ1: r.line("irq1"), IRQ12: r.line("irq12"), A20: a20, Reset: reset})
		fast := NewControlPortA(a20, reset)
		r.part = parts{k, a20, fast}
		r.ports(k, 0x60, 0x64)
		r.ports(fast, 0x92)
		r.actions = append(r.actions, func(arg uint64) uint64 { k.Key(byte(arg)); return 0 })
		return r
	},
	"post": func() *rig {
		r := &rig{}
		p := NewPOST(func(v uint8) { r.note("post %#x", v) })
		r.part = p
		r.ports(p, 0x80)
		return r
	},
	"hpet": func() *rig {
		r := &rig{}
		h := NewHPET(HPETConfig{
			Clock: r, Notify: func() {}, Legacy: [2]Line{r.line("legacy0"), r.line("legacy1")},
			Pin: func(n int) Line { return r.line(fmt.Sprint("pin", n)) },
		})
		r.part = h
		r.memory(h, 0, 0x10, 0x10, 0x20, 0xf0, 0x100, 0x108, 0x120, 0x128, 0x140, 0x148, 0x104, 0x10c)
		r.actions = append(r.actions, func(arg uint64) uint64 { h.WritePhysical(0x10, 4, arg&3); return 0 })
		return r
	},
	"exit": func() *rig {
		r := &rig{}
		e := NewExitPort(func(v uint32) { r.note("exit %d", v) })
		r.part = e
		r.ports(e, ExitFirst, ExitLast)
		return r
	},
}

// parts are several parts that go together; what acts in time is the first.
type parts []state.Part

func (p parts) Walk(w *state.Walker) {
	for _, part := range p {
		part.Walk(w)
	}
}

func pitRig(hz uint64) *rig {
	r := &rig{}
	p := NewPIT(PITConfig{Clock: r, IRQ: r.line("irq0"), TickHz: hz})
	r.part = p
	r.ports(p, 0x40, 0x41, 0x42, 0x43)
	bus := &Ports{}
	bus.Map(0x61, 0x61, p)
	r.actions = append(r.actions,
		func(arg uint64) uint64 { bus.Out(0x61, 1, uint32(arg&3)); return 0 },
		func(uint64) uint64 { return uint64(bus.In(0x61, 1)) },
		// Short counts in every mode, so that something happens.
		func(arg uint64) uint64 {
			n := uint16(arg & 3 % 3)
			p.Out(0x43, 1, uint32(n)<<6|0x10|uint32(arg>>2&15))
			p.Out(0x40+n, 1, uint32(arg>>8&7))
			return 0
		},
		func(arg uint64) uint64 { p.Out(0x40+uint16(arg&3%3), 1, uint32(arg>>8&7)); return 0 },
	)
	return r
}

func rtcRig(hz uint64) *rig {
	r := &rig{}
	c := NewRTC(RTCConfig{Clock: r, IRQ: r.line("irq8"), TickHz: hz, Start: 951_782_390}) // before 2000-02-29
	r.part = c
	r.ports(c, 0x70, 0x71)
	r.actions = append(r.actions,
		func(arg uint64) uint64 {
			c.Out(0x70, 1, uint32(arg&15))
			c.Out(0x71, 1, uint32(arg>>8))
			return 0
		},
		func(arg uint64) uint64 { c.Out(0x70, 1, uint32(arg&15)); return uint64(c.In(0x71, 1)) },
		func(arg uint64) uint64 { // run, with some interrupts
			c.Out(0x70, 1, 0xa)
			c.Out(0x71, 1, 0x20|uint32(arg&15))
			c.Out(0x70, 1, 0xb)
			c.Out(0x71, 1, uint32(arg>>8&0x76))
			return 0
		},
		func(arg uint64) uint64 { r.now += arg & 0x1fffff; return 0 },
	)
	return r
}

func lapicRig(x2 bool) *rig {
	r := &rig{}
	a := NewLAPIC(LAPICConfig{
		ID: 3, BSP: true, Clock: r, CPU: logCPU{&r.log}, CMCI: true, SuppressEOI: true, TimerDivider: 3,
	})
	r.part = a
	msr := func(arg uint64) uint32 { return 0x800 + uint32(arg&0x3f) }
	if x2 {
		a.SetAPICBase(0xfee00000 | baseEnabled | baseX2)
		a.WriteMSR(0x80f, 0x1ff)
		r.actions = append(r.actions,
			func(arg uint64) uint64 { v, _ := a.ReadMSR(msr(arg)); return v },
			func(arg uint64) uint64 { a.WriteMSR(msr(arg), arg>>16&0xfffff); return 0 },
			func(arg uint64) uint64 { a.WriteMSR(msr(arg), arg>>16&0xff); return 0 },
			func(arg uint64) uint64 { a.WriteMSR(msr(arg), arg>>8); return 0 },
		)
	} else {
		offsets := []uint64{}
		for n := uint64(0); n < 0x40; n++ {
			offsets = append(offsets, n<<4)
		}
		a.WritePhysical(0xf0, 4, 0x1ff)
		r.memory(a, append(offsets, 0xf0, 0x320, 0x380, 0xff0)...)
	}
	r.actions = append(r.actions,
		func(arg uint64) uint64 { a.LINT(int(arg & 1)).Set(arg&2 != 0); return 0 },
		func(arg uint64) uint64 { v, _ := a.Pending(); return uint64(v) },
		func(arg uint64) uint64 { return uint64(a.Ack()) },
		func(arg uint64) uint64 { a.PerfOverflow(); a.CMCI(); a.Thermal(); return 0 },
		func(arg uint64) uint64 { a.SetTSCDeadline(r.now + arg&0xfff); return a.TSCDeadline() },
		func(arg uint64) uint64 { a.SetTSCOffset(arg >> 16); return a.TSCDeadline() },
		func(arg uint64) uint64 { a.SetCR8(uint8(arg) & 15); return uint64(a.GetCR8()) },
		func(arg uint64) uint64 {
			a.Deliver(Message{Mode: Delivery(arg & 7), Vector: uint8(arg >> 8), Level: arg&8 != 0})
			return 0
		},
	)
	return r
}

func uartRig(ticksPerChar uint64) *rig {
	r := &rig{}
	u := NewUART(UARTConfig{
		Clock: r, IRQ: r.line("irq"), TicksPerChar: ticksPerChar,
		Output: func(b byte) { r.note("out %#x", b) },
	})
	r.part = u
	r.ports(u, 0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff)
	r.actions = append(r.actions,
		func(arg uint64) uint64 { u.Receive(byte(arg)); return 0 },
		func(arg uint64) uint64 { u.SetModem(uint8(arg)); return 0 },
	)
	return r
}

// TestSnapshotOfEveryDevice does things to a device, loads its saved state
// into a new one, goes on with both, and wants the same answers, the same
// output and the same state from then on.
func TestSnapshotOfEveryDevice(t *testing.T) {
	for name, make := range rigs {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(60) {
				rnd := rand.New(rand.NewPCG(seed, 1))
				first := make()
				for range rnd.IntN(120) {
					first.do(t, rnd.Uint64(), rnd.Uint64())
				}
				second := make()
				saved := state.Save(nil, first.part)
				second.now = first.now
				if err := state.Load(saved, second.part); err != nil {
					t.Fatal(err)
				}
				first.log, second.log = nil, nil
				for i := range 120 {
					n, arg := rnd.Uint64(), rnd.Uint64()
					first.do(t, n, arg)
					second.do(t, n, arg)
					if !slices.Equal(first.log, second.log) {
						t.Fatalf("seed %d, step %d: original\n%q\nrestored\n%q", seed, i, first.log, second.log)
					}
				}
				if a, b := state.Save(nil, first.part), state.Save(nil, second.part); !slices.Equal(a, b) {
					t.Fatalf("seed %d: states differ at the end", seed)
				}
			}
		})
	}
}

// TestSavingChangesNothing: a board may save at a count at which a device has
// yet to act. What the device then does is not done by the save, nor lost.
func TestSavingChangesNothing(t *testing.T) {
	for name, make := range rigs {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(100) {
				rnd := rand.New(rand.NewPCG(seed, 3))
				saved, left := make(), make()
				for range rnd.IntN(60) {
					n, arg := rnd.Uint64(), rnd.Uint64()
					saved.do(t, n, arg)
					left.do(t, n, arg)
				}
				wait := rnd.Uint64N(1 << rnd.IntN(28))
				saved.now += wait
				left.now += wait
				log := len(saved.log)
				first := state.Save(nil, saved.part)
				if !slices.Equal(first, state.Save(nil, saved.part)) {
					t.Fatalf("seed %d: saved twice, and not the same", seed)
				}
				if len(saved.log) != log {
					t.Fatalf("seed %d: saving did %q", seed, saved.log[log:])
				}
				saved.pass(t, saved.now)
				left.pass(t, left.now)
				for range 30 {
					n, arg := rnd.Uint64(), rnd.Uint64()
					saved.do(t, n, arg)
					left.do(t, n, arg)
				}
				if !slices.Equal(saved.log, left.log) {
					t.Fatalf("seed %d: saved\n%q\nleft alone\n%q", seed, saved.log, left.log)
				}
			}
		})
	}
}

// FuzzDevice does anything to a device, in any saved state. It must neither
// panic nor give a deadline that does not move.
func FuzzDevice(f *testing.F) {
	names := []string{}
	for name := range rigs {
		names = append(names, name)
	}
	slices.Sort(names)
	for i := range names {
		f.Add(uint8(i), []byte{}, []byte("\x01\x20\x30\x40\x50\x60\x70\x80\x91\xa2\xb3\xc4\xd5\xe6\xf7\x08\x19"))
		script := []byte{}
		rnd := rand.New(rand.NewPCG(uint64(i), 2))
		for range 400 {
			script = append(script, byte(rnd.Uint32()))
		}
		f.Add(uint8(i), []byte{}, script)
		f.Add(uint8(i), script, script)
	}
	f.Fuzz(func(t *testing.T, which uint8, saved, script []byte) {
		r := rigs[names[int(which)%len(names)]]()
		if len(saved) != 0 {
			size := len(state.Save(nil, r.part))
			for len(saved) < size {
				saved = append(saved, saved...)
			}
			_ = state.Load(saved[:size], r.part)
		}
		for len(script) >= 5 && len(r.log) < 5000 {
			arg := uint64(script[1]) | uint64(script[2])<<8 | uint64(script[3])<<16 | uint64(script[4])<<24
			r.do(t, uint64(script[0]), arg)
			script = script[5:]
		}
	})
}
