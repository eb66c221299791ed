package difftest

import (
	"encoding/binary"

	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/cpu/decode"
)

// patch gives memory its content, as far as it can be written.
func (g *generator) patch(addr uint64, data []byte) {
	if addr >= dataEnd || addr+uint64(len(data)) <= dataBase || addr+uint64(len(data)) < addr {
		return
	}
	if addr < dataBase {
		data = data[dataBase-addr:]
		addr = dataBase
	}
	if n := dataEnd - addr; uint64(len(data)) > n {
		data = data[:n]
	}
	g.c.Mem = append(g.c.Mem, Patch{addr, append([]byte(nil), data...)})
}

func (g *generator) patch64(addr, v uint64, n int) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	g.patch(addr, b[:n])
}

// operands prepares what the instruction works on.
func (g *generator) operands(b *draft, d *decode.Inst) {
	in := &g.c.In
	g.stack(d)
	g.strings(d)
	g.division(d)
	switch d.Op {
	case decode.JRCXZ, decode.LOOP, decode.LOOPE, decode.LOOPNE:
		if g.one(2) {
			in.GPR[cpu.RCX] = in.GPR[cpu.RCX]&^0xFFFF | uint64(g.IntN(3))
		}
	case decode.SHL, decode.SHR, decode.SAR, decode.SHLD, decode.SHRD, decode.ROL, decode.ROR, decode.RCL, decode.RCR:
		if g.one(2) {
			in.GPR[cpu.RCX] = in.GPR[cpu.RCX]&^0xFF | uint64(g.IntN(70))
		}
	case decode.INT:
		if d.Imm == 0x80 {
			b.code[d.Len-1] = 0x81
			g.redecode(b, d)
		}
	}
	for i := range d.Args {
		a := &d.Args[i]
		switch a.Kind {
		case decode.KindGPR:
			switch {
			case selectorOperand(d, i):
				in.GPR[a.Reg] = in.GPR[a.Reg]&^0xFFFF | uint64(g.selector())
			case i == 0 && (d.Op == decode.JMP || d.Op == decode.CALL):
				in.GPR[a.Reg] = g.codeTarget()
			case d.Op == decode.WRFSBASE || d.Op == decode.WRGSBASE:
				if g.one(2) {
					in.GPR[a.Reg] = g.target(1, 1)
				}
			}
		}
	}
	if i := memoryOperand(d); i >= 0 {
		g.memory(b, d, i)
	}
	g.exchange(d)
}

// memoryOperand is the index of the operand that d.Mem is, or -1.
func memoryOperand(d *decode.Inst) int {
	for i := range d.Args {
		if d.Args[i].Kind == decode.KindMem {
			return i
		}
	}
	if d.Op == decode.XLAT || d.Op == decode.MASKMOVQ || d.Op == decode.MASKMOVDQU {
		return len(d.Args)
	}
	return -1
}

// selectorOperand says that an operand is a segment selector.
func selectorOperand(d *decode.Inst, i int) bool {
	switch d.Op {
	case decode.MOVSEG:
		return i == 1
	case decode.LAR, decode.LSL:
		return i == 1
	case decode.VERR, decode.VERW, decode.LLDT, decode.LTR, decode.ARPL:
		return true
	}
	return false
}

// memory lays out the memory operand.
func (g *generator) memory(b *draft, d *decode.Inst, i int) {
	c := g.c
	size := uint64(16)
	var reads bool
	if i < len(d.Args) {
		size = uint64(max(d.Args[i].Size, 1))
		reads = d.Args[i].Access&decode.Read != 0
	}
	alignment := uint64(1)
	for alignment < size && alignment < 16 {
		alignment *= 2
	}
	if c.Vector && size >= 16 && g.one(8) {
		alignment = 1
	}
	target := g.target(size, alignment)
	if locks := d.Lock || d.Op == decode.XCHG; locks && target&63+size > 64 && c.In.Flags&cpu.FlagAC == 0 {
		target &^= 63 // Linux slows down or forbids locks across cache lines
	}
	switch d.Op {
	case decode.BT, decode.BTS, decode.BTR, decode.BTC:
		if a := &d.Args[1]; a.Kind == decode.KindGPR {
			g.aim(b, d, target)
			if !usesRegister(&d.Mem, a.Reg) {
				// The operand is where the bit is: move the bit to the target.
				bit := int64(g.IntN(1<<14)) - 1<<13
				if g.one(3) {
					bit = int64(g.integer())
				}
				c.In.GPR[a.Reg] = uint64(bit)
				n := 8 * int64(size)
				off := bit
				if size < 8 {
					off = bit << (64 - n) >> (64 - n)
				}
				g.aim(b, d, target-uint64(off>>log2(n))*size)
			}
			g.patch64(target, g.integer(), 8)
			return
		}
	}
	g.aim(b, d, target)
	at := c.address(d, &d.Mem, d.AddrSize)
	if d.Op == decode.XLAT {
		c.In.GPR[cpu.RBX] -= c.In.GPR[cpu.RAX] & 0xFF
		return
	}
	switch {
	case !reads:
	case selectorOperand(d, i):
		g.patch64(at, uint64(g.selector()), 2)
	case d.Op == decode.JMP || d.Op == decode.CALL:
		g.patch64(at, g.codeTarget(), int(min(size, 8)))
	case farPointer(d.Op):
		n := int(size) - 2
		g.patch64(at, g.farTarget(d), n)
		g.patch64(at+uint64(n), uint64(g.selector()), 2)
	case d.Op == decode.FXRSTOR:
		g.fxImage(at)
	case d.Op == decode.LDMXCSR:
		v := uint64(g.mxcsr())
		if g.one(8) {
			v = g.integer()
		}
		g.patch64(at, v, 4)
	case d.Op == decode.BOUND:
		n := int(size / 2)
		g.patch64(at, g.integer(), n)
		g.patch64(at+uint64(n), g.integer(), n)
		if g.one(2) { // within
			g.patch64(at, 1<<(8*n-1), n)
			g.patch64(at+uint64(n), 1<<(8*n-1)-1, n)
		}
	case c.Vector:
		l := lanesOf(d.Op)
		g.patch64(at, g.word(l), 8)
		if size > 8 {
			g.patch64(at+8, g.word(l), 8)
		}
	default:
		g.patch64(at, g.integer(), 8)
		if size > 8 {
			g.patch64(at+8, g.integer(), 8)
		}
	}
}

func log2(n int64) int {
	k := 0
	for n > 1 {
		n >>= 1
		k++
	}
	return k
}

func usesRegister(m *decode.Mem, r uint8) bool { return m.Base == r || m.Index == r }

func farPointer(op decode.Op) bool {
	switch op {
	case decode.JMPFAR, decode.CALLFAR, decode.LDS, decode.LES, decode.LFS, decode.LGS, decode.LSS:
		return true
	}
	return false
}

// codeTarget is where a near branch through a register or memory goes.
func (g *generator) codeTarget() uint64 {
	switch g.IntN(6) {
	case 0:
		return g.integer()
	case 1:
		return pick[uint64](g.rnd, 1<<47-1, 1<<47, upperHalf, upperHalf-1, 1<<63, 0, 0xFFFFFFFF, 0xFFFF)
	}
	if g.mode == decode.Mode16 {
		return uint64(g.IntN(areaSize))
	}
	return codeBase + uint64(g.IntN(areaSize))
}

func (g *generator) farTarget(d *decode.Inst) uint64 {
	if d.Op == decode.JMPFAR || d.Op == decode.CALLFAR {
		return g.codeTarget()
	}
	return g.integer()
}

// stack points RSP, and RBP where it is a frame, at memory, and fills what
// will be taken from there.
func (g *generator) stack(d *decode.Inst) {
	in := &g.c.In
	aim := func(r int) uint64 {
		t := g.target(32, pick[uint64](g.rnd, 1, 8, 8, 8, 8, 16, 16))
		if g.one(8) {
			t = dataBase + pick[uint64](g.rnd, 0, 2, 4, 6, 8, 12, areaSize, areaSize-2, areaSize-8)
		}
		in.GPR[r] = t
		return t
	}
	size := uint64(d.OpSize)
	fill := func(at uint64, values ...uint64) {
		for i, v := range values {
			g.patch64(at+uint64(i)*size, v, int(size))
		}
	}
	switch d.Op {
	case decode.PUSH, decode.PUSHA, decode.PUSHF, decode.CALL, decode.CALLFAR, decode.INT, decode.INT3, decode.INTO:
		aim(cpu.RSP)
	case decode.POP:
		at := aim(cpu.RSP)
		if d.Args[0].Kind == decode.KindSeg {
			g.patch64(at, g.integer()&^0xFFFF|uint64(g.selector()), int(size))
		} else {
			g.patch64(at, g.integer(), 8)
		}
	case decode.POPA:
		aim(cpu.RSP)
	case decode.POPF:
		v := g.Uint64()
		if g.one(2) {
			v &= 0xFFFF_FFFF_0024_7FD7 // the flags that exist
		}
		g.patch64(aim(cpu.RSP), v, 8)
	case decode.RET:
		g.patch64(aim(cpu.RSP), g.codeTarget(), 8)
	case decode.RETFAR:
		at := aim(cpu.RSP)
		fill(at, g.codeTarget(), uint64(g.codeSelector()))
		if g.one(4) {
			fill(at+2*size+uint64(d.Imm), g.integer(), uint64(g.selector()))
		}
	case decode.IRET:
		at := aim(cpu.RSP)
		flags := g.Uint64() & 0x244ED7
		if at%16 != 0 {
			// With AC loaded and the rest of the frame unaligned, Linux
			// takes #AC for a split lock and tries for ever.
			flags &^= cpu.FlagAC
		}
		fill(at, g.codeTarget(), uint64(g.codeSelector()), flags, dataBase+64*g.Uint64N(64), uint64(pick(g.rnd, selData, selData, selData, g.selector())))
	case decode.LEAVE:
		at := aim(cpu.RBP)
		g.patch64(at, g.integer(), 8)
	case decode.ENTER:
		aim(cpu.RSP)
		aim(cpu.RBP)
	}
}

func (g *generator) codeSelector() uint16 {
	if g.one(4) {
		return g.selector()
	}
	return g.c.In.Seg[cpu.CS]
}

// strings points RSI and RDI at elements, with a small count.
func (g *generator) strings(d *decode.Inst) {
	in := &g.c.In
	var any bool
	for i := range d.Args {
		a := &d.Args[i]
		size := uint64(a.Size)
		n := size
		if d.Rep != decode.RepNone {
			n *= 8
		}
		var r, seg uint8
		switch a.Kind {
		case decode.KindStrSrc:
			r, seg = cpu.RSI, d.Mem.Seg
		case decode.KindStrDst:
			r, seg = cpu.RDI, decode.ES
		default:
			continue
		}
		any = true
		t := g.target(n, size)
		if in.Flags&cpu.FlagDF != 0 {
			t += n - size
		}
		g.setBase(seg, t, d.AddrSize)
		width := uint64(1)<<(8*d.AddrSize-1)<<1 - 1
		in.GPR[r] = in.GPR[r]&^width | (t-g.segmentBase(seg))&width
		if d.Op == decode.CMPS || d.Op == decode.SCAS { // runs of the same element
			v := uint64(0x4141414141414141)
			if d.Op == decode.SCAS && g.one(2) {
				in.GPR[cpu.RAX] = v
			}
			from := t &^ 7
			for k := range 6 {
				if k == g.IntN(12) {
					v ^= 1 << g.IntN(64)
				}
				if in.Flags&cpu.FlagDF != 0 {
					g.patch64(from-uint64(k*8), v, 8)
				} else {
					g.patch64(from+uint64(k*8), v, 8)
				}
			}
		}
	}
	if any && d.Rep != decode.RepNone {
		width := uint64(1)<<(8*d.AddrSize-1)<<1 - 1
		count := uint64(g.IntN(9))
		if g.one(16) {
			count = uint64(g.IntN(300))
		}
		in.GPR[cpu.RCX] = in.GPR[cpu.RCX]&^width | count
	}
}

// division keeps quotients in range half of the time.
func (g *generator) division(d *decode.Inst) {
	in := &g.c.In
	if d.Op != decode.DIV && d.Op != decode.IDIV || g.one(3) {
		return
	}
	high := func(sign bool) uint64 {
		if sign && d.Op == decode.IDIV {
			return ^uint64(0)
		}
		return uint64(g.IntN(2) * g.IntN(100))
	}
	switch d.Args[0].Size {
	case 1:
		in.GPR[cpu.RAX] = in.GPR[cpu.RAX]&^0xFF00 | high(in.GPR[cpu.RAX]>>7&1 != 0)&0xFF<<8
	case 2:
		in.GPR[cpu.RDX] = in.GPR[cpu.RDX]&^0xFFFF | high(in.GPR[cpu.RAX]>>15&1 != 0)&0xFFFF
	case 4:
		in.GPR[cpu.RDX] = high(in.GPR[cpu.RAX]>>31&1 != 0) & 0xFFFFFFFF
	default:
		in.GPR[cpu.RDX] = high(in.GPR[cpu.RAX]>>63 != 0)
	}
}

// exchange lets comparisons come out equal half of the time.
func (g *generator) exchange(d *decode.Inst) {
	in := &g.c.In
	if g.one(2) {
		return
	}
	switch d.Op {
	case decode.CMPXCHG:
		a := &d.Args[0]
		switch {
		case a.Kind == decode.KindGPR && a.High:
			in.GPR[cpu.RAX] = in.GPR[cpu.RAX]&^0xFF | in.GPR[a.Reg]>>8&0xFF
		case a.Kind == decode.KindGPR:
			in.GPR[cpu.RAX] = in.GPR[a.Reg]
		case !usesRegister(&d.Mem, cpu.RAX):
			in.GPR[cpu.RAX] = g.c.word(g.c.address(d, &d.Mem, d.AddrSize))
		}
	case decode.CMPXCHG8B, decode.CMPXCHG16B:
		if usesRegister(&d.Mem, cpu.RAX) || usesRegister(&d.Mem, cpu.RDX) {
			return
		}
		at := g.c.address(d, &d.Mem, d.AddrSize)
		lo, hi := g.c.word(at), g.c.word(at+8)
		if d.Op == decode.CMPXCHG8B {
			lo, hi = lo&0xFFFFFFFF, lo>>32
		}
		in.GPR[cpu.RAX], in.GPR[cpu.RDX] = lo, hi
	}
}

// word is the 8 bytes that memory holds at the beginning of the case.
func (c *Case) word(addr uint64) (v uint64) {
	for i := range uint64(8) {
		v |= uint64(c.byteAt(addr+i)) << (8 * i)
	}
	return v
}

func (c *Case) byteAt(addr uint64) byte {
	for i := len(c.Mem) - 1; i >= 0; i-- {
		if p := &c.Mem[i]; addr-p.Addr < uint64(len(p.Data)) {
			return p.Data[addr-p.Addr]
		}
	}
	return pattern(addr)
}

// fxImage is an FXSAVE area with random content, mostly acceptable.
func (g *generator) fxImage(at uint64) {
	var b [512]byte
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], g.word(anyLanes))
	}
	binary.LittleEndian.PutUint16(b[0:], 0x37F)
	binary.LittleEndian.PutUint16(b[2:], uint16(g.IntN(8))<<11|uint16(g.Uint64())&0x4700)
	clear(b[5:6])
	clear(b[8:24]) // FIP and FDP
	v := g.mxcsr()
	if g.one(10) {
		v |= 1 << (16 + g.IntN(16))
	}
	binary.LittleEndian.PutUint32(b[24:], v)
	binary.LittleEndian.PutUint32(b[28:], 0xFFFF)
	g.patch(at, b[:])
}
