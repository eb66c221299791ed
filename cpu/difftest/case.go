package difftest

import (
	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/cpu/decode"
	"github.com/flipvisor/flipvisor/internal/native"
)

// The pages that a case has. Below and above each area lies nothing.
const (
	codeBase = 0x4000_0000 // two pages, everything allowed
	dataBase = 0x5000_0000 // two pages, read and written
	roBase   = 0x5000_3000 // one page, read only; a page of nothing before it
	areaSize = 2 * pageSize
	dataEnd  = dataBase + areaSize
	codeEnd  = codeBase + areaSize
	pageSize = 0x1000
)

// Selectors of the surroundings: Linux's own, and those of a local table.
const (
	selKernel32 = 0x08
	selKernel   = 0x10
	selKernelDS = 0x18
	selCode64   = native.UserCS
	selCode32   = native.UserCS32
	selData     = native.UserSS

	ldtData  = 0<<3 | 7 // 32-bit data at dataBase, as long as the area
	ldtShort = 1<<3 | 7 // 16-bit data in the middle of it
	ldtCode  = 2<<3 | 7 // 16-bit code at codeBase
	ldtEmpty = 3<<3 | 7
)

// localTable is the local descriptor table of both machines.
var localTable = [...]native.Segment{
	{Base: dataBase, Limit: areaSize - 1, Wide: true},
	{Base: dataBase + 0x800, Limit: 0xFFF},
	{Base: codeBase, Limit: areaSize - 1, Code: true},
}

// State is the registers that a program can see.
type State struct {
	GPR            [16]uint64
	RIP, Flags     uint64
	FSBase, GSBase uint64
	Seg            [6]uint16 // ES CS SS DS FS GS

	XMM   [16]cpu.XMM
	MXCSR uint32
	FCW   uint16
	FSW   uint16
	Tag   uint8     // abridged: a 1 for each physical register in use
	ST    [8]cpu.ST // physical registers
}

// Patch is bytes in memory.
type Patch struct {
	Addr uint64
	Data []byte
}

// How a case is run and what of it is compared.
type Flavor uint8

const (
	Step     Flavor = iota // one instruction
	StepTwo                // and the one after it, which cannot be stopped before
	Continue               // to the INT3 at its end
)

// Case is something to run.
type Case struct {
	Mode   decode.Mode
	Flavor Flavor
	Inst   decode.Inst // of a single instruction
	Form   *Form
	Code   []byte // at In.RIP
	In     State
	Mem    []Patch // besides the code; what is not named holds the pattern
	Vector bool    // uses more than general registers
	End    uint64  // with Continue: the address of the INT3
	Marks  []Mark  // with Continue: what is undefined where
	Limit  uint64  // with Continue: instructions
	Seed   uint64  // what the generator made it from
	Self   bool    // it changes its own code
}

// Event is how running ended.
type Event struct {
	Signal native.Signal
	Code   int32
	Addr   uint64
	System bool // at a system call
}

// done is the end of a step without an exception.
var done = Event{Signal: native.SIGTRAP, Code: native.CodeTrace}

// Outcome is the state after a run. Mem covers the writable areas.
type Outcome struct {
	State
	Event
	Data [areaSize]byte
	Text [areaSize]byte // the code area, if HasText
	HasText,
	HasVector bool
}

// pattern is what memory holds unless a case says otherwise: in the data
// areas bytes that are all different within reach, in the code area INT3.
func pattern(addr uint64) byte {
	if addr>>28 == codeBase>>28 {
		return 0xCC
	}
	return byte(addr*167 + addr>>8*29 + 13)
}

// fresh fills b with what memory at addr holds.
func fresh(addr uint64, b []byte) {
	for i := range b {
		b[i] = pattern(addr + uint64(i))
	}
}
