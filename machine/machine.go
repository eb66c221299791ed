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

	// Date is the time of the clock at count 0, in seconds since 1970; 0
	// means DefaultDate.
	Date int64

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
	CPU *cpu.CPU
	MMU *mmu.MMU
	Mem *mmu.Memory

	// The devices that have an outside: see board.go.
	Ports    *devices.Ports
	LAPIC    *devices.LAPIC
	IOAPIC   *devices.IOAPIC
	PIC      *devices.PIC
	PIT      *devices.PIT
	HPET     *devices.HPET
	RTC      *devices.RTC
	UART     *devices.UART
	Keyboard *devices.Keyboard
	Probe    *devices.Probe

	Console func(b byte)
	Report  func(devices.Report)

	timed []devices.Timed
	parts []namedPart

	ended Reason // AtCount while the machine runs
	code  uint32 // written to the exit port
	reset ResetSource

	inputs []Input // still to be applied, in order
	log    []Input // applied so far
	buf    []byte  // reused for saved state
	idled  uint64  // see Idled
}

type namedPart struct {
	name string
	part state.Part
}

// New builds a board, powered on, as firmware leaves it for a boot loader.
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
	m.wire(&cfg)
	m.firmware()
	m.CPU.Settle()
	return m, nil
}

// Count is the time: how many instructions have begun.
func (m *Machine) Count() uint64 { return m.CPU.Count }

// NextEvent is the count of the next thing to happen outside the processor.
func (m *Machine) NextEvent() uint64 {
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
// Deadlines are looked at anew after every access to a device, since it may
// have changed them.
func (m *Machine) Run(until uint64) Stop {
	for {
		if m.ended != AtCount {
			return Stop{Reason: m.ended, Code: m.code, Reset: m.reset}
		}
		if m.CPU.Count >= until {
			return Stop{Reason: AtCount}
		}
		m.advance()
		switch m.CPU.Run(min(until, m.NextEvent())) {
		case cpu.StopHalted:
			interrupt, nmi := m.wakers()
			if !nmi && !m.CPU.CanWake(interrupt) {
				return Stop{Reason: Idle}
			}
			halted := m.CPU.Count
			m.idled += m.CPU.IdleUntil(min(until, m.NextEvent())) - halted
		case cpu.StopShutdown:
			return Stop{Reason: Shutdown}
		case cpu.StopError:
			return Stop{Reason: Failed, Err: m.CPU.Err()}
		}
	}
}

// Idled is how much of the time that this Machine has gone through its
// processor was halted. It is no part of the state.
func (m *Machine) Idled() uint64 { return m.idled }

// Walk visits the whole state but for the content of memory.
func (m *Machine) Walk(w *state.Walker) {
	for _, p := range m.parts {
		w.Part(p.name, p.part)
	}
	w.U8("ended", (*uint8)(&m.ended))
	w.U32("exit-code", &m.code)
	w.U8("reset-by", (*uint8)(&m.reset))
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
