package cpu

import "github.com/flipvisor/flipvisor/cpu/decode"

var stringBinders = map[decode.Op]binder{
	decode.MOVS: fixed(stringOp),
	decode.CMPS: fixed(stringOp),
	decode.STOS: fixed(stringOp),
	decode.LODS: fixed(stringOp),
	decode.SCAS: fixed(stringOp),
	decode.INS:  fixed(stringOp),
	decode.OUTS: fixed(stringOp),
}

// maxIterations is how often a repeated string instruction repeats before it
// lets time pass: it then begins again at the same RIP, as after an
// interrupt between two iterations (SDM Vol. 2B, REP).
const maxIterations = 1 << 14

// stringOp executes a string instruction with or without a repeat prefix.
// Registers are updated after each iteration, so that a fault in the middle
// leaves the instruction restartable.
func stringOp(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	s := stringState{
		op: d.Op, size: int(d.OpSize), addr: int(d.AddrSize), seg: in.seg,
		step: uint64(d.OpSize),
	}
	if c.rflags&FlagDF != 0 {
		s.step = -s.step
	}
	if d.Op == decode.INS || d.Op == decode.OUTS {
		return c.stringIO(in, &s)
	}
	if d.Rep == decode.RepNone {
		if !c.iterate(in, &s) {
			return c.fault(in)
		}
		return in.next
	}
	conditional := d.Op == decode.CMPS || d.Op == decode.SCAS
	c.extendCounters(&s)
	// Until a repeated comparison completes, the flags stay what they were
	// (SDM Vol. 2B, REP).
	result, carry := c.flagResult, c.flagCarry
	single := c.rflags&FlagTF != 0 || c.vmx.ctl.proc&procMTF != 0
	for i := 0; ; i++ {
		n := c.reg(RCX, s.addr)
		if n == 0 {
			c.repeated(&s, i)
			return in.next
		}
		if i == maxIterations || single && i == 1 || c.trap != nil || c.reserve != 0 || i > 0 && (c.dataHits != 0 || c.blk.dead()) {
			c.repeated(&s, i)
			c.flagResult, c.flagCarry = result, carry
			return c.again(in)
		}
		if !conditional && !single {
			if k := c.iterateBulk(&s, min(n, uint64(maxIterations-i))); k > 0 {
				c.setReg(RCX, s.addr, n-k)
				i += int(k) - 1
				continue
			}
		}
		if !c.iterate(in, &s) {
			c.repeated(&s, i)
			c.flagResult, c.flagCarry = result, carry
			return c.fault(in)
		}
		c.setReg(RCX, s.addr, n-1)
		if conditional && c.zf() != (d.Rep == decode.RepZ) {
			c.repeated(&s, i+1)
			return in.next
		}
	}
}

// extendCounters clears the upper halves of the counter, and of the pointers
// of MOVS and STOS, when a repeated instruction uses their lower halves: also
// for a count of zero, as Intel's processors do.
func (c *CPU) extendCounters(s *stringState) {
	if !c.long || s.addr != 4 {
		return
	}
	c.R[RCX] &= 0xffffffff
	if s.op == decode.MOVS || s.op == decode.STOS {
		c.advanceBy(s, 0)
	}
}

// again ends the block at in, to be executed further after a look around.
// What it did so far counts as an instruction in time, but did not retire.
// RF is set until it is complete, for an event between two iterations to save
// (SDM Vol. 3B, 17.3.1.1), and so that it meets an instruction breakpoint once.
func (c *CPU) again(in *Inst) *Inst {
	c.leaveAt(in)
	c.RIP = c.address(in)
	c.notRetired++
	c.rflags |= FlagRF
	c.updateSlow()
	return nil
}

// repeated counts the loads and stores of i iterations; one of each is in
// the instruction's own events.
func (c *CPU) repeated(s *stringState, i int) {
	if i <= 1 {
		return
	}
	switch s.op {
	case decode.MOVS:
		c.pmu.extraLoads += uint64(i - 1)
		c.pmu.extraStores += uint64(i - 1)
	case decode.STOS:
		c.pmu.extraStores += uint64(i - 1)
	default:
		c.pmu.extraLoads += uint64(i - 1)
	}
}

// stringState is what the iterations of one string instruction share.
type stringState struct {
	op   decode.Op
	size int // of an element
	addr int // address size
	seg  uint8
	step uint64
}

func (c *CPU) sourceAddress(s *stringState) uint64 {
	return c.linear(s.seg, c.reg(RSI, s.addr), uint64(s.size), false)
}

func (c *CPU) destAddress(s *stringState, write bool) uint64 {
	return c.linear(ES, c.reg(RDI, s.addr), uint64(s.size), write)
}

// destInst stands for an access through ES.
var destInst = Inst{seg: ES}

// iterate does one iteration; false means a fault and no change.
func (c *CPU) iterate(in *Inst, s *stringState) bool {
	switch s.op {
	case decode.MOVS:
		v, ok := c.load(in, c.sourceAddress(s), s.size)
		if !ok || !c.storeDest(in, s, v) {
			return false
		}
	case decode.STOS:
		if !c.storeDest(in, s, c.R[RAX]) {
			return false
		}
	case decode.LODS:
		v, ok := c.load(in, c.sourceAddress(s), s.size)
		if !ok {
			return false
		}
		c.setReg(RAX, s.size, v)
	case decode.CMPS:
		b, ok := c.loadDest(in, s) // first, as faults tell
		if !ok {
			return false
		}
		a, ok := c.load(in, c.sourceAddress(s), s.size)
		if !ok {
			return false
		}
		c.subSized(a, b, s.size)
	case decode.SCAS:
		b, ok := c.loadDest(in, s)
		if !ok {
			return false
		}
		c.subSized(c.reg(RAX, s.size), b, s.size)
	}
	c.advance(s)
	return true
}

func (c *CPU) storeDest(in *Inst, s *stringState, v uint64) bool {
	va := c.destAddress(s, true)
	return c.checkLinear(&destInst, va, uint64(s.size)) && c.store(in, va, s.size, v)
}

func (c *CPU) loadDest(in *Inst, s *stringState) (uint64, bool) {
	va := c.destAddress(s, false)
	if !c.checkLinear(&destInst, va, uint64(s.size)) {
		return 0, false
	}
	return c.load(in, va, s.size)
}

// advance moves the index registers that the instruction uses.
func (c *CPU) advance(s *stringState) { c.advanceBy(s, s.step) }

func (c *CPU) advanceBy(s *stringState, by uint64) {
	if s.op != decode.STOS && s.op != decode.SCAS && s.op != decode.INS {
		c.setReg(RSI, s.addr, c.reg(RSI, s.addr)+by)
	}
	if s.op != decode.LODS && s.op != decode.OUTS {
		c.setReg(RDI, s.addr, c.reg(RDI, s.addr)+by)
	}
}

// iterateBulk does up to n iterations of an upward MOVS or STOS at once when
// both operands lie in pages the fast arrays hold. It returns how many it
// did; 0 sends the caller to the general way.
func (c *CPU) iterateBulk(s *stringState, n uint64) uint64 {
	if s.step != uint64(s.size) || s.addr != 8 || s.op == decode.LODS {
		return 0
	}
	size := uint64(s.size)
	di := c.R[RDI]
	w := &c.wr[di>>12%uint64(len(c.wr))]
	if w.Tag != di&^0xfff || !c.long {
		return 0
	}
	n = min(n, (4096-di&0xfff)/size)
	if s.op == decode.MOVS {
		si := c.linear(s.seg, c.R[RSI], size, false)
		r := &c.rd[si>>12%uint64(len(c.rd))]
		if r.Tag != si&^0xfff {
			return 0
		}
		n = min(n, (4096-si&0xfff)/size)
		src, dst := r.Data[si&0xfff:][:n*size], w.Data[di&0xfff:][:n*size]
		if r.Data == w.Data && si&0xfff < di&0xfff && di&0xfff-si&0xfff < n*size {
			return 0 // an overlap that later iterations see
		}
		copy(dst, src)
	} else {
		dst := w.Data[di&0xfff:][:n*size]
		fill(dst, c.R[RAX], s.size)
	}
	if n > 0 {
		c.advanceBy(s, n*size)
	}
	return n
}

func fill(dst []byte, v uint64, size int) {
	var pattern [8]byte
	le.PutUint64(pattern[:], v)
	for i := 0; i < len(dst); i += size {
		copy(dst[i:], pattern[:size])
	}
}
