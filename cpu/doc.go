// Package cpu is one logical x86-64 processor: its architectural state, and
// the interpreter that changes it.
//
// A [CPU] runs decoded blocks. A block is straight-line code of one physical
// page, decoded once (package decode), each instruction bound to a handler
// for its opcode, operand kind and width. A handler returns the next
// instruction to run; the last one of a block finds the next block. That is
// the whole engine:
//
//	for in != nil {
//		in = in.fn(c, in)
//	}
//
// A block pays for its instructions on entry, from the budget that reaches
// to the next event; what does not run is paid back. So time, which is the
// count of instructions, is exact at every point where somebody can look,
// and the loop has no test for it.
//
// nil means that somebody has to look: an exception was delivered, an event
// is due, something changed that decoded code depends on. Run decides.
//
// Where to find things: state.go (what the processor is), block.go and
// bind.go (from bytes to handlers), mem.go (the inlined TLB), exception.go
// and interrupt.go (delivery), arith*.go and its neighbours by instruction
// family, vmx*.go (virtual-machine extensions).
package cpu
