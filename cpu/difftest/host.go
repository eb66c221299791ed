package difftest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/cpu/decode"
	"github.com/flipvisor/flipvisor/internal/native"
)

// Host is the processor of this machine.
type Host struct {
	p     *native.Proc
	last  *Case
	dirty bool // the data area may differ from the pattern
}

// NewHost makes the native side. It locks the goroutine to its thread. The
// error says why there is none: another system or processor, no ptrace.
func NewHost() (*Host, error) {
	if v := hostVendor(); v != "GenuineIntel" {
		return nil, fmt.Errorf("%w: the processor here is %q, and the interpreter does as Intel's where they differ", native.ErrUnavailable, v)
	}
	p, err := native.Start()
	if err != nil {
		return nil, err
	}
	h := &Host{p: p}
	if err := h.setUp(); err != nil {
		p.Close()
		return nil, err
	}
	return h, nil
}

func (h *Host) setUp() error {
	p := h.p
	// The system put a stack and a page of code at the top.
	if err := p.Unmap(0x7000_0000_0000, 0xFFF_FFFF_F000); err != nil {
		return err
	}
	for _, err := range []error{
		p.Map(codeBase, areaSize, native.ProtAll),
		p.Map(dataBase, areaSize, native.ProtRead|native.ProtWrite|native.ProtExec),
		p.Map(roBase, pageSize, native.ProtRead|native.ProtExec),
	} {
		if err != nil {
			return err
		}
	}
	var b [pageSize]byte
	fresh(roBase, b[:])
	if err := p.WriteMem(roBase, b[:]); err != nil {
		return err
	}
	for i, s := range localTable {
		if _, err := p.SetLDT(i, s); err != nil {
			return err
		}
	}
	if err := errors.Join(h.alarm(), h.refresh()); err != nil {
		return err
	}
	// At last the page that package native makes system calls from. The call
	// cannot return to it, so that an error says nothing.
	_ = p.Unmap(0x10000, pageSize)
	return nil
}

// stuck is how long an instruction may take, and sigalrm what then stops it:
// there are some that Linux lets fault for ever.
const (
	stuck        = 2 // seconds
	sigalrm      = 14
	sysSetitimer = 38
)

// alarm makes the process receive signals at that interval.
func (h *Host) alarm() error {
	var timer [32]byte // struct itimerval: interval and value, seconds and microseconds
	le.PutUint64(timer[0:], stuck)
	le.PutUint64(timer[16:], stuck)
	if err := h.p.WriteMem(dataBase, timer[:]); err != nil {
		return err
	}
	_, err := h.p.Syscall(sysSetitimer, 0, dataBase, 0)
	return err
}

// Close ends the process.
func (h *Host) Close() { h.p.Close() }

// refresh gives both areas their pattern.
func (h *Host) refresh() error {
	h.last, h.dirty = nil, false
	return errors.Join(h.p.WriteMem(codeBase, freshText[:]), h.p.WriteMem(dataBase, freshData[:]))
}

// clip leaves of a patch what lies in the writable areas.
func clip(addr uint64, b []byte) (uint64, []byte) {
	end := uint64(codeEnd)
	if addr >= dataBase {
		end = dataEnd
	}
	if addr >= end {
		return addr, nil
	}
	return addr, b[:min(uint64(len(b)), end-addr)]
}

// Load prepares a case.
func (h *Host) Load(k *Case) error {
	if k.Flavor == Continue || h.last != nil && h.last.Flavor == Continue {
		if err := h.refresh(); err != nil {
			return err
		}
	}
	if h.last != nil {
		at, b := clip(h.last.linear(), h.last.Code)
		if err := h.p.WriteMem(at, freshText[at-codeBase:][:len(b)]); err != nil {
			return err
		}
	}
	h.last = k
	if err := h.p.WriteMem(clip(k.linear(), k.Code)); err != nil {
		return err
	}
	for i := range k.Mem {
		if err := h.p.WriteMem(clip(k.Mem[i].Addr, k.Mem[i].Data)); err != nil {
			return err
		}
		h.dirty = true
	}
	in := &k.In
	if k.Vector {
		x := native.XState{FCW: in.FCW, FSW: in.FSW, FTW: in.Tag, MXCSR: in.MXCSR}
		for i := range x.ST {
			r := &in.ST[(i+int(in.FSW>>11))&7]
			le.PutUint64(x.ST[i][:], r.Significand)
			le.PutUint16(x.ST[i][8:], r.SignExponent)
		}
		for i := range x.YMM {
			le.PutUint64(x.YMM[i][:], in.XMM[i].Lo)
			le.PutUint64(x.YMM[i][8:], in.XMM[i].Hi)
		}
		if err := h.p.SetXState(&x); err != nil {
			return err
		}
	}
	return h.p.SetState(&native.State{
		GPR: in.GPR, RIP: in.RIP, RFLAGS: in.Flags, FSBase: in.FSBase, GSBase: in.GSBase,
		ES: in.Seg[cpu.ES], CS: in.Seg[cpu.CS], SS: in.Seg[cpu.SS], DS: in.Seg[cpu.DS], FS: in.Seg[cpu.FS], GS: in.Seg[cpu.GS],
	})
}

// Run runs a case that was loaded, and cleans up after it.
func (h *Host) Run(k *Case, out *Outcome) error {
	if err := h.run(k, out); err != nil {
		return err
	}
	if out.Flags&cpu.FlagID != 0 { // can be set by a program only, and would stay
		if err := h.clearID(); err != nil {
			return err
		}
	}
	return h.restore(out.Data[:])
}

func (h *Host) run(k *Case, out *Outcome) error {
	p := h.p
	resume := p.Step
	if k.Flavor == Continue {
		resume = p.Continue
	}
	var st native.State
	for step, alarms := 0, 0; ; step++ {
		stop, err := resume()
		if err != nil {
			return err
		}
		if stop.Signal == sigalrm { // before the instruction, which has not been executed
			if alarms++; alarms > 2 {
				return fmt.Errorf("the processor does not get over it")
			}
			continue
		}
		if err := p.GetState(&st); err != nil {
			return err
		}
		out.Event = Event{Signal: stop.Signal, Code: stop.Code, Addr: stop.Addr, System: stop.Syscall}
		// A repeated string instruction steps once for each element.
		if out.Event != (Event{done.Signal, done.Code, stop.Addr, false}) || k.Flavor != Step || st.RIP != k.In.RIP ||
			k.Inst.Rep == decode.RepNone || !repeats(k.Inst.Op) || step > 2*areaSize {
			break
		}
	}
	if out.Signal != native.SIGSEGV || out.Code == native.CodeKernel {
		out.Addr = 0
	}
	s := &out.State
	*s = State{
		GPR: st.GPR, RIP: st.RIP, Flags: st.RFLAGS, FSBase: st.FSBase, GSBase: st.GSBase,
		Seg: [6]uint16{st.ES, st.CS, st.SS, st.DS, st.FS, st.GS},
	}
	if k.Flavor == Continue && out.Signal == native.SIGTRAP && out.Code == native.CodeKernel && s.RIP == k.End+1 {
		out.Event = done
		s.RIP = k.End
	}
	if out.HasVector = k.Vector; k.Vector {
		if err := h.vectors(s); err != nil {
			return err
		}
	}
	if err := p.ReadMem(dataBase, out.Data[:]); err != nil {
		return err
	}
	if out.HasText = k.Flavor == Continue; out.HasText {
		if err := p.ReadMem(codeBase, out.Text[:]); err != nil {
			return err
		}
	}
	return nil
}

func (h *Host) vectors(s *State) error {
	var x native.XState
	if err := h.p.GetXState(&x); err != nil {
		return err
	}
	s.FCW, s.FSW, s.Tag, s.MXCSR = x.FCW, x.FSW, x.FTW, x.MXCSR
	for i := range x.ST {
		s.ST[(i+int(x.FSW>>11))&7] = cpu.ST{Significand: le.Uint64(x.ST[i][:]), SignExponent: le.Uint16(x.ST[i][8:])}
	}
	for i := range x.YMM {
		s.XMM[i] = cpu.XMM{Lo: le.Uint64(x.YMM[i][:]), Hi: le.Uint64(x.YMM[i][8:])}
	}
	return nil
}

// restore gives the data area its pattern back where it has changed.
func (h *Host) restore(now []byte) error {
	if bytes.Equal(now, freshData[:]) {
		return nil
	}
	from, to := 0, len(now)
	for now[from] == freshData[from] {
		from++
	}
	for now[to-1] == freshData[to-1] {
		to--
	}
	return h.p.WriteMem(dataBase+uint64(from), freshData[from:to])
}

// clearID makes the process execute POPFQ.
func (h *Host) clearID() error {
	at := uint64(dataBase)
	if err := h.p.WriteMem(at, []byte{0x9D, 0xCC, 0, 0, 0, 0, 0, 0, 0x02, 0x02, 0, 0, 0, 0, 0, 0}); err != nil {
		return err
	}
	st := native.State{RIP: at, RFLAGS: 0x202, CS: native.UserCS, SS: native.UserSS}
	st.GPR[cpu.RSP] = at + 8
	if err := h.p.SetState(&st); err != nil {
		return err
	}
	if _, err := h.p.Continue(); err != nil {
		return err
	}
	return h.p.WriteMem(at, freshData[:16])
}

// hostFlags are the features of this machine's processor as Linux names them.
var hostFlags = sync.OnceValue(func() map[string]string {
	m := make(map[string]string)
	b, _ := os.ReadFile("/proc/cpuinfo")
	for _, line := range strings.Split(string(b), "\n") {
		k, v, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(k) {
		case "flags":
			for _, f := range strings.Fields(v) {
				m[f] = "yes"
			}
			return m
		case "vendor_id":
			m["vendor"] = strings.TrimSpace(v)
		}
	}
	return m
})

func hostVendor() string { return hostFlags()["vendor"] }

// hostFeature is what Linux calls the features that not every 64-bit processor
// has; opFeature those of operations that the model always has, or that check
// for themselves.
var hostFeature = map[cpu.Feature]string{
	cpu.FeatureSSE3: "pni", cpu.FeatureSSSE3: "ssse3", cpu.FeatureSSE41: "sse4_1", cpu.FeatureSSE42: "sse4_2",
	cpu.FeaturePOPCNT: "popcnt", cpu.FeatureMOVBE: "movbe", cpu.FeatureBMI1: "bmi1", cpu.FeatureBMI2: "bmi2",
	cpu.FeatureADX: "adx", cpu.FeatureCLFLUSHOPT: "clflushopt", cpu.FeatureCLWB: "clwb", cpu.FeatureSERIALIZE: "serialize",
}

var opFeature = map[decode.Op]string{
	decode.LZCNT: "abm", decode.TZCNT: "bmi1", decode.CMPXCHG16B: "cx16", decode.PREFETCHW: "3dnowprefetch",
	decode.RDFSBASE: "fsgsbase", decode.RDGSBASE: "fsgsbase", decode.WRFSBASE: "fsgsbase", decode.WRGSBASE: "fsgsbase",
	decode.CLAC: "smap", decode.STAC: "smap", decode.INVPCID: "invpcid", decode.CLDEMOTE: "cldemote",
}

// lacking says that this machine's processor does not have an operation.
func lacking(op decode.Op) bool {
	has := hostFlags()
	f, g := hostFeature[cpu.FeatureOf(op)], opFeature[op]
	return f != "" && has[f] == "" || g != "" && has[g] == ""
}
