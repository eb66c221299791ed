package machine

import (
	"fmt"
	"math"

	"github.com/zeebo/xxh3"

	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/devices"
	"github.com/flipvisor/flipvisor/internal/state"
	"github.com/flipvisor/flipvisor/mmu"
)

// Config describes a board.
type Config struct {
	Memory uint64           // bytes of RAM, a multiple of 4096
	Model  *cpu.Model       // nil: cpu.DefaultModel
	Cache  *mmu.CacheConfig // nil: no cache is simulated

	// Console receives what the machine sends to COM1.
	Console func(b byte)

	// Report receives what the machine sends to the probe. It comes from a
	// guest: whatever it says is evidence, not truth.
	Report func(devices.Report)

	// Inputs are applied as time passes: a log to be replayed.
	Inputs []Input
}

// Limits of Config.Memory.
const (
	MinMemory = 1 << 20
	MaxMemory = 1 << 36
)

// Machine is a computer. One goroutine at a time may use it.
type Machine struct {
	CPU   *cpu.CPU
	MMU   *mmu.MMU
	Mem   *mmu.Memory
	Ports *devices.Ports
	LAPIC *devices.LAPIC
	UART  *devices.UART
	Probe *devices.Probe

	Console func(b byte)
	Report  func(devices.Report)

	timed []devices.Timed
	parts []namedPart

	exited   bool
	exitCode uint32

	inputs []Input // still to be applied, in order
	log    []Input // applied so far
	buf    []byte  // reused for saved state
}

type namedPart struct {
	name string
	part state.Part
}

// Reason says why Run returned.
type Reason uint8

const (
	AtCount  Reason = iota // the count asked for was reached
	Exited                 // the exit port was written
	Idle                   // halted for ever: nothing can wake the processor
	Shutdown               // triple fault
	Failed                 // the emulator cannot go on
)

func (r Reason) String() string {
	return [...]string{"count reached", "exit port written", "halted with nothing to wake it", "triple fault", "failed"}[r]
}

// Stop is how a run ended.
type Stop struct {
	Reason Reason
	Code   uint32 // written to the exit port
	Err    error  // of Failed
}

func (s Stop) String() string {
	switch s.Reason {
	case Exited:
		return fmt.Sprintf("%v: %d", s.Reason, s.Code)
	case Failed:
		return s.Err.Error()
	}
	return s.Reason.String()
}

// Status is the exit status that a write to the exit port stands for.
func (s Stop) Status() int { return int(s.Code<<1 | 1) }

// Addresses of the board.
const portCOM1 = 0x3f8

// New builds a board, powered on and reset.
func New(cfg Config) (*Machine, error) {
	if cfg.Memory < MinMemory || cfg.Memory > MaxMemory || cfg.Memory%mmu.PageSize != 0 {
		return nil, fmt.Errorf("memory of %d bytes: must be a multiple of 4096 from %d to %d", cfg.Memory, MinMemory, uint64(MaxMemory))
	}
	model := cpu.DefaultModel()
	if cfg.Model != nil {
		model = *cfg.Model
	}
	m := &Machine{Console: cfg.Console, Report: cfg.Report, inputs: append([]Input(nil), cfg.Inputs...)}
	m.Mem = mmu.NewMemory(cfg.Memory)
	m.MMU = mmu.New(m.Mem)
	m.CPU = cpu.New(m.MMU, model)
	if cfg.Cache != nil {
		cache, err := mmu.NewCache(*cfg.Cache)
		if err != nil {
			return nil, err
		}
		cache.MachineCheck = m.CPU.MachineCheck
		m.MMU.SetCache(cache)
	}
	m.wire()
	m.CPU.Settle()
	return m, nil
}

// wire makes the devices and connects them.
func (m *Machine) wire() {
	m.Ports = new(devices.Ports)
	m.CPU.Ports = m.Ports

	mapped := uint64(0)
	m.LAPIC = devices.NewLAPIC(devices.LAPICConfig{
		BSP: true, Clock: m.CPU, CPU: apicCPU{m.CPU}, CMCI: true,
		PhysicalBits: uint(m.CPU.Model.PhysBits),
		BaseChanged: func(base uint64, present bool) {
			m.CPU.APICPresent = m.LAPIC.Enabled()
			if present && base == mapped {
				return
			}
			if mapped != 0 {
				m.Mem.UnmapDevice(mapped, m.LAPIC)
				mapped = 0
			}
			if present {
				m.Mem.MapDevice(base, mmu.PageSize, m.LAPIC)
				mapped = base
			}
			m.MMU.FlushFast()
		},
	})
	m.CPU.APIC = m.LAPIC
	m.CPU.APICPresent = true
	if base, present := m.LAPIC.Base(); present && mapped == 0 {
		m.Mem.MapDevice(base, mmu.PageSize, m.LAPIC)
		mapped = base
	}

	m.UART = devices.NewUART(devices.UARTConfig{
		Clock: m.CPU,
		Output: func(b byte) {
			if m.Console != nil {
				m.Console(b)
			}
		},
	})
	m.Ports.Map(portCOM1, portCOM1+7, m.UART)
	m.Ports.Map(devices.ExitFirst, devices.ExitLast, devices.NewExitPort(func(v uint32) { m.exited, m.exitCode = true, v }))
	m.Probe = devices.NewProbe(m.CPU, func(r devices.Report) {
		if m.Report != nil {
			m.Report(r)
		}
	})
	m.Ports.Map(devices.ProbeFirst, devices.ProbeLast, m.Probe)

	m.timed = []devices.Timed{m.LAPIC, m.UART}
	m.parts = []namedPart{
		{"cpu", m.CPU}, {"mmu", m.MMU}, {"lapic", m.LAPIC}, {"uart", m.UART}, {"probe", m.Probe},
	}
}

// apicCPU is the processor as its APIC signals it.
type apicCPU struct{ c *cpu.CPU }

func (a apicCPU) NMI()          { a.c.NMI() }
func (a apicCPU) SMI()          {} // no SMM: nothing on this board sends one
func (a apicCPU) Init()         { a.c.INIT() }
func (a apicCPU) Startup(uint8) {} // one processor, never waiting for it
func (a apicCPU) ExtINT(bool)   {}

// Count is the time: how many instructions have begun.
func (m *Machine) Count() uint64 { return m.CPU.Count }

// deadline is the count of the next thing to do outside the processor.
func (m *Machine) deadline() uint64 {
	d := uint64(math.MaxUint64)
	for _, t := range m.timed {
		d = min(d, t.Deadline())
	}
	if len(m.inputs) > 0 {
		d = min(d, m.inputs[0].Count)
	}
	return d
}

// advance does what is due.
func (m *Machine) advance() {
	now := m.CPU.Count
	for _, t := range m.timed {
		if t.Deadline() <= now {
			t.Advance(now)
		}
	}
	for len(m.inputs) > 0 && m.inputs[0].Count <= now {
		in := m.inputs[0]
		m.inputs = m.inputs[1:]
		m.apply(in)
	}
}

// Run executes until the count is until, or the machine stops by itself.
func (m *Machine) Run(until uint64) Stop {
	for {
		if m.exited {
			return Stop{Reason: Exited, Code: m.exitCode}
		}
		if m.CPU.Count >= until {
			return Stop{Reason: AtCount}
		}
		m.advance()
		switch m.CPU.Run(min(until, m.deadline())) {
		case cpu.StopHalted:
			next := m.deadline()
			if !m.CPU.CanWake(next != math.MaxUint64) {
				return Stop{Reason: Idle}
			}
			m.CPU.IdleUntil(min(until, next))
		case cpu.StopShutdown:
			return Stop{Reason: Shutdown}
		case cpu.StopError:
			return Stop{Reason: Failed, Err: m.CPU.Err()}
		}
	}
}

// Walk visits the whole state but for the content of memory.
func (m *Machine) Walk(w *state.Walker) {
	for _, p := range m.parts {
		w.Part(p.name, p.part)
	}
	w.Bool("exited", &m.exited)
	w.U32("exit-code", &m.exitCode)
}

// Digest covers everything that can influence the future. Machines with equal
// digests have equal futures.
type Digest [16]byte

func (d Digest) String() string { return fmt.Sprintf("%x", d[:]) }

// Digest computes the machine's digest.
func (m *Machine) Digest() Digest {
	m.buf = state.Save(m.buf[:0], m)
	h := xxh3.Hash128(m.buf)
	lo, hi := m.Mem.Digest()
	return xxh3.Uint128{Lo: h.Lo*0x9e3779b97f4a7c15 + lo, Hi: h.Hi*0xc2b2ae3d27d4eb4f + hi}.Bytes()
}

// Snapshot is a machine at one moment. It never changes, and any number of
// machines of the same configuration may restore it at the same time.
type Snapshot struct {
	Count uint64
	state []byte
	pages *mmu.Pages
}

// Snapshot keeps the present.
func (m *Machine) Snapshot() *Snapshot {
	return &Snapshot{Count: m.CPU.Count, state: state.Save(nil, m), pages: m.Mem.Snapshot()}
}

// Restore goes back to a snapshot. The input log is cut or left as it is by
// the caller: see SetInputs.
func (m *Machine) Restore(s *Snapshot) error {
	m.Mem.Restore(s.pages)
	if err := state.Load(s.state, m); err != nil {
		return fmt.Errorf("restoring the snapshot at %d: %w", s.Count, err)
	}
	return nil
}

// Equal says whether the machine is now as it was at a snapshot.
func (m *Machine) Equal(s *Snapshot) bool {
	if m.CPU.Count != s.Count {
		return false
	}
	m.buf = state.Save(m.buf[:0], m)
	return string(m.buf) == string(s.state) && m.Mem.Equal(s.pages)
}
