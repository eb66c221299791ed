package decode

// Register numbers.
const (
	rAX = iota
	rCX
	rDX
	rBX
	rSP
	rBP
	rSI
	rDI
)

// implicitEffects adds what the instruction touches without naming it.
func (in *Inst) implicitEffects(e *Effects) {
	n := int(in.OpSize)
	an := int(in.AddrSize)
	switch in.Op {

	// General registers.
	case MUL, IMUL:
		if in.Args[1].Kind != KindNone {
			break
		}
		if in.Args[0].Size == 1 {
			in.reads(e, 1, rAX)
			in.writes(e, 2, rAX)
			break
		}
		in.reads(e, n, rAX)
		in.writes(e, n, rAX, rDX)
	case DIV, IDIV:
		if in.Args[0].Size == 1 {
			in.reads(e, 2, rAX)
			in.writes(e, 2, rAX)
			break
		}
		in.reads(e, n, rAX, rDX)
		in.writes(e, n, rAX, rDX)
	case MULX:
		in.reads(e, int(in.Args[0].Size), rDX)
	case CBW:
		in.reads(e, n/2, rAX)
		in.writes(e, n, rAX)
	case CWD:
		in.reads(e, n, rAX)
		in.writes(e, n, rDX)
	case DAA, DAS, SALC:
		if in.Op != SALC {
			in.reads(e, 1, rAX)
		}
		in.writes(e, 1, rAX)
	case AAA, AAS, AAD:
		in.reads(e, 2, rAX)
		in.writes(e, 2, rAX)
	case AAM:
		in.reads(e, 1, rAX)
		in.writes(e, 2, rAX)
	case LAHF:
		in.gprEffects(e, rAX, true, 1, Write)
	case SAHF:
		in.gprEffects(e, rAX, true, 1, Read)
	case XLAT:
		in.addressReads(e, &in.Mem, an)
		in.reads(e, 1, rAX)
		in.writes(e, 1, rAX)
		e.addMem(in.Mem, 1, Read, in.AddrSize, MemXlat)
	case CMPXCHG:
		in.gprEffects(e, rAX, false, int(in.Args[0].Size), Read|CondWrite)
	case CMPXCHG8B:
		in.reads(e, 4, rAX, rDX, rBX, rCX)
		in.condWrites(e, 4, rAX, rDX)
	case CMPXCHG16B:
		in.reads(e, 8, rAX, rDX, rBX, rCX)
		in.condWrites(e, 8, rAX, rDX)
	case CMOVCC:
		// With a 32-bit operand the upper half is cleared either way.
		if a := &in.Args[0]; a.Size == 4 && in.Mode == Mode64 {
			e.CondWrite.GPR[a.Reg] &= 0x0F
			e.Write.GPR[a.Reg] |= 0xF0
		}
	case LDS:
		in.loadSegment(e, DS)
	case LES:
		in.loadSegment(e, ES)
	case LSS:
		in.loadSegment(e, SS)
	case LFS:
		in.loadSegment(e, FS)
	case LGS:
		in.loadSegment(e, GS)

	// The stack.
	case PUSH:
		in.push(e, 1)
		if in.Args[0].Kind == KindSeg && n == 4 { // written as a word: the rest of the slot stays
			e.Mem[e.NMem-1].Size = 2
			in.stackMem(e, rSP, -2, 2, CondWrite)
		}
	case POP:
		in.pop(e, 1)
		if in.Args[0].Kind == KindSeg {
			in.loadSegment(e, in.Args[0].Reg)
		}
	case PUSHF:
		in.push(e, 1)
	case POPF:
		in.pop(e, 1)
	case PUSHA:
		in.reads(e, n, rAX, rCX, rDX, rBX, rSP, rBP, rSI, rDI)
		in.push(e, 8)
	case POPA:
		in.pop(e, 8)
		in.writes(e, n, rAX, rCX, rDX, rBX, rBP, rSI, rDI)
	case ENTER:
		in.reads(e, n, rBP)
		in.reads(e, in.stackBytes(), rBP)
		level := in.Imm2 & 31
		in.push(e, int(level)+1)
		if level > 1 {
			in.stackMem(e, rBP, -int64(n)*(level-1), uint16(n*int(level-1)), Read)
		}
		in.writes(e, n, rBP)
	case LEAVE:
		in.reads(e, in.stackBytes(), rBP)
		in.writeStackPointer(e)
		in.stackMem(e, rBP, 0, uint16(n), Read)
		in.writes(e, n, rBP)

	// Control transfer.
	case JMP:
		e.Write.Sys |= SysRIP
	case JCC:
		e.CondWrite.Sys |= SysRIP
	case JRCXZ:
		in.reads(e, an, rCX)
		e.CondWrite.Sys |= SysRIP
	case LOOP, LOOPE, LOOPNE:
		in.gprEffects(e, rCX, false, an, ReadWrite)
		e.CondWrite.Sys |= SysRIP
	case CALL:
		e.Read.Sys |= SysRIP
		e.Write.Sys |= SysRIP
		in.push(e, 1)
	case RET:
		e.Write.Sys |= SysRIP
		in.pop(e, 1)
	case CALLFAR, JMPFAR, RETFAR, IRET:
		in.farTransfer(e)
	case INT, INT3, INT1, INTO:
		e.Read.Sys |= SysIDTR
		in.farTransfer(e)
	case BOUND, UD0, UD1, UD2, NOP, ENDBR32, ENDBR64:
		// nothing further
	case SYSCALL:
		e.Read.Sys |= SysRIP | SysSyscall | SysEFER
		e.Write.Sys |= SysRIP | SysCS | SysSS
		in.writes(e, 8, rCX, 11)
	case SYSRET:
		e.Read.Sys |= SysSyscall | SysEFER
		e.Write.Sys |= SysRIP | SysCS | SysSS
		in.reads(e, 8, rCX, 11)
	case SYSENTER:
		e.Read.Sys |= SysSysenter
		e.Write.Sys |= SysRIP | SysCS | SysSS
		in.writeStackPointer(e)
	case SYSEXIT:
		e.Read.Sys |= SysSysenter
		e.Write.Sys |= SysRIP | SysCS | SysSS
		in.reads(e, 8, rCX, rDX)
		in.writeStackPointer(e)
	case XBEGIN:
		e.CondWrite.Sys |= SysRIP
		in.condWrites(e, 4, rAX)

	// Segments and descriptor tables.
	case MOVSEG:
		if in.Args[0].Kind == KindSeg {
			in.loadSegment(e, in.Args[0].Reg)
		}
	case SGDT:
		e.Read.Sys |= SysGDTR | SysCR4
	case SIDT:
		e.Read.Sys |= SysIDTR | SysCR4
	case SLDT:
		e.Read.Sys |= SysLDTR | SysCR4
	case STR:
		e.Read.Sys |= SysTR | SysCR4
	case LGDT:
		e.Write.Sys |= SysGDTR
	case LIDT:
		e.Write.Sys |= SysIDTR
	case LLDT:
		e.Read.Sys |= SysGDTR
		e.Write.Sys |= SysLDTR
		e.addMem(Mem{Base: NoReg, Index: NoReg}, 16, Read, 8, MemTable)
	case LTR:
		e.Read.Sys |= SysGDTR
		e.Write.Sys |= SysTR
		e.addMem(Mem{Base: NoReg, Index: NoReg}, 16, Read|Write, 8, MemTable)
	case LAR, LSL, VERR, VERW:
		e.Read.Sys |= SysGDTR | SysLDTR
		e.addMem(Mem{Base: NoReg, Index: NoReg}, 8, Read, 8, MemTable)
	case SWAPGS:
		e.Read.Sys |= SysGSBase | SysKernelGSBase
		e.Write.Sys |= SysGSBase | SysKernelGSBase
	case RDFSBASE:
		e.Read.Sys |= SysFSBase | SysCR4
	case RDGSBASE:
		e.Read.Sys |= SysGSBase | SysCR4
	case WRFSBASE:
		e.Read.Sys |= SysCR4
		e.Write.Sys |= SysFSBase
	case WRGSBASE:
		e.Read.Sys |= SysCR4
		e.Write.Sys |= SysGSBase

	// Control, debug and model-specific registers, input and output.
	case CLTS:
		e.Read.Sys |= SysCR0
		e.CondWrite.Sys |= SysCR0
	case LMSW:
		e.Read.Sys |= SysCR0
		e.CondWrite.Sys |= SysCR0
	case SMSW:
		e.Read.Sys |= SysCR0 | SysCR4
	case MOVCR:
		e.Read.Sys |= SysEFER | SysCR0 | SysCR4 // what the new value must be compatible with
		if in.Args[0].Kind == KindCR {
			e.CondWrite.Sys |= SysEFER
		}
	case MOVDR:
		e.Read.Sys |= SysDR7 | SysCR4
		e.CondWrite.Sys |= SysDR6
	case RDMSR:
		e.Read.Sys |= sysMSRs
		in.reads(e, 4, rCX)
		in.writes(e, 4, rAX, rDX)
	case WRMSR, WRMSRNS:
		e.CondWrite.Sys |= sysMSRs
		e.Read.Sys |= SysEFER | SysCR0 | SysCR4 | SysMSR
		in.reads(e, 4, rCX, rAX, rDX)
	case RDPMC:
		e.Read.Sys |= SysPMC | SysCR4
		in.reads(e, 4, rCX)
		in.writes(e, 4, rAX, rDX)
	case RDTSC:
		e.Read.Sys |= SysTSC | SysCR4
		in.writes(e, 4, rAX, rDX)
	case RDTSCP:
		e.Read.Sys |= SysTSC | SysTSCAux | SysCR4
		in.writes(e, 4, rAX, rDX, rCX)
	case RDPID:
		e.Read.Sys |= SysTSCAux
	case CPUID:
		e.Read.Sys |= SysCR4 | SysXCR0 | SysMSR
		in.reads(e, 4, rAX, rCX)
		in.writes(e, 4, rAX, rBX, rCX, rDX)
	case IN, OUT:
		e.Read.Sys |= SysTR // the I/O permission bitmap
		e.addMem(Mem{Base: NoReg, Index: NoReg}, 2, Read, 8, MemTable)
	case INS, OUTS:
		e.Read.Sys |= SysTR
		e.addMem(Mem{Base: NoReg, Index: NoReg}, 2, Read, 8, MemTable)
	case XGETBV:
		e.Read.Sys |= SysXCR0 | SysCR4
		in.reads(e, 4, rCX)
		in.writes(e, 4, rAX, rDX)
	case XSETBV:
		e.Read.Sys |= SysCR4
		e.CondWrite.Sys |= SysXCR0
		in.reads(e, 4, rCX, rAX, rDX)
	case RDPKRU:
		e.Read.Sys |= SysPKRU | SysCR4
		in.reads(e, 4, rCX)
		in.writes(e, 4, rAX, rDX)
	case WRPKRU:
		e.Read.Sys |= SysCR4
		e.Write.Sys |= SysPKRU
		in.reads(e, 4, rCX, rAX, rDX)
	case INVPCID, INVEPT, INVVPID:
		e.Read.Sys |= SysCR4

	case MONITOR:
		in.addressReads(e, &in.Mem, an)
		in.reads(e, 4, rCX, rDX)
		e.addMem(in.Mem, 1, Read, in.AddrSize, MemOperand)
	case UMONITOR:
		in.addressReads(e, &in.Mem, an)
		e.addMem(in.Mem, 1, Read, in.AddrSize, MemOperand)
	case MWAIT:
		in.reads(e, 4, rAX, rCX)
	case UMWAIT, TPAUSE:
		e.Read.Sys |= SysTSC | SysMSR | SysCR4
		in.reads(e, 4, rAX, rDX)
	case MOVDIR64B, ENQCMD, ENQCMDS:
		in.addressReads(e, &Mem{Seg: ES, Base: in.Args[0].Reg, Index: NoReg}, an)
		e.addMem(Mem{Seg: ES, Base: in.Args[0].Reg, Index: NoReg, Scale: 1}, 64, Write, in.AddrSize, MemOperand)

	// Virtual machines. What an entry loads and an exit saves is the CPU's.
	case VMREAD, VMWRITE, VMCLEAR, VMPTRLD, VMPTRST, VMXON, VMXOFF:
		e.Read.Sys |= SysVMCS | SysCR0 | SysCR4 | SysMSR
		e.CondWrite.Sys |= SysVMCS
		e.addMem(Mem{Base: NoReg, Index: NoReg}, 0, Read|CondWrite, 8, MemTable)
	case VMCALL, VMFUNC:
		e.Read.Sys |= SysVMCS
		in.reads(e, 4, rAX, rCX)
	case VMLAUNCH, VMRESUME:
		e.Read.Sys |= SysAll
		e.CondWrite.Sys |= SysAll
		in.condWrites(e, 8, rSP)
		e.addMem(Mem{Base: NoReg, Index: NoReg}, 0, Read|CondWrite, 8, MemTable)

	default:
		in.floatEffects(e)
	}
}

// stackBytes is how many bytes of rSP and rBP address the stack. Outside
// 64-bit mode the stack segment's B flag decides between 2 and 4.
func (in *Inst) stackBytes() int {
	if in.Mode == Mode64 {
		return 8
	}
	return 4
}

// writeStackPointer adds a write of rSP: with a 16-bit stack, of SP only.
func (in *Inst) writeStackPointer(e *Effects) {
	if in.Mode == Mode64 {
		e.Write.GPR[rSP] = 0xFF
		return
	}
	e.Write.GPR[rSP] |= 0x03
	e.CondWrite.GPR[rSP] |= 0xFC
}

// stackMem adds size bytes at SS:reg+disp.
func (in *Inst) stackMem(e *Effects, reg uint8, disp int64, size uint16, acc Access) {
	e.addMem(Mem{Seg: SS, Base: reg, Index: NoReg, Scale: 1, Disp: disp}, size, acc, uint8(in.stackBytes()), MemStack)
}

// push adds a push of count operands.
func (in *Inst) push(e *Effects, count int) {
	in.reads(e, in.stackBytes(), rSP)
	in.writeStackPointer(e)
	size := count * int(in.OpSize)
	in.stackMem(e, rSP, -int64(size), uint16(size), Write)
}

// pop adds a pop of count operands. POP to rSP leaves there what was popped.
func (in *Inst) pop(e *Effects, count int) {
	in.reads(e, in.stackBytes(), rSP)
	in.writeStackPointer(e)
	in.stackMem(e, rSP, 0, uint16(count*int(in.OpSize)), Read)
}

// loadSegment adds what loading a segment register looks at: a descriptor,
// whose accessed flag it may set. FS and GS take their bases from it.
func (in *Inst) loadSegment(e *Effects, s uint8) {
	e.Read.Sys |= SysGDTR | SysLDTR
	e.Write.Sys |= SysES << s
	switch s {
	case FS:
		e.CondWrite.Sys |= SysFSBase
	case GS:
		e.CondWrite.Sys |= SysGSBase
	}
	e.addMem(Mem{Base: NoReg, Index: NoReg}, 8, Read|CondWrite, 8, MemTable)
}

// farTransfer adds a transfer through a segment, gate or task. Which of
// these it is shows only when it executes; outside 64-bit mode a task switch
// saves and loads every register.
func (in *Inst) farTransfer(e *Effects) {
	e.Read.Sys |= SysRIP | SysCS | SysSS | SysGDTR | SysLDTR | SysTR
	e.Write.Sys |= SysRIP | SysCS
	e.CondWrite.Sys |= SysSS
	if in.Op == INTO {
		e.Write.Sys &^= SysRIP | SysCS
		e.CondWrite.Sys |= SysRIP | SysCS
	}
	switch in.Op {
	case RETFAR, IRET: // to an outer level, unusable data segments are cleared
		e.Read.Sys |= sysSegs
		e.CondWrite.Sys |= sysSegs
	}
	in.reads(e, in.stackBytes(), rSP)
	e.CondWrite.GPR[rSP] = 0xFF
	if in.Mode != Mode64 {
		for r := range e.Read.GPR {
			e.Read.GPR[r] |= 0x0F
			e.CondWrite.GPR[r] = 0xFF
		}
		e.Read.Sys |= sysSegs | SysCR3
		e.CondWrite.Sys |= sysSegs | SysCR3 | SysTR | SysLDTR | SysCR0 | SysDR7 | SysFSBase | SysGSBase
		e.FlagsRead = FlagsAll
		e.FlagsCond |= FlagsAll &^ e.FlagsWritten
	}
	e.addMem(Mem{Base: NoReg, Index: NoReg}, 16, Read|CondWrite, 8, MemTable)
	stack := Mem{Seg: SS, Base: rSP, Index: NoReg, Scale: 1}
	size := uint16(in.OpSize)
	switch in.Op {
	case JMPFAR:
	case RETFAR:
		e.addMem(stack, 2*size, Read, uint8(in.stackBytes()), MemFrame)
	case IRET:
		e.addMem(stack, 3*size, Read, uint8(in.stackBytes()), MemFrame)
	case CALLFAR:
		e.addMem(stack, 2*size, Write, uint8(in.stackBytes()), MemFrame)
	case INTO:
		e.addMem(stack, 3*size, CondWrite, uint8(in.stackBytes()), MemFrame)
	default:
		e.addMem(stack, 3*size, Write, uint8(in.stackBytes()), MemFrame)
	}
}

// everything adds all registers, for operations that are known by name only.
func (in *Inst) everything(e *Effects) {
	for r := range e.Read.GPR {
		e.Read.GPR[r] = 0xFF
		e.CondWrite.GPR[r] = 0xFF
	}
	for r := range e.Read.XMM {
		e.Read.XMM[r] = 0xFFFFFFFF
		e.CondWrite.XMM[r] = 0xFFFFFFFF
	}
	e.Write = RegSet{}
	e.Read.Sys, e.CondWrite.Sys = SysAll, SysAll
	e.FlagsRead, e.FlagsWritten, e.FlagsUndefined, e.FlagsCond = FlagsAll, 0, 0, FlagsAll
	if e.NMem == 0 {
		e.addMem(Mem{Base: NoReg, Index: NoReg}, 0, Read|CondWrite, 8, MemTable)
	}
}
