package difftest

import (
	"encoding/binary"

	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/cpu/decode"
)

// draft is an instruction being put together. It keeps where the
// displacement lies, so that it can be changed when the registers are known.
type draft struct {
	code    []byte
	disp    int // offset of the displacement
	dispLen int
}

// encode writes an instruction of an encoding with random registers,
// addressing and immediates. tail is what follows ModRM.
func (g *generator) encode(e *encoding, tail []byte) draft {
	var b draft
	long := g.mode == decode.Mode64
	g.prefixes(&b, e)
	var r, x, base uint8
	reg, rm := e.reg, e.rm
	if long {
		r, x, base = uint8(g.IntN(2)), uint8(g.IntN(2)), uint8(g.IntN(2))
		if g.one(3) {
			r, x, base = 0, 0, 0
		}
	}
	if !e.fixReg {
		reg = uint8(g.IntN(8))
	} else if !g.one(8) {
		r = 0 // REX.R means nothing where ModRM.reg is opcode
	}
	if !e.fixRM {
		rm = uint8(g.IntN(8))
	}
	rex := long && !e.vex && r|x|base == 0 && !e.w && g.one(4)
	begin := len(b.code)
	b.code = e.begin(b.code, r, x, base, uint8(g.vexRegister(e)))
	if rex { // a REX prefix that only turns AH into SPL
		at := begin
		if e.prefix != 0 {
			at++
		}
		b.code = append(b.code[:at:at], append([]byte{0x40}, b.code[at:]...)...)
	}
	if !e.modrm {
		b.disp, b.dispLen = len(b.code), 0
		b.code = append(b.code, tail...)
		return b
	}
	if !e.mem {
		b.code = append(b.code, 0xC0|reg<<3|rm)
		b.code = append(b.code, tail...)
		return b
	}
	mod := uint8(g.IntN(3))
	wide := long || g.mode == decode.Mode32
	if g.p67 && !long {
		wide = !wide
	}
	b.code = append(b.code, mod<<6|reg<<3|rm)
	switch {
	case wide:
		if rm == 4 {
			sib := uint8(g.IntN(256))
			b.code = append(b.code, sib)
			if mod == 0 && sib&7 == 5 {
				mod = 2
			}
		} else if mod == 0 && rm == 5 {
			mod = 2
		}
		b.dispLen = [...]int{0, 1, 4}[mod]
	default:
		if mod == 0 && rm == 6 {
			mod = 2
		}
		b.dispLen = [...]int{0, 1, 2}[mod]
	}
	b.disp = len(b.code)
	var d [4]byte
	binary.LittleEndian.PutUint32(d[:], uint32(g.integer()))
	b.code = append(b.code, d[:b.dispLen]...)
	b.code = append(b.code, tail...)
	return b
}

// vexRegister is VEX.vvvv: a register, where the operation has one.
func (g *generator) vexRegister(e *encoding) int {
	switch {
	case !e.vex || !g.vvvv:
		return 0 // stored inverted as 1111
	case g.mode == decode.Mode64:
		return g.IntN(16)
	}
	return g.IntN(8)
}

// prefixes writes the legacy prefixes that come on top of the encoding's own.
func (g *generator) prefixes(b *draft, e *encoding) {
	g.p67 = g.one(6)
	add := func(p byte) { b.code = append(b.code, p) }
	if g.mode == decode.Mode16 && g.one(2) {
		g.p67 = true
	}
	if g.p67 {
		add(0x67)
	}
	if g.one(4) {
		add(pick[byte](g.rnd, 0x64, 0x65, 0x64, 0x65, 0x26, 0x2E, 0x36, 0x3E))
	}
	if g.lock {
		add(0xF0)
	}
	if e.prefix == 0 && !e.vex && g.stray {
		add(pick[byte](g.rnd, 0x66, 0xF2, 0xF3))
	}
	for i := len(b.code) - 1; i > 0; i-- { // in any order
		j := g.IntN(i + 1)
		b.code[i], b.code[j] = b.code[j], b.code[i]
	}
}

// upperHalf is the first canonical address of the upper half.
const upperHalf = 0xFFFF_8000_0000_0000

// target chooses where a memory operand of n bytes is to lie.
func (g *generator) target(n uint64, alignment uint64) uint64 {
	switch k := g.IntN(100); {
	case k < 60: // inside, with its natural alignment
		return dataBase + g.Uint64N(areaSize/2-n)*2&^(alignment-1)&(areaSize-1)
	case k < 72: // inside, anywhere
		return dataBase + g.Uint64N(areaSize-n+1)
	case k < 80: // up to the end
		return dataEnd - n
	case k < 84: // over the end
		return dataEnd - g.Uint64N(n+1)
	case k < 87: // over the beginning
		return dataBase - g.Uint64N(n+1)
	case k < 90: // across the two pages
		return dataBase + pageSize - g.Uint64N(n+1)
	case k < 93:
		return roBase + g.Uint64N(pageSize-n+1)
	case k < 94:
		return roBase - g.Uint64N(n+1)
	case k < 96 && g.mode == decode.Mode64: // no address
		return pick(g.rnd, 1<<47-g.Uint64N(n+1), 1<<47+g.Uint64N(n), upperHalf-g.Uint64N(n+1), 1<<63, 0x1234_5678_9ABC_DEF0)
	case k < 97: // the system's
		return -g.Uint64N(1<<20) - n
	}
	return dataBase + pageSize
}

// segmentBase is the base of a segment as a case has set it up.
func (g *generator) segmentBase(s uint8) uint64 {
	in := &g.c.In
	if g.mode == decode.Mode64 {
		switch s {
		case decode.FS:
			return in.FSBase
		case decode.GS:
			return in.GSBase
		}
		return 0
	}
	if sel := in.Seg[s]; sel&4 != 0 && int(sel>>3) < len(localTable) {
		return uint64(localTable[sel>>3].Base)
	}
	return 0
}

// setBase moves the base of FS or GS so that an effective address can reach
// target in some way: by a small one, a negative one, or a large one.
func (g *generator) setBase(s uint8, target uint64, addrSize uint8) {
	if g.mode != decode.Mode64 || s < decode.FS || target >= 1<<47 {
		return
	}
	base := pick(g.rnd, 0, target, target-min(target, g.Uint64N(1<<32)), target&^0xFFF)
	if addrSize == 8 && g.one(3) {
		base = g.Uint64N(1 << 46)
	}
	if base >= 1<<47-pageSize {
		base = 0 // Linux does not allow it
	}
	if s == decode.FS {
		g.c.In.FSBase = base
	} else {
		g.c.In.GSBase = base
	}
}

// aim sets registers and the displacement so that the memory operand of d
// lies at target, if the encoding leaves the freedom. It decodes d anew.
func (g *generator) aim(b *draft, d *decode.Inst, target uint64) {
	m := &d.Mem
	in := &g.c.In
	g.setBase(m.Seg, target, d.AddrSize)
	width := uint64(1)<<(8*d.AddrSize-1)<<1 - 1
	ea := (target - g.segmentBase(m.Seg)) & width
	if !d.HasModRM && m.Base == decode.NoReg { // an offset in the instruction
		at := int(d.Len) - int(d.AddrSize)
		for i := range int(d.AddrSize) {
			b.code[at+i] = byte(ea >> (8 * i))
		}
		g.redecode(b, d)
		return
	}
	set := func(r uint8, v uint64) {
		in.GPR[r] = in.GPR[r]&^width | v&width
		if g.mode != decode.Mode64 {
			in.GPR[r] &= 0xFFFFFFFF
		}
	}
	setDisp := func(v uint64) {
		for i := range b.dispLen {
			b.code[b.disp+i] = byte(v >> (8 * i))
		}
		g.redecode(b, d)
	}
	scale := uint64(m.Scale)
	switch {
	case m.RIPRel:
		setDisp(ea - (in.RIP + uint64(d.Len)))
	case m.Base == decode.NoReg && m.Index == decode.NoReg:
		setDisp(ea)
	case m.Base == decode.NoReg:
		if g.one(2) {
			set(m.Index, uint64(g.IntN(1<<20)))
			setDisp(ea - in.GPR[m.Index]*scale)
			return
		}
		set(m.Index, (ea-uint64(m.Disp))/scale)
	case m.Index == decode.NoReg:
		set(m.Base, ea-uint64(m.Disp))
	case m.Base == m.Index:
		set(m.Base, (ea-uint64(m.Disp))/(1+scale))
		if b.dispLen > 0 {
			setDisp(ea - in.GPR[m.Base]*(1+scale))
		}
	default:
		if g.one(2) {
			set(m.Index, uint64(g.IntN(1<<16)))
		}
		set(m.Base, ea-uint64(m.Disp)-in.GPR[m.Index]*scale)
	}
}

// redecode decodes the bytes again after a change. What they are has not
// changed.
func (g *generator) redecode(b *draft, d *decode.Inst) {
	if err := decode.DecodeInto(d, b.code, g.mode); err != nil {
		panic("difftest: a displacement changed what an instruction is")
	}
}

// address is the linear address of a memory operand of d in state s.
func (c *Case) address(d *decode.Inst, m *decode.Mem, addrSize uint8) uint64 {
	s := &c.In
	var ea uint64
	if m.Base != decode.NoReg {
		ea = s.GPR[m.Base]
	}
	if m.Index != decode.NoReg {
		ea += s.GPR[m.Index] * uint64(m.Scale)
	}
	if m.RIPRel {
		ea = s.RIP + uint64(d.Len)
	}
	ea += uint64(m.Disp)
	if addrSize > 0 && addrSize < 8 {
		ea &= 1<<(8*addrSize) - 1
	}
	if c.Mode == decode.Mode64 {
		switch m.Seg {
		case decode.FS:
			ea += s.FSBase
		case decode.GS:
			ea += s.GSBase
		}
		return ea
	}
	if sel := s.Seg[m.Seg]; sel&4 != 0 && int(sel>>3) < len(localTable) {
		ea += uint64(localTable[sel>>3].Base)
	}
	return ea & 0xFFFFFFFF
}

// linear is the address of the code: RIP with the segment's base.
func (c *Case) linear() uint64 {
	if c.In.Seg[cpu.CS] == ldtCode {
		return c.In.RIP + codeBase
	}
	return c.In.RIP
}
