//go:build !linux || !amd64

package native

// Proc is the process in which instructions run; there is none here.
type Proc struct{}

// Start fails: there is no ptrace of amd64 processes here.
func Start() (*Proc, error) { return nil, ErrUnavailable }

// Close has nothing to end.
func (p *Proc) Close() {}

// GetState and the methods after it are never reached, because Start fails.
func (p *Proc) GetState(*State) error { return ErrUnavailable }

// SetState sets the registers.
func (p *Proc) SetState(*State) error { return ErrUnavailable }

// GetXState reads the x87 and vector registers.
func (p *Proc) GetXState(*XState) error { return ErrUnavailable }

// SetXState sets the x87 and vector registers.
func (p *Proc) SetXState(*XState) error { return ErrUnavailable }

// Step executes one instruction.
func (p *Proc) Step() (Stop, error) { return Stop{}, ErrUnavailable }

// Continue executes until something stops it.
func (p *Proc) Continue() (Stop, error) { return Stop{}, ErrUnavailable }

// ReadMem reads the process's memory.
func (p *Proc) ReadMem(uint64, []byte) error { return ErrUnavailable }

// WriteMem writes the process's memory.
func (p *Proc) WriteMem(uint64, []byte) error { return ErrUnavailable }

// Map maps zeroed memory at an address.
func (p *Proc) Map(addr, size uint64, prot Prot) error { return ErrUnavailable }

// Unmap removes a mapping.
func (p *Proc) Unmap(addr, size uint64) error { return ErrUnavailable }

// Protect changes what may be done with a mapping.
func (p *Proc) Protect(addr, size uint64, prot Prot) error { return ErrUnavailable }

// SetLDT sets an entry of the process's local descriptor table.
func (p *Proc) SetLDT(int, Segment) (uint16, error) { return 0, ErrUnavailable }

// Syscall makes the process make a system call.
func (p *Proc) Syscall(uint64, ...uint64) (uint64, error) { return 0, ErrUnavailable }
