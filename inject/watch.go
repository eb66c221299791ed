package inject

import (
	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/cpu/decode"
	"github.com/flipvisor/flipvisor/machine"
	"github.com/flipvisor/flipvisor/mmu"
)

// Watcher runs a machine after a flip and finds out what happens first to
// the flipped bits: whether they are read, or overwritten, or dropped by the
// cache or TLB that held them. Watching changes nothing in the machine.
//
// Registers are watched block by block: code that touches none of the
// flipped bytes runs at full speed, the rest one instruction at a time, with
// the read and write sets of each. Memory is watched by the MMU.
type Watcher struct {
	Fate Fate
	At   Point

	m     *machine.Machine
	point func() Point
	loc   location
	done  bool
	hooks cpu.Hooks // the caller's, called after the watcher's own

	event, exit, entry bool // seen since cleared
	exception          cpu.Exception
}

// watchID marks the watcher's watch in the machine's memory.
const watchID = 0x666c6970

// location is the flipped bytes, in the terms of decode.Effects.
type location struct {
	class Class
	gpr   [16]uint8
	xmm   [16]uint32
	flags uint32
	sys   decode.SysSet

	everyInstruction bool // consulted by each instruction
	onEvent          bool // read by the delivery of an event
	onExit           bool // saved by a VM exit, so read
	onEntry          bool // replaced by a VM entry
	onWalk           bool // read by a page walk

	address uint64 // memory
	bytes   []bool // which of the bytes at address still hold the flip
}

// NewWatcher begins to watch the bits of a fault that was just applied.
// point describes the present.
func NewWatcher(m *machine.Machine, f *Fault, point func() Point) *Watcher {
	w := &Watcher{m: m, point: point, loc: locate(m, f), hooks: m.CPU.Hooks}
	switch f.Target.Class {
	case NoTarget:
		w.done = true
		return w
	case InstructionClass:
		w.finish(Read)
		return w
	case MemoryClass, VMCSClass:
		m.Mem.Watched = w.accessed
		m.Mem.Watch(w.loc.address, len(w.loc.bytes), watchID)
	case CacheClass:
		m.MMU.Cache().Fate = func(f mmu.Fate) {
			switch f.Kind {
			case mmu.FateOverwritten:
				w.finish(Overwritten)
			case mmu.FateDropped:
				w.finish(Evicted)
			case mmu.FateWrittenBack: // it goes on in the next level
			default:
				w.finish(Read)
			}
		}
	case TLBClass:
		m.MMU.TLBFate = func(used bool) {
			if used {
				w.finish(Read)
			} else {
				w.finish(Evicted)
			}
		}
	}
	h := w.hooks
	h.Exception = func(e cpu.Exception) {
		w.event, w.exception = true, e
		if w.hooks.Exception != nil {
			w.hooks.Exception(e)
		}
	}
	h.VMExit = func(r cpu.ExitReason, q uint64) {
		w.exit = true
		if w.hooks.VMExit != nil {
			w.hooks.VMExit(r, q)
		}
	}
	h.VMEntry = func() {
		w.entry = true
		if w.hooks.VMEntry != nil {
			w.hooks.VMEntry()
		}
	}
	m.CPU.SetHooks(h)
	return w
}

// Close ends the watch.
func (w *Watcher) Close() {
	w.done = true
	w.m.Mem.Unwatch(watchID)
	w.m.Mem.Watched = nil
	w.m.MMU.TLBFate = nil
	if c := w.m.MMU.Cache(); c != nil {
		c.Fate = nil
	}
	w.m.CPU.SetHooks(w.hooks)
}

func (w *Watcher) finish(f Fate) {
	if w.done {
		return
	}
	w.Fate, w.At = f, w.point()
	w.done = true
}

// Run is machine.Run with the watch on.
func (w *Watcher) Run(until uint64) machine.Stop {
	for !w.done && w.m.Count() < until {
		var stop machine.Stop
		switch w.loc.class {
		case RegisterClass:
			stop = w.runRegister(until)
		case MemoryClass:
			stop = w.runMemory(until)
		default:
			stop = w.m.Run(until)
		}
		if stop.Reason != machine.AtCount {
			return stop
		}
	}
	return w.m.Run(until)
}

// runRegister runs one block, or one instruction.
func (w *Watcher) runRegister(until uint64) machine.Stop {
	now := w.m.Count()
	s, ok := w.m.CPU.Straight()
	if !ok || w.loc.everyInstruction {
		return w.step(now+1, nil)
	}
	n := min(now+uint64(len(s.Insts)), until, max(w.m.NextEvent(), now+1))
	if !w.loc.meets(s.Touched) {
		return w.step(n, nil)
	}
	return w.step(now+1, &s.Insts[0])
}

// step runs to a count and judges what happened on the way. in is the one
// instruction that this is about, nil for code that does not touch the
// location.
func (w *Watcher) step(until uint64, in *decode.Inst) machine.Stop {
	w.event, w.exit, w.entry = false, false, false
	var e decode.Effects
	if in != nil {
		in.Effects(&e)
		if w.loc.readBy(&e) {
			w.finish(Read)
			return w.m.Run(until)
		}
	} else if w.loc.everyInstruction {
		w.finish(Read)
		return w.m.Run(until)
	}
	walks := w.m.MMU.Walks
	before := w.point()
	stop := w.m.Run(until)
	switch {
	case w.loc.onWalk && w.m.MMU.Walks != walks,
		w.event && w.loc.onEvent,
		w.exit && w.loc.onExit:
		w.finish(Read)
		w.At = before
	case w.entry && w.loc.onEntry,
		w.event && w.loc.sys&decode.SysCR2 != 0 && w.exception.Vector == cpu.VectorPF:
		w.finish(Overwritten)
		w.At = before
	case in != nil && !w.event && !w.exit:
		if w.loc.overwrite(&e) {
			w.finish(Overwritten)
			w.At = before
		}
	}
	return stop
}

// runMemory runs blocks while the location may be code, and at full speed
// otherwise: data accesses come through the MMU's watch.
func (w *Watcher) runMemory(until uint64) machine.Stop {
	if !w.m.Mem.HasCode(w.loc.address&^(mmu.PageSize-1), mmu.PageSize) {
		return w.m.Run(min(until, w.m.Count()+1<<16))
	}
	now := w.m.Count()
	s, ok := w.m.CPU.Straight()
	if !ok {
		return w.m.Run(now + 1)
	}
	n := min(now+uint64(len(s.Insts)), until, max(w.m.NextEvent(), now+1))
	first, last := w.loc.address, w.loc.address+uint64(len(w.loc.bytes))
	if s.Physical >= last || s.Physical+uint64(s.Bytes) <= first {
		return w.m.Run(n)
	}
	length := uint64(s.Insts[0].Len)
	for i := range length {
		if pa := s.Physical + i; pa >= first && pa < last && w.loc.bytes[pa-first] {
			w.finish(Read)
		}
	}
	return w.m.Run(now + 1)
}

// accessed is called by the MMU in the middle of an instruction.
func (w *Watcher) accessed(_ int, pa uint64, size int, write bool) {
	if w.done {
		return
	}
	left := false
	for i := range w.loc.bytes {
		a := w.loc.address + uint64(i)
		if !w.loc.bytes[i] {
			continue
		}
		if a >= pa && a < pa+uint64(size) {
			if !write {
				w.finish(Read)
				return
			}
			w.loc.bytes[i] = false
			continue
		}
		left = true
	}
	if !left {
		w.finish(Overwritten)
	}
}

// meets says whether code touches the location at all.
func (l *location) meets(t *cpu.Touched) bool {
	for i, b := range l.gpr {
		if b&t.Registers.GPR[i] != 0 {
			return true
		}
	}
	for i, b := range l.xmm {
		if b&t.Registers.XMM[i] != 0 {
			return true
		}
	}
	return l.flags&t.Flags != 0 || l.sys&t.Registers.Sys != 0
}

func (l *location) readBy(e *decode.Effects) bool {
	for i, b := range l.gpr {
		if b&e.Read.GPR[i] != 0 {
			return true
		}
	}
	for i, b := range l.xmm {
		if b&e.Read.XMM[i] != 0 {
			return true
		}
	}
	return l.flags&e.FlagsRead != 0 || l.sys&e.Read.Sys != 0
}

// overwrite takes what was certainly written out of the location and says
// whether nothing is left.
func (l *location) overwrite(e *decode.Effects) bool {
	left := false
	for i := range l.gpr {
		l.gpr[i] &^= e.Write.GPR[i]
		left = left || l.gpr[i] != 0
	}
	for i := range l.xmm {
		l.xmm[i] &^= e.Write.XMM[i]
		left = left || l.xmm[i] != 0
	}
	l.flags &^= e.FlagsWritten | e.FlagsUndefined
	l.sys &^= e.Write.Sys
	return !left && l.flags == 0 && l.sys == 0
}

// locate says where the flipped bits are.
func locate(m *machine.Machine, f *Fault) location {
	t := &f.Target
	l := location{class: t.Class}
	switch t.Class {
	case MemoryClass, VMCSClass:
		l.class = MemoryClass
		l.address = t.Address
		l.bytes = make([]bool, f.Bits[len(f.Bits)-1]/8+1)
		for _, b := range f.Bits {
			l.bytes[b/8] = true
		}
	case RegisterClass:
		for _, b := range f.Bits {
			l.addRegister(m, t.Register, int(b))
		}
	}
	return l
}

// addRegister maps a bit of a register to who consults it. Where the
// processor uses a register in every instruction, so does the model; where
// 64-bit mode ignores one, nothing does (SDM Vol. 3A, 3.4.4).
func (l *location) addRegister(m *machine.Machine, r Register, bit int) {
	long := m.CPU.Mode() == decode.Mode64
	guest := m.CPU.InGuest()
	l.onExit = l.onExit || guest // but for what sets it to false below
	l.onEntry = l.onEntry || !guest
	switch {
	case r <= R15:
		l.gpr[r-RAX] |= 1 << (bit / 8)
		isSP := r == RSP
		l.onEvent = l.onEvent || isSP
		l.onExit, l.onEntry = guest && isSP, !guest && isSP
	case r == RFLAGS:
		l.flags |= 1 << bit
		l.onEvent = true
		// TF, IF (with something pending), RF, VM and AC act by themselves.
		l.everyInstruction = 1<<bit&(cpu.FlagTF|cpu.FlagRF|cpu.FlagVM|cpu.FlagAC) != 0
	case r >= XMM0 && r <= XMM15:
		l.xmm[r-XMM0] |= 1 << (bit / 8)
		l.onExit, l.onEntry = false, false
	case r == RIP, r == CR0, r == CR4, r == EFER, r == CSAttributes, r == SSAttributes, r == DR7,
		r >= EventSelect0 && r <= EventSelect3, r == FixedControl, r == GlobalControl:
		l.everyInstruction = true
	case r == CR3:
		l.sys |= decode.SysCR3
		l.onWalk = true
	case r == CR2:
		l.sys |= decode.SysCR2
		l.onExit, l.onEntry = false, false
	case r == CR8:
		l.sys |= decode.SysCR8
		l.onEvent = true
		l.onExit, l.onEntry = false, false
	case r >= DR0 && r <= DR3:
		l.sys |= decode.SysDR0 << (r - DR0)
		l.onExit, l.onEntry = false, false
		l.everyInstruction = m.CPU.DR[7]>>(2*(r-DR0))&3 != 0
	case r == DR6:
		l.sys |= decode.SysDR6
		l.onExit, l.onEntry = false, false
	case r >= ESSelector && r < LDTRSelector:
		s := (r - ESSelector) / 4
		l.sys |= decode.SysES << s
		switch part := (r - ESSelector) % 4; {
		case s == cpu.CS-cpu.ES || s == cpu.SS-cpu.ES:
			l.onEvent = part == 0
			l.everyInstruction = !long && part != 0
		case part == 1 && s == cpu.FS-cpu.ES:
			l.sys = decode.SysFSBase
		case part == 1 && s == cpu.GS-cpu.ES:
			l.sys = decode.SysGSBase
		case !long && part != 0:
			l.everyInstruction = true
		}
	case r >= LDTRSelector && r <= LDTRAttributes:
		l.sys |= decode.SysLDTR
	case r >= TRSelector && r <= TRAttributes:
		l.sys |= decode.SysTR
		l.onEvent = true
	case r == GDTRBase || r == GDTRLimit:
		l.sys |= decode.SysGDTR
		l.onEvent = true
	case r == IDTRBase || r == IDTRLimit:
		l.sys |= decode.SysIDTR
		l.onEvent = true
	case r == MXCSR:
		l.sys |= decode.SysMXCSR
		l.onExit, l.onEntry = false, false
	case r.Group() == X87:
		l.sys |= decode.SysX87
		l.onExit, l.onEntry = false, false
	default:
		l.addMSR(r)
	}
}

func (l *location) addMSR(r Register) {
	saved := false // by VM exit and entry
	switch r {
	case STAR, LSTAR, CSTAR, SFMASK:
		l.sys |= decode.SysSyscall
	case KernelGSBase:
		l.sys |= decode.SysKernelGSBase
	case SysenterCS, SysenterESP, SysenterEIP:
		l.sys |= decode.SysSysenter
		saved = true
	case TSC:
		l.sys |= decode.SysTSC
	case TSCAux:
		l.sys |= decode.SysTSCAux
	case PMC0, PMC1, PMC2, PMC3, FixedCounter0, FixedCounter1, FixedCounter2:
		l.sys |= decode.SysPMC
	default:
		l.sys |= decode.SysMSR
	}
	l.onExit, l.onEntry = l.onExit && saved, l.onEntry && saved
}
