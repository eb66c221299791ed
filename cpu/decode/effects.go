package decode

// This file says what an instruction touches, byte by byte.
//
// What is promised. Read: if a bit outside an instruction's read sets is
// different, the instruction does the same thing and has the same result
// everywhere, but for that bit itself. So Read may name too much, never too
// little. Write: the location is overwritten, whatever was in it; so Write
// may name too little, never too much, and CondWrite takes what is written
// only sometimes, or only in part, or whose old value may stay.
//
// An operation whose result does not depend on its operand does not read it:
// XOR r,r and its like (see [Inst.selfCancels]).
//
// What is not here, because every instruction does it and the CPU accounts
// for it in one place: fetching from RIP and advancing it; the privilege
// level, segments' hidden bases, limits and rights, and the paging and mode
// controls behind every memory access (CR0, CR3, CR4, EFER, PKRU, page
// tables, SMAP's and #AC's EFLAGS.AC); CR0.TS, CR0.EM and CR4.OSFXSR before
// x87 and SSE instructions; what RF, TF, DR7 and pending events do between
// instructions; and what delivering an exception, an interrupt or a VM exit
// reads. Sys names explicit uses only. FS and GS bases are explicit where a
// memory operand goes through them.
//
// Instructions of sets that are known by length only (EVEX, AMX, SGX, Key
// Locker and other rarities) read everything and write it conditionally.

// RegSet is a set of bytes of registers.
type RegSet struct {
	GPR [16]uint8  // bit i stands for byte i
	XMM [16]uint32 // bytes 0..15 are XMM, 16..31 the upper half of YMM
	Sys SysSet
}

// SysSet is a set of system registers, each taken as a whole.
type SysSet uint64

const (
	SysRIP SysSet = 1 << iota // where an instruction uses or sets it beyond going on to the next
	SysCR0
	SysCR2
	SysCR3
	SysCR4
	SysCR8
	SysDR0
	SysDR1
	SysDR2
	SysDR3
	SysDR6
	SysDR7
	SysGDTR
	SysIDTR
	SysLDTR
	SysTR
	SysES // selector and hidden part
	SysCS
	SysSS
	SysDS
	SysFS
	SysGS
	SysFSBase
	SysGSBase
	SysKernelGSBase
	SysEFER
	SysSyscall  // STAR, LSTAR, CSTAR, FMASK
	SysSysenter // IA32_SYSENTER_CS, _ESP, _EIP
	SysTSC
	SysTSCAux
	SysPMC // performance counters
	SysMSR // any other model-specific register
	SysMXCSR
	SysX87 // the whole of it, MMX registers included
	SysPKRU
	SysXCR0
	SysSSP  // shadow stack pointer
	SysVMCS // the current VMCS and the VMX pointers
	SysExt  // AVX-512 and AMX registers
	numSys  = iota
)

// SysAll is every system register; sysMSRs those that RDMSR and WRMSR reach.
const (
	SysAll  SysSet = 1<<numSys - 1
	sysMSRs        = SysFSBase | SysGSBase | SysKernelGSBase | SysEFER | SysSyscall | SysSysenter | SysTSC | SysTSCAux | SysPMC | SysMSR
	sysSegs        = SysES | SysCS | SysSS | SysDS | SysFS | SysGS
)

// Effects is what one instruction touches. RCX, RSI, RDI and DF of repeated
// string instructions are in it; so are the registers of addresses, as reads.
type Effects struct {
	Read, Write, CondWrite RegSet

	FlagsRead      uint32 // bits of EFLAGS
	FlagsWritten   uint32
	FlagsUndefined uint32 // may change, to a value the manual does not give
	FlagsCond      uint32 // written under a condition: a shift count that is not zero, a repetition that happens

	Mem  [4]MemRef
	NMem int
}

// MemKind says how a MemRef's address and size come about.
type MemKind uint8

const (
	MemOperand MemKind = iota // Mem, Size bytes
	MemStack                  // Size bytes at or below SS:rSP (or rBP), as Mem.Disp says; of the stack's address size
	MemString                 // an element at Mem; with a repeat prefix, a run of them in the direction of DF
	MemBit                    // bit string at Mem, indexed by the register of Args[1], Size bytes at a time
	MemXlat                   // the byte at Mem + AL
	MemGather                 // as many elements as the mask selects, each at Mem with its own index
	MemMask                   // as many of Size bytes as the mask operand selects
	MemXSave                  // XSAVE area: Size is the least it can be
	MemTable                  // descriptor table, TSS, interrupt table, VMCS: address from a system register
	MemFrame                  // stack or state frame whose place and size depend on the transfer
)

// MemRef is one access to memory.
type MemRef struct {
	Mem
	Size     uint16
	Access   Access
	AddrSize uint8
	Kind     MemKind
}

// Bits of EFLAGS (SDM Vol. 1, 3.4.3).
const (
	FlagCF   = 1 << 0
	FlagPF   = 1 << 2
	FlagAF   = 1 << 4
	FlagZF   = 1 << 6
	FlagSF   = 1 << 7
	FlagTF   = 1 << 8
	FlagIF   = 1 << 9
	FlagDF   = 1 << 10
	FlagOF   = 1 << 11
	FlagIOPL = 3 << 12
	FlagNT   = 1 << 14
	FlagRF   = 1 << 16
	FlagVM   = 1 << 17
	FlagAC   = 1 << 18
	FlagVIF  = 1 << 19
	FlagVIP  = 1 << 20
	FlagID   = 1 << 21

	FlagsArith = FlagCF | FlagPF | FlagAF | FlagZF | FlagSF | FlagOF
	FlagsAll   = FlagsArith | FlagTF | FlagIF | FlagDF | FlagIOPL | FlagNT | FlagRF | FlagVM | FlagAC | FlagVIF | FlagVIP | FlagID
)

// Effects fills e with what the instruction touches.
func (in *Inst) Effects(e *Effects) {
	*e = Effects{}
	cancels := in.selfCancels()
	for i := range in.Args {
		a := &in.Args[i]
		if a.Kind == KindNone {
			break
		}
		acc := a.Access
		if cancels {
			acc &^= Read
		}
		in.operandEffects(e, a, acc)
	}
	in.flagEffects(e)
	in.implicitEffects(e)
}

// operandEffects adds one explicit operand.
func (in *Inst) operandEffects(e *Effects, a *Arg, acc Access) {
	switch a.Kind {
	case KindGPR:
		in.gprEffects(e, a.Reg, a.High, int(a.Size), acc)
	case KindXMM, KindYMM:
		if a.Reg < 16 {
			in.vectorEffects(e, a, acc)
		}
	case KindMMX, KindST:
		e.Read.Sys |= SysX87
		e.CondWrite.Sys |= SysX87
	case KindOpmask, KindTile:
		e.Read.Sys |= SysExt
		e.CondWrite.Sys |= SysExt
	case KindSeg:
		addSys(e, SysES<<a.Reg, acc)
	case KindCR:
		addSys(e, controlRegister(a.Reg), acc)
	case KindDR:
		addSys(e, debugRegister(a.Reg), acc)
	case KindMem:
		in.memEffects(e, a, acc)
	case KindStrSrc, KindStrDst:
		in.stringEffects(e, a, acc)
	case KindRel:
		e.Read.Sys |= SysRIP
	}
}

func addSys(e *Effects, s SysSet, acc Access) {
	if acc&Read != 0 {
		e.Read.Sys |= s
	}
	if acc&Write != 0 {
		e.Write.Sys |= s
	}
	if acc&CondWrite != 0 {
		e.CondWrite.Sys |= s
	}
}

func controlRegister(n uint8) SysSet {
	switch n {
	case 0:
		return SysCR0
	case 2:
		return SysCR2
	case 3:
		return SysCR3
	case 4:
		return SysCR4
	}
	return SysCR8
}

// debugRegister: DR4 and DR5 are aliases of DR6 and DR7 (SDM Vol. 3B, 18.2.2).
func debugRegister(n uint8) SysSet {
	switch n {
	case 4, 6:
		return SysDR6
	case 5, 7:
		return SysDR7
	}
	return SysDR0 << n
}

// low is the mask of the lowest n bytes.
func low(n int) uint8 { return uint8(1<<n - 1) }

// gprEffects adds size bytes of a general register. Writing 32 bits in
// 64-bit mode clears the rest; outside it the rest is out of sight, so only
// conditionally written.
func (in *Inst) gprEffects(e *Effects, r uint8, high bool, size int, acc Access) {
	m, rest := low(size), uint8(0)
	if high {
		m = 2
	} else if size == 4 {
		rest = 0xF0
	}
	if acc&Read != 0 {
		e.Read.GPR[r] |= m
	}
	if acc&Write != 0 {
		e.Write.GPR[r] |= m
		if in.Mode == Mode64 {
			e.Write.GPR[r] |= rest
		} else {
			e.CondWrite.GPR[r] |= rest
		}
	}
	if acc&CondWrite != 0 {
		e.CondWrite.GPR[r] |= m | rest
	}
}

// reads and writes add the lowest n bytes of general registers.
func (in *Inst) reads(e *Effects, n int, regs ...uint8) {
	for _, r := range regs {
		in.gprEffects(e, r, false, n, Read)
	}
}

func (in *Inst) writes(e *Effects, n int, regs ...uint8) {
	for _, r := range regs {
		in.gprEffects(e, r, false, n, Write)
	}
}

func (in *Inst) condWrites(e *Effects, n int, regs ...uint8) {
	for _, r := range regs {
		in.gprEffects(e, r, false, n, CondWrite)
	}
}

// vectorEffects adds an XMM or YMM operand. A VEX destination is written to
// its top; a legacy SSE destination keeps the bytes above its size.
func (in *Inst) vectorEffects(e *Effects, a *Arg, acc Access) {
	m := uint32(1<<a.Size - 1)
	switch in.Op {
	case MOVHPS, MOVHPD: // the upper half, in the register on either side
		m = 0xFF00
	case MOVLHPS:
		if acc&Write != 0 {
			m = 0xFF00
		}
	case MOVHLPS:
		if acc&Read != 0 {
			m = 0xFF00
		}
	}
	if acc&Read != 0 {
		e.Read.XMM[a.Reg] |= m
	}
	if acc&(Write|CondWrite) != 0 && in.VEX {
		m = 0xFFFFFFFF
	}
	if acc&Write != 0 {
		e.Write.XMM[a.Reg] |= m
	}
	if acc&CondWrite != 0 {
		e.CondWrite.XMM[a.Reg] |= m
	}
}

// addressReads adds the registers that an address is made of; n is how many
// of their bytes matter.
func (in *Inst) addressReads(e *Effects, m *Mem, n int) {
	if m.Base != NoReg {
		e.Read.GPR[m.Base] |= low(n)
	}
	if m.VSIB {
		width := uint32(0xFFFF)
		if in.VexL == 1 {
			width = 0xFFFFFFFF
		}
		e.Read.XMM[m.Index] |= width
	} else if m.Index != NoReg {
		e.Read.GPR[m.Index] |= low(n)
	}
	if m.RIPRel {
		e.Read.Sys |= SysRIP
	}
	switch m.Seg {
	case FS:
		e.Read.Sys |= SysFSBase
	case GS:
		e.Read.Sys |= SysGSBase
	}
}

// addMem adds an access to memory.
func (e *Effects) addMem(m Mem, size uint16, acc Access, addrSize uint8, kind MemKind) {
	if e.NMem < len(e.Mem) {
		e.Mem[e.NMem] = MemRef{m, size, acc, addrSize, kind}
		e.NMem++
	}
}

// memEffects adds a memory operand.
func (in *Inst) memEffects(e *Effects, a *Arg, acc Access) {
	m := in.Mem
	switch in.Op {
	case NOP, UD0, UD1: // not even an address
		return
	case LEA: // an address only, and of it no more than fits
		m.Seg = DS
		in.addressReads(e, &m, int(min(in.AddrSize, in.OpSize)))
		return
	case POP: // an rSP base counts after the increment
		if m.Base == 4 {
			m.Disp += int64(in.OpSize)
		}
	}
	in.addressReads(e, &m, int(in.AddrSize))
	if acc == 0 {
		return
	}
	kind := MemOperand
	switch in.Op {
	case BT, BTS, BTR, BTC:
		if in.Args[1].Kind == KindGPR {
			kind = MemBit
		}
	case XSAVE, XSAVEC, XSAVEOPT, XSAVES, XRSTOR, XRSTORS:
		kind = MemXSave
	case VMASKMOVPS, VMASKMOVPD, VPMASKMOVD, VPMASKMOVQ:
		kind = MemMask
	}
	if m.VSIB {
		kind = MemGather
	}
	e.addMem(m, a.Size, acc, in.AddrSize, kind)
}

// stringEffects adds the source or destination of a string instruction: an
// element, its pointer stepped by DF, and RCX when it is repeated.
func (in *Inst) stringEffects(e *Effects, a *Arg, acc Access) {
	n := int(in.AddrSize)
	m := Mem{Seg: ES, Base: 7, Index: NoReg, Scale: 1}
	if a.Kind == KindStrSrc {
		m = in.Mem
	}
	in.addressReads(e, &m, n)
	step := Write
	if in.Rep != RepNone {
		step = CondWrite
		if acc&Write != 0 {
			acc = acc&^Write | CondWrite
		}
		in.gprEffects(e, 1, false, n, Read|CondWrite)
	}
	in.gprEffects(e, m.Base, false, n, step)
	e.addMem(m, a.Size, acc, in.AddrSize, MemString)
}

// selfCancels says that the instruction's two sources are the same register
// and its result does not depend on what is in it.
func (in *Inst) selfCancels() bool {
	x, y := &in.Args[0], &in.Args[1]
	switch in.Op {
	case XOR, SUB, SBB, CMP,
		PXOR, XORPS, XORPD, PANDN, ANDNPS, ANDNPD,
		PSUBB, PSUBW, PSUBD, PSUBQ, PSUBSB, PSUBSW, PSUBUSB, PSUBUSW,
		PCMPEQB, PCMPEQW, PCMPEQD, PCMPEQQ, PCMPGTB, PCMPGTW, PCMPGTD, PCMPGTQ:
	case VPXOR, VXORPS, VXORPD, VPANDN, VANDNPS, VANDNPD,
		VPSUBB, VPSUBW, VPSUBD, VPSUBQ, VPSUBSB, VPSUBSW, VPSUBUSB, VPSUBUSW,
		VPCMPEQB, VPCMPEQW, VPCMPEQD, VPCMPEQQ, VPCMPGTB, VPCMPGTW, VPCMPGTD, VPCMPGTQ:
		x, y = y, &in.Args[2]
	default:
		return false
	}
	return x.Kind == y.Kind && x.Reg == y.Reg && x.High == y.High && (x.Kind == KindGPR || x.Kind == KindXMM || x.Kind == KindYMM)
}

// IsBranch says that the instruction counts as a branch: it transfers
// control by itself, near, far, or through a system-call or interrupt
// gate, whether or not a condition makes it.
func (in *Inst) IsBranch() bool {
	switch in.Op {
	case JMP, JMPFAR, CALL, CALLFAR, RET, RETFAR, IRET, JCC, JRCXZ, LOOP, LOOPE, LOOPNE,
		INT, INT3, INT1, INTO, SYSCALL, SYSRET, SYSENTER, SYSEXIT:
		return true
	}
	return false
}

// IsControl says that the next instruction executed need not be the one
// that follows: branches, VM entries and exits, waits, and what always
// faults.
func (in *Inst) IsControl() bool {
	switch in.Op {
	case HLT, MWAIT, UD0, UD1, UD2, RSM, VMCALL, VMLAUNCH, VMRESUME, VMFUNC, XBEGIN, XABORT, UIRET, ENCLU, GETSEC:
		return true
	}
	return in.IsBranch()
}

// IsLoad says that the instruction reads memory by an operand, the stack or
// a string. Fetches, page walks and descriptor-table reads do not count.
func (in *Inst) IsLoad() bool { return in.touchesMemory(Read) }

// IsStore says that the instruction writes, or may write, memory by an
// operand, the stack or a string.
func (in *Inst) IsStore() bool { return in.touchesMemory(Write | CondWrite) }

func (in *Inst) touchesMemory(acc Access) bool {
	var e Effects
	in.Effects(&e)
	for _, m := range e.Mem[:e.NMem] {
		if m.Access&acc != 0 && m.Kind != MemTable {
			return true
		}
	}
	return false
}
