package decode

// Mode is the code-segment mode an instruction is decoded for: the default
// operand and address sizes (SDM Vol. 1, 3.6).
type Mode uint8

const (
	Mode16 Mode = 2 // 16-bit code segment, real or protected
	Mode32 Mode = 4 // 32-bit code segment, protected or compatibility
	Mode64 Mode = 8 // 64-bit code segment
)

// MaxLen is the longest an instruction may be; a longer one is #GP(0).
const MaxLen = 15

// Inst is one decoded instruction. It does not depend on where it was
// found: relative targets are kept relative.
type Inst struct {
	Op   Op
	Cond uint8 // condition code 0..15 for JCC, SETCC, CMOVCC

	Len      uint8 // total bytes
	Mode     Mode
	OpSize   uint8 // effective operand size in bytes: 2, 4 or 8
	AddrSize uint8 // effective address size in bytes: 2, 4 or 8
	Map      uint8 // 0 one-byte, 1 0F, 2 0F38, 3 0F3A
	Opcode   uint8 // last opcode byte
	ModRM    uint8 // the ModRM byte, when HasModRM
	HasModRM bool

	Lock     bool
	Rep      Rep   // F3 or F2 where it is a repeat prefix, not a mandatory one
	OpPrefix bool  // a 66 prefix was present
	REX      uint8 // the REX byte in force, or 0
	VEX      bool  // VEX-encoded
	EVEX     bool  // EVEX-encoded: known by length, never executed
	VexL     uint8 // vector length bits
	VexW     bool

	Args [4]Arg // operands in Intel order, ended by KindNone
	Mem  Mem    // the memory operand that ModRM or a moffs names
	Imm  int64  // first immediate, sign-extended as the instruction does
	Imm2 int64  // second: ENTER's level, far pointer's selector, EXTRQ
}

// Rep says which repeat prefix applies.
type Rep uint8

const (
	RepNone Rep = iota
	RepZ        // F3: REP, REPE
	RepNZ       // F2: REPNE
)

// Kind says what an operand is.
type Kind uint8

const (
	KindNone   Kind = iota
	KindGPR         // Arg.Reg 0..15; High set for AH, CH, DH, BH
	KindMem         // Inst.Mem, Arg.Size bytes
	KindImm         // Inst.Imm
	KindImm2        // Inst.Imm2
	KindRel         // relative branch by Inst.Imm from the end of the instruction
	KindFar         // far pointer Inst.Imm2:Inst.Imm
	KindSeg         // segment register, Arg.Reg: ES CS SS DS FS GS
	KindCR          // control register
	KindDR          // debug register
	KindXMM         // XMM register
	KindYMM         // YMM register (VEX.256)
	KindMMX         // MMX register
	KindST          // x87 stack register ST(i)
	KindOpmask      // AVX-512 mask register; known by length only
	KindTile        // AMX tile register; known by length only
	KindStrSrc      // string element at Inst.Mem.Seg:rSI, rSI of the address size
	KindStrDst      // string element at ES:rDI
	KindOne         // the constant 1 of the shifts
)

// Access says what an instruction does with an operand.
type Access uint8

const (
	Read      Access = 1 << iota
	Write            // always written when the instruction completes
	CondWrite        // may be left unwritten (CMOVcc memory forms, CMPXCHG, REP count 0)
	ReadWrite = Read | Write
)

// Arg is one explicit operand.
type Arg struct {
	Kind   Kind
	Reg    uint8  // register number, for register kinds
	High   bool   // AH, CH, DH, BH: bits 8..15 of register 0..3
	Size   uint16 // bytes read or written
	Access Access
}

// Segment register numbers as in ModRM.reg (SDM Vol. 2A, table 2-2).
const (
	ES = iota
	CS
	SS
	DS
	FS
	GS
)

// NoReg stands for an absent base or index.
const NoReg = 0xff

// Mem is the address expression of a memory operand:
// Seg:[Base + Index*Scale + Disp], truncated to the address size.
type Mem struct {
	Seg    uint8 // effective segment, overrides applied
	Base   uint8 // GPR, NoReg
	Index  uint8 // GPR, NoReg
	Scale  uint8 // 1, 2, 4, 8
	RIPRel bool  // relative to the end of the instruction
	VSIB   bool  // Index is a vector register (gathers)
	Disp   int64
}
