package decode

import (
	"fmt"
	"strings"

	"golang.org/x/arch/x86/x86asm"
)

// Disassemble gives the text of the instruction at the start of code, found
// at pc, in Intel's syntax, and its length. sym, which may be nil, names
// addresses: it returns the symbol that an address lies in and where that
// begins. Package x86asm does the printing where it knows the instruction,
// agrees about its length, and no address is in it, since it leaves symbols
// with an offset and absolute addresses out; otherwise Inst.Text does.
func Disassemble(code []byte, mode Mode, pc uint64, sym func(uint64) (string, uint64)) (string, int) {
	in, err := Decode(code, mode)
	if err != nil {
		return "(bad)", max(int(in.Len), 1)
	}
	if !in.VEX && !in.EVEX && !misprinted(in.Op) && !in.namesAddress() {
		x, err := x86asm.Decode(code[:in.Len], 8*int(mode))
		if err == nil && x.Op != 0 && x.Len == int(in.Len) {
			return x86asm.IntelSyntax(x, pc, x86asm.SymLookup(sym)), x.Len
		}
	}
	return in.Text(pc, sym), int(in.Len)
}

// namesAddress says that an operand is an address without a register.
func (in *Inst) namesAddress() bool {
	for i := range in.Args {
		switch in.Args[i].Kind {
		case KindRel, KindFar:
			return true
		case KindMem:
			if in.Mem.Base == NoReg {
				return true
			}
		}
	}
	return false
}

// misprinted says that x86asm knows the opcode under another name, or prints
// it without its operands or prefixes.
func misprinted(op Op) bool {
	switch op {
	case CLFLUSH, CLFLUSHOPT, CLWB, CLDEMOTE, NOP, ENDBR32, ENDBR64, MOVCR, MOVDR, PREFETCH, WBNOINVD, RDPID, INT1:
		return true
	}
	return false
}

// String gives the text of the instruction where its address is not known.
func (in *Inst) String() string { return in.text(0, false, nil) }

// Text gives the text of the instruction, at address pc, in Intel's syntax.
// sym, which may be nil, names addresses as for Disassemble.
func (in *Inst) Text(pc uint64, sym func(uint64) (string, uint64)) string {
	return in.text(pc, true, sym)
}

func (in *Inst) text(pc uint64, known bool, sym func(uint64) (string, uint64)) string {
	var b strings.Builder
	if in.Lock {
		b.WriteString("lock ")
	}
	compares := in.Op == CMPS || in.Op == SCAS
	switch {
	case in.Rep == RepZ && compares:
		b.WriteString("repe ")
	case in.Rep == RepNZ && compares:
		b.WriteString("repne ")
	case in.Rep != RepNone:
		b.WriteString("rep ")
	}
	b.WriteString(in.Mnemonic())
	sep := " "
	for i := range in.Args {
		a := &in.Args[i]
		if a.Kind == KindNone || a.Kind == KindStrSrc || a.Kind == KindStrDst || in.hides(i) {
			continue
		}
		b.WriteString(sep)
		sep = ", "
		b.WriteString(in.operandText(a, pc, known, sym))
	}
	if in.Mem.RIPRel && known && sym != nil {
		if s := symbol(sym, pc+uint64(in.Len)+uint64(in.Mem.Disp)); s != "" {
			b.WriteString(" ; " + s)
		}
	}
	return b.String()
}

// hides says that operand i is implied by the mnemonic.
func (in *Inst) hides(i int) bool {
	switch in.Op {
	case STOS, LODS, SCAS, INS, OUTS:
		return true
	}
	return false
}

// symbol names an address as symbol+offset, or not at all.
func symbol(sym func(uint64) (string, uint64), addr uint64) string {
	if sym == nil {
		return ""
	}
	name, base := sym(addr)
	switch {
	case name == "":
		return ""
	case addr == base:
		return name
	}
	return fmt.Sprintf("%s+%#x", name, addr-base)
}

var conditions = [16]string{"o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"}

// Mnemonic gives the name of exactly this instruction, condition and size
// included.
func (in *Inst) Mnemonic() string {
	bySize := func(w, d, q string) string {
		switch in.OpSize {
		case 2:
			return w
		case 8:
			return q
		}
		return d
	}
	switch in.Op {
	case JCC:
		return "j" + conditions[in.Cond]
	case SETCC:
		return "set" + conditions[in.Cond]
	case CMOVCC:
		return "cmov" + conditions[in.Cond]
	case CMPCCXADD:
		return "cmp" + conditions[in.Cond] + "xadd"
	case JRCXZ:
		return map[uint8]string{2: "jcxz", 4: "jecxz", 8: "jrcxz"}[in.AddrSize]
	case CBW:
		return bySize("cbw", "cwde", "cdqe")
	case CWD:
		return bySize("cwd", "cdq", "cqo")
	case MOVS, CMPS, STOS, LODS, SCAS, INS, OUTS:
		if in.OpSize == 1 {
			return in.Op.String() + "b"
		}
		return in.Op.String() + bySize("w", "d", "q")
	case IRET:
		return bySize("iret", "iretd", "iretq")
	case PUSHF:
		return bySize("pushf", "pushfd", "pushfq")
	case POPF:
		return bySize("popf", "popfd", "popfq")
	case PUSHA:
		return bySize("pusha", "pushad", "")
	case POPA:
		return bySize("popa", "popad", "")
	case SYSRET, SYSEXIT, FXSAVE, FXRSTOR, XSAVE, XSAVEC, XSAVEOPT, XSAVES, XRSTOR, XRSTORS:
		if in.OpSize != 8 {
			break
		}
		if in.Op == SYSRET || in.Op == SYSEXIT {
			return in.Op.String() + "q"
		}
		return in.Op.String() + "64"
	case CALLFAR:
		return "call far"
	case JMPFAR:
		return "jmp far"
	case RETFAR:
		return "retf" + bySize("w", "", "q")
	case MOVCR, MOVDR, MOVSEG:
		return "mov"
	case XLAT:
		return "xlatb"
	case WAIT:
		return "fwait"
	}
	return in.Op.String()
}

var (
	names8   = [16]string{"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b"}
	names16  = [16]string{"ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8w", "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w"}
	names32  = [16]string{"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d", "r15d"}
	names64  = [16]string{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"}
	nameHigh = [4]string{"ah", "ch", "dh", "bh"}
	nameSeg  = [6]string{"es", "cs", "ss", "ds", "fs", "gs"}
)

// GPRName names a general register of a size in bytes; high means AH, CH,
// DH or BH for registers 0 to 3.
func GPRName(reg uint8, size int, high bool) string {
	switch {
	case high:
		return nameHigh[reg&3]
	case size == 1:
		return names8[reg&15]
	case size == 2:
		return names16[reg&15]
	case size == 8:
		return names64[reg&15]
	}
	return names32[reg&15]
}

var pointers = map[uint16]string{
	1: "byte ptr ", 2: "word ptr ", 4: "dword ptr ", 6: "fword ptr ", 8: "qword ptr ", 10: "tbyte ptr ",
	16: "xmmword ptr ", 32: "ymmword ptr ",
}

func (in *Inst) operandText(a *Arg, pc uint64, known bool, sym func(uint64) (string, uint64)) string {
	switch a.Kind {
	case KindGPR:
		return GPRName(a.Reg, int(a.Size), a.High)
	case KindMem:
		s := in.memText(a)
		if in.Mem.RIPRel || in.Mem.Base != NoReg || in.Mem.Index != NoReg {
			return s
		}
		if name := symbol(sym, uint64(in.Mem.Disp)); name != "" {
			return s + " <" + name + ">"
		}
		return s
	case KindImm:
		return hexOfSize(in.Imm, int(max(a.Size, in.Args[0].Size)))
	case KindImm2:
		return fmt.Sprintf("%#x", in.Imm2)
	case KindOne:
		return "1"
	case KindRel:
		if !known {
			return fmt.Sprintf(".%+#x", in.Imm+int64(in.Len))
		}
		to := pc + uint64(in.Len) + uint64(in.Imm)
		switch {
		case in.OpSize == 2:
			to &= 0xFFFF
		case in.OpSize == 4:
			to &= 0xFFFFFFFF
		}
		if s := symbol(sym, to); s != "" {
			return s
		}
		return fmt.Sprintf("%#x", to)
	case KindFar:
		return fmt.Sprintf("%#x:%#x", in.Imm2, in.Imm)
	case KindSeg:
		return nameSeg[min(a.Reg, GS)]
	case KindCR:
		return fmt.Sprintf("cr%d", a.Reg)
	case KindDR:
		return fmt.Sprintf("dr%d", a.Reg)
	case KindXMM:
		return fmt.Sprintf("xmm%d", a.Reg)
	case KindYMM:
		return fmt.Sprintf("ymm%d", a.Reg)
	case KindMMX:
		return fmt.Sprintf("mm%d", a.Reg)
	case KindST:
		return fmt.Sprintf("st(%d)", a.Reg)
	case KindOpmask:
		return fmt.Sprintf("k%d", a.Reg)
	case KindTile:
		return fmt.Sprintf("tmm%d", a.Reg)
	}
	return "?"
}

// hexOfSize prints the low size bytes of v.
func hexOfSize(v int64, size int) string {
	if size >= 8 {
		if v < 0 && v >= -1<<31 {
			return fmt.Sprintf("-%#x", -v)
		}
		return fmt.Sprintf("%#x", uint64(v))
	}
	return fmt.Sprintf("%#x", uint64(v)&(1<<(8*size)-1))
}

// memText prints the memory operand: size, segment, address.
func (in *Inst) memText(a *Arg) string {
	m := &in.Mem
	var b strings.Builder
	if a.Access != 0 {
		b.WriteString(pointers[a.Size])
	}
	def := uint8(DS)
	if m.Base == 4 || m.Base == 5 {
		def = SS
	}
	if m.Seg != def {
		b.WriteString(nameSeg[m.Seg] + ":")
	}
	b.WriteByte('[')
	plus := ""
	if m.RIPRel {
		b.WriteString(map[uint8]string{8: "rip", 4: "eip"}[in.AddrSize])
		plus = "+"
	}
	if m.Base != NoReg {
		b.WriteString(GPRName(m.Base, int(in.AddrSize), false))
		plus = "+"
	}
	if m.Index != NoReg {
		b.WriteString(plus)
		if m.VSIB {
			fmt.Fprintf(&b, "%s%d", [2]string{"xmm", "ymm"}[in.VexL&1], m.Index)
		} else {
			b.WriteString(GPRName(m.Index, int(in.AddrSize), false))
		}
		if m.Scale > 1 {
			fmt.Fprintf(&b, "*%d", m.Scale)
		}
		plus = "+"
	}
	switch {
	case plus == "":
		fmt.Fprintf(&b, "%#x", uint64(m.Disp)&(1<<(8*in.AddrSize)-1))
	case m.Disp < 0:
		fmt.Fprintf(&b, "-%#x", -m.Disp)
	case m.Disp > 0 || m.RIPRel:
		fmt.Fprintf(&b, "+%#x", m.Disp)
	}
	b.WriteByte(']')
	return b.String()
}
