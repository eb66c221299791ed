package cpu

import (
	"github.com/flipvisor/flipvisor/cpu/decode"
	"github.com/flipvisor/flipvisor/cpu/sse"
)

// sseBinders are the SSE and SSE2 instructions: moves here, arithmetic in
// sse_float.go and sse_int.go, which also have the MMX forms.
var sseBinders = join(sseMoveBinders, sseFloatBinders, sseIntBinders, sseExtBinders, fxBinders)

func join(families ...map[decode.Op]binder) map[decode.Op]binder {
	all := make(map[decode.Op]binder)
	for _, f := range families {
		for op, b := range f {
			all[op] = b
		}
	}
	return all
}

// sseUnavailable raises what an SSE instruction raises when the system does
// not provide for it (SDM Vol. 3A, table 13-1).
func (c *CPU) sseUnavailable(in *Inst) *Inst {
	if c.CR0&CR0EM != 0 || c.CR4&CR4OSFXSR == 0 {
		return c.ud(in)
	}
	return c.raise(in, VectorNM)
}

// aligned says whether an operand must lie on a 16-byte boundary: all of 16
// bytes but those of the moves named unaligned.
func aligned(d *decode.Inst) bool {
	switch d.Op {
	case decode.MOVUPS, decode.MOVUPD, decode.MOVDQU, decode.LDDQU,
		decode.PCMPESTRI, decode.PCMPESTRM, decode.PCMPISTRI, decode.PCMPISTRM:
		return false
	}
	for i := range d.Args {
		if a := &d.Args[i]; a.Kind == decode.KindMem {
			return a.Size == 16
		}
	}
	return false
}

// loadOperand reads a vector operand from memory, of 16 bytes or fewer, in the low part.
func (c *CPU) loadOperand(in *Inst) (x XMM, ok bool) {
	va := c.ea(in)
	switch in.size {
	case 16:
		if va&15 != 0 && !in.unaligned {
			return x, c.excCode(VectorGP, 0)
		}
		return c.loadX(in, va)
	case 8:
		x.Lo, ok = c.load64(in, va)
	case 4:
		x.Lo, ok = c.load32(in, va)
	default:
		x.Lo, ok = c.load(in, va, int(in.size))
	}
	return x, ok
}

func (c *CPU) storeOperand(in *Inst, x XMM) bool {
	va := c.ea(in)
	if in.size == 16 {
		if va&15 != 0 && !in.unaligned {
			return c.excCode(VectorGP, 0)
		}
		return c.storeX(in, va, x)
	}
	return c.store(in, va, int(in.size), x.Lo)
}

// bindVector fills in dst and src for two vector operands and says whether
// the source, or with toMem the destination, is memory.
func bindVector(in *Inst, d *decode.Inst) (fromMem, toMem bool) {
	in.unaligned = !aligned(d)
	in.imm = uint64(d.Imm)
	in.dst, in.src = d.Args[0].Reg&15, d.Args[1].Reg&15
	return d.Args[1].Kind == decode.KindMem, d.Args[0].Kind == decode.KindMem
}

var sseMoveBinders = map[decode.Op]binder{
	decode.MOVAPS:  bindMoveX,
	decode.MOVAPD:  bindMoveX,
	decode.MOVUPS:  bindMoveX,
	decode.MOVUPD:  bindMoveX,
	decode.MOVDQA:  bindMoveX,
	decode.MOVDQU:  bindMoveX,
	decode.LDDQU:   bindMoveX,
	decode.MOVNTPS: bindMoveX,
	decode.MOVNTPD: bindMoveX,
	decode.MOVNTDQ: bindMoveX,

	decode.MOVSS: bindMoveScalar(4),
	decode.MOVSD: bindMoveScalar(8),

	decode.MOVLPS:  bindMoveHalf(func(d, s XMM) XMM { return XMM{Lo: s.Lo, Hi: d.Hi} }, false),
	decode.MOVLPD:  bindMoveHalf(func(d, s XMM) XMM { return XMM{Lo: s.Lo, Hi: d.Hi} }, false),
	decode.MOVHPS:  bindMoveHalf(func(d, s XMM) XMM { return XMM{Lo: d.Lo, Hi: s.Lo} }, true),
	decode.MOVHPD:  bindMoveHalf(func(d, s XMM) XMM { return XMM{Lo: d.Lo, Hi: s.Lo} }, true),
	decode.MOVHLPS: bindPure(func(d, s XMM) XMM { return XMM{Lo: s.Hi, Hi: d.Hi} }),
	decode.MOVLHPS: bindPure(func(d, s XMM) XMM { return XMM{Lo: d.Lo, Hi: s.Lo} }),

	decode.MOVD: fixed(movd),
	decode.MOVQ: fixed(movq),

	decode.MOVDQ2Q: fixed(movdq2q),
	decode.MOVQ2DQ: fixed(movq2dq),
	decode.MOVNTQ:  fixed(movq),

	decode.MOVMSKPS: fixed(movmsk),
	decode.MOVMSKPD: fixed(movmsk),

	decode.MASKMOVDQU: fixed(maskmov),
	decode.MASKMOVQ:   fixed(maskmov),

	decode.LDMXCSR: fixed(ldmxcsr),
	decode.STMXCSR: fixed(stmxcsr),
}

func bindMoveX(in *Inst, d *decode.Inst) handler {
	fromMem, toMem := bindVector(in, d)
	switch {
	case fromMem:
		return func(c *CPU, in *Inst) *Inst {
			if c.sseOff {
				return c.sseUnavailable(in)
			}
			x, ok := c.loadOperand(in)
			if !ok {
				return c.fault(in)
			}
			c.X[in.dst&15] = x
			return in.next
		}
	case toMem:
		return func(c *CPU, in *Inst) *Inst {
			if c.sseOff {
				return c.sseUnavailable(in)
			}
			if !c.storeOperand(in, c.X[in.src&15]) {
				return c.fault(in)
			}
			return in.next
		}
	}
	return func(c *CPU, in *Inst) *Inst {
		if c.sseOff {
			return c.sseUnavailable(in)
		}
		c.X[in.dst&15] = c.X[in.src&15]
		return in.next
	}
}

// bindMoveScalar: a load clears the rest of the register, a move between
// registers keeps it.
func bindMoveScalar(size int) binder {
	return func(in *Inst, d *decode.Inst) handler {
		fromMem, toMem := bindVector(in, d)
		if fromMem || toMem {
			return bindMoveX(in, d)
		}
		m := mask(size)
		return func(c *CPU, in *Inst) *Inst {
			if c.sseOff {
				return c.sseUnavailable(in)
			}
			x := &c.X[in.dst&15]
			x.Lo = x.Lo&^m | c.X[in.src&15].Lo&m
			return in.next
		}
	}
}

// bindMoveHalf is MOVLPS, MOVHPS and their doubles: memory operands only.
func bindMoveHalf(merge func(d, s XMM) XMM, high bool) binder {
	load := bindPure(merge)
	return func(in *Inst, d *decode.Inst) handler {
		if _, toMem := bindVector(in, d); !toMem {
			return load(in, d)
		}
		return func(c *CPU, in *Inst) *Inst {
			if c.sseOff {
				return c.sseUnavailable(in)
			}
			v := c.X[in.src&15].Lo
			if high {
				v = c.X[in.src&15].Hi
			}
			if !c.store64(in, c.ea(in), v) {
				return c.fault(in)
			}
			return in.next
		}
	}
}

// bindPure is an operation that raises no floating-point exception.
func bindPure(f func(d, s XMM) XMM) binder {
	return func(in *Inst, d *decode.Inst) handler {
		if fromMem, _ := bindVector(in, d); fromMem {
			return func(c *CPU, in *Inst) *Inst {
				if c.sseOff {
					return c.sseUnavailable(in)
				}
				s, ok := c.loadOperand(in)
				if !ok {
					return c.fault(in)
				}
				x := &c.X[in.dst&15]
				*x = f(*x, s)
				return in.next
			}
		}
		return func(c *CPU, in *Inst) *Inst {
			if c.sseOff {
				return c.sseUnavailable(in)
			}
			x := &c.X[in.dst&15]
			*x = f(*x, c.X[in.src&15])
			return in.next
		}
	}
}

// bindPureImm is the same with an immediate byte.
func bindPureImm(f func(d, s XMM, imm uint8) XMM) binder {
	return func(in *Inst, d *decode.Inst) handler {
		imm := uint8(d.Imm)
		return bindPure(func(d, s XMM) XMM { return f(d, s, imm) })(in, d)
	}
}

// MMX registers are the significands of the x87 registers, by number and not
// by stack position (SDM Vol. 1, 9.2).

func (c *CPU) mmx(r uint8) uint64 { return c.FPU.R[r&7].Significand }

func (c *CPU) setMMX(r uint8, v uint64) { c.FPU.R[r&7] = ST{Significand: v, SignExponent: 0xffff} }

// mmxReady raises what an MMX instruction raises before it does anything.
func (c *CPU) mmxReady() bool {
	switch {
	case c.CR0&CR0EM != 0:
		c.exc = Exception{Vector: VectorUD}
	case c.CR0&CR0TS != 0:
		c.exc = Exception{Vector: VectorNM}
	case c.FPU.pending():
		c.exc = Exception{Vector: VectorMF}
	default:
		return true
	}
	return false
}

// enterMMX puts the x87 unit into MMX use, which an MMX instruction does when
// it completes, whether it writes an MMX register or only reads one.
func (c *CPU) enterMMX() {
	c.FPU.FSW &^= 7 << 11 // TOP
	c.FPU.Tag = 0xff
}

// pending says whether an unmasked x87 exception waits to be raised.
func (f *X87) pending() bool { return f.FSW&^f.FCW&0x3f != 0 }

// sseReady is the check of instructions that have no fast form.
func (c *CPU) sseReady() bool {
	switch {
	case c.CR0&CR0EM != 0 || c.CR4&CR4OSFXSR == 0:
		c.exc = Exception{Vector: VectorUD}
	case c.CR0&CR0TS != 0:
		c.exc = Exception{Vector: VectorNM}
	default:
		return true
	}
	return false
}

// vectorReady checks for an instruction that exists for both kinds of
// register.
func (c *CPU) vectorReady(d *decode.Inst) bool {
	if hasMMX(d) {
		return c.mmxReady()
	}
	return c.sseReady()
}

// vectorDone completes such an instruction.
func (c *CPU) vectorDone(in *Inst, d *decode.Inst) *Inst {
	if hasMMX(d) {
		c.enterMMX()
	}
	return in.next
}

func hasMMX(d *decode.Inst) bool {
	for i := range d.Args {
		if d.Args[i].Kind == decode.KindMMX {
			return true
		}
	}
	return false
}

// low reads the low 64 bits of operand i, whatever its kind.
func (c *CPU) low(in *Inst, i int) (uint64, bool) {
	a := &c.decoded(in).Args[i]
	switch a.Kind {
	case decode.KindXMM:
		return c.X[a.Reg&15].Lo, true
	case decode.KindMMX:
		return c.mmx(a.Reg), true
	}
	return c.arg(in, i)
}

// setLow writes operand i; a vector register is cleared above.
func (c *CPU) setLow(in *Inst, i int, v uint64) bool {
	a := &c.decoded(in).Args[i]
	switch a.Kind {
	case decode.KindXMM:
		c.X[a.Reg&15] = XMM{Lo: v}
		return true
	case decode.KindMMX:
		c.setMMX(a.Reg, v)
		return true
	}
	if hasMMX(c.decoded(in)) {
		c.FPU.FSW &^= 7 << 11 // before the store can fault; the tags follow
	}
	return c.setArg(in, i, v)
}

// movd moves 32 bits, or 64 with REX.W.
func movd(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	if !c.vectorReady(d) {
		return c.fault(in)
	}
	v, ok := c.low(in, 1)
	if ok {
		n := 4
		for i := range 2 {
			if a := &d.Args[i]; a.Kind == decode.KindGPR || a.Kind == decode.KindMem {
				n = int(a.Size)
			}
		}
		ok = c.setLow(in, 0, v&mask(n))
	}
	if !ok {
		return c.fault(in)
	}
	return c.vectorDone(in, d)
}

func movq(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	if !c.vectorReady(d) {
		return c.fault(in)
	}
	v, ok := c.low(in, 1)
	if !ok || !c.setLow(in, 0, v) {
		return c.fault(in)
	}
	return c.vectorDone(in, d)
}

func movdq2q(c *CPU, in *Inst) *Inst {
	if !c.sseReady() || !c.mmxReady() {
		return c.fault(in)
	}
	d := c.decoded(in)
	c.setMMX(d.Args[0].Reg, c.X[d.Args[1].Reg&15].Lo)
	c.enterMMX()
	return in.next
}

func movq2dq(c *CPU, in *Inst) *Inst {
	if !c.sseReady() || !c.mmxReady() {
		return c.fault(in)
	}
	d := c.decoded(in)
	c.X[d.Args[0].Reg&15] = XMM{Lo: c.mmx(d.Args[1].Reg)}
	c.enterMMX()
	return in.next
}

func movmsk(c *CPU, in *Inst) *Inst {
	if !c.sseReady() {
		return c.fault(in)
	}
	d := c.decoded(in)
	x := c.X[d.Args[1].Reg&15]
	v := x.Lo>>63 | x.Hi>>63<<1
	if d.Op == decode.MOVMSKPS {
		v = x.Lo>>31&1 | x.Lo>>63<<1 | x.Hi>>31&1<<2 | x.Hi>>63<<3
	}
	c.R[d.Args[0].Reg&15] = v
	return in.next
}

// maskmov stores the bytes whose mask byte has its top bit set, at DS:rDI.
// All of the operand must be writable, whatever the mask; of 16 bytes Intel's
// processors check the upper 8 first.
func maskmov(c *CPU, in *Inst) *Inst {
	d := c.decoded(in)
	if !c.vectorReady(d) {
		return c.fault(in)
	}
	var data, m XMM // the first register operand is the data
	n := uint64(16)
	if hasMMX(d) {
		n = 8
		data.Lo, m.Lo = c.mmx(d.Args[0].Reg), c.mmx(d.Args[1].Reg)
	} else {
		data, m = c.X[d.Args[0].Reg&15], c.X[d.Args[1].Reg&15]
	}
	a := c.reg(RDI, int(d.AddrSize))
	half := func(off uint64) (va uint64, ok bool) {
		va = c.linear(d.Mem.Seg, (a+off)&mask(int(d.AddrSize)), 8, true)
		return va, c.probeStore(in, va, 8)
	}
	if n == 8 {
		c.enterMMX() // even if a fault comes of it
	} else if _, ok := half(8); !ok {
		return c.fault(in)
	}
	va, ok := half(0)
	if !ok {
		return c.fault(in)
	}
	for i := range n {
		if maskByte(m, int(i)) >= 0x80 {
			c.store8(in, c.wrap(va+i), uint64(maskByte(data, int(i))))
		}
	}
	return in.next
}

func maskByte(x XMM, i int) uint8 {
	if i < 8 {
		return uint8(x.Lo >> (8 * i))
	}
	return uint8(x.Hi >> (8 * (i - 8)))
}

// mxcsrMask has the bits of MXCSR that exist.
const mxcsrMask = 0xffff

func ldmxcsr(c *CPU, in *Inst) *Inst {
	if !c.sseReady() {
		return c.fault(in)
	}
	v, ok := c.load32(in, c.ea(in))
	if !ok {
		return c.fault(in)
	}
	if v&^mxcsrMask != 0 {
		return c.gp0(in)
	}
	c.MXCSR = uint32(v)
	return in.next
}

func stmxcsr(c *CPU, in *Inst) *Inst {
	if !c.sseReady() || !c.store32(in, c.ea(in), uint64(c.MXCSR)) {
		return c.fault(in)
	}
	return in.next
}

// accept notes the flags of a floating-point operation and says whether its
// result may be stored; if not, c.exc is #XM, or #UD without OSXMMEXCPT.
func (c *CPU) accept(f sse.Flags) bool {
	if f == 0 {
		return true
	}
	control := sse.Control(c.MXCSR)
	c.MXCSR |= uint32(f)
	if !control.Unmasked(f) {
		return true
	}
	c.exc = Exception{Vector: VectorXM}
	if c.CR4&CR4OSXMMEXCPT == 0 {
		c.exc.Vector = VectorUD
	}
	return false
}
