package sse

import (
	"testing"
)

// TestIntegers: every pair of special values, then random operands.
func TestIntegers(t *testing.T) {
	for n, in := range integerInstructions {
		t.Run(in.name, func(t *testing.T) {
			in.runnable(t)
			code := in.assemble(t)
			values := specialInt
			for i, a := range values {
				for j, b := range values {
					s := in.operand.state(a, b, values[(i+j)%len(values)], values[(i*3+j)%len(values)])
					s.MXCSR = uint32(DefaultControl)
					if !in.check(t, code, s) {
						return
					}
				}
			}
			in.tryRandom(t, rng(n), rounds(5_000, 1_000_000))
		})
	}
}

// TestImmediates: every value of the immediate with random operands.
func TestImmediates(t *testing.T) {
	for n, in := range immediateInstructions {
		t.Run(in.name, func(t *testing.T) {
			in.runnable(t)
			in.tryRandom(t, rng(n), rounds(60, 4_000))
		})
	}
}

func (in *instruction) tryRandom(t *testing.T, r rng, n int) {
	t.Helper()
	code := in.assemble(t)
	for ; n > 0; n-- {
		if !in.check(t, code, in.randomState(&r)) {
			return
		}
	}
}

// TestApproximations: RCPPS and RSQRTPS are the processor's bit for bit. The
// results depend on the leading bits of the operand only, so that steps
// smaller than those reach all of them.
func TestApproximations(t *testing.T) {
	for _, in := range approximations {
		t.Run(in.name, func(t *testing.T) {
			in.runnable(t)
			code := in.assemble(t)
			step := uint64(rounds(1<<12-3, 1<<5-1))
			for a := uint64(0); a < 1<<32; a += step {
				s := singles.state(a, a, ^a&0xffffffff, a<<16&0xffffffff)
				s.MXCSR = uint32(controls()[a%16])
				if !in.check(t, code, s) {
					return
				}
			}
		})
	}
}

var approximations = []instruction{
	{name: "rcpss", code: "f30f53c1", ours: ss1(func(a uint32, _ Control) (uint32, Flags) { return Rcp32(a), 0 })},
	{name: "rsqrtss", code: "f30f52c1", ours: ss1(func(a uint32, _ Control) (uint32, Flags) { return Rsqrt32(a), 0 })},
	{name: "rcpps", code: "0f53c1", ours: x1(RcpPS)},
	{name: "rsqrtps", code: "0f52c1", ours: x1(RsqrtPS)},
}
