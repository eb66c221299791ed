package difftest

import (
	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/cpu/decode"
)

// Noise is a case of random bytes. Most of them are no instruction, so that
// what is said here is mostly when there is #UD and when something else comes
// first. Bytes that are an instruction which cannot be compared are not used.
func Noise(mode decode.Mode, seed uint64) *Case {
	g := &generator{rnd: newRnd(seed), mode: mode}
	g.c = &Case{Mode: mode, Seed: seed}
	c := g.c
	g.surroundings()
	g.registers()
	var code [decode.MaxLen + 1]byte
	var d decode.Inst
	for {
		for i := range code {
			code[i] = byte(g.Uint64())
		}
		n := 0
		for g.one(3) && n < decode.MaxLen {
			code[n] = pick[byte](g.rnd, 0x66, 0x67, 0xF2, 0xF3, 0xF0, 0x64, 0x2E, 0x48, 0x41)
			n++
		}
		if g.one(2) {
			code[n] = 0x0F
			if g.one(4) {
				code[min(n+1, decode.MaxLen)] = pick[byte](g.rnd, 0x38, 0x3A)
			}
		} else if g.one(6) { // VEX
			code[n] = pick[byte](g.rnd, 0xC4, 0xC5)
		}
		err := decode.DecodeInto(&d, code[:], mode)
		if err == nil && (!cpu.Implemented(d.Op) || skipped[d.Op] != "" || lacking(d.Op) || !harmless(d.Op)) {
			continue
		}
		if err != nil && newer(&d) {
			continue
		}
		break
	}
	c.Inst = d
	c.Form = &Form{Key: keyOf(&d)}
	c.Code = append([]byte(nil), code[:]...)
	c.In.RIP = 64 + g.Uint64N(areaSize-256)
	if mode != decode.Mode16 {
		c.In.RIP += codeBase
	}
	if g.one(8) { // cut off by the end of the area
		c.In.RIP += areaSize - c.In.RIP%areaSize - 1 - g.Uint64N(decode.MaxLen)
	}
	d.Effects(&g.fx)
	g.vectors(&d)
	g.flavor(&d)
	if mode != decode.Mode64 {
		for i := range c.In.GPR {
			c.In.GPR[i] &= 0xFFFFFFFF
		}
		clear(c.In.GPR[8:])
	}
	return c
}

// harmless leaves out what needs preparation to end or to be told apart.
func harmless(op decode.Op) bool {
	switch op {
	case decode.LAR, decode.LSL, decode.VERR, decode.VERW, decode.MOVSEG, decode.POP, decode.LDS, decode.LES,
		decode.LFS, decode.LGS, decode.LSS, decode.IRET, decode.RETFAR, decode.JMPFAR, decode.CALLFAR, decode.INT,
		decode.POPF, decode.PUSHF, decode.SHLD, decode.SHRD:
		return false
	}
	return true
}

// newer says that bytes which are no instruction here may be one to some
// processor, or to a hypervisor under it: VEX and EVEX encodings, and the
// system instructions among 0F 01, of which more come each year.
func newer(d *decode.Inst) bool {
	return d.VEX || d.EVEX || d.Map == 1 && d.Opcode == 1 && d.ModRM >= 0xC0
}
