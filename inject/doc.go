// Package inject is the vocabulary of injection: what can be flipped, how,
// when, and what is recorded about it.
//
// A [Fault] is one concrete thing that happens once in one run. It has a
// [Target] (where), [Bits] (which), a [Kind] (how) and a [Trigger] (when),
// and reads as a sentence that [ParseFault] reads back, in reports as in
// campaign files:
//
//	flip bit 5 of register rax at instruction 123456 in root
//	flip burst 4-7 of memory 0x104f20 at exit 12 of cpuid + 40
//	stick at 1 bit 0 of vmcs guest_rip of vm 1 at phase vms-ready
//
// A [Space] is a set of faults with a size: locations × bits × moments.
// Its n-th sample is a pure function of (key, seed, n), see [Stream], so
// that no worker, order or earlier sample can influence it.
//
// What came of a fault is a [Result]: its [Lifecycle] (applied, first use,
// divergence, detection), its [Outcome] and its [BlastRadius]. The
// definitions of activated, manifested and detected, on which every
// coverage number rests, are methods of Result and stand nowhere else.
package inject
