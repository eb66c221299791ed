package cpu

import (
	"github.com/flipvisor/flipvisor/cpu/decode"
	"github.com/flipvisor/flipvisor/mmu"
)

var stackBinders = map[decode.Op]binder{
	decode.PUSH:  bindPush,
	decode.POP:   bindPop,
	decode.PUSHA: fixed(pusha),
	decode.POPA:  fixed(popa),
	decode.PUSHF: fixed(pushf),
	decode.POPF:  fixed(popf),
	decode.ENTER: fixed(enterFrame),
	decode.LEAVE: fixed(leaveFrame),
}

// stackMask is the width of the stack pointer (SDM Vol. 1, 6.2.3).
func (c *CPU) stackMask() uint64 {
	switch {
	case c.long:
		return ^uint64(0)
	case c.Seg[SS].Attr&AttrDB != 0:
		return 0xffffffff
	}
	return 0xffff
}

// stackAddress is the linear address of a stack offset.
func (c *CPU) stackAddress(sp, size uint64, write bool) uint64 {
	if c.long {
		return sp
	}
	return c.linear(SS, sp&c.stackMask(), size, write)
}

// stackInst stands for an instruction whose access is to the stack segment,
// so that what it raises is #SS.
var stackInst = Inst{seg: SS}

// stackLoad loads from the stack: what it raises names SS in place of the
// instruction's own segment.
func (c *CPU) stackLoad(in *Inst, va uint64, size int) (uint64, bool) {
	if c.rd[va>>12%mmu.FastEntries].Tag == (va+uint64(size)-1)&^0xfff {
		return c.load(in, va, size)
	}
	if !c.checkLinear(&stackInst, va, uint64(size)) {
		return 0, false
	}
	return c.loadSlow(in, va, size)
}

func (c *CPU) loadStack64(in *Inst, sp uint64) (uint64, bool) {
	if e := &c.rd[sp>>12%mmu.FastEntries]; e.Tag == (sp+7)&^0xfff {
		o := sp & 0xfff
		return le.Uint64(e.Data[o:]), true
	}
	return c.stackLoad(in, sp, 8)
}

// pushAt stores at a stack address in 64-bit mode.
func (c *CPU) pushAt(in *Inst, sp, v uint64) bool {
	if e := &c.wr[sp>>12%mmu.FastEntries]; e.Tag == (sp+7)&^0xfff {
		o := sp & 0xfff
		le.PutUint64(e.Data[o:], v)
		return true
	}
	return c.checkLinear(&stackInst, sp, 8) && c.storeSlow(in, sp, 8, v)
}

// push pushes one item of any size.
func (c *CPU) push(in *Inst, size int, v uint64) bool {
	m := c.stackMask()
	sp := (c.R[RSP] - uint64(size)) & m
	va := c.stackAddress(sp, uint64(size), true)
	if !c.checkLinear(&stackInst, va, uint64(size)) || !c.store(in, va, size, v) {
		return false
	}
	c.setSP(sp, m)
	return true
}

// peek reads size bytes at an offset from the stack pointer.
func (c *CPU) peek(in *Inst, offset uint64, size int) (uint64, bool) {
	return c.stackLoad(in, c.stackAddress(c.R[RSP]+offset, uint64(size), false), size)
}

func (c *CPU) setSP(sp, m uint64) {
	switch m {
	case 0xffff:
		c.setReg16(RSP, sp)
	default:
		c.R[RSP] = sp & m
	}
}

// moveSP adds to the stack pointer.
func (c *CPU) moveSP(n uint64) {
	m := c.stackMask()
	c.setSP((c.R[RSP]+n)&m, m)
}

func bindPush(in *Inst, d *decode.Inst) handler {
	a := &d.Args[0]
	if d.OpSize == 8 {
		switch a.Kind {
		case decode.KindGPR:
			in.src = a.Reg
			return pushReg64
		case decode.KindImm:
			in.imm = uint64(d.Imm)
			return pushImm64
		}
	}
	return push
}

func pushReg64(c *CPU, in *Inst) *Inst {
	sp := c.R[RSP] - 8
	if !c.pushAt(in, sp, c.R[in.src&31]) {
		return c.fault(in)
	}
	c.R[RSP] = sp
	return in.next
}

func pushImm64(c *CPU, in *Inst) *Inst {
	sp := c.R[RSP] - 8
	if !c.pushAt(in, sp, in.imm) {
		return c.fault(in)
	}
	c.R[RSP] = sp
	return in.next
}

// push is every other form. A segment register is pushed zero-extended; in
// 32-bit operand size Intel processors write only its 16 bits.
func push(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	size := int(d.OpSize)
	if a := &d.Args[0]; a.Kind == decode.KindSeg {
		v := uint64(c.Seg[a.Reg].Selector)
		if size == 4 {
			m := c.stackMask()
			sp := (c.R[RSP] - 4) & m
			va := c.stackAddress(sp, 4, true)
			if !c.checkLinear(&stackInst, va, 2) || !c.store(in, va, 2, v) {
				return c.fault(in)
			}
			c.setSP(sp, m)
			return in.next
		}
		if !c.push(in, size, v) {
			return c.fault(in)
		}
		return in.next
	}
	v, ok := c.arg(in, 0)
	if !ok || !c.push(in, size, v) {
		return c.fault(in)
	}
	return in.next
}

func bindPop(in *Inst, d *decode.Inst) handler {
	a := &d.Args[0]
	if d.OpSize == 8 && a.Kind == decode.KindGPR {
		in.dst = a.Reg
		return popReg64
	}
	return pop
}

func popReg64(c *CPU, in *Inst) *Inst {
	sp := c.R[RSP]
	v, ok := c.loadStack64(in, sp)
	if !ok {
		return c.fault(in)
	}
	c.R[RSP] = sp + 8
	c.R[in.dst&31] = v
	return in.next
}

// pop is every other form. A memory destination addressed by RSP uses the
// incremented one (SDM Vol. 2B, POP).
func pop(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	size := int(d.OpSize)
	a := &d.Args[0]
	sp := c.R[RSP]
	if a.Kind == decode.KindSeg {
		v, ok := c.peek(in, 0, min(size, 2))
		if !ok || !c.loadSegment(int(a.Reg), uint16(v)) {
			return c.fault(in)
		}
		c.moveSP(uint64(size))
		return c.segmentLoaded(in, int(a.Reg))
	}
	v, ok := c.peek(in, 0, size)
	if !ok {
		return c.fault(in)
	}
	c.moveSP(uint64(size))
	if !c.setArg(in, 0, v) {
		c.R[RSP] = sp
		return c.fault(in)
	}
	return in.next
}

// segmentLoaded ends the block after a segment register was loaded, because
// addresses and stack width may depend on it.
func (c *CPU) segmentLoaded(in *Inst, seg int) *Inst {
	c.leave(in)
	if seg == SS {
		c.shadow = ShadowMovSS
	}
	c.updateMode()
	return nil
}

// pusha stores what it can: a fault in the middle leaves the words above it
// stored, and RSP as it was.
func pusha(c *CPU, in *Inst) *Inst {
	size := int(c.decoded(in).OpSize)
	sp := c.R[RSP]
	m := c.stackMask()
	for r := range uint8(8) {
		a := (sp - uint64(size)*uint64(r+1)) & m
		v := c.reg(r, size)
		if r == RSP {
			v = sp
		}
		va := c.stackAddress(a, uint64(size), true)
		if !c.checkLinear(&stackInst, va, uint64(size)) || !c.store(in, va, size, v) {
			return c.fault(in)
		}
	}
	c.setSP((sp-8*uint64(size))&m, m)
	return in.next
}

// popa likewise leaves the registers below a fault loaded. That is how the
// processors do it; executed again, it does the same.
func popa(c *CPU, in *Inst) *Inst {
	size := int(c.decoded(in).OpSize)
	for i := range uint8(8) {
		v, ok := c.peek(in, uint64(i)*uint64(size), size)
		if !ok {
			return c.fault(in)
		}
		if i != 7-RSP {
			c.setReg(7-i, size, v)
		}
	}
	c.moveSP(uint64(8 * size))
	return in.next
}

func pushf(c *CPU, in *Inst) *Inst {
	if c.v86Sensitive() {
		return c.gp0(in)
	}
	if !c.push(in, int(c.decoded(in).OpSize), c.flags()&^(FlagVM|FlagRF)) {
		return c.fault(in)
	}
	return in.next
}

// v86Sensitive says whether an instruction that depends on IOPL in
// virtual-8086 mode must fault there.
func (c *CPU) v86Sensitive() bool {
	return c.rflags&FlagVM != 0 && c.rflags&FlagIOPL != FlagIOPL
}

// popf changes what the privilege level allows (SDM Vol. 2B, POPF).
func popf(c *CPU, in *Inst) *Inst {
	if c.v86Sensitive() {
		return c.gp0(in)
	}
	size := int(c.decoded(in).OpSize)
	v, ok := c.peek(in, 0, size)
	if !ok {
		return c.fault(in)
	}
	c.moveSP(uint64(size))
	c.loadFlags(v, size)
	return c.flagsLoaded(in)
}

// loadFlags sets the flags that POPF and IRET may change at this privilege
// level. RF is left clear.
func (c *CPU) loadFlags(v uint64, size int) {
	change := uint64(flagsStatus | FlagTF | FlagDF | FlagNT | FlagAC | FlagID)
	if c.cpl == 0 {
		change |= FlagIOPL
	}
	if c.cpl <= uint8(c.rflags&FlagIOPL>>12) {
		change |= FlagIF
	}
	change &= mask(size)
	c.setFlags(c.flags()&^(change|FlagRF) | v&change)
}

// flagsLoaded ends the block after flags that matter outside were changed.
func (c *CPU) flagsLoaded(in *Inst) *Inst {
	c.leave(in)
	c.updateClass()
	c.updateSlow()
	return nil
}

func enterFrame(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	size := uint64(d.OpSize)
	alloc, level := uint64(d.Imm)&0xffff, int(d.Imm2)&31
	m := c.stackMask()
	sp := (c.R[RSP] - size) & m
	put := func(sp, v uint64) bool {
		va := c.stackAddress(sp, size, true)
		return c.checkLinear(&stackInst, va, size) && c.store(in, va, int(size), v)
	}
	if !put(sp, c.R[RBP]) {
		return c.fault(in)
	}
	frame := sp
	bp := c.R[RBP]
	for i := 1; i <= level; i++ {
		v := frame
		if i < level {
			bp = (bp - size) & m
			var ok bool
			if v, ok = c.stackLoad(in, c.stackAddress(bp, size, false), int(size)); !ok {
				return c.fault(in)
			}
		}
		sp = (sp - size) & m
		if !put(sp, v) {
			return c.fault(in)
		}
	}
	sp = (sp - alloc) & m
	// The new top of the stack must be writable (SDM Vol. 2A, ENTER).
	va := c.stackAddress(sp, size, true)
	if !c.checkLinear(&stackInst, va, size) || !c.probeStore(in, va, size) {
		return c.fault(in)
	}
	c.setSP(sp, m)
	c.setReg(RBP, int(size), frame)
	return in.next
}

func leaveFrame(c *CPU, in *Inst) *Inst {
	size := int(c.decoded(in).OpSize)
	m := c.stackMask()
	sp := c.R[RBP] & m
	v, ok := c.stackLoad(in, c.stackAddress(sp, uint64(size), false), size)
	if !ok {
		return c.fault(in)
	}
	c.setSP((sp+uint64(size))&m, m)
	c.setReg(RBP, size, v)
	return in.next
}
