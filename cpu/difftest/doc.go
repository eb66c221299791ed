// Package difftest holds the interpreter against the processor of the machine
// that the tests run on.
//
// A [Case] is code, registers and memory. Two machines can run one: the
// [Host], a process held by ptrace (internal/native), and the [Emulator], a
// cpu.CPU in the same surroundings: the same pages, the same descriptors, at
// privilege level 3 of the same operating mode. Each gives an [Outcome], in
// the terms in which Linux reports it: registers, memory, and the signal that
// an exception becomes. [Compare] lists what differs, leaving out what the
// architecture leaves undefined (mask.go).
//
// Where cases come from:
//
//   - form.go asks the decoder for every encoding that it knows and the
//     interpreter implements, and gathers them into forms: an operation with
//     its kinds and sizes of operands. Each form gets the same number of cases.
//   - generate.go makes a case of a form: prefixes, registers, addressing,
//     operands that lie on boundaries or at page ends (values.go, address.go,
//     prepare.go).
//   - sequence.go makes programs of many instructions, which the emulator runs
//     in several ways.
//   - testdata/recorded.gz has cases with the outcome that a processor gave,
//     for machines on which the Host cannot be had (record.go).
//
// What is found by the test is fixed in the package where it is wrong, with a
// case of its own there.
package difftest
