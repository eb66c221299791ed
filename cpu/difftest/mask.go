package difftest

import (
	"math"

	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/cpu/decode"
)

// mask is what of an outcome is not compared.
type mask struct {
	flags       uint32
	gpr         [16]uint64
	fsw         uint16
	memory      bool // all of memory
	approximate bool // vector registers, with the tolerance of RCPPS
}

const (
	cf, pf, af = cpu.FlagCF, cpu.FlagPF, cpu.FlagAF
	zf, sf, of = cpu.FlagZF, cpu.FlagSF, cpu.FlagOF
)

// maskOf is what the architecture leaves undefined about a case (SDM Vol. 2,
// the "Flags affected" of each instruction). Whatever is not here must match.
func maskOf(k *Case, want *Outcome) (m mask) {
	if k.Flavor == Continue {
		for i := range k.Marks {
			if k.Marks[i].RIP == want.RIP {
				m.flags |= k.Marks[i].Undef
			}
		}
		return m
	}
	d := &k.Inst
	if want.Event != done {
		return m // nothing is written
	}
	switch d.Op {
	case decode.SHL, decode.SHR, decode.SAR, decode.SHLD, decode.SHRD, decode.ROL, decode.ROR, decode.RCL, decode.RCR:
		return shiftMask(k)
	}
	m.flags = undefinedFlags(d.Op)
	if k.Mode == decode.Mode64 && want.Seg[cpu.CS] != k.In.Seg[cpu.CS] {
		// The upper halves are not kept outside 64-bit mode (SDM Vol. 1, 3.4.1.1).
		for i := range m.gpr {
			m.gpr[i] = 0xFFFFFFFF << 32
		}
	}
	switch d.Op {
	case decode.RCPPS, decode.RCPSS, decode.RSQRTPS, decode.RSQRTSS:
		m.approximate = true
	}
	return m
}

// undefinedFlags are those that an operation leaves undefined in every case.
func undefinedFlags(op decode.Op) uint32 {
	switch op {
	case decode.MUL, decode.IMUL:
		return sf | zf | af | pf
	case decode.DIV, decode.IDIV:
		return flagsStatus
	case decode.AND, decode.OR, decode.XOR, decode.TEST:
		return af
	case decode.ANDN, decode.BLSR, decode.BLSI, decode.BLSMSK, decode.BZHI:
		return af | pf
	case decode.BEXTR:
		return af | sf | pf
	case decode.BSF, decode.BSR:
		return cf | of | sf | af | pf
	case decode.BT, decode.BTS, decode.BTR, decode.BTC:
		return of | sf | af | pf
	case decode.LZCNT, decode.TZCNT:
		return of | sf | pf | af
	case decode.AAA, decode.AAS:
		return of | sf | zf | pf
	case decode.AAD, decode.AAM:
		return of | af | cf
	case decode.DAA, decode.DAS:
		return of
	}
	return 0
}

// shiftMask depends on the count.
func shiftMask(k *Case) (m mask) {
	d := &k.Inst
	width := 8 * uint64(d.Args[0].Size)
	count := shiftCount(d, k.In.GPR[cpu.RCX])
	if count == 0 {
		return m
	}
	if count != 1 {
		m.flags |= of
	}
	switch d.Op {
	case decode.SHL, decode.SHR, decode.SAR:
		m.flags |= af
		if count >= width {
			m.flags |= cf
		}
	case decode.SHLD, decode.SHRD:
		m.flags |= af
		if count > width {
			m.flags |= flagsStatus
			if a := &d.Args[0]; a.Kind == decode.KindGPR {
				m.gpr[a.Reg] = 1<<width - 1
			} else {
				m.memory = true
			}
		}
	}
	return m
}

// shiftCount is the count after masking.
func shiftCount(d *decode.Inst, rcx uint64) uint64 {
	i := 1
	if d.Op == decode.SHLD || d.Op == decode.SHRD {
		i = 2
	}
	n := uint64(d.Imm)
	switch d.Args[i].Kind {
	case decode.KindGPR:
		n = rcx
	case decode.KindOne:
		n = 1
	}
	if d.Args[0].Size == 8 {
		return n & 63
	}
	return n & 31
}

// closeTo says that each single of two vectors is the same or within the
// relative error of RCPPS and RSQRTPS.
func closeTo(a, b cpu.XMM) bool {
	for _, p := range [...][2]uint64{{a.Lo, b.Lo}, {a.Lo >> 32, b.Lo >> 32}, {a.Hi, b.Hi}, {a.Hi >> 32, b.Hi >> 32}} {
		x, y := uint32(p[0]), uint32(p[1])
		if x == y {
			continue
		}
		f, g := float64(math.Float32frombits(x)), float64(math.Float32frombits(y))
		if !(math.Abs(f-g) <= 2*1.5/4096*math.Abs(g)) {
			return false
		}
	}
	return true
}
