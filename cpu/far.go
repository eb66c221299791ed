package cpu

import "github.com/flipvisor/flipvisor/cpu/decode"

var farBinders = map[decode.Op]binder{
	decode.JMPFAR:   fixed(jmpFar),
	decode.CALLFAR:  fixed(callFar),
	decode.RETFAR:   fixed(retFar),
	decode.IRET:     fixed(iret),
	decode.INT:      fixed(intN),
	decode.INT3:     fixed(intN),
	decode.INT1:     fixed(intN),
	decode.INTO:     fixed(intN),
	decode.SYSCALL:  fixed(syscall),
	decode.SYSRET:   fixed(sysret),
	decode.SYSENTER: fixed(sysenter),
	decode.SYSEXIT:  fixed(sysexit),
	decode.LDS:      fixed(loadFarPointer),
	decode.LES:      fixed(loadFarPointer),
	decode.LFS:      fixed(loadFarPointer),
	decode.LGS:      fixed(loadFarPointer),
	decode.LSS:      fixed(loadFarPointer),
}

// farOperand reads the target of a far transfer.
func (c *CPU) farOperand(in *Inst) (sel uint16, offset uint64, ok bool) {
	d := c.decoded(in)
	size := int(d.OpSize)
	if d.Args[0].Kind == decode.KindFar {
		return uint16(d.Imm2), uint64(d.Imm) & mask(size), true
	}
	return c.farPointer(in, size)
}

// farPointer reads a far pointer from memory: the offset, of size bytes, then
// the selector.
func (c *CPU) farPointer(in *Inst, size int) (sel uint16, offset uint64, ok bool) {
	at := c.offsetOf(in)
	if offset, ok = c.load(in, c.linear(in.seg, at, uint64(size), false), size); !ok {
		return 0, 0, false
	}
	at = (at + uint64(size)) & mask(int(in.addrSize))
	s, ok := c.load16(in, c.linear(in.seg, at, 2, false))
	return uint16(s), offset, ok
}

// realFar is a far transfer's end in real and virtual-8086 mode.
func (c *CPU) realFar(in *Inst, sel uint16, offset uint64) *Inst {
	if offset > uint64(c.Seg[CS].Limit) {
		return c.gp0(in)
	}
	c.leave(in)
	c.Seg[CS].Selector, c.Seg[CS].Base = sel, uint64(sel)<<4
	if c.rflags&FlagVM != 0 {
		c.Seg[CS].Limit, c.Seg[CS].Attr = 0xffff, AttrP|AttrS|AttrWritable|AttrAccessed|3<<AttrDPLShift
	}
	c.RIP = offset
	c.updateMode()
	return nil
}

func (c *CPU) protected() bool { return c.CR0&CR0PE != 0 && c.rflags&FlagVM == 0 }

// directCode checks the code segment of a far JMP or CALL without a gate.
func (c *CPU) directCode(sel uint16, desc uint64) (cs Segment, ok bool) {
	cs = segmentOf(sel, desc)
	code := uint32(sel) &^ 3
	if cs.Attr&AttrConform != 0 {
		if cs.DPL() > c.cpl {
			return cs, c.excCode(VectorGP, code)
		}
	} else if uint8(sel&3) > c.cpl || cs.DPL() != c.cpl {
		return cs, c.excCode(VectorGP, code)
	}
	if c.lma && cs.Attr&(AttrL|AttrDB) == AttrL|AttrDB {
		return cs, c.excCode(VectorGP, code)
	}
	if cs.Attr&AttrP == 0 {
		return cs, c.excCode(VectorNP, code)
	}
	cs.Selector = sel&^3 | uint16(c.cpl)
	return cs, true
}

// inSegment checks a far target against the new code segment. A target of 64
// bits is cut to 32 for a segment that is not for 64-bit code; enterCode does
// the same.
func (c *CPU) inSegment(cs *Segment, offset uint64) bool {
	if c.lma && cs.Attr&AttrL != 0 {
		if !canonical(offset) {
			return c.excCode(VectorGP, 0)
		}
		return true
	}
	if offset&0xffffffff > uint64(cs.Limit) {
		return c.excCode(VectorGP, 0)
	}
	return true
}

// enterCode completes a far transfer.
func (c *CPU) enterCode(in *Inst, cs Segment, rip uint64) *Inst {
	c.leave(in)
	c.Seg[CS] = cs
	c.setRIP(rip)
	c.updateMode()
	return nil
}

// setRIP sets RIP as wide as the code segment has it.
func (c *CPU) setRIP(rip uint64) {
	if !c.lma || c.Seg[CS].Attr&AttrL == 0 {
		rip &= 0xffffffff
	}
	c.RIP = rip
}

func jmpFar(c *CPU, in *Inst) *Inst {
	sel, offset, ok := c.farOperand(in)
	if !ok {
		return c.fault(in)
	}
	if !c.protected() {
		return c.realFar(in, sel, offset)
	}
	if sel&^3 == 0 {
		return c.gp0(in)
	}
	desc, _, ok := c.descriptor(sel, 0)
	if !ok {
		return c.fault(in)
	}
	s := segmentOf(sel, desc)
	if s.Attr&(AttrS|AttrCode) == AttrS|AttrCode {
		cs, ok := c.directCode(sel, desc)
		if !ok || !c.inSegment(&cs, offset) || !c.setAccessed(sel, desc, &cs) {
			return c.fault(in)
		}
		return c.enterCode(in, cs, offset)
	}
	if s.Attr&AttrS != 0 {
		return c.raiseCode(in, VectorGP, uint32(sel)&^3)
	}
	g, ok := c.callGate(sel, desc)
	if !ok {
		if g.task {
			return c.taskTransfer(in, sel, desc, taskJump)
		}
		return c.fault(in)
	}
	if g.cs.Attr&AttrConform == 0 && g.cs.DPL() != c.cpl || g.cs.DPL() > c.cpl {
		return c.raiseCode(in, VectorGP, uint32(g.cs.Selector)&^3)
	}
	if !c.inSegment(&g.cs, g.offset) || !c.setAccessed(g.cs.Selector, g.desc, &g.cs) {
		return c.fault(in)
	}
	g.cs.Selector = g.cs.Selector&^3 | uint16(c.cpl)
	return c.enterCode(in, g.cs, g.offset)
}

// gate is a call gate and the code segment it leads to.
type gate struct {
	task   bool // not a call gate but something that switches tasks
	size   int  // of what a call pushes
	offset uint64
	params int
	cs     Segment
	desc   uint64
}

// callGate reads and checks a call gate (SDM Vol. 3A, 5.8.3 and 5.8.4).
func (c *CPU) callGate(sel uint16, desc uint64) (g gate, ok bool) {
	code := uint32(sel) &^ 3
	s := segmentOf(sel, desc)
	typ := s.Attr & AttrType
	switch {
	case typ == gateCall32:
		g.size = 4
		g.offset = desc&0xffff | desc>>32&0xffff0000
	case typ == gateCall16 && !c.lma:
		g.size = 2
		g.offset = desc & 0xffff
	case (typ == gateTask || typ == 1 || typ == 9) && !c.lma:
		g.task = true
		return g, false
	default:
		return g, c.excCode(VectorGP, code)
	}
	g.params = int(desc >> 32 & 31)
	if s.DPL() < c.cpl || s.DPL() < uint8(sel&3) {
		return g, c.excCode(VectorGP, code)
	}
	if s.Attr&AttrP == 0 {
		return g, c.excCode(VectorNP, code)
	}
	if c.lma {
		_, address, ok := c.descriptor(sel, 0)
		if !ok {
			return g, false
		}
		table := c.GDTR
		if sel&4 != 0 {
			table = Table{Limit: uint16(min(c.Seg[LDTR].Limit, 0xffff))}
		}
		if uint32(sel&^7)+15 > uint32(table.Limit) {
			return g, c.excCode(VectorGP, code)
		}
		hi, ok := c.sysLoad(address+8, 8)
		if !ok {
			return g, false
		}
		if hi>>40&0x1f != 0 {
			return g, c.excCode(VectorGP, code)
		}
		g.offset |= hi << 32
		g.size, g.params = 8, 0
	}
	target := uint16(desc >> 16)
	if target&^3 == 0 {
		return g, c.excCode(VectorGP, 0)
	}
	if g.desc, _, ok = c.descriptor(target, 0); !ok {
		return g, false
	}
	g.cs = segmentOf(target, g.desc)
	code = uint32(target) &^ 3
	if g.cs.Attr&(AttrS|AttrCode) != AttrS|AttrCode || g.cs.DPL() > c.cpl ||
		c.lma && g.cs.Attr&(AttrL|AttrDB) != AttrL {
		return g, c.excCode(VectorGP, code)
	}
	if g.cs.Attr&AttrP == 0 {
		return g, c.excCode(VectorNP, code)
	}
	return g, true
}

func callFar(c *CPU, in *Inst) *Inst {
	sel, offset, ok := c.farOperand(in)
	if !ok {
		return c.fault(in)
	}
	size := int(c.decoded(in).OpSize)
	next := c.nextRIP(in)
	oldCS := uint64(c.Seg[CS].Selector)
	if !c.protected() {
		if offset > uint64(c.Seg[CS].Limit) {
			return c.gp0(in)
		}
		if !c.pushAll(in, size, oldCS, next) {
			return c.fault(in)
		}
		return c.realFar(in, sel, offset)
	}
	if sel&^3 == 0 {
		return c.gp0(in)
	}
	desc, _, ok := c.descriptor(sel, 0)
	if !ok {
		return c.fault(in)
	}
	s := segmentOf(sel, desc)
	if s.Attr&(AttrS|AttrCode) == AttrS|AttrCode {
		cs, ok := c.directCode(sel, desc)
		sp := c.R[RSP]
		if ok { // the stack is addressed as in the mode called into
			long := c.long
			c.long = c.lma && cs.Attr&AttrL != 0
			ok = c.pushAll(in, size, oldCS, next)
			c.long = long
		}
		if !ok {
			c.R[RSP] = sp
			return c.fault(in)
		}
		if !c.inSegment(&cs, offset) || !c.setAccessed(sel, desc, &cs) {
			c.R[RSP] = sp
			return c.fault(in)
		}
		return c.enterCode(in, cs, offset)
	}
	if s.Attr&AttrS != 0 {
		return c.raiseCode(in, VectorGP, uint32(sel)&^3)
	}
	g, ok := c.callGate(sel, desc)
	if !ok {
		if g.task {
			return c.taskTransfer(in, sel, desc, taskCall)
		}
		return c.fault(in)
	}
	if g.cs.Attr&AttrConform == 0 && g.cs.DPL() < c.cpl {
		return c.callInner(in, &g, next)
	}
	if !c.inSegment(&g.cs, g.offset) || !c.setAccessed(g.cs.Selector, g.desc, &g.cs) || !c.pushAll(in, g.size, oldCS, next) {
		return c.fault(in)
	}
	g.cs.Selector = g.cs.Selector&^3 | uint16(c.cpl)
	return c.enterCode(in, g.cs, g.offset)
}

// pushAll pushes several items or none.
func (c *CPU) pushAll(in *Inst, size int, v ...uint64) bool {
	sp := c.R[RSP]
	for _, x := range v {
		if !c.push(in, size, x) {
			c.R[RSP] = sp
			return false
		}
	}
	return true
}

// callInner is a call through a gate to a more privileged level: on the
// stack that the TSS gives.
func (c *CPU) callInner(in *Inst, g *gate, next uint64) *Inst {
	cpl := g.cs.DPL()
	var ss Segment
	var sp uint64
	var ok bool
	if c.lma {
		if sp, ok = c.tssLoad64(4+uint64(cpl)*8, 0); ok && !canonical(sp) {
			ok = c.excCode(VectorSS, 0)
		}
		ss = Segment{Selector: uint16(cpl), Attr: AttrUnusable | uint32(cpl)<<AttrDPLShift | AttrP | AttrS | AttrWritable | AttrAccessed}
	} else {
		ss, sp, ok = c.tssStack(cpl, 0)
	}
	if !ok || !c.inSegment(&g.cs, g.offset) {
		return c.fault(in)
	}
	items := []uint64{uint64(c.Seg[SS].Selector), c.R[RSP]}
	for i := g.params - 1; i >= 0; i-- {
		v, ok := c.peek(in, uint64(i*g.size), g.size)
		if !ok {
			return c.fault(in)
		}
		items = append(items, v)
	}
	items = append(items, uint64(c.Seg[CS].Selector), next)
	m := ^uint64(0)
	if !c.lma {
		m = 0xffff
		if ss.Attr&AttrDB != 0 {
			m = 0xffffffff
		}
	}
	low := sp
	for _, v := range items {
		low = (low - uint64(g.size)) & m
		if !c.lma && !ss.within(low, uint64(g.size)) {
			return c.raiseCode(in, VectorSS, uint32(ss.Selector)&^3)
		}
		a := low
		if !c.lma {
			a = (ss.Base + low) & 0xffffffff
		}
		if !c.storeAs(a, g.size, v, cpl) {
			return c.fault(in)
		}
	}
	if !c.setAccessed(g.cs.Selector, g.desc, &g.cs) {
		return c.fault(in)
	}
	g.cs.Selector = g.cs.Selector&^3 | uint16(cpl)
	c.R[RSP] = sp&^m | low&m
	c.Seg[SS] = ss
	return c.enterCode(in, g.cs, g.offset)
}

// returnCode checks the code segment that a far return or IRET goes to.
func (c *CPU) returnCode(sel uint16) (cs Segment, ok bool) {
	code := uint32(sel) &^ 3
	if code == 0 {
		return cs, c.excCode(VectorGP, 0)
	}
	desc, _, ok := c.descriptor(sel, 0)
	if !ok {
		return cs, false
	}
	cs = segmentOf(sel, desc)
	rpl := uint8(sel & 3)
	switch {
	case cs.Attr&(AttrS|AttrCode) != AttrS|AttrCode,
		rpl < c.cpl,
		cs.Attr&AttrConform != 0 && cs.DPL() > rpl,
		cs.Attr&AttrConform == 0 && cs.DPL() != rpl,
		c.lma && cs.Attr&(AttrL|AttrDB) == AttrL|AttrDB:
		return cs, c.excCode(VectorGP, code)
	case cs.Attr&AttrP == 0:
		return cs, c.excCode(VectorNP, code)
	}
	return cs, c.setAccessed(sel, desc, &cs)
}

// returnStack checks the stack segment of a return to an outer level, or of
// any IRET in 64-bit mode.
func (c *CPU) returnStack(sel uint16, cs *Segment) (ss Segment, ok bool) {
	rpl := uint8(cs.Selector & 3)
	code := uint32(sel) &^ 3
	if code == 0 {
		if c.lma && cs.Attr&AttrL != 0 && rpl != 3 && uint8(sel&3) == rpl {
			return Segment{Selector: sel, Attr: AttrUnusable | uint32(rpl)<<AttrDPLShift | AttrP | AttrS | AttrWritable | AttrAccessed}, true
		}
		return ss, c.excCode(VectorGP, 0)
	}
	desc, _, ok := c.descriptor(sel, 0)
	if !ok {
		return ss, false
	}
	ss = segmentOf(sel, desc)
	if uint8(sel&3) != rpl || ss.DPL() != rpl || ss.Attr&(AttrS|AttrCode|AttrWritable) != AttrS|AttrWritable {
		return ss, c.excCode(VectorGP, code)
	}
	if ss.Attr&AttrP == 0 {
		return ss, c.excCode(VectorSS, code)
	}
	return ss, c.setAccessed(sel, desc, &ss)
}

// dropInner makes the data segments unusable that the outer level may not
// have (SDM Vol. 2B, RET).
func (c *CPU) dropInner() {
	for _, i := range [...]int{ES, DS, FS, GS} {
		s := &c.Seg[i]
		conforming := s.Attr&(AttrCode|AttrConform) == AttrCode|AttrConform
		if s.Attr&AttrUnusable == 0 && !conforming && s.DPL() < c.Seg[SS].DPL() {
			*s = Segment{Attr: AttrUnusable}
		}
	}
}

func retFar(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	size := int(d.OpSize)
	n := uint64(d.Imm) & 0xffff
	s, ok := c.peek(in, uint64(size), 2) // first, and no more of it, as faults tell
	if !ok {
		return c.fault(in)
	}
	rip, ok := c.peek(in, 0, size)
	if !ok {
		return c.fault(in)
	}
	sel := uint16(s)
	if !c.protected() {
		if rip > uint64(c.Seg[CS].Limit) {
			return c.gp0(in)
		}
		c.moveSP(uint64(2*size) + n)
		return c.realFar(in, sel, rip)
	}
	cs, ok := c.returnCode(sel)
	if !ok || !c.inSegment(&cs, rip) {
		return c.fault(in)
	}
	if uint8(sel&3) == c.cpl {
		c.moveSP(uint64(2*size) + n)
		return c.enterCode(in, cs, rip)
	}
	sp, ok := c.peek(in, uint64(2*size)+n, size)
	if !ok {
		return c.fault(in)
	}
	s, ok = c.peek(in, uint64(3*size)+n, size)
	if !ok {
		return c.fault(in)
	}
	ss, ok := c.returnStack(uint16(s), &cs)
	if !ok {
		return c.fault(in)
	}
	c.outer(in, cs, ss, rip, sp+n)
	c.dropInner()
	return nil
}

// outer completes a return to another privilege level, or any that loads
// SS:RSP.
func (c *CPU) outer(in *Inst, cs, ss Segment, rip, sp uint64) *Inst {
	c.leave(in)
	ss.Attr = ss.Attr&^(3<<AttrDPLShift) | uint32(cs.Selector&3)<<AttrDPLShift
	c.Seg[CS], c.Seg[SS] = cs, ss
	c.setRIP(rip)
	c.updateMode()
	c.setSP(sp&c.stackMask(), c.stackMask())
	return nil
}

// iret (SDM Vol. 2A, IRET/IRETD/IRETQ). It ends the blocking of NMIs even if
// it faults (SDM Vol. 3A, 6.7.1).
func iret(c *CPU, in *Inst) *Inst {
	c.unblockedNMI = c.vmxIRET()
	next := c.interruptReturn(in)
	c.unblockedNMI = false
	return next
}

func (c *CPU) interruptReturn(in *Inst) *Inst {
	size := int(c.decoded(in).OpSize)
	if c.v86Sensitive() {
		return c.gp0(in)
	}
	if c.protected() && c.rflags&FlagNT != 0 {
		if c.lma {
			return c.gp0(in)
		}
		return c.taskReturn(in)
	}
	var f [5]uint64
	for _, i := range [...]int{2, 1, 0} { // the order of Intel's processors, as faults tell
		n := size
		if i == 1 {
			n = 2
		}
		var ok bool
		if f[i], ok = c.peek(in, uint64(i*size), n); !ok {
			return c.fault(in)
		}
	}
	rip, sel, flags := f[0], uint16(f[1]), f[2]
	if !c.protected() {
		if rip > uint64(c.Seg[CS].Limit) {
			return c.gp0(in)
		}
		c.moveSP(uint64(3 * size))
		c.returnFlags(flags, size)
		return c.realFar(in, sel, rip)
	}
	if !c.lma && flags&FlagVM != 0 && c.cpl == 0 && size == 4 {
		return c.iretV86(in, rip, sel, flags)
	}
	cs, ok := c.returnCode(sel)
	if !ok {
		return c.fault(in)
	}
	same := uint8(sel&3) == c.cpl && !c.long
	if same {
		if !c.inSegment(&cs, rip) {
			return c.fault(in)
		}
		c.moveSP(uint64(3 * size))
		c.returnFlags(flags, size)
		return c.enterCode(in, cs, rip)
	}
	if f[4], ok = c.peek(in, uint64(4*size), 2); !ok {
		return c.fault(in)
	}
	if f[3], ok = c.peek(in, uint64(3*size), size); !ok {
		return c.fault(in)
	}
	ss, ok := c.returnStack(uint16(f[4]), &cs)
	if !ok || !c.inSegment(&cs, rip) {
		return c.fault(in)
	}
	inner := uint8(sel&3) > c.cpl
	c.returnFlags(flags, size)
	c.outer(in, cs, ss, rip, f[3])
	if inner {
		c.dropInner()
	}
	return nil
}

// returnFlags is what IRET does to the flags: as POPF, and RF.
func (c *CPU) returnFlags(v uint64, size int) {
	c.loadFlags(v, size)
	if size > 2 {
		c.rflags |= v & FlagRF
		if c.cpl == 0 {
			c.rflags = c.rflags&^(FlagVIF|FlagVIP) | v&(FlagVIF|FlagVIP)
		}
	}
}

// iretV86 returns to virtual-8086 mode.
func (c *CPU) iretV86(in *Inst, rip uint64, sel uint16, flags uint64) *Inst {
	var f [6]uint64 // ESP SS ES DS FS GS
	for i := range f {
		var ok bool
		if f[i], ok = c.peek(in, uint64(12+4*i), 4); !ok {
			return c.fault(in)
		}
	}
	if rip > 0xffff {
		return c.gp0(in)
	}
	c.leave(in)
	c.setFlags(flags)
	for i, s := range [...]uint16{ES: uint16(f[2]), CS: sel, SS: uint16(f[1]), DS: uint16(f[3]), FS: uint16(f[4]), GS: uint16(f[5])} {
		c.Seg[i] = Segment{Selector: s, Base: uint64(s) << 4, Limit: 0xffff,
			Attr: AttrP | AttrS | AttrWritable | AttrAccessed | 3<<AttrDPLShift}
	}
	c.R[RSP] = f[0]
	c.RIP = rip
	c.updateMode()
	return nil
}

// intN is INT n, INT3, INT1 and INTO. A software interrupt's return address
// is the next instruction, but a fault on the way leaves RIP at this one.
func intN(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	e := Exception{Kind: EventSoftException, trap: true}
	switch d.Op {
	case decode.INT:
		if c.v86Sensitive() {
			return c.gp0(in)
		}
		e.Vector, e.Kind = uint8(d.Imm), EventSoftware
	case decode.INT3:
		e.Vector = VectorBP
	case decode.INT1:
		e.Vector, e.Kind, e.DR6 = VectorDB, EventPrivSoftware, 0
	case decode.INTO:
		if !c.of() {
			return in.next
		}
		e.Vector = VectorOF
	}
	at := c.address(in)
	c.leave(in)
	e.next, e.length, c.RIP = c.RIP, in.len, at
	c.deliverEvent(e)
	return nil
}

// SYSCALL and SYSRET (SDM Vol. 2B). The segments are flat whatever the
// descriptors say.
func flatCode(sel uint16, cpl uint8, long bool) Segment {
	s := Segment{Selector: sel, Limit: 0xffffffff,
		Attr: AttrG | AttrP | AttrS | AttrCode | AttrReadable | AttrAccessed | uint32(cpl)<<AttrDPLShift}
	if long {
		s.Attr |= AttrL
	} else {
		s.Attr |= AttrDB
	}
	return s
}

func flatData(sel uint16, cpl uint8) Segment {
	return Segment{Selector: sel, Limit: 0xffffffff,
		Attr: AttrG | AttrDB | AttrP | AttrS | AttrWritable | AttrAccessed | uint32(cpl)<<AttrDPLShift}
}

func syscall(c *CPU, in *Inst) *Inst {
	if !c.long || c.MSR.EFER&EFERSCE == 0 {
		return c.ud(in)
	}
	c.leave(in)
	c.R[RCX] = c.RIP
	c.R[R11] = c.flags() &^ FlagRF
	c.RIP = c.MSR.LSTAR
	c.setFlags(c.flags() &^ (c.MSR.SFMASK | FlagRF))
	sel := uint16(c.MSR.STAR >> 32)
	c.Seg[CS] = flatCode(sel&^3, 0, true)
	c.Seg[SS] = flatData(sel&^3+8, 0)
	c.updateMode()
	return nil
}

func sysret(c *CPU, in *Inst) *Inst {
	if !c.long || c.MSR.EFER&EFERSCE == 0 {
		return c.ud(in)
	}
	if c.cpl != 0 || c.CR0&CR0PE == 0 {
		return c.gp0(in)
	}
	long := c.decoded(in).OpSize == 8
	rip := c.R[RCX]
	if long && !canonical(rip) {
		return c.gp0(in)
	}
	c.leave(in)
	sel := uint16(c.MSR.STAR >> 48)
	if long {
		c.RIP = rip
		c.Seg[CS] = flatCode((sel+16)|3, 3, true)
	} else {
		c.RIP = rip & 0xffffffff
		c.Seg[CS] = flatCode(sel|3, 3, false)
	}
	c.Seg[SS] = flatData((sel+8)|3, 3)
	const change = flagsWritable &^ (FlagRF | FlagVM)
	c.setFlags(c.R[R11]&change | FlagR1)
	c.updateMode()
	return nil
}

func sysenter(c *CPU, in *Inst) *Inst {
	cs := uint16(c.MSR.SysenterCS)
	if c.CR0&CR0PE == 0 || cs&^3 == 0 {
		return c.gp0(in)
	}
	c.leave(in)
	c.rflags &^= FlagVM | FlagIF | FlagRF
	c.Seg[CS] = flatCode(cs&^3, 0, c.lma)
	c.Seg[SS] = flatData(cs&^3+8, 0)
	c.R[RSP], c.RIP = c.MSR.SysenterESP, c.MSR.SysenterEIP
	if !c.lma {
		c.R[RSP] &= 0xffffffff
		c.RIP &= 0xffffffff
	}
	c.updateMode()
	return nil
}

func sysexit(c *CPU, in *Inst) *Inst {
	cs := uint16(c.MSR.SysenterCS)
	if cs&^3 == 0 || c.CR0&CR0PE == 0 || c.cpl != 0 {
		return c.gp0(in)
	}
	long := c.decoded(in).OpSize == 8
	if long && (!canonical(c.R[RCX]) || !canonical(c.R[RDX])) {
		return c.gp0(in)
	}
	c.leave(in)
	if long {
		c.Seg[CS] = flatCode((cs+32)|3, 3, true)
		c.Seg[SS] = flatData((cs+40)|3, 3)
		c.RIP, c.R[RSP] = c.R[RDX], c.R[RCX]
	} else {
		c.Seg[CS] = flatCode((cs+16)|3, 3, false)
		c.Seg[SS] = flatData((cs+24)|3, 3)
		c.RIP, c.R[RSP] = c.R[RDX]&0xffffffff, c.R[RCX]&0xffffffff
	}
	c.updateMode()
	return nil
}

// loadFarPointer is LDS, LES, LFS, LGS and LSS.
func loadFarPointer(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	size := int(d.OpSize)
	sel, v, ok := c.farPointer(in, size)
	if !ok {
		return c.fault(in)
	}
	seg := map[decode.Op]int{decode.LDS: DS, decode.LES: ES, decode.LFS: FS, decode.LGS: GS, decode.LSS: SS}[d.Op]
	if !c.loadSegment(seg, sel) {
		return c.fault(in)
	}
	c.setReg(d.Args[0].Reg, size, v)
	return c.segmentLoaded(in, seg)
}
