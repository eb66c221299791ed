package native

import (
	"fmt"
	"runtime"
	"syscall"

	"golang.org/x/sys/cpu"
)

// Available reports whether instructions can be run here.
const Available = true

// Code is the address of an instruction followed by RET.
type Code uintptr

// arena is one mapping that holds all assembled code, for the life of the
// process. Go's runtime tolerates foreign code in it: an unknown program
// counter is never a point to preempt at, and a fault there is attributed to
// the caller on the stack.
var arena, used = func() ([]byte, int) {
	mem, err := syscall.Mmap(-1, 0, 1<<20,
		syscall.PROT_READ|syscall.PROT_WRITE|syscall.PROT_EXEC,
		syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		panic(fmt.Sprintf("native: no executable memory: %v", err))
	}
	return mem, 0
}()

const ret = 0xc3

// Assemble makes an instruction executable.
func Assemble(instruction []byte) Code {
	const align = 32
	at := used
	copy(arena[at:], instruction)
	arena[at+len(instruction)] = ret
	used = (at + len(instruction) + align) &^ (align - 1)
	return Code(address(arena[at:]))
}

// call loads the registers from s, calls code and stores them back. It always
// leaves the default MXCSR.
//
//go:noescape
func call(code Code, s *State)

// address of the first byte.
func address(b []byte) uintptr

// restoreMXCSR stores MXCSR to old and loads the default.
//
//go:noescape
func restoreMXCSR(old *uint32)

// Run executes the instruction on s. All exceptions must be masked.
func (c Code) Run(s *State) {
	if s.MXCSR&0x1f80 != 0x1f80 {
		panic("native: Run with unmasked exceptions")
	}
	call(c, s)
}

// RunUnmasked executes the instruction on s, with whatever masks. If it raises
// an exception, s keeps its registers, and its MXCSR is the one the exception
// left.
func (c Code) RunUnmasked(s *State) (faulted bool) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer func() {
		// The signal becomes a panic whose stack runs with the guest's MXCSR.
		var left uint32
		restoreMXCSR(&left)
		if faulted = recover() != nil; faulted {
			s.MXCSR = left
		}
	}()
	call(c, s)
	return false
}

// Supports reports whether the processor has an instruction set extension.
func Supports(feature string) bool {
	switch feature {
	case "":
		return true
	case "sse3":
		return cpu.X86.HasSSE3
	case "ssse3":
		return cpu.X86.HasSSSE3
	case "sse4.1":
		return cpu.X86.HasSSE41
	case "sse4.2":
		return cpu.X86.HasSSE42
	}
	panic("native: unknown feature " + feature)
}
