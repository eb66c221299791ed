package cpu

import (
	"github.com/flipvisor/flipvisor/cpu/sse"
	"github.com/flipvisor/flipvisor/internal/state"
)

// General-purpose register numbers (SDM Vol. 2A, table 2-2).
const (
	RAX = iota
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

	regZero = 16 // always 0: the absent base or index
	regRIP  = 17 // RIP of the first byte of the current code page
)

// Segment register numbers, as in ModRM.reg, and the two system segments.
const (
	ES = iota
	CS
	SS
	DS
	FS
	GS
	LDTR
	TR
	numSegments
)

// EFLAGS bits (SDM Vol. 1, 3.4.3).
const (
	FlagCF   = 1 << 0
	FlagR1   = 1 << 1 // reads as 1
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

	flagsStatus   = FlagCF | FlagPF | FlagAF | FlagZF | FlagSF | FlagOF
	flagsWritable = flagsStatus | FlagTF | FlagIF | FlagDF | FlagIOPL | FlagNT |
		FlagRF | FlagVM | FlagAC | FlagVIF | FlagVIP | FlagID
)

// Control register bits (SDM Vol. 3A, 2.5).
const (
	CR0PE = 1 << 0
	CR0MP = 1 << 1
	CR0EM = 1 << 2
	CR0TS = 1 << 3
	CR0ET = 1 << 4
	CR0NE = 1 << 5
	CR0WP = 1 << 16
	CR0AM = 1 << 18
	CR0NW = 1 << 29
	CR0CD = 1 << 30
	CR0PG = 1 << 31

	CR4VME        = 1 << 0
	CR4PVI        = 1 << 1
	CR4TSD        = 1 << 2
	CR4DE         = 1 << 3
	CR4PSE        = 1 << 4
	CR4PAE        = 1 << 5
	CR4MCE        = 1 << 6
	CR4PGE        = 1 << 7
	CR4PCE        = 1 << 8
	CR4OSFXSR     = 1 << 9
	CR4OSXMMEXCPT = 1 << 10
	CR4UMIP       = 1 << 11
	CR4VMXE       = 1 << 13
	CR4FSGSBASE   = 1 << 16
	CR4PCIDE      = 1 << 17
	CR4OSXSAVE    = 1 << 18
	CR4SMEP       = 1 << 20
	CR4SMAP       = 1 << 21

	cr4Known = CR4VME | CR4PVI | CR4TSD | CR4DE | CR4PSE | CR4PAE | CR4MCE | CR4PGE |
		CR4PCE | CR4OSFXSR | CR4OSXMMEXCPT | CR4UMIP | CR4VMXE | CR4FSGSBASE |
		CR4PCIDE | CR4OSXSAVE | CR4SMEP | CR4SMAP

	EFERSCE = 1 << 0
	EFERLME = 1 << 8
	EFERLMA = 1 << 10
	EFERNXE = 1 << 11
)

// Segment attributes, laid out as the access rights of a VMCS field
// (SDM Vol. 3C, table 25-2): bits 0-3 type, 4 S, 5-6 DPL, 7 P, 12 AVL, 13 L,
// 14 D/B, 15 G, 16 unusable.
const (
	AttrType     = 0xf
	AttrAccessed = 1 << 0
	AttrWritable = 1 << 1 // data
	AttrReadable = 1 << 1 // code
	AttrDown     = 1 << 2 // data: expand-down
	AttrConform  = 1 << 2 // code
	AttrCode     = 1 << 3
	AttrS        = 1 << 4
	AttrDPLShift = 5
	AttrP        = 1 << 7
	AttrL        = 1 << 13
	AttrDB       = 1 << 14
	AttrG        = 1 << 15
	AttrUnusable = 1 << 16
)

// Segment is a segment register with its hidden part. Limit is in bytes,
// the granularity already applied.
type Segment struct {
	Selector uint16
	Attr     uint32
	Limit    uint32
	Base     uint64
}

// DPL is the segment's descriptor privilege level.
func (s *Segment) DPL() uint8 { return uint8(s.Attr >> AttrDPLShift & 3) }

func (s *Segment) walk(w *state.Walker, name string) {
	w.U16(name+".selector", &s.Selector)
	w.U32(name+".attributes", &s.Attr)
	w.U32(name+".limit", &s.Limit)
	w.U64(name+".base", &s.Base)
}

// Table is GDTR or IDTR.
type Table struct {
	Base  uint64
	Limit uint16
}

// XMM is the 128 bits of an SSE register.
type XMM = sse.X

// ST is an x87 register: significand, and sign with exponent.
type ST struct {
	Significand  uint64
	SignExponent uint16
}

// X87 is the state of the x87 unit as FXSAVE stores it. Tag bit i is set
// when physical register i is in use.
type X87 struct {
	FCW, FSW, FOP uint16
	Tag           uint8
	FCS, FDS      uint16
	FIP, FDP      uint64
	R             [8]ST // physical registers
}

// State is what the processor is: all that its future depends on, but for
// memory and the TLB.
type State struct {
	// R holds the general registers in encoding order, then the pseudo
	// registers that address arithmetic uses. Its length is a power of two
	// so that a masked index needs no bounds check.
	R   [32]uint64
	RIP uint64

	// The status flags are kept lazily: see flags.go.
	flagResult uint64
	flagCarry  uint64
	rflags     uint64 // all others

	Seg        [numSegments]Segment
	GDTR, IDTR Table

	CR0, CR2, CR3, CR4 uint64
	XCR0               uint64
	DR                 [8]uint64 // DR4 and DR5 are unused
	PDPTE              [4]uint64 // PAE paging

	X     [16]XMM
	MXCSR uint32
	FPU   X87

	MSR MSRs

	Activity    Activity
	shadow      Shadow // interrupts blocked until after the next instruction
	nmiBlocked  bool
	nmiPending  bool
	initPending bool
	sipiPending bool
	sipiVector  uint8
	mcPending   bool   // an uncorrected machine check to deliver
	pendingDB   uint64 // DR6 bits of debug traps to deliver at the next boundary

	// The page instructions are being fetched from. Code goes on from here
	// without a new translation until it leaves the page, as from a
	// processor's fetch buffer.
	fetchLinear   uint64 // noFetch when there is none
	fetchPhysical uint64

	Count      uint64 // time: instructions begun (see CPU.Count for the middle of a block)
	notRetired uint64 // of these, how many ended in a fault or a VM exit

	pmu PMU
	mc  MachineCheck
	vmx VMX
}

// noFetch is no page's address.
const noFetch = 1

// Activity is the activity state (SDM Vol. 3C, 25.4.2).
type Activity uint8

const (
	Active Activity = iota
	Halted
	Shutdown
	WaitForSIPI
)

func (a Activity) String() string {
	return [...]string{"active", "halted", "shutdown", "wait-for-sipi"}[a&3]
}

// Shadow says what blocks interrupts for one instruction (SDM Vol. 3A, 6.8.3).
type Shadow uint8

const (
	ShadowNone Shadow = iota
	ShadowSTI
	ShadowMovSS
)

// MSRs are the model-specific registers that are plain storage or have few
// side effects. Those of the PMU, machine check and VMX live with them.
type MSRs struct {
	EFER, STAR, LSTAR, CSTAR, SFMASK       uint64
	KernelGSBase, TSCAux                   uint64
	SysenterCS, SysenterESP, SysenterEIP   uint64
	PAT, TSCOffset, TSCAdjust, TSCDeadline uint64
	MiscEnable, FeatureControl, DebugCtl   uint64
	MTRRDefType                            uint64
	MTRRPhysBase, MTRRPhysMask             [8]uint64
	MTRRFix                                [11]uint64
	SpecCtrl                               uint64
}

// Walk visits all of the state.
func (c *CPU) Walk(w *state.Walker) {
	c.settle()
	s := &c.State
	for i := range 16 {
		w.U64(gprNames[i], &s.R[i])
	}
	w.U64("rip", &s.RIP)
	flags := c.RFLAGS()
	w.U64("rflags", &flags)
	c.SetRFLAGS(flags)
	for i := range s.Seg {
		s.Seg[i].walk(w, segNames[i])
	}
	w.U64("gdtr.base", &s.GDTR.Base)
	w.U16("gdtr.limit", &s.GDTR.Limit)
	w.U64("idtr.base", &s.IDTR.Base)
	w.U16("idtr.limit", &s.IDTR.Limit)
	w.U64("cr0", &s.CR0)
	w.U64("cr2", &s.CR2)
	w.U64("cr3", &s.CR3)
	w.U64("cr4", &s.CR4)
	w.U64("xcr0", &s.XCR0)
	for i, name := range [...]string{"dr0", "dr1", "dr2", "dr3", "", "", "dr6", "dr7"} {
		if name != "" {
			w.U64(name, &s.DR[i])
		}
	}
	for i, name := range [...]string{"pdpte0", "pdpte1", "pdpte2", "pdpte3"} {
		w.U64(name, &s.PDPTE[i])
	}
	for i := range s.X {
		w.U64(xmmNames[i]+".low", &s.X[i].Lo)
		w.U64(xmmNames[i]+".high", &s.X[i].Hi)
	}
	w.U32("mxcsr", &s.MXCSR)
	w.Part("x87", &s.FPU)
	w.Part("msr", &s.MSR)
	w.U8("activity", (*uint8)(&s.Activity))
	w.U8("shadow", (*uint8)(&s.shadow))
	w.Bool("nmi-blocked", &s.nmiBlocked)
	w.Bool("nmi-pending", &s.nmiPending)
	w.Bool("init-pending", &s.initPending)
	w.Bool("sipi-pending", &s.sipiPending)
	w.U8("sipi-vector", &s.sipiVector)
	w.Bool("mc-pending", &s.mcPending)
	w.U64("pending-db", &s.pendingDB)
	w.U64("fetch.linear", &s.fetchLinear)
	w.U64("fetch.physical", &s.fetchPhysical)
	w.U64("count", &s.Count)
	w.U64("not-retired", &s.notRetired)
	w.Part("pmu", &s.pmu)
	w.Part("mc", &s.mc)
	w.Part("vmx", &s.vmx)
	if w.Loading() {
		c.loaded()
	}
}

// Walk visits the x87 state.
func (f *X87) Walk(w *state.Walker) {
	w.U16("fcw", &f.FCW)
	w.U16("fsw", &f.FSW)
	w.U16("fop", &f.FOP)
	w.U8("tag", &f.Tag)
	w.U16("fcs", &f.FCS)
	w.U16("fds", &f.FDS)
	w.U64("fip", &f.FIP)
	w.U64("fdp", &f.FDP)
	for i := range f.R {
		w.U64(x87Names[i]+".significand", &f.R[i].Significand)
		w.U16(x87Names[i]+".exponent", &f.R[i].SignExponent)
	}
}

// Walk visits the model-specific registers.
func (m *MSRs) Walk(w *state.Walker) {
	for _, f := range [...]struct {
		name string
		p    *uint64
	}{
		{"efer", &m.EFER}, {"star", &m.STAR}, {"lstar", &m.LSTAR}, {"cstar", &m.CSTAR},
		{"sfmask", &m.SFMASK}, {"kernel_gs_base", &m.KernelGSBase}, {"tsc_aux", &m.TSCAux},
		{"sysenter_cs", &m.SysenterCS}, {"sysenter_esp", &m.SysenterESP},
		{"sysenter_eip", &m.SysenterEIP}, {"pat", &m.PAT}, {"tsc_offset", &m.TSCOffset},
		{"tsc_adjust", &m.TSCAdjust}, {"tsc_deadline", &m.TSCDeadline},
		{"misc_enable", &m.MiscEnable}, {"feature_control", &m.FeatureControl},
		{"debugctl", &m.DebugCtl}, {"mtrr_def_type", &m.MTRRDefType}, {"spec_ctrl", &m.SpecCtrl},
	} {
		w.U64(f.name, f.p)
	}
	for i := range m.MTRRPhysBase {
		w.U64("mtrr_phys_base", &m.MTRRPhysBase[i])
		w.U64("mtrr_phys_mask", &m.MTRRPhysMask[i])
	}
	for i := range m.MTRRFix {
		w.U64("mtrr_fix", &m.MTRRFix[i])
	}
}

var (
	gprNames = [16]string{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
		"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"}
	segNames = [numSegments]string{"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"}
	xmmNames = [16]string{"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
		"xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"}
	x87Names = [8]string{"r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7"}
)
