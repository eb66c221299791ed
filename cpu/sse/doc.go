// Package sse is the arithmetic of the SSE family as pure functions over bits.
//
// A function here takes operands as the bits that a register or memory holds
// and answers with the bits an Intel processor would store. It knows no
// registers, no memory and no instruction encoding: the instruction handlers
// fetch, call, check and store.
//
// # Floating point
//
// Every floating-point function takes the guest's MXCSR as a [Control] and
// returns the result together with the exception [Flags] the operation
// raised. A handler does three things with the answer:
//
//	r, f := sse.Add64(a, b, c)
//	mxcsr |= uint32(f)          // always, even when it faults
//	if c.Unmasked(f) { #XM }    // destination stays as it was
//	dst = r
//
// The contract on flags is that c|f is the new MXCSR. A flag that is already
// set in c and masked may therefore be missing from f: the fast paths use this
// to skip finding out whether a result was exact when the guest could not see
// the difference.
//
// What is decided once, for all operations (SDM Vol. 1, 4.8, 4.9, 11.5):
//
//   - NaN before anything else: the first source if it is a NaN, otherwise the
//     second, made quiet; IE if either was signalling.
//   - Then the invalid operations (default NaN, IE) and division by zero (ZE),
//     then DE if an operand is denormal and not read as zero.
//   - If IE, DE or ZE is unmasked the operation stops there: no OE, UE or PE.
//   - Tininess is found after rounding. Masked, UE comes only with PE.
//     Unmasked, UE comes with every tiny result, and FTZ is ignored.
//   - Packed operations OR the flags of their lanes ([Control.Merge]).
//
// Two paths compute each result. The fast one uses the host's own arithmetic
// when rounding is to nearest, the operands are ordinary and the result is
// normal, and then asks a residue that is itself exact whether the result was
// exact. Everything else goes to integer arithmetic on unpacked numbers
// (unpack, operate exactly with a sticky bit, round once), which alone would
// be a complete implementation; tests hold the two against each other and
// both against the processor.
//
// # Integers
//
// Packed integers are [X] values, or plain uint64 for the MMX forms, whose
// names end in 64. Most are arithmetic within a word (SWAR).
package sse
