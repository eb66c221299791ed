package cpu

import "github.com/flipvisor/flipvisor/cpu/decode"

// Straight is the code that runs next unless something intervenes: the rest
// of the block at RIP.
type Straight struct {
	Insts    []decode.Inst
	Physical uint64 // of the first byte; the code lies in one page
	Bytes    int
	Touched  *Touched // by any of the instructions
}

// Touched is the registers and flags that code reads or may write.
type Touched struct {
	Registers decode.RegSet
	Flags     uint32
}

// Add puts what one instruction touches into the set.
func (t *Touched) Add(in *decode.Inst) {
	var e decode.Effects
	in.Effects(&e)
	for _, s := range [...]*decode.RegSet{&e.Read, &e.Write, &e.CondWrite} {
		for i, b := range s.GPR {
			t.Registers.GPR[i] |= b
		}
		for i, b := range s.XMM {
			t.Registers.XMM[i] |= b
		}
		t.Registers.Sys |= s.Sys
	}
	t.Flags |= e.FlagsRead | e.FlagsWritten | e.FlagsUndefined | e.FlagsCond
}

// Straight looks ahead without any effect on the machine. ok is false when
// an event comes first, or when the code cannot be fetched or decoded.
func (c *CPU) Straight() (s Straight, ok bool) {
	if c.attention() || c.slow || c.shadow != ShadowNone {
		return s, false
	}
	linear := c.RIP
	if !c.long {
		linear = (linear + c.Seg[CS].Base) & 0xffffffff
	} else if !canonical(linear) {
		return s, false
	}
	pa := c.fetchPhysical | linear&0xfff
	if linear&^0xfff != c.fetchLinear {
		if pa, ok = c.MMU.Translate(&c.regime, linear); !ok {
			return s, false
		}
	}
	b := c.find(pa)
	if b == nil {
		d, ok := c.Peek()
		if !ok {
			return s, false
		}
		t := new(Touched)
		t.Add(&d)
		return Straight{[]decode.Inst{d}, pa, int(d.Len), t}, true
	}
	if b.touched == nil {
		b.touched = new(Touched)
		for i := range b.dec {
			b.touched.Add(&b.dec[i])
		}
	}
	// What time brings about ends it: a VM exit, a counter's overflow.
	n := min(uint64(len(b.dec)), c.vmxHorizon())
	if c.pmu.armed {
		n = min(n, max(c.pmu.untilOverflow(), 1))
	}
	return Straight{b.dec[:n], pa, b.bytes(), b.touched}, true
}

// Address is the effective address of a memory reference of the instruction
// at RIP, as an offset into its segment, and the linear address it gives.
func (c *CPU) Address(in *decode.Inst, m *decode.MemRef) (offset, linear uint64) {
	if m.Base != decode.NoReg {
		offset = c.R[m.Base&15]
	}
	if m.Index != decode.NoReg {
		offset += c.R[m.Index&15] * uint64(m.Scale)
	}
	if m.RIPRel {
		offset = c.RIP + uint64(in.Len)
	}
	offset += uint64(m.Disp)
	if m.AddrSize != 0 && m.AddrSize < 8 {
		offset &= mask(int(m.AddrSize))
	}
	if c.long && m.Seg < FS {
		return offset, offset
	}
	return offset, c.wrap(offset + c.Seg[m.Seg&7].Base)
}

// Physical translates a linear address as the current program sees it,
// without any effect.
func (c *CPU) Physical(linear uint64) (pa uint64, ok bool) {
	return c.MMU.Translate(&c.regime, linear)
}

// Where is the count and the RIP of the instruction in progress, for
// observers that are called in the middle of one, or of the next one.
func (c *CPU) Where() (count, rip uint64) {
	if c.running && c.current != nil {
		return c.now(c.current), c.address(c.current)
	}
	return c.Now(), c.RIP
}

// VPID is the current virtual-processor identifier: 0 in root operation.
func (c *CPU) VPID() uint16 { return c.regime.VPID }

// Fetchable is the bytes at RIP, as many as an instruction can have and as
// can be fetched.
func (c *CPU) Fetchable() []byte { return c.peekBytes() }

// MSRCell is the storage of a model-specific register that is no more than
// that, or nil.
func (c *CPU) MSRCell(index uint32) *uint64 {
	switch index {
	case msrEFER:
		return &c.MSR.EFER
	case msrFSBase:
		return &c.Seg[FS].Base
	case msrGSBase:
		return &c.Seg[GS].Base
	}
	if p := c.plainMSR(index); p != nil {
		return p
	}
	return c.pmuRegister(index)
}

// Fingerprint tells runs apart that executed different instructions: two
// that did the same have equal ones at equal counts.
type Fingerprint struct {
	RIP                              uint64
	CPL                              uint8
	VPID                             uint16
	Retired, Branches, Loads, Stores uint64
}

// Fingerprint is of the present, between runs.
func (c *CPU) Fingerprint() Fingerprint {
	c.settle()
	return Fingerprint{c.RIP, c.cpl, c.regime.VPID, c.Retired(), c.pmu.branches, c.pmu.loads, c.pmu.stores}
}
