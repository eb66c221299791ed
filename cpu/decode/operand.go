package decode

// modRM takes the ModRM byte, and the SIB byte and displacement of a memory
// operand, into Inst.Mem.
func (d *decoder) modRM(a attr) {
	m := d.next()
	d.in.ModRM = m
	if m >= 0xC0 || a&aRegRM != 0 {
		return
	}
	if d.in.AddrSize == 2 {
		d.mem16(m)
	} else {
		d.mem(m, a)
	}
}

// rm16 are the address forms of 16-bit addressing (SDM Vol. 2A, table 2-1).
var rm16 = [8]struct{ base, index, seg uint8 }{
	{3, 6, DS}, {3, 7, DS}, {5, 6, SS}, {5, 7, SS}, // BX+SI BX+DI BP+SI BP+DI
	{6, NoReg, DS}, {7, NoReg, DS}, {5, NoReg, SS}, {3, NoReg, DS}, // SI DI BP BX
}

func (d *decoder) mem16(m byte) {
	f := rm16[m&7]
	mem := &d.in.Mem
	mem.Base, mem.Index, mem.Scale, mem.Seg = f.base, f.index, 1, f.seg
	switch m >> 6 {
	case 0:
		if m&7 == 6 {
			mem.Base, mem.Seg = NoReg, DS
			mem.Disp = d.le(2)
		}
	case 1:
		mem.Disp = d.le(1)
	case 2:
		mem.Disp = d.le(2)
	}
	d.override(mem)
}

// mem takes 32- and 64-bit addressing (SDM Vol. 2A, tables 2-2 and 2-3).
func (d *decoder) mem(m byte, a attr) {
	mem := &d.in.Mem
	mem.Base, mem.Index, mem.Scale, mem.Seg = m&7, NoReg, 1, DS
	if m&7 == 4 {
		sib := d.next()
		mem.Base = sib & 7
		mem.Scale = 1 << (sib >> 6)
		if i := sib>>3&7 | d.x; i != 4 || a&aVSIB != 0 {
			mem.Index = i
			mem.VSIB = a&aVSIB != 0
		}
	}
	switch mod := m >> 6; {
	case mod == 0 && mem.Base == 5: // no base: REX.B has no say
		mem.Disp = d.le(4)
		mem.Base = NoReg
		mem.RIPRel = d.long && m&7 == 5
	case mod == 1:
		mem.Disp = d.le(1)
		mem.Base |= d.b
	case mod == 2:
		mem.Disp = d.le(4)
		mem.Base |= d.b
	default:
		mem.Base |= d.b
	}
	if mem.Base == 4 || mem.Base == 5 {
		mem.Seg = SS
	}
	d.override(mem)
}

func (d *decoder) override(mem *Mem) {
	if d.seg != NoReg {
		mem.Seg = d.seg
	}
}

// implied sets Inst.Mem to the register-indirect address that an
// instruction uses without naming it.
func (d *decoder) implied(base, seg uint8) {
	d.in.Mem = Mem{Seg: seg, Base: base, Index: NoReg, Scale: 1}
}

// impliedBase is the register that addresses an instruction's memory without
// being named by the encoding.
func impliedBase(in *Inst) uint8 {
	switch in.Op {
	case XLAT:
		return 3 // plus AL, which Inst.Effects knows
	case MASKMOVQ, MASKMOVDQU, VMASKMOVDQU:
		return 7
	case UMONITOR:
		return in.Args[0].Reg
	}
	return 0 // MONITOR
}

// fixedSize are the size classes that do not depend on anything.
var fixedSize = [szMask + 1]uint16{
	szB: 1, szW: 2, szD: 4, szQ: 8, szT: 10, szDQ: 16, szQQ: 32,
	szFX: 512, szXS: 576, szCL: 64, szKL: 48, szKW: 64,
}

// size resolves a size class; mem says that the operand is in memory.
func (d *decoder) size(s spec, mem bool) uint16 {
	in := d.in
	s &= szMask
	if n := fixedSize[s]; n != 0 {
		return n
	}
	v := uint16(in.OpSize)
	switch s {
	case szV:
		return v
	case szZ:
		return min(v, 4)
	case szY:
		if d.w && d.long {
			return 8
		}
		return 4
	case szN:
		if d.long {
			return 8
		}
		return 4
	case szAS:
		return uint16(in.AddrSize)
	case szX:
		return 16 << in.VexL
	case szHX:
		return 8 << in.VexL
	case szQX:
		return 4 << in.VexL
	case szOX:
		return 2 << in.VexL
	case szP:
		return 2 + v
	case szA:
		return 2 * v
	case szS:
		if d.long {
			return 10
		}
		return 6
	case szEnv:
		if v == 2 {
			return 14
		}
		return 28
	case szFSave:
		if v == 2 {
			return 94
		}
		return 108
	case szWV, szWD, szBD:
		switch {
		case mem && s == szBD:
			return 1
		case mem:
			return 2
		case s == szWV:
			return v
		}
		return 4
	}
	return 0
}

// operand resolves one operand. It returns false where the encoding has
// none such: a register for memory, a register that does not exist.
func (d *decoder) operand(arg *Arg, s spec) bool {
	in := d.in
	reg := in.ModRM>>3&7 | d.r
	rm := in.ModRM&7 | d.b
	isMem := in.ModRM < 0xC0
	arg.Access = accessOf[s>>13]
	form := s & formMask

	// Operands that ModRM.rm or nothing may put into memory.
	switch form {
	case formE, formQ, formW, formKE:
		arg.Size = d.size(s, isMem)
		switch {
		case isMem:
			arg.Kind = KindMem
		case form == formE:
			d.gpr(arg, rm)
		case form == formQ:
			arg.Kind, arg.Reg = KindMMX, rm&7
		case form == formW:
			d.vector(arg, rm, s)
		default:
			arg.Kind, arg.Reg = KindOpmask, rm&7
		}
		return true
	case formM, formMV, formMT:
		arg.Size = d.size(s, true)
		arg.Kind = KindMem
		return isMem
	case formN, formR, formU, formKR:
		if isMem && !in.regRM() {
			arg.Kind = KindMem
			return false
		}
	}

	arg.Size = d.size(s, false)
	switch form {
	case formG:
		d.gpr(arg, reg)
	case formR:
		d.gpr(arg, rm)
	case formZ:
		d.gpr(arg, in.Opcode&7|d.b)
	case formB:
		d.gpr(arg, d.vvvvReg())
	case formAcc:
		arg.Kind = KindGPR
	case formCL:
		arg.Kind, arg.Reg = KindGPR, 1
	case formDX:
		arg.Kind, arg.Reg = KindGPR, 2
	case formV:
		d.vector(arg, reg, s)
	case formU:
		d.vector(arg, rm, s)
	case formH:
		d.vector(arg, d.vvvvReg(), s)
	case formL:
		r := uint8(d.le(1)) >> 4
		if !d.long {
			r &= 7
		}
		d.vector(arg, r, s)
	case formXMM0:
		arg.Kind = KindXMM
	case formP:
		arg.Kind, arg.Reg = KindMMX, reg&7
	case formN:
		arg.Kind, arg.Reg = KindMMX, rm&7
	case formST0:
		arg.Kind = KindST
	case formSTi:
		arg.Kind, arg.Reg = KindST, rm&7
	case formI:
		arg.Kind = KindImm
		n := int(arg.Size)
		in.Imm = d.le(n) & (1<<(8*n) - 1)
	case formIs:
		arg.Kind = KindImm
		in.Imm = d.le(int(arg.Size))
	case formI2:
		arg.Kind = KindImm2
		in.Imm2 = d.le(1) & 0xFF
	case formJ:
		arg.Kind = KindRel
		in.Imm = d.le(int(arg.Size))
	case formA:
		arg.Kind = KindFar
		n := min(int(arg.Size)-2, 4) // invalid in 64-bit mode, but still of a length
		in.Imm = d.le(n) & (1<<(8*n) - 1)
		in.Imm2 = d.le(2) & 0xFFFF
	case formOne:
		arg.Kind = KindOne
		in.Imm = 1
	case formO:
		arg.Kind = KindMem
		in.Mem = Mem{Seg: DS, Base: NoReg, Index: NoReg, Scale: 1}
		n := int(in.AddrSize)
		in.Mem.Disp = d.le(n)
		if n < 8 {
			in.Mem.Disp &= 1<<(8*n) - 1
		}
		d.override(&in.Mem)
	case formX:
		arg.Kind = KindStrSrc
		in.OpSize = uint8(arg.Size)
		in.Rep = d.repeat()
		d.implied(6, DS)
		d.override(&in.Mem)
	case formY:
		arg.Kind = KindStrDst
		in.OpSize = uint8(arg.Size)
		in.Rep = d.repeat()
		if in.Op != MOVS && in.Op != CMPS {
			d.implied(7, ES)
		}
	case formS:
		arg.Kind, arg.Reg = KindSeg, reg&7
		return arg.Reg <= GS && (arg.Access != Write || arg.Reg != CS)
	case formSeg:
		arg.Kind, arg.Reg = KindSeg, in.Opcode>>3&7
		arg.Size = uint16(in.OpSize)
	case formC:
		arg.Kind, arg.Reg = KindCR, reg
		return reg == 0 || reg >= 2 && reg <= 4 || reg == 8
	case formD:
		arg.Kind, arg.Reg = KindDR, reg
		return reg < 8
	case formKG:
		arg.Kind, arg.Reg = KindOpmask, reg&7
		return reg < 8
	case formKR:
		arg.Kind, arg.Reg = KindOpmask, rm&7
	case formKB:
		arg.Kind, arg.Reg = KindOpmask, d.vvvv&7
		return d.vvvvReg() < 8
	case formTG, formTE, formTB:
		arg.Kind = KindTile
		switch form {
		case formTG:
			arg.Reg = reg
		case formTE:
			arg.Reg = rm
		default:
			arg.Reg = d.vvvv
		}
		return arg.Reg < 8
	}
	return true
}

// regRM tells MOV to and from control and debug registers, which ignore
// ModRM.mod.
func (in *Inst) regRM() bool { return in.Op == MOVCR || in.Op == MOVDR }

// gpr sets arg to a general register. Without REX or VEX, byte registers 4
// to 7 are AH, CH, DH and BH.
func (d *decoder) gpr(arg *Arg, r uint8) {
	arg.Kind, arg.Reg = KindGPR, r
	if arg.Size == 1 && r >= 4 && r < 8 && d.in.REX == 0 && !d.in.VEX {
		arg.Reg, arg.High = r-4, true
	}
}

// vector sets arg to an XMM register, or to a YMM register when the operand
// is as wide as one.
func (d *decoder) vector(arg *Arg, r uint8, s spec) {
	arg.Kind, arg.Reg = KindXMM, r
	if arg.Size == 32 {
		arg.Kind = KindYMM
	}
}

// repeat gives the repeat prefix of a string instruction.
func (d *decoder) repeat() Rep {
	switch d.rep {
	case 0xF3:
		return RepZ
	case 0xF2:
		return RepNZ
	}
	return RepNone
}
