package difftest

import (
	"encoding/binary"

	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/cpu/decode"
)

// Sequences are programs of straight code, skips, bounded loops, calls and
// changes to their own code. They end at an INT3. A few registers are set
// aside: RSP, RBP, RSI and RDI point into the data area all the time, and a
// loop has its counter.
//
// What the architecture leaves undefined must not find its way into what is
// compared. So the writer keeps the set of flags that are undefined at each
// point, and puts a comparison before an instruction that would read one.

// Mark is what is undefined before the instruction at an address.
type Mark struct {
	RIP   uint64
	Undef uint32
}

// writer writes a sequence.
type writer struct {
	generator
	pool     map[decode.Op][]*Form
	ops      []decode.Op
	code     []byte
	undef    uint32
	marks    []Mark
	reserved uint32 // registers that must keep their values
	depth    int
	calls    int // RET must find its address: no PUSH or POP
}

// Pool is the forms that sequences are made of.
type Pool struct {
	mode decode.Mode
	ops  []decode.Op
	of   map[decode.Op][]*Form
}

// NewPool chooses among the forms of a mode.
func NewPool(mode decode.Mode) *Pool {
	p := &Pool{mode: mode, of: make(map[decode.Op][]*Form)}
	for _, f := range Forms(mode) {
		op := f.Key.op
		if !inSequences(op) {
			continue
		}
		if p.of[op] == nil {
			p.ops = append(p.ops, op)
		}
		p.of[op] = append(p.of[op], f)
	}
	return p
}

// inSequences leaves out what ends a program, what cannot be told apart from
// that, and what is approximate.
func inSequences(op decode.Op) bool {
	switch op {
	case decode.JMP, decode.JCC, decode.CALL, decode.RET, decode.LOOP, decode.LOOPE, decode.LOOPNE, decode.JRCXZ,
		decode.JMPFAR, decode.CALLFAR, decode.RETFAR, decode.IRET, decode.INT, decode.INT3, decode.INT1, decode.INTO, decode.BOUND,
		decode.ENTER, decode.LEAVE, decode.POPF, decode.POPA, decode.MOVSEG, decode.LDS, decode.LES, decode.LFS, decode.LGS, decode.LSS,
		decode.FXRSTOR, decode.LDMXCSR, decode.FLDCW, decode.WRFSBASE, decode.WRGSBASE, decode.XLAT, decode.MASKMOVQ, decode.MASKMOVDQU,
		decode.RCPPS, decode.RCPSS, decode.RSQRTPS, decode.RSQRTSS,
		decode.UD0, decode.UD1, decode.UD2, decode.IN, decode.OUT, decode.INS, decode.OUTS, decode.MOVCR, decode.MOVDR,
		decode.HLT, decode.CLI, decode.STI, decode.CLTS, decode.LMSW, decode.LGDT, decode.LIDT, decode.LLDT, decode.LTR,
		decode.RDMSR, decode.WRMSR, decode.INVD, decode.WBINVD, decode.WBNOINVD, decode.INVLPG, decode.INVPCID, decode.SWAPGS,
		decode.LAR, decode.LSL, decode.VERR, decode.VERW, decode.SYSRET, decode.SYSEXIT, decode.MONITOR, decode.MWAIT, decode.CLAC, decode.STAC,
		decode.VMXON, decode.VMXOFF, decode.VMCLEAR, decode.VMPTRLD, decode.VMPTRST, decode.VMREAD, decode.VMWRITE,
		decode.VMLAUNCH, decode.VMRESUME, decode.INVEPT, decode.INVVPID:
		return false
	}
	return true
}

// Sequence makes the program that a seed stands for.
func (p *Pool) Sequence(seed uint64) *Case {
	w := &writer{pool: p.of, ops: p.ops}
	w.rnd, w.mode = newRnd(seed), p.mode
	w.c = &Case{Mode: p.mode, Seed: seed, Flavor: Continue, Vector: true, Limit: 50_000}
	in := &w.c.In
	in.Seg = [6]uint16{selData, selCode64, selData, selData, 0, 0}
	if p.mode == decode.Mode32 {
		in.Seg[cpu.CS] = selCode32
	}
	w.registers()
	for i := range in.XMM {
		in.XMM[i] = w.vector(anyLanes)
	}
	for i := range in.ST {
		in.ST[i] = cpu.ST{Significand: w.word(intLanes)}
	}
	in.Flags &^= cpu.FlagNT | cpu.FlagAC
	if w.one(32) {
		in.Flags |= cpu.FlagAC
	}
	in.Tag = uint8(w.Uint64())
	in.MXCSR = w.mxcsr()
	if !w.one(8) {
		in.MXCSR |= 0x1F80
	}
	for _, r := range [...]int{cpu.RSP, cpu.RBP, cpu.RSI, cpu.RDI} {
		in.GPR[r] = dataBase + 0x400 + w.Uint64N(0x100)*16
		w.reserved |= 1 << r
	}
	in.GPR[cpu.RSP] = dataBase + 0x1A00 + w.Uint64N(0x40)*16 // away from what others write
	in.RIP = codeBase + pick(w.rnd, 0x100, pageSize-w.Uint64N(200), pageSize-w.Uint64N(40), w.Uint64N(pageSize))
	w.body(5 + w.IntN(46))
	w.marks = append(w.marks, Mark{w.here(), w.undef})
	w.c.End, w.c.Marks = w.here(), w.marks
	w.c.Code = append(w.code, 0xCC)
	for range 6 {
		w.patch64(dataBase+w.Uint64N(areaSize), w.word(anyLanes), 8)
	}
	if p.mode != decode.Mode64 {
		for i := range in.GPR {
			in.GPR[i] &= 0xFFFFFFFF
		}
		clear(in.GPR[8:])
	}
	return w.c
}

// here is the address of what is written next.
func (w *writer) here() uint64 { return w.c.In.RIP + uint64(len(w.code)) }

func (w *writer) put(b ...byte) { w.code = append(w.code, b...) }

func (w *writer) put32(v uint32) { w.code = binary.LittleEndian.AppendUint32(w.code, v) }

// note says that an instruction with no undefined results is written here.
func (w *writer) note() { w.marks = append(w.marks, Mark{w.here(), w.undef}) }

// scratch is a register that may change, among those without REX.
func (w *writer) scratch() byte {
	for {
		if r := w.IntN(8); w.reserved>>r&1 == 0 {
			return byte(r)
		}
	}
}

// body writes about n instructions.
func (w *writer) body(n int) {
	for n > 0 && len(w.code) < 900 {
		switch k := w.IntN(40); {
		case k < 3 && w.depth < 3:
			w.skip()
			n -= 3
		case k == 3 && w.depth == 0 && n > 4:
			w.loop(min(n, 3+w.IntN(12)))
			n -= 8
		case k == 4 && w.depth < 2:
			w.call()
			n -= 4
		case k == 5:
			w.selfModify()
			n -= 2
		case k == 6:
			w.note()
			w.put(0xB8 | w.scratch()) // MOV r32, imm32
			w.put32(uint32(w.integer()))
			n--
		case k == 7 && w.one(2):
			w.control()
			n -= 2
		default:
			w.plain()
			n--
		}
	}
}

// control changes flags or MXCSR as a whole.
func (w *writer) control() {
	w.note()
	if w.calls == 0 && w.one(2) {
		flags := w.Uint32() & (flagsStatus | cpu.FlagDF)
		if w.one(6) {
			flags |= cpu.FlagAC
		}
		w.put(0x68) // PUSH
		w.put32(flags)
		w.note()
		w.put(0x9D) // POPF
		w.undef = 0
		return
	}
	w.put(0xC7, 0x45, 0x40) // MOV dword [rBP+40h]
	w.put32(w.mxcsr() | 0x1F80)
	w.note()
	w.put(0x0F, 0xAE, 0x55, 0x40) // LDMXCSR
}

// define writes CMP of two registers, which leaves no flag undefined.
func (w *writer) define() {
	w.note()
	w.wide()
	w.put(0x39, 0xC0|byte(w.IntN(64)))
	w.undef = 0
}

// wide writes a REX prefix for an operation that changes no register, now and
// then.
func (w *writer) wide() {
	if w.mode == decode.Mode64 && w.one(2) {
		w.put(0x40 | byte(w.IntN(16)))
	}
}

// skip is a condition and a branch over a few instructions, often as a pair
// of comparison and branch.
func (w *writer) skip() {
	switch w.IntN(4) {
	case 0:
		w.define()
	case 1:
		w.note()
		w.wide()
		w.put(0x83, 0xF8|byte(w.IntN(8)), byte(w.integer())) // CMP r, imm8
		w.undef = 0
	case 2:
		w.note()
		w.wide()
		w.put(0x85, 0xC0|byte(w.IntN(64))) // TEST
		w.undef = af
	default:
		if w.undef != 0 {
			w.define()
		}
	}
	w.note()
	cc := byte(w.IntN(16))
	wide := w.one(3)
	if wide {
		w.put(0x0F, 0x80|cc)
		w.put32(0)
	} else {
		w.put(0x70|cc, 0)
	}
	from, undef := len(w.code), w.undef
	w.depth++
	w.body(1 + w.IntN(3))
	w.depth--
	w.undef |= undef // one way or the other
	n := len(w.code) - from
	switch {
	case wide:
		binary.LittleEndian.PutUint32(w.code[from-4:], uint32(n))
	case n < 128:
		w.code[from-1] = byte(n)
	}
}

// loop repeats instructions a few times; sometimes as often as it takes for
// all of it to be linked.
func (w *writer) loop(n int) {
	counter := w.scratch()
	w.note()
	w.put(0xB8 | counter)
	w.put32(uint32(2 + w.IntN(20)))
	w.reserved |= 1 << counter
	head := w.here()
	w.define()
	w.depth++
	w.body(n)
	w.depth--
	w.note()
	w.put(0xFF, 0xC8|counter) // DEC
	w.undef &= cf
	w.note()
	w.put(0x0F, 0x85) // JNZ
	w.put32(uint32(head - w.here() - 4))
	w.reserved &^= 1 << counter
}

// call is a call of a few instructions that return, by a direct or an
// indirect call, and a jump around them.
func (w *writer) call() {
	w.note()
	if w.one(2) {
		w.put(0xE8)
		w.put32(5) // over the jump
	} else {
		r := w.scratch()
		w.put(0xB8 | r) // MOV r32, target
		at := len(w.code)
		w.put32(0)
		w.note()
		w.put(0xFF, 0xD0|r)
		binary.LittleEndian.PutUint32(w.code[at:], uint32(w.here()+5))
	}
	back := w.here()
	w.note()
	w.put(0xE9)
	w.put32(0)
	from := len(w.code)
	undef := w.undef
	w.depth++
	w.calls++
	w.body(1 + w.IntN(4))
	w.calls--
	w.depth--
	w.undef |= undef
	w.note()
	w.put(0xC3)
	w.marks = append(w.marks, Mark{back, w.undef})
	binary.LittleEndian.PutUint32(w.code[from-4:], uint32(len(w.code)-from))
}

// selfModify writes ADD, SUB or CMP with an immediate, and before it an
// instruction that changes the immediate or which of the three it is. Now
// and then something lies between them.
func (w *writer) selfModify() {
	w.c.Self = true
	kind := w.IntN(3)
	w.note()
	var at int // where the displacement lies
	switch kind {
	case 0: // MOV dword, imm32
		w.put(0xC7, 0x05)
	case 1: // INC byte
		w.put(0xFE, 0x05)
		w.undef &= cf
	default: // MOV byte, imm8
		w.put(0xC6, 0x05)
	}
	at = len(w.code)
	w.put32(0)
	reg := w.scratch()
	operation := func() byte { return 0xC0 | pick[byte](w.rnd, 0, 5, 7)<<3 | reg }
	switch kind {
	case 0:
		w.put32(uint32(w.integer()))
	case 2:
		w.put(operation())
	}
	after := w.here()
	for range w.IntN(3) {
		w.plain()
	}
	w.note()
	field := w.here() + 2
	w.put(0x81, operation())
	w.put32(uint32(w.integer()))
	w.undef = 0
	switch kind {
	case 1:
		field += w.Uint64N(4)
	case 2:
		field--
	}
	if w.mode == decode.Mode64 {
		field -= after
	}
	binary.LittleEndian.PutUint32(w.code[at:], uint32(field))
}

// plain writes one instruction of any form that fits.
func (w *writer) plain() {
	for {
		op := w.ops[w.IntN(len(w.ops))]
		if (op == decode.DIV || op == decode.IDIV || repeats(op)) && !w.one(4) {
			continue
		}
		forms := w.pool[op]
		f := forms[w.IntN(len(forms))]
		e := &f.Encodings[0]
		if w.one(3) {
			e = &f.Encodings[w.IntN(len(f.Encodings))]
		}
		if w.try(f, e) {
			return
		}
	}
}

// try writes an instruction if nothing is wrong with it.
func (w *writer) try(f *Form, e *encoding) bool {
	w.lock, w.stray = false, false
	k := &f.Key
	w.vvvv = k.vex
	b := w.encodeNear(f, e)
	var d decode.Inst
	if decode.DecodeInto(&d, b.code, w.mode) != nil {
		w.vvvv = false
		if b = w.encodeNear(f, e); decode.DecodeInto(&d, b.code, w.mode) != nil {
			return false
		}
	}
	if d.Op != k.op || !w.suits(&d) {
		return false
	}
	var fx decode.Effects
	d.Effects(&fx)
	for r := range 16 {
		if w.reserved>>r&1 != 0 && (fx.Write.GPR[r]|fx.CondWrite.GPR[r]) != 0 && !w.moves(&d, r) {
			return false
		}
	}
	undefined := undefinedFlags(d.Op) | fx.FlagsUndefined
	written := fx.FlagsWritten
	switch d.Op {
	case decode.SHL, decode.SHR, decode.SAR, decode.ROL, decode.ROR, decode.RCL, decode.RCR, decode.SHLD, decode.SHRD:
		undefined |= af | of
		if d.Op != decode.ROL && d.Op != decode.ROR && d.Op != decode.RCL && d.Op != decode.RCR && d.Args[0].Size < 4 {
			undefined |= cf
		}
		if (d.Op == decode.SHLD || d.Op == decode.SHRD) && d.Args[0].Size < 4 {
			return false
		}
	case decode.CMPS, decode.SCAS:
		if d.Rep != decode.RepNone {
			written = 0
		}
	}
	if fx.FlagsRead&w.undef != 0 {
		w.define()
		if fx.FlagsRead&w.undef != 0 {
			return false
		}
	}
	if d.Rep != decode.RepNone && repeats(d.Op) {
		if w.reserved>>cpu.RCX&1 != 0 {
			return false
		}
		w.note()
		w.put(0xB9) // MOV ECX, a few
		w.put32(uint32(w.IntN(6)))
	}
	if d.Mem.RIPRel { // encodeNear left the address itself
		target := binary.LittleEndian.Uint32(b.code[b.disp:])
		binary.LittleEndian.PutUint32(b.code[b.disp:], target-uint32(w.here())-uint32(d.Len))
	}
	w.note()
	w.put(b.code[:d.Len]...)
	w.undef = w.undef&^written | undefined
	return true
}

// suits leaves out operands that would lie anywhere, and loads of segments.
func (w *writer) suits(d *decode.Inst) bool {
	for i := range d.Args {
		switch a := &d.Args[i]; a.Kind {
		case decode.KindMem:
			if !d.HasModRM {
				return false
			}
			switch d.Op {
			case decode.BT, decode.BTS, decode.BTR, decode.BTC:
				return d.Args[1].Kind == decode.KindImm
			}
		case decode.KindSeg:
			return d.Op != decode.POP
		}
	}
	return true
}

// moves says that an instruction changes a pointer by a few bytes only.
func (w *writer) moves(d *decode.Inst, r int) bool {
	switch d.Op {
	case decode.PUSH, decode.POP, decode.PUSHF, decode.PUSHA:
		return r == cpu.RSP && d.Args[0].Reg != cpu.RSP && w.calls == 0
	case decode.MOVS, decode.CMPS, decode.STOS, decode.LODS, decode.SCAS:
		return r == cpu.RSI || r == cpu.RDI
	}
	return false
}

// encodeNear encodes with a memory operand near a pointer.
func (w *writer) encodeNear(f *Form, e *encoding) (b draft) {
	w.prefixes(&b, e)
	if w.p67 && w.mode != decode.Mode64 { // 16-bit addresses reach nothing
		b.code = b.code[:0]
	}
	for i := 0; i < len(b.code); i++ { // FS and GS have no segment outside 64-bit mode
		if (b.code[i] == 0x64 || b.code[i] == 0x65 || b.code[i] == 0x2E) && w.mode != decode.Mode64 {
			b.code[i] = 0x3E
		}
	}
	var r, base uint8
	reg, rm := e.reg, e.rm
	long := w.mode == decode.Mode64
	if !e.fixReg {
		reg = uint8(w.IntN(8))
		if long && w.one(2) {
			r = 1
		}
	}
	if !e.fixRM {
		rm = uint8(w.IntN(8))
	}
	if long && !e.mem && w.one(2) {
		base = 1
	}
	b.code = e.begin(b.code, r, 0, base, uint8(w.vexRegister(e)))
	switch {
	case !e.modrm:
	case !e.mem:
		b.code = append(b.code, 0xC0|reg<<3|rm)
	default:
		disp := uint32(w.IntN(0x100) - 0x80)
		odd := w.one(3)
		for _, a := range f.Key.args {
			if a.kind == decode.KindMem && a.size >= 16 {
				odd = w.one(32) // #GP, mostly
			}
		}
		if !odd {
			disp &^= 15
		}
		p := pick[byte](w.rnd, cpu.RBP, cpu.RSI, cpu.RDI, cpu.RSP)
		if w.calls > 0 && p == cpu.RSP { // the return address must not change
			p = cpu.RBP
		}
		switch {
		case long && w.one(8):
			b.code = append(b.code, reg<<3|5)
			disp += dataBase + 0x200
		case p == cpu.RSP:
			b.code = append(b.code, 0x84|reg<<3, 0x24)
		default:
			b.code = append(b.code, 0x80|reg<<3|p)
		}
		b.disp, b.dispLen = len(b.code), 4
		b.code = binary.LittleEndian.AppendUint32(b.code, disp)
	}
	b.code = append(b.code, w.tail()...)
	return b
}
