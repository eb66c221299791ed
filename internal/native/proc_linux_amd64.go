package native

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Requests and options of ptrace that package syscall does not name.
const (
	ptraceGetRegs           = 12
	ptraceSetRegs           = 13
	ptraceSysemuSinglestep  = 32
	ptraceGetRegset         = 0x4204
	ptraceSetRegset         = 0x4205
	ptraceGetSiginfo        = 0x4202
	ntX86Xstate             = 0x202
	xstateSize              = 16384 // more than any processor's area
	xstateBV                = 512   // in the XSAVE header
	ymmHigh                 = 576   // upper halves of YMM in the standard layout
	legacyST, legacyXMM     = 32, 160
	xfeatureX87SSE, xfeaAVX = 3, 4
)

// Proc is the process in which instructions run.
type Proc struct {
	pid    int
	proc   *os.Process
	mem    *os.File
	regs   syscall.PtraceRegs
	xstate []byte // as the kernel gave it last, with its true length
	buf    [xstateSize]byte
	info   [128]byte
	cpus   unix.CPUSet // what the thread was allowed before Start
}

// nextCPU spreads processes over processors.
var nextCPU atomic.Uint32

// Start makes the process. It locks the calling goroutine to its thread.
func Start() (*Proc, error) {
	runtime.LockOSThread()
	p, err := start()
	if err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("%w: %v", ErrUnavailable, err)
	}
	return p, nil
}

func start() (*Proc, error) {
	fd, err := unix.MemfdCreate("native", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	exe := os.NewFile(uintptr(fd), "native")
	defer exe.Close()
	if _, err := exe.Write(tracee()); err != nil {
		return nil, err
	}
	path := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd)
	proc, err := os.StartProcess(path, []string{"native"}, &os.ProcAttr{
		Env: []string{},
		Sys: &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return nil, err
	}
	p := &Proc{pid: proc.Pid, proc: proc}
	fail := func(err error) (*Proc, error) {
		p.kill()
		return nil, err
	}
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(p.pid, &ws, 0, nil); err != nil {
		return fail(err)
	}
	if !ws.Stopped() {
		return fail(fmt.Errorf("process did not stop after exec: status %#x", int(ws)))
	}
	const opts = syscall.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL
	if err := syscall.PtraceSetOptions(p.pid, opts); err != nil {
		return fail(err)
	}
	if p.mem, err = os.OpenFile(fmt.Sprintf("/proc/%d/mem", p.pid), os.O_RDWR, 0); err != nil {
		return fail(err)
	}
	if _, err := p.readXstate(); err != nil {
		return fail(err)
	}
	p.share()
	return p, nil
}

// share puts this thread and the process on one processor. They take turns
// anyway, and handing over within a processor costs a quarter of waking
// another one.
func (p *Proc) share() {
	if unix.SchedGetaffinity(0, &p.cpus) != nil {
		return
	}
	n := int(nextCPU.Add(1)) % max(p.cpus.Count(), 1)
	for cpu := range 1024 {
		if !p.cpus.IsSet(cpu) {
			continue
		}
		if n == 0 {
			var one unix.CPUSet
			one.Set(cpu)
			unix.SchedSetaffinity(0, &one)
			unix.SchedSetaffinity(p.pid, &one)
			return
		}
		n--
	}
}

// Close ends the process and frees the goroutine from its thread.
func (p *Proc) Close() {
	p.kill()
	if p.cpus.Count() > 0 {
		unix.SchedSetaffinity(0, &p.cpus)
	}
	runtime.UnlockOSThread()
}

// kill ends the process.
func (p *Proc) kill() {
	if p.mem != nil {
		p.mem.Close()
	}
	p.proc.Kill()
	p.proc.Wait()
}

func (p *Proc) ptrace(request int, addr, data uintptr) error {
	_, _, e := syscall.RawSyscall6(syscall.SYS_PTRACE, uintptr(request), uintptr(p.pid), addr, data, 0, 0)
	if e != 0 {
		return fmt.Errorf("native: ptrace request %#x: %w", request, e)
	}
	return nil
}

// GetState reads the registers.
func (p *Proc) GetState(s *State) error {
	r := &p.regs
	if err := p.ptrace(ptraceGetRegs, 0, uintptr(unsafe.Pointer(r))); err != nil {
		return err
	}
	*s = State{
		GPR:    [16]uint64{r.Rax, r.Rcx, r.Rdx, r.Rbx, r.Rsp, r.Rbp, r.Rsi, r.Rdi, r.R8, r.R9, r.R10, r.R11, r.R12, r.R13, r.R14, r.R15},
		RIP:    r.Rip,
		RFLAGS: r.Eflags,
		FSBase: r.Fs_base, GSBase: r.Gs_base,
		CS: uint16(r.Cs), SS: uint16(r.Ss), DS: uint16(r.Ds), ES: uint16(r.Es), FS: uint16(r.Fs), GS: uint16(r.Gs),
	}
	return nil
}

// SetState sets the registers. A 32-bit code segment wants UserSS in SS, DS
// and ES.
func (p *Proc) SetState(s *State) error {
	g := &s.GPR
	p.regs = syscall.PtraceRegs{
		Rax: g[0], Rcx: g[1], Rdx: g[2], Rbx: g[3], Rsp: g[4], Rbp: g[5], Rsi: g[6], Rdi: g[7],
		R8: g[8], R9: g[9], R10: g[10], R11: g[11], R12: g[12], R13: g[13], R14: g[14], R15: g[15],
		Rip: s.RIP, Eflags: s.RFLAGS, Fs_base: s.FSBase, Gs_base: s.GSBase,
		Cs: uint64(s.CS), Ss: uint64(s.SS), Ds: uint64(s.DS), Es: uint64(s.ES), Fs: uint64(s.FS), Gs: uint64(s.GS),
		Orig_rax: ^uint64(0), // no system call is in progress, so none is restarted
	}
	return p.ptrace(ptraceSetRegs, 0, uintptr(unsafe.Pointer(&p.regs)))
}

func (p *Proc) readXstate() ([]byte, error) {
	iov := syscall.Iovec{Base: &p.buf[0], Len: xstateSize}
	if err := p.ptrace(ptraceGetRegset, ntX86Xstate, uintptr(unsafe.Pointer(&iov))); err != nil {
		return nil, err
	}
	p.xstate = p.buf[:iov.Len]
	if iov.Len < ymmHigh+256 {
		return nil, errors.New("native: no AVX state")
	}
	return p.xstate, nil
}

// GetXState reads the x87 and vector registers.
func (p *Proc) GetXState(x *XState) error {
	b, err := p.readXstate()
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	x.FCW, x.FSW, x.FTW, x.FOP = le.Uint16(b), le.Uint16(b[2:]), b[4], le.Uint16(b[6:])
	x.FIP, x.FDP, x.MXCSR = le.Uint64(b[8:]), le.Uint64(b[16:]), le.Uint32(b[24:])
	for i := range x.ST {
		copy(x.ST[i][:], b[legacyST+16*i:])
	}
	for i := range x.YMM {
		copy(x.YMM[i][:16], b[legacyXMM+16*i:])
		copy(x.YMM[i][16:], b[ymmHigh+16*i:][:16])
	}
	return nil
}

// SetXState sets the x87 and vector registers.
func (p *Proc) SetXState(x *XState) error {
	b := p.xstate
	le := binary.LittleEndian
	le.PutUint16(b, x.FCW)
	le.PutUint16(b[2:], x.FSW)
	b[4] = x.FTW
	le.PutUint16(b[6:], x.FOP)
	le.PutUint64(b[8:], x.FIP)
	le.PutUint64(b[16:], x.FDP)
	le.PutUint32(b[24:], x.MXCSR)
	for i := range x.ST {
		copy(b[legacyST+16*i:], x.ST[i][:])
	}
	for i := range x.YMM {
		copy(b[legacyXMM+16*i:], x.YMM[i][:16])
		copy(b[ymmHigh+16*i:], x.YMM[i][16:])
	}
	le.PutUint64(b[xstateBV:], le.Uint64(b[xstateBV:])|xfeatureX87SSE|xfeaAVX)
	iov := syscall.Iovec{Base: &b[0], Len: uint64(len(b))}
	return p.ptrace(ptraceSetRegset, ntX86Xstate, uintptr(unsafe.Pointer(&iov)))
}

// Step executes one instruction, or one iteration of a repeated one. A
// system call is stopped before it does anything and counts as done.
func (p *Proc) Step() (Stop, error) { return p.wait(ptraceSysemuSinglestep) }

// Continue executes until something stops it: an INT3, an exception. What
// it runs must come to an end by itself. TF is not set meanwhile, so that
// PUSHF shows the flags as they are.
func (p *Proc) Continue() (Stop, error) { return p.wait(unix.PTRACE_SYSEMU) }

// wait resumes the process by a request and waits for it to stop again. A
// stop at the entry of a system call needs nothing more: the next request
// leaves the call, without a stop, on the way to its own instruction.
func (p *Proc) wait(request int) (Stop, error) {
	if err := p.ptrace(request, 0, 0); err != nil {
		return Stop{}, err
	}
	// A step ends within microseconds, so that waiting for it raw, without
	// telling the scheduler, is twice as fast and holds nobody up.
	var ws syscall.WaitStatus
	for {
		call := syscall.Syscall6
		if request == ptraceSysemuSinglestep {
			call = syscall.RawSyscall6
		}
		_, _, e := call(syscall.SYS_WAIT4, uintptr(p.pid), uintptr(unsafe.Pointer(&ws)), 0, 0, 0, 0)
		if e == 0 {
			break
		}
		if e != syscall.EINTR {
			return Stop{}, fmt.Errorf("native: wait: %w", e)
		}
	}
	if !ws.Stopped() {
		return Stop{}, fmt.Errorf("native: the process is gone: status %#x", int(ws))
	}
	sig := ws.StopSignal()
	if sig == syscall.SIGTRAP|0x80 {
		return Stop{Signal: SIGTRAP, Syscall: true}, nil
	}
	if err := p.ptrace(ptraceGetSiginfo, 0, uintptr(unsafe.Pointer(&p.info))); err != nil {
		return Stop{}, err
	}
	le := binary.LittleEndian
	return Stop{
		Signal: Signal(sig),
		Code:   int32(le.Uint32(p.info[8:])),
		Addr:   le.Uint64(p.info[16:]),
	}, nil
}

// ReadMem reads the process's memory, whatever its protection.
func (p *Proc) ReadMem(addr uint64, b []byte) error {
	_, err := p.mem.ReadAt(b, int64(addr))
	return err
}

// WriteMem writes the process's memory, whatever its protection.
func (p *Proc) WriteMem(addr uint64, b []byte) error {
	_, err := p.mem.WriteAt(b, int64(addr))
	return err
}

// Syscall makes the process make a system call.
func (p *Proc) Syscall(nr uint64, args ...uint64) (uint64, error) {
	var saved State
	if err := p.GetState(&saved); err != nil {
		return 0, err
	}
	if err := p.WriteMem(stubEntry, syscallStub); err != nil {
		return 0, err
	}
	st := State{RIP: stubEntry, RFLAGS: 0x202, CS: UserCS, SS: UserSS}
	st.GPR[0] = nr
	for i, a := range args {
		st.GPR[[6]int{7, 6, 2, 10, 8, 9}[i]] = a // RDI RSI RDX R10 R8 R9
	}
	if err := p.SetState(&st); err != nil {
		return 0, err
	}
	stop, err := p.wait(syscall.PTRACE_CONT)
	if err != nil {
		return 0, err
	}
	if err := p.GetState(&st); err != nil {
		return 0, err
	}
	if stop.Signal != SIGTRAP || st.RIP != stubEntry+3 {
		return 0, fmt.Errorf("native: system call %d stopped with %v at %#x", nr, stop.Signal, st.RIP)
	}
	if err := p.SetState(&saved); err != nil {
		return 0, err
	}
	if r := int64(st.GPR[0]); r < 0 && r > -4096 {
		return 0, fmt.Errorf("native: system call %d: %w", nr, syscall.Errno(-r))
	}
	return st.GPR[0], nil
}

// Map maps zeroed memory at an address, in place of what was there.
func (p *Proc) Map(addr, size uint64, prot Prot) error {
	const flags = syscall.MAP_PRIVATE | syscall.MAP_ANON | syscall.MAP_FIXED
	_, err := p.Syscall(syscall.SYS_MMAP, addr, size, uint64(prot), flags, ^uint64(0), 0)
	return err
}

// Unmap removes a mapping.
func (p *Proc) Unmap(addr, size uint64) error {
	_, err := p.Syscall(syscall.SYS_MUNMAP, addr, size)
	return err
}

// Protect changes what may be done with a mapping.
func (p *Proc) Protect(addr, size uint64, prot Prot) error {
	_, err := p.Syscall(syscall.SYS_MPROTECT, addr, size, uint64(prot))
	return err
}

// SetLDT sets an entry of the process's local descriptor table and returns
// the selector for it. Code in a segment that is not Wide runs in 16-bit
// protected mode.
func (p *Proc) SetLDT(entry int, s Segment) (uint16, error) {
	var d [16]byte
	le := binary.LittleEndian
	le.PutUint32(d[0:], uint32(entry))
	le.PutUint32(d[4:], s.Base)
	le.PutUint32(d[8:], s.Limit)
	flags := uint32(0) // seg_32bit, contents, read_exec_only, limit_in_pages, seg_not_present, useable
	if s.Wide {
		flags |= 1
	}
	if s.Code {
		flags |= 2 << 1
	}
	le.PutUint32(d[12:], flags)
	at := uint64(stubEntry + 16)
	if err := p.WriteMem(at, d[:]); err != nil {
		return 0, err
	}
	if _, err := p.Syscall(syscall.SYS_MODIFY_LDT, 0x11, at, uint64(len(d))); err != nil {
		return 0, err
	}
	return uint16(entry<<3 | 7), nil
}
