package native

import "encoding/binary"

// stubAddr is where the tracee's only page of its own lies. It holds the
// ELF header and the instructions of remote system calls.
const (
	stubAddr  = 0x10000
	stubEntry = stubAddr + 0x80
)

// tracee is a static ELF executable with one page, readable, writable and
// executable, whose program is SYSCALL; INT3.
func tracee() []byte {
	le := binary.LittleEndian
	b := make([]byte, 0x90)
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], 2)         // ET_EXEC
	le.PutUint16(b[18:], 62)        // EM_X86_64
	le.PutUint32(b[20:], 1)         // EV_CURRENT
	le.PutUint64(b[24:], stubEntry) // entry
	le.PutUint64(b[32:], 64)        // program headers
	le.PutUint16(b[52:], 64)        // header size
	le.PutUint16(b[54:], 56)        // program header size
	le.PutUint16(b[56:], 1)         // one of them

	ph := b[64:]
	le.PutUint32(ph[0:], 1) // PT_LOAD
	le.PutUint32(ph[4:], 7) // RWX
	le.PutUint64(ph[16:], stubAddr)
	le.PutUint64(ph[24:], stubAddr)
	le.PutUint64(ph[32:], uint64(len(b)))
	le.PutUint64(ph[40:], 0x1000)
	le.PutUint64(ph[48:], 0x1000)
	copy(b[stubEntry-stubAddr:], syscallStub)
	return b
}

var syscallStub = []byte{0x0F, 0x05, 0xCC} // syscall; int3
