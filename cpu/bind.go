package cpu

import (
	"github.com/flipvisor/flipvisor/cpu/decode"
)

// binder chooses the handler for a decoded instruction and fills in what the
// handler reads from Inst beyond the memory operand.
type binder func(in *Inst, d *decode.Inst) handler

// binders says how each operation is executed; one that is missing stops the
// machine. The families are in the files named beside them.
var binders [decode.NumOps]binder

func init() {
	for _, family := range []map[decode.Op]binder{
		arithBinders,   // arith.go
		moveBinders,    // move.go
		shiftBinders,   // shift.go
		bitBinders,     // bit.go
		mulBinders,     // muldiv.go
		controlBinders, // control.go
		stackBinders,   // stack.go
		stringBinders,  // string.go
		flagBinders,    // flagops.go
		systemBinders,  // system.go
		farBinders,     // far.go
		ioBinders,      // io.go
		sseBinders,     // sse_*.go
		x87Binders,     // x87.go
		vmxBinders,     // vmx_insn.go
		xcrBinders,     // xcr.go
	} {
		for op, b := range family {
			if binders[op] != nil {
				panic("two handlers for " + op.String())
			}
			binders[op] = b
		}
	}
}

// fixed is the binder of an operation that has one handler, which finds its
// operands with arg and setArg.
func fixed(h handler) binder {
	return func(*Inst, *decode.Inst) handler { return h }
}

// Implemented says whether an operation can be executed.
func Implemented(op decode.Op) bool { return binders[op] != nil }

// bindBlock turns decoded instructions into bound ones.
func (c *CPU) bindBlock(b *block) {
	n := len(b.dec)
	b.insts = make([]Inst, n, n+1)
	offset := b.offset
	for i := range b.dec {
		d := &b.dec[i]
		in := &b.insts[i]
		in.offset, in.index, in.len = uint16(offset), uint8(i), d.Len
		bindMem(in, d)
		if d.IsBranch() {
			in.events |= eventBranch
		}
		if d.IsLoad() {
			in.events |= eventLoad
		}
		if d.IsStore() {
			in.events |= eventStore
		}
		b.events += packEvents(in.events)
		bind := binders[d.Op]
		switch {
		case c.absent(d):
			in.fn = undefined
		case bind == nil:
			in.fn = unimplemented
		default:
			in.fn = bind(in, d)
		}
		offset += uint64(d.Len)
	}
	b.n, b.size = int64(n), int64(n)
	if last := &b.dec[n-1]; !transfers(last) {
		b.insts = append(b.insts, Inst{fn: fallThrough, offset: uint16(offset), index: uint8(n)})
	}
	for i := range len(b.insts) - 1 {
		b.insts[i].next = &b.insts[i+1]
	}
	fuse(b)
}

func bindMem(in *Inst, d *decode.Inst) {
	m := &d.Mem
	in.base, in.idx = regZero, regZero
	if m.Base != decode.NoReg {
		in.base = m.Base
	}
	if m.Index != decode.NoReg {
		in.idx = m.Index
	}
	switch m.Scale {
	case 2:
		in.scale = 1
	case 4:
		in.scale = 2
	case 8:
		in.scale = 3
	}
	in.disp = m.Disp
	if m.RIPRel {
		in.base = regRIP
		in.disp += int64(in.offset) + int64(in.len)
	}
	in.seg = m.Seg
	in.addrSize = d.AddrSize
	in.slowAddress = d.Mode != decode.Mode64 || d.AddrSize != 8 || m.Seg >= FS
	for i := range d.Args {
		if d.Args[i].Kind == decode.KindMem {
			in.size = uint8(min(d.Args[i].Size, 64))
			in.memWrite = d.Args[i].Access&(decode.Write|decode.CondWrite) != 0
		}
	}
}

// transfers says that an instruction sets RIP itself in every case.
func transfers(d *decode.Inst) bool {
	switch d.Op {
	case decode.JMP, decode.JCC, decode.CALL, decode.RET, decode.JRCXZ,
		decode.LOOP, decode.LOOPE, decode.LOOPNE:
		return true
	}
	return false
}

// endsBlock says that what follows an instruction may be decoded, or must be
// looked at, under other conditions than it was.
func endsBlock(d *decode.Inst) bool {
	if binders[d.Op] == nil || d.IsControl() {
		return true
	}
	switch d.Op {
	case decode.MOVCR, decode.WRMSR, decode.IN, decode.OUT, decode.INS, decode.OUTS,
		decode.STI, decode.POPF, decode.LMSW, decode.CLTS, decode.INVLPG, decode.INVPCID,
		decode.LGDT, decode.LIDT, decode.LLDT, decode.LTR, decode.SERIALIZE:
		return true
	case decode.MOVSEG, decode.POP:
		return d.Args[0].Kind == decode.KindSeg
	}
	return false
}

// fallThrough ends a block whose last instruction goes on to the next one.
func fallThrough(c *CPU, in *Inst) *Inst {
	if b := c.blk.fall; b != nil {
		return c.enter(b)
	}
	return c.goTo(c.address(in), &c.blk.fall)
}

// goTo jumps to rip and remembers the block found there in link if the link
// needs no translation: the target is in this page.
func (c *CPU) goTo(rip uint64, link **block) *Inst {
	page := c.R[regRIP]
	if rip-page < 4096 {
		if b := c.find(c.fetchPhysical | (rip - page)); b != nil {
			*link = b
			return c.enter(b)
		}
	}
	return c.jump(rip)
}

// unimplemented stops the machine, by name, at an instruction that cannot be
// executed, unless the architecture has an exception for it first: without
// CR4.OSXSAVE there are no VEX- and EVEX-encoded vector instructions (SDM
// Vol. 2A, 2.4), and CR0.EM and CR0.TS keep x87, MMX and SSE from use (Vol.
// 3A, table 2-2).
func unimplemented(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	var touches decode.Effects
	d.Effects(&touches)
	vector, mmx := false, false
	for i := range d.Args {
		switch d.Args[i].Kind {
		case decode.KindXMM, decode.KindYMM, decode.KindOpmask:
			vector = true
		case decode.KindMMX:
			mmx = true
		}
	}
	switch {
	case (d.EVEX || d.VEX && vector) && c.CR4&CR4OSXSAVE == 0:
		return c.ud(in)
	case vector && c.sseOff:
		return c.sseUnavailable(in)
	case mmx && c.CR0&CR0EM != 0:
		return c.ud(in)
	case (mmx || (touches.Read.Sys|touches.Write.Sys|touches.CondWrite.Sys)&decode.SysX87 != 0) && c.CR0&(CR0EM|CR0TS) != 0:
		return c.raise(in, VectorNM)
	}
	c.unwind(in)
	linear := c.RIP
	if !c.long {
		linear += c.Seg[CS].Base
	}
	e := &UnimplementedError{RIP: c.RIP, Text: d.Text(c.RIP, nil)}
	for i := range uint64(d.Len) {
		if pa, ok := c.MMU.Translate(&c.regime, linear+i); ok {
			e.Bytes = append(e.Bytes, uint8(c.MMU.Mem.Read(pa, 1)))
		}
	}
	c.stop, c.stopErr = StopError, e
	return nil
}

// decoded is the full description of an instruction of the current block.
func (c *CPU) decoded(in *Inst) *decode.Inst { return &c.blk.dec[in.index] }

// Register operands by width. 32-bit results clear the upper half
// (SDM Vol. 1, 3.4.1.1).

func (c *CPU) reg8(r uint8) uint64 { return c.R[r&15] >> (r & 16 >> 1) & 0xff }

func (c *CPU) setReg8(r uint8, v uint64) {
	sh := r & 16 >> 1
	p := &c.R[r&15]
	*p = *p&^(0xff<<sh) | v&0xff<<sh
}

func (c *CPU) setReg16(r uint8, v uint64) {
	p := &c.R[r&31]
	*p = *p&^0xffff | v&0xffff
}

func (c *CPU) reg(r uint8, size int) uint64 {
	switch size {
	case 1:
		return c.reg8(r)
	case 2:
		return c.R[r&31] & 0xffff
	case 4:
		return c.R[r&31] & 0xffffffff
	}
	return c.R[r&31]
}

func (c *CPU) setReg(r uint8, size int, v uint64) {
	switch size {
	case 1:
		c.setReg8(r, v)
	case 2:
		c.setReg16(r, v)
	case 4:
		c.R[r&31] = v & 0xffffffff
	default:
		c.R[r&31] = v
	}
}

// regOf is the register number of an operand as handlers use it.
func regOf(a *decode.Arg) uint8 {
	if a.High {
		return a.Reg | 16
	}
	return a.Reg
}

// arg reads operand i, zero-extended; an immediate is sign-extended. It
// serves the handlers that are not worth a form for each kind and width.
func (c *CPU) arg(in *Inst, i int) (uint64, bool) {
	d := c.decoded(in)
	switch a := &d.Args[i]; a.Kind {
	case decode.KindGPR:
		return c.reg(regOf(a), int(a.Size)), true
	case decode.KindMem:
		if a.Access&(decode.Write|decode.CondWrite) != 0 {
			return c.loadRMW(in, c.ea(in), int(a.Size))
		}
		return c.load(in, c.ea(in), int(a.Size))
	case decode.KindImm2:
		return uint64(d.Imm2), true
	default:
		return uint64(d.Imm), true
	}
}

// setArg writes operand i.
func (c *CPU) setArg(in *Inst, i int, v uint64) bool {
	d := c.decoded(in)
	a := &d.Args[i]
	if a.Kind == decode.KindMem {
		return c.store(in, c.ea(in), int(a.Size), v)
	}
	c.setReg(regOf(a), int(a.Size), v)
	return true
}

// mask is the low size bytes.
func mask(size int) uint64 { return ^uint64(0) >> (64 - 8*size) }

// signExtend extends the low size bytes.
func signExtend(v uint64, size int) uint64 {
	sh := 64 - 8*size
	return uint64(int64(v<<sh) >> sh)
}
