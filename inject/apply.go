package inject

import (
	"errors"
	"fmt"

	"github.com/flipvisor/flipvisor/cpu/sse"
	"github.com/flipvisor/flipvisor/machine"
)

// Apply changes the bits of a transient fault's target in a machine, between
// two instructions. An error means that there was nothing there to change:
// the experiment is invalid.
//
// A VMCS target is not known here: whoever knows where the structure lies
// makes a memory target of it.
//
// An instruction target is changed on its way from memory to the decoder, so
// that applying it executes the one instruction.
func Apply(m *machine.Machine, f *Fault) error {
	t := &f.Target
	switch t.Class {
	case NoTarget:
		return nil
	case RegisterClass:
		for _, b := range f.Bits {
			if err := flipRegister(m, t.Register, int(b)); err != nil {
				return err
			}
		}
		registerChanged(m, t.Register)
		return nil
	case MemoryClass:
		for _, b := range f.Bits {
			if pa := t.Address + uint64(b/8); !m.Mem.Flip(pa, uint8(b%8)) {
				return fmt.Errorf("no memory at %#x", pa)
			}
		}
		return nil
	case CacheClass:
		return flipCache(m, t, f.Bits)
	case TLBClass:
		return flipTLB(m, t, f.Bits)
	case InstructionClass:
		code := m.CPU.Fetchable()
		for _, b := range f.Bits {
			if int(b/8) >= len(code) {
				return errors.New("the instruction's bytes cannot be fetched")
			}
			code[b/8] ^= 1 << (b % 8)
		}
		m.CPU.StepBytes(code)
		return nil
	}
	return fmt.Errorf("cannot flip bits of %v", t)
}

// flipRegister inverts one bit of a register. What hangs on the register is
// brought up to date by registerChanged.
func flipRegister(m *machine.Machine, r Register, bit int) error {
	return modify(m, r, func(v sse.X) sse.X {
		if bit < 64 {
			v.Lo ^= 1 << bit
		} else {
			v.Hi ^= 1 << (bit - 64)
		}
		return v
	})
}

// modify passes a register's cells through f. No check that an instruction
// makes stands in the way.
func modify(m *machine.Machine, r Register, f func(sse.X) sse.X) error {
	c := m.CPU
	low := func(v uint64) uint64 { return f(sse.X{Lo: v}).Lo }
	m16 := func(p *uint16) { *p = uint16(low(uint64(*p))) }
	m32 := func(p *uint32) { *p = uint32(low(uint64(*p))) }
	m64 := func(p *uint64) { *p = low(*p) }
	switch {
	case r <= R15:
		m64(&c.R[r-RAX])
	case r == RIP:
		m64(&c.RIP)
	case r == RFLAGS:
		c.SetRFLAGS(low(c.RFLAGS()))
	case r == CR0:
		m64(&c.CR0)
	case r == CR2:
		m64(&c.CR2)
	case r == CR3:
		m64(&c.CR3)
	case r == CR4:
		m64(&c.CR4)
	case r == CR8:
		m.LAPIC.SetCR8(uint8(low(uint64(m.LAPIC.GetCR8()))))
	case r >= DR0 && r <= DR3:
		m64(&c.DR[r-DR0])
	case r == DR6:
		m64(&c.DR[6])
	case r == DR7:
		m64(&c.DR[7])
	case r >= ESSelector && r <= TRAttributes:
		s := &c.Seg[(r-ESSelector)/4]
		switch (r - ESSelector) % 4 {
		case 0:
			m16(&s.Selector)
		case 1:
			m64(&s.Base)
		case 2:
			m32(&s.Limit)
		case 3:
			m32(&s.Attr)
		}
	case r == GDTRBase:
		m64(&c.GDTR.Base)
	case r == GDTRLimit:
		m16(&c.GDTR.Limit)
	case r == IDTRBase:
		m64(&c.IDTR.Base)
	case r == IDTRLimit:
		m16(&c.IDTR.Limit)
	case r >= XMM0 && r <= XMM15:
		c.X[r-XMM0] = f(c.X[r-XMM0])
	case r == MXCSR:
		m32(&c.MXCSR)
	case r >= X87R0 && r <= X87R7:
		s := &c.FPU.R[r-X87R0]
		v := f(sse.X{Lo: s.Significand, Hi: uint64(s.SignExponent)})
		s.Significand, s.SignExponent = v.Lo, uint16(v.Hi)
	case r == X87Control:
		m16(&c.FPU.FCW)
	case r == X87Status:
		m16(&c.FPU.FSW)
	case r == X87Tag:
		c.FPU.Tag = narrowTag(low(wideTag(c.FPU.Tag)))
	default:
		return modifyMSR(m, r, low)
	}
	return nil
}

// wideTag gives the x87 tag word's two bits per register for the model's
// one: 11 empty, 00 in use.
func wideTag(tag uint8) (w uint64) {
	for i := range 8 {
		if tag>>i&1 == 0 {
			w |= 3 << (2 * i)
		}
	}
	return w
}

func narrowTag(w uint64) (tag uint8) {
	for i := range 8 {
		if w>>(2*i)&3 != 3 {
			tag |= 1 << i
		}
	}
	return tag
}

// modifyMSR is modify for a model-specific register.
func modifyMSR(m *machine.Machine, r Register, f func(uint64) uint64) error {
	c := m.CPU
	switch r {
	case APICBase:
		if v := f(m.LAPIC.APICBase()); !m.LAPIC.SetAPICBase(v) {
			return fmt.Errorf("the local APIC cannot hold %#x as its base", v)
		}
		return nil
	case TSC:
		now := c.TSC(c.Count)
		c.MSR.TSCOffset += f(now) - now
		m.LAPIC.SetTSCOffset(c.MSR.TSCOffset)
		return nil
	case TSCDeadline:
		m.LAPIC.SetTSCDeadline(f(m.LAPIC.TSCDeadline()))
		return nil
	}
	number, ok := r.MSR()
	if !ok {
		return fmt.Errorf("register %v cannot be changed", r)
	}
	cell := c.MSRCell(number)
	if cell == nil {
		return fmt.Errorf("the processor has no %v", r)
	}
	*cell = f(*cell)
	return nil
}

// read gives one bit of a register or of memory.
func read(m *machine.Machine, t *Target, bit int) (v, ok bool) {
	switch t.Class {
	case RegisterClass:
		err := modify(m, t.Register, func(x sse.X) sse.X {
			if bit < 64 {
				v = x.Lo>>bit&1 != 0
			} else {
				v = x.Hi>>(bit-64)&1 != 0
			}
			return x
		})
		return v, err == nil
	case MemoryClass:
		pa := t.Address + uint64(bit/8)
		return m.Mem.Read(pa, 1)>>(bit%8)&1 != 0, m.Mem.IsRAM(pa)
	}
	return false, false
}

// registerChanged lets the processor see a changed register. The general
// registers, RIP and the vector registers are looked at by each instruction
// anyhow.
func registerChanged(m *machine.Machine, r Register) {
	switch r.Group() {
	case General, Pointer, SSE, X87:
	default:
		m.CPU.Settle()
	}
}

func flipCache(m *machine.Machine, t *Target, bits Bits) error {
	cache := m.MMU.Cache()
	if cache == nil {
		return errors.New("the machine simulates no cache")
	}
	if t.Set >= cache.Sets(t.Cache) || t.Way >= cache.Ways(t.Cache) {
		return fmt.Errorf("%v is outside the cache", t)
	}
	flip := cache.FlipData
	switch t.Line {
	case LineTag:
		flip = cache.FlipTag
	case LineState:
		flip = cache.FlipState
	}
	for _, b := range bits {
		if !flip(t.Cache, t.Set, t.Way, int(b)) {
			return fmt.Errorf("%v holds nothing", t)
		}
	}
	return nil
}

func flipTLB(m *machine.Machine, t *Target, bits Bits) error {
	if t.Entry >= m.MMU.TLBEntries() {
		return fmt.Errorf("the TLB has no entry %d", t.Entry)
	}
	for _, b := range bits {
		if !m.MMU.FlipTLB(t.Entry, t.TLBField, int(b)) {
			return fmt.Errorf("entry %d of the TLB is empty", t.Entry)
		}
	}
	return nil
}

// Hold forces the bits of a stuck-at fault.
func Hold(m *machine.Machine, f *Fault) {
	stuck := *f
	stuck.Bits = nil
	for _, b := range f.Bits {
		if v, ok := read(m, &f.Target, int(b)); ok && v != (f.Kind == StuckAt1) {
			stuck.Bits = append(stuck.Bits, b)
		}
	}
	if len(stuck.Bits) > 0 {
		_ = Apply(m, &stuck) // what read could see, Apply can change
	}
}

// Again flips the bits of an intermittent fault once more, if they are still
// somewhere.
func Again(m *machine.Machine, f *Fault) { _ = Apply(m, f) }
