package cpu

import "github.com/flipvisor/flipvisor/cpu/decode"

// Bits of DR6 and DR7 (SDM Vol. 3B, 17.2.3 and 17.2.4).
const (
	dr6BS = 1 << 14 // single step
	dr6BT = 1 << 15 // task switch
	dr7GD = 1 << 13
)

// Kinds of breakpoint in DR7's R/W fields.
const (
	breakExecute = iota
	breakWrite
	breakIO
	breakAccess
)

// breakpoint gives the kind and length of breakpoint i; on says whether it
// is enabled.
func (s *State) breakpoint(i int) (kind, length uint64, on bool) {
	dr7 := s.DR[7]
	on = dr7>>(2*i)&3 != 0
	kind = dr7 >> (16 + 4*i) & 3
	length = [...]uint64{1, 2, 8, 4}[dr7>>(18+4*i)&3]
	return kind, length, on
}

// updateSlow decides whether instructions go one at a time: for single-step,
// for breakpoints, for an observer, and where fetches pass a cache.
func (c *CPU) updateSlow() {
	c.watching = false
	armed := c.DR[7]&0xff != 0
	if armed {
		for i := range 4 {
			if kind, _, on := c.breakpoint(i); on && kind != breakExecute {
				c.watching = true
			}
		}
	}
	c.slow = armed || c.rflags&(FlagTF|FlagRF) != 0 || c.Hooks.Step != nil || c.MMU.Cache() != nil
	c.updateClass()
}

// step executes one instruction with everything that can be attached to it.
func (c *CPU) step() {
	if c.rflags&FlagRF == 0 && c.instructionBreakpoint() {
		return
	}
	if c.Hooks.Step != nil {
		if d, ok := c.Peek(); ok {
			c.Hooks.Step(c.RIP, &d)
		}
	}
	tf := c.rflags&FlagTF != 0
	c.rflags &^= FlagRF
	c.delivered = false
	c.dataHits = 0
	code, other := c.fetchedBytes()
	if other {
		c.sliceBytes(code)
	} else {
		c.slice(c.Count + 1)
	}
	if !c.delivered {
		c.pendingDB |= c.dataHits
		if tf {
			c.pendingDB |= dr6BS
		}
	}
	if c.rflags&(FlagTF|FlagRF) == 0 {
		c.updateSlow()
	}
}

// instructionBreakpoint raises #DB for a breakpoint at RIP.
func (c *CPU) instructionBreakpoint() bool {
	if c.DR[7]&0xff == 0 {
		return false
	}
	linear := c.RIP
	if !c.long {
		linear = (linear + c.Seg[CS].Base) & 0xffffffff
	}
	var hits uint64
	for i := range 4 {
		if kind, _, on := c.breakpoint(i); on && kind == breakExecute && c.DR[i] == linear {
			hits |= 1 << i
		}
	}
	if hits == 0 {
		return false
	}
	c.Count++
	c.notRetired++
	c.exception(Exception{Vector: VectorDB, DR6: hits})
	return true
}

// watch notes data breakpoints that an access to linear memory meets.
func (c *CPU) watch(va, size uint64, write bool) {
	for i := range 4 {
		kind, length, on := c.breakpoint(i)
		if !on || kind != breakAccess && (kind != breakWrite || !write) {
			continue
		}
		first := c.DR[i] &^ (length - 1)
		if va < first+length && first < va+size {
			c.dataHits |= 1 << i
		}
	}
}

// watchIO notes I/O breakpoints.
func (c *CPU) watchIO(port uint16, size int) {
	if !c.watching || c.CR4&CR4DE == 0 {
		return
	}
	for i := range 4 {
		if kind, length, on := c.breakpoint(i); on && kind == breakIO {
			first := c.DR[i] &^ (length - 1)
			if uint64(port) < first+length && first < uint64(port)+uint64(size) {
				c.dataHits |= 1 << i
			}
		}
	}
}

// Peek decodes the instruction at RIP without any effect. ok is false when
// it cannot be fetched or decoded.
func (c *CPU) Peek() (d decode.Inst, ok bool) {
	code := c.peekBytes()
	return d, decode.DecodeInto(&d, code, c.mode) == nil
}

// peekBytes reads the bytes at RIP, as many as an instruction can have and
// as can be read.
func (c *CPU) peekBytes() []byte {
	linear := c.RIP
	if !c.long {
		linear = (linear + c.Seg[CS].Base) & 0xffffffff
	}
	code := make([]byte, 0, decode.MaxLen)
	for i := range uint64(decode.MaxLen) {
		va := c.wrap(linear + i)
		pa, ok := uint64(0), true
		if va&^0xfff == c.fetchLinear {
			pa = c.fetchPhysical | va&0xfff
		} else if pa, ok = c.MMU.Translate(&c.regime, va); !ok {
			break
		}
		code = append(code, uint8(c.MMU.Mem.Read(pa, 1)))
	}
	return code
}

// fetchedBytes passes the instruction cache for the instruction at RIP. When
// the cache holds other bytes than memory, these are what is executed.
func (c *CPU) fetchedBytes() (code []byte, other bool) {
	if c.MMU.Cache() == nil {
		return nil, false
	}
	linear := c.RIP
	if !c.long {
		linear = (linear + c.Seg[CS].Base) & 0xffffffff
	}
	pa := c.fetchPhysical | linear&0xfff
	if linear&^0xfff != c.fetchLinear {
		var ok bool
		if pa, ok = c.MMU.Translate(&c.regime, linear); !ok {
			return nil, false // the fetch will fault
		}
	}
	n := uint64(1)
	if b := c.find(pa); b != nil {
		n = uint64(b.dec[0].Len)
	} else if d, ok := c.Peek(); ok {
		n = uint64(d.Len)
	}
	for i := uint64(0); i < n; {
		va := c.wrap(linear + i)
		k := min(n-i, 64-va&63)
		at := pa + i
		if va&^0xfff != linear&^0xfff { // the rest lies in the next page
			var ok bool
			if at, ok = c.MMU.Translate(&c.regime, va); !ok {
				break
			}
		}
		if line := c.MMU.FetchLine(at, int(k)); line != nil {
			if !other {
				code, other = c.peekBytes(), true
			}
			if i < uint64(len(code)) {
				copy(code[i:], line[at&63:])
			}
		}
		i += k
	}
	return code, other
}

// StepBytes executes one instruction, from these bytes in place of those in
// memory: what a flip between fetch and decode does.
func (c *CPU) StepBytes(code []byte) Stop {
	c.stop = StopNone
	if c.attention() && !c.boundary() {
		return c.stop
	}
	c.sliceBytes(code)
	return c.stop
}

// sliceBytes is a slice of one instruction whose bytes are given.
func (c *CPU) sliceBytes(code []byte) {
	b := &block{mode: c.mode, second: 1}
	linear := c.RIP
	if !c.long {
		linear = (linear + c.Seg[CS].Base) & 0xffffffff
	}
	b.offset = linear & 0xfff
	var d decode.Inst
	err := decode.DecodeInto(&d, code, c.mode)
	c.deadline, c.budget, c.reserve, c.short = c.Count+1, 1, 0, nil
	c.running = true
	c.R[regRIP] = c.RIP - linear&0xfff
	shadow := c.shadow
	switch err {
	case nil:
		b.dec = []decode.Inst{d}
		c.bindBlock(b)
		for in := c.enter(b); in != nil; {
			in = in.fn(c, in)
		}
	case decode.ErrInvalid:
		c.fetchFault(Exception{Vector: VectorUD})
	default:
		c.fetchFault(Exception{Vector: VectorGP, HasCode: true})
	}
	c.endOfSlice(shadow)
}
