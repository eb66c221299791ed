package exec

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/cpu/decode"
	"github.com/flipvisor/flipvisor/mmu"
)

// Bench is a processor that runs one case after another.
type Bench struct {
	Trace bool // results list every instruction

	mem *mmu.Memory
	mmu *mmu.MMU
	cpu *cpu.CPU

	used  uint64            // physical pages in use, from the bottom
	pages map[uint64]uint64 // linear page to physical
	root  uint64
}

// The descriptor table lies in a page of its own, above all addresses that a
// case can have. Its selectors are those of a Linux process.
const (
	tables64 = 0xffff_ffff_ffff_e000
	tables32 = 0xffff_e000

	selCode64 = 0x33
	selCode32 = 0x23
	selData   = 0x2b
	selKernel = 0x10
	selStack  = 0x18

	selKernel32 = 0x38
)

const physicalSize = 64 << 20

// New makes a bench.
func New() *Bench {
	b := &Bench{mem: mmu.NewMemory(physicalSize)}
	b.mmu = mmu.New(b.mem)
	b.cpu = cpu.New(b.mmu, cpu.DefaultModel())
	return b
}

// Run runs one case. An error is a mistake in the case.
func (b *Bench) Run(k *Case) (*Result, error) {
	code, contents, err := k.check()
	if err != nil {
		return nil, err
	}
	b.reset()
	if err := b.load(k.At.Lo, code, uint64(len(code))); err != nil {
		return nil, err
	}
	for i, r := range k.Memory {
		if err := b.load(r.At.Lo, contents[i], r.Size); err != nil {
			return nil, fmt.Errorf("memory[%d]: %w", i, err)
		}
	}
	b.mode(k)
	c := b.cpu
	c.RIP = k.At.Lo
	for _, name := range sortedNames(k.Regs) {
		byName[name].set(c, k.Regs[name])
	}
	if k.Mode == 32 {
		for i := range 16 {
			c.R[i] &= 0xffffffff
		}
		c.RIP &= 0xffffffff
	}
	c.Settle()
	r := b.run(k.Limit)
	for _, reg := range registers {
		r.Regs[reg.name] = reg.get(c)
	}
	for _, m := range k.Memory {
		data := make([]byte, m.Size)
		b.read(m.At.Lo, data)
		r.Memory = append(r.Memory, Region{At: m.At, Size: m.Size, Hex: hex.EncodeToString(data)})
	}
	return r, nil
}

// reset forgets the case before.
func (b *Bench) reset() {
	var zero mmu.Page
	for pa := uint64(0); pa < b.used; pa += mmu.PageSize {
		if b.mem.IsRAM(pa) {
			_ = b.mem.WriteBytes(pa, zero[:]) // RAM takes it
		}
	}
	b.used = 0
	b.pages = make(map[uint64]uint64)
	b.cpu.Reset()
	b.cpu.SetHooks(cpu.Hooks{})
	b.mmu.FlushAll(0, false)
	b.root = b.page()
}

// page takes a physical page that is not in use.
func (b *Bench) page() uint64 {
	for !b.mem.IsRAM(b.used) {
		b.used += mmu.PageSize
	}
	pa := b.used
	b.used += mmu.PageSize
	return pa
}

var errFull = errors.New("the case needs more memory than the bench has")

// mapPage maps a linear page and gives its physical one.
func (b *Bench) mapPage(page uint64, user bool) (uint64, error) {
	if pa, ok := b.pages[page]; ok {
		return pa, nil
	}
	if b.used+8*mmu.PageSize > physicalSize {
		return 0, errFull
	}
	flags := uint64(3)
	if user {
		flags = 7
	}
	table := b.root
	for shift := 39; shift > 12; shift -= 9 {
		slot := table + page>>shift&511*8
		e := b.mem.Read(slot, 8)
		if e == 0 {
			e = b.page() | 7
			b.mem.Write(slot, 8, e)
		}
		table = e &^ 0xfff
	}
	pa := b.page()
	b.mem.Write(table+page>>12&511*8, 8, pa|flags)
	b.pages[page] = pa
	return pa, nil
}

// load maps size bytes and fills the first of them.
func (b *Bench) load(at uint64, data []byte, size uint64) error {
	for page := at &^ 0xfff; page-at&^0xfff < size+at&0xfff; page += mmu.PageSize {
		if _, err := b.mapPage(page, true); err != nil {
			return err
		}
	}
	for i := 0; i < len(data); {
		a := at + uint64(i)
		n := min(len(data)-i, int(mmu.PageSize-a&0xfff))
		if err := b.mem.WriteBytes(b.pages[a&^0xfff]|a&0xfff, data[i:i+n]); err != nil {
			return err
		}
		i += n
	}
	return nil
}

func (b *Bench) read(at uint64, data []byte) {
	for i := range data {
		a := at + uint64(i)
		data[i] = uint8(b.mem.Read(b.pages[a&^0xfff]|a&0xfff, 1))
	}
}

// mode puts the processor into the mode of a case. In 32-bit mode the same
// page tables are those of compatibility mode: the processor is in IA-32e
// mode with a 32-bit code segment, as under a 64-bit system.
func (b *Bench) mode(k *Case) {
	c := b.cpu
	tables := uint64(tables64)
	if k.Mode == 32 {
		tables = tables32
	}
	gdt, err := b.mapPage(tables, false)
	if err != nil {
		return // no room: the table is simply absent
	}
	for i, d := range [...]uint64{
		2: 0x00af9b000000ffff, 3: 0x00cf93000000ffff, 4: 0x00cffb000000ffff, 5: 0x00cff3000000ffff, 6: 0x00affb000000ffff, 7: 0x00cf9b000000ffff,
	} {
		b.mem.Write(gdt+uint64(i)*8, 8, d)
	}
	c.GDTR = cpu.Table{Base: tables, Limit: 8*8 - 1}
	c.IDTR = cpu.Table{}
	c.Seg[cpu.TR].Limit = 0 // no task, no port is allowed
	c.CR3 = b.root
	c.CR4 = cpu.CR4PAE | cpu.CR4PGE | cpu.CR4OSFXSR | cpu.CR4OSXMMEXCPT | cpu.CR4FSGSBASE | cpu.CR4OSXSAVE
	c.XCR0 = 7 // a vector instruction that is not implemented is to say so
	c.CR0 = cpu.CR0PE | cpu.CR0MP | cpu.CR0ET | cpu.CR0NE | cpu.CR0WP | cpu.CR0AM | cpu.CR0PG
	c.MSR.EFER = cpu.EFERLME | cpu.EFERLMA | cpu.EFERNXE
	dpl := uint32(*k.CPL) << cpu.AttrDPLShift
	const flat = cpu.AttrG | cpu.AttrP | cpu.AttrS | cpu.AttrAccessed
	data := cpu.Segment{Selector: selData, Limit: 0xffffffff, Attr: flat | cpu.AttrDB | cpu.AttrWritable | dpl}
	code := cpu.Segment{Selector: selCode64, Limit: 0xffffffff, Attr: flat | cpu.AttrL | cpu.AttrCode | cpu.AttrReadable | dpl}
	if k.Mode == 32 {
		code.Selector = selCode32
		code.Attr = code.Attr&^cpu.AttrL | cpu.AttrDB
	}
	if *k.CPL == 0 {
		data.Selector = selStack
		code.Selector = selKernel
		if k.Mode == 32 {
			code.Selector = selKernel32
		}
	}
	for s := range 6 {
		c.Seg[s] = data
	}
	c.Seg[cpu.CS] = code
	c.FPU.FCW = 0x37f
	c.SetRFLAGS(cpu.FlagR1)
}

// run executes until HLT, an exception or the limit.
func (b *Bench) run(limit uint64) *Result {
	c := b.cpu
	r := &Result{Regs: make(map[string]Number)}
	var caught *cpu.Exception
	hooks := cpu.Hooks{Catch: func(e cpu.Exception) bool {
		caught = &e
		return true
	}}
	var t tracer
	if b.Trace {
		t.c = c
		hooks.Step = t.before
	}
	c.SetHooks(hooks)
	c.Settle()
	start := c.Retired()
	for r.Stop == "" {
		done := c.Retired() - start
		if done >= limit {
			r.Stop = "limit"
			break
		}
		stop := c.Run(c.Count + limit - done)
		t.after()
		switch stop {
		case cpu.StopHalted:
			r.Stop = "hlt"
		case cpu.StopCaught:
			r.Stop = "exception"
			v := int(caught.Vector)
			r.Vector = &v
			if caught.HasCode {
				r.ErrorCode = &caught.Code
			}
			if caught.Vector == cpu.VectorPF {
				cr2 := N(caught.CR2)
				r.CR2 = &cr2
			}
			c.RIP = caught.ReturnAddress(c.RIP)
		case cpu.StopError:
			r.Stop, r.Error = "error", c.Err().Error()
		case cpu.StopShutdown:
			r.Stop, r.Error = "error", "triple fault"
		}
	}
	r.Instructions = c.Retired() - start
	r.Trace = t.list
	return r
}

// tracer notes what each instruction read and wrote.
type tracer struct {
	c    *cpu.CPU
	list []Traced
	open bool
	e    decode.Effects
	mem  []memAt
}

type memAt struct {
	name string
	va   uint64
	size int
}

func (t *tracer) before(rip uint64, in *decode.Inst) {
	t.after()
	in.Effects(&t.e)
	line := Traced{RIP: N(rip), Text: in.Text(rip, nil)}
	code := t.c.Fetchable()
	line.Bytes = hex.EncodeToString(code[:min(int(in.Len), len(code))])
	line.Read = touched(t.c, &t.e.Read, t.e.FlagsRead)
	t.mem = t.mem[:0]
	for i := range t.e.NMem {
		m := &t.e.Mem[i]
		if m.Size == 0 || m.Size > 16 || m.Kind == decode.MemTable || m.Kind == decode.MemFrame {
			continue
		}
		_, va := t.c.Address(in, m)
		at := memAt{fmt.Sprintf("[%#x]%d", va, m.Size), va, int(m.Size)}
		if m.Access&decode.Read != 0 {
			if v, ok := t.value(at); ok {
				line.Read[at.name] = v
			}
		}
		if m.Access&(decode.Write|decode.CondWrite) != 0 {
			t.mem = append(t.mem, at)
		}
	}
	t.list = append(t.list, line)
	t.open = true
}

// after completes the last instruction's line.
func (t *tracer) after() {
	if !t.open {
		return
	}
	t.open = false
	line := &t.list[len(t.list)-1]
	for i := range t.e.Write.GPR {
		t.e.Write.GPR[i] |= t.e.CondWrite.GPR[i]
	}
	for i := range t.e.Write.XMM {
		t.e.Write.XMM[i] |= t.e.CondWrite.XMM[i]
	}
	line.Wrote = touched(t.c, &t.e.Write, t.e.FlagsWritten|t.e.FlagsUndefined|t.e.FlagsCond)
	for _, at := range t.mem {
		if v, ok := t.value(at); ok {
			line.Wrote[at.name] = v
		}
	}
}

// value reads memory without an effect.
func (t *tracer) value(at memAt) (n Number, ok bool) {
	n.Wide = at.size == 16
	for i := range at.size {
		pa, ok := t.c.Physical(at.va + uint64(i))
		if !ok {
			return n, false
		}
		v := t.c.MMU.Mem.Read(pa, 1)
		if i < 8 {
			n.Lo |= v << (8 * i)
		} else {
			n.Hi |= v << (8 * (i - 8))
		}
	}
	return n, true
}
