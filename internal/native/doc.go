// Package native runs single instructions on the processor that the program
// itself runs on, so that tests can ask the real thing.
//
// A tiny process without any program in it is held by ptrace. A test maps
// pages into it, writes bytes, sets registers, and takes one step; what
// happened, a fault included, comes back as a value. System calls made by
// what is being tested are stopped before the kernel sees them.
//
//	p, err := native.Start()
//	p.Map(0x100000, 0x1000, native.ProtAll)
//	p.WriteMem(0x100000, []byte{0x48, 0x01, 0xD8}) // add rax, rbx
//	st := native.State{RIP: 0x100000, RFLAGS: 2, CS: native.UserCS, SS: native.UserSS}
//	st.GPR[0], st.GPR[3] = 1, 2
//	p.SetState(&st)
//	stop, err := p.Step()
//	p.GetState(&st)
//
// It works on Linux on amd64 where ptrace is allowed; elsewhere Start
// returns ErrUnavailable, and tests fall back to recorded cases.
//
// ptrace belongs to a thread: Start locks the calling goroutine to its
// thread until Close, and all calls must come from that goroutine. (A subtest
// runs on a goroutine of its own.)
package native

import "errors"

// ErrUnavailable is why Start fails where there is no ptrace on amd64.
var ErrUnavailable = errors.New("native: no ptrace of amd64 processes here")

// State is what a processor has besides x87 and vector registers. GPR is in
// encoding order: RAX RCX RDX RBX RSP RBP RSI RDI R8 ... R15.
type State struct {
	GPR                    [16]uint64
	RIP, RFLAGS            uint64
	FSBase, GSBase         uint64
	CS, SS, DS, ES, FS, GS uint16
}

// Selectors of user code and data in Linux's descriptor table. A State with
// UserCS32 runs 32-bit code.
const (
	UserCS   = 0x33
	UserCS32 = 0x23
	UserSS   = 0x2B
)

// XState is the x87 and vector state. ST is in stack order from ST(0), FTW
// abridged as FXSAVE has it: a 1 for each physical register that is not
// empty.
type XState struct {
	FCW, FSW uint16
	FTW      uint8
	FOP      uint16
	FIP, FDP uint64
	MXCSR    uint32
	ST       [8][10]byte
	YMM      [16][32]byte // the low halves are XMM
}

// Stop is why the processor stopped after a step.
type Stop struct {
	Signal  Signal
	Code    int32  // si_code: for SIGTRAP and SIGSEGV, which kind
	Addr    uint64 // si_addr: where a fault was
	Syscall bool   // the instruction was a system call, which was not made
}

// Signal is a signal by which Linux reports a stop.
type Signal uint8

// Signals by which exceptions show (Linux, arch/x86/kernel/traps.c).
const (
	SIGILL  Signal = 4  // #UD
	SIGTRAP Signal = 5  // a step done, #DB, #BP
	SIGBUS  Signal = 7  // #AC, #SS, #NP
	SIGFPE  Signal = 8  // #DE, #MF, #XM
	SIGSEGV Signal = 11 // #PF, #GP, #BR, #OF, #TS
)

func (s Signal) String() string {
	switch s {
	case SIGILL:
		return "SIGILL"
	case SIGTRAP:
		return "SIGTRAP"
	case SIGBUS:
		return "SIGBUS"
	case SIGFPE:
		return "SIGFPE"
	case SIGSEGV:
		return "SIGSEGV"
	}
	return "signal"
}

// Values of Stop.Code.
const (
	CodeKernel  = 0x80 // SI_KERNEL: #GP without an address, and INT3
	CodeTrace   = 2    // TRAP_TRACE: a step done
	CodeUnmap   = 1    // SEGV_MAPERR: page fault, no mapping
	CodeProtect = 2    // SEGV_ACCERR: page fault, mapping forbids
)

// Done says that the instruction completed without an exception.
func (s Stop) Done() bool { return s.Signal == SIGTRAP && s.Code == CodeTrace || s.Syscall }

// Prot is what may be done with a mapping.
type Prot uint32

// Protections.
const (
	ProtNone  Prot = 0
	ProtRead  Prot = 1
	ProtWrite Prot = 2
	ProtExec  Prot = 4
	ProtAll        = ProtRead | ProtWrite | ProtExec
)

// Segment is a descriptor for SetLDT.
type Segment struct {
	Base, Limit uint32 // Limit in bytes, at most 1 MiB
	Code        bool   // executable and readable; otherwise writable data
	Wide        bool   // 32-bit (D/B = 1); otherwise 16-bit
}
