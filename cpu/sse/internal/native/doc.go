// Package native runs single instructions on the processor it is on, so that
// tests can compare an emulated instruction with the real one. Only tests
// import it.
//
// An instruction is given as machine code that works on fixed registers:
// XMM0 and MM0 are its destination, XMM1 and MM1 its source, RAX, RCX and RDX
// its general registers. MXCSR is loaded before and read after. An exception
// that MXCSR does not mask leaves the registers alone and is reported.
package native

// State is what an instruction can read and write here.
type State struct {
	X0, X1     [2]uint64
	M0, M1     uint64
	AX, CX, DX uint64
	Flags      uint64 // RFLAGS; only the arithmetic flags are loaded
	MXCSR      uint32
	Faulted    uint32 // whether an unmasked exception stopped the instruction
}
