package cpu

import "github.com/flipvisor/flipvisor/cpu/decode"

var xcrBinders = map[decode.Op]binder{
	decode.XGETBV: fixed(xgetbv),
	decode.XSETBV: fixed(xsetbv),
}

func xgetbv(c *CPU, in *Inst) *Inst {
	if c.CR4&CR4OSXSAVE == 0 {
		return c.ud(in)
	}
	if uint32(c.R[RCX]) != 0 {
		return c.gp0(in)
	}
	c.R[RAX], c.R[RDX] = c.XCR0&0xffffffff, c.XCR0>>32
	return in.next
}

// xsetbv accepts the x87 and SSE state, the first of which is always on.
func xsetbv(c *CPU, in *Inst) *Inst {
	if c.CR4&CR4OSXSAVE == 0 {
		return c.ud(in)
	}
	if c.cpl != 0 {
		return c.gp0(in)
	}
	if c.interceptAlways(in, ExitXSETBV) {
		return nil
	}
	v := c.reg32(RAX) | c.reg32(RDX)<<32
	if uint32(c.R[RCX]) != 0 || v&^3 != 0 || v&1 == 0 {
		return c.gp0(in)
	}
	c.XCR0 = v
	return c.leave(in)
}
