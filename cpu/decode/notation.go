package decode

// The notation of the tables. A row of an opcode map is written
//
//	0x01: o(ADD, Ev|rw, Gv).lock(),
//
// and read: opcode 01 is ADD; its first operand is the general register or
// memory that ModRM.rm names, of the effective operand size, read and
// written; its second the general register of ModRM.reg, read; LOCK is
// allowed. Letters are those of SDM Vol. 2D, Appendix A.2. Where further
// bits choose, the row is a split: pfx for mandatory prefixes, grp for
// ModRM.reg, mod for memory against register, and so on.

// spec is one operand's specification: a form (where it comes from), a size
// class (how wide it is) and an access.
type spec uint16

// Accesses. An operand is read unless its row says otherwise.
const (
	wr  spec = 1 << 13 // written
	rw  spec = 2 << 13 // read and written
	cw  spec = 3 << 13 // conditionally written
	rcw spec = 4 << 13 // read, conditionally written
	na  spec = 5 << 13 // neither: the address is used, or nothing at all
)

var accessOf = [8]Access{Read, Write, ReadWrite, CondWrite, Read | CondWrite, 0}

// Size classes: the lower-case letters of Appendix A.2.2.
const (
	szNone  spec = iota
	szB          // byte
	szW          // word
	szD          // doubleword
	szQ          // quadword
	szT          // 80 bits
	szDQ         // 16 bytes
	szQQ         // 32 bytes
	szV          // word, doubleword or quadword by operand size
	szZ          // word by operand size, else doubleword
	szY          // doubleword, or quadword by REX.W; 66 has no say
	szN          // natural: quadword in 64-bit mode, else doubleword
	szAS         // the address size
	szX          // 16 or 32 bytes by VEX.L
	szHX         // half of x
	szQX         // a quarter of x
	szOX         // an eighth of x
	szP          // far pointer: a word and v
	szA          // BOUND's pair: twice v
	szS          // descriptor-table register: a word and the address, 6 or 10 bytes
	szEnv        // x87 environment: 14 or 28 bytes
	szFSave      // x87 state: 94 or 108 bytes
	szFX         // FXSAVE area: 512 bytes
	szXS         // XSAVE area; 576 stands for the least it can be
	szCL         // 64 bytes
	szWV         // a word in memory, v in a register (SLDT, MOV from segment)
	szBD         // a byte in memory, a doubleword register
	szWD         // a word in memory, a doubleword register
	szKL         // Key Locker handle: 48 bytes
	szKW         // Key Locker handle: 64 bytes
	szMask  spec = 1<<5 - 1
)

// Forms: the upper-case letters of Appendix A.2.1, then fixed operands.
const (
	formNone spec = iota << 5
	formA         // far pointer in the instruction
	formB         // general register of VEX.vvvv
	formC         // control register of ModRM.reg
	formD         // debug register of ModRM.reg
	formE         // general register or memory of ModRM.rm
	formG         // general register of ModRM.reg
	formH         // vector register of VEX.vvvv
	formI         // immediate, zero-extended
	formIs        // immediate, sign-extended
	formI2        // second immediate, zero-extended
	formJ         // relative branch target
	formL         // vector register of immediate bits 7:4
	formM         // memory of ModRM.rm; a register there is invalid
	formMV        // memory with a vector index (VSIB)
	formN         // MMX register of ModRM.rm; memory there is invalid
	formO         // memory at an offset in the instruction
	formP         // MMX register of ModRM.reg
	formQ         // MMX register or memory of ModRM.rm
	formR         // general register of ModRM.rm; memory there is invalid
	formS         // segment register of ModRM.reg
	formU         // vector register of ModRM.rm; memory there is invalid
	formV         // vector register of ModRM.reg
	formW         // vector register or memory of ModRM.rm
	formX         // string element at DS:rSI
	formY         // string element at ES:rDI
	formZ         // general register of opcode bits 2:0
	formAcc       // AL, AX, EAX, RAX
	formCL        // CL
	formDX        // DX
	formOne       // the constant 1
	formSeg       // segment register of opcode bits 5:3 (PUSH ES ... POP GS)
	formST0       // ST(0)
	formSTi       // ST(i) of ModRM.rm
	formXMM0      // XMM0
	formKG        // mask register of ModRM.reg
	formKB        // mask register of VEX.vvvv
	formKE        // mask register or memory of ModRM.rm
	formKR        // mask register of ModRM.rm; memory there is invalid
	formTG        // tile register of ModRM.reg
	formTE        // tile register of ModRM.rm
	formTB        // tile register of VEX.vvvv
	formMT        // tile memory: needs a SIB byte
	formMask spec = (1<<6 - 1) << 5
)

// Operands, as the rows name them.
const (
	Ap = formA | szP

	By, Bv = formB | szY, formB | szV

	Cn, Dn = formC | szN, formD | szN

	Eb, Ew, Ed, Eq = formE | szB, formE | szW, formE | szD, formE | szQ
	Ev, Ez, Ey, En = formE | szV, formE | szZ, formE | szY, formE | szN
	Ewv, Ebd, Ewd  = formE | szWV, formE | szBD, formE | szWD

	Gb, Gw, Gd, Gq      = formG | szB, formG | szW, formG | szD, formG | szQ
	Gv, Gz, Gy, Gn, Gas = formG | szV, formG | szZ, formG | szY, formG | szN, formG | szAS

	Hx, Hdq, Hqq, Hss, Hsd = formH | szX, formH | szDQ, formH | szQQ, formH | szD, formH | szQ

	Ib, Iw, Ib2   = formI | szB, formI | szW, formI2 | szB
	sIb, sIz, sIv = formIs | szB, formIs | szZ, formIs | szV

	Jb, Jz = formJ | szB, formJ | szZ

	Lx, Ldq = formL | szX, formL | szDQ

	Mnone, Mb, Mw, Md, Mq       = formM, formM | szB, formM | szW, formM | szD, formM | szQ
	Mv, My, Mp, Ma, Ms          = formM | szV, formM | szY, formM | szP, formM | szA, formM | szS
	Mdq, Mqq, Mx, Mt            = formM | szDQ, formM | szQQ, formM | szX, formM | szT
	Menv, Mfsave, Mfx, Mxs, Mcl = formM | szEnv, formM | szFSave, formM | szFX, formM | szXS, formM | szCL
	Mkl, Mkw                    = formM | szKL, formM | szKW
	MVd, MVq                    = formMV | szD, formMV | szQ

	Nq = formN | szQ

	Ob, Ov = formO | szB, formO | szV

	Pd, Pq, Qd, Qq = formP | szD, formP | szQ, formQ | szD, formQ | szQ

	Rw, Rd, Rv, Ry, Rn, Ras = formR | szW, formR | szD, formR | szV, formR | szY, formR | szN, formR | szAS

	Sw = formS | szW

	Uss, Usd, Uq, Udq, Ux, Uqq = formU | szD, formU | szQ, formU | szQ, formU | szDQ, formU | szX, formU | szQQ

	Vss, Vsd, Vdq, Vqq, Vx, Vhx = formV | szD, formV | szQ, formV | szDQ, formV | szQQ, formV | szX, formV | szHX

	Wb, Ww, Wss, Wsd, Wdq, Wqq = formW | szB, formW | szW, formW | szD, formW | szQ, formW | szDQ, formW | szQQ
	Wx, Whx, Wqx, Wox          = formW | szX, formW | szHX, formW | szQX, formW | szOX

	Xb, Xv, Xz = formX | szB, formX | szV, formX | szZ
	Yb, Yv, Yz = formY | szB, formY | szV, formY | szZ

	Zb, Zv = formZ | szB, formZ | szV

	AL, AX, EAX    = formAcc | szB, formAcc | szW, formAcc | szD
	Av, Az, CL, DX = formAcc | szV, formAcc | szZ, formCL | szB, formDX | szW
	one, seg       = formOne | szB, formSeg | szW
	ST0, STi, XMM0 = formST0 | szT, formSTi | szT, formXMM0 | szDQ

	KGb, KGw, KGd, KGq = formKG | szB, formKG | szW, formKG | szD, formKG | szQ
	KBb, KBw, KBd, KBq = formKB | szB, formKB | szW, formKB | szD, formKB | szQ
	KEb, KEw, KEd, KEq = formKE | szB, formKE | szW, formKE | szD, formKE | szQ
	KRb, KRw, KRd, KRq = formKR | szB, formKR | szW, formKR | szD, formKR | szQ

	TG, TE, TB, MT = formTG, formTE, formTB, formMT
)

// attr is what a row says besides its operands.
type attr uint32

const (
	aModRM   attr = 1 << iota // a ModRM byte follows
	aLock                     // LOCK is allowed with a memory destination
	aI64                      // invalid in 64-bit mode
	aO64                      // valid in 64-bit mode only
	aD64                      // operand size defaults to 64 in 64-bit mode, 66 makes it 16
	aF64                      // operand size is 64 in 64-bit mode whatever the prefixes say
	aRegRM                    // ModRM.mod is ignored and taken as 11
	aCC                       // the low opcode bits are a condition
	aL0                       // VEX.L must be 0
	aL1                       // VEX.L must be 1
	aW0                       // VEX.W must be 0
	aW1                       // VEX.W must be 1
	aNo66                     // 66, F2 and F3 are invalid
	aVSIB                     // the memory operand's index is a vector register
	aSIB                      // the memory operand needs a SIB byte
	aImplied                  // memory at a register that the encoding does not name
	aVVVV                     // VEX.vvvv names an operand; otherwise it must be 1111
)

// entry is one row: an instruction, or a split into further rows. The zero
// entry is a reserved opcode.
type entry struct {
	op   Op
	args [4]spec
	attr attr
	by   selector
	sub  []entry
}

// selector says which bits choose among the rows of a split.
type selector uint8

const (
	byPrefix selector = iota + 1 // none, 66, F3, F2: mandatory; 66 loses its meaning as a size
	byRep                        // none, F3, F2; 66 keeps its meaning
	byReg                        // ModRM.reg
	byMod                        // memory, register
	byRM                         // ModRM.rm
	byMode                       // not 64-bit, 64-bit
	byW                          // REX.W or VEX.W as an operand size: 0 outside 64-bit mode
	byVexW                       // VEX.W as an opcode bit
	byL                          // VEX.L
)

// ud is a reserved opcode.
var ud entry

// o is the row of one instruction.
func o(op Op, args ...spec) entry {
	e := entry{op: op}
	copy(e.args[:], args)
	for _, s := range args {
		switch s & formMask {
		case formB, formH, formKB, formTB:
			e.attr |= aVVVV
		case formMV:
			e.attr |= aModRM | aVSIB | aSIB
		case formMT:
			e.attr |= aModRM | aSIB
		case formC, formD, formE, formG, formM, formN, formP, formQ, formR, formS, formU, formV, formW,
			formKG, formKE, formKR, formTG, formTE, formSTi:
			e.attr |= aModRM
		}
	}
	return e
}

func split(by selector, sub ...entry) entry { return entry{by: by, sub: sub} }

func pfx(none, p66, pF3, pF2 entry) entry { return split(byPrefix, none, p66, pF3, pF2) }
func rep(none, pF3, pF2 entry) entry      { return split(byRep, none, pF3, pF2) }
func grp(r0, r1, r2, r3, r4, r5, r6, r7 entry) entry {
	return split(byReg, r0, r1, r2, r3, r4, r5, r6, r7)
}
func rm(r0, r1, r2, r3, r4, r5, r6, r7 entry) entry {
	return split(byRM, r0, r1, r2, r3, r4, r5, r6, r7)
}
func mod(memory, register entry) entry { return split(byMod, memory, register) }
func mode(legacy, long entry) entry    { return split(byMode, legacy, long) }
func wbit(w0, w1 entry) entry          { return split(byW, w0, w1) }
func vexw(w0, w1 entry) entry          { return split(byVexW, w0, w1) }
func lbit(l0, l1 entry) entry          { return split(byL, l0, l1) }
func np(e entry) entry                 { return pfx(e, ud, ud, ud) } // no mandatory prefix
func p66(e entry) entry                { return pfx(ud, e, ud, ud) } // 66
func pF3(e entry) entry                { return pfx(ud, ud, e, ud) } // F3
func pF2(e entry) entry                { return pfx(ud, ud, ud, e) } // F2
func (e entry) lock() entry            { return e.with(aLock) }
func (e entry) i64() entry             { return e.with(aI64) }
func (e entry) o64() entry             { return e.with(aO64) }
func (e entry) d64() entry             { return e.with(aD64) }
func (e entry) f64() entry             { return e.with(aF64) }
func (e entry) cc() entry              { return e.with(aCC) }
func (e entry) regRM() entry           { return e.with(aRegRM) }
func (e entry) l0() entry              { return e.with(aL0) }
func (e entry) l1() entry              { return e.with(aL1) }
func (e entry) w0() entry              { return e.with(aW0) }
func (e entry) w1() entry              { return e.with(aW1) }
func (e entry) implied() entry         { return e.with(aImplied) }
func (e entry) no66() entry            { return e.with(aNo66) }

// with adds a demand to an instruction, or to all instructions of a split.
func (e entry) with(a attr) entry {
	if e.by == 0 {
		if e.op != INVALID {
			e.attr |= a
		}
		return e
	}
	sub := make([]entry, len(e.sub))
	for i, s := range e.sub {
		sub[i] = s.with(a)
	}
	e.sub = sub
	return e
}
