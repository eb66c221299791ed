package decode

// flagRow is what an operation does with EFLAGS.
type flagRow struct{ read, written, undefined, cond uint32 }

// Rows that several operations share. Letters are O S Z A P C.
var (
	flagsArith  = flagRow{written: FlagsArith}
	flagsCarry  = flagRow{read: FlagCF, written: FlagsArith}
	flagsIncDec = flagRow{written: FlagsArith &^ FlagCF}
	flagsLogic  = flagRow{written: FlagsArith &^ FlagAF, undefined: FlagAF}
	flagsMul    = flagRow{written: FlagOF | FlagCF, undefined: FlagSF | FlagZF | FlagAF | FlagPF}
	flagsDiv    = flagRow{undefined: FlagsArith}
	flagsBit    = flagRow{written: FlagCF, undefined: FlagOF | FlagSF | FlagAF | FlagPF}
	flagsScan   = flagRow{written: FlagZF, undefined: FlagsArith &^ FlagZF}
	flagsCount  = flagRow{written: FlagZF | FlagCF, undefined: FlagOF | FlagSF | FlagAF | FlagPF}
	flagsBMI    = flagRow{written: FlagsArith &^ (FlagAF | FlagPF), undefined: FlagAF | FlagPF}
	flagsZF     = flagRow{written: FlagZF}
	flagsAAA    = flagRow{read: FlagAF, written: FlagAF | FlagCF, undefined: FlagOF | FlagSF | FlagZF | FlagPF}
	flagsDAA    = flagRow{read: FlagAF | FlagCF, written: FlagsArith &^ FlagOF, undefined: FlagOF}
	flagsAAM    = flagRow{written: FlagSF | FlagZF | FlagPF, undefined: FlagOF | FlagAF | FlagCF}
	flagsLoad   = uint32(FlagsAll &^ (FlagIOPL | FlagIF | FlagVM | FlagVIF | FlagVIP | FlagRF))
	flagsGate   = flagRow{read: FlagsAll, cond: FlagTF | FlagIF | FlagNT | FlagRF | FlagVM | FlagVIF | FlagAC}
)

// flagRows holds the operations whose use of the flags does not depend on
// their operands. The rest are in flagEffects.
var flagRows = [NumOps]flagRow{
	ADD: flagsArith, OR: flagsLogic, ADC: flagsCarry, SBB: flagsCarry,
	AND: flagsLogic, SUB: flagsArith, XOR: flagsLogic, CMP: flagsArith,
	TEST: flagsLogic, INC: flagsIncDec, DEC: flagsIncDec, NEG: flagsArith,
	MUL: flagsMul, IMUL: flagsMul, DIV: flagsDiv, IDIV: flagsDiv,
	DAA: flagsDAA, DAS: flagsDAA, AAA: flagsAAA, AAS: flagsAAA, AAM: flagsAAM, AAD: flagsAAM,
	CMPXCHG: flagsArith, XADD: flagsArith, CMPXCHG8B: flagsZF, CMPXCHG16B: flagsZF, CMPCCXADD: flagsArith,
	BT: flagsBit, BTS: flagsBit, BTR: flagsBit, BTC: flagsBit,
	BSF: flagsScan, BSR: flagsScan, LZCNT: flagsCount, TZCNT: flagsCount, POPCNT: flagsArith,
	ADCX: {read: FlagCF, written: FlagCF}, ADOX: {read: FlagOF, written: FlagOF},
	ANDN: flagsBMI, BLSI: flagsBMI, BLSMSK: flagsBMI, BLSR: flagsBMI, BZHI: flagsBMI,
	BEXTR: {written: FlagZF | FlagCF | FlagOF, undefined: FlagSF | FlagAF | FlagPF},

	CLC: {written: FlagCF}, STC: {written: FlagCF}, CMC: {read: FlagCF, written: FlagCF},
	CLD: {written: FlagDF}, STD: {written: FlagDF},
	CLI:  {read: FlagIOPL | FlagVM, cond: FlagIF | FlagVIF},
	STI:  {read: FlagIOPL | FlagVM | FlagVIP, cond: FlagIF | FlagVIF},
	CLAC: {written: FlagAC}, STAC: {written: FlagAC},
	LAHF:  {read: FlagSF | FlagZF | FlagAF | FlagPF | FlagCF},
	SAHF:  {written: FlagSF | FlagZF | FlagAF | FlagPF | FlagCF},
	SALC:  {read: FlagCF},
	PUSHF: {read: FlagsAll},
	POPF:  {read: FlagIOPL | FlagVM | FlagVIP, written: flagsLoad, cond: FlagIF | FlagIOPL | FlagVIF | FlagRF | FlagVIP},
	LAR:   flagsZF, LSL: flagsZF, VERR: flagsZF, VERW: flagsZF, ARPL: flagsZF,
	IN: {read: FlagIOPL | FlagVM}, OUT: {read: FlagIOPL | FlagVM},

	LOOPE: {read: FlagZF}, LOOPNE: {read: FlagZF},
	INTO: {read: FlagsAll, cond: flagsGate.cond}, INT: flagsGate, INT3: flagsGate, INT1: flagsGate,
	CALLFAR: flagsGate, JMPFAR: flagsGate,
	RETFAR:   {},
	IRET:     {read: FlagIOPL | FlagVM | FlagNT, written: flagsLoad &^ FlagNT, cond: FlagNT | FlagIF | FlagIOPL | FlagVM | FlagVIF | FlagVIP | FlagRF},
	SYSCALL:  {read: FlagsAll, cond: FlagsAll},
	SYSRET:   {written: flagsLoad, cond: FlagIF | FlagIOPL | FlagVIF | FlagVIP | FlagRF},
	SYSENTER: {written: FlagIF, cond: FlagVM | FlagRF},

	RDRAND: flagsArith, RDSEED: flagsArith, ENQCMD: flagsArith, ENQCMDS: flagsArith,
	UMWAIT: flagsArith, TPAUSE: flagsArith, XTEST: flagsArith,
	VMCALL: flagsArith, VMLAUNCH: {written: FlagsArith, cond: FlagsAll &^ FlagsArith}, VMRESUME: {written: FlagsArith, cond: FlagsAll &^ FlagsArith},
	VMXOFF: flagsArith, VMXON: flagsArith, VMCLEAR: flagsArith, VMPTRLD: flagsArith, VMPTRST: flagsArith,
	VMREAD: flagsArith, VMWRITE: flagsArith, VMFUNC: {cond: FlagsArith}, INVEPT: flagsArith, INVVPID: flagsArith,

	FCMOVB: {read: FlagCF}, FCMOVNB: {read: FlagCF}, FCMOVE: {read: FlagZF}, FCMOVNE: {read: FlagZF},
	FCMOVBE: {read: FlagCF | FlagZF}, FCMOVNBE: {read: FlagCF | FlagZF}, FCMOVU: {read: FlagPF}, FCMOVNU: {read: FlagPF},
	FCOMI: flagsX87, FCOMIP: flagsX87, FUCOMI: flagsX87, FUCOMIP: flagsX87,
	COMISS: flagsArith, COMISD: flagsArith, UCOMISS: flagsArith, UCOMISD: flagsArith,
	VCOMISS: flagsArith, VCOMISD: flagsArith, VUCOMISS: flagsArith, VUCOMISD: flagsArith,
	PTEST: flagsArith, VPTEST: flagsArith, VTESTPS: flagsArith, VTESTPD: flagsArith,
	PCMPESTRI: flagsArith, PCMPESTRM: flagsArith, PCMPISTRI: flagsArith, PCMPISTRM: flagsArith,
	VPCMPESTRI: flagsArith, VPCMPESTRM: flagsArith, VPCMPISTRI: flagsArith, VPCMPISTRM: flagsArith,
	KORTESTB: flagsArith, KORTESTW: flagsArith, KORTESTD: flagsArith, KORTESTQ: flagsArith,
	KTESTB: flagsArith, KTESTW: flagsArith, KTESTD: flagsArith, KTESTQ: flagsArith,
}

// flagsX87: the comparison sets ZF, PF and CF and clears the others, but a
// stack fault or an unmasked exception may keep it from setting any.
var flagsX87 = flagRow{cond: FlagsArith}

// condReads are the flags that a condition code looks at, by its upper three
// bits (SDM Vol. 1, appendix B).
var condReads = [8]uint32{FlagOF, FlagCF, FlagZF, FlagCF | FlagZF, FlagSF, FlagPF, FlagSF | FlagOF, FlagSF | FlagOF | FlagZF}

// flagEffects adds the flags.
func (in *Inst) flagEffects(e *Effects) {
	f := flagRows[in.Op]
	switch in.Op {
	case JCC, SETCC, CMOVCC:
		f.read = condReads[in.Cond>>1&7]
	case ROL, ROR, RCL, RCR:
		f = in.shiftFlags(FlagOF | FlagCF)
		if in.Op == RCL || in.Op == RCR {
			f.read = FlagCF
		}
	case SHL, SHR, SAR, SHLD, SHRD:
		f = in.shiftFlags(FlagsArith)
	case MOVS, STOS, LODS:
		f.read = FlagDF
	case INS, OUTS:
		f.read = FlagDF | FlagIOPL | FlagVM
	case CMPS, SCAS:
		f.read = FlagDF
		if in.Rep != RepNone {
			f.cond = FlagsArith
		} else {
			f.written = FlagsArith
		}
	}
	e.FlagsRead, e.FlagsWritten, e.FlagsUndefined, e.FlagsCond = f.read, f.written, f.undefined, f.cond
}

// shiftFlags are the flags of a shift or rotate that sets those in set. A
// count of zero, after masking to 5 or 6 bits, leaves all as they were. OF
// is defined for a count of 1 only, AF for none.
func (in *Inst) shiftFlags(set uint32) flagRow {
	count := &in.Args[1]
	if in.Op == SHLD || in.Op == SHRD {
		count = &in.Args[2]
	}
	if count.Kind == KindGPR {
		return flagRow{cond: set}
	}
	n := in.Imm & 31
	if in.Args[0].Size == 8 {
		n = in.Imm & 63
	}
	if n == 0 {
		return flagRow{}
	}
	undefined := set & FlagAF
	if n != 1 {
		undefined |= FlagOF
	}
	if width := 8 * int64(in.Args[0].Size); n >= width {
		// Rotates of narrow operands and shifts by more than the width
		// leave CF to the processor, and with SHLD and SHRD everything.
		undefined = set
	}
	return flagRow{written: set &^ undefined, undefined: undefined}
}
