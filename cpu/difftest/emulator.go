package difftest

import (
	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/cpu/decode"
	"github.com/flipvisor/flipvisor/internal/native"
	"github.com/flipvisor/flipvisor/mmu"
)

// Emulator is the interpreter in the surroundings of a Linux process.
type Emulator struct {
	CPU      *cpu.CPU
	Executed uint64 // instructions of sequences

	mem    *mmu.Memory
	unit   *mmu.MMU
	base   cpu.State
	caught *cpu.Exception
	event  cpu.Exception
	next   uint64 // the next free physical page
	root   uint64
	text   [2]uint64 // physical pages of the areas
	data   [2]uint64
}

// The system's tables lie where no program sees them.
const tablesBase = 0xFFFF_FE00_0000_0000

const (
	gdtOffset = 0
	gdtLimit  = 16*8 - 1
	ldtOffset = 0x800
	tssOffset = 0xC00
)

// NewEmulator makes the interpreter's side.
func NewEmulator() *Emulator {
	e := &Emulator{mem: mmu.NewMemory(64 * pageSize)}
	e.unit = mmu.New(e.mem)
	e.CPU = cpu.New(e.unit, cpu.DefaultModel())
	e.root = e.page()
	for i := range uint64(2) {
		e.text[i] = e.mapPage(codeBase+i*pageSize, true, true)
		e.data[i] = e.mapPage(dataBase+i*pageSize, true, true)
	}
	ro := e.mapPage(roBase, true, false)
	tables := e.mapPage(tablesBase, false, true)
	e.descriptors(tables)
	e.refresh()
	var b [pageSize]byte
	fresh(roBase, b[:])
	e.write(ro, b[:])

	c := e.CPU
	c.Hooks.Catch = func(x cpu.Exception) bool {
		e.event = x
		e.caught = &e.event
		return true
	}
	c.SetHooks(c.Hooks)
	c.GDTR = cpu.Table{Base: tablesBase + gdtOffset, Limit: gdtLimit}
	c.IDTR = cpu.Table{}
	c.CR3 = e.root
	c.CR4 = cpu.CR4PAE | cpu.CR4PGE | cpu.CR4OSFXSR | cpu.CR4OSXMMEXCPT | cpu.CR4FSGSBASE | cpu.CR4UMIP
	c.CR0 = cpu.CR0PE | cpu.CR0MP | cpu.CR0ET | cpu.CR0NE | cpu.CR0WP | cpu.CR0AM | cpu.CR0PG
	c.MSR.EFER = cpu.EFERSCE | cpu.EFERLME | cpu.EFERLMA | cpu.EFERNXE
	c.Seg[cpu.LDTR] = cpu.Segment{Selector: 0x50, Base: tablesBase + ldtOffset, Limit: uint32(len(localTable))*8 - 1, Attr: cpu.AttrP | 2}
	c.Seg[cpu.TR] = cpu.Segment{Selector: 0x40, Base: tablesBase + tssOffset, Limit: 0x67, Attr: cpu.AttrP | 11}
	c.Settle()
	e.base = c.State
	return e
}

// page takes a physical page.
func (e *Emulator) page() uint64 {
	pa := e.next
	e.next += pageSize
	return pa
}

func (e *Emulator) mapPage(va uint64, user, writable bool) uint64 {
	table := e.root
	for shift := 39; shift > 12; shift -= 9 {
		slot := table + va>>shift&511*8
		x := e.mem.Read(slot, 8)
		if x == 0 {
			x = e.page() | 7
			e.mem.Write(slot, 8, x)
		}
		table = x &^ 0xFFF
	}
	pa := e.page()
	x := pa | 0x61 // present, accessed, dirty
	if user {
		x |= 4
	}
	if writable {
		x |= 2
	}
	e.mem.Write(table+va>>12&511*8, 8, x)
	return pa
}

// descriptors fills the tables as Linux does
// (arch/x86/kernel/cpu/common.c, gdt_page; ldt.c, fill_ldt).
func (e *Emulator) descriptors(pa uint64) {
	for i, d := range [...]uint64{
		1: 0x00CF9B000000FFFF, 2: 0x00AF9B000000FFFF, 3: 0x00CF93000000FFFF,
		4: 0x00CFFB000000FFFF, 5: 0x00CFF3000000FFFF, 6: 0x00AFFB000000FFFF,
		8:  0x00008B0000004087,           // the task
		10: 0x0000820000000000 | 8*4 - 1, // this local table
	} {
		e.mem.Write(pa+gdtOffset+uint64(i)*8, 8, d)
	}
	e.mem.Write(pa+tssOffset+102, 2, 0xFFFF) // no permission bitmap
	for i, s := range localTable {
		e.mem.Write(pa+ldtOffset+uint64(i)*8, 8, descriptor(s))
	}
}

func descriptor(s native.Segment) uint64 {
	d := uint64(0xF3) << 40
	if s.Code {
		d = 0xFB << 40
	}
	if s.Wide {
		d |= 1 << 54
	}
	return d | uint64(s.Limit&0xFFFF) | uint64(s.Limit>>16&15)<<48 |
		uint64(s.Base&0xFFFFFF)<<16 | uint64(s.Base>>24)<<56
}

func (e *Emulator) write(pa uint64, b []byte) {
	if err := e.mem.WriteBytes(pa, b); err != nil {
		panic(err)
	}
}

// freshData and freshText are the areas as they are at first.
var freshData, freshText = func() (d, t [areaSize]byte) {
	fresh(dataBase, d[:])
	fresh(codeBase, t[:])
	return d, t
}()

// refresh gives both areas their pattern.
func (e *Emulator) refresh() {
	for i := range uint64(2) {
		e.refreshPage(e.data[i], freshData[i*pageSize:])
		e.refreshPage(e.text[i], freshText[i*pageSize:])
	}
}

func (e *Emulator) refreshPage(pa uint64, want []byte) {
	if *e.mem.Page(pa) != mmu.Page(want[:pageSize]) {
		e.write(pa, want[:pageSize])
	}
}

// put writes to an area; what lies outside is left out.
func (e *Emulator) put(addr uint64, b []byte) {
	for len(b) > 0 {
		n := min(len(b), int(pageSize-addr%pageSize))
		switch {
		case addr >= codeBase && addr < codeEnd:
			e.write(e.text[(addr-codeBase)/pageSize]+addr%pageSize, b[:n])
		case addr >= dataBase && addr < dataEnd:
			e.write(e.data[(addr-dataBase)/pageSize]+addr%pageSize, b[:n])
		}
		addr, b = addr+uint64(n), b[n:]
	}
}

// Load prepares a case.
func (e *Emulator) Load(k *Case) {
	e.refresh()
	e.put(k.linear(), k.Code)
	e.loadData(k)
	e.loadState(k)
}

// loadData gives the data area its content.
func (e *Emulator) loadData(k *Case) {
	for i := range uint64(2) {
		e.refreshPage(e.data[i], freshData[i*pageSize:])
	}
	for i := range k.Mem {
		e.put(k.Mem[i].Addr, k.Mem[i].Data)
	}
}

func (e *Emulator) loadState(k *Case) {
	c := e.CPU
	c.State = e.base
	in := &k.In
	copy(c.R[:16], in.GPR[:])
	c.RIP = in.RIP
	c.SetRFLAGS(in.Flags)
	for s := range 6 {
		c.Seg[s] = e.segment(in.Seg[s])
	}
	if in.Seg[cpu.FS]|3 == 3 || k.Mode == decode.Mode64 {
		c.Seg[cpu.FS].Base = in.FSBase
	}
	if in.Seg[cpu.GS]|3 == 3 || k.Mode == decode.Mode64 {
		c.Seg[cpu.GS].Base = in.GSBase
	}
	c.X = in.XMM
	c.MXCSR = in.MXCSR
	c.FPU = cpu.X87{FCW: in.FCW, FSW: in.FSW, Tag: in.Tag, R: in.ST}
	c.Settle()
}

// segment is what loading a selector makes of a segment register.
func (e *Emulator) segment(sel uint16) cpu.Segment {
	if sel|3 == 3 {
		return cpu.Segment{Selector: sel, Attr: cpu.AttrUnusable}
	}
	base := uint64(tablesBase + gdtOffset)
	if sel&4 != 0 {
		base = tablesBase + ldtOffset
	}
	pa, ok := e.CPU.Physical(base + uint64(sel&^7))
	if !ok {
		panic("difftest: no descriptor table")
	}
	d := e.mem.Read(pa, 8)
	s := cpu.Segment{
		Selector: sel,
		Base:     d>>16&0xFFFFFF | d>>56<<24,
		Limit:    uint32(d&0xFFFF | d>>48&15<<16),
		Attr:     uint32(d>>40&0xFF | d>>52&15<<12),
	}
	if s.Attr&cpu.AttrG != 0 {
		s.Limit = s.Limit<<12 | 0xFFF
	}
	return s
}

// Run runs a case that was loaded.
func (e *Emulator) Run(k *Case, out *Outcome) {
	c := e.CPU
	e.caught = nil
	limit := uint64(1)
	switch k.Flavor {
	case StepTwo:
		limit = 2
	case Continue:
		limit = k.Limit
	}
	stop := c.Run(c.Count + limit)
	// A repeated string instruction that changes its own bytes begins again.
	for k.Flavor == Step && stop == cpu.StopCount && c.RIP == k.In.RIP && k.Inst.Rep != decode.RepNone && repeats(k.Inst.Op) {
		stop = c.Run(c.Count + 1)
	}
	e.finish(k, stop, out)
}

// finish takes the outcome when the processor has stopped.
func (e *Emulator) finish(k *Case, stop cpu.Stop, out *Outcome) {
	c := e.CPU
	out.Event = done
	switch {
	case stop == cpu.StopCount:
	case stop == cpu.StopCaught:
		out.Event = e.linux()
		if e.caught.Kind != cpu.EventSoftware || gateForAll(e.caught.Vector) {
			c.RIP = e.caught.ReturnAddress(c.RIP)
		}
		if k.Flavor == Continue && out.Signal == native.SIGTRAP && c.RIP == k.End+1 {
			c.RIP = k.End
			out.Event = done
		}
	default:
		out.Event = Event{Signal: 0xFF, Code: int32(stop)}
	}
	e.save(&out.State)
	for i := range uint64(2) {
		copy(out.Data[i*pageSize:], e.mem.Page(e.data[i])[:])
		copy(out.Text[i*pageSize:], e.mem.Page(e.text[i])[:])
	}
	out.HasText, out.HasVector = true, true
}

func (e *Emulator) save(s *State) {
	c := e.CPU
	copy(s.GPR[:], c.R[:16])
	s.RIP, s.Flags = c.RIP, c.RFLAGS()
	s.FSBase, s.GSBase = c.Seg[cpu.FS].Base, c.Seg[cpu.GS].Base
	for i := range s.Seg {
		s.Seg[i] = c.Seg[i].Selector
	}
	s.XMM, s.MXCSR = c.X, c.MXCSR
	s.FCW, s.FSW, s.Tag, s.ST = c.FPU.FCW, c.FPU.FSW, c.FPU.Tag, c.FPU.R
}

// linux is the signal that an exception becomes
// (arch/x86/kernel/traps.c, arch/x86/mm/fault.c).
func (e *Emulator) linux() Event {
	x := e.caught
	v := x.Vector
	if x.Kind == cpu.EventSoftware { // INT n through gates that programs may not use
		switch {
		case v == 0x80:
			return Event{Signal: native.SIGTRAP, System: true}
		case !gateForAll(v):
			v = cpu.VectorGP
		}
	}
	switch v {
	case cpu.VectorDE:
		return Event{Signal: native.SIGFPE, Code: 1}
	case cpu.VectorDB:
		return Event{Signal: native.SIGTRAP, Code: 1}
	case cpu.VectorBP:
		return Event{Signal: native.SIGTRAP, Code: native.CodeKernel}
	case cpu.VectorOF, cpu.VectorBR, cpu.VectorGP, cpu.VectorTS:
		return Event{Signal: native.SIGSEGV, Code: native.CodeKernel}
	case cpu.VectorUD:
		return Event{Signal: native.SIGILL, Code: 2}
	case cpu.VectorNP, cpu.VectorSS:
		return Event{Signal: native.SIGBUS, Code: native.CodeKernel}
	case cpu.VectorAC:
		return Event{Signal: native.SIGBUS, Code: 1}
	case cpu.VectorPF:
		code := int32(native.CodeUnmap)
		if x.Code&1 != 0 {
			code = native.CodeProtect
		}
		return Event{Signal: native.SIGSEGV, Code: code, Addr: x.CR2}
	case cpu.VectorMF:
		f := &e.CPU.FPU
		return Event{Signal: native.SIGFPE, Code: floatCode(uint32(f.FSW) &^ uint32(f.FCW))}
	case cpu.VectorXM:
		m := e.CPU.MXCSR
		return Event{Signal: native.SIGFPE, Code: floatCode(m &^ (m >> 7))}
	}
	return Event{Signal: 0xFE, Code: int32(v)}
}

// gateForAll says that programs may use an interrupt gate by INT n.
func gateForAll(v uint8) bool { return v == cpu.VectorBP || v == cpu.VectorOF || v == 0x80 }

// floatCode is the si_code of a floating-point exception
// (arch/x86/kernel/fpu/core.c, fpu__exception_code).
func floatCode(f uint32) int32 {
	switch {
	case f&0x01 != 0:
		return 7 // FPE_FLTINV
	case f&0x04 != 0:
		return 3 // FPE_FLTDIV
	case f&0x08 != 0:
		return 4 // FPE_FLTOVF
	case f&0x12 != 0:
		return 5 // FPE_FLTUND
	case f&0x20 != 0:
		return 6 // FPE_FLTRES
	}
	return 0
}
