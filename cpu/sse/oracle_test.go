package sse

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/flipvisor/flipvisor/cpu/sse/internal/native"
)

// instruction is one instruction in the form package native runs it, beside
// what this package makes of it.
type instruction struct {
	name    string
	code    string // machine code, xmm0 <- xmm1 or mm0 <- mm1 or general registers
	feature string // instruction set extension, if more than SSE2
	operand operand
	// immediate: one of 256 that differ in the immediate only.
	immediate bool
	// ours does to s what the handler of the instruction would do, and reports
	// whether an exception is due. In that case only MXCSR may change.
	ours func(s *native.State) (faults bool)
}

// operand says what kind of values are interesting to an instruction.
type operand uint8

const (
	singles operand = iota
	doubles
	integers
	text // short strings over a small alphabet, and their lengths
)

// finish is the part of a handler that all floating-point instructions share.
func finish(s *native.State, f Flags, store func()) (faults bool) {
	c := Control(s.MXCSR)
	s.MXCSR |= uint32(f)
	if c.Unmasked(f) {
		return true
	}
	store()
	return false
}

func regs(s *native.State) (d, src X, c Control) {
	return X{s.X0[0], s.X0[1]}, X{s.X1[0], s.X1[1]}, Control(s.MXCSR)
}

func setX0(s *native.State, x X) { s.X0 = [2]uint64{x.Lo, x.Hi} }

func setLow32(s *native.State, r uint32) { s.X0[0] = s.X0[0]&^0xffffffff | uint64(r) }

// The shapes of handlers.

func ss(op binary32) func(*native.State) bool {
	return func(s *native.State) bool {
		d, src, c := regs(s)
		r, f := op(uint32(d.Lo), uint32(src.Lo), c)
		return finish(s, f, func() { setLow32(s, r) })
	}
}

func sd(op binary64) func(*native.State) bool {
	return func(s *native.State) bool {
		d, src, c := regs(s)
		r, f := op(d.Lo, src.Lo, c)
		return finish(s, f, func() { s.X0[0] = r })
	}
}

func packed(op func(d, s X, c Control) (X, Flags)) func(*native.State) bool {
	return func(s *native.State) bool {
		d, src, c := regs(s)
		r, f := op(d, src, c)
		return finish(s, f, func() { setX0(s, r) })
	}
}

func packed1(op func(s X, c Control) (X, Flags)) func(*native.State) bool {
	return packed(func(_, s X, c Control) (X, Flags) { return op(s, c) })
}

// fromLow is a packed conversion of the low half of the source.
func fromLow(op func(s uint64, c Control) (X, Flags)) func(*native.State) bool {
	return packed(func(_, s X, c Control) (X, Flags) { return op(s.Lo, c) })
}

// toLow is a packed conversion that leaves zero in the high half.
func toLow(op func(s X, c Control) (uint64, Flags)) func(*native.State) bool {
	return packed(func(_, s X, c Control) (X, Flags) {
		r, f := op(s, c)
		return X{r, 0}, f
	})
}

// toMM is a packed conversion into an MMX register.
func toMM(op func(s X, c Control) (uint64, Flags)) func(*native.State) bool {
	return func(s *native.State) bool {
		_, src, c := regs(s)
		r, f := op(src, c)
		return finish(s, f, func() { s.M0 = r })
	}
}

func ss1(op unary32) func(*native.State) bool {
	return ss(func(_, b uint32, c Control) (uint32, Flags) { return op(b, c) })
}

func sd1(op unary64) func(*native.State) bool {
	return sd(func(_, b uint64, c Control) (uint64, Flags) { return op(b, c) })
}

// comi is a comparison into RFLAGS.
func comi(op func(s *native.State) (uint32, Flags)) func(*native.State) bool {
	return func(s *native.State) bool {
		eflags, f := op(s)
		return finish(s, f, func() { s.Flags = s.Flags&^arithmeticFlags | uint64(eflags) })
	}
}

// toAX is a conversion into a general register.
func toAX(op func(s *native.State) (uint64, Flags)) func(*native.State) bool {
	return func(s *native.State) bool {
		r, f := op(s)
		return finish(s, f, func() { s.AX = r })
	}
}

const arithmeticFlags = 0x8d5

// check runs one case both ways.
func (in *instruction) check(t *testing.T, code native.Code, s native.State) bool {
	t.Helper()
	want := s
	code.Run(&want)
	want.Flags &= arithmeticFlags
	return in.compare(t, s, want)
}

// compare runs one case our way and holds it against what is wanted.
func (in *instruction) compare(t *testing.T, s, want native.State) bool {
	t.Helper()
	got := s
	if in.ours(&got) {
		got.Faulted = 1
	}
	if got != want {
		t.Errorf("%s %s\n  before    %s\n  processor %s\n  ours      %s",
			in.name, Control(s.MXCSR), show(s), show(want), show(got))
		return false
	}
	return true
}

func show(s native.State) string {
	return fmt.Sprintf("x0=%016x:%016x x1=%016x:%016x mm0=%016x mm1=%016x ax=%x cx=%x dx=%x fl=%x mxcsr=%04x(%v) faulted=%d",
		s.X0[1], s.X0[0], s.X1[1], s.X1[0], s.M0, s.M1, s.AX, s.CX, s.DX, s.Flags, s.MXCSR, Flags(s.MXCSR)&allFlags, s.Faulted)
}

func (in *instruction) assemble(t *testing.T) native.Code {
	code, err := hex.DecodeString(strings.ReplaceAll(in.code, " ", ""))
	if err != nil {
		t.Fatalf("%s: %v", in.name, err)
	}
	return native.Assemble(code)
}

func (in *instruction) runnable(t *testing.T) {
	if !native.Available {
		t.Skip("no processor to compare with; recorded cases stand in")
	}
	if !native.Supports(in.feature) {
		t.Skipf("the processor lacks %s", in.feature)
	}
}

// rng is a small generator so that cases do not depend on the Go version.
type rng uint64

func (r *rng) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
