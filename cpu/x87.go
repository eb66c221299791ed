package cpu

import "github.com/flipvisor/flipvisor/cpu/decode"

// x87Binders are the control instructions of the x87 unit, which system
// software uses whether or not it computes with it. The others stop the
// machine by name.
var x87Binders = map[decode.Op]binder{
	decode.FNINIT: fixed(fninit),
	decode.FNCLEX: fixed(fnclex),
	decode.FNSTCW: fixed(fnstcw),
	decode.FLDCW:  fixed(fldcw),
	decode.FNSTSW: fixed(fnstsw),
	decode.WAIT:   fixed(wait),
}

// x87Ready raises #NM when the unit is not to be used.
func (c *CPU) x87Ready() bool {
	if c.CR0&(CR0EM|CR0TS) != 0 {
		c.exc = Exception{Vector: VectorNM}
		return false
	}
	return true
}

func fninit(c *CPU, in *Inst) *Inst {
	if !c.x87Ready() {
		return c.fault(in)
	}
	f := &c.FPU
	f.FCW, f.FSW, f.Tag = 0x37f, 0, 0
	f.FIP, f.FDP, f.FCS, f.FDS, f.FOP = 0, 0, 0, 0, 0
	return in.next
}

func fnclex(c *CPU, in *Inst) *Inst {
	if !c.x87Ready() {
		return c.fault(in)
	}
	c.FPU.FSW &= 0x7f00
	return in.next
}

func fnstcw(c *CPU, in *Inst) *Inst {
	if !c.x87Ready() || !c.setArg(in, 0, uint64(c.FPU.FCW)) {
		return c.fault(in)
	}
	return in.next
}

func fldcw(c *CPU, in *Inst) *Inst {
	if !c.x87Ready() {
		return c.fault(in)
	}
	if c.FPU.pending() {
		return c.raise(in, VectorMF)
	}
	v, ok := c.arg(in, 0)
	if !ok {
		return c.fault(in)
	}
	c.FPU.FCW = uint16(v)&0x1f3f | 0x40
	c.FPU.updateSummary()
	return in.next
}

func fnstsw(c *CPU, in *Inst) *Inst {
	if !c.x87Ready() || !c.setArg(in, 0, uint64(c.FPU.FSW)) {
		return c.fault(in)
	}
	return in.next
}

// wait is WAIT: it minds CR0.MP with TS, and reports pending exceptions.
func wait(c *CPU, in *Inst) *Inst {
	if c.CR0&(CR0MP|CR0TS) == CR0MP|CR0TS {
		return c.raise(in, VectorNM)
	}
	if c.FPU.pending() {
		return c.raise(in, VectorMF)
	}
	return in.next
}
