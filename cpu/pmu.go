package cpu

import (
	"math"

	"github.com/flipvisor/flipvisor/internal/state"
)

// Architectural performance monitoring (SDM Vol. 3B, chapter 19), version 2:
// four programmable counters and three fixed ones, of 48 bits.
const (
	pmuCounters = 4
	pmuFixed    = 3
	pmuWidth    = 48
	pmuMask     = 1<<pmuWidth - 1
)

// Events that the programmable counters know, as event select and unit mask.
// The first three are architectural (19.2.1.2); loads and stores are those
// of Skylake and its successors (MEM_INST_RETIRED).
const (
	pmuCycles       = 0x003c
	pmuRefCycles    = 0x013c
	pmuInstructions = 0x00c0
	pmuBranches     = 0x00c4
	pmuLoads        = 0x81d0
	pmuStores       = 0x82d0
)

// Bits of IA32_PERFEVTSELx.
const (
	selUSR = 1 << 16
	selOS  = 1 << 17
	selINT = 1 << 20
	selEN  = 1 << 22
	selINV = 1 << 23
)

// PMU is the performance monitoring unit.
type PMU struct {
	Counter  [pmuCounters]uint64
	Select   [pmuCounters]uint64
	Fixed    [pmuFixed]uint64
	FixedCtl uint64
	Global   uint64 // IA32_PERF_GLOBAL_CTRL
	Status   uint64 // IA32_PERF_GLOBAL_STATUS

	// Totals of the machine's life, which the counters are fed from.
	branches, loads, stores uint64
	lastCount               uint64
	lastNotRetired          uint64

	// Not yet in the totals: the iterations of repeated string
	// instructions after their first.
	extraLoads, extraStores uint64

	counting bool // some counter is enabled
	armed    bool // some enabled counter interrupts on overflow
}

// Walk visits the state of the unit.
func (p *PMU) Walk(w *state.Walker) {
	for i := range p.Counter {
		w.U64("pmc", &p.Counter[i])
		w.U64("perfevtsel", &p.Select[i])
	}
	for i := range p.Fixed {
		w.U64("fixed", &p.Fixed[i])
	}
	w.U64("fixed_ctr_ctrl", &p.FixedCtl)
	w.U64("global_ctrl", &p.Global)
	w.U64("global_status", &p.Status)
	w.U64("branches", &p.branches)
	w.U64("loads", &p.loads)
	w.U64("stores", &p.stores)
	w.U64("last-count", &p.lastCount)
	w.U64("last-not-retired", &p.lastNotRetired)
	if w.Loading() {
		p.extraLoads, p.extraStores = 0, 0
		p.update()
	}
}

func (p *PMU) reset() {
	*p = PMU{Global: 1<<pmuCounters - 1}
	for i := range p.Select {
		p.Select[i] = 0
	}
}

// update derives counting and armed.
func (p *PMU) update() {
	p.counting, p.armed = false, false
	for i := range p.Select {
		if p.Global>>i&1 != 0 && p.Select[i]&selEN != 0 && p.Select[i]&(selUSR|selOS) != 0 {
			p.counting = true
			p.armed = p.armed || p.Select[i]&selINT != 0
		}
	}
	for i := range p.Fixed {
		ctl := p.FixedCtl >> (4 * i)
		if p.Global>>(32+i)&1 != 0 && ctl&3 != 0 {
			p.counting = true
			p.armed = p.armed || ctl&8 != 0
		}
	}
}

// foldEvents moves what happened since the last fold into the totals and the
// enabled counters. It must be called before anything that counting depends
// on changes: CPL, the counters' registers, VMX mode.
func (c *CPU) foldEvents() {
	p := &c.pmu
	e := c.events
	c.events = 0
	branches := e & packMask
	loads := e>>packBits&packMask + p.extraLoads
	stores := e>>(2*packBits) + p.extraStores
	p.extraLoads, p.extraStores = 0, 0
	p.branches += branches
	p.loads += loads
	p.stores += stores
	ticks := c.Count - p.lastCount
	retired := ticks - (c.notRetired - p.lastNotRetired)
	p.lastCount, p.lastNotRetired = c.Count, c.notRetired
	if !p.counting {
		return
	}
	ring := uint64(selOS)
	if c.cpl != 0 {
		ring = selUSR
	}
	for i := range p.Counter {
		sel := p.Select[i]
		if p.Global>>i&1 == 0 || sel&selEN == 0 || sel&ring == 0 {
			continue
		}
		var n uint64
		switch sel & 0xffff {
		case pmuInstructions:
			n = retired
		case pmuBranches:
			n = branches
		case pmuLoads:
			n = loads
		case pmuStores:
			n = stores
		case pmuCycles, pmuRefCycles:
			n = ticks
		}
		p.Counter[i] += n
		if p.Counter[i] > pmuMask {
			p.Counter[i] &= pmuMask
			c.overflow(1<<i, sel&selINT != 0)
		}
	}
	for i := range p.Fixed {
		ctl := p.FixedCtl >> (4 * i)
		if p.Global>>(32+i)&1 == 0 || ring == selOS && ctl&1 == 0 || ring == selUSR && ctl&2 == 0 {
			continue
		}
		n := ticks
		if i == 0 {
			n = retired
		}
		p.Fixed[i] += n
		if p.Fixed[i] > pmuMask {
			p.Fixed[i] &= pmuMask
			c.overflow(1<<(32+i), ctl&8 != 0)
		}
	}
}

func (c *CPU) overflow(bit uint64, interrupt bool) {
	c.pmu.Status |= bit
	if interrupt && c.APIC != nil {
		c.APIC.PerfOverflow()
	}
}

// untilOverflow is a lower bound on the instructions before a counter that
// interrupts overflows. An instruction adds one to a counter at most, but
// for repeated string instructions, whose overflow is noticed late.
func (p *PMU) untilOverflow() uint64 {
	n := uint64(math.MaxUint64)
	for i := range p.Counter {
		if p.Select[i]&selINT != 0 && p.Select[i]&selEN != 0 {
			n = min(n, pmuMask+1-p.Counter[i])
		}
	}
	for i := range p.Fixed {
		if p.FixedCtl>>(4*i)&8 != 0 {
			n = min(n, pmuMask+1-p.Fixed[i])
		}
	}
	return n
}

// readCounter is RDPMC.
func (c *CPU) readCounter(index uint32) (uint64, bool) {
	switch i := index & 0x3fffffff; {
	case index>>30 == 0 && i < pmuCounters:
		return c.pmu.Counter[i], true
	case index>>30 == 1 && i < pmuFixed:
		return c.pmu.Fixed[i], true
	}
	return 0, false
}

// Retired is how many instructions have retired.
func (c *CPU) Retired() uint64 { return c.Count - c.notRetired }
