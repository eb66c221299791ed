package inject

import (
	"fmt"
	"math/bits"

	"github.com/flipvisor/flipvisor/internal/nearest"
)

// Register is one register of the processor, or one field of a register
// that has several, hidden parts included: cs.base, gdtr.limit.
type Register uint16

// The registers, in the processor's own numbering within each group.
const (
	RAX Register = iota
	RCX
	RDX
	RBX
	RSP
	RBP
	RSI
	RDI
	R8
	R9
	R10
	R11
	R12
	R13
	R14
	R15

	RIP
	RFLAGS

	CR0
	CR2
	CR3
	CR4
	CR8

	DR0
	DR1
	DR2
	DR3
	DR6
	DR7

	// Eight segment registers of four fields each: see Segment.
	ESSelector
	ESBase
	ESLimit
	ESAttributes
	CSSelector
	CSBase
	CSLimit
	CSAttributes
	SSSelector
	SSBase
	SSLimit
	SSAttributes
	DSSelector
	DSBase
	DSLimit
	DSAttributes
	FSSelector
	FSBase
	FSLimit
	FSAttributes
	GSSelector
	GSBase
	GSLimit
	GSAttributes
	LDTRSelector
	LDTRBase
	LDTRLimit
	LDTRAttributes
	TRSelector
	TRBase
	TRLimit
	TRAttributes

	GDTRBase
	GDTRLimit
	IDTRBase
	IDTRLimit

	// Model-specific registers: see MSR.
	EFER
	STAR
	LSTAR
	CSTAR
	SFMASK
	KernelGSBase
	SysenterCS
	SysenterESP
	SysenterEIP
	TSC
	TSCAux
	TSCDeadline
	PAT
	APICBase
	PMC0
	PMC1
	PMC2
	PMC3
	EventSelect0
	EventSelect1
	EventSelect2
	EventSelect3
	FixedCounter0
	FixedCounter1
	FixedCounter2
	FixedControl
	GlobalControl

	XMM0
	XMM1
	XMM2
	XMM3
	XMM4
	XMM5
	XMM6
	XMM7
	XMM8
	XMM9
	XMM10
	XMM11
	XMM12
	XMM13
	XMM14
	XMM15
	MXCSR

	// The x87 data registers are the physical ones, not the stack's.
	X87R0
	X87R1
	X87R2
	X87R3
	X87R4
	X87R5
	X87R6
	X87R7
	X87Control
	X87Status
	X87Tag

	NumRegisters
)

// RegisterGroup is a set of registers that campaign files name as one.
type RegisterGroup string

// The groups.
const (
	General RegisterGroup = "general"
	Pointer RegisterGroup = "pointer" // rip
	Flags   RegisterGroup = "flags"   // rflags
	Control RegisterGroup = "control"
	Debug   RegisterGroup = "debug"
	Segment RegisterGroup = "segment"
	Table   RegisterGroup = "table"
	MSR     RegisterGroup = "msr"
	SSE     RegisterGroup = "sse"
	X87     RegisterGroup = "x87"
)

// physicalBits is how wide a physical address is in registers that hold
// one; wider bits are not storage on the processors modelled here.
const physicalBits = 40

const all64 = ^uint64(0)

// registerInfo says which bits of a register are storage. Bits that read
// as constants have no cell that a particle could hit.
type registerInfo struct {
	name    string
	group   RegisterGroup
	width   int
	storage uint64 // of the low 64 bits; a wider register is storage throughout
	msr     uint32
}

var registers = buildRegisters()

func buildRegisters() [NumRegisters]registerInfo {
	var t [NumRegisters]registerInfo
	set := func(r Register, name string, g RegisterGroup, width int, storage uint64) {
		if width < 64 {
			storage &= 1<<width - 1
		}
		t[r] = registerInfo{name: name, group: g, width: width, storage: storage}
	}
	msr := func(r Register, name string, number uint32, storage uint64) {
		set(r, name, MSR, 64, storage)
		t[r].msr = number
	}

	for i, name := range []string{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
		"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"} {
		set(RAX+Register(i), name, General, 64, all64)
	}
	set(RIP, "rip", Pointer, 64, all64)
	set(RFLAGS, "rflags", Flags, 64, 0x3f7fd5)

	set(CR0, "cr0", Control, 64, 0xe005002f)
	set(CR2, "cr2", Control, 64, all64)
	set(CR3, "cr3", Control, 64, 1<<physicalBits-1)
	set(CR4, "cr4", Control, 64, 0x377fff)
	set(CR8, "cr8", Control, 64, 0xf)

	for i := range Register(4) {
		set(DR0+i, fmt.Sprintf("dr%d", i), Debug, 64, all64)
	}
	set(DR6, "dr6", Debug, 64, 0xe00f)
	set(DR7, "dr7", Debug, 64, 0xffff23ff)

	for i, name := range []string{"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"} {
		first := ESSelector + 4*Register(i)
		base := 32 // only these four have a 64-bit base: SDM Vol. 3, 3.4.4
		if name == "fs" || name == "gs" || name == "ldtr" || name == "tr" {
			base = 64
		}
		set(first, name+".selector", Segment, 16, all64)
		set(first+1, name+".base", Segment, base, all64)
		set(first+2, name+".limit", Segment, 32, all64)
		set(first+3, name+".attributes", Segment, 32, 0x1f0ff) // as in a VMCS: SDM Vol. 3, 25.4.1
	}
	set(GDTRBase, "gdtr.base", Table, 64, all64)
	set(GDTRLimit, "gdtr.limit", Table, 16, all64)
	set(IDTRBase, "idtr.base", Table, 64, all64)
	set(IDTRLimit, "idtr.limit", Table, 16, all64)

	const counter = 1<<48 - 1
	msr(EFER, "efer", 0xc0000080, 0xd01)
	msr(STAR, "star", 0xc0000081, all64)
	msr(LSTAR, "lstar", 0xc0000082, all64)
	msr(CSTAR, "cstar", 0xc0000083, all64)
	msr(SFMASK, "sfmask", 0xc0000084, 0xffffffff)
	msr(KernelGSBase, "kernel_gs_base", 0xc0000102, all64)
	msr(SysenterCS, "sysenter_cs", 0x174, 0xffffffff)
	msr(SysenterESP, "sysenter_esp", 0x175, all64)
	msr(SysenterEIP, "sysenter_eip", 0x176, all64)
	msr(TSC, "tsc", 0x10, all64)
	msr(TSCAux, "tsc_aux", 0xc0000103, 0xffffffff)
	msr(TSCDeadline, "tsc_deadline", 0x6e0, all64)
	msr(PAT, "pat", 0x277, 0x0707070707070707)
	msr(APICBase, "apic_base", 0x1b, (1<<physicalBits-1)&^0x2ff)
	for i := range Register(4) {
		msr(PMC0+i, fmt.Sprintf("pmc%d", i), 0xc1+uint32(i), counter)
		msr(EventSelect0+i, fmt.Sprintf("event_select%d", i), 0x186+uint32(i), 0xffffffff)
	}
	for i := range Register(3) {
		msr(FixedCounter0+i, fmt.Sprintf("fixed_counter%d", i), 0x309+uint32(i), counter)
	}
	msr(FixedControl, "fixed_control", 0x38d, 0xbbb)
	msr(GlobalControl, "global_control", 0x38f, 0x70000000f)

	for i := range Register(16) {
		set(XMM0+i, fmt.Sprintf("xmm%d", i), SSE, 128, all64)
	}
	set(MXCSR, "mxcsr", SSE, 32, 0xffff)
	for i := range Register(8) {
		set(X87R0+i, fmt.Sprintf("x87.r%d", i), X87, 80, all64)
	}
	set(X87Control, "x87.control", X87, 16, 0x1f3f)
	set(X87Status, "x87.status", X87, 16, all64)
	set(X87Tag, "x87.tag", X87, 16, all64)
	return t
}

var registerNames = func() []string {
	var n []string
	for _, r := range registers {
		n = append(n, r.name)
	}
	return n
}()

var groupNames = []RegisterGroup{General, Pointer, Flags, Control, Debug, Segment, Table, MSR, SSE, X87}

// String gives the register's name: rax, cs.base, kernel_gs_base.
func (r Register) String() string { return names(registerNames).of(int(r)) }

// Group says which set the register belongs to.
func (r Register) Group() RegisterGroup { return registers[r].group }

// Width is the register's size in bits.
func (r Register) Width() int { return registers[r].width }

// MSR gives the number under which RDMSR reads the register, if it does.
func (r Register) MSR() (number uint32, ok bool) {
	return registers[r].msr, registers[r].group == MSR
}

// Storage lists the register's bits that exist as cells, lowest first.
// Reserved bits that always read as 0 or 1 are not among them.
func (r Register) Storage() Bits {
	info := registers[r]
	b := make(Bits, 0, bits.OnesCount64(info.storage)+max(0, info.width-64))
	for i := range info.width {
		if i >= 64 || info.storage>>i&1 != 0 {
			b = append(b, uint16(i))
		}
	}
	return b
}

// ParseRegister reads what String prints. FS_BASE and GS_BASE, which are
// model-specific registers and segment fields at once, also have their
// names as the former.
func ParseRegister(s string) (Register, error) {
	switch s {
	case "fs_base":
		return FSBase, nil
	case "gs_base":
		return GSBase, nil
	}
	i, err := names(registerNames).parse("register", s)
	return Register(i), err
}

// ParseRegisters reads the name of one register or of a group.
func ParseRegisters(s string) ([]Register, error) {
	var set []Register
	for r := range NumRegisters {
		if string(r.Group()) == s {
			set = append(set, r)
		}
	}
	if set != nil {
		return set, nil
	}
	r, err := ParseRegister(s)
	if err != nil {
		known := append([]string(nil), registerNames...)
		for _, g := range groupNames {
			known = append(known, string(g))
		}
		return nil, nearest.Unknown("register", s, known)
	}
	return []Register{r}, nil
}

// MarshalText and UnmarshalText keep registers as names in files.
func (r Register) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (r *Register) UnmarshalText(text []byte) error { return unmarshal(r, text, ParseRegister) }
