// Package decode turns instruction bytes into a description of the
// instruction: what it is, how long it is, what its operands are, and
// which registers, flags and memory it reads and writes.
//
// The tables (map0.go for the one-byte map, map0f.go, map0f38.go, map0f3a.go,
// vex.go) are the place to start reading: one line per opcode, in the
// notation of SDM Vol. 2, Appendix A. Decode walks them; nothing in this
// package executes anything.
//
// Three users share one description: the interpreter, which binds each
// decoded instruction to a handler once; fault injection, which asks
// [Inst.Effects] what an instruction touches, byte by byte; and traces,
// which print it.
package decode
