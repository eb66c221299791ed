package cpu

import "github.com/flipvisor/flipvisor/mmu"

// Hardware task switching (SDM Vol. 3A, chapter 7). It is gone in IA-32e
// mode, where whatever leads here faults before.

// taskSource is how a task switch came about, numbered as in the exit
// qualification (SDM Vol. 3C, table 28-2).
type taskSource uint8

const (
	taskCall taskSource = iota
	taskIRET
	taskJump
	taskIDT
)

// tssLayout is where things are in a task-state segment (figures 7-2 and
// 7-10).
type tssLayout struct {
	width                 int
	cr3, ip, flags, regs  uint64
	segments              uint64
	segmentCount          int
	ldt, trap             uint64
	saved, savedEnd, size uint64 // what a switch writes of the old TSS; minimum limit + 1
}

var (
	tss16 = tssLayout{width: 2, ip: 14, flags: 16, regs: 18, segments: 34, segmentCount: 4, ldt: 42, saved: 14, savedEnd: 42, size: 44}
	tss32 = tssLayout{width: 4, cr3: 28, ip: 32, flags: 36, regs: 40, segments: 72, segmentCount: 6, ldt: 96, trap: 100, saved: 32, savedEnd: 96, size: 104}
)

func layoutOf(tr *Segment) *tssLayout {
	if tr.Attr&8 != 0 {
		return &tss32
	}
	return &tss16
}

const tssBusy = 2 // in a TSS descriptor's type

// task is the task to switch to.
type task struct {
	tr         Segment
	descriptor uint64 // where it lies
}

// findTask reads and checks the TSS descriptor that a selector names (7.3,
// checks 2 to 4). IRET faults with #TS where the others do with #GP, and
// wants a busy task where they want one that is not.
func (c *CPU) findTask(sel uint16, by taskSource, ext uint32) (t task, ok bool) {
	vector, busy := uint8(VectorGP), uint32(0)
	if by == taskIRET {
		vector, busy = VectorTS, tssBusy
	}
	code := uint32(sel)&^3 | ext
	if sel&4 != 0 || sel&^3 == 0 {
		return t, c.excCode(vector, code)
	}
	desc, address, ok := c.descriptor(sel, ext)
	if !ok {
		if c.exc.exit == 0 && c.exc.Vector == VectorGP {
			c.exc.Vector = vector
		}
		return t, false
	}
	t = task{segmentOf(sel, desc), address}
	typ := t.tr.Attr & (AttrS | AttrType)
	switch {
	case typ&^(8|tssBusy) != 1 || typ&tssBusy != busy:
		return t, c.excCode(vector, code)
	case t.tr.Attr&AttrP == 0:
		return t, c.excCode(VectorNP, code)
	case uint64(t.tr.Limit)+1 < layoutOf(&t.tr).size:
		return t, c.excCode(VectorTS, code)
	}
	return t, true
}

// taskTransfer is a far JMP or CALL to a TSS or a task gate.
func (c *CPU) taskTransfer(in *Inst, sel uint16, desc uint64, by taskSource) *Inst {
	s := segmentOf(sel, desc)
	code := uint32(sel) &^ 3
	if s.DPL() < c.cpl || s.DPL() < uint8(sel&3) {
		return c.raiseCode(in, VectorGP, code)
	}
	if s.Attr&AttrType == gateTask {
		if s.Attr&AttrP == 0 {
			return c.raiseCode(in, VectorNP, code)
		}
		sel = uint16(desc >> 16)
	}
	return c.taskByInstruction(in, sel, by)
}

// taskReturn is IRET with NT set: to the task that the link names.
func (c *CPU) taskReturn(in *Inst) *Inst {
	link, ok := c.sysLoad(c.Seg[TR].Base, 2)
	if !ok {
		return c.fault(in)
	}
	return c.taskByInstruction(in, uint16(link), taskIRET)
}

func (c *CPU) taskByInstruction(in *Inst, sel uint16, by taskSource) *Inst {
	t, ok := c.findTask(sel, by, 0)
	if !ok {
		return c.fault(in)
	}
	if c.vmx.guest {
		c.exitAt(in, vmexit{reason: ExitTaskSwitch, qualification: taskQualification(sel, by)})
		return nil
	}
	if !c.taskPagesPresent(&t) {
		return c.fault(in)
	}
	c.leave(in)
	flags := c.flags() &^ FlagRF
	if by == taskIRET {
		flags &^= FlagNT
	}
	if !c.switchTask(&t, by, c.RIP, flags) {
		c.exception(c.exc) // in the new task
	}
	return nil
}

// taskGate delivers an event through a task gate. flags is what the old task
// is left with.
func (c *CPU) taskGate(sel uint16, e *Exception, flags uint64) bool {
	t, ok := c.findTask(sel, taskIDT, e.external())
	if !ok {
		return false
	}
	if c.vmx.guest {
		c.exc = Exception{exit: ExitTaskSwitch, qualification: taskQualification(sel, taskIDT)}
		return false
	}
	if !c.taskPagesPresent(&t) || !c.switchTask(&t, taskIDT, e.ReturnAddress(c.RIP), flags) {
		return false
	}
	if !e.HasCode {
		return true
	}
	// 7.3: the error code goes onto the new task's stack.
	l := layoutOf(&c.Seg[TR])
	m := c.stackMask()
	sp := (c.R[RSP] - uint64(l.width)) & m
	ss := &c.Seg[SS]
	if !ss.within(sp, uint64(l.width)) {
		return c.excCode(VectorSS, 1)
	}
	if !c.storeAs((ss.Base+sp)&0xffffffff, l.width, uint64(e.Code), c.cpl) {
		return false
	}
	c.setSP(sp, m)
	return true
}

func taskQualification(sel uint16, by taskSource) uint64 { return uint64(sel) | uint64(by)<<30 }

// taskPagesPresent makes sure that the switch itself cannot page-fault: both
// TSSs and the busy flags can be written.
func (c *CPU) taskPagesPresent(t *task) bool {
	old, new := &c.Seg[TR], &t.tr
	lo, ln := layoutOf(old), layoutOf(new)
	for _, r := range [...]struct {
		at, size uint64
		access   mmu.Access
	}{
		{old.Base + lo.saved, lo.savedEnd - lo.saved, mmu.AccessWrite},
		{c.GDTR.Base + uint64(old.Selector&^7), 8, mmu.AccessWrite},
		{new.Base, ln.size, mmu.AccessRead},
		{new.Base, 2, mmu.AccessWrite},
		{t.descriptor, 8, mmu.AccessWrite},
	} {
		if !c.MMU.Probe(&c.regime, c.wrapSys(r.at), r.size, r.access, mmu.Supervisor) {
			c.memoryFault()
			return false
		}
	}
	return true
}

// switchTask saves the state of the old task and loads that of the new one
// (7.3). When it returns false, the switch has taken place and loading a
// segment of the new task failed.
func (c *CPU) switchTask(t *task, by taskSource, rip, flags uint64) bool {
	old := c.Seg[TR]
	l := layoutOf(&old)
	put := func(offset, v uint64, size int) { c.sysStore(old.Base+offset, size, v) }
	put(l.ip, rip, l.width)
	put(l.flags, flags, l.width)
	for i := range uint64(8) {
		put(l.regs+i*uint64(l.width), c.R[i], l.width)
	}
	for i := range l.segmentCount {
		put(l.segments+uint64(i*l.width), uint64(c.Seg[i].Selector), 2)
	}
	if by == taskJump || by == taskIRET {
		c.setBusy(c.GDTR.Base+uint64(old.Selector&^7), false)
	}

	n := layoutOf(&t.tr)
	get := func(offset uint64, size int) uint64 {
		v, _ := c.sysLoad(t.tr.Base+offset, size)
		return v
	}
	var regs [8]uint64
	for i := range regs {
		regs[i] = get(n.regs+uint64(i*n.width), n.width)
		if n.width == 2 {
			regs[i] |= 0xffff0000 // not defined; so on Intel processors
		}
	}
	var sel [6]uint16
	for i := range n.segmentCount {
		sel[i] = uint16(get(n.segments+uint64(i*n.width), 2))
	}
	ip, newFlags, ldt := get(n.ip, n.width), get(n.flags, n.width), uint16(get(n.ldt, 2))
	cr3 := uint64(0)
	trap := false
	if n == &tss32 {
		cr3, trap = get(n.cr3, 4), get(n.trap, 2)&1 != 0
	}
	if by == taskCall || by == taskIDT {
		c.sysStore(t.tr.Base, 2, uint64(old.Selector))
		newFlags |= FlagNT
	}
	if by != taskIRET {
		c.setBusy(t.descriptor, true)
	}

	// From here on faults belong to the new task.
	c.Seg[TR] = t.tr
	c.Seg[TR].Attr |= tssBusy
	c.CR0 |= CR0TS
	c.DR[7] &^= 0x155 // local breakpoints (17.2.4)
	copy(c.R[:8], regs[:])
	c.RIP = ip
	c.setFlags(newFlags | FlagR1)
	for i := range sel {
		c.Seg[i] = Segment{Selector: sel[i], Attr: AttrUnusable}
	}
	c.Seg[LDTR] = Segment{Selector: ldt, Attr: AttrUnusable}
	c.Seg[SS].Attr |= uint32(sel[CS]&3) << AttrDPLShift
	if trap {
		c.pendingDB |= dr6BT
	}
	ok := n != &tss32 || c.CR0&CR0PG == 0 || c.writeCR3(cr3)
	ok = ok && c.loadTaskSegments(sel, ldt)
	c.updateMode()
	return ok
}

// setBusy changes the busy flag of a TSS descriptor.
func (c *CPU) setBusy(descriptor uint64, busy bool) {
	b, _ := c.sysLoad(descriptor+5, 1)
	b &^= tssBusy
	if busy {
		b |= tssBusy
	}
	c.sysStore(descriptor+5, 1, b)
}

// loadTaskSegments loads the hidden parts for the selectors of a task (7.3,
// table 7-1).
func (c *CPU) loadTaskSegments(sel [6]uint16, ldt uint16) bool {
	if ldt&^3 != 0 {
		code := uint32(ldt) &^ 3
		if ldt&4 != 0 {
			return c.excCode(VectorTS, code)
		}
		desc, ok := c.taskDescriptor(ldt)
		if !ok {
			return false
		}
		s := segmentOf(ldt, desc)
		if s.Attr&(AttrS|AttrType) != 2 || s.Attr&AttrP == 0 {
			return c.excCode(VectorTS, code)
		}
		c.Seg[LDTR] = s
	}
	if c.rflags&FlagVM != 0 {
		for i := range sel {
			c.Seg[i] = Segment{Selector: sel[i], Base: uint64(sel[i]) << 4, Limit: 0xffff,
				Attr: AttrP | AttrS | AttrWritable | AttrAccessed | 3<<AttrDPLShift}
		}
		return true
	}
	cpl := uint8(sel[CS] & 3)
	for _, i := range [...]int{CS, SS, DS, ES, FS, GS} {
		code := uint32(sel[i]) &^ 3
		if code == 0 {
			if i == CS || i == SS {
				return c.excCode(VectorTS, 0)
			}
			continue
		}
		desc, ok := c.taskDescriptor(sel[i])
		if !ok {
			return false
		}
		s := segmentOf(sel[i], desc)
		absent := uint8(VectorNP)
		conforming := s.Attr&(AttrCode|AttrConform) == AttrCode|AttrConform
		switch {
		case i == CS:
			ok = s.Attr&(AttrS|AttrCode) == AttrS|AttrCode && (s.DPL() == cpl || conforming && s.DPL() <= cpl)
		case i == SS:
			ok = s.Attr&(AttrS|AttrCode|AttrWritable) == AttrS|AttrWritable && s.DPL() == cpl && uint8(sel[i]&3) == cpl
			absent = VectorSS
		default:
			ok = s.Attr&AttrS != 0 && (s.Attr&AttrCode == 0 || s.Attr&AttrReadable != 0) &&
				(conforming || s.DPL() >= cpl && s.DPL() >= uint8(sel[i]&3))
		}
		if !ok {
			return c.excCode(VectorTS, code)
		}
		if s.Attr&AttrP == 0 {
			return c.excCode(absent, code)
		}
		if !c.setAccessed(sel[i], desc, &s) {
			return false
		}
		c.Seg[i] = s
	}
	if c.RIP > uint64(c.Seg[CS].Limit) {
		return c.excCode(VectorGP, 0)
	}
	return true
}

// taskDescriptor reads a descriptor for a selector of the new task, with
// #TS where others have #GP.
func (c *CPU) taskDescriptor(sel uint16) (desc uint64, ok bool) {
	desc, _, ok = c.descriptor(sel, 0)
	if !ok && c.exc.exit == 0 && c.exc.Vector == VectorGP {
		c.exc.Vector = VectorTS
	}
	return desc, ok
}
