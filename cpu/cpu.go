package cpu

import (
	"fmt"

	"github.com/flipvisor/flipvisor/cpu/decode"
	"github.com/flipvisor/flipvisor/mmu"
)

// Ports is the I/O address space.
type Ports interface {
	In(port uint16, size int) uint32
	Out(port uint16, size int, v uint32)
}

// InterruptController is the processor's local APIC as the core sees it,
// together with the external controller whose requests (ExtINT) the APIC
// passes on.
type InterruptController interface {
	// Pending gives the interrupt that would be delivered now. The vector of
	// an ExtINT request, which comes before all others, is not known before
	// Ack.
	Pending() (vector uint8, ok bool)
	Ack() uint8 // acknowledges it and gives its vector
	InitReset() // an INIT signal was accepted
	GetCR8() uint8
	SetCR8(uint8)
	APICBase() uint64
	SetAPICBase(v uint64) (ok bool)
	ReadMSR(index uint32) (v uint64, ok bool) // 800H to 8FFH
	WriteMSR(index uint32, v uint64) (ok bool)
	TSCDeadline() uint64
	SetTSCDeadline(v uint64)
	SetTSCOffset(v uint64)
	PerfOverflow() // the performance counters' LVT entry
}

// Hooks are the observers of a run. A nil hook costs nothing; Step makes the
// processor go one instruction at a time.
type Hooks struct {
	// Step is called before each instruction, with its description.
	Step func(rip uint64, in *decode.Inst)
	// Catch is called when an event is about to be delivered. If it returns
	// true the event is dropped and the run stops.
	Catch func(e Exception) bool
	// Exception is called when an exception or interrupt is delivered.
	Exception func(e Exception)
	// VMExit and VMEntry are called when a transition completes.
	VMExit  func(reason ExitReason, qualification uint64)
	VMEntry func()
}

// CPU is a processor with its interpreter. One goroutine at a time may use it.
type CPU struct {
	State

	MMU   *mmu.MMU
	Ports Ports
	APIC  InterruptController
	Model Model

	APICID      uint8 // initial APIC ID, in CPUID
	APICPresent bool  // IA32_APIC_BASE.EN, in CPUID

	Hooks Hooks

	// Derived from State by updateMode; never saved.
	cpl      uint8
	mode     decode.Mode
	long     bool // 64-bit code
	lma      bool // EFER.LMA: IA-32e mode
	class    mmu.Class
	regime   mmu.Regime
	rd, wr   *[mmu.FastEntries]mmu.FastEntry
	ex       *[mmu.FastEntries]mmu.FastExec
	noFast   bool // alignment checks are on
	watching bool // data breakpoints are on
	slow     bool // one instruction at a time: see updateSlow
	sseOff   bool // SSE instructions fault: see sseUnavailable

	// The budget: instructions that may still begin before deadline. While
	// blocks run, Count is deadline - budget.
	deadline uint64
	budget   int64
	running  bool   // Count is behind: a slice is in progress
	reserve  int64  // budget put aside by interruptRun
	events   uint64 // packed branch, load and store counts of this slice

	code    codeCache
	blk     *block
	short   *block // the block that the budget was too small for
	trap    *Inst  // the instruction after a device access: see breakAfter
	trapFn  handler
	current *Inst // the instruction that a device access belongs to

	// Of the instruction that step executes.
	delivered bool   // an event was delivered, or a VM exit took place
	dataHits  uint64 // data breakpoints met

	// Of VMX: the page of the current VMCS during a transition, the event being
	// delivered, and whether the IRET in progress has unblocked NMIs.
	vmcsPage     *mmu.Page
	vectoring    vectoring
	unblockedNMI bool
	keepShadow   bool // a VM entry has loaded shadow: it is not this slice's

	exc     Exception // what the failing access or check wants raised
	stop    Stop
	stopErr error
}

// Stop says why Run returned.
type Stop uint8

const (
	StopNone     Stop = iota
	StopCount         // the count asked for was reached
	StopDevice        // a device was accessed: deadlines may have changed
	StopHalted        // HLT, and nothing to deliver
	StopShutdown      // triple fault
	StopCaught        // Hooks.Catch took an event
	StopError         // the emulator cannot go on: see Err
)

func (s Stop) String() string {
	return [...]string{"none", "count", "device", "halted", "shutdown", "caught", "error"}[s]
}

// Err tells more about StopError.
func (c *CPU) Err() error { return c.stopErr }

// UnimplementedError stops the machine at an instruction that the decoder
// knows and the interpreter cannot execute.
type UnimplementedError struct {
	RIP   uint64
	Bytes []byte
	Text  string
}

func (e *UnimplementedError) Error() string {
	return fmt.Sprintf("machine stopped at %#x: instruction not implemented: % x (%s)", e.RIP, e.Bytes, e.Text)
}

// New makes a processor in its state after RESET (SDM Vol. 3A, table 10-1).
func New(m *mmu.MMU, model Model) *CPU {
	c := &CPU{MMU: m, Model: model}
	c.code.init()
	m.Mem.CodeWritten = c.codeWritten
	c.Reset()
	return c
}

// Reset gives the state after RESET.
func (c *CPU) Reset() {
	c.State = State{}
	c.SetRFLAGS(FlagR1)
	c.RIP = 0xfff0
	c.CR0 = CR0ET | CR0NW | CR0CD
	for i := range c.Seg {
		c.Seg[i] = Segment{Limit: 0xffff, Attr: AttrP | AttrS | AttrWritable | AttrAccessed}
	}
	c.Seg[CS] = Segment{Selector: 0xf000, Base: 0xffff0000, Limit: 0xffff,
		Attr: AttrP | AttrS | AttrCode | AttrReadable | AttrAccessed}
	c.Seg[LDTR] = Segment{Limit: 0xffff, Attr: AttrP | 2}
	c.Seg[TR] = Segment{Limit: 0xffff, Attr: AttrP | 11}
	c.GDTR.Limit, c.IDTR.Limit = 0xffff, 0xffff
	c.R[RDX] = uint64(c.Model.Signature())
	c.DR[6], c.DR[7] = 0xffff0ff0, 0x400
	c.XCR0 = 1
	c.MXCSR = 0x1f80
	c.fetchLinear = noFetch
	c.FPU.reset()
	c.MSR.PAT = 0x0007040600070406
	c.MSR.MiscEnable = 1
	c.mc.reset()
	c.pmu.reset()
	c.vmx.reset()
	c.loaded()
}

func (f *X87) reset() { *f = X87{FCW: 0x0040} }

// loaded rebuilds what is derived from State.
func (c *CPU) loaded() {
	c.R[regZero] = 0
	c.MMU.FlushFast()
	fetch := c.fetchLinear
	c.updateMode()
	c.fetchLinear = fetch
	c.exc = Exception{}
	c.stop, c.stopErr = StopNone, nil
}

// updateMode derives the mode of execution after anything it depends on has
// changed: CR0, CR3, CR4, EFER, CS, SS, RFLAGS.AC or the VMX mode. Code is
// looked up again afterwards.
func (c *CPU) updateMode() {
	c.lma = c.MSR.EFER&EFERLMA != 0
	c.long = c.lma && c.Seg[CS].Attr&AttrL != 0
	switch {
	case c.long:
		c.mode = decode.Mode64
	case c.CR0&CR0PE != 0 && c.rflags&FlagVM == 0 && c.Seg[CS].Attr&AttrDB != 0,
		c.CR0&CR0PE == 0 && c.Seg[CS].Attr&AttrDB != 0: // big real mode
		c.mode = decode.Mode32
	default:
		c.mode = decode.Mode16
	}
	cpl := c.Seg[SS].DPL()
	switch {
	case c.CR0&CR0PE == 0:
		cpl = 0
	case c.rflags&FlagVM != 0:
		cpl = 3
	}
	if cpl != c.cpl {
		c.foldNow() // what was counted so far belongs to the old level
		c.cpl = cpl
	}
	r := mmu.Regime{
		CR3: c.CR3, PDPTE: c.PDPTE,
		WP: c.CR0&CR0WP != 0, PSE: c.CR4&CR4PSE != 0, PGE: c.CR4&CR4PGE != 0,
		NXE:  c.MSR.EFER&EFERNXE != 0,
		SMEP: c.CR4&CR4SMEP != 0, SMAP: c.CR4&CR4SMAP != 0, PCIDE: c.CR4&CR4PCIDE != 0,
		PhysBits: c.Model.PhysBits,
	}
	switch {
	case c.CR0&CR0PG == 0:
		r.Paging = mmu.PagingNone
	case c.CR4&CR4PAE == 0:
		r.Paging = mmu.Paging32
	case !c.lma:
		r.Paging = mmu.PagingPAE
	default:
		r.Paging = mmu.Paging4Level
	}
	c.vmxRegime(&r)
	if r != c.regime {
		c.regime = r
		c.MMU.SwitchContext(&c.regime)
	}
	c.sseOff = c.CR0&(CR0EM|CR0TS) != 0 || c.CR4&CR4OSFXSR == 0
	c.fetchLinear = noFetch
	c.updateSlow()
}

// updateClass chooses the fast arrays for the privilege level and AC flag.
func (c *CPU) updateClass() {
	ac := c.rflags&FlagAC != 0
	switch {
	case c.cpl == 3:
		c.class = mmu.User
	case ac:
		c.class = mmu.SupervisorAC
	default:
		c.class = mmu.Supervisor
	}
	c.noFast = c.cpl == 3 && ac && c.CR0&CR0AM != 0
	if c.noFast || c.watching {
		c.rd, c.wr = &emptyFast, &emptyFast
	} else {
		c.rd, c.wr = &c.MMU.Fast.Read[c.class], &c.MMU.Fast.Write[c.class]
	}
	c.ex = &c.MMU.Fast.Exec[c.class]
}

// emptyFast sends every access to the slow path.
var emptyFast = func() (e [mmu.FastEntries]mmu.FastEntry) {
	for i := range e {
		e[i].Tag = 1
	}
	return e
}()

// CPL is the current privilege level.
func (c *CPU) CPL() uint8 { return c.cpl }

// Mode is the mode of the current code segment.
func (c *CPU) Mode() decode.Mode { return c.mode }

// Settle tells the processor that its State was changed from outside: by an
// injection, a loader or a debugger. Code that was fetched before stays
// fetched unless the change is to how code is fetched.
func (c *CPU) Settle() {
	c.settle()
	c.R[regZero] = 0
	fetch, mode, cpl, regime := c.fetchLinear, c.mode, c.cpl, c.regime
	c.updateMode()
	if mode == c.mode && cpl == c.cpl && regime == c.regime {
		c.fetchLinear = fetch
	}
}

// settle makes State complete. Between runs it always is but for the
// performance counters' share of the last slice.
func (c *CPU) settle() { c.foldEvents() }
