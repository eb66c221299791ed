// Package decode turns instruction bytes into a description of the
// instruction: what it is, how long it is, what its operands are, and
// which registers, flags and memory it reads and writes.
//
//	in, err := decode.Decode(code, decode.Mode64)
//	in.Op, in.Len, in.Args   // ADD, 3, RAX read and written, RBX read
//	in.Effects(&e)           // e.Write.GPR[0] == 0xFF, e.FlagsWritten == OSZAPC
//	in.Text(pc, symbols)     // "add rax, rbx"
//
// The tables are the place to start reading: one line per opcode, in the
// notation of SDM Vol. 2D, Appendix A, which notation.go explains. map0.go,
// map0f.go, map0f38.go and map0f3a.go are the legacy maps, with their groups
// in groups.go and x87.go; vex0f.go, vex0f38.go and vex0f3a.go the VEX ones.
// decode.go walks them, operand.go and vex.go take operands and prefixes;
// nothing in this package executes anything. op.go names every operation.
//
// effects.go says precisely what reading and writing mean here, and what is
// left to the CPU; effects_flags.go is a line per mnemonic.
//
// Three users share one description: the interpreter, which binds each
// decoded instruction to a handler once; fault injection, which asks
// [Inst.Effects] what an instruction touches, byte by byte; and traces,
// which print it.
//
// What the tables say is checked against the processor that the tests run
// on (oracle_test.go, effects_native_test.go), or a recording of one.
package decode
