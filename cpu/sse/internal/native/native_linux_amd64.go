package native

import (
	"fmt"
	"sync"
	"syscall"

	"golang.org/x/sys/cpu"
)

// Available reports whether instructions can be run here.
const Available = true

// Code is the address of an instruction followed by RET.
type Code uintptr

const (
	arenaSize = 4 << 20
	codeAlign = 32
	ret       = 0xc3
)

// The arena holds all assembled code, for the life of the process. Go's
// runtime tolerates foreign code: an unknown program counter is never a point
// to preempt at.
var (
	arena      []byte
	arenaStart uintptr // for the signal handler
	used       int
	start      sync.Once
)

// Assemble makes an instruction executable.
func Assemble(instruction []byte) Code {
	start.Do(func() {
		mapArena()
		catchSIGFPE()
	})
	at := used
	copy(arena[at:], instruction)
	arena[at+len(instruction)] = ret
	used = (at + len(instruction) + codeAlign) &^ (codeAlign - 1)
	return Code(arenaStart) + Code(at)
}

func mapArena() {
	var err error
	arena, err = syscall.Mmap(-1, 0, arenaSize,
		syscall.PROT_READ|syscall.PROT_WRITE|syscall.PROT_EXEC,
		syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		panic(fmt.Sprintf("native: no executable memory: %v", err))
	}
	arenaStart = address(arena)
}

// Run executes the instruction on s.
func (c Code) Run(s *State) {
	masks := s.MXCSR
	call(c, s)
	if s.Faulted != 0 {
		s.MXCSR = s.MXCSR&^maskBits | masks&maskBits // the handler had masked all
	}
}

const maskBits = 0x1f80

// call loads the registers from s, calls code and stores them back. It always
// leaves the default MXCSR.
//
//go:noescape
func call(code Code, s *State)

// address of the first byte.
func address(b []byte) uintptr

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
