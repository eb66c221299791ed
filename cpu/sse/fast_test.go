package sse

import "testing"

// TestFastPaths holds the functions that may take the host's arithmetic
// against the exact path, on any host.
func TestFastPaths(t *testing.T) {
	wide := func(op binary32) binary64 {
		return func(a, b uint64, c Control) (uint64, Flags) {
			r, f := op(uint32(a), uint32(b), c)
			return uint64(r), f
		}
	}
	for _, test := range []struct {
		name        string
		operand     operand
		fast, exact binary64
	}{
		{"Add64", doubles, Add64, double.add},
		{"Sub64", doubles, Sub64, double.sub},
		{"Mul64", doubles, Mul64, double.mul},
		{"Div64", doubles, Div64, double.div},
		{"Sqrt64", doubles, func(a, _ uint64, c Control) (uint64, Flags) { return Sqrt64(a, c) },
			func(a, _ uint64, c Control) (uint64, Flags) { return double.sqrt(a, c) }},
		{"Add32", singles, wide(Add32), single.add},
		{"Sub32", singles, wide(Sub32), single.sub},
		{"Mul32", singles, wide(Mul32), single.mul},
		{"Div32", singles, wide(Div32), single.div},
		{"Sqrt32", singles, wide(func(a, _ uint32, c Control) (uint32, Flags) { return Sqrt32(a, c) }),
			func(a, _ uint64, c Control) (uint64, Flags) { return single.sqrt(a, c) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			values := test.operand.values()
			r := rng(7)
			for i := rounds(20_000, 10_000_000); i > 0; i-- {
				a, b := test.operand.random(&r, values), test.operand.random(&r, values)
				c := DefaultControl | Control(r.next())&^(3<<rcShift)&ControlMask
				got, f := test.fast(a, b, c)
				want, exact := test.exact(a, b, c)
				if c|Control(f) != c|Control(exact) || got != want && !c.Unmasked(f) {
					t.Fatalf("%s(%x, %x, %v) = %x %v, exactly %x %v", test.name, a, b, c, got, f, want, exact)
				}
			}
		})
	}
}
