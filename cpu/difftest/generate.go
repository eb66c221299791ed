package difftest

import (
	"strings"

	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/cpu/decode"
)

// generator makes the case of one form and one seed.
type generator struct {
	rnd
	mode decode.Mode
	c    *Case
	fx   decode.Effects

	p67, lock, stray, vvvv bool
}

// Generate makes the case of a form that a seed stands for.
func Generate(f *Form, seed uint64) *Case {
	g := &generator{rnd: newRnd(seed), mode: f.Key.mode}
	g.c = &Case{Mode: g.mode, Form: f, Seed: seed}
	g.surroundings()
	g.registers()
	b, d := g.instruction(f)
	g.place(&d)
	g.c.Inst = d
	d.Effects(&g.fx)
	g.vectors(&d)
	g.operands(&b, &d)
	g.c.Inst = d
	g.c.Code = b.code[:d.Len]
	g.flavor(&d)
	if g.mode != decode.Mode64 {
		for i := range g.c.In.GPR {
			g.c.In.GPR[i] &= 0xFFFFFFFF
		}
		clear(g.c.In.GPR[8:])
	}
	return g.c
}

// surroundings chooses segments.
func (g *generator) surroundings() {
	in := &g.c.In
	in.Seg = [6]uint16{selData, selCode64, selData, selData, 0, 0}
	if g.mode == decode.Mode64 {
		if g.one(2) {
			in.FSBase, in.GSBase = g.Uint64N(1<<46), dataBase
		}
		return
	}
	in.Seg[cpu.CS] = selCode32
	if g.mode == decode.Mode16 {
		in.Seg[cpu.CS] = ldtCode
	}
	// Short addresses reach nothing in a flat segment.
	any := func() uint16 {
		if g.mode == decode.Mode16 || g.one(4) {
			return pick[uint16](g.rnd, ldtData, ldtData, ldtShort)
		}
		return selData
	}
	in.Seg[cpu.DS], in.Seg[cpu.ES] = any(), any()
	in.Seg[cpu.FS], in.Seg[cpu.GS] = pick(g.rnd, any(), ldtShort, 0), pick(g.rnd, any(), ldtData)
	in.FSBase, in.GSBase = g.segmentBase(cpu.FS), g.segmentBase(cpu.GS)
}

func (g *generator) registers() {
	in := &g.c.In
	for i := range in.GPR {
		in.GPR[i] = g.integer()
	}
	in.Flags = cpu.FlagR1 | cpu.FlagIF | g.Uint64()&flagsStatus
	if g.one(4) {
		in.Flags |= cpu.FlagDF
	}
	if g.one(12) {
		in.Flags |= cpu.FlagAC
	}
	if g.one(40) {
		in.Flags |= cpu.FlagNT
	}
	in.MXCSR, in.FCW = 0x1F80, 0x37F
}

const flagsStatus = cpu.FlagCF | cpu.FlagPF | cpu.FlagAF | cpu.FlagZF | cpu.FlagSF | cpu.FlagOF

// instruction encodes the form: mostly plainly, sometimes with LOCK or with
// prefixes that mean nothing or make it invalid.
func (g *generator) instruction(f *Form) (draft, decode.Inst) {
	k := &f.Key
	dest := k.args[0]
	lockable := dest.kind == decode.KindMem && dest.access&decode.Read != 0 && dest.access&^decode.Read != 0 && !k.vex
	g.lock = lockable && g.one(6) || g.one(60)
	g.stray = g.one(40)
	for _, a := range k.args[1:] {
		g.vvvv = g.vvvv || k.vex && a.kind == decode.KindGPR
	}
	g.vvvv = g.vvvv || k.vex && (k.op == decode.BLSR || k.op == decode.BLSI || k.op == decode.BLSMSK)
	for try := 0; ; try++ {
		e := &f.Encodings[0]
		if g.one(2) {
			e = &f.Encodings[g.IntN(len(f.Encodings))]
		}
		b := g.encode(e, g.tail())
		var d decode.Inst
		if decode.DecodeInto(&d, b.code, g.mode) == nil && cpu.Implemented(d.Op) && skipped[d.Op] == "" && !lacking(d.Op) {
			return b, d
		}
		if try > 20 && e.vex {
			g.vvvv = !g.vvvv
		}
		if try > 2 {
			g.lock, g.stray = false, false
		}
		if try > 1000 {
			panic("difftest: no encoding of " + f.String())
		}
	}
}

// tail is what follows ModRM: immediates, of which small and boundary values
// say most.
func (g *generator) tail() []byte {
	v, w := g.integer(), g.integer()
	if g.one(3) {
		v = uint64(g.IntN(80))
	}
	var t [16]byte
	for i := range 8 {
		t[i], t[i+8] = byte(v>>(8*i)), byte(w>>(8*i))
	}
	return t[:]
}

// place chooses where the code lies.
func (g *generator) place(d *decode.Inst) {
	n := uint64(d.Len)
	off := 64 + g.Uint64N(areaSize-256)
	switch g.IntN(24) {
	case 0: // up to the end
		off = areaSize - n
	case 1: // across the two pages
		off = pageSize - g.Uint64N(n+1)
	case 2: // over the end
		if g.one(3) {
			off = areaSize - g.Uint64N(n)
		}
	}
	g.c.In.RIP = off
	if g.mode != decode.Mode16 {
		g.c.In.RIP += codeBase
	}
}

// vectors fills the vector and x87 registers of an instruction that has to
// do with them.
func (g *generator) vectors(d *decode.Inst) {
	in := &g.c.In
	for i := range in.XMM {
		if g.fx.Read.XMM[i]|g.fx.Write.XMM[i]|g.fx.CondWrite.XMM[i] != 0 {
			g.c.Vector = true
		}
	}
	const sys = decode.SysMXCSR | decode.SysX87
	if (g.fx.Read.Sys|g.fx.Write.Sys|g.fx.CondWrite.Sys)&sys != 0 {
		g.c.Vector = true
	}
	if !g.c.Vector {
		return
	}
	l := lanesOf(d.Op)
	for i := range in.XMM {
		if i < 8 || g.mode == decode.Mode64 {
			in.XMM[i] = g.vector(l)
		}
	}
	in.MXCSR = g.mxcsr()
	for i := range in.ST {
		in.ST[i] = cpu.ST{Significand: g.word(intLanes), SignExponent: uint16(g.integer())}
	}
	in.Tag = uint8(g.Uint64())
	in.FSW = uint16(g.IntN(8)) << 11
	in.FSW |= uint16(g.Uint64()) & 0x4700
	if g.one(4) {
		in.FCW = 0x40 | uint16(g.Uint64())&0xF3F
		if g.one(2) {
			in.FSW |= uint16(g.Uint64()) & 0x7F
		}
	}
	if in.FSW&^in.FCW&0x3F != 0 { // the summary bits follow
		in.FSW |= 0x8080
	}
}

// lanesOf guesses from its name what an operation takes for elements.
func lanesOf(op decode.Op) lanes {
	name := op.String()
	switch {
	case strings.HasPrefix(name, "cvt"):
		return anyLanes
	case strings.HasSuffix(name, "ps"), strings.HasSuffix(name, "ss"):
		return singleLanes
	case strings.HasSuffix(name, "pd"), strings.HasSuffix(name, "sd"):
		return doubleLanes
	case strings.HasPrefix(name, "p"):
		return intLanes
	}
	return anyLanes
}

// flavor decides how the case is run.
func (g *generator) flavor(d *decode.Inst) {
	c := g.c
	room := c.linear() < codeEnd-32
	switch {
	case d.Op == decode.PUSHF: // a step would show in what it stores
		if !room {
			c.In.RIP -= 64
		}
		c.Flavor, c.End, c.Limit = Continue, c.In.RIP+uint64(d.Len), 8
	case (d.Op == decode.MOVSEG || d.Op == decode.POP) && d.Args[0].Kind == decode.KindSeg && d.Args[0].Reg == cpu.SS:
		if !room {
			c.In.RIP -= 64
		}
		c.Flavor = StepTwo
		c.Code = append(c.Code[:len(c.Code):len(c.Code)], 0x90)
	}
}
