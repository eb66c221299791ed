package cpu

import "github.com/flipvisor/flipvisor/cpu/decode"

var controlBinders = map[decode.Op]binder{
	decode.JMP:    bindJmp,
	decode.JCC:    bindJcc,
	decode.CALL:   bindCall,
	decode.RET:    bindRet,
	decode.LOOP:   fixed(loop),
	decode.LOOPE:  fixed(loop),
	decode.LOOPNE: fixed(loop),
	decode.JRCXZ:  fixed(jrcxz),
}

// taken and notTaken are the two ends of a fused pair, in being its branch.
func (c *CPU) taken(in *Inst) *Inst {
	if b := c.blk.taken; b != nil {
		return c.enter(b)
	}
	return c.takeSlow(in)
}

func (c *CPU) notTaken(in *Inst) *Inst {
	if b := c.blk.fall; b != nil {
		return c.enter(b)
	}
	return c.goTo(c.nextRIP(in), &c.blk.fall)
}

// target is where a relative branch goes: imm from its end, truncated to the
// operand size (SDM Vol. 2A, Jcc).
func (c *CPU) target(in *Inst) uint64 {
	return (c.nextRIP(in) + in.imm) & c.branchMask(in)
}

// branchMask truncates RIP for the operand size of a near transfer.
func (c *CPU) branchMask(in *Inst) uint64 {
	if c.long {
		return ^uint64(0)
	}
	return mask(int(c.decoded(in).OpSize))
}

// checkTarget raises #GP(0) for a near transfer out of bounds. RIP stays at
// the instruction, as on Intel processors.
func (c *CPU) checkTarget(rip uint64) bool {
	if c.long {
		if !canonical(rip) {
			return c.excCode(VectorGP, 0)
		}
		return true
	}
	if rip > uint64(c.Seg[CS].Limit) {
		return c.excCode(VectorGP, 0)
	}
	return true
}

func bindJmp(in *Inst, d *decode.Inst) handler {
	a := &d.Args[0]
	switch a.Kind {
	case decode.KindRel:
		in.imm = uint64(d.Imm)
		return jmpRel
	case decode.KindGPR:
		in.src = a.Reg
	}
	return jmpInd
}

func jmpRel(c *CPU, in *Inst) *Inst {
	if b := c.blk.taken; b != nil {
		return c.enter(b)
	}
	rip := c.target(in)
	if !c.checkTarget(rip) {
		return c.fault(in)
	}
	return c.goTo(rip, &c.blk.taken)
}

func jmpInd(c *CPU, in *Inst) *Inst {
	rip, ok := c.arg(in, 0)
	if !ok || !c.checkTarget(rip) {
		return c.fault(in)
	}
	return c.jump(rip)
}

func bindJcc(in *Inst, d *decode.Inst) handler {
	in.imm = uint64(d.Imm)
	return jcc[d.Cond]
}

// jcc by condition code; the few lines repeated spare a switch in the most
// frequent of all instructions.
var jcc = [16]handler{
	func(c *CPU, in *Inst) *Inst { return c.branch(in, c.of()) },
	func(c *CPU, in *Inst) *Inst { return c.branch(in, !c.of()) },
	func(c *CPU, in *Inst) *Inst { return c.branch(in, c.cf()) },
	func(c *CPU, in *Inst) *Inst { return c.branch(in, !c.cf()) },
	func(c *CPU, in *Inst) *Inst { return c.branch(in, c.zf()) },
	func(c *CPU, in *Inst) *Inst { return c.branch(in, !c.zf()) },
	func(c *CPU, in *Inst) *Inst { return c.branch(in, c.cf() || c.zf()) },
	func(c *CPU, in *Inst) *Inst { return c.branch(in, !c.cf() && !c.zf()) },
	func(c *CPU, in *Inst) *Inst { return c.branch(in, c.sf()) },
	func(c *CPU, in *Inst) *Inst { return c.branch(in, !c.sf()) },
	func(c *CPU, in *Inst) *Inst { return c.branch(in, c.pf()) },
	func(c *CPU, in *Inst) *Inst { return c.branch(in, !c.pf()) },
	func(c *CPU, in *Inst) *Inst { return c.branch(in, c.sf() != c.of()) },
	func(c *CPU, in *Inst) *Inst { return c.branch(in, c.sf() == c.of()) },
	func(c *CPU, in *Inst) *Inst { return c.branch(in, c.zf() || c.sf() != c.of()) },
	func(c *CPU, in *Inst) *Inst { return c.branch(in, !c.zf() && c.sf() == c.of()) },
}

func (c *CPU) branch(in *Inst, take bool) *Inst {
	if take {
		if b := c.blk.taken; b != nil {
			return c.enter(b)
		}
		return c.takeSlow(in)
	}
	if b := c.blk.fall; b != nil {
		return c.enter(b)
	}
	return c.goTo(c.nextRIP(in), &c.blk.fall)
}

func (c *CPU) takeSlow(in *Inst) *Inst {
	rip := c.target(in)
	if !c.checkTarget(rip) {
		return c.fault(in)
	}
	return c.goTo(rip, &c.blk.taken)
}

func bindCall(in *Inst, d *decode.Inst) handler {
	a := &d.Args[0]
	if a.Kind == decode.KindRel {
		in.imm = uint64(d.Imm)
		if d.Mode == decode.Mode64 {
			return callRel64
		}
	}
	return call
}

func callRel64(c *CPU, in *Inst) *Inst {
	next := c.nextRIP(in)
	rip := next + in.imm
	sp := c.R[RSP] - 8
	if !c.pushAt(in, sp, next) || !c.checkTarget(rip) {
		return c.fault(in)
	}
	c.R[RSP] = sp
	if b := c.blk.taken; b != nil {
		return c.enter(b)
	}
	return c.goTo(rip, &c.blk.taken)
}

// call is every other near call. The target is checked when the return
// address has been stored, and then only RSP is as before.
func call(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	size := int(d.OpSize)
	if c.long {
		size = 8
	}
	var rip uint64
	if d.Args[0].Kind == decode.KindRel {
		rip = c.target(in)
	} else {
		var ok bool
		if rip, ok = c.arg(in, 0); !ok {
			return c.fault(in)
		}
	}
	sp := c.R[RSP]
	if !c.push(in, size, c.nextRIP(in)) {
		return c.fault(in)
	}
	if !c.checkTarget(rip) {
		c.R[RSP] = sp
		return c.fault(in)
	}
	return c.jump(rip)
}

func bindRet(in *Inst, d *decode.Inst) handler {
	in.imm = uint64(d.Imm) & 0xffff
	if d.Mode == decode.Mode64 {
		return ret64
	}
	return ret
}

func ret64(c *CPU, in *Inst) *Inst {
	sp := c.R[RSP]
	rip, ok := c.loadStack64(in, sp)
	if !ok {
		return c.fault(in)
	}
	if !canonical(rip) {
		return c.gp0(in)
	}
	c.R[RSP] = sp + 8 + in.imm
	return c.jump(rip)
}

func ret(c *CPU, in *Inst) *Inst {
	size := int(c.decoded(in).OpSize)
	rip, ok := c.peek(in, 0, size)
	if !ok || !c.checkTarget(rip) {
		return c.fault(in)
	}
	c.moveSP(uint64(size) + in.imm)
	return c.jump(rip)
}

// loop counts RCX down by the address size (SDM Vol. 2A, LOOP).
func loop(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	in.imm = uint64(d.Imm)
	size := int(d.AddrSize)
	n := (c.R[RCX] - 1) & mask(size)
	take := n != 0
	switch d.Op {
	case decode.LOOPE:
		take = take && c.zf()
	case decode.LOOPNE:
		take = take && !c.zf()
	}
	if take && !c.checkTarget(c.target(in)) {
		return c.fault(in)
	}
	c.setReg(RCX, size, n)
	return c.branch(in, take)
}

func jrcxz(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	in.imm = uint64(d.Imm)
	return c.branch(in, c.reg(RCX, int(d.AddrSize)) == 0)
}

// fuse lets the last two instructions of a block run as one when they are a
// comparison of registers or an immediate and a conditional branch.
func fuse(b *block) {
	n := len(b.dec)
	if n < 2 || b.dec[n-1].Op != decode.JCC {
		return
	}
	cmp, d := &b.insts[n-2], &b.dec[n-2]
	size := d.Args[0].Size
	if d.Args[0].Kind != decode.KindGPR || size < 4 {
		return
	}
	pairs := fusedPairs[b.dec[n-1].Cond][size/8]
	var fn handler
	switch {
	case d.Op == decode.CMP && d.Args[1].Kind == decode.KindGPR:
		fn = pairs[0]
	case d.Op == decode.CMP && d.Args[1].Kind == decode.KindImm:
		fn = pairs[1]
	case d.Op == decode.TEST && d.Args[1].Kind == decode.KindGPR:
		fn = pairs[2]
	}
	if fn != nil {
		b.plain, cmp.fn, cmp.fused = cmp.fn, fn, true
	}
}
