package cpu

import "github.com/flipvisor/flipvisor/mmu"

// segmentOf is the hidden part that a descriptor gives. In an 8-byte system
// descriptor the base is 32 bits; see systemSegment for IA-32e mode.
func segmentOf(sel uint16, desc uint64) Segment {
	s := Segment{
		Selector: sel,
		Attr:     uint32(desc>>40) & 0xf0ff,
		Base:     desc>>16&0xffffff | desc>>32&0xff000000,
		Limit:    uint32(desc&0xffff | desc>>32&0xf0000),
	}
	if s.Attr&AttrG != 0 {
		s.Limit = s.Limit<<12 | 0xfff
	}
	return s
}

// descriptor reads a selector's descriptor. c.exc is #GP(selector) when the
// selector is outside its table. address is where it was found.
func (c *CPU) descriptor(sel uint16, ext uint32) (desc, address uint64, ok bool) {
	base, limit := c.GDTR.Base, uint64(c.GDTR.Limit)
	if sel&4 != 0 {
		l := &c.Seg[LDTR]
		if l.Attr&AttrUnusable != 0 || l.Attr&AttrP == 0 || l.Selector&^3 == 0 {
			return 0, 0, c.excCode(VectorGP, uint32(sel)&^3|ext)
		}
		base, limit = l.Base, uint64(l.Limit)
	}
	o := uint64(sel &^ 7)
	if o+7 > limit {
		return 0, 0, c.excCode(VectorGP, uint32(sel)&^3|ext)
	}
	desc, ok = c.sysLoad(base+o, 8)
	return desc, base + o, ok
}

// setAccessed sets the accessed bit of a code or data descriptor, in its
// table and in s.
func (c *CPU) setAccessed(sel uint16, desc uint64, s *Segment) bool {
	if s.Attr&AttrAccessed != 0 {
		return true
	}
	s.Attr |= AttrAccessed
	base := c.GDTR.Base
	if sel&4 != 0 {
		base = c.Seg[LDTR].Base
	}
	return c.sysStore(base+uint64(sel&^7)+5, 1, desc>>40&0xff|AttrAccessed)
}

// loadSegment loads a data or stack segment register as MOV and POP do
// (SDM Vol. 2B, MOV, and Vol. 3A, 5.6 and 5.7).
func (c *CPU) loadSegment(seg int, sel uint16) bool {
	if c.CR0&CR0PE == 0 || c.rflags&FlagVM != 0 {
		s := &c.Seg[seg]
		s.Selector, s.Base = sel, uint64(sel)<<4
		if c.rflags&FlagVM != 0 {
			s.Limit, s.Attr = 0xffff, AttrP|AttrS|AttrWritable|AttrAccessed|3<<AttrDPLShift
		}
		return true
	}
	if sel&^3 == 0 {
		switch {
		case seg != SS:
			// The base is kept by FS and GS on no processor that matters;
			// Intel clears it.
			c.Seg[seg] = Segment{Selector: sel, Attr: AttrUnusable}
		case c.long && c.cpl < 3 && uint8(sel&3) == c.cpl:
			c.Seg[SS] = Segment{Selector: sel, Attr: AttrUnusable | uint32(c.cpl)<<AttrDPLShift | AttrP | AttrS | AttrWritable | AttrAccessed}
		default:
			return c.excCode(VectorGP, 0)
		}
		return true
	}
	desc, _, ok := c.descriptor(sel, 0)
	if !ok {
		return false
	}
	s := segmentOf(sel, desc)
	code := uint32(sel) &^ 3
	rpl := uint8(sel & 3)
	if seg == SS {
		if s.Attr&(AttrS|AttrCode|AttrWritable) != AttrS|AttrWritable || rpl != c.cpl || s.DPL() != c.cpl {
			return c.excCode(VectorGP, code)
		}
		if s.Attr&AttrP == 0 {
			return c.excCode(VectorSS, code)
		}
	} else {
		readable := s.Attr&AttrS != 0 && (s.Attr&AttrCode == 0 || s.Attr&AttrReadable != 0)
		conforming := s.Attr&(AttrCode|AttrConform) == AttrCode|AttrConform
		if !readable || !conforming && (rpl > s.DPL() || c.cpl > s.DPL()) {
			return c.excCode(VectorGP, code)
		}
		if s.Attr&AttrP == 0 {
			return c.excCode(VectorNP, code)
		}
	}
	if !c.setAccessed(sel, desc, &s) {
		return false
	}
	c.Seg[seg] = s
	return true
}

// storeAs stores with the rights of a privilege level that is not yet in
// force, as delivery and far calls push on the new stack.
func (c *CPU) storeAs(va uint64, size int, v uint64, cpl uint8) bool {
	class := mmu.Supervisor
	if cpl == 3 {
		class = mmu.User
	} else if c.rflags&FlagAC != 0 {
		class = mmu.SupervisorAC
	}
	return c.sysDone(c.MMU.Write(&c.regime, c.wrapSys(va), size, v, class))
}

// tssLoad64 reads a stack pointer from a 64-bit TSS.
func (c *CPU) tssLoad64(offset uint64, ext uint32) (uint64, bool) {
	t := &c.Seg[TR]
	if offset+7 > uint64(t.Limit) {
		return 0, c.excCode(VectorTS, uint32(t.Selector)&^3|ext)
	}
	return c.sysLoad(t.Base+offset, 8)
}

// tssStack reads and checks SS:ESP for a privilege level from a 16- or
// 32-bit TSS.
func (c *CPU) tssStack(cpl uint8, ext uint32) (ss Segment, sp uint64, ok bool) {
	t := &c.Seg[TR]
	var offset, size uint64 = 4 + uint64(cpl)*8, 4
	if t.Attr&8 == 0 {
		offset, size = 2+uint64(cpl)*4, 2
	}
	if offset+size+1 > uint64(t.Limit) {
		return ss, 0, c.excCode(VectorTS, uint32(t.Selector)&^3|ext)
	}
	if sp, ok = c.sysLoad(t.Base+offset, int(size)); !ok {
		return ss, 0, false
	}
	sel, ok := c.sysLoad(t.Base+offset+size, 2)
	if !ok {
		return ss, 0, false
	}
	ss, ok = c.newStack(uint16(sel), cpl, ext)
	return ss, sp, ok
}

// newStack checks a stack segment that a TSS names.
func (c *CPU) newStack(sel uint16, cpl uint8, ext uint32) (ss Segment, ok bool) {
	code := uint32(sel)&^3 | ext
	if sel&^3 == 0 {
		return ss, c.excCode(VectorTS, ext)
	}
	desc, _, ok := c.descriptor(sel, ext)
	if !ok {
		if c.exc.Vector == VectorGP {
			c.exc.Vector = VectorTS
		}
		return ss, false
	}
	ss = segmentOf(sel, desc)
	if uint8(sel&3) != cpl || ss.DPL() != cpl || ss.Attr&(AttrS|AttrCode|AttrWritable) != AttrS|AttrWritable {
		return ss, c.excCode(VectorTS, code)
	}
	if ss.Attr&AttrP == 0 {
		return ss, c.excCode(VectorSS, code)
	}
	return ss, c.setAccessed(sel, desc, &ss)
}
